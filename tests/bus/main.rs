//! The bus, from outside: a real NATS server, the built-in venue, the real binary in live mode on loopback, and a peer
//! that speaks the server's text protocol by itself, so that both ends of no message are ours.

#[allow(dead_code)] // its TLS servers are for the other tests
#[path = "../net/certs.rs"]
mod certs;
mod facts;
mod feeds;
mod nats;
mod outages;
#[allow(dead_code)] // operation's tests use the rest of it
#[path = "../operations/rig.rs"]
mod rig;
