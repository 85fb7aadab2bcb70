//! Binance Spot: market streams, REST at start, WebSocket API for orders and the account's own events.
//!
//! Thread: any.  Invariants: as of `venue`.  Source: the venue's API documents as of 2026-07-21.

pub mod answer;
pub mod book;
pub mod budget;
pub mod candles;
pub mod clock;
pub mod decode;
pub mod encode;
pub mod errors;
pub mod gate;
pub mod inflight;
pub mod info;
mod kill;
pub mod last_gate;
pub mod lines;
pub mod market;
pub mod messages;
mod respond;
pub mod rest;
mod resync;
pub mod retry;
pub mod sign;
mod submit;
mod successor;
pub mod sync;
pub mod table;
mod tell;
pub mod trade;
pub mod user;
