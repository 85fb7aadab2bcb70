//! A process starts, and dies.
//!
//! Thread: any.  Invariants: a start is the house's own: rules, recovery, a durable epoch, then the engine; a death
//! takes everything that was not on disk or on the wire.

use super::World;
use super::happen::Due;
use super::house::{House, HouseSettings};
use super::lines::Door;
use super::rest::{self, Desk, Halted};
use super::truth::{Violation, broken};
use crate::ledger::{Ledger, LedgerError, Market};
use crate::recovery::{self, Past, RecoveryError};
use crate::types::event::VolumeDefinition;
use crate::types::instrument::Symbol;
use crate::types::reconcile::RestingOrder;
use crate::types::setup::{PauseSet, RESTING_MAX, Setup};
use crate::types::time::{NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::{Instrument, Notional, Qty, Ratio, StreamId, Time};
use crate::venue::bands::DEPTH_SAMPLE_NS;
use crate::venue::binance_spot::budget::RateLimit;
use crate::venue::binance_spot::candles::Interval;
use crate::venue::binance_spot::market::{MarketSettings, StaleAfter};
use crate::venue::binance_spot::trade::{Bounds, TradeSettings};

/// A request without an answer for this long has an unknown outcome.
const REQUEST_TIMEOUT_NS: i64 = 3 * NANOS_PER_SEC;
/// Pause of the supervisor before it starts a process again, and how often that doubles.
const RESTART_NS: i64 = NANOS_PER_SEC;
const RESTARTS_DOUBLED: u32 = 5;
/// From open to the first data of a market connection.
pub(super) const FIRST_DATA_NS: i64 = 10 * NANOS_PER_SEC;

/// What the last gate allows one order: about what the house derives from ten thousand, with its defaults.
const BOUNDS: Bounds = Bounds {
    order_notional_max: Notional(20_000 * 100_000_000),
    order_qty_max: Qty(800 * 1_000_000_000),
    collar: Ratio(5_000_000),
    mid_age_ns_max: 10 * NANOS_PER_SEC,
    orders_per_s_max: 24,
};

/// The market of every world.
pub(super) fn market() -> Result<Market, Violation> {
    let symbol = Symbol::new("SOLUSDT").ok_or_else(|| broken("the world begins", "no such symbol"))?;
    Ok(Market { venue: "binance_spot", symbol })
}

impl World {
    /// The process starts; if the venue does not let it, the supervisor tries again.
    pub(super) fn start(&mut self) -> Result<(), Violation> {
        let Some(mut ledger) = self.ledger.take() else { return Ok(()) }; // another start is under way
        self.killed = false;
        let begun = self.begin(&mut ledger);
        if begun.is_err() {
            ledger.lose_pending();
        }
        self.ledger = Some(ledger);
        match begun {
            Ok(house) => {
                self.notes.push((self.now, "a start came to trade".to_owned()));
                self.house = Some(house);
                self.told.clear(); // a venue may repeat what a client heard, not what came before it
                (self.lives, self.starts_failed) = (self.lives + 1, 0);
                for door in Door::ALL {
                    self.queue.plan(self.now, Due::Dial(self.lives, door));
                }
                for due in [Due::KeepTime(self.lives), Due::Volume(self.lives)] {
                    self.queue.plan(self.now, due);
                }
                Ok(())
            }
            Err(Halted::Venue(why)) => {
                self.notes.push((self.now, format!("a start ended: {why}")));
                self.tally.count("start ended by the venue");
                let pause_ns = RESTART_NS << self.starts_failed.min(RESTARTS_DOUBLED);
                self.starts_failed += 1;
                let again = self.now.plus(pause_ns + self.chance.between(0, 500) * NANOS_PER_MILLI);
                self.queue.plan(again, Due::Start);
                Ok(())
            }
            Err(Halted::Rule(violation)) => Err(violation),
        }
    }

    fn begin(&mut self, ledger: &mut Ledger) -> Result<House, Halted> {
        let symbol = market().map_err(Halted::Rule)?.symbol;
        let mut desk = Desk { world: &mut *self, symbol, instrument: None };
        let (instrument, limits) = desk.rules()?;
        let now = desk.world.now;
        let past = recovery::look(&mut desk, ledger, now).map_err(|why| match why {
            RecoveryError::Venue(halted) => halted,
            RecoveryError::Restless => Halted::Venue("the account did not stand still".to_owned()),
            other => Halted::Rule(broken("a restart finds its way", other.to_string())),
        })?;
        for (kind, count) in
            [("recovery: fill booked", past.differences.len()), ("recovery: order resting", past.resting.len())]
        {
            self.tally.add(kind, count as u64);
        }
        let setup = self
            .setup(ledger, instrument, &past)
            .map_err(|why| Halted::Rule(broken("the ledger takes every row", why.to_string())))?;
        self.build(setup, limits, past.resting).map_err(Halted::Rule)
    }

    fn setup(&self, ledger: &mut Ledger, instrument: Instrument, past: &Past) -> Result<Setup, LedgerError> {
        let epoch = ledger.next_epoch(self.now)?;
        let mut resting = [None; RESTING_MAX];
        for (place, order) in resting.iter_mut().zip(&past.resting) {
            *place = Some(*order);
        }
        let paused: PauseSet = past.memory.pauses.iter().copied().collect();
        Ok(Setup {
            instrument,
            params: self.plan.params,
            definition: VolumeDefinition::UtcDay,
            rsi_period: 14,
            candle_s: 300,
            epoch,
            next_trade_no: past.memory.next_trade_no,
            consecutive_losses: past.memory.consecutive_losses,
            paused,
            cash: past.holdings.cash,
            base: past.holdings.base,
            position: past.position,
            trades_known_to: past.trades_known_to,
            resting,
            day_equity: ledger.first_equity_since(self.now.day_start())?,
            needed_ns: [0; StreamId::ALL.len()],
            last_entry: ledger.last_entry()?,
            risen: ledger.risen()?,
            now: self.now,
        })
    }

    fn build(&self, setup: Setup, limits: Vec<RateLimit>, resting: Vec<RestingOrder>) -> Result<House, Violation> {
        let (api_key, signer) = rest::signer(self.plan.logs_on)?;
        let trade = TradeSettings {
            instrument: setup.instrument,
            api_key,
            signer,
            recv_window_orders_ms: 2_000,
            recv_window_queries_ms: 5_000,
            request_timeout_ns: REQUEST_TIMEOUT_NS,
            stale_after_ns: 60 * NANOS_PER_SEC,
            bounds: BOUNDS,
            limits,
        };
        let candle = Interval::parse("5m").ok_or_else(|| broken("the world begins", "no such candle"))?;
        let stale_after = StaleAfter {
            bbo_ns: 5 * NANOS_PER_SEC,
            depth_ns: 5 * NANOS_PER_SEC,
            trade_ns: NANOS_PER_DAY,
            candle_ns: 30 * NANOS_PER_SEC,
        };
        let symbol = market()?.symbol;
        let market = MarketSettings {
            symbol,
            candle,
            candles_seed: 250,
            stale_after,
            depth_sample_ns: DEPTH_SAMPLE_NS,
            first_data_ns: FIRST_DATA_NS,
        };
        Ok(House::new(HouseSettings { setup, market, trade, offset_ns: self.skew_ns, resting }, self.now))
    }

    /// The process dies at once; what it wrote to sockets still arrives, what it did not flush is gone.
    pub(super) fn die(&mut self, down_ns: i64) {
        let Some(house) = self.house.take() else {
            self.killed |= self.ledger.is_none(); // in the middle of its start
            return;
        };
        self.tally.count("death");
        self.notes.push((self.now, "the process died".to_owned()));
        self.last_house = Some(house);
        self.wishes.clear();
        self.crash_after = None;
        if let Some(ledger) = &mut self.ledger {
            let lost = ledger.lose_pending();
            self.tally.add("ledger row lost in a crash", lost as u64);
        }
        let now = self.now;
        let ends: Vec<(u32, Time)> = self
            .lines
            .iter_mut()
            .filter(|(_, line)| line.near)
            .map(|(conn, line)| {
                line.near = false;
                (*conn, line.up(now, NANOS_PER_MILLI))
            })
            .collect();
        ends.into_iter().for_each(|(conn, at)| self.queue.plan(at, Due::FarEnd(conn)));
        self.timer_at = Time(i64::MAX);
        self.queue.plan(now.plus(down_ns), Due::Start);
    }
}
