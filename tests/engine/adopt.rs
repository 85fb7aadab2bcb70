//! Orders of earlier runs that rest when a run begins, or turn up later; and the venue's word about everything.

use crate::day::*;
use crate::desk::*;
use sol_volume_bot::engine::{OpenPosition, Setup};
use sol_volume_bot::types::command::{Alert, Command, NewOrder};
use sol_volume_bot::types::event::{EventKind, StreamState};
use sol_volume_bot::types::order::*;
use sol_volume_bot::types::reconcile::{DifferenceKind, ReconcileCount, ReconcileTrigger, Reconciled, RestingOrder};
use sol_volume_bot::types::record::{ExitReason, OrderStatus, PauseReason, Record};
use sol_volume_bot::types::setup::RESTING_MAX;
use sol_volume_bot::types::units::*;
use sol_volume_bot::types::{ClientOrderId, Leg, StreamId, Time, VenueOrderId};

/// What the run that died had posted for ten coins bought at 161.
fn leg(leg: Leg, attempt: u16, qty: &str) -> RestingOrder {
    let id = ClientOrderId { epoch: 6, signal: 1, leg, attempt };
    let code = i64::from(leg.code());
    let (kind, price, stop_price) = match leg {
        Leg::TakeProfit(1) => (OrderKind::LimitMaker, px("167.44"), Price::ZERO),
        Leg::TakeProfit(_) => (OrderKind::LimitMaker, px("173.88"), Price::ZERO),
        Leg::Entry(_) => (OrderKind::Limit, px("150"), Price::ZERO),
        _ => (OrderKind::StopLoss, Price::ZERO, px("155")),
    };
    RestingOrder {
        id,
        venue_order_id: VenueOrderId(1_000 + code * 10 + i64::from(attempt)),
        list_id: 70 + code % 10 + i64::from(attempt) * 100,
        side: if matches!(leg, Leg::Entry(_)) { Side::Buy } else { Side::Sell },
        kind,
        qty: sol(qty),
        cum_qty: Qty::ZERO,
        price,
        stop_price,
    }
}
fn pair(slot: u8, attempt: u16, qty: &str) -> [RestingOrder; 2] {
    [leg(Leg::TakeProfit(slot), attempt, qty), leg(Leg::Stop(slot), attempt, qty)]
}
fn both_pairs() -> Vec<RestingOrder> {
    [pair(1, 1, "5"), pair(2, 1, "5")].concat()
}
fn ten_coins() -> Setup {
    let opened = Time(NOON.0 - 3_600 * SEC);
    let position = OpenPosition {
        trade_no: 9,
        qty: sol("10"),
        cost: usd("1610"),
        bought: sol("10"),
        bought_value: usd("1610"),
        sold: Qty::ZERO,
        sold_value: usd("0"),
        slot1_sold: Qty::ZERO,
        fees: usd("0"),
        realized: usd("0"),
        opened,
        last: opened,
        last_exit: None,
    };
    Setup { base: sol("10"), position: Some(position), last_entry: Some(opened), ..setup() }
}
fn rests(order: &RestingOrder) -> Held {
    let tif = TimeInForce::Gtc;
    let purpose = if order.side == Side::Buy { Purpose::Entry } else { Purpose::Stop };
    let (id, side, kind, price, qty) = (order.id, order.side, order.kind, order.price, order.qty);
    Held {
        order: NewOrder { id, side, kind, tif, price, qty, purpose },
        stop_price: order.stop_price,
        filled: order.cum_qty,
        status: OrderStatus::Working,
        number: order.venue_order_id.0,
    }
}
/// A run that begins while `orders` rest.
fn begin(setup: Setup, orders: &[RestingOrder]) -> Desk {
    let mut resting = [None; RESTING_MAX];
    resting.iter_mut().zip(orders).for_each(|(place, order)| *place = Some(*order));
    let mut desk = Desk::silent(Setup { resting, ..setup });
    desk.venue.orders.extend(orders.iter().map(|order| (order.id, rests(order))));
    desk
}
fn come_up(desk: &mut Desk) {
    desk.market("161.00", "161.01");
    desk.feed(StreamId::BinanceUser, EventKind::Stream(StreamState::Up));
}
fn told(desk: &Desk) -> Vec<(DifferenceKind, Option<Leg>)> {
    let difference = |record| match record {
        Record::Difference(found) => Some((found.kind, found.id.map(|id| id.leg))),
        _ => None,
    };
    desk.records().filter_map(difference).collect()
}
fn counts(desk: &Desk) -> Vec<ReconcileCount> {
    let count = |record| match record {
        Record::Reconciled(count) => Some(count),
        _ => None,
    };
    desk.records().filter_map(count).collect()
}
/// Requests that would change something at the venue.
fn orders_sent(desk: &Desk) -> usize {
    let asks = |command: &Command| matches!(command, Command::Query(_) | Command::ArmTimer { .. });
    desk.count(|command| !asks(command) && !matches!(command, Command::Alert(_) | Command::Record(_)))
}
fn reconciled(trigger: ReconcileTrigger, cash: &str, base: &str) -> EventKind {
    let found = Reconciled { trigger, fills: 0, ended: 0, cash: usd(cash), base: sol(base), is_quiet: true };
    EventKind::Reconciled(found)
}
const USER: StreamId = StreamId::BinanceUser;

