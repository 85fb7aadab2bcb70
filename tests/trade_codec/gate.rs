//! What is not sent, and why.

use super::desk::*;
use serde_json::json;
use sol_volume_bot::types::command::{NewOco, NewOrder};
use sol_volume_bot::types::order::Reason;
use sol_volume_bot::types::*;
use sol_volume_bot::venue::binance_spot::trade::Refusal;

#[test]
fn the_last_gate_refuses_what_should_never_have_come_and_tells_the_engine() {
    let order = |change: fn(&mut NewOrder)| {
        let mut order = buy("1.5");
        change(&mut order);
        Command::Place(order)
    };
    let legs = |change: fn(&mut NewOco)| {
        let mut legs = oco();
        change(&mut legs);
        Command::PlaceOco(legs)
    };
    let table = [
        (order(|o| o.qty = Qty::ZERO), Refusal::Filter),
        (order(|o| o.qty = Qty(-1)), Refusal::Filter),
        (order(|o| o.qty = qty("1.0005")), Refusal::Filter),
        (order(|o| o.qty = qty("0.01")), Refusal::Filter),
        (order(|o| o.price = price("150.205")), Refusal::Filter),
        (order(|o| o.price = Price::ZERO), Refusal::Filter),
        (order(|o| o.qty = qty("100")), Refusal::TooLarge),
        (order(|o| (o.kind, o.qty) = (OrderKind::Market, qty("5000.001"))), Refusal::Filter),
        (order(|o| o.kind = OrderKind::StopLoss), Refusal::NotOffered),
        (legs(|l| l.stop_price = price("153")), Refusal::Filter),
        (legs(|l| l.stop_limit = price("148.01")), Refusal::Filter),
        (legs(|l| l.tp_price = price("153.001")), Refusal::Filter),
        (legs(|l| l.qty = qty("0.033")), Refusal::Filter),
    ];
    for (command, refusal) in table {
        let mut desk = Desk::ready(hmac());
        assert_eq!(desk.try_send(command).err(), Some(refusal), "{command:?}");
        let reports = desk.reports();
        assert!(!reports.is_empty() && reports.iter().all(|report| report.kind == ExecKind::Rejected));
        let reason = if refusal == Refusal::TooLarge { Reason::TooLarge } else { Reason::Filter };
        assert!(reports.iter().all(|report| report.reason == reason));
    }
}

#[test]
fn an_id_is_never_sent_twice() {
    let mut desk = Desk::ready(hmac());
    desk.send(Command::Place(buy("1.5")));
    assert_eq!(desk.try_send(Command::Place(buy("1.5"))).err(), Some(Refusal::IdUsed));
    assert_eq!(desk.reports()[0].reason, Reason::Duplicate);
}

#[test]
fn entries_wait_for_a_session_that_knows_the_truth_while_exits_need_only_a_wire() {
    let mut desk = Desk::new(ed25519());
    assert_eq!(desk.try_send(Command::Place(flatten())).err(), Some(Refusal::NotReady));
    desk.open();
    assert_eq!(desk.try_send(Command::Place(buy("1.5"))).err(), Some(Refusal::NotReady));
    let exit = desk.send(Command::Place(flatten()));
    assert_eq!(exit["params"]["signature"].as_str().unwrap().len(), 88, "not logged on yet, so it signs itself");
}

#[test]
fn entries_leave_a_fifth_of_the_order_budget_and_exits_may_use_it() {
    let mut desk = Desk::ready(hmac());
    let attempt = |attempt| NewOrder { id: id(Leg::Entry(1), attempt), ..buy("1.5") };
    for number in 1..=40 {
        desk.send(Command::Place(attempt(number)));
    }
    assert_eq!(desk.try_send(Command::Place(attempt(41))).err(), Some(Refusal::RateLimit));
    assert_eq!(desk.reports()[0].reason, Reason::RateLimit);
    desk.send(Command::PlaceOco(oco()));
    desk.now += 10_000 * MS;
    desk.send(Command::Place(attempt(42)));
    // The venue's own count overrides ours.
    desk.frame(&json!({"id": 1, "status": 200, "result": {}, "rateLimits": [
        {"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":50,"count":49}]}));
    assert_eq!(desk.try_send(Command::Place(attempt(43))).err(), Some(Refusal::RateLimit));
}

#[test]
fn the_venues_word_to_wait_stops_all_but_a_cancel_of_everything_and_a_ban_stops_that_too() {
    for (status, cancel_passes) in [(429, true), (418, false)] {
        let mut desk = with_oco();
        let request = desk.send(Command::Place(flatten()));
        let until = desk.now / MS + 12_000;
        desk.frame(
            &json!({"id": request["id"], "status": status, "error": {"code": -1003, "msg": "Too many requests.",
            "data": {"serverTime": desk.now / MS, "retryAfter": until}}}),
        );
        let report = desk.reports()[0];
        assert_eq!((report.kind, report.reason, report.code), (ExecKind::Rejected, Reason::RateLimit, -1003));
        let next = NewOrder { id: id(Leg::Flatten, 2), ..flatten() };
        assert_eq!(desk.try_send(Command::Place(next)).err(), Some(Refusal::RateLimit));
        desk.reports();
        assert_eq!(
            desk.try_send(cancel_list()).err(),
            Some(Refusal::RateLimit),
            "the stop rests until a sell may go out"
        );
        assert!(desk.reports().iter().all(|r| (r.kind, r.reason) == (ExecKind::CancelRejected, Reason::RateLimit)));
        assert_eq!(desk.try_send(Command::CancelAll).is_ok(), cancel_passes, "{status}");
        desk.now += 12_000 * MS;
        desk.send(Command::Place(next));
    }
}

#[test]
fn an_exit_is_not_cancelled_when_the_order_that_must_follow_has_no_room() {
    let mut desk = with_oco(); // two of 50 orders
    let attempt = |attempt| NewOrder { id: id(Leg::Flatten, attempt), ..flatten() };
    (1..=43).for_each(|number| _ = desk.send(Command::Place(attempt(number))));
    desk.send(cancel_list()); // 45 are used: five are left for what follows
    desk.send(Command::Place(attempt(44)));
    desk.reports();
    assert_eq!(desk.try_send(cancel_list()).err(), Some(Refusal::RateLimit));
    let reports = desk.reports();
    assert_eq!(reports.len(), 2, "both legs");
    assert!(reports.iter().all(|r| (r.kind, r.reason) == (ExecKind::CancelRejected, Reason::RateLimit)));
    desk.send(Command::Place(attempt(45)));
    desk.now += 10_000 * MS;
    desk.send(cancel_list());
}
