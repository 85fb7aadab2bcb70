//! Reads the source as text and fails on what the house rules forbid: upward arrows, long files and functions, a file
//! without its header, `unsafe` outside its rooms, banned words.

use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;
/// Rooms by floor, top first; a room may use only rooms of lower floors.
const FLOORS: [&[&str]; 7] = [
    &["cli"],
    &["config", "topology"],
    &["threads", "sim"],
    &["recovery"],
    &["engine", "venue", "ledger", "telemetry"],
    &["ring", "sys"],
    &["types"],
];
/// Rooms whose output depends on their input alone, and what that forbids.
const PURE_ROOMS: [&str; 2] = ["engine", "venue"];
const IMPURE_WORDS: [&str; 12] = [
    "std::time::",
    "std::net::",
    "std::fs::",
    "std::thread",
    "std::sync::",
    "std::env",
    "std::process",
    "HashMap",
    "HashSet",
    "f64",
    "f32",
    "log::",
];
const UNSAFE_ROOMS: [&str; 2] = ["ring", "sys"];
const BANNED_WORDS: [&str; 6] = ["TODO", "FIXME", "XXX", "dbg!(", "todo!(", "unimplemented!("];

struct Source {
    path: PathBuf,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources_under(folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources_under(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap_or_default();
            found.push(Source { path, text });
        }
    }
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for folder in folders {
        sources_under(&root().join(folder), &mut found);
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Room of a file: the first folder below `src`, or the file's own name for `src/topology.rs`.
fn room_of(path: &Path) -> Option<String> {
    let below = path.strip_prefix(root().join("src")).ok()?;
    let first = below.components().next()?.as_os_str().to_str()?;
    Some(first.trim_end_matches(".rs").to_owned())
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// The text without what only tests compile: from the first `#[cfg(test)]` on.
fn product_text(source: &Source) -> &str {
    source.text.split("#[cfg(test)]").next().unwrap_or("")
}

/// Rooms named after `crate::` in code, with their line; brace lists directly after `crate::` included.
fn rooms_used(text: &str) -> Vec<(usize, String)> {
    let mut used = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or("");
        for part in code.split("crate::").skip(1) {
            let names: Vec<&str> = match part.strip_prefix('{') {
                Some(list) => list.split('}').next().unwrap_or("").split(',').map(str::trim).collect(),
                None => vec![part],
            };
            for name in names {
                let word: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                used.push((number + 1, word));
            }
        }
    }
    used
}

fn fail_with(title: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{title}:\n  {}", faults.join("\n  "));
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

#[test]
fn arrows_between_rooms_point_downward_only() {
    let mut faults = Vec::new();
    let all = sources(&["src"]);
    assert!(all.len() > 20, "found only {} source files: the check would be empty", all.len());
    for source in &all {
        let Some(room) = room_of(&source.path) else { continue };
        let Some(floor) = floor_of(&room) else { continue };
        for (line, used) in rooms_used(product_text(source)) {
            let Some(target) = floor_of(&used) else { continue };
            if used != room && target <= floor {
                faults.push(format!("{}:{line} {room} uses {used}", shown(&source.path)));
            }
            if PURE_ROOMS.contains(&room.as_str()) && used != room && used != "types" {
                faults.push(format!("{}:{line} the pure room {room} uses {used}", shown(&source.path)));
            }
        }
    }
    fail_with("upward or sideways arrows", &faults);
}

#[test]
fn pure_rooms_touch_no_clock_no_io_and_no_float() {
    let mut faults = Vec::new();
    for source in sources(&["src/engine", "src/venue", "src/sim/exchange"]) {
        for (number, line) in product_text(&source).lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            for word in IMPURE_WORDS.iter().filter(|word| code.contains(**word)) {
                faults.push(format!("{}:{} {word}", shown(&source.path), number + 1));
            }
        }
    }
    fail_with("impure words in pure rooms", &faults);
}

#[test]
fn every_file_opens_with_its_header() {
    let mut faults = Vec::new();
    for source in sources(&["src"]) {
        let header: Vec<&str> = source.text.lines().take_while(|line| line.starts_with("//!")).collect();
        let text = header.join(" ");
        let in_room = room_of(&source.path).is_some_and(|room| floor_of(&room).is_some());
        let says_thread = ["Thread:", "Runs on:"].iter().any(|word| text.contains(word));
        if header.is_empty() || (in_room && !says_thread) {
            faults.push(format!("{}: header needs its role and `Thread:` or `Runs on:`", shown(&source.path)));
        }
    }
    fail_with("missing headers", &faults);
}

#[test]
fn files_fit_a_head() {
    let too_long = |source: &Source| source.text.lines().count() > FILE_LINES_MAX;
    let faults: Vec<String> = sources(&["src", "tests", "bench"])
        .iter()
        .filter(|source| too_long(source) && !shown(&source.path).contains("/target/"))
        .map(|source| format!("{}: {} lines", shown(&source.path), source.text.lines().count()))
        .collect();
    fail_with("files over 800 lines", &faults);
}

/// Length of each function: from its `fn` line to the brace that closes at the same indentation.
fn long_functions(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut faults = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let is_fn = ["fn ", "pub fn ", "const fn ", "pub const fn ", "unsafe fn ", "pub(crate) fn ", "pub(super) fn "]
            .iter()
            .any(|start| code.starts_with(start));
        if !is_fn || code.ends_with(';') {
            continue;
        }
        let closing = format!("{}}}", " ".repeat(indent));
        let Some(length) = lines[at..].iter().position(|line| *line == closing) else { continue };
        let flat_match = lines[at..at + length].iter().filter(|line| line.contains(" => ")).count() * 2 > length;
        if length > FUNCTION_LINES_MAX && !flat_match {
            faults.push(format!("{}:{} {length} lines", shown(&source.path), at + 1));
        }
    }
    faults
}

#[test]
fn functions_fit_a_screen() {
    let faults: Vec<String> = sources(&["src"]).iter().flat_map(long_functions).collect();
    fail_with("functions over 70 lines", &faults);
}

#[test]
fn unsafe_stays_in_its_rooms_and_says_what_it_rests_on() {
    let mut faults = Vec::new();
    for source in sources(&["src"]) {
        let room = room_of(&source.path).unwrap_or_default();
        let lines: Vec<&str> = source.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            if !code.contains("unsafe ") && !code.contains("unsafe{") {
                continue;
            }
            if !UNSAFE_ROOMS.contains(&room.as_str()) {
                faults.push(format!("{}:{} unsafe outside ring and sys", shown(&source.path), at + 1));
            }
            let above = &lines[at.saturating_sub(4)..at];
            if !above.iter().any(|line| line.contains("// SAFETY:")) {
                faults.push(format!("{}:{} unsafe without `// SAFETY:`", shown(&source.path), at + 1));
            }
        }
    }
    fail_with("unsafe", &faults);
}

