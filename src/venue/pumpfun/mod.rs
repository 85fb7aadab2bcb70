//! pump.fun's 24 h volume from a configured address: a rolling number, compared with our own reading of 24 h ago.
//!
//! Thread: any.  Invariants: readings rise in time and are bounded; without a reading of 24 h ago (within 15 minutes)
//! there is no ratio, so a fresh start confirms nothing for a day unless earlier readings are handed back.

use std::collections::{BTreeMap, VecDeque};

use serde_json::value::RawValue;

use super::DecodeError;
use super::usd::{syntax_at, usd_in};
use crate::types::event::{SourceReason, SourceState, VolumeDefinition, VolumeSample};
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
/// Steps a pointer may have.
const POINTER_STEPS_MAX: usize = 16;

/// Why a JSON pointer cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// RFC 6901: empty, or each step after a slash.
    #[error("a JSON pointer starts with `/` (or is empty for the whole body), like `/24h/volumeUSD`")]
    NoSlash,
    /// Nobody nests that deep.
    #[error("a JSON pointer of more than {POINTER_STEPS_MAX} steps")]
    TooDeep,
}

/// One reading of the rolling number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// When it was read.
    pub at: Time,
    /// The number, USD.
    pub usd: Notional,
}

/// How the last attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Read,
    Down,
    Missing,
    Suspect,
}

/// Reads the number, remembers it for a day, says what it is worth.
#[derive(Clone, Debug)]
pub struct Reader {
    steps: Vec<String>,
    stale_ns: i64,
    health: Health,
    latest: Option<Reading>,
    /// When the number last changed.
    changed: Time,
    /// At least [`SPACING_NS`] apart, oldest first.
    kept: VecDeque<Reading>,
}

impl Reader {
    /// Nothing read yet; `stale_ns` = how old the newest reading may be.
    pub fn new(pointer: &str, stale_ns: i64) -> Result<Reader, PointerError> {
        let steps = steps_of(pointer)?;
        let kept = VecDeque::with_capacity(READINGS_MAX + 1);
        Ok(Reader { steps, stale_ns, health: Health::Down, latest: None, changed: Time::NONE, kept })
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

    /// Takes a body that came with status 200; the number in it.
    ///
    /// Errors: [`DecodeError`]: what is not JSON makes the source down, a value that is absent, null or zero makes it
    /// missing, one that is no number or negative makes it suspect, until the next good body.
    pub fn on_body(&mut self, body: &[u8], now: Time) -> Result<Notional, DecodeError> {
        let read = at_pointer(body, &self.steps).and_then(|value| match usd_in(body, value)? {
            Some(usd) if usd.0 < 0 => Err(DecodeError::Contradiction { name: "volume" }),
            Some(usd) if usd.0 > 0 => Ok(usd),
            _ => Err(DecodeError::Missing { name: "volume" }),
        });
        self.health = match read {
            Ok(_) => Health::Read,
            Err(DecodeError::Missing { .. }) => Health::Missing,
            Err(DecodeError::BadNumber { .. } | DecodeError::Contradiction { .. }) => Health::Suspect,
            Err(_) => Health::Down,
        };
        let usd = read?;
        if self.latest.is_none_or(|latest| now > latest.at) {
            self.keep(Reading { at: now, usd });
        }
        Ok(usd)
    }

    /// The request failed, or the answer was not 200.
    pub fn on_failed(&mut self) {
        self.health = Health::Down;
    }

    /// What the source says at `now`.
    pub fn sample(&self, now: Time) -> VolumeSample {
        let older = self.latest.and_then(|latest| self.reading_near(latest.at.plus(-NANOS_PER_DAY)));
        let state = match (self.health, self.latest, older) {
            (Health::Down, ..) => SourceState::Down,
            (Health::Suspect, ..) => SourceState::Suspect,
            (Health::Missing, ..) | (Health::Read, None, _) => SourceState::Missing,
            (Health::Read, Some(latest), _) if now.since(latest.at) > self.stale_ns => SourceState::Stale,
            (Health::Read, Some(_), None) => SourceState::Missing,
            (Health::Read, Some(latest), _) if latest.at.since(self.changed) >= FROZEN_NS => SourceState::Filled,
            (Health::Read, Some(latest), Some(older)) if latest.usd == older.usd => SourceState::Filled,
            (Health::Read, Some(_), Some(_)) => SourceState::Ok,
        };
        VolumeSample {
            definition: VolumeDefinition::Sampled24,
            state,
            now: self.latest.map_or(Notional::ZERO, |latest| latest.usd),
            prev: older.map_or(Notional::ZERO, |older| older.usd),
            reason: SourceReason::None,
            bucket_end: self.latest.map_or(Time::NONE, |latest| latest.at),
            as_of: self.latest.map_or(Time::NONE, |latest| latest.at),
            ..VolumeSample::UNREAD
        }
    }

    /// Time until the readings reach back a day; 0 = they do. A hole in them may still leave a moment without a ratio.
    pub fn warm_up_ns(&self, now: Time) -> i64 {
        let reach = self.kept.front().map_or(0, |oldest| now.since(oldest.at));
        (NANOS_PER_DAY - TOLERANCE_NS - reach).max(0)
    }

    fn keep(&mut self, reading: Reading) {
        if self.latest.is_none_or(|latest| latest.usd != reading.usd) {
            self.changed = reading.at;
        }
        self.latest = Some(reading);
        if self.kept.back().is_none_or(|last| reading.at.since(last.at) >= SPACING_NS) {
            self.kept.push_back(reading);
        }
        if self.kept.len() > READINGS_MAX {
            self.kept.pop_front();
        }
    }

    /// The reading nearest to `at`, within [`TOLERANCE_NS`].
    fn reading_near(&self, at: Time) -> Option<Reading> {
        let distance = |reading: &Reading| reading.at.since(at).abs();
        let nearest = self.kept.iter().min_by_key(|reading| distance(reading))?;
        (distance(nearest) <= TOLERANCE_NS).then_some(*nearest)
    }
}

/// The steps of an RFC 6901 pointer.
fn steps_of(pointer: &str) -> Result<Vec<String>, PointerError> {
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let rest = pointer.strip_prefix('/').ok_or(PointerError::NoSlash)?;
    let steps: Vec<String> = rest.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    if steps.len() > POINTER_STEPS_MAX { Err(PointerError::TooDeep) } else { Ok(steps) }
}

/// The value that the steps lead to.
fn at_pointer<'a>(body: &'a [u8], steps: &[String]) -> Result<&'a RawValue, DecodeError> {
    let mut here: &RawValue = serde_json::from_slice(body).map_err(|error| syntax_at(body, &error))?;
    for step in steps {
        here = child(here, step).ok_or(DecodeError::Missing { name: "volume" })?;
    }
    Ok(here)
}

/// A member of an object or an item of an array.
fn child<'a>(value: &'a RawValue, step: &str) -> Option<&'a RawValue> {
    match value.get().as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(value.get()).ok()?;
            members.get(step).copied()
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
            items.get(step.parse::<usize>().ok()?).copied()
        }
        _ => None,
    }
}
