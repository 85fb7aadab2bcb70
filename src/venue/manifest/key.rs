//! Solana addresses: 32 bytes, written in base 58.
//!
//! Thread: any.  Invariants: a text is read whole or not at all; each address has one text.

/// An address.
pub type Key = [u8; 32];

/// Digits of base 58: no zero, no capital O and I, no small l.
const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// Letters that 32 bytes take at most.
const TEXT_MAX: usize = 44;

/// Reads an address; `None` if the text is none.
pub const fn parse(text: &str) -> Option<Key> {
    let mut rest = text.as_bytes();
    if rest.len() > TEXT_MAX {
        return None;
    }
    let mut key: Key = [0; 32];
    let mut ones = 0; // leading ones stand for leading zero bytes, one each
    let mut leading = true;
    while let [letter, tail @ ..] = rest {
        rest = tail;
        let Some(digit) = digit_of(*letter) else { return None };
        leading = leading && digit == 0;
        ones += leading as usize;
        let Some(next) = times_58_plus(key, digit) else { return None };
        key = next;
    }
    if leading_zeros(&key) == ones { Some(key) } else { None }
}

const fn digit_of(letter: u8) -> Option<u32> {
    let (mut rest, mut at): (&[u8], u32) = (ALPHABET, 0);
    while let [first, tail @ ..] = rest {
        if *first == letter {
            return Some(at);
        }
        rest = tail;
        at += 1;
    }
    None
}

/// `key * 58 + digit`; `None` if it does not fit.
const fn times_58_plus(mut key: Key, digit: u32) -> Option<Key> {
    let mut carry = digit;
    let mut rest: &mut [u8] = &mut key;
    while let Some((byte, head)) = rest.split_last_mut() {
        let sum = *byte as u32 * 58 + carry;
        *byte = sum as u8;
        carry = sum >> 8;
        rest = head;
    }
    if carry == 0 { Some(key) } else { None }
}

const fn leading_zeros(key: &Key) -> usize {
    let (mut rest, mut zeros): (&[u8], usize) = (key, 0);
    while let [0, tail @ ..] = rest {
        zeros += 1;
        rest = tail;
    }
    zeros
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_fact_sheet_are_read() {
        assert_eq!(parse("11111111111111111111111111111111"), Some([0; 32]));
        assert_eq!(parse("cGfHiC6Kgg3FpFZvgwGcswsCRtp4aBP2fzuXRQPizuN"), Some([9; 32]));
        assert_eq!(parse("LbUiWL3xVV8hTFYBVdbTNrpDo41NKS6o3LHHuDzjfcY"), Some([5; 32]));
        assert_eq!(parse("CktRuQ2mttgRGkXJtyksdKHjUdc2C4TgDzyB98oEzy8"), Some([3; 32]));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "1111", "111111111111111111111111111111111", "0GfHiC6Kgg3FpFZvgwGcswsCRtp4aBP2fzuXRQPizuN"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"z".repeat(44)), None, "more than 32 bytes hold");
        assert_eq!(parse(&"2".repeat(45)), None);
    }
}
