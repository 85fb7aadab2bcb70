//! One clock for the whole house.
//!
//! Thread: any.  Invariants: a [`Time`] never goes backwards within a run: it is the monotonic clock, anchored to UTC
//! once at start, so two of ours may be subtracted and a calendar day can be told from one. A venue's time is a
//! `Time` by type but another clock by nature: never subtract the two without the measured offset.

/// Nanoseconds since 1970-01-01 UTC on our clock: monotonic, anchored at start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// A span or an instant in milliseconds, as venues say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub i64);

/// Nanoseconds in a millisecond.
pub const NANOS_PER_MILLI: i64 = 1_000_000;
/// Nanoseconds in a second.
pub const NANOS_PER_SEC: i64 = 1_000_000_000;
/// Nanoseconds in a UTC day.
pub const NANOS_PER_DAY: i64 = 86_400 * NANOS_PER_SEC;

impl Time {
    /// "Not known": what a frame without a time carries.
    pub const NONE: Time = Time(0);

    /// From a venue's milliseconds; saturates.
    pub fn from_millis(ms: Millis) -> Time {
        Time(ms.0.saturating_mul(NANOS_PER_MILLI))
    }
    /// Whole milliseconds, rounded down.
    pub fn millis(self) -> Millis {
        Millis(self.0.div_euclid(NANOS_PER_MILLI))
    }
    /// Nanoseconds from `earlier` to this; negative if it is not earlier.
    pub fn since(self, earlier: Time) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
    /// This time `nanos` later; saturates.
    pub fn plus(self, nanos: i64) -> Time {
        Time(self.0.saturating_add(nanos))
    }
    /// Number of the UTC day since 1970-01-01.
    pub fn utc_day(self) -> i64 {
        self.0.div_euclid(NANOS_PER_DAY)
    }
    /// Start of this time's UTC day.
    pub fn day_start(self) -> Time {
        Time(self.utc_day() * NANOS_PER_DAY)
    }
}

impl Millis {
    /// The same span in nanoseconds; saturates.
    pub fn nanos(self) -> i64 {
        self.0.saturating_mul(NANOS_PER_MILLI)
    }
}
