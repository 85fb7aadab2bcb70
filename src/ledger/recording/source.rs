//! Names of sources: one word, never a secret.
//!
//! Thread: any.  Invariants: a clean name is not empty, at most [`SOURCE_BYTES_MAX`] bytes of `[A-Za-z0-9_:#/.?=&%+,-]`.

use std::borrow::Cow;

/// Longest name; what is beyond it is cut.
pub const SOURCE_BYTES_MAX: usize = 200;
/// Parts of a query whose values are keys.
const SECRET_KEYS: [&str; 10] = [
    "api-key",
    "apikey",
    "api_key",
    "token",
    "access_token",
    "auth",
    "key",
    "secret",
    "signature",
    "x_cg_demo_api_key",
];
/// Stands where a secret stood.
const HIDDEN: &str = "-";

/// The name as it may be written: secrets of its query hidden, other characters than those allowed replaced by `_`.
pub fn clean_source(name: &str) -> Cow<'_, str> {
    let sound = !name.is_empty() && name.len() <= SOURCE_BYTES_MAX && name.bytes().all(is_allowed);
    if sound && !name.contains(['=', '%']) {
        return Cow::Borrowed(name);
    }
    let mut clean: String =
        hide_secrets(name).bytes().map(|b| if is_allowed(b) { char::from(b) } else { '_' }).collect();
    clean.truncate(SOURCE_BYTES_MAX);
    if clean.is_empty() {
        clean.push('_');
    }
    Cow::Owned(clean)
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_:#/.?=&%+,-".contains(&byte)
}

/// `…?a=1&api-key=x` becomes `…?a=1&api-key=-`, however the key is spelt or escaped.
fn hide_secrets(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for part in name.split_inclusive(['?', '&', '#', ';']) {
        let (body, mark) = match part.char_indices().last() {
            Some((at, mark @ ('?' | '&' | '#' | ';'))) => (&part[..at], &part[at..at + mark.len_utf8()]),
            _ => (part, ""),
        };
        match body.split_once('=') {
            Some((key, _)) if is_secret(key) => {
                out.push_str(key);
                out.push('=');
                out.push_str(HIDDEN);
            }
            _ => out.push_str(body),
        }
        out.push_str(mark);
    }
    out
}

fn is_secret(key: &str) -> bool {
    let plain = key.to_ascii_lowercase().replace("%2d", "-").replace("%5f", "_");
    // A key that is still escaped is nobody's plain word: better hidden once too often.
    plain.contains('%') || SECRET_KEYS.contains(&plain.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_query_are_hidden_and_the_rest_stays() {
        let names = [
            ("binance_stream", "binance_stream"),
            ("solana_ws#2", "solana_ws#2"),
            ("solana_ws:/?api-key=ab12", "solana_ws:/?api-key=-"),
            ("jupiter:/swap/quote?amount=5&API-KEY=x&slippage=1", "jupiter:/swap/quote?amount=5&API-KEY=-&slippage=1"),
            ("x:/a?token=abc=def", "x:/a?token=-"),
            ("x:/a?api%2Dkey=abc", "x:/a?api%2Dkey=-"),
            ("x:/a?%61pikey=abc", "x:/a?%61pikey=-"),
            ("x:/a?symbol=SOLUSDT", "x:/a?symbol=SOLUSDT"),
            ("two words\nand a line", "two_words_and_a_line"),
            ("", "_"),
        ];
        for (name, clean) in names {
            assert_eq!(clean_source(name), clean);
        }
        assert_eq!(clean_source(&"é".repeat(SOURCE_BYTES_MAX)).len(), SOURCE_BYTES_MAX);
    }
}
