//! What the cold agent makes of the notes of `ingest` and `gateway`.
//!
//! Runs on: the `cold` core, inside [`Cold`].  Invariants: figures and lines only; what a venue said of an order comes
//! from the engine's records, not from here.

use super::Cold;
use crate::ledger::Row;
use crate::telemetry::metrics::{STAGES, seconds};
use crate::telemetry::{Level, Line};
use crate::types::note::{Hold, KillStep, Verb, WireNote};
use crate::types::order::Reason;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::{ClientOrderId, StreamId, Time};

impl Cold {
    pub(super) fn on_wire(&mut self, note: &WireNote) {
        if let WireNote::Sent { .. } | WireNote::Answered { .. } = note {
            self.sinks.journal.wire(note); // how long an order took; a stream's health is an event already
        }
        match note {
            WireNote::Stream { stream, state, at } => self.on_stream(*stream, *state, *at),
            WireNote::Reconnected { stream } => self.sinks.metrics.reconnects.with_label_values(&[stream.name()]).inc(),
            WireNote::BadFrame { stream, at_byte } => self.on_bad_frame(*stream, *at_byte),
            WireNote::Chain { what, more } => {
                self.sinks.metrics.chain_events.with_label_values(&[what.name()]).inc_by(u64::from(*more));
            }
            WireNote::Sent { id, verb, sent, trigger, stages_ns } => {
                self.on_sent(*id, *verb, *sent, sent.since(*trigger), stages_ns);
            }
            WireNote::Answered { verb, took_ns, code, .. } => {
                let (venue, outcome) = (self.names.venue, if *code == 0 { "accepted" } else { "refused" });
                self.sinks.metrics.requests.with_label_values(&[venue, verb.name(), outcome]).inc();
                self.sinks.metrics.order_ack.with_label_values(&[venue]).observe(seconds(*took_ns));
                self.sinks.latencies.answered(*took_ns);
            }
            WireNote::Refused { id, verb, reason, at } => self.on_gate_refusal(*id, *verb, *reason, *at),
            WireNote::Held { hold, until, at } => self.on_held(*hold, *until, *at),
            WireNote::Killed { step, pulled, at } => self.on_killed(*step, *pulled, *at),
        }
    }

    /// What the gateway did not let out. The order's own end is told by the engine's record.
    fn on_gate_refusal(&mut self, id: ClientOrderId, verb: Verb, reason: Reason, at: Time) {
        let rule = format!("{reason:?}");
        self.sinks.metrics.refusals.with_label_values(&[&format!("gateway_{}", rule.to_lowercase())]).inc();
        let line = Line::warn(at, "REFUSED", format!("the gateway did not send {} {id}: {rule}", verb.name()));
        let line = line.with("rule", "gateway").with("reason", rule.as_str()).with("verb", verb.name());
        self.sinks.lines.put(&line.with("client_order_id", id.to_string()));
    }

    fn on_held(&mut self, hold: Hold, until: Time, at: Time) {
        let (level, what) = match hold {
            Hold::None => return,
            Hold::Orders => (Level::Warn, "no new orders: their count is used up"),
            Hold::AllButCancels => (Level::Warn, "nothing but cancels: the venue said to wait (429)"),
            Hold::Everything => {
                (Level::Error, "NOTHING, not even a cancel: our address is banned (418), a byte more lengthens it")
            }
        };
        let wait_ms = until.since(at) / NANOS_PER_MILLI;
        let line = Line::new(at, level, "RATE_LIMIT", format!("{what}, for {wait_ms} ms"));
        self.sinks.lines.put(&line.with("wait_ms", wait_ms));
    }

    fn on_killed(&mut self, step: KillStep, pulled: Time, at: Time) {
        let after_us = at.since(pulled) / 1_000;
        let msg = match step {
            KillStep::Pending => return,
            KillStep::Written => format!("kill: the cancel of everything was written {after_us} us after the word"),
            KillStep::AwaitsConnection => {
                "kill: no order connection; the cancel of everything is the first request once it opens".to_owned()
            }
            KillStep::AwaitsBanEnd => {
                "kill: our address is banned; the cancel of everything goes out at the end of the ban".to_owned()
            }
        };
        let line = Line::new(at, Level::Error, "KILL", msg).with("step", step.name());
        self.sinks.lines.put(&line.with("after_us", after_us));
    }

    /// Counted always, said once a second at most: a venue that changed its format sends thousands.
    fn on_bad_frame(&mut self, stream: StreamId, at_byte: u32) {
        let counter = self.sinks.metrics.bad_frames.with_label_values(&[stream.name()]);
        counter.inc();
        if self.at >= self.bad_frame_due {
            self.bad_frame_due = self.at.plus(NANOS_PER_SEC);
            let line = Line::warn(self.at, "BAD_FRAME", format!("a frame of {} could not be decoded", stream.name()));
            self.sinks
                .lines
                .put(&line.with("stream", stream.name()).with("at_byte", at_byte).with("total", counter.get()));
        }
    }

    fn on_sent(&mut self, id: ClientOrderId, verb: Verb, sent: Time, tick_to_trade_ns: i64, stages_ns: &[u32; 5]) {
        self.sinks.ledger.push(Row::Sent { id, verb, sent, tick_to_trade_ns });
        let metrics = &self.sinks.metrics;
        metrics.requests.with_label_values(&[self.names.venue, verb.name(), "sent"]).inc();
        if verb != Verb::Query {
            metrics.tick_to_trade.observe(seconds(tick_to_trade_ns));
            for (stage, ns) in STAGES.iter().zip(stages_ns) {
                metrics.stage.with_label_values(&[stage]).observe(seconds(i64::from(*ns)));
            }
            self.sinks.latencies.sent(tick_to_trade_ns, stages_ns);
        }
        let line =
            Line::info(sent, "ORDER_SENT", format!("{} {id}", verb.name())).with("client_order_id", id.to_string());
        self.sinks.lines.put(&line.with("verb", verb.name()).with("tick_to_trade_ns", tick_to_trade_ns));
    }
}
