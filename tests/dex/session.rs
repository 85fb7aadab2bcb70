//! The account's session: what it wants, when it is up, stale, without a book, down.

use super::counting::allocations;
use super::desk::{ACK, answer, kinds, narrow, notice, notice_of, opened, owned_by, s, settings, vector};
use sol_volume_bot::types::event::{DexBook, StreamState};
use sol_volume_bot::types::time::NANOS_PER_SEC;
use sol_volume_bot::types::{EventKind, Price, Time};
use sol_volume_bot::venue::manifest::{AccountError, DexSession, FrameKind};

fn push(session: &mut DexSession, frame: &[u8], at: Time) -> (Result<FrameKind, AccountError>, Vec<EventKind>) {
    let mut result = Ok(FrameKind::Control);
    let events = kinds(|emit| result = session.on_frame(1, frame, at, &mut |event| emit(event)));
    (result, events)
}

fn fetched(session: &mut DexSession, body: &[u8], at: Time) -> (Result<(), AccountError>, Vec<EventKind>) {
    let mut result = Ok(());
    let events = kinds(|emit| result = session.on_snapshot(body, at, &mut |event| emit(event)));
    (result, events)
}

fn timer(session: &mut DexSession, at: Time) -> Vec<EventKind> {
    kinds(|emit| session.on_timer(at, &mut |event| emit(event)))
}

/// Slots and bids of the books among `events`, and how many other events there are.
fn books(events: &[EventKind]) -> Vec<(u64, String)> {
    let book = |kind: &EventKind| if let EventKind::Dex(book) = kind { Some(*book) } else { None };
    events.iter().filter_map(book).map(|book: DexBook| (book.slot, book.bid.to_string())).collect()
}

const UP: EventKind = EventKind::Stream(StreamState::Up);
const STALE: EventKind = EventKind::Stream(StreamState::Stale);
const GAP: EventKind = EventKind::Stream(StreamState::Gap);
const DOWN: EventKind = EventKind::Stream(StreamState::Down);

