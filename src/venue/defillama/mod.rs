//! DeFiLlama: daily volume of a set of protocols (pump.fun and PumpSwap), summed; last UTC day against the one before.
//!
//! Thread: any.  Invariants: the chart decides, never `change_1d`; today's partial bucket never counts; a chart that ends
//! before one seen earlier is old data sent again; the sum is [`SourceState::Ok`] only if every protocol is.  Source: `volume-feeds` fact sheet, sections 3.1 to 3.4.

mod body;

pub use body::{Protocol, pump_protocols};

use std::ops::Range;

use crate::types::event::{SourceReason, SourceState, VolumeDefinition, VolumeSample};
use crate::types::time::{NANOS_PER_DAY, NANOS_PER_SEC};
use crate::types::{Notional, Time};
use crate::venue::DecodeError;

/// Path of the chain's protocol list, without its charts.
pub const OVERVIEW_PATH: &str =
    "/overview/dexs/Solana?excludeTotalDataChart=true&excludeTotalDataChartBreakdown=true&dataType=dailyVolume";
/// Days of a protocol's chart that are kept.
pub const DAYS_KEPT: usize = 40;
/// A day of more than so many halves of both its neighbours is a spike, and the fall from it is not a slump: recorded
/// history (401 days of the sum) has no such day; its highest was 2.2 times the higher neighbour.
const SPIKE_HALVES: i128 = 5;
/// A closed day that changed by more than one part in so many is told.
const NOTED_PART: i128 = 20;
/// By more than this it is no correction, if it is one of those that are compared: the provider contradicts itself.
const RESTATED_PART: i128 = 5;
const COMPARED_DAYS: i64 = 3;
/// Time of day after which yesterday's value is late.
const LATE_NS: i64 = 12 * 3_600 * NANOS_PER_SEC;

/// Path of one protocol's summary with its chart.
pub fn summary_path(slug: &str) -> String {
    format!("/summary/dexs/{slug}?excludeTotalDataChart=false&excludeTotalDataChartBreakdown=true&dataType=dailyVolume")
}

/// What a [`Reader`] is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Protocols whose volumes are summed.
    pub slugs: Vec<String>,
    /// Time after 00:00 UTC before which yesterday's value is not evaluated.
    pub settle_ns: i64,
}

/// A past day whose value changed by more than 5 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restated {
    /// UTC day, counted from 1970-01-01.
    pub day: i64,
    /// Value seen before.
    pub was: Notional,
    /// Value now.
    pub is: Notional,
}

/// Volume of one UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    day: i64,
    usd: Notional,
}

/// How far something is believed, and why no further.
type Judged = (SourceState, SourceReason);

/// One protocol.
#[derive(Clone, Debug)]
struct Series {
    slug: String,
    /// What is wrong with the newest answer.
    fault: Option<Judged>,
    /// Newest last.
    days: Vec<Bucket>,
    /// UTC day on which a closed day was told quite differently than before: until it ends nothing is believed.
    torn_on: Option<i64>,
    /// The provider's own totals: yesterday, the day before.
    totals: [Option<Notional>; 2],
}

impl Series {
    /// Its state and its days: the steps of section 3.4, the most telling fault first.
    fn judge(&self, settle_ns: i64, now: Time) -> (Judged, Days) {
        use {SourceReason as Why, SourceState as State};
        let yesterday = now.utc_day() - 1;
        let closed = || self.days.iter().rev().copied().find(|bucket| bucket.day <= yesterday);
        let of_day = |day: i64| self.days.iter().rev().copied().find(|bucket| bucket.day == day);
        let newest = closed();
        let before = newest.and_then(|newest| of_day(newest.day - 1));
        let older = newest.and_then(|newest| of_day(newest.day - 2));
        let is_settled = now.since(now.day_start()) >= settle_ns;
        let judged = match (self.fault, newest, before) {
            (Some(fault), ..) => fault,
            (None, None, _) => (State::Missing, Why::NoValue),
            (None, Some(newest), _) if newest.day < yesterday => (State::Stale, Why::TooOld),
            (None, Some(_), _) if !is_settled => (State::Stale, Why::Settling),
            (None, Some(_), _) if self.torn_on == Some(now.utc_day()) => (State::Suspect, Why::Contradiction),
            (None, Some(newest), _) if newest.usd.0 == 0 => (State::Missing, Why::NoValue),
            (None, Some(_), None) => (State::Missing, Why::NoValue),
            (None, Some(newest), Some(before)) if newest.usd == before.usd => (State::Filled, Why::Repeated),
            (None, Some(newest), Some(before)) => plausible(newest, before, self.totals),
        };
        (judged, [newest, before, older])
    }
}

