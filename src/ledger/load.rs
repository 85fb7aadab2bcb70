//! What a new run remembers of earlier ones.
//!
//! Thread: main, at start.  Invariants: reads only; a value we never wrote is an error, never a guess.

use rusqlite::{OptionalExtension, Row as SqlRow, params};

use super::Ledger;
use super::error::LedgerError;
use super::names::Named;
use super::rows::{TRADES_KNOWN_TO, pause_key};
use crate::types::Time;
use crate::types::decision::VOLUME_STREAMS;
use crate::types::ids::{ClientOrderId, StreamId, VenueOrderId};
use crate::types::order::{FeeAsset, Purpose};
use crate::types::record::{FillRow, OrderRow, PauseReason};
use crate::types::units::{DecimalError, Notional, Price, Qty};

/// What the ledger remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Number of the last run; 0 = there was none.
    pub epoch: u32,
    /// Losing round trips in a row.
    pub consecutive_losses: u32,
    /// Pauses in force.
    pub pauses: Vec<PauseReason>,
    /// Number the next round trip gets.
    pub next_trade_no: u32,
    /// The round trip that has fills but no end, if any.
    pub open_trade: Option<OpenTrade>,
    /// Orders that were not done when last heard of, oldest first.
    pub open_orders: Vec<OrderRow>,
    /// Newest venue trade number booked; 0 = none.
    pub venue_trade_max: i64,
    /// Every trade of ours up to this number of the venue's is booked; 0 = nobody ever looked.
    pub trades_known_to: i64,
}

/// A round trip under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTrade {
    /// Its number.
    pub trade_no: u32,
    /// Its fills with what their order was for, oldest first.
    pub fills: Vec<(FillRow, Purpose)>,
}

const OPEN_FILLS: &str =
    "SELECT f.trade_id, f.client_order_id, f.side, f.price, f.qty, f.fee, f.fee_asset, f.liquidity,
    f.venue_ns, f.recv_ns, o.purpose FROM fills f JOIN orders o ON o.client_order_id = f.client_order_id
    WHERE o.trade_id = ?1 ORDER BY f.recv_ns, f.trade_id";

const ALL_FILLS: &str = "SELECT f.trade_id, f.client_order_id, f.side, f.price, f.qty, f.fee, f.fee_asset, f.liquidity,
    f.venue_ns, f.recv_ns, o.purpose FROM fills f JOIN orders o ON o.client_order_id = f.client_order_id
    ORDER BY f.recv_ns, f.trade_id";

const OPEN_ORDERS: &str =
    "SELECT client_order_id, venue_order_id, list_id, trade_id, side, type, tif, purpose, tranche,
    status, reason, code, price, stop_price, qty, cum_qty, avg_px, created_ns, acked_ns FROM orders
    WHERE status IN ('PENDING', 'WORKING', 'PARTLY_FILLED', 'UNKNOWN') AND created_ns IS NOT NULL ORDER BY created_ns";

impl Ledger {
    /// Reads what earlier runs left.
    pub fn memory(&self) -> Result<Memory, LedgerError> {
        let mut pauses = Vec::new();
        for reason in PauseReason::ALL {
            if self.state(&pause_key(reason))?.is_some() {
                pauses.push(reason);
            }
        }
        let last =
            "SELECT MAX(COALESCE((SELECT MAX(id) FROM trades), 0), COALESCE((SELECT MAX(trade_id) FROM orders), 0))";
        let open = "SELECT MAX(o.trade_id) FROM orders o JOIN fills f ON f.client_order_id = o.client_order_id
            WHERE o.trade_id NOT IN (SELECT id FROM trades)";
        let last_trade: u32 = self.one(last)?.unwrap_or(0);
        let open_no: Option<u32> = self.one(open)?;
        let open_trade = open_no.map(|trade_no| self.open_fills(trade_no).map(|fills| OpenTrade { trade_no, fills }));
        Ok(Memory {
            epoch: self.state_number("epoch")?.unwrap_or(0),
            consecutive_losses: self.state_number("consecutive_losses")?.unwrap_or(0),
            pauses,
            next_trade_no: last_trade + 1,
            open_trade: open_trade.transpose()?,
            open_orders: self.rows(OPEN_ORDERS, params![], order)?,
            venue_trade_max: self.one("SELECT MAX(trade_id) FROM fills")?.unwrap_or(0),
            trades_known_to: self.state_number(TRADES_KNOWN_TO)?.unwrap_or(0),
        })
    }

    /// The first equity noted at or after `day_start`.
    pub fn first_equity_since(&self, day_start: Time) -> Result<Option<Notional>, LedgerError> {
        let sql = "SELECT equity FROM equity WHERE ts_ns >= ?1 ORDER BY ts_ns LIMIT 1";
        Ok(self.rows(sql, params![day_start.0], |row| money(row, 0, Notional::parse))?.into_iter().next())
    }

    /// Readings of a volume source at or after `since`: time of the bucket, volume. Oldest first.
    pub fn volumes_since(&self, source: StreamId, since: Time) -> Result<Vec<(Time, Notional)>, LedgerError> {
        let sql = "SELECT bucket_ns, now FROM volumes WHERE source = ?1 AND bucket_ns >= ?2 ORDER BY bucket_ns";
        self.rows(sql, params![source.name(), since.0], |row| Ok((time(row, 0)?, money(row, 1, Notional::parse)?)))
    }

