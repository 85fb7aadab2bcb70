//! Frames into values: status, heartbeat, pong, answers to requests, book, ticker, trades; any key order.
//!
//! Thread: any.  Invariants: no allocation (rows go to the caller's [`Rows`], which take their memory once); what is not
//! for us (another channel, the older protocols, a REST body) is [`Frame::Other`], never an error; a number keeps its
//! digits exactly as sent, for the checksum; no input makes it panic.
//! Source: kraken fact sheet, section 2.

use super::Pair;
use super::book::DEPTHS;
use crate::types::{Price, Qty, Side, Time};
use crate::venue::DecodeError;
use crate::venue::scan::Scanner;

/// Longest frame read: the snapshot of all instruments has half of it.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// Levels that one message may carry, both sides: the venue's largest snapshot.
pub const LEVELS_MAX: usize = 2_000;
/// Rows that one message may carry.
pub const ROWS_MAX: usize = 1_000;

/// One price level; a size of zero removes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Where.
    pub price: Price,
    /// How much, absolute.
    pub qty: Qty,
    /// The price's digits as sent, as one whole number.
    pub price_digits: u64,
    /// The size's digits as sent, as one whole number.
    pub qty_digits: u64,
}

/// News of one pair's book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookRow {
    /// Which pair.
    pub pair: Pair,
    /// Of the venue's book after it.
    pub checksum: u32,
    /// The venue's time; [`Time::NONE`] if it did not say.
    pub venue_time: Time,
    bids: Span,
    asks: Span,
}

/// A run of levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    from: usize,
    to: usize,
}

/// Best bid and offer of one pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickerRow {
    /// Which pair.
    pub pair: Pair,
    /// Best price to sell at.
    pub bid: Price,
    /// Size there.
    pub bid_qty: Qty,
    /// Best price to buy at.
    pub ask: Price,
    /// Size there.
    pub ask_qty: Qty,
    /// The venue's time; [`Time::NONE`] if it did not say.
    pub venue_time: Time,
}

/// One public trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradeRow {
    /// Which pair.
    pub pair: Pair,
    /// Who crossed the spread.
    pub aggressor: Side,
    /// Price.
    pub price: Price,
    /// Size.
    pub qty: Qty,
    /// Rises within a pair.
    pub trade_id: i64,
    /// When the venue matched it.
    pub venue_time: Time,
}

/// The rows of one message; memory taken once.
#[derive(Debug)]
pub struct Rows {
    levels: Vec<Level>,
    /// Of a book message.
    pub books: Vec<BookRow>,
    /// Of a ticker message.
    pub tickers: Vec<TickerRow>,
    /// Of a trade message.
    pub trades: Vec<TradeRow>,
}

impl Default for Rows {
    fn default() -> Self {
        Self::new()
    }
}

impl Rows {
    /// None.
    pub fn new() -> Self {
        Self {
            levels: Vec::with_capacity(LEVELS_MAX),
            books: Vec::with_capacity(ROWS_MAX),
            tickers: Vec::with_capacity(ROWS_MAX),
            trades: Vec::with_capacity(ROWS_MAX),
        }
    }
    /// The bids of a book row of the same message.
    pub fn bids(&self, row: &BookRow) -> &[Level] {
        self.levels.get(row.bids.from..row.bids.to).unwrap_or_default()
    }
    /// The asks of a book row of the same message.
    pub fn asks(&self, row: &BookRow) -> &[Level] {
        self.levels.get(row.asks.from..row.asks.to).unwrap_or_default()
    }
    fn clear(&mut self) {
        self.levels.clear();
        self.books.clear();
        self.tickers.clear();
        self.trades.clear();
    }
}

/// What the venue's engine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// All.
    Online,
    /// Nothing.
    Maintenance,
    /// Takes cancels only.
    CancelOnly,
    /// Takes cancels and post-only orders.
    PostOnly,
    /// Takes cancels and limit orders.
    LimitOnly,
    /// A word that the documents do not list.
    Other,
}

