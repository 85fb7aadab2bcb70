//! Binance REST: shapes, signatures, limits.

use super::desk::{Http, ed25519_base64, get, hmac_hex, now_ms, open, signed, stamped};
use serde_json::Value;
use sol_volume_bot::sim::scenario::{DEMO_ED25519_KEY, DEMO_HMAC_KEY};

#[test]
fn public_paths_answer_in_the_venues_shapes() {
    let handle = open();
    let mut http = Http::open(&handle);
    let mut ask = |target: &str| {
        let answer = http.send("GET", target, None, "");
        assert_eq!(answer.status, 200, "{target}: {}", answer.body);
        answer.json()
    };
    assert_eq!(ask("/api/v3/ping"), serde_json::json!({}));
    assert!(ask("/api/v3/time")["serverTime"].as_i64().is_some_and(|ms| (ms - now_ms()).abs() < 5_000));
    let info = ask("/api/v3/exchangeInfo?symbol=SOLUSDT");
    let symbol = &info["symbols"][0];
    assert_eq!(
        (&symbol["symbol"], &symbol["status"], &symbol["ocoAllowed"]),
        (&"SOLUSDT".into(), &"TRADING".into(), &true.into())
    );
    let filter = |name: &str| {
        let filters = symbol["filters"].as_array().expect("filters");
        filters.iter().find(|filter| filter["filterType"] == name).expect(name).clone()
    };
    assert_eq!(filter("PRICE_FILTER")["tickSize"], "0.01000000");
    assert_eq!(filter("MAX_NUM_ALGO_ORDERS")["maxNumAlgoOrders"], 5);
    assert_eq!(
        ask("/api/v3/exchangeInfo?symbols=%5B%22SOLUSDT%22,%22BTCUSDT%22%5D")["symbols"].as_array().map(Vec::len),
        Some(2)
    );
    let depth = ask("/api/v3/depth?symbol=SOLUSDT&limit=5");
    assert_eq!((depth["bids"].as_array().map(Vec::len), depth["asks"].as_array().map(Vec::len)), (Some(5), Some(5)));
    let candles = ask("/api/v3/klines?symbol=SOLUSDT&interval=5m&limit=500");
    let candles = candles.as_array().expect("an array");
    assert_eq!((candles.len(), candles[0].as_array().map(Vec::len)), (500, Some(12)));
    let closes_follow = candles.windows(2).all(|pair| pair[1][0].as_i64() == pair[0][6].as_i64().map(|ms| ms + 1));
    assert!(closes_follow, "each candle opens where the one before closed");
    assert!(candles[499][6].as_i64().is_some_and(|close_ms| close_ms > now_ms()), "the last one is still open");
    assert_eq!(ask("/api/v3/ticker/bookTicker?symbol=SOLUSDT")["symbol"], "SOLUSDT");
    assert_eq!(ask("/api/v3/ticker/price").as_array().map(Vec::len), Some(2));
    assert_eq!(ask("/api/v3/avgPrice?symbol=SOLUSDT")["mins"], 5);
    assert!(ask("/api/v3/trades?symbol=SOLUSDT&limit=3").is_array());
}

#[test]
fn wrong_requests_get_the_venues_codes() {
    let handle = open();
    let code = |target: &str| get(&handle, target).code();
    assert_eq!(code("/api/v3/depth"), -1102);
    assert_eq!(code("/api/v3/depth?symbol=NOPE"), -1121);
    assert_eq!(code("/api/v3/klines?symbol=SOLUSDT&interval=7m"), -1120);
    assert_eq!(code("/api/v3/klines?symbol=SOLUSDT"), -1102);
    assert_eq!(get(&handle, "/api/v3/nowhere").status, 404);
    assert_eq!(get(&handle, "/nowhere").status, 404);
    let mut http = Http::open(&handle);
    assert_eq!(http.send("PUT", "/api/v3/ping", None, "").status, 405);
}

