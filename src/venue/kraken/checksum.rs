//! The book's checksum: CRC-32 (IEEE) over the digits of the ten best levels of each side, as they were sent.
//!
//! Thread: any.  Invariants: a number counts by its digits, without its point and its leading zeros, so the digits as
//! one whole number say all there is; zero has no digits.  Source: kraken fact sheet, section 2.2.

use super::decode::Level;

/// Levels of a side that the checksum covers.
pub const CHECKED_LEVELS: usize = 10;
/// The polynomial, bits reversed.
const POLYNOMIAL: u32 = 0xedb8_8320;
/// What each low byte does to the rest.
const TABLE: [u32; 256] = table();
/// Digits of the largest whole number.
const DIGITS_MAX: usize = 20;

#[allow(clippy::indexing_slicing, reason = "runs at compile time, where `get_mut` cannot; a miss would not compile")]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut rest = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            rest = if rest & 1 == 1 { POLYNOMIAL ^ (rest >> 1) } else { rest >> 1 };
            bit += 1;
        }
        table[byte] = rest;
        byte += 1;
    }
    table
}

/// A CRC-32 under way.
#[derive(Clone, Copy, Debug)]
pub struct Crc32(u32);

impl Default for Crc32 {
    fn default() -> Self {
        Crc32::new()
    }
}

impl Crc32 {
    /// Of nothing yet.
    pub fn new() -> Crc32 {
        Crc32(u32::MAX)
    }

    /// Goes on over `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let low = usize::from(*byte ^ self.0.to_le_bytes()[0]);
            self.0 = TABLE.get(low).copied().unwrap_or_default() ^ (self.0 >> 8);
        }
    }

    /// Goes on over the digits of a whole number; zero has none.
    fn digits(&mut self, mut value: u64) {
        let mut text = [0_u8; DIGITS_MAX];
        let mut from = DIGITS_MAX;
        for place in text.iter_mut().rev() {
            if value == 0 {
                break;
            }
            *place = b'0' + (value % 10) as u8;
            value /= 10;
            from -= 1;
        }
        self.update(text.get(from..).unwrap_or_default());
    }

    /// The checksum.
    pub fn value(self) -> u32 {
        !self.0
    }
}

/// Checksum of a book; levels of each side from the best one on.
pub fn of_book<'a>(asks: impl Iterator<Item = &'a Level>, bids: impl Iterator<Item = &'a Level>) -> u32 {
    let mut crc = Crc32::new();
    for level in asks.take(CHECKED_LEVELS).chain(bids.take(CHECKED_LEVELS)) {
        crc.digits(level.price_digits);
        crc.digits(level.qty_digits);
    }
    crc.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_algorithm_holds() {
        let mut crc = Crc32::new();
        crc.update(b"12345");
        crc.update(b"6789");
        assert_eq!(crc.value(), 0xcbf4_3926, "the check value that every catalogue of checksums lists for CRC-32");
    }

    #[test]
    fn a_number_counts_by_its_digits_and_zero_by_none() {
        let of = |numbers: &[u64]| {
            let mut crc = Crc32::new();
            numbers.iter().for_each(|number| crc.digits(*number));
            crc.value()
        };
        let text = |text: &[u8]| {
            let mut crc = Crc32::new();
            crc.update(text);
            crc.value()
        };
        assert_eq!(of(&[14_237, 0, 7_000_000]), text(b"142377000000"));
        assert_eq!(of(&[u64::MAX]), text(b"18446744073709551615"));
    }
}
