//! Somebody else's count for the time that we did not hear: Bitquery and Dune, rows of an hour or of five minutes.
//!
//! Thread: any.  Invariants: amounts come from their own text, never through a float; a bucket of our own that is whole
//! keeps its number, and what was filled says by whom; an hour that is not over, or of no volume at all, fills nothing.
//! An hour's volume is spread evenly over its buckets, which smears the windows' edges by less than an hour.
//! Source: `volume-feeds` fact sheet, sections 6 and 7; field names of Bitquery were not seen live by us.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::buckets::{Buckets, E17_PER_E8, WINDOW_BUCKETS, complete_before};
use super::{Program, USDC_TEXT, Venues, WSOL_TEXT};
use crate::types::chain::{BUCKET_NS, BUCKET_S, BucketSource, VolumeBucket};
use crate::types::time::NANOS_PER_SEC;
use crate::types::{Notional, Price, Qty, Time};
use crate::venue::DecodeError;
use crate::venue::usd::{syntax_at, usd_in};
use crate::venue::utc::rfc3339;

/// Length of an hour, seconds; buckets in it.
pub(super) const HOUR_S: i64 = 3_600;
pub(super) const HOUR_BUCKETS: i64 = HOUR_S / BUCKET_S;
/// Rows of an answer that are read: 49 hours of five minutes, twice.
const ROWS_MAX: usize = 1_200;
/// An hour is asked for when it has been over for so long.
const SETTLED_NS: i64 = 15 * 60 * NANOS_PER_SEC;

/// Volume of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourRow {
    /// Start; a whole multiple of five minutes.
    pub start: Time,
    /// Length in seconds, a whole multiple of five minutes.
    pub span_s: i64,
    /// Volume, USD.
    pub usd: Notional,
    /// Trades, zero if not told.
    pub trades: u64,
}

impl HourRow {
    /// Its end.
    pub fn end(&self) -> Time {
        self.start.plus(self.span_s.saturating_mul(NANOS_PER_SEC))
    }
}

/// Why an answer fills nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackfillError {
    /// The plan's points are used up (402).
    #[error("the plan's points are used up (402)")]
    PlanLimit,
    /// Too many requests (429).
    #[error("too many requests (429)")]
    TooMany,
    /// Any other status than 200.
    #[error("refused with status {status}")]
    Refused {
        /// The status.
        status: u16,
    },
    /// Status 200, but the answer is an error.
    #[error("the query was answered with an error")]
    Query,
    /// The execution is not done, or failed.
    #[error("the stored execution is not complete")]
    NotComplete,
    /// Not the JSON that was expected.
    #[error("unreadable answer: {0}")]
    Unreadable(#[from] DecodeError),
}

fn check_status(status: u16) -> Result<(), BackfillError> {
    match status {
        200 => Ok(()),
        402 => Err(BackfillError::PlanLimit),
        429 => Err(BackfillError::TooMany),
        status => Err(BackfillError::Refused { status }),
    }
}

/// Puts rows into the buckets that nobody counted wholly; how many were filled.
pub(super) fn fill(
    buckets: &mut Buckets,
    source: BucketSource,
    rows: &[HourRow],
    now: Time,
    mut price_at: impl FnMut(Time) -> Option<Price>,
) -> usize {
    let mut filled = 0;
    for row in rows.iter().filter(|row| row.usd.0 > 0 && row.span_s > 0 && row.span_s % BUCKET_S == 0) {
        let parts = row.span_s / BUCKET_S;
        let total_e17 = i128::from(row.usd.0) * E17_PER_E8;
        for part in 0..parts.min(ROWS_MAX as i64) {
            let start = row.start.plus(part * BUCKET_NS);
            let up_to = |part: i64| total_e17 * i128::from(part) / i128::from(parts); // parts of a whole add up to it
            let usd_e17 = up_to(part + 1) - up_to(part);
            let trades_up_to =
                |part: i64| row.trades.min(u64::from(u32::MAX)) * part.unsigned_abs() / parts.unsigned_abs();
            let Some(price) = price_at(start).filter(|price| price.0 > 0) else { continue }; // asked for again
            let Ok(lamports) = i64::try_from(usd_e17 / i128::from(price.0)) else { continue };
            let bucket = VolumeBucket {
                sol_value: Qty(lamports),
                usd_e17,
                trades: u32::try_from(trades_up_to(part + 1) - trades_up_to(part)).unwrap_or(u32::MAX),
                ..VolumeBucket::empty(start, source)
            };
            filled += usize::from(buckets.backfill(&bucket, now));
        }
    }
    filled
}

