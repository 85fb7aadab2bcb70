//! Every rule of the decision, at its edges.

use sol_volume_bot::engine::signal::{Signal, SignalSetup};
use sol_volume_bot::types::decision::{Decision, Rule, Verdict};
use sol_volume_bot::types::event::{Candle, SourceState, StreamState, VolumeDefinition, VolumeSample};
use sol_volume_bot::types::record::ExitReason;
use sol_volume_bot::types::time::{NANOS_PER_DAY, NANOS_PER_SEC};
use sol_volume_bot::types::{Bps, Notional, Params, Price, Qty, Ratio, StreamId, Time, TimeInForce};

use crate::USD;

const HOUR_NS: i64 = 3_600 * NANOS_PER_SEC;

pub fn params() -> Params {
    Params {
        meme_drop: Ratio(30_000_000),
        meme_drop_sol: Ratio::ZERO, // fused.rs is about these two
        confirmations_min: 0,
        confirm_drop: Ratio::ZERO,
        meme_recover: Ratio(i64::MIN),
        rsi_max: Ratio(4_500_000_000),
        rsi_exit: Ratio(i64::MAX),
        support_low: Price(160 * USD),
        support_high: Price(162 * USD),
        max_hold_ns: 0,
        max_trade_risk: Ratio(5_000_000),
        stop_loss: Price(155 * USD),
        max_exposure: Ratio::ONE,
        max_consecutive_losses: 4,
        news_lock: false,
        daily_loss: Ratio::ZERO,
        max_slippage: Bps(1_000),
        slippage_kill: Bps(2_000),
        slippage_window_ns: 300 * NANOS_PER_SEC,
        naked_ns_max: NANOS_PER_SEC / 2,
        clock_offset_ns_max: NANOS_PER_SEC,
        tranches: 3,
        tranche_window_ns: 3 * HOUR_NS,
        tranche_tif: TimeInForce::Ioc,
        tp1_price: Price::ZERO,
        tp1_above: Ratio(2_000_000),
        tp2_price: Price::ZERO,
        tp2_above: Ratio(4_000_000),
        tp1_share: Ratio(50_000_000),
        repost_shift: Ratio(100_000),
        repost_same_price: false,
        flatten_on_stop: false,
        stale_bbo_ns: 5 * NANOS_PER_SEC,
        stale_candle_ns: 400 * NANOS_PER_SEC,
        stale_volume_ns: 2 * HOUR_NS,
        stale_confirm_ns: 2 * HOUR_NS,
        stale_slot_ns: 10 * NANOS_PER_SEC,
        dex_divergence: Ratio::ZERO,
    }
}

/// 2026-11-22 12:00 UTC.
pub const NOON: Time = Time(1_795_348_800 * NANOS_PER_SEC);

fn candle(open_time: Time, close: Price) -> Candle {
    Candle { open_time, open: close, high: close, low: close, close, volume: Qty(1), interval_s: 300 }
}

fn day_sample(state: SourceState, now_usd: i64, prev_usd: i64, at: Time) -> VolumeSample {
    let (now, prev) = (Notional(now_usd), Notional(prev_usd));
    let bucket_end = at.day_start();
    let definition = VolumeDefinition::UtcDay;
    VolumeSample { definition, state, now, prev, bucket_end, as_of: at, ..VolumeSample::UNREAD }
}

/// 260 candles of period 20 whose gains are `ups` of 20 ticks: an RSI of 5 x `ups`.
pub fn feed_candles(signal: &mut Signal, ups: i64, newest: Time) {
    feed_candles_at(signal, ups, newest, newest);
}

fn feed_candles_at(signal: &mut Signal, ups: i64, newest: Time, at: Time) {
    let first = newest.plus(-259 * 300 * NANOS_PER_SEC);
    let mut price = 161 * USD;
    for i in 0..260_i64 {
        price += if i == 0 || i > 20 {
            0
        } else if i <= ups {
            USD / 100
        } else {
            -USD / 100
        };
        signal.on_candle(&candle(first.plus(i * 300 * NANOS_PER_SEC), Price(price)), at);
    }
}

