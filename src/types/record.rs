//! Facts for the ledger and the log: what the engine decided, did and counted, and what the wire saw.
//!
//! Thread: any.  Invariants: a record is written down, never acted upon; it is complete in itself, so a reader needs
//! no other table to understand it.

use super::chain::ChainEvent;
use super::event::{SourceReason, SourceState, StreamState, VolumeDefinition};
use super::ids::{ClientOrderId, StreamId, VenueOrderId};
use super::order::{FeeAsset, Liquidity, OrderKind, Purpose, Reason, Side, TimeInForce};
use super::reconcile::{Difference, ReconcileCount};
use super::time::Time;
use super::units::{Bps, Notional, Price, Qty, Ratio};

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

/// ENTER, EXIT or NO-OP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// All rules hold.
    Enter,
    /// Get out.
    Exit,
    /// Neither.
    NoOp,
}

/// The rules of a decision, one bit each in [`Decision::passed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Rule {
    /// The trigger source is OK and no other source says the contrary.
    VolumeSource,
    /// Volume dropped by more than `drop_min`.
    VolumeDrop,
    /// So did volume in SOL, by more than `drop_sol_min`; holds if that is zero.
    VolumeSol,
    /// Enough OK sources of other streams fell too.
    VolumeConfirmed,
    /// RSI is known and fresh.
    RsiKnown,
    /// RSI below `rsi_max`.
    Rsi,
    /// Top of book is fresh.
    BookFresh,
    /// Mid at or above the band's low end.
    SupportLow,
    /// Mid at or below the band's high end.
    SupportHigh,
    /// This definition has not acted on this UTC day yet.
    OncePerDay,
    /// No position, no entry under way.
    Flat,
}

impl Rule {
    /// All, in bit order.
    pub const ALL: [Rule; 11] = [
        Rule::VolumeSource,
        Rule::VolumeDrop,
        Rule::VolumeSol,
        Rule::VolumeConfirmed,
        Rule::RsiKnown,
        Rule::Rsi,
        Rule::BookFresh,
        Rule::SupportLow,
        Rule::SupportHigh,
        Rule::OncePerDay,
        Rule::Flat,
    ];
    /// Name in logs and in `signals.rules`.
    pub fn name(self) -> &'static str {
        match self {
            Rule::VolumeSource => "volume_source",
            Rule::VolumeDrop => "volume_drop",
            Rule::VolumeSol => "volume_sol",
            Rule::VolumeConfirmed => "volume_confirmed",
            Rule::RsiKnown => "rsi_known",
            Rule::Rsi => "rsi",
            Rule::BookFresh => "book_fresh",
            Rule::SupportLow => "support_low",
            Rule::SupportHigh => "support_high",
            Rule::OncePerDay => "once_per_day",
            Rule::Flat => "flat",
        }
    }
    /// Bit of this rule.
    pub fn bit(self) -> u16 {
        1 << (self as u8)
    }
}

/// The volume sources, in the order of [`Decision::looks`].
pub const VOLUME_STREAMS: [StreamId; 4] =
    [StreamId::PumpChain, StreamId::DefiLlama, StreamId::PumpFun, StreamId::CoinGecko];

/// One volume source as a decision saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLook {
    /// How far it was believed, its age and every gate included.
    pub state: SourceState,
    /// Why.
    pub reason: SourceReason,
    /// Its drop, rounded down; zero where there is none.
    pub drop: Bps,
    /// Age of its newest sample, ms; `u32::MAX` = never read.
    pub age_ms: u32,
}

impl Default for SourceLook {
    fn default() -> SourceLook {
        SourceLook { state: SourceState::Missing, reason: SourceReason::Unread, drop: Bps(0), age_ms: u32::MAX }
    }
}

/// Where the volume of a decision comes from: the trigger's newest sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeOrigin {
    /// What was compared with what.
    pub definition: VolumeDefinition,
    /// Volume of the newer window, USD.
    pub now: Notional,
    /// Volume of the older window, USD.
    pub prev: Notional,
    /// When the provider says that it was true; NONE = not known.
    pub as_of: Time,
    /// End of the newer window; NONE = not known.
    pub bucket_end: Time,
    /// When the engine got it; NONE = never.
    pub recv: Time,
}

