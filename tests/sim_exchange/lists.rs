//! OCO lists: one lock, one survivor, the right words in the right order.
//!
//! Thread: the test's.  Invariants: expectations are worked out by hand, never read back from the exchange.

use crate::desk::{Desk, START, money, px, sol};
use sol_volume_bot::sim::exchange::*;
use sol_volume_bot::types::order::{Side, TimeInForce};
use sol_volume_bot::types::units::{RATIO_SCALE, Ratio};

#[test]
fn an_oco_locks_its_size_once_and_blocks_a_second_exit() {
    let mut desk = Desk::new();
    let list = desk.oco(&desk.sell_oco("100", "165.00", "155.00", Some("154.00"))).expect("placed");
    assert_eq!(desk.balance("SOL"), (money("0"), money("100")));
    assert_eq!(
        desk.news(),
        ["LIST EXEC_STARTED", "NEW NEW STOP_LOSS_LIMIT -", "NEW NEW LIMIT_MAKER -", "POSITION SOL"]
    );
    assert_eq!(list.orders[0].kind, OrderType::StopLossLimit, "the stop leg comes first");
    assert_eq!((list.orders[0].working, list.orders[1].working), (None, Some(START)));
    assert_eq!(desk.place(&desk.limit(Side::Sell, "162.00", "1")), Err(Reject::Balance));
    assert_eq!(desk.place(&desk.stop(Side::Sell, "150.00", "1")), Err(Reject::Balance));
}

#[test]
fn the_first_partial_fill_of_the_limit_leg_ends_the_stop_leg() {
    let mut desk = Desk::new();
    desk.oco(&desk.sell_oco("10", "161.01", "155.00", None)).expect("placed");
    desk.news();
    desk.hit(Side::Buy, "161.01", "14");
    assert_eq!(
        desk.news(),
        ["EXPIRED EXPIRED STOP_LOSS OCO_TRIGGER", "TRADE PARTIALLY_FILLED LIMIT_MAKER -", "POSITION SOL USDT"]
    );
    assert_eq!(desk.order("tp").cum_qty, sol("4"), "the house was first in line with ten");
    assert_eq!(desk.balance("SOL"), (money("90"), money("6")), "what is left is still locked, but has no stop");
    assert_eq!(desk.venue.open_lists(desk.me).len(), 1);
    desk.hit(Side::Buy, "161.01", "6");
    assert_eq!(desk.news(), ["TRADE FILLED LIMIT_MAKER -", "LIST ALL_DONE", "POSITION SOL USDT"]);
    assert_eq!(desk.balance("SOL"), (money("90"), money("0")));
    assert!(desk.venue.open_lists(desk.me).is_empty());
}

#[test]
fn a_triggered_stop_ends_the_limit_leg_first_and_then_works() {
    let mut desk = Desk::new();
    desk.oco(&desk.sell_oco("5", "165.00", "160.95", Some("160.00"))).expect("placed");
    desk.news();
    desk.hit(Side::Sell, "160.95", "50");
    assert_eq!(
        desk.news(),
        [
            "EXPIRED EXPIRED LIMIT_MAKER OCO_TRIGGER",
            "NEW NEW STOP_LOSS_LIMIT -",
            "TRADE FILLED STOP_LOSS_LIMIT -",
            "LIST ALL_DONE",
            "POSITION SOL USDT"
        ]
    );
    assert_eq!(desk.order("sl").status, OrderStatus::Filled);
    assert_eq!(desk.balance("SOL"), (money("95"), money("0")));
}

