//! A desk for the engine's tests: one engine, a clock that only the test turns, and a small strict venue.
//!
//! Thread: any.  Invariants: the venue holds the truth: it fills, locks coins, ends an OCO's partner, and panics if
//! it is asked to sell coins that are not there or to take an id twice.

pub use crate::day::*;
use sol_volume_bot::engine::{Engine, Setup, Status};
use sol_volume_bot::types::command::{Alert, Command, CommandBuf, NewOco, NewOrder};
use sol_volume_bot::types::decision::*;
use sol_volume_bot::types::event::*;
use sol_volume_bot::types::order::*;
use sol_volume_bot::types::record::*;
use sol_volume_bot::types::units::*;
use sol_volume_bot::types::{ClientOrderId, Event, EventKind, Leg, StreamId, Time, VenueOrderId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How the venue answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As it should.
    Proper,
    /// Refused for this reason.
    Refuse(Reason),
    /// Executed, but nothing is told, nor asked about later unless [`Desk::speak`] lets it.
    Mute,
    /// Lost on the way: not executed, nothing told.
    Lost,
}

#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub order: NewOrder,
    pub stop_price: Price,
    pub filled: Qty,
    pub status: OrderStatus,
    pub number: i64,
}

impl Held {
    pub fn is_live(&self) -> bool {
        !self.status.is_done()
    }
    pub fn leaves(&self) -> Qty {
        Qty(self.order.qty.0 - self.filled.0)
    }
}

/// The venue's side of the table.
#[derive(Clone, Debug, Default)]
pub struct Venue {
    pub orders: BTreeMap<ClientOrderId, Held>,
    pub base: i64,
    pub next_trade: i64,
    pub reports: VecDeque<ExecutionReport>,
    trades: Vec<ExecutionReport>,
    used: BTreeSet<ClientOrderId>,
    next_number: i64,
}

pub struct Desk {
    pub engine: Engine,
    pub venue: Venue,
    pub now: Time,
    pub bbo: Bbo,
    /// Part of an entry that fills at once, in percent, and in how many fills.
    pub entry_fill: (i64, i64),
    /// Part of a close that fills at once, in percent.
    pub close_fill: i64,
    /// What the next close leaves unsold, exactly.
    pub leave_of_close: Option<Qty>,
    pub on_place: Answer,
    pub on_oco: Answer,
    pub on_cancel: Answer,
    pub on_query: Answer,
    /// Reports wait in `venue.reports` until [`Desk::deliver`].
    pub hold_reports: bool,
    pub commands: Vec<Command>,
    pub events: Vec<Event>,
    pub timers: BTreeMap<u8, Time>,
    pub most_commands: usize,
    seq: u64,
    slot: u64,
}

