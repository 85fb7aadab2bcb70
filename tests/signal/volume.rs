//! DeFiLlama on its own recorded answer, day by day against a table computed elsewhere; both volume sources on the
//! faults that providers have.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sol_volume_bot::engine::signal::{Signal, SignalSetup};
use sol_volume_bot::types::event::{SourceReason, SourceState, VolumeDefinition, VolumeSample};
use sol_volume_bot::types::time::{NANOS_PER_DAY, NANOS_PER_SEC};
use sol_volume_bot::types::{Notional, Ratio, StreamId, Time};
use sol_volume_bot::venue::defillama::{Reader, Restated, Settings, pump_protocols};
use sol_volume_bot::venue::{DecodeError, pumpfun};

use crate::{USD, capture, unzipped};

const HOUR_NS: i64 = 3_600 * NANOS_PER_SEC;
const DAY_S: i64 = 86_400;

fn reader(slugs: &[&str]) -> Reader {
    let slugs = slugs.iter().map(|slug| (*slug).to_owned()).collect();
    Reader::new(&Settings { slugs, settle_ns: 2 * HOUR_NS })
}

fn summary(chart: &[(i64, i64)], totals: [Value; 2]) -> Vec<u8> {
    let [total24h, total48hto24h] = totals;
    let body = json!({ "total24h": total24h, "total48hto24h": total48hto24h, "totalDataChart": chart });
    body.to_string().into_bytes()
}

/// What stands in a sample, in whole USD.
fn told(sample: &VolumeSample) -> (SourceState, i64, i64) {
    (sample.state, sample.now.0 / USD, sample.prev.0 / USD)
}

fn noon_after(day_s: i64) -> Time {
    Time((day_s + DAY_S) * NANOS_PER_SEC + 12 * HOUR_NS)
}

/// The recorded days by protocol, from the raw answer.
fn recorded_days(raw: &[u8], protocol: &str) -> Vec<(i64, i64)> {
    let raw: Value = serde_json::from_slice(raw).unwrap();
    let days = raw["totalDataChartBreakdown"].as_array().unwrap();
    days.iter().filter_map(|day| Some((day[0].as_i64()?, day[1].get(protocol)?.as_i64()?))).collect()
}

/// What DeFiLlama would answer at some time of the day after `day_s`: a chart with a partial bucket of today.
fn answer_of(days: &[(i64, i64)], day_s: i64) -> Vec<u8> {
    let shown: Vec<(i64, i64)> = days.iter().copied().take_while(|(ts, _)| *ts <= day_s + DAY_S).collect();
    let total = |ts: i64| days.iter().find(|(day, _)| *day == ts).map_or(Value::Null, |(_, usd)| json!(usd));
    summary(&shown, [total(day_s), total(day_s - DAY_S)])
}

#[test]
fn every_recorded_day_has_the_state_and_ratio_that_the_rules_say() {
    let Some(raw) = capture("defillama/overview-dexs-solana.json.gz") else { return };
    let Some(table) = capture("defillama/derived_daily_solana_pumpfun_pumpswap.csv") else { return };
    let raw = unzipped(&raw);
    let (curve, amm) = (recorded_days(&raw, "pump.fun"), recorded_days(&raw, "PumpSwap"));
    let mut expected = BTreeMap::new(); // day → (pump.fun, PumpSwap), where both traded
    for line in std::fs::read_to_string(table).unwrap().lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        if let (Ok(ts), Ok(curve), Ok(amm)) =
            (cells[1].parse::<i64>(), cells[3].parse::<i64>(), cells[4].parse::<i64>())
        {
            expected.insert(ts, (curve, amm));
        }
    }
    let (mut compared, mut triggers, mut filled) = (0, 0, Vec::new());
    for (&ts, &(curve_now, amm_now)) in expected.iter() {
        let Some(&(curve_prev, amm_prev)) = expected.get(&(ts - DAY_S)) else { continue };
        let now = noon_after(ts);
        let mut reader = reader(&["pump.fun", "pumpswap"]);
        reader.on_body("pump.fun", &answer_of(&curve, ts), now).unwrap();
        reader.on_body("pumpswap", &answer_of(&amm, ts), now).unwrap();
        let sample = reader.sample(now);
        let is_filled = curve_now == curve_prev || amm_now == amm_prev;
        let state = if is_filled { SourceState::Filled } else { SourceState::Ok };
        assert_eq!(told(&sample), (state, curve_now + amm_now, curve_prev + amm_prev), "day {ts}");
        assert_eq!(sample.bucket_end, Time((ts + DAY_S) * NANOS_PER_SEC));
        let fell = (curve_now + amm_now) * 10 < (curve_prev + amm_prev) * 7;
        assert_eq!(triggers_on(&sample, now), fell && !is_filled, "day {ts}");
        compared += 1;
        triggers += u32::from(fell && !is_filled);
        filled.extend(is_filled.then_some(ts));
    }
    assert_eq!(filled, [1_775_001_600], "only the last recorded day repeats the one before");
    assert!(compared >= 390, "{compared} days");
    assert!((5..compared / 4).contains(&triggers), "{triggers} of {compared} days fell by more than 30 %");
}

