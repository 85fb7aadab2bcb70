//! The byte scanner of the hot decoders: JSON read in place, any key order, numbers straight into fixed point.
//!
//! Thread: any.  Invariants: no allocation and no recursion; a position never passes the end; no input makes it panic:
//! what is wrong is a [`DecodeError`] with its byte. It checks the JSON it walks through, not that text is UTF-8.

use super::DecodeError;
use super::digits::{DIGITS_SAFE, POW10, digits, eight_digits};
use crate::types::units::{DecimalError, parse_decimal};
use crate::types::{Price, Qty};

/// Nesting that [`Scanner::skip`] follows; no venue sends a tenth of it.
pub const DEPTH_MAX: u32 = 64;

/// A position in a frame.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    /// At the first byte of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// At byte `at` of `bytes`: where an earlier pass left a value for later.
    pub fn starting_at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Offset of the next byte.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next byte that is not white space, unread.
    #[inline]
    pub fn peek(&mut self) -> Result<u8, DecodeError> {
        match self.bytes.get(self.at) {
            Some(byte) if *byte > b' ' => Ok(*byte),
            _ => self.peek_behind_space(),
        }
    }

    /// The same where white space, or the end, comes first: no venue sends any, so it is out of the way.
    #[cold]
    fn peek_behind_space(&mut self) -> Result<u8, DecodeError> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(DecodeError::Truncated { at: self.bytes.len() }),
            }
        }
    }

    /// Reads `want` or fails.
    #[inline]
    pub fn expect(&mut self, want: u8) -> Result<(), DecodeError> {
        if self.peek()? != want {
            return Err(DecodeError::Syntax { at: self.at });
        }
        self.at += 1;
        Ok(())
    }

    /// Reads `want` if it comes next.
    #[inline]
    fn take(&mut self, want: u8) -> Result<bool, DecodeError> {
        let found = self.peek()? == want;
        self.at += usize::from(found);
        Ok(found)
    }

    /// Walks an object: `field` is called at each value and must read it whole (or [`Scanner::skip`] it).
    #[inline]
    pub fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, &'a [u8]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        self.expect(b'{')?;
        if self.take(b'}')? {
            return Ok(());
        }
        loop {
            let key = self.key()?;
            field(self, key)?;
            if self.take(b'}')? {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    /// The next key and its colon; most keys of the hot frames are one letter, so that goes first.
    #[inline]
    fn key(&mut self) -> Result<&'a [u8], DecodeError> {
        match self.ahead() {
            Some([b'"', letter, b'"', b':']) if !matches!(letter, b'"' | b'\\' | 0..0x20) => {
                self.at += 4;
                Ok(std::slice::from_ref(letter))
            }
            _ => self.long_key(),
        }
    }

    fn long_key(&mut self) -> Result<&'a [u8], DecodeError> {
        let key = self.string()?;
        self.expect(b':')?;
        Ok(key)
    }

    /// The next `N` bytes, unread; `None` if there are fewer.
    #[inline]
    fn ahead<const N: usize>(&self) -> Option<&'a [u8; N]> {
        self.bytes.get(self.at..)?.first_chunk()
    }

    /// Walks an array: `item` is called at each value and must read it whole.
    #[inline]
    pub fn array(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), DecodeError>) -> Result<(), DecodeError> {
        self.expect(b'[')?;
        if self.take(b']')? {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.take(b']')? {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    /// Text between quotes as it stands: escapes are stepped over, not translated.
    #[inline]
    pub fn string(&mut self) -> Result<&'a [u8], DecodeError> {
        self.expect(b'"')?;
        let from = self.at;
        let mut to = from;
        loop {
            match self.bytes.get(to) {
                Some(b'"') => break,
                Some(b'\\') => to += 2,
                Some(0..0x20) => return Err(DecodeError::Syntax { at: to }),
                Some(_) => to += 1,
                None => return Err(DecodeError::Truncated { at: self.bytes.len() }),
            }
        }
        self.at = to + 1;
        Ok(self.bytes.get(from..to).unwrap_or_default())
    }

    /// Text between quotes, or `None` for `null`.
    pub fn string_or_null(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        if self.peek()? == b'n' {
            return self.word(b"null").map(|()| None);
        }
        self.string().map(Some)
    }

    /// `true` or `false`.
    #[inline]
    pub fn boolean(&mut self) -> Result<bool, DecodeError> {
        match self.peek()? {
            b't' => self.word(b"true").map(|()| true),
            b'f' => self.word(b"false").map(|()| false),
            _ => Err(DecodeError::Syntax { at: self.at }),
        }
    }

    /// A whole number that is not negative.
    #[inline]
    pub fn unsigned(&mut self) -> Result<u64, DecodeError> {
        self.peek()?;
        let from = self.at;
        match self.decimal_usual(0) {
            Some(value) => u64::try_from(value).map_err(|_| DecodeError::BadNumber { at: from }),
            None => self.unsigned_slow(),
        }
    }

    /// The same for 19 and 20 digits: up to `u64::MAX`, which chains write where they mean "never".
    #[cold]
    fn unsigned_slow(&mut self) -> Result<u64, DecodeError> {
        let from = self.at;
        let rest = self.bytes.get(from..).unwrap_or_default();
        let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if len == 0 || matches!(rest.get(len), None | Some(b'.' | b'e' | b'E' | b'-' | b'+')) {
            let value = self.decimal_slow(0)?;
            return u64::try_from(value).map_err(|_| DecodeError::BadNumber { at: from });
        }
        let digits = rest.get(..len).unwrap_or_default();
        let value =
            digits.iter().try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
        self.at += len;
        value.ok_or(DecodeError::BadNumber { at: from })
    }

    /// A whole number.
    #[inline]
    pub fn integer(&mut self) -> Result<i64, DecodeError> {
        self.peek()?;
        self.decimal_here(0)
    }

    /// A price, quoted or bare.
    #[inline]
    pub fn price(&mut self) -> Result<Price, DecodeError> {
        self.decimal(8).map(Price)
    }

    /// A size, quoted or bare.
    #[inline]
    pub fn qty(&mut self) -> Result<Qty, DecodeError> {
        self.decimal(9).map(Qty)
    }

    /// A decimal, quoted or bare, as an integer of `decimals` places (9 at most): exact or refused, never rounded.
    #[inline]
    pub fn decimal(&mut self, decimals: u32) -> Result<i64, DecodeError> {
        if !self.take(b'"')? {
            return self.decimal_here(decimals);
        }
        let value = self.decimal_here(decimals)?;
        match self.bytes.get(self.at) {
            Some(b'"') => self.at += 1,
            Some(_) => return Err(DecodeError::BadNumber { at: self.at }),
            None => return Err(DecodeError::Truncated { at: self.bytes.len() }),
        }
        Ok(value)
    }

    /// The digits that start at this very byte: the usual number fast, any other the exact, slow way.
    #[inline]
    fn decimal_here(&mut self, decimals: u32) -> Result<i64, DecodeError> {
        match self.decimal_usual(decimals) {
            Some(value) => Ok(value),
            None => self.decimal_slow(decimals),
        }
    }

    /// The usual number in one pass, eight digits behind the point in one step; `None`, and nothing read, for any other. (An `Option` travels in registers, a `Result` not.)
    fn decimal_usual(&mut self, decimals: u32) -> Option<i64> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let (mut value, mut len) = digits(rest, 0);
        let mut places = 0;
        if let (1.., Some(b'.')) = (len, rest.get(len)) {
            let fraction = rest.get(len + 1..).unwrap_or_default();
            match fraction.first_chunk().and_then(|chunk| eight_digits(*chunk)) {
                Some(eight) => {
                    let (all, more) = digits(
                        fraction.get(8..).unwrap_or_default(),
                        value.wrapping_mul(100_000_000).wrapping_add(eight),
                    );
                    (value, places) = (all, 8 + more);
                }
                None => (value, places) = digits(fraction, value),
            }
            len += 1 + places;
        }
        let ended = !matches!(rest.get(len), Some(b'-' | b'+' | b'.' | b'e' | b'E'));
        if len == 0 || len > DIGITS_SAFE || !ended {
            return None;
        }
        let scale = POW10.get((decimals as usize).checked_sub(places)?)?;
        let value = i64::try_from(value).ok()?.checked_mul(*scale)?;
        self.at += len;
        Some(value)
    }

    /// The same for signs, many digits and zeros beyond the unit.
    #[cold]
    fn decimal_slow(&mut self, decimals: u32) -> Result<i64, DecodeError> {
        let from = self.at;
        let rest = self.bytes.get(from..).unwrap_or_default();
        let is_number = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let len = rest.iter().take_while(is_number).count();
        if len == rest.len() {
            return Err(DecodeError::Truncated { at: self.bytes.len() });
        }
        let value = parse_decimal(rest.get(..len).unwrap_or_default(), decimals).map_err(|error| match error {
            DecimalError::BadByte { at } | DecimalError::TooFine { at } => DecodeError::BadNumber { at: from + at },
            DecimalError::Empty | DecimalError::Range => DecodeError::BadNumber { at: from },
        })?;
        self.at += len;
        Ok(value)
    }

    /// Reads exactly `word`.
    fn word(&mut self, word: &'static [u8]) -> Result<(), DecodeError> {
        for want in word {
            match self.bytes.get(self.at) {
                Some(byte) if byte == want => self.at += 1,
                Some(_) => return Err(DecodeError::Syntax { at: self.at }),
                None => return Err(DecodeError::Truncated { at: self.bytes.len() }),
            }
        }
        Ok(())
    }

    /// Steps over one value of any kind, nested at most [`DEPTH_MAX`] deep.
    pub fn skip(&mut self) -> Result<(), DecodeError> {
        let mut open = 0_u64; // one bit a level, the innermost lowest: 1 = object, 0 = array
        let mut depth = 0_u32;
        loop {
            let byte = self.peek()?;
            match byte {
                b'{' | b'[' => {
                    if depth == DEPTH_MAX {
                        return Err(DecodeError::Syntax { at: self.at });
                    }
                    self.at += 1;
                    depth += 1;
                    open = open << 1 | u64::from(byte == b'{');
                    if !self.take(if byte == b'{' { b'}' } else { b']' })? {
                        self.skip_key(open)?;
                        continue;
                    }
                    depth -= 1;
                    open >>= 1;
                }
                _ => self.skip_scalar(byte)?,
            }
            while depth > 0 && self.take(if open & 1 == 1 { b'}' } else { b']' })? {
                depth -= 1;
                open >>= 1;
            }
            if depth == 0 {
                return Ok(());
            }
            self.expect(b',')?;
            self.skip_key(open)?;
        }
    }

    /// Inside an object, steps over the next key.
    #[inline]
    fn skip_key(&mut self, open: u64) -> Result<(), DecodeError> {
        if open & 1 == 1 {
            self.string()?;
            self.expect(b':')?;
        }
        Ok(())
    }

    fn skip_scalar(&mut self, first: u8) -> Result<(), DecodeError> {
        match first {
            b'"' => self.string().map(|_| ()),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            b'-' | b'0'..=b'9' => {
                while let Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E') = self.bytes.get(self.at) {
                    self.at += 1;
                }
                Ok(())
            }
            _ => Err(DecodeError::Syntax { at: self.at }),
        }
    }

    /// Nothing but white space may follow.
    pub fn end(&mut self) -> Result<(), DecodeError> {
        match self.peek() {
            Ok(_) => Err(DecodeError::Syntax { at: self.at }),
            Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qty(text: &str) -> Result<i64, DecodeError> {
        Scanner::new(text.as_bytes()).qty().map(|qty| qty.0)
    }

    #[test]
    fn decimals_come_out_exact_or_not_at_all() {
        assert_eq!(qty("\"31.21000000\""), Ok(31_210_000_000));
        assert_eq!(qty("0.000000001,"), Ok(1));
        assert_eq!(qty("\"1.00000000000000000000\""), Ok(1_000_000_000));
        assert_eq!(qty("\"-28.23\""), Ok(-28_230_000_000));
        assert_eq!(qty("\"0.0000000001\""), Err(DecodeError::BadNumber { at: 12 }));
        assert_eq!(qty("\"92233720368.54775807\""), Err(DecodeError::BadNumber { at: 1 }));
        assert_eq!(qty("\"9223372036.854775807\""), Ok(i64::MAX));
        for bad in ["\"\"", "\".5\"", "\"1e5\"", "\"+1\"", "\"1.2.3\"", "\"--1\"", "\"1 \"", "\"0x1\"", "-,"] {
            assert!(matches!(qty(bad), Err(DecodeError::BadNumber { .. })), "{bad} must not be a number");
        }
    }

    #[test]
    fn whole_numbers_reach_as_far_as_u64_does() {
        let unsigned = |text: &str| Scanner::new(text.as_bytes()).unsigned();
        assert_eq!(unsigned("9007199254740993,"), Ok(9_007_199_254_740_993));
        assert_eq!(unsigned("18446744073709551615}"), Ok(u64::MAX));
        for bad in ["18446744073709551616,", "-1,", "1.5,", "1e3,", ",", "99999999999999999999999,"] {
            assert!(matches!(unsigned(bad), Err(DecodeError::BadNumber { at: 0..=2 })), "{bad}: {:?}", unsigned(bad));
        }
        assert_eq!(unsigned("12345678901234567890"), Err(DecodeError::Truncated { at: 20 }));
    }

    #[test]
    fn a_number_cut_off_by_the_end_of_a_quoted_text_is_truncated() {
        assert_eq!(qty("\"12.5"), Err(DecodeError::Truncated { at: 5 }));
        assert_eq!(qty("\""), Err(DecodeError::Truncated { at: 1 }));
    }

    #[test]
    fn skip_steps_over_nested_values_and_lands_behind_them() {
        for value in ["{}", "[]", "[[],{}]", r#"{"a":[1,{"b":"}\"]"}],"c":null}"#, "-1.5e+7", "true", r#""x\\""#] {
            let text = format!("{value},7");
            let mut scan = Scanner::new(text.as_bytes());
            assert_eq!(scan.skip(), Ok(()), "{value}");
            assert_eq!(scan.at(), value.len(), "{value}");
        }
        for broken in ["{]", "[}", "[1,]", r#"{"a"}"#, r#"{"a":1,}"#, "[1 2]", "nul,", "?"] {
            let text = format!("{broken},7");
            assert!(Scanner::new(text.as_bytes()).skip().is_err(), "{broken} must not pass");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels) + ",";
        assert_eq!(Scanner::new(deep(64).as_bytes()).skip(), Ok(()));
        assert_eq!(Scanner::new(deep(65).as_bytes()).skip(), Err(DecodeError::Syntax { at: 64 }));
    }

    #[test]
    fn objects_are_walked_in_any_order_with_white_space() {
        let mut seen = Vec::new();
        let mut scan = Scanner::new(b" { \"a\" : 1 , \"b\" : [ true , false ] , \"c\" : { } } ");
        let walked = scan.object(|scan, key| {
            seen.push(key.to_vec());
            if key == b"a" { scan.integer().map(|value| assert_eq!(value, 1)) } else { scan.skip() }
        });
        assert_eq!((walked, scan.end()), (Ok(()), Ok(())));
        assert_eq!(seen, [b"a".to_vec(), b"b".to_vec(), b"c".to_vec()]);
    }
}
