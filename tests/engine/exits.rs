//! Protection: what rests for a position, how it is resized and re-posted, and every way out.
//!
//! Thread: any.  Invariants: as of `desk`.

use crate::desk::*;
use sol_volume_bot::engine::OpenPosition;
use sol_volume_bot::types::command::{Alert, Command};
use sol_volume_bot::types::event::{Control, StreamState};
use sol_volume_bot::types::order::{OrderKind, Reason, TimeInForce};
use sol_volume_bot::types::record::{ExitReason, OrderStatus, PauseReason, Record};
use sol_volume_bot::types::units::{Price, Qty, RATIO_SCALE, Ratio};
use sol_volume_bot::types::{EventKind, Leg, ParamKey, Side, StreamId, Time};

fn held(desk: &Desk) -> Qty {
    instrument().qty_floor(desk.status().position)
}
fn is_flat(desk: &Desk) -> bool {
    instrument().is_dust(px("155"), desk.status().position) && desk.status().orders_open == 0
}
fn exit_reasons(desk: &Desk) -> Vec<ExitReason> {
    desk.records().filter_map(|r| if let Record::Exit { reason, .. } = r { Some(reason) } else { None }).collect()
}
fn is_cancel(command: &Command) -> bool {
    matches!(command, Command::CancelList(_))
}

#[test]
fn a_partial_target_is_cancelled_and_the_rest_protected_at_once() {
    let mut desk = Desk::new();
    desk.enter_all();
    let before = held(&desk);
    desk.market("167.40", "167.45");
    let target = desk.live_price(Leg::TakeProfit(1));
    desk.lift_target(1, Some(sol("1")));
    let again = desk.live_price(Leg::TakeProfit(1));
    assert_eq!(again.0, target.0 + instrument().tick.0, "above the last trade, or the venue refuses the pair");
    assert_eq!(held(&desk), Qty(before.0 - sol("1").0));
    assert_eq!(desk.live_stop_qty(), held(&desk));
    assert_eq!(desk.status().naked_since, Time::NONE);
    assert!(desk.records().any(|record| matches!(record, Record::Naked { .. })), "the gap was measured");
    desk.lift_target(1, None);
    desk.market("173.80", "173.90");
    desk.lift_target(2, None);
    assert_eq!(desk.trades()[0].reason, ExitReason::TakeProfit);
}

#[test]
fn the_first_target_sells_its_share_and_the_second_the_rest() {
    let mut setup = setup();
    setup.params.tp1_share = ratio("0.25");
    let mut desk = Desk::with(setup);
    desk.enter_all();
    let slot = |desk: &Desk, leg| desk.live().into_iter().find(|(l, ..)| *l == leg).map(|(_, qty, ..)| qty);
    let first = slot(&desk, Leg::TakeProfit(1)).expect("slot 1");
    let second = slot(&desk, Leg::TakeProfit(2)).expect("slot 2");
    assert_eq!(first.0 + second.0, held(&desk).0);
    assert_eq!(first, instrument().qty_floor(Qty(desk.status().position.0 / 4)));
    desk.market("167.40", "167.45");
    desk.lift_target(1, None);
    assert_eq!(slot(&desk, Leg::TakeProfit(1)), None, "no new first target after the first");
    assert_eq!(slot(&desk, Leg::TakeProfit(2)), Some(second));
}

#[test]
fn a_position_too_small_for_two_slots_rests_in_one() {
    let mut setup = setup();
    setup.cash = usd("25");
    setup.params.tranches = 1;
    setup.instrument.notional_min = usd("15");
    let mut desk = Desk::with(setup);
    desk.enter();
    assert_eq!(desk.ocos().len(), 2 - 1, "halves of 12 USDT at the stop are sellable only together");
    assert_eq!(desk.live_stop_qty(), held(&desk));
}

#[test]
fn an_oco_through_which_the_price_moved_means_out_at_the_market() {
    let mut desk = Desk::new();
    desk.on_oco = Answer::Refuse(Reason::PriceMoved);
    desk.enter();
    assert!(is_flat(&desk));
    assert_eq!(exit_reasons(&desk), [ExitReason::Unprotected]);
    let close = desk.placed().into_iter().find(|new| new.id.leg == Leg::Flatten).expect("a close");
    assert_eq!((close.kind, close.tif), (OrderKind::Limit, TimeInForce::Ioc));
    assert!(close.price < px("161") && close.price >= px("160.35"), "{}", close.price);
}

