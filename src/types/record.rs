//! Facts for the ledger and the log: orders, fills, round trips, equity, pauses, and what the engine says of them.
//!
//! Thread: any.  Invariants: a record is written down, never acted upon; it is complete in itself, so a reader needs
//! no other table to understand it.

use super::decision::{Decision, Refused};
use super::ids::{ClientOrderId, VenueOrderId};
use super::order::{FeeAsset, Liquidity, OrderKind, Purpose, Reason, Side, TimeInForce};
use super::reconcile::{Difference, ReconcileCount};
use super::time::Time;
use super::units::{Bps, Notional, Price, Qty};

/// One fact of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// An order as it stands now; each change of state gives one.
    Order(OrderRow),
    /// A fill, booked once.
    Fill(FillRow),
    /// A round trip that ended.
    Trade(TradeRow),
    /// What we are worth.
    Equity(EquityRow),
    /// A verdict of the signal; every change gives one.
    Decision(Decision),
    /// An order that a rule refused.
    Refused(Refused),
    /// A resting exit that was moved, or deliberately not.
    Repost(Repost),
    /// An exit of the whole position began.
    Exit {
        /// Why.
        reason: ExitReason,
        /// Mid price then.
        mid: Price,
        /// Position to sell.
        qty: Qty,
    },
    /// Entries were paused or freed.
    Pause {
        /// By what.
        reason: PauseReason,
        /// True = paused.
        on: bool,
    },
    /// Losing round trips in a row; durable.
    Losses(u32),
    /// How long coins were without a stop, once they have one (or are gone).
    Naked {
        /// For how long.
        ns: i64,
        /// How many.
        qty: Qty,
    },
    /// New parameters took force.
    Reloaded,
    /// One thing that a reconcile found different from what we held.
    Difference(Difference),
    /// A reconcile ended: how much it found.
    Reconciled(ReconcileCount),
}

/// Where an order is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderStatus {
    /// Sent, no word yet.
    Pending,
    /// Live.
    Working,
    /// Live, partly filled.
    Partly,
    /// Done whole.
    Filled,
    /// Ended by a cancel.
    Canceled,
    /// Ended by its time in force, its partner or the venue.
    Expired,
    /// Never accepted.
    Rejected,
    /// Not known; being asked about.
    Unknown,
}

impl OrderStatus {
    /// Name in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            OrderStatus::Pending => "PENDING",
            OrderStatus::Working => "WORKING",
            OrderStatus::Partly => "PARTLY_FILLED",
            OrderStatus::Filled => "FILLED",
            OrderStatus::Canceled => "CANCELED",
            OrderStatus::Expired => "EXPIRED",
            OrderStatus::Rejected => "REJECTED",
            OrderStatus::Unknown => "UNKNOWN",
        }
    }
    /// Whether nothing more can come of it, save a late fill.
    pub fn is_done(self) -> bool {
        matches!(self, OrderStatus::Filled | OrderStatus::Canceled | OrderStatus::Expired | OrderStatus::Rejected)
    }
}

/// A row of table `orders`; `sent_ns` and `tick_to_trade_ns` come from the gateway's note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderRow {
    /// Our name.
    pub id: ClientOrderId,
    /// The venue's number; 0 = not known.
    pub venue_order_id: VenueOrderId,
    /// The venue's list number; 0 = none.
    pub list_id: i64,
    /// Number of the round trip, from 1.
    pub trade_no: u32,
    /// Which way.
    pub side: Side,
    /// How.
    pub kind: OrderKind,
    /// How long.
    pub tif: TimeInForce,
    /// What for.
    pub purpose: Purpose,
    /// Entry tranche, 0 = not an entry.
    pub tranche: u8,
    /// Where it stands.
    pub status: OrderStatus,
    /// Why it ended so.
    pub reason: Reason,
    /// Venue's error code, 0 = none.
    pub code: i32,
    /// Limit price.
    pub price: Price,
    /// Trigger price; 0 = none.
    pub stop_price: Price,
    /// Size.
    pub qty: Qty,
    /// Filled so far.
    pub cum_qty: Qty,
    /// Average price of that; 0 = nothing filled.
    pub avg_px: Price,
    /// When the engine made it.
    pub created: Time,
    /// When the venue first spoke of it; NONE = not yet.
    pub acked: Time,
    /// When it ended; NONE = not yet.
    pub done: Time,
}

