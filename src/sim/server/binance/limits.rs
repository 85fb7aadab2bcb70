//! Request weight: counted by the wall-clock minute, refused above the limit, banned for not listening.
//!
//! Thread: any.  Invariants: windows are aligned to the clock; a successful order request costs nothing.

use super::error::ApiError;
use crate::sim::server::json::Obj;
use crate::types::Time;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};

/// Weight allowed in a minute.
pub const WEIGHT_PER_MINUTE_MAX: u32 = 6_000;
/// Refused requests in one minute before the ban.
const REFUSALS_BEFORE_BAN: u32 = 20;
/// Length of the first ban.
const BAN_NS: i64 = 120 * NANOS_PER_SEC;
const MINUTE_NS: i64 = 60 * NANOS_PER_SEC;

/// The weight used by this address.
#[derive(Default)]
pub struct Weight {
    minute: i64,
    used: u32,
    refused: u32,
    banned_until: Time,
}

impl Weight {
    /// Counts `weight`. Errors: 429 with the wait until the minute ends, 418 with the wait until the ban ends.
    pub fn charge(&mut self, weight: u32, now: Time) -> Result<(), ApiError> {
        let minute = now.0.div_euclid(MINUTE_NS);
        if minute != self.minute {
            (self.minute, self.used, self.refused) = (minute, 0, 0);
        }
        if now < self.banned_until {
            return Err(wait(418, self.banned_until, now));
        }
        self.used = self.used.saturating_add(weight);
        if self.used <= WEIGHT_PER_MINUTE_MAX {
            return Ok(());
        }
        self.refused += 1;
        if self.refused > REFUSALS_BEFORE_BAN {
            self.banned_until = now.plus(BAN_NS);
            return Err(wait(418, self.banned_until, now));
        }
        Err(wait(429, Time((minute + 1) * MINUTE_NS), now))
    }
    /// Counts what somebody else at our address used up, as far as the limit.
    pub fn used_by_others(&mut self, weight: u32, now: Time) {
        let minute = now.0.div_euclid(MINUTE_NS);
        if minute != self.minute {
            (self.minute, self.used, self.refused) = (minute, 0, 0);
        }
        self.used = self.used.saturating_add(weight).min(WEIGHT_PER_MINUTE_MAX);
    }
    /// Refuses everything until then.
    pub fn ban(&mut self, until: Time) {
        self.banned_until = until;
    }
    /// Gives back what a successful order request was charged.
    pub fn refund(&mut self, weight: u32) {
        self.used = self.used.saturating_sub(weight);
    }
    /// Used in this minute.
    pub fn used(&self) -> u32 {
        self.used
    }
}

fn wait(status: u16, until: Time, now: Time) -> ApiError {
    let msg = match status {
        418 => format!("Way too much request weight used; IP banned until {}.", until.millis().0),
        _ => format!(
            "Too much request weight used; current limit is {WEIGHT_PER_MINUTE_MAX} request weight per 1 MINUTE."
        ),
    };
    let data = Obj::new().int("serverTime", now.millis().0).int("retryAfter", until.millis().0).end();
    let wait_s = (until.since(now) + NANOS_PER_SEC - NANOS_PER_MILLI) / NANOS_PER_SEC;
    ApiError { status, code: -1003, msg, data: Some(data), retry_after_s: Some(wait_s.max(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_above_the_limit_is_refused_until_the_minute_ends_and_hammering_is_banned() {
        let mut weight = Weight::default();
        let at = Time(90 * NANOS_PER_SEC);
        assert_eq!(weight.charge(6_000, at), Ok(()));
        let refusal = weight.charge(1, at).expect_err("over the limit");
        assert_eq!((refusal.status, refusal.retry_after_s), (429, Some(30)));
        assert_eq!(weight.charge(1, at.plus(30 * NANOS_PER_SEC)), Ok(()), "a new minute");
        let late = at.plus(31 * NANOS_PER_SEC);
        let statuses: Vec<u16> =
            (0..22).map(|_| weight.charge(6_000, late).map_or_else(|e| e.status, |()| 200)).collect();
        assert_eq!((statuses.first(), statuses.last()), (Some(&429), Some(&418)));
        assert_eq!(weight.charge(1, late.plus(60 * NANOS_PER_SEC)).map_err(|error| error.status), Err(418));
    }
}
