//! The Solana books: Manifest's account and Jupiter's ladder, by the fact sheet's vector, by hostile bytes, by captures,
//! and over loopback from the built-in venues.
//!
//! Thread: the tests'.  Invariants: nothing connects anywhere but 127.0.0.1; waiting is on a frame or a condition.

mod account;
#[path = "../counting/mod.rs"]
mod counting;
mod desk;
mod frames;
mod hostile;
mod ladder;
mod session;
mod wire;
