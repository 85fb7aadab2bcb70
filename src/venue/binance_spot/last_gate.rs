//! The gate of last resort: reads the very text that is about to leave and stops what no sound engine would send.
//!
//! Thread: any.  Invariants: judges the bytes, never the command they were made from; a name, a method or a number it
//! does not know is a no; STOPPING is one way; cancels and questions of our own symbol always pass; no allocation.
//!
//! | order | must hold |
//! |---|---|
//! | all | our symbol, known parameters each said once, `quantity` at most `order_qty_max`, at most `orders_per_s_max` in any second |
//! | BUY | not STOPPING; a limit price; value at most `order_notional_max`; price not above mid + `collar`; a mid not older than `mid_age_ns_max`; half of the second's orders still free |
//! | SELL limit, take-profit leg | price not below mid - `collar`, where a fresh mid is known: without one a way out is worth more than a check |
//! | stop leg | below the take-profit; its limit not above the stop and not below stop - `collar` |

use super::trade::Refusal;
use crate::types::instrument::Symbol;
use crate::types::time::NANOS_PER_SEC;
use crate::types::units::{RATIO_SCALE, notional_ceil};
use crate::types::{Notional, Price, Qty, Ratio, Side, Time};
use crate::venue::DecodeError;
use crate::venue::scan::Scanner;

/// Orders of one second that can be remembered.
const PACE_MAX: usize = 64;

/// Bounds of one order; zero = that bound is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Largest price x size of a buy.
    pub order_notional_max: Notional,
    /// Largest size of any order.
    pub order_qty_max: Qty,
    /// How far a limit may be from the market, to our disadvantage.
    pub collar: Ratio,
    /// Age beyond which a mid measures nothing.
    pub mid_age_ns_max: i64,
    /// Orders in any second, each leg counted; at most 64. Buys may use half.
    pub orders_per_s_max: u32,
}

/// The gate of one symbol.
#[derive(Debug)]
pub struct LastGate {
    symbol: Symbol,
    bounds: Bounds,
    stopping: bool,
    mid: Price,
    mid_at: Time,
    /// When the newest orders left, oldest at `cursor`.
    left: [Time; PACE_MAX],
    cursor: usize,
}

/// What a request text says, as far as it matters here.
#[derive(Clone, Copy, Debug, Default)]
struct Said<'a> {
    method: &'a [u8],
    symbol: Option<&'a [u8]>,
    side: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
    above_kind: Option<&'a [u8]>,
    below_kind: Option<&'a [u8]>,
    qty: Option<&'a [u8]>,
    price: Option<&'a [u8]>,
    above_price: Option<&'a [u8]>,
    below_price: Option<&'a [u8]>,
    below_stop: Option<&'a [u8]>,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    Order,
    Pair,
    Other,
}

impl LastGate {
    /// Open, and with no market to measure by.
    pub fn new(symbol: Symbol, bounds: Bounds) -> LastGate {
        let (mid, mid_at, left) = (Price::ZERO, Time::NONE, [Time(i64::MIN); PACE_MAX]);
        LastGate { symbol, bounds, stopping: false, mid, mid_at, left, cursor: 0 }
    }

    /// Nothing is bought from here on; one way.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// The newest mid, read from the wire at `at`.
    pub fn set_mid(&mut self, mid: Price, at: Time) {
        (self.mid, self.mid_at) = (mid, at);
    }

    /// Whether `text` may leave at `now`; an order that may is counted.
    pub fn pass(&mut self, text: &[u8], now: Time) -> Result<(), Refusal> {
        let said = read(text).map_err(|_| Refusal::Unreadable)?;
        let aim = said.aim().ok_or(Refusal::Unreadable)?;
        if said.symbol.is_some_and(|symbol| symbol != self.symbol.as_bytes()) {
            return Err(Refusal::Symbol);
        }
        let orders = match aim {
            Aim::Other => return Ok(()),
            Aim::Order => 1,
            Aim::Pair => 2,
        };
        said.symbol.ok_or(Refusal::Symbol)?;
        let side = said.side().ok_or(Refusal::Unreadable)?;
        if self.stopping && side == Side::Buy {
            return Err(Refusal::Stopping);
        }
        let qty = qty_of(said.qty)?;
        if qty <= Qty::ZERO {
            return Err(Refusal::Unreadable);
        }
        if self.bounds.order_qty_max > Qty::ZERO && qty > self.bounds.order_qty_max {
            return Err(Refusal::TooLarge);
        }
        match (aim, side) {
            (Aim::Order, Side::Buy) => self.buy(&said, qty, now)?,
            (Aim::Order, Side::Sell) => self.sell(&said, now)?,
            (Aim::Pair, Side::Sell) => self.pair(&said, now)?,
            (Aim::Pair, Side::Buy) | (Aim::Other, _) => return Err(Refusal::Unreadable),
        }
        self.count(orders, side, now)
    }

