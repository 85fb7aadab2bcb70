//! One sample: a JSON object as `<prefix>.feed.<stream>` carries it, decoded into what the stream's events are made of.
//!
//! Thread: any.  Invariants: any input gives a sample or a [`SampleError`] that names the field; amounts are read from
//! their own text; a sample that contradicts itself is none.

use super::fields::{Fields, SampleError};
use crate::types::event::{
    Bbo, Candle, DexBook, EventKind, Slot, SourceReason, SourceState, Trade, VolumeDefinition, VolumeSample,
};
use crate::types::order::Side;
use crate::types::time::NANOS_PER_SEC;
use crate::types::{Price, StreamId, Time};

/// How far a publisher's clock may be ahead of ours.
pub const AHEAD_NS_MAX: i64 = 2 * NANOS_PER_SEC;

/// The streams that the bus can carry.
pub const STREAMS: [StreamId; 10] = [
    StreamId::DefiLlama,
    StreamId::PumpFun,
    StreamId::CoinGecko,
    StreamId::PumpChain,
    StreamId::SolanaSlot,
    StreamId::BinanceCandle,
    StreamId::KrakenBook,
    StreamId::DexBook,
    StreamId::BinanceBbo,
    StreamId::BinanceTrade,
];

const DEFINITIONS: [(&str, VolumeDefinition); 3] = [
    ("rolling24", VolumeDefinition::Rolling24),
    ("utc_day", VolumeDefinition::UtcDay),
    ("sampled24", VolumeDefinition::Sampled24),
];
/// What a publisher may say of its source, and what that comes to here.
const STATES: [(&str, (SourceState, SourceReason)); 6] = [
    ("OK", (SourceState::Ok, SourceReason::None)),
    ("STALE", (SourceState::Stale, SourceReason::TooOld)),
    ("SUSPECT", (SourceState::Suspect, SourceReason::Contradiction)),
    ("FILLED", (SourceState::Filled, SourceReason::Repeated)),
    ("MISSING", (SourceState::Missing, SourceReason::NoValue)),
    ("DOWN", (SourceState::Down, SourceReason::NoAnswer)),
];
const SIDES: [(&str, Side); 4] = [("buy", Side::Buy), ("BUY", Side::Buy), ("sell", Side::Sell), ("SELL", Side::Sell)];

/// What one message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When the publisher says that it was true.
    pub ts: Time,
    /// What the engine is to learn.
    pub kind: EventKind,
}

/// Decodes one message of `stream`.
///
/// Errors: [`SampleError`]; fields that are not known are tolerated.  Cost: one pass, no allocation.
pub fn decode(stream: StreamId, body: &[u8]) -> Result<Sample, SampleError> {
    match stream {
        StreamId::SolanaSlot => slot(body),
        StreamId::BinanceCandle => candle(body),
        StreamId::BinanceTrade => trade(body),
        StreamId::BinanceBbo | StreamId::KrakenBook => bbo(body),
        StreamId::DexBook => dex(body),
        _ => volume(body),
    }
}

/// `holds`, or the sample contradicts itself at `field`.
fn agree(holds: bool, field: &'static str) -> Result<(), SampleError> {
    if holds { Ok(()) } else { Err(SampleError::Contradiction { field }) }
}

fn volume(body: &[u8]) -> Result<Sample, SampleError> {
    let names = ["ts", "def", "state", "now", "prev", "now_sol", "prev_sol", "bucket_end"];
    let fields = Fields::of(body, names)?;
    let ts = fields.time("ts")?;
    let says_state = fields.has("state");
    let (state, reason) = if says_state { fields.word("state", &STATES)? } else { STATES[0].1 };
    let definition = fields.word("def", &DEFINITIONS)?;
    let bucket_end = fields.time("bucket_end")?;
    agree(bucket_end <= ts.plus(AHEAD_NS_MAX), "bucket_end")?;
    let is_day = definition == VolumeDefinition::UtcDay;
    agree(!is_day || bucket_end == bucket_end.day_start(), "bucket_end")?;
    let sample = VolumeSample {
        definition,
        state,
        reason,
        now: fields.volume("now")?,
        prev: fields.volume("prev")?,
        now_sol: fields.coins("now_sol")?,
        prev_sol: fields.coins("prev_sol")?,
        bucket_end,
        as_of: ts,
    };
    Ok(Sample { ts, kind: EventKind::Volume(sample) })
}

fn slot(body: &[u8]) -> Result<Sample, SampleError> {
    let fields = Fields::of(body, ["ts", "slot", "parent", "root"])?;
    let ts = fields.time("ts")?;
    let slot = Slot { slot: fields.count("slot")?, parent: fields.count("parent")?, root: fields.count("root")? };
    agree(slot.parent < slot.slot, "parent")?;
    agree(slot.root <= slot.slot, "root")?;
    Ok(Sample { ts, kind: EventKind::Slot(slot) })
}

