//! The state of the engine for people and for `/readyz`: what it is doing and why it may not trade.
//!
//! Thread: cold publishes, the HTTP thread reads.  Invariants: "ready" means no reason is left; a status that nobody
//! renewed for [`SILENT_NS`] is a reason of its own.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::lines::rfc3339_us;
use crate::types::event::{SourceReason, SourceState, StreamState};
use crate::types::ids::StreamId;
use crate::types::record::{EquityRow, PauseReason};
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::units::Ratio;
use crate::types::{Price, Qty, Time};

/// Silence of the cold side after which its word no longer counts.
pub const SILENT_NS: i64 = 5 * NANOS_PER_SEC;

/// One stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStatus {
    /// Health; `None` = it has not spoken yet.
    pub state: Option<StreamState>,
    /// Newest frame; NONE = none yet.
    pub last: Time,
    /// Whether trading stands on it.
    pub needed: bool,
}

/// One volume source, by its newest sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeStatus {
    /// Which.
    pub source: StreamId,
    /// Drop, rounded down.
    pub drop: Ratio,
    /// What the reader makes of it; the engine's own gates stand in the decision.
    pub state: SourceState,
    /// Why.
    pub reason: SourceReason,
    /// When it was read.
    pub at: Time,
}

/// Everything worth showing.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// When this was true.
    pub at: Time,
    /// When the run began.
    pub started: Time,
    /// `paper` or `live`.
    pub mode: &'static str,
    /// Symbol traded.
    pub symbol: String,
    /// Number of the run.
    pub epoch: u32,
    /// The start procedure is over.
    pub started_up: bool,
    /// SIGTERM or kill was given.
    pub stopping: bool,
    /// The ledger takes rows; else why not.
    pub ledger_fault: Option<String>,
    /// The journal takes entries; else why not.
    pub journal_fault: Option<String>,
    /// Streams in wire order.
    pub streams: [StreamStatus; StreamId::ALL.len()],
    /// Pauses in force.
    pub pauses: Vec<PauseReason>,
    /// Losing round trips in a row.
    pub consecutive_losses: u32,
    /// Newest money row.
    pub equity: Option<EquityRow>,
    /// Orders not done.
    pub orders_open: u32,
    /// Orders whose fate is being asked about.
    pub orders_unknown: u32,
    /// Newest decision: its verdict and rules.
    pub decision: Option<(&'static str, Value)>,
    /// Each volume source heard of.
    pub volumes: Vec<VolumeStatus>,
    /// The source whose samples trigger; `None` = not known.
    pub trigger: Option<StreamId>,
    /// So many others must be able to confirm it.
    pub confirmations_min: u32,
    /// Highest bid of all venues: whose, price, size.
    pub best_bid: Option<(StreamId, Price, Qty)>,
    /// Lowest ask of all venues.
    pub best_ask: Option<(StreamId, Price, Qty)>,
    /// How far the Solana exchanges' mid is from the others', and whose mids those are.
    pub dex_divergence: Option<(Ratio, StreamId, StreamId)>,
    /// Newest Solana slot.
    pub slot: u64,
    /// Round trips ended in this run.
    pub trades: u32,
    /// Fills booked in this run.
    pub fills: u32,
}

impl Status {
    /// Of a run that has only just begun.
    pub fn new(started: Time, mode: &'static str, symbol: String, epoch: u32) -> Status {
        let silent = StreamStatus { state: None, last: Time::NONE, needed: false };
        Status {
            at: started,
            started,
            mode,
            symbol,
            epoch,
            started_up: false,
            stopping: false,
            ledger_fault: None,
            journal_fault: None,
            streams: [silent; StreamId::ALL.len()],
            pauses: Vec::new(),
            consecutive_losses: 0,
            equity: None,
            orders_open: 0,
            orders_unknown: 0,
            decision: None,
            volumes: Vec::new(),
            trigger: None,
            confirmations_min: 0,
            best_bid: None,
            best_ask: None,
            dex_divergence: None,
            slot: 0,
            trades: 0,
            fills: 0,
        }
    }

