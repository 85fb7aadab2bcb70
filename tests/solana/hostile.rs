//! Frames cut or changed anywhere: a value or an error, never a panic, and the session goes on.

use super::desk::{Desk, frame_on};
use super::pubsub::{ACCOUNT, LOGS};
use proptest::prelude::*;
use sol_volume_bot::types::Time;
use sol_volume_bot::venue::DecodeError;
use sol_volume_bot::venue::solana::rpc::answer;
use sol_volume_bot::venue::solana::subscribe::{Frame, Subscriptions, Topic, frame};

/// Every reader there is looks at the bytes.
fn read_all_ways(desk: &mut Desk, bytes: &[u8]) {
    let at = Time(1);
    let _ = desk.session.on_frame(0, 1, bytes, at, &mut |_| {});
    match frame(bytes) {
        Ok(Frame::Logs(_, note)) => drop(note.each_line(|_| {})),
        Ok(Frame::Account(_, note)) => {
            let mut data = Vec::new();
            let _ = note.account.map(|account| account.data.decode_into(&mut data));
        }
        Ok(answer) => {
            let mut asked = Subscriptions::default();
            asked.ask(1, 1, &Topic::Slots, &mut Vec::new());
            asked.on_answer(1, &answer);
        }
        Err(_) => {}
    }
    for status in [200, 500] {
        if let Ok(answer) = answer(status, None, bytes) {
            let _ = (answer.slot(), answer.health(), answer.sampled_time(), answer.account());
            let _ = answer.accounts(|_, _| {});
        }
    }
}

#[test]
fn frames_cut_at_every_byte_are_errors() {
    let mut desk = Desk::open(1);
    for whole in [frame_on(405_112_233, 405_112_232).as_slice(), ACCOUNT, LOGS] {
        for at in 0..whole.len() {
            let told = desk.session.on_frame(0, 1, &whole[..at], Time(1), &mut |event| panic!("{event:?}"));
            assert!(told.is_err() && frame(&whole[..at]).is_err(), "cut at {at}");
        }
    }
}

#[test]
fn a_frame_longer_than_any_slot_is_not_looked_at() {
    let mut desk = Desk::open(1);
    let long = vec![b'['; 64 * 1024 + 1];
    let told = desk.session.on_frame(0, 1, &long, Time(1), &mut |_| {});
    assert_eq!(told, Err(DecodeError::TooLong { got: 64 * 1024 + 1 }));
}

proptest! {
    #[test]
    fn changed_frames_never_panic(
        which in 0_usize..5,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let slot = frame_on(405_112_233, 405_112_232);
        let samples = br#"{"jsonrpc":"2.0","result":[{"numSlots":171,"samplePeriodSecs":60,"slot":348125}],"id":1}"#;
        let refusal = br#"{"jsonrpc":"2.0","error":{"code":-32005,"message":"m","data":{"numSlotsBehind":42}},"id":1}"#;
        let mut bytes = [slot.as_slice(), ACCOUNT, LOGS, samples, refusal][which].to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read_all_ways(&mut Desk::open(2), &bytes);
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read_all_ways(&mut Desk::open(2), &bytes);
    }

    #[test]
    fn any_story_of_two_endpoints_keeps_the_stream_sane(
        story in proptest::collection::vec((0_usize..3, 0_usize..2, 0_u64..40, 0_i64..3_000), 1..300),
    ) {
        let mut desk = Desk::open(2);
        let mut at_ms = 0;
        for (what, endpoint, slot, wait_ms) in story {
            at_ms += wait_ms;
            match what {
                0 => desk.drop(endpoint, 1, at_ms),
                1 => desk.connect(endpoint, 1, at_ms),
                _ => drop(desk.hear(endpoint, 1_000 + slot + at_ms as u64 / 400, at_ms)),
            }
            desk.tick(at_ms);
        }
        let states = desk.states();
        prop_assert!(states.windows(2).all(|pair| pair[0] != pair[1]), "told twice: {:?}", states);
    }
}
