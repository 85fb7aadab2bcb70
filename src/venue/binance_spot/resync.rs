//! Reconciling with the venue: everything asked at once, compared with what was told, the difference told.
//!
//! Thread: any.  Invariants: the account's events flow before anything is asked, and are told as they come, so nothing
//! falls between question and event; trading begins (the stream is told as up) only when all answers are told; an audit
//! tells a difference only if a second look sees it too, because an event may be slower than an answer.
//!
//! A look asks for balances and open orders; when these are in, for open lists and for our trades from the last known
//! number on. An order that we hold for live and that is not open is asked for by name, an order behind a trade that we
//! do not know by number. Looks follow the subscription, every doubt and every end of one, and the clock.

use super::answer;
use super::budget::Cost;
use super::inflight::Asked;
use super::rest::{self, OpenOrder};
use super::table::{NEVER, Phase};
use super::tell::Source;
use super::trade::{Io, Stage, TradeSession};
use crate::types::event::{EventKind, StreamState};
use crate::types::note::Hold;
use crate::types::reconcile::{ReconcileTrigger, Reconciled};
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::{ClientOrderId, Notional, Qty, Time};
use crate::venue::DecodeError;

/// Between two audits of a healthy session.
const AUDIT_NS: i64 = 60 * NANOS_PER_SEC;
/// Weight of a look that finds nothing.
const LOOK_WEIGHT: u32 = 20 + 6 + 6 + 20;
/// How long an event may be slower than an answer that tells the same.
const GRACE_NS: i64 = 300 * NANOS_PER_MILLI;
/// After a refused question.
const PUT_OFF_NS: i64 = 5 * NANOS_PER_SEC;
/// A look that is not complete by then is begun anew.
const LOOK_NS_MAX: i64 = 10 * NANOS_PER_SEC;
/// Trades in one answer, as asked for.
pub(super) const TRADES_PER_PAGE: u32 = 1_000;
/// Orders of others whose trades were met, remembered.
const FOREIGN_MAX: usize = 64;
/// Orders asked for by number at a time.
const NUMBERS_MAX: usize = 16;

/// A part of a look whose answer is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Not asked yet.
    Later,
    /// Asked.
    Asked,
    /// Answered and told.
    Done,
}

/// The look under way and when the next one is due.
#[derive(Debug)]
pub(super) struct Look {
    trigger: ReconcileTrigger,
    running: bool,
    /// Differences are told; else they are only noticed.
    firm: bool,
    begun: Time,
    account: Part,
    orders: Part,
    lists: Part,
    trades: Part,
    /// Noticed something that a second look must confirm.
    suspicious: bool,
    fills: u16,
    ended: u16,
    cash: Notional,
    base: Qty,
    /// Events of the account so far, and when the look began.
    events: u64,
    events_at_begin: u64,
    /// Number of this look, so that a row knows whether it was seen in it.
    number: u32,
    next_at: Time,
    next_trigger: ReconcileTrigger,
    next_firm: bool,
    was_ready: bool,
    /// Our trades up to this number are told.
    trades_known_to: i64,
    trades_listed_to: i64,
    numbers: Vec<i64>,
    foreign: Vec<i64>,
    foreign_cursor: usize,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            trigger: ReconcileTrigger::Start,
            running: false,
            firm: true,
            begun: Time::NONE,
            account: Part::Later,
            orders: Part::Later,
            lists: Part::Later,
            trades: Part::Later,
            suspicious: false,
            fills: 0,
            ended: 0,
            cash: Notional::ZERO,
            base: Qty::ZERO,
            events: 0,
            events_at_begin: 0,
            number: 0,
            next_at: NEVER,
            next_trigger: ReconcileTrigger::Audit,
            next_firm: false,
            was_ready: false,
            trades_known_to: 0,
            trades_listed_to: 0,
            numbers: Vec::with_capacity(NUMBERS_MAX),
            foreign: vec![0; FOREIGN_MAX],
            foreign_cursor: 0,
        }
    }
}

