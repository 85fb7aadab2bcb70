//! The WebSocket API session: logon, the account's own events, orders out, facts in; sans-IO.
//!
//! Thread: any.  Invariants: every request is in the in-flight table before its bytes leave and ends in an answer, a
//! deadline or a lost socket; what may have been executed is told as `Unknown`, never as refused; encoding an order
//! and reading its report do not allocate.

use super::sign::Signer;
use crate::types::event::Event;
use crate::types::record::{Verb, WireNote};
use crate::types::{ClientOrderId, Command, Instrument, Notional, Time};
use crate::venue::DecodeError;

/// What a request may cost, as the venue's `exchangeInfo` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// What is counted.
    pub kind: LimitKind,
    /// Length of the window, aligned to the venue's clock.
    pub interval_ns: i64,
    /// Most that a window may hold.
    pub limit: u32,
}

/// What a rate limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Weight of requests, per address.
    Weight,
    /// Orders placed, per account.
    Orders,
    /// Requests of any weight.
    Raw,
}

/// What a session is made of.
#[derive(Debug)]
pub struct TradeSettings {
    /// The one symbol that may be traded, with its filters.
    pub instrument: Instrument,
    /// The venue's name of our key.
    pub api_key: String,
    /// The key: Ed25519 logs the session on, HMAC signs each request.
    pub signer: Signer,
    /// How late an order may reach the matching engine, ms.
    pub recv_window_orders_ms: u32,
    /// The same for questions, ms.
    pub recv_window_queries_ms: u32,
    /// A request without an answer for this long has an unknown outcome, ns.
    pub request_timeout_ns: i64,
    /// Largest price x size of one order, the last gate before the wire; zero = no bound but the venue's.
    pub order_notional_max: Notional,
    /// The venue's limits; empty = not known, nothing is held back.
    pub limits: Vec<RateLimit>,
}

/// What a frame was, for the connection that carried it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// An event of the account or the answer to a request.
    Data,
    /// Nothing that says the session works.
    Control,
    /// The server goes away: open the next connection.
    Shutdown,
    /// This connection cannot be used further: drop it and reconnect.
    Reset,
}

/// Why a command was not encoded. The engine has been told by a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not logged on, or the account's events are not up yet.
    #[error("the order session is not ready")]
    NotReady,
    /// The venue does not list this kind of order for the symbol.
    #[error("the venue does not offer this kind of order for the symbol")]
    NotOffered,
    /// Size or price is off the grid or outside the bounds.
    #[error("price or size is off the symbol's grid or outside its bounds")]
    Filter,
    /// More money than one order may carry.
    #[error("the order is larger than `order_notional_max`")]
    TooLarge,
    /// The id was used before.
    #[error("the client order id was used before")]
    IdUsed,
    /// The budget of orders or requests is (nearly) used up, or the venue said to wait.
    #[error("the venue's rate limit is near or was hit")]
    RateLimit,
    /// The command is not one for a venue.
    #[error("this command is not for the venue")]
    NotForVenue,
}

/// The WebSocket API session of one symbol and one key.
#[derive(Debug)]
pub struct TradeSession {
    settings: TradeSettings,
    ready: bool,
    offset_ns: i64,
}

impl TradeSession {
    /// Not connected; all memory is taken here.
    pub fn new(settings: TradeSettings) -> Self {
        Self { settings, ready: false, offset_ns: 0 }
    }

    /// A connection is open: logs on (Ed25519) and subscribes to the account's events.
    pub fn on_open(&mut self, _now: Time, _out: &mut impl FnMut(&[u8])) {
        self.ready = false;
    }

    /// One whole frame.
    ///
    /// Errors: [`DecodeError`] with the byte; the session goes on.
    pub fn on_frame(
        &mut self,
        _frame: &[u8],
        _recv: Time,
        _emit: &mut impl FnMut(Event),
        _note: &mut impl FnMut(WireNote),
        _out: &mut impl FnMut(&[u8]),
    ) -> Result<FrameKind, DecodeError> {
        Ok(FrameKind::Control)
    }

    /// The connection is gone: every order request in flight is now unknown.
    pub fn on_down(&mut self, _now: Time, _emit: &mut impl FnMut(Event), _note: &mut impl FnMut(WireNote)) {
        self.ready = false;
    }

    /// Writes the text of one request into `buf` (cleared first) and registers it as in flight.
    ///
    /// Output: whose request it is and what it asks.
    /// Errors: [`Refusal`]; the engine is told by a `Rejected` or `CancelRejected` report through `emit`.
    pub fn encode(
        &mut self,
        _command: &Command,
        _now: Time,
        buf: &mut Vec<u8>,
        _emit: &mut impl FnMut(Event),
    ) -> Result<(ClientOrderId, Verb), Refusal> {
        buf.clear();
        Err(if self.settings.api_key.is_empty() { Refusal::NotReady } else { Refusal::NotForVenue })
    }

    /// Deadlines, queries that are due, the clock, subscription retries. Cheap when nothing is due.
    pub fn on_timer(
        &mut self,
        _now: Time,
        _emit: &mut impl FnMut(Event),
        _note: &mut impl FnMut(WireNote),
        _out: &mut impl FnMut(&[u8]),
    ) {
    }

    /// Venue's clock minus ours, as measured before the session began.
    pub fn set_clock_offset(&mut self, offset_ns: i64) {
        self.offset_ns = offset_ns;
    }

    /// Logged on, subscribed, and the truth about our orders is known.
    pub fn is_ready(&self) -> bool {
        self.ready
    }
}