#[test]
fn an_oco_refused_for_another_reason_is_tried_again_until_the_deadline() {
    let mut desk = Desk::new();
    desk.on_oco = Answer::Refuse(Reason::RateLimit);
    desk.enter();
    desk.pass(200 * MS);
    assert!(desk.ocos().len() > 2 && desk.ocos().len() < 20, "{}", desk.ocos().len());
    desk.on_oco = Answer::Proper;
    desk.pass(100 * MS);
    assert_eq!(desk.live_stop_qty(), held(&desk));
    assert!(exit_reasons(&desk).is_empty());
}

#[test]
fn coins_naked_at_the_deadline_are_sold() {
    let mut desk = Desk::new();
    desk.on_oco = Answer::Refuse(Reason::RateLimit);
    desk.enter();
    desk.pass(499 * MS);
    assert!(exit_reasons(&desk).is_empty());
    desk.pass(MS);
    assert_eq!(exit_reasons(&desk), [ExitReason::Unprotected]);
    assert!(is_flat(&desk));
    let longest = desk.records().filter_map(|r| if let Record::Naked { ns, .. } = r { Some(ns) } else { None }).max();
    assert_eq!(longest, Some(500 * MS));
    assert!(desk.alerts().iter().any(|a| matches!(a, Alert::Stop { reason: ExitReason::Unprotected, .. })));
}

#[test]
fn the_engine_watches_the_stop_price_itself_and_leaves_in_bounded_steps() {
    let mut desk = Desk::new();
    desk.enter_all();
    desk.market("154.99", "155.00");
    assert_eq!(exit_reasons(&desk), [ExitReason::GlobalStop]);
    assert!(is_flat(&desk));
    assert_eq!(desk.trades()[0].reason, ExitReason::GlobalStop);
    let mut desk = Desk::new();
    desk.enter_all();
    desk.market("155.00", "155.02");
    assert!(exit_reasons(&desk).is_empty(), "a tick above the stop the venue's own order still guards");
}

#[test]
fn one_pair_that_holds_all_is_closed_in_one_trip() {
    let mut setup = setup();
    setup.params.tp1_share = Ratio::ZERO;
    let mut desk = Desk::with(setup);
    desk.enter_all();
    desk.control(Control::Flatten);
    assert_eq!(desk.count(|command| matches!(command, Command::CancelReplace(_))), 1);
    assert!(is_flat(&desk));
    assert!(desk.status().pauses.has(PauseReason::Operator));
    assert_eq!(desk.trades()[0].reason, ExitReason::Flatten);
}

#[test]
fn a_close_that_finds_no_bid_tries_again_at_the_market_and_then_wakes_somebody() {
    let mut desk = Desk::new();
    desk.enter_all();
    desk.close_fill = 0;
    desk.control(Control::Flatten);
    desk.pass(30 * SEC);
    let closes: Vec<_> = desk.placed().into_iter().filter(|new| new.id.leg == Leg::Flatten).collect();
    assert!(closes[..2].iter().all(|new| new.kind == OrderKind::Limit));
    assert!(closes[2..].iter().all(|new| new.kind == OrderKind::Market));
    assert!(closes.len() >= 8 && closes.len() < 20, "a bounded rate: {}", closes.len());
    assert!(desk.alerts().contains(&Alert::Fatal { reason: PauseReason::Exit }));
    desk.close_fill = 100;
    desk.pass(10 * SEC);
    assert!(is_flat(&desk), "it never gives up");
}

#[test]
fn kill_cancels_everything_first_sells_and_never_enters_again() {
    let mut desk = Desk::new();
    desk.enter();
    desk.commands.clear();
    desk.control(Control::Kill);
    assert_eq!(desk.commands.first(), Some(&Command::CancelAll));
    assert!(is_flat(&desk));
    assert_eq!(exit_reasons(&desk), [ExitReason::Kill]);
    assert!(desk.status().stopping);
    desk.control(Control::Resume);
    desk.pass(60 * SEC);
    assert!(desk.entries().is_empty());
}

#[test]
fn a_clean_stop_leaves_the_protective_orders_or_flattens_by_config() {
    for flatten in [false, true] {
        let mut setup = setup();
        setup.params.flatten_on_stop = flatten;
        let mut desk = Desk::with(setup);
        desk.enter();
        let live = desk.live();
        desk.control(Control::Stop);
        desk.pass(30 * SEC);
        assert_eq!(desk.entries().len(), 1, "no tranche after the stop");
        assert_eq!(is_flat(&desk), flatten);
        assert_eq!(desk.live() == live, !flatten);
    }
}

