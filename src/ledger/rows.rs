//! Rows and the one place that writes them.
//!
//! Thread: cold.  Invariants: writing a row twice gives the same table as writing it once; an order row never undoes
//! what the gateway noted, nor the other way round; a fill is booked once per venue trade number.

use rusqlite::{Connection, params};

use super::Market;
use super::chain_buckets;
use super::names::Named;
use crate::types::chain::VolumeBucket;
use crate::types::decision::{Decision, Rule, VOLUME_STREAMS};
use crate::types::event::VolumeSample;
use crate::types::ids::{ClientOrderId, Leg, StreamId};
use crate::types::note::Verb;
use crate::types::order::FeeAsset;
use crate::types::reconcile::{Difference, DifferenceKind, ReconcileCount};
use crate::types::record::{EquityRow, FillRow, OrderRow, PauseReason, Record, TradeRow};
use crate::types::units::RATIO_SCALE;
use crate::types::{Notional, Qty, Ratio, Time};

/// One thing to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// An order as it stands now.
    Order(OrderRow),
    /// An order's bytes left.
    Sent {
        /// Which; the list's name for an OCO.
        id: ClientOrderId,
        /// What was asked.
        verb: Verb,
        /// When the write returned.
        sent: Time,
        /// From the last byte of the trigger, ns.
        tick_to_trade_ns: i64,
    },
    /// A fill.
    Fill(FillRow),
    /// A round trip that ended.
    Trade(TradeRow),
    /// What we are worth.
    Equity(Time, EquityRow),
    /// A changed verdict.
    Signal(Time, Decision),
    /// Losing round trips in a row.
    Losses(u32),
    /// A pause that began (`on`) or ended.
    Pause {
        /// By what.
        reason: PauseReason,
        /// Whether it is in force.
        on: bool,
    },
    /// A reading of a volume source.
    Volume(StreamId, VolumeSample),
    /// Five minutes of the volume counted from the chain.
    ChainBucket(VolumeBucket),
    /// What a reconcile found different.
    Difference(Time, Difference),
    /// A reconcile that ended: how much it found.
    Reconciled(Time, ReconcileCount),
    /// Every trade of ours up to this number of the venue's is in table `fills`.
    TradesKnownTo(i64),
}

impl Row {
    /// The row of a record of the engine, made at `at`. `None` for one that is told only, and for a decision: it
    /// becomes a row when it is said, not each time it flickers.
    pub fn of_record(record: &Record, at: Time) -> Option<Row> {
        match record {
            Record::Order(row) => Some(Row::Order(*row)),
            Record::Fill(row) => Some(Row::Fill(*row)),
            Record::Trade(row) => Some(Row::Trade(*row)),
            Record::Equity(row) => Some(Row::Equity(at, *row)),
            Record::Losses(count) => Some(Row::Losses(*count)),
            Record::Pause { reason, on } => Some(Row::Pause { reason: *reason, on: *on }),
            Record::Difference(found) => Some(Row::Difference(at, *found)),
            Record::Reconciled(count) => (!count.is_routine()).then_some(Row::Reconciled(at, *count)),
            Record::Decision(_)
            | Record::Refused(_)
            | Record::Repost(_)
            | Record::Exit { .. }
            | Record::Naked { .. }
            | Record::Reloaded => None,
        }
    }
    /// Whether losing it would lose the trace of money or of a limit.
    pub fn is_money(&self) -> bool {
        !matches!(self, Row::Equity(..) | Row::Signal(..) | Row::Volume(..) | Row::ChainBucket(_))
    }
}

/// Sets a key of table `state`.
pub(super) const SET_STATE: &str =
    "INSERT INTO state (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";

