//! What can be wrong with a recording, in words that name the file and the byte.
//!
//! Thread: any.  Invariants: nothing was changed by whoever reports one of these; `record` counts from 1 within its file.

use std::path::{Path, PathBuf};

/// Why a recording cannot be read on, or not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
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
    /// No file there.
    #[error("{}: no recording here: no file *.svr.gz", .path.display())]
    Empty {
        /// Where they were looked for.
        path: PathBuf,
    },
    /// Not one of ours.
    #[error("{}: not a recording: it does not begin with our line", .path.display())]
    Alien {
        /// The file.
        path: PathBuf,
    },
    /// Written in a later format.
    #[error("{}: a recording of format {found}, this program reads 1; use the program that wrote it", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Bytes are not what was written.
    #[error("{}: damaged in the part that begins at byte {byte}, record {record}: {what}; nothing was changed", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damaged gzip member begins.
        byte: u64,
        /// The record that could not be read.
        record: u64,
        /// What is wrong.
        what: &'static str,
    },
}

impl RecordingError {
    pub(super) fn io(path: &Path, what: &'static str) -> impl FnOnce(std::io::Error) -> RecordingError {
        let path = path.to_owned();
        move |why| RecordingError::Io { path, what, why: why.to_string() }
    }
}
