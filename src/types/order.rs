//! Orders and what a venue says of them, in FIX's words.
//!
//! Thread: any.  Invariants: an [`ExecutionReport`] repeats what the venue said; `ExecKind::Unknown` is ours and means
//! that the venue was asked and did not answer.

use super::ids::{ClientOrderId, VenueOrderId};
use super::units::{Price, Qty};

/// Which way an order goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Quote out, base in.
    Buy,
    /// Base out, quote in.
    Sell,
}

/// How an order finds its price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderKind {
    /// Limit, may take.
    Limit,
    /// Limit that must rest (post-only).
    LimitMaker,
    /// At any price.
    Market,
    /// Becomes a market order when the last trade touches its stop price.
    StopLoss,
    /// Becomes a limit order when the last trade touches its stop price.
    StopLossLimit,
}

/// How long an order stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeInForce {
    /// Until cancelled.
    Gtc,
    /// What fills at once; the rest expires.
    Ioc,
    /// All at once or nothing.
    Fok,
}

/// What an order is for; a column of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Opens or adds to the position.
    Entry,
    /// First take-profit.
    Tp1,
    /// Second take-profit.
    Tp2,
    /// Protective stop.
    Stop,
    /// Hedge leg on another venue.
    Hedge,
    /// Gets out at the market.
    Flatten,
}

impl Purpose {
    /// Name in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Purpose::Entry => "ENTRY",
            Purpose::Tp1 => "TP1",
            Purpose::Tp2 => "TP2",
            Purpose::Stop => "STOP",
            Purpose::Hedge => "HEDGE",
            Purpose::Flatten => "FLATTEN",
        }
    }
}

/// Did we wait for the trade or cause it?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Liquidity {
    /// Our order rested.
    Maker,
    /// Our order took.
    Taker,
}

/// The asset a fee was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FeeAsset {
    /// The base currency (SOL): what a buy pays by default. `fee` is in [`Qty`] units.
    Base,
    /// The quote currency (USDT): what a sell pays. `fee` is in `Notional` units.
    Quote,
    /// Another one (BNB): `fee` is in 1e-8 of it; booked, not converted.
    Other,
    /// No fee in this report.
    None,
}

/// What happened to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExecKind {
    /// Accepted: rests, or (a stop) waits for its trigger.
    New,
    /// A fill of `last_qty` at `last_px`. `leaves_qty` zero ends the order.
    Fill,
    /// Ended by a cancel.
    Canceled,
    /// Ended by its time in force, its list partner or the venue; see `reason`.
    Expired,
    /// Never accepted.
    Rejected,
    /// A cancel was refused: the order is not live under that name. The order's own state is not told by this.
    CancelRejected,
    /// The outcome is not known: a timeout, a lost socket, a 5xx. Ask, never resend.
    Unknown,
    /// The venue, asked, knows no such order. Proof only after the query procedure's deadline.
    NotFound,
    /// The venue, asked, says: live with `cum_qty` done.
    Status,
}

/// Why an order ended or was refused, as far as our reaction differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// None given.
    None,
    /// IOC or FOK remainder.
    TimeInForce,
    /// The partner of the list started to work.
    OcoTrigger,
    /// A pending leg was refused, the venue ran out of book, cut by its price rule, or cancelled by itself: unprotected.
    Unprotected,
    /// The price moved through an OCO or stop price: nothing was placed.
    PriceMoved,
    /// A post-only order would have taken.
    WouldTake,
    /// Not enough free balance.
    Balance,
    /// A filter of the symbol; the fault is ours.
    Filter,
    /// Too many orders or requests: back off.
    RateLimit,
    /// Our clock or window: not executed.
    Clock,
    /// An order of this id lives already.
    Duplicate,
    /// Key, permission or account: halt.
    Halt,
    /// Anything else; `code` tells.
    Other,
    /// Our last gate: the engine is stopping, nothing may be bought any more.
    Stopping,
    /// Our last gate: larger than one order may be.
    TooLarge,
    /// Our last gate: too far from the market, or no market to measure it by.
    Collar,
    /// Our last gate could not read the order's own text: our fault, and nothing it could not read goes out.
    Unreadable,
}

/// One fact about one of our orders, in the venue's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutionReport {
    /// Our order.
    pub id: ClientOrderId,
    /// The venue's number; 0 = not told.
    pub venue_order_id: VenueOrderId,
    /// The venue's list number; 0 = none.
    pub list_id: i64,
    /// What happened.
    pub kind: ExecKind,
    /// Which way.
    pub side: Side,
    /// Maker or taker, of a fill.
    pub liquidity: Liquidity,
    /// Asset of `fee`.
    pub fee_asset: FeeAsset,
    /// Why.
    pub reason: Reason,
    /// Venue's error code, 0 = none.
    pub code: i32,
    /// Size of this fill.
    pub last_qty: Qty,
    /// Price of this fill.
    pub last_px: Price,
    /// Filled so far.
    pub cum_qty: Qty,
    /// Still open; 0 ends the order.
    pub leaves_qty: Qty,
    /// Fee of this fill, in units of `fee_asset`.
    pub fee: i64,
    /// Venue's trade number: the key of a fill; 0 = not a fill.
    pub trade_id: i64,
}
