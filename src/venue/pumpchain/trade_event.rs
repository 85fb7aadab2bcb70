//! The trade events of the two programs: base64 and Borsh, little endian.
//!
//! Thread: any.  Invariants: fields are only ever appended, so a prefix is read and no length is required; the tail of
//! a curve event is walked with bounds; nothing is allocated and no input makes it panic.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, DecodeSliceError};

use super::base58::Key;
use super::{Program, USDC, WSOL};

/// Bytes of an event that are looked at; a longer one is cut there.
pub const EVENT_BYTES_MAX: usize = 3_072;
const TEXT_BYTES_MAX: usize = EVENT_BYTES_MAX / 3 * 4;

/// "event:TradeEvent".
const CURVE_TRADE: [u8; 8] = [0xbd, 0xdb, 0x7f, 0xd3, 0x4e, 0xe6, 0x61, 0xee];
/// "event:BuyEvent".
const AMM_BUY: [u8; 8] = [0x67, 0xf4, 0x52, 0x1f, 0x2c, 0xf5, 0x77, 0x77];
/// "event:SellEvent".
const AMM_SELL: [u8; 8] = [0x3e, 0x2f, 0x37, 0x0a, 0xa5, 0x03, 0xdc, 0x2a];

/// Where the tail of a curve event starts: at the instruction's name.
const TAIL_AT: usize = 258;
/// Longest name of an instruction.
const NAME_BYTES_MAX: usize = 128;
/// Bytes between the name and the shareholders: a mode, two rates, two amounts.
const BETWEEN_BYTES: usize = 1 + 4 * 8;
/// Bytes of a shareholder: address and share.
const SHAREHOLDER_BYTES: usize = 32 + 2;
/// Most shareholders of a coin.
const SHAREHOLDERS_MAX: usize = 64;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a trade was paid in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote {
    /// SOL: amounts are lamports.
    Sol,
    /// USDC: amounts are 1e-6.
    Usdc,
    /// Another token: no value that we know.
    Other,
}

impl Quote {
    /// Of a mint; the zero key stands for SOL itself.
    pub fn of(mint: &Key) -> Quote {
        match *mint {
            WSOL => Quote::Sol,
            USDC => Quote::Usdc,
            [0, ..] if mint.iter().all(|byte| *byte == 0) => Quote::Sol,
            _ => Quote::Other,
        }
    }
}

/// A trade on the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurveTrade {
    /// The coin.
    pub mint: Key,
    /// Whether the coin was bought.
    pub is_buy: bool,
    /// Block time, seconds since 1970.
    pub at_s: i64,
    /// Coins, 1e-6.
    pub tokens_e6: u64,
    /// What was paid or received.
    pub quote: Quote,
    /// How much of it, in its smallest unit.
    pub amount: u64,
}

/// A trade on PumpSwap. What it was paid in, only its pool knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmmTrade {
    /// The pool.
    pub pool: Key,
    /// Whether the base was bought.
    pub is_buy: bool,
    /// Block time, seconds since 1970.
    pub at_s: i64,
    /// Quote, in its smallest unit.
    pub amount: u64,
}

/// A trade of either program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trade {
    /// On the curve.
    Curve(CurveTrade),
    /// On PumpSwap.
    Amm(AmmTrade),
}

/// Why a trade event cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not base64.
    #[error("a data line that is not base64 at byte {at}")]
    Base64 {
        /// Offset in the text.
        at: usize,
    },
    /// Shorter than the oldest layout.
    #[error("a trade event that ends before its time, at byte {at}")]
    Short {
        /// Its length.
        at: usize,
    },
    /// The tail names lengths that cannot be.
    #[error("a trade event whose tail cannot be walked at byte {at}")]
    Tail {
        /// Offset of the length, or where the event ends.
        at: usize,
    },
}

impl EventError {
    /// Where the fault is: in the text for what is not base64, else in the event.
    pub fn at(&self) -> usize {
        match self {
            EventError::Base64 { at } | EventError::Short { at } | EventError::Tail { at } => *at,
        }
    }
}

/// The buffer that events are decoded into.
#[derive(Clone, Debug)]
pub struct EventBuf(Box<[u8; EVENT_BYTES_MAX]>);

impl Default for EventBuf {
    fn default() -> EventBuf {
        EventBuf(Box::new([0; EVENT_BYTES_MAX]))
    }
}