#[test]
fn a_signed_request_needs_a_known_key_a_good_signature_and_the_time() {
    let handle = open();
    let ask =
        |key: Option<&str>, query: &str| Http::open(&handle).send("GET", &format!("/api/v3/account?{query}"), key, "");
    let key = Some(DEMO_HMAC_KEY);
    let good = stamped("");
    let seal = |query: &str| format!("{query}&signature={}", hmac_hex(query));
    assert_eq!(ask(key, &seal(&good)).status, 200);
    assert_eq!(ask(None, &seal(&good)).code(), -2014);
    assert_eq!(ask(Some("nobody"), &seal(&good)).code(), -2015);
    assert_eq!(ask(key, &good).code(), -1102, "no signature");
    let forged = ask(key, &format!("{good}&omitZeroBalances=true&signature={}", hmac_hex(&good)));
    assert_eq!((forged.status, forged.code()), (400, -1022));
    let late = ask(key, &seal(&format!("recvWindow=1000&timestamp={}", now_ms() - 1_500)));
    assert!(late.code() == -1021 && late.body.contains("outside of the recvWindow"), "{}", late.body);
    let early = ask(key, &seal(&format!("timestamp={}", now_ms() + 3_000)));
    assert!(early.code() == -1021 && early.body.contains("1000ms ahead"), "{}", early.body);
    assert_eq!(ask(key, &seal("recvWindow=5000")).code(), -1102, "no timestamp");
    let ed25519 = ed25519_base64(&good).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    assert_eq!(ask(Some(DEMO_ED25519_KEY), &format!("{good}&signature={ed25519}")).status, 200);
    assert_eq!(ask(Some(DEMO_ED25519_KEY), &seal(&good)).code(), -1022, "the other key's signature");
}

#[test]
fn a_limit_order_is_placed_queried_and_cancelled_with_query_and_body_signed_together() {
    let handle = open();
    let query = "symbol=SOLUSDT&side=BUY&type=LIMIT&timeInForce=GTC";
    let body = stamped("quantity=1.5&price=160.00&newClientOrderId=r-1");
    let body = format!("{body}&signature={}", hmac_hex(&format!("{query}{body}")));
    let placed = Http::open(&handle).send("POST", &format!("/api/v3/order?{query}"), Some(DEMO_HMAC_KEY), &body);
    assert_eq!(placed.status, 200, "{}", placed.body);
    assert_eq!((placed.header("X-MBX-ORDER-COUNT-10S"), placed.json()["status"].as_str()), (Some("1"), Some("NEW")));
    assert_eq!(placed.json()["price"], "160.00000000", "decimals come back padded");
    assert_eq!(handle.snapshot().balance("USDT"), (976_000_000_000, 24_000_000_000), "240 USDT are locked");
    let status = signed(&handle, "GET", "/api/v3/order", "symbol=SOLUSDT&origClientOrderId=r-1").json();
    assert_eq!((status["status"].as_str(), status["origQty"].as_str()), (Some("NEW"), Some("1.50000000")));
    let open_orders = signed(&handle, "GET", "/api/v3/openOrders", "symbol=SOLUSDT").json();
    assert_eq!(open_orders.as_array().map(Vec::len), Some(1));
    let canceled =
        signed(&handle, "DELETE", "/api/v3/order", "symbol=SOLUSDT&origClientOrderId=r-1&newClientOrderId=c-1").json();
    assert_eq!(
        (canceled["origClientOrderId"].as_str(), canceled["clientOrderId"].as_str()),
        (Some("r-1"), Some("c-1"))
    );
    assert_eq!(signed(&handle, "DELETE", "/api/v3/order", "symbol=SOLUSDT&origClientOrderId=r-1").code(), -2011);
    assert_eq!(signed(&handle, "GET", "/api/v3/order", "symbol=SOLUSDT&origClientOrderId=never").code(), -2013);
    assert_eq!(handle.snapshot().balance("USDT"), (1_000_000_000_000, 0));
    assert_eq!(handle.conserved(), Ok(()));
    let methods: Vec<&str> = handle.received().iter().map(|received| received.method).collect();
    assert_eq!(methods, ["order.place", "order.cancel", "order.cancel"]);
}

