//! The tables that need a restart to change: exchange, feeds, threads, storage, ops, alerts, guard.
//!
//! Thread: any.  Invariants: every key of the file is read here, in `strategy.rs` or in `endpoints.rs`, once.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::checks;
use super::endpoints::{endpoints, nats_url};
use super::error::Fault;
use super::reader::{Reader, bounds};
use super::strategy;
use super::values::{
    AlertKinds, Alerts, Bus, CandleInterval, Config, Exchange, Feeds, Guard, KeyType, Layout, Mode, OnDead, Ops,
    OrderLimits, StaleAfter, Storage, Symbols, Threads,
};
use crate::types::event::VolumeDefinition;
use crate::types::ids::StreamId;
use crate::types::instrument::Symbol;
use crate::types::time::{NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::units::{PRICE_SCALE, RATIO_SCALE};
use crate::types::{Notional, Ratio};

/// Candle lengths the venue offers and the RSI takes.
const CANDLES: [CandleInterval; 7] = [
    CandleInterval { name: "1s", seconds: 1 },
    CandleInterval { name: "1m", seconds: 60 },
    CandleInterval { name: "3m", seconds: 180 },
    CandleInterval { name: "5m", seconds: 300 },
    CandleInterval { name: "15m", seconds: 900 },
    CandleInterval { name: "30m", seconds: 1_800 },
    CandleInterval { name: "1h", seconds: 3_600 },
];

const KEY_TYPES: [(&str, KeyType); 2] = [("hmac", KeyType::Hmac), ("ed25519", KeyType::Ed25519)];

/// Port of the HTTP server unless the file says otherwise.
const OPS_PORT: u16 = 9_464;

/// Reads everything.
pub(super) fn config(reader: &mut Reader) -> Config {
    let mode = reader.choice("mode", Mode::Paper, &[("paper", Mode::Paper), ("live", Mode::Live)]);
    let candle = reader.choice("thresholds.candle", CANDLES[3], &CANDLES.map(|candle| (candle.name, candle)));
    let rsi_period = reader.count("thresholds.rsi_period", 14, &bounds(2..=100, "from 2 to 100"));
    let feeds = feeds(reader, candle);
    let params = strategy::params(reader, &feeds.stale_after, feeds.volume_stream());
    Config {
        mode,
        params,
        symbols: symbols(reader),
        exchange: exchange(reader),
        endpoints: endpoints(reader),
        feeds,
        rsi_period: u32::try_from(rsi_period).unwrap_or(14),
        candle,
        order_limits: order_limits(reader),
        threads: threads(reader),
        storage: storage(reader),
        ops: ops(reader),
        alerts: alerts(reader),
        guard: guard(reader),
        effective: std::collections::BTreeMap::new(),
    }
}

impl Feeds {
    /// The stream whose samples trigger.
    pub fn volume_stream(&self) -> StreamId {
        match self.volume_source {
            VolumeDefinition::UtcDay | VolumeDefinition::Rolling24 => StreamId::DefiLlama,
            VolumeDefinition::Sampled24 => StreamId::PumpFun,
        }
    }
}

/// A bound that follows from the account unless it is given.
#[derive(Clone, Copy)]
struct FromAccount;
impl std::fmt::Debug for FromAccount {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("twice what max_exposure_pct allows at start")
    }
}

fn order_limits(reader: &mut Reader) -> OrderLimits {
    let key = "risk.max_order_quote";
    let quote = bounds(PRICE_SCALE..=1_000_000_000 * PRICE_SCALE, "from 1 to 1000000000, at most 8 decimals");
    let order_quote_max = if reader.says(key) {
        Some(Notional(reader.decimal(key, PRICE_SCALE, 8, &quote)))
    } else {
        reader.read(key, FromAccount, |_| Ok(FromAccount));
        None
    };
    let collar = bounds(RATIO_SCALE / 1_000..=RATIO_SCALE / 2, "from 0.001 to 0.5 (0.05 = 5 %)");
    OrderLimits {
        order_quote_max,
        price_collar: Ratio(reader.decimal("risk.price_collar_pct", RATIO_SCALE / 20, 8, &collar)),
        orders_per_s_max: small(reader.count("risk.orders_per_second_max", 24, &bounds(4..=64, "from 4 to 64"))),
    }
}

