//! Frames made before the run: a text with holes for the numbers that must rise, behind its WebSocket head.
//!
//! Thread: any.  Invariants: a hole is a run of `#`, as wide as its number; writing one frame is a copy and a few digits.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sol_volume_bot::types::Side;
use sol_volume_bot::venue::pumpchain::Program;

use crate::chain_desk::{AMM, CURVE, SOL, amm_event, called, curve_event, data, frame};
use crate::dex_desk::{account, order};
use crate::kraken_desk::Oracle;

/// Ten digits for a number.
const HOLE: &str = "##########";
/// Before the event of a data line.
const DATA: &[u8] = b"Program data: ";
/// Pools of the built PumpSwap trades.
pub const POOLS: u8 = 5;
/// Levels a side of Kraken's book, and those that change.
const KRAKEN_LEVELS: i64 = 25;
const KRAKEN_CHANGING: i64 = 10;
/// Orders a side of Manifest's market.
const DEX_ORDERS: u64 = 20;

/// Appends the head of a server's text frame.
pub fn push_head(len: usize, out: &mut Vec<u8>) {
    match u16::try_from(len).expect("a short frame") {
        short @ 0..=125 => out.extend_from_slice(&[0x81, short.to_le_bytes()[0]]),
        long => {
            out.extend_from_slice(&[0x81, 126]);
            out.extend_from_slice(&long.to_be_bytes());
        }
    }
}

/// A frame with holes.
#[derive(Clone)]
pub struct Template {
    bytes: Vec<u8>,
    /// Bytes before the text.
    head: usize,
    /// Where each hole begins, and its width.
    holes: Vec<(usize, usize)>,
}

