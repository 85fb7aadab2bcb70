//! `[thresholds]`, `[risk]`, `[execution]`: the numbers a trader sets, as [`Params`].
//!
//! Thread: any.  Invariants: every key here is one a reload may change ([`LIVE_KEYS`]); shares are written as in
//! `0.30`, or `"30%"`.

use super::error::Fault;
use super::reader::{BPS_DECIMALS, Bounds, Reader, bounds, number};
use super::source::Literal;
use super::values::StaleAfter;
use crate::types::decision::VOLUME_STREAMS;
use crate::types::ids::StreamId;
use crate::types::time::{NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::units::{PRICE_SCALE, RATIO_SCALE};
use crate::types::{Bps, Params, Price, Ratio, TimeInForce};

const RATIO_DECIMALS: u32 = 8;
const ONE: i64 = RATIO_SCALE;

/// Keys that a reload puts in force at once; all others need a restart.
pub(super) const LIVE_KEYS: [&str; 38] = [
    "thresholds.meme_drop_pct",
    "thresholds.meme_drop_sol_pct",
    "thresholds.confirmations_min",
    "thresholds.confirm_drop_pct",
    "thresholds.meme_recover_pct",
    "thresholds.rsi_max",
    "thresholds.rsi_exit",
    "thresholds.support_low",
    "thresholds.support_high",
    "thresholds.max_hold",
    "risk.max_trade_risk",
    "risk.stop_loss",
    "risk.max_exposure_pct",
    "risk.max_consecutive_losses",
    "risk.news_lock",
    "risk.daily_loss_pct",
    "risk.max_slippage_bps",
    "risk.slippage_kill_bps",
    "risk.slippage_window",
    "risk.naked_ms_max",
    "risk.clock_offset_ms_max",
    "risk.dex_divergence_pct",
    "execution.tranches",
    "execution.tranche_window",
    "execution.tranche_tif",
    "execution.take_profit_1",
    "execution.take_profit_2",
    "execution.tp1_share",
    "execution.repost_shift_pct",
    "execution.repost_same_price",
    "execution.on_stop",
    "feeds.stale_after_ms.binance_bbo",
    "feeds.stale_after_ms.binance_candle",
    "feeds.stale_after_ms.defillama",
    "feeds.stale_after_ms.pumpfun",
    "feeds.stale_after_ms.pump_chain",
    "feeds.stale_after_ms.coingecko",
    "feeds.stale_after_ms.solana_slot",
];

/// Where a take-profit stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    At(Price),
    Above(Ratio),
}

impl std::fmt::Debug for Target {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::At(price) => write!(out, "{price}"),
            Target::Above(ratio) => write!(out, "+{ratio} of the average entry"),
        }
    }
}

impl Target {
    fn price(self) -> Price {
        if let Target::At(price) = self { price } else { Price::ZERO }
    }
    fn above(self) -> Ratio {
        if let Target::Above(ratio) = self { ratio } else { Ratio::ZERO }
    }
}

/// A price in quote units.
fn price_bounds() -> Bounds {
    bounds(1..=1_000_000 * PRICE_SCALE, "above 0, at most 1000000, at most 8 decimals")
}

fn ratio(reader: &mut Reader, key: &str, default: i64, within: &Bounds) -> Ratio {
    Ratio(reader.decimal(key, default, RATIO_DECIMALS, within))
}

fn target(reader: &mut Reader, key: &str, percent: i64) -> Target {
    let allowed = "a price such as 165.5, or a gain such as \"+4%\" (above 0, at most 1000%)";
    let default = Target::Above(Ratio(percent * ONE / 100));
    reader.read(key, default, |given| {
        let gain = bounds(1..=10 * ONE, allowed);
        let text = given.text.trim();
        match (text.starts_with('+'), text.ends_with('%')) {
            (true, true) if !matches!(given.literal, Literal::Number) => {
                number(given, RATIO_DECIMALS, &gain).map(|v| Target::Above(Ratio(v)))
            }
            (false, false) => number(given, RATIO_DECIMALS, &bounds(1..=1_000_000 * PRICE_SCALE, allowed))
                .map(|v| Target::At(Price(v))),
            _ => Err(Fault::Range { allowed: allowed.to_owned() }),
        }
    })
}

