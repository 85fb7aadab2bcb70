//! The edges of the signal, over loopback: what just does not enter, and the smallest change that does.

use serde_json::Value;
use sol_volume_bot::sim::server::{Fault, FeedState, Snapshot};
use sol_volume_bot::types::{Notional, Price};

use crate::rig::{Bot, House, OPS_TOKEN, PATIENCE, cents, steered};

const DAY_NS: i64 = 86_400_000_000_000;

/// The house with a second tranche that comes long after its test: what is told of the first may come late.
fn one_tranche(mut house: House) -> House {
    house.set("execution", "tranche_window", "\"3h\"");
    house
}

/// Waits for the order that an entry is.
fn enters(house: &House, bot: &mut Bot) {
    bot.said("ORDER_SENT", |line| line["verb"] == "place");
    house.venue.wait_for(PATIENCE, |snapshot| snapshot.received > 0); // sent is not yet read
    assert_eq!(house.placed("order.place"), 1, "one tranche");
}

fn days(house: &House, dollars: [&str; 2]) {
    let dollars = dollars.map(|text| Notional::parse(text.as_bytes()).expect("dollars"));
    for slug in ["pump.fun", "pumpswap"] {
        house.venue.set_llama(slug, &dollars);
    }
}

#[test]
fn news_lock_refuses_entries_until_a_reload_opens_it() {
    let mut house = one_tranche(House::new("news"));
    house.set("risk", "news_lock", "true");
    let (mut bot, _) = house.open();
    let refused = bot.line("REFUSED");
    assert_eq!(refused["rule"], "news_lock", "{refused}");
    assert_eq!(house.placed("order"), 0);
    house.set("risk", "news_lock", "false");
    house.write();
    bot.signal(libc::SIGHUP);
    bot.next("RELOAD", |line| line["applied"] == true);
    assert_eq!(house.placed("order"), 0, "the lock held until now");
    enters(&house, &mut bot);
    assert_eq!(bot.stop().code, Some(0));
}

#[test]
fn a_key_revoked_while_we_trade_halts_entries_and_wakes_somebody() {
    let mut house = House::new("revoked");
    house.with_alerts();
    let (mut bot, ops) = house.open();
    bot.line("PROTECTED");
    house.venue.fault(Fault::RevokeKey);
    let pause = bot.next("PAUSE", |line| line["reason"] == "venue");
    assert_eq!(pause["level"], "warn", "{pause}");
    ops.until("/readyz", |status, body| status == 503 && body.contains("paused: venue"));
    assert!(house.venue.wait_for(PATIENCE, |snapshot| snapshot.alerts >= 4).1, "ENTER and FATAL, on both channels");
    assert!(house.venue.alerts().iter().any(|alert| alert.body.contains("FATAL")), "somebody is woken");
    assert!(!house.venue.snapshot().open_orders.is_empty(), "the protective orders stay at the venue");
    bot.stop();
}

/// Makes the ledger a day older, as if a night had passed.
fn a_day_passes(house: &House) {
    let db = rusqlite::Connection::open(house.data().join("engine.db")).expect("opens");
    for (table, columns) in [
        ("orders", &["created_ns", "sent_ns", "acked_ns", "done_ns"][..]),
        ("fills", &["venue_ns", "recv_ns"]),
        ("trades", &["opened_ns", "closed_ns"]),
        ("equity", &["ts_ns"]),
    ] {
        let sets: Vec<String> = columns.iter().map(|column| format!("{column} = {column} - {DAY_NS}")).collect();
        db.execute(&format!("UPDATE {table} SET {}", sets.join(", ")), []).expect("older");
    }
}

#[test]
fn four_losing_round_trips_pause_entries_across_restarts_until_the_operator_resumes() {
    let mut house = House::new("losers");
    house.set("execution", "tranches", "1");
    house.set("execution", "tranche_window", "\"1s\"");
    for round in 1..=4 {
        house.venue.set_mid(cents(16_100));
        let (mut bot, _) = house.open();
        bot.line("PROTECTED");
        let guarded = |snapshot: &Snapshot| snapshot.open_lists.len() == 2;
        assert!(house.venue.wait_for(PATIENCE, guarded).1, "round {round}: {:?}", house.venue.snapshot());
        house.venue.set_mid(cents(15_450));
        let closed = bot.line("TRADE_CLOSED");
        assert!(closed["pnl"].as_str().expect("a number").starts_with('-'), "round {round}: {closed}");
        if round == 4 {
            assert_eq!(bot.line("PAUSE")["reason"], "consecutive_losses");
        }
        assert_eq!(bot.count("PAUSE"), usize::from(round == 4), "round {round}");
        assert_eq!(bot.stop().code, Some(0));
        assert_eq!(house.query("SELECT CAST(value AS INTEGER) FROM state WHERE key = 'consecutive_losses'"), round);
        a_day_passes(&house);
    }
    house.venue.set_mid(cents(16_100));
    let before = house.placed("order");
    let (mut bot, ops) = house.open();
    let refused = bot.line("REFUSED");
    assert_eq!(refused["rule"], "paused", "{refused}");
    let ready = ops.until("/readyz", |_, body| !body.contains("starting"));
    assert!(ready.contains("paused: consecutive_losses"), "{ready}");
    assert_eq!(ops.get("/readyz").0, 503);
    assert_eq!(ops.post("/api/resume", None), 401);
    assert_eq!(ops.post("/api/resume", Some("not-the-token-at-all")), 401);
    assert_eq!(house.placed("order"), before, "still paused");
    assert_eq!(ops.post("/api/resume", Some(OPS_TOKEN)), 202);
    assert_eq!(bot.line("RESUME")["reason"], "consecutive_losses");
    bot.next("ORDER_SENT", |line| line["verb"] == "place");
    ops.until("/readyz", |status, _| status == 200);
    assert_eq!(bot.stop().code, Some(0));
}

