//! REST at start: request targets, signed where they must be, and the answers read before anything trades.
//!
//! Thread: any, never a hot one: allocates freely.  Invariants: decimals are read exactly from their text; a filter that
//! is not known is ignored, a rule that we need and do not find is an error with its name.  Source: the venue's API
//! documents, "general endpoints" and "account endpoints", as of 2026-07-21. Candles are read by `candles`.

use super::answer::{self, FillAnswer};
use super::messages::venue_time;
use super::sign::Signer;
use super::user;
use crate::types::OrderKind;
use crate::types::event::Balance;
use crate::types::instrument::Symbol;
use crate::types::reconcile::RestingOrder;
use crate::types::record::OrderStatus;
use crate::types::units::DecimalError;
use crate::types::{ClientOrderId, Instrument, Millis, Notional, Price, Qty, Ratio, Side, Time, VenueOrderId};
use crate::venue::DecodeError;
use crate::venue::usd::syntax_at;
use serde::Deserialize;

/// Header that carries the key's name on every signed request.
pub const API_KEY_HEADER: &str = "X-MBX-APIKEY";

/// Why an answer could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestError {
    /// The venue answered with an error.
    #[error("the venue refused the request: {msg} (code {code})")]
    Venue {
        /// Its code.
        code: i32,
        /// Its text.
        msg: String,
    },
    /// Not the JSON that belongs there.
    #[error("the venue's answer to `{what}` is not as documented at byte {at}: {why}")]
    Shape {
        /// Which answer.
        what: &'static str,
        /// Where the parser stopped.
        at: usize,
        /// What the parser found.
        why: String,
    },
    /// Something that we need is not in it.
    #[error("the venue's `{what}` lacks {name}")]
    Missing {
        /// Which answer.
        what: &'static str,
        /// What is missing.
        name: String,
    },
    /// A number that is none, or finer or larger than our units.
    #[error("`{name}` = `{text}` cannot be held exactly: {why}")]
    Number {
        /// Its field.
        name: &'static str,
        /// As it stands there.
        text: String,
        /// Why not.
        why: DecimalError,
    },
    /// A byte of it cannot be read.
    #[error("the venue's answer to `{what}` cannot be read: {why}")]
    Decode {
        /// Which answer.
        what: &'static str,
        /// Where and why.
        why: DecodeError,
    },
}

/// Target of `time`.
pub fn time_target() -> &'static str {
    "/api/v3/time"
}

/// Target of `exchangeInfo` for one symbol.
pub fn exchange_info_target(symbol: Symbol) -> String {
    format!("/api/v3/exchangeInfo?symbol={symbol}")
}

/// Makes signed targets: path and query of a request that carries [`API_KEY_HEADER`].
#[derive(Debug)]
pub struct SignedTargets<'a> {
    /// The key.
    pub signer: &'a Signer,
    /// How late a request may arrive, ms.
    pub recv_window_ms: u32,
    /// The venue's time now.
    pub timestamp: Millis,
}

impl SignedTargets<'_> {
    /// Balances and permissions.
    pub fn account(&self) -> String {
        self.signed("/api/v3/account", "omitZeroBalances=true")
    }
    /// Fees of the symbol.
    pub fn commission(&self, symbol: Symbol) -> String {
        self.signed("/api/v3/account/commission", &format!("symbol={symbol}"))
    }
    /// Open orders of the symbol. With method DELETE: cancels them all.
    pub fn open_orders(&self, symbol: Symbol) -> String {
        self.signed("/api/v3/openOrders", &format!("symbol={symbol}"))
    }
    /// Open order lists of the account.
    pub fn open_lists(&self) -> String {
        self.signed("/api/v3/openOrderList", "")
    }
    /// Trades of the symbol from trade number `from` on; `None` = the newest.
    pub fn my_trades(&self, symbol: Symbol, from: Option<i64>) -> String {
        let from = from.map(|id| format!("&fromId={id}")).unwrap_or_default();
        self.signed("/api/v3/myTrades", &format!("symbol={symbol}{from}&limit=1000"))
    }
    /// One order by its client id. With method DELETE: cancels it.
    pub fn order(&self, symbol: Symbol, id: ClientOrderId) -> String {
        self.signed("/api/v3/order", &format!("symbol={symbol}&origClientOrderId={id}"))
    }

    /// One order by the venue's number, live or not.
    pub fn order_by_number(&self, symbol: Symbol, number: VenueOrderId) -> String {
        self.signed("/api/v3/order", &format!("symbol={symbol}&orderId={}", number.0))
    }

    /// `path?query&signature=…`: what is signed is exactly what is sent; all our values are plain ASCII.
    fn signed(&self, path: &str, query: &str) -> String {
        let joint = if query.is_empty() { "" } else { "&" };
        let (window_ms, stamp) = (self.recv_window_ms, self.timestamp.0);
        let payload = format!("{query}{joint}recvWindow={window_ms}&timestamp={stamp}");
        let signature = percent_encode(self.signer.sign(payload.as_bytes()).as_str());
        format!("{path}?{payload}&signature={signature}")
    }
}

