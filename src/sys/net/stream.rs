//! One TCP connection, with TLS or without.
//!
//! Thread: that of its owner.  Invariants: never blocks.

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// TLS failed, in words.
    #[error("{0}")]
    Tls(String),
    /// The peer closed the connection.
    #[error("closed by the peer")]
    Closed,
    /// More bytes than the bound without a whole message.
    #[error("a message is longer than {max} bytes")]
    TooLong {
        /// The bound.
        max: usize,
    },
}

/// The writing half.
pub struct Io {
    pub(crate) scratch: Vec<u8>,
}
