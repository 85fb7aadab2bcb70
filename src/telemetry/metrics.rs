//! The metrics registry. Names are the contract's; base units; prefix `svb_`.
//!
//! Thread: cold writes, the HTTP thread renders.  Invariants: every stream, pause and stage is there from the
//! start with zero, so a dashboard tells "none yet" from "not measured".

use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use super::process::Process;
use crate::types::ids::StreamId;
use crate::types::record::{EquityRow, PauseReason};

/// Parts of tick-to-trade, in the order of `WireNote::Sent::stages_ns`.
pub const STAGES: [&str; 5] = ["decode", "ring", "step", "encode", "write"];

/// From half a microsecond to a tenth of a second.
const STAGE_BUCKETS_S: [f64; 16] =
    [5e-7, 1e-6, 2e-6, 3e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 2e-2, 1e-1];
/// From a tenth of a millisecond (the built-in venue) to the request deadline.
const ACK_BUCKETS_S: [f64; 14] = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1, 2e-1, 5e-1, 1.0, 3.0];

/// All metrics of one run.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    process: Process,
    /// Frames decoded.
    pub events: IntCounterVec,
    /// 1 = up.
    pub stream_up: GaugeVec,
    /// Since the newest frame.
    pub stream_age: GaugeVec,
    /// Times data was lost.
    pub gaps: IntCounterVec,
    /// Connections made anew.
    pub reconnects: IntCounterVec,
    /// Parts of tick-to-trade.
    pub stage: HistogramVec,
    /// Last byte of the trigger read to order written.
    pub tick_to_trade: Histogram,
    /// Orders by what they were for and how they ended.
    pub orders: IntCounterVec,
    /// Requests by what was asked and what came of it.
    pub requests: IntCounterVec,
    /// Frames that could not be decoded.
    pub bad_frames: IntCounterVec,
    /// What the chain's counter met.
    pub chain_events: IntCounterVec,
    /// Orders whose fate is being asked about.
    pub orders_unknown: IntGauge,
    /// Fills.
    pub fills: IntCounterVec,
    /// Send to answer.
    pub order_ack: HistogramVec,
    /// Proven position.
    pub position: GaugeVec,
    /// Cash plus position at mid.
    pub equity: Gauge,
    /// Profit of ended parts.
    pub pnl_realized: Gauge,
    /// Profit of what is held.
    pub pnl_unrealized: Gauge,
    /// Mean of the last round trip's entries.
    pub slippage: Gauge,
    /// Orders that a rule refused.
    pub refusals: IntCounterVec,
    /// 1 = paused.
    pub paused: IntGaugeVec,
    /// Losing round trips in a row.
    pub losses: IntGauge,
    /// Drop of each volume source.
    pub volume_drop: GaugeVec,
    /// Highest bid of all venues, and whose.
    pub best_bid: GaugeVec,
    /// Lowest ask of all venues, and whose.
    pub best_ask: GaugeVec,
    /// How far the Solana exchanges' mid is from the others'.
    pub dex_divergence: Gauge,
    /// RSI of the newest decision.
    pub rsi: Gauge,
    /// Newest Solana slot.
    pub slot: Gauge,
    /// Measured time of a slot.
    pub slot_seconds: Gauge,
    /// Items in each ring.
    pub ring_depth: IntGaugeVec,
    /// Pushes that found a ring full.
    pub ring_full: IntCounterVec,
    /// The longest that coins were without a live stop.
    pub unprotected: Gauge,
    /// Log lines, ledger rows and alerts that nobody got.
    pub lost: IntCounterVec,
    /// The bus; its helper thread writes these.
    pub bus: BusMetrics,
}

/// What comes from and goes to the NATS server.
#[derive(Clone, Debug)]
pub struct BusMetrics {
    /// 1 = connected.
    pub up: IntGauge,
    /// Messages given to it.
    pub published: IntCounterVec,
    /// Messages for it that found no room.
    pub dropped: IntCounterVec,
    /// Samples from it that gave no event.
    pub refused: IntCounterVec,
}

/// What is published on the bus, each below a subject of its own.
pub const BUS_SUBJECTS: [&str; 4] = ["signal", "order", "fill", "status"];

impl BusMetrics {
    fn new(make: &Maker<'_>) -> prometheus::Result<BusMetrics> {
        let refused = "Samples from the bus that gave no event.";
        let metrics = BusMetrics {
            up: make.int("svb_bus_up", "1 if the bus is connected.")?,
            published: make.counters("svb_bus_published_total", "Messages given to the bus.", &["subject"])?,
            dropped: make.counters(
                "svb_bus_dropped_total",
                "Messages for the bus that found no room.",
                &["subject"],
            )?,
            refused: make.counters("svb_bus_refused_total", refused, &["stream", "reason"])?,
        };
        for subject in BUS_SUBJECTS {
            metrics.published.with_label_values(&[subject]);
            metrics.dropped.with_label_values(&[subject]);
        }
        Ok(metrics)
    }
}

