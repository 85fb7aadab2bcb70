//! Who asks, and when: keys, signatures, the time window.
//!
//! Thread: any.  Invariants: a signature covers exactly the bytes that were sent (REST) or the sorted values (WebSocket).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{hmac, signature};

use super::error::ApiError;
use super::params::Params;
use crate::sim::scenario::Keys;
use crate::types::Time;
use crate::types::time::NANOS_PER_MILLI;

/// How far ahead a request's clock may run.
const AHEAD_MS: i64 = 1_000;
/// Further ahead it is not a timestamp.
const ABSURD_MS: i64 = 10_000;
/// 2017-01-01, before which the venue did not exist.
const EPOCH_MS: i64 = 1_483_228_800_000;
const RECV_WINDOW_MS: i64 = 5_000;
const RECV_WINDOW_MS_MAX: i64 = 60_000;
/// From here on a timestamp is in microseconds.
const MICROS_FROM: i64 = 100_000_000_000_000;

/// A key the venue knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Signs with a shared secret; may not log on.
    Hmac,
    /// Signs with a private key.
    Ed25519,
}

/// The keys of the account.
pub struct KeyRing {
    keys: Keys,
    hmac: hmac::Key,
    ed25519: Vec<u8>,
}

impl KeyRing {
    /// From a scenario's keys.
    pub fn new(keys: &Keys) -> KeyRing {
        let nibble = |at: usize| keys.ed25519_public.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        KeyRing {
            keys: keys.clone(),
            hmac: hmac::Key::new(hmac::HMAC_SHA256, keys.hmac_secret.as_bytes()),
            ed25519: (0..32).map(|at| nibble(at * 2).unwrap_or(0)).collect(),
        }
    }

    /// Which kind of key this is. Errors: -2014 for none, -2015 for one that is not known.
    pub fn kind(&self, api_key: Option<&str>) -> Result<KeyKind, ApiError> {
        match api_key {
            None | Some("") => Err(ApiError { status: 401, ..ApiError::new(-2014, "API-key format invalid.") }),
            Some(key) if key == self.keys.hmac_key => Ok(KeyKind::Hmac),
            Some(key) if key == self.keys.ed25519_key => Ok(KeyKind::Ed25519),
            Some(_) => {
                let msg = "Invalid API-key, IP, or permissions for action.";
                Err(ApiError { status: 401, ..ApiError::new(-2015, msg) })
            }
        }
    }

    /// Checks `signature` over `payload`. Errors: -1022.
    pub fn verify(&self, kind: KeyKind, payload: &str, signature: &str) -> Result<(), ApiError> {
        let good = match kind {
            KeyKind::Hmac => {
                unhex(signature).is_some_and(|tag| hmac::verify(&self.hmac, payload.as_bytes(), &tag).is_ok())
            }
            KeyKind::Ed25519 => STANDARD.decode(signature).is_ok_and(|tag| {
                let key = signature::UnparsedPublicKey::new(&signature::ED25519, &self.ed25519);
                key.verify(payload.as_bytes(), &tag).is_ok()
            }),
        };
        if good { Ok(()) } else { Err(ApiError::new(-1022, "Signature for this request is not valid.")) }
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len() / 2).map(|at| u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()).collect()
}

