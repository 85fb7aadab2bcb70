//! The cold side through its doors: what a log reader, a scraper, an operator and a chat get to see.
//!
//! Thread: test.  Invariants: loopback only; no sleeps: a test waits for a fact, with a deadline.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use secrecy::SecretString;
use serde_json::Value;

use sol_volume_bot::ledger::journal::{JOURNAL_DIR, Writer, WriterSettings};
use sol_volume_bot::ledger::{CsvFiles, DB_FILE, Ledger, Market};
use sol_volume_bot::ring::{self, EventItem, HotNote, OnFull, RingSpec};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::sys::kill::KillSwitch;
use sol_volume_bot::telemetry::alerts::{AlertKinds, AlertText, Urgency};
use sol_volume_bot::telemetry::{Board, Latencies, Line, Lines, Metrics, Status};
use sol_volume_bot::threads::cold::{Cold, ColdNames, ColdRings, ColdSinks, Story};
use sol_volume_bot::threads::helpers::alerts::{AlertSettings, Alerts, Pace, Slack, Telegram};
use sol_volume_bot::threads::helpers::http::{Ops, OpsSettings};
use sol_volume_bot::threads::helpers::operator::Operator;
use sol_volume_bot::threads::runner::Agent;
use sol_volume_bot::types::command::Alert;
use sol_volume_bot::types::decision::{Decision, Refused, RiskRule, SourceLook, Verdict, VolumeOrigin};
use sol_volume_bot::types::event::{
    Control, Slot, SourceReason, SourceState, StreamState, VolumeDefinition, VolumeSample,
};
use sol_volume_bot::types::instrument::Symbol;
use sol_volume_bot::types::note::{Verb, WireNote};
use sol_volume_bot::types::order::{FeeAsset, Liquidity, OrderKind, Purpose, Reason, Side, TimeInForce};
use sol_volume_bot::types::record::{
    ExitReason, FillRow, OrderRow, OrderStatus, PauseReason, Record, Repost, TradeRow,
};
use sol_volume_bot::types::{
    Bps, ClientOrderId, Command, Event, EventKind, Leg, Notional, Price, Qty, Ratio, StreamId, Time, VenueOrderId,
};

const NOW: Time = Time(1_795_372_200_000_000_000);
const SECOND: i64 = 1_000_000_000;
/// Longest wait for a fact of another thread.
const PATIENCE: Duration = Duration::from_secs(10);

/// What somebody wrote, readable from outside.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);
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
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no test panicked").clone()).expect("UTF-8")
    }
    fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
    }
    fn named(&self, event: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["event"] == event).collect()
    }
}

/// A cold agent with every ring's other end in hand.
struct Bench {
    dir: PathBuf,
    cold: Cold,
    hot: ring::Sender<HotNote>,
    gateway: ring::Sender<WireNote>,
    _ingest: ring::Sender<WireNote>,
    control: ring::Receiver<EventItem>,
    operator: Sender<Control>,
    lines: Sender<Line>,
    out: Paper,
    story: Paper,
    metrics: Arc<Metrics>,
    board: Arc<Board>,
}

