//! Orders and order lists as the venue keeps them, and the venue's words for their parts.
//!
//! Thread: any.  Invariants: plain data; `cum_qty + leaves + prevented_qty = qty` while an order lives.

use crate::types::instrument::Symbol;
use crate::types::order::{Liquidity, Side, TimeInForce};
use crate::types::time::Time;
use crate::types::units::{Notional, Price, Qty};

/// Money or coins of any asset in 1e-8 of it: the venue's own precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub i64);

impl std::fmt::Display for Amount {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&Notional(self.0), out)
    }
}

/// 1e-9 base units (a [`Qty`]) in one [`Amount`] unit.
pub const QTY_PER_AMOUNT: i64 = 10;

/// Who owns an order; minted by `Exchange::open_account`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountId(pub u32);

/// The synthetic participants, together: no fees, no limits, unlimited credit.
pub const HOUSE: AccountId = AccountId(0);

/// `orderListId` of an order outside any list.
pub const NO_LIST: i64 = -1;

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }
        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];
            /// The venue's word for it.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
            /// From the venue's word; `None` for any other text.
            pub fn parse(text: &str) -> Option<$name> {
                match text { $($text => Some($name::$variant),)+ _ => None }
            }
        }
    };
}
pub(super) use names;

names! {
    /// `type` of an order.
    OrderType {
        /// Limit, may take.
        Limit = "LIMIT",
        /// Limit that must rest.
        LimitMaker = "LIMIT_MAKER",
        /// At any price, by base or by quote quantity.
        Market = "MARKET",
        /// Market once the last trade touches the stop price, against us.
        StopLoss = "STOP_LOSS",
        /// Limit once the last trade touches the stop price, against us.
        StopLossLimit = "STOP_LOSS_LIMIT",
        /// Market once the last trade touches the stop price, for us.
        TakeProfit = "TAKE_PROFIT",
        /// Limit once the last trade touches the stop price, for us.
        TakeProfitLimit = "TAKE_PROFIT_LIMIT",
    }
}

impl OrderType {
    /// Waits for its stop price: what `MAX_NUM_ALGO_ORDERS` counts.
    pub fn is_contingent(self) -> bool {
        matches!(
            self,
            OrderType::StopLoss | OrderType::StopLossLimit | OrderType::TakeProfit | OrderType::TakeProfitLimit
        )
    }
    /// Matches at any price once it works.
    pub fn is_market(self) -> bool {
        matches!(self, OrderType::Market | OrderType::StopLoss | OrderType::TakeProfit)
    }
    /// Triggers against the owner: the stop-loss kinds.
    pub fn is_stop_loss(self) -> bool {
        matches!(self, OrderType::StopLoss | OrderType::StopLossLimit)
    }
}

names! {
    /// `status` of an order.
    OrderStatus {
        /// Accepted, nothing filled; an untriggered stop too.
        New = "NEW",
        /// Some filled, the rest rests.
        PartiallyFilled = "PARTIALLY_FILLED",
        /// All filled.
        Filled = "FILLED",
        /// Ended by a cancel.
        Canceled = "CANCELED",
        /// Never accepted; seen only in the event of a cancel-replace.
        Rejected = "REJECTED",
        /// Ended by its time in force, its list partner or the venue.
        Expired = "EXPIRED",
        /// Ended by self-trade prevention.
        ExpiredInMatch = "EXPIRED_IN_MATCH",
    }
}

impl OrderStatus {
    /// Can still fill.
    pub fn is_live(self) -> bool {
        matches!(self, OrderStatus::New | OrderStatus::PartiallyFilled)
    }
}

names! {
    /// Why an order expired (`eR`, `expiryReason`).
    ExpiryReason {
        /// The list partner started to work.
        OcoTrigger = "OCO_TRIGGER",
        /// Rest of an IOC.
        UnfilledIoc = "UNFILLED_IOC_QUANTITY_EXPIRED",
        /// A FOK that could not fill at once.
        UnfilledFok = "UNFILLED_FOK_ORDER_EXPIRED",
        /// A contingent order refused when it should have been placed.
        Rejected = "REJECTED",
        /// A market order ran out of book.
        InsufficientLiquidity = "INSUFFICIENT_LIQUIDITY",
        /// The next trade would have left the allowed price range.
        PriceRangeExceeded = "EXECUTION_RULE_PRICE_RANGE_EXCEEDED",
        /// The venue cancelled it.
        ExchangeCanceled = "EXCHANGE_CANCELED",
    }
}

names! {
    /// Self-trade prevention; the taker's mode decides.
    StpMode {
        /// Trades with itself.
        None = "NONE",
        /// The resting order goes.
        ExpireMaker = "EXPIRE_MAKER",
        /// The incoming order goes.
        ExpireTaker = "EXPIRE_TAKER",
        /// Both go.
        ExpireBoth = "EXPIRE_BOTH",
    }
}

names! {
    /// `status` of a symbol.
    SymbolStatus {
        /// Everything works.
        Trading = "TRADING",
        /// No orders and no cancels.
        Halt = "HALT",
        /// Cancels only.
        CancelOnly = "CANCEL_ONLY",
        /// Closed.
        Break = "BREAK",
    }
}

/// The venue's word for a side.
pub fn side_name(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

/// The venue's word for a time in force.
pub fn tif_name(tif: TimeInForce) -> &'static str {
    match tif {
        TimeInForce::Gtc => "GTC",
        TimeInForce::Ioc => "IOC",
        TimeInForce::Fok => "FOK",
    }
}

/// The other side.
pub(super) fn opposite(side: Side) -> Side {
    match side {
        Side::Buy => Side::Sell,
        Side::Sell => Side::Buy,
    }
}