#[test]
fn a_volume_source_that_is_not_ok_lets_nothing_enter_until_it_is() {
    let cases = [
        (FeedState::Stale, "STALE"),
        (FeedState::Filled, "FILLED"),
        (FeedState::Zero, "MISSING"),
        (FeedState::Null, "MISSING"),
        (FeedState::Html, "DOWN"),
        (FeedState::TooMany, "DOWN"),
        (FeedState::Broken, "DOWN"),
        (FeedState::Contradicting, "SUSPECT"),
    ];
    std::thread::scope(|scope| {
        for (state, told) in cases {
            scope.spawn(move || holds_back(state, told));
        }
    });
}

fn holds_back(state: FeedState, told: &str) {
    let house = one_tranche(House::new(&format!("volume-{state:?}")));
    house.venue.fault(Fault::Llama(state));
    let (mut bot, ops) = house.open();
    let others_hold = |line: &Value| {
        let rules = line["rules"].as_object().expect("rules");
        rules.iter().all(|(name, rule)| name.starts_with("volume_") || rule["pass"] == true)
    };
    bot.next("NO_OP", others_hold);
    let heard = ops.until("/api/status", |_, body| body.contains(&format!("\"state\":\"{told}\"")));
    let status: Value = serde_json::from_str(&heard).expect("JSON");
    let rule = &status["decision"]["rules"]["volume_source"];
    assert_eq!(rule["pass"], false, "{state:?}: {rule}");
    assert_eq!(house.placed("order"), 0, "{state:?}: it entered");
    house.venue.fault(Fault::Llama(FeedState::Ok));
    enters(&house, &mut bot);
    assert_eq!(bot.stop().code, Some(0), "{state:?}");
}

#[test]
fn a_drop_of_exactly_30_percent_does_not_enter_and_a_dollar_more_does() {
    let house = one_tranche(House::new("drop"));
    days(&house, ["70000000", "100000000"]);
    let (mut bot, _) = house.open();
    let rules = bot.held_back_by("volume_drop");
    assert_eq!(
        (rules["volume_drop"]["value"].as_str(), rules["volume_drop"]["threshold"].as_str()),
        (Some("0.3"), Some("> 0.3"))
    );
    assert_eq!(house.placed("order"), 0);
    days(&house, ["69999999", "100000000"]);
    enters(&house, &mut bot);
    assert_eq!(bot.stop().code, Some(0));
}

#[test]
fn an_rsi_of_exactly_45_does_not_enter_and_a_hair_below_does() {
    // Flat for long, then + 1.26 and - 1.43: Wilder's averages stand as 13 x 126 to 14 x 143, so RSI is 45 exactly.
    let mut scenario = steered();
    let mut closes = vec![cents(16_117); 498];
    closes.extend([cents(16_243), cents(16_100)]);
    scenario.history.closes = closes;
    scenario.history.candles = 500;
    scenario.history.interval_ns = 3_600_000_000_000; // an hour: none ends during the test
    let mut house = one_tranche(House::with("rsi", scenario, None));
    house.set("thresholds", "candle", "\"1h\"");
    let (mut bot, _) = house.open();
    let rules = bot.held_back_by("rsi");
    assert_eq!((rules["rsi"]["value"].as_str(), rules["rsi"]["threshold"].as_str()), (Some("45"), Some("< 45")));
    assert_eq!(house.placed("order"), 0);
    house.set("thresholds", "rsi_max", "45.00000001");
    house.write();
    bot.signal(libc::SIGHUP);
    bot.next("RELOAD", |line| line["applied"] == true);
    enters(&house, &mut bot);
    assert_eq!(bot.stop().code, Some(0));
}

/// An engine before a top of book that only the test moves.
fn quoted(name: &str, bid: i64, ask: i64) -> (House, Bot) {
    let mut house = one_tranche(House::new(name));
    house.set("feeds.stale_after_ms", "binance_bbo", "60000"); // nothing moves it in between
    let (bot, _) = house.open();
    assert!(house.venue.wait_for(PATIENCE, |snapshot| snapshot.stream_clients == 1).1, "it listens");
    house.quote(bid, ask);
    (house, bot)
}

#[test]
fn a_mid_of_exactly_160_enters_and_a_cent_below_does_not() {
    let (house, mut bot) = quoted("low", 15_998, 16_000);
    let rules = bot.held_back_by("support_low");
    assert_eq!(rules["support_low"]["value"], "159.99");
    assert_eq!(house.placed("order"), 0);
    house.quote(15_999, 16_001);
    let entered = bot.line("ENTER");
    assert_eq!(entered["rules"]["support_low"]["value"], "160");
    enters(&house, &mut bot);
    assert_eq!(bot.stop().code, Some(0));
}

#[test]
fn a_mid_of_exactly_162_enters_and_a_cent_above_does_not() {
    let (house, mut bot) = quoted("high", 16_200, 16_202);
    let rules = bot.held_back_by("support_high");
    assert_eq!(rules["support_high"]["value"], "162.01");
    assert_eq!(house.placed("order"), 0);
    house.quote(16_199, 16_201);
    let entered = bot.line("ENTER");
    assert_eq!(entered["rules"]["support_high"]["value"], "162");
    assert_eq!(Price::mid(cents(16_199), cents(16_201)), cents(16_200));
    enters(&house, &mut bot);
    assert_eq!(bot.stop().code, Some(0));
}
