//! Signals: SIGTERM ends cleanly and leaves the position guarded (or sold), SIGHUP reloads or says why not.

use crate::rig::{House, PATIENCE};

/// An engine that has bought and whose coins are all guarded by orders at the venue.
fn guarded(house: &House) -> (crate::rig::Bot, crate::rig::Ops) {
    let (mut bot, ops) = house.open();
    bot.line("ENTER");
    bot.line("PROTECTED");
    let whole = |snapshot: &sol_volume_bot::sim::server::Snapshot| {
        snapshot.coins("SOL").0 > 0 && snapshot.open_lists.len() == 2
    };
    let (snapshot, is_whole) = house.venue.wait_for(PATIENCE, whole);
    assert!(is_whole, "two lists guard the coins: {:?}", snapshot.open_orders);
    (bot, ops)
}

#[test]
fn sigterm_ends_with_0_and_leaves_the_protective_orders() {
    let mut house = House::new("sigterm");
    house.set("execution", "tranches", "1");
    let (bot, _) = guarded(&house);
    let ended = bot.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("\"SHUTDOWN\""), "{}", ended.stdout);
    let after = house.venue.snapshot();
    assert_eq!(after.open_lists.len(), 2, "the protective orders stay");
    let guarded: i64 = after.open_orders.iter().filter(|order| order.stop_price.0 > 0).map(|order| order.qty.0).sum();
    let left = after.coins("SOL").0 - guarded;
    assert!(left >= 0, "more coins are offered than there are");
    assert!(left < 10_000_000, "coins without a stop: {left}");
    assert_eq!(house.query("SELECT count(*) FROM orders WHERE status = 'WORKING'"), 4, "and the ledger knows them");
    assert_eq!(house.venue.conserved(), Ok(()));
}

#[test]
fn sigterm_with_flatten_sells_first_and_ends_with_0() {
    let mut house = House::new("flatten");
    house.set("execution", "tranches", "1");
    house.set("execution", "on_stop", "\"flatten\"");
    let (bot, _) = guarded(&house);
    let ended = bot.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let after = house.venue.snapshot();
    assert_eq!(after.open_orders, []);
    assert!(after.coins("SOL").0 < 10_000_000, "only dust is left: {:?}", after.coins("SOL"));
    assert!(ended.stdout.contains("\"TRADE_CLOSED\""), "{}", ended.stdout);
    assert_eq!(house.query("SELECT count(*) FROM trades WHERE exit_reason = 'SHUTDOWN'"), 1);
}

#[test]
fn sighup_puts_sound_numbers_in_force_refuses_others_and_names_what_needs_a_restart() {
    let mut house = House::new("sighup");
    house.set("thresholds", "support_low", "158");
    house.set("thresholds", "support_high", "160.50");
    let (mut bot, _) = house.open();
    bot.held_back_by("support_high"); // the market stands at 161

    house.set("risk", "stop_loss", "159");
    house.write();
    bot.signal(libc::SIGHUP);
    let refused = bot.next("RELOAD", |line| line["applied"] == false);
    let told = refused["msg"].as_str().expect("a text");
    assert!(told.contains("the old configuration stays") && told.contains("risk.stop_loss = 159"), "{told}");
    assert_eq!(bot.count("ENTER"), 0);

    house.set("risk", "stop_loss", "154.50");
    house.set("thresholds", "support_high", "162");
    house.set("storage", "csv_every", "\"30m\"");
    house.set("ops", "listen", "\"127.0.0.1:1\"");
    house.write();
    bot.signal(libc::SIGHUP);
    let applied = bot.next("RELOAD", |line| line["applied"] == true);
    let names = |key: &str| -> Vec<String> {
        let mut names: Vec<String> = serde_json::from_value(applied[key].clone()).expect("a list");
        names.sort();
        names
    };
    assert_eq!(names("needs_restart"), ["ops.listen", "storage.csv_every"]);
    assert_eq!(names("changed").len(), 2, "{applied}");
    bot.line("ENTER");
    bot.line("PROTECTED");
    let has_stop = |snapshot: &sol_volume_bot::sim::server::Snapshot| {
        snapshot.open_orders.iter().any(|order| order.stop_price == crate::rig::cents(15_450))
    };
    assert!(house.venue.wait_for(PATIENCE, has_stop).1, "the stop stands where the reload put it");
    assert_eq!(bot.stop().code, Some(0));
}

#[test]
fn a_reload_moves_the_stop_of_a_position_that_is_open() {
    let mut house = House::new("move");
    house.set("execution", "tranches", "1");
    let (mut bot, _) = guarded(&house);
    house.set("risk", "stop_loss", "157.25");
    house.write();
    bot.signal(libc::SIGHUP);
    bot.next("RELOAD", |line| line["applied"] == true);
    let moved = |snapshot: &sol_volume_bot::sim::server::Snapshot| {
        let mut stops = snapshot.open_orders.iter().filter(|order| order.stop_price.0 > 0).peekable();
        stops.peek().is_some() && stops.all(|order| order.stop_price == crate::rig::cents(15_725))
    };
    let (snapshot, is_moved) = house.venue.wait_for(PATIENCE, moved);
    assert!(is_moved, "{:?}", snapshot.open_orders);
    assert_eq!(bot.stop().code, Some(0));
}
