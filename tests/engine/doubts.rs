//! Reports that come late, twice, out of order or not at all: the money is right in the end, and nothing is resent.
//!
//! Thread: any.  Invariants: as of `desk`.

use crate::desk::*;
use sol_volume_bot::types::command::{Alert, Command};
use sol_volume_bot::types::event::{Control, StreamState};
use sol_volume_bot::types::order::{ExecKind, ExecutionReport, Reason};
use sol_volume_bot::types::record::{OrderStatus, PauseReason};
use sol_volume_bot::types::{EventKind, Leg, ParamKey, StreamId};

fn queries(desk: &Desk) -> usize {
    desk.count(|command| matches!(command, Command::Query(_)))
}

#[test]
fn a_fill_before_its_ack_and_an_end_before_its_fill_book_the_same_money() {
    let straight = {
        let mut desk = Desk::new();
        desk.entry_fill = (60, 2);
        desk.enter();
        desk.status().position
    };
    for order in [[2, 1, 0, 3], [3, 0, 2, 1], [1, 2, 3, 0], [3, 2, 1, 0]] {
        let mut desk = Desk::new();
        desk.entry_fill = (60, 2);
        desk.hold_reports = true;
        desk.enter();
        let reports: Vec<_> = desk.venue.reports.drain(..).collect();
        assert_eq!(reports.len(), 4, "new, two fills, expired");
        desk.hold_reports = false;
        for at in order {
            desk.report(reports[at]);
        }
        assert_eq!(desk.status().position, straight, "{order:?}");
        assert_eq!(desk.live_stop_qty(), instrument().qty_floor(straight));
        assert!(desk.status().pauses.is_empty());
    }
}

#[test]
fn a_fill_told_three_times_is_booked_once() {
    let mut desk = Desk::new();
    desk.hold_reports = true;
    desk.enter();
    let reports: Vec<_> = desk.venue.reports.drain(..).collect();
    desk.hold_reports = false;
    for _ in 0..3 {
        reports.iter().for_each(|report| desk.report(*report));
    }
    assert_eq!(desk.fills().len(), 1);
    assert_eq!(desk.status().position.0, desk.venue.base);
}

#[test]
fn a_fill_after_the_cancel_was_proven_is_booked_and_protected_anew() {
    let mut desk = Desk::new();
    desk.enter_all();
    let before = desk.status().position;
    desk.market("167.40", "167.45");
    desk.hold_reports = true;
    desk.lift_target(1, Some(sol("1")));
    let fill = desk.venue.reports.pop_front().expect("the fill");
    desk.hold_reports = false;
    desk.deliver();
    assert_eq!(desk.status().position, before, "not told yet");
    desk.report(fill);
    assert_eq!(desk.status().position.0, before.0 - sol("1").0);
    desk.pass(SEC);
    assert_eq!(desk.live_stop_qty(), instrument().qty_floor(desk.status().position));
    assert!(desk.status().pauses.is_empty());
}

#[test]
fn an_entry_that_nobody_answered_is_asked_about_and_never_sent_again() {
    let mut desk = Desk::new();
    desk.on_place = Answer::Mute;
    desk.on_query = Answer::Mute;
    desk.enter();
    let id = desk.entries()[0].id;
    desk.report(word(id, ExecKind::Unknown));
    assert_eq!(desk.status().orders_unknown, 1);
    desk.pass(2 * SEC);
    assert!(queries(&desk) >= 3 && queries(&desk) < 8, "at a growing distance: {}", queries(&desk));
    assert_eq!(desk.entries().len(), 1);
    desk.pass(8 * SEC + 10 * MS);
    assert!(
        desk.refusals().contains(&sol_volume_bot::types::decision::RiskRule::UnknownOrder),
        "the next tranche waits"
    );
    desk.on_query = Answer::Proper;
    desk.pass(3 * SEC);
    assert_eq!(desk.status().orders_unknown, 0, "the venue says it ended");
    assert_eq!(desk.status().position.0, desk.venue.base, "what it had bought is booked");
    assert_eq!(desk.live_stop_qty(), instrument().qty_floor(desk.status().position));
}

