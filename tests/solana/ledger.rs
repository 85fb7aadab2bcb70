//! What the ledger knows of each slot.

use super::desk::Desk;
use proptest::prelude::*;
use sol_volume_bot::types::event::Slot;
use sol_volume_bot::types::{Ratio, Time};
use sol_volume_bot::venue::solana::slot_ledger::{SlotCounts, SlotLedger, SlotMark, Told, WINDOW};

fn report(ledger: &mut SlotLedger, slot: u64, parent: u64) -> Told {
    ledger.report(Slot { slot, parent, root: slot.saturating_sub(32) }, 0, Time(slot as i64))
}

fn marks(ledger: &SlotLedger, slots: std::ops::RangeInclusive<u64>) -> String {
    slots
        .map(|slot| match ledger.mark(slot) {
            SlotMark::Seen => 'S',
            SlotMark::Skipped => '-',
            SlotMark::Unknown => '?',
        })
        .collect()
}

#[test]
fn a_slot_is_seen_or_skipped_by_its_successors_word_or_unknown() {
    let mut ledger = SlotLedger::new();
    report(&mut ledger, 100, 99);
    report(&mut ledger, 101, 100);
    report(&mut ledger, 104, 101); // 102 and 103 have no block
    report(&mut ledger, 108, 107); // 105 and 106 were missed: no parent spans them
    assert_eq!(marks(&ledger, 98..=109), "??SS--S??SS?");
    assert_eq!(ledger.counts(), SlotCounts { seen: 5, skipped: 2, unknown: 2 });
    assert_eq!(ledger.counts().skip_rate(), Some(Ratio(28_571_428)), "two of seven");
    assert_eq!((ledger.forks(), SlotCounts::default().skip_rate()), (0, None));
}

#[test]
fn what_comes_late_fills_its_place() {
    let mut ledger = SlotLedger::new();
    report(&mut ledger, 100, 99);
    report(&mut ledger, 105, 104);
    assert_eq!(report(&mut ledger, 103, 101), Told::Late);
    assert_eq!(marks(&ledger, 100..=105), "SS-SSS");
    assert_eq!(report(&mut ledger, 103, 101), Told::Again);
    assert_eq!(report(&mut ledger, 104, 103), Told::Late, "named before, but not reported");
    assert_eq!(report(&mut ledger, 50, 49), Told::Again, "before the window");
}

#[test]
fn a_block_on_an_older_one_than_the_newest_is_a_fork_and_so_is_one_in_a_skipped_slot() {
    let mut ledger = SlotLedger::new();
    for slot in 100..=102 {
        report(&mut ledger, slot, slot - 1);
    }
    report(&mut ledger, 103, 101);
    assert_eq!((ledger.forks(), marks(&ledger, 100..=103)), (1, "SSSS".to_owned()));
    report(&mut ledger, 105, 103);
    assert_eq!((ledger.forks(), ledger.mark(104)), (1, SlotMark::Skipped));
    report(&mut ledger, 104, 103);
    assert_eq!((ledger.forks(), ledger.mark(104)), (2, SlotMark::Seen));
}

#[test]
fn steps_back_are_counted_and_change_nothing_else() {
    let mut desk = Desk::open(1);
    for (slot, at_ms) in [(1_000, 0), (1_001, 400), (1_002, 800), (1_000, 810), (1_001, 820), (1_003, 1_200)] {
        desk.hear(0, slot, at_ms);
    }
    assert_eq!(desk.session.ledger().regressions(), 2);
    assert_eq!(desk.session.endpoint(0).map(|standing| standing.regressions), Some(2));
    assert_eq!(super::desk::slots(&desk.out), [1_000, 1_001, 1_002, 1_003]);
    assert_eq!(desk.session.slot_ns(), Some(400_000_000));
}

#[test]
fn a_skipped_and_a_forked_slot_reach_the_sessions_ledger() {
    let mut desk = Desk::open(1);
    for (number, (slot, parent)) in [(10, 9), (11, 10), (14, 11), (15, 11)].into_iter().enumerate() {
        assert_eq!(desk.hear_on(0, (slot, parent), 400 * number as i64), [slot]);
    }
    let ledger = desk.session.ledger();
    assert_eq!((marks(ledger, 10..=15), ledger.forks()), ("SS--SS".to_owned(), 1));
}

#[test]
fn the_window_moves_on_and_its_counts_with_it() {
    let mut ledger = SlotLedger::new();
    for slot in 0..3 * WINDOW {
        let parent = if slot % 4 == 0 { slot.saturating_sub(2) } else { slot.saturating_sub(1) };
        if slot % 4 != 3 {
            report(&mut ledger, slot, parent);
        }
    }
    let counts = ledger.counts();
    assert_eq!(u64::from(counts.seen + counts.skipped + counts.unknown), WINDOW);
    assert_eq!(counts.skip_rate().map(|rate| rate.0 / 1_000_000), Some(25), "every fourth: {counts:?}");
    report(&mut ledger, 100 * WINDOW, 100 * WINDOW - 1);
    assert_eq!(ledger.counts(), SlotCounts { seen: 2, skipped: 0, unknown: WINDOW as u32 - 2 });
}

proptest! {
    #[test]
    fn any_reports_leave_the_counts_equal_to_the_marks(
        told in proptest::collection::vec((0_u64..9_000, 0_u64..9_000), 1..200),
    ) {
        let mut ledger = SlotLedger::new();
        for (slot, parent) in told {
            report(&mut ledger, slot, parent);
        }
        let newest = ledger.newest().expect("one was reported");
        let of = |mark| (newest.saturating_sub(WINDOW)..=newest).filter(|slot| ledger.mark(*slot) == mark).count();
        let counts = ledger.counts();
        prop_assert_eq!(counts.seen as usize, of(SlotMark::Seen));
        prop_assert_eq!(counts.skipped as usize, of(SlotMark::Skipped));
        prop_assert_eq!(ledger.mark(newest), SlotMark::Seen);
    }
}