/// Makes metrics and adds them to a registry.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn add<T: Collector + Clone + 'static>(&self, metric: T) -> prometheus::Result<T> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<Gauge> {
        self.add(Gauge::new(name, help)?)
    }
    fn int(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.add(IntGauge::new(name, help)?)
    }
    fn gauges(&self, name: &str, help: &str, label: &str) -> prometheus::Result<GaugeVec> {
        self.add(GaugeVec::new(Opts::new(name, help), &[label])?)
    }
    fn ints(&self, name: &str, help: &str, label: &str) -> prometheus::Result<IntGaugeVec> {
        self.add(IntGaugeVec::new(Opts::new(name, help), &[label])?)
    }
    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }
    fn histograms(&self, name: &str, help: &str, label: &str, buckets: &[f64]) -> prometheus::Result<HistogramVec> {
        self.add(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), &[label])?)
    }
}

impl Metrics {
    /// A registry of its own. Errors: only a name given twice, which is a fault of this file.
    pub fn new(version: &str, mode: &str) -> prometheus::Result<Metrics> {
        let registry = Registry::new();
        let make = Maker(&registry);
        let stage_help = "Parts of tick-to-trade in seconds.";
        let whole = HistogramOpts::new(
            "svb_tick_to_trade_seconds",
            "Last byte of the triggering frame read to order bytes written.",
        );
        let info = Opts::new("svb_build_info", "Version and mode; always 1.")
            .const_label("version", version)
            .const_label("mode", mode);
        make.add(Gauge::with_opts(info)?)?.set(1.0);
        let metrics = Metrics {
            process: Process::register(&registry)?,
            events: make.counters("svb_events_total", "Application frames decoded.", &["stream"])?,
            stream_up: make.gauges("svb_stream_up", "1 if the stream is up.", "stream")?,
            stream_age: make.gauges("svb_stream_age_seconds", "Time since the newest frame.", "stream")?,
            gaps: make.counters("svb_gaps_total", "Times a stream lost data.", &["stream"])?,
            reconnects: make.counters("svb_reconnects_total", "Connections made anew.", &["stream"])?,
            stage: make.histograms("svb_stage_seconds", stage_help, "stage", &STAGE_BUCKETS_S)?,
            tick_to_trade: make.add(Histogram::with_opts(whole.buckets(STAGE_BUCKETS_S.to_vec()))?)?,
            orders: make.counters(
                "svb_orders_total",
                "Orders by purpose and how they ended.",
                &["venue", "kind", "outcome"],
            )?,
            requests: make.counters("svb_requests_total", "Requests by outcome.", &["venue", "verb", "outcome"])?,
            bad_frames: make.counters("svb_bad_frames_total", "Frames that could not be decoded.", &["stream"])?,
            chain_events: make.counters("svb_chain_events_total", "Memecoin trades by their fate.", &["what"])?,
            orders_unknown: make.int("svb_orders_unknown", "Orders whose fate is being asked about.")?,
            fills: make.counters("svb_fills_total", "Fills booked.", &["venue", "side"])?,
            order_ack: make.histograms(
                "svb_order_ack_seconds",
                "Request written to answer read.",
                "venue",
                &ACK_BUCKETS_S,
            )?,
            position: make.gauges("svb_position_base", "Proven position in base units.", "venue")?,
            equity: make.gauge("svb_equity_quote", "Cash plus position at mid.")?,
            pnl_realized: make.gauge("svb_pnl_realized_quote", "Profit of ended parts after fees.")?,
            pnl_unrealized: make.gauge("svb_pnl_unrealized_quote", "Profit of what is held, at mid.")?,
            slippage: make
                .gauge("svb_slippage_bps", "Mean slippage of the last round trip's entries; positive = we paid.")?,
            refusals: make.counters("svb_risk_refusals_total", "Orders that a rule refused.", &["reason"])?,
            paused: make.ints("svb_paused", "1 if entries are paused for this reason.", "reason")?,
            losses: make.int("svb_consecutive_losses", "Losing round trips in a row.")?,
            volume_drop: make.gauges("svb_volume_drop_ratio", "Day-over-day drop; 0.30 = 30 % less.", "source")?,
            best_bid: make.gauges("svb_best_bid_quote", "Highest bid of all venues, and whose.", "stream")?,
            best_ask: make.gauges("svb_best_ask_quote", "Lowest ask of all venues, and whose.", "stream")?,
            dex_divergence: make.gauge(
                "svb_dex_divergence_ratio",
                "How far the Solana exchanges' mid is from the others'; NaN = not known.",
            )?,
            rsi: make.gauge("svb_rsi", "RSI of the newest decision.")?,
            slot: make.gauge("svb_slot", "Newest Solana slot.")?,
            slot_seconds: make.gauge("svb_slot_seconds", "Measured time of a slot.")?,
            ring_depth: make.ints("svb_ring_depth", "Items in the ring.", "ring")?,
            ring_full: make.counters("svb_ring_full_total", "Pushes that found the ring full.", &["ring"])?,
            unprotected: make
                .gauge("svb_unprotected_seconds", "Longest time coins above dust were without a live stop.")?,
            lost: make.counters("svb_lost_total", "Log lines, ledger rows and alerts that nobody got.", &["what"])?,
            bus: BusMetrics::new(&make)?,
            registry,
        };
        metrics.show_zeros();
        Ok(metrics)
    }

