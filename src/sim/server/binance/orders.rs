//! The trading methods: parameters to requests of the exchange, its answers to JSON.
//!
//! Thread: any.  Invariants: what is missing or malformed is refused before the exchange hears of it.

use super::Venue;
use super::error::ApiError;
use super::params::Params;
use super::render::{self, ResponseType};
use crate::sim::exchange::{
    CancelListRequest, CancelOnly, CancelRequest, Canceled, LegRequest, OcoRequest, OrderRef, OrderRequest, OrderType,
    OverLimit, ReplaceMode, ReplaceRequest, Replaced, StpMode,
};
use crate::sim::server::json::{Obj, array};
use crate::types::instrument::Symbol;
use crate::types::{Side, Time, TimeInForce};

/// The symbol of a request. Errors: -1102, -1121.
pub fn symbol(params: &Params) -> Result<Symbol, ApiError> {
    Symbol::new(params.need("symbol")?).ok_or_else(|| ApiError::new(-1121, "Invalid symbol."))
}

fn side(params: &Params) -> Result<Side, ApiError> {
    params.need("side")?;
    let parse = |text: &str| match text {
        "BUY" => Some(Side::Buy),
        "SELL" => Some(Side::Sell),
        _ => None,
    };
    let side = params.word("side", parse, || ApiError::new(-1117, "Invalid side."))?;
    side.ok_or_else(|| ApiError::missing("side"))
}

fn order_type(params: &Params, name: &str) -> Result<OrderType, ApiError> {
    params.need(name)?;
    let kind = params.word(name, OrderType::parse, || ApiError::new(-1116, "Invalid orderType."))?;
    kind.ok_or_else(|| ApiError::missing(name))
}

fn time_in_force(params: &Params, name: &str) -> Result<Option<TimeInForce>, ApiError> {
    let parse = |text: &str| match text {
        "GTC" => Some(TimeInForce::Gtc),
        "IOC" => Some(TimeInForce::Ioc),
        "FOK" => Some(TimeInForce::Fok),
        _ => None,
    };
    params.word(name, parse, || ApiError::new(-1115, "Invalid timeInForce."))
}

fn client_id(params: &Params, name: &str) -> Result<Option<String>, ApiError> {
    match params.get(name) {
        Some("") => Err(ApiError::new(-1105, format!("Parameter '{name}' was empty."))),
        id => Ok(id.map(str::to_owned)),
    }
}

fn prevention(params: &Params) -> Result<Option<StpMode>, ApiError> {
    let name = "selfTradePreventionMode";
    params.word(name, StpMode::parse, || ApiError::bad_value(name))
}

fn response_type(params: &Params) -> Result<Option<ResponseType>, ApiError> {
    let name = "newOrderRespType";
    params.word(name, ResponseType::parse, || ApiError::bad_value(name))
}

fn order_request(params: &Params) -> Result<OrderRequest, ApiError> {
    Ok(OrderRequest {
        symbol: symbol(params)?,
        side: side(params)?,
        kind: order_type(params, "type")?,
        tif: time_in_force(params, "timeInForce")?,
        price: params.price("price")?,
        qty: params.qty("quantity")?,
        quote_qty: params.money("quoteOrderQty")?,
        stop_price: params.price("stopPrice")?,
        client_id: client_id(params, "newClientOrderId")?,
        stp: prevention(params)?,
    })
}

/// Names an order; neither name nor number is -1102.
pub fn order_ref(params: &Params, id: &str, name: &str) -> Result<OrderRef, ApiError> {
    let target = OrderRef { id: params.int(id)?, client_id: client_id(params, name)? };
    if target.id.is_none() && target.client_id.is_none() {
        let msg = format!("Param '{name}' or '{id}' must be sent, but both were empty/null!");
        return Err(ApiError::new(-1102, msg));
    }
    Ok(target)
}

fn cancel_request(params: &Params, id: &str, name: &str, rename: &str) -> Result<CancelRequest, ApiError> {
    let parse = |text: &str| match text {
        "ONLY_NEW" => Some(CancelOnly::New),
        "ONLY_PARTIALLY_FILLED" => Some(CancelOnly::PartiallyFilled),
        _ => None,
    };
    let refuse = || ApiError::new(-1145, "Invalid cancelRestrictions");
    Ok(CancelRequest {
        symbol: symbol(params)?,
        target: order_ref(params, id, name)?,
        new_client_id: client_id(params, rename)?,
        only: params.word("cancelRestrictions", parse, refuse)?,
    })
}

fn leg(params: &Params, prefix: &str) -> Result<LegRequest, ApiError> {
    let name = |part: &str| format!("{prefix}{part}");
    Ok(LegRequest {
        kind: order_type(params, &name("Type"))?,
        price: params.price(&name("Price"))?,
        stop_price: params.price(&name("StopPrice"))?,
        tif: time_in_force(params, &name("TimeInForce"))?,
        client_id: client_id(params, &name("ClientOrderId"))?,
    })
}

impl Venue {
    pub(super) fn place_order(&mut self, params: &Params, now: Time) -> Result<String, ApiError> {
        let request = order_request(params)?;
        let wanted = response_type(params)?.unwrap_or(ResponseType::usual(request.kind));
        let placed = self.exchange.place(self.account, &request, now)?;
        Ok(render::placed(&placed, wanted))
    }