    /// Why the engine may not enter now; empty = it may.
    pub fn reasons(&self, now: Time) -> Vec<String> {
        let mut reasons = Vec::new();
        if now.since(self.at) > SILENT_NS {
            reasons.push("no status for more than 5 s".to_owned());
        }
        if !self.started_up {
            reasons.push("starting".to_owned());
        }
        if self.stopping {
            reasons.push("stopping".to_owned());
        }
        for (stream, status) in StreamId::ALL.iter().zip(&self.streams).filter(|(_, status)| status.needed) {
            match status.state {
                Some(StreamState::Up) => {}
                Some(state) => reasons.push(format!("stream {} is {}", stream.name(), state.name())),
                None => reasons.push(format!("stream {} has not come up yet", stream.name())),
            }
        }
        self.volume_reasons(&mut reasons);
        reasons.extend(self.pauses.iter().map(|reason| format!("paused: {}", reason.name())));
        if self.orders_unknown > 0 {
            reasons.push(format!("{} order(s) in an unknown state", self.orders_unknown));
        }
        reasons.extend(self.ledger_fault.iter().map(|why| format!("ledger: {why}")));
        reasons.extend(self.journal_fault.iter().map(|why| format!("journal: {why}")));
        reasons
    }

    /// The trigger cannot be believed, or too few others could bear it out.
    fn volume_reasons(&self, reasons: &mut Vec<String>) {
        let Some(trigger) = self.trigger else { return };
        match self.volumes.iter().find(|volume| volume.source == trigger) {
            Some(volume) if volume.state == SourceState::Ok => {}
            Some(volume) => {
                let (state, why) = (source_name(volume.state), volume.reason.name());
                reasons.push(format!("volume source {} is {state} ({why})", trigger.name()));
            }
            None => reasons.push(format!("volume source {} has told nothing yet", trigger.name())),
        }
        let is_able = |volume: &&VolumeStatus| volume.source != trigger && volume.state == SourceState::Ok;
        let able = self.volumes.iter().filter(is_able).count();
        if able < self.confirmations_min as usize {
            reasons.push(format!("volume: {able} of {} confirmations can be had", self.confirmations_min));
        }
    }

    /// The body of `/readyz`.
    pub fn readyz(&self, now: Time) -> (bool, String) {
        let reasons = self.reasons(now);
        (reasons.is_empty(), json!({ "ready": reasons.is_empty(), "reasons": reasons }).to_string())
    }

    /// The body of `/api/status`.
    pub fn json(&self, now: Time) -> Value {
        let reasons = self.reasons(now);
        let streams: serde_json::Map<String, Value> = StreamId::ALL
            .iter()
            .zip(&self.streams)
            .filter(|(stream, _)| **stream != StreamId::Internal)
            .map(|(stream, status)| (stream.name().to_owned(), stream_json(status, now)))
            .collect();
        let volumes: serde_json::Map<String, Value> =
            self.volumes.iter().map(|volume| (volume.source.name().to_owned(), volume_json(volume, now))).collect();
        json!({
            "at": rfc3339_us(self.at),
            "version": env!("CARGO_PKG_VERSION"),
            "mode": self.mode,
            "symbol": self.symbol,
            "epoch": self.epoch,
            "uptime_s": now.since(self.started) / NANOS_PER_SEC,
            "ready": reasons.is_empty(),
            "reasons": reasons,
            "paused": self.pauses.iter().map(|reason| reason.name()).collect::<Vec<_>>(),
            "consecutive_losses": self.consecutive_losses,
            "equity": self.equity.as_ref().map(equity_json),
            "position": self.equity.map_or(Qty::ZERO, |row| row.position).to_string(),
            "orders_open": self.orders_open,
            "orders_unknown": self.orders_unknown,
            "decision": self.decision.as_ref().map(|(verdict, rules)| json!({ "verdict": verdict, "rules": rules })),
            "volumes": volumes,
            "best_bid": self.best_bid.map(offer_json),
            "best_ask": self.best_ask.map(offer_json),
            "dex_divergence": self.dex_divergence.map(|(ratio, dex, exchange)| {
                json!({ "ratio": ratio.to_string(), "dex": dex.name(), "exchange": exchange.name() })
            }),
            "slot": self.slot,
            "trades": self.trades,
            "fills": self.fills,
            "streams": streams,
        })
    }
}

