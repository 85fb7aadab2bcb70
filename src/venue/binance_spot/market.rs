//! The market session: frames, REST bodies and timers in; events and REST paths out. Sockets are the agent's business.
//!
//! Thread: any.  Invariants: nothing is told twice, though two connections may deliver at once while one takes over
//! from the other; a top of book at once, but only on change; depth only
//! from a whole book, sampled: when the book becomes whole and then once an interval; closed candles in order, none missing.

use super::candles::{CandleChain, Interval};
use super::decode::{self, CandleUpdate, DepthDiff, Frame, Levels, Market, TradeReport};
use super::messages;
use super::sync::{BookSync, Bridge, SNAPSHOT_LEVELS, Step};
use crate::types::event::{Bbo, Event, EventKind, StreamState};
use crate::types::instrument::Symbol;
use crate::types::{StreamId, Time};
use crate::venue::DecodeError;
use crate::venue::bands::SampleClock;
use crate::venue::health::{Health, event};

/// Connections open at once: one takes over from another, and one more that is dying.
pub const CONNECTIONS_MAX: usize = 4;

/// How long each stream may be silent, ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleAfter {
    /// Best bid and offer.
    pub bbo_ns: i64,
    /// Depth diffs.
    pub depth_ns: i64,
    /// Trades.
    pub trade_ns: i64,
    /// Candles, open ones included.
    pub candle_ns: i64,
}

/// What the session is to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketSettings {
    /// The symbol.
    pub symbol: Symbol,
    /// Length of the candles.
    pub candle: Interval,
    /// Closed candles to fetch before the first one of the stream; 0 = none.
    pub candles_seed: u16,
    /// How long each stream may be silent.
    pub stale_after: StaleAfter,
    /// How often the size near the mid is told, ns; see [`bands::DEPTH_SAMPLE_NS`](crate::venue::bands::DEPTH_SAMPLE_NS).
    pub depth_sample_ns: i64,
    /// How long a new connection may take to its first data, ns.
    pub first_data_ns: i64,
}

/// What a frame was, for the agent that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Market data: counts as a sign of life.
    Data,
    /// An acknowledgement, or something not for us.
    Control,
    /// The venue refused a request of ours.
    Refused {
        /// Its error code; 0 if it gave none.
        code: i64,
    },
    /// The server is about to go: connect anew at once.
    Shutdown,
}

/// One open connection.
#[derive(Clone, Copy, Debug)]
struct Connection {
    id: u32,
    opened: Time,
    /// When data came last, or when it opened.
    last: Time,
    has_bbo: bool,
    has_depth: bool,
    trade_id: Option<i64>,
}

/// All four streams of one symbol.
#[derive(Debug)]
pub struct MarketSession {
    settings: MarketSettings,
    levels: Levels,
    connections: Vec<Connection>,
    bbo: Health,
    depth: Health,
    trade: Health,
    candle: Health,
    sync: BookSync,
    chain: CandleChain,
    told_bbo: Option<Bbo>,
    sampling: SampleClock,
    /// The venue's time of the newest diff in the book.
    depth_time: Time,
    bbo_id: u64,
    trade_id: i64,
}

impl MarketSession {
    /// Nothing connected; takes all its memory.
    pub fn new(settings: MarketSettings) -> Self {
        let stale = settings.stale_after;
        Self {
            settings,
            levels: Levels::new(),
            connections: Vec::with_capacity(CONNECTIONS_MAX),
            bbo: Health::new(StreamId::BinanceBbo, stale.bbo_ns),
            depth: Health::new(StreamId::BinanceDepth, stale.depth_ns),
            trade: Health::new(StreamId::BinanceTrade, stale.trade_ns),
            candle: Health::new(StreamId::BinanceCandle, stale.candle_ns),
            sync: BookSync::new(),
            chain: CandleChain::new(settings.candle, settings.candles_seed),
            told_bbo: None,
            sampling: SampleClock::new(settings.depth_sample_ns),
            depth_time: Time::NONE,
            bbo_id: 0,
            trade_id: i64::MIN,
        }
    }

    /// Path of the connection: it names the streams, so nothing is sent after the handshake.
    pub fn path(&self) -> String {
        let symbol = self.settings.symbol.as_str().to_ascii_lowercase();
        let candle = self.settings.candle.text();
        format!("/stream?streams={symbol}@bookTicker/{symbol}@depth@100ms/{symbol}@trade/{symbol}@kline_{candle}")
    }

