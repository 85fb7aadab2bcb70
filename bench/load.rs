//! Mixed load: eleven streams, 50 000 messages a second, and what they change for an order.
//!
//! `cargo bench --bench load [-- seconds|quick] [park]`. Engine's thread (ingest, hot, gateway) on core 1; the scout on
//! a thread of its own, unpinned and parked; the venue, which is the load's writer too, is a process of its own on core 0.
//! Rounds without and with load take turns within one run, so the machine's mood is the same for both. Then the decoders
//! of the scout's feeds from memory.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::{Value, json};
use sol_volume_bot::ring::HotNote;
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::sys::cores;
use sol_volume_bot::sys::net::{ConnectBudget, Endpoint, HttpClient, Link, LinkConfig};
use sol_volume_bot::threads::runner::{Agent, Runner, Work};
use sol_volume_bot::threads::scout::{ChainPost, DexPost, KrakenPost, Post, Rest, Scout};
use sol_volume_bot::topology::ColdRings;
use sol_volume_bot::types::chain::VolumeBucket;
use sol_volume_bot::types::event::StreamState;
use sol_volume_bot::types::note::{Verb, WireNote};
use sol_volume_bot::types::{Event, EventKind, StreamId, Time};
use sol_volume_bot::venue::kraken::KrakenSettings;
use sol_volume_bot::venue::pumpchain::{ChainSession, Program, Settings, Venues};

#[allow(dead_code)] // the tests use the rest of it
#[path = "../tests/pumpchain/desk.rs"]
mod chain_desk;
#[allow(dead_code)] // the tests use the rest of it
#[path = "../tests/dex/desk.rs"]
mod dex_desk;
#[path = "rig/flood.rs"]
mod flood;
#[path = "rig/frames.rs"]
mod frames;
#[allow(dead_code)] // the tests use the rest of it
#[path = "../tests/kraken/desk.rs"]
mod kraken_desk;
#[path = "rig/rest.rs"]
mod rest;
#[allow(dead_code)] // the other benches use the rest of it
#[path = "rig/mod.rs"]
mod rig;
#[path = "rig/tide.rs"]
mod tide;

use chain_desk::{START_S, sol_pool};
use flood::STREAMS;
use rig::house::{self, ScoutRoom};
use rig::report::{self, Figures, Spread};
use rig::usage::{own_cpu_ns, rss_mb, schedstat};
use rig::venue::Trigger;
use tide::{Tide, be_the_tide};

/// Core of the engine; the venue has core 0.
const ENGINE_CORE: usize = 1;
/// How long a parking thread looks before it sleeps: the default of the config.
const SPIN_NS: i64 = 5_000;
/// Seconds of load, unless asked for otherwise.
const SECONDS: i64 = 60;
/// Of one round.
const ROUND_S: i64 = 10;
const ROWS_MAX: usize = 1_024;
/// Frames of each measurement from memory.
const FRAMES: u64 = 200_000;
const KINDS: usize = StreamId::ALL.len();

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let Some(tide) = Tide::of_args(&args) {
        return be_the_tide(tide);
    }
    if !cores::allowed().contains(&ENGINE_CORE) {
        println!("load: needs cores 0 and 1; this process may use {:?}", cores::allowed());
        return;
    }
    let is_quick = args.iter().any(|arg| arg == "quick");
    let asked = args.iter().find_map(|arg| arg.parse::<i64>().ok());
    let seconds = asked.unwrap_or(if is_quick { 10 } else { SECONDS });
    let round_s = if seconds < 2 * ROUND_S { (seconds / 2).max(1) } else { ROUND_S };
    let tide = Tide { rounds: seconds / round_s, seconds: round_s };
    let parks = args.iter().any(|arg| arg == "park");
    env_logger::Builder::new().filter_level(log::LevelFilter::Warn).init(); // why a connection ended
    let seen = run(tide, parks);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    println!("machine's load average after the run: {load}");
    let memory = thread::spawn(from_memory).join().expect("the decoders");
    let verdicts = judge(&seen, &memory);
    report::write(
        "load",
        json!({"parks": parks, "load_average": load, "run": seen, "memory": memory, "verdicts": verdicts}),
    );
}