    fn buy(&self, said: &Said<'_>, qty: Qty, now: Time) -> Result<(), Refusal> {
        let price = said.limit()?.ok_or(Refusal::Collar)?; // at any price is at no price we agreed to
        let value = notional_ceil(price, qty).ok_or(Refusal::TooLarge)?;
        if self.bounds.order_notional_max > Notional::ZERO && value > self.bounds.order_notional_max {
            return Err(Refusal::TooLarge);
        }
        if self.bounds.collar <= Ratio::ZERO {
            return Ok(());
        }
        let mid = self.fresh_mid(now).ok_or(Refusal::Collar)?;
        let most = mid.times_floor(Ratio(RATIO_SCALE.saturating_add(self.bounds.collar.0))).ok_or(Refusal::Collar)?;
        if price > most { Err(Refusal::Collar) } else { Ok(()) }
    }

    fn sell(&self, said: &Said<'_>, now: Time) -> Result<(), Refusal> {
        match said.limit()? {
            Some(price) => self.not_below_market(price, now),
            None => Ok(()),
        }
    }

    fn pair(&self, said: &Said<'_>, now: Time) -> Result<(), Refusal> {
        let kinds = (said.above_kind, said.below_kind);
        let limited = match kinds {
            (Some(b"LIMIT_MAKER"), Some(b"STOP_LOSS_LIMIT")) => true,
            (Some(b"LIMIT_MAKER"), Some(b"STOP_LOSS")) => false,
            _ => return Err(Refusal::Unreadable),
        };
        if said.kind.is_some() || said.price.is_some() || limited != said.below_price.is_some() {
            return Err(Refusal::Unreadable);
        }
        let (target, stop) = (price_of(said.above_price)?, price_of(said.below_stop)?);
        if stop >= target {
            return Err(Refusal::Collar);
        }
        if limited {
            let limit = price_of(said.below_price)?;
            if limit > stop || (self.bounds.collar > Ratio::ZERO && limit < self.least(stop)?) {
                return Err(Refusal::Collar);
            }
        }
        self.not_below_market(target, now)
    }

    fn not_below_market(&self, price: Price, now: Time) -> Result<(), Refusal> {
        let fresh = self.fresh_mid(now).filter(|_| self.bounds.collar > Ratio::ZERO);
        let Some(mid) = fresh else { return Ok(()) };
        if price < self.least(mid)? { Err(Refusal::Collar) } else { Ok(()) }
    }

    /// The lowest limit that is not absurd beside `price`.
    fn least(&self, price: Price) -> Result<Price, Refusal> {
        let keep = RATIO_SCALE.saturating_sub(self.bounds.collar.0).max(0);
        price.times_floor(Ratio(keep)).ok_or(Refusal::Collar)
    }

    fn fresh_mid(&self, now: Time) -> Option<Price> {
        let fresh = self.mid > Price::ZERO && now.since(self.mid_at) <= self.bounds.mid_age_ns_max;
        fresh.then_some(self.mid)
    }

    /// Orders per second, in any second.
    fn count(&mut self, orders: usize, side: Side, now: Time) -> Result<(), Refusal> {
        let most = usize::try_from(self.bounds.orders_per_s_max).unwrap_or(PACE_MAX).min(PACE_MAX);
        if most > 0 {
            let recent = self.left.iter().filter(|at| now.since(**at) < NANOS_PER_SEC).count();
            let allowed = if side == Side::Buy { most / 2 } else { most };
            if recent + orders > allowed {
                return Err(Refusal::Pace);
            }
        }
        for _ in 0..orders {
            if let Some(slot) = self.left.get_mut(self.cursor) {
                *slot = now;
            }
            self.cursor = (self.cursor + 1) % PACE_MAX;
        }
        Ok(())
    }
}

