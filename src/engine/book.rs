//! What the engine knows of the market: top of book, and when each stream last spoke.
//!
//! Thread: any.  Invariants: a top of book that is crossed, locked or not positive is never used for a price of ours.

use crate::types::event::{Bbo, ClockOffset, StreamState};
use crate::types::ids::StreamId;
use crate::types::time::{NANOS_PER_SEC, Time};
use crate::types::units::{Price, RATIO_SCALE, Ratio};

/// How long the last trade is believed while nobody tells of newer ones.
const LAST_NS_MAX: i64 = NANOS_PER_SEC;
/// Number of streams.
const STREAMS: usize = StreamId::ALL.len();

/// Top of book, stream health and ages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Book {
    bbo: Option<Bbo>,
    states: [StreamState; STREAMS],
    heard: [Time; STREAMS],
    volume_at: Time,
    clock: Option<ClockOffset>,
    last: Option<(Price, Time)>,
}

impl Book {
    /// Nothing known, every stream down.
    pub(super) fn new() -> Book {
        Book {
            bbo: None,
            states: [StreamState::Down; STREAMS],
            heard: [Time::NONE; STREAMS],
            volume_at: Time::NONE,
            clock: None,
            last: None,
        }
    }
    /// A new top of book; one that cannot be (crossed, locked, not positive) leaves none.
    pub(super) fn on_bbo(&mut self, bbo: Bbo, now: Time) {
        self.on_heard(StreamId::BinanceBbo, now);
        let sound = bbo.bid.0 > 0 && bbo.bid < bbo.ask;
        self.bbo = sound.then_some(bbo);
    }
    /// A trade at this price, anybody's or our own.
    pub(super) fn on_last(&mut self, price: Price, now: Time) {
        self.last = Some((price, now));
    }
    /// Price of the last trade; `None` once the stream that would tell of newer ones is not up.
    pub(super) fn last_px(&self, now: Time) -> Option<Price> {
        let is_told = self.state(StreamId::BinanceTrade) == StreamState::Up;
        self.last.filter(|(_, at)| is_told || now.since(*at) <= LAST_NS_MAX).map(|(price, _)| price)
    }
    /// The top of book, if there is a sound one.
    pub(super) fn bbo(&self) -> Option<Bbo> {
        self.bbo
    }
    /// Middle of the top of book.
    pub(super) fn mid(&self) -> Option<Price> {
        self.bbo.map(|bbo| bbo.mid())
    }
    /// The stream delivered something: whatever it was before, it is up.
    pub(super) fn on_heard(&mut self, stream: StreamId, now: Time) {
        self.on_told(stream, now);
        self.on_stream(stream, StreamState::Up);
    }
    /// The stream told how it stands, which may be badly.
    pub(super) fn on_told(&mut self, stream: StreamId, now: Time) {
        if let Some(heard) = self.heard.get_mut(stream as usize) {
            *heard = now;
        }
    }
    /// A sample of the volume definition that triggers.
    pub(super) fn on_volume(&mut self, now: Time) {
        self.volume_at = now;
    }
    /// The stream's health changed.
    pub(super) fn on_stream(&mut self, stream: StreamId, state: StreamState) {
        if let Some(slot) = self.states.get_mut(stream as usize) {
            *slot = state;
        }
    }
    /// The venue's clock against ours.
    pub(super) fn on_clock(&mut self, clock: ClockOffset) {
        self.clock = Some(clock);
    }
    /// The venue's clock against ours, if it was ever measured.
    pub(super) fn clock(&self) -> Option<ClockOffset> {
        self.clock
    }
    /// Health of a stream.
    pub(super) fn state(&self, stream: StreamId) -> StreamState {
        self.states.get(stream as usize).copied().unwrap_or(StreamState::Down)
    }
    /// Age of the newest word of a stream; `None` if it never spoke.
    pub(super) fn age_ns(&self, stream: StreamId, now: Time) -> Option<i64> {
        self.heard.get(stream as usize).filter(|at| **at != Time::NONE).map(|at| now.since(*at))
    }
    /// Age of the newest sample of the volume definition that triggers; `None` if there was none.
    pub(super) fn volume_age_ns(&self, now: Time) -> Option<i64> {
        (self.volume_at != Time::NONE).then(|| now.since(self.volume_at))
    }
}

/// Whether `now` lies further than `limit` from `then`, either way; exactly at the limit is not.
pub(super) fn moved_more_than(then: Price, now: Price, limit: Ratio) -> bool {
    let shift = (i128::from(now.0) - i128::from(then.0)).abs();
    shift * i128::from(RATIO_SCALE) > i128::from(limit.0) * i128::from(then.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::units::Qty;

    fn bbo(bid: i64, ask: i64) -> Bbo {
        Bbo { bid: Price(bid), bid_qty: Qty(1), ask: Price(ask), ask_qty: Qty(1), update_id: 1 }
    }

    #[test]
    fn a_crossed_or_locked_book_has_no_mid() {
        let mut book = Book::new();
        book.on_bbo(bbo(100, 102), Time(1));
        assert_eq!(book.mid(), Some(Price(101)));
        for (bid, ask) in [(102, 100), (100, 100), (0, 5), (-1, 5)] {
            book.on_bbo(bbo(bid, ask), Time(2));
            assert_eq!(book.mid(), None, "{bid} {ask}");
        }
    }

    #[test]
    fn a_shift_of_exactly_the_limit_is_not_beyond_it() {
        let limit = Ratio(100_000); // 0.1 %
        assert!(!moved_more_than(Price(1_000_000), Price(1_001_000), limit));
        assert!(!moved_more_than(Price(1_000_000), Price(999_000), limit));
        assert!(moved_more_than(Price(1_000_000), Price(1_001_001), limit));
        assert!(moved_more_than(Price(1_000_000), Price(998_999), limit));
    }
}