/// Whether the volume rule alone says yes to a sample.
fn triggers_on(sample: &VolumeSample, now: Time) -> bool {
    let setup = SignalSetup { definition: VolumeDefinition::UtcDay, rsi_period: 14, candle_s: 300 };
    let mut signal = Signal::new(setup);
    signal.on_volume(StreamId::DefiLlama, sample, now);
    let view = signal.volume(now, &crate::rules::params());
    view.state == SourceState::Ok && view.drop_is_above(Ratio(30_000_000))
}

#[test]
fn the_recorded_answer_itself_is_read_as_it_came() {
    let Some(raw) = capture("defillama/overview-dexs-solana.json.gz") else { return };
    let raw = unzipped(&raw);
    let mut reader = reader(&["chain"]);
    let (march_31, april_1) = (1_774_915_200, 1_775_001_600);
    reader.on_body("chain", &raw, noon_after(march_31)).unwrap();
    assert_eq!(told(&reader.sample(noon_after(march_31))), (SourceState::Ok, 2_001_103_803, 1_998_023_538));
    assert_eq!(told(&reader.sample(noon_after(april_1))), (SourceState::Ok, 2_000_468_281, 2_001_103_803));
    assert_eq!(reader.sample(noon_after(april_1 + DAY_S)).state, SourceState::Stale);
    let named: Vec<_> =
        pump_protocols(&raw).unwrap().into_iter().map(|p| (p.slug, p.total24h.map(|t| t.0 / USD))).collect();
    assert!(named.contains(&("pump.fun".to_owned(), Some(27_270_172))), "{named:?}");
    assert!(named.contains(&("pumpswap".to_owned(), Some(92_313_417))), "{named:?}");
    assert_eq!(named.len(), 2);
}

#[test]
fn the_recorded_error_text_makes_the_source_down() {
    let Some(file) = capture("defillama/error_summary-dexs-pump-fun.txt") else { return };
    let mut reader = reader(&["pump-fun"]);
    let answer = reader.on_body("pump-fun", &std::fs::read(file).unwrap(), Time(0));
    assert_eq!(answer, Err(DecodeError::Syntax { at: 0 }));
    assert_eq!(reader.sample(Time(0)).state, SourceState::Down);
}

/// 2026-11-21 00:00 UTC: "yesterday" of the tests below, whose noon is on the 22nd.
const DAY: i64 = 1_795_219_200;

/// State, reason, and whether the body could be read at all.
fn judged(body: &[u8], now: Time) -> (SourceState, SourceReason, bool) {
    let mut reader = reader(&["pump.fun"]);
    let read = reader.on_body("pump.fun", body, now);
    let sample = reader.sample(now);
    (sample.state, sample.reason, read.is_ok())
}

