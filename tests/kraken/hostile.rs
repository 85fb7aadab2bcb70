//! Frames cut, mutated, reordered and padded: a value or an error, never a panic, never half a message.

use proptest::prelude::*;
use sol_volume_bot::types::Time;
use sol_volume_bot::venue::DecodeError;
use sol_volume_bot::venue::kraken::KrakenSession;
use sol_volume_bot::venue::kraken::decode::{Frame, LEVELS_MAX, Method, Rows, System, frame};
use sol_volume_bot::venue::kraken::rest::depth;

use super::desk::{HEARTBEAT, ONLINE, UPDATE, cases, settings};
use super::frames::{ACK, DEPTH, FRAMES, OTHER, PONG, REFUSED, TICKER, TRADE};

fn said(text: &[u8]) -> Result<String, DecodeError> {
    let mut rows = Rows::new();
    let frame = frame(text, &mut rows).map(|frame| format!("{frame:?}"))?;
    let levels: Vec<String> =
        rows.books.iter().map(|row| format!("{:?} {:?} {}", rows.bids(row), rows.asks(row), row.checksum)).collect();
    Ok(format!("{frame} {levels:?} {:?} {:?}", rows.tickers, rows.trades))
}

#[test]
fn each_kind_of_frame_is_told_from_the_others() {
    let mut rows = Rows::new();
    let mut of = |text: &'static str| frame(text.as_bytes(), &mut rows).unwrap_or_else(|why| panic!("{why}: {text}"));
    assert_eq!(of(ONLINE), Frame::Status { system: System::Online, connection_id: Some(12_834_019_283_740_918_273) });
    assert_eq!(of(HEARTBEAT), Frame::Heartbeat);
    assert_eq!(of(PONG), Frame::Pong { req_id: Some(101) });
    let why = b"Subscription depth not supported";
    assert_eq!(of(REFUSED), Frame::Refused { method: Method::Subscribe, req_id: Some(1), why });
    let pair = Some(super::desk::sol());
    assert_eq!(of(ACK), Frame::Ack { method: Method::Subscribe, req_id: Some(1), pair, depth: Some(10) });
    assert_eq!(of(OTHER), Frame::Other);
    assert_eq!(of(TRADE), Frame::Trade { snapshot: false });
    assert_eq!(rows.trades.iter().map(|row| row.trade_id).collect::<Vec<_>>(), [70_635_299, 70_635_300]);
    assert_eq!(rows.trades[0].venue_time, Time(1_716_813_791_798_009_000));
}

#[test]
fn a_frame_cut_anywhere_is_an_error() {
    for whole in FRAMES {
        for end in 0..whole.len() {
            assert!(said(&whole.as_bytes()[..end]).is_err(), "{}", &whole[..end]);
        }
    }
    assert!(depth(DEPTH.as_bytes()).is_ok());
    for end in 0..DEPTH.len() {
        assert!(depth(&DEPTH.as_bytes()[..end]).is_err());
    }
}

#[test]
fn every_byte_of_every_frame_may_be_any_other_byte() {
    let mut rows = Rows::new();
    for whole in FRAMES.iter().copied().chain([DEPTH]) {
        let mut bytes = whole.as_bytes().to_vec();
        for at in 0..bytes.len() {
            let kept = bytes[at];
            for byte in 0..=255 {
                bytes[at] = byte;
                if let Err(error) = frame(&bytes, &mut rows) {
                    assert!(error.at().is_none_or(|at| at <= bytes.len()), "{error:?} lies outside the frame");
                }
                let _ = depth(&bytes).is_ok();
            }
            bytes[at] = kept;
        }
    }
}

#[test]
fn key_order_white_space_and_unknown_fields_do_not_matter() {
    let plain = said(UPDATE.as_bytes());
    let shuffled = r#" { "new" : [ { "a" : [ ] } ] , "data" : [ { "timestamp" : "2026-11-22T10:00:00.223456Z" , "checksum" : 3019098155 , "z" : null , "asks" : [ { "qty" : 0.00000000 , "price" : 142.37 , "orders" : 7 } , { "price" : 142.39 , "qty" : 1.00000000 } ] , "bids" : [ { "price" : 142.36 , "qty" : 2.25000000 } ] , "symbol" : "SOL/USD" } ] , "type" : "update" , "channel" : "book" } "#;
    assert!(plain.is_ok());
    assert_eq!(said(shuffled.as_bytes()), plain);
    let quoted = UPDATE.replace(":142.36,", ":\"142.36\",");
    assert_eq!(said(quoted.as_bytes()), plain, "a number may be a text");
}

