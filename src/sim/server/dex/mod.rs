//! The Solana exchanges: Manifest's SOL/USDC market account, told and asked for as a node does, and Jupiter's quotes.
//!
//! Thread: any.  Invariants: both follow the exchange's mid, slot by slot; an account that does not change is not told
//! again, as nodes do since Agave 4.2; whatever a fault changes is what clients are told, never the exchange's books.

pub mod account;
mod jupiter;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::http::{Request, Response};
use super::json::{Obj, array};
use super::solana::{INVALID_PARAMS, error, result};
use super::world::World;
use crate::types::{Price, Side, Time};
use account::{MarketAccount, Order};
use jupiter::Jupiter;
pub use jupiter::JupiterState;

/// Wrapped SOL.
const WSOL: &str = "So11111111111111111111111111111111111111112";
const WSOL_BYTES: [u8; 32] = [
    0x06, 0x9b, 0x88, 0x57, 0xfe, 0xab, 0x81, 0x84, 0xfb, 0x68, 0x7f, 0x63, 0x46, 0x18, 0xc0, 0x35, 0xda, 0xc4, 0x39,
    0xdc, 0x1a, 0xeb, 0x3b, 0x55, 0x98, 0xa0, 0xf0, 0x00, 0x00, 0x00, 0x00, 0x01,
];
/// USDC.
const USDC: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
const USDC_BYTES: [u8; 32] = [
    0xc6, 0xfa, 0x7a, 0xf3, 0xbe, 0xdb, 0xad, 0x3a, 0x3d, 0x65, 0xf3, 0x6a, 0xab, 0xc9, 0x74, 0x31, 0xb1, 0xbb, 0xe4,
    0xc2, 0xd2, 0xf6, 0xe0, 0xe4, 0x7c, 0xa6, 0x02, 0x03, 0x45, 0x2f, 0x5d, 0x61,
];
/// The market's address, and the program's.
const MARKET: &str = "ENhU8LsaR7vDD2G1CsWcsuSGNrih9Cv5WZEk7q9kPapQ";
const PROGRAM: &str = "MNFSTqtC93rEfYHB6hF82sKdZpUDFWkViLByLd1k1Ms";
const SYSTEM_PROGRAM: &str = "11111111111111111111111111111111";
/// Prices a side.
const LEVELS: u32 = 8;
/// Rent epoch of an account that pays none: larger than any float or i64 holds.
const NO_RENT: &str = "18446744073709551615";

/// How the market account is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DexState {
    /// As it is.
    #[default]
    Ok,
    /// As it was when this was switched: nothing changes any more, so nothing is told; asked, it is still the same.
    Frozen,
    /// Random bytes.
    Hostile,
    /// With another quote mint.
    WrongMint,
    /// Owned by another program.
    WrongOwner,
    /// Not there: `null`.
    Absent,
    /// With its asks below its bids.
    Crossed,
}

/// State of both.
#[derive(Default)]
pub(in crate::sim) struct Dex {
    pub(super) state: DexState,
    /// How many slots the node's answers are behind.
    pub(super) lag_slots: u64,
    /// How far both lie from the exchange's mid, basis points.
    pub(super) diverge_bps: i32,
    jupiter: Jupiter,
    /// The account as last made: JSON, `null` if there is none.
    value: String,
    told: String,
    slot: u64,
    random: u64,
}

impl Dex {
    pub(super) fn set_jupiter(&mut self, state: JupiterState) {
        self.jupiter.state = state;
    }
    pub(super) fn set_keyless(&mut self, is_keyless: bool) {
        self.jupiter.is_keyless = is_keyless;
    }

    /// A price moved by what a fault says.
    fn moved(&self, mid: Price) -> Price {
        Price(mid.0 + mid.0 / 10_000 * i64::from(self.diverge_bps))
    }

    /// Makes the account anew.
    fn make(&mut self, mid: Price) {
        if self.state == DexState::Frozen && !self.value.is_empty() {
            return;
        }
        let owner = if self.state == DexState::WrongOwner { SYSTEM_PROGRAM } else { PROGRAM };
        let data = match self.state {
            DexState::Hostile => self.random_bytes(),
            _ => market(self.state, self.moved(mid)).bytes(),
        };
        let account =
            Obj::new().int("lamports", 33_594).raw("data", &format!("[\"{}\",\"base64\"]", STANDARD.encode(&data)));
        let account = account.text("owner", owner).bool("executable", false).raw("rentEpoch", NO_RENT);
        let account = account.int("space", data.len() as i64).end();
        self.value = if self.state == DexState::Absent { "null".to_owned() } else { account };
    }

    fn random_bytes(&mut self) -> Vec<u8> {
        let mut next = || {
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.random >> 56) as u8
        };
        let length = 256 + 80 * (usize::from(next()) % 8) + usize::from(next()) % 3;
        (0..length).map(|_| next()).collect()
    }

    fn context(&self) -> String {
        Obj::new().text("apiVersion", "4.3.2").int("slot", self.slot.saturating_sub(self.lag_slots) as i64).end()
    }
}

