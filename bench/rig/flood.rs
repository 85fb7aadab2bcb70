//! The load: ten streams over four connections at a steady rate, written in batches between the triggers.
//!
//! Thread: the venue's, so that on two cores only the scout shares its core.  Invariants: what is owed is written, late
//! rather than not, up to a limit that is reported; every number that a session checks rises by one.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use sol_volume_bot::types::Time;
use sol_volume_bot::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use sol_volume_bot::venue::pumpchain::Program;

use crate::dex_desk::notice;
use crate::frames::{self, LogTemplate, Template, dex_accounts, kraken_book, push_head};
use crate::kraken_desk::ONLINE;
use crate::rest::World;
use crate::rig::peer::{Peer, listen};
use crate::rig::venue::Venue;

/// Streams of the load, the messages of each in a second. The triggers' slots are the eleventh.
pub const STREAMS: [(&str, i64); 10] = [
    ("binance_bbo", 15_000),
    ("binance_depth", 100),
    ("binance_trade", 8_000),
    ("binance_candle", 50),
    ("kraken_book", 6_000),
    ("kraken_ticker", 2_000),
    ("kraken_trade", 2_000),
    ("curve_logs", 8_500),
    ("pumpswap_logs", 8_500),
    ("dex_account", 100),
];
/// Without load: enough that nothing grows stale.
const TRICKLE: i64 = 2;
/// Pause between two batches; no divisor of the triggers' period, so that a trigger meets every phase of it.
const BATCH_NS: i64 = 700_000;
/// More than so much time is not made up for.
const LATE_NS_MAX: i64 = 500 * NANOS_PER_MILLI;
/// Ticks before the chain is told of.
const PRICE_TICKS: u64 = 2;
/// How often requests are looked for.
const LISTEN_NS: i64 = 2 * NANOS_PER_MILLI;

/// Listening sockets of Kraken, the log subscriptions and the account subscription.
pub struct FloodDoors {
    listeners: [TcpListener; 3],
    /// Their addresses.
    pub addrs: [SocketAddr; 3],
}

impl FloodDoors {
    /// Opens them.
    pub fn open() -> FloodDoors {
        let [(a, a_addr), (b, b_addr), (c, c_addr)] = [listen(), listen(), listen()];
        FloodDoors { listeners: [a, b, c], addrs: [a_addr, b_addr, c_addr] }
    }
}

/// See the module.
pub struct Flood {
    kraken: Peer,
    chain: Peer,
    dex: Peer,
    world: Arc<World>,
    snapshot: String,
    /// Ticks of the lower and of the higher top.
    bbo: [Vec<Template>; 2],
    plain: [Vec<Template>; 6],
    logs: [Vec<LogTemplate>; 2],
    accounts: [Vec<u8>; 2],
    /// Whether each of the ten is subscribed to.
    open: [bool; 10],
    /// Nanoseconds times rate that each stream is behind.
    owed: [i64; 10],
    /// Messages written of each stream.
    pub written: [u64; 10],
    /// Transactions written that hold a trade which counts.
    pub trades: u64,
    /// Time that was not made up for, ns.
    pub lost_ns: i64,
    last: Time,
    listened: Time,
    second: i64,
    bufs: [Vec<u8>; 4],
}

/// Of [`Flood::plain`], the stream's number.
const PLAIN: [usize; 6] = [1, 2, 3, 4, 5, 6];

impl Flood {
    /// Waits for the three connections of the scout.
    pub fn welcome(doors: FloodDoors, world: Arc<World>, now: Time) -> Flood {
        let [kraken, chain, dex] = doors.listeners.map(|listener| {
            let mut peer = Peer::accept(&listener, None);
            peer.upgrade();
            peer
        });
        let second = now.0 / NANOS_PER_SEC;
        let (snapshot, book) = kraken_book();
        let (ticker, trade) = frames::kraken_ticker_and_trade();
        let [depth, binance_trade, candle] = frames::depth_trade_candle(now.millis().0);
        let mut flood = Flood {
            kraken,
            chain,
            dex,
            world,
            snapshot,
            bbo: [frames::bbo(("161.00", "161.01")), frames::bbo(("161.50", "161.51"))],
            plain: [depth, binance_trade, candle, book, ticker, trade],
            logs: [Program::Curve, Program::Amm].map(|program| frames::logs(program, second)),
            accounts: dex_accounts(),
            open: std::array::from_fn(|stream| stream < 4),
            owed: [0; 10],
            written: [0; 10],
            trades: 0,
            lost_ns: 0,
            last: now,
            listened: Time::NONE,
            second,
            bufs: Default::default(),
        };
        flood.kraken.send(ONLINE);
        flood
    }

    /// True once everything is subscribed to.
    pub fn is_open(&self) -> bool {
        self.open.iter().all(|open| *open)
    }

