//! A journal as entries, over all its segments.
//!
//! Thread: any, cold.  Invariants: an entry is given only if its bytes, its place in the chain and the numbers of the
//! events are right; after an error nothing more is given; memory does not grow with the journal.

use super::error::JournalError;
use super::folder::{self, Named};
use super::frame::Header;
use super::scan::Scan;
use super::{Entry, entry};
use crate::types::note::Lost;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// Where an entry stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// First byte of its record.
    pub byte: u64,
    /// Its number in the file, from 1.
    pub record: u64,
}

/// A last record that a sudden end cut: it was never whole, so nothing is missing that ever was in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The file.
    pub path: PathBuf,
    /// Where the whole records end.
    pub byte: u64,
    /// Bytes after that.
    pub dropped: u64,
}

/// Reads entries in order.
///
/// [`Entry::Start`] begins a run; where the oldest segments are gone, the first entries belong to a run without a
/// start. A torn end of the last file is no error: see [`Reader::torn`].
#[derive(Debug)]
pub struct Reader {
    waiting: VecDeque<PathBuf>,
    scan: Option<Scan>,
    /// Header and hash of the file before this one.
    before: Option<(Header, [u8; 32])>,
    seq_next: u64,
    torn: Option<Torn>,
    failed: bool,
    bytes: u64,
}

impl Reader {
    /// Opens one segment, or all segments of a folder.
    pub fn open(path: &Path) -> Result<Reader, JournalError> {
        if !path.is_dir() {
            return Reader::over(VecDeque::from([path.to_owned()]), path);
        }
        Reader::over(folder::list(path)?.into_iter().map(|named| named.path).collect(), path)
    }

    /// Opens the segments of one run.
    pub fn of_run(dir: &Path, epoch: u32) -> Result<Reader, JournalError> {
        let of_run = |named: &Named| named.epoch == epoch;
        Reader::over(folder::list(dir)?.into_iter().filter(of_run).map(|named| named.path).collect(), dir)
    }

    fn over(waiting: VecDeque<PathBuf>, path: &Path) -> Result<Reader, JournalError> {
        if waiting.is_empty() {
            return Err(JournalError::Empty { path: path.to_owned() });
        }
        let mut reader = Reader { waiting, scan: None, before: None, seq_next: 0, torn: None, failed: false, bytes: 0 };
        reader.turn_page()?;
        Ok(reader)
    }

    /// Where the newest entry stands.
    pub fn place(&self) -> Option<Place> {
        let scan = self.scan.as_ref()?;
        Some(Place { path: scan.path.clone(), byte: scan.newest_place(), record: scan.record })
    }
    /// Run of the newest entry.
    pub fn epoch(&self) -> Option<u32> {
        self.scan.as_ref().map(|scan| scan.header.epoch)
    }
    /// What a sudden end cut off the last file, once it was read.
    pub fn torn(&self) -> Option<&Torn> {
        self.torn.as_ref()
    }
    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes + self.scan.as_ref().map_or(0, Scan::place)
    }

    /// Goes to the next file. Output: whether there is one.
    fn turn_page(&mut self) -> Result<bool, JournalError> {
        if let Some(mut scan) = self.scan.take() {
            self.close(&scan)?;
            self.bytes += scan.place();
            self.before = Some((scan.header, scan.digest().value()));
        }
        let Some(path) = self.waiting.pop_front() else { return Ok(false) };
        match Scan::open(&path)? {
            Some(scan) => {
                scan.check_schema()?;
                self.follow(&scan)?;
                self.scan = Some(scan);
                Ok(true)
            }
            None if self.waiting.is_empty() => {
                let dropped = std::fs::metadata(&path).map_or(0, |meta| meta.len());
                self.torn = Some(Torn { path, byte: 0, dropped });
                Ok(false)
            }
            None => Err(JournalError::Damaged { path, byte: 0, record: 0, what: "shorter than a header" }),
        }
    }

    /// A file that was read to its end.
    fn close(&mut self, scan: &Scan) -> Result<(), JournalError> {
        if scan.torn == 0 {
            return Ok(());
        }
        if !self.waiting.is_empty() {
            return Err(scan.damage("the file ends inside a record, but another file follows"));
        }
        self.torn = Some(Torn { path: scan.path.clone(), byte: scan.place(), dropped: scan.torn });
        Ok(())
    }

    /// Whether `scan` is what comes after the file before it.
    fn follow(&mut self, scan: &Scan) -> Result<(), JournalError> {
        let Header { epoch, number, seq_next, previous, .. } = scan.header;
        let broken = |what: String| Err(JournalError::Chain { path: scan.path.clone(), what });
        if let Some((last, hash)) = self.before {
            let follows = if last.epoch == epoch { number == last.number + 1 } else { number == 1 };
            if !follows {
                let want = if last.epoch == epoch { last.number + 1 } else { 1 };
                return broken(format!("segment {want} of run {epoch} is missing before it"));
            }
            if previous != hash {
                return broken(
                    "the file before it is not the one that it was written after: changed, or one is missing"
                        .to_owned(),
                );
            }
            if last.epoch == epoch && seq_next != self.seq_next {
                let (path, expected, found) = (scan.path.clone(), self.seq_next, seq_next);
                return Err(JournalError::Hole { path, byte: 0, record: 0, expected, found });
            }
        }
        self.seq_next = seq_next;
        Ok(())
    }

    fn read(&mut self) -> Result<Option<Entry>, JournalError> {
        loop {
            let Some(scan) = &mut self.scan else { return Ok(None) };
            if let Some((kind, payload)) = scan.next()? {
                let Some(entry) = entry::take(kind, payload) else {
                    return Err(scan.damage_of_newest("sound by its checksum, but no entry of ours"));
                };
                self.count(&entry)?;
                return Ok(Some(entry));
            }
            self.turn_page()?;
        }
    }

    /// Events are numbered without a hole, but for those that are said to be lost.
    fn count(&mut self, entry: &Entry) -> Result<(), JournalError> {
        match entry {
            Entry::Event(event) if event.seq == self.seq_next => self.seq_next += 1,
            Entry::Event(event) => {
                let Some(Place { path, byte, record }) = self.place() else { return Ok(()) };
                let (expected, found) = (self.seq_next, event.seq);
                return Err(JournalError::Hole { path, byte, record, expected, found });
            }
            Entry::Lost(Lost { events, .. }) => self.seq_next = self.seq_next.saturating_add(*events),
            Entry::Start(_) | Entry::Command(_) | Entry::Wire(_) => {}
        }
        Ok(())
    }
}

impl Iterator for Reader {
    type Item = Result<Entry, JournalError>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let read = self.read();
        self.failed = read.is_err();
        read.transpose()
    }
}