#[test]
fn a_stop_limit_that_the_market_jumped_over_rests_and_keeps_its_lock() {
    let mut desk = Desk::new();
    desk.oco(&desk.sell_oco("5", "165.00", "160.95", Some("160.94"))).expect("placed");
    for quote in desk.venue.house_quotes(desk.sol, Side::Buy) {
        if quote.price < px("160.95") {
            desk.venue.house_cancel(quote.id, desk.now);
        }
    }
    desk.hit(Side::Sell, "160.95", "50");
    let stop = desk.order("sl");
    assert_eq!((stop.status, stop.is_working()), (OrderStatus::New, true));
    assert_eq!(desk.balance("SOL"), (money("95"), money("5")));
    assert_eq!(desk.venue.bbo(desk.sol).expect("book").ask, px("160.94"));
}

#[test]
fn cancelling_a_leg_cancels_the_list_and_answers_as_a_list() {
    let mut desk = Desk::new();
    desk.oco(&desk.sell_oco("5", "165.00", "155.00", Some("154.00"))).expect("placed");
    desk.news();
    let Canceled::List(report) = desk.cancel(OrderRef::client("tp")).expect("cancelled") else {
        panic!("a leg answers as its list")
    };
    assert_eq!(report.list.phase, ListPhase::AllDone);
    assert_eq!(report.orders.len(), 2);
    assert!(report.orders.iter().all(|leg| leg.status == OrderStatus::Canceled && leg.client_id == "gone-1"));
    assert_eq!(desk.balance("SOL"), (money("100"), money("0")));
    assert_eq!(
        desk.news(),
        ["CANCELED CANCELED STOP_LOSS_LIMIT -", "CANCELED CANCELED LIMIT_MAKER -", "LIST ALL_DONE", "POSITION SOL"]
    );
}

#[test]
fn a_list_is_cancelled_by_its_own_name_and_keeps_the_names_of_its_legs() {
    let mut desk = Desk::new();
    desk.oco(&desk.sell_oco("5", "165.00", "155.00", None)).expect("placed");
    let request = CancelListRequest { symbol: desk.sol, target: OrderRef::client("list") };
    let report = desk.venue.cancel_list(desk.me, &request, desk.now).expect("cancelled");
    desk.check();
    assert_eq!(report.orders[0].client_id, "sl");
    assert_eq!(report.orders[0].orig_client_id, "");
    assert_eq!(desk.venue.cancel_list(desk.me, &request, desk.now), Err(Reject::UnknownOrder));
    let found = desk.venue.order_list(desk.me, &OrderRef::client("list")).expect("still known");
    assert_eq!(found.list.phase, ListPhase::AllDone);
}

#[test]
fn cancel_replace_of_a_leg_takes_the_list_and_frees_the_coins_for_the_new_order() {
    let mut desk = Desk::new();
    desk.oco(&desk.sell_oco("100", "165.00", "155.00", None)).expect("placed");
    let cancel = CancelRequest { symbol: desk.sol, target: OrderRef::client("tp"), new_client_id: None, only: None };
    let new = OrderRequest::market(desk.sol, Side::Sell, sol("100"));
    let request = ReplaceRequest { cancel, new, mode: ReplaceMode::StopOnFailure, over_limit: OverLimit::DoNothing };
    let done = desk.venue.cancel_replace(desk.me, &request, desk.now).expect("passes the checks");
    desk.check();
    assert_eq!(done.status(), 200);
    assert!(matches!(done.cancel, Ok(Canceled::List(_))));
    assert_eq!(desk.balance("SOL"), (money("0"), money("0")));
}

#[test]
fn a_buy_oco_locks_the_dearer_leg() {
    let mut desk = Desk::new();
    let sell = desk.sell_oco("10", "165.00", "155.00", None);
    let buy = OcoRequest {
        side: Side::Buy,
        above: LegRequest {
            kind: OrderType::StopLossLimit,
            price: Some(px("166.00")),
            stop_price: Some(px("165.00")),
            tif: Some(TimeInForce::Gtc),
            client_id: None,
        },
        below: LegRequest { price: Some(px("155.00")), ..sell.above },
        ..sell
    };
    desk.oco(&buy).expect("placed");
    assert_eq!(desk.balance("USDT"), (money("98340"), money("1660")));
    desk.house(Side::Sell, px("155.00"), sol("10"));
    assert_eq!(desk.order("tp").status, OrderStatus::New, "the house's bids are better and were hit first");
    desk.hit(Side::Sell, "155.00", "94");
    assert_eq!(desk.order("tp").cum_qty, sol("4"));
    assert_eq!(desk.balance("USDT"), (money("98450"), money("930")), "only the dearer leg's surplus came free");
}