impl EventBuf {
    /// The trade in a data line that `program` wrote; `None` for its other events.
    ///
    /// Input:  base64 text; what stands behind a blank is another field and left alone.
    /// Errors: [`EventError`]: the line may have been a trade.  Cost: one pass, no allocation.
    pub fn trade(&mut self, program: Program, text: &[u8]) -> Result<Option<Trade>, EventError> {
        let text = text.split(|byte| *byte == b' ').next().unwrap_or_default();
        let text = text.get(..TEXT_BYTES_MAX).unwrap_or(text);
        let len = BASE64.decode_slice(text, self.0.as_mut_slice()).map_err(|why| not_base64(text, &why))?;
        trade(program, self.0.get(..len).unwrap_or_default())
    }
}

fn not_base64(text: &[u8], why: &DecodeSliceError) -> EventError {
    let at = match why {
        DecodeSliceError::DecodeError(DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _)) => *at,
        _ => text.len(),
    };
    EventError::Base64 { at }
}

/// The trade that a program's event is; `None` for its other events. Errors: [`EventError`].
pub fn trade(program: Program, event: &[u8]) -> Result<Option<Trade>, EventError> {
    let name: Option<[u8; 8]> = array(event, 0);
    match (program, name) {
        (Program::Curve, Some(CURVE_TRADE)) => curve(event).map(|trade| Some(Trade::Curve(trade))),
        (Program::Amm, Some(AMM_BUY)) => amm(event, true).map(|trade| Some(Trade::Amm(trade))),
        (Program::Amm, Some(AMM_SELL)) => amm(event, false).map(|trade| Some(Trade::Amm(trade))),
        _ => Ok(None),
    }
}

fn curve(event: &[u8]) -> Result<CurveTrade, EventError> {
    let short = EventError::Short { at: event.len() };
    let at_s = i64::from_le_bytes(array(event, 89).ok_or(short)?);
    let (quote, amount) = match quote_of_tail(event)? {
        None | Some((Quote::Sol, _)) => (Quote::Sol, u64_at(event, 40).ok_or(short)?),
        Some((quote, amount)) => (quote, amount),
    };
    Ok(CurveTrade {
        mint: array(event, 8).ok_or(short)?,
        is_buy: event.get(56).ok_or(short)? & 1 == 1,
        at_s,
        tokens_e6: u64_at(event, 48).ok_or(short)?,
        quote,
        amount,
    })
}

/// What the tail says the trade was paid in; `None` for the layouts before coins could be paired with anything but SOL.
fn quote_of_tail(event: &[u8]) -> Result<Option<(Quote, u64)>, EventError> {
    let Some(name) = length_at(event, TAIL_AT, NAME_BYTES_MAX)? else { return Ok(None) };
    let holders_at = TAIL_AT + 4 + name + BETWEEN_BYTES;
    let Some(holders) = length_at(event, holders_at, SHAREHOLDERS_MAX)? else { return Ok(None) };
    let mint_at = holders_at + 4 + holders * SHAREHOLDER_BYTES;
    let cut = EventError::Tail { at: event.len() };
    if event.len() <= mint_at {
        return if event.len() == mint_at { Ok(None) } else { Err(cut) };
    }
    let mint: Key = array(event, mint_at).ok_or(cut)?;
    match Quote::of(&mint) {
        Quote::Sol => Ok(Some((Quote::Sol, 0))),
        quote => Ok(Some((quote, u64_at(event, mint_at + 32).ok_or(cut)?))),
    }
}

/// A length at `at`; `None` if the event ends before it, an error if it is more than `most`.
fn length_at(event: &[u8], at: usize, most: usize) -> Result<Option<usize>, EventError> {
    let Some(bytes) = array(event, at) else { return Ok(None) };
    let length = usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX);
    if length > most { Err(EventError::Tail { at }) } else { Ok(Some(length)) }
}