impl Bench {
    fn new(name: &str) -> Bench {
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

    fn event(&mut self, stream: StreamId, at: Time, kind: EventKind) {
        let event = Event { seq: 1, recv: at, at, venue_time: Time::NONE, stream, kind };
        self.hot.push(HotNote::Event(event)).expect("room");
    }
    fn record(&mut self, record: Record) {
        self.hot.push(HotNote::Command(Command::Record(record))).expect("room");
    }
    fn turn(&mut self, after_ns: i64) {
        self.cold.turn(NOW.plus(after_ns));
    }
    fn count(&self, sql: &str) -> i64 {
        let db = rusqlite::Connection::open(self.dir.join(DB_FILE)).expect("opens");
        db.query_row(sql, [], |row| row.get(0)).expect("query")
    }
}
impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn id(leg: Leg) -> ClientOrderId {
    ClientOrderId { epoch: 7, signal: 1, leg, attempt: 1 }
}

fn order(status: OrderStatus) -> OrderRow {
    OrderRow {
        id: id(Leg::Entry(1)),
        venue_order_id: VenueOrderId(42),
        list_id: 0,
        trade_no: 1,
        side: Side::Buy,
        kind: OrderKind::Limit,
        tif: TimeInForce::Ioc,
        purpose: Purpose::Entry,
        tranche: 1,
        status,
        reason: Reason::None,
        code: 0,
        price: Price(16_150_000_000),
        stop_price: Price::ZERO,
        qty: Qty(1_500_000_000),
        cum_qty: Qty::ZERO,
        avg_px: Price::ZERO,
        created: NOW,
        acked: Time::NONE,
        done: Time::NONE,
    }
}

fn fill() -> FillRow {
    FillRow {
        id: id(Leg::Entry(1)),
        trade_id: 9,
        side: Side::Buy,
        liquidity: Liquidity::Taker,
        fee_asset: FeeAsset::Base,
        price: Price(16_150_000_000),
        qty: Qty(1_500_000_000),
        fee: 1_500_000,
        venue_time: NOW,
        recv: NOW,
    }
}

fn decision(verdict: Verdict, passed: u16) -> Record {
    Record::Decision(Decision {
        verdict,
        passed,
        source_state: SourceState::Ok,
        source: StreamId::DefiLlama,
        drop: Ratio(31_000_000),
        drop_min: Ratio(30_000_000),
        drop_sol: Ratio(25_000_000),
        drop_sol_min: Ratio(20_000_000),
        confirmed: 1,
        confirmed_min: 1,
        contradicted: 0,
        origin: VolumeOrigin {
            definition: VolumeDefinition::UtcDay,
            now: Notional(69),
            prev: Notional(100),
            as_of: NOW,
            bucket_end: NOW.plus(-SECOND),
            recv: NOW,
        },
        looks: [SourceLook::default(); 4],
        rsi: Ratio(4_400_000_000),
        rsi_max: Ratio(4_500_000_000),
        mid: Price(16_100_000_000),
        support_low: Price(16_000_000_000),
        support_high: Price(16_200_000_000),
    })
}

#[test]
fn an_entry_and_a_refusal_say_where_their_volume_comes_from() {
    for (verdict, passed, event) in [(Verdict::Enter, 0x7FF, "ENTER"), (Verdict::NoOp, 0x7F7, "NO_OP")] {
        let mut bench = Bench::new(&format!("origin-{event}"));
        bench.record(decision(verdict, passed));
        bench.turn(SECOND);
        let line = bench.out.named(event).pop().expect("a line");
        let unread = serde_json::json!({ "state": "MISSING", "reason": "unread", "drop": "0", "age_ms": null });
        let expected = serde_json::json!({
            "def": "utc_day", "source": "defillama", "now": "0.00000069", "prev": "0.000001", "drop": "0.31",
            "drop_sol": "0.25", "as_of": NOW.0, "bucket_end": NOW.0 - SECOND, "recv": NOW.0, "contradicted": 0,
            "sources": { "pump_chain": unread, "defillama": unread, "pumpfun": unread, "coingecko": unread },
        });
        assert_eq!(line["volume"], expected);
        let rule = &line["rules"]["volume_confirmed"];
        assert_eq!(rule, &serde_json::json!({ "value": "1", "threshold": ">= 1", "pass": verdict == Verdict::Enter }));
        assert_eq!(line["rules"]["volume_sol"]["threshold"], "> 0.2");
        let kept = bench.count("SELECT count(*) FROM signals WHERE json_extract(rules, '$.volume.def') = 'utc_day'");
        assert_eq!(kept, 1, "{event}");
    }
}

#[test]
fn an_order_is_told_from_sent_to_closed_in_lines_rows_and_metrics() {
    let mut bench = Bench::new("story");
    bench.event(StreamId::BinanceBbo, NOW.plus(SECOND), EventKind::Stream(StreamState::Up));
    bench.record(decision(Verdict::Enter, 0x7FF));
    let sent = WireNote::Sent {
        id: id(Leg::Entry(1)),
        verb: Verb::Place,
        sent: NOW.plus(SECOND + 9_000),
        trigger: NOW.plus(SECOND),
        stages_ns: [1_000, 2_000, 500, 1_500, 4_000],
    };
    bench.gateway.push(sent).expect("room");
    bench
        .gateway
        .push(WireNote::Answered { id: id(Leg::Entry(1)), verb: Verb::Place, took_ns: 2_000_000, code: 0 })
        .expect("room");
    bench.record(Record::Order(order(OrderStatus::Pending)));
    bench.record(Record::Order(order(OrderStatus::Working)));
    bench.record(Record::Fill(fill()));
    bench.record(Record::Order(OrderRow {
        cum_qty: Qty(1_500_000_000),
        avg_px: Price(16_150_000_000),
        ..order(OrderStatus::Filled)
    }));
    bench.record(Record::Repost(Repost {
        slot: 5,
        id: id(Leg::TakeProfit(1)),
        old_price: Price(16_320_000_000),
        new_price: Price(16_320_000_000),
        kept: false,
    }));
    bench.record(Record::Exit { reason: ExitReason::GlobalStop, mid: Price(15_500_000_000), qty: Qty(1_500_000_000) });
    bench.record(Record::Trade(TradeRow {
        trade_no: 1,
        opened: NOW,
        closed: NOW,
        qty: Qty(1),
        entry_px: Price(1),
        exit_px: Price(2),
        fees: Notional(25_000_000),
        pnl: Notional(-400_000_000),
        slippage: Bps(150),
        reason: ExitReason::GlobalStop,
    }));
    bench.turn(2 * SECOND);

    let events: Vec<String> =
        bench.out.lines().iter().map(|line| line["event"].as_str().unwrap_or("").to_owned()).collect();
    for event in ["STREAM_UP", "ENTER", "ORDER_SENT", "ORDER_ACKED", "FILL", "REPOST", "STOP"] {
        assert_eq!(events.iter().filter(|name| *name == event).count(), 1, "{event} in {events:?}");
    }
    let fill = &bench.out.named("FILL")[0];
    assert_eq!(
        (&fill["ts"], &fill["price"], &fill["qty"]),
        (&Value::from("2026-11-22T18:30:01.000000Z"), &Value::from("161.5"), &Value::from("1.5"))
    );
    assert_eq!(
        (&fill["fee"], &fill["fee_asset"], &fill["liquidity"]),
        (&Value::from("0.0015"), &Value::from("BASE"), &Value::from("TAKER"))
    );
    assert_eq!(bench.out.named("ENTER")[0]["rules"]["rsi"]["threshold"], "< 45");
    assert_eq!(bench.count("SELECT count(*) FROM orders WHERE status = 'FILLED' AND tick_to_trade_ns = 9000"), 1);
    assert_eq!(bench.count("SELECT count(*) FROM fills"), 1);
    assert_eq!(bench.count("SELECT count(*) FROM trades WHERE pnl = '-4' AND exit_reason = 'GLOBAL_STOP'"), 1);
    let metrics = bench.metrics.render();
    for sample in [
        "svb_stream_up{stream=\"binance_bbo\"} 1",
        "svb_tick_to_trade_seconds_count 1",
        "svb_stage_seconds_count{stage=\"step\"} 1",
        "svb_orders_total{kind=\"entry\",outcome=\"filled\",venue=\"binance_spot\"} 1",
        "svb_requests_total{outcome=\"accepted\",venue=\"binance_spot\",verb=\"place\"} 1",
        "svb_fills_total{side=\"buy\",venue=\"binance_spot\"} 1",
        "svb_order_ack_seconds_count{venue=\"binance_spot\"} 1",
        "svb_slippage_bps 1.5",
        "svb_rsi 44",
    ] {
        assert!(metrics.lines().any(|line| line == sample), "{sample} is missing in\n{metrics}");
    }
    let story = bench.story.text();
    for line in [
        "   1.0s  ENTER: memecoin volume fell 31.0 % (needed: more than 30.0 %), RSI 44.0 (below 45.0), mid 161.00 (band 160.00 to 162.00)",
        "   1.0s  bought 1.5 at 161.50",
        "   1.0s  tranche 1 whole: 1.5 at 161.50",
        "   1.0s  RE-POST: top of book shifted, slot 5: TP1 posted again at 163.20 (the same price is right)",
        "   1.0s  STOP (GLOBAL_STOP): selling 1.5 at mid 155.00",
        "   1.0s  TRADE 1 closed by GLOBAL_STOP: -4.00 net, 0.25 of fees paid",
    ] {
        assert!(story.lines().any(|told| told == line), "{line}\nis missing in\n{story}");
    }
}

#[test]
fn no_op_is_said_on_change_only_and_not_with_every_tick_at_the_edge() {
    let mut bench = Bench::new("noop");
    for tick in 0..100 {
        bench.event(StreamId::BinanceBbo, NOW.plus(tick), EventKind::Slot(Slot { slot: 1, parent: 0, root: 0 }));
        bench.record(decision(Verdict::NoOp, if tick % 2 == 0 { 0x7DF } else { 0x79F }));
    }
    bench.event(StreamId::BinanceBbo, NOW.plus(2 * SECOND), EventKind::Slot(Slot { slot: 2, parent: 1, root: 0 }));
    bench.record(decision(Verdict::NoOp, 0x7DF));
    bench.turn(3 * SECOND);
    assert_eq!(bench.out.named("NO_OP").len(), 1, "the same verdict again is not said again");
    assert_eq!(bench.out.named("NO_OP")[0]["msg"], "not holding: rsi");
    bench.event(StreamId::BinanceBbo, NOW.plus(4 * SECOND), EventKind::Slot(Slot { slot: 3, parent: 2, root: 0 }));
    bench.record(decision(Verdict::Exit, 0x7DF));
    bench.record(decision(Verdict::NoOp, 0x79F));
    bench.turn(4 * SECOND - 1);
    assert_eq!((bench.out.named("EXIT").len(), bench.out.named("NO_OP").len()), (1, 1));
    bench.turn(5 * SECOND);
    assert_eq!(bench.out.named("NO_OP").len(), 2, "what still stands is said in the end");
    bench.turn(6 * SECOND);
    assert_eq!(bench.count("SELECT count(*) FROM signals"), 3);
}

#[test]
fn pauses_losses_refusals_and_volumes_reach_ledger_metrics_and_status() {
    let mut bench = Bench::new("state");
    bench.record(Record::Pause { reason: PauseReason::ConsecutiveLosses, on: true });
    bench.record(Record::Pause { reason: PauseReason::Operator, on: true });
    bench.record(Record::Pause { reason: PauseReason::Operator, on: false });
    bench.record(Record::Losses(4));
    bench.record(Record::Refused(Refused { rule: RiskRule::NewsLock, tranche: 1, value: 1, limit: 0 }));
    bench.record(Record::Naked { ns: 80_000_000, qty: Qty(1) });
    bench.record(Record::Order(order(OrderStatus::Unknown)));
    let sample = VolumeSample {
        definition: VolumeDefinition::UtcDay,
        state: SourceState::Ok,
        reason: SourceReason::None,
        now: Notional(60),
        prev: Notional(100),
        bucket_end: NOW,
        ..VolumeSample::UNREAD
    };
    bench.event(StreamId::DefiLlama, NOW, EventKind::Volume(sample));
    bench.event(StreamId::SolanaSlot, NOW, EventKind::Slot(Slot { slot: 10, parent: 9, root: 0 }));
    bench.event(StreamId::SolanaSlot, NOW.plus(800_000_000), EventKind::Slot(Slot { slot: 12, parent: 11, root: 0 }));
    bench.lines.send(Line::info(NOW, "READY", "may trade")).expect("room");
    bench.turn(SECOND);
    let status = bench.board.read().json(NOW.plus(SECOND));
    assert_eq!(status["paused"], serde_json::json!(["consecutive_losses"]));
    assert_eq!(
        (&status["consecutive_losses"], &status["orders_unknown"], &status["slot"]),
        (&4.into(), &1.into(), &12.into())
    );
    let told = serde_json::json!({ "drop": "0.4", "state": "OK", "reason": "none", "age_ms": 1_000 });
    assert_eq!(status["volumes"]["defillama"], told);
    let reasons = status["reasons"].to_string();
    assert!(
        !reasons.contains("starting")
            && reasons.contains("paused: consecutive_losses")
            && reasons.contains("stream binance_bbo"),
        "{reasons}"
    );
    assert_eq!(
        bench.count("SELECT count(*) FROM state WHERE key IN ('pause.consecutive_losses', 'consecutive_losses')"),
        2
    );
    assert_eq!(bench.count("SELECT count(*) FROM volumes WHERE source = 'defillama' AND state = 'OK'"), 1);
    let metrics = bench.metrics.render();
    for sample in [
        "svb_paused{reason=\"consecutive_losses\"} 1",
        "svb_paused{reason=\"operator\"} 0",
        "svb_consecutive_losses 4",
        "svb_risk_refusals_total{reason=\"news_lock\"} 1",
        "svb_unprotected_seconds 0.08",
        "svb_orders_unknown 1",
        "svb_volume_drop_ratio{source=\"defillama\"} 0.4",
        "svb_slot 12",
        "svb_slot_seconds 0.4",
        "svb_ring_depth{ring=\"journal_hot\"} 0",
    ] {
        assert!(metrics.lines().any(|line| line == sample), "{sample} is missing in\n{metrics}");
    }
}

#[test]
fn while_the_disk_refuses_entries_are_halted_and_no_row_is_lost() {
    let mut bench = Bench::new("disk");
    let other = rusqlite::Connection::open(bench.dir.join(DB_FILE)).expect("opens");
    other.execute_batch("BEGIN EXCLUSIVE").expect("locks");
    bench.record(Record::Fill(fill()));
    bench.turn(SECOND);
    let halt = bench.control.pop().expect("the engine is told");
    assert_eq!(halt.event.kind, EventKind::Control(Control::Halt(PauseReason::Journal)));
    assert_eq!(bench.out.named("FATAL").len(), 1);
    assert!(bench.board.read().reasons(NOW.plus(SECOND)).iter().any(|reason| reason.starts_with("ledger: ")));
    bench.turn(SECOND + 1);
    assert!(bench.control.pop().is_none(), "said once");
    other.execute_batch("ROLLBACK").expect("unlocks");
    bench.turn(3 * SECOND);
    assert_eq!(bench.out.named("LEDGER_OK").len(), 1);
    assert_eq!(bench.count("SELECT count(*) FROM fills"), 1);
}

#[test]
fn the_operators_words_keep_their_order_when_the_ring_is_full() {
    let mut bench = Bench::new("words");
    let words = [Control::Pause, Control::Resume, Control::Flatten, Control::Kill];
    words.into_iter().for_each(|word| bench.operator.send(word).expect("room"));
    let mut got = Vec::new();
    for turn in 0..4 {
        bench.turn(turn * SECOND);
        while let Some(item) = bench.control.pop() {
            got.push(item.event.kind);
        }
    }
    assert_eq!(got, words.map(EventKind::Control));
}

#[test]
fn a_clean_end_leaves_rows_files_and_histograms_behind() {
    let mut bench = Bench::new("finish");
    bench.record(Record::Fill(fill()));
    let sent =
        WireNote::Sent { id: id(Leg::Entry(1)), verb: Verb::Place, sent: NOW.plus(9), trigger: NOW, stages_ns: [1; 5] };
    bench.gateway.push(sent).expect("room");
    bench.cold.finish(NOW.plus(SECOND));
    assert_eq!(bench.count("SELECT count(*) FROM fills"), 1);
    assert!(bench.dir.join("csv/2026-11-22T18/fills.csv").is_file());
    assert!(bench.dir.join("latency/20261122T183000.hlog").is_file());
    assert!(bench.board.read().stopping);
}

/// One HTTP exchange on loopback: status and body.
fn http(addr: SocketAddr, request: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(addr).expect("connects");
    write!(stream, "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let status = answer.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
}

fn port(token: Option<&str>) -> (Ops, Receiver<Control>, Receiver<Line>) {
    let clock = Clock::start();
    let metrics = Arc::new(Metrics::new("1.0.0", "paper").expect("registers"));
    let board = Arc::new(Board::new(Status::new(clock.now(), "paper", "SOLUSDT".to_owned(), 7)));
    let ((control, words), (lines, said)) = (bounded(1), unbounded());
    let settings = OpsSettings { listen: SocketAddr::from(([127, 0, 0, 1], 0)), token: token.map(SecretString::from) };
    let operator = Operator::new(control, Arc::new(KillSwitch::new(clock)), Arc::clone(&board), clock);
    (Ops::start(settings, clock, (metrics, board), operator, lines).expect("opens"), words, said)
}

#[test]
fn the_port_answers_what_the_contract_names() {
    let (ops, _words, _said) = port(None);
    assert_eq!(http(ops.addr(), "GET /healthz", "").0, 200);
    let (status, body) = http(ops.addr(), "GET /readyz", "");
    assert_eq!((status, body.contains("\"ready\":false") && body.contains("starting")), (503, true), "{body}");
    let (status, body) = http(ops.addr(), "GET /api/status?x=1", "");
    assert_eq!((status, serde_json::from_str::<Value>(&body).expect("JSON")["epoch"].as_u64()), (200, Some(7)));
    assert!(http(ops.addr(), "GET /", "").1.contains("<h1>sol_volume_bot</h1>"));
    assert_eq!(http(ops.addr(), "GET /nothing", "").0, 404);
    assert_eq!(http(ops.addr(), "DELETE /metrics", "").0, 405);
    let (status, metrics) = http(ops.addr(), "GET /metrics", "");
    assert_eq!(status, 200);
    assert_exposition_format(&metrics);
    ops.stop();
}

/// What `promtool check metrics` looks at: types before samples, cumulative buckets, units; and promtool itself if it
/// is installed.
fn assert_exposition_format(text: &str) {
    let mut typed = std::collections::HashMap::new();
    let mut bucket: Option<(String, f64)> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a kind");
            assert!(typed.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let name = series.split('{').next().expect("a name");
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end))
                .filter(|base| typed.contains_key(*base));
            assert!(typed.contains_key(base.unwrap_or(name)), "{name} has no type");
            let value: f64 = value.parse().expect("a number");
            if let Some((labels, _)) = series.split_once("le=\"") {
                let before = bucket.replace((labels.to_owned(), value));
                assert!(before.is_none_or(|(known, count)| known != labels || count <= value), "{line}");
            }
            let counter = typed.get(name).is_some_and(|kind| kind == "counter");
            assert_eq!(counter, name.ends_with("_total"), "{name}");
        }
    }
    let promtool = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn();
    match promtool {
        Err(_) => println!("SKIPPED: promtool is not installed; only our own check of the format ran"),
        Ok(mut child) => {
            child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("taken");
            let said = child.wait_with_output().expect("ends");
            assert!(
                said.status.success(),
                "{}{}",
                String::from_utf8_lossy(&said.stdout),
                String::from_utf8_lossy(&said.stderr)
            );
        }
    }
}

