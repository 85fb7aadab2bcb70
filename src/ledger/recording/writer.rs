//! Records into gzip members into files.
//!
//! Thread: the recorder's.  Invariants: a member holds whole records and is written with one call; a file is never opened
//! twice; the hour of a record's receive time decides its file, and a straggler of the hour before does not go back.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::error::RecordingError;
use super::source::clean_source;
use super::{FILE_BYTES_MAX, FORMAT, MAGIC, MEMBER_BYTES_MAX, MEMBER_NS_MAX, PAYLOAD_BYTES_MAX, SUFFIX};
use crate::types::Time;
use crate::types::time::NANOS_PER_SEC;

const NANOS_PER_HOUR: i64 = 3_600 * NANOS_PER_SEC;
/// Files that may begin in one second.
const NAMES_MAX: u32 = 1_000;
/// Sources that are counted one by one; a name that grows without end must not.
const SOURCES_MAX: usize = 256;
const OTHER_SOURCES: &str = "other";

/// Where and how it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterSettings {
    /// The folder; made if it is not there.
    pub dir: PathBuf,
    /// A file is closed once it has these many bytes, compressed.
    pub file_bytes_max: u64,
    /// A member is closed once it holds these many bytes, unpacked.
    pub member_bytes_max: usize,
    /// ... or is this old, ns.
    pub member_ns_max: i64,
}

impl WriterSettings {
    /// The usual sizes.
    pub fn new(dir: PathBuf) -> WriterSettings {
        let (member_bytes_max, member_ns_max) = (MEMBER_BYTES_MAX, MEMBER_NS_MAX);
        WriterSettings { dir, file_bytes_max: FILE_BYTES_MAX, member_bytes_max, member_ns_max }
    }
}

/// Records and payload bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCount {
    /// Records.
    pub records: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
}

/// A file that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedFile {
    /// Which.
    pub path: PathBuf,
    /// What it holds.
    pub count: SourceCount,
    /// Its own size.
    pub file_bytes: u64,
    /// Receive time of its first record.
    pub first: Time,
    /// ... and of its last.
    pub last: Time,
}

struct OpenFile {
    file: File,
    told: ClosedFile,
    hour: i64,
}

/// Writes recordings.
pub struct Writer {
    settings: WriterSettings,
    open: Option<OpenFile>,
    /// The open member, not yet packed.
    member: Vec<u8>,
    member_since: Time,
    closed: Vec<ClosedFile>,
    counts: BTreeMap<String, SourceCount>,
    refused: u64,
}

impl Writer {
    /// Makes the folder; the first record makes the first file.
    pub fn new(settings: WriterSettings) -> Result<Writer, RecordingError> {
        std::fs::create_dir_all(&settings.dir).map_err(RecordingError::io(&settings.dir, "make the folder"))?;
        let member = Vec::with_capacity(settings.member_bytes_max);
        let (closed, counts) = (Vec::new(), BTreeMap::new());
        Ok(Writer { settings, open: None, member, member_since: Time::NONE, closed, counts, refused: 0 })
    }

