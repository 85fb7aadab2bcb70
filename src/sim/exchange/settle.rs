//! Money: locks, settlement of fills, the end of orders and lists, and the events that tell of it.
//!
//! Thread: any.  Invariants: free + locked + fees of an asset change only by deposit and withdrawal; an order's lock
//! is what its open part needs; two live legs of a list share one lock.

use super::event::{AccountEvent, ExecType, Execution, Prevented};
use super::order::{
    AccountId, AccountTrade, Amount, ExpiryReason, Fill, HOUSE, ListPhase, Order, OrderStatus, QTY_PER_AMOUNT,
};
use super::request::AssetBalance;
use super::{Exchange, PublicTrade};
use crate::types::instrument::Symbol;
use crate::types::order::{Liquidity, Side};
use crate::types::time::Time;
use crate::types::units::{Notional, Price, Qty, RATIO_SCALE, mul_div_ceil, notional_floor};

/// Value of an order or trade that passed the filters: exact, see `SymbolSpec::check`.
pub(super) fn value(price: Price, qty: Qty) -> i64 {
    notional_floor(price, qty).expect("filters keep values in range").0
}

/// How an order ends without a fill.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending<'a> {
    pub(super) status: OrderStatus,
    pub(super) kind: ExecType,
    pub(super) expiry: Option<ExpiryReason>,
    /// Id of the cancel request, which the order takes over.
    pub(super) rename: Option<&'a str>,
    pub(super) prevented: Option<Prevented>,
}

impl Ending<'_> {
    pub(super) fn expired(reason: ExpiryReason) -> Ending<'static> {
        Ending {
            status: OrderStatus::Expired,
            kind: ExecType::Expired,
            expiry: Some(reason),
            rename: None,
            prevented: None,
        }
    }
    pub(super) fn canceled(rename: Option<&str>) -> Ending<'_> {
        Ending { status: OrderStatus::Canceled, kind: ExecType::Canceled, expiry: None, rename, prevented: None }
    }
}

impl Exchange {
    /// Puts money in from outside. False if the venue does not know the asset or the amount is not positive.
    pub fn deposit(&mut self, account: AccountId, asset: Symbol, amount: Amount, now: Time) -> bool {
        self.advance(now);
        let Some(number) = self.asset_of(asset).filter(|_| amount.0 > 0) else { return false };
        self.transfer(account, number, amount.0);
        true
    }
    /// Takes free money out. False if there is not enough of it.
    pub fn withdraw(&mut self, account: AccountId, asset: Symbol, amount: Amount, now: Time) -> bool {
        self.advance(now);
        let Some(number) = self.asset_of(asset).filter(|_| amount.0 > 0) else { return false };
        if self.account_ref(account).balances[number].free < amount {
            return false;
        }
        self.transfer(account, number, -amount.0);
        true
    }
    fn transfer(&mut self, account: AccountId, asset: usize, delta_e8: i64) {
        self.issued[asset].0 += delta_e8;
        self.account_mut(account).shift(asset, delta_e8, 0);
        let update = AccountEvent::BalanceUpdate { at: self.now, asset: self.assets[asset], delta_e8 };
        self.account_events.push((account, update));
        self.tell_position(account);
    }

    /// Asset an order spends.
    pub(super) fn spends(&self, order: &Order) -> usize {
        let pair = &self.pairs[order.pair];
        if order.side == Side::Buy { pair.quote } else { pair.base }
    }
    /// What the open part of an order needs locked. Market orders by size need what `reach` says instead.
    pub(super) fn need(order: &Order) -> Amount {
        let limit = if order.kind.is_market() { order.stop_price } else { order.price };
        Amount(match (order.account, order.side) {
            (HOUSE, _) => 0,
            (_, Side::Sell) => order.unfilled().0 / QTY_PER_AMOUNT,
            (_, Side::Buy) => value(limit, order.unfilled()),
        })
    }
    /// Sets an order's own lock. False, and nothing changed, if free money does not cover it.
    pub(super) fn set_hold(&mut self, id: i64, need: Amount) -> bool {
        let Some(order) = self.orders.get(&id) else { return false };
        let (account, asset, delta) = (order.account, self.spends(order), need.0 - order.hold.0);
        if self.account_ref(account).balances[asset].free.0 < delta {
            return false;
        }
        self.account_mut(account).shift(asset, -delta, delta);
        if let Some(order) = self.orders.get_mut(&id) {
            order.hold = need;
        }
        true
    }

