//! The session's facts about orders: what an answer, an event or a silence says, told to the engine once.
//!
//! Thread: any.  Invariants: only the venue's word ends an order; what may have been executed is `Unknown`; whenever
//! the venue counts more as filled than was told, its trades are asked for, so no fill stays hidden.

use super::answer::{Answer, FillAnswer};
use super::errors::{Reaction, Verdict};
use super::inflight::Asked;
use super::table::{NEVER, Phase, Row};
use super::trade::{Io, Refusal, Stage, TradeSession};
use super::user::{OrderEvent, expiry_reason};
use crate::types::event::EventKind;
use crate::types::order::{FeeAsset, Reason};
use crate::types::reconcile::ReconcileTrigger;
use crate::types::time::NANOS_PER_MILLI;
use crate::types::{ClientOrderId, Command, ExecKind, ExecutionReport, Leg, Liquidity, Price, Qty, Side, Time};
use crate::types::{VenueOrderId, order};

/// How long an event that must be on its way may take before it is asked for.
const EVENT_GRACE_NS: i64 = 250 * NANOS_PER_MILLI;

/// "No such order" this often, after it can no longer be accepted, is proof.
const ABSENT_PROOF: u32 = 2;
/// Between two such questions: what one copy of the venue's books lacks, another may have.
const ABSENT_AGAIN_NS: i64 = 150 * NANOS_PER_MILLI;

/// Where an order object comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The answer to a placement.
    Ack,
    /// The answer to a cancel.
    Cancel,
    /// The answer to a question; `true` = the engine's own.
    Query(bool),
}

/// The side an order of ours has by its name: entries buy, all else sells.
fn side_of(id: ClientOrderId) -> Side {
    if matches!(id.leg, Leg::Entry(_)) { Side::Buy } else { Side::Sell }
}

/// A report that says nothing yet.
fn blank(id: ClientOrderId, kind: ExecKind, reason: Reason, code: i32) -> ExecutionReport {
    ExecutionReport {
        id,
        venue_order_id: VenueOrderId(0),
        list_id: 0,
        kind,
        side: side_of(id),
        liquidity: Liquidity::Taker,
        fee_asset: FeeAsset::None,
        reason,
        code,
        last_qty: Qty::ZERO,
        last_px: Price::ZERO,
        cum_qty: Qty::ZERO,
        leaves_qty: Qty::ZERO,
        fee: 0,
        trade_id: 0,
    }
}

/// What is known of `row`, as a report.
fn report_of(row: &Row, kind: ExecKind, reason: Reason, code: i32) -> ExecutionReport {
    let live = matches!(kind, ExecKind::New | ExecKind::Status | ExecKind::Unknown | ExecKind::CancelRejected);
    ExecutionReport {
        venue_order_id: row.venue_order_id,
        list_id: row.list_id,
        side: row.side,
        cum_qty: row.cum_qty,
        leaves_qty: if live { row.open_qty(row.cum_qty) } else { Qty::ZERO },
        ..blank(row.id, kind, reason, code)
    }
}

/// What a status word says, read from `source`; `None` = a word that no document lists.
fn outcome(found: &Answer<'_>, source: Source) -> Option<(ExecKind, Reason)> {
    let live = if source == Source::Ack { ExecKind::New } else { ExecKind::Status };
    Some(match found.status {
        b"" | b"NEW" | b"PENDING_NEW" | b"PARTIALLY_FILLED" | b"FILLED" | b"PENDING_CANCEL" => (live, Reason::None),
        b"CANCELED" => (ExecKind::Canceled, Reason::None),
        b"REJECTED" => (ExecKind::Rejected, Reason::Other),
        b"EXPIRED" => (ExecKind::Expired, expiry_reason(found.expiry, found.tif, found.kind, found.list_id > 0)),
        b"EXPIRED_IN_MATCH" => (ExecKind::Expired, Reason::Unprotected),
        _ => return None,
    })
}

impl TradeSession {
    /// Row of the order that an object speaks of: by its own name, by the name before a cancel, by number.
    pub(super) fn row_of(&mut self, found: &Answer<'_>) -> Option<usize> {
        let named = ClientOrderId::parse(found.original).or_else(|| ClientOrderId::parse(found.client));
        match named {
            Some(id) => Some(self.orders.open(id, found.side.unwrap_or(side_of(id)))),
            None => self.orders.find_number(found.order_id),
        }
    }

    /// Row of our order.
    pub(super) fn row_named(&mut self, id: ClientOrderId) -> usize {
        self.orders.open(id, side_of(id))
    }

