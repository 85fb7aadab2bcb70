//! The order table: every order of this run that may still move money, and the last ones that ended.
//!
//! Thread: any.  Invariants: at most [`ORDERS_MAX`] orders, memory taken once; an order leaves the table only when
//! nothing more can come of it; a state moves by [`order_state::on`] alone; no id is ever used twice.

use super::order::{Order, Origin, QUERY_DELAY_NS, Standing};
use super::order_state::{self, Step, Told};
use super::risk::{Approved, ApprovedOco};
use crate::types::command::{CancelList, CancelOrder, CancelReplace, Command, CommandBuf, NewOrder, QueryOrder};
use crate::types::ids::{ClientOrderId, Leg};
use crate::types::order::{ExecutionReport, OrderKind, Purpose, Side, TimeInForce};
use crate::types::record::{OrderStatus, Record};
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC, Time};
use crate::types::units::{Price, Qty};

/// Orders kept. A round trip has at most five live at once: one entry, two pairs of exits, one close.
pub(super) const ORDERS_MAX: usize = 64;
/// Cancels of strays that one step sends.
const STRAYS_PER_STEP_MAX: usize = 8;
/// Questions one step may ask.
const QUERIES_PER_STEP_MAX: usize = 8;
/// Longest wait between two questions.
const QUERY_DELAY_NS_MAX: i64 = 2 * NANOS_PER_SEC;
/// After this from its making, "not found" means "not executed": the request's window plus 10 s, rounded up.
pub(super) const NOT_FOUND_PROOF_NS: i64 = 12 * NANOS_PER_SEC;
/// An order unanswered for so long is asked about, whatever the gateway thinks.
pub(super) const ANSWER_NS_MAX: i64 = 5 * NANOS_PER_SEC;
/// A cancel refused or unanswered may be sent again after this: it does no harm twice, at a bounded rate.
pub(super) const CANCEL_NS_MAX: i64 = 500 * NANOS_PER_MILLI;

/// What a report did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Applied {
    /// The order's state before.
    pub before: OrderStatus,
    /// The order's state now.
    pub after: OrderStatus,
    /// The venue contradicts what we hold for proven: somebody must look.
    pub contradiction: bool,
}

/// The table.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    table: Vec<Order>,
}

