//! The hands of the tests: a raw HTTP client, a WebSocket client, signatures.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{hmac, signature};
use serde_json::{Value, json};
use sol_volume_bot::sim::scenario::{DEMO_ED25519_KEY, DEMO_ED25519_PEM, DEMO_HMAC_KEY, DEMO_HMAC_SECRET, Scenario};
use sol_volume_bot::sim::server::{Handle, Server, ServerSettings};
use sol_volume_bot::sys::clock::Clock;
use tungstenite::{Message, WebSocket};

/// Longest wait for anything; a test that needs it has failed.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The scenario of the steered tests.
pub fn steered() -> Scenario {
    Scenario::parse("steered", include_str!("../../config/scenarios/steered.toml")).expect("a good scenario")
}

/// A server of the steered scenario.
pub fn open() -> Handle {
    open_with(steered())
}
/// A server of any scenario.
pub fn open_with(scenario: Scenario) -> Handle {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start(ServerSettings { listen, scenario, tls: None, clock: Clock::start() }).expect("a free port")
}

/// Our clock as the venue sees it.
pub fn now_ms() -> i64 {
    Clock::start().now().millis().0
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
    pub fn code(&self) -> i64 {
        self.json()["code"].as_i64().unwrap_or(0)
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)))
            .map(|(_, value)| value)
    }
}

/// A kept HTTP connection.
pub struct Http(TcpStream);

impl Http {
    pub fn open(handle: &Handle) -> Http {
        let socket = TcpStream::connect(handle.addr()).expect("the server listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout is accepted");
        Http(socket)
    }
    pub fn send(&mut self, verb: &str, target: &str, key: Option<&str>, body: &str) -> Answer {
        self.post(verb, target, key, body);
        self.answer()
    }
    pub fn post(&mut self, verb: &str, target: &str, key: Option<&str>, body: &str) {
        let key = key.map_or(String::new(), |key| format!("X-MBX-APIKEY: {key}\r\n"));
        let head =
            format!("{verb} {target} HTTP/1.1\r\nHost: sim\r\n{key}Content-Length: {}\r\n\r\n{body}", body.len());
        self.0.write_all(head.as_bytes()).expect("the server reads");
    }
    pub fn answer(&mut self) -> Answer {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(b"\r\n\r\n") {
            assert_eq!(self.0.read(&mut byte).expect("an answer in time"), 1, "connection closed inside a head");
            bytes.push(byte[0]);
        }
        let head = String::from_utf8(bytes).expect("an ASCII head");
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status line");
        let mut answer = Answer { status, head, body: String::new() };
        let length: usize = answer.header("content-length").and_then(|text| text.parse().ok()).expect("a length");
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("the whole body");
        answer.body = String::from_utf8(body).expect("a UTF-8 body");
        answer
    }
}

/// One request on a connection of its own.
pub fn get(handle: &Handle, target: &str) -> Answer {
    Http::open(handle).send("GET", target, None, "")
}

/// A signed REST request with the HMAC key, its parameters in the query.
pub fn signed(handle: &Handle, verb: &str, path: &str, params: &str) -> Answer {
    let query = stamped(params);
    let target = format!("{path}?{query}&signature={}", hmac_hex(&query));
    Http::open(handle).send(verb, &target, Some(DEMO_HMAC_KEY), "")
}

pub fn stamped(params: &str) -> String {
    let joint = if params.is_empty() { "" } else { "&" };
    format!("{params}{joint}recvWindow=5000&timestamp={}", now_ms())
}

pub fn hmac_hex(payload: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, DEMO_HMAC_SECRET.as_bytes());
    hmac::sign(&key, payload.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn ed25519_base64(payload: &str) -> String {
    let body: String = DEMO_ED25519_PEM.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(body.trim()).expect("base64");
    let key = signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).expect("a PKCS#8 key");
    STANDARD.encode(key.sign(payload.as_bytes()))
}

/// A WebSocket client that is not ours.
pub struct Ws(WebSocket<TcpStream>);

impl Ws {
    pub fn open(handle: &Handle, path: &str) -> Ws {
        let socket = TcpStream::connect(handle.addr()).expect("the server listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout is accepted");
        let (ws, _) = tungstenite::client(handle.ws_url(path), socket).expect("an upgrade");
        Ws(ws)
    }
    pub fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).expect("the server reads");
    }
    /// The next text frame; `None` once the server has closed.
    pub fn hear(&mut self) -> Option<Value> {
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).expect("frames are JSON")),
                Ok(Message::Close(_)) | Err(tungstenite::Error::ConnectionClosed) => return None,
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("nothing heard in {PATIENCE:?}")
                }
                Err(_) => return None,
            }
        }
    }
    /// The next frame for which `wanted` holds; others are passed over.
    pub fn hear_until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.hear().expect("the connection stays open");
            if wanted(&frame) {
                return frame;
            }
        }
    }
    /// Whether the server ends the connection; passes frames over.
    pub fn is_cut(&mut self) -> bool {
        while self.hear().is_some() {}
        true
    }
    /// A request of the WebSocket API and its answer; events are passed over.
    pub fn ask(&mut self, id: &str, method: &str, params: Value) -> Value {
        self.say(&json!({"id": id, "method": method, "params": params}).to_string());
        self.hear_until(|frame| frame["id"] == id)
    }
    /// A request that a logged-on session needs no signature for.
    pub fn ask_stamped(&mut self, id: &str, method: &str, mut params: Value) -> Value {
        params["timestamp"] = json!(now_ms());
        self.ask(id, method, params)
    }
}

/// The parameters with key, time and HMAC signature, as the WebSocket API wants them.
pub fn sealed(mut params: Value, key: &str, sign: impl Fn(&str) -> String) -> Value {
    params["apiKey"] = json!(key);
    params["timestamp"] = json!(now_ms());
    let object = params.as_object().expect("parameters are an object").clone();
    let mut pairs: Vec<(String, String)> = object
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().map_or(value.to_string(), str::to_owned)))
        .collect();
    pairs.sort();
    let payload = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    params["signature"] = json!(sign(&payload));
    params
}

/// A WebSocket API connection, logged on and subscribed to its user events.
pub fn logged_on(handle: &Handle) -> Ws {
    let mut ws = Ws::open(handle, "/ws-api/v3?returnRateLimits=false");
    let answer = ws.ask("logon", "session.logon", sealed(json!({}), DEMO_ED25519_KEY, ed25519_base64));
    assert_eq!(answer["status"], 200, "{answer}");
    let answer = ws.ask("sub", "userDataStream.subscribe", json!({}));
    assert_eq!(answer["result"]["subscriptionId"], 0, "{answer}");
    ws
}

/// A LIMIT order as the WebSocket API wants it.
pub fn limit(side: &str, price: &str, quantity: &str, tif: &str, id: &str) -> Value {
    json!({"symbol": "SOLUSDT", "side": side, "type": "LIMIT", "timeInForce": tif, "price": price,
        "quantity": quantity, "newClientOrderId": id})
}