impl Desk {
    pub fn new() -> Desk {
        Desk::with(setup())
    }
    /// Everything up and fresh, RSI low, mid 161: all rules hold but the volume's, until [`Desk::volume`].
    pub fn with(setup: Setup) -> Desk {
        let mut desk = Desk::silent(setup);
        desk.open();
        desk
    }
    pub fn silent(setup: Setup) -> Desk {
        let venue = Venue {
            base: setup.base.0,
            next_trade: setup.trades_known_to.max(900_000) + 1,
            next_number: 12_000_001,
            ..Venue::default()
        };
        Desk {
            engine: Engine::new(setup),
            venue,
            now: setup.now,
            bbo: bbo("161.00", "161.01"),
            entry_fill: (100, 1),
            close_fill: 100,
            leave_of_close: None,
            on_place: Answer::Proper,
            on_oco: Answer::Proper,
            on_cancel: Answer::Proper,
            on_query: Answer::Proper,
            hold_reports: false,
            commands: Vec::new(),
            events: Vec::new(),
            timers: BTreeMap::new(),
            most_commands: 0,
            seq: 0,
            slot: 1_000,
        }
    }
    fn open(&mut self) {
        for stream in [StreamId::BinanceUser, StreamId::BinanceBbo, StreamId::SolanaSlot, StreamId::BinanceCandle] {
            self.feed(stream, EventKind::Stream(StreamState::Up));
        }
        let offset = ClockOffset { offset_ns: 5 * MS, round_trip_ns: MS };
        self.feed(StreamId::BinanceUser, EventKind::Clock(offset));
        self.falling_candles();
        self.slot();
        self.market("161.00", "161.01");
    }
    /// 260 closed candles, two down for each up: RSI near 33.
    pub fn falling_candles(&mut self) {
        let mut close = px("200");
        for i in 0..260_i64 {
            close = Price(close.0 + if i % 3 == 0 { px("0.10").0 } else { -px("0.10").0 });
            let open_time = Time(self.now.0 - (260 - i) * 300 * SEC);
            let candle =
                Candle { open_time, open: close, high: close, low: close, close, volume: sol("1"), interval_s: 300 };
            self.feed(StreamId::BinanceCandle, EventKind::Candle(candle));
        }
    }
    pub fn feed(&mut self, stream: StreamId, kind: EventKind) {
        self.step(stream, kind);
        if !self.hold_reports {
            self.deliver();
        }
    }
    /// Hands every waiting report to the engine, and those that its answers cause.
    pub fn deliver(&mut self) {
        for _ in 0..20_000 {
            let Some(report) = self.venue.reports.pop_front() else { return };
            self.step(StreamId::BinanceUser, EventKind::Execution(report));
        }
        let last: Vec<_> = self.commands.iter().rev().take(12).collect();
        panic!("engine and venue never come to rest: {last:#?}");
    }
    pub fn step(&mut self, stream: StreamId, kind: EventKind) {
        self.seq += 1;
        self.take(Event { seq: self.seq, recv: self.now, at: self.now, venue_time: self.now, stream, kind });
    }
    fn take(&mut self, event: Event) {
        let mut out = CommandBuf::new();
        self.engine.step(&event, &mut out);
        self.events.push(event);
        self.most_commands = self.most_commands.max(out.len());
        for command in out.iter() {
            self.commands.push(*command);
            self.carry_out(*command);
        }
    }
    pub fn market(&mut self, bid: &str, ask: &str) {
        self.quote(bbo(bid, ask));
    }
    pub fn quote(&mut self, bbo: Bbo) {
        self.bbo = bbo;
        self.feed(StreamId::BinanceBbo, EventKind::Bbo(bbo));
    }
    /// The same top of book, read `age` ago and looked at only now.
    pub fn stale_quotes(&mut self, age: i64) {
        self.seq += 1;
        let recv = Time(self.now.0 - age);
        let kind = EventKind::Bbo(self.bbo);
        let event =
            Event { seq: self.seq, recv, at: self.now, venue_time: Time::NONE, stream: StreamId::BinanceBbo, kind };
        self.take(event);
    }
    pub fn slot(&mut self) {
        self.slot += 1;
        let slot = Slot { slot: self.slot, parent: self.slot - 1, root: self.slot - 32 };
        self.feed(StreamId::SolanaSlot, EventKind::Slot(slot));
    }
    /// A day that fell to `now` from 100 M; no later day repeats it to the cent.
    pub fn volume(&mut self, now: &str) {
        let days = self.now.utc_day() - NOON.utc_day();
        let sample = VolumeSample {
            definition: VolumeDefinition::UtcDay,
            state: SourceState::Ok,
            now: Notional(usd(now).0 + days),
            prev: usd("100000000"),
            bucket_end: self.now.day_start(),
            ..VolumeSample::UNREAD
        };
        self.feed(StreamId::DefiLlama, EventKind::Volume(sample));
    }
    pub fn enter(&mut self) {
        self.volume("60000000");
    }
    pub fn control(&mut self, control: Control) {
        self.feed(StreamId::Internal, EventKind::Control(control));
    }
    pub fn report(&mut self, report: ExecutionReport) {
        self.feed(StreamId::BinanceUser, EventKind::Execution(report));
    }
    /// Turns the clock, fires the timers that come due in between, keeps slots and quotes fresh.
    pub fn pass(&mut self, nanos: i64) {
        let end = self.now.plus(nanos);
        for _ in 0..10_000 {
            let due = self.timers.iter().filter(|(_, at)| **at <= end).min_by_key(|(_, at)| **at);
            let Some((id, at)) = due.map(|(id, at)| (*id, *at)) else { break };
            self.timers.remove(&id);
            self.now = self.now.max(at);
            let timer = TimerId::ALL.into_iter().find(|timer| *timer as u8 == id).expect("a timer");
            if timer == TimerId::Tick {
                self.slot();
                self.quote(self.bbo);
            }
            self.feed(StreamId::Internal, EventKind::Timer(timer));
        }
        self.now = end;
    }
    /// The whole entry, all three tranches.
    pub fn enter_all(&mut self) {
        self.enter();
        self.pass(21 * SEC);
    }

