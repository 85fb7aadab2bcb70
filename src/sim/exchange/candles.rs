//! Candles of every interval, built from the symbol's own trades.
//!
//! Thread: any.  Invariants: one candle is always open; closed ones follow each other without a hole (a quiet interval
//! repeats the last close with no volume); at most [`CANDLES_KEPT_MAX`] closed ones are kept a series.

use super::event::PublicTrade;
use super::order::names;
use crate::types::order::Side;
use crate::types::time::{NANOS_PER_DAY, NANOS_PER_SEC, Time};
use crate::types::units::{Notional, Price, Qty, notional_floor};
use std::collections::VecDeque;

/// Closed candles kept a series: the most that one request may ask for.
pub const CANDLES_KEPT_MAX: usize = 1_000;

names! {
    /// Length of a candle.
    Interval {
        /// One second.
        S1 = "1s",
        /// One minute.
        M1 = "1m",
        /// Three minutes.
        M3 = "3m",
        /// Five minutes.
        M5 = "5m",
        /// Fifteen minutes.
        M15 = "15m",
        /// Thirty minutes.
        M30 = "30m",
        /// One hour.
        H1 = "1h",
        /// Two hours.
        H2 = "2h",
        /// Four hours.
        H4 = "4h",
        /// Six hours.
        H6 = "6h",
        /// Eight hours.
        H8 = "8h",
        /// Twelve hours.
        H12 = "12h",
        /// One day.
        D1 = "1d",
        /// Three days.
        D3 = "3d",
        /// One week, from Monday.
        W1 = "1w",
    }
}

impl Interval {
    /// Its length in seconds.
    pub fn seconds(self) -> i64 {
        match self {
            Interval::S1 => 1,
            Interval::M1 => 60,
            Interval::M3 => 180,
            Interval::M5 => 300,
            Interval::M15 => 900,
            Interval::M30 => 1_800,
            Interval::H1 => 3_600,
            Interval::H2 => 7_200,
            Interval::H4 => 14_400,
            Interval::H6 => 21_600,
            Interval::H8 => 28_800,
            Interval::H12 => 43_200,
            Interval::D1 => 86_400,
            Interval::D3 => 259_200,
            Interval::W1 => 604_800,
        }
    }
    /// Its length in nanoseconds.
    pub fn nanos(self) -> i64 {
        self.seconds() * NANOS_PER_SEC
    }
    /// Start of the candle that holds `at`.
    pub fn open_of(self, at: Time) -> Time {
        // 1970-01-01 was a Thursday: weeks start four days later.
        let shift = if self == Interval::W1 { 4 * NANOS_PER_DAY } else { 0 };
        Time(at.0 - (at.0 - shift).rem_euclid(self.nanos()))
    }
}

/// One candle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kline {
    /// Start.
    pub open_time: Time,
    /// End, exclusive; the wire's close time is one millisecond less.
    pub end: Time,
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Base volume.
    pub volume: Qty,
    /// Quote volume.
    pub quote_volume: Notional,
    /// Base volume of buying takers.
    pub taker_buy: Qty,
    /// Quote volume of buying takers.
    pub taker_buy_quote: Notional,
    /// Number of trades.
    pub trades: i64,
    /// First trade id, -1 if none.
    pub first_id: i64,
    /// Last trade id, -1 if none.
    pub last_id: i64,
}

impl Kline {
    /// A candle without trades at `price`.
    pub fn flat(interval: Interval, open_time: Time, price: Price) -> Kline {
        Kline {
            open_time,
            end: open_time.plus(interval.nanos()),
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Qty::ZERO,
            quote_volume: Notional::ZERO,
            taker_buy: Qty::ZERO,
            taker_buy_quote: Notional::ZERO,
            trades: 0,
            first_id: -1,
            last_id: -1,
        }
    }

