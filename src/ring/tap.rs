//! A tap on a socket: copies of raw frames for a recorder, beside the trading path.
//!
//! Thread: a [`Tap`] (or a clone) belongs to whoever reads a socket; the [`Tapped`] end to the recorder's thread.
//! Invariants: a frame never waits: where places or bytes have run out it is dropped and counted; buffers come back, so
//! a warm tap does not allocate; no system call, for the recorder looks by itself; without a recorder a tap is one branch.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::types::Time;

/// Buffers larger than this are not kept for the next frame.
const BUFFER_KEPT_BYTES_MAX: usize = 64 * 1024;

/// How much may wait for the recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapSpec {
    /// Frames.
    pub frames_max: usize,
    /// Bytes of all of them.
    pub bytes_max: usize,
}

impl TapSpec {
    /// The fiercest second of the recorded sessions has 1 100 frames: 15 s of it, in 64 MiB at most.
    pub const DEFAULT: TapSpec = TapSpec { frames_max: 16_384, bytes_max: 64 << 20 };
}

#[derive(Debug, Default)]
struct Counts {
    waiting_bytes: AtomicUsize,
    dropped: AtomicU64,
}

#[derive(Clone)]
struct Pipe {
    filled: Sender<TappedFrame>,
    empty: Receiver<Vec<u8>>,
    counts: Arc<Counts>,
    bytes_max: usize,
}

/// Where frames go in. The default one leads nowhere.
#[derive(Clone, Default)]
pub struct Tap {
    pipe: Option<Pipe>,
}

/// Where they come out.
#[derive(Debug)]
pub struct Tapped {
    filled: Receiver<TappedFrame>,
    empty: Sender<Vec<u8>>,
    counts: Arc<Counts>,
}

/// One copied frame.
#[derive(Debug)]
pub struct TappedFrame {
    /// When its last byte was read.
    pub recv: Time,
    source_len: usize,
    /// Name of the source, then the frame: one buffer for both.
    buffer: Vec<u8>,
}

impl TappedFrame {
    /// Which socket or address it came from.
    pub fn source(&self) -> &str {
        std::str::from_utf8(&self.buffer[..self.source_len]).unwrap_or_default()
    }
    /// The frame as it came.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.source_len..]
    }
}

/// Makes a tap and its other end.
pub fn tap(spec: TapSpec) -> (Tap, Tapped) {
    let (filled, filled_rx) = bounded(spec.frames_max);
    let (empty_tx, empty) = bounded(spec.frames_max);
    let counts = Arc::new(Counts::default());
    let pipe = Pipe { filled, empty, counts: Arc::clone(&counts), bytes_max: spec.bytes_max };
    (Tap { pipe: Some(pipe) }, Tapped { filled: filled_rx, empty: empty_tx, counts })
}

impl Tap {
    /// Copies a frame for the recorder, if there is one and it keeps up.
    #[inline]
    pub fn frame(&self, source: &str, recv: Time, bytes: &[u8]) {
        if let Some(pipe) = &self.pipe {
            pipe.frame(source, recv, bytes);
        }
    }
    /// Whether anybody records.
    pub fn is_open(&self) -> bool {
        self.pipe.is_some()
    }
    /// Frames that found no room.
    pub fn dropped(&self) -> u64 {
        self.pipe.as_ref().map_or(0, |pipe| pipe.counts.dropped.load(Ordering::Relaxed))
    }
}

impl Pipe {
    fn frame(&self, source: &str, recv: Time, bytes: &[u8]) {
        let len = source.len() + bytes.len();
        // Relaxed throughout: sums for a bound and for people; the channel itself publishes the frames.
        if self.counts.waiting_bytes.fetch_add(len, Ordering::Relaxed).saturating_add(len) > self.bytes_max {
            return self.drop(len);
        }
        let mut buffer = self.empty.try_recv().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(source.as_bytes());
        buffer.extend_from_slice(bytes);
        if self.filled.try_send(TappedFrame { recv, source_len: source.len(), buffer }).is_err() {
            self.drop(len);
        }
    }
    fn drop(&self, len: usize) {
        self.counts.waiting_bytes.fetch_sub(len, Ordering::Relaxed);
        self.counts.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl Tapped {
    /// The oldest frame that waits. Never blocks: a reader that slept in the channel would have to be woken.
    pub fn pop(&self) -> Option<TappedFrame> {
        self.filled.try_recv().ok()
    }
    /// Gives a frame's buffer back for the next one.
    pub fn give_back(&self, frame: TappedFrame) {
        self.counts.waiting_bytes.fetch_sub(frame.buffer.len(), Ordering::Relaxed);
        if frame.buffer.capacity() <= BUFFER_KEPT_BYTES_MAX {
            drop(self.empty.try_send(frame.buffer)); // enough of them are kept already
        }
    }
    /// Frames that found no room.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Tap({})", if self.is_open() { "open" } else { "none" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_and_a_tap_without_recorder_takes_nothing() {
        Tap::default().frame("nobody", Time(1), b"x");
        assert!(!Tap::default().is_open());
        let (tap, tapped) = tap(TapSpec::DEFAULT);
        tap.frame("binance_stream", Time(7), b"{}\n\0");
        tap.clone().frame("solana_ws", Time(8), b"");
        let frame = tapped.pop().expect("it waits");
        assert_eq!((frame.recv, frame.source(), frame.bytes()), (Time(7), "binance_stream", &b"{}\n\0"[..]));
        tapped.give_back(frame);
        let frame = tapped.pop().expect("it waits");
        assert_eq!((frame.recv, frame.source(), frame.bytes()), (Time(8), "solana_ws", &b""[..]));
        assert!(tapped.pop().is_none());
    }

    #[test]
    fn a_full_tap_drops_and_counts_by_frames_and_by_bytes_and_takes_frames_again_once_there_is_room() {
        let (tap, tapped) = tap(TapSpec { frames_max: 2, bytes_max: 10 });
        (0..5).for_each(|_| tap.frame("s", Time(1), b"12"));
        assert_eq!(tap.dropped(), 3, "two places");
        let frame = tapped.pop().expect("it waits");
        tap.frame("s", Time(1), b"123456789"); // 3 bytes wait in the channel, 3 with the reader
        assert_eq!(tap.dropped(), 4, "ten bytes");
        tapped.give_back(frame);
        tap.frame("s", Time(1), b"123456");
        assert_eq!((tap.dropped(), tapped.dropped()), (4, 4));
    }
}