    pub fn status(&self) -> Status {
        self.engine.status()
    }
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        self.commands
            .iter()
            .filter_map(|command| if let Command::Record(record) = command { Some(*record) } else { None })
    }
    pub fn trades(&self) -> Vec<TradeRow> {
        self.records().filter_map(|record| if let Record::Trade(row) = record { Some(row) } else { None }).collect()
    }
    pub fn fills(&self) -> Vec<FillRow> {
        self.records().filter_map(|record| if let Record::Fill(row) = record { Some(row) } else { None }).collect()
    }
    pub fn refusals(&self) -> Vec<RiskRule> {
        self.records()
            .filter_map(|r| if let Record::Refused(refused) = r { Some(refused.rule) } else { None })
            .collect()
    }
    pub fn alerts(&self) -> Vec<Alert> {
        self.commands.iter().filter_map(|c| if let Command::Alert(alert) = c { Some(*alert) } else { None }).collect()
    }
    pub fn placed(&self) -> Vec<NewOrder> {
        self.commands.iter().filter_map(|c| if let Command::Place(new) = c { Some(*new) } else { None }).collect()
    }
    pub fn ocos(&self) -> Vec<NewOco> {
        self.commands.iter().filter_map(|c| if let Command::PlaceOco(oco) = c { Some(*oco) } else { None }).collect()
    }
    pub fn entries(&self) -> Vec<NewOrder> {
        self.placed().into_iter().filter(|new| new.side == Side::Buy).collect()
    }
    pub fn count(&self, is: impl Fn(&Command) -> bool) -> usize {
        self.commands.iter().filter(|command| is(command)).count()
    }
    /// Live legs at the venue: (leg, open size, limit, trigger).
    pub fn live(&self) -> Vec<(Leg, Qty, Price, Price)> {
        let live = self.venue.orders.values().filter(|held| held.is_live());
        live.map(|held| (held.order.id.leg, held.leaves(), held.order.price, held.stop_price)).collect()
    }
    pub fn live_stop_qty(&self) -> Qty {
        let stops = self.live().into_iter().filter(|(leg, ..)| matches!(leg, Leg::Stop(_)));
        Qty(stops.map(|(_, qty, ..)| qty.0).sum())
    }
    pub fn live_price(&self, leg: Leg) -> Price {
        let found = self.live().into_iter().find(|(of, ..)| *of == leg);
        found.map(|(_, _, price, _)| price).unwrap_or_else(|| panic!("no live {leg:?}"))
    }
    pub fn live_id(&self, leg: Leg) -> ClientOrderId {
        let mut live = self.venue.orders.values().filter(|held| held.is_live() && held.order.id.leg == leg);
        live.next().unwrap_or_else(|| panic!("no live {leg:?}")).order.id
    }
}

