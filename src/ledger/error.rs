//! What can go wrong with the ledger, in words that let the operator mend it.
//!
//! Thread: any.  Invariants: a text names the file, what happened and what to do; nothing was overwritten.

use std::path::{Path, PathBuf};

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The data directory cannot be made or written.
    #[error("data directory {}: {why}; give a writable directory in storage.data_dir or with --data-dir", .path.display())]
    Dir {
        /// The directory.
        path: PathBuf,
        /// The system's word.
        why: String,
    },
    /// The database cannot be opened for writing.
    #[error("{}: cannot be opened for writing: {why}; check owner, mode and free space of its directory", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// SQLite's word.
        why: String,
    },
    /// Not a database, or one with holes.
    #[error("{}: damaged: {why}; nothing was changed. Restore a copy of it, or move it away together with its -wal and -shm files: a start without it begins a new ledger and asks the venue what is open", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's word.
        why: String,
    },
    /// Written by another version of this program.
    #[error("{}: schema version {found}, this program knows {known}; nothing was changed. Use the program that wrote it, or another data directory", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: i64,
        /// What we write.
        known: i64,
    },
    /// A transaction failed; its rows are kept in memory.
    #[error("{}: cannot be written: {why}; the rows are kept in memory and retried, entries stay paused until it works", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// SQLite's word.
        why: String,
    },
    /// A query failed.
    #[error("{}: cannot be read: {why}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// SQLite's word.
        why: String,
    },
    /// A value that we never wrote so.
    #[error("{}: holds a value this program cannot read: {what}; nothing was changed", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Table, column, value.
        what: String,
    },
    /// A CSV file could not be written.
    #[error("{}: cannot be written: {why}; the rows stay in the database and the file is tried again", .path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// The system's word.
        why: String,
    },
    /// Holds the other mode's trading.
    #[error("{}: holds {found} trading, this run is {asked}: a position on paper must never be sold for real. Give each mode its own directory in storage.data_dir or with --data-dir", .path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Mode of the runs before.
        found: String,
        /// Mode of this run.
        asked: &'static str,
    },
    /// The run numbers are used up.
    #[error("the run number has reached its maximum; use another data directory")]
    Epochs,
}

impl LedgerError {
    pub(super) fn write(path: &Path, why: rusqlite::Error) -> LedgerError {
        LedgerError::Write { path: path.to_owned(), why: why.to_string() }
    }
    pub(super) fn read(path: &Path, why: rusqlite::Error) -> LedgerError {
        LedgerError::Read { path: path.to_owned(), why: why.to_string() }
    }
}
