//! How a session comes up, keeps time and goes down.

use super::desk::*;
use serde_json::json;
use sol_volume_bot::types::event::{Balance, EventKind, StreamState};
use sol_volume_bot::types::order::Reason;
use sol_volume_bot::types::reconcile::{ReconcileTrigger, Reconciled};
use sol_volume_bot::types::*;
use sol_volume_bot::venue::binance_spot::trade::{FrameKind, Refusal};

#[test]
fn an_ed25519_session_logs_on_subscribes_learns_the_truth_and_only_then_is_up() {
    let mut desk = Desk::new(ed25519());
    desk.open();
    assert_eq!(desk.asked_methods(), ["session.logon", "time"]);
    desk.open();
    let logon = desk.sent.remove(0);
    let signed = ed25519().sign(payload(&logon).as_bytes()).as_str().to_owned();
    assert_eq!(logon["params"]["signature"], signed);
    desk.answer(&logon, usual_answer(&logon).unwrap());
    let subscribe = desk.sent.pop().unwrap();
    assert_eq!(subscribe["method"], "userDataStream.subscribe");
    assert!(subscribe.get("params").is_none());
    desk.answer(&subscribe, json!({"subscriptionId": 0}));
    assert!(!desk.session.is_ready() && desk.events.is_empty());
    desk.sent.retain(|sent| sent["method"] != "time");
    assert_eq!(
        desk.sent.iter().map(|sent| &sent["method"]).collect::<Vec<_>>(),
        ["account.status", "openOrders.status"]
    );
    for wanted in [2, 2] {
        let asked: Vec<_> = desk.sent.drain(..).collect();
        assert_eq!(asked.len(), wanted, "{asked:?}");
        assert!(!desk.session.is_ready());
        for sent in &asked {
            desk.answer(sent, usual_answer(sent).unwrap());
        }
    }
    assert!(desk.session.is_ready());
    let kinds: Vec<_> = desk.events.iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        [
            EventKind::Balance(Balance::Base { free: qty("10"), locked: qty("2.5") }),
            EventKind::Balance(Balance::Quote { free: Notional::ZERO, locked: Notional::ZERO }),
            EventKind::Reconciled(Reconciled {
                trigger: ReconcileTrigger::Start,
                fills: 0,
                ended: 0,
                cash: Notional::ZERO,
                base: qty("12.5"),
                is_quiet: true,
            }),
            EventKind::Stream(StreamState::Up),
        ]
    );
}

#[test]
fn an_hmac_session_subscribes_with_a_signature() {
    let mut desk = Desk::new(hmac());
    desk.open();
    assert_eq!(desk.sent[0]["method"], "userDataStream.subscribe.signature");
    assert_eq!(desk.sent[0]["params"]["signature"], hmac().sign(payload(&desk.sent[0]).as_bytes()).as_str());
    desk.settle();
    assert!(desk.session.is_ready());
}

#[test]
fn a_subscription_that_is_active_already_is_as_good_as_a_new_one() {
    let mut desk = Desk::new(hmac());
    desk.open();
    let subscribe = desk.sent.remove(0);
    desk.refuse(&subscribe, 400, -2035, "Subscription already active.");
    desk.settle();
    assert!(desk.session.is_ready());
}

#[test]
fn a_subscription_that_failed_is_tried_again_and_one_without_ids_needs_a_new_connection() {
    let mut desk = Desk::new(hmac());
    desk.open();
    let subscribe = desk.sent.remove(0);
    desk.refuse(&subscribe, 503, 0, "");
    desk.asked();
    desk.timer(1_000);
    let again = desk.asked().into_iter().find(|sent| sent["method"] == "userDataStream.subscribe.signature").unwrap();
    assert_eq!(desk.refuse(&again, 400, -2042, "out of ids"), FrameKind::Reset);
}

#[test]
fn a_refused_key_bars_the_session_and_says_so() {
    let mut desk = Desk::ready(ed25519());
    desk.frame(
        &json!({"id": null, "status": 401, "error": {"code": -2015, "msg": "Invalid API-key, IP, or permissions."}}),
    );
    assert_eq!(desk.events[0].kind, EventKind::Stream(StreamState::Down));
    assert!(!desk.session.is_ready() && desk.session.is_barred());
    assert_eq!(desk.try_send(Command::Place(flatten())).err(), Some(Refusal::NotReady));
    let mut desk = Desk::new(ed25519());
    desk.open();
    let logon = desk.sent.remove(0);
    desk.refuse(&logon, 400, -1022, "Signature for this request is not valid.");
    assert!(desk.session.is_barred());
}

#[test]
fn a_terminated_event_stream_goes_down_and_is_subscribed_and_resynced() {
    let mut desk = with_oco();
    desk.event(json!({"e": "eventStreamTerminated", "E": 1790000000000_i64}));
    assert_eq!(desk.events[0].kind, EventKind::Stream(StreamState::Down));
    desk.settle();
    assert!(!desk.session.is_ready(), "two orders rest whose fills it may have missed");
    for query in desk.asked() {
        let name = if query["params"]["orderId"] == 21 { stop() } else { tp() };
        let number = query["params"]["orderId"].as_i64().unwrap();
        desk.answer(&query, order(name, number, "SELL", "NEW", "0.00000000"));
    }
    assert!(desk.session.is_ready());
    assert_eq!(desk.events.last().unwrap().kind, EventKind::Stream(StreamState::Up));
}

#[test]
fn the_clock_is_the_best_of_a_round_and_asked_anew_when_the_venue_doubts_it() {
    let mut desk = Desk::new(hmac());
    desk.open();
    let mut clock = desk.sent.remove(1);
    for (trip_ms, skew_ms) in [(40, 30), (2, 7), (90, 80), (30, 20), (10, 12)] {
        desk.now += trip_ms * MS;
        let server_ms = (desk.now - trip_ms * MS / 2) / MS + skew_ms;
        desk.frame(&json!({"id": clock["id"], "status": 200, "result": {"serverTime": server_ms}}));
        if desk.sent.last().is_some_and(|sent| sent["method"] == "time") {
            clock = desk.sent.pop().unwrap();
        }
    }
    let EventKind::Clock(offset) = desk.events.pop().unwrap().kind else { panic!("the round ends with an offset") };
    assert_eq!((offset.offset_ns, offset.round_trip_ns), (7 * MS + MS / 2, 2 * MS));
    desk.settle();
    let request = desk.send(Command::Place(buy("1.5")));
    assert_eq!(request["params"]["timestamp"], desk.now / MS + 7);
    desk.forget();
    desk.refuse(&request, 400, -1021, "Timestamp for this request is outside of the recvWindow.");
    assert_eq!(desk.reports()[0].reason, Reason::Clock);
    desk.timer(0);
    assert_eq!(desk.asked_methods(), ["time"]);
}

#[test]
fn the_servers_farewell_is_seen() {
    let mut desk = Desk::ready(hmac());
    assert_eq!(desk.frame(&json!({"event": {"e": "serverShutdown", "E": 1790000000000_i64}})), FrameKind::Shutdown);
}