#[test]
fn each_fault_of_the_provider_has_its_state() {
    let noon = noon_after(DAY);
    let chart = |before: i64, newest: i64| [(DAY - DAY_S, before), (DAY, newest), (DAY + DAY_S, 1)];
    let totals = |newest: i64, before: i64| [json!(newest), json!(before)];
    let null = || [Value::Null, Value::Null];
    use {SourceReason as Why, SourceState as State};
    for (body, expected) in [
        (summary(&chart(100, 69), totals(69, 100)), (State::Ok, Why::None, true)),
        (summary(&chart(100, 69), null()), (State::Ok, Why::None, true)),
        (summary(&chart(10_000, 6_900), totals(6_969, 10_000)), (State::Ok, Why::None, true)),
        (summary(&chart(10_000, 6_900), totals(6_970, 10_000)), (State::Suspect, Why::Contradiction, true)),
        (summary(&chart(10_000, 6_900), totals(6_900, 10_101)), (State::Suspect, Why::Contradiction, true)),
        (summary(&chart(100, 100), totals(100, 100)), (State::Filled, Why::Repeated, true)),
        (summary(&chart(100, 0), totals(0, 100)), (State::Missing, Why::NoValue, true)),
        (summary(&chart(100, -69), null()), (State::Suspect, Why::Implausible, true)),
        (summary(&[(DAY, 69)], null()), (State::Missing, Why::NoValue, true)),
        (summary(&[(DAY - 2 * DAY_S, 100), (DAY, 69)], null()), (State::Missing, Why::NoValue, true)),
        (summary(&[(DAY - 2 * DAY_S, 100), (DAY - DAY_S, 69)], null()), (State::Stale, Why::TooOld, true)),
        (summary(&[(DAY + DAY_S, 69)], null()), (State::Missing, Why::NoValue, true)),
        (summary(&[], null()), (State::Missing, Why::NoValue, true)),
        (b"{\"totalDataChart\":[[1795219200,\"x\"]]}".to_vec(), (State::Suspect, Why::Implausible, false)),
        (b"{\"totalDataChart\":[[1795219200,1e40]]}".to_vec(), (State::Suspect, Why::Implausible, false)),
        (b"{\"totalDataChart\":[[1795219200,NaN]]}".to_vec(), (State::Down, Why::Unreadable, false)),
        (summary(&[(DAY - DAY_S, 100), (DAY, 69), (DAY, 60)], null()), (State::Suspect, Why::Contradiction, false)),
        (summary(&[(DAY - DAY_S, 100), (DAY, 69), (DAY, 69)], null()), (State::Ok, Why::None, true)),
        (summary(&chart(100, 69), totals(100, 69)), (State::Suspect, Why::Contradiction, true)),
        (b"{\"message\":\"Not found\"}".to_vec(), (State::Down, Why::Unreadable, false)),
        (b"<!DOCTYPE html><html></html>".to_vec(), (State::Down, Why::Unreadable, false)),
        (b"".to_vec(), (State::Down, Why::Unreadable, false)),
    ] {
        assert_eq!(judged(&body, noon), expected, "{}", String::from_utf8_lossy(&body));
    }
}

#[test]
fn a_day_is_not_evaluated_before_it_has_settled_and_is_late_at_noon() {
    let midnight = Time((DAY + DAY_S) * NANOS_PER_SEC);
    let mut reader = reader(&["pump.fun"]);
    let body = summary(&[(DAY - DAY_S, 100), (DAY, 69)], [Value::Null, Value::Null]);
    reader.on_body("pump.fun", &body, midnight).unwrap();
    let early = reader.sample(midnight.plus(2 * HOUR_NS - 1));
    assert_eq!((early.state, early.reason), (SourceState::Stale, SourceReason::Settling));
    assert_eq!(told(&reader.sample(midnight.plus(2 * HOUR_NS))), (SourceState::Ok, 69, 100));
    assert!(!reader.is_late(midnight.plus(12 * HOUR_NS)));
    let next_day = midnight.plus(NANOS_PER_DAY);
    assert!(!reader.is_late(next_day.plus(12 * HOUR_NS - 1)));
    assert!(reader.is_late(next_day.plus(12 * HOUR_NS)));
}

