//! A world in virtual time: the whole engine, codecs and sessions included, against the venues in a box, one seed each.
//!
//! Thread: any.  Invariants: no clock, socket or thread: time is the next planned event's, chance is the seed's, so a
//! seed repeats its world to the byte. The rules of [`Truth`] are judged after every event, those of `end` at rest.
//!
//! ```text
//!   Plan (seed) ─▶ Queue ─▶ World::happen ─▶ venues (sim::server without sockets) ─┐ frames, late,
//!                    ▲                                                             │ cut, in order
//!                    └──── lines ◀─── House: sessions ▸ driver ▸ engine ◀──────────┘ a connection
//! ```

mod chance;
mod end;
mod happen;
mod house;
mod keep;
mod life;
mod lines;
mod plan;
mod queue;
mod rest;
mod strike;
mod tally;
mod trouble;
mod truth;
mod venues;

pub use lines::{Door, Pace};
pub use plan::{Plan, Way};
pub use tally::Tally;
pub use trouble::{KINDS, Trouble};
pub use truth::Violation;

use super::server::world::World as Venues;
use crate::ledger::Ledger;
use crate::types::Time;
use crate::types::time::NANOS_PER_SEC;
use chance::Chance;
use happen::Due;
use house::{House, Wish};
use lines::Line;
use queue::Queue;
use std::collections::BTreeMap;
use std::fmt;
use truth::Truth;

/// When every world begins: 2026-11-22 12:00 UTC.
const BEGIN: Time = Time(1_795_348_800 * NANOS_PER_SEC);
/// Keeps the dice of the world apart from those of its plan.
const WORLD_SALT: u64 = 0x776f_726c_6400;
/// Longest way from calm, or from the operator's last word, to rest.
const REST_NS_MAX: i64 = 120 * NANOS_PER_SEC;

/// A world that broke a rule.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// When, from the beginning, ns.
    pub at_ns: i64,
    /// Which rule, and what was found.
    pub violation: Violation,
    /// The engine's newest events and what it asked for then.
    pub story: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { seed, at_ns, violation, story } = self;
        writeln!(out, "{story}")?;
        writeln!(out, "seed {seed} at {:.3} s: {}: {}", Seconds(*at_ns), violation.rule, violation.what)?;
        write!(out, "repeat it: SVB_SEED={seed} cargo test --test world one_seed -- --nocapture")
    }
}

/// Nanoseconds shown as seconds.
struct Seconds(i64);
impl fmt::Display for Seconds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{:03}", self.0 / NANOS_PER_SEC, self.0 % NANOS_PER_SEC / 1_000_000)
    }
}

/// Plays a plan to its end. Output: what happened, how often. Errors: the first rule that did not hold.
pub fn play(plan: Plan) -> Result<Tally, Box<Failure>> {
    play_watched(plan, i64::MAX, &mut |_| {})
}

/// How far a world has come.
#[derive(Clone, Copy, Debug)]
pub struct Passed {
    /// Virtual time from the beginning.
    pub ns: i64,
    /// Size of its ledger, which lives in memory here and on disk in a real house.
    pub ledger_bytes: u64,
}

/// [`play`], looking up after each `every_ns` of virtual time.
pub fn play_watched(plan: Plan, every_ns: i64, look: &mut dyn FnMut(Passed)) -> Result<Tally, Box<Failure>> {
    let seed = plan.seed;
    let mut world = World::new(plan).map_err(|violation| {
        let story = String::new();
        Box::new(Failure { seed, at_ns: 0, violation, story })
    })?;
    match world.play(every_ns, look) {
        Ok(()) => Ok(world.tally),
        Err(violation) => {
            let story = world.story();
            Err(Box::new(Failure { seed, at_ns: world.now.since(BEGIN), violation, story }))
        }
    }
}

/// A world.
struct World {
    plan: Plan,
    chance: Chance,
    now: Time,
    queue: Queue<Due>,
    venues: Venues,
    /// The venue's clock minus ours.
    skew_ns: i64,
    /// The venue's newest time: its clock never falls.
    venue_time: Time,
    slot_told: u64,
    lines: BTreeMap<u32, Line>,
    lines_made: u32,
    /// The process, while it lives.
    house: Option<House>,
    /// The one that died last.
    last_house: Option<House>,
    /// Starts so far that came to trade.
    lives: u32,
    /// Starts in a row that did not.
    starts_failed: u32,
    /// The process was killed in the middle of its start.
    killed: bool,
    /// The process dies once it has written so many more frames.
    crash_after: Option<(u32, i64)>,
    wishes: Vec<Wish>,
    timer_at: Time,
    /// Taken away while a start works on it.
    ledger: Option<Ledger>,
    /// The ledger's disk refuses until then.
    disk_full_until: Time,
    flush_planned: bool,
    truth: Truth,
    tally: Tally,
    /// Frames are slower until then, by so much at most.
    slow: (Time, i64),
    /// Nobody gets in until then.
    closed_until: Time,
    /// Account events that the venue will lose.
    to_lose: u32,
    /// Account events of late, for a venue that repeats itself.
    told: Vec<String>,
    repeat: bool,
    /// Until then something is wrong that may keep the house from what it has to do.
    ill_until: Time,
    ready_since: Option<Time>,
    worst_naked_ns: i64,
    /// Starts and deaths, for whoever must explain a failure.
    notes: Vec<(Time, String)>,
}

impl World {
    fn story(&self) -> String {
        let line = |(event, commands): &(crate::types::Event, Vec<crate::types::Command>)| {
            let orders = commands.iter().map(|command| format!("\n        → {command:?}"));
            let at = Seconds(event.at.since(BEGIN));
            format!("{at} {:?}: {:?}{}\n", event.stream, event.kind, orders.collect::<String>())
        };
        let troubles = self.plan.troubles.iter().map(|(at, _, what)| format!("    {} {what:?}\n", Seconds(*at)));
        let houses = [&self.last_house, &self.house].into_iter().flatten();
        let lives: Vec<String> = houses.map(|house| house.past.iter().map(line).collect()).collect();
        let past = lives.join("    the process died and was started again\n");
        let notes = self.notes.iter().map(|(at, what)| format!("    {} {what}\n", Seconds(at.since(BEGIN))));
        let troubles = troubles.chain(notes);
        format!("way {:?}; troubles:\n{}newest events:\n{past}", self.plan.way, troubles.collect::<String>())
    }
}
