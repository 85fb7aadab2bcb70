//! What is read over REST before anything trades.

use super::desk::*;
use super::frames::{account, commission, exchange_info};
use super::wire::shared;
use serde_json::{Value, json};
use sol_volume_bot::types::event::Balance;
use sol_volume_bot::types::instrument::Symbol;
use sol_volume_bot::types::order::FeeAsset;
use sol_volume_bot::types::*;
use sol_volume_bot::venue::binance_spot::info::{self, SymbolInfo, SymbolStatus};
use sol_volume_bot::venue::binance_spot::rest::{self, RestError, SignedTargets};
use sol_volume_bot::venue::binance_spot::trade::{LimitKind, RateLimit};
use std::io::Read;

fn read(body: &Value) -> Result<SymbolInfo, RestError> {
    info::exchange_info(body.to_string().as_bytes(), Symbol::new("SOLUSDT").unwrap())
}

#[test]
fn exchange_info_becomes_the_instrument_exactly() {
    let found = read(&exchange_info()).unwrap();
    let expected = Instrument { fee_maker: Ratio::ZERO, fee_taker: Ratio::ZERO, ..solusdt() };
    assert_eq!((found.instrument, found.status), (expected, SymbolStatus::Trading));
    let second = 1_000 * MS;
    assert_eq!(
        found.limits,
        [
            RateLimit { kind: LimitKind::Weight, interval_ns: 60 * second, limit: 6_000 },
            RateLimit { kind: LimitKind::Orders, interval_ns: 10 * second, limit: 50 },
        ]
    );
}

#[test]
fn exchange_info_says_what_it_lacks() {
    let mut no_lot = exchange_info();
    no_lot["symbols"][0]["filters"].as_array_mut().unwrap().remove(1);
    assert!(read(&no_lot).unwrap_err().to_string().contains("LOT_SIZE"));
    let mut other = exchange_info();
    other["symbols"][0]["symbol"] = json!("BTCUSDT");
    assert!(read(&other).unwrap_err().to_string().contains("SOLUSDT"));
    let mut fine = exchange_info();
    fine["symbols"][0]["filters"][0]["tickSize"] = json!("0.000000001");
    assert!(read(&fine).unwrap_err().to_string().contains("tickSize"));
    let error = read(&json!({"code": -1121, "msg": "Invalid symbol."})).unwrap_err();
    assert_eq!(error, RestError::Venue { code: -1121, msg: "Invalid symbol.".to_owned() });
    assert!(matches!(info::exchange_info(b"<html>", solusdt().symbol), Err(RestError::Shape { .. })));
    let mut halted = exchange_info();
    halted["symbols"][0]["status"] = json!("CANCEL_ONLY");
    assert_eq!(read(&halted).unwrap().status, SymbolStatus::CancelOnly);
}

#[test]
fn a_real_exchange_info_with_the_filters_of_2021_is_read() {
    let Some(file) = shared("binance_spot/cryptofeed_binance_20211012.jsonl.zst") else { return };
    let packed = std::fs::File::open(file).unwrap();
    let mut text = String::new();
    ruzstd::decoding::StreamingDecoder::new(packed).unwrap().read_to_string(&mut text).unwrap();
    let bodies =
        text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()?["data"].as_str().map(str::to_owned));
    let body =
        bodies.into_iter().find(|body| body.contains("\"exchangeFilters\"")).expect("exchangeInfo is in the file");
    let found = info::exchange_info(body.as_bytes(), Symbol::new("SOLUSDT").unwrap()).unwrap();
    let rules = found.instrument;
    assert_eq!((rules.base.as_str(), rules.quote.as_str()), ("SOL", "USDT"));
    assert_eq!((rules.tick, rules.lot, rules.notional_min), (price("0.01"), qty("0.01"), Notional(1_000_000_000)));
    assert_eq!((rules.orders_max, rules.algo_orders_max, rules.oco_allowed), (200, 5, true));
    assert!(!found.limits.is_empty());
}

