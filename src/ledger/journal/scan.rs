//! One segment, read from front to end through a fixed buffer.
//!
//! Thread: any.  Invariants: memory does not grow with the file; every byte up to the newest record was hashed when the
//! seal is compared; a torn end is told apart from damage: only a file that ends too early, or in nothing but zeros, is
//! torn.

use super::code::{Bytes, Code};
use super::digest::Digest;
use super::error::JournalError;
use super::folder;
use super::frame::{self, BadHeader, FORMAT, HEADER_BYTES, Header, Look, MAGIC, RECORD_BYTES_MAX, SEAL, Seal};
use super::schema;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Read from the disk at once.
const BUFFER_BYTES: usize = 256 * 1024;
const _: () = assert!(BUFFER_BYTES > 2 * RECORD_BYTES_MAX);

/// A segment being read.
#[derive(Debug)]
pub struct Scan {
    /// The file.
    pub path: PathBuf,
    /// What it says of itself.
    pub header: Header,
    /// Number of the newest record, from 1; 0 = none yet.
    pub record: u64,
    /// The seal was read: the file ends here.
    pub sealed: bool,
    /// Bytes after the last whole record, once the end was reached.
    pub torn: u64,
    file: File,
    buffer: Vec<u8>,
    /// Of the buffer: hashed up to, looked at up to, filled up to.
    hashed: usize,
    from: usize,
    to: usize,
    /// Place in the file of the buffer's first byte.
    base: u64,
    /// Length of the newest record: where it begins.
    newest: usize,
    ended: bool,
    digest: Digest,
}

impl Scan {
    /// Opens a segment and reads its header. Output: `None` where a sudden end left less than a header.
    pub fn open(path: &Path) -> Result<Option<Scan>, JournalError> {
        let file = File::open(path).map_err(JournalError::io(path, "open"))?;
        let header = Header {
            format: 0,
            schema: 0,
            epoch: 0,
            number: 0,
            seq_next: 0,
            created: crate::types::Time::NONE,
            previous: [0; 32],
        };
        let mut scan = Scan {
            path: path.to_owned(),
            header,
            record: 0,
            sealed: false,
            torn: 0,
            file,
            buffer: vec![0; BUFFER_BYTES],
            hashed: 0,
            from: 0,
            to: 0,
            base: 0,
            newest: 0,
            ended: false,
            digest: Digest::new(),
        };
        scan.fill()?;
        let front = scan.buffer.get(..scan.to).unwrap_or_default();
        let Some((bytes, _)) = front.split_first_chunk::<HEADER_BYTES>() else {
            let ours =
                front.iter().zip(MAGIC).all(|(byte, magic)| *byte == magic) || front.iter().all(|byte| *byte == 0);
            return if ours { Ok(None) } else { Err(JournalError::Alien { path: path.to_owned() }) };
        };
        scan.header = Header::of(bytes).map_err(|why| bad_header(path, why))?;
        scan.from = HEADER_BYTES;
        scan.check_name()?;
        Ok(Some(scan))
    }

    /// A segment's name says what its header says; a file of another name was put somewhere on purpose.
    fn check_name(&self) -> Result<(), JournalError> {
        let Header { epoch, number, .. } = self.header;
        match folder::parse(&self.path) {
            Some(named) if named != (epoch, number) => Err(JournalError::Chain {
                path: self.path.clone(),
                what: format!("it holds segment {number} of run {epoch}: renamed or put out of order"),
            }),
            _ => Ok(()),
        }
    }

    /// Whether its payloads are written in our words.
    pub fn check_schema(&self) -> Result<(), JournalError> {
        let (theirs, ours) = (self.header.schema, schema::number());
        if theirs == ours {
            return Ok(());
        }
        let [found, known] = [theirs, ours].map(|number| format!("{FORMAT}/{number:08x}"));
        Err(JournalError::Schema { path: self.path.clone(), found, known })
    }

