//! `replay`: the engine of each run made again from the journal, its commands compared with those that were given.
//!
//! Thread: main.  Invariants: reads only; damage, loss and difference are named with file, byte and event, never skipped;
//! what could not be compared is never called verified.

use super::playback::{self, PlaybackSettings};
use super::{Failure, exit, words};

use crate::engine::rerun::{Difference, Rerun, Tally};
use crate::ledger::journal::{Entry, JOURNAL_DIR, JournalError, Place, Reader};
use crate::ledger::recording::is_recording;
use crate::sim::play::Speed;
use crate::sys::clock::Clock;
use crate::types::instrument::Symbol;
use crate::types::note::Lost;
use crate::types::time::NANOS_PER_SEC;
use crate::types::{Command, Event, Time};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

/// Arguments of `replay`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  sol_volume_bot replay data/journal --verify\n  \
    sol_volume_bot replay recordings --speed 1 --json")]
pub struct ReplayArgs {
    /// A journal segment (*.svj), a recording (*.svr.gz), or a folder of either; `journal` below the data directory if
    /// not given
    pub journal: Option<PathBuf>,
    /// Compare every command; exit 5 at the first difference
    #[arg(long)]
    pub verify: bool,
    /// Where the journal lies
    #[command(flatten)]
    pub place: JournalArgs,
    /// One JSON object; of a recording one event a line, then the summary
    #[arg(long)]
    pub json: bool,
    /// Of a recording: how fast; 1 = as it was
    #[arg(long, default_value = "max")]
    pub speed: Speed,
    /// Of a recording: whose market; its first one if not given
    #[arg(long)]
    pub symbol: Option<String>,
    /// Of a recording: where pump.fun's body has the 24 h volume
    #[arg(long, default_value = "/volume24h")]
    pub pumpfun_pointer: String,
}

/// Where a journal lies if its path is not given.
#[derive(Clone, Debug, clap::Args)]
pub struct JournalArgs {
    /// Configuration file: names the data directory
    #[arg(long, default_value = "config/config.toml")]
    pub config: PathBuf,
    /// Data directory; the file's `storage.data_dir` if not given
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
}

impl JournalArgs {
    /// The journal: the path given, or the folder below the data directory. Errors: it is not there.
    pub fn journal(&self, given: Option<&Path>) -> Result<PathBuf, Failure> {
        let path = match (given, &self.data_dir) {
            (Some(path), _) => path.to_owned(),
            (None, Some(dir)) => dir.join(JOURNAL_DIR),
            (None, None) => super::configured(&self.config)?.storage.data_dir.join(JOURNAL_DIR),
        };
        if path.exists() {
            return Ok(path);
        }
        let why = format!("{}: no such file or folder; name a journal, or --data-dir", path.display());
        Err(Failure::new(exit::BAD_CONFIG, &why))
    }
}

/// What a journal that cannot be opened or read means to whoever asked.
pub fn unreadable(why: &JournalError) -> Failure {
    let code = match why {
        JournalError::Io { .. } => exit::FAILED,
        JournalError::Empty { .. } => exit::BAD_CONFIG,
        _ => exit::DIFFERENCE,
    };
    Failure::new(code, why)
}

/// One run as it was gone through.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// Its number.
    pub epoch: u32,
    /// What was counted.
    pub tally: Tally,
    /// Events that were only read, because the run's beginning is not there.
    pub unseen: u64,
    /// Number of the last event if the journal ends inside its commands: the run ended suddenly.
    pub cut: Option<u64>,
}

/// Why a replay stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Journal and engine part here.
    Difference(Box<Difference>),
    /// Events are missing here.
    Lost(Lost),
}

/// Goes through a journal entry by entry.
#[derive(Debug)]
pub struct Replay {
    verify: bool,
    rerun: Option<Rerun>,
    runs: Vec<RunReport>,
}

impl Replay {
    /// Before the first entry. `verify` = compare the commands.
    pub fn new(verify: bool) -> Replay {
        Replay { verify, rerun: None, runs: Vec::new() }
    }

    /// Takes the next entry, which is of run `epoch`. Errors: where journal and engine part, or events are missing.
    pub fn take(&mut self, entry: &Entry, epoch: u32) -> Result<(), Fault> {
        match entry {
            Entry::Start(setup) => {
                self.end();
                self.runs.push(RunReport { epoch: setup.epoch, tally: Tally::default(), unseen: 0, cut: None });
                self.rerun = Some(Rerun::new(**setup).map_err(Fault::Difference)?);
            }
            Entry::Event(event) => match &mut self.rerun {
                Some(rerun) if self.verify => rerun.event(event).map_err(Fault::Difference)?,
                Some(rerun) => rerun.step(event).map_err(Fault::Difference)?,
                None => self.unseen(epoch),
            },
            Entry::Command(command) => {
                if let Some(rerun) = self.rerun.as_mut().filter(|_| self.verify) {
                    rerun.command(command).map_err(Fault::Difference)?;
                }
            }
            Entry::Wire(_) => {}
            Entry::Lost(lost) => return Err(Fault::Lost(*lost)),
        }
        Ok(())
    }

