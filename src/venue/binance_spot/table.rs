//! Our orders as the session knows them: numbers, what was told, what must be asked.
//!
//! Thread: any.  Invariants: bounded, no allocation after `new`; a row is reused only when its order is done and
//! nothing is left to ask; `told_qty` counts each trade id once.

use crate::types::{ClientOrderId, Qty, Side, Time, VenueOrderId};

/// Orders remembered.
pub const ORDERS_MAX: usize = 512;
/// Trade ids remembered.
const TRADES_MAX: usize = 1_024;
/// "At no time".
pub const NEVER: Time = Time(i64::MAX);

/// Where an order is, as far as the venue told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Sent, or met under a name that we did not send in this life.
    Sent,
    /// The venue has it.
    Live,
    /// The venue said that it ended.
    Done,
}

/// One order.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Our name.
    pub id: ClientOrderId,
    /// The venue's number; 0 = not told.
    pub venue_order_id: VenueOrderId,
    /// The venue's number of its list; 0 = none.
    pub list_id: i64,
    /// Which way.
    pub side: Side,
    /// Size; zero = not known.
    pub qty: Qty,
    /// Sum of the fills told to the engine.
    pub told_qty: Qty,
    /// The venue's largest word on how much is filled.
    pub cum_qty: Qty,
    /// Where it is.
    pub phase: Phase,
    /// Cannot rest (IOC, FOK, market): its end must follow its ack at once.
    pub immediate: bool,
    /// The truth about it is needed before the session is ready.
    pub resync: bool,
    /// When to ask for its status.
    pub query_at: Time,
    /// When to ask for its trades.
    pub trades_at: Time,
    /// How often that was asked in a row.
    pub tries: u32,
    /// When it was sent, or the venue last spoke of it.
    pub changed: Time,
    /// Number of the last look at all orders that saw it.
    pub seen: u32,
    /// Its outcome was told as unknown and is not known since.
    pub doubted: bool,
    /// From then on the venue can no longer accept it; NEVER = that is not known.
    pub expires_at: Time,
    /// How often the venue, asked after that, knew no such order.
    pub absent: u32,
}

/// The table.
#[derive(Debug)]
pub struct OrderTable {
    ids: Vec<ClientOrderId>,
    rows: Vec<Row>,
    cursor: usize,
    trades: Vec<i64>,
    trade_cursor: usize,
    next_due: Time,
}

impl Default for OrderTable {
    fn default() -> Self {
        Self {
            ids: Vec::with_capacity(ORDERS_MAX),
            rows: Vec::with_capacity(ORDERS_MAX),
            cursor: 0,
            trades: vec![0; TRADES_MAX],
            trade_cursor: 0,
            next_due: NEVER,
        }
    }
}

impl OrderTable {
    /// Row number of our order.
    pub fn find(&self, id: ClientOrderId) -> Option<usize> {
        self.ids.iter().position(|known| *known == id)
    }

    /// Row number of the venue's order.
    pub fn find_number(&self, number: i64) -> Option<usize> {
        self.rows.iter().position(|row| number > 0 && row.venue_order_id.0 == number)
    }

    /// Row number of our order, new if it is not known.
    pub fn open(&mut self, id: ClientOrderId, side: Side) -> usize {
        if let Some(at) = self.find(id) {
            return at;
        }
        let row = Row {
            id,
            venue_order_id: VenueOrderId(0),
            list_id: 0,
            side,
            qty: Qty::ZERO,
            told_qty: Qty::ZERO,
            cum_qty: Qty::ZERO,
            phase: Phase::Sent,
            immediate: false,
            resync: false,
            query_at: NEVER,
            trades_at: NEVER,
            tries: 0,
            changed: Time::NONE,
            seen: 0,
            doubted: false,
            expires_at: NEVER,
            absent: 0,
        };
        if self.rows.len() < ORDERS_MAX {
            self.rows.push(row);
            self.ids.push(id);
            return self.rows.len() - 1;
        }
        let free = |at: &usize| self.rows.get(*at).is_some_and(Row::is_over);
        let at = (0..ORDERS_MAX).map(|step| (self.cursor + step) % ORDERS_MAX).find(free).unwrap_or(self.cursor);
        self.cursor = (at + 1) % ORDERS_MAX;
        if let (Some(old), Some(old_id)) = (self.rows.get_mut(at), self.ids.get_mut(at)) {
            (*old, *old_id) = (row, id);
        }
        at
    }

    /// A row.
    pub fn row(&self, at: usize) -> Option<&Row> {
        self.rows.get(at)
    }

    /// A row, to change.
    pub fn row_mut(&mut self, at: usize) -> Option<&mut Row> {
        self.rows.get_mut(at)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Asks for the order's status at `at`, unless that is planned earlier.
    pub fn plan_query(&mut self, row_at: usize, at: Time) {
        if let Some(row) = self.rows.get_mut(row_at) {
            row.query_at = row.query_at.min(at);
            self.next_due = self.next_due.min(at);
        }
    }

    /// Asks for the order's trades at `at`, unless that is planned earlier.
    pub fn plan_trades(&mut self, row_at: usize, at: Time) {
        if let Some(row) = self.rows.get_mut(row_at) {
            row.trades_at = row.trades_at.min(at);
            self.next_due = self.next_due.min(at);
        }
    }

    /// Whether anything is to be asked at `now`.
    pub fn is_due(&self, now: Time) -> bool {
        now >= self.next_due
    }

    /// Finds the next deadline anew, after those that were due have been moved.
    pub fn rest(&mut self) {
        self.next_due = self.rows.iter().map(|row| row.query_at.min(row.trades_at)).min().unwrap_or(NEVER);
    }

    /// Whether a trade was told before.
    pub fn knows_trade(&self, trade_id: i64) -> bool {
        self.trades.contains(&trade_id)
    }

    /// Remembers a trade; false if it was told before.
    pub fn is_new_trade(&mut self, trade_id: i64) -> bool {
        if self.trades.contains(&trade_id) {
            return false;
        }
        if let Some(slot) = self.trades.get_mut(self.trade_cursor) {
            *slot = trade_id;
        }
        self.trade_cursor = (self.trade_cursor + 1) % TRADES_MAX;
        true
    }
}

impl Row {
    /// The venue spoke of it.
    pub fn heard(&mut self, now: Time) {
        (self.changed, self.expires_at) = (now, NEVER);
    }
    /// Nothing more is expected of it.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Done && self.query_at == NEVER && self.trades_at == NEVER
    }
    /// Part that is not filled.
    pub fn open_qty(&self, cum_qty: Qty) -> Qty {
        Qty(self.qty.0.saturating_sub(cum_qty.0).max(0))
    }
}
