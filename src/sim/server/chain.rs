//! Memecoin trades on the built-in Solana node: the logs of both programs, the pools' accounts, and Bitquery's answers.
//!
//! Thread: any.  Invariants: trade `n` of a seed is the same whoever listens; what was told is added up exactly in
//! [`ChainTruth`], so a test can compare to the lamport; failed, forged and repeated transactions are told and do not
//! count.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::fault::Fault;
use super::http::{Request, Response, Verb};
use super::json::Obj;
use crate::sim::market::SplitMix64;
use crate::sim::scenario::ChainShape;
use crate::types::chain::{BUCKET_NS, BUCKET_S};
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::{Notional, Price, Time};
use crate::venue::pumpchain::base58::{Key, KeyText, is_key};
use crate::venue::pumpchain::{Program, USDC, WSOL};

/// How often trades are told.
const TELL_EVERY_NS: i64 = 20 * NANOS_PER_MILLI;
/// Transactions told at a time; after a stall the rest is left out.
const TOLD_AT_ONCE_MAX: i64 = 2_000;
/// How old a replayed trade is.
const REPLAY_AGE_S: i64 = 3_600;
const INVALID_PARAMS: i64 = -32_602;
/// A program of nobody, which calls the real ones and forges their lines.
const ROUTER: &str = "RoutER1111111111111111111111111111111111111";
const TOKEN: &str = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";

/// What was told and counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainTruth {
    /// Trades.
    pub trades: u64,
    /// Paid in SOL, lamports.
    pub lamports: u128,
    /// Paid in USDC, 1e-6.
    pub usdc_e6: u128,
    /// Trades of pools that are turned round: told, and no memecoin volume.
    pub odd: u64,
    /// Transactions told whose log was cut.
    pub truncated: u64,
    /// Transactions told that failed, are forged, or came twice.
    pub chaff: u64,
}

/// A transaction to tell.
pub(in crate::sim) struct Notice {
    program: Program,
    /// `params.result`.
    result: String,
}

impl Notice {
    /// One that was recorded.
    pub(super) fn of(program: Program, result: String) -> Notice {
        Notice { program, result }
    }
}

/// What one PubSub connection subscribed to: the node's numbers and the address that each mentions.
#[derive(Default)]
pub(in crate::sim) struct LogSubscriptions(Vec<(u64, String)>);

impl LogSubscriptions {
    /// Subscribes under the number `id`. Errors: what a node says about anything but exactly one address.
    pub(in crate::sim) fn subscribe(&mut self, id: u64, params: &Value) -> Result<(), (i64, &'static str)> {
        let mentions = params.get(0).and_then(|filter| filter.get("mentions")).and_then(Value::as_array);
        let Some(mentions) = mentions else { return Err((INVALID_PARAMS, "Invalid params: mentions wanted")) };
        let [Value::String(address)] = mentions.as_slice() else {
            return Err((INVALID_PARAMS, "Invalid Request: Only 1 address supported"));
        };
        if !is_key(address.as_bytes()) {
            return Err((INVALID_PARAMS, "Invalid Request: Invalid pubkey provided"));
        }
        self.0.push((id, address.clone()));
        Ok(())
    }

    /// Whether there was such a subscription.
    pub(in crate::sim) fn unsubscribe(&mut self, id: Option<u64>) -> bool {
        let before = self.0.len();
        self.0.retain(|(known, _)| Some(*known) != id);
        self.0.len() < before
    }

    /// The frames of these transactions.
    pub(in crate::sim) fn frames<'a>(&'a self, notices: &'a [Notice]) -> impl Iterator<Item = String> + 'a {
        let mentions = |notice: &Notice, address: &str| notice.program.text() == address;
        notices.iter().flat_map(move |notice| {
            let wanted = self.0.iter().filter(move |(_, address)| mentions(notice, address));
            wanted.map(|(id, _)| {
                let params = Obj::new().raw("result", &notice.result).raw("subscription", &id.to_string()).end();
                Obj::new().text("jsonrpc", "2.0").text("method", "logsNotification").raw("params", &params).end()
            })
        })
    }
}

/// A trade, before it is told.
struct Draw {
    number: u64,
    program: Program,
    pool: u16,
    at_s: i64,
    lamports: u64,
    is_buy: bool,
}

