//! The recorder: tapped frames to disk.
//!
//! Runs on: the helper thread `recorder`, unpinned.  Owns: the recording's writer.  Clock: read once per look.
//! Invariants: looks at the tap by itself, so no socket's thread is held up to wake it; an error of the disk ends it, and
//! whoever started it can see that it ended.

use std::collections::BTreeMap;
use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use crate::ledger::recording::{ClosedFile, RecordingError, SourceCount, Writer};
use crate::ring::Tapped;
use crate::sys::clock::Clock;

/// Time between looks at an empty tap.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Frames written before the stop is looked at.
const FRAMES_PER_LOOK_MAX: usize = 4_096;

/// What was recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Records and payload bytes by source.
    pub sources: BTreeMap<String, SourceCount>,
    /// Frames that found no room on the way here.
    pub dropped: u64,
    /// Payloads longer than any source sends.
    pub refused: u64,
}

/// The running thread.
#[derive(Debug)]
pub struct Recorder {
    stop: Sender<()>,
    thread: JoinHandle<Result<Recorded, RecordingError>>,
}

impl Recorder {
    /// Starts it: what comes from a source that `keep` names is written, and `told` hears of every file that is closed,
    /// on the recorder's thread. Errors: the kernel's, when it has
    /// no thread to give.
    pub fn start(
        writer: Writer,
        tapped: Tapped,
        clock: Clock,
        keep: impl FnMut(&str) -> bool + Send + 'static,
        told: impl FnMut(&ClosedFile) + Send + 'static,
    ) -> io::Result<Recorder> {
        let (stop, stopped) = bounded::<()>(0);
        let mut work = Work { writer, tapped, keep, told };
        let run = move || {
            loop {
                let wrote = work.turn(clock)?;
                let wait = if wrote == FRAMES_PER_LOOK_MAX { Duration::ZERO } else { LOOK_EVERY };
                if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                    return work.finish(clock);
                }
            }
        };
        let thread = std::thread::Builder::new().name("recorder".to_owned()).spawn(run)?;
        Ok(Recorder { stop, thread })
    }

    /// Whether it has ended by itself: the disk did not take what came.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Writes what still waits in the tap, closes the file and ends. Errors: what ended it.
    pub fn stop(self) -> Result<Recorded, RecordingError> {
        drop(self.stop);
        self.thread.join().unwrap_or_else(|_| Ok(Recorded::default())) // it panicked: its own message is on stderr
    }
}

struct Work<K, F> {
    writer: Writer,
    tapped: Tapped,
    keep: K,
    told: F,
}

impl<K: FnMut(&str) -> bool, F: FnMut(&ClosedFile)> Work<K, F> {
    /// Writes what waits, within a bound. Output: how many frames.
    fn turn(&mut self, clock: Clock) -> Result<usize, RecordingError> {
        let mut wrote = 0;
        while wrote < FRAMES_PER_LOOK_MAX {
            let Some(frame) = self.tapped.pop() else { break };
            let put = match (self.keep)(frame.source()) {
                true => self.writer.put(frame.recv, frame.source(), frame.bytes()),
                false => Ok(()),
            };
            self.tapped.give_back(frame);
            put?;
            wrote += 1;
        }
        self.writer.tend(clock.now())?;
        self.tell();
        Ok(wrote)
    }

    fn finish(mut self, clock: Clock) -> Result<Recorded, RecordingError> {
        while self.turn(clock)? == FRAMES_PER_LOOK_MAX {}
        self.writer.finish()?;
        self.tell();
        let (sources, dropped) = (self.writer.counts().clone(), self.tapped.dropped());
        Ok(Recorded { sources, dropped, refused: self.writer.refused() })
    }

    fn tell(&mut self) {
        self.writer.take_closed().iter().for_each(&mut self.told);
    }
}
