//! Placing: checks against other orders and money, then acceptance; cancel-replace.
//!
//! Thread: any.  Invariants: a refusal leaves nothing behind, no order, no lock, no event (but the REJECTED report of a
//! cancel-replace whose cancel went through); an accepted order is told NEW before anything else of it.

use super::event::ExecType;
use super::filters::check_client_id;
use super::matching::Want;
use super::order::{AccountId, Amount, Order, OrderStatus, OrderType, opposite};
use super::reject::{Filter, Reject};
use super::request::{OrderRequest, OverLimit, Placed, ReplaceMode, ReplaceRequest, Replaced};
use super::{Exchange, NO_LIST};
use crate::types::order::Side;
use crate::types::time::Time;

impl Exchange {
    /// `order.place`. Errors: [`Reject`]; nothing was done then.
    pub fn place(&mut self, account: AccountId, request: &OrderRequest, now: Time) -> Result<Placed, Reject> {
        self.advance(now);
        let draft = self.draft(account, request)?;
        self.check_count(account, 1)?;
        let pair = draft.pair;
        let placed = self.admit(draft);
        self.finish(pair);
        placed
    }

    /// `order.test`: every check of [`Exchange::place`], nothing placed. Errors: [`Reject`].
    pub fn place_test(&mut self, account: AccountId, request: &OrderRequest, now: Time) -> Result<(), Reject> {
        self.advance(now);
        let draft = self.draft(account, request)?;
        self.check_count(account, 1)?;
        self.check_admission(&draft)
    }

    /// `order.cancelReplace`. Errors: [`Reject`] of a check before either step: nothing was done then.
    pub fn cancel_replace(
        &mut self,
        account: AccountId,
        request: &ReplaceRequest,
        now: Time,
    ) -> Result<Replaced, Reject> {
        self.advance(now);
        check_client_id("cancelNewClientOrderId", request.cancel.new_client_id.as_deref())?;
        let pair = self.draft(account, &request.new)?.pair;
        let over = self.check_count(account, 1);
        if let (Err(reject), OverLimit::DoNothing) = (over, request.over_limit) {
            return Err(reject);
        }
        let cancel = self.cancel_one(account, &request.cancel);
        let new = match (&cancel, over, request.mode) {
            (Err(_), _, ReplaceMode::StopOnFailure) => {
                self.account_mut(account).counts.add(1);
                None
            }
            (_, Err(reject), _) => Some(Err(reject)),
            _ => Some(self.draft(account, &request.new).and_then(|draft| self.admit(draft))),
        };
        if let (Ok(_), Ok(()), Some(Err(reject))) = (&cancel, over, &new) {
            self.report_refused_half(account, &request.new, *reject);
        }
        self.finish(pair);
        Ok(Replaced { cancel, new })
    }

    /// The new half of a cancel-replace failed after the cancel: the account hears of it.
    fn report_refused_half(&mut self, account: AccountId, request: &OrderRequest, reject: Reject) {
        let Ok(mut order) = self.draft(account, request) else { return };
        self.name(&mut order);
        order.status = OrderStatus::Rejected;
        order.working = None;
        self.report_order(order, ExecType::Rejected, reject.report_reason(), None, None);
    }

    pub(super) fn check_count(&self, account: AccountId, more: u32) -> Result<(), Reject> {
        match self.account_ref(account).counts.over(more) {
            Some((limit, interval)) => Err(Reject::TooManyOrders { limit, interval }),
            None => Ok(()),
        }
    }

    /// Checks against the account's other orders, the market and free money.
    fn check_admission(&self, draft: &Order) -> Result<(), Reject> {
        self.check_duplicate(draft)?;
        self.check_open_limits(draft.account, draft.pair, 1, usize::from(draft.kind.is_contingent()), 0)?;
        self.check_position(draft)?;
        self.check_market(draft)?;
        let spends = self.spends(draft);
        let need = match (draft.kind, draft.side) {
            (OrderType::Market, Side::Buy) => self.reach(draft, Want::Base(draft.qty)).cost,
            _ => Exchange::need(draft),
        };
        let free = self.account_ref(draft.account).balances[spends].free;
        if free < need { Err(Reject::Balance) } else { Ok(()) }
    }

    pub(super) fn check_duplicate(&self, draft: &Order) -> Result<(), Reject> {
        let lives = self.account_ref(draft.account).live.contains_key(&draft.client_id);
        if lives { Err(Reject::Duplicate) } else { Ok(()) }
    }

