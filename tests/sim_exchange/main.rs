//! The built-in exchange through its front door: every money rule of the venue, and the proof that nothing is lost.
//!
//! Thread: the test's.  Invariants: after every call the exchange says `conserved()`.

mod books;
mod desk;
mod flow;
mod lists;
mod orders;
mod refusals;