fn bbo(body: &[u8]) -> Result<Sample, SampleError> {
    let fields = Fields::of(body, ["ts", "bid", "bid_qty", "ask", "ask_qty", "update_id"])?;
    let ts = fields.time("ts")?;
    let bbo = Bbo {
        bid: fields.price("bid")?,
        bid_qty: fields.qty("bid_qty")?,
        ask: fields.price("ask")?,
        ask_qty: fields.qty("ask_qty")?,
        update_id: fields.count("update_id")?,
    };
    agree(bbo.bid > Price::ZERO, "bid")?;
    agree(bbo.bid < bbo.ask, "ask")?;
    Ok(Sample { ts, kind: EventKind::Bbo(bbo) })
}

fn trade(body: &[u8]) -> Result<Sample, SampleError> {
    let fields = Fields::of(body, ["ts", "price", "qty", "side", "trade_id"])?;
    let ts = fields.time("ts")?;
    let trade = Trade {
        price: fields.price("price")?,
        qty: fields.qty("qty")?,
        aggressor: fields.word("side", &SIDES)?,
        trade_id: fields.whole("trade_id")?,
    };
    agree(trade.price > Price::ZERO, "price")?;
    Ok(Sample { ts, kind: EventKind::Trade(trade) })
}

fn candle(body: &[u8]) -> Result<Sample, SampleError> {
    let names = ["ts", "open_time", "open", "high", "low", "close", "volume", "interval_s"];
    let fields = Fields::of(body, names)?;
    let ts = fields.time("ts")?;
    let candle = Candle {
        open_time: fields.time("open_time")?,
        open: fields.price("open")?,
        high: fields.price("high")?,
        low: fields.price("low")?,
        close: fields.price("close")?,
        volume: fields.qty("volume")?,
        interval_s: u32::try_from(fields.whole("interval_s")?).map_err(|_| fields.bad("interval_s"))?,
    };
    agree(candle.low > Price::ZERO && candle.low <= candle.open.min(candle.close), "low")?;
    agree(candle.high >= candle.open.max(candle.close), "high")?;
    let closed = candle.open_time.plus(i64::from(candle.interval_s) * NANOS_PER_SEC);
    agree(candle.interval_s > 0 && closed <= ts.plus(AHEAD_NS_MAX), "open_time")?; // one that is still open is none
    Ok(Sample { ts, kind: EventKind::Candle(candle) })
}

