//! RSI against three independent sources and the exact fraction.

use std::io::{BufRead, BufReader};

use num_bigint::BigInt;
use proptest::prelude::*;
use sol_volume_bot::engine::signal::Rsi;
use sol_volume_bot::types::units::parse_decimal;
use sol_volume_bot::types::{Price, Ratio};

use crate::{capture, unzipped};

fn close(text: &str) -> Price {
    Price::parse(text.trim().as_bytes()).unwrap()
}

#[test]
fn rsi_equals_talib_on_every_real_solusdt_candle() {
    let Some(file) = capture("rsi/talib_rsi14_solusdt_5m_20240101_20240907.csv.gz") else { return };
    let mut rsi = Rsi::new(14);
    let (mut compared, mut largest_e10) = (0, 0);
    for line in BufReader::new(unzipped(&file).as_slice()).lines().skip(1).map(Result::unwrap) {
        let mut cells = line.split(',').skip(1);
        rsi.push(close(cells.next().unwrap()));
        match cells.next().unwrap() {
            "" => assert_eq!(rsi.value(), None, "{line}"),
            oracle => {
                let ours_e10 = rsi.value().unwrap().0 * 100;
                largest_e10 = largest_e10.max((ours_e10 - parse_decimal(oracle.as_bytes(), 10).unwrap()).abs());
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 72_014);
    assert!(largest_e10 <= 10_000, "largest difference {largest_e10}e-10, 1e-6 allowed");
}

/// Compares with an oracle that was rounded to `places`.
fn assert_near(ours: Option<Ratio>, oracle: &str, places: u32, what: &str) {
    let unit = 10_i64.pow(8 - places);
    let difference = (ours.unwrap().0 - parse_decimal(oracle.as_bytes(), 8).unwrap()).abs();
    assert!(difference * 2 <= unit + 2, "{what}: {ours:?} is not {oracle}");
}

#[test]
fn rsi_equals_two_more_independent_sources() {
    let Some(file) = capture("rsi/cinar_brkb_close_rsi14.csv") else { return };
    let mut rsi = Rsi::new(14);
    for line in std::fs::read_to_string(file).unwrap().lines().skip(1) {
        let (price, oracle) = line.split_once(',').unwrap();
        rsi.push(close(price));
        if oracle.trim() != "0" {
            assert_near(rsi.value(), oracle.trim(), 2, line);
        }
    }
    assert_eq!(rsi.candles(), 251);
    let Some(file) = capture("rsi/tulip_rsi5_vectors.csv") else { return };
    let text = std::fs::read_to_string(file).unwrap();
    let field = |line: &str| line.split('"').nth(1).unwrap().split(' ').map(str::to_owned).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> = text.lines().skip(1).map(field).collect();
    for (closes, oracle) in [(&rows[0], &rows[1]), (&rows[2], &rows[3])] {
        let mut rsi = Rsi::new(5);
        let values: Vec<Option<Ratio>> = closes
            .iter()
            .map(|c| {
                rsi.push(close(c));
                rsi.value()
            })
            .collect();
        assert_eq!(closes.len() - 5, oracle.len());
        for (ours, oracle) in values[5..].iter().zip(oracle) {
            let places = oracle.split_once('.').map_or(0, |(_, decimals)| decimals.len() as u32);
            assert_near(*ours, oracle, places, "tulip");
        }
    }
}

proptest! {
    #[test]
    fn rsi_is_the_exact_fraction_to_its_last_digit(
        start in 1_000_000_000_i64..30_000_000_000,
        ticks in prop::collection::vec(-300_i64..=300, 15..200),
        period in 1_u32..30,
    ) {
        prop_assume!(ticks.len() > period as usize && ticks[ticks.len() - 1] != 0);
        let (mut rsi, mut price) = (Rsi::new(period), start);
        rsi.push(Price(price));
        let (mut gain, mut loss, mut scale) = (BigInt::ZERO, BigInt::ZERO, BigInt::from(1));
        for (i, tick) in ticks.iter().enumerate() {
            let step = tick * 1_000_000;
            price += step;
            rsi.push(Price(price));
            let weight = if i < period as usize { BigInt::from(1) } else { BigInt::from(period - 1) };
            if i >= period as usize { scale *= period; }
            gain = gain * &weight + step.max(0) * &scale;
            loss = loss * &weight + (-step).max(0) * &scale;
        }
        let total: BigInt = &gain + &loss;
        let exact: BigInt = gain * 10_000_000_000_i64 / total;
        let ours = rsi.value().expect("the last candle moved").0;
        let below: BigInt = BigInt::from(ours) - exact;
        prop_assert!(below >= BigInt::ZERO && below <= BigInt::from(1), "{below} from the exact fraction");
    }
}
