//! Queues between two threads: single producer, single consumer, lock-free, all memory taken at start.
//!
//! Thread: one [`Sender`] and one [`Receiver`] each owned by one agent.
//! Invariants: a push never blocks and never allocates; what happens when a ring is full is the wiring table's word
//! ([`OnFull`]), carried out by the producer; a producer makes a system call only to wake a consumer that sleeps.

mod bell;
mod items;
mod latest;
mod tap;

pub use bell::Doorbell;
pub use items::{CommandItem, EventItem, HotNote, Stamps};
pub use latest::{LatestMid, LatestSlot};
pub use tap::{Tap, TapSpec, Tapped, TappedFrame, tap};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a producer does when its ring is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// Drop market data, and say `Gap` as soon as there is room: the engine must not trust what it missed.
    DropThenGap,
    /// Leave the bytes in the socket until there is room. Spinning would deadlock where both ends share a core.
    LeaveInSocket,
    /// Refuse new orders; a quarter of the ring stays free for cancels.
    RejectNewKeepCancelRoom,
    /// Drop and count: a figure is lost, no money.
    DropAndCount,
    /// Stop entering: the record of what happened would have a hole.
    HaltTrading,
    /// Tell the caller, who tries again.
    Refuse,
}

/// One line of the wiring table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSpec {
    /// Name in metrics.
    pub name: &'static str,
    /// Items it holds.
    pub depth: usize,
    /// When it is full.
    pub on_full: OnFull,
}

/// Depth and overflow of a ring, readable from any thread.
#[derive(Debug)]
pub struct Gauge {
    /// Which ring.
    pub spec: RingSpec,
    pushed: AtomicU64,
    popped: AtomicU64,
    full: AtomicU64,
}

impl Gauge {
    /// Items in the ring, give or take one in flight.
    pub fn depth(&self) -> u64 {
        let popped = self.popped.load(Ordering::Relaxed); // a figure for people: no ordering needed
        self.pushed.load(Ordering::Relaxed).saturating_sub(popped)
    }
    /// How often a push found the ring full.
    pub fn full_total(&self) -> u64 {
        self.full.load(Ordering::Relaxed)
    }
}

/// The writing end.
#[derive(Debug)]
pub struct Sender<T> {
    inner: rtrb::Producer<T>,
    bell: Option<Arc<Doorbell>>,
    gauge: Arc<Gauge>,
    pushed: u64,
}

/// The reading end.
#[derive(Debug)]
pub struct Receiver<T> {
    inner: rtrb::Consumer<T>,
    gauge: Arc<Gauge>,
    popped: u64,
}

/// Makes a ring. `bell` belongs to the consumer's thread; `None` where the consumer looks by itself often enough.
pub fn ring<T>(spec: RingSpec, bell: Option<Arc<Doorbell>>) -> (Sender<T>, Receiver<T>) {
    let (producer, consumer) = rtrb::RingBuffer::new(spec.depth);
    let zero = || AtomicU64::new(0);
    let gauge = Arc::new(Gauge { spec, pushed: zero(), popped: zero(), full: zero() });
    let sender = Sender { inner: producer, bell, gauge: Arc::clone(&gauge), pushed: 0 };
    (sender, Receiver { inner: consumer, gauge, popped: 0 })
}

impl<T> Sender<T> {
    /// Appends, and wakes the consumer if it sleeps. A full ring gives the value back and counts it.
    pub fn push(&mut self, value: T) -> Result<(), T> {
        match self.inner.push(value) {
            Ok(()) => {
                self.pushed += 1;
                self.gauge.pushed.store(self.pushed, Ordering::Relaxed);
                if let Some(bell) = &self.bell {
                    bell.ring_if_asleep();
                }
                Ok(())
            }
            Err(rtrb::PushError::Full(value)) => {
                self.gauge.full.fetch_add(1, Ordering::Relaxed);
                Err(value)
            }
        }
    }
    /// Free places, at least.
    pub fn room(&self) -> usize {
        self.inner.slots()
    }
    /// Places in all.
    pub fn depth(&self) -> usize {
        self.gauge.spec.depth
    }
    /// Depth and overflow.
    pub fn gauge(&self) -> Arc<Gauge> {
        Arc::clone(&self.gauge)
    }
}

impl<T> Receiver<T> {
    /// Takes the oldest item.
    pub fn pop(&mut self) -> Option<T> {
        let value = self.inner.pop().ok()?;
        self.popped += 1;
        self.gauge.popped.store(self.popped, Ordering::Relaxed);
        Some(value)
    }
    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }
    /// Depth and overflow.
    pub fn gauge(&self) -> Arc<Gauge> {
        Arc::clone(&self.gauge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: RingSpec = RingSpec { name: "test", depth: 2, on_full: OnFull::Refuse };

    #[test]
    fn items_come_out_in_order_and_a_full_ring_gives_the_value_back() {
        let (mut tx, mut rx) = ring(SPEC, None);
        assert_eq!(tx.push(1), Ok(()));
        assert_eq!(tx.push(2), Ok(()));
        assert_eq!(tx.push(3), Err(3));
        assert_eq!((tx.gauge().depth(), tx.gauge().full_total()), (2, 1));
        assert_eq!((rx.pop(), rx.pop(), rx.pop()), (Some(1), Some(2), None));
        assert_eq!(tx.gauge().depth(), 0);
    }

    #[test]
    fn no_item_and_no_wake_is_lost_between_two_threads() {
        const ITEMS: u64 = 50_000;
        let (rang_tx, rang_rx) = crossbeam_channel::bounded::<()>(1);
        let bell = Arc::new(Doorbell::new(move || _ = rang_tx.try_send(())));
        let (mut tx, mut rx) = ring(SPEC, Some(Arc::clone(&bell)));
        let writer = std::thread::spawn(move || {
            for item in 0..ITEMS {
                while tx.push(item).is_err() {
                    std::thread::yield_now();
                }
            }
        });
        let mut expected = 0;
        while expected < ITEMS {
            match rx.pop() {
                Some(item) => {
                    assert_eq!(item, expected);
                    expected += 1;
                }
                None if bell.may_sleep(|| rx.is_empty()) => {
                    let woken = rang_rx.recv_timeout(std::time::Duration::from_secs(20));
                    assert!(woken.is_ok(), "slept through item {expected}");
                    bell.awake();
                }
                None => {}
            }
        }
        assert!(writer.join().is_ok());
    }
}
