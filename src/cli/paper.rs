//! Paper mode: the built-in venue on loopback takes the orders, its market mirrors the live one.
//!
//! Thread: main builds; the venue and the mirror have threads of their own.  Invariants: paper keys are made up and
//! public; the user's own keys are not read and go nowhere; a venue that opens again has the money and the coins that
//! the ledger's fills leave, and never gives a number twice.

use super::house::{self, Blueprint};
use super::{Failure, exit};
use crate::config::{Config, KeyType, Secrets};
use crate::ledger::{DB_FILE, Ledger, LedgerError, Market};
use crate::sim::follow;
use crate::sim::scenario::Scenario;
use crate::sim::server::{Handle, Server, ServerSettings};
use crate::sys::clock::Clock;
use crate::sys::net::{Endpoint, Net};
use crate::types::order::FeeAsset;
use crate::types::record::FillRow;
use crate::types::time::NANOS_PER_SEC;
use crate::types::units::{notional_ceil, notional_floor};
use crate::types::{Notional, Qty, Side};
use secrecy::SecretString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Numbers a venue may give a second of its life, before those of its next life begin.
const IDS_PER_SECOND: i64 = 1_000;
/// What the built-in venue calls the money and the coins of its SOLUSDT.
const CASH: &str = "USDT";
const COINS: &str = "SOL";
/// A size counts in 1e-9, the venue's amounts in 1e-8.
const QTY_PARTS_PER_AMOUNT: i64 = 10;

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
    let mut scenario = Scenario::paper().map_err(|why| failed(&why))?;
    remember(&mut scenario, &config, clock).map_err(|why| failed(&why))?;
    use_paper_keys(&mut config, &mut secrets, &scenario);
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings = ServerSettings { listen, scenario, tls: None, clock };
    let net = house::net(&config, clock)?; // first what the configuration may have wrong
    let handle = Arc::new(Server::start(settings).map_err(|why| failed(&why))?);
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

/// The account as earlier paper runs on the same data directory left it, and numbers above all of theirs.
fn remember(scenario: &mut Scenario, config: &Config, clock: Clock) -> Result<(), LedgerError> {
    scenario.ids_from = clock.now().0 / NANOS_PER_SEC * IDS_PER_SECOND;
    let dir: &Path = &config.storage.data_dir;
    if !dir.join(DB_FILE).exists() {
        return Ok(());
    }
    let market = Market { venue: house::VENUE, symbol: config.symbols.spot };
    let fills = Ledger::open(dir, market)?.fills()?;
    let (cash, coins) = flows(&fills);
    *scenario.balances.entry(CASH.to_owned()).or_default() += cash.0;
    *scenario.balances.entry(COINS.to_owned()).or_default() += coins.0.div_euclid(QTY_PARTS_PER_AMOUNT);
    Ok(())
}

/// What fills did to money and coins, fees included.
fn flows(fills: &[FillRow]) -> (Notional, Qty) {
    let (mut cash, mut coins) = (0_i64, 0_i64);
    for fill in fills {
        let value = match fill.side {
            Side::Buy => notional_ceil(fill.price, fill.qty).map(|value| -value.0),
            Side::Sell => notional_floor(fill.price, fill.qty).map(|value| value.0),
        };
        cash = cash.saturating_add(value.unwrap_or(0));
        coins += if fill.side == Side::Buy { fill.qty.0 } else { -fill.qty.0 };
        match fill.fee_asset {
            FeeAsset::Base => coins -= fill.fee,
            FeeAsset::Quote => cash -= fill.fee,
            FeeAsset::Other | FeeAsset::None => {}
        }
    }
    (Notional(cash), Qty(coins))
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
