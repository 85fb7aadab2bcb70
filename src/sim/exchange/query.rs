//! Questions: orders, lists, balances, trades, market data. Nothing here changes anything.
//!
//! Thread: any.  Invariants: lists come oldest first; an ended order is found until `ENDED_KEPT_MAX` newer ones ended.

use super::book::{DepthDiff, DepthSnapshot};
use super::candles::{Interval, Kline};
use super::event::PublicTrade;
use super::order::{AccountId, AccountTrade, ListPhase, Order, OrderList, SymbolStatus};
use super::reject::Reject;
use super::request::{AccountView, AssetBalance, ListReport, OrderCount, OrderRef, TradesQuery};
use super::spec::{ExchangeSettings, SymbolSpec};
use super::{Exchange, FIRST_UID, Pair};
use crate::types::event::Bbo;
use crate::types::instrument::Symbol;
use crate::types::time::{NANOS_PER_DAY, Time};
use crate::types::units::Price;

impl Exchange {
    /// `order.status`: live orders first, else the newest that ever had the name. Errors: -2013, -2039.
    pub fn order(&self, account: AccountId, symbol: Symbol, target: &OrderRef) -> Result<&Order, Reject> {
        self.pair_of(symbol)?;
        let mine = |order: &&Order| order.account == account && order.symbol == symbol;
        let named = |order: &&Order, name: &str| order.client_id == name || order.orig_client_id == name;
        let found = match (target.id, target.client_id.as_deref()) {
            (Some(id), _) => self.orders.get(&id).filter(mine),
            (None, Some(name)) => {
                let live = self.account_ref(account).live.get(name).and_then(|id| self.orders.get(id));
                live.filter(mine).or_else(|| self.orders.values().rev().filter(mine).find(|o| named(o, name)))
            }
            (None, None) => return Err(Reject::Missing("origClientOrderId")),
        };
        let order = found.ok_or(Reject::NoSuchOrder)?;
        match target.client_id.as_deref() {
            Some(name) if !named(&order, name) => Err(Reject::IdMismatch),
            _ => Ok(order),
        }
    }
    /// `openOrders.status`, of one symbol or of all.
    pub fn open_orders(&self, account: AccountId, symbol: Option<Symbol>) -> Vec<&Order> {
        let wanted = |order: &&Order| symbol.is_none_or(|symbol| order.symbol == symbol);
        let mut open: Vec<&Order> = self.live_orders(account).filter(wanted).collect();
        open.sort_unstable_by_key(|order| order.id);
        open
    }
    /// `allOrders` from a number on; the newest `limit` if `from_id` is `None`.
    pub fn all_orders(&self, account: AccountId, symbol: Symbol, from_id: Option<i64>, limit: usize) -> Vec<&Order> {
        let mine = |order: &&Order| order.account == account && order.symbol == symbol;
        match from_id {
            Some(from) => self.orders.range(from..).map(|(_, order)| order).filter(mine).take(limit).collect(),
            None => newest(self.orders.values().filter(mine), limit),
        }
    }
    /// `orderList.status`; the client id is the list's. Errors: -2013.
    pub fn order_list(&self, account: AccountId, target: &OrderRef) -> Result<ListReport, Reject> {
        let found = match (target.id, target.client_id.as_deref()) {
            (Some(id), _) => self.lists.get(&id).filter(|list| list.account == account),
            (None, Some(name)) => {
                let named = |list: &&OrderList| list.account == account && list.client_id == name;
                self.lists.values().rev().find(named)
            }
            (None, None) => return Err(Reject::Missing("orderListId")),
        };
        let list = found.ok_or(Reject::NoSuchList)?;
        let orders = list.legs.iter().filter_map(|leg| self.orders.get(&leg.order_id).cloned()).collect();
        Ok(ListReport { list: list.clone(), orders })
    }
    /// `openOrderLists.status`.
    pub fn open_lists(&self, account: AccountId) -> Vec<&OrderList> {
        let open = |list: &&OrderList| list.account == account && list.phase == ListPhase::ExecStarted;
        self.lists.values().filter(open).collect()
    }
    /// `allOrderLists` from a number on; the newest `limit` if `from_id` is `None`.
    pub fn all_lists(&self, account: AccountId, from_id: Option<i64>, limit: usize) -> Vec<&OrderList> {
        let mine = |list: &&OrderList| list.account == account;
        match from_id {
            Some(from) => self.lists.range(from..).map(|(_, list)| list).filter(mine).take(limit).collect(),
            None => newest(self.lists.values().filter(mine), limit),
        }
    }
    pub(super) fn live_list(&self, account: AccountId, client_id: &str) -> Option<&OrderList> {
        let is_it = |list: &&OrderList| {
            list.account == account && list.phase == ListPhase::ExecStarted && list.client_id == client_id
        };
        self.lists.values().rev().find(is_it)
    }

