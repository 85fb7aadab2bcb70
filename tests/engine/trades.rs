//! Whole round trips: entry in tranches, targets, stop, and what the books say afterwards.
//!
//! Thread: any.  Invariants: as of `desk`.

use crate::desk::*;
use sol_volume_bot::types::Leg;
use sol_volume_bot::types::command::Alert;
use sol_volume_bot::types::order::{Purpose, TimeInForce};
use sol_volume_bot::types::record::{ExitReason, PauseReason, Record};
use sol_volume_bot::types::units::{Notional, Qty};

/// Loss of a position bought at the desk's prices if it goes at the stop less the allowed slippage, fees both ways.
fn loss_at_stop(desk: &Desk) -> Notional {
    let row = desk.status().equity.expect("equity");
    let cost = row.position.0 as i128 * row.mid.0 as i128 / 1_000_000_000 - row.unrealized.0 as i128;
    let stop = px("154.845").0 as i128; // 155 less 10 bps
    let value = row.position.0 as i128 * stop / 1_000_000_000;
    Notional((cost - value + value / 1_000 + 1) as i64)
}

#[test]
fn three_tranches_share_the_plan_and_the_loss_at_the_stop_stays_within_the_limit() {
    let mut setup = setup();
    setup.params.max_trade_risk = ratio("0.02");
    let mut desk = Desk::with(setup);
    desk.enter();
    assert_eq!(desk.entries().len(), 1, "the first tranche goes at once");
    desk.pass(9 * SEC);
    assert_eq!(desk.entries().len(), 1);
    desk.pass(SEC);
    assert_eq!(desk.entries().len(), 2, "the second a third of the window later");
    desk.pass(11 * SEC);
    let entries = desk.entries();
    assert_eq!(entries.len(), 3);
    assert!(entries.iter().all(|new| new.price == px("161.17") && new.tif == TimeInForce::Ioc));
    let loss = loss_at_stop(&desk);
    assert!(loss <= usd("200"), "{loss} is more than 2 % of 10000");
    assert!(loss > usd("190"), "{loss} leaves the allowed risk unused");
    desk.pass(60 * SEC);
    assert_eq!(desk.entries().len(), 3, "the last tranche ends the entry");
    assert_eq!(desk.live_stop_qty(), Qty(desk.status().position.0 / 1_000_000 * 1_000_000));
}

#[test]
fn both_targets_fill_and_the_round_trip_is_booked_net_of_fees() {
    let mut desk = Desk::new();
    desk.enter_all();
    let bought = desk.status().position;
    let cash_before = usd("10000");
    assert_eq!(desk.live().len(), 4);
    desk.market("167.40", "167.45");
    desk.lift_target(1, None);
    assert!(desk.trades().is_empty());
    desk.market("173.80", "173.90");
    desk.lift_target(2, None);
    let trades = desk.trades();
    assert_eq!(trades.len(), 1);
    let (row, trade) = (desk.status().equity.expect("equity"), trades[0]);
    assert_eq!(trade.reason, ExitReason::TakeProfit);
    assert!(trade.pnl > Notional::ZERO && trade.fees > Notional::ZERO);
    assert!(row.position < sol("0.001"), "only dust of {bought} stays");
    let dust_cost = Notional(-row.unrealized.0 + (row.position.0 as i128 * row.mid.0 as i128 / 1_000_000_000) as i64);
    let off = row.cash.0 - cash_before.0 - trade.pnl.0 + dust_cost.0;
    assert!(off.abs() <= 2, "cash moved by the profit less what the dust cost; off by {off}");
    assert_eq!(desk.status().orders_open, 0);
    assert_eq!(desk.status().consecutive_losses, 0);
}

#[test]
fn the_stop_legs_sell_all_and_a_loss_is_counted() {
    let mut desk = Desk::new();
    desk.enter_all();
    desk.trigger_stops("154.99");
    let trade = desk.trades()[0];
    assert_eq!(trade.reason, ExitReason::StopLeg);
    assert!(trade.pnl < Notional::ZERO && trade.pnl > usd("-500"), "{}", trade.pnl);
    assert_eq!(desk.status().consecutive_losses, 1);
    assert!(desk.records().any(|record| record == Record::Losses(1)));
    assert!(desk.alerts().iter().any(|alert| matches!(alert, Alert::Stop { reason: ExitReason::StopLeg, .. })));
}

