//! Sustained ingest: frames decoded and applied by one core, from memory and from a socket; what a parked engine takes
//! at 5 000 messages a second and at rest; memory.
//!
//! `cargo bench --bench ingest`. From memory: the market session with a synced book. From a socket: the ingest and hot
//! agents on core 1, the other side writes from core 0 as fast as it can; book ticks and trades (no depth there: its
//! snapshot would come by REST).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;
use sol_volume_bot::ring::HotNote;
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::sys::cores;
use sol_volume_bot::threads::runner::Agent;
use sol_volume_bot::types::time::NANOS_PER_SEC;
use sol_volume_bot::types::{StreamId, Time};
use sol_volume_bot::venue::binance_spot::market::{FrameKind, MarketSession};

#[allow(dead_code)] // the other benches use the rest of it
#[path = "rig/mod.rs"]
mod rig;

use rig::house::{self, market_settings};
use rig::report;
use rig::stages::Sweeper;
use rig::usage::{cpu_ns, rss_mb};
use rig::venue::{Doors, Trigger, Venue};

const FRAMES: u64 = 1_000_000;
const PACED: i64 = 5_000;
/// How long a parking thread looks before it sleeps: the default of `threads.spin_us`.
const SPIN_NS: i64 = 5_000;
const LOOK_NS: i64 = 5 * NANOS_PER_SEC;
const ENGINE_CORE: usize = 1;

/// The `number`-th text of a synthetic stream: of ten, seven book ticks and three trades, one of which is a depth diff
/// where `depth` asks for it.
fn text(number: u64, depth: bool) -> String {
    let cents = 16_000 + number % 97;
    let (bid, ask) =
        (format!("{}.{:02}", cents / 100, cents % 100), format!("{}.{:02}", (cents + 1) / 100, (cents + 1) % 100));
    match number % 10 {
        0..=6 => format!(
            r#"{{"stream":"solusdt@bookTicker","data":{{"u":{number},"s":"SOLUSDT","b":"{bid}000000","B":"31.21000000","a":"{ask}000000","A":"40.66000000"}}}}"#
        ),
        7 if depth => {
            let (first, level, size) = (number - 9, number % 97, 1 + number % 50);
            format!(
                r#"{{"stream":"solusdt@depth@100ms","data":{{"e":"depthUpdate","E":1795348800123,"s":"SOLUSDT","U":{first},"u":{number},"b":[["159.{level:02}000000","12.48300000"],["159.98000000","{size}.00000000"]],"a":[["162.{level:02}000000","7.00000000"],["162.98000000","0.00000000"]]}}}}"#
            )
        }
        last => {
            let of_ten = if depth { 2 } else { 3 };
            let trade_id = number / 10 * of_ten + last + of_ten - 10; // the venue's trade numbers have no holes
            format!(
                r#"{{"stream":"solusdt@trade","data":{{"e":"trade","E":1795348800123,"s":"SOLUSDT","t":{trade_id},"p":"{bid}000000","q":"0.31000000","T":1795348800122,"m":true,"M":true}}}}"#
            )
        }
    }
}

/// Messages a second through the session alone, its book synced; panics if one is not applied.
fn from_memory(clock: Clock) -> f64 {
    const SNAPSHOT: &[u8] =
        br#"{"lastUpdateId":17,"bids":[["159.95000000","1.00000000"]],"asks":[["162.50000000","1.00000000"]]}"#;
    let texts: Vec<String> = (10..=FRAMES / 5).map(|number| text(number, true)).collect();
    let mut session = MarketSession::new(market_settings());
    let now = clock.now();
    session.on_open(1, now);
    let mut feed = |text: &String| session.on_frame(1, text.as_bytes(), now, &mut |_| {}).expect("a frame");
    let (first, rest) = texts.split_at(20); // two depth diffs: the snapshot stands between them
    first.iter().for_each(|text| assert_eq!(feed(text), FrameKind::Data));
    assert!(session.on_snapshot(SNAPSHOT, now, &mut |_| {}).is_ok() && session.book().is_some(), "a book");
    let mut feed = |text: &String| session.on_frame(1, text.as_bytes(), now, &mut |_| {}).expect("a frame");
    let from = clock.now();
    rest.iter().for_each(|text| assert_eq!(feed(text), FrameKind::Data));
    let took = clock.now().since(from);
    assert!(session.book().is_some(), "no diff was lost");
    rest.len() as f64 / took as f64 * 1e9
}

