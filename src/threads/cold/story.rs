//! The day in plain lines for people, beside the JSON: what the demo shows on stderr.
//!
//! Runs on: the `cold` core, inside [`Cold`].  Invariants: one line per thing a trader would remark on; never on stdout.

use std::fmt;
use std::io::Write;

use super::Cold;
use crate::types::order::{Purpose, Side};
use crate::types::record::{FillRow, OrderRow, OrderStatus};
use crate::types::time::NANOS_PER_MILLI;

/// Where the lines go.
pub struct Story(Box<dyn Write + Send>);

impl Story {
    /// Onto any writer; a demo gives stderr.
    pub fn new(out: Box<dyn Write + Send>) -> Story {
        Story(out)
    }
}

impl fmt::Debug for Story {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Story")
    }
}

impl Cold {
    /// Tells one thing, with the time since the start.
    pub(super) fn tell(&mut self, text: &str) {
        let ms = self.at.since(self.status.started) / NANOS_PER_MILLI;
        if let Some(Story(out)) = &mut self.sinks.story {
            let _ = writeln!(out, "{:>6}.{:01}s  {text}", ms / 1_000, ms % 1_000 / 100); // a closed terminal stops nothing
        }
    }

    pub(super) fn tell_order(&mut self, row: &OrderRow) {
        let text = match (row.purpose, row.status) {
            (Purpose::Tp1 | Purpose::Tp2, OrderStatus::Working) => {
                format!("{} resting: sell {} at {}", row.purpose.name(), row.qty, row.price)
            }
            (Purpose::Stop, OrderStatus::Working) => format!("STOP in place: {} below {}", row.qty, row.stop_price),
            (Purpose::Tp1 | Purpose::Tp2, OrderStatus::Filled) => {
                format!("{} FILLED: sold {} at {}", row.purpose.name(), row.cum_qty, row.avg_px)
            }
            (Purpose::Stop, OrderStatus::Filled) => format!("STOP FILLED: sold {} at {}", row.cum_qty, row.avg_px),
            (Purpose::Entry, OrderStatus::Expired | OrderStatus::Canceled) => {
                format!("tranche {}: {} of {} filled, the rest carries over", row.tranche, row.cum_qty, row.qty)
            }
            (_, OrderStatus::Rejected) => format!("{} rejected by the venue ({:?})", row.purpose.name(), row.reason),
            (_, OrderStatus::Unknown) => format!("{}: no answer yet, asking the venue", row.purpose.name()),
            _ => return,
        };
        self.tell(&text);
    }

    pub(super) fn tell_fill(&mut self, row: &FillRow) {
        let verb = match row.side {
            Side::Buy => "bought",
            Side::Sell => "sold",
        };
        self.tell(&format!("FILL {verb} {} at {}", row.qty, row.price));
    }
}
