//! The session that is killed: three tranches, the first target, then the second one or the stop.
//!
//! The market is moved by what the venue sees and by time, whoever is alive: a dead engine misses what happens. The
//! session is over when the coins are sold, no order is left, and the engine says the same.

use std::time::Duration;

use sol_volume_bot::sim::market::SplitMix64;
use sol_volume_bot::sim::server::Snapshot;
use sol_volume_bot::types::Time;
use sol_volume_bot::types::time::NANOS_PER_MILLI;

use crate::books::coins;
use crate::proof;
use crate::rig::{DUST_MAX, Rig, price};

/// Entries are over when nothing was traded for so long: more than one tranche's wait.
const QUIET_NS: i64 = 1_000 * NANOS_PER_MILLI;

/// No entry comes any more when none came for so long.
const REFUSED_NS: i64 = 12_000 * NANOS_PER_MILLI;

/// The step that the session is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Entering,
    FirstTarget,
    Leaving,
    Over,
}

/// Where the market is in its script.
pub struct Session {
    step: Step,
    step_ns_max: i64,
    since: Time,
    last_trade: (usize, Time),
    held: i64,
    last_mid: &'static str,
}

/// Hours compressed into a second, so that a kill falls between two tranches as often as after them.
pub const OVERRIDES: &str = "execution.tranche_window = '1s'";

impl Session {
    /// The first step: the market moves into the band. A seed decides how the trade ends.
    pub fn begin(rig: &Rig, random: &mut SplitMix64, step_ms_max: i64) -> Session {
        rig.venue.set_mid(price("161.00"));
        let now = rig.clock.now();
        let last_mid = if random.below(2) == 0 { "166.50" } else { "154.50" };
        let step_ns_max = step_ms_max * NANOS_PER_MILLI;
        Session { step: Step::Entering, step_ns_max, since: now, last_trade: (0, now), held: 0, last_mid }
    }

    /// Moves the market on if it is time; true when the session is over and the engine of now knows it. `is_trading`: the
    /// engine can send, hear and price orders.
    pub fn advance(&mut self, rig: &Rig, is_trading: bool) -> Result<bool, String> {
        let (now, venue) = (rig.clock.now(), rig.venue.snapshot());
        if now.since(self.since) > self.step_ns_max {
            let own = rig.try_http("/api/status").map(|(_, body)| body);
            return Err(format!("the session hangs in {:?}; the engine says {own:?}, the venue {venue:?}", self.step));
        }
        let next = match self.step {
            Step::Entering => self.is_quiet(&venue, now, is_trading).then(|| {
                self.held = venue.coins("SOL").0;
                rig.venue.set_mid(price("164.00"));
                Step::FirstTarget
            }),
            Step::FirstTarget => (is_trading && self.is_halved(&venue)).then(|| {
                rig.venue.set_mid(price(self.last_mid));
                Step::Leaving
            }),
            Step::Leaving | Step::Over => (is_trading && is_flat(&venue) && knows_it(rig)).then_some(Step::Over),
        };
        if let Some(next) = next {
            (self.step, self.since) = (next, now);
        }
        Ok(next == Some(Step::Over))
    }

    /// Whether the entries are over: the coins are guarded, or sold again because they could not be, or every entry was
    /// refused.
    fn is_quiet(&mut self, venue: &Snapshot, now: Time, is_trading: bool) -> bool {
        if venue.trades.len() != self.last_trade.0 || !is_trading {
            self.last_trade = (venue.trades.len(), now);
        }
        let quiet_ns = if venue.trades.is_empty() { REFUSED_NS } else { QUIET_NS };
        now.since(self.last_trade.1) > quiet_ns && proof::is_protected(venue)
    }
    fn is_halved(&self, venue: &Snapshot) -> bool {
        let coins = venue.coins("SOL").0;
        (coins < DUST_MAX || coins * 3 <= self.held * 2) && proof::is_protected(venue)
    }
}

fn is_flat(venue: &Snapshot) -> bool {
    venue.coins("SOL").0 < DUST_MAX && venue.open_orders.is_empty()
}

/// Whether the engine's own word is the venue's, but for dust: of a round trip that has ended, it is nobody's position.
fn knows_it(rig: &Rig) -> bool {
    let Some(status) = rig.try_http("/api/status").and_then(|(_, body)| serde_json::from_str(&body).ok()) else {
        return false;
    };
    let status: serde_json::Value = status;
    let position = status["position"].as_str().map_or(i64::MAX, |text| coins(text).0);
    let difference = position - rig.venue.snapshot().coins("SOL").0;
    difference.abs() < DUST_MAX && status["orders_open"] == 0 && status["orders_unknown"] == 0
}

/// One turn's wait.
pub fn wait(rig: &Rig) {
    rig.venue.wait_for(Duration::from_millis(1), |_| false);
}
