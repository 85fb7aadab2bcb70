//! Whose events count, and how often.

use super::desk::{
    AMM, CURVE, OTHER, Rig, SECOND, SOL, START_S, amm_event, called, curve_event, data, frame, sol_pool,
};
use serde_json::{Value, json};
use sol_volume_bot::types::Qty;
use sol_volume_bot::venue::pumpchain::session::FrameKind;
use sol_volume_bot::venue::pumpchain::{Program, USDC, Venues, WSOL};

#[test]
fn a_look_alike_never_counts_whoever_prints_it_and_wherever() {
    let mut rig = Rig::connected(Venues::Curve);
    let forged = data(&curve_event(START_S, 1_000 * SOL, &[0; 32], 0));
    let line = |text: &str| text.to_owned();
    let logs: [Vec<String>; 6] = [
        called(OTHER, std::slice::from_ref(&forged)),
        called(AMM, std::slice::from_ref(&forged)),
        [vec![forged.clone()], called(CURVE, &[]), vec![forged.clone()]].concat(),
        // a program that is called by the real one
        called(CURVE, &[format!("Program {OTHER} invoke [3]"), forged.clone(), format!("Program {OTHER} success")]),
        // text of a program that imitates the runtime
        called(
            OTHER,
            &[format!("Program log: Program {CURVE} invoke [3]"), line("Program log: invoke [3]"), forged.clone()],
        ),
        called(OTHER, &[format!("Program log: \nProgram {CURVE} invoke [3]\n{forged}")]),
    ];
    for logs in logs {
        let signature = rig.signature();
        rig.feed(&frame(Program::Curve, &signature, Value::Null, &logs));
    }
    assert_eq!((rig.session.counters().trades, rig.session.counters().distrusted), (0, 0));
    assert!(rig.session.buckets().get(super::desk::at(START_S)).is_none_or(|bucket| bucket.usd_e17 == 0));
    rig.curve(SOL);
    assert_eq!((rig.session.counters().trades, rig.bucket().sol), (1, Qty(1_000_000_000)));
}

#[test]
fn what_follows_a_broken_stack_is_left_out_and_counted_as_lost() {
    let mut rig = Rig::connected(Venues::Curve);
    let event = data(&curve_event(START_S, SOL, &[0; 32], 0));
    let broken = [format!("Program {OTHER} success"), event.clone()];
    rig.transaction(Program::Curve, &[&[event], broken.as_slice()].concat());
    let bucket = rig.bucket();
    assert_eq!((rig.session.counters().distrusted, bucket.trades, bucket.sol), (1, 1, Qty(1_000_000_000)));
    assert!(bucket.lost > 0 && bucket.is_gappy());
}

#[test]
fn a_failed_transaction_traded_nothing_whatever_its_log_says() {
    let mut rig = Rig::connected(Venues::Curve);
    let logs = called(CURVE, &[data(&curve_event(START_S, SOL, &[0; 32], 0))]);
    for err in [json!({"InstructionError": [2, {"Custom": 6001}]}), json!("AccountInUse")] {
        let signature = rig.signature();
        rig.feed(&frame(Program::Curve, &signature, err, &logs));
    }
    assert_eq!((rig.session.counters().failed, rig.session.counters().trades), (2, 0));
}

#[test]
fn a_repeated_transaction_counts_once_through_one_or_two_endpoints() {
    let mut rig = Rig::connected(Venues::Curve);
    rig.connect(2);
    let logs =
        called(CURVE, &[data(&curve_event(START_S, SOL, &[0; 32], 0)), data(&curve_event(START_S, SOL, &[0; 32], 0))]);
    let text = frame(Program::Curve, &rig.signature(), Value::Null, &logs);
    rig.feed(&text);
    rig.feed(&text);
    assert_eq!(rig.feed_to(2, &text), Ok(FrameKind::Data));
    rig.drop(1);
    rig.pass(5 * SECOND);
    rig.connect(1);
    rig.feed(&text);
    assert_eq!((rig.session.counters().trades, rig.session.counters().duplicates), (2, 3));
    assert_eq!(rig.bucket().sol, Qty(2_000_000_000), "two trades of one transaction are two trades");
}

#[test]
fn a_transaction_of_both_programs_is_told_twice_and_each_trade_counts_once() {
    let mut rig = Rig::connected(Venues::CurveAndAmm);
    rig.amm(1, &[9; 32]);
    rig.answer_pools(sol_pool);
    let curve = called(CURVE, &[data(&curve_event(START_S, 3 * SOL, &[0; 32], 0))]);
    let amm = called(AMM, &[data(&amm_event(START_S, 5 * SOL, &[9; 32]))]);
    let logs = [curve, amm].concat();
    let signature = rig.signature();
    for _ in 0..2 {
        rig.feed(&frame(Program::Curve, &signature, Value::Null, &logs));
        rig.feed(&frame(Program::Amm, &signature, Value::Null, &logs));
    }
    assert_eq!((rig.bucket().sol, rig.bucket().trades), (Qty(8_000_000_001), 3));
    assert_eq!(rig.session.counters().duplicates, 2);
}

#[test]
fn old_events_told_again_do_not_count_and_do_not_pass_for_life() {
    let mut rig = Rig::connected(Venues::Curve);
    rig.curve(SOL);
    assert_eq!(rig.told, ["up"]);
    for back in 0..80 {
        let replayed = curve_event(START_S - 601 - back, 1_000 * SOL, &[0; 32], 0);
        rig.transaction(Program::Curve, &[data(&replayed)]);
        rig.pass(SECOND);
    }
    assert_eq!((rig.session.counters().odd, rig.bucket().sol), (80, Qty(1_000_000_000)));
    assert_eq!(rig.told, ["up", "stale"], "frames come, but none of now");
    assert_eq!(rig.bucket().gap_ms, 80_000, "and none of that time was heard");
    let ahead = curve_event(rig.second() + 121, SOL, &[0; 32], 0);
    rig.transaction(Program::Curve, &[data(&ahead)]);
    assert_eq!((rig.session.counters().odd, rig.session.counters().trades), (81, 1));
}

