//! What the venue tells unasked: the account's events and the market's stream payloads.
//!
//! Thread: any.  Invariants: keys in the venue's order; nothing here decides who hears it.

use super::render::qty_e8;
use crate::sim::exchange::{
    AccountEvent, DepthDiff, Execution, Interval, Kline, OrderList, OrderStatus, PublicTrade, side_name, tif_name,
};
use crate::sim::server::json::{Obj, array, e8};
use crate::types::event::Bbo;
use crate::types::order::Liquidity;
use crate::types::{Price, Qty, Side, Time};

fn ms(at: Time) -> i64 {
    at.millis().0
}

/// The `event` of a user data frame.
pub fn account_event(event: &AccountEvent) -> String {
    match event {
        AccountEvent::Execution(execution) => execution_report(execution),
        AccountEvent::Position { at, balances } => {
            let each = balances.iter().map(|balance| {
                let asset = balance.asset.as_str();
                Obj::new().text("a", asset).e8("f", balance.free.0).e8("l", balance.locked.0).end()
            });
            let head = Obj::new().text("e", "outboundAccountPosition").int("E", ms(*at)).int("u", ms(*at));
            head.raw("B", &array(each)).end()
        }
        AccountEvent::List { at, list } => list_status(*at, list),
        AccountEvent::BalanceUpdate { at, asset, delta_e8 } => Obj::new()
            .text("e", "balanceUpdate")
            .int("E", ms(*at))
            .text("a", asset.as_str())
            .e8("d", *delta_e8)
            .int("T", ms(*at))
            .end(),
    }
}

fn execution_report(execution: &Execution) -> String {
    let order = &execution.order;
    let fill = execution.fill.as_ref();
    let body = Obj::new()
        .text("e", "executionReport")
        .int("E", ms(execution.at))
        .text("s", order.symbol.as_str())
        .text("c", &order.client_id)
        .text("S", side_name(order.side))
        .text("o", order.kind.name())
        .text("f", tif_name(order.tif))
        .e8("q", qty_e8(order.qty))
        .e8("p", order.price.0)
        .e8("P", order.stop_price.0)
        .e8("F", 0)
        .int("g", order.list_id)
        .text("C", &order.orig_client_id)
        .text("x", execution.kind.name())
        .text("X", order.status.name())
        .text("r", execution.reject_reason)
        .int("i", order.id)
        .e8("l", fill.map_or(0, |fill| qty_e8(fill.qty)))
        .e8("z", qty_e8(order.cum_qty))
        .e8("L", fill.map_or(0, |fill| fill.price.0))
        .e8("n", fill.map_or(0, |fill| fill.fee.0));
    let body = match fill {
        Some(fill) => body.text("N", fill.fee_asset.as_str()),
        None => body.raw("N", "null"),
    };
    let body = body.int("T", ms(execution.at)).int("t", fill.map_or(-1, |fill| fill.trade_id));
    let body = match &execution.prevented {
        Some(prevented) => body.int("v", prevented.match_id),
        None => body,
    };
    let body = body
        .int("I", execution.id)
        .bool("w", order.is_working())
        .bool("m", fill.is_some_and(|fill| fill.liquidity == Liquidity::Maker))
        .bool("M", false)
        .int("O", ms(order.created))
        .e8("Z", order.cum_quote.0)
        .e8("Y", fill.map_or(0, |fill| fill.quote.0))
        .e8("Q", order.quote_qty.0);
    let body = match order.working {
        Some(since) => body.int("W", ms(since)),
        None => body,
    };
    tail(body.text("V", order.stp.name()), execution).end()
}

/// Fields that appear only when they apply.
fn tail(body: Obj, execution: &Execution) -> Obj {
    let order = &execution.order;
    let body = match &execution.prevented {
        Some(prevented) => body
            .e8("A", qty_e8(order.prevented_qty))
            .e8("B", qty_e8(prevented.removed))
            .int("U", prevented.counter_order_id)
            .e8("pl", qty_e8(prevented.qty))
            .e8("pL", prevented.price.0)
            .e8("pY", prevented.quote.0),
        None => body,
    };
    match order.expiry {
        Some(reason) if order.status == OrderStatus::Expired => body.text("eR", reason.name()),
        _ => body,
    }
}

