//! The built-in venue over a real loopback socket: the session behind our own link, and an independent client.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sol_volume_bot::sim::scenario::Scenario;
use sol_volume_bot::sim::server::{Fault, Handle, KrakenSystem, Server, ServerSettings};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::sys::net::{
    ConnId, ConnectBudget, DownReason, Endpoint, FrameVerdict, Link, LinkConfig, LinkHandler, Net, Outbox, Resolver,
    Target, TlsContext,
};
use sol_volume_bot::types::event::{Event, EventKind, StreamState};
use sol_volume_bot::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use sol_volume_bot::types::{Price, StreamId, Time};
use sol_volume_bot::venue::kraken::{FrameKind, KrakenSession, KrakenSettings, StaleAfter};
use tungstenite::{Message, WebSocket};

use super::desk::sol;

const PATIENCE: Duration = Duration::from_secs(10);

fn venue() -> Handle {
    let mut scenario =
        Scenario::parse("steered", include_str!("../../config/scenarios/steered.toml")).expect("a scenario");
    scenario.market.taker_permille = 600;
    scenario.market.noise_ticks = 3;
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start(ServerSettings { listen, scenario, tls: None, clock: Clock::start() }).expect("a free port")
}

/// What an agent does with the session, and what it heard.
struct Tape {
    session: KrakenSession,
    events: Vec<Event>,
    kinds: Vec<FrameKind>,
    downs: Vec<String>,
}

impl LinkHandler for Tape {
    fn on_open(&mut self, conn: ConnId, now: Time, _: &mut Outbox<'_>) {
        self.session.on_open(conn.0, now);
    }
    fn on_frame(&mut self, conn: ConnId, frame: &[u8], recv: Time, out: &mut Outbox<'_>) -> FrameVerdict {
        let events = &mut self.events;
        let mut send = |text: &[u8]| out.text(text).expect("the venue reads");
        let kind = self.session.on_frame(conn.0, frame, recv, &mut send, &mut |event| events.push(event));
        let kind = kind.unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(frame)));
        if !matches!(kind, FrameKind::Data | FrameKind::Control) {
            self.kinds.push(kind);
        }
        match kind {
            FrameKind::Data => FrameVerdict::Data,
            FrameKind::Reset => FrameVerdict::Reset,
            _ => FrameVerdict::Control,
        }
    }
    fn on_down(&mut self, conn: ConnId, reason: &DownReason, now: Time) {
        self.downs.push(reason.to_string());
        let events = &mut self.events;
        self.session.on_down(conn.0, now, &mut |event| events.push(event));
    }
}

/// A link, the session behind it, and the venue.
struct Desk {
    handle: Handle,
    link: Link,
    tape: Tape,
    clock: Clock,
    chores_at: Time,
}

