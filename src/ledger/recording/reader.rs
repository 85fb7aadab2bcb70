//! A recording as records, over all its files.
//!
//! Thread: any.  Invariants: a record is given only if its member is whole and its checksum right; after an error nothing
//! more is given; memory does not grow with the recording; no file, however damaged, makes it panic.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

use super::error::RecordingError;
use super::{FORMAT, HEAD_BYTES_MAX, MAGIC, PAYLOAD_BYTES_MAX, SUFFIX};
use crate::types::Time;

/// A member that unpacks to more is none of ours.
const UNPACKED_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + (1 << 20);

/// One record; the bytes live until the next one is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its number over all files, from 1.
    pub number: u64,
    /// When its last byte was read.
    pub recv: Time,
    /// Where it came from.
    pub source: &'a str,
    /// What came.
    pub bytes: &'a [u8],
}

/// A last part that a sudden end cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The file.
    pub path: PathBuf,
    /// Where its whole members end.
    pub byte: u64,
    /// Bytes after that.
    pub dropped: u64,
    /// Records of the file that were whole.
    pub records: u64,
}

/// Counts what is consumed.
#[derive(Debug)]
struct Counted {
    inner: BufReader<File>,
    at: u64,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }
    fn consume(&mut self, amount: usize) {
        self.at += amount as u64;
        self.inner.consume(amount);
    }
}

/// The file at hand.
#[derive(Debug)]
struct Page {
    path: PathBuf,
    input: Counted,
    /// Where the member at hand begins.
    member_at: u64,
    members: u64,
    records: u64,
}

/// Reads records in order.
#[derive(Debug)]
pub struct Reader {
    waiting: VecDeque<PathBuf>,
    page: Option<Page>,
    member: Vec<u8>,
    /// How far the member is read.
    at: usize,
    number: u64,
    torn: Vec<Torn>,
    failed: bool,
}

/// What stands next in a member.
struct Head {
    recv: Time,
    /// Of the member, where the source's name stands.
    source: std::ops::Range<usize>,
    payload: std::ops::Range<usize>,
}

/// Whether a file begins like a recording, or a folder holds files that are named like one.
pub fn is_recording(path: &Path) -> bool {
    if path.is_dir() {
        return list(path).is_ok_and(|files| !files.is_empty());
    }
    let Ok(file) = File::open(path) else { return false };
    let mut begins = vec![0; MAGIC.len()];
    let mut unpack = GzDecoder::new(BufReader::new(file));
    unpack.read_exact(&mut begins).is_ok() && begins == MAGIC.as_bytes()
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, RecordingError> {
    let fail = |why| RecordingError::io(dir, "list the folder")(why);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(SUFFIX)) {
            files.push(path);
        }
    }
    files.sort_by_key(|path| order_of(path));
    Ok(files)
}

/// Second files of a second come after the first: `…-00.svr.gz`, `…-00-2.svr.gz`, `…-00-10.svr.gz`.
fn order_of(path: &Path) -> (String, u32) {
    const STEM_BYTES: usize = "2026-01-15T12-00-00".len();
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.trim_end_matches(SUFFIX);
    match (stem.get(..STEM_BYTES), stem.get(STEM_BYTES..).and_then(|rest| rest.strip_prefix('-'))) {
        (Some(begins), Some(number)) => (begins.to_owned(), number.parse().unwrap_or(u32::MAX)),
        _ => (stem.to_owned(), 1),
    }
}

impl Reader {
    /// Opens one file, or all files of a folder in their order.
    pub fn open(path: &Path) -> Result<Reader, RecordingError> {
        let files = if path.is_dir() { list(path)? } else { vec![path.to_owned()] };
        if files.is_empty() {
            return Err(RecordingError::Empty { path: path.to_owned() });
        }
        let (waiting, member, torn) = (VecDeque::from(files), Vec::new(), Vec::new());
        let mut reader = Reader { waiting, page: None, member, at: 0, number: 0, torn, failed: false };
        reader.turn_page()?;
        Ok(reader)
    }

    /// The next record; `None` at the end. A torn end is no error: see [`Reader::torn`].
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, RecordingError> {
        if self.failed {
            return Ok(None);
        }
        let found = self.find();
        self.failed = found.is_err();
        let Some(Head { recv, source, payload }) = found? else { return Ok(None) };
        let source = std::str::from_utf8(&self.member[source]).unwrap_or_default();
        Ok(Some(Record { number: self.number, recv, source, bytes: &self.member[payload] }))
    }

    /// Ends that were cut, of the files read so far: one a sudden end.
    pub fn torn(&self) -> &[Torn] {
        &self.torn
    }

