//! The real binary under real faults: killed at any instant and started again. What must hold afterwards is judged by
//! the venue's own record of every order and fill, never by the engine's word.

#[allow(dead_code)] // `tests/scenarios` uses the rest of it
#[path = "../scenarios/books.rs"]
mod books;
mod instants;
mod judge;
mod kills;
#[path = "../scenarios/proof.rs"]
mod proof;
#[allow(dead_code)] // `tests/scenarios` uses the rest of it
#[path = "../scenarios/rig.rs"]
mod rig;
mod session;
