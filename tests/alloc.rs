//! After warm-up the trading thread allocates nothing: not from a frame received to an order written, nor around it.
//!
//! The real agents run on the test's own thread, turn by turn as the runner turns them, against a scripted venue on
//! another thread. Every allocation of every turn counts, so answers, timers and journals are in it too; only the turns
//! in which the test itself puts a new engine behind the rings are left out.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustls::ServerConfig;
use sol_volume_bot::threads::runner::Agent;
use sol_volume_bot::types::note::{Verb, WireNote};
use sol_volume_bot::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};

mod counting;

#[allow(dead_code)] // the benches use the rest of it
#[path = "../bench/rig/mod.rs"]
mod rig;

use rig::certs::Ca;
use rig::house::{self, House};
use rig::venue::{Doors, Trigger};

/// Rounds before the count begins; each is a trigger, its order, the answers and what follows from them.
const WARM_UP: u32 = 100;
const COUNTED: u32 = 1_100;
/// Between the book's move and the slot, which travel by two connections.
const SETTLE_NS: i64 = NANOS_PER_MILLI / 10;
const RUN_NS_MAX: i64 = 60 * NANOS_PER_SEC;

/// Two threads spin in each test: side by side they would only wait for each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What the venue's thread and the trading thread tell each other.
#[derive(Default)]
struct Score {
    rounds: AtomicU32,
    over: AtomicBool,
}

/// Allocations of the trading thread, and orders that it sent, after warm-up.
#[derive(Debug, PartialEq, Eq)]
struct Counted {
    allocations: u64,
    orders: u32,
}

fn run_venue(doors: Doors, trigger: Trigger, engines: &AtomicU32, score: &Score) {
    let mut venue = doors.welcome(trigger);
    venue.open_session();
    let mut engine = 0;
    for _ in 0..WARM_UP + COUNTED {
        while trigger == Trigger::Entry && engines.load(Ordering::Acquire) == engine {
            venue.idle();
        }
        engine = engines.load(Ordering::Acquire);
        venue.prepare();
        let settled = venue.now().plus(SETTLE_NS);
        while venue.now() < settled {
            venue.idle();
        }
        venue.fire();
        score.rounds.fetch_add(1, Ordering::Relaxed);
    }
    score.over.store(true, Ordering::Relaxed);
}

/// `fault` = allocate once with every order sent, to show that it would be seen.
fn count_rounds(trigger: Trigger, tls: Option<&(Ca, Arc<ServerConfig>)>, fault: bool) -> Counted {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let doors = Doors::open(tls.map(|(_, config)| Arc::clone(config)));
    let at = house::Doors { addrs: doors.addrs, ca_file: tls.map(|(ca, _)| ca.file.as_path()) };
    let mut house = house::build(at, trigger, 0, None);
    let score = Arc::new(Score::default());
    let (engines, theirs) = (Arc::clone(&house.engines), Arc::clone(&score));
    let venue = thread::spawn(move || run_venue(doors, trigger, &engines, &theirs));
    let mut counted = Counted { allocations: 0, orders: 0 };
    let end = house.clock.now().plus(RUN_NS_MAX);
    while !score.over.load(Ordering::Relaxed) {
        assert!(!venue.is_finished() || score.over.load(Ordering::Relaxed), "the venue gave up");
        assert!(house.clock.now() < end, "after {} rounds", score.rounds.load(Ordering::Relaxed));
        turn(&mut house, trigger, score.rounds.load(Ordering::Relaxed) >= WARM_UP, fault, &mut counted);
    }
    venue.join().expect("the venue's thread");
    counted
}

/// One turn of the trading thread.
fn turn(house: &mut House, trigger: Trigger, is_warm: bool, fault: bool, counted: &mut Counted) {
    let verb = if trigger == Trigger::Slot { Verb::CancelList } else { Verb::Place };
    let engines = house.engines.load(Ordering::Relaxed);
    let before = counting::allocations();
    let now = house.clock.now();
    house.ingest.turn(now);
    house.hot.turn(now);
    house.gateway.turn(now);
    let mut orders = 0;
    while let Some(note) = house.cold.gateway.pop() {
        orders += u32::from(matches!(note, WireNote::Sent { verb: sent, .. } if sent == verb));
    }
    while house.cold.hot.pop().is_some() || house.cold.ingest.pop().is_some() {}
    if orders > 0 {
        house.has_traded.store(true, Ordering::Relaxed);
    }
    if fault && orders > 0 {
        drop(std::hint::black_box(Box::new(orders)));
    }
    if is_warm && engines == house.engines.load(Ordering::Relaxed) {
        counted.allocations += counting::allocations() - before;
        counted.orders += orders;
    }
}

fn tls() -> (Ca, Arc<ServerConfig>) {
    let ca = Ca::new();
    let config = ca.server(&[&rustls::version::TLS13]);
    (ca, config)
}

fn assert_none(counted: &Counted) {
    assert!(counted.orders >= 1_000, "only {} orders were counted", counted.orders);
    assert_eq!(counted.allocations, 0, "allocations in the turns of {} orders", counted.orders);
}

#[test]
fn from_slot_to_cancel_and_new_pair_nothing_is_allocated_over_plain_tcp() {
    assert_none(&count_rounds(Trigger::Slot, None, false));
}

#[test]
fn from_slot_to_cancel_and_new_pair_nothing_is_allocated_over_tls() {
    assert_none(&count_rounds(Trigger::Slot, Some(&tls()), false));
}

#[test]
fn from_book_tick_to_entry_order_nothing_is_allocated_over_plain_tcp() {
    assert_none(&count_rounds(Trigger::Entry, None, false));
}

#[test]
fn from_book_tick_to_entry_order_nothing_is_allocated_over_tls() {
    assert_none(&count_rounds(Trigger::Entry, Some(&tls()), false));
}

#[test]
fn an_allocation_with_every_order_would_be_counted() {
    let counted = count_rounds(Trigger::Slot, None, true);
    assert_eq!(counted.allocations, u64::from(counted.orders), "as many as orders");
}
