//! What the benches and the allocation test share: a scripted venue, and the trading agents wired to it.
//!
//! Thread: the venue has its own, or its own process; the agents run where their owner turns them.
//! Invariants: the agents, sessions and links are the real ones, only the venue is a script; nothing but 127.0.0.1.

pub mod asker;
#[path = "../../tests/net/certs.rs"]
pub mod certs;
pub mod floor;
pub mod house;
pub mod peer;
pub mod report;
pub mod stages;
pub mod usage;
pub mod venue;
