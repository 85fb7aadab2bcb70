//! RFC 3339 times in UTC, as the slow feeds write them.
//!
//! Thread: any.  Invariants: exact to the nanosecond; finer digits are cut; a date that no calendar has is no time.

use crate::types::Time;
use crate::types::time::NANOS_PER_SEC;

/// Reads `2026-11-22T09:55:11.000Z`, with any number of decimals or none, and `Z`, `+00:00` or, as query services print it,
/// ` UTC` behind them; `None` for anything else.
pub fn rfc3339(text: &str) -> Option<Time> {
    let bytes = text.as_bytes();
    let number = |from: usize, len: usize| -> Option<i64> {
        let digits = bytes.get(from..from + len)?;
        let digit = |sum: i64, byte: &u8| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0'));
        digits.iter().try_fold(0, digit)
    };
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    let is_marked = marks.iter().all(|(at, mark)| bytes.get(*at) == Some(mark));
    if !is_marked || !matches!(bytes.get(10), Some(b'T' | b't' | b' ')) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    if !(1970..=2261).contains(&year)
        || day < 1
        || day > days_in(year, month)?
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let seconds = (days_before(year, month, day) * 24 + hour) * 3_600 + minute * 60 + second;
    Some(Time(seconds * NANOS_PER_SEC + fraction(text.get(19..)?)?))
}

/// Nanoseconds of `.123Z`, and that nothing but UTC follows.
fn fraction(rest: &str) -> Option<i64> {
    let clock = ["Z", "z", "+00:00", " UTC"].iter().find_map(|zone| rest.strip_suffix(zone))?;
    if clock.is_empty() {
        return Some(0);
    }
    let digits =
        clock.strip_prefix('.').filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))?;
    let nine = digits.bytes().chain(std::iter::repeat(b'0')).take(9);
    Some(nine.fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0')))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> Option<i64> {
    match month {
        2 => Some(if is_leap(year) { 29 } else { 28 }),
        4 | 6 | 9 | 11 => Some(30),
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        _ => None,
    }
}

/// Days from 1970-01-01 to this date.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let months: i64 = (1..month).filter_map(|month| days_in(year, month)).sum();
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969) + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn every_day_until_2100_is_the_one_that_another_calendar_says() {
        for day in 0..47_482_u64 {
            let seconds = day * 86_400 + day % 86_400;
            let text = humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
            assert_eq!(rfc3339(&text), Some(Time(seconds as i64 * NANOS_PER_SEC)), "{text}");
        }
    }

    #[test]
    fn decimals_count_and_what_is_no_utc_time_is_none() {
        let base = 1_795_341_311 * NANOS_PER_SEC;
        for (text, nanos) in [
            ("2026-11-22T09:55:11.000Z", 0),
            ("2026-11-22T09:55:11Z", 0),
            ("2026-11-22 09:55:11+00:00", 0),
            ("2026-11-22 09:55:11.000 UTC", 0),
            ("2026-11-22T09:55:11.5Z", 500_000_000),
            ("2026-11-22T09:55:11.1234567899Z", 123_456_789),
        ] {
            assert_eq!(rfc3339(text), Some(Time(base + nanos)), "{text}");
        }
        for text in [
            "",
            "2026-11-22",
            "2026-11-22T09:55:11",
            "2026-11-22T09:55:11+01:00",
            "2026-02-29T09:55:11Z",
            "2026-13-01T09:55:11Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T09:55:11.Z",
            "2026-11-22T09:55:11.x Z",
            "+026-11-22T09:55:11Z",
            "2026-11-22T09:55:é1Z",
            "9999-11-22T09:55:11Z",
            "1795341311",
        ] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
    }
}
