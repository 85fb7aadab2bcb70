//! The next order connection of a planned roll-over: it logs on and subscribes while the older one serves.
//!
//! Thread: any.  Invariants: orders go over the older connection until the next one hears the account's events; one that
//! ends before costs nothing but its weight; a serving connection that ends hands over to whatever is open.

use super::errors::{Reaction, Verdict};
use super::inflight::Asked;
use super::table::NEVER;
use super::trade::{CONNECT_COST, FrameKind, Io, Stage, TradeSession};
use crate::types::Time;

/// How far the next connection has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Successor {
    /// There is none.
    #[default]
    None,
    /// It logs on or subscribes.
    Opening,
    /// It can take over.
    Ready,
}

impl TradeSession {
    /// A second connection is open while the first serves: it logs on and subscribes on its own. Its answers come by
    /// [`TradeSession::on_frame`] like all others. To be called only while the session is ready.
    pub fn on_open_next(&mut self, now: Time, out: &mut impl FnMut(&[u8])) {
        self.budget.spend(CONNECT_COST, self.clock.venue_time(now));
        self.successor = Successor::Opening;
        let mut io = Io { now, emit: &mut |_| {}, note: &mut |_| {}, out };
        let first = if self.encoder.can_log_on() { Asked::NextLogon } else { Asked::NextSubscribe };
        self.ask(first, &mut io);
    }

    /// Whether the next connection can take over; asked after each of its frames.
    pub fn next_is_ready(&self) -> bool {
        self.successor == Successor::Ready
    }

    /// Orders go over the next connection from here on. The older one is read until the venue or we end it.
    pub fn use_next(&mut self) {
        self.successor = Successor::None;
        self.retry_at = NEVER;
    }

    /// The next connection ended before it took over: nothing that matters was asked on it.
    pub fn on_next_down(&mut self) {
        self.successor = Successor::None;
    }

    /// The serving connection has ended, and this one, open already, serves from now on: it begins its session at the
    /// next [`TradeSession::on_timer`], which must follow at once.
    pub fn begin_anew(&mut self, now: Time) {
        self.successor = Successor::None;
        if self.stage == Stage::Closed {
            self.restart(now);
        }
    }

    /// An answer on the way to readiness.
    pub(super) fn on_next_success(&mut self, asked: Asked, io: &mut Io<'_>) -> FrameKind {
        if self.successor != Successor::Opening {
            return FrameKind::Control; // that connection is gone
        }
        if asked == Asked::NextLogon {
            self.ask(Asked::NextSubscribe, io);
            return FrameKind::Control; // the older connection must not be left yet
        }
        self.successor = Successor::Ready;
        FrameKind::Data
    }

    /// A refusal on the way to readiness: dropped, and tried again by whoever opens connections.
    pub(super) fn on_next_failure(&mut self, code: i32, verdict: Verdict, io: &mut Io<'_>) -> FrameKind {
        if code == -2035 {
            return self.on_next_success(Asked::NextSubscribe, io); // subscribed already: as good
        }
        if verdict.reaction == Reaction::Halt {
            self.bar(io);
        }
        self.successor = Successor::None;
        FrameKind::Reset
    }
}
