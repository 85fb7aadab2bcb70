//! The real binary against the venues in a box, over loopback sockets: one scenario a test. What must hold in every
//! scenario (`proof.rs`) is judged by the venue's own record, never by the engine's word.

mod books;
mod doubts;
mod entries;
mod exits;
mod hand;
mod outages;
mod paths;
mod proof;
mod restart;
#[allow(dead_code)] // `tests/faults` uses the rest of it
mod rig;
mod stillness;
