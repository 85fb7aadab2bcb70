//! Cancelling: one order, a list, everything.
//!
//! Thread: any.  Invariants: a cancel of one leg cancels its whole list; a cancel renames what it cancels; what has
//! ended cannot be cancelled.

use super::Exchange;
use super::filters::check_client_id;
use super::order::{AccountId, NO_LIST, OrderStatus, SymbolStatus};
use super::reject::Reject;
use super::request::{CancelListRequest, CancelOnly, CancelRequest, Canceled, ListReport, OrderRef};
use super::settle::Ending;
use crate::types::instrument::Symbol;
use crate::types::time::Time;

impl Exchange {
    /// `order.cancel`. Errors: [`Reject`]; nothing was done then.
    pub fn cancel(&mut self, account: AccountId, request: &CancelRequest, now: Time) -> Result<Canceled, Reject> {
        self.advance(now);
        let pair = self.pair_of(request.symbol)?;
        let canceled = self.cancel_one(account, request);
        self.finish(pair);
        canceled
    }

    /// `orderList.cancel`; the legs keep their own client ids. Errors: [`Reject`]; nothing was done then.
    pub fn cancel_list(
        &mut self,
        account: AccountId,
        request: &CancelListRequest,
        now: Time,
    ) -> Result<ListReport, Reject> {
        self.advance(now);
        let pair = self.pair_of(request.symbol)?;
        self.check_cancels_open(pair)?;
        let list = match (request.target.id, request.target.client_id.as_deref()) {
            (Some(id), _) => self.lists.get(&id).filter(|list| list.account == account),
            (None, Some(client_id)) => self.live_list(account, client_id),
            (None, None) => return Err(Reject::Missing("orderListId")),
        };
        let list = list.filter(|list| list.symbol == request.symbol).ok_or(Reject::UnknownOrder)?;
        let by_name = request.target.client_id.as_deref();
        if by_name.is_some_and(|name| name != list.client_id) {
            return Err(Reject::IdMismatch);
        }
        let report = self.end_list(list.id, None).ok_or(Reject::UnknownOrder)?;
        self.finish(pair);
        Ok(report)
    }

    /// `openOrders.cancelAll`, oldest first. Errors: [`Reject::UnknownOrder`] if nothing is open.
    pub fn cancel_all(&mut self, account: AccountId, symbol: Symbol, now: Time) -> Result<Vec<Canceled>, Reject> {
        self.advance(now);
        let pair = self.pair_of(symbol)?;
        self.check_cancels_open(pair)?;
        let mut open: Vec<i64> = self.live_orders(account).filter(|o| o.pair == pair).map(|o| o.id).collect();
        open.sort_unstable();
        let mut done = Vec::new();
        for id in open {
            if self.orders.get(&id).is_some_and(|order| order.status.is_live()) {
                let cancel_id = self.made_up_id();
                done.extend(self.end_order(id, &cancel_id));
            }
        }
        self.finish(pair);
        if done.is_empty() { Err(Reject::UnknownOrder) } else { Ok(done) }
    }

    fn check_cancels_open(&self, pair: usize) -> Result<(), Reject> {
        match self.pairs[pair].status {
            SymbolStatus::Trading | SymbolStatus::CancelOnly => Ok(()),
            SymbolStatus::Halt | SymbolStatus::Break => Err(Reject::CancelClosed),
        }
    }

    /// The cancel step of [`Exchange::cancel`] and of cancel-replace.
    pub(super) fn cancel_one(&mut self, account: AccountId, request: &CancelRequest) -> Result<Canceled, Reject> {
        let pair = self.pair_of(request.symbol)?;
        check_client_id("newClientOrderId", request.new_client_id.as_deref())?;
        self.check_cancels_open(pair)?;
        let id = self.live_target(account, request.symbol, &request.target)?;
        let status = self.orders[&id].status;
        let allowed = match request.only {
            None => true,
            Some(CancelOnly::New) => status == OrderStatus::New,
            Some(CancelOnly::PartiallyFilled) => status == OrderStatus::PartiallyFilled,
        };
        if !allowed {
            return Err(Reject::CancelRestricted);
        }
        let cancel_id = request.new_client_id.clone().unwrap_or_else(|| self.made_up_id());
        self.end_order(id, &cancel_id).ok_or(Reject::UnknownOrder)
    }

    /// Number of the live order a cancel means.
    fn live_target(&self, account: AccountId, symbol: Symbol, target: &OrderRef) -> Result<i64, Reject> {
        let id = match (target.id, target.client_id.as_deref()) {
            (Some(id), _) => Some(id),
            (None, Some(client_id)) => self.account_ref(account).live.get(client_id).copied(),
            (None, None) => return Err(Reject::Missing("origClientOrderId")),
        };
        let mine = |id| self.orders.get(&id).filter(|order| order.account == account && order.symbol == symbol);
        let order = id.and_then(mine).filter(|order| order.status.is_live()).ok_or(Reject::UnknownOrder)?;
        match target.client_id.as_deref() {
            Some(name) if name != order.client_id => Err(Reject::IdMismatch),
            _ => Ok(order.id),
        }
    }

    /// Cancels an order, with its list if it has one.
    fn end_order(&mut self, id: i64, cancel_id: &str) -> Option<Canceled> {
        let list_id = self.orders.get(&id)?.list_id;
        if list_id != NO_LIST {
            return self.end_list(list_id, Some(cancel_id)).map(|report| Canceled::List(Box::new(report)));
        }
        self.end(id, Ending::canceled(Some(cancel_id)));
        self.orders.get(&id).map(|order| Canceled::Order(Box::new(order.clone())))
    }

    /// Cancels the live legs of a list; `None` if none lives.
    fn end_list(&mut self, list_id: i64, cancel_id: Option<&str>) -> Option<ListReport> {
        let list = self.lists.get(&list_id)?;
        let legs = list.legs.iter().map(|leg| leg.order_id);
        let live: Vec<i64> = legs.filter(|id| self.orders.get(id).is_some_and(|o| o.status.is_live())).collect();
        if live.is_empty() {
            return None;
        }
        for id in &live {
            self.end(*id, Ending::canceled(cancel_id));
        }
        let orders = live.iter().filter_map(|id| self.orders.get(id).cloned()).collect();
        Some(ListReport { list: self.lists.get(&list_id)?.clone(), orders })
    }
}
