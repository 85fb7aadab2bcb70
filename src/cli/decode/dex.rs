//! `decode` for the Solana exchanges: Manifest accounts, Jupiter quotes.
//!
//! Thread: main.  Invariants: any Manifest market is shown, whatever its tokens: what it trades is printed beside its
//! levels; a quote's price is printed for SOL against USDC only, where the decimals are known.

use serde_json::{Value, json};

use super::Bad;
use crate::types::units::mul_div_floor;
use crate::venue::dex::{DexLevels, DexSide};
use crate::venue::manifest::account::{USDC, WSOL};
use crate::venue::manifest::frame::{self, Frame, Reading};
use crate::venue::manifest::{self, AccountError, Market};
use crate::venue::{jupiter, manifest::PROGRAM};

/// Decodes `[<receive time, ns> ]<frame>`: an `accountNotification` or an answer to `getAccountInfo`.
pub(super) fn account(line: &[u8], book: bool, buffer: &mut Vec<u8>) -> Result<Option<Value>, Bad> {
    let (recv, from, body) = split(line);
    if body.is_empty() {
        return Ok(None);
    }
    let bad = |error: AccountError| {
        let of_frame = matches!(error, AccountError::Frame(_) | AccountError::NotBase64 { .. });
        let at = error.at().filter(|_| of_frame).map_or(from, |at| at + from);
        Bad { at, error: error.to_string() }
    };
    let mut event = match frame::decode(body).map_err(|error| bad(error.into()))? {
        Frame::Account(reading) => account_json(&reading, book, buffer).map_err(bad)?,
        Frame::Ack { subscription, .. } => json!({"kind": "ack", "subscription": subscription}),
        Frame::Refused { code, .. } => json!({"kind": "refused", "code": code}),
        Frame::Other => json!({"kind": "other"}),
    };
    stamp(&mut event, recv);
    Ok(Some(event))
}

fn account_json(reading: &Reading, book: bool, buffer: &mut Vec<u8>) -> Result<Value, AccountError> {
    let account = reading.account.ok_or(AccountError::Absent)?;
    if account.owner != PROGRAM.as_bytes() {
        return Err(AccountError::WrongOwner);
    }
    let data = account.data(buffer)?;
    let market = Market::stated(data).ok_or(AccountError::TooShort { got: data.len() })?;
    let levels = manifest::decode(data, reading.slot, &market)?;
    let mut event = json!({
        "kind": "dex_levels", "slot": levels.slot, "bids": side_json(&levels.bids), "asks": side_json(&levels.asks),
        "is_sol_usdc": Market { skip_global: false, ..Market::SOL_USDC } == market,
    });
    if book {
        event["top"] = top_json(&levels);
    }
    Ok(event)
}

/// Decodes `[<receive time, ns> ]<answer>` of a quote.
pub(super) fn quote(line: &[u8]) -> Result<Option<Value>, Bad> {
    let (recv, from, body) = split(line);
    if body.is_empty() {
        return Ok(None);
    }
    let mut event = match jupiter::decode(200, body) {
        Ok(quote) => quote_json(&quote),
        Err(jupiter::QuoteError::Refused(refusal)) => json!({"kind": "refused", "reason": refusal.to_string()}),
        Err(jupiter::QuoteError::Decode(error)) => {
            let error = error.shifted(from);
            return Err(Bad { at: error.at().unwrap_or(from), error: error.to_string() });
        }
        Err(error) => return Err(Bad { at: from, error: error.to_string() }),
    };
    stamp(&mut event, recv);
    Ok(Some(event))
}

fn quote_json(quote: &jupiter::Quote) -> Value {
    let mut event = json!({
        "kind": "quote", "in_amount": quote.in_amount, "out_amount": quote.out_amount, "slot": quote.slot,
        "input_mint": String::from_utf8_lossy(quote.input_mint), "output_mint": String::from_utf8_lossy(quote.output_mint),
    });
    let (sol, usdc) = match (quote.input_mint, quote.output_mint) {
        (input, output) if input == WSOL.as_bytes() && output == USDC.as_bytes() => (quote.in_amount, quote.out_amount),
        (input, output) if input == USDC.as_bytes() && output == WSOL.as_bytes() => (quote.out_amount, quote.in_amount),
        _ => return event,
    };
    let price = i64::try_from(usdc).ok().zip(i64::try_from(sol).ok());
    let price = price.and_then(|(usdc, sol)| mul_div_floor(usdc, 100_000_000_000, sol));
    event["price"] = json!(price.map(|price| crate::types::Price(price).to_string()));
    event
}

fn top_json(levels: &DexLevels) -> Value {
    let top = levels.book();
    json!({
        "bid": top.bid.to_string(), "bid_qty": top.bid_qty.to_string(), "bid_depth": top.bid_depth.to_string(),
        "ask": top.ask.to_string(), "ask_qty": top.ask_qty.to_string(), "ask_depth": top.ask_depth.to_string(),
    })
}

fn side_json(side: &DexSide) -> Vec<[String; 2]> {
    side.levels().iter().map(|level| [level.price.to_string(), level.qty.to_string()]).collect()
}

fn stamp(event: &mut Value, recv: Option<i64>) {
    if let Some(recv) = recv {
        event["recv_ns"] = json!(recv);
    }
}

/// The receive time before a frame, where the frame begins, and the frame.
fn split(line: &[u8]) -> (Option<i64>, usize, &[u8]) {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let nanos = std::str::from_utf8(&line[..digits]).ok().and_then(|text| text.parse().ok());
    let from = match (nanos, line.get(digits)) {
        (Some(_), Some(b' ' | b'\t')) => digits + 1,
        _ => 0,
    };
    (nanos.filter(|_| from > 0), from, line[from..].trim_ascii_end())
}
