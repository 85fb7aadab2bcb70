//! Market frames into values: best bid and offer, depth diffs, trades, candles; combined or raw, any key order.
//!
//! Thread: any.  Invariants: one pass over a combined frame and no allocation (depth levels go to the caller's
//! [`Levels`]); what is not for us is [`Frame::Other`], never an error; no input makes it panic.
//! Source: the venue's stream documents as of 2026-07-21.

use super::messages;
use crate::types::event::{Bbo, Candle, Trade};
use crate::types::instrument::Symbol;
use crate::types::{Price, Qty, Time};
use crate::venue::DecodeError;
use crate::venue::scan::Scanner;

/// Longest frame or body read: a snapshot of 5000 levels a side has a third of it.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// Levels a side that one message may carry: the venue's largest snapshot.
pub const LEVELS_MAX: usize = 5_000;

/// One price level; a size of zero removes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Where.
    pub price: Price,
    /// How much, absolute.
    pub qty: Qty,
}

/// The levels of one message, as sent; memory taken once, at most [`LEVELS_MAX`] a side.
#[derive(Debug)]
pub struct Levels {
    /// Buyers' side.
    pub bids: Vec<Level>,
    /// Sellers' side.
    pub asks: Vec<Level>,
}

impl Default for Levels {
    fn default() -> Self {
        Self::new()
    }
}

impl Levels {
    /// Empty.
    pub fn new() -> Self {
        Self { bids: Vec::with_capacity(LEVELS_MAX), asks: Vec::with_capacity(LEVELS_MAX) }
    }
    /// Forgets them, keeps the memory.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }
}

/// What one frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// News of the market: of which symbol, and what.
    Market(&'a [u8], Market),
    /// The server is about to go: connect anew at once.
    Shutdown,
    /// Answer to a subscription request.
    Ack,
    /// The venue refused a request of ours.
    Refused {
        /// Its error code; 0 if it gave none.
        code: i64,
    },
    /// Well-formed and not for us: another symbol, another stream, another account event.
    Other,
}

/// News of the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Market {
    /// Top of book; the venue gives it no time.
    Bbo(Bbo),
    /// A change of the book; its levels are in the caller's [`Levels`].
    Depth(DepthDiff),
    /// A trade.
    Trade(TradeReport),
    /// A candle, open or closed.
    Candle(CandleUpdate),
}

/// Which updates a depth diff folds together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthDiff {
    /// First update inside.
    pub first: u64,
    /// Last update inside.
    pub last: u64,
    /// The venue's time.
    pub venue_time: Time,
}

/// A public trade and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradeReport {
    /// The trade.
    pub trade: Trade,
    /// When the venue matched it.
    pub venue_time: Time,
}

/// A candle as far as it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CandleUpdate {
    /// The candle.
    pub candle: Candle,
    /// Whether this is its last word.
    pub closed: bool,
    /// The venue's time of this update.
    pub venue_time: Time,
}

/// The streams we understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bbo,
    Depth,
    Trade,
    Candle,
    Shutdown,
    Other,
}

/// Decodes one market-stream frame.
///
/// Input:  one whole JSON frame of at most [`FRAME_BYTES_MAX`] bytes, combined (`{"stream":…,"data":…}`) or raw;
///         `only` = the symbol wanted, all if `None`.
/// Output: the frame; the levels of a depth diff in `levels`, which hold nothing of use otherwise.
/// Errors: [`DecodeError`] with the byte.  Cost: one pass (a raw frame whose first key does not tell: two).
pub fn frame<'a>(bytes: &'a [u8], only: Option<Symbol>, levels: &mut Levels) -> Result<Frame<'a>, DecodeError> {
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(DecodeError::TooLong { got: bytes.len() });
    }
    let hint = raw_hint(bytes);
    if hint != Kind::Other {
        let mut scan = Scanner::new(bytes);
        if let Ok(frame @ Frame::Market(..)) = payload(&mut scan, hint, only.as_ref(), levels) {
            return scan.end().map(|()| frame);
        }
    }
    let mut survey = Survey::default();
    let mut scan = Scanner::new(bytes);
    scan.object(|scan, key| survey.field(scan, key, only.as_ref(), levels))?;
    scan.end()?;
    survey.conclude(bytes, only.as_ref(), levels)
}

/// What the first key of a raw frame says: `e` names the event; only the book ticker, which has none, begins with `u`.
fn raw_hint(bytes: &[u8]) -> Kind {
    match bytes {
        [b'{', b'"', b'u', b'"', ..] => Kind::Bbo,
        [b'{', b'"', b'e', b'"', b':', rest @ ..] => kind_of_word(Scanner::new(rest).string().unwrap_or_default()),
        _ => Kind::Other,
    }
}

/// Kind by the event's own name.
fn kind_of_word(word: &[u8]) -> Kind {
    match word {
        b"bookTicker" => Kind::Bbo,
        b"depthUpdate" => Kind::Depth,
        b"trade" => Kind::Trade,
        b"kline" => Kind::Candle,
        b"serverShutdown" => Kind::Shutdown,
        _ => Kind::Other,
    }
}

