//! Over loopback: the built-in venues' account and quotes, through sockets that are not ours, into our sessions.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use sol_volume_bot::cli::decode::{VenueName, decode_lines};
use sol_volume_bot::engine::venues::Venues;
use sol_volume_bot::sim::scenario::Scenario;
use sol_volume_bot::sim::server::{DexState, Fault, Handle, JupiterState, Server, ServerSettings};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::types::event::{Bbo, DexBook, StreamState};
use sol_volume_bot::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use sol_volume_bot::types::{Event, EventKind, Price, Qty, StreamId};
use sol_volume_bot::venue::jupiter::{LadderSession, LadderSettings, QuoteError};
use sol_volume_bot::venue::manifest::key;
use sol_volume_bot::venue::manifest::{AccountError, DexSession, DexSettings};
use tungstenite::{Message, WebSocket};

/// Longest wait for anything; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(10);
const UP: EventKind = EventKind::Stream(StreamState::Up);

fn open() -> Handle {
    let scenario = include_str!("../../config/scenarios/steered.toml");
    let scenario = Scenario::parse("steered", scenario).expect("a good scenario");
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start(ServerSettings { listen, scenario, tls: None, clock: Clock::start() }).expect("a free port")
}

/// One request on a connection of its own: status and body.
fn ask(handle: &Handle, verb: &str, target: &str, body: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(handle.addr()).expect("the server listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout is accepted");
    let length = body.len();
    let head =
        format!("{verb} {target} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    socket.write_all((head + body).as_bytes()).expect("the server reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer in time");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    (status, body.to_owned())
}

/// A session on a real WebSocket that also tells slots, fetching over HTTP when it wants to.
struct Rig<'a> {
    handle: &'a Handle,
    socket: WebSocket<TcpStream>,
    session: DexSession,
    clock: Clock,
    conn: u32,
    events: Vec<Event>,
    errors: Vec<AccountError>,
    pushes: usize,
}

