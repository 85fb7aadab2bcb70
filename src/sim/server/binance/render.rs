//! Orders, lists, balances and candles as the venue writes them in answers.
//!
//! Thread: any.  Invariants: keys in the venue's order, decimals padded to 8 places, conditional fields only where they
//! apply.

use crate::sim::exchange::{
    AccountTrade, AccountView, Canceled, Fill, Kline, ListReport, Order, OrderCount, OrderList, OrderType, Placed,
    QTY_PER_AMOUNT, side_name, tif_name,
};
use crate::sim::server::json::{Obj, array, e8};
use crate::types::order::Liquidity;
use crate::types::{Qty, Side, Time};

/// A size in the venue's 1e-8.
pub fn qty_e8(qty: Qty) -> i64 {
    qty.0 / QTY_PER_AMOUNT
}

fn ms(at: Time) -> i64 {
    at.millis().0
}

/// Which answer to a placement was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseType {
    /// The bare receipt.
    Ack,
    /// With the order's state.
    Result,
    /// With the fills, too.
    Full,
}

impl ResponseType {
    /// From the venue's word.
    pub fn parse(text: &str) -> Option<ResponseType> {
        match text {
            "ACK" => Some(ResponseType::Ack),
            "RESULT" => Some(ResponseType::Result),
            "FULL" => Some(ResponseType::Full),
            _ => None,
        }
    }
    /// What an order of `kind` is answered with unasked.
    pub fn usual(kind: OrderType) -> ResponseType {
        match kind {
            OrderType::Limit | OrderType::Market => ResponseType::Full,
            _ => ResponseType::Ack,
        }
    }
}

fn receipt(order: &Order) -> Obj {
    Obj::new()
        .text("symbol", order.symbol.as_str())
        .int("orderId", order.id)
        .int("orderListId", order.list_id)
        .text("clientOrderId", &order.client_id)
        .int("transactTime", ms(order.updated))
}

fn amounts(body: Obj, order: &Order) -> Obj {
    body.e8("price", order.price.0)
        .e8("origQty", qty_e8(order.qty))
        .e8("executedQty", qty_e8(order.cum_qty))
        .e8("origQuoteOrderQty", order.quote_qty.0)
        .e8("cummulativeQuoteQty", order.cum_quote.0)
        .text("status", order.status.name())
        .text("timeInForce", tif_name(order.tif))
        .text("type", order.kind.name())
        .text("side", side_name(order.side))
}

fn conditional(body: Obj, order: &Order) -> Obj {
    let body = if order.prevented_qty.0 > 0 { body.e8("preventedQuantity", qty_e8(order.prevented_qty)) } else { body };
    match order.expiry {
        Some(reason) => body.text("expiryReason", reason.name()),
        None => body,
    }
}

fn result(order: &Order) -> Obj {
    let body = amounts(receipt(order), order);
    let body = if order.stop_price.0 > 0 { body.e8("stopPrice", order.stop_price.0) } else { body };
    let working = order.working.map_or(-1, ms);
    conditional(body.int("workingTime", working).text("selfTradePreventionMode", order.stp.name()), order)
}

fn fill(fill: &Fill) -> String {
    Obj::new()
        .e8("price", fill.price.0)
        .e8("qty", qty_e8(fill.qty))
        .e8("commission", fill.fee.0)
        .text("commissionAsset", fill.fee_asset.as_str())
        .int("tradeId", fill.trade_id)
        .end()
}

/// The answer to a placement.
pub fn placed(placed: &Placed, wanted: ResponseType) -> String {
    match wanted {
        ResponseType::Ack => receipt(&placed.order).end(),
        ResponseType::Result => result(&placed.order).end(),
        ResponseType::Full => result(&placed.order).raw("fills", &array(placed.fills.iter().map(fill))).end(),
    }
}

/// The answer to a cancel: of an order, or of the whole list it belonged to.
pub fn canceled(canceled: &Canceled) -> String {
    match canceled {
        Canceled::Order(order) => canceled_order(order),
        Canceled::List(report) => list_report(report, canceled_order),
    }
}

fn canceled_order(order: &Order) -> String {
    let original = if order.orig_client_id.is_empty() { &order.client_id } else { &order.orig_client_id };
    let body = Obj::new()
        .text("symbol", order.symbol.as_str())
        .text("origClientOrderId", original)
        .int("orderId", order.id)
        .int("orderListId", order.list_id)
        .text("clientOrderId", &order.client_id)
        .int("transactTime", ms(order.updated));
    let body = amounts(body, order);
    let body = if order.stop_price.0 > 0 { body.e8("stopPrice", order.stop_price.0) } else { body };
    conditional(body.text("selfTradePreventionMode", order.stp.name()), order).end()
}

/// A list with one report an order.
pub fn list_report(report: &ListReport, each: impl Fn(&Order) -> String) -> String {
    list_head(&report.list).raw("orderReports", &array(report.orders.iter().map(each))).end()
}

/// The answer to an OCO placement.
pub fn placed_list(report: &ListReport, wanted: ResponseType) -> String {
    list_report(report, |order| match wanted {
        ResponseType::Ack => receipt(order).end(),
        ResponseType::Result | ResponseType::Full => result(order).end(),
    })
}

/// A list as queries tell it.
pub fn list(list: &OrderList) -> String {
    list_head(list).end()
}

