//! Commands on their way out of the order session: the last checks, the tables, the bytes.
//!
//! Thread: any.  Invariants: an order is in both tables before its bytes are; a refusal is told to the engine; cancels
//! and questions pass all but a closed door and the venue's own word to wait; a pair that protects coins is not
//! cancelled while the order that must follow could not be sent.

use super::budget::{Hold, LimitKind};
use super::encode::{Head, Target};
use super::inflight::Asked;
use super::trade::{Io, Refusal, Stage, TradeSession};
use crate::types::event::Event;
use crate::types::order::{OrderKind, Purpose, TimeInForce};
use crate::types::record::Verb;
use crate::types::{ClientOrderId, Command, Leg, Side, Time};

impl TradeSession {
    /// Writes the text of one request into `buf` (cleared first) and registers it as in flight.
    ///
    /// Output: whose request it is and what it asks.
    /// Errors: [`Refusal`]; the engine is told by a `Rejected` or `CancelRejected` report through `emit`.
    pub fn encode(
        &mut self,
        command: &Command,
        now: Time,
        buf: &mut Vec<u8>,
        emit: &mut impl FnMut(Event),
    ) -> Result<(ClientOrderId, Verb), Refusal> {
        buf.clear();
        let asked = asked_by(command).ok_or(Refusal::NotForVenue)?;
        let admitted = self.admit(command, now).and_then(|()| self.flights.open(asked, now).ok_or(Refusal::RateLimit));
        let mut io = Io { now, emit, note: &mut |_| {}, out: &mut |_| {} };
        let request_id = match admitted {
            Ok(request_id) => request_id,
            Err(refusal) => {
                self.tell_refused(command, asked, refusal, &mut io);
                return Err(refusal);
            }
        };
        self.register(command);
        self.count(command, now);
        self.write(command, self.head(request_id, now), buf);
        asked.verb().ok_or(Refusal::NotForVenue)
    }

    /// Everything that may stop a command here. Cancels and questions pass all but a closed door and the venue's word.
    fn admit(&mut self, command: &Command, now: Time) -> Result<(), Refusal> {
        self.gate.check(command)?;
        let (orders, is_entry) = weight_of(command);
        let wanted = if is_entry { Stage::Ready } else { Stage::LoggingOn };
        if !self.is_open() || self.stage < wanted {
            return Err(Refusal::NotReady);
        }
        let is_cancel = matches!(command, Command::Cancel(_) | Command::CancelAll);
        match self.budget.held(now) {
            Hold::All => return Err(Refusal::RateLimit),
            Hold::CancelsOnly if !is_cancel => return Err(Refusal::RateLimit),
            Hold::None | Hold::CancelsOnly => {}
        }
        let venue_now = self.clock.venue_time(now);
        let has_room = match command {
            Command::CancelList(_) => self.budget.has_room_after_cancel(venue_now),
            _ => !is_entry || self.budget.has_room_for_entry(orders, venue_now),
        };
        if !has_room {
            return Err(Refusal::RateLimit);
        }
        let used = new_ids(command).into_iter().flatten().any(|id| self.orders.find(id).is_some());
        if used { Err(Refusal::IdUsed) } else { Ok(()) }
    }

    /// Puts the orders that `command` makes into the table, so that an event may overtake its answer.
    fn register(&mut self, command: &Command) {
        let (side, qty, immediate) = match command {
            Command::Place(order) => (order.side, order.qty, is_immediate(order.kind, order.tif)),
            Command::CancelReplace(pair) => (pair.new.side, pair.new.qty, is_immediate(pair.new.kind, pair.new.tif)),
            Command::PlaceOco(oco) => (Side::Sell, oco.qty, false),
            _ => return,
        };
        for id in new_ids(command).into_iter().flatten() {
            let at = self.orders.open(id, side);
            if let Some(row) = self.orders.row_mut(at) {
                (row.qty, row.immediate) = (qty, immediate);
            }
        }
    }