impl<'a> Rig<'a> {
    fn open(handle: &'a Handle) -> Rig<'a> {
        let settings = DexSettings {
            refresh_ns: 200 * NANOS_PER_MILLI,
            retry_ns: 50 * NANOS_PER_MILLI,
            lag_slots_max: 10,
            ..DexSettings::default()
        };
        let (session, clock) = (DexSession::new(settings), Clock::start());
        let (events, errors) = (Vec::new(), Vec::new());
        let mut rig = Rig { handle, socket: socket(handle), session, clock, conn: 0, events, errors, pushes: 0 };
        rig.connect();
        rig
    }

    fn connect(&mut self) {
        self.socket = socket(self.handle);
        self.conn += 1;
        let slots = r#"{"jsonrpc":"2.0","id":1,"method":"slotSubscribe"}"#;
        self.socket.send(Message::text(slots)).expect("the server reads");
        let socket = &mut self.socket;
        let mut send = |text: &[u8]| {
            socket.send(Message::text(String::from_utf8_lossy(text).into_owned())).expect("the server reads");
        };
        self.session.on_open(self.conn, self.clock.now(), &mut send);
    }

    /// One frame, a slot each 100 ms at the latest; and what is due besides.
    fn turn(&mut self) {
        let now = self.clock.now();
        let (events, errors) = (&mut self.events, &mut self.errors);
        let mut emit = |event: Event| events.push(event);
        if let Some(body) = self.session.snapshot_wanted(now).map(str::to_owned) {
            let (status, answer) = ask(self.handle, "POST", "/solana", &body);
            assert_eq!(status, 200, "{answer}");
            errors.extend(self.session.on_snapshot(answer.as_bytes(), now, &mut emit).err());
        }
        self.session.on_timer(now, &mut emit);
        let Ok(message) = self.socket.read() else {
            self.session.on_down(self.conn, now, &mut emit);
            return self.connect();
        };
        let Ok(text) = message.to_text() else { return };
        let now = self.clock.now();
        let frame: Value = serde_json::from_str(text).expect("frames are JSON");
        match frame["method"].as_str() {
            Some("slotNotification") => {
                let slot = frame["params"]["result"]["slot"].as_u64().expect("a slot");
                self.session.on_slot(slot, now, &mut emit);
            }
            other => {
                self.pushes += usize::from(other == Some("accountNotification"));
                errors.extend(self.session.on_frame(self.conn, text.as_bytes(), now, &mut emit).err());
            }
        }
    }

    /// Turns until an event for which `wanted` holds; what came before is forgotten.
    fn until(&mut self, what: &str, wanted: impl Fn(&EventKind) -> bool) -> EventKind {
        let deadline = self.clock.now().plus(10 * NANOS_PER_SEC);
        self.events.clear();
        loop {
            if let Some(found) = self.events.iter().find(|event| wanted(&event.kind)) {
                return found.kind;
            }
            assert!(self.clock.now() < deadline, "waited for {what}: {:?} {:?}", self.events, self.errors);
            self.turn();
        }
    }
    fn until_state(&mut self, state: StreamState) {
        self.until(state.name(), |kind| *kind == EventKind::Stream(state));
    }
    /// Turns until a book for which `wanted` holds.
    fn until_book(&mut self, what: &str, wanted: impl Fn(&DexBook) -> bool) -> DexBook {
        match self.until(what, |kind| matches!(kind, EventKind::Dex(book) if wanted(book))) {
            EventKind::Dex(book) => book,
            other => panic!("a book was wanted: {other:?}"),
        }
    }
}

fn socket(handle: &Handle) -> WebSocket<TcpStream> {
    let socket = TcpStream::connect(handle.addr()).expect("the server listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout is accepted");
    tungstenite::client(handle.ws_url("/solana"), socket).expect("an upgrade").0
}

fn near(price: Price, wanted: i64, within_bps: i64) -> bool {
    (price.0 - wanted).abs() * 10_000 <= wanted * within_bps
}

const SOL_161: i64 = 16_100_000_000;

#[test]
fn the_book_follows_the_market_by_pushes_and_stays_up_without_any() {
    let handle = open();
    let mut rig = Rig::open(&handle);
    let book = rig.until_book("the first book", |_| true);
    assert!(near(book.bid, SOL_161 - SOL_161 / 10_000, 1) && near(book.ask, SOL_161 + SOL_161 / 10_000, 1), "{book:?}");
    assert!(rig.events.first().is_some_and(|event| event.kind == UP && event.stream == StreamId::DexBook));
    assert_eq!((book.bid_qty, book.ask_qty), (Qty(3_000_000_000), Qty(3_000_000_000)), "neither expired nor unfunded");
    assert_eq!(book.bid_depth, Qty(80_000_000_000), "3 + 5 + … + 17");
    handle.set_mid(Price(17_000_000_000));
    let moved = rig.until_book("the move", |book| near(book.bid, 17_000_000_000, 3));
    assert!(moved.slot >= book.slot && rig.pushes > 0);
    let pushes = rig.pushes;
    let told: Vec<u64> = (0..3).map(|_| rig.until_book("a refresh", |_| true).slot).collect();
    assert!(told.windows(2).all(|pair| pair[0] < pair[1]), "{told:?}");
    assert!(rig.pushes <= pushes + 1, "an account that does not change is not told");
    assert_eq!((rig.session.state(), &rig.errors), (Some(StreamState::Up), &vec![]));
}

#[test]
fn a_frozen_account_stays_up_and_a_node_that_lags_is_stale() {
    let handle = open();
    let mut rig = Rig::open(&handle);
    rig.until_book("the first book", |_| true);
    handle.fault(Fault::Dex(DexState::Frozen));
    handle.set_mid(Price(17_000_000_000));
    rig.until_book("a refresh", |_| true);
    let frozen = rig.until_book("another", |_| true);
    assert!(near(frozen.bid, SOL_161, 3), "{frozen:?}");
    handle.fault(Fault::DexLagSlots(20));
    rig.until_state(StreamState::Stale);
    handle.fault(Fault::DexLagSlots(0));
    handle.fault(Fault::Dex(DexState::Ok));
    rig.until_state(StreamState::Up);
    rig.until_book("the market's move", |book| near(book.bid, 17_000_000_000, 3));
}

#[test]
fn hostile_foreign_absent_and_crossed_accounts_are_gaps_with_a_reason() {
    let handle = open();
    let mut rig = Rig::open(&handle);
    rig.until_state(StreamState::Up);
    let cases = [
        (DexState::Hostile, "the account is no Manifest market"),
        (DexState::WrongMint, "the market's quote mint is not the configured one, byte 48"),
        (DexState::WrongOwner, "the account is not owned by the Manifest program"),
        (DexState::Absent, "the market account does not exist"),
        (DexState::Crossed, "the book is crossed or locked"),
    ];
    for (state, text) in cases {
        rig.errors.clear();
        handle.fault(Fault::Dex(state));
        rig.until_state(StreamState::Gap);
        assert!(rig.session.levels().is_none());
        let last = rig.errors.last().expect("a reason").to_string();
        assert!(last.starts_with(text), "{state:?}: {last}");
        handle.fault(Fault::Dex(DexState::Ok));
        rig.until_state(StreamState::Up);
    }
}

#[test]
fn a_cut_connection_is_down_and_the_next_one_fetches_anew() {
    let handle = open();
    let mut rig = Rig::open(&handle);
    rig.until_state(StreamState::Up);
    handle.fault(Fault::DropSolana);
    rig.until_state(StreamState::Down);
    rig.until_state(StreamState::Up);
    assert!(rig.session.levels().is_some() && rig.conn == 2);
}

/// Drives the ladder over HTTP until a round is whole or something is wrong.
fn climb(handle: &Handle, ladder: &mut LadderSession, at_s: i64) -> (Result<(), QuoteError>, Vec<Event>) {
    let mut events = Vec::new();
    let now = super::desk::s(at_s);
    while let Some(path) = ladder.next_request(now) {
        let (status, body) = ask(handle, "GET", &format!("/jupiter{path}"), "");
        let taken = ladder.on_answer(status, body.as_bytes(), now, &mut |event| events.push(event));
        if taken.is_err() {
            return (taken, events);
        }
    }
    (Ok(()), events)
}

#[test]
fn the_ladder_stands_around_the_mid_and_every_way_to_refuse_is_told_apart() {
    let handle = open();
    let mut ladder = LadderSession::new(LadderSettings::default()).expect("settings");
    let (result, events) = climb(&handle, &mut ladder, 0);
    let Some(EventKind::Dex(book)) = events.last().map(|event| event.kind) else { panic!("{result:?} {events:?}") };
    assert_eq!((events[0].kind, events[0].stream), (UP, StreamId::Jupiter));
    assert!(near(book.bid, SOL_161, 4) && near(book.ask, SOL_161, 4) && book.bid < book.ask, "{book:?}");
    assert_eq!(ladder.levels().map(|levels| levels.asks.levels().len()), Some(3));
    let mut refusal = |state: JupiterState, at_s: i64| {
        handle.fault(Fault::Jupiter(state));
        climb(&handle, &mut ladder, at_s).0.expect_err("no ladder").to_string()
    };
    let cases = [
        (JupiterState::TooMany, "Jupiter: too many requests (limit of the plan)"),
        (JupiterState::Firewall, "Jupiter: too many requests (firewall)"),
        (JupiterState::BadKey, "Jupiter does not accept the API key (HTTP status 401)"),
        (JupiterState::Broken, "Jupiter: HTTP status 500"),
        (JupiterState::Html, "unexpected byte at 0"),
        (JupiterState::Garbage, "frame ends at byte "),
        (JupiterState::NoRoute, "Jupiter refused the quote: no route found"),
        (JupiterState::NoGas, "Jupiter refused the quote: error 2: not enough SOL for fees"),
        (JupiterState::Erratic, "Jupiter's quotes contradict each other"),
    ];
    for (at, (state, text)) in (1..).zip(cases) {
        let told = refusal(state, 100 * at);
        assert!(told.starts_with(text), "{state:?}: {told}");
    }
    assert_eq!(ladder.state(), Some(StreamState::Gap));
    handle.fault(Fault::Jupiter(JupiterState::Ok));
    assert_eq!(climb(&handle, &mut ladder, 2_000).0, Ok(()));
    assert_eq!(ladder.state(), Some(StreamState::Up));
}

#[test]
fn without_a_key_thirty_quotes_a_minute_are_free_and_the_default_stays_below() {
    let handle = open();
    handle.fault(Fault::JupiterKeyless(true));
    let target = "/jupiter/swap/v2/order?inputMint=So11111111111111111111111111111111111111112&outputMint=EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v&amount=1000000000";
    let statuses: Vec<u16> = (0..32).map(|_| ask(&handle, "GET", target, "").0).collect();
    assert_eq!(statuses.iter().position(|status| *status == 429), Some(30), "{statuses:?}");
    assert!(LadderSettings::default().quotes_per_minute <= 30);
    let (status, body) = ask(&handle, "GET", "/jupiter/swap/v2/order?inputMint=x&outputMint=y&amount=1", "");
    assert_eq!((status, body.contains("Too many requests")), (429, true));
}

#[test]
fn a_price_that_strays_shows_as_divergence_of_both_books() {
    let handle = open();
    let mut rig = Rig::open(&handle);
    let mut ladder = LadderSession::new(LadderSettings::default()).expect("settings");
    let mut venues = Venues::new();
    let now = super::desk::s(1);
    venues.on_stream(StreamId::BinanceBbo, StreamState::Up);
    let (bid_qty, ask_qty) = (Qty(1), Qty(1));
    let bbo = Bbo { bid: Price(16_099_000_000), bid_qty, ask: Price(16_101_000_000), ask_qty, update_id: 1 };
    venues.on_bbo(StreamId::BinanceBbo, &bbo, now);
    for (bps, at_s) in [(0, 0), (300, 100), (-300, 200)] {
        handle.fault(Fault::DexDivergeBps(bps));
        let mid = SOL_161 + SOL_161 / 10_000 * i64::from(bps);
        let book = rig.until_book("the strayed book", |book| near(book.bid, mid, 3));
        let quoted = climb(&handle, &mut ladder, at_s).1.into_iter().rev().find_map(|event| match event.kind {
            EventKind::Dex(book) => Some(book),
            _ => None,
        });
        for (stream, book) in [(StreamId::DexBook, Some(book)), (StreamId::Jupiter, quoted)] {
            let mut alone = venues;
            alone.on_stream(stream, StreamState::Up);
            alone.on_dex(stream, &book.expect("a book"), now);
            let found = alone.dex_divergence(now, NANOS_PER_SEC).expect("both are known");
            let (low, high) = (i64::from(bps.abs()) * 10_000 - 50_000, i64::from(bps.abs()) * 10_000 + 150_000);
            assert!((low..=high).contains(&found.ratio.0) && found.dex == stream, "{bps} bps: {found:?}");
        }
    }
}

#[test]
fn accounts_are_asked_for_one_by_one_or_together_and_unsubscribed() {
    let handle = open();
    let post = |method: &str, params: Value| -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 5, "method": method, "params": params}).to_string();
        serde_json::from_str(&ask(&handle, "POST", "/solana", &body).1).expect("JSON")
    };
    let market = "ENhU8LsaR7vDD2G1CsWcsuSGNrih9Cv5WZEk7q9kPapQ";
    let one = post("getAccountInfo", json!([market, {"encoding": "base64"}]));
    assert_eq!(one["result"]["value"]["owner"], "MNFSTqtC93rEfYHB6hF82sKdZpUDFWkViLByLd1k1Ms");
    let both = post("getMultipleAccounts", json!([["11111111111111111111111111111111", market], {}]));
    assert_eq!((&both["result"]["value"][0], &both["id"]), (&Value::Null, &json!(5)));
    assert_eq!(both["result"]["value"][1]["space"], one["result"]["value"]["space"]);
    assert_eq!(post("getHealth", json!([]))["result"], "ok", "other methods are answered as before");
    let mut ws = socket(&handle);
    let mut say = |text: String| -> Value {
        ws.send(Message::text(text)).expect("the server reads");
        loop {
            let frame: Value =
                serde_json::from_str(ws.read().expect("an answer").to_text().expect("text")).expect("JSON");
            if frame["id"] == 3 {
                return frame;
            }
        }
    };
    let plain = say(json!({"jsonrpc": "2.0", "id": 3, "method": "accountSubscribe", "params": [market]}).to_string());
    assert_eq!(plain["error"]["code"], -32_602, "base58 is refused: {plain}");
    let params = json!([market, {"encoding": "base64", "commitment": "confirmed"}]);
    let id = say(json!({"jsonrpc": "2.0", "id": 3, "method": "accountSubscribe", "params": params}).to_string());
    let drop = json!({"jsonrpc": "2.0", "id": 3, "method": "accountUnsubscribe", "params": [id["result"]]}).to_string();
    assert_eq!(say(drop.clone())["result"], true);
    assert_eq!(say(drop)["error"]["code"], -32_602);
}

