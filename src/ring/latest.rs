//! The newest mid price and the newest slot, for threads that need no history: what the gateway's last gate measures an
//! order by, what the scout measures the age of an account by.
//!
//! Thread: one writer, any number of readers.  Invariants: a reader sees a price that was written, and a time not newer
//! than it by more than one update; a write is two plain stores, never a system call.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::types::{Price, Time};

/// See the module.
#[derive(Debug, Default)]
pub struct LatestMid {
    price: AtomicI64,
    at: AtomicI64,
}

impl LatestMid {
    /// Nothing known: price zero.
    pub fn new() -> LatestMid {
        LatestMid::default()
    }
    /// A newer one, read from the wire at `at`.
    #[inline]
    pub fn set(&self, price: Price, at: Time) {
        self.at.store(at.0, Ordering::Relaxed); // one price is as good as the next for a collar of percents
        self.price.store(price.0, Ordering::Relaxed);
    }
    /// The newest price and its time; zero = none yet.
    #[inline]
    pub fn get(&self) -> (Price, Time) {
        (Price(self.price.load(Ordering::Relaxed)), Time(self.at.load(Ordering::Relaxed)))
    }
}

/// The newest slot of the chain.
#[derive(Debug, Default)]
pub struct LatestSlot(AtomicU64);

impl LatestSlot {
    /// Nothing known: zero.
    pub fn new() -> LatestSlot {
        LatestSlot::default()
    }
    /// A newer one.
    #[inline]
    pub fn set(&self, slot: u64) {
        self.0.store(slot, Ordering::Relaxed); // a number by itself: nothing else is read by its light
    }
    /// The newest one; zero = none yet.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_price_is_read_and_none_is_zero() {
        let mid = LatestMid::new();
        assert_eq!(mid.get().0, Price::ZERO);
        mid.set(Price(5), Time(7));
        mid.set(Price(6), Time(8));
        assert_eq!(mid.get(), (Price(6), Time(8)));
    }
}