#[test]
fn exit_by_signal_and_by_age_sell_everything() {
    let mut setup = setup();
    setup.params.max_hold_ns = 60 * SEC;
    let mut desk = Desk::with(setup);
    desk.enter_all();
    desk.pass(45 * SEC);
    assert_eq!(desk.trades().first().map(|trade| trade.reason), Some(ExitReason::MaxHold));
    setup.params.max_hold_ns = 0;
    setup.params.meme_recover = ratio("0.10");
    let mut desk = Desk::with(setup);
    desk.enter_all();
    desk.volume("95000000");
    assert_eq!(desk.trades().first().map(|trade| trade.reason), Some(ExitReason::Signal));
    assert!(is_flat(&desk));
}

#[test]
fn a_slot_after_a_shift_reposts_a_target_that_the_market_passed_and_keeps_one_it_did_not() {
    let mut desk = Desk::new();
    desk.enter_all();
    desk.commands.clear();
    desk.market("161.30", "161.31");
    desk.slot();
    let kept = |desk: &Desk| desk.count(|c| matches!(c, Command::Record(Record::Repost(r)) if r.kept));
    assert_eq!((kept(&desk), desk.count(is_cancel)), (2, 0), "same price: the queue place stays");
    desk.slot();
    assert_eq!(kept(&desk), 2, "one shift is answered once");
    desk.market("167.47", "167.48");
    desk.slot();
    assert_eq!(desk.count(is_cancel), 1, "only the first target was passed");
    let target = desk.live().into_iter().find(|(leg, ..)| *leg == Leg::TakeProfit(1)).expect("slot 1");
    assert_eq!(target.2, px("167.48"), "one tick above the best bid");
    assert_eq!(desk.live_stop_qty(), held(&desk));
}

#[test]
fn a_shift_of_exactly_a_tenth_of_a_percent_moves_nothing() {
    let mut setup = setup();
    setup.params.repost_same_price = true;
    let mut desk = Desk::with(setup);
    desk.enter_all();
    desk.market("161.00", "161.01");
    let post = px("161.005").0;
    let shifted = |ratio_e8: i64| Price(post + post * ratio_e8 / RATIO_SCALE);
    let quote = |mid: Price, desk: &mut Desk| {
        let half = px("0.005").0;
        let mut quote = desk.bbo;
        quote.bid = Price(mid.0 - half);
        quote.ask = Price(mid.0 + half);
        desk.quote(quote);
    };
    desk.commands.clear();
    quote(shifted(100_000), &mut desk);
    desk.slot();
    assert_eq!(desk.count(is_cancel), 0);
    quote(Price(shifted(100_000).0 + 1), &mut desk);
    desk.slot();
    assert_eq!(desk.count(is_cancel), 2, "to the letter: both, at the same price");
    assert_eq!(desk.live_stop_qty(), held(&desk));
}

#[test]
fn a_stop_that_the_venue_lost_is_replaced_above_the_stop_and_sold_below_it() {
    let mut desk = Desk::new();
    desk.enter_all();
    let stop = desk.live_id(Leg::Stop(1));
    desk.venue.end(stop, OrderStatus::Expired, Reason::Unprotected);
    desk.deliver();
    assert_eq!(desk.live_stop_qty(), held(&desk), "placed again");
    let stop = desk.live_id(Leg::Stop(1));
    desk.venue.end(stop, OrderStatus::Expired, Reason::Unprotected);
    desk.deliver();
    assert!(is_flat(&desk), "a second time means out");
    assert_eq!(exit_reasons(&desk), [ExitReason::Unprotected]);
}

#[test]
fn stops_of_both_slots_lost_in_one_stroke_are_both_replaced() {
    let mut desk = Desk::new();
    desk.enter_all();
    for leg in [Leg::Stop(1), Leg::Stop(2)] {
        let stop = desk.live_id(leg);
        desk.venue.end(stop, OrderStatus::Expired, Reason::Unprotected);
    }
    desk.deliver();
    assert_eq!(desk.live_stop_qty(), held(&desk), "placed again");
    assert_eq!(exit_reasons(&desk), []);
}

#[test]
fn a_reload_moves_the_resting_stops() {
    let mut desk = Desk::new();
    desk.enter_all();
    desk.control(Control::Set(sol_volume_bot::types::ParamKey::StopLoss, px("156").0));
    desk.control(Control::Commit);
    let stops: Vec<_> = desk.live().into_iter().filter(|(leg, ..)| matches!(leg, Leg::Stop(_))).collect();
    assert_eq!(stops.len(), 2);
    assert!(stops.iter().all(|(.., trigger)| *trigger == px("156")));
}

