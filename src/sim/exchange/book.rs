//! One symbol's order book: price-time priority, update numbers, depth diffs.
//!
//! Thread: any.  Invariants: a level's total is the sum of its orders' open sizes; a level without orders does not
//! exist; every change of a level takes one update number, so snapshot and diffs always fit together.

use crate::types::order::Side;
use crate::types::units::{Price, Qty};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The book's levels at one update number, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DepthSnapshot {
    /// `lastUpdateId`.
    pub last_update_id: u64,
    /// Bids, highest first.
    pub bids: Vec<(Price, Qty)>,
    /// Asks, lowest first.
    pub asks: Vec<(Price, Qty)>,
}

/// Levels that changed since the diff before, with their absolute size; zero = gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DepthDiff {
    /// `U`: the last diff's `last_id` + 1.
    pub first_id: u64,
    /// `u`.
    pub last_id: u64,
    /// Bids.
    pub bids: Vec<(Price, Qty)>,
    /// Asks.
    pub asks: Vec<(Price, Qty)>,
}

/// Orders at one price, first come first.
#[derive(Clone, Debug, Default)]
pub(super) struct Level {
    pub(super) total: Qty,
    pub(super) queue: VecDeque<i64>,
}

/// Both sides.
#[derive(Clone, Debug)]
pub(super) struct Book {
    bids: BTreeMap<Price, Level>,
    asks: BTreeMap<Price, Level>,
    update_id: u64,
    diff_from: u64,
    dirty_bids: BTreeSet<Price>,
    dirty_asks: BTreeSet<Price>,
}

impl Book {
    pub(super) fn new(update_id: u64) -> Book {
        Book {
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
            update_id,
            diff_from: update_id,
            dirty_bids: BTreeSet::new(),
            dirty_asks: BTreeSet::new(),
        }
    }
    pub(super) fn update_id(&self) -> u64 {
        self.update_id
    }
    fn levels(&mut self, side: Side) -> &mut BTreeMap<Price, Level> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }
    fn touch(&mut self, side: Side, price: Price) {
        self.update_id += 1;
        match side {
            Side::Buy => self.dirty_bids.insert(price),
            Side::Sell => self.dirty_asks.insert(price),
        };
    }

    /// Appends an order to its price's queue.
    pub(super) fn add(&mut self, side: Side, price: Price, id: i64, qty: Qty) {
        let level = self.levels(side).entry(price).or_default();
        level.total.0 += qty.0;
        level.queue.push_back(id);
        self.touch(side, price);
    }
    /// Takes `qty` of a resting order away; `gone` takes the order out of the queue too.
    pub(super) fn reduce(&mut self, side: Side, price: Price, id: i64, qty: Qty, gone: bool) {
        let levels = self.levels(side);
        let level = levels.get_mut(&price).expect("a resting order has a level");
        level.total.0 -= qty.0;
        if gone {
            level.queue.retain(|queued| *queued != id);
        }
        if level.queue.is_empty() {
            levels.remove(&price);
        }
        self.touch(side, price);
    }
    /// Levels of a side, best first.
    pub(super) fn best_first(&self, side: Side) -> Box<dyn Iterator<Item = (&Price, &Level)> + '_> {
        match side {
            Side::Buy => Box::new(self.bids.iter().rev()),
            Side::Sell => Box::new(self.asks.iter()),
        }
    }
    /// Best price of a side, its size and the order that is first in line.
    pub(super) fn best(&self, side: Side) -> Option<(Price, Qty, i64)> {
        let (price, level) = self.best_first(side).next()?;
        level.queue.front().map(|first| (*price, level.total, *first))
    }
    pub(super) fn snapshot(&self, limit: usize) -> DepthSnapshot {
        let side = |side| self.best_first(side).take(limit).map(|(price, level)| (*price, level.total)).collect();
        DepthSnapshot { last_update_id: self.update_id, bids: side(Side::Buy), asks: side(Side::Sell) }
    }
    /// What changed since the last call; `None` if nothing did.
    pub(super) fn take_diff(&mut self) -> Option<DepthDiff> {
        if self.update_id == self.diff_from {
            return None;
        }
        let size = |levels: &BTreeMap<Price, Level>, price: &Price| levels.get(price).map_or(Qty::ZERO, |l| l.total);
        let diff = DepthDiff {
            first_id: self.diff_from + 1,
            last_id: self.update_id,
            bids: self.dirty_bids.iter().rev().map(|price| (*price, size(&self.bids, price))).collect(),
            asks: self.dirty_asks.iter().map(|price| (*price, size(&self.asks, price))).collect(),
        };
        self.dirty_bids.clear();
        self.dirty_asks.clear();
        self.diff_from = self.update_id;
        Some(diff)
    }
}
