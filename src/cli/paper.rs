//! Paper mode: the built-in venue on loopback takes the orders, its market mirrors the live one.
//!
//! Thread: main builds; the venue and the mirror have threads of their own.  Invariants: paper keys are made up and
//! public; the user's own keys are not read and go nowhere.

use super::house::{self, Blueprint};
use super::{Failure, exit};
use crate::config::{Config, KeyType, Secrets};
use crate::sim::follow;
use crate::sim::scenario::Scenario;
use crate::sim::server::{Handle, Server, ServerSettings};
use crate::sys::clock::Clock;
use crate::sys::net::{Endpoint, Net};
use secrecy::SecretString;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// The paper venue and its mirror.
pub struct PaperVenue {
    /// The venue; the mirror holds the other end.
    pub handle: Arc<Handle>,
    mirror: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl PaperVenue {
    /// Ends the mirror, then the venue.
    pub fn close(self) {
        self.stop.store(true, Ordering::Release); // pairs with the Acquire in `follow`
        drop(self.mirror.join());
        drop(self.handle); // the last handle: closes every connection and waits for the thread
    }
}

/// Opens the venue, lets it follow the live market, and gives the blueprint of a house that trades there.
pub fn open(mut config: Config, mut secrets: Secrets, clock: Clock) -> Result<(Blueprint, PaperVenue), Failure> {
    let failed = |why: &dyn std::fmt::Display| Failure::new(exit::FAILED, why);
    let scenario = Scenario::paper().map_err(|why| failed(&why))?;
    use_paper_keys(&mut config, &mut secrets, &scenario);
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings = ServerSettings { listen, scenario, tls: None, clock };
    let handle = Arc::new(Server::start(settings).map_err(|why| failed(&why))?);
    let net = house::net(&config, clock)?;
    let stop = Arc::new(AtomicBool::new(false));
    let mirror = mirror(&handle, &config, &net, &stop)?;
    let blueprint = Blueprint {
        order_rest: handle.http_url(""),
        order_ws_api: handle.ws_url("/ws-api/v3"),
        config,
        secrets,
        clock,
        net,
        story: false,
    };
    Ok((blueprint, PaperVenue { handle, mirror, stop }))
}

/// The key that the built-in venue knows.
pub fn use_paper_keys(config: &mut Config, secrets: &mut Secrets, scenario: &Scenario) {
    config.exchange.binance_key_type = KeyType::Hmac;
    secrets.binance_key = Some(SecretString::from(scenario.keys.hmac_key.clone()));
    secrets.binance_secret = Some(SecretString::from(scenario.keys.hmac_secret.clone()));
}

fn mirror(handle: &Arc<Handle>, config: &Config, net: &Net, stop: &Arc<AtomicBool>) -> Result<JoinHandle<()>, Failure> {
    let base = Endpoint::parse(&config.endpoints.binance_stream)
        .map_err(|why| Failure::new(exit::BAD_CONFIG, &format!("endpoints.binance_stream: {why}")))?;
    let symbol = config.symbols.spot;
    follow::start(Arc::clone(handle), symbol, &base, net.clone(), Arc::clone(stop))
        .map_err(|why| Failure::new(exit::FAILED, &why))
}
