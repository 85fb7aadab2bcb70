//! The hands of the tests: recorded data, an oracle that keeps a book its own way and words the venue's frames, a rig
//! around the session.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use sol_volume_bot::types::event::{Event, EventKind};
use sol_volume_bot::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use sol_volume_bot::types::{StreamId, Time};
use sol_volume_bot::venue::DecodeError;
use sol_volume_bot::venue::kraken::session::BookDepth;
use sol_volume_bot::venue::kraken::{FrameKind, KrakenSession, KrakenSettings, Pair};

/// Cases of a property: `PROPTEST_CASES`, or few.
pub fn cases(few: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}

/// A file of the captures, unpacked; `None`, said plainly, if the shared folder is absent.
pub fn capture(name: &str) -> Option<Vec<u8>> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("SHARED_DIR").map_or_else(beside, PathBuf::from);
    if !shared.join("captures").exists() {
        println!("SKIPPED: {name}: no shared folder at {}", shared.display());
        return None;
    }
    let path = shared.join("captures").join(name);
    let file = File::open(&path).expect("the capture is there");
    let mut bytes = Vec::new();
    let mut reader: Box<dyn Read> = match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => Box::new(flate2::read::GzDecoder::new(file)),
        Some("zst") => Box::new(ruzstd::decoding::StreamingDecoder::new(file).expect("a zstd file")),
        _ => Box::new(file),
    };
    reader.read_to_end(&mut bytes).expect("the capture unpacks");
    Some(bytes)
}

pub fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// The frames that were received, out of a capture of `{"rx_ns":…,"frame":{…}}` lines: when, and the text as it came.
pub fn received(bytes: &[u8]) -> Vec<(i64, String)> {
    let mut frames = Vec::new();
    for line in lines(bytes) {
        let text = std::str::from_utf8(line).expect("text");
        let (Some((head, rest)), false) = (text.split_once(r#""frame": "#), text.contains(r#""dir":"tx""#)) else {
            continue;
        };
        if head.contains(r#""dir""#) {
            continue; // our own
        }
        let number: String = head.chars().filter(char::is_ascii_digit).collect();
        frames.push((number.parse().expect("a time"), rest.trim_end().trim_end_matches('}').to_owned()));
        let last = frames.last_mut().expect("just pushed");
        while last.1.matches('{').count() > last.1.matches('}').count() {
            last.1.push('}');
        }
    }
    frames
}

/// CRC-32 bit after bit: nothing in common with the table of the product.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut rest = u32::MAX;
    for byte in bytes {
        rest ^= u32::from(*byte);
        for _ in 0..8 {
            rest = if rest & 1 == 1 { 0xedb8_8320 ^ (rest >> 1) } else { rest >> 1 };
        }
    }
    !rest
}

/// Price in cents, size in 1e-8.
pub type Levels = Vec<(i64, i64)>;

/// A whole book, kept by price in cents with sizes in 1e-8, and the frames about its top.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    pub bids: BTreeMap<i64, i64>,
    pub asks: BTreeMap<i64, i64>,
}

pub fn price(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}
pub fn qty(e8: i64) -> String {
    format!("{}.{:08}", e8 / 100_000_000, e8 % 100_000_000)
}

impl Oracle {
    /// Ten and more levels around a touch.
    pub fn around(bid: i64, levels: i64) -> Oracle {
        let side = |sign: i64, from: i64| (0..levels).map(|away| (from + sign * away, 100_000_000 + away)).collect();
        Oracle { bids: side(-1, bid), asks: side(1, bid + 1) }
    }
    pub fn tops(&self, depth: usize) -> (Levels, Levels) {
        let own = |(price, qty): (&i64, &i64)| (*price, *qty);
        (self.bids.iter().rev().take(depth).map(own).collect(), self.asks.iter().take(depth).map(own).collect())
    }
    pub fn checksum(&self) -> u32 {
        let (bids, asks) = self.tops(10);
        let digits = |text: String| text.replace('.', "").trim_start_matches('0').to_owned();
        let each = asks.iter().chain(&bids).map(|(at, size)| digits(price(*at)) + &digits(qty(*size)));
        crc32(each.collect::<String>().as_bytes())
    }
    pub fn snapshot(&self, depth: usize) -> String {
        let (bids, asks) = self.tops(depth);
        frame("snapshot", &bids, &asks, self.checksum())
    }
    /// Sets levels (size zero removes) and words the update that a reader of ten levels gets.
    pub fn update(&mut self, bids: &[(i64, i64)], asks: &[(i64, i64)]) -> String {
        let old = self.tops(10);
        for (side, levels) in [(&mut self.bids, bids), (&mut self.asks, asks)] {
            for (at, size) in levels {
                if *size == 0 {
                    side.remove(at)
                } else {
                    side.insert(*at, *size)
                };
            }
        }
        let new = self.tops(10);
        let (bids, asks) = (told_changes(&old.0, &new.0, &self.bids), told_changes(&old.1, &new.1, &self.asks));
        frame("update", &bids, &asks, self.checksum())
    }
}