    /// A connection is open (handshake done). One more than [`CONNECTIONS_MAX`] replaces the oldest.
    pub fn on_open(&mut self, conn: u32, now: Time) {
        self.connections.retain(|open| open.id != conn);
        if self.connections.len() >= CONNECTIONS_MAX {
            self.connections.remove(0);
        }
        let (has_bbo, has_depth, trade_id) = (false, false, None);
        self.connections.push(Connection { id: conn, opened: now, last: now, has_bbo, has_depth, trade_id });
    }

    /// A connection is gone. With the last one the book goes, and the numbers by which copies were told apart.
    pub fn on_down(&mut self, conn: u32, now: Time, emit: &mut impl FnMut(Event)) {
        self.connections.retain(|open| open.id != conn);
        if !self.connections.is_empty() {
            return;
        }
        for health in [&mut self.bbo, &mut self.depth, &mut self.trade, &mut self.candle] {
            health.down(now, emit);
        }
        self.sync.restart(now);
        self.bbo_id = 0;
        self.trade_id = i64::MIN;
    }

    /// Takes one whole frame of an open connection; one of a connection not open is decoded and dropped.
    ///
    /// Errors: [`DecodeError`]; nothing was told then and the session goes on.  Cost: one pass, no allocation.
    pub fn on_frame(
        &mut self,
        conn: u32,
        frame: &[u8],
        recv: Time,
        emit: &mut impl FnMut(Event),
    ) -> Result<FrameKind, DecodeError> {
        let market = match decode::frame(frame, Some(self.settings.symbol), &mut self.levels)? {
            Frame::Market(_, market) => market,
            Frame::Shutdown => return Ok(FrameKind::Shutdown),
            Frame::Refused { code } => return Ok(FrameKind::Refused { code }),
            Frame::Ack | Frame::Other => return Ok(FrameKind::Control),
        };
        let Some(connection) = self.connections.iter_mut().find(|open| open.id == conn) else {
            return Ok(FrameKind::Control);
        };
        connection.last = recv;
        match market {
            Market::Bbo(bbo) => {
                connection.has_bbo = true;
                self.on_bbo(bbo, recv, emit);
            }
            Market::Depth(diff) => {
                connection.has_depth = true;
                self.on_depth(diff, recv, emit);
            }
            Market::Trade(report) => {
                let before = connection.trade_id.replace(report.trade.trade_id);
                self.on_trade(report, before, recv, emit);
            }
            Market::Candle(update) => self.on_candle(update, recv, emit),
        }
        Ok(FrameKind::Data)
    }

    fn on_bbo(&mut self, bbo: Bbo, recv: Time, emit: &mut impl FnMut(Event)) {
        if bbo.update_id <= self.bbo_id {
            return; // the other connection's copy
        }
        self.bbo_id = bbo.update_id;
        let up = self.bbo.fresh(recv, emit);
        let same = |told: Bbo| Bbo { update_id: bbo.update_id, ..told } == bbo;
        if up || !self.told_bbo.is_some_and(same) {
            self.told_bbo = Some(bbo);
            emit(event(StreamId::BinanceBbo, recv, Time::NONE, EventKind::Bbo(bbo)));
        }
    }

    fn on_depth(&mut self, diff: DepthDiff, recv: Time, emit: &mut impl FnMut(Event)) {
        match self.sync.on_diff(diff, &self.levels, recv) {
            Step::Applied => {
                self.depth_time = diff.venue_time;
                self.on_book(recv, emit);
            }
            Step::Held => {
                self.depth_time = diff.venue_time;
                self.depth.touch(recv);
            }
            Step::Gap => self.depth.gap(recv, emit),
            Step::Old => {}
        }
    }

    /// The book moved on. What lies near the mid is told at once if that brought the stream up, else when it is due.
    fn on_book(&mut self, recv: Time, emit: &mut impl FnMut(Event)) {
        if self.depth.fresh(recv, emit) {
            self.sampling.restart(recv);
            self.tell_depth(recv, emit);
        }
    }

    fn tell_depth(&mut self, now: Time, emit: &mut impl FnMut(Event)) {
        let Some(depth) = self.sync.book().and_then(|book| book.depth()) else { return };
        emit(event(StreamId::BinanceDepth, now, self.depth_time, EventKind::Depth(depth)));
    }

    /// `before`: the last trade of the same connection. Trade numbers have no holes, so a hole there is a loss.
    fn on_trade(&mut self, report: TradeReport, before: Option<i64>, recv: Time, emit: &mut impl FnMut(Event)) {
        let id = report.trade.trade_id;
        if id <= self.trade_id {
            return; // the other connection's copy
        }
        let next = |known: i64| known.saturating_add(1);
        if id > next(self.trade_id) && before.is_some_and(|before| id > next(before)) {
            self.trade.gap(recv, emit);
        }
        self.trade_id = id;
        self.trade.fresh(recv, emit);
        emit(event(StreamId::BinanceTrade, recv, report.venue_time, EventKind::Trade(report.trade)));
    }

