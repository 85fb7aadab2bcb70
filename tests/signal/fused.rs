//! Four volume sources against each other: who triggers, who confirms, who forbids, and what is on record of it.

use sol_volume_bot::engine::signal::{Signal, SignalSetup};
use sol_volume_bot::types::decision::{Decision, Rule, VOLUME_STREAMS, Verdict};
use sol_volume_bot::types::event::{SourceReason, SourceState, StreamState, VolumeDefinition, VolumeSample};
use sol_volume_bot::types::time::{NANOS_PER_DAY, NANOS_PER_SEC};
use sol_volume_bot::types::{Bps, Notional, Params, Price, Qty, Ratio, StreamId, Time};

use crate::USD;
use crate::rules::{NOON, failing, feed_candles, params};

const HOUR_NS: i64 = 3_600 * NANOS_PER_SEC;
const MINUTE_NS: i64 = 60 * NANOS_PER_SEC;

/// RSI, price and band say ENTER at `at`; nothing is known of volume.
pub fn armed(definition: VolumeDefinition, at: Time) -> Signal {
    let mut signal = Signal::new(SignalSetup { definition, rsi_period: 20, candle_s: 300 });
    feed_candles(&mut signal, 8, at);
    signal.on_mid(Price(161 * USD), at);
    signal
}

fn definition_of(stream: StreamId) -> VolumeDefinition {
    match stream {
        StreamId::PumpChain => VolumeDefinition::Rolling24,
        StreamId::DefiLlama => VolumeDefinition::UtcDay,
        _ => VolumeDefinition::Sampled24,
    }
}

/// A good sample of `stream`, read at `at`, in millions of USD; in SOL at 100 throughout.
pub fn sample(stream: StreamId, now_musd: i64, prev_musd: i64, at: Time) -> VolumeSample {
    let usd = |musd: i64| Notional(musd * 1_000_000 * USD);
    let sol = |musd: i64| Qty(musd * 1_000_000 * 1_000_000_000 / 100);
    VolumeSample {
        definition: definition_of(stream),
        state: SourceState::Ok,
        reason: SourceReason::None,
        now: usd(now_musd),
        prev: usd(prev_musd),
        now_sol: sol(now_musd),
        prev_sol: sol(prev_musd),
        bucket_end: if stream == StreamId::DefiLlama { at.day_start() } else { at },
        as_of: at,
    }
}

/// As in life: a drop in SOL above 20 %, one confirmation.
pub fn strict() -> Params {
    Params { meme_drop_sol: Ratio(20_000_000), confirmations_min: 1, ..params() }
}

/// The chain fell by 31 %, CoinGecko by 5 %: that enters.
fn slump() -> Signal {
    let mut signal = armed(VolumeDefinition::Rolling24, NOON);
    signal.on_volume(StreamId::PumpChain, &sample(StreamId::PumpChain, 69, 100, NOON), NOON);
    signal.on_volume(StreamId::CoinGecko, &sample(StreamId::CoinGecko, 950, 1_000, NOON), NOON);
    signal
}

fn decide(signal: &Signal, now: Time) -> Decision {
    signal.decide(now, &strict(), true, None)
}

/// What another source says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Fell,
    Rose,
    Flat,
    Silent,
    Doubtful,
}