/// The two days that are compared, newest first, and the one before them; each may be missing.
type Days = [Option<Bucket>; 3];

/// Reads summaries, says what they are worth.
#[derive(Clone, Debug)]
pub struct Reader {
    settle_ns: i64,
    series: Vec<Series>,
}

impl Reader {
    /// Nothing read yet: every protocol is down.
    pub fn new(settings: &Settings) -> Reader {
        let unread = |slug: &String| {
            let fault = Some((SourceState::Down, SourceReason::Unread));
            Series { slug: slug.clone(), fault, days: Vec::new(), torn_on: None, totals: [None; 2] }
        };
        Reader { settle_ns: settings.settle_ns, series: settings.slugs.iter().map(unread).collect() }
    }

    /// Takes the body of a summary that came with status 200; the newest restated day, if there is one.
    ///
    /// Errors: [`DecodeError`]: an HTML page, a plain text or another object makes the protocol down, a number that is
    /// none makes it suspect, until its next good body. A chart that ends before the one known is not taken over.
    pub fn on_body(&mut self, slug: &str, body: &[u8], now: Time) -> Result<Option<Restated>, DecodeError> {
        let Some(series) = self.series.iter_mut().find(|series| series.slug == slug) else {
            return Err(DecodeError::Missing { name: "slug" });
        };
        let was_good = series.judge(self.settle_ns, now).0.0 == SourceState::Ok;
        let today = now.utc_day();
        let closed = |days: &[Bucket]| days.iter().rev().map(|bucket| bucket.day).find(|day| *day < today);
        match body::summary(body) {
            Ok(summary) if closed(&summary.days) < closed(&series.days) => {
                series.fault = Some((SourceState::Stale, SourceReason::Repeated));
                Ok(None)
            }
            Ok(summary) => {
                let changed =
                    |days_back: i64, part: i128| restated(&series.days, &summary.days, today - days_back..today, part);
                let restated = changed(DAYS_KEPT as i64, NOTED_PART);
                if was_good && changed(COMPARED_DAYS, RESTATED_PART).is_some() {
                    series.torn_on = Some(today); // what was filled in or missing before is not contradicted by its truth
                }
                series.days = summary.days;
                series.totals = summary.totals;
                series.fault = None;
                Ok(restated)
            }
            Err(error) => {
                series.fault = Some(match error {
                    DecodeError::BadNumber { .. } => (SourceState::Suspect, SourceReason::Implausible),
                    DecodeError::Contradiction { .. } => (SourceState::Suspect, SourceReason::Contradiction),
                    _ => (SourceState::Down, SourceReason::Unreadable),
                });
                Err(error)
            }
        }
    }

    /// The request failed, or the answer was not 200.
    pub fn on_failed(&mut self, slug: &str, reason: SourceReason) {
        let failed = self.series.iter_mut().filter(|series| series.slug == slug);
        failed.for_each(|series| series.fault = Some((SourceState::Down, reason)));
    }

