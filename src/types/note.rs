//! What the wire saw: a connection's health, an order's way out and its answer, what the venue held back.
//!
//! Thread: any.  Invariants: figures for the log, the metrics and the journal; never acted upon.

use super::chain::ChainEvent;
use super::event::StreamState;
use super::ids::{ClientOrderId, StreamId};
use super::order::Reason;
use super::time::Time;

/// How far the gateway has come with a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KillStep {
    /// Not looked at yet.
    Pending,
    /// The cancel of everything is written to the venue's socket.
    Written,
    /// No order connection: the cancel is the first request once one opens.
    AwaitsConnection,
    /// The venue has banned our address: a byte more would lengthen the ban, so the cancel goes out at its end.
    AwaitsBanEnd,
}

impl KillStep {
    /// Name in logs and answers.
    pub fn name(self) -> &'static str {
        match self {
            KillStep::Pending => "pending",
            KillStep::Written => "written",
            KillStep::AwaitsConnection => "awaits_connection",
            KillStep::AwaitsBanEnd => "awaits_ban_end",
        }
    }
}

/// What the venue's word to wait stops, the milder first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hold {
    /// Nothing.
    None,
    /// New orders: their count is used up.
    Orders,
    /// All but cancels (429).
    AllButCancels,
    /// Every byte (418): whoever speaks during a ban lengthens it.
    Everything,
}

/// What a connection went through; from `ingest` and `gateway` to the cold side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireNote {
    /// A stream changed its health.
    Stream {
        /// Which.
        stream: StreamId,
        /// To what.
        state: StreamState,
        /// When.
        at: Time,
    },
    /// A connection was made anew.
    Reconnected {
        /// Which.
        stream: StreamId,
    },
    /// A frame could not be decoded.
    BadFrame {
        /// Of which stream.
        stream: StreamId,
        /// Byte offset of the fault.
        at_byte: u32,
    },
    /// The chain's counter met something; at most once a second each.
    Chain {
        /// What.
        what: ChainEvent,
        /// How many more.
        more: u32,
    },
    /// An order's bytes were handed to the kernel.
    Sent {
        /// Which order (the list's name for an OCO, the target's for a cancel).
        id: ClientOrderId,
        /// What was asked.
        verb: Verb,
        /// When the write returned.
        sent: Time,
        /// Last byte of the triggering frame read.
        trigger: Time,
        /// Duration of the parts, ns: decode, ring, step, encode, write.
        stages_ns: [u32; 5],
    },
    /// The venue answered a request.
    Answered {
        /// Which order.
        id: ClientOrderId,
        /// What had been asked.
        verb: Verb,
        /// Send to answer, ns.
        took_ns: i64,
        /// Venue's error code, 0 = accepted.
        code: i32,
    },
    /// The gateway did not let a command out; the engine was told by a report.
    Refused {
        /// Which order (the list's name for an OCO, the target's for a cancel).
        id: ClientOrderId,
        /// What was asked.
        verb: Verb,
        /// Why not.
        reason: Reason,
        /// When.
        at: Time,
    },
    /// The venue told us to wait.
    Held {
        /// What it stops.
        hold: Hold,
        /// Until when, on our clock.
        until: Time,
        /// When it said so.
        at: Time,
    },
    /// The kill switch was pulled, and this is what the gateway did about it.
    Killed {
        /// How far it came.
        step: KillStep,
        /// When it was pulled.
        pulled: Time,
        /// When the gateway had done that.
        at: Time,
    },
}

/// How much of the engine's history never reached the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Events that the engine consumed.
    pub events: u64,
    /// Commands and notes.
    pub notes: u64,
}

impl Lost {
    /// Nothing.
    pub const NONE: Lost = Lost { events: 0, notes: 0 };

    /// This and `more`; saturates.
    pub fn plus(self, more: Lost) -> Lost {
        Lost { events: self.events.saturating_add(more.events), notes: self.notes.saturating_add(more.notes) }
    }
}

/// What a request asked of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Verb {
    /// Place one order.
    Place,
    /// Place an OCO.
    PlaceOco,
    /// Cancel one.
    Cancel,
    /// Cancel a list.
    CancelList,
    /// Cancel and place.
    CancelReplace,
    /// Cancel all of the symbol.
    CancelAll,
    /// Ask.
    Query,
}

impl Verb {
    /// Name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Place => "place",
            Verb::PlaceOco => "place_oco",
            Verb::Cancel => "cancel",
            Verb::CancelList => "cancel_list",
            Verb::CancelReplace => "cancel_replace",
            Verb::CancelAll => "cancel_all",
            Verb::Query => "query",
        }
    }
}