impl Desk {
    fn open(settings: KrakenSettings) -> Desk {
        let handle = venue();
        let clock = Clock::start();
        let net = Net {
            clock,
            tls: TlsContext::new(None).expect("TLS"),
            resolver: Resolver::start().expect("a thread"),
            budget: Arc::new(ConnectBudget::new(100, NANOS_PER_SEC)),
        };
        let endpoint = Endpoint::parse(&handle.ws_url("/kraken/ws")).expect("an address");
        let tape =
            Tape { session: KrakenSession::new(settings), events: Vec::new(), kinds: Vec::new(), downs: Vec::new() };
        let link = Link::new(LinkConfig::new(endpoint), net);
        Desk { handle, link, tape, clock, chores_at: Time::NONE }
    }
    /// ... and wait until all three streams are up.
    fn up() -> Desk {
        let mut desk = Desk::open(KrakenSettings::new(sol()));
        desk.until("all streams up", |desk| {
            KrakenSession::streams().iter().all(|stream| desk.is(*stream, StreamState::Up))
        });
        desk
    }
    fn is(&self, stream: StreamId, state: StreamState) -> bool {
        self.tape.session.state(stream) == Some(state)
    }
    fn turn(&mut self) -> usize {
        let now = self.clock.now();
        let work = self.link.turn(now, &mut self.tape);
        if now >= self.chores_at {
            self.chores_at = now.plus(20 * NANOS_PER_MILLI);
            let events = &mut self.tape.events;
            let link = &mut self.link;
            let mut send = |conn, text: &[u8]| {
                let _ = link.send(Target::Conn(ConnId(conn)), text); // a connection that is gone is told by `on_down`
            };
            self.tape.session.on_timer(now, &mut send, &mut |event| events.push(event));
        }
        work
    }
    #[track_caller]
    fn until(&mut self, what: &str, done: impl Fn(&Desk) -> bool) {
        let end = self.clock.now().plus(30 * NANOS_PER_SEC);
        while !done(self) {
            assert!(
                self.clock.now() < end,
                "waited for: {what}; kinds {:?}, downs {:?}",
                self.tape.kinds,
                self.tape.downs
            );
            if self.turn() == 0 {
                std::thread::yield_now();
            }
        }
    }
    /// States of one stream since the last call.
    fn states(&mut self, stream: StreamId) -> Vec<StreamState> {
        let of_stream = self.tape.events.iter().filter(|event| event.stream == stream);
        let states =
            of_stream.filter_map(|event| if let EventKind::Stream(state) = event.kind { Some(state) } else { None });
        let states = states.collect();
        self.tape.events.clear();
        states
    }
}

#[test]
fn the_session_follows_the_built_in_venue_whose_market_is_the_exchanges_own() {
    let mut desk = Desk::up();
    desk.handle.set_mid(Price(15_000_000_000));
    desk.until("the new price in book and ticker", |desk| {
        let near = |price: Price| price.0.abs_diff(15_000_000_000) < 20_000_000;
        let is_told = |stream| {
            desk.tape.events.iter().any(|event| {
                event.stream == stream && matches!(event.kind, EventKind::Bbo(bbo) if near(bbo.bid) && near(bbo.ask))
            })
        };
        is_told(StreamId::KrakenBook) && is_told(StreamId::KrakenTicker)
    });
    let now = desk.clock.now();
    let depth = desk.tape.events.iter().rev().find_map(|event| match event.kind {
        EventKind::Depth(depth) => Some((depth, event.venue_time)),
        _ => None,
    });
    let (depth, venue_time) = depth.expect("a sample");
    assert!(depth.bid[0].0 > 0 && depth.bid[0] <= depth.bid[1] && depth.ask[0] <= depth.ask[2]);
    assert!(now.since(venue_time).abs() < 5 * NANOS_PER_SEC, "the venue's own time");
    assert!(desk.tape.events.iter().any(|event| event.stream == StreamId::KrakenTrade));
    assert_eq!(desk.handle.snapshot().kraken_clients, 1);
    assert_eq!(desk.tape.downs, [""; 0]);
}

#[test]
fn four_samples_of_the_book_come_in_a_second() {
    let mut desk = Desk::up();
    desk.tape.events.clear();
    let is_sample = |event: &&Event| event.stream == StreamId::KrakenBook && matches!(event.kind, EventKind::Depth(_));
    let mut told: Vec<Time> = Vec::new();
    for sample in 1..=13 {
        desk.until("a sample", |desk| desk.tape.events.iter().filter(is_sample).count() >= sample);
        told.push(desk.clock.now());
    }
    let mut apart_ms: Vec<i64> = told.windows(2).map(|pair| pair[1].since(pair[0]) / NANOS_PER_MILLI).collect();
    apart_ms.sort_unstable();
    assert!(
        (225..=300).contains(&apart_ms[6]),
        "the middle one of {apart_ms:?} ms: the machine may be busy now and then"
    );
}

