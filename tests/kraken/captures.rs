//! Real frames nobody here wrote. Without the shared folder these tests say so and pass.

use std::collections::BTreeMap;

use serde_json::Value;
use sol_volume_bot::cli::decode::{VenueName, decode_lines};
use sol_volume_bot::types::event::Bbo;
use sol_volume_bot::types::{Price, Qty, Time};
use sol_volume_bot::venue::kraken::book::Book;
use sol_volume_bot::venue::kraken::decode::{Frame, Level, Method, Rows, System, frame};
use sol_volume_bot::venue::kraken::lines::{LineDecoder, Step};

use super::desk::{capture, lines, received};

/// How many books verified and how many did not, line by line.
fn steps<'a>(frames: impl Iterator<Item = &'a [u8]>) -> (usize, usize) {
    let mut decoder = LineDecoder::new(true);
    let (mut verified, mut failed) = (0, 0);
    for text in frames {
        let line = decoder.decode(text).unwrap_or_else(|bad| panic!("{bad:?}: {}", String::from_utf8_lossy(text)));
        match line.step {
            Some(Step::Verified) => {
                let top = line.top.expect("a whole book");
                assert!(top.bid < top.ask && top.bid_qty.0 > 0 && top.ask_qty.0 > 0);
                verified += 1;
            }
            Some(_) => failed += 1,
            None => {}
        }
    }
    (verified, failed)
}

#[test]
fn every_checksum_of_sol_usd_holds() {
    let Some(bytes) = capture("kraken_spot_v2/kraken_v2_book_solusd_20260926.jsonl") else { return };
    assert_eq!(steps(lines(&bytes)), (61, 0));
}

/// The verified top after each line, by its place in `lines`.
fn tops(lines: &[(usize, &[u8])]) -> BTreeMap<usize, Bbo> {
    let mut decoder = LineDecoder::new(true);
    let mut tops = BTreeMap::new();
    for (at, text) in lines {
        let line = decoder.decode(text).expect("a frame");
        tops.extend(line.top.map(|top| (*at, Bbo { update_id: 0, ..top })));
    }
    tops
}

#[test]
fn whatever_update_of_sol_usd_is_lost_a_top_that_verifies_is_the_true_one() {
    let Some(bytes) = capture("kraken_spot_v2/kraken_v2_book_solusd_20260926.jsonl") else { return };
    let all: Vec<(usize, &[u8])> = lines(&bytes).enumerate().collect();
    let truth = tops(&all);
    let mut found = 0;
    for lost in 1..all.len() - 1 {
        let rest: Vec<(usize, &[u8])> = all.iter().copied().filter(|(at, _)| *at != lost).collect();
        let kept = tops(&rest);
        assert!(kept.iter().all(|(at, top)| truth.get(at) == Some(top)), "after the loss of message {lost}");
        found += usize::from(kept.len() < rest.len());
    }
    assert!(
        found >= 30,
        "the subscription was 1000 levels deep, so many losses touch no checked level; {found} of 59 did"
    );
}

