//! Binance Spot around the pure exchange: who may ask what, how it is worded, what is told unasked.
//!
//! Thread: any, under the world's lock; no socket in here.  Invariants: an answer and the events it caused are queued in
//! the exchange's order; a fault changes what is told, not what was done, unless its name says so.

mod auth;
mod error;
mod events;
mod limits;
mod methods;
mod orders;
mod params;
mod public;
mod queries;
mod render;
mod rest;
mod streams;
mod ws_api;

use std::collections::BTreeSet;

pub(in crate::sim) use rest::RestAnswer;
pub(in crate::sim) use streams::{StreamSession, shutdown_notice};
pub(in crate::sim) use ws_api::{ApiSession, api_shutdown_notice};

use super::StartError;
use super::fault::Fault;
use super::handle::Snapshot;
use super::world::{HISTORY_KEPT_MAX, RECEIVED_KEPT_MAX, Received};
use crate::sim::exchange::{
    AccountEvent, AccountId, Amount, Exchange, ExchangeSettings, ExpiryReason, Interval, PublicTrade, SymbolSpec,
    SymbolStatus, TradesQuery,
};
use crate::sim::market::{Market, MarketSettings, SplitMix64};
use crate::sim::scenario::Scenario;
use crate::types::event::{Bbo, Trade};
use crate::types::instrument::Symbol;
use crate::types::time::NANOS_PER_MILLI;
use crate::types::{Price, Time};
use auth::KeyRing;
use error::ApiError;
use limits::Weight;
use methods::{Access, Act, Method};
use params::Params;
use public::Public;

/// Trades a snapshot shows.
const SNAPSHOT_TRADES_MAX: usize = 100_000;
/// Trades that a second venue of the same market sees.
const VIEW_TRADES: usize = 64;
/// Keep the random choices of one seed apart from each other.
const NOISE_SALT: u64 = 0x6e6f_6973;
const WOBBLE_SALT: u64 = 0x776f_6262;
/// Hours of history beside the scenario's own candles, all at its newest price: what SOL cost on the days before.
const HOURS: usize = 96;
/// Age at which the venue cuts a WebSocket.
const LIFETIME_NS: i64 = 86_400_000 * NANOS_PER_MILLI;

/// Faults that stand.
#[derive(Default)]
pub(in crate::sim) struct Switches {
    timeout_executed: u32,
    timeout_not_executed: u32,
    timeout_canceled: u32,
    unexpected_executed: u32,
    unavailable_executed: u32,
    swallow: u32,
    api_mute: bool,
    unavailable: u32,
    refuse_oco: u32,
    pub(in crate::sim) delay_ns: i64,
    pub(in crate::sim) events_first: bool,
    lifetime_ns: i64,
    pub(in crate::sim) muted: BTreeSet<String>,
}

/// The venue.
pub(in crate::sim) struct Venue {
    exchange: Exchange,
    market: Market,
    account: AccountId,
    symbol: Symbol,
    keys: KeyRing,
    weight: Weight,
    noise: SplitMix64,
    noise_ticks: i64,
    tick: Price,
    public: Public,
    pub(in crate::sim) switches: Switches,
    /// What the account was told, oldest first; the newest ones beyond the bound are not kept.
    pub(in crate::sim) history: Vec<AccountEvent>,
    pub(in crate::sim) received: Vec<Received>,
    pub(in crate::sim) received_count: usize,
}

impl Venue {
    pub(in crate::sim) fn new(scenario: &Scenario, now: Time) -> Result<Venue, StartError> {
        let spec = SymbolSpec::solusdt();
        let floor = |price: Price| Price((price.0 - price.0.rem_euclid(spec.tick.0)).max(spec.tick.0));
        let settings = ExchangeSettings {
            symbols: vec![SymbolSpec { start_price: floor(scenario.mid_at(0)), ..spec }, SymbolSpec::btcusdt()],
            fee_maker: scenario.fees.maker,
            fee_taker: scenario.fees.taker,
            ids_from: scenario.ids_from,
            ..ExchangeSettings::solusdt(now)
        };
        let mut exchange = Exchange::new(settings).map_err(|error| StartError::Symbol(error.to_string()))?;
        let account = exchange.open_account();
        for (asset, amount) in &scenario.balances {
            let known = Symbol::new(asset).is_some_and(|asset| exchange.deposit(account, asset, Amount(*amount), now));
            if !known && *amount != 0 {
                return Err(StartError::Symbol(format!(
                    "balance of `{asset}`: no such asset here; SOL, USDT and BTC are"
                )));
            }
        }
        let shape = &scenario.market;
        let market = Market::new(MarketSettings {
            symbol: spec.symbol,
            seed: scenario.seed,
            levels: u32::from(shape.levels),
            level_qty: shape.level_qty,
            spread_ticks_max: u32::from(shape.spread_ticks_max),
            taker_permille: u32::from(shape.taker_permille),
        });
        let mut venue = Venue {
            exchange,
            market,
            account,
            symbol: spec.symbol,
            keys: KeyRing::new(&scenario.keys),
            weight: Weight::default(),
            noise: SplitMix64(scenario.seed ^ NOISE_SALT),
            noise_ticks: i64::from(shape.noise_ticks),
            tick: spec.tick,
            public: Public::new(now),
            switches: Switches { lifetime_ns: LIFETIME_NS, ..Switches::default() },
            history: Vec::new(),
            received: Vec::new(),
            received_count: 0,
        };
        venue.fill_history(scenario, now);
        venue.step(now, Some(scenario.mid_at(0)));
        venue.exchange.take_account_events();
        Ok(venue)
    }

