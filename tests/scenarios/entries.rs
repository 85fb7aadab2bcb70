//! Entries that do not go smoothly: thin books, prices that ran away, all or nothing.

use sol_volume_bot::sim::server::Fault;
use sol_volume_bot::types::Qty;
use sol_volume_bot::types::event::Bbo;

use crate::books::{Row, coins};
use crate::rig::{Rig, price};

const TICKER: &str = "solusdt@bookTicker";

fn sizes(rows: &[Row]) -> Vec<(i64, i64)> {
    rows.iter().map(|row| (coins(&row["qty"]).0, coins(&row["cum_qty"]).0)).collect()
}

#[test]
fn partial_fills_in_each_tranche_are_protected_at_once_and_the_rest_is_carried_over() {
    let mut rig = Rig::open("", |scenario| {
        scenario.market.levels = 3;
        scenario.market.level_qty = Qty(2_000_000_000);
    });
    rig.start();
    rig.enter();
    let now = rig.entered(3);
    assert!(!now.open_lists.is_empty());
    let books = rig.finish();
    let entries = books.orders("ENTRY");
    let sizes = sizes(&entries);
    assert_eq!(sizes.len(), 3, "{entries:?}");
    assert!(entries.iter().all(|row| row["status"] == "EXPIRED"), "{entries:?}");
    assert!(sizes.iter().all(|(qty, cum)| 0 < *cum && cum < qty), "every tranche is filled in part: {sizes:?}");
    for pair in sizes.windows(2) {
        let (missed, share) = (pair[0].0 - pair[0].1, sizes[0].0);
        let carried = pair[1].0 - missed - share;
        assert!(carried.abs() <= 2_000_000, "the next tranche asks for its share and what was missed: {sizes:?}");
    }
}

#[test]
fn an_ioc_whose_price_ran_away_expires_whole_and_the_next_tranche_takes_its_share() {
    let rig = Rig::run("feeds.stale_after_ms.binance_bbo = 20000");
    rig.enter();
    let first = rig.entered(1).coins("SOL");
    rig.venue.fault(Fault::MuteStream(TICKER.to_owned()));
    rig.venue.set_mid(price("161.90"));
    rig.line("ORDER_DONE", |line| line["purpose"] == "ENTRY" && line["status"] == "EXPIRED");
    assert_eq!(rig.venue.snapshot().coins("SOL"), first, "nothing was bought");
    rig.venue.fault(Fault::UnmuteStream(TICKER.to_owned()));
    rig.venue.set_mid(price("161.00"));
    rig.entered(3);
    let books = rig.finish();
    let sizes = sizes(&books.orders("ENTRY"));
    assert_eq!(sizes[1].1, 0, "{sizes:?}");
    assert_eq!(sizes[2].0, sizes[2].1, "{sizes:?}");
    assert!((sizes[2].0 - 2 * sizes[0].0).abs() <= 20_000_000, "the last tranche buys two shares: {sizes:?}");
}

#[test]
fn a_fok_buys_all_or_nothing() {
    let mut rig = Rig::open("execution.tranche_tif = 'FOK'", |scenario| {
        scenario.market.levels = 1;
        scenario.market.level_qty = Qty(2_000_000_000);
    });
    rig.start();
    rig.enter();
    rig.line("ORDER_DONE", |line| line["purpose"] == "ENTRY" && line["status"] == "EXPIRED");
    assert_eq!(rig.venue.snapshot().coins("SOL"), Qty::ZERO);
    let deep = Qty(200_000_000_000);
    let (bid, ask) = (price("160.99"), price("161.00"));
    rig.venue.follow(Bbo { bid, bid_qty: deep, ask, ask_qty: deep, update_id: 1 });
    rig.entered(3);
    let books = rig.finish();
    let entries = books.orders("ENTRY");
    let sizes = sizes(&entries);
    assert!(sizes.iter().all(|(qty, cum)| *cum == 0 || cum == qty), "{sizes:?}");
    assert_eq!(sizes[0].1, 0);
    assert!((sizes[1].0 - 2 * sizes[0].0).abs() <= 2_000_000, "the second tranche asks for both shares: {sizes:?}");
    assert_eq!(entries.iter().map(|row| row["tif"].as_str()).collect::<Vec<_>>(), ["FOK"; 3]);
}
