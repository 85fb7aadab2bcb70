//! The signal: volume, RSI, price band → ENTER, EXIT or NO-OP with every rule's value.
//!
//! Thread: any.  Invariants: as of `engine`.

pub mod rsi;
pub mod volume;
