//! The session: frames and timers in; events and requests out. Sockets are the agent's business.
//!
//! Thread: any.  Invariants: each stream is up only with its own fresh data, never with an acknowledgement; the book is
//! told only while its checksum holds: sampled at a fixed interval, size near the mid and, if it changed, the top; a
//! trade is told once though two connections may deliver while one takes over from the other.

use super::Pair;
use super::book::{Book, Fault};
use super::decode::{self, Frame, Method, Rows, System};
use super::feed::{BookMessage, BookNews, Feed, Refusal, Requests, STREAMS};
use super::rest::{Audit, AuditSettings, Finding, RestError};
use crate::types::event::{Bbo, Event, EventKind, StreamState, Trade};
use crate::types::time::NANOS_PER_SEC;
use crate::types::{StreamId, Time};
use crate::venue::DecodeError;
use crate::venue::bands::{DEPTH_SAMPLE_NS, SampleClock};
use crate::venue::health::{Health, event};

/// Connections open at once: one takes over from another, and one more that is dying.
pub const CONNECTIONS_MAX: usize = 4;
/// A book without news for this many times its limit is asked for anew.
const MUTE_LIMITS: i64 = 2;

/// Depth of the subscription. More than this the checksum does not cover, so more is not offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookDepth {
    /// Ten levels a side: all that the checksum covers.
    Ten,
    /// Twenty-five: the bands reach farther.
    TwentyFive,
}

impl BookDepth {
    /// Levels a side.
    pub fn levels(self) -> usize {
        match self {
            BookDepth::Ten => 10,
            BookDepth::TwentyFive => 25,
        }
    }
    /// The depth of so many levels; `None` if it is not offered here.
    pub fn of(levels: usize) -> Option<BookDepth> {
        [BookDepth::Ten, BookDepth::TwentyFive].into_iter().find(|depth| depth.levels() == levels)
    }
}

/// How long each stream may be silent, ns. Heartbeats do not count: they say that the connection lives, not the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleAfter {
    /// Book.
    pub book_ns: i64,
    /// Ticker.
    pub ticker_ns: i64,
    /// Trades.
    pub trade_ns: i64,
}

/// What the session is to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KrakenSettings {
    /// The pair.
    pub pair: Pair,
    /// Depth of the book.
    pub depth: BookDepth,
    /// How often the book is told, ns.
    pub depth_sample_ns: i64,
    /// How long each stream may be silent.
    pub stale_after: StaleAfter,
    /// How long a connection may say nothing at all, not even a heartbeat, ns.
    pub silence_ns: i64,
    /// How long a new connection may take to its first book and ticker, ns; a trade may take as long as between two.
    pub first_data_ns: i64,
    /// How often the venue is pinged, ns.
    pub ping_every_ns: i64,
    /// How the book is looked over.
    pub audit: AuditSettings,
}

impl KrakenSettings {
    /// Defaults: 25 levels, told four times a second; book, ticker and trades stale after 15, 60 and 300 s; a connection
    /// suspect after 8 s without a heartbeat; a ping every 20 s; an audit a minute.
    pub fn new(pair: Pair) -> KrakenSettings {
        KrakenSettings {
            pair,
            depth: BookDepth::TwentyFive,
            depth_sample_ns: DEPTH_SAMPLE_NS,
            stale_after: StaleAfter {
                book_ns: 15 * NANOS_PER_SEC,
                ticker_ns: 60 * NANOS_PER_SEC,
                trade_ns: 300 * NANOS_PER_SEC,
            },
            silence_ns: 8 * NANOS_PER_SEC,
            first_data_ns: 10 * NANOS_PER_SEC,
            ping_every_ns: 20 * NANOS_PER_SEC,
            audit: AuditSettings::default(),
        }
    }
}

/// What a frame was, for the agent that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Market data: counts as a sign of life.
    Data,
    /// An answer, a heartbeat, or something not for us.
    Control,
    /// The venue's engine does something else from now on; market data goes on but in maintenance.
    System(System),
    /// The book was thrown away; it is being asked for anew.
    Lost(Fault),
    /// The venue refused a request of ours.
    Refused {
        /// The stream that will not come, if it is one.
        stream: Option<StreamId>,
        /// Why.
        why: Refusal,
    },
    /// This connection is of no use: drop it and connect again.
    Reset,
}

/// Book, ticker and trades of one pair.
#[derive(Debug)]
pub struct KrakenSession {
    settings: KrakenSettings,
    rows: Rows,
    feeds: [Feed; CONNECTIONS_MAX],
    requests: Requests,
    book: Health,
    ticker: Health,
    trade: Health,
    system: Option<System>,
    sampling: SampleClock,
    told_top: Option<Bbo>,
    told_ticker: Option<Bbo>,
    ticker_time: Time,
    trade_id: i64,
    audit: Audit,
}

