//! Two hands: whether who filled in the hours that we did not hear counts as we do.
//!
//! Thread: any.  Invariants: only hours that both counted wholly are compared; what was never compared does not agree, and
//! an agreement lasts no longer than its hours lie in the windows.
//! While one window is mostly theirs and the other mostly ours, a difference between the two hands looks like a fall of
//! volume. So windows mixed that unevenly are believed only if the hands agreed where both counted.

use super::backfill::{HOUR_BUCKETS, HOUR_S, HourRow};
use super::buckets::{Buckets, E17_PER_E8, WINDOW_BUCKETS, complete_before};
use crate::types::Time;
use crate::types::chain::{BUCKET_NS, BucketSource};
use crate::types::time::NANOS_PER_SEC;

/// Hours that are compared.
const HOURS_MAX: usize = 3;
/// Without so many of them nothing is known.
const HOURS_MIN: usize = 2;
/// The hands agree if their sums differ by less than this part.
const APART_MAX_PCT: i128 = 10;
/// By how much their shares of the two windows' volume may differ: a hand that counts a third less feigns a fall of less
/// than 4 % then.
const LOPSIDED_PCT: i128 = 10;
/// An hour is compared when it has been over for so long: who indexes late tells it too low at first.
const INDEXED_NS: i64 = 3_600 * NANOS_PER_SEC;

/// An hour that both counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hour {
    number: i64,
    source: BucketSource,
    own_e17: i128,
    theirs_e17: i128,
}

/// What was compared, newest last.
#[derive(Clone, Debug)]
pub(super) struct Hands {
    hours: Vec<Hour>,
}

/// What we counted in an hour, if all of it is ours and whole.
fn own_of(buckets: &Buckets, hour: i64) -> Option<i128> {
    let mut numbers = hour * HOUR_BUCKETS..(hour + 1) * HOUR_BUCKETS;
    numbers.try_fold(0, |sum: i128, number| {
        let bucket = buckets.get(Time(number * BUCKET_NS))?;
        let is_ours = bucket.source == BucketSource::Counted && bucket.is_whole();
        is_ours.then(|| sum.checked_add(bucket.usd_e17)).flatten()
    })
}

/// The first hour that lies wholly in the two windows up to `now`.
fn first_hour(now: Time) -> i64 {
    (complete_before(now) - 2 * WINDOW_BUCKETS).div_euclid(HOUR_BUCKETS) + 1
}

impl Hands {
    /// Nothing compared yet; all memory is taken.
    pub(super) fn new() -> Hands {
        Hands { hours: Vec::with_capacity(HOURS_MAX + 1) }
    }

    /// Compares the rows of a source that tell of an hour of ours.
    pub(super) fn compare(&mut self, buckets: &Buckets, source: BucketSource, rows: &[HourRow], now: Time) {
        let is_told = |row: &&HourRow| row.span_s == HOUR_S && row.end().plus(INDEXED_NS) <= now;
        for row in rows.iter().filter(is_told).filter(|row| row.start.0 % (HOUR_BUCKETS * BUCKET_NS) == 0) {
            let number = row.start.0.div_euclid(HOUR_BUCKETS * BUCKET_NS);
            let Some(own_e17) = own_of(buckets, number) else { continue };
            self.hours.retain(|hour| hour.number != number && hour.source == source);
            self.hours.push(Hour { number, source, own_e17, theirs_e17: i128::from(row.usd.0) * E17_PER_E8 });
            self.hours.sort_by_key(|hour| hour.number);
            if self.hours.len() > HOURS_MAX {
                self.hours.remove(0);
            }
        }
    }

    /// Hours compared that lie in the windows up to `now`.
    fn valid(&self, now: Time) -> impl Iterator<Item = &Hour> {
        self.hours.iter().filter(move |hour| hour.number >= first_hour(now))
    }

    /// Whether both hands count alike, as far as they were compared.
    fn agree(&self, now: Time) -> bool {
        let sum = |of: fn(&Hour) -> i128| self.valid(now).map(of).fold(0, i128::saturating_add);
        let (own, theirs) = (sum(|hour| hour.own_e17), sum(|hour| hour.theirs_e17));
        let apart = own.saturating_sub(theirs).saturating_abs();
        self.valid(now).count() >= HOURS_MIN
            && apart.saturating_mul(100) < own.min(theirs).saturating_mul(APART_MAX_PCT)
    }

    /// Whether the windows up to `now` may be compared with each other.
    pub(super) fn may_mix(&self, buckets: &Buckets, now: Time) -> bool {
        let [newer, older] = buckets.filled_in(now);
        // The shares are equal within so much: newer / its all - older / its all, times both denominators.
        let apart = newer.theirs.saturating_mul(older.all).saturating_sub(older.theirs.saturating_mul(newer.all));
        let both = newer.all.saturating_mul(older.all);
        let is_even = apart.saturating_abs().saturating_mul(100) <= both.saturating_mul(LOPSIDED_PCT);
        is_even || self.agree(now)
    }

    /// The newest hours of ours that were not compared yet, as long as a window holds theirs and there is no agreement.
    pub(super) fn wanted(&self, buckets: &Buckets, now: Time) -> Option<(Time, Time)> {
        let has_theirs = buckets.filled_in(now).iter().any(|window| window.theirs > 0);
        if !has_theirs || (self.valid(now).count() >= HOURS_MAX && self.agree(now)) {
            return None;
        }
        let end = now.plus(-INDEXED_NS).0.div_euclid(HOUR_BUCKETS * BUCKET_NS);
        let is_new = |number: &i64| self.hours.iter().all(|hour| hour.number != *number);
        let ours = (first_hour(now)..end).rev().filter(|number| own_of(buckets, *number).is_some());
        let newest: Vec<i64> = ours.take(HOURS_MAX).filter(is_new).collect();
        let at = |hour: i64| Time(hour * HOUR_BUCKETS * BUCKET_NS);
        Some((at(*newest.last()?), at(*newest.first()? + 1)))
    }
}
