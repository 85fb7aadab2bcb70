//! Frames of the order session, taken apart: which request is answered, which event it is, what follows from it.
//!
//! Thread: any.  Invariants: an answer is matched by its number alone; the halves of a cancel-replace are judged by
//! their own results, never by the status of the whole.

use super::answer::{self, Answer, Envelope};
use super::budget::{LimitKind, window_end};
use super::errors::{Reaction, Verdict, judge};
use super::inflight::{Asked, Flight};
use super::messages::venue_time;
use super::table::Phase;
use super::tell::Source;
use super::trade::{FrameKind, Io, Stage, TradeSession};
use super::user::{self, UserEvent};
use crate::types::event::{Balance, EventKind, StreamState};
use crate::types::note::{Hold, WireNote};
use crate::types::order::Reason;
use crate::types::time::NANOS_PER_SEC;
use crate::types::{ClientOrderId, Notional, Qty, Time};
use crate::venue::DecodeError;

/// Shortest ban the venue gives, where it does not say how long.
const BAN_NS_MIN: i64 = 120 * NANOS_PER_SEC;

/// An error answer, judged.
struct Failure<'a> {
    verdict: Verdict,
    error: Answer<'a>,
}

/// Judges the error object `error` under `status`.
fn judged(status: u16, error: &Answer<'_>) -> Verdict {
    judge(status, error.code, std::str::from_utf8(error.msg).unwrap_or_default())
}

impl TradeSession {
    /// One event of the account, at byte `at`.
    pub(super) fn on_event(&mut self, frame: &[u8], at: usize, io: &mut Io<'_>) -> Result<FrameKind, DecodeError> {
        self.look.on_event();
        match user::decode_at(frame, at, &self.instrument)? {
            UserEvent::Order(event) => self.tell_event(&event, io),
            UserEvent::Position { base, quote, venue_time } => {
                for balance in [base, quote].into_iter().flatten() {
                    io.event(EventKind::Balance(balance), venue_time);
                }
            }
            UserEvent::Moved => {
                self.ask(Asked::Account, io);
            }
            UserEvent::Terminated => {
                self.tell_stream(StreamState::Down, io);
                self.begin_session(io);
            }
            UserEvent::Shutdown => return Ok(FrameKind::Shutdown),
            UserEvent::List { .. } | UserEvent::Other => {}
        }
        Ok(FrameKind::Data)
    }

    /// The answer to `flight`.
    pub(super) fn on_answer(
        &mut self,
        frame: &[u8],
        envelope: &Envelope<'_>,
        flight: Flight,
        io: &mut Io<'_>,
    ) -> Result<FrameKind, DecodeError> {
        let success = envelope.result_at.filter(|_| envelope.status == 200);
        let code;
        let outcome = match success {
            Some(at) => {
                code = 0;
                match flight.asked {
                    next @ (Asked::NextLogon | Asked::NextSubscribe) => Ok(self.on_next_success(next, io)),
                    _ => self.on_success(frame, at, &flight, io).map(|()| FrameKind::Data),
                }
            }
            None => {
                let error = envelope.error_at.map_or(Ok(Answer::default()), |at| answer::answer(frame, at));
                code = error.map_or(i32::from(envelope.status), |error| error.code);
                error.and_then(|error| self.on_failure(frame, envelope.status, error, flight.asked, io))
            }
        };
        if outcome.is_err() {
            self.tell_unknown(flight.asked, Reason::Other, 0, io);
        }
        let own = matches!(flight.asked, Asked::Order(_, false) | Asked::Trades(_));
        if let Some((id, verb)) = flight.asked.verb().filter(|_| !own) {
            (io.note)(WireNote::Answered { id, verb, took_ns: io.now.since(flight.sent), code });
        }
        outcome
    }