impl KrakenSession {
    /// Nothing connected; takes all its memory.
    pub fn new(settings: KrakenSettings) -> Self {
        let (stale, depth) = (settings.stale_after, settings.depth.levels());
        Self {
            settings,
            rows: Rows::new(),
            feeds: std::array::from_fn(|_| Feed::new(depth)),
            requests: Requests { pair: settings.pair, depth, last: 0 },
            book: Health::new(StreamId::KrakenBook, stale.book_ns),
            ticker: Health::new(StreamId::KrakenTicker, stale.ticker_ns),
            trade: Health::new(StreamId::KrakenTrade, stale.trade_ns),
            system: None,
            sampling: SampleClock::new(settings.depth_sample_ns),
            told_top: None,
            told_ticker: None,
            ticker_time: Time::NONE,
            trade_id: i64::MIN,
            audit: Audit::new(settings.pair, settings.audit),
        }
    }

    /// A connection is open (handshake done): nothing is asked before the venue says that it works. One more than
    /// [`CONNECTIONS_MAX`] replaces the oldest.
    pub fn on_open(&mut self, conn: u32, now: Time) {
        let slot = |feed: &&mut Feed| (feed.conn != Some(conn), feed.conn.is_some(), feed.opened);
        if let Some(feed) = self.feeds.iter_mut().min_by_key(slot) {
            feed.open(conn, self.settings.ping_every_ns, now);
        }
    }

    /// A connection is gone. With the last one everything is down; with the last whole book the book has a gap.
    pub fn on_down(&mut self, conn: u32, now: Time, emit: &mut impl FnMut(Event)) {
        let Some(feed) = self.feeds.iter_mut().find(|feed| feed.conn == Some(conn)) else { return };
        feed.close();
        if self.feeds.iter().any(|feed| feed.conn.is_some()) {
            return self.mind_book(now, emit);
        }
        for health in [&mut self.book, &mut self.ticker, &mut self.trade] {
            health.down(now, emit);
        }
        self.audit.forget_book();
        self.system = None;
        self.ticker_time = Time::NONE;
        self.trade_id = i64::MIN;
    }

    /// Takes one whole frame of an open connection; one of a connection not open is decoded and dropped. `out` takes
    /// requests, each one text frame, for the same connection.
    ///
    /// Errors: [`DecodeError`]; nothing was told then but a gap, if the frame was about the book, and the session goes
    /// on.  Cost: one pass, no allocation unless something is asked.
    pub fn on_frame(
        &mut self,
        conn: u32,
        frame: &[u8],
        recv: Time,
        out: &mut impl FnMut(&[u8]),
        emit: &mut impl FnMut(Event),
    ) -> Result<FrameKind, DecodeError> {
        let decoded = decode::frame(frame, &mut self.rows);
        let Some(at) = self.feeds.iter().position(|feed| feed.conn == Some(conn)) else {
            return decoded.map(|_| FrameKind::Control);
        };
        let Some(feed) = self.feeds.get_mut(at) else { return Ok(FrameKind::Control) };
        feed.heard = recv;
        if feed.doomed {
            return Ok(FrameKind::Reset);
        }
        match decoded {
            Ok(Frame::Book { snapshot }) => Ok(self.on_book(at, snapshot, recv, out, emit)),
            Ok(Frame::Ticker { .. }) => Ok(self.on_ticker(at, recv, emit)),
            Ok(Frame::Trade { snapshot }) => Ok(self.on_trades(at, snapshot, recv, emit)),
            Ok(control) => Ok(self.on_control(at, control, recv, out, emit)),
            Err(error) => {
                if feed.book().is_some() && decode::is_about_book(frame) {
                    feed.lose_book(recv, &mut self.requests, out);
                    self.mind_book(recv, emit);
                }
                Err(error)
            }
        }
    }

    fn on_control(
        &mut self,
        at: usize,
        frame: Frame<'_>,
        recv: Time,
        out: &mut impl FnMut(&[u8]),
        emit: &mut impl FnMut(Event),
    ) -> FrameKind {
        let Some(feed) = self.feeds.get_mut(at) else { return FrameKind::Control };
        let requests = &mut self.requests;
        match frame {
            Frame::Status { system, .. } => {
                feed.on_status(system, recv, requests, out);
                return self.on_system(system, recv, emit);
            }
            Frame::Pong { req_id } => feed.on_pong(req_id),
            Frame::Ack { method, req_id: Some(req_id), .. } => feed.on_ack((method, req_id), recv, requests, out),
            Frame::Refused { method, req_id, why } => {
                let why = Refusal::of(why);
                let stream = req_id.and_then(|req_id| feed.on_refused(req_id, why, recv, requests, out));
                if let Some(stream) = stream.filter(|_| why != Refusal::AlreadySubscribed) {
                    self.health(stream).stall(recv, emit);
                }
                if method != Method::Ping {
                    return FrameKind::Refused { stream, why };
                }
            }
            _ => {}
        }
        FrameKind::Control
    }