    /// Adds a record. Errors: the disk's; the record is then lost.
    pub fn put(&mut self, recv: Time, source: &str, payload: &[u8]) -> Result<(), RecordingError> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            self.refused += 1;
            return Ok(());
        }
        let source = clean_source(source);
        if self.open.as_ref().is_some_and(|open| recv.0.div_euclid(NANOS_PER_HOUR) > open.hour) {
            self.close_file()?;
        }
        if self.open.is_none() {
            self.open_file(recv)?;
        }
        if self.member.len() + payload.len() > self.settings.member_bytes_max {
            self.close_member()?;
        }
        if self.member.is_empty() {
            self.member_since = recv;
        }
        self.member.extend_from_slice(format!("{} {source} {}\n", recv.0, payload.len()).as_bytes());
        self.member.extend_from_slice(payload);
        self.member.push(b'\n');
        self.count(recv, &source, payload.len() as u64);
        self.tend(recv)
    }

    fn count(&mut self, recv: Time, source: &str, bytes: u64) {
        if let Some(open) = &mut self.open {
            open.told.count.records += 1;
            open.told.count.bytes += bytes;
            open.told.last = recv;
        }
        let known = self.counts.len() < SOURCES_MAX || self.counts.contains_key(source);
        let name = if known { source } else { OTHER_SOURCES };
        let count = match self.counts.get_mut(name) {
            Some(count) => count,
            None => self.counts.entry(name.to_owned()).or_default(),
        };
        count.records += 1;
        count.bytes += bytes;
    }

    /// Closes what is full or old by `now`. Due several times a second, for a source that fell silent.
    pub fn tend(&mut self, now: Time) -> Result<(), RecordingError> {
        let is_old = now.since(self.member_since) >= self.settings.member_ns_max;
        if !self.member.is_empty() && (is_old || self.member.len() >= self.settings.member_bytes_max) {
            self.close_member()?;
        }
        if self.open.as_ref().is_some_and(|open| open.told.file_bytes >= self.settings.file_bytes_max) {
            self.close_file()?;
        }
        Ok(())
    }

    fn open_file(&mut self, recv: Time) -> Result<(), RecordingError> {
        let (path, file) = create(&self.settings.dir, recv)?;
        let (count, file_bytes) = (SourceCount::default(), 0);
        let told = ClosedFile { path, count, file_bytes, first: recv, last: recv };
        self.open = Some(OpenFile { file, told, hour: recv.0.div_euclid(NANOS_PER_HOUR) });
        self.member.clear();
        self.member.extend_from_slice(format!("{MAGIC} {FORMAT} {}\n", words(recv)).as_bytes());
        self.member_since = recv;
        Ok(())
    }

    fn close_member(&mut self) -> Result<(), RecordingError> {
        let Some(open) = self.open.as_mut().filter(|_| !self.member.is_empty()) else { return Ok(()) };
        let packed = pack(&self.member).map_err(RecordingError::io(&open.told.path, "pack a part"))?;
        self.member.clear();
        self.member.shrink_to(self.settings.member_bytes_max); // a long payload came and went
        open.file.write_all(&packed).map_err(RecordingError::io(&open.told.path, "write"))?;
        open.told.file_bytes += packed.len() as u64;
        Ok(())
    }

    fn close_file(&mut self) -> Result<(), RecordingError> {
        self.close_member()?;
        if let Some(open) = self.open.take() {
            open.file.sync_all().map_err(RecordingError::io(&open.told.path, "put it on disk"))?;
            self.closed.push(open.told);
        }
        Ok(())
    }

    /// Closes everything. Errors: the end of the recording is not on disk.
    pub fn finish(&mut self) -> Result<(), RecordingError> {
        self.close_file()
    }

    /// Files closed since the last call.
    pub fn take_closed(&mut self) -> Vec<ClosedFile> {
        std::mem::take(&mut self.closed)
    }
    /// What was written, by source.
    pub fn counts(&self) -> &BTreeMap<String, SourceCount> {
        &self.counts
    }
    /// Payloads longer than any source sends.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

fn pack(member: &[u8]) -> std::io::Result<Vec<u8>> {
    // Against level 1: two thirds of the size for twice the time, 22 MB/s unoptimised; the market's fiercest second of
    // the captures has 0.3 MB.
    let mut encoder = GzEncoder::new(Vec::with_capacity(member.len() / 4), Compression::new(6));
    encoder.write_all(member)?;
    encoder.finish()
}

/// A file that was not there before.
fn create(dir: &Path, began: Time) -> Result<(PathBuf, File), RecordingError> {
    let stem = words(began).replace(':', "-");
    let stem = stem.trim_end_matches('Z');
    for number in 1..=NAMES_MAX {
        let more = if number == 1 { String::new() } else { format!("-{number}") };
        let path = dir.join(format!("{stem}{more}{SUFFIX}"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(why) if why.kind() == ErrorKind::AlreadyExists => {}
            Err(why) => return Err(RecordingError::io(&path, "make the file")(why)),
        }
    }
    let why = std::io::Error::other("too many files of the same second");
    Err(RecordingError::io(dir, "make a file")(why))
}

/// RFC 3339, whole seconds, UTC. A time out of its years is told as the nearest one in.
fn words(at: Time) -> String {
    const YEAR_9999_S: u64 = 253_402_300_799;
    let seconds = u64::try_from(at.0.div_euclid(NANOS_PER_SEC)).unwrap_or(0).min(YEAR_9999_S);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}
