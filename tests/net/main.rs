//! The network room through its front door, over loopback, against implementations that are not ours: tungstenite for
//! WebSocket frames, rustls' own server for TLS.
//!
//! Thread: each test makes its peers' threads.  Invariants: nothing but 127.0.0.1; no sleeping: a test turns the link
//! until what it waits for has happened, or fails after ten seconds.

mod alloc_count;
mod certs;
#[path = "../counting/mod.rs"]
mod counting;
mod frames;
mod gateway;
mod http;
mod links;
mod peer;
mod tls;
