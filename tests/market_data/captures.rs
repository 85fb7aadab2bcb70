//! Real data nobody here wrote. Without the shared folder these tests say so and pass.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use sol_volume_bot::cli::decode::{VenueName, decode_lines};
use sol_volume_bot::types::Time;
use sol_volume_bot::types::event::Bbo;
use sol_volume_bot::venue::binance_spot::decode::{Frame, Levels, Market, frame};
use sol_volume_bot::venue::binance_spot::lines::{Content, LineDecoder};
use sol_volume_bot::venue::binance_spot::messages::klines;
use sol_volume_bot::venue::binance_spot::sync::Step;

/// A file of the captures, unpacked; `None`, said plainly, if the shared folder is absent.
fn capture(name: &str) -> Option<Vec<u8>> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("SHARED_DIR").map_or_else(beside, PathBuf::from);
    let path = shared.join("captures").join(name);
    if !shared.join("captures").exists() {
        println!("SKIPPED: {name}: no shared folder at {}", shared.display());
        return None;
    }
    let file = File::open(&path).expect("the capture is there");
    let mut bytes = Vec::new();
    let mut reader: Box<dyn Read> = match path.extension().and_then(|ext| ext.to_str()) {
        Some("gz") => Box::new(flate2::read::GzDecoder::new(file)),
        Some("zst") => Box::new(ruzstd::decoding::StreamingDecoder::new(file).expect("a zstd file")),
        _ => Box::new(file),
    };
    reader.read_to_end(&mut bytes).expect("the capture unpacks");
    Some(bytes)
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// How often each kind of message came, and what the books said.
#[derive(Default)]
struct Session {
    kinds: BTreeMap<&'static str, usize>,
    steps: BTreeMap<&'static str, usize>,
    book_tops: BTreeMap<u64, Bbo>,
    tickers: BTreeMap<u64, Bbo>,
    crossed: usize,
}

impl Session {
    fn feed(&mut self, decoder: &mut LineDecoder, line: &[u8]) {
        let decoded = decoder.decode(line).unwrap_or_else(|bad| panic!("{bad:?}: {}", String::from_utf8_lossy(line)));
        let kind = match decoded.content {
            Content::Blank => "blank",
            Content::Snapshot { used: true, .. } => "snapshot",
            Content::Snapshot { used: false, .. } => "snapshot not used",
            Content::Frame(Frame::Market(_, market), depth) => {
                if let Some((_, Some(step))) = depth {
                    *self.steps.entry(step_name(step)).or_default() += 1;
                }
                self.note(&market, decoded.top)
            }
            Content::Frame(Frame::Other, _) => "other",
            Content::Frame(..) => "control",
        };
        *self.kinds.entry(kind).or_default() += 1;
    }

    fn note(&mut self, market: &Market, top: Option<Bbo>) -> &'static str {
        match market {
            Market::Bbo(bbo) => {
                self.tickers.insert(bbo.update_id, *bbo);
                "bbo"
            }
            Market::Depth(_) => {
                if let Some(top) = top {
                    self.crossed += usize::from(top.bid >= top.ask);
                    self.book_tops.insert(top.update_id, top);
                }
                "depth"
            }
            Market::Trade(_) => "trade",
            Market::Candle(_) => "candle",
        }
    }

    /// Update numbers at which both the book and the ticker spoke; they must agree, price and size, both sides.
    fn agreements(&self) -> usize {
        let both = self.book_tops.iter().filter_map(|(id, top)| self.tickers.get(id).map(|ticker| (top, ticker)));
        both.inspect(|(top, ticker)| assert_eq!(top, ticker)).count()
    }
}

fn step_name(step: Step) -> &'static str {
    match step {
        Step::Applied => "applied",
        Step::Held => "held",
        Step::Old => "old",
        Step::Gap => "gap",
    }
}

