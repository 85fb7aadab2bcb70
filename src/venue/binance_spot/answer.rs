//! Answers of the WebSocket API, and the same objects where REST sends them: one walk over each, in place.
//!
//! Thread: any.  Invariants: an order of a list is known by its client id or number, never by its place; unknown
//! fields are stepped over; no allocation.  Source: the venue's API documents, as of 2026-07-21.

use super::messages::venue_time;
use super::user::side;
use crate::types::order::FeeAsset;
use crate::types::{Instrument, Liquidity, Price, Qty, Side, Time};
use crate::venue::DecodeError;
use crate::venue::scan::Scanner;

/// Counts told with an answer, at most.
pub const COUNTS_MAX: usize = 8;

/// How much of a limit is used, as the venue counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsedCount<'a> {
    /// `REQUEST_WEIGHT`, `ORDERS`, …
    pub kind: &'a [u8],
    /// `SECOND`, `MINUTE`, `DAY`.
    pub interval: &'a [u8],
    /// How many of these.
    pub interval_num: i64,
    /// Most that fits.
    pub limit: i64,
    /// Used.
    pub count: i64,
}

/// The outside of a frame of the WebSocket API.
#[derive(Clone, Copy, Debug, Default)]
pub struct Envelope<'a> {
    /// Our request's number, if the answer has one.
    pub id: Option<u64>,
    /// 200, or what went wrong; 0 = not an answer.
    pub status: u16,
    /// Where `result` begins.
    pub result_at: Option<usize>,
    /// Where `error` begins.
    pub error_at: Option<usize>,
    /// Where `event` begins.
    pub event_at: Option<usize>,
    /// Limits that were told, in order.
    pub counts: [UsedCount<'a>; COUNTS_MAX],
}

/// Reads the outside of a frame.
pub fn envelope(frame: &[u8]) -> Result<Envelope<'_>, DecodeError> {
    let mut found = Envelope::default();
    let mut scan = Scanner::new(frame);
    scan.object(|scan, key| {
        let first = scan.peek()?;
        let at = Some(scan.at());
        match key {
            b"id" if first.is_ascii_digit() => {
                found.id = Some(scan.unsigned()?);
                return Ok(());
            }
            b"status" => {
                found.status = u16::try_from(scan.unsigned()?).unwrap_or(u16::MAX);
                return Ok(());
            }
            b"rateLimits" if first == b'[' => return counts(scan, &mut found.counts),
            b"result" => found.result_at = at,
            b"error" => found.error_at = at,
            b"event" => found.event_at = at,
            _ => {}
        }
        scan.skip()
    })?;
    scan.end()?;
    Ok(found)
}

fn counts<'a>(scan: &mut Scanner<'a>, found: &mut [UsedCount<'a>; COUNTS_MAX]) -> Result<(), DecodeError> {
    let mut slots = found.iter_mut();
    scan.array(|scan| {
        let mut count = UsedCount::default();
        scan.object(|scan, key| {
            match key {
                b"rateLimitType" => count.kind = scan.string()?,
                b"interval" => count.interval = scan.string()?,
                b"intervalNum" => count.interval_num = scan.integer()?,
                b"limit" => count.limit = scan.integer()?,
                b"count" => count.count = scan.integer()?,
                _ => scan.skip()?,
            }
            Ok(())
        })?;
        if let Some(slot) = slots.next() {
            *slot = count;
        }
        Ok(())
    })
}

/// Any object that answers a request; what a kind of answer does not have stays `None` or empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer<'a> {
    /// The venue's number of the order; 0 = not told.
    pub order_id: i64,
    /// The venue's number of its list; 0 = none.
    pub list_id: i64,
    /// Client id; in a cancel's answer, the id of the cancel.
    pub client: &'a [u8],
    /// In a cancel's answer, the client id of the order.
    pub original: &'a [u8],
    /// Client id of the list.
    pub list_client: &'a [u8],
    /// Status of the order.
    pub status: &'a [u8],
    /// Where it stands, for an error.
    pub status_at: usize,
    /// Why it expired.
    pub expiry: &'a [u8],
    /// Type of the order.
    pub kind: &'a [u8],
    /// Time in force.
    pub tif: &'a [u8],
    /// Which way.
    pub side: Option<Side>,
    /// Limit of the order; zero = none, or not told.
    pub price: Price,
    /// Trigger of the order; zero = none, or not told.
    pub stop_price: Price,
    /// Size of the order.
    pub order_qty: Option<Qty>,
    /// Filled so far.
    pub cum_qty: Option<Qty>,
    /// Cut away by self-trade prevention.
    pub prevented_qty: Qty,
    /// The venue's time of it.
    pub venue_time: Time,
    /// Where `fills` begins.
    pub fills_at: Option<usize>,
    /// Where `orders` of a list begins.
    pub orders_at: Option<usize>,
    /// Where `orderReports` of a list begins.
    pub reports_at: Option<usize>,
    /// `cancelResult` of a cancel-replace.
    pub cancel_result: &'a [u8],
    /// `newOrderResult` of a cancel-replace.
    pub new_result: &'a [u8],
    /// Where `cancelResponse` begins.
    pub cancel_at: Option<usize>,
    /// Where `newOrderResponse` begins.
    pub new_at: Option<usize>,
    /// Error code; 0 = none.
    pub code: i32,
    /// Error text.
    pub msg: &'a [u8],
    /// Where the error's `data` begins.
    pub data_at: Option<usize>,
    /// When to come back, epoch ms; 0 = not told.
    pub retry_after_ms: i64,
    /// The venue's clock, its own unit.
    pub server_time: i64,
    /// Where `balances` begins.
    pub balances_at: Option<usize>,
}