    fn show_zeros(&self) {
        for stream in StreamId::ALL.into_iter().filter(|stream| *stream != StreamId::Internal) {
            let label = [stream.name()];
            self.events.with_label_values(&label);
            self.gaps.with_label_values(&label);
            self.reconnects.with_label_values(&label);
            self.stream_up.with_label_values(&label).set(0.0);
        }
        PauseReason::ALL.iter().for_each(|reason| self.paused.with_label_values(&[reason.name()]).set(0));
        STAGES.iter().for_each(|stage| drop(self.stage.with_label_values(&[stage])));
    }

    /// Sets what an equity row says.
    pub fn set_equity(&self, venue: &str, row: &EquityRow) {
        self.position.with_label_values(&[venue]).set(row.position.0 as f64 / crate::types::units::QTY_SCALE as f64);
        self.equity.set(quote(row.equity.0));
        self.pnl_realized.set(quote(row.realized.0));
        self.pnl_unrealized.set(quote(row.unrealized.0));
    }

    /// Raises a counter to a total that somebody else counts.
    pub fn raise(counter: &IntCounterVec, label: &str, total: u64) {
        let counter = counter.with_label_values(&[label]);
        counter.inc_by(total.saturating_sub(counter.get()));
    }

    /// The text that Prometheus scrapes.
    pub fn render(&self) -> String {
        self.process.refresh();
        let mut out = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut out) {
            Ok(()) => String::from_utf8_lossy(&out).into_owned(),
            Err(why) => format!("# not rendered: {why}\n"),
        }
    }
}

/// Seconds of nanoseconds.
pub fn seconds(ns: i64) -> f64 {
    ns as f64 / 1e9
}

/// Quote units of their 1e-8 parts, for eyes only.
pub fn quote(parts: i64) -> f64 {
    parts as f64 / crate::types::units::PRICE_SCALE as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_contract_is_exported_in_base_units() {
        let metrics = Metrics::new("1.2.3", "paper").expect("registers");
        metrics.orders.with_label_values(&["binance_spot", "entry", "filled"]).inc();
        metrics.refusals.with_label_values(&["trade_risk"]).inc();
        metrics.fills.with_label_values(&["binance_spot", "buy"]).inc();
        metrics.order_ack.with_label_values(&["binance_spot"]).observe(0.001);
        metrics.stream_age.with_label_values(&["binance_bbo"]).set(0.1);
        metrics.volume_drop.with_label_values(&["defillama"]).set(0.31);
        metrics.ring_depth.with_label_values(&["market"]).set(1);
        Metrics::raise(&metrics.ring_full, "market", 3);
        Metrics::raise(&metrics.ring_full, "market", 3);
        let zero = crate::types::Notional::ZERO;
        let row = EquityRow {
            cash: zero,
            position: crate::types::Qty(1_500_000_000),
            mid: crate::types::Price(1),
            equity: zero,
            realized: zero,
            unrealized: zero,
            drawdown: zero,
        };
        metrics.set_equity("binance_spot", &row);
        metrics.chain_events.with_label_values(&["trade"]).inc_by(7);
        let text = metrics.render();
        let names = "svb_events_total{ svb_stream_up{ svb_stream_age_seconds{ svb_gaps_total{ svb_reconnects_total{ \
            svb_stage_seconds_bucket{ svb_tick_to_trade_seconds_count svb_orders_total{ svb_orders_unknown svb_fills_total{ \
            svb_order_ack_seconds_sum{ svb_position_base{venue=\"binance_spot\"}_1.5 svb_equity_quote svb_pnl_realized_quote \
            svb_pnl_unrealized_quote svb_chain_events_total{what=\"trade\"}_7 svb_slippage_bps svb_risk_refusals_total{ svb_paused{ svb_consecutive_losses \
            svb_volume_drop_ratio{ svb_rsi svb_slot svb_slot_seconds svb_ring_depth{ svb_ring_full_total{ring=\"market\"}_3 \
            svb_unprotected_seconds svb_build_info{ process_cpu_seconds_total process_resident_memory_bytes \
            process_virtual_memory_bytes process_open_fds process_max_fds process_start_time_seconds";
        for name in names.split_whitespace() {
            let name = name.replace("}_", "} ");
            assert!(text.lines().any(|line| line.starts_with(&name)), "{name} is missing");
        }
        let value = |name: &str| -> f64 {
            let line = text.lines().find(|line| line.starts_with(name)).expect("there");
            line.rsplit(' ').next().expect("a value").parse().expect("a number")
        };
        assert!(value("process_resident_memory_bytes ") > 1e6 && value("process_open_fds ") >= 3.0);
        assert!(value("process_start_time_seconds ") > 1.7e9);
    }
}
