//! What really happened, by the venue's own record; and the rules that must hold after every event of it.
//!
//! Thread: any.  Invariants: nothing here comes from the engine, so a belief of the engine can be judged by it.

use super::plan::Plan;
use crate::sim::exchange::{AccountEvent, Execution, Order, OrderStatus};
use crate::sim::server::Received;
use crate::types::units::{Notional, RATIO_SCALE, notional_floor};
use crate::types::{ClientOrderId, Price, Qty, Side, Time};
use std::collections::{BTreeMap, BTreeSet};

/// A rule that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub rule: &'static str,
    /// What was found.
    pub what: String,
}

/// A violation of `rule`.
pub(super) fn broken(rule: &'static str, what: impl Into<String>) -> Violation {
    Violation { rule, what: what.into() }
}

/// One live order of ours at the venue.
#[derive(Clone, Copy, Debug)]
struct Live {
    list_id: i64,
    side: Side,
    is_stop: bool,
    leaves: Qty,
    price: Price,
}

/// Our part of the venue's books.
pub(super) struct Truth {
    stop_loss: Price,
    max_trade_risk: i64,
    fee_taker: i64,
    notional_min: Notional,
    lot: i64,
    /// Coins that our orders brought, less what they sold, after fees.
    pub coins: i64,
    /// Change of the quote currency by our orders.
    pub cash: i64,
    cash_first: i64,
    live: BTreeMap<i64, Live>,
    /// Our fills by trade number: our order, side, size, price, fee.
    pub fills: BTreeMap<i64, (ClientOrderId, Side, Qty, Price, i64)>,
    /// An answer to a request that trades was bad or missing since the last look.
    pub answered_ill: bool,
    names: BTreeSet<ClientOrderId>,
    /// Since when coins above dust have no live stop.
    pub naked_since: Option<Time>,
    /// Entries that filled at all.
    pub entries: u32,
    /// Orders that ended a stop: the venue sold at the stop.
    pub stops_worked: u32,
    /// Take-profits that filled whole.
    pub targets_hit: u32,
}

impl Truth {
    /// Before the first order.
    pub fn new(plan: &Plan, cash_first: i64) -> Truth {
        Truth {
            stop_loss: plan.params.stop_loss,
            max_trade_risk: plan.params.max_trade_risk.0,
            fee_taker: plan.scenario.fees.taker.0,
            notional_min: Notional(5 * 100_000_000),
            lot: 1_000_000,
            coins: 0,
            cash: 0,
            cash_first,
            live: BTreeMap::new(),
            fills: BTreeMap::new(),
            answered_ill: false,
            names: BTreeSet::new(),
            naked_since: None,
            entries: 0,
            stops_worked: 0,
            targets_hit: 0,
        }
    }

    /// Reads what the venue has written down since. Output: whether that was anything.
    pub fn read(&mut self, history: &[AccountEvent], received: &[Received]) -> Result<bool, Violation> {
        for event in history {
            if let AccountEvent::Execution(execution) = event {
                self.apply(execution)?;
            }
        }
        for request in received {
            self.answered_ill |= request.status == 0 || request.status >= 418;
            self.names_are_new(request)?;
        }
        Ok(!history.is_empty() || !received.is_empty())
    }

    /// A new order's id is new, whatever became of the request that brought it.
    fn names_are_new(&mut self, request: &Received) -> Result<(), Violation> {
        if !request.method.contains("place") && request.method != "order.cancelReplace" {
            return Ok(());
        }
        const NAMES: [&str; 4] = ["newClientOrderId", "aboveClientOrderId", "belowClientOrderId", "listClientOrderId"];
        for (name, id) in request.params.split('&').filter_map(|pair| pair.split_once('=')) {
            let ours = ClientOrderId::parse(id.as_bytes()).filter(|_| NAMES.contains(&name));
            if ours.is_some_and(|id| !self.names.insert(id)) {
                return Err(broken("no id is used twice", format!("{id} came again: {request:?}")));
            }
        }
        Ok(())
    }

