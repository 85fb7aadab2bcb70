//! One order as far as we know: what was asked, what the venue said, what is booked, what is in doubt.
//!
//! Thread: any.  Invariants: an order is settled only when it ended and every fill it was told to have is booked; until
//! then its reserve is the most that may still come.

use super::order_state::Told;
use crate::types::command::{CancelOrder, NewOrder};
use crate::types::ids::{Leg, VenueOrderId};
use crate::types::order::{ExecKind, ExecutionReport, Reason};
use crate::types::reconcile::RestingOrder;
use crate::types::record::{OrderRow, OrderStatus};
use crate::types::time::{NANOS_PER_MILLI, Time};
use crate::types::units::{Notional, Price, QTY_SCALE, Qty, mul_div_floor, notional_floor};

/// First wait before asking: the report is usually under way.
pub(super) const QUERY_DELAY_NS: i64 = 200 * NANOS_PER_MILLI;

/// Where and when an order is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// Round trip it belongs to.
    pub trade_no: u32,
    /// Mid then; zero = not known.
    pub arrival: Price,
    /// Now.
    pub now: Time,
}

/// How an order came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// This run made it, or took it over for good.
    Sent,
    /// It rested when we came; not judged yet.
    Met,
    /// It rested when we came and is in the way: to be cancelled.
    Stray,
}

/// One order as far as we know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// What was asked for.
    pub ask: NewOrder,
    /// Trigger of a stop; zero = none.
    pub stop_price: Price,
    /// Round trip it belongs to.
    pub trade_no: u32,
    /// Mid when it was made; zero = not known.
    pub arrival: Price,
    /// Where it stands.
    pub status: OrderStatus,
    /// Why it ended.
    pub reason: Reason,
    /// Booked fills.
    pub filled: Qty,
    /// When a cancel went out; NONE = none is under way.
    pub cancel_sent: Time,
    /// Value of the booked fills.
    pub value: Notional,
    /// Filled by the venue's word or by booked fills, whichever is more.
    pub cum: Qty,
    /// Venue's error code, 0 = none.
    pub code: i32,
    /// The venue's number; 0 = not known.
    pub venue_order_id: VenueOrderId,
    /// The venue's list number; 0 = none.
    pub list_id: i64,
    /// When the engine made it.
    pub created: Time,
    /// When the venue first spoke of it; NONE = not yet.
    pub acked: Time,
    /// When it ended; NONE = not yet.
    pub done: Time,
    /// When the venue is asked about it next; NONE = nothing to ask.
    pub ask_at: Time,
    /// Questions asked since the doubt began.
    pub asked: u32,
    /// How it came to us.
    pub standing: Standing,
}

