//! The day in plain lines for people, beside the JSON: what the demo shows on stderr.
//!
//! Runs on: the `cold` core, inside [`Cold`].  Invariants: one line per thing a trader would remark on, rounded for eyes
//! (the exact numbers are in the JSON lines); never on stdout.

use std::fmt;
use std::io::Write;

use super::Cold;
use crate::telemetry::metrics::quote;
use crate::types::decision::{Decision, Refused, Verdict};
use crate::types::ids::Leg;
use crate::types::order::{Purpose, Side};
use crate::types::record::{ExitReason, FillRow, OrderRow, OrderStatus, PauseReason, Repost, TradeRow};
use crate::types::time::NANOS_PER_MILLI;
use crate::types::{Price, Qty, Ratio};

/// The venue refused a cancel-and-sell whole: what it should have cancelled was gone.
const CODE_CANCEL_CAME_TOO_LATE: i32 = -2022;

/// Where the lines go, and what they need to remember.
pub struct Story {
    out: Box<dyn Write + Send>,
    /// Stop price of the newest protective order.
    stop: Price,
    /// Size and price of each take-profit as last told: a re-post that changes neither is one line, not two.
    resting: [(Qty, Price); 2],
}

impl Story {
    /// Onto any writer; a demo gives stderr.
    pub fn new(out: Box<dyn Write + Send>) -> Story {
        Story { out, stop: Price::ZERO, resting: [(Qty::ZERO, Price::ZERO); 2] }
    }

    /// What is worth telling of an order that changed its state.
    fn order(&mut self, row: &OrderRow) -> Option<String> {
        let name = row.purpose.name();
        let (done, average) = (row.cum_qty, Money(row.avg_px));
        Some(match (row.purpose, row.status) {
            (Purpose::Stop, OrderStatus::Working) => {
                self.stop = row.stop_price;
                return (row.list_id == 0).then(|| format!("STOP in place: {} below {:.2}", row.qty, row.stop_price));
            }
            (Purpose::Tp1 | Purpose::Tp2, OrderStatus::Working) => {
                let told = &mut self.resting[usize::from(row.purpose == Purpose::Tp2)];
                if std::mem::replace(told, (row.qty, row.price)) == (row.qty, row.price) {
                    return None;
                }
                format!("PROTECTED: {} of them rest as {name} at {:.2}, stop {:.2}", row.qty, row.price, self.stop)
            }
            (Purpose::Tp1 | Purpose::Tp2 | Purpose::Stop, OrderStatus::Filled) => {
                format!("{name} FILLED: {done} at {average}")
            }
            (Purpose::Entry, OrderStatus::Filled) => format!("tranche {} whole: {done} at {average}", row.tranche),
            (Purpose::Entry, OrderStatus::Expired | OrderStatus::Canceled) => {
                format!("tranche {}: {done} of {} filled, the rest carries over", row.tranche, row.qty)
            }
            (Purpose::Flatten, OrderStatus::Rejected) if row.code == CODE_CANCEL_CAME_TOO_LATE => {
                "our own sale was not placed: the venue's stop was faster".to_owned()
            }
            (_, OrderStatus::Rejected) => format!("{name} refused by the venue: {:?}, code {}", row.reason, row.code),
            (_, OrderStatus::Unknown) => format!("{name}: no answer yet, asking the venue"),
            _ => return None,
        })
    }
}

impl fmt::Debug for Story {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Story")
    }
}

/// A price that is an average, to the cent.
struct Money(Price);
impl fmt::Display for Money {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.2}", quote(self.0.0))
    }
}

/// A share in percent, to a tenth.
struct Percent(Ratio);
impl fmt::Display for Percent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.1} %", quote(self.0.0) * 100.0)
    }
}

impl Cold {
    /// Tells one thing, with the time since the start.
    pub(super) fn tell(&mut self, text: &str) {
        let ms = self.at.since(self.status.started) / NANOS_PER_MILLI;
        if let Some(Story { out, .. }) = &mut self.sinks.story {
            let _ = writeln!(out, "{:>4}.{:01}s  {text}", ms / 1_000, ms % 1_000 / 100); // a closed terminal stops nothing
        }
    }

    pub(super) fn tell_decision(&mut self, decision: &Decision, failing: &str) {
        let facts = format!(
            "memecoin volume fell {} (needed: more than {}), RSI {:.1} (below {:.1}), mid {} (band {:.2} to {:.2})",
            Percent(decision.drop),
            Percent(decision.drop_min),
            quote(decision.rsi.0),
            quote(decision.rsi_max.0),
            Money(decision.mid),
            decision.support_low,
            decision.support_high,
        );
        match decision.verdict {
            Verdict::Enter => self.tell(&format!("ENTER: {facts}")),
            Verdict::Exit => self.tell(&format!("EXIT signal: {facts}")),
            // Before the feeds are up, and while a position is held, why nothing is bought is no news.
            Verdict::NoOp if decision.mid == Price::ZERO || failing.contains("flat") => {}
            Verdict::NoOp => self.tell(&format!("no entry for now, rule {failing}: {facts}")),
        }
    }

    pub(super) fn tell_order(&mut self, row: &OrderRow) {
        if let Some(text) = self.sinks.story.as_mut().and_then(|story| story.order(row)) {
            self.tell(&text);
        }
    }

    pub(super) fn tell_fill(&mut self, row: &FillRow) {
        let verb = match row.side {
            Side::Buy => "bought",
            Side::Sell => "sold",
        };
        self.tell(&format!("{verb} {} at {:.2}", row.qty, row.price));
    }

    pub(super) fn tell_repost(&mut self, repost: &Repost) {
        let name = match repost.id.leg {
            Leg::TakeProfit(2) => "TP2",
            _ => "TP1",
        };
        let (old, new) = (repost.old_price, repost.new_price);
        let what = if old == new { "the same price is right".to_owned() } else { format!("it was {old:.2}") };
        if !repost.kept {
            let slot = repost.slot;
            self.tell(&format!("RE-POST: top of book shifted, slot {slot}: {name} posted again at {new:.2} ({what})"));
        }
    }

    pub(super) fn tell_refusal(&mut self, refused: &Refused) {
        self.tell(&format!("no order: rule {} says no", refused.rule.name()));
    }

    pub(super) fn tell_exit(&mut self, event: &str, reason: ExitReason, mid: Price, qty: Qty) {
        self.tell(&format!("{event} ({}): selling {qty} at mid {}", reason.name(), Money(mid)));
    }

    pub(super) fn tell_pause(&mut self, reason: PauseReason, on: bool) {
        let what = if on { "PAUSE: no new entries" } else { "RESUME: no longer paused" };
        self.tell(&format!("{what} ({})", reason.name()));
    }

    pub(super) fn tell_trade(&mut self, row: &TradeRow) {
        let (number, reason) = (row.trade_no, row.reason.name());
        let (pnl, fees) = (quote(row.pnl.0), quote(row.fees.0));
        self.tell(&format!("TRADE {number} closed by {reason}: {pnl:+.2} net, {fees:.2} of fees paid"));
    }
}
