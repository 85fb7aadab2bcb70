//! Venues in a box: a matching engine that behaves like Binance Spot where money is concerned, a seeded market, and
//! the servers that speak the real protocols around them.
//!
//! Thread: `exchange`, `market` and `world` (all of it in virtual time) are pure (any); `server` runs on one unpinned
//! thread of its own.

pub mod exchange;
pub mod follow;
pub mod market;
pub mod play;
pub mod scenario;
pub mod server;
pub mod world;
