//! The fields of each market message, and of the two REST bodies a stream needs beside it.
//!
//! Thread: any.  Invariants: as of `decode`: any key order, unknown fields skipped, a message that contradicts itself
//! is refused.  Source: the venue's stream and REST documents as of 2026-07-21.

use super::decode::{CandleUpdate, DepthDiff, FRAME_BYTES_MAX, LEVELS_MAX, Level, Levels, TradeReport};
use crate::types::event::{Bbo, Candle, Trade};
use crate::types::time::NANOS_PER_SEC;
use crate::types::{Millis, Price, Side, Time};
use crate::venue::DecodeError;
use crate::venue::scan::Scanner;

/// From here on a time is in microseconds: as milliseconds it would lie in the year 5138.
const MICROS_FROM: i64 = 100_000_000_000_000;

fn need<T>(field: Option<T>, name: &'static str) -> Result<T, DecodeError> {
    field.ok_or(DecodeError::Missing { name })
}

/// A venue time, milliseconds or microseconds by magnitude (`timeUnit=MICROSECOND` switches a whole connection).
pub fn venue_time(raw: i64) -> Time {
    if raw >= MICROS_FROM { Time(raw.saturating_mul(1_000)) } else { Time::from_millis(Millis(raw)) }
}

/// A book ticker; `None` if its `e` says it is something else.
#[inline]
pub(super) fn bbo<'a>(scan: &mut Scanner<'a>) -> Result<Option<(&'a [u8], Bbo)>, DecodeError> {
    let (mut update_id, mut symbol, mut ours) = (None, None, true);
    let (mut bid, mut bid_qty, mut ask, mut ask_qty) = (None, None, None, None);
    scan.object(|scan, key| {
        match key {
            b"u" => update_id = Some(scan.unsigned()?),
            b"s" => symbol = Some(scan.string()?),
            b"b" => bid = Some(scan.price()?),
            b"B" => bid_qty = Some(scan.qty()?),
            b"a" => ask = Some(scan.price()?),
            b"A" => ask_qty = Some(scan.qty()?),
            b"e" => ours = scan.string()? == b"bookTicker",
            _ => scan.skip()?,
        }
        Ok(())
    })?;
    if !ours {
        return Ok(None);
    }
    let (bid, ask) = (need(bid, "b")?, need(ask, "a")?);
    let bbo =
        Bbo { bid, bid_qty: need(bid_qty, "B")?, ask, ask_qty: need(ask_qty, "A")?, update_id: need(update_id, "u")? };
    if bid.0 <= 0 || bid >= ask {
        return Err(DecodeError::Contradiction { name: "b" });
    }
    if bbo.bid_qty.0 <= 0 || bbo.ask_qty.0 <= 0 {
        return Err(DecodeError::Contradiction { name: "B" });
    }
    Ok(Some((need(symbol, "s")?, bbo)))
}

/// A depth diff; its levels in `levels`.
pub(super) fn depth<'a>(scan: &mut Scanner<'a>, levels: &mut Levels) -> Result<(&'a [u8], DepthDiff), DecodeError> {
    let (mut symbol, mut first, mut last, mut time) = (None, None, None, None);
    let (mut bids, mut asks) = (None, None);
    levels.clear();
    scan.object(|scan, key| {
        match key {
            b"b" => bids = Some(side(scan, &mut levels.bids)?),
            b"a" => asks = Some(side(scan, &mut levels.asks)?),
            b"U" => first = Some(scan.unsigned()?),
            b"u" => last = Some(scan.unsigned()?),
            b"E" => time = Some(scan.integer()?),
            b"s" => symbol = Some(scan.string()?),
            _ => scan.skip()?,
        }
        Ok(())
    })?;
    let diff = DepthDiff { first: need(first, "U")?, last: need(last, "u")?, venue_time: venue_time(need(time, "E")?) };
    need(bids.and(asks), "b")?;
    if diff.first > diff.last {
        return Err(DecodeError::Contradiction { name: "U" });
    }
    Ok((need(symbol, "s")?, diff))
}

/// The levels of one side, `[["150.24","10.000"],…]`; further elements of a level are skipped.
#[inline]
fn side(scan: &mut Scanner<'_>, out: &mut Vec<Level>) -> Result<(), DecodeError> {
    out.clear();
    scan.array(|scan| {
        scan.expect(b'[')?;
        let at = scan.at();
        let price = scan.price()?;
        scan.expect(b',')?;
        let qty = scan.qty()?;
        while scan.peek()? != b']' {
            scan.expect(b',')?;
            scan.skip()?;
        }
        scan.expect(b']')?;
        if price.0 <= 0 || qty.0 < 0 {
            return Err(DecodeError::BadNumber { at });
        }
        if out.len() >= LEVELS_MAX {
            return Err(DecodeError::TooLong { got: at });
        }
        out.push(Level { price, qty });
        Ok(())
    })
}

