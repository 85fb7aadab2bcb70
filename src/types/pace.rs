//! How fast the volume of a trailing day can move.
//!
//! Thread: any.  Invariants: integers only; time is what passed by our own clock, so no provider's word lengthens it.
//!
//! A trailing day changes by what enters it less what leaves it, and both are bounded by the pace at which a market trades.
//! The bound here is an hour with the volume of a whole day, 24 times the mean. So a number that is 40 % lower a minute later
//! is not news, it is another number: a replay, another unit, another field.

use super::Notional;
use super::time::NANOS_PER_SEC;

/// Time in which a trailing day may change by as much as itself; in a part of it, by that part. Behind it, all is possible.
pub const WHOLE_NS: i64 = 3_600 * NANOS_PER_SEC;
/// What it may change by in no time: providers round, restate, and move their window in steps.
const STEP_PCT: i128 = 2;

/// Whether a trailing day cannot have gone from `before` to `after` in `elapsed_ns`.
pub fn outruns_a_market(before: Notional, after: Notional, elapsed_ns: i64) -> bool {
    let (before, after) = (i128::from(before.0), i128::from(after.0));
    let (whole, elapsed) = (i128::from(WHOLE_NS), i128::from(elapsed_ns.max(0)));
    elapsed <= whole && (after - before).abs() * whole > before.min(after) * (elapsed + whole * STEP_PCT / 100)
}
