//! One endpoint: health, order, the slot time and what is predicted from it.

use super::desk::{Desk, MS, frame_on, slots};
use sol_volume_bot::types::event::{Slot, StreamState};
use sol_volume_bot::types::{EventKind, Time};
use sol_volume_bot::venue::DecodeError;
use sol_volume_bot::venue::solana::{FrameKind, SlotSession};

fn raw(session: &mut SlotSession, frame: &[u8]) -> Result<FrameKind, DecodeError> {
    session.on_frame(0, 1, frame, Time(1), &mut |event| panic!("no news in this: {event:?}"))
}

#[test]
fn up_comes_with_the_first_slot_not_with_the_ack() {
    let mut desk = Desk::open(1);
    let ack = br#"{"jsonrpc":"2.0","result":23784,"id":1}"#;
    assert_eq!(raw(&mut desk.session, ack), Ok(FrameKind::Control));
    desk.hear(0, 400, 5);
    let slot = Slot { slot: 400, parent: 399, root: 368 };
    assert_eq!(desk.out, [EventKind::Stream(StreamState::Up), EventKind::Slot(slot)]);
}

#[test]
fn a_refused_subscription_resets_the_connection() {
    let refusal = br#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":1}"#;
    assert_eq!(raw(&mut Desk::open(1).session, refusal), Ok(FrameKind::Reset));
}

#[test]
fn repeated_and_earlier_slots_give_no_event_until_the_high_one_proves_wrong() {
    let mut desk = Desk::open(1);
    desk.hear(0, 1_000, 0);
    assert!(desk.hear(0, 1_000, 1).is_empty());
    assert!(desk.hear(0, 999, 2).is_empty());
    assert_eq!(desk.hear(0, 1_002, 400), [1_002]);
    assert_eq!(desk.hear(0, u64::MAX / 2, 600), [u64::MAX / 2], "one endpoint alone is believed");
    let taken: Vec<u64> = (0..40).flat_map(|i| desk.hear(0, 1_003 + i, 800 + i as i64)).collect();
    assert_eq!(taken, [1_035, 1_036, 1_037, 1_038, 1_039, 1_040, 1_041, 1_042]);
}

#[test]
fn slots_above_two_to_the_fifty_third_come_out_exact() {
    let mut desk = Desk::open(1);
    assert_eq!(desk.hear(0, 9_007_199_254_740_993, 0), [9_007_199_254_740_993]);
    assert_eq!(desk.hear(0, u64::MAX, 1), [u64::MAX]);
}

#[test]
fn the_slot_time_is_measured_over_skipped_slots_and_not_over_a_stall() {
    let mut desk = Desk::open(1);
    assert_eq!(desk.session.slot_ns(), None);
    let mut at_ms = 0;
    for slot in 0..200_u64 {
        at_ms += 214;
        desk.hear(0, 1_000 + slot, at_ms);
    }
    desk.hear(0, 1_203, at_ms + 4 * 214);
    assert_eq!(desk.session.slot_ns(), Some(214 * MS));
    desk.tick(at_ms + 60_000);
    desk.hear(0, 1_204, at_ms + 60_001);
    assert_eq!(desk.states(), [StreamState::Up, StreamState::Stale, StreamState::Up]);
    assert_eq!(desk.session.slot_ns(), Some(214 * MS));
}

#[test]
fn a_change_from_350_to_214_ms_is_followed_and_the_error_bar_opens_and_closes() {
    let mut desk = Desk::open(1);
    let (mut slot, mut at_ms) = (1_000, 0);
    let mut run = |desk: &mut Desk, count: u32, spacing_ms: i64| {
        for _ in 0..count {
            // Jitter that sums to nothing: each report is early or late by 30 ms in turn.
            let jitter_ms = if slot % 2 == 0 { 30 } else { 0 };
            desk.hear(0, slot, at_ms + jitter_ms);
            (slot, at_ms) = (slot + 1, at_ms + spacing_ms);
        }
        let time = *desk.session.slot_time();
        (time.mean_ns().expect("measured") / MS, time.deviation_ns() / MS)
    };
    let (mean, deviation) = run(&mut desk, 200, 350);
    assert!((348..=352).contains(&mean) && (25..=33).contains(&deviation), "{mean} +- {deviation}");
    let (mean, deviation) = run(&mut desk, 12, 214);
    assert!((240..=320).contains(&mean) && deviation > 40, "on its way: {mean} +- {deviation}");
    let (mean, deviation) = run(&mut desk, 120, 214);
    assert!((211..=217).contains(&mean) && (25..=34).contains(&deviation), "{mean} +- {deviation}");
}

