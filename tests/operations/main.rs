//! Operation: what a user sees who configures, starts, watches, signals and stops the program, all of it from outside:
//! the binary as a child process, the built-in venues in the test's own.

#[path = "../net/certs.rs"]
mod certs;
mod disk;
mod edges;
mod guard;
mod kill;
mod refusals;
mod rig;
mod secrets;
mod signals;
mod starts;
#[path = "../scenarios/stillness.rs"]
mod stillness;
mod supervision;
mod tls;
mod watching;
