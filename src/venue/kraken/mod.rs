//! Kraken Spot: the public WebSocket (v2) and, as its audit, the REST depth.
//!
//! Thread: any.  Invariants: as of `venue`; the book is told only while its checksum holds.
//! Source: kraken fact sheet, sections 0 to 3 and 5, and recorded frames of 2023 to 2026.
//!
//! A frame's way: [`decode`] → [`feed`] (one connection: what it asked for, its [`book`], its [`checksum`]) →
//! [`session`] (all connections: what is told). [`rest`] looks over the book's shoulder; [`lines`] reads recordings.

pub mod book;
pub mod checksum;
pub mod decode;
pub mod feed;
pub mod lines;
pub mod rest;
pub mod session;

pub use session::{FrameKind, KrakenSession, KrakenSettings, StaleAfter};

use std::fmt;

/// Longest name of a pair.
pub const PAIR_BYTES_MAX: usize = 23;

/// A pair as the WebSocket names it: `SOL/USD`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pair {
    bytes: [u8; PAIR_BYTES_MAX],
    len: u8,
}

impl Pair {
    /// From text; `None` if it is empty, too long, or not letters, digits, `.`, `_`, `-` and `/`.
    pub fn new(text: &str) -> Option<Pair> {
        Pair::of_bytes(text.as_bytes().iter().copied())
    }

    /// From the inside of a JSON string, where a slash may be escaped.
    pub(super) fn of_json(text: &[u8]) -> Option<Pair> {
        Pair::of_bytes(text.iter().copied().filter(|byte| *byte != b'\\'))
    }

    fn of_bytes(text: impl Iterator<Item = u8>) -> Option<Pair> {
        let mut pair = Pair { bytes: [0; PAIR_BYTES_MAX], len: 0 };
        for byte in text {
            let fits = byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/');
            let place = pair.bytes.get_mut(usize::from(pair.len)).filter(|_| fits)?;
            *place = byte;
            pair.len += 1;
        }
        (pair.len > 0).then_some(pair)
    }

    /// As the WebSocket writes it.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.bytes.get(..usize::from(self.len)).unwrap_or_default()).unwrap_or_default()
    }

    /// As REST takes it: no slash, and the old codes of bitcoin and dogecoin.
    pub fn rest_name(&self) -> String {
        let old = |asset: &str| match asset {
            "BTC" => "XBT".to_owned(),
            "DOGE" => "XDG".to_owned(),
            other => other.to_owned(),
        };
        self.as_str().split('/').map(old).collect()
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_read_in_every_spelling_and_named_as_rest_wants_it() {
        let pair = Pair::new("SOL/USD").expect("a pair");
        assert_eq!(Pair::of_json(br"SOL\/USD"), Some(pair));
        assert_eq!((pair.as_str(), pair.rest_name().as_str()), ("SOL/USD", "SOLUSD"));
        assert_eq!(Pair::new("BTC/USD").map(|pair| pair.rest_name()), Some("XBTUSD".to_owned()));
        for bad in ["", "SOL USD", "SOL\"USD", "A234567890123456789012/4"] {
            assert_eq!(Pair::new(bad), None, "{bad}");
        }
    }
}
