//! Volume in buckets of five minutes, and the two windows of 24 hours over them.
//!
//! Thread: any.  Invariants: 50 hours of buckets, memory taken once; sums are exact (a lamport times a price, 1e-17 USD);
//! a second that was not heard is one bit, so marking it twice is marking it once; a bucket that nobody counted is a gap.

use super::trade_event::Quote;
use crate::types::chain::{BUCKET_MS, BUCKET_NS, BUCKET_S, BucketSource, VolumeBucket};
use crate::types::event::{SourceReason, SourceState, VolumeDefinition, VolumeSample};
use crate::types::time::NANOS_PER_SEC;
use crate::types::{Notional, Price, Qty, Time};

/// Buckets kept: 50 hours.
pub const BUCKETS_MAX: usize = 600;
/// Buckets of a window.
pub const WINDOW_BUCKETS: i64 = 86_400 / BUCKET_S;
/// A bucket is complete so long after its end: what was traded at its end is confirmed and told later.
pub const SETTLE_NS: i64 = 15 * NANOS_PER_SEC;
/// How old an event may be when it comes.
pub const EVENT_AGE_MAX_S: i64 = 600;
/// How far its time may lie ahead of ours.
pub const EVENT_AHEAD_MAX_S: i64 = 120;
/// A trade of more than ten million SOL, or a billion USDC, is none.
const LAMPORTS_MAX: u64 = 10_000_000_000_000_000;
const USDC_E6_MAX: u64 = 1_000_000_000_000_000;
/// 1e-6 USD in 1e-17 USD.
const E17_PER_E6: i128 = 100_000_000_000;
/// 1e-8 USD in 1e-17 USD.
pub(super) const E17_PER_E8: i128 = 1_000_000_000;
/// A dollar in 1e-17 USD.
const E17_PER_USD: i128 = 100_000_000_000_000_000;
/// Minutes whose price is kept: more than an event may be old.
const MINUTES_MAX: usize = 16;
/// How many minutes a price stands in for later ones.
const MINUTES_BACK: i64 = 2;
/// Missing time of a window above which it says nothing, in 1/50: 2 %.
const MISSING_FIFTIETHS: i64 = 1;
const SECOND_WORDS: usize = BUCKET_S as usize / 64 + 1;

/// A trade's value, as it is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// What it was paid in.
    pub quote: Quote,
    /// In its smallest unit.
    pub atoms: u64,
    /// Block time, seconds since 1970.
    pub at_s: i64,
}

/// What became of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It counts.
    Counted,
    /// Its time or its size cannot be.
    Odd,
    /// No SOL price is known of its time: lost, and said to be.
    Unpriced,
    /// Neither SOL nor USDC.
    OtherQuote,
    /// Somebody else's number stands for that time already.
    Covered,
}

/// A bucket and what of it was not heard.
#[derive(Clone, Copy, Debug)]
struct Slot {
    bucket: VolumeBucket,
    /// One bit a second that was not heard; `bucket.gap_ms` is what an earlier run did not hear.
    silent: [u64; SECOND_WORDS],
    /// Changed since it was last handed out.
    is_dirty: bool,
}

impl Slot {
    fn number(&self) -> i64 {
        self.bucket.start.0.div_euclid(BUCKET_NS)
    }

    /// As others see it.
    fn told(&self) -> VolumeBucket {
        let silent_ms = self.silent.iter().map(|word| i64::from(word.count_ones())).sum::<i64>() * 1_000;
        let gap_ms = (i64::from(self.bucket.gap_ms) + silent_ms).min(BUCKET_MS);
        VolumeBucket { gap_ms: gap_ms as u32, ..self.bucket }
    }
}

/// What of a window somebody else counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FilledIn {
    /// Its volume, whole USD.
    pub(super) all: i128,
    /// Of that, somebody else's.
    pub(super) theirs: i128,
}

/// Sums of a window.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    usd_e17: Option<i128>,
    sol_value: Option<i64>,
    missing_ms: i64,
}

/// All buckets.
#[derive(Clone, Debug)]
pub struct Buckets {
    ring: Vec<Option<Slot>>,
    /// Minute number and price.
    mids: [(i64, Price); MINUTES_MAX],
}

impl Default for Buckets {
    fn default() -> Buckets {
        Buckets::new()
    }
}

/// Number of the bucket that a second lies in.
fn bucket_of(at_s: i64) -> i64 {
    at_s.div_euclid(BUCKET_S)
}

fn start_of(number: i64) -> Time {
    Time(number.saturating_mul(BUCKET_NS))
}

