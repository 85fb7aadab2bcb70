//! The book's sync rule: every way a snapshot and diffs can meet, and random deltas against a plain map.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sol_volume_bot::types::{Price, Qty, Time};
use sol_volume_bot::venue::binance_spot::decode::{DepthDiff, Level, Levels};
use sol_volume_bot::venue::binance_spot::sync::{BookSync, Bridge, Step};

const NOW: Time = Time(1_000_000_000_000);

fn side(levels: &[(i64, i64)]) -> Vec<Level> {
    levels.iter().map(|(price, qty)| Level { price: Price(*price), qty: Qty(*qty) }).collect()
}

fn levels(bids: &[(i64, i64)], asks: &[(i64, i64)]) -> Levels {
    Levels { bids: side(bids), asks: side(asks) }
}

fn diff(sync: &mut BookSync, first: u64, last: u64, bids: &[(i64, i64)], asks: &[(i64, i64)]) -> Step {
    sync.on_diff(DepthDiff { first, last, venue_time: NOW }, &levels(bids, asks), NOW)
}

fn bids(sync: &BookSync) -> Option<Vec<(i64, i64)>> {
    sync.book().map(|book| book.bids().map(|level| (level.price.0, level.qty.0)).collect())
}

/// Diffs 11-15 and 16-20 held: each puts its last number as a size at 100.
fn waiting() -> BookSync {
    let mut sync = BookSync::new();
    assert_eq!(diff(&mut sync, 11, 15, &[(100, 15)], &[]), Step::Held);
    assert_eq!(diff(&mut sync, 16, 20, &[(100, 20)], &[]), Step::Held);
    assert_eq!(bids(&sync), None);
    sync
}

fn bridge(sync: &mut BookSync, last: u64) -> Bridge {
    sync.on_snapshot(last, &levels(&[(100, 1), (99, 1)], &[(101, 1)]), NOW)
}

#[test]
fn a_snapshot_older_than_the_first_diff_is_refused_and_asked_for_again() {
    let mut sync = waiting();
    assert!(sync.snapshot_wanted(NOW));
    assert_eq!(bridge(&mut sync, 9), Bridge::TooOld);
    assert_eq!(bids(&sync), None);
    assert!(!sync.snapshot_wanted(NOW), "not at once");
    assert!(sync.snapshot_wanted(NOW.plus(1_000_000_000)));
    assert_eq!(bridge(&mut sync, 12), Bridge::Live, "the diffs were kept");
}

#[test]
fn a_snapshot_inside_at_the_end_of_or_right_before_a_diff_bridges() {
    for last in [10, 11, 14, 15, 16, 19] {
        let mut sync = waiting();
        assert_eq!(bridge(&mut sync, last), Bridge::Live, "at {last}");
        assert_eq!(bids(&sync), Some(vec![(100, 20), (99, 1)]), "at {last}");
        assert_eq!(diff(&mut sync, 21, 21, &[(99, 0)], &[]), Step::Applied);
        assert_eq!(bids(&sync), Some(vec![(100, 20)]));
    }
}

#[test]
fn diffs_wholly_below_the_snapshot_change_nothing() {
    for last in [20, 25] {
        let mut sync = waiting();
        assert_eq!(bridge(&mut sync, last), Bridge::Live);
        assert_eq!(bids(&sync), Some(vec![(100, 1), (99, 1)]));
        assert_eq!(diff(&mut sync, 16, 20, &[(100, 7)], &[]), Step::Old);
        assert_eq!(bids(&sync), Some(vec![(100, 1), (99, 1)]));
    }
}

#[test]
fn a_repeated_diff_is_old_and_an_overlapping_one_applies() {
    let mut sync = waiting();
    assert_eq!(bridge(&mut sync, 15), Bridge::Live);
    assert_eq!(diff(&mut sync, 16, 20, &[(100, 20)], &[]), Step::Old);
    assert_eq!(diff(&mut sync, 18, 22, &[(100, 22)], &[]), Step::Applied);
    assert_eq!(bids(&sync), Some(vec![(100, 22), (99, 1)]));
}

#[test]
fn a_hole_throws_the_book_away_and_the_diff_behind_it_begins_a_new_one() {
    let mut sync = waiting();
    assert_eq!(bridge(&mut sync, 15), Bridge::Live);
    assert_eq!(diff(&mut sync, 22, 24, &[(100, 24)], &[]), Step::Gap);
    assert_eq!(bids(&sync), None);
    assert_eq!(bridge(&mut sync, 20), Bridge::TooOld);
    assert_eq!(bridge(&mut sync, 21), Bridge::Live);
    assert_eq!(bids(&sync), Some(vec![(100, 24), (99, 1)]));
}

#[test]
fn a_hole_among_held_diffs_moves_the_start_behind_it() {
    let mut sync = waiting();
    assert_eq!(diff(&mut sync, 30, 31, &[], &[]), Step::Held);
    assert_eq!(bridge(&mut sync, 15), Bridge::TooOld);
    assert_eq!(bridge(&mut sync, 29), Bridge::Live);
}

#[test]
fn a_crossed_book_counts_as_a_gap_live_or_while_bridging() {
    let mut sync = waiting();
    assert_eq!(bridge(&mut sync, 20), Bridge::Live);
    assert_eq!(diff(&mut sync, 21, 21, &[(101, 1)], &[]), Step::Gap);
    assert_eq!(bids(&sync), None);
    let mut sync = waiting();
    assert_eq!(diff(&mut sync, 21, 21, &[(102, 1)], &[]), Step::Held);
    assert_eq!(bridge(&mut sync, 15), Bridge::Broken);
    assert_eq!(bids(&sync), None);
}