#[test]
fn the_fall_from_a_day_that_stands_out_of_both_its_neighbours_is_doubted() {
    let doubted = (SourceState::Suspect, SourceReason::Implausible);
    let fine = (SourceState::Ok, SourceReason::None);
    let two_ago = DAY - 2 * DAY_S;
    for (days, expected) in [
        (vec![(two_ago, 99), (DAY - DAY_S, 250), (DAY, 100)], fine),
        (vec![(two_ago, 99), (DAY - DAY_S, 251), (DAY, 100)], doubted),
        (vec![(two_ago, 200), (DAY - DAY_S, 300), (DAY, 100)], fine),
        (vec![(DAY - DAY_S, 220), (DAY, 88)], fine),
        (vec![(DAY - DAY_S, 221), (DAY, 88)], doubted), // and the day before is not told
    ] {
        let mut reader = reader(&["pump.fun"]);
        reader.on_body("pump.fun", &summary(&days, [Value::Null, Value::Null]), noon_after(DAY)).unwrap();
        let sample = reader.sample(noon_after(DAY));
        assert_eq!((sample.state, sample.reason), expected, "{days:?}");
    }
}

#[test]
fn the_sum_is_only_as_good_as_its_worst_part_and_restated_days_are_told() {
    let noon = noon_after(DAY);
    let body = |newest: i64| summary(&[(DAY - DAY_S, 100), (DAY, newest)], [Value::Null, Value::Null]);
    let mut reader = reader(&["pump.fun", "pumpswap"]);
    assert_eq!(reader.on_body("pump.fun", &body(60), noon), Ok(None));
    assert_eq!(reader.sample(noon).state, SourceState::Down, "pumpswap was never read");
    reader.on_body("pumpswap", &body(100), noon).unwrap();
    assert_eq!(told(&reader.sample(noon)), (SourceState::Filled, 160, 200));
    assert_eq!(reader.on_body("pumpswap", &body(105), noon), Ok(None), "5 % is no restatement");
    let change =
        |was: i64, is: i64| Ok(Some(Restated { day: DAY / DAY_S, was: Notional(was * USD), is: Notional(is * USD) }));
    assert_eq!(reader.on_body("pumpswap", &body(84), noon), change(105, 84));
    assert_eq!(told(&reader.sample(noon)), (SourceState::Ok, 144, 200), "by a fifth is a correction");
    assert_eq!(reader.on_body("pumpswap", &body(67), noon), change(84, 67));
    let torn = reader.sample(noon);
    assert_eq!((torn.state, torn.reason), (SourceState::Suspect, SourceReason::Contradiction), "by more is none");
    assert_eq!(reader.on_body("pumpswap", &body(67), noon), Ok(None));
    assert_eq!(reader.sample(noon).state, SourceState::Suspect, "until the day is over");
    let tomorrow = noon.plus(NANOS_PER_DAY);
    for slug in ["pump.fun", "pumpswap"] {
        let next = [(DAY - DAY_S, 100), (DAY, if slug == "pumpswap" { 67 } else { 60 }), (DAY + DAY_S, 65)];
        reader.on_body(slug, &summary(&next, [Value::Null, Value::Null]), tomorrow).unwrap();
    }
    assert_eq!(told(&reader.sample(tomorrow)), (SourceState::Ok, 130, 127));
    reader.on_failed("pump.fun", SourceReason::NoAnswer);
    assert_eq!(reader.sample(noon).state, SourceState::Down);
    assert_eq!(reader.on_body("raydium", &body(1), noon), Err(DecodeError::Missing { name: "slug" }));
}

#[test]
fn a_chart_that_ends_before_one_seen_is_old_data_and_changes_nothing() {
    let noon = noon_after(DAY);
    let body = |last: i64, newest: i64| {
        let days = [(last - 2 * DAY_S, 90), (last - DAY_S, 100), (last, newest), (DAY + DAY_S, 5)];
        summary(&days, [Value::Null, Value::Null])
    };
    let mut reader = reader(&["pump.fun"]);
    reader.on_body("pump.fun", &body(DAY, 95), noon).unwrap();
    let before = reader.sample(noon);
    assert_eq!(reader.on_body("pump.fun", &body(DAY - DAY_S, 60), noon), Ok(None));
    let replayed = reader.sample(noon);
    assert_eq!((replayed.state, replayed.reason), (SourceState::Stale, SourceReason::Repeated));
    assert_eq!((replayed.now, replayed.prev, replayed.bucket_end), (before.now, before.prev, before.bucket_end));
    let without_today = summary(&[(DAY - DAY_S, 100), (DAY, 95)], [Value::Null, Value::Null]);
    reader.on_body("pump.fun", &without_today, noon).unwrap();
    assert_eq!(reader.sample(noon), before, "today's partial day says nothing of age");
}

