//! Market streams: control frames, payloads, the book they describe.

use std::collections::BTreeMap;

use super::desk::{Ws, get, open, open_with, steered};
use serde_json::{Value, json};
use sol_volume_bot::types::Price;

fn lively() -> sol_volume_bot::sim::scenario::Scenario {
    let mut scenario = steered();
    scenario.market.taker_permille = 900;
    scenario.market.noise_ticks = 3;
    scenario
}

#[test]
fn control_frames_take_string_number_and_null_ids_on_every_path_that_clients_use() {
    let handle = open();
    for path in ["/ws", "/ws/anything", "/ws/0", "/stream", "/stream?streams=solusdt@trade"] {
        let mut ws = Ws::open(&handle, path);
        for id in [json!("a-1"), json!(7), json!(null)] {
            ws.say(&json!({"method": "SUBSCRIBE", "params": ["btcusdt@avgPrice"], "id": id}).to_string());
            let answer = ws.hear_until(|frame| frame.get("result").is_some());
            assert_eq!(answer, json!({"result": null, "id": id}), "{path}");
        }
        ws.say(r#"{"method":"LIST_SUBSCRIPTIONS","id":8}"#);
        let list = ws.hear_until(|frame| frame["id"] == 8);
        assert!(list["result"].as_array().is_some_and(|names| names.contains(&json!("btcusdt@avgPrice"))));
    }
}

#[test]
fn bad_control_frames_get_the_stream_errors() {
    let handle = open();
    let mut ws = Ws::open(&handle, "/ws");
    for (frame, code) in
        [("{", 3), (r#"{"method":"DANCE","id":1}"#, 2), (r#"{"method":"GET_PROPERTY","params":["x"],"id":2}"#, 0)]
    {
        ws.say(frame);
        assert_eq!(ws.hear_until(|answer| answer.get("code").is_some())["code"], code, "{frame}");
    }
}

#[test]
fn a_client_that_talks_too_much_is_cut() {
    let handle = open();
    let mut ws = Ws::open(&handle, "/ws");
    for id in 0..6 {
        ws.say(&json!({"method": "LIST_SUBSCRIPTIONS", "id": id}).to_string());
    }
    assert!(ws.is_cut());
}

#[test]
fn raw_and_combined_payloads_have_the_venues_keys() {
    let handle = open_with(lively());
    let streams = "solusdt@bookTicker/solusdt@trade/solusdt@aggTrade/solusdt@depth5@100ms/solusdt@kline_1s/solusdt@miniTicker/solusdt@depth";
    let mut ws = Ws::open(&handle, &format!("/stream?streams={streams}"));
    let mut seen: BTreeMap<String, Value> = BTreeMap::new();
    while seen.len() < 7 {
        let frame = ws.hear().expect("frames go on");
        seen.insert(frame["stream"].as_str().expect("wrapped").to_owned(), frame["data"].clone());
    }
    let keys = |name: &str| seen[name].as_object().expect("an object").keys().cloned().collect::<Vec<_>>().join("");
    assert_eq!(keys("solusdt@bookTicker"), "ABabsu", "no event type, no time");
    assert_eq!(keys("solusdt@trade"), "EMTempqst");
    assert_eq!(keys("solusdt@depth5@100ms"), "asksbidslastUpdateId");
    assert_eq!(keys("solusdt@depth"), "EUabesu");
    assert_eq!(seen["solusdt@kline_1s"]["k"]["i"], "1s");
    let mut raw = Ws::open(&handle, "/ws/solusdt@bookTicker");
    assert_eq!(raw.hear().expect("a frame")["s"], "SOLUSDT");
}

/// One side's levels, price text to size text.
type Levels = BTreeMap<Price, String>;

fn apply(side: &mut Levels, levels: &Value) {
    for level in levels.as_array().expect("levels") {
        let price = Price::parse(level[0].as_str().expect("text").as_bytes()).expect("a decimal");
        match level[1].as_str().expect("text") {
            "0.00000000" => side.remove(&price),
            qty => side.insert(price, qty.to_owned()),
        };
    }
}

#[test]
fn depth_diffs_chain_and_lead_from_one_snapshot_to_every_later_one() {
    let handle = open_with(lively());
    let mut ws = Ws::open(&handle, "/ws/solusdt@depth@100ms");
    let first = ws.hear().expect("a diff");
    let snapshot = get(&handle, "/api/v3/depth?symbol=SOLUSDT&limit=5000").json();
    let (mut bids, mut asks) = (Levels::new(), Levels::new());
    apply(&mut bids, &snapshot["bids"]);
    apply(&mut asks, &snapshot["asks"]);
    let mut id = snapshot["lastUpdateId"].as_u64().expect("an id");
    let mut chained = first["u"].as_u64().expect("an id");
    let mut compared = 0;
    while compared < 5 {
        let later = get(&handle, "/api/v3/depth?symbol=SOLUSDT&limit=5000").json();
        let goal = later["lastUpdateId"].as_u64().expect("an id");
        while id < goal {
            let diff = ws.hear().expect("a diff");
            let (from, to) = (diff["U"].as_u64().expect("U"), diff["u"].as_u64().expect("u"));
            assert_eq!(from, chained + 1, "no hole between diffs");
            chained = to;
            if to > id {
                apply(&mut bids, &diff["b"]);
                apply(&mut asks, &diff["a"]);
                id = to;
            }
        }
        if id == goal {
            let (mut bids_then, mut asks_then) = (Levels::new(), Levels::new());
            apply(&mut bids_then, &later["bids"]);
            apply(&mut asks_then, &later["asks"]);
            assert_eq!((&bids, &asks), (&bids_then, &asks_then), "book at {id}");
            compared += 1;
        }
        assert!(bids.keys().next_back() < asks.keys().next(), "never crossed");
    }
}

#[test]
fn a_long_candle_is_told_again_and_again_while_it_is_open() {
    let handle = open_with(lively());
    let mut ws = Ws::open(&handle, "/ws/solusdt@kline_5m");
    let is_open = |frame: &Value| frame["k"]["x"] == false; // an end comes when it comes
    let told: Vec<i64> = (0..4).map(|_| ws.hear_until(is_open)["E"].as_i64().expect("a time")).collect();
    let mut apart: Vec<i64> = told.windows(2).map(|pair| pair[1] - pair[0]).collect();
    apart.sort_unstable();
    assert!((1_500..3_500).contains(&apart[1]), "every two seconds, mostly: {told:?}");
}

#[test]
fn a_move_by_hand_is_told_at_once() {
    let handle = open();
    let mut ws = Ws::open(&handle, "/ws/solusdt@bookTicker");
    handle.set_mid(Price(15_500_000_000));
    let top = ws.hear_until(|frame| frame["a"].as_str().is_some_and(|ask| ask.starts_with("155.")));
    assert_eq!(top["s"], "SOLUSDT");
    assert!(handle.snapshot().mid() <= Price(15_501_000_000));
}
