//! The day that the engine's tests trade on: the venue's rules, the trader's numbers, what an engine starts from.
//!
//! Thread: any.  Invariants: plain data.

use sol_volume_bot::engine::{PauseSet, Setup};
use sol_volume_bot::types::event::{Bbo, VolumeDefinition};
use sol_volume_bot::types::instrument::{Instrument, Symbol};
use sol_volume_bot::types::order::*;
use sol_volume_bot::types::setup::RESTING_MAX;
use sol_volume_bot::types::units::*;
use sol_volume_bot::types::{ClientOrderId, Params, StreamId, Time, VenueOrderId};

pub const MS: i64 = 1_000_000;
pub const SEC: i64 = 1_000_000_000;
/// 2026-11-22 12:00 UTC.
pub const NOON: Time = Time(1_795_348_800 * SEC);

pub fn px(text: &str) -> Price {
    Price::parse(text.as_bytes()).expect("a price")
}
pub fn sol(text: &str) -> Qty {
    Qty::parse(text.as_bytes()).expect("a size")
}
pub fn usd(text: &str) -> Notional {
    Notional::parse(text.as_bytes()).expect("money")
}
pub fn ratio(text: &str) -> Ratio {
    Ratio::parse(text.as_bytes()).expect("a ratio")
}

pub fn instrument() -> Instrument {
    let symbol = |text| Symbol::new(text).expect("a symbol");
    Instrument {
        symbol: symbol("SOLUSDT"),
        base: symbol("SOL"),
        quote: symbol("USDT"),
        tick: px("0.01"),
        price_min: px("0.01"),
        price_max: px("10000"),
        lot: sol("0.001"),
        qty_min: sol("0.001"),
        qty_max: sol("90000"),
        market_qty_max: sol("20000"),
        notional_min: usd("5"),
        notional_max: usd("9000000"),
        orders_max: 200,
        algo_orders_max: 5,
        oco_allowed: true,
        stop_market_allowed: true,
        fee_maker: ratio("0.001"),
        fee_taker: ratio("0.001"),
    }
}

pub fn params() -> Params {
    Params {
        meme_drop: ratio("0.30"),
        meme_drop_sol: Ratio::ZERO, // orders are the matter here: one volume source will do
        confirmations_min: 0,
        confirm_drop: Ratio::ZERO,
        meme_recover: Ratio(i64::MIN),
        rsi_max: ratio("45"),
        rsi_exit: Ratio(i64::MAX),
        support_low: px("160"),
        support_high: px("162"),
        max_hold_ns: 0,
        max_trade_risk: ratio("0.05"),
        stop_loss: px("155"),
        max_exposure: ratio("1"),
        max_consecutive_losses: 4,
        news_lock: false,
        daily_loss: Ratio::ZERO,
        max_slippage: Bps(1_000),
        slippage_kill: Bps(2_000),
        slippage_window_ns: 300 * SEC,
        naked_ns_max: 500 * MS,
        clock_offset_ns_max: 500 * MS,
        tranches: 3,
        tranche_window_ns: 30 * SEC,
        tranche_tif: TimeInForce::Ioc,
        tp1_price: Price::ZERO,
        tp1_above: ratio("0.04"),
        tp2_price: Price::ZERO,
        tp2_above: ratio("0.08"),
        tp1_share: ratio("0.5"),
        repost_shift: ratio("0.001"),
        repost_same_price: false,
        flatten_on_stop: false,
        stale_bbo_ns: 5 * SEC,
        stale_candle_ns: 600 * SEC,
        stale_volume_ns: 36 * 3600 * SEC,
        stale_confirm_ns: 36 * 3600 * SEC,
        stale_slot_ns: 10 * SEC,
        dex_divergence: Ratio::ZERO,
    }
}

pub fn setup() -> Setup {
    Setup {
        instrument: instrument(),
        params: params(),
        definition: VolumeDefinition::UtcDay,
        rsi_period: 14,
        candle_s: 300,
        epoch: 7,
        next_trade_no: 1,
        consecutive_losses: 0,
        paused: PauseSet::NONE,
        cash: usd("10000"),
        base: Qty::ZERO,
        position: None,
        trades_known_to: 0,
        resting: [None; RESTING_MAX],
        day_equity: None,
        needed_ns: [0; StreamId::ALL.len()],
        last_entry: None,
        risen: [Time::NONE; 4],
        now: NOON,
    }
}

pub fn bbo(bid: &str, ask: &str) -> Bbo {
    Bbo { bid: px(bid), bid_qty: sol("100"), ask: px(ask), ask_qty: sol("100"), update_id: 1 }
}

/// A report that says only what kind it is.
pub fn word(id: ClientOrderId, kind: ExecKind) -> ExecutionReport {
    ExecutionReport {
        id,
        venue_order_id: VenueOrderId(0),
        list_id: 0,
        kind,
        side: Side::Sell,
        liquidity: Liquidity::Taker,
        fee_asset: FeeAsset::None,
        reason: Reason::None,
        code: 0,
        last_qty: Qty::ZERO,
        last_px: Price::ZERO,
        cum_qty: Qty::ZERO,
        leaves_qty: Qty::ZERO,
        fee: 0,
        trade_id: 0,
    }
}
