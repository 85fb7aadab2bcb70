//! Steps: from decoded event to command; decoders beside serde_json on the same bytes; encoding and signing; heartbeat.
//!
//! `cargo bench --bench steps`. One thread, caches warm: what the code costs. What it costs after a pause, with caches
//! gone cold, is in the stages of the `wire` bench.

use serde::Deserialize;
use serde_json::{Value, json};
use sol_volume_bot::engine::Engine;
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::sys::cores;
use sol_volume_bot::sys::heartbeat;
use sol_volume_bot::types::command::NewOco;
use sol_volume_bot::types::event::{Bbo, Slot, StreamState};
use sol_volume_bot::types::order::{FeeAsset, Reason};
use sol_volume_bot::types::time::NANOS_PER_SEC;
use sol_volume_bot::types::{
    ClientOrderId, Command, CommandBuf, Event, EventKind, ExecKind, ExecutionReport, Leg, Liquidity, Millis, Notional,
    Price, Qty, Ratio, Side, StreamId, Time, VenueOrderId,
};
use sol_volume_bot::venue::binance_spot::decode::{Levels, frame};
use sol_volume_bot::venue::binance_spot::encode::{Encoder, Head, Target};
use sol_volume_bot::venue::binance_spot::last_gate::{Bounds, LastGate};
use sol_volume_bot::venue::binance_spot::sign::Signer;
use std::hint::black_box;

#[allow(dead_code)] // the other benches use the rest of it
#[path = "rig/mod.rs"]
mod rig;

use rig::house::{Beating, history, instrument, setup};
use rig::report::{self, Figures, Spread};
use rig::venue::Trigger;

const ROUNDS: u64 = 9_000;
const WARM_UP: u64 = 500;
const BATCHES: usize = 9;
const CALLS: u32 = 100_000;

/// An engine, its numbering, and the time that only this bench turns.
#[derive(Clone)]
struct Desk {
    engine: Engine,
    seq: u64,
    now: Time,
}

impl Desk {
    fn new(trigger: Trigger, now: Time) -> Desk {
        Desk { engine: Engine::new(setup(trigger, 1, now)), seq: 0, now }
    }
    fn event(&mut self, stream: StreamId, kind: EventKind) -> Event {
        self.seq += 1;
        self.now = self.now.plus(1_000);
        Event { seq: self.seq, recv: self.now, at: self.now, venue_time: self.now, stream, kind }
    }
    fn feed(&mut self, stream: StreamId, kind: EventKind, out: &mut CommandBuf) {
        let event = self.event(stream, kind);
        out.clear();
        self.engine.step(&event, out);
    }
    /// Steps with a clock around it.
    fn time(&mut self, stream: StreamId, kind: EventKind, out: &mut CommandBuf, clock: Clock) -> i64 {
        let event = self.event(stream, kind);
        out.clear();
        let from = clock.now();
        self.engine.step(&event, out);
        clock.now().since(from)
    }
    fn report(&mut self, id: ClientOrderId, kind: ExecKind, out: &mut CommandBuf) {
        let leaves_qty = Qty(if kind == ExecKind::New { 10_000_000_000 } else { 0 });
        let report = ExecutionReport {
            id,
            venue_order_id: VenueOrderId(7),
            list_id: 8,
            kind,
            side: Side::Sell,
            liquidity: Liquidity::Taker,
            fee_asset: FeeAsset::None,
            reason: Reason::None,
            code: 0,
            last_qty: Qty::ZERO,
            last_px: Price::ZERO,
            cum_qty: Qty::ZERO,
            leaves_qty,
            fee: 0,
            trade_id: 0,
        };
        self.feed(StreamId::BinanceUser, EventKind::Execution(report), out);
    }
    /// The pair that `out` places is taken by the venue.
    fn accept_pair(&mut self, out: &mut CommandBuf) -> [ClientOrderId; 2] {
        let pair = out.iter().find_map(|command| match command {
            Command::PlaceOco(oco) => Some([oco.take_profit, oco.stop]),
            _ => None,
        });
        let legs = pair.expect("a new pair");
        legs.into_iter().for_each(|leg| self.report(leg, ExecKind::New, out));
        legs
    }
}

