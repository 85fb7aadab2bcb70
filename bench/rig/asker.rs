//! The venue as a process of its own: it fires the triggers at a steady pace, blocks of pings in between, and counts.
//!
//! Runs on: the first core, alone; it spins, so that its own waking is no part of any figure.
//! Invariants: rounds and pings alternate in blocks within one run, at the same pace and with the same sizes.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use serde_json::{Value, json};
use sol_volume_bot::sys::cores;
use sol_volume_bot::types::time::NANOS_PER_SEC;

use super::certs::Ca;
use super::floor::Pinger;
use super::peer::listen;
use super::report::Spread;
use super::venue::{Doors, Trigger, Venue};

/// Blocks of each kind in one run.
const BLOCKS: u32 = 4;
/// Rounds before the count begins.
const WARM_UP: u32 = 200;
/// Pings of a block that are not counted.
const WARM_PINGS: u32 = 3;

/// One run, as the command line says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// What makes the engine send.
    pub trigger: Trigger,
    /// TLS 1.3, or plain TCP.
    pub tls: bool,
    /// Triggers in a second.
    pub rate: i64,
    /// Seconds of triggers; as long again for the floor.
    pub seconds: i64,
    /// Whether there is a floor to compare with.
    pub floor: bool,
}

impl Run {
    /// Arguments for the venue's process.
    pub fn args(&self) -> [String; 6] {
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let (trigger, rate, seconds) =
            (self.trigger.name().to_owned(), self.rate.to_string(), self.seconds.to_string());
        ["venue".to_owned(), trigger, yes(self.tls), rate, seconds, yes(self.floor)]
    }
    /// Reads them back; `None` if these are not for the venue's process.
    pub fn of_args(args: &[String]) -> Option<Run> {
        let [verb, trigger, tls, rate, seconds, floor] = args else { return None };
        let trigger = if trigger == "slot" { Trigger::Slot } else { Trigger::Entry };
        let run = Run {
            trigger,
            tls: tls == "yes",
            rate: rate.parse().ok()?,
            seconds: seconds.parse().ok()?,
            floor: floor == "yes",
        };
        (verb == "venue").then_some(run)
    }
}

/// Says where its doors are (one line of JSON), lets the other side in, runs, and says what it saw (another line).
pub fn be_the_venue(run: Run) {
    cores::pin_current(0).expect("the first core");
    let ca = run.tls.then(Ca::new);
    let tls: Option<Arc<ServerConfig>> = ca.as_ref().map(|ca| ca.server(&[&rustls::version::TLS13]));
    let doors = Doors::open(tls.clone());
    let (floor, floor_addr) = listen();
    let ca_file: Option<&Path> = ca.as_ref().map(|ca| ca.file.as_path());
    println!("{}", json!({"doors": doors.addrs, "floor": floor_addr, "ca_file": ca_file}));
    let pinger = run.floor.then(|| Pinger::accept(&floor, tls.as_ref()));
    let mut venue = doors.welcome(run.trigger);
    venue.open_session();
    println!("{}", measure(run, &mut venue, pinger));
}

/// The counts of one run.
struct Seen {
    wire: Spread,
    floor: Spread,
    overtaken: u64,
    bytes: (usize, usize),
}

fn measure(run: Run, venue: &mut Venue, mut pinger: Option<Pinger>) -> Value {
    let mut seen = Seen { wire: Spread::new(), floor: Spread::new(), overtaken: 0, bytes: (0, 0) };
    let period = NANOS_PER_SEC / run.rate;
    block(venue, NANOS_PER_SEC / 1_000, WARM_UP, &mut seen);
    seen.wire = Spread::new();
    let rounds = u32::try_from(run.seconds * run.rate / i64::from(BLOCKS)).unwrap_or(u32::MAX).max(2);
    for _ in 0..BLOCKS {
        block(venue, period, rounds, &mut seen);
        if let Some(pinger) = &mut pinger {
            pings(venue, pinger, period, rounds, &mut seen);
        }
    }
    let (wire, floor) = (seen.wire.figures().json(), seen.floor.figures().json());
    json!({"wire": wire, "floor": floor, "overtaken": seen.overtaken, "trigger_bytes": seen.bytes.0, "order_bytes": seen.bytes.1})
}

/// Rounds at a steady pace; the book moves half a period before the slot.
fn block(venue: &mut Venue, period: i64, rounds: u32, seen: &mut Seen) {
    let mut next = venue.now().plus(period);
    for _ in 0..rounds {
        let half = next.plus(-period / 2);
        while venue.now() < half {
            venue.idle();
        }
        venue.prepare();
        while venue.now() < next {
            venue.idle();
        }
        match venue.fire() {
            Some(round) => {
                seen.wire.add(round.wire_ns);
                seen.bytes = round.bytes;
            }
            None => seen.overtaken += 1,
        }
        next = next.plus(period).max(venue.now());
    }
}

fn pings(venue: &mut Venue, pinger: &mut Pinger, period: i64, rounds: u32, seen: &mut Seen) {
    let mut next = venue.now();
    for number in 0..rounds + WARM_PINGS {
        while venue.now() < next {
            venue.idle();
            pinger.idle();
        }
        let took = pinger.ping(seen.bytes);
        if number >= WARM_PINGS {
            seen.floor.add(took);
        }
        next = next.plus(period).max(venue.now());
    }
    pinger.end_block();
}
