//! Requests that wait for their answer: number to meaning, in a table of fixed size.
//!
//! Thread: any.  Invariants: a number is never used twice in a session's life, so an answer can only meet its own
//! request; no allocation after `new`.

use super::budget::Cost;
use crate::types::note::Verb;
use crate::types::{ClientOrderId, Leg, Time};

/// Requests in flight at most.
pub const IN_FLIGHT_MAX: usize = 256;

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To place an order.
    Place(ClientOrderId),
    /// To place an OCO: list, take-profit, stop.
    PlaceOco(ClientOrderId, [ClientOrderId; 2]),
    /// To cancel an order.
    Cancel(ClientOrderId),
    /// To cancel a list: list, both legs.
    CancelList(ClientOrderId, [ClientOrderId; 2]),
    /// To cancel the first and place the second.
    CancelReplace(ClientOrderId, ClientOrderId),
    /// To cancel everything of the symbol.
    CancelAll,
    /// What became of an order; `true` = the engine wants to know.
    Order(ClientOrderId, bool),
    /// What became of a list.
    List(ClientOrderId),
    /// The trades of an order.
    Trades(ClientOrderId),
    /// Our trades from a number on.
    TradesFrom(i64),
    /// The order behind a number of the venue.
    OrderNumber(i64),
    /// The orders that rest.
    OpenOrders,
    /// The lists that rest.
    OpenLists,
    /// The balances.
    Account,
    /// To log on.
    Logon,
    /// To hear the account's events.
    Subscribe,
    /// The time.
    Clock,
    /// To log the next connection on, while the older one serves.
    NextLogon,
    /// To hear the account's events on the next connection.
    NextSubscribe,
}

impl Asked {
    /// Whose request it is and what it asks, if the engine or its orders are concerned.
    pub fn verb(self) -> Option<(ClientOrderId, Verb)> {
        Some(match self {
            Asked::Place(id) => (id, Verb::Place),
            Asked::PlaceOco(list, _) => (list, Verb::PlaceOco),
            Asked::Cancel(id) => (id, Verb::Cancel),
            Asked::CancelList(list, _) => (list, Verb::CancelList),
            Asked::CancelReplace(target, _) => (target, Verb::CancelReplace),
            Asked::CancelAll => (EVERY_ORDER, Verb::CancelAll),
            Asked::Order(id, _) | Asked::List(id) | Asked::Trades(id) => (id, Verb::Query),
            Asked::TradesFrom(_) | Asked::OrderNumber(_) | Asked::OpenOrders | Asked::OpenLists => return None,
            Asked::Account | Asked::Logon | Asked::Subscribe | Asked::Clock => return None,
            Asked::NextLogon | Asked::NextSubscribe => return None,
        })
    }
}

impl Asked {
    /// Orders that it adds to the venue's count.
    pub fn orders(self) -> u32 {
        match self {
            Asked::Place(_) | Asked::CancelReplace(..) => 1,
            Asked::PlaceOco(..) => 2,
            _ => 0,
        }
    }
}

/// The name a "cancel all" goes by in notes: no order has it.
pub const EVERY_ORDER: ClientOrderId = ClientOrderId { epoch: 0, signal: 0, leg: Leg::Request, attempt: 0 };

/// One request in flight.
#[derive(Clone, Copy, Debug)]
pub struct Flight {
    /// What was asked.
    pub asked: Asked,
    /// When.
    pub sent: Time,
    /// Its deadline passed and its outcome was told as unknown; a late answer is still welcome.
    pub overdue: bool,
    number: u64,
}

/// The table.
#[derive(Debug)]
pub struct InFlight {
    slots: Vec<Option<Flight>>,
    serial: u64,
    cursor: usize,
    open: usize,
    /// No deadline passes before this.
    earliest_sent: Time,
}

impl Default for InFlight {
    fn default() -> Self {
        Self { slots: vec![None; IN_FLIGHT_MAX], serial: 0, cursor: 0, open: 0, earliest_sent: Time(i64::MAX) }
    }
}

impl InFlight {
    /// Registers a request; its number, or `None` if the table is full.
    pub fn open(&mut self, asked: Asked, now: Time) -> Option<u64> {
        for step in 0..IN_FLIGHT_MAX {
            let at = (self.cursor + step) % IN_FLIGHT_MAX;
            if let Some(slot @ None) = self.slots.get_mut(at) {
                self.serial += 1;
                let number = self.serial * IN_FLIGHT_MAX as u64 + at as u64;
                *slot = Some(Flight { asked, sent: now, overdue: false, number });
                self.cursor = at + 1;
                self.open += 1;
                self.earliest_sent = self.earliest_sent.min(now);
                return Some(number);
            }
        }
        None
    }

    /// The request that `number` answers; it is in flight no more.
    pub fn take(&mut self, number: u64) -> Option<Flight> {
        let at = usize::try_from(number % IN_FLIGHT_MAX as u64).ok()?;
        let slot = self.slots.get_mut(at)?;
        if slot.as_ref()?.number != number {
            return None;
        }
        self.open -= 1;
        slot.take()
    }

    /// What the requests without an answer cost, each of the least weight.
    pub fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        if self.open > 0 {
            for flight in self.slots.iter().flatten().filter(|flight| !flight.overdue) {
                let orders = cost.orders + flight.asked.orders();
                cost = Cost { requests: cost.requests + 1, weight: cost.weight + 1, orders };
            }
        }
        cost
    }

    /// The next request that was sent before `deadline` and not called overdue yet; it is now. Cheap if there is none.
    pub fn next_overdue(&mut self, deadline: Time) -> Option<Asked> {
        if self.earliest_sent > deadline {
            return None;
        }
        let late = |flight: &&mut Flight| !flight.overdue && flight.sent <= deadline;
        if let Some(flight) = self.slots.iter_mut().flatten().find(late) {
            flight.overdue = true;
            return Some(flight.asked);
        }
        let waiting = self.slots.iter().flatten().filter(|flight| !flight.overdue);
        self.earliest_sent = waiting.map(|flight| flight.sent).min().unwrap_or(Time(i64::MAX));
        None
    }

    /// Forgets overdue requests sent before `deadline`.
    pub fn forget(&mut self, deadline: Time) {
        for slot in &mut self.slots {
            if slot.is_some_and(|flight| flight.overdue && flight.sent <= deadline) {
                *slot = None;
                self.open -= 1;
            }
        }
    }

    /// Takes any one request out, overdue or not.
    pub fn pop(&mut self) -> Option<Flight> {
        self.earliest_sent = Time(i64::MAX);
        let taken = self.slots.iter_mut().find_map(Option::take);
        self.open -= usize::from(taken.is_some());
        taken
    }
}