#[test]
fn it_subscribes_and_fetches_at_once_and_the_ack_is_no_sign_of_life() {
    let mut session = DexSession::new(settings());
    assert_eq!(session.snapshot_wanted(s(0)), None, "nothing is connected");
    let mut sent = Vec::new();
    session.on_open(1, s(0), &mut |text| sent.push(String::from_utf8_lossy(text).into_owned()));
    assert_eq!(
        sent,
        [
            r#"{"jsonrpc":"2.0","id":41,"method":"accountSubscribe","params":["ENhU8LsaR7vDD2G1CsWcsuSGNrih9Cv5WZEk7q9kPapQ",{"encoding":"base64","commitment":"processed"}]}"#
        ]
    );
    let wanted = session.snapshot_wanted(s(0)).expect("a fetch").to_owned();
    assert!(wanted.contains(r#""method":"getAccountInfo","params":["ENhU8"#), "{wanted}");
    assert_eq!(session.snapshot_wanted(s(1)), None, "one fetch at a time");
    assert_eq!(push(&mut session, ACK, s(1)), (Ok(FrameKind::Control), vec![]));
    assert_eq!(session.state(), None);
    let (result, events) = fetched(&mut session, &answer(500, &vector()), s(2));
    assert_eq!((result, events[0], books(&events)), (Ok(()), UP, vec![(500, "142.36".to_owned())]));
    assert_eq!(session.levels().map(|levels| levels.bids.levels().len()), Some(2));
}

#[test]
fn a_push_replaces_the_book_and_only_a_change_or_a_while_is_told() {
    let mut session = opened();
    let (result, events) = push(&mut session, &notice(10, &narrow("142", "143")), s(1));
    assert_eq!((result, events.len(), books(&events).len()), (Ok(FrameKind::Data), 2, 1));
    assert_eq!(push(&mut session, &notice(11, &narrow("142", "143")), s(2)).1, vec![]);
    let changed = push(&mut session, &notice(12, &narrow("142.5", "143")), s(3)).1;
    assert_eq!((changed.len(), books(&changed)), (1, vec![(12, "142.5".to_owned())]));
    let same = push(&mut session, &notice(13, &narrow("142.5", "143")), s(8)).1;
    assert_eq!(books(&same), vec![(13, "142.5".to_owned())], "told again: it is known to be fresh");
}

#[test]
fn earlier_slots_are_passed_over_until_the_high_one_proves_wrong() {
    let mut session = opened();
    push(&mut session, &notice(1_000, &narrow("142", "143")), s(1)).0.expect("taken");
    assert_eq!(push(&mut session, &notice(999, &narrow("150", "151")), s(2)).1, vec![]);
    assert_eq!(session.levels().map(|levels| levels.slot), Some(1_000));
    push(&mut session, &notice(u64::MAX / 2, &narrow("142", "143")), s(3)).0.expect("taken");
    let told: Vec<u64> = (0..40)
        .flat_map(|at| books(&push(&mut session, &notice(1_001 + at, &narrow("144", "145")), s(4)).1))
        .map(|(slot, _)| slot)
        .collect();
    assert_eq!(told, [1_033], "the 33rd in a row");
}

#[test]
fn of_one_slot_a_push_is_the_last_word_whatever_a_fetch_saw() {
    let mut session = opened();
    session.snapshot_wanted(s(0)).expect("a fetch");
    push(&mut session, &notice(10, &narrow("142.5", "143")), s(1)).0.expect("taken");
    let (result, events) = fetched(&mut session, &answer(10, &narrow("142", "143")), s(2));
    assert_eq!((result, events), (Ok(()), vec![]));
    assert_eq!(
        session.levels().and_then(|levels| levels.bids.best()).map(|best| best.price),
        Some(Price(14_250_000_000))
    );
    session.snapshot_wanted(s(7)).expect("a refresh");
    assert_eq!(books(&fetched(&mut session, &answer(11, &narrow("142", "143")), s(7)).1), [(11, "142".to_owned())]);
}

#[test]
fn a_frozen_account_stays_up_by_refresh_and_is_stale_by_slots_not_by_silence() {
    let mut session = opened();
    let mut told = 0;
    for second in 0..300 {
        let slot = 1_000 + 5 * second as u64;
        if session.snapshot_wanted(s(second)).is_some() {
            let (result, events) = fetched(&mut session, &answer(slot, &narrow("142", "143")), s(second));
            told += books(&events).len();
            assert_eq!(result, Ok(()));
        }
        assert_eq!(kinds(|emit| session.on_slot(slot, s(second), &mut |event| emit(event))), vec![]);
        assert_eq!(timer(&mut session, s(second)), vec![]);
    }
    assert_eq!((told, session.state()), (60, Some(StreamState::Up)));
    // The node goes on answering, but stands still.
    let lagging = kinds(|emit| session.on_slot(1_475 + 1_000 + 51, s(300), &mut |event| emit(event)));
    assert_eq!(lagging, [STALE]);
    session.snapshot_wanted(s(300)).expect("a refresh");
    assert_eq!(fetched(&mut session, &answer(2_475, &narrow("142", "143")), s(300)), (Ok(()), vec![]));
    assert_eq!(timer(&mut session, s(400)), vec![], "told once");
    session.snapshot_wanted(s(400)).expect("a refresh");
    let (_, back) = fetched(&mut session, &answer(2_526, &narrow("142", "143")), s(400));
    assert_eq!((back[0], books(&back).len()), (UP, 1));
}

#[test]
fn a_lag_of_exactly_the_limit_is_fresh() {
    let mut session = opened();
    push(&mut session, &notice(1_000, &narrow("142", "143")), s(1)).0.expect("taken");
    assert_eq!(kinds(|emit| session.on_slot(1_050, s(1), &mut |event| emit(event))), vec![]);
    assert_eq!(kinds(|emit| session.on_slot(1_051, s(1), &mut |event| emit(event))), [STALE]);
    let (result, events) = push(&mut session, &notice(1_000, &narrow("142.1", "143")), s(2));
    assert_eq!((result, events), (Ok(FrameKind::Data), vec![]), "behind is not up, and no book is told");
}

#[test]
fn no_answer_at_all_is_stale_once_also_before_the_first_one() {
    let mut session = opened();
    assert_eq!(timer(&mut session, s(19)), vec![]);
    assert_eq!(timer(&mut session, s(20)), [STALE]);
    assert_eq!(timer(&mut session, s(40)), vec![]);
    assert_eq!(push(&mut session, &notice(10, &narrow("142", "143")), s(41)).1[0], UP);
    assert_eq!(timer(&mut session, s(60)), vec![]);
    assert_eq!(timer(&mut session, s(61)), [STALE]);
}

#[test]
fn a_hostile_account_leaves_no_book_and_is_asked_for_again() {
    let mut session = opened();
    session.snapshot_wanted(s(0)).expect("a fetch");
    fetched(&mut session, &answer(9, &narrow("142", "143")), s(1)).0.expect("taken");
    let mut hostile = vector();
    hostile[256] = 81;
    let (result, events) = push(&mut session, &notice(10, &hostile), s(2));
    assert_eq!((result, events), (Err(AccountError::BadLink { at: 256 }), vec![GAP]));
    assert_eq!((session.levels(), session.state()), (None, Some(StreamState::Gap)));
    assert_eq!(push(&mut session, &notice(11, &hostile), s(2)).1, vec![], "told once");
    assert_eq!(session.snapshot_wanted(s(2)), None);
    session.snapshot_wanted(s(3)).expect("a fetch sooner than the refresh");
    let (result, events) = fetched(&mut session, &answer(12, &vector()), s(3));
    assert_eq!((result, events[0], books(&events).len()), (Ok(()), UP, 1));
}

#[test]
fn an_absent_account_another_owner_and_another_market_say_so() {
    let mut session = opened();
    let null = push(&mut session, &notice_of(10, "null", 7), s(1));
    assert_eq!(null, (Err(AccountError::Absent), vec![GAP]));
    let stranger = owned_by("11111111111111111111111111111111", &vector());
    assert_eq!(push(&mut session, &notice_of(11, &stranger, 7), s(1)).0, Err(AccountError::WrongOwner));
    let mut other = vector();
    other[20] ^= 1;
    let text = push(&mut session, &notice(12, &other), s(1)).0.expect_err("another mint").to_string();
    assert_eq!(text, "the market's base mint is not the configured one, byte 16: another market's address?");
    let packed = format!(r#"{{"data":["AA==","base64+zstd"],"owner":"{}"}}"#, settings().program);
    assert!(matches!(push(&mut session, &notice_of(13, &packed, 7), s(1)).0, Err(AccountError::NotBase64 { .. })));
    assert!(matches!(push(&mut session, b"<html>", s(1)).0, Err(AccountError::Frame(_))));
}

#[test]
fn a_refused_subscription_resets_and_strangers_are_left_alone() {
    let mut session = opened();
    let refusal = |id: u64| format!(r#"{{"jsonrpc":"2.0","error":{{"code":-32601,"message":"no"}},"id":{id}}}"#);
    assert_eq!(push(&mut session, refusal(41).as_bytes(), s(1)), (Ok(FrameKind::Reset), vec![]));
    assert_eq!(push(&mut session, refusal(1).as_bytes(), s(1)), (Ok(FrameKind::Control), vec![]));
    let other = notice_of(10, &owned_by("x", &[1, 2, 3]), 8);
    assert_eq!(push(&mut session, &other, s(1)), (Ok(FrameKind::Control), vec![]), "another subscription's account");
    let slot = br#"{"jsonrpc":"2.0","method":"slotNotification","params":{"result":{"parent":1,"root":0,"slot":2},"subscription":1}}"#;
    assert_eq!(push(&mut session, slot, s(1)), (Ok(FrameKind::Control), vec![]));
    let unknown = session.on_frame(9, &notice(10, &vector()), s(1), &mut |event| panic!("{event:?}"));
    assert_eq!(unknown, Ok(FrameKind::Control), "a connection that is not open");
}

#[test]
fn a_reconnect_fetches_anew_and_an_answer_of_the_old_connection_is_not_enough() {
    let mut session = opened();
    session.snapshot_wanted(s(0)).expect("a fetch");
    fetched(&mut session, &answer(10, &narrow("142", "143")), s(1)).0.expect("taken");
    assert_eq!(session.snapshot_wanted(s(5)), None);
    session.snapshot_wanted(s(6)).expect("the refresh");
    let down = kinds(|emit| session.on_down(1, s(7), &mut |event| emit(event)));
    assert_eq!((down, session.levels()), (vec![DOWN], None));
    assert_eq!(fetched(&mut session, &answer(11, &narrow("142", "143")), s(7)), (Ok(()), vec![]), "nothing is open");
    assert_eq!(session.snapshot_wanted(s(8)), None);
    session.on_open(2, s(9), &mut |_| {});
    session.snapshot_wanted(s(9)).expect("a fetch at once");
    session.on_open(3, s(10), &mut |_| {});
    let (_, events) = fetched(&mut session, &answer(12, &narrow("142", "143")), s(10));
    assert_eq!((events[0], books(&events)), (UP, vec![(12, "142".to_owned())]));
    session.snapshot_wanted(s(10)).expect("connection 3 opened meanwhile: its own fetch is owed");
    assert_eq!(kinds(|emit| session.on_down(2, s(11), &mut |event| emit(event))), vec![], "one is left");
}

#[test]
fn fetches_that_fail_are_tried_again_after_a_pause_and_change_nothing() {
    let mut session = opened();
    push(&mut session, &notice(10, &narrow("142", "143")), s(0)).0.expect("taken");
    session.snapshot_wanted(s(0)).expect("a fetch");
    session.on_snapshot_failed(s(1));
    assert_eq!(session.snapshot_wanted(s(1)), None);
    session.snapshot_wanted(s(2)).expect("a second try");
    let sick = br#"{"jsonrpc":"2.0","error":{"code":-32005,"message":"Node is behind by 42 slots"},"id":42}"#;
    assert_eq!(fetched(&mut session, sick, s(3)), (Err(AccountError::Refused { code: -32_005 }), vec![]));
    assert_eq!(session.state(), Some(StreamState::Up));
    session.snapshot_wanted(s(4)).expect("a third try");
    assert_eq!(session.snapshot_wanted(Time(14 * NANOS_PER_SEC - 1)), None);
    session.snapshot_wanted(s(14)).expect("an answer that never came is given up");
}

#[test]
fn accounts_are_taken_without_allocating_once_the_buffer_has_their_size() {
    let mut session = opened();
    let frames: Vec<Vec<u8>> = (10..20).map(|slot| notice(slot, &narrow(&format!("142.{slot}"), "143"))).collect();
    push(&mut session, &frames[0], s(1)).0.expect("taken");
    let (before, mut told) = (allocations(), 0);
    for frame in &frames[1..] {
        let kind = session.on_frame(1, frame, s(2), &mut |_| told += 1);
        assert_eq!(kind, Ok(FrameKind::Data));
    }
    assert_eq!((allocations() - before, told), (0, 9));
}

#[test]
fn a_frame_that_cannot_be_read_is_answered_by_a_fetch_for_what_it_may_have_said() {
    let mut session = opened();
    session.snapshot_wanted(s(0)).expect("a fetch");
    fetched(&mut session, &answer(10, &narrow("142", "143")), s(1)).0.expect("taken");
    assert_eq!(session.snapshot_wanted(s(2)), None);
    let cut = notice(11, &narrow("150", "151"));
    assert!(
        matches!(push(&mut session, &cut[..cut.len() - 9], s(3)), (Err(AccountError::Frame(_)), events) if events.is_empty())
    );
    assert!(session.snapshot_wanted(s(3)).is_some());
}