/// A verdict with the value and the threshold of every rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What it says.
    pub verdict: Verdict,
    /// Bits of the rules that hold.
    pub passed: u16,
    /// State of the trigger source.
    pub source_state: SourceState,
    /// Trigger source.
    pub source: StreamId,
    /// Volume drop now.
    pub drop: Ratio,
    /// Threshold of it.
    pub drop_min: Ratio,
    /// Volume drop now in SOL; zero where it is not known.
    pub drop_sol: Ratio,
    /// Threshold of it; zero = off.
    pub drop_sol_min: Ratio,
    /// OK sources of other streams that fell too.
    pub confirmed: u8,
    /// How many there must be.
    pub confirmed_min: u8,
    /// Other sources that say the contrary.
    pub contradicted: u8,
    /// The trigger's sample.
    pub origin: VolumeOrigin,
    /// Every volume source, in the order of [`VOLUME_STREAMS`].
    pub looks: [SourceLook; VOLUME_STREAMS.len()],
    /// RSI now.
    pub rsi: Ratio,
    /// Threshold of it.
    pub rsi_max: Ratio,
    /// Mid now.
    pub mid: Price,
    /// Low end of the band.
    pub support_low: Price,
    /// High end of the band.
    pub support_high: Price,
}

/// Which risk rule said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RiskRule {
    /// Loss at the stop would be above `max_trade_risk`.
    TradeRisk,
    /// Position value would be above `max_exposure_pct`.
    Exposure,
    /// Mid at or below the stop.
    GlobalStop,
    /// Entries are paused.
    Paused,
    /// `news_lock` is set.
    NewsLock,
    /// Daily loss limit.
    DailyLoss,
    /// A stream the entry stands on is stale, gapped or down.
    StaleFeed,
    /// The venue's clock is too far away or not known.
    ClockOffset,
    /// Limit price too far from the market.
    PriceCollar,
    /// Order-rate budget.
    RateBudget,
    /// Mean slippage too high.
    Slippage,
    /// Below the venue's minimum.
    TooSmall,
    /// Free balance does not suffice.
    Balance,
    /// No slot for its protective orders.
    AlgoSlots,
    /// An order of this trade is in an unknown state.
    UnknownOrder,
    /// Stopping.
    Stopping,
    /// A check could not be computed: that means no.
    Arithmetic,
    /// The signal no longer says ENTER.
    SignalGone,
    /// A Solana exchange trades too far away from the venue.
    DexDivergence,
}

impl RiskRule {
    /// Name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            RiskRule::TradeRisk => "trade_risk",
            RiskRule::Exposure => "exposure",
            RiskRule::GlobalStop => "global_stop",
            RiskRule::Paused => "paused",
            RiskRule::NewsLock => "news_lock",
            RiskRule::DailyLoss => "daily_loss",
            RiskRule::StaleFeed => "stale_feed",
            RiskRule::ClockOffset => "clock_offset",
            RiskRule::PriceCollar => "price_collar",
            RiskRule::RateBudget => "rate_budget",
            RiskRule::Slippage => "slippage",
            RiskRule::TooSmall => "too_small",
            RiskRule::Balance => "balance",
            RiskRule::AlgoSlots => "algo_slots",
            RiskRule::UnknownOrder => "unknown_order",
            RiskRule::Stopping => "stopping",
            RiskRule::Arithmetic => "arithmetic",
            RiskRule::SignalGone => "signal_gone",
            RiskRule::DexDivergence => "dex_divergence",
        }
    }
}

/// A refusal: data, never a silent drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The rule.
    pub rule: RiskRule,
    /// Entry tranche it concerned; 0 = another order.
    pub tranche: u8,
    /// What was measured, in the rule's own unit.
    pub value: i64,
    /// What is allowed, in the same unit.
    pub limit: i64,
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