    fn on_success(&mut self, frame: &[u8], at: usize, flight: &Flight, io: &mut Io<'_>) -> Result<(), DecodeError> {
        match flight.asked {
            Asked::Place(id) => self.on_ack(frame, at, id, io),
            Asked::PlaceOco(_, legs) => self.on_list_ack(frame, at, legs, io),
            Asked::Cancel(id) => self.on_canceled(frame, at, Some(id), io),
            Asked::CancelList(..) => self.on_canceled(frame, at, None, io),
            Asked::CancelAll => {
                self.kill_paid();
                answer::elements(frame, at, |at| self.on_canceled(frame, at, None, io))
            }
            Asked::CancelReplace(target, new) => {
                let both = answer::answer(frame, at)?;
                self.on_replaced(frame, &both, (target, new), io)
            }
            Asked::Order(id, by_engine) => {
                let found = answer::answer(frame, at)?;
                if found.status.is_empty() {
                    return Err(DecodeError::Missing { name: "status" });
                }
                let row = self.row_named(id);
                self.tell_state(row, &found, Source::Query(by_engine), io);
                Ok(())
            }
            Asked::List(_) => self.on_list(frame, at, io),
            Asked::Trades(id) => self.on_trades(frame, at, id, io),
            Asked::TradesFrom(_) => self.on_trades_from(frame, at, io),
            Asked::OrderNumber(number) => self.on_order_number(frame, at, number, io),
            Asked::OpenOrders => self.on_open_orders(frame, at, io),
            Asked::OpenLists => self.on_open_lists(frame, at, io),
            Asked::Account => self.on_account(frame, at, io),
            Asked::Logon => {
                self.logged_on = true;
                self.begin_session(io);
                Ok(())
            }
            Asked::Subscribe => {
                self.begin_resync(io);
                Ok(())
            }
            Asked::Clock => self.on_time(frame, at, flight.sent, io),
            Asked::NextLogon | Asked::NextSubscribe => Ok(()),
        }
    }

    fn on_ack(&mut self, frame: &[u8], at: usize, id: ClientOrderId, io: &mut Io<'_>) -> Result<(), DecodeError> {
        let found = answer::answer(frame, at)?;
        if found.order_id <= 0 {
            return Err(DecodeError::Missing { name: "orderId" });
        }
        let row = self.row_named(id);
        self.tell_state(row, &found, Source::Ack, io);
        let Some(fills_at) = found.fills_at else { return Ok(()) };
        let mut cum_qty = Qty::ZERO;
        answer::elements(frame, fills_at, |at| {
            let fill = answer::fill(frame, at, &self.instrument)?;
            cum_qty = Qty(cum_qty.0.saturating_add(fill.qty.0));
            self.tell_fill(row, &fill, cum_qty, io);
            Ok(())
        })
    }

    fn on_list_ack(
        &mut self,
        frame: &[u8],
        at: usize,
        legs: [ClientOrderId; 2],
        io: &mut Io<'_>,
    ) -> Result<(), DecodeError> {
        let head = answer::answer(frame, at)?;
        let orders_at = head.reports_at.or(head.orders_at).ok_or(DecodeError::Missing { name: "orders" })?;
        answer::elements(frame, orders_at, |at| {
            let leg = answer::answer(frame, at)?;
            if let Some(row) = self.row_of(&leg) {
                self.tell_state(row, &Answer { list_id: head.list_id, ..leg }, Source::Ack, io);
            }
            Ok(())
        })?;
        for id in legs {
            let row = self.row_named(id);
            if self.orders.row(row).is_some_and(|row| row.phase == Phase::Sent) {
                self.orders.plan_query(row, io.now); // placed, but the answer does not name it
            }
        }
        Ok(())
    }

    /// A cancel's answer: of one order, or of a whole list even where one leg was meant.
    fn on_canceled(
        &mut self,
        frame: &[u8],
        at: usize,
        target: Option<ClientOrderId>,
        io: &mut Io<'_>,
    ) -> Result<(), DecodeError> {
        let head = answer::answer(frame, at)?;
        if let Some(reports_at) = head.reports_at {
            return answer::elements(frame, reports_at, |at| {
                let leg = answer::answer(frame, at)?;
                self.tell_canceled(&leg, None, io);
                Ok(())
            });
        }
        if let Some(orders_at) = head.orders_at {
            return self.plan_each(frame, orders_at, io.now); // no sizes in it: they decide, so ask
        }
        self.tell_canceled(&head, target, io);
        Ok(())
    }

    fn tell_canceled(&mut self, found: &Answer<'_>, target: Option<ClientOrderId>, io: &mut Io<'_>) {
        let row = match (self.row_of(found), target) {
            (Some(row), _) => row,
            (None, Some(id)) => self.row_named(id),
            (None, None) => return, // an order of somebody else on this account
        };
        if found.status.is_empty() || found.cum_qty.is_none() {
            self.orders.plan_query(row, io.now);
        } else {
            self.tell_state(row, found, Source::Cancel, io);
        }
    }