#[test]
fn only_a_post_with_the_token_changes_anything() {
    let token = "correct-horse-battery";
    let (ops, words, said) = port(Some(token));
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    assert_eq!(http(ops.addr(), "GET /api/kill", &bearer(token)).0, 405);
    assert_eq!(http(ops.addr(), "POST /api/kill", "").0, 401);
    for wrong in ["", "correct-horse-batterz", "correct-horse-battery1"] {
        assert_eq!(http(ops.addr(), "POST /api/kill", &bearer(wrong)).0, 401, "{wrong}");
    }
    assert!(words.is_empty());
    for line in said.try_iter() {
        assert_eq!(line.event, "UNAUTHORIZED");
        assert!(!format!("{line:?}").contains("horse"), "no token, right or wrong, in a line");
    }
    for (path, control) in [("pause", Control::Pause), ("resume", Control::Resume), ("flatten", Control::Flatten)] {
        assert_eq!(http(ops.addr(), &format!("POST /api/{path}"), &bearer(token)).0, 202);
        assert_eq!(words.recv_timeout(PATIENCE), Ok(control));
    }
    assert_eq!(http(ops.addr(), "POST /api/pause", &bearer(token)).0, 202);
    assert_eq!(http(ops.addr(), "POST /api/pause", &bearer(token)).0, 503, "the channel is full: said, not dropped");
    let (status, body) = http(ops.addr(), "POST /api/kill", &bearer(token));
    assert_eq!(status, 202, "a kill needs no room there: {body}");
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(answer["cancels"], "pending", "no gateway runs here, and the answer does not claim more: {body}");
    ops.stop();
    let (ops, words, _said) = port(None);
    let (status, body) = http(ops.addr(), "POST /api/kill", &bearer(token));
    assert!(status == 403 && body.contains("ops.token"), "{status} {body}");
    assert!(words.is_empty());
    ops.stop();
}

