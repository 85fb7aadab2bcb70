//! The market's streams: what is told of each trade and each change, and what is told by the clock.
//!
//! Thread: any.  Invariants: `U` follows the last `u` by one, unless a fault swallows a diff; payloads leave in order.

use std::collections::BTreeMap;

use super::events;
use crate::sim::exchange::{DepthDiff, Exchange, Interval, MarketEvent, SymbolSpec};
use crate::sim::server::json::Obj;
use crate::types::time::NANOS_PER_MILLI;
use crate::types::{Price, Qty, Time};

const FAST_NS: i64 = 100 * NANOS_PER_MILLI;
const SLOW_NS: i64 = 1_000 * NANOS_PER_MILLI;
const KLINE_NS: i64 = 2_000 * NANOS_PER_MILLI;
/// Payloads queued before the oldest are forgotten: nobody listens.
const QUEUED_MAX: usize = 100_000;
/// Partial book streams.
const PARTIALS: [usize; 3] = [5, 10, 20];

/// One symbol's diffs of the last second, folded into one.
#[derive(Default)]
struct Folded {
    ids: Option<(u64, u64)>,
    bids: BTreeMap<Price, Qty>,
    asks: BTreeMap<Price, Qty>,
}

impl Folded {
    fn add(&mut self, diff: &DepthDiff) {
        let first = self.ids.map_or(diff.first_id, |(first, _)| first);
        self.ids = Some((first, diff.last_id));
        self.bids.extend(diff.bids.iter().copied());
        self.asks.extend(diff.asks.iter().copied());
    }
    fn take(&mut self) -> Option<DepthDiff> {
        let (first_id, last_id) = self.ids.take()?;
        let bids = std::mem::take(&mut self.bids).into_iter().rev().collect();
        let asks = std::mem::take(&mut self.asks).into_iter().collect();
        Some(DepthDiff { first_id, last_id, bids, asks })
    }
}

/// The streams' state and what waits to be sent.
pub(super) struct Public {
    queue: Vec<(String, String)>,
    folded: BTreeMap<String, Folded>,
    next_fast: Time,
    next_slow: Time,
    next_kline: Time,
    diffs_to_drop: u32,
    /// Streams that somebody may hear; `None` = any.
    only: Option<Vec<String>>,
}

