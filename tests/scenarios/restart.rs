//! A restart with coins: what happened meanwhile is booked, the position is guarded again, the round trip ends.

use crate::books::{Books, money};
use crate::rig::{Rig, price};

fn is_one_trade(books: &Books) {
    let trades = books.trades();
    assert_eq!(trades.len(), 1, "{trades:?}");
    let (told, made) = (money(&trades[0]["pnl"]), books.pnl_of_fills());
    assert!((told.0 - made.0).abs() < 1_000, "told {told}, made {made}");
    assert_eq!(books.live_orders(), []);
}

#[test]
fn a_position_is_adopted_and_its_targets_work_again() {
    let mut rig = Rig::run("");
    rig.enter();
    let before = rig.entered(3);
    rig.stop();
    let resting = rig.venue.snapshot().open_orders;
    assert_eq!(resting, before.open_orders, "the protective orders stay");
    rig.start();
    let after = rig.protected();
    assert_eq!(after.coins("SOL"), before.coins("SOL"));
    rig.venue.set_mid(price("164.00"));
    rig.line("ORDER_DONE", |line| line["purpose"] == "TP1" && line["status"] == "FILLED");
    rig.venue.set_mid(price("166.50"));
    assert_eq!(rig.closed()["exit_reason"], "TAKE_PROFIT");
    assert_eq!(rig.entries().len(), 3, "a restart does not enter again");
    is_one_trade(&rig.finish());
}

#[test]
fn a_target_filled_while_away_is_booked_and_the_stop_guards_the_rest() {
    let mut rig = Rig::run("");
    rig.enter();
    let before = rig.entered(3);
    rig.stop();
    rig.venue.set_mid(price("164.00"));
    rig.venue_until("the first target", |now| now.coins("SOL").0 < before.coins("SOL").0);
    rig.venue.set_mid(price("162.00"));
    rig.start();
    let after = rig.protected();
    assert!(after.coins("SOL").0 * 3 > before.coins("SOL").0, "the second slot is still there");
    rig.venue.set_mid(price("154.50"));
    rig.closed();
    is_one_trade(&rig.finish());
}

#[test]
fn a_stop_filled_while_away_ends_the_round_trip_at_the_next_start() {
    let mut rig = Rig::run("");
    rig.enter();
    rig.entered(3);
    rig.stop();
    rig.venue.set_mid(price("154.50"));
    rig.venue_until("both stops", |now| now.open_orders.is_empty());
    rig.start();
    rig.closed();
    is_one_trade(&rig.finish());
}
