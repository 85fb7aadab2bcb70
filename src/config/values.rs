//! The plain values a configuration comes to.
//!
//! Thread: any.  Invariants: every value here was checked; times are ns, money is fixed point; a secret appears only
//! as the name of its variable.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::endpoints::Endpoints;
pub use crate::telemetry::alerts::AlertKinds;
use crate::types::event::VolumeDefinition;
use crate::types::ids::StreamId;
use crate::types::instrument::Symbol;
use crate::types::{Notional, Params, Ratio};

/// Everything a run needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Paper or live.
    pub mode: Mode,
    /// The numbers a reload may change.
    pub params: Params,
    /// What is traded.
    pub symbols: Symbols,
    /// Keys' names and request window.
    pub exchange: Exchange,
    /// Where the peers are.
    pub endpoints: Endpoints,
    /// Slow and fast feeds.
    pub feeds: Feeds,
    /// Candles of the RSI in all, at least 2.
    pub rsi_period: u32,
    /// Length of a candle.
    pub candle: CandleInterval,
    /// What the last gate before the wire lets through.
    pub order_limits: OrderLimits,
    /// Cores and idling.
    pub threads: Threads,
    /// Files.
    pub storage: Storage,
    /// The HTTP port.
    pub ops: Ops,
    /// Alert channels.
    pub alerts: Alerts,
    /// The second process that looks after a dead engine.
    pub guard: Guard,
    /// Every key with the value in force, as text; for `check` and for the comparison of a reload.
    pub effective: BTreeMap<String, String>,
}

/// Whether money is at stake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Live market data, orders matched by the built-in venue.
    Paper,
    /// Orders go to the exchange.
    Live,
}

impl Mode {
    /// As in the file.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Paper => "paper",
            Mode::Live => "live",
        }
    }
}

/// The last gate's part of `[risk]`: read at start, whatever the engine's own rules become by a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderLimits {
    /// Largest value of one buy; `None` = twice what `max_exposure_pct` allows at start.
    pub order_quote_max: Option<Notional>,
    /// How far a limit price may be from the market, to our disadvantage.
    pub price_collar: Ratio,
    /// Orders in any second.
    pub orders_per_s_max: u32,
}

/// `[symbols]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbols {
    /// What is bought and sold.
    pub spot: Symbol,
    /// What will hedge it.
    pub hedge: Symbol,
}

/// How requests are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// HMAC-SHA256 with a shared secret.
    Hmac,
    /// Ed25519; the secret is a PEM.
    Ed25519,
}

/// `[exchange]`: names of variables, never values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Variable of the API key.
    pub binance_key: String,
    /// Variable of the secret.
    pub binance_sec: String,
    /// Kind of that secret.
    pub binance_key_type: KeyType,
    /// Variable of the Kraken key, if used.
    pub kraken_key: Option<String>,
    /// Variable of the Kraken secret, if used.
    pub kraken_sec: Option<String>,
    /// Variable of the Solana key pair, if used.
    pub solana_keypair: Option<String>,
    /// How long an order request stays valid at the venue, ms.
    pub recv_window_ms: u32,
}

/// Silence allowed per stream, ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleAfter(pub(super) [i64; StreamId::ALL.len()]);

impl StaleAfter {
    /// Of one stream, ns; zero = no limit ([`StreamId::Internal`]).
    pub fn of(&self, stream: StreamId) -> i64 {
        self.0.get(stream as usize).copied().unwrap_or(0)
    }
}

