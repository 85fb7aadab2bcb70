//! Our side of a world: the sessions that face the real venues, the engine behind its driver, as the agents wire them.
//!
//! Thread: any.  Invariants: what the gateway, ingest and hot agents do with sockets and rings is done here with
//! queues, in their order (reports, then the operator, deadlines, the market, the slow feeds); nothing is decided here.

use super::lines::Door;
use crate::engine::driver::{Driver, internal};
use crate::engine::{Engine, Setup};
use crate::types::command::{Alert, Command};
use crate::types::event::{Control, EventKind};
use crate::types::order::Purpose;
use crate::types::reconcile::RestingOrder;
use crate::types::record::{PauseReason, Record};
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::{Event, Price, Time};
use crate::venue::DecodeError;
use crate::venue::binance_spot::market::{self, MarketSession, MarketSettings};
use crate::venue::binance_spot::trade::{self, TradeSession, TradeSettings};
use crate::venue::solana::{self, SlotSession};
use std::collections::VecDeque;

/// Steps of one instant, after which the house is taken for one that runs in circles.
pub(super) const STEPS_MAX: u32 = 2_000;
/// How often silence is looked for and REST requests are considered, as the ingest agent does.
const CHORES_NS: i64 = 100 * NANOS_PER_MILLI;
/// Longest wait for a REST answer of the market.
pub(super) const REST_TIMEOUT_NS: i64 = 10 * NANOS_PER_SEC;

/// What the market side asked for by REST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The book.
    Snapshot,
    /// Closed candles.
    Candles,
}

/// What the house wants done.
#[derive(Debug)]
pub(super) enum Wish {
    /// A text frame on a connection.
    Send(u32, Vec<u8>),
    /// This connection is of no use any more.
    Drop(u32),
    /// The next connection, the one in use will end.
    Renew(Door),
    /// A REST question of the market side.
    Ask(Asked, String),
    /// A fact for the ledger, with its time.
    Keep(Record, Time),
    /// Somebody is woken.
    Wake(Alert),
    /// An order that opens a position was written, with its price and size in mind.
    Entered(Command),
}

/// What the house is made of.
pub(super) struct HouseSettings {
    /// Where the engine starts from.
    pub setup: Setup,
    /// What the market session follows.
    pub market: MarketSettings,
    /// The order session.
    pub trade: TradeSettings,
    /// Venue's clock minus ours, as measured at start.
    pub offset_ns: i64,
    /// Orders of earlier runs that rest at the venue.
    pub resting: Vec<RestingOrder>,
}

/// The process.
pub(super) struct House {
    driver: Driver,
    market: MarketSession,
    slots: SlotSession,
    trade: TradeSession,
    /// The connection that orders go out on.
    orders_on: Option<u32>,
    /// Its successor, on the way to the same.
    orders_next: Option<u32>,
    /// Order connections open, oldest first.
    orders_open: Vec<u32>,
    /// End of the ban that the engine knows of.
    ban_told: Time,
    reports: VecDeque<Event>,
    words: VecDeque<Event>,
    ticks: VecDeque<Event>,
    slow: VecDeque<Event>,
    asked: Option<(Asked, Time)>,
    chores_at: Time,
    barred_told: bool,
    text: Vec<u8>,
    /// The market as the wire said it last.
    mid: (Price, Time),
    /// Orders that the command ring still takes; `None` = it is as empty as it should be.
    pub ring_room: Option<u32>,
    /// Orders refused because the ring was full.
    pub ring_refused: u64,
    /// The engine consumed a word after which nothing may be bought.
    pub stopping: bool,
    /// The newest events, for whoever must explain a failure.
    pub past: VecDeque<(Event, Vec<Command>)>,
}

/// Events kept for a failure's story.
const PAST_MAX: usize = 40;