    fn on_candle(&mut self, update: CandleUpdate, recv: Time, emit: &mut impl FnMut(Event)) {
        if update.candle.interval_s != self.settings.candle.seconds() {
            return;
        }
        let hand_out = self.chain.on_stream(&update.candle, update.closed);
        if self.chain.is_missing() {
            self.candle.gap(recv, emit);
        } else {
            self.candle.fresh(recv, emit);
        }
        if hand_out {
            emit(event(StreamId::BinanceCandle, recv, update.venue_time, EventKind::Candle(update.candle)));
        }
    }

    /// REST path of the depth snapshot the book needs now, if any; it then counts as asked.
    pub fn snapshot_wanted(&mut self, now: Time) -> Option<String> {
        let symbol = self.settings.symbol;
        self.sync.snapshot_wanted(now).then(|| format!("/api/v3/depth?symbol={symbol}&limit={SNAPSHOT_LEVELS}"))
    }

    /// Takes the reply. Errors: [`DecodeError`]; it then counts as failed.
    pub fn on_snapshot(&mut self, body: &[u8], recv: Time, emit: &mut impl FnMut(Event)) -> Result<(), DecodeError> {
        let last = match messages::snapshot(body, &mut self.levels) {
            Ok(last) if self.sync.held().is_some() => last,
            refused => {
                self.sync.on_snapshot_failed(recv);
                return refused.map(|_| ());
            }
        };
        match self.sync.on_snapshot(last, &self.levels, recv) {
            Bridge::Live => self.on_book(recv, emit),
            Bridge::Broken => self.depth.gap(recv, emit),
            Bridge::TooOld => {}
        }
        Ok(())
    }

    /// The snapshot request failed (no answer, an HTTP error): the next one after a pause.
    pub fn on_snapshot_failed(&mut self, now: Time) {
        self.sync.on_snapshot_failed(now);
    }

    /// REST path of the closed candles that are owed now, if any; it then counts as asked.
    pub fn klines_wanted(&mut self, now: Time) -> Option<String> {
        self.chain.wanted(self.settings.symbol, now)
    }

    /// Takes the reply: tells each closed candle not told before. Errors: [`DecodeError`]; whole candles before it count.
    pub fn on_klines(&mut self, body: &[u8], recv: Time, emit: &mut impl FnMut(Event)) -> Result<(), DecodeError> {
        let mut each = |candle| emit(event(StreamId::BinanceCandle, recv, Time::NONE, EventKind::Candle(candle)));
        let taken = self.chain.on_klines(body, recv, &mut each);
        if !self.chain.is_missing() {
            self.candle.resume(recv, emit);
        }
        taken
    }

    /// The candles request failed: the next one after a pause.
    pub fn on_klines_failed(&mut self, now: Time) {
        self.chain.on_failed(now);
    }

    /// Looks at the clock: tells which streams fell silent, and the depth if it is due. Due about ten times a second.
    pub fn on_timer(&mut self, now: Time, emit: &mut impl FnMut(Event)) {
        let opened = self.connections.iter().map(|open| open.opened).min();
        for health in [&mut self.bbo, &mut self.depth, &mut self.trade, &mut self.candle] {
            health.on_timer(opened, self.settings.first_data_ns, now, emit);
        }
        if self.depth.state() == StreamState::Up && self.sampling.is_due(now) {
            self.tell_depth(now, emit);
        }
    }

    /// Whether a connection delivers what trading needs: the one it replaces may be closed.
    pub fn is_delivering(&self, conn: u32) -> bool {
        self.connections.iter().any(|open| open.id == conn && open.has_bbo && open.has_depth)
    }

    /// Time since a connection's last data (or its opening), ns; `None` if it is not open. Too long: replace it.
    pub fn silent_ns(&self, conn: u32, now: Time) -> Option<i64> {
        self.connections.iter().find(|open| open.id == conn).map(|open| now.since(open.last))
    }

    /// State of one of the four streams; `None` for another.
    pub fn state(&self, stream: StreamId) -> Option<StreamState> {
        match stream {
            StreamId::BinanceBbo => Some(self.bbo.state()),
            StreamId::BinanceDepth => Some(self.depth.state()),
            StreamId::BinanceTrade => Some(self.trade.state()),
            StreamId::BinanceCandle => Some(self.candle.state()),
            _ => None,
        }
    }

    /// The local book, while it is whole.
    pub fn book(&self) -> Option<&super::book::Book> {
        self.sync.book()
    }
}
