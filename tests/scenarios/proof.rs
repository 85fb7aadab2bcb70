//! What must hold in every scenario, judged by the venue's own record of every order and fill.

use std::collections::{BTreeMap, BTreeSet};

use sol_volume_bot::sim::exchange::{AccountEvent, Execution, OrderStatus, OrderType};
use sol_volume_bot::sim::server::{Handle, Snapshot};
use sol_volume_bot::types::{Price, Qty, Side, Time};

use crate::books::{Books, coins, money, px};
use crate::stillness::outside_ns;

/// Smallest order value the venue takes, 1e-8 USDT: less is dust.
const NOTIONAL_MIN: i128 = 5 * 100_000_000;
/// Smallest step of a size, lamports.
const LOT: i64 = 1_000_000;
/// Tests share two cores: how much longer than promised a gap may look while the machine is busy elsewhere, ns.
const SCHEDULING_NS: i64 = 150_000_000;

fn is_dust(qty: i64, at: Price) -> bool {
    i128::from(qty - qty.rem_euclid(LOT)) * i128::from(at.0) / 1_000_000_000 < NOTIONAL_MIN
}

fn is_stop(kind: OrderType) -> bool {
    matches!(kind, OrderType::StopLoss | OrderType::StopLossLimit)
}

/// Whether every coin above dust has a live stop.
pub fn is_protected(now: &Snapshot) -> bool {
    let stops = now.open_orders.iter().filter(|order| is_stop(order.kind) && order.side == Side::Sell);
    let covered: i64 = stops.map(|order| order.leaves().0).sum();
    is_dust(now.coins("SOL").0 - covered, now.bid)
}

/// The venue's record of one scenario, all runs of the child.
pub struct Record<'a> {
    pub before: &'a Snapshot,
    pub venue: &'a Handle,
    pub config: &'a toml::Table,
    pub blind_ms: i64,
    /// When no engine could guard the coins, in order of their beginnings.
    pub outages: &'a [(Time, Time)],
}

/// The account at one moment of its history.
struct Moment {
    coins: i64,
    cost: i128,
    cash: i128,
    stops: BTreeMap<i64, i64>,
}

