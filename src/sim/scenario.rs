//! A scenario: everything a run of the built-in venues needs to be told, as strict TOML.
//!
//! Thread: any.  Invariants: an unknown key is refused; amounts are exact decimals in quotes; a point in time counts
//! from the start of the run; the same scenario and seed give the same market.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Deserializer, de};

use super::server::fault::Fault;
use crate::types::time::NANOS_PER_MILLI;
use crate::types::units::DecimalError;
use crate::types::{Notional, Price, Qty, Ratio};

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("scenario {path}: cannot read it: {cause}")]
    Unreadable {
        /// Which file.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Not TOML, an unknown key or a value of the wrong kind; the text names line and allowed keys.
    #[error("scenario {path}: {cause}")]
    Malformed {
        /// Which file.
        path: String,
        /// What and where.
        cause: Box<toml::de::Error>,
    },
    /// Each value is fine alone, but they do not fit together.
    #[error("scenario {path}: `{key}` {rule}")]
    Impossible {
        /// Which file.
        path: String,
        /// Which key.
        key: &'static str,
        /// What must hold.
        rule: &'static str,
    },
}

/// The whole plan of a run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Seed of every random choice.
    pub seed: u64,
    /// How often the market moves, milliseconds.
    #[serde(default = "default_step_ms")]
    pub step_ms: u32,
    /// Start balances: asset to amount, 8 decimals at most.
    #[serde(deserialize_with = "amounts")]
    pub balances: BTreeMap<String, i64>,
    /// Added to the first order, list and trade number, 0 to 10^15: for a venue that opens again on the same accounts.
    #[serde(default)]
    pub ids_from: i64,
    /// API keys the venue knows; worthless and public.
    #[serde(default)]
    pub keys: Keys,
    /// Fee rates.
    #[serde(default)]
    pub fees: Fees,
    /// Liquidity around the mid.
    #[serde(default)]
    pub market: MarketShape,
    /// Where the mid goes: straight lines between these points, the last one holds.
    pub path: Vec<PathPoint>,
    /// Candles before the start.
    #[serde(default)]
    pub history: History,
    /// DeFiLlama's numbers, one entry for each protocol slug.
    #[serde(default)]
    pub llama: Vec<LlamaSeries>,
    /// pump.fun's rolling 24 h volume.
    #[serde(default)]
    pub pump: PumpVolume,
    /// Solana.
    #[serde(default)]
    pub solana: SolanaShape,
    /// Memecoin trades on the chain.
    #[serde(default)]
    pub chain: ChainShape,
    /// What goes wrong, and when.
    #[serde(default)]
    pub faults: Vec<TimedFault>,
}

/// API keys the venue knows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// Name of the HMAC key.
    pub hmac_key: String,
    /// Its secret.
    pub hmac_secret: String,
    /// Name of the Ed25519 key.
    pub ed25519_key: String,
    /// Its public half, 64 hex digits.
    pub ed25519_public: String,
}

/// The HMAC key of the venue's own documentation: printed there, so worthless.
pub const DEMO_HMAC_KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
/// Its secret, printed beside it.
pub const DEMO_HMAC_SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
/// Name of the demo's Ed25519 key.
pub const DEMO_ED25519_KEY: &str = "TESTKEY";
/// Its private half, PKCS#8 PEM: the seed is the bytes 00 to 1f.
pub const DEMO_ED25519_PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n\
    -----END PRIVATE KEY-----\n";
const DEMO_ED25519_PUBLIC: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";

impl Default for Keys {
    fn default() -> Keys {
        Keys {
            hmac_key: DEMO_HMAC_KEY.into(),
            hmac_secret: DEMO_HMAC_SECRET.into(),
            ed25519_key: DEMO_ED25519_KEY.into(),
            ed25519_public: DEMO_ED25519_PUBLIC.into(),
        }
    }
}

/// Fee rates, taken from what is received.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fees {
    /// When we rested.
    #[serde(deserialize_with = "ratio")]
    pub maker: Ratio,
    /// When we took.
    #[serde(deserialize_with = "ratio")]
    pub taker: Ratio,
}

impl Default for Fees {
    fn default() -> Fees {
        Fees { maker: Ratio(100_000), taker: Ratio(100_000) }
    }
}

