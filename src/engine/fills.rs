//! Trade numbers already booked: a fill told twice is booked once.
//!
//! Thread: any.  Invariants: bounded; the oldest number is forgotten first, long after the venue stopped repeating it.

/// Trade numbers kept. A round trip makes tens of fills; the venue repeats only what it told within one reconnect.
const KEPT: usize = 4_096;

/// The newest trade numbers booked.
#[derive(Clone, Debug)]
pub(super) struct TradeIds {
    ids: Vec<i64>,
    next: usize,
    known_to: i64,
}

impl TradeIds {
    /// None booked; numbers up to `known_to` count as booked before.
    pub(super) fn new(known_to: i64) -> TradeIds {
        TradeIds { ids: vec![0; KEPT], next: 0, known_to }
    }
    /// Notes a number. True if it is new: book it.
    pub(super) fn is_new(&mut self, trade_id: i64) -> bool {
        if trade_id <= 0 || trade_id <= self.known_to || self.ids.contains(&trade_id) {
            return false;
        }
        assert!(self.next < KEPT, "the ring's hand stays inside");
        if let Some(slot) = self.ids.get_mut(self.next) {
            *slot = trade_id;
        }
        self.next = (self.next + 1) % KEPT;
        assert!(self.ids.len() == KEPT, "the ring keeps its size");
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_new_once_and_none_from_before_the_run_is() {
        let mut ids = TradeIds::new(100);
        assert!(!ids.is_new(100));
        assert!(!ids.is_new(0));
        for id in 101..101 + 2 * KEPT as i64 {
            assert!(ids.is_new(id));
            assert!(!ids.is_new(id));
        }
    }
}