#[test]
fn an_occupied_port_is_a_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = taken.local_addr().expect("its address");
    let clock = Clock::start();
    let metrics = Arc::new(Metrics::new("1.0.0", "paper").expect("registers"));
    let board = Arc::new(Board::new(Status::new(clock.now(), "paper", "SOLUSDT".to_owned(), 7)));
    let operator = Operator::new(bounded(1).0, Arc::new(KillSwitch::new(clock)), Arc::clone(&board), clock);
    let error = Ops::start(OpsSettings { listen, token: None }, clock, (metrics, board), operator, bounded(1).0)
        .expect_err("refused");
    let text = error.to_string();
    assert!(text.contains(&format!("ops.listen = \"{listen}\"")) && text.contains("choose another port"), "{text}");
}

/// A server that answers from a script, one request a connection, and shows what it got. Out of answers, it is silent.
struct Chat {
    addr: SocketAddr,
    got: Receiver<String>,
    _open: Receiver<TcpStream>,
}

impl Chat {
    fn start(answers: Vec<&'static str>) -> Chat {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("its address");
        let ((tx, got), (keep, open)) = (unbounded(), unbounded());
        std::thread::spawn(move || {
            let mut answers = answers.into_iter();
            while let Ok((stream, _)) = listener.accept() {
                let mut reader = BufReader::new(stream);
                let Some(request) = read_request(&mut reader) else { continue };
                let mut stream = reader.into_inner();
                match answers.next() {
                    Some(answer) => drop(stream.write_all(answer.as_bytes())),
                    None => drop(keep.send(stream)),
                }
                if tx.send(request).is_err() {
                    return;
                }
            }
        });
        Chat { addr, got, _open: open }
    }
    fn next(&self) -> String {
        self.got.recv_timeout(PATIENCE).expect("a request")
    }
    fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        text.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(text + &String::from_utf8(body).ok()?)
}