const ORDER: &str =
    "INSERT INTO orders (client_order_id, venue_order_id, list_id, venue, symbol, side, type, tif, price,
    stop_price, qty, cum_qty, avg_px, status, purpose, tranche, trade_id, reason, created_ns, acked_ns, done_ns, code)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)
    ON CONFLICT (client_order_id) DO UPDATE SET venue_order_id = excluded.venue_order_id, list_id = excluded.list_id,
    venue = excluded.venue, symbol = excluded.symbol, side = excluded.side, type = excluded.type, tif = excluded.tif,
    price = excluded.price, stop_price = excluded.stop_price, qty = excluded.qty, cum_qty = excluded.cum_qty,
    avg_px = excluded.avg_px, status = excluded.status, purpose = excluded.purpose, tranche = excluded.tranche,
    trade_id = excluded.trade_id, reason = excluded.reason,
    created_ns = COALESCE(MIN(created_ns, excluded.created_ns), excluded.created_ns),
    acked_ns = COALESCE(acked_ns, excluded.acked_ns), done_ns = excluded.done_ns, code = excluded.code";

/// The gateway's note may come before the engine's row: then it makes the row, and the engine's fills it in.
const SENT: &str = "INSERT INTO orders (client_order_id, venue, symbol, status, sent_ns, tick_to_trade_ns)
    VALUES (?1, ?2, ?3, 'PENDING', ?4, ?5) ON CONFLICT (client_order_id) DO UPDATE SET
    sent_ns = COALESCE(sent_ns, excluded.sent_ns), tick_to_trade_ns = COALESCE(tick_to_trade_ns, excluded.tick_to_trade_ns)";

const FILL: &str = "INSERT OR IGNORE INTO fills (venue, trade_id, client_order_id, side, price, qty, fee, fee_asset,
    liquidity, venue_ns, recv_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

const TRADE: &str = "INSERT OR REPLACE INTO trades (id, opened_ns, closed_ns, qty, entry_px, exit_px, fees, pnl,
    slippage_bps, exit_reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

const EQUITY: &str =
    "INSERT OR REPLACE INTO equity (ts_ns, cash, position, mid, equity, realized, unrealized, drawdown)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

const RECONCILE: &str = "INSERT INTO reconcile (ts_ns, \"trigger\", kind, id, detail) VALUES (?1, ?2, ?3, ?4, ?5)";

/// Key in table `state`: see [`Row::TradesKnownTo`].
pub(super) const TRADES_KNOWN_TO: &str = "trades_known_to";

const VOLUME: &str = "INSERT OR REPLACE INTO volumes (source, bucket_ns, now, prev, state) VALUES (?1, ?2, ?3, ?4, ?5)";

/// Writes one row inside the caller's transaction.
pub(super) fn write(db: &Connection, market: &Market, row: &Row) -> rusqlite::Result<()> {
    match row {
        Row::Order(order) => write_order(db, market, order),
        Row::Sent { id, verb, sent, tick_to_trade_ns } => {
            for id in named_orders(*id, *verb).into_iter().flatten() {
                let values = params![id.to_string(), market.venue, market.symbol.as_str(), sent.0, tick_to_trade_ns];
                db.prepare_cached(SENT)?.execute(values)?;
            }
            Ok(())
        }
        Row::Fill(fill) => write_fill(db, market, fill),
        Row::Trade(trade) => write_trade(db, trade),
        Row::Equity(ts, row) => {
            let (cash, position, mid) = (row.cash.to_string(), row.position.to_string(), row.mid.to_string());
            let (equity, realized) = (row.equity.to_string(), row.realized.to_string());
            let (unrealized, drawdown) = (row.unrealized.to_string(), row.drawdown.to_string());
            let values = params![ts.0, cash, position, mid, equity, realized, unrealized, drawdown];
            db.prepare_cached(EQUITY)?.execute(values).map(drop)
        }
        Row::Signal(ts, decision) => {
            let values = params![ts.0, decision.verdict.name(), signal_json(decision).to_string()];
            db.prepare_cached("INSERT INTO signals (ts_ns, decision, rules) VALUES (?1, ?2, ?3)")?
                .execute(values)
                .map(drop)
        }
        Row::Losses(count) => set_state(db, "consecutive_losses", &count.to_string()),
        Row::Pause { reason, on: true } => set_state(db, &pause_key(*reason), "1"),
        Row::Pause { reason, on: false } => {
            db.prepare_cached("DELETE FROM state WHERE key = ?1")?.execute([pause_key(*reason)]).map(drop)
        }
        Row::Volume(source, sample) => {
            let (now, prev) = (sample.now.to_string(), sample.prev.to_string());
            let values = params![source.name(), sample.bucket_end.0, now, prev, sample.state.name()];
            db.prepare_cached(VOLUME)?.execute(values).map(drop)
        }
        Row::ChainBucket(bucket) => chain_buckets::write(db, bucket),
        Row::Difference(ts, found) => {
            let id = found.id.map(|id| id.to_string());
            let values = params![ts.0, found.trigger.name(), found.kind.name(), id, difference_json(found).to_string()];
            db.prepare_cached(RECONCILE)?.execute(values).map(drop)
        }
        Row::Reconciled(ts, count) => {
            let values = params![ts.0, count.trigger.name(), "SUMMARY", None::<String>, count_json(count).to_string()];
            db.prepare_cached(RECONCILE)?.execute(values).map(drop)
        }
        Row::TradesKnownTo(number) => set_state(db, TRADES_KNOWN_TO, &number.to_string()),
    }
}