/// Reads every number of the strategy.
pub(super) fn params(reader: &mut Reader, stale_after: &StaleAfter, volume_stream: StreamId) -> Params {
    let mut params = thresholds(reader);
    risk(reader, &mut params);
    execution(reader, &mut params);
    params.stale_bbo_ns = stale_after.of(StreamId::BinanceBbo);
    params.stale_candle_ns = stale_after.of(StreamId::BinanceCandle);
    params.stale_volume_ns = stale_after.of(volume_stream);
    let others = VOLUME_STREAMS.into_iter().filter(|stream| *stream != volume_stream);
    params.stale_confirm_ns = others.map(|stream| stale_after.of(stream)).max().unwrap_or(0);
    params.stale_slot_ns = stale_after.of(StreamId::SolanaSlot);
    params
}

/// Keys of the user's own file have no default: a forgotten stop must not become somebody's guess.
fn require_the_users_own(reader: &mut Reader) {
    reader.require("thresholds.meme_drop_pct", "meme_drop_pct = 0.30");
    reader.require("thresholds.rsi_max", "rsi_max = 45");
    reader.require("thresholds.support_low", "support_low = 160");
    reader.require("thresholds.support_high", "support_high = 162");
    reader.require("risk.max_trade_risk", "max_trade_risk = 0.05");
    reader.require("risk.stop_loss", "stop_loss = 155");
}

fn optional_ratio(reader: &mut Reader, key: &str, off: i64, within: &Bounds) -> Ratio {
    if reader.says(key) { ratio(reader, key, off, within) } else { reader.read(key, Off(off), |_| Ok(Off(off))).into() }
}

fn optional_span_ns(reader: &mut Reader, key: &str, within: &Bounds) -> i64 {
    if reader.says(key) { reader.span_ns(key, 0, within) } else { reader.read(key, Off(0), |_| Ok(Off(0))).0 }
}

/// A rule that is not in use.
struct Off(i64);
impl std::fmt::Debug for Off {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("off")
    }
}
impl From<Off> for Ratio {
    fn from(off: Off) -> Ratio {
        Ratio(off.0)
    }
}

fn thresholds(reader: &mut Reader) -> Params {
    require_the_users_own(reader);
    let rsi = bounds(1..=100 * ONE, "above 0, at most 100");
    let hold = bounds(NANOS_PER_SEC..=365 * NANOS_PER_DAY, "from 1s to 365d");
    Params {
        meme_drop: ratio(
            reader,
            "thresholds.meme_drop_pct",
            3 * ONE / 10,
            &bounds(1..=ONE - 1, "above 0 and below 1 (0.30 = 30 %)"),
        ),
        meme_drop_sol: ratio(
            reader,
            "thresholds.meme_drop_sol_pct",
            ONE / 5,
            &bounds(0..=ONE - 1, "from 0 (off) to below 1 (0.20 = 20 %)"),
        ),
        confirm_drop: ratio(
            reader,
            "thresholds.confirm_drop_pct",
            ONE / 10,
            &bounds(0..=ONE - 1, "from 0 (any fall) to below 1"),
        ),
        confirmations_min: reader.count("thresholds.confirmations_min", 1, &bounds(0..=3, "from 0 to 3")),
        meme_recover: optional_ratio(
            reader,
            "thresholds.meme_recover_pct",
            i64::MIN,
            &bounds(-10 * ONE..=ONE - 1, "from -10 to below 1, and below meme_drop_pct"),
        ),
        rsi_max: ratio(reader, "thresholds.rsi_max", 45 * ONE, &rsi),
        rsi_exit: optional_ratio(reader, "thresholds.rsi_exit", i64::MAX, &rsi),
        support_low: Price(reader.decimal(
            "thresholds.support_low",
            160 * PRICE_SCALE,
            RATIO_DECIMALS,
            &price_bounds(),
        )),
        support_high: Price(reader.decimal(
            "thresholds.support_high",
            162 * PRICE_SCALE,
            RATIO_DECIMALS,
            &price_bounds(),
        )),
        max_hold_ns: optional_span_ns(reader, "thresholds.max_hold", &hold),
        ..BLANK
    }
}