const TOKEN: &str = "12345:AAbottokensecret";
const HOOK: &str = "services/T0/B0/hooksecret";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
const BUSY: &str = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const BROKEN: &str = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>";
const UNAUTHORIZED: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const BAD_MARKUP: &str =
    "HTTP/1.1 400 Bad Request\r\nContent-Length: 27\r\nConnection: close\r\n\r\n{\"ok\":false,\"error_code\":0}";

fn settings(telegram: Option<&Chat>, slack: Option<&Chat>, coalesce_ns: i64) -> AlertSettings {
    let telegram = telegram.map(|chat| Telegram {
        base: chat.url(),
        token: SecretString::from(TOKEN),
        chat: SecretString::from("-100"),
    });
    let slack = slack.map(|chat| Slack { webhook: SecretString::from(format!("{}/{HOOK}", chat.url())), base: None });
    AlertSettings {
        telegram,
        slack,
        ca_file: None,
        pace: Pace { spacing_ns: 1_000, backoff_ns: 1_000_000, coalesce_ns },
    }
}

fn text(id: u64, key: &str) -> AlertText {
    AlertText { id, key: key.to_owned(), urgency: Urgency::Critical, head: "STOP", body: format!("alert {id} <b>") }
}

fn start(settings: AlertSettings) -> (Alerts, Receiver<Line>) {
    let (lines, said) = unbounded();
    (Alerts::start(settings, Clock::start(), &lines).expect("starts").expect("a channel"), said)
}

