//! One account: balances, order counts, its trades, and which client ids live.
//!
//! Thread: any.  Invariants: `free` and `locked` of a customer are never negative; the house may owe.

use super::order::{AccountTrade, Amount};
use super::request::OrderCount;
use crate::types::time::{NANOS_PER_DAY, NANOS_PER_SEC, Time};
use std::collections::{BTreeMap, VecDeque};

/// Trades of one account that queries still find.
pub(super) const ACCOUNT_TRADES_KEPT_MAX: usize = 100_000;
/// What the unfilled-order count gives back at an order's first fill as taker.
const COUNT_BACK_TAKER: u32 = 1;
/// The same as maker: the venue's documented example.
const COUNT_BACK_MAKER: u32 = 5;

/// One asset of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Balance {
    pub(super) free: Amount,
    pub(super) locked: Amount,
    /// Changed since the account was last told.
    pub(super) changed: bool,
}

/// Unfilled-order count over one window that is aligned to the clock.
#[derive(Clone, Copy, Debug)]
struct Window {
    interval: &'static str,
    interval_num: u32,
    text: &'static str,
    nanos: i64,
    limit: u32,
    index: i64,
    count: u32,
}

/// Both windows.
#[derive(Clone, Debug)]
pub(super) struct OrderCounts {
    windows: [Window; 2],
}

impl OrderCounts {
    pub(super) fn new(per_10s: u32, per_day: u32) -> OrderCounts {
        let window = |interval, interval_num, text, nanos, limit| Window {
            interval,
            interval_num,
            text,
            nanos,
            limit,
            index: 0,
            count: 0,
        };
        OrderCounts {
            windows: [
                window("SECOND", 10, "10 SECOND", 10 * NANOS_PER_SEC, per_10s),
                window("DAY", 1, "1 DAY", NANOS_PER_DAY, per_day),
            ],
        }
    }
    /// Forgets counts of windows that are over.
    pub(super) fn roll(&mut self, now: Time) {
        for window in &mut self.windows {
            let index = now.0.div_euclid(window.nanos);
            if index != window.index {
                (window.index, window.count) = (index, 0);
            }
        }
    }
    /// The window, as limit and text, that `more` orders would overfill.
    pub(super) fn over(&self, more: u32) -> Option<(u32, &'static str)> {
        let over = |window: &&Window| window.count.saturating_add(more) > window.limit;
        self.windows.iter().rev().find(over).map(|window| (window.limit, window.text))
    }
    pub(super) fn add(&mut self, more: u32) {
        for window in &mut self.windows {
            window.count = window.count.saturating_add(more);
        }
    }
    /// First fill of an order gives back; never below zero.
    pub(super) fn give_back(&mut self, as_maker: bool) {
        for window in &mut self.windows {
            window.count = window.count.saturating_sub(if as_maker { COUNT_BACK_MAKER } else { COUNT_BACK_TAKER });
        }
    }
    pub(super) fn view(&self) -> [OrderCount; 2] {
        self.windows.map(|window| OrderCount {
            interval: window.interval,
            interval_num: window.interval_num,
            limit: window.limit,
            count: window.count,
        })
    }
}

/// One account.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// By asset number.
    pub(super) balances: Vec<Balance>,
    pub(super) counts: OrderCounts,
    pub(super) updated: Time,
    /// Client id to number, of live orders.
    pub(super) live: BTreeMap<String, i64>,
    pub(super) trades: VecDeque<AccountTrade>,
}

impl Account {
    pub(super) fn new(assets: usize, counts: OrderCounts) -> Account {
        Account {
            balances: vec![Balance::default(); assets],
            counts,
            updated: Time::NONE,
            live: BTreeMap::new(),
            trades: VecDeque::new(),
        }
    }
    /// Adds to the free and the locked part; either may be negative.
    pub(super) fn shift(&mut self, asset: usize, free: i64, locked: i64) {
        let balance = &mut self.balances[asset];
        balance.free.0 += free;
        balance.locked.0 += locked;
        balance.changed |= free != 0 || locked != 0;
    }
    pub(super) fn remember(&mut self, trade: AccountTrade) {
        if self.trades.len() == ACCOUNT_TRADES_KEPT_MAX {
            self.trades.pop_front();
        }
        self.trades.push_back(trade);
    }
}