    /// Writes what is due by now, and answers what was asked. Output: false = it was too early for the next batch.
    pub fn turn(&mut self, venue: &mut Venue, loaded: bool) -> bool {
        let now = venue.now();
        if now.since(self.listened) >= LISTEN_NS {
            self.listened = now;
            self.listen();
        }
        let passed = now.since(self.last);
        if passed < BATCH_NS {
            return false;
        }
        self.last = now;
        self.lost_ns += (passed - LATE_NS_MAX).max(0);
        self.world.slot.store(venue.slot(), Ordering::Release);
        self.set_second(now.0 / NANOS_PER_SEC);
        let has_price = self.written[0] > PRICE_TICKS; // a trade of the chain counts once SOL has one
        let told = |stream: usize| self.open[stream] && (stream < 7 || has_price);
        let told: [bool; 10] = std::array::from_fn(told);
        for (stream, (_, rate)) in STREAMS.iter().enumerate().filter(|(stream, _)| told[*stream]) {
            self.owed[stream] += passed.min(LATE_NS_MAX) * if loaded { *rate } else { TRICKLE };
            let due = self.owed[stream] / NANOS_PER_SEC;
            self.owed[stream] %= NANOS_PER_SEC;
            for _ in 0..due {
                push(
                    stream,
                    self.written[stream],
                    venue,
                    (&mut self.bufs, &mut self.trades),
                    (&mut self.bbo, &mut self.plain, &mut self.logs, &self.accounts),
                );
                self.written[stream] += 1;
            }
        }
        self.world.depth.store(self.written[1].saturating_sub(1), Ordering::Release);
        let [market, kraken, chain, dex] = &mut self.bufs;
        venue.pour(market);
        self.kraken.write(kraken);
        self.chain.write(chain);
        self.dex.write(dex);
        self.bufs.iter_mut().for_each(Vec::clear);
        true
    }

    /// Trades are of this second.
    fn set_second(&mut self, second: i64) {
        if std::mem::replace(&mut self.second, second) != second {
            self.logs.iter_mut().flatten().for_each(|log| log.set_time(second));
        }
    }

    fn listen(&mut self) {
        let Flood { kraken, chain, dex, open, snapshot, written, .. } = self;
        kraken.read();
        while let Some(asked) = next(kraken) {
            let req_id = &asked["req_id"];
            let method = asked["method"].as_str().expect("a method");
            if method == "ping" {
                kraken.send(&format!(r#"{{"method":"pong","req_id":{req_id}}}"#));
                continue;
            }
            assert_eq!(method, "subscribe", "the book was lost");
            let channel = asked["params"]["channel"].as_str().expect("a channel");
            kraken.send(&format!(
                r#"{{"method":"subscribe","req_id":{req_id},"result":{{"channel":"{channel}","symbol":"SOL/USD"}},"success":true,"time_in":"2026-11-22T10:00:00.000100Z","time_out":"2026-11-22T10:00:00.000150Z"}}"#
            ));
            match channel {
                "book" => {
                    kraken.send(snapshot);
                    (open[4], written[4]) = (true, 0);
                }
                "ticker" => open[5] = true,
                _ => open[6] = true,
            }
        }
        chain.read();
        while let Some(asked) = next(chain) {
            let id = asked["id"].as_u64().expect("an id");
            chain.send(&json!({"jsonrpc": "2.0", "result": 70 + id, "id": id}).to_string());
            open[usize::try_from(6 + id).expect("curve or PumpSwap")] = true;
        }
        dex.read();
        while let Some(asked) = next(dex) {
            dex.send(&json!({"jsonrpc": "2.0", "result": 7, "id": asked["id"]}).to_string());
            open[9] = true;
        }
    }
}

/// The next request.
fn next(peer: &mut Peer) -> Option<Value> {
    peer.has_bytes().then(|| peer.next_text().map(|text| serde_json::from_slice(text).expect("JSON"))).flatten()
}

/// What frames are copied from.
type Sources<'a> =
    (&'a mut [Vec<Template>; 2], &'a mut [Vec<Template>; 6], &'a mut [Vec<LogTemplate>; 2], &'a [Vec<u8>; 2]);

/// Appends the `number`-th message of a stream to the buffer of its connection.
fn push(
    stream: usize,
    number: u64,
    venue: &mut Venue,
    ([market, kraken, chain, dex], trades): (&mut [Vec<u8>; 4], &mut u64),
    (bbo, plain, logs, accounts): Sources<'_>,
) {
    let pick = |count: usize| usize::try_from(number).unwrap_or(0) % count;
    match stream {
        0 => {
            let (update, (bid, _)) = venue.tick();
            let of_top = &mut bbo[usize::from(bid == "161.50")];
            let count = of_top.len();
            of_top[pick(count)].push(update, market);
        }
        1..=6 => {
            let at = PLAIN.iter().position(|plain| *plain == stream).expect("a plain stream");
            let count = plain[at].len();
            plain[at][pick(count)].push(number, if stream < 4 { market } else { kraken });
        }
        7 | 8 => {
            let logs = &mut logs[stream - 7];
            let count = logs.len();
            let log = &mut logs[pick(count)];
            *trades += u64::from(log.counts);
            log.template.push(number, chain);
        }
        _ => {
            let text = notice(venue.slot(), &accounts[pick(2)]);
            push_head(text.len(), dex);
            dex.extend_from_slice(&text);
        }
    }
}
