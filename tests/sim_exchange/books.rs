//! Market data: depth diffs against snapshots, candles, the synthetic market and the live one it can follow.
//!
//! Thread: the test's.  Invariants: a listener that applies diffs by the venue's rule must hold what a snapshot says.

use crate::desk::{Desk, START, money, px, sol, symbol};
use sol_volume_bot::sim::exchange::*;
use sol_volume_bot::sim::market::{Market, MarketSettings, SplitMix64};
use sol_volume_bot::types::event::{Bbo, Trade};
use sol_volume_bot::types::order::Side;
use sol_volume_bot::types::time::{Millis, Time};
use sol_volume_bot::types::units::{Price, Qty};
use std::collections::BTreeMap;

/// A client's book: snapshot once, then diffs by the venue's rule.
#[derive(Default)]
struct Listener {
    id: u64,
    bids: BTreeMap<Price, Qty>,
    asks: BTreeMap<Price, Qty>,
}

impl Listener {
    fn start(&mut self, snapshot: &DepthSnapshot) {
        self.id = snapshot.last_update_id;
        self.bids = snapshot.bids.iter().copied().collect();
        self.asks = snapshot.asks.iter().copied().collect();
    }
    fn apply(&mut self, diff: &DepthDiff) {
        if diff.last_id < self.id {
            return;
        }
        assert!(diff.first_id <= self.id + 1, "a gap between {} and {}", self.id, diff.first_id);
        for (side, changes) in [(&mut self.bids, &diff.bids), (&mut self.asks, &diff.asks)] {
            for (price, qty) in changes {
                if qty.0 == 0 {
                    side.remove(price)
                } else {
                    side.insert(*price, *qty)
                };
            }
        }
        self.id = diff.last_id;
    }
    fn holds(&self, snapshot: &DepthSnapshot) -> bool {
        let bids: Vec<(Price, Qty)> = self.bids.iter().rev().map(|(p, q)| (*p, *q)).collect();
        let asks: Vec<(Price, Qty)> = self.asks.iter().map(|(p, q)| (*p, *q)).collect();
        (bids, asks, self.id) == (snapshot.bids.clone(), snapshot.asks.clone(), snapshot.last_update_id)
    }
}

fn quiet_venue() -> (Exchange, Market) {
    let venue = Exchange::new(ExchangeSettings::solusdt(START)).expect("a sound spec");
    (venue, Market::new(MarketSettings::liquid(symbol("SOLUSDT"), 7)))
}

#[test]
fn diffs_after_a_snapshot_taken_at_any_time_rebuild_the_book() {
    let name = symbol("SOLUSDT");
    let (mut venue, mut market) = quiet_venue();
    let mut random = SplitMix64(11);
    let mut mid = px("161.00");
    let mut listeners: Vec<Listener> = Vec::new();
    let mut last_u = None;
    for step in 0..400 {
        mid.0 += (random.below(21) - 10) * 1_000_000;
        market.step(&mut venue, START.plus(Millis(step * 20).nanos()), mid);
        if step % 40 == 3 {
            // A snapshot between two diffs: the next diff starts before it.
            let mut late = Listener::default();
            late.start(&venue.depth(name, usize::MAX).expect("known symbol"));
            listeners.push(late);
        }
        if step % 5 == 0 {
            let Some(diff) = venue.take_depth_diff(name) else { continue };
            assert!(last_u.is_none_or(|last: u64| diff.first_id == last + 1), "U follows the u before");
            last_u = Some(diff.last_id);
            let snapshot = venue.depth(name, usize::MAX).expect("known symbol");
            for listener in &mut listeners {
                listener.apply(&diff);
                assert!(listener.holds(&snapshot), "step {step}");
            }
        }
    }
    assert_eq!(listeners.len(), 10);
    assert!(last_u.is_some_and(|u| u > 400_000_000 + 1_000), "the book moved");
}

