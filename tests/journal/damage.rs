//! What a sudden end, a bad disk or a careless hand does to a journal, and what is said of it.

use crate::desk::*;
use sol_volume_bot::ledger::journal::{Entry, Finding, JournalError, Reader, Writer, runs};
use sol_volume_bot::types::time::NANOS_PER_DAY;
use std::fs;

const WHOLE: u64 = 1 << 20;

fn length_of(entry: &Entry) -> usize {
    let mut bytes = Vec::new();
    entry.append_to(&mut bytes);
    bytes.len()
}

#[test]
fn what_was_written_over_many_segments_and_two_runs_is_read_back() {
    let folder = Folder::new("segments");
    let many: Vec<Entry> =
        (1..=400).map(|seq| Entry::Event(if seq % 50 == 0 { fill(seq) } else { bbo(seq) })).collect();
    written(settings(&folder.0, 4_096), 7, &many).finish(NOON).expect("room");
    written(settings(&folder.0, 4_096), 8, &history()).finish(NOON).expect("room");
    assert_eq!(read(&folder.0), ([run(7, &many), run(8, &history())].concat(), None));
    let found = runs(&folder.0).expect("readable");
    assert_eq!(
        found.iter().map(|run| (run.epoch, run.segments.len() > 8, run.whole)).collect::<Vec<_>>(),
        [(7, true, true), (8, false, true)]
    );
    let second = Reader::of_run(&folder.0, 8).expect("there").collect::<Result<Vec<_>, _>>();
    assert_eq!(second, Ok(run(8, &history())));
}

#[test]
fn a_last_record_torn_at_any_byte_is_cut_and_told_and_nothing_else_is_missing() {
    let source = Folder::new("torn-source");
    drop(written(settings(&source.0, WHOLE), 7, &history()));
    let bytes = fs::read(source.newest()).expect("written");
    let last = length_of(history().last().expect("entries"));
    let whole = bytes.len() - last;
    for torn in 1..last {
        let folder = Folder::new("torn");
        let path = folder.0.join(source.newest().file_name().expect("a name"));
        // As truncated, and as a file system leaves it that had made the file longer first.
        let tail = if torn % 2 == 0 { vec![0; torn] } else { bytes[whole..whole + torn].to_vec() };
        fs::write(&path, [&bytes[..whole], &tail].concat()).expect("a copy");
        let mut reader = Reader::open(&folder.0).expect("opens");
        let entries: Vec<Entry> = reader.by_ref().collect::<Result<_, _>>().expect("a torn end is no damage");
        assert_eq!(entries, run(7, &history()[..6]), "{torn} bytes of the last record");
        let told = reader.torn().expect("told");
        assert_eq!((told.byte, told.dropped), (whole as u64, torn as u64));

        let (mut next, findings) = Writer::open(settings(&folder.0, WHOLE), 8, NOON).expect("goes on");
        assert_eq!(findings, [Finding::Cut(told.clone())]);
        next.start(&setup(8));
        next.finish(NOON).expect("room");
        assert_eq!(read(&folder.0), ([run(7, &history()[..6]), run(8, &[])].concat(), None));
    }
}

#[test]
fn a_file_without_a_whole_header_is_removed_and_told() {
    let source = Folder::new("header-source");
    written(settings(&source.0, WHOLE), 7, &history()).finish(NOON).expect("room");
    let header = fs::read(source.newest()).expect("written")[..70].to_vec();
    for len in [0, 1, 8, 69, 70] {
        fs::write(source.0.join("0000000009-000001.svj"), &header[..len]).expect("a torn header");
        assert_eq!(read(&source.0), (run(7, &history()), None));
        let (next, findings) = Writer::open(settings(&source.0, WHOLE), 10, NOON).expect("goes on");
        assert!(
            matches!(&findings[..], [Finding::Cut(torn)] if (torn.byte, torn.dropped) == (0, len as u64)),
            "{findings:?}"
        );
        drop(next);
        fs::remove_file(source.newest()).expect("back to the start");
    }
}

