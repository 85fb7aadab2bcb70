//! The exhaustive check of an order's life: the real engine against a venue, a line and a host that do their worst.
//! Every history of moves to a stated depth is tried; `SVB_DEPTH=n` goes n moves deeper.
//!
//! Thread: any.  Invariants: no clock, no random source; a failure prints the moves that repeat it.

#[path = "../engine/day.rs"]
mod day;
mod moves;
mod rules;
mod search;
mod venue;
mod world;

use moves::{Move, Serve};
use search::{Bounds, Search};
use sol_volume_bot::types::event::Control;
use venue::Part;
use world::{World, small_setup};

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

/// Tries every history from `root` and says how many there were; none may be empty of what it is about.
fn explore(name: &str, root: &World, depth: u8, faults: u8) {
    let bounds = Bounds { depth: depth + deeper(), faults };
    let seen = Search::run(root, bounds);
    let kinds = if faults == u8::MAX { "any faults".to_owned() } else { format!("at most {faults} faults") };
    println!(
        "{name}: {} moves deep, {kinds}: {} states, {} transitions, 0 violations; {} brought to rest, in at most {} moves",
        bounds.depth, seen.states, seen.transitions, seen.rests, seen.longest_rest
    );
    println!("  {:?}", seen.moves);
    for kind in ["served", "delivered", "repeated", "lost", "refused", "unknown", "cut", "crash", "timer", "operator"] {
        assert!(seen.moves.contains_key(kind), "{name}: no path has the move '{kind}'");
    }
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
    explore("entry", &entering(1), 5, u8::MAX);
}
#[test]
fn from_resting_exits_every_history_keeps_the_rules() {
    explore("exits", &protected(), 5, u8::MAX);
}
#[test]
fn from_a_close_every_history_keeps_the_rules() {
    explore("close", &closing(), 5, u8::MAX);
}
#[test]
fn a_whole_trade_keeps_the_rules_with_two_faults_anywhere() {
    explore("entry", &entering(1), 7, 2);
}
#[test]
fn a_close_keeps_the_rules_with_two_faults_anywhere() {
    explore("close", &closing(), 5, 2);
}
#[test]
fn resting_exits_keep_the_rules_with_one_fault_anywhere() {
    explore("exits", &protected(), 6, 1);
}
#[test]
fn two_tranches_keep_the_rules_with_one_fault_anywhere() {
    explore("two tranches", &entering(2), 7, 1);
}
