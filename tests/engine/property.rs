//! Seeded days: random market, random answers, reports shuffled, repeated and delayed. The desk's venue panics when
//! coins are sold that are not there or an id is used twice; the rest is checked here after every event.
//!
//! Thread: any.  Invariants: a failure prints its inputs; the same seed repeats the day.

use crate::desk::*;
use proptest::prelude::*;
use sol_volume_bot::engine::Engine;
use sol_volume_bot::types::command::{COMMANDS_PER_STEP_MAX, CommandBuf};
use sol_volume_bot::types::event::{Control, StreamState};
use sol_volume_bot::types::order::{ExecKind, Reason};
use sol_volume_bot::types::units::{Notional, Price, Qty};
use sol_volume_bot::types::{EventKind, Leg, ParamKey, StreamId};

#[derive(Clone, Debug)]
enum Act {
    Quote(i64),
    Pass(i64),
    Slot,
    Deliver(usize),
    Repeat,
    EntryFill(i64, i64),
    CloseFill(i64),
    Oco(Answer),
    Cancel(Answer),
    Query(Answer),
    LiftTarget(u8, bool),
    Triggers,
    Unknown(usize),
    Volume(bool),
    Stream(StreamState),
    Control(u8),
    Share(i64),
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        6 => Just(Answer::Proper),
        1 => Just(Answer::Refuse(Reason::RateLimit)),
        1 => Just(Answer::Refuse(Reason::PriceMoved)),
        1 => Just(Answer::Mute),
        1 => Just(Answer::Lost),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (-700_i64..1_400).prop_map(Act::Quote),
        8 => (1_i64..12_000).prop_map(Act::Pass),
        4 => Just(Act::Slot),
        12 => (0_usize..8).prop_map(Act::Deliver),
        2 => Just(Act::Repeat),
        2 => (0_i64..=100, 1_i64..4).prop_map(|(percent, parts)| Act::EntryFill(percent, parts)),
        2 => (0_i64..=100).prop_map(Act::CloseFill),
        2 => answer().prop_map(Act::Oco),
        2 => answer().prop_map(Act::Cancel),
        2 => answer().prop_map(Act::Query),
        4 => (1_u8..=2, any::<bool>()).prop_map(|(slot, whole)| Act::LiftTarget(slot, whole)),
        2 => Just(Act::Triggers),
        2 => (0_usize..6).prop_map(Act::Unknown),
        2 => any::<bool>().prop_map(Act::Volume),
        1 => prop_oneof![Just(StreamState::Up), Just(StreamState::Down)].prop_map(Act::Stream),
        1 => (0_u8..5).prop_map(Act::Control),
        1 => (0_i64..=100).prop_map(Act::Share),
    ]
}

fn perform(desk: &mut Desk, act: Act) {
    match act {
        Act::Quote(cents) => {
            let mid = px("161").0 + cents * 1_000_000;
            let mut quote = desk.bbo;
            (quote.bid, quote.ask) = (Price(mid), Price(mid + 1_000_000));
            desk.quote(quote);
        }
        Act::Pass(ms) => desk.pass(ms * MS),
        Act::Slot => desk.slot(),
        Act::Deliver(at) => {
            let at = at.min(desk.venue.reports.len().saturating_sub(1));
            if let Some(report) = desk.venue.reports.remove(at) {
                desk.report(report);
            }
        }
        Act::Repeat => {
            if let Some(report) = desk.venue.reports.front().copied() {
                desk.report(report);
            }
        }
        Act::EntryFill(percent, parts) => desk.entry_fill = (percent, parts),
        Act::CloseFill(percent) => desk.close_fill = percent,
        Act::Oco(answer) => desk.on_oco = answer,
        Act::Cancel(answer) => desk.on_cancel = answer,
        Act::Query(answer) => desk.on_query = answer,
        Act::LiftTarget(slot, whole) => {
            let live = desk.live().into_iter().find(|(leg, ..)| *leg == Leg::TakeProfit(slot));
            if let Some((_, qty, ..)) = live {
                let lot = instrument().lot.0;
                let half = Qty((qty.0 / 2 / lot * lot).max(lot).min(qty.0));
                desk.lift_target(slot, (!whole).then_some(half));
            }
        }
        Act::Triggers => desk.trigger_stops("154.99"),
        Act::Unknown(at) => {
            let id = desk.venue.orders.keys().rev().nth(at).copied();
            if let Some(id) = id {
                desk.report(word(id, ExecKind::Unknown));
            }
        }
        Act::Volume(falls) => desk.volume(if falls { "60000000" } else { "95000000" }),
        Act::Stream(state) => desk.feed(StreamId::BinanceUser, EventKind::Stream(state)),
        Act::Share(percent) => {
            desk.control(Control::Set(ParamKey::Tp1Share, percent * 1_000_000));
            desk.control(Control::Commit);
        }
        Act::Control(which) => desk.control(match which {
            0 => Control::Pause,
            1 => Control::Flatten,
            2 => Control::Stop,
            3 => Control::Kill,
            _ => Control::Resume,
        }),
    }
}

