//! Where there is no room: a ring that nobody empties, feeds that fill theirs all the time, a disk that is full.

use crate::desk::*;
use sol_volume_bot::engine::Engine;
use sol_volume_bot::ledger::journal::{Entry, JournalError, Writer};
use sol_volume_bot::ring::{self, EventItem, HotNote, OnFull, Receiver, RingSpec, Sender};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::threads::hot::{Hot, HotRings, HotView};
use sol_volume_bot::threads::runner::Agent;
use sol_volume_bot::types::event::{Control, EventKind, StreamState};
use sol_volume_bot::types::note::Lost;
use sol_volume_bot::types::record::PauseReason;
use sol_volume_bot::types::{Event, StreamId, Time};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command as Process;
use std::sync::Arc;

const JOURNAL_DEPTH: usize = 2_048;

fn spec(depth: usize) -> RingSpec {
    RingSpec { name: "test", depth, on_full: OnFull::Refuse }
}

/// A hot agent whose journal nobody reads until the test does.
struct Desk {
    hot: Hot,
    report: Sender<EventItem>,
    control: Sender<EventItem>,
    market: Sender<EventItem>,
    scout: Sender<EventItem>,
    slow: Sender<EventItem>,
    journal: Receiver<HotNote>,
}

impl Desk {
    fn new() -> Desk {
        let (report, report_rx) = ring::ring(spec(4_096), None);
        let (control, control_rx) = ring::ring(spec(64), None);
        let (market, market_rx) = ring::ring(spec(4_096), None);
        let (scout, scout_rx) = ring::ring(spec(4_096), None);
        let (slow, slow_rx) = ring::ring(spec(4_096), None);
        let (command, _) = ring::ring(spec(64), None);
        let (journal_tx, journal) = ring::ring(spec(JOURNAL_DEPTH), None);
        let rings = HotRings {
            report: report_rx,
            control: control_rx,
            market: market_rx,
            scout: scout_rx,
            slow: slow_rx,
            command,
            journal: journal_tx,
        };
        let hot = Hot::new(Engine::new(setup(7)), Clock::start(), rings, Arc::new(HotView::default()));
        Desk { hot, report, control, market, scout, slow, journal }
    }
    fn turn(&mut self) {
        while self.hot.turn(NOON).count > 0 {}
    }
    fn notes(&mut self) -> Vec<HotNote> {
        std::iter::from_fn(|| self.journal.pop()).collect()
    }
}

fn item(event: Event) -> EventItem {
    EventItem { event, decoded: Time::NONE }
}

fn is_event(note: &HotNote, kind: fn(&EventKind) -> bool) -> bool {
    matches!(note, HotNote::Event(event) if kind(&event.kind))
}

#[test]
fn a_journal_that_nobody_empties_halts_entries_holds_the_market_and_lets_our_reports_pass() {
    let mut desk = Desk::new();
    for seq in 1..=4_000 {
        desk.market.push(item(bbo(seq))).expect("room");
    }
    desk.turn();
    let held = desk.market.gauge().depth();
    assert!(held > 4_000 - JOURNAL_DEPTH as u64, "{held} market events wait");
    for _ in 0..20 {
        desk.report.push(item(event(0, EventKind::Stream(StreamState::Gap)))).expect("room");
    }
    desk.turn();
    assert_eq!(desk.report.gauge().depth(), 0, "reports are heard");
    assert_eq!(desk.market.gauge().depth(), held, "the market still waits");

    let notes = desk.notes();
    let halts = |note: &&HotNote| {
        is_event(note, |kind| matches!(kind, EventKind::Control(Control::Halt(PauseReason::Journal))))
    };
    assert_eq!(notes.iter().filter(halts).count(), 1, "halted once");
    assert_eq!(notes.iter().filter(|note| is_event(note, |kind| matches!(kind, EventKind::Stream(_)))).count(), 20);
    let seqs: Vec<u64> =
        notes.iter().filter_map(|note| if let HotNote::Event(event) = note { Some(event.seq) } else { None }).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "and nothing is missing");
    desk.turn();
    assert!(desk.market.gauge().depth() < held, "with room again the market goes on");
}

#[test]
fn no_feed_that_fills_its_ring_all_the_time_starves_another() {
    let mut desk = Desk::new();
    let told = |stream| item(Event { stream, ..event(0, EventKind::Stream(StreamState::Up)) });
    for seq in 1..=1_000 {
        desk.market.push(item(bbo(seq))).expect("room");
        desk.scout.push(told(StreamId::KrakenBook)).expect("room");
        desk.slow.push(told(StreamId::DefiLlama)).expect("room");
    }
    let turn = desk.hot.turn(NOON).count as usize;
    let notes = desk.notes();
    let of = |stream: StreamId| {
        let is_its = |note: &&HotNote| matches!(note, HotNote::Event(event) if event.stream == stream);
        notes.iter().filter(is_its).count()
    };
    let each = turn / 32;
    assert!(each > 0, "{turn} events in a turn");
    assert_eq!((of(StreamId::KrakenBook), of(StreamId::DefiLlama)), (each, each), "of {turn}");
    assert_eq!(of(StreamId::BinanceBbo), turn - 2 * each);
}