fn symbols(reader: &mut Reader) -> Symbols {
    let mut symbol = |key: &str, default: &str| {
        let allowed = "1 to 15 capitals, digits or _, as the exchange writes it";
        let text = reader.text(key, default, allowed, |text| Symbol::new(text).is_some());
        Symbol::new(&text).unwrap_or_else(|| unreachable!("the reader answers only texts that passed its check"))
    };
    Symbols { spot: symbol("symbols.spot", "SOLUSDT"), hedge: symbol("symbols.hedge", "SOLUSD_PERP") }
}

fn exchange(reader: &mut Reader) -> Exchange {
    let name = |found: Option<String>| found.unwrap_or_default(); // a faulty name was refused by the reader
    Exchange {
        binance_key: name(reader.variable("exchange.binance_key", Some("BINANCE_API_KEY"))),
        binance_sec: name(reader.variable("exchange.binance_sec", Some("BINANCE_SECRET"))),
        binance_key_type: reader.choice("exchange.binance_key_type", KeyType::Hmac, &KEY_TYPES),
        kraken_key: reader.variable("exchange.kraken_key", None),
        kraken_sec: reader.variable("exchange.kraken_sec", None),
        solana_keypair: reader.variable("exchange.solana_keypair", None),
        recv_window_ms: small(reader.count(
            "exchange.recv_window_ms",
            1_000,
            &bounds(100..=2_000, "from 100 to 2000"), // the engine calls an order that is not found void after 12 s
        )),
    }
}

fn small(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn feeds(reader: &mut Reader, candle: CandleInterval) -> Feeds {
    let poll = bounds(NANOS_PER_SEC..=NANOS_PER_DAY, "from 1s to 1d");
    let settle = bounds(0..=12 * 3_600 * NANOS_PER_SEC, "from 0s to 12h");
    let is_slug = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b))
    };
    let slugs = reader.list(
        "feeds.defillama_slugs",
        &["pump.fun", "pumpswap"],
        "slugs in small letters, digits, '-', '.', '_'",
        is_slug,
    );
    let pointer = "a JSON pointer such as \"/data/volume24h\"";
    Feeds {
        volume_source: volume_source(reader),
        kraken_depth_ms: small(reader.count("feeds.kraken_depth_ms", 250, &bounds(50..=10_000, "from 50 to 10000"))),
        pumpfun_poll_ns: reader.span_ns("feeds.pumpfun_poll", 60 * NANOS_PER_SEC, &poll),
        pumpfun_pointer: reader
            .text("feeds.pumpfun_pointer", "/volume24h", pointer, |text| text.is_empty() || text.starts_with('/')),
        defillama_poll_ns: reader.span_ns("feeds.defillama_poll", 300 * NANOS_PER_SEC, &poll),
        defillama_settle_ns: reader.span_ns("feeds.defillama_settle", 2 * 3_600 * NANOS_PER_SEC, &settle),
        defillama_slugs: slugs,
        dex_book: reader.text("feeds.dex_book", "manifest", "\"manifest\"", |text| text == "manifest"),
        bus: bus(reader),
        stale_after: stale_after(reader, candle),
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

fn volume_source(reader: &mut Reader) -> VolumeDefinition {
    reader.read("feeds.volume_source", VolumeDefinition::UtcDay, |given| match given.text.as_str() {
        "utc_day" => Ok(VolumeDefinition::UtcDay),
        "sampled24" => Ok(VolumeDefinition::Sampled24),
        "rolling24" => Err(Fault::Conflict(
            "needs the engine's own on-chain volume counter, which this version does not have; allowed: \"utc_day\" \
             (DeFiLlama, last completed UTC day) or \"sampled24\" (pump.fun 24 h volume against 24 h ago)"
                .to_owned(),
        )),
        _ => Err(Fault::Range { allowed: "\"utc_day\" or \"sampled24\"".to_owned() }),
    })
}

/// Silence allowed per stream: book and slots tick several times a second, a candle comes once per interval.
fn stale_after(reader: &mut Reader, candle: CandleInterval) -> StaleAfter {
    let within = bounds(100..=86_400_000, "from 100 to 86400000 (ms)");
    let mut limits = [0; StreamId::ALL.len()];
    for (stream, limit) in StreamId::ALL.into_iter().zip(limits.iter_mut()) {
        let default_ms = match stream {
            StreamId::BinanceBbo | StreamId::BinanceDepth => 3_000,
            StreamId::BinanceTrade | StreamId::BinanceUser => 60_000,
            StreamId::BinanceCandle => 2_000 * i64::from(candle.seconds) + 30_000,
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
        *limit =
            reader.count(&format!("feeds.stale_after_ms.{}", stream.name()), default_ms, &within) * NANOS_PER_MILLI;
    }
    StaleAfter(limits)
}

fn threads(reader: &mut Reader) -> Threads {
    let layouts = [("auto", Layout::Auto), ("four", Layout::Four), ("fused", Layout::Fused)];
    Threads {
        layout: reader.choice("threads.layout", Layout::Auto, &layouts),
        cores: reader.numbers("threads.cores", &bounds(0..=1_023, "core numbers from 0 to 1023")),
        spin: reader.flag("threads.spin", false),
        spin_us: small(reader.count("threads.spin_us", 5, &bounds(0..=1_000_000, "from 0 to 1000000 (µs)"))),
    }
}

fn storage(reader: &mut Reader) -> Storage {
    let every = bounds(60 * NANOS_PER_SEC..=3_600 * NANOS_PER_SEC, "from 1m to 1h");
    Storage {
        data_dir: PathBuf::from(reader.text("storage.data_dir", "data", "a directory", |text| !text.is_empty())),
        csv_every_ns: reader.span_ns("storage.csv_every", 3_600 * NANOS_PER_SEC, &every),
        journal_days: small(reader.count("storage.journal_days", 30, &bounds(0..=3_650, "from 0 (keep all) to 3650"))),
    }
}

fn ops(reader: &mut Reader) -> Ops {
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, OPS_PORT));
    let listen = reader.read("ops.listen", default, |given| {
        given.text.parse().map_err(|_| Fault::Range {
            allowed: "address and port such as \"127.0.0.1:9464\" or \"[::1]:9464\"".to_owned(),
        })
    });
    Ops { listen, token: reader.variable("ops.token", None) }
}

