//! CoinGecko: 24 h volume of a category of coins, compared with our own reading of 24 h ago.
//!
//! Thread: any.  Invariants: a reading is as old as the provider says, never as young as our request; a time that falls
//! back or lies ahead is not believed.  Source: `volume-feeds` fact sheet, section 8. It counts the trades of listed coins
//! on all venues, another quantity than pump.fun's: it confirms, it does not trigger.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::DecodeError;
use super::sampled::{Reading, Sampled};
use super::usd::{syntax_at, usd_in};
use super::utc::rfc3339;
use crate::types::event::{SourceReason, SourceState, VolumeSample};
use crate::types::time::NANOS_PER_SEC;
use crate::types::{Notional, Time};

/// Path of the category list, below the base address.
pub const CATEGORIES_PATH: &str = "/coins/categories?order=market_cap_desc";
/// Category that is read unless another one is configured.
pub const CATEGORY: &str = "solana-meme-coins";
/// Age of the provider's own time from which a value is not used.
pub const UPDATED_NS_MAX: i64 = 30 * 60 * NANOS_PER_SEC;
/// How far ahead of our clock the provider's may be.
const AHEAD_NS_MAX: i64 = 120 * NANOS_PER_SEC;
/// Categories in a body; the list has a few hundred.
const CATEGORIES_MAX: usize = 10_000;

#[derive(Deserialize)]
struct RawCategory<'a> {
    id: Option<String>,
    #[serde(borrow)]
    volume_24h: Option<&'a RawValue>,
    updated_at: Option<String>,
}

/// Reads the number, remembers it for two days, says what it is worth.
#[derive(Clone, Debug)]
pub struct Reader {
    category: String,
    sampled: Sampled,
}

impl Reader {
    /// Nothing read yet.
    pub fn new(category: &str) -> Reader {
        Reader { category: category.to_owned(), sampled: Sampled::new(UPDATED_NS_MAX) }
    }

    /// Hands back the readings of an earlier run, oldest first.
    pub fn restore(&mut self, readings: impl IntoIterator<Item = Reading>) {
        self.sampled.restore(readings);
    }

    /// The readings to keep over a restart, oldest first.
    pub fn readings(&self) -> impl Iterator<Item = Reading> + '_ {
        self.sampled.readings()
    }

    /// Takes a body that came with status 200; the number in it.
    ///
    /// Errors: [`DecodeError`]: what is not the list makes the source down, a category or value that is absent, null or
    /// zero makes it missing, a value that is no amount or a time that cannot be makes it suspect, until the next good body.
    pub fn on_body(&mut self, body: &[u8], now: Time) -> Result<Notional, DecodeError> {
        match self.read(body, now) {
            Ok(reading) => {
                self.sampled.take(reading);
                Ok(reading.usd)
            }
            Err(error) => {
                self.sampled.fail_by(&error);
                Err(error)
            }
        }
    }

    fn read(&self, body: &[u8], now: Time) -> Result<Reading, DecodeError> {
        let listed: Vec<RawCategory> = serde_json::from_slice(body).map_err(|error| syntax_at(body, &error))?;
        let mut named = listed.iter().take(CATEGORIES_MAX).filter(|entry| entry.id.as_deref() == Some(&*self.category));
        let entry = named.next().ok_or(DecodeError::Missing { name: "category" })?;
        if named.next().is_some() {
            return Err(DecodeError::Contradiction { name: "id" });
        }
        let usd = match entry.volume_24h.map_or(Ok(None), |value| usd_in(body, value))? {
            Some(usd) if usd.0 < 0 => return Err(DecodeError::Contradiction { name: "volume_24h" }),
            Some(usd) if usd.0 > 0 => usd,
            _ => return Err(DecodeError::Missing { name: "volume_24h" }),
        };
        let updated = entry.updated_at.as_deref().ok_or(DecodeError::Missing { name: "updated_at" })?;
        let at = rfc3339(updated).ok_or(DecodeError::Contradiction { name: "updated_at" })?;
        if at.since(now) > AHEAD_NS_MAX {
            return Err(DecodeError::Contradiction { name: "updated_at" });
        }
        Ok(Reading { at: at.min(now), usd })
    }

    /// The request failed, or the answer was not 200.
    pub fn on_failed(&mut self, reason: SourceReason) {
        self.sampled.fail(SourceState::Down, reason);
    }

    /// What the source says at `now`.
    pub fn sample(&self, now: Time) -> VolumeSample {
        self.sampled.sample(now)
    }

    /// Time until the readings reach back a day; 0 = they do.
    pub fn warm_up_ns(&self, now: Time) -> i64 {
        self.sampled.warm_up_ns(now)
    }
}