impl Look {
    /// Our trades up to `number` were booked before this session.
    pub(super) fn know_trades_to(&mut self, number: i64) {
        self.trades_known_to = number;
    }
    /// An event of the account came.
    pub(super) fn on_event(&mut self) {
        self.events += 1;
    }
    /// The connection is gone: nothing is awaited any more.
    pub(super) fn stop(&mut self) {
        (self.running, self.next_at) = (false, NEVER);
        self.numbers.clear();
    }
    /// A fill was told that no event had told.
    pub(super) fn count_fill(&mut self) {
        self.fills = self.fills.saturating_add(u16::from(self.running));
    }
    /// An order that we held for live had ended.
    pub(super) fn count_end(&mut self) {
        self.ended = self.ended.saturating_add(u16::from(self.running));
    }
    /// Wants a look at `at`, unless an earlier one is wanted.
    pub(super) fn want(&mut self, trigger: ReconcileTrigger, at: Time) {
        if at < self.next_at {
            (self.next_at, self.next_trigger, self.next_firm) = (at, trigger, false);
        }
    }
    /// A question of an audit was refused: later, then.
    pub(super) fn put_off(&mut self, now: Time) {
        self.stop();
        (self.next_at, self.next_trigger, self.next_firm) = (now.plus(PUT_OFF_NS), self.trigger, self.firm);
    }
    fn is_foreign(&self, number: i64) -> bool {
        self.foreign.contains(&number)
    }
    fn note_foreign(&mut self, number: i64) {
        if let Some(slot) = self.foreign.get_mut(self.foreign_cursor) {
            *slot = number;
        }
        self.foreign_cursor = (self.foreign_cursor + 1) % FOREIGN_MAX;
    }
}

impl TradeSession {
    /// The account's events flow from here on: asks for the truth that they start from.
    pub(super) fn begin_resync(&mut self, io: &mut Io<'_>) {
        self.stage = Stage::Resyncing;
        self.session_began();
        let trigger = if self.look.was_ready { ReconcileTrigger::Reconnect } else { ReconcileTrigger::Start };
        self.begin_look(trigger, true, io);
    }

    fn begin_look(&mut self, trigger: ReconcileTrigger, firm: bool, io: &mut Io<'_>) {
        let look = &mut self.look;
        (look.trigger, look.firm, look.running, look.begun) = (trigger, firm, true, io.now);
        (look.suspicious, look.fills, look.ended, look.next_at) = (false, 0, 0, NEVER);
        (look.account, look.orders, look.lists, look.trades) = (Part::Asked, Part::Asked, Part::Later, Part::Later);
        look.events_at_begin = look.events;
        look.number = look.number.wrapping_add(1);
        look.numbers.clear();
        for at in 0..self.orders.len() {
            if let Some(row) = self.orders.row_mut(at) {
                row.resync = firm && row.phase != Phase::Done;
            }
        }
        self.ask(Asked::Account, io);
        self.ask(Asked::OpenOrders, io);
    }

    /// Begins a look whose time has come, and one anew that was not answered.
    pub(super) fn keep_looking(&mut self, io: &mut Io<'_>) {
        let is_stuck = self.look.running && io.now.since(self.look.begun) > LOOK_NS_MAX;
        if is_stuck && self.stage >= Stage::Resyncing {
            return self.begin_look(self.look.trigger, self.look.firm, io);
        }
        if self.stage != Stage::Ready || self.look.running || io.now < self.look.next_at {
            return;
        }
        // An audit never takes what an order may need.
        let venue_now = self.clock.venue_time(io.now);
        if self.budget.held(io.now) != Hold::None
            || !self.budget.has_room_for_entry(Cost::one(LOOK_WEIGHT, 0), venue_now)
        {
            self.look.next_at = io.now.plus(NANOS_PER_SEC);
            return;
        }
        self.begin_look(self.look.next_trigger, self.look.next_firm, io);
    }

    /// The balances are told.
    pub(super) fn account_answered(&mut self, cash: Notional, base: Qty) {
        (self.look.cash, self.look.base, self.look.account) = (cash, base, Part::Done);
    }