impl System {
    /// Name in logs.
    pub fn name(self) -> &'static str {
        match self {
            System::Online => "online",
            System::Maintenance => "maintenance",
            System::CancelOnly => "cancel_only",
            System::PostOnly => "post_only",
            System::LimitOnly => "limit_only",
            System::Other => "unknown",
        }
    }
}

/// What a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// To be told of a channel.
    Subscribe,
    /// To be told no more.
    Unsubscribe,
    /// To be answered.
    Ping,
    /// The answer does not say.
    Unsaid,
}

/// What one frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// What the venue's engine does: the first frame of a connection, and again when it changes.
    Status {
        /// That.
        system: System,
        /// The connection's number, which uses all 64 bits.
        connection_id: Option<u64>,
    },
    /// Nothing else to say for a second.
    Heartbeat,
    /// Answer to our ping.
    Pong {
        /// Of which ping.
        req_id: Option<u64>,
    },
    /// A request was taken, for one pair.
    Ack {
        /// What was asked.
        method: Method,
        /// Of which request.
        req_id: Option<u64>,
        /// For which pair, if it said.
        pair: Option<Pair>,
        /// Depth of a book, if it is one that the venue offers.
        depth: Option<usize>,
    },
    /// A request was refused.
    Refused {
        /// What was asked.
        method: Method,
        /// Of which request.
        req_id: Option<u64>,
        /// Why, in the venue's words.
        why: &'a [u8],
    },
    /// News of the book; the rows are in the caller's [`Rows`].
    Book {
        /// Whether it is the whole book.
        snapshot: bool,
    },
    /// News of the top; the rows are in the caller's [`Rows`].
    Ticker {
        /// Whether it is the state at the time of the subscription.
        snapshot: bool,
    },
    /// Trades; the rows are in the caller's [`Rows`].
    Trade {
        /// Whether they are of the time before the subscription.
        snapshot: bool,
    },
    /// Well-formed and not for us.
    Other,
}

/// Decodes one frame.
///
/// Input:  one whole JSON frame of at most [`FRAME_BYTES_MAX`] bytes.
/// Output: the frame; its rows in `rows`, which hold nothing of use otherwise.
/// Errors: [`DecodeError`] with the byte.  Cost: one pass where `data` comes after `channel`, as the venue sends it.
pub fn frame<'a>(bytes: &'a [u8], rows: &mut Rows) -> Result<Frame<'a>, DecodeError> {
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(DecodeError::TooLong { got: bytes.len() });
    }
    rows.clear();
    let mut scan = Scanner::new(bytes);
    if scan.peek()? != b'{' {
        scan.skip()?; // the older protocol's data messages are arrays
        return scan.end().map(|()| Frame::Other);
    }
    let mut survey = Survey::default();
    scan.object(|scan, key| survey.field(scan, key, bytes, rows))?;
    scan.end()?;
    survey.conclude(bytes, rows)
}

/// Whether a frame, readable or not, is about a book: a loss to fear if it is not.
pub fn is_about_book(bytes: &[u8]) -> bool {
    const WORD: &[u8] = b"\"book\"";
    bytes.windows(WORD.len()).any(|window| window == WORD)
}

/// The channels we understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    Status,
    Heartbeat,
    Book,
    Ticker,
    Trade,
    Other,
}

/// What a walk over the top level of a frame found.
#[derive(Default)]
struct Survey<'a> {
    channel: Option<Channel>,
    kind: Option<(&'a [u8], usize)>,
    data_at: Option<usize>,
    data_read: bool,
    system: Option<System>,
    connection_id: Option<u64>,
    method: Option<&'a [u8]>,
    req_id: Option<u64>,
    success: Option<bool>,
    error: Option<&'a [u8]>,
    pair: Option<Pair>,
    depth: Option<usize>,
}

