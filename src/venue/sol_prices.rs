//! SOL's price hour by hour over the last days: what a volume in USD was in SOL at the prices of its time.
//!
//! Thread: any.  Invariants: hours rise and are bounded; a window that is not covered has no value in SOL, so a rule that
//! asks for one says no.

use super::DecodeError;
use super::binance_spot::messages::klines;
use crate::types::event::VolumeSample;
use crate::types::time::{NANOS_PER_DAY, NANOS_PER_SEC};
use crate::types::units::{Notional, Price, Qty, qty_for};
use crate::types::{Time, event::Candle};

/// Hours kept: the two windows of a sample that is up to a day and a half old.
pub const HOURS_KEPT: usize = 96;
const HOUR_NS: i64 = 3_600 * NANOS_PER_SEC;
const HOUR_S: u32 = 3_600;
/// Hours of a day's 24 that must be known for its mean to stand for it.
const HOURS_PER_DAY_MIN: usize = 22;

/// Path of the hourly candles of `symbol`, as Binance writes it, below its REST base.
pub fn klines_path(symbol: &str) -> String {
    format!("/api/v3/klines?symbol={symbol}&interval=1h&limit={HOURS_KEPT}")
}

/// Closes of past hours.
#[derive(Clone, Debug, Default)]
pub struct SolPrices {
    /// End of the hour, its last price; oldest first.
    hours: Vec<(Time, Price)>,
}

impl SolPrices {
    /// Takes an answer of [`klines_path`]: it replaces what was known. The hour that still runs is left out.
    ///
    /// Errors: [`DecodeError`]; what was known then stands, and grows too old by itself.
    pub fn on_body(&mut self, body: &[u8], now: Time) -> Result<(), DecodeError> {
        let mut hours: Vec<(Time, Price)> = Vec::with_capacity(HOURS_KEPT);
        let mut fault = None;
        klines(body, |candle: Candle| {
            let end = candle.open_time.plus(HOUR_NS);
            let is_next = hours.last().is_none_or(|(last, _)| end > *last);
            if candle.interval_s != HOUR_S || candle.open_time.0.rem_euclid(HOUR_NS) != 0 || !is_next {
                fault = Some(DecodeError::Contradiction { name: "t" });
            } else if end <= now && hours.len() < HOURS_KEPT {
                hours.push((end, candle.close));
            }
        })?;
        if let Some(fault) = fault {
            return Err(fault);
        }
        self.hours = hours;
        Ok(())
    }

    /// Last price of the hour that `at` lies in; `None` if that hour is not known.
    pub fn at(&self, at: Time) -> Option<Price> {
        self.hours.iter().find(|(end, _)| *end > at && end.plus(-HOUR_NS) <= at).map(|(_, price)| *price)
    }

    /// Mean of the hourly closes in the day that ends at `end`; `None` if the day is not covered.
    pub fn mean_of_day(&self, end: Time) -> Option<Price> {
        let start = end.plus(-NANOS_PER_DAY);
        let inside = || self.hours.iter().filter(|(at, _)| *at > start && *at <= end);
        let count = inside().count();
        let sum: i128 = inside().map(|(_, price)| i128::from(price.0)).sum();
        if count < HOURS_PER_DAY_MIN {
            return None;
        }
        i64::try_from(sum / i128::try_from(count).ok()?).ok().filter(|mean| *mean > 0).map(Price)
    }

    /// Says both windows of a sample in SOL; each is a day, the newer one ends at `bucket_end`. Both or neither.
    pub fn fill(&self, sample: &mut VolumeSample) {
        let in_sol = |usd: Notional, end: Time| self.mean_of_day(end).and_then(|price| qty_for(usd, price));
        let now = in_sol(sample.now, sample.bucket_end);
        let prev = in_sol(sample.prev, sample.bucket_end.plus(-NANOS_PER_DAY));
        (sample.now_sol, sample.prev_sol) = now.zip(prev).unwrap_or((Qty::ZERO, Qty::ZERO));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 20_779 * NANOS_PER_DAY;

    /// Hourly candles from `from_h` to `to_h` hours after [`DAY`], each closing at `close(hour)`.
    fn body(from_h: i64, to_h: i64, close: impl Fn(i64) -> i64) -> Vec<u8> {
        let candle = |h: i64| {
            let (open_ms, price) = ((DAY + h * HOUR_NS) / 1_000_000, close(h));
            let end_ms = open_ms + 3_599_999;
            format!(r#"[{open_ms},"{price}","{price}","{price}","{price}","5",{end_ms},"1",1,"1","1","0"]"#)
        };
        format!("[{}]", (from_h..to_h).map(candle).collect::<Vec<_>>().join(",")).into_bytes()
    }

    fn sample(now_usd: i64, prev_usd: i64, end: Time) -> VolumeSample {
        let usd = |value: i64| Notional(value * 100_000_000);
        VolumeSample { now: usd(now_usd), prev: usd(prev_usd), bucket_end: end, ..VolumeSample::UNREAD }
    }

    #[test]
    fn a_day_that_fell_in_usd_only_because_sol_fell_has_not_fallen_in_sol() {
        let mut prices = SolPrices::default();
        let end = Time(DAY + 2 * NANOS_PER_DAY);
        prices.on_body(&body(0, 48, |h| if h < 24 { 200 } else { 100 }), end).expect("klines");
        let mut fell = sample(50_000_000, 100_000_000, end);
        prices.fill(&mut fell);
        let sol = |value: i64| Qty(value * 1_000_000_000);
        assert_eq!((fell.now_sol, fell.prev_sol), (sol(500_000), sol(500_000)));
    }

    #[test]
    fn a_window_with_more_than_two_hours_unknown_has_no_value_in_sol() {
        let end = Time(DAY + 2 * NANOS_PER_DAY);
        for (from_h, to_h, is_known) in [(2, 48, true), (3, 48, false), (0, 46, true), (0, 45, false)] {
            let mut prices = SolPrices::default();
            prices.on_body(&body(from_h, to_h, |_| 150), end).expect("klines");
            let mut told = sample(60_000_000, 90_000_000, end);
            prices.fill(&mut told);
            assert_eq!(told.now_sol.0 > 0 && told.prev_sol.0 > 0, is_known, "{from_h}..{to_h}");
            assert_eq!(told.now_sol.0 == 0, told.prev_sol.0 == 0, "both or neither");
        }
    }

    #[test]
    fn the_running_hour_does_not_count_and_a_broken_answer_changes_nothing() {
        let end = Time(DAY + 2 * NANOS_PER_DAY);
        let mut prices = SolPrices::default();
        prices.on_body(&body(0, 49, |h| if h == 48 { 1 } else { 100 }), end.plus(HOUR_NS / 2)).expect("klines");
        let mean = Some(Price(10_000_000_000));
        assert_eq!(prices.mean_of_day(end.plus(HOUR_NS / 2)), mean);
        let (one, other) = (body(0, 1, |_| 7), body(1, 2, |_| 7));
        let joined = |a: &[u8], b: &[u8]| [&a[..a.len() - 1], b",", &b[1..]].concat();
        assert!(SolPrices::default().on_body(&joined(&one, &other), end).is_ok());
        for bad in [b"<html>".to_vec(), b"{}".to_vec(), b"[[1,2]]".to_vec(), joined(&one, &one), joined(&other, &one)] {
            assert!(prices.on_body(&bad, end).is_err(), "{}", String::from_utf8_lossy(&bad));
            assert_eq!(prices.mean_of_day(end), mean);
        }
    }
}
