//! Decimal digits into integers, several at a time.
//!
//! Thread: any.  Invariants: no input makes it panic; what is not a digit ends the number.

/// Digits (a point counts as one) that fit an `i64` whatever they are.
pub(super) const DIGITS_SAFE: usize = 18;
/// Powers of ten up to what [`DIGITS_SAFE`] digits may be scaled by.
pub(super) const POW10: [i64; 10] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// Appends the leading digits of `text` to `value`; also how many there are. Wraps if they are too many.
#[inline]
pub(super) fn digits(text: &[u8], mut value: u64) -> (u64, usize) {
    let mut len = 0;
    while let Some(byte @ b'0'..=b'9') = text.get(len) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        len += 1;
    }
    (value, len)
}

/// The value of eight digits, three multiplications in all: pairs, then fours, then eight. `None` if one is no digit.
#[inline]
pub(super) fn eight_digits(text: [u8; 8]) -> Option<u64> {
    let bytes = u64::from_le_bytes(text);
    let high = bytes & 0xf0f0_f0f0_f0f0_f0f0;
    let high_plus_six = bytes.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0;
    if high | high_plus_six >> 4 != 0x3333_3333_3333_3333 {
        return None;
    }
    let pairs = (bytes & 0x0f0f_0f0f_0f0f_0f0f).wrapping_mul(2_561) >> 8;
    let fours = (pairs & 0x00ff_00ff_00ff_00ff).wrapping_mul(6_553_601) >> 16;
    Some((fours & 0x0000_ffff_0000_ffff).wrapping_mul(42_949_672_960_001) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_digits_are_read_as_one_by_one_and_any_other_byte_is_found() {
        for number in (0..100_000_000_u64).step_by(7_919) {
            let text = format!("{number:08}");
            assert_eq!(text.as_bytes().first_chunk().and_then(|chunk| eight_digits(*chunk)), Some(number));
        }
        for at in 0..8 {
            for byte in (0..=255_u8).filter(|byte| !byte.is_ascii_digit()) {
                let mut text = *b"12345678";
                if let Some(place) = text.get_mut(at) {
                    *place = byte;
                }
                assert_eq!(eight_digits(text), None, "{byte:#x} at {at}");
            }
        }
    }
}
