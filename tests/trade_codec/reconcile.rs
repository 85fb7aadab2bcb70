//! What a session asks when its events flow again, what it makes of the answers, and when it does so unasked.

use super::desk::*;
use serde_json::{Value, json};
use sol_volume_bot::types::event::{EventKind, StreamState};
use sol_volume_bot::types::reconcile::{ReconcileTrigger, Reconciled, RestingOrder};
use sol_volume_bot::types::*;

/// An order as it rests, in the words of `openOrders.status`.
fn resting(name: ClientOrderId, number: i64, kind: &str, price: &str, stop_price: &str) -> Value {
    let mut row = order(name, number, "SELL", "NEW", "0.00000000");
    for (key, value) in [("type", kind), ("price", price), ("stopPrice", stop_price), ("origQty", "1.49800000")] {
        row[key] = json!(value);
    }
    row["orderListId"] = json!(77);
    row
}
fn both_legs() -> Value {
    json!([
        resting(stop(), 21, "STOP_LOSS_LIMIT", "147.60", "148.00"),
        resting(tp(), 22, "LIMIT_MAKER", "153.00", "0.00000000")
    ])
}

/// Answers what a look asks, with what differs from "nothing" given by method; other questions are left.
fn answer_look(desk: &mut Desk, special: &[(&str, Value)]) {
    for _ in 0..8 {
        let is_look = |sent: &Value| {
            let by_number = sent["params"].get("fromId").is_some() || sent["params"].get("orderId").is_none();
            usual_answer(sent).is_some() && by_number
        };
        desk.sent.retain(|sent| sent["method"] != "time");
        let Some(at) = desk.sent.iter().position(is_look) else { return };
        let sent = desk.sent.remove(at);
        let found = special.iter().find(|(method, _)| sent["method"] == *method).map(|(_, answer)| answer.clone());
        desk.answer(&sent, found.unwrap_or_else(|| usual_answer(&sent).unwrap()));
    }
}
fn reconciled(desk: &Desk) -> Vec<Reconciled> {
    let found = |event: &Event| match event.kind {
        EventKind::Reconciled(found) => Some(found),
        _ => None,
    };
    desk.events.iter().filter_map(found).collect()
}
fn met(desk: &Desk) -> Vec<RestingOrder> {
    let found = |event: &Event| match event.kind {
        EventKind::Resting(order) => Some(order),
        _ => None,
    };
    desk.events.iter().filter_map(found).collect()
}

#[test]
fn orders_that_this_run_never_sent_are_told_with_all_an_engine_needs_before_the_stream_is_up() {
    let mut desk = Desk::new(hmac());
    desk.open();
    answer_look(&mut desk, &[("openOrders.status", both_legs())]);
    let told = met(&desk);
    assert_eq!(told.len(), 2);
    let expected = RestingOrder {
        id: stop(),
        venue_order_id: VenueOrderId(21),
        list_id: 77,
        side: Side::Sell,
        kind: OrderKind::StopLossLimit,
        qty: qty("1.498"),
        cum_qty: Qty::ZERO,
        price: price("147.6"),
        stop_price: price("148"),
    };
    assert_eq!(told[0], expected);
    let kinds: Vec<_> = desk.events.iter().map(|event| event.kind).collect();
    let up = kinds.iter().position(|kind| *kind == EventKind::Stream(StreamState::Up)).unwrap();
    let end = kinds.iter().position(|kind| matches!(kind, EventKind::Reconciled(_))).unwrap();
    let last_met = kinds.iter().rposition(|kind| matches!(kind, EventKind::Resting(_))).unwrap();
    assert!(last_met < end && end < up, "{kinds:?}");
}

#[test]
fn orders_taken_over_are_ours_like_those_just_sent() {
    let mut desk = Desk::new(hmac());
    let order = |id, number| RestingOrder {
        id,
        venue_order_id: VenueOrderId(number),
        list_id: 77,
        side: Side::Sell,
        kind: OrderKind::LimitMaker,
        qty: qty("1.498"),
        cum_qty: Qty::ZERO,
        price: price("153"),
        stop_price: Price::ZERO,
    };
    desk.session.take_over(&[order(tp(), 22), order(stop(), 21)], 900_000);
    desk.open();
    answer_look(&mut desk, &[("openOrders.status", both_legs())]);
    assert!(desk.session.is_ready() && met(&desk).is_empty(), "known before they were found");
    let cancel = desk.send(cancel_list());
    assert_eq!(cancel["params"]["orderListId"], 77);
}