    /// The other leg of an order's list, if it lives.
    pub(super) fn live_partner(&self, id: i64) -> Option<i64> {
        let order = self.orders.get(&id)?;
        let list = self.lists.get(&order.list_id)?;
        let other = list.legs.iter().map(|leg| leg.order_id).find(|leg| *leg != id)?;
        self.orders.get(&other).filter(|order| order.status.is_live()).map(|order| order.id)
    }
    /// Ends the other leg because this one starts to work.
    pub(super) fn expire_partner(&mut self, id: i64) {
        if let Some(partner) = self.live_partner(id) {
            self.end(partner, Ending::expired(ExpiryReason::OcoTrigger));
        }
    }

    /// Ends a live order without a fill: off the book, lock released (or left to the living leg), told.
    pub(super) fn end(&mut self, id: i64, ending: Ending<'_>) {
        let now = self.now;
        let Some(order) = self.orders.get_mut(&id).filter(|order| order.status.is_live()) else { return };
        let pair = &mut self.pairs[order.pair];
        if order.resting {
            pair.book.reduce(order.side, order.price, id, order.unfilled(), true);
            order.resting = false;
        }
        pair.stops.retain(|stop| *stop != id);
        order.status = ending.status;
        order.expiry = ending.expiry;
        order.updated = now;
        if let Some(prevented) = ending.prevented {
            order.prevented_qty.0 += prevented.removed.0;
        }
        let live_id = order.client_id.clone();
        if let Some(cancel_id) = ending.rename {
            order.orig_client_id = std::mem::replace(&mut order.client_id, cancel_id.to_owned());
        }
        self.forget_live(id, &live_id);
        self.release(id);
        self.report(id, ending.kind, None, ending.prevented);
        self.close_list(id);
        self.tell_position_of(id);
    }

