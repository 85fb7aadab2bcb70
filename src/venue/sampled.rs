//! A provider's rolling 24 h volume against our own reading of the same number 24 h ago.
//!
//! Thread: any.  Invariants: readings rise in time and are bounded; a reading that no market explains is never kept, so it
//! is neither told nor compared with a day later; without a reading of 24 h ago (within 15 minutes) there is no ratio, so
//! a fresh start confirms nothing for a day unless earlier readings are handed back.

use std::collections::VecDeque;

use super::DecodeError;
use crate::types::event::{SourceReason, SourceState, VolumeDefinition, VolumeSample};
use crate::types::pace::Anchor;
use crate::types::time::{NANOS_PER_DAY, NANOS_PER_SEC};
use crate::types::{Notional, Time};

const MINUTE_NS: i64 = 60 * NANOS_PER_SEC;
/// Kept readings are at least this far apart.
pub const SPACING_NS: i64 = 5 * MINUTE_NS;
/// Readings kept: 49 hours.
pub const READINGS_MAX: usize = 49 * 12;
/// How far from exactly 24 h ago the older reading may lie.
const TOLERANCE_NS: i64 = 15 * MINUTE_NS;
/// A number that stands still for this long is a provider that stands still.
const FROZEN_NS: i64 = 30 * MINUTE_NS;

/// One reading of the rolling number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// When it was true: by the provider's word, else when it was read.
    pub at: Time,
    /// The number, USD.
    pub usd: Notional,
}

/// Remembers the number for two days, says what it is worth.
#[derive(Clone, Debug)]
pub struct Sampled {
    stale_ns: i64,
    /// What is wrong with the newest answer.
    fault: Option<(SourceState, SourceReason)>,
    latest: Option<Reading>,
    /// When the believed number last changed.
    changed: Time,
    /// What the next readings are measured by.
    anchor: Option<Anchor>,
    /// The number told last, believed or not, and since when it stands.
    stands: Option<Reading>,
    /// At least [`SPACING_NS`] apart, oldest first.
    kept: VecDeque<Reading>,
}

impl Sampled {
    /// Nothing read yet; `stale_ns` = how old the newest reading may be.
    pub fn new(stale_ns: i64) -> Sampled {
        let unread = Some((SourceState::Down, SourceReason::Unread));
        let kept = VecDeque::with_capacity(READINGS_MAX + 1);
        Sampled { stale_ns, fault: unread, latest: None, changed: Time::NONE, anchor: None, stands: None, kept }
    }

    /// Hands back the readings of an earlier run; those out of order or not positive are left out.
    pub fn restore(&mut self, readings: impl IntoIterator<Item = Reading>) {
        for reading in readings {
            let is_newer = self.latest.is_none_or(|latest| reading.at > latest.at);
            if is_newer && reading.usd.0 > 0 {
                self.keep(reading);
            }
        }
    }

