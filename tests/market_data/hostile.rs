//! Frames cut, mutated, reordered and padded: an event or an error, never a panic, never half a message.

use sol_volume_bot::types::Time;
use sol_volume_bot::types::instrument::Symbol;
use sol_volume_bot::venue::DecodeError;
use sol_volume_bot::venue::binance_spot::decode::{Frame, Levels, Market, frame};
use sol_volume_bot::venue::binance_spot::messages::{klines, snapshot};

use super::frames::{FRAMES, KLINES, SNAPSHOT};

fn decode(text: &[u8]) -> Result<String, DecodeError> {
    let mut levels = Levels::new();
    let decoded = frame(text, Symbol::new("SOLUSDT"), &mut levels).map(|frame| format!("{frame:?}"))?;
    Ok(if decoded.contains("Depth") { format!("{decoded} {levels:?}") } else { decoded })
}

#[test]
fn a_frame_cut_anywhere_is_an_error() {
    for whole in FRAMES {
        assert!(decode(whole.as_bytes()).is_ok(), "{whole}");
        for end in 0..whole.len() {
            assert!(decode(&whole.as_bytes()[..end]).is_err(), "{}", &whole[..end]);
        }
    }
    for end in 0..SNAPSHOT.len() {
        assert!(snapshot(&SNAPSHOT.as_bytes()[..end], &mut Levels::new()).is_err());
    }
    for end in 0..KLINES.len() {
        assert!(klines(&KLINES.as_bytes()[..end], |_| {}).is_err());
    }
}

#[test]
fn every_byte_of_every_frame_may_be_any_other_byte() {
    let mut levels = Levels::new();
    let only = Symbol::new("SOLUSDT");
    for whole in FRAMES.iter().copied().chain([SNAPSHOT, KLINES]) {
        let mut bytes = whole.as_bytes().to_vec();
        for at in 0..bytes.len() {
            let kept = bytes[at];
            for byte in 0..=255 {
                bytes[at] = byte;
                if let Err(error) = frame(&bytes, only, &mut levels) {
                    assert!(error.at().is_none_or(|at| at <= bytes.len()), "{error:?} lies outside the frame");
                }
                let _ = snapshot(&bytes, &mut levels).is_ok();
                let _ = klines(&bytes, |_| {}).is_ok();
            }
            bytes[at] = kept;
        }
    }
}

#[test]
fn key_order_white_space_and_unknown_fields_do_not_matter() {
    let plain = decode(FRAMES[0].as_bytes());
    assert!(plain.as_ref().is_ok_and(|plain| plain.contains("Bbo")), "{plain:?}");
    for other in [
        r#"{"data":{"A":"40.66","a":"150.25","B":"31.21","b":"150.24","s":"SOLUSDT","u":400000017},"stream":"solusdt@bookTicker"}"#,
        r#" { "x" : [ 1 , { "u" : "2" } ] , "s" : "SOLUSDT" , "A":"40.66","a":"150.25", "b":"150.24" ,"B" :"31.21","u":400000017 } "#,
        r#"{"u":400000017,"e":"bookTicker","s":"SOLUSDT","ps":"SOL","b":"150.24","B":"31.21","a":"150.25","A":"40.66","T":1,"E":2}"#,
    ] {
        assert_eq!(decode(other.as_bytes()), plain, "{other}");
    }
    let depth = decode(FRAMES[2].as_bytes());
    let shuffled = r#"{"u":160,"a":[["150.26","0",9,[]]],"b":[["150.24","10"],["150.23","0"]],"U":157,"z":null,"s":"SOLUSDT","E":1790000000200,"e":"depthUpdate"}"#;
    assert_eq!(decode(shuffled.as_bytes()), depth);
}

#[test]
fn what_is_not_for_us_is_passed_over() {
    for other in [
        r#"{"stream":"btcusdt@bookTicker","data":{"u":1,"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"}}"#,
        r#"{"u":1,"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"}"#,
        r#"{"stream":"solusdt@aggTrade","data":{"e":"aggTrade","E":1,"s":"SOLUSDT","a":1,"p":"1","q":"1","f":1,"l":1,"T":1,"m":true,"M":true}}"#,
        r#"{"stream":"solusdt@depth20@100ms","data":{"lastUpdateId":160,"bids":[["150.24","10.000"]],"asks":[]}}"#,
        r#"{"stream":"solusdt@ticker","data":{"e":"24hrTicker","p":"-1.5","P":"x","b":"1","B":"1","a":"1","A":"1"}}"#,
        r#"{"subscriptionId":0,"event":{"e":"outboundAccountPosition","E":1,"u":1,"B":[]}}"#,
        r#"{"e":"executionReport","s":"SOLUSDT","c":"x","u":1,"b":"1","B":"1","a":"1","A":"1"}"#,
        "{}",
    ] {
        assert_eq!(decode(other.as_bytes()), Ok("Other".to_owned()), "{other}");
    }
    assert_eq!(decode(FRAMES[6].as_bytes()), Ok("Shutdown".to_owned()));
    assert_eq!(decode(br#"{"e":"serverShutdown","E":1790000000000}"#), Ok("Shutdown".to_owned()));
    assert_eq!(decode(FRAMES[7].as_bytes()), Ok("Ack".to_owned()));
    assert_eq!(decode(FRAMES[8].as_bytes()), Ok("Refused { code: 2 }".to_owned()));
    assert_eq!(decode(br#"{"error":{"code":3,"msg":"Invalid JSON"}}"#), Ok("Refused { code: 3 }".to_owned()));
}

#[test]
fn a_message_that_contradicts_itself_is_refused() {
    let bbo = |bid: &str, bid_qty: &str, ask: &str| {
        format!(r#"{{"u":1,"s":"SOLUSDT","b":"{bid}","B":"{bid_qty}","a":"{ask}","A":"1"}}"#)
    };
    for (bid, bid_qty, ask) in [("150.25", "1", "150.25"), ("150.26", "1", "150.25"), ("0", "1", "1"), ("1", "0", "2")]
    {
        let refused = decode(bbo(bid, bid_qty, ask).as_bytes());
        assert!(matches!(refused, Err(DecodeError::Contradiction { .. })), "{bid} {bid_qty} {ask}: {refused:?}");
    }
    let backwards = r#"{"e":"depthUpdate","E":1,"s":"SOLUSDT","U":161,"u":160,"b":[],"a":[]}"#;
    assert_eq!(decode(backwards.as_bytes()), Err(DecodeError::Contradiction { name: "U" }));
    let candle = FRAMES[4].replace(r#""h":"150.30""#, r#""h":"150.20""#);
    assert_eq!(decode(candle.as_bytes()), Err(DecodeError::Contradiction { name: "k" }));
    let missing = r#"{"stream":"solusdt@trade","data":{"s":"SOLUSDT","t":1,"p":"1","q":"1","T":1}}"#;
    assert_eq!(decode(missing.as_bytes()), Err(DecodeError::Missing { name: "m" }));
}

#[test]
fn milliseconds_and_microseconds_are_told_apart_by_size() {
    for (time, nanos) in [("1790000000122", 1_790_000_000_122_000_000), ("1790000000122345", 1_790_000_000_122_345_000)]
    {
        let text = FRAMES[3].replace(r#""T":1790000000122"#, &format!(r#""T":{time}"#));
        let mut levels = Levels::new();
        let Ok(Frame::Market(_, Market::Trade(report))) = frame(text.as_bytes(), None, &mut levels) else {
            panic!("{text}")
        };
        assert_eq!(report.venue_time, Time(nanos));
    }
}
