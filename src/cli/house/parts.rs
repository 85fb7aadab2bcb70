//! The parts of the house, each from validated values: sockets, sessions, the engine, the pollers.
//!
//! Thread: main, before the agents run.  Invariants: a part that cannot be built says which key would mend it.

use super::past::broken;
use crate::cli::venue_facts::VenueFacts;
use crate::cli::{Failure, exit};
use crate::config::{Config, KeyType, Layout as LayoutWish, Secrets};
use crate::engine::{PauseSet, Setup};
use crate::ledger::journal::Finding;
use crate::ledger::{Ledger, Row};
use crate::recovery::{Holdings, Past};
use crate::sys::clock::Clock;
use crate::sys::net::{ConnectBudget, Endpoint, HttpClient, Link, LinkConfig, Net, Resolver, TlsContext};
use crate::telemetry::Line;
use crate::threads::helpers::alerts::{AlertSettings, Pace, Slack, Telegram};
use crate::threads::helpers::pollers::{
    ApiKey, CoinGeckoSettings, LlamaSettings, PollerSettings, PumpSettings, SolPriceSettings,
};
use crate::threads::ingest::IngestLinks;
use crate::topology::{Layout, ThreadWishes};
use crate::types::record::PauseReason;
use crate::types::setup::RESTING_MAX;
use crate::types::time::{NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::units::{QTY_SCALE, mul_div_ceil, notional_ceil};
use crate::types::{Notional, Price, Qty, StreamId, Time};
use crate::venue::binance_spot::candles::Interval;
use crate::venue::binance_spot::market::{MarketSession, MarketSettings, StaleAfter};
use crate::venue::binance_spot::sign::Signer;
use crate::venue::binance_spot::trade::{Bounds, TradeSession, TradeSettings};
use crate::venue::sampled::Reading;
use crate::venue::{defillama, pumpfun};
use secrecy::ExposeSecret;

/// Closed candles fetched before the first one of the stream: what an RSI(14) needs to forget its start.
const CANDLES_SEED: u16 = 500;
/// How long a new market connection may take to its first data.
const FIRST_DATA_NS: i64 = 10 * NANOS_PER_SEC;
/// A request without an answer for this long has an unknown outcome.
const REQUEST_TIMEOUT_NS: i64 = 3 * NANOS_PER_SEC;
/// How late a question may reach the matching engine, ms.
const RECV_WINDOW_QUERIES_MS: u32 = 5_000;
/// Largest depth snapshot or candle reply.
const REST_BODY_BYTES_MAX: usize = 4 << 20;
/// How far back pump.fun's readings are kept: two windows and an hour.
const PUMP_MEMORY_NS: i64 = 49 * 3_600 * NANOS_PER_SEC;

/// The signer of the venue's key. Errors: no key, or one that is not what `binance_key_type` says.
pub fn signer(config: &Config, secrets: &Secrets) -> Result<Signer, Failure> {
    signer_of("exchange.binance_sec", config.exchange.binance_key_type, secrets)
}

/// The signer of the guard's key, from secrets made by `config::load_guard`. Errors: as [`signer`].
pub fn guard_signer(config: &Config, secrets: &Secrets) -> Result<Signer, Failure> {
    signer_of("guard.binance_sec", config.guard.binance_key_type, secrets)
}

fn signer_of(key: &str, kind: KeyType, secrets: &Secrets) -> Result<Signer, Failure> {
    let secret = secrets.binance_secret.as_ref().map(|secret| secret.expose_secret().to_owned());
    let Some(secret) = secret else {
        return Err(Failure::new(exit::BAD_CONFIG, &format!("{key}: no secret under that name in .env")));
    };
    let made = match kind {
        KeyType::Hmac => Signer::hmac(secret),
        KeyType::Ed25519 => Signer::ed25519(secret),
    };
    made.map_err(|why| Failure::new(exit::BAD_CONFIG, &format!("{key}: {why}")))
}

/// The venue's name of our key.
pub fn api_key(secrets: &Secrets) -> String {
    secrets.binance_key.as_ref().map(|key| key.expose_secret().to_owned()).unwrap_or_default()
}

/// Where alerts go, by the config.
pub fn alert_settings(config: &Config, secrets: &Secrets) -> AlertSettings {
    let ends = &config.endpoints;
    let telegram = secrets.telegram_token.clone().zip(secrets.telegram_chat.clone());
    let telegram = telegram.map(|(token, chat)| Telegram { base: ends.telegram.clone(), token, chat });
    let slack = secrets.slack_webhook.clone().map(|webhook| Slack { webhook, base: ends.slack.clone() });
    AlertSettings { telegram, slack, ca_file: ends.ca_file.clone(), pace: Pace::default() }
}

/// Sockets' common ground. Errors: a `ca_file` that cannot be used, a kernel without threads.
pub fn net(config: &Config, clock: Clock) -> Result<Net, Failure> {
    let tls = TlsContext::new(config.endpoints.ca_file.as_deref())
        .map_err(|why| Failure::new(exit::BAD_CONFIG, &format!("endpoints.ca_file: {why}")))?;
    let resolver = Resolver::start().map_err(|why| Failure::new(exit::FAILED, &why))?;
    Ok(Net { clock, tls, resolver, budget: ConnectBudget::binance().into() })
}

/// An endpoint of the config.
pub fn endpoint(key: &str, url: &str) -> Result<Endpoint, Failure> {
    Endpoint::parse(url).map_err(|why| Failure::new(exit::BAD_CONFIG, &format!("endpoints.{key}: {why}")))
}

/// What the market session follows.
pub fn market_settings(config: &Config) -> Result<MarketSettings, Failure> {
    let candle = Interval::parse(config.candle.name)
        .ok_or_else(|| Failure::new(exit::BAD_CONFIG, &"thresholds.candle: the venue has no such candle"))?;
    let stale = &config.feeds.stale_after;
    let stale_after = StaleAfter {
        bbo_ns: stale.of(StreamId::BinanceBbo),
        depth_ns: stale.of(StreamId::BinanceDepth),
        trade_ns: stale.of(StreamId::BinanceTrade),
        candle_ns: stale.of(StreamId::BinanceCandle),
    };
    let symbol = config.symbols.spot;
    Ok(MarketSettings {
        symbol,
        candle,
        candles_seed: CANDLES_SEED,
        stale_after,
        depth_sample_ns: i64::from(config.feeds.binance_depth_ms) * NANOS_PER_MILLI,
        first_data_ns: FIRST_DATA_NS,
    })
}

/// The market's connections, not yet open. Streams and slots count against budgets of their own.
pub fn ingest_links(config: &Config, settings: &MarketSettings, net: &Net) -> Result<IngestLinks, Failure> {
    let ends = &config.endpoints;
    let path = MarketSession::new(*settings).path();
    let streams = endpoint("binance_stream", &ends.binance_stream)?.join(&path);
    let slot_link = |(key, url): (&str, &String)| -> Result<Link, Failure> {
        let mut slots = LinkConfig::new(endpoint(key, url)?);
        slots.silence_timeout_ns = 30 * NANOS_PER_SEC; // a slot comes several times a second: this is a dead link
        Ok(Link::new(slots, net.with_budget(ConnectBudget::binance())))
    };
    let more = ends.solana_ws_more.iter().map(|url| ("solana_ws_more", url));
    let slots = [("solana_ws", &ends.solana_ws)].into_iter().chain(more).map(slot_link).collect::<Result<_, _>>()?;
    let rest = endpoint("binance_rest", &ends.binance_rest)?;
    Ok(IngestLinks {
        market: Link::new(LinkConfig::new(streams), net.with_budget(ConnectBudget::binance())),
        slots,
        rest: HttpClient::new(rest, net.clone(), REST_BODY_BYTES_MAX),
    })
}

/// The order connection, not yet open, and its session.
pub fn order_desk(
    ws_api: &str,
    net: &Net,
    (facts, past): (&VenueFacts, &Past),
    (api_key, signer): (String, Signer),
    config: &Config,
) -> Result<(Link, TradeSession), Failure> {
    let link =
        Link::new(LinkConfig::new(endpoint("binance_ws_api", ws_api)?), net.with_budget(ConnectBudget::binance()));
    let bounds = order_bounds(config, &past.holdings);
    let mut session = TradeSession::new(TradeSettings {
        instrument: facts.instrument,
        api_key,
        signer,
        recv_window_orders_ms: config.exchange.recv_window_ms,
        recv_window_queries_ms: RECV_WINDOW_QUERIES_MS,
        request_timeout_ns: REQUEST_TIMEOUT_NS,
        stale_after_ns: config.feeds.stale_after.of(StreamId::BinanceUser),
        bounds,
        limits: facts.limits.clone(),
    });
    session.set_clock_offset(facts.clock.offset_ns);
    session.take_over(&past.resting, past.trades_known_to);
    Ok((link, session))
}

/// What the last gate allows one order, from what the account holds and the trader set at the start of the run. Twice
/// what risk can ask for, because an account grows: it is there for the order with a digit too many.
fn order_bounds(config: &Config, holdings: &Holdings) -> Bounds {
    let params = &config.params;
    let derived = || {
        let coins = notional_ceil(params.support_high.max(params.stop_loss), holdings.base)?;
        let equity = holdings.cash.checked_add(coins)?;
        let exposure = equity.times_ceil(params.max_exposure)?;
        exposure.checked_add(exposure)
    };
    // Money that fits no number is no money to trade with: then nothing is bought.
    let order_notional_max = config.order_limits.order_quote_max.or_else(derived).unwrap_or_default().max(Notional(1));
    // A sale may be of all that every tranche bought, at half the stop in case that is lowered, and of what was there.
    let lowest = Price((params.stop_loss.0 / 2).max(1));
    let bought = order_notional_max.0.saturating_mul(params.tranches.max(1));
    let bought = mul_div_ceil(bought, QTY_SCALE, lowest.0).unwrap_or(i64::MAX);
    Bounds {
        order_notional_max,
        order_qty_max: Qty(bought.saturating_add(holdings.base.0)),
        collar: config.order_limits.price_collar,
        mid_age_ns_max: params.stale_bbo_ns.saturating_mul(2),
        orders_per_s_max: config.order_limits.orders_per_s_max,
    }
}

/// Where the engine starts from.
pub fn engine_setup(
    config: &Config,
    ledger: &mut Ledger,
    (facts, past): (&VenueFacts, &Past),
    epoch: u32,
    clock: Clock,
) -> Result<Setup, Failure> {
    let now = clock.now();
    let first_of_day = ledger.first_equity_since(now.day_start());
    let day_equity = first_of_day.map_err(|why| broken(&why))?;
    let mut paused: PauseSet = past.memory.pauses.iter().copied().collect();
    if day_equity.is_none() && paused.has(PauseReason::DailyLoss) {
        paused = paused.without(PauseReason::DailyLoss); // of an earlier day: over, and not to return later today
        ledger.push(Row::Pause { reason: PauseReason::DailyLoss, on: false });
        ledger.flush().map_err(|why| broken(&why))?;
    }
    let mut resting = [None; RESTING_MAX];
    for (place, order) in resting.iter_mut().zip(&past.resting) {
        *place = Some(*order);
    }
    let last_entry = ledger.last_entry().map_err(|why| broken(&why))?;
    let risen = ledger.risen().map_err(|why| broken(&why))?;
    Ok(Setup {
        instrument: facts.instrument,
        params: config.params,
        definition: config.feeds.volume_source,
        rsi_period: config.rsi_period,
        candle_s: config.candle.seconds,
        epoch,
        next_trade_no: past.memory.next_trade_no,
        consecutive_losses: past.memory.consecutive_losses,
        paused,
        cash: past.holdings.cash,
        base: past.holdings.base,
        position: past.position,
        trades_known_to: past.trades_known_to,
        resting,
        day_equity,
        last_entry,
        risen,
        needed_ns: needed(config),
        now,
    })
}

/// Streams that entries stand on beside the engine's own four, and how old each may be.
fn needed(config: &Config) -> [i64; StreamId::ALL.len()] {
    let mut needed_ns = [0; StreamId::ALL.len()];
    for stream in config.feeds_needed() {
        if let Some(limit) = needed_ns.get_mut(stream as usize) {
            *limit = config.feeds.stale_after.of(stream);
        }
    }
    needed_ns
}

/// The slow volume feeds.
pub fn pollers(config: &Config, secrets: &Secrets, ledger: &Ledger, clock: Clock) -> Result<PollerSettings, Failure> {
    let (ends, feeds) = (&config.endpoints, &config.feeds);
    let since = clock.now().plus(-PUMP_MEMORY_NS);
    let kept = ledger.volumes_since(StreamId::PumpFun, since).map_err(|why| Failure::new(exit::FAILED, &why))?;
    let readings = kept.into_iter().map(|(at, usd)| pumpfun::Reading { at, usd }).collect();
    let is_ours = |stream: StreamId| !feeds.is_from_bus(stream);
    let pumpfun = ends.pumpfun.as_ref().filter(|_| is_ours(StreamId::PumpFun)).map(|url| PumpSettings {
        url: url.clone(),
        pointer: feeds.pumpfun_pointer.clone(),
        poll_ns: feeds.pumpfun_poll_ns,
        stale_ns: feeds.stale_after.of(StreamId::PumpFun).min(NANOS_PER_DAY),
        readings,
    });
    let defillama = ends.defillama.as_ref().filter(|_| is_ours(StreamId::DefiLlama)).map(|url| LlamaSettings {
        base_url: url.clone(),
        poll_ns: feeds.defillama_poll_ns,
        reader: defillama::Settings { slugs: feeds.defillama_slugs.clone(), settle_ns: feeds.defillama_settle_ns },
    });
    let coingecko = coingecko(config, secrets, ledger, since)?;
    let symbol = config.symbols.spot.to_string();
    let sol_prices = Some(SolPriceSettings { base_url: ends.binance_rest.clone(), symbol });
    let ca_file = ends.ca_file.clone();
    Ok(PollerSettings { defillama, pumpfun, coingecko, sol_prices, ca_file, ..PollerSettings::default() })
}

/// CoinGecko, unless it is left out or comes over the bus.
fn coingecko(
    config: &Config,
    secrets: &Secrets,
    ledger: &Ledger,
    since: Time,
) -> Result<Option<CoinGeckoSettings>, Failure> {
    let feeds = &config.feeds;
    let Some(url) = config.endpoints.coingecko.as_ref().filter(|_| !feeds.is_from_bus(StreamId::CoinGecko)) else {
        return Ok(None);
    };
    let kept = ledger.volumes_since(StreamId::CoinGecko, since).map_err(|why| Failure::new(exit::FAILED, &why))?;
    let is_pro = url.contains("pro-api");
    let header = if is_pro { "x-cg-pro-api-key" } else { "x-cg-demo-api-key" };
    let key = secrets.coingecko_key.as_ref();
    Ok(Some(CoinGeckoSettings {
        base_url: url.clone(),
        category: feeds.coingecko_category.clone(),
        poll_ns: feeds.coingecko_poll_ns,
        key: key.map(|key| ApiKey { header, value: key.expose_secret().to_owned() }),
        readings: kept.into_iter().map(|(at, usd)| Reading { at, usd }).collect(),
    }))
}

/// What there is to tell of the journal that earlier runs left.
pub fn journal_line(finding: &Finding, now: Time) -> Line {
    match finding {
        Finding::Cut(torn) => {
            let msg = "a sudden end tore the last record of the journal: cut back to the last whole one";
            let line = Line::warn(now, "JOURNAL_CUT", msg).with("file", torn.path.display().to_string());
            line.with("at_byte", torn.byte).with("dropped_bytes", torn.dropped)
        }
        Finding::Damaged(why) => Line::error(now, "JOURNAL_DAMAGED", why.to_string()),
        Finding::Removed(count) => {
            Line::info(now, "JOURNAL_PRUNED", "journal segments older than journal_days were removed")
                .with("files", *count)
        }
    }
}

/// What the trader said of threads.
pub fn thread_wishes(config: &Config) -> ThreadWishes {
    let threads = &config.threads;
    let layout = match threads.layout {
        LayoutWish::Auto => None,
        LayoutWish::Four => Some(Layout::Four),
        LayoutWish::Fused => Some(Layout::Fused),
    };
    ThreadWishes {
        layout,
        cores: threads.cores.clone(),
        spin: threads.spin,
        spin_ns: i64::from(threads.spin_us) * 1_000,
    }
}
