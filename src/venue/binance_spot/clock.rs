//! The venue's clock against ours, from `time` requests: the shortest round trip knows best.
//!
//! Thread: any.  Invariants: reads no clock; an offset is never better known than half its round trip, and less well
//! the older it is; what the venue might refuse for its time is known before it is sent.

use crate::types::event::ClockOffset;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::{Millis, Time};

const SAMPLES: usize = 8;
const ROUND: u32 = 5;
const ROUND_EVERY_NS: i64 = 30 * NANOS_PER_SEC;
/// How far two clocks part in a second: a cheap crystal's 100 ppm.
const DRIFT_PER_SEC_NS: i64 = 100_000;
/// What the venue allows a request to be ahead of its own clock.
const AHEAD_NS_MAX: i64 = NANOS_PER_SEC;
/// Kept free of both bounds: the venue's own queue before its second look at the time.
const MARGIN_NS: i64 = 50 * NANOS_PER_MILLI;

/// One answer, and when it came.
#[derive(Clone, Copy, Debug)]
struct Sample {
    offset: ClockOffset,
    recv: Time,
}

/// Offset estimation.
#[derive(Debug)]
pub struct VenueClock {
    offset_ns: i64,
    samples: [Option<Sample>; SAMPLES],
    cursor: usize,
    left: u32,
    round_every_ns: i64,
    next_round: Time,
}

impl Default for VenueClock {
    fn default() -> Self {
        Self::asked_within(ROUND_EVERY_NS)
    }
}

impl VenueClock {
    /// Asks every half minute, or as often as that if it is more often.
    pub fn asked_within(every_ns: i64) -> Self {
        let round_every_ns = every_ns.min(ROUND_EVERY_NS);
        Self { offset_ns: 0, samples: [None; SAMPLES], cursor: 0, left: 0, round_every_ns, next_round: Time::NONE }
    }
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
            self.next_round = now.plus(self.round_every_ns);
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
            *slot = Some(Sample { offset: ClockOffset { offset_ns, round_trip_ns }, recv });
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
        self.best_sample().map(|sample| sample.offset)
    }
    fn best_sample(&self) -> Option<&Sample> {
        self.samples.iter().flatten().min_by_key(|sample| sample.offset.round_trip_ns)
    }
    /// A round of questions is due at once; what is known stays.
    pub fn measure_soon(&mut self) {
        if self.left == 0 {
            self.next_round = Time::NONE;
        }
    }
    /// How wrong the offset may be; `None` = never measured.
    pub fn doubt_ns(&self, now: Time) -> Option<i64> {
        let best = self.best_sample()?;
        let age_s = now.since(best.recv).max(0) / NANOS_PER_SEC;
        Some((best.offset.round_trip_ns / 2).saturating_add(age_s.saturating_mul(DRIFT_PER_SEC_NS)))
    }
    /// Whether a request of a receive window of `window_ns` cannot be refused for its time: the offset's doubt and the
    /// longest of the latest ways there fit into it, and the doubt into what it may be ahead.
    pub fn is_sure(&self, window_ns: i64, now: Time) -> bool {
        let Some(doubt_ns) = self.doubt_ns(now) else { return false };
        let way_ns = self.samples.iter().flatten().map(|sample| sample.offset.round_trip_ns).max().unwrap_or(0);
        let late_ns = doubt_ns.saturating_add(way_ns).saturating_add(MARGIN_NS);
        late_ns <= window_ns && doubt_ns.saturating_add(MARGIN_NS) <= AHEAD_NS_MAX
    }
    /// The venue's time at `now`, as requests say it.
    pub fn timestamp(&self, now: Time) -> Millis {
        self.venue_time(now).millis()
    }
}
