//! What others hand in for the time that nobody of us heard.

use super::desk::{Rig, SECOND, START_S, at, price};
use serde_json::{Value, json};
use sol_volume_bot::types::chain::BucketSource;
use sol_volume_bot::types::event::{SourceReason, SourceState};
use sol_volume_bot::types::{Notional, Price, Time};
use sol_volume_bot::venue::pumpchain::backfill::{BackfillError, HourRow, bitquery, dune};
use sol_volume_bot::venue::pumpchain::{Venues, backfill};

const HOUR_S: i64 = 3_600;
/// 18:00 of the start's day.
const FULL_S: i64 = START_S - 1_800;

fn rfc(seconds: i64) -> String {
    let day = seconds.div_euclid(86_400) - 20_779; // 2026-11-22 is day 20 779
    format!("2026-11-{:02}T{:02}:{:02}:00Z", 22 + day, seconds.rem_euclid(86_400) / 3_600, seconds % 3_600 / 60)
}

/// Bitquery's answer of 49 hours up to `FULL_S`: the newer 24 at `newer`, the others at 1 000 000 USD.
fn hours(newer: &str) -> String {
    let rows: Vec<Value> = (1..=49)
        .rev()
        .map(|ago| {
            let usd = if ago <= 24 { newer } else { "1000000.00" };
            json!({"Block": {"Time": rfc(FULL_S - ago * HOUR_S)}, "usd": usd, "trades": "24000"})
        })
        .collect();
    json!({"data": {"Solana": {"DEXTradeByTokens": rows}}}).to_string()
}

fn read(body: &str) -> Result<Vec<HourRow>, BackfillError> {
    bitquery::rows(200, body.as_bytes(), bitquery::Grain::Hour, at(FULL_S - 49 * HOUR_S), at(FULL_S))
}

fn at_150(_: Time) -> Option<Price> {
    Some(price("150"))
}

#[test]
fn the_first_48_hours_are_filled_and_count_as_covered() {
    let mut rig = Rig::new(Venues::CurveAndAmm);
    rig.now = at(FULL_S).plus(20 * 60 * SECOND);
    let (since, till) = rig.session.backfill_wanted(rig.now).expect("everything is missing");
    assert_eq!((since, till), (at(FULL_S - 48 * HOUR_S), at(FULL_S)));
    let rows = read(&hours("690000.00")).expect("rows");
    assert_eq!(rows.len(), 49);
    let filled = rig.session.on_backfill(BucketSource::Bitquery, &rows, rig.now, at_150);
    assert_eq!(filled, 49 * 12);
    assert_eq!(rig.session.backfill_wanted(rig.now), None);
    let sample = rig.session.buckets().window(at(FULL_S + 15));
    assert_eq!((sample.state, sample.reason), (SourceState::Ok, SourceReason::None));
    assert_eq!((sample.now.to_string(), sample.prev.to_string()), ("16560000".into(), "24000000".into()));
    assert_eq!(sample.now_sol.0 / 1_000_000_000, 16_560_000 / 150 - 1, "rounded down, bucket by bucket");
    let bucket = rig.session.buckets().get(at(FULL_S - 300)).expect("filled");
    assert_eq!((bucket.source, bucket.trades, bucket.gap_ms), (BucketSource::Bitquery, 2_000, 0));
    let is_theirs = |ago: &i64| {
        let bucket = rig.session.buckets().get(at(FULL_S - 300 * ago));
        bucket.is_some_and(|bucket| bucket.source != BucketSource::Counted)
    };
    assert_eq!([1..=288, 289..=576].map(|window| window.filter(is_theirs).count()), [288, 288]);
}

#[test]
fn an_hour_whose_price_is_not_known_is_asked_for_again() {
    let mut rig = Rig::new(Venues::CurveAndAmm);
    rig.now = at(FULL_S).plus(20 * 60 * SECOND);
    let rows = read(&hours("690000")).expect("rows");
    let dear = at(FULL_S - 24 * HOUR_S);
    let filled =
        rig.session.on_backfill(BucketSource::Bitquery, &rows, rig.now, |at| at_150(at).filter(|_| at >= dear));
    assert_eq!(filled, 24 * 12);
    assert_eq!(rig.session.backfill_wanted(rig.now), Some((at(FULL_S - 48 * HOUR_S), dear)));
    assert_eq!(rig.session.buckets().window(at(FULL_S + 15)).state, SourceState::Missing);
}

