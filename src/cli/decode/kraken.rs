//! Kraken's frames as `decode` prints them.
//!
//! Thread: main.  Invariants: prices and sizes are texts, never floats.

use serde_json::{Value, json};

use super::{bbo_json, side_name};
use crate::types::Time;
use crate::venue::kraken::book::Fault;
use crate::venue::kraken::decode::{Frame, Level, Method, Rows};
use crate::venue::kraken::feed::Refusal;
use crate::venue::kraken::lines::{Line, Step};

/// The event of one line; `None` if the line holds nothing.
pub(super) fn event_json(line: &Line<'_>, book: bool) -> Option<Value> {
    let mut event = match line.frame? {
        Frame::Status { system, connection_id } => {
            json!({"kind": "status", "system": system.name(), "connection_id": connection_id})
        }
        Frame::Heartbeat => json!({"kind": "heartbeat"}),
        Frame::Pong { req_id } => json!({"kind": "pong", "req_id": req_id}),
        Frame::Ack { method, req_id, pair, depth } => json!({
            "kind": "ack", "method": method_name(method), "req_id": req_id,
            "symbol": pair.map(|pair| pair.to_string()), "depth": depth,
        }),
        Frame::Refused { method, req_id, why } => json!({
            "kind": "refused", "method": method_name(method), "req_id": req_id,
            "why": String::from_utf8_lossy(why), "reason": Refusal::of(why).name(),
        }),
        Frame::Book { snapshot } => json!({"kind": "book", "snapshot": snapshot, "rows": books_json(line.rows)}),
        Frame::Ticker { snapshot } => json!({"kind": "ticker", "snapshot": snapshot, "rows": tickers_json(line.rows)}),
        Frame::Trade { snapshot } => json!({"kind": "trade", "snapshot": snapshot, "rows": trades_json(line.rows)}),
        Frame::Other => json!({"kind": "other"}),
    };
    if let Some(recv) = line.recv {
        event["recv_ns"] = json!(recv.0);
    }
    if let Some(step) = line.step {
        event["book"] = step_json(step);
    }
    if book {
        event["top"] = line.top.map_or(Value::Null, |top| bbo_json(&top));
    }
    Some(event)
}

fn books_json(rows: &Rows) -> Vec<Value> {
    let bids = |row: &_| rows.bids(row).iter().map(level_json).collect::<Vec<_>>();
    let asks = |row: &_| rows.asks(row).iter().map(level_json).collect::<Vec<_>>();
    let each = rows.books.iter().map(|book| {
        json!({
            "symbol": book.pair.to_string(), "checksum": book.checksum, "venue_ns": time_json(book.venue_time),
            "bids": bids(book), "asks": asks(book),
        })
    });
    each.collect()
}

fn tickers_json(rows: &Rows) -> Vec<Value> {
    let each = rows.tickers.iter().map(|row| {
        json!({
            "symbol": row.pair.to_string(), "bid": row.bid.to_string(), "bid_qty": row.bid_qty.to_string(),
            "ask": row.ask.to_string(), "ask_qty": row.ask_qty.to_string(), "venue_ns": time_json(row.venue_time),
        })
    });
    each.collect()
}

fn trades_json(rows: &Rows) -> Vec<Value> {
    let each = rows.trades.iter().map(|row| {
        json!({
            "symbol": row.pair.to_string(), "aggressor": side_name(row.aggressor), "price": row.price.to_string(),
            "qty": row.qty.to_string(), "trade_id": row.trade_id, "venue_ns": time_json(row.venue_time),
        })
    });
    each.collect()
}

fn level_json(level: &Level) -> [String; 2] {
    [level.price.to_string(), level.qty.to_string()]
}

fn time_json(time: Time) -> Option<i64> {
    (time != Time::NONE).then_some(time.0)
}

fn step_json(step: Step) -> Value {
    match step {
        Step::Verified => json!("verified"),
        Step::NoSnapshot => json!("no_snapshot"),
        Step::Lost(Fault::Crossed) => json!("crossed"),
        Step::Lost(Fault::Checksum { theirs, ours }) => json!({"mismatch": {"theirs": theirs, "ours": ours}}),
    }
}

fn method_name(method: Method) -> Option<&'static str> {
    match method {
        Method::Subscribe => Some("subscribe"),
        Method::Unsubscribe => Some("unsubscribe"),
        Method::Ping => Some("ping"),
        Method::Unsaid => None,
    }
}