#[test]
fn a_fill_of_an_earlier_run_is_told_under_its_orders_name_once_the_venue_gave_it() {
    let mut desk = Desk::new(hmac());
    desk.session.take_over(&[], 900_000);
    desk.open();
    let page = json!([trade(900_001, 12_000_001, "1.50000000"), trade(900_002, 666, "9.00000000")]);
    answer_look(&mut desk, &[("myTrades", page)]);
    let asked = desk.asked();
    let numbers: Vec<_> = asked.iter().map(|sent| sent["params"]["orderId"].as_i64().unwrap()).collect();
    assert_eq!(numbers, [12_000_001, 666]);
    assert!(!desk.session.is_ready(), "whose fills they are is not known");
    desk.answer(&asked[0], order(entry(), 12_000_001, "BUY", "FILLED", "1.50000000"));
    let mut by_hand = order(entry(), 666, "BUY", "FILLED", "9.00000000");
    by_hand["clientOrderId"] = json!("by-hand");
    desk.answer(&asked[1], by_hand);
    let trades = desk.asked().remove(0);
    assert_eq!(trades["params"]["orderId"], 12_000_001);
    assert_eq!(met(&desk).len(), 1);
    desk.answer(&trades, json!([trade(900_001, 12_000_001, "1.50000000")]));
    assert!(desk.session.is_ready());
    assert_eq!(reconciled(&desk).last().map(|found| found.fills), Some(1));
    let fills: Vec<_> = desk.reports().into_iter().filter(|report| report.kind == ExecKind::Fill).collect();
    assert_eq!(fills.len(), 1, "what somebody else bought is not told");
    assert_eq!((fills[0].id, fills[0].trade_id, fills[0].fee), (entry(), 900_001, 500_000));
    // The next look begins behind both.
    desk.timer(60_000);
    answer_look(&mut desk, &[("openOrders.status", json!([]))]);
    assert_eq!(desk.asked(), Vec::<Value>::new());
}

#[test]
fn a_reconnect_asks_from_the_last_listed_trade_on_and_tells_what_was_missed() {
    let mut desk = with_oco();
    desk.down();
    desk.open();
    answer_look(
        &mut desk,
        &[("openOrders.status", json!([])), ("myTrades", json!([trade(900_009, 22, "1.49800000")]))],
    );
    assert!(!desk.session.is_ready());
    for sent in desk.asked() {
        match (sent["method"].as_str().unwrap(), sent["params"]["orderId"].as_i64()) {
            ("myTrades", Some(22)) => {
                _ = desk.answer(&sent, json!([trade(900_009, 22, "1.49800000")]));
            }
            (_, Some(22)) => {
                let mut whole = order(tp(), 22, "SELL", "FILLED", "1.49800000");
                whole["origQty"] = json!("1.49800000");
                {
                    _ = desk.answer(&sent, whole);
                };
            }
            _ => {
                _ = desk.answer(&sent, order(stop(), 21, "SELL", "EXPIRED", "0"));
            }
        }
    }
    for sent in desk.asked() {
        desk.answer(&sent, json!([trade(900_009, 22, "1.49800000")]));
    }
    assert!(desk.session.is_ready());
    let found = reconciled(&desk)[0];
    assert_eq!((found.trigger, found.fills, found.ended), (ReconcileTrigger::Reconnect, 1, 2));
}