    /// Goes to the next record, over members and files.
    fn find(&mut self) -> Result<Option<Head>, RecordingError> {
        while self.at >= self.member.len() {
            let Some(page) = &mut self.page else { return Ok(None) };
            self.at = 0;
            match page.unpack(&mut self.member)? {
                Member::Whole => self.at = page.begin(&self.member)?,
                Member::None => self.turn_page()?,
                Member::Torn => {
                    let torn = page.torn()?;
                    self.torn.push(torn);
                    self.turn_page()?;
                }
            }
        }
        let Some(page) = &mut self.page else { return Ok(None) };
        let head = head(&self.member, self.at).map_err(|what| page.damage(what))?;
        page.records += 1;
        self.number += 1;
        self.at = head.payload.end + 1; // the line end was looked at
        Ok(Some(head))
    }

    fn turn_page(&mut self) -> Result<(), RecordingError> {
        self.page = None;
        self.member.clear();
        if let Some(path) = self.waiting.pop_front() {
            let file = File::open(&path).map_err(RecordingError::io(&path, "open"))?;
            let input = Counted { inner: BufReader::with_capacity(64 << 10, file), at: 0 };
            self.page = Some(Page { path, input, member_at: 0, members: 0, records: 0 });
        }
        Ok(())
    }
}

/// What stands where the next member should begin.
enum Member {
    Whole,
    Torn,
    None,
}

impl Page {
    /// Unpacks the next member into `out`; nothing of one that is not whole stays there.
    fn unpack(&mut self, out: &mut Vec<u8>) -> Result<Member, RecordingError> {
        out.clear();
        self.member_at = self.input.at;
        let bytes = self.input.fill_buf().map_err(RecordingError::io(&self.path, "read"))?;
        if bytes.is_empty() {
            return Ok(if self.members == 0 { Member::Torn } else { Member::None });
        }
        let bound = UNPACKED_BYTES_MAX as u64 + 1;
        let unpacked = GzDecoder::new(&mut self.input).take(bound).read_to_end(out);
        match unpacked {
            Ok(_) if out.len() > UNPACKED_BYTES_MAX => Err(self.damage("it unpacks to more than any part we write")),
            Ok(_) => {
                self.members += 1;
                Ok(Member::Whole)
            }
            Err(why) => {
                out.clear();
                self.judge(why)
            }
        }
    }

    fn judge(&self, why: io::Error) -> Result<Member, RecordingError> {
        match why.kind() {
            ErrorKind::UnexpectedEof => Ok(Member::Torn),
            ErrorKind::InvalidInput | ErrorKind::InvalidData if self.members == 0 && self.input.at < 16 => {
                Err(RecordingError::Alien { path: self.path.clone() })
            }
            ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::Other => {
                Err(self.damage("its bytes are not what was packed"))
            }
            _ => Err(RecordingError::io(&self.path, "read")(why)),
        }
    }

    /// Where the records of a member begin: behind the first line of the first one.
    fn begin(&self, member: &[u8]) -> Result<usize, RecordingError> {
        if self.members > 1 {
            return Ok(0);
        }
        let alien = || RecordingError::Alien { path: self.path.clone() };
        let end = member.iter().take(HEAD_BYTES_MAX).position(|byte| *byte == b'\n').ok_or_else(alien)?;
        let line = std::str::from_utf8(&member[..end]).map_err(|_| alien())?;
        let mut words = line.split(' ');
        let found = match (words.next(), words.next().map(str::parse)) {
            (Some(MAGIC), Some(Ok(format))) => format,
            _ => return Err(alien()),
        };
        if found == FORMAT { Ok(end + 1) } else { Err(RecordingError::Format { path: self.path.clone(), found }) }
    }

    fn torn(&self) -> Result<Torn, RecordingError> {
        let meta = std::fs::metadata(&self.path).map_err(RecordingError::io(&self.path, "look at"))?;
        let dropped = meta.len().saturating_sub(self.member_at);
        Ok(Torn { path: self.path.clone(), byte: self.member_at, dropped, records: self.records })
    }

    fn damage(&self, what: &'static str) -> RecordingError {
        RecordingError::Damaged { path: self.path.clone(), byte: self.member_at, record: self.records + 1, what }
    }
}

/// Reads the line before a payload and looks whether the payload is all there.
fn head(member: &[u8], at: usize) -> Result<Head, &'static str> {
    let rest = member.get(at..).unwrap_or_default();
    let end = rest.iter().take(HEAD_BYTES_MAX).position(|byte| *byte == b'\n').ok_or("a record has no first line")?;
    let line = std::str::from_utf8(&rest[..end]).map_err(|_| "the first line of a record is no text")?;
    let (stamp, named) = line.split_once(' ').ok_or("the first line of a record has no source")?;
    let (source, length) = named.split_once(' ').ok_or("the first line of a record has no length")?;
    let recv = stamp.parse().map_err(|_| "the receive time of a record is no number")?;
    let length: usize = length.parse().map_err(|_| "the length of a record is no number")?;
    let from = at + end + 1;
    let to = from.checked_add(length).ok_or("the length of a record is no length")?;
    if member.get(to) != Some(&b'\n') {
        return Err("a record does not end where its length says");
    }
    let source_at = at + stamp.len() + 1;
    Ok(Head { recv: Time(recv), source: source_at..source_at + source.len(), payload: from..to })
}
