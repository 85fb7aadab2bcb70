//! `decode`: recorded raw frames in, one JSON event a line out.
//!
//! Thread: main.  Invariants: a line that cannot be decoded is reported with line and byte and never ends the run; a line
//! of any length takes bounded memory.

mod chain;
mod dex;
mod kraken;
mod solana;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::{exit, words};
use crate::ledger::Named;
use crate::types::event::{Bbo, Candle, Trade};
use crate::types::{Event, EventKind, Qty, Side, Time};
use crate::venue::binance_spot::decode::{FRAME_BYTES_MAX, Frame, Level, Levels, Market};
use crate::venue::binance_spot::lines::{Content, Line, LineDecoder};
use crate::venue::binance_spot::sync::Step;
use crate::venue::kraken::lines::LineDecoder as KrakenDecoder;
use crate::venue::lines::LineError;
use crate::venue::manifest::frame::FRAME_BYTES_MAX as DEX_LINE_BYTES_MAX;

/// Bytes a line may have: a frame, a receive time before it, the line end.
const LINE_BYTES_MAX: usize =
    if DEX_LINE_BYTES_MAX > FRAME_BYTES_MAX { DEX_LINE_BYTES_MAX } else { FRAME_BYTES_MAX } + 64;

/// Whose frames they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum VenueName {
    /// Binance Spot market streams.
    #[value(name = "binance_spot")]
    BinanceSpot,
    /// Kraken Spot public WebSocket, version 2.
    #[value(name = "kraken")]
    Kraken,
    /// A Solana node's PubSub: slots, accounts, logs.
    #[value(name = "solana")]
    Solana,
    /// Market accounts of Manifest, on Solana.
    #[value(name = "manifest")]
    Manifest,
    /// Quotes of Jupiter, on Solana.
    #[value(name = "jupiter")]
    Jupiter,
    /// Log notifications of pump.fun and PumpSwap.
    #[value(name = "pumpchain")]
    PumpChain,
}

/// Arguments of `decode`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: zcat btcusdt.gz | sol_volume_bot decode --venue binance_spot --book")]
pub struct DecodeArgs {
    /// Whose frames they are
    #[arg(long, value_enum)]
    pub venue: VenueName,
    /// Rebuild the order book (REST snapshots may stand in line) and print its top after each frame
    #[arg(long)]
    pub book: bool,
    /// Raw frames, one a line, optionally after a receive time in ns; stdin if not given
    pub file: Option<PathBuf>,
}

/// How many lines there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines that held something.
    pub lines: u64,
    /// Of these, lines that could not be decoded.
    pub bad: u64,
}