    /// `MAX_NUM_ORDERS`, `MAX_NUM_ALGO_ORDERS`, `MAX_NUM_ORDER_LISTS` with so many more of each.
    pub(super) fn check_open_limits(
        &self,
        account: AccountId,
        pair: usize,
        more: usize,
        more_algo: usize,
        more_lists: usize,
    ) -> Result<(), Reject> {
        let spec = &self.pairs[pair].spec;
        let open = || self.live_orders(account).filter(|order| order.pair == pair);
        let algo = open().filter(|order| order.kind.is_contingent()).count();
        let mut lists: Vec<i64> = open().map(|order| order.list_id).filter(|list| *list != NO_LIST).collect();
        lists.sort_unstable();
        lists.dedup();
        for (count, more, max, filter) in [
            (open().count(), more, spec.orders_max, Filter::MaxNumOrders),
            (algo, more_algo, spec.algo_orders_max, Filter::MaxNumAlgoOrders),
            (lists.len(), more_lists, spec.lists_max, Filter::MaxNumOrderLists),
        ] {
            if more > 0 && count + more > max {
                return Err(Reject::Filter(filter));
            }
        }
        Ok(())
    }

    pub(super) fn live_orders(&self, account: AccountId) -> impl Iterator<Item = &Order> {
        self.account_ref(account).live.values().filter_map(|id| self.orders.get(id))
    }

    /// `MAX_POSITION`: base held plus open buys plus this buy.
    fn check_position(&self, draft: &Order) -> Result<(), Reject> {
        let pair = &self.pairs[draft.pair];
        let Some(max) = pair.spec.position_max.filter(|_| draft.side == Side::Buy) else { return Ok(()) };
        let held = self.account_ref(draft.account).balances[pair.base];
        let open_buys = self.live_orders(draft.account).filter(|o| o.pair == draft.pair && o.side == Side::Buy);
        let open: i64 = open_buys.map(|order| order.leaves().0).sum();
        let held_qty = (held.free.0 + held.locked.0) * super::QTY_PER_AMOUNT;
        if held_qty + open + draft.qty.0 > max.0 { Err(Reject::Filter(Filter::MaxPosition)) } else { Ok(()) }
    }

    /// A post-only order must not take, a stop must not trigger at once.
    pub(super) fn check_market(&self, draft: &Order) -> Result<(), Reject> {
        let pair = &self.pairs[draft.pair];
        if draft.kind == OrderType::LimitMaker
            && let Some((best, _, _)) = pair.book.best(opposite(draft.side))
        {
            let takes = if draft.side == Side::Buy { draft.price >= best } else { draft.price <= best };
            if takes {
                return Err(Reject::WouldTake);
            }
        }
        if draft.kind.is_contingent() {
            let (last, stop) = (pair.last_price, draft.stop_price);
            let triggers = if draft.triggers_below() { last <= stop } else { last >= stop };
            if triggers {
                return Err(Reject::WouldTrigger);
            }
        }
        Ok(())
    }

    /// Accepts a draft and lets it work. Errors: [`Reject`]; nothing was done then.
    fn admit(&mut self, draft: Order) -> Result<Placed, Reject> {
        self.check_admission(&draft)?;
        let account = draft.account;
        let need = Exchange::need(&draft);
        let market = draft.kind == OrderType::Market;
        let id = self.accept(draft);
        let funded = if market && self.orders[&id].side == Side::Buy {
            self.fund_market_buy(id)
        } else {
            self.set_hold(id, need)
        };
        assert!(funded, "free money was checked before");
        self.account_mut(account).counts.add(1);
        self.report(id, ExecType::New, None, None);
        self.tell_position(account);
        let fills = self.start(id);
        Ok(Placed { order: self.orders[&id].clone(), fills })
    }

    /// A stop waits, anything else works.
    pub(super) fn start(&mut self, id: i64) -> Vec<super::Fill> {
        let order = &self.orders[&id];
        if order.is_waiting() {
            let pair = order.pair;
            self.pairs[pair].stops.push(id);
            return Vec::new();
        }
        self.work(id)
    }

    /// Gives a draft its number, and a client id if it has none.
    fn name(&mut self, order: &mut Order) {
        order.id = self.next_order_id;
        self.next_order_id += 1;
        if order.client_id.is_empty() {
            order.client_id = self.made_up_id();
        }
    }
    /// Stores a draft as a live order; no lock yet.
    pub(super) fn accept(&mut self, mut draft: Order) -> i64 {
        self.name(&mut draft);
        draft.hold = Amount::default();
        let id = draft.id;
        self.account_mut(draft.account).live.insert(draft.client_id.clone(), id);
        self.orders.insert(id, draft);
        id
    }
    /// A client id of the venue's own making.
    pub(super) fn made_up_id(&mut self) -> String {
        self.next_made_up_id += 1;
        format!("x-{:020}", self.next_made_up_id)
    }
}
