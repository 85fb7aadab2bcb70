//! Single orders: fees, locks, time in force, triggers, cancels, cancel-replace.
//!
//! Thread: the test's.  Invariants: expectations are worked out by hand, never read back from the exchange.

use crate::desk::{Desk, money, px, sol, symbol};
use sol_volume_bot::sim::exchange::*;
use sol_volume_bot::types::order::{Liquidity, Side, TimeInForce};
use sol_volume_bot::types::units::Notional;

#[test]
fn a_buy_pays_its_fee_in_sol_so_selling_the_full_size_is_refused() {
    let mut desk = Desk::with({
        let mut settings = ExchangeSettings::solusdt(crate::desk::START);
        settings.orders_per_10s = 1_000;
        settings
    });
    assert!(desk.venue.withdraw(desk.me, symbol("SOL"), money("100"), desk.now));
    let bought = desk.place(&desk.limit(Side::Buy, "161.01", "1")).expect("accepted");
    assert_eq!(bought.order.status, OrderStatus::Filled);
    assert_eq!(bought.fills.len(), 1);
    assert_eq!((bought.fills[0].fee, bought.fills[0].fee_asset), (money("0.001"), symbol("SOL")));
    assert_eq!(bought.fills[0].liquidity, Liquidity::Taker);
    assert_eq!(desk.balance("SOL"), (money("0.999"), money("0")));
    assert_eq!(desk.balance("USDT"), (money("99838.99"), money("0")));
    let refused = desk.place(&desk.limit(Side::Sell, "161.00", "1")).expect_err("more than we hold");
    assert_eq!((refused.code(), refused.status()), (-2010, 400));
    assert_eq!(refused.to_string(), "Account has insufficient balance for requested action.");
    let sold = desk.place(&desk.limit(Side::Sell, "160.99", "0.999")).expect("all we hold");
    assert_eq!((sold.fills[0].fee, sold.fills[0].fee_asset), (money("0.16082901"), symbol("USDT")));
    assert_eq!(desk.balance("SOL"), (money("0"), money("0")));
    assert_eq!(desk.balance("USDT"), (money("99999.65818099"), money("0")));
}

#[test]
fn a_resting_order_locks_its_open_part_and_a_better_price_frees_the_difference() {
    let mut desk = Desk::new();
    // Takes 10 at 161.01, rests 2 at 161.01: the limit of 161.05 would have cost more.
    desk.place(&desk.limit(Side::Buy, "161.01", "12")).expect("accepted");
    assert_eq!(desk.balance("USDT"), (money("98067.88"), money("322.02")));
    assert_eq!(desk.balance("SOL").0, money("109.99"));
    assert_eq!(
        desk.news(),
        ["NEW NEW LIMIT -", "POSITION USDT", "TRADE PARTIALLY_FILLED LIMIT -", "POSITION SOL USDT",]
    );
    desk.hit(Side::Sell, "161.01", "2");
    assert_eq!(desk.news(), ["TRADE FILLED LIMIT -", "POSITION SOL USDT"]);
    assert_eq!(desk.balance("USDT"), (money("98067.88"), money("0")));
    let better = desk.place(&desk.limit(Side::Buy, "161.10", "1")).expect("accepted");
    assert_eq!(better.order.cum_quote, Notional(money("161.02").0));
    assert_eq!(desk.balance("USDT"), (money("97906.86"), money("0")));
}

#[test]
fn ioc_and_fok_that_cannot_fill_are_accepted_and_expire() {
    for (tif, price, qty, filled, reason) in [
        (TimeInForce::Ioc, "161.00", "1", "0", ExpiryReason::UnfilledIoc),
        (TimeInForce::Ioc, "161.01", "12", "10", ExpiryReason::UnfilledIoc),
        (TimeInForce::Fok, "161.01", "12", "0", ExpiryReason::UnfilledFok),
        (TimeInForce::Fok, "161.00", "1", "0", ExpiryReason::UnfilledFok),
    ] {
        let mut desk = Desk::new();
        let done = desk.place(&desk.tif(Side::Buy, tif, price, qty)).expect("an expiry is not an error");
        assert_eq!((done.order.status, done.order.expiry), (OrderStatus::Expired, Some(reason)));
        assert_eq!(done.order.cum_qty, sol(filled));
        assert_eq!(desk.balance("USDT").1, money("0"), "nothing stays locked");
        assert_eq!(desk.news().first().map(String::as_str), Some("NEW NEW LIMIT -"));
    }
    let mut desk = Desk::new();
    let full = desk.place(&desk.tif(Side::Buy, TimeInForce::Fok, "161.02", "12")).expect("enough is there");
    assert_eq!((full.order.status, full.fills.len()), (OrderStatus::Filled, 2));
}

