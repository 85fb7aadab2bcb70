//! Events and commands of a journal in words, for people who look for a reason.
//!
//! Thread: main.  Invariants: one short line each, exact numbers; the whole value is in its `Debug` form.

use crate::ledger::{Named, fee_text};
use crate::telemetry::lines::rfc3339_us;
use crate::types::command::{Alert, Command, NewOrder};
use crate::types::event::{Balance, Event, EventKind};
use crate::types::order::{ExecKind, ExecutionReport, Side};
use crate::types::reconcile::RestingOrder;
use crate::types::record::{FillRow, OrderRow, Record};
use crate::types::time::NANOS_PER_SEC;
use crate::types::{ClientOrderId, Price, Time};

/// Kind of an event.
pub fn kind(event: &Event) -> &'static str {
    match event.kind {
        EventKind::Bbo(_) => "bbo",
        EventKind::Depth(_) => "depth",
        EventKind::Trade(_) => "trade",
        EventKind::Candle(_) => "candle",
        EventKind::Slot(_) => "slot",
        EventKind::Volume(_) => "volume",
        EventKind::Dex(_) => "dex",
        EventKind::Execution(_) => "execution",
        EventKind::Balance(_) => "balance",
        EventKind::Stream(_) => "stream",
        EventKind::Control(_) => "control",
        EventKind::Timer(_) => "timer",
        EventKind::Clock(_) => "clock",
        EventKind::Resting(_) => "resting",
        EventKind::Reconciled(_) => "reconciled",
    }
}

/// What an event says.
pub fn event(event: &Event) -> String {
    match event.kind {
        EventKind::Bbo(bbo) => format!("bid {} x {}, ask {} x {}", bbo.bid, bbo.bid_qty, bbo.ask, bbo.ask_qty),
        EventKind::Depth(depth) => format!("size near the mid, update {}", depth.update_id),
        EventKind::Trade(trade) => format!("{} at {}, {} crossed", trade.qty, trade.price, side(trade.aggressor)),
        EventKind::Candle(candle) => format!("candle of {}, close {}", rfc3339_us(candle.open_time), candle.close),
        EventKind::Slot(slot) => format!("slot {}", slot.slot),
        EventKind::Volume(sample) => {
            format!("volume {} after {}, {}", sample.now, sample.prev, sample.state.name())
        }
        EventKind::Dex(book) => {
            format!("slot {}: bid {} x {}, ask {} x {}", book.slot, book.bid, book.bid_qty, book.ask, book.ask_qty)
        }
        EventKind::Execution(report) => report_words(&report),
        EventKind::Balance(Balance::Base { free, locked }) => format!("coins {free} free, {locked} locked"),
        EventKind::Balance(Balance::Quote { free, locked }) => format!("cash {free} free, {locked} locked"),
        EventKind::Stream(state) => format!("{} is {}", event.stream.name(), state.name()),
        EventKind::Control(control) => format!("{control:?}"),
        EventKind::Timer(id) => format!("{id:?} is due"),
        EventKind::Resting(order) => resting(&order),
        EventKind::Reconciled(told) => format!(
            "the venue was asked ({}): {} fills that nobody had told, {} orders ended",
            told.trigger.name(),
            told.fills,
            told.ended
        ),
        EventKind::Clock(clock) => {
            format!("venue clock {} away, round trip {}", span(clock.offset_ns), span(clock.round_trip_ns))
        }
    }
}

/// An order met at the venue.
pub fn resting(order: &RestingOrder) -> String {
    let (id, qty, price) = (order.id, order.qty, order.price);
    format!("{id} rests at the venue: {} {qty} at {price}, {} filled", side(order.side), order.cum_qty)
}

/// What the venue said of an order.
pub fn report_words(report: &ExecutionReport) -> String {
    let id = report.id;
    match report.kind {
        ExecKind::Fill => {
            format!("{id} Fill {} at {}, {} left", report.last_qty, report.last_px, report.leaves_qty)
        }
        ExecKind::Rejected | ExecKind::CancelRejected => {
            format!("{id} {:?} ({}, code {})", report.kind, report.reason.name(), report.code)
        }
        ExecKind::Expired | ExecKind::Canceled => {
            format!("{id} {:?} ({}), {} filled", report.kind, report.reason.name(), report.cum_qty)
        }
        ExecKind::New | ExecKind::Unknown | ExecKind::NotFound | ExecKind::Status => format!("{id} {:?}", report.kind),
    }
}

/// What a command asks for.
pub fn command(command: &Command) -> String {
    match command {
        Command::Place(new) => format!("place {}", order(new)),
        Command::PlaceOco(oco) => format!(
            "place OCO {}: {} at {}, stop {}{}",
            oco.list,
            oco.qty,
            oco.tp_price,
            oco.stop_price,
            limit(oco.stop_limit)
        ),
        Command::Cancel(cancel) => format!("cancel {}", cancel.target),
        Command::CancelList(list) => format!("cancel list {}", list.list),
        Command::CancelReplace(both) => format!("cancel {}, then place {}", both.cancel.target, order(&both.new)),
        Command::CancelAll => "cancel everything of the symbol".to_owned(),
        Command::Query(query) => format!("ask about {}", query.target),
        Command::ArmTimer { id, at } => format!("timer {id:?} at {}", rfc3339_us(*at)),
        Command::Alert(Alert::Enter { mid, qty, stop }) => format!("alert ENTER: {qty} at mid {mid}, stop {stop}"),
        Command::Alert(Alert::Stop { reason, mid, qty }) => format!("alert {}: {qty} at mid {mid}", reason.name()),
        Command::Alert(Alert::Fatal { reason }) => format!("alert FATAL: {}", reason.name()),
        Command::Record(fact) => record(fact),
    }
}

