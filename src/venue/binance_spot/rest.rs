//! REST: request lines and the answers read at start.
//!
//! Thread: any.  Invariants: as of `venue`.
