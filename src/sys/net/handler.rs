//! What a link and the agent that owns it say to each other.
//!
//! Thread: any.  Invariants: a handler sees whole text frames, in order within one connection; what it writes goes to
//! the connection it was called for.

use std::net::SocketAddr;

use super::resolver::ResolveError;
use super::stream::StreamError;
use super::ws::WsError;
use crate::types::Time;

pub use super::conn::Outbox;

/// One connection of a link; a new number for each attempt, so a late answer is told from a fresh one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u32);

/// What a frame was, for the link's own care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameVerdict {
    /// Application data: the subscription works. Counts for the first-data timeout and for a roll-over's readiness.
    Data,
    /// An answer, a status, anything else.
    Control,
    /// The venue announced its end: open another connection, then leave this one.
    Shutdown,
    /// This connection is of no use: drop it and connect again.
    Reset,
}

/// What an agent does with a connection's life. Static dispatch: one handler type per link.
pub trait LinkHandler {
    /// A connection is open: write subscriptions or a logon into `out`, each call one text frame.
    fn on_open(&mut self, conn: ConnId, now: Time, out: &mut Outbox<'_>);
    /// One whole text frame, in place. `recv` is when its last byte was read.
    fn on_frame(&mut self, conn: ConnId, frame: &[u8], recv: Time, out: &mut Outbox<'_>) -> FrameVerdict;
    /// A connection, or an attempt at one, ended. What was sent on it without an answer is now unknown.
    fn on_down(&mut self, conn: ConnId, reason: &DownReason, now: Time);
}

/// Where to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The connection that serves now.
    Current,
    /// This one, if it is still open.
    Conn(ConnId),
}

/// Why nothing, or not all, was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No connection is open there. No byte left.
    #[error("not connected")]
    NotOpen,
    /// The peer does not read: what waits to be sent has reached its bound. No byte left.
    #[error("the connection's send queue is full")]
    Full,
    /// The encoder wrote nothing. No byte left.
    #[error("nothing was encoded")]
    Empty,
    /// The connection broke while sending: whether the peer has the message is unknown.
    #[error("the connection broke while sending")]
    Broken,
}

impl SendError {
    /// True where certainly no byte of the message left this host.
    pub fn nothing_left(self) -> bool {
        !matches!(self, SendError::Broken)
    }
}

/// What an attempt was doing when its time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenPhase {
    /// Looking up the name.
    Resolving,
    /// TCP.
    Connecting,
    /// TLS.
    TlsHandshake,
    /// WebSocket upgrade.
    Upgrading,
}

impl std::fmt::Display for OpenPhase {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            OpenPhase::Resolving => "looking up the name",
            OpenPhase::Connecting => "connecting",
            OpenPhase::TlsHandshake => "the TLS handshake",
            OpenPhase::Upgrading => "the WebSocket handshake",
        })
    }
}

/// Why a connection, or an attempt at one, ended.
#[derive(Debug, thiserror::Error)]
pub enum DownReason {
    /// The name has no address.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The socket or TLS failed; the text names the address and, for a certificate, what is wrong with it.
    #[error("{addr}: {error}")]
    Stream {
        /// Where.
        addr: SocketAddr,
        /// What.
        error: StreamError,
    },
    /// The peer broke the WebSocket protocol, refused the upgrade, or closed.
    #[error("{addr}: {error}")]
    WebSocket {
        /// Where.
        addr: SocketAddr,
        /// What.
        error: WsError,
    },
    /// Not open in time.
    #[error("not open after {after_ms} ms: still {phase}")]
    OpenTimeout {
        /// What it was doing.
        phase: OpenPhase,
        /// The limit.
        after_ms: i64,
    },
    /// Open, but no application data in time.
    #[error("no data within {after_ms} ms of opening")]
    NoData {
        /// The limit.
        after_ms: i64,
    },
    /// Not a byte, not even a ping.
    #[error("silent for {after_ms} ms")]
    Silent {
        /// The limit.
        after_ms: i64,
    },
    /// The handler asked for it.
    #[error("dropped by the session")]
    Reset,
    /// Replaced by a fresher connection, which already delivers.
    #[error("replaced by a new connection")]
    RolledOver,
    /// The engine stops.
    #[error("closed by us")]
    Stopped,
}