fn record(record: &Record) -> String {
    match record {
        Record::Order(row) => format!("order {} {}: {}", row.id, row.purpose.name(), standing(row)),
        Record::Fill(row) => {
            format!("fill {} of {}: {} at {}, fee {}", row.trade_id, row.id, row.qty, row.price, fee(row))
        }
        Record::Trade(row) => format!("round trip {} ended by {}: {}", row.trade_no, row.reason.name(), row.pnl),
        Record::Equity(row) => format!("equity {}, position {}", row.equity, row.position),
        Record::Decision(decision) => format!("decision {}", decision.verdict.name()),
        Record::Refused(refused) => format!("refused: {}", super::explain::refusal(refused)),
        Record::Repost(repost) => format!("repost {}: {} to {}", repost.id, repost.old_price, repost.new_price),
        Record::Exit { reason, mid, qty } => format!("exit {}: {qty} at mid {mid}", reason.name()),
        Record::Pause { reason, on: true } => format!("paused: {}", reason.name()),
        Record::Pause { reason, on: false } => format!("no longer paused: {}", reason.name()),
        Record::Losses(count) => format!("losing round trips in a row: {count}"),
        Record::Naked { ns, qty } => format!("{qty} had no live stop for {}", span(*ns)),
        Record::Difference(found) => {
            let id = found.id.map_or("the balance".to_owned(), |id| id.to_string());
            format!("reconcile: {} of {id}: {} (number {})", found.kind.name(), found.amount, found.number)
        }
        Record::Reconciled(count) => {
            let (fills, adopted, cancelled, ended) = (count.fills, count.adopted, count.cancelled, count.ended);
            format!("reconciled: {fills} fills, {adopted} adopted, {cancelled} cancelled, {ended} ended")
        }
        Record::Reloaded => "new numbers are in force".to_owned(),
    }
}

/// Where an order stands.
pub fn standing(row: &OrderRow) -> String {
    let filled = if row.cum_qty.0 == 0 { String::new() } else { format!(" at {:.2}", row.avg_px) };
    let why = if row.code == 0 { String::new() } else { format!(", {} (code {})", row.reason.name(), row.code) };
    format!("{}, {} of {} filled{filled}{why}", row.status.name(), row.cum_qty, row.qty)
}

/// The fee of a fill and its asset.
pub fn fee(row: &FillRow) -> String {
    format!("{} {}", fee_text(row), row.fee_asset.name())
}

fn order(new: &NewOrder) -> String {
    let price = if new.price == Price::ZERO { "the market".to_owned() } else { new.price.to_string() };
    let (kind, tif) = (new.kind.name(), new.tif.name());
    format!("{} {} {} at {price}, {kind} {tif}, {}", new.purpose.name(), side(new.side), new.qty, new.id)
}

fn limit(price: Price) -> String {
    if price == Price::ZERO { " at the market".to_owned() } else { format!(" limit {price}") }
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

/// A span of time: three places of the unit that suits it, or two units from two minutes on.
pub fn span(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let ns = ns.unsigned_abs();
    let seconds = ns / NANOS_PER_SEC.unsigned_abs();
    let (unit, name) = match seconds {
        0 if ns < 1_000 => return format!("{sign}{ns} ns"),
        0 if ns < 1_000_000 => (1_000, "us"),
        0 => (1_000_000, "ms"),
        1..120 => (NANOS_PER_SEC.unsigned_abs(), "s"),
        120..7_200 => return format!("{sign}{} min {} s", seconds / 60, seconds % 60),
        _ => return format!("{sign}{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    };
    let text = format!("{sign}{}.{:03}", ns / unit, ns % unit * 1_000 / unit);
    format!("{} {name}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The order that a command asks for under that name: itself, a leg, or the list around both.
pub fn places(command: &Command, id: ClientOrderId) -> bool {
    match command {
        Command::Place(new) => new.id == id,
        Command::PlaceOco(oco) => [oco.list, oco.take_profit, oco.stop].contains(&id),
        Command::CancelReplace(both) => both.new.id == id,
        _ => false,
    }
}

/// A time as RFC 3339 with microseconds; a dash if it is not known.
pub fn when(at: Time) -> String {
    if at == Time::NONE { "-".to_owned() } else { rfc3339_us(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_the_unit_that_suits_it() {
        let spans = [
            (0, "0 ns"),
            (-999, "-999 ns"),
            (1_500, "1.5 us"),
            (932_246_111, "932.246 ms"),
            (1_000_000_000, "1 s"),
            (-119_999_999_999, "-119.999 s"),
            (1_800_000_000_000, "30 min 0 s"),
            (90_061_000_000_000, "25 h 1 min"),
        ];
        for (ns, text) in spans {
            assert_eq!(span(ns), text);
        }
        assert_eq!(span(i64::MIN).split(' ').count(), 4);
    }
}
