//! The session's part of a kill: everything cancelled in one request, again until the venue has answered it.
//!
//! Thread: any.  Invariants: once killed or stopped, nothing is bought any more; the cancel is owed until the venue said
//! that it was done, through lost connections and refusals, but never sent into a ban: that would lengthen it.

use super::inflight::Asked;
use super::table::NEVER;
use super::trade::{Io, Stage, TradeSession};
use crate::types::Time;
use crate::types::note::{Hold, KillStep};
use crate::types::time::NANOS_PER_SEC;

/// Between two cancels of everything, if the first was refused or never answered.
const AGAIN_NS: i64 = NANOS_PER_SEC;

/// What is owed to a kill.
#[derive(Clone, Copy, Debug)]
pub(super) struct Duty {
    /// A cancel of everything must still be sent.
    owed: bool,
    /// It was sent, and the venue has not answered.
    asked: bool,
    /// When it may be tried again.
    due: Time,
}

impl Default for Duty {
    fn default() -> Self {
        Duty { owed: false, asked: false, due: NEVER }
    }
}

impl TradeSession {
    /// No entry passes from here on; orders that rest stay. One way.
    pub fn stop_entries(&mut self) {
        self.last_gate.stop();
    }

    /// Cancels everything at the venue before anything else is sent, and lets no entry pass any more. One way.
    pub fn kill(&mut self, now: Time, out: &mut impl FnMut(&[u8])) -> KillStep {
        self.last_gate.stop();
        self.duty = Duty { owed: true, asked: false, due: now };
        let mut io = Io { now, emit: &mut |_| {}, note: &mut |_| {}, out };
        self.cancel_everything(&mut io)
    }

    /// Pays what a kill is owed, if it is time. A connection that has just opened pays before it logs on.
    pub(super) fn pay_kill(&mut self, io: &mut Io<'_>) {
        let waits = self.budget.held(io.now) != Hold::None; // the first cancel ignored it: not again and again
        if self.duty.owed && io.now >= self.duty.due && !waits {
            self.cancel_everything(io);
        }
    }

    fn cancel_everything(&mut self, io: &mut Io<'_>) -> KillStep {
        if self.stage == Stage::Closed {
            return KillStep::AwaitsConnection;
        }
        if let Some(until) = self.budget.banned_until(io.now) {
            self.duty.due = until;
            return KillStep::AwaitsBanEnd;
        }
        let sent = self.ask(Asked::CancelAll, io);
        self.duty = Duty { owed: !sent, asked: sent, due: io.now.plus(AGAIN_NS) };
        if sent { KillStep::Written } else { KillStep::AwaitsConnection }
    }

    /// The venue answered a cancel of everything: done.
    pub(super) fn kill_paid(&mut self) {
        self.duty = Duty::default();
    }

    /// A cancel of everything was refused, or nobody knows what became of it.
    pub(super) fn kill_unpaid(&mut self, now: Time) {
        if self.duty.asked {
            self.duty = Duty { owed: true, asked: false, due: now.plus(AGAIN_NS) };
        }
    }

    /// Whether a cancel of everything must still be sent.
    pub fn owes_kill(&self) -> bool {
        self.duty.owed
    }

    /// The cancel of everything did not leave: the connection broke.
    pub fn kill_not_written(&mut self, now: Time) {
        self.kill_unpaid(now);
    }

    /// A connection opens: what is owed goes first, whatever was tried before.
    pub(super) fn pay_kill_first(&mut self, io: &mut Io<'_>) {
        if self.duty.owed {
            self.duty.due = io.now;
            self.pay_kill(io);
        }
    }
}