    /// What all protocols together say at `now`.
    pub fn sample(&self, now: Time) -> VolumeSample {
        let good = (SourceState::Ok, SourceReason::None);
        let mut judged = if self.series.is_empty() { (SourceState::Missing, SourceReason::Unread) } else { good };
        let mut sums = [Notional::ZERO; 3];
        let mut bucket_end = None;
        for series in &self.series {
            let (own, days) = series.judge(self.settle_ns, now);
            judged = worse(judged, own);
            for (sum, bucket) in sums.iter_mut().zip(days) {
                match sum.checked_add(bucket.map_or(Notional::ZERO, |bucket| bucket.usd)) {
                    Some(total) => *sum = total,
                    None => judged = worse(judged, (SourceState::Suspect, SourceReason::Implausible)),
                }
            }
            let end = days[0].map_or(Time::NONE, |bucket| Time((bucket.day + 1).saturating_mul(NANOS_PER_DAY)));
            bucket_end = Some(bucket_end.map_or(end, |earliest: Time| earliest.min(end)));
        }
        if is_spike(sums) {
            judged = worse(judged, (SourceState::Suspect, SourceReason::Implausible));
        }
        let [now_usd, prev_usd, _] = sums;
        let bucket_end = bucket_end.unwrap_or(Time::NONE);
        VolumeSample {
            definition: VolumeDefinition::UtcDay,
            state: judged.0,
            reason: judged.1,
            now: now_usd,
            prev: prev_usd,
            bucket_end,
            as_of: now,
            ..VolumeSample::UNREAD
        }
    }

    /// Whether yesterday's value is still not there at noon: somebody should know.
    pub fn is_late(&self, now: Time) -> bool {
        now.since(now.day_start()) >= LATE_NS && self.sample(now).state == SourceState::Stale
    }
}

/// Whether the middle day, from which the fall is counted, stands out of both its neighbours. A day before it that nobody
/// tells counts for nothing: then a large fall is doubted.
fn is_spike([now, prev, older]: [Notional; 3]) -> bool {
    let [now, prev, older] = [now, prev, older].map(|usd| i128::from(usd.0));
    prev * 2 > now.max(older) * SPIKE_HALVES
}

/// Suspect if a day is negative or the provider's own totals differ from the chart by more than 1 %.
fn plausible(newest: Bucket, before: Bucket, totals: [Option<Notional>; 2]) -> Judged {
    let differs =
        |total: Option<Notional>, bucket: Bucket| total.is_some_and(|total| differs_by(total, bucket.usd, 100));
    let [total, total_before] = totals;
    if newest.usd.0 < 0 || before.usd.0 < 0 {
        (SourceState::Suspect, SourceReason::Implausible)
    } else if differs(total, newest) || differs(total_before, before) {
        (SourceState::Suspect, SourceReason::Contradiction)
    } else {
        (SourceState::Ok, SourceReason::None)
    }
}

/// Whether `a` differs from `b` by more than one `part`-th of `b`.
fn differs_by(a: Notional, b: Notional, part: i128) -> bool {
    let (a, b) = (i128::from(a.0), i128::from(b.0));
    (a - b).abs() * part > b.abs()
}

/// The newest of some days whose value is more than one `part`-th away from what was seen before.
fn restated(old: &[Bucket], new: &[Bucket], days: Range<i64>, part: i128) -> Option<Restated> {
    new.iter().rev().filter(|bucket| days.contains(&bucket.day)).find_map(|bucket| {
        let was = old.iter().find(|known| known.day == bucket.day)?.usd;
        differs_by(bucket.usd, was, part).then_some(Restated { day: bucket.day, was, is: bucket.usd })
    })
}

/// The one that tells more against acting.
fn worse(a: Judged, b: Judged) -> Judged {
    let rank = |judged: Judged| match judged.0 {
        SourceState::Ok => 0,
        SourceState::Filled => 1,
        SourceState::Suspect => 2,
        SourceState::Stale => 3,
        SourceState::Missing => 4,
        SourceState::Down => 5,
    };
    if rank(b) > rank(a) { b } else { a }
}
