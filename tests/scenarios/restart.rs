//! A restart with coins: what happened meanwhile is booked, the position is guarded again, the round trip ends.

use serde_json::json;
use sol_volume_bot::sim::exchange::{AccountEvent, OrderStatus, OrderType};
use sol_volume_bot::sim::server::Snapshot;
use sol_volume_bot::types::Side;

use crate::books::Books;
use crate::rig::{Rig, price};

fn is_one_trade(books: &Books) {
    let trades = books.trades();
    assert_eq!(trades.len(), 1, "{trades:?}");
    books.profit_agrees().expect("the same profit");
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
    assert_eq!(rig.closed()["exit_reason"], "STOP", "as the venue's fills say");
    is_one_trade(&rig.finish());
}

/// Cancels that reached the venue, and orders that it ended as cancelled.
fn cancels(rig: &Rig) -> (usize, usize) {
    let asked = rig.venue.received().iter().filter(|row| row.method.contains("cancel")).count();
    let is_canceled = |event: &AccountEvent| matches!(event, AccountEvent::Execution(execution) if execution.order.status == OrderStatus::Canceled);
    (asked, rig.venue.history().iter().filter(|event| is_canceled(event)).count())
}

#[test]
fn after_a_sigkill_the_stops_that_rest_are_adopted_and_never_leave_the_book() {
    let mut rig = Rig::run("");
    rig.enter();
    let before = rig.entered(3);
    let earlier = cancels(&rig);
    rig.kill();
    rig.start();
    let adopted = rig.line("RECONCILE", |line| line["adopted"] != 0);
    assert_eq!(
        (&adopted["trigger"], &adopted["adopted"], &adopted["cancelled"]),
        (&json!("start"), &json!(4), &json!(0))
    );
    let first = rig.lines_of("RECONCILE").remove(0);
    assert_eq!((&first["trigger"], &first["msg"]), (&json!("start"), &json!("nothing differed")));
    let after = rig.protected();
    assert_eq!(after.open_orders, before.open_orders, "the very same orders");
    assert_eq!(cancels(&rig), earlier);
    rig.venue.set_mid(price("164.00"));
    rig.line("ORDER_DONE", |line| line["purpose"] == "TP1" && line["status"] == "FILLED");
    rig.venue.set_mid(price("166.50"));
    assert_eq!(rig.closed()["exit_reason"], "TAKE_PROFIT");
    is_one_trade(&rig.finish());
}

#[test]
fn a_fill_after_a_sigkill_is_booked_told_and_kept_in_the_table_of_reconciles() {
    let mut rig = Rig::run("");
    rig.enter();
    let before = rig.entered(3);
    rig.kill();
    rig.venue.set_mid(price("164.00"));
    let sold =
        rig.venue_until("the first target", |now| now.open_orders.len() == 2 && now.coins("SOL") < before.coins("SOL"));
    rig.venue.set_mid(price("162.00"));
    let fills = sold.trades.len() - before.trades.len();
    rig.start();
    let told = rig.lines_of("RECONCILE").remove(0);
    assert_eq!((&told["trigger"], &told["fills"], &told["ended"]), (&json!("start"), &json!(fills), &json!(2)));
    assert_eq!(rig.protected().open_orders, sold.open_orders, "the second slot's pair fits and stays");
    rig.venue.set_mid(price("154.50"));
    rig.closed();
    let books = rig.finish();
    let rows = books.rows("SELECT * FROM reconcile WHERE kind = 'FILL'");
    assert_eq!(rows.len(), fills, "{rows:?}");
    assert!(rows.iter().all(|row| row["trigger"] == "start" && row["detail"].contains("\"amount\"")), "{rows:?}");
    is_one_trade(&books);
}

#[test]
fn orders_in_flight_at_a_sigkill_that_arrive_after_the_next_start_are_booked_or_cancelled() {
    let mut rig = Rig::run("");
    rig.enter();
    let before = rig.entered(3);
    let epoch = rig.epoch();
    rig.kill();
    rig.launch();
    rig.line("START", |_| true); // it has looked; what comes now it can only hear
    let name = |leg: &str| format!("v{epoch:010}-000001-{leg}-0009");
    let buys = format!(
        "symbol=SOLUSDT&side=BUY&type=LIMIT&timeInForce=IOC&quantity=0.05&price=161.5&newClientOrderId={}",
        name("02")
    );
    rig.place_by_hand(&buys);
    let rests = format!(
        "symbol=SOLUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.05&price=150&newClientOrderId={}",
        name("03")
    );
    rig.place_by_hand(&rests);
    rig.venue_until("the entry that rests is gone", |now| now.open_orders.iter().all(|order| order.side == Side::Sell));
    let after = rig.protected();
    assert!(after.coins("SOL") > before.coins("SOL"), "a little more is held, and guarded");
    rig.line("RECONCILE", |line| line["cancelled"] == 1);
    rig.venue.set_mid(price("154.50"));
    rig.closed();
    is_one_trade(&rig.finish());
}

#[test]
fn a_pair_cancelled_by_hand_is_placed_again_at_once_and_only_once() {
    let rig = Rig::run("");
    rig.enter();
    let before = rig.entered(3);
    let victim = before.open_orders.iter().find(|order| order.kind == OrderType::StopLoss).expect("a stop");
    rig.cancel_by_hand(victim.id);
    let number = victim.id;
    let is_new = |now: &Snapshot| now.open_orders.len() == 4 && now.open_orders.iter().all(|order| order.id != number);
    rig.venue_until("another pair in its place", is_new);
    let after = rig.protected();
    assert_eq!(after.coins("SOL"), before.coins("SOL"));
    rig.venue.set_mid(price("154.50"));
    rig.closed();
    is_one_trade(&rig.finish());
}

#[test]
fn a_daily_loss_pause_of_yesterday_is_over_and_does_not_return_on_a_later_start_of_today() {
    let mut rig = Rig::run("");
    rig.enter();
    rig.entered(3);
    rig.kill();
    let db = rusqlite::Connection::open(rig.data_dir().join("engine.db")).expect("the ledger opens");
    db.execute_batch(
        "INSERT INTO state VALUES ('pause.daily_loss', '1'); UPDATE equity SET ts_ns = ts_ns - 86400000000000",
    )
    .expect("the ledger of yesterday");
    drop(db);
    for _ in 0..2 {
        rig.start();
        assert_eq!(rig.status()["paused"], json!([]));
        rig.until("an equity of today", |rig| rig.status()["equity"] != json!(null));
        rig.stop();
    }
}
