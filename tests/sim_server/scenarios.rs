//! Scenario files: the shipped ones load, wrong ones are refused with the key; the handle steers.

use super::desk::{PATIENCE, open, steered};
use sol_volume_bot::sim::scenario::{Scenario, ScenarioError};
use sol_volume_bot::types::event::{Bbo, Trade};
use sol_volume_bot::types::{Price, Qty, Side};

const SECOND_NS: i64 = 1_000_000_000;

#[test]
fn every_shipped_scenario_loads() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/scenarios");
    let files: Vec<_> =
        std::fs::read_dir(folder).expect("the folder").map(|file| file.expect("an entry").path()).collect();
    assert!(files.len() >= 6);
    for file in files {
        Scenario::load(&file).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn a_wrong_scenario_is_refused_with_key_and_rule() {
    let good = "seed = 1\npath = [{ at = \"0s\", mid = \"161\" }]\n[balances]\nUSDT = \"1\"\n";
    assert!(Scenario::parse("good", good).is_ok());
    let refuse = |text: String| Scenario::parse("bad.toml", &text).expect_err("a wrong scenario").to_string();
    for (wrong, hint) in [
        (format!("sead = 2\n{good}"), "sead"),
        (good.replace("\"161\"", "\"161,5\""), "161,5"),
        (good.replace("\"0s\"", "\"soon\""), "soon"),
        (good.replace("mid = \"161\"", "mid = \"0\""), "`path`"),
        (format!("step_ms = 1\n{good}"), "`step_ms` must lie between 10 and 10000"),
        (good.replace("USDT = \"1\"", "USDT = \"-1\""), "USDT"),
        (format!("{good}[[faults]]\nat = \"1s\"\nfault = \"explode\"\n"), "explode"),
        (format!("{good}[keys]\ned25519_public = \"zz\"\n"), "64 hex digits"),
    ] {
        let text = refuse(wrong);
        assert!(text.contains("bad.toml") && text.contains(hint), "{hint}: {text}");
    }
    let missing = Scenario::load(std::path::Path::new("/nonexistent/x.toml"));
    assert!(matches!(missing, Err(ScenarioError::Unreadable { .. })));
}

#[test]
fn the_demo_falls_into_the_band_rises_through_the_profit_and_ends_below_the_stop() {
    let demo = Scenario::demo().expect("the built-in scenario");
    let mid = |second: i64| demo.mid_at(second * SECOND_NS);
    let at = |dollars: i64| Price(dollars * 100_000_000);
    assert!(mid(0) > at(162));
    assert!((12..=34).all(|second| (at(160)..=at(162)).contains(&mid(second))), "in the band for the tranches");
    assert!(mid(58) > at(165) && mid(86) < at(155) && mid(90) == mid(86));
    assert_eq!(mid(24).0, (mid(14).0 + mid(34).0) / 2, "straight lines in between");
}

#[test]
fn the_history_runs_through_its_closes() {
    let demo = Scenario::demo().expect("the built-in scenario");
    let closes = &demo.history.closes;
    assert_eq!((demo.history_close(0), demo.history_close(499)), (closes[0], closes[3]));
    let last_third: Vec<Price> = (333..500).map(|index| demo.history_close(index)).collect();
    assert!(last_third.windows(2).all(|pair| pair[1] < pair[0]), "falls towards the start, so RSI is low");
}

#[test]
fn a_timed_fault_happens_when_its_time_has_come() {
    let mut scenario = steered();
    let timed = Scenario::parse(
        "timed",
        "seed = 1\npath = [{ at = \"0s\", mid = \"161\" }]\n[balances]\n[[faults]]\nat = \"50ms\"\nfault = { telegram = 403 }\n",
    );
    scenario.faults = timed.expect("a good scenario").faults;
    let handle = super::desk::open_with(scenario);
    let mut http = super::desk::Http::open(&handle);
    let mut status = 200;
    while status == 200 {
        status = http.send("POST", "/telegram/bot1/sendMessage", None, "{}").status;
    }
    assert_eq!(status, 403);
}

#[test]
fn paper_mode_mirrors_the_live_top_of_book_and_its_trades() {
    let handle = open();
    let bbo = Bbo {
        bid: Price(17_000_000_000),
        bid_qty: Qty(5_000_000_000),
        ask: Price(17_001_000_000),
        ask_qty: Qty(7_000_000_000),
        update_id: 1,
    };
    handle.follow(bbo);
    let (now, _) = handle.wait_for(PATIENCE, |now| now.bid == bbo.bid);
    assert_eq!((now.bid, now.ask), (bbo.bid, bbo.ask));
    handle.follow_trade(Trade { price: bbo.ask, qty: Qty(1_000_000_000), aggressor: Side::Buy, trade_id: 1 });
    assert_eq!(handle.snapshot().last, bbo.ask);
    assert_eq!(handle.conserved(), Ok(()));
}

#[test]
fn a_wait_that_is_not_met_says_so() {
    let handle = open();
    let (_, met) = handle.wait_for(std::time::Duration::from_millis(50), |now| now.alerts > 0);
    assert!(!met);
}
