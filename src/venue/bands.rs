//! How a local book is told: the size near the mid, in three bands, at a fixed interval; the same for every venue.
//!
//! Thread: any.  Invariants: a level exactly at a distance counts, none beyond; samples keep to their grid, so they come
//! once an interval on average however coarse the timer is; after a pause none is made up for.

use crate::types::time::NANOS_PER_MILLI;
use crate::types::units::mul_div_floor;
use crate::types::{Price, Qty, Time};

/// Distances of a [`Depth`](crate::types::event::Depth), basis points of the mid.
pub const DEPTH_BPS: [i64; 3] = [10, 25, 50];
/// How often depth is told if nothing else is asked for.
pub const DEPTH_SAMPLE_NS: i64 = 250 * NANOS_PER_MILLI;

/// The distances around `mid` as differences of price, rounded down, nearest first.
pub fn distances(mid: Price) -> [i64; 3] {
    DEPTH_BPS.map(|bps| mul_div_floor(mid.0, bps, 10_000).unwrap_or(0))
}

/// Size of one side within each distance of `mid`; `levels` from the best one on.
pub fn within(mid: Price, levels: impl Iterator<Item = (Price, Qty)> + Clone) -> [Qty; 3] {
    distances(mid).map(|distance| {
        let near = levels.clone().take_while(|(price, _)| price.0.abs_diff(mid.0) <= distance.unsigned_abs());
        Qty(near.fold(0_i64, |sum, (_, qty)| sum.saturating_add(qty.0)))
    })
}

/// When the next sample is due.
#[derive(Clone, Copy, Debug)]
pub struct SampleClock {
    every_ns: i64,
    due: Time,
}

impl SampleClock {
    /// One sample each `every_ns`, 1 ms at least.
    pub fn new(every_ns: i64) -> SampleClock {
        SampleClock { every_ns: every_ns.max(NANOS_PER_MILLI), due: Time::NONE }
    }
    /// A sample was taken at `now`, out of turn: the next one an interval later.
    pub fn restart(&mut self, now: Time) {
        self.due = now.plus(self.every_ns);
    }
    /// Whether a sample is due; if so, it counts as taken.
    pub fn is_due(&mut self, now: Time) -> bool {
        if now < self.due {
            return false;
        }
        self.due = self.due.plus(self.every_ns);
        if self.due <= now {
            self.restart(now);
        }
        true
    }
    /// When the next one is due.
    pub fn due(&self) -> Time {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_once_an_interval_on_average_under_a_coarse_timer_and_none_is_made_up_for() {
        let at = |ms: i64| Time(1_000 * NANOS_PER_MILLI + ms * NANOS_PER_MILLI);
        let mut clock = SampleClock::new(DEPTH_SAMPLE_NS);
        clock.restart(at(0));
        let taken: Vec<i64> = (1..=20).map(|tick| tick * 100).filter(|ms| clock.is_due(at(*ms))).collect();
        assert_eq!(taken, [300, 500, 800, 1_000, 1_300, 1_500, 1_800, 2_000]);
        assert!(clock.is_due(at(60_000)));
        assert!(!clock.is_due(at(60_249)), "what was missed is missed");
        assert!(clock.is_due(at(60_250)));
    }

    #[test]
    fn a_level_exactly_at_the_distance_counts_and_none_beyond() {
        let levels = [(999_990, 1), (999_000, 2), (998_999, 4), (997_500, 8), (995_000, 16), (994_999, 32)];
        let levels = levels.iter().map(|(price, qty)| (Price(*price), Qty(*qty)));
        assert_eq!(within(Price(1_000_000), levels), [Qty(3), Qty(15), Qty(31)]);
    }
}
