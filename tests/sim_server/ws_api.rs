//! The WebSocket API: session, orders, lists, user events.

use super::desk::{Ws, ed25519_base64, hmac_hex, limit, logged_on, open, sealed};
use serde_json::{Value, json};
use sol_volume_bot::sim::scenario::{DEMO_ED25519_KEY, DEMO_HMAC_KEY};
use sol_volume_bot::types::Price;

fn event<'a>(frame: &'a Value, kind: &str) -> Option<&'a Value> {
    let event = frame.get("event")?;
    (event["e"] == kind).then_some(event)
}

fn execution(ws: &mut Ws, id: &str, status: &str) -> Value {
    let wanted = |frame: &Value| {
        event(frame, "executionReport").is_some_and(|e| (e["c"] == id || e["C"] == id) && e["X"] == status)
    };
    ws.hear_until(wanted)["event"].clone()
}

#[test]
fn only_an_ed25519_key_logs_on_and_only_a_session_or_a_signature_subscribes() {
    let handle = open();
    let mut ws = Ws::open(&handle, "/ws-api/v3");
    let code = |answer: Value| answer["error"]["code"].as_i64().unwrap_or(0);
    assert_eq!(code(ws.ask("1", "session.logon", sealed(json!({}), DEMO_HMAC_KEY, hmac_hex))), -2015);
    assert_eq!(code(ws.ask("2", "userDataStream.subscribe", json!({}))), -1002);
    let mut forged = sealed(json!({}), DEMO_ED25519_KEY, ed25519_base64);
    forged["recvWindow"] = json!(5000);
    assert_eq!(code(ws.ask("3", "session.logon", forged)), -1022, "a parameter that was not signed");
    let subscribe = "userDataStream.subscribe.signature";
    let answer = ws.ask("4", subscribe, sealed(json!({}), DEMO_HMAC_KEY, hmac_hex));
    assert_eq!(answer["result"]["subscriptionId"], 0);
    assert_eq!(answer["rateLimits"][0]["rateLimitType"], "REQUEST_WEIGHT", "told unless switched off");
    assert_eq!(code(ws.ask("5", subscribe, sealed(json!({}), DEMO_HMAC_KEY, hmac_hex))), -2035);
    assert_eq!(ws.ask("6", "session.subscriptions", json!({}))["result"], json!([{"subscriptionId": 0}]));
    assert_eq!(ws.ask("7", "userDataStream.unsubscribe", json!({}))["status"], 200);
    assert_eq!(code(ws.ask("8", "userDataStream.unsubscribe", json!({}))), -2036);
    assert_eq!(ws.ask("9", "session.status", json!({}))["result"]["apiKey"], Value::Null);
    let logon = ws.ask("10", "session.logon", sealed(json!({}), DEMO_ED25519_KEY, ed25519_base64));
    assert_eq!(logon["result"]["apiKey"], DEMO_ED25519_KEY);
    assert_eq!(ws.ask("11", "userDataStream.subscribe", json!({}))["result"]["subscriptionId"], 1);
    assert_eq!(ws.ask("12", "session.logout", json!({}))["result"]["userDataStream"], false);
    assert_eq!(code(ws.ask("13", "order.place", limit("BUY", "160", "1", "GTC", "x"))), -1102, "no key, no session");
    assert_eq!(code(ws.ask("14", "order.dance", json!({}))), -1020);
}

