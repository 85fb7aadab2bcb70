//! `replay RECORDING`: recorded frames through the codecs and sessions that heard them live, under the recorded clock.
//!
//! Thread: main.  Invariants: a frame that cannot be decoded is reported with record and byte and never ends the run; the
//! same recording gives the same events, at any speed; memory does not grow with the recording.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::decode::market_event_json;
use super::{Failure, exit, words};
use crate::ledger::recording::{Reader, Record, RecordingError};
use crate::sim::play::{Pace, Probe, Speed, probe};
use crate::sys::clock::Clock;
use crate::types::event::Event;
use crate::types::instrument::Symbol;
use crate::types::time::{NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::{EventKind, StreamId, Time};
use crate::venue::binance_spot::candles::Interval;
use crate::venue::binance_spot::market::{self, MarketSession, MarketSettings, StaleAfter};
use crate::venue::solana::SlotSession;
use crate::venue::{DecodeError, defillama, pumpfun};

/// How often silence is looked for, in recorded time.
const CHORES_NS: i64 = 100 * NANOS_PER_MILLI;
/// Protocols of one recording.
const SLUGS_MAX: usize = 32;
/// How old a pump.fun reading may be.
const PUMP_STALE_NS: i64 = 600 * NANOS_PER_SEC;
/// The one connection of each socket: a recording does not tell them apart.
const CONN: u32 = 1;
/// The one node of the slots: a recording's first to tell a slot wins here too.
const ENDPOINT: usize = 0;
/// Length of candles where a recording has none.
const CANDLE_DEFAULT: &str = "5m";

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

/// What a record was to its codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A codec took it.
    Decoded,
    /// No codec here knows its source.
    Unknown,
}

/// The codecs and sessions of every source.
pub struct Listeners {
    market: Option<MarketSession>,
    settings: MarketSettings,
    slots: Option<SlotSession>,
    llama: Llama,
    pump: pumpfun::Reader,
    chores_at: Time,
}

/// DeFiLlama's reader and the newest body of each protocol: a protocol that appears later makes the reader anew.
struct Llama {
    bodies: BTreeMap<String, Vec<u8>>,
    reader: defillama::Reader,
}

impl Llama {
    fn over(slugs: Vec<String>) -> defillama::Reader {
        defillama::Reader::new(&defillama::Settings { slugs, settle_ns: 0 })
    }

    fn hear(&mut self, slug: &str, body: &[u8], recv: Time) -> Result<(), DecodeError> {
        let is_new = !self.bodies.contains_key(slug);
        if is_new && self.bodies.len() >= SLUGS_MAX {
            return Err(DecodeError::Missing { name: "slug" });
        }
        self.bodies.insert(slug.to_owned(), body.to_vec());
        if is_new {
            self.reader = Llama::over(self.bodies.keys().cloned().collect());
            for (known, body) in self.bodies.iter().filter(|(known, _)| *known != slug) {
                _ = self.reader.on_body(known, body, recv); // reported when it came
            }
        }
        self.reader.on_body(slug, body, recv).map(drop)
    }
}

impl Listeners {
    /// For one symbol and candle length. Errors: a pointer that is none.
    pub fn new(settings: &PlaybackSettings, probe: &Probe) -> Result<Listeners, Failure> {
        let bad = |why: &dyn std::fmt::Display| Failure::new(exit::BAD_CONFIG, why);
        let symbol = settings.symbol.or(probe.symbol).or_else(|| Symbol::new("SOLUSDT"));
        let symbol = symbol.ok_or_else(|| bad(&"no symbol"))?;
        let candle = probe.candle_s.and_then(interval_of).or_else(|| Interval::parse(CANDLE_DEFAULT));
        let candle = candle.ok_or_else(|| bad(&"no candle"))?;
        let candle_ns = 2 * i64::from(candle.seconds()) * NANOS_PER_SEC + 30 * NANOS_PER_SEC;
        let seconds = |count: i64| count * NANOS_PER_SEC;
        let stale_after = StaleAfter { bbo_ns: seconds(3), depth_ns: seconds(3), trade_ns: seconds(60), candle_ns };
        let depth_sample_ns = 0; // each depth message is told: nothing of a recording is left out
        let first_data_ns = seconds(10);
        let market = MarketSettings { symbol, candle, candles_seed: 0, stale_after, first_data_ns, depth_sample_ns };
        let pump = pumpfun::Reader::new(&settings.pumpfun_pointer, PUMP_STALE_NS.min(NANOS_PER_DAY));
        let pump = pump.map_err(|why| bad(&format!("--pumpfun-pointer: {why}")))?;
        let llama = Llama { bodies: BTreeMap::new(), reader: Llama::over(Vec::new()) };
        Ok(Listeners { market: None, settings: market, slots: None, llama, pump, chores_at: Time::NONE })
    }

