//! What the venue says a symbol may do: grid, bounds, fees.
//!
//! Thread: any.  Invariants: every order price and size goes through the rounding functions here; the direction of
//! rounding is in the name.

use super::units::{Notional, Price, Qty, Ratio, notional_floor};

/// Text of a symbol or asset, at most 15 ASCII bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Symbol {
    bytes: [u8; 15],
    len: u8,
}

impl Symbol {
    /// From text; `None` if it is empty, longer than 15 bytes or not upper-case letters, digits and `_`.
    pub fn new(text: &str) -> Option<Symbol> {
        let ok = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
        if text.is_empty() || text.len() > 15 || !text.as_bytes().iter().all(ok) {
            return None;
        }
        let mut bytes = [0; 15];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Some(Symbol { bytes, len: text.len() as u8 })
    }
    /// As the venue writes it in orders.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or("")
    }
    /// As bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl std::fmt::Debug for Symbol {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}
impl std::fmt::Display for Symbol {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

/// One symbol's rules, read from the venue at start, never assumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// `SOLUSDT`.
    pub symbol: Symbol,
    /// `SOL`.
    pub base: Symbol,
    /// `USDT`.
    pub quote: Symbol,
    /// Price grid; positive.
    pub tick: Price,
    /// Smallest and largest price; zero = no bound.
    pub price_min: Price,
    /// Largest price; zero = no bound.
    pub price_max: Price,
    /// Size grid; positive.
    pub lot: Qty,
    /// Smallest size.
    pub qty_min: Qty,
    /// Largest size.
    pub qty_max: Qty,
    /// Largest size of a market order (and of a stop that becomes one); zero = as `qty_max`.
    pub market_qty_max: Qty,
    /// Smallest price x size.
    pub notional_min: Notional,
    /// Largest price x size; zero = no bound.
    pub notional_max: Notional,
    /// Open orders allowed, stops and lists included.
    pub orders_max: u16,
    /// Open stops allowed; each OCO uses one.
    pub algo_orders_max: u16,
    /// Whether OCO is offered.
    pub oco_allowed: bool,
    /// Whether the stop leg may be a plain `STOP_LOSS` (market on trigger).
    pub stop_market_allowed: bool,
    /// Fee when we rested.
    pub fee_maker: Ratio,
    /// Fee when we took.
    pub fee_taker: Ratio,
}

impl Instrument {
    /// Largest price of the grid that is not above `price`: a buy that must not cross, a sell that must.
    pub fn price_floor(&self, price: Price) -> Price {
        Price(price.0 - price.0.rem_euclid(self.tick.0.max(1)))
    }
    /// Smallest price of the grid that is not below `price`: a sell that must not cross, a buy that must.
    pub fn price_ceil(&self, price: Price) -> Price {
        let floor = self.price_floor(price);
        if floor == price { floor } else { Price(floor.0.saturating_add(self.tick.0)) }
    }
    /// Largest size of the grid that is not above `qty`.
    pub fn qty_floor(&self, qty: Qty) -> Qty {
        Qty(qty.0 - qty.0.rem_euclid(self.lot.0.max(1)))
    }
    /// Whether an order of `qty` at `price` passes the symbol's filters for size and value.
    pub fn accepts(&self, price: Price, qty: Qty) -> bool {
        let Some(value) = notional_floor(price, qty) else { return false };
        let in_price = price.0 > 0 && price >= self.price_min && (self.price_max.0 == 0 || price <= self.price_max);
        let on_grid = self.price_floor(price) == price && self.qty_floor(qty) == qty;
        let in_qty = qty.0 > 0 && qty >= self.qty_min && qty <= self.qty_max;
        let in_value = value >= self.notional_min && (self.notional_max.0 == 0 || value <= self.notional_max);
        in_price && on_grid && in_qty && in_value
    }
    /// Whether `qty` at `price` is dust: too small for the venue to sell.
    ///
    /// The rule for dust. Coins are dust if their whole lots are fewer than `qty_min`, or worth less than `notional_min`
    /// at `price`: for the exits the stop, for everything else the bid where that is lower, because there they would have
    /// to be sold. Exactly the minimum is not dust. Dust has no stop, is not naked, keeps no round trip and no close
    /// open, and is never sold alone. It stays on the books at what it cost and counts in equity and exposure; the next
    /// round trip takes it over, and its exits cover old and new coins together. If it becomes worth selling without
    /// one (the stop is raised, the minimum falls), it gets exits like any other coins, its targets from its own cost.
    pub fn is_dust(&self, price: Price, qty: Qty) -> bool {
        let lots = self.qty_floor(qty);
        lots < self.qty_min || lots.0 <= 0 || notional_floor(price, lots).is_none_or(|value| value < self.notional_min)
    }
}
