//! The synthetic participants' door: anonymous orders without fees, locks or limits; history; and the market's quotes.
//!
//! Thread: any.  Invariants: house orders match like any other and never touch each other's money: all are one account
//! that may owe; what it gains the customers lost, unit for unit.

use super::candles::{Interval, Kline};
use super::order::{HOUSE, Order, StpMode, SymbolStatus};
use super::settle::Ending;
use super::{Exchange, Pair};
use crate::types::instrument::Symbol;
use crate::types::order::{Side, TimeInForce};
use crate::types::time::Time;
use crate::types::units::{Price, Qty};

/// A resting order of the house.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HouseQuote {
    /// Its number.
    pub id: i64,
    /// Its price.
    pub price: Price,
    /// Its open size.
    pub qty: Qty,
}

/// What a house order asks for.
#[derive(Clone, Copy, Debug)]
struct Terms {
    side: Side,
    price: Price,
    qty: Qty,
    tif: TimeInForce,
}

/// Largest size of one house order, in multiples of the symbol's `qty_max`.
const HOUSE_QTY_FACTOR: i64 = 10;

impl Exchange {
    /// A limit order of the house: takes what crosses, rests the remainder. `None` if it is off the grid, the symbol
    /// does not trade, or nothing of it rests.
    pub fn house_place(&mut self, symbol: Symbol, side: Side, price: Price, qty: Qty, now: Time) -> Option<i64> {
        let id = self.house_order(symbol, Terms { side, price, qty, tif: TimeInForce::Gtc }, now)?;
        self.orders.contains_key(&id).then_some(id)
    }
    /// A taking order of the house down to `limit`; gives the size it traded.
    pub fn house_take(&mut self, symbol: Symbol, side: Side, limit: Price, qty: Qty, now: Time) -> Qty {
        let traded = |exchange: &Exchange| exchange.pair_of(symbol).map_or(0, |p| exchange.pairs[p].next_trade_id);
        let first = traded(self);
        self.house_order(symbol, Terms { side, price: limit, qty, tif: TimeInForce::Ioc }, now);
        let Ok(pair) = self.pair_of(symbol) else { return Qty::ZERO };
        let mine = self.pairs[pair].trades.iter().rev().take_while(|trade| trade.id >= first);
        Qty(mine.filter(|trade| trade.aggressor == side).map(|trade| trade.qty.0).sum())
    }
    /// Cancels a house order. False if it is not there.
    pub fn house_cancel(&mut self, id: i64, now: Time) -> bool {
        self.advance(now);
        let Some(pair) = self.orders.get(&id).filter(|order| order.account == HOUSE).map(|order| order.pair) else {
            return false;
        };
        self.end(id, Ending::canceled(None));
        self.orders.remove(&id);
        self.finish(pair);
        true
    }
    /// Resting house orders of a side, best first.
    pub fn house_quotes(&self, symbol: Symbol, side: Side) -> Vec<HouseQuote> {
        let Ok(pair) = self.pair_of(symbol) else { return Vec::new() };
        let levels = self.pairs[pair].book.best_first(side).flat_map(|(_, level)| level.queue.iter());
        let house = levels.filter_map(|id| self.orders.get(id)).filter(|order| order.account == HOUSE);
        house.map(|order| HouseQuote { id: order.id, price: order.price, qty: order.unfilled() }).collect()
    }
    /// Replaces the closed candles of an interval; they must be in order, without a hole, and end where the open one
    /// starts. The last price follows the newest close while nothing has traded.
    pub fn seed_candles(&mut self, symbol: Symbol, interval: Interval, history: &[Kline]) {
        let Ok(number) = self.pair_of(symbol) else { return };
        let pair: &mut Pair = &mut self.pairs[number];
        pair.candles.seed(interval, history);
        if let Some(last) = history.last().filter(|_| pair.trades.is_empty()) {
            pair.last_price = last.close;
        }
    }

    fn house_order(&mut self, symbol: Symbol, terms: Terms, now: Time) -> Option<i64> {
        self.advance(now);
        let Terms { side, price, qty, tif } = terms;
        let pair = self.pair_of(symbol).ok()?;
        let spec = &self.pairs[pair].spec;
        let on_grid = spec.check_price(price).is_ok() && qty.0 > 0 && qty.0 % spec.lot.0 == 0;
        let small = qty.0 / HOUSE_QTY_FACTOR <= spec.qty_max.0;
        if !on_grid || !small || self.pairs[pair].status != SymbolStatus::Trading {
            return None;
        }
        let id = self.next_order_id;
        self.next_order_id += 1;
        let blank = Order::blank(HOUSE, (pair, symbol), self.now);
        self.orders.insert(id, Order { id, side, price, qty, tif, stp: StpMode::None, ..blank });
        self.work(id);
        self.finish(pair);
        Some(id)
    }
}
