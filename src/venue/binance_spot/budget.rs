//! The venue's rate limits as we have used them, and when it told us to wait.
//!
//! Thread: any.  Invariants: windows are aligned to the venue's clock; the venue's own count overrides ours; a fifth of
//! every limit is kept for exits and questions, a tenth of the orders for what must follow the cancel of an exit; other
//! cancels are never held back by a count, only by the venue's word.

use super::answer::UsedCount;
use crate::types::Time;
use crate::types::time::NANOS_PER_SEC;

/// What a request may cost, as the venue's `exchangeInfo` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// What is counted.
    pub kind: LimitKind,
    /// Length of the window, aligned to the venue's clock.
    pub interval_ns: i64,
    /// Most that a window may hold.
    pub limit: u32,
}

/// What a rate limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Weight of requests, per address.
    Weight,
    /// Orders placed, per account.
    Orders,
    /// Requests of any weight.
    Raw,
}

impl LimitKind {
    /// From the venue's word.
    pub fn of_word(word: &[u8]) -> Option<LimitKind> {
        match word {
            b"REQUEST_WEIGHT" => Some(LimitKind::Weight),
            b"ORDERS" => Some(LimitKind::Orders),
            b"RAW_REQUESTS" => Some(LimitKind::Raw),
            _ => None,
        }
    }
}

/// Length of a window from the venue's word and number.
pub fn interval_ns(word: &[u8], count: i64) -> Option<i64> {
    let seconds = match word {
        b"SECOND" => 1,
        b"MINUTE" => 60,
        b"HOUR" => 3_600,
        b"DAY" => 86_400,
        _ => return None,
    };
    count.checked_mul(seconds * NANOS_PER_SEC).filter(|ns| *ns > 0)
}

/// What may be sent while the venue makes us wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Anything.
    None,
    /// Cancels only (429).
    CancelsOnly,
    /// Nothing at all (418).
    All,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    rule: RateLimit,
    index: i64,
    used: u32,
}

/// Used part of every limit.
#[derive(Debug)]
pub struct Budget {
    windows: Vec<Window>,
    hold_until: Time,
    hold: Hold,
}

/// Percent of a limit that entries may use up.
const ENTRY_PERCENT: u64 = 80;
/// Percent of the order limits beyond which no exit is cancelled: the stop rests better than coins without one.
const CANCEL_PERCENT: u64 = 90;

impl Budget {
    /// Nothing used yet.
    pub fn new(limits: &[RateLimit]) -> Self {
        let windows = limits.iter().map(|rule| Window { rule: *rule, index: 0, used: 0 }).collect();
        Self { windows, hold_until: Time::NONE, hold: Hold::None }
    }

    /// Counts `amount` of `kind`, at the venue's time.
    pub fn spend(&mut self, kind: LimitKind, amount: u32, venue_now: Time) {
        for window in self.windows.iter_mut().filter(|window| window.rule.kind == kind) {
            window.turn_to(venue_now);
            window.used = window.used.saturating_add(amount);
        }
    }

    /// Whether `orders` more orders leave a fifth of every limit for what must go out.
    pub fn has_room_for_entry(&mut self, orders: u32, venue_now: Time) -> bool {
        self.windows.iter_mut().all(|window| {
            window.turn_to(venue_now);
            let more = if window.rule.kind == LimitKind::Orders { orders } else { 1 };
            let after = u64::from(window.used) + u64::from(more);
            after * 100 <= u64::from(window.rule.limit) * ENTRY_PERCENT
        })
    }

    /// Whether the orders that must follow the cancel of an exit can still be sent.
    pub fn has_room_after_cancel(&mut self, venue_now: Time) -> bool {
        self.windows.iter_mut().filter(|window| window.rule.kind == LimitKind::Orders).all(|window| {
            window.turn_to(venue_now);
            u64::from(window.used) * 100 <= u64::from(window.rule.limit) * CANCEL_PERCENT
        })
    }

    /// Takes over the venue's own count.
    pub fn observe(&mut self, count: &UsedCount<'_>, venue_now: Time) {
        let (Some(kind), Some(interval)) =
            (LimitKind::of_word(count.kind), interval_ns(count.interval, count.interval_num))
        else {
            return;
        };
        let same = |window: &&mut Window| window.rule.kind == kind && window.rule.interval_ns == interval;
        if let Some(window) = self.windows.iter_mut().find(same) {
            window.turn_to(venue_now);
            window.used = u32::try_from(count.count.max(0)).unwrap_or(u32::MAX);
            window.rule.limit = u32::try_from(count.limit).unwrap_or(window.rule.limit);
        }
    }

    /// The venue said to wait; the longer and stricter word stands.
    pub fn hold(&mut self, hold: Hold, until: Time, now: Time) {
        if self.held(now) != Hold::All || hold == Hold::All {
            self.hold = hold;
        }
        self.hold_until = self.hold_until.max(until);
    }

    /// What may be sent now.
    pub fn held(&self, now: Time) -> Hold {
        if now < self.hold_until { self.hold } else { Hold::None }
    }
}

impl Window {
    fn turn_to(&mut self, venue_now: Time) {
        let index = venue_now.0.div_euclid(self.rule.interval_ns.max(1));
        if index != self.index {
            (self.index, self.used) = (index, 0);
        }
    }
}

/// Start of the next aligned window of `interval_ns`.
pub fn window_end(now: Time, interval_ns: i64) -> Time {
    let interval = interval_ns.max(1);
    Time((now.0.div_euclid(interval) + 1).saturating_mul(interval))
}
