//! USD amounts of the slow feeds: JSON numbers read from their own text, exactly, never through a float.
//!
//! Thread: any.  Invariants: whole digits are never lost: what does not fit is an error; decimals beyond 1e-8 USD are cut.

use serde_json::value::RawValue;

use super::DecodeError;
use crate::types::Notional;
use crate::types::units::DecimalError;

/// Places of a [`Notional`].
const PLACES: i32 = 8;
/// Digits of a mantissa that are kept; more can only be decimals that are cut anyway.
const DIGITS_MAX: u32 = 30;
/// Exponents beyond this are out of range whatever the digits say.
const EXPONENT_MAX: u32 = 60;

/// Reads a JSON number (`61234567`, `27270172.5`, `6.1e7`), or a JSON string that holds one.
///
/// Output: exact to 1e-8 USD, finer decimals cut towards zero.  Errors: [`DecimalError`], `at` within the number.
pub fn parse_usd(json: &str) -> Result<Notional, DecimalError> {
    let text = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(json);
    let (negative, offset, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, 1, digits),
        None => (false, 0, text),
    };
    let (digits, exponent) = match digits.find(['e', 'E']) {
        None => (digits, 0),
        Some(at) => {
            let (mantissa, exponent) = digits.split_at(at);
            (mantissa, parse_exponent(exponent, offset + at)?)
        }
    };
    let (mantissa, decimals) = parse_mantissa(digits, offset)?;
    let shift = PLACES + exponent - decimals;
    let scale = 10_i128.checked_pow(shift.unsigned_abs());
    let value = match (scale, shift < 0) {
        (Some(scale), true) => mantissa / scale,
        (Some(scale), false) => mantissa.checked_mul(scale).ok_or(DecimalError::Range)?,
        (None, true) => 0,
        (None, false) if mantissa == 0 => 0,
        (None, false) => return Err(DecimalError::Range),
    };
    let value = i64::try_from(value).map_err(|_| DecimalError::Range)?;
    Ok(Notional(if negative { -value } else { value }))
}

/// The exponent part, from its `e` on.
fn parse_exponent(text: &str, at: usize) -> Result<i32, DecimalError> {
    let digits = text.get(1..).unwrap_or("");
    let exponent: i32 = digits.parse().map_err(|_| DecimalError::BadByte { at })?;
    if exponent.unsigned_abs() > EXPONENT_MAX { Err(DecimalError::Range) } else { Ok(exponent) }
}

/// Digits with at most one point, as (all digits, how many of them were decimals).
fn parse_mantissa(text: &str, offset: usize) -> Result<(i128, i32), DecimalError> {
    let (mut value, mut kept, mut seen, mut decimals) = (0_i128, 0_u32, 0_u32, None::<i32>);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'.' if decimals.is_none() && seen > 0 => decimals = Some(0),
            b'0'..=b'9' => {
                seen += 1;
                if kept == DIGITS_MAX {
                    decimals.ok_or(DecimalError::Range)?;
                    continue;
                }
                value = value * 10 + i128::from(byte - b'0');
                kept += u32::from(value != 0);
                decimals = decimals.map(|places| places + 1);
            }
            _ => return Err(DecimalError::BadByte { at: offset + at }),
        }
    }
    if seen == 0 { Err(DecimalError::Empty) } else { Ok((value, decimals.unwrap_or(0))) }
}

/// The amount of a JSON value inside `body`; `null` counts as absent.
pub(super) fn usd_in(body: &[u8], value: &RawValue) -> Result<Option<Notional>, DecodeError> {
    match value.get() {
        "null" => Ok(None),
        text => parse_usd(text).map(Some).map_err(|_| DecodeError::BadNumber { at: offset_in(body, text) }),
    }
}

/// What serde says about a body, as a byte offset.
pub(super) fn syntax_at(body: &[u8], error: &serde_json::Error) -> DecodeError {
    let before: usize =
        body.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    DecodeError::Syntax { at: (before + error.column().saturating_sub(1)).min(body.len()) }
}

/// Offset of a text that was borrowed from `body`.
fn offset_in(body: &[u8], part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(body.as_ptr() as usize).min(body.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_numbers_are_read_exactly() {
        for (text, expected) in [
            ("61234567", 6_123_456_700_000_000),
            ("27270172.5", 2_727_017_250_000_000),
            ("0.1", 10_000_000),
            ("91532319.98630136", 9_153_231_998_630_136),
            ("91532319.986301369999999999999999999999999", 9_153_231_998_630_136),
            ("6.1234567e7", 6_123_456_700_000_000),
            ("1E+2", 10_000_000_000),
            ("612345670000e-4", 6_123_456_700_000_000),
            ("1e-50", 0),
            ("0e50", 0),
            ("-3.5", -350_000_000),
            ("\"61234567.12\"", 6_123_456_712_000_000),
            ("92233720368.54775807", i64::MAX),
        ] {
            assert_eq!(parse_usd(text), Ok(Notional(expected)), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in
            ["", "\"\"", "-", ".5", "NaN", "\"Infinity\"", "1.2.3", "1e", "1e5.5", "0x10", "1 000", "true", "[1]"]
        {
            assert!(matches!(parse_usd(text), Err(DecimalError::Empty | DecimalError::BadByte { .. })), "{text}");
        }
        for text in
            ["92233720368.54775808", "1e11", "1e61", "1e-2147483648", "9999999999999999999999999999999999999999"]
        {
            assert_eq!(parse_usd(text), Err(DecimalError::Range), "{text}");
        }
    }
}
