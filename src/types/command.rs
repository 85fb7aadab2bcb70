//! All the engine can ask for. Whoever carries a [`Command`] out adds no decision of its own.
//!
//! Thread: any.  Invariants: `Copy`, no heap; one step emits at most [`COMMANDS_PER_STEP_MAX`].

use super::event::TimerId;
use super::ids::{ClientOrderId, VenueOrderId};
use super::order::{OrderKind, Purpose, Side, TimeInForce};
use super::record::Record;
use super::time::Time;
use super::units::{Price, Qty};

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Send one order.
    Place(NewOrder),
    /// Send a take-profit and a stop of which one cancels the other.
    PlaceOco(NewOco),
    /// Cancel one order.
    Cancel(CancelOrder),
    /// Cancel an order list, both legs.
    CancelList(CancelList),
    /// Cancel one order (and its list) of which nothing is filled and, only if that worked, send another.
    CancelReplace(CancelReplace),
    /// Cancel everything of the symbol.
    CancelAll,
    /// Ask the venue what became of an order.
    Query(QueryOrder),
    /// Come back with `Timer(id)` at `at`; a later one of the same id replaces an earlier one.
    ArmTimer {
        /// Which deadline.
        id: TimerId,
        /// When, on our clock.
        at: Time,
    },
    /// Tell the operator.
    Alert(Alert),
    /// Write a fact to ledger and log.
    Record(Record),
}
const _: () = assert!(size_of::<Command>() <= 192);

impl Command {
    /// Whether it is a request to the venue; the others stay in the house.
    pub fn is_for_venue(&self) -> bool {
        !matches!(self, Command::ArmTimer { .. } | Command::Alert(_) | Command::Record(_))
    }
    /// Whether it asks for a new order, so that room kept for cancels and questions is not for it.
    pub fn is_new_order(&self) -> bool {
        matches!(self, Command::Place(_) | Command::PlaceOco(_) | Command::CancelReplace(_))
    }
}

/// One order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Our name of it.
    pub id: ClientOrderId,
    /// Which way.
    pub side: Side,
    /// How it finds its price.
    pub kind: OrderKind,
    /// How long it stays.
    pub tif: TimeInForce,
    /// Limit price, on the grid; zero for a market order.
    pub price: Price,
    /// Size, on the grid.
    pub qty: Qty,
    /// What it is for.
    pub purpose: Purpose,
}

/// A take-profit (limit maker, above) and a stop (below) for the same coins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOco {
    /// Our name of the list.
    pub list: ClientOrderId,
    /// Our name of the take-profit leg.
    pub take_profit: ClientOrderId,
    /// Our name of the stop leg.
    pub stop: ClientOrderId,
    /// Size of either leg, on the grid.
    pub qty: Qty,
    /// Limit of the take-profit leg, on the grid.
    pub tp_price: Price,
    /// Trigger of the stop leg, on the grid.
    pub stop_price: Price,
    /// Limit of the stop leg once triggered; zero = sell at the market.
    pub stop_limit: Price,
}

/// Cancel one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelOrder {
    /// Our name of the order.
    pub target: ClientOrderId,
    /// The venue's number, the fast way; 0 = not known.
    pub venue_order_id: VenueOrderId,
}

/// Cancel an order list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelList {
    /// Our name of the list.
    pub list: ClientOrderId,
    /// The venue's number; 0 = not known.
    pub list_id: i64,
    /// The leg whose reports answer if the cancel is refused.
    pub take_profit: ClientOrderId,
    /// The other leg.
    pub stop: ClientOrderId,
}

/// Cancel, and only if that worked, send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelReplace {
    /// What goes.
    pub cancel: CancelOrder,
    /// What comes.
    pub new: NewOrder,
}

/// Ask about one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryOrder {
    /// Our name of it.
    pub target: ClientOrderId,
    /// The venue's number; 0 = ask by our name.
    pub venue_order_id: VenueOrderId,
}

/// What is worth waking somebody for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alert {
    /// An entry began.
    Enter {
        /// Mid price.
        mid: Price,
        /// Size of the first tranche.
        qty: Qty,
        /// Where we get out.
        stop: Price,
    },
    /// The stop, the kill switch or an exit ended the position.
    Stop {
        /// Why.
        reason: super::record::ExitReason,
        /// Mid price.
        mid: Price,
        /// Position left to sell.
        qty: Qty,
    },
    /// Trading halted: somebody must look.
    Fatal {
        /// Why.
        reason: super::record::PauseReason,
    },
}

/// Commands one step may emit.
pub const COMMANDS_PER_STEP_MAX: usize = 64;

/// The commands of one step, in order; memory taken once.
#[derive(Debug)]
pub struct CommandBuf {
    items: [Option<Command>; COMMANDS_PER_STEP_MAX],
    len: usize,
}

impl Default for CommandBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl CommandBuf {
    /// Empty.
    pub fn new() -> Self {
        Self { items: [None; COMMANDS_PER_STEP_MAX], len: 0 }
    }
    /// Appends; a step that emits more than [`COMMANDS_PER_STEP_MAX`] is a fault of ours and stops the engine.
    pub fn push(&mut self, command: Command) {
        assert!(self.len < COMMANDS_PER_STEP_MAX, "one step emitted too many commands");
        if let Some(slot) = self.items.get_mut(self.len) {
            *slot = Some(command);
        }
        self.len += 1;
    }
    /// The commands, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Command> {
        self.items.iter().take(self.len).flatten()
    }
    /// Number of commands.
    pub fn len(&self) -> usize {
        self.len
    }
    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Forgets them all.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}