fn bbo(update_id: u64) -> EventKind {
    let bid = if update_id.is_multiple_of(2) { 16_100_000_000 } else { 16_150_000_000 };
    let (bid, ask, size) = (Price(bid), Price(bid + 1_000_000), Qty(31_000_000_000));
    EventKind::Bbo(Bbo { bid, bid_qty: size, ask, ask_qty: size, update_id })
}

/// Slot to cancel, with the whole round of a re-posting around it.
fn slot_step(clock: Clock) -> (Figures, Figures) {
    let (mut steps, mut ticks, mut out) = (Spread::new(), Spread::new(), CommandBuf::new());
    let mut desk = Desk::new(Trigger::Slot, clock.now());
    desk.feed(StreamId::BinanceUser, EventKind::Stream(StreamState::Up), &mut out);
    let mut legs = desk.accept_pair(&mut out);
    for number in 1..=ROUNDS {
        let tick = desk.time(StreamId::BinanceBbo, bbo(number), &mut out, clock);
        let slot = Slot { slot: number, parent: number - 1, root: 0 };
        let step = desk.time(StreamId::SolanaSlot, EventKind::Slot(slot), &mut out, clock);
        assert!(out.iter().any(|command| matches!(command, Command::CancelList(_))), "a slot without a cancel");
        if number > WARM_UP {
            ticks.add(tick);
            steps.add(step);
        }
        legs.into_iter().for_each(|leg| desk.report(leg, ExecKind::Canceled, &mut out));
        legs = desk.accept_pair(&mut out);
    }
    (steps.figures(), ticks.figures())
}

/// Book tick to the first tranche; each round on a fresh copy of an engine that waits for that tick.
fn entry_step(clock: Clock) -> Figures {
    let (mut steps, mut out) = (Spread::new(), CommandBuf::new());
    let now = clock.now();
    let mut template = Desk::new(Trigger::Entry, now);
    for item in history(now) {
        template.feed(item.event.stream, item.event.kind, &mut out);
    }
    for number in 1..=ROUNDS {
        let mut desk = template.clone();
        let step = desk.time(StreamId::BinanceBbo, bbo(number), &mut out, clock);
        assert!(out.iter().any(|command| matches!(command, Command::Place(_))), "a tick without an order");
        if number > WARM_UP {
            steps.add(step);
        }
    }
    steps.figures()
}

/// ns per call: the median of some batches.
fn ns_per_call(clock: Clock, calls: u32, mut call: impl FnMut()) -> f64 {
    let mut batches: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let from = clock.now();
            (0..calls).for_each(|_| call());
            clock.now().since(from) as f64 / f64::from(calls)
        })
        .collect();
    batches.sort_by(f64::total_cmp);
    batches[BATCHES / 2]
}

#[derive(Deserialize)]
struct Combined<'a, T> {
    #[serde(borrow)]
    stream: &'a str,
    data: T,
}
#[derive(Deserialize)]
#[allow(non_snake_case)] // the venue's names
struct Ticker<'a> {
    u: u64,
    b: &'a str,
    B: &'a str,
    a: &'a str,
    A: &'a str,
}
#[derive(Deserialize)]
struct Diff<'a> {
    u: u64,
    #[serde(borrow)]
    b: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    a: Vec<(&'a str, &'a str)>,
}