#[test]
fn btcusdt_sessions_rebuild_a_book_that_equals_the_ticker_at_every_equal_update() {
    let Some(first) = capture("binance_spot/hftb_btcusdt_20240808.gz") else { return };
    let Some(second) = capture("binance_spot/hftb_btcusdt_20240809.gz") else { return };
    let (mut decoder, mut session) = (LineDecoder::new(true), Session::default());
    lines(&first).for_each(|line| session.feed(&mut decoder, line));
    assert_eq!(session.kinds, BTreeMap::from([("bbo", 28_040), ("depth", 3_451), ("snapshot", 1), ("trade", 9_757)]));
    assert_eq!(session.agreements(), 564);
    lines(&second).for_each(|line| session.feed(&mut decoder, line)); // midnight; no new snapshot, and no gap
    assert_eq!(session.kinds["depth"], 3_451 + 3_044);
    assert_eq!(session.kinds["bbo"], 28_040 + 45_134);
    assert_eq!(session.kinds["trade"], 9_757 + 10_147);
    assert_eq!(session.agreements(), 1_072);
    assert_eq!((session.steps.get("gap"), session.crossed), (None, 0));
    assert_eq!(session.steps["applied"] + session.steps["held"], 3_451 + 3_044);
}

#[test]
fn solusdt_frames_decode_and_chain() {
    let Some(bytes) = capture("binance_spot/solusdt_depth100ms_20240903.jsonl") else { return };
    assert_eq!(chain_length(&bytes, b"SOLUSDT"), 29);
}

#[test]
fn interleaved_symbols_chain_each_for_itself() {
    let Some(bytes) = capture("binance_spot/xrp_dot_depth100ms_20240903.jsonl") else { return };
    assert_eq!((chain_length(&bytes, b"XRPUSDT"), chain_length(&bytes, b"DOTUSDT")), (12, 10));
}

/// Number of `of`'s depth diffs, of which each must begin where the one before ended.
fn chain_length(bytes: &[u8], of: &[u8]) -> usize {
    let mut levels = Levels::new();
    let mut last = None;
    let mut count = 0;
    for line in lines(bytes) {
        let Frame::Market(symbol, Market::Depth(diff)) = frame(line, None, &mut levels).expect("a frame") else {
            panic!("not a depth diff")
        };
        if symbol == of {
            assert!(last.is_none_or(|last| diff.first == last + 1));
            last = Some(diff.last);
            count += 1;
        }
    }
    count
}

#[test]
fn a_whole_start_up_with_four_symbols_syncs_four_books() {
    let Some(bytes) = capture("binance_spot/cryptofeed_binance_20211012.jsonl.zst") else { return };
    let (mut decoder, mut session) = (LineDecoder::new(true), Session::default());
    for line in lines(&bytes) {
        let record: serde_json::Value = serde_json::from_slice(line).expect("a record");
        let (Some(text), url) = (record["data"].as_str(), record["url"].as_str().unwrap_or_default()) else { continue };
        let is_ours = record["t"] == "recv" || url.contains("/depth?");
        if is_ours {
            session.feed(&mut decoder, text.as_bytes());
        }
    }
    assert_eq!(session.kinds.get("control"), None);
    let frames: usize = session.kinds.values().sum();
    assert_eq!((frames, session.steps.get("gap"), session.crossed), (265 + 4, None, 0), "{:?}", session.kinds);
    assert!(session.kinds["candle"] > 0 && session.kinds["bbo"] > 0);
    println!("kinds {:?} steps {:?} agreements {}", session.kinds, session.steps, session.agreements());
}

#[test]
fn one_message_of_each_kind_is_an_event_or_passed_over_never_an_error() {
    let Some(bytes) = capture("catalogue/binance_messages_a.jsonl") else { return };
    let mut session = Session::default();
    let mut decoder = LineDecoder::new(false);
    lines(&bytes).for_each(|line| session.feed(&mut decoder, line));
    assert_eq!(session.kinds.values().sum::<usize>(), 26);
    assert!(session.kinds["other"] >= 10, "{:?}", session.kinds);
}