impl Public {
    pub(super) fn new(now: Time) -> Public {
        Public {
            queue: Vec::new(),
            folded: BTreeMap::new(),
            next_fast: now,
            next_slow: now,
            next_kline: now,
            diffs_to_drop: 0,
            only: None,
        }
    }
    /// Words these streams only: nobody will hear another.
    pub(super) fn tell_only(&mut self, streams: &[String]) {
        self.only = Some(streams.to_vec());
    }
    fn is_heard(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|stream| stream == name))
    }
    pub(super) fn drop_diffs(&mut self, count: u32) {
        self.diffs_to_drop = count;
    }
    pub(super) fn take(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.queue)
    }

    /// Words what the exchange has to tell, and what the clock says is due.
    pub(super) fn collect(&mut self, exchange: &mut Exchange, now: Time) {
        for event in exchange.take_market_events() {
            self.happened(&event, now);
        }
        let (fast, slow, kline) = (now >= self.next_fast, now >= self.next_slow, now >= self.next_kline);
        let specs: Vec<SymbolSpec> = exchange.symbols().copied().collect();
        for spec in &specs {
            if fast {
                self.tell_depth(exchange, spec, slow, now);
            }
            self.tell_candles(exchange, spec, (slow, kline), now);
            if slow {
                self.tell_ticker(exchange, spec, now);
            }
        }
        if fast {
            self.next_fast = now.plus(FAST_NS);
        }
        if slow {
            self.next_slow = now.plus(SLOW_NS);
        }
        if kline {
            self.next_kline = now.plus(KLINE_NS);
        }
        if self.queue.len() > QUEUED_MAX {
            self.queue.drain(..self.queue.len() - QUEUED_MAX);
        }
    }

    fn happened(&mut self, event: &MarketEvent, now: Time) {
        match event {
            MarketEvent::Trade(trade) => {
                let name = trade.symbol.as_str().to_ascii_lowercase();
                self.queue.push((format!("{name}@trade"), events::trade(trade)));
                let name = format!("{name}@aggTrade");
                if self.is_heard(&name) {
                    self.queue.push((name, events::agg_trade(trade)));
                }
            }
            MarketEvent::Bbo { symbol, bbo, .. } => {
                let name = format!("{}@bookTicker", symbol.as_str().to_ascii_lowercase());
                self.queue.push((name, events::book_ticker(symbol.as_str(), bbo)));
            }
            MarketEvent::CandleClosed { symbol, interval, kline } => {
                let name = format!("{}@kline_{}", symbol.as_str().to_ascii_lowercase(), interval.name());
                if !self.is_heard(&name) {
                    return;
                }
                self.queue.push((name, events::kline(symbol.as_str(), *interval, kline, true, now)));
            }
            MarketEvent::Status { .. } => {} // seen in exchangeInfo only
        }
    }

    fn tell_depth(&mut self, exchange: &mut Exchange, spec: &SymbolSpec, slow: bool, now: Time) {
        let symbol = spec.symbol.as_str();
        let name = symbol.to_ascii_lowercase();
        if let Some(diff) = exchange.take_depth_diff(spec.symbol) {
            if self.diffs_to_drop > 0 {
                self.diffs_to_drop -= 1;
            } else {
                self.folded.entry(name.clone()).or_default().add(&diff);
                self.queue.push((format!("{name}@depth@100ms"), events::depth_update(symbol, &diff, now)));
            }
        }
        if slow && let Some(diff) = self.folded.entry(name.clone()).or_default().take() {
            self.queue.push((format!("{name}@depth"), events::depth_update(symbol, &diff, now)));
        }
        for count in PARTIALS {
            let is_heard = self.is_heard(&format!("{name}@depth{count}@100ms"));
            let Some(depth) = exchange.depth(spec.symbol, count).filter(|_| is_heard) else { continue };
            let body = Obj::new().int("lastUpdateId", depth.last_update_id as i64);
            let body = body.raw("bids", &events::levels(&depth.bids)).raw("asks", &events::levels(&depth.asks)).end();
            if slow {
                self.queue.push((format!("{name}@depth{count}"), body.clone()));
            }
            self.queue.push((format!("{name}@depth{count}@100ms"), body));
        }
    }

    /// The one-second candle at the slow beat, all others at the candles' own; the two beats drift apart.
    fn tell_candles(&mut self, exchange: &Exchange, spec: &SymbolSpec, (slow, kline): (bool, bool), now: Time) {
        let symbol = spec.symbol.as_str();
        let is_due = |interval: &&Interval| if **interval == Interval::S1 { slow } else { kline };
        for interval in Interval::ALL.iter().filter(is_due) {
            let name = format!("{}@kline_{}", symbol.to_ascii_lowercase(), interval.name());
            let is_heard = self.is_heard(&name);
            let Some(candle) = exchange.kline(spec.symbol, *interval).filter(|_| is_heard) else { continue };
            self.queue.push((name, events::kline(symbol, *interval, &candle, false, now)));
        }
    }

    fn tell_ticker(&mut self, exchange: &Exchange, spec: &SymbolSpec, now: Time) {
        let Some(day) = exchange.kline(spec.symbol, Interval::D1) else { return };
        let body = Obj::new().text("e", "24hrMiniTicker").int("E", now.millis().0).text("s", spec.symbol.as_str());
        let body = body.e8("c", day.close.0).e8("o", day.open.0).e8("h", day.high.0).e8("l", day.low.0);
        let body = body.e8("v", super::render::qty_e8(day.volume)).e8("q", day.quote_volume.0).end();
        self.queue.push((format!("{}@miniTicker", spec.symbol.as_str().to_ascii_lowercase()), body));
    }
}
