//! The clock: UTC once, monotonic ever after.
//!
//! Thread: any; a `Clock` is a plain value to copy into each agent.  Invariants: the only place that asks the machine
//! what time it is; what [`Clock::now`] gives never goes backwards, whatever happens to the system's wall clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::types::Time;

/// Our clock, anchored to UTC once. All copies of one clock agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    anchor: Instant,
    anchor_utc: Time,
}

impl Clock {
    /// Reads UTC and the monotonic clock together; do it once per process and hand out copies.
    #[allow(clippy::disallowed_methods)] // this is the one place
    pub fn start() -> Clock {
        let anchor = Instant::now();
        // A wall clock before 1970 is a broken host; the venue's clock check refuses to trade on it.
        let utc = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { anchor, anchor_utc: Time(i64::try_from(utc.as_nanos()).unwrap_or(i64::MAX)) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::NANOS_PER_SEC;

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
}