    /// In maintenance nothing that comes is the market.
    fn on_system(&mut self, system: System, recv: Time, emit: &mut impl FnMut(Event)) -> FrameKind {
        if !self.feeds.iter().any(Feed::is_working) {
            self.mind_book(recv, emit);
            self.ticker.stall(recv, emit);
            self.trade.stall(recv, emit);
        }
        let changed = self.system.replace(system) != Some(system);
        if changed { FrameKind::System(system) } else { FrameKind::Control }
    }

    fn on_book(
        &mut self,
        at: usize,
        snapshot: bool,
        recv: Time,
        out: &mut impl FnMut(&[u8]),
        emit: &mut impl FnMut(Event),
    ) -> FrameKind {
        let Self { feeds, rows, settings, .. } = self;
        let Some(feed) = feeds.get_mut(at) else { return FrameKind::Control };
        let mut news = BookNews::None;
        for row in rows.books.iter().filter(|row| row.pair == settings.pair) {
            let (bids, asks) = (rows.bids(row), rows.asks(row));
            let (checksum, venue_time) = (row.checksum, row.venue_time);
            news = feed.on_book(&BookMessage { snapshot, bids, asks, checksum, venue_time }, recv);
            if let BookNews::Lost(fault) = news {
                feed.lose_book(recv, &mut self.requests, out);
                let doomed = feed.doomed;
                self.mind_book(recv, emit);
                return if doomed { FrameKind::Reset } else { FrameKind::Lost(fault) };
            }
        }
        if news == BookNews::None {
            return FrameKind::Control;
        }
        if let Some(top) = self.book().and_then(Book::top) {
            self.audit.note(&top);
        }
        if self.book.fresh(recv, emit) {
            self.told_top = None;
            self.sampling.restart(recv);
            self.tell_book(recv, emit);
        }
        FrameKind::Data
    }

    /// If no connection has a whole book any more, that is a gap.
    fn mind_book(&mut self, now: Time, emit: &mut impl FnMut(Event)) {
        if self.book().is_none() && self.book.state() == StreamState::Up {
            self.book.gap(now, emit);
        }
        if self.book().is_none() {
            self.audit.forget_book();
        }
    }

    /// One sample of the book: the size near the mid, and the top if it changed.
    fn tell_book(&mut self, now: Time, emit: &mut impl FnMut(Event)) {
        let Some(book) = self.book() else { return };
        let (Some(top), Some(depth)) = (book.top(), book.depth()) else { return };
        let venue_time = book.venue_time();
        if !is_same(self.told_top, top) {
            self.told_top = Some(top);
            emit(event(StreamId::KrakenBook, now, venue_time, EventKind::Bbo(top)));
        }
        emit(event(StreamId::KrakenBook, now, venue_time, EventKind::Depth(depth)));
    }

    fn on_ticker(&mut self, at: usize, recv: Time, emit: &mut impl FnMut(Event)) -> FrameKind {
        let pair = self.settings.pair;
        let Some(feed) = self.feeds.get_mut(at).filter(|feed| feed.is_working()) else { return FrameKind::Control };
        let mut kind = FrameKind::Control;
        for row in self.rows.tickers.iter().filter(|row| row.pair == pair) {
            if row.venue_time != Time::NONE && row.venue_time < self.ticker_time {
                continue; // the other connection is ahead
            }
            self.ticker_time = row.venue_time;
            feed.has_ticker = true;
            kind = FrameKind::Data;
            let (bid, bid_qty, ask, ask_qty) = (row.bid, row.bid_qty, row.ask, row.ask_qty);
            let top = Bbo { bid, bid_qty, ask, ask_qty, update_id: 0 };
            if self.ticker.fresh(recv, emit) || !is_same(self.told_ticker, top) {
                self.told_ticker = Some(top);
                emit(event(StreamId::KrakenTicker, recv, row.venue_time, EventKind::Bbo(top)));
            }
        }
        kind
    }

    /// Trades of before the subscription are not news.
    fn on_trades(&mut self, at: usize, snapshot: bool, recv: Time, emit: &mut impl FnMut(Event)) -> FrameKind {
        let pair = self.settings.pair;
        if snapshot || !self.feeds.get(at).is_some_and(Feed::is_working) {
            return FrameKind::Control;
        }
        let mut kind = FrameKind::Control;
        for row in self.rows.trades.iter().filter(|row| row.pair == pair) {
            kind = FrameKind::Data;
            if row.trade_id <= self.trade_id {
                continue; // the other connection's copy
            }
            self.trade_id = row.trade_id;
            self.trade.fresh(recv, emit);
            let trade = Trade { price: row.price, qty: row.qty, aggressor: row.aggressor, trade_id: row.trade_id };
            emit(event(StreamId::KrakenTrade, recv, row.venue_time, EventKind::Trade(trade)));
        }
        kind
    }

