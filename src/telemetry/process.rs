//! The standard `process_*` metrics, read from `/proc/self`.
//!
//! Thread: HTTP, at a scrape.  Invariants: a value that cannot be read keeps its last one; nothing is guessed.

use std::fs;

use prometheus::core::Collector;
use prometheus::{Counter, Gauge, Opts, Registry};

/// Clock ticks per second in `/proc`, fixed by the kernel's user interface.
const TICKS_PER_S: f64 = 100.0;

/// What the kernel knows of us.
#[derive(Debug)]
pub struct Process {
    cpu_seconds: Counter,
    resident_bytes: Gauge,
    virtual_bytes: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
    threads: Gauge,
    start_seconds: Gauge,
}

impl Process {
    /// Registers all of them. Errors: a name is taken already.
    pub fn register(registry: &Registry) -> prometheus::Result<Process> {
        let gauge = |name: &str, help: &str| added(registry, Gauge::with_opts(Opts::new(name, help))?);
        let cpu =
            Counter::with_opts(Opts::new("process_cpu_seconds_total", "User and system CPU time spent in seconds."))?;
        Ok(Process {
            cpu_seconds: added(registry, cpu)?,
            resident_bytes: gauge("process_resident_memory_bytes", "Resident memory size in bytes.")?,
            virtual_bytes: gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.")?,
            open_fds: gauge("process_open_fds", "Number of open file descriptors.")?,
            max_fds: gauge("process_max_fds", "Maximum number of open file descriptors.")?,
            threads: gauge("process_threads", "Number of OS threads in the process.")?,
            start_seconds: gauge("process_start_time_seconds", "Start time since the Unix epoch in seconds.")?,
        })
    }

    /// Reads them anew.
    pub fn refresh(&self) {
        if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::parse) {
            let cpu = stat.cpu_ticks / TICKS_PER_S;
            self.cpu_seconds.inc_by((cpu - self.cpu_seconds.get()).max(0.0));
            self.threads.set(stat.threads);
            self.virtual_bytes.set(stat.virtual_bytes);
            if let Some(boot) = boot_seconds() {
                self.start_seconds.set(boot + stat.start_ticks / TICKS_PER_S);
            }
        }
        if let Some(kib) = number_after("/proc/self/status", "VmRSS:") {
            self.resident_bytes.set(kib * 1_024.0);
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            self.open_fds.set(entries.count() as f64);
        }
        if let Some(limit) = number_after("/proc/self/limits", "Max open files") {
            self.max_fds.set(limit);
        }
    }
}

fn added<T: Collector + Clone + 'static>(registry: &Registry, metric: T) -> prometheus::Result<T> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// Fields of `/proc/self/stat`.
struct Stat {
    cpu_ticks: f64,
    threads: f64,
    start_ticks: f64,
    virtual_bytes: f64,
}

impl Stat {
    /// The command in parentheses may hold blanks: the fields are counted behind it.
    fn parse(text: &str) -> Option<Stat> {
        let fields: Vec<f64> =
            text.rsplit_once(')')?.1.split_whitespace().skip(1).map(|field| field.parse().unwrap_or(0.0)).collect();
        let field = |number: usize| fields.get(number - 4).copied(); // `man 5 proc` counts from 1; the fourth is our first
        Some(Stat {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
        })
    }
}

fn boot_seconds() -> Option<f64> {
    number_after("/proc/stat", "btime")
}

fn number_after(path: &str, label: &str) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_whitespace().next()?.parse().ok()
}