#[test]
fn a_spoilt_checksum_is_a_gap_and_the_book_comes_back_by_itself() {
    for fault in [Fault::KrakenBadChecksums(1), Fault::KrakenCrossed(1)] {
        let mut desk = Desk::up();
        desk.states(StreamId::KrakenBook);
        desk.handle.fault(fault.clone());
        desk.until("the book lost", |desk| desk.tape.kinds.iter().any(|kind| matches!(kind, FrameKind::Lost(_))));
        assert!(desk.is(StreamId::KrakenBook, StreamState::Gap));
        desk.until("the book back", |desk| desk.is(StreamId::KrakenBook, StreamState::Up));
        assert_eq!(desk.states(StreamId::KrakenBook), [StreamState::Gap, StreamState::Up], "{fault:?}");
        assert!(desk.is(StreamId::KrakenTicker, StreamState::Up), "nothing else was touched");
        assert_eq!(desk.tape.downs, [""; 0]);
    }
}

#[test]
fn maintenance_and_its_end_are_followed_and_a_dropped_connection_comes_back() {
    let mut desk = Desk::up();
    desk.handle.fault(Fault::KrakenStatus(KrakenSystem::Maintenance));
    desk.until("maintenance", |desk| {
        desk.is(StreamId::KrakenBook, StreamState::Gap) && desk.is(StreamId::KrakenTicker, StreamState::Stale)
    });
    desk.handle.fault(Fault::KrakenStatus(KrakenSystem::PostOnly));
    desk.until("data again", |desk| KrakenSession::streams().iter().all(|stream| desk.is(*stream, StreamState::Up)));
    desk.handle.fault(Fault::KrakenStatus(KrakenSystem::Online));
    desk.states(StreamId::KrakenBook);
    desk.handle.fault(Fault::DropKraken);
    desk.until("down", |desk| desk.is(StreamId::KrakenBook, StreamState::Down));
    desk.until("up", |desk| KrakenSession::streams().iter().all(|stream| desk.is(*stream, StreamState::Up)));
    assert_eq!(desk.states(StreamId::KrakenBook), [StreamState::Down, StreamState::Up]);
}

#[test]
fn a_mute_venue_and_a_silent_one_are_told_apart_from_a_quiet_market() {
    let stale_after = StaleAfter { book_ns: 2 * NANOS_PER_SEC, ..KrakenSettings::new(sol()).stale_after };
    let mut desk = Desk::open(KrakenSettings { stale_after, ..KrakenSettings::new(sol()) });
    desk.until("up", |desk| KrakenSession::streams().iter().all(|stream| desk.is(*stream, StreamState::Up)));
    desk.handle.fault(Fault::KrakenMute(true));
    desk.until("heartbeats only", |desk| desk.is(StreamId::KrakenBook, StreamState::Stale));
    assert!(desk.is(StreamId::KrakenTicker, StreamState::Up), "the connection itself lives");
    desk.handle.fault(Fault::KrakenMute(false));
    desk.until("up again", |desk| desk.is(StreamId::KrakenBook, StreamState::Up));
    desk.handle.fault(Fault::KrakenSilent(true));
    desk.until("nothing at all", |desk| {
        KrakenSession::streams().iter().all(|stream| desk.is(*stream, StreamState::Stale))
    });
}

/// A WebSocket client that is not ours.
struct Ws(WebSocket<TcpStream>);

impl Ws {
    fn open(handle: &Handle) -> Ws {
        let socket = TcpStream::connect(handle.addr()).expect("the venue listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout is accepted");
        Ws(tungstenite::client(handle.ws_url("/kraken/ws"), socket).expect("an upgrade").0)
    }
    fn say(&mut self, frame: &Value) {
        self.0.send(Message::text(frame.to_string())).expect("the venue reads");
    }
    fn hear(&mut self) -> (Value, String) {
        loop {
            if let Message::Text(text) = self.0.read().expect("a frame in time") {
                return (serde_json::from_str(&text).expect("JSON"), text.as_str().to_owned());
            }
        }
    }
    fn hear_until(&mut self, wanted: impl Fn(&Value) -> bool) -> (Value, String) {
        loop {
            let (frame, text) = self.hear();
            if wanted(&frame) {
                return (frame, text);
            }
        }
    }
}