    fn fill_history(&mut self, scenario: &Scenario, now: Time) {
        let history = &scenario.history;
        let Some(interval) = Interval::ALL.iter().find(|interval| interval.nanos() == history.interval_ns) else {
            return;
        };
        let ticks = i64::from(history.wobble_ticks);
        let mut wobble = SplitMix64(scenario.seed ^ WOBBLE_SALT);
        let offsets: Vec<i64> = (0..history.candles).map(|_| wobble.below(2 * ticks + 1) - ticks).collect();
        let close = |index: usize| {
            let offset = offsets.get(index).copied().unwrap_or(0) * self.tick.0;
            Price(scenario.history_close(index as u32).0 + offset)
        };
        self.market.seed_history(&mut self.exchange, now, *interval, history.candles as usize, close);
        if *interval != Interval::H1 {
            let newest = scenario.history_close(history.candles.saturating_sub(1));
            self.market.seed_history(&mut self.exchange, now, Interval::H1, HOURS, |_| newest);
        }
    }

    /// One step of the market: to `target`, give or take the noise; `None` leaves it where the live feed put it.
    pub(in crate::sim) fn step(&mut self, now: Time, target: Option<Price>) {
        self.exchange.advance(now);
        if let Some(target) = target {
            let offset = self.noise.below(2 * self.noise_ticks + 1) - self.noise_ticks;
            self.market.step(&mut self.exchange, now, Price(target.0 + offset * self.tick.0));
        }
        self.tell(now);
    }

    /// To `mid` at once, without noise.
    pub(in crate::sim) fn jump(&mut self, mid: Price) {
        let now = self.exchange.now();
        self.market.step(&mut self.exchange, now, mid);
        self.tell(now);
    }
    pub(in crate::sim) fn follow(&mut self, bbo: Bbo) {
        let now = self.exchange.now();
        self.market.follow(&mut self.exchange, now, &bbo);
        self.tell(now);
    }
    pub(in crate::sim) fn follow_trade(&mut self, trade: Trade) {
        let now = self.exchange.now();
        self.market.follow_trade(&mut self.exchange, now, &trade);
        self.tell(now);
    }
    /// The exchange's time.
    pub(in crate::sim) fn now(&self) -> Time {
        self.exchange.now()
    }
    /// Whether the market is that of `symbol`.
    pub(in crate::sim) fn symbol_is(&self, symbol: Option<Symbol>) -> bool {
        symbol == Some(self.symbol)
    }
    pub(in crate::sim) fn deposit(&mut self, asset: &str, amount_e8: i64) {
        let now = self.exchange.now();
        let Some(asset) = Symbol::new(asset) else { return };
        if amount_e8 >= 0 {
            self.exchange.deposit(self.account, asset, Amount(amount_e8), now);
        } else {
            self.exchange.withdraw(self.account, asset, Amount(amount_e8.saturating_neg()), now);
        }
    }

