//! What the venue refuses, with code and text, and the limits on how many.
//!
//! Thread: the test's.  Invariants: a refusal leaves no order, no lock and no event.

use crate::desk::{Desk, START, money, px, sol, symbol};
use sol_volume_bot::sim::exchange::*;
use sol_volume_bot::types::order::{Side, TimeInForce};
use sol_volume_bot::types::units::{Notional, Price, Qty};

#[test]
fn every_filter_refuses_at_its_exact_edge() {
    let mut desk = Desk::new();
    let text = |name: &str| format!("Filter failure: {name}");
    for (price, qty, refusal) in [
        ("160.00", "0.032", None),
        ("160.00", "0.031", Some((-1013, text("NOTIONAL")))),
        ("160.001", "1", Some((-1013, text("PRICE_FILTER")))),
        ("10000.01", "1", Some((-1013, text("PRICE_FILTER")))),
        ("160.00", "1.0001", Some((-1013, text("LOT_SIZE")))),
        ("160.00", "0.0005", Some((-1013, text("LOT_SIZE")))),
        ("160.00", "90000.001", Some((-1013, text("LOT_SIZE")))),
        ("160.00", "1.000000001", Some((-1111, "Parameter 'quantity' has too much precision.".into()))),
        ("32.20", "1", None),
        ("32.19", "1", Some((-1013, text("PERCENT_PRICE_BY_SIDE")))),
        ("160.00", "80000", Some((-1013, text("NOTIONAL")))),
    ] {
        let answer = desk.place(&desk.limit(Side::Buy, price, qty));
        let got = answer.err().map(|reject| (reject.code(), reject.to_string()));
        assert_eq!(got, refusal, "{qty} at {price}");
    }
    let many = desk.place(&OrderRequest::market(desk.sol, Side::Sell, sol("9000.001")));
    assert_eq!(many, Err(Reject::Filter(Filter::MarketLotSize)));
    let dust = desk.place(&OrderRequest::market(desk.sol, Side::Sell, sol("0.031")));
    assert_eq!(dust, Err(Reject::Filter(Filter::Notional)));
}

#[test]
fn each_type_asks_for_its_parameters_and_no_others() {
    let mut desk = Desk::new();
    let limit = desk.limit(Side::Buy, "160.00", "1");
    let market = OrderRequest::market(desk.sol, Side::Buy, sol("1"));
    let maker = OrderRequest { kind: OrderType::LimitMaker, ..limit.clone() };
    for (request, reject) in [
        (OrderRequest { tif: None, ..limit.clone() }, Reject::Missing("timeInForce")),
        (OrderRequest { price: None, ..limit.clone() }, Reject::Missing("price")),
        (OrderRequest { qty: None, ..market.clone() }, Reject::Missing("quantity")),
        (OrderRequest { quote_qty: Some(Notional(1)), ..market.clone() }, Reject::Unwanted("quantity")),
        (OrderRequest { price: limit.price, ..market }, Reject::Unwanted("price")),
        (maker, Reject::Unwanted("timeInForce")),
        (OrderRequest { stop_price: limit.price, ..limit.clone() }, Reject::Unwanted("stopPrice")),
        (OrderRequest { kind: OrderType::StopLossLimit, ..limit.clone() }, Reject::Missing("stopPrice")),
        (OrderRequest { symbol: symbol("DOGEUSDT"), ..limit.clone() }, Reject::BadSymbol),
        (
            OrderRequest { client_id: Some("no spaces".into()), ..limit.clone() },
            Reject::IllegalClientId("newClientOrderId"),
        ),
        (OrderRequest { client_id: Some("x".repeat(37)), ..limit }, Reject::IllegalClientId("newClientOrderId")),
    ] {
        assert_eq!(desk.place(&request), Err(reject));
    }
    assert!(desk.news().is_empty());
}

