//! Orders that this run did not send, and the venue's word about everything: what goes on as ours, what is cancelled.
//!
//! Thread: any.  Invariants: every order of ours that rests is in the order table before anything is decided, so what
//! it may still do is reserved; the venue goes on protecting the coins until a better pair replaces what protects them;
//! coins that the venue says are not there are never sold.
//!
//! The rule. A whole pair of an exit slot, both legs unfilled, the slot still empty, becomes that slot's pair: if its
//! size, stop and target are what the plan wants it stays as it is, else the slot's ordinary replacement follows
//! (cancel, proof, new pair), which `naked_ms_max` bounds. Anything else of ours (an entry, half a pair, a second pair
//! of a slot, a close) is a stray: cancelled as soon as orders can be sent, again and again until the venue proved its
//! end. Judged is only when all that rests has been told: half a pair is not cancelled before its other leg is met.

use super::Engine;
use super::exits::{Pair, SLOTS};
use super::order::{Order, Origin, Standing};
use super::position::purpose_of;
use crate::types::command::{Command, CommandBuf, NewOrder};
use crate::types::ids::{ClientOrderId, Leg};
use crate::types::order::{OrderKind, TimeInForce};
use crate::types::reconcile::{Difference, DifferenceKind, ReconcileCount, ReconcileTrigger, Reconciled, RestingOrder};
use crate::types::record::{OrderStatus, PauseReason, Record};
use crate::types::setup::RESTING_MAX;
use crate::types::units::{Price, Qty};

impl Engine {
    /// Puts an order of an earlier run into the table, for [`Engine::judge_met`].
    pub(super) fn meet(&mut self, found: &RestingOrder) {
        let is_entry = matches!(found.id.leg, Leg::Entry(_));
        let ask = NewOrder {
            id: found.id,
            side: found.side,
            kind: found.kind,
            tif: if is_entry { TimeInForce::Ioc } else { TimeInForce::Gtc },
            price: found.price,
            qty: found.qty,
            purpose: purpose_of(found.id.leg),
        };
        let origin = Origin { trade_no: self.position.trade_no(), arrival: Price::ZERO, now: self.now };
        self.orders.meet(Order::met(ask, found, origin));
    }

    /// An order of ours rests, though this run never sent it. Its fills are still to be told.
    pub(super) fn on_resting(&mut self, found: &RestingOrder, out: &mut CommandBuf) {
        if self.orders.get(found.id).is_some() {
            return;
        }
        let met = self.orders.iter().filter(|order| order.standing == Standing::Met).count();
        if self.orders.has_room(1) && met < RESTING_MAX {
            self.meet(&RestingOrder { cum_qty: Qty::ZERO, ..*found });
        } else {
            self.pauses.pause(PauseReason::Venue, out);
        }
    }

