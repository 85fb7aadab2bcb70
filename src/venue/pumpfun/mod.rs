//! pump.fun's 24 h volume from a configured address: a rolling number, compared with our own reading of 24 h ago.
//!
//! Thread: any.  Invariants: the number comes from its own text at one JSON pointer; what [`Sampled`] keeps.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::DecodeError;
use super::sampled::Sampled;
use super::usd::{syntax_at, usd_in};
use crate::types::event::{SourceReason, SourceState, VolumeSample};
use crate::types::{Notional, Time};

pub use super::sampled::{READINGS_MAX, Reading, SPACING_NS};

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

/// Reads the number, remembers it for two days, says what it is worth.
#[derive(Clone, Debug)]
pub struct Reader {
    steps: Vec<String>,
    sampled: Sampled,
}

impl Reader {
    /// Nothing read yet; `stale_ns` = how old the newest reading may be.
    pub fn new(pointer: &str, stale_ns: i64) -> Result<Reader, PointerError> {
        Ok(Reader { steps: steps_of(pointer)?, sampled: Sampled::new(stale_ns) })
    }

    /// Hands back the readings of an earlier run; those out of order or not positive are left out.
    pub fn restore(&mut self, readings: impl IntoIterator<Item = Reading>) {
        self.sampled.restore(readings);
    }

    /// The readings to keep over a restart, oldest first.
    pub fn readings(&self) -> impl Iterator<Item = Reading> + '_ {
        self.sampled.readings()
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
        match &read {
            Ok(usd) => self.sampled.take(Reading { at: now, usd: *usd }),
            Err(error) => self.sampled.fail_by(error),
        }
        read
    }

    /// The request failed, or the answer was not 200.
    pub fn on_failed(&mut self, reason: SourceReason) {
        self.sampled.fail(SourceState::Down, reason);
    }

    /// What the source says at `now`.
    pub fn sample(&self, now: Time) -> VolumeSample {
        self.sampled.sample(now)
    }

    /// Time until the readings reach back a day; 0 = they do. A hole in them may still leave a moment without a ratio.
    pub fn warm_up_ns(&self, now: Time) -> i64 {
        self.sampled.warm_up_ns(now)
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
