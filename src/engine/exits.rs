//! The exits: which take-profits and stops should rest for the proven position, and how they get there.
//!
//! Thread: any.  Invariants: what should rest is a function of the proven position alone ([`plan`]); a pair is
//! replaced only after the venue proved both its legs ended, so two live stops never stand for the same coins; what
//! is below the venue's minimum stays as dust. The stop is rounded up, the target too: out earlier, or for more.

use super::Engine;
use super::order::{Order, Origin};
use crate::types::command::{Command, CommandBuf, NewOco};
use crate::types::ids::{ATTEMPT_MAX, ClientOrderId, Leg, SIGNAL_MAX};
use crate::types::instrument::Instrument;
use crate::types::order::{Purpose, Reason, Side};
use crate::types::params::Params;
use crate::types::record::{ExitReason, OrderStatus, PauseReason, Record};
use crate::types::time::Time;
use crate::types::units::{Price, Qty, RATIO_SCALE, Ratio};

/// Exit slots: the first and the second target.
pub(super) const SLOTS: [u8; 2] = [1, 2];

/// A take-profit and a stop at the venue, or on their way there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    /// Our name of the list; the legs differ in `leg` only.
    pub list: ClientOrderId,
    /// Size of either leg.
    pub qty: Qty,
    /// The target it stands for, before the top of book moved it.
    pub target: Price,
    /// Limit of the take-profit.
    pub tp_price: Price,
    /// Trigger of the stop.
    pub stop_price: Price,
    /// Mid when it was posted, or last looked at.
    pub mid: Price,
    /// Taken over from an earlier run and not looked at since: shifts of the market count from the first look on.
    pub is_adopted: bool,
}

impl Pair {
    /// Name of the take-profit.
    pub(super) fn take_profit(&self) -> ClientOrderId {
        self.leg(Leg::TakeProfit)
    }
    /// Name of the stop.
    pub(super) fn stop(&self) -> ClientOrderId {
        self.leg(Leg::Stop)
    }
    fn leg(&self, of: fn(u8) -> Leg) -> ClientOrderId {
        let slot = if let Leg::List(slot) = self.list.leg { slot } else { 1 };
        ClientOrderId { leg: of(slot), ..self.list }
    }
}

/// The two slots and how their last attempts went.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Exits {
    /// What stands, or is being placed or cancelled, by slot.
    pub pairs: [Option<Pair>; 2],
    attempts: [u16; 2],
    retry_at: Time,
    /// Stops that failed, by slot.
    unprotected: [u8; 2],
}

impl Exits {
    /// A new signal: its ids start anew.
    pub(super) fn restart(&mut self) {
        assert!(self.pairs.iter().all(Option::is_none), "no exit stands when a signal begins");
        *self = Exits::default();
    }
    /// Times that each slot's stop failed.
    pub(super) fn failures(&self) -> [u8; 2] {
        self.unprotected
    }
    /// Newest attempt of a slot.
    pub(super) fn attempt(&self, slot: u8) -> u16 {
        self.attempts.get(usize::from(slot).wrapping_sub(1)).copied().unwrap_or(0)
    }
    /// Not before then is a refused pair tried again; NONE = at once.
    pub(super) fn retry_at(&self) -> Time {
        self.retry_at
    }
}

/// What the plan is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holding {
    /// Proven coins.
    pub held: Qty,
    /// Sold in this round trip.
    pub sold: Qty,
    /// Of that, by slot 1.
    pub slot1_sold: Qty,
}

