//! The clock: UTC once, monotonic ever after.
//!
//! Thread: any; a `Clock` is a plain value to copy into each agent.  Invariants: the only place that asks the machine
//! what time it is; what [`Clock::now`] gives never goes backwards, whatever happens to the system's wall clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::types::Time;
use crate::types::time::NANOS_PER_SEC;

/// Our clock, anchored to UTC once. All copies of one clock agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    anchor: Instant,
    anchor_utc: Time,
    anchor_monotonic_ns: i64,
}

impl Clock {
    /// Reads UTC and the monotonic clock together; do it once per process and hand out copies.
    #[allow(clippy::disallowed_methods)] // this is the one place
    pub fn start() -> Clock {
        let anchor = Instant::now();
        // A wall clock before 1970 is a broken host; the venue's clock check refuses to trade on it.
        let utc = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let anchor_utc = Time(i64::try_from(utc.as_nanos()).unwrap_or(i64::MAX));
        Clock { anchor, anchor_utc, anchor_monotonic_ns: monotonic_ns() }
    }

    /// `at` on the kernel's monotonic clock, which all processes of a host share: how two of them compare instants.
    pub fn shared_ns(&self, at: Time) -> i64 {
        at.since(self.anchor_utc).saturating_add(self.anchor_monotonic_ns)
    }

    /// Now. Cost: one read of the vDSO clock, about 25 ns.
    #[allow(clippy::disallowed_methods)] // this is the one place
    pub fn now(&self) -> Time {
        let elapsed = Instant::now().saturating_duration_since(self.anchor);
        self.anchor_utc.plus(i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX))
    }

    /// How far the wall clock has moved away from ours since the anchor, ns (> 0: the wall clock is ahead). A step by
    /// NTP shows here.
    #[allow(clippy::disallowed_methods)] // this is the one place
    pub fn wall_drift_ns(&self) -> i64 {
        let utc = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(utc.as_nanos()).unwrap_or(i64::MAX).saturating_sub(self.now().0)
    }
}

/// CLOCK_MONOTONIC, ns; zero where the kernel has none.
fn monotonic_ns() -> i64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for one timespec and outlives the call.
    if unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) } != 0 {
        return 0;
    }
    now.tv_sec.saturating_mul(NANOS_PER_SEC).saturating_add(now.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_tells_utc_and_never_runs_backwards() {
        let clock = Clock::start();
        let mut last = clock.now();
        assert!(last.utc_day() > 20_000, "later than 2024");
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
        assert!(clock.wall_drift_ns().abs() < 5 * NANOS_PER_SEC);
    }

    #[test]
    fn two_clocks_of_one_host_agree_on_the_shared_time_of_an_instant() {
        let (one, two) = (Clock::start(), Clock::start());
        let apart_ns = two.shared_ns(two.now()) - one.shared_ns(one.now());
        assert!(apart_ns.abs() < NANOS_PER_SEC, "{apart_ns} ns apart");
        let at = one.now();
        assert_eq!(one.shared_ns(at.plus(7)) - one.shared_ns(at), 7);
    }
}
