//! What the cold agent publishes: the facts that it logs and keeps, one JSON object each.
//!
//! Runs on: the `cold` core, inside [`Cold`].  Invariants: names and texts are those of the ledger's columns, so a reader
//! of either understands both; nothing is waited for; what the bus does not take is in the ledger all the same.

use serde_json::{Value, json};

use super::Cold;
use crate::ledger::{Named, fee_text, rules_json};
use crate::telemetry::lines::rfc3339_us;
use crate::threads::helpers::bus::{BusQueue, Topic};
use crate::types::Time;
use crate::types::decision::Decision;
use crate::types::record::{FillRow, OrderRow};

/// An instant, or null where there is none.
fn known(time: Time) -> Value {
    if time == Time::NONE { Value::Null } else { json!(time.0) }
}

/// A number that counts from 1, or null.
fn positive(number: i64) -> Value {
    if number > 0 { json!(number) } else { Value::Null }
}

impl Cold {
    /// Facts go to `bus` too.
    pub fn with_bus(mut self, bus: Option<BusQueue>) -> Cold {
        self.bus = bus;
        self
    }

    fn publish_fact(&self, topic: Topic, fact: impl FnOnce() -> Value) {
        if let Some(bus) = &self.bus {
            bus.send(topic, fact().to_string());
        }
    }

    pub(super) fn publish_order(&self, row: &OrderRow) {
        self.publish_fact(Topic::Order, || {
            json!({
                "ts": rfc3339_us(self.at),
                "epoch": self.status.epoch,
                "client_order_id": row.id.to_string(),
                "venue_order_id": positive(row.venue_order_id.0),
                "list_id": positive(row.list_id),
                "venue": self.names.venue,
                "symbol": self.names.symbol.as_str(),
                "side": row.side.name(),
                "type": row.kind.name(),
                "tif": row.tif.name(),
                "price": row.price.to_string(),
                "stop_price": row.stop_price.to_string(),
                "qty": row.qty.to_string(),
                "cum_qty": row.cum_qty.to_string(),
                "avg_px": row.avg_px.to_string(),
                "status": row.status.name(),
                "purpose": row.purpose.name(),
                "tranche": row.tranche,
                "trade_id": row.trade_no,
                "reason": row.reason.name(),
                "created_ns": known(row.created),
                "acked_ns": known(row.acked),
                "done_ns": known(row.done),
                "code": row.code,
            })
        });
    }

    pub(super) fn publish_fill(&self, row: &FillRow) {
        self.publish_fact(Topic::Fill, || {
            json!({
                "ts": rfc3339_us(self.at),
                "epoch": self.status.epoch,
                "venue": self.names.venue,
                "trade_id": row.trade_id,
                "client_order_id": row.id.to_string(),
                "side": row.side.name(),
                "price": row.price.to_string(),
                "qty": row.qty.to_string(),
                "fee": fee_text(row),
                "fee_asset": row.fee_asset.name(),
                "liquidity": row.liquidity.name(),
                "venue_ns": known(row.venue_time),
                "recv_ns": known(row.recv),
            })
        });
    }

    pub(super) fn publish_signal(&self, decision: &Decision, at: Time) {
        self.publish_fact(Topic::Signal, || {
            json!({
                "ts": rfc3339_us(at),
                "epoch": self.status.epoch,
                "ts_ns": at.0,
                "decision": Named::name(decision.verdict),
                "rules": rules_json(decision),
            })
        });
    }

    /// Soon out of date, so it does not wait for a connection.
    pub(super) fn publish_status(&self, now: Time) {
        if self.bus.as_ref().is_some_and(BusQueue::is_up) {
            self.publish_fact(Topic::Status, || {
                let mut status = self.status.json(now);
                status["ts"] = json!(rfc3339_us(now));
                status
            });
        }
    }
}
