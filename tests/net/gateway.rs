//! The gateway agent on real sockets: a planned roll-over whose next connection dies leaves orders where they went.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::{Value, json};
use sol_volume_bot::ring::{CommandItem, EventItem, LatestMid, OnFull, RingSpec, Stamps, ring};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::sys::kill::KillSwitch;
use sol_volume_bot::sys::net::{Endpoint, Link, LinkConfig};
use sol_volume_bot::threads::gateway::{Gateway, GatewayWatch};
use sol_volume_bot::threads::runner::Agent;
use sol_volume_bot::types::command::NewOrder;
use sol_volume_bot::types::event::{Control, EventKind, StreamState};
use sol_volume_bot::types::instrument::{Instrument, Symbol};
use sol_volume_bot::types::note::{KillStep, WireNote};
use sol_volume_bot::types::time::NANOS_PER_SEC;
use sol_volume_bot::types::*;
use sol_volume_bot::venue::binance_spot::sign::Signer;
use sol_volume_bot::venue::binance_spot::trade::{Bounds, TradeSession, TradeSettings};
use tungstenite::Message;

use crate::peer::{Served, Ws, net, ws_server};

/// Longest wait for a fact.
const PATIENCE_NS: i64 = 10 * NANOS_PER_SEC;
const DEPTH: usize = 1_024;

fn instrument() -> Instrument {
    Instrument {
        symbol: Symbol::new("SOLUSDT").expect("a symbol"),
        base: Symbol::new("SOL").expect("a symbol"),
        quote: Symbol::new("USDT").expect("a symbol"),
        tick: Price(1_000_000),
        price_min: Price(1_000_000),
        price_max: Price::ZERO,
        lot: Qty(1_000_000),
        qty_min: Qty(1_000_000),
        qty_max: Qty(90_000_000_000_000),
        market_qty_max: Qty::ZERO,
        notional_min: Notional(500_000_000),
        notional_max: Notional::ZERO,
        orders_max: 200,
        algo_orders_max: 5,
        oco_allowed: true,
        stop_market_allowed: true,
        fee_maker: Ratio(100_000),
        fee_taker: Ratio(100_000),
    }
}

fn sale(attempt: u16) -> Command {
    Command::Place(NewOrder {
        id: ClientOrderId { epoch: 1, signal: 1, leg: Leg::Flatten, attempt },
        side: Side::Sell,
        kind: OrderKind::Market,
        tif: TimeInForce::Ioc,
        price: Price::ZERO,
        qty: Qty(1_000_000_000),
        purpose: Purpose::Flatten,
    })
}

/// The agent, the far ends of its rings, and what its venue heard: number of the connection and request.
struct Bench {
    gateway: Gateway,
    clock: Clock,
    kill: Arc<KillSwitch>,
    command: sol_volume_bot::ring::Sender<CommandItem>,
    report: sol_volume_bot::ring::Receiver<EventItem>,
    notes: sol_volume_bot::ring::Receiver<WireNote>,
    heard: Receiver<(usize, Value)>,
    requests: Vec<(usize, Value)>,
    events: Vec<EventKind>,
}