#[test]
fn every_mix_of_agreement_contradiction_and_silence_enters_exactly_when_it_should() {
    let words = [Word::Fell, Word::Rose, Word::Flat, Word::Silent, Word::Doubtful];
    let others = [StreamId::DefiLlama, StreamId::PumpFun, StreamId::CoinGecko];
    let mut entered = 0;
    for mix in 0..words.len().pow(3) {
        let said = [words[mix % 5], words[mix / 5 % 5], words[mix / 25]];
        let mut signal = armed(VolumeDefinition::Rolling24, NOON);
        signal.on_volume(StreamId::PumpChain, &sample(StreamId::PumpChain, 69, 100, NOON), NOON);
        for (stream, word) in others.into_iter().zip(said) {
            let told = match word {
                Word::Fell => sample(stream, 99, 100, NOON),
                Word::Rose => sample(stream, 101, 100, NOON),
                Word::Flat => sample(stream, 100, 100, NOON),
                Word::Doubtful => VolumeSample { state: SourceState::Suspect, ..sample(stream, 60, 100, NOON) },
                Word::Silent => continue,
            };
            signal.on_volume(stream, &told, NOON);
        }
        let (fell, rose) =
            [Word::Fell, Word::Rose].map(|word| said.iter().filter(|said| **said == word).count()).into();
        for confirmations_min in 0..=3 {
            let decision = signal.decide(NOON, &Params { confirmations_min, ..strict() }, true, None);
            let mut expected = Vec::new();
            expected.extend((rose > 0).then_some(Rule::VolumeSource));
            expected.extend(((fell as i64) < confirmations_min).then_some(Rule::VolumeConfirmed));
            assert_eq!(failing(&decision), expected, "{said:?}, {confirmations_min} asked for");
            assert_eq!((usize::from(decision.confirmed), usize::from(decision.contradicted)), (fell, rose), "{said:?}");
            entered += u32::from(decision.verdict == Verdict::Enter);
        }
    }
    assert_eq!(entered, 64 + 37 + 10 + 1, "of 500: no rise, and at least so many falls");
}

#[test]
fn each_definition_has_its_trigger_and_the_trigger_does_not_confirm_itself() {
    for (definition, trigger) in [
        (VolumeDefinition::Rolling24, StreamId::PumpChain),
        (VolumeDefinition::UtcDay, StreamId::DefiLlama),
        (VolumeDefinition::Sampled24, StreamId::PumpFun),
    ] {
        for fallen in VOLUME_STREAMS {
            let mut signal = armed(definition, NOON);
            signal.on_volume(fallen, &sample(fallen, 60, 100, NOON), NOON);
            assert_eq!(decide(&signal, NOON).verdict, Verdict::NoOp, "{fallen:?} alone under {definition:?}");
            let free = Params { confirmations_min: 0, ..strict() };
            let alone = signal.decide(NOON, &free, true, None);
            assert_eq!(alone.verdict == Verdict::Enter, fallen == trigger, "{fallen:?} under {definition:?}");
            assert_eq!((alone.source, alone.confirmed), (trigger, u8::from(fallen != trigger)));
        }
    }
}

#[test]
fn a_stream_that_tells_of_another_definition_is_suspect() {
    for stream in VOLUME_STREAMS {
        let mut signal = slump();
        let wrong = match definition_of(stream) {
            VolumeDefinition::Sampled24 => VolumeDefinition::Rolling24,
            _ => VolumeDefinition::Sampled24,
        };
        let told = VolumeSample { definition: wrong, ..sample(stream, 60, 100, NOON) };
        signal.on_volume(stream, &told, NOON);
        let look = look_of(&decide(&signal, NOON), stream);
        assert_eq!((look.state, look.reason), (SourceState::Suspect, SourceReason::Contradiction));
    }
}

fn look_of(decision: &Decision, stream: StreamId) -> sol_volume_bot::types::decision::SourceLook {
    decision.looks[VOLUME_STREAMS.iter().position(|known| *known == stream).expect("a volume stream")]
}

#[test]
fn a_drop_in_sol_of_exactly_20_percent_is_no_one_unit_more_is_yes_and_unknown_is_no() {
    let prev = 1_000_000_000_005_i64;
    for (now_sol, prev_sol, threshold, holds) in [
        (prev / 5 * 4, prev, 20_000_000, false),
        (prev / 5 * 4 - 1, prev, 20_000_000, true),
        (prev / 5 * 4 + 1, prev, 20_000_000, false),
        (0, 0, 20_000_000, false),
        (0, prev, 20_000_000, false),
        (1, 0, 20_000_000, false),
        (-5, prev, 20_000_000, false),
        (i64::MAX, i64::MAX, 20_000_000, false),
        (1, i64::MAX, 20_000_000, true),
        (0, 0, 0, true),
        (prev * 2, prev, 0, true),
    ] {
        let mut signal = armed(VolumeDefinition::Rolling24, NOON);
        let told = sample(StreamId::PumpChain, 69, 100, NOON);
        let told = VolumeSample { now_sol: Qty(now_sol), prev_sol: Qty(prev_sol), ..told };
        signal.on_volume(StreamId::PumpChain, &told, NOON);
        let params = Params { meme_drop_sol: Ratio(threshold), ..params() };
        let expected = if holds { vec![] } else { vec![Rule::VolumeSol] };
        assert_eq!(failing(&signal.decide(NOON, &params, true, None)), expected, "{now_sol} of {prev_sol}");
    }
}

