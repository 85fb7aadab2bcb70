//! The ingest agent: market sockets in, events out.
//!
//! Runs on: the `ingest` core, or fused with `hot` and `gateway`.  Owns: the market and slot links, the REST client
//! for snapshots and missing candles, and the pure sessions behind them.
//! Clock: once per read, by the links; once more after each decode.
//! Writes: rings `market`, `journal_ingest`; the newest mid, for the gateway.  Never: blocks, decides, sends an order.

use super::runner::{Agent, Work};
use crate::ring::{EventItem, LatestMid, LatestSlot, Sender, Tap};
use crate::sys::clock::Clock;
use crate::sys::net::{ConnId, DownReason, FrameVerdict, HttpClient, Link, LinkHandler, Method, Outbox, Request};
use crate::types::event::{Event, EventKind, StreamState};
use crate::types::note::WireNote;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::{Price, StreamId, Time};
use crate::venue::DecodeError;
use crate::venue::binance_spot::market::{self, MarketSession, MarketSettings};
use crate::venue::binance_spot::retry;
use crate::venue::solana::{self, ENDPOINTS_MAX, SlotSession, SlotSettings};
use std::sync::Arc;

/// How often silence is looked for and REST requests are considered.
const CHORES_NS: i64 = 100 * NANOS_PER_MILLI;
/// Longest wait for a snapshot or candles.
const REST_TIMEOUT_NS: i64 = 10 * NANOS_PER_SEC;
/// What a recording calls the slot endpoints.
const SLOT_SOURCES: [&str; ENDPOINTS_MAX] = [
    "solana_ws",
    "solana_ws#2",
    "solana_ws#3",
    "solana_ws#4",
    "solana_ws#5",
    "solana_ws#6",
    "solana_ws#7",
    "solana_ws#8",
];
/// The streams of one market connection: they fall together.
const MARKET_STREAMS: [StreamId; 4] =
    [StreamId::BinanceBbo, StreamId::BinanceDepth, StreamId::BinanceTrade, StreamId::BinanceCandle];

/// The ingest agent.
pub struct Ingest {
    market: Link,
    tape: Tape,
    slots: Vec<Link>,
    chain: Chain,
    rest: HttpClient,
    asked: Option<Asked>,
    /// The venue wants nothing asked by REST before this.
    ask_from: Time,
    chores_at: Time,
    /// The turn before left the slots alone; never two in a row.
    slots_wait: bool,
}

/// What the REST client was last asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Snapshot,
    Candles,
}

impl Asked {
    /// What a recording calls the answer.
    fn source(self) -> &'static str {
        match self {
            Asked::Snapshot => "binance_rest:/api/v3/depth",
            Asked::Candles => "binance_rest:/api/v3/klines",
        }
    }
}

/// Way out to the rings, shared by both links' handlers in turn.
struct Out {
    clock: Clock,
    market: Sender<EventItem>,
    journal: Sender<WireNote>,
    mid: Arc<LatestMid>,
    slot: Arc<LatestSlot>,
    /// An event found no room: what the engine believes has a hole.
    overflowed: bool,
    /// Hears every frame of the market as it came.
    tap: Tap,
    /// Streams that come another way, one bit each: what is heard of them here is not told.
    elsewhere: u32,
}

/// The market link's handler.
struct Tape {
    session: MarketSession,
    settings: MarketSettings,
    out: Out,
    opened: u64,
}

/// What the slot links hear; it goes out through the tape's rings.
struct Chain {
    session: SlotSession,
    heard: Vec<Event>,
    opened: [bool; ENDPOINTS_MAX],
    reconnected: u32,
    tap: Tap,
}

/// The handler of one of the slot links.
struct ChainAt<'a> {
    chain: &'a mut Chain,
    endpoint: usize,
}

/// Connections of the agent, not yet open.
pub struct IngestLinks {
    /// Binance market streams.
    pub market: Link,
    /// Solana slots, one link an endpoint; at least one, at most [`ENDPOINTS_MAX`].
    pub slots: Vec<Link>,
    /// Binance REST.
    pub rest: HttpClient,
}

