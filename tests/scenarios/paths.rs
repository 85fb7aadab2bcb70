//! The ways a round trip goes: both targets, the stop, a risk limit that binds.

use crate::books::{coins, money};
use crate::rig::{Rig, price};

#[test]
fn three_tranches_then_both_targets_make_a_trade_whose_profit_is_the_sum_of_its_fills() {
    let rig = Rig::run("");
    rig.enter();
    rig.entered(3);
    rig.venue.set_mid(price("164.00"));
    rig.line("ORDER_DONE", |line| line["purpose"] == "TP1" && line["status"] == "FILLED");
    rig.venue.set_mid(price("166.50"));
    rig.line("ORDER_DONE", |line| line["purpose"] == "TP2" && line["status"] == "FILLED");
    assert_eq!(rig.closed()["exit_reason"], "TAKE_PROFIT");
    assert!(rig.metric("svb_unprotected_seconds", "") < 0.5);
    // A market that jumps moves one side after the other: a top as wide as the jump is no price to buy at.
    let refusals = rig.lines_of("REFUSED").into_iter().filter(|line| line["rule"] != "price_collar");
    assert_eq!(refusals.collect::<Vec<_>>(), Vec::<serde_json::Value>::new());

    let books = rig.finish();
    let entries = books.orders("ENTRY");
    assert_eq!(entries.iter().map(|row| row["tranche"].as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert!(entries.iter().all(|row| row["status"] == "FILLED"), "{entries:?}");
    let trades = books.trades();
    assert_eq!(trades.len(), 1, "{trades:?}");
    books.profit_agrees().expect("the same profit");
    assert!(money(&trades[0]["pnl"]).0 > 0, "{trades:?}");
    assert_eq!(books.live_orders(), []);
    let bought: i64 = entries.iter().map(|row| coins(&row["cum_qty"]).0).sum();
    assert_eq!(coins(&trades[0]["qty"]).0, bought);
}

#[test]
fn the_venues_own_stops_sell_both_slots_once_and_nothing_is_left_behind() {
    let rig = Rig::run("");
    rig.enter();
    let held = rig.entered(3).coins("SOL");
    rig.venue.set_mid(price("154.50"));
    let reason = rig.closed()["exit_reason"].clone();
    assert!(reason == "STOP" || reason == "GLOBAL_STOP", "{reason}");
    let sold: i64 = rig.venue.snapshot().trades.iter().filter(|row| row.order_id > 0).map(sold_qty).sum();
    assert!(sold <= held.0, "sold {sold} of {held}");
    rig.until("both alert channels to hear of the stop", |rig| {
        let told = rig.venue.alerts();
        told.iter().filter(|alert| alert.body.contains("STOP")).count() >= 2
    });
    assert_eq!(rig.metric("svb_consecutive_losses", ""), 1.0);

    let books = rig.finish();
    let trades = books.trades();
    assert_eq!(trades.len(), 1, "{trades:?}");
    books.profit_agrees().expect("the same profit");
    assert!(money(&trades[0]["pnl"]).0 < 0, "{trades:?}");
    assert_eq!(books.live_orders(), []);
}

fn sold_qty(row: &sol_volume_bot::sim::exchange::AccountTrade) -> i64 {
    if row.side == sol_volume_bot::types::Side::Sell { row.fill.qty.0 } else { 0 }
}

#[test]
fn a_risk_limit_that_binds_sizes_the_position_so_that_the_stop_costs_no_more() {
    let rig = Rig::run("risk.max_trade_risk = 0.01");
    rig.enter();
    let held = rig.entered(3).coins("SOL");
    assert!(held.0 > 10_000_000_000, "the limit is used: {held}");
    assert!(held.0 < 16_000_000_000, "100 USDT at 6 and a half a coin: {held}");
    rig.venue.set_mid(price("154.90"));
    rig.closed();
    let books = rig.finish();
    books.profit_agrees().expect("the same profit");
    let lost = -money(&books.trades()[0]["pnl"]).0;
    assert!((60..=100).contains(&(lost / 100_000_000)), "lost {lost} in 1e-8 USDT of 100 allowed");
}