/// Every flip of one bit: an error that names the file and a place at or before the bit, and no wrong entry.
fn every_flip_is_named(name: &str, finish: bool) {
    let folder = Folder::new(name);
    let mut writer =
        written(settings(&folder.0, WHOLE), 7, &history()[2..5].iter().cloned().map(renumbered).collect::<Vec<_>>());
    if finish {
        writer.finish(NOON).expect("room");
    }
    drop(writer);
    let path = folder.newest();
    let sound = fs::read(&path).expect("written");
    let (right, fault) = read(&folder.0);
    assert_eq!((right.len(), fault), (4, None));
    for at in 0..sound.len() {
        for bit in 0..8 {
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << bit;
            fs::write(&path, &bytes).expect("ours");
            let (entries, fault) = read(&folder.0);
            let fault = fault.unwrap_or_else(|| panic!("bit {bit} of byte {at} went unnoticed"));
            assert!(right.starts_with(&entries), "bit {bit} of byte {at} gave a wrong entry");
            assert!(fault.to_string().contains(path.to_str().expect("text")), "{fault}");
            match fault {
                JournalError::Damaged { byte, record, .. } => {
                    assert!(byte <= at as u64, "byte {at} is told as {byte}");
                    assert_eq!(record, if at < 74 { 0 } else { entries.len() as u64 + 1 }, "byte {at}");
                }
                JournalError::Alien { .. } => assert!(at < 8, "byte {at}"),
                other => panic!("bit {bit} of byte {at}: {other}"),
            }
        }
    }
}

/// The fill becomes the first event, so that a short history has one of each kind.
fn renumbered(entry: Entry) -> Entry {
    if matches!(entry, Entry::Event(_)) { Entry::Event(fill(1)) } else { entry }
}

#[test]
fn every_flipped_bit_of_a_sealed_file_is_detected_and_named() {
    every_flip_is_named("flip-sealed", true);
}

#[test]
fn every_flipped_bit_of_an_open_file_is_detected_and_never_taken_for_a_torn_end() {
    every_flip_is_named("flip-open", false);
}

#[test]
fn a_damaged_file_is_left_as_it_is_and_the_next_run_goes_on_after_it() {
    let folder = Folder::new("damaged");
    drop(written(settings(&folder.0, WHOLE), 7, &history()));
    let path = folder.newest();
    let mut bytes = fs::read(&path).expect("written");
    let at = bytes.len() - 100;
    bytes[at] ^= 4;
    fs::write(&path, &bytes).expect("ours");
    let (mut next, findings) = Writer::open(settings(&folder.0, WHOLE), 8, NOON).expect("goes on");
    assert!(matches!(&findings[..], [Finding::Damaged(JournalError::Damaged { path: named, .. })] if *named == path));
    next.start(&setup(8));
    next.finish(NOON).expect("room");
    assert_eq!(fs::read(&path).expect("there"), bytes, "nothing was repaired silently");
    assert!(matches!(read(&folder.0), (_, Some(JournalError::Damaged { path: named, .. })) if named == path));
    let later = Reader::of_run(&folder.0, 8).expect("there").collect::<Result<Vec<_>, _>>();
    assert_eq!(later, Ok(run(8, &[])));
}

fn five_segments(name: &str, last_seq: u64) -> Folder {
    let folder = Folder::new(name);
    let many: Vec<Entry> = (1..=last_seq).map(|seq| Entry::Event(bbo(seq))).collect();
    written(settings(&folder.0, 4_096), 7, &many).finish(NOON).expect("room");
    assert!(folder.files().len() >= 4);
    folder
}

fn chain_fault(folder: &Folder) -> String {
    match read(&folder.0).1.expect("noticed") {
        fault @ JournalError::Chain { .. } => fault.to_string(),
        other => panic!("{other}"),
    }
}

