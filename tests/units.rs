//! Fixed-point arithmetic against an oracle of unbounded integers, and the rounding of an instrument's grid.
//!
//! Thread: any.  Invariants: the oracle shares no code with what it judges; a failure prints its inputs.

use num_bigint::BigInt;
use num_bigint::Sign::Minus;
use proptest::prelude::*;
use sol_volume_bot::types::instrument::{Instrument, Symbol};
use sol_volume_bot::types::units::*;

/// `part / whole` rounded down, for any signs.
fn floor(part: &BigInt, whole: &BigInt) -> BigInt {
    let (quotient, rest) = (part / whole, part % whole);
    let is_below = rest.sign() != num_bigint::Sign::NoSign && (rest.sign() == Minus) != (whole.sign() == Minus);
    if is_below { quotient - 1 } else { quotient }
}
fn ceil(part: &BigInt, whole: &BigInt) -> BigInt {
    -floor(&-part, whole)
}
/// The value if a 64-bit integer holds it.
fn fits(value: &BigInt) -> Option<i64> {
    i64::try_from(value).ok()
}
fn big(value: i64) -> BigInt {
    BigInt::from(value)
}

/// Any integer, with the edges and everyday sizes well represented.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        3 => any::<i64>(),
        4 => -1_000_000_000_000_i64..1_000_000_000_000,
        2 => -1_000_i64..1_000,
        1 => prop::sample::select(vec![i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX]),
    ]
}
/// Amounts of real orders: positive, up to a million coins or dollars.
fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![1_i64..1_000_000_000_000_000, 1_i64..1_000_000]
}