#[test]
fn an_hour_that_does_not_divide_by_twelve_is_filled_to_the_last_part() {
    let mut rig = Rig::new(Venues::CurveAndAmm);
    let row = HourRow { start: at(FULL_S - HOUR_S), span_s: HOUR_S, usd: Notional(100_000_000_000_007), trades: 7 };
    assert_eq!(rig.session.on_backfill(BucketSource::Dune, &[row], rig.now, at_150), 12);
    let buckets: Vec<_> =
        (0..12).filter_map(|part| rig.session.buckets().get(row.start.plus(part * 300 * SECOND))).collect();
    assert_eq!(buckets.iter().map(|bucket| bucket.usd_e17).sum::<i128>(), 100_000_000_000_007_000_000_000);
    assert_eq!(buckets.iter().map(|bucket| bucket.trades).sum::<u32>(), 7);
}

#[test]
fn own_whole_buckets_keep_their_numbers_and_gappy_ones_are_filled() {
    let mut rig = Rig::connected(Venues::Curve);
    rig.now = at(FULL_S - HOUR_S + 200); // the first bucket is not heard wholly
    rig.connect(1);
    rig.live(100 * 60 * SECOND);
    let own = rig.session.buckets().get(at(FULL_S - 300)).expect("counted");
    assert!(own.is_whole() && own.source == BucketSource::Counted);
    assert_eq!(rig.session.backfill_wanted(rig.now), Some((at(FULL_S - 48 * HOUR_S), at(FULL_S))));
    let rows = read(&hours("690000")).expect("rows");
    let filled = rig.session.on_backfill(BucketSource::Bitquery, &rows, rig.now, at_150);
    assert_eq!(filled, 48 * 12 + 1, "of the last hour the first bucket only");
    let get = |second: i64| rig.session.buckets().get(at(second)).expect("there");
    assert_eq!(get(FULL_S - HOUR_S).source, BucketSource::Bitquery);
    assert_eq!(get(FULL_S - 300), own);
    assert_eq!(
        rig.session.on_backfill(BucketSource::Dune, &rows, rig.now, at_150),
        48 * 12 + 1,
        "the newer word counts"
    );
    rig.curve(5);
    assert_eq!(rig.session.backfill_wanted(rig.now), None);
    let wanted = rig.session.take_closed(rig.now).filter(|bucket| bucket.source == BucketSource::Dune).count();
    assert_eq!(wanted, 48 * 12 + 1, "what was filled is kept over a restart, with its name");
}

#[test]
fn an_hour_that_is_not_over_or_is_empty_fills_nothing() {
    let mut rig = Rig::new(Venues::CurveAndAmm);
    let row = |start: i64, usd: i64| HourRow { start: at(start), span_s: HOUR_S, usd: Notional(usd), trades: 1 };
    let rows = [row(FULL_S, 1_000), row(FULL_S - HOUR_S, 0), row(FULL_S - HOUR_S, -5), row(FULL_S - 100 * HOUR_S, 5)];
    rig.now = at(FULL_S + 14);
    assert_eq!(rig.session.on_backfill(BucketSource::Bitquery, &rows, rig.now, at_150), 0);
    let body = json!({"data": {"Solana": {"DEXTradeByTokens": [
        {"Block": {"Time": rfc(FULL_S)}, "usd": "1", "trades": "1"},
        {"Block": {"Time": rfc(FULL_S - 50 * HOUR_S)}, "usd": "1", "trades": "1"},
        {"Block": {"Time": rfc(FULL_S - HOUR_S)}, "usd": "1.5", "trades": "1"},
        {"Block": {"Time": rfc(FULL_S - HOUR_S)}, "usd": 2.25, "trades": 2},
    ]}}});
    let expected = HourRow { start: at(FULL_S - HOUR_S), span_s: HOUR_S, usd: Notional(375_000_000), trades: 3 };
    assert_eq!(read(&body.to_string()), Ok(vec![expected]), "two currencies of an hour are one hour");
}