impl House {
    /// As at the start of a process.
    pub fn new(settings: HouseSettings, now: Time) -> House {
        let mut trade = TradeSession::new(settings.trade);
        trade.set_clock_offset(settings.offset_ns);
        trade.take_over(&settings.resting, settings.setup.trades_known_to);
        House {
            driver: Driver::new(Engine::new(settings.setup)),
            market: MarketSession::new(settings.market),
            slots: SlotSession::new(),
            trade,
            orders_on: None,
            orders_next: None,
            orders_open: Vec::new(),
            ban_told: Time::NONE,
            reports: VecDeque::new(),
            words: VecDeque::new(),
            ticks: VecDeque::new(),
            slow: VecDeque::new(),
            asked: None,
            chores_at: now,
            barred_told: false,
            text: Vec::new(),
            mid: (Price::ZERO, Time::NONE),
            ring_room: None,
            ring_refused: 0,
            stopping: false,
            past: VecDeque::new(),
        }
    }

    /// The engine, to look at.
    pub fn engine(&self) -> &Engine {
        self.driver.engine()
    }
    /// The order session, to look at.
    pub fn trade(&self) -> &TradeSession {
        &self.trade
    }
    /// Path of the market connection.
    pub fn market_path(&self) -> String {
        self.market.path()
    }
    /// The engine's nearest deadline.
    pub fn deadline(&self) -> Option<Time> {
        self.driver.deadline()
    }
    /// A word of the operator, or of the house itself.
    pub fn say(&mut self, word: Control, now: Time) {
        if word == Control::Stop {
            self.trade.stop_entries();
        }
        self.words.push_back(internal(EventKind::Control(word), now));
    }
    /// The kill switch is pulled: the gateway's cancel first, then the engine hears of it.
    pub fn kill(&mut self, now: Time, wishes: &mut Vec<Wish>) {
        let conn = self.orders_on;
        let mut written = None;
        self.trade.kill(now, &mut |text| written = Some(text.to_vec()));
        match (written, conn) {
            (Some(text), Some(conn)) => wishes.push(Wish::Send(conn, text)),
            (Some(_), None) => self.trade.kill_not_written(now),
            (None, _) => {}
        }
        self.reports.push_back(internal(EventKind::Control(Control::Kill), now));
    }
    /// A volume sample, as a poller tells it.
    pub fn tell_slow(&mut self, event: Event) {
        self.slow.push_back(event);
    }