/// How far the gateway has come with a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KillStep {
    /// Not looked at yet.
    Pending,
    /// The cancel of everything is written to the venue's socket.
    Written,
    /// No order connection: the cancel is the first request once one opens.
    AwaitsConnection,
    /// The venue has banned our address: a byte more would lengthen the ban, so the cancel goes out at its end.
    AwaitsBanEnd,
}

impl KillStep {
    /// Name in logs and answers.
    pub fn name(self) -> &'static str {
        match self {
            KillStep::Pending => "pending",
            KillStep::Written => "written",
            KillStep::AwaitsConnection => "awaits_connection",
            KillStep::AwaitsBanEnd => "awaits_ban_end",
        }
    }
}

/// What the venue's word to wait stops, the milder first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hold {
    /// Nothing.
    None,
    /// New orders: their count is used up.
    Orders,
    /// All but cancels (429).
    AllButCancels,
    /// Every byte (418): whoever speaks during a ban lengthens it.
    Everything,
}

/// What a connection went through; from `ingest` and `gateway` to the cold side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireNote {
    /// A stream changed its health.
    Stream {
        /// Which.
        stream: StreamId,
        /// To what.
        state: StreamState,
        /// When.
        at: Time,
    },
    /// A connection was made anew.
    Reconnected {
        /// Which.
        stream: StreamId,
    },
    /// A frame could not be decoded.
    BadFrame {
        /// Of which stream.
        stream: StreamId,
        /// Byte offset of the fault.
        at_byte: u32,
    },
    /// The chain's counter met something; at most once a second each.
    Chain {
        /// What.
        what: ChainEvent,
        /// How many more.
        more: u32,
    },
    /// An order's bytes were handed to the kernel.
    Sent {
        /// Which order (the list's name for an OCO, the target's for a cancel).
        id: ClientOrderId,
        /// What was asked.
        verb: Verb,
        /// When the write returned.
        sent: Time,
        /// Last byte of the triggering frame read.
        trigger: Time,
        /// Duration of the parts, ns: decode, ring, step, encode, write.
        stages_ns: [u32; 5],
    },
    /// The venue answered a request.
    Answered {
        /// Which order.
        id: ClientOrderId,
        /// What had been asked.
        verb: Verb,
        /// Send to answer, ns.
        took_ns: i64,
        /// Venue's error code, 0 = accepted.
        code: i32,
    },
    /// The gateway did not let a command out; the engine was told by a report.
    Refused {
        /// Which order (the list's name for an OCO, the target's for a cancel).
        id: ClientOrderId,
        /// What was asked.
        verb: Verb,
        /// Why not.
        reason: Reason,
        /// When.
        at: Time,
    },
    /// The venue told us to wait.
    Held {
        /// What it stops.
        hold: Hold,
        /// Until when, on our clock.
        until: Time,
        /// When it said so.
        at: Time,
    },
    /// The kill switch was pulled, and this is what the gateway did about it.
    Killed {
        /// How far it came.
        step: KillStep,
        /// When it was pulled.
        pulled: Time,
        /// When the gateway had done that.
        at: Time,
    },
}

/// How much of the engine's history never reached the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Events that the engine consumed.
    pub events: u64,
    /// Commands and notes.
    pub notes: u64,
}

impl Lost {
    /// Nothing.
    pub const NONE: Lost = Lost { events: 0, notes: 0 };

    /// This and `more`; saturates.
    pub fn plus(self, more: Lost) -> Lost {
        Lost { events: self.events.saturating_add(more.events), notes: self.notes.saturating_add(more.notes) }
    }
}

/// What a request asked of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Verb {
    /// Place one order.
    Place,
    /// Place an OCO.
    PlaceOco,
    /// Cancel one.
    Cancel,
    /// Cancel a list.
    CancelList,
    /// Cancel and place.
    CancelReplace,
    /// Cancel all of the symbol.
    CancelAll,
    /// Ask.
    Query,
}

impl Verb {
    /// Name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Place => "place",
            Verb::PlaceOco => "place_oco",
            Verb::Cancel => "cancel",
            Verb::CancelList => "cancel_list",
            Verb::CancelReplace => "cancel_replace",
            Verb::CancelAll => "cancel_all",
            Verb::Query => "query",
        }
    }
}
