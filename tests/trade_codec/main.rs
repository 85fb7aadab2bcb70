//! The order session of Binance Spot through its front door: request texts, answers, events, silence; REST at start.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod alloc_count;
mod desk;
mod facts;
mod frames;
mod gate;
mod killing;
mod limits;
mod opening;
mod reconcile;
mod requests;
mod rest;
mod rollover;
mod silence;
mod wire;
