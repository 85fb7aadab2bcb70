//! The WebSocket API session: logon, the account's own events, orders out, facts in; sans-IO.
//!
//! Thread: any.  Invariants: every request is in the in-flight table before its bytes leave and ends in an answer, a
//! deadline or a lost socket; what may have been executed is told as `Unknown`, never as refused; encoding an order
//! and reading its report do not allocate.
//!
//! A connection goes `Closed → LoggingOn → Subscribing → Resyncing → Ready`. While resyncing, balances and every order
//! that may live are asked for, because no event of the time without a connection is ever repeated.

pub use super::budget::{LimitKind, RateLimit};
pub use super::last_gate::Bounds;

use super::answer::{self, Envelope};
use super::budget::{Budget, Cost};
use super::clock::VenueClock;
use super::encode::{Encoder, Head, REQUEST_BYTES_MAX, Target};
use super::gate::Gate;
use super::inflight::{Asked, InFlight};
use super::kill::Duty;
use super::last_gate::LastGate;
use super::resync::Look;
use super::sign::Signer;
use super::successor::Successor;
use super::table::{NEVER, OrderTable, Phase};
use crate::types::event::{Event, EventKind, StreamState};
use crate::types::note::{Hold, WireNote};
use crate::types::order::Reason;
use crate::types::reconcile::RestingOrder;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::{ExecutionReport, Instrument, Price, StreamId, Time};
use crate::venue::DecodeError;

/// How long after its deadline a late answer is still understood.
const LATE_ANSWER_NS: i64 = 20 * NANOS_PER_SEC;
/// First pause before a logon or subscription is tried again; doubles.
const RETRY_NS: i64 = NANOS_PER_SEC;
/// Longest such pause.
const RETRY_NS_MAX: i64 = 30 * NANOS_PER_SEC;
/// First pause before an order is asked about again; doubles.
const ASK_AGAIN_NS: i64 = 250 * NANOS_PER_MILLI;
/// `time` requests without an answer in a row, after which the connection counts as dead.
const SILENT_CLOCKS_MAX: u32 = 2;
/// What a question about an order weighs.
pub(super) const QUERY_WEIGHT: u32 = 4;
/// What the venue charges for a connection.
pub(super) const CONNECT_COST: Cost = Cost { requests: 1, weight: 2, orders: 0 };

/// What a session is made of.
#[derive(Debug)]
pub struct TradeSettings {
    /// The one symbol that may be traded, with its filters.
    pub instrument: Instrument,
    /// The venue's name of our key.
    pub api_key: String,
    /// The key: Ed25519 logs the session on, HMAC signs each request.
    pub signer: Signer,
    /// How late an order may reach the matching engine, ms.
    pub recv_window_orders_ms: u32,
    /// The same for questions, ms.
    pub recv_window_queries_ms: u32,
    /// A request without an answer for this long has an unknown outcome, ns.
    pub request_timeout_ns: i64,
    /// A session of which nothing was understood for this long, though it is asked for the time twice within it, is
    /// dead, ns.
    pub stale_after_ns: i64,
    /// What the last gate before the wire allows one order.
    pub bounds: Bounds,
    /// The venue's limits; empty = not known, nothing is held back.
    pub limits: Vec<RateLimit>,
}

/// What a frame was, for the connection that carried it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// An event of the account or the answer to a request.
    Data,
    /// Nothing that says the session works.
    Control,
    /// The server goes away: open the next connection.
    Shutdown,
    /// This connection cannot be used further: drop it and reconnect.
    Reset,
}

/// Why a command was not encoded. The engine has been told by a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not connected, or (for an entry) the truth about our orders is not known yet.
    #[error("the order session is not ready")]
    NotReady,
    /// The venue does not list this kind of order for the symbol.
    #[error("the venue does not offer this kind of order for the symbol")]
    NotOffered,
    /// Size or price is off the grid or outside the bounds.
    #[error("price or size is off the symbol's grid or outside its bounds")]
    Filter,
    /// More money than one order may carry.
    #[error("the order is larger than one order may be")]
    TooLarge,
    /// The id was used before.
    #[error("the client order id was used before")]
    IdUsed,
    /// The budget of orders or requests is (nearly) used up, or the venue said to wait.
    #[error("the venue's rate limit is near or was hit")]
    RateLimit,
    /// The command is not one for a venue.
    #[error("this command is not for the venue")]
    NotForVenue,
    /// Killed or stopping: nothing is bought any more.
    #[error("the engine is stopping: nothing is bought any more")]
    Stopping,
    /// The text of the order names another symbol, or none.
    #[error("the order is not for the configured symbol")]
    Symbol,
    /// The price is too far from the market, or there is no market to measure it by.
    #[error("the price is too far from the market, or the market is not known")]
    Collar,
    /// More orders in a second than a sound engine sends.
    #[error("more orders in one second than `orders_per_s_max`")]
    Pace,
    /// The text of the order is not one that the last gate knows.
    #[error("the text of the order cannot be read by the last gate")]
    Unreadable,
    /// The venue might refuse it for its time.
    #[error("the venue's clock is not known well enough for the receive window")]
    Clock,
}