/// Everything says ENTER at noon: drop 31 %, RSI 40, mid 161.
fn ready() -> Signal {
    let setup = SignalSetup { definition: VolumeDefinition::UtcDay, rsi_period: 20, candle_s: 300 };
    let mut signal = Signal::new(setup);
    feed_candles(&mut signal, 8, NOON);
    signal.on_volume(
        StreamId::DefiLlama,
        &day_sample(SourceState::Ok, 69_000_000 * USD, 100_000_000 * USD, NOON),
        NOON,
    );
    signal.on_mid(Price(161 * USD), NOON);
    signal
}

fn decide(signal: &Signal, now: Time) -> Decision {
    signal.decide(now, &params(), true, None)
}

pub fn failing(decision: &Decision) -> Vec<Rule> {
    Rule::ALL.into_iter().filter(|rule| decision.passed & rule.bit() == 0).collect()
}

#[test]
fn enter_needs_every_rule_and_says_every_value() {
    let decision = decide(&ready(), NOON);
    assert_eq!((decision.verdict, failing(&decision)), (Verdict::Enter, vec![]));
    assert_eq!((decision.source, decision.source_state), (StreamId::DefiLlama, SourceState::Ok));
    assert_eq!((decision.drop, decision.drop_min), (Ratio(31_000_000), Ratio(30_000_000)));
    assert_eq!(
        (decision.rsi, decision.rsi_max, decision.mid),
        (Ratio(4_000_000_000), params().rsi_max, Price(161 * USD))
    );
    let held = ready().decide(NOON, &params(), false, Some(NOON));
    assert_eq!((held.verdict, failing(&held)), (Verdict::NoOp, vec![Rule::Flat]));
    let blank = Signal::new(SignalSetup { definition: VolumeDefinition::UtcDay, rsi_period: 14, candle_s: 300 });
    assert_eq!(failing(&decide(&blank, NOON)).len(), 7, "nothing known passes nothing but `once per day` and `flat`");
}

#[test]
fn a_drop_of_exactly_30_percent_is_no_and_one_unit_more_is_yes() {
    let prev = 100_000_001 * USD;
    for (now, enters) in [(prev / 10 * 7, false), (prev / 10 * 7 - 1, true), (prev / 10 * 7 + 1, false)] {
        let mut signal = ready();
        signal.on_volume(StreamId::DefiLlama, &day_sample(SourceState::Ok, now, prev, NOON), NOON);
        let decision = decide(&signal, NOON);
        assert_eq!(failing(&decision), if enters { vec![] } else { vec![Rule::VolumeDrop] }, "{now} of {prev}");
    }
}

#[test]
fn an_rsi_of_exactly_45_is_no() {
    for (ups, failed) in [(9, vec![Rule::Rsi]), (8, vec![]), (10, vec![Rule::Rsi])] {
        let mut signal = ready();
        signal.on_stream(StreamId::BinanceCandle, StreamState::Gap);
        feed_candles(&mut signal, ups, NOON);
        let decision = decide(&signal, NOON);
        assert_eq!((failing(&decision), decision.rsi), (failed, Ratio(ups * 500_000_000)), "{ups} of 20");
    }
}

#[test]
fn the_band_includes_both_of_its_ends() {
    let (low, high) = (160 * USD, 162 * USD);
    for (mid, failed) in [
        (low, vec![]),
        (high, vec![]),
        (low - 1, vec![Rule::SupportLow]),
        (high + 1, vec![Rule::SupportHigh]),
        (0, vec![Rule::BookFresh, Rule::SupportLow, Rule::SupportHigh]),
    ] {
        let mut signal = ready();
        signal.on_mid(Price(mid), NOON);
        assert_eq!(failing(&decide(&signal, NOON)), failed, "{mid}");
    }
}