    /// `openOrders.status`: what rests.
    pub(super) fn on_open_orders(&mut self, frame: &[u8], at: usize, io: &mut Io<'_>) -> Result<(), DecodeError> {
        answer::elements(frame, at, |at| {
            let found = rest::order_at(frame, at)?;
            if let Some(id) = found.id {
                self.on_open_order(frame, at, id, &found, io)?;
            }
            Ok(())
        })?;
        for at in 0..self.orders.len() {
            self.check_unseen(at, io.now);
        }
        (self.look.orders, self.look.lists, self.look.trades) = (Part::Done, Part::Asked, Part::Asked);
        self.look.trades_listed_to = self.look.trades_known_to;
        self.ask(Asked::OpenLists, io);
        self.ask(Asked::TradesFrom(self.look.trades_known_to + 1), io);
        Ok(())
    }

    fn on_open_order(
        &mut self,
        frame: &[u8],
        at: usize,
        id: ClientOrderId,
        found: &OpenOrder,
        io: &mut Io<'_>,
    ) -> Result<(), DecodeError> {
        let Some(row_at) = self.orders.find(id) else {
            if self.look.firm {
                self.meet(frame, at, found, io)?;
            } else {
                self.look.suspicious = true;
            }
            return Ok(());
        };
        let (begun, number) = (self.look.begun, self.look.number);
        let Some(row) = self.orders.row_mut(row_at) else { return Ok(()) };
        row.seen = number;
        if row.changed >= begun {
            row.resync = false; // told since the question was asked
            return Ok(());
        }
        let (phase, is_news) = (row.phase, row.cum_qty != found.cum_qty);
        if phase == Phase::Done {
            if self.look.firm {
                self.orders.plan_query(row_at, io.now);
            }
            self.look.suspicious |= !self.look.firm;
        } else if phase == Phase::Sent || self.look.firm {
            self.tell_state(row_at, &answer::answer(frame, at)?, Source::Query(false), io);
        } else {
            self.look.suspicious |= is_news;
        }
        Ok(())
    }

    /// An order of ours that this session never sent: the engine hears of it, then how it stands.
    fn meet(&mut self, frame: &[u8], at: usize, found: &OpenOrder, io: &mut Io<'_>) -> Result<(), DecodeError> {
        let Some(resting) = found.resting() else { return Ok(()) };
        let row_at = self.orders.open(resting.id, resting.side);
        if let Some(row) = self.orders.row_mut(row_at) {
            (row.qty, row.phase, row.seen) = (resting.qty, Phase::Live, self.look.number);
        }
        io.event(EventKind::Resting(resting), Time::NONE);
        self.tell_state(row_at, &answer::answer(frame, at)?, Source::Query(false), io);
        Ok(())
    }

    /// An order that we hold for live and that did not rest is asked for by name.
    fn check_unseen(&mut self, at: usize, now: Time) {
        let (begun, number, firm) = (self.look.begun, self.look.number, self.look.firm);
        let Some(row) = self.orders.row_mut(at) else { return };
        if row.phase == Phase::Done || row.seen == number {
            return;
        }
        if row.changed >= begun {
            row.resync = false;
        } else if firm {
            row.resync = true;
            self.orders.plan_query(at, now);
        } else {
            self.look.suspicious |= row.phase == Phase::Live;
        }
    }

    /// `openOrderLists.status`: a leg of a list of ours that the open orders did not name is asked for.
    pub(super) fn on_open_lists(&mut self, frame: &[u8], at: usize, io: &mut Io<'_>) -> Result<(), DecodeError> {
        let number = self.look.number;
        answer::elements(frame, at, |at| {
            let head = answer::answer(frame, at)?;
            let ours = ClientOrderId::parse(head.list_client).is_some();
            let Some(orders_at) = head.orders_at.filter(|_| ours) else { return Ok(()) };
            answer::elements(frame, orders_at, |at| {
                let leg = answer::answer(frame, at)?;
                let known = ClientOrderId::parse(leg.client).and_then(|id| self.orders.find(id));
                let Some(row_at) = known else { return Ok(()) };
                let unseen = |row: &&super::table::Row| row.seen != number && row.phase != Phase::Done;
                if self.orders.row(row_at).filter(unseen).is_some() {
                    self.orders.plan_query(row_at, io.now);
                }
                Ok(())
            })
        })?;
        self.look.lists = Part::Done;
        Ok(())
    }

