//! SIGKILL at seeded instants of a session, and a new start on the same folder: nothing is lost, nothing is sent twice,
//! the engine trades again within a second.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use sol_volume_bot::sim::market::SplitMix64;
use sol_volume_bot::types::time::NANOS_PER_MILLI;

use crate::instants::Instant;
use crate::lanes::{self, spread};
use crate::trial::{self, Place};

/// Kills at seeded times and events.
const KILLS_OUTSIDE: usize = 150;
/// Kills inside system calls.
const KILLS_INSIDE: usize = 80;
/// Kills of one session, at most.
const KILLS_PER_SESSION: usize = 6;
/// Sessions at a time.
const LANES: usize = 2;
/// From the start of the process to trading again; of a hundred starts on a busy machine one may be later.
const TRADING_NS_MAX: i64 = 1_000 * NANOS_PER_MILLI;

/// The machine is measured too: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Sessions until enough kills are done, or the one of `SEED`. Prints how fast the starts were.
fn kill_often(test: &str, base: u64, kills: usize, next: fn(&mut SplitMix64) -> Instant) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::here();
    let again = format!("cargo test --test faults {test} -- --ignored");
    let sum = lanes::hold(
        (base, LANES),
        &again,
        |sum| sum.shown.kills >= kills,
        |seed| {
            let mut random = SplitMix64(seed);
            let instants: Vec<Instant> = (0..KILLS_PER_SESSION).map(|_| next(&mut random)).collect();
            trial::hold(&place, &mut random, &instants)
        },
    );
    println!("{test}: {} sessions, {} kills", sum.trials, sum.shown.kills);
    let calls: BTreeSet<&str> = sum.shown.struck.iter().copied().collect();
    for call in calls {
        println!("  inside {call}: {}", sum.shown.struck.iter().filter(|struck| **struck == call).count());
    }
    println!("  start to trading, {}", spread(sum.shown.trading_ns.clone()));
    println!("  start to /readyz, {}", spread(sum.shown.ready_ns));
    let mut trading = sum.shown.trading_ns;
    trading.sort_unstable();
    let p99 = lanes::quantile(&trading, 990);
    assert!(p99 <= TRADING_NS_MAX, "{test}: trading again took {} ms", p99 / NANOS_PER_MILLI);
}

#[test]
#[ignore = "two minutes: scripts/test.sh runs it"]
fn killed_at_any_instant_nothing_is_lost_and_nothing_is_sent_twice() {
    kill_often("killed_at_any_instant", 1, KILLS_OUTSIDE, Instant::outside);
}

#[test]
#[ignore = "two minutes: scripts/test.sh runs it"]
fn killed_inside_system_calls_nothing_is_lost_and_nothing_is_sent_twice() {
    let can_trace = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    if !can_trace.is_ok_and(|status| status.success()) {
        println!("SKIPPED killed_inside_system_calls: strace is not there or may not trace here");
        return;
    }
    kill_often("killed_inside_system_calls", 1_001, KILLS_INSIDE, Instant::inside);
}
