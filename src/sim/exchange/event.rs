//! What the exchange tells unasked: to an account, in order; and to everybody.
//!
//! Thread: any.  Invariants: each event is a snapshot of its moment; nothing in it changes later.

use super::candles::{Interval, Kline};
use super::order::{Fill, Order, OrderList, SymbolStatus, names};
use super::request::AssetBalance;
use crate::types::event::Bbo;
use crate::types::instrument::Symbol;
use crate::types::order::Side;
use crate::types::time::Time;
use crate::types::units::{Notional, Price, Qty};

names! {
    /// `x` of an `executionReport`.
    ExecType {
        /// Accepted, or a stop that starts to work.
        New = "NEW",
        /// A fill.
        Trade = "TRADE",
        /// Ended by a cancel.
        Canceled = "CANCELED",
        /// New half of a cancel-replace refused after the cancel went through.
        Rejected = "REJECTED",
        /// Ended by a rule.
        Expired = "EXPIRED",
        /// Touched by self-trade prevention.
        TradePrevention = "TRADE_PREVENTION",
    }
}

/// A match that self-trade prevention stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prevented {
    /// `v`.
    pub match_id: i64,
    /// `U`: the order on the other side.
    pub counter_order_id: i64,
    /// `pl`: size that would have traded.
    pub qty: Qty,
    /// `pL`: price it would have traded at.
    pub price: Price,
    /// `pY`: value it would have had.
    pub quote: Notional,
    /// `B`: size taken away from this order.
    pub removed: Qty,
}

/// `executionReport`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// `E`, `T`.
    pub at: Time,
    /// `I`, rising over the whole venue.
    pub id: i64,
    /// `x`.
    pub kind: ExecType,
    /// `r`.
    pub reject_reason: &'static str,
    /// The order after it; `c` is its `client_id`, `C` its `orig_client_id`.
    pub order: Order,
    /// `l`, `L`, `Y`, `n`, `N`, `t`, `m` of a trade.
    pub fill: Option<Fill>,
    /// Self-trade prevention.
    pub prevented: Option<Prevented>,
}

/// What an account is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountEvent {
    /// News of one order.
    Execution(Box<Execution>),
    /// `outboundAccountPosition`: the assets that changed, absolute.
    Position {
        /// `E`, `u`.
        at: Time,
        /// `B`.
        balances: Vec<AssetBalance>,
    },
    /// `listStatus`.
    List {
        /// `E`, `T`.
        at: Time,
        /// The list.
        list: OrderList,
    },
    /// `balanceUpdate`: a deposit or withdrawal.
    BalanceUpdate {
        /// `E`, `T`.
        at: Time,
        /// `a`.
        asset: Symbol,
        /// `d`, signed, in 1e-8 of the asset.
        delta_e8: i64,
    },
}

/// One public trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicTrade {
    /// Symbol.
    pub symbol: Symbol,
    /// Consecutive per symbol.
    pub id: i64,
    /// Price.
    pub price: Price,
    /// Size.
    pub qty: Qty,
    /// Who crossed the spread; `m` is true for [`Side::Sell`].
    pub aggressor: Side,
    /// When.
    pub at: Time,
}

/// What everybody is told. Depth is not here: take it every 100 ms with `Exchange::take_depth_diff`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketEvent {
    /// A trade.
    Trade(PublicTrade),
    /// Top of book changed; a missing side has price and size zero.
    Bbo {
        /// Symbol.
        symbol: Symbol,
        /// The new top.
        bbo: Bbo,
        /// When.
        at: Time,
    },
    /// A candle closed (`x = true`).
    CandleClosed {
        /// Symbol.
        symbol: Symbol,
        /// Its length.
        interval: Interval,
        /// The candle.
        kline: Kline,
    },
    /// The symbol's status was switched.
    Status {
        /// Symbol.
        symbol: Symbol,
        /// New status.
        status: SymbolStatus,
    },
}
