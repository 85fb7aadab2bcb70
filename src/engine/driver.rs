//! What surrounds the engine wherever it runs: the hot agent, the virtual-time world, a replay.
//!
//! Thread: any.  Invariants: pure, time comes in with the call; events are numbered from 1 without a hole and `at` never
//! falls, so what the driver numbered is a journal; each timer holds one deadline, the newest; an order that found no room
//! is answered, never forgotten.

use super::Engine;
use crate::types::command::{COMMANDS_PER_STEP_MAX, Command, CommandBuf};
use crate::types::event::{Event, EventKind, TimerId};
use crate::types::ids::{ClientOrderId, StreamId, VenueOrderId};
use crate::types::order::{ExecKind, ExecutionReport, FeeAsset, Liquidity, Reason, Side};
use crate::types::time::Time;
use crate::types::units::{Price, Qty};
use std::collections::VecDeque;

/// Answers that one step can make necessary: both legs of every command. More are kept too, but take new memory.
const UNSENT_MAX: usize = 2 * COMMANDS_PER_STEP_MAX;

/// The engine, its numbering, its timers and its answers to orders that were never sent.
#[derive(Debug)]
pub struct Driver {
    engine: Engine,
    out: CommandBuf,
    timers: [Option<Time>; TimerId::ALL.len()],
    seq: u64,
    at: Time,
    /// Answers to orders that found no room: the engine hears them before anything else.
    unsent: VecDeque<ExecutionReport>,
}

impl Driver {
    /// Around an engine that has seen nothing yet. Takes all its memory here.
    pub fn new(engine: Engine) -> Driver {
        Driver {
            at: engine.now,
            engine,
            out: CommandBuf::new(),
            timers: [None; TimerId::ALL.len()],
            seq: 0,
            unsent: VecDeque::with_capacity(UNSENT_MAX),
        }
    }

    /// Numbers one event and takes it through the engine; what came of it is in [`Driver::commands`].
    ///
    /// Input:  the event as it was decoded, its `seq` and `at` overwritten; now on our clock.
    /// Output: the event as the engine saw it: what belongs into the journal.
    pub fn step(&mut self, event: Event, now: Time) -> Event {
        self.seq += 1;
        self.at = self.at.max(now);
        let event = Event { seq: self.seq, at: self.at, ..event };
        self.out.clear();
        self.engine.step(&event, &mut self.out);
        for command in self.out.iter() {
            if let Command::ArmTimer { id, at } = command
                && let Some(slot) = self.timers.get_mut(*id as usize)
            {
                *slot = Some(*at);
            }
        }
        event
    }

    /// The commands of the newest step, in order.
    pub fn commands(&self) -> &CommandBuf {
        &self.out
    }

    /// Offers each command of the newest step that is for the venue to `send`, in order. One that it does not take is
    /// answered: [`Driver::refused`] gives the reports. Output: whether any was taken.
    pub fn carry_out(&mut self, mut send: impl FnMut(&Command) -> bool) -> bool {
        let mut is_any_sent = false;
        for command in self.out.iter().filter(|command| command.is_for_venue()) {
            if send(command) {
                is_any_sent = true;
            } else {
                refuse(command, &mut self.unsent);
            }
        }
        is_any_sent
    }

    /// The next answer to an order that found no room; to be stepped before anything else.
    pub fn refused(&mut self) -> Option<Event> {
        let report = self.unsent.pop_front()?;
        Some(internal(EventKind::Execution(report), self.at))
    }

    /// Whether an answer waits in [`Driver::refused`].
    pub fn has_refused(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// One deadline that has come by `now`, to be stepped; it is armed no more.
    pub fn due_timer(&mut self, now: Time) -> Option<Event> {
        let mut armed = TimerId::ALL.into_iter().zip(self.timers.iter_mut());
        let (id, slot) = armed.find(|(_, slot)| slot.is_some_and(|at| at <= now))?;
        *slot = None;
        Some(internal(EventKind::Timer(id), now))
    }

    /// The nearest deadline.
    pub fn deadline(&self) -> Option<Time> {
        self.timers.iter().flatten().min().copied()
    }

    /// The engine, to look at.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// An event of our own making, not numbered yet.
pub fn internal(kind: EventKind, at: Time) -> Event {
    Event { seq: 0, recv: at, at, venue_time: Time::NONE, stream: StreamId::Internal, kind }
}

/// Reports about an order that was never sent because there was no room for it.
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
        // A question never asked tells nothing of its order, and the engine asks again by itself.
        Command::Query(_) | Command::CancelAll | Command::ArmTimer { .. } | Command::Alert(_) | Command::Record(_) => {}
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
