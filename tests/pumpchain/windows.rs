//! The two windows: exact sums, gaps, restarts, bounded memory.

use std::collections::BTreeMap;

use num_bigint::BigInt;

use super::counting::allocations;
use super::desk::{
    CURVE, HOUR, MINUTE, Rig, SECOND, SOL, START_S, at, called, curve_event, data, frame, price, sol_pool,
};
use serde_json::Value;
use sol_volume_bot::types::chain::VolumeBucket;
use sol_volume_bot::types::event::{SourceReason, SourceState, VolumeSample};
use sol_volume_bot::types::{Notional, Price, Qty, Time};
use sol_volume_bot::venue::pumpchain::buckets::{Amount, Buckets, Counted, SETTLE_NS};
use sol_volume_bot::venue::pumpchain::trade_event::Quote;
use sol_volume_bot::venue::pumpchain::{ChainSession, Program, Settings, Venues};

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;
/// The moment at which the buckets up to the start are complete.
const EVALUATED: Time = Time(START_S * SECOND + SETTLE_NS);

/// SplitMix64: the same numbers each run.
struct Dice(u64);
impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % end
    }
}

fn count(buckets: &mut Buckets, quote: Quote, atoms: u64, at_s: i64) {
    let amount = Amount { quote, atoms, at_s };
    assert_eq!(buckets.count(amount, at(at_s + 1), Time::NONE), Counted::Counted);
}

/// 48 hours of buckets at one price, each of the newer day worth `newer` of SOL and USDC, of the older day `older`.
fn two_days(sol_price: &str, older: [u64; 2], newer: [u64; 2]) -> Buckets {
    let mut buckets = Buckets::new();
    for second in (START_S - 2 * DAY_S..START_S).step_by(300) {
        let [lamports, usdc] = if second < START_S - DAY_S { older } else { newer };
        buckets.on_mid(price(sol_price), at(second));
        buckets.touch(at(second));
        count(&mut buckets, Quote::Sol, lamports, second);
        count(&mut buckets, Quote::Usdc, usdc, second);
    }
    buckets
}

fn evaluated(buckets: &Buckets) -> VolumeSample {
    buckets.window(EVALUATED)
}

#[test]
fn a_drop_of_31_of_30_and_of_30_01_percent_come_out_to_the_cent() {
    for (newer, now) in [(34_500, "1490400000"), (35_000, "1512000000"), (34_995, "1511784000")] {
        let sample = evaluated(&two_days("150", [50_000 * SOL, 0], [newer * SOL, 0]));
        assert_eq!((sample.state, sample.reason), (SourceState::Ok, SourceReason::None));
        assert_eq!((sample.prev.to_string(), sample.now.to_string()), ("2160000000".into(), now.into()));
        assert_eq!(sample.bucket_end, at(START_S));
    }
}

#[test]
fn a_shift_from_sol_to_usdc_pairs_is_no_fall() {
    let sample = evaluated(&two_days("150", [100 * SOL, 0], [10 * SOL, 90 * 150_000_000]));
    assert_eq!((sample.now, sample.prev), (Notional(288 * 15_000 * 100_000_000), Notional(288 * 15_000 * 100_000_000)));
    assert_eq!((sample.now_sol, sample.prev_sol), (Qty(28_800_000_000_000), Qty(28_800_000_000_000)));
    assert_eq!(sample.state, SourceState::Ok);
}

#[test]
fn a_fall_of_sol_is_told_apart_from_a_fall_of_volume() {
    let mut buckets = Buckets::new();
    for second in (START_S - 2 * DAY_S..START_S).step_by(300) {
        buckets.on_mid(price(if second < START_S - DAY_S { "150" } else { "100" }), at(second));
        count(&mut buckets, Quote::Sol, SOL, second);
    }
    let sample = evaluated(&buckets);
    assert_eq!(sample.now.0 * 3, sample.prev.0 * 2);
    assert_eq!(sample.now_sol, sample.prev_sol);
}

