//! What the cold agent makes of the engine's events, records and alerts.
//!
//! Runs on: the `cold` core, inside [`Cold`].  Invariants: every record that touches money or a limit becomes a row
//! and a line; nothing here decides anything.

use serde_json::json;

use super::{Cold, NO_OP_NS};
use crate::engine::venues::Offer;
use crate::ledger::{Row, rules_json, volume_json};
use crate::telemetry::alerts::AlertText;
use crate::telemetry::metrics::{quote, seconds};
use crate::telemetry::status::VolumeStatus;
use crate::telemetry::{Level, Line, reconcile_line};
use crate::types::command::Alert;
use crate::types::decision::{Decision, Refused, Verdict};
use crate::types::event::{Control, Event, EventKind, Slot, StreamState, VolumeSample};
use crate::types::order::Side;
use crate::types::record::{ExitReason, FillRow, OrderRow, OrderStatus, PauseReason, Record, Repost, TradeRow};
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::units::RATIO_SCALE;
use crate::types::{Price, Qty, Ratio, StreamId, Time};

/// Age up to which a venue's price is set against another's, as in the engine.
const DIVERGENCE_NS_MAX: i64 = 60 * NANOS_PER_SEC;
/// Weight of a new slot in the mean, one part in this many.
const SLOT_MEAN_PARTS: i64 = 16;

