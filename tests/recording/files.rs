//! What is written is what is read; when a file ends and the next begins.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::read::MultiGzDecoder;
use proptest::prelude::*;
use sol_volume_bot::ledger::recording::{Writer, WriterSettings, is_recording};
use sol_volume_bot::ring::{TapSpec, tap};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::threads::helpers::recorder::Recorder;
use sol_volume_bot::types::Time;

use crate::desk::{Folder, Owned, owned, read, write, writer};

/// 2026-01-15T12:00:00Z.
const NOON: i64 = 1_768_478_400_000_000_000;
const HOUR: i64 = 3_600_000_000_000;

fn any_record() -> impl Strategy<Value = Owned> {
    let source = prop::sample::select(vec!["binance_stream", "solana_ws#2", "defillama:/summary/dexs/pump.fun", "x"]);
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(prop::sample::select(b"\n 0123456789{}x".to_vec()), 0..200),
    ];
    (0..2 * HOUR, source, payload).prop_map(|(after, source, bytes)| owned(NOON + after, source, &bytes))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_of_any_bytes_are_read_as_they_were_written(
        mut records in prop::collection::vec(any_record(), 1..60),
        member_bytes_max in 1_usize..2_000,
        case in any::<u64>(),
    ) {
        records.sort_by_key(|record| record.recv);
        let folder = Folder::new(&format!("round-{case:x}"));
        write(&folder.0, member_bytes_max, &records);
        let back = read(&folder.0);
        prop_assert_eq!((back.error, back.torn), (None, vec![]));
        prop_assert_eq!(back.records, records);
    }
}

#[test]
fn a_file_unpacks_to_greppable_text_that_says_what_it_is() {
    let folder = Folder::new("text");
    write(&folder.0, 1, &[owned(NOON + 5, "binance_stream", b"{\"a\":1}"), owned(NOON + 6, "pumpfun", b"two\nlines")]);
    let file = folder.path("2026-01-15T12-00-00.svr.gz");
    let mut text = String::new();
    MultiGzDecoder::new(std::fs::File::open(&file).expect("it is there")).read_to_string(&mut text).expect("text");
    let wanted = format!(
        "svb-recording 1 2026-01-15T12:00:00Z\n{} binance_stream 7\n{{\"a\":1}}\n{} pumpfun 9\ntwo\nlines\n",
        NOON + 5,
        NOON + 6
    );
    assert_eq!(text, wanted);
    assert!(is_recording(&file) && is_recording(&folder.0));
    std::fs::write(folder.path("other.gz"), b"\x1f\x8b nothing of ours").expect("writable");
    assert!(!is_recording(&folder.path("other.gz")) && !is_recording(&folder.path("absent")));
}

#[test]
fn a_new_hour_begins_a_new_file_and_a_straggler_does_not_go_back() {
    let folder = Folder::new("hours");
    let records = [
        owned(NOON - 2, "a", b"1"),
        owned(NOON - 1, "a", b"2"),
        owned(NOON, "a", b"3"),
        owned(NOON - 1, "b", b"late"),
        owned(NOON + HOUR, "a", b"4"),
    ];
    write(&folder.0, 1_000, &records);
    let names: Vec<String> =
        folder.recordings().iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
    assert_eq!(names, ["2026-01-15T11-59-59.svr.gz", "2026-01-15T12-00-00.svr.gz", "2026-01-15T13-00-00.svr.gz"]);
    assert_eq!(read(&folder.recordings()[1]).records, records[2..4]);
    assert_eq!(read(&folder.0).records, records);
}

#[test]
fn a_full_file_is_followed_by_the_next_of_the_same_second_and_both_are_told() {
    let folder = Folder::new("sizes");
    let settings = WriterSettings { file_bytes_max: 100, member_bytes_max: 1, ..WriterSettings::new(folder.0.clone()) };
    let mut writer = Writer::new(settings).expect("a folder");
    let records: Vec<Owned> = (0..100).map(|n: i64| owned(NOON + n, "a", n.to_string().as_bytes())).collect();
    for record in &records {
        writer.put(Time(record.recv), &record.source, &record.bytes).expect("room");
    }
    writer.finish().expect("room");
    let closed = writer.take_closed();
    assert!(closed.len() > 10, "{}", closed.len());
    assert_eq!(closed.iter().map(|file| file.count.records).sum::<u64>(), 100);
    for file in &closed {
        let size = std::fs::metadata(&file.path).expect("it is there").len();
        assert_eq!(size, file.file_bytes);
        assert_eq!(read(&file.path).records.len() as u64, file.count.records);
    }
    assert_eq!((closed[0].first, closed[closed.len() - 1].last), (Time(NOON), Time(NOON + 99)));
    assert_eq!(read(&folder.0).records, records, "ten and more files of one second are read in order");
}

#[test]
fn an_old_part_is_on_disk_even_if_nothing_more_comes() {
    let folder = Folder::new("age");
    let mut writer = writer(&folder.0, 1_000_000);
    writer.put(Time(NOON), "a", b"1").expect("room");
    writer.tend(Time(NOON + 999_999_999)).expect("room");
    assert_eq!(read(&folder.0).records, []);
    writer.tend(Time(NOON + 1_000_000_000)).expect("room");
    assert_eq!(read(&folder.0).records, [owned(NOON, "a", b"1")], "without finish");
}

#[test]
fn a_secret_in_the_name_of_a_source_reaches_no_file() {
    let folder = Folder::new("secret");
    let name = "solana_ws:/v0?cluster=main&api-key=0a1b2c3d-secret&x=1";
    write(&folder.0, 1_000, &[owned(NOON, name, b"{}")]);
    let back = read(&folder.0).records;
    assert_eq!(back[0].source, "solana_ws:/v0?cluster=main&api-key=-&x=1");
}

#[test]
fn a_recorder_that_does_not_look_costs_frames_and_not_the_time_of_whoever_taps() {
    let folder = Folder::new("slow");
    let (tap, tapped) = tap(TapSpec { frames_max: 8, bytes_max: 1 << 20 });
    // Nobody reads yet: the ninth frame and all after it find no room, and nobody waited.
    (0..20).for_each(|n: i64| tap.frame("binance_stream", Time(NOON + n), n.to_string().as_bytes()));
    assert_eq!(tap.dropped(), 12);
    let files = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&files);
    let keep = |source: &str| source != "unwanted";
    let recorder = Recorder::start(writer(&folder.0, 1_000), tapped, Clock::start(), keep, move |_| {
        told.fetch_add(1, Ordering::SeqCst);
    });
    let recorded = recorder.expect("a thread").stop().expect("a disk that takes it");
    assert_eq!((recorded.dropped, recorded.refused), (12, 0));
    assert_eq!(recorded.sources["binance_stream"].records, 8);
    assert_eq!(files.load(Ordering::SeqCst), 1);
    let back: Vec<i64> = read(&folder.0).records.iter().map(|record| record.recv - NOON).collect();
    assert_eq!(back, (0..8).collect::<Vec<i64>>(), "the first ones are whole and in order");
}
