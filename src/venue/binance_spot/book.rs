//! The local order book: price levels of both sides, best last, so that a change near the top moves little memory.
//!
//! Thread: any.  Invariants: prices of a side are distinct and sorted, sizes positive; at most [`BOOK_LEVELS_MAX`] a
//! side, memory taken once (the worst levels make room); beyond the first snapshot's edge levels are unknown until
//! they change ([`Book::reaches_edge`] says when that matters).

use super::decode::{Level, Levels};
use crate::types::event::{Bbo, Depth};
use crate::types::{Price, Qty};
use crate::venue::bands;

/// Levels kept a side.
pub const BOOK_LEVELS_MAX: usize = 8_192;
/// Worst levels dropped at once when a side is full, so that the move of memory is rare.
const SHED: usize = BOOK_LEVELS_MAX / 8;
/// Levels from the top that are tried before the whole side is searched.
const NEAR_TOP: usize = 16;

/// A level by rank: the price for bids, the price negated for asks, so that the best always ranks highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ranked {
    rank: i64,
    qty: Qty,
}

/// One side, worst first.
#[derive(Debug)]
struct Ladder {
    levels: Vec<Ranked>,
    sign: i64,
    /// Nothing worse than this rank is known; `i64::MIN` = all is known.
    edge: i64,
}

impl Ladder {
    fn new(sign: i64) -> Self {
        Self { levels: Vec::with_capacity(BOOK_LEVELS_MAX), sign, edge: i64::MIN }
    }

    fn best(&self) -> Option<Level> {
        self.levels.last().map(|level| Level { price: Price(level.rank * self.sign), qty: level.qty })
    }

    fn levels(&self) -> impl Iterator<Item = Level> {
        self.levels.iter().rev().map(|level| Level { price: Price(level.rank * self.sign), qty: level.qty })
    }

    /// Where `rank` is or would be.
    #[inline]
    fn find(&self, rank: i64) -> Result<usize, usize> {
        let near_from = self.levels.len().saturating_sub(NEAR_TOP);
        let (from, part) = match self.levels.get(near_from..) {
            Some(near) if near.first().is_some_and(|level| level.rank <= rank) => (near_from, near),
            _ => (0, self.levels.as_slice()),
        };
        part.binary_search_by_key(&rank, |level| level.rank).map(|at| from + at).map_err(|at| from + at)
    }

    /// Sets the size at a price; zero removes, and the removal of a level never had is normal.
    #[inline]
    fn set(&mut self, level: Level) {
        let rank = level.price.0 * self.sign;
        match self.find(rank) {
            Ok(at) if level.qty.0 == 0 => {
                self.levels.remove(at);
            }
            Ok(at) => {
                if let Some(known) = self.levels.get_mut(at) {
                    known.qty = level.qty;
                }
            }
            Err(_) if level.qty.0 == 0 => {}
            Err(at) => self.insert(at, Ranked { rank, qty: level.qty }),
        }
    }

    #[inline]
    fn insert(&mut self, at: usize, level: Ranked) {
        if self.levels.len() < BOOK_LEVELS_MAX {
            self.levels.insert(at, level);
            return;
        }
        self.levels.drain(..SHED);
        self.edge = self.edge.max(self.levels.first().map_or(i64::MIN, |worst| worst.rank));
        match at.checked_sub(SHED) {
            Some(at) => self.levels.insert(at, level),
            None => self.edge = self.edge.max(level.rank),
        }
    }

    /// Takes a snapshot's side, given best first; `whole` = the venue has no more levels than these.
    fn load(&mut self, levels: &[Level], whole: bool) {
        self.levels.clear();
        self.edge = i64::MIN;
        for level in levels.iter().rev() {
            self.set(*level);
        }
        if !whole {
            self.edge = levels.last().map_or(i64::MIN, |worst| worst.price.0 * self.sign);
        }
    }

    /// Size at ranks no lower than each of `floors`, given from the nearest to the farthest.
    fn within(&self, floors: [i64; 3]) -> [Qty; 3] {
        let mut from = self.levels.len();
        let mut sum = 0_i64;
        floors.map(|floor| {
            let to = self.levels.partition_point(|level| level.rank < floor).min(from);
            let band = self.levels.get(to..from).unwrap_or_default();
            sum = band.iter().fold(sum, |sum, level| sum.saturating_add(level.qty.0));
            from = to;
            Qty(sum)
        })
    }
}

/// Both sides, at one update number.
#[derive(Debug)]
pub struct Book {
    bids: Ladder,
    asks: Ladder,
    update_id: u64,
    /// How far from the mid the levels should be known.
    reach: i64,
}

impl Default for Book {
    fn default() -> Self {
        Self::new()
    }
}

impl Book {
    /// Empty; takes all its memory.
    pub fn new() -> Self {
        Self { bids: Ladder::new(1), asks: Ladder::new(-1), update_id: 0, reach: 0 }
    }

