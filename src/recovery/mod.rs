//! What earlier runs left behind, brought up to the venue's truth before the first order of a new run.
//!
//! Thread: any; at start it is main, before the agents exist.  Invariants: the venue is only asked, never told: orders
//! of earlier runs keep protecting the position until the engine has adopted or replaced them. Fills that nobody heard
//! are booked under the name that the venue gives their order; what cannot be explained ends the start, it is never
//! guessed.
//!
//! What happens between this look and the first event of the account is found by the order session, which asks for
//! the same things again once its events flow.

mod ends;
mod fills;
mod position;

pub use fills::row_of;

use crate::ledger::{Ledger, LedgerError, Memory, Row};
use crate::types::reconcile::{Difference, DifferenceKind, ReconcileCount, ReconcileTrigger, RestingOrder};
use crate::types::record::OrderStatus;
use crate::types::setup::{OpenPosition, RESTING_MAX};
use crate::types::{ClientOrderId, Notional, Qty, Time, VenueOrderId};
use crate::venue::binance_spot::answer::FillAnswer;
use crate::venue::binance_spot::rest::OpenOrder;

/// Looks taken until two in a row agree on the balances: fills may come while we ask.
const LOOKS_MAX: u32 = 8;

/// All that recovery asks a venue. Every answer is about one symbol and one account.
pub trait Witness {
    /// Why an answer could not be had.
    type Error;
    /// What the account holds.
    fn holdings(&mut self) -> Result<Holdings, Self::Error>;
    /// Every order that lives, ours or not.
    fn open_orders(&mut self) -> Result<Vec<OpenOrder>, Self::Error>;
    /// Trades of the account from number `from` on, all of them, oldest first.
    fn trades_from(&mut self, from: i64) -> Result<Vec<FillAnswer>, Self::Error>;
    /// Number of the account's newest trade; 0 = it has none.
    fn newest_trade(&mut self) -> Result<i64, Self::Error>;
    /// One order by the venue's number, live or not.
    fn order(&mut self, number: VenueOrderId) -> Result<OpenOrder, Self::Error>;
    /// Number, state and filled size of an order by our name of it; `None` if the venue never heard of it.
    fn order_named(&mut self, id: ClientOrderId) -> Result<Option<(VenueOrderId, OrderStatus, Qty)>, Self::Error>;
}

/// What the account holds, free and locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// Quote currency.
    pub cash: Notional,
    /// Base currency.
    pub base: Qty,
}

/// Why a start cannot go on. Nothing was cancelled; what was booked stays booked.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError<E> {
    /// The venue did not answer, or not as documented.
    #[error("the venue could not be asked")]
    Venue(E),
    /// The ledger could not be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// An order of ours rests whose run the ledger does not know.
    #[error(
        "order {id} rests at the venue, but engine.db knows no such run: start with the data_dir of that run, or \
         cancel the order by hand; nothing was cancelled"
    )]
    Stranger {
        /// Its name.
        id: ClientOrderId,
    },
    /// A fill belongs to a round trip that the ledger holds for ended.
    #[error(
        "trade {trade_id} of order {id} filled while away, but the ledger holds that order's round trip for ended: \
         look at engine.db and at the venue; nothing was cancelled"
    )]
    LateFill {
        /// The venue's number of it.
        trade_id: i64,
        /// Its order.
        id: ClientOrderId,
    },
    /// The ledger's fills make no position.
    #[error("the fills of round trip {trade_no} sell more than they bought: look at engine.db")]
    Oversold {
        /// The round trip.
        trade_no: u32,
    },
    /// More orders of ours rest than any run leaves.
    #[error(
        "{found} orders of ours rest at the venue, more than the {RESTING_MAX} any run leaves: look at them, cancel \
         what should not be there"
    )]
    TooMany {
        /// How many.
        found: usize,
    },
    /// The account did not stand still long enough to be read.
    #[error("balances changed between {LOOKS_MAX} looks in a row: is somebody else trading on this account?")]
    Restless,
}

