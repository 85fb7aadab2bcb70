//! Hours of another hand beside ours: believed together only where both were seen to count alike.

use super::desk::{Rig, START_S, at, price};
use sol_volume_bot::types::chain::{BucketSource, VolumeBucket};
use sol_volume_bot::types::event::{SourceReason, SourceState};
use sol_volume_bot::types::{Notional, Price, Qty, Time};
use sol_volume_bot::venue::pumpchain::Venues;
use sol_volume_bot::venue::pumpchain::backfill::HourRow;

const HOUR_S: i64 = 3_600;
/// 18:00 of the start's day.
const FULL_S: i64 = START_S - 1_800;
/// What a bucket of ours holds, USD: 12 M an hour.
const OURS_USD: i64 = 1_000_000;
const ALIKE: Option<(SourceState, SourceReason)> = None;
const APART: Option<(SourceState, SourceReason)> = Some((SourceState::Suspect, SourceReason::TwoHands));

fn at_150(_: Time) -> Option<Price> {
    Some(price("150"))
}

/// Of `usd` an hour, hours ago before 18:00.
fn row(ago: i64, usd: i64) -> HourRow {
    row_before(FULL_S, ago, usd)
}

fn row_before(end_s: i64, ago: i64, usd: i64) -> HourRow {
    HourRow { start: at(end_s - ago * HOUR_S), span_s: HOUR_S, usd: Notional(usd * 100_000_000), trades: 12 }
}

/// Two whole days up to 18:00: the newest `own` hours are ours, the others told by Bitquery at `theirs` USD an hour.
fn mixed(own: i64, theirs: i64) -> Rig {
    let mut rig = Rig::connected(Venues::Curve);
    two_days(&mut rig, FULL_S, own, theirs);
    rig
}

/// The same up to any full hour; it is 20 minutes past, and we are heard.
fn two_days(rig: &mut Rig, end_s: i64, own: i64, theirs: i64) {
    let ours = |number: i64| VolumeBucket {
        sol_value: Qty(OURS_USD / 150 * 1_000_000_000),
        usd_e17: i128::from(OURS_USD) * 100_000_000_000_000_000,
        trades: 1,
        ..VolumeBucket::empty(at(end_s - own * HOUR_S + number * 300), BucketSource::Counted)
    };
    rig.now = at(end_s + 20 * 60);
    assert_eq!(rig.session.restore((0..own * 12 + 4).map(ours), rig.now) as i64, own * 12 + 4);
    let rows: Vec<HourRow> = (own + 1..=49).map(|ago| row_before(end_s, ago, theirs)).collect();
    rig.session.on_backfill(BucketSource::Bitquery, &rows, rig.now, at_150);
    rig.connect(1);
    rig.curve(5);
}

/// What is wrong with the windows; `ALIKE` = nothing.
fn judged(rig: &Rig) -> Option<(SourceState, SourceReason)> {
    let sample = rig.session.sample(rig.now);
    (sample.state != SourceState::Ok).then_some((sample.state, sample.reason))
}

#[test]
fn a_few_hours_of_ours_beside_two_days_of_theirs_may_be_mixed_and_more_only_with_proof() {
    for (own, expected) in
        [(0, ALIKE), (1, ALIKE), (2, ALIKE), (3, APART), (24, APART), (45, APART), (46, ALIKE), (48, ALIKE)]
    {
        assert_eq!(judged(&mixed(own, 12_000_000)), expected, "{own} hours of ours");
    }
}

#[test]
fn a_hand_that_counts_twice_as_much_feigns_no_slump() {
    // Our day is worth 12 M an hour; the day before, told by a hand that counts twice as much, 24 M: a fall of half.
    let mut rig = mixed(24, 24_000_000);
    let sample = rig.session.sample(rig.now);
    assert!(sample.now.0 * 100 < sample.prev.0 * 70, "it looks like a slump");
    assert_eq!(judged(&rig), APART);
    let rows = [row(2, 24_000_000), row(3, 24_000_000), row(4, 24_000_000)];
    rig.session.on_backfill(BucketSource::Bitquery, &rows, rig.now, at_150);
    assert_eq!(judged(&rig), APART, "both were heard, and they count differently");
}