/// `[feeds]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feeds {
    /// Which "day over day" triggers.
    pub volume_source: VolumeDefinition,
    /// How often Binance's book near the mid is told, ms.
    pub binance_depth_ms: u32,
    /// Kraken's name of the pair.
    pub kraken_symbol: String,
    /// How often Kraken's book near the mid is told, ms.
    pub kraken_depth_ms: u32,
    /// Levels a side that Kraken is asked for: 10 or 25.
    pub kraken_book_depth: u32,
    /// Between two looks at Kraken's book by REST, ns.
    pub kraken_audit_ns: i64,
    /// Between two reads of the pump.fun volume, ns.
    pub pumpfun_poll_ns: i64,
    /// JSON pointer to the 24 h volume in USD.
    pub pumpfun_pointer: String,
    /// Between two reads of DeFiLlama, ns.
    pub defillama_poll_ns: i64,
    /// After 00:00 UTC, how long DeFiLlama's new day is not believed, ns.
    pub defillama_settle_ns: i64,
    /// Protocols whose volumes are summed.
    pub defillama_slugs: Vec<String>,
    /// Between two reads of CoinGecko, ns.
    pub coingecko_poll_ns: i64,
    /// Category whose volume is read there.
    pub coingecko_category: String,
    /// Variable of the key there; `None` = without one.
    pub coingecko_key: Option<String>,
    /// Whether the book of a Solana exchange is read.
    pub dex_book: bool,
    /// Account of its market.
    pub dex_market: String,
    /// Sizes that quotes are asked for, SOL; empty = the usual three.
    pub jupiter_sizes: Vec<usize>,
    /// Variable of the key there; `None` = without one.
    pub jupiter_key: Option<String>,
    /// Quotes asked for in a minute.
    pub jupiter_quotes_per_minute: u32,
    /// Which programs' trades are counted on the chain.
    pub chain_scope: ChainScope,
    /// Variable of the back-fill's token; `None` = without one.
    pub backfill_key: Option<String>,
    /// Feeds that entries can do without.
    pub optional: Vec<StreamId>,
    /// The NATS server that samples come from and that our own facts go to; `None` = no bus.
    pub bus: Option<Bus>,
    /// Silence allowed.
    pub stale_after: StaleAfter,
}

impl Feeds {
    /// Whether a stream is taken from the bus, and so not from its own endpoint.
    pub fn is_from_bus(&self, stream: StreamId) -> bool {
        self.bus.as_ref().is_some_and(|bus| bus.streams.contains(&stream))
    }
}

/// Which programs' trades are counted on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainScope {
    /// Bonding curve and PumpSwap.
    CurveAndAmm,
    /// Bonding curve alone.
    Curve,
    /// None: no counter runs.
    Off,
}

/// `feeds.nats` and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bus {
    /// `nats://` to loopback or `tls://`, without credentials.
    pub url: String,
    /// Variable of the token that the server asks for.
    pub token: Option<String>,
    /// What every subject begins with.
    pub subject: String,
    /// Streams taken from it.
    pub streams: Vec<StreamId>,
}

/// A candle length that the venue offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CandleInterval {
    /// As the venue writes it: `5m`.
    pub name: &'static str,
    /// In seconds.
    pub seconds: u32,
}

/// Which agents share a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `four` with at least four cores, else `fused`.
    Auto,
    /// One thread per agent.
    Four,
    /// Trading on one thread, recording on another.
    Fused,
}

/// `[threads]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threads {
    /// Which agents share a thread.
    pub layout: Layout,
    /// Cores to pin to, in the order ingest, hot, gateway, cold; empty = choose.
    pub cores: Vec<usize>,
    /// Never sleep on the trading threads.
    pub spin: bool,
    /// How long to spin before sleeping, µs.
    pub spin_us: u32,
}

/// `[storage]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Everything that is written lies below it.
    pub data_dir: PathBuf,
    /// How often the hour's CSV files are rewritten, ns.
    pub csv_every_ns: i64,
    /// Journals older than this are removed, days; 0 = keep all.
    pub journal_days: u32,
}

/// `[ops]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ops {
    /// Address of the HTTP port.
    pub listen: SocketAddr,
    /// Variable of the token that state changes need.
    pub token: Option<String>,
}

/// `[alerts]`: names of variables, never values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// Variable of the bot token.
    pub telegram_token: Option<String>,
    /// Variable of the chat id.
    pub telegram_chat: Option<String>,
    /// Variable of the webhook URL.
    pub slack_webhook: Option<String>,
    /// Which events.
    pub on: AlertKinds,
}

/// What the guard does about the orders of an engine that is dead or frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDead {
    /// Cancels what buys; protective orders stay.
    CancelEntries,
    /// Cancels all of ours and sells the position.
    Flatten,
}

impl OnDead {
    /// As in the file.
    pub fn name(self) -> &'static str {
        match self {
            OnDead::CancelEntries => "cancel_entries",
            OnDead::Flatten => "flatten",
        }
    }
}

/// `[guard]`: names of variables, never values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Variable of the guard's own API key; `None` = no guard.
    pub binance_key: Option<String>,
    /// Variable of its secret.
    pub binance_sec: Option<String>,
    /// Kind of that secret.
    pub binance_key_type: KeyType,
    /// Whether it may use the engine's own key.
    pub same_key: bool,
    /// How long the engine may be silent, ns.
    pub patience_ns: i64,
    /// What to do then.
    pub on_dead: OnDead,
    /// Share of the day's first equity that may be lost before the engine is stopped; zero = not watched.
    pub loss_limit: Ratio,
}