/// Runs the verb: exit code 0, 5 if a frame could not be decoded, 2 if the file cannot be opened, 1 if reading or
/// writing failed.
pub fn run(args: &DecodeArgs) -> ExitCode {
    let out = BufWriter::new(io::stdout().lock());
    let told = match &args.file {
        None => decode_lines(args.venue, args.book, io::stdin().lock(), out, io::stderr()),
        Some(path) => match File::open(path) {
            Ok(file) => decode_lines(args.venue, args.book, BufReader::new(file), out, io::stderr()),
            Err(error) => {
                eprintln!("decode: cannot open {}: {error}", path.display());
                return ExitCode::from(2);
            }
        },
    };
    match told {
        Ok(tally) if tally.bad == 0 => ExitCode::SUCCESS,
        Ok(tally) => {
            eprintln!("decode: {} of {} frames could not be decoded", tally.bad, tally.lines);
            ExitCode::from(exit::DIFFERENCE)
        }
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS, // the reader had enough
        Err(error) => {
            eprintln!("decode: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Decodes all of `input`: events to `out`, what cannot be decoded to `complaints`. Errors: those of the three.
pub fn decode_lines(
    venue: VenueName,
    book: bool,
    mut input: impl BufRead,
    mut out: impl Write,
    mut complaints: impl Write,
) -> io::Result<Tally> {
    if venue == VenueName::PumpChain {
        return chain::decode_lines(input, out, complaints); // several events a line
    }
    let mut decoder = Decoder::new(venue, book);
    let mut line = Vec::new();
    let mut tally = Tally::default();
    for number in 1_u64.. {
        if !read_line(&mut input, LINE_BYTES_MAX, &mut line)? {
            break;
        }
        match decoder.event(&line, book) {
            Ok(None) => continue,
            Ok(Some(event)) => writeln!(out, "{event}")?,
            Err(bad) => {
                tally.bad += 1;
                writeln!(complaints, "decode: line {number}, byte {}: {}", bad.at, bad.error)?;
            }
        }
        tally.lines += 1;
    }
    out.flush()?;
    Ok(tally)
}

/// Why a line could not be decoded.
struct Bad {
    /// Byte of the line.
    at: usize,
    /// What is wrong there.
    error: String,
}

impl From<LineError> for Bad {
    fn from(bad: LineError) -> Bad {
        Bad { at: bad.at, error: bad.error.to_string() }
    }
}

/// Decodes the lines of one venue.
enum Decoder {
    BinanceSpot(LineDecoder),
    Kraken(KrakenDecoder),
    Solana,
    /// With the buffer of the account's bytes.
    Manifest(Vec<u8>),
    Jupiter,
}

impl Decoder {
    fn new(venue: VenueName, book: bool) -> Decoder {
        match venue {
            VenueName::BinanceSpot => Decoder::BinanceSpot(LineDecoder::new(book)),
            VenueName::Kraken => Decoder::Kraken(KrakenDecoder::new(book)),
            VenueName::Solana => Decoder::Solana,
            VenueName::Manifest => Decoder::Manifest(Vec::new()),
            VenueName::Jupiter | VenueName::PumpChain => Decoder::Jupiter,
        }
    }

    /// The event of one line; `None` if the line holds nothing.
    fn event(&mut self, line: &[u8], book: bool) -> Result<Option<Value>, Bad> {
        match self {
            Decoder::BinanceSpot(decoder) => {
                let line = decoder.decode(line)?;
                Ok((!matches!(line.content, Content::Blank)).then(|| event_json(&line, book)))
            }
            Decoder::Kraken(decoder) => Ok(kraken::event_json(&decoder.decode(line)?, book)),
            Decoder::Solana => Ok(solana::event(line)?),
            Decoder::Manifest(buffer) => dex::account(line, book, buffer),
            Decoder::Jupiter => dex::quote(line),
        }
    }
}

/// The next line into `line`, the first `bytes_max` bytes of it; its rest is passed over. Output: whether there was one.
fn read_line(input: &mut impl BufRead, bytes_max: usize, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    if input.by_ref().take(bytes_max as u64).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.len() == bytes_max && line.last() != Some(&b'\n') {
        skip_line(input)?;
    }
    Ok(true)
}

/// Reads on to the end of a line whose rest nobody wants.
fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let chunk = input.fill_buf()?;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let (read, done) = (end.map_or(chunk.len(), |at| at + 1), end.is_some() || chunk.is_empty());
        input.consume(read);
        if done {
            return Ok(());
        }
    }
}

fn event_json(line: &Line<'_>, book: bool) -> Value {
    let mut event = match &line.content {
        Content::Blank => json!({}),
        Content::Snapshot { update_id, levels, used } => json!({
            "kind": "snapshot", "update_id": update_id, "used": used,
            "bids": levels.bids.len(), "asks": levels.asks.len(),
        }),
        Content::Frame(Frame::Market(symbol, market), depth) => {
            let mut event = market_json(market, depth.map(|(levels, _)| levels));
            event["symbol"] = json!(String::from_utf8_lossy(symbol));
            if let Some((_, Some(step))) = depth {
                event["book"] = json!(step_name(*step));
            }
            event
        }
        Content::Frame(Frame::Shutdown, _) => json!({"kind": "server_shutdown"}),
        Content::Frame(Frame::Ack, _) => json!({"kind": "ack"}),
        Content::Frame(Frame::Refused { code }, _) => json!({"kind": "refused", "code": code}),
        Content::Frame(Frame::Other, _) => json!({"kind": "other"}),
    };
    if let Some(recv) = line.recv {
        event["recv_ns"] = json!(recv.0);
    }
    if book {
        event["top"] = line.top.map_or(Value::Null, |top| bbo_json(&top));
    }
    event
}

fn market_json(market: &Market, levels: Option<&Levels>) -> Value {
    match market {
        Market::Bbo(bbo) => {
            let mut event = bbo_json(bbo);
            event["kind"] = json!("bbo");
            event
        }
        Market::Depth(diff) => json!({
            "kind": "depth_diff", "first": diff.first, "last": diff.last, "venue_ns": diff.venue_time.0,
            "bids": levels.map(|levels| side_json(&levels.bids)), "asks": levels.map(|levels| side_json(&levels.asks)),
        }),
        Market::Trade(report) => trade_json(&report.trade, report.venue_time),
        Market::Candle(update) => candle_json(&update.candle, update.closed, update.venue_time),
    }
}

fn trade_json(trade: &Trade, venue_time: Time) -> Value {
    json!({
        "kind": "trade", "price": trade.price.to_string(), "qty": trade.qty.to_string(),
        "aggressor": side_name(trade.aggressor), "trade_id": trade.trade_id, "venue_ns": venue_time.0,
    })
}

fn candle_json(candle: &Candle, closed: bool, venue_time: Time) -> Value {
    json!({
        "kind": "candle", "closed": closed, "open_ns": candle.open_time.0, "interval_s": candle.interval_s,
        "open": candle.open.to_string(), "high": candle.high.to_string(), "low": candle.low.to_string(),
        "close": candle.close.to_string(), "volume": candle.volume.to_string(), "venue_ns": venue_time.0,
    })
}

/// One event of a session, in the words of this verb; what the market does not say, in words for people.
pub fn market_event_json(event: &Event) -> Value {
    let qtys = |side: &[Qty; 3]| side.map(|qty| qty.to_string());
    let mut told = match &event.kind {
        EventKind::Bbo(bbo) => bbo_json(bbo),
        EventKind::Trade(trade) => trade_json(trade, event.venue_time),
        EventKind::Candle(candle) => candle_json(candle, true, event.venue_time),
        EventKind::Depth(depth) => json!({
            "bid_10_25_50_bps": qtys(&depth.bid), "ask_10_25_50_bps": qtys(&depth.ask), "update_id": depth.update_id,
        }),
        EventKind::Slot(slot) => json!({"slot": slot.slot}),
        EventKind::Volume(sample) => json!({
            "state": sample.state.name(), "now": sample.now.to_string(), "prev": sample.prev.to_string(),
        }),
        EventKind::Stream(state) => json!({"state": state.name()}),
        _ => json!({"text": words::event(event)}),
    };
    told["kind"] = json!(words::kind(event));
    told["stream"] = json!(event.stream.name());
    told["recv_ns"] = json!(event.recv.0);
    told
}

fn side_name(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

fn bbo_json(bbo: &Bbo) -> Value {
    json!({
        "bid": bbo.bid.to_string(), "bid_qty": bbo.bid_qty.to_string(),
        "ask": bbo.ask.to_string(), "ask_qty": bbo.ask_qty.to_string(), "update_id": bbo.update_id,
    })
}

fn side_json(levels: &[Level]) -> Vec<[String; 2]> {
    levels.iter().map(|level| [level.price.to_string(), level.qty.to_string()]).collect()
}

fn step_name(step: Step) -> &'static str {
    match step {
        Step::Applied => "applied",
        Step::Held => "held",
        Step::Old => "old",
        Step::Gap => "gap",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &[u8]) -> (Tally, String, String) {
        let (mut out, mut complaints) = (Vec::new(), Vec::new());
        let tally =
            decode_lines(VenueName::BinanceSpot, true, text, &mut out, &mut complaints).expect("memory does not fail");
        (tally, String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&complaints).into_owned())
    }

    #[test]
    fn a_line_that_cannot_be_decoded_is_named_by_line_and_byte_and_the_rest_goes_on() {
        let text = b"{\"result\":null,\"id\":1}\n\n17 {\"u\":1,\"s\":\"X\",\"b\":\"1\",\"B\":\"1\",\"a\":\"2x\",\"A\":\"1\"}\n{}\n";
        let (tally, out, complaints) = decode(text);
        assert_eq!(tally, Tally { lines: 3, bad: 1 });
        assert_eq!(out.lines().count(), 2);
        assert_eq!(complaints, "decode: line 3, byte 40: bad number at byte 40\n");
    }

    #[test]
    fn a_line_without_end_takes_bounded_memory_and_the_next_one_is_read() {
        let text = [vec![b'['; 3 * LINE_BYTES_MAX], b"\n{\"result\":null,\"id\":1}".to_vec()].concat();
        let (tally, out, complaints) = decode(&text);
        assert_eq!(tally, Tally { lines: 2, bad: 1 });
        assert!(complaints.starts_with("decode: line 1, byte "), "{complaints}");
        assert!(out.contains("\"ack\""), "{out}");
    }

    #[test]
    fn the_top_is_null_until_a_snapshot_stands_in_line() {
        let diff = |first: u64, last: u64| {
            format!(
                r#"{{"e":"depthUpdate","E":1790000000200,"s":"SOLUSDT","U":{first},"u":{last},"b":[["150","{last}"]],"a":[]}}"#
            )
        };
        let snapshot = r#"{"lastUpdateId":6,"bids":[],"asks":[["151","2"]]}"#;
        let (tally, out, _) = decode([diff(5, 6), snapshot.to_owned(), diff(7, 9)].join("\n").as_bytes());
        assert_eq!(tally, Tally { lines: 3, bad: 0 });
        let tops: Vec<Value> =
            out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["top"].clone()).collect();
        assert_eq!(tops[0], Value::Null);
        assert_eq!(tops[1], Value::Null, "the snapshot's bids are empty and the diff before it is older");
        assert_eq!(tops[2], json!({"bid": "150", "bid_qty": "9", "ask": "151", "ask_qty": "2", "update_id": 9}));
    }
}
