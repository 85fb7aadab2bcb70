//! The venue's clock against ours, from `time` requests: the shortest round trip knows best.
//!
//! Thread: any.  Invariants: reads no clock; an offset is never better known than half its round trip.

use crate::types::event::ClockOffset;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::{Millis, Time};

const SAMPLES: usize = 8;
const ROUND: u32 = 5;
const ROUND_EVERY_NS: i64 = 30 * NANOS_PER_SEC;

/// Offset estimation.
#[derive(Debug)]
pub struct VenueClock {
    offset_ns: i64,
    samples: [Option<ClockOffset>; SAMPLES],
    cursor: usize,
    left: u32,
    next_round: Time,
}

impl Default for VenueClock {
    fn default() -> Self {
        Self { offset_ns: 0, samples: [None; SAMPLES], cursor: 0, left: 0, next_round: Time::NONE }
    }
}

impl VenueClock {
    /// The venue's clock minus ours.
    pub fn set_offset(&mut self, offset_ns: i64) {
        self.offset_ns = offset_ns;
    }
    /// The venue's time at our time `now`.
    pub fn venue_time(&self, now: Time) -> Time {
        now.plus(self.offset_ns)
    }
    /// Our time at a time of the venue.
    pub fn our_time(&self, venue: Time) -> Time {
        Time(venue.0.saturating_sub(self.offset_ns))
    }
    /// Whether a round of questions is due; it is begun then.
    pub fn begin_round(&mut self, now: Time) -> bool {
        let due = now >= self.next_round;
        if due {
            self.next_round = now.plus(ROUND_EVERY_NS);
            self.left = ROUND;
        }
        due
    }
    /// The venue doubts our time: old answers count no more and the next round is due at once.
    pub fn hurry(&mut self) {
        self.next_round = Time::NONE;
        self.samples = [None; SAMPLES];
    }
    /// Takes one answer. True if the round goes on with another question; else the best offset is in force.
    pub fn sample(&mut self, server_time: Time, sent: Time, recv: Time) -> bool {
        let round_trip_ns = recv.since(sent).max(0);
        let middle = sent.plus(round_trip_ns / 2);
        // The venue cuts its time down to whole ms: half of one is what it cut on average.
        let offset_ns = server_time.plus(NANOS_PER_MILLI / 2).since(middle);
        if let Some(slot) = self.samples.get_mut(self.cursor) {
            *slot = Some(ClockOffset { offset_ns, round_trip_ns });
        }
        self.cursor = (self.cursor + 1) % SAMPLES;
        self.left = self.left.saturating_sub(1);
        if let Some(best) = self.best() {
            self.offset_ns = best.offset_ns;
        }
        self.left > 0
    }
    /// The best of the latest answers.
    pub fn best(&self) -> Option<ClockOffset> {
        self.samples.iter().flatten().min_by_key(|sample| sample.round_trip_ns).copied()
    }
    /// The venue's time at `now`, as requests say it.
    pub fn timestamp(&self, now: Time) -> Millis {
        self.venue_time(now).millis()
    }
}
