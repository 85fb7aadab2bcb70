//! What this process takes of the machine.
//!
//! Thread: any.  Invariants: read from the kernel each time; what it does not tell is zero.

use std::fs;

/// Time on a core of the thread `name` of this process, ns.
pub fn cpu_ns(name: &str) -> i64 {
    let tasks = fs::read_dir("/proc/self/task").expect("procfs").flatten();
    let mut found =
        tasks.filter(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name));
    let stat = found.next().and_then(|task| fs::read_to_string(task.path().join("schedstat")).ok());
    stat.and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or(0)
}

/// Resident memory of this process, MB.
pub fn rss_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kb = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().split(' ').next()?.parse::<f64>().ok());
    kb.unwrap_or(0.0) / 1_024.0
}
