//! Rolling numbers against our own readings of a day ago: CoinGecko's list, leaps, spikes, and times that cannot be.

use serde_json::json;
use sol_volume_bot::types::event::{SourceReason, SourceState, VolumeDefinition};
use sol_volume_bot::types::time::{NANOS_PER_DAY, NANOS_PER_SEC};
use sol_volume_bot::types::{Notional, Time};
use sol_volume_bot::venue::coingecko;
use sol_volume_bot::venue::sampled::{Reading, Sampled};

use crate::USD;
use crate::rules::NOON;

const MINUTE_NS: i64 = 60 * NANOS_PER_SEC;
type Judged = (SourceState, SourceReason);
const OK: Judged = (SourceState::Ok, SourceReason::None);
const LEAPT: Judged = (SourceState::Suspect, SourceReason::Implausible);
const FROZEN: Judged = (SourceState::Filled, SourceReason::Repeated);

pub fn rfc3339(at: Time) -> String {
    let since = std::time::Duration::from_nanos(at.0.unsigned_abs());
    humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + since).to_string()
}

/// The list as CoinGecko sends it, `volume` and `updated` as JSON.
pub fn categories(volume: &str, updated: &str) -> Vec<u8> {
    let other = json!({"id": "pump-fun", "name": "Pump.fun Ecosystem", "volume_24h": null, "updated_at": null});
    format!(
        r#"[{other},{{"id":"solana-meme-coins","name":"Solana Meme","market_cap":3.1e9,"content":"","top_3_coins":[],
            "volume_24h":{volume},"updated_at":{updated}}}]"#
    )
    .into_bytes()
}

fn told_at(musd: i64, at: Time) -> Vec<u8> {
    categories(&format!("{}.5", musd * 1_000_000), &format!("\"{}\"", rfc3339(at)))
}

/// A reader that has read 1000 M or so every ten minutes for 25 hours up to noon.
fn gecko() -> coingecko::Reader {
    let mut reader = coingecko::Reader::new(coingecko::CATEGORY);
    for ago in (0..=150).rev() {
        let at = NOON.plus(-ago * 10 * MINUTE_NS);
        reader.on_body(&told_at(1_000 + ago % 3, at), at.plus(MINUTE_NS)).expect("a list");
    }
    reader
}

fn judged(reader: &coingecko::Reader, now: Time) -> Judged {
    let sample = reader.sample(now);
    (sample.state, sample.reason)
}

#[test]
fn coingecko_is_compared_with_its_own_number_of_a_day_ago_and_is_as_old_as_it_says() {
    let mut reader = gecko();
    let now = NOON.plus(10 * MINUTE_NS);
    reader.on_body(&told_at(900, now), now.plus(MINUTE_NS)).expect("a list");
    let sample = reader.sample(now.plus(MINUTE_NS));
    assert_eq!((sample.definition, sample.state), (VolumeDefinition::Sampled24, SourceState::Ok));
    assert_eq!((sample.now, sample.prev), (Notional(90_000_000_050_000_000), Notional(100_100_000_050_000_000)));
    assert_eq!((sample.bucket_end, sample.as_of), (now, now), "its time, not ours");
    let stale = (SourceState::Stale, SourceReason::TooOld);
    assert_eq!(judged(&reader, now.plus(30 * MINUTE_NS)), OK);
    assert_eq!(judged(&reader, now.plus(30 * MINUTE_NS + 1)), stale);
    reader.on_body(&told_at(900, now), now.plus(40 * MINUTE_NS)).expect("the same list again");
    assert_eq!(judged(&reader, now.plus(40 * MINUTE_NS)), stale, "asking again makes it no younger");
}

#[test]
fn coingecko_has_no_ratio_before_a_day_unless_earlier_readings_are_handed_back() {
    let mut fresh = coingecko::Reader::new(coingecko::CATEGORY);
    assert_eq!(judged(&fresh, NOON), (SourceState::Down, SourceReason::Unread));
    fresh.on_body(&told_at(900, NOON), NOON).expect("a list");
    assert_eq!(judged(&fresh, NOON), (SourceState::Missing, SourceReason::WarmingUp));
    let mut restarted = coingecko::Reader::new(coingecko::CATEGORY);
    restarted.restore(gecko().readings());
    let now = NOON.plus(10 * MINUTE_NS);
    restarted.on_body(&told_at(900, now), now).expect("a list");
    assert_eq!((judged(&restarted, now), restarted.warm_up_ns(now)), (OK, 0));
}

