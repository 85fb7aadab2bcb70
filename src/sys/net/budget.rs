//! How often we may knock: the venue's connection limit, and the pause after a failure.
//!
//! Thread: any; one [`ConnectBudget`] is shared by all that count together at the venue.  Invariants: in no window of
//! the limit's length are more attempts allowed than the limit; no lock.

use std::sync::atomic::{AtomicI64, Ordering};

use super::rng::Rng;
use crate::types::Time;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};

/// Connection attempts per window: a third of them may come at once, the other two thirds flow back evenly, so that
/// no window of any alignment sees more than all.
pub struct ConnectBudget {
    /// When the bucket would be full again, ns; the one word that is shared.
    full_at: AtomicI64,
    attempt_ns: i64,
    burst_ns: i64,
}

impl ConnectBudget {
    /// At most `attempts` (at least 3) in any `window_ns`.
    pub fn new(attempts: u32, window_ns: i64) -> ConnectBudget {
        let burst = i64::from(attempts.max(3) / 3);
        let attempt_ns = window_ns / (i64::from(attempts.max(3)) - burst);
        ConnectBudget { full_at: AtomicI64::new(0), attempt_ns, burst_ns: attempt_ns * burst }
    }

    /// Binance: 300 attempts per 5 minutes and IP address, for streams and for the WebSocket API each.
    pub fn binance() -> ConnectBudget {
        ConnectBudget::new(300, 300 * NANOS_PER_SEC)
    }

    /// Takes one attempt, or says when to ask again.
    pub fn take(&self, now: Time) -> Result<(), Time> {
        let taken = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let next = full_at.max(now.0) + self.attempt_ns;
            (next - now.0 <= self.burst_ns).then_some(next)
        });
        taken.map(|_| ()).map_err(|full_at| Time(full_at + self.attempt_ns - self.burst_ns))
    }
}

/// The first pause after a failure.
pub const BACKOFF_FIRST_NS: i64 = 250 * NANOS_PER_MILLI;
/// The longest pause.
pub const BACKOFF_MAX_NS: i64 = 30 * NANOS_PER_SEC;

/// Pauses that double with each failure in a row, each cut by a random part so that links do not knock in step.
#[derive(Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after one more failure: between a half and the whole of 250 ms, 500 ms, ... 30 s.
    pub(crate) fn next_ns(&mut self, rng: &mut Rng) -> i64 {
        let whole = BACKOFF_FIRST_NS.saturating_mul(1 << self.failures.min(20)).min(BACKOFF_MAX_NS);
        self.failures = self.failures.saturating_add(1);
        rng.between(whole / 2, whole)
    }

    /// The connection proved itself: start over.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_allows_no_more_than_its_attempts_in_any_window() {
        let window_ns = 300 * NANOS_PER_SEC;
        let budget = ConnectBudget::new(300, window_ns);
        let mut taken: Vec<i64> = Vec::new();
        let mut now = Time(1_000_000 * NANOS_PER_SEC);
        for step in 0..20_000_i64 {
            now = now.plus(if step % 4_000 == 0 { 200 * NANOS_PER_SEC } else { 50 * NANOS_PER_MILLI });
            if budget.take(now).is_ok() {
                taken.push(now.0);
            }
        }
        assert!(taken.len() > 600, "{}", taken.len());
        for (index, &from) in taken.iter().enumerate() {
            let inside = taken[index..].iter().take_while(|&&at| at < from + window_ns).count();
            assert!(inside <= 300, "{inside} attempts in one window");
        }
    }

    #[test]
    fn budget_that_is_used_up_says_when_to_ask_again() {
        let budget = ConnectBudget::new(3, 30 * NANOS_PER_SEC);
        let now = Time(1_000 * NANOS_PER_SEC);
        assert_eq!(budget.take(now), Ok(()));
        let again = budget.take(now).expect_err("the burst is one");
        assert!(again > now);
        assert!(budget.take(Time(again.0 - 1)).is_err());
        assert_eq!(budget.take(again), Ok(()));
    }

    #[test]
    fn pauses_double_to_the_bound_are_jittered_and_start_over_after_success() {
        let mut backoff = Backoff::default();
        let mut rng = Rng::from_system();
        let mut whole = BACKOFF_FIRST_NS;
        for _ in 0..40 {
            let pause = backoff.next_ns(&mut rng);
            assert!(pause >= whole / 2 && pause <= whole, "{pause} of {whole}");
            whole = (whole * 2).min(BACKOFF_MAX_NS);
        }
        backoff.reset();
        assert!(backoff.next_ns(&mut rng) <= BACKOFF_FIRST_NS);
    }
}
