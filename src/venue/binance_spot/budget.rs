//! The venue's rate limits as we have used them, and when it told us to wait.
//!
//! Thread: any.  Invariants: windows are aligned to the venue's clock; the venue's own count overrides ours; entries
//! leave a fifth of every limit to cancels, questions and closes, which may use it to the last unit; a tenth of the
//! orders is kept for what must follow the cancel of an exit; nothing is sent over a limit that we know to be used up,
//! because whoever goes on after a 429 is banned.

use super::answer::UsedCount;
use crate::types::Time;
use crate::types::note::Hold;
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

#[derive(Clone, Copy, Debug)]
struct Window {
    rule: RateLimit,
    index: i64,
    used: u32,
}

/// What requests cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// How many they are, per address.
    pub requests: u32,
    /// Weight, per address.
    pub weight: u32,
    /// Orders, per account.
    pub orders: u32,
}

impl Cost {
    /// Of one request.
    pub const fn one(weight: u32, orders: u32) -> Cost {
        Cost { requests: 1, weight, orders }
    }

    fn of(self, kind: LimitKind) -> u32 {
        match kind {
            LimitKind::Weight => self.weight,
            LimitKind::Orders => self.orders,
            LimitKind::Raw => self.requests,
        }
    }
}

/// Used part of every limit.
#[derive(Debug)]
pub struct Budget {
    windows: Vec<Window>,
    /// Until when the venue wants no new orders, nothing but cancels, nothing at all.
    waits: [(Hold, Time); 3],
}

/// Percent of a limit that entries may use up.
const ENTRY_PERCENT: u64 = 80;
/// Percent of the order limits beyond which no exit is cancelled: the stop rests better than coins without one.
const CANCEL_PERCENT: u64 = 90;

impl Budget {
    /// Nothing used yet.
    pub fn new(limits: &[RateLimit]) -> Self {
        let windows = limits.iter().map(|rule| Window { rule: *rule, index: 0, used: 0 }).collect();
        let waits = [Hold::Orders, Hold::AllButCancels, Hold::Everything].map(|hold| (hold, Time::NONE));
        Self { windows, waits }
    }

    /// Counts a request, at the venue's time.
    pub fn spend(&mut self, cost: Cost, venue_now: Time) {
        for window in &mut self.windows {
            window.turn_to(venue_now);
            window.used = window.used.saturating_add(cost.of(window.rule.kind));
        }
    }

    /// Whether an entry leaves a fifth of every limit for what must go out.
    pub fn has_room_for_entry(&mut self, cost: Cost, venue_now: Time) -> bool {
        self.fits(cost, ENTRY_PERCENT, venue_now)
    }

    /// Whether a request that lowers the risk, or asks, is within every limit.
    pub fn has_room(&mut self, cost: Cost, venue_now: Time) -> bool {
        self.fits(cost, 100, venue_now)
    }

    fn fits(&mut self, cost: Cost, percent: u64, venue_now: Time) -> bool {
        self.windows.iter_mut().all(|window| {
            window.turn_to(venue_now);
            let more = cost.of(window.rule.kind);
            let after = u64::from(window.used) + u64::from(more);
            more == 0 || after * 100 <= u64::from(window.rule.limit) * percent
        })
    }

    /// Whether the orders that must follow the cancel of an exit can still be sent.
    pub fn has_room_after_cancel(&mut self, venue_now: Time) -> bool {
        self.windows.iter_mut().filter(|window| window.rule.kind == LimitKind::Orders).all(|window| {
            window.turn_to(venue_now);
            u64::from(window.used) * 100 <= u64::from(window.rule.limit) * CANCEL_PERCENT
        })
    }

    /// Takes over the venue's own count, which knows nothing yet of the requests `in_flight`.
    pub fn observe(&mut self, count: &UsedCount<'_>, in_flight: Cost, venue_now: Time) {
        let (Some(kind), Some(interval)) =
            (LimitKind::of_word(count.kind), interval_ns(count.interval, count.interval_num))
        else {
            return;
        };
        let same = |window: &&mut Window| window.rule.kind == kind && window.rule.interval_ns == interval;
        if let Some(window) = self.windows.iter_mut().find(same) {
            window.turn_to(venue_now);
            let counted = u32::try_from(count.count.max(0)).unwrap_or(u32::MAX);
            window.used = counted.saturating_add(in_flight.of(kind));
            window.rule.limit = u32::try_from(count.limit).unwrap_or(window.rule.limit);
        }
    }

    /// End of the longest window of `kind` that is used up, at the venue's time; if none is by our count, of the
    /// shortest: the venue counts differently and says that it is full.
    pub fn full_until(&mut self, kind: LimitKind, venue_now: Time) -> Option<Time> {
        let (mut full, mut shortest) = (None, None);
        for window in self.windows.iter_mut().filter(|window| window.rule.kind == kind) {
            window.turn_to(venue_now);
            let interval_ns = window.rule.interval_ns;
            shortest = Some(shortest.map_or(interval_ns, |known: i64| known.min(interval_ns)));
            if window.used >= window.rule.limit {
                full = full.max(Some(interval_ns));
            }
        }
        full.or(shortest).map(|interval_ns| window_end(venue_now, interval_ns))
    }

    /// The venue says when the windows of an address end that are full now. Its word counts, not our measure of its
    /// clock: that may be a step ahead, and a full window would stand for one that has not begun.
    pub fn full_ends_at(&mut self, end: Time) {
        let full = |window: &&mut Window| window.rule.kind != LimitKind::Orders && window.used >= window.rule.limit;
        for window in self.windows.iter_mut().filter(full) {
            window.index = end.0.div_euclid(window.rule.interval_ns.max(1)).saturating_sub(1);
        }
    }

    /// The venue said to wait; of two words of one kind the later stands.
    pub fn hold(&mut self, hold: Hold, until: Time) {
        for (_, wait) in self.waits.iter_mut().filter(|(kind, _)| *kind == hold) {
            *wait = (*wait).max(until);
        }
    }

    /// What must not be sent now: the strictest word in force.
    pub fn held(&self, now: Time) -> Hold {
        let in_force = self.waits.iter().filter(|(_, until)| now < *until);
        in_force.map(|(hold, _)| *hold).max().unwrap_or(Hold::None)
    }

    /// End of a ban that is in force.
    pub fn banned_until(&self, now: Time) -> Option<Time> {
        let ban = self.waits.iter().find(|(hold, _)| *hold == Hold::Everything);
        ban.map(|(_, until)| *until).filter(|until| now < *until)
    }
}

impl Window {
    /// A better measured clock may step back over the edge of a window: that empties nothing.
    fn turn_to(&mut self, venue_now: Time) {
        let index = venue_now.0.div_euclid(self.rule.interval_ns.max(1));
        if index != self.index && index.saturating_add(1) != self.index {
            (self.index, self.used) = (index, 0);
        }
    }
}

/// Start of the next aligned window of `interval_ns`.
pub fn window_end(now: Time, interval_ns: i64) -> Time {
    let interval = interval_ns.max(1);
    Time((now.0.div_euclid(interval) + 1).saturating_mul(interval))
}