impl Template {
    /// Of a text; each run of at least two `#` is a hole.
    pub fn new(text: &str) -> Template {
        let mut bytes = Vec::with_capacity(text.len() + 4);
        push_head(text.len(), &mut bytes);
        let head = bytes.len();
        bytes.extend_from_slice(text.as_bytes());
        let mut holes = Vec::new();
        let mut at = head;
        while at < bytes.len() {
            let width = bytes[at..].iter().take_while(|byte| **byte == b'#').count();
            if width > 1 {
                holes.push((at, width));
            }
            at += width.max(1);
        }
        Template { bytes, head, holes }
    }
    /// Fills all holes with `number`.
    fn fill(&mut self, number: u64) {
        for (at, width) in &self.holes {
            let mut rest = number;
            for place in self.bytes[*at..at + width].iter_mut().rev() {
                *place = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
    }
    /// Appends the frame with this number in its holes.
    pub fn push(&mut self, number: u64, out: &mut Vec<u8>) {
        self.fill(number);
        out.extend_from_slice(&self.bytes);
    }
    /// The text alone with this number in its holes.
    pub fn text(&mut self, number: u64) -> &[u8] {
        self.fill(number);
        &self.bytes[self.head..]
    }
}

/// A transaction's log with a trade in it, whose time can be set.
pub struct LogTemplate {
    /// The frame.
    pub template: Template,
    /// Whether it holds a trade that counts.
    pub counts: bool,
    event: Vec<u8>,
    time_at: usize,
    data_at: usize,
}

impl LogTemplate {
    fn new(program: Program, event: Vec<u8>, time_at: usize, fails: bool) -> LogTemplate {
        let (address, err) = match program {
            Program::Curve => (CURVE, json!({"InstructionError": [3, {"Custom": 6_002}]})),
            Program::Amm => (AMM, json!({"InstructionError": [5, {"Custom": 6_004}]})),
        };
        let mut lines = Vec::new();
        for number in 0..2 {
            lines.push("Program TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb invoke [3]".to_owned());
            lines.push(format!("Program log: Instruction: TransferChecked, amount {number}"));
            lines.push(
                "Program TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb consumed 6238 of 168321 compute units".into(),
            );
            lines.push("Program TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb success".to_owned());
        }
        lines.push(data(&event));
        let signature = format!(
            "5h6xBEauJ3PK6SWCZ1PGjBvj8vDdWG3KpwATGy1ARAXFSDwt8GFXM7W5Ncn16wmqokgpiKRLuS83{}{HOLE}",
            program as u8
        );
        let text = frame(program, &signature, if fails { err } else { Value::Null }, &called(address, &lines));
        let template = Template::new(&text);
        let found = template.bytes.windows(DATA.len()).position(|part| part == DATA);
        let data_at = found.expect("a data line") + DATA.len();
        LogTemplate { template, counts: !fails, event, time_at, data_at }
    }
    /// Sets the second of the trade.
    pub fn set_time(&mut self, second: i64) {
        self.event[self.time_at..self.time_at + 8].copy_from_slice(&second.to_le_bytes());
        let text = STANDARD.encode(&self.event);
        self.template.bytes[self.data_at..self.data_at + text.len()].copy_from_slice(text.as_bytes());
    }
}

/// Ten transactions of a program, two of which failed.
pub fn logs(program: Program, second: i64) -> Vec<LogTemplate> {
    (0..10_u8)
        .map(|number| match program {
            Program::Curve => LogTemplate::new(program, curve_event(second, SOL / 2, &[0; 32], 0), 89, number >= 8),
            Program::Amm => {
                LogTemplate::new(program, amm_event(second, SOL / 2, &[number % POOLS; 32]), 8, number >= 8)
            }
        })
        .collect()
}

/// Kraken's book: the snapshot, then updates that lead back to it, each with its true checksum.
pub fn kraken_book() -> (String, Vec<Template>) {
    let mut oracle = Oracle::around(16_100, KRAKEN_LEVELS);
    let snapshot = oracle.snapshot(KRAKEN_LEVELS as usize);
    let mut updates = Vec::new();
    for size in [250_000_000, 100_000_000] {
        for away in 0..KRAKEN_CHANGING {
            updates.push(Template::new(&oracle.update(&[(16_100 - away, size + away)], &[])));
            updates.push(Template::new(&oracle.update(&[], &[(16_101 + away, size + away)])));
        }
    }
    assert_eq!(oracle.snapshot(KRAKEN_LEVELS as usize), snapshot, "the updates lead back");
    (snapshot, updates)
}

/// Kraken's ticker, two tops that take turns, and its trades.
pub fn kraken_ticker_and_trade() -> (Vec<Template>, Vec<Template>) {
    let ticker = |qty: &str| {
        Template::new(&format!(
            r#"{{"channel":"ticker","type":"update","data":[{{"symbol":"SOL/USD","bid":161.00,"bid_qty":{qty},"ask":161.01,"ask_qty":2.00000000,"last":161.00,"volume":412345.12345678,"vwap":160.12,"low":155.01,"high":163.99,"change":-4.10,"change_pct":-2.49,"timestamp":"2026-11-22T10:00:00.000001Z"}}]}}"#
        ))
    };
    let trade = Template::new(&format!(
        r#"{{"channel":"trade","type":"update","data":[{{"symbol":"SOL/USD","side":"buy","price":161.00,"qty":0.01044926,"ord_type":"limit","trade_id":1{HOLE},"timestamp":"2026-11-22T10:00:00.798009Z"}}]}}"#
    ));
    (vec![ticker("1.00000000"), ticker("1.50000000")], vec![trade])
}

/// Ticks of either standing top, four sizes each, none the script's own: every one is news.
pub fn bbo((bid, ask): (&str, &str)) -> Vec<Template> {
    let sizes = ["31.22000000", "30.05000000", "12.48300000", "77.00000000"];
    sizes
        .map(|size| {
            Template::new(&format!(
                r#"{{"stream":"solusdt@bookTicker","data":{{"u":#########,"s":"SOLUSDT","b":"{bid}000000","B":"{size}","a":"{ask}000000","A":"40.66000000"}}}}"#
            ))
        })
        .into()
}

/// A depth diff of one update, a trade, an open candle.
pub fn depth_trade_candle(now_ms: i64) -> [Vec<Template>; 3] {
    let diff = |level: u32| {
        Template::new(&format!(
            r#"{{"stream":"solusdt@depth@100ms","data":{{"e":"depthUpdate","E":{now_ms},"s":"SOLUSDT","U":1{HOLE},"u":1{HOLE},"b":[["159.{level}000000","12.48300000"],["159.98000000","{level}.00000000"]],"a":[["162.{level}000000","7.00000000"],["162.98000000","0.00000000"]]}}}}"#
        ))
    };
    let trade = Template::new(&format!(
        r#"{{"stream":"solusdt@trade","data":{{"e":"trade","E":{now_ms},"s":"SOLUSDT","t":1{HOLE},"p":"161.01000000","q":"0.31000000","T":{now_ms},"m":true,"M":true}}}}"#
    ));
    let open = now_ms - now_ms % 300_000;
    let close = open + 299_999;
    let candle = Template::new(&format!(
        r#"{{"stream":"solusdt@kline_5m","data":{{"e":"kline","E":{now_ms},"s":"SOLUSDT","k":{{"t":{open},"T":{close},"s":"SOLUSDT","i":"5m","f":100,"L":200,"o":"160.90000000","c":"161.00000000","h":"161.20000000","l":"160.80000000","v":"1000.00000000","n":100,"x":false,"q":"161000.00000000","V":"500.00000000","Q":"80500.00000000","B":"0"}}}}}}"#
    ));
    [(10..50).map(diff).collect(), vec![trade], vec![candle]]
}

/// Two states of Manifest's market that take turns.
pub fn dex_accounts() -> [Vec<u8>; 2] {
    ["3", "4.5"].map(|size| {
        let bid = |away: u64| order(Side::Buy, &format!("160.{:02}", 99 - away), size, 2 * away + 1);
        let ask = |away: u64| order(Side::Sell, &format!("161.{:02}", 1 + away), size, 2 * away + 2);
        account((0..DEX_ORDERS).flat_map(|away| [bid(away), ask(away)]).collect()).bytes()
    })
}
