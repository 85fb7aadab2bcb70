//! Fixed-point units: prices, sizes, money, ratios. Integers that say their unit; no floats.
//!
//! Thread: any.  Invariants: arithmetic that may not fit answers `None`; rounding is in the function's name or its
//! first sentence, and money rounds against us.

use std::fmt;

/// Parts of one quote unit in a [`Price`] or [`Notional`].
pub const PRICE_SCALE: i64 = 100_000_000;
/// Parts of one base unit in a [`Qty`]: a lamport.
pub const QTY_SCALE: i64 = 1_000_000_000;
/// Parts of one in a [`Ratio`].
pub const RATIO_SCALE: i64 = 100_000_000;

const PRICE_DECIMALS: u32 = 8;
const QTY_DECIMALS: u32 = 9;

/// Price in 1e-8 of the quote currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(pub i64);

/// Size in 1e-9 of the base currency (a lamport of SOL).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Qty(pub i64);

/// Money in 1e-8 of the quote currency; signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Notional(pub i64);

/// A dimensionless ratio in 1e-8: 0.30 is 30 000 000. RSI uses it too: 45 is 4 500 000 000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio(pub i64);

/// Basis points in 1e-2: 1 % is 10 000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bps(pub i32);

/// Why a decimal text is not a number of ours. `at` counts bytes from the start of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// No digits at all.
    #[error("empty number")]
    Empty,
    /// A byte that no plain decimal has.
    #[error("unexpected byte at {at}")]
    BadByte {
        /// Offset of that byte.
        at: usize,
    },
    /// A non-zero digit finer than the unit can hold.
    #[error("more decimals than the unit holds, at byte {at}")]
    TooFine {
        /// Offset of that digit.
        at: usize,
    },
    /// Larger than the unit can hold.
    #[error("number out of range")]
    Range,
}

/// Parses a plain decimal (`-12.340`, no exponent, no `+`) into an integer of `decimals` places.
///
/// Input:  ASCII bytes.  Output: the exact value; trailing zeros beyond `decimals` are fine.
/// Errors: [`DecimalError`]; a non-zero digit beyond `decimals` is refused, never rounded.  Cost: one pass.
pub fn parse_decimal(text: &[u8], decimals: u32) -> Result<i64, DecimalError> {
    let (negative, digits_from) = match text.first() {
        None => return Err(DecimalError::Empty),
        Some(b'-') => (true, 1),
        Some(_) => (false, 0),
    };
    let mut value: i64 = 0;
    let mut places: Option<u32> = None;
    let mut digits = 0_u32;
    for (at, byte) in text.iter().enumerate().skip(digits_from) {
        match (byte, places) {
            (b'.', None) if digits > 0 => places = Some(0),
            (b'0'..=b'9', Some(done)) if done >= decimals => {
                if *byte != b'0' {
                    return Err(DecimalError::TooFine { at });
                }
            }
            (b'0'..=b'9', _) => {
                let digit = i64::from(byte - b'0');
                value = value.checked_mul(10).and_then(|v| v.checked_add(digit)).ok_or(DecimalError::Range)?;
                digits += 1;
                places = places.map(|done| done + 1);
            }
            _ => return Err(DecimalError::BadByte { at }),
        }
    }
    if digits == 0 {
        return Err(DecimalError::Empty);
    }
    let missing = decimals.saturating_sub(places.unwrap_or(0));
    let scale = 10_i64.checked_pow(missing).ok_or(DecimalError::Range)?;
    let value = value.checked_mul(scale).ok_or(DecimalError::Range)?;
    Ok(if negative { -value } else { value })
}

/// Writes `value` with `decimals` places, trailing zeros cut, at least `keep` places kept.
fn write_decimal(out: &mut fmt::Formatter<'_>, value: i64, decimals: u32, keep: u32) -> fmt::Result {
    let scale = 10_u64.pow(decimals);
    let magnitude = value.unsigned_abs();
    let (whole, mut fraction) = (magnitude / scale, magnitude % scale);
    let mut places = decimals;
    while places > keep && fraction % 10 == 0 {
        fraction /= 10;
        places -= 1;
    }
    let sign = if value < 0 { "-" } else { "" };
    if places == 0 {
        return write!(out, "{sign}{whole}");
    }
    write!(out, "{sign}{whole}.{fraction:0width$}", width = places as usize)
}

macro_rules! decimal_text {
    ($unit:ident, $decimals:expr) => {
        impl $unit {
            /// Parses a plain decimal text, exactly. Errors: [`DecimalError`].
            pub fn parse(text: &[u8]) -> Result<Self, DecimalError> {
                parse_decimal(text, $decimals).map(Self)
            }
            /// Zero.
            pub const ZERO: Self = Self(0);
            /// Sum, or `None` where it does not fit.
            pub fn checked_add(self, other: Self) -> Option<Self> {
                self.0.checked_add(other.0).map(Self)
            }
            /// Difference, or `None` where it does not fit.
            pub fn checked_sub(self, other: Self) -> Option<Self> {
                self.0.checked_sub(other.0).map(Self)
            }
        }
        impl fmt::Display for $unit {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_decimal(out, self.0, $decimals, out.precision().unwrap_or(0) as u32)
            }
        }
    };
}
decimal_text!(Price, PRICE_DECIMALS);
decimal_text!(Qty, QTY_DECIMALS);
decimal_text!(Notional, PRICE_DECIMALS);
decimal_text!(Ratio, PRICE_DECIMALS);