#[test]
fn an_alert_reaches_both_channels_through_busy_and_broken_answers() {
    let (telegram, slack) = (Chat::start(vec![BUSY, BROKEN, OK]), Chat::start(vec![BROKEN, OK]));
    let (alerts, said) = start(settings(Some(&telegram), Some(&slack), 0));
    let symbol = Symbol::new("SOLUSDT").expect("symbol");
    let enter = Alert::Enter { mid: Price(16_100_000_000), qty: Qty(1_000_000_000), stop: Price(15_500_000_000) };
    alerts.queue().send(AlertText::of(&enter, symbol, 1)).expect("room");
    for _ in 0..3 {
        let request = telegram.next();
        assert!(request.starts_with(&format!("POST /bot{TOKEN}/sendMessage HTTP/1.1\r\n")), "{request}");
        assert!(
            request.contains("<b>ENTER</b> SOLUSDT first tranche 1 at mid 161, stop 155")
                && request.contains("\"chat_id\":-100"),
            "{request}"
        );
    }
    for _ in 0..2 {
        let request = slack.next();
        assert!(
            request.starts_with(&format!("POST /{HOOK} HTTP/1.1\r\n")) && request.contains("*ENTER* SOLUSDT"),
            "{request}"
        );
    }
    assert!(alerts.stop(PATIENCE, Clock::start()));
    assert!(said.is_empty());
}

