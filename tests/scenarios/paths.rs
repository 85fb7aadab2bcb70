//! The ways a round trip goes: both targets, the stop.

use crate::books::{coins, money};
use crate::rig::{Rig, price};

#[test]
fn three_tranches_then_both_targets_make_a_trade_whose_profit_is_the_sum_of_its_fills() {
    let rig = Rig::run("");
    rig.enter();
    let held = rig.entered(3).coins("SOL");
    assert!(held.0 > 0);
    rig.until("the status to tell the position", |rig| rig.status()["position"] == held.to_string());
    rig.venue.set_mid(price("164.00"));
    rig.line("ORDER_DONE", |line| line["purpose"] == "TP1" && line["status"] == "FILLED");
    rig.venue.set_mid(price("166.50"));
    rig.line("ORDER_DONE", |line| line["purpose"] == "TP2" && line["status"] == "FILLED");
    let closed = rig.line("TRADE_CLOSED", |_| true);
    assert_eq!(closed["exit_reason"], "TAKE_PROFIT", "{closed}");
    let end = rig.venue.snapshot();
    assert!(end.open_orders.is_empty(), "{:?}", end.open_orders);
    assert!(end.coins("SOL").0 < 31_000_000, "only dust is left: {}", end.coins("SOL"));
    assert!(rig.metric("svb_unprotected_seconds", "") < 0.5);
    assert_eq!(rig.lines_of("REFUSED"), Vec::<serde_json::Value>::new());

    let books = rig.finish();
    let entries = books.orders("ENTRY");
    assert_eq!(entries.iter().map(|row| row["tranche"].as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert!(entries.iter().all(|row| row["status"] == "FILLED"), "{entries:?}");
    let trades = books.trades();
    assert_eq!(trades.len(), 1, "{trades:?}");
    let (told, made) = (money(&trades[0]["pnl"]), books.pnl_of_fills());
    assert!((told.0 - made.0).abs() < 1_000, "told {told}, made {made}");
    assert!(made.0 > 0, "{made}");
    assert_eq!(books.live_orders(), []);
    let bought: i64 = entries.iter().map(|row| coins(&row["cum_qty"]).0).sum();
    assert_eq!(coins(&trades[0]["qty"]).0, bought);
}