/// What came out behind the product.
#[derive(Default)]
struct Seen {
    /// Stages of each order that answered a slot, tick-to-trade the last of them, and the phase.
    orders: Vec<(usize, [i64; 6])>,
    events: [u64; KINDS],
    gaps: [u64; KINDS],
    bad_frames: [u64; KINDS],
    reconnects: u64,
    /// Notes that found no room in the journal.
    lost: u64,
    /// Newest update numbers of Binance's and Kraken's book.
    depth_id: u64,
    kraken_id: u64,
}

/// The cold side: counts and measures. Runs on the engine's thread, behind the gateway.
struct Counter {
    cold: ColdRings,
    phase: Arc<AtomicUsize>,
    seen: Seen,
    result: Arc<Mutex<Seen>>,
}

impl Counter {
    fn hear(&mut self, event: &Event) {
        let (seen, stream) = (&mut self.seen, event.stream as usize);
        match event.kind {
            EventKind::Stream(StreamState::Gap) => seen.gaps[stream] += 1,
            EventKind::Stream(_) => {}
            kind => {
                seen.events[stream] += 1;
                match (event.stream, kind) {
                    (StreamId::BinanceDepth, EventKind::Depth(depth)) => seen.depth_id = depth.update_id,
                    (StreamId::KrakenBook, EventKind::Depth(depth)) => seen.kraken_id = depth.update_id,
                    _ => {}
                }
            }
        }
    }
    fn note(&mut self, note: &WireNote) {
        match note {
            WireNote::BadFrame { stream, .. } => self.seen.bad_frames[*stream as usize] += 1,
            WireNote::Reconnected { .. } => self.seen.reconnects += 1,
            WireNote::Sent { verb: Verb::CancelList, sent, trigger, stages_ns: [a, b, c, d, e], .. } => {
                let stages = [*a, *b, *c, *d, *e].map(i64::from);
                let [a, b, c, d, e] = stages;
                let phase = self.phase.load(Ordering::Relaxed); // a label, nothing hangs on it
                self.seen.orders.push((phase, [a, b, c, d, e, sent.since(*trigger)]));
            }
            _ => {}
        }
    }
}

impl Agent for Counter {
    fn turn(&mut self, _now: Time) -> Work {
        while let Some(note) = self.cold.hot.pop() {
            match note {
                HotNote::Event(event) => self.hear(&event),
                HotNote::Command(_) => {}
                HotNote::Lost(lost) => self.seen.lost += lost.events + lost.notes,
            }
        }
        while let Some(note) = self.cold.gateway.pop() {
            self.note(&note);
        }
        while let Some(note) = self.cold.ingest.pop().or_else(|| self.cold.scout.pop()) {
            self.note(&note);
        }
        Work::NONE
    }
    fn idle(&self) -> bool {
        true
    }
    fn deadline(&self) -> Option<Time> {
        None
    }
    fn finish(&mut self, now: Time) {
        self.turn(now);
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = std::mem::take(&mut self.seen);
    }
}

/// The scout as the house builds it, with three posts; and its thread.
fn scout(
    room: ScoutRoom,
    doors: [SocketAddr; 3],
    rest: SocketAddr,
    rows: Sender<VolumeBucket>,
    clock: Clock,
) -> (Runner, Scout) {
    let ScoutRoom { rings, runner, net } = room;
    let net = || net.with_budget(ConnectBudget::binance());
    let link = |number: usize| {
        let endpoint = Endpoint::parse(&format!("ws://{}/", doors[number])).expect("an endpoint");
        Link::new(LinkConfig::new(endpoint), net())
    };
    let rest = |name| {
        let endpoint = Endpoint::parse(&format!("http://{rest}")).expect("an endpoint");
        Rest::new(HttpClient::new(endpoint, net(), 4 << 20), name, None)
    };
    let now = clock.now();
    let chain = Settings { venues: Venues::CurveAndAmm, seed: 7, ..Settings::default() };
    let mut posts: Vec<Box<dyn Post>> = vec![
        Box::new(KrakenPost::new(link(0), rest("Kraken"), KrakenSettings::new(kraken_desk::sol()))),
        Box::new(DexPost::new(link(2), rest("the market account"), dex_desk::settings())),
        Box::new(ChainPost::new((link(1), rest("the pools"), None), chain, Vec::new(), rows, now)),
    ];
    let registry = runner.poller().registry().expect("a registry");
    posts.iter_mut().fold(0, |token, post| post.register(&registry, token).expect("tokens"));
    (runner, Scout::new(posts, rings, clock))
}