    /// A connection is open.
    pub fn on_open(&mut self, door: Door, conn: u32, now: Time, wishes: &mut Vec<Wish>) {
        match door {
            Door::Streams => self.market.on_open(conn, now),
            Door::Slots => self.slots.on_open(0, conn, now, &mut |text| wishes.push(Wish::Send(conn, text.to_vec()))),
            Door::Orders => {
                self.orders_open.push(conn);
                let mut send = |text: &[u8]| wishes.push(Wish::Send(conn, text.to_vec()));
                if self.orders_on.is_some() && self.trade.is_ready() {
                    self.orders_next = Some(conn);
                    return self.trade.on_open_next(now, &mut send); // orders go on over the one that serves
                }
                (self.orders_on, self.orders_next) = (Some(conn), None);
                self.trade.on_open(now, &mut send);
            }
        }
    }
    /// A connection is gone.
    pub fn on_down(&mut self, door: Door, conn: u32, now: Time) {
        match door {
            Door::Streams => self.market.on_down(conn, now, &mut |event| self.ticks.push_back(event)),
            Door::Slots => self.slots.on_down(0, conn, now, &mut |event| self.ticks.push_back(event)),
            Door::Orders => {
                self.orders_open.retain(|open| *open != conn);
                if self.orders_next == Some(conn) {
                    self.orders_next = None;
                    self.trade.on_next_down();
                }
                if self.orders_on == Some(conn) {
                    self.orders_on = None;
                    self.trade.on_down(now, &mut |event| self.reports.push_back(event), &mut |_| {});
                }
            }
        }
    }
    /// A frame. Output: whether it was data. Errors: a frame of the venue that our codec cannot read.
    pub fn on_frame(
        &mut self,
        (door, conn): (Door, u32),
        frame: &[u8],
        now: Time,
        wishes: &mut Vec<Wish>,
    ) -> Result<bool, String> {
        let broken = |why: &dyn std::fmt::Display| {
            Err(format!("{door:?} frame cannot be read: {why}: {}", String::from_utf8_lossy(frame)))
        };
        match door {
            Door::Streams => match self.market.on_frame(conn, frame, now, &mut |event| self.ticks.push_back(event)) {
                Ok(market::FrameKind::Data) => Ok(true),
                Ok(market::FrameKind::Shutdown) => {
                    wishes.push(Wish::Renew(door));
                    Ok(false)
                }
                Ok(market::FrameKind::Control | market::FrameKind::Refused { .. }) => Ok(false),
                Err(DecodeError::Contradiction { .. }) => Ok(true), // a side of a thin book is empty for a moment
                Err(why) => broken(&why),
            },
            Door::Slots => match self.slots.on_frame(0, conn, frame, now, &mut |event| self.ticks.push_back(event)) {
                Ok(solana::FrameKind::Data) => Ok(true),
                Ok(solana::FrameKind::Control) => Ok(false),
                Ok(solana::FrameKind::Reset) => {
                    wishes.push(Wish::Drop(conn));
                    Ok(false)
                }
                Err(why) => broken(&why),
            },
            Door::Orders => {
                let mut send = |text: &[u8]| wishes.push(Wish::Send(conn, text.to_vec()));
                let reports = &mut self.reports;
                let kind =
                    self.trade.on_frame(frame, now, &mut |event| reports.push_back(event), &mut |_| {}, &mut send);
                if self.orders_next == Some(conn) && self.trade.next_is_ready() {
                    self.trade.use_next();
                    self.orders_on = self.orders_next.take();
                }
                match kind {
                    Ok(trade::FrameKind::Data) => Ok(true),
                    Ok(trade::FrameKind::Control) => Ok(false),
                    Ok(trade::FrameKind::Shutdown) => {
                        wishes.push(Wish::Renew(door));
                        Ok(false)
                    }
                    Ok(trade::FrameKind::Reset) => {
                        wishes.push(Wish::Drop(conn));
                        Ok(false)
                    }
                    Err(why) => broken(&why),
                }
            }
        }
    }
    /// The answer to a REST question of the market side; `None` = it failed.
    pub fn on_rest(&mut self, asked: Asked, body: Option<&[u8]>, now: Time) -> Result<(), String> {
        if self.asked.is_none_or(|(waiting, _)| waiting != asked) {
            return Ok(()); // given up already
        }
        self.asked = None;
        let mut emit = |event| self.ticks.push_back(event);
        let taken = match (asked, body) {
            (Asked::Snapshot, Some(body)) => self.market.on_snapshot(body, now, &mut emit),
            (Asked::Candles, Some(body)) => self.market.on_klines(body, now, &mut emit),
            (Asked::Snapshot, None) => {
                self.market.on_snapshot_failed(now);
                Ok(())
            }
            (Asked::Candles, None) => {
                self.market.on_klines_failed(now);
                Ok(())
            }
        };
        taken.map_err(|why| format!("the answer to {asked:?} cannot be read: {why}"))
    }

    /// What the gateway and ingest do by the clock.
    pub fn keep_time(&mut self, now: Time, wishes: &mut Vec<Wish>) {
        if let (None, Some(open)) = (self.orders_on, self.orders_open.last()) {
            (self.orders_on, self.orders_next) = (Some(*open), None); // the session goes on there
            self.trade.begin_anew(now);
        }
        if let Some(conn) = self.orders_on {
            let mut send = |text: &[u8]| wishes.push(Wish::Send(conn, text.to_vec()));
            let reports = &mut self.reports;
            let kind = self.trade.on_timer(now, &mut |event| reports.push_back(event), &mut |_| {}, &mut send);
            if kind == trade::FrameKind::Reset {
                wishes.push(Wish::Drop(conn));
            }
        }
        if self.trade.is_barred() && !self.barred_told {
            self.barred_told = true;
            self.say(Control::Halt(PauseReason::Venue), now);
        }
        if let Some(until) = self.trade.banned_until(now).filter(|until| *until > self.ban_told) {
            self.ban_told = until;
            self.say(Control::Halt(PauseReason::Venue), now);
        }
        if now >= self.chores_at {
            self.chores_at = now.plus(CHORES_NS);
            self.market.on_timer(now, &mut |event| self.ticks.push_back(event));
            self.slots.on_timer(now, &mut |event| self.ticks.push_back(event));
            self.ask_market(now, wishes);
        }
    }
    fn ask_market(&mut self, now: Time, wishes: &mut Vec<Wish>) {
        if let Some((asked, since)) = self.asked {
            if now.since(since) < REST_TIMEOUT_NS {
                return;
            }
            _ = self.on_rest(asked, None, now); // a failure has no body to misread
        }
        let snapshot = self.market.snapshot_wanted(now).map(|path| (Asked::Snapshot, path));
        if let Some((asked, path)) =
            snapshot.or_else(|| self.market.klines_wanted(now).map(|path| (Asked::Candles, path)))
        {
            self.asked = Some((asked, now));
            wishes.push(Wish::Ask(asked, path));
        }
    }