#[test]
fn an_audit_tells_a_difference_only_if_a_second_look_sees_it_too() {
    let mut desk = with_oco();
    desk.timer(60_000);
    assert!(desk.sent.iter().any(|sent| sent["method"] == "openOrders.status"), "a minute has passed");
    answer_look(&mut desk, &[("openOrders.status", json!([]))]);
    assert_eq!(desk.asked(), Vec::<Value>::new(), "an event may be on its way");
    assert!(reconciled(&desk).is_empty());
    desk.timer(300);
    answer_look(&mut desk, &[("openOrders.status", json!([]))]);
    for (sent, name) in desk.asked().iter().zip([tp(), stop()]) {
        let number = sent["params"]["orderId"].as_i64().unwrap();
        let name = if number == 21 { stop() } else { name };
        let name = if number == 22 { tp() } else { name };
        desk.answer(sent, order(name, number, "SELL", "CANCELED", "0"));
    }
    let found = reconciled(&desk)[0];
    assert_eq!((found.trigger, found.fills, found.ended), (ReconcileTrigger::Audit, 0, 2));
    assert_eq!(desk.kinds().iter().filter(|(_, kind)| *kind == ExecKind::Canceled).count(), 2);
}

#[test]
fn a_clean_audit_tells_that_nothing_differed_and_changes_no_order() {
    let mut desk = with_oco();
    desk.timer(60_000);
    answer_look(&mut desk, &[("openOrders.status", both_legs())]);
    assert_eq!(reconciled(&desk).len(), 1);
    assert!(desk.kinds().is_empty() && met(&desk).is_empty());
    assert!(desk.session.is_ready());
}

#[test]
fn an_event_of_the_account_makes_the_balances_of_that_look_no_proof() {
    let mut desk = with_oco();
    desk.timer(60_000);
    desk.event(json!({"e":"balanceUpdate","E":1790000000000_i64,"a":"SOL","d":"-1.0","T":1790000000000_i64}));
    answer_look(&mut desk, &[("openOrders.status", both_legs())]);
    assert_eq!(reconciled(&desk).iter().map(|found| found.is_quiet).collect::<Vec<_>>(), [false]);
}

#[test]
fn an_order_that_can_no_longer_arrive_and_is_unknown_twice_was_never_executed() {
    let mut desk = Desk::ready(hmac());
    let sent_at = desk.now;
    let request = desk.send(Command::PlaceOco(oco()));
    desk.refuse(&request, 500, -1007, "Timeout waiting for response from backend server.");
    assert_eq!(desk.kinds(), [(tp(), ExecKind::Unknown), (stop(), ExecKind::Unknown)]);
    let mut proven = None;
    for _ in 0..200 {
        desk.timer(10);
        for sent in desk.asked() {
            match sent["method"].as_str().unwrap() {
                "order.status" => {
                    _ = desk.refuse(&sent, 400, -2013, "Order does not exist.");
                }
                _ => {
                    _ = desk.answer(&sent, usual_answer(&sent).unwrap());
                }
            }
        }
        if desk.kinds().iter().filter(|(_, kind)| *kind == ExecKind::Rejected).count() == 2 {
            proven = Some(desk.now - sent_at);
            break;
        }
    }
    // The window of 1 s, 100 ms for the clocks, 150 ms between the two answers, and the steps of this test.
    let took_ms = proven.expect("it is proven") / MS;
    assert!((1_250..1_350).contains(&took_ms), "{took_ms} ms");
}

#[test]
fn an_order_of_an_earlier_run_that_arrives_late_is_told_before_its_own_news() {
    let mut desk = Desk::ready(hmac());
    let earlier = ClientOrderId { epoch: 11, ..stop() };
    desk.event(execution(
        json!({"c": earlier.to_string(), "S": "SELL", "o": "STOP_LOSS", "f": "GTC", "P": "148.00000000",
        "p": "0.00000000", "i": 31, "g": 78}),
    ));
    let told: Vec<_> = desk.events.iter().map(|event| event.kind).collect();
    let EventKind::Resting(order) = told[0] else { panic!("{told:?}") };
    assert_eq!((order.id, order.kind, order.stop_price), (earlier, OrderKind::StopLoss, price("148")));
    assert!(matches!(told[1], EventKind::Execution(_)));
    desk.timer(300);
    assert!(desk.asked_methods().contains(&"openOrders.status".to_owned()), "and judged soon");
}
