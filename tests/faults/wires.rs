//! Whole trades over a bad wire between two network namespaces, which `scripts/netem.sh` lays: packets are lost, late,
//! doubled and out of order, the link is down for seconds, and some engines are killed meanwhile. Nothing is lost.

use std::env::var;

use sol_volume_bot::sim::market::SplitMix64;

use crate::certs::Ca;
use crate::instants::Instant;
use crate::lanes::{self, spread};
use crate::trial::{self, Place};

/// Trades at a time: waiting is most of their work.
const LANES: usize = 4;

/// The place that the script made.
fn place() -> Option<Place> {
    let ca = Ca::new();
    let overrides = format!(
        "ops.listen = '{}:0'\nops.token = 'OPS_TOKEN'\nrisk.naked_ms_max = 3000\nendpoints.ca_file = '{}'",
        var("WIRE_OPS").ok()?,
        ca.file.display()
    );
    Some(Place {
        venue: var("WIRE_VENUE").ok()?.parse().expect("WIRE_VENUE is an address"),
        ca: Some(ca),
        wrapper: ["ip", "netns", "exec", &var("WIRE_ENGINE").ok()?].map(str::to_owned).to_vec(),
        overrides,
        step_ms_max: 90_000,
        blind_ms: 10_000,
        unreached_max: 3,
    })
}

#[test]
#[ignore = "scripts/netem.sh runs it inside its namespaces"]
fn over_a_bad_wire_nothing_is_lost_and_nothing_is_sent_twice() {
    let Some(place) = place() else {
        println!("SKIPPED over_a_bad_wire: scripts/netem.sh lays the wire");
        return;
    };
    let trades: usize = var("WIRE_TRADES").map_or(40, |text| text.parse().expect("WIRE_TRADES is a number"));
    let sum = lanes::hold(
        (1, LANES),
        "./scripts/netem.sh",
        |sum| sum.trades >= trades,
        |seed| {
            let mut random = SplitMix64(seed);
            let kills = random.below(2);
            let instants: Vec<Instant> = (0..kills).map(|_| Instant::outside(&mut random)).collect();
            trial::hold(&place, &mut random, &instants)
        },
    );
    println!("over a bad wire: {} sessions, {} trades, {} kills", sum.trials, sum.trades, sum.shown.kills);
    println!("  starts that found no venue and were made again: {}", sum.shown.unreached);
    println!("  start to trading, {}", spread(sum.shown.trading_ns));
    println!("  start to /readyz, {}", spread(sum.shown.ready_ns));
}