impl<'a> Survey<'a> {
    fn field(
        &mut self,
        scan: &mut Scanner<'a>,
        key: &[u8],
        bytes: &'a [u8],
        rows: &mut Rows,
    ) -> Result<(), DecodeError> {
        match (key, scan.peek()?) {
            (b"channel", b'"') => self.channel = Some(channel(scan.string()?)),
            (b"type", b'"') => {
                let at = scan.at();
                self.kind = Some((scan.string()?, at));
            }
            (b"data", b'[') => match self.channel {
                Some(channel) => self.data(channel, scan, bytes, rows)?,
                None => {
                    self.data_at = Some(scan.at());
                    scan.skip()?;
                }
            },
            (b"method", b'"') => self.method = Some(scan.string()?),
            (b"req_id", b'0'..=b'9') => self.req_id = Some(whole(scan, bytes)?),
            (b"success", b't' | b'f') => self.success = Some(scan.boolean()?),
            (b"error", b'"') => self.error = Some(scan.string()?),
            (b"result", b'{') => scan.object(|scan, key| self.result_field(scan, key))?,
            _ => scan.skip()?,
        }
        Ok(())
    }

    fn result_field(&mut self, scan: &mut Scanner<'a>, key: &[u8]) -> Result<(), DecodeError> {
        match (key, scan.peek()?) {
            (b"symbol", b'"') => self.pair = Pair::of_json(scan.string()?),
            (b"depth", b'0'..=b'9') => {
                let depth = usize::try_from(scan.unsigned()?).ok();
                self.depth = depth.filter(|depth| DEPTHS.contains(depth));
            }
            _ => scan.skip()?,
        }
        Ok(())
    }

    /// Reads the rows of a channel that is known.
    fn data(
        &mut self,
        channel: Channel,
        scan: &mut Scanner<'a>,
        bytes: &'a [u8],
        rows: &mut Rows,
    ) -> Result<(), DecodeError> {
        self.data_read = true;
        rows.clear();
        match channel {
            Channel::Book => scan.array(|scan| book_row(scan, bytes, rows)),
            Channel::Ticker => scan.array(|scan| ticker_row(scan, rows)),
            Channel::Trade => scan.array(|scan| trade_row(scan, rows)),
            Channel::Status => scan.array(|scan| {
                scan.object(|scan, key| match (key, scan.peek()?) {
                    (b"system", b'"') => scan.string().map(|word| self.system = Some(system(word))),
                    (b"connection_id", b'0'..=b'9') => whole(scan, bytes).map(|id| self.connection_id = Some(id)),
                    _ => scan.skip(),
                })
            }),
            Channel::Heartbeat | Channel::Other => scan.skip(),
        }
    }

    fn conclude(mut self, bytes: &'a [u8], rows: &mut Rows) -> Result<Frame<'a>, DecodeError> {
        let Some(channel) = self.channel else { return Ok(self.answer()) };
        if let (Some(at), false) = (self.data_at, self.data_read) {
            self.data(channel, &mut Scanner::starting_at(bytes, at), bytes, rows)?;
        }
        if !self.data_read && matches!(channel, Channel::Status | Channel::Book | Channel::Ticker | Channel::Trade) {
            return Err(DecodeError::Missing { name: "data" });
        }
        Ok(match channel {
            Channel::Status => match self.system {
                Some(system) => Frame::Status { system, connection_id: self.connection_id },
                None => return Err(DecodeError::Missing { name: "system" }),
            },
            Channel::Heartbeat => Frame::Heartbeat,
            Channel::Book => Frame::Book { snapshot: self.is_snapshot()? },
            Channel::Ticker => Frame::Ticker { snapshot: self.is_snapshot()? },
            Channel::Trade => Frame::Trade { snapshot: self.is_snapshot()? },
            Channel::Other => Frame::Other,
        })
    }

    fn is_snapshot(&self) -> Result<bool, DecodeError> {
        match self.kind {
            Some((b"snapshot", _)) => Ok(true),
            Some((b"update", _)) => Ok(false),
            Some((_, at)) => Err(DecodeError::UnknownWord { at }),
            None => Err(DecodeError::Missing { name: "type" }),
        }
    }

    /// A frame of no channel: the answer to a request, or none of this protocol.
    fn answer(&self) -> Frame<'a> {
        let method = match self.method {
            Some(b"subscribe") => Method::Subscribe,
            Some(b"unsubscribe") => Method::Unsubscribe,
            Some(b"ping") => Method::Ping,
            Some(b"pong") => return Frame::Pong { req_id: self.req_id },
            Some(_) => return Frame::Other,
            None => Method::Unsaid,
        };
        let req_id = self.req_id;
        match (self.success, self.error) {
            (Some(true), _) if method != Method::Unsaid => {
                Frame::Ack { method, req_id, pair: self.pair, depth: self.depth }
            }
            (Some(false), why) => Frame::Refused { method, req_id, why: why.unwrap_or_default() },
            _ => Frame::Other,
        }
    }
}