#[test]
fn a_cut_log_makes_the_bucket_gappy() {
    let mut rig = Rig::connected(Venues::Curve);
    let event = data(&curve_event(START_S, SOL, &[0; 32], 0));
    let mut logs = called(CURVE, &[event.clone(), "Log truncated".to_owned(), event]);
    let signature = rig.signature();
    rig.feed(&frame(Program::Curve, &signature, Value::Null, &logs));
    logs.truncate(9);
    let signature = rig.signature();
    rig.feed(&frame(Program::Curve, &signature, Value::Null, &logs));
    assert_eq!((rig.session.counters().truncated, rig.session.counters().trades), (2, 2));
    assert!(rig.bucket().is_gappy() && !rig.bucket().is_whole());
    let without = frame(Program::Curve, &rig.signature(), Value::Null, &[]).replace(r#""logs":[]"#, r#""logs":null"#);
    rig.feed(&without);
    assert_eq!(rig.session.counters().truncated, 3);
}

#[test]
fn the_share_of_lost_trades_is_the_share_of_missing_time() {
    let mut rig = Rig::connected(Venues::Curve);
    (0..396).for_each(|_| rig.curve(1));
    assert_eq!(rig.bucket().missing_ms(), 0);
    rig.transaction(Program::Curve, &["Log truncated".to_owned()]);
    assert_eq!((rig.bucket().lost, rig.bucket().missing_ms()), (4, 3_000), "four of 400 trades: 1 % of five minutes");
}

#[test]
fn trades_of_a_pool_wait_until_its_currency_is_known() {
    let mut rig = Rig::connected(Venues::CurveAndAmm);
    let pools = [[1; 32], [2; 32], [3; 32], [4; 32]];
    pools.iter().for_each(|pool| rig.amm(150_000_000, pool));
    assert_eq!((rig.session.waiting(), rig.session.counters().trades), (4, 0));
    let coin = [5; 32];
    let quote_of = |key: &[u8; 32]| match key[0] {
        1 => Some((coin, WSOL)),
        2 => Some((coin, USDC)),
        3 => Some((coin, [6; 32])),
        _ => Some((WSOL, coin)),
    };
    assert_eq!(rig.answer_pools(quote_of), 4);
    let (bucket, counters) = (rig.bucket(), *rig.session.counters());
    assert_eq!((bucket.sol, bucket.usdc_e6), (Qty(150_000_000), 150_000_000), "0.15 SOL and 150 USDC");
    assert_eq!((counters.trades, counters.other_quote, counters.odd_pools), (2, 1, 1));
    rig.amm(850_000_000, &pools[0]);
    assert_eq!((rig.bucket().sol, rig.session.waiting()), (Qty(1_000_000_000), 0), "known now");
    assert!(!rig.bucket().is_gappy());
}

#[test]
fn a_pool_that_nobody_knows_of_costs_its_trades_after_a_minute_and_says_so() {
    let mut rig = Rig::connected(Venues::CurveAndAmm);
    rig.amm(SOL, &[1; 32]);
    for _ in 0..13 {
        rig.curve(1);
        rig.amm(1, &[2; 32]);
        assert!(rig.answer_pools(|key| if key[0] == 1 { None } else { sol_pool(key) }) < 2);
        rig.pass(5 * SECOND);
    }
    assert_eq!((rig.session.counters().unresolved, rig.session.waiting()), (1, 0));
    assert_eq!((rig.bucket().lost, rig.bucket().trades), (1, 26));
    assert!(rig.bucket().is_gappy());
}

#[test]
fn amounts_beyond_all_reason_do_not_count() {
    let mut rig = Rig::connected(Venues::Curve);
    rig.curve(u64::MAX);
    rig.curve_usdc(u64::MAX);
    rig.curve(10_000_000 * SOL + 1);
    assert_eq!((rig.session.counters().odd, rig.session.counters().trades), (3, 0));
    let other = curve_event(START_S, SOL, &[7; 32], 77);
    rig.transaction(Program::Curve, &[data(&other)]);
    assert_eq!((rig.session.counters().other_quote, rig.session.counters().trades), (1, 0));
    rig.transaction(Program::Curve, &[data(&curve_event(START_S, SOL, &[0; 32], 0)[..60])]);
    assert_eq!((rig.session.counters().unreadable, rig.bucket().lost), (1, 1));
}

#[test]
fn a_notification_of_a_strange_subscription_counts_for_nobody() {
    let mut rig = Rig::connected(Venues::Curve);
    let logs = called(CURVE, &[data(&curve_event(START_S, SOL, &[0; 32], 0))]);
    let text = frame(Program::Curve, &rig.signature(), Value::Null, &logs);
    let strange = text.replace(r#""subscription":71"#, r#""subscription":99"#);
    assert_ne!(text, strange);
    assert_eq!(rig.feed_to(1, &strange), Ok(FrameKind::Control));
    assert_eq!(rig.feed_to(7, &text), Ok(FrameKind::Control), "a connection that was never opened");
    assert_eq!((rig.session.counters().strange, rig.session.counters().trades, rig.told.len()), (2, 0, 0));
    let refusal = r#"{"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params"},"id":1}"#;
    assert_eq!(rig.feed_to(1, refusal), Ok(FrameKind::Reset));
}