/// What the venue sends a reader of `old`: new and changed levels of its depth; removals of what is gone from the market.
pub fn told_changes(old: &[(i64, i64)], new: &[(i64, i64)], market: &BTreeMap<i64, i64>) -> Vec<(i64, i64)> {
    let gone = old.iter().filter(|(at, _)| !market.contains_key(at)).map(|(at, _)| (*at, 0));
    new.iter().filter(|level| !old.contains(level)).copied().chain(gone).collect()
}

pub fn frame(kind: &str, bids: &[(i64, i64)], asks: &[(i64, i64)], checksum: u32) -> String {
    let side = |levels: &[(i64, i64)]| {
        let each = levels.iter().map(|(at, size)| format!(r#"{{"price":{},"qty":{}}}"#, price(*at), qty(*size)));
        each.collect::<Vec<_>>().join(",")
    };
    format!(
        r#"{{"channel":"book","type":"{kind}","data":[{{"symbol":"SOL/USD","bids":[{}],"asks":[{}],"checksum":{checksum},"timestamp":"2026-11-22T10:00:00.123456Z"}}]}}"#,
        side(bids),
        side(asks)
    )
}

/// The small book of the fact sheet, and the update after it: their checksums are the venue's own.
pub const SNAPSHOT: &str = r#"{"channel":"book","type":"snapshot","data":[{"symbol":"SOL/USD","bids":[{"price":142.36,"qty":3.00000000},{"price":142.35,"qty":0.00050000}],"asks":[{"price":142.37,"qty":12.50000000},{"price":142.38,"qty":0.07000000},{"price":142.41,"qty":250.00000000}],"checksum":437706113,"timestamp":"2026-11-22T10:00:00.123456Z"}]}"#;
pub const UPDATE: &str = r#"{"channel":"book","type":"update","data":[{"symbol":"SOL/USD","bids":[{"price":142.36,"qty":2.25000000}],"asks":[{"price":142.37,"qty":0.00000000},{"price":142.39,"qty":1.00000000}],"checksum":3019098155,"timestamp":"2026-11-22T10:00:00.223456Z"}]}"#;
pub const HEARTBEAT: &str = r#"{"channel":"heartbeat"}"#;
pub const ONLINE: &str = r#"{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2","connection_id":12834019283740918273,"upcoming_maintenance":[],"emergency":[]}]}"#;

pub fn sol() -> Pair {
    Pair::new("SOL/USD").expect("a pair")
}

/// Settings of the rig: the defaults with ten levels.
pub fn settings() -> KrakenSettings {
    KrakenSettings { depth: BookDepth::Ten, ..KrakenSettings::new(sol()) }
}

/// What was told, in short words.
pub fn words(event: &Event) -> String {
    let stream = event.stream.name().trim_start_matches("kraken_");
    match event.kind {
        EventKind::Stream(state) => format!("{stream} {}", state.name()),
        EventKind::Bbo(bbo) => format!("{stream} bbo {}/{}", bbo.bid, bbo.ask),
        EventKind::Depth(depth) => format!("{stream} depth {}/{}", depth.bid[2], depth.ask[2]),
        EventKind::Trade(trade) => format!("{stream} {} {}", trade.trade_id, trade.price),
        other => panic!("not market data: {other:?}"),
    }
}

/// A session, the clock, what was told and what was asked.
pub struct Rig {
    pub session: KrakenSession,
    pub now: Time,
    pub told: Vec<String>,
    pub sent: Vec<(u32, String)>,
}

impl Rig {
    pub fn new(settings: KrakenSettings) -> Rig {
        let session = KrakenSession::new(settings);
        Rig { session, now: Time(1_790_000_000 * NANOS_PER_SEC), told: Vec::new(), sent: Vec::new() }
    }
    /// Connection 1 is open, the venue is online, everything asked for and granted.
    pub fn subscribed() -> Rig {
        let mut rig = Rig::new(settings());
        rig.open(1);
        rig.status(1, "online").expect("a status");
        for request in rig.sent() {
            rig.grant(1, &request);
        }
        rig
    }
    /// ... and the book of `oracle` and a ticker came.
    pub fn whole(oracle: &Oracle) -> Rig {
        let mut rig = Rig::subscribed();
        assert_eq!(rig.hear(&oracle.snapshot(10)), Ok(FrameKind::Data));
        rig.ticker(1, 16_100, "2026-11-22T10:00:00.000001Z");
        rig.told();
        rig
    }
    pub fn open(&mut self, conn: u32) {
        self.session.on_open(conn, self.now);
    }
    pub fn frame(&mut self, conn: u32, text: &[u8]) -> Result<FrameKind, DecodeError> {
        let (told, sent) = (&mut self.told, &mut self.sent);
        let mut out = |text: &[u8]| sent.push((conn, String::from_utf8(text.to_vec()).expect("text")));
        self.session.on_frame(conn, text, self.now, &mut out, &mut |event| told.push(words(&event)))
    }
    pub fn hear(&mut self, text: &str) -> Result<FrameKind, DecodeError> {
        self.frame(1, text.as_bytes())
    }
    pub fn status(&mut self, conn: u32, system: &str) -> Result<FrameKind, DecodeError> {
        self.frame(conn, ONLINE.replace("\"online\"", &format!("\"{system}\"")).as_bytes())
    }
    /// Answers a request as the venue would.
    pub fn grant(&mut self, conn: u32, request: &str) {
        let value: serde_json::Value = serde_json::from_str(request).expect("JSON");
        let (method, req_id) = (value["method"].as_str().expect("a method"), &value["req_id"]);
        let channel = &value["params"]["channel"];
        let text = format!(
            r#"{{"method":"{method}","req_id":{req_id},"result":{{"channel":{channel},"symbol":"SOL/USD"}},"success":true,"time_in":"2026-11-22T10:00:00.000100Z","time_out":"2026-11-22T10:00:00.000150Z"}}"#
        );
        assert_eq!(self.frame(conn, text.as_bytes()), Ok(FrameKind::Control));
    }
    pub fn refuse(&mut self, request: &str, why: &str) -> Result<FrameKind, DecodeError> {
        let value: serde_json::Value = serde_json::from_str(request).expect("JSON");
        let (method, req_id) = (value["method"].as_str().expect("a method"), &value["req_id"]);
        self.hear(&format!(
            r#"{{"error":"{why}","method":"{method}","req_id":{req_id},"success":false,"time_in":"2026-11-22T10:00:00.000100Z","time_out":"2026-11-22T10:00:00.000150Z"}}"#
        ))
    }
    pub fn ticker(&mut self, conn: u32, bid: i64, at: &str) {
        let (bid, ask) = (price(bid), price(bid + 1));
        let text = format!(
            r#"{{"channel":"ticker","type":"update","data":[{{"symbol":"SOL/USD","bid":{bid},"bid_qty":1.00000000,"ask":{ask},"ask_qty":2.00000000,"last":{bid},"volume":1.0,"vwap":1.0,"low":1.0,"high":1.0,"change":-4.1,"change_pct":-7.17,"timestamp":"{at}"}}]}}"#
        );
        assert_eq!(self.frame(conn, text.as_bytes()), Ok(FrameKind::Data));
    }
    pub fn trades(&mut self, conn: u32, ids: &[i64]) -> Result<FrameKind, DecodeError> {
        let row = |id: &i64| {
            format!(
                r#"{{"symbol":"SOL/USD","side":"buy","price":161.00,"qty":0.01044926,"ord_type":"limit","trade_id":{id},"timestamp":"2026-11-22T10:00:00.798009Z"}}"#
            )
        };
        let rows = ids.iter().map(row).collect::<Vec<_>>().join(",");
        self.frame(conn, format!(r#"{{"channel":"trade","type":"update","data":[{rows}]}}"#).as_bytes())
    }
    /// The clock goes on, then the timer.
    pub fn after_ms(&mut self, millis: i64) {
        self.now = self.now.plus(millis * NANOS_PER_MILLI);
        let (told, sent) = (&mut self.told, &mut self.sent);
        let mut out = |conn, text: &[u8]| sent.push((conn, String::from_utf8(text.to_vec()).expect("text")));
        self.session.on_timer(self.now, &mut out, &mut |event| told.push(words(&event)));
    }
    /// Seconds of heartbeats, pings answered.
    pub fn heartbeats(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.after_ms(1_000);
            assert_eq!(self.hear(HEARTBEAT), Ok(FrameKind::Control));
            self.answer_pings();
        }
    }
    pub fn answer_pings(&mut self) {
        let (pings, others) =
            std::mem::take(&mut self.sent).into_iter().partition(|(_, text)| text.contains("\"ping\""));
        self.sent = others;
        let pings: Vec<(u32, String)> = pings;
        for (conn, ping) in pings {
            let pong = ping.replace("\"ping\"", "\"pong\"");
            assert_eq!(self.frame(conn, pong.as_bytes()), Ok(FrameKind::Control));
        }
    }
    pub fn down(&mut self, conn: u32) {
        let told = &mut self.told;
        self.session.on_down(conn, self.now, &mut |event| told.push(words(&event)));
    }
    pub fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }
    /// Told changes of state only.
    pub fn states(&mut self) -> Vec<String> {
        let state = |word: &String| ["up", "stale", "gap", "down"].iter().any(|state| word.ends_with(state));
        self.told().into_iter().filter(state).collect()
    }
    /// Requests since the last call.
    pub fn sent(&mut self) -> Vec<String> {
        std::mem::take(&mut self.sent).into_iter().map(|(_, text)| text).collect()
    }
    pub fn book_state(&self) -> &'static str {
        self.session.state(StreamId::KrakenBook).expect("a stream of ours").name()
    }
}
