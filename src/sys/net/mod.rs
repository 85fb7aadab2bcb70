//! Sockets that never block: WebSocket links that heal themselves, and a one-request HTTP client, plain or TLS.
//!
//! Thread: an agent owns its links and clients and drives them with `turn`; only name resolution runs elsewhere.
//! Invariants: nothing here blocks, sleeps or spins; after warm-up a frame received or sent allocates nothing, also over
//! TLS; a certificate is always checked; every buffer has a bound.
//!
//! A byte's way: [`stream`] (TCP, [`tls`] records opened in place) → [`ws`] frames in place → [`link`] → the handler.

pub mod budget;
mod buffer;
mod conn;
pub mod handler;
pub mod http;
mod http_answer;
pub mod link;
mod record;
pub mod resolver;
mod rng;
pub mod stream;
pub mod tls;
mod upgrade;
pub mod url;
pub mod ws;

use std::sync::Arc;

pub use budget::ConnectBudget;
pub use http::{HttpClient, HttpError, Method, Request, Response};
pub use link::{ConnId, DownReason, FrameVerdict, Link, LinkConfig, LinkHandler, LinkState, Outbox, SendError, Target};
pub use resolver::Resolver;
pub use tls::TlsContext;
pub use url::Endpoint;

use super::clock::Clock;

/// What every connection of one kind shares. Clone it into each agent.
#[derive(Clone)]
pub struct Net {
    /// Our clock: stamps received bytes.
    pub clock: Clock,
    /// Trusted roots and TLS settings.
    pub tls: TlsContext,
    /// Looks up names on its own thread.
    pub resolver: Resolver,
    /// Connection attempts still allowed by the venue; share it among all that count together there.
    pub budget: Arc<ConnectBudget>,
}

impl Net {
    /// The same, with a budget of its own: for a host that counts its connections apart.
    pub fn with_budget(&self, budget: ConnectBudget) -> Net {
        Net { budget: Arc::new(budget), ..self.clone() }
    }
}