#[test]
fn whole_pairs_that_fit_go_on_untouched_and_the_coins_are_never_naked() {
    let mut desk = begin(ten_coins(), &both_pairs());
    come_up(&mut desk);
    for mid in ["161.50", "163.00", "160.00"] {
        desk.slot();
        desk.pass(2 * SEC);
        desk.market(mid, mid);
    }
    assert_eq!(desk.count(|command| matches!(command, Command::CancelList(_) | Command::Cancel(_))), 0);
    assert_eq!(desk.ocos(), vec![]);
    assert_eq!(desk.status().naked_since, Time::NONE);
    assert!(!desk.records().any(|record| matches!(record, Record::Naked { .. })));
    assert_eq!(told(&desk).iter().filter(|(kind, _)| *kind == DifferenceKind::Adopted).count(), 4);
}

#[test]
fn an_adopted_pair_ends_the_round_trip_like_one_of_our_own() {
    let mut desk = begin(ten_coins(), &both_pairs());
    come_up(&mut desk);
    desk.market("167.44", "167.45");
    desk.lift_target(1, None);
    desk.market("160", "160.01");
    desk.trigger_stops("154.99");
    let trades = desk.trades();
    assert_eq!(trades.len(), 1);
    assert_eq!((trades[0].trade_no, trades[0].qty), (9, sol("10")));
    assert_eq!(desk.status().position, Qty::ZERO);
}

#[test]
fn a_pair_of_another_size_stop_or_target_is_replaced_after_the_venues_proof() {
    let wrong = [
        [pair(1, 1, "5"), pair(2, 1, "3")].concat(),
        [
            pair(1, 1, "5"),
            pair(2, 1, "5").map(|order| {
                if order.stop_price.0 > 0 { RestingOrder { stop_price: px("150"), ..order } } else { order }
            }),
        ]
        .concat(),
        [
            pair(1, 1, "5"),
            pair(2, 1, "5")
                .map(|order| if order.price.0 > 0 { RestingOrder { price: px("165"), ..order } } else { order }),
        ]
        .concat(),
    ];
    for orders in wrong {
        let mut desk = begin(ten_coins(), &orders);
        come_up(&mut desk);
        desk.pass(SEC);
        assert_eq!(desk.count(|command| matches!(command, Command::CancelList(_))), 1, "only the second slot");
        assert_eq!(desk.ocos().iter().map(|oco| (oco.list.epoch, oco.qty)).collect::<Vec<_>>(), [(7, sol("5"))]);
        assert_eq!(desk.live_stop_qty(), sol("10"));
        desk.venue.assert_covered();
    }
}

#[test]
fn a_pair_of_another_size_is_not_cancelled_before_orders_can_be_sent_and_at_once_after() {
    let mut desk = begin(ten_coins(), &[pair(1, 1, "5"), pair(2, 1, "3")].concat());
    desk.market("161.00", "161.01");
    desk.pass(2 * SEC);
    assert_eq!(orders_sent(&desk), 0, "nobody would carry it, and the answer would be a doubt about both legs");
    come_up(&mut desk);
    desk.pass(2 * SEC);
    assert_eq!(desk.count(|command| matches!(command, Command::CancelList(_))), 1, "only the second slot");
    assert_eq!(desk.live_stop_qty(), sol("10"), "the coins are kept, and guarded");
}

#[test]
fn an_entry_half_a_pair_and_a_second_pair_of_a_slot_are_cancelled_once_orders_can_be_sent() {
    let strays =
        [vec![leg(Leg::Entry(2), 1, "1")], vec![leg(Leg::TakeProfit(2), 1, "4")], pair(1, 2, "1").to_vec()].concat();
    let orders = [pair(1, 1, "5").to_vec(), strays.clone()].concat();
    let mut desk = begin(ten_coins(), &orders);
    desk.market("161.00", "161.01");
    desk.pass(SEC);
    assert_eq!(orders_sent(&desk), 0, "no way out yet");
    desk.feed(USER, EventKind::Stream(StreamState::Up));
    desk.pass(SEC);
    for stray in &strays {
        assert!(!desk.venue.is_live(stray.id), "{} lives", stray.id);
    }
    assert!(pair(1, 1, "5").iter().all(|order| desk.venue.is_live(order.id)), "what protects well stays");
    assert_eq!(desk.live_stop_qty(), sol("10"), "the rest is protected anew");
    let cancelled = told(&desk).into_iter().filter(|(kind, _)| *kind == DifferenceKind::Cancelled).count();
    assert_eq!(cancelled, strays.len());
    assert_eq!(desk.entries(), vec![], "and nothing is bought");
}

