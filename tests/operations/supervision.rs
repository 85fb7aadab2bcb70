//! `scripts/start.sh` as a supervisor: a stand-in for the binary crashes, ends and hears signals as each test plans.

use crate::rig::{Bot, Ended, Folder, PATIENCE};
use sol_volume_bot::sys::clock::Clock;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Writes down each start as `verb count pid options`, then does as the plan of its verb says.
const STAND_IN: &str = r#"#!/bin/sh
verb=$1; shift
count=$(($(cat "$verb.count" 2>/dev/null || echo 0) + 1))
echo "$count" >"$verb.count"
echo "$verb $count $$ $*" >>starts
. "./$verb.plan"
"#;
/// Hears every signal and ends with 0 on TERM or INT; with 9 if a minute brings neither.
const LISTENS: &str = r#"
for name in HUP USR1; do trap "echo $verb $name >>heard" "$name"; done
for name in TERM INT; do trap "echo $verb $name >>heard; exit 0" "$name"; done
echo "$verb" >>listening
left=3000
while [ $left -gt 0 ]; do left=$((left - 1)); sleep 0.02; done
exit 9
"#;

/// The scripts and the stand-in, in a folder of their own.
struct Stage(Folder);

impl Stage {
    fn new(name: &str, run: &str, guard: &str) -> Stage {
        let folder = Folder::new(name);
        fs::create_dir_all(folder.path("scripts")).expect("our own folder");
        fs::create_dir_all(folder.path("target/release")).expect("our own folder");
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
        for script in ["start.sh", "lib.sh"] {
            let text = fs::read_to_string(scripts.join(script)).expect("the script");
            folder.write(&format!("scripts/{script}"), &text, 0o755);
        }
        folder.write("target/release/sol_volume_bot", STAND_IN, 0o755);
        folder.write("run.plan", run, 0o644);
        folder.write("guard.plan", guard, 0o644);
        Stage(folder)
    }
    fn start(&self, args: &[&str]) -> Bot {
        // A test that runs in the background inherits an ignored SIGINT, which no shell can trap.
        let mut command = Command::new("env");
        command.args(["--default-signal=INT", "bash", "scripts/start.sh"]).args(args);
        command.current_dir(&self.0.0).env("RESTART_PAUSE_S", "0");
        Bot::spawn(command)
    }
    fn run(&self, args: &[&str]) -> Ended {
        self.start(args).ended()
    }
    fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.0.path(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
    fn starts(&self, verb: &str) -> usize {
        self.lines("starts").iter().filter(|line| line.starts_with(verb)).count()
    }
    fn until(&self, what: &str, wanted: impl Fn(&Stage) -> bool) {
        let clock = Clock::start();
        let until = clock.now().plus(i64::try_from(PATIENCE.as_nanos()).expect("seconds"));
        while !wanted(self) {
            assert!(clock.now() < until, "never: {what}; starts {:?}", self.lines("starts"));
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_crashed_engine_is_started_again_with_the_same_options_and_a_clean_end_is_the_end() {
    let stage = Stage::new("start-crash", "[ $count -gt 2 ] || kill -9 $$; exit 0", "exit 0");
    let ended = stage.run(&["--mode", "live"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(stage.starts("run"), 3);
    assert!(stage.lines("starts").iter().all(|line| line.ends_with("--mode live")), "{:?}", stage.lines("starts"));
    assert!(ended.stderr.contains("ended with 137"), "{}", ended.stderr);
}

#[test]
fn bad_config_and_refused_keys_are_not_tried_again() {
    for code in [2, 3] {
        let stage = Stage::new(&format!("start-final-{code}"), &format!("exit {code}"), LISTENS);
        let ended = stage.run(&[]);
        assert_eq!((ended.code, stage.starts("run")), (Some(code), 1), "{}", ended.stderr);
    }
}

#[test]
fn an_engine_that_crashes_without_end_is_given_up_after_five_restarts() {
    let stage = Stage::new("start-bound", "exit 1", "exit 0");
    let ended = stage.run(&[]);
    assert_eq!((ended.code, stage.starts("run")), (Some(1), 6), "{}", ended.stderr);
    assert!(ended.stderr.contains("given up"), "{}", ended.stderr);
}

#[test]
fn signals_reach_the_engine_once_and_the_guard_ends_after_it() {
    let stage = Stage::new("start-signals", LISTENS, LISTENS);
    let script = stage.start(&[]);
    stage.until("both listen", |stage| stage.lines("listening").len() == 2);
    for (signal, count) in [(libc::SIGHUP, 1), (libc::SIGUSR1, 2)] {
        script.signal(signal);
        stage.until("it is heard", |stage| stage.lines("heard").len() == count);
    }
    script.signal(libc::SIGINT);
    let ended = script.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(stage.lines("heard"), ["run HUP", "run USR1", "run INT", "guard TERM"]);
    assert_eq!((stage.starts("run"), stage.starts("guard")), (1, 1));
}

#[test]
fn a_guard_that_crashes_is_started_again_and_one_that_is_not_configured_is_not() {
    let crash_twice = format!("[ $count -gt 2 ] || exit 1; {LISTENS}");
    let stage = Stage::new("start-guard", LISTENS, &crash_twice);
    let script = stage.start(&["--mode", "live"]);
    stage.until("the third guard listens", |stage| stage.lines("listening").len() == 2);
    assert_eq!(script.stop().code, Some(0));
    assert_eq!((stage.starts("run"), stage.starts("guard")), (1, 3));
    assert!(stage.lines("starts").iter().any(|line| line.ends_with("--if-configured --mode live")));

    let stage = Stage::new("start-no-guard", LISTENS, "exit 0");
    let script = stage.start(&[]);
    stage.until("the engine listens", |stage| stage.lines("listening").len() == 1 && stage.starts("guard") == 1);
    assert_eq!(script.stop().code, Some(0));
    assert_eq!(stage.starts("guard"), 1);
}

#[test]
fn the_guard_stays_beside_an_engine_that_is_given_up() {
    let stage = Stage::new("start-stays", "exit 1", LISTENS);
    let mut command = Command::new("bash");
    command.args(["-c", "exec bash scripts/start.sh 2>told"]).current_dir(&stage.0.0).env("RESTART_PAUSE_S", "0");
    let script = Bot::spawn(command);
    let stays = |stage: &Stage| stage.lines("told").iter().any(|line| line.starts_with("the guard stays"));
    stage.until("the guard stays", |stage| stays(stage) && !stage.lines("listening").is_empty());
    assert_eq!(stage.starts("run"), 6);
    assert_eq!(stage.lines("heard"), Vec::<String>::new(), "nobody told the guard to end");
    let ended = script.stop();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(stage.lines("heard"), ["guard TERM"]);
}

#[test]
fn once_becomes_the_engine() {
    let stage = Stage::new("start-once", "kill -9 $$", "exit 0");
    let script = stage.start(&["--once", "--mode", "live"]);
    let pid = script.pid;
    let ended = script.ended();
    assert_eq!(ended.code, None, "it died of the engine's own signal");
    assert_eq!(stage.lines("starts"), [format!("run 1 {pid} --mode live")]);
}