    /// Takes the next record. This is the registry: a new source is one more line here. Errors: [`DecodeError`]; nothing
    /// was told then and the play goes on.
    pub fn hear(&mut self, record: &Record<'_>, emit: &mut dyn FnMut(Event)) -> Result<Heard, DecodeError> {
        self.look_at_the_clock(record.recv, emit);
        let (recv, bytes) = (record.recv, record.bytes);
        let (endpoint, path) = record.source.split_once(':').unwrap_or((record.source, ""));
        let endpoint = endpoint.split('#').next().unwrap_or(endpoint);
        match (endpoint, path.split('?').next().unwrap_or(path)) {
            ("binance_stream", _) => self.hear_market(bytes, recv, emit),
            ("binance_rest", "/api/v3/depth") => self.market(recv).on_snapshot(bytes, recv, &mut |event| emit(event)),
            ("binance_rest", "/api/v3/klines") => self.market(recv).on_klines(bytes, recv, &mut |event| emit(event)),
            ("solana_ws", _) => self.hear_slots(bytes, recv, emit),
            ("defillama", path) if path.starts_with("/overview/") => defillama::pump_protocols(bytes).map(drop),
            ("defillama", path) => {
                let slug = path.rsplit('/').next().unwrap_or(path);
                self.llama.hear(slug, bytes, recv)?;
                emit(volume(StreamId::DefiLlama, EventKind::Volume(self.llama.reader.sample(recv)), recv));
                Ok(())
            }
            ("pumpfun", _) => {
                self.pump.on_body(bytes, recv)?;
                emit(volume(StreamId::PumpFun, EventKind::Volume(self.pump.sample(recv)), recv));
                Ok(())
            }
            _ => return Ok(Heard::Unknown),
        }?;
        Ok(Heard::Decoded)
    }

    /// The market's session, opened with its first record.
    fn market(&mut self, recv: Time) -> &mut MarketSession {
        let settings = self.settings;
        self.market.get_or_insert_with(|| {
            let mut session = MarketSession::new(settings);
            session.on_open(CONN, recv);
            session
        })
    }

    fn hear_market(&mut self, frame: &[u8], recv: Time, emit: &mut dyn FnMut(Event)) -> Result<(), DecodeError> {
        let session = self.market(recv);
        let kind = session.on_frame(CONN, frame, recv, &mut |event| emit(event))?;
        if kind == market::FrameKind::Shutdown {
            // The recorder's next frames came over a new connection.
            session.on_down(CONN, recv, &mut |event| emit(event));
            session.on_open(CONN, recv);
        }
        Ok(())
    }

    fn hear_slots(&mut self, frame: &[u8], recv: Time, emit: &mut dyn FnMut(Event)) -> Result<(), DecodeError> {
        let session = self.slots.get_or_insert_with(|| {
            let mut session = SlotSession::new();
            session.on_open(ENDPOINT, CONN, recv, &mut |_| {});
            session
        });
        session.on_frame(ENDPOINT, CONN, frame, recv, &mut |event| emit(event)).map(drop)
    }

    /// Silence, in recorded time.
    fn look_at_the_clock(&mut self, now: Time, emit: &mut dyn FnMut(Event)) {
        if now < self.chores_at {
            return;
        }
        self.chores_at = now.plus(CHORES_NS);
        if let Some(session) = &mut self.market {
            session.on_timer(now, &mut |event| emit(event));
        }
        if let Some(session) = &mut self.slots {
            session.on_timer(now, &mut |event| emit(event));
        }
    }
}

fn interval_of(seconds: u32) -> Option<Interval> {
    const NAMES: [&str; 7] = ["1s", "1m", "3m", "5m", "15m", "30m", "1h"];
    NAMES.into_iter().filter_map(Interval::parse).find(|interval| interval.seconds() == seconds)
}

fn volume(stream: StreamId, kind: EventKind, recv: Time) -> Event {
    Event { seq: 0, recv, at: Time::NONE, venue_time: Time::NONE, stream, kind }
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
