//! The engine, pure: (state, event) → commands.
//!
//! Thread: any; the hot agent owns it.  Invariants: the output is a function of the inputs alone: no clock, socket,
//! file, thread, lock, random source, log call, float or hash-map iteration, so replaying the events repeats the day.
#![deny(clippy::float_arithmetic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

pub mod signal;
