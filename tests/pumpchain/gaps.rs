//! What was not heard, and that it is said.

use super::desk::{HOUR, MINUTE, Rig, SECOND, SOL, START_S, at, price, sol_pool};
use sol_volume_bot::types::event::{SourceReason, SourceState};
use sol_volume_bot::venue::pumpchain::Venues;

#[test]
fn up_comes_with_the_first_trade_of_every_program_not_with_the_acks() {
    let mut rig = Rig::connected(Venues::CurveAndAmm);
    rig.pass(SECOND);
    assert!(rig.told.is_empty());
    rig.curve(SOL);
    assert!(rig.told.is_empty(), "PumpSwap is not heard yet");
    rig.amm(SOL, &[1; 32]);
    assert_eq!(rig.told, ["up"]);
}

#[test]
fn a_subscription_that_never_delivers_is_stale_after_ten_seconds() {
    let mut rig = Rig::connected(Venues::Curve);
    rig.pass(9 * SECOND);
    assert!(rig.told.is_empty());
    rig.pass(SECOND);
    assert_eq!(rig.told, ["stale"]);
    rig.pass(60 * SECOND);
    assert_eq!(rig.told, ["stale"], "once");
}

#[test]
fn whoever_lost_what_was_told_is_told_the_state_and_the_windows_again() {
    let mut rig = Rig::connected(Venues::Curve);
    rig.tell_again();
    assert!(rig.told.is_empty(), "nothing was told yet");
    rig.curve(SOL);
    rig.pass(SECOND);
    let samples = rig.samples.len();
    rig.tell_again();
    rig.pass(SECOND);
    assert_eq!((rig.told.join(" "), rig.samples.len()), ("up up".to_owned(), samples + 1));
}

#[test]
fn silence_is_a_gap_from_the_last_data_to_the_first_after_it() {
    let mut rig = Rig::connected(Venues::Curve);
    rig.curve(SOL);
    rig.pass(10 * SECOND);
    rig.curve(SOL);
    assert_eq!((rig.told.as_slice(), rig.bucket().gap_ms), (&["up".to_owned()][..], 0), "ten seconds are no silence");
    rig.pass(30 * SECOND);
    assert_eq!(rig.bucket().gap_ms, 30_000, "said while it lasts");
    rig.curve(SOL);
    assert_eq!((rig.told.join(" "), rig.bucket().gap_ms), ("up stale gap up".to_owned(), 30_000));
}

#[test]
fn the_silence_of_one_program_is_a_gap_though_the_other_is_heard() {
    let mut rig = Rig::connected(Venues::CurveAndAmm);
    rig.amm(1, &[1; 32]);
    rig.answer_pools(sol_pool);
    for _ in 0..12 {
        rig.curve(1);
        rig.pass(5 * SECOND);
    }
    assert_eq!((rig.told.join(" "), rig.bucket().gap_ms), ("up stale".to_owned(), 60_000));
    rig.curve(1);
    rig.amm(1, &[1; 32]);
    assert_eq!((rig.told.join(" "), rig.bucket().gap_ms), ("up stale gap up".to_owned(), 60_000));
}

#[test]
fn both_programs_silent_at_once_are_one_gap_not_two() {
    let mut rig = Rig::connected(Venues::CurveAndAmm);
    rig.amm(1, &[1; 32]);
    rig.answer_pools(sol_pool);
    rig.pass(3 * SECOND);
    rig.curve(1);
    rig.pass(40 * SECOND);
    rig.curve(1);
    rig.pass(2 * SECOND);
    rig.amm(1, &[1; 32]);
    assert_eq!(rig.bucket().gap_ms, 45_000, "from the earlier of the last to the later of the first");
}

#[test]
fn a_lost_connection_is_a_gap_however_short_unless_another_one_goes_on() {
    let mut rig = Rig::connected(Venues::Curve);
    rig.curve(SOL);
    rig.connect(2);
    rig.drop(1);
    rig.pass(2 * SECOND);
    assert_eq!((rig.told.join(" "), rig.bucket().gap_ms), ("up".to_owned(), 0));
    rig.connect(1);
    rig.drop(2);
    rig.curve(SOL);
    rig.drop(1);
    rig.pass(2 * SECOND);
    rig.connect(1);
    rig.pass(SECOND);
    rig.curve(SOL);
    assert_eq!((rig.told.join(" "), rig.bucket().gap_ms), ("up down gap up".to_owned(), 3_000));
}

#[test]
fn time_before_the_first_data_is_a_gap_of_the_first_bucket() {
    let mut rig = Rig::new(Venues::Curve);
    rig.pass(70 * SECOND);
    rig.connect(1);
    rig.pass(5 * SECOND);
    rig.session.on_mid(price("150"), rig.now);
    rig.curve(SOL);
    assert_eq!(rig.bucket().gap_ms, 75_000);
    rig.live(3 * MINUTE);
    assert_eq!(rig.bucket().gap_ms, 75_000);
}

#[test]
fn a_trade_at_a_time_without_a_price_is_lost() {
    let mut rig = Rig::connected(Venues::Curve);
    rig.curve(SOL);
    for _ in 0..48 {
        rig.pass(5 * SECOND);
        rig.curve(SOL);
    }
    let bucket = rig.bucket();
    assert_eq!((bucket.trades, bucket.lost), (36, 13), "a price stands for its minute and the two after it");
    assert_eq!(bucket.sol.0, 36 * 1_000_000_000, "SOL and USD tell of the same trades");
    assert!(bucket.is_gappy());
}

#[test]
fn samples_come_with_every_bucket_and_every_minute_and_warm_up_for_48_hours() {
    let mut rig = Rig::connected(Venues::Curve);
    rig.live(11 * MINUTE);
    assert!((10..=14).contains(&rig.samples.len()), "{}", rig.samples.len());
    let ends: Vec<i64> = rig.samples.iter().map(|sample| (sample.bucket_end.0 / SECOND - START_S) / 300).collect();
    assert!(ends.is_sorted() && ends.contains(&1) && ends.last() == Some(&2), "{ends:?}");
    for sample in &rig.samples {
        assert_eq!((sample.state, sample.reason), (SourceState::Missing, SourceReason::WarmingUp));
    }
    rig.drop(1);
    let sample = rig.session.sample(rig.now);
    assert_eq!((sample.state, sample.reason), (SourceState::Down, SourceReason::NoAnswer));
}

#[test]
fn a_broken_frame_is_lost_data() {
    let mut rig = Rig::connected(Venues::Curve);
    (0..96).for_each(|_| rig.curve(1));
    assert!(rig.feed_to(1, r#"{"method":"logsNotification","params":{"#).is_err());
    assert_eq!((rig.bucket().lost, rig.bucket().missing_ms()), (4, 12_000));
    assert_eq!(rig.session.buckets().get(at(START_S + 300)), None);
    rig.live(HOUR);
    assert!(rig.session.buckets().get(at(START_S + 300)).is_some_and(|bucket| !bucket.is_gappy()));
}