#[test]
fn each_answer_of_coingecko_that_is_of_no_use_has_its_state_until_the_next_good_one() {
    let now = NOON.plus(10 * MINUTE_NS);
    let at = |ns: i64| format!("\"{}\"", rfc3339(now.plus(ns)));
    let list = |volume: &str| categories(volume, &at(0));
    let twice = format!(
        "[{}]",
        [list("700000000"), list("1")]
            .map(|body| String::from_utf8(body).expect("text").trim_matches(['[', ']']).to_owned())
            .join(",")
    );
    let missing = (SourceState::Missing, SourceReason::NoValue);
    let torn = (SourceState::Suspect, SourceReason::Contradiction);
    let down = (SourceState::Down, SourceReason::Unreadable);
    for (body, expected) in [
        (list("null"), missing),
        (list("0"), missing),
        (b"[]".to_vec(), missing),
        (categories("700000000", "null"), missing),
        (list("-700000000"), LEAPT),
        (list("\"NaN\""), LEAPT),
        (list("7e30"), LEAPT),
        (list("NaN"), down),
        (categories("700000000", "\"yesterday\""), torn),
        (categories("700000000", &at(121 * NANOS_PER_SEC)), torn),
        (twice.into_bytes(), torn),
        (b"{\"status\":{\"error_code\":429,\"error_message\":\"slow down\"}}".to_vec(), down),
        (b"<html>Just a moment...</html>".to_vec(), down),
        (b"".to_vec(), down),
    ] {
        let mut reader = gecko();
        assert!(reader.on_body(&body, now).is_err(), "{}", String::from_utf8_lossy(&body));
        assert_eq!(judged(&reader, now), expected, "{}", String::from_utf8_lossy(&body));
        assert_eq!(reader.sample(now).now, Notional(100_000_000_050_000_000), "the last good number");
        reader.on_body(&told_at(900, now), now).expect("a list");
        assert_eq!(judged(&reader, now), OK);
    }
    let mut reader = gecko();
    reader.on_body(&told_at(900, NOON.plus(-MINUTE_NS)), now).expect("an older list");
    assert_eq!(judged(&reader, now), (SourceState::Stale, SourceReason::Repeated), "its time fell back");
    for reason in [SourceReason::Refused, SourceReason::NoAnswer] {
        reader.on_failed(reason);
        assert_eq!(judged(&reader, now), (SourceState::Down, reason));
    }
}

/// 100 M and a little more with every one of `minutes`, then whatever comes.
fn calm(minutes: i64) -> (Sampled, Time) {
    let (mut sampled, start) = (Sampled::new(NANOS_PER_DAY), NOON);
    for minute in 0..minutes {
        sampled.take(Reading { at: start.plus(minute * MINUTE_NS), usd: Notional((100_000_000 + minute) * USD) });
    }
    (sampled, start.plus(minutes * MINUTE_NS))
}

fn told(sampled: &Sampled, now: Time) -> Judged {
    (sampled.sample(now).state, sampled.sample(now).reason)
}

#[test]
fn a_rolling_day_moves_no_faster_than_by_itself_in_an_hour() {
    // The newest believed number, 100 001 560, is so many minutes old; 2 % more is what providers round and restate.
    for (minutes, usd, expected) in [
        (1, 103_668_283, OK), // 1/60 + 2 %
        (1, 103_668_284, LEAPT),
        (1, 96_464_528, OK),
        (1, 96_464_527, LEAPT),
        (1, 60_000_000, LEAPT), // what a day ago was, told again
        (30, 152_002_371, OK),
        (30, 152_002_372, LEAPT),
        (30, 65_790_500, OK),
        (30, 65_790_499, LEAPT),
        (60, 202_003_151, OK),
        (60, 202_003_152, LEAPT),
        (60, 1, LEAPT),
        (61, 1, OK),
    ] {
        let (mut sampled, next) = calm(1_561);
        let now = next.plus((minutes - 1) * MINUTE_NS);
        let leap = Reading { at: now, usd: Notional(usd * USD) };
        sampled.take(leap);
        assert_eq!(told(&sampled, now), expected, "{usd} after {minutes} minutes");
        assert_eq!(sampled.latest() == Some(leap), expected == OK, "{usd} after {minutes} minutes");
    }
}