impl Desk {
    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Place(new) => self.place(new),
            Command::PlaceOco(oco) => self.place_oco(oco),
            Command::CancelList(cancel) => self.cancel_list(cancel.take_profit, cancel.stop),
            Command::Cancel(cancel) => {
                let id = cancel.target;
                self.cancel_list(id, id);
            }
            Command::CancelReplace(replace) => {
                let id = replace.cancel.target;
                let Leg::Stop(slot) = id.leg else { panic!("a close replaces a stop") };
                let tp = ClientOrderId { leg: Leg::TakeProfit(slot), ..id };
                let was_whole = self.venue.orders.get(&id).is_some_and(|held| held.is_live() && held.filled.0 == 0);
                if was_whole {
                    self.cancel_list(tp, id);
                } else {
                    self.venue.reports.push_back(word(id, ExecKind::CancelRejected));
                }
                let worked = was_whole && self.on_cancel == Answer::Proper;
                if worked {
                    self.place(replace.new);
                } else if !matches!(self.on_cancel, Answer::Lost | Answer::Mute) {
                    self.venue.claim(replace.new.id);
                    self.venue.reports.push_back(word(replace.new.id, ExecKind::Rejected));
                }
            }
            Command::CancelAll => {
                let live: Vec<_> = self.venue.orders.values().filter(|h| h.is_live()).map(|h| h.order.id).collect();
                live.into_iter().for_each(|id| self.venue.end(id, OrderStatus::Canceled, Reason::None));
            }
            Command::Query(query) => {
                if self.on_query == Answer::Proper {
                    self.venue.tell(query.target);
                }
            }
            Command::ArmTimer { id, at } => {
                self.timers.insert(id as u8, at);
            }
            Command::Alert(_) | Command::Record(_) => {}
        }
    }
    fn place(&mut self, new: NewOrder) {
        self.venue.claim(new.id);
        let waiting = self.venue.reports.len();
        match self.on_place {
            Answer::Refuse(reason) => {
                let report = ExecutionReport { reason, side: new.side, ..word(new.id, ExecKind::Rejected) };
                return self.venue.reports.push_back(report);
            }
            Answer::Lost => return,
            Answer::Proper | Answer::Mute => {}
        }
        self.venue.accept(new, Price::ZERO);
        let (percent, parts) = if new.side == Side::Buy { self.entry_fill } else { (self.close_fill, 1) };
        let price = if new.side == Side::Buy { self.bbo.ask } else { self.bbo.bid };
        let takes = new.kind == OrderKind::Market
            || if new.side == Side::Buy { new.price >= price } else { new.price <= price };
        let lot = instrument().lot.0;
        let part = new.qty.0 * percent / 100 / parts / lot * lot;
        if let Some(rest) = self.leave_of_close.take() {
            self.venue.fill(new.id, Qty(new.qty.0 - rest.0), price, Liquidity::Taker);
            return self.venue.end(new.id, OrderStatus::Expired, Reason::TimeInForce);
        }
        if takes && (new.tif != TimeInForce::Fok || percent == 100) {
            for i in 0..parts {
                let qty = if i + 1 == parts && percent == 100 { new.qty.0 - part * (parts - 1) } else { part };
                self.venue.fill(new.id, Qty(qty), price, Liquidity::Taker);
            }
        }
        self.venue.end(new.id, OrderStatus::Expired, Reason::TimeInForce);
        if self.on_place == Answer::Mute {
            self.venue.reports.truncate(waiting);
        }
    }
    fn place_oco(&mut self, oco: NewOco) {
        for id in [oco.list, oco.take_profit, oco.stop] {
            self.venue.claim(id);
        }
        let waiting = self.venue.reports.len();
        match self.on_oco {
            Answer::Refuse(reason) => {
                for id in [oco.take_profit, oco.stop] {
                    self.venue.reports.push_back(ExecutionReport { reason, ..word(id, ExecKind::Rejected) });
                }
                return;
            }
            Answer::Lost => return,
            Answer::Proper | Answer::Mute => {}
        }
        assert!(oco.stop_price < self.bbo.ask, "the stop is below the market");
        assert!(oco.tp_price > self.bbo.bid, "the target is above the market");
        let leg = |id, kind, price, purpose| NewOrder {
            id,
            side: Side::Sell,
            kind,
            tif: TimeInForce::Gtc,
            price,
            qty: oco.qty,
            purpose,
        };
        self.venue.accept(leg(oco.stop, OrderKind::StopLoss, oco.stop_limit, Purpose::Stop), oco.stop_price);
        self.venue.accept(leg(oco.take_profit, OrderKind::LimitMaker, oco.tp_price, Purpose::Tp1), Price::ZERO);
        self.venue.assert_covered();
        if self.on_oco == Answer::Mute {
            self.venue.reports.truncate(waiting);
        }
    }
    fn cancel_list(&mut self, take_profit: ClientOrderId, stop: ClientOrderId) {
        match self.on_cancel {
            Answer::Lost => return,
            Answer::Mute => {
                let waiting = self.venue.reports.len();
                [take_profit, stop].into_iter().for_each(|id| self.venue.end(id, OrderStatus::Canceled, Reason::None));
                return self.venue.reports.truncate(waiting);
            }
            Answer::Proper | Answer::Refuse(_) => {}
        }
        let refused = matches!(self.on_cancel, Answer::Refuse(_));
        if refused || !(self.venue.is_live(take_profit) || self.venue.is_live(stop)) {
            for id in [take_profit, stop] {
                self.venue.reports.push_back(word(id, ExecKind::CancelRejected));
                self.venue.tell(id);
            }
            return;
        }
        for id in [take_profit, stop] {
            self.venue.end(id, OrderStatus::Canceled, Reason::None);
        }
    }

    /// The market lifts a take-profit by `qty` (all of it: `None`); the partner stop dies.
    pub fn lift_target(&mut self, slot: u8, qty: Option<Qty>) {
        let id = self.live_id(Leg::TakeProfit(slot));
        let held = self.venue.orders[&id];
        let stop = ClientOrderId { leg: Leg::Stop(slot), ..id };
        self.venue.fill(id, qty.unwrap_or(held.leaves()), held.order.price, Liquidity::Maker);
        self.venue.end(stop, OrderStatus::Expired, Reason::OcoTrigger);
        if !self.hold_reports {
            self.deliver();
        }
    }
    /// A slot's stop triggers and sells `qty`; the rest of it stays open.
    pub fn fill_stop(&mut self, slot: u8, qty: Qty, price: &str) {
        let id = self.live_id(Leg::Stop(slot));
        let target = ClientOrderId { leg: Leg::TakeProfit(slot), ..id };
        self.venue.end(target, OrderStatus::Expired, Reason::OcoTrigger);
        self.venue.fill(id, qty, px(price), Liquidity::Taker);
        if !self.hold_reports {
            self.deliver();
        }
    }
    /// A trade at `price` triggers every stop at or above it; each sells at `price`.
    pub fn trigger_stops(&mut self, price: &str) {
        let price = px(price);
        let stops = self.venue.orders.values().filter(|h| h.is_live() && matches!(h.order.id.leg, Leg::Stop(_)));
        let hit: Vec<_> = stops.filter(|h| h.stop_price >= price).map(|h| h.order.id).collect();
        for id in hit {
            let Leg::Stop(slot) = id.leg else { continue };
            self.venue.end(
                ClientOrderId { leg: Leg::TakeProfit(slot), ..id },
                OrderStatus::Expired,
                Reason::OcoTrigger,
            );
            let leaves = self.venue.orders[&id].leaves();
            self.venue.fill(id, leaves, price, Liquidity::Taker);
        }
        if !self.hold_reports {
            self.deliver();
        }
    }
}

