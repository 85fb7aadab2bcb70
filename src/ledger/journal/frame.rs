//! Records and headers as bytes.
//!
//! Thread: any.  Invariants: the head of a record guards itself, so a damaged length is never taken for a record that
//! the end of the file cut; a record is taken whole or not at all.

use super::code::{Bytes, Code, fields, named, shape_of};
use crate::types::Time;

/// What a segment begins with; the odd bytes catch a transfer that changes line ends or drops the eighth bit.
pub const MAGIC: [u8; 8] = *b"\x89SVJ\r\n\x1a\n";
/// Number of the layout of headers and records; the payloads' own number is [`schema::number`].
pub const FORMAT: u16 = 1;
/// Bytes of a header: magic, fields, CRC.
pub const HEADER_BYTES: usize = 8 + 2 + 4 + 4 + 4 + 8 + 8 + 32 + 4;
/// Bytes before a payload: its length, the record's kind, the guard of the three.
pub const HEAD_BYTES: usize = 4;
/// Bytes of the CRC after a payload.
pub const CRC_BYTES: usize = 4;
/// Largest payload; a setup has about 700 bytes.
pub const PAYLOAD_BYTES_MAX: usize = 4_096;
/// Largest record.
pub const RECORD_BYTES_MAX: usize = HEAD_BYTES + PAYLOAD_BYTES_MAX + CRC_BYTES;
/// Kind of the record that ends a segment; entries use their own tags, from 1.
pub const SEAL: u8 = 255;
/// Bytes of a seal as a record.
pub const SEAL_BYTES: usize = HEAD_BYTES + 40 + CRC_BYTES;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Layout of headers and records.
    pub format: u16,
    /// Number of the payloads' schema.
    pub schema: u32,
    /// Run of the engine.
    pub epoch: u32,
    /// Place within the run, from 1.
    pub number: u32,
    /// Number that its first event has, or would have.
    pub seq_next: u64,
    /// When it was begun.
    pub created: Time,
    /// SHA-256 of the whole file before it; zeros for the first of all.
    pub previous: [u8; 32],
}
fields! { Header { format schema epoch number seq_next created previous } }

/// The end of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Records before it.
    pub records: u64,
    /// SHA-256 of all bytes before it.
    pub digest: [u8; 32],
}
fields! { Seal { records digest } }

impl Header {
    /// As bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        self.put(&mut out);
        let crc = crc32c::crc32c(&out);
        crc.put(&mut out);
        assert!(out.len() == HEADER_BYTES, "a header has one length");
        out
    }
    /// From the first bytes of a file.
    pub fn of(bytes: &[u8; HEADER_BYTES]) -> Result<Header, BadHeader> {
        let (body, crc) = bytes.split_at(HEADER_BYTES - CRC_BYTES);
        let (magic, fields) = body.split_at(MAGIC.len());
        let sound = crc == crc32c::crc32c(body).to_le_bytes();
        match Header::take(&mut Bytes::new(fields)) {
            Some(header) if sound && header.format == FORMAT => Ok(header),
            Some(header) if sound => Err(BadHeader::Other { format: header.format }),
            _ if magic != MAGIC => Err(BadHeader::Alien),
            _ => Err(BadHeader::Damaged),
        }
    }
}

/// Why a header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHeader {
    /// Not our magic.
    Alien,
    /// The CRC does not fit.
    Damaged,
    /// Sound, but of another layout.
    Other {
        /// Which.
        format: u16,
    },
}

/// Appends one record: what `put` writes, framed.
pub fn append(out: &mut Vec<u8>, kind: u8, put: impl FnOnce(&mut Vec<u8>)) {
    let from = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    put(out);
    let len = out.len() - from - HEAD_BYTES;
    assert!(len <= PAYLOAD_BYTES_MAX, "a record has a bound");
    if let (Ok(len), Some(head)) = (u16::try_from(len), out.get_mut(from..from + HEAD_BYTES)) {
        let [low, high] = len.to_le_bytes();
        head.copy_from_slice(&[low, high, kind, guard(low, high, kind)]);
    }
    let crc = crc32c::crc32c(out.get(from..).unwrap_or_default());
    crc.put(out);
}

/// Differs from the right guard wherever one bit of the head, or of the guard itself, differs; no head is all zeros.
fn guard(low: u8, high: u8, kind: u8) -> u8 {
    !(low ^ high.rotate_left(3) ^ kind)
}

/// What stands at the front of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look<'a> {
    /// A sound record.
    Record {
        /// Its kind.
        kind: u8,
        /// What it carries.
        payload: &'a [u8],
        /// Its length in all.
        len: usize,
    },
    /// The bytes end before the record does.
    Short,
    /// Not what was written.
    Bad(&'static str),
}

/// Looks at the front of `bytes`, which are not empty.
#[inline]
pub fn look(bytes: &[u8]) -> Look<'_> {
    let Some((&[low, high, kind, check], _)) = bytes.split_first_chunk::<HEAD_BYTES>() else { return Look::Short };
    if check != guard(low, high, kind) {
        return Look::Bad("the head of the record does not fit its guard");
    }
    let payload_len = usize::from(u16::from_le_bytes([low, high]));
    if payload_len > PAYLOAD_BYTES_MAX {
        return Look::Bad("longer than any record");
    }
    let end = HEAD_BYTES + payload_len;
    let Some((body, rest)) = bytes.split_at_checked(end) else { return Look::Short };
    let Some((crc, _)) = rest.split_first_chunk::<CRC_BYTES>() else { return Look::Short };
    if u32::from_le_bytes(*crc) != crc32c::crc32c(body) {
        return Look::Bad("the checksum does not fit");
    }
    Look::Record { kind, payload: body.split_at(HEAD_BYTES).1, len: end + CRC_BYTES }
}
