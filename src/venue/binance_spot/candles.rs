//! The chain of closed candles: each once, in order, none missing; what the stream did not bring comes from REST.
//!
//! Thread: any.  Invariants: open times handed out rise by one interval, except where the venue itself has a hole; a
//! REST candle counts as closed only if a later one proves it, never by our clock.

use super::messages;
use super::retry::Retry;
use crate::types::Time;
use crate::types::event::Candle;
use crate::types::instrument::Symbol;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::venue::DecodeError;

/// Candles one REST reply brings at most.
const KLINES_MAX: u16 = 1_000;

/// A candle length the venue offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    text: &'static str,
    seconds: u32,
}

impl Interval {
    /// All lengths of a whole number of seconds up to a day.
    pub const ALL: [Interval; 13] = [
        Interval { text: "1s", seconds: 1 },
        Interval { text: "1m", seconds: 60 },
        Interval { text: "3m", seconds: 180 },
        Interval { text: "5m", seconds: 300 },
        Interval { text: "15m", seconds: 900 },
        Interval { text: "30m", seconds: 1_800 },
        Interval { text: "1h", seconds: 3_600 },
        Interval { text: "2h", seconds: 7_200 },
        Interval { text: "4h", seconds: 14_400 },
        Interval { text: "6h", seconds: 21_600 },
        Interval { text: "8h", seconds: 28_800 },
        Interval { text: "12h", seconds: 43_200 },
        Interval { text: "1d", seconds: 86_400 },
    ];
    /// From the venue's name, `5m`; `None` if it offers no such candle.
    pub fn parse(text: &str) -> Option<Interval> {
        Self::ALL.into_iter().find(|interval| interval.text == text)
    }
    /// The venue's name.
    pub fn text(self) -> &'static str {
        self.text
    }
    /// Length in seconds.
    pub fn seconds(self) -> u32 {
        self.seconds
    }
    /// Length in nanoseconds.
    pub fn nanos(self) -> i64 {
        i64::from(self.seconds) * NANOS_PER_SEC
    }
}

/// Which closed candles were handed out and which are still owed.
#[derive(Debug)]
pub struct CandleChain {
    interval: Interval,
    /// Candles to fetch before the first; 0 = begin with whatever closes first.
    seed: u16,
    /// Open time of the last one handed out.
    last: Option<Time>,
    /// Open time of the candle that is open now, as far as the stream told.
    current: Time,
    request: Retry,
}

impl CandleChain {
    /// A chain that begins with `seed` closed candles from REST.
    pub fn new(interval: Interval, seed: u16) -> Self {
        let seed = if seed == 0 { 0 } else { seed.saturating_add(1).min(KLINES_MAX) }; // one more: the open one
        Self { interval, seed, last: None, current: Time::NONE, request: Retry::default() }
    }

    /// Whether closed candles are owed.
    pub fn is_missing(&self) -> bool {
        match self.last {
            None => self.seed > 0,
            Some(last) => self.current > last.plus(self.interval.nanos()),
        }
    }

    /// Takes a candle of the stream; true if it is the next closed one, to be handed out.
    pub fn on_stream(&mut self, candle: &Candle, closed: bool) -> bool {
        let current = if closed { candle.open_time.plus(self.interval.nanos()) } else { candle.open_time };
        self.current = self.current.max(current);
        let next = match self.last {
            None => self.seed == 0,
            Some(last) => candle.open_time == last.plus(self.interval.nanos()),
        };
        if closed && next {
            self.last = Some(candle.open_time);
        }
        closed && next
    }

    /// The REST path that brings what is owed, if it is time to ask.
    pub fn wanted(&mut self, symbol: Symbol, now: Time) -> Option<String> {
        if !self.is_missing() || !self.request.ask(now) {
            return None;
        }
        let interval = self.interval.text;
        let base = format!("/api/v3/klines?symbol={symbol}&interval={interval}");
        Some(match self.last {
            None => format!("{base}&limit={}", self.seed),
            Some(last) => {
                let from_ms = last.plus(self.interval.nanos()).0 / NANOS_PER_MILLI;
                format!("{base}&startTime={from_ms}&limit={KLINES_MAX}")
            }
        })
    }

    /// The REST request failed.
    pub fn on_failed(&mut self, now: Time) {
        self.request.failed(now);
    }

    /// Takes the REST reply; hands out, in order, the closed candles not handed out before.
    pub fn on_klines(&mut self, body: &[u8], now: Time, each: &mut impl FnMut(Candle)) -> Result<(), DecodeError> {
        self.request.failed(now); // until it brought what is owed
        let mut proven: Option<Candle> = None;
        let mut wrong_length = false;
        messages::klines(body, |candle| {
            wrong_length |= candle.interval_s != self.interval.seconds;
            if let Some(before) = proven.replace(candle).filter(|before| before.open_time < candle.open_time) {
                self.hand_out(before, each);
            }
        })?;
        if wrong_length {
            return Err(DecodeError::Contradiction { name: "interval" });
        }
        if let Some(last) = proven.filter(|last| last.open_time < self.current) {
            self.hand_out(last, each);
        }
        if !self.is_missing() {
            self.request.succeeded();
        }
        Ok(())
    }

    fn hand_out(&mut self, candle: Candle, each: &mut impl FnMut(Candle)) {
        let fits = candle.interval_s == self.interval.seconds;
        if fits && self.last.is_none_or(|last| candle.open_time > last) {
            self.last = Some(candle.open_time);
            each(candle);
        }
    }
}
