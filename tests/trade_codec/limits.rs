//! The venue's limits at their very edges: what stops at four fifths, what at the end, and when a window turns.

use super::desk::*;
use serde_json::{Value, json};
use sol_volume_bot::types::command::{NewOrder, QueryOrder};
use sol_volume_bot::types::note::{Hold, WireNote};
use sol_volume_bot::types::order::Reason;
use sol_volume_bot::types::*;
use sol_volume_bot::venue::binance_spot::trade::{LimitKind, RateLimit, Refusal};

const SECOND: i64 = 1_000 * MS;
const DAY: i64 = 86_400 * SECOND;

fn limits() -> Vec<RateLimit> {
    let limit = |kind, interval_ns, limit| RateLimit { kind, interval_ns, limit };
    vec![
        limit(LimitKind::Weight, 60 * SECOND, 6_000),
        limit(LimitKind::Raw, 300 * SECOND, 300_000),
        limit(LimitKind::Orders, 10 * SECOND, 50),
        limit(LimitKind::Orders, DAY, 160_000),
    ]
}

/// A session at the start of a window of every length but the day's, with the venue's own counts told.
fn desk_with(kind: &str, interval: &str, number: i64, limit: i64, count: i64) -> Desk {
    let mut desk = Desk::with_limits(hmac(), limits());
    desk.open();
    desk.settle();
    desk.now += 300 * SECOND - desk.now % (300 * SECOND);
    desk.timer(0);
    desk.settle();
    desk.tell_count(kind, interval, number, limit, count);
    desk.forget();
    desk
}

