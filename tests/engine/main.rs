//! The engine through its front door: events in, commands out, a small strict venue in between.
//!
//! Thread: any.  Invariants: no clock, no socket; the desk turns the time.

mod adopt;
mod again;
mod closes;
mod day;
mod desk;
mod doubts;
mod exits;
mod property;
mod rules;
mod trades;