/// Server frames of many texts in a row.
fn frames(numbers: std::ops::RangeInclusive<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in numbers {
        let text = text(number, false);
        bytes.extend_from_slice(&[0x81, 126]);
        bytes.extend_from_slice(&u16::try_from(text.len()).expect("a short frame").to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

/// Messages a second from the socket through ingest, ring and engine; events dropped on the way.
fn from_socket(clock: Clock) -> (f64, u64) {
    let bytes = frames(2..=FRAMES + 1);
    let doors = Doors::open(None);
    let at = house::Doors { addrs: doors.addrs, ca_file: None };
    let mut house = house::build(at, Trigger::Slot, ENGINE_CORE, None);
    let (go, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (theirs_go, theirs_over) = (Arc::clone(&go), Arc::clone(&over));
    let writer = thread::spawn(move || {
        _ = cores::pin_current(0); // unpinned is only noisier
        let mut venue = doors.welcome(Trigger::Slot);
        venue.open_session();
        theirs_go.store(true, Ordering::Release);
        venue.pour(&bytes);
        while !theirs_over.load(Ordering::Acquire) {
            venue.idle();
        }
    });
    _ = cores::pin_current(ENGINE_CORE); // unpinned is only noisier
    let market = Arc::clone(&house.market);
    let mut from = Time::NONE;
    let mut taken_last = clock.now();
    let mut notes = 0_u64;
    loop {
        let now = clock.now();
        house.ingest.turn(now);
        house.hot.turn(now);
        house.gateway.turn(now);
        let mut fresh = 0_u64;
        while let Some(note) = house.cold.hot.pop() {
            let of_market = [StreamId::BinanceBbo, StreamId::BinanceTrade];
            fresh += u64::from(matches!(note, HotNote::Event(event) if of_market.contains(&event.stream)));
        }
        while house.cold.ingest.pop().is_some() || house.cold.gateway.pop().is_some() {}
        if fresh > 0 {
            if from == Time::NONE {
                from = now;
            }
            notes += fresh;
            taken_last = clock.now();
        }
        let is_quiet =
            go.load(Ordering::Acquire) && clock.now().since(taken_last) > NANOS_PER_SEC && market.depth() == 0;
        if notes >= FRAMES || (is_quiet && notes > 0) {
            break;
        }
    }
    over.store(true, Ordering::Release);
    writer.join().expect("the writer");
    (notes as f64 / taken_last.since(from) as f64 * 1e9, market.full_total())
}

/// Percent of a core that a parked engine takes: at `PACED` messages a second, and at rest; and its memory.
fn parked(clock: Clock) -> (f64, f64, f64) {
    let doors = Doors::open(None);
    let addrs: [SocketAddr; 3] = doors.addrs;
    let house = house::build(house::Doors { addrs, ca_file: None }, Trigger::Slot, ENGINE_CORE, Some(SPIN_NS));
    let (sweeper, _) = Sweeper::new(house.cold, Trigger::Slot, house.has_traded);
    let stop = Arc::new(AtomicBool::new(false));
    let agents: Vec<Box<dyn Agent>> =
        vec![Box::new(house.ingest), Box::new(house.hot), Box::new(house.gateway), Box::new(sweeper)];
    let trading = house.runner.spawn(agents, house.clock, Arc::clone(&stop)).expect("a thread");
    _ = cores::pin_current(0); // unpinned is only noisier
    let mut venue = doors.welcome(Trigger::Slot);
    venue.open_session();
    let share = |venue: &mut Venue, rate: Option<i64>| {
        let (from, cpu_from) = (clock.now(), cpu_ns("trading"));
        let mut next = from;
        let mut number = venue.now().0.unsigned_abs() / 1_000; // rises from one call to the next
        while clock.now().since(from) < LOOK_NS {
            venue.idle();
            if let Some(rate) = rate.filter(|_| clock.now() >= next) {
                number += 1;
                venue.pour(&frames(number..=number));
                next = next.plus(NANOS_PER_SEC / rate);
            }
        }
        (cpu_ns("trading") - cpu_from) as f64 / clock.now().since(from) as f64 * 100.0
    };
    let busy = share(&mut venue, Some(PACED));
    let idle = share(&mut venue, None);
    let memory = rss_mb();
    stop.store(true, Ordering::Release); // pairs with the runner's Acquire
    trading.join().expect("the trading thread");
    (busy, idle, memory)
}

fn main() {
    if !cores::allowed().contains(&ENGINE_CORE) {
        println!("ingest: needs cores 0 and 1; this process may use {:?}", cores::allowed());
        return;
    }
    let clock = Clock::start();
    let (busy, idle, memory) = parked(clock); // first: the others' big buffers are no part of the engine's memory
    let socket = thread::spawn(move || from_socket(clock)).join().expect("the socket run");
    let memory_run = thread::spawn(move || from_memory(clock)).join().expect("the memory run");
    println!("ingest from memory, a depth diff in ten: {memory_run:.0} msgs/s");
    let verdicts = [
        report::verdict("ingest from the socket, decoded and applied", socket.0, "msgs/s", 200_000.0, false),
        report::verdict("ingest from the socket: events dropped", socket.1 as f64, "", 0.0, true),
        report::verdict("parked at 5 000 msgs/s: share of a core", busy, "%", 15.0, true),
        report::verdict("parked at rest: share of a core", idle, "%", 5.0, true),
        report::verdict("resident memory of engine and venue script", memory, "MB", 60.0, true),
    ];
    report::write(
        "ingest",
        json!({"memory_msgs_s": memory_run, "socket_msgs_s": socket.0, "dropped": socket.1, "parked_5k_percent": busy,
               "parked_idle_percent": idle, "rss_mb": memory, "verdicts": verdicts}),
    );
}