#[test]
fn a_source_that_could_not_be_asked_says_why() {
    let noon = noon_after(DAY);
    let (mut llama, mut pump) = (reader(&["pump.fun"]), pump());
    let unread = (SourceState::Down, SourceReason::Unread);
    assert_eq!((llama.sample(noon).state, llama.sample(noon).reason), unread);
    assert_eq!((pump.sample(noon).state, pump.sample(noon).reason), unread);
    for reason in [SourceReason::Refused, SourceReason::NoAnswer] {
        llama.on_failed("pump.fun", reason);
        pump.on_failed(reason);
        for sample in [llama.sample(noon), pump.sample(noon)] {
            assert_eq!((sample.state, sample.reason), (SourceState::Down, reason));
        }
    }
}

/// What any reader of the file can work out for himself: the days on which both protocols are told and their sum is
/// below 70 % of the day before's, but for days that repeat a protocol's day before.
fn days_that_fell(raw: &[u8]) -> Vec<i64> {
    let raw: Value = serde_json::from_slice(raw).unwrap();
    let mut days: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for day in raw["totalDataChartBreakdown"].as_array().unwrap() {
        if let (Some(curve), Some(amm)) = (day[1]["pump.fun"].as_f64(), day[1]["PumpSwap"].as_f64()) {
            days.insert(day[0].as_i64().unwrap(), (curve, amm));
        }
    }
    let fell = |(day, (curve, amm)): (&i64, &(f64, f64))| {
        let (old_curve, old_amm) = days.get(&(day - 86_400))?;
        let is_filled = curve == old_curve || amm == old_amm;
        let is_plausible = old_curve + old_amm > 20e6 && *curve > 0.0 && *amm > 0.0;
        ((curve + amm) / (old_curve + old_amm) < 0.7 && !is_filled && is_plausible).then_some(*day)
    };
    days.iter().filter_map(fell).collect()
}

#[test]
fn the_recorded_history_lived_day_by_day_signals_on_exactly_the_days_that_fell() {
    let Some(raw) = capture("defillama/overview-dexs-solana.json.gz") else { return };
    let raw = unzipped(&raw);
    let (curve, amm) = (recorded_days(&raw, "pump.fun"), recorded_days(&raw, "PumpSwap"));
    let first = curve[0].0.max(amm[0].0) + DAY_S;
    let last = curve[curve.len() - 1].0.min(amm[amm.len() - 1].0);
    let mut reader = reader(&["pump.fun", "pumpswap"]);
    let setup = SignalSetup { definition: VolumeDefinition::UtcDay, rsi_period: 14, candle_s: 300 };
    let (mut signal, mut told) = (Signal::new(setup), Vec::new());
    for day in (first..=last).step_by(DAY_S as usize) {
        for hour in [1, 3, 12] {
            let now = Time((day + DAY_S) * NANOS_PER_SEC + hour * HOUR_NS);
            reader.on_body("pump.fun", &answer_of(&curve, day), now).unwrap();
            reader.on_body("pumpswap", &answer_of(&amm, day), now).unwrap();
            signal.on_volume(StreamId::DefiLlama, &reader.sample(now), now);
            let view = signal.volume(now, &crate::rules::params());
            let says = view.state == SourceState::Ok && view.drop_is_above(Ratio(30_000_000));
            assert!(!says || hour > 1, "before the day has settled");
            if says && told.last() != Some(&day) {
                told.push(day);
            }
        }
    }
    let expected = days_that_fell(&raw);
    assert_eq!(told, expected);
    assert!(expected.len() >= 5, "{} days fell", expected.len());
    println!("{} of {} days fell by more than 30 %", told.len(), (last - first) / DAY_S + 1);
}

