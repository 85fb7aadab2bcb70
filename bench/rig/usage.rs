//! What this process takes of the machine.
//!
//! Thread: any.  Invariants: read from the kernel each time; what it does not tell is zero.

use std::fs;

/// Time on a core of the thread `name` of this process, ns.
pub fn cpu_ns(name: &str) -> i64 {
    schedstat(name)[0]
}

/// The same, and the time it was ready and had to wait for a core.
pub fn schedstat(name: &str) -> [i64; 2] {
    let tasks = fs::read_dir("/proc/self/task").expect("procfs").flatten();
    let mut found =
        tasks.filter(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name));
    let text = found.next().and_then(|task| fs::read_to_string(task.path().join("schedstat")).ok());
    two_numbers(&text.unwrap_or_default())
}

/// Time on a core of the calling thread, ns.
pub fn own_cpu_ns() -> i64 {
    two_numbers(&fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default())[0]
}

fn two_numbers(text: &str) -> [i64; 2] {
    let mut numbers = text.split(' ').map(|number| number.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

/// Resident memory of this process, MB.
pub fn rss_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kb = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().split(' ').next()?.parse::<f64>().ok());
    kb.unwrap_or(0.0) / 1_024.0
}