/// What a new run starts from.
#[derive(Clone, Debug)]
pub struct Past {
    /// As the ledger remembers, what was booked just now included.
    pub memory: Memory,
    /// The position of the round trip under way, proven by its fills.
    pub position: Option<OpenPosition>,
    /// Every trade of ours up to this number is booked.
    pub trades_known_to: i64,
    /// What the account holds, all those trades included.
    pub holdings: Holdings,
    /// Orders of earlier runs that rest at the venue, for the engine to adopt or cancel.
    pub resting: Vec<RestingOrder>,
    /// Orders that rest there and are not ours; they are left alone.
    pub foreign: usize,
    /// What differed from the ledger.
    pub differences: Vec<Difference>,
}

impl Past {
    /// How much differed.
    pub fn count(&self) -> ReconcileCount {
        let mut count = ReconcileCount::new(ReconcileTrigger::Start);
        self.differences.iter().for_each(|found| count.add(found.kind));
        count
    }
}

/// Looks: books what filled meanwhile, gives ended orders their end, proves the position. Leaves the venue as it is.
pub fn look<W: Witness>(venue: &mut W, ledger: &mut Ledger, now: Time) -> Result<Past, RecoveryError<W::Error>> {
    let mut differences = Vec::new();
    let mut holdings = venue.holdings().map_err(RecoveryError::Venue)?;
    for _ in 0..LOOKS_MAX {
        let open = venue.open_orders().map_err(RecoveryError::Venue)?;
        refuse_strangers(&open, ledger)?;
        let known_to = fills::catch_up(venue, ledger, &open, now, &mut differences)?;
        let again = venue.holdings().map_err(RecoveryError::Venue)?;
        if again == holdings {
            ends::of_the_gone(venue, ledger, &open, now, &mut differences)?;
            return conclude(ledger, (holdings, &open), known_to, differences, now);
        }
        holdings = again;
    }
    Err(RecoveryError::Restless)
}

/// An order whose name is ours but whose run the ledger does not know: its protection is not ours to judge.
fn refuse_strangers<E>(open: &[OpenOrder], ledger: &Ledger) -> Result<(), RecoveryError<E>> {
    let epoch = ledger.memory()?.epoch;
    let ours = open.iter().filter_map(|order| order.id);
    if let Some(id) = ours.clone().find(|id| id.epoch > epoch) {
        return Err(RecoveryError::Stranger { id });
    }
    let found = ours.count();
    if found > RESTING_MAX { Err(RecoveryError::TooMany { found }) } else { Ok(()) }
}

fn conclude<E>(
    ledger: &mut Ledger,
    (holdings, open): (Holdings, &[OpenOrder]),
    trades_known_to: i64,
    mut differences: Vec<Difference>,
    now: Time,
) -> Result<Past, RecoveryError<E>> {
    let memory = ledger.memory()?;
    let position = position::proven(ledger, &memory, holdings.base)?;
    let resting: Vec<RestingOrder> = open.iter().filter_map(OpenOrder::resting).collect();
    let held = position.map_or(Qty::ZERO, |position| position.qty);
    if memory.epoch > 0 && holdings.base < held {
        differences.push(Difference {
            trigger: ReconcileTrigger::Start,
            kind: DifferenceKind::Base,
            id: None,
            number: 0,
            amount: holdings.base.0.saturating_sub(held.0),
        });
    }
    let foreign = open.iter().filter(|order| order.id.is_none()).count();
    let past = Past { memory, position, trades_known_to, holdings, resting, foreign, differences };
    past.differences.iter().for_each(|found| ledger.push(Row::Difference(now, *found)));
    ledger.push(Row::Reconciled(now, past.count()));
    ledger.push(Row::TradesKnownTo(trades_known_to));
    ledger.flush()?;
    Ok(past)
}
