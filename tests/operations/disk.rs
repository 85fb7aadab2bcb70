//! A disk that is full: entries stop, the position stays guarded, and when there is room again nothing is missing.

use std::ffi::OsStr;
use std::process::Command;

use serde_json::Value;
use sol_volume_bot::ledger::journal::{Entry, Reader};
use sol_volume_bot::sim::server::Snapshot;
use sol_volume_bot::types::EventKind;
use sol_volume_bot::types::order::ExecKind;

use crate::rig::{Bot, Ended, House, PATIENCE, cents, shell, tell};

/// Mounts a small disk that only this process tree sees, runs the program on it, and fills or frees it when told.
const ON_A_SMALL_DISK: &str = r#"
    disk=$1 data=$2 journal=$3; shift 3
    mount -t tmpfs -o size=12m small "$disk" || exit 77
    mkdir -p "$data" "$journal"
    [ "$journal" = "$data/journal" ] || ln -s "$journal" "$data/journal"
    "$@" <&- &
    bot=$!
    echo "{\"event\":\"PID\",\"pid\":$bot}"
    while read -r word; do
        case $word in
            fill) cat /dev/zero > "$disk/ballast" 2> /dev/null; echo '{"event":"FULL"}' ;;
            free) rm "$disk/ballast"; echo '{"event":"FREE"}' ;;
            again)
                wait "$bot"; echo "{\"event\":\"ENDED\",\"code\":$?}"
                rm "$disk/ballast"
                "$@" <&- &
                bot=$!
                echo "{\"event\":\"PID\",\"pid\":$bot}" ;;
            keep) wait "$bot"; code=$?; cp "$data/engine.db"* "$disk/../"; cp -r "$journal" "$disk/../kept"; exit "$code" ;;
        esac
    done
"#;

/// A new mount namespace, as root or in a user namespace of its own; `None` where the system allows neither.
fn unshare() -> Option<&'static [&'static str]> {
    let ways: [&[&str]; 2] = [&["unshare", "-m"], &["unshare", "-rm"]];
    ways.into_iter().find(|way| {
        let mounts = Command::new(way[0]).args(&way[1..]).args(["sh", "-c", "mount -t tmpfs probe /mnt"]).output();
        mounts.is_ok_and(|output| output.status.success())
    })
}

/// What lives on the small disk; the rest of the data directory has all the room it wants.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Small {
    All,
    Ledger,
    Journal,
}

fn start_on_small_disk(house: &House, way: &[&str], small: Small) -> Bot {
    house.write();
    let disk = house.folder.path("disk");
    std::fs::create_dir(&disk).expect("ours");
    let data = if small == Small::Journal { house.folder.path("data") } else { disk.join("data") };
    let journal = match small {
        Small::All => data.join("journal"),
        Small::Ledger => house.folder.path("journal"),
        Small::Journal => disk.join("journal"),
    };
    let places = [&disk, &data, &journal].map(|path| path.as_os_str());
    let mut args: Vec<&OsStr> = places.into_iter().chain([OsStr::new(env!("CARGO_BIN_EXE_sol_volume_bot"))]).collect();
    args.extend(house.args().map(OsStr::new));
    args.push(data.as_os_str());
    let mut bot = Bot::spawn(shell(&house.folder, way, ON_A_SMALL_DISK, &args));
    learn_pid(&mut bot);
    bot
}

fn learn_pid(bot: &mut Bot) {
    bot.pid = u32::try_from(bot.line("PID")["pid"].as_u64().expect("a number")).expect("a process id");
}

/// The line that says what cannot be written.
fn fatal(bot: &mut Bot, what: &str) -> String {
    let told = |line: &Value| line["msg"].as_str().is_some_and(|msg| msg.contains(what));
    bot.said("FATAL", told)["msg"].to_string()
}

/// Every event of every run, in order; a hole or damage fails.
fn journalled(house: &House) -> Vec<Entry> {
    let journal = Reader::open(&house.folder.path("kept")).expect("a journal");
    journal.collect::<Result<_, _>>().expect("sound and whole")
}