/// A trade.
pub(super) fn trade<'a>(scan: &mut Scanner<'a>) -> Result<(&'a [u8], TradeReport), DecodeError> {
    let (mut symbol, mut id, mut price, mut qty, mut time, mut buyer_made) = (None, None, None, None, None, None);
    scan.object(|scan, key| {
        match key {
            b"s" => symbol = Some(scan.string()?),
            b"t" => id = Some(scan.integer()?),
            b"p" => price = Some(scan.price()?),
            b"q" => qty = Some(scan.qty()?),
            b"T" => time = Some(scan.integer()?),
            b"m" => buyer_made = Some(scan.boolean()?),
            _ => scan.skip()?,
        }
        Ok(())
    })?;
    let aggressor = if need(buyer_made, "m")? { Side::Sell } else { Side::Buy };
    let trade = Trade { price: need(price, "p")?, qty: need(qty, "q")?, aggressor, trade_id: need(id, "t")? };
    if trade.price.0 <= 0 || trade.qty.0 <= 0 {
        return Err(DecodeError::Contradiction { name: "p" });
    }
    Ok((need(symbol, "s")?, TradeReport { trade, venue_time: venue_time(need(time, "T")?) }))
}

/// A candle.
pub(super) fn candle<'a>(scan: &mut Scanner<'a>) -> Result<(&'a [u8], CandleUpdate), DecodeError> {
    let (mut symbol, mut time, mut inner) = (None, None, None);
    scan.object(|scan, key| {
        match key {
            b"s" => symbol = Some(scan.string()?),
            b"E" => time = Some(scan.integer()?),
            b"k" => inner = Some(candle_body(scan)?),
            _ => scan.skip()?,
        }
        Ok(())
    })?;
    let (candle, closed) = need(inner, "k")?;
    Ok((need(symbol, "s")?, CandleUpdate { candle, closed, venue_time: venue_time(need(time, "E")?) }))
}

fn candle_body(scan: &mut Scanner<'_>) -> Result<(Candle, bool), DecodeError> {
    let (mut from, mut to, mut closed, mut volume) = (None, None, None, None);
    let (mut open, mut high, mut low, mut close) = (None, None, None, None);
    scan.object(|scan, key| {
        match key {
            b"t" => from = Some(scan.integer()?),
            b"T" => to = Some(scan.integer()?),
            b"o" => open = Some(scan.price()?),
            b"h" => high = Some(scan.price()?),
            b"l" => low = Some(scan.price()?),
            b"c" => close = Some(scan.price()?),
            b"v" => volume = Some(scan.qty()?),
            b"x" => closed = Some(scan.boolean()?),
            _ => scan.skip()?,
        }
        Ok(())
    })?;
    let candle = Candle {
        open_time: venue_time(need(from, "t")?),
        open: need(open, "o")?,
        high: need(high, "h")?,
        low: need(low, "l")?,
        close: need(close, "c")?,
        volume: need(volume, "v")?,
        interval_s: 0,
    };
    Ok((check_candle(candle, venue_time(need(to, "T")?))?, need(closed, "x")?))
}

/// Gives a candle its length (the venue's close time is inclusive) and checks that its prices agree.
fn check_candle(candle: Candle, close_time: Time) -> Result<Candle, DecodeError> {
    let seconds = close_time.since(candle.open_time).saturating_add(NANOS_PER_SEC / 2) / NANOS_PER_SEC;
    let interval_s = u32::try_from(seconds).map_err(|_| DecodeError::Contradiction { name: "T" })?;
    let top = candle.open.max(candle.close);
    let bottom = candle.open.min(candle.close);
    if candle.low.0 <= 0 || candle.low > bottom || candle.high < top || candle.volume.0 < 0 || interval_s == 0 {
        return Err(DecodeError::Contradiction { name: "k" });
    }
    Ok(Candle { interval_s, ..candle })
}

/// Decodes a REST depth snapshot: the update number it stands at; its levels in `levels`. Errors: [`DecodeError`].
pub fn snapshot(body: &[u8], levels: &mut Levels) -> Result<u64, DecodeError> {
    if body.len() > FRAME_BYTES_MAX {
        return Err(DecodeError::TooLong { got: body.len() });
    }
    let (mut last, mut bids, mut asks) = (None, None, None);
    levels.clear();
    let mut scan = Scanner::new(body);
    scan.object(|scan, key| {
        match key {
            b"lastUpdateId" => last = Some(scan.unsigned()?),
            b"bids" => bids = Some(side(scan, &mut levels.bids)?),
            b"asks" => asks = Some(side(scan, &mut levels.asks)?),
            _ => scan.skip()?,
        }
        Ok(())
    })?;
    scan.end()?;
    need(bids, "bids")?;
    need(asks, "asks")?;
    need(last, "lastUpdateId")
}

/// Decodes a REST `klines` reply, oldest first; the last one may still be open. Errors: [`DecodeError`].
pub fn klines(body: &[u8], mut each: impl FnMut(Candle)) -> Result<(), DecodeError> {
    if body.len() > FRAME_BYTES_MAX {
        return Err(DecodeError::TooLong { got: body.len() });
    }
    let mut scan = Scanner::new(body);
    scan.array(|scan| {
        scan.expect(b'[')?;
        let open_time = venue_time(scan.integer()?);
        let mut prices = [Price::ZERO; 4];
        for price in &mut prices {
            scan.expect(b',')?;
            *price = scan.price()?;
        }
        scan.expect(b',')?;
        let volume = scan.qty()?;
        scan.expect(b',')?;
        let close_time = venue_time(scan.integer()?);
        while scan.peek()? != b']' {
            scan.expect(b',')?;
            scan.skip()?;
        }
        scan.expect(b']')?;
        let [open, high, low, close] = prices;
        let candle = Candle { open_time, open, high, low, close, volume, interval_s: 0 };
        each(check_candle(candle, close_time)?);
        Ok(())
    })?;
    scan.end()
}
