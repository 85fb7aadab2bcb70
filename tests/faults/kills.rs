//! SIGKILL at seeded instants of a session, and a new start on the same folder: nothing is lost, nothing is sent twice,
//! the engine trades again within a second.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use sol_volume_bot::sim::market::SplitMix64;
use sol_volume_bot::types::Time;
use sol_volume_bot::types::time::NANOS_PER_MILLI;

use crate::instants::{Instant, PATIENCE_MS};
use crate::judge;
use crate::rig::Rig;
use crate::session::{self, Session};

/// Kills of one test.
const KILLS: usize = 200;
/// Kills of one session, at most.
const KILLS_PER_SESSION: usize = 6;
/// Sessions at a time.
const LANES: usize = 2;
/// From the start of the process to "may trade".
const READY_NS_MAX: i64 = 1_000 * NANOS_PER_MILLI;

/// What one session showed.
#[derive(Default)]
struct Shown {
    kills: usize,
    /// From each start that was not cut short to its first "may trade", ns.
    ready_ns: Vec<i64>,
}

/// One start of the engine.
struct Run {
    instant: Option<Instant>,
    started: Time,
    requests_before: usize,
    is_ready: bool,
}

impl Run {
    fn start(rig: &mut Rig, instant: Option<Instant>) -> Run {
        let wrapper = instant.map(Instant::wrapper).unwrap_or_default();
        let (started, requests_before) = (rig.clock.now(), rig.venue.snapshot().received);
        rig.spawn(&wrapper.iter().map(String::as_str).collect::<Vec<_>>());
        Run { instant, started, requests_before, is_ready: false }
    }
    fn is_due(&self, rig: &Rig) -> bool {
        let Some(instant) = self.instant else { return false };
        let ran_ns = rig.clock.now().since(self.started);
        let is_there = match instant {
            Instant::After(time) => ran_ns >= time.as_nanos() as i64,
            Instant::Line(number) => rig.line_count() >= number,
            Instant::Request(number) => rig.venue.snapshot().received >= self.requests_before + number,
            Instant::Inside(..) => false, // the tracer kills
        };
        is_there || ran_ns > PATIENCE_MS * NANOS_PER_MILLI
    }
    /// Asks whether the engine may trade; how long that took, if it may for the first time.
    fn look(&mut self, rig: &mut Rig) -> Option<i64> {
        if self.is_ready || rig.try_http("/readyz")?.0 != 200 {
            return None;
        }
        self.is_ready = true;
        rig.outage_over();
        let is_traced = matches!(self.instant, Some(Instant::Inside(..)));
        (!is_traced).then(|| rig.clock.now().since(self.started))
    }
}

/// One session of a seed, killed at its instants; then everything that must hold.
fn session(seed: u64, next: fn(&mut SplitMix64) -> Instant) -> Result<Shown, String> {
    let mut random = SplitMix64(seed);
    let mut rig = Rig::open(session::OVERRIDES, |_| {});
    let instants: Vec<Instant> = (0..KILLS_PER_SESSION).map(|_| next(&mut random)).collect();
    let mut script = Session::begin(&rig, &mut random);
    let mut shown = Shown::default();
    let story = |rig: &Rig, shown: &Shown| format!("killed {:?}\n{}", &instants[..shown.kills], rig.story());
    'runs: for instant in instants.iter().copied().map(Some).chain([None]) {
        let mut run = Run::start(&mut rig, instant);
        while !run.is_due(&rig) {
            if rig.has_ended() {
                if instant.is_none() {
                    return Err(format!("the engine ended by itself\n{}", story(&rig, &shown)));
                }
                break;
            }
            shown.ready_ns.extend(run.look(&mut rig));
            if script.advance(&rig, run.is_ready).map_err(|why| format!("{why}\n{}", story(&rig, &shown)))? {
                break 'runs;
            }
            session::wait(&rig);
        }
        rig.kill();
        shown.kills += 1;
    }
    let told = story(&rig, &shown);
    let books = rig.checked_stop().map_err(|why| format!("{why}\n{told}"))?;
    judge::orders_agree(&rig.venue, &books)
        .and_then(|()| judge::profit_agrees(&books))
        .map_err(|why| format!("{why}\n{told}"))?;
    Ok(shown)
}

/// Sessions until enough kills are done, or the one of `SEED`. Prints how fast the starts were.
fn kill_often(test: &str, base: u64, next: fn(&mut SplitMix64) -> Instant) {
    let given: Option<u64> = std::env::var("SEED").ok().map(|text| text.parse().expect("SEED is a number"));
    let (seeds, kills) = (AtomicU64::new(given.unwrap_or(base)), AtomicUsize::new(0));
    let (ready, failed) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let lane = || {
        while kills.load(Ordering::Relaxed) < KILLS {
            let seed = seeds.fetch_add(1, Ordering::Relaxed);
            if given.is_some_and(|given| given != seed) {
                break;
            }
            let told = std::panic::catch_unwind(|| session(seed, next));
            match told.unwrap_or_else(|_| Err("the rig gave up; its own words stand above".to_owned())) {
                Ok(shown) => {
                    kills.fetch_add(shown.kills, Ordering::Relaxed);
                    ready.lock().expect("whole").extend(shown.ready_ns);
                }
                Err(why) => {
                    eprintln!("SEED={seed} failed");
                    kills.fetch_add(KILLS_PER_SESSION, Ordering::Relaxed);
                    failed.lock().expect("whole").push((seed, why));
                }
            }
        }
    };
    std::thread::scope(|scope| (0..LANES).for_each(|_| drop(scope.spawn(lane))));
    let failed = failed.into_inner().expect("whole");
    if let Some((seed, why)) = failed.first() {
        let brief = |(seed, why): &(u64, String)| format!("SEED={seed}: {:.300}\n", why.lines().next().unwrap_or(""));
        let all: String = failed.iter().map(brief).collect();
        panic!("{all}the first one whole:\n{why}\nSEED={seed} cargo test --test faults {test} -- --ignored");
    }
    let mut ready = ready.into_inner().expect("whole");
    ready.sort_unstable();
    let at = |permille: usize| ready[(ready.len() - 1) * permille / 1_000] / NANOS_PER_MILLI;
    println!(
        "{test}: {} kills; start to ready, {} times: p50 {} ms, p90 {} ms, p99 {} ms, max {} ms",
        kills.into_inner(),
        ready.len(),
        at(500),
        at(900),
        at(990),
        at(1_000)
    );
    assert!(at(1_000) * NANOS_PER_MILLI <= READY_NS_MAX, "{test}: a start took {} ms", at(1_000));
}

#[test]
#[ignore = "minutes: scripts/test.sh runs it"]
fn killed_at_two_hundred_instants_nothing_is_lost_and_nothing_is_sent_twice() {
    kill_often("killed_at_two_hundred_instants", 1, Instant::outside);
}

#[test]
#[ignore = "minutes: scripts/test.sh runs it"]
fn killed_inside_system_calls_nothing_is_lost_and_nothing_is_sent_twice() {
    kill_often("killed_inside_system_calls", 1_001, Instant::inside);
}