fn ticker_text() -> String {
    r#"{"stream":"solusdt@bookTicker","data":{"u":400900217,"s":"SOLUSDT","b":"161.00000000","B":"31.21000000","a":"161.01000000","A":"40.66000000"}}"#.to_owned()
}
fn depth_text() -> String {
    let side = |from: i64, step: i64| {
        let level = |at: i64| {
            format!(r#"["{}.{:02}000000","{}.48300000"]"#, (from + step * at) / 100, (from + step * at) % 100, 10 + at)
        };
        (0..20).map(level).collect::<Vec<_>>().join(",")
    };
    format!(
        r#"{{"stream":"solusdt@depth@100ms","data":{{"e":"depthUpdate","E":1795348800123,"s":"SOLUSDT","U":400900218,"u":400900260,"b":[{}],"a":[{}]}}}}"#,
        side(16_100, -1),
        side(16_101, 1)
    )
}

fn serde_ticker(text: &str) -> i64 {
    let found: Combined<'_, Ticker<'_>> = serde_json::from_str(text).expect("JSON");
    let price = |text: &str| Price::parse(text.as_bytes()).expect("a price").0;
    let qty = |text: &str| Qty::parse(text.as_bytes()).expect("a size").0;
    let data = found.data;
    price(data.b) + qty(data.B) + price(data.a) + qty(data.A) + data.u as i64 + found.stream.len() as i64
}
fn serde_depth(text: &str) -> i64 {
    let found: Combined<'_, Diff<'_>> = serde_json::from_str(text).expect("JSON");
    let parse = |(price, qty): &(&str, &str)| {
        Price::parse(price.as_bytes()).expect("a price").0 + Qty::parse(qty.as_bytes()).expect("a size").0
    };
    found.data.b.iter().chain(&found.data.a).map(parse).sum::<i64>() + found.data.u as i64 + found.stream.len() as i64
}

fn decoders(clock: Clock) -> Value {
    let mut levels = Levels::new();
    let only = Some(instrument().symbol);
    let mut rows = serde_json::Map::new();
    for (name, text) in [("bookTicker", ticker_text()), ("depth 20+20", depth_text())] {
        let ours = ns_per_call(clock, CALLS / 5, || {
            black_box(frame(black_box(text.as_bytes()), only, &mut levels).is_ok());
        });
        let theirs = ns_per_call(clock, CALLS / 5, || {
            black_box(if name == "bookTicker" {
                serde_ticker(black_box(&text))
            } else {
                serde_depth(black_box(&text))
            });
        });
        println!(
            "decode {name:12} {:5} B   ours {ours:8.0} ns   serde_json {theirs:8.0} ns   {:.1} x",
            text.len(),
            theirs / ours
        );
        rows.insert(name.to_owned(), json!({"bytes": text.len(), "ours_ns": ours, "serde_json_ns": theirs}));
    }
    Value::Object(rows)
}

fn encoders(clock: Clock) -> Value {
    let signer = || Signer::hmac("s".repeat(64)).expect("a key");
    let mut encoder = Encoder::new(instrument(), "k".repeat(64), signer(), (1_000, 5_000));
    let id = ClientOrderId { epoch: 12, signal: 3, leg: Leg::List(1), attempt: 7 };
    let mut buf = Vec::with_capacity(2_048);
    let mut head = Head { request_id: 1, timestamp: Millis(1_795_348_800_123), logged_on: true, slack_ms: 0 };
    let logged_on = ns_per_call(clock, CALLS, || encoder.cancel_list(head, Target::Name(id), black_box(&mut buf)));
    head.logged_on = false;
    let signed = ns_per_call(clock, CALLS, || encoder.cancel_list(head, Target::Name(id), black_box(&mut buf)));
    let payload = [b'p'; 140];
    let key = signer();
    let hmac = ns_per_call(clock, CALLS, || {
        black_box(key.sign(black_box(&payload)));
    });
    let gate = last_gate(clock, &mut encoder);
    println!("last gate: reads an OCO of {} B in {:.0} ns", gate.0, gate.1);
    println!(
        "encode orderList.cancel: logged on {logged_on:.0} ns, with HMAC {signed:.0} ns; HMAC of 140 B {hmac:.0} ns"
    );
    json!({"cancel_list_ns": logged_on, "cancel_list_hmac_ns": signed, "hmac_140_ns": hmac, "last_gate_oco_ns": gate.1})
}

/// The longest text an order has, past the last gate with every rule in force. Output: its bytes, ns.
fn last_gate(clock: Clock, encoder: &mut Encoder) -> (usize, f64) {
    let name = |leg| ClientOrderId { epoch: 12, signal: 3, leg, attempt: 7 };
    let oco = NewOco {
        list: name(Leg::List(1)),
        take_profit: name(Leg::TakeProfit(1)),
        stop: name(Leg::Stop(1)),
        qty: Qty(10_000_000_000),
        tp_price: Price(16_500_000_000),
        stop_price: Price(15_500_000_000),
        stop_limit: Price(15_480_000_000),
    };
    let mut text = Vec::with_capacity(2_048);
    let head = Head { request_id: 1, timestamp: Millis(1_795_348_800_123), logged_on: false, slack_ms: 0 };
    encoder.place_oco(head, &oco, &mut text);
    let bounds = Bounds {
        order_notional_max: Notional(i64::MAX),
        order_qty_max: Qty(i64::MAX),
        collar: Ratio(5_000_000),
        mid_age_ns_max: i64::MAX,
        orders_per_s_max: 64,
    };
    let mut gate = LastGate::new(instrument().symbol, bounds);
    let mut now = Time(1_795_348_800_000_000_000);
    gate.set_mid(Price(16_100_000_000), now);
    let ns = ns_per_call(clock, CALLS, || {
        now = now.plus(NANOS_PER_SEC); // the pace allows two orders a second, and looks at all it remembers
        assert_eq!(gate.pass(black_box(&text), now), Ok(()));
    });
    (text.len(), ns)
}

/// What the page for the guard adds to each turn of both agents, and ten times a second or with a fill.
fn heartbeats(clock: Clock) -> Value {
    let beating = Beating::start(clock);
    let page = beating.page().expect("made above");
    let mut at = clock.now();
    let beat = ns_per_call(clock, CALLS, || {
        at = at.plus(1);
        page.beat_hot(black_box(at));
        page.beat_gateway(black_box(at));
    });
    let figures = heartbeat::Figures { trades_known_to: 7, ..heartbeat::Figures::default() };
    let write = ns_per_call(clock, CALLS, || page.write(black_box(figures)));
    println!("heartbeat: both agents {beat:.1} ns a turn; figures {write:.1} ns a write");
    json!({"beat_ns": beat, "figures_ns": write})
}

fn main() {
    if let Some(core) = cores::allowed().last() {
        _ = cores::pin_current(*core); // unpinned is only noisier
    }
    let clock = Clock::start();
    println!("steps, warm, µs{:19}      p50       p99     p99.9       max", "");
    let (slot, tick) = slot_step(clock);
    let entry = entry_step(clock);
    for (name, figures) in
        [("slot -> orderList.cancel", slot), ("tick -> nothing to do", tick), ("tick -> order.place", entry)]
    {
        println!("{name:34}{figures}");
    }
    let (decode, encode, heartbeat) = (decoders(clock), encoders(clock), heartbeats(clock));
    let mut verdicts = Vec::new();
    for (name, figures) in [("slot", slot), ("entry", entry)] {
        verdicts.push(report::verdict(&format!("step {name}: p50"), figures.p50 as f64 / 1e3, "µs", 1.0, true));
        verdicts.push(report::verdict(&format!("step {name}: p99"), figures.p99 as f64 / 1e3, "µs", 3.0, true));
    }
    let steps = json!({"slot": slot.json(), "tick": tick.json(), "entry": entry.json()});
    let rows = json!({
        "steps": steps, "decode": decode, "encode": encode, "heartbeat": heartbeat, "verdicts": verdicts,
    });
    report::write("steps", rows);
}