    fn unseen(&mut self, epoch: u32) {
        match self.runs.last_mut() {
            Some(run) => run.unseen += 1,
            None => self.runs.push(RunReport { epoch, tally: Tally::default(), unseen: 1, cut: None }),
        }
    }

    /// The run at hand is over.
    pub fn end(&mut self) {
        let (Some(rerun), Some(run)) = (self.rerun.take(), self.runs.last_mut()) else { return };
        run.tally = rerun.tally();
        run.cut = rerun.end().err().filter(|_| self.verify).map(|_| run.tally.events);
    }

    /// The runs so far; the last one is complete after [`Replay::end`].
    pub fn runs(&self) -> &[RunReport] {
        &self.runs
    }
    /// Events that an engine was made again with.
    pub fn events(&self) -> u64 {
        self.runs.iter().map(|run| run.tally.events).sum()
    }
}

/// Runs the verb: 0; 5 where journal and engine part or the journal is damaged; 2 if there is none.
pub fn run(args: &ReplayArgs) -> ExitCode {
    match replay(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => why.report("replay"),
    }
}

/// What stopped a replay, and where it stood.
struct Stop {
    why: Value,
    text: String,
}

fn replay(args: &ReplayArgs) -> Result<(), Failure> {
    let path = args.place.journal(args.journal.as_deref())?;
    if is_recording(&path) {
        return playback::play(&path, &playback_settings(args)?);
    }
    name_the_event_of_a_panic();
    let mut reader = Reader::open(&path).map_err(|why| unreadable(&why))?;
    let mut replay = Replay::new(args.verify);
    let clock = Clock::start();
    let from = clock.now();
    let stop = walk(&mut reader, &mut replay);
    replay.end();
    let took_ns = clock.now().since(from).max(1);
    let told = if args.json {
        report_json(&replay, &reader, stop.as_ref(), took_ns, args.verify).to_string()
    } else {
        report_text(&replay, &reader, took_ns, args.verify)
    };
    writeln!(std::io::stdout(), "{}", told.trim_end()).map_err(|why| Failure::new(exit::FAILED, &why))?;
    match stop {
        Some(stop) => Err(Failure::new(exit::DIFFERENCE, &stop.text)),
        None if args.verify && replay.events() == 0 => {
            Err(Failure::new(exit::DIFFERENCE, &"nothing to verify: no run has its beginning and an event here"))
        }
        None => Ok(()),
    }
}

fn playback_settings(args: &ReplayArgs) -> Result<PlaybackSettings, Failure> {
    if args.verify {
        let why = "--verify compares the engine's commands: a recording holds the market alone; name a journal";
        return Err(Failure::new(exit::BAD_CONFIG, &why));
    }
    let symbol = args.symbol.as_deref().map(|text| {
        let none = || Failure::new(exit::BAD_CONFIG, &format!("--symbol {text}: not a symbol such as SOLUSDT"));
        Symbol::new(text).ok_or_else(none)
    });
    let pumpfun_pointer = args.pumpfun_pointer.clone();
    Ok(PlaybackSettings { symbol: symbol.transpose()?, pumpfun_pointer, speed: args.speed, json: args.json })
}

fn walk(reader: &mut Reader, replay: &mut Replay) -> Option<Stop> {
    while let Some(entry) = reader.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(why) => {
                return Some(Stop { why: json!({"kind": "damage", "what": why.to_string()}), text: why.to_string() });
            }
        };
        if let Entry::Event(event) = &entry {
            AT.store(event.seq, Ordering::Relaxed);
        }
        if let Err(fault) = replay.take(&entry, reader.epoch().unwrap_or_default()) {
            return Some(stop(&fault, reader.place()));
        }
    }
    None
}

/// Number of the event being stepped, for the last word of a panic.
static AT: AtomicU64 = AtomicU64::new(0);

/// An engine that stops itself is what this verb is there to find: the event is named, and the exit code is 5.
fn name_the_event_of_a_panic() {
    std::panic::set_hook(Box::new(|why| {
        // Relaxed: written by this very thread.
        let (seq, mut err) = (AT.load(Ordering::Relaxed), std::io::stderr());
        drop(writeln!(err, "sol_volume_bot replay: the engine stopped itself at event {seq}: {why}"));
        std::process::exit(i32::from(exit::DIFFERENCE));
    }));
}

fn stop(fault: &Fault, place: Option<Place>) -> Stop {
    let at = place.map_or(String::new(), |place| {
        format!("{}, byte {}, record {}", place.path.display(), place.byte, place.record)
    });
    match fault {
        Fault::Lost(Lost { events, notes }) => Stop {
            text: format!(
                "{at}: {events} events and {notes} commands or notes are missing here: no replay beyond this"
            ),
            why: json!({"kind": "lost", "events": events, "notes": notes, "at": at}),
        },
        Fault::Difference(difference) => parted(difference, &at),
    }
}

