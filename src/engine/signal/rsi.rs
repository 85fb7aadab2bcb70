//! RSI with Wilder's smoothing over closed candles, in fixed point.
//!
//! Thread: any.  Invariants: integers only, so a replay repeats every digit; both averages are >= 0.
//!
//! Error: the averages are kept in 1e-20 of the quote unit and rounded down, so each lies at most `period` such units
//! below the exact one (the error of a step shrinks by (period - 1) / period with every candle). With period 14 the RSI
//! is exact to its last digit, 1e-8, as long as both averages together are above 1e-9 of the quote unit: one tick of
//! 0.01, decayed over 180 candles without any move.

use crate::types::{Price, Ratio};

/// Closed candles that make the start of the series forgotten: (13/14)^236 leaves 3e-8 of it.
pub const SEED_CANDLES_MIN: u32 = 250;
/// Longest period; keeps the arithmetic inside 128 bits for any price.
pub const RSI_PERIOD_MAX: u32 = 1_000;

/// Finer parts of a price unit in the averages.
const FINE: u128 = 1_000_000_000_000;
/// An RSI of 100.
const HUNDRED: u128 = 10_000_000_000;
/// Bits an average may have so that times [`HUNDRED`] still fits.
const BITS_MAX: u32 = 93;

/// The index, fed one close at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rsi {
    period: u32,
    closes: u32,
    last: Price,
    gain: u128,
    loss: u128,
    /// Computed once a candle: a 128-bit division is too dear for every tick.
    value: Option<Ratio>,
}

impl Rsi {
    /// An index over `period` moves, 1 to [`RSI_PERIOD_MAX`] (the config refuses others).
    pub fn new(period: u32) -> Rsi {
        assert!(period >= 1, "an RSI needs a period");
        assert!(period <= RSI_PERIOD_MAX, "RSI period out of range");
        Rsi { period, closes: 0, last: Price::ZERO, gain: 0, loss: 0, value: None }
    }

    /// Takes the close of the next candle.
    ///
    /// The first `period` moves are averaged plainly, each later one by Wilder's (average x (period - 1) + move) / period.
    pub fn push(&mut self, close: Price) {
        if self.closes > 0 {
            let up = u128::from(close.0.saturating_sub(self.last.0).max(0).unsigned_abs()) * FINE;
            let down = u128::from(self.last.0.saturating_sub(close.0).max(0).unsigned_abs()) * FINE;
            self.gain = self.smooth(self.gain, up);
            self.loss = self.smooth(self.loss, down);
        }
        self.last = close;
        self.closes = self.closes.saturating_add(1);
        self.value = self.index();
        assert!(up_to_bits(self.gain, 104), "an average gain is no larger than the largest gain");
        assert!(up_to_bits(self.loss, 104), "an average loss is no larger than the largest loss");
    }

    /// One more move: a share of the plain mean while that is being built, Wilder's step afterwards.
    fn smooth(&self, average: u128, step: u128) -> u128 {
        let period = u128::from(self.period);
        if self.closes <= self.period { average + step / period } else { (average * (period - 1) + step) / period }
    }

    /// The index, 0 to 100, to the nearest 1e-8; `None` before `period` moves.
    ///
    /// `None` too while nothing moved at all: 0/0 is no number. (TA-Lib says 0 there, which a rule "below 45" would
    /// take for a crash.)
    pub fn value(&self) -> Option<Ratio> {
        self.value
    }

    fn index(&self) -> Option<Ratio> {
        let total = self.gain.checked_add(self.loss)?;
        if self.closes <= self.period || total == 0 {
            return None;
        }
        let excess = (u128::BITS - total.leading_zeros()).saturating_sub(BITS_MAX);
        let (gain, total) = (self.gain >> excess, total >> excess);
        i64::try_from((gain * HUNDRED + total / 2) / total).ok().map(Ratio)
    }

    /// Whether enough candles are in for the value to be traded on: [`SEED_CANDLES_MIN`], and never fewer than a period.
    pub fn is_seeded(&self) -> bool {
        self.closes >= SEED_CANDLES_MIN.max(self.period.saturating_add(1))
    }

    /// Candles taken since the last reset.
    pub fn candles(&self) -> u32 {
        self.closes
    }

    /// Forgets everything: after a hole in the candles the smoothed averages mean nothing.
    pub fn reset(&mut self) {
        *self = Rsi::new(self.period);
    }
}

fn up_to_bits(value: u128, bits: u32) -> bool {
    value >> bits == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rsi_of(period: u32, closes: &[i64]) -> Rsi {
        let mut rsi = Rsi::new(period);
        closes.iter().for_each(|close| rsi.push(Price(*close)));
        rsi
    }

    #[test]
    fn no_value_before_the_period_is_full() {
        let closes: Vec<i64> = (0..14).map(|i| 16_000_000_000 + i * 1_000_000).collect();
        assert_eq!(rsi_of(14, &closes).value(), None);
    }

    #[test]
    fn only_gains_are_100_and_only_losses_are_0() {
        let up: Vec<i64> = (0..15).map(|i| 16_000_000_000 + i * 1_000_000).collect();
        let down: Vec<i64> = up.iter().rev().copied().collect();
        assert_eq!(rsi_of(14, &up).value(), Some(Ratio(10_000_000_000)));
        assert_eq!(rsi_of(14, &down).value(), Some(Ratio(0)));
    }

    #[test]
    fn a_market_that_never_moved_has_no_rsi() {
        assert_eq!(rsi_of(14, &[16_000_000_000; 300]).value(), None);
    }

    #[test]
    fn a_share_of_gains_of_exactly_45_percent_is_exactly_45() {
        // 20 moves: 9 up, 11 down, one tick each.
        let mut closes = vec![16_000_000_000_i64];
        for i in 0..20_i64 {
            let step = if i % 20 < 9 { 1_000_000 } else { -1_000_000 };
            closes.push(closes[closes.len() - 1] + step);
        }
        assert_eq!(rsi_of(20, &closes).value(), Some(Ratio(4_500_000_000)));
    }

    #[test]
    fn the_largest_moves_do_not_overflow() {
        let closes: Vec<i64> = (0..3_000).map(|i| if i % 2 == 0 { i64::MAX } else { 0 }).collect();
        for period in [1, 14, RSI_PERIOD_MAX] {
            assert!(rsi_of(period, &closes).value().is_some_and(|rsi| (0..=10_000_000_000).contains(&rsi.0)));
        }
    }

    #[test]
    fn seeded_needs_250_candles_and_a_reset_starts_anew() {
        let closes: Vec<i64> = (0..250).map(|i| 16_000_000_000 + (i % 7) * 1_000_000).collect();
        let mut rsi = rsi_of(14, &closes[..249]);
        assert!(!rsi.is_seeded());
        rsi.push(Price(closes[249]));
        assert!(rsi.is_seeded());
        rsi.reset();
        assert_eq!((rsi.value(), rsi.candles()), (None, 0));
    }
}
