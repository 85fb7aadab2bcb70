//! A recorded Kraken: its own words for whoever follows the channel, and its book for whoever comes later.
//!
//! Thread: any, under the world's lock.  Invariants: a frame leaves byte for byte; a late reader's snapshot is made of the
//! digits as they were recorded, so that the recorded checksum holds for it; frames that nobody fetches are bounded.

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::session::KrakenSession;
use crate::venue::kraken::Pair;

/// Frames kept for readers that are behind.
const FRAMES_MAX: usize = 4_096;

/// What can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    Book,
    Ticker,
    Trade,
}

impl Channel {
    fn of(name: &str) -> Option<Channel> {
        match name {
            "book" => Some(Channel::Book),
            "ticker" => Some(Channel::Ticker),
            "trade" => Some(Channel::Trade),
            _ => None,
        }
    }
}

/// One frame.
#[derive(Clone, Debug)]
struct Told {
    channel: Channel,
    /// Whether it begins its channel anew.
    is_whole: bool,
    text: String,
}

/// A price by its digits: before the point, behind it filled up with zeros.
type Key = (u64, String);
/// Levels by price, as they were written: price, size.
type Side = BTreeMap<Key, (String, String)>;

/// A book as it was written.
#[derive(Clone, Debug, Default)]
struct Book {
    bids: Side,
    asks: Side,
    checksum: u32,
    timestamp: String,
}

/// As far as it was played.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    pair: Pair,
    depth: usize,
    book: Option<Book>,
    ticker: Option<String>,
    frames: VecDeque<Told>,
    /// Number of the first frame kept.
    first: u64,
}

#[derive(Deserialize)]
struct RawFrame<'a> {
    channel: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct RawBook<'a> {
    symbol: String,
    #[serde(borrow)]
    bids: Vec<RawLevel<'a>>,
    #[serde(borrow)]
    asks: Vec<RawLevel<'a>>,
    checksum: u32,
    #[serde(default)]
    timestamp: String,
}

#[derive(Deserialize)]
struct RawLevel<'a> {
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    qty: &'a RawValue,
}

fn key(price: &str) -> Option<Key> {
    let (whole, part) = price.split_once('.').unwrap_or((price, ""));
    Some((whole.parse().ok()?, format!("{part:0<12}")))
}

fn apply(side: &mut Side, levels: &[RawLevel<'_>]) {
    for level in levels {
        let (price, qty) = (level.price.get(), level.qty.get());
        let Some(at) = key(price) else { continue };
        if qty.bytes().any(|digit| (b'1'..=b'9').contains(&digit)) {
            side.insert(at, (price.to_owned(), qty.to_owned()));
        } else {
            side.remove(&at);
        }
    }
}

impl Recorded {
    /// Before its first frame.
    pub(super) fn new(pair: Pair, depth: usize) -> Recorded {
        Recorded { pair, depth, book: None, ticker: None, frames: VecDeque::new(), first: 0 }
    }

    pub(super) fn pair(&self) -> &str {
        self.pair.as_str()
    }

    /// The one depth that it has.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// One frame comes; what belongs to no channel tells nothing: answers and heartbeats are the venue's own.
    pub(super) fn hear(&mut self, frame: &[u8]) {
        let Ok(text) = std::str::from_utf8(frame) else { return };
        let Ok(raw) = serde_json::from_str::<RawFrame<'_>>(text) else { return };
        let Some(channel) = Channel::of(raw.channel) else { return };
        let is_whole = raw.kind == "snapshot";
        match channel {
            Channel::Book => self.hear_book(raw.data, is_whole),
            Channel::Ticker => self.ticker = Some(text.to_owned()),
            Channel::Trade => {}
        }
        self.frames.push_back(Told { channel, is_whole, text: text.to_owned() });
        if self.frames.len() > FRAMES_MAX {
            self.frames.pop_front();
            self.first += 1;
        }
    }

    fn hear_book(&mut self, data: &RawValue, is_whole: bool) {
        let Ok(rows) = serde_json::from_str::<Vec<RawBook<'_>>>(data.get()) else { return };
        for row in rows.iter().filter(|row| row.symbol == self.pair.as_str()) {
            if is_whole {
                self.book = Some(Book::default());
            }
            let Some(book) = &mut self.book else { continue };
            apply(&mut book.bids, &row.bids);
            apply(&mut book.asks, &row.asks);
            while book.bids.len() > self.depth {
                book.bids.pop_first();
            }
            while book.asks.len() > self.depth {
                book.asks.pop_last();
            }
            (book.checksum, book.timestamp) = (row.checksum, row.timestamp.clone());
        }
    }

    /// The book as it stands, as a message of its own.
    fn snapshot(&self) -> Option<String> {
        let book = self.book.as_ref()?;
        let level = |(price, qty): &(String, String)| format!("{{\"price\":{price},\"qty\":{qty}}}");
        let bids: Vec<String> = book.bids.values().rev().map(level).collect();
        let asks: Vec<String> = book.asks.values().map(level).collect();
        Some(format!(
            "{{\"channel\":\"book\",\"type\":\"snapshot\",\"data\":[{{\"symbol\":\"{}\",\"bids\":[{}],\"asks\":[{}],\
             \"checksum\":{},\"timestamp\":\"{}\"}}]}}",
            self.pair(),
            bids.join(","),
            asks.join(","),
            book.checksum,
            book.timestamp
        ))
    }

    /// What a connection that follows some channels is to be told now.
    pub(super) fn news(&self, session: &mut KrakenSession) -> Vec<String> {
        let end = self.first + self.frames.len() as u64;
        let place = &mut session.recorded;
        let next = place.next.replace(end).unwrap_or(end); // who comes now hears no old trades
        place.has_book &= next >= self.first; // too far behind: the book begins anew
        let skipped = next.saturating_sub(self.first) as usize;
        let (follows_book, follows_ticker) = (session.book.is_some(), session.ticker.is_some());
        let mut told = Vec::new();
        // A book that begins in what is new begins there, with the recorded words; else as it stands now.
        let fresh = || self.frames.iter().skip(skipped);
        let begins = fresh().any(|frame| frame.channel == Channel::Book && frame.is_whole);
        let mut hears_book = place.has_book;
        if follows_book && !hears_book && !begins {
            told.extend(self.snapshot());
        }
        if follows_ticker && !place.has_ticker && !fresh().any(|frame| frame.channel == Channel::Ticker) {
            told.extend(self.ticker.clone());
        }
        for frame in fresh() {
            hears_book |= frame.channel == Channel::Book && frame.is_whole;
            let is_followed = match frame.channel {
                Channel::Book => follows_book && hears_book,
                Channel::Ticker => follows_ticker,
                Channel::Trade => session.trade.is_some(),
            };
            if is_followed {
                told.push(frame.text.clone());
            }
        }
        session.recorded.has_book = follows_book && self.book.is_some();
        session.recorded.has_ticker = follows_ticker && self.ticker.is_some();
        told
    }
}

/// How far a connection has heard a recording.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// `None` = it has only just come.
    next: Option<u64>,
    has_book: bool,
    has_ticker: bool,
}
