//! The cold side through its doors: what a log reader, a scraper, an operator and a chat get to see.
//!
//! Thread: test.  Invariants: loopback only; no sleeps: a test waits for a fact, with a deadline.

mod bench;
mod chat;
mod port;
mod rows;
mod story;
