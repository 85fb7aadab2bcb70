//! The kill switch: one word that the operator's threads set and the gateway looks at before anything else.
//!
//! Thread: any; pulling it is safe inside a signal handler (atomics, the vDSO clock and one `write` to an eventfd).
//! Invariants: one way, nothing here lowers it again; every pull is carried out once; whoever pulls can read what became
//! of it. It goes to the gateway directly: no ring and no other agent's turn stands between it and the cancels.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, Ordering};

use super::clock::Clock;
use super::poller::Waker;
use crate::types::Time;
use crate::types::note::KillStep;

/// See the module.
#[derive(Debug)]
pub struct KillSwitch {
    clock: Clock,
    pulls: AtomicU32,
    pulled_at: AtomicI64,
    stopping: AtomicBool,
    step: AtomicU8,
    told_pulls: AtomicU32,
    told_at: AtomicI64,
    wakers: OnceLock<Vec<Waker>>,
}

impl KillSwitch {
    /// Not pulled. A pull before [`KillSwitch::wire`] is found by the gateway's first turn.
    pub fn new(clock: Clock) -> KillSwitch {
        KillSwitch {
            clock,
            pulls: AtomicU32::new(0),
            pulled_at: AtomicI64::new(0),
            stopping: AtomicBool::new(false),
            step: AtomicU8::new(KillStep::Pending as u8),
            told_pulls: AtomicU32::new(0),
            told_at: AtomicI64::new(0),
            wakers: OnceLock::new(),
        }
    }

    /// Names the threads to wake; only the first call counts.
    pub fn wire(&self, wakers: Vec<Waker>) {
        drop(self.wakers.set(wakers)); // a second house on one switch does not exist: the first one's threads stay
    }

    /// Cancels everything, sells what is proven, never enters again. Output: this pull's number.
    pub fn pull(&self) -> u32 {
        self.stopping.store(true, Ordering::Relaxed); // published with `pulls`
        self.pulled_at.store(self.clock.now().0, Ordering::Relaxed); // the same
        let pull = self.pulls.fetch_add(1, Ordering::Release).wrapping_add(1); // pairs with the Acquire in `pulls`
        for waker in self.wakers.get().into_iter().flatten() {
            waker.wake();
        }
        pull
    }

    /// The gateway lets no entry out any more; what rests at the venue stays.
    pub fn stop_entries(&self) {
        self.stopping.store(true, Ordering::Release); // pairs with the Acquire in `is_stopping`
    }

    /// Whether entries are over for good.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire) // pairs with the Release in `stop_entries`
    }

    /// How often it was pulled.
    #[inline]
    pub fn pulls(&self) -> u32 {
        self.pulls.load(Ordering::Acquire) // pairs with the Release in `pull`
    }

    /// When it was pulled last.
    pub fn pulled_at(&self) -> Time {
        Time(self.pulled_at.load(Ordering::Relaxed)) // read after `pulls`
    }

    /// The gateway's word on all pulls up to `pulls`.
    pub fn tell(&self, pulls: u32, step: KillStep, at: Time) {
        self.step.store(step as u8, Ordering::Relaxed); // published with `told_pulls`
        self.told_at.store(at.0, Ordering::Relaxed); // the same
        self.told_pulls.store(pulls, Ordering::Release); // pairs with the Acquire in `told`
    }

    /// What became of pull number `pull`, and when the gateway said so.
    pub fn told(&self, pull: u32) -> (KillStep, Time) {
        let told = self.told_pulls.load(Ordering::Acquire); // pairs with the Release in `tell`
        if told.wrapping_sub(pull) > u32::MAX / 2 {
            return (KillStep::Pending, Time::NONE);
        }
        let known = [KillStep::Written, KillStep::AwaitsConnection, KillStep::AwaitsBanEnd];
        let step = self.step.load(Ordering::Relaxed); // read after `told_pulls`
        let step = known.into_iter().find(|known| *known as u8 == step).unwrap_or(KillStep::Pending);
        (step, Time(self.told_at.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_is_known_by_its_number_and_its_fate_is_told_to_whoever_asks() {
        let switch = KillSwitch::new(Clock::start());
        assert!(!switch.is_stopping());
        let first = switch.pull();
        assert!(switch.is_stopping());
        assert_eq!((first, switch.pulls()), (1, 1));
        assert_eq!(switch.told(first).0, KillStep::Pending);
        switch.tell(first, KillStep::AwaitsConnection, Time(5));
        assert_eq!(switch.told(first), (KillStep::AwaitsConnection, Time(5)));
        let second = switch.pull();
        assert_eq!(switch.told(second).0, KillStep::Pending, "the first one's fate is not the second's");
        switch.tell(second, KillStep::Written, Time(9));
        assert_eq!(switch.told(first), (KillStep::Written, Time(9)));
        assert!(switch.is_stopping(), "one way");
    }

    #[test]
    fn a_stop_ends_entries_without_a_pull() {
        let switch = KillSwitch::new(Clock::start());
        switch.stop_entries();
        assert!(switch.is_stopping());
        assert_eq!(switch.pulls(), 0);
    }
}
