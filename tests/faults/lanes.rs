//! Many trials, a few at a time, each by its seed: what they showed together, or which seeds failed.

use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use sol_volume_bot::types::time::NANOS_PER_MILLI;

use crate::trial::Shown;

/// The one seed to repeat, if `SEED` names it.
pub fn given_seed() -> Option<u64> {
    std::env::var("SEED").ok().map(|text| text.parse().expect("SEED is a number"))
}

/// What the trials of one test showed together.
#[derive(Default)]
pub struct Sum {
    pub trials: usize,
    /// Trials that bought something.
    pub trades: usize,
    pub shown: Shown,
}

/// Holds trials of seeds from `base` on, `lanes` at a time, until enough is done or `SEED` is repeated. `again` is the
/// command that repeats one, but for its `SEED=`.
pub fn hold(
    (base, lanes): (u64, usize),
    again: &str,
    is_enough: impl Fn(&Sum) -> bool + Sync,
    trial: impl Fn(u64) -> Result<Shown, String> + Sync,
) -> Sum {
    let given = given_seed();
    let (seeds, failures) = (AtomicU64::new(given.unwrap_or(base)), AtomicUsize::new(0));
    let (sum, failed) = (Mutex::new(Sum::default()), Mutex::new(Vec::new()));
    let lane = || {
        while failures.load(Ordering::Relaxed) < FAILURES_MAX && !is_enough(&sum.lock().expect("whole")) {
            let seed = seeds.fetch_add(1, Ordering::Relaxed);
            if given.is_some_and(|given| given != seed) {
                break;
            }
            let told = std::panic::catch_unwind(AssertUnwindSafe(|| trial(seed)));
            match told.unwrap_or_else(|_| Err("the rig gave up; its own words stand above".to_owned())) {
                Ok(shown) => sum.lock().expect("whole").add(shown),
                Err(why) => {
                    failures.fetch_add(1, Ordering::Relaxed);
                    failed.lock().expect("whole").push((seed, why));
                }
            }
        }
    };
    std::thread::scope(|scope| (0..lanes).for_each(|_| drop(scope.spawn(lane))));
    let failed = failed.into_inner().expect("whole");
    if let Some((seed, why)) = failed.first() {
        let brief = |(seed, why): &(u64, String)| format!("SEED={seed}: {:.300}\n", why.lines().next().unwrap_or(""));
        let all: String = failed.iter().map(brief).collect();
        panic!("{all}the first one whole:\n{why}\nSEED={seed} {again}");
    }
    sum.into_inner().expect("whole")
}

/// After so many failures the rest would tell nothing new.
const FAILURES_MAX: usize = 12;

impl Sum {
    fn add(&mut self, shown: Shown) {
        self.trials += 1;
        self.trades += usize::from(shown.has_traded);
        self.shown.kills += shown.kills;
        self.shown.unreached += shown.unreached;
        self.shown.struck.extend(shown.struck);
        self.shown.trading_ns.extend(shown.trading_ns);
        self.shown.ready_ns.extend(shown.ready_ns);
    }
}

/// The value below which so many of a thousand lie; zero of nothing.
pub fn quantile(sorted: &[i64], permille: usize) -> i64 {
    sorted.get(sorted.len().saturating_sub(1) * permille / 1_000).copied().unwrap_or(0)
}

/// Count, median, 90 %, 99 % and maximum in milliseconds.
pub fn spread(mut times_ns: Vec<i64>) -> String {
    times_ns.sort_unstable();
    let at = |permille| quantile(&times_ns, permille) / NANOS_PER_MILLI;
    let count = times_ns.len();
    format!("{count} times: p50 {} ms, p90 {} ms, p99 {} ms, max {} ms", at(500), at(900), at(990), at(1_000))
}
