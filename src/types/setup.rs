//! What an engine starts from: with the events after it, the whole of what it knows; the first entry of a run's journal.
//!
//! Thread: any.  Invariants: plain data; an engine made from the same setup and fed the same events gives the same
//! commands.

use super::decision::VOLUME_STREAMS;
use super::event::VolumeDefinition;
use super::ids::StreamId;
use super::instrument::Instrument;
use super::order::Purpose;
use super::params::Params;
use super::reconcile::RestingOrder;
use super::record::PauseReason;
use super::time::Time;
use super::units::{Notional, Qty};

/// Orders of earlier runs taken over at most: a run leaves two pairs of exits, an entry and a close.
pub const RESTING_MAX: usize = 16;

/// All an engine starts from: the venue's truth, the ledger's memory, the trader's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The venue's rules of the symbol.
    pub instrument: Instrument,
    /// The trader's numbers, validated.
    pub params: Params,
    /// Which volume definition triggers; others confirm.
    pub definition: VolumeDefinition,
    /// Candles in the RSI.
    pub rsi_period: u32,
    /// Length of a candle, seconds.
    pub candle_s: u32,
    /// Number of this run, durable before it starts: the head of every order id.
    pub epoch: u32,
    /// Number that the next round trip gets, from 1, over all runs.
    pub next_trade_no: u32,
    /// Losing round trips in a row, as the ledger remembers.
    pub consecutive_losses: u32,
    /// Pauses in force, as the ledger remembers; the daily limit's only if it is of this UTC day.
    pub paused: PauseSet,
    /// Quote currency at the venue, free and locked.
    pub cash: Notional,
    /// Base currency at the venue, free and locked; what the engine did not buy it never sells.
    pub base: Qty,
    /// A position that an earlier run bought.
    pub position: Option<OpenPosition>,
    /// Newest venue trade number already inside `cash` and `position`; fills up to it are not booked again. 0 = none.
    pub trades_known_to: i64,
    /// Orders of earlier runs that rest at the venue: adopted where they protect as they should, cancelled where not.
    pub resting: [Option<RestingOrder>; RESTING_MAX],
    /// First equity of this UTC day if an earlier run saw it; `None` = this run's first.
    pub day_equity: Option<Notional>,
    /// When an earlier run last began an entry: one signal a day holds across restarts.
    pub last_entry: Option<Time>,
    /// Of each volume source, as [`VOLUME_STREAMS`] lists them: the window's end, where its last good word to an earlier
    /// run was that volume rose; NONE = it was not.
    pub risen: [Time; VOLUME_STREAMS.len()],
    /// Further streams that entries stand on, by the place of each in [`StreamId::ALL`]: the age from which it refuses
    /// them, ns; 0 = entries do not stand on it.
    pub needed_ns: [i64; StreamId::ALL.len()],
    /// Now, on our clock.
    pub now: Time,
}

/// A position bought by earlier runs and proven by their fills: an unfinished round trip, or only the dust of ended ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenPosition {
    /// Number of its round trip.
    pub trade_no: u32,
    /// Held now, after fees taken in coins.
    pub qty: Qty,
    /// What the coins held now cost, quote fees included.
    pub cost: Notional,
    /// Bought in all, before fees; positive in a round trip, or there is no average entry to set targets from.
    pub bought: Qty,
    /// Value of that, before fees.
    pub bought_value: Notional,
    /// Sold so far.
    pub sold: Qty,
    /// Value of that, before fees.
    pub sold_value: Notional,
    /// Of that, by exit slot 1: its first target or its stop.
    pub slot1_sold: Qty,
    /// Fees so far, in quote units.
    pub fees: Notional,
    /// Profit realised so far, after fees.
    pub realized: Notional,
    /// First fill of the round trip; NONE = no round trip is under way, the coins are dust.
    pub opened: Time,
    /// Newest fill.
    pub last: Time,
    /// Which kind of exit filled last; `None` = none did.
    pub last_exit: Option<Purpose>,
}

/// A set of [`PauseReason`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PauseSet(u16);

impl PauseSet {
    /// No pause.
    pub const NONE: PauseSet = PauseSet(0);

    /// This set and `reason`.
    pub fn with(self, reason: PauseReason) -> PauseSet {
        PauseSet(self.0 | 1 << reason as u8)
    }
    /// This set without `reason`.
    pub fn without(self, reason: PauseReason) -> PauseSet {
        PauseSet(self.0 & !(1 << reason as u8))
    }
    /// Whether `reason` is in the set.
    pub fn has(self, reason: PauseReason) -> bool {
        self.0 & 1 << reason as u8 != 0
    }
    /// Whether nothing is paused.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// One bit a reason, the first declared lowest.
    pub fn bits(self) -> u16 {
        self.0
    }
    /// From bits; `None` if one of them is no reason's.
    pub fn of_bits(bits: u16) -> Option<PauseSet> {
        let all: PauseSet = PauseReason::ALL.into_iter().collect();
        (bits & !all.0 == 0).then_some(PauseSet(bits))
    }
    /// The reasons, in the order of their declaration.
    pub fn iter(self) -> impl Iterator<Item = PauseReason> {
        PauseReason::ALL.into_iter().filter(move |reason| self.has(*reason))
    }
}

impl FromIterator<PauseReason> for PauseSet {
    fn from_iter<I: IntoIterator<Item = PauseReason>>(reasons: I) -> PauseSet {
        reasons.into_iter().fold(PauseSet::NONE, PauseSet::with)
    }
}
