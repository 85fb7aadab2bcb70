//! The engine, pure: (state, event) → commands.
//!
//! Thread: any; the hot agent owns it.  Invariants: the output is a function of the inputs alone: no clock, socket,
//! file, thread, lock, random source, log call, float or hash-map iteration, so replaying the events repeats the day.
#![deny(clippy::float_arithmetic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod adopt;
mod book;
mod close;
pub mod driver;
mod entry;
mod execution;
mod exits;
mod fills;
mod fingerprint;
mod money;
mod order;
mod order_state;
mod orders;
mod pauses;
mod position;
mod repost;
pub mod rerun;
mod risk;
pub mod signal;
mod timers;
// Known here, not yet acted upon: the risk rule on divergence reads it.
pub mod venues;
pub mod why;

pub use crate::types::setup::{OpenPosition, PauseSet, Setup};
pub use driver::Driver;

use crate::types::command::{Command, CommandBuf};
use crate::types::decision::{Decision, RiskRule};
use crate::types::event::{
    Balance, Bbo, Candle, Control, Event, EventKind, Slot, StreamState, VolumeDefinition, VolumeSample,
};
use crate::types::ids::StreamId;
use crate::types::instrument::Instrument;
use crate::types::order::Side;
use crate::types::params::Params;
use crate::types::reconcile::{ReconcileCount, ReconcileTrigger};
use crate::types::record::{EquityRow, ExitReason, OrderStatus, PauseReason, Record};
use crate::types::time::Time;
use crate::types::units::{Price, Qty};
use book::Book;
use close::Closing;
use entry::Plan;
use exits::Exits;
use fills::TradeIds;
use money::{Money, Slips};
use orders::Orders;
use pauses::Pauses;
use position::Position;
use signal::volume::trigger_of;
use signal::{Signal, SignalSetup};
use timers::Timers;
use venues::Venues;

/// What the operator sees; all of it derived, nothing here is acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Money, as of the newest top of book; `None` before the first one while a position is held.
    pub equity: Option<EquityRow>,
    /// The first equity of the UTC day; `None` = not known yet.
    pub day_equity: Option<crate::types::Notional>,
    /// Coins held that the engine bought, proven by fills.
    pub position: Qty,
    /// Coins above dust without a live stop, since then; NONE = all protected.
    pub naked_since: Time,
    /// Why entries are paused.
    pub pauses: PauseSet,
    /// Losing round trips in a row.
    pub consecutive_losses: u32,
    /// Orders that may still execute, unknown ones included.
    pub orders_open: u32,
    /// Orders whose state is being asked.
    pub orders_unknown: u32,
    /// Entry tranches tried of the running entry; 0 = none runs.
    pub tranche: u8,
    /// Whether an exit of the whole position is under way.
    pub closing: bool,
    /// Whether the engine stops: no entries any more.
    pub stopping: bool,
    /// Whether the process may end: no close runs, no order but a live exit is open, and coins above dust have a stop.
    pub at_rest: bool,
}

/// The engine.
#[derive(Clone, Debug)]
pub struct Engine {
    instrument: Instrument,
    params: Params,
    staged: Params,
    definition: VolumeDefinition,
    epoch: u32,
    seq_next: u64,
    now: Time,
    started: bool,
    book: Book,
    venues: Venues,
    signal: Signal,
    decision: Option<Decision>,
    refused: Option<(u8, RiskRule)>,
    signal_no: u32,
    entry: Option<Plan>,
    orders: Orders,
    trade_ids: TradeIds,
    position: Position,
    /// The round trip had coins above dust: once they are gone, it is over.
    had_coins: bool,
    money: Money,
    slips: Slips,
    pauses: Pauses,
    exits: Exits,
    close: Option<Closing>,
    flatten_attempts: u16,
    naked_since: Option<Time>,
    naked_qty: Qty,
    /// Since when orders can be sent; `None` = they cannot.
    way_out_since: Option<Time>,
    stopping: bool,
    /// Streams that entries stand on beside the engine's own four, and how old each may be.
    needed_ns: [i64; StreamId::ALL.len()],
    /// What the reconcile under way has led to so far.
    reconcile: ReconcileCount,
    timers: Timers,
}

