//! What the guard does in an incident: entries are cancelled, the engine is ended where it must be, the rest is told.
//!
//! Thread: main; blocks between the steps, never before the first cancel.  Invariants: cancels that are known leave
//! first; nothing counts as cancelled before the venue shows no entry, for longer than a late one could still arrive;
//! an engine that turns again gets its account back at once.

use super::Guard;
use super::watch::Cause;
use super::wire::{OurOrder, WireError};
use crate::config::OnDead;
use crate::recovery::Witness;
use crate::sys::heartbeat::{Page, Reading, RunState};
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::{ClientOrderId, Qty, Side};

/// How long no entry may be seen before entries count as cancelled: an order that was on its way is void after its
/// receive window, 2 s at most.
const SETTLE_NS: i64 = 3 * NANOS_PER_SEC;
/// How long one attempt may take in all.
const ATTEMPT_NS_MAX: i64 = 30 * NANOS_PER_SEC;
/// Between two looks at the venue.
const PAUSE_NS: i64 = 250 * NANOS_PER_MILLI;
/// How long a new connection may take.
const RECONNECT_NS: i64 = 2 * NANOS_PER_SEC;
/// How long an engine over its loss limit may take to stop: it settles its orders for 15 s at most.
const STOP_NS_MAX: i64 = 20 * NANOS_PER_SEC;

/// An incident, as it was noticed.
#[derive(Clone, Copy, Debug)]
pub struct Incident {
    /// Why.
    pub cause: Cause,
    /// When patience ended, on the shared clock.
    pub due_ns: i64,
    /// What the page said; `None` if it is gone.
    pub reading: Option<Reading>,
}

/// How an attempt to end an incident ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done(String),
    /// The engine turns again and looks after itself.
    EngineIsBack,
    /// Not done: to be tried again.
    Failed(String),
}

