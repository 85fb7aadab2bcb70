//! What an account may ask, and the answers, rich enough to render ACK, RESULT and FULL.
//!
//! Thread: any.  Invariants: plain data; what the JSON did not carry is `None`, never a default.

use super::order::{Amount, Fill, Order, OrderList, OrderType, StpMode};
use super::reject::Reject;
use crate::types::instrument::Symbol;
use crate::types::order::{Side, TimeInForce};
use crate::types::time::Time;
use crate::types::units::{Notional, Price, Qty, Ratio};

/// `order.place`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRequest {
    /// Symbol.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// Type.
    pub kind: OrderType,
    /// `timeInForce`.
    pub tif: Option<TimeInForce>,
    /// `price`.
    pub price: Option<Price>,
    /// `quantity`.
    pub qty: Option<Qty>,
    /// `quoteOrderQty`.
    pub quote_qty: Option<Notional>,
    /// `stopPrice`.
    pub stop_price: Option<Price>,
    /// `newClientOrderId`; the venue makes one up if absent.
    pub client_id: Option<String>,
    /// `selfTradePreventionMode`; the symbol's default if absent.
    pub stp: Option<StpMode>,
}

impl OrderRequest {
    /// A GTC limit order.
    pub fn limit(symbol: Symbol, side: Side, price: Price, qty: Qty) -> OrderRequest {
        let market = OrderRequest::market(symbol, side, qty);
        OrderRequest { kind: OrderType::Limit, tif: Some(TimeInForce::Gtc), price: Some(price), ..market }
    }
    /// A market order by base quantity.
    pub fn market(symbol: Symbol, side: Side, qty: Qty) -> OrderRequest {
        OrderRequest {
            symbol,
            side,
            kind: OrderType::Market,
            tif: None,
            price: None,
            qty: Some(qty),
            quote_qty: None,
            stop_price: None,
            client_id: None,
            stp: None,
        }
    }
}

/// One leg of an OCO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegRequest {
    /// `aboveType`, `belowType`.
    pub kind: OrderType,
    /// `…Price`.
    pub price: Option<Price>,
    /// `…StopPrice`.
    pub stop_price: Option<Price>,
    /// `…TimeInForce`.
    pub tif: Option<TimeInForce>,
    /// `…ClientOrderId`.
    pub client_id: Option<String>,
}

/// `orderList.place.oco`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcoRequest {
    /// Symbol.
    pub symbol: Symbol,
    /// Which way both legs go.
    pub side: Side,
    /// Size of either leg.
    pub qty: Qty,
    /// `listClientOrderId`.
    pub list_client_id: Option<String>,
    /// The leg with the higher price.
    pub above: LegRequest,
    /// The leg with the lower price.
    pub below: LegRequest,
    /// `selfTradePreventionMode`.
    pub stp: Option<StpMode>,
}

/// Names an order: by the venue's number, else by client id; with both, they must agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderRef {
    /// `orderId`.
    pub id: Option<i64>,
    /// `origClientOrderId`.
    pub client_id: Option<String>,
}

impl OrderRef {
    /// By the venue's number.
    pub fn id(id: i64) -> OrderRef {
        OrderRef { id: Some(id), client_id: None }
    }
    /// By client id.
    pub fn client(client_id: &str) -> OrderRef {
        OrderRef { id: None, client_id: Some(client_id.to_owned()) }
    }
}

/// `cancelRestrictions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelOnly {
    /// Only if nothing has filled.
    New,
    /// Only if something has.
    PartiallyFilled,
}

/// `order.cancel`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelRequest {
    /// Symbol.
    pub symbol: Symbol,
    /// Which order.
    pub target: OrderRef,
    /// `newClientOrderId`: the id of the cancel, which the order takes over.
    pub new_client_id: Option<String>,
    /// `cancelRestrictions`.
    pub only: Option<CancelOnly>,
}

/// `orderList.cancel`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelListRequest {
    /// Symbol.
    pub symbol: Symbol,
    /// Which list: `orderListId`, `listClientOrderId`.
    pub target: OrderRef,
}

/// `cancelReplaceMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplaceMode {
    /// No new order if the cancel failed.
    StopOnFailure,
    /// The new order in any case.
    AllowFailure,
}

/// `orderRateLimitExceededMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverLimit {
    /// Refuse the whole request.
    DoNothing,
    /// Cancel, then refuse the new order.
    CancelOnly,
}

/// `order.cancelReplace`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplaceRequest {
    /// What goes.
    pub cancel: CancelRequest,
    /// What comes.
    pub new: OrderRequest,
    /// What a failed cancel means.
    pub mode: ReplaceMode,
    /// What a used-up order count means.
    pub over_limit: OverLimit,
}

/// An accepted order as it stood when its taking phase ended, and the fills of that phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The order.
    pub order: Order,
    /// Its fills as taker.
    pub fills: Vec<Fill>,
}

/// A placed, queried or cancelled list with its orders (of a cancel: those the cancel ended).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListReport {
    /// The list.
    pub list: OrderList,
    /// Its orders, the stop leg first.
    pub orders: Vec<Order>,
}

/// What a cancel ended. A leg takes its whole list along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Canceled {
    /// One order; `client_id` is the cancel's, `orig_client_id` its own.
    Order(Box<Order>),
    /// A list.
    List(Box<ListReport>),
}

/// Both halves of a cancel-replace that passed the checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// `cancelResult`.
    pub cancel: Result<Canceled, Reject>,
    /// `newOrderResult`; `None` = `NOT_ATTEMPTED`.
    pub new: Option<Result<Placed, Reject>>,
}

impl Replaced {
    /// Error code of the whole: 0, -2021 (half failed) or -2022 (nothing was done).
    pub fn code(&self) -> i32 {
        match (&self.cancel, &self.new) {
            (Ok(_), Some(Ok(_))) => 0,
            (Ok(_), _) | (Err(_), Some(Ok(_))) => -2021,
            (Err(_), Some(Err(_)) | None) => -2022,
        }
    }
    /// HTTP and WebSocket status of the whole.
    pub fn status(&self) -> u16 {
        match self.code() {
            0 => 200,
            -2021 => 409,
            _ => 400,
        }
    }
    /// Text that goes with the code; empty for 0.
    pub fn message(&self) -> &'static str {
        match self.code() {
            0 => "",
            -2021 => "Order cancel-replace partially failed.",
            _ => "Order cancel-replace failed.",
        }
    }
}

/// Which of an account's trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TradesQuery {
    /// The newest.
    Newest,
    /// Of one order, from a trade id on.
    OfOrder {
        /// Order.
        order_id: i64,
        /// First trade id wanted.
        from_id: i64,
    },
    /// From a trade id on, oldest first.
    FromId(i64),
    /// Between two instants, both included, oldest first.
    Between(Time, Time),
}

/// Free and locked part of one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssetBalance {
    /// Asset.
    pub asset: Symbol,
    /// Free to use.
    pub free: Amount,
    /// Held by open orders.
    pub locked: Amount,
}

/// `account.status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// Fee when resting.
    pub fee_maker: Ratio,
    /// Fee when taking.
    pub fee_taker: Ratio,
    /// Last change of a balance.
    pub updated: Time,
    /// Every asset of the venue, zero ones too.
    pub balances: Vec<AssetBalance>,
    /// `uid`.
    pub uid: i64,
}

/// One window of the unfilled-order count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderCount {
    /// `SECOND` or `DAY`.
    pub interval: &'static str,
    /// How many of them.
    pub interval_num: u32,
    /// Allowed.
    pub limit: u32,
    /// Used.
    pub count: u32,
}