    pub(super) fn test_order(&mut self, params: &Params, now: Time) -> Result<String, ApiError> {
        let request = order_request(params)?;
        self.exchange.place_test(self.account, &request, now)?;
        if params.bool("computeCommissionRates")? != Some(true) {
            return Ok("{}".to_owned());
        }
        let view = self.exchange.account(self.account);
        let rates = |maker: i64, taker: i64| Obj::new().e8("maker", maker).e8("taker", taker).end();
        let body = Obj::new().raw("standardCommissionForOrder", &rates(view.fee_maker.0, view.fee_taker.0));
        let body = body.raw("specialCommissionForOrder", &rates(0, 0)).raw("taxCommissionForOrder", &rates(0, 0));
        let discount = Obj::new().bool("enabledForAccount", false).bool("enabledForSymbol", false);
        let discount = discount.text("discountAsset", "BNB").e8("discount", 75_000_000).end();
        Ok(body.raw("discount", &discount).end())
    }

    pub(super) fn cancel_order(&mut self, params: &Params, now: Time) -> Result<String, ApiError> {
        let request = cancel_request(params, "orderId", "origClientOrderId", "newClientOrderId")?;
        Ok(render::canceled(&self.exchange.cancel(self.account, &request, now)?))
    }

    pub(super) fn cancel_list(&mut self, params: &Params, now: Time) -> Result<String, ApiError> {
        let target = order_ref(params, "orderListId", "listClientOrderId")?;
        let request = CancelListRequest { symbol: symbol(params)?, target };
        let report = self.exchange.cancel_list(self.account, &request, now)?;
        Ok(render::canceled(&Canceled::List(Box::new(report))))
    }

    pub(super) fn cancel_all(&mut self, params: &Params, now: Time) -> Result<String, ApiError> {
        let canceled = self.exchange.cancel_all(self.account, symbol(params)?, now)?;
        Ok(array(canceled.iter().map(render::canceled)))
    }

    pub(super) fn place_oco(&mut self, params: &Params, now: Time) -> Result<String, ApiError> {
        params.need("quantity")?;
        let request = OcoRequest {
            symbol: symbol(params)?,
            side: side(params)?,
            qty: params.qty("quantity")?.ok_or_else(|| ApiError::missing("quantity"))?,
            list_client_id: client_id(params, "listClientOrderId")?,
            above: leg(params, "above")?,
            below: leg(params, "below")?,
            stp: prevention(params)?,
        };
        let wanted = response_type(params)?.unwrap_or(ResponseType::Result);
        if self.switches.refuse_oco > 0 {
            self.switches.refuse_oco -= 1;
            return Err(ApiError::new(-2010, "The relationship of the prices for the orders is not correct."));
        }
        let report = self.exchange.place_oco(self.account, &request, now)?;
        Ok(render::placed_list(&report, wanted))
    }

    pub(super) fn cancel_replace(&mut self, params: &Params, now: Time) -> Result<String, ApiError> {
        let mode = |text: &str| match text {
            "STOP_ON_FAILURE" => Some(ReplaceMode::StopOnFailure),
            "ALLOW_FAILURE" => Some(ReplaceMode::AllowFailure),
            _ => None,
        };
        let over_limit = |text: &str| match text {
            "DO_NOTHING" => Some(OverLimit::DoNothing),
            "CANCEL_ONLY" => Some(OverLimit::CancelOnly),
            _ => None,
        };
        let bad = |name: &'static str| move || ApiError::bad_value(name);
        params.need("cancelReplaceMode")?;
        let chosen = params.word("cancelReplaceMode", mode, bad("cancelReplaceMode"))?;
        let limit_name = "orderRateLimitExceededMode";
        let new = order_request(params)?;
        let wanted = response_type(params)?.unwrap_or(ResponseType::usual(new.kind));
        let request = ReplaceRequest {
            cancel: cancel_request(params, "cancelOrderId", "cancelOrigClientOrderId", "cancelNewClientOrderId")?,
            new,
            mode: chosen.unwrap_or(ReplaceMode::StopOnFailure),
            over_limit: params.word(limit_name, over_limit, bad(limit_name))?.unwrap_or(OverLimit::DoNothing),
        };
        replaced(&self.exchange.cancel_replace(self.account, &request, now)?, wanted)
    }
}

/// Both halves; a failed one makes the whole an error that carries them.
fn replaced(replaced: &Replaced, wanted: ResponseType) -> Result<String, ApiError> {
    let (cancel_result, cancel) = match &replaced.cancel {
        Ok(canceled) => ("SUCCESS", render::canceled(canceled)),
        Err(reject) => ("FAILURE", ApiError::from(*reject).body()),
    };
    let (new_result, new) = match &replaced.new {
        Some(Ok(placed)) => ("SUCCESS", render::placed(placed, wanted)),
        Some(Err(reject)) => ("FAILURE", ApiError::from(*reject).body()),
        None => ("NOT_ATTEMPTED", "null".to_owned()),
    };
    let data = Obj::new().text("cancelResult", cancel_result).text("newOrderResult", new_result);
    let data = data.raw("cancelResponse", &cancel).raw("newOrderResponse", &new).end();
    if replaced.code() == 0 {
        return Ok(data);
    }
    let error = ApiError::new(replaced.code(), replaced.message());
    Err(ApiError { status: replaced.status(), data: Some(data), ..error })
}