#[test]
fn the_decode_verb_reads_accounts_and_quotes_and_names_the_byte_that_is_wrong() {
    let decode = |venue: VenueName, text: &str| {
        let (mut out, mut complaints) = (Vec::new(), Vec::new());
        let tally =
            decode_lines(venue, true, text.as_bytes(), &mut out, &mut complaints).expect("memory does not fail");
        let lines = String::from_utf8_lossy(&out).into_owned();
        let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        (tally, events, String::from_utf8_lossy(&complaints).into_owned())
    };
    let notice = String::from_utf8(super::desk::notice(500, &super::desk::vector())).expect("text");
    let text = format!("17 {notice}\n\n{{\"result\":7,\"id\":41}}\n17 <html>\n");
    let (tally, events, complaints) = decode(VenueName::Manifest, &text);
    assert_eq!((tally.lines, tally.bad, complaints.as_str()), (3, 1, "decode: line 4, byte 3: unexpected byte at 0\n"));
    assert_eq!(events[0]["bids"], json!([["142.36", "3"], ["142.31", "1.5"]]));
    assert_eq!((&events[0]["recv_ns"], &events[0]["top"]["ask_depth"]), (&json!(17), &json!("12.5")));
    let quote = r#"{"inputMint":"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v","inAmount":"1000000","outputMint":"So11111111111111111111111111111111111111112","outAmount":"6015074","contextSlot":269097074}"#;
    let (tally, events, _) = decode(VenueName::Jupiter, &format!("{quote}\n{{\"errorCode\":2}}\n"));
    assert_eq!((tally.bad, &events[0]["price"], &events[0]["slot"]), (0, &json!("166.24899377"), &json!(269_097_074)));
    assert_eq!(events[1]["kind"], "refused");
}

#[test]
fn the_mints_that_the_built_in_venue_writes_are_the_ones_that_base58_says() {
    let handle = open();
    let body = r#"{"id":1,"method":"getAccountInfo","params":["ENhU8LsaR7vDD2G1CsWcsuSGNrih9Cv5WZEk7q9kPapQ"]}"#;
    let answer: Value = serde_json::from_str(&ask(&handle, "POST", "/solana", body).1).expect("JSON");
    let text = answer["result"]["value"]["data"][0].as_str().expect("data").to_owned();
    let data = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).expect("base64");
    let mint = |text: &str| key::parse(text).expect("an address").to_vec();
    assert_eq!(data[16..48], mint("So11111111111111111111111111111111111111112"));
    assert_eq!(data[48..80], mint("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"));
}
