//! The whole engine in virtual time, one world a seed: entries, targets, stops and kills, with and without trouble.
//!
//! `SVB_SEED=4711 cargo test --test world one_seed -- --nocapture` repeats a seed and tells its story.

use sol_volume_bot::sim::world::{KINDS, Plan, Tally, Trouble, play, play_watched};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text:?}")))
}

/// Plays these seeds on two threads. Output: what happened, added up.
fn play_all(seeds: std::ops::Range<u64>, plan: impl Fn(u64) -> Plan + Sync) -> Tally {
    let next = AtomicU64::new(seeds.start);
    let failures = Mutex::new(Vec::new());
    let play_some = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return tally;
            }
            match play(plan(seed)) {
                Ok(more) => tally.merge(&more),
                Err(failure) => failures.lock().expect("no panic meanwhile").push(*failure),
            }
        }
    };
    let tally = std::thread::scope(|scope| {
        let other = scope.spawn(play_some);
        let mut tally = play_some();
        tally.merge(&other.join().expect("the other half"));
        tally
    });
    let failures = failures.into_inner().expect("both are done");
    if let Some(first) = failures.iter().min_by_key(|failure| failure.seed) {
        let each =
            failures.iter().map(|one| format!("\nseed {}: {}: {}", one.seed, one.violation.rule, one.violation.what));
        panic!("{first}\n{} of {} worlds failed:{}", failures.len(), seeds.end - seeds.start, each.collect::<String>());
    }
    tally
}

fn show(tally: &Tally) {
    for (name, count) in tally.iter() {
        println!("{count:>10}  {name}");
    }
}

fn quiet(seed: u64) -> Plan {
    Plan::quiet(seed).expect("the built-in scenario")
}

fn troubled(seed: u64) -> Plan {
    Plan::of(seed).expect("the built-in scenario")
}

#[test]
fn one_seed() {
    let Some(seed) = number("SVB_SEED") else { return println!("SKIPPED: set SVB_SEED to repeat a seed") };
    match play(troubled(seed)) {
        Ok(tally) => show(&tally),
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn a_trade_without_trouble_ends_as_its_market_says() {
    let tally = play_all(0..number("SVB_SEEDS").unwrap_or(24), quiet);
    show(&tally);
    for name in ["end: flat", "end: protected", "stop that worked", "target that filled"] {
        assert!(tally.of(name) > 0, "{name} never happened");
    }
}

#[test]
fn nothing_is_lost_in_worlds_where_everything_goes_wrong() {
    let (first, seeds) = (number("SVB_FIRST").unwrap_or(0), number("SVB_SEEDS").unwrap_or(100));
    let tally = play_all(first..first + seeds, troubled);
    show(&tally);
    if seeds < 500 {
        return; // too few for every kind to have its turn
    }
    let ends = ["end: flat", "end: protected", "stop that worked", "target that filled", "recovery: order resting"];
    let struck = ["ledger row lost in a crash", "recovery: fill booked", "user event lost", "user event repeated"];
    let kinds = KINDS.iter().map(|(name, _)| *name);
    for name in
        kinds.chain(ends).chain(struck).chain(["answer delayed", "disk refused", "order refused by a full ring"])
    {
        assert!(tally.of(name) > 0, "{name} never happened in {seeds} worlds");
    }
}

/// Resident memory of this process, kB.
fn resident_kb() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = statm.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a number of pages");
    pages * 4
}

#[test]
#[ignore = "a day of virtual time: ./scripts/soak.sh --day"]
fn memory_stays_flat_over_a_virtual_day() {
    let mut hours = Vec::new();
    let plan = Plan::day(number("SVB_SEED").unwrap_or(1)).expect("the built-in scenario");
    let hour_ns = 3_600_000_000_000;
    let played = play_watched(plan, hour_ns, &mut |passed| {
        let (resident, ledger) = (resident_kb(), passed.ledger_bytes / 1_024);
        hours.push(resident.saturating_sub(ledger)); // on disk in a real house
        println!("hour {:>2}: {resident:>7} kB resident, {ledger:>6} kB of them ledger", passed.ns / hour_ns);
    });
    show(&played.unwrap_or_else(|failure| panic!("{failure}")));
    let (settled, last) = (hours[5], hours[hours.len() - 1]);
    assert!(last <= settled + 2_048, "memory grew from {settled} kB after six hours to {last} kB");
}

/// A world of this seed in which the process dies at that second and is away for one.
fn crashed(seed: u64, at_s: i64) -> Plan {
    let crash = Trouble::Crash { down_ns: 1_000_000_000, after_writes: 0 };
    let kind = KINDS.iter().position(|(name, _)| *name == "crash").expect("a kind of trouble");
    Plan { troubles: vec![(at_s * 1_000_000_000, kind, crash)], ..quiet(seed) }
}

#[test]
fn seed_72_the_dust_of_an_ended_trip_is_still_held_after_a_crash() {
    let tally = play_all(72..73, |seed| crashed(seed, 31));
    assert_eq!(tally.of("death"), 1);
}

#[test]
fn a_crash_at_any_second_of_a_trade_loses_nothing() {
    let tally = play_all(0..31, |second| crashed(second % 7, second as i64 + 1));
    assert_eq!(tally.of("death"), 31);
    assert!(tally.of("recovery: order resting") > 0, "no crash left orders behind");
}
