//! The guard: a frozen, dead or losing engine's entries go, its position is sold if asked for; a living one is left alone.

use crate::rig::{Bot, House, PATIENCE, TELEGRAM_TOKEN, program, run_to_end};
use crate::stillness::{Stillness, outside_ns};
use sol_volume_bot::sim::scenario::{DEMO_ED25519_KEY, DEMO_ED25519_PEM, DEMO_HMAC_KEY, DEMO_HMAC_SECRET};
use sol_volume_bot::sim::server::{Fault, Snapshot};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::sys::heartbeat::{HEARTBEAT_FILE, Page};
use sol_volume_bot::types::time::NANOS_PER_MILLI;
use sol_volume_bot::types::{ClientOrderId, Leg, Qty, Side, Time};
use sol_volume_bot::venue::binance_spot::rest::API_KEY_HEADER;
use sol_volume_bot::venue::binance_spot::sign::Signer;
use std::time::Duration;

/// The patience that these tests configure.
const SILENCE_MS: i64 = 1_000;
/// What the guard promises beyond it.
const PROMISE_MS: i64 = 100;
/// Memory of the guard, unoptimised as the tests build it.
const RSS_KB_MAX: u64 = 30 << 10;
/// What a machine that runs other tests at the same time may add.
const BUSY_MS: i64 = 1_500;

/// An engine and a guard over one account, each with a key of its own.
struct Watched {
    house: House,
    clock: Clock,
}

impl Drop for Watched {
    fn drop(&mut self) {
        // A killed engine leaves its page in memory; the link below the folder names it.
        drop(std::fs::canonicalize(self.house.data().join(HEARTBEAT_FILE)).and_then(std::fs::remove_file));
    }
}

impl Watched {
    fn new(name: &str) -> Watched {
        let mut house = House::new(name);
        house.set("execution", "tranches", "1");
        house.set("guard", "binance_key", "\"GUARD_API_KEY\"");
        house.set("guard", "binance_sec", "\"GUARD_SECRET\"");
        house.set("guard", "binance_key_type", "\"ed25519\"");
        house.set("guard", "patience_ms", &SILENCE_MS.to_string());
        house.secret("GUARD_API_KEY", DEMO_ED25519_KEY);
        house.secret("GUARD_SECRET", &DEMO_ED25519_PEM.replace('\n', "\\n"));
        Watched { house, clock: Clock::start() }
    }

    /// An engine that holds coins, each behind a stop.
    fn engine(&self) -> Bot {
        let (mut engine, _) = self.house.open();
        engine.line("ENTER");
        engine.line("PROTECTED");
        let whole = |at: &Snapshot| at.coins("SOL").0 > 0 && at.open_lists.len() == 2;
        let (at, is_whole) = self.house.venue.wait_for(PATIENCE, whole);
        assert!(is_whole, "two lists guard the coins: {:?}", at.open_orders);
        engine
    }

    /// A guard that has not proven its key yet.
    fn guard_starting(&self) -> Bot {
        let mut command = program(&self.house.folder);
        command.args(["guard", "--config", "config.toml", "--mode", "live", "--data-dir"]).arg(self.house.data());
        Bot::spawn(command)
    }
    fn guard(&self) -> Bot {
        let mut guard = self.guard_starting();
        let ready = guard.line("GUARD_READY");
        let rss_kb = ready["rss_kb"].as_u64().expect("a number");
        println!("the guard holds {rss_kb} KiB");
        assert!((1..RSS_KB_MAX).contains(&rss_kb), "{rss_kb} KiB");
        guard
    }

    /// Rests a buy that looks like an entry of the engine's, placed with the engine's key.
    fn rest_an_entry(&self, attempt: u16) -> ClientOrderId {
        let id = ClientOrderId { epoch: 1, signal: 900, leg: Leg::Entry(1), attempt };
        self.rest_a_buy(&id.to_string());
        id
    }
    fn rest_a_buy(&self, name: &str) {
        self.house.venue.deposit("USDT", 1_500_000_000); // the engine has spent what there was
        let order = "symbol=SOLUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=140";
        let stamp = self.clock.now().millis().0;
        let query = format!("{order}&newClientOrderId={name}&recvWindow=5000&timestamp={stamp}");
        let signer = Signer::hmac(DEMO_HMAC_SECRET.to_owned()).expect("a secret");
        let url = self.house.venue.http_url("/api/v3/order");
        let url = format!("{url}?{query}&signature={}", signer.sign(query.as_bytes()).as_str());
        let answer = ureq::post(&url).header(API_KEY_HEADER, DEMO_HMAC_KEY).send_empty();
        assert_eq!(answer.expect("the venue takes it").status(), 200);
    }

    /// Waits until nothing of ours buys any more.
    fn entries_are_gone(&self) -> Snapshot {
        let (at, gone) = self.house.venue.wait_for(PATIENCE, |at| entries(at) == 0);
        assert!(gone, "{:?}", at.open_orders);
        at
    }
    /// When the last cancel arrived at the venue.
    fn last_cancel(&self) -> Time {
        let received = self.house.venue.received();
        let cancels = received.iter().filter(|request| request.method == "order.cancel");
        cancels.map(|request| request.at).max().expect("a cancel")
    }
}

