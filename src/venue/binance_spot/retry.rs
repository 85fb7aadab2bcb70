//! When to ask again: one request in flight, a pause that doubles with each that did not help.
//!
//! Thread: any.  Invariants: two requests are never closer than [`PAUSE_NS_MIN`]; an answer that never comes counts as
//! failed.

use crate::types::Time;
use crate::types::time::NANOS_PER_SEC;

/// First pause between two requests.
pub const PAUSE_NS_MIN: i64 = NANOS_PER_SEC;
/// Longest pause between two requests.
pub const PAUSE_NS_MAX: i64 = 30 * NANOS_PER_SEC;
/// A request without any answer for so long is taken for failed.
pub const ANSWER_NS_MAX: i64 = 30 * NANOS_PER_SEC;

/// A minute's limits are forgotten with the minute.
const LIMIT_NS: i64 = 60 * NANOS_PER_SEC;
/// Shortest ban the venue gives.
const BAN_NS_MIN: i64 = 120 * NANOS_PER_SEC;

/// How long a REST answer of `status` wants nobody to ask at all; `None` = it does not say. Whoever goes on after a 429 is
/// banned, and whoever goes on during a ban is banned longer.
pub fn told_to_wait_ns(status: u16, retry_after_s: Option<u32>) -> Option<i64> {
    let least_ns = match status {
        418 => BAN_NS_MIN,
        429 => LIMIT_NS,
        _ => return None,
    };
    Some(retry_after_s.map_or(least_ns, |seconds| i64::from(seconds).saturating_mul(NANOS_PER_SEC)))
}

/// The pacing of one kind of request.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    asked_at: Option<Time>,
    ask_from: Time,
    pause_ns: i64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { asked_at: None, ask_from: Time(i64::MIN), pause_ns: PAUSE_NS_MIN }
    }
}

impl Retry {
    /// Whether to ask now; if so, it counts as asked.
    pub fn ask(&mut self, now: Time) -> bool {
        if self.asked_at.is_some_and(|asked_at| now.since(asked_at) >= ANSWER_NS_MAX) {
            self.failed(now);
        }
        if self.asked_at.is_some() || now < self.ask_from {
            return false;
        }
        self.asked_at = Some(now);
        true
    }

    /// The request did not help.
    pub fn failed(&mut self, now: Time) {
        self.asked_at = None;
        self.ask_from = now.plus(self.pause_ns);
        self.pause_ns = self.pause_ns.saturating_mul(2).min(PAUSE_NS_MAX);
    }

    /// The last request proved good: the next pause is short again.
    pub fn succeeded(&mut self) {
        self.asked_at = None;
        self.pause_ns = PAUSE_NS_MIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_shrink_after_success() {
        let mut retry = Retry::default();
        let mut now = Time(0);
        for pause_s in [1, 2, 4, 8, 16, 30, 30] {
            assert!(retry.ask(now));
            assert!(!retry.ask(now), "one in flight");
            retry.failed(now);
            assert!(!retry.ask(now.plus(pause_s * NANOS_PER_SEC - 1)));
            now = now.plus(pause_s * NANOS_PER_SEC);
        }
        assert!(retry.ask(now));
        retry.succeeded();
        assert!(retry.ask(now));
        retry.failed(now);
        assert!(retry.ask(now.plus(PAUSE_NS_MIN)));
    }

    #[test]
    fn a_limit_and_a_ban_are_waited_out_as_told_or_as_long_as_they_last_at_least() {
        assert_eq!(told_to_wait_ns(429, Some(7)), Some(7 * NANOS_PER_SEC));
        assert_eq!(told_to_wait_ns(429, None), Some(60 * NANOS_PER_SEC));
        assert_eq!(told_to_wait_ns(418, Some(259_200)), Some(259_200 * NANOS_PER_SEC));
        assert_eq!(told_to_wait_ns(418, None), Some(120 * NANOS_PER_SEC));
        for status in [200, 400, 403, 500, 503] {
            assert_eq!(told_to_wait_ns(status, Some(7)), None, "{status}");
        }
    }

    #[test]
    fn an_answer_that_never_comes_counts_as_failed() {
        let mut retry = Retry::default();
        assert!(retry.ask(Time(0)));
        assert!(!retry.ask(Time(ANSWER_NS_MAX - 1)));
        assert!(!retry.ask(Time(ANSWER_NS_MAX)), "failed just now: the pause begins");
        assert!(retry.ask(Time(ANSWER_NS_MAX + PAUSE_NS_MIN)));
    }
}