    fn add(&mut self, trade: &PublicTrade) {
        if self.trades == 0 {
            (self.open, self.high, self.low) = (trade.price, trade.price, trade.price);
            self.first_id = trade.id;
        }
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.close = trade.price;
        self.trades += 1;
        self.last_id = trade.id;
        let quote = notional_floor(trade.price, trade.qty).unwrap_or(Notional::ZERO);
        self.volume.0 = self.volume.0.saturating_add(trade.qty.0);
        self.quote_volume.0 = self.quote_volume.0.saturating_add(quote.0);
        if trade.aggressor == Side::Buy {
            self.taker_buy.0 = self.taker_buy.0.saturating_add(trade.qty.0);
            self.taker_buy_quote.0 = self.taker_buy_quote.0.saturating_add(quote.0);
        }
    }
}

#[derive(Clone, Debug)]
struct Series {
    interval: Interval,
    closed: VecDeque<Kline>,
    open: Kline,
}

impl Series {
    fn new(interval: Interval, start: Time, price: Price) -> Series {
        Series { interval, closed: VecDeque::new(), open: Kline::flat(interval, interval.open_of(start), price) }
    }

    fn close_one(&mut self) -> Kline {
        let done = self.open;
        if self.closed.len() == CANDLES_KEPT_MAX {
            self.closed.pop_front();
        }
        self.closed.push_back(done);
        self.open = Kline::flat(self.interval, done.end, done.close);
        done
    }

    /// Closes what ended by `now`. After a silence longer than the memory, only the newest part is filled in.
    fn advance(&mut self, now: Time, mut closed: impl FnMut(Interval, Kline)) {
        let missed = now.since(self.open.open_time) / self.interval.nanos();
        if missed > CANDLES_KEPT_MAX as i64 {
            let last = self.close_one();
            closed(self.interval, last);
            self.closed.clear();
            let from = self.interval.open_of(now).plus(-(CANDLES_KEPT_MAX as i64) * self.interval.nanos());
            self.open = Kline::flat(self.interval, from, last.close);
        }
        for _ in 0..=CANDLES_KEPT_MAX {
            if self.open.end > now {
                return;
            }
            closed(self.interval, self.close_one());
        }
    }
}

/// All series of one symbol.
#[derive(Clone, Debug)]
pub(super) struct Candles {
    series: Vec<Series>,
}

impl Candles {
    pub(super) fn new(start: Time, price: Price) -> Candles {
        Candles { series: Interval::ALL.iter().map(|interval| Series::new(*interval, start, price)).collect() }
    }
    fn of(&self, interval: Interval) -> &Series {
        &self.series[interval as usize]
    }
    pub(super) fn advance(&mut self, now: Time, mut closed: impl FnMut(Interval, Kline)) {
        for series in &mut self.series {
            series.advance(now, &mut closed);
        }
    }
    /// Adds a trade; the series were advanced to its time before.
    pub(super) fn add(&mut self, trade: &PublicTrade) {
        for series in &mut self.series {
            series.open.add(trade);
        }
    }
    pub(super) fn open(&self, interval: Interval) -> Kline {
        self.of(interval).open
    }
    /// Candles oldest first, the open one last.
    pub(super) fn all(&self, interval: Interval) -> impl DoubleEndedIterator<Item = &Kline> {
        let series = self.of(interval);
        series.closed.iter().chain(std::iter::once(&series.open))
    }
    /// Replaces the closed candles of one interval; the newest [`CANDLES_KEPT_MAX`] are kept.
    pub(super) fn seed(&mut self, interval: Interval, history: &[Kline]) {
        let series = &mut self.series[interval as usize];
        let from = history.len().saturating_sub(CANDLES_KEPT_MAX);
        series.closed = history[from..].iter().copied().collect();
        if let Some(last) = history.last().filter(|_| series.open.trades == 0) {
            series.open = Kline::flat(interval, series.open.open_time, last.close);
        }
    }
    /// Volume-weighted average of the last `minutes`, `None` if nothing traded.
    pub(super) fn average(&self, minutes: u32) -> Option<Price> {
        let recent = self.all(Interval::M1).rev().take(minutes as usize);
        let (base, quote) = recent.fold((0_i64, 0_i64), |(base, quote), candle| {
            (base.saturating_add(candle.volume.0), quote.saturating_add(candle.quote_volume.0))
        });
        crate::types::units::mul_div_floor(quote, crate::types::units::QTY_SCALE, base).map(Price)
    }
}