impl<'a> Said<'a> {
    fn aim(&self) -> Option<Aim> {
        Some(match self.method {
            b"order.place" | b"order.cancelReplace" => Aim::Order,
            b"orderList.place.oco" => Aim::Pair,
            b"order.cancel" | b"orderList.cancel" | b"openOrders.cancelAll" | b"order.status" | b"orderList.status" => {
                Aim::Other
            }
            _ => return None,
        })
    }

    fn side(&self) -> Option<Side> {
        match self.side? {
            b"BUY" => Some(Side::Buy),
            b"SELL" => Some(Side::Sell),
            _ => None,
        }
    }

    /// Limit of a single order; `None` = at the market.
    fn limit(&self) -> Result<Option<Price>, Refusal> {
        match (self.kind, self.price) {
            (Some(b"LIMIT" | b"LIMIT_MAKER"), price) => price_of(price).map(Some),
            (Some(b"MARKET"), None) => Ok(None),
            _ => Err(Refusal::Unreadable),
        }
    }

    /// The place of a parameter that matters; `None` for one that does not. An unknown name is an error.
    fn place(&mut self, name: &[u8]) -> Result<Option<&mut Option<&'a [u8]>>, ()> {
        Ok(Some(match name {
            b"symbol" => &mut self.symbol,
            b"side" => &mut self.side,
            b"type" => &mut self.kind,
            b"quantity" => &mut self.qty,
            b"price" => &mut self.price,
            b"aboveType" => &mut self.above_kind,
            b"belowType" => &mut self.below_kind,
            b"abovePrice" => &mut self.above_price,
            b"belowPrice" => &mut self.below_price,
            b"belowStopPrice" => &mut self.below_stop,
            b"aboveClientOrderId"
            | b"apiKey"
            | b"belowClientOrderId"
            | b"belowTimeInForce"
            | b"cancelOrderId"
            | b"cancelOrigClientOrderId"
            | b"cancelReplaceMode"
            | b"cancelRestrictions"
            | b"listClientOrderId"
            | b"newClientOrderId"
            | b"newOrderRespType"
            | b"orderId"
            | b"orderListId"
            | b"origClientOrderId"
            | b"recvWindow"
            | b"signature"
            | b"timeInForce"
            | b"timestamp" => return Ok(None),
            _ => return Err(()),
        }))
    }
}

/// Reads a request; anything unexpected is an error.
fn read(text: &[u8]) -> Result<Said<'_>, DecodeError> {
    let mut said = Said::default();
    let mut scan = Scanner::new(text);
    scan.object(|scan, key| match key {
        b"id" => scan.unsigned().map(drop),
        b"method" if said.method.is_empty() => {
            said.method = scan.string()?;
            Ok(())
        }
        b"params" => scan.object(|scan, name| {
            let at = scan.at();
            let syntax = DecodeError::Syntax { at };
            match said.place(name).map_err(|()| syntax)? {
                None => scan.skip(),
                Some(place @ None) => {
                    *place = Some(scan.string()?);
                    Ok(())
                }
                Some(Some(_)) => Err(syntax), // said twice: which one would the venue take?
            }
        }),
        _ => Err(DecodeError::Syntax { at: scan.at() }),
    })?;
    scan.end()?;
    Ok(said)
}

fn price_of(text: Option<&[u8]>) -> Result<Price, Refusal> {
    let price = text.and_then(|text| Price::parse(text).ok()).filter(|price| *price > Price::ZERO);
    price.ok_or(Refusal::Unreadable)
}