/// Liquidity around the mid.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MarketShape {
    /// Price levels each side, one tick apart.
    pub levels: u16,
    /// Mean size of a level.
    #[serde(deserialize_with = "qty")]
    pub level_qty: Qty,
    /// Widest spread in ticks; the narrowest is one.
    pub spread_ticks_max: u16,
    /// Chance in 1000 that a step brings a random taker.
    pub taker_permille: u16,
    /// How far the mid wanders from the path, in ticks each way.
    pub noise_ticks: u16,
}

impl Default for MarketShape {
    fn default() -> MarketShape {
        MarketShape {
            levels: 20,
            level_qty: Qty(40_000_000_000),
            spread_ticks_max: 2,
            taker_permille: 333,
            noise_ticks: 2,
        }
    }
}

/// A point of the mid's path.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathPoint {
    /// When, from the start, nanoseconds.
    #[serde(rename = "at", deserialize_with = "span")]
    pub at_ns: i64,
    /// The mid there.
    #[serde(deserialize_with = "price")]
    pub mid: Price,
}

/// Candles before the start: closes on straight lines between the points, wobbling.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct History {
    /// Length of a candle, nanoseconds.
    #[serde(rename = "interval", deserialize_with = "span")]
    pub interval_ns: i64,
    /// How many; 500 fill one request.
    pub candles: u32,
    /// Closes at equal distances, oldest first; empty = flat at the path's first mid.
    #[serde(deserialize_with = "prices")]
    pub closes: Vec<Price>,
    /// Size of the wobble in ticks.
    pub wobble_ticks: u16,
}

impl Default for History {
    fn default() -> History {
        History { interval_ns: 300_000 * NANOS_PER_MILLI, candles: 500, closes: Vec::new(), wobble_ticks: 5 }
    }
}

/// One protocol's daily volumes, newest first: yesterday, the day before, and so on; US dollars.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlamaSeries {
    /// `pump.fun`, `pumpswap`.
    pub slug: String,
    /// Whole UTC days, yesterday first.
    #[serde(deserialize_with = "moneys")]
    pub days: Vec<Notional>,
}

/// pump.fun's rolling 24 h volume, US dollars.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PumpVolume {
    /// Now.
    #[serde(deserialize_with = "money")]
    pub volume_24h: Notional,
}

impl Default for PumpVolume {
    fn default() -> PumpVolume {
        PumpVolume { volume_24h: Notional(6_000_000_000_000_000) }
    }
}

/// Solana.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SolanaShape {
    /// Time between two slots, milliseconds.
    pub slot_ms: u32,
    /// The first slot told.
    pub first_slot: u64,
}

impl Default for SolanaShape {
    fn default() -> SolanaShape {
        SolanaShape { slot_ms: 400, first_slot: 405_112_233 }
    }
}

/// Memecoin trades on the chain: what the node tells as they happen, and what Bitquery tells of the days before.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChainShape {
    /// Transactions a second, 5000 at most; 0 = none.
    pub rate_per_s: u32,
    /// Of a hundred, so many on PumpSwap; the others on the curve.
    pub amm_percent: u8,
    /// Of a hundred pools or coins, so many are paid in USDC.
    pub usdc_percent: u8,
    /// Of a hundred, so many fail.
    pub failed_percent: u8,
    /// Of a hundred, in so many another program prints a trade's lines.
    pub lookalike_percent: u8,
    /// Of a hundred, so many are told twice.
    pub repeated_percent: u8,
    /// Of a thousand, so many have their log cut.
    pub truncated_permille: u16,
    /// Pools of PumpSwap; every fiftieth is turned round.
    pub pools: u16,
    /// Mean size of a trade, SOL.
    #[serde(deserialize_with = "qty")]
    pub trade_sol: Qty,
    /// How large trades are at each hour of the day (UTC), in percent; 24 values, or none = 100 all day.
    pub hours: Vec<u16>,
    /// Bitquery: mean volume of an hour of the older day, US dollars.
    #[serde(deserialize_with = "money")]
    pub hour_usd: Notional,
    /// Bitquery: how much less the 24 hours before the start held than the 24 hours before them.
    #[serde(deserialize_with = "ratio")]
    pub drop: Ratio,
    /// Bitquery: of a hundred US dollars of the newer day, so many moved from SOL to USDC.
    pub usdc_shift_percent: u8,
}

impl Default for ChainShape {
    fn default() -> ChainShape {
        ChainShape {
            rate_per_s: 0,
            amm_percent: 50,
            usdc_percent: 10,
            failed_percent: 10,
            lookalike_percent: 5,
            repeated_percent: 2,
            truncated_permille: 0,
            pools: 200,
            trade_sol: Qty(500_000_000),
            hours: Vec::new(),
            hour_usd: Notional(1_200_000_000_000_000),
            drop: Ratio(31_000_000),
            usdc_shift_percent: 0,
        }
    }
}