#[test]
fn partial_fills_in_each_tranche_carry_the_rest_over_and_protect_what_is_held() {
    let mut desk = Desk::new();
    desk.entry_fill = (40, 3);
    desk.enter();
    let first = desk.entries()[0].qty;
    let held = desk.status().position;
    assert!(held > Qty::ZERO && held < first);
    assert_eq!(desk.live_stop_qty(), instrument().qty_floor(held));
    desk.pass(10 * SEC);
    let second = desk.entries()[1].qty;
    assert!(second > first, "the remainder carries over: {second} after {first}");
    assert_eq!(desk.live_stop_qty(), instrument().qty_floor(desk.status().position));
    desk.entry_fill = (100, 1);
    desk.pass(10 * SEC);
    let bought: i64 = desk.fills().iter().map(|fill| fill.qty.0).sum();
    let whole = Desk::new_plan();
    assert!((bought - whole.0).abs() <= sol("0.05").0, "all of the plan was bought: {bought} of {whole}");
    assert_eq!(desk.live_stop_qty(), instrument().qty_floor(desk.status().position));
}

impl Desk {
    /// What an entry without any trouble buys.
    fn new_plan() -> Qty {
        let mut desk = Desk::new();
        desk.enter_all();
        Qty(desk.fills().iter().map(|fill| fill.qty.0).sum())
    }
}

#[test]
fn an_ioc_that_finds_nothing_expires_and_the_next_tranche_takes_its_share() {
    let mut desk = Desk::new();
    desk.entry_fill = (0, 1);
    desk.enter();
    assert_eq!(desk.status().position, Qty::ZERO);
    desk.entry_fill = (100, 1);
    desk.pass(10 * SEC);
    let entries = desk.entries();
    assert_eq!(entries[1].qty.0 / 1_000_000, entries[0].qty.0 * 2 / 1_000_000);
    desk.pass(11 * SEC);
    assert_eq!(desk.trades().len(), 0);
    assert_eq!(desk.status().tranche, 0, "the entry is over");
}

#[test]
fn a_fok_is_all_or_nothing() {
    let mut setup = setup();
    setup.params.tranche_tif = TimeInForce::Fok;
    let mut desk = Desk::with(setup);
    desk.entry_fill = (99, 1);
    desk.enter();
    assert_eq!(desk.entries()[0].tif, TimeInForce::Fok);
    assert_eq!(desk.status().position, Qty::ZERO);
    desk.entry_fill = (100, 1);
    desk.pass(10 * SEC);
    assert!(desk.status().position > Qty::ZERO);
}

#[test]
fn four_losing_round_trips_pause_until_resumed() {
    let mut setup = setup();
    let mut losses = 0;
    for trip in 1..=4 {
        setup.consecutive_losses = losses;
        setup.next_trade_no = trip;
        setup.epoch += 1;
        let mut desk = Desk::with(setup);
        desk.enter_all();
        desk.trigger_stops("154.99");
        losses = desk.status().consecutive_losses;
        assert_eq!(losses, trip);
        assert_eq!(desk.status().pauses.has(PauseReason::ConsecutiveLosses), trip == 4);
    }
    setup.paused = [PauseReason::ConsecutiveLosses].into_iter().collect();
    setup.consecutive_losses = 4;
    setup.epoch += 1;
    let mut desk = Desk::with(setup);
    desk.enter_all();
    assert!(desk.entries().is_empty(), "paused across the restart");
    desk.control(sol_volume_bot::types::event::Control::Resume);
    desk.quote(desk.bbo);
    assert_eq!(desk.entries().len(), 1, "resumed");
    assert_eq!(desk.status().consecutive_losses, 0);
}

#[test]
fn the_same_day_gives_one_signal() {
    let mut desk = Desk::new();
    desk.enter_all();
    desk.trigger_stops("154.99");
    desk.market("161.00", "161.01");
    desk.pass(60 * SEC);
    assert_eq!(desk.entries().len(), 3);
}

#[test]
fn every_order_says_its_purpose_and_the_ids_name_the_run_and_the_signal() {
    let mut desk = Desk::new();
    desk.enter();
    let entry = desk.entries()[0];
    assert_eq!((entry.id.epoch, entry.id.signal, entry.id.leg), (7, 1, Leg::Entry(1)));
    assert_eq!(entry.purpose, Purpose::Entry);
    let ocos = desk.ocos();
    assert_eq!(ocos.len(), 2);
    assert_eq!(ocos[0].tp_price, px("167.46"), "161.01 and 4 %, rounded up to the grid");
    assert_eq!(ocos[1].tp_price, px("173.90"));
    assert!(ocos.iter().all(|oco| oco.stop_price == px("155") && oco.stop_limit.0 == 0));
}
