//! Signals of the operating system as words to look at, and the one that pulls the kill switch by itself.
//!
//! Thread: any; the handlers only store to atomics, and the kill switch's wakes its threads.  Invariants: a signal
//! decides nothing here; whoever owns the loop reads the words and acts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

use super::kill::KillSwitch;

/// What the operator asked for so far. Clones see the same words.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    stop: Arc<AtomicBool>,
    reloads: Arc<AtomicUsize>,
    hangup: Arc<AtomicBool>,
}

impl Signals {
    /// Takes over SIGTERM, SIGINT (stop) and SIGHUP (reload). A second SIGINT or SIGTERM ends the process at once: the
    /// way out of a stop that hangs.
    pub fn install() -> std::io::Result<Signals> {
        let signals = Signals::default();
        for signal in [SIGTERM, SIGINT] {
            // Order matters: the first signal finds the flag down and only raises it.
            signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&signals.stop))?;
            signal_hook::flag::register(signal, Arc::clone(&signals.stop))?;
        }
        signal_hook::flag::register(SIGHUP, Arc::clone(&signals.hangup))?;
        Ok(signals)
    }

    /// SIGUSR1 pulls `switch` from now on; no thread has to look at anything.
    pub fn arm_kill(switch: Arc<KillSwitch>) -> std::io::Result<()> {
        let pull = move || _ = switch.pull();
        // SAFETY: `KillSwitch::pull` is async-signal-safe: atomic stores, `clock_gettime`, and `write` to an eventfd.
        unsafe { signal_hook::low_level::register(SIGUSR1, pull) }.map(drop)
    }

    /// True once a stop was asked for.
    pub fn stop_asked(&self) -> bool {
        self.stop.load(Ordering::Relaxed) // one word, nothing else is published with it
    }

    /// Reloads asked for so far; several in a row before a look count as one.
    pub fn reloads(&self) -> usize {
        if self.hangup.swap(false, Ordering::Relaxed) {
            return self.reloads.fetch_add(1, Ordering::Relaxed) + 1;
        }
        self.reloads.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_raise_the_stop_flag_and_count_reloads() {
        let signals = Signals::install().expect("handlers");
        assert!(!signals.stop_asked());
        assert_eq!(signals.reloads(), 0);
        signal_hook::low_level::raise(SIGHUP).expect("raise");
        assert_eq!(signals.reloads(), 1);
        assert_eq!(signals.reloads(), 1, "looking again counts nothing");
        signal_hook::low_level::raise(SIGTERM).expect("raise");
        assert!(signals.clone().stop_asked());
    }

    #[test]
    fn sigusr1_pulls_the_kill_switch_and_does_not_stop_the_process() {
        let switch = Arc::new(KillSwitch::new(crate::sys::clock::Clock::start()));
        Signals::arm_kill(Arc::clone(&switch)).expect("a handler");
        signal_hook::low_level::raise(SIGUSR1).expect("raise");
        assert_eq!(switch.pulls(), 1);
    }
}
