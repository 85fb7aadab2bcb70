//! The hands of the tests: a folder of their own, records by value.

use std::fs;
use std::path::{Path, PathBuf};

use sol_volume_bot::ledger::recording::{Reader, RecordingError, Torn, Writer, WriterSettings};
use sol_volume_bot::types::Time;

/// A folder that goes away with its test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("svb-recording-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a temporary folder");
        Folder(path)
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
    /// The recordings in it, by name.
    pub fn recordings(&self) -> Vec<PathBuf> {
        let is_ours = |path: &PathBuf| path.to_string_lossy().ends_with(".svr.gz");
        let entries = fs::read_dir(&self.0).expect("a folder");
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).filter(is_ours).collect();
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One record by value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    pub recv: i64,
    pub source: String,
    pub bytes: Vec<u8>,
}

pub fn owned(recv: i64, source: &str, bytes: &[u8]) -> Owned {
    Owned { recv, source: source.to_owned(), bytes: bytes.to_vec() }
}

/// A writer of small members: many of them in little data.
pub fn writer(dir: &Path, member_bytes_max: usize) -> Writer {
    let settings = WriterSettings { member_bytes_max, ..WriterSettings::new(dir.to_owned()) };
    Writer::new(settings).expect("a folder that can be made")
}

/// Writes all of them into one file each hour.
pub fn write(dir: &Path, member_bytes_max: usize, records: &[Owned]) {
    let mut writer = writer(dir, member_bytes_max);
    for record in records {
        writer.put(Time(record.recv), &record.source, &record.bytes).expect("a disk that takes it");
    }
    writer.finish().expect("a disk that takes it");
}

/// What can be read: the records before an error, the error, the torn ends.
pub struct Read {
    pub records: Vec<Owned>,
    pub error: Option<RecordingError>,
    pub torn: Vec<Torn>,
}

pub fn read(path: &Path) -> Read {
    let mut records = Vec::new();
    let mut reader = match Reader::open(path) {
        Ok(reader) => reader,
        Err(error) => return Read { records, error: Some(error), torn: Vec::new() },
    };
    let error = loop {
        match reader.next_record() {
            Ok(Some(record)) => {
                assert_eq!(record.number, records.len() as u64 + 1);
                records.push(owned(record.recv.0, record.source, record.bytes));
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    assert!(matches!(reader.next_record(), Ok(None)), "after its end or an error nothing more comes");
    Read { records, error, torn: reader.torn().to_vec() }
}