    fn tell(&mut self, now: Time) {
        self.public.collect(&mut self.exchange, now);
    }
    /// Keeps little: words these streams only, finds that many ended orders only. For a world whose client needs no more.
    pub(in crate::sim) fn be_brief(&mut self, streams: &[String], ended: usize) {
        self.public.tell_only(streams);
        self.exchange.keep_ended(ended);
    }
    /// Stream payloads since the last call: stream name and JSON.
    pub(in crate::sim) fn take_public(&mut self, now: Time) -> Vec<(String, String)> {
        self.public.collect(&mut self.exchange, now);
        let muted = &self.switches.muted;
        self.public.take().into_iter().filter(|(name, _)| !muted.contains(name)).collect()
    }
    /// The account's events since the last call, as JSON.
    pub(in crate::sim) fn take_account_events(&mut self) -> Vec<String> {
        let events = self.exchange.take_account_events();
        let own = events.into_iter().filter(|(account, _)| *account == self.account).map(|(_, event)| event);
        let own: Vec<AccountEvent> = own.collect();
        let texts = own.iter().map(events::account_event).collect();
        let room = HISTORY_KEPT_MAX.saturating_sub(self.history.len());
        self.history.extend(own.into_iter().take(room));
        if self.switches.api_mute { Vec::new() } else { texts }
    }
    /// Top of book and the newest trades, oldest first: what a second venue of the same market goes by.
    pub(in crate::sim) fn market_view(&self) -> (Option<Bbo>, Vec<PublicTrade>) {
        (self.exchange.bbo(self.symbol), self.exchange.recent_trades(self.symbol, VIEW_TRADES))
    }
    /// Age at which a WebSocket is cut.
    pub(in crate::sim) fn lifetime_ns(&self) -> i64 {
        self.switches.lifetime_ns
    }

    pub(in crate::sim) fn apply(&mut self, fault: &Fault) {
        let now = self.exchange.now();
        let switches = &mut self.switches;
        match fault {
            Fault::MuteStream(name) => {
                switches.muted.insert(name.clone());
            }
            Fault::UnmuteStream(name) => {
                switches.muted.remove(name);
            }
            Fault::DropDepthDiffs(count) => self.public.drop_diffs(*count),
            Fault::TimeoutExecuted(count) => switches.timeout_executed = *count,
            Fault::TimeoutNotExecuted(count) => switches.timeout_not_executed = *count,
            Fault::UnexpectedExecuted(count) => switches.unexpected_executed = *count,
            Fault::UnavailableExecuted(count) => switches.unavailable_executed = *count,
            Fault::TimeoutCanceled(count) => switches.timeout_canceled = *count,
            Fault::OtherWeight(weight) => self.weight.used_by_others(*weight, now),
            Fault::BanMs(ms) => self.weight.ban(now.plus(i64::from(*ms) * NANOS_PER_MILLI)),
            Fault::MuteWsApi(mute) => switches.api_mute = *mute,
            Fault::SwallowAnswers(count) => switches.swallow = *count,
            Fault::Unavailable(count) => switches.unavailable = *count,
            Fault::DelayAnswersMs(ms) => switches.delay_ns = i64::from(*ms) * NANOS_PER_MILLI,
            Fault::RefuseOco(count) => switches.refuse_oco = *count,
            Fault::EventsFirst(first) => switches.events_first = *first,
            Fault::LifetimeMs(0) => switches.lifetime_ns = LIFETIME_NS,
            Fault::LifetimeMs(ms) => switches.lifetime_ns = i64::from(*ms) * NANOS_PER_MILLI,
            Fault::Halt => self.exchange.set_status(self.symbol, SymbolStatus::Halt, now),
            Fault::CancelOnly => self.exchange.set_status(self.symbol, SymbolStatus::CancelOnly, now),
            Fault::Trading => self.exchange.set_status(self.symbol, SymbolStatus::Trading, now),
            Fault::ExpireStops => {
                let stops_max = self.exchange.spec(self.symbol).map_or(0, |spec| spec.algo_orders_max);
                for _ in 0..stops_max {
                    self.exchange.expire_stop(self.account, self.symbol, ExpiryReason::ExchangeCanceled, now);
                }
            }
            _ => {} // concerns the connections or the feeds
        }
    }

    /// What the account looks like; the connections are filled in by the world.
    /// Middle of the book; the last price without one.
    pub(in crate::sim) fn mid(&self) -> Price {
        let last = || self.exchange.last_price(self.symbol).unwrap_or_default();
        self.exchange.bbo(self.symbol).map_or_else(last, |bbo| bbo.mid())
    }
    pub(in crate::sim) fn snapshot(&self) -> Snapshot {
        let bbo = self.exchange.bbo(self.symbol);
        let trades = TradesQuery::FromId(0);
        Snapshot {
            balances: self.exchange.account(self.account).balances,
            open_orders: self.exchange.open_orders(self.account, None).into_iter().cloned().collect(),
            open_lists: self.exchange.open_lists(self.account).into_iter().cloned().collect(),
            trades: self.exchange.my_trades(self.account, self.symbol, trades, SNAPSHOT_TRADES_MAX).unwrap_or_default(),
            bid: bbo.map_or(Price::ZERO, |bbo| bbo.bid),
            ask: bbo.map_or(Price::ZERO, |bbo| bbo.ask),
            last: self.exchange.last_price(self.symbol).unwrap_or_default(),
            received: self.received_count,
            ..Snapshot::default()
        }
    }
    /// Whether every unit of money is where it should be; else what is wrong.
    pub(in crate::sim) fn conserved(&self) -> Result<(), String> {
        self.exchange.conserved().map_err(|violation| violation.to_string())
    }