/// Entries of ours that rest.
fn entries(at: &Snapshot) -> usize {
    let ours = |order: &&sol_volume_bot::sim::exchange::Order| {
        order.side == Side::Buy && ClientOrderId::parse(order.client_id.as_bytes()).is_some()
    };
    at.open_orders.iter().filter(ours).count()
}

#[test]
fn a_frozen_engines_entries_are_cancelled_in_time_and_its_protective_orders_stay() {
    let mut watched = Watched::new("guard-frozen");
    watched.house.with_alerts();
    let mut engine = watched.engine();
    let mut guard = watched.guard();
    watched.rest_a_buy("by-hand");
    let stillness = Stillness::watch(watched.clock);
    let frozen = watched.clock.now();
    engine.signal(libc::SIGSTOP);
    watched.rest_an_entry(1);
    watched.rest_an_entry(2);
    let at = watched.entries_are_gone();
    let after_ms = outside_ns(&stillness.spans(), frozen, watched.last_cancel()) / NANOS_PER_MILLI;
    let act = guard.line("GUARD_ACT");
    println!("the last cancel arrived {after_ms} ms after SIGSTOP, patience {SILENCE_MS} ms: {act}");
    assert_eq!(act["cause"], "frozen");
    assert!(after_ms <= SILENCE_MS + PROMISE_MS + BUSY_MS, "{after_ms} ms");
    assert_eq!(at.open_lists.len(), 2, "the protective orders stay");
    assert!(at.open_orders.iter().any(|order| order.client_id == "by-hand"), "and what is not ours");
    let done = guard.line("GUARD_DONE");
    assert_eq!(done["protective_orders"], 4, "{done}");
    guard.next("FATAL", |line| line["guard"] == "frozen");
    let (at, told) = watched.house.venue.wait_for(PATIENCE, |at| at.alerts > 0);
    assert!(told, "somebody is woken: {}", at.alerts);

    engine.signal(libc::SIGCONT);
    guard.line("GUARD_OVER");
    engine.signal(libc::SIGSTOP);
    watched.rest_an_entry(3);
    watched.entries_are_gone();
    guard.line("GUARD_ACT");
    engine.signal(libc::SIGCONT);
    guard.line("GUARD_OVER");
    engine.count("FATAL");
    assert_eq!(engine.stop().code, Some(0), "the engine goes on as if nothing had been");
    let ended = guard.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for secret in [DEMO_ED25519_KEY, "PRIVATE KEY", TELEGRAM_TOKEN, DEMO_HMAC_SECRET] {
        assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret), "a secret is told");
    }
    assert_eq!(watched.house.venue.conserved(), Ok(()));
}

#[test]
fn a_killed_engines_entries_are_cancelled_and_a_restarted_engine_trades_on() {
    let watched = Watched::new("guard-killed");
    let engine = watched.engine();
    let mut guard = watched.guard();
    engine.signal(libc::SIGKILL);
    watched.rest_an_entry(1);
    assert_eq!(watched.entries_are_gone().open_lists.len(), 2);
    assert_eq!(guard.line("GUARD_ACT")["cause"], "dead");
    guard.line("GUARD_DONE");
    drop(engine);
    let (engine, _) = watched.house.open();
    guard.line("GUARD_OVER");
    assert_eq!(engine.stop().code, Some(0));
    assert_eq!(guard.stop().code, Some(0));
}

#[test]
fn an_engine_that_lives_or_ended_cleanly_needs_no_guard() {
    let watched = Watched::new("guard-clean");
    let engine = watched.engine();
    let mut guard = watched.guard();
    let long = Duration::from_millis(u64::try_from(3 * SILENCE_MS).expect("positive"));
    let before = watched.house.venue.snapshot().received;
    let nothing = |at: &Snapshot| at.received > before;
    assert!(!watched.house.venue.wait_for(long, nothing).1, "it lives: nothing is sent");
    assert_eq!(engine.stop().code, Some(0));
    assert!(Page::open(&watched.house.data()).expect("sound").is_none(), "a clean end leaves no page");
    let before = watched.house.venue.snapshot().received;
    let nothing = |at: &Snapshot| at.received > before;
    assert!(!watched.house.venue.wait_for(long, nothing).1, "it ended cleanly: nothing is sent");
    assert_eq!(guard.count("GUARD_ACT"), 0);
    assert_eq!(guard.stop().code, Some(0));
}