fn set_state(db: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    db.prepare_cached(SET_STATE)?.execute([key, value]).map(drop)
}

/// Key of a pause in table `state`.
pub(super) fn pause_key(reason: PauseReason) -> String {
    format!("pause.{}", reason.name())
}

/// The orders whose bytes a request carried. A cancel carries none: its target keeps its own time.
fn named_orders(id: ClientOrderId, verb: Verb) -> [Option<ClientOrderId>; 2] {
    match (verb, id.leg) {
        (Verb::PlaceOco, Leg::List(slot)) => [
            Some(ClientOrderId { leg: Leg::TakeProfit(slot), ..id }),
            Some(ClientOrderId { leg: Leg::Stop(slot), ..id }),
        ],
        (Verb::Place | Verb::PlaceOco | Verb::CancelReplace, _) => [Some(id), None],
        (Verb::Cancel | Verb::CancelList | Verb::CancelAll | Verb::Query, _) => [None, None],
    }
}

fn known(time: Time) -> Option<i64> {
    (time != Time::NONE).then_some(time.0)
}

fn positive(number: i64) -> Option<i64> {
    (number > 0).then_some(number)
}

fn write_order(db: &Connection, market: &Market, row: &OrderRow) -> rusqlite::Result<()> {
    db.prepare_cached(ORDER)?
        .execute(params![
            row.id.to_string(),
            positive(row.venue_order_id.0),
            positive(row.list_id),
            market.venue,
            market.symbol.as_str(),
            row.side.name(),
            row.kind.name(),
            row.tif.name(),
            row.price.to_string(),
            row.stop_price.to_string(),
            row.qty.to_string(),
            row.cum_qty.to_string(),
            row.avg_px.to_string(),
            Named::name(row.status),
            Named::name(row.purpose),
            row.tranche,
            row.trade_no,
            row.reason.name(),
            known(row.created),
            known(row.acked),
            known(row.done),
            row.code,
        ])
        .map(drop)
}

/// Exact text of a fee: coins in 1e-9, anything else in 1e-8.
pub fn fee_text(fill: &FillRow) -> String {
    match fill.fee_asset {
        FeeAsset::Base => Qty(fill.fee).to_string(),
        FeeAsset::Quote | FeeAsset::Other | FeeAsset::None => Notional(fill.fee).to_string(),
    }
}

fn write_fill(db: &Connection, market: &Market, fill: &FillRow) -> rusqlite::Result<()> {
    db.prepare_cached(FILL)?
        .execute(params![
            market.venue,
            fill.trade_id,
            fill.id.to_string(),
            fill.side.name(),
            fill.price.to_string(),
            fill.qty.to_string(),
            fee_text(fill),
            fill.fee_asset.name(),
            fill.liquidity.name(),
            known(fill.venue_time),
            known(fill.recv),
        ])
        .map(drop)
}

fn write_trade(db: &Connection, trade: &TradeRow) -> rusqlite::Result<()> {
    db.prepare_cached(TRADE)?
        .execute(params![
            trade.trade_no,
            known(trade.opened),
            known(trade.closed),
            trade.qty.to_string(),
            trade.entry_px.to_string(),
            trade.exit_px.to_string(),
            trade.fees.to_string(),
            trade.pnl.to_string(),
            trade.slippage.to_string(),
            trade.reason.name(),
        ])
        .map(drop)
}