fn list_head(list: &OrderList) -> Obj {
    let leg = |leg: &crate::sim::exchange::ListLeg| {
        Obj::new()
            .text("symbol", list.symbol.as_str())
            .int("orderId", leg.order_id)
            .text("clientOrderId", &leg.client_id)
            .end()
    };
    Obj::new()
        .int("orderListId", list.id)
        .text("contingencyType", "OCO")
        .text("listStatusType", list.phase.name())
        .text("listOrderStatus", list.phase.order_status())
        .text("listClientOrderId", &list.client_id)
        .int("transactionTime", ms(list.updated))
        .text("symbol", list.symbol.as_str())
        .raw("orders", &array(list.legs.iter().map(leg)))
}

/// An order as queries tell it.
pub fn queried(order: &Order) -> String {
    let body = Obj::new()
        .text("symbol", order.symbol.as_str())
        .int("orderId", order.id)
        .int("orderListId", order.list_id)
        .text("clientOrderId", &order.client_id);
    let body = amounts(body, order)
        .e8("stopPrice", order.stop_price.0)
        .e8("icebergQty", 0)
        .int("time", ms(order.created))
        .int("updateTime", ms(order.updated))
        .bool("isWorking", order.working.is_some())
        .int("workingTime", order.working.map_or(-1, ms))
        .text("selfTradePreventionMode", order.stp.name());
    conditional(body, order).end()
}

/// A row of `myTrades`.
pub fn trade(trade: &AccountTrade) -> String {
    Obj::new()
        .text("symbol", trade.symbol.as_str())
        .int("id", trade.fill.trade_id)
        .int("orderId", trade.order_id)
        .int("orderListId", trade.list_id)
        .e8("price", trade.fill.price.0)
        .e8("qty", qty_e8(trade.fill.qty))
        .e8("quoteQty", trade.fill.quote.0)
        .e8("commission", trade.fill.fee.0)
        .text("commissionAsset", trade.fill.fee_asset.as_str())
        .int("time", ms(trade.fill.at))
        .bool("isBuyer", trade.side == Side::Buy)
        .bool("isMaker", trade.fill.liquidity == Liquidity::Maker)
        .bool("isBestMatch", true)
        .end()
}

/// `account.status`.
pub fn account(view: &AccountView, omit_zero: bool) -> String {
    let rates = Obj::new().e8("maker", view.fee_maker.0).e8("taker", view.fee_taker.0).e8("buyer", 0).e8("seller", 0);
    let shown = view.balances.iter().filter(|balance| !omit_zero || balance.free.0 + balance.locked.0 != 0);
    let balances = shown.map(|balance| {
        let asset = balance.asset.as_str();
        Obj::new().text("asset", asset).e8("free", balance.free.0).e8("locked", balance.locked.0).end()
    });
    Obj::new()
        .int("makerCommission", view.fee_maker.0 / 10_000)
        .int("takerCommission", view.fee_taker.0 / 10_000)
        .int("buyerCommission", 0)
        .int("sellerCommission", 0)
        .raw("commissionRates", &rates.end())
        .bool("canTrade", true)
        .bool("canWithdraw", false)
        .bool("canDeposit", true)
        .bool("brokered", false)
        .bool("requireSelfTradePrevention", false)
        .bool("preventSor", false)
        .int("updateTime", ms(view.updated))
        .text("accountType", "SPOT")
        .raw("balances", &array(balances))
        .raw("permissions", "[\"SPOT\"]")
        .int("uid", view.uid)
        .end()
}

/// `account.commission`.
pub fn commission(symbol: &str, view: &AccountView) -> String {
    let rates =
        |maker: i64, taker: i64| Obj::new().e8("maker", maker).e8("taker", taker).e8("buyer", 0).e8("seller", 0).end();
    let discount = Obj::new().bool("enabledForAccount", false).bool("enabledForSymbol", false);
    let discount = discount.text("discountAsset", "BNB").e8("discount", 75_000_000).end();
    Obj::new()
        .text("symbol", symbol)
        .raw("standardCommission", &rates(view.fee_maker.0, view.fee_taker.0))
        .raw("specialCommission", &rates(0, 0))
        .raw("taxCommission", &rates(0, 0))
        .raw("discount", &discount)
        .end()
}

/// `account.rateLimits.orders`.
pub fn order_counts(counts: &[OrderCount]) -> String {
    array(counts.iter().map(order_count))
}

/// One window of the order count.
pub fn order_count(count: &OrderCount) -> String {
    Obj::new()
        .text("rateLimitType", "ORDERS")
        .text("interval", count.interval)
        .int("intervalNum", i64::from(count.interval_num))
        .int("limit", i64::from(count.limit))
        .int("count", i64::from(count.count))
        .end()
}

/// A row of `klines`.
pub fn kline(kline: &Kline) -> String {
    array([
        ms(kline.open_time).to_string(),
        e8(kline.open.0),
        e8(kline.high.0),
        e8(kline.low.0),
        e8(kline.close.0),
        e8(qty_e8(kline.volume)),
        (ms(kline.end) - 1).to_string(),
        e8(kline.quote_volume.0),
        kline.trades.to_string(),
        e8(qty_e8(kline.taker_buy)),
        e8(kline.taker_buy_quote.0),
        "\"0\"".to_owned(),
    ])
}
