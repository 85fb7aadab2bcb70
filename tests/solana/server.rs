//! The built-in node, faults and all, through the house's own sockets and sessions.

use super::states::without_silence;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sol_volume_bot::sim::scenario::Scenario;
use sol_volume_bot::sim::server::{Fault, Handle, Server, ServerSettings};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::sys::net::{
    ConnId, ConnectBudget, DownReason, Endpoint, FrameVerdict, HttpClient, Link, LinkConfig, LinkHandler, Method, Net,
    Outbox, Request, Resolver, TlsContext,
};
use sol_volume_bot::sys::poller::Poller;
use sol_volume_bot::types::event::{Slot, StreamState};
use sol_volume_bot::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use sol_volume_bot::types::{Event, EventKind, Time};
use sol_volume_bot::venue::solana::rpc::{self, RpcError};
use sol_volume_bot::venue::solana::slot_ledger::SlotMark;
use sol_volume_bot::venue::solana::{Commitment, FrameKind, SlotSession, SlotSettings, Trouble};

const FIRST_SLOT: u64 = 9_007_199_254_740_993; // above 2^53

pub fn open(slot_ms: u32) -> Handle {
    let text = include_str!("../../config/scenarios/steered.toml");
    let mut scenario = Scenario::parse("steered", text).expect("a good scenario");
    (scenario.solana.slot_ms, scenario.solana.first_slot) = (slot_ms, FIRST_SLOT);
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start(ServerSettings { listen, scenario, tls: None, clock: Clock::start() }).expect("a free port")
}

pub fn net() -> Net {
    Net {
        clock: Clock::start(),
        tls: TlsContext::new(None).expect("TLS"),
        resolver: Resolver::start().expect("a thread"),
        budget: Arc::new(ConnectBudget::new(3_000, NANOS_PER_SEC)),
    }
}

struct At<'a>(&'a mut Feed, usize);

impl LinkHandler for At<'_> {
    fn on_open(&mut self, conn: ConnId, now: Time, out: &mut Outbox<'_>) {
        self.0.session.on_open(self.1, conn.0, now, &mut |text| out.text(text).expect("just opened"));
    }
    fn on_frame(&mut self, conn: ConnId, frame: &[u8], recv: Time, _: &mut Outbox<'_>) -> FrameVerdict {
        let Feed { session, heard } = &mut *self.0;
        match session.on_frame(self.1, conn.0, frame, recv, &mut |event: Event| heard.push(event.kind)) {
            Ok(FrameKind::Data) => FrameVerdict::Data,
            Ok(FrameKind::Control) => FrameVerdict::Control,
            Ok(FrameKind::Reset) => FrameVerdict::Reset,
            Err(why) => panic!("{why}"),
        }
    }
    fn on_down(&mut self, conn: ConnId, _: &DownReason, now: Time) {
        let Feed { session, heard } = &mut *self.0;
        session.on_down(self.1, conn.0, now, &mut |event| heard.push(event.kind));
    }
}

struct Feed {
    session: SlotSession,
    heard: Vec<EventKind>,
}

impl Feed {
    fn slots(&self) -> Vec<Slot> {
        self.heard.iter().filter_map(|kind| if let EventKind::Slot(slot) = kind { Some(*slot) } else { None }).collect()
    }
    fn states(&self) -> Vec<StreamState> {
        let state = |kind: &EventKind| if let EventKind::Stream(state) = kind { Some(*state) } else { None };
        self.heard.iter().filter_map(state).collect()
    }
}

fn feed_end(feed: &Feed) -> &[EventKind] {
    &feed.heard[feed.heard.len().saturating_sub(5)..]
}

/// Links to several nodes of one server, and the session they feed.
struct Nodes {
    links: Vec<Link>,
    feed: Feed,
    poller: Poller,
    clock: Clock,
}

impl Nodes {
    fn connect(server: &Handle, paths: &[&str]) -> Nodes {
        let (net, poller) = (net(), Poller::new().expect("a poller"));
        let link = |(number, path): (usize, &&str)| {
            let endpoint = Endpoint::parse(&server.ws_url(path)).expect("an endpoint");
            let mut link = Link::new(LinkConfig::new(endpoint), net.clone());
            link.register(&poller.registry().expect("a registry"), 4 * number).expect("tokens");
            link
        };
        let links = paths.iter().enumerate().map(link).collect();
        let session = SlotSession::with(SlotSettings { endpoints: paths.len(), ..SlotSettings::default() });
        let clock = net.clock;
        Nodes { links, feed: Feed { session, heard: Vec::new() }, poller, clock }
    }

