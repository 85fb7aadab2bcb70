//! `[feeds]`: what the house listens to beside Binance, how often, and which of it entries can do without.
//!
//! Thread: any.  Invariants: a feed is in use if its endpoint is given; entries stand on every feed in use but those that
//! `feeds.optional` names.

use super::checks;
use super::endpoints::nats_url;
use super::error::Fault;
use super::reader::{Reader, bounds};
use super::values::{Bus, ChainScope, Config, Feeds, StaleAfter};
use crate::types::event::VolumeDefinition;
use crate::types::ids::StreamId;
use crate::types::time::{NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SEC};

/// The SOL/USDC market of the Manifest exchange.
const DEX_MARKET: &str = "ENhU8LsaR7vDD2G1CsWcsuSGNrih9Cv5WZEk7q9kPapQ";
/// Streams that no entry can do without, so that `feeds.optional` may not name them.
const VITAL: [StreamId; 4] =
    [StreamId::BinanceBbo, StreamId::BinanceCandle, StreamId::BinanceUser, StreamId::SolanaSlot];

/// Reads `[feeds]`; `candle_s` is the length of a candle.
pub(super) fn feeds(reader: &mut Reader, candle_s: u32) -> Feeds {
    let poll = bounds(NANOS_PER_SEC..=NANOS_PER_DAY, "from 1s to 1d");
    let settle = bounds(0..=12 * 3_600 * NANOS_PER_SEC, "from 0s to 12h");
    let sample = bounds(50..=10_000, "from 50 to 10000");
    let pointer = "a JSON pointer such as \"/data/volume24h\"";
    let is_pointer = |text: &str| text.is_empty() || text.starts_with('/');
    let words = [("curve+amm", ChainScope::CurveAndAmm), ("curve", ChainScope::Curve), ("off", ChainScope::Off)];
    Feeds {
        volume_source: volume_source(reader),
        binance_depth_ms: small(reader.count("feeds.binance_depth_ms", 250, &sample)),
        kraken_symbol: reader.text("feeds.kraken_symbol", "SOL/USD", "a pair such as \"SOL/USD\"", is_pair),
        kraken_depth_ms: small(reader.count("feeds.kraken_depth_ms", 250, &sample)),
        kraken_book_depth: book_depth(reader),
        kraken_audit_ns: reader.span_ns("feeds.kraken_audit", 60 * NANOS_PER_SEC, &audit()),
        pumpfun_poll_ns: reader.span_ns("feeds.pumpfun_poll", 60 * NANOS_PER_SEC, &poll),
        pumpfun_pointer: reader.text("feeds.pumpfun_pointer", "/volume24h", pointer, is_pointer),
        defillama_poll_ns: reader.span_ns("feeds.defillama_poll", 300 * NANOS_PER_SEC, &poll),
        defillama_settle_ns: reader.span_ns("feeds.defillama_settle", 2 * 3_600 * NANOS_PER_SEC, &settle),
        defillama_slugs: reader.list("feeds.defillama_slugs", &["pump.fun", "pumpswap"], SLUGS, is_slug),
        coingecko_poll_ns: reader.span_ns("feeds.coingecko_poll", 900 * NANOS_PER_SEC, &poll),
        coingecko_category: reader.text("feeds.coingecko_category", "solana-meme-coins", SLUGS, is_slug),
        coingecko_key: reader.variable("feeds.coingecko_key", None),
        dex_book: reader.choice("feeds.dex_book", true, &[("manifest", true), ("off", false)]),
        dex_market: reader.text("feeds.dex_market", DEX_MARKET, "an account address in base 58", is_address),
        jupiter_sizes: reader.numbers("feeds.jupiter_sizes", &bounds(1..=10_000, "one to five sizes in SOL")),
        jupiter_key: reader.variable("feeds.jupiter_key", None),
        jupiter_quotes_per_minute: small(reader.count("feeds.jupiter_quotes_per_minute", 24, &quotes())),
        chain_scope: reader.choice("feeds.chain_scope", ChainScope::CurveAndAmm, &words),
        backfill_key: reader.variable("feeds.backfill_key", None),
        bus: bus(reader),
        optional: optional(reader),
        stale_after: stale_after(reader, candle_s),
    }
}

/// Streams taken from the bus unless the file says otherwise.
const BUS_STREAMS: [&str; 4] = ["defillama", "pumpfun", "coingecko", "pump_chain"];

fn bus(reader: &mut Reader) -> Option<Bus> {
    let is_token =
        |token: &str| !token.is_empty() && token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let is_subject = |text: &str| text.len() <= 64 && text.split('.').all(is_token);
    let words = "words of letters, digits, '-' and '_' with dots between them, 64 at most";
    let url = nats_url(reader);
    let token = reader.variable("feeds.nats_token", None);
    let subject = reader.text("feeds.nats_subject", "svb", words, is_subject);
    let names = reader.list("feeds.nats_streams", &BUS_STREAMS, "names of streams", |_| true);
    let streams = checks::bus_streams(&names, reader);
    (!url.is_empty()).then_some(Bus { url, token, subject, streams })
}

const SLUGS: &str = "small letters, digits, '-', '.', '_'";