fn amm(event: &[u8], is_buy: bool) -> Result<AmmTrade, EventError> {
    let short = EventError::Short { at: event.len() };
    Ok(AmmTrade {
        pool: array(event, 120).ok_or(short)?,
        is_buy,
        at_s: i64::from_le_bytes(array(event, 8).ok_or(short)?),
        amount: u64_at(event, 64).ok_or(short)?,
    })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made-up event in today's layout: 1.5 SOL for 52 M coins, no shareholders, quote mint zero.
    const TODAY: &str = "vdt/007mYe4KCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgAvaFkAAAAAAECHMUsvAAABCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwuAO7FqAAAAAADbi1UHAAAAANBQFpigAwAAL2hZAAAAAABQx4HvoQIADAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAxfAAAAAAAAABBw2QAAAAAADQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0eAAAAAAAAACCqRAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAL2hZAAAAAIA7sWoAAAAABgAAAGJ1eV92MgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAvaFkAAAAAANuLVQcAAAAAL2hZAAAAAA==";

    fn today() -> Vec<u8> {
        BASE64.decode(TODAY).expect("base64")
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0_u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
        })
    }

    fn expected() -> CurveTrade {
        CurveTrade {
            mint: [0x0a; 32],
            is_buy: true,
            at_s: 1_790_000_000,
            tokens_e6: 52_000_000_000_000,
            quote: Quote::Sol,
            amount: 1_500_000_000,
        }
    }

    #[test]
    fn todays_layout_reads_whole() {
        let bytes = today();
        assert_eq!((bytes.len(), crc32(&bytes)), (361, 3_658_394_596));
        let mut buf = EventBuf::default();
        assert_eq!(buf.trade(Program::Curve, TODAY.as_bytes()), Ok(Some(Trade::Curve(expected()))));
        assert_eq!(buf.trade(Program::Amm, TODAY.as_bytes()), Ok(None), "no event of that program");
        assert_eq!(buf.trade(Program::Curve, TODAY.trim_end_matches('=').as_bytes()).map(|t| t.is_some()), Ok(true));
    }

    #[test]
    fn every_older_layout_is_paid_in_sol_and_a_longer_one_is_read_alike() {
        let mut bytes = today();
        for len in [97, 129, 258, 300, 304, 305] {
            assert_eq!(trade(Program::Curve, &bytes[..len]), Ok(Some(Trade::Curve(expected()))), "{len} bytes");
        }
        for len in (8..97).chain(306..337) {
            assert!(trade(Program::Curve, &bytes[..len]).is_err(), "{len} bytes");
        }
        bytes.extend([7; 500]);
        assert_eq!(trade(Program::Curve, &bytes), Ok(Some(Trade::Curve(expected()))));
    }

    /// Today's event with another name, shareholders and quote.
    fn paired(name: &[u8], holders: u32, quote: &Key, amount: u64) -> Vec<u8> {
        let mut bytes = today()[..TAIL_AT].to_vec();
        bytes.extend((name.len() as u32).to_le_bytes());
        bytes.extend(name);
        bytes.extend([0; BETWEEN_BYTES]);
        bytes.extend(holders.to_le_bytes());
        bytes.extend(vec![9; holders as usize * SHAREHOLDER_BYTES]);
        bytes.extend(quote);
        bytes.extend(amount.to_le_bytes());
        bytes.extend([1; 16]);
        bytes
    }

    fn quote(bytes: &[u8]) -> Result<(Quote, u64), EventError> {
        match trade(Program::Curve, bytes)? {
            Some(Trade::Curve(trade)) => Ok((trade.quote, trade.amount)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_quote_is_found_behind_names_and_shareholders_of_any_length() {
        for (name, holders) in [(&b"buy"[..], 0), (b"sell_exact_tokens_in", 3), (b"", 64)] {
            assert_eq!(quote(&paired(name, holders, &USDC, 77)), Ok((Quote::Usdc, 77)));
            assert_eq!(quote(&paired(name, holders, &WSOL, 77)), Ok((Quote::Sol, 1_500_000_000)));
            assert_eq!(quote(&paired(name, holders, &[5; 32], 77)), Ok((Quote::Other, 77)));
        }
    }

    #[test]
    fn a_tail_that_cannot_be_is_refused_not_guessed() {
        assert_eq!(quote(&paired(&[b'x'; 129], 0, &USDC, 1)), Err(EventError::Tail { at: TAIL_AT }));
        let holders_at = TAIL_AT + 4 + 3 + BETWEEN_BYTES;
        assert_eq!(quote(&paired(b"buy", 65, &USDC, 1)), Err(EventError::Tail { at: holders_at }));
        let whole = paired(b"buy", 2, &USDC, 1);
        let quote_at = whole.len() - 16 - 8 - 32;
        for len in (quote_at - 67..quote_at).chain(quote_at + 1..quote_at + 40) {
            assert_eq!(quote(&whole[..len]), Err(EventError::Tail { at: len }), "{len} bytes");
        }
    }

    #[test]
    fn events_of_the_pool_program_name_pool_and_quote_amount() {
        let mut event = AMM_SELL.to_vec();
        event.extend(1_790_000_001_i64.to_le_bytes());
        event.resize(64, 1);
        event.extend(2_500_000_u64.to_le_bytes());
        event.resize(120, 2);
        event.extend([0x0c; 32]);
        let expected = AmmTrade { pool: [0x0c; 32], is_buy: false, at_s: 1_790_000_001, amount: 2_500_000 };
        assert_eq!(trade(Program::Amm, &event), Ok(Some(Trade::Amm(expected))));
        assert_eq!(trade(Program::Amm, &event[..151]), Err(EventError::Short { at: 151 }));
        assert_eq!(trade(Program::Curve, &event), Ok(None));
    }
}
