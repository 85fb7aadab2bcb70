//! The ledger: what happened, kept in SQLite and hourly CSV files.
//!
//! Thread: cold (and main, before the threads start).  Invariants: money and sizes are exact decimal texts, times are
//! integer ns; a row is kept in memory until its transaction is on disk; a damaged file is never written to; an epoch
//! is on disk before anybody learns it.

mod chain_buckets;
mod csv_files;
mod error;
pub mod journal;
mod load;
mod names;
pub mod recording;
mod rows;
mod schema;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

pub use csv_files::{CSV_TABLES, CsvFiles};
pub use error::LedgerError;
pub use load::{Memory, OpenTrade};
pub(crate) use names::Named;
pub use rows::{Row, fee_text, rules_json, volume_json};

use crate::types::Time;
use crate::types::instrument::Symbol;
use crate::types::time::NANOS_PER_SEC;

/// Name of the database below the data directory.
pub const DB_FILE: &str = "engine.db";
/// Rows kept in memory while the disk does not take them: hours of trading, a few MB.
pub const PENDING_ROWS_MAX: usize = 65_536;

/// The venue and symbol that this ledger's orders belong to.
#[derive(Clone, Copy, Debug)]
pub struct Market {
    /// `binance_spot`.
    pub venue: &'static str,
    /// `SOLUSDT`.
    pub symbol: Symbol,
}

/// The open database and the rows that wait for it.
#[derive(Debug)]
pub struct Ledger {
    db: Connection,
    path: PathBuf,
    market: Market,
    pending: VecDeque<Row>,
    dropped: u64,
}

impl Ledger {
    /// Opens `dir/engine.db`, makes it if it is absent, checks it if it is not.
    ///
    /// Errors: [`LedgerError`]; a file that is damaged or of another version is left exactly as it is.
    pub fn open(dir: &Path, market: Market) -> Result<Ledger, LedgerError> {
        std::fs::create_dir_all(dir).map_err(|why| LedgerError::Dir { path: dir.to_owned(), why: why.to_string() })?;
        let path = dir.join(DB_FILE);
        let db = schema::open(&path)?;
        Ok(Ledger { db, path, market, pending: VecDeque::new(), dropped: 0 })
    }

    /// A ledger that lives in memory only, for a house in a simulated world.
    ///
    /// Errors: [`LedgerError::Open`] if there is no memory for it.
    pub fn in_memory(market: Market) -> Result<Ledger, LedgerError> {
        let path = PathBuf::from(":memory:");
        let open = |why: rusqlite::Error| LedgerError::Open { path: path.clone(), why: why.to_string() };
        let db = schema::in_memory().map_err(open)?;
        Ok(Ledger { db, path, market, pending: VecDeque::new(), dropped: 0 })
    }

    /// Size of the database.
    ///
    /// Errors: [`LedgerError`] if it does not say.
    pub fn db_bytes(&self) -> Result<u64, LedgerError> {
        let asked = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        let bytes: i64 =
            self.db.query_row(asked, [], |row| row.get(0)).map_err(|why| LedgerError::read(&self.path, why))?;
        Ok(bytes.unsigned_abs())
    }

    /// The process dies: what was not on disk is gone. Output: rows lost.
    pub fn lose_pending(&mut self) -> usize {
        let lost = self.pending.len();
        self.pending.clear();
        lost
    }

    /// Makes this ledger one of `mode` (`paper`, `live`), or refuses if it is already one of the other.
    pub fn claim(&mut self, mode: &'static str) -> Result<(), LedgerError> {
        match self.state("mode")? {
            Some(found) if found != mode => Err(LedgerError::Mode { path: self.path.clone(), found, asked: mode }),
            Some(_) => Ok(()),
            None => {
                let stored = self.db.execute(rows::SET_STATE, params!["mode", mode]);
                stored.map(drop).map_err(|why| LedgerError::write(&self.path, why))
            }
        }
    }

    /// The number of a new run, on disk before it is returned. Higher than any earlier one, even if the database was
    /// replaced by a fresh one meanwhile: it also never lies below the seconds since 1970.
    pub fn next_epoch(&mut self, now: Time) -> Result<u32, LedgerError> {
        let path = self.path.clone();
        let fail = |why: rusqlite::Error| LedgerError::write(&path, why);
        self.db.pragma_update(None, "synchronous", "FULL").map_err(fail)?;
        let last: Option<u32> = self.state_number("epoch")?;
        let seconds = u32::try_from(now.0 / NANOS_PER_SEC).unwrap_or(0);
        let epoch = last.unwrap_or(0).checked_add(1).ok_or(LedgerError::Epochs)?.max(seconds);
        let stored = self.db.execute(rows::SET_STATE, params!["epoch", epoch.to_string()]).map_err(fail);
        self.db.pragma_update(None, "synchronous", "NORMAL").map_err(fail)?;
        stored.map(|_| epoch)
    }

    fn state_number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, LedgerError> {
        let text = self.state(key)?;
        let bad =
            |text: &str| LedgerError::Content { path: self.path.clone(), what: format!("state.{key} = {text:?}") };
        text.map(|text| text.parse().map_err(|_| bad(&text))).transpose()
    }

    fn state(&self, key: &str) -> Result<Option<String>, LedgerError> {
        let found = self.db.query_row("SELECT value FROM state WHERE key = ?1", [key], |row| row.get(0)).optional();
        found.map_err(|why| LedgerError::read(&self.path, why))
    }

    /// Adds a row to the next transaction. Beyond [`PENDING_ROWS_MAX`] figures are dropped first, then counted.
    pub fn push(&mut self, row: Row) {
        if self.pending.len() >= PENDING_ROWS_MAX {
            let expendable = self.pending.iter().position(|row| !row.is_money());
            match expendable {
                Some(position) => drop(self.pending.remove(position)),
                None if row.is_money() => drop(self.pending.pop_front()),
                None => {}
            }
            self.dropped += 1;
            if expendable.is_none() && !row.is_money() {
                return;
            }
        }
        self.pending.push_back(row);
    }

    /// Writes everything that waits, in one transaction. On an error nothing is lost: all rows wait for the next call,
    /// and the caller must stop trading until one succeeds.
    pub fn flush(&mut self) -> Result<usize, LedgerError> {
        let count = self.pending.len();
        if count == 0 {
            return Ok(0);
        }
        self.write_pending().map_err(|why| LedgerError::write(&self.path, why))?;
        self.pending.clear();
        Ok(count)
    }

    fn write_pending(&mut self) -> rusqlite::Result<()> {
        let transaction = self.db.transaction()?;
        for row in &self.pending {
            rows::write(&transaction, &self.market, row)?;
        }
        transaction.commit()
    }

    /// Rows that wait.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Rows that were given up because the disk did not take them for too long.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The database, for reports. Read only by convention of this room.
    pub(crate) fn db(&self) -> &Connection {
        &self.db
    }
}
