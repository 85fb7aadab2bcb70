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
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Bound of one turn: a burst must not starve the timers. Twice what a turn of `ingest` brings at one event a frame, so
/// that on a fused core the ring drains while the burst lasts.
const EVENTS_PER_TURN_MAX: u32 = 128;
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
    /// Answers to orders that found the command ring full: the engine hears them before anything else.
    unsent: VecDeque<ExecutionReport>,
    /// The newest event, not in the journal yet; its commands are in `out`.
    unwritten: Option<Event>,
    journal_full: bool,
}

impl Hot {
    /// Around an engine that has seen nothing yet.
    pub fn new(engine: Engine, clock: Clock, rings: HotRings, view: Arc<HotView>) -> Hot {
        Hot {
            engine,
            clock,
            rings,
            view,
            out: CommandBuf::new(),
            timers: [None; TimerId::ALL.len()],
            seq: 0,
            at: Time::NONE,
            unsent: VecDeque::with_capacity(UNSENT_MAX),
            unwritten: None,
            journal_full: false,
        }
    }

    /// Gives the rings back, for a house that goes on with another engine.
    pub fn into_rings(self) -> HotRings {
        self.rings
    }

    fn next(&mut self, now: Time) -> Option<EventItem> {
        if let Some(report) = self.unsent.pop_front() {
            return Some(internal(EventKind::Execution(report), self.at));
        }
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

    /// One event through the engine, its commands to the gateway. Output: whether an order is on its way; the record
    /// then waits for the next turn, so that on a fused core the venue comes first.
    fn consume(&mut self, item: EventItem) -> bool {
        self.write_down();
        let step_from = self.clock.now();
        self.seq += 1;
        self.at = self.at.max(step_from);
        let event = Event { seq: self.seq, at: self.at, ..item.event };
        self.out.clear();
        self.engine.step(&event, &mut self.out);
        self.unwritten = Some(event);
        if self.out.is_empty() {
            return false;
        }
        self.carry_out(Stamps { trigger: event.recv, decoded: item.decoded, step_from, step_to: self.clock.now() })
    }

    /// Timers are armed, orders pushed. Output: whether there was an order.
    fn carry_out(&mut self, stamps: Stamps) -> bool {
        let mut is_order_sent = false;
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
                        refuse(order, &mut self.unsent);
                    } else {
                        is_order_sent = true;
                    }
                }
            }
        }
        is_order_sent
    }

    /// The newest event and its commands to the journal, what came of them to whoever looks. Output: whether one waited.
    fn write_down(&mut self) -> bool {
        let Some(event) = self.unwritten.take() else { return false };
        _ = self.rings.journal.push(HotNote::Event(event)); // a full ring is counted by its gauge, and halts below
        for command in self.out.iter() {
            _ = self.rings.journal.push(HotNote::Command(*command));
        }
        if !self.out.is_empty() || matches!(event.kind, EventKind::Control(_)) {
            self.publish(); // a word of the operator is answered even if it asks for nothing
        }
        true
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
        if self.write_down() {
            self.watch_journal(now);
        }
        let mut done = Work::NONE;
        while done.count < EVENTS_PER_TURN_MAX {
            let Some(item) = self.next(now) else { break };
            done.count += 1;
            if self.consume(item) {
                return done;
            }
        }
        self.write_down();
        if done != Work::NONE {
            self.watch_journal(now);
        }
        done
    }
    fn idle(&self) -> bool {
        let rings = &self.rings;
        let at_rest = self.unwritten.is_none() && self.unsent.is_empty();
        at_rest
            && rings.report.is_empty()
            && rings.control.is_empty()
            && rings.market.is_empty()
            && rings.slow.is_empty()
    }
    fn deadline(&self) -> Option<Time> {
        self.timers.iter().flatten().min().copied()
    }
    fn finish(&mut self, now: Time) {
        for _ in 0..EVENTS_PER_TURN_MAX {
            if self.turn(now) == Work::NONE {
                break;
            }
        }
        self.write_down();
    }
}

/// Orders that one step may send without the table of refusals growing.
const UNSENT_MAX: usize = 32;

/// Reports about an order that never reached the gateway because its ring was full.
fn refuse(order: &Command, reports: &mut VecDeque<ExecutionReport>) {
    let mut put = |id, kind| reports.push_back(never_sent(id, kind));
    match order {
        Command::Place(order) => put(order.id, ExecKind::Rejected),
        Command::PlaceOco(oco) => {
            put(oco.take_profit, ExecKind::Rejected);
            put(oco.stop, ExecKind::Rejected);
        }
        Command::CancelReplace(both) => {
            put(both.new.id, ExecKind::Rejected);
            put(both.cancel.target, ExecKind::CancelRejected);
        }
        Command::Cancel(cancel) => put(cancel.target, ExecKind::CancelRejected),
        Command::CancelList(list) => {
            put(list.take_profit, ExecKind::CancelRejected);
            put(list.stop, ExecKind::CancelRejected);
        }
        Command::Query(query) => put(query.target, ExecKind::Unknown),
        Command::CancelAll | Command::ArmTimer { .. } | Command::Alert(_) | Command::Record(_) => {}
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
