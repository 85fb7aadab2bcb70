//! `replay RECORDING`: recorded frames through the codecs and sessions that heard them live, under the recorded clock.
//!
//! Thread: main.  Invariants: a frame that cannot be decoded is reported with record and byte and never ends the run; the
//! same recording gives the same events, at any speed; memory does not grow with the recording.

mod further;
mod listeners;

pub use listeners::{Heard, Listeners};

use std::collections::BTreeMap;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::decode::market_event_json;
use super::{Failure, exit, words};
use crate::ledger::recording::{Reader, Record, RecordingError};
use crate::sim::play::{Pace, Speed, probe};
use crate::sys::clock::Clock;
use crate::types::Time;
use crate::types::instrument::Symbol;

/// What to play.
#[derive(Clone, Debug)]
pub struct PlaybackSettings {
    /// Whose market; the recording's first if not given.
    pub symbol: Option<Symbol>,
    /// Where pump.fun's body has its number.
    pub pumpfun_pointer: String,
    /// How fast.
    pub speed: Speed,
    /// One event a line.
    pub json: bool,
}

/// What was counted.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Records by source.
    pub sources: BTreeMap<String, u64>,
    /// Events by stream and kind.
    pub events: BTreeMap<(&'static str, &'static str), u64>,
    /// Records that no codec here knows.
    pub unknown: u64,
    /// Records that could not be decoded.
    pub undecodable: u64,
    /// Receive times of the first and the last record.
    pub span: Option<(Time, Time)>,
}

impl Tally {
    fn records(&self) -> u64 {
        self.sources.values().sum()
    }
}

/// Plays a recording. Errors: damage, or a frame that could not be decoded, with exit code 5.
pub fn play(path: &Path, settings: &PlaybackSettings) -> Result<(), Failure> {
    let looked = probe(path).map_err(|why| unreadable(&why))?;
    let mut listeners = Listeners::new(settings, &looked)?;
    let mut reader = Reader::open(path).map_err(|why| unreadable(&why))?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut tally = Tally::default();
    let walked = walk(&mut reader, &mut listeners, settings, (&mut out, &mut tally));
    let stop = match walked {
        Ok(stop) => stop,
        Err(why) if why.kind() == ErrorKind::BrokenPipe => return Ok(()), // the reader had enough
        Err(why) => return Err(Failure::new(exit::FAILED, &why)),
    };
    let told = if settings.json { report_json(&tally, &reader).to_string() } else { report_text(&tally, &reader) };
    writeln!(out, "{told}").and_then(|()| out.flush()).map_err(|why| Failure::new(exit::FAILED, &why))?;
    match stop {
        Some(why) => Err(unreadable(&why)),
        None if tally.undecodable > 0 => {
            let (bad, all) = (tally.undecodable, tally.records());
            Err(Failure::new(exit::DIFFERENCE, &format!("{bad} of {all} records could not be decoded")))
        }
        None => Ok(()),
    }
}

/// What a recording that cannot be read means.
pub fn unreadable(why: &RecordingError) -> Failure {
    let code = match why {
        RecordingError::Io { .. } => exit::FAILED,
        RecordingError::Empty { .. } | RecordingError::Alien { .. } => exit::BAD_CONFIG,
        RecordingError::Format { .. } | RecordingError::Damaged { .. } => exit::DIFFERENCE,
    };
    Failure::new(code, why)
}

/// Goes through all records. Output: the damage that ended it. Errors: stdout's.
fn walk(
    reader: &mut Reader,
    listeners: &mut Listeners,
    settings: &PlaybackSettings,
    (out, tally): (&mut impl Write, &mut Tally),
) -> io::Result<Option<RecordingError>> {
    let (clock, mut pace) = (Clock::start(), Pace::new(settings.speed));
    loop {
        let record = match reader.next_record() {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(None),
            Err(why) => return Ok(Some(why)),
        };
        if settings.speed != Speed::Max {
            out.flush()?; // somebody watches
            wait_until(pace.due(record.recv, clock.now()), clock);
        }
        note(tally, &record);
        let mut wrote = Ok(());
        let heard = listeners.hear(&record, &mut |event| {
            *tally.events.entry((event.stream.name(), words::kind(&event))).or_default() += 1;
            if settings.json && wrote.is_ok() {
                wrote = writeln!(out, "{}", market_event_json(&event));
            }
        });
        wrote?;
        match heard {
            Ok(Heard::Decoded) => {}
            Ok(Heard::Unknown) => tally.unknown += 1,
            Err(why) => {
                tally.undecodable += 1;
                let (number, source, byte) = (record.number, record.source, why.at().unwrap_or(0));
                writeln!(io::stderr(), "replay: record {number} ({source}), byte {byte}: {why}")?;
            }
        }
    }
}

fn note(tally: &mut Tally, record: &Record<'_>) {
    match tally.sources.get_mut(record.source) {
        Some(count) => *count += 1,
        None => drop(tally.sources.insert(record.source.to_owned(), 1)),
    }
    let first = tally.span.map_or(record.recv, |(first, _)| first);
    tally.span = Some((first, record.recv));
}

fn wait_until(due: Time, clock: Clock) {
    loop {
        let left_ns = due.since(clock.now());
        if left_ns <= 0 {
            return;
        }
        std::thread::park_timeout(Duration::from_nanos(left_ns.unsigned_abs()));
    }
}

fn report_text(tally: &Tally, reader: &Reader) -> String {
    let mut lines = Vec::new();
    if let Some((first, last)) = tally.span {
        let span = words::span(last.since(first));
        lines.push(format!("{} records, {} to {}  {span}", tally.records(), words::when(first), words::when(last)));
    }
    lines.extend(tally.sources.iter().map(|(source, count)| format!("  {count:>9}  {source}")));
    lines.push("events".to_owned());
    lines.extend(tally.events.iter().map(|((stream, kind), count)| format!("  {count:>9}  {stream} {kind}")));
    if tally.unknown > 0 {
        lines.push(format!("{} records of sources that no codec here knows", tally.unknown));
    }
    for torn in reader.torn() {
        let (path, byte, dropped) = (torn.path.display(), torn.byte, torn.dropped);
        let records = torn.records;
        lines.push(format!(
            "{path}: torn tail: {records} records are whole; {dropped} bytes after byte {byte} never were, as after a sudden end"
        ));
    }
    lines.push(format!("{} undecodable", tally.undecodable));
    lines.join("\n")
}

fn report_json(tally: &Tally, reader: &Reader) -> Value {
    let mut events: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for ((stream, kind), count) in &tally.events {
        events.entry(stream).or_default().insert(kind, *count);
    }
    let torn = reader
        .torn()
        .iter()
        .map(|torn| json!({"path": torn.path, "byte": torn.byte, "dropped": torn.dropped, "records": torn.records}));
    json!({
        "kind": "summary",
        "records": tally.records(),
        "sources": tally.sources,
        "events": events,
        "unknown": tally.unknown,
        "undecodable": tally.undecodable,
        "first_ns": tally.span.map(|(first, _)| first.0),
        "last_ns": tally.span.map(|(_, last)| last.0),
        "torn": torn.collect::<Vec<_>>(),
    })
}
