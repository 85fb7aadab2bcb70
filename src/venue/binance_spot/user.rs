//! The account's own events: reports of our orders, balances, the end of the subscription.
//!
//! Thread: any.  Invariants: keys are matched byte for byte, because nearly every one exists in both cases; a word
//! that the documents do not list becomes `Unknown` with [`Reason::Halt`], never a guess; decoding does not allocate.
//! Source: the venue's API documents, "user data stream", as of 2026-07-21.

use super::messages::venue_time;
use super::rest::kind_of;
use crate::types::event::Balance;
use crate::types::order::{FeeAsset, Reason};
use crate::types::reconcile::RestingOrder;
use crate::types::{ClientOrderId, ExecKind, ExecutionReport, Liquidity, OrderKind, Side, VenueOrderId};
use crate::types::{Instrument, Notional, Price, Qty, Time};
use crate::venue::DecodeError;
use crate::venue::scan::Scanner;

/// One event of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserEvent<'a> {
    /// Something happened to an order, ours or not.
    Order(OrderEvent<'a>),
    /// Balances, absolute; only of the assets that may have changed.
    Position {
        /// Of the base currency, if told.
        base: Option<Balance>,
        /// Of the quote currency, if told.
        quote: Option<Balance>,
        /// The venue's time.
        venue_time: Time,
    },
    /// Coins came, went or were locked from outside by a difference: ask for the balances.
    Moved,
    /// An order list changed; its legs have reports of their own.
    List {
        /// The venue's number of it.
        list_id: i64,
        /// Nothing of it lives any more.
        done: bool,
    },
    /// Nothing more comes under this subscription.
    Terminated,
    /// The server goes away.
    Shutdown,
    /// One that we need not know.
    Other,
}

/// An `executionReport`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderEvent<'a> {
    /// Whose market.
    pub symbol: &'a [u8],
    /// Key `c`: the client id; after a cancel, the id of the cancel.
    pub client: &'a [u8],
    /// Key `C`: after a cancel, the client id of the order; else empty.
    pub original: &'a [u8],
    /// Size of the whole order.
    pub order_qty: Qty,
    /// How it finds its price; `None` = a kind that we never send.
    pub kind: Option<OrderKind>,
    /// Limit; zero = none.
    pub price: Price,
    /// Trigger; zero = none.
    pub stop_price: Price,
    /// The venue's time.
    pub venue_time: Time,
    /// All else, but the name.
    facts: Facts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Facts {
    venue_order_id: VenueOrderId,
    list_id: i64,
    kind: ExecKind,
    side: Side,
    liquidity: Liquidity,
    fee_asset: FeeAsset,
    reason: Reason,
    last_qty: Qty,
    last_px: Price,
    cum_qty: Qty,
    leaves_qty: Qty,
    fee: i64,
    trade_id: i64,
}

impl OrderEvent<'_> {
    /// Our order, if it is one: its own name, which a cancel moves from `c` to `C`.
    pub fn ours(&self) -> Option<ClientOrderId> {
        ClientOrderId::parse(self.original).or_else(|| ClientOrderId::parse(self.client))
    }
    /// The venue's number of the order.
    pub fn venue_order_id(&self) -> VenueOrderId {
        self.facts.venue_order_id
    }
    /// The order as it rests, under the name `id`, before what this event tells; `None` for a kind that we never send.
    pub fn resting(&self, id: ClientOrderId) -> Option<RestingOrder> {
        let f = &self.facts;
        Some(RestingOrder {
            id,
            venue_order_id: f.venue_order_id,
            list_id: f.list_id,
            side: f.side,
            kind: self.kind?,
            qty: self.order_qty,
            cum_qty: Qty(f.cum_qty.0.saturating_sub(f.last_qty.0).max(0)),
            price: self.price,
            stop_price: self.stop_price,
        })
    }
    /// The report, under the name `id`.
    pub fn report(&self, id: ClientOrderId) -> ExecutionReport {
        let f = &self.facts;
        ExecutionReport {
            id,
            venue_order_id: f.venue_order_id,
            list_id: f.list_id,
            kind: f.kind,
            side: f.side,
            liquidity: f.liquidity,
            fee_asset: f.fee_asset,
            reason: f.reason,
            code: 0,
            last_qty: f.last_qty,
            last_px: f.last_px,
            cum_qty: f.cum_qty,
            leaves_qty: f.leaves_qty,
            fee: f.fee,
            trade_id: f.trade_id,
        }
    }
}

