//! The small texts within messages and in files: amounts, times, addresses.

use crate::{Errors, decoder, texts};
use sol_volume_bot::sys::net::Endpoint;
use sol_volume_bot::types::units::{DecimalError, parse_decimal};
use sol_volume_bot::types::{Notional, Price, Qty, Ratio};
use sol_volume_bot::venue::manifest::key;
use sol_volume_bot::venue::pumpchain::base58::{KeyText, key_of};
use sol_volume_bot::venue::pumpchain::{USDC_TEXT, WSOL_TEXT};
use sol_volume_bot::venue::usd::parse_usd;
use sol_volume_bot::venue::utc::rfc3339;

fn at(error: &DecimalError) -> Option<usize> {
    match error {
        DecimalError::BadByte { at } | DecimalError::TooFine { at } => Some(*at),
        DecimalError::Empty | DecimalError::Range => None,
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

decoder!(
    usd,
    texts(["61234567", "91532319.98630136", "-3.5", "6.1234567e7", "612345670000e-4", "\"61234567.12\"", "1e-50"]),
    |bytes: &[u8], errors: &mut Errors| errors.note(parse_usd(text(bytes)), at).is_some()
);

decoder!(decimal, texts(["161.25", "-0.00000001", "92233720368.54775807"]), |bytes: &[u8], errors: &mut Errors| {
    for decimals in [0, 8, 9, 18] {
        errors.note(parse_decimal(bytes, decimals), at);
    }
    let units = [Price::parse(bytes).map(|it| it.0), Notional::parse(bytes).map(|it| it.0)];
    let finer = [Qty::parse(bytes).map(|it| it.0), Ratio::parse(bytes).map(|it| it.0)];
    units.into_iter().chain(finer).filter_map(|parsed| errors.note(parsed, at)).count() > 0
});

decoder!(
    utc,
    texts(["2026-11-22T09:55:11.123456789Z", "2024-02-29 23:59:59+00:00", "2261-12-31T23:59:59Z"]),
    |bytes: &[u8], _: &mut Errors| rfc3339(text(bytes)).is_some()
);

decoder!(address, texts([WSOL_TEXT, USDC_TEXT, &"1".repeat(32)]), |bytes: &[u8], _: &mut Errors| {
    let (key, same) = (key_of(bytes), key::parse(text(bytes)));
    key.zip(same).is_some_and(|(key, same)| key == same && KeyText::of(&key).as_bytes() == bytes)
});

decoder!(
    url,
    texts(["wss://stream.example:9443/ws?x=1/2", "HTTPS://[::1]:8443/p/", "http://h?q=1", "ws://127.0.0.1"]),
    |bytes: &[u8], _: &mut Errors| {
        let endpoint = Endpoint::parse(text(bytes));
        endpoint.is_ok_and(|endpoint| {
            let joined = endpoint.join("/api").join("?a=1");
            joined.is_loopback() || !joined.host_header().is_empty() && !joined.to_string().is_empty()
        })
    }
);
