//! All the engine can learn. What is not an [`Event`], it cannot know.
//!
//! Thread: any.  Invariants: `Copy`, two cache lines at most; `seq` and `at` are set by the hot agent as it consumes,
//! rise with every event and make the journal.

use super::ids::StreamId;
use super::order::{ExecutionReport, Side};
use super::params::ParamKey;
use super::reconcile::{Reconciled, RestingOrder};
use super::time::Time;
use super::units::{Notional, Price, Qty};

/// One thing that happened, in the order the hot agent saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Position in the engine's history, from 1, without a hole. Zero until the hot agent numbers it.
    pub seq: u64,
    /// When the last byte of the cause was read.
    pub recv: Time,
    /// When the engine saw it; never falls.
    pub at: Time,
    /// The venue's own time, on the venue's clock; [`Time::NONE`] if it did not say.
    pub venue_time: Time,
    /// Where it came from.
    pub stream: StreamId,
    /// What it is.
    pub kind: EventKind,
}
const _: () = assert!(size_of::<Event>() <= 128);

/// The kinds of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Top of book changed.
    Bbo(Bbo),
    /// Size near the mid changed.
    Depth(Depth),
    /// A public trade.
    Trade(Trade),
    /// A candle closed.
    Candle(Candle),
    /// A Solana slot was reported.
    Slot(Slot),
    /// A volume source was read.
    Volume(VolumeSample),
    /// What a Solana exchange, or all of them together, would trade at.
    Dex(DexBook),
    /// News of one of our orders.
    Execution(ExecutionReport),
    /// Balances as the venue says them; absolute.
    Balance(Balance),
    /// A stream came up, fell silent, lost data or went down.
    Stream(StreamState),
    /// The operator's word.
    Control(Control),
    /// A deadline of ours has come.
    Timer(TimerId),
    /// The venue's clock against ours.
    Clock(ClockOffset),
    /// An order of ours that rests at the venue and that this run did not send.
    Resting(RestingOrder),
    /// The venue was asked about everything, and all its answers were told.
    Reconciled(Reconciled),
}

/// Best bid and offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bbo {
    /// Best price to sell at.
    pub bid: Price,
    /// Size there.
    pub bid_qty: Qty,
    /// Best price to buy at.
    pub ask: Price,
    /// Size there.
    pub ask_qty: Qty,
    /// The venue's book update number.
    pub update_id: u64,
}

impl Bbo {
    /// Middle of bid and ask, rounded down to 1e-8.
    pub fn mid(&self) -> Price {
        Price::mid(self.bid, self.ask)
    }
}

/// Size within a distance of the mid, each side: 10, 25 and 50 basis points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Bids within 10, 25, 50 bps.
    pub bid: [Qty; 3],
    /// Asks within 10, 25, 50 bps.
    pub ask: [Qty; 3],
    /// The venue's book update number.
    pub update_id: u64,
}

/// One public trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Price.
    pub price: Price,
    /// Size.
    pub qty: Qty,
    /// Who crossed the spread.
    pub aggressor: Side,
    /// The venue's trade number.
    pub trade_id: i64,
}

/// A closed candle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candle {
    /// Start, on the venue's clock.
    pub open_time: Time,
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Base volume.
    pub volume: Qty,
    /// Length in seconds.
    pub interval_s: u32,
}

/// A Solana slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its number.
    pub slot: u64,
    /// The one it builds on.
    pub parent: u64,
    /// The newest rooted one.
    pub root: u64,
}

/// Top and size of a Solana exchange's book, or of a ladder of quotes over all of them; the book itself lives beside its
/// decoder. How fresh it is, its slot says, not the time it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DexBook {
    /// Slot that it is of.
    pub slot: u64,
    /// Best price to sell at; zero if nobody buys.
    pub bid: Price,
    /// Size there.
    pub bid_qty: Qty,
    /// Best price to buy at; zero if nobody sells.
    pub ask: Price,
    /// Size there.
    pub ask_qty: Qty,
    /// Size of all bids within 50 bps of the mid.
    pub bid_depth: Qty,
    /// Size of all asks within 50 bps of the mid.
    pub ask_depth: Qty,
}

/// Definition of "day over day" that a sample follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VolumeDefinition {
    /// Trailing 24 h against the 24 h before.
    Rolling24,
    /// Last completed UTC day against the one before.
    UtcDay,
    /// A provider's rolling number against the same provider's number 24 h ago.
    Sampled24,
}

/// How far a volume source can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceState {
    /// Fresh, complete, plausible.
    Ok,
    /// Too old.
    Stale,
    /// Contradicts itself or is out of any plausible range.
    Suspect,
    /// The provider repeated the day before.
    Filled,
    /// No value, or zero.
    Missing,
    /// Does not answer.
    Down,
}