/// Ends the run, takes a copy of the ledger off the disk and compares it with the venue.
fn every_fill_is_kept(house: &House, mut bot: Bot) -> Ended {
    let fills = house.venue.snapshot().trades.len();
    tell(&mut bot, "keep");
    bot.signal(libc::SIGTERM);
    let ended = bot.ended();
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    let kept = |sql: &str| kept(house, sql);
    assert_eq!(
        usize::try_from(kept("SELECT count(*) FROM fills")),
        Ok(fills),
        "every fill of the venue is in the ledger"
    );
    assert_eq!(kept("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
    ended
}

/// One number of the ledger's copy.
fn kept(house: &House, sql: &str) -> i64 {
    let db = rusqlite::Connection::open(house.folder.path("engine.db")).expect("kept");
    db.query_row(sql, [], |row| row.get(0)).expect(sql)
}

#[test]
fn a_full_disk_stops_entries_keeps_the_orders_and_loses_nothing() {
    let Some(way) = unshare() else {
        return println!("SKIPPED: this system lets the test mount no small disk (unshare -m)");
    };
    let mut house = House::new("disk");
    house.set("execution", "tranche_window", "\"6s\"");
    let mut bot = start_on_small_disk(&house, way, Small::All);
    bot.line("READY");
    bot.line("PROTECTED");
    let guarded = |snapshot: &Snapshot| snapshot.open_lists.len() == 2;
    assert!(house.venue.wait_for(PATIENCE, guarded).1);

    tell(&mut bot, "fill");
    bot.line("FULL");
    fatal(&mut bot, ""); // of the ledger or of the journal, whoever notices first
    assert_eq!(bot.line("PAUSE")["reason"], "journal");
    let bought = house.placed("order.place");
    let refused = bot.next("REFUSED", |line| line["rule"] == "paused");
    assert!(refused["tranche"].as_u64() > Some(1), "{refused}");
    assert_eq!(house.placed("order.place"), bought, "no tranche while the ledger does not write");
    assert!(guarded(&house.venue.snapshot()), "the protective orders stay");
    house.venue.set_mid(cents(16_460)); // + 2 %: a fill that only memory knows
    bot.next("FILL", |line| line["side"] == "sell");

    tell(&mut bot, "free");
    bot.said("FREE", |_| true);
    bot.said("LEDGER_OK", |_| true);
    let log = every_fill_is_kept(&house, bot).stdout;
    assert!(log.contains("engine.db: cannot be written: database or disk is full"), "{log}");
    assert!(log.contains(".svj: no room to go on: "), "{log}");
    let journal = kept(&house, "SELECT count(*) FROM state WHERE key = 'pause.journal'");
    assert_eq!(journal, 1, "paused until the operator resumes");
    assert!(!journalled(&house).iter().any(|entry| matches!(entry, Entry::Lost(_))), "and the journal misses nothing");
}

#[test]
fn a_run_that_ends_on_a_full_disk_says_so_and_the_next_one_learns_the_fills_from_the_venue() {
    let Some(way) = unshare() else {
        return println!("SKIPPED: this system lets the test mount no small disk (unshare -m)");
    };
    let mut house = House::new("disk-end");
    house.set("execution", "tranches", "1");
    let mut bot = start_on_small_disk(&house, way, Small::Ledger);
    bot.line("PROTECTED");
    assert!(house.venue.wait_for(PATIENCE, |snapshot| snapshot.open_lists.len() == 2).1);
    tell(&mut bot, "fill");
    bot.line("FULL");
    fatal(&mut bot, "");
    house.venue.set_mid(cents(16_460)); // + 2 %: a fill that only memory and the log know
    bot.next("FILL", |line| line["side"] == "sell");
    tell(&mut bot, "again");
    bot.signal(libc::SIGTERM);
    assert_eq!(bot.line("ENDED")["code"], 1);
    learn_pid(&mut bot);
    let found = bot.line("RECONCILE");
    assert_ne!(found["fills"], 0, "what no row told: {found}");
    bot.line("READY");
    bot.next("RECONCILE", |line| line["adopted"] == 2); // the other slot's pair still guards the rest
    let ended = every_fill_is_kept(&house, bot);
    assert!(ended.stderr.contains("ended with rows that the ledger did not take"), "{}", ended.stderr);
    assert!(ended.stderr.contains("engine.db: cannot be written: "), "{}", ended.stderr);
}

#[test]
fn a_full_disk_under_the_journal_alone_stops_entries_and_the_journal_misses_nothing() {
    let Some(way) = unshare() else {
        return println!("SKIPPED: this system lets the test mount no small disk (unshare -m)");
    };
    let mut house = House::new("disk-journal");
    house.set("execution", "tranche_window", "\"6s\"");
    let mut bot = start_on_small_disk(&house, way, Small::Journal);
    bot.line("PROTECTED");
    let guarded = |snapshot: &Snapshot| snapshot.open_lists.len() == 2;
    assert!(house.venue.wait_for(PATIENCE, guarded).1);

    tell(&mut bot, "fill");
    bot.line("FULL");
    let told = fatal(&mut bot, "journal: ");
    assert!(told.contains(".svj: no room to go on: ") && told.contains("are set aside"), "{told}");
    bot.next("PAUSE", |line| line["reason"] == "journal");
    let bought = house.placed("order.place");
    let refused = bot.next("REFUSED", |line| line["rule"] == "paused");
    assert!(refused["tranche"].as_u64() > Some(1), "{refused}");
    assert_eq!(house.placed("order.place"), bought, "no tranche while the journal has no room");
    assert!(guarded(&house.venue.snapshot()), "the protective orders stay");
    house.venue.set_mid(cents(16_460)); // + 2 %: a fill while the disk is full
    bot.next("FILL", |line| line["side"] == "sell");

    tell(&mut bot, "free");
    bot.said("FREE", |_| true);
    assert_eq!(bot.said("JOURNAL_OK", |_| true)["entries_lost"], 0);
    every_fill_is_kept(&house, bot);
    let is_fill = |entry: &&Entry| {
        matches!(entry, Entry::Event(event)
            if matches!(event.kind, EventKind::Execution(report) if report.kind == ExecKind::Fill && report.trade_id > 0))
    };
    let fills = journalled(&house).iter().filter(is_fill).count();
    assert!(fills >= house.venue.snapshot().trades.len(), "{fills} fills are in the journal");
}
