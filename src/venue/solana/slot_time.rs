//! The slot time, measured: mean, error bar, the next boundary; and what a node's own count says of it.
//!
//! Thread: any.  Invariants: integers only; a stall is never taken for a slot time; before two slots came nothing is
//! claimed.

use crate::types::Time;

/// Weight of the past: one new spacing counts 1/16 of the mean and of the error bar.
const SMOOTHING: i64 = 16;
/// A spacing above this times the mean is a stall, not a slot time: it is capped here.
const SPACING_CAP: i64 = 4;
/// Share of the mean by which the node's own count may differ before the two disagree: a quarter.
const APART_SHARE: i64 = 4;
/// ... or so many error bars, where those are wider.
const APART_DEVIATIONS: i64 = 3;

/// A boundary not reached yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextSlot {
    /// When it is expected to be reported.
    pub at: Time,
    /// How far off that may be either way: one mean deviation for each slot since the last report.
    pub error_ns: i64,
    /// Slots from the newest one to it.
    pub ahead: u64,
}

/// Mean slot time and mean absolute deviation, both smoothed exponentially.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotTime {
    mean_ns: Option<i64>,
    deviation_ns: i64,
    sampled_ns: Option<i64>,
}

impl SlotTime {
    /// One spacing between slots.
    pub fn measure(&mut self, spacing_ns: i64) {
        let Some(mean) = self.mean_ns else {
            let first = spacing_ns.max(1);
            (self.mean_ns, self.deviation_ns) = (Some(first), first / 2); // one spacing says little yet
            return;
        };
        let off = spacing_ns.clamp(0, mean.saturating_mul(SPACING_CAP)) - mean;
        self.mean_ns = Some((mean + off / SMOOTHING).max(1));
        self.deviation_ns += (off.abs() - self.deviation_ns) / SMOOTHING;
    }

    /// What `getRecentPerformanceSamples` says; `None` where it counted nothing.
    pub fn set_sampled(&mut self, slot_ns: Option<i64>) {
        self.sampled_ns = slot_ns;
    }

    /// Mean, ns; `None` before two slots came.
    pub fn mean_ns(&self) -> Option<i64> {
        self.mean_ns
    }

    /// Mean absolute deviation of one spacing from the mean, ns.
    pub fn deviation_ns(&self) -> i64 {
        self.deviation_ns
    }

    /// The best there is: measured, else the node's count.
    pub fn best_ns(&self) -> Option<i64> {
        self.mean_ns.or(self.sampled_ns)
    }

    /// Whether the node's own count agrees with the measured mean; `None` while one of the two is not known.
    pub fn agrees(&self) -> Option<bool> {
        let (mean, sampled) = (self.mean_ns?, self.sampled_ns?);
        let allowed = (mean / APART_SHARE).max(self.deviation_ns.saturating_mul(APART_DEVIATIONS));
        Some(mean.saturating_sub(sampled).abs() <= allowed)
    }

    /// The first boundary after `now`, counted from the newest slot's report at `from`; `None` before a mean is known.
    pub fn next_after(&self, from: Time, now: Time) -> Option<NextSlot> {
        let mean = self.mean_ns?;
        let ahead = now.since(from).max(0) / mean + 1;
        let at = from.plus(mean.saturating_mul(ahead));
        let error_ns = self.deviation_ns.saturating_mul(ahead);
        Some(NextSlot { at, error_ns, ahead: ahead.unsigned_abs() })
    }
}
