//! A small random source for what needs no secrecy: jitter, WebSocket masks and nonces.
//!
//! Thread: owned by one connection or link.  Invariants: seeded from the system once; never blocks or allocates after.

use ring::rand::{SecureRandom, SystemRandom};

/// SplitMix64: one addition and a mix per number.
pub(crate) struct Rng(u64);

impl Rng {
    /// Seeded by the operating system. Where it has no randomness to give, by an address of this process: masks and
    /// jitter need to differ between runs, nothing more.
    pub(crate) fn from_system() -> Rng {
        let mut seed = [0; 8];
        match SystemRandom::new().fill(&mut seed) {
            Ok(()) => Rng(u64::from_le_bytes(seed)),
            Err(_) => Rng(std::ptr::from_ref(&seed).addr() as u64),
        }
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included; about even.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = u64::try_from(high.saturating_sub(low)).unwrap_or(0);
        low + i64::try_from(self.next() % span.saturating_add(1)).unwrap_or(0)
    }
}
