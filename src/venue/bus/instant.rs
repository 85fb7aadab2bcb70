//! Instants as text: RFC 3339, or whole nanoseconds since 1970.
//!
//! Thread: any.  Invariants: no input makes it panic; what is no instant of the years 1970 to 2261 is `None`.

use crate::types::Time;
use crate::types::time::NANOS_PER_SEC;

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

/// Reads `1795372200123456789` or `2026-11-22T18:30:00.123456789Z` (also with `+01:00` in place of the `Z`).
pub(super) fn parse(text: &str) -> Option<Time> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Time);
    }
    let (date, rest) = (text.get(..10)?, text.get(11..)?);
    if !matches!(text.get(10..11)?, "T" | "t" | " ") {
        return None;
    }
    let (clock, offset_s) = zone(rest)?;
    let seconds =
        day_of(date)?.checked_mul(86_400)?.checked_add(time_of_day(clock.get(..8)?)?)?.checked_sub(offset_s)?;
    let nanos = fraction(clock.get(8..)?)?;
    seconds.checked_mul(NANOS_PER_SEC)?.checked_add(nanos).filter(|ns| *ns >= 0).map(Time)
}

/// The whole number of exactly `len` digits.
fn number(text: &str, len: usize) -> Option<i64> {
    let is_number = text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// Cuts the zone off; also what it is ahead of UTC by, in seconds.
fn zone(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let at = text.rfind(['+', '-'])?;
    let (clock, zone) = (text.get(..at)?, text.get(at..)?);
    let (hours, minutes) = (number(zone.get(1..3)?, 2)?, number(zone.get(4..)?, 2)?);
    if zone.get(3..4)? != ":" || hours > 23 || minutes > 59 {
        return None;
    }
    let ahead = hours * 3_600 + minutes * 60;
    Some((clock, if zone.starts_with('-') { -ahead } else { ahead }))
}

/// Days since 1970-01-01 of `2026-11-22`, proleptic Gregorian.
fn day_of(text: &str) -> Option<i64> {
    let (year, month, day) = (number(text.get(..4)?, 4)?, number(text.get(5..7)?, 2)?, number(text.get(8..)?, 2)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if text.get(4..5)? != "-" || text.get(7..8)? != "-" || day == 0 || day > length {
        return None;
    }
    // Years that begin in March: the leap day is then their last.
    let year = if month <= 2 { year - 1 } else { year };
    let (month, century) = ((month + 9) % 12, year / 100);
    Some(year * 365 + year / 4 - century + year / 400 + (month * 153 + 2) / 5 + day - 1 - EPOCH_DAYS)
}

/// Seconds of `18:30:00`.
fn time_of_day(text: &str) -> Option<i64> {
    let (hours, minutes) = (number(text.get(..2)?, 2)?, number(text.get(3..5)?, 2)?);
    let seconds = number(text.get(6..)?, 2)?;
    let has_colons = text.get(2..3)? == ":" && text.get(5..6)? == ":";
    let fits = hours <= 23 && minutes <= 59 && seconds <= 59;
    (has_colons && fits).then_some(hours * 3_600 + minutes * 60 + seconds)
}

/// Nanoseconds of `.123`, or of nothing; finer digits are cut.
fn fraction(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let digits = text.strip_prefix('.').filter(|digits| !digits.is_empty())?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let nanos = digits.bytes().chain(std::iter::repeat(b'0')).take(9);
    is_number.then(|| nanos.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_to_the_nanosecond() {
        for (text, ns) in [
            ("0", 0),
            ("1795372200123456789", 1_795_372_200_123_456_789),
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-22T18:30:00Z", 1_795_372_200_000_000_000),
            ("2026-11-22T18:30:00.123456789Z", 1_795_372_200_123_456_789),
            ("2026-11-22T18:30:00.1234567899999z", 1_795_372_200_123_456_789),
            ("2026-11-22 19:30:00.5+01:00", 1_795_372_200_500_000_000),
            ("2026-11-22T13:00:00-05:30", 1_795_372_200_000_000_000),
            ("2000-02-29T00:00:00Z", 951_782_400_000_000_000),
            ("2024-12-31T23:59:59Z", 1_735_689_599_000_000_000),
            ("2261-12-31T00:00:00Z", 9_214_560_000_000_000_000),
        ] {
            assert_eq!(parse(text), Some(Time(ns)), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_none() {
        for text in [
            "",
            "-1",
            "1e9",
            "99999999999999999999",
            "1969-12-31T23:59:59Z",
            "2026-11-22",
            "2026-11-22T18:30:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-10T00:00:00Z",
            "2026-11-00T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T18:60:00Z",
            "2026-11-22T18:30:60Z",
            "2026-11-22T18:30:00.Z",
            "2026-11-22T18:30:00.1x3Z",
            "2026-11-22T18:30:00+1:00",
            "2026-11-22T18:30:00+25:00",
            "2026/11/22T18:30:00Z",
            "+026-11-22T18:30:00Z",
            "9999-11-22T18:30:00Z",
            "2026-11-22T18:30:0é",
            "éééééééééééé",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