#[test]
fn a_target_that_fills_while_its_stray_is_being_cancelled_is_booked_and_never_sold_twice() {
    let orders = vec![leg(Leg::TakeProfit(2), 1, "10")];
    let mut desk = begin(ten_coins(), &orders);
    desk.market("161.00", "161.01");
    desk.on_cancel = Answer::Lost;
    desk.feed(USER, EventKind::Stream(StreamState::Up));
    desk.venue.fill(orders[0].id, sol("4"), px("173.88"), Liquidity::Maker);
    desk.deliver();
    desk.on_cancel = Answer::Proper;
    desk.pass(2 * SEC);
    let sold: i64 = desk.fills().iter().filter(|fill| fill.side == Side::Sell).map(|fill| fill.qty.0).sum();
    assert_eq!(sold, sol("10").0, "four by the target, six because nothing guarded them in time");
    assert_eq!((desk.venue.base, desk.status().position), (0, Qty::ZERO));
}

#[test]
fn a_pair_that_arrives_after_the_look_is_adopted_when_all_is_told_and_not_before() {
    let mut desk = begin(ten_coins(), &pair(2, 1, "5"));
    let late = pair(1, 1, "5");
    desk.venue.orders.extend(late.iter().map(|order| (order.id, rests(order))));
    desk.market("161.00", "161.01");
    desk.feed(USER, EventKind::Resting(late[0]));
    assert_eq!(orders_sent(&desk), 0, "half of it is no reason to act");
    desk.feed(USER, EventKind::Resting(late[1]));
    desk.feed(USER, reconciled(ReconcileTrigger::Start, "10000", "10"));
    desk.feed(USER, EventKind::Stream(StreamState::Up));
    desk.pass(SEC);
    assert!(late.iter().all(|order| desk.venue.is_live(order.id)));
    assert_eq!(desk.ocos(), vec![], "nothing is posted for coins that are protected");
    assert_eq!(desk.live_stop_qty(), sol("10"));
    assert_eq!(counts(&desk).iter().map(|count| count.adopted).collect::<Vec<_>>(), [4]);
}

#[test]
fn an_entry_that_arrives_after_the_look_is_cancelled_and_what_it_bought_is_protected() {
    let mut desk = begin(ten_coins(), &both_pairs());
    let late = leg(Leg::Entry(3), 1, "2");
    desk.venue.orders.insert(late.id, rests(&late));
    come_up(&mut desk);
    desk.feed(USER, EventKind::Resting(late));
    desk.venue.fill(late.id, sol("1"), px("160.90"), Liquidity::Maker);
    desk.deliver();
    desk.feed(USER, reconciled(ReconcileTrigger::Unknown, "10000", "11"));
    desk.pass(2 * SEC);
    assert!(!desk.venue.is_live(late.id));
    let held = desk.status().position;
    assert_eq!(held, Qty(desk.venue.base));
    assert_eq!(desk.live_stop_qty(), instrument().qty_floor(held));
    assert!(!desk.status().pauses.has(PauseReason::Venue), "money of an order that we were told of is no riddle");
}

#[test]
fn a_clean_reconcile_is_counted_clean_and_an_audit_that_differs_pauses_and_wakes_somebody() {
    let mut desk = begin(ten_coins(), &both_pairs());
    come_up(&mut desk);
    desk.feed(USER, reconciled(ReconcileTrigger::Start, "10000", "10"));
    desk.commands.clear();
    desk.feed(USER, reconciled(ReconcileTrigger::Reconnect, "10000", "10"));
    desk.feed(USER, reconciled(ReconcileTrigger::Audit, "10000", "10"));
    assert!(counts(&desk).iter().all(|count| count.is_clean()), "{:?}", counts(&desk));
    assert!(desk.alerts().is_empty() && desk.status().pauses.is_empty());
    let ended = Reconciled {
        trigger: ReconcileTrigger::Audit,
        fills: 0,
        ended: 1,
        cash: usd("10000"),
        base: sol("10"),
        is_quiet: true,
    };
    desk.feed(USER, EventKind::Reconciled(ended));
    assert!(desk.status().pauses.has(PauseReason::Venue));
    assert_eq!(desk.alerts(), vec![Alert::Fatal { reason: PauseReason::Venue }]);
}

