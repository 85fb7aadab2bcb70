//! Rest and its rules; and the rules that are cheap enough for every event.
//!
//! Thread: any.  Invariants: a rule that cannot be judged now is judged at rest, never left out.

use super::truth::{Violation, broken};
use super::{BEGIN, Passed, REST_NS_MAX, Seconds, World};
use crate::ledger::LedgerError;
use crate::types::record::FillRow;
use crate::types::setup::OpenPosition;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::units::notional_floor;
use crate::types::{Notional, Price, Qty, Side, Time};

/// How long all must have been quiet before the rules of rest are judged.
const QUIET_NS: i64 = 2 * NANOS_PER_SEC;
/// How much longer than `naked_ms_max` coins may lack a stop while everything works: a close that sells into a thin
/// book in rounds of a quarter second.
const CLOSE_NS: i64 = 4 * NANOS_PER_SEC;

impl World {
    /// From the beginning to rest, and after the operator's last word to rest again.
    pub(super) fn play(&mut self, every_ns: i64, look: &mut dyn FnMut(Passed)) -> Result<(), Violation> {
        let calm = BEGIN.plus(self.plan.calm_ns);
        let mut passed_ns = 0_i64;
        while passed_ns < self.plan.calm_ns {
            passed_ns = passed_ns.saturating_add(every_ns);
            self.run_until(BEGIN.plus(passed_ns).min(calm))?;
            let ledger_bytes = self.ledger.as_ref().and_then(|ledger| ledger.db_bytes().ok()).unwrap_or(0);
            look(Passed { ns: passed_ns, ledger_bytes });
        }
        self.find_rest()?;
        if let Some(word) = self.plan.last_word {
            self.say(word);
            self.find_rest()?;
        }
        self.note_the_end();
        Ok(())
    }
    pub(super) fn run_until(&mut self, end: Time) -> Result<(), Violation> {
        while self.queue.next_at().is_some_and(|at| at <= end) {
            self.turn()?;
        }
        Ok(())
    }
    fn find_rest(&mut self) -> Result<(), Violation> {
        let bound = self.now.plus(REST_NS_MAX);
        let mut quiet_since = None;
        while quiet_since.is_none_or(|since| self.now.since(since) < QUIET_NS) {
            self.turn()?;
            let is_quiet = self.is_quiet();
            quiet_since = quiet_since.filter(|_| is_quiet).or_else(|| is_quiet.then_some(self.now));
            if self.now > bound {
                return Err(broken("rest is found", self.unrest()));
            }
        }
        self.flush()?;
        self.judge_rest()
    }
    /// What keeps the world from rest.
    fn unrest(&self) -> String {
        let Some(house) = &self.house else { return "the process is dead".to_owned() };
        let (status, session, buys) = (house.engine().status(), house.trade(), self.truth.live_counts().0);
        format!(
            "at rest {}, unknown {}, buys at the venue {buys}, order session ready {}, banned until {:?}",
            status.at_rest,
            status.orders_unknown,
            session.is_ready(),
            session.banned_until(self.now).map(|until| Seconds(until.since(BEGIN)).to_string())
        )
    }
    /// Nothing is under way, by the house's word and the venue's.
    fn is_quiet(&self) -> bool {
        let Some(house) = &self.house else { return false };
        let status = house.engine().status();
        let (buys, _) = self.truth.live_counts();
        house.trade().is_ready() && status.at_rest && status.orders_unknown == 0 && buys == 0
    }

    /// After every event.
    pub(super) fn look(&mut self) -> Result<(), Violation> {
        let venue = &mut self.venues.venue;
        let (history, received) = (std::mem::take(&mut venue.history), std::mem::take(&mut venue.received));
        let is_news = self.truth.read(&history, &received)?;
        if is_news {
            self.venues.venue.conserved().map_err(|what| broken("cash and coins are conserved", what))?;
        }
        if std::mem::take(&mut self.truth.answered_ill) {
            self.be_ill_for(0);
        }
        self.look_at_naked()
    }
    fn look_at_naked(&mut self) -> Result<(), Violation> {
        let is_ready = self.house.as_ref().is_some_and(|house| house.trade().is_ready());
        self.ready_since = self.ready_since.filter(|_| is_ready).or_else(|| is_ready.then_some(self.now));
        let (Some(naked), Some(ready)) = (self.truth.naked_since, self.ready_since) else { return Ok(()) };
        if self.now < self.ill_until {
            return Ok(());
        }
        let ns = self.now.since(naked.max(ready).max(self.ill_until));
        self.worst_naked_ns = self.worst_naked_ns.max(ns);
        self.tally.most("naked_ms_max", (ns / NANOS_PER_MILLI).unsigned_abs());
        if ns > self.plan.params.naked_ns_max + CLOSE_NS {
            let what = format!(
                "{} lamports lack a stop for {} ms",
                self.truth.coins - self.truth.stopped(),
                ns / NANOS_PER_MILLI
            );
            return Err(broken("naked time is bounded", what));
        }
        Ok(())
    }