/// Decodes one frame: `{"subscriptionId":n,"event":{…}}`, `{"event":{…}}` or the bare event.
///
/// Errors: [`DecodeError`] with the byte offset; no input makes it panic.  Cost: one pass, no allocation.
pub fn decode<'a>(frame: &'a [u8], rules: &Instrument) -> Result<UserEvent<'a>, DecodeError> {
    let mut event_at = None;
    Scanner::new(frame).object(|scan, key| {
        if key == b"event" {
            scan.peek()?;
            event_at = Some(scan.at());
        }
        scan.skip()
    })?;
    decode_at(frame, event_at.unwrap_or(0), rules)
}

/// Decodes the event whose `{` stands at byte `at` of `frame`.
pub fn decode_at<'a>(frame: &'a [u8], at: usize, rules: &Instrument) -> Result<UserEvent<'a>, DecodeError> {
    match kind_at(frame, at)? {
        b"executionReport" => order_event(frame, at, rules).map(UserEvent::Order),
        b"outboundAccountPosition" => position(frame, at, rules),
        b"balanceUpdate" | b"externalLockUpdate" => Ok(UserEvent::Moved),
        b"listStatus" => list_status(Scanner::starting_at(frame, at)),
        b"eventStreamTerminated" => Ok(UserEvent::Terminated),
        b"serverShutdown" => Ok(UserEvent::Shutdown),
        _ => Ok(UserEvent::Other),
    }
}

/// The word under `e`; in practice it stands first.
fn kind_at(frame: &[u8], at: usize) -> Result<&[u8], DecodeError> {
    let mut first = Scanner::starting_at(frame, at);
    first.expect(b'{')?;
    if first.string()? == b"e" {
        first.expect(b':')?;
        return first.string();
    }
    let mut kind = None;
    Scanner::starting_at(frame, at).object(|scan, key| match key {
        b"e" => scan.string().map(|text| kind = Some(text)),
        _ => scan.skip(),
    })?;
    kind.ok_or(DecodeError::Missing { name: "e" })
}

/// The keys of an `executionReport` that we read, as they stand.
#[derive(Default)]
struct Raw<'a> {
    symbol: Option<&'a [u8]>,
    client: Option<&'a [u8]>,
    original: &'a [u8],
    side: Option<Side>,
    exec: Option<&'a [u8]>,
    status: Option<&'a [u8]>,
    order_kind: &'a [u8],
    tif: &'a [u8],
    reject: &'a [u8],
    expiry: &'a [u8],
    order_id: Option<i64>,
    list_id: i64,
    order_qty: Option<Qty>,
    price: Price,
    stop_price: Price,
    cum_qty: Option<Qty>,
    prevented_qty: Qty,
    last_qty: Qty,
    last_px: Price,
    fee_at: Option<usize>,
    fee_asset: Option<&'a [u8]>,
    maker: bool,
    trade_id: i64,
    venue_ms: i64,
}

/// BUY or SELL at the scanner.
pub(super) fn side(scan: &mut Scanner<'_>) -> Result<Side, DecodeError> {
    let at = scan.at();
    match scan.string()? {
        b"BUY" => Ok(Side::Buy),
        b"SELL" => Ok(Side::Sell),
        _ => Err(DecodeError::UnknownWord { at }),
    }
}

/// Reads the keys of an `executionReport`.
fn raw_event(frame: &[u8], at: usize) -> Result<Raw<'_>, DecodeError> {
    let mut raw = Raw::default();
    Scanner::starting_at(frame, at).object(|scan, key| {
        match key {
            b"s" => raw.symbol = Some(scan.string()?),
            b"c" => raw.client = Some(scan.string()?),
            b"C" => raw.original = scan.string_or_null()?.unwrap_or_default(),
            b"S" => raw.side = Some(side(scan)?),
            b"x" => raw.exec = Some(scan.string()?),
            b"X" => raw.status = Some(scan.string()?),
            b"o" => raw.order_kind = scan.string()?,
            b"f" => raw.tif = scan.string()?,
            b"r" => raw.reject = scan.string()?,
            b"eR" => raw.expiry = scan.string_or_null()?.unwrap_or_default(),
            b"i" => raw.order_id = Some(scan.integer()?),
            b"g" => raw.list_id = scan.integer()?,
            b"q" => raw.order_qty = Some(scan.qty()?),
            b"p" => raw.price = scan.price()?,
            b"P" => raw.stop_price = scan.price()?,
            b"z" => raw.cum_qty = Some(scan.qty()?),
            b"A" => raw.prevented_qty = scan.qty()?,
            b"l" => raw.last_qty = scan.qty()?,
            b"L" => raw.last_px = scan.price()?,
            b"n" => {
                scan.peek()?;
                raw.fee_at = Some(scan.at());
                scan.skip()?;
            }
            b"N" => raw.fee_asset = scan.string_or_null()?,
            b"m" => raw.maker = scan.boolean()?,
            b"t" => raw.trade_id = scan.integer()?,
            b"T" => raw.venue_ms = scan.integer()?,
            _ => scan.skip()?,
        }
        Ok(())
    })?;
    Ok(raw)
}