impl Refusal {
    /// As the engine hears it.
    pub fn reason(self) -> Reason {
        match self {
            Refusal::NotReady | Refusal::NotForVenue => Reason::Other,
            Refusal::NotOffered | Refusal::Filter => Reason::Filter,
            Refusal::IdUsed => Reason::Duplicate,
            Refusal::RateLimit | Refusal::Pace => Reason::RateLimit,
            Refusal::Stopping => Reason::Stopping,
            Refusal::TooLarge => Reason::TooLarge,
            Refusal::Collar => Reason::Collar,
            Refusal::Symbol | Refusal::Unreadable => Reason::Unreadable,
            Refusal::Clock => Reason::Clock,
        }
    }
}

/// How far the connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Closed,
    LoggingOn,
    Subscribing,
    Resyncing,
    Ready,
    /// The venue refused our key or our right to trade: nothing is tried until the process is started anew.
    Barred,
}

/// The WebSocket API session of one symbol and one key.
#[derive(Debug)]
pub struct TradeSession {
    pub(super) instrument: Instrument,
    pub(super) encoder: Encoder,
    pub(super) gate: Gate,
    pub(super) last_gate: LastGate,
    pub(super) duty: Duty,
    pub(super) successor: Successor,
    pub(super) entry_window_ns: i64,
    pub(super) flights: InFlight,
    pub(super) orders: OrderTable,
    pub(super) budget: Budget,
    pub(super) clock: VenueClock,
    pub(super) stage: Stage,
    pub(super) logged_on: bool,
    pub(super) look: Look,
    stream: Option<StreamState>,
    request_timeout_ns: i64,
    pub(super) retry_at: Time,
    retry_ns: i64,
    pub(super) order_window_ns: i64,
    silent_clocks: u32,
    stale_after_ns: i64,
    /// When a frame was understood last.
    heard: Time,
    /// When the timer ran last.
    timed: Time,
    forget_at: Time,
    foreign: u64,
    scratch: Vec<u8>,
}

/// Where facts, notes and request texts go while one input is worked on.
pub(super) struct Io<'a> {
    pub(super) now: Time,
    pub(super) emit: &'a mut dyn FnMut(Event),
    pub(super) note: &'a mut dyn FnMut(WireNote),
    pub(super) out: &'a mut dyn FnMut(&[u8]),
}

impl Io<'_> {
    pub(super) fn event(&mut self, kind: EventKind, venue_time: Time) {
        let (seq, recv, at, stream) = (0, self.now, Time::NONE, StreamId::BinanceUser);
        (self.emit)(Event { seq, recv, at, venue_time, stream, kind });
    }
    pub(super) fn report(&mut self, report: ExecutionReport, venue_time: Time) {
        self.event(EventKind::Execution(report), venue_time);
    }
}

impl TradeSession {
    /// Not connected; all memory is taken here.
    pub fn new(settings: TradeSettings) -> Self {
        let windows_ms = (settings.recv_window_orders_ms, settings.recv_window_queries_ms);
        Self {
            instrument: settings.instrument,
            gate: Gate { instrument: settings.instrument },
            last_gate: LastGate::new(settings.instrument.symbol, settings.bounds),
            duty: Duty::default(),
            successor: Successor::None,
            entry_window_ns: i64::from(settings.recv_window_orders_ms) * NANOS_PER_MILLI,
            encoder: Encoder::new(settings.instrument, settings.api_key, settings.signer, windows_ms),
            flights: InFlight::default(),
            orders: OrderTable::default(),
            budget: Budget::new(&settings.limits),
            clock: VenueClock::asked_within(settings.stale_after_ns / 2),
            stage: Stage::Closed,
            logged_on: false,
            look: Look::default(),
            stream: None,
            request_timeout_ns: settings.request_timeout_ns,
            retry_at: NEVER,
            retry_ns: RETRY_NS,
            order_window_ns: i64::from(settings.recv_window_orders_ms) * NANOS_PER_MILLI,
            silent_clocks: 0,
            stale_after_ns: settings.stale_after_ns,
            heard: Time::NONE,
            timed: Time::NONE,
            forget_at: Time::NONE,
            foreign: 0,
            scratch: Vec::with_capacity(REQUEST_BYTES_MAX),
        }
    }

