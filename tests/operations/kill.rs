//! The kill switch of the real binary, by each of its three doors: the venue hears the cancel of everything before
//! anything else, then the sale of what is proven, and no entry any more; and the milder words of the control socket.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use sol_volume_bot::sim::server::{Fault, Received, Snapshot};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::types::time::NANOS_PER_SEC;

use crate::rig::{Bot, Ended, House, OPS_TOKEN, Ops, PATIENCE, run_to_end};
use crate::stillness::Stillness;

/// What a word is said through.
#[derive(Clone, Copy, Debug)]
enum Door {
    Verb,
    Post,
    Signal,
}

fn verb(house: &House, word: &str) -> Ended {
    let data = house.data();
    run_to_end(&house.folder, &[word, "--json", "--data-dir", data.to_str().expect("UTF-8")])
}

/// An engine that holds coins under two pairs and still has tranches to buy.
fn holding(house: &House) -> (Bot, Ops) {
    let (mut bot, ops) = house.open();
    bot.line("ENTER");
    bot.line("PROTECTED");
    let whole = |snapshot: &Snapshot| snapshot.coins("SOL").0 > 0 && snapshot.open_lists.len() == 2;
    assert!(house.venue.wait_for(PATIENCE, whole).1, "two lists guard the coins");
    (bot, ops)
}

fn is_trading(request: &Received) -> bool {
    request.method.starts_with("order") || request.method.starts_with("openOrders.cancel")
}

fn kill_by(door: Door, name: &str) {
    let house = House::new(name);
    let (mut bot, ops) = holding(&house);
    let before = house.venue.received().len();
    match door {
        Door::Verb => {
            let said = verb(&house, "kill");
            assert_eq!(said.code, Some(0), "{}", said.stderr);
            let answer: Value = serde_json::from_str(&said.stdout).expect("JSON");
            assert_eq!((&answer["accepted"], &answer["cancels"]), (&"kill".into(), &"written".into()), "{answer}");
        }
        Door::Post => assert_eq!(ops.post("/api/kill", Some(OPS_TOKEN)), 202),
        Door::Signal => bot.signal(libc::SIGUSR1),
    }
    let sold = |snapshot: &Snapshot| snapshot.open_orders.is_empty() && snapshot.coins("SOL").0 < 10_000_000;
    let (after, is_sold) = house.venue.wait_for(PATIENCE, sold);
    assert!(is_sold, "only dust is left: {:?} {:?}", after.coins("SOL"), after.open_orders);
    bot.line("TRADE_CLOSED");
    let clock = Clock::start();
    let past_the_last_tranche = clock.now().plus(5 * NANOS_PER_SEC); // of a window of six: two were still to come
    assert!(house.venue.wait_for(PATIENCE, |_| clock.now() >= past_the_last_tranche).1);
    let said: Vec<Received> = house.venue.received().split_off(before);
    let trading: Vec<&Received> = said.iter().filter(|request| is_trading(request)).collect();
    assert_eq!(trading[0].method, "openOrders.cancelAll", "{door:?}: the cancel comes first: {trading:?}");
    assert!(trading.iter().any(|request| request.method == "order.place"), "then the sale");
    let is_buy = |request: &&&Received| request.params.contains("side=BUY");
    assert_eq!(trading.iter().filter(is_buy).count(), 0, "{door:?}: nothing is bought any more");
    assert_eq!(house.query("SELECT count(*) FROM trades WHERE exit_reason = 'KILL'"), 1);
    assert_eq!(house.venue.conserved(), Ok(()));
    let ended = bot.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let lines = ended.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut told = lines.filter(|line| line["event"] == "KILL" && line["step"] == "written");
    assert!(told.next().is_some_and(|line| line["after_us"].is_i64()), "the log says when it was written");
}

#[test]
fn the_verb_kills_through_the_control_socket() {
    kill_by(Door::Verb, "kill-verb");
}

#[test]
fn a_post_with_the_token_kills() {
    kill_by(Door::Post, "kill-post");
}

#[test]
fn sigusr1_kills_and_does_not_end_the_process() {
    kill_by(Door::Signal, "kill-signal");
}

#[test]
fn the_socket_is_its_owners_alone_and_every_word_is_answered_with_what_became_of_it() {
    let mut house = House::new("words");
    house.set("execution", "tranches", "1");
    let (mut bot, _) = holding(&house);
    let mode = std::fs::metadata(house.data().join("control.sock")).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let answer = |word: &str| -> Value {
        let said = verb(&house, word);
        assert_eq!(said.code, Some(0), "{word}: {}", said.stderr);
        serde_json::from_str(&said.stdout).expect("JSON")
    };
    // An answer waits a second for the status: said again where the machine stood still meanwhile.
    let clock = Clock::start();
    let stillness = Stillness::watch(clock);
    let paused_by = |word: &str, reasons: &[&str]| loop {
        let (began, said) = (clock.now(), answer(word));
        if said["pauses"] == serde_json::json!(reasons) {
            return said;
        }
        assert!(stillness.was_since(began), "{word} led not to {reasons:?}: {said}");
    };
    let paused = paused_by("pause", &["operator"]);
    assert_eq!((&paused["accepted"], &paused["orders_open"]), (&"pause".into(), &4.into()), "{paused}");
    paused_by("resume", &[]);
    paused_by("flatten", &["operator"]);
    bot.line("TRADE_CLOSED");
    let plain = run_to_end(&house.folder, &["pause", "--data-dir", house.data().to_str().expect("UTF-8")]);
    assert!(plain.stdout.lines().any(|line| line == "accepted: pause"), "{}", plain.stdout);
    assert_eq!(bot.stop().code, Some(0));
    assert!(!Path::new(&house.data().join("control.sock")).exists(), "gone with the engine");
    let nobody = verb(&house, "kill");
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.contains("no engine answers in"), "{}", nobody.stderr);
}

#[test]
fn a_kill_without_an_order_connection_says_so_and_is_the_first_thing_the_next_one_carries() {
    let mut house = House::new("kill-offline");
    house.set("execution", "tranches", "1");
    let (mut bot, _) = holding(&house);
    let before = house.venue.received().len();
    house.venue.fault(Fault::DropWsApi);
    bot.next("STREAM_DOWN", |line| line["stream"] == "binance_user");
    bot.signal(libc::SIGUSR1);
    let sold = |snapshot: &Snapshot| snapshot.open_orders.is_empty() && snapshot.coins("SOL").0 < 10_000_000;
    assert!(house.venue.wait_for(PATIENCE, sold).1, "sold once there was a connection");
    bot.next("KILL", |line| line["step"] == "written");
    let said: Vec<Received> = house.venue.received().split_off(before);
    assert_eq!(said[0].method, "openOrders.cancelAll", "{said:?}");
    assert_eq!(bot.stop().code, Some(0));
}
