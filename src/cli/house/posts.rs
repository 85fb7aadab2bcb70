//! The scout's posts from the configuration: one for each further feed in use.
//!
//! Thread: main, before the agents exist.  Invariants: nothing is connected here; a feed without an address has no post.

use super::parts::endpoint;
use crate::cli::{Failure, exit};
use crate::config::{ChainScope, Config, Secrets};
use crate::ledger::Ledger;
use crate::sys::clock::Clock;
use crate::sys::net::{ConnectBudget, HttpClient, Link, LinkConfig, Net};
use crate::threads::scout::{Backfill, ChainPost, DexPost, KrakenPost, LadderPost, Post, PriceAt, Rest};
use crate::types::chain::VolumeBucket;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::units::QTY_SCALE;
use crate::types::{Qty, StreamId};
use crate::venue::jupiter::ladder::LadderSettings;
use crate::venue::kraken::Pair;
use crate::venue::kraken::rest::AuditSettings;
use crate::venue::kraken::session::{BookDepth, KrakenSettings, StaleAfter};
use crate::venue::manifest::session::DexSettings;
use crate::venue::pumpchain::Venues;
use crate::venue::pumpchain::session::Settings as ChainSettings;
use crossbeam_channel::Sender;
use secrecy::{ExposeSecret, SecretString};

/// Longest answer that is read: a hundred accounts, two days of hours.
const BODY_BYTES_MAX: usize = 4 << 20;
/// Buckets reach back so far; what is older is of no use to a window of two days.
const BUCKETS_NS: i64 = 50 * 3_600 * NANOS_PER_SEC;
/// Kraken counts connection attempts by the address: about 150 in ten minutes.
const KRAKEN_ATTEMPTS: (u32, i64) = (120, 600 * NANOS_PER_SEC);

/// What posts are built from.
pub struct Ground<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Keys of plans.
    pub secrets: &'a Secrets,
    /// Sockets' common ground.
    pub net: &'a Net,
    /// Buckets of earlier runs.
    pub ledger: &'a Ledger,
    /// The house's clock.
    pub clock: Clock,
}

/// One post for each further feed in use. `rows` takes the volume buckets that closed; `price_at` tells what SOL cost.
pub fn posts(
    ground: &Ground<'_>,
    rows: Sender<VolumeBucket>,
    price_at: PriceAt,
) -> Result<Vec<Box<dyn Post>>, Failure> {
    let mut posts: Vec<Box<dyn Post>> = Vec::new();
    let feeds = &ground.config.feeds;
    let comes_by_bus = |stream: StreamId| feeds.is_from_bus(stream);
    if let Some(url) = ground.config.endpoints.kraken_ws.as_ref().filter(|_| !comes_by_bus(StreamId::KrakenBook)) {
        posts.push(Box::new(ground.kraken(url)?));
    }
    if feeds.dex_book && !comes_by_bus(StreamId::DexBook) {
        posts.push(Box::new(ground.dex()?));
    }
    if let Some(url) = &ground.config.endpoints.jupiter {
        posts.push(Box::new(ground.ladder(url)?));
    }
    if ground.config.counts_chain() && !comes_by_bus(StreamId::PumpChain) {
        posts.push(Box::new(ground.chain(rows, price_at)?));
    }
    Ok(posts)
}

fn bad(key: &str, why: &dyn std::fmt::Display) -> Failure {
    Failure::new(exit::BAD_CONFIG, &format!("{key}: {why}"))
}

/// A key as a header's value.
fn header(name: &'static str, key: Option<&SecretString>, before: &str) -> Option<(&'static str, String)> {
    key.map(|key| (name, format!("{before}{}", key.expose_secret())))
}

