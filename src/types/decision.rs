//! What the engine decided and why: every rule with its value, every source with its word, every refusal.
//!
//! Thread: any.  Invariants: a decision is complete in itself: value, threshold and outcome of each rule, so a reader
//! needs no other table to understand it.

use super::event::{SourceReason, SourceState, VolumeDefinition};
use super::ids::StreamId;
use super::time::Time;
use super::units::{Bps, Notional, Price, Ratio};

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