/// Kind by the name of the stream, `solusdt@depth@100ms`; another symbol's stream is [`Kind::Other`].
#[inline]
fn kind_of_stream(name: &[u8], only: Option<&Symbol>) -> Kind {
    let mut parts = name.splitn(2, |byte| *byte == b'@');
    let symbol = parts.next().unwrap_or_default();
    let Some(stream) = parts.next() else {
        return if name == b"!serverShutdown" { Kind::Shutdown } else { Kind::Other };
    };
    if only.is_some_and(|only| !symbol.eq_ignore_ascii_case(only.as_bytes())) {
        return Kind::Other;
    }
    match stream {
        b"bookTicker" => Kind::Bbo,
        b"trade" => Kind::Trade,
        b"depth" => Kind::Depth,
        _ if stream.starts_with(b"depth@") => Kind::Depth,
        _ if stream.starts_with(b"kline_") => Kind::Candle,
        _ => Kind::Other,
    }
}

/// What a walk over the top level of a frame found.
#[derive(Default)]
struct Survey<'a> {
    stream: Option<&'a [u8]>,
    inner: Option<Frame<'a>>,
    inner_at: Option<usize>,
    word: Option<&'a [u8]>,
    quotes: u8, // one bit each: text under `b`, `B`, `a`, `A`
    answered: bool,
    refused: Option<i64>,
}

impl<'a> Survey<'a> {
    #[inline]
    fn field(
        &mut self,
        scan: &mut Scanner<'a>,
        key: &[u8],
        only: Option<&Symbol>,
        levels: &mut Levels,
    ) -> Result<(), DecodeError> {
        match (key, scan.peek()?) {
            (b"stream", b'"') => self.stream = Some(scan.string()?),
            (b"data", b'{') => match self.stream {
                Some(name) => self.inner = Some(payload(scan, kind_of_stream(name, only), only, levels)?),
                None => return self.postpone(scan),
            },
            (b"event", b'{') => return self.postpone(scan),
            (b"error", b'{') => {
                self.refused = Some(0);
                return scan.object(|scan, key| self.field(scan, if key == b"code" { key } else { b"" }, only, levels));
            }
            (b"code", b'-' | b'0'..=b'9') => self.refused = Some(scan.integer()?),
            _ => return self.word_field(scan, key),
        }
        Ok(())
    }

    /// The fields that tell which raw frame this is.
    fn word_field(&mut self, scan: &mut Scanner<'a>, key: &[u8]) -> Result<(), DecodeError> {
        match (key, scan.peek()?) {
            (b"e", b'"') => {
                self.word = Some(scan.string()?);
                return Ok(());
            }
            (b"b", b'"') => self.quotes |= 1,
            (b"B", b'"') => self.quotes |= 2,
            (b"a", b'"') => self.quotes |= 4,
            (b"A", b'"') => self.quotes |= 8,
            (b"result", _) => self.answered = true,
            _ => {}
        }
        scan.skip()
    }

    fn postpone(&mut self, scan: &mut Scanner<'a>) -> Result<(), DecodeError> {
        self.inner_at = Some(scan.at());
        scan.skip()
    }

    fn raw_kind(&self) -> Kind {
        match self.word {
            Some(word) => kind_of_word(word),
            None if self.quotes == 0b1111 => Kind::Bbo,
            None => Kind::Other,
        }
    }

    fn conclude(self, bytes: &'a [u8], only: Option<&Symbol>, levels: &mut Levels) -> Result<Frame<'a>, DecodeError> {
        if let Some(frame) = self.inner {
            return Ok(frame);
        }
        if let Some(code) = self.refused {
            return Ok(Frame::Refused { code });
        }
        let kind = match (self.inner_at, self.stream) {
            (Some(_), Some(name)) => kind_of_stream(name, only),
            (Some(at), None) => {
                let mut inner = Survey::default();
                Scanner::starting_at(bytes, at).object(|scan, key| inner.word_field(scan, key))?;
                inner.raw_kind()
            }
            (None, _) if self.answered => return Ok(Frame::Ack),
            (None, _) => self.raw_kind(),
        };
        payload(&mut Scanner::starting_at(bytes, self.inner_at.unwrap_or(0)), kind, only, levels)
    }
}

/// Decodes the object at the scanner's position as a message of `kind`.
#[inline]
fn payload<'a>(
    scan: &mut Scanner<'a>,
    kind: Kind,
    only: Option<&Symbol>,
    levels: &mut Levels,
) -> Result<Frame<'a>, DecodeError> {
    let (symbol, market) = match kind {
        Kind::Bbo => match messages::bbo(scan)? {
            Some((symbol, bbo)) => (symbol, Market::Bbo(bbo)),
            None => return Ok(Frame::Other),
        },
        Kind::Depth => messages::depth(scan, levels).map(|(symbol, diff)| (symbol, Market::Depth(diff)))?,
        Kind::Trade => messages::trade(scan).map(|(symbol, trade)| (symbol, Market::Trade(trade)))?,
        Kind::Candle => messages::candle(scan).map(|(symbol, candle)| (symbol, Market::Candle(candle)))?,
        Kind::Shutdown => return scan.skip().map(|()| Frame::Shutdown),
        Kind::Other => return scan.skip().map(|()| Frame::Other),
    };
    if only.is_some_and(|only| only.as_bytes() != symbol) {
        return Ok(Frame::Other);
    }
    Ok(Frame::Market(symbol, market))
}
