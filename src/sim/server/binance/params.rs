//! Parameters of a Binance request, from a query, a form body or a JSON object, with the venue's complaints.
//!
//! Thread: any.  Invariants: a value is the text that was sent; a decimal is read exactly or refused.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::error::ApiError;
use crate::sim::server::http::percent_decode;
use crate::types::{Notional, Price, Qty};

/// Decimals that amounts may have.
const DECIMALS_MAX: usize = 8;

/// Names and values.
#[derive(Clone, Debug, Default)]
pub struct Params {
    values: BTreeMap<String, String>,
}

impl Params {
    /// From a query and a form body; the query wins on a duplicate.
    pub fn of_form(query: &str, body: &str) -> Params {
        let mut values = BTreeMap::new();
        for pair in body.split('&').chain(query.split('&')).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            values.insert(percent_decode(name), percent_decode(value));
        }
        Params { values }
    }

    /// From a JSON object; a number keeps its digits as sent. Errors: -1130 for a value that is an object.
    pub fn of_json(object: &BTreeMap<String, Box<RawValue>>) -> Result<Params, ApiError> {
        let mut values = BTreeMap::new();
        for (name, raw) in object {
            let text = match raw.get().as_bytes().first() {
                Some(b'"') => serde_json::from_str::<String>(raw.get()).map_err(|_| ApiError::bad_value(name))?,
                Some(b'{') => return Err(ApiError::bad_value(name)),
                _ => raw.get().to_owned(),
            };
            values.insert(name.clone(), text);
        }
        Ok(Params { values })
    }

    /// The text that a WebSocket request signs: all but the signature, sorted, not encoded.
    pub fn signed_text(&self) -> String {
        let pairs = self.values.iter().filter(|(name, _)| *name != "signature");
        pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }

    /// A value, absent if not sent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// A value that must be there. Errors: -1102.
    pub fn need(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| ApiError::missing(name))
    }

    /// A whole number. Errors: -1100.
    pub fn int(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| ApiError::illegal(name, "^[0-9]{1,20}$")),
        }
    }

    /// `true` or `false`. Errors: -1130.
    pub fn bool(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(ApiError::bad_value(name)),
        }
    }

    /// A word of a closed list. Errors: as `refuse` words them.
    pub fn word<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        refuse: impl Fn() -> ApiError,
    ) -> Result<Option<T>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(text) => parse(text).map(Some).ok_or_else(refuse),
        }
    }

    fn decimal(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if !plain || text.len() > 40 {
            return Err(ApiError::illegal(name, r"^([0-9]{1,20})(\.[0-9]{1,20})?$"));
        }
        let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
        if fraction.trim_end_matches('0').len() > DECIMALS_MAX {
            return Err(ApiError::precision(name));
        }
        let value = Price::parse(text.as_bytes());
        value.map(|value| Some(value.0)).map_err(|_| ApiError::illegal(name, r"^([0-9]{1,20})(\.[0-9]{1,20})?$"))
    }

    /// A price. Errors: -1100, -1111.
    pub fn price(&self, name: &str) -> Result<Option<Price>, ApiError> {
        Ok(self.decimal(name)?.map(Price))
    }
    /// Money. Errors: -1100, -1111.
    pub fn money(&self, name: &str) -> Result<Option<Notional>, ApiError> {
        Ok(self.decimal(name)?.map(Notional))
    }
    /// A size. Errors: -1100, -1111.
    pub fn qty(&self, name: &str) -> Result<Option<Qty>, ApiError> {
        let Some(e8) = self.decimal(name)? else { return Ok(None) };
        let qty = e8.checked_mul(10).map(Qty);
        qty.map(Some).ok_or_else(|| ApiError::illegal(name, r"^([0-9]{1,20})(\.[0-9]{1,20})?$"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_wins_over_a_body_and_both_are_decoded() {
        let params = Params::of_form("a=1&b=x%2By", "a=2&c=");
        assert_eq!((params.get("a"), params.get("b"), params.get("c")), (Some("1"), Some("x+y"), Some("")));
        assert_eq!(params.need("c").map_err(|error| error.code), Err(-1102));
    }

    #[test]
    fn a_decimal_is_read_exactly_or_refused() {
        let params = Params::of_form("a=1.500000000&b=0.000000001&c=1e3&d=+1&e=1.5", "");
        assert_eq!(params.qty("a").map_err(|error| error.code), Ok(Some(Qty(1_500_000_000))));
        assert_eq!(params.qty("b").map_err(|error| error.code), Err(-1111));
        assert_eq!(params.price("c").map_err(|error| error.code), Err(-1100));
        assert_eq!(params.price("d").map_err(|error| error.code), Err(-1100));
        assert_eq!(params.price("e").map_err(|error| error.code), Ok(Some(Price(150_000_000))));
    }

    #[test]
    fn a_json_number_signs_with_the_digits_it_was_sent_with() {
        let object = serde_json::from_str(r#"{"b":150.250,"a":"x","signature":"s","c":true}"#).expect("valid JSON");
        let params = Params::of_json(&object).expect("plain values");
        assert_eq!(params.signed_text(), "a=x&b=150.250&c=true");
    }
}