    /// The readings to keep over a restart, oldest first.
    pub fn readings(&self) -> impl Iterator<Item = Reading> + '_ {
        self.kept.iter().copied()
    }

    /// Newest reading that was believed.
    pub fn latest(&self) -> Option<Reading> {
        self.latest
    }

    /// Takes a positive reading. One that repeats an older time is replayed; one that is further from the believed ones
    /// than a rolling day moves in the time since is no market's: neither is kept.
    pub fn take(&mut self, reading: Reading) {
        if self.stands.is_none_or(|stands| stands.usd != reading.usd) {
            self.stands = Some(reading);
        }
        self.fault = match self.latest {
            Some(latest) if reading.at < latest.at => Some((SourceState::Stale, SourceReason::Repeated)),
            _ if self.anchor.is_some_and(|anchor| anchor.is_outrun(reading.usd, reading.at)) => {
                Some((SourceState::Suspect, SourceReason::Implausible))
            }
            _ => None,
        };
        if self.fault.is_none() && self.latest.is_none_or(|latest| reading.at > latest.at) {
            self.keep(reading);
        }
    }

    /// The newest answer was of no use; the state stands until the next good one.
    pub fn fail(&mut self, state: SourceState, reason: SourceReason) {
        self.fault = Some((state, reason));
    }

    /// The same, by what was wrong with the answer: what is no JSON makes the source down, a value that is absent makes it
    /// missing, one that cannot be makes it suspect.
    pub fn fail_by(&mut self, error: &DecodeError) {
        let (state, reason) = match error {
            DecodeError::Missing { .. } => (SourceState::Missing, SourceReason::NoValue),
            DecodeError::Contradiction { name: "id" | "updated_at" } => {
                (SourceState::Suspect, SourceReason::Contradiction)
            }
            DecodeError::BadNumber { .. } | DecodeError::Contradiction { .. } => {
                (SourceState::Suspect, SourceReason::Implausible)
            }
            _ => (SourceState::Down, SourceReason::Unreadable),
        };
        self.fail(state, reason);
    }

    /// What the source says at `now`. The newer window ends where the number last changed: it may be no younger. A number
    /// that was not believed at first is as old as its first telling.
    pub fn sample(&self, now: Time) -> VolumeSample {
        use {SourceReason as Why, SourceState as State};
        let older = self.latest.and_then(|latest| self.reading_near(latest.at.plus(-NANOS_PER_DAY)));
        let (state, reason) = match (self.fault, self.latest, older) {
            (Some(fault), ..) => fault,
            (None, None, _) => (State::Missing, Why::NoValue),
            (None, Some(latest), _) if now.since(latest.at) > self.stale_ns => (State::Stale, Why::TooOld),
            (None, Some(_), None) => (State::Missing, Why::WarmingUp),
            (None, Some(latest), _) if latest.at.since(self.stood()) >= FROZEN_NS => (State::Filled, Why::Repeated),
            (None, Some(latest), Some(older)) if latest.usd == older.usd => (State::Filled, Why::Repeated),
            (None, Some(_), Some(_)) => (State::Ok, Why::None),
        };
        VolumeSample {
            definition: VolumeDefinition::Sampled24,
            state,
            reason,
            now: self.latest.map_or(Notional::ZERO, |latest| latest.usd),
            prev: older.map_or(Notional::ZERO, |older| older.usd),
            bucket_end: self.stood(),
            as_of: self.latest.map_or(Time::NONE, |latest| latest.at),
            ..VolumeSample::UNREAD
        }
    }

    /// Time until the readings reach back a day; 0 = they do. A hole in them may still leave a moment without a ratio.
    pub fn warm_up_ns(&self, now: Time) -> i64 {
        let reach = self.kept.front().map_or(0, |oldest| now.since(oldest.at));
        (NANOS_PER_DAY - TOLERANCE_NS - reach).max(0)
    }

    /// Since when the believed number stands.
    fn stood(&self) -> Time {
        let is_latest = |stands: &Reading| self.latest.is_some_and(|latest| latest.usd == stands.usd);
        self.stands.filter(is_latest).map_or(self.changed, |stands| stands.at.min(self.changed))
    }

    fn keep(&mut self, reading: Reading) {
        if self.latest.is_none_or(|latest| latest.usd != reading.usd) {
            self.changed = reading.at;
        }
        self.anchor.get_or_insert(Anchor::new(reading.usd, reading.at)).follow(reading.usd, reading.at);
        self.latest = Some(reading);
        if self.kept.back().is_none_or(|last| reading.at.since(last.at) >= SPACING_NS) {
            self.kept.push_back(reading);
        }
        if self.kept.len() > READINGS_MAX {
            self.kept.pop_front();
        }
    }

    /// The median of the readings within [`TOLERANCE_NS`] of `at` (the lower one of two): one poll's spike is not
    /// remembered as a day's volume.
    fn reading_near(&self, at: Time) -> Option<Reading> {
        let is_near = |reading: &&Reading| reading.at.since(at).abs() <= TOLERANCE_NS;
        let mut near: Vec<Reading> = self.kept.iter().filter(is_near).copied().collect();
        near.sort_by_key(|reading| reading.usd);
        near.get(near.len().checked_sub(1)? / 2).copied()
    }
}
