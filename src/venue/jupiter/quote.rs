//! One quote: what comes out for what goes in.
//!
//! Thread: any.  Invariants: amounts are read from their own text, never through a float; texts stay in the body.
//! Source: solana fact sheet, sections 7.1 and 7.2: `/swap/v2/order` and the older `/swap/v1/quote` share these fields.

use super::{QuoteError, Refusal};
use crate::venue::DecodeError;
use crate::venue::scan::Scanner;

/// Longest body looked at.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// What one swap would bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote<'a> {
    /// What goes in.
    pub input_mint: &'a [u8],
    /// What comes out.
    pub output_mint: &'a [u8],
    /// How much goes in, atoms.
    pub in_amount: u64,
    /// How much comes out, fees taken, atoms.
    pub out_amount: u64,
    /// Slot that it is of; only the older interface says it.
    pub slot: Option<u64>,
}

/// Decodes an answer that came with `status`.
///
/// Errors: [`QuoteError`]; a body that says why it holds no quote is a refusal, whatever its status.  Cost: one pass, no
/// allocation.
pub fn decode(status: u16, body: &[u8]) -> Result<Quote<'_>, QuoteError> {
    match status {
        200 => quote(body),
        429 => Err(QuoteError::Limited { by_plan: body.starts_with(b"[API Gateway]") }),
        401 | 403 => Err(QuoteError::BadKey { status }),
        400..500 => match quote(body) {
            Err(refused @ QuoteError::Refused(_)) => Err(refused),
            _ => Err(QuoteError::Status { status }),
        },
        _ => Err(QuoteError::Status { status }),
    }
}

fn quote(body: &[u8]) -> Result<Quote<'_>, QuoteError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(DecodeError::TooLong { got: body.len() }.into());
    }
    let (mut input, mut output, mut amounts, mut slot, mut refusal) = (None, None, (None, None), None, None);
    let mut scan = Scanner::new(body);
    scan.object(|scan, key| match key {
        b"inputMint" => scan.string().map(|text| input = Some(text)),
        b"outputMint" => scan.string().map(|text| output = Some(text)),
        b"inAmount" => amount(scan).map(|atoms| amounts.0 = Some(atoms)),
        b"outAmount" => amount(scan).map(|atoms| amounts.1 = Some(atoms)),
        b"contextSlot" if scan.peek()?.is_ascii_digit() => scan.unsigned().map(|value| slot = Some(value)),
        b"errorCode" => refusal_code(scan).map(|code| refusal = code.or(refusal)),
        b"error" if scan.peek()? != b'n' => scan.skip().map(|()| refusal = refusal.or(Some(Refusal::Other))),
        _ => scan.skip(),
    })?;
    scan.end()?;
    if let Some(refusal) = refusal {
        return Err(QuoteError::Refused(refusal));
    }
    let missing = |name: &'static str| DecodeError::Missing { name };
    Ok(Quote {
        input_mint: input.ok_or(missing("inputMint"))?,
        output_mint: output.ok_or(missing("outputMint"))?,
        in_amount: amounts.0.ok_or(missing("inAmount"))?,
        out_amount: amounts.1.ok_or(missing("outAmount"))?,
        slot,
    })
}

/// A whole number of atoms, quoted as Jupiter does, or bare.
fn amount(scan: &mut Scanner) -> Result<u64, DecodeError> {
    scan.peek()?;
    let at = scan.at();
    u64::try_from(scan.decimal(0)?).map_err(|_| DecodeError::BadNumber { at })
}

