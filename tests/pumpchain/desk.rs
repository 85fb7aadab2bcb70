//! The hands of the tests: events, logs and frames as a node sends them, and a session with a clock.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sol_volume_bot::types::event::{EventKind, VolumeSample};
use sol_volume_bot::types::time::NANOS_PER_SEC;
use sol_volume_bot::types::{Event, Price, Time};
use sol_volume_bot::venue::pumpchain::base58::Key;
use sol_volume_bot::venue::pumpchain::session::FrameKind;
use sol_volume_bot::venue::pumpchain::{ChainSession, Program, Settings, USDC, Venues, WSOL};

/// 2026-11-22T18:30:00Z: a multiple of five minutes.
pub const START_S: i64 = 1_795_372_200;
pub const SECOND: i64 = NANOS_PER_SEC;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const SOL: u64 = 1_000_000_000;
/// A program of nobody.
pub const OTHER: &str = "metaqbxxUerdq28cj1RbAWkYQm3ybzjb6a8bt518x1s";
pub const CURVE: &str = "6EF8rrecthR5Dkzon8Nwu78hRvfCKubJ14M5uBEwF6P";
pub const AMM: &str = "pAMMBay6oceH9fJKBRHGP5D4bD4sWpmSwMn52FMfXEA";

pub fn at(seconds: i64) -> Time {
    Time(seconds * SECOND)
}

/// A curve trade in today's layout: `sol_amount`, then whatever its tail says it was paid in.
pub fn curve_event(at_s: i64, sol_amount: u64, quote_mint: &Key, quote_amount: u64) -> Vec<u8> {
    let mut event = vec![0xbd, 0xdb, 0x7f, 0xd3, 0x4e, 0xe6, 0x61, 0xee];
    event.extend([0x0a; 32]);
    event.extend(sol_amount.to_le_bytes());
    event.extend(52_000_000_u64.to_le_bytes());
    event.push(1);
    event.extend([0x0b; 32]);
    event.extend(at_s.to_le_bytes());
    event.resize(258, 0);
    event.extend(6_u32.to_le_bytes());
    event.extend(b"buy_v2");
    event.extend([0; 33]);
    event.extend(0_u32.to_le_bytes());
    event.extend(quote_mint);
    event.extend(quote_amount.to_le_bytes());
    event.extend([0; 16]);
    event
}

/// A PumpSwap sale.
pub fn amm_event(at_s: i64, amount: u64, pool: &Key) -> Vec<u8> {
    let mut event = vec![0x3e, 0x2f, 0x37, 0x0a, 0xa5, 0x03, 0xdc, 0x2a];
    event.extend(at_s.to_le_bytes());
    event.resize(64, 1);
    event.extend(amount.to_le_bytes());
    event.resize(120, 2);
    event.extend(pool);
    event.resize(352, 3);
    event
}

pub fn data(event: &[u8]) -> String {
    format!("Program data: {}", STANDARD.encode(event))
}

/// The lines of a program that writes these, called by a router.
pub fn called(program: &str, lines: &[String]) -> Vec<String> {
    let mut log = vec![
        "Program ComputeBudget111111111111111111111111111111 invoke [1]".to_owned(),
        "Program ComputeBudget111111111111111111111111111111 success".to_owned(),
        format!("Program {OTHER} invoke [1]"),
        format!("Program {program} invoke [2]"),
        "Program log: Instruction: Buy".to_owned(),
        "Program TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA invoke [3]".to_owned(),
        "Program TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA consumed 4645 of 86752 compute units".to_owned(),
        "Program TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA success".to_owned(),
    ];
    log.extend_from_slice(lines);
    log.push(format!("Program {program} consumed 35957 of 106893 compute units"));
    log.push(format!("Program {program} success"));
    log.push(format!("Program {OTHER} success"));
    log
}

/// A notification; subscription 71 is the curve's, 72 PumpSwap's.
pub fn frame(program: Program, signature: &str, err: Value, logs: &[String]) -> String {
    let value = json!({"signature": signature, "err": err, "logs": logs});
    let result = json!({"context": {"slot": 405_112_233_u64}, "value": value});
    let params = json!({"result": result, "subscription": 71 + program as u64});
    json!({"jsonrpc": "2.0", "method": "logsNotification", "params": params}).to_string()
}

/// A session, its clock, and what it told in short words.
pub struct Rig {
    pub session: ChainSession,
    pub now: Time,
    pub told: Vec<String>,
    pub samples: Vec<VolumeSample>,
    next: u64,
}

fn words(event: &Event) -> Option<String> {
    match event.kind {
        EventKind::Stream(state) => Some(state.name().to_owned()),
        EventKind::Volume(_) => None,
        other => panic!("no news of the chain: {other:?}"),
    }
}