impl Ingest {
    /// Around links that are not connected yet.
    pub fn new(
        links: IngestLinks,
        settings: MarketSettings,
        clock: Clock,
        (market, journal): (Sender<EventItem>, Sender<WireNote>),
        mid: Arc<LatestMid>,
    ) -> Ingest {
        let out = Out {
            clock,
            market,
            journal,
            mid,
            slot: Arc::default(),
            overflowed: false,
            elsewhere: 0,
            tap: Tap::default(),
        };
        let tape = Tape { session: MarketSession::new(settings), settings, out, opened: 0 };
        let IngestLinks { market, slots, rest } = links;
        assert!((1..=ENDPOINTS_MAX).contains(&slots.len()), "{} slot endpoints", slots.len());
        let session = SlotSession::with(SlotSettings { endpoints: slots.len(), ..SlotSettings::default() });
        let chain = Chain {
            session,
            heard: Vec::with_capacity(64),
            opened: [false; ENDPOINTS_MAX],
            reconnected: 0,
            tap: Tap::default(),
        };
        Ingest {
            market,
            tape,
            slots,
            chain,
            rest,
            asked: None,
            ask_from: Time::NONE,
            chores_at: Time::NONE,
            slots_wait: false,
        }
    }

    /// With a place for the newest slot, for whoever measures an age by it.
    pub fn with_slot(mut self, slot: Arc<LatestSlot>) -> Ingest {
        self.tape.out.slot = slot;
        self
    }

    /// The same, an endpoint of the slots being named by other limits than the default ones.
    pub fn with_slot_settings(mut self, settings: SlotSettings) -> Ingest {
        self.chain.session = SlotSession::with(SlotSettings { endpoints: self.slots.len(), ..settings });
        self
    }

    /// Reads the slot links. Output: what was done.
    fn hear_slots(&mut self, now: Time) -> usize {
        let mut handled = 0;
        for (endpoint, link) in self.slots.iter_mut().enumerate() {
            handled += link.turn(now, &mut ChainAt { chain: &mut self.chain, endpoint });
        }
        for event in self.chain.heard.drain(..) {
            self.tape.out.tell(event);
        }
        for _ in 0..std::mem::take(&mut self.chain.reconnected) {
            self.tape.out.note(WireNote::Reconnected { stream: StreamId::SolanaSlot });
        }
        handled
    }

    /// Lets a recorder hear every frame and answer, as it came.
    pub fn with_tap(mut self, tap: Tap) -> Ingest {
        self.chain.tap = tap.clone();
        self.tape.out.tap = tap;
        self
    }

    /// Leaves these streams to whoever else brings them.
    pub fn without(mut self, streams: &[StreamId]) -> Ingest {
        self.tape.out.elsewhere = streams.iter().fold(0, |bits, stream| bits | 1 << (*stream as u8));
        self
    }

    /// Ten times a second: silence, and what is owed by REST.
    fn do_chores(&mut self, now: Time) {
        self.chores_at = now.plus(CHORES_NS);
        let Tape { session, out, .. } = &mut self.tape;
        session.on_timer(now, &mut |event| out.tell(event));
        self.chain.session.on_timer(now, &mut |event| out.tell(event));
        while let Some(note) = self.chain.session.take_note() {
            log::warn!("{note}");
        }
        if self.asked.is_none() && !self.rest.is_busy() && now >= self.ask_from {
            self.ask(now);
        }
        if self.tape.out.overflowed && self.tape.out.market.room() > self.tape.out.market.depth() / 2 {
            self.start_anew(now);
        }
    }

    fn ask(&mut self, now: Time) {
        let session = &mut self.tape.session;
        let snapshot = session.snapshot_wanted(now).map(|path| (Asked::Snapshot, path));
        let wanted = snapshot.or_else(|| session.klines_wanted(now).map(|path| (Asked::Candles, path)));
        let Some((asked, path)) = wanted else { return };
        let deadline = now.plus(REST_TIMEOUT_NS);
        let request = Request { method: Method::Get, path: &path, headers: &[], body: &[], deadline };
        self.asked = Some(asked);
        if let Err(why) = self.rest.request(&request, now) {
            log::warn!("GET {path}: {why}");
            self.tape.rest_failed(self.asked.take(), now);
        }
    }