    /// Carries out one admitted call; `None` = the answer is swallowed.
    fn perform(&mut self, method: &'static Method, params: &Params, now: Time) -> Option<Result<String, ApiError>> {
        let weight = method.weight(params);
        let answer = self.weight.charge(weight, now).and_then(|()| self.perform_counted(method, params, now));
        if method.access != Access::Trade {
            return Some(answer);
        }
        if answer.is_ok() {
            self.weight.refund(weight);
        }
        let swallowed = self.switches.swallow > 0;
        self.switches.swallow = self.switches.swallow.saturating_sub(1);
        self.received_count += 1;
        if self.received.len() < RECEIVED_KEPT_MAX {
            let (status, code) = answer.as_ref().map_or_else(|error| (error.status, error.code), |_| (200, 0));
            let status = if swallowed { 0 } else { status };
            self.received.push(Received { at: now, method: method.name, params: params.signed_text(), status, code });
        }
        (!swallowed).then_some(answer)
    }

    fn perform_counted(&mut self, method: &Method, params: &Params, now: Time) -> Result<String, ApiError> {
        if method.access != Access::Open && self.switches.unavailable > 0 {
            self.switches.unavailable -= 1;
            return Err(ApiError::unavailable());
        }
        match method.act {
            Act::Ask => return self.call(method.name, params, now),
            Act::Cancel => {
                let answer = self.call(method.name, params, now);
                return if take_one(&mut self.switches.timeout_canceled) { Err(ApiError::timeout()) } else { answer };
            }
            Act::Place => {}
        }
        if take_one(&mut self.switches.timeout_not_executed) {
            return Err(ApiError::timeout());
        }
        let answer = self.call(method.name, params, now);
        if take_one(&mut self.switches.timeout_executed) {
            return Err(ApiError::timeout());
        }
        if take_one(&mut self.switches.unexpected_executed) {
            return Err(ApiError::unexpected());
        }
        if take_one(&mut self.switches.unavailable_executed) { Err(ApiError::unavailable()) } else { answer }
    }

    fn call(&mut self, name: &str, params: &Params, now: Time) -> Result<String, ApiError> {
        match name {
            "ping" => Ok("{}".to_owned()),
            "time" => Ok(format!("{{\"serverTime\":{}}}", now.millis().0)),
            "exchangeInfo" => self.exchange_info(params, now),
            "depth" => self.depth(params),
            "klines" | "uiKlines" => self.klines(params),
            "trades.recent" => self.recent_trades(params),
            "trades.aggregate" => self.aggregate_trades(params),
            "ticker.book" => self.book_ticker(params),
            "ticker.price" => self.price_ticker(params),
            "avgPrice" => self.average_price(params, now),
            "account.status" => self.account_status(params),
            "account.commission" => self.account_commission(params),
            "account.rateLimits.orders" => Ok(render::order_counts(&self.exchange.order_counts(self.account))),
            "order.status" => self.order_status(params),
            "openOrders.status" => self.open_orders(params),
            "allOrders" => self.all_orders(params),
            "orderList.status" => self.order_list(params),
            "openOrderLists.status" => Ok(self.open_lists()),
            "allOrderLists" => self.all_lists(params),
            "myTrades" => self.my_trades(params),
            "order.place" => self.place_order(params, now),
            "order.test" => self.test_order(params, now),
            "order.cancel" => self.cancel_order(params, now),
            "order.cancelReplace" => self.cancel_replace(params, now),
            "orderList.place.oco" => self.place_oco(params, now),
            "orderList.cancel" => self.cancel_list(params, now),
            "openOrders.cancelAll" => self.cancel_all(params, now),
            _ => Err(ApiError::new(-1020, "This operation is not supported.")),
        }
    }
}

/// Counts a switch down; false if it is off.
pub(in crate::sim::server) fn take_one(left: &mut u32) -> bool {
    let is_on = *left > 0;
    *left = left.saturating_sub(1);
    is_on
}
