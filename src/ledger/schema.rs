//! The tables of `engine.db`, and how it is opened without hurting it.
//!
//! Thread: cold.  Invariants: columns are only ever added, at the end; `PRAGMA user_version` names the schema; a file
//! is checked before the first write to it.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::LedgerError;

/// Version of the tables below.
pub(super) const SCHEMA_VERSION: i64 = 3;
/// Oldest version that is brought up to it.
const SCHEMA_VERSION_MIN: i64 = 1;

const TABLES: &str = "
CREATE TABLE orders (
    client_order_id TEXT PRIMARY KEY, venue_order_id INTEGER, list_id INTEGER, venue TEXT, symbol TEXT, side TEXT,
    type TEXT, tif TEXT, price TEXT, stop_price TEXT, qty TEXT, cum_qty TEXT, avg_px TEXT, status TEXT, purpose TEXT,
    tranche INTEGER, trade_id INTEGER, reason TEXT, created_ns INTEGER, sent_ns INTEGER, acked_ns INTEGER,
    done_ns INTEGER, tick_to_trade_ns INTEGER, code INTEGER) WITHOUT ROWID;
CREATE INDEX orders_created ON orders (created_ns);
CREATE INDEX orders_done ON orders (done_ns);
CREATE TABLE fills (
    venue TEXT, trade_id INTEGER, client_order_id TEXT, side TEXT, price TEXT, qty TEXT, fee TEXT, fee_asset TEXT,
    liquidity TEXT, venue_ns INTEGER, recv_ns INTEGER, PRIMARY KEY (venue, trade_id)) WITHOUT ROWID;
CREATE INDEX fills_recv ON fills (recv_ns);
CREATE INDEX fills_order ON fills (client_order_id);
CREATE TABLE trades (
    id INTEGER PRIMARY KEY, opened_ns INTEGER, closed_ns INTEGER, qty TEXT, entry_px TEXT, exit_px TEXT, fees TEXT,
    pnl TEXT, slippage_bps TEXT, exit_reason TEXT);
CREATE TABLE equity (
    ts_ns INTEGER PRIMARY KEY, cash TEXT, position TEXT, mid TEXT, equity TEXT, realized TEXT, unrealized TEXT,
    drawdown TEXT);
CREATE TABLE signals (ts_ns INTEGER, decision TEXT, rules TEXT);
CREATE INDEX signals_ts ON signals (ts_ns);
CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE volumes (
    source TEXT, bucket_ns INTEGER, now TEXT, prev TEXT, state TEXT, PRIMARY KEY (source, bucket_ns)) WITHOUT ROWID;
";
/// What version 2 added to version 1.
const RECONCILE: &str = "
CREATE TABLE reconcile (ts_ns INTEGER, \"trigger\" TEXT, kind TEXT, id TEXT, detail TEXT);
CREATE INDEX reconcile_ts ON reconcile (ts_ns);
";

/// What version 3 added to version 2.
const CHAIN_BUCKETS: &str = "
CREATE TABLE chain_buckets (
    start_ns INTEGER PRIMARY KEY, source TEXT, sol TEXT, usdc TEXT, sol_value TEXT, usd TEXT, trades INTEGER,
    lost INTEGER, gap_ms INTEGER);
";

/// How long a writer of another process (a report, a shell) is waited for, ms.
const BUSY_MS: u64 = 250;
/// Pages of the write-ahead log before it is folded into the database: 4 MB.
const WAL_PAGES: i64 = 1_000;
/// Page cache of the connection, KB: rows are appended and hardly ever read again, and memory stays what it was at start.
const CACHE_KB: i64 = 256;

/// Opens, checks and, if it is new, fills the database at `path`.
pub(super) fn open(path: &Path) -> Result<Connection, LedgerError> {
    let cannot = |why: rusqlite::Error| open_error(path, &why);
    let exists = std::fs::metadata(path).is_ok_and(|meta| meta.len() > 0);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(cannot)?;
    db.busy_timeout(std::time::Duration::from_millis(BUSY_MS)).map_err(cannot)?;
    let found = if exists { check(&db, path)? } else { 0 };
    let wal: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(cannot)?;
    if wal != "wal" {
        let why = format!("its file system does not offer write-ahead logging (journal mode {wal})");
        return Err(LedgerError::Open { path: path.to_owned(), why });
    }
    db.pragma_update(None, "synchronous", "NORMAL").map_err(cannot)?;
    db.pragma_update(None, "wal_autocheckpoint", WAL_PAGES).map_err(cannot)?;
    db.pragma_update(None, "cache_size", -CACHE_KB).map_err(cannot)?;
    if found < SCHEMA_VERSION {
        bring_up(&mut db, found).map_err(cannot)?;
    }
    db.execute_batch("BEGIN IMMEDIATE; ROLLBACK").map_err(cannot)?; // a read-only place shows itself now, not at the first fill
    Ok(db)
}

/// A database that lives in memory only.
pub(super) fn in_memory() -> rusqlite::Result<Connection> {
    let mut db = Connection::open_in_memory()?;
    bring_up(&mut db, 0)?;
    Ok(db)
}

/// Gives a database of version `found` what it lacks; 0 = it has nothing yet.
fn bring_up(db: &mut Connection, found: i64) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    if found == 0 {
        transaction.execute_batch(TABLES)?;
    }
    if found < 2 {
        transaction.execute_batch(RECONCILE)?;
    }
    if found < 3 {
        transaction.execute_batch(CHAIN_BUCKETS)?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

/// Looks before anything is written. Output: the version of its tables; 0 for a file whose making was cut short, which
/// has none yet.
fn check(db: &Connection, path: &Path) -> Result<i64, LedgerError> {
    let damaged = |why: String| LedgerError::Damaged { path: path.to_owned(), why };
    let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|why| open_error(path, &why))?;
    let verdict: String =
        db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|why| open_error(path, &why))?;
    if verdict != "ok" {
        return Err(damaged(verdict));
    }
    let tables: i64 = db
        .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))
        .map_err(|why| open_error(path, &why))?;
    if found == 0 && tables == 0 {
        return Ok(0);
    }
    if !(SCHEMA_VERSION_MIN..=SCHEMA_VERSION).contains(&found) {
        return Err(LedgerError::Version { path: path.to_owned(), found, known: SCHEMA_VERSION });
    }
    Ok(found)
}

fn open_error(path: &Path, why: &rusqlite::Error) -> LedgerError {
    let path = path.to_owned();
    match why.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            LedgerError::Damaged { path, why: why.to_string() }
        }
        _ => LedgerError::Open { path, why: why.to_string() },
    }
}
