//! A number for "goes on alike": what decides an engine's next answers, without what only tells its past apart.
//!
//! Thread: any.  Invariants: nothing here changes an engine; times count from now and are cut where their age stops to
//! matter, ids count back from the newest, so the third re-post looks like the second. The market's history (candles,
//! volume, slippage) is left out: the exhaustive check, which this is for, keeps it the same.

use super::Engine;
use super::close::Closing;
use super::exits::Pair;
use super::order::Order;
use super::orders::{ANSWER_NS_MAX, CANCEL_NS_MAX, NOT_FOUND_PROOF_NS};
use crate::types::ids::{ClientOrderId, Leg};
use crate::types::record::OrderStatus;
use crate::types::time::Time;
use std::hash::{DefaultHasher, Hash, Hasher};

impl Engine {
    /// The same number for two engines that answer whatever comes next alike, times and ids counted from now.
    ///
    /// Input: `watched`, the orders of which something may still be told; those that ended long ago do not count else.
    pub fn fingerprint(&self, watched: &[ClientOrderId]) -> u64 {
        let mut hash = DefaultHasher::new();
        let is_open = |order: &&Order| !order.is_settled() || watched.contains(&order.ask.id);
        for order in self.orders.iter().filter(is_open) {
            self.put_order(order, &mut hash);
        }
        let position = &self.position;
        let amounts = [position.qty(), position.bought(), position.sold(), position.slot1_sold()];
        (amounts, self.had_coins, position.last_exit(), self.pauses.set(), self.stopping).hash(&mut hash);
        for pair in self.exits.pairs {
            self.put_pair(pair, &mut hash);
        }
        self.exits.failures().hash(&mut hash);
        self.put_close(&mut hash);
        if let Some(plan) = self.entry {
            (plan.tried, self.until(plan.due()), self.age(plan.due(), 1)).hash(&mut hash);
        }
        let can_send_for = self.way_out_since.map(|since| self.age(since, self.params.naked_ns_max));
        (can_send_for, self.until(self.exits.retry_at())).hash(&mut hash);
        let naked_for = self.naked_since.map(|since| self.age(since, self.params.naked_ns_max));
        (naked_for, self.book.mid(), self.book.last_px(self.now)).hash(&mut hash);
        self.timers.all().map(|at| self.until(at)).hash(&mut hash);
        hash.finish()
    }

    fn put_order(&self, order: &Order, hash: &mut DefaultHasher) {
        (self.relative(order.ask.id), order.standing as u8).hash(hash);
        (order.status.name(), order.filled, order.cum, order.ask.qty, order.reason).hash(hash);
        (order.venue_order_id.0 != 0, order.list_id != 0, order.is_known(), order.asked.min(13)).hash(hash);
        let patience = match order.status {
            OrderStatus::Pending => ANSWER_NS_MAX + 1,
            OrderStatus::Unknown if !order.is_known() => NOT_FOUND_PROOF_NS,
            _ => 0,
        };
        let canceling = (order.cancel_sent != Time::NONE).then(|| self.age(order.cancel_sent, CANCEL_NS_MAX));
        (self.age(order.created, patience), canceling, self.until(order.ask_at)).hash(hash);
    }
    fn put_pair(&self, pair: Option<Pair>, hash: &mut DefaultHasher) {
        let Some(pair) = pair else { return false.hash(hash) };
        (self.relative(pair.list), pair.qty, pair.target, pair.tp_price, pair.stop_price, pair.mid).hash(hash);
    }
    fn put_close(&self, hash: &mut DefaultHasher) {
        let Some(closing) = self.close else { return false.hash(hash) };
        let Closing { reason, rounds, order, next_at, capped, .. } = closing;
        (reason.name(), rounds, closing.has_waited(), order.map(|id| self.relative(id)), self.until(next_at), capped)
            .hash(hash);
    }
    /// An id as its distance from the newest of its kind.
    fn relative(&self, id: ClientOrderId) -> (u32, u32, Leg, u16) {
        let newest = match id.leg {
            Leg::TakeProfit(slot) | Leg::Stop(slot) | Leg::List(slot) => self.exits.attempt(slot),
            Leg::Flatten => self.flatten_attempts,
            Leg::Entry(_) | Leg::Request => id.attempt,
        };
        let back = if id.signal == self.signal_no { newest.wrapping_sub(id.attempt) } else { id.attempt };
        (self.epoch.wrapping_sub(id.epoch), self.signal_no.wrapping_sub(id.signal), id.leg, back)
    }
    /// Time since `then`, at most `cap`.
    fn age(&self, then: Time, cap: i64) -> i64 {
        self.now.since(then).min(cap)
    }
    /// Time until `then`; what is past is due, how long ago does not matter. `None` = never.
    fn until(&self, then: Time) -> Option<i64> {
        (then != Time::NONE).then(|| then.since(self.now).max(0))
    }
}