/// Encodes what base64 has and a query may not have.
fn percent_encode(text: &str) -> String {
    text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

/// The venue's error in a body, if it is one.
pub fn venue_error(body: &[u8]) -> Option<RestError> {
    let found = answer::answer(body, 0).ok()?;
    let msg = String::from_utf8_lossy(found.msg).into_owned();
    (found.code < 0).then_some(RestError::Venue { code: found.code, msg })
}

/// Reads `time`: the venue's clock.
pub fn time(body: &[u8]) -> Result<Time, RestError> {
    let found = read("time", body, answer::answer)?;
    if found.server_time <= 0 {
        return Err(missing("time", "`serverTime`"));
    }
    Ok(venue_time(found.server_time))
}

fn read<'a, T>(
    what: &'static str,
    body: &'a [u8],
    parse: impl Fn(&'a [u8], usize) -> Result<T, DecodeError>,
) -> Result<T, RestError> {
    venue_error(body).map_or(Ok(()), Err)?;
    parse(body, 0).map_err(|why| RestError::Decode { what, why })
}

pub(super) fn missing(what: &'static str, name: impl Into<String>) -> RestError {
    RestError::Missing { what, name: name.into() }
}

pub(super) fn exact(name: &'static str, text: &str, decimals: u32) -> Result<i64, RestError> {
    crate::types::units::parse_decimal(text.as_bytes(), decimals).map_err(|why| RestError::Number {
        name,
        text: text.to_owned(),
        why,
    })
}

/// What serde says about an answer, with the byte.
pub(super) fn misshapen(what: &'static str, body: &[u8], why: &serde_json::Error) -> RestError {
    let at = syntax_at(body, why).at().unwrap_or(0);
    RestError::Shape { what, at, why: why.to_string() }
}

/// An upper bound: one beyond our units binds nothing that our units can say.
pub(super) fn largest(name: &'static str, text: &str, decimals: u32) -> Result<i64, RestError> {
    match exact(name, text, decimals) {
        Err(RestError::Number { why: DecimalError::Range, .. }) => Ok(i64::MAX),
        other => other,
    }
}

/// What we hold and may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Whether the account may trade.
    pub can_trade: bool,
    /// The base currency.
    pub base: Balance,
    /// The quote currency.
    pub quote: Balance,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccountBody {
    can_trade: bool,
}

/// Reads `account`; an asset that is not listed is zero.
pub fn account(body: &[u8], rules: &Instrument) -> Result<Account, RestError> {
    const WHAT: &str = "account";
    venue_error(body).map_or(Ok(()), Err)?;
    let head: AccountBody = serde_json::from_slice(body).map_err(|why| misshapen(WHAT, body, &why))?;
    let mut found = Account {
        can_trade: head.can_trade,
        base: Balance::Base { free: Qty::ZERO, locked: Qty::ZERO },
        quote: Balance::Quote { free: Notional::ZERO, locked: Notional::ZERO },
    };
    let balances_at = read(WHAT, body, answer::answer)?.balances_at.ok_or_else(|| missing(WHAT, "`balances`"))?;
    let walked = answer::elements(body, balances_at, |at| {
        match user::balance_at(body, at, rules)? {
            Some(base @ Balance::Base { .. }) => found.base = base,
            Some(quote @ Balance::Quote { .. }) => found.quote = quote,
            None => {}
        }
        Ok(())
    });
    walked.map(|()| found).map_err(|why| RestError::Decode { what: WHAT, why })
}

/// What a trade costs us, of what we receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// When we rested.
    pub maker: Ratio,
    /// When we took.
    pub taker: Ratio,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommissionBody {
    standard_commission: RateBody,
    #[serde(default)]
    special_commission: RateBody,
    #[serde(default)]
    tax_commission: RateBody,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RateBody {
    maker: String,
    taker: String,
    buyer: String,
    seller: String,
}

/// Reads `account/commission`: standard, special and tax together, with the dearer of the buyer's and seller's part.
/// The discount for fees paid in another asset is not counted on.
pub fn commission(body: &[u8]) -> Result<Fees, RestError> {
    const WHAT: &str = "account/commission";
    venue_error(body).map_or(Ok(()), Err)?;
    let found: CommissionBody = serde_json::from_slice(body).map_err(|why| misshapen(WHAT, body, &why))?;
    if found.standard_commission.maker.is_empty() || found.standard_commission.taker.is_empty() {
        return Err(missing(WHAT, "`maker` or `taker` of `standardCommission`"));
    }
    let mut fees = Fees { maker: Ratio::ZERO, taker: Ratio::ZERO };
    for rate in [&found.standard_commission, &found.special_commission, &found.tax_commission] {
        let part = |name, text: &str| if text.is_empty() { Ok(0) } else { exact(name, text, 8) };
        let sided = part("buyer", &rate.buyer)?.max(part("seller", &rate.seller)?);
        let plus = |fee: Ratio, name, text: &str| {
            let sum = fee.0.checked_add(sided).zip(Some(part(name, text)?)).and_then(|(fee, own)| fee.checked_add(own));
            let why = DecimalError::Range;
            sum.map(Ratio).ok_or_else(|| RestError::Number { name, text: text.to_owned(), why })
        };
        fees.maker = plus(fees.maker, "maker", &rate.maker)?;
        fees.taker = plus(fees.taker, "taker", &rate.taker)?;
    }
    Ok(fees)
}

/// An order that lives at the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOrder {
    /// Our name of it; `None` if it is not ours.
    pub id: Option<ClientOrderId>,
    /// The venue's number.
    pub venue_order_id: VenueOrderId,
    /// The venue's number of its list; 0 = none.
    pub list_id: i64,
    /// Which way.
    pub side: Side,
    /// Size.
    pub qty: Qty,
    /// Filled so far.
    pub cum_qty: Qty,
    /// How it finds its price; `None` = a kind that we never send.
    pub kind: Option<OrderKind>,
    /// Limit; zero = none.
    pub price: Price,
    /// Trigger; zero = none.
    pub stop_price: Price,
}

impl OpenOrder {
    /// The order as an engine takes it over; `None` if it is not ours, or of a kind that we never send.
    pub fn resting(&self) -> Option<RestingOrder> {
        Some(RestingOrder {
            id: self.id?,
            venue_order_id: self.venue_order_id,
            list_id: self.list_id,
            side: self.side,
            kind: self.kind?,
            qty: self.qty,
            cum_qty: self.cum_qty,
            price: self.price,
            stop_price: self.stop_price,
        })
    }
}

/// Reads `openOrders`.
pub fn open_orders(body: &[u8]) -> Result<Vec<OpenOrder>, RestError> {
    listed("openOrders", body, |at| order_at(body, at))
}

/// Reads one order, as the answer to a question about it says it.
pub fn order(body: &[u8]) -> Result<OpenOrder, RestError> {
    venue_error(body).map_or(Ok(()), Err)?;
    order_at(body, 0).map_err(|why| RestError::Decode { what: "order", why })
}

/// Number, state and filled size of one order, live or not. Errors: one that the venue never heard of is
/// [`RestError::Venue`] with code -2013.
pub fn order_state(body: &[u8]) -> Result<(VenueOrderId, OrderStatus, Qty), RestError> {
    const WHAT: &str = "order";
    let found = read(WHAT, body, answer::answer)?;
    let status = match found.status {
        b"NEW" => OrderStatus::Working,
        b"PARTIALLY_FILLED" => OrderStatus::Partly,
        b"FILLED" => OrderStatus::Filled,
        b"CANCELED" | b"PENDING_CANCEL" => OrderStatus::Canceled,
        b"REJECTED" => OrderStatus::Rejected,
        b"EXPIRED" | b"EXPIRED_IN_MATCH" => OrderStatus::Expired,
        _ => return Err(missing(WHAT, "a known `status`")),
    };
    let cum_qty = found.cum_qty.ok_or_else(|| missing(WHAT, "`executedQty`"))?;
    Ok((VenueOrderId(found.order_id), status, cum_qty))
}

pub(super) fn order_at(body: &[u8], at: usize) -> Result<OpenOrder, DecodeError> {
    let found = answer::answer(body, at)?;
    let need = |name| DecodeError::Missing { name };
    Ok(OpenOrder {
        id: ClientOrderId::parse(found.client),
        venue_order_id: VenueOrderId(found.order_id),
        list_id: found.list_id,
        side: found.side.ok_or(need("side"))?,
        qty: found.order_qty.ok_or(need("origQty"))?,
        cum_qty: found.cum_qty.ok_or(need("executedQty"))?,
        kind: kind_of(found.kind),
        price: found.price,
        stop_price: found.stop_price,
    })
}

/// The kind of order behind the venue's word; `None` for those that we never send.
pub(super) fn kind_of(word: &[u8]) -> Option<OrderKind> {
    Some(match word {
        b"LIMIT" => OrderKind::Limit,
        b"LIMIT_MAKER" => OrderKind::LimitMaker,
        b"MARKET" => OrderKind::Market,
        b"STOP_LOSS" => OrderKind::StopLoss,
        b"STOP_LOSS_LIMIT" => OrderKind::StopLossLimit,
        _ => return None,
    })
}

/// A list that lives at the venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenList {
    /// Our name of it; `None` if it is not ours.
    pub id: Option<ClientOrderId>,
    /// The venue's number.
    pub list_id: i64,
    /// The venue's numbers of its orders.
    pub orders: Vec<VenueOrderId>,
}