#[test]
fn refused_markup_is_sent_once_more_as_plain_text() {
    let chat = Chat::start(vec![BAD_MARKUP, OK]);
    let (alerts, said) = start(settings(Some(&chat), None, 0));
    alerts.queue().send(text(1, "a")).expect("room");
    assert!(chat.next().contains("parse_mode"));
    let plain = chat.next();
    assert!(!plain.contains("parse_mode") && plain.contains("STOP alert 1 <b>"), "{plain}");
    assert!(alerts.stop(PATIENCE, Clock::start()) && said.is_empty());
}

#[test]
fn a_permanent_error_switches_the_channel_off_and_every_lost_alert_is_in_the_log_without_secrets() {
    let chat = Chat::start(vec![UNAUTHORIZED]);
    let (alerts, said) = start(settings(Some(&chat), None, 0));
    alerts.queue().send(text(1, "a")).expect("room");
    chat.next();
    alerts.queue().send(text(2, "b")).expect("room");
    let lines: Vec<Line> = (0..2).map(|_| said.recv_timeout(PATIENCE).expect("a line")).collect();
    assert!(lines.iter().all(|line| line.event == "ALERT_FAILED"));
    assert!(lines[0].msg.contains("alerts.telegram_token names"), "{}", lines[0].msg);
    assert!(format!("{:?}", lines[1]).contains("alert 2"), "what could not be told is written down");
    assert!(!format!("{lines:?}").contains("secret"), "{lines:?}");
    assert!(alerts.stop(PATIENCE, Clock::start()));
    assert!(chat.got.is_empty(), "nothing was sent after the 401");
}

