//! A whole round trip on the chain's own volume, with its provenance, and a restart that goes on counting.

use crate::desk::{FURTHER, all_patient};
use crate::rig::price;

#[test]
fn the_counted_volume_confirmed_by_another_source_enters_and_says_where_it_comes_from() {
    let mut rig = all_patient();
    let status = rig.status();
    for stream in FURTHER {
        assert_eq!(status["streams"][stream]["state"], "up", "{stream}");
        assert_eq!(status["streams"][stream]["needed"], true, "{stream}");
    }
    assert_eq!(status["volumes"]["pump_chain"]["state"], "OK");
    assert_eq!(status["volumes"]["coingecko"]["state"], "MISSING", "its readings do not reach back a day");
    rig.until("trades of the chain are counted where an operator sees them", |rig| {
        rig.metric("svb_chain_events_total", "what=\"trade\"") > 0.0
    });
    rig.enter();
    rig.entered(3);
    rig.venue.set_mid(price("164.00"));
    rig.line("ORDER_DONE", |line| line["purpose"] == "TP1" && line["status"] == "FILLED");
    rig.venue.set_mid(price("166.50"));
    assert_eq!(rig.closed()["exit_reason"], "TAKE_PROFIT");
    let books = rig.checked_stop().unwrap_or_else(|fault| panic!("{fault}"));

    let signals = books.rows("SELECT rules FROM signals WHERE decision = 'ENTER'");
    let rules: serde_json::Value = serde_json::from_str(&signals[0]["rules"]).expect("JSON");
    let text = rules.to_string();
    for wanted in ["rolling24", "pump_chain", "defillama", "bucket_end"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let buckets = books.rows("SELECT * FROM chain_buckets ORDER BY start_ns");
    assert!(buckets.len() >= 570, "two days of five minutes: {}", buckets.len());
    let counted: i64 = buckets
        .iter()
        .filter(|row| row["source"] == "COUNTED")
        .map(|row| row["trades"].parse::<i64>().expect("a number"))
        .sum();
    assert!(counted > 0, "trades of our own are kept");
    let told = rig.venue.chain_truth();
    assert!(counted as u64 <= told.trades, "{counted} of {}", told.trades);
    drop(books);

    // The next run begins with what was kept: the counter need not be asked for two days again.
    rig.venue.fault(sol_volume_bot::sim::server::Fault::Bitquery(402));
    rig.start();
    let status = rig.status();
    assert_eq!(status["volumes"]["pump_chain"]["state"], "OK", "{status}");
    let books = rig.checked_stop().unwrap_or_else(|fault| panic!("{fault}"));
    let again = books.rows("SELECT sum(trades) AS trades FROM chain_buckets WHERE source = 'COUNTED'");
    assert!(again[0]["trades"].parse::<i64>().expect("a number") > counted, "goes on from {counted}: {again:?}");
}