    /// Starts anew from a snapshot that stands at `update_id`, levels best first; a side of `limit` levels was cut.
    pub fn load(&mut self, levels: &Levels, update_id: u64, limit: usize) {
        self.bids.load(&levels.bids, levels.bids.len() < limit);
        self.asks.load(&levels.asks, levels.asks.len() < limit);
        self.update_id = update_id;
        let mid = self.top().map_or(0, |top| top.mid().0);
        let known = mid.saturating_sub(self.bids.edge).min((-mid).saturating_sub(self.asks.edge));
        self.reach = (mid / 200).min(known / 2);
    }

    /// Applies absolute sizes; the book then stands at `update_id`.
    pub fn apply(&mut self, bids: &[Level], asks: &[Level], update_id: u64) {
        for level in bids {
            self.bids.set(*level);
        }
        for level in asks {
            self.asks.set(*level);
        }
        self.update_id = update_id;
    }

    /// The update it stands at.
    pub fn update_id(&self) -> u64 {
        self.update_id
    }

    /// Best of both sides; `None` while one is empty.
    pub fn top(&self) -> Option<Bbo> {
        let (bid, ask) = (self.bids.best()?, self.asks.best()?);
        let update_id = self.update_id;
        Some(Bbo { bid: bid.price, bid_qty: bid.qty, ask: ask.price, ask_qty: ask.qty, update_id })
    }

    /// Whether buyers and sellers overlap: no such book exists at a venue, so something was lost.
    pub fn is_crossed(&self) -> bool {
        self.top().is_some_and(|top| top.bid >= top.ask)
    }

    /// Size within 10, 25 and 50 basis points of the mid, each side; `None` while one is empty.
    pub fn depth(&self) -> Option<Depth> {
        let mid = self.top()?.mid();
        let [near, middle, far] = bands::distances(mid);
        let floors = |base: i64| [base - near, base - middle, base - far];
        Some(Depth {
            bid: self.bids.within(floors(mid.0)),
            ask: self.asks.within(floors(-mid.0)),
            update_id: self.update_id,
        })
    }

    /// Whether the price went so far that 50 basis points from the mid (or half of what the snapshot showed, if that
    /// was less) are no longer known: time for a new snapshot.
    pub fn reaches_edge(&self) -> bool {
        let Some(top) = self.top() else { return false };
        let mid = top.mid().0;
        mid - self.reach < self.bids.edge || -mid - self.reach < self.asks.edge
    }

    /// Bids, best first.
    pub fn bids(&self) -> impl Iterator<Item = Level> {
        self.bids.levels()
    }

    /// Asks, best first.
    pub fn asks(&self) -> impl Iterator<Item = Level> {
        self.asks.levels()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(price: i64, qty: i64) -> Level {
        Level { price: Price(price), qty: Qty(qty) }
    }

    fn book(bids: &[(i64, i64)], asks: &[(i64, i64)]) -> Book {
        let side = |levels: &[(i64, i64)]| levels.iter().map(|(price, qty)| level(*price, *qty)).collect();
        let mut book = Book::new();
        book.load(&Levels { bids: side(bids), asks: side(asks) }, 7, 1_000);
        book
    }

    #[test]
    fn depth_counts_a_level_exactly_at_the_distance_and_none_beyond() {
        let book = book(
            &[(999_990, 1), (999_000, 2), (998_999, 4), (997_500, 8), (995_000, 16), (994_999, 32)],
            &[(1_000_010, 1), (1_001_000, 2), (1_001_001, 4), (1_005_000, 8), (1_005_001, 16)],
        );
        let depth = book.depth().map(|depth| (depth.bid, depth.ask));
        assert_eq!(depth, Some(([Qty(3), Qty(15), Qty(31)], [Qty(3), Qty(7), Qty(15)])));
    }

    #[test]
    fn a_full_side_sheds_its_worst_levels_and_remembers_the_edge() {
        let mut book = book(&[], &[(2_000_000, 1)]);
        for price in 1..=BOOK_LEVELS_MAX as i64 {
            book.apply(&[level(price, 5)], &[], 8);
        }
        assert!(!book.reaches_edge(), "a whole side has no edge");
        book.apply(&[level(1_000_000, 5)], &[], 9);
        assert_eq!(book.bids().count(), BOOK_LEVELS_MAX - SHED + 1);
        assert_eq!(book.bids().last(), Some(level(SHED as i64 + 1, 5)));
        assert_eq!(book.top().map(|top| top.bid), Some(Price(1_000_000)));
    }

    #[test]
    fn a_cut_snapshot_is_outgrown_when_the_price_nears_its_edge() {
        let mut book = Book::new();
        let bids = vec![level(1_000_000, 1), level(994_000, 1)];
        book.load(&Levels { bids, asks: vec![level(1_000_100, 1)] }, 1, 2);
        assert!(!book.reaches_edge());
        book.apply(&[level(1_000_000, 0), level(995_000, 1)], &[level(996_000, 1)], 2);
        assert!(book.reaches_edge());
    }
}
