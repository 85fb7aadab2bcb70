//! The ledger through its front door: what is kept, what is refused, what survives.
//!
//! Thread: test.  Invariants: each test has a directory of its own; no network.

#[path = "ops/rows.rs"]
mod rows;

use std::fs;
use std::path::PathBuf;

use sol_volume_bot::ledger::{CsvFiles, DB_FILE, Ledger, LedgerError, Market, PENDING_ROWS_MAX, Row};
use sol_volume_bot::types::decision::{Decision, Verdict};
use sol_volume_bot::types::event::{SourceState, VolumeDefinition, VolumeSample};
use sol_volume_bot::types::instrument::Symbol;
use sol_volume_bot::types::note::Verb;
use sol_volume_bot::types::order::{OrderKind, Purpose, Side};
use sol_volume_bot::types::reconcile::{Difference, DifferenceKind, ReconcileCount, ReconcileTrigger};
use sol_volume_bot::types::record::{EquityRow, ExitReason, FillRow, OrderRow, OrderStatus, PauseReason, TradeRow};
use sol_volume_bot::types::{Bps, ClientOrderId, Leg, Notional, Price, Qty, Ratio, StreamId, Time};

const HOUR: i64 = 3_600 * SECOND;

use rows::{NOW, SECOND, id};

struct Dir(PathBuf);
impl Dir {
    fn new(name: &str) -> Dir {
        let path = std::env::temp_dir().join(format!("svb_ledger_{name}_{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Dir(path)
    }
    fn open(&self) -> Ledger {
        self.try_open().expect("opens")
    }
    fn try_open(&self) -> Result<Ledger, LedgerError> {
        Ledger::open(&self.0, Market { venue: "binance_spot", symbol: Symbol::new("SOLUSDT").expect("symbol") })
    }
    fn db(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.0.join(DB_FILE)).expect("second connection")
    }
    fn text(&self, sql: &str) -> Option<String> {
        self.db().query_row(sql, [], |row| row.get(0)).expect("query")
    }
    fn number(&self, sql: &str) -> Option<i64> {
        self.db().query_row(sql, [], |row| row.get(0)).expect("query")
    }
}
impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn order(leg: Leg, status: OrderStatus) -> OrderRow {
    let done = if status.is_done() { NOW.plus(SECOND) } else { Time::NONE };
    OrderRow { id: id(leg), price: Price(16_150_000_001), qty: Qty(1_234_567_891), done, ..rows::order(status) }
}

fn fill(trade_id: i64, leg: Leg) -> FillRow {
    FillRow {
        id: id(leg),
        trade_id,
        price: Price(16_150_000_001),
        qty: Qty(1_000_000_001),
        fee: 1_000_001,
        recv: NOW.plus(trade_id),
        ..rows::fill()
    }
}

fn trade() -> TradeRow {
    TradeRow {
        trade_no: 1,
        opened: NOW,
        closed: NOW.plus(SECOND),
        qty: Qty(1),
        entry_px: Price(1),
        exit_px: Price(2),
        fees: Notional(3),
        pnl: Notional(-4),
        slippage: Bps(-125),
        reason: ExitReason::TakeProfit,
    }
}

fn equity(cash: i64) -> EquityRow {
    let zero = Notional::ZERO;
    EquityRow {
        cash: Notional(cash),
        position: Qty::ZERO,
        mid: Price(1),
        equity: Notional(cash),
        realized: zero,
        unrealized: zero,
        drawdown: zero,
    }
}

#[test]
fn every_column_of_the_contract_is_there_in_order() {
    let dir = Dir::new("columns");
    drop(dir.open());
    let tables = [
        (
            "orders",
            "client_order_id,venue_order_id,list_id,venue,symbol,side,type,tif,price,stop_price,qty,cum_qty,avg_px,status,purpose,tranche,trade_id,reason,created_ns,sent_ns,acked_ns,done_ns,tick_to_trade_ns",
        ),
        ("fills", "venue,trade_id,client_order_id,side,price,qty,fee,fee_asset,liquidity,venue_ns,recv_ns"),
        ("trades", "id,opened_ns,closed_ns,qty,entry_px,exit_px,fees,pnl,slippage_bps,exit_reason"),
        ("equity", "ts_ns,cash,position,mid,equity,realized,unrealized,drawdown"),
        ("signals", "ts_ns,decision,rules"),
        ("state", "key,value"),
        ("volumes", "source,bucket_ns,now,prev,state"),
        ("reconcile", "ts_ns,trigger,kind,id,detail"),
    ];
    for (table, columns) in tables {
        let found = dir.text(&format!("SELECT group_concat(name) FROM pragma_table_info('{table}')")).expect("columns");
        assert!(found.starts_with(columns), "{table}: {found}");
    }
    assert_eq!(dir.number("PRAGMA user_version"), Some(3));
    assert_eq!(dir.text("PRAGMA journal_mode").as_deref(), Some("wal"));
}

#[test]
fn money_is_kept_as_exact_text_and_times_as_integers() {
    let dir = Dir::new("exact");
    let mut ledger = dir.open();
    ledger.push(Row::Order(order(Leg::Entry(1), OrderStatus::Working)));
    ledger.push(Row::Fill(fill(9, Leg::Entry(1))));
    ledger.push(Row::Trade(trade()));
    assert_eq!(ledger.flush().expect("written"), 3);
    assert_eq!(dir.text("SELECT price FROM orders").as_deref(), Some("161.50000001"));
    assert_eq!(dir.text("SELECT qty FROM orders").as_deref(), Some("1.234567891"));
    assert_eq!(dir.text("SELECT typeof(created_ns) || typeof(price) FROM orders").as_deref(), Some("integertext"));
    assert_eq!(dir.number("SELECT created_ns FROM orders"), Some(NOW.0));
    assert_eq!(dir.text("SELECT fee || ' ' || fee_asset FROM fills").as_deref(), Some("0.001000001 BASE"));
    assert_eq!(dir.text("SELECT pnl || ' ' || slippage_bps FROM trades").as_deref(), Some("-0.00000004 -1.25"));
}

#[test]
fn the_gateways_note_and_the_engines_row_meet_in_either_order() {
    for note_first in [true, false] {
        let dir = Dir::new(if note_first { "note_first" } else { "row_first" });
        let mut ledger = dir.open();
        let sent = |leg, verb, at: i64| Row::Sent { id: id(leg), verb, sent: Time(at), tick_to_trade_ns: at + 1 };
        let note = sent(Leg::Entry(1), Verb::Place, 10);
        let row = Row::Order(order(Leg::Entry(1), OrderStatus::Pending));
        let both = if note_first { [note, row] } else { [row, note] };
        both.into_iter().for_each(|row| ledger.push(row));
        ledger.push(sent(Leg::Entry(1), Verb::Cancel, 99));
        ledger.push(Row::Order(order(Leg::Entry(1), OrderStatus::Canceled)));
        ledger.push(sent(Leg::List(2), Verb::PlaceOco, 20));
        ledger.flush().expect("written");
        let got = dir.text("SELECT status || sent_ns || '/' || tick_to_trade_ns FROM orders WHERE purpose = 'ENTRY'");
        assert_eq!(got.as_deref(), Some("CANCELED10/11"));
        assert_eq!(dir.number("SELECT count(*) FROM orders WHERE sent_ns = 20"), Some(2), "both legs of the list");
    }
}

#[test]
fn an_order_that_a_later_run_takes_over_keeps_the_times_of_its_birth() {
    let dir = Dir::new("born");
    let mut ledger = dir.open();
    let first = OrderRow { acked: NOW.plus(7), ..order(Leg::Stop(1), OrderStatus::Working) };
    let adopted = OrderRow { created: NOW.plus(SECOND), acked: NOW.plus(SECOND), ..first };
    ledger.push(Row::Order(OrderRow { acked: Time::NONE, ..first }));
    ledger.push(Row::Order(first));
    ledger.push(Row::Order(adopted));
    ledger.flush().expect("written");
    assert_eq!(dir.number("SELECT created_ns FROM orders"), Some(NOW.0));
    assert_eq!(dir.number("SELECT acked_ns FROM orders"), Some(NOW.0 + 7));
}

#[test]
fn a_fill_twice_is_a_fill_once() {
    let dir = Dir::new("twice");
    let mut ledger = dir.open();
    ledger.push(Row::Fill(fill(9, Leg::Entry(1))));
    ledger.flush().expect("written");
    ledger.push(Row::Fill(FillRow { qty: Qty(5), ..fill(9, Leg::Entry(1)) }));
    ledger.flush().expect("written");
    assert_eq!(dir.text("SELECT group_concat(qty) FROM fills").as_deref(), Some("1.000000001"));
}

#[test]
fn a_new_run_remembers_losses_pauses_fills_and_open_orders() {
    let dir = Dir::new("memory");
    let mut ledger = dir.open();
    assert_eq!(ledger.memory().expect("empty").next_trade_no, 1);
    let epoch = ledger.next_epoch(NOW).expect("epoch");
    ledger.push(Row::Losses(3));
    ledger.push(Row::Pause { reason: PauseReason::Operator, on: true });
    ledger.push(Row::Pause { reason: PauseReason::Slippage, on: true });
    ledger.push(Row::Pause { reason: PauseReason::Operator, on: false });
    ledger.push(Row::Order(order(Leg::Entry(1), OrderStatus::Filled)));
    let open = OrderRow {
        purpose: Purpose::Tp1,
        side: Side::Sell,
        kind: OrderKind::LimitMaker,
        list_id: 5,
        ..order(Leg::TakeProfit(1), OrderStatus::Working)
    };
    ledger.push(Row::Order(open));
    let fills = [fill(8, Leg::Entry(1)), fill(9, Leg::Entry(1))];
    fills.into_iter().for_each(|fill| ledger.push(Row::Fill(fill)));
    ledger.push(Row::Equity(NOW, equity(100)));
    ledger.push(Row::Equity(NOW.plus(SECOND), equity(200)));
    ledger.flush().expect("written");
    drop(ledger);
    let mut ledger = dir.open();
    let memory = ledger.memory().expect("remembers");
    assert_eq!((memory.epoch, memory.consecutive_losses, memory.next_trade_no), (epoch, 3, 2));
    assert_eq!(memory.pauses, [PauseReason::Slippage]);
    assert_eq!(memory.venue_trade_max, 9);
    assert_eq!(memory.open_orders, [open], "read back exactly as it was written");
    let trade_open = memory.open_trade.expect("a trade is open");
    assert_eq!(trade_open.fills, fills.map(|fill| (fill, Purpose::Entry)));
    assert_eq!(ledger.first_equity_since(NOW).expect("reads"), Some(Notional(100)));
    assert_eq!(ledger.first_equity_since(NOW.plus(2 * SECOND)).expect("reads"), None);
    ledger.push(Row::Trade(trade()));
    ledger.flush().expect("written");
    assert_eq!(ledger.memory().expect("remembers").open_trade, None);
}

#[test]
fn an_epoch_is_never_given_twice_even_by_a_fresh_database() {
    let dir = Dir::new("epoch");
    let first = dir.open().next_epoch(NOW).expect("epoch");
    let second = dir.open().next_epoch(NOW).expect("epoch");
    assert!(second > first);
    assert_eq!(
        dir.text("SELECT value FROM state WHERE key = 'epoch'"),
        Some(second.to_string()),
        "durable before returned"
    );
    fs::remove_dir_all(&dir.0).expect("the database is lost");
    let after_loss = dir.open().next_epoch(NOW.plus(10 * SECOND)).expect("epoch");
    assert!(after_loss > second);
}

#[test]
fn a_damaged_database_is_refused_and_left_as_it_is() {
    for (name, bytes) in [("garbage", vec![b'x'; 8_192]), ("holes", Vec::new())] {
        let dir = Dir::new(name);
        let mut ledger = dir.open();
        (0..2_000).for_each(|n| ledger.push(Row::Fill(fill(n, Leg::Entry(1)))));
        ledger.flush().expect("written");
        drop(ledger);
        let path = dir.0.join(DB_FILE);
        let mut damaged = if bytes.is_empty() { fs::read(&path).expect("read") } else { bytes };
        if name == "holes" {
            let middle = damaged.len() / 2;
            damaged[middle..middle + 8_192].fill(0xA5);
        }
        fs::write(&path, &damaged).expect("write");
        let error = dir.try_open().expect_err("refused");
        let text = error.to_string();
        assert!(matches!(error, LedgerError::Damaged { .. }), "{text}");
        assert!(
            text.contains("engine.db") && text.contains("nothing was changed") && text.contains("move it away"),
            "{text}"
        );
        assert_eq!(fs::read(&path).expect("read"), damaged);
    }
}

#[test]
fn another_schema_version_and_an_unusable_directory_are_refused_in_clear_words() {
    let dir = Dir::new("version");
    drop(dir.open());
    dir.db().pragma_update(None, "user_version", 99).expect("set");
    let text = dir.try_open().expect_err("refused").to_string();
    assert!(text.contains("schema version 99, this program knows 3"), "{text}");
    fs::remove_dir_all(&dir.0).expect("again");
    fs::create_dir_all(&dir.0).expect("again");
    dir.db().execute_batch("PRAGMA journal_mode = WAL").expect("the making was cut short here");
    assert!(dir.open().memory().is_ok(), "a file without any table is a new one");
    let file = dir.0.join("a_file");
    fs::write(&file, "x").expect("write");
    let under_a_file =
        Ledger::open(&file.join("data"), Market { venue: "v", symbol: Symbol::new("S").expect("symbol") });
    let text = under_a_file.expect_err("refused").to_string();
    assert!(text.contains("a_file/data") && text.contains("storage.data_dir"), "{text}");
}

#[test]
fn a_ledger_of_the_first_version_gains_what_is_new_and_keeps_every_row() {
    let dir = Dir::new("migrated");
    drop(dir.open());
    let db = dir.db();
    db.execute_batch("DROP TABLE chain_buckets; DROP TABLE reconcile; PRAGMA user_version = 1; INSERT INTO state VALUES ('epoch', '41')")
        .expect("as the first version left it");
    drop(db);
    let mut ledger = dir.open();
    assert_eq!(dir.number("PRAGMA user_version"), Some(3));
    assert_eq!(ledger.memory().expect("reads").epoch, 41);
    let mut count = ReconcileCount::new(ReconcileTrigger::Reconnect);
    count.add(DifferenceKind::Fill);
    let (trigger, kind) = (ReconcileTrigger::Reconnect, DifferenceKind::Fill);
    let id = ClientOrderId::parse(b"v0000000041-000001-41-0002");
    let found = Difference { trigger, kind, id, number: 77, amount: 1_500_000_000 };
    ledger.push(Row::Difference(NOW, found));
    ledger.push(Row::Reconciled(NOW, count));
    ledger.push(Row::TradesKnownTo(77));
    ledger.flush().expect("written");
    let sql = "SELECT group_concat(\"trigger\" || ' ' || kind || ' ' || COALESCE(id, '-') || ' ' || detail, '; ') FROM \
               reconcile";
    let told = dir.text(sql).expect("rows");
    assert!(told.starts_with("reconnect FILL v0000000041-000001-41-0002 {"), "{told}");
    assert!(told.contains("\"number\":77") && told.contains("\"amount\":\"1.5\""), "{told}");
    assert!(told.contains("reconnect SUMMARY - {") && told.contains("\"fills\":1"), "{told}");
    assert_eq!(ledger.memory().expect("reads").trades_known_to, 77);
}

#[test]
fn rows_wait_in_memory_while_the_disk_refuses_and_none_is_lost() {
    let dir = Dir::new("full");
    let mut ledger = dir.open();
    let other = dir.db();
    other.execute_batch("BEGIN EXCLUSIVE").expect("lock");
    ledger.push(Row::Fill(fill(1, Leg::Entry(1))));
    let text = ledger.flush().expect_err("refused").to_string();
    assert!(text.contains("kept in memory and retried"), "{text}");
    ledger.push(Row::Fill(fill(2, Leg::Entry(1))));
    assert_eq!(ledger.pending(), 2);
    other.execute_batch("ROLLBACK").expect("unlock");
    assert_eq!(ledger.flush().expect("written"), 2);
    assert_eq!((ledger.pending(), dir.number("SELECT count(*) FROM fills")), (0, Some(2)));
}

#[test]
fn memory_for_waiting_rows_is_bounded_and_gives_up_figures_before_money() {
    let dir = Dir::new("bounded");
    let mut ledger = dir.open();
    ledger.push(Row::Equity(NOW, equity(1)));
    (1..PENDING_ROWS_MAX as i64).for_each(|n| ledger.push(Row::Fill(fill(n, Leg::Entry(1)))));
    assert_eq!((ledger.pending(), ledger.dropped()), (PENDING_ROWS_MAX, 0));
    ledger.push(Row::Trade(trade()));
    assert_eq!((ledger.pending(), ledger.dropped()), (PENDING_ROWS_MAX, 1));
    ledger.flush().expect("written");
    assert_eq!(dir.number("SELECT count(*) FROM equity"), Some(0), "the figure went");
    assert_eq!(dir.number("SELECT count(*) FROM trades"), Some(1));
    assert_eq!(dir.number("SELECT count(*) FROM fills"), Some(PENDING_ROWS_MAX as i64 - 1));
}

#[test]
fn a_signal_row_answers_why_there_was_no_trade() {
    let dir = Dir::new("signal");
    let mut ledger = dir.open();
    let decision = Decision { rsi: Ratio(4_500_000_000), ..rows::decided(Verdict::NoOp, 0b111_1101_1111) };
    ledger.push(Row::Signal(NOW, decision));
    ledger.flush().expect("written");
    let get = |path: &str| dir.text(&format!("SELECT json_extract(rules, '{path}') FROM signals"));
    assert_eq!(get("$.rsi.value").as_deref(), Some("45"));
    assert_eq!(get("$.rsi.threshold").as_deref(), Some("< 45"));
    assert_eq!(dir.number("SELECT json_extract(rules, '$.rsi.pass') FROM signals"), Some(0));
    assert_eq!(dir.number("SELECT json_extract(rules, '$.volume_drop.pass') FROM signals"), Some(1));
    for (path, text) in [
        ("$.volume_sol.value", "0.25"),
        ("$.volume_sol.threshold", "> 0.2"),
        ("$.volume_confirmed.threshold", ">= 1"),
        ("$.volume.def", "utc_day"),
        ("$.volume.source", "defillama"),
        ("$.volume.now", "0.00000069"),
        ("$.volume.prev", "0.000001"),
        ("$.volume.drop", "0.31"),
        ("$.volume.sources.coingecko.state", "MISSING"),
        ("$.volume.sources.coingecko.reason", "unread"),
    ] {
        assert_eq!(get(path).as_deref(), Some(text), "{path}");
    }
    for (path, at) in [("as_of", NOW), ("bucket_end", NOW.plus(-SECOND)), ("recv", NOW)] {
        assert_eq!(dir.number(&format!("SELECT json_extract(rules, '$.volume.{path}') FROM signals")), Some(at.0));
    }
}

#[test]
fn who_said_last_that_volume_rose_is_remembered_by_its_newest_good_word() {
    let dir = Dir::new("risen");
    let mut ledger = dir.open();
    let told = |state, now, prev, hour: i64| VolumeSample {
        state,
        now: Notional(now),
        prev: Notional(prev),
        bucket_end: NOW.plus(hour * HOUR),
        ..VolumeSample::UNREAD
    };
    for (stream, sample) in [
        (StreamId::PumpChain, told(SourceState::Ok, 11, 10, 0)),
        (StreamId::PumpChain, told(SourceState::Ok, 9, 10, 1)), // it fell since
        (StreamId::DefiLlama, told(SourceState::Ok, 9, 10, 0)),
        (StreamId::DefiLlama, told(SourceState::Ok, 11, 10, 1)),
        (StreamId::DefiLlama, told(SourceState::Suspect, 5, 10, 2)), // and this was not believed
        (StreamId::PumpFun, told(SourceState::Ok, 10, 10, 0)),
    ] {
        ledger.push(Row::Volume(stream, sample));
    }
    ledger.flush().expect("written");
    assert_eq!(ledger.risen().expect("read"), [Time::NONE, NOW.plus(HOUR), Time::NONE, Time::NONE]);
}

#[test]
fn volumes_are_read_back_from_a_time_on() {
    let dir = Dir::new("volumes");
    let mut ledger = dir.open();
    for hour in 0..3 {
        let sample = VolumeSample {
            definition: VolumeDefinition::Sampled24,
            state: SourceState::Ok,
            now: Notional(100 + hour),
            prev: Notional::ZERO,
            bucket_end: NOW.plus(hour * HOUR),
            ..VolumeSample::UNREAD
        };
        ledger.push(Row::Volume(StreamId::PumpFun, sample));
    }
    ledger.flush().expect("written");
    let since = ledger.volumes_since(StreamId::PumpFun, NOW.plus(HOUR)).expect("reads");
    assert_eq!(since, [(NOW.plus(HOUR), Notional(101)), (NOW.plus(2 * HOUR), Notional(102))]);
}

#[test]
fn hourly_files_hold_the_hours_rows_and_are_caught_up_after_a_crash() {
    let dir = Dir::new("csv");
    let mut ledger = dir.open();
    let mut files = CsvFiles::new(&dir.0, HOUR, NOW);
    files.catch_up(&ledger, NOW).expect("nothing yet");
    ledger.push(Row::Order(order(Leg::Entry(1), OrderStatus::Filled)));
    ledger.push(Row::Fill(fill(8, Leg::Entry(1))));
    ledger.push(Row::Equity(NOW, equity(100)));
    ledger.push(Row::Equity(NOW.plus(HOUR), equity(200)));
    ledger.flush().expect("written");
    files.turn(&ledger, NOW.plus(HOUR)).expect("written");
    let read = |hour: &str, name: &str| fs::read_to_string(dir.0.join("csv").join(hour).join(name)).unwrap_or_default();
    let fills = read("2026-11-22T18", "fills.csv");
    assert_eq!(fills.lines().count(), 2, "{fills}");
    assert!(fills.starts_with("venue,trade_id,client_order_id,side,price,qty,fee"), "{fills}");
    assert!(fills.contains(",161.50000001,1.000000001,0.001000001,BASE,TAKER,"), "{fills}");
    assert_eq!(read("2026-11-22T18", "orders.csv").lines().count(), 2);
    assert!(read("2026-11-22T18", "equity.csv").contains("0.000001,0,"));
    assert_eq!(read("2026-11-22T19", "equity.csv").lines().count(), 2);
    assert!(read("2026-11-22T19", "orders.csv").is_empty(), "an hour without rows leaves no file");
    ledger.push(Row::Fill(FillRow { recv: NOW.plus(2 * HOUR), ..fill(10, Leg::Entry(1)) }));
    ledger.flush().expect("written; then the run dies before its files");
    let mut next_run = CsvFiles::new(&dir.0, HOUR, NOW.plus(5 * HOUR));
    next_run.catch_up(&dir.open(), NOW.plus(5 * HOUR)).expect("caught up");
    assert_eq!(read("2026-11-22T20", "fills.csv").lines().count(), 2);
}
