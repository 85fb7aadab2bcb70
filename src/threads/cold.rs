//! The cold agent: everything that happened becomes ledger rows, log lines, metrics, alerts and a status.
//!
//! Runs on: the `cold` core.  Owns: ledger, CSV files, histograms, stdout.  Clock: given per turn; a fact carries the
//! time of the event that caused it.
//! Reads:  rings `journal_hot`, `journal_gateway`, `journal_ingest`, `journal_scout`; channels of the operator's words and
//!         of log lines.
//! Writes: ring `control`; the alert queue, the bus.  Never: is waited for; only its own thread feels the disk.

mod bus;
mod kept;
mod records;
mod story;
mod wire;

use std::collections::HashMap;
use std::sync::Arc;

use crossbeam_channel::Receiver as Channel;

use super::helpers::alerts::AlertQueue;
use super::helpers::bus::BusQueue;
use super::runner::{Agent, Work};
use crate::engine::venues::Venues;
use crate::ledger::journal::Writer;
use crate::ledger::{CsvFiles, Ledger, Row};
use crate::ring::{EventItem, Gauge, HotNote, Receiver, Sender};
use crate::telemetry::alerts::AlertKinds;
use crate::telemetry::status::StreamStatus;
use crate::telemetry::{Board, Latencies, Line, Lines, Metrics, Status};
use crate::types::chain::VolumeBucket;
use crate::types::decision::{Decision, Verdict};
use crate::types::event::{Control, Event, EventKind};
use crate::types::ids::{ClientOrderId, StreamId};
use crate::types::instrument::Symbol;
use crate::types::note::WireNote;
use crate::types::record::{OrderStatus, PauseReason};
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::{Command, Time};

pub use story::Story;

/// Bound of one turn per ring: one transaction of a few milliseconds.
const NOTES_PER_TURN_MAX: usize = 4_096;
/// Between two statuses.
const STATUS_NS: i64 = 200 * NANOS_PER_MILLI;
/// Between two rounds of gauges, and between two tries of a ledger that refused.
const CHORES_NS: i64 = NANOS_PER_SEC;
/// Length of a latency interval.
const LATENCY_INTERVAL_NS: i64 = 60 * NANOS_PER_SEC;
/// Shortest time between two NO_OP lines: at the edge of the band the rules may flip with every tick.
const NO_OP_NS: i64 = NANOS_PER_SEC;

/// The inputs, each owned by this agent alone.
#[derive(Debug)]
pub struct ColdRings {
    /// From `ingest`.
    pub ingest: Receiver<WireNote>,
    /// From `scout`.
    pub scout: Receiver<WireNote>,
    /// From `hot`.
    pub hot: Receiver<HotNote>,
    /// From `gateway`.
    pub gateway: Receiver<WireNote>,
    /// To `hot`: the operator's word.
    pub control: Sender<EventItem>,
    /// The operator's words: from HTTP, signals, a reload.
    pub operator: Channel<Control>,
    /// Log lines of other threads. A line `READY` ends the start procedure in the status; `SHUTDOWN` begins the end.
    pub lines: Channel<Line>,
    /// Volume buckets that closed.
    pub buckets: Channel<VolumeBucket>,
    /// Depth and overflow of every ring.
    pub gauges: Vec<Arc<Gauge>>,
}

/// What the agent writes to.
#[derive(Debug)]
pub struct ColdSinks {
    /// Orders, fills, figures.
    pub ledger: Ledger,
    /// Every event and command; [`Writer::start`] was called.
    pub journal: Writer,
    /// Hourly files.
    pub csv: CsvFiles,
    /// Latency histograms.
    pub latencies: Latencies,
    /// JSON lines.
    pub lines: Lines,
    /// For Prometheus.
    pub metrics: Arc<Metrics>,
    /// For `/readyz` and the status.
    pub board: Arc<Board>,
    /// To Telegram and Slack; `None` = no channel is configured.
    pub alerts: Option<AlertQueue>,
    /// Which alerts are wanted.
    pub alerts_on: AlertKinds,
    /// Plain lines for people, on stderr; `None` = none.
    pub story: Option<Story>,
}

/// Names that the facts are filed under.
#[derive(Clone, Debug)]
pub struct ColdNames {
    /// `binance_spot`.
    pub venue: &'static str,
    /// `SOLUSDT`.
    pub symbol: Symbol,
    /// Streams that entries stand on: `/readyz` waits for them.
    pub needed: Vec<StreamId>,
}

