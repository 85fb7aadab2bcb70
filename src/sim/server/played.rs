//! A recorded market behind the doors: what its streams say next, what its REST answers.
//!
//! Thread: any, under the world's lock.  Invariants: a frame's payload leaves byte for byte; a depth answer is the recorded
//! snapshot brought forward by the recorded diffs, so a client bridges it to the diffs it hears, whenever it comes.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::http::{Request, Response, Verb};
use super::json::{Obj, array};
use super::played_chain::PlayedChain;
use crate::types::Time;
use crate::types::event::{EventKind, Slot};
use crate::types::instrument::Symbol;
use crate::venue::binance_spot::book::Book;
use crate::venue::binance_spot::decode::{self, Frame, Level, Levels, Market};
use crate::venue::binance_spot::messages;
use crate::venue::binance_spot::sync::BookSync;
use crate::venue::kraken::Pair;
use crate::venue::kraken::session::BookDepth;
use crate::venue::solana::SlotSession;

const DEPTH: &str = "binance_rest:/api/v3/depth";
const ACCOUNT: &str = "solana_rpc:getAccountInfo";
/// Each amount is a source of its own.
const QUOTES: &str = "jupiter:";
/// Quotes kept: some rounds.
const QUOTES_MAX: usize = 64;
/// Levels of a depth answer that names no limit, and of one that asks for too many.
const DEPTH_LEVELS: usize = 100;
const DEPTH_LEVELS_MAX: usize = 5_000;
/// Payloads queued before the oldest are forgotten: nobody listens.
const QUEUED_MAX: usize = 100_000;
/// Sources whose newest body is kept.
const BODIES_MAX: usize = 256;

/// What a play begins with.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// Whose market it is.
    pub symbol: Option<Symbol>,
    /// Its first slot.
    pub slot: Option<u64>,
    /// The pair and depth of Kraken's book in it; `None` = the built-in Kraken keeps a market of its own.
    pub kraken: Option<(Pair, BookDepth)>,
    /// First body of each source that answers requests: a client may ask before the record comes.
    pub bodies: BTreeMap<String, Vec<u8>>,
}

/// What a record means to the rest of the world.
pub(super) enum News {
    Market(Market),
    Slot(u64),
    Kraken,
    Nothing,
}

/// The recording as far as it was played.
pub(super) struct PlayedMarket {
    symbol: Option<Symbol>,
    kraken: Option<(Pair, BookDepth)>,
    queue: Vec<(String, String)>,
    bodies: BTreeMap<String, Vec<u8>>,
    levels: Levels,
    sync: BookSync,
    slots: SlotSession,
    /// Names of the quotes that are kept, the newest last.
    quotes: VecDeque<String>,
    /// What Solana's nodes say beside slots.
    pub(super) chain: PlayedChain,
}

impl PlayedMarket {
    pub(super) fn new(opening: Opening) -> PlayedMarket {
        PlayedMarket {
            symbol: opening.symbol,
            kraken: opening.kraken,
            queue: Vec::new(),
            bodies: opening.bodies,
            levels: Levels::new(),
            sync: BookSync::new(),
            slots: SlotSession::new(),
            quotes: VecDeque::new(),
            chain: PlayedChain::default(),
        }
    }

    /// Whose market it is.
    pub(super) fn symbol(&self) -> Option<Symbol> {
        self.symbol
    }

    /// Whose book Kraken's is.
    pub(super) fn kraken(&self) -> Option<(Pair, BookDepth)> {
        self.kraken
    }

