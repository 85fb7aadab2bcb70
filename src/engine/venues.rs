//! Every place where SOL has a price: the exchanges' tops, the Solana books, who is best, how far they lie apart.
//!
//! Thread: any.  Invariants: a quote is known only while its stream is up, and only since it last came up; one that is
//! crossed, locked or not positive is none. Dollars of all kinds (USD, USDT, USDC) count as equal here, so a loosened
//! peg shows as divergence.

use crate::types::event::{Bbo, DexBook, StreamState};
use crate::types::ids::StreamId;
use crate::types::time::Time;
use crate::types::units::{Price, Qty, RATIO_SCALE, Ratio, mul_div_ceil};

/// Exchanges, the traded one first.
const EXCHANGES: [StreamId; 2] = [StreamId::BinanceBbo, StreamId::KrakenBook];
/// Books on Solana.
const DEXES: [StreamId; 2] = [StreamId::DexBook, StreamId::Jupiter];

/// A price, its size, and who has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The price.
    pub price: Price,
    /// Size there.
    pub qty: Qty,
    /// Whose.
    pub stream: StreamId,
}

/// The best prices anywhere; either may be missing. Across venues a bid may well be above an ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Best {
    /// Highest bid.
    pub bid: Option<Offer>,
    /// Lowest ask.
    pub ask: Option<Offer>,
}

/// How far a Solana book lies from an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Of their mids; never negative.
    pub ratio: Ratio,
    /// The Solana book.
    pub dex: StreamId,
    /// The exchange.
    pub exchange: StreamId,
}

/// One venue's top, and when it was told.
#[derive(Clone, Copy, Debug)]
struct Top {
    bid: Price,
    bid_qty: Qty,
    ask: Price,
    ask_qty: Qty,
    at: Time,
}

impl Top {
    /// Middle of both sides; `None` without both.
    fn mid(&self) -> Option<Price> {
        (self.bid.0 > 0 && self.ask.0 > 0).then(|| Price::mid(self.bid, self.ask))
    }
}

/// What is known of one stream.
#[derive(Clone, Copy, Debug)]
struct Venue {
    stream: StreamId,
    is_up: bool,
    top: Option<Top>,
}

impl Venue {
    const fn new(stream: StreamId) -> Venue {
        Venue { stream, is_up: false, top: None }
    }

    /// A new top; one that cannot be leaves none. A Solana book may lack a side, an exchange may not.
    fn take(&mut self, top: Top, may_lack_side: bool) {
        let is_crossed = top.bid.0 > 0 && top.ask.0 > 0 && top.bid >= top.ask;
        let is_negative = top.bid.0 < 0 || top.ask.0 < 0;
        let is_lacking = top.mid().is_none() && !may_lack_side;
        self.top = (self.is_up && !is_crossed && !is_negative && !is_lacking).then_some(top);
    }
}

/// The newest top of every venue.
#[derive(Clone, Copy, Debug)]
pub struct Venues {
    exchanges: [Venue; EXCHANGES.len()],
    dexes: [Venue; DEXES.len()],
}

impl Default for Venues {
    fn default() -> Venues {
        Venues::new()
    }
}

impl Venues {
    /// Nothing known.
    pub fn new() -> Venues {
        Venues { exchanges: EXCHANGES.map(Venue::new), dexes: DEXES.map(Venue::new) }
    }

    /// A new top of an exchange, read at `recv`; other streams' are not for here.
    pub fn on_bbo(&mut self, stream: StreamId, bbo: &Bbo, recv: Time) {
        let top = Top { bid: bbo.bid, bid_qty: bbo.bid_qty, ask: bbo.ask, ask_qty: bbo.ask_qty, at: recv };
        self.exchanges.iter_mut().filter(|venue| venue.stream == stream).for_each(|venue| venue.take(top, false));
    }

    /// A new Solana book, read at `recv`.
    pub fn on_dex(&mut self, stream: StreamId, book: &DexBook, recv: Time) {
        let top = Top { bid: book.bid, bid_qty: book.bid_qty, ask: book.ask, ask_qty: book.ask_qty, at: recv };
        self.dexes.iter_mut().filter(|venue| venue.stream == stream).for_each(|venue| venue.take(top, true));
    }

    /// A stream's health: one that is not up says nothing, and what it said before is forgotten.
    pub fn on_stream(&mut self, stream: StreamId, state: StreamState) {
        for venue in self.exchanges.iter_mut().chain(&mut self.dexes).filter(|venue| venue.stream == stream) {
            venue.is_up = state == StreamState::Up;
            venue.top = venue.top.filter(|_| venue.is_up);
        }
    }