#[test]
fn not_found_proves_nothing_before_the_deadline_and_frees_the_money_after_it() {
    let mut desk = Desk::new();
    desk.on_place = Answer::Lost;
    desk.enter();
    let id = desk.entries()[0].id;
    desk.report(word(id, ExecKind::Unknown));
    desk.on_place = Answer::Proper;
    desk.pass(9 * SEC);
    assert_eq!((desk.status().orders_unknown, desk.status().orders_open), (1, 1), "reserved at its worst");
    desk.pass(6 * SEC);
    assert_eq!((desk.status().orders_unknown, desk.status().orders_open), (0, 0));
    let row = desk.records().filter_map(|r| match r {
        sol_volume_bot::types::Record::Order(row) if row.id == id => Some(row.status),
        _ => None,
    });
    assert_eq!(row.last(), Some(OrderStatus::Rejected));
    desk.pass(6 * SEC);
    assert!(desk.entries().iter().skip(1).all(|new| new.id != id), "a new attempt has a new id");
    assert_eq!(desk.entries().len(), 2, "the third tranche takes all shares");
}

#[test]
fn not_found_after_a_refusal_is_its_echo_and_pauses_nothing() {
    let mut desk = Desk::new();
    desk.on_place = Answer::Mute;
    desk.on_query = Answer::Mute;
    desk.enter();
    let id = desk.entries()[0].id;
    desk.report(word(id, ExecKind::Unknown));
    desk.pass(SEC); // a question is on its way when the late answer comes
    desk.report(ExecutionReport { reason: Reason::Clock, ..word(id, ExecKind::Rejected) });
    desk.report(word(id, ExecKind::NotFound));
    assert_eq!(desk.status().orders_unknown, 0);
    assert!(desk.status().pauses.is_empty(), "the venue said the same thing twice");
}

#[test]
fn a_lost_oco_is_asked_about_and_the_close_waits_for_proof() {
    let mut desk = Desk::new();
    desk.on_oco = Answer::Mute;
    desk.on_query = Answer::Mute;
    desk.enter();
    for oco in desk.ocos() {
        desk.report(word(oco.take_profit, ExecKind::Unknown));
        desk.report(word(oco.stop, ExecKind::Unknown));
    }
    desk.pass(400 * MS);
    assert_eq!(desk.placed().len(), 1, "nothing is sold twice on a guess");
    assert!(queries(&desk) > 0);
    desk.on_query = Answer::Proper;
    desk.pass(SEC);
    assert_eq!(desk.status().orders_unknown, 0);
    assert!(desk.venue.base >= 0);
}

#[test]
fn a_cancel_that_lost_the_race_against_a_fill_sells_only_what_is_left() {
    let mut desk = Desk::new();
    desk.enter_all();
    desk.market("167.40", "167.45");
    desk.hold_reports = true;
    desk.lift_target(1, None); // at the venue, not told yet
    desk.control(Control::Flatten);
    desk.hold_reports = false;
    desk.deliver();
    desk.pass(2 * SEC);
    assert!(desk.venue.base < sol("0.001").0 && desk.venue.base >= 0);
    assert_eq!(desk.trades().len(), 1);
    assert!(desk.status().pauses.has(PauseReason::Operator));
    assert!(!desk.status().pauses.has(PauseReason::Venue));
}

#[test]
fn a_refused_cancel_of_a_living_pair_is_asked_about_and_tried_again() {
    let mut desk = Desk::new();
    desk.enter_all();
    desk.on_cancel = Answer::Lost;
    desk.control(Control::Flatten);
    desk.pass(900 * MS);
    assert_eq!(desk.placed().iter().filter(|new| new.id.leg == Leg::Flatten).count(), 0);
    desk.on_cancel = Answer::Proper;
    desk.pass(4 * SEC);
    assert!(instrument().is_dust(px("155"), desk.status().position), "a cancel may be repeated");
}

