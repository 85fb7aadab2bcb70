//! Frames cut, changed and made of noise: a value or an error with its byte, never a panic, never a false trade.

use super::desk::{AMM, CURVE, Rig, SECOND, SOL, START_S, curve_event, data, frame, sol_pool};
use super::frames::texts;
use proptest::prelude::*;
use serde_json::Value;
use sol_volume_bot::venue::pumpchain::logs::Walker;
use sol_volume_bot::venue::pumpchain::trade_event::{EventBuf, trade};
use sol_volume_bot::venue::pumpchain::{Program, USDC, Venues};

#[test]
fn a_frame_cut_anywhere_is_an_error_and_counts_no_trade() {
    for text in texts() {
        for end in 0..text.len() {
            let mut rig = CUT.with(Clone::clone);
            assert!(rig.on_frame(1, &text.as_bytes()[..end], super::desk::at(START_S), &mut |_| {}).is_err());
            assert_eq!(rig.counters().trades, 0);
        }
    }
}

thread_local! {
    /// A small session, subscribed: copied for each cut.
    static CUT: sol_volume_bot::venue::pumpchain::ChainSession = {
        let settings = sol_volume_bot::venue::pumpchain::Settings { dedupe_slots: 64, ..Default::default() };
        let mut session = sol_volume_bot::venue::pumpchain::ChainSession::new(settings);
        session.on_open(1, super::desk::at(START_S), &mut |_| {});
        session
    };
}

#[test]
fn every_byte_of_a_frame_may_be_another_one() {
    let mut rig = Rig::connected(Venues::CurveAndAmm);
    for text in texts() {
        let mut bytes = text.into_bytes();
        for at in 0..bytes.len() {
            let kept = bytes[at];
            for byte in [0, b'"', b'\\', b'{', b'}', b'[', b']', b',', b' ', b'0', b'9', b'z', 0x7f, 0xff] {
                bytes[at] = byte;
                if let Err(error) = rig.session.on_frame(1, &bytes, rig.now, &mut |_| {}) {
                    assert!(error.at().is_none_or(|at| at <= bytes.len()), "{error:?}");
                }
            }
            bytes[at] = kept;
        }
        rig.answer_pools(sol_pool);
    }
    rig.pass(SECOND);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), at in 0_usize..2_000) {
        let _ = trade(Program::Curve, &bytes);
        let _ = trade(Program::Amm, &bytes);
        let _ = EventBuf::default().trade(Program::Curve, &bytes);
        let _ = Walker::new().walk(&bytes, at.min(bytes.len()), CURVE.as_bytes(), &mut |_| {});
    }

    #[test]
    fn a_tail_of_noise_gives_an_amount_or_an_error(tail in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut event = curve_event(START_S, SOL, &USDC, 7);
        event.truncate(258);
        event.extend(tail);
        let _ = trade(Program::Curve, &event);
    }

    #[test]
    fn random_base64_in_the_programs_own_lines_is_survived(
        lines in proptest::collection::vec("[A-Za-z0-9+/=]{0,600}", 1..4),
        prefix in prop_oneof![Just("vdt/007mYe"), Just("Z/RSHyz1d3"), Just("Pi83CqUD3C"), Just("")],
    ) {
        let mut rig = Rig::connected(Venues::CurveAndAmm);
        let lines: Vec<String> = lines.iter().map(|line| format!("Program data: {prefix}{line}")).collect();
        rig.transaction(Program::Curve, &lines);
        rig.transaction(Program::Amm, &lines);
        prop_assert_eq!(rig.session.counters().notifications, 2);
    }

    /// Whatever lines others write around it, only what stands in the program's own frame counts.
    #[test]
    fn logs_of_random_calls_count_exactly_the_programs_own_lines(
        steps in proptest::collection::vec((0_u8..4, 0_usize..3), 0..60),
    ) {
        let names = [CURVE, super::desk::OTHER, AMM];
        let mut rig = Rig::connected(Venues::Curve);
        let (mut lines, mut stack, mut own) = (Vec::new(), Vec::<usize>::new(), 0_u64);
        for (step, who) in steps {
            match step {
                0 if stack.len() < 9 => {
                    stack.push(who);
                    lines.push(format!("Program {} invoke [{}]", names[who], stack.len()));
                }
                1 => if let Some(top) = stack.pop() {
                    lines.push(format!("Program {} success", names[top]));
                },
                2 => lines.push(format!("Program log: Program {} invoke [{}]", names[who], stack.len() + 1)),
                _ => {
                    lines.push(data(&curve_event(START_S, SOL, &[0; 32], 0)));
                    own += u64::from(stack.last() == Some(&0));
                }
            }
        }
        while let Some(top) = stack.pop() {
            lines.push(format!("Program {} success", names[top]));
        }
        let signature = rig.signature();
        rig.feed(&frame(Program::Curve, &signature, Value::Null, &lines));
        prop_assert_eq!((rig.session.counters().trades, rig.session.counters().distrusted), (own, 0));
    }
}