#[test]
fn orders_that_would_act_at_once_or_twice_are_refused_without_an_event() {
    let mut desk = Desk::new();
    let maker = |side, price| OrderRequest {
        kind: OrderType::LimitMaker,
        tif: None,
        ..OrderRequest::limit(symbol("SOLUSDT"), side, px(price), sol("1"))
    };
    assert_eq!(desk.place(&maker(Side::Buy, "161.01")), Err(Reject::WouldTake));
    assert_eq!(desk.place(&maker(Side::Sell, "160.99")), Err(Reject::WouldTake));
    assert_eq!(desk.place(&desk.stop(Side::Sell, "161.00", "1")), Err(Reject::WouldTrigger));
    assert_eq!(desk.place(&desk.stop(Side::Buy, "161.00", "1")), Err(Reject::WouldTrigger));
    assert!(desk.news().is_empty());
    let named = OrderRequest { client_id: Some("mine".into()), ..maker(Side::Buy, "161.00") };
    desk.place(&named).expect("rests inside the spread");
    let twice = desk.place(&named).expect_err("lives already");
    assert_eq!((twice.code(), twice.to_string().as_str()), (-2010, "Duplicate order sent."));
}

#[test]
fn five_stops_may_rest_and_the_sixth_is_refused() {
    let mut desk = Desk::new();
    for index in 0..4 {
        desk.place(&desk.stop(Side::Sell, &format!("15{index}.00"), "1")).expect("a free algo slot");
    }
    desk.oco(&desk.sell_oco("1", "165.00", "155.00", None)).expect("an OCO takes one slot");
    let sixth = desk.place(&desk.stop(Side::Sell, "149.00", "1")).expect_err("no slot left");
    assert_eq!(sixth.to_string(), "Filter failure: MAX_NUM_ALGO_ORDERS");
    desk.place(&desk.limit(Side::Sell, "165.00", "1")).expect("a plain limit needs no slot");
    desk.cancel(OrderRef::client("sl")).expect("frees its slot");
    desk.place(&desk.stop(Side::Sell, "149.00", "1")).expect("a slot again");
}

#[test]
fn the_unfilled_order_count_is_a_clock_window_and_fills_give_back() {
    let mut settings = ExchangeSettings::solusdt(START);
    (settings.orders_per_10s, settings.orders_per_day) = (4, 8);
    let mut desk = Desk::with(settings);
    let counts = |desk: &Desk| desk.venue.order_counts(desk.me).map(|window| window.count);
    desk.place(&desk.limit(Side::Buy, "161.01", "1")).expect("fills");
    assert_eq!(counts(&desk), [0, 0], "a first fill as taker gives its one back");
    desk.oco(&desk.sell_oco("1", "165.00", "155.00", None)).expect("counts two");
    desk.place(&desk.limit(Side::Buy, "160.00", "1")).expect("three");
    desk.place(&desk.limit(Side::Buy, "160.00", "1")).expect("four");
    let over = desk.place(&desk.limit(Side::Buy, "160.00", "1")).expect_err("five");
    assert_eq!((over.code(), over.status()), (-1015, 429));
    assert_eq!(over.to_string(), "Too many new orders; current limit is 4 orders per 10 SECOND.");
    desk.cancel(OrderRef::client("tp")).expect("cancels always pass");
    assert_eq!(counts(&desk), [4, 4], "a cancel gives nothing back");
    desk.wait(9_999);
    assert!(desk.place(&desk.limit(Side::Buy, "160.00", "1")).is_err(), "windows start at full tens of seconds");
    desk.wait(1);
    for _ in 0..4 {
        desk.place(&desk.limit(Side::Buy, "160.00", "1")).expect("a new window");
    }
    desk.wait(10_000);
    let day = desk.place(&desk.limit(Side::Buy, "160.00", "1")).expect_err("the day is full");
    assert_eq!(day.to_string(), "Too many new orders; current limit is 8 orders per 1 DAY.");
    assert_eq!(counts(&desk), [0, 8], "a refusal counts nowhere");
    desk.hit(Side::Sell, "160.00", "101");
    assert_eq!(counts(&desk), [0, 3], "a first fill as maker gives five back");
}

