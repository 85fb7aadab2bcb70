//! Wakes a thread that sleeps, and only then: a running one is never disturbed by a system call.
//!
//! Thread: any producer rings; the one consumer thread sleeps.
//! Invariants: either the consumer sees the item before it sleeps, or the producer sees that it sleeps (the two
//! `SeqCst` fences below are a pair: store-then-load on both sides).

use std::sync::atomic::{AtomicBool, Ordering, fence};

/// The bell of one sleeping thread.
pub struct Doorbell {
    asleep: AtomicBool,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Doorbell {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Doorbell").field("asleep", &self.asleep).finish_non_exhaustive()
    }
}

impl Doorbell {
    /// `wake` makes the thread's poller return.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Doorbell { asleep: AtomicBool::new(false), wake: Box::new(wake) }
    }
    /// Producer: after a push. One system call if the consumer sleeps, else none.
    pub fn ring_if_asleep(&self) {
        fence(Ordering::SeqCst); // pairs with the fence in `may_sleep`: our push before our look at `asleep`
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::AcqRel) {
            (self.wake)();
        }
    }
    /// Consumer: announces sleep, then looks once more. False = something came, stay awake.
    pub fn may_sleep(&self, all_empty: impl FnOnce() -> bool) -> bool {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst); // pairs with the fence in `ring_if_asleep`: our announcement before our last look
        let sleep = all_empty();
        if !sleep {
            self.awake();
        }
        sleep
    }
    /// Consumer: back from sleep.
    pub fn awake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }
}