    fn plan_each(&mut self, frame: &[u8], orders_at: usize, now: Time) -> Result<(), DecodeError> {
        answer::elements(frame, orders_at, |at| {
            let leg = answer::answer(frame, at)?;
            if let Some(row) = self.row_of(&leg) {
                self.orders.plan_query(row, now);
            }
            Ok(())
        })
    }

    fn on_list(&mut self, frame: &[u8], at: usize, io: &mut Io<'_>) -> Result<(), DecodeError> {
        let head = answer::answer(frame, at)?;
        let orders_at = head.orders_at.ok_or(DecodeError::Missing { name: "orders" })?;
        self.plan_each(frame, orders_at, io.now)
    }

    /// Both halves of a cancel-replace, each by its own result.
    fn on_replaced(
        &mut self,
        frame: &[u8],
        both: &Answer<'_>,
        (target, new): (ClientOrderId, ClientOrderId),
        io: &mut Io<'_>,
    ) -> Result<(), DecodeError> {
        let unknown = Verdict { reaction: Reaction::Unknown, reason: Reason::Other };
        match (both.cancel_result, both.cancel_at) {
            (b"SUCCESS", Some(at)) => self.on_canceled(frame, at, Some(target), io)?,
            (b"FAILURE", Some(at)) => {
                let error = answer::answer(frame, at)?;
                self.tell_cancel_failed(target, judged(400, &error), error.code, io);
            }
            _ => self.tell_cancel_failed(target, unknown, 0, io),
        }
        match (both.new_result, both.new_at) {
            (b"SUCCESS", Some(at)) => self.on_ack(frame, at, new, io)?,
            (b"FAILURE", Some(at)) => {
                let error = answer::answer(frame, at)?;
                self.tell_place_failed(new, judged(400, &error), error.code, io);
            }
            (b"NOT_ATTEMPTED", _) => {
                let verdict = Verdict { reaction: Reaction::Refused, reason: Reason::Other };
                self.tell_place_failed(new, verdict, -2022, io);
            }
            _ => self.tell_place_failed(new, unknown, 0, io),
        }
        Ok(())
    }

    fn on_trades(&mut self, frame: &[u8], at: usize, id: ClientOrderId, io: &mut Io<'_>) -> Result<(), DecodeError> {
        let row = self.row_named(id);
        let number = self.orders.row(row).map_or(0, |row| row.venue_order_id.0);
        let mut cum_qty = Qty::ZERO;
        answer::elements(frame, at, |at| {
            let fill = answer::fill(frame, at, &self.instrument)?;
            if fill.order_id == number {
                cum_qty = Qty(cum_qty.0.saturating_add(fill.qty.0));
                self.tell_fill(row, &fill, cum_qty, io);
            }
            Ok(())
        })?;
        self.trades_listed(row);
        Ok(())
    }

    fn on_account(&mut self, frame: &[u8], at: usize, io: &mut Io<'_>) -> Result<(), DecodeError> {
        let found = answer::answer(frame, at)?;
        let balances_at = found.balances_at.ok_or(DecodeError::Missing { name: "balances" })?;
        // Zero balances are left out of the answer, so what is not listed is zero.
        let mut base = Balance::Base { free: Qty::ZERO, locked: Qty::ZERO };
        let mut quote = Balance::Quote { free: Notional::ZERO, locked: Notional::ZERO };
        answer::elements(frame, balances_at, |at| {
            match user::balance_at(frame, at, &self.instrument)? {
                Some(found @ Balance::Base { .. }) => base = found,
                Some(found @ Balance::Quote { .. }) => quote = found,
                None => {}
            }
            Ok(())
        })?;
        io.event(EventKind::Balance(base), found.venue_time);
        io.event(EventKind::Balance(quote), found.venue_time);
        let (Balance::Base { free: coins, locked: coins_locked }, Balance::Quote { free: cash, locked: cash_locked }) =
            (base, quote)
        else {
            return Ok(());
        };
        let cash = Notional(cash.0.saturating_add(cash_locked.0));
        self.account_answered(cash, Qty(coins.0.saturating_add(coins_locked.0)));
        Ok(())
    }

    fn on_time(&mut self, frame: &[u8], at: usize, sent: Time, io: &mut Io<'_>) -> Result<(), DecodeError> {
        let found = answer::answer(frame, at)?;
        if found.server_time <= 0 {
            return Err(DecodeError::Missing { name: "serverTime" });
        }
        self.clock_answered();
        if self.clock.sample(venue_time(found.server_time), sent, io.now) {
            self.ask(Asked::Clock, io);
        } else if let Some(best) = self.clock.best() {
            io.event(EventKind::Clock(best), venue_time(found.server_time));
        }
        Ok(())
    }