/// A row of table `fills`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillRow {
    /// Our order.
    pub id: ClientOrderId,
    /// The venue's trade number.
    pub trade_id: i64,
    /// Which way.
    pub side: Side,
    /// Maker or taker.
    pub liquidity: Liquidity,
    /// Asset of the fee.
    pub fee_asset: FeeAsset,
    /// Price.
    pub price: Price,
    /// Size.
    pub qty: Qty,
    /// Fee in units of its asset.
    pub fee: i64,
    /// Venue's time.
    pub venue_time: Time,
    /// Ours.
    pub recv: Time,
}

/// Why a round trip ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitReason {
    /// Targets filled.
    TakeProfit,
    /// The venue's stop leg filled.
    StopLeg,
    /// The engine's own watch of the stop price.
    GlobalStop,
    /// The signal said EXIT.
    Signal,
    /// Held too long.
    MaxHold,
    /// The operator said flatten.
    Flatten,
    /// The kill switch.
    Kill,
    /// Clean stop with `on_stop = "flatten"`.
    Shutdown,
    /// The position could not be protected in time.
    Unprotected,
    /// Somebody else took the coins.
    Gone,
}

impl ExitReason {
    /// Name in ledger and log.
    pub fn name(self) -> &'static str {
        match self {
            ExitReason::TakeProfit => "TAKE_PROFIT",
            ExitReason::StopLeg => "STOP",
            ExitReason::GlobalStop => "GLOBAL_STOP",
            ExitReason::Signal => "SIGNAL",
            ExitReason::MaxHold => "MAX_HOLD",
            ExitReason::Flatten => "FLATTEN",
            ExitReason::Kill => "KILL",
            ExitReason::Shutdown => "SHUTDOWN",
            ExitReason::Unprotected => "UNPROTECTED",
            ExitReason::Gone => "GONE",
        }
    }
}

/// A row of table `trades`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradeRow {
    /// Number of the round trip, from 1, over all runs.
    pub trade_no: u32,
    /// First fill.
    pub opened: Time,
    /// Last fill.
    pub closed: Time,
    /// Bought in all, before fees.
    pub qty: Qty,
    /// Average price paid.
    pub entry_px: Price,
    /// Average price got.
    pub exit_px: Price,
    /// Fees of both ways in quote units (base fees at their fill's price).
    pub fees: Notional,
    /// Profit after fees.
    pub pnl: Notional,
    /// Mean slippage of the entries against arrival mid.
    pub slippage: Bps,
    /// Why it ended.
    pub reason: ExitReason,
}

/// A row of table `equity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EquityRow {
    /// Quote currency, free and locked.
    pub cash: Notional,
    /// Proven position.
    pub position: Qty,
    /// Mid price.
    pub mid: Price,
    /// Cash plus position at mid.
    pub equity: Notional,
    /// Profit of ended parts, after fees.
    pub realized: Notional,
    /// Profit of what is held, at mid.
    pub unrealized: Notional,
    /// Below the high-water mark, >= 0.
    pub drawdown: Notional,
}

/// A resting exit and the slot that looked at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repost {
    /// Solana slot that triggered it.
    pub slot: u64,
    /// Order looked at.
    pub id: ClientOrderId,
    /// Price it rests at.
    pub old_price: Price,
    /// Price it should have.
    pub new_price: Price,
    /// True = left in place to keep its queue position.
    pub kept: bool,
}

/// Why entries are paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PauseReason {
    /// The operator said so.
    Operator,
    /// Too many losing round trips in a row; until resumed.
    ConsecutiveLosses,
    /// Daily loss limit; until the next UTC day.
    DailyLoss,
    /// Slippage kill switch; until resumed.
    Slippage,
    /// Order states contradict the venue, or it refused our key.
    Venue,
    /// The journal cannot keep up: a replay would have holes.
    Journal,
    /// The position could not be protected or closed.
    Exit,
}

impl PauseReason {
    /// All of them.
    pub const ALL: [PauseReason; 7] = [
        PauseReason::Operator,
        PauseReason::ConsecutiveLosses,
        PauseReason::DailyLoss,
        PauseReason::Slippage,
        PauseReason::Venue,
        PauseReason::Journal,
        PauseReason::Exit,
    ];
    /// Name in metrics, logs and the ledger's `state`.
    pub fn name(self) -> &'static str {
        match self {
            PauseReason::Operator => "operator",
            PauseReason::ConsecutiveLosses => "consecutive_losses",
            PauseReason::DailyLoss => "daily_loss",
            PauseReason::Slippage => "slippage",
            PauseReason::Venue => "venue",
            PauseReason::Journal => "journal",
            PauseReason::Exit => "exit",
        }
    }
}