#[test]
fn the_told_top_of_book_is_the_snapshots_top_at_its_update_number() {
    let name = symbol("SOLUSDT");
    let (mut venue, mut market) = quiet_venue();
    market.step(&mut venue, START, px("161.00"));
    let events = venue.take_market_events();
    let told = events.iter().rev().find_map(|event| match event {
        MarketEvent::Bbo { bbo, .. } => Some(*bbo),
        _ => None,
    });
    let told = told.expect("the first step tells a top");
    let top = venue.depth(name, 1).expect("known symbol");
    assert_eq!((top.bids[0], top.asks[0]), ((told.bid, told.bid_qty), (told.ask, told.ask_qty)));
    assert!(told.update_id <= top.last_update_id);
    assert!(told.ask.0 - told.bid.0 <= 2_000_000, "one or two ticks");
}

#[test]
fn no_top_of_book_is_told_with_one_side_missing_however_far_the_market_jumps() {
    let jumps = ["161.00", "169.00", "150.00", "150.01", "180.00"];
    let follow = |market: &mut Market, venue: &mut Exchange, mid: Price| {
        let qty = sol("3");
        let live = Bbo { bid: mid, bid_qty: qty, ask: Price(mid.0 + 1_000_000), ask_qty: qty, update_id: 1 };
        market.follow(venue, START, &live);
    };
    let step = |market: &mut Market, venue: &mut Exchange, mid: Price| market.step(venue, START, mid);
    type Step<'a> = &'a dyn Fn(&mut Market, &mut Exchange, Price);
    let moves: [Step<'_>; 2] = [&step, &follow];
    for to in moves {
        let (mut venue, mut market) = quiet_venue();
        market.step(&mut venue, START, px("161.00"));
        venue.take_market_events(); // the very first quotes come one by one
        for mid in jumps {
            to(&mut market, &mut venue, px(mid));
            for event in venue.take_market_events() {
                let MarketEvent::Bbo { bbo, .. } = event else { continue };
                assert!(bbo.bid.0 > 0 && bbo.ask > bbo.bid, "on the way to {mid}: {bbo:?}");
            }
        }
    }
}

#[test]
fn candles_add_up_their_trades_and_close_once() {
    let name = symbol("SOLUSDT");
    let (mut venue, mut market) = quiet_venue();
    let minute = Interval::M1;
    let open = minute.open_of(START);
    let mut trades: Vec<PublicTrade> = Vec::new();
    let mut closed: Vec<Kline> = Vec::new();
    for step in 0..1_200 {
        let mid = Price(16_100_000_000 + (step % 37) * 1_000_000);
        market.step(&mut venue, open.plus(Millis(60_000 + step * 100).nanos()), mid);
        for event in venue.take_market_events() {
            match event {
                MarketEvent::Trade(trade) => trades.push(trade),
                MarketEvent::CandleClosed { interval: Interval::M1, kline, .. } => closed.push(kline),
                _ => {}
            }
        }
    }
    assert!(trades.windows(2).all(|pair| pair[1].id == pair[0].id + 1), "trade ids have no hole");
    assert_eq!(closed.len(), 2, "the minute before the first trade, and the first full one");
    let full = closed[1];
    let inside: Vec<&PublicTrade> =
        trades.iter().filter(|trade| trade.at >= full.open_time && trade.at < full.end).collect();
    assert!(inside.len() > 100);
    assert_eq!((full.open, full.close), (inside[0].price, inside[inside.len() - 1].price));
    assert_eq!(Some(full.high), inside.iter().map(|trade| trade.price).max());
    assert_eq!(Some(full.low), inside.iter().map(|trade| trade.price).min());
    assert_eq!(full.volume.0, inside.iter().map(|trade| trade.qty.0).sum::<i64>());
    assert_eq!(full.trades, inside.len() as i64);
    let rows = venue.klines(name, minute, (None, None), 3);
    assert_eq!(rows[1], full);
    assert_eq!(rows[2].open_time, full.end, "the open one comes last");
}

#[test]
fn seeded_history_warms_up_without_a_hole_and_sets_the_last_price() {
    let name = symbol("SOLUSDT");
    let (mut venue, mut market) = quiet_venue();
    market.seed_history(&mut venue, START, Interval::M5, 500, |i| Price(17_000_000_000 - i as i64 * 1_000_000));
    let rows = venue.klines(name, Interval::M5, (None, None), 500);
    assert_eq!(rows.len(), 500);
    assert!(rows.windows(2).all(|pair| pair[1].open_time == pair[0].end && pair[1].open == pair[0].close));
    assert!(rows.iter().all(|row| row.low <= row.open.min(row.close) && row.high >= row.open.max(row.close)));
    assert_eq!(rows[498].close, px("165.01"), "the last closed one is path(499)");
    assert!(rows[499].open_time <= START && START < rows[499].end, "the newest is still open");
    assert_eq!(venue.last_price(name), Some(px("165.01")));
}

#[test]
fn the_same_seed_gives_the_same_market_and_another_seed_another() {
    let run = |seed: u64| {
        let mut venue = Exchange::new(ExchangeSettings::solusdt(START)).expect("a sound spec");
        let mut market = Market::new(MarketSettings::liquid(symbol("SOLUSDT"), seed));
        for step in 0..50 {
            market.step(&mut venue, START.plus(step), Price(16_100_000_000 + step * 3_000_000));
        }
        venue.take_market_events()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_target_that_passes_a_stop_triggers_it_and_one_that_passes_a_limit_fills_it() {
    for (target, filled, ended) in [("154.90", "sl", "tp"), ("165.10", "tp", "sl")] {
        let mut desk = Desk::new();
        let mut market = Market::new(MarketSettings::liquid(desk.sol, 3));
        market.step(&mut desk.venue, desk.now, px("161.00"));
        desk.oco(&desk.sell_oco("5", "165.00", "155.00", None)).expect("placed");
        for step in 1..=5 {
            let far = px(target).0 - 16_100_000_000;
            market.step(&mut desk.venue, desk.now.plus(step), Price(16_100_000_000 + far * step / 5));
            desk.check();
        }
        assert_eq!(desk.order(filled).status, OrderStatus::Filled);
        assert_eq!(desk.order(ended).expiry, Some(ExpiryReason::OcoTrigger));
        let (bbo, last) = (desk.venue.bbo(desk.sol).expect("quotes"), desk.venue.last_price(desk.sol));
        assert!(last.is_some_and(|last| last >= bbo.bid && last <= bbo.ask));
    }
}

#[test]
fn following_a_live_market_mirrors_its_top_and_fills_what_it_reaches() {
    let mut desk = Desk::new();
    let mut market = Market::new(MarketSettings::liquid(desk.sol, 3));
    let live = |bid: &str, ask: &str| Bbo {
        bid: px(bid),
        bid_qty: sol("3.21"),
        ask: px(ask),
        ask_qty: sol("4.5"),
        update_id: 1,
    };
    market.follow(&mut desk.venue, desk.now, &live("150.00", "150.01"));
    let top = desk.venue.depth(desk.sol, 1).expect("known symbol");
    assert_eq!((top.bids[0], top.asks[0]), ((px("150.00"), sol("3.21")), (px("150.01"), sol("4.5"))));
    let sell = OrderRequest { client_id: Some("sell".into()), ..desk.limit(Side::Sell, "150.05", "2") };
    desk.place(&sell).expect("rests");
    market.follow_trade(
        &mut desk.venue,
        desk.now,
        &Trade { price: px("150.04"), qty: sol("1"), aggressor: Side::Buy, trade_id: 9 },
    );
    assert_eq!(desk.venue.last_price(desk.sol), Some(px("150.04")), "the print has the live price");
    assert_eq!(desk.order("sell").cum_qty, sol("0"), "not reached yet");
    market.follow(&mut desk.venue, desk.now, &live("150.06", "150.07"));
    desk.check();
    let sold = desk.order("sell");
    assert_eq!((sold.status, sold.cum_quote.0), (OrderStatus::Filled, money("300.10").0), "at our own price");
}

#[test]
fn a_long_silence_leaves_candles_without_a_hole() {
    let name = symbol("SOLUSDT");
    let (mut venue, _) = quiet_venue();
    venue.advance(Time(START.0 + Millis(30 * 86_400_000).nanos()));
    for interval in Interval::ALL {
        let rows = venue.klines(name, *interval, (None, None), CANDLES_KEPT_MAX + 1);
        assert!(rows.windows(2).all(|pair| pair[1].open_time == pair[0].end), "{}", interval.name());
        let open = rows.last().expect("one is always open");
        assert!(open.open_time <= venue.now() && venue.now() < open.end, "{}", interval.name());
    }
}