    /// Takes everything that waits through the engine. Errors: the house runs in circles.
    pub fn drive(&mut self, now: Time, wishes: &mut Vec<Wish>) -> Result<u32, String> {
        for steps in 0..STEPS_MAX {
            let Some(event) = self.next(now) else { return Ok(steps) };
            self.step(event, now, wishes);
        }
        Err(format!("the house does not come to rest: more than {STEPS_MAX} steps at one instant"))
    }
    fn next(&mut self, now: Time) -> Option<Event> {
        let first = self.driver.refused().or_else(|| self.reports.pop_front()).or_else(|| self.words.pop_front());
        let next = first.or_else(|| self.driver.due_timer(now));
        next.or_else(|| self.ticks.pop_front()).or_else(|| self.slow.pop_front())
    }
    fn step(&mut self, event: Event, now: Time, wishes: &mut Vec<Wish>) {
        if let EventKind::Bbo(bbo) = event.kind {
            self.mid = (bbo.mid(), event.recv);
        }
        let event = self.driver.step(event, now);
        self.stopping |= matches!(event.kind, EventKind::Control(Control::Stop | Control::Kill));
        for command in self.driver.commands().iter() {
            match command {
                Command::Record(record) => wishes.push(Wish::Keep(*record, event.at)),
                Command::Alert(alert) => wishes.push(Wish::Wake(*alert)),
                _ => {}
            }
        }
        self.remember(event);
        let (room, refused) = (&mut self.ring_room, &mut self.ring_refused);
        let mut sent = Vec::new();
        self.driver.carry_out(|command| {
            let is_new = matches!(command, Command::Place(_) | Command::PlaceOco(_) | Command::CancelReplace(_));
            match room {
                Some(0) => *refused += 1,
                Some(left) if is_new => *left -= 1,
                _ => {}
            }
            let is_taken = *room != Some(0);
            if is_taken {
                sent.push(*command);
            }
            is_taken
        });
        for command in sent {
            self.write(&command, now, wishes);
        }
    }
    /// As the gateway does: encoded, registered, written if there is a connection.
    fn write(&mut self, command: &Command, now: Time, wishes: &mut Vec<Wish>) {
        let reports = &mut self.reports;
        let (mid, mid_at) = self.mid;
        self.trade.set_mid(mid, mid_at);
        let encoded = self.trade.encode(command, now, &mut self.text, &mut |event| reports.push_back(event));
        if encoded.is_err() {
            return; // the session told the engine why
        }
        let Some(conn) = self.orders_on else { return };
        if matches!(command, Command::Place(order) if order.purpose == Purpose::Entry) {
            wishes.push(Wish::Entered(*command));
        }
        wishes.push(Wish::Send(conn, self.text.clone()));
    }
    fn remember(&mut self, event: Event) {
        let is_noise = matches!(event.kind, EventKind::Depth(_) | EventKind::Trade(_) | EventKind::Slot(_));
        let commands: Vec<Command> = self.driver.commands().iter().copied().collect();
        if (is_noise || matches!(event.kind, EventKind::Bbo(_))) && commands.is_empty() {
            return;
        }
        if self.past.len() == PAST_MAX {
            self.past.pop_front();
        }
        self.past.push_back((event, commands));
    }
}
