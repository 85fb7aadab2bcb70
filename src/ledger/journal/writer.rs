//! Writes the journal of one run.
//!
//! Thread: cold.  Invariants: what was put is kept, in order, until the disk took it; beyond a bound market events are
//! dropped, then the rest, and a `Lost` stands in their place; no call but `open`, `flush` and `finish` touches the disk.

use super::error::JournalError;
use super::frame::{FORMAT, Header};
use super::mend::{self, Finding};
use super::segment::Segment;
use super::{Entry, FREE_BYTES_MIN, SEGMENT_BYTES, entry, folder, schema};
use crate::types::event::EventKind;
use crate::types::note::{Lost, WireNote};
use crate::types::setup::Setup;
use crate::types::time::{NANOS_PER_DAY, NANOS_PER_SEC};
use crate::types::{Command, Event, Time};
use std::path::PathBuf;

/// Longest time that written bytes wait to be asked for on disk.
const SYNC_NS: i64 = NANOS_PER_SEC;
/// Bytes that wait for the disk before market events are dropped: a minute of a busy market.
const MARKET_BYTES_MAX: usize = 4 << 20;
/// Bytes that wait before anything is dropped.
const PENDING_BYTES_MAX: usize = 8 << 20;
/// Taken at start, and gone back to after the disk was slow.
const PENDING_BYTES: usize = 256 * 1024;

/// Where and how long.
#[derive(Clone, Debug)]
pub struct WriterSettings {
    /// The folder; made where it is missing.
    pub dir: PathBuf,
    /// Segments all of whose events are older go; 0 = none goes.
    pub keep_days: u32,
    /// A segment is closed once it has these many bytes.
    pub segment_bytes: u64,
}

impl WriterSettings {
    /// The usual segments in `dir`.
    pub fn new(dir: PathBuf, keep_days: u32) -> WriterSettings {
        WriterSettings { dir, keep_days, segment_bytes: SEGMENT_BYTES }
    }
}

/// The writing end of a run's journal.
#[derive(Debug)]
pub struct Writer {
    settings: WriterSettings,
    epoch: u32,
    /// The open file; `None` = the last one was sealed and the next could not be made yet.
    segment: Option<Segment>,
    /// Number of the newest segment.
    number: u32,
    /// SHA-256 of the newest sealed file.
    previous: [u8; 32],
    /// Whole records that the disk has not taken yet.
    pending: Vec<u8>,
    records: u64,
    /// Number that a reader expects after all that was put, and after all that was written.
    seq_put: u64,
    seq_written: u64,
    /// Dropped and not said yet.
    unsaid: Lost,
    dropped: u64,
    synced: Time,
    is_dirty: bool,
    /// The disk had no room when it was looked at last.
    is_full: bool,
}

impl Writer {
    /// Begins the journal of run `epoch`: ends what an earlier one left, removes what is too old, makes the first file.
    /// [`Writer::start`] must follow.
    ///
    /// Output: what was found, to be told. Errors: the run must not trade.
    pub fn open(settings: WriterSettings, epoch: u32, now: Time) -> Result<(Writer, Vec<Finding>), JournalError> {
        let dir = &settings.dir;
        std::fs::create_dir_all(dir).map_err(JournalError::io(dir, "create the folder"))?;
        let mut findings = Vec::new();
        let previous = mend::last_segment(dir, &mut findings)?;
        let mut writer = Writer {
            settings,
            epoch,
            segment: None,
            number: 0,
            previous,
            pending: Vec::with_capacity(PENDING_BYTES),
            records: 0,
            seq_put: 1,
            seq_written: 1,
            unsaid: Lost::NONE,
            dropped: 0,
            synced: now,
            is_dirty: true,
            is_full: true,
        };
        let removed = writer.prune(now)?;
        if removed > 0 {
            findings.push(Finding::Removed(removed));
        }
        writer.flush(now)?;
        writer.sync(now)?;
        Ok((writer, findings))
    }

    /// Adds what the run starts from: before anything else.
    pub fn start(&mut self, setup: &Setup) {
        assert!(setup.epoch == self.epoch, "a journal is of one run");
        entry::append_start(&mut self.pending, setup);
        self.records += 1;
    }
    /// Adds an event that the engine consumed.
    pub fn event(&mut self, event: &Event) {
        let bound = if is_market(&event.kind) { MARKET_BYTES_MAX } else { PENDING_BYTES_MAX };
        if self.has_room(bound) {
            entry::append_event(&mut self.pending, event);
            self.records += 1;
            self.seq_put = event.seq.saturating_add(1);
        } else {
            self.drop(Lost { events: 1, notes: 0 });
        }
    }
    /// Adds a command of the newest event.
    pub fn command(&mut self, command: &Command) {
        if self.has_room(PENDING_BYTES_MAX) {
            entry::append_command(&mut self.pending, command);
            self.records += 1;
        } else {
            self.drop(Lost { events: 0, notes: 1 });
        }
    }
    /// Adds what a connection did.
    pub fn wire(&mut self, note: &WireNote) {
        if self.has_room(PENDING_BYTES_MAX) {
            entry::append_wire(&mut self.pending, note);
            self.records += 1;
        } else {
            self.drop(Lost { events: 0, notes: 1 });
        }
    }
    /// Says that something never got here.
    pub fn lost(&mut self, lost: Lost) {
        self.drop(lost);
    }
    /// Adds any entry.
    pub fn put(&mut self, entry: &Entry) {
        match entry {
            Entry::Start(setup) => self.start(setup),
            Entry::Event(event) => self.event(event),
            Entry::Command(command) => self.command(command),
            Entry::Wire(note) => self.wire(note),
            Entry::Lost(lost) => self.lost(*lost),
        }
    }

