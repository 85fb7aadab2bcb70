//! A journal that the real binary wrote while it traded over loopback, across a restart.

use std::collections::BTreeMap;

use serde_json::Value;
use sol_volume_bot::types::Time;

use crate::books::Books;
use crate::rig::{Rig, price};
use crate::tape::{Said, say};

/// Fewer events than this in a run would mean that most of it was not recorded.
const EVENTS_MIN: u64 = 500;

fn explain(rig: &Rig, question: &[&str]) -> Said {
    let dir = rig.data_dir();
    let dir = dir.to_str().expect("a plain name");
    say(&[&["explain", "--data-dir", dir, "--json"], question].concat())
}

fn before(at_ns: i64, ns: i64) -> String {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(Time(at_ns - ns).0.unsigned_abs());
    humantime::format_rfc3339_nanos(at).to_string()
}

/// Every order of the ledger is answered for: its event is one of its run, its bytes were timed, its fills are all there.
fn every_order_is_explained(rig: &Rig, books: &Books, events: &BTreeMap<u64, u64>) {
    let rows = books.rows("SELECT * FROM orders ORDER BY created_ns");
    assert!(rows.len() >= 7, "three entries and two pairs at least: {}", rows.len());
    for row in rows {
        let id = row["client_order_id"].as_str();
        let said = explain(rig, &["--order", id]);
        assert_eq!(said.code, Some(0), "{id}: {said:?}");
        let told = said.json();
        let epoch = told["epoch"].as_u64().expect("a run");
        let seq = told["event"]["seq"].as_u64().expect("an event");
        assert!((1..=events[&epoch]).contains(&seq), "{id}: event {seq} of {epoch} is one of the journal");
        assert_eq!(told["event"]["at_ns"].as_i64().map(|at| at.to_string()).as_ref(), Some(&row["created_ns"]), "{id}");
        let is_sent = told["wire"].as_array().is_some_and(|notes| {
            notes.iter().any(|note| note["note"] == "sent" && note["stages_ns"]["write"].as_i64() > Some(0))
        });
        assert!(is_sent || row["sent_ns"].is_empty(), "{id}: {told}");
        let fills = books.fills().iter().filter(|fill| fill["client_order_id"] == id).count();
        assert_eq!(told["fills"].as_array().map(Vec::len), Some(fills), "{id}");
        assert_eq!(told["orders"][0]["status"].as_str(), Some(row["status"].as_str()), "{id}");
    }
}

fn why_none_before(rig: &Rig, books: &Books) {
    let entry = &books.orders("ENTRY")[0];
    let created: i64 = entry["created_ns"].parse().expect("a time");
    let told = explain(rig, &["--at", &before(created, 100_000_000)]).json();
    assert_eq!(told["verdict"], "NO_OP", "{told}");
    let rules = told["rules"].as_array().expect("rules");
    let failing: Vec<&Value> = rules.iter().filter(|rule| rule["pass"] == false).collect();
    assert_eq!(failing.len(), 1, "{failing:?}");
    assert_eq!(failing[0]["rule"], "support_high");
    let margin = failing[0]["margin"].as_str().expect("a margin");
    assert!(margin.starts_with("-0.49") || margin.starts_with("-0.5"), "162.50 over 162, half a tick about: {margin}");
}

#[test]
fn a_whole_trade_across_a_restart_replays_to_the_same_commands_and_explains_every_order() {
    let mut rig = Rig::run("");
    rig.enter();
    rig.entered(3);
    rig.stop();
    rig.start();
    rig.protected();
    rig.venue.set_mid(price("164.00"));
    rig.line("ORDER_DONE", |line| line["purpose"] == "TP1" && line["status"] == "FILLED");
    rig.venue.set_mid(price("166.50"));
    rig.closed();
    let books = rig.stop();

    let journal = rig.data_dir().join("journal");
    let said = say(&["replay", journal.to_str().expect("a plain name"), "--verify", "--json"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let told = said.json();
    assert_eq!(told["verified"], true, "{told}");
    let runs = told["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 2, "before and after the restart");
    for run in runs {
        assert!(run["events"].as_u64() > Some(EVENTS_MIN), "{run}");
        assert!(run["commands"].as_u64() > Some(10), "{run}");
        assert!(run["cut_at"].is_null(), "a clean end: {run}");
    }
    assert!(runs[0]["orders"].as_u64() >= Some(5), "{told}");
    let events = runs.iter().map(|run| (run["epoch"].as_u64().unwrap_or(0), run["events"].as_u64().unwrap_or(0)));
    every_order_is_explained(&rig, &books, &events.collect());
    why_none_before(&rig, &books);
}
