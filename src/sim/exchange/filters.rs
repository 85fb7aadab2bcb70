//! From request to order: which parameters a type needs, client ids, the symbol's filters.
//!
//! Thread: any.  Invariants: reads only; an order that comes out passed every check that does not depend on other
//! orders or on money.

use super::Exchange;
use super::matching::Want;
use super::order::{AccountId, Order, OrderType, StpMode, SymbolStatus};
use super::reject::{Filter, Reject};
use super::request::OrderRequest;
use crate::types::order::TimeInForce;

const CLIENT_ID_BYTES_MAX: usize = 36;

/// Checks a client id the caller sent. Errors: [`Reject::IllegalClientId`] with the parameter's name.
pub(super) fn check_client_id(name: &'static str, id: Option<&str>) -> Result<(), Reject> {
    let legal = |id: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !id.is_empty() && id.len() <= CLIENT_ID_BYTES_MAX && id.bytes().all(allowed)
    };
    if id.is_none_or(legal) { Ok(()) } else { Err(Reject::IllegalClientId(name)) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Must,
    Not,
}

/// Whether the parameters fit the type.
fn check_shape(request: &OrderRequest) -> Result<(), Reject> {
    use Need::{Must, Not};
    let (tif, price, qty, stop) = match request.kind {
        OrderType::Limit => (Must, Must, Must, Not),
        OrderType::LimitMaker => (Not, Must, Must, Not),
        OrderType::Market => (Not, Not, if request.quote_qty.is_some() { Not } else { Must }, Not),
        OrderType::StopLoss | OrderType::TakeProfit => (Not, Not, Must, Must),
        OrderType::StopLossLimit | OrderType::TakeProfitLimit => (Must, Must, Must, Must),
    };
    let quote = request.kind != OrderType::Market && request.quote_qty.is_some();
    for (name, need, sent) in [
        ("timeInForce", tif, request.tif.is_some()),
        ("quantity", qty, request.qty.is_some()),
        ("price", price, request.price.is_some()),
        ("stopPrice", stop, request.stop_price.is_some()),
        ("quoteOrderQty", Not, quote),
    ] {
        match (need, sent) {
            (Must, false) => return Err(Reject::Missing(name)),
            (Not, true) => return Err(Reject::Unwanted(name)),
            _ => {}
        }
    }
    Ok(())
}

impl Exchange {
    /// A request as an order without number, checked against everything but other orders and money.
    pub(super) fn draft(&self, account: AccountId, request: &OrderRequest) -> Result<Order, Reject> {
        let pair = self.pair_of(request.symbol)?;
        check_shape(request)?;
        check_client_id("newClientOrderId", request.client_id.as_deref())?;
        if self.pairs[pair].status != SymbolStatus::Trading {
            return Err(Reject::MarketClosed);
        }
        let mut order = Order {
            client_id: request.client_id.clone().unwrap_or_default(),
            side: request.side,
            kind: request.kind,
            tif: request.tif.unwrap_or(TimeInForce::Gtc),
            price: request.price.unwrap_or_default(),
            qty: request.qty.unwrap_or_default(),
            quote_qty: request.quote_qty.unwrap_or_default(),
            stop_price: request.stop_price.unwrap_or_default(),
            stp: request.stp.unwrap_or(StpMode::ExpireMaker),
            working: if request.kind.is_contingent() { None } else { Some(self.now) },
            ..Order::blank(account, (pair, request.symbol), self.now)
        };
        if request.quote_qty.is_some() {
            self.size_by_quote(&mut order)?;
        }
        self.check_filters(&order)?;
        Ok(order)
    }

    /// Turns `quoteOrderQty` into the size it buys or sells right now.
    fn size_by_quote(&self, order: &mut Order) -> Result<(), Reject> {
        let spec = &self.pairs[order.pair].spec;
        if order.quote_qty < spec.notional_min {
            return Err(Reject::Filter(Filter::Notional));
        }
        order.qty = self.reach(order, Want::Quote(order.quote_qty)).qty;
        if order.qty < spec.qty_min { Err(Reject::NoLiquidity) } else { Ok(()) }
    }

    /// The symbol's filters on price, size and value.
    fn check_filters(&self, order: &Order) -> Result<(), Reject> {
        let pair = &self.pairs[order.pair];
        let (spec, reference) = (&pair.spec, pair.reference());
        let limited = !order.kind.is_market();
        spec.check_qty(order.kind, order.qty)?;
        if limited {
            spec.check_price(order.price)?;
        }
        if order.kind.is_contingent() {
            spec.check_price(order.stop_price)?;
        }
        if limited {
            spec.check_percent(order.side, order.price, reference)?;
        }
        let by_quote = order.quote_qty.0 > 0;
        let at = match (limited, order.kind.is_contingent()) {
            (true, _) => order.price,
            (false, true) => order.stop_price,
            (false, false) => reference,
        };
        if by_quote { Ok(()) } else { spec.check_notional(order.kind, at, order.qty) }
    }
}