fn channel(word: &[u8]) -> Channel {
    match word {
        b"status" => Channel::Status,
        b"heartbeat" => Channel::Heartbeat,
        b"book" => Channel::Book,
        b"ticker" => Channel::Ticker,
        b"trade" => Channel::Trade,
        _ => Channel::Other,
    }
}

fn system(word: &[u8]) -> System {
    match word {
        b"online" => System::Online,
        b"maintenance" => System::Maintenance,
        b"cancel_only" => System::CancelOnly,
        b"post_only" => System::PostOnly,
        b"limit_only" => System::LimitOnly,
        _ => System::Other,
    }
}

fn book_row(scan: &mut Scanner, bytes: &[u8], rows: &mut Rows) -> Result<(), DecodeError> {
    let (mut pair, mut checksum, mut venue_time) = (None, None, Time::NONE);
    let (mut bids, mut asks) = (Span::default(), Span::default());
    scan.object(|scan, key| match key {
        b"symbol" => read_pair(scan).map(|found| pair = Some(found)),
        b"bids" => levels(scan, bytes, &mut rows.levels).map(|span| bids = span),
        b"asks" => levels(scan, bytes, &mut rows.levels).map(|span| asks = span),
        b"checksum" => {
            scan.peek()?;
            let at = scan.at();
            let value = u32::try_from(scan.unsigned()?).map_err(|_| DecodeError::BadNumber { at })?;
            checksum = Some(value);
            Ok(())
        }
        b"timestamp" => time(scan).map(|found| venue_time = found),
        _ => scan.skip(),
    })?;
    let row = BookRow {
        pair: pair.ok_or(DecodeError::Missing { name: "symbol" })?,
        checksum: checksum.ok_or(DecodeError::Missing { name: "checksum" })?,
        venue_time,
        bids,
        asks,
    };
    push(&mut rows.books, row, ROWS_MAX, "data")
}

fn levels(scan: &mut Scanner, bytes: &[u8], into: &mut Vec<Level>) -> Result<Span, DecodeError> {
    let from = into.len();
    scan.array(|scan| {
        let (mut price, mut qty) = (None, None);
        scan.object(|scan, key| match key {
            b"price" => exact(scan, bytes, 8).map(|found| price = Some(found)),
            b"qty" => exact(scan, bytes, 9).map(|found| qty = Some(found)),
            _ => scan.skip(),
        })?;
        let (price, price_digits) = price.ok_or(DecodeError::Missing { name: "price" })?;
        let (qty, qty_digits) = qty.ok_or(DecodeError::Missing { name: "qty" })?;
        if price <= 0 {
            return Err(DecodeError::Contradiction { name: "price" });
        }
        if qty < 0 {
            return Err(DecodeError::Contradiction { name: "qty" });
        }
        push(into, Level { price: Price(price), qty: Qty(qty), price_digits, qty_digits }, LEVELS_MAX, "levels")
    })?;
    Ok(Span { from, to: into.len() })
}