impl Venue {
    fn claim(&mut self, id: ClientOrderId) {
        assert!(self.used.insert(id), "id {id} was used before");
    }
    pub fn is_live(&self, id: ClientOrderId) -> bool {
        self.orders.get(&id).is_some_and(Held::is_live)
    }
    fn accept(&mut self, order: NewOrder, stop_price: Price) {
        self.next_number += 1;
        let held =
            Held { order, stop_price, filled: Qty::ZERO, status: OrderStatus::Working, number: self.next_number };
        self.orders.insert(order.id, held);
        let report = self.say(order.id, ExecKind::New);
        self.reports.push_back(report);
    }
    /// A report of an order as it stands.
    pub fn say(&self, id: ClientOrderId, kind: ExecKind) -> ExecutionReport {
        let held = self.orders[&id];
        ExecutionReport {
            venue_order_id: VenueOrderId(held.number),
            side: held.order.side,
            cum_qty: held.filled,
            leaves_qty: if held.is_live() { held.leaves() } else { Qty::ZERO },
            ..word(id, kind)
        }
    }
    pub fn fill(&mut self, id: ClientOrderId, qty: Qty, price: Price, liquidity: Liquidity) {
        if qty.0 <= 0 {
            return;
        }
        let held = self.orders.get_mut(&id).expect("a known order");
        assert!(held.is_live() && qty <= held.leaves(), "a fill of what is open");
        held.filled = Qty(held.filled.0 + qty.0);
        let side = held.order.side;
        if held.filled == held.order.qty {
            held.status = OrderStatus::Filled;
        }
        let value = notional_floor(price, qty).expect("a value");
        let fee_rate = instrument().fee_taker;
        let (fee_asset, fee) = match side {
            Side::Buy => (FeeAsset::Base, qty.times_ceil(fee_rate).expect("a fee").0),
            Side::Sell => (FeeAsset::Quote, value.times_ceil(fee_rate).expect("a fee").0),
        };
        self.base += if side == Side::Buy { qty.0 - fee } else { -qty.0 };
        assert!(self.base >= 0, "sold coins that are not there");
        self.next_trade += 1;
        let report = ExecutionReport {
            last_qty: qty,
            last_px: price,
            liquidity,
            fee_asset,
            fee,
            trade_id: self.next_trade,
            ..self.say(id, ExecKind::Fill)
        };
        self.trades.push(report);
        self.reports.push_back(report);
    }
    /// Ends an order if it lives.
    pub fn end(&mut self, id: ClientOrderId, status: OrderStatus, reason: Reason) {
        let Some(held) = self.orders.get_mut(&id).filter(|held| held.is_live()) else { return };
        held.status = status;
        let kind = if status == OrderStatus::Canceled { ExecKind::Canceled } else { ExecKind::Expired };
        let report = ExecutionReport { reason, ..self.say(id, kind) };
        self.reports.push_back(report);
    }
    /// The answer to a question about an order: how it stands, then its trades.
    pub fn tell(&mut self, id: ClientOrderId) {
        let kind = match self.orders.get(&id).map(|held| held.status) {
            None => return self.reports.push_back(word(id, ExecKind::NotFound)),
            Some(OrderStatus::Canceled) => ExecKind::Canceled,
            Some(OrderStatus::Expired) => ExecKind::Expired,
            Some(OrderStatus::Rejected) => ExecKind::Rejected,
            Some(_) => ExecKind::Status,
        };
        let report = self.say(id, kind);
        self.reports.push_back(report);
        self.reports.extend(self.trades.iter().filter(|trade| trade.id == id));
    }
    /// Live sells, a pair counted once, never exceed the coins of the account.
    pub fn assert_covered(&self) {
        let mut sum = 0;
        for held in self.orders.values().filter(|h| h.is_live() && h.order.side == Side::Sell) {
            let id = held.order.id;
            let partner = match id.leg {
                Leg::Stop(slot) => self.is_live(ClientOrderId { leg: Leg::TakeProfit(slot), ..id }),
                _ => false,
            };
            sum += if partner { 0 } else { held.leaves().0 };
        }
        assert!(sum <= self.base, "live sells of {sum} exceed the {} held", self.base);
    }
}