    /// Of each volume source, in the order of [`VOLUME_STREAMS`]: the window's end, where its newest good word was that
    /// volume rose; else NONE.
    pub fn risen(&self) -> Result<[Time; VOLUME_STREAMS.len()], LedgerError> {
        let sql = "SELECT bucket_ns, now, prev FROM volumes WHERE source = ?1 AND state = 'OK' ORDER BY bucket_ns DESC LIMIT 1";
        let mut risen = [Time::NONE; VOLUME_STREAMS.len()];
        for (place, stream) in risen.iter_mut().zip(VOLUME_STREAMS) {
            let newest = self.rows(sql, params![stream.name()], |row| {
                Ok((time(row, 0)?, money(row, 1, Notional::parse)?, money(row, 2, Notional::parse)?))
            })?;
            *place = newest.first().filter(|(_, now, prev)| now > prev).map_or(Time::NONE, |(at, ..)| *at);
        }
        Ok(risen)
    }

    /// When the newest entry order was made: one signal a day holds across restarts.
    pub fn last_entry(&self) -> Result<Option<Time>, LedgerError> {
        let newest: Option<i64> = self.one("SELECT MAX(created_ns) FROM orders WHERE purpose = 'ENTRY'")?;
        Ok(newest.map(Time))
    }

    /// Our order behind a number of the venue, if the ledger knows it.
    pub fn order_of_venue(&self, number: VenueOrderId) -> Result<Option<(ClientOrderId, Purpose)>, LedgerError> {
        let sql = "SELECT client_order_id, purpose FROM orders WHERE venue_order_id = ?1";
        Ok(self.rows(sql, params![number.0], |row| Ok((order_id(row, 0)?, named(row, 1)?)))?.pop())
    }

    /// Every fill of every run, oldest first.
    pub fn fills(&self) -> Result<Vec<FillRow>, LedgerError> {
        let all = self.rows(ALL_FILLS, params![], fill)?;
        Ok(all.into_iter().map(|(fill, _)| fill).collect())
    }

    fn open_fills(&self, trade_no: u32) -> Result<Vec<(FillRow, Purpose)>, LedgerError> {
        self.rows(OPEN_FILLS, params![trade_no], fill)
    }

    fn one<T: rusqlite::types::FromSql>(&self, sql: &str) -> Result<Option<T>, LedgerError> {
        let found = self.db.query_row(sql, [], |row| row.get::<_, Option<T>>(0)).optional();
        found.map(Option::flatten).map_err(|why| LedgerError::read(&self.path, why))
    }

    pub(super) fn rows<T>(
        &self,
        sql: &str,
        values: &[&dyn rusqlite::ToSql],
        read: impl Fn(&SqlRow<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, LedgerError> {
        let fail = |why: rusqlite::Error| match why {
            rusqlite::Error::FromSqlConversionFailure(_, _, what) => {
                LedgerError::Content { path: self.path.clone(), what: what.to_string() }
            }
            other => LedgerError::read(&self.path, other),
        };
        let mut statement = self.db.prepare(sql).map_err(fail)?;
        let found = statement.query_map(values, |row| read(row)).map_err(fail)?;
        found.collect::<rusqlite::Result<Vec<T>>>().map_err(fail)
    }
}

pub(super) fn unreadable(row: &SqlRow<'_>, column: usize, text: &str) -> rusqlite::Error {
    let name = row.as_ref().column_name(column).unwrap_or("?").to_owned();
    let what = format!("column {name} = {text:?}");
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, what.into())
}

fn named<T: Named>(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    T::of_name(&text).ok_or_else(|| unreadable(row, column, &text))
}

fn money<T>(row: &SqlRow<'_>, column: usize, parse: impl Fn(&[u8]) -> Result<T, DecimalError>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    parse(text.as_bytes()).map_err(|_| unreadable(row, column, &text))
}

fn time(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<Time> {
    Ok(row.get::<_, Option<i64>>(column)?.map_or(Time::NONE, Time))
}

fn order_id(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<ClientOrderId> {
    let text: String = row.get(column)?;
    ClientOrderId::parse(text.as_bytes()).ok_or_else(|| unreadable(row, column, &text))
}

fn fill(row: &SqlRow<'_>) -> rusqlite::Result<(FillRow, Purpose)> {
    let fee_asset: FeeAsset = named(row, 6)?;
    let fee = match fee_asset {
        FeeAsset::Base => money(row, 5, Qty::parse)?.0,
        FeeAsset::Quote | FeeAsset::Other | FeeAsset::None => money(row, 5, Notional::parse)?.0,
    };
    let fill = FillRow {
        id: order_id(row, 1)?,
        trade_id: row.get(0)?,
        side: named(row, 2)?,
        liquidity: named(row, 7)?,
        fee_asset,
        price: money(row, 3, Price::parse)?,
        qty: money(row, 4, Qty::parse)?,
        fee,
        venue_time: time(row, 8)?,
        recv: time(row, 9)?,
    };
    Ok((fill, named(row, 10)?))
}

fn order(row: &SqlRow<'_>) -> rusqlite::Result<OrderRow> {
    Ok(OrderRow {
        id: order_id(row, 0)?,
        venue_order_id: VenueOrderId(row.get::<_, Option<i64>>(1)?.unwrap_or(0)),
        list_id: row.get::<_, Option<i64>>(2)?.unwrap_or(0),
        trade_no: row.get(3)?,
        side: named(row, 4)?,
        kind: named(row, 5)?,
        tif: named(row, 6)?,
        purpose: named(row, 7)?,
        tranche: row.get(8)?,
        status: named(row, 9)?,
        reason: named(row, 10)?,
        code: row.get(11)?,
        price: money(row, 12, Price::parse)?,
        stop_price: money(row, 13, Price::parse)?,
        qty: money(row, 14, Qty::parse)?,
        cum_qty: money(row, 15, Qty::parse)?,
        avg_px: money(row, 16, Price::parse)?,
        created: time(row, 17)?,
        acked: time(row, 18)?,
        done: Time::NONE,
    })
}