#[test]
fn the_venue_speaks_the_protocol_to_an_independent_client() {
    let handle = venue();
    let mut ws = Ws::open(&handle);
    let (status, _) = ws.hear();
    assert_eq!((&status["channel"], &status["data"][0]["system"]), (&json!("status"), &json!("online")));
    assert!(status["data"][0]["connection_id"].as_u64().is_some_and(|id| id > 1 << 53));
    let book = json!({"channel": "book", "symbol": ["SOL/USD", "ABC/DEF"], "depth": 10, "snapshot": true});
    ws.say(&json!({"method": "subscribe", "params": book, "req_id": 5}));
    let answers = [ws.hear().0, ws.hear().0];
    assert_eq!((&answers[0]["success"], &answers[0]["result"]["symbol"]), (&json!(true), &json!("SOL/USD")));
    assert_eq!(answers[1]["error"], "Currency pair not supported ABC/DEF");
    assert_eq!((&answers[0]["req_id"], &answers[1]["req_id"]), (&json!(5), &json!(5)), "one answer a pair");
    let (snapshot, text) = ws.hear_until(|frame| frame["channel"] == "book");
    assert_eq!(
        (&snapshot["type"], snapshot["data"][0]["bids"].as_array().map(Vec::len)),
        (&json!("snapshot"), Some(10))
    );
    assert_eq!(own_checksum(&text), snapshot["data"][0]["checksum"].as_u64(), "over the digits as they came");
    ws.say(&json!({"method": "ping", "req_id": 6}));
    assert_eq!(ws.hear_until(|frame| frame["req_id"] == 6).0["method"], "pong");
    let book = json!({"channel": "book", "symbol": ["SOL/USD"], "depth": 10});
    ws.say(&json!({"method": "unsubscribe", "params": book, "req_id": 7}));
    assert_eq!(ws.hear_until(|frame| frame["req_id"] == 7).0["success"], true);
}

/// The checksum of a snapshot's text, by hand.
fn own_checksum(text: &str) -> Option<u64> {
    let side = |name: &str| {
        let rest = text.split_once(&format!(r#""{name}":["#)).map_or("", |(_, rest)| rest);
        let levels = rest.split_once(']').map_or("", |(levels, _)| levels);
        let numbers =
            levels.split([':', ',', '}']).filter(|part| part.starts_with(|letter: char| letter.is_ascii_digit()));
        numbers.map(|number| number.replace('.', "").trim_start_matches('0').to_owned()).collect::<String>()
    };
    Some(u64::from(super::desk::crc32((side("asks") + &side("bids")).as_bytes())))
}

/// One GET on a connection of its own: the body.
fn get(handle: &Handle, target: &str) -> String {
    let mut socket = TcpStream::connect(handle.addr()).expect("the venue listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout is accepted");
    write!(socket, "GET {target} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\r\n").expect("the venue reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    answer.split_once("\r\n\r\n").expect("a head").1.to_owned()
}

#[test]
fn the_audit_agrees_with_the_venues_rest_and_the_venue_refuses_what_is_too_much() {
    let mut desk = Desk::up();
    let now = desk.clock.now();
    let path = desk.tape.session.audit_wanted(now).expect("the first audit is due at once");
    let body = get(&desk.handle, &format!("/kraken{path}"));
    desk.until("a sample more", |desk| {
        desk.tape.session.next_sample().is_some_and(|due| due > now.plus(NANOS_PER_SEC / 4))
    });
    let finding = desk.tape.session.on_audit(body.as_bytes(), now).expect("a depth").expect("a finding");
    assert!(finding.agrees, "{finding:?}");
    assert!(get(&desk.handle, "/kraken/0/public/Depth?pair=NOPE&count=10").contains("EQuery:Unknown asset pair"));
    let many: Vec<String> = (0..8).map(|_| get(&desk.handle, &format!("/kraken{path}"))).collect();
    assert!(many.iter().any(|body| body.contains("EGeneral:Too many requests")), "{many:?}");
}