#[test]
fn a_source_that_is_not_ok_or_not_plausible_does_not_trigger() {
    let (prev, far) = (100_000_000 * USD, 50_000_000 * USD);
    let ok = SourceState::Ok;
    for (claimed, now, prev, state) in [
        (SourceState::Stale, far, prev, SourceState::Stale),
        (SourceState::Filled, far, prev, SourceState::Filled),
        (SourceState::Down, far, prev, SourceState::Down),
        (ok, 0, prev, SourceState::Missing),
        (ok, -1, prev, SourceState::Suspect),
        (ok, prev / 20, prev, SourceState::Suspect),
        (ok, prev / 20 + 1, prev, ok),
        (ok, 10_000_000 * USD, 20_000_000 * USD, SourceState::Suspect),
        (ok, 10_000_000 * USD, 20_000_000 * USD + 1, ok),
        (ok, i64::MAX, prev, SourceState::Suspect),
    ] {
        let mut signal = crate::fused::armed(VolumeDefinition::UtcDay, NOON);
        signal.on_volume(StreamId::DefiLlama, &day_sample(claimed, now, prev, NOON), NOON);
        let decision = decide(&signal, NOON);
        assert_eq!(decision.source_state, state, "{claimed:?} {now} {prev}");
        assert_eq!(failing(&decision).contains(&Rule::VolumeSource), state != ok, "{claimed:?} {now} {prev}");
    }
}

#[test]
fn age_silence_and_gaps_take_a_rule_away() {
    let stale = NOON.plus(2 * HOUR_NS + 1);
    let mut signal = ready();
    signal.on_mid(Price(161 * USD), stale);
    feed_candles(&mut signal, 8, NOON);
    assert_eq!(failing(&decide(&signal, stale)), [Rule::VolumeSource, Rule::RsiKnown, Rule::Rsi]);
    assert_eq!(failing(&decide(&ready(), NOON.plus(5 * NANOS_PER_SEC + 1))), [Rule::BookFresh]);
    for (stream, state, failed) in [
        (StreamId::DefiLlama, StreamState::Down, vec![Rule::VolumeSource]),
        (StreamId::BinanceCandle, StreamState::Gap, vec![Rule::RsiKnown, Rule::Rsi]),
        (StreamId::BinanceBbo, StreamState::Stale, vec![Rule::BookFresh, Rule::SupportLow, Rule::SupportHigh]),
        (StreamId::PumpFun, StreamState::Down, vec![]),
        (StreamId::SolanaSlot, StreamState::Down, vec![]),
    ] {
        let mut signal = ready();
        signal.on_stream(stream, state);
        assert_eq!(failing(&decide(&signal, NOON)), failed, "{stream:?} {state:?}");
    }
}

#[test]
fn the_older_candles_of_a_history_are_no_signal_while_it_is_read() {
    let setup = SignalSetup { definition: VolumeDefinition::UtcDay, rsi_period: 20, candle_s: 300 };
    for (newest_closed_ns, known) in [(401 * NANOS_PER_SEC, true), (401 * NANOS_PER_SEC + 1, false)] {
        let mut signal = Signal::new(setup);
        let now = NOON.plus(300 * NANOS_PER_SEC + newest_closed_ns);
        feed_candles_at(&mut signal, 8, NOON, now);
        assert_eq!(signal.rsi(now, &params()).is_some(), known);
    }
}

#[test]
fn candles_continue_over_a_mended_gap_and_start_anew_over_a_hole() {
    let step = 300 * NANOS_PER_SEC;
    let close = Price(161 * USD);
    let known = |signal: &Signal, at: Time| signal.rsi(at, &params()).is_some();
    let mut mended = ready();
    mended.on_stream(StreamId::BinanceCandle, StreamState::Gap);
    mended.on_candle(&candle(NOON, close), NOON);
    assert!(!known(&mended, NOON), "an old candle after a gap begins a new seed");
    let mut mended = ready();
    mended.on_stream(StreamId::BinanceCandle, StreamState::Gap);
    mended.on_candle(&candle(NOON.plus(step), close), NOON);
    assert!(known(&mended, NOON), "the next candle in line closes the gap");
    let mut holed = ready();
    holed.on_candle(&candle(NOON.plus(2 * step), close), NOON);
    assert!(!known(&holed, NOON));
    let mut repeated = ready();
    let before = repeated.rsi(NOON, &params());
    repeated.on_candle(&candle(NOON, Price(1)), NOON);
    assert_eq!(repeated.rsi(NOON, &params()), before, "a candle seen before is ignored");
}