/// Reads `openOrderList`.
pub fn open_lists(body: &[u8]) -> Result<Vec<OpenList>, RestError> {
    listed("openOrderList", body, |at| {
        let found = answer::answer(body, at)?;
        let orders_at = found.orders_at.ok_or(DecodeError::Missing { name: "orders" })?;
        let mut orders = Vec::new();
        answer::elements(body, orders_at, |at| {
            orders.push(VenueOrderId(answer::answer(body, at)?.order_id));
            Ok(())
        })?;
        Ok(OpenList { id: ClientOrderId::parse(found.list_client), list_id: found.list_id, orders })
    })
}

/// Reads `myTrades`, oldest first.
pub fn my_trades(body: &[u8], rules: &Instrument) -> Result<Vec<FillAnswer>, RestError> {
    listed("myTrades", body, |at| answer::fill(body, at, rules))
}

/// Every element of an answer that is an array.
fn listed<T>(
    what: &'static str,
    body: &[u8],
    parse: impl Fn(usize) -> Result<T, DecodeError>,
) -> Result<Vec<T>, RestError> {
    venue_error(body).map_or(Ok(()), Err)?;
    let mut found = Vec::new();
    let walked = answer::elements(body, 0, |at| {
        found.push(parse(at)?);
        Ok(())
    });
    let is_array = body.trim_ascii_start().first() == Some(&b'[');
    match walked {
        Err(why) => Err(RestError::Decode { what, why }),
        Ok(()) if !is_array => Err(missing(what, "the array it should be")),
        Ok(()) => Ok(found),
    }
}
