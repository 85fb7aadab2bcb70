//! The hot agent: market data and execution reports in, order commands out.
//!
//! Runs on: the `hot` core, or fused with `ingest` and `gateway`.  Owns: the engine and its `Driver`.
//! Clock: read once per event, and once more after a step that gave commands.
//! Reads:  rings `report`, `control`, `market`, `scout`, `slow`, in that order: our orders before the market.
//! Writes: rings `command`, `journal_hot`, the heartbeat page.  Never: blocks, allocates, makes a system call (but for a sleeper's bell).

use super::runner::{Agent, Work};
use crate::engine::Engine;
use crate::engine::driver::{self, Driver};
use crate::ring::{CommandItem, EventItem, HotNote, Receiver, Sender, Stamps};
use crate::sys::clock::Clock;
use crate::sys::heartbeat::{Figures, Heartbeat};
use crate::types::Time;
use crate::types::command::COMMANDS_PER_STEP_MAX;
use crate::types::event::{Control, Event, EventKind};
use crate::types::note::Lost;
use crate::types::record::PauseReason;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Bound of one turn: a burst must not starve the timers. Twice what a turn of `ingest` brings at one event a frame, so
/// that on a fused core the ring drains while the burst lasts.
const EVENTS_PER_TURN_MAX: u32 = 128;
/// Notes of one step at most: its event, its commands, and what was lost before it.
const STEP_NOTES_MAX: usize = COMMANDS_PER_STEP_MAX + 2;
/// How old the equity on the heartbeat page may be; a fill is told at once.
const FIGURES_EVERY_NS: i64 = 100 * NANOS_PER_MILLI;

/// One event in so many is one of the further feeds', if there is one.
const FURTHER_FEEDS_EVERY: u32 = 16;
/// At the end, how long the cold side is waited for, to tell it what is missing.
const SAY_LOST_NS_MAX: i64 = NANOS_PER_SEC;

/// The rings of the hot agent.
#[derive(Debug)]
pub struct HotRings {
    /// News of our orders.
    pub report: Receiver<EventItem>,
    /// The operator's word.
    pub control: Receiver<EventItem>,
    /// The market.
    pub market: Receiver<EventItem>,
    /// The further feeds.
    pub scout: Receiver<EventItem>,
    /// Volume samples and their streams.
    pub slow: Receiver<EventItem>,
    /// Orders to the gateway.
    pub command: Sender<CommandItem>,
    /// What happened, in order.
    pub journal: Sender<HotNote>,
}

/// What the rest of the house may see of the engine at any time.
#[derive(Debug, Default)]
pub struct HotView {
    /// Orders that may still execute.
    pub orders_open: AtomicU32,
    /// Nothing is on its way that could leave coins without a stop: the process may end.
    pub at_rest: AtomicBool,
    /// The engine consumed `Control::Stop` or `Kill`.
    pub stopping: AtomicBool,
}

/// What the hot agent tells of itself to another process.
#[derive(Debug)]
struct Pulse {
    page: Arc<Heartbeat>,
    figures: Figures,
    due: Time,
}

impl Pulse {
    /// The newest figures onto the page; what is not known keeps its last value.
    fn tell(&mut self, engine: &Engine, now: Time) {
        let status = engine.status();
        let figures = &mut self.figures;
        figures.equity = status.equity.map_or(figures.equity, |row| row.equity);
        figures.day_equity = status.day_equity.unwrap_or(figures.day_equity);
        figures.position = status.position;
        self.page.write(self.figures);
        self.due = now.plus(FIGURES_EVERY_NS);
    }
    /// A report may be of a fill: position and newest trade go onto the page together.
    fn on_event(&mut self, event: &Event, engine: &Engine) {
        if let EventKind::Execution(report) = &event.kind {
            self.figures.trades_known_to = self.figures.trades_known_to.max(report.trade_id);
            self.tell(engine, event.at);
        }
    }
    fn beat(&mut self, engine: &Engine, now: Time) {
        self.page.beat_hot(now);
        if now >= self.due {
            self.tell(engine, now);
        }
    }
}