    /// Tells an `executionReport`.
    pub(super) fn tell_event(&mut self, event: &OrderEvent<'_>, io: &mut Io<'_>) {
        let ours = event.ours().filter(|_| event.symbol == self.instrument.symbol.as_bytes());
        let Some(id) = ours else {
            self.count_foreign();
            return;
        };
        let report = event.report(id);
        if self.orders.find(id).is_none()
            && let Some(resting) = event.resting(id)
        {
            // An earlier run sent it, and it arrived only now: it is told before its news, and judged soon.
            io.event(EventKind::Resting(resting), event.venue_time);
            self.look.want(ReconcileTrigger::Unknown, io.now.plus(EVENT_GRACE_NS));
        }
        let at = self.orders.open(id, report.side);
        let is_new_trade = report.kind == ExecKind::Fill && self.orders.is_new_trade(report.trade_id);
        let Some(row) = self.orders.row_mut(at) else { return };
        let before = row.phase;
        row.heard(io.now);
        row.venue_order_id = report.venue_order_id;
        row.list_id = row.list_id.max(report.list_id);
        (row.side, row.qty) = (report.side, event.order_qty);
        row.cum_qty = row.cum_qty.max(report.cum_qty);
        if is_new_trade {
            row.told_qty = Qty(row.told_qty.0.saturating_add(report.last_qty.0));
        }
        let ends = match report.kind {
            ExecKind::Canceled | ExecKind::Expired | ExecKind::Rejected => true,
            ExecKind::Fill => report.leaves_qty == Qty::ZERO,
            _ => false,
        };
        if ends {
            (row.phase, row.query_at, row.resync) = (Phase::Done, NEVER, false);
        } else if before == Phase::Sent {
            (row.phase, row.query_at) = (Phase::Live, NEVER);
        }
        let resolved = std::mem::take(&mut row.doubted);
        let hidden = row.cum_qty > row.told_qty;
        match report.kind {
            // The answer told it already, or a second connection did.
            ExecKind::New if before == Phase::Live => {}
            ExecKind::Canceled | ExecKind::Expired | ExecKind::Rejected if before == Phase::Done => {}
            _ => io.report(report, event.venue_time),
        }
        if resolved {
            self.look.want(ReconcileTrigger::Unknown, io.now.plus(EVENT_GRACE_NS));
        }
        let revived = before == Phase::Done && report.kind == ExecKind::New;
        if report.kind == ExecKind::Unknown || revived {
            self.orders.plan_query(at, io.now);
        }
        if hidden {
            self.orders.plan_trades(at, io.now.plus(EVENT_GRACE_NS));
        }
    }

    /// Tells the state of an order as an object of the venue says it.
    pub(super) fn tell_state(&mut self, at: usize, found: &Answer<'_>, source: Source, io: &mut Io<'_>) {
        let Some(row) = self.orders.row_mut(at) else { return };
        let before = row.phase;
        row.heard(io.now);
        if found.order_id > 0 {
            row.venue_order_id = VenueOrderId(found.order_id);
        }
        row.list_id = row.list_id.max(found.list_id);
        row.side = found.side.unwrap_or(row.side);
        row.qty = found.order_qty.map_or(row.qty, |qty| Qty(qty.0.saturating_sub(found.prevented_qty.0)));
        row.cum_qty = row.cum_qty.max(found.cum_qty.unwrap_or_default());
        let (kind, reason) = outcome(found, source).unwrap_or((ExecKind::Unknown, Reason::Halt));
        let terminal = matches!(kind, ExecKind::Canceled | ExecKind::Rejected | ExecKind::Expired);
        let filled = found.status == b"FILLED" && row.told_qty >= row.cum_qty;
        row.phase = if terminal || filled { Phase::Done } else { Phase::Live };
        let is_over = row.phase == Phase::Done;
        if (is_over || found.status == b"FILLED") && before != Phase::Done && row.resync {
            self.look.count_end();
        }
        if matches!(source, Source::Query(_)) || is_over {
            (row.resync, row.tries) = (false, 0);
        }
        row.query_at = NEVER;
        let resolved = std::mem::take(&mut row.doubted);
        let was_given_up = row.absent >= ABSENT_PROOF && before == Phase::Done;
        let report = report_of(row, kind, reason, 0);
        let (hidden, watched) = (row.cum_qty > row.told_qty, row.immediate && row.phase != Phase::Done);
        let repeated = match source {
            Source::Query(by_engine) => terminal && before == Phase::Done && !by_engine,
            Source::Ack | Source::Cancel => before == Phase::Done || (kind == ExecKind::New && before == Phase::Live),
        };
        if resolved {
            self.look.want(ReconcileTrigger::Unknown, io.now.plus(EVENT_GRACE_NS));
        }
        if was_given_up && source == Source::Ack {
            self.orders.plan_query(at, io.now); // it came after all: its own word decides
        }
        if before == Phase::Done && !matches!(source, Source::Query(_)) {
            // An event overtook this answer: the order's end stands.
            self.keep_done(at);
        }
        if !repeated {
            io.report(report, found.venue_time);
        }
        if hidden {
            let grace = if source == Source::Ack { EVENT_GRACE_NS } else { 0 };
            self.orders.plan_trades(at, io.now.plus(grace));
        }
        if source == Source::Ack && watched {
            self.orders.plan_query(at, io.now.plus(EVENT_GRACE_NS));
        }
    }

