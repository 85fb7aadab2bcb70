//! Getting out: every resting exit cancelled, what is proven sold at the market, until nothing above dust is left.
//!
//! Thread: any.  Invariants: a close sells at most the proven coins that no other live sell speaks for; it waits for
//! proof, never resends, and tries at a bounded rate: after [`ROUNDS_MAX`] rounds, or [`WAITS_MAX`] looks in vain,
//! somebody is woken and it goes on, because a position without a stop is never left alone.

use super::Engine;
use super::exits::{Pair, SLOTS};
use super::order::Origin;
use crate::types::command::{Alert, CancelOrder, Command, CommandBuf, NewOrder};
use crate::types::ids::{ATTEMPT_MAX, ClientOrderId, Leg};
use crate::types::order::{OrderKind, Purpose, Reason, Side, TimeInForce};
use crate::types::record::{ExitReason, OrderStatus, PauseReason, Record};
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC, Time};
use crate::types::units::{Price, Qty};

/// Sells tried before somebody is woken.
const ROUNDS_MAX: u16 = 8;
/// Of these the first are limits below the bid; the rest take any price.
const LIMIT_ROUNDS: u16 = 2;
/// Between two later rounds.
const ROUND_DELAY_NS: i64 = 250 * NANOS_PER_MILLI;
/// Looks in vain, [`ROUND_DELAY_NS`] apart, before somebody is woken: 15 s, longer than a lost order takes to be proven.
const WAITS_MAX: u16 = 60;
/// Between two rounds after [`ROUNDS_MAX`].
const SLOW_DELAY_NS: i64 = 5 * NANOS_PER_SEC;

/// An exit of the whole position under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closing {
    /// Why.
    pub reason: ExitReason,
    /// Sells tried.
    pub rounds: u16,
    /// The newest of them.
    pub order: Option<ClientOrderId>,
    /// When to look again.
    pub next_at: Time,
    /// Looks in vain so far.
    waits: u16,
    /// The venue says that the coins are not there: sell no more than it says there are.
    pub capped: bool,
}

impl Closing {
    /// Whether nothing came of it for so long that somebody was woken.
    pub(super) fn has_waited(&self) -> bool {
        self.waits >= WAITS_MAX
    }
}

impl Engine {
    /// Begins to get out, for `reason`; the first reason stands. Ends a running entry in any case.
    pub(super) fn start_close(&mut self, reason: ExitReason, out: &mut CommandBuf) {
        self.entry = None;
        let nothing = self.is_dust() && self.orders.unsettled().next().is_none();
        if self.close.is_some() || nothing {
            return;
        }
        let (mid, qty) = (self.book.mid().unwrap_or(Price::ZERO), self.position.qty());
        out.push(Command::Record(Record::Exit { reason, mid, qty }));
        out.push(Command::Alert(Alert::Stop { reason, mid, qty }));
        self.close = Some(Closing { reason, rounds: 0, order: None, next_at: Time::NONE, waits: 0, capped: false });
        self.drive_close(out);
        assert!(self.entry.is_none(), "no entry while getting out");
        assert!(self.close.is_some(), "a close begun is under way");
    }

