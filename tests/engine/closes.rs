//! Getting out, step by step: freeze, cancel, proof, sell what is proven, again; and whatever may come in between.
//!
//! Thread: any.  Invariants: as of `desk`, whose venue panics when coins are sold that are not there.

use crate::desk::*;
use sol_volume_bot::engine::OpenPosition;
use sol_volume_bot::types::command::{Alert, Command, NewOrder};
use sol_volume_bot::types::event::{Control, StreamState};
use sol_volume_bot::types::order::{ExecKind, OrderKind, Reason};
use sol_volume_bot::types::record::PauseReason;
use sol_volume_bot::types::units::Qty;
use sol_volume_bot::types::{EventKind, Leg, ParamKey, StreamId, Time};

fn closes(desk: &Desk) -> Vec<NewOrder> {
    let replaced = |command: &Command| match command {
        Command::Place(new) if new.id.leg == Leg::Flatten => Some(*new),
        Command::CancelReplace(both) => Some(both.new),
        _ => None,
    };
    desk.commands.iter().filter_map(replaced).collect()
}
fn is_dust(desk: &Desk) -> bool {
    instrument().is_dust(px("155"), desk.status().position)
}
fn is_woken(desk: &Desk) -> bool {
    desk.alerts().contains(&Alert::Fatal { reason: PauseReason::Exit })
}
/// A position behind two pairs, the whole of it bought.
fn holding() -> Desk {
    let mut desk = Desk::new();
    desk.enter_all();
    desk
}

#[test]
fn partial_fills_of_a_close_sell_the_rest_in_further_rounds_and_never_more() {
    let mut desk = holding();
    let held = desk.status().position;
    desk.close_fill = 50;
    desk.control(Control::Flatten);
    desk.pass(20 * SEC);
    let sizes: Vec<i64> = closes(&desk).iter().map(|new| new.qty.0).collect();
    assert_eq!(sizes[0], instrument().qty_floor(held).0);
    assert!(sizes.windows(2).all(|pair| pair[1] < pair[0]), "each round asks for what is left: {sizes:?}");
    assert!(is_dust(&desk) && !desk.status().closing);
    assert_eq!(desk.status().position.0, desk.venue.base);
}

#[test]
fn a_close_that_nobody_answered_is_asked_about_and_no_second_one_leaves_before_the_answer() {
    for answer in [Answer::Mute, Answer::Lost] {
        let mut desk = holding();
        (desk.on_place, desk.on_query) = (answer, Answer::Lost);
        desk.control(Control::Flatten);
        let id = closes(&desk)[0].id;
        desk.report(word(id, ExecKind::Unknown));
        desk.on_place = Answer::Proper;
        desk.pass(5 * SEC);
        assert_eq!(closes(&desk).len(), 1, "nothing is sold twice on a guess");
        desk.on_query = Answer::Proper;
        desk.pass(3 * SEC);
        let is_executed = answer == Answer::Mute;
        assert_eq!(is_dust(&desk), is_executed, "what was executed is booked from the answer");
        desk.pass(8 * SEC);
        assert_eq!(closes(&desk).len(), if is_executed { 1 } else { 2 }, "and only a proven loss is sold anew");
        assert!(is_dust(&desk));
    }
}

#[test]
fn a_close_that_a_filter_refuses_is_tried_at_a_bounded_rate_and_wakes_somebody() {
    let mut desk = holding();
    desk.on_place = Answer::Refuse(Reason::Filter);
    desk.control(Control::Flatten);
    desk.pass(60 * SEC);
    assert!(is_woken(&desk));
    assert!(closes(&desk).len() >= 8 && closes(&desk).len() <= 24, "{}", closes(&desk).len());
    desk.on_place = Answer::Proper;
    desk.pass(6 * SEC);
    assert!(is_dust(&desk), "it goes on watching and trying");
}

#[test]
fn a_close_larger_than_the_venues_market_order_leaves_in_several() {
    let mut setup = setup();
    setup.base = sol("6");
    setup.position = Some(OpenPosition {
        trade_no: 1,
        qty: sol("6"),
        cost: usd("960"),
        bought: sol("6"),
        bought_value: usd("960"),
        sold: Qty::ZERO,
        sold_value: usd("0"),
        slot1_sold: Qty::ZERO,
        fees: usd("0"),
        realized: usd("0"),
        opened: NOON,
        last: NOON,
        last_exit: None,
    });
    setup.instrument.market_qty_max = sol("2.5"); // smaller than when it was bought
    let mut desk = Desk::with(setup);
    desk.control(Control::Flatten);
    desk.pass(10 * SEC);
    assert!(closes(&desk).len() >= 3 && closes(&desk).iter().all(|new| new.qty <= sol("2.5")));
    assert!(is_dust(&desk) && !is_woken(&desk));
}

