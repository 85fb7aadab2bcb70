//! Captures of others into a recording: one frame a line, after its receive time in ns.
//!
//! Thread: any.  Invariants: a line that is none of these ends the import with its number; memory is bounded.

use std::io::{BufRead, Read};

use super::writer::Writer;
use super::{PAYLOAD_BYTES_MAX, RecordingError};
use crate::types::Time;

/// What a stream recorder of others writes amid the stream's own frames.
const SNAPSHOT: &[u8] = b"{\"lastUpdateId\"";
const SNAPSHOT_SOURCE: &str = "binance_rest:/api/v3/depth";
/// Digits of a receive time, and the space after it.
const STAMP_BYTES_MAX: usize = 24;

/// Why a capture was not taken over.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read.
    #[error("line {line}: {why}")]
    Io {
        /// Which line, from 1.
        line: u64,
        /// The system's word.
        why: std::io::Error,
    },
    /// Not `<receive time, ns> <frame>`.
    #[error("line {line}: a receive time in ns, a space and a frame are expected")]
    Shape {
        /// Which line, from 1.
        line: u64,
    },
    /// The recording cannot be written.
    #[error(transparent)]
    Write(#[from] RecordingError),
}

/// Takes every line `<receive time, ns> <frame>` over as a record of `source`. A REST depth snapshot amid Binance's
/// stream frames is recorded as what it is. Output: records written.
pub fn import_lines(mut input: impl BufRead, source: &str, writer: &mut Writer) -> Result<u64, ImportError> {
    let (mut text, mut records) = (Vec::new(), 0);
    for line in 1_u64.. {
        text.clear();
        let bound = (PAYLOAD_BYTES_MAX + STAMP_BYTES_MAX) as u64;
        let read = input.by_ref().take(bound).read_until(b'\n', &mut text);
        if read.map_err(|why| ImportError::Io { line, why })? == 0 {
            break;
        }
        let text = text.trim_ascii_end();
        if text.is_empty() {
            continue;
        }
        let (recv, frame) = stamped(text).ok_or(ImportError::Shape { line })?;
        let is_snapshot = source.starts_with("binance_stream") && frame.starts_with(SNAPSHOT);
        writer.put(recv, if is_snapshot { SNAPSHOT_SOURCE } else { source }, frame)?;
        records += 1;
    }
    Ok(records)
}

fn stamped(text: &[u8]) -> Option<(Time, &[u8])> {
    let digits = text.iter().take(STAMP_BYTES_MAX).take_while(|byte| byte.is_ascii_digit()).count();
    let (stamp, frame) = (text.get(..digits)?, text.get(digits..)?.strip_prefix(b" ")?);
    let recv = std::str::from_utf8(stamp).ok()?.parse().ok()?;
    Some((Time(recv), frame))
}