/// Size that each slot should protect: a pure function of the position.
///
/// Slot 1 gets `tp1_share` of all coins of the round trip less what it sold already, slot 2 the rest; both on the lot
/// grid, below it stays dust. A slot too small to sell at the stop joins the other one.
pub(super) fn plan(instrument: &Instrument, params: &Params, holding: Holding) -> [Qty; 2] {
    let lots = instrument.qty_floor(holding.held);
    let all = holding.held.checked_add(holding.sold).unwrap_or(holding.held);
    let goal = all.times_floor(params.tp1_share).map_or(Qty::ZERO, |qty| instrument.qty_floor(qty));
    let left = Qty(goal.0.saturating_sub(holding.slot1_sold.0).clamp(0, lots.0.max(0)));
    let rest = Qty(lots.0.saturating_sub(left.0));
    let is_dust = |qty: Qty| instrument.is_dust(params.stop_loss, qty);
    if is_dust(lots) {
        [Qty::ZERO, Qty::ZERO]
    } else if is_dust(rest) || (instrument.algo_orders_max < 2 && left.0 > 0) {
        [lots, Qty::ZERO]
    } else if is_dust(left) {
        [Qty::ZERO, lots]
    } else {
        [left, rest]
    }
}

impl Engine {
    /// The trader's target of a slot, from the average entry before fees.
    pub(super) fn target(&self, slot: u8) -> Option<Price> {
        let p = &self.params;
        let (fixed, above) = if slot == 1 { (p.tp1_price, p.tp1_above) } else { (p.tp2_price, p.tp2_above) };
        if fixed.0 > 0 {
            return Some(self.instrument.price_ceil(fixed));
        }
        let ratio = Ratio(RATIO_SCALE.checked_add(above.0)?);
        Some(self.instrument.price_ceil(self.position.entry_px()?.times_ceil(ratio)?))
    }
    /// Where a take-profit may rest now: its target, or one tick above the best bid or the last trade if that is higher.
    /// The venue takes no pair whose target is not above the last trade, and a target filled in part is the last trade.
    pub(super) fn tp_price(&self, target: Price) -> Price {
        let bid = self.book.bbo().map_or(Price::ZERO, |bbo| bbo.bid);
        let highest = bid.max(self.book.last_px(self.now).unwrap_or(Price::ZERO));
        let above = Price(highest.0.saturating_add(self.instrument.tick.0));
        self.instrument.price_ceil(target.max(above))
    }
    fn stop_price(&self) -> Price {
        self.instrument.price_ceil(self.params.stop_loss)
    }
    /// Limit of a triggered stop; zero = at the market.
    fn stop_limit(&self, qty: Qty) -> Price {
        let market_max = self.instrument.market_qty_max;
        if self.instrument.stop_market_allowed && (market_max.0 == 0 || qty <= market_max) {
            return Price::ZERO;
        }
        let keep = Ratio(RATIO_SCALE.saturating_sub(self.params.max_slippage.ratio().0));
        self.stop_price().times_floor(keep).map_or(self.stop_price(), |price| self.instrument.price_floor(price))
    }
    fn holding(&self) -> Holding {
        let position = &self.position;
        Holding { held: position.qty(), sold: position.sold(), slot1_sold: position.slot1_sold() }
    }