/// Reads the object at byte `at`; anything else there (`null`, an array) reads as an empty answer.
pub fn answer(frame: &[u8], at: usize) -> Result<Answer<'_>, DecodeError> {
    let mut found = Answer::default();
    let mut scan = Scanner::starting_at(frame, at);
    if scan.peek()? != b'{' {
        return Ok(found);
    }
    scan.object(|scan, key| field(scan, key, &mut found))?;
    Ok(found)
}

fn field<'a>(scan: &mut Scanner<'a>, key: &[u8], found: &mut Answer<'a>) -> Result<(), DecodeError> {
    scan.peek()?;
    let at = Some(scan.at());
    match key {
        b"orderId" => found.order_id = scan.integer()?,
        b"orderListId" => found.list_id = scan.integer()?.max(0),
        b"clientOrderId" => found.client = scan.string_or_null()?.unwrap_or_default(),
        b"origClientOrderId" => found.original = scan.string_or_null()?.unwrap_or_default(),
        b"listClientOrderId" => found.list_client = scan.string_or_null()?.unwrap_or_default(),
        b"status" => {
            found.status_at = scan.at();
            found.status = scan.string()?;
        }
        b"expiryReason" => found.expiry = scan.string_or_null()?.unwrap_or_default(),
        b"type" => found.kind = scan.string()?,
        b"timeInForce" => found.tif = scan.string_or_null()?.unwrap_or_default(),
        b"side" => found.side = Some(side(scan)?),
        b"price" => found.price = scan.price()?,
        b"stopPrice" => found.stop_price = scan.price()?,
        b"origQty" => found.order_qty = Some(scan.qty()?),
        b"executedQty" => found.cum_qty = Some(scan.qty()?),
        b"preventedQuantity" => found.prevented_qty = scan.qty()?,
        b"transactTime" | b"transactionTime" | b"updateTime" => found.venue_time = venue_time(scan.integer()?),
        b"cancelResult" => found.cancel_result = scan.string()?,
        b"newOrderResult" => found.new_result = scan.string()?,
        b"code" => found.code = i32::try_from(scan.integer()?).unwrap_or(i32::MIN),
        b"msg" => found.msg = scan.string()?,
        b"retryAfter" => found.retry_after_ms = scan.integer()?,
        b"serverTime" => found.server_time = scan.integer()?,
        _ => {
            match key {
                b"fills" => found.fills_at = at,
                b"orders" => found.orders_at = at,
                b"orderReports" => found.reports_at = at,
                b"cancelResponse" => found.cancel_at = at,
                b"newOrderResponse" => found.new_at = at,
                b"data" => found.data_at = at,
                b"balances" => found.balances_at = at,
                _ => {}
            }
            scan.skip()?;
        }
    }
    Ok(())
}

/// Calls `each` with the offset of every element of the array at byte `at`; anything else there has no elements.
pub fn elements(
    frame: &[u8],
    at: usize,
    mut each: impl FnMut(usize) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut scan = Scanner::starting_at(frame, at);
    if scan.peek()? != b'[' {
        return Ok(());
    }
    scan.array(|scan| {
        scan.peek()?;
        each(scan.at())?;
        scan.skip()
    })
}

/// One fill: an element of `myTrades` or of `fills`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillAnswer {
    /// The venue's number of the order; 0 = not told (`fills`).
    pub order_id: i64,
    /// The key of the fill.
    pub trade_id: i64,
    /// Price.
    pub price: Price,
    /// Size.
    pub qty: Qty,
    /// Fee in units of its asset.
    pub fee: i64,
    /// That asset.
    pub fee_asset: FeeAsset,
    /// Which way, if told.
    pub side: Option<Side>,
    /// Maker or taker; `fills` are takers.
    pub liquidity: Liquidity,
    /// The venue's time; NONE if not told.
    pub venue_time: Time,
}

/// Reads the fill at byte `at`.
pub fn fill(frame: &[u8], at: usize, rules: &Instrument) -> Result<FillAnswer, DecodeError> {
    let mut found = FillAnswer {
        order_id: 0,
        trade_id: 0,
        price: Price::ZERO,
        qty: Qty::ZERO,
        fee: 0,
        fee_asset: FeeAsset::None,
        side: None,
        liquidity: Liquidity::Taker,
        venue_time: Time::NONE,
    };
    let (mut fee_at, mut asset) = (None, None);
    Scanner::starting_at(frame, at).object(|scan, key| {
        match key {
            b"orderId" => found.order_id = scan.integer()?,
            b"id" | b"tradeId" => found.trade_id = scan.integer()?,
            b"price" => found.price = scan.price()?,
            b"qty" => found.qty = scan.qty()?,
            b"commission" => {
                scan.peek()?;
                fee_at = Some(scan.at());
                scan.skip()?;
            }
            b"commissionAsset" => asset = scan.string_or_null()?,
            b"isBuyer" => found.side = Some(if scan.boolean()? { Side::Buy } else { Side::Sell }),
            b"isMaker" => found.liquidity = if scan.boolean()? { Liquidity::Maker } else { Liquidity::Taker },
            b"time" => found.venue_time = venue_time(scan.integer()?),
            _ => scan.skip()?,
        }
        Ok(())
    })?;
    if found.trade_id <= 0 || found.qty <= Qty::ZERO || found.price <= Price::ZERO {
        return Err(DecodeError::Contradiction { name: "fill" });
    }
    if let (Some(at), Some(asset)) = (fee_at, asset) {
        (found.fee, found.fee_asset) = super::user::fee_value(frame, at, asset, rules)?;
    }
    Ok(found)
}
