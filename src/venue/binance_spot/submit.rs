//! Commands on their way out of the order session: the last checks, the tables, the bytes.
//!
//! Thread: any.  Invariants: an order is in both tables before its bytes leave; its text has passed the last gate; a
//! refusal is told to the engine; cancels, questions and closes pass all but a closed door, a limit that is used up and
//! the venue's own word to wait; a pair that protects coins is not cancelled while the order that must follow could not
//! be sent; an entry that the venue might refuse for its time is not sent, anything else says it with more slack.

use super::budget::Cost;
use super::encode::{Head, Target};
use super::inflight::Asked;
use super::trade::{Io, QUERY_WEIGHT, Refusal, Stage, TradeSession};
use crate::types::event::Event;
use crate::types::note::{Hold, Verb};
use crate::types::order::{OrderKind, Purpose, TimeInForce};
use crate::types::time::NANOS_PER_MILLI;
use crate::types::{ClientOrderId, Command, Leg, Side, Time};

/// Most that a close says it is earlier than it is: it must not execute long after we gave it up.
const CLOSE_SLACK_MS_MAX: u32 = 1_000;
/// The same for cancels and questions, which do no harm whenever they arrive.
const CANCEL_SLACK_MS_MAX: u32 = 5_000;
/// How far the venue's clock may be from where we believe it is when we say that an order is too late for it, at least.
const CLOCK_MARGIN_NS: i64 = 100 * NANOS_PER_MILLI;

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
        if let Err(refusal) = self.admit(command, now).and_then(|()| self.put_to_paper(command, asked, now, buf)) {
            let mut io = Io { now, emit, note: &mut |_| {}, out: &mut |_| {} };
            self.tell_refused(command, asked, refusal, &mut io);
            return Err(refusal);
        }
        self.register(command, now);
        self.budget.spend(cost_of(command), self.clock.venue_time(now));
        asked.verb().ok_or(Refusal::NotForVenue)
    }

    /// Writes the text and has it read by the last gate; what does not pass is not in flight.
    fn put_to_paper(&mut self, command: &Command, asked: Asked, now: Time, buf: &mut Vec<u8>) -> Result<(), Refusal> {
        let request_id = self.flights.open(asked, now).ok_or(Refusal::RateLimit)?;
        let head = Head { slack_ms: self.slack_ms(command, now), ..self.head(request_id, now) };
        self.write(command, head, buf);
        let passed = self.last_gate.pass(buf, now);
        if passed.is_err() {
            buf.clear();
            self.flights.take(request_id);
        }
        passed
    }

    /// Everything that may stop a command here before it is written.
    fn admit(&mut self, command: &Command, now: Time) -> Result<(), Refusal> {
        self.gate.check(command)?;
        let is_entry = is_entry(command);
        let wanted = if is_entry { Stage::Ready } else { Stage::LoggingOn };
        if !self.is_open() || self.stage < wanted {
            return Err(Refusal::NotReady);
        }
        if !self.may_send(command, now) {
            return Err(Refusal::RateLimit);
        }
        if is_entry && !self.clock.is_sure(self.entry_window_ns, now) {
            self.clock.measure_soon();
            return Err(Refusal::Clock);
        }
        let used = new_ids(command).into_iter().flatten().any(|id| self.orders.find(id).is_some());
        if used { Err(Refusal::IdUsed) } else { Ok(()) }
    }

    /// Whether the venue's word and its limits leave room for it.
    fn may_send(&mut self, command: &Command, now: Time) -> bool {
        let is_cancel = matches!(command, Command::Cancel(_) | Command::CancelAll);
        let is_held = match self.budget.held(now) {
            Hold::None => false,
            Hold::Orders => cost_of(command).orders > 0 || matches!(command, Command::CancelList(_)),
            Hold::AllButCancels => !is_cancel,
            Hold::Everything => true,
        };
        let (cost, venue_now) = (cost_of(command), self.clock.venue_time(now));
        let has_room = match command {
            Command::CancelList(_) => self.budget.has_room_after_cancel(venue_now),
            Command::CancelAll => return !is_held, // the last way out: the venue itself must say no
            _ if is_entry(command) => self.budget.has_room_for_entry(cost, venue_now),
            _ => true,
        };
        !is_held && has_room && self.budget.has_room(cost, venue_now)
    }

    /// What a command that must arrive concedes to a clock that is not known well.
    fn slack_ms(&mut self, command: &Command, now: Time) -> u32 {
        if is_entry(command) || self.clock.is_sure(self.entry_window_ns, now) {
            return 0;
        }
        self.clock.measure_soon();
        let most_ms = if cost_of(command).orders > 0 { CLOSE_SLACK_MS_MAX } else { CANCEL_SLACK_MS_MAX };
        let doubt_ms = self.clock.doubt_ns(now).map(|ns| u32::try_from(ns / NANOS_PER_MILLI + 1).unwrap_or(most_ms));
        doubt_ms.unwrap_or(most_ms).min(most_ms)
    }

    /// Puts the orders that `command` makes into the table, so that an event may overtake its answer.
    fn register(&mut self, command: &Command, now: Time) {
        let (side, qty, immediate) = match command {
            Command::Place(order) => (order.side, order.qty, is_immediate(order.kind, order.tif)),
            Command::CancelReplace(pair) => (pair.new.side, pair.new.qty, is_immediate(pair.new.kind, pair.new.tif)),
            Command::PlaceOco(oco) => (Side::Sell, oco.qty, false),
            _ => return,
        };
        let expires_at = self.expires_at(command, now);
        for id in new_ids(command).into_iter().flatten() {
            let at = self.orders.open(id, side);
            if let Some(row) = self.orders.row_mut(at) {
                (row.qty, row.immediate, row.changed) = (qty, immediate, now);
                row.expires_at = expires_at;
                self.orders.plan_query(at, expires_at);
            }
        }
    }

    /// When the venue can no longer accept an order sent now: it refuses what is older than the receive window, twice,
    /// the second time just before the matching engine.
    fn expires_at(&mut self, command: &Command, now: Time) -> Time {
        let slack_ns = i64::from(self.slack_ms(command, now)) * NANOS_PER_MILLI;
        let doubt_ns = self.clock.doubt_ns(now).unwrap_or(slack_ns).max(CLOCK_MARGIN_NS);
        now.plus(self.order_window_ns + slack_ns + doubt_ns)
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

/// What a command costs. A placement that succeeds is free of weight; one that fails is not.
fn cost_of(command: &Command) -> Cost {
    match command {
        Command::Place(_) | Command::CancelReplace(_) => Cost::one(1, 1),
        Command::PlaceOco(_) => Cost::one(1, 2),
        Command::Query(_) => Cost::one(QUERY_WEIGHT, 0),
        _ => Cost::one(1, 0),
    }
}

/// Whether a command opens a position.
fn is_entry(command: &Command) -> bool {
    match command {
        Command::Place(order) => order.purpose == Purpose::Entry || order.side == Side::Buy,
        Command::CancelReplace(pair) => pair.new.purpose == Purpose::Entry || pair.new.side == Side::Buy,
        _ => false,
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
