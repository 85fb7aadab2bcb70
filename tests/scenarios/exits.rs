//! Exits that do not go smoothly: refused, filled in part, lost, posted again.

use sol_volume_bot::sim::exchange::{AccountEvent, ExpiryReason, OrderStatus};
use sol_volume_bot::sim::server::{Fault, Received};
use sol_volume_bot::types::event::Trade;
use sol_volume_bot::types::{Qty, Side};

use crate::rig::{Rig, price};

fn asked(rig: &Rig, method: &str) -> Vec<Received> {
    rig.venue.received().into_iter().filter(|row| row.method == method).collect()
}

#[test]
fn an_oco_refused_because_the_price_moved_through_it_means_out_at_the_market() {
    let rig = Rig::run("");
    rig.venue.fault(Fault::RefuseOco(1));
    rig.enter();
    assert_eq!(rig.closed()["exit_reason"], "UNPROTECTED");
    let stop = rig.line("STOP", |_| true);
    assert_eq!(stop["reason"], "UNPROTECTED");
    let entries = rig.entries().len();
    assert_eq!(entries, 1, "what is left of the plan is not bought");
    let books = rig.finish();
    assert_eq!(books.trades().len(), 1);
    assert_eq!(books.live_orders(), []);
}

#[test]
fn a_target_filled_in_part_kills_its_stop_and_the_rest_is_protected_again_at_once() {
    let rig = Rig::run("");
    rig.enter();
    let before = rig.entered(3);
    let part = Qty(5_000_000_000);
    let trade = Trade { price: price("163.50"), qty: part, aggressor: Side::Buy, trade_id: 1 };
    rig.venue.follow_trade(trade);
    rig.line("FILL", |line| line["side"] == "sell");
    let after = rig.protected();
    assert_eq!(after.coins("SOL").0, before.coins("SOL").0 - part.0);
    let killed = rig.venue.history().into_iter().any(|event| match event {
        AccountEvent::Execution(told) => {
            told.order.status == OrderStatus::Expired && told.order.expiry == Some(ExpiryReason::OcoTrigger)
        }
        _ => false,
    });
    assert!(killed, "the partial fill ended the stop leg");
    rig.venue.set_mid(price("164.00"));
    rig.line("ORDER_DONE", |line| line["purpose"] == "TP1" && line["status"] == "FILLED");
    rig.venue.set_mid(price("166.50"));
    assert_eq!(rig.closed()["exit_reason"], "TAKE_PROFIT");
    rig.finish();
}

#[test]
fn stops_that_the_venue_itself_cancelled_are_placed_again() {
    let rig = Rig::run("");
    rig.enter();
    let before = rig.entered(3);
    rig.venue.fault(Fault::ExpireStops);
    let after = rig.protected();
    assert_eq!(after.coins("SOL"), before.coins("SOL"));
    let old: Vec<i64> = before.open_orders.iter().map(|order| order.id).collect();
    assert!(after.open_orders.iter().all(|order| !old.contains(&order.id)), "new pairs stand");
    rig.finish();
}

#[test]
fn a_shift_reposts_at_the_same_price_only_if_the_trader_says_so() {
    for same_price in [false, true] {
        let rig = Rig::run(&format!("execution.repost_same_price = {same_price}"));
        rig.enter();
        let before = rig.entered(3);
        rig.venue.set_mid(price("161.50"));
        let line = rig.line("REPOST", |_| true);
        assert_eq!(line["kept"], !same_price, "{line}");
        assert_eq!(line["old_price"], line["new_price"], "{line}");
        rig.until("both slots looked at", |rig| rig.lines_of("REPOST").len() == 2);
        let after = rig.protected();
        let ids = |now: &sol_volume_bot::sim::server::Snapshot| -> Vec<i64> {
            now.open_orders.iter().map(|order| order.id).collect()
        };
        assert_eq!(ids(&before) == ids(&after), !same_price, "the queue place is kept, or given up");
        assert_eq!(after.coins("SOL"), before.coins("SOL"));
        let placed = asked(&rig, "orderList.place.oco").len();
        rig.venue.set_mid(price("161.60"));
        rig.until("the small shift to be seen", |rig| rig.venue.snapshot().mid() >= price("161.59"));
        assert_eq!(asked(&rig, "orderList.place.oco").len(), placed, "0.06 % moves nothing");
        rig.finish();
    }
}
