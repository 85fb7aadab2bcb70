//! Kraken Spot in a box: the public WebSocket (version 2) and the REST depth of one pair, `SOL/USD`.
//!
//! Thread: any, under the world's lock.  Invariants: the book's touch is the exchange's own, so both venues agree; every
//! message carries the checksum of the book that its reader should have then, computed from the text that was sent and by
//! a path of its own, so that reader and venue cannot be wrong together.
//! Source: kraken fact sheet, sections 2 and 5.

mod recorded;
mod session;

use std::collections::BTreeMap;

use serde::Deserialize;

pub(super) use session::KrakenSession;

use recorded::Recorded;

use super::fault::Fault;
use super::http::{Request, Response, Verb};
use super::json::quoted;
use crate::sim::exchange::PublicTrade;
use crate::sim::market::SplitMix64;
use crate::telemetry::lines::rfc3339_us;
use crate::types::event::Bbo;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::{Side, Time};
use crate::venue::kraken::Pair;
use crate::venue::kraken::session::BookDepth;

/// The one pair.
const PAIR: &str = "SOL/USD";
const REST_PAIR: &str = "SOLUSD";
/// Levels a side that exist; deeper subscriptions get them all.
const LEVELS: i64 = 120;
/// How often the book changes.
const CHANGE_EVERY_NS: i64 = 50 * NANOS_PER_MILLI;
/// Levels that change their size each time.
const CHANGES: i64 = 3;
/// Sizes are drawn up to this, in 1e-8.
const QTY_MAX_E8: i64 = 400 * 100_000_000;
/// Our fixed point to cents.
const CENT: i64 = 1_000_000;
/// REST calls that may come at once; one more a second after that.
const REST_BURST: i64 = 4;
const SEED: u64 = 0x6b72_616b_656e;

/// What the venue's engine says that it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KrakenSystem {
    /// All.
    #[default]
    Online,
    /// Nothing: no market data either.
    Maintenance,
    /// Takes cancels only.
    CancelOnly,
    /// Takes post-only orders only.
    PostOnly,
}

impl KrakenSystem {
    fn word(self) -> &'static str {
        match self {
            KrakenSystem::Online => "online",
            KrakenSystem::Maintenance => "maintenance",
            KrakenSystem::CancelOnly => "cancel_only",
            KrakenSystem::PostOnly => "post_only",
        }
    }
}

/// A level: price in cents, size in 1e-8.
type Level = (i64, i64);

/// Both sides, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sides {
    bids: Vec<Level>,
    asks: Vec<Level>,
}

impl Sides {
    /// The checksum of these levels, from the text that stands for them.
    fn checksum(&self) -> u32 {
        let mut text = String::new();
        for (price, qty) in self.asks.iter().take(10).chain(self.bids.iter().take(10)) {
            for number in [price_text(*price), qty_text(*qty)] {
                text.push_str(number.replace('.', "").trim_start_matches('0'));
            }
        }
        crc32(text.as_bytes())
    }
}

/// CRC-32 as the standard defines it: bit after bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut rest = u32::MAX;
    for bit in bytes.iter().flat_map(|byte| (0..8).map(move |at| u32::from(*byte >> at & 1))) {
        let carry = (rest ^ bit) & 1;
        rest = (rest >> 1) ^ (carry * 0xedb8_8320);
    }
    !rest
}

