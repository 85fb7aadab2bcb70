//! The venue of the load bench as a process of its own: triggers at a steady pace, low tide and high tide in turn.
//!
//! Runs on: the first core, which the scout shares: between its jobs it sleeps.
//! Invariants: both tides have the same triggers; what is counted begins after a settling time.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::park_timeout;
use std::time::Duration;

use serde_json::{Value, json};
use sol_volume_bot::sys::cores;
use sol_volume_bot::types::Time;
use sol_volume_bot::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};

use crate::flood::{Flood, FloodDoors, STREAMS};
use crate::frames::dex_accounts;
use crate::rest::{World, serve};
use crate::rig::report::Spread;
use crate::rig::venue::{Doors, Trigger, Venue};

/// Between two triggers: 200 a second.
const PERIOD_NS: i64 = 5 * NANOS_PER_MILLI;
/// After the tide turned.
const SETTLE_NS: i64 = NANOS_PER_SEC / 2;
/// For everything to be subscribed to and up.
const OPEN_NS_MAX: i64 = 20 * NANOS_PER_SEC;
const UP_NS: i64 = 4 * NANOS_PER_SEC;
/// For the last messages to be read.
const DRAIN_NS: i64 = NANOS_PER_SEC;

/// Longest sleep: a third of the pause between two batches.
const SLEEP: Duration = Duration::from_micros(230);

/// One run, as the command line says it.
#[derive(Clone, Copy, Debug)]
pub struct Tide {
    /// Rounds of both tides.
    pub rounds: i64,
    /// Seconds of each tide of a round.
    pub seconds: i64,
}

impl Tide {
    /// Arguments for the venue's process.
    pub fn args(&self) -> [String; 3] {
        ["tide".to_owned(), self.rounds.to_string(), self.seconds.to_string()]
    }
    /// Reads them back; `None` if these are not for the venue's process.
    pub fn of_args(args: &[String]) -> Option<Tide> {
        let [verb, rounds, seconds] = args else { return None };
        (verb == "tide").then_some(Tide { rounds: rounds.parse().ok()?, seconds: seconds.parse().ok()? })
    }
}

/// Venue, load and counts.
struct Sea {
    venue: Venue,
    flood: Flood,
    /// Without load and with it.
    wire: [Spread; 2],
    overtaken: u64,
}

impl Sea {
    fn idle(&mut self, loaded: bool) {
        self.venue.idle();
        if !self.flood.turn(&mut self.venue, loaded) {
            park_timeout(SLEEP); // the scout has this core too
        }
    }
    fn idle_until(&mut self, until: Time, loaded: bool) {
        while self.venue.now() < until {
            self.idle(loaded);
        }
    }
    /// Triggers for so long; the book moves half a period before each.
    fn rounds(&mut self, nanos: i64, loaded: bool, counts: bool) {
        let mut next = self.venue.now().plus(PERIOD_NS);
        let end = next.plus(nanos);
        while next < end {
            self.idle_until(next.plus(-PERIOD_NS / 2), loaded);
            self.venue.prepare();
            self.idle_until(next, loaded);
            match self.venue.fire() {
                Some(round) if counts => self.wire[usize::from(loaded)].add(round.wire_ns),
                Some(_) => {}
                None => self.overtaken += u64::from(counts),
            }
            next = next.plus(PERIOD_NS).max(self.venue.now());
        }
    }
    /// One tide, and what was written in it.
    fn tide(&mut self, number: i64, nanos: i64, loaded: bool) {
        self.rounds(SETTLE_NS, loaded, false);
        println!("{}", json!({"begin": number}));
        let (from, before, slot) = (self.venue.now(), self.flood.written, self.venue.slot());
        self.rounds(nanos, loaded, true);
        let written: Vec<u64> = self.flood.written.iter().zip(before).map(|(now, before)| now - before).collect();
        let (took_ns, slots) = (self.venue.now().since(from), self.venue.slot() - slot);
        println!(
            "{}",
            json!({"end": number, "loaded": loaded, "took_ns": took_ns, "written": written, "slots": slots})
        );
    }
    fn result(&mut self) -> Value {
        let [off, on] = [0, 1].map(|tide| self.wire[tide].figures().json());
        let ticks = self.venue.tick().0 - 400_900_000 - 2; // the first one was number 2, this one is not sent
        json!({"wire_off": off, "wire_on": on, "overtaken": self.overtaken, "written": self.flood.written,
               "ticks": ticks, "slots": self.venue.slot() - 1_000, "trades": self.flood.trades,
               "late_ns": self.flood.lost_ns})
    }
}

/// Says where its doors are, lets the other side in, runs, and says what it saw: a line of JSON each time. Ends when its
/// input does.
pub fn be_the_tide(tide: Tide) {
    cores::pin_current(0).expect("the first core");
    let [account, _] = dex_accounts();
    let world = Arc::new(World { depth: AtomicU64::new(0), slot: AtomicU64::new(0), account });
    let rest = serve(Arc::clone(&world));
    let (doors, further) = (Doors::open(None), FloodDoors::open());
    println!("{}", json!({"doors": doors.addrs, "further": further.addrs, "rest": rest}));
    let mut venue = doors.welcome(Trigger::Slot);
    let flood = Flood::welcome(further, world, venue.now());
    venue.open_session();
    let mut sea = Sea { venue, flood, wire: [Spread::new(), Spread::new()], overtaken: 0 };
    let late = sea.venue.now().plus(OPEN_NS_MAX);
    while !sea.flood.is_open() {
        sea.idle(false);
        assert!(sea.venue.now() < late, "not all of the {} streams were asked for", STREAMS.len());
    }
    sea.rounds(UP_NS, false, false);
    for round in 0..tide.rounds {
        for loaded in [false, true] {
            sea.tide(2 * round + i64::from(loaded), tide.seconds * NANOS_PER_SEC, loaded);
        }
    }
    let drained = sea.venue.now().plus(DRAIN_NS);
    while sea.venue.now() < drained {
        sea.venue.idle();
        park_timeout(SLEEP);
    }
    println!("{}", sea.result());
    _ = std::io::stdin().read(&mut [0]); // ends with the other side
}