/// Number of the first bucket that is not complete at `now`.
pub fn complete_before(now: Time) -> i64 {
    now.plus(-SETTLE_NS).0.div_euclid(BUCKET_NS)
}

impl Buckets {
    /// None yet; all memory is taken.
    pub fn new() -> Buckets {
        Buckets { ring: vec![None; BUCKETS_MAX], mids: [(i64::MIN, Price::ZERO); MINUTES_MAX] }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.ring.capacity() * size_of::<Option<Slot>>() + size_of::<Buckets>()
    }

    /// SOL stands at `price`: the newest one of a minute is the minute's.
    pub fn on_mid(&mut self, price: Price, at: Time) {
        let minute = at.0.div_euclid(60 * NANOS_PER_SEC);
        let place = self.mids.get_mut(minute.rem_euclid(MINUTES_MAX as i64) as usize);
        if let Some(place) = place.filter(|place| price.0 > 0 && minute >= place.0) {
            *place = (minute, price);
        }
    }

    /// The price of a second: of its minute, or of one of the two before.
    fn mid(&self, at_s: i64) -> Option<Price> {
        let minute = at_s.div_euclid(60);
        let of = |minute: i64| self.mids.get(minute.rem_euclid(MINUTES_MAX as i64) as usize).filter(|m| m.0 == minute);
        (0..=MINUTES_BACK).find_map(|back| of(minute - back)).map(|(_, price)| *price)
    }

    /// Whether a trade told at `now` can be of second `at_s`; `since` as in [`Buckets::count`].
    pub fn believes(&self, at_s: i64, now: Time, since: Time) -> bool {
        let now_s = now.0.div_euclid(NANOS_PER_SEC);
        let is_in_time = (now_s - EVENT_AGE_MAX_S..=now_s + EVENT_AHEAD_MAX_S).contains(&at_s);
        is_in_time && at_s >= since.0.div_euclid(NANOS_PER_SEC)
    }

    /// A trade that was told at `now`; `since` = what was seen before is remembered from then on, so nothing older can
    /// be told from a repetition.
    pub fn count(&mut self, amount: Amount, now: Time, since: Time) -> Counted {
        let Amount { quote, atoms, at_s } = amount;
        let is_too_large = match quote {
            Quote::Sol => atoms > LAMPORTS_MAX,
            Quote::Usdc => atoms > USDC_E6_MAX,
            Quote::Other => return Counted::OtherQuote,
        };
        if is_too_large || !self.believes(at_s, now, since) {
            return Counted::Odd;
        }
        let price = self.mid(at_s);
        let Some(slot) = self.slot(bucket_of(at_s)) else { return Counted::Odd };
        if slot.bucket.source != BucketSource::Counted {
            return Counted::Covered;
        }
        slot.is_dirty = true;
        let added = price.and_then(|price| added(&slot.bucket, quote, atoms, price));
        match added {
            Some(bucket) => {
                slot.bucket = bucket;
                Counted::Counted
            }
            None => {
                slot.bucket.lost = slot.bucket.lost.saturating_add(1);
                Counted::Unpriced
            }
        }
    }

    /// So many trades of about `at` are lost.
    pub fn lose(&mut self, trades: u32, at: Time) {
        let number = at.0.div_euclid(BUCKET_NS);
        if let Some(slot) = self.slot(number).filter(|slot| slot.bucket.source == BucketSource::Counted) {
            slot.bucket.lost = slot.bucket.lost.saturating_add(trades);
            slot.is_dirty = true;
        }
    }

    /// The time of `now` is being heard.
    pub fn touch(&mut self, now: Time) {
        self.slot(now.0.div_euclid(BUCKET_NS));
    }

    /// Nothing was heard from `from` to `to`; every second touched counts. Work: one bucket at a time, 600 at most.
    pub fn silent(&mut self, from: Time, to: Time) {
        let to_s = to.0.div_euclid(NANOS_PER_SEC) + i64::from(to.0.rem_euclid(NANOS_PER_SEC) > 0);
        let from_s = from.0.div_euclid(NANOS_PER_SEC).max(to_s - BUCKETS_MAX as i64 * BUCKET_S);
        if from_s >= to_s {
            return;
        }
        for number in bucket_of(from_s)..=bucket_of(to_s - 1) {
            let start_s = number * BUCKET_S;
            let Some(slot) = self.slot(number) else { continue };
            if slot.bucket.source != BucketSource::Counted {
                continue;
            }
            for second in (from_s - start_s).max(0)..(to_s - start_s).min(BUCKET_S) {
                if let Some(word) = slot.silent.get_mut(second as usize / 64) {
                    slot.is_dirty |= *word & 1 << (second % 64) == 0;
                    *word |= 1 << (second % 64);
                }
            }
        }
    }

