//! Accounts that are what they should be: the fact sheet's, and thousands of others against a plain oracle.

use super::desk::{MARKET, account, order, pairs, shown, vector};
use proptest::prelude::*;
use sol_volume_bot::sim::server::dex::account::Order;
use sol_volume_bot::types::{Price, Qty, Side};
use sol_volume_bot::venue::dex::LEVELS_MAX;
use sol_volume_bot::venue::manifest::{AccountError, Market, SOL_USDC_MARKET, Token, decode, key};

#[test]
fn the_fact_sheets_account_has_two_bids_until_one_expires_and_one_ask() {
    let data = vector();
    assert_eq!(data.len(), 496);
    let before = decode(&data, 500, &MARKET).expect("a book");
    assert_eq!(shown(&before.bids), pairs(&[("142.36", "3"), ("142.31", "1.5")]));
    assert_eq!(shown(&before.asks), pairs(&[("142.37", "12.5")]));
    let after = decode(&data, 501, &MARKET).expect("a book");
    assert_eq!(shown(&after.bids), pairs(&[("142.36", "3")]));
    let book = before.book();
    assert_eq!((book.slot, book.bid, book.ask_qty), (500, Price(14_236_000_000), Qty(12_500_000_000)));
    assert_eq!((book.bid_depth, book.ask_depth), (Qty(4_500_000_000), Qty(12_500_000_000)));
}

#[test]
fn the_built_in_venue_writes_the_fact_sheets_account_byte_for_byte() {
    let expiring = Order { last_valid_slot: 500, ..order(Side::Buy, "142.31", "1.5", 12) };
    let post_only = Order { kind: 2, ..order(Side::Sell, "142.37", "12.5", 13) };
    let written = account(vec![order(Side::Buy, "142.36", "3", 11), expiring, post_only]).bytes();
    let differs = vector().iter().zip(&written).position(|(want, got)| want != got);
    assert_eq!((written.len(), differs), (496, None));
}

#[test]
fn another_market_is_named_by_what_differs() {
    let mut data = vector();
    let of = |market: Market| decode(&vector(), 1, &market).map(|_| ());
    assert_eq!(of(Market::SOL_USDC), Err(AccountError::WrongMint { token: Token::Base, at: 16 }));
    assert_eq!(
        of(Market { quote_mint: [9; 32], ..MARKET }),
        Err(AccountError::WrongMint { token: Token::Quote, at: 48 })
    );
    assert_eq!(
        of(Market { base_decimals: 6, ..MARKET }),
        Err(AccountError::WrongDecimals { token: Token::Base, at: 9 })
    );
    assert_eq!(
        of(Market { quote_decimals: 9, ..MARKET }),
        Err(AccountError::WrongDecimals { token: Token::Quote, at: 10 })
    );
    data[8] = 1;
    assert_eq!(decode(&data, 1, &MARKET), Err(AccountError::UnknownVersion { at: 8 }));
    data[0] ^= 1;
    assert_eq!(decode(&data, 1, &MARKET), Err(AccountError::NotAMarket));
    let text = AccountError::WrongMint { token: Token::Quote, at: 48 }.to_string();
    assert!(text.contains("quote mint is not the configured one"), "{text}");
    assert!(key::parse(SOL_USDC_MARKET).is_some());
}

#[test]
fn global_orders_are_left_out_unless_wanted() {
    let global = Order { kind: 3, ..order(Side::Buy, "142", "5", 1) };
    let unknown = Order { kind: 9, ..order(Side::Buy, "143", "5", 3) };
    let data = account(vec![global, order(Side::Buy, "141", "1", 2), unknown]).bytes();
    let bids = |skip_global: bool| shown(&decode(&data, 1, &Market { skip_global, ..MARKET }).expect("a book").bids);
    assert_eq!(bids(true), pairs(&[("141", "1")]));
    assert_eq!(bids(false), pairs(&[("142", "5"), ("141", "1")]));
}