fn price_text(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn qty_text(e8: i64) -> String {
    format!("{}.{:08}", e8 / 100_000_000, e8 % 100_000_000)
}

/// The venue.
pub(in crate::sim) struct Kraken {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
    trades: Vec<PublicTrade>,
    draws: SplitMix64,
    touch: (i64, i64),
    change_at: Time,
    connections: u64,
    system: KrakenSystem,
    bad_checksums: u32,
    crossings: u32,
    mute: bool,
    silent: bool,
    rest_calls: i64,
    rest_since: Time,
    /// In place of its own market.
    recorded: Option<Recorded>,
}

impl Kraken {
    pub(super) fn new() -> Kraken {
        Kraken {
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
            trades: Vec::new(),
            draws: SplitMix64(SEED),
            touch: (0, 0),
            change_at: Time::NONE,
            connections: 0,
            system: KrakenSystem::Online,
            bad_checksums: 0,
            crossings: 0,
            mute: false,
            silent: false,
            rest_calls: 0,
            rest_since: Time::NONE,
            recorded: None,
        }
    }

    /// From here on it says what was recorded of this pair, at this depth; also when the recording begins again.
    pub(super) fn play(&mut self, (pair, depth): (Pair, BookDepth)) {
        self.recorded = Some(Recorded::new(pair, depth.levels()));
    }

    /// One frame of the recording comes.
    pub(super) fn hear(&mut self, frame: &[u8]) {
        if let Some(recorded) = &mut self.recorded {
            recorded.hear(frame);
        }
    }

    /// Follows the exchange's touch, and lets some sizes change when it is time; `trades` are the newest ones.
    pub(super) fn step(&mut self, touch: Option<Bbo>, trades: Vec<PublicTrade>, now: Time) {
        self.trades = trades;
        let Some(touch) = touch.filter(|touch| touch.bid.0 > 0 && touch.ask > touch.bid) else { return };
        let (bid, ask) = (touch.bid.0 / CENT, (touch.ask.0 / CENT).max(touch.bid.0 / CENT + 1));
        if (bid, ask) == self.touch && now < self.change_at {
            return;
        }
        self.touch = (bid, ask);
        self.bids.retain(|price, _| (bid - LEVELS + 1..=bid).contains(price));
        self.asks.retain(|price, _| (ask..ask + LEVELS).contains(price));
        for away in 0..LEVELS {
            if bid > away && !self.bids.contains_key(&(bid - away)) {
                let qty = self.size();
                self.bids.insert(bid - away, qty);
            }
            if !self.asks.contains_key(&(ask + away)) {
                let qty = self.size();
                self.asks.insert(ask + away, qty);
            }
        }
        if now < self.change_at {
            return;
        }
        self.change_at = now.plus(CHANGE_EVERY_NS);
        for _ in 0..CHANGES {
            let (near, buy, sell) = (self.draws.below(20), self.size(), self.size());
            self.bids.insert(bid - near, buy);
            self.asks.insert(ask + near, sell);
        }
    }

    fn size(&mut self) -> i64 {
        1 + self.draws.below(QTY_MAX_E8)
    }

    /// The best `depth` levels of both sides.
    fn sides(&self, depth: usize) -> Sides {
        let level = |(price, qty): (&i64, &i64)| (*price, *qty);
        Sides {
            bids: self.bids.iter().rev().take(depth).map(level).collect(),
            asks: self.asks.iter().take(depth).map(level).collect(),
        }
    }

    /// The checksum that a message says, which a fault may have spoilt.
    fn told_checksum(&mut self, sides: &Sides) -> u32 {
        let spoilt = u32::from(super::binance::take_one(&mut self.bad_checksums));
        sides.checksum() ^ spoilt
    }

    pub(super) fn apply(&mut self, fault: &Fault) {
        match fault {
            Fault::KrakenBadChecksums(count) => self.bad_checksums = *count,
            Fault::KrakenCrossed(count) => self.crossings = *count,
            Fault::KrakenMute(mute) => self.mute = *mute,
            Fault::KrakenSilent(silent) => self.silent = *silent,
            Fault::KrakenStatus(system) => self.system = *system,
            _ => {}
        }
    }

    /// Answers a path below `/kraken/0/`.
    pub(super) fn rest(&mut self, request: &Request, now: Time) -> Response {
        let earned = now.since(self.rest_since) / NANOS_PER_SEC;
        if earned > 0 {
            self.rest_calls = (self.rest_calls - earned).max(0);
            self.rest_since = now;
        }
        let refused = |words: &str| Response::json(200, format!("{{\"error\":[{}]}}", quoted(words)));
        if self.rest_calls >= REST_BURST {
            return refused("EGeneral:Too many requests");
        }
        self.rest_calls += 1;
        if request.verb != Verb::Get || request.path != "/kraken/0/public/Depth" {
            return refused("EGeneral:Unknown method");
        }
        let param = |name: &str| {
            let mut pairs = request.query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        if !param("pair").is_some_and(|pair| [REST_PAIR, PAIR, "SOL%2FUSD"].contains(&pair)) {
            return refused("EQuery:Unknown asset pair");
        }
        let Some(count) = param("count").map_or(Some(100), |text| text.parse().ok()).filter(|count| *count <= 500)
        else {
            return refused("EGeneral:Invalid arguments:count");
        };
        let sides = self.sides(count);
        let at_s = now.0 / NANOS_PER_SEC;
        let side = |levels: &[Level]| {
            let row = |(price, qty): &Level| {
                let thousandths = qty / 100_000;
                format!("[\"{}000\",\"{}.{:03}\",{at_s}]", price_text(*price), thousandths / 1_000, thousandths % 1_000)
            };
            levels.iter().map(row).collect::<Vec<_>>().join(",")
        };
        let (asks, bids) = (side(&sides.asks), side(&sides.bids));
        let body = format!("{{\"error\":[],\"result\":{{\"{REST_PAIR}\":{{\"asks\":[{asks}],\"bids\":[{bids}]}}}}}}");
        Response::json(200, body)
    }
}

/// `[{"price":…,"qty":…},…]`
fn levels_json(levels: &[Level]) -> String {
    let level = |(price, qty): &Level| format!("{{\"price\":{},\"qty\":{}}}", price_text(*price), qty_text(*qty));
    format!("[{}]", levels.iter().map(level).collect::<Vec<_>>().join(","))
}

/// What must be sent so that a reader of `old` who cuts to the depth has `new`: a level that was merely pushed out is
/// not told, a level that is gone from the whole book is.
fn changes(old: &[Level], new: &[Level], exists: impl Fn(i64) -> bool) -> Vec<Level> {
    let set = new.iter().filter(|level| !old.contains(level)).copied();
    let is_new = |price: i64| new.iter().any(|level| level.0 == price);
    let gone = old.iter().filter(|level| !is_new(level.0) && !exists(level.0)).map(|level| (level.0, 0));
    set.chain(gone).collect()
}

fn time_json(now: Time) -> String {
    quoted(&rfc3339_us(now))
}

fn side_word(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKS: &str = "45285.2@0.00100000 45286.4@1.54571953 45286.6@1.54571109 45289.6@1.54560911 \
        45290.2@0.15890660 45291.8@1.54553491 45294.7@0.04454749 45296.1@0.35380000 45297.5@0.09945542 \
        45299.5@0.18772827";
    const BIDS: &str = "45283.5@0.10000000 45283.4@1.54582015 45282.1@0.10000000 45281.0@0.10000000 \
        45280.3@1.54592586 45279.0@0.07990000 45277.6@0.03310103 45277.5@0.30000000 45277.3@1.54602737 \
        45276.6@0.15445238";

    #[test]
    fn the_official_vector_gives_the_official_checksum() {
        let digits = |text: &str| {
            let numbers = text.split_whitespace().flat_map(|level| level.split('@'));
            numbers.map(|number| number.replace('.', "").trim_start_matches('0').to_owned()).collect::<String>()
        };
        assert_eq!(crc32((digits(ASKS) + &digits(BIDS)).as_bytes()), 3_310_070_434);
    }

    #[test]
    fn the_small_books_of_two_decimals_give_their_checksums() {
        let bids = vec![(14_236, 300_000_000), (14_235, 50_000)];
        let asks = vec![(14_237, 1_250_000_000), (14_238, 7_000_000), (14_241, 25_000_000_000)];
        assert_eq!(Sides { bids, asks }.checksum(), 437_706_113);
        let bids = vec![(14_236, 225_000_000), (14_235, 50_000)];
        let asks = vec![(14_238, 7_000_000), (14_239, 100_000_000), (14_241, 25_000_000_000)];
        assert_eq!(Sides { bids, asks }.checksum(), 3_019_098_155);
    }

    #[test]
    fn a_level_that_was_pushed_out_is_not_told_and_one_that_is_gone_is() {
        let old = [(100, 1), (99, 2), (98, 3)];
        let new = [(101, 9), (100, 1), (98, 4)];
        assert_eq!(changes(&old, &new, |price| price != 99), [(101, 9), (98, 4), (99, 0)]);
        assert_eq!(changes(&old, &[(101, 9), (100, 1), (99, 2)], |_| true), [(101, 9)]);
    }
}