impl Orders {
    /// Empty; takes its memory here.
    pub(super) fn new() -> Orders {
        Orders { table: Vec::with_capacity(ORDERS_MAX) }
    }
    /// All orders kept.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Order> {
        self.table.iter()
    }
    /// Orders of which something may still come.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = &Order> {
        self.table.iter().filter(|order| !order.is_settled())
    }
    /// One order; what lives is near the end.
    pub(super) fn get(&self, id: ClientOrderId) -> Option<&Order> {
        self.table.iter().rev().find(|order| order.ask.id == id)
    }
    fn get_mut(&mut self, id: ClientOrderId) -> Option<&mut Order> {
        self.table.iter_mut().rev().find(|order| order.ask.id == id)
    }
    /// Whether `count` more orders fit.
    pub(super) fn has_room(&self, count: usize) -> bool {
        self.unsettled().count() + count <= ORDERS_MAX
    }
    /// The most that live or unknown sells of our coins may still take; the two legs of a pair sell the same coins.
    pub(super) fn sells_reserved(&self) -> Qty {
        let sells = self.unsettled().filter(|order| order.ask.side == Side::Sell);
        sells.fold(Qty::ZERO, |sum, order| Qty(sum.0.saturating_add(self.own_share(order).0)))
    }
    /// The most that live or unknown closes may still take.
    pub(super) fn closes_reserved(&self) -> Qty {
        let closes = self.unsettled().filter(|order| order.ask.id.leg == Leg::Flatten);
        closes.fold(Qty::ZERO, |sum, order| Qty(sum.0.saturating_add(order.reserve().0)))
    }
    /// An order's part of the reserved coins: a pair counts once, at its take-profit while that is unsettled.
    fn own_share(&self, order: &Order) -> Qty {
        let id = order.ask.id;
        let sibling = |leg| self.get(ClientOrderId { leg, ..id }).filter(|other| !other.is_settled());
        match id.leg {
            Leg::TakeProfit(slot) => sibling(Leg::Stop(slot)).map_or(Qty::ZERO, Order::reserve).max(order.reserve()),
            Leg::Stop(slot) if sibling(Leg::TakeProfit(slot)).is_some() => Qty::ZERO,
            _ => order.reserve(),
        }
    }

    /// Makes an order: the only place that sends one. The table must have room.
    pub(super) fn open(&mut self, approved: Approved, origin: Origin, out: &mut CommandBuf) -> ClientOrderId {
        let new = approved.order();
        let order = self.insert(new, Price::ZERO, origin);
        out.push(Command::Place(new));
        out.push(Command::Record(Record::Order(order.row())));
        new.id
    }
    /// Makes an order that the venue sends on only once it has cancelled `cancel`.
    pub(super) fn open_instead(
        &mut self,
        approved: Approved,
        cancel: CancelOrder,
        origin: Origin,
        out: &mut CommandBuf,
    ) {
        let new = approved.order();
        let order = self.insert(new, Price::ZERO, origin);
        out.push(Command::CancelReplace(CancelReplace { cancel, new }));
        out.push(Command::Record(Record::Order(order.row())));
    }
    /// Makes a take-profit and its stop.
    pub(super) fn open_oco(&mut self, approved: ApprovedOco, purpose: Purpose, origin: Origin, out: &mut CommandBuf) {
        let oco = approved.oco();
        let stop_kind = if oco.stop_limit.0 == 0 { OrderKind::StopLoss } else { OrderKind::StopLossLimit };
        let tif = TimeInForce::Gtc;
        let (side, qty) = (Side::Sell, oco.qty);
        let tp =
            NewOrder { id: oco.take_profit, side, kind: OrderKind::LimitMaker, tif, price: oco.tp_price, qty, purpose };
        let stop =
            NewOrder { id: oco.stop, side, kind: stop_kind, tif, price: oco.stop_limit, qty, purpose: Purpose::Stop };
        out.push(Command::PlaceOco(oco));
        for (new, stop_price) in [(tp, Price::ZERO), (stop, oco.stop_price)] {
            let order = self.insert(new, stop_price, origin);
            out.push(Command::Record(Record::Order(order.row())));
        }
    }
    fn insert(&mut self, ask: NewOrder, stop_price: Price, origin: Origin) -> Order {
        self.put(Order::new(ask, stop_price, origin))
    }
    /// Takes in an order that this run did not make. The table must have room.
    pub(super) fn meet(&mut self, order: Order) {
        self.put(order);
    }
    /// Judges an order that was met; `None` if there is no such order.
    pub(super) fn place_met(&mut self, id: ClientOrderId, standing: Standing) -> Option<Order> {
        let order = self.get_mut(id)?;
        order.standing = standing;
        Some(*order)
    }
    /// Cancels every stray whose cancel is not under way.
    pub(super) fn cancel_strays(&mut self, now: Time, out: &mut CommandBuf) {
        let is_due = |order: &&mut Order| {
            order.standing == Standing::Stray && !order.status.is_done() && order.cancel_sent == Time::NONE
        };
        for order in self.table.iter_mut().filter(is_due).take(STRAYS_PER_STEP_MAX) {
            order.cancel_sent = now;
            out.push(Command::Cancel(order.cancel()));
        }
    }
    fn put(&mut self, order: Order) -> Order {
        assert!(self.get(order.ask.id).is_none(), "an order id is never reused");
        if self.table.len() == ORDERS_MAX {
            let oldest = self.table.iter().enumerate().filter(|(_, order)| order.is_settled());
            if let Some((at, _)) = oldest.min_by_key(|(_, order)| (order.done, order.ask.id)) {
                self.table.remove(at);
            }
        }
        assert!(self.table.len() < ORDERS_MAX, "the order table has room");
        self.table.push(order);
        order
    }

    /// Cancels a pair, both legs, by its list, unless that is under way or nothing is left to cancel.
    /// Asks once: a repeat must wait for [`Orders::forget_old_requests`].
    pub(super) fn cancel_pair(&mut self, list: ClientOrderId, now: Time, out: &mut CommandBuf) {
        let Leg::List(slot) = list.leg else { return };
        let take_profit = ClientOrderId { leg: Leg::TakeProfit(slot), ..list };
        let stop = ClientOrderId { leg: Leg::Stop(slot), ..list };
        if self.is_canceling(take_profit) || self.is_canceling(stop) {
            return;
        }
        let mut list_id = 0;
        let mut is_open = false;
        for id in [take_profit, stop] {
            if let Some(order) = self.get_mut(id).filter(|order| !order.status.is_done()) {
                list_id = list_id.max(order.list_id);
                order.cancel_sent = now;
                is_open = true;
            }
        }
        if is_open {
            out.push(Command::CancelList(CancelList { list, list_id, take_profit, stop }));
        }
    }
    /// Notes that a cancel of everything went out.
    pub(super) fn cancel_sent_to_all(&mut self, now: Time) {
        for order in self.table.iter_mut().filter(|order| !order.status.is_done()) {
            order.cancel_sent = now;
        }
    }
    /// Whether a cancel of this order is under way.
    pub(super) fn is_canceling(&self, id: ClientOrderId) -> bool {
        self.get(id).is_some_and(|order| !order.status.is_done() && order.cancel_sent != Time::NONE)
    }
    /// Marks both legs' cancel as under way: a cancel-replace of one leg takes the other with it.
    pub(super) fn mark_pair_canceling(&mut self, list: ClientOrderId, now: Time) {
        let Leg::List(slot) = list.leg else { return };
        for leg in [Leg::TakeProfit(slot), Leg::Stop(slot)] {
            if let Some(order) = self.get_mut(ClientOrderId { leg, ..list }) {
                order.cancel_sent = now;
            }
        }
    }

    /// Moves an order's state by a report and, if `fill_is_new`, books its fill; `None` if we do not know the order.
    pub(super) fn apply(
        &mut self,
        report: &ExecutionReport,
        fill_is_new: bool,
        now: Time,
        out: &mut CommandBuf,
    ) -> Option<Applied> {
        let order = self.get_mut(report.id)?;
        let proven = !order.is_known() && order.filled.0 == 0 && now.since(order.created) >= NOT_FOUND_PROOF_NS;
        let told = Told::of(report, order.ask.qty, proven);
        let before = order.row();
        let is_refused = order.status == OrderStatus::Rejected; // then "not found" is the same word again
        let is_gone = told == Told::NotFound && order.is_known() && !is_refused;
        let mut contradiction = report.cum_qty > order.ask.qty || is_gone;
        if fill_is_new {
            order.book(report);
        }
        match order_state::on(order.status, told) {
            Step::To(status) => order.set_status(status, now),
            Step::Revived(status) => {
                order.set_status(status, now);
                contradiction = true;
                if matches!(report.id.leg, Leg::TakeProfit(_) | Leg::Stop(_)) {
                    order.standing = Standing::Stray; // its slot may have gone on without it
                }
            }
            Step::Stay | Step::LateFill => {}
        }
        order.learn(report, told, now);
        let answered =
            !matches!(told, Told::New | Told::FillPart | Told::CancelRejected | Told::CancelUnheard | Told::NoAnswer);
        let is_booked = order.cum <= order.filled;
        if order.is_settled() || (order.is_live() && answered && is_booked) {
            order.ask_at = Time::NONE;
        } else if order.status == OrderStatus::Unknown || order.status.is_done() || !is_booked {
            order.doubt(now);
        }
        contradiction |= order.filled > order.ask.qty;
        let (after, has_filled) = (order.row(), fill_is_new);
        if after != before {
            out.push(Command::Record(Record::Order(after)));
        }
        if has_filled {
            self.doubt_sibling(report.id, now);
        }
        Some(Applied { before: before.status, after: after.status, contradiction })
    }
    /// A leg that fills ends its partner: if nobody says so, ask.
    fn doubt_sibling(&mut self, id: ClientOrderId, now: Time) {
        let leg = match id.leg {
            Leg::TakeProfit(slot) => Leg::Stop(slot),
            Leg::Stop(slot) => Leg::TakeProfit(slot),
            _ => return,
        };
        if let Some(sibling) = self.get_mut(ClientOrderId { leg, ..id }).filter(|order| !order.is_settled()) {
            sibling.doubt(now);
        }
    }

    /// Asks about every order whose turn has come. True if one has been in doubt past all patience.
    pub(super) fn ask_due(&mut self, now: Time, out: &mut CommandBuf) -> bool {
        let mut overdue = false;
        let due = |order: &&mut Order| order.ask_at != Time::NONE && order.ask_at <= now;
        for order in self.table.iter_mut().filter(due).take(QUERIES_PER_STEP_MAX) {
            out.push(Command::Query(QueryOrder { target: order.ask.id, venue_order_id: order.venue_order_id }));
            order.asked = order.asked.saturating_add(1);
            let wait = QUERY_DELAY_NS.saturating_mul(1 << order.asked.min(4));
            order.ask_at = now.plus(wait.min(QUERY_DELAY_NS_MAX));
            overdue |= order.asked == 12; // 0.2 + 0.4 + 0.8 + 1.6 + 8 x 2 s: once, well past the proof's deadline
        }
        overdue
    }
    /// When the next question is due; NONE = none is.
    pub(super) fn next_ask(&self) -> Time {
        let times = self.table.iter().map(|order| order.ask_at).filter(|at| *at != Time::NONE);
        times.min().unwrap_or(Time::NONE)
    }
    /// After the order stream came back: asks about everything that may still move, at once.
    pub(super) fn ask_all(&mut self, now: Time) {
        for order in self.table.iter_mut().filter(|order| !order.is_settled()) {
            order.ask_at = now;
            order.asked = 0;
        }
    }
    /// Requests that nobody answered: an order becomes unknown, a cancel may be repeated; both are asked about.
    pub(super) fn forget_old_requests(&mut self, now: Time, out: &mut CommandBuf) {
        for order in self.table.iter_mut().filter(|order| !order.status.is_done()) {
            if order.cancel_sent != Time::NONE && now.since(order.cancel_sent) >= CANCEL_NS_MAX {
                order.cancel_sent = Time::NONE;
                order.doubt(now);
            }
            if order.status == OrderStatus::Pending && now.since(order.created) > ANSWER_NS_MAX {
                order.set_status(OrderStatus::Unknown, now);
                order.doubt(now);
                out.push(Command::Record(Record::Order(order.row())));
            }
        }
    }
}