fn alerts(reader: &mut Reader) -> Alerts {
    let allowed = "any of \"ENTER\", \"STOP\", \"FATAL\"";
    let on = reader
        .list("alerts.on", &["ENTER", "STOP", "FATAL"], allowed, |text| ["ENTER", "STOP", "FATAL"].contains(&text));
    let has = |word: &str| on.iter().any(|item| item == word);
    Alerts {
        telegram_token: reader.variable("alerts.telegram_token", None),
        telegram_chat: reader.variable("alerts.telegram_chat", None),
        slack_webhook: reader.variable("alerts.slack_webhook", None),
        on: AlertKinds { enter: has("ENTER"), stop: has("STOP"), fatal: has("FATAL") },
    }
}

fn guard(reader: &mut Reader) -> Guard {
    let patience = bounds(500..=60_000, "from 500 to 60000 (ms)");
    let share = bounds(0..=Ratio::ONE.0, "from 0 (off) to 1");
    let words = [("cancel_entries", OnDead::CancelEntries), ("flatten", OnDead::Flatten)];
    Guard {
        binance_key: reader.variable("guard.binance_key", None),
        binance_sec: reader.variable("guard.binance_sec", None),
        binance_key_type: reader.choice("guard.binance_key_type", KeyType::Hmac, &KEY_TYPES),
        same_key: reader.flag("guard.same_key", false),
        patience_ns: reader.count("guard.patience_ms", 2_000, &patience) * NANOS_PER_MILLI,
        on_dead: reader.choice("guard.on_dead", OnDead::CancelEntries, &words),
        loss_limit: Ratio(reader.decimal("guard.loss_limit_pct", 0, 8, &share)),
    }
}