fn ticker_row(scan: &mut Scanner, rows: &mut Rows) -> Result<(), DecodeError> {
    let (mut pair, mut venue_time) = (None, Time::NONE);
    let (mut bid, mut bid_qty, mut ask, mut ask_qty) = (None, None, None, None);
    scan.object(|scan, key| match key {
        b"symbol" => read_pair(scan).map(|found| pair = Some(found)),
        b"bid" => or_zero(scan, 8).map(|found| bid = Some(Price(found))),
        b"bid_qty" => or_zero(scan, 9).map(|found| bid_qty = Some(Qty(found))),
        b"ask" => or_zero(scan, 8).map(|found| ask = Some(Price(found))),
        b"ask_qty" => or_zero(scan, 9).map(|found| ask_qty = Some(Qty(found))),
        b"timestamp" => time(scan).map(|found| venue_time = found),
        _ => scan.skip(),
    })?;
    let row = TickerRow {
        pair: pair.ok_or(DecodeError::Missing { name: "symbol" })?,
        bid: bid.ok_or(DecodeError::Missing { name: "bid" })?,
        bid_qty: bid_qty.ok_or(DecodeError::Missing { name: "bid_qty" })?,
        ask: ask.ok_or(DecodeError::Missing { name: "ask" })?,
        ask_qty: ask_qty.ok_or(DecodeError::Missing { name: "ask_qty" })?,
        venue_time,
    };
    if row.bid.0 < 0 || row.ask.0 < 0 || row.bid_qty.0 < 0 || row.ask_qty.0 < 0 {
        return Err(DecodeError::Contradiction { name: "bid" });
    }
    if row.bid.0 == 0 || row.ask.0 == 0 {
        return Ok(()); // one side of the market is empty: no top
    }
    if row.bid >= row.ask {
        return Err(DecodeError::Contradiction { name: "bid" });
    }
    push(&mut rows.tickers, row, ROWS_MAX, "data")
}

fn trade_row(scan: &mut Scanner, rows: &mut Rows) -> Result<(), DecodeError> {
    let (mut pair, mut aggressor, mut venue_time) = (None, None, None);
    let (mut price, mut qty, mut trade_id) = (None, None, None);
    scan.object(|scan, key| match key {
        b"symbol" => read_pair(scan).map(|found| pair = Some(found)),
        b"side" => {
            scan.peek()?;
            let at = scan.at();
            aggressor = Some(match scan.string()? {
                b"buy" => Side::Buy,
                b"sell" => Side::Sell,
                _ => return Err(DecodeError::UnknownWord { at }),
            });
            Ok(())
        }
        b"price" => scan.price().map(|found| price = Some(found)),
        b"qty" => scan.qty().map(|found| qty = Some(found)),
        b"trade_id" => scan.integer().map(|found| trade_id = Some(found)),
        b"timestamp" => time(scan).map(|found| venue_time = Some(found)),
        _ => scan.skip(),
    })?;
    let row = TradeRow {
        pair: pair.ok_or(DecodeError::Missing { name: "symbol" })?,
        aggressor: aggressor.ok_or(DecodeError::Missing { name: "side" })?,
        price: price.ok_or(DecodeError::Missing { name: "price" })?,
        qty: qty.ok_or(DecodeError::Missing { name: "qty" })?,
        trade_id: trade_id.ok_or(DecodeError::Missing { name: "trade_id" })?,
        venue_time: venue_time.ok_or(DecodeError::Missing { name: "timestamp" })?,
    };
    if row.price.0 <= 0 || row.qty.0 <= 0 {
        return Err(DecodeError::Contradiction { name: "price" });
    }
    push(&mut rows.trades, row, ROWS_MAX, "data")
}

/// Appends within a bound: more than the venue ever sends contradicts the rest.
fn push<T>(into: &mut Vec<T>, item: T, most: usize, name: &'static str) -> Result<(), DecodeError> {
    if into.len() >= most {
        return Err(DecodeError::Contradiction { name });
    }
    into.push(item);
    Ok(())
}

fn read_pair(scan: &mut Scanner) -> Result<Pair, DecodeError> {
    scan.peek()?;
    let at = scan.at();
    Pair::of_json(scan.string()?).ok_or(DecodeError::UnknownWord { at })
}

