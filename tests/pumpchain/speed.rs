//! How many notifications a second one core takes. Not run by default: a figure is worth something only optimised, alone.
//!
//! `cargo test --release --test pumpchain speed -- --ignored --nocapture`

use super::desk::{AMM, CURVE, OTHER, Rig, SOL, START_S, amm_event, called, curve_event, data, frame, sol_pool};
use serde_json::Value;
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::venue::pumpchain::{Program, Venues};

const FRAMES: u64 = 200_000;

/// A log as long as busy ones are: the same calls, four times as many lines.
fn long(program: &str, event: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    for number in 0..10 {
        lines.push(format!("Program {OTHER} invoke [3]"));
        lines.push(format!("Program log: Instruction: TransferChecked, amount {number}"));
        lines.push(format!("Program {OTHER} consumed 6238 of 168321 compute units"));
        lines.push(format!("Program {OTHER} success"));
    }
    lines.push(data(event));
    called(program, &lines)
}

#[test]
#[ignore = "a measurement"]
fn one_core_takes_far_more_notifications_than_the_chain_sends() {
    let mut rig = Rig::connected(Venues::CurveAndAmm);
    (0..5).for_each(|pool| rig.amm(1, &[pool; 32]));
    rig.answer_pools(sol_pool);
    let frames: Vec<String> = (0..FRAMES / 10)
        .map(|number| {
            let pool = [(number % 5) as u8; 32];
            let (program, logs) = match number % 2 {
                0 => (Program::Curve, long(CURVE, &curve_event(START_S, SOL, &[0; 32], 0))),
                _ => (Program::Amm, long(AMM, &amm_event(START_S, SOL, &pool))),
            };
            frame(program, &rig.signature(), Value::Null, &logs)
        })
        .collect();
    let bytes: usize = frames.iter().map(String::len).sum();
    let clock = Clock::start();
    for (what, rounds) in [("new", 1), ("repeated", 9)] {
        let from = clock.now();
        for _ in 0..rounds {
            for text in &frames {
                assert!(rig.session.on_frame(1, text.as_bytes(), rig.now, &mut |_| {}).is_ok());
            }
        }
        let took_ns = clock.now().since(from) / rounds;
        let rate = frames.len() as i64 * 1_000_000_000 / took_ns;
        println!(
            "{what}: {rate} frames/s of {} bytes, {} ns each",
            bytes / frames.len(),
            took_ns / frames.len() as i64
        );
        assert!(rate > 10_000);
    }
    assert_eq!(rig.session.counters().trades, FRAMES / 10 + 5);
}