/// A book around `mid`: prices 1, 3, 5 … bps away, larger further off; one order has expired, one nobody stands behind.
fn market(state: DexState, mid: Price) -> MarketAccount {
    let mut orders = Vec::new();
    for level in 0..LEVELS {
        for side in [Side::Buy, Side::Sell] {
            let away = mid.0 / 10_000 * i64::from(1 + 2 * level);
            let is_above = (side == Side::Sell) != (state == DexState::Crossed);
            let price = if is_above { mid.0 + away } else { mid.0 - away };
            orders.push(order(side, price, 3 + 2 * u64::from(level), orders.len() as u64));
        }
    }
    let inside = |side: Side| if side == Side::Buy { mid.0 - 1_000 } else { mid.0 + 1_000 };
    let expired = Order { last_valid_slot: 1, ..order(Side::Buy, inside(Side::Buy), 9, 90) };
    let unfunded = Order { kind: 3, ..order(Side::Sell, inside(Side::Sell), 9, 91) };
    orders.extend([expired, unfunded].into_iter().filter(|_| state != DexState::Crossed));
    let mut mints = [WSOL_BYTES, USDC_BYTES];
    if state == DexState::WrongMint {
        mints[1][31] ^= 1;
    }
    let (decimals, bumps, vaults) = ([9, 6], [254, 253], [[3; 32], [4; 32]]);
    MarketAccount { decimals, bumps, mints, vaults, next_seq: 100, quote_volume: 0, orders }
}

fn order(side: Side, price: i64, sol: u64, seq: u64) -> Order {
    let price_e18 = price.max(1) as u128 * 10_000_000; // 1e-8 USDC a SOL is 1e-11 micro-USDC a lamport
    Order { side, price_e18, base_atoms: sol * 1_000_000_000, seq, trader: 0, last_valid_slot: 0, kind: 2 }
}

impl World {
    /// Makes the account anew in each slot.
    fn keep_account(&mut self) {
        if self.slot != self.dex.slot || self.dex.value.is_empty() {
            self.dex.slot = self.slot;
            self.dex.make(self.venue.mid());
        }
    }

    /// What `accountSubscribe` is told now: the notification's result, if the account changed.
    pub(super) fn account_news(&mut self) -> Option<String> {
        if let Some(played) = self.played.as_mut().filter(|played| played.chain.tells_account()) {
            return played.chain.take_account();
        }
        self.keep_account();
        if self.slots_stalled || self.dex.value == self.dex.told {
            return None;
        }
        self.dex.told.clone_from(&self.dex.value);
        Some(Obj::new().raw("context", &self.dex.context()).raw("value", &self.dex.value).end())
    }

    /// Answers a JSON-RPC body that asks for accounts; `None` if it asks for something else.
    pub(super) fn account_post(&mut self, body: &[u8]) -> Option<String> {
        let call: Value = serde_json::from_slice(body).ok()?;
        let id = call.get("id").unwrap_or(&Value::Null);
        let asked = call.get("params")?.get(0)?;
        if asked == MARKET
            && call.get("method")? == "getAccountInfo"
            && let Some(answer) = self.played.as_ref().and_then(|played| played.account(id))
        {
            return Some(answer);
        }
        self.keep_account();
        let of = |key: &Value| if key == MARKET { self.dex.value.clone() } else { "null".to_owned() };
        let value = match call.get("method")?.as_str()? {
            "getAccountInfo" => of(asked),
            "getMultipleAccounts" => array(asked.as_array()?.iter().map(of)),
            _ => return None,
        };
        Some(result(id, &Obj::new().raw("context", &self.dex.context()).raw("value", &value).end()))
    }

    /// Answers a request for a quote; `None` if it is none.
    pub(super) fn quote(&mut self, request: &Request, now: Time) -> Option<Response> {
        let mid = self.dex.moved(self.venue.mid());
        self.dex.jupiter.answer(request, mid, now)
    }
}

/// The account subscriptions of one PubSub connection.
#[derive(Default)]
pub(super) struct AccountSubscriptions {
    /// Number and account.
    live: Vec<(u64, String)>,
}

impl AccountSubscriptions {
    /// Answers a frame that is about accounts; `None` if it is about something else.
    pub(super) fn answer(&mut self, frame: &str, next: &mut u64) -> Option<String> {
        let call: Value = serde_json::from_str(frame).ok()?;
        let id = call.get("id").unwrap_or(&Value::Null);
        let first = call.get("params").and_then(|params| params.get(0));
        match call.get("method")?.as_str()? {
            "accountSubscribe" => {
                let encoding = call.get("params").and_then(|params| params.get(1)?.get("encoding"));
                let (Some(account), Some("base64")) = (first.and_then(Value::as_str), encoding.and_then(Value::as_str))
                else {
                    return Some(error(id, INVALID_PARAMS, "Invalid params: only base64 is served here."));
                };
                *next += 1;
                self.live.push((*next, account.to_owned()));
                Some(result(id, &next.to_string()))
            }
            "accountUnsubscribe" => {
                let before = self.live.len();
                self.live.retain(|(live, _)| Some(*live) != first.and_then(Value::as_u64));
                Some(if self.live.len() < before {
                    result(id, "true")
                } else {
                    error(id, INVALID_PARAMS, "Invalid subscription id.")
                })
            }
            _ => None,
        }
    }

    /// The notifications of a changed market account.
    pub(super) fn notify(&self, news: &str) -> impl Iterator<Item = String> {
        self.live.iter().filter(|(_, account)| account == MARKET).map(move |(id, _)| {
            let params = Obj::new().raw("result", news).raw("subscription", &id.to_string()).end();
            Obj::new().text("jsonrpc", "2.0").text("method", "accountNotification").raw("params", &params).end()
        })
    }
}