/// One message of a recorded table: the rows that share event time and update numbers.
fn diff_of_rows(rows: &[Vec<&str>]) -> String {
    let side = |is_ask: &str| {
        let of_side = rows.iter().filter(|row| row[7] == is_ask);
        of_side.map(|row| format!("[\"{}\",\"{}\"]", row[8], row[9])).collect::<Vec<_>>().join(",")
    };
    let [_, stream, event, time, symbol, first, last, ..] = rows[0][..] else { panic!("short row") };
    format!(
        r#"{{"stream":"{stream}","data":{{"e":"{event}","E":{time},"s":"{symbol}","U":{first},"u":{last},"b":[{}],"a":[{}]}}}}"#,
        side("0"),
        side("1")
    )
}

#[test]
fn a_day_in_microseconds_chains_and_its_times_are_read_as_microseconds() {
    let Some(bytes) = capture("binance_spot/lasota_difference_depth_stream_spot_trxusdt_04-03-2025.csv.zst") else {
        return;
    };
    let text = String::from_utf8(bytes).expect("text");
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|row| row.split(',').collect()).collect();
    let mut levels = Levels::new();
    let mut ends: Vec<(u64, u64)> = Vec::new();
    for rows in rows.chunk_by(|a, b| a[3..7] == b[3..7]) {
        let text = diff_of_rows(rows);
        let Ok(Frame::Market(_, Market::Depth(diff))) = frame(text.as_bytes(), None, &mut levels) else {
            panic!("{text}")
        };
        assert_eq!(diff.venue_time, Time(rows[0][3].parse::<i64>().expect("a time") * 1_000));
        assert_eq!(levels.bids.len() + levels.asks.len(), rows.len());
        ends.push((diff.first, diff.last));
    }
    assert_eq!(ends.len(), 2_833);
    let holes = ends.windows(2).filter(|pair| pair[1].0 != pair[0].1 + 1).count();
    assert!(holes <= 1, "first and last rows of a day: one seam at most, not {holes}");
}

#[test]
fn the_decode_verb_prints_one_event_a_line_and_counts_no_fault() {
    let Some(bytes) = capture("binance_spot/hftb_btcusdt_20240808.gz") else { return };
    let some: Vec<u8> = BufReader::new(bytes.as_slice())
        .split(b'\n')
        .take(300)
        .flat_map(|line| [line.expect("a line"), b"\n".to_vec()].concat())
        .collect();
    let (mut out, mut complaints) = (Vec::new(), Vec::new());
    let tally = decode_lines(VenueName::BinanceSpot, true, some.as_slice(), &mut out, &mut complaints)
        .expect("memory does not fail");
    assert_eq!((tally.lines, tally.bad, complaints.len()), (300, 0, 0));
    let events: Vec<serde_json::Value> =
        lines(&out).map(|line| serde_json::from_slice(line).expect("one JSON object a line")).collect();
    assert_eq!(events.len(), 300);
    assert_eq!(events[7]["kind"], "snapshot");
    assert_eq!(events[7]["used"], true);
    assert_eq!(events[299]["top"]["bid"].as_str().map(|bid| bid.starts_with("618")), Some(true));
}

#[test]
fn an_hour_of_klines_parses_in_order() {
    let body = br#"[[1725382800000,"130.00","130.40","129.86","130.31","1000.5",1725383099999,"1",7,"1","1","0"],
        [1725383100000,"130.31","130.50","130.20","130.22","10",1725383399999,"1",7,"1","1","0"]]"#;
    let mut opens = Vec::new();
    klines(body, |candle| opens.push((candle.open_time.0 / 1_000_000, candle.interval_s))).expect("klines");
    assert_eq!(opens, [(1_725_382_800_000, 300), (1_725_383_100_000, 300)]);
}