    /// Gives an ended order's lock back, or to the leg that lives on.
    fn release(&mut self, id: i64) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        let (account, list_id, own) = (order.account, order.list_id, order.hold);
        order.hold = Amount::default();
        let shared = self.lists.get_mut(&list_id).map_or(Amount::default(), |list| std::mem::take(&mut list.hold));
        let all = own.0 + shared.0;
        match self.live_partner(id) {
            Some(partner) => {
                if let Some(order) = self.orders.get_mut(&partner) {
                    order.hold.0 += all;
                    let need = Exchange::need(order);
                    self.set_hold(partner, need);
                }
            }
            None => {
                let asset = self.spends(&self.orders[&id]);
                self.account_mut(account).shift(asset, all, -all);
            }
        }
    }

    /// An ended order leaves the table of live ids; old ended ones leave the memory.
    fn forget_live(&mut self, id: i64, live_id: &str) {
        let account = self.orders[&id].account;
        if account == HOUSE {
            return;
        }
        self.account_mut(account).live.remove(live_id);
        self.ended.push_back(id);
        if self.ended.len() > self.ended_kept
            && let Some(oldest) = self.ended.pop_front()
        {
            self.orders.remove(&oldest);
        }
    }

    /// Marks and tells the end of a list whose last leg has ended.
    fn close_list(&mut self, id: i64) {
        let list_id = self.orders[&id].list_id;
        let now = self.now;
        if self.live_partner(id).is_some() || self.orders[&id].status.is_live() {
            return;
        }
        let Some(list) = self.lists.get_mut(&list_id) else { return };
        list.phase = ListPhase::AllDone;
        list.updated = now;
        self.account_events.push((list.account, AccountEvent::List { at: now, list: list.clone() }));
        self.ended_lists.push_back(list_id);
        if self.ended_lists.len() > self.ended_kept
            && let Some(oldest) = self.ended_lists.pop_front()
        {
            self.lists.remove(&oldest);
        }
    }

    /// Books one side of a trade: sizes, money, fee, events.
    pub(super) fn fill(&mut self, id: i64, trade: &PublicTrade, liquidity: Liquidity) -> Option<Fill> {
        let quote = value(trade.price, trade.qty);
        let order = self.orders.get_mut(&id)?;
        let first = order.cum_qty.0 == 0;
        order.cum_qty.0 += trade.qty.0;
        order.cum_quote.0 += quote;
        order.updated = self.now;
        let done = order.unfilled().0 == 0;
        order.status = if done { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
        let account = order.account;
        let fill = self.move_money(id, trade, quote, liquidity);
        if account == HOUSE {
            return Some(fill);
        }
        let order = &self.orders[&id];
        let row = AccountTrade { symbol: order.symbol, order_id: id, list_id: order.list_id, side: order.side, fill };
        let live_id = order.client_id.clone();
        let holder = self.account_mut(account);
        holder.remember(row);
        if first {
            holder.counts.give_back(liquidity == Liquidity::Maker);
        }
        if done {
            self.forget_live(id, &live_id);
            self.release(id);
        }
        self.report(id, ExecType::Trade, Some(fill), None);
        if done {
            self.close_list(id);
        }
        self.tell_position(account);
        Some(fill)
    }

    /// Spends from the lock, receives less the fee; what a better price left of the lock is free again.
    fn move_money(&mut self, id: i64, trade: &PublicTrade, quote: i64, liquidity: Liquidity) -> Fill {
        let order = &self.orders[&id];
        let (pair, account, side, kind, limit) =
            (&self.pairs[order.pair], order.account, order.side, order.kind, order.price);
        let base = trade.qty.0 / QTY_PER_AMOUNT;
        let (spent_in, spent, got_in, got) = match side {
            Side::Buy => (pair.quote, quote, pair.base, base),
            Side::Sell => (pair.base, base, pair.quote, quote),
        };
        let rate = match (account, liquidity) {
            (HOUSE, _) => 0,
            (_, Liquidity::Maker) => self.settings.fee_maker.0,
            (_, Liquidity::Taker) => self.settings.fee_taker.0,
        };
        let fee = mul_div_ceil(got, rate, RATIO_SCALE).expect("a fee is smaller than what it is taken from");
        let unlocked = match (account, side) {
            (HOUSE, _) => 0,
            (_, Side::Buy) if !kind.is_market() => value(limit, trade.qty),
            _ => spent,
        };
        let holder = self.account_mut(account);
        holder.shift(spent_in, unlocked - spent, -unlocked);
        holder.shift(got_in, got - fee, 0);
        self.fees[got_in].0 += fee;
        if let Some(order) = self.orders.get_mut(&id) {
            order.hold.0 -= unlocked;
        }
        Fill {
            trade_id: trade.id,
            price: trade.price,
            qty: trade.qty,
            quote: Notional(quote),
            fee: Amount(fee),
            fee_asset: self.assets[got_in],
            liquidity,
            at: self.now,
        }
    }

    /// Tells an order's owner what happened to it.
    pub(super) fn report(&mut self, id: i64, kind: ExecType, fill: Option<Fill>, prevented: Option<Prevented>) {
        let Some(order) = self.orders.get(&id).filter(|order| order.account != HOUSE) else { return };
        let order = order.clone();
        self.report_order(order, kind, "NONE", fill, prevented);
    }
    pub(super) fn report_order(
        &mut self,
        order: Order,
        kind: ExecType,
        reject_reason: &'static str,
        fill: Option<Fill>,
        prevented: Option<Prevented>,
    ) {
        let account = order.account;
        let id = self.next_execution_id;
        self.next_execution_id += 1;
        let execution = Execution { at: self.now, id, kind, reject_reason, order, fill, prevented };
        self.account_events.push((account, AccountEvent::Execution(Box::new(execution))));
    }

    fn tell_position_of(&mut self, id: i64) {
        if let Some(account) = self.orders.get(&id).map(|order| order.account) {
            self.tell_position(account);
        }
    }
    /// Tells an account the balances that changed, if any did.
    pub(super) fn tell_position(&mut self, account: AccountId) {
        if account == HOUSE {
            return;
        }
        let (now, assets) = (self.now, self.assets.clone());
        let holder = self.account_mut(account);
        let mut balances = Vec::new();
        for (asset, balance) in assets.into_iter().zip(&mut holder.balances) {
            if std::mem::take(&mut balance.changed) {
                balances.push(AssetBalance { asset, free: balance.free, locked: balance.locked });
            }
        }
        if !balances.is_empty() {
            holder.updated = now;
            self.account_events.push((account, AccountEvent::Position { at: now, balances }));
        }
    }
}
