//! Every feed at once: the real binary in live mode, Binance, Kraken, the Solana exchange, quotes, the chain's own volume
//! and three pollers over loopback. Each is muted, torn or made to lie; `/readyz` must name it, no entry may stand on it,
//! exits must go on, and only fresh data heals it.

#[allow(dead_code)] // the scenarios use the rest of it
#[path = "../scenarios/books.rs"]
mod books;
mod deaf;
mod desk;
mod happy;
mod mute;
mod nodes;
#[path = "../scenarios/proof.rs"]
mod proof;
mod quiet;
#[allow(dead_code)] // the scenarios use the rest of it
#[path = "../scenarios/rig.rs"]
mod rig;
#[path = "../scenarios/stillness.rs"]
mod stillness;
mod views;