fn offer_json((stream, price, qty): (StreamId, Price, Qty)) -> Value {
    json!({ "stream": stream.name(), "price": price.to_string(), "qty": qty.to_string() })
}

fn stream_json(status: &StreamStatus, now: Time) -> Value {
    let age_ms = (status.last != Time::NONE).then(|| now.since(status.last) / NANOS_PER_MILLI);
    json!({ "state": status.state.map(StreamState::name), "age_ms": age_ms, "needed": status.needed })
}

fn volume_json(volume: &VolumeStatus, now: Time) -> Value {
    let age_ms = now.since(volume.at) / NANOS_PER_MILLI;
    let (state, reason) = (source_name(volume.state), volume.reason.name());
    json!({ "drop": volume.drop.to_string(), "state": state, "reason": reason, "age_ms": age_ms })
}

fn equity_json(row: &EquityRow) -> Value {
    json!({
        "cash": row.cash.to_string(),
        "position": row.position.to_string(),
        "mid": row.mid.to_string(),
        "equity": row.equity.to_string(),
        "realized": row.realized.to_string(),
        "unrealized": row.unrealized.to_string(),
        "drawdown": row.drawdown.to_string(),
    })
}

/// Name of a volume source's state.
pub fn source_name(state: SourceState) -> &'static str {
    match state {
        SourceState::Ok => "OK",
        SourceState::Stale => "STALE",
        SourceState::Suspect => "SUSPECT",
        SourceState::Filled => "FILLED",
        SourceState::Missing => "MISSING",
        SourceState::Down => "DOWN",
    }
}

/// Where the cold side pins up the newest status. Neither side ever waits long: the lock guards one copy.
#[derive(Debug)]
pub struct Board(Mutex<Status>);

impl Board {
    /// With a first status.
    pub fn new(status: Status) -> Board {
        Board(Mutex::new(status))
    }
    /// Replaces it.
    pub fn publish(&self, status: &Status) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone_from(status);
    }
    /// A copy of it.
    pub fn read(&self) -> Status {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_that_is_not_ok_and_confirmations_that_cannot_be_had_are_named() {
        let mut status = Status::new(Time(1), "paper", "SOLUSDT".to_owned(), 1);
        (status.started_up, status.trigger, status.confirmations_min) = (true, Some(StreamId::PumpChain), 1);
        let none = "volume: 0 of 1 confirmations can be had";
        assert_eq!(status.reasons(Time(2)), ["volume source pump_chain has told nothing yet", none]);
        let of = |source, state, reason| VolumeStatus { source, drop: Ratio::ZERO, state, reason, at: Time(1) };
        status.volumes = vec![of(StreamId::PumpChain, SourceState::Missing, SourceReason::WarmingUp)];
        assert_eq!(status.reasons(Time(2)), ["volume source pump_chain is MISSING (warming_up)", none]);
        status.volumes = vec![
            of(StreamId::PumpChain, SourceState::Ok, SourceReason::None),
            of(StreamId::DefiLlama, SourceState::Ok, SourceReason::None),
        ];
        assert_eq!(status.reasons(Time(2)), Vec::<String>::new());
    }

    #[test]
    fn ready_means_that_no_reason_is_left() {
        let mut status = Status::new(Time(1), "paper", "SOLUSDT".to_owned(), 1);
        status.streams[StreamId::BinanceBbo as usize].needed = true;
        assert_eq!(status.reasons(Time(2)), ["starting", "stream binance_bbo has not come up yet"]);
        status.started_up = true;
        status.streams[StreamId::BinanceBbo as usize].state = Some(StreamState::Up);
        assert_eq!(status.readyz(Time(2)), (true, r#"{"ready":true,"reasons":[]}"#.to_owned()));
        status.pauses.push(PauseReason::Operator);
        status.orders_unknown = 1;
        status.ledger_fault = Some("disk full".to_owned());
        let now = Time(2 + SILENT_NS);
        let reasons =
            ["no status for more than 5 s", "paused: operator", "1 order(s) in an unknown state", "ledger: disk full"];
        assert_eq!(status.reasons(now), reasons);
        assert_eq!(status.json(now)["ready"], false);
        assert_eq!(status.json(now)["streams"]["binance_bbo"]["state"], "up");
    }
}
