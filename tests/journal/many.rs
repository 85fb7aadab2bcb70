//! More records than a busy week has.

use crate::desk::*;
use sol_volume_bot::ledger::journal::{Entry, Reader, Writer};

/// As the project promises; `RECORDS` from the environment asks for another number.
const RECORDS: u64 = 10_000_000;
/// What a cold turn hands over at most.
const BATCH: u64 = 4_096;

#[test]
fn ten_million_records_are_written_and_read_back_in_order() {
    let records = std::env::var("RECORDS").ok().and_then(|text| text.parse().ok()).unwrap_or(RECORDS);
    let folder = Folder::within(env!("CARGO_TARGET_TMPDIR"), "many"); // 800 MB: not for a disk in memory
    let mut writer: Writer = written(settings(&folder.0, 64 << 20), 7, &[]);
    for seq in 1..=records {
        writer.event(&bbo(seq));
        if seq % BATCH == 0 {
            writer.flush(NOON).expect("room");
        }
    }
    writer.finish(NOON).expect("room");
    assert_eq!(writer.dropped(), 0);
    let mut seq = 0;
    for entry in Reader::open(&folder.0).expect("there").skip(1) {
        seq += 1;
        assert_eq!(entry, Ok(Entry::Event(bbo(seq))));
    }
    assert_eq!(seq, records);
}