/// One run. Output: all that was seen, of both sides.
fn run(tide: Tide, parks: bool) -> Value {
    let program = std::env::current_exe().expect("this program");
    let mut venue = Command::new(program)
        .args(tide.args())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the venue");
    let mut said = BufReader::new(venue.stdout.take().expect("its words")).lines();
    let mut hear = move || -> Value {
        let line = said.next().expect("the venue ended before its time").expect("a line of the venue");
        serde_json::from_str(&line).expect("JSON")
    };
    let doors = hear();
    let addr = |value: &Value| value.as_str().and_then(|text| text.parse().ok()).expect("an address");
    let addrs: [SocketAddr; 3] = std::array::from_fn(|at| addr(&doors["doors"][at]));
    let further: [SocketAddr; 3] = std::array::from_fn(|at| addr(&doors["further"][at]));
    let rest = addr(&doors["rest"]);
    let at = house::Doors { addrs, ca_file: None };
    let house = house::build_with(at, rest, Trigger::Slot, ENGINE_CORE, parks.then_some(SPIN_NS));
    let (rows, buckets) = bounded(ROWS_MAX);
    let (scout_runner, scout) = scout(house.scout, further, rest, rows, house.clock);
    let (phase, result) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Seen::default())));
    let seen = Seen { orders: Vec::with_capacity(1 << 17), ..Seen::default() };
    let counter = Counter { cold: house.cold, phase: Arc::clone(&phase), seen, result: Arc::clone(&result) };
    let stop = Arc::new(AtomicBool::new(false));
    let agents: Vec<Box<dyn Agent>> =
        vec![Box::new(house.ingest), Box::new(house.hot), Box::new(house.gateway), Box::new(counter)];
    let trading = house.runner.spawn(agents, house.clock, Arc::clone(&stop)).expect("a thread");
    let scouting = scout_runner.spawn(vec![Box::new(scout)], house.clock, Arc::clone(&stop)).expect("a thread");
    let (phases, done) = follow(&mut hear, &phase, house.clock);
    let memory = rss_mb();
    let full: Value =
        house.gauges.iter().map(|gauge| (gauge.spec.name.to_owned(), json!(gauge.full_total()))).collect();
    stop.store(true, Ordering::Release); // pairs with the runners' Acquire
    scouting.join().expect("the scout's thread");
    trading.join().expect("the trading thread");
    drop(venue.stdin.take()); // its word to go
    venue.wait().expect("the venue's end");
    let seen = std::mem::take(&mut *result.lock().unwrap_or_else(PoisonError::into_inner));
    sum_up(&seen, &phases, &done, (memory, counted_trades(&buckets), full))
}

/// Follows the venue through its phases. Output: each phase, the shares of a core beside what the venue said; its last word.
fn follow(hear: &mut impl FnMut() -> Value, phase: &AtomicUsize, clock: Clock) -> (Vec<Value>, Value) {
    let mut phases = Vec::new();
    let cpu = || (clock.now(), schedstat("trading"), schedstat("scout"));
    let mut from = cpu();
    loop {
        let mut line = hear();
        if line["begin"].is_u64() {
            phase.store(phases.len() + 1, Ordering::Relaxed);
            from = cpu();
        } else if line["end"].is_u64() {
            phase.store(0, Ordering::Relaxed);
            let to = cpu();
            let percent = |ns: i64| ns as f64 / to.0.since(from.0) as f64 * 100.0;
            line["trading_percent"] = json!(percent(to.1[0] - from.1[0]));
            line["scout_percent"] = json!(percent(to.2[0] - from.2[0]));
            line["trading_waits_percent"] = json!(percent(to.1[1] - from.1[1]));
            phases.push(line);
        } else {
            return (phases, line);
        }
    }
}

