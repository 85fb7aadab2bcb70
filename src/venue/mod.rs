//! Venue protocols, pure and sans-IO: bytes and timers in, bytes and events out.
//!
//! Thread: any.  Invariants: no clock, socket, file, thread, lock or random source; no input makes a decoder panic:
//! what is wrong with a frame is a [`DecodeError`] with its byte.
#![deny(clippy::float_arithmetic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

pub mod binance_spot;
pub mod defillama;
pub mod dex;
mod digits;
pub mod jupiter;
pub mod manifest;
pub mod pumpfun;
pub mod scan;
pub mod solana;
pub mod usd;

/// Why a frame could not become an event. `at` counts bytes from the start of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than any frame of the venue.
    #[error("frame of {got} bytes is longer than the venue ever sends")]
    TooLong {
        /// Its length.
        got: usize,
    },
    /// Ends in the middle.
    #[error("frame ends at byte {at} in the middle of a value")]
    Truncated {
        /// Its length.
        at: usize,
    },
    /// Not the JSON that was expected there.
    #[error("unexpected byte at {at}")]
    Syntax {
        /// Offset of the byte.
        at: usize,
    },
    /// A number that is none, or does not fit its unit.
    #[error("bad number at byte {at}")]
    BadNumber {
        /// Offset of the number.
        at: usize,
    },
    /// A field that the message cannot do without.
    #[error("field `{name}` is missing")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// A word that the venue's documents do not list.
    #[error("unknown word at byte {at}")]
    UnknownWord {
        /// Offset of the word.
        at: usize,
    },
    /// Well-formed, but contradicts itself (a crossed book, a fall of an ever-rising number).
    #[error("`{name}` contradicts the rest of the message")]
    Contradiction {
        /// The field.
        name: &'static str,
    },
}

impl DecodeError {
    /// The same fault, counted from `bytes` before the frame: where the frame stands in a longer text.
    pub fn shifted(self, bytes: usize) -> DecodeError {
        match self {
            DecodeError::Truncated { at } => DecodeError::Truncated { at: at + bytes },
            DecodeError::Syntax { at } => DecodeError::Syntax { at: at + bytes },
            DecodeError::BadNumber { at } => DecodeError::BadNumber { at: at + bytes },
            DecodeError::UnknownWord { at } => DecodeError::UnknownWord { at: at + bytes },
            whole @ (DecodeError::TooLong { .. } | DecodeError::Missing { .. } | DecodeError::Contradiction { .. }) => {
                whole
            }
        }
    }
    /// Offset of the faulty byte; `None` if the message as a whole is at fault.
    pub fn at(&self) -> Option<usize> {
        match *self {
            DecodeError::TooLong { got } => Some(got),
            DecodeError::Truncated { at }
            | DecodeError::Syntax { at }
            | DecodeError::BadNumber { at }
            | DecodeError::UnknownWord { at } => Some(at),
            DecodeError::Missing { .. } | DecodeError::Contradiction { .. } => None,
        }
    }
}
