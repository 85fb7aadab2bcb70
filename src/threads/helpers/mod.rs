//! Unpinned threads for what may block: REST polls, alerts, the ops port.
//!
//! Thread: one each, named.  Invariants: nothing here is waited for by an agent.

pub mod alerts;
pub mod bus;
pub mod http;
pub mod operator;
pub mod pollers;
pub mod recorder;
pub mod socket;
mod sources;
pub mod web;
