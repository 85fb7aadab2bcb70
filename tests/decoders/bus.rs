//! Samples as other machines publish them, each read as every stream that the bus can carry.

use crate::{Errors, decoder, texts};
use sol_volume_bot::types::Time;
use sol_volume_bot::types::time::NANOS_PER_DAY;
use sol_volume_bot::venue::bus::{BusSession, STREAMS, SampleError, decode};

/// 2026-11-22T18:30:01Z.
const NOW: Time = Time(1_795_372_201_000_000_000);
const SAMPLES: [&str; 8] = [
    r#"{"ts":"2026-11-22T18:30:00Z","def":"utc_day","state":"OK","now":"270400000","prev":426200000.5,"now_sol":1600000.123456789,"bucket_end":"2026-11-22T00:00:00Z"}"#,
    r#"{"ts":1795372200000000000,"def":"rolling24","now":69e6,"prev":"100000000.00","bucket_end":1795372200000000000,"from":{"x":[1]}}"#,
    r#"{"ts":"2026-11-22T19:30:00.25+01:00","def":"sampled24","state":"STALE","now":5,"prev":7,"now_sol":null,"bucket_end":"2026-11-22 18:29:00z"}"#,
    r#"{"ts":1795372200000000000,"slot":405112233,"parent":405112232,"root":405112201}"#,
    r#"{"ts":"1795372200000000000","bid":"161.00","bid_qty":1,"ask":161.01,"ask_qty":"2.5","update_id":400000017}"#,
    r#"{"ts":1795372200000000000,"price":161.01,"qty":"2.500000000","side":"sell","trade_id":900001}"#,
    r#"{"ts":1795372200000000000,"open_time":"2026-11-22T18:25:00Z","open":161,"high":161.5,"low":"160.25","close":161,"volume":905.5,"interval_s":300}"#,
    r#"{"ts":1795372200000000000,"slot":405112233,"bid":142.36,"bid_qty":3,"ask":"142.37","ask_qty":12.5,"bid_depth":4.5,"ask_depth":12.5}"#,
];

/// The byte that an error of a sample names.
fn at(error: &SampleError) -> Option<usize> {
    match error {
        SampleError::Frame(why) => why.at(),
        SampleError::Bad { at, .. } => Some(*at),
        SampleError::Missing { .. } | SampleError::Twice { .. } | SampleError::Contradiction { .. } => None,
    }
}

decoder!(samples, texts(SAMPLES), {
    let fresh = BusSession::new(&STREAMS.map(|stream| (stream, NANOS_PER_DAY)));
    move |bytes: &[u8], errors: &mut Errors| {
        let mut session = fresh.clone();
        session.on_open();
        let mut is_read = false;
        for stream in STREAMS {
            errors.note(decode(stream, bytes), at);
            is_read |= session.on_message(stream, bytes, NOW, &mut |_| {}).is_ok();
        }
        session.on_timer(NOW.plus(1), &mut |_| {});
        is_read
    }
});
