//! News of our orders: states move, fills become money, and what follows from both is set going.
//!
//! Thread: any.  Invariants: every fill is booked exactly once, whatever state its order is in and even if the order
//! is not in the table; what the venue says is never asserted, a contradiction pauses entries and wakes somebody.

use super::Engine;
use super::position::Maker;
use crate::types::command::{Alert, Command, CommandBuf};
use crate::types::event::Event;
use crate::types::ids::{ClientOrderId, Leg};
use crate::types::order::{ExecKind, ExecutionReport, Liquidity, Purpose, Reason, Side};
use crate::types::record::{ExitReason, FillRow, OrderStatus, PauseReason, Record};
use crate::types::units::{Price, Qty};

impl Engine {
    /// One report. One about a list speaks for both its legs.
    pub(super) fn on_execution(&mut self, report: &ExecutionReport, event: &Event, out: &mut CommandBuf) {
        match report.id.leg {
            Leg::List(slot) => {
                for leg in [Leg::TakeProfit(slot), Leg::Stop(slot)] {
                    let id = ClientOrderId { leg, ..report.id };
                    self.on_order(&ExecutionReport { id, ..*report }, event, out);
                }
            }
            _ => self.on_order(report, event, out),
        }
        self.settle(out);
    }

    fn on_order(&mut self, report: &ExecutionReport, event: &Event, out: &mut CommandBuf) {
        let is_fill = report.kind == ExecKind::Fill && report.last_qty.0 > 0 && report.last_px.0 > 0;
        let is_new = is_fill && self.trade_ids.is_new(report.trade_id);
        let maker =
            self.orders.get(report.id).map(|order| Maker { purpose: order.ask.purpose, arrival: order.arrival });
        if is_new {
            self.book_fill(report, maker, event, out);
        }
        let applied = self.orders.apply(report, is_new, self.now, out);
        let lost = applied.is_none() && is_new; // money moved by an order that we do not hold
        if lost || applied.is_some_and(|applied| applied.contradiction) {
            self.pauses.pause(PauseReason::Venue, out);
        }
        let Some(applied) = applied else { return };
        if applied.after == OrderStatus::Rejected && applied.before != OrderStatus::Rejected {
            self.on_refused(report, out);
        }
    }

    /// A list is taken whole or not at all: one leg refused before it ever lived refuses the other.
    fn on_refused(&mut self, report: &ExecutionReport, out: &mut CommandBuf) {
        if report.reason == Reason::Halt {
            self.pauses.pause(PauseReason::Venue, out);
        }
        let sibling = match report.id.leg {
            Leg::TakeProfit(slot) => Leg::Stop(slot),
            Leg::Stop(slot) => Leg::TakeProfit(slot),
            Leg::Flatten => return self.on_close_refused(report.reason, out),
            _ => return,
        };
        let id = ClientOrderId { leg: sibling, ..report.id };
        let unheard = |id| {
            let order = self.orders.get(id)?;
            matches!(order.status, OrderStatus::Pending | OrderStatus::Unknown).then_some(!order.is_known())
        };
        if report.kind == ExecKind::Rejected && unheard(id) == Some(true) {
            let report = ExecutionReport { id, ..*report };
            self.orders.apply(&report, false, self.now, out);
        }
    }

    fn book_fill(&mut self, fill: &ExecutionReport, maker: Option<Maker>, event: &Event, out: &mut CommandBuf) {
        let purpose = if fill.side == Side::Buy { Purpose::Entry } else { Purpose::Flatten };
        let maker = maker.unwrap_or(Maker { purpose, arrival: Price::ZERO });
        let booked = self.position.book(fill, maker, self.now);
        self.money.on_fill(&booked);
        self.book.on_last(fill.last_px, self.now);
        if !booked.is_sound {
            self.pauses.pause(PauseReason::Venue, out);
        }
        out.push(Command::Record(Record::Fill(FillRow {
            id: fill.id,
            trade_id: fill.trade_id,
            side: fill.side,
            liquidity: fill.liquidity,
            fee_asset: fill.fee_asset,
            price: fill.last_px,
            qty: fill.last_qty,
            fee: fill.fee,
            venue_time: event.venue_time,
            recv: event.recv,
        })));
        if fill.liquidity == Liquidity::Taker && matches!(maker.purpose, Purpose::Entry | Purpose::Flatten) {
            self.slips.on_fill(fill.side, fill.last_px, fill.last_qty, maker.arrival, self.now);
            let mean = self.slips.mean(self.now, self.params.slippage_window_ns);
            if mean.is_some_and(|mean| mean > self.params.slippage_kill) {
                self.pauses.pause(PauseReason::Slippage, out);
            }
        }
        self.mark(out);
        assert!(self.position.qty().0 >= 0, "a spot position is not negative");
    }

    /// Marks to market; a row if it says something new; the daily limit is looked at here.
    pub(super) fn mark(&mut self, out: &mut CommandBuf) {
        let Some(row) = self.money.mark(&self.position, self.book.mid(), self.now) else { return };
        if self.money.is_news(row) {
            out.push(Command::Record(Record::Equity(row)));
        }
        let day_loss = self.money.day_loss(row.equity, self.params.daily_loss);
        if day_loss.is_some_and(|(loss, limit)| loss >= limit) {
            self.pauses.pause(PauseReason::DailyLoss, out);
        }
    }

    /// Sets going what follows from the orders and the position as they now are; safe to call at any time.
    pub(super) fn settle(&mut self, out: &mut CommandBuf) {
        if !self.is_dust() {
            self.had_coins = true;
        } else if self.had_coins {
            self.entry = None; // sold out: what is left of the plan is not bought
        }
        self.drive_entry(out);
        self.cancel_strays(out);
        if self.close.is_some() {
            self.drive_close(out);
        } else {
            self.protect(out);
        }
        self.end_trip(out);
        self.watch_naked(out);
        self.arm_timers(out);
    }

    /// Ends the round trip once nothing above dust is left and nothing more can come.
    fn end_trip(&mut self, out: &mut CommandBuf) {
        let is_over = self.is_dust() && self.entry.is_none() && self.orders.unsettled().next().is_none();
        let has_begun = self.close.is_some() || self.position.opened().is_some();
        if !is_over || !has_begun {
            return;
        }
        let reason = match (self.close, self.position.last_exit()) {
            (Some(closing), _) => closing.reason,
            (None, Some(Purpose::Stop)) => ExitReason::StopLeg,
            (None, Some(Purpose::Flatten)) => ExitReason::Flatten, // a close that an earlier run began
            (None, None) if self.position.lost().0 > 0 => ExitReason::Gone,
            (None, _) => ExitReason::TakeProfit,
        };
        if reason == ExitReason::StopLeg {
            let mid = self.book.mid().unwrap_or(Price::ZERO);
            out.push(Command::Alert(Alert::Stop { reason, mid, qty: Qty::ZERO }));
        }
        self.close = None;
        self.had_coins = false;
        if let Some(row) = self.position.end_trip(reason) {
            out.push(Command::Record(Record::Trade(row)));
            self.pauses.round_trip(row.pnl, self.params.max_consecutive_losses, out);
        }
        assert!(self.close.is_none(), "the round trip is over");
        assert!(self.position.opened().is_none(), "the next one has not begun");
    }
}