/// The cold agent.
#[derive(Debug)]
pub struct Cold {
    rings: ColdRings,
    sinks: ColdSinks,
    names: ColdNames,
    status: Status,
    /// Orders that are not done.
    orders: HashMap<ClientOrderId, OrderStatus>,
    /// Time of the newest event of the engine: the time of the records that follow it.
    at: Time,
    alert_id: u64,
    decided: Option<(Verdict, u16)>,
    no_op_due: Time,
    bad_frame_due: Time,
    /// Who has the best price, as the engine sees it.
    venues: Venues,
    slot_seen: Option<(u64, Time)>,
    slot_ns: i64,
    /// A control that found the ring full; sent before any other.
    held: Option<Control>,
    /// The engine must still be told that the ledger refuses rows.
    halt: bool,
    /// A NO_OP that came too soon after another; said when it still stands.
    unsaid: Option<Decision>,
    /// To other machines; `None` = no bus is configured.
    bus: Option<BusQueue>,
    due: Due,
}

/// When what is done at intervals is due.
#[derive(Clone, Copy, Debug)]
struct Due {
    status: Time,
    chores: Time,
    latency: Time,
    ledger: Time,
}

impl Cold {
    /// Around open sinks. `status` is the first status: epoch, mode, what the ledger remembered.
    pub fn new(rings: ColdRings, sinks: ColdSinks, names: ColdNames, mut status: Status) -> Cold {
        let needed = |stream: &mut StreamStatus| stream.needed = true;
        names.needed.iter().for_each(|stream| status.streams.get_mut(*stream as usize).into_iter().for_each(needed));
        let now = status.started;
        for reason in &status.pauses {
            sinks.metrics.paused.with_label_values(&[reason.name()]).set(1);
        }
        sinks.metrics.losses.set(i64::from(status.consecutive_losses));
        sinks.board.publish(&status);
        let due = Due { status: now, chores: now, latency: now.plus(LATENCY_INTERVAL_NS), ledger: now };
        Cold {
            rings,
            sinks,
            names,
            status,
            orders: HashMap::new(),
            at: now,
            alert_id: 0,
            decided: None,
            no_op_due: now,
            bad_frame_due: now,
            venues: Venues::new(),
            slot_seen: None,
            slot_ns: 0,
            held: None,
            halt: false,
            unsaid: None,
            bus: None,
            due,
        }
    }

    /// Reads every ring, within bounds.
    fn drain(&mut self) -> usize {
        let mut count = 0;
        while let Ok(line) = self.rings.lines.try_recv() {
            self.status.started_up |= line.event == "READY";
            self.status.stopping |= line.event == "SHUTDOWN";
            self.sinks.lines.put(&line);
            count += 1;
        }
        let notes_max = count + NOTES_PER_TURN_MAX;
        while count < notes_max
            && let Some(note) = self.rings.hot.pop()
        {
            match note {
                HotNote::Event(event) => {
                    self.sinks.journal.event(&event);
                    self.on_event(&event);
                }
                HotNote::Command(command) => {
                    self.sinks.journal.command(&command);
                    self.on_command(&command);
                }
                HotNote::Lost(lost) => self.on_lost(lost),
            }
            count += 1;
        }
        for _ in 0..NOTES_PER_TURN_MAX {
            let Some(note) =
                self.rings.gateway.pop().or_else(|| self.rings.ingest.pop()).or_else(|| self.rings.scout.pop())
            else {
                break;
            };
            self.on_wire(&note);
            count += 1;
        }
        for bucket in self.rings.buckets.try_iter().take(NOTES_PER_TURN_MAX) {
            self.sinks.ledger.push(Row::ChainBucket(bucket));
            count += 1;
        }
        count
    }

    fn on_command(&mut self, command: &Command) {
        match command {
            Command::Record(record) => self.on_record(record),
            Command::Alert(alert) => self.on_alert(alert),
            _ => {} // what was asked of the venue is told by the gateway, once it was sent
        }
    }

    /// Hands the operator's words on, in order; one that finds the ring full waits for the next turn.
    fn forward_controls(&mut self, now: Time) -> usize {
        let mut count = 0;
        while let Some(control) = self.next_control() {
            let kind = EventKind::Control(control);
            let event = Event { seq: 0, recv: now, at: now, venue_time: Time::NONE, stream: StreamId::Internal, kind };
            if self.rings.control.push(EventItem { event, decoded: now }).is_err() {
                self.hold(control);
                break;
            }
            count += 1;
        }
        count
    }

    /// Keeps what the ring did not take. A halt has a place of its own, so it never displaces the operator's word.
    fn hold(&mut self, control: Control) {
        match control {
            Control::Halt(_) => self.halt = true,
            word => self.held = Some(word),
        }
    }

