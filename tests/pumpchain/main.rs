//! The volume counted from the chain, through its front doors: whose events count, once; what is missing and said; the
//! two windows; restarts; what others hand in; recorded and hostile frames; the built-in node.

#[path = "../counting/mod.rs"]
mod counting;

mod backfill;
mod captures;
mod desk;
mod gaps;
mod hostile;
mod store;
mod trust;
mod windows;
