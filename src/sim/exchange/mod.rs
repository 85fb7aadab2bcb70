//! A spot exchange in a box that behaves like Binance Spot where money is concerned.
//!
//! Thread: any.  Invariants: no clock, socket or random source: time comes in with each call and never falls.

mod candles;
mod event;
mod order;
mod reject;
mod request;
mod spec;

pub use candles::{CANDLES_KEPT_MAX, Interval, Kline};
pub use event::{AccountEvent, ExecType, Execution, MarketEvent, Prevented, PublicTrade};
pub use order::{
    AccountId, AccountTrade, Amount, ExpiryReason, Fill, HOUSE, ListLeg, ListPhase, NO_LIST, Order, OrderList,
    OrderStatus, OrderType, QTY_PER_AMOUNT, StpMode, SymbolStatus, side_name, tif_name,
};
pub use reject::{Filter, Reject};
pub use request::{
    AccountView, AssetBalance, CancelListRequest, CancelOnly, CancelRequest, Canceled, LegRequest, ListReport,
    OcoRequest, OrderCount, OrderRef, OrderRequest, OverLimit, Placed, ReplaceMode, ReplaceRequest, Replaced,
    TradesQuery,
};
pub use spec::{ExchangeSettings, PercentPrice, PriceRange, SpecError, SymbolSpec};
