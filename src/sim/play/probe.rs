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
            source if source.contains(':') || source == "pumpfun" => {
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

impl Probe {
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
