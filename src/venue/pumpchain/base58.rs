//! Addresses as text: base58 of 32 bytes.
//!
//! Thread: any.  Invariants: no allocation; no input makes it panic.

/// A 32-byte address: program, mint, pool.
pub type Key = [u8; 32];
/// Longest text of a [`Key`].
pub const TEXT_BYTES_MAX: usize = 44;
/// Shortest.
const TEXT_BYTES_MIN: usize = 32;

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// The text of a key, on the stack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyText {
    bytes: [u8; TEXT_BYTES_MAX],
    len: usize,
}

impl KeyText {
    /// Of a key. Cost: some 700 divisions, for the slow paths only.
    pub fn of(key: &Key) -> KeyText {
        let mut digits = [0_u8; TEXT_BYTES_MAX]; // lowest first
        let mut used = 0;
        for byte in key {
            let mut carry = u32::from(*byte);
            for (at, digit) in digits.iter_mut().enumerate() {
                if at >= used && carry == 0 {
                    break;
                }
                carry += u32::from(*digit) << 8;
                *digit = (carry % 58) as u8;
                carry /= 58;
                used = used.max(at + 1);
            }
        }
        let zeros = key.iter().take_while(|byte| **byte == 0).count();
        let len = (zeros + used).min(TEXT_BYTES_MAX);
        let mut bytes = [b'1'; TEXT_BYTES_MAX];
        let places = bytes.iter_mut().skip(zeros);
        for (place, digit) in places.zip(digits.iter().take(used).rev()) {
            *place = ALPHABET.get(usize::from(*digit)).copied().unwrap_or(b'1');
        }
        KeyText { bytes, len }
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl std::fmt::Display for KeyText {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl std::fmt::Debug for KeyText {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, out)
    }
}

/// The key that a text stands for; `None` if it is none of 32 bytes.
pub fn key_of(text: &[u8]) -> Option<Key> {
    if !is_key(text) {
        return None;
    }
    let mut key = [0_u8; 32];
    for digit in text {
        let mut carry = u32::try_from(ALPHABET.iter().position(|known| known == digit)?).ok()?;
        for byte in key.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return None;
        }
    }
    Some(key)
}

/// Whether a word can be an address.
pub fn is_key(word: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() && !matches!(byte, b'0' | b'O' | b'I' | b'l');
    (TEXT_BYTES_MIN..=TEXT_BYTES_MAX).contains(&word.len()) && word.iter().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::super::{Program, USDC, USDC_TEXT, WSOL, WSOL_TEXT};
    use super::*;

    #[test]
    fn keys_read_as_everybody_writes_them() {
        assert_eq!(KeyText::of(&WSOL).to_string(), WSOL_TEXT);
        assert_eq!(KeyText::of(&USDC).to_string(), USDC_TEXT);
        assert_eq!(KeyText::of(&[0; 32]).to_string(), "1".repeat(32));
        assert_eq!(KeyText::of(&[0xff; 32]).to_string(), "JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFG");
    }

    #[test]
    fn a_text_gives_its_key_back_and_one_that_is_too_large_gives_none() {
        for key in [WSOL, USDC, [0; 32], [0xff; 32]] {
            assert_eq!(key_of(KeyText::of(&key).as_bytes()), Some(key));
        }
        assert_eq!(key_of(b"JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFH"), None, "one more than the largest");
        assert_eq!(key_of(b"log:"), None);
    }

    #[test]
    fn words_that_are_no_address_are_told_apart() {
        for key in [Program::Curve.text(), Program::Amm.text(), WSOL_TEXT, "11111111111111111111111111111111"] {
            assert!(is_key(key.as_bytes()), "{key}");
        }
        for word in
            ["", "log:", "data:", "6EF8rrecthR5Dkzon8Nwu78hRvfCKubJ14M5uBEwF6P0", "6EF8 rrecthR5Dkzon8Nwu78hRvfCKubJ"]
        {
            assert!(!is_key(word.as_bytes()), "{word}");
        }
    }
}