#[test]
fn a_market_order_spends_by_size_or_by_money_and_expires_without_book() {
    let mut desk = Desk::new();
    let by_size = desk.place(&OrderRequest::market(desk.sol, Side::Buy, sol("15"))).expect("accepted");
    assert_eq!(by_size.order.cum_quote, Notional(money("2415.20").0));
    let by_money = OrderRequest {
        qty: None,
        quote_qty: Some(Notional(money("100").0)),
        ..OrderRequest::market(desk.sol, Side::Buy, sol("1"))
    };
    let by_money = desk.place(&by_money).expect("accepted");
    assert_eq!((by_money.order.status, by_money.order.qty), (OrderStatus::Filled, sol("0.621")));
    let short = desk.place(&OrderRequest::market(desk.sol, Side::Buy, sol("90"))).expect("accepted");
    assert_eq!((short.order.status, short.order.cum_qty), (OrderStatus::Expired, sol("84.379")));
    assert_eq!(short.order.expiry, Some(ExpiryReason::InsufficientLiquidity));
    let nothing = desk.place(&OrderRequest::market(desk.sol, Side::Buy, sol("1"))).expect("accepted");
    assert_eq!((nothing.order.status, nothing.order.cum_qty), (OrderStatus::Expired, sol("0")));
    assert_eq!(desk.balance("USDT").1, money("0"));
}

#[test]
fn a_stop_triggers_on_the_last_trade_and_not_on_the_quotes() {
    let mut desk = Desk::new();
    let stop = desk.place(&desk.stop(Side::Sell, "160.95", "5")).expect("accepted");
    assert_eq!((stop.order.status, stop.order.working), (OrderStatus::New, None));
    assert_eq!(desk.balance("SOL"), (money("95"), money("5")));
    for quote in desk.venue.house_quotes(desk.sol, Side::Buy) {
        if quote.price > px("160.94") {
            desk.venue.house_cancel(quote.id, desk.now);
        }
    }
    assert_eq!(desk.venue.bbo(desk.sol).expect("quotes").bid, px("160.94"));
    let id = OrderRef::id(stop.order.id);
    assert!(desk.venue.order(desk.me, desk.sol, &id).expect("there").working.is_none(), "a bid below is no trade");
    desk.news();
    desk.hit(Side::Sell, "160.94", "1");
    let done = desk.venue.order(desk.me, desk.sol, &id).expect("there");
    assert_eq!((done.status, done.cum_quote), (OrderStatus::Filled, Notional(money("804.70").0)));
    assert_eq!(desk.news(), ["NEW NEW STOP_LOSS -", "TRADE FILLED STOP_LOSS -", "POSITION SOL USDT"]);
}

#[test]
fn a_stop_is_not_triggered_by_trades_from_before_it() {
    let mut desk = Desk::new();
    desk.hit(Side::Sell, "160.97", "30");
    desk.hit(Side::Buy, "161.01", "1");
    let stop = desk.place(&desk.stop(Side::Sell, "160.98", "5")).expect("the last trade was at 161.01");
    desk.hit(Side::Buy, "161.01", "1");
    let id = OrderRef::id(stop.order.id);
    assert_eq!(desk.venue.order(desk.me, desk.sol, &id).expect("there").working, None);
}

#[test]
fn a_triggered_buy_stop_without_the_money_expires_as_rejected() {
    let mut desk = Desk::new();
    desk.place(&desk.stop(Side::Buy, "161.05", "20")).expect("accepted");
    let free = desk.balance("USDT").0;
    assert!(desk.venue.withdraw(desk.me, symbol("USDT"), free, desk.now));
    desk.house(Side::Sell, px("300.00"), sol("50"));
    desk.hit(Side::Buy, "161.10", "100");
    let ended = desk.venue.all_orders(desk.me, desk.sol, None, 1)[0];
    assert_eq!((ended.status, ended.expiry), (OrderStatus::Expired, Some(ExpiryReason::Rejected)));
    assert_eq!(desk.balance("USDT"), (money("3221"), money("0")));
}

#[test]
fn self_trade_expires_the_resting_order() {
    let mut desk = Desk::new();
    let resting = desk.place(&desk.limit(Side::Sell, "161.00", "1")).expect("rests");
    desk.news();
    let taker = desk.place(&desk.limit(Side::Buy, "161.01", "1")).expect("accepted");
    assert_eq!((taker.order.status, taker.fills[0].price), (OrderStatus::Filled, px("161.01")));
    let gone = desk.venue.order(desk.me, desk.sol, &OrderRef::id(resting.order.id)).expect("kept");
    assert_eq!((gone.status, gone.prevented_qty), (OrderStatus::ExpiredInMatch, sol("1")));
    assert!(desk.news().contains(&"TRADE_PREVENTION EXPIRED_IN_MATCH LIMIT -".to_owned()));
}

#[test]
fn a_terminal_client_id_may_be_used_again_and_fills_again() {
    let mut desk = Desk::new();
    let ioc = OrderRequest { client_id: Some("same".into()), ..desk.tif(Side::Buy, TimeInForce::Ioc, "161.01", "1") };
    desk.place(&ioc).expect("first");
    let again = desk.place(&ioc).expect("the venue does not protect us");
    assert_eq!(again.order.cum_qty, sol("1"));
    assert_eq!(desk.balance("SOL").0, money("101.998"));
    assert_eq!(desk.order("same").id, again.order.id, "a query finds the newest");
}

