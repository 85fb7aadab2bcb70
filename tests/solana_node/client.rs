//! The house's own client: links, pure sessions, the HTTP client; and what they told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::sys::net::{
    ConnId, ConnectBudget, DownReason, Endpoint, FrameVerdict, HttpClient, Link, LinkConfig, LinkHandler, Method, Net,
    Outbox, Request, Resolver, TlsContext,
};
use sol_volume_bot::sys::poller::Poller;
use sol_volume_bot::types::event::StreamState;
use sol_volume_bot::types::time::NANOS_PER_SEC;
use sol_volume_bot::types::{Event, EventKind, Time};
use sol_volume_bot::venue::solana::rpc;
use sol_volume_bot::venue::solana::subscribe::{Answered, Commitment, Frame, Subscriptions, Topic, frame};
use sol_volume_bot::venue::solana::{FrameKind, SlotSession};

use crate::node::Node;
use crate::transfer::{SYSTEM_PROGRAM, Wallet, from_base58, transfer};

/// Longest wait for anything; a test that needs it has failed.
const PATIENCE_NS: i64 = 20 * NANOS_PER_SEC;
const ACCOUNT: u32 = 1;
const LOGS: u32 = 2;

/// A transaction's logs as they were told.
#[derive(Debug)]
pub struct Logged {
    pub signature: String,
    pub failed: bool,
    pub lines: Vec<String>,
}

/// All that was told so far.
#[derive(Debug, Default)]
pub struct Told {
    pub slots: Vec<u64>,
    pub states: Vec<StreamState>,
    /// Subscriptions open now, of the account and the logs.
    pub open: usize,
    /// Slot and lamports.
    pub accounts: Vec<(u64, u64)>,
    pub logs: Vec<Logged>,
}

struct Slots {
    session: SlotSession,
    told: Told,
}

impl Slots {
    fn note(told: &mut Told, event: Event) {
        match event.kind {
            EventKind::Slot(slot) => told.slots.push(slot.slot),
            EventKind::Stream(state) => told.states.push(state),
            other => panic!("not of this stream: {other:?}"),
        }
    }
}

impl LinkHandler for Slots {
    fn on_open(&mut self, conn: ConnId, now: Time, out: &mut Outbox<'_>) {
        self.session.on_open(0, conn.0, now, &mut |text| out.text(text).expect("just opened"));
    }
    fn on_frame(&mut self, conn: ConnId, frame: &[u8], recv: Time, _: &mut Outbox<'_>) -> FrameVerdict {
        let Slots { session, told } = self;
        match session.on_frame(0, conn.0, frame, recv, &mut |event| Slots::note(told, event)) {
            Ok(FrameKind::Data) => FrameVerdict::Data,
            Ok(FrameKind::Control) => FrameVerdict::Control,
            Ok(FrameKind::Reset) => FrameVerdict::Reset,
            Err(why) => panic!("{why}: {}", String::from_utf8_lossy(frame)),
        }
    }
    fn on_down(&mut self, conn: ConnId, _: &DownReason, now: Time) {
        let Slots { session, told } = self;
        session.on_down(0, conn.0, now, &mut |event| Slots::note(told, event));
    }
}

/// The account's and the logs' subscriptions on one connection; notes go to the same `Told`.
struct Watch<'a> {
    desk: &'a mut Subscriptions,
    account: &'a str,
    told: &'a mut Told,
}

impl LinkHandler for Watch<'_> {
    fn on_open(&mut self, conn: ConnId, _: Time, out: &mut Outbox<'_>) {
        let topics = [
            (ACCOUNT, Topic::Account(self.account, Commitment::Processed)),
            (LOGS, Topic::Logs(SYSTEM_PROGRAM, Commitment::Processed)),
        ];
        for (tag, topic) in topics {
            let mut text = Vec::new();
            self.desk.ask(conn.0, tag, &topic, &mut text).expect("there is room");
            out.text(&text).expect("just opened");
        }
    }
    fn on_frame(&mut self, conn: ConnId, bytes: &[u8], _: Time, _: &mut Outbox<'_>) -> FrameVerdict {
        let told = frame(bytes).unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(bytes)));
        match told {
            Frame::Account(number, note) => {
                assert_eq!(self.desk.tag(conn.0, number), Some(ACCOUNT));
                self.told.accounts.push((note.slot, note.account.map_or(0, |account| account.lamports)));
                FrameVerdict::Data
            }
            Frame::Logs(number, note) => {
                assert_eq!(self.desk.tag(conn.0, number), Some(LOGS));
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let mut lines = Vec::new();
                note.each_line(|line| lines.push(text(line))).expect("lines");
                self.told.logs.push(Logged { signature: text(note.signature), failed: note.failed, lines });
                FrameVerdict::Data
            }
            answer => {
                let answered = self.desk.on_answer(conn.0, &answer);
                assert!(matches!(answered, Answered::Open(_)), "{answered:?}: {answer:?}");
                self.told.open += 1;
                FrameVerdict::Control
            }
        }
    }
    fn on_down(&mut self, conn: ConnId, _: &DownReason, _: Time) {
        self.desk.forget(conn.0);
        self.told.open = 0;
    }
}

