//! The runner: one thread, one or more agents, one idle strategy, and the only endless loop of the house.
//!
//! Runs on: its own thread, pinned if the wiring table names a core.  Owns: its agents and the poller they sleep in.
//! Never: does work of its own.

use crate::ring::Doorbell;
use crate::sys::clock::Clock;
use crate::sys::cores;
use crate::sys::poller::Poller;
use crate::types::Time;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How much a turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Items handled.
    pub count: u32,
}

impl Work {
    /// Nothing to do.
    pub const NONE: Work = Work { count: 0 };
    /// Both.
    pub fn and(self, other: Work) -> Work {
        Work { count: self.count + other.count }
    }
}

/// Something that does a bounded amount of work and never blocks.
pub trait Agent: Send {
    /// Does what there is to do now, within a bound.
    fn turn(&mut self, now: Time) -> Work;
    /// True if nothing waits in its rings: it may sleep.
    fn idle(&self) -> bool;
    /// When it wants to be called even if nothing happens.
    fn deadline(&self) -> Option<Time>;
    /// Last call before the thread ends: flush what must not be lost.
    fn finish(&mut self, now: Time);
}

/// What a runner does when no agent had work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleStrategy {
    /// Looks again at once: one core, least latency.
    Spin,
    /// Looks for `spin_ns`, then sleeps until a socket is readable, a bell rings or a deadline comes.
    Park {
        /// How long to look before sleeping.
        spin_ns: i64,
        /// Longest sleep; how late a ring without a bell may be looked at.
        sleep_ns_max: i64,
    },
}

/// What the wiring table says of one thread.
#[derive(Clone, Debug)]
pub struct RunnerSpec {
    /// Thread name.
    pub name: &'static str,
    /// Core to stay on.
    pub core: Option<usize>,
    /// When there is nothing to do.
    pub idle: IdleStrategy,
}

/// One thread in the making: first its bell and poller, so that agents can be built around them, then its life.
#[derive(Debug)]
pub struct Runner {
    spec: RunnerSpec,
    poller: Poller,
    bell: Arc<Doorbell>,
}

impl Runner {
    /// Opens the poller. Errors: the kernel's, when it is out of descriptors.
    pub fn new(spec: RunnerSpec) -> io::Result<Runner> {
        let poller = Poller::new()?;
        let waker = poller.waker();
        Ok(Runner { spec, poller, bell: Arc::new(Doorbell::new(move || waker.wake())) })
    }
    /// For the producers of its rings.
    pub fn bell(&self) -> Arc<Doorbell> {
        Arc::clone(&self.bell)
    }
    /// For the sockets of its agents.
    pub fn poller(&self) -> &Poller {
        &self.poller
    }
    /// Starts the thread; it ends when `stop` is set. Errors: the kernel's, when it cannot start a thread.
    pub fn spawn(self, agents: Vec<Box<dyn Agent>>, clock: Clock, stop: Arc<AtomicBool>) -> io::Result<JoinHandle<()>> {
        assert!(!agents.is_empty(), "a runner without agents would spin for nothing");
        std::thread::Builder::new().name(self.spec.name.to_owned()).spawn(move || self.live(agents, clock, &stop))
    }

    fn live(mut self, mut agents: Vec<Box<dyn Agent>>, clock: Clock, stop: &AtomicBool) {
        if let Some(core) = self.spec.core
            && let Err(why) = cores::pin_current(core)
        {
            log::warn!("thread {} runs unpinned: {why}", self.spec.name);
        }
        let mut busy_at = clock.now();
        while !stop.load(Ordering::Acquire) {
            // pairs with the Release of whoever stops the house: what it wrote before is seen by `finish`
            let now = clock.now();
            let work = agents.iter_mut().fold(Work::NONE, |done, agent| done.and(agent.turn(now)));
            if work != Work::NONE {
                busy_at = now;
            } else if self.idle(&agents, now, busy_at) {
                busy_at = clock.now();
            }
        }
        let now = clock.now();
        agents.iter_mut().for_each(|agent| agent.finish(now));
    }

    /// Idles once; true if it slept.
    fn idle(&mut self, agents: &[Box<dyn Agent>], now: Time, busy_at: Time) -> bool {
        let IdleStrategy::Park { spin_ns, sleep_ns_max } = self.spec.idle else {
            std::hint::spin_loop();
            return false;
        };
        if now.since(busy_at) < spin_ns || !self.bell.may_sleep(|| agents.iter().all(|agent| agent.idle())) {
            return false;
        }
        let deadline = agents.iter().filter_map(|agent| agent.deadline()).min();
        let longest = deadline.map_or(sleep_ns_max, |at| at.since(now).clamp(0, sleep_ns_max));
        self.poller.sleep(Duration::from_nanos(longest.unsigned_abs()));
        self.bell.awake();
        true
    }
}