#[test]
fn nothing_is_left_behind() {
    let mut faults = Vec::new();
    for source in sources(&["src", "tests", "bench"]) {
        if source.path.ends_with("tests/tidy.rs") {
            continue;
        }
        for (number, line) in source.text.lines().enumerate() {
            for word in BANNED_WORDS.iter().filter(|word| line.contains(**word)) {
                faults.push(format!("{}:{} {word}", shown(&source.path), number + 1));
            }
            let bare_allow = line.trim_start().starts_with("#[allow(") && !line.contains("reason");
            if bare_allow && !line.contains("//") {
                faults.push(format!("{}:{} `#[allow]` without a reason", shown(&source.path), number + 1));
            }
            if line.contains("thread::sleep") && !source.path.starts_with(root().join("src/sys")) {
                faults.push(format!("{}:{} sleeps", shown(&source.path), number + 1));
            }
        }
    }
    fail_with("left behind", &faults);
}

#[test]
fn the_checks_themselves_can_fail() {
    assert_eq!(rooms_used("use crate::{cli, types::Time};"), vec![(1, "cli".into()), (1, "types".into())]);
    assert_eq!(rooms_used("// crate::cli in a comment"), vec![]);
    let body = "    let x = 1;\n".repeat(FUNCTION_LINES_MAX + 1);
    let source = Source { path: root().join("src/x.rs"), text: format!("fn long() {{\n{body}}}\n") };
    assert_eq!(long_functions(&source).len(), 1);
}
