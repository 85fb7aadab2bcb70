//! What an earlier run left: its last segment is ended, so that the chain goes on from it.
//!
//! Thread: main, before the threads start.  Invariants: only a torn end is cut, and it is told; a damaged file is left
//! as it is, and the chain goes on from its bytes as they are.

use super::digest::Digest;
use super::error::JournalError;
use super::folder;
use super::reader::Torn;
use super::scan::Scan;
use super::segment::Segment;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// What there is to tell of the journal as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A torn last record was cut off.
    Cut(Torn),
    /// A file is damaged, and left so.
    Damaged(JournalError),
    /// Segments older than they are kept for were removed.
    Removed(usize),
}

/// Ends the newest segment of `dir`. Output: the SHA-256 that the next one names; zeros if there is none.
pub fn last_segment(dir: &Path, findings: &mut Vec<Finding>) -> Result<[u8; 32], JournalError> {
    let mut names = folder::list(dir)?;
    while let Some(last) = names.pop() {
        if let Some(digest) = end(&last.path, findings)? {
            return Ok(digest);
        }
    }
    Ok([0; 32])
}

/// Ends one segment. Output: `None` if it had not even a header, and is gone.
fn end(path: &Path, findings: &mut Vec<Finding>) -> Result<Option<[u8; 32]>, JournalError> {
    let mut scan = match Scan::open(path) {
        Ok(Some(scan)) => scan,
        Ok(None) => {
            let dropped = fs::metadata(path).map_or(0, |meta| meta.len());
            fs::remove_file(path).map_err(JournalError::io(path, "remove the empty segment"))?;
            findings.push(Finding::Cut(Torn { path: path.to_owned(), byte: 0, dropped }));
            return Ok(None);
        }
        Err(why @ JournalError::Io { .. }) => return Err(why),
        Err(why) => {
            findings.push(Finding::Damaged(why));
            return digest_of(path).map(Some);
        }
    };
    loop {
        match scan.next() {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(why @ JournalError::Io { .. }) => return Err(why),
            Err(why) => {
                findings.push(Finding::Damaged(why));
                return digest_of(path).map(Some);
            }
        }
    }
    if scan.sealed {
        return Ok(Some(scan.digest().value()));
    }
    let (byte, dropped) = (scan.place(), scan.torn);
    let mut segment = Segment::resume(path, byte, scan.record, scan.digest())?;
    if dropped > 0 {
        findings.push(Finding::Cut(Torn { path: path.to_owned(), byte, dropped }));
    }
    segment.seal().map(Some)
}

/// SHA-256 of a file whatever it holds.
fn digest_of(path: &Path) -> Result<[u8; 32], JournalError> {
    let mut file = File::open(path).map_err(JournalError::io(path, "open"))?;
    let (mut digest, mut buffer) = (Digest::new(), vec![0; 64 * 1024]);
    loop {
        let count = file.read(&mut buffer).map_err(JournalError::io(path, "read"))?;
        if count == 0 {
            return Ok(digest.value());
        }
        digest.update(buffer.get(..count).unwrap_or_default());
    }
}