    /// Brings the resting exits to the plan, one proven step at a time. Does nothing while a close is under way.
    pub(super) fn protect(&mut self, out: &mut CommandBuf) {
        self.sweep_pairs(out);
        if self.close.is_some() || self.is_waiting_for_entry() {
            return;
        }
        let want = plan(&self.instrument, &self.params, self.holding());
        for (slot, want) in SLOTS.into_iter().zip(want) {
            let Some(pair) = self.pair(slot) else { continue };
            // A cancel that nobody carries would only make doubt of two legs that rest soundly.
            if self.can_send() && !self.pair_fits(&pair, slot, want) {
                self.orders.cancel_pair(pair.list, self.now, out);
            }
        }
        for (slot, want) in SLOTS.into_iter().zip(want) {
            if want.0 > 0 && self.close.is_none() && self.pair(slot).is_none() {
                self.post_pair(slot, want, out);
            }
        }
        assert!(self.exits.pairs.len() == SLOTS.len(), "two slots, no more");
    }
    /// The pair of a slot, if one stands.
    pub(super) fn pair(&self, slot: u8) -> Option<Pair> {
        self.exits.pairs.get(usize::from(slot) - 1).copied().flatten()
    }
    pub(super) fn set_pair(&mut self, slot: u8, pair: Option<Pair>) {
        if let Some(place) = self.exits.pairs.get_mut(usize::from(slot) - 1) {
            *place = pair;
        }
    }
    /// Notes at which mid a pair was looked at, so that one shift is answered once.
    pub(super) fn rebase_pair(&mut self, slot: u8, mid: Price) {
        if let Some(pair) = self.pair(slot) {
            self.set_pair(slot, Some(Pair { mid, is_adopted: false, ..pair }));
        }
    }
    /// Fills of an entry still come: one new plan after the last is better than one after each, but the coins may not
    /// wait for longer than half of what they may be naked.
    fn is_waiting_for_entry(&self) -> bool {
        let is_entry = |order: &Order| order.ask.side == Side::Buy;
        let waited = self.naked_since.map_or(0, |since| self.now.since(since));
        self.orders.unsettled().any(is_entry) && waited < self.params.naked_ns_max / 2
    }
    fn legs(&self, pair: &Pair) -> Option<(&Order, &Order)> {
        Some((self.orders.get(pair.take_profit())?, self.orders.get(pair.stop())?))
    }
    /// Whether a pair is what the plan wants, and whole: a take-profit that began to fill has lost its stop.
    fn pair_fits(&self, pair: &Pair, slot: u8, want: Qty) -> bool {
        let Some((tp, stop)) = self.legs(pair) else { return false };
        let left = pair.qty.0.saturating_sub(tp.filled.0).saturating_sub(stop.filled.0);
        if left <= 0 {
            return true; // sold; only the partner's end is still to be told
        }
        let has_lost_stop = !tp.status.is_done() && (tp.filled.0 > 0 || stop.status.is_done());
        if stop.filled.0 > 0 {
            return true; // triggered and selling: in the way of nothing
        }
        let as_planned = pair.stop_price == self.stop_price() && Some(pair.target) == self.target(slot);
        !has_lost_stop && as_planned && left == want.0
    }
    /// Forgets pairs that the venue proved over, and draws the conclusions.
    pub(super) fn sweep_pairs(&mut self, out: &mut CommandBuf) {
        for slot in SLOTS {
            let Some(pair) = self.pair(slot) else { continue };
            let Some((tp, stop)) = self.legs(&pair) else {
                self.set_pair(slot, None); // evicted: settled long ago
                continue;
            };
            if !tp.is_settled() || !stop.is_settled() {
                continue;
            }
            let (tp_status, stop_status, reasons) = (tp.status, stop.status, [tp.reason, stop.reason]);
            self.set_pair(slot, None);
            if tp_status == OrderStatus::Rejected || stop_status == OrderStatus::Rejected {
                self.on_pair_refused(reasons, pair.tp_price, out);
            } else if stop_status == OrderStatus::Expired && reasons.contains(&Reason::Unprotected) {
                self.on_stop_failed(slot, out);
            }
        }
    }
    /// The venue took no pair. A price that moved through it means out at once; anything else is tried again shortly,
    /// until the naked deadline ends the trying.
    fn on_pair_refused(&mut self, reasons: [Reason; 2], tp_price: Price, out: &mut CommandBuf) {
        if reasons.contains(&Reason::Halt) {
            self.pauses.pause(PauseReason::Venue, out);
        }
        if !reasons.contains(&Reason::PriceMoved) && !reasons.contains(&Reason::WouldTake) {
            self.retry_pairs_later();
            return;
        }
        let bbo = self.book.bbo();
        let reason = if bbo.is_some_and(|bbo| bbo.bid >= tp_price) {
            ExitReason::TakeProfit
        } else if bbo.is_some_and(|bbo| bbo.mid() <= self.params.stop_loss) {
            ExitReason::GlobalStop
        } else {
            ExitReason::Unprotected
        };
        self.start_close(reason, out);
    }
    /// A stop that should have worked did not. Once a slot, with the price above it, it may be placed again; else out.
    fn on_stop_failed(&mut self, slot: u8, out: &mut CommandBuf) {
        let Some(failed) = self.exits.unprotected.get_mut(usize::from(slot) - 1) else { return };
        *failed = failed.saturating_add(1);
        let is_first = *failed == 1;
        let is_above = self.book.mid().is_some_and(|mid| mid > self.params.stop_loss);
        if !is_first || !is_above {
            self.start_close(ExitReason::Unprotected, out);
        }
    }
    fn retry_pairs_later(&mut self) {
        self.exits.retry_at = self.now.plus((self.params.naked_ns_max / 8).max(1));
    }