/// Checks `timestamp` and `recvWindow` against the venue's clock. Errors: -1102, -1021 with both texts.
pub fn in_time(params: &Params, now: Time) -> Result<(), ApiError> {
    params.need("timestamp")?;
    let sent = params.int("timestamp")?.unwrap_or(0);
    let sent_ms = if sent >= MICROS_FROM { sent / 1_000 } else { sent };
    let window_ns = match params.get("recvWindow") {
        None => RECV_WINDOW_MS * NANOS_PER_MILLI,
        Some(text) => crate::types::units::parse_decimal(text.as_bytes(), 3)
            .map(|micros| micros.saturating_mul(1_000))
            .map_err(|_| ApiError::illegal("recvWindow", r"^\d+(\.\d{1,3})?$"))?,
    };
    if !(0..=RECV_WINDOW_MS_MAX * NANOS_PER_MILLI).contains(&window_ns) {
        return Err(ApiError::new(-1131, "recvWindow must be less than 60000."));
    }
    let now_ms = now.millis().0;
    if sent_ms < EPOCH_MS || sent_ms - now_ms > ABSURD_MS {
        return Err(ApiError::illegal("timestamp", "^[0-9]{1,20}$"));
    }
    if sent_ms - now_ms >= AHEAD_MS {
        let msg = "Timestamp for this request was 1000ms ahead of the server's time.";
        return Err(ApiError::new(-1021, msg));
    }
    if now.0 - sent_ms * NANOS_PER_MILLI > window_ns.saturating_add(NANOS_PER_MILLI - 1) {
        return Err(ApiError::new(-1021, "Timestamp for this request is outside of the recvWindow."));
    }
    Ok(())
}

/// Splits `signature=…` out of what a REST client sent: the signed bytes as they stand, and the signature, decoded.
pub fn split_rest_signature(query: &str, body: &str) -> (String, Option<String>) {
    let mut signature = None;
    let mut strip = |part: &str| {
        let kept: Vec<&str> = part
            .split('&')
            .filter(|pair| match pair.strip_prefix("signature=") {
                Some(value) => {
                    signature = Some(crate::sim::server::http::percent_decode(&value.replace('+', "%2B")));
                    false
                }
                None => true,
            })
            .collect();
        kept.join("&")
    };
    let payload = format!("{}{}", strip(query), strip(body));
    (payload, signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Millis;

    const R1: &str = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559";
    const E3: &str = "symbol=SOLUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1.500&price=150.25&recvWindow=5000&timestamp=1700000000000";

    #[test]
    fn the_venues_own_signature_vectors_are_accepted_and_a_changed_byte_is_not() {
        let ring = KeyRing::new(&Keys::default());
        let hmac = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";
        assert_eq!(ring.verify(KeyKind::Hmac, R1, hmac), Ok(()));
        assert_eq!(ring.verify(KeyKind::Hmac, R1, &hmac.to_uppercase()), Ok(()));
        assert_eq!(ring.verify(KeyKind::Hmac, E3, hmac).map_err(|error| error.code), Err(-1022));
        let ed25519 = "wxA7ebVITRs7wEX2hJD5OaF7X2l1KDq0gAw5fnWzyS0N0oNqZQi4kclsC6Byv/sbZwnQB4SQdv/kfUhZ/gQKBA==";
        assert_eq!(ring.verify(KeyKind::Ed25519, E3, ed25519), Ok(()));
        assert_eq!(ring.verify(KeyKind::Ed25519, R1, ed25519).map_err(|error| error.code), Err(-1022));
    }

    #[test]
    fn query_and_body_are_signed_without_a_seam() {
        let (payload, signature) = split_rest_signature("a=1&b=2", "c=3&signature=x%2By%3D%3D");
        assert_eq!((payload.as_str(), signature.as_deref()), ("a=1&b=2c=3", Some("x+y==")));
        let (payload, signature) = split_rest_signature("a=1&signature=ab", "");
        assert_eq!((payload.as_str(), signature.as_deref()), ("a=1", Some("ab")));
    }

    #[test]
    fn the_time_window_is_exact_on_both_sides() {
        let now = Time::from_millis(Millis(1_700_000_010_000));
        let check = |ms: i64, window: &str| {
            let query = format!("timestamp={ms}&recvWindow={window}");
            in_time(&Params::of_form(&query, ""), now).map_err(|error| error.msg)
        };
        assert_eq!(check(1_700_000_005_000, "5000"), Ok(()));
        assert!(check(1_700_000_004_998, "5000").is_err_and(|msg| msg.contains("outside of the recvWindow")));
        assert_eq!(check(1_700_000_010_999, "5000"), Ok(()));
        assert!(check(1_700_000_011_000, "5000").is_err_and(|msg| msg.contains("1000ms ahead")));
        assert!(check(1_700_000_010_000, "60001").is_err());
    }
}