impl Guard<'_> {
    /// Sends a cancel for each of `known`, and nothing else. Output: their numbers, and when the last one had left.
    pub(super) fn strike(&mut self, known: &[ClientOrderId]) -> (Vec<u64>, i64) {
        let sent = known.iter().filter_map(|id| self.wire.begin_cancel(*id).ok()).collect();
        (sent, self.now_ns())
    }

    /// One attempt to end the incident; `known` are entries that were seen to rest a moment ago.
    pub(super) fn attempt(&mut self, incident: &Incident, known: &[ClientOrderId]) -> Outcome {
        let (sent, left_ns) = self.strike(known);
        self.tell_act(incident, known.len(), left_ns);
        for number in sent {
            if let Err(why) = self.wire.canceled(number) {
                log::warn!("a cancel is not proven yet: {why}");
            }
        }
        let orders = match self.cancel_entries(incident) {
            Ok(orders) => orders,
            Err(outcome) => return outcome,
        };
        if incident.cause == Cause::OverLoss
            && let Err(why) = self.stop_engine(incident)
        {
            return Outcome::Failed(why);
        }
        match (self.config.guard.on_dead, incident.reading) {
            (OnDead::CancelEntries, reading) => self.tell_protection(reading, &orders),
            (OnDead::Flatten, Some(reading)) => self.flatten(&reading),
            (OnDead::Flatten, None) => {
                let why = "entries are cancelled; the position is not known without the page, so nothing was sold";
                Outcome::Done(why.to_owned())
            }
        }
    }

    fn tell_act(&mut self, incident: &Incident, canceled: usize, left_ns: i64) {
        let line = self.voice.warn("GUARD_ACT", format!("the engine is {}", incident.cause.name()));
        let line = line.with("cause", incident.cause.name()).with("cancels_sent", canceled);
        let line = line.with("after_patience_us", (left_ns - incident.due_ns) / 1_000);
        let line = match incident.reading {
            Some(reading) => line.with("pid", reading.process.pid).with("epoch", reading.epoch),
            None => line,
        };
        self.voice.say(&line);
    }

    /// Cancels what buys until the venue shows none for [`SETTLE_NS`]. Output: our orders that rest then.
    fn cancel_entries(&mut self, incident: &Incident) -> Result<Vec<OurOrder>, Outcome> {
        let until = self.clock.now().plus(ATTEMPT_NS_MAX);
        let mut clean_since = None;
        loop {
            let now = self.clock.now();
            match self.cancel_round() {
                Ok((orders, 0)) => {
                    let since = *clean_since.get_or_insert(now);
                    if now.since(since) >= SETTLE_NS {
                        return Ok(orders);
                    }
                }
                Ok(_) => clean_since = None,
                Err(why) => {
                    clean_since = None;
                    self.by_rest(&why);
                    self.wire.reconnect(RECONNECT_NS);
                }
            }
            if self.signals.stop_asked() {
                return Err(Outcome::Failed("the guard was told to stop".to_owned()));
            }
            if incident.cause != Cause::OverLoss && self.is_back() {
                return Err(Outcome::EngineIsBack);
            }
            if self.clock.now() >= until {
                return Err(Outcome::Failed("the venue never showed that no entry is left".to_owned()));
            }
            self.pause(PAUSE_NS);
        }
    }

    /// Looks once and cancels the entries it sees. Output: our orders, and how many of them buy.
    fn cancel_round(&mut self) -> Result<(Vec<OurOrder>, usize), WireError> {
        let orders = self.wire.open_orders()?;
        let entries: Vec<ClientOrderId> = buying(&orders).collect();
        let numbers: Result<Vec<u64>, WireError> = entries.iter().map(|id| self.wire.begin_cancel(*id)).collect();
        for (id, number) in entries.iter().zip(numbers?) {
            let canceled = self.wire.canceled(number)?;
            let line = self.voice.info("GUARD_CANCEL", if canceled { "cancelled" } else { "already gone" });
            self.voice.say(&line.with("client_order_id", id.to_string()));
        }
        Ok((orders, entries.len()))
    }

    /// The other way to the venue, for when the socket is of no use.
    fn by_rest(&mut self, why: &WireError) {
        log::warn!("{why}; trying by REST");
        let mut account = self.desk.account(&self.facts.instrument);
        let tried = account.open_orders().and_then(|open| {
            let resting = open.iter().filter(|order| order.side == Side::Buy);
            let entries: Vec<ClientOrderId> = resting.filter_map(|order| order.id).collect();
            account.cancel(&entries).map(|()| entries.len())
        });
        match tried {
            Ok(count) => log::warn!("cancelled {count} entries by REST"),
            Err(why) => log::warn!("REST neither: {}", why.text),
        }
    }

    /// Ends an engine that lost too much: asked first, then made to.
    fn stop_engine(&mut self, incident: &Incident) -> Result<(), String> {
        let Some(reading) = incident.reading else { return Ok(()) };
        let engine = reading.process;
        let refused = |why: std::io::Error| format!("process {} cannot be signalled: {why}", engine.pid);
        for signal in [libc::SIGTERM, libc::SIGKILL] {
            if !engine.signal(signal).map_err(refused)? {
                return Ok(());
            }
            let until = self.clock.now().plus(STOP_NS_MAX);
            while engine.is_alive() && self.clock.now() < until && !self.signals.stop_asked() {
                self.pause(PAUSE_NS);
            }
            if !engine.is_alive() {
                return Ok(());
            }
        }
        Err(format!("process {} does not end", engine.pid))
    }

    /// With protective orders left in place: says how much of the position they cover, and wakes somebody if not all.
    fn tell_protection(&mut self, reading: Option<Reading>, orders: &[OurOrder]) -> Outcome {
        let stopped: i64 = orders.iter().filter(|order| order.is_stop).map(|order| order.leaves.0).sum();
        let known = reading.and_then(|reading| reading.figures);
        let line = self.voice.info("GUARD_DONE", "entries are cancelled; protective orders stay");
        let line = line.with("protective_orders", orders.len()).number("protected", Qty(stopped));
        let position = match known.map(|figures| self.proven_position(&figures)) {
            Some(Ok(position)) => position,
            Some(Err(why)) => return Outcome::Done(format!("entries are cancelled; the position is not known: {why}")),
            None => return Outcome::Done("entries are cancelled; the position is not known".to_owned()),
        };
        self.voice.say(&line.number("position", position));
        let bare = Qty(position.0 - stopped);
        if self.facts.instrument.qty_floor(bare) >= self.facts.instrument.qty_min {
            let what = format!("entries are cancelled, but {bare} of {position} coins have no stop: look at the venue");
            return Outcome::Done(what);
        }
        Outcome::Done(format!("entries are cancelled; {position} coins held, protective orders stay"))
    }

    /// Whether an engine turns on this directory now.
    pub(super) fn is_back(&self) -> bool {
        let Ok(Some(page)) = Page::open(&self.config.storage.data_dir) else { return false };
        let Ok(reading) = page.read() else { return false };
        let silent_ns = self.now_ns() - reading.hot_ns.min(reading.gateway_ns);
        reading.state == RunState::Trading && silent_ns < self.config.guard.patience_ns / 2
    }

    /// Lets time pass while the socket is served.
    pub(super) fn pause(&mut self, pause_ns: i64) {
        let until = self.clock.now().plus(pause_ns);
        while self.clock.now() < until {
            self.wire.turn(until);
        }
    }
}

/// Names of those that buy.
pub fn buying(orders: &[OurOrder]) -> impl Iterator<Item = ClientOrderId> + '_ {
    orders.iter().filter(|order| order.side == Side::Buy).map(|order| order.id)
}
