//! Entries as records: which kind each one is.
//!
//! Thread: any.  Invariants: a kind is never given away twice; 0 is nobody's and 255 is the seal's.

use super::code::{Bytes, Code};
use super::frame::Look;
use super::{Entry, frame};
use crate::types::note::{Lost, WireNote};
use crate::types::setup::Setup;
use crate::types::{Command, Event};

const START: u8 = 1;
const EVENT: u8 = 2;
const COMMAND: u8 = 3;
const WIRE: u8 = 4;
const LOST: u8 = 5;

/// Appends a run's beginning.
pub fn append_start(out: &mut Vec<u8>, setup: &Setup) {
    frame::append(out, START, |out| setup.put(out));
}
/// Appends an event.
pub fn append_event(out: &mut Vec<u8>, event: &Event) {
    frame::append(out, EVENT, |out| event.put(out));
}
/// Appends a command.
pub fn append_command(out: &mut Vec<u8>, command: &Command) {
    frame::append(out, COMMAND, |out| command.put(out));
}
/// Appends what a connection did.
pub fn append_wire(out: &mut Vec<u8>, note: &WireNote) {
    frame::append(out, WIRE, |out| note.put(out));
}
/// Appends what is missing.
pub fn append_lost(out: &mut Vec<u8>, lost: Lost) {
    frame::append(out, LOST, |out| lost.put(out));
}

/// The entry of a sound record; `None` for bytes that no entry has.
#[inline]
pub fn take(kind: u8, payload: &[u8]) -> Option<Entry> {
    let mut bytes = Bytes::new(payload);
    let from = &mut bytes;
    let entry = match kind {
        START => Entry::Start(Box::new(Code::take(from)?)),
        EVENT => Entry::Event(Code::take(from)?),
        COMMAND => Entry::Command(Code::take(from)?),
        WIRE => Entry::Wire(Code::take(from)?),
        LOST => Entry::Lost(Code::take(from)?),
        _ => return None,
    };
    bytes.is_empty().then_some(entry)
}

impl Entry {
    /// The entry that stands at the front of `bytes`, and the length of its record; `None` where none stands whole.
    pub fn at_front_of(bytes: &[u8]) -> Option<(Entry, usize)> {
        match frame::look(bytes) {
            Look::Record { kind, payload, len } => take(kind, payload).map(|entry| (entry, len)),
            Look::Short | Look::Bad(_) => None,
        }
    }
    /// Appends the bytes that stand for it in a journal, frame included: two entries are the same if these are.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        match self {
            Entry::Start(setup) => append_start(out, setup),
            Entry::Event(event) => append_event(out, event),
            Entry::Command(command) => append_command(out, command),
            Entry::Wire(note) => append_wire(out, note),
            Entry::Lost(lost) => append_lost(out, *lost),
        }
    }
}