/// The hours within both windows that are over and hold a bucket that is not whole: first start, last end.
pub(super) fn wanted(buckets: &Buckets, now: Time) -> Option<(Time, Time)> {
    let end = complete_before(now);
    let settled = now.plus(-SETTLED_NS).0.div_euclid(BUCKET_NS) / HOUR_BUCKETS * HOUR_BUCKETS;
    let mut lacking = (end - 2 * WINDOW_BUCKETS..settled).filter(|number| !buckets.is_whole(*number));
    let first = lacking.next()?;
    let last = lacking.next_back().unwrap_or(first);
    let hour = |number: i64| Time(number.div_euclid(HOUR_BUCKETS) * HOUR_BUCKETS * BUCKET_NS);
    Some((hour(first), hour(last + HOUR_BUCKETS)))
}

/// The buckets after the last settled hour that have been over for as long and are not whole: what hours leave out.
pub(super) fn rest_wanted(buckets: &Buckets, now: Time) -> Option<(Time, Time)> {
    let settled = now.plus(-SETTLED_NS).0.div_euclid(BUCKET_NS);
    let mut lacking = (settled / HOUR_BUCKETS * HOUR_BUCKETS..settled).filter(|number| !buckets.is_whole(*number));
    let first = lacking.next()?;
    let last = lacking.next_back().unwrap_or(first);
    let at = |number: i64| Time(number.saturating_mul(BUCKET_NS));
    Some((at(first), at(last + 1)))
}

/// Rows in order of time, those of one span added up; a sum that does not fit is no volume.
fn merged(mut rows: Vec<HourRow>) -> Vec<HourRow> {
    rows.sort_by_key(|row| row.start);
    let mut sums: Vec<HourRow> = Vec::with_capacity(rows.len());
    for row in rows {
        match sums.last_mut() {
            Some(last) if last.start == row.start => {
                last.usd = last.usd.checked_add(row.usd).unwrap_or(Notional::ZERO);
                last.trades = last.trades.saturating_add(row.trades);
            }
            _ => sums.push(row),
        }
    }
    sums
}

/// Whether a row lies on the grid and, by `till`, is over.
fn is_over(row: &HourRow, till: Time) -> bool {
    row.start.0.rem_euclid(BUCKET_NS) == 0 && row.end() <= till
}

/// Bitquery's streaming API, version 2.
pub mod bitquery {
    use super::*;

