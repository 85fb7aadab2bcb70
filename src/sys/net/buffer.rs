//! The receive buffer of one stream: what came from the socket and what is ready to be read, in one piece of memory.
//!
//! Thread: that of its stream.  Invariants: `start <= plain_end <= raw_start <= end <= buf.len()`; the memory is zeroed
//! when it is made or grown, never per read; grows by doubling up to its bound.
//!
//! ```text
//! | used up | plain: for the reader | gap | raw: TLS records not opened yet | free |
//!           start               plain_end  raw_start                     end
//! ```
//! Without TLS the raw part is empty: bytes are plain as they come.

/// Memory at the start.
const BYTES_FIRST: usize = 128 << 10;
/// Room made before each read: a whole TLS record and then some.
const ROOM_MIN: usize = 20 << 10;

/// See the module.
pub(crate) struct RxBuf {
    buf: Vec<u8>,
    start: usize,
    plain_end: usize,
    raw_start: usize,
    end: usize,
    plain_max: usize,
}

impl RxBuf {
    /// Holds messages of up to `plain_max` bytes.
    pub(crate) fn new(plain_max: usize) -> RxBuf {
        RxBuf { buf: vec![0; BYTES_FIRST], start: 0, plain_end: 0, raw_start: 0, end: 0, plain_max }
    }

    /// Bytes ready for the reader.
    pub(crate) fn plain(&self) -> &[u8] {
        &self.buf[self.start..self.plain_end]
    }

    /// The reader is done with the first `count` of them.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        assert!(self.start <= self.plain_end, "consumed more than was there");
        if self.start == self.plain_end && self.raw_start == self.end {
            (self.start, self.plain_end, self.raw_start, self.end) = (0, 0, 0, 0);
        }
    }

    /// Free room for one read; `None` where the reader's part has outgrown its bound.
    pub(crate) fn room(&mut self) -> Option<&mut [u8]> {
        if self.buf.len() - self.end < ROOM_MIN {
            self.compact();
        }
        if self.buf.len() - self.end < ROOM_MIN {
            if self.plain().len() > self.plain_max {
                return None;
            }
            self.buf.resize(self.buf.len() * 2, 0);
        }
        Some(&mut self.buf[self.end..])
    }

    /// `count` bytes were read into the room; without TLS they are plain at once.
    pub(crate) fn filled(&mut self, count: usize, plain: bool) {
        self.end += count;
        assert!(self.end <= self.buf.len());
        if plain {
            self.raw_start = self.end;
            self.plain_end = self.end;
        }
    }

    /// TLS records not opened yet.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.buf[self.raw_start..self.end]
    }

    /// The same, to be worked on.
    pub(crate) fn raw_mut(&mut self) -> &mut [u8] {
        &mut self.buf[self.raw_start..self.end]
    }

    /// Forgets the first `count` raw bytes.
    pub(crate) fn discard_raw(&mut self, count: usize) {
        self.raw_start += count;
        assert!(self.raw_start <= self.end);
    }

    /// From the end of the plain part to the end of a record of `record_len` bytes, and where in that the record
    /// begins: opening it with its text at the front makes it continue the plain part.
    pub(crate) fn gap_and_record(&mut self, record_len: usize) -> (&mut [u8], usize) {
        let record_at = self.raw_start - self.plain_end;
        (&mut self.buf[self.plain_end..self.raw_start + record_len], record_at)
    }

    /// A record of `record_len` bytes was opened; its first `plain_len` text bytes are for the reader.
    pub(crate) fn opened(&mut self, record_len: usize, plain_len: usize) {
        self.discard_raw(record_len);
        self.plain_end += plain_len;
        assert!(self.plain_end <= self.raw_start);
    }

    /// Appends plain bytes that come from elsewhere.
    pub(crate) fn push_plain(&mut self, bytes: &[u8]) {
        let at = self.plain_end;
        let (gap, grown) = (self.raw_start - at, bytes.len().saturating_sub(self.raw_start - at));
        if gap < bytes.len() {
            let zeros = std::iter::repeat_n(0, grown);
            self.buf.splice(self.raw_start..self.raw_start, zeros);
            self.raw_start += grown;
            self.end += grown;
        }
        self.buf[at..at + bytes.len()].copy_from_slice(bytes);
        self.plain_end += bytes.len();
    }

    fn compact(&mut self) {
        self.buf.copy_within(self.start..self.plain_end, 0);
        self.plain_end -= self.start;
        self.start = 0;
        self.buf.copy_within(self.raw_start..self.end, self.plain_end);
        self.end = self.plain_end + (self.end - self.raw_start);
        self.raw_start = self.plain_end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(rx: &mut RxBuf, bytes: &[u8], plain: bool) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = rx.room().expect("room");
            let count = room.len().min(rest.len());
            room[..count].copy_from_slice(&rest[..count]);
            rx.filled(count, plain);
            rest = &rest[count..];
        }
    }

    #[test]
    fn bytes_come_out_as_they_went_in_across_moves_and_growth() {
        let mut rx = RxBuf::new(1 << 20);
        let text: Vec<u8> = (0..600_000_u32).map(|n| (n % 251) as u8).collect();
        feed(&mut rx, &text[..300_000], true);
        assert_eq!(rx.plain(), &text[..300_000]);
        rx.consume(299_999);
        feed(&mut rx, &text[300_000..], true);
        assert_eq!(rx.plain(), &text[299_999..]);
        rx.consume(300_001);
        assert!(rx.plain().is_empty());
    }

    #[test]
    fn reader_that_never_finishes_a_message_hits_the_bound() {
        let mut rx = RxBuf::new(200_000);
        let mut total = 0;
        while let Some(room) = rx.room() {
            let count = room.len();
            rx.filled(count, true);
            total += count;
            assert!(total < 2_000_000);
        }
        assert!(total > 200_000);
    }

    #[test]
    fn plain_bytes_from_elsewhere_keep_the_raw_part_whole() {
        let mut rx = RxBuf::new(1_000);
        feed(&mut rx, b"RAWRAW", false);
        rx.push_plain(b"hello");
        rx.discard_raw(3);
        rx.push_plain(b", you");
        assert_eq!((rx.plain(), rx.raw()), (&b"hello, you"[..], &b"RAW"[..]));
        rx.consume(10);
        assert_eq!(rx.raw(), b"RAW");
    }
}