#[test]
fn a_cancel_renames_the_order_and_both_names_find_it() {
    let mut desk = Desk::new();
    let resting = OrderRequest { client_id: Some("mine".into()), ..desk.limit(Side::Buy, "160.00", "1") };
    desk.place(&resting).expect("rests");
    desk.news();
    let Canceled::Order(done) = desk.cancel(OrderRef::client("mine")).expect("cancelled") else {
        panic!("a single order answers as one")
    };
    assert_eq!((done.client_id.as_str(), done.orig_client_id.as_str()), ("gone-1", "mine"));
    assert_eq!(desk.news(), ["CANCELED CANCELED LIMIT -", "POSITION USDT"]);
    assert_eq!(desk.order("mine").id, desk.order("gone-1").id);
    let late = desk.cancel(OrderRef::client("mine")).expect_err("it has ended");
    assert_eq!((late.code(), late.to_string().as_str()), (-2011, "Unknown order sent."));
    let unknown = desk.venue.order(desk.me, desk.sol, &OrderRef::client("never")).expect_err("never was");
    assert_eq!(unknown.code(), -2013);
}

fn replace(desk: &mut Desk, target: &str, new: OrderRequest, mode: ReplaceMode) -> Replaced {
    let cancel = CancelRequest { symbol: desk.sol, target: OrderRef::client(target), new_client_id: None, only: None };
    let request = ReplaceRequest { cancel, new, mode, over_limit: OverLimit::DoNothing };
    let done = desk.venue.cancel_replace(desk.me, &request, desk.now).expect("passes the checks");
    desk.check();
    done
}

#[test]
fn cancel_replace_answers_every_row_of_its_table() {
    use ReplaceMode::{AllowFailure, StopOnFailure};
    for (mode, cancel_works, new_works, status, code, attempted) in [
        (StopOnFailure, true, true, 200, 0, true),
        (StopOnFailure, false, true, 400, -2022, false),
        (StopOnFailure, true, false, 409, -2021, true),
        (AllowFailure, true, true, 200, 0, true),
        (AllowFailure, false, false, 400, -2022, true),
        (AllowFailure, false, true, 409, -2021, true),
        (AllowFailure, true, false, 409, -2021, true),
    ] {
        let mut desk = Desk::new();
        let old = OrderRequest { client_id: Some("old".into()), ..desk.limit(Side::Buy, "160.00", "1") };
        desk.place(&old).expect("rests");
        desk.news();
        let new = OrderRequest {
            client_id: Some("old".into()).filter(|_| cancel_works),
            ..desk.limit(Side::Buy, "160.10", if new_works { "1" } else { "1000" })
        };
        let done = replace(&mut desk, if cancel_works { "old" } else { "none" }, new, mode);
        assert_eq!((done.status(), done.code(), done.new.is_some()), (status, code, attempted), "{mode:?}");
        let open = usize::from(!cancel_works) + usize::from(new_works && attempted);
        assert_eq!(desk.venue.open_orders(desk.me, None).len(), open);
        let told_rejected = desk.news().contains(&"REJECTED REJECTED LIMIT -".to_owned());
        assert_eq!(told_rejected, cancel_works && !new_works, "only after a cancel that went through");
        let spent = 1 + u32::from(!attempted || new_works);
        assert_eq!(desk.venue.order_counts(desk.me)[0].count, spent, "not attempted costs one all the same");
    }
}

#[test]
fn cancel_replace_checks_filters_and_order_count_before_it_cancels() {
    let mut desk = Desk::new();
    let old = OrderRequest { client_id: Some("old".into()), ..desk.limit(Side::Buy, "160.00", "1") };
    desk.place(&old).expect("rests");
    let cancel = CancelRequest { symbol: desk.sol, target: OrderRef::client("old"), new_client_id: None, only: None };
    let off_grid = ReplaceRequest {
        cancel,
        new: desk.limit(Side::Buy, "160.005", "1"),
        mode: ReplaceMode::StopOnFailure,
        over_limit: OverLimit::DoNothing,
    };
    assert_eq!(desk.venue.cancel_replace(desk.me, &off_grid, desk.now), Err(Reject::Filter(Filter::Price)));
    for _ in 1..50 {
        desk.place(&desk.limit(Side::Buy, "160.00", "1")).expect("within the count");
    }
    let good = ReplaceRequest { new: desk.limit(Side::Buy, "160.01", "1"), ..off_grid };
    let refused = desk.venue.cancel_replace(desk.me, &good, desk.now).expect_err("count used up");
    assert_eq!((refused.code(), refused.status()), (-1015, 429));
    assert_eq!(desk.order("old").status, OrderStatus::New, "nothing was done");
    let only = ReplaceRequest { over_limit: OverLimit::CancelOnly, ..good };
    let half = desk.venue.cancel_replace(desk.me, &only, desk.now).expect("the cancel goes through");
    assert_eq!((half.status(), half.code()), (409, -2021));
    assert!(matches!(half.new, Some(Err(Reject::TooManyOrders { .. }))));
    assert_eq!(desk.order("old").status, OrderStatus::Canceled);
}
