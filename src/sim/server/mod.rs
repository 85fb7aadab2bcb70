//! The venues' doors: one thread, one port, every protocol, told apart by path.
//!
//! | path | what answers |
//! |---|---|
//! | `/api/v3/…` | Binance Spot REST |
//! | `/ws`, `/ws/<streams>`, `/stream?streams=…` | Binance Spot market streams |
//! | `/ws-api/v3` | Binance Spot WebSocket API |
//! | `/solana`, `/solana?lag=20`, `/solana?ahead=1000000` | Solana PubSub (WebSocket) and JSON-RPC (POST); of a node that trails, or lies |
//! | `/kraken/ws`, `/kraken/0/public/Depth` | Kraken Spot public WebSocket (version 2), REST depth |
//! | `/jupiter/swap/v2/order` | Jupiter's quotes |
//! | `/llama/overview/dexs/{chain}`, `/llama/summary/dexs/{slug}` | DeFiLlama |
//! | `/bitquery` | Bitquery, memecoin volume in rows (POST) |
//! | `/pump/…` | pump.fun: `{"volume24h":…,"24h":{"volumeUSD":…}}` |
//! | `/coingecko/coins/categories` | CoinGecko |
//! | `/telegram/bot<token>/sendMessage`, `/slack/services/…` | alert channels, which remember what they were told |
//!
//! Thread: one of its own, unpinned, in `service`; [`Handle`] steers it from any other.
//! Invariants: listens on one address only; the world (books, feeds, faults) changes under one lock, so a test that
//! holds a [`Snapshot`] saw one instant; TLS or not is the port's choice, not the client's.

pub(super) mod binance;
mod chain;
mod client;
pub mod dex;
pub mod fault;
mod feeds;
mod gecko;
mod handle;
pub(super) mod http;
pub(super) mod json;
pub(super) mod kraken;
mod played;
mod played_chain;
mod service;
pub(super) mod solana;
pub(super) mod solana_slots;
mod wire;
pub(super) mod world;

use std::net::SocketAddr;
use std::sync::Arc;

pub use chain::ChainTruth;
pub use dex::{DexState, JupiterState};
pub use fault::{Fault, FeedState};
pub use feeds::{Alert, Channel};
pub use handle::{Handle, Snapshot};
pub use kraken::KrakenSystem;
pub use played::Opening;
pub use world::Received;

use super::scenario::Scenario;
use crate::sys::clock::Clock;

/// What a server needs to be told.
pub struct ServerSettings {
    /// Where to listen; port 0 = any free one, see [`Handle::addr`].
    pub listen: SocketAddr,
    /// The plan of the run.
    pub scenario: Scenario,
    /// Certificate and key, for `wss` and `https` in place of `ws` and `http`.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The house's clock.
    pub clock: Clock,
}

/// Why the venues could not open.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("built-in venues: cannot listen on {addr}: {cause}; choose another port or end the program that holds it")]
    Listen {
        /// Which address.
        addr: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// No poller or thread to be had.
    #[error("built-in venues: {what}: {cause}")]
    System {
        /// What was asked of the system.
        what: &'static str,
        /// What it said.
        cause: std::io::Error,
    },
    /// The exchange refuses the scenario's symbol.
    #[error("built-in venues: {0}")]
    Symbol(String),
}

/// The venues in a box.
pub struct Server;

impl Server {
    /// Opens the port and starts the thread. Errors: [`StartError`].
    pub fn start(settings: ServerSettings) -> Result<Handle, StartError> {
        service::start(settings)
    }
}
