//! What `explain` answers over a journal whose every event is known.

use serde_json::Value;
use sol_volume_bot::ledger::journal::Entry;
use sol_volume_bot::types::{Command, EventKind};

use crate::day::SEC;
use crate::tape::{Tape, after_noon, entries, find, recorded, round_trip};

fn rule<'a>(told: &'a Value, name: &str) -> &'a Value {
    let rules = told["rules"].as_array().expect("rules");
    rules.iter().find(|rule| rule["rule"] == name).unwrap_or_else(|| panic!("no rule {name}: {told}"))
}

#[test]
fn before_the_entry_it_says_which_rule_failed_and_by_how_much() {
    let tape = Tape::whole();
    let asked = after_noon(4 * SEC + 500_000_000);
    let told = tape.explain(&["--at", &asked, "--json"]).json();
    assert_eq!(told["verdict"], "NO_OP");
    let failing: Vec<&str> = told["rules"]
        .as_array()
        .expect("rules")
        .iter()
        .filter(|rule| rule["pass"] == false)
        .filter_map(|rule| rule["rule"].as_str())
        .collect();
    assert_eq!(failing, ["volume_drop"]);
    let drop = rule(&told, "volume_drop");
    assert_eq!((drop["margin"].as_str(), drop["margin_unit"].as_str()), (Some("-0.2"), Some("ratio")), "10 % of 30 %");
    assert_eq!(rule(&told, "support_high")["margin"], "0.995", "mid 161.005 under 162");
    assert_eq!(rule(&told, "book_fresh")["margin"], (5 * SEC - 500_000_000).to_string());
    let confirmed = rule(&told, "volume_confirmed");
    assert_eq!((confirmed["threshold"].as_str(), confirmed["pass"].as_bool()), (Some(">= 0"), Some(true)));
    let others = "0 fell too; drops: pump_chain MISSING (unread), pumpfun MISSING (unread), coingecko MISSING (unread)";
    assert_eq!(confirmed["value"], others);
    assert_eq!(rule(&told, "volume_sol")["threshold"], "off");
    assert_eq!(told["risk"]["refuses"], Value::Null);
    assert_eq!(told["values"], "engine");
    let text = tape.explain(&["--at", &asked]);
    assert_eq!(text.code, Some(0));
    for part in ["NO_OP", "not holding: volume_drop", "-20 points", "> 30 %", "10 %"] {
        assert!(text.out.contains(part), "{part}: {}", text.out);
    }
}

#[test]
fn a_feed_that_fell_silent_is_named_by_rule_and_by_risk() {
    let mut desk = crate::desk::Desk::new();
    desk.enter_all();
    let quiet = desk.now.plus(-20 * SEC);
    let events: Vec<_> = desk.events.iter().copied().filter(|event| event.at <= quiet).collect();
    let tape = Tape::of(&recorded(crate::day::setup(), &events));
    let at = events.last().expect("events").at.plus(4 * SEC + SEC / 2);
    let told = tape.explain(&["--at", &after_noon(at.since(crate::day::NOON)), "--json"]).json();
    assert_eq!(told["answer"], "moment", "{told}");
    assert_eq!(told["risk"]["refuses"], Value::Null, "not yet too old: {told}");
    let later = at.plus(10 * SEC);
    let told = tape.explain(&["--at", &after_noon(later.since(crate::day::NOON)), "--json"]).json();
    assert_eq!(told["answer"], "idle", "no tick for so long means that nothing ran: {told}");
}

#[test]
fn the_newest_change_of_verdict_is_the_one_after_the_entry() {
    let told = Tape::whole().explain(&["--last", "--json"]).json();
    assert_eq!(told["verdict"], "NO_OP");
    let seq = told["event"]["seq"].as_u64().expect("an event");
    let entries = entries();
    let changes = find(&entries, |entry| matches!(entry, Entry::Event(event) if event.seq == seq));
    let placed = find(&entries, |entry| matches!(entry, Entry::Command(Command::Place(_))));
    assert!(changes > placed, "the entry made it not flat any more");
}