fn is_slug(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b))
}
fn is_pair(text: &str) -> bool {
    let is_asset = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    text.split_once('/').is_some_and(|(base, quote)| is_asset(base) && is_asset(quote))
}
fn is_address(text: &str) -> bool {
    let is_digit = |b: u8| b.is_ascii_alphanumeric() && !b"0OIl".contains(&b);
    (32..=44).contains(&text.len()) && text.bytes().all(is_digit)
}
fn audit() -> super::reader::Bounds {
    bounds(5 * NANOS_PER_SEC..=NANOS_PER_DAY, "from 5s to 1d: the venue allows about one request a second")
}
fn quotes() -> super::reader::Bounds {
    bounds(2..=9_000, "from 2 to 9000, as the plan allows (30 without a key)")
}
fn small(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Levels a side whose checksum guards them whole or nearly so.
fn book_depth(reader: &mut Reader) -> u32 {
    reader.read("feeds.kraken_book_depth", 10, |given| match given.text.as_str() {
        "10" => Ok(10),
        "25" => Ok(25),
        _ => Err(Fault::Range { allowed: "10 or 25".to_owned() }),
    })
}

fn volume_source(reader: &mut Reader) -> VolumeDefinition {
    let words = [
        ("rolling24", VolumeDefinition::Rolling24),
        ("utc_day", VolumeDefinition::UtcDay),
        ("sampled24", VolumeDefinition::Sampled24),
    ];
    reader.choice("feeds.volume_source", VolumeDefinition::Rolling24, &words)
}

/// Feeds that entries can do without.
fn optional(reader: &mut Reader) -> Vec<StreamId> {
    let stream = |text: &str| StreamId::ALL.into_iter().find(|stream| stream.name() == text);
    let may_miss = |text: &str| stream(text).is_some_and(|s| !VITAL.contains(&s) && s != StreamId::Internal);
    let allowed = "names of streams as in feeds.stale_after_ms, but not binance_bbo, binance_candle, binance_user, \
        solana_slot";
    reader.list("feeds.optional", &[], allowed, may_miss).iter().filter_map(|text| stream(text)).collect()
}

/// Silence allowed per stream: book and slots tick several times a second, a candle comes once per interval.
fn stale_after(reader: &mut Reader, candle_s: u32) -> StaleAfter {
    let within = bounds(100..=86_400_000, "from 100 to 86400000 (ms)");
    // The order connection is quiet by nature: it is asked for the time twice within its limit. A venue in a crash may take
    // seconds to answer, and must not be left for that.
    let asked_within = bounds(10_000..=86_400_000, "from 10000 to 86400000 (ms)");
    let mut limits = [0; StreamId::ALL.len()];
    for (stream, limit) in StreamId::ALL.into_iter().zip(limits.iter_mut()) {
        let default_ms = match stream {
            StreamId::BinanceBbo | StreamId::BinanceDepth => 3_000,
            StreamId::BinanceTrade | StreamId::BinanceUser => 60_000,
            StreamId::BinanceCandle => 2_000 * i64::from(candle_s) + 30_000,
            StreamId::SolanaSlot => 5_000,
            StreamId::DefiLlama => 1_800_000,
            StreamId::PumpFun => 600_000,
            StreamId::KrakenBook | StreamId::KrakenTicker => 10_000,
            StreamId::KrakenTrade => 300_000,
            StreamId::DexBook | StreamId::Jupiter => 60_000,
            StreamId::PumpChain => 600_000,
            StreamId::CoinGecko => 3_600_000,
            StreamId::Internal => continue,
        };
        let within = if stream == StreamId::BinanceUser { &asked_within } else { &within };
        *limit = reader.count(&format!("feeds.stale_after_ms.{}", stream.name()), default_ms, within) * NANOS_PER_MILLI;
    }
    StaleAfter(limits)
}

impl Feeds {
    /// The stream whose samples trigger.
    pub fn volume_stream(&self) -> StreamId {
        match self.volume_source {
            VolumeDefinition::Rolling24 => StreamId::PumpChain,
            VolumeDefinition::UtcDay => StreamId::DefiLlama,
            VolumeDefinition::Sampled24 => StreamId::PumpFun,
        }
    }
}

impl Config {
    /// Feeds that the house listens to, beside the engine's own four.
    pub fn feeds_in_use(&self) -> Vec<StreamId> {
        let ends = &self.endpoints;
        // One connection carries all three: with its book from elsewhere there is none.
        let kraken = ends.kraken_ws.is_some() && !self.feeds.is_from_bus(StreamId::KrakenBook);
        let feeds = [
            (StreamId::BinanceDepth, true),
            (StreamId::BinanceTrade, true),
            (StreamId::KrakenBook, kraken),
            (StreamId::KrakenTicker, kraken),
            (StreamId::KrakenTrade, kraken),
            (StreamId::DexBook, self.feeds.dex_book),
            (StreamId::Jupiter, ends.jupiter.is_some()),
            (StreamId::PumpChain, self.counts_chain()),
            (StreamId::DefiLlama, ends.defillama.is_some()),
            (StreamId::PumpFun, ends.pumpfun.is_some()),
            (StreamId::CoinGecko, ends.coingecko.is_some()),
        ];
        let is_in_use = |(stream, own): &(StreamId, bool)| *own || self.feeds.is_from_bus(*stream);
        feeds.into_iter().filter(is_in_use).map(|(stream, _)| stream).collect()
    }

    /// Feeds in use that entries stand on, beside the engine's own four.
    pub fn feeds_needed(&self) -> Vec<StreamId> {
        let mut needed = self.feeds_in_use();
        needed.retain(|stream| !self.feeds.optional.contains(stream));
        needed
    }

    /// Whether memecoin volume is counted from the chain.
    pub fn counts_chain(&self) -> bool {
        self.feeds.chain_scope != ChainScope::Off
    }
}
