//! Several endpoints at once: who wins, who is named, whom to believe.

use super::desk::{Desk, MS};
use sol_volume_bot::types::event::StreamState;
use sol_volume_bot::venue::solana::{SlotSession, SlotSettings, Trouble};

/// Both endpoints in step for `count` slots from 1000 at 400 ms each, endpoint 1 `late_ms` after endpoint 0.
fn in_step(desk: &mut Desk, count: u64, late_ms: i64) -> (u64, i64) {
    for number in 0..count {
        let at_ms = 400 * number as i64;
        assert_eq!(desk.hear(0, 1_000 + number, at_ms), [1_000 + number]);
        assert!(desk.hear(1, 1_000 + number, at_ms + late_ms).is_empty());
    }
    (1_000 + count, 400 * count as i64)
}

#[test]
fn the_first_endpoint_to_report_a_slot_wins_and_each_slot_is_told_once_and_at_once() {
    let mut desk = Desk::open(2);
    for number in 0..20_u64 {
        let (first, second) = if number % 3 == 0 { (1, 0) } else { (0, 1) };
        assert_eq!(desk.hear(first, 1_000 + number, 400 * number as i64), [1_000 + number]);
        assert!(desk.hear(second, 1_000 + number, 400 * number as i64 + 7).is_empty());
    }
    let wins = |endpoint| desk.session.endpoint(endpoint).expect("it is there").wins;
    assert_eq!((wins(0), wins(1)), (13, 7));
    assert_eq!(desk.session.endpoint(2), None);
    assert_eq!(desk.states(), [StreamState::Up]);
}

#[test]
fn lag_is_measured_in_slots_and_in_time() {
    let mut desk = Desk::open(2);
    in_step(&mut desk, 50, 30);
    let standing = desk.session.endpoint(1).expect("it is there");
    assert_eq!((standing.behind_slots, standing.behind_ns), (0, 30 * MS));
    assert_eq!(desk.session.endpoint(0).expect("it is there").behind_ns, 0);
    assert!(desk.notes().is_empty());
}

#[test]
fn a_laggard_is_named_once_and_named_again_when_it_has_caught_up() {
    let mut desk = Desk::open(2);
    let (next, at_ms) = in_step(&mut desk, 30, 10);
    for number in 0..60 {
        desk.hear(0, next + number, at_ms + 400 * number as i64);
        if number >= 12 {
            desk.hear(1, next + number - 12, at_ms + 400 * number as i64 + 10);
        }
        desk.tick(at_ms + 400 * number as i64 + 20);
    }
    let notes = desk.raw_notes();
    let told: Vec<_> = notes.iter().map(|note| (note.endpoint, note.trouble, note.began)).collect();
    // It stood still for 12 slots first, which is a silence of its own.
    assert_eq!(
        told,
        [(1, Trouble::Silent, true), (1, Trouble::Silent, false), (1, Trouble::Lagging, true)],
        "{notes:?}"
    );
    assert_eq!(desk.session.lagging().collect::<Vec<_>>(), [1]);
    for number in 60..120 {
        desk.hear(0, next + number, at_ms + 400 * number as i64);
        desk.hear(1, next + number, at_ms + 400 * number as i64 + 10);
    }
    let notes = desk.raw_notes();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].to_string().starts_with("slot endpoint 1 has caught up: "), "{}", notes[0]);
    assert_eq!((notes[0].trouble, notes[0].began, desk.session.lagging().count()), (Trouble::Lagging, false, 0));
    assert_eq!(desk.states(), [StreamState::Up], "the stream never noticed");
}

#[test]
fn an_endpoint_two_seconds_late_is_named_though_it_is_few_slots_behind() {
    let mut desk = Desk::open(2);
    for number in 0..20_u64 {
        let at_ms = 400 * number as i64;
        desk.hear(0, 1_000 + number, at_ms);
        if number >= 6 {
            desk.hear(1, 1_000 + number - 6, at_ms + 10);
        }
    }
    assert_eq!(desk.session.lagging().collect::<Vec<_>>(), [1], "6 slots and 2.4 s behind");
}

