//! The built-in venues through their real doors: loopback sockets, raw HTTP, an independent WebSocket client.
//!
//! Thread: the tests'.  Invariants: nothing connects anywhere but 127.0.0.1; waiting is on a frame or a condition.

mod desk;
mod faults;
mod peers;
mod rest;
mod scenarios;
mod streams;
mod ws_api;