impl Order {
    /// An order just made.
    pub(super) fn new(ask: NewOrder, stop_price: Price, origin: Origin) -> Order {
        Order {
            ask,
            stop_price,
            trade_no: origin.trade_no,
            arrival: origin.arrival,
            status: OrderStatus::Pending,
            reason: Reason::None,
            filled: Qty::ZERO,
            cancel_sent: Time::NONE,
            value: Notional::ZERO,
            cum: Qty::ZERO,
            code: 0,
            venue_order_id: VenueOrderId(0),
            list_id: 0,
            created: origin.now,
            acked: Time::NONE,
            done: Time::NONE,
            ask_at: Time::NONE,
            asked: 0,
            standing: Standing::Sent,
        }
    }
    /// An order that rested when we came; what it has filled is booked.
    pub(super) fn met(ask: NewOrder, found: &RestingOrder, origin: Origin) -> Order {
        let part = found.cum_qty.0 > 0;
        Order {
            status: if part { OrderStatus::Partly } else { OrderStatus::Working },
            filled: found.cum_qty,
            cum: found.cum_qty,
            venue_order_id: found.venue_order_id,
            list_id: found.list_id,
            acked: origin.now,
            standing: Standing::Met,
            ..Order::new(ask, found.stop_price, origin)
        }
    }
    /// Whether nothing more is expected: ended, and every fill it was told to have is booked.
    pub(super) fn is_settled(&self) -> bool {
        self.status.is_done() && self.cum <= self.filled
    }
    /// The most that may still execute, or did without our having its fill.
    pub(super) fn reserve(&self) -> Qty {
        let end = if self.status.is_done() { self.cum } else { self.ask.qty };
        Qty(end.0.saturating_sub(self.filled.0).max(0))
    }
    /// Whether the venue holds it live, by its own last word.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.status, OrderStatus::Working | OrderStatus::Partly)
    }
    /// Whether the venue ever spoke of it.
    pub(super) fn is_known(&self) -> bool {
        self.acked != Time::NONE
    }
    /// How to cancel it: by the venue's number where we have it.
    pub(super) fn cancel(&self) -> CancelOrder {
        CancelOrder { target: self.ask.id, venue_order_id: self.venue_order_id }
    }
    /// The order as the ledger keeps it.
    pub(super) fn row(&self) -> OrderRow {
        let avg = mul_div_floor(self.value.0, QTY_SCALE, self.filled.0).map_or(Price::ZERO, Price);
        let tranche = if let Leg::Entry(tranche) = self.ask.id.leg { tranche } else { 0 };
        OrderRow {
            id: self.ask.id,
            venue_order_id: self.venue_order_id,
            list_id: self.list_id,
            trade_no: self.trade_no,
            side: self.ask.side,
            kind: self.ask.kind,
            tif: self.ask.tif,
            purpose: self.ask.purpose,
            tranche,
            status: self.status,
            reason: self.reason,
            code: self.code,
            price: self.ask.price,
            stop_price: self.stop_price,
            qty: self.ask.qty,
            cum_qty: self.filled,
            avg_px: avg,
            created: self.created,
            acked: self.acked,
            done: self.done,
        }
    }
    /// Adds a fill.
    pub(super) fn book(&mut self, fill: &ExecutionReport) {
        let value = notional_floor(fill.last_px, fill.last_qty).unwrap_or(Notional::ZERO);
        self.filled = Qty(self.filled.0.saturating_add(fill.last_qty.0));
        self.value = Notional(self.value.0.saturating_add(value.0));
        self.cum = self.cum.max(self.filled);
    }
    /// The venue is to be asked, unless it already is.
    pub(super) fn doubt(&mut self, now: Time) {
        if self.ask_at == Time::NONE {
            self.ask_at = now.plus(QUERY_DELAY_NS);
            self.asked = 0;
        }
    }
    /// Moves to a state and notes when it ended.
    pub(super) fn set_status(&mut self, status: OrderStatus, now: Time) {
        self.status = status;
        if status.is_done() && self.done == Time::NONE {
            self.done = now;
        }
        if !status.is_done() {
            self.done = Time::NONE;
        }
    }
    /// Takes over what a report says beside the state.
    pub(super) fn learn(&mut self, report: &ExecutionReport, told: Told, now: Time) {
        use Told as T;
        let silent = [T::NoAnswer, T::NotFound, T::NotFoundProven, T::CancelRejected, T::CancelUnheard];
        let venue_spoke = !silent.contains(&told);
        if venue_spoke {
            if self.acked == Time::NONE {
                self.acked = now;
            }
            self.cum = self.cum.max(report.cum_qty.min(self.ask.qty));
        }
        if report.venue_order_id.0 != 0 {
            self.venue_order_id = report.venue_order_id;
        }
        if report.list_id > 0 {
            self.list_id = report.list_id;
        }
        let of_cancel = told == T::CancelUnheard; // says why the cancel was not, not why the order is
        if report.reason != Reason::None && report.kind != ExecKind::Fill && !of_cancel {
            self.reason = report.reason;
        }
        if report.code != 0 && !of_cancel {
            self.code = report.code;
        }
        if self.status.is_done() {
            self.cancel_sent = Time::NONE;
        }
    }
}