    /// The bucket of a number, fresh if there is none; `None` if its place belongs to a newer one.
    fn slot(&mut self, number: i64) -> Option<&mut Slot> {
        let place = self.ring.get_mut(number.rem_euclid(BUCKETS_MAX as i64) as usize)?;
        match place {
            Some(slot) if slot.number() > number => return None,
            Some(slot) if slot.number() == number => {}
            _ => {
                let bucket = VolumeBucket::empty(start_of(number), BucketSource::Counted);
                *place = Some(Slot { bucket, silent: [0; SECOND_WORDS], is_dirty: true });
            }
        }
        place.as_mut()
    }

    /// The bucket that starts at `start`, as it stands.
    pub fn get(&self, start: Time) -> Option<VolumeBucket> {
        self.of(start.0.div_euclid(BUCKET_NS)).map(Slot::told)
    }

    fn of(&self, number: i64) -> Option<&Slot> {
        let slot = self.ring.get(number.rem_euclid(BUCKETS_MAX as i64) as usize)?.as_ref()?;
        (slot.number() == number).then_some(slot)
    }

    /// Takes a bucket of an earlier run. Not taken: one that lies ahead, too far back, off the grid or that is negative.
    pub fn restore(&mut self, bucket: &VolumeBucket, now: Time) -> bool {
        let number = bucket.start.0.div_euclid(BUCKET_NS);
        let newest = now.0.div_euclid(BUCKET_NS);
        let is_sound = bucket.usd_e17 >= 0 && bucket.sol.0 >= 0 && bucket.usdc_e6 >= 0 && bucket.sol_value.0 >= 0;
        let is_in_reach = (newest - BUCKETS_MAX as i64 + 1..=newest).contains(&number);
        if bucket.start != start_of(number) || !is_sound || !is_in_reach {
            return false;
        }
        let Some(slot) = self.slot(number) else { return false };
        *slot = Slot { bucket: *bucket, silent: [0; SECOND_WORDS], is_dirty: false };
        true
    }

    /// Puts somebody else's number in the place of a bucket that nobody counted wholly; whether it was taken.
    pub fn backfill(&mut self, bucket: &VolumeBucket, now: Time) -> bool {
        let number = bucket.start.0.div_euclid(BUCKET_NS);
        let own = self.of(number).filter(|slot| slot.bucket.source == BucketSource::Counted);
        let is_kept = own.is_some_and(|slot| slot.told().is_whole());
        if is_kept || number >= complete_before(now) || !self.restore(bucket, now) {
            return false;
        }
        self.slot(number).map(|slot| slot.is_dirty = true).is_some()
    }

    /// Whether the bucket of a number is there and whole.
    pub fn is_whole(&self, number: i64) -> bool {
        self.of(number).is_some_and(|slot| slot.told().is_whole())
    }

    /// The next complete bucket that changed since it was last taken, oldest first within the ring.
    pub fn take_closed(&mut self, now: Time) -> Option<VolumeBucket> {
        let end = complete_before(now);
        let is_due = |slot: &&mut Slot| slot.is_dirty && slot.number() < end;
        let slot = self.ring.iter_mut().flatten().filter(is_due).min_by_key(|slot| slot.number())?;
        slot.is_dirty = false;
        Some(slot.told())
    }

    /// The next changed bucket of all, for the end of a run: what is left of an open one counts as not heard, so that
    /// the next run need not know when this one ended.
    pub fn take_last(&mut self, now: Time) -> Option<VolumeBucket> {
        let slot = self.ring.iter_mut().flatten().filter(|slot| slot.is_dirty).min_by_key(|slot| slot.number())?;
        slot.is_dirty = false;
        let told = slot.told();
        let left_ms = told.start.plus(BUCKET_NS).since(now).clamp(0, BUCKET_NS) / 1_000_000;
        let gap_ms = (i64::from(told.gap_ms) + left_ms).min(BUCKET_MS) as u32;
        Some(VolumeBucket { gap_ms, ..told })
    }