#[test]
fn every_order_of_the_round_trip_is_answered_for() {
    let (tape, entries) = (Tape::whole(), entries());
    let mut newest = None;
    let mut asked = 0;
    for entry in &entries {
        match entry {
            Entry::Event(event) => newest = Some(*event),
            Entry::Command(command) => {
                let ids = match command {
                    Command::Place(new) => vec![new.id],
                    Command::PlaceOco(oco) => vec![oco.list, oco.take_profit, oco.stop],
                    _ => continue,
                };
                for id in ids {
                    let said = tape.explain(&["--order", &id.to_string(), "--json"]);
                    assert_eq!(said.code, Some(0), "{said:?}");
                    let told = said.json();
                    let cause = newest.expect("an event before every command");
                    assert_eq!(told["event"]["seq"].as_u64(), Some(cause.seq), "{id}");
                    assert_eq!(told["event"]["recv_ns"].as_i64(), Some(cause.recv.0), "{id}");
                    assert_eq!(told["wire"][0]["stages_ns"]["write"].as_i64(), Some(4_000), "{id}: {told}");
                    assert_eq!(told["wire"][0]["tick_to_trade_ns"].as_i64(), Some(9_000), "{id}");
                    assert_eq!(told["wire"][1]["code"].as_i64(), Some(0), "{id}");
                    asked += 1;
                }
            }
            _ => {}
        }
    }
    assert!(asked > 8, "entries, lists and legs: {asked}");
}

#[test]
fn an_entry_is_explained_by_rules_that_all_held_and_by_its_fills() {
    let (tape, desk) = (Tape::whole(), round_trip());
    let first = desk.entries()[0];
    let told = tape.explain(&["--order", &first.id.to_string(), "--json"]).json();
    assert_eq!(told["event"]["kind"], "volume", "the sample that fell");
    assert_eq!(told["decision"]["verdict"], "ENTER");
    assert!(told["decision"]["rules"].as_array().expect("rules").iter().all(|rule| rule["pass"] == true), "{told}");
    let fills = desk.fills().into_iter().filter(|fill| fill.id == first.id).count();
    assert_eq!(told["fills"].as_array().map(Vec::len), Some(fills));
    assert_eq!(told["orders"][0]["status"], "FILLED");
    let text = tape.explain(&["--order", &first.id.to_string()]).out;
    for part in [
        "led to by event",
        "every rule holds",
        "place ENTRY buy",
        "decode 1 us, ring 2 us",
        "accepted after 700 us",
        "booked:",
        "FILLED",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_journal_of_another_program_is_answered_from_its_records_with_the_doubt_said() {
    let mut other = entries();
    let at = find(&other, |entry| matches!(entry, Entry::Command(Command::ArmTimer { .. })));
    other.remove(at);
    let tape = Tape::of(&other);
    let told = tape.explain(&["--at", &after_noon(4 * SEC), "--json"]).json();
    assert_eq!(told["values"], "record");
    assert!(told["doubt"].as_str().is_some_and(|doubt| doubt.contains("decides otherwise")), "{told}");
    assert_eq!(rule(&told, "volume_drop")["pass"], false, "the recorded decision still stands");
}

#[test]
fn a_bad_time_or_id_is_refused_with_the_allowed_forms() {
    let tape = Tape::whole();
    for (question, hint) in [
        (["--at", "noon"], "HH:MM:SS"),
        (["--at", "25:00"], "RFC 3339"),
        (["--order", "4711"], "v<epoch>"),
        (["--order", "v0000000099-000001-01-0001"], "runs 7 to 7"),
    ] {
        let said = tape.explain(&question);
        assert_eq!(said.code, Some(2), "{question:?}: {said:?}");
        assert!(said.err.contains(hint) && said.out.is_empty(), "{question:?}: {said:?}");
    }
    assert_eq!(tape.explain(&[]).code, Some(2), "a question is needed");
    assert_eq!(tape.explain(&["--last", "--at", "12:00"]).code, Some(2), "one question only");
}

#[test]
fn before_the_first_run_no_engine_ran() {
    let told = Tape::whole().explain(&["--at", "2020-01-01T00:00:00Z", "--json"]).json();
    assert_eq!((told["answer"].as_str(), told["before"].is_null()), (Some("idle"), true));
    assert_eq!(told["after"]["epoch"].as_u64(), Some(7));
}

#[test]
fn the_events_of_the_made_journal_are_of_many_kinds() {
    let kinds = |is: fn(&EventKind) -> bool| round_trip().events.iter().filter(|event| is(&event.kind)).count();
    assert!(kinds(|kind| matches!(kind, EventKind::Bbo(_))) > 5);
    assert!(kinds(|kind| matches!(kind, EventKind::Execution(_))) > 10);
    assert!(kinds(|kind| matches!(kind, EventKind::Timer(_))) > 5);
    assert!(kinds(|kind| matches!(kind, EventKind::Candle(_))) > 200);
}