#[test]
fn the_limits_of_a_lag_can_be_set() {
    let settings = SlotSettings { endpoints: 2, lag_slots_max: 2, ..SlotSettings::default() };
    let mut desk = Desk::open(2);
    desk.session = SlotSession::with(settings);
    (0..2).for_each(|endpoint| desk.connect(endpoint, 1, 0));
    for number in 0..20_u64 {
        desk.hear(0, 1_000 + number, 400 * number as i64);
        desk.hear(1, 997 + number, 400 * number as i64 + 1);
    }
    assert_eq!(desk.session.lagging().collect::<Vec<_>>(), [1]);
}

#[test]
fn a_silent_endpoint_is_named_while_the_other_keeps_the_stream_up() {
    let mut desk = Desk::open(2);
    let (next, at_ms) = in_step(&mut desk, 30, 10);
    for number in 0..30 {
        desk.hear(0, next + number, at_ms + 400 * number as i64);
        desk.tick(at_ms + 400 * number as i64);
    }
    assert_eq!(desk.notes(), ["slot endpoint 1 is silent"]);
    assert_eq!(desk.session.in_trouble(Trouble::Silent).collect::<Vec<_>>(), [1]);
    desk.hear(1, next + 29, at_ms + 400 * 29 + 5);
    assert_eq!(desk.notes(), ["slot endpoint 1 speaks again"]);
    assert_eq!(desk.states(), [StreamState::Up]);
}

#[test]
fn an_endpoint_that_repeats_one_slot_for_ever_is_silent() {
    let mut desk = Desk::open(2);
    let (next, at_ms) = in_step(&mut desk, 10, 10);
    for number in 0..20 {
        desk.hear(0, next + number, at_ms + 400 * number as i64);
        desk.hear(1, next - 1, at_ms + 400 * number as i64 + 1);
        desk.tick(at_ms + 400 * number as i64 + 2);
    }
    assert_eq!(desk.session.in_trouble(Trouble::Silent).collect::<Vec<_>>(), [1]);
}

#[test]
fn the_stream_is_down_only_with_the_last_endpoint_and_up_only_with_a_fresh_slot() {
    let mut desk = Desk::open(2);
    let (next, at_ms) = in_step(&mut desk, 10, 10);
    desk.drop(0, 1, at_ms);
    assert_eq!((desk.states(), desk.notes()), (vec![StreamState::Up], vec!["slot endpoint 0 is down".to_owned()]));
    assert_eq!(desk.hear(1, next, at_ms + 50), [next], "the other goes on at once");
    desk.drop(1, 1, at_ms + 100);
    assert_eq!(desk.states(), [StreamState::Up, StreamState::Down]);
    desk.connect(0, 2, at_ms + 200);
    desk.hear(0, next, at_ms + 250);
    assert_eq!(desk.states(), [StreamState::Up, StreamState::Down], "an old slot is no sign of life");
    desk.hear(0, next + 1, at_ms + 300);
    assert_eq!(desk.states(), [StreamState::Up, StreamState::Down, StreamState::Up]);
    assert_eq!(desk.notes(), ["slot endpoint 1 is down", "slot endpoint 0 delivers again"]);
}

#[test]
fn a_poisoned_endpoint_does_not_capture_the_stream() {
    let mut desk = Desk::open(2);
    let (next, at_ms) = in_step(&mut desk, 30, 10);
    for number in 0..200_u64 {
        let at_ms = at_ms + 400 * number as i64;
        assert!(desk.hear(1, 1_000_000 + next + number, at_ms - 1).is_empty());
        assert_eq!(desk.hear(0, next + number, at_ms), [next + number]);
        desk.tick(at_ms + 1);
    }
    assert_eq!(desk.notes(), ["slot endpoint 1 reports slots that cannot be yet"]);
    assert_eq!(desk.session.endpoint(1).expect("it is there").doubted, 200);
    assert_eq!((desk.states(), desk.session.slot_ns()), (vec![StreamState::Up], Some(400 * MS)));
    assert!(desk.hear(1, next + 199, at_ms + 400 * 200).is_empty());
    assert_eq!(desk.notes(), ["slot endpoint 1 is believed again"]);
}