#[test]
fn wrong_price_relations_and_wrong_legs_are_refused_with_their_codes() {
    let mut desk = Desk::new();
    for (tp, stop, code) in [
        ("160.00", "155.00", -2010),
        ("165.00", "162.00", -2010),
        ("161.00", "155.00", -2010),
        ("165.00", "161.00", -2010),
    ] {
        let refused = desk.oco(&desk.sell_oco("1", tp, stop, None)).expect_err("prices straddle wrongly");
        assert_eq!(refused, Reject::OcoPrices);
        assert_eq!(refused.code(), code);
    }
    let good = desk.sell_oco("1", "165.00", "155.00", None);
    let swapped = OcoRequest { above: good.below.clone(), below: good.above.clone(), ..good.clone() };
    let both_limit = OcoRequest { below: good.above.clone(), ..good.clone() };
    let both_stop = OcoRequest { above: good.below.clone(), ..good.clone() };
    let plain = LegRequest { kind: OrderType::Limit, tif: Some(TimeInForce::Gtc), ..good.above.clone() };
    let plain = OcoRequest { above: plain, ..good.clone() };
    let bought = OcoRequest { side: Side::Buy, ..good.clone() };
    for (request, code) in [(swapped, -1166), (both_limit, -1168), (both_stop, -1197), (plain, -1158), (bought, -1165)]
    {
        assert_eq!(desk.oco(&request).expect_err("not a list").code(), code);
    }
    assert!(desk.news().is_empty(), "a refused list has no event");
    desk.oco(&good).expect("placed");
    assert_eq!(desk.oco(&good), Err(Reject::Duplicate));
}

#[test]
fn an_injected_expiry_of_the_stop_leaves_the_position_without_orders() {
    let mut desk = Desk::new();
    desk.oco(&desk.sell_oco("5", "165.00", "155.00", None)).expect("placed");
    desk.news();
    assert!(desk.venue.expire_stop(desk.me, desk.sol, ExpiryReason::ExchangeCanceled, desk.now));
    desk.check();
    assert_eq!(
        desk.news(),
        [
            "EXPIRED EXPIRED LIMIT_MAKER OCO_TRIGGER",
            "EXPIRED EXPIRED STOP_LOSS EXCHANGE_CANCELED",
            "LIST ALL_DONE",
            "POSITION SOL"
        ]
    );
    assert_eq!(desk.balance("SOL"), (money("100"), money("0")));
    assert!(!desk.venue.expire_stop(desk.me, desk.sol, ExpiryReason::ExchangeCanceled, desk.now), "none is left");
}

#[test]
fn the_price_range_rule_expires_a_stop_that_fell_too_far() {
    let mut settings = ExchangeSettings::solusdt(START);
    let near = |percent: i64| Ratio(RATIO_SCALE / 100 * percent);
    settings.symbols[0].price_range = Some(PriceRange { up: near(101), down: near(99) });
    let mut desk = Desk::with(settings);
    desk.house(Side::Buy, px("150.00"), sol("50"));
    desk.oco(&desk.sell_oco("5", "165.00", "160.90", None)).expect("placed");
    desk.hit(Side::Sell, "160.90", "100");
    let stop = desk.order("sl");
    assert_eq!((stop.status, stop.cum_qty), (OrderStatus::Expired, sol("0")));
    assert_eq!(stop.expiry, Some(ExpiryReason::PriceRangeExceeded));
    assert_eq!(desk.balance("SOL"), (money("100"), money("0")));
}