impl Ground<'_> {
    fn stale_ns(&self, stream: StreamId) -> i64 {
        self.config.feeds.stale_after.of(stream)
    }
    fn rest(
        &self,
        key: &str,
        url: &str,
        (name, header): (&'static str, Option<(&'static str, String)>),
    ) -> Result<Rest, Failure> {
        let net = self.net.with_budget(ConnectBudget::binance());
        Ok(Rest::new(HttpClient::new(endpoint(key, url)?, net, BODY_BYTES_MAX), name, header))
    }
    fn solana_link(&self, first_data_ns: i64) -> Result<Link, Failure> {
        let mut config = LinkConfig::new(endpoint("solana_ws", &self.config.endpoints.solana_ws)?);
        config.first_data_timeout_ns = config.first_data_timeout_ns.max(first_data_ns);
        Ok(Link::new(config, self.net.with_budget(ConnectBudget::binance())))
    }

    fn kraken(&self, url: &str) -> Result<KrakenPost, Failure> {
        let feeds = &self.config.feeds;
        let pair = Pair::new(&feeds.kraken_symbol).ok_or_else(|| bad("feeds.kraken_symbol", &"no pair of Kraken's"))?;
        let depth = BookDepth::of(feeds.kraken_book_depth as usize);
        let settings = KrakenSettings {
            depth: depth.ok_or_else(|| bad("feeds.kraken_book_depth", &"10 or 25"))?,
            depth_sample_ns: i64::from(feeds.kraken_depth_ms) * NANOS_PER_MILLI,
            stale_after: StaleAfter {
                book_ns: self.stale_ns(StreamId::KrakenBook),
                ticker_ns: self.stale_ns(StreamId::KrakenTicker),
                trade_ns: self.stale_ns(StreamId::KrakenTrade),
            },
            audit: AuditSettings { every_ns: feeds.kraken_audit_ns, ..AuditSettings::default() },
            ..KrakenSettings::new(pair)
        };
        let mut link = LinkConfig::new(endpoint("kraken_ws", url)?);
        link.headers.push(("User-Agent".to_owned(), "sol_volume_bot".to_owned()));
        let budget = ConnectBudget::new(KRAKEN_ATTEMPTS.0, KRAKEN_ATTEMPTS.1);
        let rest = self.rest("kraken_rest", &self.config.endpoints.kraken_rest, ("Kraken's REST book", None))?;
        Ok(KrakenPost::new(Link::new(link, self.net.with_budget(budget)), rest, settings))
    }

    fn dex(&self) -> Result<DexPost, Failure> {
        let settings = DexSettings {
            account: self.config.feeds.dex_market.clone(),
            stale_after_ns: self.stale_ns(StreamId::DexBook),
            ..DexSettings::default()
        };
        let rest = self.rest("solana_rpc", &self.config.endpoints.solana_rpc, ("the DEX market account", None))?;
        let link = self.solana_link(settings.stale_after_ns)?; // a quiet market is no fault
        Ok(DexPost::new(link, rest, settings))
    }

    fn ladder(&self, url: &str) -> Result<LadderPost, Failure> {
        let feeds = &self.config.feeds;
        let usual = LadderSettings::default();
        let sizes = feeds.jupiter_sizes.iter().map(|sol| Qty(i64::try_from(*sol).unwrap_or(i64::MAX) * QTY_SCALE));
        let settings = LadderSettings {
            sizes: if feeds.jupiter_sizes.is_empty() { usual.sizes.clone() } else { sizes.collect() },
            quotes_per_minute: feeds.jupiter_quotes_per_minute,
            stale_after_ns: self.stale_ns(StreamId::Jupiter),
            ..usual
        };
        let rest =
            self.rest("jupiter", url, ("Jupiter", header("x-api-key", self.secrets.jupiter_key.as_ref(), "")))?;
        LadderPost::new(rest, settings).map_err(|why| bad("feeds.jupiter_sizes", &why))
    }

    fn chain(&self, rows: Sender<VolumeBucket>, price_at: PriceAt) -> Result<ChainPost, Failure> {
        let (ends, now) = (&self.config.endpoints, self.clock.now());
        let venues = match self.config.feeds.chain_scope {
            ChainScope::Curve => Venues::Curve,
            ChainScope::CurveAndAmm | ChainScope::Off => Venues::CurveAndAmm,
        };
        let settings = ChainSettings { venues, seed: now.0.unsigned_abs(), ..ChainSettings::default() };
        let kept = self.ledger.chain_buckets_since(now.plus(-BUCKETS_NS));
        let kept = kept.map_err(|why| Failure::new(exit::FAILED, &why))?;
        let backfill = ends.bitquery.as_ref().map(|url| {
            let token = header("Authorization", self.secrets.backfill_key.as_ref(), "Bearer ");
            self.rest("bitquery", url, ("the back-fill", token)).map(|rest| Backfill::new(rest, price_at))
        });
        let rest = self.rest("solana_rpc", &ends.solana_rpc, ("the pools' accounts", None))?;
        Ok(ChainPost::new((self.solana_link(0)?, rest, backfill.transpose()?), settings, kept, rows, now))
    }
}