    /// The next record's kind and payload; `None` at the end. Errors: the first byte that is not what was written;
    /// what was read before it was sound.
    pub fn next(&mut self) -> Result<Option<(u8, &[u8])>, JournalError> {
        if self.to - self.from < RECORD_BYTES_MAX && !self.ended {
            self.fill()?;
        }
        let rest = self.buffer.get(self.from..self.to).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        if self.sealed {
            return Err(self.damage("bytes follow the seal"));
        }
        match frame::look(rest) {
            Look::Record { kind: SEAL, payload, len } => {
                let seal = Seal::take(&mut Bytes::new(payload));
                self.check_seal(seal, len)?;
                self.next()
            }
            Look::Record { kind, len, .. } => {
                self.record += 1;
                self.newest = len;
                self.from += len;
                let end = self.from - frame::CRC_BYTES;
                Ok(Some((
                    kind,
                    self.buffer.get(end + frame::CRC_BYTES - len + frame::HEAD_BYTES..end).unwrap_or_default(),
                )))
            }
            Look::Short => {
                self.torn = u64::try_from(rest.len()).unwrap_or(u64::MAX);
                Ok(None)
            }
            Look::Bad(what) => self.zeros_or(what),
        }
    }

    /// Pages that were never written read as zeros: a torn end like any other.
    fn zeros_or(&mut self, what: &'static str) -> Result<Option<(u8, &[u8])>, JournalError> {
        let damage = self.damage(what);
        let begins = self.place();
        loop {
            let rest = self.buffer.get(self.from..self.to).unwrap_or_default();
            if rest.iter().any(|byte| *byte != 0) {
                return Err(damage);
            }
            if self.ended {
                break;
            }
            self.from = self.to;
            self.fill()?;
        }
        self.torn = self.base + len_u64(self.to) - begins;
        Ok(None)
    }

    fn check_seal(&mut self, seal: Option<Seal>, len: usize) -> Result<(), JournalError> {
        self.hash_to(self.from);
        let fits = seal.is_some_and(|seal| seal.records == self.record && seal.digest == self.digest.value());
        if !fits {
            return Err(self.damage("the seal does not fit what is before it"));
        }
        self.sealed = true;
        self.newest = len;
        self.from += len;
        Ok(())
    }

    /// Where the next record begins.
    pub fn place(&self) -> u64 {
        self.base + len_u64(self.from)
    }
    /// Where the newest record begins.
    pub fn newest_place(&self) -> u64 {
        self.place() - len_u64(self.newest)
    }
    /// Damage of the record that comes next.
    pub fn damage(&self, what: &'static str) -> JournalError {
        JournalError::Damaged { path: self.path.clone(), byte: self.place(), record: self.record + 1, what }
    }
    /// Damage of the newest record.
    pub fn damage_of_newest(&self, what: &'static str) -> JournalError {
        JournalError::Damaged { path: self.path.clone(), byte: self.newest_place(), record: self.record, what }
    }

    /// SHA-256 of all bytes up to the next record, to be continued: at the end, of the whole file but for a torn record.
    pub fn digest(&mut self) -> Digest {
        self.hash_to(self.from);
        self.digest.clone()
    }

    fn hash_to(&mut self, end: usize) {
        self.digest.update(self.buffer.get(self.hashed..end).unwrap_or_default());
        self.hashed = self.hashed.max(end);
    }

    /// Moves what was not looked at to the front and reads on.
    fn fill(&mut self) -> Result<(), JournalError> {
        self.hash_to(self.from);
        self.buffer.copy_within(self.from..self.to, 0);
        self.base += len_u64(self.from);
        self.to -= self.from;
        (self.from, self.hashed) = (0, 0);
        while let Some(space) = self.buffer.get_mut(self.to..).filter(|space| !space.is_empty()) {
            match self.file.read(space) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(());
                }
                Ok(count) => self.to += count,
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(why) => return Err(JournalError::io(&self.path, "read")(why)),
            }
        }
        Ok(())
    }
}

fn len_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn bad_header(path: &Path, why: BadHeader) -> JournalError {
    let path = path.to_owned();
    match why {
        BadHeader::Alien => JournalError::Alien { path },
        BadHeader::Damaged => {
            JournalError::Damaged { path, byte: 0, record: 0, what: "the checksum of the header does not fit" }
        }
        BadHeader::Other { format } => {
            JournalError::Schema { path, found: format.to_string(), known: FORMAT.to_string() }
        }
    }
}
