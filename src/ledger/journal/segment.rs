//! One segment being written.
//!
//! Thread: cold.  Invariants: every write goes to the place after the last one that succeeded, so one that failed half
//! way is simply done again; the digest knows exactly the bytes that were written; space ahead is set aside beyond the
//! file's end, so its length stays the truth.

use super::code::Code;
use super::digest::Digest;
use super::error::JournalError;
use super::frame::{self, Header, SEAL, Seal};
use super::{AHEAD_BYTES, folder};
use crate::sys::files;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The open file and what is known of it.
#[derive(Debug)]
pub struct Segment {
    path: PathBuf,
    file: File,
    /// Bytes in the file.
    written: u64,
    /// Bytes that the disk holds ready, those of the file included.
    ready: u64,
    records: u64,
    digest: Digest,
}

impl Segment {
    /// Creates the file of `header` with its header in it, on disk together with its name. On an error no file is left.
    pub fn create(dir: &Path, header: &Header) -> Result<Segment, JournalError> {
        let path = folder::path_of(dir, header.epoch, header.number);
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = file.map_err(JournalError::io(&path, "create"))?;
        let mut segment = Segment { path, file, written: 0, ready: 0, records: 0, digest: Digest::new() };
        let begun = segment.append(&header.bytes(), 0).and_then(|()| segment.sync()).and_then(|()| {
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(JournalError::io(dir, "sync the folder"))
        });
        if let Err(why) = begun {
            fs::remove_file(&segment.path).ok(); // an empty file that stays is cut at the next start
            return Err(why);
        }
        Ok(segment)
    }

    /// Goes on with a file of an earlier run, to end it.
    pub fn resume(path: &Path, written: u64, records: u64, digest: Digest) -> Result<Segment, JournalError> {
        let file = OpenOptions::new().write(true).open(path).map_err(JournalError::io(path, "open for writing"))?;
        file.set_len(written).map_err(JournalError::io(path, "cut the torn end"))?;
        Ok(Segment { path: path.to_owned(), file, written, ready: written, records, digest })
    }

    /// Bytes in the file.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes whole records.
    pub fn append(&mut self, bytes: &[u8], records: u64) -> Result<(), JournalError> {
        self.file.write_all_at(bytes, self.written).map_err(JournalError::io(&self.path, "write"))?;
        self.written += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.records += records;
        self.digest.update(bytes);
        Ok(())
    }

    /// Asks the system to put all of it on disk.
    pub fn sync(&self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(JournalError::io(&self.path, "sync"))
    }

    /// Keeps at least half of [`AHEAD_BYTES`] ready beyond the end. Errors: [`JournalError::Full`].
    pub fn set_aside(&mut self) -> Result<(), JournalError> {
        let ahead = self.ready.saturating_sub(self.written);
        if ahead >= AHEAD_BYTES / 2 {
            return Ok(());
        }
        let full = |why: String| self.full(why);
        match files::set_aside(&self.file, self.written, AHEAD_BYTES) {
            Ok(true) => {
                self.ready = self.written + AHEAD_BYTES;
                Ok(())
            }
            Ok(false) => self.look_at_room(AHEAD_BYTES), // no promises from this file system: at least it has room now
            Err(why) => Err(full(why.to_string())),
        }
    }

    /// Whether the disk has room beside what is set aside. Errors: [`JournalError::Full`].
    pub fn look_at_room(&self, bytes_min: u64) -> Result<(), JournalError> {
        match files::free_bytes(&self.path) {
            Ok(free) if free >= bytes_min => Ok(()),
            Ok(free) => Err(self.full(format!("only {free} bytes are free"))),
            Err(why) => Err(self.full(why.to_string())),
        }
    }

    fn full(&self, why: String) -> JournalError {
        let ahead = self.ready.saturating_sub(self.written);
        JournalError::Full { path: self.path.clone(), why, ahead }
    }

    /// Ends the file: seal, and what was set aside given back. Output: the SHA-256 of the whole file. On an error it can be
    /// tried again.
    pub fn seal(&mut self) -> Result<[u8; 32], JournalError> {
        let seal = Seal { records: self.records, digest: self.digest.value() };
        let mut bytes = Vec::with_capacity(frame::SEAL_BYTES);
        frame::append(&mut bytes, SEAL, |out| seal.put(out));
        self.file.write_all_at(&bytes, self.written).map_err(JournalError::io(&self.path, "seal"))?;
        let whole = self.written + u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.file.set_len(whole).map_err(JournalError::io(&self.path, "give back what was set aside"))?;
        self.sync()?;
        let mut digest = self.digest.clone();
        digest.update(&bytes);
        Ok(digest.value())
    }
}
