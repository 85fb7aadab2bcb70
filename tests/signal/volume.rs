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

fn state_of(body: &[u8], now: Time) -> SourceState {
    let mut reader = reader(&["pump.fun"]);
    let read = reader.on_body("pump.fun", body, now);
    let state = reader.sample(now).state;
    assert_eq!(read.is_err(), matches!(state, SourceState::Down) || body.windows(4).any(|word| word == b"\"x\"]"));
    state
}

#[test]
fn each_fault_of_the_provider_has_its_state() {
    let noon = noon_after(DAY);
    let chart = |before: i64, newest: i64| [(DAY - DAY_S, before), (DAY, newest), (DAY + DAY_S, 1)];
    let totals = |newest: i64, before: i64| [json!(newest), json!(before)];
    let null = || [Value::Null, Value::Null];
    for (body, state) in [
        (summary(&chart(100, 69), totals(69, 100)), SourceState::Ok),
        (summary(&chart(100, 69), null()), SourceState::Ok),
        (summary(&chart(10_000, 6_900), totals(6_969, 10_000)), SourceState::Ok),
        (summary(&chart(10_000, 6_900), totals(6_970, 10_000)), SourceState::Suspect),
        (summary(&chart(10_000, 6_900), totals(6_900, 10_101)), SourceState::Suspect),
        (summary(&chart(100, 100), totals(100, 100)), SourceState::Filled),
        (summary(&chart(100, 0), totals(0, 100)), SourceState::Missing),
        (summary(&chart(100, -69), null()), SourceState::Suspect),
        (summary(&[(DAY, 69)], null()), SourceState::Missing),
        (summary(&[(DAY - 2 * DAY_S, 100), (DAY, 69)], null()), SourceState::Missing),
        (summary(&[(DAY - 2 * DAY_S, 100), (DAY - DAY_S, 69)], null()), SourceState::Stale),
        (summary(&[(DAY + DAY_S, 69)], null()), SourceState::Missing),
        (summary(&[], null()), SourceState::Missing),
        (b"{\"totalDataChart\":[[1795219200,\"x\"]]}".to_vec(), SourceState::Suspect),
        (b"{\"message\":\"Not found\"}".to_vec(), SourceState::Down),
        (b"<!DOCTYPE html><html></html>".to_vec(), SourceState::Down),
        (b"".to_vec(), SourceState::Down),
    ] {
        assert_eq!(state_of(&body, noon), state, "{}", String::from_utf8_lossy(&body));
    }
}

#[test]
fn a_day_is_not_evaluated_before_it_has_settled_and_is_late_at_noon() {
    let midnight = Time((DAY + DAY_S) * NANOS_PER_SEC);
    let mut reader = reader(&["pump.fun"]);
    let body = summary(&[(DAY - DAY_S, 100), (DAY, 69)], [Value::Null, Value::Null]);
    reader.on_body("pump.fun", &body, midnight).unwrap();
    assert_eq!(reader.sample(midnight.plus(2 * HOUR_NS - 1)).state, SourceState::Stale);
    assert_eq!(told(&reader.sample(midnight.plus(2 * HOUR_NS))), (SourceState::Ok, 69, 100));
    assert!(!reader.is_late(midnight.plus(12 * HOUR_NS)));
    let next_day = midnight.plus(NANOS_PER_DAY);
    assert!(!reader.is_late(next_day.plus(12 * HOUR_NS - 1)));
    assert!(reader.is_late(next_day.plus(12 * HOUR_NS)));
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
    let change = Restated { day: DAY / DAY_S, was: Notional(105 * USD), is: Notional(70 * USD) };
    assert_eq!(reader.on_body("pumpswap", &body(70), noon), Ok(Some(change)));
    assert_eq!(told(&reader.sample(noon)), (SourceState::Ok, 130, 200));
    reader.on_failed("pump.fun", SourceReason::NoAnswer);
    assert_eq!(reader.sample(noon).state, SourceState::Down);
    assert_eq!(reader.on_body("raydium", &body(1), noon), Err(DecodeError::Missing { name: "slug" }));
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
    for (body, state) in [
        (pump_body("0"), SourceState::Missing),
        (pump_body("null"), SourceState::Missing),
        (b"{\"pools\":[]}".to_vec(), SourceState::Missing),
        (b"[]".to_vec(), SourceState::Missing),
        (pump_body("-1"), SourceState::Suspect),
        (pump_body("\"NaN\""), SourceState::Suspect),
        (pump_body("1e30"), SourceState::Suspect),
        (pump_body("NaN"), SourceState::Down),
        (b"<html>Just a moment...</html>".to_vec(), SourceState::Down),
    ] {
        let mut reader = pump();
        assert!(reader.on_body(&body, at).is_err());
        assert_eq!(reader.sample(at).state, state, "{}", String::from_utf8_lossy(&body));
    }
    assert!(pumpfun::Reader::new("volume", 1).is_err());
    assert_eq!(pumpfun::Reader::new("", 1).unwrap().on_body(b" 61234567.5 ", at), Ok(Notional(6_123_456_750_000_000)));
}