#[test]
fn a_message_that_contradicts_itself_is_refused() {
    for (from, to, why) in [
        (r#""price":142.36"#, r#""price":0.00"#, DecodeError::Contradiction { name: "price" }),
        (r#""qty":2.25000000"#, r#""qty":-2.25"#, DecodeError::Contradiction { name: "qty" }),
        (r#""qty":2.25000000"#, r#""volume":2.25"#, DecodeError::Missing { name: "qty" }),
        (r#","checksum":3019098155"#, "", DecodeError::Missing { name: "checksum" }),
        (r#""symbol":"SOL/USD","#, "", DecodeError::Missing { name: "symbol" }),
        (r#""type":"update","#, "", DecodeError::Missing { name: "type" }),
        (r#""data":"#, r#""dada":"#, DecodeError::Missing { name: "data" }),
    ] {
        assert_eq!(said(UPDATE.replacen(from, to, 1).as_bytes()), Err(why), "{to}");
    }
    let beyond = UPDATE.replace("3019098155", "4294967296");
    assert!(matches!(said(beyond.as_bytes()), Err(DecodeError::BadNumber { .. })));
    let word = UPDATE.replace("\"update\"", "\"upgrade\"");
    assert!(matches!(said(word.as_bytes()), Err(DecodeError::UnknownWord { .. })));
    let crossed = TICKER.replace("65972.8", "65972.9");
    assert_eq!(said(crossed.as_bytes()), Err(DecodeError::Contradiction { name: "bid" }));
}

#[test]
fn more_levels_than_the_venue_ever_sends_are_refused_in_bounded_memory() {
    let level = r#"{"price":1.00,"qty":1.00000000}"#;
    let of = |count: usize| {
        let levels = vec![level; count].join(",");
        format!(
            r#"{{"channel":"book","type":"update","data":[{{"symbol":"SOL/USD","bids":[{levels}],"asks":[],"checksum":1}}]}}"#
        )
    };
    assert!(said(of(LEVELS_MAX).as_bytes()).is_ok());
    assert_eq!(said(of(LEVELS_MAX + 1).as_bytes()), Err(DecodeError::Contradiction { name: "levels" }));
    let long = vec![b' '; (1 << 20) + 1];
    assert_eq!(said(&long), Err(DecodeError::TooLong { got: long.len() }));
}

/// Where, which byte, how.
type Edit = (prop::sample::Index, u8, u8);

/// Feeds a session frames out of a hostile hand; it must hold its own rules whatever comes.
fn survives(frames: &[(usize, Vec<Edit>, i64)]) {
    let mut session = KrakenSession::new(settings());
    let mut now = Time(1_790_000_000_000_000_000);
    session.on_open(1, now);
    let mut up = std::collections::BTreeMap::new();
    for (which, edits, wait_ms) in frames {
        now = now.plus(wait_ms * 1_000_000);
        let text = mutated(FRAMES[*which].as_bytes(), edits);
        let mut emit = |event: sol_volume_bot::types::Event| match event.kind {
            sol_volume_bot::types::EventKind::Stream(state) => {
                assert_ne!(up.insert(event.stream, state), Some(state), "a state is told once");
            }
            _ => {
                let is_up = up.get(&event.stream) == Some(&sol_volume_bot::types::event::StreamState::Up);
                assert!(is_up, "data of a stream that is not up");
            }
        };
        let _ = session.on_frame(1, &text, now, &mut |_| {}, &mut emit).is_ok();
        session.on_timer(now, &mut |_, _| {}, &mut emit);
    }
}

fn mutated(bytes: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (index, byte, how) in edits {
        let at = index.index(bytes.len().max(1)).min(bytes.len());
        match how {
            0 => bytes.insert(at, *byte),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 if at < bytes.len() => bytes[at] = b'0' + byte % 10,
            _ => bytes.truncate(bytes.len().max(2) - usize::from(*byte == 0)),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(512), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_session_tells_no_data_of_a_stream_that_is_not_up_whatever_it_hears(
        frames in prop::collection::vec(
            (0..FRAMES.len(), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 0..2), 0_i64..5_000),
            1..40,
        ),
    ) {
        let opening: Vec<_> = [3, 0].iter().map(|which| (*which, Vec::new(), 10)).collect();
        survives(&[opening, frames].concat());
    }
}