    fn keep_done(&mut self, at: usize) {
        if let Some(row) = self.orders.row_mut(at) {
            row.phase = Phase::Done;
        }
    }

    /// Tells a fill that `fills` or `myTrades` lists; `cum_qty` is the sum up to and with it.
    pub(super) fn tell_fill(&mut self, at: usize, fill: &FillAnswer, cum_qty: Qty, io: &mut Io<'_>) {
        let is_new = self.orders.is_new_trade(fill.trade_id);
        let Some(row) = self.orders.row_mut(at) else { return };
        row.side = fill.side.unwrap_or(row.side);
        row.cum_qty = row.cum_qty.max(cum_qty);
        if is_new {
            row.told_qty = Qty(row.told_qty.0.saturating_add(fill.qty.0));
            self.look.count_fill();
        }
        let leaves_qty = row.open_qty(cum_qty);
        let whole = row.qty > Qty::ZERO && leaves_qty == Qty::ZERO && row.told_qty >= row.cum_qty;
        if whole {
            (row.phase, row.query_at, row.resync) = (Phase::Done, NEVER, false);
        }
        let report = ExecutionReport {
            liquidity: fill.liquidity,
            fee_asset: fill.fee_asset,
            last_qty: fill.qty,
            last_px: fill.price,
            cum_qty,
            leaves_qty,
            fee: fill.fee,
            trade_id: fill.trade_id,
            ..report_of(row, ExecKind::Fill, Reason::None, 0)
        };
        io.report(report, fill.venue_time);
    }

    /// The trades of an order were listed: asks again if the venue still counts more than it lists.
    pub(super) fn trades_listed(&mut self, at: usize) {
        if let Some(row) = self.orders.row_mut(at).filter(|row| row.told_qty >= row.cum_qty) {
            (row.trades_at, row.tries) = (NEVER, 0);
        }
    }

    /// The venue, asked, knows no such order. Past the end of its receive window it can no longer accept one either, and
    /// said so twice then, it proves that the order was never executed.
    pub(super) fn tell_not_found(&mut self, at: usize, io: &mut Io<'_>) {
        let Some(row) = self.orders.row_mut(at) else { return };
        (row.query_at, row.tries, row.resync) = (NEVER, 0, false);
        let is_unheard = row.phase == Phase::Sent && row.expires_at != NEVER;
        if !is_unheard {
            return io.report(report_of(row, ExecKind::NotFound, Reason::None, -2013), Time::NONE);
        }
        row.absent += u32::from(io.now >= row.expires_at);
        if row.absent < ABSENT_PROOF {
            let again = if row.absent > 0 { io.now.plus(ABSENT_AGAIN_NS) } else { row.expires_at };
            io.report(report_of(row, ExecKind::NotFound, Reason::None, -2013), Time::NONE);
            return self.orders.plan_query(at, again);
        }
        (row.phase, row.doubted) = (Phase::Done, false);
        io.report(report_of(row, ExecKind::Rejected, Reason::Other, -2013), Time::NONE);
        self.look.want(ReconcileTrigger::Unknown, io.now.plus(EVENT_GRACE_NS));
    }

    /// The venue, asked, says that the order ended without a fill long ago.
    pub(super) fn tell_archived(&mut self, at: usize, io: &mut Io<'_>) {
        if let Some(row) = self.orders.row_mut(at) {
            (row.phase, row.query_at, row.resync, row.tries) = (Phase::Done, NEVER, false, 0);
            io.report(report_of(row, ExecKind::Expired, Reason::Other, -2026), Time::NONE);
        }
    }

