//! Deadlines: which ones are armed, and what each does when it comes.
//!
//! Thread: any.  Invariants: a deadline goes out as `ArmTimer` only when it changed; one that comes early or late does
//! no harm, because what is due is always judged by the state and the time, never by the timer's name alone.

use super::Engine;
use crate::types::command::{Command, CommandBuf};
use crate::types::event::TimerId;
use crate::types::reconcile::ReconcileTrigger;
use crate::types::record::{ExitReason, PauseReason, Record};
use crate::types::time::{NANOS_PER_SEC, Time};
use crate::types::units::Qty;

/// What is armed, by timer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timers {
    at: [Time; 5],
}

impl Timers {
    fn slot(&mut self, id: TimerId) -> &mut Time {
        let [tranche, query, naked, tick, exit] = &mut self.at;
        match id {
            TimerId::Tranche => tranche,
            TimerId::Query => query,
            TimerId::Naked => naked,
            TimerId::Tick => tick,
            TimerId::Exit => exit,
        }
    }
    /// Every deadline; NONE = not armed.
    pub(super) fn all(&self) -> [Time; 5] {
        self.at
    }
    /// Arms a deadline if it is one and not armed just so already.
    fn arm(&mut self, id: TimerId, at: Time, out: &mut CommandBuf) {
        let slot = self.slot(id);
        if at != Time::NONE && *slot != at {
            *slot = at;
            out.push(Command::ArmTimer { id, at });
        }
    }
}

impl Engine {
    /// A deadline came.
    pub(super) fn on_timer(&mut self, id: TimerId, out: &mut CommandBuf) {
        *self.timers.slot(id) = Time::NONE;
        self.orders.forget_old_requests(self.now, out);
        match id {
            TimerId::Tick => self.on_tick(out),
            TimerId::Query => {
                if self.orders.ask_due(self.now, out) {
                    self.pauses.pause(PauseReason::Venue, out);
                }
            }
            TimerId::Tranche | TimerId::Naked | TimerId::Exit => {}
        }
        self.settle(out);
    }
    /// Once a second: a new day, equity, the signal's ages.
    fn on_tick(&mut self, out: &mut CommandBuf) {
        self.timers.arm(TimerId::Tick, self.now.plus(NANOS_PER_SEC), out);
        if self.money.day() != self.now.utc_day() {
            self.pauses.free(PauseReason::DailyLoss, out);
        }
        self.mark(out);
        self.evaluate(out);
    }
    /// The first event: what an earlier run left is looked after at once.
    pub(super) fn on_start(&mut self, out: &mut CommandBuf) {
        assert!(!self.started, "an engine starts once");
        self.started = true;
        self.timers.arm(TimerId::Tick, self.now.plus(NANOS_PER_SEC), out);
        self.judge_met(ReconcileTrigger::Start, out);
        self.settle(out);
    }
    /// Arms every deadline that the state asks for.
    pub(super) fn arm_timers(&mut self, out: &mut CommandBuf) {
        let tranche = self.entry.map_or(Time::NONE, |plan| plan.due());
        self.timers.arm(TimerId::Tranche, tranche, out);
        self.timers.arm(TimerId::Query, self.orders.next_ask(), out);
        let exit = self.close.map_or(Time::NONE, |closing| closing.next_at);
        self.timers.arm(TimerId::Exit, if exit > self.now { exit } else { Time::NONE }, out);
        let naked = self.next_naked_look();
        self.timers.arm(TimerId::Naked, naked, out);
    }

    /// Coins above dust without a live stop: since when, and not for longer than allowed.
    ///
    /// The deadline runs only while orders can be sent; the recorded time runs always.
    pub(super) fn watch_naked(&mut self, out: &mut CommandBuf) {
        let bare = Qty(self.position.qty().0.saturating_sub(self.covered().0).max(0));
        let is_naked = !self.instrument.is_dust(self.dust_price(), bare);
        match (is_naked, self.naked_since) {
            (true, None) => {
                self.naked_since = Some(self.now);
                self.naked_qty = bare;
            }
            (true, Some(_)) => self.naked_qty = self.naked_qty.max(bare),
            (false, Some(since)) => {
                let ns = self.now.since(since);
                out.push(Command::Record(Record::Naked { ns, qty: self.naked_qty }));
                self.naked_since = None;
            }
            (false, None) => {}
        }
        if self.naked_deadline().is_some_and(|deadline| self.now >= deadline) && self.close.is_none() {
            self.start_close(ExitReason::Unprotected, out);
        }
    }
    fn naked_deadline(&self) -> Option<Time> {
        let since = self.naked_since?.max(self.way_out_since?);
        Some(since.plus(self.params.naked_ns_max))
    }
    /// The next moment at which naked coins need a look; NONE = none do.
    fn next_naked_look(&self) -> Time {
        let Some(since) = self.naked_since.filter(|_| self.close.is_none()) else { return Time::NONE };
        let looks = [since.plus(self.params.naked_ns_max / 2), self.exits.retry_at()];
        let looks = looks.into_iter().chain(self.naked_deadline());
        looks.filter(|at| *at > self.now).min().unwrap_or(Time::NONE)
    }
}
