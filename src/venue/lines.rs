//! Recorded frames, one a line, of any venue: the receive time before a frame, and what is wrong with a line.
//!
//! Thread: any.  Invariants: no line makes it panic.

use super::DecodeError;
use crate::types::Time;

/// Why a line could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineError {
    /// Byte of the line: where the fault is, or where the message begins if all of it is at fault.
    pub at: usize,
    /// What is wrong with the frame, its bytes counted from the start of the line.
    pub error: DecodeError,
}

impl LineError {
    /// A fault of the frame that begins at byte `from` of its line.
    pub fn new(error: DecodeError, from: usize) -> LineError {
        let error = error.shifted(from);
        LineError { at: error.at().unwrap_or(from), error }
    }
}

/// The receive time before a frame, and where the frame begins.
pub fn receive_time(line: &[u8]) -> (Option<Time>, usize) {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = line.get(..digits).and_then(|text| std::str::from_utf8(text).ok());
    match (text.and_then(|text| text.parse().ok()), line.get(digits)) {
        (Some(nanos), Some(b' ' | b'\t')) => (Some(Time(nanos)), digits + 1),
        _ => (None, 0),
    }
}
