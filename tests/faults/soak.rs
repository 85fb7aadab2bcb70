//! The real binary under load for a long time: 5 000 market messages a second, exits that are moved every second, and
//! its memory, which must stay flat.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sol_volume_bot::sim::server::Handle;
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::types::event::{Bbo, Trade};
use sol_volume_bot::types::time::NANOS_PER_SEC;
use sol_volume_bot::types::{Price, Qty, Side};

use crate::rig::{Rig, price};

/// Market messages a second, at least.
const RATE_MIN: f64 = 5_000.0;
/// Changes of the market a second; each makes three or four messages, because the venue tells of every step to it.
const CHANGES: u64 = 1_500;
/// Changes between two looks at the clock.
const BATCH: u64 = 10;
/// Between two looks at the memory, at most.
const LOOK: Duration = Duration::from_secs(10);
/// Growth that is none, MB: a line through the samples after the first quarter rises by no more than this.
const GROWTH_MB_MAX: f64 = 1.0;
/// The user's limit, MB.
const RSS_MB_MAX: f64 = 150.0;

/// Every move of the market is followed, to the letter: the most orders there can be.
const OVERRIDES: &str = "execution.repost_same_price = true\nexecution.tranche_window = '1s'";

/// The `number`-th change: seven of the quotes and three trades of ten; the market jumps by 0.15 % every second.
fn tell(venue: &Handle, number: u64) {
    let wave = if (number / CHANGES).is_multiple_of(2) { 0 } else { 24 };
    let cents = 16_100 + wave + i64::try_from(number % 5).expect("small");
    let (bid, ask) = (Price(cents * 1_000_000), Price((cents + 1) * 1_000_000));
    let qty = Qty(i64::try_from(30 + number % 11).expect("small") * 1_000_000_000);
    if number % 10 < 7 {
        venue.follow(Bbo { bid, bid_qty: qty, ask, ask_qty: qty, update_id: number });
    } else {
        venue.follow_trade(Trade { price: bid, qty: Qty(310_000_000), aggressor: Side::Sell, trade_id: 0 });
    }
}

/// Tells the venue's clients of the market until told to stop, at [`CHANGES`].
fn drive(venue: &Handle, stop: &AtomicBool) {
    let clock = Clock::start();
    let mut next = clock.now();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..BATCH {
            number += 1;
            tell(venue, number);
        }
        next = next.plus(NANOS_PER_SEC * BATCH as i64 / CHANGES as i64);
        let early_ns = next.since(clock.now()).max(0).unsigned_abs();
        std::thread::park_timeout(Duration::from_nanos(early_ns));
    }
}

/// Resident memory of a process, MB.
fn rss_mb(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the engine lives");
    let kb = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().split(' ').next()?.parse::<f64>().ok());
    kb.expect("VmRSS") / 1_024.0
}

/// Slope of the line that fits best, per step.
fn slope(samples: &[f64]) -> f64 {
    let middle = (samples.len() as f64 - 1.0) / 2.0;
    let mean = samples.iter().sum::<f64>() / samples.len() as f64;
    let of = |(at, sample): (usize, &f64)| ((at as f64 - middle) * (sample - mean), (at as f64 - middle).powi(2));
    let (up, down) = samples.iter().enumerate().map(of).fold((0.0, 0.0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    up / down
}

/// Size of the ledger, MB.
fn ledger_mb(rig: &Rig) -> f64 {
    let file = std::fs::metadata(rig.data_dir().join("engine.db")).expect("a ledger");
    file.len() as f64 / 1_048_576.0
}

/// Samples of memory over that time, and the messages a second; prints each, and how the ledger grows beside it.
fn watch(rig: &Rig, minutes: f64) -> (Vec<f64>, f64) {
    let clock = Clock::start();
    let looks = (minutes * 60.0 / LOOK.as_secs_f64()).max(12.0).round() as i64;
    let step_ns = (minutes * 60.0 * 1e9) as i64 / looks;
    let events = || rig.metric("svb_events_total", "binance_bbo") + rig.metric("svb_events_total", "binance_trade");
    let (from, first) = (clock.now(), events());
    let mut samples = Vec::new();
    for look in 1..=looks {
        let until = from.plus(look * step_ns);
        while clock.now() < until {
            std::thread::park_timeout(Duration::from_millis(100));
        }
        let seconds = clock.now().since(from) as f64 / 1e9;
        let (rss, ledger) = (rss_mb(rig.pid()), ledger_mb(rig));
        samples.push(rss);
        let rate = (events() - first) / seconds;
        let requests = rig.venue.snapshot().received;
        println!("{seconds:6.0} s  {rss:6.2} MB  {rate:5.0} msgs/s  {requests} requests  ledger {ledger:.2} MB");
    }
    (samples, (events() - first) / (clock.now().since(from) as f64 / 1e9))
}

#[test]
#[ignore = "scripts/soak.sh --real runs it"]
fn memory_stays_flat_at_five_thousand_messages_a_second() {
    let minutes: f64 = std::env::var("SOAK_MINUTES").map_or(20.0, |text| text.parse().expect("a number of minutes"));
    let mut rig = Rig::open(OVERRIDES, |_| {});
    rig.start();
    rig.enter();
    rig.entered(3);
    let stop = AtomicBool::new(false);
    let (samples, rate) = std::thread::scope(|scope| {
        scope.spawn(|| drive(&rig.venue, &stop));
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| watch(&rig, minutes)));
        stop.store(true, Ordering::Relaxed);
        told.unwrap_or_else(|why| std::panic::resume_unwind(why))
    });
    let memory = &samples[samples.len() / 4..];
    let growth = slope(memory) * (memory.len() as f64 - 1.0);
    let most = samples.iter().copied().fold(0.0, f64::max);
    println!("{minutes} minutes at {rate:.0} msgs/s: at most {most:.2} MB; after the first quarter {growth:+.2} MB");
    assert!(rate >= RATE_MIN, "the load was only {rate:.0} msgs/s");
    assert!(growth <= GROWTH_MB_MAX, "memory grew by {growth:.2} MB: {memory:?}");
    assert!(most <= RSS_MB_MAX, "{most} MB");
    rig.venue.set_mid(price("164.00"));
    rig.line("ORDER_DONE", |line| line["purpose"] == "TP1" && line["status"] == "FILLED");
    rig.venue.set_mid(price("166.50"));
    rig.closed();
    rig.finish();
}

#[test]
fn a_slope_is_seen_and_noise_is_not_one() {
    assert!((slope(&[1.0, 2.0, 3.0, 4.0]) - 1.0).abs() < 1e-9);
    assert!(slope(&[5.0, 5.2, 5.0, 5.2, 5.0]).abs() < 0.05);
}