#[test]
fn prices_too_far_off_for_a_price_end_their_side_and_do_not_spoil_the_book() {
    let absurd_ask = Order { price_e18: u128::MAX, ..order(Side::Sell, "1", "1", 3) };
    let absurd_bid = Order { price_e18: 9_999_999, ..order(Side::Buy, "1", "1", 4) };
    let usual = [order(Side::Buy, "142", "1", 1), order(Side::Sell, "143", "2", 2)];
    let levels =
        decode(&account([&usual[..], &[absurd_ask, absurd_bid]].concat()).bytes(), 1, &MARKET).expect("a book");
    assert_eq!((shown(&levels.bids), shown(&levels.asks)), (pairs(&[("142", "1")]), pairs(&[("143", "2")])));
    let impossible = Order { price_e18: u128::MAX, ..order(Side::Buy, "1", "1", 5) };
    assert!(matches!(decode(&account(vec![impossible]).bytes(), 1, &MARKET), Err(AccountError::BadPrice { .. })));
}

#[test]
fn an_empty_market_is_a_book_without_sides() {
    let levels = decode(&account(Vec::new()).bytes(), 7, &MARKET).expect("a book");
    assert_eq!((levels.mid(), levels.book().bid, levels.slot), (None, Price::ZERO, 7));
    let mut roomy = vector();
    roomy.extend([0xa5; 800]); // the program grows an account before it uses the room
    assert_eq!(decode(&roomy, 500, &MARKET), decode(&vector(), 500, &MARKET));
}

fn any_orders() -> impl Strategy<Value = Vec<Order>> {
    let one =
        (any::<bool>(), 0_i64..40, 1_u64..5_000, 0_u32..4, 0_u8..6).prop_map(|(is_bid, away, atoms, last, kind)| {
            let (side, price) = if is_bid { (Side::Buy, 1_000 - away) } else { (Side::Sell, 1_001 + away) };
            let price_e18 = price as u128 * 1_000_000_000_000_000 + u128::from(atoms % 3);
            Order { side, price_e18, base_atoms: atoms, seq: 0, trader: 0, last_valid_slot: last, kind }
        });
    prop::collection::vec(one, 0..120)
}

/// The side as a list sorted and summed by hand.
fn oracle(orders: &[Order], side: Side, slot: u64) -> Vec<(i64, i64)> {
    let lives = |order: &&Order| order.last_valid_slot == 0 || u64::from(order.last_valid_slot) >= slot;
    let mut live: Vec<&Order> = orders.iter().filter(|order| order.side == side && order.kind != 3).collect();
    live.retain(lives);
    live.sort_by_key(|order| order.price_e18);
    if side == Side::Buy {
        live.reverse();
    }
    let mut levels: Vec<(i64, i64)> = Vec::new();
    for order in live {
        let (price, rest) = (order.price_e18 / 10_000_000, order.price_e18 % 10_000_000);
        let price = price as i64 + i64::from(side == Side::Sell && rest > 0);
        match levels.last_mut().filter(|last| last.0 == price) {
            Some(last) => last.1 += order.base_atoms as i64,
            None => levels.push((price, order.base_atoms as i64)),
        }
    }
    levels.truncate(LEVELS_MAX);
    levels
}

proptest! {
    #[test]
    fn any_account_gives_the_levels_that_sorting_by_hand_gives(orders in any_orders(), slot in 0_u64..5) {
        let orders: Vec<Order> = (1..).zip(orders).map(|(seq, order)| Order { seq, ..order }).collect();
        let levels = decode(&account(orders.clone()).bytes(), slot, &MARKET).expect("a book");
        for (side, ladder) in [(Side::Buy, levels.bids), (Side::Sell, levels.asks)] {
            let got: Vec<(i64, i64)> = ladder.levels().iter().map(|level| (level.price.0, level.qty.0)).collect();
            prop_assert_eq!(got, oracle(&orders, side, slot));
        }
    }
}