fn risk(reader: &mut Reader, params: &mut Params) {
    let share = bounds(1..=ONE, "above 0, at most 1 (0.05 = 5 %)");
    let ms = |reader: &mut Reader, key: &str, default: i64, within: &Bounds| {
        reader.count(key, default, within) * NANOS_PER_MILLI
    };
    let bps = |reader: &mut Reader, key: &str, default: i64| {
        Bps(reader.decimal(
            key,
            default,
            BPS_DECIMALS,
            &bounds(1..=50_000, "above 0, at most 500 (100 = 1 %), at most 2 decimals"),
        ) as i32)
    };
    params.max_trade_risk = ratio(reader, "risk.max_trade_risk", ONE / 20, &share);
    params.stop_loss = Price(reader.decimal("risk.stop_loss", 155 * PRICE_SCALE, RATIO_DECIMALS, &price_bounds()));
    params.max_exposure =
        ratio(reader, "risk.max_exposure_pct", ONE, &bounds(1..=ONE, "above 0, at most 1 (1 = own funds, no credit)"));
    params.max_consecutive_losses = reader.count("risk.max_consecutive_losses", 4, &bounds(1..=100, "from 1 to 100"));
    params.news_lock = reader.flag("risk.news_lock", false);
    params.daily_loss =
        ratio(reader, "risk.daily_loss_pct", ONE / 5, &bounds(0..=ONE, "from 0 (off) to 1 (0.20 = 20 %)"));
    params.max_slippage = bps(reader, "risk.max_slippage_bps", 1_000);
    params.slippage_kill = bps(reader, "risk.slippage_kill_bps", 2_000);
    params.slippage_window_ns = reader.span_ns(
        "risk.slippage_window",
        300 * NANOS_PER_SEC,
        &bounds(NANOS_PER_SEC..=NANOS_PER_DAY, "from 1s to 1d"),
    );
    params.naked_ns_max = ms(reader, "risk.naked_ms_max", 500, &bounds(50..=60_000, "from 50 to 60000"));
    let apart = bounds(0..=ONE / 2, "from 0 (not watched) to 0.5 (0.01 = 1 %)");
    params.dex_divergence = ratio(reader, "risk.dex_divergence_pct", ONE / 100, &apart);
    params.clock_offset_ns_max = ms(reader, "risk.clock_offset_ms_max", 500, &bounds(1..=5_000, "from 1 to 5000"));
}

fn execution(reader: &mut Reader, params: &mut Params) {
    let window = bounds(1..=NANOS_PER_DAY, "above 0, at most 1d");
    let (tp1, tp2) = (target(reader, "execution.take_profit_1", 2), target(reader, "execution.take_profit_2", 4));
    params.tranches = reader.count("execution.tranches", 3, &bounds(1..=20, "from 1 to 20"));
    params.tranche_window_ns = reader.span_ns("execution.tranche_window", 3 * 3_600 * NANOS_PER_SEC, &window);
    params.tranche_tif = reader.choice(
        "execution.tranche_tif",
        TimeInForce::Ioc,
        &[("IOC", TimeInForce::Ioc), ("FOK", TimeInForce::Fok)],
    );
    (params.tp1_price, params.tp1_above) = (tp1.price(), tp1.above());
    (params.tp2_price, params.tp2_above) = (tp2.price(), tp2.above());
    params.tp1_share = ratio(reader, "execution.tp1_share", ONE / 2, &bounds(1..=ONE, "above 0, at most 1"));
    params.repost_shift = ratio(
        reader,
        "execution.repost_shift_pct",
        ONE / 1_000,
        &bounds(1..=ONE / 10, "above 0, at most 0.1 (0.001 = 0.1 %)"),
    );
    params.repost_same_price = reader.flag("execution.repost_same_price", false);
    params.flatten_on_stop = reader.choice("execution.on_stop", false, &[("protect", false), ("flatten", true)]);
}

/// Every field zero: what the readers above fill in.
const BLANK: Params = Params {
    meme_drop: Ratio::ZERO,
    meme_drop_sol: Ratio::ZERO,
    confirmations_min: 0,
    confirm_drop: Ratio::ZERO,
    meme_recover: Ratio::ZERO,
    rsi_max: Ratio::ZERO,
    rsi_exit: Ratio::ZERO,
    support_low: Price::ZERO,
    support_high: Price::ZERO,
    max_hold_ns: 0,
    max_trade_risk: Ratio::ZERO,
    stop_loss: Price::ZERO,
    max_exposure: Ratio::ZERO,
    max_consecutive_losses: 0,
    news_lock: false,
    daily_loss: Ratio::ZERO,
    max_slippage: Bps(0),
    slippage_kill: Bps(0),
    slippage_window_ns: 0,
    naked_ns_max: 0,
    clock_offset_ns_max: 0,
    tranches: 0,
    tranche_window_ns: 0,
    tranche_tif: TimeInForce::Ioc,
    tp1_price: Price::ZERO,
    tp1_above: Ratio::ZERO,
    tp2_price: Price::ZERO,
    tp2_above: Ratio::ZERO,
    tp1_share: Ratio::ZERO,
    repost_shift: Ratio::ZERO,
    repost_same_price: false,
    flatten_on_stop: false,
    stale_bbo_ns: 0,
    stale_candle_ns: 0,
    stale_volume_ns: 0,
    stale_confirm_ns: 0,
    stale_slot_ns: 0,
    dex_divergence: Ratio::ZERO,
};