    fn on_failure(
        &mut self,
        frame: &[u8],
        status: u16,
        error: Answer<'_>,
        asked: Asked,
        io: &mut Io<'_>,
    ) -> Result<FrameKind, DecodeError> {
        let failure = Failure { verdict: judged(status, &error), error };
        let data = error.data_at.map_or(Ok(Answer::default()), |at| answer::answer(frame, at))?;
        self.heed(status, &failure, &data, io);
        if asked == Asked::Clock && self.budget.held(io.now) != Hold::None {
            self.clock.hurry(); // asked again as soon as we may
        }
        match asked {
            Asked::NextLogon | Asked::NextSubscribe => {
                return Ok(self.on_next_failure(error.code, failure.verdict, io));
            }
            Asked::CancelReplace(target, new) if !data.cancel_result.is_empty() => {
                self.on_replaced(frame, &data, (target, new), io)?;
            }
            Asked::CancelAll if error.code == -2011 => self.kill_paid(), // nothing was open
            Asked::Order(id, _) => self.on_query_failed(id, error.code, io),
            Asked::Logon
            | Asked::Subscribe
            | Asked::Account
            | Asked::OpenOrders
            | Asked::OpenLists
            | Asked::TradesFrom(_)
            | Asked::OrderNumber(_) => return Ok(self.on_session_failed(&failure, io)),
            _ => self.tell_failed(asked, failure.verdict, error.code, io),
        }
        Ok(FrameKind::Data)
    }

    /// What an error says about time and pace, whatever was asked.
    fn heed(&mut self, status: u16, failure: &Failure<'_>, data: &Answer<'_>, io: &mut Io<'_>) {
        let (code, now, retry_after_ms) = (failure.error.code, io.now, data.retry_after_ms);
        if code == -1021 {
            self.clock.hurry();
        }
        if failure.verdict.reaction != Reaction::BackOff && code != -1008 && status != 418 && retry_after_ms == 0 {
            return;
        }
        let hold = match (status, code) {
            (418, _) => Hold::Everything,
            (_, -1015) => Hold::Orders,
            _ => Hold::AllButCancels,
        };
        let venue_now = self.clock.venue_time(now);
        let minute = window_end(venue_now, 60 * NANOS_PER_SEC);
        let until = match (hold, code) {
            // Both times are the venue's own: our measure of its clock may be a step behind.
            _ if (1..=retry_after_ms).contains(&data.server_time) => {
                now.plus(venue_time(retry_after_ms).since(venue_time(data.server_time)))
            }
            _ if retry_after_ms > 0 => self.clock.our_time(venue_time(retry_after_ms)),
            (Hold::Everything, _) => now.plus(BAN_NS_MIN),
            (_, -1008) => now.plus(NANOS_PER_SEC),
            (_, -1015) => {
                let full = self.budget.full_until(LimitKind::Orders, venue_now);
                self.clock.our_time(full.unwrap_or(window_end(venue_now, 10 * NANOS_PER_SEC)))
            }
            _ => self.clock.our_time(minute),
        };
        if hold == Hold::AllButCancels && retry_after_ms > 0 {
            self.budget.full_ends_at(venue_time(retry_after_ms));
        }
        self.budget.hold(hold, until);
        (io.note)(WireNote::Held { hold, until, at: now });
    }

    fn on_query_failed(&mut self, id: ClientOrderId, code: i32, io: &mut Io<'_>) {
        let row = self.row_named(id);
        match code {
            -2013 => self.tell_not_found(row, io),
            -2026 => self.tell_archived(row, io),
            _ => {} // stays planned, or the engine asks again
        }
    }

    fn on_session_failed(&mut self, failure: &Failure<'_>, io: &mut Io<'_>) -> FrameKind {
        match (failure.error.code, failure.verdict.reaction) {
            (-2035, _) => self.begin_resync(io), // already subscribed: as good
            (-2042, _) => return FrameKind::Reset,
            (_, Reaction::Halt) => self.bar(io),
            _ if self.stage == Stage::Ready => self.look.put_off(io.now), // a question of an audit: asked again later
            _ => {
                if self.stage > Stage::Subscribing {
                    self.stage = Stage::Subscribing;
                }
                self.retry_session(io.now);
            }
        }
        FrameKind::Control
    }
}