#[test]
fn a_slot_that_grows_waits_until_the_other_slots_end_is_proven() {
    let mut desk = Desk::new();
    desk.enter_all();
    desk.hold_reports = true;
    desk.control(Control::Set(ParamKey::Tp1Share, ratio("0.9").0));
    desk.control(Control::Commit);
    let posted = desk.ocos().len();
    let (first, second): (Vec<_>, Vec<_>) =
        desk.venue.reports.drain(..).partition(|report| matches!(report.id.leg, Leg::TakeProfit(1) | Leg::Stop(1)));
    assert_eq!((first.len(), second.len()), (2, 2), "both pairs are cancelled");
    first.into_iter().for_each(|report| desk.report(report));
    assert_eq!(desk.ocos().len(), posted, "half of its coins are still the other slot's");
    second.into_iter().for_each(|report| desk.report(report));
    desk.hold_reports = false;
    desk.deliver();
    assert_eq!(desk.ocos().len(), posted + 2);
    assert_eq!(desk.live_stop_qty(), instrument().qty_floor(desk.status().position));
}

#[test]
fn after_the_order_stream_returns_every_open_order_is_asked_about() {
    let mut desk = Desk::new();
    desk.enter_all();
    desk.feed(StreamId::BinanceUser, EventKind::Stream(StreamState::Down));
    desk.hold_reports = true;
    desk.trigger_stops("154.99");
    desk.venue.reports.clear(); // told to nobody
    desk.hold_reports = false;
    let asked = queries(&desk);
    desk.feed(StreamId::BinanceUser, EventKind::Stream(StreamState::Up));
    desk.pass(10 * MS);
    assert_eq!(queries(&desk) - asked, 4);
}

#[test]
fn a_fill_of_an_order_that_nobody_knows_is_booked_and_wakes_somebody() {
    let mut desk = Desk::new();
    desk.enter_all();
    let before = desk.status().position;
    let mut fill = word(desk.entries()[0].id, ExecKind::Fill);
    fill.id.attempt = 77;
    fill.side = sol_volume_bot::types::Side::Buy;
    fill.last_qty = sol("1");
    fill.last_px = px("161");
    fill.trade_id = 5_000_000;
    desk.venue.base += sol("1").0;
    desk.report(fill);
    assert_eq!(desk.status().position.0, before.0 + sol("1").0);
    assert!(desk.alerts().contains(&Alert::Fatal { reason: PauseReason::Venue }));
    assert_eq!(desk.live_stop_qty(), instrument().qty_floor(desk.status().position));
}

#[test]
fn a_refused_key_halts_entries() {
    let mut desk = Desk::new();
    desk.on_place = Answer::Refuse(Reason::Halt);
    desk.enter();
    assert!(desk.alerts().contains(&Alert::Fatal { reason: PauseReason::Venue }));
    desk.pass(21 * SEC);
    assert_eq!(desk.entries().len(), 1);
}

#[test]
fn a_cancel_that_a_rate_limit_stopped_leaves_the_exits_standing_and_believed() {
    let mut desk = Desk::new();
    desk.enter_all();
    desk.hold_reports = true;
    desk.market("161.50", "161.51"); // a shift: the next slot moves both targets
    desk.control(Control::Set(ParamKey::RepostSamePrice, 1));
    desk.control(Control::Commit);
    desk.on_cancel = Answer::Lost;
    let cancels = |desk: &Desk| desk.count(|command| matches!(command, Command::CancelList(_)));
    let before = cancels(&desk);
    desk.slot();
    assert_eq!(cancels(&desk) - before, 2);
    for leg in [Leg::TakeProfit(1), Leg::Stop(1), Leg::TakeProfit(2), Leg::Stop(2)] {
        let mut refused = word(desk.live_id(leg), ExecKind::CancelRejected);
        refused.reason = Reason::RateLimit;
        desk.report(refused);
    }
    assert_eq!((desk.status().orders_unknown, desk.status().naked_since), (0, sol_volume_bot::types::Time::NONE));
    desk.hold_reports = false;
    desk.on_cancel = Answer::Proper;
    desk.pass(2 * SEC);
    assert!(!desk.status().closing, "protected coins are not sold in fright");
    assert_eq!(desk.live_stop_qty(), instrument().qty_floor(desk.status().position));
}