    /// Moves the REST request on; true if it ended.
    fn hear_answer(&mut self, now: Time) -> bool {
        let Some(answer) = self.rest.turn(now) else { return false };
        let asked = self.asked.take();
        match answer {
            Ok(response) if response.status == 200 => self.tape.on_answer(asked, response.body, response.recv),
            Ok(response) => {
                log::warn!("REST answer {} to {asked:?}", response.status);
                let retry_after_s = response.header("retry-after").and_then(|text| text.parse().ok());
                if let Some(wait_ns) = retry::told_to_wait_ns(response.status, retry_after_s) {
                    self.ask_from = now.plus(wait_ns);
                }
                self.tape.rest_failed(asked, now);
            }
            Err(why) => {
                log::warn!("REST request {asked:?} failed: {why}");
                self.tape.rest_failed(asked, now);
            }
        }
        true
    }

    /// Events were lost between us and the engine: all streams begin again, so that nothing is believed by halves.
    fn start_anew(&mut self, now: Time) {
        self.tape.out.overflowed = false;
        self.tape.session = MarketSession::new(self.tape.settings);
        for stream in MARKET_STREAMS {
            let kind = EventKind::Stream(StreamState::Gap);
            self.tape.out.tell(Event { seq: 0, recv: now, at: now, venue_time: Time::NONE, stream, kind });
        }
        self.market.reset(now, &mut self.tape);
    }
}

impl Out {
    fn is_elsewhere(&self, stream: StreamId) -> bool {
        self.elsewhere >> (stream as u8) & 1 == 1
    }
    fn tell(&mut self, event: Event) {
        if self.is_elsewhere(event.stream) {
            return;
        }
        match event.kind {
            EventKind::Bbo(bbo) => self.mid.set(Price::mid(bbo.bid, bbo.ask), event.recv),
            EventKind::Slot(slot) => self.slot.set(slot.slot),
            _ => {}
        }
        let item = EventItem { event, decoded: self.clock.now() };
        self.overflowed |= self.market.push(item).is_err();
    }
    fn note(&mut self, note: WireNote) {
        _ = self.journal.push(note); // a figure: dropped and counted by the gauge
    }
    fn bad_frame(&mut self, stream: StreamId, why: DecodeError) {
        let at_byte = u32::try_from(why.at().unwrap_or(0)).unwrap_or(u32::MAX);
        self.note(WireNote::BadFrame { stream, at_byte });
    }
}

impl Tape {
    fn on_answer(&mut self, asked: Option<Asked>, body: &[u8], recv: Time) {
        let out = &mut self.out;
        if let Some(asked) = asked {
            out.tap.frame(asked.source(), recv, body);
        }
        let mut emit = |event: Event| out.tell(event);
        let taken = match asked {
            Some(Asked::Snapshot) => self.session.on_snapshot(body, recv, &mut emit),
            Some(Asked::Candles) => self.session.on_klines(body, recv, &mut emit),
            None => Ok(()),
        };
        if let Err(why) = taken {
            log::warn!("REST answer to {asked:?} cannot be read: {why}");
        }
    }
    fn rest_failed(&mut self, asked: Option<Asked>, now: Time) {
        match asked {
            Some(Asked::Snapshot) => self.session.on_snapshot_failed(now),
            Some(Asked::Candles) => self.session.on_klines_failed(now),
            None => {}
        }
    }
}

impl LinkHandler for Tape {
    fn on_open(&mut self, conn: ConnId, now: Time, _out: &mut Outbox<'_>) {
        self.session.on_open(conn.0, now); // the path named the streams: nothing to send
        self.opened += 1;
        if self.opened > 1 {
            MARKET_STREAMS.iter().for_each(|&stream| self.out.note(WireNote::Reconnected { stream }));
        }
    }

