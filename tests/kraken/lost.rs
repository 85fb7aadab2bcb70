//! A book that cannot be believed: thrown away, subscribed anew, believed again only when a snapshot verified.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sol_volume_bot::types::time::NANOS_PER_SEC;
use sol_volume_bot::types::{Price, Time};
use sol_volume_bot::venue::DecodeError;
use sol_volume_bot::venue::kraken::FrameKind;
use sol_volume_bot::venue::kraken::book::{Book, Fault};
use sol_volume_bot::venue::kraken::decode::{Frame, Rows, frame as decode};

use super::desk::{HEARTBEAT, Oracle, Rig, SNAPSHOT, UPDATE, cases, crc32, frame, told_changes};

/// Leaves and subscribes anew as the session asks; gives the last request.
fn follow(rig: &mut Rig) -> String {
    let leave = rig.sent();
    assert!(leave.len() == 1 && leave[0].contains(r#""unsubscribe""#), "{leave:?}");
    rig.grant(1, &leave[0]);
    for _ in 0..100 {
        if let [asked] = rig.sent().as_slice() {
            assert!(asked.contains(r#""subscribe""#), "{asked}");
            rig.grant(1, asked);
            return asked.clone();
        }
        rig.after_ms(100);
    }
    panic!("never subscribed anew");
}

#[test]
fn both_official_books_verify_and_one_digit_more_or_less_does_not() {
    let mut rows = Rows::new();
    let mut book = Book::new(10);
    for (text, snapshot) in [(SNAPSHOT, true), (UPDATE, false)] {
        assert_eq!(decode(text.as_bytes(), &mut rows), Ok(Frame::Book { snapshot }));
        let row = rows.books[0];
        let (bids, asks) = (rows.bids(&row), rows.asks(&row));
        let done = if snapshot {
            book.load(bids, asks, row.checksum, Time(1))
        } else {
            book.apply(bids, asks, row.checksum, Time(1))
        };
        assert_eq!(done, Ok(()));
    }
    assert_eq!(book.checksum(), 3_019_098_155);
    let text = SNAPSHOT.replace("142.36", "142.360");
    decode(text.as_bytes(), &mut rows).expect("a frame");
    let row = rows.books[0];
    let spoilt = Book::new(10).load(rows.bids(&row), rows.asks(&row), row.checksum, Time(1));
    assert!(matches!(spoilt, Err(Fault::Checksum { theirs: 437_706_113, .. })), "the digits count as sent: {spoilt:?}");
}

#[test]
fn the_long_official_vector_verifies() {
    let asks = "45285.2@0.00100000 45286.4@1.54571953 45286.6@1.54571109 45289.6@1.54560911 45290.2@0.15890660 45291.8@1.54553491 45294.7@0.04454749 45296.1@0.35380000 45297.5@0.09945542 45299.5@0.18772827";
    let bids = "45283.5@0.10000000 45283.4@1.54582015 45282.1@0.10000000 45281.0@0.10000000 45280.3@1.54592586 45279.0@0.07990000 45277.6@0.03310103 45277.5@0.30000000 45277.3@1.54602737 45276.6@0.15445238";
    let side = |text: &str| {
        let level =
            |level: &str| level.split_once('@').map(|(price, qty)| format!(r#"{{"price":{price},"qty":{qty}}}"#));
        text.split(' ').filter_map(level).collect::<Vec<_>>().join(",")
    };
    let text = format!(
        r#"{{"type":"snapshot","data":[{{"checksum":3310070434,"asks":[{}],"bids":[{}],"symbol":"BTC/USD"}}],"channel":"book"}}"#,
        side(asks),
        side(bids)
    );
    let mut rows = Rows::new();
    assert_eq!(decode(text.as_bytes(), &mut rows), Ok(Frame::Book { snapshot: true }), "in any key order");
    let row = rows.books[0];
    assert_eq!(Book::new(10).load(rows.bids(&row), rows.asks(&row), row.checksum, Time(1)), Ok(()));
}

#[test]
fn a_level_is_removed_by_zero_in_any_spelling_and_removing_an_unknown_one_is_no_error() {
    for zero in ["0", "0.0", "0.00000000"] {
        let text = UPDATE.replace(r#""price":142.37,"qty":0.00000000"#, &format!(r#""price":142.37,"qty":{zero}"#));
        let text = text.replace(r#""bids":["#, r#""bids":[{"price":1.00,"qty":0},"#);
        let mut rig = Rig::subscribed();
        rig.hear(SNAPSHOT).expect("a book");
        assert_eq!(rig.hear(&text), Ok(FrameKind::Data), "{zero}");
        assert_eq!(rig.session.book().and_then(Book::top).map(|top| top.ask), Some(Price(14_238_000_000)));
    }
}

#[test]
fn a_mismatch_is_a_gap_and_the_book_is_up_only_after_a_verified_snapshot() {
    let mut oracle = Oracle::around(16_100, 12);
    let mut rig = Rig::whole(&oracle);
    let lost = oracle.update(&[(16_100, 42)], &[]);
    let next = oracle.update(&[(16_099, 43)], &[]);
    assert_ne!(lost, next);
    assert!(matches!(rig.hear(&next), Ok(FrameKind::Lost(Fault::Checksum { .. }))));
    assert_eq!((rig.told(), rig.book_state()), (vec!["book gap".to_owned()], "gap"));
    rig.after_ms(1_000);
    rig.hear(&oracle.update(&[(16_098, 44)], &[])).expect("the tail of the subscription that is being left");
    rig.hear(&oracle.snapshot(10)).expect("it is not the new one");
    assert_eq!(rig.told(), [""; 0]);
    follow(&mut rig);
    rig.hear(&oracle.update(&[(16_098, 45)], &[])).expect("an update before its snapshot");
    assert_eq!((rig.told(), rig.book_state()), (vec![], "gap"));
    let spoilt = oracle.snapshot(10).replace(r#""qty":0.00000042"#, r#""qty":0.00000041"#);
    assert!(matches!(rig.hear(&spoilt), Ok(FrameKind::Lost(_))));
    assert_eq!((rig.told(), rig.book_state()), (vec![], "gap"), "told once");
    follow(&mut rig);
    assert_eq!(rig.hear(&oracle.snapshot(10)), Ok(FrameKind::Data));
    assert_eq!(rig.told().first().map(String::as_str), Some("book up"));
}

#[test]
fn a_venue_that_never_verifies_costs_the_connection_after_three_more_tries_each_later_than_the_last() {
    let oracle = Oracle::around(16_100, 12);
    let mut rig = Rig::whole(&oracle);
    let spoilt = frame("snapshot", &[(16_100, 1)], &[(16_101, 1)], 7);
    let mut waits = Vec::new();
    for _ in 0..3 {
        assert!(matches!(rig.hear(&spoilt), Ok(FrameKind::Lost(_))));
        let from = rig.now;
        follow(&mut rig);
        waits.push(rig.now.since(from) / NANOS_PER_SEC);
    }
    assert_eq!(waits, [0, 2, 4]);
    assert_eq!(rig.hear(&spoilt), Ok(FrameKind::Reset));
    assert_eq!(rig.hear(HEARTBEAT), Ok(FrameKind::Reset));
    assert_eq!(rig.states(), ["book gap"]);
}

#[test]
fn failures_before_a_minute_of_a_good_book_no_longer_count() {
    let mut oracle = Oracle::around(16_100, 12);
    let mut rig = Rig::whole(&oracle);
    for _ in 0..6 {
        for _ in 0..61 {
            rig.heartbeats(1);
            rig.hear(&oracle.update(&[(16_100, rig.now.0 % 1_000 + 1)], &[])).expect("an update");
        }
        rig.sent.clear();
        assert!(matches!(rig.hear(&frame("update", &[(16_100, 5)], &[], 7)), Ok(FrameKind::Lost(_))));
        follow(&mut rig);
        assert_eq!(rig.hear(&oracle.snapshot(10)), Ok(FrameKind::Data));
    }
}

#[test]
fn a_crossed_book_is_lost_though_its_checksum_holds() {
    let mut oracle = Oracle::around(16_100, 12);
    let mut rig = Rig::whole(&oracle);
    let crossed = oracle.update(&[(16_102, 5)], &[]);
    assert_eq!(rig.hear(&crossed), Ok(FrameKind::Lost(Fault::Crossed)));
    assert_eq!(rig.states(), ["book gap"]);
}

#[test]
fn a_book_message_that_cannot_be_read_is_a_loss_and_another_channels_is_not() {
    let mut oracle = Oracle::around(16_100, 12);
    let mut rig = Rig::whole(&oracle);
    let ticker = r#"{"channel":"ticker","type":"update","data":[{"symbol":"SOL/USD","bid":"#;
    assert_eq!(rig.hear(ticker), Err(DecodeError::Truncated { at: ticker.len() }));
    assert_eq!(rig.states(), [""; 0]);
    let update = oracle.update(&[(16_100, 42)], &[]);
    assert!(rig.hear(&update[..update.len() - 5]).is_err());
    assert_eq!(rig.states(), ["book gap"]);
    follow(&mut rig);
    assert_eq!(rig.hear(&oracle.snapshot(10)), Ok(FrameKind::Data));
    assert_eq!(rig.states(), ["book up"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(48), failure_persistence: None, ..ProptestConfig::default() })]

    /// Random markets: levels set, pushed out, coming back, removed, in any order within a message; at depth 10 and 25.
    #[test]
    fn the_book_is_always_the_top_of_the_whole_market(
        depth in prop::sample::select(vec![10_usize, 25]),
        steps in prop::collection::vec(prop::collection::vec((0_i64..60, 0_i64..4, any::<bool>()), 1..12), 1..60),
    ) {
        let mut market = Oracle::around(10_060, 40);
        let mut rows = Rows::new();
        let mut book = Book::new(depth);
        let mut told = market.tops(depth);
        load(&mut book, &mut rows, &market.snapshot(depth));
        for step in steps {
            for (away, size, buy) in step {
                let (side, at) = if buy { (&mut market.bids, 10_060 - away) } else { (&mut market.asks, 10_061 + away) };
                if size == 0 { side.remove(&at) } else { side.insert(at, size * 1_000) };
            }
            let tops = market.tops(depth);
            let mut bids = told_changes(&told.0, &tops.0, &market.bids);
            let asks = told_changes(&told.1, &tops.1, &market.asks);
            bids.reverse(); // no order is promised
            told = tops;
            load(&mut book, &mut rows, &frame("update", &bids, &asks, market.checksum()));
            let kept = |level: &sol_volume_bot::venue::kraken::decode::Level| (level.price.0 / 1_000_000, level.qty.0 / 10);
            prop_assert_eq!(book.bids().map(kept).collect::<Vec<_>>(), told.0.clone());
            prop_assert_eq!(book.asks().map(kept).collect::<Vec<_>>(), told.1.clone());
        }
    }

    /// A loss is either harmless or found: a book that verifies has the ten best levels of the venue's.
    #[test]
    fn a_book_that_verifies_has_the_venues_ten_best_levels_whatever_was_lost(
        steps in prop::collection::vec((prop::collection::vec((0_i64..14, 0_i64..4, any::<bool>()), 1..4), any::<bool>()), 1..40),
    ) {
        let mut market = Oracle::around(10_060, 20);
        let mut rows = Rows::new();
        let mut book = Book::new(10);
        let mut told = market.tops(10);
        load(&mut book, &mut rows, &market.snapshot(10));
        for (step, lost) in steps {
            for (away, size, buy) in step {
                let (side, at) = if buy { (&mut market.bids, 10_060 - away) } else { (&mut market.asks, 10_061 + away) };
                if size == 0 { side.remove(&at) } else { side.insert(at, size * 1_000) };
            }
            let tops = market.tops(10);
            let bids = told_changes(&told.0, &tops.0, &market.bids);
            let asks = told_changes(&told.1, &tops.1, &market.asks);
            told = tops;
            if lost {
                continue;
            }
            let text = frame("update", &bids, &asks, market.checksum());
            decode(text.as_bytes(), &mut rows).expect("a frame");
            let row = rows.books[0];
            if book.apply(rows.bids(&row), rows.asks(&row), row.checksum, row.venue_time).is_err() {
                return Ok(());
            }
            let kept = |level: &sol_volume_bot::venue::kraken::decode::Level| (level.price.0 / 1_000_000, level.qty.0 / 10);
            prop_assert_eq!(book.bids().map(kept).collect::<Vec<_>>(), told.0.clone());
            prop_assert_eq!(book.asks().map(kept).collect::<Vec<_>>(), told.1.clone());
        }
    }
}

fn load(book: &mut Book, rows: &mut Rows, text: &str) {
    let Ok(Frame::Book { snapshot }) = decode(text.as_bytes(), rows) else { panic!("{text}") };
    let row = rows.books[0];
    let (bids, asks) = (rows.bids(&row), rows.asks(&row));
    let done = match snapshot {
        true => book.load(bids, asks, row.checksum, row.venue_time),
        false => book.apply(bids, asks, row.checksum, row.venue_time),
    };
    assert_eq!(done, Ok(()), "{text}");
}

#[test]
fn the_oracle_of_these_tests_knows_the_official_checksums() {
    let text = "1423712500000001423870000001424125000000000142363000000001423550000";
    assert_eq!(crc32(text.as_bytes()), 437_706_113);
    let bids = BTreeMap::from([(14_236, 300_000_000), (14_235, 50_000)]);
    let asks = BTreeMap::from([(14_237, 1_250_000_000), (14_238, 7_000_000), (14_241, 25_000_000_000)]);
    assert_eq!(Oracle { bids, asks }.checksum(), 437_706_113);
}