impl Desk {
    fn tell_count(&mut self, kind: &str, interval: &str, number: i64, limit: i64, count: i64) {
        self.frame(&json!({"id": 1, "status": 200, "result": {}, "rateLimits": [
            {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit, "count": count}]}));
    }
    fn entry_passes(&mut self, attempt: u16) -> bool {
        self.outcome(Command::Place(NewOrder { id: id(Leg::Entry(1), attempt), ..buy("1.5") }))
    }
    fn close_passes(&mut self, attempt: u16) -> bool {
        self.outcome(Command::Place(NewOrder { id: id(Leg::Flatten, attempt), ..flatten() }))
    }
    fn outcome(&mut self, command: Command) -> bool {
        match self.try_send(command) {
            Ok(_) => true,
            Err(Refusal::RateLimit) => {
                let told = self.reports().pop().map(|report| report.reason);
                assert!(told.is_none_or(|reason| reason == Reason::RateLimit), "{told:?}");
                false
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn entries_stop_at_four_fifths_of_each_limit_and_closes_go_on_to_its_end() {
    let table = [
        ("REQUEST_WEIGHT", "MINUTE", 1, 6_000),
        ("RAW_REQUESTS", "MINUTE", 5, 300_000),
        ("ORDERS", "SECOND", 10, 50),
        ("ORDERS", "DAY", 1, 160_000),
    ];
    for (kind, interval, number, limit) in table {
        let edge = limit * 8 / 10;
        let mut desk = desk_with(kind, interval, number, limit, edge - 1);
        assert!(desk.entry_passes(1), "{kind}: the last one below the edge");
        assert!(!desk.entry_passes(2), "{kind}: one beyond");
        assert!(desk.close_passes(1), "{kind}: a close may use the reserve");
        let mut desk = desk_with(kind, interval, number, limit, limit - 1);
        assert!(desk.close_passes(1), "{kind}: the very last unit");
        assert!(!desk.close_passes(2), "{kind}: over the limit the venue would only answer 429");
    }
}

#[test]
fn a_new_window_begins_with_the_venues_clock_to_the_nanosecond() {
    for (interval, number, kind, limit, length) in [
        ("SECOND", 10, "ORDERS", 50, 10 * SECOND),
        ("MINUTE", 1, "REQUEST_WEIGHT", 6_000, 60 * SECOND),
        ("MINUTE", 5, "RAW_REQUESTS", 300_000, 300 * SECOND),
    ] {
        let mut desk = desk_with(kind, interval, number, limit, limit);
        assert!(!desk.close_passes(1));
        desk.now += length - desk.now % length - 1; // the desk's clock is the venue's
        assert!(!desk.close_passes(1), "{kind}: one nanosecond before the edge");
        desk.now += 1;
        assert!(desk.close_passes(1) && desk.entry_passes(1), "{kind}: a window of its own");
    }
}

#[test]
fn cancels_and_questions_need_no_orders_but_end_with_the_weight() {
    let mut desk = desk_with("ORDERS", "SECOND", 10, 50, 50);
    let question = Command::Query(QueryOrder { target: entry(), venue_order_id: VenueOrderId(0) });
    let cancel = |number| Command::Cancel(command::CancelOrder { target: tp(), venue_order_id: VenueOrderId(number) });
    assert!(desk.outcome(question) && desk.outcome(cancel(5)));
    let mut desk = desk_with("REQUEST_WEIGHT", "MINUTE", 1, 6_000, 5_996);
    assert!(desk.outcome(question), "four units are left, and it weighs four");
    assert!(!desk.outcome(question) && !desk.outcome(cancel(5)));
    assert!(desk.outcome(Command::CancelAll), "the last way out: the venue itself must say no");
}

#[test]
fn an_answer_counts_what_it_saw_and_what_is_still_on_its_way_is_added() {
    let mut desk = desk_with("ORDERS", "SECOND", 10, 50, 0);
    let sent: Vec<Value> = (1..=10)
        .map(|attempt| desk.send(Command::Place(NewOrder { id: id(Leg::Entry(1), attempt), ..buy("1.5") })))
        .collect();
    let count = json!([{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":50,"count":31}]);
    // The venue had seen 30 of others and our first: nine of ours are still on their way.
    desk.frame(
        &json!({"id": sent[0]["id"], "status": 200, "result": ack(id(Leg::Entry(1), 1), 1), "rateLimits": count}),
    );
    assert!(!desk.entry_passes(11), "31 and nine on their way: 40 of 50");
    let count = json!([{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":50,"count":31}]);
    desk.frame(
        &json!({"id": sent[1]["id"], "status": 200, "result": ack(id(Leg::Entry(1), 2), 2), "rateLimits": count}),
    );
    assert!(desk.entry_passes(12), "fills gave one back: 31 and eight on their way");
}

#[test]
fn a_full_order_count_holds_orders_until_the_window_that_is_full_ends_and_nothing_else() {
    for (interval, number, limit, length) in [("SECOND", 10, 50, 10 * SECOND), ("DAY", 1, 160_000, DAY)] {
        let mut desk = desk_with("ORDERS", interval, number, limit, limit - 5);
        let request = desk.send(Command::Place(flatten()));
        desk.tell_count("ORDERS", interval, number, limit, limit);
        desk.refuse(&request, 429, -1015, "Too many new orders.");
        let held = desk.notes.iter().find_map(|note| match note {
            WireNote::Held { hold, until, .. } => Some((*hold, *until)),
            _ => None,
        });
        let end = (desk.now / length + 1) * length;
        assert_eq!(held, Some((Hold::Orders, Time(end))), "{interval}");
        assert!(!desk.close_passes(2));
        let question = Command::Query(QueryOrder { target: entry(), venue_order_id: VenueOrderId(0) });
        assert!(desk.outcome(question) && desk.outcome(Command::CancelAll));
        desk.now = end;
        assert!(desk.close_passes(3));
    }
}

#[test]
fn a_ban_without_an_end_lasts_two_minutes_and_two_words_to_wait_do_not_mend_each_other() {
    let mut desk = desk_with("ORDERS", "SECOND", 10, 50, 0);
    let requests: Vec<Value> = (1..=2)
        .map(|attempt| desk.send(Command::Place(NewOrder { id: id(Leg::Flatten, attempt), ..flatten() })))
        .collect();
    desk.refuse(&requests[0], 418, -1003, "Way too much request weight used; IP banned.");
    let until = desk.now / MS + 300_000;
    desk.frame(&json!({"id": requests[1]["id"], "status": 429, "error": {"code": -1003, "msg": "Too many requests.",
        "data": {"serverTime": desk.now / MS, "retryAfter": until}}}));
    desk.now += 120 * SECOND - 1;
    assert!(!desk.outcome(Command::CancelAll), "banned");
    desk.now += 1;
    assert!(desk.outcome(Command::CancelAll), "the ban is over");
    assert!(!desk.close_passes(3), "the other word is not");
}

#[test]
fn an_entry_waits_for_a_clock_that_is_known_well_enough_and_a_close_concedes_the_doubt() {
    let mut desk = Desk::with_limits(hmac(), limits());
    desk.open();
    let clock = desk.sent.iter().position(|sent| sent["method"] == "time").map(|at| desk.sent.remove(at)).unwrap();
    desk.settle();
    desk.forget();
    assert_eq!(desk.try_send(Command::Place(buy("1.5"))).err(), Some(Refusal::Clock), "never measured");
    assert_eq!(desk.reports()[0].reason, Reason::Clock);
    let close = desk.send(Command::Place(flatten()));
    assert_eq!(close["params"]["timestamp"], desk.now / MS - 1_000);
    assert_eq!(close["params"]["recvWindow"], 3_000, "a second to either side of the window of one second");
    let cancel = desk.send(Command::CancelAll);
    assert_eq!(cancel["params"]["recvWindow"], 11_000);
    // A round trip of 644 ms: half of it is doubt, all of it may be the way; with 50 ms that is more than the window.
    let sent_at = desk.now;
    desk.now += 640 * MS;
    desk.frame(&json!({"id": clock["id"], "status": 200, "result": {"serverTime": (sent_at + 320 * MS) / MS}}));
    assert_eq!(desk.try_send(Command::Place(buy("1.5"))).err(), Some(Refusal::Clock));
    desk.events.clear();
    let close = desk.send(Command::Place(NewOrder { id: id(Leg::Flatten, 2), ..flatten() }));
    assert_eq!(close["params"]["recvWindow"], 1_000 + 2 * 323);
    desk.settle(); // the rest of the round is faster
    desk.send(Command::Place(buy("1.5")));
}

/// Found by seed 1196 of the virtual worlds: the next minute counted as full and a close waited for its end, naked.
#[test]
fn seed_1196_a_full_minute_ends_when_the_venue_says_though_its_clock_was_set_back() {
    let mut desk = desk_with("ORDERS", "SECOND", 10, 50, 0);
    let behind = 1_600 * MS; // the venue's clock was set back: by its own, the minute before is not over yet
    desk.now += 20 * MS;
    let request = desk.send(Command::Place(flatten()));
    let (server_time, minute) = (desk.now - behind, desk.now - desk.now % (60 * SECOND));
    desk.frame(&json!({"id": request["id"], "status": 429,
        "error": {"code": -1003, "msg": "Too much request weight used.",
            "data": {"serverTime": server_time / MS, "retryAfter": minute / MS}},
        "rateLimits": [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
            "limit": 6_000, "count": 6_251}]}));
    assert!(!desk.close_passes(2), "the venue's minute is not over");
    desk.now += minute - server_time / MS * MS;
    assert!(desk.close_passes(3), "it is over now");
}