    /// The highest bid and the lowest ask of all streams that are up; of equal ones, the traded exchange's.
    pub fn best(&self) -> Best {
        let mut best = Best::default();
        for venue in self.exchanges.iter().chain(&self.dexes) {
            let Some(top) = venue.top else { continue };
            let bid = Offer { price: top.bid, qty: top.bid_qty, stream: venue.stream };
            let ask = Offer { price: top.ask, qty: top.ask_qty, stream: venue.stream };
            if bid.price.0 > 0 && best.bid.is_none_or(|known| bid.price > known.price) {
                best.bid = Some(bid);
            }
            if ask.price.0 > 0 && best.ask.is_none_or(|known| ask.price < known.price) {
                best.ask = Some(ask);
            }
        }
        best
    }

    /// The largest divergence of any Solana book from any exchange, both up and told within `max_age_ns`; `None` if
    /// there is no such pair. What no ratio can hold is the largest one.
    pub fn dex_divergence(&self, now: Time, max_age_ns: i64) -> Option<Divergence> {
        let fresh_mid = |venue: &Venue| venue.top.filter(|top| now.since(top.at) <= max_age_ns)?.mid();
        let mut largest: Option<Divergence> = None;
        for dex in &self.dexes {
            for exchange in &self.exchanges {
                let (Some(dex_mid), Some(mid)) = (fresh_mid(dex), fresh_mid(exchange)) else { continue };
                let ratio = divergence(dex_mid, mid).unwrap_or(Ratio(i64::MAX));
                if largest.is_none_or(|known| ratio > known.ratio) {
                    largest = Some(Divergence { ratio, dex: dex.stream, exchange: exchange.stream });
                }
            }
        }
        largest
    }
}

