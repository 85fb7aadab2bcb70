//! A cold agent on a bench: every ring's other end in hand, what it writes readable.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use serde_json::Value;
use sol_volume_bot::ledger::journal::{JOURNAL_DIR, Writer, WriterSettings};
use sol_volume_bot::ledger::{CsvFiles, DB_FILE, Ledger, Market};
use sol_volume_bot::ring::{self, EventItem, HotNote, OnFull, RingSpec};
use sol_volume_bot::telemetry::alerts::AlertKinds;
use sol_volume_bot::telemetry::{Board, Latencies, Line, Lines, Metrics, Status};
use sol_volume_bot::threads::cold::{Cold, ColdNames, ColdRings, ColdSinks, Story};
use sol_volume_bot::threads::runner::Agent;
use sol_volume_bot::types::event::Control;
use sol_volume_bot::types::instrument::Symbol;
use sol_volume_bot::types::note::WireNote;
use sol_volume_bot::types::record::Record;
use sol_volume_bot::types::{Command, Event, EventKind, StreamId, Time};

use super::rows::{NOW, SECOND};

/// Longest wait for a fact of another thread.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What somebody wrote, readable from outside.
#[derive(Clone, Default)]
pub struct Paper(Arc<Mutex<Vec<u8>>>);
impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no test panicked").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
impl Paper {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no test panicked").clone()).expect("UTF-8")
    }
    pub fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
    }
    pub fn named(&self, event: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["event"] == event).collect()
    }
}

/// A cold agent with every ring's other end in hand.
pub struct Bench {
    pub dir: PathBuf,
    pub cold: Cold,
    pub hot: ring::Sender<HotNote>,
    pub gateway: ring::Sender<WireNote>,
    _ingest: ring::Sender<WireNote>,
    pub control: ring::Receiver<EventItem>,
    pub operator: Sender<Control>,
    pub lines: Sender<Line>,
    pub out: Paper,
    pub story: Paper,
    pub metrics: Arc<Metrics>,
    pub board: Arc<Board>,
}

impl Bench {
    pub fn new(name: &str) -> Bench {
        let dir = std::env::temp_dir().join(format!("svb_ops_{name}_{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let spec = |name, depth| RingSpec { name, depth, on_full: OnFull::Refuse };
        let (hot, hot_rx) = ring::ring(spec("journal_hot", 1_024), None);
        let (gateway, gateway_rx) = ring::ring(spec("journal_gateway", 64), None);
        let (ingest, ingest_rx) = ring::ring(spec("journal_ingest", 64), None);
        let (_, scout_rx) = ring::ring(spec("journal_scout", 64), None);
        let (control_tx, control) = ring::ring(spec("control", 2), None);
        let ((operator, operator_rx), (lines, lines_rx)) = (bounded(16), bounded(64));
        let gauges = vec![hot.gauge()];
        let rings = ColdRings {
            ingest: ingest_rx,
            scout: scout_rx,
            hot: hot_rx,
            gateway: gateway_rx,
            control: control_tx,
            operator: operator_rx,
            lines: lines_rx,
            buckets: crossbeam_channel::never(),
            gauges,
        };
        let symbol = Symbol::new("SOLUSDT").expect("symbol");
        let metrics = Arc::new(Metrics::new("1.0.0", "paper").expect("registers"));
        let status = Status::new(NOW, "paper", "SOLUSDT".to_owned(), 7);
        let board = Arc::new(Board::new(status.clone()));
        let (out, story) = (Paper::default(), Paper::default());
        let sinks = ColdSinks {
            ledger: Ledger::open(&dir, Market { venue: "binance_spot", symbol }).expect("opens"),
            journal: Writer::open(WriterSettings::new(dir.join(JOURNAL_DIR), 0), 7, NOW).expect("opens").0,
            csv: CsvFiles::new(&dir, 3_600 * SECOND, NOW),
            latencies: Latencies::new(&dir, NOW),
            lines: Lines::new(Box::new(out.clone())),
            metrics: Arc::clone(&metrics),
            board: Arc::clone(&board),
            alerts: None,
            alerts_on: AlertKinds { enter: true, stop: true, fatal: true },
            story: Some(Story::new(Box::new(story.clone()))),
        };
        let names = ColdNames { venue: "binance_spot", symbol, needed: vec![StreamId::BinanceBbo] };
        let cold = Cold::new(rings, sinks, names, status);
        Bench { dir, cold, hot, gateway, _ingest: ingest, control, operator, lines, out, story, metrics, board }
    }

    pub fn event(&mut self, stream: StreamId, at: Time, kind: EventKind) {
        let event = Event { seq: 1, recv: at, at, venue_time: Time::NONE, stream, kind };
        self.hot.push(HotNote::Event(event)).expect("room");
    }
    pub fn record(&mut self, record: Record) {
        self.hot.push(HotNote::Command(Command::Record(record))).expect("room");
    }
    pub fn turn(&mut self, after_ns: i64) {
        self.cold.turn(NOW.plus(after_ns));
    }
    pub fn count(&self, sql: &str) -> i64 {
        let db = rusqlite::Connection::open(self.dir.join(DB_FILE)).expect("opens");
        db.query_row(sql, [], |row| row.get(0)).expect("query")
    }
}
impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}
