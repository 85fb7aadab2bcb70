//! A first look at a recording: whose market it is, and what its sources said first.
//!
//! Thread: any.  Invariants: reads at most [`RECORDS_MAX`] records and [`SPAN_NS_MAX`] of recorded time; a frame that
//! cannot be read is passed over, the play reports it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::ledger::recording::{Reader, RecordingError};
use crate::types::instrument::Symbol;
use crate::types::time::NANOS_PER_SEC;
use crate::types::{EventKind, Time};
use crate::venue::binance_spot::decode::{self, Frame, Levels, Market};
use crate::venue::binance_spot::messages;
use crate::venue::dex::LEVELS_MAX;
use crate::venue::kraken::decode::Rows;
use crate::venue::kraken::session::BookDepth;
use crate::venue::kraken::{self, Pair};
use crate::venue::manifest::account::WSOL;
use crate::venue::solana::SlotSession;

const RECORDS_MAX: u64 = 100_000;
const SPAN_NS_MAX: i64 = 60 * NANOS_PER_SEC;
const KLINES: &str = "binance_rest:/api/v3/klines";
/// Bodies kept: the sources that answer requests.
const BODIES_MAX: usize = 64;

/// What the beginning of a recording tells.
#[derive(Clone, Debug, Default)]
pub struct Probe {
    /// Symbol of the first market frame.
    pub symbol: Option<Symbol>,
    /// Length of the candles it has, s.
    pub candle_s: Option<u32>,
    /// First slot.
    pub slot: Option<u64>,
    /// First body of each source that answers requests.
    pub bodies: BTreeMap<String, Vec<u8>>,
    /// Receive time of the first record.
    pub first: Option<Time>,
    /// The pair that was subscribed to at Kraken, and the depth of its book.
    pub kraken: Option<(Pair, BookDepth)>,
    /// Sizes of the sales that Jupiter was asked about, lamports, rising.
    pub quote_sizes: Vec<u64>,
}

/// Looks at the beginning. Errors: the recording's.
pub fn probe(path: &Path) -> Result<Probe, RecordingError> {
    let (mut probe, mut levels, mut slots) = (Probe::default(), Levels::new(), SlotSession::new());
    let mut reader = Reader::open(path)?;
    while let Some(record) = reader.next_record()? {
        let first = *probe.first.get_or_insert(record.recv);
        if record.number > RECORDS_MAX || record.recv.since(first) > SPAN_NS_MAX {
            break;
        }
        match record.source {
            "binance_stream" => probe.hear_market(record.bytes, &mut levels),
            "solana_ws" if probe.slot.is_none() => {
                let slot = &mut probe.slot;
                let mut hear = |kind: EventKind| {
                    if let EventKind::Slot(told) = kind {
                        slot.get_or_insert(told.slot);
                    }
                };
                _ = slots.on_frame(0, 0, record.bytes, record.recv, &mut |event| hear(event.kind));
            }
            "kraken_ws" if probe.kraken.is_none() => probe.kraken = subscribed(record.bytes),
            source if source.contains(':') || source == "pumpfun" => {
                probe.note_quote(source);
                if source == KLINES && probe.candle_s.is_none() {
                    let candle_s = &mut probe.candle_s;
                    _ = messages::klines(record.bytes, |candle| _ = candle_s.get_or_insert(candle.interval_s));
                }
                if probe.bodies.len() < BODIES_MAX && !probe.bodies.contains_key(source) {
                    probe.bodies.insert(source.to_owned(), record.bytes.to_vec());
                }
            }
            _ => {}
        }
    }
    Ok(probe)
}

/// The book's pair and depth, if a frame of Kraken's grants one.
fn subscribed(frame: &[u8]) -> Option<(Pair, BookDepth)> {
    match kraken::decode::frame(frame, &mut Rows::new()) {
        Ok(kraken::decode::Frame::Ack { pair: Some(pair), depth: Some(depth), .. }) => {
            BookDepth::of(depth).map(|depth| (pair, depth))
        }
        _ => None,
    }
}

impl Probe {
    fn note_quote(&mut self, source: &str) {
        let Some((head, amount)) = source.rsplit_once("&amount=").filter(|_| source.starts_with("jupiter:")) else {
            return;
        };
        let Ok(amount) = amount.parse() else { return };
        let is_sale = head.contains(&format!("inputMint={WSOL}&"));
        let is_full = self.quote_sizes.len() >= LEVELS_MAX;
        if let Err(at) = self.quote_sizes.binary_search(&amount)
            && is_sale
            && !is_full
        {
            self.quote_sizes.insert(at, amount);
        }
    }
    fn hear_market(&mut self, frame: &[u8], levels: &mut Levels) {
        if self.symbol.is_some() && self.candle_s.is_some() {
            return;
        }
        let Ok(Frame::Market(symbol, market)) = decode::frame(frame, None, levels) else { return };
        if self.symbol.is_none() {
            self.symbol = std::str::from_utf8(symbol).ok().and_then(Symbol::new);
        }
        if let Market::Candle(update) = market {
            self.candle_s.get_or_insert(update.candle.interval_s);
        }
    }
}
