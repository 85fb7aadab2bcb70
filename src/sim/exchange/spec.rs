//! A symbol's rules and the venue's settings, with the filters as exact integer checks.
//!
//! Thread: any.  Invariants: `tick x lot` is a whole number of 1e-8 quote units, so the value of every order that
//! passes the filters is exact: nothing is ever rounded but fees.

use super::order::{OrderType, QTY_PER_AMOUNT};
use super::reject::{Filter, Reject};
use crate::types::instrument::Symbol;
use crate::types::order::Side;
use crate::types::time::Time;
use crate::types::units::{Notional, Price, QTY_SCALE, Qty, RATIO_SCALE, Ratio, notional_floor};

/// `PERCENT_PRICE_BY_SIDE`: bounds as multiples of the reference price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PercentPrice {
    /// `bidMultiplierUp`.
    pub bid_up: Ratio,
    /// `bidMultiplierDown`.
    pub bid_down: Ratio,
    /// `askMultiplierUp`.
    pub ask_up: Ratio,
    /// `askMultiplierDown`.
    pub ask_down: Ratio,
}

/// `PRICE_RANGE` execution rule: how far from the reference price a taker may trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceRange {
    /// Largest multiple of the reference price.
    pub up: Ratio,
    /// Smallest multiple of the reference price.
    pub down: Ratio,
}

/// One symbol: names, filters, what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolSpec {
    /// `SOLUSDT`.
    pub symbol: Symbol,
    /// `SOL`.
    pub base: Symbol,
    /// `USDT`.
    pub quote: Symbol,
    /// `PRICE_FILTER.tickSize`; positive.
    pub tick: Price,
    /// `PRICE_FILTER.minPrice`; zero = off.
    pub price_min: Price,
    /// `PRICE_FILTER.maxPrice`; zero = off.
    pub price_max: Price,
    /// `LOT_SIZE.stepSize`; positive.
    pub lot: Qty,
    /// `LOT_SIZE.minQty`.
    pub qty_min: Qty,
    /// `LOT_SIZE.maxQty`.
    pub qty_max: Qty,
    /// `MARKET_LOT_SIZE.maxQty`; its `minQty` and `stepSize` are zero (off).
    pub market_qty_max: Qty,
    /// `NOTIONAL.minNotional`; applies to market orders too.
    pub notional_min: Notional,
    /// `NOTIONAL.maxNotional`; does not apply to market orders.
    pub notional_max: Notional,
    /// `PERCENT_PRICE_BY_SIDE`.
    pub percent: PercentPrice,
    /// `avgPriceMins` of the reference price; zero = last price.
    pub avg_price_mins: u32,
    /// `MAX_NUM_ORDERS`.
    pub orders_max: usize,
    /// `MAX_NUM_ALGO_ORDERS`.
    pub algo_orders_max: usize,
    /// `MAX_NUM_ORDER_LISTS`.
    pub lists_max: usize,
    /// `MAX_POSITION`; `None` = off.
    pub position_max: Option<Qty>,
    /// Price range execution rule; `None` = off.
    pub price_range: Option<PriceRange>,
    /// Last price before the first trade.
    pub start_price: Price,
}

/// Why a [`SymbolSpec`] cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A step is not positive, or finer than the venue's eight decimals.
    #[error("{symbol}: tick and lot must be positive, lot a multiple of 1e-8")]
    Step {
        /// The symbol at fault.
        symbol: Symbol,
    },
    /// Values would need rounding.
    #[error("{symbol}: tick x lot must be a multiple of 1e-8, so that every value is exact")]
    Inexact {
        /// The symbol at fault.
        symbol: Symbol,
    },
    /// Start price not positive or off the grid.
    #[error("{symbol}: start price must be positive and a multiple of the tick")]
    StartPrice {
        /// The symbol at fault.
        symbol: Symbol,
    },
}

fn known(text: &str) -> Symbol {
    Symbol::new(text).expect("a constant of this file is a valid symbol")
}

const DOLLAR: i64 = 100_000_000;