#[test]
fn a_word_of_rise_outlives_its_source_for_a_day_so_silence_lets_no_trade_through() {
    for fault in [StreamState::Down, StreamState::Stale, StreamState::Gap] {
        let mut signal = slump();
        let rose = sample(StreamId::DefiLlama, 110, 100, NOON);
        signal.on_volume(StreamId::DefiLlama, &rose, NOON);
        assert_eq!(failing(&decide(&signal, NOON)), [Rule::VolumeSource]);
        signal.on_stream(StreamId::DefiLlama, fault);
        assert_eq!(failing(&decide(&signal, NOON)), [Rule::VolumeSource], "{fault:?}");
        let doubtful = VolumeSample { state: SourceState::Missing, now: Notional::ZERO, ..rose };
        signal.on_volume(StreamId::DefiLlama, &doubtful, NOON);
        assert_eq!(failing(&decide(&signal, NOON)), [Rule::VolumeSource], "{fault:?}");
        for (later_ns, stands) in [(NANOS_PER_DAY, true), (NANOS_PER_DAY + 1, false)] {
            let later = NOON.plus(later_ns);
            assert_eq!(signal.decide(later, &strict(), true, None).contradicted, u8::from(stands));
        }
        let fell = sample(StreamId::DefiLlama, 99, 100, NOON);
        signal.on_volume(StreamId::DefiLlama, &fell, NOON);
        assert_eq!(decide(&signal, NOON).verdict, Verdict::Enter, "its next believed word counts");
    }
}

#[test]
fn a_word_of_rise_to_an_earlier_run_stands_until_the_source_speaks_again_or_a_day_is_over() {
    let at = NOON.plus(-HOUR_NS);
    let mut signal = slump();
    signal.remember_risen([Time::NONE, at, Time::NONE, Time::NONE]); // DeFiLlama's
    assert_eq!(failing(&decide(&signal, NOON)), [Rule::VolumeSource]);
    for (later, stands) in [(at.plus(NANOS_PER_DAY), true), (at.plus(NANOS_PER_DAY + 1), false)] {
        assert_eq!(signal.decide(later, &strict(), true, None).contradicted, u8::from(stands));
    }
    let doubtful = VolumeSample { state: SourceState::Suspect, ..sample(StreamId::DefiLlama, 90, 100, NOON) };
    signal.on_volume(StreamId::DefiLlama, &doubtful, NOON);
    assert_eq!(failing(&decide(&signal, NOON)), [Rule::VolumeSource], "a word that is not believed lifts nothing");
    signal.on_volume(StreamId::DefiLlama, &sample(StreamId::DefiLlama, 90, 100, NOON), NOON);
    assert_eq!(decide(&signal, NOON).verdict, Verdict::Enter);
}

#[test]
fn a_days_word_of_rise_ends_with_the_next_days_whatever_that_is_worth() {
    let day =
        |now_musd, end: Time| VolumeSample { bucket_end: end, ..sample(StreamId::DefiLlama, now_musd, 100, NOON) };
    let today = NOON.day_start();
    for (next, stands) in [
        (VolumeSample { state: SourceState::Suspect, ..day(40, today) }, false),
        (VolumeSample { state: SourceState::Suspect, ..day(40, today.plus(-NANOS_PER_DAY)) }, true), // the same day's
        (VolumeSample { state: SourceState::Suspect, ..day(40, today.plus(NANOS_PER_DAY)) }, true),  // not over yet
    ] {
        let mut signal = slump();
        signal.on_volume(StreamId::DefiLlama, &day(160, today.plus(-NANOS_PER_DAY)), NOON);
        assert_eq!(decide(&signal, NOON).contradicted, 1);
        signal.on_volume(StreamId::DefiLlama, &next, NOON);
        assert_eq!(decide(&signal, NOON).contradicted, u8::from(stands), "{next:?}");
    }
}

