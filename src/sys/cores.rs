//! CPU cores: which ones we may use, how to stay on one, and how the host is tuned.
//!
//! Thread: any; [`pin_current`] acts on the caller's.  Invariants: facts are read from the kernel each time they are
//! asked for; a fact that this kernel does not tell is `None`, never a guess.

use std::fs;

use core_affinity::CoreId;

/// Why a thread could not be pinned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoreError {
    /// Outside the set this process was given.
    #[error("core {core}: this process may use {}; choose among them in threads.cores", list(.allowed))]
    NotAllowed {
        /// The core asked for.
        core: usize,
        /// The cores it may use.
        allowed: Vec<usize>,
    },
    /// The kernel refused.
    #[error("core {core}: the kernel refused to pin the thread (a container without the right to?)")]
    Refused {
        /// The core asked for.
        core: usize,
    },
}

/// The cores this thread may run on (its affinity mask, so what taskset, systemd or a cpuset left), ascending.
pub fn allowed() -> Vec<usize> {
    let mut cores: Vec<usize> = core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect();
    cores.sort_unstable();
    cores
}

/// How many cores' worth of time we may use: the allowed cores, or less where a cgroup's quota is lower.
pub fn usable_count() -> usize {
    let cores = allowed().len().max(1);
    let quota = fs::read_to_string("/sys/fs/cgroup/cpu.max").ok().and_then(|text| quota_cores(&text));
    cores.min(quota.unwrap_or(cores))
}

/// Pins the calling thread to `core`. Threads it makes later inherit that: start unpinned ones first.
pub fn pin_current(core: usize) -> Result<(), CoreError> {
    let allowed = allowed();
    if !allowed.contains(&core) {
        return Err(CoreError::NotAllowed { core, allowed });
    }
    if core_affinity::set_for_current(CoreId { id: core }) { Ok(()) } else { Err(CoreError::Refused { core }) }
}

/// How the host is tuned, as far as the kernel tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// Cores taken from the scheduler (`isolcpus=`).
    pub isolated: Option<Vec<usize>>,
    /// Cores without the scheduler's tick (`nohz_full=`).
    pub tickless: Option<Vec<usize>>,
    /// Frequency governor of core 0, as `performance`.
    pub governor: Option<String>,
    /// Whether two threads share a core (SMT).
    pub smt_active: Option<bool>,
    /// Transparent huge pages, as `madvise`.
    pub huge_pages: Option<String>,
    /// Where the kernel takes its time, as `tsc`.
    pub clock_source: Option<String>,
}

impl HostFacts {
    /// Reads them.
    pub fn read() -> HostFacts {
        HostFacts {
            isolated: sys("devices/system/cpu/isolated").as_deref().and_then(cpu_list),
            tickless: sys("devices/system/cpu/nohz_full").as_deref().and_then(cpu_list),
            governor: sys("devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            smt_active: sys("devices/system/cpu/smt/active").map(|text| text == "1"),
            huge_pages: sys("kernel/mm/transparent_hugepage/enabled").as_deref().and_then(chosen),
            clock_source: sys("devices/system/clocksource/clocksource0/current_clocksource"),
        }
    }
}

fn sys(name: &str) -> Option<String> {
    fs::read_to_string(format!("/sys/{name}")).ok().map(|text| text.trim().to_owned())
}

/// The bracketed word of `always [madvise] never`.
fn chosen(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

/// Whole cores of a cgroup's `quota period`, at least one; `None` for `max` or anything else.
fn quota_cores(text: &str) -> Option<usize> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period) = (quota.parse::<usize>().ok()?, period.parse::<usize>().ok()?);
    Some(quota.checked_div(period)?.max(1))
}

/// Reads the kernel's list form, `0-2,5`; an empty text is the empty list.
pub fn cpu_list(text: &str) -> Option<Vec<usize>> {
    const CPUS_MAX: usize = 4_096;
    let mut cores = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        if first > last || last >= CPUS_MAX {
            return None;
        }
        cores.extend(first..=last);
    }
    Some(cores)
}

fn list(cores: &[usize]) -> String {
    let words: Vec<String> = cores.iter().map(usize::to_string).collect();
    if words.is_empty() { "no known core".to_owned() } else { format!("cores {}", words.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_is_pinned_to_a_core_it_may_use_and_to_no_other() {
        let first = allowed()[0];
        std::thread::spawn(move || {
            pin_current(first).expect("an allowed core");
            assert_eq!(allowed(), [first]);
            let error = pin_current(4_000).expect_err("no such core").to_string();
            assert!(error.contains("core 4000") && error.contains(&format!("cores {first}")), "{error}");
        })
        .join()
        .expect("thread");
        assert!(usable_count() >= 1);
    }

    #[test]
    fn cpu_lists_of_the_kernel_are_read_and_nonsense_is_none() {
        assert_eq!(cpu_list("0-2,5\n"), Some(vec![0, 1, 2, 5]));
        assert_eq!(cpu_list(""), Some(vec![]));
        assert_eq!(cpu_list("(null)"), None);
        assert_eq!(cpu_list("5-2"), None);
        assert_eq!(cpu_list("0-99999999999"), None);
    }

    #[test]
    fn cgroup_quota_counts_whole_cores_and_max_is_no_limit() {
        assert_eq!(quota_cores("max 100000\n"), None);
        assert_eq!(quota_cores("250000 100000"), Some(2));
        assert_eq!(quota_cores("50000 100000"), Some(1));
        assert_eq!(quota_cores("1 0"), None);
        assert_eq!(chosen("always [madvise] never").as_deref(), Some("madvise"));
    }
}
