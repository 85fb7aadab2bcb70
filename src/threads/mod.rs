//! The agents: thin shells around the pure rooms, each a struct with one `turn` that never blocks.
//!
//! Thread: see each file.  Invariants: two agents share a ring, never a door; the one endless loop is in `runner`.

pub mod cold;
pub mod gateway;
pub mod helpers;
pub mod hot;
pub mod ingest;
pub mod runner;
pub mod scout;