    fn on_frame(&mut self, conn: ConnId, frame: &[u8], recv: Time, _out: &mut Outbox<'_>) -> FrameVerdict {
        let out = &mut self.out;
        out.tap.frame("binance_stream", recv, frame);
        match self.session.on_frame(conn.0, frame, recv, &mut |event| out.tell(event)) {
            Ok(market::FrameKind::Data) => FrameVerdict::Data,
            Ok(market::FrameKind::Control) => FrameVerdict::Control,
            Ok(market::FrameKind::Shutdown) => FrameVerdict::Shutdown,
            Ok(market::FrameKind::Refused { code }) => {
                log::warn!("the market stream refused a request, code {code}");
                FrameVerdict::Control
            }
            Err(why) => {
                self.out.bad_frame(StreamId::BinanceBbo, why);
                FrameVerdict::Control
            }
        }
    }

    fn on_down(&mut self, conn: ConnId, reason: &DownReason, now: Time) {
        log::warn!("the market connection ended: {reason}");
        let out = &mut self.out;
        self.session.on_down(conn.0, now, &mut |event| out.tell(event));
    }
}

impl LinkHandler for ChainAt<'_> {
    fn on_open(&mut self, conn: ConnId, now: Time, out: &mut Outbox<'_>) {
        if let Some(opened) = self.chain.opened.get_mut(self.endpoint) {
            self.chain.reconnected += u32::from(std::mem::replace(opened, true));
        }
        self.chain.session.on_open(self.endpoint, conn.0, now, &mut |text| {
            if let Err(why) = out.text(text) {
                log::warn!("the slot subscription was not written: {why}");
            }
        });
    }

    fn on_frame(&mut self, conn: ConnId, frame: &[u8], recv: Time, _out: &mut Outbox<'_>) -> FrameVerdict {
        let Chain { session, heard, tap, .. } = &mut *self.chain;
        tap.frame(SLOT_SOURCES.get(self.endpoint).copied().unwrap_or("solana_ws"), recv, frame);
        match session.on_frame(self.endpoint, conn.0, frame, recv, &mut |event| heard.push(event)) {
            Ok(solana::FrameKind::Data) => FrameVerdict::Data,
            Ok(solana::FrameKind::Control) => FrameVerdict::Control,
            Ok(solana::FrameKind::Reset) => FrameVerdict::Reset,
            Err(why) => {
                log::warn!("an undecodable frame of slot endpoint {}: {why}", self.endpoint);
                FrameVerdict::Control
            }
        }
    }

    fn on_down(&mut self, conn: ConnId, reason: &DownReason, now: Time) {
        log::warn!("the connection to slot endpoint {} ended: {reason}", self.endpoint);
        let Chain { session, heard, .. } = &mut *self.chain;
        session.on_down(self.endpoint, conn.0, now, &mut |event| heard.push(event));
    }
}

impl Agent for Ingest {
    fn turn(&mut self, now: Time) -> Work {
        let mut handled = self.market.turn(now, &mut self.tape);
        // A tick goes on at once: on a fused core a look at the other socket would stand between it and its order.
        self.slots_wait = handled > 0 && !self.slots_wait;
        if self.slots_wait {
            return Work { count: u32::try_from(handled).unwrap_or(u32::MAX) };
        }
        if !self.tape.out.is_elsewhere(StreamId::SolanaSlot) {
            handled += self.hear_slots(now);
        }
        handled += usize::from(self.asked.is_some() && self.hear_answer(now));
        if now >= self.chores_at {
            self.do_chores(now);
        }
        Work { count: u32::try_from(handled).unwrap_or(u32::MAX) }
    }
    fn idle(&self) -> bool {
        true // it reads sockets only, and those wake the poller
    }
    fn deadline(&self) -> Option<Time> {
        let has_slots = !self.tape.out.is_elsewhere(StreamId::SolanaSlot);
        let slots = self.slots.iter().filter(|_| has_slots).map(Link::next_deadline);
        let links = slots.fold(self.market.next_deadline(), Time::min);
        Some(links.min(self.chores_at).min(self.rest.next_deadline().unwrap_or(Time(i64::MAX))))
    }
    fn finish(&mut self, now: Time) {
        self.market.stop(now, &mut self.tape);
        for (endpoint, link) in self.slots.iter_mut().enumerate() {
            link.stop(now, &mut ChainAt { chain: &mut self.chain, endpoint });
        }
    }
}