#[test]
fn a_leap_that_persists_is_believed_when_it_could_be_a_markets_and_never_remembered_before() {
    for (usd, minutes) in [(60_000_000, 39), (90_000_000, 6), (100_000, 61), (90_000_000_000, 61)] {
        let (mut sampled, start) = calm(1_561);
        let doubted = |now: Time, sampled: &mut Sampled| {
            sampled.take(Reading { at: now, usd: Notional(usd * USD) });
            told(sampled, now) == LEAPT
        };
        for minute in 1..minutes {
            let now = start.plus((minute - 1) * MINUTE_NS);
            assert!(doubted(now, &mut sampled), "{usd} persists for {minute} minutes");
        }
        assert!(sampled.readings().all(|kept| kept.usd.0 > 99_000_000 * USD && kept.usd.0 < 101_000_000 * USD));
        let now = start.plus((minutes - 1) * MINUTE_NS);
        assert!(!doubted(now, &mut sampled), "{usd} after {minutes} minutes");
        let expected = if minutes > 30 { FROZEN } else { OK };
        assert_eq!(told(&sampled, now), expected, "{usd} stood still since it was first told");
    }
}

#[test]
fn many_small_steps_go_no_faster_than_one_large_one() {
    for (step_s, least_s, most_s) in [(1, 900, 1_800), (60, 900, 1_800)] {
        let (mut sampled, start) = calm(1_561);
        let (mut usd, mut now) = (100_001_560_i64, start);
        while usd > 69_000_000 && now.since(start) < 7_200 * NANOS_PER_SEC {
            now = now.plus(step_s * NANOS_PER_SEC);
            let lower = Reading { at: now, usd: Notional((usd - usd / 55) * USD) }; // 1.8 % at once
            sampled.take(lower);
            if sampled.latest() == Some(lower) {
                usd -= usd / 55;
            }
        }
        let took_s = now.since(start) / NANOS_PER_SEC;
        assert!((least_s..most_s).contains(&took_s), "31 % lower in {took_s} s, by steps each {step_s} s");
    }
}

#[test]
fn one_spiked_poll_is_not_remembered_as_the_volume_of_a_day_ago() {
    let (mut sampled, _) = calm(1_560);
    let mut spiked = Sampled::new(NANOS_PER_DAY);
    for reading in sampled.readings().collect::<Vec<_>>() {
        let is_spike = reading.at == NOON.plus(120 * MINUTE_NS);
        spiked.take(Reading { usd: Notional(if is_spike { reading.usd.0 * 4 } else { reading.usd.0 }), ..reading });
    }
    let now = NOON.plus(NANOS_PER_DAY + 120 * MINUTE_NS);
    for sampled in [&mut sampled, &mut spiked] {
        sampled.take(Reading { at: now, usd: Notional(99_000_000 * USD) });
        assert_eq!(sampled.sample(now).prev.0 / (1_000 * USD), 100_000, "the spike of a day ago is told as its volume");
    }
}

#[test]
fn a_number_that_stands_still_ends_its_window_where_it_last_changed_and_then_is_filled() {
    let (mut sampled, last) = calm(1_560);
    let changed = last.plus(-MINUTE_NS);
    let usd = sampled.latest().expect("a reading").usd;
    for minute in 0..40 {
        let now = last.plus(minute * MINUTE_NS);
        sampled.take(Reading { at: now, usd });
        let sample = sampled.sample(now);
        assert_eq!((sample.bucket_end, sample.as_of), (changed, now));
        assert_eq!((sample.state, sample.reason), if minute >= 29 { FROZEN } else { OK }, "{minute}");
    }
}