#[test]
fn a_far_slot_is_believed_when_another_endpoint_confirms_it() {
    let mut desk = Desk::open(3);
    let (next, at_ms) = in_step(&mut desk, 30, 10);
    let far = next + 1_000_000;
    assert!(desk.hear(1, far, at_ms).is_empty());
    assert_eq!(desk.hear(2, far + 1, at_ms + 5), [far + 1]);
    assert_eq!(desk.hear(1, far + 2, at_ms + 400), [far + 2]);
    assert!(desk.hear(0, next, at_ms + 410).is_empty());
}

#[test]
fn a_far_slot_is_believed_when_it_persists_and_nobody_carries_the_old_line_on() {
    let mut desk = Desk::open(2);
    let (next, at_ms) = in_step(&mut desk, 30, 10);
    desk.drop(0, 1, at_ms);
    let far = next + 1_000_000;
    let taken: Vec<u64> = (0..40).flat_map(|number| desk.hear(1, far + number, at_ms + 400 * number as i64)).collect();
    assert_eq!(taken, (far + 32..far + 40).collect::<Vec<u64>>());
}

#[test]
fn a_jump_that_the_elapsed_time_allows_is_believed_at_once() {
    let mut desk = Desk::open(2);
    let (next, at_ms) = in_step(&mut desk, 30, 10);
    assert_eq!(desk.hear(1, next + 149, at_ms), [next + 149]);
    let an_hour = 3_600_000;
    assert_eq!(desk.hear(0, next + 149 + 9_000, at_ms + an_hour), [next + 149 + 9_000]);
}

#[test]
fn a_poisoned_endpoint_that_speaks_first_loses_the_stream_to_the_others() {
    let mut desk = Desk::open(3);
    let poisoned = 5_000_000;
    assert_eq!(desk.hear(2, poisoned, 0), [poisoned], "nothing is known yet");
    let mut taken = Vec::new();
    for number in 0..10_u64 {
        let at_ms = 400 * number as i64;
        desk.hear(2, poisoned + number, at_ms);
        taken.extend(desk.hear(0, 1_000 + number, at_ms + 1));
        taken.extend(desk.hear(1, 1_000 + number, at_ms + 2));
    }
    assert_eq!(taken, (1_002..1_010).collect::<Vec<u64>>());
    // One against one: the higher line gives way too, for no laggard is so far behind.
    let mut desk = Desk::open(2);
    let mut taken = Vec::new();
    for number in 0..60_u64 {
        let at_ms = 400 * number as i64;
        desk.hear(1, poisoned + number, at_ms);
        taken.extend(desk.hear(0, 1_000 + number, at_ms + 1));
    }
    assert_eq!(taken, (1_032..1_060).collect::<Vec<u64>>());
}

#[test]
fn a_node_a_thousand_slots_behind_does_not_take_the_stream_from_the_one_that_leads() {
    let mut desk = Desk::open(2);
    for number in 0..100_u64 {
        let at_ms = 400 * number as i64;
        assert_eq!(desk.hear(0, 50_000 + number, at_ms), [50_000 + number]);
        assert!(desk.hear(1, 49_000 + number, at_ms + 1).is_empty());
    }
    assert_eq!(desk.session.lagging().collect::<Vec<_>>(), [1]);
}

#[test]
fn notes_that_nobody_takes_do_not_grow() {
    let mut desk = Desk::open(2);
    let (next, at_ms) = in_step(&mut desk, 10, 10);
    for number in 0..100_u64 {
        desk.drop(1, 1, at_ms + number as i64);
        desk.connect(1, 1, at_ms + number as i64);
        desk.hear(1, next + number, at_ms + 400 * number as i64);
    }
    let notes = desk.notes();
    assert_eq!(notes.len(), 32);
    assert_eq!(notes[31], "slot endpoint 1 delivers again");
}