/// What was bought, at what it cost, may lose at the stop no more than allowed: counted by the venue's truth.
fn assert_risk(desk: &Desk) {
    let fills = desk.fills();
    let is_buy = |fill: &&sol_volume_bot::types::record::FillRow| matches!(fill.id.leg, Leg::Entry(_));
    let sold = fills.iter().any(|fill| !is_buy(&fill));
    if sold {
        return; // the bound is stated for what an entry builds up
    }
    let mut cost = 0_i128;
    let mut coins = 0_i128;
    for fill in fills.iter().filter(is_buy) {
        cost += fill.price.0 as i128 * fill.qty.0 as i128 / 1_000_000_000;
        coins += (fill.qty.0 - fill.fee) as i128;
    }
    let value = coins * px("154.845").0 as i128 / 1_000_000_000;
    let loss = cost - value + value / 1_000;
    assert!(loss <= usd("500").0 as i128, "{} at the stop", Notional(loss as i64));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn money_is_right_whatever_the_order_of_reports(acts in prop::collection::vec(act(), 1..120), hold in any::<bool>()) {
        let mut desk = Desk::new();
        desk.hold_reports = hold;
        desk.enter();
        for act in acts {
            perform(&mut desk, act);
            desk.venue.assert_covered();
            assert_risk(&desk);
            prop_assert!(desk.status().position >= Qty::ZERO);
        }
        prop_assert!(desk.most_commands <= COMMANDS_PER_STEP_MAX / 2, "{} commands in a step", desk.most_commands);

        // Let everything be told and answered: the books then agree with the venue, and what is held is protected.
        (desk.on_oco, desk.on_cancel, desk.on_query) = (Answer::Proper, Answer::Proper, Answer::Proper);
        (desk.entry_fill, desk.close_fill, desk.hold_reports) = ((100, 1), 100, false);
        desk.feed(StreamId::BinanceUser, EventKind::Stream(StreamState::Up));
        desk.market("161.00", "161.01");
        desk.deliver();
        desk.pass(90 * SEC);
        let (status, orders) = (desk.status(), desk.venue.orders.values().filter(|held| held.is_live()).count());
        prop_assert_eq!(status.position.0, desk.venue.base, "the books agree with the venue");
        prop_assert_eq!((status.orders_unknown, status.orders_open as usize), (0, orders));
        prop_assert!(!status.closing, "a close comes to its end");
        let lots = instrument().qty_floor(status.position);
        let is_dust = instrument().is_dust(px("155"), lots);
        prop_assert_eq!(desk.live_stop_qty(), if is_dust { Qty::ZERO } else { lots }, "what is held is protected");
    }

    #[test]
    fn the_same_events_give_the_same_commands(acts in prop::collection::vec(act(), 1..60)) {
        let mut desk = Desk::new();
        desk.enter();
        for act in acts {
            perform(&mut desk, act);
        }
        let mut again = Engine::new(setup());
        let mut commands = Vec::new();
        let mut out = CommandBuf::new();
        for event in &desk.events {
            out.clear();
            again.step(event, &mut out);
            commands.extend(out.iter().copied());
        }
        prop_assert_eq!(commands, desk.commands);
        prop_assert_eq!(again.status(), desk.engine.status());
    }
}