impl ChainShape {
    /// Size of the trades of a second, in percent.
    pub fn hour_percent(&self, at_s: i64) -> u16 {
        let hour = at_s.div_euclid(3_600).rem_euclid(24) as usize;
        self.hours.get(hour).copied().unwrap_or(100)
    }
    /// Bitquery: volume of the five minutes that start at `at_s`.
    pub fn bucket_usd(&self, at_s: i64, is_newer: bool) -> Notional {
        let whole = Notional(self.hour_usd.0 / 1_200 * i64::from(self.hour_percent(at_s)));
        let kept = Ratio(Ratio::ONE.0 - if is_newer { self.drop.0 } else { 0 });
        whole.times_floor(kept).unwrap_or(Notional::ZERO)
    }
}

/// One fault of the timeline.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimedFault {
    /// When, from the start, nanoseconds.
    #[serde(rename = "at", deserialize_with = "span")]
    pub at_ns: i64,
    /// What.
    pub fault: Fault,
}

const DEMO: &str = include_str!("../../config/scenarios/demo.toml");
const PAPER: &str = include_str!("../../config/scenarios/paper.toml");

impl Scenario {
    /// Reads and checks a file. Errors: [`ScenarioError`], naming file, line and what is allowed.
    pub fn load(path: &Path) -> Result<Scenario, ScenarioError> {
        let name = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|cause| ScenarioError::Unreadable { path: name.clone(), cause })?;
        Scenario::parse(&name, &text)
    }

    /// Checks a scenario text; `name` is what errors call it.
    pub fn parse(name: &str, text: &str) -> Result<Scenario, ScenarioError> {
        let scenario: Scenario = toml::from_str(text)
            .map_err(|cause| ScenarioError::Malformed { path: name.to_owned(), cause: Box::new(cause) })?;
        match scenario.broken_rule() {
            Some((key, rule)) => Err(ScenarioError::Impossible { path: name.to_owned(), key, rule }),
            None => Ok(scenario),
        }
    }

    /// The demo's own scenario, built into the binary.
    pub fn demo() -> Result<Scenario, ScenarioError> {
        Scenario::parse("config/scenarios/demo.toml", DEMO)
    }

    /// The account of paper mode, built into the binary; its market is the live one.
    pub fn paper() -> Result<Scenario, ScenarioError> {
        Scenario::parse("config/scenarios/paper.toml", PAPER)
    }

    fn broken_rule(&self) -> Option<(&'static str, &'static str)> {
        let rising = self.path.windows(2).all(|pair| pair[0].at_ns < pair[1].at_ns);
        let public_ok = self.keys.ed25519_public.len() == 64
            && self.keys.ed25519_public.bytes().all(|byte| byte.is_ascii_hexdigit());
        let positive = |price: &Price| price.0 > 0;
        [
            (!self.path.is_empty(), "path", "needs at least one point"),
            (rising, "path", "must rise in `at` from point to point"),
            (self.path.iter().all(|point| positive(&point.mid)), "path", "needs a positive `mid` in every point"),
            (self.history.closes.iter().all(positive), "history.closes", "must be positive"),
            (self.history.interval_ns >= 1_000 * NANOS_PER_MILLI, "history.interval", "must be at least 1s"),
            (self.history.candles <= 1_000, "history.candles", "must be at most 1000"),
            ((10..=10_000).contains(&self.step_ms), "step_ms", "must lie between 10 and 10000"),
            ((10..=60_000).contains(&self.solana.slot_ms), "solana.slot_ms", "must lie between 10 and 60000"),
            ((1..=500).contains(&self.market.levels), "market.levels", "must lie between 1 and 500"),
            (self.market.level_qty.0 >= 2_000_000, "market.level_qty", "must be at least 0.002"),
            (
                (1..=100).contains(&self.market.spread_ticks_max),
                "market.spread_ticks_max",
                "must lie between 1 and 100",
            ),
            (self.market.taker_permille <= 1_000, "market.taker_permille", "must be at most 1000"),
            ((0..=1_000_000_000_000_000).contains(&self.ids_from), "ids_from", "must lie between 0 and 10^15"),
            (self.chain.rate_per_s <= 5_000, "chain.rate_per_s", "must be at most 5000"),
            (matches!(self.chain.hours.len(), 0 | 24), "chain.hours", "needs 24 values, or none"),
            ((1..=10_000).contains(&self.chain.pools), "chain.pools", "must lie between 1 and 10000"),
            ((-100_000_000..=100_000_000).contains(&self.chain.drop.0), "chain.drop", "must lie between -1 and 1"),
            (public_ok, "keys.ed25519_public", "must be 64 hex digits"),
        ]
        .into_iter()
        .find_map(|(holds, key, rule)| (!holds).then_some((key, rule)))
    }

    /// The path's mid `elapsed_ns` after the start.
    pub fn mid_at(&self, elapsed_ns: i64) -> Price {
        let after = self.path.iter().position(|point| point.at_ns > elapsed_ns);
        match after {
            Some(0) => self.path.first().map_or(Price::ZERO, |point| point.mid),
            Some(next) => {
                let (from, to) = (self.path[next - 1], self.path[next]);
                between(from.mid, to.mid, elapsed_ns - from.at_ns, to.at_ns - from.at_ns)
            }
            None => self.path.last().map_or(Price::ZERO, |point| point.mid),
        }
    }

    /// Close of candle `index` of the history, oldest first, before the wobble.
    pub fn history_close(&self, index: u32) -> Price {
        let closes = &self.history.closes;
        let (Some(first), Some(last)) = (closes.first(), closes.last()) else { return self.mid_at(0) };
        let steps = i64::from(self.history.candles.max(2) - 1);
        let position = i64::from(index) * (closes.len() as i64 - 1);
        let segment = (position / steps) as usize;
        match (closes.get(segment), closes.get(segment + 1)) {
            (Some(from), Some(to)) => between(*from, *to, position % steps, steps),
            (Some(_), None) => *last,
            _ => *first,
        }
    }
}