#[test]
fn a_session_orders_without_signature_but_not_without_the_time() {
    let handle = open();
    let mut ws = logged_on(&handle);
    let timeless = ws.ask("1", "order.place", limit("BUY", "160.00", "1", "GTC", "a"));
    assert_eq!(timeless["error"]["code"], -1102);
    let placed = ws.ask_stamped("2", "v3/order.place", limit("BUY", "160.00", "1", "GTC", "a"));
    assert_eq!((placed["status"].as_i64(), placed["result"]["status"].as_str()), (Some(200), Some("NEW")));
    assert_eq!(placed["result"]["fills"], json!([]), "LIMIT answers FULL unasked");
    let report = execution(&mut ws, "a", "NEW");
    assert_eq!((&report["x"], &report["w"], &report["t"]), (&json!("NEW"), &json!(true), &json!(-1)));
    let position = ws.hear_until(|frame| event(frame, "outboundAccountPosition").is_some());
    assert!(
        position["event"]["B"]
            .as_array()
            .is_some_and(|assets| assets.contains(&json!({"a": "USDT", "f": "9840.00000000", "l": "160.00000000"})))
    );
    let mut other = Ws::open(&handle, "/ws-api/v3");
    let seen = other.ask("3", "openOrders.status", sealed(json!({"symbol": "SOLUSDT"}), DEMO_HMAC_KEY, hmac_hex));
    assert_eq!(seen["result"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_bought_coin_is_short_of_its_fee_and_cannot_be_sold_whole() {
    let handle = open();
    let mut ws = logged_on(&handle);
    let bought = ws.ask_stamped("1", "order.place", limit("BUY", "161.50", "1", "IOC", "b"));
    assert_eq!(bought["result"]["status"], "FILLED");
    assert_eq!(bought["result"]["fills"][0]["commission"], "0.00100000");
    let fill = execution(&mut ws, "b", "FILLED");
    assert_eq!(fill["t"], bought["result"]["fills"][0]["tradeId"], "answer and event name the same trade");
    assert_eq!((&fill["n"], &fill["N"], &fill["m"]), (&json!("0.00100000"), &json!("SOL"), &json!(false)));
    assert_eq!(handle.snapshot().balance("SOL"), (99_900_000, 0));
    let whole = ws.ask_stamped("2", "order.place", limit("SELL", "165", "1", "GTC", "s"));
    assert_eq!(whole["error"]["msg"], "Account has insufficient balance for requested action.");
    let trades = ws.ask_stamped("3", "myTrades", json!({"symbol": "SOLUSDT", "fromId": 0}));
    assert_eq!(trades["result"][0]["id"], fill["t"]);
    assert_eq!(handle.conserved(), Ok(()));
}

#[test]
fn an_unfilled_ioc_answers_200_and_expires() {
    let handle = open();
    let mut ws = logged_on(&handle);
    let answer = ws.ask_stamped("1", "order.place", limit("BUY", "150.00", "1", "IOC", "i"));
    assert_eq!((answer["status"].as_i64(), answer["result"]["status"].as_str()), (Some(200), Some("EXPIRED")));
    assert_eq!(execution(&mut ws, "i", "EXPIRED")["eR"], "UNFILLED_IOC_QUANTITY_EXPIRED");
}

fn oco(above: &str, stop: &str, quantity: &str, list: &str) -> Value {
    json!({"symbol": "SOLUSDT", "side": "SELL", "quantity": quantity, "listClientOrderId": list,
        "aboveType": "LIMIT_MAKER", "abovePrice": above, "aboveClientOrderId": format!("{list}t"),
        "belowType": "STOP_LOSS", "belowStopPrice": stop, "belowClientOrderId": format!("{list}s")})
}

#[test]
fn an_oco_locks_once_and_the_stop_sells_when_the_market_falls() {
    let handle = open();
    handle.deposit("SOL", 200_000_000);
    let mut ws = logged_on(&handle);
    let placed = ws.ask_stamped("1", "orderList.place.oco", oco("165.00", "155.00", "2", "L1"));
    assert_eq!(placed["status"], 200, "{placed}");
    assert_eq!(placed["result"]["orderReports"][0]["workingTime"], -1, "the stop leg first, waiting");
    assert_eq!(handle.snapshot().balance("SOL"), (0, 200_000_000), "locked once");
    let wrong = ws.ask_stamped("2", "orderList.place.oco", oco("150.00", "155.00", "1", "L2"));
    assert_eq!(wrong["status"], 400);
    let list = ws.ask_stamped("3", "orderList.status", json!({"origClientOrderId": "L1"}));
    assert_eq!(list["result"]["listOrderStatus"], "EXECUTING");
    handle.set_mid(Price(15_480_000_000));
    assert_eq!(execution(&mut ws, "L1t", "EXPIRED")["eR"], "OCO_TRIGGER");
    assert_eq!(execution(&mut ws, "L1s", "FILLED")["o"], "STOP_LOSS");
    let over = ws.hear_until(|frame| event(frame, "listStatus").is_some_and(|e| e["L"] == "ALL_DONE"));
    assert_eq!(over["event"]["C"], "L1");
    assert_eq!((handle.snapshot().coins("SOL").0, handle.snapshot().open_orders.len()), (0, 0));
    assert_eq!(handle.conserved(), Ok(()));
}

#[test]
fn cancelling_a_leg_answers_with_the_whole_list() {
    let handle = open();
    handle.deposit("SOL", 200_000_000);
    let mut ws = logged_on(&handle);
    ws.ask_stamped("1", "orderList.place.oco", oco("165.00", "155.00", "2", "L1"));
    let cancel = json!({"symbol": "SOLUSDT", "origClientOrderId": "L1t"});
    let canceled = ws.ask_stamped("2", "order.cancel", cancel);
    assert_eq!(canceled["result"]["listOrderStatus"], "ALL_DONE", "{canceled}");
    assert_eq!(canceled["result"]["orderReports"].as_array().map(Vec::len), Some(2));
    ws.ask_stamped("3", "orderList.place.oco", oco("165.00", "155.00", "2", "L3"));
    let all = ws.ask_stamped("4", "openOrders.cancelAll", json!({"symbol": "SOLUSDT"}));
    assert_eq!(all["result"][0]["listClientOrderId"], "L3");
    let none = ws.ask_stamped("5", "openOrders.cancelAll", json!({"symbol": "SOLUSDT"}));
    assert_eq!(none["error"]["code"], -2011);
    assert_eq!(handle.snapshot().balance("SOL"), (200_000_000, 0));
}

#[test]
fn a_frame_that_is_no_request_is_answered_not_cut() {
    let handle = open();
    let mut ws = Ws::open(&handle, "/ws-api/v3");
    ws.say("{\"method\":");
    assert_eq!(ws.hear().expect("an answer")["error"]["code"], -1135);
    assert_eq!(ws.ask("1", "ping", json!({}))["result"], json!({}));
    assert_eq!(
        ws.ask("2", "depth", json!({"symbol": "SOLUSDT", "limit": 5}))["result"]["bids"].as_array().map(Vec::len),
        Some(5)
    );
}