#[test]
fn a_confirmation_that_rose_contradicts_and_one_that_is_not_ok_does_not() {
    for (state, now_usd, contradicted) in [
        (SourceState::Ok, 101, true),
        (SourceState::Ok, 100, false),
        (SourceState::Ok, 90, false),
        (SourceState::Filled, 150, false),
    ] {
        let mut signal = ready();
        let definition = VolumeDefinition::Sampled24;
        let sample = day_sample(state, now_usd * 1_000_000 * USD, 100_000_000 * USD, NOON);
        signal.on_volume(StreamId::PumpFun, &VolumeSample { definition, ..sample }, NOON);
        let decision = decide(&signal, NOON);
        assert_eq!(
            failing(&decision),
            if contradicted { vec![Rule::VolumeSource] } else { vec![] },
            "{state:?} {now_usd}"
        );
        assert_eq!(decision.source_state, SourceState::Ok);
    }
}

#[test]
fn a_definition_acts_once_a_day_and_once_for_one_slump() {
    let mut signal = ready();
    signal.on_acted(NOON);
    assert_eq!(failing(&decide(&signal, NOON)), [Rule::OncePerDay]);
    let tomorrow = NOON.plus(NANOS_PER_DAY);
    signal.on_mid(Price(161 * USD), tomorrow);
    assert!(failing(&decide(&signal, tomorrow)).contains(&Rule::OncePerDay), "yesterday's sample was acted on");
    let next_day = day_sample(SourceState::Ok, 69_000_000 * USD, 100_000_000 * USD, tomorrow);
    signal.on_volume(StreamId::DefiLlama, &next_day, tomorrow);
    assert!(!failing(&decide(&signal, tomorrow)).contains(&Rule::OncePerDay));

    let setup = SignalSetup { definition: VolumeDefinition::Sampled24, rsi_period: 20, candle_s: 300 };
    let mut rolling = Signal::new(setup);
    rolling.on_acted(NOON);
    for (hour, now_usd, may_act) in [(0, 65, false), (1, 80, false), (2, 81, true), (3, 65, true)] {
        let now = tomorrow.plus(hour * HOUR_NS);
        let sample = day_sample(SourceState::Ok, now_usd * 1_000_000 * USD, 100_000_000 * USD, now);
        let sample = VolumeSample { definition: VolumeDefinition::Sampled24, ..sample };
        rolling.on_volume(StreamId::PumpFun, &sample, now);
        assert_eq!(!failing(&decide(&rolling, now)).contains(&Rule::OncePerDay), may_act, "{now_usd}");
    }
}

#[test]
fn exit_comes_from_rsi_recovery_or_age_and_only_with_a_position() {
    let base = params();
    let old = NOON.plus(-HOUR_NS - 1);
    for (params, reason) in [
        (Params { rsi_exit: Ratio(4_000_000_000), ..base }, Some(ExitReason::Signal)),
        (Params { rsi_exit: Ratio(4_000_000_001), ..base }, None),
        (Params { meme_recover: Ratio(31_000_000), ..base }, Some(ExitReason::Signal)),
        (Params { meme_recover: Ratio(30_999_999), ..base }, None),
        (Params { max_hold_ns: HOUR_NS, ..base }, Some(ExitReason::MaxHold)),
        (Params { max_hold_ns: HOUR_NS + 1, ..base }, None),
        (base, None),
    ] {
        let signal = ready();
        assert_eq!(signal.exit_due(NOON, &params, old), reason);
        let verdict = if reason.is_some() { Verdict::Exit } else { Verdict::NoOp };
        assert_eq!(signal.decide(NOON, &params, false, Some(old)).verdict, verdict);
        assert_eq!(signal.decide(NOON, &params, true, None).verdict, Verdict::Enter);
    }
}
