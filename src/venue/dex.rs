//! Levels of a Solana exchange, whichever way they were read, and the event they become.
//!
//! Thread: any.  Invariants: at most [`LEVELS_MAX`] levels a side, best first, no price twice; an event is made of sound
//! levels only: positive, bids falling, asks rising, not crossed and not locked.
//!
//! Read this way: Manifest's market account (`manifest`) and a ladder of Jupiter quotes (`jupiter`). Another book plugs
//! in as one more decoder that fills [`DexLevels`]: Phoenix's market account has both sides in one, like Manifest's, so
//! it needs a decoder and nothing else; OpenBook v2 keeps bids and asks in two accounts that may differ by a slot, so
//! its session must hold both and take the older slot as the book's.

use crate::types::event::DexBook;
use crate::types::{Price, Qty};

/// Levels kept of a side.
pub const LEVELS_MAX: usize = 10;
/// How far from the mid a level counts as depth, basis points.
const DEPTH_BPS: i128 = 50;

/// One price and all that rests there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DexLevel {
    /// Price.
    pub price: Price,
    /// Size of all orders there.
    pub qty: Qty,
}

/// One side of a book, best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DexSide {
    levels: [DexLevel; LEVELS_MAX],
    len: usize,
}

impl DexSide {
    /// Adds what comes next; a price that equals the last one adds to its size. False if it is full: nothing was taken.
    pub fn push(&mut self, price: Price, qty: Qty) -> bool {
        let last = self.len.checked_sub(1).and_then(|at| self.levels.get_mut(at));
        if let Some(last) = last.filter(|last| last.price == price) {
            last.qty = Qty(last.qty.0.saturating_add(qty.0));
            return true;
        }
        let Some(free) = self.levels.get_mut(self.len) else { return false };
        *free = DexLevel { price, qty };
        self.len += 1;
        true
    }

    /// The levels, best first.
    pub fn levels(&self) -> &[DexLevel] {
        self.levels.get(..self.len).unwrap_or_default()
    }

    /// The best level; `None` if the side is empty.
    pub fn best(&self) -> Option<DexLevel> {
        self.levels().first().copied()
    }

    /// Whether each level is worse than the one before, by `is_worse`, and all are positive.
    fn is_sorted(&self, is_worse: impl Fn(Price, Price) -> bool) -> bool {
        let is_positive = self.levels().iter().all(|level| level.price.0 > 0 && level.qty.0 > 0);
        let mut pairs = self.levels().iter().zip(self.levels().iter().skip(1));
        is_positive && pairs.all(|(better, worse)| is_worse(better.price, worse.price))
    }

    /// Size of all levels within [`DEPTH_BPS`] of `mid`; what does not fit stops at the largest size.
    fn depth(&self, mid: Price) -> Qty {
        let distance = |level: &&DexLevel| (i128::from(level.price.0) - i128::from(mid.0)).abs();
        let is_near = |level: &&DexLevel| distance(level) * 10_000 <= i128::from(mid.0) * DEPTH_BPS;
        Qty(self.levels().iter().filter(is_near).fold(0_i64, |sum, level| sum.saturating_add(level.qty.0)))
    }
}

/// Both sides at one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DexLevels {
    /// Slot that they are of.
    pub slot: u64,
    /// Bids, highest first.
    pub bids: DexSide,
    /// Asks, lowest first.
    pub asks: DexSide,
}

impl DexLevels {
    /// Whether they can be a book: positive, bids falling, asks rising, the best bid below the best ask.
    pub fn is_sound(&self) -> bool {
        let is_crossed = match (self.bids.best(), self.asks.best()) {
            (Some(bid), Some(ask)) => bid.price >= ask.price,
            _ => false,
        };
        !is_crossed && self.bids.is_sorted(|a, b| a > b) && self.asks.is_sorted(|a, b| a < b)
    }

    /// Middle of the best prices, rounded down; `None` without both sides.
    pub fn mid(&self) -> Option<Price> {
        Some(Price::mid(self.bids.best()?.price, self.asks.best()?.price))
    }

    /// The event: top, its sizes, and the depth of the levels kept, so depth may be told too small and never too large.
    /// Without both sides there is no mid, so no depth.
    pub fn book(&self) -> DexBook {
        let bid = self.bids.best().unwrap_or_default();
        let ask = self.asks.best().unwrap_or_default();
        let depth = |side: &DexSide| self.mid().map_or(Qty::ZERO, |mid| side.depth(mid));
        DexBook {
            slot: self.slot,
            bid: bid.price,
            bid_qty: bid.qty,
            ask: ask.price,
            ask_qty: ask.qty,
            bid_depth: depth(&self.bids),
            ask_depth: depth(&self.asks),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(levels: &[(i64, i64)]) -> DexSide {
        let mut side = DexSide::default();
        levels.iter().for_each(|(price, qty)| assert!(side.push(Price(*price), Qty(*qty))));
        side
    }

    #[test]
    fn equal_prices_are_one_level_and_a_full_side_takes_no_more() {
        let mut full = side(&[(110, 1), (110, 2), (109, 5)]);
        assert_eq!(full.levels(), side(&[(110, 3), (109, 5)]).levels());
        (2..LEVELS_MAX as i64).for_each(|at| assert!(full.push(Price(110 - at), Qty(1))));
        assert!(full.push(Price(110 - LEVELS_MAX as i64 + 1), Qty(i64::MAX)), "the last price takes more");
        assert!(!full.push(Price(1), Qty(1)));
        assert_eq!((full.levels().len(), full.levels()[LEVELS_MAX - 1].qty), (LEVELS_MAX, Qty(i64::MAX)));
    }

    #[test]
    fn depth_ends_at_fifty_basis_points_of_the_mid() {
        let bids = side(&[(9_990, 1), (9_950, 2), (9_949, 4)]);
        let asks = side(&[(10_010, 8), (10_050, 16), (10_051, 32)]);
        let book = DexLevels { slot: 7, bids, asks }.book();
        assert_eq!((book.bid_depth, book.ask_depth), (Qty(3), Qty(24)));
        assert_eq!((book.slot, book.bid, book.ask_qty), (7, Price(9_990), Qty(8)));
        let alone = DexLevels { slot: 7, bids, asks: DexSide::default() }.book();
        assert_eq!((alone.bid, alone.ask, alone.bid_depth), (Price(9_990), Price::ZERO, Qty::ZERO));
    }

    #[test]
    fn levels_that_cross_lock_repeat_or_are_not_positive_are_not_sound() {
        let sound = |bids: &[(i64, i64)], asks: &[(i64, i64)]| {
            DexLevels { slot: 1, bids: side(bids), asks: side(asks) }.is_sound()
        };
        assert!(sound(&[(9, 1), (8, 1)], &[(10, 1), (11, 1)]) && sound(&[], &[]) && sound(&[(9, 1)], &[]));
        assert!(!sound(&[(10, 1)], &[(10, 1)]) && !sound(&[(11, 1)], &[(10, 1)]));
        assert!(!sound(&[(8, 1), (9, 1)], &[]) && !sound(&[], &[(11, 1), (10, 1)]));
        assert!(!sound(&[(0, 1)], &[]) && !sound(&[], &[(10, 0)]) && !sound(&[(-1, 1)], &[(10, 1)]));
    }
}