    /// Tells that a placement failed or that its outcome is not known.
    pub(super) fn tell_place_failed(&mut self, id: ClientOrderId, verdict: Verdict, code: i32, io: &mut Io<'_>) {
        let at = self.row_named(id);
        let Some(row) = self.orders.row_mut(at) else { return };
        match (row.phase, verdict.reaction) {
            (Phase::Done, _) => {}
            // An event said before that it lives: look, and believe neither.
            (Phase::Live, _) => self.orders.plan_query(at, io.now),
            (Phase::Sent, Reaction::Unknown) => {
                row.doubted = true;
                io.report(report_of(row, ExecKind::Unknown, verdict.reason, code), Time::NONE);
                if self.stage >= Stage::Resyncing {
                    self.orders.plan_query(at, io.now);
                    self.look.want(ReconcileTrigger::Unknown, io.now);
                }
            }
            (Phase::Sent, _) => {
                (row.phase, row.query_at, row.resync) = (Phase::Done, NEVER, false);
                io.report(report_of(row, ExecKind::Rejected, verdict.reason, code), Time::NONE);
                if verdict.reason == Reason::Balance {
                    self.look.want(ReconcileTrigger::Unknown, io.now.plus(EVENT_GRACE_NS)); // our books say they are there
                }
            }
        }
    }

    /// Tells that a cancel failed or that its outcome is not known; the truth is asked for.
    pub(super) fn tell_cancel_failed(&mut self, id: ClientOrderId, verdict: Verdict, code: i32, io: &mut Io<'_>) {
        let at = self.row_named(id);
        let Some(row) = self.orders.row(at).filter(|row| row.phase != Phase::Done) else { return };
        let unknown = verdict.reaction == Reaction::Unknown;
        let kind = if unknown { ExecKind::Unknown } else { ExecKind::CancelRejected };
        io.report(report_of(row, kind, verdict.reason, code), Time::NONE);
        // A cancel that a rate limit stopped was not looked at: the order is what it was, and questions cost weight.
        if !unknown && verdict.reason != Reason::RateLimit {
            self.orders.plan_query(at, io.now);
        }
    }

    /// Tells the same of whatever a request was about.
    pub(super) fn tell_failed(&mut self, asked: Asked, verdict: Verdict, code: i32, io: &mut Io<'_>) {
        match asked {
            Asked::Place(id) => self.tell_place_failed(id, verdict, code, io),
            Asked::PlaceOco(_, legs) => {
                for id in legs {
                    self.tell_place_failed(id, verdict, code, io);
                }
            }
            Asked::Cancel(id) => self.tell_cancel_failed(id, verdict, code, io),
            Asked::CancelList(_, legs) => {
                for id in legs {
                    self.tell_cancel_failed(id, verdict, code, io);
                }
            }
            Asked::CancelReplace(target, new) => {
                self.tell_cancel_failed(target, verdict, code, io);
                self.tell_place_failed(new, verdict, code, io);
            }
            Asked::CancelAll => self.tell_all_cancels_failed(verdict, code, io),
            Asked::Order(..) | Asked::List(_) | Asked::Trades(_) => {} // stays planned, or the engine asks again
            Asked::TradesFrom(_) | Asked::OrderNumber(_) | Asked::OpenOrders | Asked::OpenLists => {}
            Asked::Account | Asked::Logon | Asked::Subscribe | Asked::Clock => {}
            Asked::NextLogon | Asked::NextSubscribe => {}
        }
    }

    fn tell_all_cancels_failed(&mut self, verdict: Verdict, code: i32, io: &mut Io<'_>) {
        self.kill_unpaid(io.now);
        for at in 0..self.orders.len() {
            let live = self.orders.row(at).filter(|row| row.phase != Phase::Done);
            if let Some(id) = live.map(|row| row.id) {
                self.tell_cancel_failed(id, verdict, code, io);
            }
        }
    }

    /// No answer, or none that can be believed.
    pub(super) fn tell_unknown(&mut self, asked: Asked, reason: Reason, code: i32, io: &mut Io<'_>) {
        self.tell_failed(asked, Verdict { reaction: Reaction::Unknown, reason }, code, io);
    }

    /// A command did not pass the last gate: its orders were never sent and keep no row.
    pub(super) fn tell_refused(&mut self, command: &Command, asked: Asked, refusal: Refusal, io: &mut Io<'_>) {
        let reason = refusal.reason();
        let mut reject = |id, side: order::Side| {
            io.report(ExecutionReport { side, ..blank(id, ExecKind::Rejected, reason, 0) }, Time::NONE);
        };
        match command {
            Command::Place(order) => reject(order.id, order.side),
            Command::PlaceOco(oco) => {
                reject(oco.take_profit, Side::Sell);
                reject(oco.stop, Side::Sell);
            }
            Command::CancelReplace(pair) => {
                reject(pair.new.id, pair.new.side);
                let verdict = Verdict { reaction: Reaction::Refused, reason };
                self.tell_cancel_failed(pair.cancel.target, verdict, 0, io);
            }
            _ => self.tell_failed(asked, Verdict { reaction: Reaction::Refused, reason }, 0, io),
        }
    }
}