#[test]
fn five_tries_are_the_end_and_the_address_of_a_dead_webhook_is_not_told() {
    let chat = Chat::start(vec![BROKEN; 9]);
    let (alerts, said) = start(settings(None, Some(&chat), 0));
    alerts.queue().send(text(1, "a")).expect("room");
    let line = said.recv_timeout(PATIENCE).expect("a line");
    assert!(line.msg.contains("given up after 5 tries: HTTP status 502"), "{}", line.msg);
    assert_eq!(chat.got.len(), 5);
    assert!(alerts.stop(PATIENCE, Clock::start()));
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let dead = AlertSettings {
        slack: Some(Slack { webhook: SecretString::from(format!("http://{gone}/{HOOK}")), base: None }),
        ..settings(None, None, 0)
    };
    let (alerts, said) =
        start(AlertSettings { pace: Pace { spacing_ns: 1_000, backoff_ns: 1_000, coalesce_ns: 0 }, ..dead });
    alerts.queue().send(text(1, "a")).expect("room");
    let line = said.recv_timeout(PATIENCE).expect("a line");
    assert!(line.msg.contains("given up") && !format!("{line:?}").contains("secret"), "{line:?}");
    assert!(alerts.stop(PATIENCE, Clock::start()));
}

#[test]
fn repeats_within_the_window_become_one_message() {
    let chat = Chat::start(vec![OK; 9]);
    let (alerts, said) = start(settings(Some(&chat), None, SECOND / 2));
    (1..=5).for_each(|id| alerts.queue().send(text(id, "same")).expect("room"));
    alerts.queue().send(text(6, "other")).expect("room");
    let got: Vec<String> = (0..3).map(|_| chat.next()).collect();
    assert!(got[0].contains("id=ev-1") || got[0].contains("(x"), "{}", got[0]);
    assert!(got[1].contains("id=ev-6") && got[2].contains("id=ev-5") && got[2].contains("(x4)"), "{got:?}");
    assert!(alerts.stop(PATIENCE, Clock::start()) && said.is_empty() && chat.got.is_empty());
}

#[test]
fn a_stuck_channel_never_blocks_the_sender_nor_the_end() {
    let chat = Chat::start(Vec::new());
    let (alerts, _said) = start(settings(Some(&chat), None, 0));
    let queue = alerts.queue();
    let refused = (1..=1_000).filter(|id| queue.send(text(*id, &id.to_string())).is_err()).count();
    chat.next();
    assert!(refused >= 1_000 - 2 * 256 - 1 && queue.refused() == refused as u64, "{refused} refused");
    let clock = Clock::start();
    let before = clock.now();
    assert!(!alerts.stop(Duration::from_millis(100), clock), "the thread is stuck in its request");
    assert!(clock.now().since(before) < 2 * SECOND);
}