/// Trades counted and lost, of the newest word on each bucket.
fn counted_trades(buckets: &Receiver<VolumeBucket>) -> (u64, u64) {
    let newest: HashMap<Time, VolumeBucket> = buckets.try_iter().map(|bucket| (bucket.start, bucket)).collect();
    let sum = |of: fn(&VolumeBucket) -> u32| newest.values().map(|bucket| u64::from(of(bucket))).sum();
    (sum(|bucket| bucket.trades), sum(|bucket| bucket.lost))
}

/// The figures of one stage over the phases that `wanted` takes.
fn figures(seen: &Seen, stage: usize, wanted: impl Fn(usize) -> bool) -> Figures {
    let mut spread = Spread::new();
    let orders = seen.orders.iter().filter(|(phase, _)| *phase > 0 && wanted(phase - 1));
    orders.for_each(|(_, stages)| spread.add(stages[stage]));
    spread.figures()
}

fn sum_up(seen: &Seen, phases: &[Value], done: &Value, (memory, trades, full): (f64, (u64, u64), Value)) -> Value {
    const STAGES: [&str; 6] = ["decode", "ring", "step", "encode", "write", "tick_to_trade"];
    let is_loaded = |phase: usize| phases.get(phase).is_some_and(|phase| phase["loaded"] == true);
    let stages = |wanted: &dyn Fn(usize) -> bool| -> Value {
        STAGES.iter().enumerate().map(|(at, name)| ((*name).to_owned(), figures(seen, at, wanted).json())).collect()
    };
    let mean = |key: &str, loaded: bool| {
        let of: Vec<f64> =
            phases.iter().filter(|phase| phase["loaded"] == loaded).filter_map(|phase| phase[key].as_f64()).collect();
        of.iter().sum::<f64>() / of.len().max(1) as f64
    };
    let loaded = phases.iter().filter(|phase| phase["loaded"] == true);
    let took_s = loaded.clone().filter_map(|phase| phase["took_ns"].as_f64()).sum::<f64>() / 1e9;
    let written = |stream: usize| loaded.clone().filter_map(|phase| phase["written"][stream].as_u64()).sum::<u64>();
    let rates: Value = STREAMS
        .iter()
        .enumerate()
        .map(|(at, (name, _))| ((*name).to_owned(), json!(written(at) as f64 / took_s)))
        .collect();
    let slots = loaded.clone().filter_map(|phase| phase["slots"].as_u64()).sum::<u64>();
    let total: u64 = (0..STREAMS.len()).map(written).sum::<u64>() + slots;
    let named = |counts: &[u64; KINDS]| -> Value {
        let known = StreamId::ALL.iter().filter(|stream| counts[**stream as usize] > 0);
        known.map(|stream| (stream.name().to_owned(), json!(counts[*stream as usize]))).collect()
    };
    let all = |stream: usize| done["written"][stream].as_u64().unwrap_or(0);
    let event = |stream: StreamId| seen.events[stream as usize];
    let arrived = json!({
        "binance_bbo": [done["ticks"], event(StreamId::BinanceBbo)],
        "binance_depth": [all(1), (seen.depth_id + 1).saturating_sub(10_000_000_000)],
        "binance_trade": [all(2), event(StreamId::BinanceTrade)],
        "solana_slot": [done["slots"], event(StreamId::SolanaSlot)],
        "kraken_book": [all(4), seen.kraken_id.saturating_sub(1)], // its snapshot is a message too
        "kraken_ticker": [all(5), event(StreamId::KrakenTicker)],
        "kraken_trade": [all(6), event(StreamId::KrakenTrade)],
        "chain_trades": [done["trades"], trades.0],
    });
    let each: Vec<Value> = (0..phases.len()).map(|at| json!(figures(seen, 5, |phase| phase == at).p50)).collect();
    json!({
        "off": stages(&|phase| !is_loaded(phase)),
        "off_even": stages(&|phase| phase % 4 == 0),
        "off_odd": stages(&|phase| phase % 4 == 2),
        "on": stages(&|phase| is_loaded(phase)),
        "tick_to_trade_p50_each": each,
        "wire_off": done["wire_off"], "wire_on": done["wire_on"],
        "msgs_s": total as f64 / took_s, "msgs": total, "load_s": took_s, "rates": rates,
        "arrived": arrived, "events": named(&seen.events), "lost_trades": trades.1,
        "full": full, "journal_lost": seen.lost, "gaps": named(&seen.gaps), "bad_frames": named(&seen.bad_frames),
        "reconnects": seen.reconnects, "late_ns": done["late_ns"], "overtaken": done["overtaken"],
        "trading_percent": [mean("trading_percent", false), mean("trading_percent", true)],
        "scout_percent": [mean("scout_percent", false), mean("scout_percent", true)],
        "trading_waits_percent": [mean("trading_waits_percent", false), mean("trading_waits_percent", true)],
        "rss_mb": memory, "phases": phases,
    })
}