#[test]
fn flatten_ends_a_frozen_engine_and_sells_its_position_and_not_a_coin_more() {
    let mut watched = Watched::new("guard-flatten");
    watched.house.set("guard", "on_dead", "\"flatten\"");
    watched.house.venue.deposit("SOL", 700_000_000); // 7 coins that the engine did not buy
    let engine = watched.engine();
    let mut guard = watched.guard();
    engine.signal(libc::SIGSTOP);
    watched.rest_an_entry(1);
    guard.line("GUARD_ACT");
    let sold = |at: &Snapshot| at.open_orders.is_empty() && at.coins("SOL").0 < 7_100_000_000;
    let (at, is_sold) = watched.house.venue.wait_for(PATIENCE, sold);
    assert!(is_sold, "{:?} {:?}", at.coins("SOL"), at.open_orders);
    let done = guard.next("FATAL", |line| line["guard"] == "frozen");
    assert!(done["msg"].as_str().is_some_and(|msg| msg.contains("sold")), "{done}");
    let at = watched.house.venue.snapshot();
    let left = at.coins("SOL");
    assert!(left >= Qty(7_000_000_000), "the coins that were there before are not sold: {left}");
    assert_eq!(engine.ended().code, None, "the frozen engine is ended first: it cannot thaw into the sale");
    assert_eq!(watched.house.venue.conserved(), Ok(()));

    let (engine, _) = watched.house.open();
    guard.line("GUARD_OVER");
    assert_eq!(engine.stop().code, Some(0));
    assert_eq!(
        watched.house.query("SELECT count(*) FROM fills WHERE side = 'SELL'"),
        at_sales(&at),
        "booked at its start"
    );
    assert_eq!(guard.stop().code, Some(0));
}

/// Fills that sold.
fn at_sales(at: &Snapshot) -> i64 {
    let sales = at.trades.iter().filter(|trade| trade.side == Side::Sell).count();
    i64::try_from(sales).expect("few")
}

#[test]
fn an_engine_over_the_loss_limit_is_stopped_and_its_protective_orders_stay() {
    let mut watched = Watched::new("guard-loss");
    watched.house.set("guard", "loss_limit_pct", "0.02");
    let mut engine = watched.engine();
    let mut guard = watched.guard();
    watched.house.quote(15_599, 15_600); // above the stop at 155
    assert_eq!(guard.line("GUARD_ACT")["cause"], "over_loss_limit");
    engine.line("SHUTDOWN");
    let ended = engine.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    guard.next("FATAL", |line| line["guard"] == "over_loss_limit");
    assert_eq!(watched.house.venue.snapshot().open_lists.len(), 2);
    assert_eq!(guard.stop().code, Some(0));
}

#[test]
fn a_guard_that_starts_beside_a_frozen_engine_acts_at_once() {
    let watched = Watched::new("guard-late");
    let engine = watched.engine();
    let beat = Page::open(&watched.house.data()).expect("sound").expect("a page");
    engine.signal(libc::SIGSTOP);
    let seen = watched.clock.now();
    watched.rest_an_entry(1);
    let silent = |at: &Snapshot| watched.clock.now().since(seen) < SILENCE_MS * NANOS_PER_MILLI && at.received == 0;
    watched.house.venue.wait_for(Duration::from_millis(1), silent);
    let mut guard = watched.guard_starting();
    watched.entries_are_gone();
    assert_eq!(guard.line("GUARD_ACT")["cause"], "frozen");
    assert!(beat.read().expect("sound").process.is_alive(), "cancel_entries leaves the engine alone");
    engine.signal(libc::SIGCONT);
    guard.line("GUARD_OVER");
    assert_eq!(guard.stop().code, Some(0));
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn a_guard_whose_connection_is_cut_in_the_incident_finds_another_way() {
    let watched = Watched::new("guard-cut");
    let engine = watched.engine();
    let mut guard = watched.guard();
    engine.signal(libc::SIGSTOP);
    watched.rest_an_entry(1);
    watched.house.venue.fault(Fault::Unavailable(2));
    watched.house.venue.fault(Fault::DropWsApi);
    watched.entries_are_gone();
    guard.line("GUARD_DONE");
    engine.signal(libc::SIGKILL);
    assert_eq!(guard.stop().code, Some(0));
}

#[test]
fn a_guard_that_could_not_guard_does_not_start() {
    let mut watched = Watched::new("guard-refused");
    let args = ["guard", "--config", "config.toml", "--mode", "live", "--data-dir", "data"];
    let refused = |watched: &Watched, code: i32, why: &str| {
        watched.house.write();
        let ended = run_to_end(&watched.house.folder, &args);
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
        assert!(!ended.stderr.contains("PRIVATE KEY"), "{}", ended.stderr);
    };
    watched.house.secret("GUARD_API_KEY", "a-key-that-the-venue-never-heard-of");
    refused(&watched, 3, "-2015");
    watched.house.secret("GUARD_API_KEY", DEMO_HMAC_KEY);
    refused(&watched, 2, "the engine's own key");
    watched.house.unset("guard", "binance_sec");
    refused(&watched, 2, "guard.binance_sec");
    watched.house.unset("guard", "binance_key");
    refused(&watched, 2, "guard.binance_key");
    let paper = run_to_end(&watched.house.folder, &["guard", "--config", "config.toml", "--if-configured"]);
    assert_eq!(paper.code, Some(0), "{}", paper.stderr);
}

#[test]
fn one_guard_per_data_directory() {
    let watched = Watched::new("guard-two");
    watched.house.write();
    let first = watched.guard();
    let second = watched.guard_starting().ended();
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains("another guard"), "{}", second.stderr);
    assert_eq!(first.stop().code, Some(0));
}
