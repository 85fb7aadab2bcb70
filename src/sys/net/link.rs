//! A link: one logical connection that heals itself.
//!
//! Thread: that of the agent that owns it; `turn` drives it.  Invariants: never blocks; bounded work per turn; every
//! attempt is paid from the connection budget; a planned end always has its successor delivering first.

use super::{Endpoint, Net};
use crate::types::Time;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};

pub use super::handler::{ConnId, DownReason, FrameVerdict, LinkHandler, OpenPhase, Outbox, SendError, Target};

/// Frames handled in one turn at most.
pub const FRAMES_PER_TURN_MAX: usize = 64;
/// Tokens of the poller that one link uses.
pub const TOKENS_PER_LINK: usize = 4;

/// What a link connects to, and its patience.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Where: path and query included.
    pub endpoint: Endpoint,
    /// Further headers of the handshake.
    pub headers: Vec<(String, String)>,
    /// From the start of an attempt to an open WebSocket.
    pub open_timeout_ns: i64,
    /// From open to the first frame the handler calls `Data`.
    pub first_data_timeout_ns: i64,
    /// Longest time without any byte; half way there a ping is sent.
    pub silence_timeout_ns: i64,
    /// Age at which a connection is replaced; the venue cuts it at 24 h.
    pub rollover_after_ns: i64,
    /// How long the old connection is still read after the new one delivers.
    pub rollover_overlap_ns: i64,
    /// Longest message.
    pub frame_bytes_max: usize,
    /// Most bytes that may wait for a peer that does not read.
    pub send_backlog_bytes_max: usize,
}

impl LinkConfig {
    /// Defaults: open in 10 s, data in 10 s, silence 60 s, roll-over after 23 h with 2 s of overlap, messages up to
    /// 4 MiB, 256 KiB of backlog.
    pub fn new(endpoint: Endpoint) -> LinkConfig {
        LinkConfig {
            endpoint,
            headers: Vec::new(),
            open_timeout_ns: 10 * NANOS_PER_SEC,
            first_data_timeout_ns: 10 * NANOS_PER_SEC,
            silence_timeout_ns: 60 * NANOS_PER_SEC,
            rollover_after_ns: 23 * 3_600 * NANOS_PER_SEC,
            rollover_overlap_ns: 2_000 * NANOS_PER_MILLI,
            frame_bytes_max: 4 << 20,
            send_backlog_bytes_max: 256 << 10,
        }
    }
}

/// What a link is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Waiting before the next attempt.
    Backoff,
    /// Looking up the name.
    Resolving,
    /// TCP.
    Connecting,
    /// TLS and WebSocket handshakes.
    Handshaking,
    /// A connection serves.
    Open,
    /// Stopped for good.
    Stopped,
}

/// One logical connection.
pub struct Link {
    config: LinkConfig,
    net: Net,
    state: LinkState,
    reconnects: u64,
}

impl Link {
    /// A link that begins to connect at its first turn.
    pub fn new(config: LinkConfig, net: Net) -> Link {
        Link { config, net, state: LinkState::Backoff, reconnects: 0 }
    }

    /// For an agent that parks: the link registers its sockets, old and new, by itself under the tokens
    /// `token_base .. token_base + TOKENS_PER_LINK`. Readiness is edge-triggered: sleep only after a turn gave 0.
    pub fn register(&mut self, registry: &mio::Registry, token_base: usize) -> std::io::Result<()> {
        let _ = (registry.try_clone()?, token_base);
        Ok(())
    }

    /// Does what can be done now without waiting, at most [`FRAMES_PER_TURN_MAX`] frames.
    ///
    /// Output: frames handled plus other progress; 0 = nothing left to do before readiness or [`Link::next_deadline`].
    pub fn turn<H: LinkHandler>(&mut self, now: Time, handler: &mut H) -> usize {
        let _ = (now, handler, &self.net, &self.config);
        0
    }

    /// When `turn` must be called next even if no socket is ready.
    pub fn next_deadline(&self) -> Time {
        Time(i64::MAX)
    }

    /// Sends `payload` as one text frame with one write. Output: the connection it went to.
    pub fn send(&mut self, to: Target, payload: &[u8]) -> Result<ConnId, SendError> {
        self.send_with(to, |buf| buf.extend_from_slice(payload))
    }

    /// Sends one text frame that `encode` appends to the buffer it is given (append only: the buffer begins with room
    /// for the headers), with one write. Output: the connection it went to.
    pub fn send_with(&mut self, to: Target, encode: impl FnOnce(&mut Vec<u8>)) -> Result<ConnId, SendError> {
        let _ = (to, encode);
        Err(SendError::NotOpen)
    }

    /// Opens a second connection; once it delivers, the first is closed. No effect while one is under way.
    pub fn begin_rollover(&mut self) {}

    /// Drops every connection and connects afresh, without a pause: for a session that lost its place.
    pub fn reset<H: LinkHandler>(&mut self, now: Time, handler: &mut H) {
        let _ = (now, handler);
    }

    /// Closes everything for good.
    pub fn stop<H: LinkHandler>(&mut self, now: Time, handler: &mut H) {
        let _ = (now, handler);
        self.state = LinkState::Stopped;
    }

    /// What it is doing.
    pub fn state(&self) -> LinkState {
        self.state
    }

    /// The connection that serves now.
    pub fn current(&self) -> Option<ConnId> {
        None
    }

    /// Unplanned ends of an open connection so far.
    pub fn reconnects(&self) -> u64 {
        self.reconnects
    }
}