#[test]
fn a_remainder_below_the_least_notional_ends_the_close_and_stays_on_the_books() {
    let mut desk = holding();
    let held = instrument().qty_floor(desk.status().position);
    let rest = sol("0.030"); // 4.65 USDT at the stop, of 5 that the venue wants
    desk.close_fill = (held.0 - rest.0) * 100 / held.0;
    desk.control(Control::Flatten);
    desk.close_fill = 100;
    desk.pass(5 * SEC);
    assert!(is_dust(&desk) && !desk.status().closing && !is_woken(&desk));
    assert_eq!(desk.status().position.0, desk.venue.base, "dust is counted, not forgotten");
    assert_eq!(desk.trades().len(), 1);
}

#[test]
fn a_target_filled_before_its_cancel_was_told_is_not_sold_again() {
    let mut desk = holding();
    desk.market("167.40", "167.45");
    desk.hold_reports = true;
    desk.lift_target(1, Some(sol("1")));
    desk.control(Control::Flatten);
    let (fills, others): (Vec<_>, Vec<_>) = desk.venue.reports.drain(..).partition(|r| r.kind == ExecKind::Fill);
    others.into_iter().for_each(|report| desk.report(report)); // the ends, with their sums, before the fill itself
    assert!(closes(&desk).is_empty(), "an end whose fill is not told yet proves nothing");
    desk.hold_reports = false;
    fills.into_iter().for_each(|report| desk.report(report));
    desk.deliver();
    desk.pass(5 * SEC);
    assert!(is_dust(&desk));
    assert_eq!(desk.status().position.0, desk.venue.base);
}

#[test]
fn a_stop_that_began_to_fill_is_not_replaced_by_a_close_of_the_whole() {
    let mut setup = setup();
    setup.params.tp1_share = ratio("0");
    let mut desk = Desk::with(setup);
    desk.enter_all();
    desk.hold_reports = true;
    desk.fill_stop(2, sol("1"), "154.90"); // at the venue, not told yet
    desk.control(Control::Flatten);
    assert_eq!(desk.count(|command| matches!(command, Command::CancelReplace(_))), 1);
    desk.venue.assert_covered();
    desk.hold_reports = false;
    desk.deliver();
    desk.pass(5 * SEC);
    assert!(is_dust(&desk));
    assert_eq!(desk.status().position.0, desk.venue.base);
}

#[test]
fn an_entry_that_fills_late_during_the_close_is_sold_too() {
    let mut desk = Desk::new();
    desk.enter();
    desk.hold_reports = true;
    desk.pass(11 * SEC); // the second tranche is filled, nothing is told
    let late: Vec<_> = desk.venue.reports.drain(..).collect();
    assert!(late.iter().any(|report| matches!(report.id.leg, Leg::Entry(2)) && report.kind == ExecKind::Fill));
    desk.hold_reports = false;
    desk.control(Control::Flatten);
    desk.pass(SEC);
    assert!(desk.status().closing, "an open entry keeps the close open");
    late.into_iter().for_each(|report| desk.report(report));
    desk.pass(5 * SEC);
    assert!(is_dust(&desk) && !desk.status().closing);
    assert_eq!(desk.status().position.0, desk.venue.base);
    assert_eq!(desk.entries().len(), 2, "no tranche after the word");
    assert_eq!(desk.trades().len(), 1);
}

#[test]
fn an_order_stream_lost_in_the_middle_of_a_close_ends_nothing_and_sends_nothing() {
    let mut desk = holding();
    (desk.hold_reports, desk.on_place) = (true, Answer::Mute);
    desk.control(Control::Flatten);
    desk.venue.reports.clear(); // both pairs are cancelled, nobody is told
    desk.feed(StreamId::BinanceUser, EventKind::Stream(StreamState::Down));
    let sent = desk.count(|command| matches!(command, Command::Place(_) | Command::CancelList(_)));
    desk.pass(3 * SEC);
    let orders = |command: &Command| matches!(command, Command::Place(_) | Command::CancelList(_));
    assert_eq!(desk.count(orders), sent, "nothing leaves without a line");
    assert!(desk.status().closing);
    (desk.hold_reports, desk.on_place) = (false, Answer::Proper);
    desk.feed(StreamId::BinanceUser, EventKind::Stream(StreamState::Up));
    desk.pass(3 * SEC);
    assert!(is_dust(&desk) && !desk.status().closing);
}

