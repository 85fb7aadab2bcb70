//! Journals that are not what the engine would have written: each is named with its place, and exit 5.

use sol_volume_bot::ledger::journal::Entry;
use sol_volume_bot::types::note::Lost;
use sol_volume_bot::types::{Command, Price};

use crate::day::{SEC, ratio, setup};
use crate::tape::{Tape, entries, find, flip, recorded, round_trip, say};

#[test]
fn a_whole_journal_verifies_and_says_what_it_holds() {
    let tape = Tape::whole();
    let said = tape.verify();
    assert_eq!(said.code, Some(0), "{said:?}");
    let told = say(&["replay", tape.path(), "--verify", "--json"]).json();
    let events = entries().iter().filter(|entry| matches!(entry, Entry::Event(_))).count();
    let commands = entries().iter().filter(|entry| matches!(entry, Entry::Command(_))).count();
    assert_eq!((told["verified"].as_bool(), told["events"].as_u64()), (Some(true), Some(events as u64)));
    assert_eq!(told["runs"][0]["commands"].as_u64(), Some(commands as u64));
    assert!(told["runs"][0]["orders"].as_u64() > Some(4), "{told}");
    assert!(told["runs"][0]["span_ns"].as_i64() > Some(30 * SEC), "{told}");
    assert!(told["events_per_second"].as_u64() > Some(0), "{told}");
    let unverified = say(&["replay", tape.path(), "--json"]).json();
    assert_eq!(unverified["verified"], false, "what was not compared is not called verified");
}

#[test]
fn one_changed_bit_anywhere_is_damage_with_its_file_and_byte() {
    let tape = Tape::whole();
    let segment = tape.segments().remove(0);
    let bytes = std::fs::read(&segment).expect("a segment").len();
    for part in 0..12 {
        let (byte, bit) = (part * (bytes - 1) / 11, (part % 8) as u8);
        flip(&segment, byte, bit);
        let said = tape.verify();
        assert_eq!(said.code, Some(5), "byte {byte} bit {bit}: {said:?}");
        let name = segment.file_name().and_then(|name| name.to_str()).expect("a plain name");
        assert!(said.err.contains(name), "the file is named: {said:?}");
        let at = tape.explain(&["--last"]);
        assert_eq!(at.code, Some(5), "explain does not guess around it: {at:?}");
        flip(&segment, byte, bit);
    }
    assert_eq!(tape.verify().code, Some(0), "as it was");
}

#[test]
fn a_command_altered_and_sealed_anew_is_the_first_difference() {
    let mut altered = entries();
    let at = find(&altered, |entry| matches!(entry, Entry::Command(Command::Place(_))));
    let event = altered[..at].iter().rev().find_map(|e| if let Entry::Event(event) = e { Some(*event) } else { None });
    let Entry::Command(Command::Place(order)) = &mut altered[at] else { panic!("just found") };
    let right = order.price;
    order.price = Price(right.0 + 1_000_000);
    let wrong = order.price;
    let tape = Tape::of(&altered);
    let said = tape.verify();
    assert_eq!(said.code, Some(5), "{said:?}");
    let seq = event.expect("an event before it").seq;
    for part in [
        "first difference",
        &format!("event {seq} "),
        "journal has",
        "engine gives",
        &right.to_string(),
        &wrong.to_string(),
    ] {
        assert!(said.err.contains(part), "{part}: {said:?}");
    }
    let told = say(&["replay", tape.path(), "--verify", "--json"]);
    assert_eq!((told.code, told.json()["stopped"]["event"].as_u64()), (Some(5), Some(seq)));
    assert_eq!(say(&["replay", tape.path()]).code, Some(0), "without --verify nothing is compared");
}

#[test]
fn a_command_that_is_missing_or_too_many_is_a_difference() {
    let at = find(&entries(), |entry| matches!(entry, Entry::Command(Command::Place(_))));
    let mut missing = entries();
    missing.remove(at);
    let said = Tape::of(&missing).verify();
    assert_eq!(said.code, Some(5), "{said:?}");
    let mut twice = entries();
    twice.insert(at, twice[at].clone());
    assert_eq!(Tape::of(&twice).verify().code, Some(5));
}

#[test]
fn a_journal_of_other_numbers_differs_where_they_first_decide_otherwise() {
    let mut other = setup();
    other.params.meme_drop = ratio("0.05");
    let mut swapped = entries();
    swapped[0] = Entry::Start(Box::new(other));
    let said = Tape::of(&swapped).verify();
    assert_eq!(said.code, Some(5), "{said:?}");
    assert!(said.err.contains("first difference"), "{said:?}");
}

#[test]
fn events_that_were_lost_are_said_and_nothing_after_them_is_called_verified() {
    let mut holed = entries();
    let at = find(&holed, |entry| matches!(entry, Entry::Event(event) if event.seq == 40));
    holed[at] = Entry::Lost(Lost { events: 1, notes: 0 });
    let tape = Tape::of(&holed);
    let said = tape.verify();
    assert_eq!(said.code, Some(5), "{said:?}");
    assert!(said.err.contains("1 events"), "{said:?}");
    let told = say(&["replay", tape.path(), "--verify", "--json"]).json();
    assert_eq!((told["verified"].as_bool(), told["events"].as_u64()), (Some(false), Some(39)));
}

#[test]
fn a_torn_tail_is_a_message_and_what_is_whole_verifies() {
    let tape = Tape::whole();
    let segment = tape.segments().remove(0);
    let bytes = std::fs::read(&segment).expect("a segment");
    for cut in [3, 47, 60, 200, bytes.len() / 2] {
        std::fs::write(&segment, &bytes[..bytes.len() - cut]).expect("a writable folder");
        let said = tape.verify();
        assert_eq!(said.code, Some(0), "cut by {cut}: {said:?}");
        let is_said = said.out.contains("torn tail") || said.out.contains("ended suddenly") || cut == 48;
        assert!(is_said, "cut by {cut}: {said:?}");
    }
}

#[test]
fn two_runs_verify_each_from_its_own_start() {
    let mut both = entries();
    let later = setup().now.plus(3_600 * SEC);
    let mut next = setup();
    (next.epoch, next.now) = (8, later);
    let events = round_trip().events.into_iter().map(|mut event| {
        (event.at, event.recv) = (event.at.plus(3_600 * SEC), event.recv.plus(3_600 * SEC));
        event
    });
    both.extend(recorded(next, &events.collect::<Vec<_>>()));
    let tape = Tape::of(&both);
    let said = say(&["replay", tape.path(), "--verify", "--json"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let runs = said.json()["runs"].as_array().map(Vec::len);
    assert_eq!(runs, Some(2));
    let idle = tape.explain(&["--at", &crate::tape::after_noon(1_800 * SEC), "--json"]).json();
    assert_eq!(idle["answer"], "idle", "between two runs no engine ran: {idle}");
    assert_eq!((idle["before"]["epoch"].as_u64(), idle["after"]["epoch"].as_u64()), (Some(7), Some(8)));
}

#[test]
fn a_path_without_a_journal_is_bad_usage() {
    let none = say(&["replay", "no/such/folder", "--verify"]);
    assert_eq!(none.code, Some(2), "{none:?}");
    let empty = std::env::temp_dir().join(format!("svb-empty-{}", std::process::id()));
    std::fs::create_dir_all(&empty).expect("a writable temporary folder");
    let said = say(&["replay", empty.to_str().expect("a plain name"), "--verify"]);
    drop(std::fs::remove_dir_all(&empty)); // empty
    assert_eq!(said.code, Some(2), "{said:?}");
}