#[test]
fn every_checksum_of_a_quiet_pair_holds_and_its_silence_is_filled_with_heartbeats() {
    let Some(bytes) = capture("kraken_spot_v2/kraken_v2_book_minagbp_d25_20260816.ndjson") else { return };
    let frames = received(&bytes);
    assert_eq!(steps(frames.iter().map(|(_, text)| text.as_bytes())), (30, 0));
    let mut rows = Rows::new();
    let (mut heartbeats, mut status, mut ack) = (0, None, None);
    for (_, text) in &frames {
        match frame(text.as_bytes(), &mut rows) {
            Ok(Frame::Heartbeat) => heartbeats += 1,
            Ok(Frame::Status { system, connection_id }) => status = Some((system, connection_id)),
            Ok(Frame::Ack { method, pair, depth, .. }) => {
                ack = Some((method, pair.map(|pair| pair.to_string()), depth))
            }
            Ok(Frame::Book { .. }) => {}
            other => panic!("{other:?}: {text}"),
        }
    }
    assert_eq!(status, Some((System::Online, Some(3_007_355_780_899_554_854))));
    assert_eq!(ack, Some((Method::Subscribe, Some("MINA/GBP".to_owned()), Some(25))));
    assert!(heartbeats > 40, "{heartbeats}");
    let books: Vec<i64> =
        frames.iter().filter(|(_, text)| text.contains(r#""book","type""#)).map(|(at, _)| *at).collect();
    let longest = books.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(longest.is_some_and(|ns| ns > 9_000_000_000), "{longest:?}");
}

#[test]
fn the_recorded_vectors_hold() {
    let Some(bytes) = capture("kraken_spot_v2/kraken_v2_checksum_vectors_a.jsonl") else { return };
    assert_eq!(steps(lines(&bytes)), (3, 0));
}

/// A level of the older protocol: texts, all of one pair with the same decimals.
fn level(row: &Value) -> Level {
    let digits = |at: usize| row[at].as_str().expect("a text").replace('.', "").parse::<u64>().expect("digits");
    let (price_digits, qty_digits) = (digits(0), digits(1));
    Level { price: Price(price_digits as i64), qty: Qty(qty_digits as i64), price_digits, qty_digits }
}

fn side(parts: &[&Value], names: [&str; 2]) -> Vec<Level> {
    let rows = parts.iter().flat_map(|part| names.iter().filter_map(|name| part[*name].as_array())).flatten();
    rows.map(level).collect()
}

#[test]
fn the_checksum_holds_on_thousands_of_messages_of_the_older_protocol() {
    let Some(bytes) = capture("kraken_spot_v1/cryptofeed_kraken_v1_20210417.jsonl.zst") else { return };
    let mut books: BTreeMap<String, Book> = BTreeMap::new();
    let (mut snapshots, mut verified) = (0, 0);
    for line in lines(&bytes) {
        let record: Value = serde_json::from_slice(line).expect("a record");
        let text = record["data"].as_str().filter(|_| record["t"] == "recv").unwrap_or_default();
        let Ok(Value::Array(message)) = serde_json::from_str::<Value>(text) else { continue };
        let is_book = message.iter().any(|part| part.as_str().is_some_and(|name| name.starts_with("book-")));
        let (Some(pair), true) = (message.last().and_then(Value::as_str), is_book) else { continue };
        let parts: Vec<&Value> = message.iter().filter(|part| part.is_object()).collect();
        let (bids, asks) = (side(&parts, ["bs", "b"]), side(&parts, ["as", "a"]));
        let book = books.entry(pair.to_owned()).or_insert_with(|| Book::new(1_000));
        match parts.iter().find_map(|part| part["c"].as_str()) {
            None => {
                snapshots += 1; // it says no checksum: the first update after it proves it
                assert!(book.load(&bids, &asks, 0, Time::NONE).is_err());
                let whole = super::desk::crc32(digits_of(&bids, &asks).as_bytes());
                assert_eq!(book.load(&bids, &asks, whole, Time::NONE), Ok(()), "{pair}");
            }
            Some(told) => {
                let told = told.parse().expect("a number");
                assert_eq!(book.apply(&bids, &asks, told, Time::NONE), Ok(()), "{pair}: {text}");
                verified += 1;
            }
        }
    }
    assert_eq!((snapshots, verified), (10, 4_269));
}

/// The text that a snapshot's checksum covers.
fn digits_of(bids: &[Level], asks: &[Level]) -> String {
    let ten = asks.iter().take(10).chain(bids.iter().take(10));
    ten.map(|level| format!("{}{}", level.price_digits, level.qty_digits)).collect()
}

/// Kinds of the events that `decode` prints, and what it could not decode.
fn printed(book: bool, frames: &[u8]) -> (BTreeMap<String, usize>, u64, String) {
    let (mut out, mut complaints) = (Vec::new(), Vec::new());
    let tally = decode_lines(VenueName::Kraken, book, frames, &mut out, &mut complaints).expect("memory does not fail");
    let mut kinds = BTreeMap::new();
    for line in lines(&out) {
        let event: Value = serde_json::from_slice(line).expect("one JSON object a line");
        *kinds.entry(event["kind"].as_str().expect("a kind").to_owned()).or_default() += 1;
    }
    (kinds, tally.bad, String::from_utf8_lossy(&complaints).into_owned())
}

#[test]
fn one_message_of_each_kind_is_an_event_or_passed_over_never_an_error() {
    let Some(bytes) = capture("kraken_spot_v2/kraken_v2_ws_messages_a.jsonl") else { return };
    let (kinds, bad, complaints) = printed(false, &bytes);
    assert_eq!((bad, kinds.values().sum::<usize>()), (0, 22), "{complaints}");
    assert_eq!((kinds["ticker"], kinds["book"], kinds["trade"]), (1, 1, 1), "{kinds:?}");
    assert_eq!((kinds["ack"], kinds["refused"]), (4, 1), "{kinds:?}");
    assert_eq!(kinds["other"], 22 - 3 - 5 - 1, "{kinds:?}");
}

#[test]
fn the_older_protocols_and_rest_bodies_are_passed_over() {
    let Some(bytes) = capture("catalogue/kraken_messages_a.jsonl") else { return };
    let (kinds, bad, complaints) = printed(true, &bytes);
    assert_eq!((bad, kinds), (0, BTreeMap::from([("other".to_owned(), 11)])), "{complaints}");
    for name in [
        "kraken_spot_v1/cryptofeed_kraken_v1_20210417.jsonl.zst",
        "kraken_futures/cryptofeed_kraken_futures_20210722.jsonl.zst",
    ] {
        let Some(bytes) = capture(name) else { return };
        let mut frames = Vec::new();
        for line in lines(&bytes) {
            let record: Value = serde_json::from_slice(line).expect("a record");
            if let (Some(text), true) = (record["data"].as_str(), record["t"] == "recv") {
                frames.extend_from_slice(text.as_bytes());
                frames.push(b'\n');
            }
        }
        let (kinds, bad, complaints) = printed(true, &frames);
        assert_eq!((bad, kinds.len()), (0, 1), "{name}: {kinds:?} {complaints}");
        assert!(kinds["other"] > 4_000, "{name}: {kinds:?}");
    }
}

#[test]
fn the_snapshot_of_all_instruments_is_passed_over() {
    let Some(bytes) = capture("kraken_spot_v2/kraken_v2_instrument_snapshot_20240329.json.gz") else { return };
    let one_line: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != b'\n').collect();
    assert_eq!(frame(&one_line, &mut Rows::new()), Ok(Frame::Other));
}

#[test]
fn the_decode_verb_prints_the_verified_top_after_each_book_message() {
    let Some(bytes) = capture("kraken_spot_v2/kraken_v2_book_solusd_20260926.jsonl") else { return };
    let (mut out, mut complaints) = (Vec::new(), Vec::new());
    let mut texts: Vec<String> = lines(&bytes).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let (head, tail) = texts[1].split_once(r#""checksum":"#).expect("a checksum");
    texts[1] = format!(r#"{head}"checksum":7{}"#, tail.trim_start_matches(|letter: char| letter.is_ascii_digit()));
    let spoilt = texts.join("\n");
    decode_lines(VenueName::Kraken, true, spoilt.as_bytes(), &mut out, &mut complaints).expect("memory does not fail");
    let events: Vec<Value> = lines(&out).map(|line| serde_json::from_slice(line).expect("JSON")).collect();
    assert_eq!(events[0]["book"], "verified");
    assert_eq!(
        (events[0]["top"]["bid"].as_str(), events[0]["rows"][0]["symbol"].as_str()),
        (Some("120.56"), Some("SOL/USD"))
    );
    assert_eq!(events[1]["book"]["mismatch"]["theirs"], 7, "{}", events[1]["book"]);
    assert_eq!((&events[1]["top"], &events[2]["book"]), (&Value::Null, &Value::from("no_snapshot")));
    assert!(complaints.is_empty());
}