#[test]
fn hours_that_both_counted_alike_prove_the_other_hand() {
    for (theirs, expected) in [
        (12_000_000, ALIKE),
        (13_190_000, ALIKE),
        (13_200_000, APART), // by a tenth
        (10_910_000, ALIKE),
        (10_909_000, APART),
        (0, APART),
    ] {
        let mut rig = mixed(24, 12_000_000);
        assert_eq!(rig.session.backfill_wanted(rig.now), Some((at(FULL_S - 4 * HOUR_S), at(FULL_S - HOUR_S))));
        rig.session.on_backfill(BucketSource::Bitquery, &[row(2, theirs)], rig.now, at_150);
        assert_eq!(judged(&rig), APART, "one hour is no proof");
        assert!(rig.session.backfill_wanted(rig.now).is_some());
        rig.session.on_backfill(BucketSource::Bitquery, &[row(3, theirs), row(4, theirs)], rig.now, at_150);
        assert_eq!(judged(&rig), expected, "{theirs}");
        assert_eq!(rig.session.backfill_wanted(rig.now), None, "three hours are enough");
    }
}

#[test]
fn only_whole_hours_of_ours_are_compared_and_none_is_asked_for_where_all_is_ours() {
    let mut rig = mixed(24, 12_000_000);
    let five_minutes = HourRow { span_s: 300, ..row(2, 12_000_000) };
    let between = HourRow { start: at(FULL_S - 2 * HOUR_S - 300), ..row(2, 12_000_000) };
    let of_theirs = [row(30, 12_000_000), row(31, 12_000_000)];
    for rows in [[five_minutes, five_minutes], [between, between], of_theirs, [row(2, 12_000_000), row(2, 12_000_000)]]
    {
        rig.session.on_backfill(BucketSource::Bitquery, &rows, rig.now, at_150);
        assert_eq!(judged(&rig), APART, "{rows:?}");
    }
    assert_eq!(mixed(48, 0).session.backfill_wanted(at(FULL_S + 20 * 60)), None);
}

#[test]
fn an_agreement_lasts_no_longer_than_its_hours_and_a_disagreement_is_looked_at_again() {
    let mut rig = mixed(24, 12_000_000);
    rig.session.on_backfill(BucketSource::Bitquery, &[row(2, 12_000_000), row(3, 12_000_000)], rig.now, at_150);
    assert_eq!(judged(&rig), ALIKE);
    rig.session.on_backfill(BucketSource::Dune, &[row(4, 12_000_000)], rig.now, at_150);
    assert_eq!(judged(&rig), APART, "another hand has proven nothing yet");

    // Told too low while the other hand was still indexing; three hours later it is asked about newer ones.
    let mut rig = mixed(24, 12_000_000);
    let low = [row(2, 9_000_000), row(3, 9_000_000), row(4, 9_000_000)];
    rig.session.on_backfill(BucketSource::Bitquery, &low, rig.now, at_150);
    assert_eq!(judged(&rig), APART);
    assert_eq!(rig.session.backfill_wanted(rig.now), None, "nothing new to ask about");
    rig.now = rig.now.plus(HOUR_S * 1_000_000_000);
    let wanted = rig.session.backfill_wanted(rig.now).expect("the hour after them");
    assert!(wanted.1 >= at(FULL_S), "{wanted:?}");

    // Ten days later the same hand fills in again: what it proved then proves nothing now.
    let mut rig = mixed(24, 12_000_000);
    rig.session.on_backfill(BucketSource::Bitquery, &[row(2, 12_000_000), row(3, 12_000_000)], rig.now, at_150);
    rig.now = at(FULL_S + 240 * HOUR_S);
    rig.connect(1);
    rig.curve(5); // what was not heard meanwhile is noted
    two_days(&mut rig, FULL_S + 240 * HOUR_S, 24, 8_000_000);
    assert_eq!(judged(&rig), APART);
    assert!(rig.session.backfill_wanted(rig.now).is_some());
}