fn sum_of(values: &Value) -> f64 {
    values.as_object().map_or(0.0, |map| map.values().filter_map(Value::as_f64).fold(0.0, |sum, value| sum + value))
}

fn judge(seen: &Value, memory: &Value) -> Vec<Value> {
    println!("mixed load, µs{:22}      p50       p99     p99.9       max     n", "");
    let line = |name: &str, value: &Value| println!("{name:36} {} {:6}", Figures::of(value), Figures::of(value).count);
    line("tick-to-trade without load", &seen["off"]["tick_to_trade"]);
    line("tick-to-trade with load", &seen["on"]["tick_to_trade"]);
    line("wire without load", &seen["wire_off"]);
    line("wire with load", &seen["wire_on"]);
    println!("messages a second by stream: {}", seen["rates"]);
    println!("written and arrived: {}", seen["arrived"]);
    println!("gaps {} undecodable {} rings full {}", seen["gaps"], seen["bad_frames"], seen["full"]);
    println!(
        "share of a core, % [without, with]: trading {} scout {}; rss {} MB",
        seen["trading_percent"], seen["scout_percent"], seen["rss_mb"]
    );
    println!(
        "share of the time that the trading thread was ready and had no core, %: {}",
        seen["trading_waits_percent"]
    );
    println!("p50 of tick-to-trade, ns, phase by phase: {}", seen["tick_to_trade_p50_each"]);
    println!("from memory: {memory}");
    let p50 = |value: &Value| Figures::of(value).p50.max(1) as f64;
    let p99 = |value: &Value| Figures::of(value).p99.max(1) as f64;
    let tick = |when: &str| &seen[when]["tick_to_trade"];
    let noise = p50(tick("off_odd")) / p50(tick("off_even"));
    println!("noise floor: {noise:.3} x between the p50 of one half of the rounds without load and the other's");
    println!(
        "p99 with load: {:.2} x tick-to-trade, {:.2} x wire; p50 of wire: {:.2} x",
        p99(tick("on")) / p99(tick("off")),
        p99(&seen["wire_on"]) / p99(&seen["wire_off"]),
        p50(&seen["wire_on"]) / p50(&seen["wire_off"])
    );
    let missing: f64 = seen["arrived"].as_object().map_or(0.0, |streams| {
        streams
            .values()
            .map(|pair| pair[0].as_f64().unwrap_or(0.0) - pair[1].as_f64().unwrap_or(0.0))
            .map(f64::abs)
            .sum()
    });
    let dropped = sum_of(&seen["full"]) + seen["journal_lost"].as_f64().unwrap_or(0.0);
    vec![
        report::verdict("load: messages a second", seen["msgs_s"].as_f64().unwrap_or(0.0), "msgs/s", 50_000.0, false),
        report::verdict("load: events dropped", dropped, "", 0.0, true),
        report::verdict("load: gaps told", sum_of(&seen["gaps"]), "", 0.0, true),
        report::verdict("load: frames that could not be decoded", sum_of(&seen["bad_frames"]), "", 0.0, true),
        report::verdict("load: messages written that did not arrive", missing, "", 0.0, true),
        report::verdict(
            "load: p50 of tick-to-trade, with load over without",
            p50(tick("on")) / p50(tick("off")),
            "x",
            1.15,
            true,
        ),
        report::verdict(
            "chain counter from memory",
            memory["chain_frames_s"].as_f64().unwrap_or(0.0),
            "frames/s",
            2_000.0,
            false,
        ),
    ]
}