/// The numbers of a difference: money and sizes as exact text.
fn difference_json(found: &Difference) -> serde_json::Value {
    let amount = match found.kind {
        DifferenceKind::Quote => Notional(found.amount).to_string(),
        _ => Qty(found.amount).to_string(),
    };
    serde_json::json!({ "number": positive(found.number), "amount": amount })
}

fn count_json(count: &ReconcileCount) -> serde_json::Value {
    let ReconcileCount { trigger: _, fills, adopted, cancelled, ended, balances } = *count;
    serde_json::json!({ "fills": fills, "adopted": adopted, "cancelled": cancelled, "ended": ended, "balances": balances })
}

/// Every rule with its value, threshold and verdict: the answer to "why no trade".
pub fn rules_json(decision: &Decision) -> serde_json::Value {
    let d = decision;
    let source_state = Named::name(d.source_state).to_owned();
    let mut rules = serde_json::Map::new();
    for rule in Rule::ALL {
        let (value, threshold) = match rule {
            Rule::VolumeSource => (
                format!("{} {source_state}{}", d.source.name(), if d.contradicted > 0 { ", contradicted" } else { "" }),
                Some("OK".to_owned()),
            ),
            Rule::VolumeDrop => (d.drop.to_string(), Some(format!("> {}", d.drop_min))),
            Rule::VolumeSol if d.drop_sol_min.0 == 0 => (d.drop_sol.to_string(), None),
            Rule::VolumeSol => (d.drop_sol.to_string(), Some(format!("> {}", d.drop_sol_min))),
            Rule::VolumeConfirmed => (d.confirmed.to_string(), Some(format!(">= {}", d.confirmed_min))),
            Rule::Rsi => (d.rsi.to_string(), Some(format!("< {}", d.rsi_max))),
            Rule::SupportLow => (d.mid.to_string(), Some(format!(">= {}", d.support_low))),
            Rule::SupportHigh => (d.mid.to_string(), Some(format!("<= {}", d.support_high))),
            Rule::RsiKnown | Rule::BookFresh | Rule::OncePerDay | Rule::Flat => (passed(d, rule).to_string(), None),
        };
        let entry = serde_json::json!({ "value": value, "threshold": threshold, "pass": passed(d, rule) });
        rules.insert(rule.name().to_owned(), entry);
    }
    serde_json::Value::Object(rules)
}

/// Where the volume of a decision comes from: the trigger's sample, and what every source was worth then.
pub fn volume_json(decision: &Decision) -> serde_json::Value {
    let d = decision;
    let o = &d.origin;
    let sources = VOLUME_STREAMS.into_iter().zip(&d.looks).map(|(stream, look)| {
        let drop = Ratio(i64::from(look.drop.0) * (RATIO_SCALE / 1_000_000)).to_string();
        let age_ms = (look.age_ms != u32::MAX).then_some(look.age_ms);
        let told = serde_json::json!({
            "state": Named::name(look.state), "reason": look.reason.name(), "drop": drop, "age_ms": age_ms
        });
        (stream.name().to_owned(), told)
    });
    serde_json::json!({
        "def": Named::name(o.definition),
        "source": d.source.name(),
        "now": o.now.to_string(),
        "prev": o.prev.to_string(),
        "drop": d.drop.to_string(),
        "drop_sol": d.drop_sol.to_string(),
        "as_of": known(o.as_of),
        "bucket_end": known(o.bucket_end),
        "recv": known(o.recv),
        "contradicted": d.contradicted,
        "sources": sources.collect::<serde_json::Map<_, _>>(),
    })
}

/// What table `signals` holds of a decision: its rules and, beside them, where the volume comes from.
fn signal_json(decision: &Decision) -> serde_json::Value {
    let mut rules = rules_json(decision);
    if let serde_json::Value::Object(map) = &mut rules {
        map.insert("volume".to_owned(), volume_json(decision));
    }
    rules
}

fn passed(decision: &Decision, rule: Rule) -> bool {
    decision.passed & rule.bit() != 0
}