impl Rig {
    /// Not connected, at the start, a SOL worth 150 USD.
    pub fn new(venues: Venues) -> Rig {
        let settings = Settings { venues, dedupe_slots: 1 << 16, seed: 11, ..Settings::default() };
        let mut session = ChainSession::new(settings);
        session.on_mid(price("150"), at(START_S));
        Rig { session, now: at(START_S), told: Vec::new(), samples: Vec::new(), next: 0 }
    }
    /// Connected and subscribed.
    pub fn connected(venues: Venues) -> Rig {
        let mut rig = Rig::new(venues);
        rig.connect(1);
        rig
    }
    pub fn connect(&mut self, conn: u32) {
        let mut asked = 0;
        self.session.on_open(conn, self.now, &mut |text| {
            asked += 1;
            let text: Value = serde_json::from_slice(text).expect("JSON");
            assert_eq!(
                (&text["method"], &text["params"][1]["commitment"]),
                (&json!("logsSubscribe"), &json!("confirmed"))
            );
            assert_eq!(text["params"][0]["mentions"].as_array().map(Vec::len), Some(1));
        });
        for program in 0..asked {
            let ack = json!({"jsonrpc": "2.0", "result": 71 + program, "id": 1 + program}).to_string();
            assert_eq!(self.feed_to(conn, &ack), Ok(FrameKind::Control));
        }
    }
    pub fn drop(&mut self, conn: u32) {
        let Rig { session, told, now, .. } = self;
        session.on_down(conn, *now, &mut |event| told.extend(words(&event)));
    }
    pub fn feed_to(&mut self, conn: u32, text: &str) -> Result<FrameKind, sol_volume_bot::venue::DecodeError> {
        let Rig { session, told, now, .. } = self;
        session.on_frame(conn, text.as_bytes(), *now, &mut |event| told.extend(words(&event)))
    }
    pub fn feed(&mut self, text: &str) {
        assert_eq!(self.feed_to(1, text), Ok(FrameKind::Data), "{text}");
    }
    /// A signature that was not used yet.
    pub fn signature(&mut self) -> String {
        self.next += 1;
        format!("5h6xBEauJ3PK6SWCZ1PGjBvj8vDdWG3KpwATGy1ARAXFSDwt8GFXM7W5Ncn16wmqokgpiKRLuS83KUxyZ{:06}", self.next)
    }
    /// A transaction of these lines by the program itself.
    pub fn transaction(&mut self, program: Program, lines: &[String]) {
        let signature = self.signature();
        let text = frame(program, &signature, Value::Null, &called(program.text(), lines));
        self.feed(&text);
    }
    /// A curve trade of now, paid in SOL.
    pub fn curve(&mut self, lamports: u64) {
        let event = curve_event(self.second(), lamports, &[0; 32], lamports);
        self.transaction(Program::Curve, &[data(&event)]);
    }
    /// A curve trade of now, paid in USDC.
    pub fn curve_usdc(&mut self, usdc_e6: u64) {
        let event = curve_event(self.second(), 0, &USDC, usdc_e6);
        self.transaction(Program::Curve, &[data(&event)]);
    }
    pub fn amm(&mut self, amount: u64, pool: &Key) {
        let event = amm_event(self.second(), amount, pool);
        self.transaction(Program::Amm, &[data(&event)]);
    }
    pub fn tell_again(&mut self) {
        let Rig { session, told, now, .. } = self;
        session.tell_again(*now, &mut |event| told.extend(words(&event)));
    }
    pub fn second(&self) -> i64 {
        self.now.0 / SECOND
    }
    /// Lets time pass, a timer every second.
    pub fn pass(&mut self, nanos: i64) {
        let end = self.now.plus(nanos);
        while self.now < end {
            self.now = Time((self.now.0 + SECOND).min(end.0));
            let Rig { session, told, samples, now, .. } = self;
            session.on_timer(*now, &mut |event| {
                told.extend(words(&event));
                if let EventKind::Volume(sample) = event.kind {
                    samples.push(sample);
                }
            });
        }
    }
    /// The same with a trade of one lamport every five seconds: the stream lives.
    pub fn live(&mut self, nanos: i64) {
        let end = self.now.plus(nanos);
        while self.now < end {
            self.session.on_mid(price("150"), self.now);
            self.curve(1);
            self.pass((5 * SECOND).min(end.since(self.now)));
        }
    }
    /// The bucket of the start.
    pub fn bucket(&self) -> sol_volume_bot::types::chain::VolumeBucket {
        self.session.buckets().get(at(START_S)).expect("the bucket of the start")
    }
    /// Answers what the session asks a node: each pool by `quote_of`; `None` = not there.
    pub fn answer_pools(&mut self, quote_of: impl Fn(&Key) -> Option<(Key, Key)>) -> usize {
        let Some(asked) = self.session.pools_wanted(self.now) else { return 0 };
        let account = |key: &Key| match quote_of(key) {
            None => Value::Null,
            Some((base, quote)) => {
                let data = STANDARD.encode([base, quote].concat());
                json!({"data": [data, "base64"], "owner": AMM, "lamports": 1, "executable": false})
            }
        };
        let value: Vec<Value> = asked.keys().iter().map(account).collect();
        let body = json!({"jsonrpc": "2.0", "id": 1, "result": {"context": {"slot": 1}, "value": value}}).to_string();
        self.session.on_pools(&asked, body.as_bytes(), self.now).expect("an answer")
    }
}

pub fn price(text: &str) -> Price {
    Price::parse(text.as_bytes()).expect("a price")
}

/// A pool of a coin against SOL.
pub fn sol_pool(_: &Key) -> Option<(Key, Key)> {
    Some(([5; 32], WSOL))
}
