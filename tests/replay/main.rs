//! `replay` and `explain`, as the real binary answers them: over journals that it wrote itself while it traded, and over
//! journals made here, with damage whose place is known.

#[allow(dead_code)] // the scenarios use the rest of it
#[path = "../scenarios/books.rs"]
mod books;
mod damage;
#[path = "../engine/day.rs"]
#[allow(dead_code)] // the engine's tests use the rest of it
mod day;
#[allow(dead_code)] // the engine's tests use the rest of it
#[path = "../engine/desk.rs"]
mod desk;
mod live;
#[path = "../scenarios/proof.rs"]
mod proof;
mod questions;
#[allow(dead_code)] // the scenarios use the rest of it
#[path = "../scenarios/rig.rs"]
mod rig;
#[path = "../scenarios/stillness.rs"]
mod stillness;
mod tape;