#[test]
fn random_days_add_up_to_the_oracles_sums() {
    for seed in 0..8 {
        let mut dice = Dice(seed);
        let mut buckets = Buckets::new();
        let mut mids: BTreeMap<i64, Price> = BTreeMap::new();
        let (mut usd, mut sol) = ([BigInt::ZERO, BigInt::ZERO], [BigInt::ZERO, BigInt::ZERO]);
        for minute in (START_S - 2 * DAY_S) / 60..(START_S + 60) / 60 {
            let mid = Price(5_000_000_000 + dice.below(30_000_000_000) as i64);
            mids.insert(minute, mid);
            buckets.on_mid(mid, at(minute * 60));
            for _ in 0..dice.below(12) {
                let late_s = dice.below(590) as i64;
                let now_s = minute * 60 + dice.below(60) as i64;
                let at_s = (now_s - late_s).max(START_S - 2 * DAY_S);
                let quote = if dice.below(3) == 0 { Quote::Usdc } else { Quote::Sol };
                let digits = 1 + dice.below(12) as u32;
                let atoms = 1 + dice.below(10_u64.pow(digits));
                let amount = Amount { quote, atoms, at_s };
                assert_eq!(buckets.count(amount, at(now_s), Time::NONE), Counted::Counted);
                let mid = BigInt::from(mids[&(at_s / 60)].0);
                if at_s < START_S {
                    let window = usize::from(at_s < START_S - DAY_S);
                    let (value, coins) = match quote {
                        Quote::Sol => (BigInt::from(atoms) * mid, BigInt::from(atoms)),
                        _ => {
                            (BigInt::from(atoms) * 100_000_000_000_u64, BigInt::from(atoms) * 100_000_000_000_u64 / mid)
                        }
                    };
                    usd[window] += value;
                    sol[window] += coins;
                }
            }
        }
        let sample = evaluated(&buckets);
        let usd = usd.map(|e17| e17 / 1_000_000_000);
        assert_eq!([BigInt::from(sample.now.0), BigInt::from(sample.prev.0)], usd, "seed {seed}");
        assert_eq!([BigInt::from(sample.now_sol.0), BigInt::from(sample.prev_sol.0)], sol, "seed {seed}");
    }
}

#[test]
fn more_than_two_percent_of_either_window_unheard_is_not_actionable() {
    for window_start in [START_S - DAY_S, START_S - 2 * DAY_S] {
        let mut buckets = two_days("150", [SOL, 1], [SOL, 1]);
        buckets.silent(at(window_start + 100), at(window_start + 100 + 1_728));
        assert_eq!(evaluated(&buckets).state, SourceState::Ok, "28 minutes and 48 seconds are 2 %");
        buckets.silent(at(window_start + 100), at(window_start + 100 + 1_729));
        let sample = evaluated(&buckets);
        assert_eq!((sample.state, sample.reason), (SourceState::Suspect, SourceReason::Gappy));
        assert!(sample.now.0 > 0 && sample.prev.0 > 0, "the numbers are told all the same");
    }
}

#[test]
fn a_second_of_silence_counts_once_however_often_it_is_noted() {
    let mut buckets = two_days("150", [SOL, 1], [SOL, 1]);
    for _ in 0..3 {
        buckets.silent(at(START_S - 100), at(START_S - 50));
        buckets.silent(Time((START_S - 60) * SECOND + 1), Time((START_S - 40) * SECOND + 1));
    }
    assert_eq!(buckets.missing_ms(EVALUATED), [61_000, 0], "every second touched");
}

#[test]
fn a_bucket_of_nobody_is_a_gap_and_48_hours_are_warm_up() {
    let mut buckets = Buckets::new();
    let (mut states, begin) = (BTreeMap::new(), START_S - 2 * DAY_S);
    for second in (begin..START_S + HOUR_S)
        .step_by(300)
        .filter(|second| !(0..2_100).contains(&(second - begin - DAY_S - 10 * HOUR_S)))
    {
        buckets.on_mid(price("150"), at(second));
        count(&mut buckets, Quote::Sol, SOL, second);
        let sample = buckets.window(at(second + 300).plus(SETTLE_NS));
        let since = states.entry(sample.reason.name()).or_insert(second + 300 - begin);
        assert!(*since <= second + 300 - begin);
    }
    let expected = BTreeMap::from([("warming_up", 300), ("gappy", 2 * DAY_S)]);
    assert_eq!(states, expected, "seven buckets of 288 are missing: 2.4 %");
}

#[test]
fn an_open_bucket_and_one_not_yet_settled_count_for_nothing() {
    let mut buckets = two_days("150", [SOL, 1], [SOL, 1]);
    let before = evaluated(&buckets);
    buckets.on_mid(price("150"), at(START_S));
    buckets.on_mid(price("150"), at(START_S - 1));
    count(&mut buckets, Quote::Sol, 1_000_000 * SOL, START_S);
    assert_eq!(evaluated(&buckets), before);
    assert_eq!(
        buckets.window(at(START_S + 300)).now,
        before.now,
        "it has ended, but its last trades may be on their way"
    );
    assert!(buckets.window(at(START_S + 300).plus(SETTLE_NS)).now > before.now);
    count(&mut buckets, Quote::Sol, SOL, START_S - 1);
    assert_eq!(evaluated(&buckets).now.0 - before.now.0, 15_000_000_000, "a late trade goes where it belongs");
}