fn order_event<'a>(frame: &'a [u8], at: usize, rules: &Instrument) -> Result<OrderEvent<'a>, DecodeError> {
    let raw = raw_event(frame, at)?;
    let need = |name| DecodeError::Missing { name };
    let (fee, fee_asset) = fee(&raw, frame, rules)?;
    let exec = raw.exec.ok_or(need("x"))?;
    let order_qty = raw.order_qty.ok_or(need("q"))?;
    let cum_qty = raw.cum_qty.ok_or(need("z"))?;
    let (kind, reason) = outcome(&raw, exec, raw.status.ok_or(need("X"))?);
    if kind == ExecKind::Fill && (raw.last_qty <= Qty::ZERO || raw.trade_id <= 0 || cum_qty < raw.last_qty) {
        return Err(DecodeError::Contradiction { name: "l" });
    }
    let open = order_qty.0.saturating_sub(cum_qty.0).saturating_sub(raw.prevented_qty.0).max(0);
    let live = matches!(kind, ExecKind::New | ExecKind::Fill | ExecKind::Status | ExecKind::Unknown);
    Ok(OrderEvent {
        symbol: raw.symbol.ok_or(need("s"))?,
        client: raw.client.ok_or(need("c"))?,
        original: raw.original,
        order_qty,
        kind: kind_of(raw.order_kind),
        price: raw.price,
        stop_price: raw.stop_price,
        venue_time: venue_time(raw.venue_ms),
        facts: Facts {
            venue_order_id: VenueOrderId(raw.order_id.ok_or(need("i"))?),
            list_id: raw.list_id.max(0),
            kind,
            side: raw.side.ok_or(need("S"))?,
            liquidity: if raw.maker { Liquidity::Maker } else { Liquidity::Taker },
            fee_asset,
            reason,
            last_qty: raw.last_qty,
            last_px: raw.last_px,
            cum_qty,
            leaves_qty: Qty(if live { open } else { 0 }),
            fee,
            trade_id: raw.trade_id.max(0),
        },
    })
}

/// What the pair of words `x` (what happened) and `X` (what it led to) says.
fn outcome(raw: &Raw<'_>, exec: &[u8], status: &[u8]) -> (ExecKind, Reason) {
    let known = STATUS_WORDS.contains(&status);
    match exec {
        _ if !known => (ExecKind::Unknown, Reason::Halt),
        b"NEW" => (ExecKind::New, Reason::None),
        b"TRADE" => (ExecKind::Fill, Reason::None),
        b"CANCELED" => (ExecKind::Canceled, Reason::None),
        b"REPLACED" => (ExecKind::Status, Reason::None),
        b"REJECTED" => (ExecKind::Rejected, reject_reason(raw.reject)),
        b"EXPIRED" => (ExecKind::Expired, expiry_reason(raw.expiry, raw.tif, raw.order_kind, raw.list_id > 0)),
        b"TRADE_PREVENTION" if status == b"EXPIRED_IN_MATCH" => (ExecKind::Expired, Reason::Unprotected),
        b"TRADE_PREVENTION" => (ExecKind::Status, Reason::None),
        _ => (ExecKind::Unknown, Reason::Halt),
    }
}

/// Every status an order can have.
pub(super) const STATUS_WORDS: [&[u8]; 9] = [
    b"NEW",
    b"PENDING_NEW",
    b"PARTIALLY_FILLED",
    b"FILLED",
    b"CANCELED",
    b"PENDING_CANCEL",
    b"REJECTED",
    b"EXPIRED",
    b"EXPIRED_IN_MATCH",
];

fn reject_reason(word: &[u8]) -> Reason {
    match word {
        b"INSUFFICIENT_BALANCES" => Reason::Balance,
        b"STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY" | b"OCO_BAD_PRICES" => Reason::PriceMoved,
        b"WOULD_MATCH_IMMEDIATELY" => Reason::WouldTake,
        _ => Reason::Other,
    }
}

/// Why an order expired. A word that is not listed counts as a loss of protection; no word at all is read from what
/// kind of order it was.
pub(super) fn expiry_reason(word: &[u8], tif: &[u8], kind: &[u8], in_list: bool) -> Reason {
    match word {
        b"UNFILLED_IOC_QUANTITY_EXPIRED" | b"UNFILLED_FOK_ORDER_EXPIRED" => Reason::TimeInForce,
        b"OCO_TRIGGER" | b"OTO_PHASE_ONE_EXPIRED" => Reason::OcoTrigger,
        b"" | b"NONE" if kind == b"MARKET" => Reason::Unprotected,
        b"" | b"NONE" if tif == b"IOC" || tif == b"FOK" => Reason::TimeInForce,
        b"" | b"NONE" if in_list => Reason::OcoTrigger,
        _ => Reason::Unprotected,
    }
}