impl SymbolSpec {
    /// SOLUSDT with the usual filters.
    pub fn solusdt() -> SymbolSpec {
        let times = |n: i64| Ratio(n * RATIO_SCALE);
        SymbolSpec {
            symbol: known("SOLUSDT"),
            base: known("SOL"),
            quote: known("USDT"),
            tick: Price(DOLLAR / 100),
            price_min: Price(DOLLAR / 100),
            price_max: Price(10_000 * DOLLAR),
            lot: Qty(QTY_SCALE / 1_000),
            qty_min: Qty(QTY_SCALE / 1_000),
            qty_max: Qty(90_000 * QTY_SCALE),
            market_qty_max: Qty(9_000 * QTY_SCALE),
            notional_min: Notional(5 * DOLLAR),
            notional_max: Notional(9_000_000 * DOLLAR),
            percent: PercentPrice {
                bid_up: times(5),
                bid_down: Ratio(RATIO_SCALE / 5),
                ask_up: times(5),
                ask_down: Ratio(RATIO_SCALE / 5),
            },
            avg_price_mins: 5,
            orders_max: 200,
            algo_orders_max: 5,
            lists_max: 20,
            position_max: None,
            price_range: None,
            start_price: Price(161 * DOLLAR),
        }
    }
    /// BTCUSDT, for tests and clients that want a second symbol.
    pub fn btcusdt() -> SymbolSpec {
        SymbolSpec {
            symbol: known("BTCUSDT"),
            base: known("BTC"),
            price_max: Price(1_000_000 * DOLLAR),
            lot: Qty(QTY_SCALE / 100_000),
            qty_min: Qty(QTY_SCALE / 100_000),
            qty_max: Qty(9_000 * QTY_SCALE),
            market_qty_max: Qty(100 * QTY_SCALE),
            start_price: Price(60_000 * DOLLAR),
            ..SymbolSpec::solusdt()
        }
    }

    /// Whether the exchange can keep its promises with these rules. Errors: [`SpecError`].
    pub fn check(&self) -> Result<(), SpecError> {
        let symbol = self.symbol;
        if self.tick.0 <= 0 || self.lot.0 <= 0 || self.lot.0 % QTY_PER_AMOUNT != 0 {
            return Err(SpecError::Step { symbol });
        }
        if i128::from(self.tick.0) * i128::from(self.lot.0) % i128::from(QTY_SCALE) != 0 {
            return Err(SpecError::Inexact { symbol });
        }
        if self.start_price.0 <= 0 || self.start_price.0 % self.tick.0 != 0 {
            return Err(SpecError::StartPrice { symbol });
        }
        Ok(())
    }

    pub(super) fn check_price(&self, price: Price) -> Result<(), Reject> {
        let low = self.price_min.0 != 0 && price < self.price_min;
        let high = self.price_max.0 != 0 && price > self.price_max;
        if low || high || price.0 <= 0 || price.0 % self.tick.0 != 0 {
            return Err(Reject::Filter(Filter::Price));
        }
        Ok(())
    }

    pub(super) fn check_percent(&self, side: Side, price: Price, reference: Price) -> Result<(), Reject> {
        let (down, up) = match side {
            Side::Buy => (self.percent.bid_down, self.percent.bid_up),
            Side::Sell => (self.percent.ask_down, self.percent.ask_up),
        };
        let low = reference.times_ceil(down).is_none_or(|bound| price < bound);
        let high = reference.times_floor(up).is_some_and(|bound| price > bound);
        if low || high { Err(Reject::Filter(Filter::PercentPriceBySide)) } else { Ok(()) }
    }

    pub(super) fn check_qty(&self, kind: OrderType, qty: Qty) -> Result<(), Reject> {
        if qty.0 % QTY_PER_AMOUNT != 0 {
            return Err(Reject::Precision("quantity"));
        }
        if qty < self.qty_min || qty > self.qty_max || qty.0 % self.lot.0 != 0 || qty.0 <= 0 {
            return Err(Reject::Filter(Filter::LotSize));
        }
        if kind == OrderType::Market && self.market_qty_max.0 != 0 && qty > self.market_qty_max {
            return Err(Reject::Filter(Filter::MarketLotSize));
        }
        Ok(())
    }

    pub(super) fn check_notional(&self, kind: OrderType, price: Price, qty: Qty) -> Result<(), Reject> {
        let value = notional_floor(price, qty).ok_or(Reject::Filter(Filter::Notional))?;
        let low = value < self.notional_min;
        let high = !kind.is_market() && self.notional_max.0 != 0 && value > self.notional_max;
        if low || high { Err(Reject::Filter(Filter::Notional)) } else { Ok(()) }
    }
}

/// Settings of the whole venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeSettings {
    /// Symbols; the first one is the default of `Market`.
    pub symbols: Vec<SymbolSpec>,
    /// Fee when resting.
    pub fee_maker: Ratio,
    /// Fee when taking.
    pub fee_taker: Ratio,
    /// Unfilled orders allowed in ten seconds.
    pub orders_per_10s: u32,
    /// Unfilled orders allowed in a UTC day.
    pub orders_per_day: u32,
    /// When the venue opens.
    pub start: Time,
    /// Added to the first order, list and trade number: a venue that opens again never gives a number twice.
    pub ids_from: i64,
}

impl ExchangeSettings {
    /// SOLUSDT alone, 0.1 % fees, the usual limits.
    pub fn solusdt(start: Time) -> ExchangeSettings {
        ExchangeSettings {
            symbols: vec![SymbolSpec::solusdt()],
            fee_maker: Ratio(RATIO_SCALE / 1_000),
            fee_taker: Ratio(RATIO_SCALE / 1_000),
            orders_per_10s: 50,
            orders_per_day: 160_000,
            start,
            ids_from: 0,
        }
    }
}
