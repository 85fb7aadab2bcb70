//! Orders of which nobody knows for a while what became of them: asked about, never sent again.

use sol_volume_bot::sim::server::Fault;
use sol_volume_bot::types::{Qty, Side};

use crate::rig::{Rig, price};

/// What each scenario ends with: out by both targets, books equal the venue's.
fn out_by_targets(rig: Rig) {
    rig.protected();
    rig.venue.set_mid(price("164.00"));
    rig.line("ORDER_DONE", |line| line["purpose"] == "TP1" && line["status"] == "FILLED");
    rig.venue.set_mid(price("166.50"));
    assert_eq!(rig.closed()["exit_reason"], "TAKE_PROFIT");
    assert_eq!(rig.metric("svb_orders_unknown", ""), 0.0);
    let books = rig.finish();
    assert_eq!(books.live_orders(), []);
    assert_eq!(books.trades().len(), 1);
}

#[test]
fn an_entry_answered_with_1007_although_it_executed_is_booked_once() {
    let rig = Rig::run("");
    rig.venue.fault(Fault::TimeoutExecuted(1));
    rig.enter();
    rig.entered(3);
    let first = &rig.entries()[0];
    assert_eq!(first.code, -1007, "{first:?}");
    out_by_targets(rig);
}

#[test]
fn an_oco_answered_with_1007_although_it_stands_is_not_doubled() {
    let rig = Rig::run("");
    rig.venue.fault(Fault::TimeoutExecuted(2));
    rig.enter();
    rig.entered(3);
    let codes: Vec<i32> = rig.venue.received().iter().take(2).map(|row| row.code).collect();
    assert_eq!(codes, [-1007, -1007]);
    out_by_targets(rig);
}

#[test]
fn an_entry_answered_with_1007_that_did_not_execute_is_asked_about_and_never_resent() {
    let rig = Rig::run("execution.tranche_window = '9s'");
    rig.venue.fault(Fault::TimeoutNotExecuted(1));
    rig.enter();
    rig.line("ORDER_UNKNOWN", |line| line["purpose"] == "ENTRY");
    rig.venue.fault(Fault::Unavailable(u32::MAX)); // no question is answered: the doubt lasts over tranche 2
    rig.until("the doubt to be told", |rig| rig.metric("svb_orders_unknown", "") == 1.0);
    assert_eq!(rig.http("/readyz").0, 503);
    rig.line("REFUSED", |line| line["rule"] == "unknown_order" && line["tranche"] == 2);
    assert_eq!(rig.venue.snapshot().coins("SOL"), Qty::ZERO);
    rig.venue.fault(Fault::Unavailable(0));
    rig.line("ORDER_REJECTED", |line| line["purpose"] == "ENTRY");
    rig.entered(2);
    assert_eq!(rig.entries().len(), 2, "the lost one and the last tranche");
    let books = rig.finish();
    let entries = books.orders("ENTRY");
    assert_eq!(entries.iter().map(|row| row["status"].as_str()).collect::<Vec<_>>(), ["REJECTED", "FILLED"]);
}

#[test]
fn answers_that_never_come_change_nothing_in_the_books() {
    let rig = Rig::run("");
    rig.venue.fault(Fault::SwallowAnswers(2));
    rig.enter();
    rig.entered(3);
    assert_eq!(rig.venue.received().iter().take(2).map(|row| row.status).collect::<Vec<_>>(), [0, 0]);
    out_by_targets(rig);
}

#[test]
fn a_fill_that_nobody_told_before_the_order_socket_broke_is_found_by_asking() {
    let mut rig = Rig::run("");
    rig.blind_ms = 3_000; // until the order socket is back nobody can protect what tranche 2 bought
    rig.enter();
    let first = rig.entered(1).coins("SOL");
    rig.venue.fault(Fault::HalfOpen);
    rig.venue_until("tranche 2", |now| now.coins("SOL").0 > first.0);
    rig.venue.fault(Fault::DropWsApi);
    rig.venue.fault(Fault::DropStreams);
    rig.line("ORDER_UNKNOWN", |line| line["purpose"] == "ENTRY");
    rig.line("STREAM_UP", |line| line["stream"] == "binance_user");
    let found = rig.line("RECONCILE", |line| line["trigger"] == "reconnect");
    assert_ne!(found["fills"], 0, "what tranche 2 bought: {found}");
    out_by_targets(rig);
}

#[test]
fn an_oco_that_never_arrived_leaves_its_coins_bare_no_longer_than_it_might_still_arrive() {
    let mut rig = Rig::run("execution.repost_same_price = true");
    rig.blind_ms = 1_000; // `recv_window_ms`: before it has passed nobody can know, and the coins may be taken
    rig.enter();
    let held = rig.entered(3);
    rig.venue.fault(Fault::TimeoutNotExecuted(1));
    rig.venue.set_mid(price("161.40"));
    rig.line("ORDER_UNKNOWN", |line| line["purpose"] == "STOP");
    assert_eq!(rig.closed()["exit_reason"], "UNPROTECTED");
    let sold: i64 =
        rig.venue.snapshot().trades.iter().filter(|row| row.side == Side::Sell).map(|row| row.fill.qty.0).sum();
    assert!(sold <= held.coins("SOL").0, "no more than there was");
    let books = rig.finish();
    let rows = books.rows("SELECT * FROM reconcile WHERE \"trigger\" = 'unknown' AND kind = 'SUMMARY'");
    assert!(!rows.is_empty(), "the doubt was looked into");
}
