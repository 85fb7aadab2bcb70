//! `decode`: recorded raw frames in, one JSON event a line out.
//!
//! Thread: main.  Invariants: a line that cannot be decoded is reported with line and byte and never ends the run; a line
//! of any length takes bounded memory.

mod chain;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::exit;
use crate::types::Side;
use crate::types::event::Bbo;
use crate::venue::binance_spot::decode::{FRAME_BYTES_MAX, Frame, Level, Levels, Market};
use crate::venue::binance_spot::lines::{Content, Line, LineDecoder};
use crate::venue::binance_spot::sync::Step;

/// Bytes a line may have: a frame, a receive time before it, the line end.
const LINE_BYTES_MAX: usize = FRAME_BYTES_MAX + 64;

/// Whose frames they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum VenueName {
    /// Binance Spot market streams.
    #[value(name = "binance_spot")]
    BinanceSpot,
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
        None => decode_venue(args, io::stdin().lock(), out),
        Some(path) => match File::open(path) {
            Ok(file) => decode_venue(args, BufReader::new(file), out),
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

fn decode_venue(args: &DecodeArgs, input: impl BufRead, out: impl Write) -> io::Result<Tally> {
    match args.venue {
        VenueName::BinanceSpot => decode_lines(args.book, input, out, io::stderr()),
        VenueName::PumpChain => chain::decode_lines(input, out, io::stderr()),
    }
}

/// Decodes all of `input`: events to `out`, what cannot be decoded to `complaints`. Errors: those of the three.
pub fn decode_lines(
    book: bool,
    mut input: impl BufRead,
    mut out: impl Write,
    mut complaints: impl Write,
) -> io::Result<Tally> {
    let mut decoder = LineDecoder::new(book);
    let mut line = Vec::new();
    let mut tally = Tally::default();
    for number in 1_u64.. {
        line.clear();
        if input.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.len() == LINE_BYTES_MAX && line.last() != Some(&b'\n') {
            skip_line(&mut input)?;
        }
        match decoder.decode(&line) {
            Ok(Line { content: Content::Blank, .. }) => continue,
            Ok(decoded) => writeln!(out, "{}", event_json(&decoded, book))?,
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
        Market::Trade(report) => json!({
            "kind": "trade", "price": report.trade.price.to_string(), "qty": report.trade.qty.to_string(),
            "aggressor": side_name(report.trade.aggressor), "trade_id": report.trade.trade_id,
            "venue_ns": report.venue_time.0,
        }),
        Market::Candle(update) => json!({
            "kind": "candle", "closed": update.closed, "open_ns": update.candle.open_time.0,
            "interval_s": update.candle.interval_s, "open": update.candle.open.to_string(),
            "high": update.candle.high.to_string(), "low": update.candle.low.to_string(),
            "close": update.candle.close.to_string(), "volume": update.candle.volume.to_string(),
            "venue_ns": update.venue_time.0,
        }),
    }
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
        let tally = decode_lines(true, text, &mut out, &mut complaints).expect("memory does not fail");
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
