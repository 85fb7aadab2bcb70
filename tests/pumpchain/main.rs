//! The volume counted from the chain, through its front doors: whose events count, once; what is missing and said; the
//! two windows; restarts; what others hand in; recorded and hostile frames; the built-in node.

#[path = "../counting/mod.rs"]
mod counting;
#[allow(dead_code)] // the venue's own tests use the rest of it
#[path = "../sim_server/desk.rs"]
mod hands;

mod backfill;
mod captures;
mod desk;
mod frames;
mod gaps;
mod hostile;
mod node;
mod speed;
mod store;
mod trust;
mod two_hands;
mod windows;
