//! Frames cut anywhere or too long, and any order of what endpoints do: an error, never a panic, and a sane stream.

use super::desk::{Desk, frame_on};
use super::frames::{ACCOUNT, LOGS};
use proptest::prelude::*;
use sol_volume_bot::types::Time;
use sol_volume_bot::venue::DecodeError;
use sol_volume_bot::venue::solana::subscribe::frame;

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