#[test]
fn an_adopted_position_is_protected_as_soon_as_orders_can_be_sent() {
    let mut setup = setup();
    setup.base = sol("10");
    setup.position = Some(OpenPosition {
        trade_no: 9,
        qty: sol("9.99"),
        cost: usd("1610"),
        bought: sol("10"),
        bought_value: usd("1610"),
        sold: Qty::ZERO,
        sold_value: usd("0"),
        slot1_sold: Qty::ZERO,
        fees: usd("1.61"),
        realized: usd("0"),
        opened: Time(NOON.0 - 3600 * SEC),
        last: Time(NOON.0 - 3600 * SEC),
        last_exit: None,
    });
    let mut desk = Desk::silent(setup);
    desk.market("161.00", "161.01");
    desk.pass(2 * SEC);
    assert!(desk.live().is_empty() && exit_reasons(&desk).is_empty(), "no way out yet");
    desk.feed(StreamId::BinanceUser, EventKind::Stream(StreamState::Up));
    assert_eq!(desk.live_stop_qty(), sol("9.99"));
    desk.trigger_stops("154.99");
    assert_eq!(desk.trades().first().map(|trade| trade.trade_no), Some(9));
}

#[test]
fn a_run_that_adopts_the_fills_of_another_books_the_same_round_trip() {
    let mut whole = Desk::new();
    whole.enter_all();
    whole.market("167.40", "167.45");
    whole.lift_target(1, None);
    let fills = whole.fills();
    whole.trigger_stops("154.99");

    let mut setup = setup();
    setup.epoch += 1;
    setup.base = Qty(fills.iter().map(|f| if f.side == Side::Buy { f.qty.0 - f.fee } else { -f.qty.0 }).sum());
    setup.position = OpenPosition::of_fills(1, (Qty::ZERO, usd("0")), &fills);
    setup.trades_known_to = fills.iter().map(|fill| fill.trade_id).max().expect("fills");
    let mut adopted = Desk::with(setup);
    assert_eq!(adopted.live().len(), 2, "only the second slot is left");
    adopted.trigger_stops("154.99");
    let (one, other) = (whole.trades()[0], adopted.trades()[0]);
    assert_eq!((one.pnl, one.fees, one.qty, one.exit_px), (other.pnl, other.fees, other.qty, other.exit_px));
}

#[test]
fn two_slots_never_use_more_stops_than_the_venue_allows() {
    let mut setup = setup();
    setup.instrument.algo_orders_max = 1;
    let mut desk = Desk::with(setup);
    desk.enter_all();
    assert_eq!(desk.live().len(), 2, "one pair holds all");
    assert_eq!(desk.live_stop_qty(), held(&desk));
}

#[test]
fn a_stop_limit_is_used_where_the_venue_has_no_market_stop() {
    let mut setup = setup();
    setup.instrument.stop_market_allowed = false;
    let mut desk = Desk::with(setup);
    desk.enter();
    assert!(desk.ocos().iter().all(|oco| oco.stop_limit == px("154.84")), "155 less 10 bps, rounded down");
    assert_eq!(
        desk.count(|c| matches!(c, Command::Record(Record::Order(row)) if row.kind == OrderKind::StopLossLimit)) % 2,
        0
    );
    assert!(desk.records().any(|r| matches!(r, Record::Order(row) if row.status == OrderStatus::Working)));
}

#[test]
fn exits_go_on_under_new_ids_when_a_signals_attempts_are_used_up() {
    let mut desk = Desk::new();
    desk.enter_all();
    desk.control(Control::Set(ParamKey::RepostSamePrice, 1));
    desk.control(Control::Commit);
    let mut posted = 0;
    for round in 0..10_050 {
        let (bid, ask) = if round % 2 == 0 { ("161.50", "161.51") } else { ("161.00", "161.01") };
        desk.market(bid, ask);
        desk.slot();
        posted += desk.ocos().len();
        desk.commands.clear(); // nothing here looks at what was long ago
        desk.events.clear();
        desk.venue.orders.retain(|_, held| held.is_live());
    }
    assert!(posted > 2 * 10_000, "each slot was posted anew each time: {posted}");
    assert!(!desk.status().closing && desk.status().pauses.is_empty());
    assert_eq!(desk.live_stop_qty(), instrument().qty_floor(desk.status().position));
}