/// What becomes of a transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Good,
    Failed,
    Forged,
    Truncated,
}

/// The chain.
pub(in crate::sim) struct Chain {
    shape: ChainShape,
    seed: u64,
    started: Time,
    now: Time,
    slot: u64,
    drawn: u64,
    next: Time,
    pools: BTreeMap<String, u16>,
    notices: Vec<Notice>,
    pub(super) truth: ChainTruth,
    is_stopped: bool,
    is_repeated: bool,
    is_poolless: bool,
    cut_next: u32,
    times: u64,
    bitquery_status: u16,
}

impl Chain {
    pub(in crate::sim) fn new(shape: &ChainShape, seed: u64, now: Time) -> Chain {
        let pools = (0..shape.pools).map(|pool| (KeyText::of(&pool_key(pool)).to_string(), pool)).collect();
        Chain {
            shape: shape.clone(),
            seed,
            started: now,
            now,
            slot: 0,
            drawn: 0,
            next: if shape.rate_per_s == 0 { Time(i64::MAX) } else { now },
            pools,
            notices: Vec::new(),
            truth: ChainTruth::default(),
            is_stopped: false,
            is_repeated: false,
            is_poolless: false,
            cut_next: 0,
            times: 1,
            bitquery_status: 200,
        }
    }

    /// When there is something to tell again.
    pub(in crate::sim) fn next_deadline(&self) -> Time {
        self.next
    }

    /// It is `now`, in this slot.
    pub(in crate::sim) fn stand_at(&mut self, now: Time, slot: u64) {
        (self.now, self.slot) = (now, slot);
    }

    /// Lets all trades happen that are due by now, a SOL worth `mid`.
    pub(in crate::sim) fn advance(&mut self, mid: Price) {
        let now = self.now;
        if now < self.next {
            return;
        }
        self.next = now.plus(TELL_EVERY_NS);
        let rate = i64::from(self.shape.rate_per_s);
        let due = i128::from(now.since(self.started).max(0)) * i128::from(rate) / i128::from(NANOS_PER_SEC);
        let due = u64::try_from(due).unwrap_or(u64::MAX);
        self.drawn = self.drawn.max(due.saturating_sub(TOLD_AT_ONCE_MAX as u64));
        for number in self.drawn..due {
            self.trade(number, mid);
        }
        self.drawn = due;
    }

    /// What is to be told, once.
    pub(in crate::sim) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    pub(in crate::sim) fn apply(&mut self, fault: &Fault) {
        match fault {
            Fault::ChainStop(stopped) => self.is_stopped = *stopped,
            Fault::ChainRepeat(repeated) => self.is_repeated = *repeated,
            Fault::ChainPoolsUnknown(unknown) => self.is_poolless = *unknown,
            Fault::ChainTruncate(count) => self.cut_next = *count,
            Fault::ChainTimes(times) => self.times = u64::from(*times),
            Fault::Bitquery(status) => self.bitquery_status = *status,
            Fault::ChainLookalikes(count) => {
                for number in 0..u64::from(*count) {
                    let draw = self.draw(u64::MAX / 2 - number);
                    self.truth.chaff += 1;
                    self.tell(&draw, Fate::Forged, draw.lamports);
                }
            }
            Fault::ChainReplay(count) => {
                for number in 0..u64::from(*count) {
                    let mut draw = self.draw(u64::MAX - number);
                    draw.at_s -= REPLAY_AGE_S;
                    draw.program = Program::Curve;
                    self.truth.chaff += 1;
                    self.tell(&draw, Fate::Good, draw.lamports);
                }
            }
            _ => {}
        }
    }