#[test]
fn orders_that_break_a_rule_are_refused_with_its_code() {
    let handle = open();
    let refuse = |params: &str| {
        let answer = signed(&handle, "POST", "/api/v3/order", &format!("symbol=SOLUSDT&{params}"));
        (answer.code(), answer.json()["msg"].as_str().unwrap_or_default().to_owned())
    };
    let code = |params: &str| refuse(params).0;
    assert_eq!(code("side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=160.005"), -1013);
    assert_eq!(code("side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=160.000000001"), -1111, "before any filter");
    assert_eq!(code("side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.0001&price=160"), -1013);
    assert_eq!(code("side=BUY&type=LIMIT&timeInForce=GTC&quantity=1"), -1102);
    assert_eq!(code("side=UP&type=LIMIT&timeInForce=GTC&quantity=1&price=160"), -1117);
    assert_eq!(code("side=BUY&type=NEW&timeInForce=GTC&quantity=1&price=160"), -1116);
    assert_eq!(code("side=BUY&type=LIMIT&timeInForce=DAY&quantity=1&price=160"), -1115);
    assert_eq!(code("side=BUY&type=LIMIT&timeInForce=GTC&quantity=1e1&price=160"), -1100);
    assert_eq!(code("side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=170"), -2010, "no coins");
    let (take_code, text) = refuse("side=BUY&type=LIMIT_MAKER&quantity=1&price=170");
    assert_eq!((take_code, text.as_str()), (-2010, "Order would immediately match and take."));
    let tested = signed(&handle, "POST", "/api/v3/order/test", "symbol=SOLUSDT&side=BUY&type=MARKET&quantity=1");
    assert_eq!((tested.status, tested.body.as_str()), (200, "{}"));
    assert_eq!(handle.snapshot().open_orders.len() + handle.snapshot().trades.len(), 0);
}

#[test]
fn cancel_replace_tells_both_halves_when_one_fails() {
    let handle = open();
    signed(
        &handle,
        "POST",
        "/api/v3/order",
        "symbol=SOLUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=150&newClientOrderId=a",
    );
    let replace = |cancel: &str, price: &str| {
        let new = format!(
            "symbol=SOLUSDT&side=BUY&type=LIMIT_MAKER&quantity=1&price={price}&cancelReplaceMode=STOP_ON_FAILURE"
        );
        signed(&handle, "POST", "/api/v3/order/cancelReplace", &format!("{new}&cancelOrigClientOrderId={cancel}"))
    };
    let refused = replace("never", "151");
    assert_eq!((refused.status, refused.code()), (400, -2022));
    assert_eq!(refused.json()["data"]["newOrderResult"], "NOT_ATTEMPTED");
    let half = replace("a", "170");
    assert_eq!((half.status, half.code()), (409, -2021));
    assert_eq!(half.json()["data"]["cancelResult"], "SUCCESS");
    assert_eq!(half.json()["data"]["newOrderResponse"]["code"], -2010);
    assert_eq!(handle.snapshot().open_orders.len(), 0);
}

#[test]
fn request_weight_is_told_and_above_the_limit_refused_with_the_wait() {
    let handle = open();
    let mut http = Http::open(&handle);
    let mut last = None;
    // 6000 a minute at 250 a snapshot: 24 pass; a minute that turns meanwhile allows 24 more.
    for _ in 0..50 {
        let answer = http.send("GET", "/api/v3/depth?symbol=SOLUSDT&limit=5000", None, "");
        let used: u32 = answer.header("X-MBX-USED-WEIGHT-1M").and_then(|text| text.parse().ok()).expect("a weight");
        assert!(used >= 250);
        last = Some(answer);
        if last.as_ref().is_some_and(|answer| answer.status != 200) {
            break;
        }
    }
    let refused = last.expect("an answer");
    assert_eq!((refused.status, refused.code()), (429, -1003));
    assert!(
        refused
            .header("Retry-After")
            .and_then(|text| text.parse::<u32>().ok())
            .is_some_and(|wait| (1..=60).contains(&wait))
    );
}

#[test]
fn many_requests_in_one_burst_are_all_answered_in_order() {
    let handle = open();
    let mut http = Http::open(&handle);
    const BURST: usize = 4_000; // more than the server takes from one client in one turn
    for _ in 0..BURST {
        http.post("GET", "/api/v3/ping", None, "");
    }
    let answered = (0..BURST).filter(|_| http.answer().body == "{}").count();
    assert_eq!(answered, BURST);
}

#[test]
fn account_and_commission_show_what_the_scenario_gave() {
    let handle = open();
    let account = signed(&handle, "GET", "/api/v3/account", "omitZeroBalances=true").json();
    let expected: Value = serde_json::json!([{"asset": "USDT", "free": "10000.00000000", "locked": "0.00000000"}]);
    assert_eq!(account["balances"], expected);
    let commission = signed(&handle, "GET", "/api/v3/account/commission", "symbol=SOLUSDT").json();
    assert_eq!(commission["standardCommission"]["taker"], "0.00100000");
    assert_eq!(signed(&handle, "GET", "/api/v3/rateLimit/order", "").json()[0]["limit"], 50);
    assert_eq!(signed(&handle, "GET", "/api/v3/myTrades", "symbol=SOLUSDT").json(), serde_json::json!([]));
}
