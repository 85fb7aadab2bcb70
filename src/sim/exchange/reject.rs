//! Why the venue refuses: code, text and status as Binance Spot words them.
//!
//! Thread: any.  Invariants: one variant, one code, one text; nothing here says "unknown outcome": a refusal is certain.

use super::order::names;

names! {
    /// Filters of a symbol; the name is the text after `Filter failure: `.
    Filter {
        /// Price or stop price off the grid or out of bounds.
        Price = "PRICE_FILTER",
        /// Price too far from the reference.
        PercentPriceBySide = "PERCENT_PRICE_BY_SIDE",
        /// Size off the grid or out of bounds.
        LotSize = "LOT_SIZE",
        /// The same for market orders.
        MarketLotSize = "MARKET_LOT_SIZE",
        /// Price x size out of bounds.
        Notional = "NOTIONAL",
        /// Position would grow too large.
        MaxPosition = "MAX_POSITION",
        /// Too many open orders.
        MaxNumOrders = "MAX_NUM_ORDERS",
        /// Too many open stops.
        MaxNumAlgoOrders = "MAX_NUM_ALGO_ORDERS",
        /// Too many open lists.
        MaxNumOrderLists = "MAX_NUM_ORDER_LISTS",
    }
}

/// A certain refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// Client id outside the pattern.
    #[error("Illegal characters found in parameter '{0}'; legal range is '^[a-zA-Z0-9-_]{{1,36}}$'.")]
    IllegalClientId(&'static str),
    /// A parameter this type needs.
    #[error("Mandatory parameter '{0}' was not sent, was empty/null, or malformed.")]
    Missing(&'static str),
    /// A parameter this type must not have.
    #[error("Parameter '{0}' sent when not required.")]
    Unwanted(&'static str),
    /// More decimals than the asset has.
    #[error("Parameter '{0}' has too much precision.")]
    Precision(&'static str),
    /// No such interval.
    #[error("Invalid interval.")]
    BadInterval,
    /// No such symbol.
    #[error("Invalid symbol.")]
    BadSymbol,
    /// A filter of the symbol.
    #[error("Filter failure: {}", .0.name())]
    Filter(Filter),
    /// Nothing to trade.
    #[error("Price * QTY is zero or less.")]
    Zero,
    /// Symbol takes no orders now.
    #[error("Market is closed.")]
    MarketClosed,
    /// Symbol takes no cancels now.
    #[error("Market is closed.")]
    CancelClosed,
    /// Unfilled-order count used up.
    #[error("Too many new orders; current limit is {limit} orders per {interval}.")]
    TooManyOrders {
        /// Allowed.
        limit: u32,
        /// `10 SECOND` or `1 DAY`.
        interval: &'static str,
    },
    /// Not enough free balance.
    #[error("Account has insufficient balance for requested action.")]
    Balance,
    /// A live order or list has this id.
    #[error("Duplicate order sent.")]
    Duplicate,
    /// A post-only order would take.
    #[error("Order would immediately match and take.")]
    WouldTake,
    /// The stop price is already passed.
    #[error("Order would trigger immediately.")]
    WouldTrigger,
    /// The last price is not between the legs.
    #[error("The relationship of the prices for the orders is not correct.")]
    OcoPrices,
    /// Nothing on the other side for an order by quote quantity.
    #[error("Order book liquidity is less than `LOT_SIZE` filter minimum quantity.")]
    NoLiquidity,
    /// Leg type that no OCO may have.
    #[error("Order type not supported in OCO.")]
    OcoLegType,
    /// Neither leg waits for a trigger.
    #[error("At least one OCO order must be contingent.")]
    OcoBothLimit,
    /// Limit leg of a BUY above.
    #[error("A limit order in a buy OCO must be below.")]
    OcoBuyLimitBelow,
    /// Limit leg of a SELL below.
    #[error("A limit order in a sell OCO must be above.")]
    OcoSellLimitAbove,
    /// Stop leg of a BUY below.
    #[error("A stop loss order in a buy OCO must be above.")]
    OcoBuyStopAbove,
    /// Stop leg of a SELL above.
    #[error("A stop loss order in a sell OCO must be below.")]
    OcoSellStopBelow,
    /// Take-profit leg of a BUY above.
    #[error("A take profit order in a buy OCO must be below.")]
    OcoBuyProfitBelow,
    /// Take-profit leg of a SELL below.
    #[error("A take profit order in a sell OCO must be above.")]
    OcoSellProfitAbove,
    /// Nothing live to cancel under that name.
    #[error("Unknown order sent.")]
    UnknownOrder,
    /// `cancelRestrictions` not met.
    #[error("Order was not canceled due to cancel restrictions.")]
    CancelRestricted,
    /// Query: no such order.
    #[error("Order does not exist.")]
    NoSuchOrder,
    /// Query: no such list.
    #[error("Order list does not exist.")]
    NoSuchList,
    /// `orderId` and client id name different orders.
    #[error("The client order ID is not correct for this order ID.")]
    IdMismatch,
    /// `startTime` to `endTime` spans more than a day.
    #[error("More than 24 hours between startTime and endTime.")]
    TimeSpan,
}

impl Reject {
    /// The venue's error code.
    pub fn code(self) -> i32 {
        use Reject as R;
        match self {
            R::IllegalClientId(_) => -1100,
            R::Missing(_) => -1102,
            R::Unwanted(_) => -1106,
            R::Precision(_) => -1111,
            R::BadInterval => -1120,
            R::BadSymbol => -1121,
            R::TimeSpan => -1127,
            R::Filter(_) | R::Zero | R::MarketClosed => -1013,
            R::TooManyOrders { .. } => -1015,
            R::Balance | R::Duplicate | R::WouldTake | R::WouldTrigger | R::OcoPrices | R::NoLiquidity => -2010,
            R::OcoLegType => -1158,
            R::OcoBuyLimitBelow => -1165,
            R::OcoSellLimitAbove => -1166,
            R::OcoBothLimit => -1168,
            R::OcoBuyStopAbove => -1196,
            R::OcoSellStopBelow => -1197,
            R::OcoBuyProfitBelow => -1198,
            R::OcoSellProfitAbove => -1199,
            R::UnknownOrder | R::CancelRestricted | R::CancelClosed => -2011,
            R::NoSuchOrder | R::NoSuchList => -2013,
            R::IdMismatch => -2039,
        }
    }
    /// HTTP and WebSocket status.
    pub fn status(self) -> u16 {
        match self {
            Reject::TooManyOrders { .. } => 429,
            _ => 400,
        }
    }
    /// `r` of an `executionReport` with `x = REJECTED`.
    pub fn report_reason(self) -> &'static str {
        match self {
            Reject::Balance => "INSUFFICIENT_BALANCES",
            Reject::WouldTrigger => "STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY",
            Reject::WouldTake => "WOULD_MATCH_IMMEDIATELY",
            Reject::OcoPrices => "OCO_BAD_PRICES",
            _ => "NONE",
        }
    }
}
