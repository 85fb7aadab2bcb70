//! The registry of sources: which codec or session takes a recorded line.
//!
//! Thread: main.  Invariants: time is the recording's; a line that cannot be decoded tells nothing; the same lines give
//! the same events.

use std::collections::BTreeMap;

use super::PlaybackSettings;
use super::further::Further;
use crate::cli::{Failure, exit};
use crate::ledger::recording::Record;
use crate::sim::play::Probe;
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
    further: Further,
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
        let further = Further::new(probe).map_err(|why| bad(&why))?;
        Ok(Listeners { market: None, settings: market, slots: None, llama, pump, further, chores_at: Time::NONE })
    }

    /// Takes the next record. This is the registry: a new source is one more line here. Errors: [`DecodeError`]; nothing
    /// was told then and the play goes on.
    pub fn hear(&mut self, record: &Record<'_>, emit: &mut dyn FnMut(Event)) -> Result<Heard, DecodeError> {
        let mut around = self.further.around;
        let mut tell = |event: Event| {
            around.note(&event);
            emit(event);
        };
        let heard = self.hear_line(record, &mut tell);
        self.further.around = around;
        heard
    }

    fn hear_line(&mut self, record: &Record<'_>, emit: &mut dyn FnMut(Event)) -> Result<Heard, DecodeError> {
        self.look_at_the_clock(record.recv, emit);
        let (recv, bytes) = (record.recv, record.bytes);
        let (endpoint, full) = record.source.split_once(':').unwrap_or((record.source, ""));
        let endpoint = endpoint.split('#').next().unwrap_or(endpoint);
        match (endpoint, full.split('?').next().unwrap_or(full)) {
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
            (_, path) => match self.further.hear((endpoint, path, full), bytes, recv, emit) {
                Some(heard) => heard,
                None => return Ok(Heard::Unknown),
            },
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
        self.further.look_at_the_clock(now, emit);
    }
}

fn interval_of(seconds: u32) -> Option<Interval> {
    const NAMES: [&str; 7] = ["1s", "1m", "3m", "5m", "15m", "30m", "1h"];
    NAMES.into_iter().filter_map(Interval::parse).find(|interval| interval.seconds() == seconds)
}

pub(super) fn volume(stream: StreamId, kind: EventKind, recv: Time) -> Event {
    Event { seq: 0, recv, at: Time::NONE, venue_time: Time::NONE, stream, kind }
}