impl fmt::Display for Bps {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(out, i64::from(self.0), 2, 0)
    }
}

/// `a * b / d` in 128 bits, rounded down (towards minus infinity); `None` where it does not fit or `d` is zero.
pub fn mul_div_floor(a: i64, b: i64, d: i64) -> Option<i64> {
    if d == 0 {
        return None;
    }
    let product = i128::from(a) * i128::from(b);
    let d = i128::from(d);
    let quotient = product / d;
    let inexact = product % d != 0;
    let negative = (product < 0) != (d < 0);
    i64::try_from(if inexact && negative { quotient - 1 } else { quotient }).ok()
}

/// `a * b / d` in 128 bits, rounded up (towards plus infinity); `None` where it does not fit or `d` is zero.
pub fn mul_div_ceil(a: i64, b: i64, d: i64) -> Option<i64> {
    if d == 0 {
        return None;
    }
    let (product, d) = (i128::from(a) * i128::from(b), i128::from(d));
    let quotient = product / d;
    let inexact = product % d != 0;
    let positive = (product < 0) == (d < 0);
    i64::try_from(if inexact && positive { quotient + 1 } else { quotient }).ok()
}

/// Value of `qty` at `price`, rounded down: what a sale brings. `None` where it does not fit.
pub fn notional_floor(price: Price, qty: Qty) -> Option<Notional> {
    mul_div_floor(price.0, qty.0, QTY_SCALE).map(Notional)
}

/// Value of `qty` at `price`, rounded up: what a purchase costs. `None` where it does not fit.
pub fn notional_ceil(price: Price, qty: Qty) -> Option<Notional> {
    mul_div_ceil(price.0, qty.0, QTY_SCALE).map(Notional)
}

/// Largest size that `money` buys at `price`, rounded down; `None` where it does not fit or `price` is zero.
pub fn qty_for(money: Notional, price: Price) -> Option<Qty> {
    mul_div_floor(money.0, QTY_SCALE, price.0).map(Qty)
}

impl Notional {
    /// This money times a ratio, rounded down.
    pub fn times_floor(self, ratio: Ratio) -> Option<Notional> {
        mul_div_floor(self.0, ratio.0, RATIO_SCALE).map(Notional)
    }
    /// This money times a ratio, rounded up.
    pub fn times_ceil(self, ratio: Ratio) -> Option<Notional> {
        mul_div_ceil(self.0, ratio.0, RATIO_SCALE).map(Notional)
    }
}

impl Qty {
    /// This size times a ratio, rounded down.
    pub fn times_floor(self, ratio: Ratio) -> Option<Qty> {
        mul_div_floor(self.0, ratio.0, RATIO_SCALE).map(Qty)
    }
    /// This size times a ratio, rounded up.
    pub fn times_ceil(self, ratio: Ratio) -> Option<Qty> {
        mul_div_ceil(self.0, ratio.0, RATIO_SCALE).map(Qty)
    }
}

impl Price {
    /// This price times a ratio, rounded down to 1e-8.
    pub fn times_floor(self, ratio: Ratio) -> Option<Price> {
        mul_div_floor(self.0, ratio.0, RATIO_SCALE).map(Price)
    }
    /// This price times a ratio, rounded up to 1e-8.
    pub fn times_ceil(self, ratio: Ratio) -> Option<Price> {
        mul_div_ceil(self.0, ratio.0, RATIO_SCALE).map(Price)
    }
    /// Middle of two prices, rounded down to 1e-8.
    pub fn mid(bid: Price, ask: Price) -> Price {
        Price(((i128::from(bid.0) + i128::from(ask.0)).div_euclid(2)) as i64)
    }
}

impl Ratio {
    /// `part / whole`, rounded down; `None` where it does not fit or `whole` is zero.
    pub fn of(part: i64, whole: i64) -> Option<Ratio> {
        mul_div_floor(part, RATIO_SCALE, whole).map(Ratio)
    }
    /// One.
    pub const ONE: Ratio = Ratio(RATIO_SCALE);
}

impl Bps {
    /// How far `paid` lies above `fair`, in basis points, rounded up: positive = we paid. `None` where it does not fit.
    pub fn above(paid: Price, fair: Price) -> Option<Bps> {
        let e2 = mul_div_ceil(paid.0.checked_sub(fair.0)?, 1_000_000, fair.0)?;
        i32::try_from(e2).ok().map(Bps)
    }
    /// The same as a ratio.
    pub fn ratio(self) -> Ratio {
        Ratio(i64::from(self.0) * 100)
    }
}
