//! Reconciling: what the venue says of our orders and money against what we hold, and the differences as data.
//!
//! Thread: any.  Invariants: `Copy`; a difference is told once, with the number by which the venue knows its cause.

use super::ids::{ClientOrderId, VenueOrderId};
use super::order::{OrderKind, Side};
use super::units::{Notional, Price, Qty};

/// An order of ours that rests at the venue, in the venue's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestingOrder {
    /// Our name of it, of this run or an earlier one.
    pub id: ClientOrderId,
    /// The venue's number.
    pub venue_order_id: VenueOrderId,
    /// The venue's list number; 0 = none.
    pub list_id: i64,
    /// Which way.
    pub side: Side,
    /// How it finds its price.
    pub kind: OrderKind,
    /// Size.
    pub qty: Qty,
    /// Filled so far.
    pub cum_qty: Qty,
    /// Limit; zero = none.
    pub price: Price,
    /// Trigger; zero = none.
    pub stop_price: Price,
}

/// The end of a reconcile. What it found came before it: fills as `Execution`, orders as `Resting` or `Execution`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconciled {
    /// What it was made for.
    pub trigger: ReconcileTrigger,
    /// Fills that no event had told.
    pub fills: u16,
    /// Orders that we held for live and that had ended.
    pub ended: u16,
    /// Quote currency, free and locked, as the venue said it.
    pub cash: Notional,
    /// Base currency, free and locked, as the venue said it.
    pub base: Qty,
    /// No event of the account came between the question about the balances and its answer: they can be compared.
    pub is_quiet: bool,
}

/// What a reconcile was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReconcileTrigger {
    /// The run began.
    Start,
    /// The order stream came back.
    Reconnect,
    /// An order's outcome was not known.
    Unknown,
    /// Nothing: from time to time while healthy.
    Audit,
}

impl ReconcileTrigger {
    /// Name in ledger and log.
    pub fn name(self) -> &'static str {
        match self {
            ReconcileTrigger::Start => "start",
            ReconcileTrigger::Reconnect => "reconnect",
            ReconcileTrigger::Unknown => "unknown",
            ReconcileTrigger::Audit => "audit",
        }
    }
}

/// In what the venue differed from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DifferenceKind {
    /// A fill that nobody had told us; booked.
    Fill,
    /// An order of an earlier run that goes on as ours.
    Adopted,
    /// An order of ours that does not fit the plan; cancelled.
    Cancelled,
    /// An order that we held for live and that has ended.
    Ended,
    /// More or fewer coins than fills explain.
    Base,
    /// More or less quote currency than fills explain.
    Quote,
}

impl DifferenceKind {
    /// Name in ledger and log.
    pub fn name(self) -> &'static str {
        match self {
            DifferenceKind::Fill => "FILL",
            DifferenceKind::Adopted => "ADOPTED",
            DifferenceKind::Cancelled => "CANCELLED",
            DifferenceKind::Ended => "ENDED",
            DifferenceKind::Base => "BASE",
            DifferenceKind::Quote => "QUOTE",
        }
    }
}

/// One difference between the venue and us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What the reconcile was made for.
    pub trigger: ReconcileTrigger,
    /// In what.
    pub kind: DifferenceKind,
    /// The order concerned; `None` for a balance.
    pub id: Option<ClientOrderId>,
    /// The venue's trade number of a fill, else its order number; 0 = none.
    pub number: i64,
    /// Size of the fill or what is open of the order, coins in 1e-9; of a balance: venue's less ours, in its own unit.
    pub amount: i64,
}

/// How much a reconcile found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconcileCount {
    /// What it was made for.
    pub trigger: ReconcileTrigger,
    /// Fills booked.
    pub fills: u16,
    /// Orders adopted.
    pub adopted: u16,
    /// Orders cancelled.
    pub cancelled: u16,
    /// Orders that had ended.
    pub ended: u16,
    /// Balances that fills do not explain.
    pub balances: u16,
}

impl ReconcileCount {
    /// Nothing found yet.
    pub fn new(trigger: ReconcileTrigger) -> ReconcileCount {
        ReconcileCount { trigger, fills: 0, adopted: 0, cancelled: 0, ended: 0, balances: 0 }
    }
    /// Counts one.
    pub fn add(&mut self, kind: DifferenceKind) {
        let field = match kind {
            DifferenceKind::Fill => &mut self.fills,
            DifferenceKind::Adopted => &mut self.adopted,
            DifferenceKind::Cancelled => &mut self.cancelled,
            DifferenceKind::Ended => &mut self.ended,
            DifferenceKind::Base | DifferenceKind::Quote => &mut self.balances,
        };
        *field = field.saturating_add(1);
    }
    /// Whether it is what happens every minute: nothing is written or said of it.
    pub fn is_routine(&self) -> bool {
        self.is_clean() && self.trigger == ReconcileTrigger::Audit
    }
    /// Whether the venue and we said the same.
    pub fn is_clean(&self) -> bool {
        (self.fills, self.adopted, self.cancelled, self.ended, self.balances) == (0, 0, 0, 0, 0)
    }
}
