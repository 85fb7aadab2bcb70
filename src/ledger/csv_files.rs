//! Hourly CSV files: `csv/YYYY-MM-DDTHH/{orders,fills,equity}.csv`.
//!
//! Thread: cold.  Invariants: a file is the database's rows of that hour, replaced as a whole, so it is never half
//! written and never differs from the ledger; an hour that ended while nothing ran is written at the next start.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;

use super::error::LedgerError;
use super::{Ledger, rows};
use crate::types::Time;
use crate::types::time::NANOS_PER_SEC;

/// Nanoseconds in an hour.
const HOUR_NS: i64 = 3_600 * NANOS_PER_SEC;
/// Hours that a start looks back for files a crash left unwritten.
const CATCH_UP_HOURS_MAX: i64 = 48;

/// File name and the rows of `[?1, ?2)`: orders made or ended in the hour, as they stand; fills; equity.
pub const CSV_TABLES: [(&str, &str); 3] = [
    (
        "orders",
        "SELECT * FROM orders WHERE (created_ns >= ?1 AND created_ns < ?2) OR (done_ns >= ?1 AND done_ns < ?2) ORDER BY created_ns, client_order_id",
    ),
    ("fills", "SELECT * FROM fills WHERE recv_ns >= ?1 AND recv_ns < ?2 ORDER BY recv_ns, trade_id"),
    ("equity", "SELECT * FROM equity WHERE ts_ns >= ?1 AND ts_ns < ?2 ORDER BY ts_ns"),
];

/// Writes the files of the hours as they pass.
#[derive(Debug)]
pub struct CsvFiles {
    root: PathBuf,
    every_ns: i64,
    hour: i64,
    due: Time,
}

impl CsvFiles {
    /// Below `data_dir`. The running hour's files are rewritten every `every_ns`.
    pub fn new(data_dir: &Path, every_ns: i64, now: Time) -> CsvFiles {
        let hour = now.0.div_euclid(HOUR_NS);
        CsvFiles { root: data_dir.join("csv"), every_ns: every_ns.clamp(NANOS_PER_SEC, HOUR_NS), hour, due: now }
    }

    /// Rewrites what is due: hours that ended since the last call, and the running one.
    pub fn turn(&mut self, ledger: &Ledger, now: Time) -> Result<(), LedgerError> {
        let hour = now.0.div_euclid(HOUR_NS);
        if now < self.due && hour == self.hour {
            return Ok(());
        }
        self.due = now.plus(self.every_ns); // also after a failure: a full disk is not hammered
        self.write(ledger, self.hour, hour)
    }

    /// Last files of a run, and at the start of one those that the run before could not write any more.
    pub fn catch_up(&mut self, ledger: &Ledger, now: Time) -> Result<(), LedgerError> {
        let hour = now.0.div_euclid(HOUR_NS);
        let written = ledger.state("csv_hour")?.and_then(|text| text.parse().ok()).unwrap_or(hour);
        self.write(ledger, written.clamp(hour - CATCH_UP_HOURS_MAX, hour), hour)
    }

    fn write(&mut self, ledger: &Ledger, from_hour: i64, to_hour: i64) -> Result<(), LedgerError> {
        for hour in from_hour.max(to_hour - CATCH_UP_HOURS_MAX)..=to_hour {
            for (name, sql) in CSV_TABLES {
                self.write_file(ledger, hour, name, sql)?;
            }
        }
        self.hour = to_hour;
        let noted = ledger.db().execute(rows::SET_STATE, ["csv_hour", to_hour.to_string().as_str()]);
        noted.map(drop).map_err(|why| LedgerError::write(&ledger.path, why))
    }

    fn write_file(&self, ledger: &Ledger, hour: i64, name: &str, sql: &str) -> Result<(), LedgerError> {
        let dir = self.root.join(hour_name(hour));
        let path = dir.join(format!("{name}.csv"));
        let found = rows_as_csv(ledger, sql, hour * HOUR_NS).map_err(|why| LedgerError::read(&ledger.path, why))?;
        let fail = |why: std::io::Error| LedgerError::Csv { path: path.clone(), why: why.to_string() };
        let (text, any) = found;
        if !any {
            return Ok(()); // an hour without rows leaves no file
        }
        fs::create_dir_all(&dir).map_err(fail)?;
        let draft = dir.join(format!("{name}.csv.new"));
        fs::write(&draft, text).map_err(fail)?;
        fs::rename(&draft, &path).map_err(fail)
    }
}

/// `2026-11-22T18` of an hour's number.
fn hour_name(hour: i64) -> String {
    let start = std::time::UNIX_EPOCH + std::time::Duration::from_secs(hour.unsigned_abs() * 3_600);
    let text = humantime::format_rfc3339_seconds(start).to_string();
    text.get(..13).unwrap_or(&text).to_owned()
}

/// The rows as CSV with a header line, and whether there were any.
fn rows_as_csv(ledger: &Ledger, sql: &str, from_ns: i64) -> rusqlite::Result<(Vec<u8>, bool)> {
    let mut statement = ledger.db().prepare_cached(sql)?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut out = csv::Writer::from_writer(Vec::new());
    let broken = |why: csv::Error| rusqlite::Error::ToSqlConversionFailure(Box::new(why));
    out.write_record(&names).map_err(broken)?;
    let mut found = statement.query([from_ns, from_ns + HOUR_NS])?;
    let mut any = false;
    while let Some(row) = found.next()? {
        any = true;
        for column in 0..names.len() {
            let text = match row.get_ref(column)? {
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => String::new(),
            };
            out.write_field(text).map_err(broken)?;
        }
        out.write_record(None::<&[u8]>).map_err(broken)?;
    }
    let bytes = out.into_inner().map_err(|why| rusqlite::Error::ToSqlConversionFailure(Box::new(why.into_error())))?;
    Ok((bytes, any))
}
