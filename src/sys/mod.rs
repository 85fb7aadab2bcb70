//! The only door to clock, cores, sockets, TLS, files and signals.
//!
//! Thread: any.  Invariants: nothing here decides anything about trading; every failure says what, where and why.

pub mod clock;
pub mod cores;
pub mod files;
pub mod heartbeat;
pub mod kill;
pub mod local;
pub mod net;
pub mod poller;
pub mod process;
pub mod signals;
