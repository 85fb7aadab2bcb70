//! The journal: all that the engine saw and asked for, in that order, so that a replay repeats the day.
//!
//! Thread: cold writes; any reads.  Invariants: append only; what is on disk is never changed, but for the torn last
//! record that a sudden end left, which is cut back with a message; what is missing is said ([`Entry::Lost`]); a reader
//! names any flipped bit by file, byte and record, and any missing, changed or reordered file.
//!
//! # Files
//!
//! `journal/<epoch>-<number>.svj`, ten and six digits, so names sort by time. A run begins segment 1; the next one
//! begins at [`SEGMENT_BYTES`]. All integers are little-endian.
//!
//! | part | bytes |
//! |---|---|
//! | header | magic `\x89SVJ\r\n\x1a\n`, format u16, schema u32, epoch u32, number u32, first event u64, begun i64 (ns UTC), SHA-256 of the file before it \[32], CRC-32C u32 |
//! | record | payload length u16, kind u8, guard u8, payload, CRC-32C of all before it in the record u32 |
//! | seal | the last record, kind 255: records before it u64, SHA-256 of all bytes before it \[32] |
//!
//! Kinds: 1 `Start`, 2 `Event`, 3 `Command`, 4 `Wire`, 5 `Lost`. Payloads are hand-written tables of fixed widths
//! (`schema`): against `postcard`, 74 bytes an event for 59, but 4 ns to read one for 62, and 39 to write one for 84
//! (CPU time, a mix of quotes, depths and trades). The CRC costs 10 ns more, the hash 45. The schema number is the CRC-32C of the
//! tables' own text, so a changed table is a changed number, and a journal in other words is refused, never misread.
//!
//! # What a sudden end may lose
//!
//! The cold agent writes what it was told once a turn and asks for it on disk (`fdatasync`) once a second. SIGKILL loses
//! what was still in rings and in that turn's buffer; a power cut the last second too. Neither touches money: orders are
//! known by their epoch, and the venue is asked at the next start.
//!
//! # A full disk
//!
//! [`AHEAD_BYTES`] are always set aside for the open segment. When the next ones cannot be had, or the disk has less than
//! [`FREE_BYTES_MIN`] beside them, [`Writer::flush`] says [`JournalError::Full`] and entries halt: the rest of the reserve, and then memory, still take everything. Only when
//! both are used up are market events dropped, money last, and an [`Entry::Lost`] stands where they are missing.

mod code;
mod digest;
mod entry;
mod error;
mod folder;
mod frame;
mod mend;
mod reader;
mod scan;
mod schema;
mod segment;
mod writer;

pub use error::JournalError;
pub use folder::{Run, runs};
pub use mend::Finding;
pub use reader::{Place, Reader, Torn};
pub use schema::number as schema_number;
pub use writer::{Writer, WriterSettings};

use crate::types::note::{Lost, WireNote};
use crate::types::setup::Setup;
use crate::types::{Command, Event};

/// Name of the folder below the data directory.
pub const JOURNAL_DIR: &str = "journal";
/// A segment is closed once it has these many bytes: about 800 000 events. The next start reads the last one whole.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// Disk space set aside for the open segment.
pub const AHEAD_BYTES: u64 = 4 << 20;
/// A disk with less than this free counts as full, looked at once a second: others write to it too.
pub const FREE_BYTES_MIN: u64 = 1 << 20;

/// What the journal holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A run begins; what its engine starts from.
    Start(Box<Setup>),
    /// The engine saw this; `seq` counts from 1 in each run.
    Event(Event),
    /// The engine asked for this; it follows the event that led to it.
    Command(Command),
    /// What a connection did. In its thread's own order: it may stand a little before or after the event it belongs to.
    Wire(WireNote),
    /// Here something is missing: no replay can be verified beyond this.
    Lost(Lost),
}