fn list_status(at: Time, list: &OrderList) -> String {
    let leg = |leg: &crate::sim::exchange::ListLeg| {
        Obj::new().text("s", list.symbol.as_str()).int("i", leg.order_id).text("c", &leg.client_id).end()
    };
    Obj::new()
        .text("e", "listStatus")
        .int("E", ms(at))
        .text("s", list.symbol.as_str())
        .int("g", list.id)
        .text("c", "OCO")
        .text("l", list.phase.name())
        .text("L", list.phase.order_status())
        .text("r", "NONE")
        .text("C", &list.client_id)
        .int("T", ms(at))
        .raw("O", &array(list.legs.iter().map(leg)))
        .end()
}

/// `@trade`.
pub fn trade(trade: &PublicTrade) -> String {
    Obj::new()
        .text("e", "trade")
        .int("E", ms(trade.at))
        .text("s", trade.symbol.as_str())
        .int("t", trade.id)
        .e8("p", trade.price.0)
        .e8("q", qty_e8(trade.qty))
        .int("T", ms(trade.at))
        .bool("m", trade.aggressor == Side::Sell)
        .bool("M", true)
        .end()
}

/// `@aggTrade`: here each trade is an aggregate of its own.
pub fn agg_trade(trade: &PublicTrade) -> String {
    Obj::new()
        .text("e", "aggTrade")
        .int("E", ms(trade.at))
        .text("s", trade.symbol.as_str())
        .int("a", trade.id)
        .e8("p", trade.price.0)
        .e8("q", qty_e8(trade.qty))
        .int("f", trade.id)
        .int("l", trade.id)
        .int("T", ms(trade.at))
        .bool("m", trade.aggressor == Side::Sell)
        .bool("M", true)
        .end()
}

/// `@bookTicker`: no event type, no time.
pub fn book_ticker(symbol: &str, bbo: &Bbo) -> String {
    Obj::new()
        .int("u", bbo.update_id as i64)
        .text("s", symbol)
        .e8("b", bbo.bid.0)
        .e8("B", qty_e8(bbo.bid_qty))
        .e8("a", bbo.ask.0)
        .e8("A", qty_e8(bbo.ask_qty))
        .end()
}

/// Price levels, `[["150.24","10.000"],…]`.
pub fn levels<'a>(levels: impl IntoIterator<Item = &'a (Price, Qty)>) -> String {
    array(levels.into_iter().map(|(price, qty)| array([e8(price.0), e8(qty_e8(*qty))])))
}

/// `@depth`.
pub fn depth_update(symbol: &str, diff: &DepthDiff, at: Time) -> String {
    Obj::new()
        .text("e", "depthUpdate")
        .int("E", ms(at))
        .text("s", symbol)
        .int("U", diff.first_id as i64)
        .int("u", diff.last_id as i64)
        .raw("b", &levels(&diff.bids))
        .raw("a", &levels(&diff.asks))
        .end()
}

/// `@kline_…`.
pub fn kline(symbol: &str, interval: Interval, candle: &Kline, closed: bool, at: Time) -> String {
    let inner = Obj::new()
        .int("t", ms(candle.open_time))
        .int("T", ms(candle.end) - 1)
        .text("s", symbol)
        .text("i", interval.name())
        .int("f", candle.first_id)
        .int("L", candle.last_id)
        .e8("o", candle.open.0)
        .e8("c", candle.close.0)
        .e8("h", candle.high.0)
        .e8("l", candle.low.0)
        .e8("v", qty_e8(candle.volume))
        .int("n", candle.trades)
        .bool("x", closed)
        .e8("q", candle.quote_volume.0)
        .e8("V", qty_e8(candle.taker_buy))
        .e8("Q", candle.taker_buy_quote.0)
        .text("B", "0")
        .end();
    Obj::new().text("e", "kline").int("E", ms(at)).text("s", symbol).raw("k", &inner).end()
}