impl Bench {
    /// `serve` gets each connection with the way to tell what it heard.
    fn new(serve: impl Fn(usize, Ws, &Sender<(usize, Value)>) + Send + Sync + 'static) -> Bench {
        let (tell, heard) = channel();
        let tell = std::sync::Mutex::new(tell);
        let Served { url } = ws_server(None, move |number, ws| {
            let tell = tell.lock().expect("one at a time").clone();
            serve(number, ws, &tell);
        });
        let net = net(None);
        let clock = net.clock;
        let link = Link::new(LinkConfig::new(Endpoint::parse(&url).expect("an address")), net);
        let session = TradeSession::new(TradeSettings {
            instrument: instrument(),
            api_key: "k".to_owned(),
            signer: Signer::hmac("s".to_owned()).expect("a secret"),
            recv_window_orders_ms: 1_000,
            recv_window_queries_ms: 5_000,
            request_timeout_ns: PATIENCE_NS,
            stale_after_ns: 60 * NANOS_PER_SEC,
            bounds: Bounds::default(),
            limits: Vec::new(),
        });
        let spec = |name| RingSpec { name, depth: DEPTH, on_full: OnFull::Refuse };
        let (command, command_rx) = ring(spec("command"), None);
        let (report_tx, report) = ring(spec("report"), None);
        let (notes_tx, notes) = ring(spec("notes"), None);
        let kill = Arc::new(KillSwitch::new(clock));
        let watch = GatewayWatch { kill: Arc::clone(&kill), mid: Arc::new(LatestMid::new()) };
        let gateway = Gateway::new(link, session, clock, (command_rx, report_tx, notes_tx), watch);
        Bench { gateway, clock, kill, command, report, notes, heard, requests: vec![], events: vec![] }
    }

    /// Turns the agent until `wanted`.
    fn until(&mut self, what: &str, wanted: impl Fn(&Bench) -> bool) {
        let end = self.clock.now().plus(PATIENCE_NS);
        while !wanted(self) {
            let now = self.clock.now();
            assert!(now < end, "never: {what}; heard {:?}, told {:?}", self.requests, self.events);
            if self.gateway.turn(now).count == 0 {
                std::thread::park_timeout(Duration::from_millis(1));
            }
            while let Some(item) = self.report.pop() {
                self.events.push(item.event.kind);
            }
            while self.notes.pop().is_some() {}
            self.requests.extend(self.heard.try_iter());
        }
    }
    fn is_up(&self) -> bool {
        self.events.contains(&EventKind::Stream(StreamState::Up))
    }
    fn send(&mut self, command: Command) {
        let now = self.clock.now();
        let stamps = Stamps { trigger: now, decoded: now, step_from: now, step_to: now };
        assert!(self.command.push(CommandItem { command, stamps }).is_ok());
    }
    fn heard_on(&self, method: &str) -> Vec<usize> {
        let named = self.requests.iter().filter(|(_, request)| request["method"] == method);
        named.map(|(number, _)| *number).collect()
    }
}

/// Answers what a session asks to get ready, and tells everything it hears.
fn answer(number: usize, ws: &mut Ws, tell: &Sender<(usize, Value)>) -> Option<Value> {
    let text = ws.read().ok()?.into_text().ok()?;
    let Ok(request) = serde_json::from_str::<Value>(text.as_str()) else { return Some(Value::Null) };
    let result = match request["method"].as_str()? {
        "time" => json!({"serverTime": Clock::start().now().millis().0}),
        "account.status" => json!({"canTrade": true, "balances": [{"asset": "SOL", "free": "5.0", "locked": "0.0"}]}),
        "order.place" => {
            json!({"symbol": "SOLUSDT", "orderId": 7, "orderListId": -1, "transactTime": 1_790_000_000_000_i64,
            "clientOrderId": request["params"]["newClientOrderId"]})
        }
        "openOrders.status" | "openOrderLists.status" | "myTrades" | "openOrders.cancelAll" => json!([]),
        _ => json!({"subscriptionId": 0}),
    };
    drop(tell.send((number, request.clone())));
    let text = json!({"id": request["id"], "status": 200, "result": result}).to_string();
    ws.send(Message::text(text)).ok()?;
    Some(request)
}

