//! What the engine did, as a log reader, a scraper and an operator get to see it.

use serde_json::Value;
use sol_volume_bot::ledger::DB_FILE;
use sol_volume_bot::telemetry::Line;
use sol_volume_bot::threads::runner::Agent;
use sol_volume_bot::types::decision::{Refused, RiskRule, Verdict};
use sol_volume_bot::types::event::{
    Control, Slot, SourceReason, SourceState, StreamState, VolumeDefinition, VolumeSample,
};
use sol_volume_bot::types::note::{Verb, WireNote};
use sol_volume_bot::types::record::{ExitReason, OrderRow, OrderStatus, PauseReason, Record, Repost, TradeRow};
use sol_volume_bot::types::{Bps, EventKind, Leg, Notional, Price, Qty, StreamId};

use super::bench::*;
use super::rows::*;

#[test]
fn an_entry_and_a_refusal_say_where_their_volume_comes_from() {
    for (verdict, passed, event) in [(Verdict::Enter, 0x7FF, "ENTER"), (Verdict::NoOp, 0x7F7, "NO_OP")] {
        let mut bench = Bench::new(&format!("origin-{event}"));
        bench.record(Record::Decision(decided(verdict, passed)));
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
    bench.record(Record::Decision(decided(Verdict::Enter, 0x7FF)));
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
        bench.record(Record::Decision(decided(Verdict::NoOp, if tick % 2 == 0 { 0x7DF } else { 0x79F })));
    }
    bench.event(StreamId::BinanceBbo, NOW.plus(2 * SECOND), EventKind::Slot(Slot { slot: 2, parent: 1, root: 0 }));
    bench.record(Record::Decision(decided(Verdict::NoOp, 0x7DF)));
    bench.turn(3 * SECOND);
    assert_eq!(bench.out.named("NO_OP").len(), 1, "the same verdict again is not said again");
    assert_eq!(bench.out.named("NO_OP")[0]["msg"], "not holding: rsi");
    bench.event(StreamId::BinanceBbo, NOW.plus(4 * SECOND), EventKind::Slot(Slot { slot: 3, parent: 2, root: 0 }));
    bench.record(Record::Decision(decided(Verdict::Exit, 0x7DF)));
    bench.record(Record::Decision(decided(Verdict::NoOp, 0x79F)));
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