/// One order of an account, live or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The venue's number, rising.
    pub id: i64,
    /// Owner.
    pub account: AccountId,
    /// Symbol.
    pub symbol: Symbol,
    /// List it belongs to, or [`NO_LIST`].
    pub list_id: i64,
    /// Client order id; after a cancel the id of the cancel request (the venue renames).
    pub client_id: String,
    /// Its own id before a cancel renamed it; empty until then.
    pub orig_client_id: String,
    /// Which way.
    pub side: Side,
    /// Type.
    pub kind: OrderType,
    /// Time in force; `GTC` where the type has none.
    pub tif: TimeInForce,
    /// Limit price; zero for the market kinds.
    pub price: Price,
    /// Size.
    pub qty: Qty,
    /// `quoteOrderQty`; zero if not given.
    pub quote_qty: Notional,
    /// Trigger; zero if none.
    pub stop_price: Price,
    /// Filled so far.
    pub cum_qty: Qty,
    /// Quote value filled so far.
    pub cum_quote: Notional,
    /// Taken away by self-trade prevention.
    pub prevented_qty: Qty,
    /// Where it stands.
    pub status: OrderStatus,
    /// Why it expired, if it did.
    pub expiry: Option<ExpiryReason>,
    /// Self-trade prevention it asked for.
    pub stp: StpMode,
    /// When it was accepted.
    pub created: Time,
    /// When it last changed.
    pub updated: Time,
    /// Since when it works (can match); `None` for an untriggered stop.
    pub working: Option<Time>,
    pub(super) pair: usize,
    /// Money locked for it alone; zero while it shares its list's lock.
    pub(super) hold: Amount,
    /// In the book's queue.
    pub(super) resting: bool,
}

impl Order {
    /// An order of `account` with nothing in it yet: a GTC limit buy of zero at zero, working from `now`.
    pub(super) fn blank(account: AccountId, (pair, symbol): (usize, Symbol), now: Time) -> Order {
        Order {
            id: 0,
            account,
            symbol,
            list_id: NO_LIST,
            client_id: String::new(),
            orig_client_id: String::new(),
            side: Side::Buy,
            kind: OrderType::Limit,
            tif: TimeInForce::Gtc,
            price: Price::ZERO,
            qty: Qty::ZERO,
            quote_qty: Notional::ZERO,
            stop_price: Price::ZERO,
            cum_qty: Qty::ZERO,
            cum_quote: Notional::ZERO,
            prevented_qty: Qty::ZERO,
            status: OrderStatus::New,
            expiry: None,
            stp: StpMode::ExpireMaker,
            created: now,
            updated: now,
            working: Some(now),
            pair,
            hold: Amount::default(),
            resting: false,
        }
    }
    /// Size still open; zero for an ended order.
    pub fn leaves(&self) -> Qty {
        if self.status.is_live() { self.unfilled() } else { Qty::ZERO }
    }
    /// Whether it is on the book now (`w`, `isWorking`).
    pub fn is_working(&self) -> bool {
        self.working.is_some() && self.status.is_live()
    }
    pub(super) fn unfilled(&self) -> Qty {
        Qty(self.qty.0 - self.cum_qty.0 - self.prevented_qty.0)
    }
    /// Waits for its trigger.
    pub(super) fn is_waiting(&self) -> bool {
        self.kind.is_contingent() && self.working.is_none()
    }
    /// Triggers when the last trade is at or below the stop price (else at or above).
    pub(super) fn triggers_below(&self) -> bool {
        (self.side == Side::Sell) == self.kind.is_stop_loss()
    }
}

/// One fill of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Public trade number of the symbol: the key of a fill.
    pub trade_id: i64,
    /// Price.
    pub price: Price,
    /// Size.
    pub qty: Qty,
    /// Value.
    pub quote: Notional,
    /// Fee, in `fee_asset`: the asset received.
    pub fee: Amount,
    /// Asset of the fee.
    pub fee_asset: Symbol,
    /// Did it rest or take?
    pub liquidity: Liquidity,
    /// When.
    pub at: Time,
}

/// A row of `myTrades`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountTrade {
    /// Symbol.
    pub symbol: Symbol,
    /// Order that filled.
    pub order_id: i64,
    /// Its list or [`NO_LIST`].
    pub list_id: i64,
    /// Which way the order went.
    pub side: Side,
    /// The fill.
    pub fill: Fill,
}

names! {
    /// `listStatusType` of a list.
    ListPhase {
        /// Both legs were placed; at least one lives.
        ExecStarted = "EXEC_STARTED",
        /// Both legs are over.
        AllDone = "ALL_DONE",
    }
}

impl ListPhase {
    /// `listOrderStatus` that goes with it.
    pub fn order_status(self) -> &'static str {
        match self {
            ListPhase::ExecStarted => "EXECUTING",
            ListPhase::AllDone => "ALL_DONE",
        }
    }
}

/// An order of a list, as the list names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListLeg {
    /// The venue's number.
    pub order_id: i64,
    /// Client order id it was placed with.
    pub client_id: String,
}

/// An OCO list: two orders, one lock; the stop leg first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderList {
    /// The venue's number, rising.
    pub id: i64,
    /// Owner.
    pub account: AccountId,
    /// Symbol.
    pub symbol: Symbol,
    /// `listClientOrderId`.
    pub client_id: String,
    /// Its orders.
    pub legs: [ListLeg; 2],
    /// Where it stands.
    pub phase: ListPhase,
    /// When it last changed.
    pub updated: Time,
    /// Money locked for both legs together, while both live.
    pub(super) hold: Amount,
}