/// How far two mids lie apart: the larger over the smaller, less one, rounded up. The same whichever is which, and never
/// smaller than `|dex / cex - 1|`. `None` if one is not positive or it does not fit.
pub fn divergence(dex_mid: Price, cex_mid: Price) -> Option<Ratio> {
    let (small, large) = (dex_mid.min(cex_mid), dex_mid.max(cex_mid));
    if small.0 <= 0 {
        return None;
    }
    mul_div_ceil(large.0 - small.0, RATIO_SCALE, small.0).map(Ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE_MAX: i64 = 1_000;

    fn bbo(bid: i64, ask: i64) -> Bbo {
        Bbo { bid: Price(bid), bid_qty: Qty(1), ask: Price(ask), ask_qty: Qty(2), update_id: 1 }
    }

    fn book(bid: i64, ask: i64) -> DexBook {
        let (bid_depth, ask_depth) = (Qty(30), Qty(40));
        DexBook { slot: 9, bid: Price(bid), bid_qty: Qty(3), ask: Price(ask), ask_qty: Qty(4), bid_depth, ask_depth }
    }

    fn up(streams: &[StreamId]) -> Venues {
        let mut venues = Venues::new();
        streams.iter().for_each(|stream| venues.on_stream(*stream, StreamState::Up));
        venues
    }

    fn all_up() -> Venues {
        up(&[StreamId::BinanceBbo, StreamId::KrakenBook, StreamId::DexBook, StreamId::Jupiter])
    }

    fn ratio(venues: &Venues, now: i64) -> Option<i64> {
        venues.dex_divergence(Time(now), AGE_MAX).map(|found| found.ratio.0)
    }

    #[test]
    fn divergence_is_the_same_both_ways_rounded_up_and_never_understates() {
        let of = |a: i64, b: i64| divergence(Price(a), Price(b)).map(|ratio| ratio.0);
        assert_eq!((of(102, 100), of(100, 102)), (Some(2_000_000), Some(2_000_000)));
        assert_eq!((of(100, 100), of(4, 3)), (Some(0), Some(33_333_334)));
        assert_eq!((of(0, 100), of(100, 0), of(-1, 100), of(i64::MAX, 1)), (None, None, None, None));
        for (dex, cex) in [(90, 100), (99, 100), (101, 100), (110, 100), (1, 1_000)] {
            let plain = (i128::from(dex) * i128::from(RATIO_SCALE) / i128::from(cex) - i128::from(RATIO_SCALE)).abs();
            assert!(of(dex, cex).is_some_and(|ratio| i128::from(ratio) >= plain), "{dex} {cex}");
        }
    }

    #[test]
    fn the_best_prices_of_all_venues_say_whose_they_are() {
        let mut venues = all_up();
        venues.on_bbo(StreamId::BinanceBbo, &bbo(100, 103), Time(1));
        venues.on_bbo(StreamId::KrakenBook, &bbo(100, 102), Time(1));
        venues.on_dex(StreamId::DexBook, &book(99, 104), Time(1));
        venues.on_dex(StreamId::Jupiter, &book(101, 105), Time(1));
        let best = venues.best();
        assert_eq!(best.bid, Some(Offer { price: Price(101), qty: Qty(3), stream: StreamId::Jupiter }));
        assert_eq!(best.ask, Some(Offer { price: Price(102), qty: Qty(2), stream: StreamId::KrakenBook }));
        venues.on_stream(StreamId::Jupiter, StreamState::Stale);
        assert_eq!(venues.best().bid.map(|bid| bid.stream), Some(StreamId::BinanceBbo), "of equal ones the traded");
    }

    #[test]
    fn a_stream_that_is_not_up_says_nothing_until_it_speaks_anew() {
        for state in [StreamState::Stale, StreamState::Gap, StreamState::Down] {
            let mut venues = up(&[StreamId::BinanceBbo]);
            venues.on_bbo(StreamId::BinanceBbo, &bbo(100, 102), Time(1));
            venues.on_stream(StreamId::BinanceBbo, state);
            assert_eq!(venues.best(), Best::default());
            venues.on_stream(StreamId::BinanceBbo, StreamState::Up);
            assert_eq!(venues.best(), Best::default(), "what it said before {} is forgotten", state.name());
            venues.on_bbo(StreamId::BinanceBbo, &bbo(101, 103), Time(2));
            assert_eq!(venues.best().bid.map(|bid| bid.price), Some(Price(101)));
        }
        let mut silent = Venues::new();
        silent.on_bbo(StreamId::BinanceBbo, &bbo(100, 102), Time(1));
        assert_eq!(silent.best(), Best::default());
    }

    #[test]
    fn tops_that_cannot_be_leave_none_and_a_solana_book_may_lack_a_side() {
        let mut venues = all_up();
        for (bid, ask) in [(102, 100), (100, 100), (0, 100), (100, 0), (-1, 100)] {
            venues.on_bbo(StreamId::BinanceBbo, &bbo(100, 102), Time(1));
            venues.on_bbo(StreamId::BinanceBbo, &bbo(bid, ask), Time(1));
            assert_eq!(venues.best(), Best::default(), "{bid} {ask}");
        }
        venues.on_dex(StreamId::DexBook, &book(102, 100), Time(1));
        assert_eq!(venues.best(), Best::default());
        venues.on_dex(StreamId::DexBook, &book(0, 104), Time(1));
        assert_eq!((venues.best().bid, venues.best().ask.map(|ask| ask.price)), (None, Some(Price(104))));
        venues.on_bbo(StreamId::BinanceBbo, &bbo(100, 102), Time(1));
        assert_eq!(ratio(&venues, 2), None, "half a book has no mid");
    }

    #[test]
    fn divergence_takes_the_largest_of_all_fresh_pairs() {
        let mut venues = all_up();
        assert_eq!(ratio(&venues, 0), None);
        venues.on_dex(StreamId::DexBook, &book(1_009, 1_011), Time(10));
        assert_eq!(ratio(&venues, 10), None, "no exchange to compare with");
        venues.on_bbo(StreamId::BinanceBbo, &bbo(999, 1_001), Time(10));
        assert_eq!(ratio(&venues, 10), Some(1_000_000));
        venues.on_dex(StreamId::Jupiter, &book(979, 981), Time(500));
        let found = venues.dex_divergence(Time(500), AGE_MAX).expect("two books");
        assert_eq!(
            found,
            Divergence { ratio: Ratio(2_040_817), dex: StreamId::Jupiter, exchange: StreamId::BinanceBbo }
        );
        venues.on_bbo(StreamId::KrakenBook, &bbo(1_029, 1_031), Time(500));
        let found = venues.dex_divergence(Time(500), AGE_MAX).map(|found| (found.dex, found.exchange));
        assert_eq!(found, Some((StreamId::Jupiter, StreamId::KrakenBook)));
    }

    #[test]
    fn old_quotes_and_streams_that_are_not_up_do_not_diverge() {
        let mut venues = all_up();
        venues.on_bbo(StreamId::BinanceBbo, &bbo(999, 1_001), Time(900));
        venues.on_dex(StreamId::DexBook, &book(1_099, 1_101), Time(0));
        assert_eq!(ratio(&venues, AGE_MAX), Some(10_000_000), "just young enough");
        assert_eq!(ratio(&venues, AGE_MAX + 1), None);
        venues.on_dex(StreamId::DexBook, &book(1_099, 1_101), Time(1_500));
        assert_eq!(ratio(&venues, 1_500), Some(10_000_000));
        venues.on_stream(StreamId::DexBook, StreamState::Stale);
        assert_eq!(ratio(&venues, 1_500), None);
    }

    #[test]
    fn what_lies_too_far_apart_for_a_ratio_is_the_largest_one() {
        let mut venues = all_up();
        venues.on_bbo(StreamId::BinanceBbo, &bbo(1, 2), Time(1));
        venues.on_dex(StreamId::DexBook, &book(i64::MAX - 2, i64::MAX), Time(1));
        assert_eq!(ratio(&venues, 1), Some(i64::MAX));
    }
}
