//! WebSocket frames (RFC 6455), client side.
//!
//! Thread: any.  Invariants: no input makes it panic.

/// How a peer broke the protocol, or ended it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WsError {
    /// The peer closed, with its code and reason.
    #[error("closed by the peer: code {code} {reason}")]
    Closed {
        /// RFC 6455 7.4; 1005 where none was sent.
        code: u16,
        /// Its text.
        reason: String,
    },
}
