//! The buckets in the ledger: kept once, read back exactly, forgotten after a week.

use super::desk::{HOUR, START_S, at};
use sol_volume_bot::ledger::{Ledger, Market, Row};
use sol_volume_bot::types::Qty;
use sol_volume_bot::types::chain::{BUCKET_NS, BucketSource, VolumeBucket};
use sol_volume_bot::types::instrument::Symbol;

fn ledger() -> Ledger {
    Ledger::in_memory(Market { venue: "binance_spot", symbol: Symbol::new("SOLUSDT").expect("symbol") }).expect("opens")
}

#[test]
fn a_ledger_of_the_second_version_gains_the_table_and_keeps_its_rows() {
    let dir = std::env::temp_dir().join(format!("svb_chain_buckets_{}", std::process::id()));
    let market = Market { venue: "binance_spot", symbol: Symbol::new("SOLUSDT").expect("symbol") };
    drop(Ledger::open(&dir, market).expect("a new one"));
    let db = rusqlite::Connection::open(dir.join(sol_volume_bot::ledger::DB_FILE)).expect("second connection");
    db.execute_batch("DROP TABLE chain_buckets; PRAGMA user_version = 2; INSERT INTO state VALUES ('epoch', '41')")
        .expect("as the second version left it");
    drop(db);
    let mut ledger = Ledger::open(&dir, market).expect("brought up");
    ledger.push(Row::ChainBucket(bucket(0)));
    ledger.flush().expect("written");
    assert_eq!(ledger.memory().expect("reads").epoch, 41);
    assert_eq!(ledger.chain_buckets_since(at(0)).expect("read"), [bucket(0)]);
    drop(ledger);
    std::fs::remove_dir_all(&dir).expect("removed");
}

fn bucket(number: i64) -> VolumeBucket {
    VolumeBucket {
        start: at(START_S).plus(number * BUCKET_NS),
        source: BucketSource::Counted,
        sol: Qty(4_185_000_000_001),
        usdc_e6: 77_000_001,
        sol_value: Qty(4_185_512_345_678),
        usd_e17: i128::from(i64::MAX) * 1_000_000_007,
        trades: 4_000,
        lost: 3,
        gap_ms: 12_000,
    }
}

#[test]
fn a_bucket_written_twice_is_there_once_with_its_newer_numbers_exactly() {
    let mut ledger = ledger();
    ledger.push(Row::ChainBucket(bucket(0)));
    ledger.push(Row::ChainBucket(bucket(1)));
    ledger.flush().expect("written");
    let newer = VolumeBucket { usd_e17: 5, sol: Qty(1), source: BucketSource::Bitquery, gap_ms: 0, ..bucket(0) };
    ledger.push(Row::ChainBucket(newer));
    ledger.flush().expect("written");
    assert_eq!(ledger.chain_buckets_since(at(START_S)).expect("read"), [newer, bucket(1)]);
    assert_eq!(ledger.chain_buckets_since(at(START_S + 1)).expect("read"), [bucket(1)]);
    assert!(!Row::ChainBucket(newer).is_money());
}

#[test]
fn buckets_older_than_a_week_are_forgotten() {
    let mut ledger = ledger();
    let week = 7 * 24 * HOUR / BUCKET_NS;
    for number in [0, 1, week + 1] {
        ledger.push(Row::ChainBucket(bucket(number)));
    }
    ledger.flush().expect("written");
    assert_eq!(ledger.chain_buckets_since(at(0)).expect("read"), [bucket(1), bucket(week + 1)]);
}
