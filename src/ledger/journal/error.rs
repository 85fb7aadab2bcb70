//! What can be wrong with a journal, in words that name the file and the byte.
//!
//! Thread: any.  Invariants: nothing was changed by whoever reports one of these; `record` counts from 1 within its
//! file, 0 = the header.

use std::path::{Path, PathBuf};

/// Why a journal cannot be read on, or not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The system refused.
    #[error("{}: cannot {what}: {why}", .path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// The system's word.
        why: String,
    },
    /// The disk has no room for what comes next; what was given so far is safe.
    #[error("{}: no room to go on: {why}; {ahead} bytes are set aside and entries stay paused until there is room and `resume`", .path.display())]
    Full {
        /// The segment.
        path: PathBuf,
        /// The system's word.
        why: String,
        /// Bytes that can still be written.
        ahead: u64,
    },
    /// No segment there.
    #[error("{}: no journal here: no file *.svj", .path.display())]
    Empty {
        /// Where they were looked for.
        path: PathBuf,
    },
    /// Not one of ours.
    #[error("{}: not a journal segment: its first bytes are not ours", .path.display())]
    Alien {
        /// The file.
        path: PathBuf,
    },
    /// Written in other words than ours.
    #[error("{}: written with format {found}, this program reads {known}; use the program that wrote it", .path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// Format and schema number in its header.
        found: String,
        /// Ours.
        known: String,
    },
    /// Bytes are not what was written.
    #[error("{}: damaged at byte {byte}, record {record}: {what}; nothing was changed", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damaged part begins.
        byte: u64,
        /// Which record.
        record: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Whole files are missing, changed or in another order.
    #[error("{}: the chain is broken: {what}", .path.display())]
    Chain {
        /// The file that does not follow.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Events are missing although nothing says that they were lost.
    #[error("{}: hole at byte {byte}, record {record}: expected event {expected}, found {found}", .path.display())]
    Hole {
        /// The file.
        path: PathBuf,
        /// Where the record begins.
        byte: u64,
        /// Which record.
        record: u64,
        /// Number that should come.
        expected: u64,
        /// Number that came.
        found: u64,
    },
}

impl JournalError {
    pub(super) fn io(path: &Path, what: &'static str) -> impl FnOnce(std::io::Error) -> JournalError {
        let path = path.to_owned();
        move |why| JournalError::Io { path, what, why: why.to_string() }
    }
}