/// The hot agent.
#[derive(Debug)]
pub struct Hot {
    driver: Driver,
    clock: Clock,
    rings: HotRings,
    view: Arc<HotView>,
    pulse: Option<Pulse>,
    /// The newest event, not in the journal yet; the driver still has its commands.
    unwritten: Option<Event>,
    /// What found no room in the journal's ring and was not said there yet.
    lost: Lost,
    /// The journal's ring runs full: entries were halted.
    journal_low: bool,
    /// Times that the feeds were looked at.
    fed: u32,
}

impl Hot {
    /// Around an engine that has seen nothing yet.
    pub fn new(engine: Engine, clock: Clock, rings: HotRings, view: Arc<HotView>) -> Hot {
        Hot {
            driver: Driver::new(engine),
            clock,
            rings,
            view,
            pulse: None,
            unwritten: None,
            lost: Lost::NONE,
            journal_low: false,
            fed: 0,
        }
    }

    /// With the page that another process watches, if one does.
    pub fn with_heartbeat(mut self, page: Option<Arc<Heartbeat>>) -> Hot {
        self.pulse = page.map(|page| Pulse { figures: page.first(), page, due: Time::NONE });
        self
    }

    /// Gives the rings back, for a house that goes on with another engine.
    pub fn into_rings(self) -> HotRings {
        self.rings
    }

    fn next(&mut self, now: Time) -> Option<EventItem> {
        if let Some(answer) = self.driver.refused() {
            return Some(own(answer));
        }
        if let Some(halt) = self.journal_ran_low(now) {
            return Some(own(halt));
        }
        let rings = &mut self.rings;
        let item = rings.report.pop().or_else(|| rings.control.pop());
        let item = item.or_else(|| self.driver.due_timer(now).map(own));
        if item.is_some() || self.holds_market() {
            return item;
        }
        self.next_of_feeds()
    }

    /// The market first, but for each sixteenth event, where scout and slow feeds take turns: no fast feed must starve
    /// another that entries stand on.
    fn next_of_feeds(&mut self) -> Option<EventItem> {
        let rings = &mut self.rings;
        self.fed = self.fed.wrapping_add(1);
        if self.fed.is_multiple_of(2 * FURTHER_FEEDS_EVERY) {
            return rings.slow.pop().or_else(|| rings.scout.pop()).or_else(|| rings.market.pop());
        }
        if self.fed.is_multiple_of(FURTHER_FEEDS_EVERY) {
            return rings.scout.pop().or_else(|| rings.slow.pop()).or_else(|| rings.market.pop());
        }
        rings.market.pop().or_else(|| rings.scout.pop()).or_else(|| rings.slow.pop())
    }

    /// Halts entries, once, while three quarters of the journal's ring are full: long before anything could be lost.
    fn journal_ran_low(&mut self, now: Time) -> Option<Event> {
        let ring = &self.rings.journal;
        let low = ring.room() < (ring.depth() / 4).max(2 * STEP_NOTES_MAX);
        let ran_low = low && !self.journal_low;
        self.journal_low = low;
        ran_low.then(|| driver::internal(EventKind::Control(Control::Halt(PauseReason::Journal)), now))
    }

    /// The last eighth of the journal's ring is for our own orders: the market waits, or is dropped where it comes in,
    /// with a gap that says so; unless coins are on their way out and the engine must see the price.
    fn holds_market(&self) -> bool {
        let ring = &self.rings.journal;
        if ring.room() >= (ring.depth() / 8).max(2 * STEP_NOTES_MAX) {
            return false;
        }
        let status = self.driver.engine().status();
        status.naked_since == Time::NONE && !status.closing
    }