    fn apply(&mut self, execution: &Execution) -> Result<(), Violation> {
        let order = &execution.order;
        let Some(id) = name_of(order) else { return Ok(()) };
        let leaves = if order.status == OrderStatus::Rejected { Qty::ZERO } else { order.leaves() };
        if leaves > Qty::ZERO {
            let is_stop = order.kind.is_stop_loss();
            let price = if order.price.0 > 0 { order.price } else { order.stop_price };
            let live = Live { list_id: order.list_id, side: order.side, is_stop, leaves, price };
            self.live.insert(order.id, live);
        } else {
            self.live.remove(&order.id);
        }
        if let Some(fill) = &execution.fill {
            let (fee, quote) = (fill.fee.0, fill.quote.0);
            match order.side {
                Side::Buy => {
                    self.coins += fill.qty.0 - fee * 10; // the venue counts coins in 1e-8
                    self.cash -= quote;
                    self.entries += u32::from(order.cum_qty == fill.qty);
                }
                Side::Sell => {
                    self.coins -= fill.qty.0;
                    self.cash += quote - fee;
                }
            }
            let before = self.fills.insert(fill.trade_id, (id, order.side, fill.qty, fill.price, fee));
            if before.is_some() {
                return Err(broken("the venue's trade numbers are unique", format!("{execution:?}")));
            }
            if leaves == Qty::ZERO && order.status == OrderStatus::Filled {
                self.stops_worked += u32::from(order.kind.is_stop_loss());
                self.targets_hit += u32::from(order.list_id > 0 && !order.kind.is_stop_loss());
            }
            if order.side == Side::Buy {
                self.risk_is_within_limit(fill.price)?;
            }
        }
        self.sells_are_covered(execution)?;
        self.watch_naked(execution.at);
        Ok(())
    }

    /// Live sells never speak for more coins than our orders brought: a pair counts once. So no two stops stand for the
    /// same coins, and what was in the account before us is never for sale.
    fn sells_are_covered(&self, execution: &Execution) -> Result<(), Violation> {
        let mut lists: BTreeMap<i64, i64> = BTreeMap::new();
        let mut sells = 0;
        for (id, order) in self.live.iter().filter(|(_, order)| order.side == Side::Sell) {
            let key = if order.list_id > 0 { order.list_id } else { -id };
            let most = lists.entry(key).or_insert(0);
            sells += (order.leaves.0 - *most).max(0);
            *most = order.leaves.0.max(*most);
        }
        if self.coins < 0 || sells > self.coins {
            let what = format!("{sells} lamports are for sale, {} are ours, after {execution:?}", self.coins);
            return Err(broken("no oversell", what));
        }
        Ok(())
    }

    /// After a buy: what would be lost at the stop, fees included, is within the share of equity that may be lost. The
    /// market may move between the engine's look and the fill: a hundredth of the limit is left for that.
    fn risk_is_within_limit(&self, at: Price) -> Result<(), Violation> {
        let buys = self.live.values().filter(|order| order.side == Side::Buy);
        let open: i64 = buys.clone().map(|order| order.leaves.0).sum();
        let open_cost: i128 = buys.map(|order| value(order.price, order.leaves.0)).sum();
        let back = value(self.stop_loss, self.coins + open);
        let back = back - back * i128::from(self.fee_taker) / i128::from(RATIO_SCALE);
        let loss = open_cost - i128::from(self.cash) - back;
        let equity = i128::from(self.cash_first + self.cash) + value(at, self.coins);
        let limit = equity * i128::from(self.max_trade_risk) / i128::from(RATIO_SCALE);
        if loss > limit + limit / 100 || self.cash_first + self.cash < 0 {
            let what = format!("{loss} of {equity} would be lost at the stop, {limit} may be (1e-8 USDT)");
            return Err(broken("risk is never exceeded in truth", what));
        }
        Ok(())
    }

    fn watch_naked(&mut self, at: Time) {
        if self.is_dust(self.coins - self.stopped()) {
            self.naked_since = None;
        } else {
            self.naked_since.get_or_insert(at);
        }
    }

    /// Coins that a live stop stands for.
    pub fn stopped(&self) -> i64 {
        self.live.values().filter(|order| order.is_stop).map(|order| order.leaves.0).sum()
    }
    /// Whether so many coins are too few to sell at the stop.
    pub fn is_dust(&self, coins: i64) -> bool {
        let lots = Qty(coins - coins.rem_euclid(self.lot));
        notional_floor(self.stop_loss, lots).is_none_or(|value| value < self.notional_min)
    }
    /// Live orders of ours: how many buy, how many sell.
    pub fn live_counts(&self) -> (usize, usize) {
        let buys = self.live.values().filter(|order| order.side == Side::Buy).count();
        (buys, self.live.len() - buys)
    }
}

fn value(price: Price, qty: i64) -> i128 {
    i128::from(price.0) * i128::from(qty) / 1_000_000_000
}

/// Our name of the order, if it is ours.
fn name_of(order: &Order) -> Option<ClientOrderId> {
    ClientOrderId::parse(order.orig_client_id.as_bytes()).or_else(|| ClientOrderId::parse(order.client_id.as_bytes()))
}
