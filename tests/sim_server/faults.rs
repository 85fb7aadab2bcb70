//! What the venues do wrong on command.

use super::desk::{Http, PATIENCE, Ws, get, hmac_hex, limit, logged_on, open, open_with, signed, stamped, steered};
use serde_json::{Value, json};
use sol_volume_bot::sim::scenario::DEMO_HMAC_KEY;
use sol_volume_bot::sim::server::{Fault, Handle};

fn buy(handle: &Handle, id: &str) -> super::desk::Answer {
    let params =
        format!("symbol=SOLUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=150&newClientOrderId={id}");
    signed(handle, "POST", "/api/v3/order", &params)
}

#[test]
fn an_unknown_outcome_hides_an_order_that_lives_or_one_that_never_was() {
    let handle = open();
    handle.fault(Fault::TimeoutExecuted(1));
    assert_eq!(buy(&handle, "lives").code(), -1007);
    assert_eq!(handle.snapshot().open_orders.len(), 1);
    handle.fault(Fault::TimeoutNotExecuted(1));
    assert_eq!(buy(&handle, "never").code(), -1007);
    assert_eq!(handle.snapshot().open_orders.len(), 1);
    assert_eq!(signed(&handle, "GET", "/api/v3/order", "symbol=SOLUSDT&origClientOrderId=never").code(), -2013);
    assert_eq!(buy(&handle, "fine").status, 200);
    let statuses: Vec<u16> = handle.received().iter().map(|received| received.status).collect();
    assert_eq!(statuses, [504, 504, 200]);
}

#[test]
fn an_unavailable_venue_does_nothing_and_says_503() {
    let handle = open();
    handle.fault(Fault::Unavailable(1));
    let refused = buy(&handle, "a");
    assert_eq!((refused.status, refused.body.starts_with("<html>")), (503, true));
    assert_eq!(handle.snapshot().open_orders.len(), 0);
    assert_eq!(get(&handle, "/api/v3/ping").status, 200, "public paths are not concerned");
}

