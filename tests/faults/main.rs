//! The real binary under real faults: killed at any instant and started again; behind a bad wire; under load. What must hold afterwards is judged by
//! the venue's own record of every order and fill, never by the engine's word.

#[allow(dead_code)] // `tests/scenarios` uses the rest of it
#[path = "../scenarios/books.rs"]
mod books;
#[allow(dead_code)] // `tests/net` uses the rest of it
#[path = "../net/certs.rs"]
mod certs;
mod instants;
mod judge;
mod kills;
mod lanes;
#[path = "../scenarios/proof.rs"]
mod proof;
#[allow(dead_code)] // `tests/scenarios` uses the rest of it
#[path = "../scenarios/rig.rs"]
mod rig;
mod session;
mod soak;
#[path = "../scenarios/stillness.rs"]
mod stillness;
mod trial;
mod wires;