/// A word of the older interface, a number of the current one, or `null`.
fn refusal_code(scan: &mut Scanner) -> Result<Option<Refusal>, DecodeError> {
    match scan.peek()? {
        b'n' => scan.skip().map(|()| None),
        b'"' => scan.string().map(|word| {
            Some(match word {
                b"NO_ROUTES_FOUND" | b"COULD_NOT_FIND_ANY_ROUTE" | b"ROUTE_PLAN_DOES_NOT_CONSUME_ALL_THE_AMOUNT" => {
                    Refusal::NoRoute
                }
                b"TOKEN_NOT_TRADABLE" => Refusal::NotTradable,
                b"MARKET_NOT_FOUND" => Refusal::NoMarket,
                b"NOT_SUPPORTED" | b"CIRCULAR_ARBITRAGE_IS_DISABLED" | b"MAX_ACCOUNT_GREATER_THAN_MAX" => {
                    Refusal::NotSupported
                }
                _ => Refusal::Other,
            })
        }),
        _ => scan.integer().map(|code| Some(Refusal::Number(code))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &[u8] = br#"{"mode":"ultra","inputMint":"So1","outputMint":"EPj","inAmount":"1000000000","outAmount":"142331045","inUsdValue":142.4,"priceImpact":-0.02,"swapMode":"ExactIn","routePlan":[{"swapInfo":{"label":"HumidiFi","inAmount":"7","outAmount":"8"},"percent":100,"usdValue":142.4}],"platformFee":{"amount":"1","feeBps":2},"transaction":null,"errorCode":null,"taker":null}"#;

    #[test]
    fn an_order_without_taker_is_a_quote_and_its_route_is_left_alone() {
        let quote = decode(200, ORDER).expect("a quote");
        assert_eq!((quote.in_amount, quote.out_amount, quote.slot), (1_000_000_000, 142_331_045, None));
        assert_eq!((quote.input_mint, quote.output_mint), (&b"So1"[..], &b"EPj"[..]));
    }

    #[test]
    fn refusals_limits_keys_and_sick_servers_are_told_apart() {
        let order = br#"{"inAmount":"1","transaction":"","errorCode":2,"errorMessage":"Not enough SOL"}"#;
        assert_eq!(decode(200, order), Err(QuoteError::Refused(Refusal::Number(2))));
        let older = br#"{"error":"No routes found","errorCode":"NO_ROUTES_FOUND"}"#;
        assert_eq!(decode(400, older), Err(QuoteError::Refused(Refusal::NoRoute)));
        let turned = br#"{"errorCode":"TOKEN_NOT_TRADABLE","error":"The token is not tradable"}"#;
        assert_eq!(decode(400, turned), Err(QuoteError::Refused(Refusal::NotTradable)));
        assert_eq!(decode(400, br#"{"error":"what?"}"#), Err(QuoteError::Refused(Refusal::Other)));
        assert_eq!(decode(400, b"Bad Request"), Err(QuoteError::Status { status: 400 }));
        assert_eq!(decode(429, b"[API Gateway] Too many requests"), Err(QuoteError::Limited { by_plan: true }));
        assert_eq!(decode(429, b"Too many requests"), Err(QuoteError::Limited { by_plan: false }));
        assert_eq!(decode(401, b"Unauthorized"), Err(QuoteError::BadKey { status: 401 }));
        assert_eq!(decode(500, ORDER), Err(QuoteError::Status { status: 500 }));
        assert_eq!(decode(200, b"<html>"), Err(QuoteError::Decode(DecodeError::Syntax { at: 0 })));
    }

    #[test]
    fn amounts_that_are_none_are_named_by_their_byte() {
        let with =
            |amount: &str| format!(r#"{{"inputMint":"a","outputMint":"b","outAmount":"1","inAmount":{amount}}}"#);
        for bad in ["\"-1\"", "\"1.5\"", "\"\"", "\"1e5\"", "\"9223372036854775808\"", "true"] {
            let body = with(bad);
            assert!(
                matches!(decode(200, body.as_bytes()), Err(QuoteError::Decode(error)) if error.at() >= Some(57)),
                "{bad}"
            );
        }
        assert_eq!(decode(200, with("9").as_bytes()).map(|quote| quote.in_amount), Ok(9));
    }

    #[test]
    fn bodies_cut_or_changed_at_every_byte_never_panic() {
        for at in 0..ORDER.len() {
            assert!(decode(200, &ORDER[..at]).is_err(), "cut at {at}");
            for byte in [0_u8, b'"', b'{', b'}', b'[', b'9', b'-', b'n', 0xff] {
                let mut changed = ORDER.to_vec();
                changed[at] = byte;
                let _ = decode(200, &changed).is_ok();
            }
        }
    }
}
