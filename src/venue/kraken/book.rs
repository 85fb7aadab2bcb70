//! The local book of one subscription: a snapshot, then absolute sizes, cut to the subscribed depth after each message.
//!
//! Thread: any.  Invariants: prices of a side are distinct and sorted, best first, sizes positive; never more levels
//! than the depth between two messages (the venue tells no level that it pushed out); after every message the checksum
//! holds and the sides do not cross, or the message was a [`Fault`] and the book is empty.
//! The venue numbers no update, so the checksum is the only sign that one was lost.

use super::checksum;
use super::decode::{LEVELS_MAX, Level};
use crate::types::event::{Bbo, Depth};
use crate::types::{Price, Time};
use crate::venue::bands;

/// Depths that the venue offers.
pub const DEPTHS: [usize; 5] = [10, 25, 100, 500, 1_000];

/// Why a book was thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The venue's book is not ours: something was lost.
    Checksum {
        /// Of the venue's book.
        theirs: u32,
        /// Of ours.
        ours: u32,
    },
    /// Buyers and sellers overlap.
    Crossed,
}

/// One side, best first.
#[derive(Debug)]
struct Side {
    levels: Vec<Level>,
    sign: i64,
}

impl Side {
    /// Sets the size at a price; zero removes, and the removal of a level never had is normal.
    fn set(&mut self, level: Level) {
        let sign = self.sign;
        match self.levels.binary_search_by_key(&(level.price.0 * sign), |known| known.price.0 * sign) {
            Ok(at) if level.qty.0 == 0 => drop(self.levels.remove(at)),
            Ok(at) => {
                if let Some(known) = self.levels.get_mut(at) {
                    *known = level;
                }
            }
            Err(_) if level.qty.0 == 0 => {}
            Err(at) => self.levels.insert(at, level),
        }
    }
}

/// Both sides. Memory is taken once: the depth and the longest message fit.
#[derive(Debug)]
pub struct Book {
    bids: Side,
    asks: Side,
    depth: usize,
    messages: u64,
    venue_time: Time,
}

impl Book {
    /// Empty, of at most `depth` levels a side.
    pub fn new(depth: usize) -> Book {
        let side = |sign| Side { levels: Vec::with_capacity(depth.saturating_add(LEVELS_MAX)), sign };
        Book { bids: side(-1), asks: side(1), depth, messages: 0, venue_time: Time::NONE }
    }

    /// Forgets all levels.
    pub fn clear(&mut self) {
        self.bids.levels.clear();
        self.asks.levels.clear();
    }

    /// Starts anew from a snapshot. Errors: [`Fault`]; the book is empty then.
    pub fn load(&mut self, bids: &[Level], asks: &[Level], theirs: u32, venue_time: Time) -> Result<(), Fault> {
        self.clear();
        self.apply(bids, asks, theirs, venue_time)
    }

    /// Applies one update, all of it before any cut. Errors: [`Fault`]; the book is empty then.
    pub fn apply(&mut self, bids: &[Level], asks: &[Level], theirs: u32, venue_time: Time) -> Result<(), Fault> {
        for (side, levels) in [(&mut self.bids, bids), (&mut self.asks, asks)] {
            levels.iter().for_each(|level| side.set(*level));
            side.levels.truncate(self.depth);
        }
        self.messages += 1;
        self.venue_time = venue_time;
        let ours = self.checksum();
        let fault = if ours != theirs {
            Fault::Checksum { theirs, ours }
        } else if self.top().is_some_and(|top| top.bid >= top.ask) {
            Fault::Crossed
        } else {
            return Ok(());
        };
        self.clear();
        Err(fault)
    }

    /// Its checksum.
    pub fn checksum(&self) -> u32 {
        checksum::of_book(self.asks.levels.iter(), self.bids.levels.iter())
    }

    /// Best of both sides; `None` while one is empty. The venue numbers no update: ours are counted.
    pub fn top(&self) -> Option<Bbo> {
        let (bid, ask) = (self.bids.levels.first()?, self.asks.levels.first()?);
        let update_id = self.messages;
        Some(Bbo { bid: bid.price, bid_qty: bid.qty, ask: ask.price, ask_qty: ask.qty, update_id })
    }

    /// Size within 10, 25 and 50 basis points of the mid, each side, as far as the subscribed depth reaches; `None`
    /// while a side is empty.
    pub fn depth(&self) -> Option<Depth> {
        let mid = self.top()?.mid();
        let side = |side: &Side| bands::within(mid, side.levels.iter().map(|level| (level.price, level.qty)));
        Some(Depth { bid: side(&self.bids), ask: side(&self.asks), update_id: self.messages })
    }

    /// How far from the mid both sides are known, as a difference of price: bands beyond it count too little.
    pub fn reach(&self) -> Option<Price> {
        let mid = self.top()?.mid();
        let (bid, ask) = (self.bids.levels.last()?, self.asks.levels.last()?);
        Some(Price((mid.0 - bid.price.0).min(ask.price.0 - mid.0)))
    }

    /// The venue's time of the newest message.
    pub fn venue_time(&self) -> Time {
        self.venue_time
    }

    /// Bids, best first.
    pub fn bids(&self) -> impl Iterator<Item = &Level> {
        self.bids.levels.iter()
    }

    /// Asks, best first.
    pub fn asks(&self) -> impl Iterator<Item = &Level> {
        self.asks.levels.iter()
    }
}