#[test]
fn a_missing_a_swapped_and_a_foreign_segment_break_the_chain_and_are_named() {
    let folder = five_segments("missing", 200);
    let files = folder.files();
    fs::remove_file(&files[1]).expect("ours");
    let told = chain_fault(&folder);
    assert!(told.contains("000003.svj") && told.contains("segment 2 of run 7 is missing"), "{told}");

    let folder = five_segments("swapped", 200);
    let files = folder.files();
    let spare = folder.0.join("spare");
    fs::rename(&files[1], &spare).and_then(|()| fs::rename(&files[2], &files[1])).expect("ours");
    fs::rename(&spare, &files[2]).expect("ours");
    let told = chain_fault(&folder);
    assert!(told.contains("000002.svj") && told.contains("holds segment 3 of run 7"), "{told}");

    // Sound in itself, of the same run and place, but not as it was when the next one was begun.
    let folder = five_segments("foreign", 200);
    let ours = folder.files();
    let mut bytes = fs::read(&ours[1]).expect("there");
    let seal = bytes.len() - 48;
    bytes.truncate(seal);
    fs::write(&ours[1], bytes).expect("ours");
    let told = chain_fault(&folder);
    assert!(told.contains("000003.svj") && told.contains("changed, or one is missing"), "{told}");
}

#[test]
fn a_whole_run_that_is_missing_breaks_the_chain() {
    let folder = Folder::new("run-missing");
    for epoch in [7, 8, 9] {
        written(settings(&folder.0, WHOLE), epoch, &history()).finish(NOON).expect("room");
    }
    assert_eq!(read(&folder.0).1, None);
    fs::remove_file(&folder.files()[1]).expect("ours");
    assert!(chain_fault(&folder).contains("0000000009-000001.svj"));
}

#[test]
fn events_that_are_missing_without_a_word_are_a_hole() {
    let folder = Folder::new("hole");
    written(settings(&folder.0, WHOLE), 7, &[Entry::Event(bbo(1)), Entry::Event(bbo(3))]).finish(NOON).expect("room");
    let (entries, fault) = read(&folder.0);
    assert_eq!(entries, run(7, &[Entry::Event(bbo(1))]));
    assert!(matches!(fault, Some(JournalError::Hole { expected: 2, found: 3, record: 3, .. })), "{fault:?}");
}

#[test]
fn segments_older_than_they_are_kept_for_go_whole_and_the_rest_still_reads() {
    let folder = Folder::new("prune");
    let day = |days: i64| NOON.plus(days * NANOS_PER_DAY);
    for (epoch, at) in [(7, day(0)), (8, day(10)), (9, day(20))] {
        let mut kept = settings(&folder.0, WHOLE);
        kept.keep_days = 15;
        let (mut writer, findings) = Writer::open(kept, epoch, at).expect("opens");
        // Run 7 ended, at the latest, when run 8 began: on day 20 that is 10 days ago.
        assert_eq!(findings, []);
        writer.start(&setup(epoch));
        writer.finish(at).expect("room");
    }
    let mut kept = settings(&folder.0, WHOLE);
    kept.keep_days = 15;
    let (_, findings) = Writer::open(kept, 10, day(26)).expect("opens");
    assert_eq!(findings, [Finding::Removed(1)]);
    assert_eq!(runs(&folder.0).expect("readable").iter().map(|run| run.epoch).collect::<Vec<_>>(), [8, 9, 10]);
    assert_eq!(read(&folder.0).1, None);
}

#[test]
fn a_journal_in_other_words_and_a_file_of_another_kind_are_refused() {
    let folder = Folder::new("words");
    written(settings(&folder.0, WHOLE), 7, &history()).finish(NOON).expect("room");
    let path = folder.newest();
    let mut bytes = fs::read(&path).expect("written");
    bytes[10] ^= 1; // the schema's number
    let crc = crc32c::crc32c(&bytes[..70]).to_le_bytes();
    bytes[70..74].copy_from_slice(&crc);
    fs::write(&path, &bytes).expect("ours");
    assert!(matches!(read(&folder.0).1, Some(JournalError::Schema { .. })));
    fs::write(&path, "a text of somebody else that is long enough to hold a header of ours, and then some more")
        .expect("ours");
    assert!(matches!(read(&folder.0).1, Some(JournalError::Alien { .. })));
    assert!(matches!(Reader::open(&folder.0.join("none.svj")), Err(JournalError::Io { .. })));
    fs::remove_file(&path).expect("ours");
    assert!(matches!(Reader::open(&folder.0), Err(JournalError::Empty { .. })));
}