    /// Stream payloads since the last call: stream name and JSON.
    pub(super) fn take(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.queue)
    }

    /// One record comes.
    pub(super) fn hear(&mut self, source: &str, bytes: &[u8], now: Time) -> News {
        match source {
            "binance_stream" => self.hear_market(bytes, now),
            "solana_ws" => self.hear_slot(bytes, now),
            "dex_ws" | "solana_logs" => {
                self.chain.hear(bytes);
                News::Nothing
            }
            "kraken_ws" => News::Kraken,
            _ => {
                self.hear_body(source, bytes, now);
                News::Nothing
            }
        }
    }

    fn hear_market(&mut self, frame: &[u8], now: Time) -> News {
        if let Some((stream, payload)) = unwrap(frame)
            && self.queue.len() < QUEUED_MAX
        {
            self.queue.push((stream, payload));
        }
        let Ok(Frame::Market(_, market)) = decode::frame(frame, self.symbol, &mut self.levels) else {
            return News::Nothing;
        };
        if let Market::Depth(diff) = market {
            self.sync.on_diff(diff, &self.levels, now);
        }
        News::Market(market)
    }

    fn hear_slot(&mut self, frame: &[u8], now: Time) -> News {
        let mut newest = None;
        // A frame that is no slot tells nothing.
        _ = self.slots.on_frame(0, 0, frame, now, &mut |event| {
            if let EventKind::Slot(Slot { slot, .. }) = event.kind {
                newest = Some(slot);
            }
        });
        newest.map_or(News::Nothing, News::Slot)
    }

    fn hear_body(&mut self, source: &str, body: &[u8], now: Time) {
        if source == DEPTH
            && self.sync.held().is_some()
            && let Ok(last) = messages::snapshot(body, &mut self.levels)
        {
            self.sync.on_snapshot(last, &self.levels, now);
        }
        if source.starts_with(QUOTES) {
            self.quotes.retain(|known| known != source);
            self.quotes.push_back(source.to_owned());
            if self.quotes.len() > QUOTES_MAX
                && let Some(oldest) = self.quotes.pop_front()
            {
                self.bodies.remove(&oldest);
            }
        }
        if self.bodies.len() < BODIES_MAX || self.bodies.contains_key(source) {
            self.bodies.insert(source.to_owned(), body.to_vec());
        }
    }

    /// The recording begins again, or another one: its book's numbers fall.
    pub(super) fn rewind(&mut self) {
        self.sync = BookSync::new();
        self.slots = SlotSession::new();
        self.chain = PlayedChain::default();
        self.queue.clear();
    }

    /// The recorded account, as the answer to request `id`.
    pub(super) fn account(&self, id: &Value) -> Option<String> {
        let mut answer: Value = serde_json::from_slice(self.bodies.get(ACCOUNT)?).ok()?;
        answer.as_object_mut()?.insert("id".to_owned(), id.clone());
        Some(answer.to_string())
    }

    /// Answers what the recording knows; `None` for everything else.
    pub(super) fn answer(&self, request: &Request) -> Option<Response> {
        if request.verb != Verb::Get {
            return None;
        }
        let mut source = source_of(&request.path)?;
        if source.starts_with(QUOTES) {
            source = format!("{source}?{}", request.query);
        }
        if let Some(book) = self.sync.book().filter(|_| source == DEPTH) {
            return Some(Response::json(200, depth(book, limit_of(&request.query))));
        }
        let body = self.bodies.get(&source)?;
        Some(Response::json(200, String::from_utf8_lossy(body).into_owned()))
    }
}

/// What a recording calls the answers of a path.
fn source_of(path: &str) -> Option<String> {
    const BASES: [(&str, &str); 4] = [
        ("/api/", "binance_rest:"),
        ("/kraken/0/", "kraken_rest:"),
        ("/coingecko/", "coingecko:"),
        ("/jupiter/", "jupiter:"),
    ];
    if path == "/pump" || path.starts_with("/pump/") {
        return Some("pumpfun".to_owned());
    }
    if let Some(rest) = path.strip_prefix("/llama") {
        return Some(format!("defillama:{rest}"));
    }
    BASES.iter().find(|(base, _)| path.starts_with(base)).map(|(base, source)| {
        // `/api/` is the venue's own; the other first words are ours, to tell the venues apart.
        let from = if *base == "/api/" { 0 } else { base.trim_start_matches('/').find('/').map_or(0, |at| at + 1) };
        format!("{source}{}", &path[from..])
    })
}

fn limit_of(query: &str) -> usize {
    let limit = query.split('&').find_map(|pair| pair.strip_prefix("limit="));
    limit.and_then(|text| text.parse().ok()).unwrap_or(DEPTH_LEVELS).min(DEPTH_LEVELS_MAX)
}

fn depth(book: &Book, limit: usize) -> String {
    let level = |level: Level| format!("[\"{}\",\"{}\"]", level.price, level.qty);
    let head = Obj::new().raw("lastUpdateId", &book.update_id().to_string());
    let bids = array(book.bids().take(limit).map(level));
    head.raw("bids", &bids).raw("asks", &array(book.asks().take(limit).map(level))).end()
}

/// Stream and payload of a combined frame; another one is for nobody.
fn unwrap(frame: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(frame).ok()?;
    let rest = text.strip_prefix("{\"stream\":\"")?;
    let (stream, rest) = rest.split_once('"')?;
    let payload = rest.strip_prefix(",\"data\":")?.trim_end().strip_suffix('}')?;
    Some((stream.to_owned(), payload.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_answered_by_the_source_that_was_recorded_for_them() {
        let named = [
            ("/api/v3/depth", Some("binance_rest:/api/v3/depth")),
            ("/llama/summary/dexs/pump.fun", Some("defillama:/summary/dexs/pump.fun")),
            ("/pump/volume", Some("pumpfun")),
            ("/kraken/0/public/Depth", Some("kraken_rest:/0/public/Depth")),
            ("/coingecko/coins/categories", Some("coingecko:/coins/categories")),
            ("/telegram/bot1/sendMessage", None),
        ];
        for (path, source) in named {
            assert_eq!(source_of(path).as_deref(), source, "{path}");
        }
    }

    #[test]
    fn a_combined_frame_is_taken_apart_without_a_change() {
        let frame = br#"{"stream":"solusdt@trade","data":{"e":"trade","p":"1.50"}}"#;
        let apart = unwrap(frame).expect("a combined frame");
        assert_eq!(apart, ("solusdt@trade".to_owned(), r#"{"e":"trade","p":"1.50"}"#.to_owned()));
        assert_eq!(unwrap(br#"{"result":null,"id":1}"#), None);
    }
}
