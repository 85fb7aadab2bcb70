//! The engine, pure: (state, event) → commands.
//!
//! Thread: any; the hot agent owns it.  Invariants: the output is a function of the inputs alone: no clock, socket,
//! file, thread, lock, random source, log call, float or hash-map iteration, so replaying the events repeats the day.
#![deny(clippy::float_arithmetic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod book;
mod pauses;
pub mod signal;

pub use pauses::PauseSet;

use crate::types::command::CommandBuf;
use crate::types::event::{Event, VolumeDefinition};
use crate::types::instrument::Instrument;
use crate::types::params::Params;
use crate::types::record::EquityRow;
use crate::types::time::Time;
use crate::types::units::{Notional, Qty};

/// All an engine starts from: the venue's truth, the ledger's memory, the trader's numbers.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The venue's rules of the symbol.
    pub instrument: Instrument,
    /// The trader's numbers, validated.
    pub params: Params,
    /// Which volume definition triggers; others confirm.
    pub definition: VolumeDefinition,
    /// Candles in the RSI.
    pub rsi_period: u32,
    /// Number of this run, durable before it starts: the head of every order id.
    pub epoch: u32,
    /// Number that the next round trip gets, from 1, over all runs.
    pub next_trade_no: u32,
    /// Losing round trips in a row, as the ledger remembers.
    pub consecutive_losses: u32,
    /// Pauses in force, as the ledger remembers.
    pub paused: PauseSet,
    /// Quote currency at the venue, free and locked.
    pub cash: Notional,
    /// Base currency at the venue, free and locked; what the engine did not buy it never sells.
    pub base: Qty,
    /// A position that an earlier run bought; none of its orders may still be live.
    pub position: Option<OpenPosition>,
    /// Newest venue trade number already inside `cash` and `position`; fills up to it are not booked again. 0 = none.
    pub trades_known_to: i64,
    /// First equity of this UTC day if an earlier run saw it; `None` = this run's first.
    pub day_equity: Option<Notional>,
    /// Now, on our clock.
    pub now: Time,
}

/// A position bought by an earlier run and proven by its fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenPosition {
    /// Number of its round trip.
    pub trade_no: u32,
    /// Held now, after fees taken in coins.
    pub qty: Qty,
    /// What the coins held now cost, quote fees included.
    pub cost: Notional,
    /// Bought in all, before fees.
    pub bought: Qty,
    /// Value of that, before fees.
    pub bought_value: Notional,
    /// Sold so far by the first target.
    pub tp1_sold: Qty,
    /// First fill.
    pub opened: Time,
}

/// What the operator sees; all of it derived, nothing here is acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Money, as of the newest top of book; `None` before the first one while a position is held.
    pub equity: Option<EquityRow>,
    /// Coins held that the engine bought, proven by fills.
    pub position: Qty,
    /// Coins above dust without a live stop, since then; NONE = all protected.
    pub naked_since: Time,
    /// Why entries are paused.
    pub pauses: PauseSet,
    /// Losing round trips in a row.
    pub consecutive_losses: u32,
    /// Orders that may still execute, unknown ones included.
    pub orders_open: u32,
    /// Orders whose state is being asked.
    pub orders_unknown: u32,
    /// Entry tranches tried of the running entry; 0 = none runs.
    pub tranche: u8,
    /// Whether an exit of the whole position is under way.
    pub closing: bool,
    /// Whether the engine stops: no entries any more.
    pub stopping: bool,
}

/// The engine.
#[derive(Debug)]
pub struct Engine {
    setup: Setup,
    seq_next: u64,
    now: Time,
}

impl Engine {
    /// An engine that has seen nothing yet. Takes all its memory here.
    pub fn new(setup: Setup) -> Engine {
        Engine { setup, seq_next: 1, now: setup.now }
    }

    /// Advances by one event; the only way in. Same state and event give the same commands.
    ///
    /// `event.seq` counts from 1 without a hole and `event.at` never falls: the hot agent's promise, asserted.
    pub fn step(&mut self, event: &Event, _out: &mut CommandBuf) {
        assert!(event.seq == self.seq_next, "events come numbered without a hole");
        assert!(event.at >= self.now, "time ran backwards");
        self.seq_next += 1;
        self.now = event.at;
    }

    /// What the operator sees.
    pub fn status(&self) -> Status {
        Status {
            equity: None,
            position: Qty::ZERO,
            naked_since: Time::NONE,
            pauses: self.setup.paused,
            consecutive_losses: self.setup.consecutive_losses,
            orders_open: 0,
            orders_unknown: 0,
            tranche: 0,
            closing: false,
            stopping: false,
        }
    }
}
