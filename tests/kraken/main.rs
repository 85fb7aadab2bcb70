//! Kraken Spot through its front doors: recorded frames, the book and its checksum, the session, the REST audit, hostile
//! frames, and the built-in venue over a real loopback socket. A long run: `PROPTEST_CASES=100000`.

mod captures;
mod desk;
mod frames;
mod hostile;
mod lost;
mod rest;
mod session;
mod venue;
