//! Starts that must fail: the exit code tells whose fault it is, the text how to mend it, the ledger stays as it was.

use std::fs;
use std::net::TcpListener;

use sol_volume_bot::sim::scenario::DEMO_HMAC_SECRET;

use crate::rig::{Bot, House, files_below, program};

fn code_and_text(house: &House) -> (Option<i32>, String) {
    let ended = house.start().ended();
    assert!(!ended.stdout.contains("READY"), "it came up: {}", ended.stdout);
    assert_eq!(house.placed("order"), 0);
    (ended.code, ended.stderr)
}

#[test]
fn credentials_that_the_venue_refuses_end_with_3() {
    let mut house = House::new("credentials");
    let wrong = DEMO_HMAC_SECRET.replace('N', "M");
    house.secret("BINANCE_SECRET", &wrong);
    let (code, text) = code_and_text(&house);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("-1022"), "the venue's own code is told: {text}");
    assert!(!text.contains(&wrong), "{text}");
    house.secret("BINANCE_SECRET", DEMO_HMAC_SECRET);
    house.secret("BINANCE_API_KEY", "nobody-knows-this-key");
    let (code, text) = code_and_text(&house);
    assert_eq!(code, Some(3), "{text}");
    assert!(!text.contains("nobody-knows-this-key"), "{text}");
    let check = {
        let mut command = program(&house.folder);
        command.args(["check", "--config", "config.toml"]);
        Bot::spawn(command).ended()
    };
    assert_eq!(check.code, Some(3), "check says what a run would end with: {}", check.stderr);
}

#[test]
fn a_venue_that_cannot_be_reached_ends_with_4() {
    let mut house = House::new("unreachable");
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    house.set("endpoints", "binance_rest", &format!("\"http://{free}\""));
    let (code, text) = code_and_text(&house);
    assert_eq!(code, Some(4), "{text}");
    assert!(text.contains(&free.to_string()) && text.contains("check endpoints.binance_rest"), "{text}");
}

#[test]
fn an_occupied_ops_port_ends_with_1_before_the_venue_hears_of_us() {
    let mut house = House::new("port");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = taken.local_addr().expect("bound");
    house.set("ops", "listen", &format!("\"{addr}\""));
    let (code, text) = code_and_text(&house);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&format!("ops.listen = \"{addr}\"")) && text.contains("choose another port"), "{text}");
    assert!(!house.data().exists(), "nothing is written");
}

#[test]
fn a_second_engine_on_the_same_directory_ends_with_1_and_disturbs_nothing() {
    let house = House::new("second");
    let (mut first, ops) = house.open();
    first.line("ENTER");
    let (code, text) = {
        let ended = house.start().ended();
        (ended.code, ended.stderr)
    };
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&format!("in use by another engine (process {})", first.pid)), "{text}");
    assert_eq!(ops.get("/healthz").0, 200, "the first one lives on");
    assert_eq!(first.stop().code, Some(0));
    let (again, _) = house.open();
    assert_eq!(again.stop().code, Some(0), "the lock went with its process");
}

#[test]
fn a_data_directory_that_cannot_be_written_ends_with_1_and_is_named() {
    let house = House::new("unwritable");
    house.folder.write("data", "a file is in the way", 0o644);
    let (code, text) = code_and_text(&house);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("data`: cannot create the directory"), "{text}");
    house.write();
    let mut command = program(&house.folder);
    command.args(house.args()).arg("/proc/no-such-place");
    let ended = Bot::spawn(command).ended();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("/proc/no-such-place"), "{}", ended.stderr);
}

#[test]
fn a_damaged_or_foreign_ledger_ends_with_1_and_keeps_every_byte() {
    let house = House::new("damaged");
    let (mut bot, _) = house.open();
    bot.line("ENTER");
    assert_eq!(bot.stop().code, Some(0));
    let db = house.data().join("engine.db");
    let sound = fs::read(&db).expect("the ledger");
    let mut holed = sound.clone();
    let (half, len) = (holed.len() / 4, holed.len());
    holed[half..len - half].fill(0xA5);
    let mut future = sound.clone();
    future[60..64].copy_from_slice(&99_u32.to_be_bytes()); // `user_version` in SQLite's file header
    for (name, bytes, told) in [
        ("garbage", b"this is no database, but somebody's notes about one\n".repeat(100), "damaged"),
        ("holes", holed, "damaged"),
        ("version", future, "schema version 99, this program knows 3"),
    ] {
        for beside in ["engine.db-wal", "engine.db-shm"] {
            let _ = fs::remove_file(house.data().join(beside));
        }
        fs::write(&db, &bytes).expect("ours");
        let before = house.venue.received().len();
        let ended = house.start().ended();
        assert_eq!(ended.code, Some(1), "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains("engine.db: ") && ended.stderr.contains(told), "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains("nothing was changed"), "{name}: {}", ended.stderr);
        assert!(fs::read(&db).expect("still there") == bytes, "{name}: the file was changed");
        assert_eq!(house.venue.received().len(), before, "{name}: it traded");
    }
    assert!(!files_below(&house.data()).is_empty());
}
