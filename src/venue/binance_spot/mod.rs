//! Binance Spot: market streams, REST at start, WebSocket API for orders and the account's own events.
//!
//! Thread: any.  Invariants: as of `venue`.  Source: the venue's API documents as of 2026-07-21.

pub mod book;
pub mod candles;
pub mod decode;
pub mod encode;
pub mod errors;
pub mod health;
pub mod market;
pub mod messages;
pub mod rest;
pub mod retry;
pub mod sign;
pub mod sync;
pub mod trade;
pub mod user;