    /// At rest, what the engine believes is what the venue holds, to the last unit.
    fn judge_rest(&self) -> Result<(), Violation> {
        let Some(house) = &self.house else { return Err(broken("rest is found", "the process is dead")) };
        let status = house.engine().status();
        let truth = &self.truth;
        if status.position != Qty(truth.coins) {
            let what = format!("the engine holds {:?}, the venue {}", status.position, truth.coins);
            return Err(broken("the position is the venue's", what));
        }
        let snapshot = self.venues.venue.snapshot();
        let (free, locked) = snapshot.balance("USDT");
        let Some(equity) = status.equity else { return Err(broken("equity is known", "no top of book")) };
        if equity.cash.0 != free + locked {
            let what = format!("the engine has {:?}, the venue {free} and {locked}", equity.cash);
            return Err(broken("cash is the venue's", what));
        }
        self.exits_cover(truth.coins)?;
        self.books_are_the_fills(equity.mid, equity.unrealized.0)
    }
    fn exits_cover(&self, coins: i64) -> Result<(), Violation> {
        let truth = &self.truth;
        let wanted = if truth.is_dust(coins) { 0 } else { coins - coins.rem_euclid(1_000_000) };
        if truth.stopped() != wanted {
            let what = format!("stops stand for {} of {coins} lamports", truth.stopped());
            return Err(broken("exits exactly cover the position", what));
        }
        Ok(())
    }
    /// The ledger has every fill once, with its numbers; and what it says was earned is what they earned, of all lives.
    fn books_are_the_fills(&self, mid: Price, unrealized: i64) -> Result<(), Violation> {
        let unread = |why: LedgerError| broken("the ledger can be read", why.to_string());
        let Some(ledger) = &self.ledger else { return Err(broken("the ledger can be read", "it is away")) };
        let mut booked = ledger.fills().map_err(unread)?;
        booked.sort_by_key(|fill| fill.trade_id);
        let shown = |fill: &FillRow| {
            let fee = if fill.side == Side::Buy { fill.fee / 10 } else { fill.fee }; // the venue counts coins in 1e-8
            (fill.trade_id, (fill.id, fill.side, fill.qty, fill.price, fee))
        };
        if !booked.iter().map(shown).eq(self.truth.fills.iter().map(|(number, fill)| (*number, *fill))) {
            let ours: Vec<_> = booked.iter().map(shown).collect();
            let what = format!("the ledger has\n{ours:?}\nthe venue\n{:?}", self.truth.fills);
            return Err(broken("the ledger's fills are the venue's", what));
        }
        let nothing = (Qty::ZERO, Notional::ZERO);
        let Some(all) = OpenPosition::of_fills(1, nothing, &booked) else {
            return Err(broken("profit is the sum of the fills", "the fills sell more than they bought"));
        };
        let value = notional_floor(mid, all.qty).unwrap_or_default();
        let earned = i128::from(all.realized.0) - i128::from(all.cost.0);
        if earned != i128::from(self.truth.cash) || value.0 - all.cost.0 != unrealized {
            let what =
                format!("{all:?}, unrealized {unrealized} at {mid:?}; the fills moved {} of cash", self.truth.cash);
            return Err(broken("profit is the sum of the fills", what));
        }
        Ok(())
    }

    fn note_the_end(&mut self) {
        let truth = &self.truth;
        let (fills, stops, targets) = (truth.fills.len(), truth.stops_worked, truth.targets_hit);
        self.tally.count("world");
        self.tally.add("fill", fills as u64);
        self.tally.add("stop that worked", u64::from(stops));
        self.tally.add("target that filled", u64::from(targets));
        let end = match truth.is_dust(truth.coins) {
            _ if truth.entries == 0 => "end: nothing bought",
            true => "end: flat",
            false => "end: protected",
        };
        self.tally.count(end);
        self.tally.add("virtual seconds", (self.now.since(BEGIN) / NANOS_PER_SEC).unsigned_abs());
        let refused = self.house.as_ref().map_or(0, |house| house.ring_refused);
        self.tally.add("order refused by a full ring", refused);
    }
}