fn pump_body(usd: &str) -> Vec<u8> {
    format!(r#"{{"pools":[{{"a/b":{{"volumeUSD":{usd}}}}}]}}"#).into_bytes()
}

fn pump() -> pumpfun::Reader {
    pumpfun::Reader::new("/pools/0/a~1b/volumeUSD", HOUR_NS).unwrap()
}

/// Polls every minute for `hours`, starting at noon with `usd(minute)`.
fn polled(hours: i64, usd: impl Fn(i64) -> i64) -> (pumpfun::Reader, Time) {
    let (mut reader, start) = (pump(), noon_after(DAY));
    let at = |minute: i64| start.plus(minute * 60 * NANOS_PER_SEC);
    for minute in 0..=hours * 60 {
        reader.on_body(&pump_body(&usd(minute).to_string()), at(minute)).unwrap();
    }
    (reader, at(hours * 60))
}

#[test]
fn pumpfun_has_no_ratio_before_a_day_and_then_compares_with_the_reading_of_a_day_ago() {
    let (reader, now) = polled(23, |minute| 90_000_000 + minute);
    assert_eq!(reader.sample(now).state, SourceState::Missing);
    assert_eq!(reader.warm_up_ns(now), 45 * 60 * NANOS_PER_SEC);
    let (reader, now) = polled(60, |minute| 90_000_000 + minute);
    let sample = reader.sample(now);
    assert_eq!(told(&sample), (SourceState::Ok, 90_003_600, 90_003_600 - 1_440));
    assert_eq!((sample.definition, sample.bucket_end), (VolumeDefinition::Sampled24, now));
    assert_eq!((reader.warm_up_ns(now), reader.readings().count()), (0, pumpfun::READINGS_MAX));
    assert_eq!(reader.sample(now.plus(HOUR_NS + 1)).state, SourceState::Stale);
}

#[test]
fn pumpfun_readings_survive_a_restart_and_a_hole_of_a_day_ago_leaves_no_ratio() {
    let (before, stopped) = polled(30, |minute| 90_000_000 + minute);
    let restarted = |gap_ns: i64| {
        let mut reader = pump();
        reader.restore(before.readings());
        let now = stopped.plus(gap_ns);
        reader.on_body(&pump_body("60000000"), now).unwrap();
        reader.sample(now).state
    };
    assert_eq!(restarted(HOUR_NS), SourceState::Ok);
    assert_eq!(restarted(24 * HOUR_NS + 15 * 60 * NANOS_PER_SEC), SourceState::Ok);
    assert_eq!(restarted(24 * HOUR_NS + 16 * 60 * NANOS_PER_SEC), SourceState::Missing);
}

#[test]
fn a_pumpfun_number_that_stands_still_is_filled() {
    let (reader, now) = polled(30, |minute| 90_000_000 + minute.min(29 * 60 + 31));
    assert_eq!(reader.sample(now).state, SourceState::Ok);
    let (reader, now) = polled(30, |minute| 90_000_000 + minute.min(29 * 60 + 30));
    assert_eq!(reader.sample(now).state, SourceState::Filled);
}

#[test]
fn pumpfun_answers_of_no_use_have_their_state() {
    let at = noon_after(DAY);
    use {SourceReason as Why, SourceState as State};
    for (body, state, reason) in [
        (pump_body("0"), State::Missing, Why::NoValue),
        (pump_body("null"), State::Missing, Why::NoValue),
        (b"{\"pools\":[]}".to_vec(), State::Missing, Why::NoValue),
        (b"[]".to_vec(), State::Missing, Why::NoValue),
        (pump_body("-1"), State::Suspect, Why::Implausible),
        (pump_body("\"NaN\""), State::Suspect, Why::Implausible),
        (pump_body("1e30"), State::Suspect, Why::Implausible),
        (pump_body("NaN"), State::Down, Why::Unreadable),
        (b"<html>Just a moment...</html>".to_vec(), State::Down, Why::Unreadable),
    ] {
        let mut reader = pump();
        assert!(reader.on_body(&body, at).is_err());
        let sample = reader.sample(at);
        assert_eq!((sample.state, sample.reason), (state, reason), "{}", String::from_utf8_lossy(&body));
    }
    assert!(pumpfun::Reader::new("volume", 1).is_err());
    assert_eq!(pumpfun::Reader::new("", 1).unwrap().on_body(b" 61234567.5 ", at), Ok(Notional(6_123_456_750_000_000)));
}
