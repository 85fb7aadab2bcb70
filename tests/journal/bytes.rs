//! What an entry is as bytes, for ever.

use crate::desk::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sol_volume_bot::ledger::journal::{Entry, schema_number};
use sol_volume_bot::types::Command;
use sol_volume_bot::types::note::Lost;
use sol_volume_bot::types::record::Record;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Number of every name, tag and width that an entry is made of.
const SCHEMA: u32 = 0x3cf5_718d;

#[test]
fn no_name_tag_or_width_of_the_journal_changes_unnoticed() {
    assert_eq!(
        schema_number(),
        SCHEMA,
        "the vocabulary of the journal changed: journals written so far can no longer be read by this program. If that \
         is meant, put {:#010x} here",
        schema_number()
    );
}

#[test]
fn the_bytes_of_an_entry_are_the_ones_on_record() {
    let samples = [
        ("event bbo", Entry::Event(bbo(2))),
        ("event fill", Entry::Event(fill(3))),
        ("command oco", Entry::Command(oco())),
        ("record order", Entry::Command(order_row())),
        ("wire sent", Entry::Wire(sent())),
        ("lost", Entry::Lost(Lost { events: 258, notes: 3 })),
    ];
    let mut lines = String::new();
    for (name, entry) in samples {
        let mut bytes = Vec::new();
        entry.append_to(&mut bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        lines.push_str(&format!("{name}: {hex}\n"));
    }
    assert_eq!(lines, include_str!("golden.txt"), "other bytes than on record; now they are\n{lines}");
}

/// Frames a payload as the journal does.
fn framed(kind: u8, payload: &[u8]) -> Vec<u8> {
    let [low, high] = u16::try_from(payload.len()).expect("short").to_le_bytes();
    let mut bytes = vec![low, high, kind, !(low ^ high.rotate_left(3) ^ kind)];
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// Which kind of fact an entry is, down to the second name.
fn name(entry: &Entry) -> String {
    let head = |text: String| text.split(['(', '{', ' ']).next().unwrap_or_default().to_owned();
    match entry {
        Entry::Start(_) => "start".to_owned(),
        Entry::Event(event) => format!("event {}", head(format!("{:?}", event.kind))),
        Entry::Command(Command::Record(Record::Exit { .. })) => "record Exit".to_owned(),
        Entry::Command(Command::Record(record)) => format!("record {}", head(format!("{record:?}"))),
        Entry::Command(command) => format!("command {}", head(format!("{command:?}"))),
        Entry::Wire(note) => format!("wire {}", head(format!("{note:?}"))),
        Entry::Lost(_) => "lost".to_owned(),
    }
}

#[test]
fn whatever_bytes_make_an_entry_are_the_bytes_that_it_makes() {
    let seen = RefCell::new(BTreeSet::new());
    let byte = prop_oneof![6 => 0_u8..2, 2 => 0_u8..14, 1 => any::<u8>()]; // small ones are tags more often than not
    let mut runner = TestRunner::new_with_rng(config(12_000), seeded());
    let whole = runner.run(&(2_u8..=5, 0_u8..16, 0_u8..16, vec(byte, 190)), |(kind, tag, inner, mut noise)| {
        match kind {
            2 => noise[33] = tag, // after seq, three times and the stream
            _ => (noise[0], noise[1]) = (tag, inner),
        }
        for len in 1..noise.len() {
            let bytes = framed(kind, &noise[..len]);
            if let Some((entry, read)) = Entry::at_front_of(&bytes) {
                let mut again = Vec::new();
                entry.append_to(&mut again);
                prop_assert_eq!(read, bytes.len());
                prop_assert_eq!(&again, &bytes, "{:?}", entry);
                seen.borrow_mut().insert(name(&entry));
                break;
            }
        }
        Ok(())
    });
    whole.expect("every entry is its bytes");
    let seen = seen.into_inner();
    for known in [
        "event Bbo",
        "event Execution",
        "event Resting",
        "event Reconciled",
        "command CancelReplace",
        "record Order",
        "record Fill",
        "record Trade",
        "record Difference",
        "wire Sent",
        "wire Answered",
        "lost",
    ] {
        assert!(seen.contains(known), "{known} never came up in {seen:?}");
    }
    assert!(seen.len() >= 41, "{} kinds of entry: {seen:?}", seen.len());
}

#[test]
fn a_setup_comes_back_whatever_its_numbers_are() {
    let mut start = Vec::new();
    Entry::Start(Box::new(setup(7))).append_to(&mut start);
    let payload = start[4..start.len() - 4].to_vec();
    let mut accepted = 0;
    let mut runner = TestRunner::new_with_rng(config(3_000), seeded());
    let edits = vec((0..payload.len(), any::<u8>()), 1..4);
    let accepted_cell = RefCell::new(&mut accepted);
    runner
        .run(&edits, |edits| {
            let mut changed = payload.clone();
            edits.iter().for_each(|(at, byte)| changed[*at] = *byte);
            let bytes = framed(1, &changed);
            if let Some((entry, _)) = Entry::at_front_of(&bytes) {
                let mut again = Vec::new();
                entry.append_to(&mut again);
                prop_assert_eq!(&again, &bytes);
                **accepted_cell.borrow_mut() += 1;
            }
            Ok(())
        })
        .expect("every setup is its bytes");
    assert!(accepted > 1_000, "only {accepted} of them were setups");
}

fn seeded() -> proptest::test_runner::TestRng {
    proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha)
}

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}
