//! Accounts and answers that nobody should send: a book or an error, never a panic, never an endless walk.

use super::desk::{MARKET, account, order, vector};
use proptest::prelude::*;
use sol_volume_bot::sim::server::dex::account::Order;
use sol_volume_bot::types::Side;
use sol_volume_bot::venue::jupiter;
use sol_volume_bot::venue::manifest::{AccountError, Market, decode};

/// Decodes, and holds the result to what every result must be.
fn judge(data: &[u8], slot: u64) -> Result<(), AccountError> {
    match decode(data, slot, &MARKET) {
        Ok(levels) => {
            assert!(levels.is_sound(), "{levels:?}");
            Ok(())
        }
        Err(error) => {
            assert!(error.at().is_none_or(|at| at <= data.len()), "{error:?} lies outside {} bytes", data.len());
            Err(error)
        }
    }
}

/// Sets the little-endian number at byte `at`.
fn put(data: &mut [u8], at: usize, value: u32) {
    data[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn every_byte_of_the_vector_may_be_any_other_byte() {
    let mut data = vector();
    let mut refused = 0;
    for at in 0..data.len() {
        let kept = data[at];
        for byte in 0..=255 {
            data[at] = byte;
            refused += u32::from(judge(&data, 400).is_err());
        }
        data[at] = kept;
    }
    assert!(refused > 255 * 90, "only {refused} were refused: mints, links and kinds alone are more");
}

#[test]
fn a_vector_cut_at_any_length_is_an_error() {
    let data = vector();
    for end in 0..data.len() {
        let error = judge(&data[..end], 400).expect_err("a cut account");
        assert!(matches!(error, AccountError::TooShort { got } if got == end), "{error:?} at {end}");
    }
}

#[test]
fn links_that_lead_out_between_blocks_to_themselves_or_back_are_named_by_their_byte() {
    let refusal = |at: usize, link: u32| {
        let mut data = vector();
        put(&mut data, at, link);
        judge(&data, 400)
    };
    for (at, link) in [(156, 240), (156, 40), (164, u32::MAX - 1), (256, 81), (256, 4_000_000_000), (260, 1)] {
        assert_eq!(refusal(at, link), Err(AccountError::BadLink { at }), "{link} at {at}");
    }
    assert_eq!(refusal(256, 0), Err(AccountError::BadLink { at: 264 }), "its own left child: the parent is another");
    assert_eq!(refusal(260, 0), Err(AccountError::BadLink { at: 264 }), "its own right child");
    assert_eq!(refusal(344, 80), Err(AccountError::BadLink { at: 344 }), "the child names another parent");
    assert_eq!(refusal(156, 160), Err(AccountError::NotAnOrder { at: 472 }), "an ask among the bids");
    assert_eq!(refusal(152, 239), Err(AccountError::WrongSize { at: 152 }));
    assert_eq!(refusal(152, 320), Err(AccountError::TooShort { got: 496 }));
}

#[test]
fn circles_end_whichever_way_they_run() {
    let mut own = vector();
    put(&mut own, 264, 0); // its own parent ...
    put(&mut own, 260, 0); // ... and its own right child
    assert!(matches!(judge(&own, 400), Err(AccountError::Circle { at: 260 })), "{:?}", judge(&own, 400));
    let mut left = vector();
    put(&mut left, 264, 0);
    put(&mut left, 256, 0);
    assert!(matches!(judge(&left, 400), Err(AccountError::Circle { at: 256 })), "{:?}", judge(&left, 400));
    let mut pair = vector();
    put(&mut pair, 264, 80); // the root's parent is its child ...
    put(&mut pair, 336, 0); // ... whose left child is the root
    assert_eq!(judge(&pair, 400), Err(AccountError::OutOfOrder { at: 272 }), "the better price came before");
    pair.copy_within(272..288, 352); // at one price nothing but the count of steps shows it
    assert_eq!(judge(&pair, 400), Err(AccountError::Circle { at: 256 }));
}

#[test]
fn a_chain_deeper_than_any_balanced_tree_is_refused() {
    let orders: Vec<Order> = (0..100).map(|seq| order(Side::Buy, "142", "1", seq)).collect();
    let mut data = account(orders).bytes();
    for at in 0..100_u32 {
        let block = 256 + 80 * at as usize;
        put(&mut data, block, u32::MAX);
        put(&mut data, block + 4, if at < 99 { (at + 1) * 80 } else { u32::MAX });
        put(&mut data, block + 8, if at > 0 { (at - 1) * 80 } else { u32::MAX });
    }
    put(&mut data, 156, 0);
    assert!(matches!(judge(&data, 1), Err(AccountError::Circle { .. })), "{:?}", judge(&data, 1));
}

#[test]
fn trees_out_of_order_and_crossed_books_are_refused() {
    let mut data = vector();
    data[256 + 80 + 23] = 9; // the worse bid's price, far above the better one's
    assert_eq!(judge(&data, 400), Err(AccountError::OutOfOrder { at: 352 }));
    for (bid, ask) in [("142.38", "142.37"), ("142.37", "142.37")] {
        let crossed = account(vec![order(Side::Buy, bid, "1", 1), order(Side::Sell, ask, "1", 2)]).bytes();
        assert_eq!(judge(&crossed, 1), Err(AccountError::Crossed));
    }
}

proptest! {
    // more by `PROPTEST_CASES`
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(2_000), ..ProptestConfig::default() })]

    #[test]
    fn random_blocks_behind_a_right_header_are_a_book_or_an_error(
        blocks in prop::collection::vec(any::<u8>(), 0..80 * 12),
        links in prop::collection::vec((0_usize..12, 0_usize..3, 0_u32..13), 0..40),
        roots in prop::array::uniform2(0_u32..13),
        slot in any::<u64>(),
    ) {
        let mut data = vector();
        data.truncate(256);
        data.extend(&blocks[..blocks.len() / 80 * 80]);
        let count = (blocks.len() / 80) as u32;
        let offset = |index: u32| if index < 12 { index * 80 } else { u32::MAX };
        put(&mut data, 152, count * 80);
        put(&mut data, 156, offset(roots[0]));
        put(&mut data, 164, offset(roots[1]));
        for block in 0..count as usize {
            let from = 256 + 80 * block;
            data[from + 13] = 2;
            data[from + 56] = u8::from(block % 3 != 0);
        }
        for (block, link, to) in links.into_iter().filter(|(block, ..)| *block < count as usize) {
            put(&mut data, 256 + 80 * block + 4 * link, offset(to));
        }
        let _ = judge(&data, slot);
    }

    #[test]
    fn random_bytes_are_an_error(data in prop::collection::vec(any::<u8>(), 0..2_000), slot in any::<u64>()) {
        prop_assert!(judge(&data, slot).is_err());
        if let Some(market) = Market::stated(&data) {
            prop_assert!(decode(&data, slot, &market).is_err());
        }
    }

    #[test]
    fn random_answers_are_no_quote(body in prop::collection::vec(any::<u8>(), 0..300), status in 100_u16..600) {
        prop_assert!(jupiter::decode(status, &body).is_err());
    }
}