    /// Whether a record may be added; says first what is missing before it.
    fn has_room(&mut self, bound: usize) -> bool {
        let room = self.pending.len() < bound;
        if room && self.unsaid != Lost::NONE {
            let lost = std::mem::take(&mut self.unsaid);
            entry::append_lost(&mut self.pending, lost);
            self.records += 1;
            self.seq_put = self.seq_put.saturating_add(lost.events);
        }
        room
    }

    fn drop(&mut self, lost: Lost) {
        self.unsaid = self.unsaid.plus(lost);
        self.dropped = self.dropped.saturating_add(lost.events).saturating_add(lost.notes);
    }

    /// Entries that are missing so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
    /// Bytes that wait for the disk.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }
    /// The folder it writes to.
    pub fn dir(&self) -> &std::path::Path {
        &self.settings.dir
    }

    /// Writes what was put. Errors: the disk did not take it or has no room for more; nothing is lost yet, all of it is
    /// tried again with the next call, and entries must halt meanwhile.
    pub fn flush(&mut self, now: Time) -> Result<(), JournalError> {
        self.write(now)?;
        let sync_due = now.since(self.synced) >= SYNC_NS;
        if sync_due {
            self.sync(now)?;
        }
        let Some(segment) = &mut self.segment else { return Ok(()) };
        segment.set_aside()?;
        if sync_due || self.is_full {
            self.is_full = true; // unless the next line says no
            segment.look_at_room(FREE_BYTES_MIN)?;
            self.is_full = false;
        }
        Ok(())
    }

    fn write(&mut self, now: Time) -> Result<(), JournalError> {
        self.has_room(PENDING_BYTES_MAX);
        if self.segment.is_none() {
            self.segment = Some(Segment::create(&self.settings.dir, &self.header(now))?);
            self.number += 1;
        }
        let Some(segment) = &mut self.segment else { return Ok(()) };
        if !self.pending.is_empty() {
            segment.append(&self.pending, self.records)?;
            self.pending.clear();
            self.pending.shrink_to(PENDING_BYTES);
            (self.records, self.seq_written, self.is_dirty) = (0, self.seq_put, true);
        }
        if segment.written() >= self.settings.segment_bytes {
            self.previous = segment.seal()?;
            self.segment = None;
            self.prune(now)?;
        }
        Ok(())
    }

    /// Of the segment that comes next.
    fn header(&self, now: Time) -> Header {
        Header {
            format: FORMAT,
            schema: schema::number(),
            epoch: self.epoch,
            number: self.number + 1,
            seq_next: self.seq_written,
            created: now,
            previous: self.previous,
        }
    }

    fn sync(&mut self, now: Time) -> Result<(), JournalError> {
        if let Some(segment) = self.segment.as_ref().filter(|_| self.is_dirty) {
            segment.sync()?;
        }
        (self.synced, self.is_dirty) = (now, false);
        Ok(())
    }

    fn prune(&self, now: Time) -> Result<usize, JournalError> {
        let days = i64::from(self.settings.keep_days);
        if days == 0 {
            return Ok(0);
        }
        folder::prune(&self.settings.dir, now.plus(-days.saturating_mul(NANOS_PER_DAY)))
    }

    /// Writes what is left and seals. Errors: the end of this run is not in the journal.
    pub fn finish(&mut self, now: Time) -> Result<(), JournalError> {
        self.write(now)?;
        if let Some(mut segment) = self.segment.take() {
            self.previous = segment.seal()?;
        }
        Ok(())
    }
}

/// Whether the engine hears the same again soon: what may be missing before anything about our own money is.
fn is_market(kind: &EventKind) -> bool {
    match kind {
        EventKind::Bbo(_)
        | EventKind::Depth(_)
        | EventKind::Trade(_)
        | EventKind::Candle(_)
        | EventKind::Slot(_)
        | EventKind::Volume(_)
        | EventKind::Dex(_)
        | EventKind::Clock(_) => true,
        EventKind::Execution(_)
        | EventKind::Balance(_)
        | EventKind::Stream(_)
        | EventKind::Control(_)
        | EventKind::Timer(_)
        | EventKind::Resting(_)
        | EventKind::Reconciled(_) => false,
    }
}