    /// Length of a row.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Grain {
        /// An hour: 48 rows.
        Hour,
        /// Five minutes: 576 rows, and windows without smeared edges.
        FiveMinutes,
    }

    impl Grain {
        fn interval(self) -> &'static str {
            match self {
                Grain::Hour => "{count: 1, in: hours}",
                Grain::FiveMinutes => "{count: 5, in: minutes}",
            }
        }
        /// In seconds.
        pub fn span_s(self) -> i64 {
            match self {
                Grain::Hour => HOUR_S,
                Grain::FiveMinutes => BUCKET_S,
            }
        }
    }

    /// The body to POST, with `since` and `till` as RFC 3339. The side currency is held to SOL and USDC: the cube has
    /// one row for each token of a trade, and would count twice.
    pub fn request(venues: Venues, grain: Grain, since: &str, till: &str) -> String {
        let programs: Vec<String> =
            venues.programs().iter().map(|program: &Program| format!("\"{}\"", program.text())).collect();
        let (programs, interval) = (programs.join(", "), grain.interval());
        let query = format!(
            "query($since: DateTime!, $till: DateTime!) {{ Solana(dataset: combined) {{ DEXTradeByTokens(\
             orderBy: {{ascending: Block_Time}}, limit: {{count: {ROWS_MAX}}}, where: {{Transaction: {{Result: {{Success: true}}}}, \
             Block: {{Time: {{since: $since, till: $till}}}}, Trade: {{Dex: {{ProgramAddress: {{in: [{programs}]}}}}, \
             Side: {{Currency: {{MintAddress: {{in: [\"{WSOL_TEXT}\", \"11111111111111111111111111111111\", \"{USDC_TEXT}\"]}}}}}}}}}}) \
             {{ Block {{ Time(interval: {interval}) }} usd: sum(of: Trade_Side_AmountInUSD) trades: count }} }} }}"
        );
        serde_json::json!({ "query": query, "variables": { "since": since, "till": till } }).to_string()
    }

    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        data: Option<Data<'a>>,
        #[serde(borrow)]
        errors: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow, rename = "Solana")]
        solana: Option<Solana<'a>>,
    }
    #[derive(Deserialize)]
    struct Solana<'a> {
        #[serde(borrow, rename = "DEXTradeByTokens")]
        rows: Option<Vec<Row<'a>>>,
    }
    #[derive(Deserialize)]
    struct Row<'a> {
        #[serde(rename = "Block")]
        block: Option<Block>,
        #[serde(borrow)]
        usd: Option<&'a RawValue>,
        #[serde(borrow)]
        trades: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Block {
        #[serde(rename = "Time")]
        time: String,
    }

    /// The rows of an answer to a request for `since` to `till`; a single total without a time stands for all of it.
    ///
    /// Errors: [`BackfillError`]; a volume that is no number or negative makes the whole answer unreadable.
    pub fn rows(
        status: u16,
        body: &[u8],
        grain: Grain,
        since: Time,
        till: Time,
    ) -> Result<Vec<HourRow>, BackfillError> {
        check_status(status)?;
        let read: Body = serde_json::from_slice(body).map_err(|error| syntax_at(body, &error))?;
        if read.errors.is_some_and(|errors| !matches!(errors.get(), "null" | "[]")) {
            return Err(BackfillError::Query);
        }
        let listed = read.data.and_then(|data| data.solana).and_then(|solana| solana.rows);
        let listed = listed.ok_or(DecodeError::Missing { name: "DEXTradeByTokens" })?;
        let mut rows = Vec::with_capacity(listed.len().min(ROWS_MAX));
        for row in listed.into_iter().take(ROWS_MAX) {
            let usd = row.usd.map_or(Ok(None), |usd| usd_in(body, usd))?.unwrap_or(Notional::ZERO);
            if usd.0 < 0 {
                return Err(DecodeError::Contradiction { name: "usd" }.into());
            }
            let trades = row.trades.and_then(|text| text.get().trim_matches('"').parse().ok()).unwrap_or(0);
            let (start, span_s) = match row.block {
                None => (since, till.since(since) / NANOS_PER_SEC),
                Some(block) => {
                    let start = rfc3339(&block.time).ok_or(DecodeError::Missing { name: "Time" })?;
                    (start, grain.span_s())
                }
            };
            let row = HourRow { start, span_s, usd, trades };
            if start >= since && is_over(&row, till) {
                rows.push(row);
            }
        }
        Ok(merged(rows))
    }
}

/// Dune's stored results of an hourly query.
pub mod dune {
    use super::*;

    /// What an answer holds.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Answer {
        /// Whole hours.
        pub rows: Vec<HourRow>,
        /// Start of the newest hour told of: how fresh the table is. That hour itself may be half told and is left out.
        pub newest: Option<Time>,
    }

    #[derive(Deserialize)]
    struct Body<'a> {
        state: Option<String>,
        #[serde(borrow)]
        result: Option<Results<'a>>,
    }
    #[derive(Deserialize)]
    struct Results<'a> {
        #[serde(borrow)]
        rows: Option<Vec<Row<'a>>>,
    }
    #[derive(Deserialize)]
    struct Row<'a> {
        hour: String,
        #[serde(borrow)]
        usd: Option<&'a RawValue>,
    }

    /// The rows of `GET /api/v1/query/{id}/results`. Errors: [`BackfillError`].
    pub fn answer(status: u16, body: &[u8]) -> Result<Answer, BackfillError> {
        check_status(status)?;
        let read: Body = serde_json::from_slice(body).map_err(|error| syntax_at(body, &error))?;
        if read.state.as_deref() != Some("QUERY_STATE_COMPLETED") {
            return Err(BackfillError::NotComplete);
        }
        let listed = read.result.and_then(|result| result.rows).ok_or(DecodeError::Missing { name: "rows" })?;
        let mut rows = Vec::with_capacity(listed.len().min(ROWS_MAX));
        for row in listed.into_iter().take(ROWS_MAX) {
            let start = rfc3339(&row.hour).ok_or(DecodeError::Missing { name: "hour" })?;
            let usd = row.usd.map_or(Ok(None), |usd| usd_in(body, usd))?.unwrap_or(Notional::ZERO);
            if usd.0 < 0 {
                return Err(DecodeError::Contradiction { name: "usd" }.into());
            }
            rows.push(HourRow { start, span_s: HOUR_S, usd, trades: 0 });
        }
        let mut rows = merged(rows);
        let newest = rows.last().map(|row| row.start);
        rows.retain(|row| Some(row.start) != newest && is_over(row, newest.unwrap_or(Time::NONE)));
        Ok(Answer { rows, newest })
    }
}