/// Fee of this fill in the units of its asset.
fn fee(raw: &Raw<'_>, frame: &[u8], rules: &Instrument) -> Result<(i64, FeeAsset), DecodeError> {
    let (Some(at), Some(asset)) = (raw.fee_at, raw.fee_asset) else { return Ok((0, FeeAsset::None)) };
    fee_value(frame, at, asset, rules)
}

/// Reads the fee at byte `at`, taken in `asset`: 1e-9 for the base currency, 1e-8 for any other.
pub(super) fn fee_value(
    frame: &[u8],
    at: usize,
    asset: &[u8],
    rules: &Instrument,
) -> Result<(i64, FeeAsset), DecodeError> {
    let mut scan = Scanner::starting_at(frame, at);
    if asset == rules.base.as_bytes() {
        return scan.decimal(9).map(|fee| (fee, FeeAsset::Base));
    }
    let kind = if asset == rules.quote.as_bytes() { FeeAsset::Quote } else { FeeAsset::Other };
    scan.decimal(8).map(|fee| (fee, kind))
}

/// One `{"a":asset,"f":free,"l":locked}` or `{"asset":…,"free":…,"locked":…}`, if it is base or quote.
fn balance(scan: &mut Scanner<'_>, frame: &[u8], rules: &Instrument) -> Result<Option<Balance>, DecodeError> {
    let (mut asset, mut free_at, mut locked_at) = (None, None, None);
    scan.object(|scan, key| {
        scan.peek()?;
        match key {
            b"a" | b"asset" => {
                asset = Some(scan.string()?);
                return Ok(());
            }
            b"f" | b"free" => free_at = Some(scan.at()),
            b"l" | b"locked" => locked_at = Some(scan.at()),
            _ => {}
        }
        scan.skip()
    })?;
    let number = |at: Option<usize>, name, decimals| {
        Scanner::starting_at(frame, at.ok_or(DecodeError::Missing { name })?).decimal(decimals)
    };
    let asset = asset.ok_or(DecodeError::Missing { name: "asset" })?;
    if asset == rules.base.as_bytes() {
        let (free, locked) = (Qty(number(free_at, "free", 9)?), Qty(number(locked_at, "locked", 9)?));
        return Ok(Some(Balance::Base { free, locked }));
    }
    if asset == rules.quote.as_bytes() {
        let (free, locked) = (Notional(number(free_at, "free", 8)?), Notional(number(locked_at, "locked", 8)?));
        return Ok(Some(Balance::Quote { free, locked }));
    }
    Ok(None)
}

/// Reads the balance at byte `at`.
pub(super) fn balance_at(frame: &[u8], at: usize, rules: &Instrument) -> Result<Option<Balance>, DecodeError> {
    balance(&mut Scanner::starting_at(frame, at), frame, rules)
}

fn position<'a>(frame: &'a [u8], at: usize, rules: &Instrument) -> Result<UserEvent<'a>, DecodeError> {
    let (mut base, mut quote, mut venue_ms, mut told) = (None, None, 0, false);
    Scanner::starting_at(frame, at).object(|scan, key| match key {
        b"B" => {
            told = true;
            scan.array(|scan| {
                match balance(scan, frame, rules)? {
                    Some(found @ Balance::Base { .. }) => base = Some(found),
                    Some(found @ Balance::Quote { .. }) => quote = Some(found),
                    None => {}
                }
                Ok(())
            })
        }
        b"E" => scan.integer().map(|ms| venue_ms = ms),
        _ => scan.skip(),
    })?;
    if !told {
        return Err(DecodeError::Missing { name: "B" });
    }
    Ok(UserEvent::Position { base, quote, venue_time: venue_time(venue_ms) })
}

fn list_status<'a>(mut scan: Scanner<'a>) -> Result<UserEvent<'a>, DecodeError> {
    let (mut list_id, mut done) = (None, false);
    scan.object(|scan, key| match key {
        b"g" => scan.integer().map(|id| list_id = Some(id)),
        b"L" => scan.string().map(|word| done = word != b"EXECUTING"),
        _ => scan.skip(),
    })?;
    let list_id = list_id.ok_or(DecodeError::Missing { name: "g" })?;
    Ok(UserEvent::List { list_id, done })
}