/// A number of `decimals` places, zero for `null`.
fn or_zero(scan: &mut Scanner, decimals: u32) -> Result<i64, DecodeError> {
    if scan.peek()? == b'n' {
        return scan.skip().map(|()| 0);
    }
    scan.decimal(decimals)
}

/// A number of `decimals` places, and its digits as sent.
fn exact(scan: &mut Scanner, bytes: &[u8], decimals: u32) -> Result<(i64, u64), DecodeError> {
    scan.peek()?;
    let at = scan.at();
    let value = scan.decimal(decimals)?;
    let text = bytes.get(at..scan.at()).unwrap_or_default();
    let mut digits = text.iter().filter(|byte| byte.is_ascii_digit());
    let digits = digits.try_fold(0_u64, |sum, byte| sum.checked_mul(10)?.checked_add(u64::from(byte - b'0')));
    digits.map(|digits| (value, digits)).ok_or(DecodeError::BadNumber { at })
}

/// A whole number of all 64 bits.
fn whole(scan: &mut Scanner, bytes: &[u8]) -> Result<u64, DecodeError> {
    scan.peek()?;
    let at = scan.at();
    scan.skip()?;
    let text = bytes.get(at..scan.at()).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
    if scan.at() == bytes.len() {
        return Err(DecodeError::Truncated { at: bytes.len() });
    }
    text.parse().map_err(|_| DecodeError::BadNumber { at })
}

fn time(scan: &mut Scanner) -> Result<Time, DecodeError> {
    scan.peek()?;
    let at = scan.at();
    rfc3339(scan.string()?).ok_or(DecodeError::BadNumber { at })
}

/// `2026-11-22T10:00:00.123456Z`, up to nanoseconds; years 1970 to 2261, which fit our clock.
fn rfc3339(text: &[u8]) -> Option<Time> {
    let (date, rest) = text.split_first_chunk::<10>()?;
    let [b'T', rest @ ..] = rest else { return None };
    let (clock, rest) = rest.split_first_chunk::<8>()?;
    let ([y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1], [h0, h1, b':', n0, n1, b':', s0, s1]) = (*date, *clock) else {
        return None;
    };
    let number = |digits: &[u8]| {
        let mut digits = digits.iter();
        digits.try_fold(0_i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    };
    let (year, month, day) = (number(&[y0, y1, y2, y3])?, number(&[m0, m1])?, number(&[d0, d1])?);
    let (hour, minute, second) = (number(&[h0, h1])?, number(&[n0, n1])?, number(&[s0, s1])?);
    let fits = (1_970..=2_261).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !fits || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = rest.strip_suffix(b"Z").or_else(|| rest.strip_suffix(b"+00:00"))?;
    let nanos = match rest.split_first() {
        None => 0,
        Some((b'.', fraction)) if (1..=9).contains(&fraction.len()) => {
            let missing = u32::try_from(9 - fraction.len()).ok()?;
            number(fraction)? * 10_i64.pow(missing)
        }
        Some(_) => return None,
    };
    // A year begins in March here, so that a leap day is its last.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos).map(Time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_nanosecond_and_nonsense_is_none() {
        for (text, nanos) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-22T10:00:00.123456Z", 1_795_341_600_123_456_000),
            ("2024-02-29T23:59:59.999999999Z", 1_709_251_199_999_999_999),
            ("2000-03-01T00:00:00.5+00:00", 951_868_800_500_000_000),
        ] {
            assert_eq!(rfc3339(text.as_bytes()), Some(Time(nanos)), "{text}");
        }
        for bad in [
            "",
            "2026-11-22",
            "2026-11-22T10:00:00",
            "2026-13-22T10:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T10:00:00.Z",
            "2026-11-22T10:00:00.1234567890Z",
            "1969-12-31T00:00:00Z",
            "2026-11-22T10:00:0xZ",
            "2026-11-22 10:00:00Z",
            "2026-11-22T10:00:00+01:00",
        ] {
            assert_eq!(rfc3339(bad.as_bytes()), None, "{bad}");
        }
    }
}