#[test]
fn a_restart_goes_on_where_the_run_before_ended_and_the_time_between_is_a_gap() {
    let mut rig = Rig::connected(Venues::Curve);
    let mut kept: BTreeMap<i64, VolumeBucket> = BTreeMap::new();
    rig.live(21 * MINUTE);
    rig.curve(7 * SOL);
    let closed: Vec<VolumeBucket> = rig.session.take_closed(rig.now).collect();
    assert_eq!(closed.len(), 4);
    assert_eq!(rig.session.take_closed(rig.now).count(), 0, "each is told once");
    kept.extend(closed.into_iter().chain(rig.session.take_last(rig.now)).map(|bucket| (bucket.start.0, bucket)));
    assert_eq!(kept.len(), 5);
    let open = kept[&at(START_S + 1_200).0];
    assert_eq!((open.gap_ms, open.sol), (240_000, Qty(7_000_000_012)), "what was left of the open one was not heard");

    let mut next = Rig::new(Venues::Curve);
    next.now = rig.now.plus(15 * MINUTE);
    next.session.on_mid(price("150"), next.now);
    assert_eq!(next.session.restore(kept.values().copied(), next.now), 5);
    next.connect(1);
    next.live(10 * MINUTE);
    let get = |session: &ChainSession, second: i64| session.buckets().get(at(START_S + second));
    assert_eq!(get(&next.session, 1_200), Some(open));
    assert_eq!((get(&next.session, 1_500), get(&next.session, 1_800)), (None, None), "nobody was there");
    assert_eq!(get(&next.session, 2_100).map(|bucket| bucket.gap_ms), Some(60_000), "until the first trade");
    assert_eq!(get(&next.session, 2_400).map(|bucket| bucket.gap_ms), Some(0));
}

#[test]
fn a_restart_within_a_bucket_adds_to_it() {
    let mut rig = Rig::connected(Venues::Curve);
    rig.live(MINUTE);
    let kept: Vec<VolumeBucket> = rig.session.take_last(rig.now).collect();
    let mut next = Rig::new(Venues::Curve);
    next.now = rig.now.plus(5 * SECOND);
    assert_eq!(next.session.restore(kept, next.now), 1);
    next.connect(1);
    next.live(2 * MINUTE);
    assert_eq!(next.bucket().trades, 12 + 24);
    assert!(next.bucket().gap_ms >= 240_000, "{}", next.bucket().gap_ms);
}

#[test]
fn rows_that_cannot_be_are_not_restored() {
    let mut buckets = Buckets::new();
    let good = VolumeBucket {
        usd_e17: 5,
        ..VolumeBucket::empty(at(START_S), sol_volume_bot::types::chain::BucketSource::Counted)
    };
    let now = at(START_S + 10);
    assert!(buckets.restore(&good, now));
    for bad in [
        VolumeBucket { start: at(START_S + 1), ..good },
        VolumeBucket { start: at(START_S + 300), ..good },
        VolumeBucket { start: at(START_S - 600 * 300), ..good },
        VolumeBucket { usd_e17: -1, ..good },
        VolumeBucket { sol: Qty(-1), ..good },
    ] {
        assert!(!buckets.restore(&bad, now), "{bad:?}");
    }
}

#[test]
fn three_days_of_buckets_take_what_one_takes() {
    let mut buckets = Buckets::new();
    let bytes = buckets.bytes();
    let before = allocations();
    for second in (START_S..START_S + 3 * DAY_S).step_by(10) {
        buckets.on_mid(price("150"), at(second));
        count(&mut buckets, Quote::Sol, SOL, second);
        buckets.window(at(second));
    }
    assert_eq!((allocations() - before, buckets.bytes()), (0, bytes));
    assert!(bytes < 128 * 1024, "{bytes}");
    let session = ChainSession::new(Settings::default());
    assert!(session.bytes() < 13 << 20, "{}", session.bytes());
}

#[test]
fn frames_allocate_nothing_after_the_start() {
    let mut rig = Rig::connected(Venues::CurveAndAmm);
    rig.amm(1, &[1; 32]);
    rig.answer_pools(sol_pool);
    let frames: Vec<String> = (0..1_000)
        .map(|number| {
            let mut logs = called(CURVE, &[data(&curve_event(START_S, SOL, &[0; 32], 0))]);
            logs.push("Program log: \"escaped\"".to_owned());
            if number % 3 == 0 {
                logs =
                    called(super::desk::AMM, &[data(&super::desk::amm_event(START_S, SOL, &[(number % 5) as u8; 32]))]);
            }
            let program = if number % 3 == 0 { Program::Amm } else { Program::Curve };
            frame(program, &rig.signature(), Value::Null, &logs)
        })
        .collect();
    let before = allocations();
    for text in &frames {
        let taken = rig.session.on_frame(1, text.as_bytes(), rig.now, &mut |_| {});
        assert!(taken.is_ok());
    }
    rig.session.on_timer(rig.now.plus(HOUR), &mut |_| {});
    assert_eq!(allocations() - before, 0);
    assert_eq!(rig.session.counters().notifications, 1_001);
    assert!(rig.session.counters().trades >= 666);
}
