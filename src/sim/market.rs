//! The synthetic market: quotes around a target that move where they are told, takers that trade through, history.
//!
//! Thread: any.  Invariants: deterministic by seed; no clock: time and target come in; every price is on the symbol's
//! grid; after a step the last trade lies within the new best bid and ask, so a target that passes a stop triggers it.

use super::exchange::{Exchange, HouseQuote, Interval, Kline, SymbolSpec};
use crate::types::event::{Bbo, Trade};
use crate::types::instrument::Symbol;
use crate::types::order::Side;
use crate::types::time::Time;
use crate::types::units::{Notional, Price, QTY_SCALE, Qty, notional_floor};

/// How the synthetic market looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketSettings {
    /// Symbol it trades.
    pub symbol: Symbol,
    /// Seed of everything random.
    pub seed: u64,
    /// Price levels kept on each side, one tick apart.
    pub levels: u32,
    /// Mean size of a level.
    pub level_qty: Qty,
    /// Widest spread in ticks; the narrowest is one.
    pub spread_ticks_max: u32,
    /// Chance in 1000 that a step brings a random taker.
    pub taker_permille: u32,
}

impl MarketSettings {
    /// A liquid market: 20 levels of 40 coins, spread of one or two ticks, a taker in every third step.
    pub fn liquid(symbol: Symbol, seed: u64) -> MarketSettings {
        MarketSettings {
            symbol,
            seed,
            levels: 20,
            level_qty: Qty(40 * QTY_SCALE),
            spread_ticks_max: 2,
            taker_permille: 333,
        }
    }
}

/// Small, fast, seeded: good enough for sizes and sides, useless for secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
    /// A number from 0 to `end` - 1; 0 if `end` is not positive.
    pub fn below(&mut self, end: i64) -> i64 {
        if end <= 0 { 0 } else { (self.draw() % end as u64) as i64 }
    }
}

/// The synthetic market of one symbol. Its quotes live in the exchange; here is only what is random.
#[derive(Clone, Debug)]
pub struct Market {
    settings: MarketSettings,
    random: SplitMix64,
    spread_ticks: i64,
}

/// Best prices a step wants.
#[derive(Clone, Copy, Debug)]
struct Touch {
    bid: Price,
    ask: Price,
}

impl Market {
    /// A market that has not quoted yet.
    pub fn new(settings: MarketSettings) -> Market {
        Market { settings, random: SplitMix64(settings.seed), spread_ticks: 1 }
    }

    /// Moves quotes to `target_mid`: takers trade through what stands in the way (customers' orders too), quotes follow,
    /// sizes breathe, and a trade prints where the last one is out of date. Nothing happens while the symbol is halted.
    pub fn step(&mut self, exchange: &mut Exchange, now: Time, target_mid: Price) {
        let Some(spec) = exchange.spec(self.settings.symbol).copied() else { return };
        let touch = self.touch(&spec, target_mid);
        self.anchor(exchange, now, touch);
        self.sweep(exchange, now, touch);
        self.anchor(exchange, now, touch);
        self.requote(exchange, now, &spec, touch);
        self.breathe(exchange, now, &spec);
        self.random_taker(exchange, now, &spec);
        self.print_at_touch(exchange, now, &spec);
    }

    /// Mirrors a live top of book: best prices and sizes as given, synthetic levels behind them. Customers' orders that
    /// the live market has reached are traded at their own prices, up to the live size.
    pub fn follow(&mut self, exchange: &mut Exchange, now: Time, live: &Bbo) {
        let Some(spec) = exchange.spec(self.settings.symbol).copied() else { return };
        if live.bid.0 <= 0 || live.ask <= live.bid {
            return;
        }
        let touch = Touch { bid: live.bid, ask: live.ask };
        self.anchor(exchange, now, touch);
        self.drop_better(exchange, now, touch);
        self.anchor(exchange, now, touch);
        self.drop_far(exchange, now, &spec, touch);
        for (side, price, qty) in [(Side::Buy, live.bid, live.bid_qty), (Side::Sell, live.ask, live.ask_qty)] {
            self.size_level(exchange, now, side, price, Qty(qty.0 - qty.0.rem_euclid(spec.lot.0)));
        }
        self.requote(exchange, now, &spec, touch);
    }

    /// Repeats a live trade: it prints at its own price, and customers' orders at that price or better fill from it.
    pub fn follow_trade(&mut self, exchange: &mut Exchange, now: Time, live: &Trade) {
        let Some(spec) = exchange.spec(self.settings.symbol).copied() else { return };
        let qty = Qty(live.qty.0 - live.qty.0.rem_euclid(spec.lot.0)).min(spec.qty_max);
        if qty.0 <= 0 {
            return;
        }
        let (symbol, passive) =
            (self.settings.symbol, if live.aggressor == Side::Buy { Side::Sell } else { Side::Buy });
        let better = |quote: &HouseQuote| match passive {
            Side::Buy => quote.price > live.price,
            Side::Sell => quote.price < live.price,
        };
        for quote in exchange.house_quotes(symbol, passive).iter().filter(|quote| better(quote)) {
            exchange.house_cancel(quote.id, now);
        }
        let there = level_qty(exchange, symbol, passive, live.price);
        if there < qty {
            exchange.house_place(symbol, passive, live.price, Qty(qty.0 - there.0), now);
        }
        exchange.house_take(symbol, live.aggressor, live.price, qty, now);
    }

