//! The fields of one JSON object by name, each as its own text, so that no number ever goes through a float.
//!
//! Thread: any.  Invariants: an object of any shape gives fields or a [`SampleError`] that names what is wrong; a field
//! that nobody asks for is stepped over; one that is there twice is refused, because nobody can say which one is meant.

use std::str;

use super::instant;
use crate::types::units::parse_decimal;
use crate::types::{Notional, Price, Qty, Time};
use crate::venue::DecodeError;
use crate::venue::scan::Scanner;
use crate::venue::usd::parse_usd;

/// Longest message looked at; a sample has 200 bytes.
pub const PAYLOAD_BYTES_MAX: usize = 4_096;

/// Why a message is no sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// Not one JSON object.
    #[error("not one JSON object: {0}")]
    Frame(DecodeError),
    /// A field that the sample cannot do without.
    #[error("field `{field}` is missing")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A field that is not what it must be.
    #[error("field `{field}` at byte {at} is not what it must be")]
    Bad {
        /// Its name.
        field: &'static str,
        /// Where its value begins.
        at: usize,
    },
    /// A field that is there more than once.
    #[error("field `{field}` is there twice")]
    Twice {
        /// Its name.
        field: &'static str,
    },
    /// Well-formed, but contradicts the other fields.
    #[error("field `{field}` contradicts the rest of the sample")]
    Contradiction {
        /// Its name.
        field: &'static str,
    },
}

/// The values of `N` named fields of one object.
pub(super) struct Fields<'a, const N: usize> {
    body: &'a [u8],
    names: [&'static str; N],
    /// First byte of each value and the byte behind it.
    found: [Option<(usize, usize)>; N],
}

impl<'a, const N: usize> Fields<'a, N> {
    /// Looks for these names in `body`, which must be one object.
    pub fn of(body: &'a [u8], names: [&'static str; N]) -> Result<Fields<'a, N>, SampleError> {
        if body.len() > PAYLOAD_BYTES_MAX {
            return Err(SampleError::Frame(DecodeError::TooLong { got: body.len() }));
        }
        let mut found = [None; N];
        let mut twice = None;
        let mut scan = Scanner::new(body);
        let walked = scan.object(|scan, key| {
            scan.peek()?;
            let from = scan.at();
            scan.skip()?;
            for (name, place) in names.iter().zip(found.iter_mut()).filter(|(name, _)| name.as_bytes() == key) {
                twice = place.replace((from, scan.at())).map(|_| *name).or(twice);
            }
            Ok(())
        });
        walked.and_then(|()| scan.end()).map_err(SampleError::Frame)?;
        match twice {
            Some(field) => Err(SampleError::Twice { field }),
            None => Ok(Fields { body, names, found }),
        }
    }

    fn place(&self, field: &str) -> Option<(usize, usize)> {
        let at = self.names.iter().position(|name| *name == field)?;
        self.found.get(at).copied().flatten()
    }

    /// What is wrong with a field that is there.
    pub fn bad(&self, field: &'static str) -> SampleError {
        SampleError::Bad { field, at: self.place(field).map_or(0, |(from, _)| from) }
    }

    /// Whether the field is there, with a value.
    pub fn has(&self, field: &str) -> bool {
        self.place(field).is_some_and(|(from, to)| self.body.get(from..to) != Some(b"null"))
    }

    /// The value as it stands, quotes included.
    fn raw(&self, field: &'static str) -> Result<&'a str, SampleError> {
        let (from, to) = self.place(field).filter(|_| self.has(field)).ok_or(SampleError::Missing { field })?;
        self.body.get(from..to).and_then(|bytes| str::from_utf8(bytes).ok()).ok_or_else(|| self.bad(field))
    }

    /// The text of a string or of a bare number; none of the texts that a sample holds needs an escape.
    pub fn text(&self, field: &'static str) -> Result<&'a str, SampleError> {
        let raw = self.raw(field)?;
        let text = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(raw);
        if text.contains(['"', '\\', '{', '[']) { Err(self.bad(field)) } else { Ok(text) }
    }

    /// One of a few words.
    pub fn word<T: Copy>(&self, field: &'static str, words: &[(&str, T)]) -> Result<T, SampleError> {
        let text = self.text(field)?;
        words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| self.bad(field))
    }

    fn decimal(&self, field: &'static str, decimals: u32) -> Result<i64, SampleError> {
        let value = parse_decimal(self.text(field)?.as_bytes(), decimals).ok();
        value.filter(|value| *value >= 0).ok_or_else(|| self.bad(field))
    }

    /// A whole number that is not negative.
    pub fn whole(&self, field: &'static str) -> Result<i64, SampleError> {
        self.decimal(field, 0)
    }
    /// A whole number as slots and update numbers are.
    pub fn count(&self, field: &'static str) -> Result<u64, SampleError> {
        self.whole(field).map(i64::unsigned_abs)
    }
    /// A price, exact or refused.
    pub fn price(&self, field: &'static str) -> Result<Price, SampleError> {
        self.decimal(field, 8).map(Price)
    }
    /// A size, exact or refused.
    pub fn qty(&self, field: &'static str) -> Result<Qty, SampleError> {
        self.decimal(field, 9).map(Qty)
    }
    /// An instant: RFC 3339 or whole nanoseconds.
    pub fn time(&self, field: &'static str) -> Result<Time, SampleError> {
        instant::parse(self.text(field)?).ok_or_else(|| self.bad(field))
    }
    /// A volume: whole digits exactly, decimals beyond 1e-8 cut; never negative.
    pub fn volume(&self, field: &'static str) -> Result<Notional, SampleError> {
        let value = parse_usd(self.raw(field)?).ok();
        value.filter(|value| value.0 >= 0).ok_or_else(|| self.bad(field))
    }
    /// A volume in coins; zero where it is not known.
    pub fn coins(&self, field: &'static str) -> Result<Qty, SampleError> {
        if !self.has(field) {
            return Ok(Qty::ZERO);
        }
        self.volume(field)?.0.checked_mul(10).map(Qty).ok_or_else(|| self.bad(field))
    }
}
