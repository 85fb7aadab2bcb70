//! Figures: histograms, their percentiles, the machine they were made on, and the files they go to.
//!
//! Thread: any.  Invariants: nanoseconds inside, microseconds in tables; a figure without its machine is not written.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use sol_volume_bot::sys::clock::Clock;

/// A histogram of nanoseconds, three digits.
pub struct Spread(Histogram<u64>);

impl Spread {
    /// Empty; up to a minute.
    pub fn new() -> Spread {
        Spread(Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds"))
    }
    /// One more.
    pub fn add(&mut self, ns: i64) {
        self.0.saturating_record(u64::try_from(ns.max(1)).unwrap_or(1));
    }
    /// Its percentiles.
    pub fn figures(&self) -> Figures {
        let at = |quantile| self.0.value_at_quantile(quantile);
        Figures { count: self.0.len(), p50: at(0.5), p99: at(0.99), p999: at(0.999), max: self.0.max() }
    }
}

/// Percentiles, ns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// How many.
    pub count: u64,
    /// Median.
    pub p50: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p999: u64,
    /// The worst.
    pub max: u64,
}

impl Figures {
    /// As JSON.
    pub fn json(&self) -> Value {
        json!({"count": self.count, "p50_ns": self.p50, "p99_ns": self.p99, "p999_ns": self.p999, "max_ns": self.max})
    }
    /// From JSON of [`Figures::json`].
    pub fn of(value: &Value) -> Figures {
        let at = |name: &str| value[name].as_u64().unwrap_or(0);
        let (p50, p99, p999, max) = (at("p50_ns"), at("p99_ns"), at("p999_ns"), at("max_ns"));
        Figures { count: at("count"), p50, p99, p999, max }
    }
}

/// Four columns of microseconds.
impl std::fmt::Display for Figures {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let us = |ns: u64| ns as f64 / 1_000.0;
        write!(out, "{:9.1} {:9.1} {:9.1} {:9.1}", us(self.p50), us(self.p99), us(self.p999), us(self.max))
    }
}

fn said_by(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map_or_else(|_| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Processor, kernel, cores, compiler, commit and time of this run.
pub fn machine() -> Value {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    json!({
        "cpu": model.unwrap_or("unknown"),
        "cores": sol_volume_bot::sys::cores::allowed().len(),
        "kernel": said_by("uname", &["-sr"]),
        "rustc": said_by("rustc", &["--version"]),
        "commit": said_by("git", &["describe", "--always", "--dirty"]),
        "utc_ms": Clock::start().now().millis().0,
    })
}

/// Prints one line for a person: a figure, its target, and whether it holds.
pub fn verdict(what: &str, got: f64, unit: &str, limit: f64, is_most: bool) -> Value {
    let holds = if is_most { got <= limit } else { got >= limit };
    let (sign, word) = (if is_most { "<=" } else { ">=" }, if holds { "PASS" } else { "SHORT" });
    println!("{word:5}  {what:58} {got:>12.2} {unit:8} (target {sign} {limit} {unit})");
    json!({"what": what, "got": got, "unit": unit, "limit": limit, "sign": sign, "holds": holds})
}

/// Writes `target/bench/<name>.json`, the machine beside the figures.
pub fn write(name: &str, figures: Value) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    let text = serde_json::to_string_pretty(&json!({"machine": machine(), "figures": figures})).expect("JSON");
    let path = folder.join(format!("{name}.json"));
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, text));
    if let Err(why) = written {
        eprintln!("{} was not written: {why}", path.display());
    }
}
