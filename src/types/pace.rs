//! How fast the volume of a trailing day can move.
//!
//! Thread: any.  Invariants: integers only; many small steps go no faster than one large one.
//!
//! A trailing day changes by what enters it less what leaves it, and both are bounded by the pace at which a market trades.
//! The bound here is an hour with the volume of a whole day, 24 times the mean. So a number that is 40 % lower a minute
//! later is not news, it is another number: a replay, another unit, another field. After an hour without a believed number
//! all is possible, and the next one is believed.

use super::time::NANOS_PER_SEC;
use super::{Notional, Time};

/// Time in which a trailing day may change by as much as itself; in a part of it, by that part.
pub const WHOLE_NS: i64 = 3_600 * NANOS_PER_SEC;
/// What it may change by in no time: providers round, restate, and move their window in steps.
const STEP_PCT: i128 = 2;
/// How long a number is what the next ones are measured by: else each could use the step anew.
const ANCHOR_NS: i64 = 300 * NANOS_PER_SEC;

/// A believed number by which the next ones are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    usd: Notional,
    at: Time,
}

impl Anchor {
    /// The first number.
    pub fn new(usd: Notional, at: Time) -> Anchor {
        Anchor { usd, at }
    }

    /// Whether no market goes from it to `usd` by `at`.
    pub fn is_outrun(&self, usd: Notional, at: Time) -> bool {
        let (before, after) = (i128::from(self.usd.0), i128::from(usd.0));
        let (whole, elapsed) = (i128::from(WHOLE_NS), i128::from(at.since(self.at).max(0)));
        elapsed <= whole && (after - before).abs() * whole > before.min(after) * (elapsed + whole * STEP_PCT / 100)
    }

    /// `usd` was believed at `at`: it takes the place of an older one.
    pub fn follow(&mut self, usd: Notional, at: Time) {
        if at.since(self.at) >= ANCHOR_NS {
            *self = Anchor { usd, at };
        }
    }
}