#[test]
fn the_next_boundary_is_predicted_with_its_error_and_not_in_silence() {
    let mut desk = Desk::open(1);
    assert_eq!(desk.session.next_slot_at(Time(0)), None);
    for number in 0..100 {
        desk.hear(0, 1_000 + number, 214 * number as i64);
    }
    let newest_ms = 214 * 99;
    let next = desk.session.next_slot_at(Time((newest_ms + 10) * MS)).expect("measured");
    assert_eq!((next.at, next.ahead), (Time((newest_ms + 214) * MS), 1));
    let later = desk.session.next_slot_at(Time((newest_ms + 500) * MS)).expect("measured");
    assert_eq!((later.at, later.ahead), (Time((newest_ms + 3 * 214) * MS), 3));
    assert!(later.error_ns == 3 * next.error_ns && next.error_ns < MS, "{later:?}");
    assert_eq!(desk.session.next_slot_at(Time((newest_ms + 2_140) * MS)), None, "ten slot times of silence");
}

#[test]
fn the_nodes_own_count_serves_until_slots_are_measured_and_is_compared_ever_after() {
    let mut desk = Desk::open(1);
    desk.session.on_sampled_time(Some(300 * MS));
    assert_eq!((desk.session.silence_ns(), desk.session.slot_ns()), (3_000 * MS, None));
    assert_eq!(desk.session.slot_time().agrees(), None);
    for number in 0..200 {
        desk.hear(0, 1_000 + number, 214 * number as i64);
    }
    assert_eq!(desk.session.slot_time().agrees(), Some(false), "300 ms said, 214 ms measured");
    desk.session.on_sampled_time(Some(220 * MS));
    assert_eq!(desk.session.slot_time().agrees(), Some(true));
}

#[test]
fn silence_of_ten_slot_times_is_stale_once_and_the_next_slot_is_up() {
    let mut desk = Desk::open(1);
    desk.hear(0, 1_000, 0);
    desk.hear(0, 1_001, 350);
    desk.tick(350 + 3_499);
    assert_eq!(desk.states(), [StreamState::Up]);
    desk.tick(350 + 3_500);
    desk.tick(350 + 4_000);
    assert_eq!(desk.states(), [StreamState::Up, StreamState::Stale]);
    desk.hear(0, 1_012, 4_500);
    assert_eq!(desk.states(), [StreamState::Up, StreamState::Stale, StreamState::Up]);
}

#[test]
fn a_connection_that_never_delivers_is_stale_after_four_seconds() {
    let mut desk = Desk::open(1);
    desk.tick(3_999);
    assert!(desk.out.is_empty());
    desk.tick(4_000);
    assert_eq!(desk.states(), [StreamState::Stale]);
}

#[test]
fn down_comes_with_the_last_connection_of_a_roll_over() {
    let mut desk = Desk::open(1);
    desk.hear(0, 1_000, 0);
    desk.connect(0, 2, 1);
    desk.drop(0, 1, 2);
    assert_eq!(desk.states(), [StreamState::Up]);
    desk.drop(0, 2, 3);
    assert_eq!(desk.states(), [StreamState::Up, StreamState::Down]);
}

#[test]
fn a_roll_over_hears_each_slot_twice_and_tells_it_once() {
    let mut desk = Desk::open(1);
    desk.connect(0, 2, 0);
    let mut told = Vec::new();
    for number in 0..10 {
        let mut emit = |event: sol_volume_bot::types::Event| told.push(event.kind);
        let (frame, at) = (frame_on(1_000 + number, 999 + number), Time(400 * number as i64 * MS));
        desk.session.on_frame(0, 1, &frame, at, &mut emit).expect("a slot");
        desk.session.on_frame(0, 2, &frame, at.plus(MS), &mut emit).expect("a slot");
    }
    assert_eq!(slots(&told), (1_000..1_010).collect::<Vec<u64>>());
    assert_eq!(desk.session.ledger().regressions(), 0);
}

#[test]
fn other_notifications_are_left_alone_and_a_slot_without_its_result_is_an_error() {
    let mut session = Desk::open(1).session;
    let account = br#"{"jsonrpc":"2.0","method":"accountNotification","params":{"result":{"context":{"slot":4},"value":null},"subscription":1}}"#;
    assert_eq!(raw(&mut session, account), Ok(FrameKind::Control));
    let bare = br#"{"method":"slotNotification","params":{"subscription":1}}"#;
    assert_eq!(raw(&mut session, bare), Err(DecodeError::Missing { name: "result" }));
}