fn dex(body: &[u8]) -> Result<Sample, SampleError> {
    let names = ["ts", "slot", "bid", "bid_qty", "ask", "ask_qty", "bid_depth", "ask_depth"];
    let fields = Fields::of(body, names)?;
    let ts = fields.time("ts")?;
    let book = DexBook {
        slot: fields.count("slot")?,
        bid: fields.price("bid")?,
        bid_qty: fields.qty("bid_qty")?,
        ask: fields.price("ask")?,
        ask_qty: fields.qty("ask_qty")?,
        bid_depth: fields.qty("bid_depth")?,
        ask_depth: fields.qty("ask_depth")?,
    };
    agree(book.bid < book.ask || book.ask == Price::ZERO, "ask")?;
    Ok(Sample { ts, kind: EventKind::Dex(book) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Notional, Qty};
    use crate::venue::DecodeError;

    const VOLUME: &str = r#"{"ts":"2026-11-22T18:30:00Z","def":"utc_day","state":"OK","now":"270400000","prev":426200000.5,"now_sol":1600000.123456789,"bucket_end":"2026-11-22T00:00:00Z","who":{"x":[1]}}"#;

    fn volume_of(text: &str) -> Result<Sample, SampleError> {
        decode(StreamId::DefiLlama, text.as_bytes())
    }

    #[test]
    fn a_volume_sample_is_exact_whether_its_numbers_are_quoted_or_bare() {
        let EventKind::Volume(sample) = volume_of(VOLUME).expect("a sample").kind else { panic!("no volume") };
        assert_eq!((sample.definition, sample.state), (VolumeDefinition::UtcDay, SourceState::Ok));
        assert_eq!((sample.now, sample.prev), (Notional(27_040_000_000_000_000), Notional(42_620_000_050_000_000)));
        assert_eq!((sample.now_sol, sample.prev_sol), (Qty(1_600_000_123_456_780), Qty::ZERO));
        assert_eq!(sample.bucket_end, Time(1_795_305_600_000_000_000));
        assert_eq!(sample.as_of, Time(1_795_372_200_000_000_000));
    }

    #[test]
    fn what_is_wrong_with_a_sample_is_said_by_the_name_of_its_field() {
        let with = |from: &str, to: &str| volume_of(&VOLUME.replace(from, to)).expect_err("no sample");
        for (from, to, field) in [
            (r#""now":"270400000""#, r#""now":"2704e""#, "now"),
            (r#""now":"270400000""#, r#""now":-1"#, "now"),
            (r#""now":"270400000""#, r#""now":"NaN""#, "now"),
            (r#""now":"270400000""#, r#""now":[1]"#, "now"),
            (r#""now":"270400000""#, r#""now":1e300"#, "now"),
            (r#""def":"utc_day""#, r#""def":"utc_dya""#, "def"),
            (r#""def":"utc_day""#, r#""def":true"#, "def"),
            (r#""state":"OK""#, r#""state":"FINE""#, "state"),
            ("2026-11-22T18:30:00Z", "yesterday", "ts"),
        ] {
            assert!(
                matches!(with(from, to), SampleError::Bad { field: named, .. } if named == field),
                "{to}: {:?}",
                with(from, to)
            );
        }
        assert_eq!(with(r#""prev":426200000.5,"#, ""), SampleError::Missing { field: "prev" });
        assert_eq!(with("426200000.5", "null"), SampleError::Missing { field: "prev" });
        assert_eq!(with(r#""state":"OK""#, r#""def":"utc_day""#), SampleError::Twice { field: "def" });
        let contradicts = SampleError::Contradiction { field: "bucket_end" };
        assert_eq!(with("2026-11-22T00:00:00Z", "2026-11-22T00:00:01Z"), contradicts, "no whole day");
        assert_eq!(with("2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"), contradicts, "a day that is not over");
    }

    #[test]
    fn no_message_whatever_makes_a_decoder_panic_and_only_whole_objects_are_read() {
        let mut bytes = VOLUME.as_bytes().to_vec();
        for stream in STREAMS {
            for len in 0..bytes.len() {
                assert!(decode(stream, &bytes[..len]).is_err(), "{} of {len} bytes", stream.name());
            }
            for at in 0..bytes.len() {
                for byte in [0, b'"', b'\\', b'{', b'}', b'9', b'-', 0xff] {
                    let kept = std::mem::replace(&mut bytes[at], byte);
                    let _ = decode(stream, &bytes); // must return
                    bytes[at] = kept;
                }
            }
        }
        for text in ["", "null", "[]", "{}{}", "{} x", "\u{feff}{}", "{\"ts\"}", &"[".repeat(5_000)] {
            assert!(volume_of(text).is_err(), "{text}");
        }
        let long = format!("{{\"x\":\"{}\"}}", "y".repeat(5_000));
        assert_eq!(volume_of(&long), Err(SampleError::Frame(DecodeError::TooLong { got: long.len() })));
    }

    #[test]
    fn every_other_kind_is_read_and_refused_where_it_contradicts_itself() {
        let read = |stream: StreamId, text: &str| decode(stream, text.as_bytes()).map(|sample| sample.kind);
        let cases = [
            (StreamId::SolanaSlot, r#"{"ts":5,"slot":9,"parent":8,"root":1}"#, r#""parent":8"#, r#""parent":9"#),
            (
                StreamId::KrakenBook,
                r#"{"ts":5,"bid":"161.00","bid_qty":1,"ask":161.01,"ask_qty":"2.5","update_id":7}"#,
                "161.00",
                "161.02",
            ),
            (
                StreamId::BinanceTrade,
                r#"{"ts":5,"price":161.01,"qty":"2.5","side":"sell","trade_id":7}"#,
                "161.01",
                "0",
            ),
            (
                StreamId::BinanceCandle,
                r#"{"ts":"300000000000","open_time":0,"open":2,"high":3,"low":1,"close":2,"volume":9,"interval_s":300}"#,
                r#""high":3"#,
                r#""high":1.5"#,
            ),
            (
                StreamId::DexBook,
                r#"{"ts":5,"slot":9,"bid":1.5,"bid_qty":1,"ask":2,"ask_qty":1,"bid_depth":3,"ask_depth":4}"#,
                r#""ask":2"#,
                r#""ask":1.4"#,
            ),
        ];
        for (stream, good, from, to) in cases {
            assert!(read(stream, good).is_ok(), "{}: {:?}", stream.name(), read(stream, good));
            let told = read(stream, &good.replace(from, to));
            assert!(matches!(told, Err(SampleError::Contradiction { .. })), "{}: {told:?}", stream.name());
        }
        let Ok(EventKind::Bbo(bbo)) = read(cases[1].0, cases[1].1) else { panic!("no book") };
        assert_eq!((bbo.bid, bbo.ask), (Price(16_100_000_000), Price(16_101_000_000)));
        let open = cases[3].1.replace("300000000000", "290000000000");
        assert_eq!(read(cases[3].0, &open), Err(SampleError::Contradiction { field: "open_time" }), "still open");
    }
}