/// The first difference in words: what the journal has, what the engine gives, what led to it.
fn parted(difference: &Difference, at: &str) -> Stop {
    let (event, nth, journal, engine) = match difference {
        Difference::Setup => {
            let text = format!("{at}: no engine can start from this setup");
            return Stop { why: json!({"kind": "setup", "at": at}), text };
        }
        Difference::Hole { expected, event } => {
            let found = said(event);
            let text =
                format!("{at}: event {expected} should come next, not earlier than the one before; found {found}");
            return Stop { why: json!({"kind": "hole", "expected": expected, "found": event.seq, "at": at}), text };
        }
        Difference::Headless { journal } => (None, 1, Some(journal), None),
        Difference::Other { event, place, journal, engine } => (Some(event), *place, Some(journal), Some(engine)),
        Difference::Extra { event, place, journal } => (Some(event), *place, Some(journal), None),
        Difference::Missing { event, place, engine } => (Some(event), *place, None, Some(engine)),
    };
    let shown = |command: Option<&Command>| match command {
        Some(command) => format!("{}\n      {command:?}", words::command(command)),
        None => "nothing".to_owned(),
    };
    let debug = |command: Option<&Command>| command.map(|command| format!("{command:?}"));
    let led = event.map_or("no event".to_owned(), said);
    let text = format!(
        "{at}: first difference: command {nth} of {led}\n  the journal has: {}\n  the engine gives: {}\n  the event: {event:?}",
        shown(journal),
        shown(engine)
    );
    let seq = event.map(|event| event.seq);
    let why = json!({"kind": "difference", "at": at, "event": seq, "place": nth, "journal": debug(journal), "engine": debug(engine)});
    Stop { why, text }
}

fn said(event: &Event) -> String {
    let (kind, stream, what) = (words::kind(event), event.stream.name(), words::event(event));
    format!("event {} at {}: {kind} of {stream}: {what}", event.seq, words::when(event.at))
}

fn per_second(events: u64, took_ns: i64) -> u64 {
    let (events, nanos) = (u128::from(events), u128::from(took_ns.unsigned_abs().max(1)));
    u64::try_from(events * u128::from(NANOS_PER_SEC.unsigned_abs()) / nanos).unwrap_or(u64::MAX)
}

fn report_text(replay: &Replay, reader: &Reader, took_ns: i64, verify: bool) -> String {
    let mut lines = Vec::new();
    for run in replay.runs() {
        let Tally { events, commands, orders, first, last } = run.tally;
        let span = words::span(last.since(first));
        lines.push(format!("run {}  {} to {}  {span}", run.epoch, words::when(first), words::when(last)));
        lines.push(format!("  {events} events, {commands} commands, {orders} of them new orders"));
        if run.unseen > 0 {
            lines.push(format!("  {} events only read: the beginning of this run is not here", run.unseen));
        }
        if let Some(seq) = run.cut {
            lines.push(format!("  ended suddenly, inside the commands of event {seq}"));
        }
    }
    if let Some(torn) = reader.torn() {
        let (path, byte, dropped) = (torn.path.display(), torn.byte, torn.dropped);
        lines.push(format!(
            "{path}: torn tail: {dropped} bytes after byte {byte} were never whole, as after a sudden end"
        ));
    }
    let what = if verify { "compared" } else { "made again, not compared: see --verify" };
    let (events, rate) = (replay.events(), per_second(replay.events(), took_ns));
    lines.push(format!("{events} events {what}, in {}, {rate} events/s", words::span(took_ns)));
    lines.join("\n")
}

fn report_json(replay: &Replay, reader: &Reader, stop: Option<&Stop>, took_ns: i64, verify: bool) -> Value {
    let time = |at: Time| (at != Time::NONE).then(|| words::when(at));
    let runs = replay.runs().iter().map(|run| {
        json!({
            "epoch": run.epoch,
            "events": run.tally.events,
            "commands": run.tally.commands,
            "orders": run.tally.orders,
            "first": time(run.tally.first),
            "last": time(run.tally.last),
            "span_ns": run.tally.last.since(run.tally.first),
            "unseen": run.unseen,
            "cut_at": run.cut,
        })
    });
    let torn = reader.torn().map(|torn| json!({"path": torn.path, "byte": torn.byte, "dropped": torn.dropped}));
    json!({
        "runs": runs.collect::<Vec<_>>(),
        "events": replay.events(),
        "verified": verify && stop.is_none() && replay.events() > 0,
        "stopped": stop.map(|stop| &stop.why),
        "torn": torn,
        "took_ns": took_ns,
        "events_per_second": per_second(replay.events(), took_ns),
    })
}
