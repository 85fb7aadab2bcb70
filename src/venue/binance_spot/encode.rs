//! Request texts of the WebSocket API.
//!
//! Thread: any.  Invariants: as of `venue`.
