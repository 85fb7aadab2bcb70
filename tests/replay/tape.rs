//! A journal made here from a whole round trip at the desk, and the verbs run over it.
//!
//! `Tape` removes its folder when it is dropped.

use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use sol_volume_bot::engine::{Engine, Setup};
use sol_volume_bot::ledger::journal::{Entry, Writer, WriterSettings};
use sol_volume_bot::types::note::{Verb, WireNote};
use sol_volume_bot::types::{Command, CommandBuf, Event, Time};

use crate::day::{NOON, SEC, setup};
use crate::desk::Desk;

/// What a verb said and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Exit code.
    pub code: Option<i32>,
    /// What it printed.
    pub out: String,
    /// What it complained of.
    pub err: String,
}

impl Said {
    /// As JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("no JSON ({why}): {self:?}"))
    }
}

/// Runs a verb of the real binary.
pub fn say(args: &[&str]) -> Said {
    let ended = Process::new(env!("CARGO_BIN_EXE_sol_volume_bot")).args(args).output().expect("the binary starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: ended.status.code(), out: text(&ended.stdout), err: text(&ended.stderr) }
}

/// A folder with a journal.
pub struct Tape {
    dir: PathBuf,
}

impl Tape {
    /// Of these entries, the first of which is the start of a run.
    pub fn of(entries: &[Entry]) -> Tape {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("svb-tape-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let tape = Tape { dir: std::env::temp_dir().join(name) };
        drop(std::fs::remove_dir_all(&tape.dir)); // of a dead process with our number
        for run in entries.chunk_by(|_, next| !matches!(next, Entry::Start(_))) {
            let Some((Entry::Start(setup), rest)) = run.split_first() else { panic!("a run begins with its start") };
            let settings = WriterSettings::new(tape.dir.clone(), 0);
            let (mut writer, _) = Writer::open(settings, setup.epoch, setup.now).expect("a writable folder");
            writer.start(setup);
            for entry in rest {
                writer.put(entry);
                writer.flush(setup.now).expect("room on the disk");
            }
            writer.finish(setup.now).expect("room on the disk");
        }
        tape
    }
    /// Of the round trip of [`entries`].
    pub fn whole() -> Tape {
        Tape::of(&entries())
    }

    /// Its folder.
    pub fn path(&self) -> &str {
        self.dir.to_str().expect("a name of plain letters")
    }
    /// Its segments, in order.
    pub fn segments(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> =
            std::fs::read_dir(&self.dir).expect("a folder").flatten().map(|entry| entry.path()).collect();
        found.sort();
        found
    }
    /// `replay --verify` over it.
    pub fn verify(&self) -> Said {
        say(&["replay", self.path(), "--verify"])
    }
    /// `explain` over it.
    pub fn explain(&self, question: &[&str]) -> Said {
        say(&[&["explain", "--journal", self.path()], question].concat())
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.dir)); // what stays is in the system's temporary folder
    }
}

/// The desk: five seconds of waiting, an entry of three tranches, out at the stop, five seconds after that.
pub fn round_trip() -> Desk {
    let mut desk = Desk::new();
    desk.volume("90000000");
    desk.pass(5 * SEC);
    desk.enter_all();
    desk.market("154.00", "154.01");
    desk.pass(5 * SEC);
    assert_eq!(desk.trades().len(), 1, "a whole round trip");
    desk
}

/// Its journal: what the gateway would note of each order stands before the command, as on two cores.
pub fn entries() -> Vec<Entry> {
    recorded(setup(), &round_trip().events)
}

/// What a run from `setup` over these events leaves.
pub fn recorded(setup: Setup, events: &[Event]) -> Vec<Entry> {
    let (mut engine, mut out) = (Engine::new(setup), CommandBuf::new());
    let mut entries = vec![Entry::Start(Box::new(setup))];
    for event in events {
        out.clear();
        engine.step(event, &mut out);
        entries.extend(out.iter().flat_map(|command| noted(command, event.recv)));
        entries.push(Entry::Event(*event));
        entries.extend(out.iter().map(|command| Entry::Command(*command)));
    }
    entries
}

fn noted(command: &Command, trigger: Time) -> Vec<Entry> {
    let (id, verb) = match command {
        Command::Place(new) => (new.id, Verb::Place),
        Command::PlaceOco(oco) => (oco.list, Verb::PlaceOco),
        _ => return Vec::new(),
    };
    let sent = Time(trigger.0 + 9_000);
    let sent = WireNote::Sent { id, verb, sent, trigger, stages_ns: [1_000, 2_000, 800, 1_200, 4_000] };
    let answered = WireNote::Answered { id, verb, took_ns: 700_000, code: 0 };
    vec![Entry::Wire(sent), Entry::Wire(answered)]
}

/// Position of the first entry for which `is` holds.
pub fn find(entries: &[Entry], is: impl Fn(&Entry) -> bool) -> usize {
    entries.iter().position(is).expect("such an entry")
}

/// RFC 3339 of some nanoseconds after noon.
pub fn after_noon(ns: i64) -> String {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(NOON.plus(ns).0.unsigned_abs());
    humantime::format_rfc3339_nanos(at).to_string()
}

/// A copy of the file with one bit turned.
pub fn flip(path: &Path, byte: usize, bit: u8) {
    let mut bytes = std::fs::read(path).expect("a segment");
    bytes[byte] ^= 1 << bit;
    std::fs::write(path, bytes).expect("a writable folder");
}