/// Two links on one thread with one poller, as an agent drives them.
pub struct Client {
    net: Net,
    poller: Poller,
    slots: (Link, Slots),
    watch: (Link, Subscriptions),
    account: String,
}

impl Client {
    /// Subscribes at `addr`, to `account` among others.
    pub fn connect(addr: SocketAddr, account: &Wallet) -> Client {
        let net = Net {
            clock: Clock::start(),
            tls: TlsContext::new(None).expect("TLS"),
            resolver: Resolver::start().expect("a thread"),
            budget: Arc::new(ConnectBudget::new(300, NANOS_PER_SEC)),
        };
        let poller = Poller::new().expect("a poller");
        let link = |token: usize| {
            let mut config = LinkConfig::new(Endpoint::parse(&format!("ws://{addr}/")).expect("an endpoint"));
            config.first_data_timeout_ns = 3 * PATIENCE_NS; // an account that does not change tells nothing
            let mut link = Link::new(config, net.clone());
            link.register(&poller.registry().expect("a registry"), token).expect("tokens");
            link
        };
        let slots = (link(0), Slots { session: SlotSession::new(), told: Told::default() });
        let watch = (link(4), Subscriptions::default());
        Client { slots, watch, poller, net, account: account.address.clone() }
    }

    pub fn told(&self) -> &Told {
        &self.slots.1.told
    }

    pub fn slot_ns(&self) -> Option<i64> {
        self.slots.1.session.slot_ns()
    }

    /// Turns both links; true if there was nothing to do.
    fn turn(&mut self) -> bool {
        let now = self.net.clock.now();
        let (link, handler) = &mut self.slots;
        let mut work = link.turn(now, handler);
        let Slots { session, told } = handler;
        session.on_timer(now, &mut |event| Slots::note(told, event));
        let (link, desk) = &mut self.watch;
        work += link.turn(now, &mut Watch { desk, account: &self.account, told });
        work == 0
    }

    #[track_caller]
    pub fn until(&mut self, what: &str, done: impl Fn(&Told) -> bool) {
        let end = self.net.clock.now().plus(PATIENCE_NS);
        while !done(self.told()) {
            assert!(self.net.clock.now() < end, "waited for: {what}; told so far: {:?}", self.told());
            if self.turn() {
                self.poller.sleep(Duration::from_millis(5));
            }
        }
    }

    /// One JSON-RPC call, the links being turned meanwhile. Output: status and body.
    fn call(&mut self, node: &Node, body: &[u8]) -> (u16, Vec<u8>) {
        let endpoint = Endpoint::parse(&format!("http://{}", node.rpc)).expect("an endpoint");
        let mut http = HttpClient::new(endpoint, self.net.clone(), 1 << 20);
        let headers = [("Content-Type", "application/json")];
        let deadline = self.net.clock.now().plus(PATIENCE_NS);
        let request = Request { method: Method::Post, path: "/", headers: &headers, body, deadline };
        http.request(&request, self.net.clock.now()).expect("sent");
        loop {
            if let Some(answer) = http.turn(self.net.clock.now()) {
                let answer = answer.expect("an answer");
                return (answer.status, answer.body.to_vec());
            }
            if self.turn() {
                self.poller.sleep(Duration::from_millis(1));
            }
        }
    }

    fn ask(&mut self, node: &Node, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let (status, text) = self.call(node, body.as_bytes());
        let answer: Value = serde_json::from_slice(&text).expect("JSON");
        assert!(status == 200 && answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The account's money by `getAccountInfo`; `None` if it does not exist.
    pub fn lamports(&mut self, node: &Node, wallet: &Wallet) -> Option<u64> {
        let mut body = Vec::new();
        rpc::get_account_info(1, &wallet.address, Commitment::Processed, &mut body);
        let (status, text) = self.call(node, &body);
        let note = rpc::answer(status, None, &text).and_then(|answer| answer.account()).expect("an account");
        note.account.map(|account| account.lamports)
    }

    /// Gives the wallet money out of nothing, and waits for it.
    pub fn fund(&mut self, node: &Node, wallet: &Wallet, lamports: u64) {
        let before = self.lamports(node, wallet).unwrap_or(0);
        self.ask(node, "requestAirdrop", json!([wallet.address, lamports]));
        let end = self.net.clock.now().plus(PATIENCE_NS);
        while self.lamports(node, wallet).unwrap_or(0) <= before {
            assert!(self.net.clock.now() < end, "no airdrop");
            self.poller.sleep(Duration::from_millis(20));
        }
    }

    /// Sends a transfer. Output: its signature, as the node says it.
    pub fn pay(&mut self, node: &Node, from: &Wallet, to: &Wallet, lamports: u64) -> String {
        let hash = self.ask(node, "getLatestBlockhash", json!([{"commitment": "confirmed"}]));
        let hash = from_base58(hash["value"]["blockhash"].as_str().expect("a blockhash"));
        let (wire, signature) = transfer(from, &from_base58(&to.address), lamports, &hash);
        let options = json!({"encoding": "base64", "preflightCommitment": "confirmed"});
        let said = self.ask(node, "sendTransaction", json!([wire, options]));
        assert_eq!(said, json!(signature));
        signature
    }
}