    /// Looks at the clock: silence, pings, requests that are due, the book's sample. `out` takes requests with the
    /// connection they are for. Due about ten times a second; samples are as punctual as the calls.
    pub fn on_timer(&mut self, now: Time, out: &mut impl FnMut(u32, &[u8]), emit: &mut impl FnMut(Event)) {
        let stale = self.settings.stale_after;
        let times = (self.settings.ping_every_ns, stale.book_ns.saturating_mul(MUTE_LIMITS));
        for feed in &mut self.feeds {
            let Some(conn) = feed.conn else { continue };
            feed.on_timer(now, times, &mut self.requests, &mut |text| out(conn, text));
        }
        let open = self.feeds.iter().filter(|feed| feed.conn.is_some());
        let (opened, heard) = (open.clone().map(|feed| feed.opened).min(), open.map(|feed| feed.heard).max());
        let silent = heard.is_some_and(|heard| now.since(heard) > self.settings.silence_ns);
        let first_ns = self.settings.first_data_ns;
        let first_trade_ns = first_ns.max(stale.trade_ns); // it alone has no snapshot: the first is as far as any
        let streams = [(&mut self.book, first_ns), (&mut self.ticker, first_ns), (&mut self.trade, first_trade_ns)];
        for (health, first_ns) in streams {
            health.on_timer(opened, first_ns, now, emit);
            if silent && health.state() == StreamState::Up {
                health.stall(now, emit);
            }
        }
        self.mind_book(now, emit);
        if self.book.state() == StreamState::Up && self.sampling.is_due(now) {
            self.tell_book(now, emit);
        }
    }

    /// When the next sample of the book is due; `None` while there is none to tell.
    pub fn next_sample(&self) -> Option<Time> {
        (self.book.state() == StreamState::Up).then_some(self.sampling.due())
    }

    /// REST path of the audit that is due, if any; it then counts as asked.
    pub fn audit_wanted(&mut self, now: Time) -> Option<String> {
        let top = self.book().and_then(Book::top);
        self.audit.wanted(top.as_ref(), now)
    }

    /// Takes the reply: whether REST and the book agree; `None` if the book was lost meanwhile.
    /// Errors: [`RestError`]; it then counts as failed.
    pub fn on_audit(&mut self, body: &[u8], now: Time) -> Result<Option<Finding>, RestError> {
        self.audit.on_reply(body, now)
    }

    /// The audit's request failed (no answer, an HTTP error): the next one after a longer pause.
    pub fn on_audit_failed(&mut self, now: Time) {
        self.audit.on_failed(now);
    }

    /// Whether a connection delivers book and top: the one it replaces may be closed.
    pub fn is_delivering(&self, conn: u32) -> bool {
        self.feeds.iter().any(|feed| feed.conn == Some(conn) && feed.has_ticker && feed.book().is_some())
    }

    /// Time since a connection's last frame of any kind (or its opening), ns; `None` if it is not open.
    pub fn silent_ns(&self, conn: u32, now: Time) -> Option<i64> {
        self.feeds.iter().find(|feed| feed.conn == Some(conn)).map(|feed| now.since(feed.heard))
    }

    /// State of one of the three streams; `None` for another.
    pub fn state(&self, stream: StreamId) -> Option<StreamState> {
        match stream {
            StreamId::KrakenBook => Some(self.book.state()),
            StreamId::KrakenTicker => Some(self.ticker.state()),
            StreamId::KrakenTrade => Some(self.trade.state()),
            _ => None,
        }
    }

    /// The streams of one connection: they fall together.
    pub fn streams() -> [StreamId; 3] {
        STREAMS
    }

    /// What the venue's engine does, as it said last; `None` before it did.
    pub fn system(&self) -> Option<System> {
        self.system
    }

    /// The local book, while it is whole: of the oldest connection that has one.
    pub fn book(&self) -> Option<&Book> {
        let whole = self.feeds.iter().filter(|feed| feed.book().is_some());
        whole.min_by_key(|feed| feed.opened).and_then(Feed::book)
    }

    fn health(&mut self, stream: StreamId) -> &mut Health {
        match stream {
            StreamId::KrakenBook => &mut self.book,
            StreamId::KrakenTicker => &mut self.ticker,
            _ => &mut self.trade,
        }
    }
}

/// Whether the told top is this one, whatever their numbers.
fn is_same(told: Option<Bbo>, top: Bbo) -> bool {
    told.is_some_and(|told| Bbo { update_id: top.update_id, ..told } == top)
}