    /// Trade `number` of the seed.
    fn draw(&self, number: u64) -> Draw {
        let mut dice = SplitMix64(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let at_s = self.now.0.div_euclid(NANOS_PER_SEC);
        let is_amm = dice.below(100) < i64::from(self.shape.amm_percent);
        let pool = dice.below(i64::from(self.shape.pools.max(1))) as u16;
        let size = i128::from(self.shape.trade_sol.0) * i128::from(50 + dice.below(101));
        let size = size * i128::from(self.shape.hour_percent(at_s)) / 10_000;
        let lamports = u64::try_from(size.max(1)).unwrap_or(u64::MAX).saturating_mul(self.times);
        let program = if is_amm { Program::Amm } else { Program::Curve };
        Draw { number, program, pool, at_s, lamports, is_buy: dice.below(2) == 0 }
    }

    fn fate(&mut self, number: u64) -> Fate {
        if self.cut_next > 0 {
            self.cut_next -= 1;
            return Fate::Truncated;
        }
        let mut dice = SplitMix64(self.seed ^ number.wrapping_mul(0xd1b5_4a32_d192_ed03));
        let shape = &self.shape;
        if dice.below(100) < i64::from(shape.failed_percent) {
            Fate::Failed
        } else if dice.below(100) < i64::from(shape.lookalike_percent) {
            Fate::Forged
        } else if dice.below(1_000) < i64::from(shape.truncated_permille) {
            Fate::Truncated
        } else {
            Fate::Good
        }
    }

    fn trade(&mut self, number: u64, mid: Price) {
        if self.is_stopped {
            return;
        }
        let draw = self.draw(number);
        let fate = self.fate(number);
        let is_usdc = self.is_usdc(&draw);
        let usdc_e6 = i128::from(draw.lamports) * i128::from(mid.0) / 100_000_000_000;
        let amount = if is_usdc { u64::try_from(usdc_e6).unwrap_or(u64::MAX) } else { draw.lamports };
        match fate {
            Fate::Failed | Fate::Forged => self.truth.chaff += 1,
            Fate::Truncated => self.truth.truncated += 1,
            Fate::Good if draw.program == Program::Amm && is_turned(draw.pool) => self.truth.odd += 1,
            Fate::Good => {
                self.truth.trades += 1;
                *(if is_usdc { &mut self.truth.usdc_e6 } else { &mut self.truth.lamports }) += u128::from(amount);
            }
        }
        self.tell(&draw, fate, amount);
        let mut dice = SplitMix64(self.seed ^ number.wrapping_mul(0xaef1_7502_b3a1_8c59));
        if self.is_repeated || dice.below(100) < i64::from(self.shape.repeated_percent) {
            self.truth.chaff += 1;
            self.tell(&draw, fate, amount);
        }
    }

    /// Whether a trade is paid in USDC: on PumpSwap its pool says, on the curve its coin.
    fn is_usdc(&self, draw: &Draw) -> bool {
        u8::try_from(draw.pool % 100).unwrap_or(0) < self.shape.usdc_percent
    }

    fn tell(&mut self, draw: &Draw, fate: Fate, amount: u64) {
        let event = match draw.program {
            Program::Curve => curve_event(draw, amount, self.is_usdc(draw)),
            Program::Amm => amm_event(draw, amount),
        };
        let line = format!("Program data: {}", STANDARD.encode(event));
        let logs = log(draw.program.text(), &line, fate, draw.number);
        let signature = signature(self.seed, draw.number);
        let err = if fate == Fate::Failed { json!({"InstructionError": [2, {"Custom": 6_002}]}) } else { Value::Null };
        let value = json!({"signature": signature, "err": err, "logs": logs}).to_string();
        let context = Obj::new().raw("slot", &self.slot.to_string()).end();
        let result = Obj::new().raw("context", &context).raw("value", &value).end();
        self.notices.push(Notice { program: draw.program, result });
    }

    /// Answers `getMultipleAccounts` for pools; `None` for anything else, and for accounts none of which is a pool.
    pub(in crate::sim) fn rpc(&self, body: &[u8], slot: u64) -> Option<String> {
        let call: Value = serde_json::from_slice(body).ok()?;
        let keys = (call["method"] == "getMultipleAccounts").then(|| call["params"][0].as_array())??;
        if keys.len() > 100 || !keys.iter().filter_map(Value::as_str).any(|key| self.pools.contains_key(key)) {
            return None;
        }
        let slice = &call["params"][1]["dataSlice"];
        let range =
            (slice["offset"].as_u64().unwrap_or(0) as usize, slice["length"].as_u64().unwrap_or(1_000) as usize);
        let account = |key: &Value| match self.pools.get(key.as_str().unwrap_or_default()) {
            Some(pool) if !self.is_poolless => pool_account(*pool, self.shape.usdc_percent, range),
            _ => Value::Null,
        };
        let value: Vec<Value> = keys.iter().map(account).collect();
        let result = json!({"context": {"apiVersion": "4.3.2", "slot": slot}, "value": value});
        Some(json!({"jsonrpc": "2.0", "result": result, "id": call["id"]}).to_string())
    }

    /// Answers a query of Bitquery's: rows of five minutes or an hour between `since` and `till`, one for each currency.
    pub(in crate::sim) fn bitquery(&self, request: &Request) -> Response {
        match self.bitquery_status {
            200 => {}
            402 => return Response::json(402, r#"{"error":"No active billing period"}"#.to_owned()),
            429 => return Response::text(429, "Too many requests").with("Retry-After", 1),
            0 => return Response::json(200, r#"{"data":null,"errors":[{"message":"points limit"}]}"#.to_owned()),
            status => return Response::text(status, "unwell"),
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let span = |name: &str| {
            let text = body["variables"][name].as_str()?;
            let at = humantime::parse_rfc3339_weak(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
            i64::try_from(at.as_secs()).ok()
        };
        let (Some(since), Some(till), Verb::Post) = (span("since"), span("till"), request.verb) else {
            return Response::json(200, r#"{"errors":[{"message":"since and till wanted"}]}"#.to_owned());
        };
        let is_fine = body["query"].as_str().is_some_and(|query| query.contains("in: minutes"));
        let step_s = if is_fine { BUCKET_S } else { 3_600 };
        let first = since.div_euclid(step_s) * step_s;
        let rows: Vec<Value> = (first..till.min(first + 60 * 86_400))
            .step_by(step_s as usize)
            .flat_map(|at_s| self.rows(at_s, step_s))
            .collect();
        Response::json(200, json!({"data": {"Solana": {"DEXTradeByTokens": rows}}}).to_string())
    }

    /// The rows of one span: SOL's and USDC's.
    fn rows(&self, at_s: i64, span_s: i64) -> Vec<Value> {
        let boundary_s = (self.started.0.div_euclid(BUCKET_NS) - 86_400 / BUCKET_S) * BUCKET_S;
        let (mut sol, mut usdc) = (0_i64, 0_i64);
        for bucket_s in (at_s..at_s + span_s).step_by(BUCKET_S as usize) {
            let is_newer = bucket_s >= boundary_s;
            let whole = self.shape.bucket_usd(bucket_s, is_newer).0;
            let shifted = if is_newer { self.shape.usdc_shift_percent } else { 0 };
            let part = whole / 100 * i64::from((self.shape.usdc_percent + shifted).min(100));
            (sol, usdc) = (sol + whole - part, usdc + part);
        }
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(at_s.unsigned_abs());
        let time = humantime::format_rfc3339_seconds(time).to_string();
        let row = |usd: i64| json!({"Block": {"Time": time}, "usd": Notional(usd).to_string(), "trades": "1000"});
        [sol, usdc].into_iter().filter(|usd| *usd > 0).map(row).collect()
    }
}

/// Every fiftieth pool is turned round: SOL is its base.
fn is_turned(pool: u16) -> bool {
    pool % 50 == 49
}

fn pool_key(pool: u16) -> Key {
    let mut key = [0x77; 32];
    key[..2].copy_from_slice(&pool.to_be_bytes());
    key
}

fn coin_key(pool: u16) -> Key {
    let mut key = [0x33; 32];
    key[..2].copy_from_slice(&pool.to_be_bytes());
    key
}

fn pool_account(pool: u16, usdc_percent: u8, (offset, length): (usize, usize)) -> Value {
    let mut data = vec![0xf1, 0x9a, 0x6d, 0x04, 0x11, 0xb1, 0x6d, 0xbc, 254, 0, 0];
    data.extend([0x44; 32]);
    let quote = if u8::try_from(pool % 100).unwrap_or(0) < usdc_percent { USDC } else { WSOL };
    let (base, quote) = if is_turned(pool) { (WSOL, coin_key(pool)) } else { (coin_key(pool), quote) };
    data.extend([base, quote].concat());
    data.resize(300, 0x55);
    let from = offset.min(data.len());
    let slice = &data[from..(from + length).min(data.len())];
    json!({"data": [STANDARD.encode(slice), "base64"], "executable": false, "lamports": 2_978_880,
        "owner": Program::Amm.text(), "rentEpoch": u64::MAX, "space": 300})
}

/// "event:TradeEvent" in today's layout.
fn curve_event(draw: &Draw, amount: u64, is_usdc: bool) -> Vec<u8> {
    let mut event = vec![0xbd, 0xdb, 0x7f, 0xd3, 0x4e, 0xe6, 0x61, 0xee];
    event.extend(coin_key(draw.pool));
    event.extend(draw.lamports.to_le_bytes());
    event.extend(35_000_000_000_u64.to_le_bytes());
    event.push(u8::from(draw.is_buy));
    event.extend([0x0b; 32]);
    event.extend(draw.at_s.to_le_bytes());
    event.resize(258, 0);
    let name: &[u8] = if draw.is_buy { b"buy_v2" } else { b"sell_v2" };
    event.extend((name.len() as u32).to_le_bytes());
    event.extend(name);
    event.extend([0; 33]);
    event.extend(u32::from(draw.pool % 3).to_le_bytes());
    event.extend(vec![0x66; usize::from(draw.pool % 3) * 34]);
    event.extend(if is_usdc { USDC } else { [0; 32] });
    event.extend(amount.to_le_bytes());
    event.extend([0; 16]);
    event
}

/// "event:BuyEvent" or "event:SellEvent".
fn amm_event(draw: &Draw, amount: u64) -> Vec<u8> {
    let name: [u8; 8] = if draw.is_buy {
        [0x67, 0xf4, 0x52, 0x1f, 0x2c, 0xf5, 0x77, 0x77]
    } else {
        [0x3e, 0x2f, 0x37, 0x0a, 0xa5, 0x03, 0xdc, 0x2a]
    };
    let mut event = name.to_vec();
    event.extend(draw.at_s.to_le_bytes());
    event.resize(64, 0);
    event.extend(amount.to_le_bytes());
    event.resize(120, 0);
    event.extend(pool_key(draw.pool));
    event.resize(352, 0);
    event
}

/// The log of a transaction: the router calls the program, which calls the token program and writes its event; a forged
/// one has the router write it.
fn log(program: &str, event: &str, fate: Fate, number: u64) -> Vec<String> {
    let line = |text: &str| text.to_owned();
    let mut logs = vec![
        line("Program ComputeBudget111111111111111111111111111111 invoke [1]"),
        line("Program ComputeBudget111111111111111111111111111111 success"),
        format!("Program {ROUTER} invoke [1]"),
        format!("Program log: swap {number}"),
    ];
    if fate == Fate::Forged {
        logs.push(format!("Program log: Program {program} invoke [2]"));
        logs.push(event.to_owned());
    }
    logs.push(format!("Program {program} invoke [2]"));
    logs.push(line("Program log: Instruction: Buy"));
    logs.push(format!("Program {TOKEN} invoke [3]"));
    logs.push(line("Program log: Instruction: TransferChecked"));
    logs.push(format!("Program {TOKEN} consumed 6238 of 168321 compute units"));
    logs.push(format!("Program {TOKEN} success"));
    if fate == Fate::Truncated {
        logs.push(line("Log truncated"));
        return logs;
    }
    if fate != Fate::Forged {
        logs.push(event.to_owned());
    }
    logs.push(format!("Program {program} consumed 61234 of 180000 compute units"));
    if fate == Fate::Failed {
        logs.push(format!("Program {program} failed: custom program error: 0x1772"));
        logs.push(format!("Program {ROUTER} failed: custom program error: 0x1772"));
        return logs;
    }
    logs.push(format!("Program {program} success"));
    logs.push(format!("Program {ROUTER} success"));
    logs
}

/// 64 bytes of base58, near enough: two keys' texts.
fn signature(seed: u64, number: u64) -> String {
    let mut dice = SplitMix64(seed ^ number.rotate_left(17));
    let mut half = || {
        let mut key = [0; 32];
        key.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&dice.draw().to_be_bytes()));
        KeyText::of(&key).to_string()
    };
    let (first, second) = (half(), half());
    first + &second
}