#[test]
fn a_halted_symbol_takes_nothing_and_cancel_only_takes_cancels() {
    let mut desk = Desk::new();
    let resting = OrderRequest { client_id: Some("mine".into()), ..desk.limit(Side::Buy, "160.00", "1") };
    desk.place(&resting).expect("rests");
    desk.venue.set_status(desk.sol, SymbolStatus::Halt, desk.now);
    let closed = desk.place(&resting).expect_err("halted");
    assert_eq!((closed.code(), closed.to_string().as_str()), (-1013, "Market is closed."));
    assert_eq!(desk.cancel(OrderRef::client("mine")).expect_err("halted").code(), -2011);
    desk.hit(Side::Sell, "160.00", "500");
    assert_eq!(desk.order("mine").status, OrderStatus::New, "nobody trades");
    desk.venue.set_status(desk.sol, SymbolStatus::CancelOnly, desk.now);
    assert_eq!(desk.place(&desk.limit(Side::Buy, "159.00", "1")), Err(Reject::MarketClosed));
    desk.cancel(OrderRef::client("mine")).expect("cancels pass");
}

#[test]
fn names_that_disagree_and_restrictions_that_fail_leave_the_order_alone() {
    let mut desk = Desk::new();
    let resting = OrderRequest { client_id: Some("mine".into()), ..desk.limit(Side::Buy, "160.00", "1") };
    let id = desk.place(&resting).expect("rests").order.id;
    let mixed = OrderRef { id: Some(id), client_id: Some("other".into()) };
    assert_eq!(desk.cancel(mixed).expect_err("names disagree").code(), -2039);
    assert_eq!(desk.cancel(OrderRef::default()).expect_err("no name").code(), -1102);
    let only = CancelRequest {
        symbol: desk.sol,
        target: OrderRef::id(id),
        new_client_id: None,
        only: Some(CancelOnly::PartiallyFilled),
    };
    assert_eq!(desk.venue.cancel(desk.me, &only, desk.now), Err(Reject::CancelRestricted));
    let stranger = desk.venue.open_account();
    let theirs = CancelRequest { only: None, ..only };
    assert_eq!(desk.venue.cancel(stranger, &theirs, desk.now), Err(Reject::UnknownOrder));
    assert_eq!(desk.order("mine").status, OrderStatus::New);
}

#[test]
fn transfers_are_told_as_deltas_and_never_overdraw() {
    let mut desk = Desk::new();
    desk.place(&desk.limit(Side::Sell, "170.00", "60")).expect("locks sixty");
    desk.news();
    assert!(!desk.venue.withdraw(desk.me, symbol("SOL"), money("40.00000001"), desk.now), "sixty are locked");
    assert!(desk.venue.withdraw(desk.me, symbol("SOL"), money("40"), desk.now));
    assert!(!desk.venue.deposit(desk.me, symbol("DOGE"), money("1"), desk.now));
    desk.check();
    assert_eq!(desk.news(), ["BALANCE SOL -4000000000", "POSITION SOL"]);
}

#[test]
fn a_spec_whose_values_would_need_rounding_is_refused() {
    let mut settings = ExchangeSettings::solusdt(START);
    settings.symbols.push(SymbolSpec::btcusdt());
    assert!(Exchange::new(settings.clone()).is_ok());
    settings.symbols[0].lot = Qty(10);
    assert!(matches!(Exchange::new(settings.clone()), Err(SpecError::Inexact { .. })));
    settings.symbols[0].lot = Qty(0);
    assert!(matches!(Exchange::new(settings.clone()), Err(SpecError::Step { .. })));
    settings.symbols[0] = SymbolSpec { start_price: Price(1), ..SymbolSpec::solusdt() };
    assert!(matches!(Exchange::new(settings), Err(SpecError::StartPrice { .. })));
}

#[test]
fn the_highest_position_counts_what_open_buys_may_still_bring() {
    let mut settings = ExchangeSettings::solusdt(START);
    settings.symbols[0].position_max = Some(sol("102"));
    let mut desk = Desk::with(settings);
    desk.place(&desk.limit(Side::Buy, "160.00", "2")).expect("just fits");
    let more = desk.place(&desk.tif(Side::Buy, TimeInForce::Ioc, "161.01", "0.1"));
    assert_eq!(more, Err(Reject::Filter(Filter::MaxPosition)));
}