impl Engine {
    /// An engine that has seen nothing yet. Takes all its memory here.
    pub fn new(setup: Setup) -> Engine {
        assert!(setup.epoch > 0, "the epoch is durable before the engine is made, and counts from 1");
        assert!(setup.instrument.tick.0 > 0, "a price grid is positive");
        assert!(setup.instrument.lot.0 > 0, "a size grid is positive");
        let mut signal = Signal::new(SignalSetup {
            definition: setup.definition,
            rsi_period: setup.rsi_period,
            candle_s: setup.candle_s,
        });
        if let Some(at) = setup.last_entry {
            signal.on_acted(at);
        }
        signal.remember_risen(setup.risen);
        let is_trip = setup.position.is_some_and(|held| held.opened != Time::NONE); // else only dust is held
        let mut engine = Engine {
            instrument: setup.instrument,
            params: setup.params,
            staged: setup.params,
            definition: setup.definition,
            epoch: setup.epoch,
            seq_next: 1,
            now: setup.now,
            started: false,
            book: Book::new(),
            venues: Venues::new(),
            signal,
            decision: None,
            refused: None,
            signal_no: u32::from(is_trip), // exits of an adopted position are signal 1's
            entry: None,
            orders: Orders::new(),
            trade_ids: TradeIds::new(setup.trades_known_to),
            position: Position::new(setup.position, setup.next_trade_no),
            had_coins: is_trip,
            money: Money::new(setup.cash, setup.base, setup.day_equity, setup.now),
            slips: Slips::new(),
            pauses: Pauses::new(setup.paused, setup.consecutive_losses),
            exits: Exits::default(),
            close: None,
            flatten_attempts: 0,
            naked_since: None,
            naked_qty: Qty::ZERO,
            way_out_since: None,
            stopping: false,
            needed_ns: setup.needed_ns,
            reconcile: ReconcileCount::new(ReconcileTrigger::Start),
            timers: Timers::default(),
        };
        setup.resting.iter().flatten().for_each(|order| engine.meet(order));
        engine
    }

    /// Advances by one event; the only way in. Same state and event give the same commands.
    ///
    /// `event.seq` counts from 1 without a hole and `event.at` never falls: the hot agent's promise, asserted.
    pub fn step(&mut self, event: &Event, out: &mut CommandBuf) {
        assert!(event.seq == self.seq_next, "events come numbered without a hole");
        assert!(event.at >= self.now, "time ran backwards");
        self.seq_next += 1;
        self.now = event.at;
        let read = event.recv.min(event.at); // what waited in a ring is not fresh because we look at it now
        if !self.started {
            self.on_start(out);
        }
        match event.kind {
            EventKind::Bbo(bbo) if event.stream == StreamId::BinanceBbo => self.on_bbo(bbo, read, out),
            EventKind::Bbo(bbo) => {
                self.book.on_heard(event.stream, read);
                self.venues.on_bbo(event.stream, &bbo, event.recv); // another venue's
            }
            EventKind::Dex(book) => {
                self.book.on_heard(event.stream, read);
                self.venues.on_dex(event.stream, &book, event.recv);
            }
            EventKind::Slot(slot) => self.on_slot(slot, out),
            EventKind::Execution(report) => self.on_execution(&report, event, out),
            EventKind::Timer(id) => self.on_timer(id, out),
            EventKind::Control(control) => self.on_control(control, out),
            EventKind::Candle(candle) => self.on_candle(&candle, out),
            EventKind::Volume(sample) => self.on_volume(event, &sample, out),
            EventKind::Stream(state) => self.on_stream(event.stream, state, out),
            EventKind::Balance(balance) => self.on_balance(balance, out),
            EventKind::Clock(clock) => self.book.on_clock(clock),
            EventKind::Resting(order) => self.on_resting(&order, out),
            EventKind::Reconciled(found) => self.on_reconciled(&found, out),
            EventKind::Depth(_) => self.book.on_heard(event.stream, read),
            EventKind::Trade(trade) => {
                self.book.on_heard(event.stream, read);
                if event.stream == StreamId::BinanceTrade {
                    self.book.on_last(trade.price, event.at);
                }
            }
        }
    }

