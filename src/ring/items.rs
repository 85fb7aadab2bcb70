//! What travels in the rings: vocabulary plus the clock readings that the latency stages are made of.
//!
//! Thread: any.  Invariants: plain data; each reading is of our clock, taken where its name says.

use crate::types::note::Lost;
use crate::types::{Command, Event, Time};

/// An event on its way to the hot agent.
#[derive(Clone, Copy, Debug)]
pub struct EventItem {
    /// What happened; `event.recv` = last byte read.
    pub event: Event,
    /// When it left the decoder.
    pub decoded: Time,
}

/// When the parts of one decision happened: the history of the event that caused a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamps {
    /// Last byte of the triggering frame read.
    pub trigger: Time,
    /// Triggering event decoded.
    pub decoded: Time,
    /// Engine began the step.
    pub step_from: Time,
    /// Engine ended the step.
    pub step_to: Time,
}

/// A command on its way to the gateway.
#[derive(Clone, Copy, Debug)]
pub struct CommandItem {
    /// What to do.
    pub command: Command,
    /// Why it took as long as it took.
    pub stamps: Stamps,
}

/// What the hot agent tells the cold side: every event it consumed, then every command that came of it, in order.
#[derive(Clone, Copy, Debug)]
pub enum HotNote {
    /// An event as the engine saw it.
    Event(Event),
    /// A command as the engine gave it.
    Command(Command),
    /// What found no room here: the history has a hole before the next note.
    Lost(Lost),
}
