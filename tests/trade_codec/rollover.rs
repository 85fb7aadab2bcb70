//! A planned roll-over: the next connection gets ready while orders go on over the one that serves.

use super::desk::*;
use serde_json::json;
use sol_volume_bot::types::event::{EventKind, StreamState};
use sol_volume_bot::types::*;
use sol_volume_bot::venue::binance_spot::trade::FrameKind;

impl Desk {
    fn open_next(&mut self) {
        let sent = &mut self.sent;
        self.session.on_open_next(Time(self.now), &mut |text| sent.push(serde_json::from_slice(text).unwrap()));
    }
}

#[test]
fn the_next_connection_logs_on_and_subscribes_without_a_break_in_what_the_engine_hears() {
    let mut desk = Desk::ready(ed25519());
    desk.open_next();
    let logon = desk.sent.remove(0);
    assert_eq!(logon["method"], "session.logon");
    desk.send(Command::Place(buy("1.5"))); // an entry: the older connection serves on
    assert_eq!(desk.answer(&logon, usual_answer(&logon).unwrap()), FrameKind::Control, "the older one must not go yet");
    assert!(!desk.session.next_is_ready());
    let subscribe = desk.sent.remove(0);
    assert_eq!(subscribe["method"], "userDataStream.subscribe");
    assert_eq!(desk.answer(&subscribe, json!({"subscriptionId": 0})), FrameKind::Data);
    assert!(desk.session.next_is_ready() && desk.session.is_ready());
    desk.session.use_next();
    assert!(!desk.session.next_is_ready());
    desk.send(Command::Place(flatten()));
    assert!(desk.events.iter().all(|event| !matches!(event.kind, EventKind::Stream(_))), "no stream went down or up");
}

#[test]
fn an_hmac_session_only_subscribes_on_the_next_connection() {
    let mut desk = Desk::ready(hmac());
    desk.open_next();
    let subscribe = desk.sent.remove(0);
    assert_eq!(subscribe["method"], "userDataStream.subscribe.signature");
    desk.refuse(&subscribe, 400, -2035, "Subscription already active.");
    assert!(desk.session.next_is_ready(), "as good");
}

#[test]
fn a_next_connection_that_dies_costs_nothing_and_orders_in_flight_stay_what_they_are() {
    let mut desk = Desk::ready(ed25519());
    let request = desk.send(Command::Place(buy("1.5")));
    desk.open_next();
    desk.session.on_next_down();
    assert!(desk.session.is_ready());
    assert!(desk.kinds().is_empty(), "nothing became unknown");
    desk.answer(&request, ack(entry(), 12_000_001));
    assert_eq!(desk.kinds(), [(entry(), ExecKind::New)]);
    desk.send(Command::Place(flatten()));
}

#[test]
fn a_next_connection_that_is_refused_is_dropped_and_a_refused_key_bars_everything() {
    let mut desk = Desk::ready(ed25519());
    desk.open_next();
    let logon = desk.sent.remove(0);
    assert_eq!(desk.refuse(&logon, 503, 0, ""), FrameKind::Reset);
    assert!(desk.session.is_ready() && !desk.session.next_is_ready());
    desk.open_next();
    let logon = desk.asked().remove(0);
    desk.refuse(&logon, 400, -2015, "Invalid API-key, IP, or permissions for action.");
    assert!(desk.session.is_barred());
}

#[test]
fn when_the_serving_connection_dies_the_open_one_begins_a_session_of_its_own() {
    let mut desk = Desk::ready(ed25519());
    desk.send(Command::Place(buy("1.5")));
    desk.open_next();
    desk.forget();
    desk.down();
    assert_eq!(desk.kinds(), [(entry(), ExecKind::Unknown)], "it may have executed");
    desk.session.begin_anew(Time(desk.now));
    desk.send(Command::Place(flatten())); // a way out needs only a wire
    desk.timer(0);
    let sent = desk.asked_methods();
    assert!(sent.contains(&"session.logon".to_owned()), "{sent:?}");
    assert!(!desk.session.is_ready(), "entries wait until the truth is known");
    assert!(!desk.events.iter().any(|event| event.kind == EventKind::Stream(StreamState::Up)));
}
