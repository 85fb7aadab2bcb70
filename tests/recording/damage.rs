//! Files that a sudden end cut or a disk changed.

use std::fs;

use proptest::prelude::*;
use sol_volume_bot::ledger::recording::RecordingError;

use crate::desk::{Folder, Owned, owned, read, write};

const NOON: i64 = 1_768_478_400_000_000_000;

/// Twelve records in six members.
fn small() -> Vec<Owned> {
    let text = |n: i64| format!("{{\"stream\":\"solusdt@trade\",\"n\":{n}}}\n\0{}", "x".repeat(n as usize));
    (0..12).map(|n| owned(NOON + n, "binance_stream", text(n).as_bytes())).collect()
}

/// A folder with `small` in one file, and that file's bytes.
fn written(name: &str) -> (Folder, Vec<u8>) {
    let folder = Folder::new(name);
    write(&folder.0, 110, &small());
    let bytes = fs::read(&folder.recordings()[0]).expect("it was written");
    (folder, bytes)
}

#[test]
fn a_file_cut_at_any_byte_gives_every_whole_part_and_says_where_it_is_torn() {
    let (folder, bytes) = written("torn");
    let all = small();
    let cut = folder.path("cut.svr.gz");
    let (mut sizes, mut before) = (Vec::new(), 0);
    for len in 0..bytes.len() {
        fs::write(&cut, &bytes[..len]).expect("writable");
        let back = read(&cut);
        assert_eq!(back.error, None, "cut at {len}");
        assert_eq!(back.records, all[..back.records.len()], "cut at {len}");
        assert!(back.records.len() >= before, "a longer file gives no less");
        match &back.torn[..] {
            [torn] => {
                assert_eq!(torn.records, back.records.len() as u64);
                assert_eq!(torn.byte + torn.dropped, len as u64);
            }
            [] => sizes.push(len), // between two parts: nothing that was ever whole is missing
            more => panic!("cut at {len}: {more:?}"),
        }
        before = back.records.len();
    }
    assert!(sizes.len() >= 4, "several parts: {sizes:?}");
    let begins = |len: &usize| bytes[*len..].starts_with(b"\x1f\x8b\x08");
    assert!(sizes.iter().all(begins), "only a cut between two parts goes unseen: {sizes:?}");
    assert!(before < all.len(), "the last byte matters");
}

#[test]
fn a_torn_file_does_not_hide_the_one_that_a_later_run_wrote() {
    let (folder, bytes) = written("later");
    fs::write(&folder.recordings()[0], &bytes[..bytes.len() - 3]).expect("writable");
    write(&folder.0, 100, &[owned(NOON + 3_600_000_000_000, "a", b"later")]);
    let back = read(&folder.0);
    assert_eq!((back.error, back.torn.len()), (None, 1));
    assert_eq!(back.records.last().map(|record| record.bytes.clone()), Some(b"later".to_vec()));
}

#[test]
fn a_flipped_bit_anywhere_is_an_error_or_costs_records_and_never_changes_one() {
    let (folder, bytes) = written("flip");
    let all = small();
    let path = folder.path("flipped.svr.gz");
    let mut harmless = 0;
    for at in 0..bytes.len() {
        // Every bit of the first head, one of each byte after it.
        for bit in if at < 20 { 0..8 } else { at as u32 % 8..at as u32 % 8 + 1 } {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            fs::write(&path, &changed).expect("writable");
            let back = read(&path);
            assert_eq!(back.records, all[..back.records.len()], "byte {at}, bit {bit}");
            if let Some(RecordingError::Damaged { byte, record, .. }) = &back.error {
                assert!(*byte <= at as u64 && *record == back.records.len() as u64 + 1);
            }
            let told = back.error.is_some() || !back.torn.is_empty();
            assert!(told || back.records == all, "byte {at}, bit {bit}: records are missing and nobody says so");
            harmless += usize::from(!told);
        }
    }
    assert!(
        harmless < bytes.len(),
        "only time, system and flags of the members' own heads may change unseen: {harmless}"
    );
}

#[test]
fn another_file_is_refused_by_name() {
    let folder = Folder::new("alien");
    let path = folder.path("x.svr.gz");
    for alien in [&b"plain text, much longer than any head of a packed file"[..], b"\x89SVJ\r\n\x1a\n............"] {
        fs::write(&path, alien).expect("writable");
        assert_eq!(read(&path).error, Some(RecordingError::Alien { path: path.clone() }));
    }
    let pack = |text: &str| {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).expect("memory");
        encoder.finish().expect("memory")
    };
    fs::write(&path, pack("svb-recording 2 2026-01-15T12:00:00Z\n")).expect("writable");
    assert_eq!(read(&path).error, Some(RecordingError::Format { path: path.clone(), found: 2 }));
    fs::write(&path, pack("hello\n")).expect("writable");
    assert_eq!(read(&path).error, Some(RecordingError::Alien { path: path.clone() }));
    for records in ["1 a 99\nshort\n", "1 a\n", "x a 1\nb\n", "1 a 18446744073709551615\nb\n", "1 a 1\nbc", "nothing"] {
        fs::write(&path, pack(&format!("svb-recording 1 x\n{records}"))).expect("writable");
        let error = read(&path).error;
        assert!(matches!(error, Some(RecordingError::Damaged { byte: 0, record: 1, .. })), "{records}: {error:?}");
    }
    assert!(matches!(read(&folder.path("absent")).error, Some(RecordingError::Io { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbage_in_any_place_never_makes_the_reader_panic(
        at in 0_usize..400, garbage in prop::collection::vec(any::<u8>(), 1..80), case in any::<u64>(),
    ) {
        let (folder, mut bytes) = written(&format!("garbage-{case:x}"));
        let at = at.min(bytes.len());
        let end = (at + garbage.len()).min(bytes.len());
        bytes.splice(at..end, garbage);
        let path = folder.path("garbage.svr.gz");
        fs::write(&path, &bytes).expect("writable");
        let back = read(&path);
        prop_assert_eq!(&back.records[..], &small()[..back.records.len()]);
    }
}
