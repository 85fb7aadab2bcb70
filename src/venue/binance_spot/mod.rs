//! Binance Spot: market streams, REST at start, WebSocket API for orders and the account's own events.
//!
//! Thread: any.  Invariants: as of `venue`.  Source: the venue's API documents as of 2026-07-21.

pub mod book;
pub mod decode;
pub mod encode;
pub mod errors;
pub mod market;
pub mod rest;
pub mod sign;
pub mod trade;
pub mod user;
