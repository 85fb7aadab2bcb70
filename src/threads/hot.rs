//! The hot agent: market data and execution reports in, order commands out.
//!
//! Runs on: the `hot` core, or fused with `ingest` and `gateway`.  Owns: `Engine`, its timers.
//! Clock: read once per event, and once more after a step that gave commands.
//! Reads:  rings `report`, `control`, `market`, `slow`, in that order: our orders before the market.
//! Writes: rings `command`, `journal_hot`.  Never: blocks, allocates, makes a system call (but for a sleeper's bell).

use super::runner::{Agent, Work};
use crate::engine::Engine;
use crate::ring::{CommandItem, EventItem, HotNote, Receiver, Sender, Stamps};
use crate::sys::clock::Clock;
use crate::types::command::{COMMANDS_PER_STEP_MAX, Command, CommandBuf};
use crate::types::event::{Control, Event, EventKind, TimerId};
use crate::types::ids::StreamId;
use crate::types::order::{ExecKind, ExecutionReport, FeeAsset, Liquidity, Reason, Side};
use crate::types::record::PauseReason;
use crate::types::units::{Price, Qty};
use crate::types::{ClientOrderId, Time, VenueOrderId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Bound of one turn: a burst must not starve the timers.
const EVENTS_PER_TURN_MAX: u32 = 64;
/// Free places below which the journal counts as full: one step's commands and its event must still fit.
const JOURNAL_ROOM_MIN: usize = 2 * (COMMANDS_PER_STEP_MAX + 1);

/// The rings of the hot agent.
#[derive(Debug)]
pub struct HotRings {
    /// News of our orders.
    pub report: Receiver<EventItem>,
    /// The operator's word.
    pub control: Receiver<EventItem>,
    /// The market.
    pub market: Receiver<EventItem>,
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

/// The hot agent.
#[derive(Debug)]
pub struct Hot {
    engine: Engine,
    clock: Clock,
    rings: HotRings,
    view: Arc<HotView>,
    out: CommandBuf,
    timers: [Option<Time>; TimerId::ALL.len()],
    seq: u64,
    at: Time,
    journal_full: bool,
}

impl Hot {
    /// Around an engine that has seen nothing yet.
    pub fn new(engine: Engine, clock: Clock, rings: HotRings, view: Arc<HotView>) -> Hot {
        let timers = [None; TimerId::ALL.len()];
        Hot { engine, clock, rings, view, out: CommandBuf::new(), timers, seq: 0, at: Time::NONE, journal_full: false }
    }

    /// Gives the rings back, for a house that goes on with another engine.
    pub fn into_rings(self) -> HotRings {
        self.rings
    }

    fn next(&mut self, now: Time) -> Option<EventItem> {
        let rings = &mut self.rings;
        let item = rings.report.pop().or_else(|| rings.control.pop());
        item.or_else(|| self.due_timer(now)).or_else(|| self.rings.market.pop()).or_else(|| self.rings.slow.pop())
    }

    fn due_timer(&mut self, now: Time) -> Option<EventItem> {
        let due = |slot: &&TimerId| self.timers[**slot as usize].is_some_and(|at| at <= now);
        let id = *TimerId::ALL.iter().find(due)?;
        self.timers[id as usize] = None;
        Some(internal(EventKind::Timer(id), now))
    }

    /// One event through the engine, its commands to the gateway, then all of it to the journal.
    fn consume(&mut self, item: EventItem) {
        let step_from = self.clock.now();
        self.seq += 1;
        self.at = self.at.max(step_from);
        let event = Event { seq: self.seq, at: self.at, ..item.event };
        self.out.clear();
        self.engine.step(&event, &mut self.out);
        let mut unsent = Unsent::default();
        if !self.out.is_empty() {
            let stamps = Stamps { trigger: event.recv, decoded: item.decoded, step_from, step_to: self.clock.now() };
            self.carry_out(stamps, &mut unsent);
        }
        if !self.out.is_empty() || matches!(event.kind, EventKind::Control(_)) {
            self.publish(); // a word of the operator is answered even if it asks for nothing
        }
        self.journal(&event);
        unsent.iter().for_each(|report| self.consume(internal(EventKind::Execution(report), self.at)));
    }

    /// Orders leave before anything is written down: the venue first, the record after.
    fn carry_out(&mut self, stamps: Stamps, unsent: &mut Unsent) {
        for command in self.out.iter() {
            match command {
                Command::ArmTimer { id, at } => self.timers[*id as usize] = Some(*at),
                Command::Alert(_) | Command::Record(_) => {}
                order => {
                    let new = matches!(order, Command::Place(_) | Command::PlaceOco(_) | Command::CancelReplace(_));
                    let room = self.rings.command.room();
                    let kept_free = if new { self.rings.command.depth() / 4 } else { 0 };
                    let item = CommandItem { command: *order, stamps };
                    if room <= kept_free || self.rings.command.push(item).is_err() {
                        unsent.add(order);
                    }
                }
            }
        }
    }

    fn journal(&mut self, event: &Event) {
        _ = self.rings.journal.push(HotNote::Event(*event)); // a full ring is counted by its gauge, and halts below
        for command in self.out.iter() {
            _ = self.rings.journal.push(HotNote::Command(*command));
        }
    }

    fn publish(&self) {
        let status = self.engine.status();
        self.view.orders_open.store(status.orders_open, Ordering::Relaxed);
        self.view.at_rest.store(status.at_rest, Ordering::Relaxed);
        self.view.stopping.store(status.stopping, Ordering::Release); // pairs with the Acquire of the shutdown
    }

    /// Halts once when the journal runs full; a replay would have a hole.
    fn watch_journal(&mut self, now: Time) {
        let full = self.rings.journal.room() < JOURNAL_ROOM_MIN;
        if full && !self.journal_full {
            self.consume(internal(EventKind::Control(Control::Halt(PauseReason::Journal)), now));
        }
        self.journal_full = full;
    }
}

impl Agent for Hot {
    fn turn(&mut self, now: Time) -> Work {
        let mut done = Work::NONE;
        while done.count < EVENTS_PER_TURN_MAX {
            let Some(item) = self.next(now) else { break };
            self.consume(item);
            done.count += 1;
        }
        if done != Work::NONE {
            self.watch_journal(now);
        }
        done
    }
    fn idle(&self) -> bool {
        let rings = &self.rings;
        rings.report.is_empty() && rings.control.is_empty() && rings.market.is_empty() && rings.slow.is_empty()
    }
    fn deadline(&self) -> Option<Time> {
        self.timers.iter().flatten().min().copied()
    }
    fn finish(&mut self, now: Time) {
        self.turn(now);
    }
}

/// Reports about commands that never reached the gateway because its ring was full: at most one per order command.
#[derive(Default)]
struct Unsent {
    reports: [Option<ExecutionReport>; UNSENT_MAX],
    len: usize,
}
/// An OCO has two legs; a step sends far fewer than this.
const UNSENT_MAX: usize = 32;

impl Unsent {
    fn add(&mut self, command: &Command) {
        match command {
            Command::Place(order) => self.put(order.id, ExecKind::Rejected),
            Command::PlaceOco(oco) => {
                self.put(oco.take_profit, ExecKind::Rejected);
                self.put(oco.stop, ExecKind::Rejected);
            }
            Command::CancelReplace(both) => {
                self.put(both.new.id, ExecKind::Rejected);
                self.put(both.cancel.target, ExecKind::CancelRejected);
            }
            Command::Cancel(cancel) => self.put(cancel.target, ExecKind::CancelRejected),
            Command::CancelList(list) => {
                self.put(list.take_profit, ExecKind::CancelRejected);
                self.put(list.stop, ExecKind::CancelRejected);
            }
            Command::Query(query) => self.put(query.target, ExecKind::Unknown),
            Command::CancelAll | Command::ArmTimer { .. } | Command::Alert(_) | Command::Record(_) => {}
        }
    }
    fn put(&mut self, id: ClientOrderId, kind: ExecKind) {
        assert!(self.len < UNSENT_MAX, "one step sent more orders than the table of refusals holds");
        self.reports[self.len] = Some(never_sent(id, kind));
        self.len += 1;
    }
    fn iter(&self) -> impl Iterator<Item = ExecutionReport> + use<> {
        self.reports.into_iter().flatten()
    }
}

fn never_sent(id: ClientOrderId, kind: ExecKind) -> ExecutionReport {
    ExecutionReport {
        id,
        venue_order_id: VenueOrderId(0),
        list_id: 0,
        kind,
        side: Side::Buy,
        liquidity: Liquidity::Taker,
        fee_asset: FeeAsset::None,
        reason: Reason::RateLimit,
        code: 0,
        last_qty: Qty::ZERO,
        last_px: Price::ZERO,
        cum_qty: Qty::ZERO,
        leaves_qty: Qty::ZERO,
        fee: 0,
        trade_id: 0,
    }
}

fn internal(kind: EventKind, at: Time) -> EventItem {
    let event = Event { seq: 0, recv: at, at, venue_time: Time::NONE, stream: StreamId::Internal, kind };
    EventItem { event, decoded: at }
}
