//! Price-time matching, self-trade prevention, the price range rule, and stops that start to work.
//!
//! Thread: any.  Invariants: a trade happens at the resting order's price; the book is not crossed when a call returns;
//! every stop that the trades of a call touched has worked before the call returns.

use super::event::{ExecType, MarketEvent, Prevented, PublicTrade};
use super::order::{Amount, ExpiryReason, Fill, HOUSE, Order, OrderStatus, OrderType, StpMode, opposite};
use super::settle::{Ending, value};
use super::{Exchange, TRADES_KEPT_MAX};
use crate::types::order::{Liquidity, Side, TimeInForce};
use crate::types::units::{Notional, Price, Qty, mul_div_floor};

/// How much a taker wants.
#[derive(Clone, Copy, Debug)]
pub(super) enum Want {
    Base(Qty),
    Quote(Notional),
}

/// What a taker could get right now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reach {
    pub(super) qty: Qty,
    pub(super) cost: Amount,
}

/// What stops a taker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Halt {
    Done,
    NoLiquidity,
    OutOfRange,
    Prevented,
}

impl Exchange {
    /// Prices within which `order` may trade: its limit and the price range rule, as worst price and cause.
    fn bounds(&self, order: &Order) -> (Price, Option<Price>) {
        let any = if order.side == Side::Buy { Price(i64::MAX) } else { Price::ZERO };
        let limit = if order.kind.is_market() { any } else { order.price };
        let pair = &self.pairs[order.pair];
        let range = pair.spec.price_range.filter(|_| order.account != HOUSE).and_then(|range| match order.side {
            Side::Buy => pair.reference().times_floor(range.up),
            Side::Sell => pair.reference().times_ceil(range.down),
        });
        (limit, range)
    }

    /// What `order` would fill now, without touching anything.
    pub(super) fn reach(&self, order: &Order, want: Want) -> Reach {
        let pair = &self.pairs[order.pair];
        let (limit, range) = self.bounds(order);
        let mut found = Reach::default();
        for (price, level) in pair.book.best_first(opposite(order.side)) {
            let out_of_range = range.is_some_and(|range| beyond(order.side, *price, range));
            if out_of_range || beyond(order.side, *price, limit) {
                break;
            }
            for maker in level.queue.iter().filter_map(|id| self.orders.get(id)) {
                if maker.account == order.account && order.account != HOUSE && order.stp != StpMode::None {
                    match order.stp {
                        StpMode::ExpireMaker => continue,
                        _ => return found,
                    }
                }
                let wanted = match want {
                    Want::Base(qty) => Qty(qty.0 - found.qty.0),
                    Want::Quote(money) => {
                        let left = money.0 - found.cost.0;
                        let most = mul_div_floor(left, crate::types::units::QTY_SCALE, price.0).unwrap_or(0);
                        Qty(most - most % pair.spec.lot.0)
                    }
                };
                let qty = wanted.min(maker.unfilled());
                if qty.0 <= 0 {
                    return found;
                }
                found.qty.0 += qty.0;
                found.cost.0 += value(*price, qty);
            }
        }
        found
    }

    /// Lets an accepted order work: it takes what it can, then rests or expires as its type and time in force say.
    pub(super) fn work(&mut self, id: i64) -> Vec<Fill> {
        let order = &self.orders[&id];
        let leaves = order.unfilled();
        if order.tif == TimeInForce::Fok && self.reach(order, Want::Base(leaves)).qty < leaves {
            self.end(id, Ending::expired(ExpiryReason::UnfilledFok));
            return Vec::new();
        }
        let mut fills = Vec::new();
        let halt = self.take(id, &mut fills);
        let order = &self.orders[&id];
        if !order.status.is_live() {
            if order.account == HOUSE {
                self.orders.remove(&id);
            }
            return fills;
        }
        match (halt, order.kind.is_market(), order.tif) {
            (Halt::OutOfRange, _, _) => self.end(id, Ending::expired(ExpiryReason::PriceRangeExceeded)),
            (_, true, _) => self.end(id, Ending::expired(ExpiryReason::InsufficientLiquidity)),
            (_, false, TimeInForce::Ioc) => self.end(id, Ending::expired(ExpiryReason::UnfilledIoc)),
            (_, false, TimeInForce::Fok) => self.end(id, Ending::expired(ExpiryReason::UnfilledFok)),
            (_, false, TimeInForce::Gtc) => self.rest(id),
        }
        if self.orders.get(&id).is_some_and(|order| order.account == HOUSE && !order.status.is_live()) {
            self.orders.remove(&id);
        }
        fills
    }