    fn post_pair(&mut self, slot: u8, qty: Qty, out: &mut CommandBuf) {
        let free = self.free_coins();
        let room = self.orders.has_room(2);
        if qty > free || self.now < self.exits.retry_at || !self.can_send() || !room {
            return; // something still holds the coins, or the way out; its end brings us back
        }
        let Some(target) = self.target(slot) else { return };
        if self.book.mid().is_some_and(|mid| mid <= self.params.stop_loss) {
            return self.start_close(ExitReason::GlobalStop, out);
        }
        let Some(list) = self.next_list(slot) else {
            self.pauses.pause(PauseReason::Exit, out);
            return self.start_close(ExitReason::Unprotected, out);
        };
        let mid = self.book.mid().unwrap_or(Price::ZERO);
        let (tp_price, stop_price) = (self.tp_price(target), self.stop_price());
        let pair = Pair { list, qty, target, tp_price, stop_price, mid, is_adopted: false };
        let oco = NewOco {
            list,
            take_profit: pair.take_profit(),
            stop: pair.stop(),
            qty,
            tp_price,
            stop_price,
            stop_limit: self.stop_limit(qty),
        };
        match self.rules().check_oco(oco, free) {
            Ok(approved) => {
                let purpose = if slot == 1 { Purpose::Tp1 } else { Purpose::Tp2 };
                let origin = Origin { trade_no: self.position.trade_no(), arrival: mid, now: self.now };
                self.orders.open_oco(approved, purpose, origin, out);
                self.set_pair(slot, Some(pair));
            }
            Err(refused) => {
                out.push(Command::Record(Record::Refused(refused)));
                self.retry_pairs_later();
            }
        }
        assert!(self.orders.sells_reserved() <= self.position.qty(), "sells are covered by proven coins");
    }
    /// Proven coins that no live or unknown sell speaks for.
    pub(super) fn free_coins(&self) -> Qty {
        Qty(self.position.qty().0.saturating_sub(self.orders.sells_reserved().0).max(0))
    }
    fn next_list(&mut self, slot: u8) -> Option<ClientOrderId> {
        let used_up = *self.exits.attempts.get(usize::from(slot) - 1)? >= ATTEMPT_MAX;
        if used_up && !self.begin_id_series() {
            return None;
        }
        let attempt = self.exits.attempts.get_mut(usize::from(slot) - 1)?;
        *attempt += 1;
        Some(ClientOrderId { epoch: self.epoch, signal: self.signal_no, leg: Leg::List(slot), attempt: *attempt })
    }
    /// The attempts of a signal are used up, as re-posting for days does: exits go on under the next signal's number.
    /// False if that is used up too.
    pub(super) fn begin_id_series(&mut self) -> bool {
        if self.signal_no >= SIGNAL_MAX {
            return false;
        }
        self.signal_no += 1;
        self.exits.attempts = [0, 0];
        self.flatten_attempts = 0;
        true
    }

    /// Coins that a live stop stands for, by the venue's own last word.
    pub(super) fn covered(&self) -> Qty {
        let covers = |pair: &Pair| match self.legs(pair) {
            Some((tp, stop)) if stop.is_live() && tp.filled.0 == 0 => stop.reserve().0,
            _ => 0,
        };
        Qty(self.exits.pairs.iter().flatten().map(covers).fold(0, i64::saturating_add))
    }
}