fn qty_of(text: Option<&[u8]>) -> Result<Qty, Refusal> {
    text.and_then(|text| Qty::parse(text).ok()).ok_or(Refusal::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_790_000_000_000_000_000);
    const BUY: &str = r#"{"id":7,"method":"order.place","params":{"newClientOrderId":"x","newOrderRespType":"ACK","price":"150.20","quantity":"1.500","recvWindow":1000,"side":"BUY","symbol":"SOLUSDT","timeInForce":"IOC","timestamp":1790000000000,"type":"LIMIT"}}"#;
    const MARKET_SELL: &str = r#"{"id":7,"method":"order.place","params":{"newClientOrderId":"x","quantity":"1.500","side":"SELL","symbol":"SOLUSDT","timestamp":1790000000000,"type":"MARKET"}}"#;
    const PAIR: &str = r#"{"id":7,"method":"orderList.place.oco","params":{"aboveClientOrderId":"a","abovePrice":"153.00","aboveType":"LIMIT_MAKER","belowClientOrderId":"b","belowPrice":"147.60","belowStopPrice":"148.00","belowTimeInForce":"GTC","belowType":"STOP_LOSS_LIMIT","listClientOrderId":"l","quantity":"1.498","side":"SELL","symbol":"SOLUSDT","timestamp":1790000000000}}"#;
    const CANCEL_ALL: &str = r#"{"id":7,"method":"openOrders.cancelAll","params":{"recvWindow":1000,"symbol":"SOLUSDT","timestamp":1790000000000}}"#;

    fn gate() -> LastGate {
        let parse = |text: &str| Price::parse(text.as_bytes()).unwrap_or_default();
        let bounds = Bounds {
            order_notional_max: Notional(22_530_000_000), // 150.20 x 1.5
            order_qty_max: Qty(1_500_000_000),
            collar: Ratio(RATIO_SCALE / 50),
            mid_age_ns_max: 6 * NANOS_PER_SEC,
            orders_per_s_max: 8,
        };
        let mut gate = LastGate::new(Symbol::new("SOLUSDT").unwrap_or_else(|| unreachable!()), bounds);
        gate.set_mid(parse("150.00"), NOW);
        gate
    }
    fn judge(text: &str) -> Result<(), Refusal> {
        gate().pass(text.as_bytes(), NOW)
    }
    fn with(text: &str, from: &str, to: &str) -> String {
        assert!(text.contains(from), "{from} is not in {text}");
        text.replace(from, to)
    }

    #[test]
    fn a_sound_order_of_each_kind_passes_at_its_very_bounds() {
        for text in [BUY, MARKET_SELL, PAIR, CANCEL_ALL] {
            assert_eq!(judge(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn one_unit_beyond_a_bound_is_refused() {
        let table = [
            (with(BUY, "1.500", "1.501"), Refusal::TooLarge),
            (with(BUY, "150.20", "150.21"), Refusal::TooLarge),
            (with(MARKET_SELL, "1.500", "1.501"), Refusal::TooLarge),
            (with(&with(BUY, "150.20", "153.01"), "1.500", "0.100"), Refusal::Collar),
            (with(PAIR, "153.00", "148.00"), Refusal::Collar), // not above its stop
            (with(PAIR, "147.60", "148.01"), Refusal::Collar), // a limit above its stop
            (with(PAIR, "147.60", "145.03"), Refusal::Collar), // a limit 2 % below its stop, and a tick
            (with(&with(BUY, "BUY", "SELL"), "150.20", "146.99"), Refusal::Collar),
            (with(BUY, "SOLUSDT", "ETHUSDT"), Refusal::Symbol),
            (with(CANCEL_ALL, "SOLUSDT", "ETHUSDT"), Refusal::Symbol),
            (with(BUY, "\"symbol\":\"SOLUSDT\",", ""), Refusal::Symbol),
        ];
        for (text, refusal) in table {
            assert_eq!(judge(&text), Err(refusal), "{text}");
        }
        for text in [
            with(&with(BUY, "150.20", "153.00"), "1.500", "0.100"),
            with(PAIR, "147.60", "145.04"),
            with(&with(BUY, "BUY", "SELL"), "150.20", "147.00"),
        ] {
            assert_eq!(judge(&text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_does_not_leave() {
        let table = [
            with(BUY, "order.place", "order.placed"),
            with(BUY, "\"quantity\":\"1.500\"", "\"quantity\":\"1.5e3\""),
            with(BUY, "\"quantity\":\"1.500\"", "\"quantity\":\"-1.500\""),
            with(BUY, "\"quantity\":\"1.500\"", "\"quantity\":\"0.000\""),
            with(BUY, "\"quantity\":\"1.500\",", ""),
            with(BUY, "\"price\":\"150.20\",", ""),
            with(BUY, "\"price\":\"150.20\"", "\"price\":\"150.20\",\"price\":\"999\""),
            with(BUY, "\"price\"", "\"quoteOrderQty\":\"9\",\"price\""),
            with(BUY, "\"side\":\"BUY\",", ""),
            with(BUY, "BUY", "BYE"),
            with(BUY, "\"type\":\"LIMIT\"", "\"type\":\"STOP_LOSS\""),
            with(MARKET_SELL, "\"quantity\"", "\"price\":\"1\",\"quantity\""),
            with(PAIR, "SELL", "BUY"),
            with(PAIR, "\"belowPrice\":\"147.60\",", ""),
            with(PAIR, "LIMIT_MAKER", "TAKE_PROFIT"),
            BUY.replacen("}}", "}", 1),
            format!("{BUY} "),
            format!("{BUY}{BUY}"),
            String::new(),
        ];
        for text in table.iter().filter(|text| !text.ends_with(' ')) {
            assert_eq!(judge(text), Err(Refusal::Unreadable), "{text}");
        }
        for cut in 0..BUY.len() {
            let text = BUY.get(..cut).unwrap_or_default();
            assert!(judge(text).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_buy_at_any_price_is_refused_and_so_is_one_without_a_fresh_market_to_measure_by() {
        assert_eq!(judge(&with(MARKET_SELL, "SELL", "BUY")), Err(Refusal::Collar));
        let old = Time(NOW.0 + 6 * NANOS_PER_SEC);
        assert_eq!(gate().pass(BUY.as_bytes(), old), Ok(()), "just fresh enough");
        assert_eq!(gate().pass(BUY.as_bytes(), old.plus(1)), Err(Refusal::Collar));
        let low = with(&with(BUY, "BUY", "SELL"), "150.20", "100.00");
        assert_eq!(judge(&low), Err(Refusal::Collar));
        assert_eq!(gate().pass(low.as_bytes(), old.plus(1)), Ok(()), "a way out is worth more than a check");
        let mut blind = gate();
        blind.set_mid(Price::ZERO, Time::NONE);
        assert_eq!(blind.pass(BUY.as_bytes(), NOW), Err(Refusal::Collar));
        assert_eq!(blind.pass(PAIR.as_bytes(), NOW), Ok(()));
    }

    #[test]
    fn stopping_is_one_way_and_ends_buys_only() {
        let mut gate = gate();
        gate.stop();
        assert_eq!(gate.pass(BUY.as_bytes(), NOW), Err(Refusal::Stopping));
        let replace = with(&with(BUY, "order.place", "order.cancelReplace"), "\"newCl", "\"cancelOrderId\":5,\"newCl");
        assert_eq!(gate.pass(replace.as_bytes(), NOW), Err(Refusal::Stopping));
        for text in [MARKET_SELL, PAIR, CANCEL_ALL] {
            assert_eq!(gate.pass(text.as_bytes(), NOW), Ok(()), "{text}");
        }
        gate.set_mid(Price(15_000_000_000), NOW.plus(1));
        assert_eq!(gate.pass(BUY.as_bytes(), NOW.plus(1)), Err(Refusal::Stopping));
    }

    #[test]
    fn a_second_holds_so_many_orders_of_which_buys_use_half_and_cancels_none() {
        let mut gate = gate();
        for number in 0..4 {
            assert_eq!(gate.pass(BUY.as_bytes(), NOW), Ok(()), "{number}");
        }
        assert_eq!(gate.pass(BUY.as_bytes(), NOW), Err(Refusal::Pace));
        assert_eq!(gate.pass(PAIR.as_bytes(), NOW), Ok(()));
        assert_eq!(gate.pass(PAIR.as_bytes(), NOW.plus(1)), Ok(()), "eight");
        assert_eq!(gate.pass(MARKET_SELL.as_bytes(), NOW), Err(Refusal::Pace));
        for _ in 0..100 {
            assert_eq!(gate.pass(CANCEL_ALL.as_bytes(), NOW), Ok(()));
        }
        assert_eq!(gate.pass(MARKET_SELL.as_bytes(), NOW.plus(NANOS_PER_SEC - 1)), Err(Refusal::Pace));
        assert_eq!(gate.pass(MARKET_SELL.as_bytes(), NOW.plus(NANOS_PER_SEC)), Ok(()), "six are a second old");
    }
}