/// A decimal text written by hand from its digits: sign, whole, fraction.
fn text_of(value: i64, decimals: usize) -> String {
    let digits = format!("{:0width$}", value.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{whole}.{fraction}")
}

fn grid(tick: i64, lot: i64) -> Instrument {
    let symbol = |text| Symbol::new(text).expect("a symbol");
    Instrument {
        symbol: symbol("SOLUSDT"),
        base: symbol("SOL"),
        quote: symbol("USDT"),
        tick: Price(tick),
        price_min: Price(tick),
        price_max: Price::ZERO,
        lot: Qty(lot),
        qty_min: Qty(lot),
        qty_max: Qty(i64::MAX),
        market_qty_max: Qty::ZERO,
        notional_min: Notional(500_000_000),
        notional_max: Notional::ZERO,
        orders_max: 200,
        algo_orders_max: 5,
        oco_allowed: true,
        stop_market_allowed: true,
        fee_maker: Ratio(100_000),
        fee_taker: Ratio(100_000),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_number_written_and_read_back_is_the_same(value in number(), decimals in 0_u32..=9) {
        prop_assume!(value != i64::MIN); // no text of ours: its magnitude alone does not fit
        let padded = text_of(value, decimals as usize);
        let padded = if decimals == 0 { padded.trim_end_matches('.') } else { &padded };
        prop_assert_eq!(parse_decimal(padded.as_bytes(), decimals), Ok(value));
        let (price, qty) = (Price(value), Qty(value));
        prop_assert_eq!(Price::parse(price.to_string().as_bytes()), Ok(price));
        prop_assert_eq!(Qty::parse(qty.to_string().as_bytes()), Ok(qty));
        prop_assert_eq!(Price::parse(format!("{price:.8}").as_bytes()), Ok(price), "padded to eight places");
    }

    #[test]
    fn a_digit_that_the_unit_cannot_hold_is_refused_and_never_rounded(value in amount(), digit in 1_u8..=9) {
        let finer = format!("{}{digit}", text_of(value, 8));
        prop_assert_eq!(Price::parse(finer.as_bytes()), Err(DecimalError::TooFine { at: finer.len() - 1 }));
        let zeros = format!("{}000", text_of(value, 8));
        prop_assert_eq!(Price::parse(zeros.as_bytes()), Ok(Price(value)));
    }

    #[test]
    fn any_text_gives_an_exact_number_or_an_error(text in "[-+.0-9eE ]{0,24}", decimals in 0_u32..=9) {
        let scaled = || -> Option<BigInt> {
            let digits = text.strip_prefix('-').unwrap_or(&text);
            let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
            let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
            let fraction = fraction.get(..decimals as usize).filter(|_| {
                fraction.bytes().skip(decimals as usize).all(|byte| byte == b'0')
            }).unwrap_or(fraction);
            if whole.is_empty() || !plain(whole) || !plain(fraction) || fraction.len() > decimals as usize {
                return None;
            }
            let value: BigInt = format!("{whole}{fraction:0<width$}", width = decimals as usize).parse().ok()?;
            Some(if text.starts_with('-') { -value } else { value })
        };
        // The sign is set last, so the one value without a positive twin is out of range.
        let expected = scaled().and_then(|value| fits(&value)).filter(|value| *value != i64::MIN);
        prop_assert_eq!(parse_decimal(text.as_bytes(), decimals).ok(), expected, "{:?}", text);
    }

    #[test]
    fn a_product_over_a_divisor_is_the_oracles_or_none_where_it_does_not_fit(a in number(), b in number(), d in number()) {
        if d == 0 {
            prop_assert_eq!((mul_div_floor(a, b, d), mul_div_ceil(a, b, d)), (None, None));
        } else {
            let product = big(a) * big(b);
            prop_assert_eq!(mul_div_floor(a, b, d), fits(&floor(&product, &big(d))));
            prop_assert_eq!(mul_div_ceil(a, b, d), fits(&ceil(&product, &big(d))));
        }
    }

    #[test]
    fn a_sale_is_never_valued_above_and_a_purchase_never_below_the_truth(price in amount(), qty in amount()) {
        let exact = big(price) * big(qty);
        let scale = big(1_000_000_000);
        let (down, up) = (notional_floor(Price(price), Qty(qty)), notional_ceil(Price(price), Qty(qty)));
        prop_assert_eq!(down.map(|value| value.0), fits(&floor(&exact, &scale)));
        prop_assert_eq!(up.map(|value| value.0), fits(&ceil(&exact, &scale)));
    }

    #[test]
    fn what_money_buys_costs_no_more_than_the_money(money in amount(), price in amount()) {
        let qty = qty_for(Notional(money), Price(price));
        prop_assert_eq!(qty.map(|qty| qty.0), fits(&floor(&(big(money) * big(1_000_000_000)), &big(price))));
        if let Some(qty) = qty {
            prop_assert!(notional_floor(Price(price), qty).is_none_or(|cost| cost.0 <= money));
            let cost_of_more = big(price) * big(qty.0 + 1);
            prop_assert!(cost_of_more > big(money) * big(1_000_000_000), "not one lamport more");
        }
        prop_assert_eq!(qty_for(Notional(money), Price::ZERO), None);
    }

    #[test]
    fn a_share_of_money_coins_or_price_rounds_as_its_name_says(value in number(), ratio in number()) {
        let exact = big(value) * big(ratio);
        let scale = big(100_000_000);
        let (down, up) = (fits(&floor(&exact, &scale)), fits(&ceil(&exact, &scale)));
        let ratio = Ratio(ratio);
        prop_assert_eq!(Notional(value).times_floor(ratio).map(|v| v.0), down);
        prop_assert_eq!(Notional(value).times_ceil(ratio).map(|v| v.0), up);
        prop_assert_eq!(Qty(value).times_floor(ratio).map(|v| v.0), down);
        prop_assert_eq!(Qty(value).times_ceil(ratio).map(|v| v.0), up);
        prop_assert_eq!(Price(value).times_floor(ratio).map(|v| v.0), down);
        prop_assert_eq!(Price(value).times_ceil(ratio).map(|v| v.0), up);
    }

    #[test]
    fn sums_ratios_and_the_mid_are_the_oracles(a in number(), b in number()) {
        prop_assert_eq!(Notional(a).checked_add(Notional(b)).map(|v| v.0), fits(&(big(a) + big(b))));
        prop_assert_eq!(Qty(a).checked_sub(Qty(b)).map(|v| v.0), fits(&(big(a) - big(b))));
        prop_assert_eq!(big(Price::mid(Price(a), Price(b)).0), floor(&(big(a) + big(b)), &big(2)));
        let ratio = (b != 0).then(|| fits(&floor(&(big(a) * big(100_000_000)), &big(b)))).flatten();
        prop_assert_eq!(Ratio::of(a, b).map(|v| v.0), ratio);
    }

    #[test]
    fn basis_points_above_are_rounded_up_so_that_we_never_seem_to_pay_less(paid in number(), fair in number()) {
        let excess = big(paid) - big(fair);
        let exact = (fair != 0 && fits(&excess).is_some()).then(|| ceil(&(excess * big(1_000_000)), &big(fair)));
        let expected = exact.and_then(|e2| i32::try_from(&e2).ok());
        prop_assert_eq!(Bps::above(Price(paid), Price(fair)).map(|bps| bps.0), expected);
    }

    #[test]
    fn a_price_on_the_grid_is_the_nearest_one_on_its_side(price in amount(), tick in 1_i64..10_000_000_000) {
        let rules = grid(tick, 1);
        let (down, up) = (rules.price_floor(Price(price)), rules.price_ceil(Price(price)));
        prop_assert!(down.0 <= price && price - down.0 < tick && down.0 % tick == 0);
        prop_assert!(up.0 >= price && up.0 - price < tick && up.0 % tick == 0);
        prop_assert_eq!(rules.price_floor(down), down, "what lies on the grid stays");
        prop_assert_eq!(rules.price_ceil(up), up);
    }

    #[test]
    fn a_size_on_the_grid_is_never_above_what_is_there(qty in amount(), lot in 1_i64..10_000_000_000) {
        let floor = grid(1, lot).qty_floor(Qty(qty));
        prop_assert!(floor.0 <= qty && qty - floor.0 < lot && floor.0 % lot == 0);
    }

    #[test]
    fn what_is_no_dust_can_be_sold_and_dust_cannot(price in amount(), qty in amount(), lot in 1_i64..1_000_000_000) {
        let rules = grid(1, lot);
        let sells = rules.accepts(Price(price), rules.qty_floor(Qty(qty)));
        let fits_value = notional_floor(Price(price), Qty(qty)).is_some();
        prop_assert!(!fits_value || sells != rules.is_dust(Price(price), Qty(qty)));
    }
}

#[test]
fn the_smallest_integer_neither_panics_nor_wraps() {
    for (a, b, d) in [(i64::MIN, -1, 1), (i64::MIN, 1, -1), (i64::MIN, i64::MIN, 1), (i64::MIN, i64::MIN, i64::MIN)] {
        let exact = floor(&(big(a) * big(b)), &big(d));
        assert_eq!(mul_div_floor(a, b, d), fits(&exact), "{a} {b} {d}");
        let exact = ceil(&(big(a) * big(b)), &big(d));
        assert_eq!(mul_div_ceil(a, b, d), fits(&exact), "{a} {b} {d}");
    }
}
