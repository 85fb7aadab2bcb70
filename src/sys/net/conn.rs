//! One WebSocket connection.
//!
//! Thread: that of its link.  Invariants: frames are handed out in order, in place.

use super::handler::SendError;

/// Writes text frames to the connection a handler was called for.
pub struct Outbox<'a> {
    io: &'a mut super::stream::Io,
}

impl Outbox<'_> {
    /// Sends `payload` as one text frame.
    pub fn text(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.text_with(|buf| buf.extend_from_slice(payload))
    }

    /// Sends one text frame that `encode` appends to the buffer it is given. Append only: the buffer begins with room
    /// for the frame's header.
    pub fn text_with(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), SendError> {
        encode(&mut self.io.scratch);
        Ok(())
    }
}