#[test]
fn removing_a_level_never_had_and_emptying_a_side_are_normal() {
    let mut sync = waiting();
    assert_eq!(bridge(&mut sync, 20), Bridge::Live);
    assert_eq!(diff(&mut sync, 21, 21, &[(50, 0)], &[(101, 0)]), Step::Applied);
    assert_eq!(sync.book().and_then(|book| book.top()), None);
    assert_eq!(bids(&sync), Some(vec![(100, 1), (99, 1)]));
}

#[test]
fn a_book_that_walked_to_the_edge_of_its_snapshot_stays_live_while_a_wider_one_is_fetched() {
    let mut sync = BookSync::new();
    assert_eq!(diff(&mut sync, 1, 1, &[], &[]), Step::Held);
    let ladder = |from: i64, step: i64| (0..1_000).map(|n| (from + n * step, 5)).collect::<Vec<_>>();
    let snapshot = levels(&ladder(100_000, -1), &ladder(100_001, 1)); // 1000 levels a side: cut
    assert_eq!(sync.on_snapshot(1, &snapshot, NOW), Bridge::Live);
    let later = NOW.plus(60_000_000_000);
    assert!(!sync.snapshot_wanted(later));
    let gone: Vec<_> = (0..700).map(|n| (100_000 - n, 0)).collect();
    assert_eq!(diff(&mut sync, 2, 2, &gone, &[(99_301, 5)]), Step::Applied);
    assert_eq!(diff(&mut sync, 3, 3, &[(99_300, 7)], &[]), Step::Applied);
    assert!(sync.snapshot_wanted(later));
    let wider = levels(&ladder(99_300, -1), &ladder(99_301, 1));
    assert_eq!(sync.on_snapshot(2, &wider, later), Bridge::Live);
    assert_eq!(sync.book().map(|book| (book.update_id(), book.bids().count())), Some((3, 1_000)));
    assert_eq!(sync.book().and_then(|book| book.bids().next()).map(|best| best.qty), Some(Qty(7)));
    assert!(!sync.snapshot_wanted(later.plus(60_000_000_000)));
}

#[test]
fn no_snapshot_is_asked_for_before_the_first_diff() {
    let mut sync = BookSync::new();
    assert!(!sync.snapshot_wanted(NOW));
    assert_eq!(diff(&mut sync, 1, 1, &[], &[]), Step::Held);
    assert!(sync.snapshot_wanted(NOW));
    assert!(!sync.snapshot_wanted(NOW), "one in flight");
}

#[test]
fn diffs_beyond_the_bound_push_out_the_old_ones_and_a_late_snapshot_still_bridges() {
    let mut sync = BookSync::new();
    for id in 1..=2_000 {
        assert_eq!(diff(&mut sync, id, id, &[(100, id as i64)], &[]), Step::Held);
    }
    assert_eq!(bridge(&mut sync, 10), Bridge::TooOld);
    assert_eq!(bridge(&mut sync, 1_990), Bridge::Live);
    assert_eq!(bids(&sync), Some(vec![(100, 2_000), (99, 1)]));
}

/// One side's changes: small prices, so that they meet; asks get 1000 more, so that the sides never cross.
fn changes() -> impl Strategy<Value = Vec<(i64, i64)>> {
    prop::collection::vec((1_i64..300, prop_oneof![Just(0_i64), 1_i64..1_000]), 0..40)
}

fn apply(oracle: &mut BTreeMap<i64, i64>, changes: &[(i64, i64)]) {
    for (price, qty) in changes {
        if *qty == 0 {
            oracle.remove(price)
        } else {
            oracle.insert(*price, *qty)
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_chain_of_deltas_gives_the_book_that_a_plain_map_gives(
        deltas in prop::collection::vec((changes(), changes(), 1_u64..4), 1..60),
        snapshot_after in 0_usize..60,
    ) {
        let (mut bid_map, mut ask_map) = (BTreeMap::new(), BTreeMap::new());
        let mut sync = BookSync::new();
        let mut last = 100;
        let snapshot_after = snapshot_after.min(deltas.len() - 1);
        let mut snapshot = None;
        for (at, (bid_changes, ask_changes, span)) in deltas.iter().enumerate() {
            let ask_changes: Vec<_> = ask_changes.iter().map(|(price, qty)| (price + 1_000, *qty)).collect();
            let (first, end) = (last + 1, last + span);
            apply(&mut bid_map, bid_changes);
            apply(&mut ask_map, &ask_changes);
            let step = diff(&mut sync, first, end, bid_changes, &ask_changes);
            prop_assert!(matches!(step, Step::Held | Step::Applied));
            last = end;
            if at == snapshot_after / 2 {
                let best_first = bid_map.iter().rev().map(|(price, qty)| (*price, *qty)).collect::<Vec<_>>();
                let asks = ask_map.iter().map(|(price, qty)| (*price, *qty)).collect::<Vec<_>>();
                snapshot = Some((end, best_first, asks)); // taken now, delivered later
            }
            if at == snapshot_after {
                let Some((id, bids, asks)) = snapshot.take() else { panic!("taken before delivered") };
                prop_assert_eq!(sync.on_snapshot(id, &levels(&bids, &asks), NOW), Bridge::Live);
            }
        }
        let book = sync.book().expect("whole after the snapshot");
        let bids: Vec<_> = book.bids().map(|level| (level.price.0, level.qty.0)).collect();
        let asks: Vec<_> = book.asks().map(|level| (level.price.0, level.qty.0)).collect();
        prop_assert_eq!(bids, bid_map.into_iter().rev().collect::<Vec<_>>());
        prop_assert_eq!(asks, ask_map.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(book.update_id(), last);
    }
}