#[test]
fn cash_that_came_by_hand_corrects_our_books_and_moves_nothing_at_the_venue() {
    let mut desk = begin(ten_coins(), &both_pairs());
    come_up(&mut desk);
    let before = orders_sent(&desk);
    desk.feed(USER, reconciled(ReconcileTrigger::Audit, "12500", "10"));
    desk.pass(SEC);
    assert_eq!(told(&desk).last(), Some(&(DifferenceKind::Quote, None)));
    assert_eq!(desk.status().equity.map(|row| row.cash), Some(usd("12500")));
    assert_eq!(orders_sent(&desk), before);
}

#[test]
fn coins_sold_by_hand_are_told_once_and_never_sold_by_us() {
    let mut desk = begin(ten_coins(), &both_pairs());
    come_up(&mut desk);
    // Somebody cancels the second pair by hand and sells its five coins, all unheard.
    pair(2, 1, "5").iter().for_each(|order| desk.venue.end(order.id, OrderStatus::Canceled, Reason::None));
    desk.venue.base -= sol("5").0;
    desk.on_oco = Answer::Refuse(Reason::Balance);
    desk.deliver();
    desk.feed(USER, reconciled(ReconcileTrigger::Unknown, "10000", "5"));
    desk.on_oco = Answer::Proper;
    desk.pass(5 * SEC);
    assert_eq!(desk.status().position, sol("5"));
    assert_eq!(desk.live_stop_qty(), sol("5"));
    assert_eq!(told(&desk).iter().filter(|(kind, _)| *kind == DifferenceKind::Base).count(), 1);
    assert!(desk.status().pauses.has(PauseReason::Venue));
    desk.trigger_stops("154.99");
    assert_eq!(desk.venue.base, 0, "what was there is sold, no more");
    assert_eq!(desk.trades().iter().map(|trade| trade.trade_no).collect::<Vec<_>>(), [9]);
}

#[test]
fn a_trip_whose_coins_somebody_else_took_ends_as_gone() {
    let mut desk = begin(ten_coins(), &[]);
    desk.venue.base = 0;
    desk.market("161.00", "161.01");
    desk.feed(USER, reconciled(ReconcileTrigger::Start, "10000", "0"));
    desk.feed(USER, EventKind::Stream(StreamState::Up));
    desk.pass(2 * SEC);
    assert_eq!(
        desk.trades().iter().map(|trade| (trade.reason, trade.pnl)).collect::<Vec<_>>(),
        [(ExitReason::Gone, usd("0"))]
    );
    assert_eq!(orders_sent(&desk), 0, "there is nothing to sell");
}

#[test]
fn balances_prove_nothing_while_an_order_is_in_doubt_or_the_account_moves() {
    let mut desk = begin(ten_coins(), &both_pairs());
    come_up(&mut desk);
    let loud = Reconciled {
        trigger: ReconcileTrigger::Audit,
        fills: 0,
        ended: 0,
        cash: usd("1"),
        base: sol("1"),
        is_quiet: false,
    };
    desk.feed(USER, EventKind::Reconciled(loud));
    assert_eq!(desk.status().position, sol("10"));
    let doubtful = ExecutionReport { ..word(pair(1, 1, "5")[1].id, ExecKind::Unknown) };
    desk.on_query = Answer::Lost;
    desk.report(doubtful);
    desk.feed(USER, EventKind::Reconciled(Reconciled { is_quiet: true, ..loud }));
    assert_eq!(desk.status().position, sol("10"));
}

#[test]
fn a_trip_that_a_stop_ended_while_away_says_so() {
    let fill = |leg, side, qty: &str, price: &str, trade_id| sol_volume_bot::types::record::FillRow {
        id: ClientOrderId { epoch: 6, signal: 1, leg, attempt: 1 },
        trade_id,
        side,
        liquidity: Liquidity::Taker,
        fee_asset: FeeAsset::None,
        price: px(price),
        qty: sol(qty),
        fee: 0,
        venue_time: Time(NOON.0 - 9 * SEC),
        recv: Time(NOON.0 - 9 * SEC),
    };
    for (exit, reason) in [
        (Leg::Stop(1), ExitReason::StopLeg),
        (Leg::TakeProfit(2), ExitReason::TakeProfit),
        (Leg::Flatten, ExitReason::Flatten),
    ] {
        let fills = [fill(Leg::Entry(1), Side::Buy, "10", "161", 1), fill(exit, Side::Sell, "10", "155", 2)];
        let position = OpenPosition::of_fills(9, (Qty::ZERO, usd("0")), &fills);
        let mut desk = begin(Setup { position, base: Qty::ZERO, ..ten_coins() }, &[]);
        come_up(&mut desk);
        let trades = desk.trades();
        assert_eq!(trades.iter().map(|trade| trade.reason).collect::<Vec<_>>(), [reason]);
        assert_eq!(trades[0].closed, Time(NOON.0 - 9 * SEC), "when it happened, not when we came");
    }
}