fn side_name(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

impl Cold {
    fn line(&mut self, level: Level, event: &'static str, msg: String) -> Line {
        Line::new(self.at, level, event, msg)
    }

    pub(super) fn on_event(&mut self, event: &Event) {
        self.at = event.at;
        if event.stream != StreamId::Internal {
            self.heard(event.stream, event.recv);
            self.sinks.metrics.events.with_label_values(&[event.stream.name()]).inc();
        }
        match event.kind {
            EventKind::Stream(state) => {
                self.venues.on_stream(event.stream, state);
                self.on_stream(event.stream, state, event.at);
            }
            EventKind::Slot(slot) => self.on_slot(slot, event.recv),
            EventKind::Volume(sample) => self.on_volume(event.stream, sample),
            EventKind::Control(control) => self.on_control(control),
            EventKind::Bbo(bbo) => self.venues.on_bbo(event.stream, &bbo, event.recv),
            EventKind::Dex(book) => self.venues.on_dex(event.stream, &book, event.recv),
            EventKind::Depth(_)
            | EventKind::Trade(_)
            | EventKind::Candle(_)
            | EventKind::Execution(_)
            | EventKind::Balance(_)
            | EventKind::Timer(_)
            | EventKind::Clock(_)
            | EventKind::Resting(_)
            | EventKind::Reconciled(_) => {}
        }
    }

    /// A stream gave something.
    pub(super) fn heard(&mut self, stream: StreamId, recv: Time) {
        if let Some(status) = self.status.streams.get_mut(stream as usize) {
            status.last = status.last.max(recv);
        }
    }

    /// A stream changed its health; said once, whoever says it first.
    pub(super) fn on_stream(&mut self, stream: StreamId, state: StreamState, at: Time) {
        let Some(status) = self.status.streams.get_mut(stream as usize) else { return };
        if status.state == Some(state) {
            return;
        }
        status.state = Some(state);
        let name = stream.name();
        let (level, event) = match state {
            StreamState::Up => (Level::Info, "STREAM_UP"),
            StreamState::Stale | StreamState::Down => (Level::Warn, "STREAM_DOWN"),
            StreamState::Gap => (Level::Warn, "GAP"),
        };
        let up = if state == StreamState::Up { 1.0 } else { 0.0 };
        self.sinks.metrics.stream_up.with_label_values(&[name]).set(up);
        if state == StreamState::Gap {
            self.sinks.metrics.gaps.with_label_values(&[name]).inc();
        }
        let line = Line::new(at, level, event, format!("{name} is {}", state.name()));
        self.sinks.lines.put(&line.with("stream", name).with("state", state.name()));
    }

    /// Who has the best price, and how far the Solana exchanges are away.
    pub(super) fn show_venues(&mut self, now: Time) {
        let metrics = &self.sinks.metrics;
        let best = self.venues.best();
        for (offers, offer) in [(&metrics.best_bid, best.bid), (&metrics.best_ask, best.ask)] {
            offers.reset(); // the venue of before is no longer the best
            if let Some(offer) = offer {
                offers.with_label_values(&[offer.stream.name()]).set(quote(offer.price.0));
            }
        }
        let apart = self.venues.dex_divergence(now, DIVERGENCE_NS_MAX);
        let ratio = apart.map_or(f64::NAN, |apart| apart.ratio.0 as f64 / RATIO_SCALE as f64);
        metrics.dex_divergence.set(ratio);
        let shown = |offer: Option<Offer>| offer.map(|offer| (offer.stream, offer.price, offer.qty));
        (self.status.best_bid, self.status.best_ask) = (shown(best.bid), shown(best.ask));
        self.status.dex_divergence = apart.map(|apart| (apart.ratio, apart.dex, apart.exchange));
    }

    fn on_slot(&mut self, slot: Slot, recv: Time) {
        if let Some((last, at)) = self.slot_seen
            && slot.slot > last
        {
            let span = recv.since(at) / i64::try_from(slot.slot - last).unwrap_or(i64::MAX);
            let mean = if self.slot_ns == 0 { span } else { self.slot_ns + (span - self.slot_ns) / SLOT_MEAN_PARTS };
            self.slot_ns = mean;
            self.sinks.metrics.slot_seconds.set(seconds(mean));
        }
        self.slot_seen = Some((slot.slot, recv));
        self.status.slot = slot.slot;
        self.sinks.metrics.slot.set(slot.slot as f64);
    }

    fn on_volume(&mut self, source: StreamId, sample: VolumeSample) {
        let drop = Ratio::of(sample.prev.0.saturating_sub(sample.now.0), sample.prev.0).unwrap_or(Ratio::ZERO);
        let ratio = drop.0 as f64 / RATIO_SCALE as f64;
        self.sinks.metrics.volume_drop.with_label_values(&[source.name()]).set(ratio);
        let VolumeSample { state, reason, .. } = sample;
        self.status.volumes.retain(|known| known.source != source);
        self.status.volumes.push(VolumeStatus { source, drop, state, reason, at: self.at });
        self.status.volumes.sort_by_key(|known| known.source);
        self.sinks.ledger.push(Row::Volume(source, sample));
    }

    fn on_control(&mut self, control: Control) {
        match control {
            Control::Kill => {
                self.status.stopping = true;
                let line = self.line(Level::Error, "KILL", "kill: all orders are being cancelled, one way".to_owned());
                self.sinks.lines.put(&line);
                self.tell("KILL SWITCH: cancelling everything");
            }
            Control::Stop => self.status.stopping = true,
            Control::Flatten => {
                let line = self.line(Level::Warn, "FLATTEN", "flatten: the position is being sold".to_owned());
                self.sinks.lines.put(&line);
            }
            Control::Pause | Control::Resume | Control::Halt(_) | Control::Set(..) | Control::Commit => {}
        }
    }

    pub(super) fn on_alert(&mut self, alert: &Alert) {
        if !self.sinks.alerts_on.wants(alert) {
            return;
        }
        self.alert_id += 1;
        let text = AlertText::of(alert, self.names.symbol, self.alert_id);
        if let Some(queue) = &self.sinks.alerts
            && let Err(text) = queue.send(text)
        {
            let line = Line::error(self.at, "ALERT_FAILED", "the alert queue is full")
                .with("alert", format!("{} {}", text.head, text.body));
            self.sinks.lines.put(&line);
        }
    }

    pub(super) fn on_record(&mut self, record: &Record) {
        if let Some(row) = Row::of_record(record, self.at) {
            self.sinks.ledger.push(row);
        }
        match record {
            Record::Order(row) => {
                self.publish_order(row);
                self.on_order(row);
            }
            Record::Fill(row) => {
                self.publish_fill(row);
                self.on_fill(row);
            }
            Record::Trade(row) => self.on_trade(row),
            Record::Equity(row) => {
                self.sinks.metrics.set_equity(self.names.venue, row);
                self.status.equity = Some(*row);
            }
            Record::Decision(decision) => self.on_decision(decision),
            Record::Refused(refused) => self.on_refused(refused),
            Record::Repost(repost) => self.on_repost(repost),
            Record::Exit { reason, mid, qty } => self.on_exit(*reason, *mid, *qty),
            Record::Pause { reason, on } => self.on_pause(*reason, *on),
            Record::Losses(count) => {
                self.sinks.metrics.losses.set(i64::from(*count));
                self.status.consecutive_losses = *count;
            }
            Record::Naked { ns, qty } => self.on_naked(*ns, *qty),
            Record::Difference(_) => {} // a row; its reconcile has the line
            Record::Reconciled(count) if count.is_routine() => {}
            Record::Reconciled(count) => self.sinks.lines.put(&reconcile_line(self.at, *count)),
            Record::Reloaded => {
                let line = self.line(Level::Info, "RELOAD", "new numbers are in force".to_owned());
                self.sinks.lines.put(&line);
            }
        }
    }

    fn on_order(&mut self, row: &OrderRow) {
        let before =
            if row.status.is_done() { self.orders.remove(&row.id) } else { self.orders.insert(row.id, row.status) };
        if before == Some(row.status) {
            return;
        }
        let (level, event) = match row.status {
            OrderStatus::Pending | OrderStatus::Partly => return,
            OrderStatus::Working => (Level::Info, "ORDER_ACKED"),
            OrderStatus::Filled | OrderStatus::Canceled | OrderStatus::Expired => (Level::Info, "ORDER_DONE"),
            OrderStatus::Rejected => (Level::Warn, "ORDER_REJECTED"),
            OrderStatus::Unknown => (Level::Warn, "ORDER_UNKNOWN"),
        };
        if row.status != OrderStatus::Working {
            let labels = [self.names.venue, &row.purpose.name().to_lowercase(), &row.status.name().to_lowercase()];
            self.sinks.metrics.orders.with_label_values(&labels).inc();
        }
        let msg = format!("{} {} {}", row.purpose.name(), side_name(row.side), row.status.name());
        let line = self
            .line(level, event, msg)
            .with("client_order_id", row.id.to_string())
            .with("venue_order_id", row.venue_order_id.0);
        let line = line
            .with("purpose", row.purpose.name())
            .with("side", side_name(row.side))
            .with("status", row.status.name());
        let line = line.number("qty", row.qty).number("cum_qty", row.cum_qty).number("price", row.price);
        let line = line
            .number("stop_price", row.stop_price)
            .with("reason", format!("{:?}", row.reason))
            .with("code", row.code);
        self.sinks.lines.put(&line);
        self.tell_order(row);
    }

    fn on_fill(&mut self, row: &FillRow) {
        self.status.fills += 1;
        self.sinks.metrics.fills.with_label_values(&[self.names.venue, side_name(row.side)]).inc();
        let fee = crate::ledger::fee_text(row);
        let line = self.line(Level::Info, "FILL", format!("{} {} at {}", side_name(row.side), row.qty, row.price));
        let line = line
            .with("client_order_id", row.id.to_string())
            .with("trade_id", row.trade_id)
            .with("side", side_name(row.side));
        let line = line
            .number("qty", row.qty)
            .number("price", row.price)
            .with("fee", fee)
            .with("fee_asset", format!("{:?}", row.fee_asset).to_uppercase());
        self.sinks.lines.put(&line.with("liquidity", format!("{:?}", row.liquidity).to_uppercase()));
        self.tell_fill(row);
    }

    fn on_trade(&mut self, row: &TradeRow) {
        self.status.trades += 1;
        self.sinks.metrics.slippage.set(f64::from(row.slippage.0) / 100.0);
        let msg = format!("round trip {} ended by {}: {} after fees", row.trade_no, row.reason.name(), row.pnl);
        let line = self.line(Level::Info, "TRADE_CLOSED", msg).with("trade_id", row.trade_no).number("qty", row.qty);
        let line = line.number("entry_px", row.entry_px).number("exit_px", row.exit_px).number("fees", row.fees);
        let line =
            line.number("pnl", row.pnl).number("slippage_bps", row.slippage).with("exit_reason", row.reason.name());
        self.sinks.lines.put(&line);
        self.tell_trade(row);
    }

    /// Said at once, but for a NO_OP right after another: that one waits for the next chores, if it still stands then.
    fn on_decision(&mut self, decision: &Decision) {
        self.sinks.metrics.rsi.set(quote(decision.rsi.0));
        self.status.decision = Some((verdict_name(decision.verdict), rules_json(decision)));
        if decision.verdict == Verdict::NoOp && self.at < self.no_op_due {
            self.unsaid = Some(*decision);
        } else {
            self.unsaid = None;
            self.say_decision(decision, self.at);
        }
    }

    pub(super) fn say_decision(&mut self, decision: &Decision, at: Time) {
        let said = Some((decision.verdict, decision.passed));
        if self.decided == said {
            return;
        }
        self.decided = said;
        self.no_op_due = at.plus(NO_OP_NS);
        self.sinks.ledger.push(Row::Signal(at, *decision));
        self.publish_signal(decision, at);
        let (name, rules) = (verdict_name(decision.verdict), rules_json(decision));
        let failed = failing(&rules);
        let msg = if failed.is_empty() { "every rule holds".to_owned() } else { format!("not holding: {failed}") };
        let line = Line::info(at, name, msg).with("rules", rules).with("volume", volume_json(decision));
        self.sinks.lines.put(&line);
        self.tell_decision(decision, &failed);
    }

    fn on_refused(&mut self, refused: &Refused) {
        let rule = refused.rule.name();
        self.sinks.metrics.refusals.with_label_values(&[rule]).inc();
        let msg = format!("{rule}: {} against a limit of {}", refused.value, refused.limit);
        let line = self.line(Level::Warn, "REFUSED", msg).with("rule", rule).with("tranche", refused.tranche);
        self.sinks.lines.put(&line.with("value", refused.value).with("limit", refused.limit));
        self.tell_refusal(refused);
    }

    fn on_repost(&mut self, repost: &Repost) {
        let what = if repost.kept { "kept in place" } else { "moved" };
        let msg = format!("{what}: {} to {} at slot {}", repost.old_price, repost.new_price, repost.slot);
        let line = self
            .line(Level::Info, "REPOST", msg)
            .with("client_order_id", repost.id.to_string())
            .with("slot", repost.slot);
        let line =
            line.number("old_price", repost.old_price).number("new_price", repost.new_price).with("kept", repost.kept);
        self.sinks.lines.put(&line);
        self.tell_repost(repost);
    }

    fn on_exit(&mut self, reason: ExitReason, mid: Price, qty: Qty) {
        let event = match reason {
            ExitReason::StopLeg | ExitReason::GlobalStop | ExitReason::Unprotected | ExitReason::Gone => "STOP",
            ExitReason::Kill => "KILL",
            ExitReason::TakeProfit
            | ExitReason::Signal
            | ExitReason::MaxHold
            | ExitReason::Flatten
            | ExitReason::Shutdown => "EXIT",
        };
        let line = self.line(Level::Warn, event, format!("{}: selling {qty} at mid {mid}", reason.name()));
        self.sinks.lines.put(&line.with("reason", reason.name()).number("mid", mid).number("qty", qty));
        self.tell_exit(event, reason, mid, qty);
    }

    fn on_pause(&mut self, reason: PauseReason, on: bool) {
        self.status.pauses.retain(|known| *known != reason);
        if on {
            self.status.pauses.push(reason);
        }
        self.sinks.metrics.paused.with_label_values(&[reason.name()]).set(i64::from(on));
        let (level, event, msg) =
            if on { (Level::Warn, "PAUSE", "entries are paused") } else { (Level::Info, "RESUME", "a pause ended") };
        let line = self.line(level, event, format!("{msg}: {}", reason.name())).with("reason", reason.name());
        self.sinks.lines.put(&line);
        self.tell_pause(reason, on);
    }

    fn on_naked(&mut self, ns: i64, qty: Qty) {
        let worst = &self.sinks.metrics.unprotected;
        worst.set(worst.get().max(seconds(ns)));
        let line =
            self.line(Level::Info, "PROTECTED", format!("{qty} had no live stop for {} ms", ns / NANOS_PER_MILLI));
        self.sinks.lines.put(&line.with("unprotected_ms", ns / NANOS_PER_MILLI).number("qty", qty));
    }
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Enter => "ENTER",
        Verdict::Exit => "EXIT",
        Verdict::NoOp => "NO_OP",
    }
}

/// Names of the rules that do not hold.
fn failing(rules: &serde_json::Value) -> String {
    let entries = rules.as_object().into_iter().flatten();
    let names: Vec<&str> =
        entries.filter(|(_, rule)| rule["pass"] == json!(false)).map(|(name, _)| name.as_str()).collect();
    names.join(", ")
}
