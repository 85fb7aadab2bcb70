//! `sol_volume_bot`: buys SOL when memecoin volume falls, guards it, takes profit twice, gets out at the stop.
//!
//! The rooms, from the front door down to the ground floor; an arrow between rooms points downward only
//! (`tests/tidy.rs` checks). A market event walks `venue` → `engine` → `venue` inside the agents of `threads`.
//!
//! | floor | rooms |
//! |---|---|
//! | 7 | [`cli`]: one file per verb |
//! | 6 | [`config`]: file and `.env` to plain values · [`topology`]: the wiring table |
//! | 5 | [`threads`]: the agents · [`sim`]: venues in a box |
//! | 4 | [`recovery`]: what earlier runs left, brought up to the venue's truth |
//! | 3 | [`engine`]: pure decisions · [`venue`]: pure protocols · [`ledger`]: what is kept · [`telemetry`]: what is told |
//! | 2 | [`ring`]: queues between threads · [`sys`]: clock, cores, sockets, TLS, files |
//! | 1 | [`types`]: the vocabulary |
#![deny(clippy::mem_forget)]

pub mod cli;
pub mod config;
pub mod engine;
pub mod ledger;
pub mod recovery;
pub mod ring;
pub mod sim;
pub mod sys;
pub mod telemetry;
pub mod threads;
pub mod topology;
pub mod types;
pub mod venue;
