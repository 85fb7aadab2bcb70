//! The slow feeds: what others counted, what providers say of volume, and SOL's price of past hours.

use crate::market_frames::KLINES;
use crate::pumpchain_hands::desk::{START_S, at as second};
use crate::{Errors, decoder, texts};
use sol_volume_bot::types::Notional;
use sol_volume_bot::types::event::VolumeSample;
use sol_volume_bot::types::time::NANOS_PER_SEC;
use sol_volume_bot::venue::DecodeError;
use sol_volume_bot::venue::pumpchain::backfill::{BackfillError, bitquery, dune};
use sol_volume_bot::venue::sol_prices::SolPrices;
use sol_volume_bot::venue::{coingecko, defillama, pumpfun};

const HOUR_S: i64 = 3_600;
/// 18:00 of the desk's day.
const FULL_S: i64 = START_S - HOUR_S / 2;

const BITQUERY: [&str; 2] = [
    r#"{"data":{"Solana":{"DEXTradeByTokens":[{"Block":{"Time":"2026-11-22T16:00:00Z"},"usd":"1000000.00","trades":"24000"},{"Block":{"Time":"2026-11-22T16:00:00Z"},"usd":2.25,"trades":2},{"Block":{"Time":"2026-11-22T17:00:00Z"},"usd":"690000.125","trades":"18446744073709551615"}]}},"errors":[]}"#,
    r#"{"data":{"Solana":{"DEXTradeByTokens":[{"usd":"61234567.12","trades":"1234567"}]}}}"#,
];
const DUNE: &str = r#"{"execution_id":"01J","state":"QUERY_STATE_COMPLETED","result":{"rows":[{"hour":"2026-11-22 15:00:00.000 UTC","usd":2412345.1},{"hour":"2026-11-22 17:00:00.000 UTC","usd":99.5},{"hour":"2026-11-22 16:00:00.000 UTC","usd":"1000000"}],"metadata":{}}}"#;
const CATEGORIES: &str = r#"[{"id":"pump-fun","name":"Pump.fun \"Ecosystem\"","market_cap":1.5e9,"volume_24h":null,"updated_at":null},{"id":"solana-meme-coins","name":"Solana Meme","content":"","volume_24h":840000000.5,"updated_at":"2026-11-22T18:29:00.123Z"}]"#;
const SUMMARY: &str = r#"{"name":"pump.fun","total24h":61234567,"total48hto24h":91532319.98630136,"totalDataChart":[[1795046400,"88000000"],[1795132800,91532319.98630136],[1795219200,6.1234567e7],[1795305600,null]]}"#;
const OVERVIEW: &str = r#"{"total24h":1,"protocols":[{"name":"Pump.fun","slug":"pump.fun","module":"pumpdotfun","total24h":61234567.25},{"name":"PumpSwap","slug":"pumpswap","module":null,"total24h":null},{"name":"pump.fun","slug":"pump","module":"pumpfun-app","total24h":5},{"name":"Orca"}]}"#;
const PUMP_FUN: &str = r#"{"1h":[5,6],"24h":{"volumeUSD":61234567.12,"trades":18446744073709551615}}"#;

/// The byte that a filler's error names.
fn at(error: &BackfillError) -> Option<usize> {
    match error {
        BackfillError::Unreadable(why) => why.at(),
        BackfillError::PlanLimit
        | BackfillError::TooMany
        | BackfillError::Refused { .. }
        | BackfillError::Query
        | BackfillError::NotComplete => None,
    }
}

decoder!(bitquery_rows, texts(BITQUERY), |bytes: &[u8], errors: &mut Errors| {
    let (since, till) = (second(FULL_S - 48 * HOUR_S), second(FULL_S));
    errors.note(bitquery::rows(200, bytes, bitquery::Grain::FiveMinutes, since, till), at);
    let rows = errors.note(bitquery::rows(200, bytes, bitquery::Grain::Hour, since, till), at);
    rows.is_some_and(|rows| !rows.is_empty())
});

decoder!(dune_answer, texts([DUNE]), |bytes: &[u8], errors: &mut Errors| {
    errors.note(dune::answer(200, bytes), at).is_some_and(|answer| answer.rows.len() == 2)
});

decoder!(coingecko_list, texts([CATEGORIES]), |bytes: &[u8], errors: &mut Errors| {
    let (mut reader, now) = (coingecko::Reader::new(coingecko::CATEGORY), second(START_S));
    let read = errors.note(reader.on_body(bytes, now), DecodeError::at);
    let _ = (reader.sample(now), reader.warm_up_ns(now));
    read.is_some()
});

decoder!(defillama_summary, texts([SUMMARY]), |bytes: &[u8], errors: &mut Errors| {
    let settings = defillama::Settings { slugs: vec!["pump.fun".to_owned()], settle_ns: 0 };
    let (mut reader, now) = (defillama::Reader::new(&settings), second(START_S));
    reader.on_body("pump.fun", SUMMARY.as_bytes(), now).expect("a summary");
    let read = errors.note(reader.on_body("pump.fun", bytes, now), DecodeError::at);
    let _ = (reader.sample(now), reader.is_late(now));
    read.is_some()
});

decoder!(defillama_overview, texts([OVERVIEW]), |bytes: &[u8], errors: &mut Errors| {
    errors.note(defillama::pump_protocols(bytes), DecodeError::at).is_some_and(|found| found.len() == 2)
});

decoder!(pumpfun_number, texts([PUMP_FUN]), |bytes: &[u8], errors: &mut Errors| {
    let now = second(START_S);
    for pointer in ["/1h/1", ""] {
        let mut reader = pumpfun::Reader::new(pointer, NANOS_PER_SEC).expect("a pointer");
        errors.note(reader.on_body(bytes, now), DecodeError::at);
    }
    let mut reader = pumpfun::Reader::new("/24h/volumeUSD", NANOS_PER_SEC).expect("a pointer");
    let read = errors.note(reader.on_body(bytes, now), DecodeError::at);
    let _ = reader.sample(now);
    read.is_some()
});

/// One hour's candle.
fn hour() -> String {
    KLINES.replace("1725383099999", "1725386399999")
}

decoder!(sol_prices, texts([hour()]), |bytes: &[u8], errors: &mut Errors| {
    let (mut prices, end) = (SolPrices::default(), second(START_S).day_start());
    let read = errors.note(prices.on_body(bytes, end), DecodeError::at);
    let volume = Notional(i64::MAX);
    let mut sample = VolumeSample { now: volume, prev: volume, bucket_end: end, ..VolumeSample::UNREAD };
    prices.fill(&mut sample);
    read.is_some() && prices.at(second(1_725_382_800)).is_some()
});
