//! The exhaustive check of an order's life: the real engine against a venue, a line and a host that do their worst.
//! Every history of moves to a stated depth is tried; `SVB_DEPTH=n` goes n moves deeper.
//!
//! Thread: any.  Invariants: no clock, no random source; a failure prints the moves that repeat it.

#[path = "../engine/day.rs"]
mod day;
mod rules;
mod search;
mod venue;
mod world;

use search::{Bounds, Search, Seen};
use sol_volume_bot::types::event::Control;
use venue::Part;
use world::{Move, Serve, World, small_setup};

fn deeper() -> u8 {
    std::env::var("SVB_DEPTH").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn entering(tranches: i64) -> World {
    let mut world = World::new(small_setup(tranches));
    world.enter().unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(world.up.len(), 1, "the entry is on its way");
    world
}

/// The entry filled whole, both pairs resting, everything told.
fn protected() -> World {
    let mut world = entering(1);
    for _ in 0..40 {
        let mv = match (world.up.is_empty(), world.down.is_empty()) {
            (false, _) => Move::Serve(Serve::Properly(Part::All)),
            (true, false) => Move::Deliver(0),
            (true, true) => return world,
        };
        world.make(mv).and_then(|()| world.check()).unwrap_or_else(|fault| panic!("{fault}"));
    }
    panic!("an honest venue comes to rest: {:?}", world.engine.status());
}

fn told(name: &str, bounds: Bounds, seen: &Seen) {
    println!(
        "{name}: {bounds:?}: {} states, {} transitions, {} brought to rest in at most {} moves",
        seen.states, seen.transitions, seen.rests, seen.longest_rest
    );
    println!("  {:?}", seen.moves);
}

fn explore(name: &str, root: &World, depth: u8, faults: u8) {
    let bounds = Bounds { depth: depth + deeper(), faults };
    let from = std::time::Instant::now();
    let seen = Search::run(root, bounds);
    told(name, bounds, &seen);
    println!("{:?}", from.elapsed());
}

/// Resting exits, and the operator has just said flatten.
fn closing() -> World {
    let mut world = protected();
    world.make(Move::Say(Control::Flatten)).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(world.up.len(), 2, "both pairs are being cancelled");
    world
}

#[test]
fn from_the_entry_every_history_keeps_the_rules() {
    explore("entry, any faults", &entering(1), 4, u8::MAX);
}
#[test]
fn from_resting_exits_every_history_keeps_the_rules() {
    explore("exits, any faults", &protected(), 4, u8::MAX);
}
#[test]
fn from_a_close_every_history_keeps_the_rules() {
    explore("close, any faults", &closing(), 4, u8::MAX);
}
#[test]
fn a_whole_trade_keeps_the_rules_with_two_faults_anywhere() {
    explore("entry, two faults", &entering(1), 7, 2);
}
#[test]
fn a_close_keeps_the_rules_with_two_faults_anywhere() {
    explore("close, two faults", &closing(), 7, 2);
}
#[test]
fn resting_exits_keep_the_rules_with_one_fault_anywhere() {
    explore("exits, one fault", &protected(), 8, 1);
}
#[test]
fn two_tranches_keep_the_rules_with_one_fault_anywhere() {
    explore("two tranches, one fault", &entering(2), 8, 1);
}