#[test]
fn a_cancel_that_is_refused_again_and_again_wakes_somebody_and_nothing_is_sold_meanwhile() {
    let mut desk = holding();
    desk.on_cancel = Answer::Refuse(Reason::RateLimit);
    desk.control(Control::Flatten);
    desk.pass(14 * SEC);
    assert!(!is_woken(&desk));
    desk.pass(2 * SEC);
    assert!(is_woken(&desk), "the venue answers every question, and still nothing moves");
    assert!(closes(&desk).is_empty() && desk.live_stop_qty().0 > 0, "the stops stand until their end is proven");
    desk.on_cancel = Answer::Proper;
    desk.pass(2 * SEC);
    assert!(is_dust(&desk));
}

#[test]
fn coins_that_the_venue_says_are_not_there_are_not_asked_for_again() {
    let mut desk = holding();
    desk.on_place = Answer::Refuse(Reason::Balance);
    desk.control(Control::Flatten);
    assert!(desk.status().pauses.has(PauseReason::Venue));
    let there = sol("1");
    let locked = Qty::ZERO;
    let balance = sol_volume_bot::types::event::Balance::Base { free: there, locked };
    desk.feed(StreamId::BinanceUser, EventKind::Balance(balance));
    let asked = closes(&desk).len();
    desk.pass(SEC);
    assert!(closes(&desk).len() > asked && closes(&desk)[asked..].iter().all(|new| new.qty <= there));
}

#[test]
fn an_exit_held_for_refused_that_lives_is_cancelled_and_its_coins_are_covered_once() {
    let mut desk = Desk::new();
    desk.on_oco = Answer::Refuse(Reason::RateLimit);
    desk.enter();
    let refused = desk.ocos()[0];
    desk.on_oco = Answer::Proper;
    desk.pass(100 * MS);
    assert_eq!(desk.live_stop_qty(), instrument().qty_floor(desk.status().position), "the slot went on without it");
    let mut alive = word(refused.stop, ExecKind::New);
    alive.leaves_qty = refused.qty;
    desk.report(alive); // the venue had taken it after all
    assert!(desk.alerts().contains(&Alert::Fatal { reason: PauseReason::Venue }));
    let cancels = |command: &Command| match command {
        Command::Cancel(cancel) => cancel.target == refused.stop,
        Command::CancelList(list) => list.stop == refused.stop,
        _ => false,
    };
    assert_eq!(desk.count(cancels), 1, "no slot answers for it, so it goes");
}

#[test]
fn a_close_takes_a_limit_first_and_any_price_later() {
    let mut desk = holding();
    desk.close_fill = 0;
    desk.control(Control::Flatten);
    desk.pass(2 * SEC);
    let kinds: Vec<OrderKind> = closes(&desk).iter().map(|new| new.kind).collect();
    assert_eq!(kinds[..3], [OrderKind::Limit, OrderKind::Limit, OrderKind::Market]);
}

/// A round trip that left `rest`, by a close that sold all else.
fn leaving(rest: Qty) -> Desk {
    let mut setup = setup();
    setup.instrument.lot = Qty(1); // so that a fee leaves no dust of its own
    let mut desk = Desk::with(setup);
    desk.enter_all();
    desk.leave_of_close = Some(rest);
    desk.control(Control::Flatten);
    desk.leave_of_close = None;
    desk
}

#[test]
fn coins_worth_exactly_the_least_notional_are_sold_and_a_lamport_less_is_dust_that_stays_on_the_books() {
    let least = Qty(32_258_065); // 5 USDT at the stop of 155, rounded up to a lamport
    for (rest, is_sold) in [(least, true), (Qty(least.0 - 1), false)] {
        let mut desk = leaving(rest);
        desk.pass(5 * SEC);
        assert_eq!(desk.status().position, if is_sold { Qty::ZERO } else { rest });
        assert_eq!(desk.status().position.0, desk.venue.base);
        assert!(!desk.status().closing && desk.status().orders_open == 0 && !is_woken(&desk));
        assert_eq!(desk.trades().len(), 1, "dust keeps no round trip open");
        assert_eq!(desk.status().naked_since, Time::NONE, "dust needs no stop");
    }
}

#[test]
fn dust_that_a_raised_stop_makes_worth_selling_gets_exits_of_its_own() {
    let mut desk = leaving(Qty(32_258_064));
    desk.pass(5 * SEC);
    assert!(desk.live().is_empty());
    desk.control(Control::Set(ParamKey::StopLoss, px("156").0));
    desk.control(Control::Commit);
    assert_eq!(desk.live_stop_qty(), Qty(32_258_064));
    desk.pass(2 * SEC);
    assert!(!desk.status().closing, "it is protected, not thrown out");
}
