//! The dice of one seed.
//!
//! Thread: any.  Invariants: the same seed and the same questions give the same answers.

use crate::sim::market::SplitMix64;

/// A seeded source of choices.
#[derive(Clone, Debug)]
pub struct Chance(SplitMix64);

impl Chance {
    /// Of a seed; neighbouring seeds have nothing in common.
    pub fn new(seed: u64) -> Chance {
        let mut first = SplitMix64(seed);
        Chance(SplitMix64(first.draw()))
    }
    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.0.below(high - low + 1)
    }
    /// True once in `count` times.
    pub fn one_in(&mut self, count: i64) -> bool {
        self.0.below(count) == 0
    }
    /// One of them; there must be one.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.0.below(from.len() as i64) as usize]
    }
    /// A seed for somebody else's dice.
    pub fn seed(&mut self) -> u64 {
        self.0.draw()
    }
}