    fn rest(&mut self, id: i64) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        order.resting = true;
        let (pair, side, price, qty) = (order.pair, order.side, order.price, order.unfilled());
        self.pairs[pair].book.add(side, price, id, qty);
    }

    fn take(&mut self, id: i64, fills: &mut Vec<Fill>) -> Halt {
        let (limit, range) = self.bounds(&self.orders[&id]);
        loop {
            let taker = &self.orders[&id];
            if taker.unfilled().0 == 0 || !taker.status.is_live() {
                return Halt::Done;
            }
            let Some((price, _, maker_id)) = self.pairs[taker.pair].book.best(opposite(taker.side)) else {
                return Halt::NoLiquidity;
            };
            if beyond(taker.side, price, limit) {
                return Halt::NoLiquidity;
            }
            if range.is_some_and(|range| beyond(taker.side, price, range)) {
                return Halt::OutOfRange;
            }
            let maker = &self.orders[&maker_id];
            let own = maker.account == taker.account && taker.account != HOUSE;
            let qty = taker.unfilled().min(maker.unfilled());
            if own && taker.stp != StpMode::None {
                if self.prevent(id, maker_id, price, qty) == Halt::Prevented {
                    return Halt::Prevented;
                }
                continue;
            }
            fills.extend(self.trade(id, maker_id, price, qty));
        }
    }

    /// Ends maker, taker or both instead of trading with oneself. [`Halt::Prevented`] if the taker is gone.
    fn prevent(&mut self, taker: i64, maker: i64, price: Price, qty: Qty) -> Halt {
        let mode = self.orders[&taker].stp;
        let match_id = self.next_prevented_id;
        self.next_prevented_id += 1;
        let quote = Notional(value(price, qty));
        let ending = |counter_order_id: i64, removed: Qty| Ending {
            status: OrderStatus::ExpiredInMatch,
            kind: ExecType::TradePrevention,
            expiry: None,
            rename: None,
            prevented: Some(Prevented { match_id, counter_order_id, qty, price, quote, removed }),
        };
        let (taker_left, maker_left) = (self.orders[&taker].unfilled(), self.orders[&maker].unfilled());
        if mode != StpMode::ExpireTaker {
            self.expire_partner(maker);
            self.end(maker, ending(taker, maker_left));
        }
        if mode == StpMode::ExpireMaker {
            return Halt::Done;
        }
        self.end(taker, ending(maker, taker_left));
        Halt::Prevented
    }

    /// One trade at the maker's price. The first fill of a list's leg ends its partner first.
    fn trade(&mut self, taker: i64, maker: i64, price: Price, qty: Qty) -> Option<Fill> {
        self.expire_partner(maker);
        let (pair_number, aggressor) = (self.orders[&taker].pair, self.orders[&taker].side);
        let now = self.now;
        let gone = self.orders[&maker].unfilled() == qty;
        let pair = &mut self.pairs[pair_number];
        let trade = PublicTrade { symbol: pair.spec.symbol, id: pair.next_trade_id, price, qty, aggressor, at: now };
        pair.next_trade_id += 1;
        pair.last_price = price;
        let (low, high) = pair.touched.unwrap_or((price, price));
        pair.touched = Some((low.min(price), high.max(price)));
        pair.candles.add(&trade);
        if pair.trades.len() == TRADES_KEPT_MAX {
            pair.trades.pop_front();
        }
        pair.trades.push_back(trade);
        pair.book.reduce(opposite(aggressor), price, maker, qty, gone);
        self.market_events.push(MarketEvent::Trade(trade));
        if gone && let Some(order) = self.orders.get_mut(&maker) {
            order.resting = false;
        }
        self.fill(maker, &trade, Liquidity::Maker);
        if gone && self.orders[&maker].account == HOUSE {
            self.orders.remove(&maker);
        }
        self.fill(taker, &trade, Liquidity::Taker)
    }

    /// Ends a call: stops that its trades touched work, and the new top of book is told.
    pub(super) fn finish(&mut self, pair: usize) {
        while let Some(stop) = self.touched_stop(pair) {
            self.trigger(stop);
        }
        let market = &mut self.pairs[pair];
        market.touched = None;
        let (bbo, told) = (market.bbo(), market.told_bbo);
        if (bbo.bid, bbo.bid_qty, bbo.ask, bbo.ask_qty) != (told.bid, told.bid_qty, told.ask, told.ask_qty) {
            market.told_bbo = bbo;
            self.market_events.push(MarketEvent::Bbo { symbol: market.spec.symbol, bbo, at: self.now });
        }
    }

    /// The oldest waiting stop that a trade of this call touched.
    fn touched_stop(&self, pair: usize) -> Option<i64> {
        let (low, high) = self.pairs[pair].touched?;
        self.pairs[pair].stops.iter().copied().find(|id| {
            let order = &self.orders[id];
            if order.triggers_below() { low <= order.stop_price } else { high >= order.stop_price }
        })
    }

    /// A stop starts to work: its list partner goes first, then it enters the book.
    fn trigger(&mut self, id: i64) {
        self.expire_partner(id);
        let now = self.now;
        let Some(order) = self.orders.get_mut(&id) else { return };
        self.pairs[order.pair].stops.retain(|stop| *stop != id);
        order.working = Some(now);
        order.updated = now;
        if !self.fund_market_buy(id) {
            return self.end(id, Ending::expired(ExpiryReason::Rejected));
        }
        self.report(id, ExecType::New, None, None);
        self.tell_position(self.orders[&id].account);
        self.work(id);
    }

    /// Locks what a market buy will cost. False if free money does not cover it.
    pub(super) fn fund_market_buy(&mut self, id: i64) -> bool {
        let order = &self.orders[&id];
        let by_size = matches!(order.kind, OrderType::Market | OrderType::StopLoss | OrderType::TakeProfit);
        if order.side == Side::Sell || !by_size {
            return true;
        }
        let cost = self.reach(order, Want::Base(order.unfilled())).cost;
        self.set_hold(id, cost)
    }
}

/// Whether `price` is worse than `limit` for a taker of `side`.
fn beyond(side: Side, price: Price, limit: Price) -> bool {
    match side {
        Side::Buy => price > limit,
        Side::Sell => price < limit,
    }
}