    /// Takes the next step of a close, if its turn has come.
    pub(super) fn drive_close(&mut self, out: &mut CommandBuf) {
        self.sweep_pairs(out);
        let Some(closing) = self.close else { return };
        if !self.can_send() {
            return; // the order stream's return brings us back
        }
        let pairs = self.exits.pairs.into_iter().flatten();
        if pairs.clone().next().is_some() {
            if !self.close_in_one_trip(closing, out) {
                for pair in pairs {
                    self.orders.cancel_pair(pair.list, self.now, out);
                }
            }
            return self.look_again(out);
        }
        let is_settled = |id| self.orders.get(id).is_none_or(|order| order.is_settled());
        if !closing.order.is_none_or(is_settled) {
            return self.look_again(out);
        }
        if closing.rounds > LIMIT_ROUNDS && self.now < closing.next_at {
            return;
        }
        self.sell_proven(out);
    }
    /// Something is still to be proven: looks again, and wakes somebody if that goes on.
    fn look_again(&mut self, out: &mut CommandBuf) {
        let now = self.now;
        let Some(closing) = self.close.as_mut().filter(|closing| closing.next_at <= now) else { return };
        closing.next_at = now.plus(ROUND_DELAY_NS);
        closing.waits = closing.waits.saturating_add(1);
        if closing.waits >= WAITS_MAX {
            self.pauses.pause(PauseReason::Exit, out);
        }
    }
    /// One whole pair holds all coins: cancel it and sell in one message. The venue sells only if the cancel worked.
    fn close_in_one_trip(&mut self, closing: Closing, out: &mut CommandBuf) -> bool {
        let Some((pair, cancel)) = self.only_pair() else { return false };
        let fresh = closing.rounds == 0 && !self.orders.is_canceling(pair.stop());
        let Some(limit) = self.close_limit(closing).filter(|_| fresh) else { return false };
        let Some(new) = self.close_order(pair.qty, Some(limit)) else { return false };
        let free = Qty(self.position.qty().0.saturating_sub(self.orders.closes_reserved().0));
        let Ok(approved) = self.rules().check_close(new, free) else { return false };
        let origin = self.origin();
        self.orders.mark_pair_canceling(pair.list, self.now);
        self.orders.open_instead(approved, cancel, origin, out);
        self.count_round(new.id, out);
        true
    }
    /// The pair that stands for all coins, whole, with nothing else open; and how to cancel it.
    fn only_pair(&self) -> Option<(Pair, CancelOrder)> {
        let ([Some(pair), None] | [None, Some(pair)]) = self.exits.pairs else { return None };
        let stop = self.orders.get(pair.stop())?;
        let is_whole = self.orders.get(pair.take_profit())?.status == OrderStatus::Working
            && stop.status == OrderStatus::Working
            && self.orders.unsettled().count() == 2
            && self.instrument.qty_floor(self.position.qty()) == pair.qty;
        is_whole.then(|| (pair, stop.cancel()))
    }
    /// Limit of the next round; `None` = at the market.
    fn close_limit(&self, closing: Closing) -> Option<Price> {
        self.book.bbo().filter(|_| closing.rounds < LIMIT_ROUNDS).and_then(|bbo| self.rules().close_limit(bbo))
    }
    fn close_order(&mut self, qty: Qty, limit: Option<Price>) -> Option<NewOrder> {
        if self.flatten_attempts >= ATTEMPT_MAX && !self.begin_id_series() {
            return None;
        }
        self.flatten_attempts += 1;
        Some(NewOrder {
            id: ClientOrderId {
                epoch: self.epoch,
                signal: self.signal_no,
                leg: Leg::Flatten,
                attempt: self.flatten_attempts,
            },
            side: Side::Sell,
            kind: if limit.is_some() { OrderKind::Limit } else { OrderKind::Market },
            tif: TimeInForce::Ioc,
            price: limit.unwrap_or(Price::ZERO),
            qty,
            purpose: Purpose::Flatten,
        })
    }
    fn sell_proven(&mut self, out: &mut CommandBuf) {
        let Some(closing) = self.close else { return };
        let mut free = self.free_coins();
        if closing.capped {
            free = free.min(self.money.base());
        }
        let max = self.instrument.market_qty_max;
        let max = if max.0 > 0 { max.min(self.instrument.qty_max) } else { self.instrument.qty_max };
        let qty = self.instrument.qty_floor(free.min(max));
        if self.instrument.is_dust(self.dust_price(), qty) || !self.orders.has_room(1) {
            return self.look_again(out);
        }
        let accepts = |price: &Price| self.instrument.accepts(*price, qty);
        let limit = self.close_limit(closing).filter(accepts);
        let Some(new) = self.close_order(qty, limit) else {
            return self.pauses.pause(PauseReason::Exit, out);
        };
        match self.rules().check_close(new, free) {
            Ok(approved) => {
                let origin = self.origin();
                self.orders.open(approved, origin, out);
                let reserved = self.orders.closes_reserved();
                assert!(reserved <= self.position.qty(), "a close never sells more than is proven");
            }
            Err(refused) => out.push(Command::Record(Record::Refused(refused))),
        }
        self.count_round(new.id, out);
    }
    fn origin(&self) -> Origin {
        let arrival = self.book.mid().unwrap_or(Price::ZERO);
        Origin { trade_no: self.position.trade_no(), arrival, now: self.now }
    }
    fn count_round(&mut self, id: ClientOrderId, out: &mut CommandBuf) {
        let now = self.now;
        let Some(closing) = self.close.as_mut() else { return };
        closing.order = Some(id);
        closing.rounds = closing.rounds.saturating_add(1);
        let has_failed = closing.rounds >= ROUNDS_MAX;
        closing.next_at = now.plus(if has_failed { SLOW_DELAY_NS } else { ROUND_DELAY_NS });
        if has_failed {
            self.pauses.pause(PauseReason::Exit, out);
        }
    }
    /// The venue refused a close. Coins that it says are not there are not asked for again.
    pub(super) fn on_close_refused(&mut self, reason: Reason, out: &mut CommandBuf) {
        if reason == Reason::Balance {
            if let Some(closing) = self.close.as_mut() {
                closing.capped = true;
            }
            self.pauses.pause(PauseReason::Venue, out);
        }
    }
    /// Whether a pair still stands or is being cancelled.
    pub(super) fn has_pairs(&self) -> bool {
        SLOTS.into_iter().any(|slot| self.pair(slot).is_some())
    }
}