#[test]
fn a_lost_or_old_confirmation_confirms_nothing_and_a_lost_trigger_triggers_nothing() {
    for stream in [StreamId::PumpChain, StreamId::CoinGecko] {
        let mut signal = slump();
        signal.on_stream(stream, StreamState::Down);
        let rule = if stream == StreamId::PumpChain { Rule::VolumeSource } else { Rule::VolumeConfirmed };
        assert_eq!(failing(&decide(&signal, NOON)), [rule]);
    }
    let limits = Params { stale_volume_ns: 3 * MINUTE_NS, stale_confirm_ns: 2 * MINUTE_NS, ..strict() };
    for (age_ns, failed) in [
        (2 * MINUTE_NS, vec![]),
        (2 * MINUTE_NS + 1, vec![Rule::VolumeConfirmed]),
        (3 * MINUTE_NS + 1, vec![Rule::VolumeSource, Rule::VolumeConfirmed]),
    ] {
        let (mut signal, now) = (slump(), NOON.plus(age_ns));
        signal.on_mid(Price(161 * USD), now);
        assert_eq!(failing(&signal.decide(now, &limits, true, None)), failed, "{age_ns}");
        let mut told_late = slump();
        let old = sample(StreamId::PumpChain, 69, 100, NOON.plus(-age_ns));
        told_late.on_volume(StreamId::PumpChain, &VolumeSample { bucket_end: NOON, ..old }, NOON);
        let is_fresh = age_ns <= 3 * MINUTE_NS;
        let decision = told_late.decide(NOON, &limits, true, None);
        assert_eq!(failing(&decision).contains(&Rule::VolumeSource), !is_fresh, "told late by {age_ns}");
    }
}

/// What the chain source is worth after `next`, told `after_ns` behind a calm sample of 100 after 100.
fn after_calm(next: VolumeSample, after_ns: i64) -> (SourceState, SourceReason) {
    let mut signal = armed(VolumeDefinition::Rolling24, NOON);
    let calm = sample(StreamId::PumpChain, 99, 100, NOON);
    signal.on_volume(StreamId::PumpChain, &calm, NOON);
    let now = NOON.plus(after_ns);
    signal.on_volume(StreamId::PumpChain, &next, now);
    let look = look_of(&decide(&signal, now), StreamId::PumpChain);
    (look.state, look.reason)
}

#[test]
fn a_repeated_a_replayed_and_a_leaping_trailing_day_are_not_believed() {
    let ok = (SourceState::Ok, SourceReason::None);
    let chain = |now, prev, at| sample(StreamId::PumpChain, now, prev, at);
    let (soon, later) = (NOON.plus(MINUTE_NS), NOON.plus(HOUR_NS + 1));
    for (next, after_ns, expected) in [
        (chain(99, 100, NOON), MINUTE_NS, ok),
        (chain(99, 100, soon), MINUTE_NS, (SourceState::Suspect, SourceReason::Repeated)),
        (chain(96, 100, soon), MINUTE_NS, ok),
        (chain(95, 100, soon), MINUTE_NS, (SourceState::Suspect, SourceReason::Implausible)), // 1/60 + 2 % and no more
        (chain(69, 100, soon), 24 * MINUTE_NS, (SourceState::Suspect, SourceReason::Implausible)),
        (chain(69, 100, soon), 25 * MINUTE_NS, ok),
        (chain(69, 100, NOON.plus(-1)), MINUTE_NS, (SourceState::Stale, SourceReason::Repeated)),
        (chain(49, 100, soon), MINUTE_NS, (SourceState::Suspect, SourceReason::Implausible)),
        (chain(98, 201, soon), MINUTE_NS, (SourceState::Suspect, SourceReason::Implausible)),
        (chain(98, 104, soon), MINUTE_NS, (SourceState::Suspect, SourceReason::Implausible)),
        (chain(98, 103, soon), MINUTE_NS, ok),
        (chain(49, 100, later), HOUR_NS + 1, ok),
        (chain(97, 100, soon.plus(HOUR_NS)), MINUTE_NS, ok),
        (chain(97, 100, soon.plus(HOUR_NS + 1)), MINUTE_NS, (SourceState::Suspect, SourceReason::Implausible)),
    ] {
        assert_eq!(after_calm(next, after_ns), expected, "{next:?}");
    }
}