    /// A connection is open: logs on (Ed25519) and subscribes to the account's events.
    ///
    /// During a planned roll-over the older connection may still deliver; its answers are understood.
    pub fn on_open(&mut self, now: Time, out: &mut impl FnMut(&[u8])) {
        self.budget.spend(CONNECT_COST, self.clock.venue_time(now));
        self.successor = Successor::None;
        self.restart(now);
        let mut io = Io { now, emit: &mut |_| {}, note: &mut |_| {}, out };
        self.pay_kill_first(&mut io);
        if self.budget.held(now) >= Hold::AllButCancels {
            return; // `on_timer` begins the session once the venue will hear it
        }
        self.begin_session(&mut io);
        self.clock.begin_round(now);
        self.ask(Asked::Clock, &mut io);
    }

    /// A connection serves on which nothing was said yet: its session begins with the next `on_timer`.
    pub(super) fn restart(&mut self, now: Time) {
        (self.logged_on, self.silent_clocks, self.heard, self.timed) = (false, 0, now, now);
        self.look.stop();
        (self.retry_ns, self.retry_at) = (RETRY_NS, now);
        if self.stage != Stage::Barred {
            self.stage = Stage::LoggingOn;
        }
    }

    /// The newest mid price, read from the wire at `at`: what the last gate measures orders by.
    pub fn set_mid(&mut self, mid: Price, at: Time) {
        self.last_gate.set_mid(mid, at);
    }

    /// One whole frame.
    ///
    /// Errors: [`DecodeError`] with the byte; the session goes on, and asks the venue for what the frame may have said.
    pub fn on_frame(
        &mut self,
        frame: &[u8],
        recv: Time,
        emit: &mut impl FnMut(Event),
        note: &mut impl FnMut(WireNote),
        out: &mut impl FnMut(&[u8]),
    ) -> Result<FrameKind, DecodeError> {
        let mut io = Io { now: recv, emit, note, out };
        let kind = answer::envelope(frame).and_then(|envelope| self.read(frame, &envelope, &mut io));
        match kind {
            Ok(_) => self.heard = recv,
            Err(_) => self.ask_about_all(recv),
        }
        self.end_look(&mut io);
        self.ask_what_is_due(&mut io);
        kind
    }

    fn read(&mut self, frame: &[u8], envelope: &Envelope<'_>, io: &mut Io<'_>) -> Result<FrameKind, DecodeError> {
        if let Some(at) = envelope.event_at {
            return self.on_event(frame, at, io);
        }
        let flight = envelope.id.and_then(|number| self.flights.take(number));
        let (venue_now, in_flight) = (self.clock.venue_time(io.now), self.flights.cost());
        for count in envelope.counts.iter().filter(|count| !count.kind.is_empty()) {
            self.budget.observe(count, in_flight, venue_now);
        }
        match flight {
            Some(flight) => self.on_answer(frame, envelope, flight, io),
            None if matches!(envelope.status, 401 | 403) => {
                self.bar(io);
                Ok(FrameKind::Control)
            }
            None => Ok(FrameKind::Control),
        }
    }

    /// The connection is gone: every order request in flight is now unknown.
    pub fn on_down(&mut self, now: Time, emit: &mut impl FnMut(Event), note: &mut impl FnMut(WireNote)) {
        let mut io = Io { now, emit, note, out: &mut |_| {} };
        if self.stage != Stage::Barred {
            self.stage = Stage::Closed;
        }
        self.logged_on = false;
        self.retry_at = NEVER;
        self.look.stop();
        while let Some(flight) = self.flights.pop() {
            if !flight.overdue {
                self.tell_unknown(flight.asked, Reason::Other, 0, &mut io);
            }
        }
        self.tell_stream(StreamState::Down, &mut io);
    }