fn farewell(ws: &mut Ws) {
    drop(ws.send(Message::text(r#"{"event":{"e":"serverShutdown","E":1790000000000}}"#)));
}

#[test]
fn a_next_connection_that_dies_before_it_is_ready_leaves_orders_on_the_old_one() {
    let mut bench = Bench::new(|number, mut ws, tell| {
        if number == 1 {
            drop(ws); // opens, and is gone before it is of any use
            return;
        }
        while let Some(request) = answer(number, &mut ws, tell) {
            if number == 0 && request["method"] == "account.status" {
                farewell(&mut ws);
            }
        }
    });
    bench.until("ready", Bench::is_up);
    bench.until("the next connection came to nothing, and another was opened", |bench| {
        bench.heard_on("userDataStream.subscribe.signature").contains(&2)
    });
    bench.send(sale(1));
    bench.until("the sale", |bench| !bench.heard_on("order.place").is_empty());
    assert!(!bench.events.contains(&EventKind::Stream(StreamState::Down)), "{:?}", bench.events);
    let unknown = |kind: &EventKind| matches!(kind, EventKind::Execution(report) if report.kind == ExecKind::Unknown);
    assert!(!bench.events.iter().any(unknown), "{:?}", bench.events);
}

#[test]
fn while_the_next_connection_is_not_ready_orders_go_over_the_old_one_and_afterwards_over_the_new() {
    let mut bench = Bench::new(|number, mut ws, tell| {
        if number == 1 {
            let text = ws.read().expect("the subscription").into_text().expect("text");
            let request: Value = serde_json::from_str(text.as_str()).expect("JSON");
            drop(tell.send((1, request.clone())));
            let go_on = ws.read(); // nothing comes until the old connection closes, half a second later: a pong at most
            drop(go_on);
            return;
        }
        while let Some(request) = answer(number, &mut ws, tell) {
            if number == 0 && request["method"] == "account.status" {
                farewell(&mut ws);
            }
        }
    });
    bench.until("ready", Bench::is_up);
    bench.until("the next one subscribes", |bench| bench.heard_on("userDataStream.subscribe.signature").contains(&1));
    bench.send(sale(1));
    bench.until("the sale", |bench| !bench.heard_on("order.place").is_empty());
    assert_eq!(bench.heard_on("order.place"), [0], "the next one has not answered its subscription");
}

#[test]
fn orders_move_to_the_next_connection_once_it_hears_the_accounts_events() {
    let mut bench = Bench::new(|number, mut ws, tell| {
        while let Some(request) = answer(number, &mut ws, tell) {
            if number == 0 && request["method"] == "account.status" {
                farewell(&mut ws);
            }
        }
    });
    bench.until("ready", Bench::is_up);
    bench.until("the next one subscribes", |bench| bench.heard_on("userDataStream.subscribe.signature").contains(&1));
    for attempt in 1..=200 {
        bench.send(sale(attempt));
        bench.until("the sale", |bench| bench.heard_on("order.place").len() >= usize::from(attempt));
        if bench.heard_on("order.place").last() == Some(&1) {
            break;
        }
    }
    let went = bench.heard_on("order.place");
    assert_eq!(went.last(), Some(&1), "{went:?}");
    assert!(!bench.events.contains(&EventKind::Stream(StreamState::Down)), "{:?}", bench.events);
}

#[test]
fn a_kill_is_written_before_the_orders_that_wait_in_the_ring_and_the_engine_hears_of_it_once() {
    let mut bench = Bench::new(|number, mut ws, tell| while answer(number, &mut ws, tell).is_some() {});
    bench.until("ready", Bench::is_up);
    bench.requests.clear();
    bench.send(sale(1));
    let pull = bench.kill.pull();
    assert!(!bench.gateway.idle(), "a thread that was about to sleep stays awake");
    bench.until("the sale", |bench| !bench.heard_on("order.place").is_empty());
    let methods = bench.requests.iter().filter_map(|(_, request)| request["method"].as_str());
    let methods: Vec<&str> = methods.filter(|method| *method != "time").collect(); // a round asked before the kill
    assert_eq!(methods, ["openOrders.cancelAll", "order.place"]);
    let (step, at) = bench.kill.told(pull);
    assert_eq!(step, KillStep::Written);
    assert!(at >= bench.kill.pulled_at());
    let kills = bench.events.iter().filter(|kind| **kind == EventKind::Control(Control::Kill)).count();
    assert_eq!(kills, 1);
}
