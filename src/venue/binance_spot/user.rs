//! The account's own events.
//!
//! Thread: any.  Invariants: as of `venue`.
