//! The other venues of the port: Solana, DeFiLlama, pump.fun, CoinGecko, Telegram, Slack; and TLS.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use super::desk::{Http, PATIENCE, Ws, get, open, steered};
use serde_json::{Value, json};
use sol_volume_bot::sim::server::{Channel, Fault, FeedState, Handle, Server, ServerSettings};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::types::Notional;
use sol_volume_bot::types::event::SourceState;
use sol_volume_bot::venue::coingecko;

#[test]
fn slots_rise_by_one_and_json_rpc_knows_them() {
    let handle = open();
    let mut ws = Ws::open(&handle, "/solana");
    ws.say(r#"{"jsonrpc":"2.0","id":1,"method":"slotSubscribe"}"#);
    let subscription = ws.hear().expect("an answer")["result"].clone();
    let slot = |frame: Value| {
        assert_eq!((&frame["method"], &frame["params"]["subscription"]), (&json!("slotNotification"), &subscription));
        frame["params"]["result"]["slot"].as_u64().expect("a slot")
    };
    let slots: Vec<u64> = (0..4).map(|_| slot(ws.hear().expect("a slot"))).collect();
    assert!(slots.windows(2).all(|pair| pair[1] == pair[0] + 1), "{slots:?}");
    let mut http = Http::open(&handle);
    let body = r#"{"jsonrpc":"2.0","id":"x","method":"getSlot","params":[{"commitment":"processed"}]}"#;
    let answer = http.send("POST", "/solana", None, body).json();
    assert!(answer["id"] == "x" && answer["result"].as_u64().is_some_and(|now| now >= slots[3]), "{answer}");
    assert_eq!(http.send("POST", "/solana", None, r#"{"id":2,"method":"getHealth"}"#).json()["result"], "ok");
    ws.say(&json!({"jsonrpc": "2.0", "id": 3, "method": "slotUnsubscribe", "params": [subscription]}).to_string());
    assert_eq!(ws.hear_until(|frame| frame["id"] == 3)["result"], true);
}

#[test]
fn defillama_serves_whole_utc_days_and_every_state_it_can_be_in() {
    let handle = open();
    let target = "/llama/summary/dexs/pump.fun?excludeTotalDataChart=false&dataType=dailyVolume";
    let last =
        |body: &Value| body["totalDataChart"].as_array().and_then(|chart| chart.last().cloned()).unwrap_or(Value::Null);
    let today_s = Clock::start().now().day_start().0 / 1_000_000_000;
    let whole = get(&handle, target).json();
    assert_eq!(last(&whole), json!([today_s - 86_400, 58_400_000]));
    assert_eq!((&whole["total24h"], &whole["total48hto24h"]), (&json!(58_400_000), &json!(91_200_000)));
    handle.fault(Fault::Llama(FeedState::Stale));
    assert_eq!(last(&get(&handle, target).json()), json!([today_s - 2 * 86_400, 91_200_000]));
    handle.fault(Fault::Llama(FeedState::Filled));
    assert_eq!(last(&get(&handle, target).json()), json!([today_s - 86_400, 91_200_000]));
    handle.fault(Fault::Llama(FeedState::Zero));
    assert_eq!(last(&get(&handle, target).json()), json!([today_s - 86_400, 0]));
    handle.fault(Fault::Llama(FeedState::Null));
    assert_eq!(get(&handle, target).json()["total24h"], Value::Null);
    handle.fault(Fault::Llama(FeedState::Html));
    assert!(get(&handle, target).body.starts_with("<html>"));
    handle.fault(Fault::Llama(FeedState::TooMany));
    assert_eq!(get(&handle, target).header("Retry-After"), Some("1"));
    handle.fault(Fault::Llama(FeedState::Broken));
    assert_eq!(get(&handle, target).status, 500);
    handle.fault(Fault::Llama(FeedState::Ok));
    assert_eq!(get(&handle, "/llama/summary/dexs/unknown").status, 404);
    handle.set_llama("pump.fun", &[Notional(7_000_000_000), Notional(10_000_000_000)]);
    assert_eq!(get(&handle, target).json()["total24h"], 70);
    let overview = get(&handle, "/llama/overview/dexs/Solana?excludeTotalDataChart=true").json();
    let slugs: Vec<&str> =
        overview["protocols"].as_array().expect("protocols").iter().filter_map(|p| p["slug"].as_str()).collect();
    assert_eq!((slugs, &overview["totalDataChart"]), (vec!["pumpswap", "pump.fun"], &json!([])));
}

#[test]
fn pump_fun_tells_its_volume_under_both_names() {
    let handle = open();
    handle.set_pump(Notional(4_200_050_000_000));
    let body = get(&handle, "/pump/volume").json();
    assert_eq!((&body["volume24h"], &body["24h"]["volumeUSD"]), (&json!(42000.5), &json!(42000.5)));
    handle.fault(Fault::Pump(FeedState::Null));
    assert_eq!(get(&handle, "/pump").json()["volume24h"], Value::Null);
}

#[test]
fn coingecko_lists_its_categories_and_its_own_time_in_every_state() {
    let handle = open();
    let now = || Clock::start().now();
    let told = |handle: &Handle| {
        let mut reader = coingecko::Reader::new(coingecko::CATEGORY);
        let body = get(handle, "/coingecko/coins/categories?order=market_cap_desc").body;
        let read = reader.on_body(body.as_bytes(), now());
        (read.ok(), reader.sample(now()).state)
    };
    handle.set_gecko(Notional(4_200_050_000_000));
    let volume = Some(Notional(4_200_050_000_000));
    assert_eq!(told(&handle), (volume, SourceState::Missing), "no reading of a day ago yet");
    for (state, expected) in [
        (FeedState::Stale, (volume, SourceState::Stale)),
        (FeedState::Contradicting, (None, SourceState::Suspect)),
        (FeedState::Zero, (None, SourceState::Missing)),
        (FeedState::Null, (None, SourceState::Missing)),
        (FeedState::Html, (None, SourceState::Down)),
    ] {
        handle.fault(Fault::Gecko(state));
        assert_eq!(told(&handle), expected, "{state:?}");
    }
    assert_eq!(get(&handle, "/coingecko/coins/list").status, 200, "an HTML page, whatever is asked");
    handle.fault(Fault::Gecko(FeedState::Ok));
    assert_eq!(get(&handle, "/coingecko/coins/list").status, 404);
}

#[test]
fn alert_channels_remember_what_they_were_sent_and_refuse_on_command() {
    let handle = open();
    let mut http = Http::open(&handle);
    let sent = http.send("POST", "/telegram/bot12:tok/sendMessage", None, r#"{"chat_id":1,"text":"ENTER"}"#);
    assert_eq!((sent.status, &sent.json()["ok"]), (200, &json!(true)));
    handle.fault(Fault::Telegram(429));
    assert_eq!(http.send("POST", "/telegram/bot12:tok/sendMessage", None, "{}").json()["parameters"]["retry_after"], 1);
    assert_eq!(http.send("POST", "/slack/services/T/B/x", None, r#"{"text":"STOP"}"#).body, "ok");
    assert_eq!(http.send("POST", "/slack/services/T/B/x", None, "not json").body, "invalid_payload");
    handle.fault(Fault::Slack(404));
    assert_eq!(http.send("POST", "/slack/services/T/B/x", None, "{}").body, "no_service");
    let alerts = handle.alerts();
    assert_eq!(alerts.len(), 5);
    assert_eq!((alerts[0].channel, alerts[0].status, alerts[1].status), (Channel::Telegram, 200, 429));
    assert!(alerts[0].body.contains("ENTER") && alerts[2].body.contains("STOP"));
}

#[test]
fn an_occupied_port_is_named_in_the_error() {
    let handle = open();
    let settings = ServerSettings { listen: handle.addr(), scenario: steered(), tls: None, clock: Clock::start() };
    let error = Server::start(settings).err().expect("the port is taken").to_string();
    assert!(error.contains(&handle.addr().to_string()), "{error}");
}

#[test]
fn the_same_doors_open_over_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default(); // another test may have done it
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).expect("a key");
    let server =
        rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![signed.cert.der().clone()], key);
    let tls = Some(Arc::new(server.expect("a server configuration")));
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = ServerSettings { listen, scenario: steered(), tls, clock: Clock::start() };
    let handle = Server::start(settings).expect("a free port");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(signed.cert.der().clone()).expect("a root");
    let client = Arc::new(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth());
    let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
    let socket = TcpStream::connect(handle.addr()).expect("the server listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout is accepted");
    let session = rustls::ClientConnection::new(client, name).expect("a session");
    let stream = rustls::StreamOwned::new(session, socket);
    let (mut ws, _) = tungstenite::client("ws://localhost/ws-api/v3", stream).expect("an upgrade inside TLS");
    ws.send(tungstenite::Message::text(r#"{"id":1,"method":"depth","params":{"symbol":"SOLUSDT","limit":"5000"}}"#))
        .expect("sent");
    let answer = ws.read().expect("an answer").into_text().expect("text");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!((&answer["id"], &answer["status"]), (&json!(1), &json!(200)));
    assert!(handle.ws_url("/ws").starts_with("wss://"));
}