/// Why a volume source is in the state that it is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SourceReason {
    /// Nothing is wrong.
    #[default]
    None,
    /// It was never read.
    Unread,
    /// It does not cover both windows yet.
    WarmingUp,
    /// The newest day is not settled yet: too soon after 00:00 UTC.
    Settling,
    /// What it tells of is too long ago.
    TooOld,
    /// The provider repeated the value before, or sent old data again.
    Repeated,
    /// Zero, null or absent.
    NoValue,
    /// Too much of a window was not heard: gaps.
    Gappy,
    /// The older window is below the floor, so a ratio says nothing.
    BelowFloor,
    /// No market moves that far in a day, or a negative volume.
    Implausible,
    /// Its numbers contradict each other.
    Contradiction,
    /// The answer is not what it should be.
    Unreadable,
    /// The server refused.
    Refused,
    /// No answer.
    NoAnswer,
    /// One window is mostly ours, the other mostly filled in by somebody whose count was not found to be like ours.
    TwoHands,
}

impl SourceReason {
    /// Name in logs, ledger and status.
    pub fn name(self) -> &'static str {
        match self {
            SourceReason::None => "none",
            SourceReason::Unread => "unread",
            SourceReason::WarmingUp => "warming_up",
            SourceReason::Settling => "settling",
            SourceReason::TooOld => "too_old",
            SourceReason::Repeated => "repeated",
            SourceReason::NoValue => "no_value",
            SourceReason::Gappy => "gappy",
            SourceReason::BelowFloor => "below_floor",
            SourceReason::Implausible => "implausible",
            SourceReason::Contradiction => "contradiction",
            SourceReason::Unreadable => "unreadable",
            SourceReason::Refused => "refused",
            SourceReason::NoAnswer => "no_answer",
            SourceReason::TwoHands => "two_hands",
        }
    }
}

/// One reading of one volume source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeSample {
    /// What is compared with what.
    pub definition: VolumeDefinition,
    /// How far to believe it.
    pub state: SourceState,
    /// Why.
    pub reason: SourceReason,
    /// Volume of the newer window, USD.
    pub now: Notional,
    /// Volume of the older window, USD.
    pub prev: Notional,
    /// Volume of the newer window at the SOL prices of its time; zero = not known.
    pub now_sol: Qty,
    /// Volume of the older window at the SOL prices of its time; zero = not known.
    pub prev_sol: Qty,
    /// End of the newer window.
    pub bucket_end: Time,
    /// When the provider says that it was true, else when it was read; NONE = never.
    pub as_of: Time,
}

impl VolumeSample {
    /// Of a source that nobody has read yet.
    pub const UNREAD: VolumeSample = VolumeSample {
        definition: VolumeDefinition::Rolling24,
        state: SourceState::Missing,
        reason: SourceReason::Unread,
        now: Notional::ZERO,
        prev: Notional::ZERO,
        now_sol: Qty::ZERO,
        prev_sol: Qty::ZERO,
        bucket_end: Time::NONE,
        as_of: Time::NONE,
    };
}

/// Balances of one asset, absolute: overwrite, never add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// The base currency.
    Base {
        /// Free to use.
        free: Qty,
        /// Held by open orders.
        locked: Qty,
    },
    /// The quote currency.
    Quote {
        /// Free to use.
        free: Notional,
        /// Held by open orders.
        locked: Notional,
    },
}

/// Health of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamState {
    /// Connected and delivering.
    Up,
    /// Connected but silent for longer than allowed.
    Stale,
    /// Data was lost; what follows starts anew.
    Gap,
    /// Not connected.
    Down,
}

impl StreamState {
    /// Name in logs.
    pub fn name(self) -> &'static str {
        match self {
            StreamState::Up => "up",
            StreamState::Stale => "stale",
            StreamState::Gap => "gap",
            StreamState::Down => "down",
        }
    }
}

/// The operator's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// No new entries until resumed.
    Pause,
    /// Entries again; forgets the loss counter's pause.
    Resume,
    /// Cancel all and sell the position, then pause.
    Flatten,
    /// Cancel all at once, one way.
    Kill,
    /// Clean stop (SIGTERM): no new entries, then `on_stop`.
    Stop,
    /// The house itself cannot go on safely (a full journal, a full disk): no new entries until resumed.
    Halt(super::record::PauseReason),
    /// One staged value of a reload.
    Set(ParamKey, i64),
    /// All staged values take force together, here.
    Commit,
}

/// Deadlines of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimerId {
    /// The next entry tranche is due.
    Tranche,
    /// Ask about an order that did not answer.
    Query,
    /// Coins may be without a stop.
    Naked,
    /// Once a second: equity, ages, day change.
    Tick,
    /// Next round of an exit.
    Exit,
}

impl TimerId {
    /// All of them, in order.
    pub const ALL: [TimerId; 5] = [TimerId::Tranche, TimerId::Query, TimerId::Naked, TimerId::Tick, TimerId::Exit];
}

/// The venue's clock against ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    /// Venue minus ours, ns, at the middle of the best round trip.
    pub offset_ns: i64,
    /// That round trip, ns: the offset is known to half of it.
    pub round_trip_ns: i64,
}