#[test]
fn coins_without_a_stop_let_the_market_in_though_the_journal_is_nearly_full() {
    let mut desk = Desk::new();
    for seq in 1..=4_000 {
        desk.market.push(item(bbo(seq))).expect("room");
    }
    desk.turn();
    assert!(desk.market.gauge().depth() > 0, "the market waits");
    desk.report.push(item(fill(0))).expect("room"); // coins that nobody ordered: a venue that contradicts us
    desk.turn();
    assert_eq!(desk.market.gauge().depth(), 0, "the engine must see the price");
}

#[test]
fn a_step_that_finds_no_room_is_counted_and_said_before_the_next_one() {
    let mut desk = Desk::new();
    for _ in 0..4_000 {
        desk.report.push(item(fill(0))).expect("room");
    }
    desk.turn();
    assert_eq!(desk.report.gauge().depth(), 0, "our own orders never wait for a record of them");
    let before = desk.notes();
    let told = before.iter().filter(|note| matches!(note, HotNote::Event(_))).count() as u64;
    assert!(told < 4_000 && !before.iter().any(|note| matches!(note, HotNote::Lost(_))));
    desk.control.push(item(event(0, EventKind::Control(Control::Pause)))).expect("room");
    desk.turn();
    let after = desk.notes();
    let (HotNote::Lost(Lost { events, .. }), HotNote::Event(next)) = (after[0], after[1]) else { panic!("{after:?}") };
    assert_eq!(next.seq, told + events + 1, "exactly as many as are missing");
}

/// Runs one test of this binary again with a small disk of its own; `None` where the system allows none.
fn on_small_disk(test: &str) -> Option<bool> {
    let folder = Folder::new(test);
    let ways: [&[&str]; 2] = [&["unshare", "-m"], &["unshare", "-rm"]];
    let mount = "mount -t tmpfs -o size=16m small \"$1\" || exit 77";
    let run = |way: &[&str], script: &str| {
        let itself = std::env::current_exe().expect("a path");
        let disk = folder.0.as_os_str();
        let args = [script.as_ref(), "sh".as_ref(), disk, itself.as_os_str(), test.as_ref()];
        Process::new(way[0]).args(&way[1..]).args(["sh", "-c"]).args(args).env("SVB_SMALL_DISK", disk).output()
    };
    let way = ways.into_iter().find(|way| run(way, mount).is_ok_and(|output| output.status.success()))?;
    let output = run(way, &format!("{mount}; \"$2\" --exact \"$3\" --nocapture")).expect("starts");
    println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Some(output.status.success())
}

#[test]
fn a_full_disk_is_told_before_anything_is_lost_and_then_market_events_go_first() {
    let name = "room::a_full_disk_is_told_before_anything_is_lost_and_then_market_events_go_first";
    match std::env::var_os("SVB_SMALL_DISK") {
        Some(disk) => fill_the_disk(Path::new(&disk)),
        None => match on_small_disk(name) {
            Some(passed) => assert!(passed, "see above"),
            None => println!("SKIPPED: this system lets the test mount no small disk (unshare -m)"),
        },
    }
}

/// Market events until the disk refuses, then until memory does; then room again.
fn fill_the_disk(disk: &Path) {
    let folder = disk.join("journal");
    let mut writer: Writer = written(settings(&folder, 64 << 20), 7, &[]);
    let ballast = disk.join("ballast");
    let mut file = File::create(&ballast).expect("room");
    while file.write_all(&[0; 4_096]).is_ok() {}
    drop(file);
    let (mut seq, mut told_at, mut refused_at) = (0, None, None);
    while writer.dropped() == 0 {
        seq += 1;
        writer.event(&bbo(seq));
        match writer.flush(NOON.plus(i64::try_from(seq).expect("small") * 20_000_000)) {
            Ok(()) => {}
            Err(JournalError::Full { .. }) => told_at = told_at.or(Some(seq)),
            Err(JournalError::Io { .. }) => refused_at = refused_at.or(Some(seq)),
            Err(other) => panic!("{other}"),
        }
    }
    let (told_at, refused_at) = (told_at.expect("told"), refused_at.expect("refused in the end"));
    println!("told at event {told_at}, refused by the disk at {refused_at}, first one dropped {seq}");
    assert!(told_at <= 51, "within a second: {told_at}");
    assert!(refused_at > 40_000, "the reserve takes what comes after the alarm: {refused_at}");
    assert!(seq > refused_at + 40_000, "and memory what comes after that: {seq}");
    for _ in 0..500 {
        seq += 1;
        writer.event(&bbo(seq));
    }
    seq += 1;
    writer.event(&fill(seq));
    seq += 1;
    writer.event(&event(seq, EventKind::Stream(StreamState::Down)));
    assert_eq!(writer.dropped(), 501, "market events are missing, money is not");

    fs::remove_file(&ballast).expect("ours");
    writer.flush(NOON).expect("room again");
    writer.finish(NOON).expect("room");
    let (entries, fault) = read(&folder);
    assert_eq!(fault, None);
    let lost = entries.iter().map(|entry| if let Entry::Lost(lost) = entry { *lost } else { Lost::NONE });
    assert_eq!(lost.fold(Lost::NONE, Lost::plus), Lost { events: 501, notes: 0 });
    assert_eq!(
        entries[entries.len() - 2..],
        [Entry::Event(fill(seq - 1)), Entry::Event(event(seq, EventKind::Stream(StreamState::Down)))]
    );
}