/// `from` moved towards `to` by `part / whole`.
fn between(from: Price, to: Price, part: i64, whole: i64) -> Price {
    let moved = i128::from(to.0 - from.0) * i128::from(part) / i128::from(whole.max(1));
    Price(from.0 + moved as i64)
}

fn default_step_ms() -> u32 {
    50
}

fn decimal<'de, D: Deserializer<'de>, T>(from: D, parse: fn(&[u8]) -> Result<T, DecimalError>) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    parse(text.as_bytes()).map_err(|error| de::Error::custom(format!("`{text}` is not an exact decimal: {error}")))
}
fn price<'de, D: Deserializer<'de>>(from: D) -> Result<Price, D::Error> {
    decimal(from, Price::parse)
}
fn qty<'de, D: Deserializer<'de>>(from: D) -> Result<Qty, D::Error> {
    decimal(from, Qty::parse)
}
fn money<'de, D: Deserializer<'de>>(from: D) -> Result<Notional, D::Error> {
    decimal(from, Notional::parse)
}
fn ratio<'de, D: Deserializer<'de>>(from: D) -> Result<Ratio, D::Error> {
    decimal(from, Ratio::parse)
}

fn decimals<'de, D: Deserializer<'de>, T>(
    from: D,
    parse: fn(&[u8]) -> Result<T, DecimalError>,
) -> Result<Vec<T>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    let each = |text: &String| {
        parse(text.as_bytes()).map_err(|error| de::Error::custom(format!("`{text}` is not an exact decimal: {error}")))
    };
    texts.iter().map(each).collect()
}
fn prices<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Price>, D::Error> {
    decimals(from, Price::parse)
}
fn moneys<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Notional>, D::Error> {
    decimals(from, Notional::parse)
}

fn amounts<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, i64>, D::Error> {
    let texts = BTreeMap::<String, String>::deserialize(from)?;
    let each = |(asset, text): (String, String)| match Notional::parse(text.as_bytes()) {
        Ok(amount) if amount.0 >= 0 => Ok((asset, amount.0)),
        Ok(_) => Err(de::Error::custom(format!("balance of {asset} must not be negative"))),
        Err(error) => Err(de::Error::custom(format!("balance of {asset}: `{text}` is not an exact decimal: {error}"))),
    };
    texts.into_iter().map(each).collect()
}

fn span<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let text = String::deserialize(from)?;
    let span = humantime::parse_duration(&text)
        .map_err(|error| de::Error::custom(format!("`{text}` is not a span of time like `30s` or `5m`: {error}")))?;
    i64::try_from(span.as_nanos()).map_err(|_| de::Error::custom(format!("`{text}` is too long")))
}
