//! OCO lists: placement, and the fault that ends a stop.
//!
//! Thread: any.  Invariants: both legs are placed or none; they share one lock; the stop leg has the lower number.

use super::Exchange;
use super::event::{AccountEvent, ExecType};
use super::filters::check_client_id;
use super::order::{AccountId, Amount, ExpiryReason, ListLeg, ListPhase, Order, OrderList, OrderType};
use super::reject::Reject;
use super::request::{LegRequest, ListReport, OcoRequest, OrderRequest};
use super::settle::Ending;
use crate::types::instrument::Symbol;
use crate::types::order::Side;
use crate::types::time::Time;

impl Exchange {
    /// `orderList.place.oco`. Errors: [`Reject`]; nothing was done then.
    pub fn place_oco(&mut self, account: AccountId, request: &OcoRequest, now: Time) -> Result<ListReport, Reject> {
        self.advance(now);
        self.pair_of(request.symbol)?;
        check_client_id("listClientOrderId", request.list_client_id.as_deref())?;
        check_leg_types(request)?;
        let (stop, limit) = match request.side {
            Side::Sell => (&request.below, &request.above),
            Side::Buy => (&request.above, &request.below),
        };
        let stop = self.draft(account, &leg_order(request, stop))?;
        let limit = self.draft(account, &leg_order(request, limit))?;
        self.check_oco_prices(&stop, &limit)?;
        self.check_count(account, 2)?;
        let need = self.check_list(&stop, &limit, request.list_client_id.as_deref())?;
        let report = self.accept_list(stop, limit, need, request.list_client_id.clone());
        let pair = report.orders[0].pair;
        self.finish(pair);
        Ok(report)
    }

    /// SELL: take-profit > last > stop; BUY: the other way round.
    fn check_oco_prices(&self, stop: &Order, limit: &Order) -> Result<(), Reject> {
        let last = self.pairs[stop.pair].last_price;
        let target = if limit.kind.is_contingent() { limit.stop_price } else { limit.price };
        let (high, low) = if stop.side == Side::Sell { (target, stop.stop_price) } else { (stop.stop_price, target) };
        if high > last && last > low { Ok(()) } else { Err(Reject::OcoPrices) }
    }

    /// Ids, open-order limits, post-only and money of a list; gives its lock.
    fn check_list(&self, stop: &Order, limit: &Order, list_id: Option<&str>) -> Result<Amount, Reject> {
        self.check_duplicate(stop)?;
        self.check_duplicate(limit)?;
        let same = !stop.client_id.is_empty() && stop.client_id == limit.client_id;
        if same || list_id.is_some_and(|id| self.live_list(stop.account, id).is_some()) {
            return Err(Reject::Duplicate);
        }
        let algo = usize::from(stop.kind.is_contingent()) + usize::from(limit.kind.is_contingent());
        self.check_open_limits(stop.account, stop.pair, 2, algo, 1)?;
        self.check_market(limit)?;
        let need = Exchange::need(stop).max(Exchange::need(limit));
        let free = self.account_ref(stop.account).balances[self.spends(stop)].free;
        if free < need { Err(Reject::Balance) } else { Ok(need) }
    }

    fn accept_list(&mut self, stop: Order, limit: Order, need: Amount, client_id: Option<String>) -> ListReport {
        let (account, symbol, asset, now) = (stop.account, stop.symbol, self.spends(&stop), self.now);
        let list_id = self.next_list_id;
        self.next_list_id += 1;
        let client_id = client_id.unwrap_or_else(|| self.made_up_id());
        let ids = [stop, limit].map(|draft| self.accept(Order { list_id, ..draft }));
        let legs = ids.map(|order_id| ListLeg { order_id, client_id: self.orders[&order_id].client_id.clone() });
        let phase = ListPhase::ExecStarted;
        let list = OrderList { id: list_id, account, symbol, client_id, legs, phase, updated: now, hold: need };
        self.account_mut(account).shift(asset, -need.0, need.0);
        self.account_mut(account).counts.add(2);
        self.account_events.push((account, AccountEvent::List { at: now, list: list.clone() }));
        self.lists.insert(list_id, list.clone());
        for id in ids {
            self.report(id, ExecType::New, None, None);
        }
        self.tell_position(account);
        for id in ids {
            self.start(id);
        }
        ListReport { list, orders: ids.iter().map(|id| self.orders[id].clone()).collect() }
    }

    /// Fault: the venue ends the account's oldest untriggered stop of the symbol (its list partner first), as after a
    /// trigger that could not be carried out. False if there is none.
    pub fn expire_stop(&mut self, account: AccountId, symbol: Symbol, reason: ExpiryReason, now: Time) -> bool {
        self.advance(now);
        let Ok(pair) = self.pair_of(symbol) else { return false };
        let stop = self.pairs[pair].stops.iter().copied().find(|id| self.orders[id].account == account);
        let Some(stop) = stop else { return false };
        self.expire_partner(stop);
        self.end(stop, Ending::expired(reason));
        self.finish(pair);
        true
    }
}

/// A leg as a plain order request.
fn leg_order(request: &OcoRequest, leg: &LegRequest) -> OrderRequest {
    OrderRequest {
        symbol: request.symbol,
        side: request.side,
        kind: leg.kind,
        tif: leg.tif,
        price: leg.price,
        qty: Some(request.qty),
        quote_qty: None,
        stop_price: leg.stop_price,
        client_id: leg.client_id.clone(),
        stp: request.stp,
    }
}

/// One leg must be a stop loss on the losing side, the other a limit or take-profit on the winning side.
fn check_leg_types(request: &OcoRequest) -> Result<(), Reject> {
    let (above, below, buy) = (request.above.kind, request.below.kind, request.side == Side::Buy);
    let profit = |kind| matches!(kind, OrderType::TakeProfit | OrderType::TakeProfitLimit);
    for kind in [above, below] {
        if matches!(kind, OrderType::Limit | OrderType::Market) {
            return Err(Reject::OcoLegType);
        }
    }
    let (stop_place, win_place) = if buy { (above, below) } else { (below, above) };
    match (stop_place, win_place) {
        (OrderType::LimitMaker, OrderType::LimitMaker) => Err(Reject::OcoBothLimit),
        (OrderType::LimitMaker, _) if buy => Err(Reject::OcoBuyLimitBelow),
        (OrderType::LimitMaker, _) => Err(Reject::OcoSellLimitAbove),
        (kind, _) if profit(kind) && buy => Err(Reject::OcoBuyProfitBelow),
        (kind, _) if profit(kind) => Err(Reject::OcoSellProfitAbove),
        (_, kind) if kind.is_stop_loss() && buy => Err(Reject::OcoBuyStopAbove),
        (_, kind) if kind.is_stop_loss() => Err(Reject::OcoSellStopBelow),
        _ => Ok(()),
    }
}