    #[track_caller]
    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Feed) -> bool) {
        let end = self.clock.now().plus(20 * NANOS_PER_SEC);
        while !done(&mut self.feed) {
            let now = self.clock.now();
            assert!(now < end, "waited for: {what}; at {:?}", feed_end(&self.feed));
            let mut work = 0;
            for (endpoint, link) in self.links.iter_mut().enumerate() {
                work += link.turn(now, &mut At(&mut self.feed, endpoint));
            }
            let Feed { session, heard } = &mut self.feed;
            session.on_timer(now, &mut |event| heard.push(event.kind));
            if work == 0 {
                self.poller.sleep(Duration::from_millis(10));
            }
        }
    }
}

/// One JSON-RPC call through the house's own client.
fn call(server: &Handle, path: &str, body: &[u8]) -> (u16, Option<u32>, Vec<u8>) {
    let net = net();
    let endpoint = Endpoint::parse(&server.http_url("")).expect("an endpoint");
    let mut client = HttpClient::new(endpoint, net.clone(), 1 << 20);
    let headers = [("Content-Type", "application/json")];
    let deadline = net.clock.now().plus(10 * NANOS_PER_SEC);
    let request = Request { method: Method::Post, path, headers: &headers, body, deadline };
    client.request(&request, net.clock.now()).expect("sent");
    loop {
        if let Some(answer) = client.turn(net.clock.now()) {
            let answer = answer.expect("an answer");
            let wait = answer.header("retry-after").and_then(|text| text.parse().ok());
            return (answer.status, wait, answer.body.to_vec());
        }
        std::thread::yield_now();
    }
}

#[test]
fn skips_forks_and_steps_back_of_the_built_in_node_reach_the_ledger() {
    let server = open(20);
    let mut nodes = Nodes::connect(&server, &["/solana"]);
    nodes.until("the first slots", |feed| feed.slots().len() >= 5);
    assert!(nodes.feed.slots()[0].slot >= FIRST_SLOT, "exact above 2^53");
    server.fault(Fault::SkipSlots(3));
    nodes.until("a skip", |feed| feed.session.ledger().counts().skipped == 3);
    let slots = nodes.feed.slots();
    let after = slots.iter().find(|slot| slot.parent + 4 == slot.slot).expect("the first after the skip");
    assert_eq!(nodes.feed.session.ledger().mark(after.slot - 1), SlotMark::Skipped);
    server.fault(Fault::ForkSlots(1));
    nodes.until("a fork", |feed| feed.session.ledger().forks() == 1);
    server.fault(Fault::RegressSlots(4));
    nodes.until("steps back", |feed| feed.session.ledger().regressions() >= 1);
    let before = nodes.feed.slots().len();
    nodes.until("slots after it", |feed| feed.slots().len() > before + 3);
    let slots = nodes.feed.slots();
    assert!(slots.windows(2).all(|pair| pair[1].slot > pair[0].slot), "what is told rises: {slots:?}");
    assert_eq!(without_silence(&nodes.feed.states()), [StreamState::Up]);
}

#[test]
fn a_trailing_node_is_named_and_a_lying_one_is_not_believed() {
    let server = open(50);
    let mut nodes = Nodes::connect(&server, &["/solana", "/solana?lag=20", "/solana?ahead=1000000"]);
    nodes.until("both to be named", |feed| {
        let session = &feed.session;
        session.lagging().any(|endpoint| endpoint == 1)
            && session.in_trouble(Trouble::Ahead).any(|endpoint| endpoint == 2)
            || session.slot().is_some_and(|slot| slot.slot > FIRST_SLOT + 900_000) // the liar spoke first
    });
    nodes.until("the honest line", |feed| {
        feed.session.slot().is_some_and(|slot| slot.slot < FIRST_SLOT + 900_000) && feed.session.lagging().eq([1])
    });
    let before = nodes.feed.slots().len();
    nodes.until("more slots", |feed| feed.slots().len() >= before + 40);
    let slots = &nodes.feed.slots()[before..];
    assert!(slots.windows(2).all(|pair| pair[1].slot > pair[0].slot && pair[1].slot < pair[0].slot + 150), "{slots:?}");
    let slot_ms = nodes.feed.session.slot_ns().expect("measured") / NANOS_PER_MILLI;
    assert!((40..=60).contains(&slot_ms), "{slot_ms} ms");
}