    /// `account.status`.
    pub fn account(&self, account: AccountId) -> AccountView {
        let holder = self.account_ref(account);
        let view = |(asset, balance): (&Symbol, &super::account::Balance)| AssetBalance {
            asset: *asset,
            free: balance.free,
            locked: balance.locked,
        };
        AccountView {
            fee_maker: self.settings.fee_maker,
            fee_taker: self.settings.fee_taker,
            updated: holder.updated,
            balances: self.assets.iter().zip(&holder.balances).map(view).collect(),
            uid: FIRST_UID + i64::from(account.0),
        }
    }
    /// `myTrades`, oldest first. Errors: -1121, -1127 if the span is longer than a day.
    pub fn my_trades(
        &self,
        account: AccountId,
        symbol: Symbol,
        query: TradesQuery,
        limit: usize,
    ) -> Result<Vec<AccountTrade>, Reject> {
        self.pair_of(symbol)?;
        let rows = self.account_ref(account).trades.iter().filter(|row| row.symbol == symbol);
        Ok(match query {
            TradesQuery::Newest => newest(rows.copied(), limit),
            TradesQuery::FromId(from) => rows.filter(|row| row.fill.trade_id >= from).take(limit).copied().collect(),
            TradesQuery::OfOrder { order_id, from_id } => {
                let wanted = |row: &&AccountTrade| row.order_id == order_id && row.fill.trade_id >= from_id;
                rows.filter(wanted).take(limit).copied().collect()
            }
            TradesQuery::Between(start, end) => {
                if end.since(start) > NANOS_PER_DAY {
                    return Err(Reject::TimeSpan);
                }
                rows.filter(|row| row.fill.at >= start && row.fill.at <= end).take(limit).copied().collect()
            }
        })
    }
    /// `account.rateLimits.orders`: ten seconds, one day.
    pub fn order_counts(&self, account: AccountId) -> [OrderCount; 2] {
        self.account_ref(account).counts.view()
    }

    /// Settings the exchange was made with.
    pub fn settings(&self) -> &ExchangeSettings {
        &self.settings
    }
    /// The latest time it was told.
    pub fn now(&self) -> Time {
        self.now
    }
    fn pair_ref(&self, symbol: Symbol) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.spec.symbol == symbol)
    }
    /// Rules of every symbol.
    pub fn symbols(&self) -> impl Iterator<Item = &SymbolSpec> {
        self.pairs.iter().map(|pair| &pair.spec)
    }
    /// Rules of one symbol.
    pub fn spec(&self, symbol: Symbol) -> Option<&SymbolSpec> {
        self.pair_ref(symbol).map(|pair| &pair.spec)
    }
    /// Status of one symbol.
    pub fn status(&self, symbol: Symbol) -> Option<SymbolStatus> {
        self.pair_ref(symbol).map(|pair| pair.status)
    }
    /// Top of book; a missing side has price and size zero.
    pub fn bbo(&self, symbol: Symbol) -> Option<Bbo> {
        self.pair_ref(symbol).map(Pair::bbo)
    }
    /// Price of the last trade, which triggers stops.
    pub fn last_price(&self, symbol: Symbol) -> Option<Price> {
        self.pair_ref(symbol).map(|pair| pair.last_price)
    }
    /// Reference price of the percent and notional filters.
    pub fn avg_price(&self, symbol: Symbol) -> Option<Price> {
        self.pair_ref(symbol).map(Pair::reference)
    }
    /// The best `limit` levels of each side.
    pub fn depth(&self, symbol: Symbol, limit: usize) -> Option<DepthSnapshot> {
        self.pair_ref(symbol).map(|pair| pair.book.snapshot(limit))
    }
    /// Levels that changed since the last call; `None` if none did. For the one caller that feeds the depth stream.
    pub fn take_depth_diff(&mut self, symbol: Symbol) -> Option<DepthDiff> {
        let pair = self.pair_of(symbol).ok()?;
        self.pairs[pair].book.take_diff()
    }
    /// The newest public trades, oldest first.
    pub fn recent_trades(&self, symbol: Symbol, limit: usize) -> Vec<PublicTrade> {
        self.pair_ref(symbol).map_or(Vec::new(), |pair| newest(pair.trades.iter().copied(), limit))
    }
    /// Candles oldest first: from `start` on if given, else the newest up to `end`. The last one may still be open.
    pub fn klines(
        &self,
        symbol: Symbol,
        interval: Interval,
        span: (Option<Time>, Option<Time>),
        limit: usize,
    ) -> Vec<Kline> {
        let Some(pair) = self.pair_ref(symbol) else { return Vec::new() };
        let (start, end) = span;
        let inside = |candle: &&Kline| {
            start.is_none_or(|start| candle.open_time >= start) && end.is_none_or(|end| candle.open_time <= end)
        };
        let wanted = pair.candles.all(interval).filter(inside).copied();
        if start.is_some() { wanted.take(limit).collect() } else { newest(wanted, limit) }
    }
    /// The candle still open.
    pub fn kline(&self, symbol: Symbol, interval: Interval) -> Option<Kline> {
        self.pair_ref(symbol).map(|pair| pair.candles.open(interval))
    }
}

/// The last `limit` of them, in their order.
fn newest<T>(rows: impl Iterator<Item = T>, limit: usize) -> Vec<T> {
    let mut all: Vec<T> = rows.collect();
    all.split_off(all.len().saturating_sub(limit))
}