#[test]
fn a_leap_that_persists_is_believed_only_after_an_hour() {
    let mut signal = armed(VolumeDefinition::Rolling24, NOON);
    signal.on_volume(StreamId::PumpChain, &sample(StreamId::PumpChain, 200, 201, NOON), NOON);
    for minute in 1..=61 {
        let now = NOON.plus(minute * MINUTE_NS);
        signal.on_volume(StreamId::PumpChain, &sample(StreamId::PumpChain, 60 + minute % 7, 201, now), now);
        let look = look_of(&decide(&signal, now), StreamId::PumpChain);
        assert_eq!(look.state == SourceState::Ok, minute > 60, "{minute}");
    }
}

#[test]
fn a_new_day_whose_yesterday_is_not_what_was_told_of_it_is_suspect() {
    let tomorrow = NOON.plus(NANOS_PER_DAY);
    for (prev, state) in [(100, SourceState::Ok), (190, SourceState::Ok), (201, SourceState::Suspect)] {
        let mut signal = armed(VolumeDefinition::UtcDay, NOON);
        signal.on_volume(StreamId::DefiLlama, &sample(StreamId::DefiLlama, 100, 110, NOON), NOON);
        signal.on_volume(StreamId::DefiLlama, &sample(StreamId::DefiLlama, 60, prev, tomorrow), tomorrow);
        assert_eq!(look_of(&decide(&signal, tomorrow), StreamId::DefiLlama).state, state, "{prev}");
    }
}

#[test]
fn one_slump_is_one_signal_across_midnight_a_restart_and_until_it_has_eased() {
    let mut signal = slump();
    assert_eq!(decide(&signal, NOON).verdict, Verdict::Enter);
    signal.on_acted(NOON);
    let mut restarted = armed(VolumeDefinition::Rolling24, NOON);
    restarted.on_acted(NOON); // what the ledger hands back
    for mut signal in [signal, restarted] {
        for (hours, now_musd, may_act) in
            [(1, 66, false), (12, 67, false), (23, 68, false), (24, 80, false), (25, 81, true), (26, 65, true)]
        {
            let now = NOON.plus(hours * HOUR_NS);
            signal.on_volume(StreamId::PumpChain, &sample(StreamId::PumpChain, now_musd, 100, now), now);
            let decision = decide(&signal, now);
            assert_eq!(!failing(&decision).contains(&Rule::OncePerDay), may_act, "{hours} h, {now_musd}");
        }
    }
}

#[test]
fn the_decision_carries_where_its_numbers_come_from() {
    let mut signal = slump();
    let stale = VolumeSample {
        state: SourceState::Stale,
        reason: SourceReason::Settling,
        ..sample(StreamId::DefiLlama, 150, 100, NOON)
    };
    signal.on_volume(StreamId::DefiLlama, &stale, NOON);
    let now = NOON.plus(2 * NANOS_PER_SEC);
    let decision = decide(&signal, now);
    let origin = decision.origin;
    assert_eq!(origin.definition, VolumeDefinition::Rolling24);
    assert_eq!((origin.now, origin.prev), (Notional(69_000_000 * USD), Notional(100_000_000 * USD)));
    assert_eq!((origin.as_of, origin.bucket_end, origin.recv), (NOON, NOON, NOON));
    assert_eq!((decision.drop_sol, decision.drop_sol_min), (Ratio(31_000_000), Ratio(20_000_000)));
    let looks = decision.looks.map(|look| (look.state, look.reason, look.drop, look.age_ms));
    assert_eq!(
        looks,
        [
            (SourceState::Ok, SourceReason::None, Bps(310_000), 2_000),
            (SourceState::Stale, SourceReason::Settling, Bps(-500_000), 2_000),
            (SourceState::Missing, SourceReason::Unread, Bps(0), u32::MAX),
            (SourceState::Ok, SourceReason::None, Bps(50_000), 2_000),
        ]
    );
}
