//! A connection that stands but says nothing: quiet by nature, mute by fault, and how the session tells them apart.

use serde_json::json;
use sol_volume_bot::types::event::StreamState;
use sol_volume_bot::types::{Command, EventKind};
use sol_volume_bot::venue::binance_spot::trade::FrameKind;

use super::desk::*;

/// A session that may be silent for four seconds, ready.
fn watched() -> Desk {
    let mut desk = Desk::with(hmac(), Vec::new(), 4_000 * MS);
    desk.open();
    desk.settle();
    assert!(desk.session.is_ready());
    desk.forget();
    desk
}

fn states(desk: &Desk) -> Vec<StreamState> {
    let state = |kind: &EventKind| match kind {
        EventKind::Stream(state) => Some(*state),
        _ => None,
    };
    desk.events.iter().filter_map(|event| state(&event.kind)).collect()
}

#[test]
fn a_connection_whose_clock_answers_twice_not_at_all_is_dead() {
    let mut desk = Desk::ready(hmac());
    assert_eq!(desk.timer(30_000), FrameKind::Control);
    assert_eq!(desk.timer(3_000), FrameKind::Control);
    assert_eq!(desk.timer(3_000), FrameKind::Reset);
}

#[test]
fn a_quiet_account_is_asked_for_the_time_twice_within_its_limit_and_is_not_stale() {
    let mut desk = watched();
    let mut asked = 0;
    for _ in 0..600 {
        assert_eq!(desk.timer(100), FrameKind::Control);
        asked += desk.sent.iter().filter(|sent| sent["method"] == "time").count();
        desk.settle();
    }
    assert!((29..=31).contains(&asked), "a round each two seconds of a minute: {asked}");
    assert_eq!(states(&desk), []);
}

#[test]
fn a_session_that_hears_only_nonsense_is_stale_after_its_limit_and_is_dropped() {
    let mut desk = watched();
    for _ in 0..40 {
        assert_eq!(desk.timer(100), FrameKind::Control);
        assert!(desk.raw(b"{\"id\":").is_err());
    }
    assert_eq!(states(&desk), []);
    assert_eq!(desk.timer(1), FrameKind::Reset);
    assert_eq!(states(&desk), [StreamState::Stale]);
    desk.down();
    assert_eq!(states(&desk), [StreamState::Stale, StreamState::Down]);
    // The next connection begins anew, however long ago the last word was.
    desk.now += 60_000 * MS;
    desk.open();
    assert_eq!(desk.timer(2_900), FrameKind::Control);
}

#[test]
fn our_own_absence_is_no_silence_of_the_venue() {
    let mut desk = watched();
    assert_eq!(desk.timer(30_300), FrameKind::Control, "the process was frozen: the venue was not asked");
    assert_eq!(states(&desk), []);
    desk.settle();
    for _ in 0..39 {
        desk.timer(100);
        desk.session.did_not_listen(sol_volume_bot::types::Time(desk.now)); // no room for what it says
    }
    assert_eq!(states(&desk), []);
}

#[test]
fn a_ban_in_which_nothing_may_be_asked_is_no_silence_of_the_venue() {
    let mut desk = watched();
    let request = desk.send(Command::Place(buy("1.5")));
    desk.refuse(&request, 418, -1003, "Way too much request weight used; IP banned.");
    for _ in 0..119 {
        assert_eq!(desk.timer(1_000), FrameKind::Control);
    }
    desk.asked();
    desk.timer(1_000);
    let asked = desk.asked();
    let clock = asked.iter().find(|sent| sent["method"] == "time").expect("the ban is over: it asks again");
    assert_eq!(desk.timer(2_900), FrameKind::Control, "the silence is counted from here");
    desk.frame(&json!({"id": clock["id"], "status": 200, "result": {"serverTime": desk.now / MS}}));
    assert_eq!(desk.timer(2_900), FrameKind::Control);
}