#[test]
fn the_account_and_its_fees_are_read_exactly() {
    let found = rest::account(account().to_string().as_bytes(), &solusdt()).unwrap();
    assert!(found.can_trade);
    assert_eq!(found.base, Balance::Base { free: Qty(10_000_000_010), locked: qty("2.5") });
    assert_eq!(found.quote, Balance::Quote { free: Notional::ZERO, locked: Notional::ZERO });
    let fees = rest::commission(commission().to_string().as_bytes()).unwrap();
    assert_eq!((fees.maker, fees.taker), (Ratio(140_000), Ratio(170_000)));
    assert!(rest::commission(b"{\"standardCommission\":{}}").is_err());
    let absurd = json!({"standardCommission": {"maker": "92233720368", "taker": "0", "buyer": "1", "seller": "0"}});
    let refused = rest::commission(absurd.to_string().as_bytes());
    assert!(matches!(refused, Err(RestError::Number { name: "maker", .. })), "a sum beyond our units: {refused:?}");
}

#[test]
fn open_orders_lists_and_trades_are_read() {
    let orders = json!([order(tp(), 22, "SELL", "NEW", "0.5"), {"symbol":"SOLUSDT","orderId":5,"orderListId":-1,
        "clientOrderId":"web_1","origQty":"1","executedQty":"0","status":"NEW","side":"BUY"}]);
    let found = rest::open_orders(orders.to_string().as_bytes()).unwrap();
    let told: Vec<_> =
        found.iter().map(|order| (order.id, order.venue_order_id.0, order.side, order.cum_qty)).collect();
    assert_eq!(told, [(Some(tp()), 22, Side::Sell, qty("0.5")), (None, 5, Side::Buy, Qty::ZERO)]);
    let found = rest::open_lists(json!([list_answer("EXEC_STARTED", json!([]))]).to_string().as_bytes()).unwrap();
    assert_eq!((found[0].id, found[0].list_id), (Some(list()), 77));
    assert_eq!(found[0].orders, [VenueOrderId(21), VenueOrderId(22)]);
    let found = rest::my_trades(json!([trade(900_001, 22, "0.5")]).to_string().as_bytes(), &solusdt()).unwrap();
    assert_eq!((found[0].trade_id, found[0].order_id, found[0].qty), (900_001, 22, qty("0.5")));
    assert_eq!((found[0].fee, found[0].fee_asset), (500_000, FeeAsset::Base));
    assert!(rest::open_orders(b"{}").is_err());
    assert!(matches!(rest::open_orders(b"{\"code\":-2015,\"msg\":\"x\"}"), Err(RestError::Venue { code: -2015, .. })));
}

#[test]
fn the_time_is_read_in_either_unit() {
    let expected = Time(1_790_000_000_000 * MS);
    assert_eq!(rest::time(b"{\"serverTime\":1790000000000}"), Ok(expected));
    assert_eq!(rest::time(b"{\"serverTime\":1790000000000000}"), Ok(expected));
    assert!(rest::time(b"{}").is_err());
}

#[test]
fn a_signed_target_is_signed_over_exactly_what_is_sent() {
    for signer in [hmac(), ed25519()] {
        let targets = SignedTargets { signer: &signer, recv_window_ms: 5_000, timestamp: Millis(1_700_000_000_000) };
        let symbol = solusdt().symbol;
        for target in [
            targets.account(),
            targets.commission(symbol),
            targets.open_orders(symbol),
            targets.open_lists(),
            targets.my_trades(symbol, Some(7)),
            targets.order(symbol, entry()),
        ] {
            let (signed, signature) = target.split_once("&signature=").unwrap();
            let (path, payload) = signed.split_once('?').unwrap();
            assert!(path.starts_with("/api/v3/") && !payload.starts_with('&'), "{target}");
            let plain = signature.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
            assert_eq!(plain, signer.sign(payload.as_bytes()).as_str());
            assert!(signature.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'%'));
        }
    }
}