    fn next_control(&mut self) -> Option<Control> {
        let halt = std::mem::take(&mut self.halt).then_some(Control::Halt(PauseReason::Journal));
        let held = self.held.take_if(|_| halt.is_none());
        halt.or(held).or_else(|| self.rings.operator.try_recv().ok())
    }

    /// Files, gauges and the status, each at its own pace.
    fn chores(&mut self, now: Time) {
        if now >= self.due.status {
            self.due.status = now.plus(STATUS_NS);
            self.publish(now);
        }
        if now < self.due.chores {
            return;
        }
        self.due.chores = now.plus(CHORES_NS);
        self.gauges(now);
        self.show_venues(now);
        self.publish_status(now);
        if let Some(decision) = self.unsaid.take() {
            self.say_decision(&decision, now);
        }
        if self.status.ledger_fault.is_none()
            && let Err(why) = self.sinks.csv.turn(&self.sinks.ledger, now)
        {
            self.sinks.lines.put(&Line::warn(now, "CSV_FAILED", why.to_string()));
        }
        if now >= self.due.latency {
            self.due.latency = now.plus(LATENCY_INTERVAL_NS);
            self.end_latency_interval(now);
        }
    }

    fn publish(&mut self, now: Time) {
        self.status.at = now;
        self.status.orders_open = u32::try_from(self.orders.len()).unwrap_or(u32::MAX);
        let unknown = self.orders.values().filter(|status| **status == OrderStatus::Unknown).count();
        self.status.orders_unknown = u32::try_from(unknown).unwrap_or(u32::MAX);
        self.sinks.metrics.orders_unknown.set(i64::from(self.status.orders_unknown));
        self.sinks.board.publish(&self.status);
    }

    fn gauges(&self, now: Time) {
        let metrics = &self.sinks.metrics;
        for (stream, status) in StreamId::ALL.iter().zip(&self.status.streams) {
            if status.last != Time::NONE {
                let age = crate::telemetry::metrics::seconds(now.since(status.last).max(0));
                metrics.stream_age.with_label_values(&[stream.name()]).set(age);
            }
        }
        for gauge in &self.rings.gauges {
            let name = gauge.spec.name;
            metrics.ring_depth.with_label_values(&[name]).set(i64::try_from(gauge.depth()).unwrap_or(i64::MAX));
            Metrics::raise(&metrics.ring_full, name, gauge.full_total());
        }
        Metrics::raise(&metrics.lost, "log_lines", self.sinks.lines.lost());
        Metrics::raise(&metrics.lost, "ledger_rows", self.sinks.ledger.dropped());
        Metrics::raise(&metrics.lost, "journal_entries", self.sinks.journal.dropped());
        let refused = self.sinks.alerts.as_ref().map_or(0, AlertQueue::refused);
        Metrics::raise(&metrics.lost, "alerts", refused);
    }

    fn end_latency_interval(&mut self, now: Time) {
        if let Err(why) = self.sinks.latencies.end_interval(now) {
            self.sinks.lines.put(&Line::warn(now, "LATENCY_LOG_FAILED", why));
        }
    }
}

impl Agent for Cold {
    fn turn(&mut self, now: Time) -> Work {
        let done = self.drain();
        self.keep_journal(now);
        self.keep(now);
        let forwarded = self.forward_controls(now);
        self.chores(now);
        self.sinks.lines.flush();
        Work { count: u32::try_from(done + forwarded).unwrap_or(u32::MAX) }
    }

    fn idle(&self) -> bool {
        let rings = &self.rings;
        let notes = [&rings.gateway, &rings.ingest, &rings.scout];
        let quiet = rings.hot.is_empty() && notes.iter().all(|ring| ring.is_empty());
        quiet && rings.lines.is_empty() && rings.operator.is_empty() && self.held.is_none() && !self.halt
    }

    fn deadline(&self) -> Option<Time> {
        Some(self.due.status.min(self.due.chores))
    }

    fn finish(&mut self, now: Time) {
        while self.drain() > 0 {}
        self.end_journal(now);
        self.due.ledger = now;
        self.keep(now);
        if let Err(why) = self.sinks.csv.catch_up(&self.sinks.ledger, now) {
            self.sinks.lines.put(&Line::warn(now, "CSV_FAILED", why.to_string()));
        }
        self.end_latency_interval(now);
        self.status.stopping = true;
        self.publish(now);
        self.sinks.lines.flush();
    }
}