impl Record<'_> {
    fn number(&self, table: &str, key: &str) -> f64 {
        let value = &self.config[table][key];
        value.as_float().or(value.as_integer().map(|value| value as f64)).expect("a number")
    }

    /// Everything; the error says what did not hold.
    pub fn check(&self, books: &Books) -> Result<(), String> {
        self.venue.conserved()?;
        self.no_id_was_sent_twice()?;
        self.books_agree(books)?;
        self.walk()
    }

    /// A new order's id is new, whatever became of the request that brought it.
    fn no_id_was_sent_twice(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for request in self.venue.received() {
            for (name, id) in request.params.split('&').filter_map(|pair| pair.split_once('=')) {
                let names = ["newClientOrderId", "aboveClientOrderId", "belowClientOrderId", "listClientOrderId"];
                let places = request.method.contains("place") || request.method == "order.cancelReplace";
                if places && names.contains(&name) && !seen.insert(id.to_owned()) {
                    return Err(format!("the id {id} was sent twice"));
                }
            }
        }
        Ok(())
    }

    /// Every fill of the venue stands in the ledger once, with its numbers; and no other.
    fn books_agree(&self, books: &Books) -> Result<(), String> {
        let fills = books.fills();
        let trades = self.venue.snapshot().trades;
        let booked: Vec<_> = fills
            .iter()
            .map(|row| (row["trade_id"].clone(), row["side"].clone(), px(&row["price"]), coins(&row["qty"])))
            .collect();
        let made: Vec<_> = trades
            .iter()
            .map(|row| {
                let side = if row.side == Side::Buy { "BUY" } else { "SELL" };
                (row.fill.trade_id.to_string(), side.to_owned(), row.fill.price, row.fill.qty)
            })
            .collect();
        if booked != made {
            return Err(format!("the ledger's fills are not the venue's:\n{booked:?}\n{made:?}"));
        }
        let fee = |row: &crate::books::Row| match row["fee_asset"].as_str() {
            "BASE" => coins(&row["fee"]).0 / 10,
            _ => money(&row["fee"]).0,
        };
        match fills.iter().zip(&trades).find(|(row, trade)| fee(row) != trade.fill.fee.0) {
            Some((row, trade)) => Err(format!("a fee differs: {row:?} {trade:?}")),
            None => Ok(()),
        }
    }

    /// From event to event: no coins naked for too long, no fill beyond the risk.
    fn walk(&self) -> Result<(), String> {
        let stop = px(&format!("{}", self.number("risk", "stop_loss")));
        let allowed_ns = (self.number("risk", "naked_ms_max") as i64 + self.blind_ms) * 1_000_000 + SCHEDULING_NS;
        let start = (self.before.coins("SOL").0, self.before.balance("USDT"));
        let mut now =
            Moment { coins: start.0, cost: 0, cash: i128::from(start.1.0 + start.1.1), stops: BTreeMap::new() };
        let mut naked_since: Option<Time> = None;
        for event in self.venue.history() {
            let AccountEvent::Execution(execution) = event else { continue };
            if let Some(since) = naked_since
                && let bare_ns = outside_ns(self.outages, since, execution.at)
                && bare_ns > allowed_ns
            {
                let ms = bare_ns / 1_000_000;
                return Err(format!("coins had no live stop for {ms} ms, until {execution:?}"));
            }
            now.apply(&execution);
            self.check_risk(&now, &execution, stop)?;
            let bare = now.coins - now.stops.values().sum::<i64>();
            if is_dust(bare, stop) {
                naked_since = None;
            } else {
                naked_since.get_or_insert(execution.at);
            }
        }
        match naked_since {
            Some(_) => Err(format!("coins are left without a stop: {} lamports, stops {:?}", now.coins, now.stops)),
            None => Ok(()),
        }
    }

    /// After a buy: what would be lost at the stop, fees included, is within the share of equity that may be lost.
    fn check_risk(&self, now: &Moment, execution: &Execution, stop: Price) -> Result<(), String> {
        let Some(fill) = execution.fill.filter(|_| execution.order.side == Side::Buy) else { return Ok(()) };
        let value_at = |price: Price| i128::from(now.coins) * i128::from(price.0) / 1_000_000_000;
        let back = value_at(stop) * 999 / 1_000; // the taker's fee
        let (loss, equity) = (now.cost - back, now.cash + value_at(fill.price));
        let limit = (equity as f64 * self.number("risk", "max_trade_risk")) as i128;
        if loss > limit {
            return Err(format!("at risk {loss} of equity {equity}, allowed {limit} (1e-8 USDT), after {execution:?}"));
        }
        if now.cash < 0 {
            return Err(format!("more was bought than the cash pays for: {execution:?}"));
        }
        Ok(())
    }
}

impl Moment {
    fn apply(&mut self, execution: &Execution) {
        let order = &execution.order;
        if is_stop(order.kind) && order.side == Side::Sell {
            let leaves = if order.status == OrderStatus::Rejected { Qty::ZERO } else { order.leaves() };
            self.stops.insert(order.id, leaves.0);
        }
        let Some(fill) = execution.fill else { return };
        let (fee, value) = (fill.fee.0, i128::from(fill.quote.0));
        match order.side {
            Side::Buy => {
                self.coins += fill.qty.0 - fee * 10;
                self.cost += value;
                self.cash -= value;
            }
            Side::Sell => {
                let held = i128::from(self.coins.max(1));
                self.cost -= self.cost * i128::from(fill.qty.0) / held;
                self.coins -= fill.qty.0;
                self.cash += value - i128::from(fee);
            }
        }
    }
}
