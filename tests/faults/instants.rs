//! When a run is killed: after a time, at a line it writes, at a request it sends, or inside a system call.
//!
//! Invariants: the same seed gives the same instants.

use std::fmt;
use std::time::Duration;

use sol_volume_bot::sim::market::SplitMix64;

/// Latest kill of a run whose own instant has not come, from its start.
pub const PATIENCE_MS: i64 = 2_500;

/// System calls that can be killed inside, those of the ledger and the journal most often, and how many of each a thread
/// makes in a run, about (counted with `strace -ff`).
const CALLS: [(&str, i64); 9] = [
    ("pwrite64", 16),
    ("pwrite64", 40),
    ("pwrite64", 80),
    ("write", 16),
    ("rename", 5),
    ("fsync", 2),
    ("fdatasync", 1),
    ("ftruncate", 2),
    ("sendto", 40),
];

/// The instant of one kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instant {
    /// So long after the start of the run.
    After(Duration),
    /// When the run has written so many lines.
    Line(usize),
    /// When so many requests of the run that trade have reached the venue.
    Request(usize),
    /// When a thread of the run enters this system call for the n-th time; the call is not carried out.
    Inside(&'static str, i64),
}

impl Instant {
    /// The next instant of a seed, in time or at an event.
    pub fn outside(random: &mut SplitMix64) -> Instant {
        let number = |random: &mut SplitMix64, end| usize::try_from(1 + random.below(end)).expect("positive");
        match random.below(4) {
            0 => Instant::Line(number(random, 60)),
            1 => Instant::Request(number(random, 12)),
            _ => Instant::After(Duration::from_millis(random.below(2_000).unsigned_abs())),
        }
    }
    /// The next instant of a seed, inside a system call.
    pub fn inside(random: &mut SplitMix64) -> Instant {
        let (call, often) = CALLS[usize::try_from(random.below(CALLS.len() as i64)).expect("an index")];
        Instant::Inside(call, 1 + random.below(often))
    }
    /// What runs the child so that it dies there; empty where the test kills it. The tracer is the grandchild: the
    /// child is the engine itself.
    pub fn wrapper(self) -> Vec<String> {
        let Instant::Inside(call, number) = self else { return Vec::new() };
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={number}"));
        ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject, "--"].map(str::to_owned).to_vec()
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Instant::After(time) => write!(out, "{} ms after the start", time.as_millis()),
            Instant::Line(number) => write!(out, "at line {number}"),
            Instant::Request(number) => write!(out, "at request {number}"),
            Instant::Inside(call, number) => write!(out, "inside {call} {number}"),
        }
    }
}