    /// Deadlines, queries that are due, the clock, subscription retries. Cheap when nothing is due.
    ///
    /// Output: [`FrameKind::Reset`] if the connection is open but dead, else [`FrameKind::Control`].
    pub fn on_timer(
        &mut self,
        now: Time,
        emit: &mut impl FnMut(Event),
        note: &mut impl FnMut(WireNote),
        out: &mut impl FnMut(&[u8]),
    ) -> FrameKind {
        let mut io = Io { now, emit, note, out };
        let deadline = now.plus(-self.request_timeout_ns);
        while let Some(asked) = self.flights.next_overdue(deadline) {
            self.on_overdue(asked, &mut io);
        }
        if now >= self.forget_at {
            self.flights.forget(now.plus(-self.request_timeout_ns - LATE_ANSWER_NS));
            self.forget_at = now.plus(NANOS_PER_SEC);
        }
        if !self.is_open() {
            return FrameKind::Control;
        }
        self.pay_kill(&mut io);
        if now >= self.retry_at && self.budget.held(now) < Hold::AllButCancels {
            self.begin_session(&mut io);
        }
        let may_ask = self.may_ask(now);
        if !may_ask || now.since(self.timed) > self.stale_after_ns / 4 {
            self.did_not_listen(now); // who may not ask is owed no answer; who was away heard none
        }
        self.timed = now;
        if may_ask && self.clock.begin_round(now) {
            self.ask(Asked::Clock, &mut io);
        }
        self.keep_looking(&mut io);
        self.ask_what_is_due(&mut io);
        if self.is_mute(now) {
            self.tell_stream(StreamState::Stale, &mut io);
            return FrameKind::Reset;
        }
        FrameKind::Control
    }

    /// A silence up to `now` is ours: we asked nothing, or read nothing.
    pub fn did_not_listen(&mut self, now: Time) {
        self.heard = now;
    }

    fn is_mute(&self, now: Time) -> bool {
        self.silent_clocks >= SILENT_CLOCKS_MAX || now.since(self.heard) > self.stale_after_ns
    }

    /// Venue's clock minus ours, as measured before the session began.
    pub fn set_clock_offset(&mut self, offset_ns: i64) {
        self.clock.set_offset(offset_ns);
    }

    /// What earlier runs left: their orders that rest at the venue, known from here on as if this session had sent them,
    /// and the number up to which our trades are booked.
    pub fn take_over(&mut self, resting: &[RestingOrder], trades_known_to: i64) {
        self.look.know_trades_to(trades_known_to);
        for order in resting {
            let at = self.orders.open(order.id, order.side);
            let Some(row) = self.orders.row_mut(at) else { continue };
            (row.venue_order_id, row.list_id) = (order.venue_order_id, order.list_id);
            (row.qty, row.cum_qty, row.told_qty) = (order.qty, order.cum_qty, order.cum_qty);
            row.phase = Phase::Live;
        }
    }

    /// Logged on, subscribed, and the truth about our orders is known.
    pub fn is_ready(&self) -> bool {
        self.stage == Stage::Ready
    }

    /// End of a ban of our address that is in force.
    pub fn banned_until(&self, now: Time) -> Option<Time> {
        self.budget.banned_until(now)
    }

    /// Whether the venue refused our key; only a restart ends that.
    pub fn is_barred(&self) -> bool {
        self.stage == Stage::Barred
    }

    /// Events of orders that are not ours, or not of our symbol, so far.
    pub fn foreign_events(&self) -> u64 {
        self.foreign
    }

    pub(super) fn count_foreign(&mut self) {
        self.foreign += 1;
    }