    /// The trailing 24 h against the 24 h before, both up to the last complete bucket.
    pub fn window(&self, now: Time) -> VolumeSample {
        let end = complete_before(now);
        let middle = end - WINDOW_BUCKETS;
        let begin = middle - WINDOW_BUCKETS;
        let (newer, older) = (self.sum(middle, end), self.sum(begin, middle));
        let limit_ms = WINDOW_BUCKETS * BUCKET_MS * MISSING_FIFTIETHS / 50;
        let covers = self.ring.iter().flatten().any(|slot| slot.number() <= begin);
        let (state, reason) = match (newer.usd(), older.usd()) {
            _ if !covers => (SourceState::Missing, SourceReason::WarmingUp),
            (None, _) | (_, None) => (SourceState::Suspect, SourceReason::Implausible),
            _ if newer.missing_ms.max(older.missing_ms) > limit_ms => (SourceState::Suspect, SourceReason::Gappy),
            _ => (SourceState::Ok, SourceReason::None),
        };
        let sol = |sum: Sum, other: Sum| match (sum.sol_value, other.sol_value) {
            (Some(lamports), Some(_)) => Qty(lamports),
            _ => Qty::ZERO, // one without the other says nothing
        };
        VolumeSample {
            definition: VolumeDefinition::Rolling24,
            state,
            reason,
            now: newer.usd().unwrap_or(Notional::ZERO),
            prev: older.usd().unwrap_or(Notional::ZERO),
            now_sol: sol(newer, older),
            prev_sol: sol(older, newer),
            bucket_end: start_of(end),
            as_of: start_of(end),
        }
    }

    /// Missing time of the newer and of the older window, milliseconds.
    pub fn missing_ms(&self, now: Time) -> [i64; 2] {
        let end = complete_before(now);
        let middle = end - WINDOW_BUCKETS;
        [self.sum(middle, end).missing_ms, self.sum(middle - WINDOW_BUCKETS, middle).missing_ms]
    }

    /// What somebody else counted of the newer and of the older window.
    pub(super) fn filled_in(&self, now: Time) -> [FilledIn; 2] {
        let middle = complete_before(now) - WINDOW_BUCKETS;
        let count = |from: i64| {
            let mut window = FilledIn::default();
            for slot in (from..from + WINDOW_BUCKETS).filter_map(|number| self.of(number)) {
                let (is_theirs, usd) = (slot.bucket.source != BucketSource::Counted, slot.bucket.usd_e17 / E17_PER_USD);
                window.all = window.all.saturating_add(usd);
                window.theirs = window.theirs.saturating_add(if is_theirs { usd } else { 0 });
            }
            window
        };
        [count(middle), count(middle - WINDOW_BUCKETS)]
    }

    fn sum(&self, from: i64, to: i64) -> Sum {
        let mut sum = Sum { usd_e17: Some(0), sol_value: Some(0), missing_ms: 0 };
        for number in from..to {
            let Some(slot) = self.of(number) else {
                sum.missing_ms += BUCKET_MS;
                continue;
            };
            let bucket = slot.told();
            let is_known = bucket.sol_value.0 > 0 || bucket.usd_e17 < E17_PER_E6;
            sum.usd_e17 = sum.usd_e17.and_then(|usd| usd.checked_add(bucket.usd_e17));
            sum.sol_value = sum.sol_value.filter(|_| is_known).and_then(|sol| sol.checked_add(bucket.sol_value.0));
            sum.missing_ms += bucket.missing_ms();
        }
        sum
    }
}

impl Sum {
    /// In 1e-8, rounded down.
    fn usd(&self) -> Option<Notional> {
        i64::try_from(self.usd_e17? / E17_PER_E8).ok().map(Notional)
    }
}

/// A bucket with one more trade; `None` where a sum would not fit.
fn added(bucket: &VolumeBucket, quote: Quote, atoms: u64, price: Price) -> Option<VolumeBucket> {
    let amount = i64::try_from(atoms).ok()?;
    let (sol, usdc_e6, lamports, usd_e17) = match quote {
        Quote::Sol => (amount, 0, amount, i128::from(amount) * i128::from(price.0)),
        Quote::Usdc => {
            let usd_e17 = i128::from(amount) * E17_PER_E6;
            (0, amount, i64::try_from(usd_e17.checked_div(i128::from(price.0))?).ok()?, usd_e17)
        }
        Quote::Other => return None,
    };
    Some(VolumeBucket {
        sol: bucket.sol.checked_add(Qty(sol))?,
        usdc_e6: bucket.usdc_e6.checked_add(usdc_e6)?,
        sol_value: bucket.sol_value.checked_add(Qty(lamports))?,
        usd_e17: bucket.usd_e17.checked_add(usd_e17)?,
        trades: bucket.trades.checked_add(1)?,
        ..*bucket
    })
}