    fn count(&mut self, command: &Command, now: Time) {
        let venue_now = self.clock.venue_time(now);
        let (orders, _) = weight_of(command);
        self.budget.spend(LimitKind::Orders, orders, venue_now);
        let weight = if matches!(command, Command::Query(_)) { 4 } else { 1 };
        self.budget.spend(LimitKind::Weight, weight, venue_now);
    }

    fn write(&mut self, command: &Command, head: Head, buf: &mut Vec<u8>) {
        match command {
            Command::Place(order) => self.encoder.place(head, order, buf),
            Command::PlaceOco(oco) => self.encoder.place_oco(head, oco, buf),
            Command::Cancel(cancel) => {
                let target = self.target(cancel.venue_order_id.0, cancel.target);
                self.encoder.cancel(head, target, buf);
            }
            Command::CancelReplace(pair) => {
                let target = self.target(pair.cancel.venue_order_id.0, pair.cancel.target);
                self.encoder.cancel_replace(head, target, &pair.new, buf);
            }
            Command::CancelList(list) => {
                let legs = [list.take_profit, list.stop].into_iter();
                let known = legs.filter_map(|leg| self.orders.row(self.orders.find(leg)?)).map(|row| row.list_id);
                let number = known.fold(list.list_id, i64::max);
                self.encoder.cancel_list(head, Target::of(number, list.list), buf);
            }
            Command::CancelAll => self.encoder.cancel_all(head, buf),
            Command::Query(query) if matches!(query.target.leg, Leg::List(_)) => {
                self.encoder.list_status(head, Target::Name(query.target), buf);
            }
            Command::Query(query) => {
                let target = self.target(query.venue_order_id.0, query.target);
                self.encoder.order_status(head, target, buf);
            }
            Command::ArmTimer { .. } | Command::Alert(_) | Command::Record(_) => {}
        }
    }

    /// By the venue's number where either side knows it.
    pub(super) fn target(&self, number: i64, id: ClientOrderId) -> Target {
        let known = self.orders.find(id).and_then(|at| self.orders.row(at)).map_or(0, |row| row.venue_order_id.0);
        Target::of(if number > 0 { number } else { known }, id)
    }
}

fn is_immediate(kind: OrderKind, tif: TimeInForce) -> bool {
    kind == OrderKind::Market || (kind == OrderKind::Limit && tif != TimeInForce::Gtc)
}

/// Orders that a command adds to the venue's count, and whether it opens a position.
fn weight_of(command: &Command) -> (u32, bool) {
    match command {
        Command::Place(order) => (1, order.purpose == Purpose::Entry),
        Command::CancelReplace(pair) => (1, pair.new.purpose == Purpose::Entry),
        Command::PlaceOco(_) => (2, false),
        _ => (0, false),
    }
}

/// The ids that a command brings into the world.
fn new_ids(command: &Command) -> [Option<ClientOrderId>; 2] {
    match command {
        Command::Place(order) => [Some(order.id), None],
        Command::CancelReplace(pair) => [Some(pair.new.id), None],
        Command::PlaceOco(oco) => [Some(oco.take_profit), Some(oco.stop)],
        _ => [None, None],
    }
}

fn asked_by(command: &Command) -> Option<Asked> {
    Some(match command {
        Command::Place(order) => Asked::Place(order.id),
        Command::PlaceOco(oco) => Asked::PlaceOco(oco.list, [oco.take_profit, oco.stop]),
        Command::Cancel(cancel) => Asked::Cancel(cancel.target),
        Command::CancelList(list) => Asked::CancelList(list.list, [list.take_profit, list.stop]),
        Command::CancelReplace(pair) => Asked::CancelReplace(pair.cancel.target, pair.new.id),
        Command::CancelAll => Asked::CancelAll,
        Command::Query(query) if matches!(query.target.leg, Leg::List(_)) => Asked::List(query.target),
        Command::Query(query) => Asked::Order(query.target, true),
        Command::ArmTimer { .. } | Command::Alert(_) | Command::Record(_) => return None,
    })
}