#[test]
fn a_cut_connection_loses_its_subscription_and_comes_back_with_data() {
    let server = open(20);
    let mut nodes = Nodes::connect(&server, &["/solana"]);
    nodes.until("slots", |feed| feed.slots().len() >= 3);
    server.fault(Fault::DropSolana);
    nodes.until("the end", |feed| feed.states().last() == Some(&StreamState::Down));
    nodes.until("data", |feed| feed.states().last() == Some(&StreamState::Up));
    assert_eq!(without_silence(&nodes.feed.states()), [StreamState::Up, StreamState::Down, StreamState::Up]);
    assert_eq!(nodes.links[0].reconnects(), 1);
}

#[test]
fn the_rpc_subset_answers_and_refuses_as_nodes_do() {
    let server = open(100);
    let body = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        out
    };
    let slot_at = |path: &str| {
        let (status, wait, text) = call(&server, path, &body(&|out| rpc::get_slot(1, Commitment::Processed, out)));
        rpc::answer(status, wait, &text).and_then(|answer| answer.slot())
    };
    let health = |path: &str| {
        let (status, wait, text) = call(&server, path, &body(&|out| rpc::get_health(1, out)));
        rpc::answer(status, wait, &text).and_then(|answer| answer.health())
    };
    let newest = slot_at("/solana").expect("a slot");
    assert!(newest >= FIRST_SLOT, "{newest}");
    assert!(slot_at("/solana?lag=1000").is_ok_and(|slot| slot < FIRST_SLOT));
    assert_eq!(health("/solana"), Ok(()));
    assert_eq!(health("/solana?lag=500"), Err(RpcError::Behind { slots: Some(500) }));
    server.fault(Fault::NodeBehind(42));
    assert_eq!(health("/solana"), Err(RpcError::Behind { slots: Some(42) }));
    server.fault(Fault::NodeBehind(0));
    server.fault(Fault::RpcTooMany(1));
    assert_eq!(health("/solana"), Err(RpcError::TooMany { retry_after_s: Some(1) }));
    assert_eq!(health("/solana"), Ok(()));
    let samples = body(&|out| rpc::get_recent_performance_samples(1, 3, out));
    let (status, _, text) = call(&server, "/solana", &samples);
    let (time, count) = rpc::answer(status, None, &text).and_then(|answer| answer.sampled_time()).expect("samples");
    assert_eq!((time.slot_ns(), count), (Some(100 * NANOS_PER_MILLI), 3));
    let ask =
        |text: &str| -> Value { serde_json::from_slice(&call(&server, "/solana", text.as_bytes()).2).expect("JSON") };
    let hash = ask(r#"{"id":1,"method":"getLatestBlockhash","params":[{"commitment":"confirmed"}]}"#)["result"].clone();
    let height = ask(r#"{"id":1,"method":"getBlockHeight","params":[{"commitment":"confirmed"}]}"#)["result"].as_u64();
    let valid = hash["value"]["lastValidBlockHeight"].as_u64().expect("a height");
    assert!(height.is_some_and(|height| height + 140 < valid && valid <= height + 150), "{hash} {height:?}");
    assert!(hash["value"]["blockhash"].as_str().is_some_and(|text| (40..=44).contains(&text.len())), "{hash}");
    let late = ask(r#"{"id":1,"method":"getSlot","params":[{"minContextSlot":18446744073709551615}]}"#);
    assert!(late["error"]["code"] == -32_016 && late["error"]["data"]["contextSlot"].is_u64(), "{late}");
    assert_eq!(ask(r#"{"id":1,"method":"getRecentPerformanceSamples","params":[721]}"#)["error"]["code"], -32_602);
    assert_eq!(ask(r#"{"id":1,"method":"getNothing"}"#)["error"]["code"], -32_601);
    assert!(ask(r#"{"id":1,"method":"getVersion"}"#)["result"]["solana-core"].is_string());
}