    /// A quote is as old as its reading: one that waited in a ring is not fresh because we look at it now.
    fn on_bbo(&mut self, bbo: Bbo, recv: Time, out: &mut CommandBuf) {
        self.book.on_bbo(bbo, recv);
        self.venues.on_bbo(StreamId::BinanceBbo, &bbo, recv);
        let Some(mid) = self.book.mid() else { return };
        self.signal.on_mid(mid, recv);
        if mid <= self.params.stop_loss && !self.is_dust() {
            self.start_close(ExitReason::GlobalStop, out);
        }
        self.evaluate(out);
        if self.entry.is_some() || self.close.is_some() || self.naked_since.is_some() {
            self.settle(out);
        } else {
            self.arm_timers(out);
        }
    }
    fn on_slot(&mut self, slot: Slot, out: &mut CommandBuf) {
        self.book.on_heard(StreamId::SolanaSlot, self.now);
        self.repost(slot, out);
    }
    fn on_candle(&mut self, candle: &Candle, out: &mut CommandBuf) {
        self.book.on_heard(StreamId::BinanceCandle, self.now);
        self.signal.on_candle(candle, self.now);
        self.evaluate(out);
        self.settle(out);
    }
    /// As old as its reading, like a quote; only the trigger's own samples keep the trigger fresh.
    fn on_volume(&mut self, event: &Event, sample: &VolumeSample, out: &mut CommandBuf) {
        let read = event.recv.min(event.at);
        if event.stream == trigger_of(self.definition) && sample.definition == self.definition {
            self.book.on_volume(read);
        }
        self.book.on_told(event.stream, read);
        self.signal.on_volume(event.stream, sample, read);
        self.evaluate(out);
        self.settle(out);
    }
    /// A stream's health. The order stream's return asks about everything that may have moved meanwhile.
    fn on_stream(&mut self, stream: StreamId, state: StreamState, out: &mut CommandBuf) {
        self.book.on_stream(stream, state);
        self.venues.on_stream(stream, state);
        self.signal.on_stream(stream, state);
        if stream == StreamId::BinanceUser {
            match state {
                StreamState::Up => {
                    self.way_out_since.get_or_insert(self.now);
                    self.orders.ask_all(self.now);
                }
                StreamState::Gap => self.orders.ask_all(self.now),
                StreamState::Down => self.way_out_since = None,
                StreamState::Stale => {}
            }
        }
        self.settle(out);
    }
    fn on_balance(&mut self, balance: Balance, out: &mut CommandBuf) {
        let at_rest = self.orders.unsettled().next().is_none();
        self.money.on_balance(balance, at_rest);
        self.settle(out);
    }
    fn on_control(&mut self, control: Control, out: &mut CommandBuf) {
        match control {
            Control::Pause => self.pauses.pause(PauseReason::Operator, out),
            Control::Resume => {
                self.slips.clear();
                self.pauses.resume(out);
            }
            Control::Halt(reason) => self.pauses.pause(reason, out),
            Control::Flatten => {
                self.pauses.pause(PauseReason::Operator, out);
                self.start_close(ExitReason::Flatten, out);
            }
            Control::Kill => {
                self.stopping = true;
                out.push(Command::CancelAll);
                self.orders.cancel_sent_to_all(self.now);
                self.start_close(ExitReason::Kill, out);
            }
            Control::Stop => {
                self.stopping = true;
                self.entry = None;
                if self.params.flatten_on_stop {
                    self.start_close(ExitReason::Shutdown, out);
                }
            }
            Control::Set(key, value) => self.staged.set(key, value),
            Control::Commit => {
                self.params = self.staged;
                out.push(Command::Record(Record::Reloaded));
            }
        }
        self.settle(out);
    }

    /// Whether orders can reach the venue: its order stream is connected.
    fn can_send(&self) -> bool {
        self.way_out_since.is_some()
    }
    /// Price at which coins are judged too small to sell: the stop, or the bid once it is below.
    fn dust_price(&self) -> Price {
        self.book.bbo().map_or(self.params.stop_loss, |bbo| bbo.bid.min(self.params.stop_loss))
    }
    /// Whether the position is nothing that the venue would let us sell.
    fn is_dust(&self) -> bool {
        self.instrument.is_dust(self.dust_price(), self.position.qty())
    }

    /// What the operator sees.
    pub fn status(&self) -> Status {
        let unknown = self.orders.iter().filter(|order| order.status == OrderStatus::Unknown).count();
        Status {
            equity: self.money.look(&self.position, self.book.mid()),
            day_equity: self.money.day_first(),
            position: self.position.qty(),
            naked_since: self.naked_since.unwrap_or(Time::NONE),
            pauses: self.pauses.set(),
            consecutive_losses: self.pauses.losses(),
            orders_open: u32::try_from(self.orders.unsettled().count()).unwrap_or(u32::MAX),
            orders_unknown: u32::try_from(unknown).unwrap_or(u32::MAX),
            tranche: self.entry.map_or(0, |plan| plan.tried),
            closing: self.close.is_some(),
            stopping: self.stopping,
            at_rest: self.is_at_rest(),
        }
    }
    /// Nothing is on its way that could leave coins without a stop once nobody looks any more.
    fn is_at_rest(&self) -> bool {
        let rests = |order: &order::Order| order.is_live() && order.ask.side == Side::Sell;
        let is_quiet = |order: &order::Order| rests(order) && !self.orders.is_canceling(order.ask.id);
        let protected = self.naked_since.is_none() && self.close.is_none() && self.entry.is_none();
        protected && self.orders.unsettled().all(is_quiet)
    }
    /// The numbers in force.
    pub fn params(&self) -> &Params {
        &self.params
    }
}