#[test]
fn a_single_total_stands_for_the_window_that_was_asked() {
    let body = br#"{"data":{"Solana":{"DEXTradeByTokens":[{"usd":"61234567.12","trades":"1234567"}]}}}"#;
    let rows = bitquery::rows(200, body, bitquery::Grain::Hour, at(FULL_S - 24 * HOUR_S), at(FULL_S));
    let expected = HourRow {
        start: at(FULL_S - 24 * HOUR_S),
        span_s: 24 * HOUR_S,
        usd: Notional(6_123_456_712_000_000),
        trades: 1_234_567,
    };
    assert_eq!(rows, Ok(vec![expected]));
}

#[test]
fn refusals_and_answers_that_are_none_say_why() {
    let asked = |status: u16, body: &str| {
        bitquery::rows(status, body.as_bytes(), bitquery::Grain::Hour, at(FULL_S - HOUR_S), at(FULL_S))
    };
    assert_eq!(asked(402, ""), Err(BackfillError::PlanLimit));
    assert_eq!(asked(429, "slow down"), Err(BackfillError::TooMany));
    assert_eq!(asked(401, "{}"), Err(BackfillError::Refused { status: 401 }));
    assert_eq!(asked(200, r#"{"errors":[{"message":"no such field"}]}"#), Err(BackfillError::Query));
    assert_eq!(asked(200, r#"{"data":null,"errors":[{"message":"limit"}]}"#), Err(BackfillError::Query));
    for body in ["", "<html>", "{}", r#"{"data":{"Solana":null}}"#] {
        assert!(matches!(asked(200, body), Err(BackfillError::Unreadable(_))), "{body}");
    }
    for usd in ["\"-1\"", "\"NaN\"", "\"1e99\"", "true"] {
        let body = format!(r#"{{"data":{{"Solana":{{"DEXTradeByTokens":[{{"usd":{usd}}}]}}}}}}"#);
        assert!(matches!(asked(200, &body), Err(BackfillError::Unreadable(_))), "{usd}");
    }
    for time in
        ["2262-01-01T00:00:00Z", "yesterday", "2026-13-01T00:00:00Z", "2026-11-22 07:0x:00", "0000-00-00T00:00:00Z"]
    {
        let body =
            json!({"data": {"Solana": {"DEXTradeByTokens": [{"Block": {"Time": time}, "usd": "1"}]}}}).to_string();
        assert!(matches!(asked(200, &body), Err(BackfillError::Unreadable(_))), "{time}");
    }
}

#[test]
fn the_request_asks_for_both_programs_and_the_side_of_money_only() {
    let body = bitquery::request(
        Venues::CurveAndAmm,
        bitquery::Grain::FiveMinutes,
        "2026-11-20T18:00:00Z",
        "2026-11-22T18:00:00Z",
    );
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["variables"]["since"], "2026-11-20T18:00:00Z");
    let query = body["query"].as_str().expect("a query");
    for part in
        [super::desk::CURVE, super::desk::AMM, "So11111111111111111111111111111111111111112", "{count: 5, in: minutes}"]
    {
        assert!(query.contains(part), "{part}");
    }
    assert_eq!(query.matches('{').count(), query.matches('}').count());
}

#[test]
fn dunes_newest_hour_says_how_fresh_it_is_and_fills_nothing() {
    let row = |hour: i64, usd: Value| json!({"hour": rfc(FULL_S - hour * HOUR_S).replace('T', " ").replace('Z', ".000 UTC"), "usd": usd});
    let body = |state: &str| {
        json!({"execution_id": "01J", "state": state, "result": {"rows":
            [row(3, json!(2_412_345.1)), row(1, json!(99.5)), row(2, json!("1000000"))], "metadata": {}}})
        .to_string()
    };
    let answer = dune::answer(200, body("QUERY_STATE_COMPLETED").as_bytes()).expect("rows");
    assert_eq!(answer.newest, Some(at(FULL_S - HOUR_S)));
    let rows: Vec<(Time, i64)> = answer.rows.iter().map(|row| (row.start, row.usd.0)).collect();
    assert_eq!(rows, [(at(FULL_S - 3 * HOUR_S), 241_234_510_000_000), (at(FULL_S - 2 * HOUR_S), 100_000_000_000_000)]);
    assert_eq!(dune::answer(200, body("QUERY_STATE_EXECUTING").as_bytes()), Err(BackfillError::NotComplete));
    assert_eq!(dune::answer(429, b""), Err(backfill::BackfillError::TooMany));
}
