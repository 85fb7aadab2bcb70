//! Table `chain_buckets`: the volume counted from the chain, five minutes a row, kept for a week.
//!
//! Thread: cold (writing), main at start (reading).  Invariants: writing a row twice is writing it once, and the newer
//! one of a start wins; sums are exact decimal texts, USD with 17 places: a lamport times a price of 8 places.

use rusqlite::{Connection, params};

use super::Ledger;
use super::error::LedgerError;
use super::load::unreadable;
use crate::types::chain::{BucketSource, VolumeBucket};
use crate::types::time::NANOS_PER_DAY;
use crate::types::units::parse_decimal;
use crate::types::{Qty, Time};

/// Rows older than this, counted from the one that is written, are removed.
const KEPT_NS: i64 = 7 * NANOS_PER_DAY;
const E17: i128 = 100_000_000_000_000_000;
const USDC_DECIMALS: u32 = 6;
const USDC_SCALE: i64 = 1_000_000;

const UPSERT: &str = "INSERT INTO chain_buckets (start_ns, source, sol, usdc, sol_value, usd, trades, lost, gap_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (start_ns) DO UPDATE SET source = excluded.source,
    sol = excluded.sol, usdc = excluded.usdc, sol_value = excluded.sol_value, usd = excluded.usd,
    trades = excluded.trades, lost = excluded.lost, gap_ms = excluded.gap_ms";

/// Writes one bucket inside the caller's transaction.
pub(super) fn write(db: &Connection, bucket: &VolumeBucket) -> rusqlite::Result<()> {
    let VolumeBucket { start, source, sol, usdc_e6, sol_value, usd_e17, trades, lost, gap_ms } = bucket;
    let (sol, sol_value) = (sol.to_string(), sol_value.to_string());
    let (usdc, usd) = (usdc_text(*usdc_e6), usd_text(*usd_e17));
    let values = params![start.0, source.name(), sol, usdc, sol_value, usd, trades, lost, gap_ms];
    db.prepare_cached(UPSERT)?.execute(values)?;
    let oldest = start.0.saturating_sub(KEPT_NS);
    db.prepare_cached("DELETE FROM chain_buckets WHERE start_ns < ?1")?.execute([oldest]).map(drop)
}

impl Ledger {
    /// Buckets that start at or after `since`, oldest first.
    pub fn chain_buckets_since(&self, since: Time) -> Result<Vec<VolumeBucket>, LedgerError> {
        let sql = "SELECT start_ns, source, sol, usdc, sol_value, usd, trades, lost, gap_ms FROM chain_buckets
            WHERE start_ns >= ?1 ORDER BY start_ns";
        self.rows(sql, params![since.0], bucket)
    }
}

fn bucket(row: &rusqlite::Row<'_>) -> rusqlite::Result<VolumeBucket> {
    let text = |column: usize| row.get::<_, String>(column);
    let read = |column: usize, decimals: u32| {
        let text = text(column)?;
        parse_decimal(text.as_bytes(), decimals).map_err(|_| unreadable(row, column, &text))
    };
    let (source, usd) = (text(1)?, text(5)?);
    Ok(VolumeBucket {
        start: Time(row.get(0)?),
        source: BucketSource::of_name(&source).ok_or_else(|| unreadable(row, 1, &source))?,
        sol: Qty(read(2, 9)?),
        usdc_e6: read(3, USDC_DECIMALS)?,
        sol_value: Qty(read(4, 9)?),
        usd_e17: usd_of(&usd).ok_or_else(|| unreadable(row, 5, &usd))?,
        trades: row.get(6)?,
        lost: row.get(7)?,
        gap_ms: row.get(8)?,
    })
}

fn usdc_text(usdc_e6: i64) -> String {
    format!("{}.{:06}", usdc_e6 / USDC_SCALE, (usdc_e6 % USDC_SCALE).abs())
}

fn usd_text(usd_e17: i128) -> String {
    format!("{}.{:017}", usd_e17 / E17, (usd_e17 % E17).abs())
}

/// Exactly what [`usd_text`] writes.
fn usd_of(text: &str) -> Option<i128> {
    let (whole, decimals) = text.split_once('.')?;
    let is_plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain(whole) || !is_plain(decimals) || decimals.len() != 17 {
        return None;
    }
    whole.parse::<i128>().ok()?.checked_mul(E17)?.checked_add(decimals.parse().ok()?)
}