    /// `myTrades` from a number on: fills that no event told.
    pub(super) fn on_trades_from(&mut self, frame: &[u8], at: usize, io: &mut Io<'_>) -> Result<(), DecodeError> {
        let mut count = 0;
        answer::elements(frame, at, |at| {
            let fill = answer::fill(frame, at, &self.instrument)?;
            count += 1;
            self.look.trades_listed_to = self.look.trades_listed_to.max(fill.trade_id);
            if self.orders.knows_trade(fill.trade_id) || self.look.is_foreign(fill.order_id) {
                return Ok(());
            }
            match self.orders.find_number(fill.order_id) {
                Some(_) if !self.look.firm => self.look.suspicious = true,
                Some(row_at) => self.orders.plan_trades(row_at, io.now),
                None => self.ask_for_number(fill.order_id, io),
            }
            Ok(())
        })?;
        if count >= TRADES_PER_PAGE {
            self.ask(Asked::TradesFrom(self.look.trades_listed_to + 1), io);
        } else {
            self.look.trades = Part::Done;
        }
        Ok(())
    }

    fn ask_for_number(&mut self, number: i64, io: &mut Io<'_>) {
        if self.look.numbers.contains(&number) {
            return;
        }
        if self.look.numbers.len() < NUMBERS_MAX {
            self.look.numbers.push(number);
            self.ask(Asked::OrderNumber(number), io);
        } else {
            self.look.suspicious = true; // the next look asks for the rest
        }
    }

    /// The order behind a trade that no order of ours is known to have made.
    pub(super) fn on_order_number(
        &mut self,
        frame: &[u8],
        at: usize,
        number: i64,
        io: &mut Io<'_>,
    ) -> Result<(), DecodeError> {
        let found = rest::order_at(frame, at)?;
        self.look.numbers.retain(|asked| *asked != number);
        match found.id {
            None => self.look.note_foreign(number),
            Some(_) if !self.look.firm => self.look.suspicious = true,
            Some(id) => {
                if self.orders.find(id).is_none() {
                    self.meet(frame, at, &found, io)?;
                }
                if let Some(row_at) = self.orders.find(id) {
                    self.orders.plan_trades(row_at, io.now);
                }
            }
        }
        Ok(())
    }

    /// Ends the look once nothing is missing, and begins to trade if it was the session's first.
    pub(super) fn end_look(&mut self, io: &mut Io<'_>) {
        let look = &self.look;
        let is_told = [look.account, look.orders, look.lists, look.trades].iter().all(|part| *part == Part::Done);
        if !look.running || !is_told || !look.numbers.is_empty() {
            return;
        }
        let is_missing = |at| {
            let row = self.orders.row(at)?;
            Some(look.firm && (row.resync || row.trades_at != NEVER))
        };
        if (0..self.orders.len()).filter_map(is_missing).any(|missing| missing) {
            return;
        }
        let (firm, suspicious, trigger) = (look.firm, look.suspicious, look.trigger);
        self.look.running = false;
        if suspicious && !firm {
            (self.look.next_at, self.look.next_trigger, self.look.next_firm) = (io.now.plus(GRACE_NS), trigger, true);
            return;
        }
        self.tell_reconciled(io);
        self.look.want(ReconcileTrigger::Audit, io.now.plus(AUDIT_NS));
        if suspicious {
            self.look.want(trigger, io.now.plus(GRACE_NS)); // more orders of others than one look asks for
        } else {
            self.look.trades_known_to = self.look.trades_listed_to;
        }
        if self.stage == Stage::Resyncing {
            (self.stage, self.look.was_ready) = (Stage::Ready, true);
            self.tell_stream(StreamState::Up, io);
        }
    }

    fn tell_reconciled(&mut self, io: &mut Io<'_>) {
        let look = &self.look;
        let found = Reconciled {
            trigger: look.trigger,
            fills: look.fills,
            ended: look.ended,
            cash: look.cash,
            base: look.base,
            is_quiet: look.events == look.events_at_begin,
        };
        io.event(EventKind::Reconciled(found), Time::NONE);
    }
}
