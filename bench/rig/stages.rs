//! The stages of each order, as the gateway notes them.
//!
//! Runs on: the trading thread, after the gateway's turn, so it takes nothing from an order under way. In the product
//! the cold agent reads these rings from another core.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sol_volume_bot::threads::runner::{Agent, Work};
use sol_volume_bot::topology::ColdRings;
use sol_volume_bot::types::Time;
use sol_volume_bot::types::note::{Verb, WireNote};

use super::report::Spread;
use super::venue::Trigger;

/// Names of the stages, of their sum, and of one turn of all agents: what a trigger may wait before it is read.
pub const STAGES: [&str; 7] = ["decode", "ring", "step", "encode", "write", "tick_to_trade", "turn"];

/// One histogram per stage.
pub type Spreads = Arc<Mutex<[Spread; 7]>>;

/// One turn in so many is timed.
const TURNS_PER_SAMPLE: u32 = 1_000;

/// See the module.
pub struct Sweeper {
    rings: ColdRings,
    verb: Verb,
    spreads: Spreads,
    has_traded: Arc<AtomicBool>,
    turns: u32,
    last: Time,
}

impl Sweeper {
    /// Counts the orders that answer `trigger`, and says in `has_traded` that there was one.
    pub fn new(rings: ColdRings, trigger: Trigger, has_traded: Arc<AtomicBool>) -> (Sweeper, Spreads) {
        let verb = if trigger == Trigger::Slot { Verb::CancelList } else { Verb::Place };
        let spreads: Spreads = Arc::new(Mutex::new(std::array::from_fn(|_| Spread::new())));
        (Sweeper { rings, verb, spreads: Arc::clone(&spreads), has_traded, turns: 0, last: Time::NONE }, spreads)
    }
}

impl Agent for Sweeper {
    fn turn(&mut self, now: Time) -> Work {
        self.turns += 1;
        if self.turns == TURNS_PER_SAMPLE {
            self.turns = 0;
            let mut spreads = self.spreads.lock().unwrap_or_else(PoisonError::into_inner);
            spreads[STAGES.len() - 1].add(now.since(self.last));
        }
        self.last = now;
        while let Some(note) = self.rings.gateway.pop() {
            let WireNote::Sent { verb, sent, trigger, stages_ns, .. } = note else { continue };
            if verb == self.verb {
                self.has_traded.store(true, Ordering::Relaxed);
                let mut spreads = self.spreads.lock().unwrap_or_else(PoisonError::into_inner);
                let stages = stages_ns.into_iter().map(i64::from).chain([sent.since(trigger)]);
                spreads.iter_mut().zip(stages).for_each(|(spread, ns)| spread.add(ns));
            }
        }
        while self.rings.hot.pop().is_some() || self.rings.ingest.pop().is_some() {}
        Work::NONE
    }
    fn idle(&self) -> bool {
        true
    }
    fn deadline(&self) -> Option<Time> {
        None
    }
    fn finish(&mut self, _now: Time) {}
}
