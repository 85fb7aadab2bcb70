//! A recording as the market of the built-in venues: raw stream frames to whoever subscribed, REST answers and polls from
//! its bodies, slots as they came, and the matching engine's quotes on the recorded top of book, so that orders fill.
//!
//! Runs on: a helper thread of its own, unpinned.  Owns: the reader.  Clock: once per record.
//! Invariants: begins with the first market-stream client, so that it misses nothing; frames leave as they were recorded,
//! times in them unchanged; a damaged file ends the play with its place.

mod pace;
mod probe;

pub use pace::{Pace, Speed, SpeedError};
pub use probe::{Probe, probe};

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::server::fault::Fault;
use super::server::{Handle, Opening};
use crate::ledger::recording::{Reader, RecordingError, Torn};
use crate::sys::clock::Clock;
use crate::types::Time;

/// Longest wait between looks at the stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is played, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaySettings {
    /// A recording, or a folder of them.
    pub path: PathBuf,
    /// How fast.
    pub speed: Speed,
    /// Begin again at the end.
    pub repeat: bool,
}

/// What was played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// Records.
    pub records: u64,
    /// How often the whole recording.
    pub rounds: u64,
    /// Ends that a sudden end of the recorder cut.
    pub torn: Vec<Torn>,
}

/// The running player.
#[derive(Debug)]
pub struct Player {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Played, RecordingError>>,
}

impl Player {
    /// Gives the venues over to the recording that `probe` looked at, and waits for a client to play it to. Errors: the
    /// kernel's, when it has no thread to give.
    pub fn start(handle: Arc<Handle>, settings: PlaySettings, probe: &Probe, clock: Clock) -> io::Result<Player> {
        let bodies = probe.bodies.clone();
        handle.play(Opening { symbol: probe.symbol, slot: probe.slot, kraken: probe.kraken, bodies });
        let stop = Arc::new(AtomicBool::new(false));
        let run = Run { handle, settings, clock, stop: Arc::clone(&stop), played: Played::default() };
        let thread = std::thread::Builder::new().name("player".to_owned()).spawn(move || run.play())?;
        Ok(Player { stop, thread })
    }

    /// Whether it came to the end, or to a damaged place.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends it. Errors: the recording's.
    pub fn stop(self) -> Result<Played, RecordingError> {
        self.stop.store(true, Ordering::Release); // pairs with the Acquire in `stopping`
        self.thread.join().unwrap_or_else(|_| Ok(Played::default())) // it panicked: its own message is on stderr
    }
}

struct Run {
    handle: Arc<Handle>,
    settings: PlaySettings,
    clock: Clock,
    stop: Arc<AtomicBool>,
    played: Played,
}

impl Run {
    fn play(mut self) -> Result<Played, RecordingError> {
        while !self.stopping() {
            self.wait_for_a_client();
            self.round()?;
            if !self.settings.repeat || self.stopping() {
                break;
            }
            // The numbers begin again: to a client that stays these would be old news.
            self.handle.fault(Fault::DropStreams);
            self.handle.fault(Fault::DropSolana);
            self.handle.fault(Fault::DropKraken);
            self.handle.play_again();
        }
        Ok(self.played)
    }

    fn wait_for_a_client(&self) {
        while !self.stopping() && !self.handle.wait_for(LOOK_EVERY, |now| now.stream_clients > 0).1 {}
    }

    /// Plays it once.
    fn round(&mut self) -> Result<(), RecordingError> {
        let mut reader = Reader::open(&self.settings.path)?;
        let mut pace = Pace::new(self.settings.speed);
        while let Some(record) = reader.next_record()? {
            self.wait_until(pace.due(record.recv, self.clock.now()));
            if self.stopping() {
                return Ok(());
            }
            self.handle.play_record(record.source, record.bytes);
            self.played.records += 1;
        }
        self.played.torn = reader.torn().to_vec();
        self.played.rounds += 1;
        Ok(())
    }

    fn wait_until(&self, due: Time) {
        while !self.stopping() {
            let left_ns = due.since(self.clock.now());
            if left_ns <= 0 {
                return;
            }
            std::thread::park_timeout(Duration::from_nanos(left_ns.unsigned_abs()).min(LOOK_EVERY));
        }
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire) // pairs with the Release in `Player::stop`
    }
}