    pub(super) fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Closed | Stage::Barred)
    }

    pub(super) fn clock_answered(&mut self) {
        self.silent_clocks = 0;
    }

    pub(super) fn head(&self, request_id: u64, now: Time) -> Head {
        Head { request_id, timestamp: self.clock.timestamp(now), logged_on: self.logged_on, slack_ms: 0 }
    }

    /// Whether a question may be sent: neither the venue's word nor a full count forbids it.
    pub(super) fn may_ask(&mut self, now: Time) -> bool {
        let venue_now = self.clock.venue_time(now);
        self.budget.held(now) <= Hold::Orders && self.budget.has_room(Cost::one(QUERY_WEIGHT, 0), venue_now)
    }

    /// Sends a request of the session's own.
    pub(super) fn ask(&mut self, asked: Asked, io: &mut Io<'_>) -> bool {
        let Some(request_id) = self.flights.open(asked, io.now) else { return false };
        let head = self.head(request_id, io.now);
        let mut text = std::mem::take(&mut self.scratch);
        let weight = match asked {
            Asked::Order(id, _) => {
                self.encoder.order_status(head, self.target(0, id), &mut text);
                QUERY_WEIGHT
            }
            Asked::Trades(id) => {
                let known = self.orders.find(id).and_then(|at| self.orders.row(at));
                let number = known.map(|row| row.venue_order_id).unwrap_or_default();
                self.encoder.trades(head, number, &mut text);
                5
            }
            Asked::TradesFrom(from) => {
                self.encoder.trades_from(head, from, &mut text);
                20
            }
            Asked::OrderNumber(number) => {
                self.encoder.order_status(head, Target::Number(number), &mut text);
                4
            }
            Asked::OpenOrders => {
                self.encoder.open_orders(head, &mut text);
                6
            }
            Asked::OpenLists => {
                self.encoder.open_lists(head, &mut text);
                6
            }
            Asked::Account => {
                self.encoder.account(head, &mut text);
                20
            }
            Asked::Logon | Asked::NextLogon => {
                self.encoder.logon(head, &mut text);
                2
            }
            Asked::Subscribe | Asked::NextSubscribe => {
                self.encoder.subscribe(head, &mut text);
                2
            }
            Asked::CancelAll => {
                self.encoder.cancel_all(head, &mut text);
                1
            }
            _ => {
                self.encoder.time(head, &mut text);
                1
            }
        };
        self.budget.spend(Cost::one(weight, 0), self.clock.venue_time(io.now));
        (io.out)(&text);
        self.scratch = text;
        true
    }

    /// Logs on, or subscribes where there is no logon.
    pub(super) fn begin_session(&mut self, io: &mut Io<'_>) {
        if self.stage == Stage::Barred {
            return;
        }
        self.retry_at = NEVER;
        let log_on = self.encoder.can_log_on() && !self.logged_on;
        self.stage = if log_on { Stage::LoggingOn } else { Stage::Subscribing };
        self.ask(if log_on { Asked::Logon } else { Asked::Subscribe }, io);
    }

    /// Logon or subscription failed in a way that may pass.
    pub(super) fn retry_session(&mut self, now: Time) {
        self.retry_at = now.plus(self.retry_ns);
        self.retry_ns = (self.retry_ns * 2).min(RETRY_NS_MAX);
    }

    /// Logon and subscription worked: the next failure is the first one.
    pub(super) fn session_began(&mut self) {
        self.retry_ns = RETRY_NS;
    }

    /// Plans a question about every order that may live.
    pub(super) fn ask_about_all(&mut self, now: Time) {
        for at in 0..self.orders.len() {
            if self.orders.row(at).is_some_and(|row| row.phase != Phase::Done) {
                self.orders.plan_query(at, now);
            }
        }
    }

    /// Sends the questions whose time has come.
    fn ask_what_is_due(&mut self, io: &mut Io<'_>) {
        if !self.orders.is_due(io.now) || !self.is_open() {
            return;
        }
        let may_ask = self.may_ask(io.now);
        for at in 0..self.orders.len() {
            let Some(row) = self.orders.row_mut(at) else { continue };
            let (query, trades) = (row.query_at <= io.now, row.trades_at <= io.now);
            let again = io.now.plus(ASK_AGAIN_NS << row.tries.min(6));
            row.query_at = if query { again } else { row.query_at };
            // Without the venue's number, the status comes first and brings it.
            let has_number = row.venue_order_id.0 > 0;
            row.trades_at = if trades { again } else { row.trades_at };
            row.tries += u32::from((query || trades) && may_ask);
            let id = row.id;
            if query && may_ask {
                self.ask(Asked::Order(id, false), io);
            }
            if trades && may_ask && has_number {
                self.ask(Asked::Trades(id), io);
            }
        }
        self.orders.rest();
    }

    fn on_overdue(&mut self, asked: Asked, io: &mut Io<'_>) {
        match asked {
            Asked::Logon | Asked::Subscribe => self.retry_session(io.now),
            Asked::Clock => {
                self.silent_clocks += 1;
                self.clock.hurry();
            }
            Asked::Account | Asked::OpenOrders | Asked::OpenLists | Asked::TradesFrom(_) | Asked::OrderNumber(_) => {
                self.ask(asked, io);
            }
            Asked::NextLogon | Asked::NextSubscribe => {} // the link drops a connection that brings no data
            _ => self.tell_unknown(asked, Reason::Other, 0, io),
        }
    }

    /// The venue will not have our key: no order may be sent, and somebody must look.
    pub(super) fn bar(&mut self, io: &mut Io<'_>) {
        self.stage = Stage::Barred;
        self.retry_at = NEVER;
        self.tell_stream(StreamState::Down, io);
    }

    /// Tells a change of the stream's health, once.
    pub(super) fn tell_stream(&mut self, state: StreamState, io: &mut Io<'_>) {
        if self.stream != Some(state) {
            self.stream = Some(state);
            (io.note)(WireNote::Stream { stream: StreamId::BinanceUser, state, at: io.now });
            io.event(EventKind::Stream(state), Time::NONE);
        }
    }
}