    /// Fills `count` closed candles of `interval` up to the one open at `now`; candle `i` closes at `path(i)`.
    pub fn seed_history(
        &mut self,
        exchange: &mut Exchange,
        now: Time,
        interval: Interval,
        count: usize,
        path: impl Fn(usize) -> Price,
    ) {
        exchange.advance(now);
        let Some(spec) = exchange.spec(self.settings.symbol).copied() else { return };
        let first_open = interval.open_of(now).plus(-(count as i64) * interval.nanos());
        let mut before = floor(&spec, path(0));
        let mut history = Vec::with_capacity(count);
        for index in 0..count {
            let close = floor(&spec, path(index));
            let open_time = first_open.plus(index as i64 * interval.nanos());
            history.push(self.candle(&spec, Kline::flat(interval, open_time, before), close));
            before = close;
        }
        exchange.seed_candles(self.settings.symbol, interval, &history);
    }

    fn candle(&mut self, spec: &SymbolSpec, flat: Kline, close: Price) -> Kline {
        let wick = |market: &mut Market| Price(market.random.below(4) * spec.tick.0);
        let high = Price(flat.open.max(close).0 + wick(self).0);
        let low = Price((flat.open.min(close).0 - wick(self).0).max(spec.tick.0));
        let volume = self.random_qty(spec);
        let taker_buy = Qty(volume.0 / 2 - (volume.0 / 2).rem_euclid(spec.lot.0));
        let quote = |qty| notional_floor(close, qty).unwrap_or(Notional::ZERO);
        Kline {
            high,
            low,
            close,
            volume,
            quote_volume: quote(volume),
            taker_buy,
            taker_buy_quote: quote(taker_buy),
            trades: 1 + self.random.below(500),
            ..flat
        }
    }

    /// Best bid and ask around a mid; now and then the spread changes.
    fn touch(&mut self, spec: &SymbolSpec, mid: Price) -> Touch {
        if self.random.below(8) == 0 {
            self.spread_ticks = 1 + self.random.below(i64::from(self.settings.spread_ticks_max));
        }
        let half = self.spread_ticks * spec.tick.0 / 2;
        let bid = floor(spec, Price(mid.0 - half)).max(spec.tick);
        Touch { bid, ask: Price(bid.0 + self.spread_ticks * spec.tick.0) }
    }

    /// Takers trade everything that the new quotes would cross, best price first.
    fn sweep(&mut self, exchange: &mut Exchange, now: Time, touch: Touch) {
        let symbol = self.settings.symbol;
        let Some(depth) = exchange.depth(symbol, usize::MAX) else { return };
        for (price, qty) in depth.asks.into_iter().filter(|(price, _)| *price <= touch.bid) {
            exchange.house_take(symbol, Side::Buy, price, qty, now);
        }
        for (price, qty) in depth.bids.into_iter().filter(|(price, _)| *price >= touch.ask) {
            exchange.house_take(symbol, Side::Sell, price, qty, now);
        }
    }

    /// Quotes the touch where nothing stands in the way: a book that jumps never tells a top with one side missing.
    fn anchor(&mut self, exchange: &mut Exchange, now: Time, touch: Touch) {
        let Some(spec) = exchange.spec(self.settings.symbol).copied() else { return };
        for (side, price) in [(Side::Buy, touch.bid), (Side::Sell, touch.ask)] {
            let Some(top) = exchange.bbo(spec.symbol) else { return };
            let crosses = match side {
                Side::Buy => top.ask.0 > 0 && price >= top.ask,
                Side::Sell => price <= top.bid,
            };
            if !crosses && level_qty(exchange, spec.symbol, side, price) == Qty::ZERO {
                let qty = self.random_qty(&spec);
                exchange.house_place(spec.symbol, side, price, qty, now);
            }
        }
    }

    /// Cancels house quotes better than the touch.
    fn drop_better(&mut self, exchange: &mut Exchange, now: Time, touch: Touch) {
        let symbol = self.settings.symbol;
        let bids = exchange.house_quotes(symbol, Side::Buy).into_iter().filter(|quote| quote.price > touch.bid);
        let asks = exchange.house_quotes(symbol, Side::Sell).into_iter().filter(|quote| quote.price < touch.ask);
        for quote in bids.chain(asks).collect::<Vec<HouseQuote>>() {
            exchange.house_cancel(quote.id, now);
        }
    }
    /// Cancels house quotes too far from the touch.
    fn drop_far(&mut self, exchange: &mut Exchange, now: Time, spec: &SymbolSpec, touch: Touch) {
        let symbol = self.settings.symbol;
        let depth = (i64::from(self.settings.levels) - 1) * spec.tick.0;
        let is_far_bid = |quote: &HouseQuote| quote.price.0 < touch.bid.0 - depth;
        let is_far_ask = |quote: &HouseQuote| quote.price.0 > touch.ask.0 + depth;
        let bids = exchange.house_quotes(symbol, Side::Buy).into_iter().filter(is_far_bid);
        let asks = exchange.house_quotes(symbol, Side::Sell).into_iter().filter(is_far_ask);
        for quote in bids.chain(asks).collect::<Vec<HouseQuote>>() {
            exchange.house_cancel(quote.id, now);
        }
    }

