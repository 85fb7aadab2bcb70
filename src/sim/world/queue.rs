//! What is to happen, by virtual time; of two things at one instant the one planned first.
//!
//! Thread: any.  Invariants: nothing is lost, nothing happens before its time, and equal plans give equal orders.

use crate::types::Time;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// The one event heap of a world.
#[derive(Debug)]
pub struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    planned: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Time,
    tie: u64,
    what: T,
}

impl<T> Queue<T> {
    /// Nothing planned.
    pub fn new() -> Queue<T> {
        Queue { heap: BinaryHeap::new(), planned: 0 }
    }
    /// Plans `what` for `at`.
    pub fn plan(&mut self, at: Time, what: T) {
        self.planned += 1;
        self.heap.push(Reverse(Entry { at, tie: self.planned, what }));
    }
    /// When the next thing happens.
    pub fn next_at(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }
    /// The next thing and its time.
    pub fn pop(&mut self) -> Option<(Time, T)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.what))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl<T> Eq for Entry<T> {}
impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.tie).cmp(&(other.at, other.tie))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_happen_in_time_and_those_of_one_instant_as_planned() {
        let mut queue = Queue::new();
        for (at, name) in [(5, "b"), (1, "a"), (5, "c"), (9, "d")] {
            queue.plan(Time(at), name);
        }
        assert_eq!(queue.next_at(), Some(Time(1)));
        let order: Vec<&str> = std::iter::from_fn(|| queue.pop()).map(|(_, name)| name).collect();
        assert_eq!(order, ["a", "b", "c", "d"]);
    }
}