/// The decoders of the scout's feeds alone, on the engine's core, in time of that core: neighbours do not count.
fn from_memory() -> Value {
    _ = cores::pin_current(ENGINE_CORE); // unpinned is only noisier
    let (chain, bytes) = chain_ns();
    let (kraken, dex) = (kraken_ns(), dex_ns());
    json!({"chain_frame_ns": chain, "chain_frame_bytes": bytes, "chain_frames_s": 1e9 / chain, "kraken_book_ns": kraken, "dex_account_ns": dex})
}

/// Mean time of a log frame through the counter, and its mean length; two in ten are of failed transactions.
fn chain_ns() -> (f64, u64) {
    let mut rig = chain_desk::Rig::new(Venues::CurveAndAmm);
    rig.session = ChainSession::new(Settings { seed: 11, ..Settings::default() });
    rig.session.on_mid(chain_desk::price("150"), rig.now);
    rig.connect(1);
    (0..frames::POOLS).for_each(|pool| rig.amm(1, &[pool; 32]));
    rig.answer_pools(sol_pool);
    let mut logs = Program::ALL.map(|program| frames::logs(program, START_S));
    let (mut bytes, mut frame) = (0, 0);
    let from = own_cpu_ns();
    for number in 0..FRAMES {
        let log = &mut logs[(number % 2) as usize][frame];
        frame = if number % 2 == 1 { (frame + 1) % 10 } else { frame };
        let text = log.template.text(number);
        bytes += text.len() as u64;
        assert!(rig.session.on_frame(1, text, rig.now, &mut |_| {}).is_ok());
    }
    let took = own_cpu_ns() - from;
    assert_eq!(rig.session.counters().trades, FRAMES * 8 / 10 + u64::from(frames::POOLS));
    (took as f64 / FRAMES as f64, bytes / FRAMES)
}

/// Mean time of a book message of one level, its checksum over twenty levels included.
fn kraken_ns() -> f64 {
    let (snapshot, mut updates) = frames::kraken_book();
    let mut rig = kraken_desk::Rig::new(KrakenSettings::new(kraken_desk::sol()));
    rig.open(1);
    rig.status(1, "online").expect("a status");
    rig.sent().iter().for_each(|request| rig.grant(1, request));
    rig.hear(&snapshot).expect("a snapshot");
    let count = updates.len();
    let from = own_cpu_ns();
    for number in 0..FRAMES {
        let text = updates[number as usize % count].text(number);
        assert!(rig.session.on_frame(1, text, rig.now, &mut |_| {}, &mut |_| {}).is_ok());
    }
    let took = own_cpu_ns() - from;
    assert!(rig.session.book().is_some(), "every checksum held");
    took as f64 / FRAMES as f64
}

/// Mean time of an account of forty orders.
fn dex_ns() -> f64 {
    let (accounts, mut session) = (frames::dex_accounts(), dex_desk::opened());
    let count = FRAMES / 100;
    let texts: Vec<Vec<u8>> = (0..count).map(|at| dex_desk::notice(1_000 + at, &accounts[(at % 2) as usize])).collect();
    let mut told = 0_u64;
    let from = own_cpu_ns();
    for text in &texts {
        assert!(session.on_frame(1, text, dex_desk::s(1), &mut |_| told += 1).is_ok());
    }
    let took = own_cpu_ns() - from;
    assert_eq!(told, count + 1, "each account is a new book, and the stream came up");
    took as f64 / count as f64
}