    /// Every level within reach of the touch gets a quote.
    fn requote(&mut self, exchange: &mut Exchange, now: Time, spec: &SymbolSpec, touch: Touch) {
        self.drop_better(exchange, now, touch);
        self.drop_far(exchange, now, spec, touch);
        let symbol = self.settings.symbol;
        for (side, best, step) in [(Side::Buy, touch.bid, -spec.tick.0), (Side::Sell, touch.ask, spec.tick.0)] {
            let quoted: std::collections::BTreeSet<Price> =
                exchange.house_quotes(symbol, side).iter().map(|quote| quote.price).collect();
            for level in 0..i64::from(self.settings.levels) {
                let price = Price(best.0 + level * step);
                if price.0 > 0 && !quoted.contains(&price) {
                    let qty = self.random_qty(spec);
                    exchange.house_place(symbol, side, price, qty, now);
                }
            }
        }
    }

    /// One random quote is replaced by one of another size.
    fn breathe(&mut self, exchange: &mut Exchange, now: Time, spec: &SymbolSpec) {
        let side = self.random_side();
        let quotes = exchange.house_quotes(self.settings.symbol, side);
        let Some(quote) = quotes.get(self.random.below(quotes.len() as i64) as usize) else { return };
        let qty = self.random_qty(spec);
        if exchange.house_cancel(quote.id, now) {
            exchange.house_place(self.settings.symbol, side, quote.price, qty, now);
        }
    }

    fn random_taker(&mut self, exchange: &mut Exchange, now: Time, spec: &SymbolSpec) {
        if self.random.below(1_000) < i64::from(self.settings.taker_permille) {
            let side = self.random_side();
            self.take_best(exchange, now, spec, side);
        }
    }

    /// A last price outside the spread is out of date: a small trade prints inside it.
    fn print_at_touch(&mut self, exchange: &mut Exchange, now: Time, spec: &SymbolSpec) {
        let symbol = self.settings.symbol;
        let (Some(bbo), Some(last)) = (exchange.bbo(symbol), exchange.last_price(symbol)) else { return };
        if last < bbo.bid {
            self.take_best(exchange, now, spec, Side::Buy);
        } else if last > bbo.ask && bbo.ask.0 > 0 {
            self.take_best(exchange, now, spec, Side::Sell);
        }
    }

    /// Takes a part of the best level.
    fn take_best(&mut self, exchange: &mut Exchange, now: Time, spec: &SymbolSpec, side: Side) {
        let Some(bbo) = exchange.bbo(self.settings.symbol) else { return };
        let (price, there) = if side == Side::Buy { (bbo.ask, bbo.ask_qty) } else { (bbo.bid, bbo.bid_qty) };
        let lots = 1 + self.random.below((there.0 / spec.lot.0 / 2).min(self.settings.level_qty.0 / spec.lot.0 / 4));
        exchange.house_take(self.settings.symbol, side, price, Qty(lots * spec.lot.0), now);
    }

    /// Brings the house's size at a price to `want`: the new quote before the old ones go, so that the level stays.
    fn size_level(&mut self, exchange: &mut Exchange, now: Time, side: Side, price: Price, want: Qty) {
        let symbol = self.settings.symbol;
        let have = level_qty(exchange, symbol, side, price);
        let old = exchange.house_quotes(symbol, side).into_iter().filter(|quote| have > want && quote.price == price);
        let old: Vec<HouseQuote> = old.collect();
        let missing = if have > want { want } else { Qty(want.0 - have.0) };
        exchange.house_place(symbol, side, price, missing, now);
        for quote in old {
            exchange.house_cancel(quote.id, now);
        }
    }

    fn random_side(&mut self) -> Side {
        if self.random.below(2) == 0 { Side::Buy } else { Side::Sell }
    }
    /// A size between one lot and twice the mean.
    fn random_qty(&mut self, spec: &SymbolSpec) -> Qty {
        let lots_mean = self.settings.level_qty.0 / spec.lot.0;
        Qty((1 + self.random.below(2 * lots_mean)) * spec.lot.0)
    }
}

/// Size the house shows at a price.
fn level_qty(exchange: &Exchange, symbol: Symbol, side: Side, price: Price) -> Qty {
    let quotes = exchange.house_quotes(symbol, side);
    Qty(quotes.iter().filter(|quote| quote.price == price).map(|quote| quote.qty.0).sum())
}

fn floor(spec: &SymbolSpec, price: Price) -> Price {
    Price(price.0 - price.0.rem_euclid(spec.tick.0))
}
