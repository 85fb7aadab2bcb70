//! `exchangeInfo`: the symbol's grid and bounds, and the venue's rate limits.
//!
//! Thread: any, never a hot one: allocates freely.  Invariants: as of `rest`; filters are known under their old names
//! too. Price bands around a moving reference are the venue's to enforce: they cannot be read once at start.

use super::budget::{LimitKind, RateLimit, interval_ns};
use super::rest::{RestError, exact, largest, misshapen, missing, venue_error};
use crate::types::instrument::Symbol;
use crate::types::{Instrument, Notional, Price, Qty, Ratio};
use serde::Deserialize;

/// Whether a symbol trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolStatus {
    /// All.
    Trading,
    /// Cancels only.
    CancelOnly,
    /// No orders: halted, in a break, or a word that is new to us.
    Closed,
}

/// What `exchangeInfo` says of our symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolInfo {
    /// Grid and bounds; the fees are still zero, see [`super::rest::commission`].
    pub instrument: Instrument,
    /// Whether it trades.
    pub status: SymbolStatus,
    /// The venue's limits.
    pub limits: Vec<RateLimit>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InfoBody {
    #[serde(default)]
    rate_limits: Vec<RateLimitBody>,
    symbols: Vec<SymbolBody>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RateLimitBody {
    rate_limit_type: String,
    interval: String,
    interval_num: i64,
    limit: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SymbolBody {
    symbol: String,
    status: String,
    base_asset: String,
    quote_asset: String,
    #[serde(default)]
    order_types: Vec<String>,
    #[serde(default)]
    oco_allowed: bool,
    #[serde(default)]
    filters: Vec<Filter>,
}

/// The filters that make an [`Instrument`], under their old names too; any other is none of ours.
#[derive(Deserialize)]
#[serde(tag = "filterType", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
enum Filter {
    #[serde(rename = "PRICE_FILTER")]
    Price {
        min_price: String,
        max_price: String,
        tick_size: String,
    },
    LotSize {
        min_qty: String,
        max_qty: String,
        step_size: String,
    },
    MarketLotSize {
        max_qty: String,
    },
    Notional {
        min_notional: String,
        max_notional: String,
    },
    MinNotional {
        min_notional: String,
    },
    MaxNumOrders {
        #[serde(alias = "limit")]
        max_num_orders: u16,
    },
    MaxNumAlgoOrders {
        #[serde(alias = "limit")]
        max_num_algo_orders: u16,
    },
    #[serde(other)]
    Other,
}

const INFO: &str = "exchangeInfo";

/// Reads `exchangeInfo` of `symbol`. A limit that the venue does not set counts as none.
pub fn exchange_info(body: &[u8], symbol: Symbol) -> Result<SymbolInfo, RestError> {
    venue_error(body).map_or(Ok(()), Err)?;
    let info: InfoBody = serde_json::from_slice(body).map_err(|why| misshapen(INFO, body, &why))?;
    let found = info.symbols.into_iter().find(|found| found.symbol == symbol.as_str());
    let found = found.ok_or_else(|| missing(INFO, format!("the symbol {symbol}: check `symbols.spot`")))?;
    let asset = |text: &str| Symbol::new(text).ok_or_else(|| missing(INFO, format!("a plain asset name: {text:?}")));
    let mut rules = Instrument {
        symbol,
        base: asset(&found.base_asset)?,
        quote: asset(&found.quote_asset)?,
        tick: Price::ZERO,
        price_min: Price::ZERO,
        price_max: Price::ZERO,
        lot: Qty::ZERO,
        qty_min: Qty::ZERO,
        qty_max: Qty::ZERO,
        market_qty_max: Qty::ZERO,
        notional_min: Notional::ZERO,
        notional_max: Notional::ZERO,
        orders_max: u16::MAX,
        algo_orders_max: u16::MAX,
        oco_allowed: found.oco_allowed,
        stop_market_allowed: found.order_types.iter().any(|kind| kind == "STOP_LOSS"),
        fee_maker: Ratio::ZERO,
        fee_taker: Ratio::ZERO,
    };
    for filter in &found.filters {
        take_filter(&mut rules, filter)?;
    }
    if rules.tick <= Price::ZERO || rules.lot <= Qty::ZERO || rules.notional_min <= Notional::ZERO {
        return Err(missing(INFO, format!("PRICE_FILTER, LOT_SIZE or NOTIONAL of {symbol}")));
    }
    let status = match found.status.as_str() {
        "TRADING" => SymbolStatus::Trading,
        "CANCEL_ONLY" => SymbolStatus::CancelOnly,
        _ => SymbolStatus::Closed,
    };
    Ok(SymbolInfo { instrument: rules, status, limits: limits(&info.rate_limits) })
}

fn limits(bodies: &[RateLimitBody]) -> Vec<RateLimit> {
    let read = |body: &RateLimitBody| {
        let kind = LimitKind::of_word(body.rate_limit_type.as_bytes())?;
        let interval_ns = interval_ns(body.interval.as_bytes(), body.interval_num)?;
        Some(RateLimit { kind, interval_ns, limit: body.limit })
    };
    bodies.iter().filter_map(read).collect()
}

fn take_filter(rules: &mut Instrument, filter: &Filter) -> Result<(), RestError> {
    match filter {
        Filter::Price { min_price, max_price, tick_size } => {
            rules.price_min = Price(exact("minPrice", min_price, 8)?);
            rules.price_max = Price(largest("maxPrice", max_price, 8)?);
            rules.tick = Price(exact("tickSize", tick_size, 8)?);
        }
        Filter::LotSize { min_qty, max_qty, step_size } => {
            rules.qty_min = Qty(exact("minQty", min_qty, 9)?);
            rules.qty_max = Qty(largest("maxQty", max_qty, 9)?);
            rules.lot = Qty(exact("stepSize", step_size, 9)?);
        }
        Filter::MarketLotSize { max_qty } => rules.market_qty_max = Qty(largest("maxQty", max_qty, 9)?),
        Filter::Notional { min_notional, max_notional } => {
            rules.notional_min = Notional(exact("minNotional", min_notional, 8)?);
            rules.notional_max = Notional(largest("maxNotional", max_notional, 8)?);
        }
        Filter::MinNotional { min_notional } => rules.notional_min = Notional(exact("minNotional", min_notional, 8)?),
        Filter::MaxNumOrders { max_num_orders } => rules.orders_max = *max_num_orders,
        Filter::MaxNumAlgoOrders { max_num_algo_orders } => rules.algo_orders_max = *max_num_algo_orders,
        Filter::Other => {}
    }
    Ok(())
}