    /// One event through the engine, its commands to the gateway. Output: whether an order is on its way; the record
    /// then waits for the next turn, so that on a fused core the venue comes first.
    fn consume(&mut self, item: EventItem) -> bool {
        self.write_down();
        let step_from = self.clock.now();
        let event = self.driver.step(item.event, step_from);
        self.unwritten = Some(event);
        if self.driver.commands().is_empty() {
            return false;
        }
        let stamps = Stamps { trigger: event.recv, decoded: item.decoded, step_from, step_to: self.clock.now() };
        let ring = &mut self.rings.command;
        self.driver.carry_out(|order| {
            let kept_free = if order.is_new_order() { ring.depth() / 4 } else { 0 };
            ring.room() > kept_free && ring.push(CommandItem { command: *order, stamps }).is_ok()
        })
    }

    /// The newest event and its commands to the journal, what came of them to whoever looks.
    fn write_down(&mut self) {
        let Some(event) = self.unwritten.take() else { return };
        self.tell_journal(&event);
        if let Some(pulse) = &mut self.pulse {
            pulse.on_event(&event, self.driver.engine());
        }
        if !self.driver.commands().is_empty() || matches!(event.kind, EventKind::Control(_)) {
            self.publish(); // a word of the operator is answered even if it asks for nothing
        }
    }

    fn publish(&self) {
        let status = self.driver.engine().status();
        self.view.orders_open.store(status.orders_open, Ordering::Relaxed);
        self.view.at_rest.store(status.at_rest, Ordering::Relaxed);
        self.view.stopping.store(status.stopping, Ordering::Release); // pairs with the Acquire of the shutdown
    }

    /// One step to the journal, whole or not at all: a step that finds no room is counted, and said before the next.
    fn tell_journal(&mut self, event: &Event) {
        let (commands, ring) = (self.driver.commands(), &mut self.rings.journal);
        if ring.room() < STEP_NOTES_MAX {
            let notes = u64::try_from(commands.len()).unwrap_or(u64::MAX);
            self.lost = self.lost.plus(Lost { events: 1, notes });
            return;
        }
        say_lost(&mut self.lost, ring);
        _ = ring.push(HotNote::Event(*event)); // fits: there was room for the largest step
        for command in commands.iter() {
            _ = ring.push(HotNote::Command(*command));
        }
    }
}

/// Says what is missing before the next note.
fn say_lost(lost: &mut Lost, ring: &mut Sender<HotNote>) {
    if *lost != Lost::NONE && ring.push(HotNote::Lost(*lost)).is_ok() {
        *lost = Lost::NONE;
    }
}

impl Agent for Hot {
    fn turn(&mut self, now: Time) -> Work {
        if let Some(pulse) = &mut self.pulse {
            pulse.beat(self.driver.engine(), now);
        }
        self.write_down();
        let mut done = Work::NONE;
        while done.count < EVENTS_PER_TURN_MAX {
            let Some(item) = self.next(now) else { break };
            done.count += 1;
            if self.consume(item) {
                return done;
            }
        }
        self.write_down();
        done
    }
    fn idle(&self) -> bool {
        let rings = &self.rings;
        let at_rest = self.unwritten.is_none() && !self.driver.has_refused();
        let no_feed = [&rings.market, &rings.scout, &rings.slow].iter().all(|ring| ring.is_empty());
        let no_market = no_feed || self.holds_market();
        at_rest && rings.report.is_empty() && rings.control.is_empty() && no_market
    }
    fn deadline(&self) -> Option<Time> {
        self.driver.deadline()
    }
    fn finish(&mut self, now: Time) {
        for _ in 0..EVENTS_PER_TURN_MAX {
            if self.turn(now) == Work::NONE {
                break;
            }
        }
        self.write_down();
        let until = self.clock.now().plus(SAY_LOST_NS_MAX);
        while self.lost != Lost::NONE && self.clock.now() < until {
            say_lost(&mut self.lost, &mut self.rings.journal);
        }
    }
}

/// An event that no decoder made.
fn own(event: Event) -> EventItem {
    EventItem { event, decoded: event.at }
}