    /// Gives whole pairs their slots and calls the rest strays; see the rule above.
    pub(super) fn judge_met(&mut self, trigger: ReconcileTrigger, out: &mut CommandBuf) {
        for slot in SLOTS {
            let Some(pair) = self.met_pair(slot).filter(|_| self.pair(slot).is_none()) else { continue };
            self.set_pair(slot, Some(pair));
            for id in [pair.take_profit(), pair.stop()] {
                self.place_met(id, Standing::Sent, trigger, out);
            }
        }
        for _ in 0..RESTING_MAX {
            let left = self.orders.iter().find(|order| order.standing == Standing::Met).map(|order| order.ask.id);
            let Some(id) = left else { break };
            self.place_met(id, Standing::Stray, trigger, out);
        }
        assert!(self.orders.iter().all(|order| order.standing != Standing::Met), "every order met is judged");
    }
    /// A whole pair of `slot` among the orders met.
    fn met_pair(&self, slot: u8) -> Option<Pair> {
        let whole = |order: &&Order| {
            let is_untouched = order.cum.0 == 0 && order.status == OrderStatus::Working;
            order.standing == Standing::Met && is_untouched
        };
        let tp = self.orders.iter().filter(whole).find(|order| order.ask.id.leg == Leg::TakeProfit(slot))?;
        let stop_id = ClientOrderId { leg: Leg::Stop(slot), ..tp.ask.id };
        let stop = self.orders.get(stop_id).filter(|order| whole(order))?;
        let is_pair = tp.ask.kind == OrderKind::LimitMaker && tp.ask.qty == stop.ask.qty && tp.list_id == stop.list_id;
        if !is_pair || stop.stop_price.0 <= 0 {
            return None;
        }
        let tp_price = tp.ask.price;
        // At or above its target it rests where the top of book had moved it; below, it is not what the plan wants.
        let target = self.target(slot).filter(|target| tp_price >= *target).unwrap_or(tp_price);
        let list = ClientOrderId { leg: Leg::List(slot), ..tp.ask.id };
        let (qty, stop_price) = (tp.ask.qty, stop.stop_price);
        Some(Pair { list, qty, target, tp_price, stop_price, mid: Price::ZERO, is_adopted: true })
    }
    fn place_met(&mut self, id: ClientOrderId, standing: Standing, trigger: ReconcileTrigger, out: &mut CommandBuf) {
        let Some(order) = self.orders.place_met(id, standing) else { return };
        if order.status.is_done() {
            return; // it ended while it was being told of: its fills are all there is to it
        }
        let kind = if standing == Standing::Stray { DifferenceKind::Cancelled } else { DifferenceKind::Adopted };
        let (number, amount) = (order.venue_order_id.0, order.reserve().0);
        self.reconcile.add(kind);
        out.push(Command::Record(Record::Order(order.row())));
        out.push(Command::Record(Record::Difference(Difference { trigger, kind, id: Some(id), number, amount })));
    }

    /// Sends the cancels of strays that are not under way.
    pub(super) fn cancel_strays(&mut self, out: &mut CommandBuf) {
        if self.can_send() {
            self.orders.cancel_strays(self.now, out);
        }
    }

    /// The venue was asked about everything, and its answers were told before this.
    pub(super) fn on_reconciled(&mut self, found: &Reconciled, out: &mut CommandBuf) {
        self.judge_met(found.trigger, out);
        let is_certain = |order: &Order| order.is_settled() || (order.is_live() && order.cum <= order.filled);
        if found.is_quiet && found.fills == 0 && self.orders.iter().all(is_certain) {
            self.compare_balances(found, out);
        }
        let told = ReconcileCount { trigger: found.trigger, fills: found.fills, ended: found.ended, ..self.reconcile };
        self.reconcile = ReconcileCount::new(found.trigger);
        // The look by REST before the run has told its own: what came since is worth a line only if it is something.
        if found.trigger != ReconcileTrigger::Start || !told.is_clean() {
            out.push(Command::Record(Record::Reconciled(told)));
        }
        if found.trigger == ReconcileTrigger::Audit && !told.is_clean() {
            self.pauses.pause(PauseReason::Venue, out); // the events lied: somebody must look
        }
        self.settle(out);
    }
    /// Corrects our books to the venue's balances; the venue is left alone.
    fn compare_balances(&mut self, found: &Reconciled, out: &mut CommandBuf) {
        let missing = Qty(self.position.qty().0.saturating_sub(found.base.0));
        if missing.0 > 0 {
            self.position.write_off(missing);
            self.tell_balance(found.trigger, DifferenceKind::Base, -missing.0, out);
            self.pauses.pause(PauseReason::Venue, out);
        }
        let cash = found.cash.0.saturating_sub(self.money.cash().0);
        if cash != 0 {
            self.money.correct_cash(found.cash);
            self.tell_balance(found.trigger, DifferenceKind::Quote, cash, out);
        }
        assert!(self.position.qty().0 <= found.base.0.max(0), "no more coins than the venue has");
    }
    fn tell_balance(&mut self, trigger: ReconcileTrigger, kind: DifferenceKind, amount: i64, out: &mut CommandBuf) {
        self.reconcile.add(kind);
        let difference = Difference { trigger, kind, id: None, number: 0, amount };
        out.push(Command::Record(Record::Difference(difference)));
    }
}
