//! Files: recordings and journals, packed and unpacked, captures of others, the heartbeat's page.

use crate::journal_desk::{self, Folder, NOON, history, setup};
use crate::recording_desk::{owned, write};
use crate::{Errors, decoder, texts};
use flate2::read::MultiGzDecoder;
use sol_volume_bot::ledger::journal::{self, Entry, JournalError};
use sol_volume_bot::ledger::recording::{self, RecordingError, Writer, WriterSettings, import_lines};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::sys::heartbeat::{Figures, HEARTBEAT_FILE, Heartbeat, Page};
use sol_volume_bot::types::note::Lost;
use sol_volume_bot::types::{Notional, Qty};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of one test's own, in memory where the system has such a place.
fn folder() -> Folder {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let memory = PathBuf::from("/dev/shm");
    let place = if memory.is_dir() { memory } else { std::env::temp_dir() };
    Folder::within(place, &format!("decoders-{}", NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// Writes the file that is read next.
fn put(folder: &Folder, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.0.join(name);
    fs::write(&path, bytes).expect("there is room");
    path
}

fn byte_of(byte: u64) -> usize {
    usize::try_from(byte).unwrap_or(usize::MAX)
}

/// The byte that a recording's error names.
fn at_of_recording(error: &RecordingError) -> Option<usize> {
    match error {
        RecordingError::Damaged { byte, .. } => Some(byte_of(*byte)),
        RecordingError::Io { .. } => panic!("{error}"),
        RecordingError::Empty { .. } | RecordingError::Alien { .. } | RecordingError::Format { .. } => None,
    }
}

/// Reads a whole recording. Output: whether nothing was wrong and something in it.
fn reads_recording(path: &Path, errors: &mut Errors) -> bool {
    let Some(mut reader) = errors.note(recording::Reader::open(path), at_of_recording) else { return false };
    let mut records = 0;
    while let Some(record) = errors.note(reader.next_record(), at_of_recording) {
        match record {
            Some(_) => records += 1,
            None => {
                let torn = reader.torn().iter().map(|torn| torn.byte + torn.dropped).max().unwrap_or(0);
                errors.name(byte_of(torn));
                return records > 0 && torn == 0;
            }
        }
    }
    false
}

/// Three records in two members.
fn recording() -> Vec<u8> {
    let (folder, noon) = (folder(), NOON.0);
    let records = [
        owned(noon, "binance_stream", br#"{"stream":"solusdt@trade","data":{}}"#),
        owned(noon + 1, "binance_rest:/api/v3/depth", b"{\"lastUpdateId\":\n1}\0"),
        owned(noon + 1_500_000_000, "solana_ws#2", b""),
    ];
    write(&folder.0, 110, &records);
    fs::read(folder.newest()).expect("it was written")
}

decoder!(recording_packed, [recording()], {
    let folder = folder();
    move |bytes: &[u8], errors: &mut Errors| {
        let path = put(&folder, "edited.svr.gz", bytes);
        recording::is_recording(&path);
        reads_recording(&path, errors)
    }
});

/// One gzip member that holds `text` as it is: what is wrong with the text gets past the checksum.
fn packed(text: &[u8]) -> Vec<u8> {
    let len = u16::try_from(text.len()).expect("less than a stored block holds");
    let mut sum = flate2::Crc::new();
    sum.update(text);
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    let lengths = [len.to_le_bytes(), (!len).to_le_bytes()].concat();
    [&head, &lengths[..], text, &sum.sum().to_le_bytes(), &u32::from(len).to_le_bytes()].concat()
}

fn recording_text() -> Vec<u8> {
    let (packed, mut text) = (recording(), Vec::new());
    MultiGzDecoder::new(&packed[..]).read_to_end(&mut text).expect("it unpacks");
    text
}

decoder!(recording_unpacked, [recording_text()], {
    let folder = folder();
    move |bytes: &[u8], _: &mut Errors| {
        let file = packed(bytes);
        let path = put(&folder, "edited.svr.gz", &file);
        let mut of_file = Errors::default(); // their bytes are those of the file
        let is_read = reads_recording(&path, &mut of_file);
        assert!(of_file.are_within(file.len()), "{of_file:?}");
        is_read
    }
});

const LINES: &str = "1795348800000000000 {\"stream\":\"solusdt@trade\"}\n1795348800000000001 {\"lastUpdateId\":7}\n";

decoder!(capture_lines, texts([LINES]), {
    let folder = folder();
    move |bytes: &[u8], _: &mut Errors| {
        let mut writer = Writer::new(WriterSettings::new(folder.0.clone())).expect("a folder");
        let imported = import_lines(bytes, "binance_stream", &mut writer);
        writer.finish().expect("there is room");
        folder.files().iter().for_each(|file| fs::remove_file(file).expect("ours"));
        imported.is_ok_and(|records| records > 0)
    }
});

/// The byte that a journal's error names.
fn at_of_journal(error: &JournalError) -> Option<usize> {
    match error {
        JournalError::Damaged { byte, .. } | JournalError::Hole { byte, .. } => Some(byte_of(*byte)),
        JournalError::Io { .. } | JournalError::Full { .. } => panic!("{error}"),
        JournalError::Empty { .. }
        | JournalError::Alien { .. }
        | JournalError::Schema { .. }
        | JournalError::Chain { .. } => None,
    }
}

/// A sealed segment, and one that was never ended.
fn segments() -> Vec<Vec<u8>> {
    let written = |is_ended: bool| {
        let folder = folder();
        let mut writer = journal_desk::written(journal_desk::settings(&folder.0, 1 << 20), 7, &history());
        if is_ended {
            writer.finish(NOON).expect("there is room");
        }
        fs::read(folder.newest()).expect("it was written")
    };
    [true, false].map(written).to_vec()
}

decoder!(journal_segment, segments(), {
    let folder = folder();
    move |bytes: &[u8], errors: &mut Errors| {
        let path = put(&folder, "edited.svj", bytes); // a name that says nothing of run and number
        let Some(mut reader) = errors.note(journal::Reader::open(&path), at_of_journal) else { return false };
        let mut entries = 0;
        for entry in reader.by_ref() {
            entries += usize::from(errors.note(entry, at_of_journal).is_some());
        }
        let torn = reader.torn().map_or(0, |torn| torn.byte + torn.dropped);
        errors.name(byte_of(torn));
        entries > history().len()
    }
});

/// A record of each kind of entry.
fn records() -> Vec<Vec<u8>> {
    let others = [Entry::Start(Box::new(setup(7))), Entry::Lost(Lost { events: 258, notes: 3 })];
    let record = |entry: &Entry| {
        let mut bytes = Vec::new();
        entry.append_to(&mut bytes);
        bytes
    };
    history().iter().chain(&others).map(record).collect()
}

/// Makes head and checksum of a record fit what stands between them, so that the entry's own reader is what is reached.
fn mended(record: &[u8]) -> Option<Vec<u8>> {
    let mut record = record.to_vec();
    let end = record.len().checked_sub(4)?;
    let [low, high] = u16::try_from(end.checked_sub(4)?).ok()?.to_le_bytes();
    let head = [low, high, record[2], !(low ^ high.rotate_left(3) ^ record[2])];
    record[..4].copy_from_slice(&head);
    let sum = crc32c::crc32c(&record[..end]).to_le_bytes();
    record[end..].copy_from_slice(&sum);
    Some(record)
}

decoder!(journal_entry, records(), |bytes: &[u8], _: &mut Errors| {
    let found = mended(bytes).and_then(|record| Entry::at_front_of(&record));
    found.is_some_and(|(_, len)| len == bytes.len())
});

/// The part of a page that says something.
const PAGE_SAID_BYTES: usize = 448;
const PAGE_BYTES: usize = 4_096;

fn page() -> Vec<u8> {
    let (folder, clock) = (folder(), Clock::start());
    let figures = Figures { equity: Notional(1), day_equity: Notional(2), position: Qty(3), trades_known_to: 4 };
    let heartbeat = Heartbeat::create(&folder.0, 7, clock, figures).expect("a page");
    let page = fs::read(folder.0.join(HEARTBEAT_FILE)).expect("it was made");
    heartbeat.end(true);
    page[..PAGE_SAID_BYTES].to_vec()
}

decoder!(heartbeat_page, [page()], {
    let folder = folder();
    move |bytes: &[u8], _: &mut Errors| {
        let mut page = bytes.to_vec();
        page.resize(PAGE_BYTES, 0);
        put(&folder, HEARTBEAT_FILE, &page);
        let page = Page::open(&folder.0).ok().flatten();
        page.is_some_and(|page| page.read().is_ok_and(|reading| reading.figures.is_some()))
    }
});