#[test]
fn a_swallowed_answer_leaves_the_order_behind_and_the_connection_open() {
    let handle = open();
    handle.fault(Fault::SwallowAnswers(1));
    let mut ws = logged_on(&handle);
    let mut lost = limit("BUY", "150", "1", "GTC", "lost");
    lost["timestamp"] = json!(super::desk::now_ms());
    ws.say(&json!({"id": "lost", "method": "order.place", "params": lost}).to_string());
    let next = ws.hear_until(|frame| frame["id"] == "lost" || frame["event"]["e"] == "executionReport");
    assert_eq!(next["event"]["c"], "lost", "the event comes, the answer does not");
    assert_eq!(
        ws.ask_stamped("2", "openOrders.status", json!({"symbol": "SOLUSDT"}))["result"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(handle.received()[0].status, 0);
}

#[test]
fn events_come_after_the_answer_or_before_it_as_switched() {
    let handle = open();
    let mut ws = logged_on(&handle);
    for (first, id) in [(false, "after"), (true, "before")] {
        handle.fault(Fault::EventsFirst(first));
        let mut order = limit("BUY", "150", "1", "GTC", id);
        order["timestamp"] = json!(super::desk::now_ms());
        ws.say(&json!({"id": id, "method": "order.place", "params": order}).to_string());
        let is_mine = |frame: &Value| frame["id"] == id || frame["event"]["c"] == id;
        assert_eq!(ws.hear_until(is_mine).get("event").is_some(), first);
    }
}

#[test]
fn a_delayed_answer_lets_others_pass() {
    let handle = open();
    handle.fault(Fault::DelayAnswersMs(200));
    let query = stamped("symbol=SOLUSDT");
    let target = format!("/api/v3/openOrders?{query}&signature={}", hmac_hex(&query));
    let mut slow = Http::open(&handle);
    let sent_ms = super::desk::now_ms();
    slow.post("GET", &target, Some(DEMO_HMAC_KEY), "");
    assert_eq!(get(&handle, "/api/v3/ping").status, 200);
    assert_eq!(slow.answer().status, 200);
    assert!(super::desk::now_ms() - sent_ms >= 199);
}

#[test]
fn a_swallowed_diff_is_a_gap_in_the_ids() {
    let mut scenario = steered();
    scenario.market.taker_permille = 900;
    scenario.market.noise_ticks = 3;
    let handle = open_with(scenario);
    let mut ws = Ws::open(&handle, "/ws/solusdt@depth@100ms");
    let before = ws.hear().expect("a diff")["u"].as_u64();
    handle.fault(Fault::DropDepthDiffs(2));
    let mut last = before;
    let gap = loop {
        let diff = ws.hear().expect("a diff");
        if diff["U"].as_u64() != last.map(|id| id + 1) {
            break diff;
        }
        last = diff["u"].as_u64();
    };
    assert!(gap["U"].as_u64() > last.map(|id| id + 1));
}

#[test]
fn connections_are_cut_each_kind_by_itself() {
    let handle = open();
    let (mut streams, mut api, mut slots) =
        (Ws::open(&handle, "/ws"), logged_on(&handle), Ws::open(&handle, "/solana"));
    let all = |h: &Handle| {
        h.wait_for(PATIENCE, |now| (now.stream_clients, now.ws_api_clients, now.solana_clients) == (1, 1, 1)).1
    };
    assert!(all(&handle));
    handle.fault(Fault::DropStreams);
    assert!(streams.is_cut());
    handle.fault(Fault::DropSolana);
    assert!(slots.is_cut());
    assert_eq!(api.ask("1", "ping", json!({}))["status"], 200, "this one stays");
    handle.fault(Fault::DropWsApi);
    assert!(api.is_cut());
    let none = handle.wait_for(PATIENCE, |now| now.stream_clients + now.ws_api_clients + now.solana_clients == 0);
    assert!(none.1);
}

#[test]
fn a_shutdown_is_announced_in_each_shape_and_then_done() {
    let handle = open();
    let (mut raw, mut combined, mut api) =
        (Ws::open(&handle, "/ws"), Ws::open(&handle, "/stream"), Ws::open(&handle, "/ws-api/v3"));
    assert!(handle.wait_for(PATIENCE, |now| now.stream_clients == 2 && now.ws_api_clients == 1).1);
    handle.fault(Fault::ServerShutdown);
    assert_eq!(raw.hear().expect("a notice")["e"], "serverShutdown");
    let notice = combined.hear().expect("a notice");
    assert_eq!((&notice["stream"], &notice["data"]["e"]), (&json!("!serverShutdown"), &json!("serverShutdown")));
    assert_eq!(api.hear().expect("a notice")["event"]["e"], "serverShutdown");
    assert!(raw.is_cut() && combined.is_cut() && api.is_cut());
}

#[test]
fn a_cut_user_stream_says_so_and_tells_nothing_more() {
    let handle = open();
    let mut ws = logged_on(&handle);
    handle.fault(Fault::CutUserStream);
    ws.hear_until(|frame| frame["event"]["e"] == "eventStreamTerminated");
    let placed = ws.ask_stamped("1", "order.place", limit("BUY", "150", "1", "GTC", "silent"));
    assert_eq!(placed["status"], 200);
    assert_eq!(
        ws.ask("2", "userDataStream.subscribe", json!({}))["result"]["subscriptionId"],
        1,
        "and may be made again"
    );
    assert_eq!(handle.snapshot().user_subscriptions, 1);
}

#[test]
fn a_muted_stream_stays_silent_while_the_others_go_on() {
    let handle = open();
    handle.fault(Fault::MuteStream("solusdt@bookTicker".to_owned()));
    let mut ws = Ws::open(&handle, "/stream?streams=solusdt@bookTicker/solusdt@trade");
    handle.set_mid(sol_volume_bot::types::Price(15_900_000_000));
    assert_eq!(ws.hear().expect("a frame")["stream"], "solusdt@trade");
    handle.fault(Fault::UnmuteStream("solusdt@bookTicker".to_owned()));
    handle.set_mid(sol_volume_bot::types::Price(16_000_000_000));
    ws.hear_until(|frame| frame["stream"] == "solusdt@bookTicker");
}

#[test]
fn an_old_connection_is_cut_at_the_lifetime_that_was_set() {
    let handle = open();
    handle.fault(Fault::LifetimeMs(100));
    let mut ws = Ws::open(&handle, "/ws/solusdt@trade");
    assert!(ws.is_cut());
}

#[test]
fn a_refused_oco_a_halt_and_an_expired_stop_reach_the_client() {
    let handle = open();
    handle.deposit("SOL", 200_000_000);
    let mut ws = logged_on(&handle);
    let oco = json!({"symbol": "SOLUSDT", "side": "SELL", "quantity": "2", "listClientOrderId": "L",
        "aboveType": "LIMIT_MAKER", "abovePrice": "165", "belowType": "STOP_LOSS", "belowStopPrice": "155", "belowClientOrderId": "stop"});
    handle.fault(Fault::RefuseOco(1));
    let refused = ws.ask_stamped("1", "orderList.place.oco", oco.clone());
    assert_eq!(refused["error"]["msg"], "The relationship of the prices for the orders is not correct.");
    assert_eq!(ws.ask_stamped("2", "orderList.place.oco", oco)["status"], 200);
    handle.fault(Fault::ExpireStops);
    let expired = ws.hear_until(|frame| frame["event"]["c"] == "stop" && frame["event"]["X"] == "EXPIRED");
    assert_eq!(expired["event"]["eR"], "EXCHANGE_CANCELED");
    handle.fault(Fault::Halt);
    let halted = ws.ask_stamped("3", "order.place", limit("BUY", "150", "1", "GTC", "h"));
    assert_eq!(halted["error"]["msg"], "Market is closed.");
    assert_eq!(get(&handle, "/api/v3/exchangeInfo?symbol=SOLUSDT").json()["symbols"][0]["status"], "HALT");
    handle.fault(Fault::Trading);
    assert_eq!(ws.ask_stamped("4", "order.place", limit("BUY", "150", "1", "GTC", "t"))["status"], 200);
}

#[test]
fn a_half_open_connection_stays_open_and_dead() {
    let handle = open();
    let mut dead = Ws::open(&handle, "/ws-api/v3");
    assert!(handle.wait_for(PATIENCE, |now| now.ws_api_clients == 1).1);
    handle.fault(Fault::HalfOpen);
    let mut fresh = Ws::open(&handle, "/ws-api/v3");
    dead.say(r#"{"id":1,"method":"ping"}"#);
    assert_eq!(fresh.ask("2", "ping", json!({}))["status"], 200, "later connections live");
    assert_eq!(handle.snapshot().ws_api_clients, 2, "the dead one is still there");
    handle.fault(Fault::DropWsApi);
    assert_eq!(dead.hear(), None, "and it never answered");
}
