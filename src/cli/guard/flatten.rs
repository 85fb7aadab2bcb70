//! `on_dead = "flatten"`: the guard takes the dead engine's place, cancels all of ours and sells the position.
//!
//! Thread: main; blocks.  Invariants: nothing is cancelled or sold before the engine's own lock on the data directory
//! is held, so no engine lives or starts meanwhile; never more is sold than the fills of our orders prove, and never
//! more than is free; a sale without an answer is asked about by name before the next one.

use super::Guard;
use super::act::Outcome;
use super::wire::WireError;
use crate::recovery::Witness;
use crate::sys::files::{self, DirLock};
use crate::sys::heartbeat::{Figures, Reading};
use crate::types::command::NewOrder;
use crate::types::ids::SIGNAL_MAX;
use crate::types::order::FeeAsset;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::{ClientOrderId, Leg, OrderKind, Price, Purpose, Qty, Side, TimeInForce};
use std::collections::BTreeMap;

/// How long a process may take to die and its lock to be free.
const FENCE_NS_MAX: i64 = 10 * NANOS_PER_SEC;
const FENCE_LOOK_NS: i64 = 10 * NANOS_PER_MILLI;
/// How long a new connection may take.
const RECONNECT_NS: i64 = 2 * NANOS_PER_SEC;
/// Sales, each of what is left then.
const ROUNDS_MAX: u16 = 6;
/// Looks for the end of a sale or of the cancels.
const LOOKS_MAX: u32 = 40;
const LOOK_NS: i64 = 250 * NANOS_PER_MILLI;
/// An order that the venue does not know is void once it cannot arrive any more.
const VOID_NS: i64 = 6 * NANOS_PER_SEC;
/// Orders behind the trades made while nobody listened, at most.
const ORDERS_MAX: usize = 64;
/// Venue code: too small to be sold.
const FILTER: i32 = -1013;

/// What one sale came to.
enum Sale {
    Over(Qty),
    TooSmall,
}

impl Guard<'_> {
    /// Takes the engine's place and sells.
    pub(super) fn flatten(&mut self, reading: &Reading) -> Outcome {
        let Some(figures) = reading.figures else {
            return Outcome::Failed("the page's figures cannot be read, so nothing was sold".to_owned());
        };
        let lock = match self.fence(reading) {
            Ok(Some(lock)) => lock,
            Ok(None) => return Outcome::EngineIsBack,
            Err(why) => return Outcome::Failed(why),
        };
        let ended = self.sell_out(&figures, reading.epoch);
        drop(lock);
        match ended {
            Ok((sold, left)) => Outcome::Done(format!("sold {sold}, {left} left; nothing of ours rests at the venue")),
            Err(why) => Outcome::Failed(why),
        }
    }

    /// Makes sure that no engine acts while we do: a frozen one is ended, its lock taken. `None` = a new one turns.
    fn fence(&mut self, reading: &Reading) -> Result<Option<DirLock>, String> {
        let engine = reading.process;
        engine.signal(libc::SIGKILL).map_err(|why| format!("process {} cannot be ended: {why}", engine.pid))?;
        let until = self.clock.now().plus(FENCE_NS_MAX);
        loop {
            match files::lock_dir(&self.config.storage.data_dir) {
                Ok(lock) => return Ok(Some(lock)),
                Err(why) if self.clock.now() >= until => return Err(format!("an engine is in the way: {why}")),
                Err(_) if self.is_back() => return Ok(None),
                Err(_) => self.pause(FENCE_LOOK_NS),
            }
        }
    }

    /// Sold and left, in coins.
    fn sell_out(&mut self, figures: &Figures, epoch: u32) -> Result<(Qty, Qty), String> {
        let rules = self.facts.instrument;
        let largest = if rules.market_qty_max > Qty::ZERO { rules.market_qty_max } else { rules.qty_max };
        let (mut sold, mut left, mut trouble) = (Qty::ZERO, Qty(i64::MAX), String::new());
        for round in 1..=ROUNDS_MAX {
            let (proven, free) = match self.unlock(figures) {
                Ok(found) => found,
                Err(why) => {
                    trouble = why;
                    self.wire.reconnect(RECONNECT_NS);
                    continue;
                }
            };
            left = left.min(proven); // the list of trades may lag behind a sale that just ended
            let qty = rules.qty_floor(left.min(free).min(largest));
            if qty < rules.qty_min || qty <= Qty::ZERO {
                return Ok((sold, left));
            }
            match self.sell(qty, epoch, round)? {
                Sale::Over(part) => (sold, left) = (Qty(sold.0 + part.0), Qty(left.0 - part.0)),
                Sale::TooSmall => return Ok((sold, left)),
            }
        }
        Err(format!("sold {sold} in {ROUNDS_MAX} rounds and there is more: look at the venue. {trouble}"))
    }

    /// Cancels all of ours, then looks: coins that our fills prove, and coins that are free.
    fn unlock(&mut self, figures: &Figures) -> Result<(Qty, Qty), String> {
        self.cancel_all()?;
        Ok((self.proven_position(figures)?, self.wire.free_coins().map_err(told)?))
    }

    /// Cancels every order of ours until none is shown.
    fn cancel_all(&mut self) -> Result<(), String> {
        for _ in 0..LOOKS_MAX {
            let orders = self.wire.open_orders().map_err(told)?;
            if orders.is_empty() {
                return Ok(());
            }
            for order in orders {
                let number = self.wire.begin_cancel(order.id).map_err(told)?; // a leg takes its list with it
                self.wire.canceled(number).map_err(told)?;
            }
        }
        Err("orders of ours rest at the venue however often they are cancelled".to_owned())
    }

    /// The position of the page and the fills of our orders since.
    pub(super) fn proven_position(&self, figures: &Figures) -> Result<Qty, String> {
        let mut account = self.desk.account(&self.facts.instrument);
        let from = figures.trades_known_to + 1;
        let trades = account.trades_from(from).map_err(|why| why.text)?;
        let mut is_ours: BTreeMap<i64, bool> = BTreeMap::new();
        let mut position = figures.position.0;
        for trade in trades.iter().filter(|trade| trade.trade_id >= from) {
            let ours = match is_ours.get(&trade.order_id) {
                Some(ours) => *ours,
                None if is_ours.len() >= ORDERS_MAX => return Err("too many orders traded meanwhile".to_owned()),
                None => {
                    let number = crate::types::VenueOrderId(trade.order_id);
                    let ours = account.order(number).map_err(|why| why.text)?.id.is_some();
                    is_ours.insert(trade.order_id, ours);
                    ours
                }
            };
            let fee = if trade.fee_asset == FeeAsset::Base { trade.fee } else { 0 };
            position += match (ours, trade.side) {
                (false, _) => 0,
                (true, Some(Side::Buy)) => trade.qty.0 - fee,
                (true, Some(Side::Sell)) => -trade.qty.0 - fee,
                (true, None) => return Err(format!("the venue does not say which way trade {} went", trade.trade_id)),
            };
        }
        Ok(Qty(position.max(0)))
    }

    /// Sells at the market and waits for the end of it.
    fn sell(&mut self, qty: Qty, epoch: u32, round: u16) -> Result<Sale, String> {
        let id = self.free_name(epoch, round)?;
        let order = NewOrder {
            id,
            side: Side::Sell,
            kind: OrderKind::Market,
            tif: TimeInForce::Ioc,
            price: Price::ZERO,
            qty,
            purpose: Purpose::Flatten,
        };
        match self.wire.place(&order) {
            Err(WireError::Refused { code: FILTER, .. }) => return Ok(Sale::TooSmall),
            Err(WireError::NotOpen) => return Err(told(WireError::NotOpen)), // no byte left
            Ok(()) | Err(_) => {}                                            // the question below knows
        }
        let sold = self.end_of(id)?;
        let line = self.voice.warn("GUARD_SOLD", "sold at the market").number("qty", sold);
        self.voice.say(&line.with("client_order_id", id.to_string()));
        Ok(Sale::Over(sold))
    }

    /// What the sale filled, once it is over.
    fn end_of(&mut self, id: ClientOrderId) -> Result<Qty, String> {
        let void_at = self.clock.now().plus(VOID_NS);
        for _ in 0..LOOKS_MAX {
            match self.wire.order(id) {
                Ok(Some(order)) if !order.is_live => return Ok(order.cum_qty),
                Ok(None) if self.clock.now() >= void_at => return Ok(Qty::ZERO), // it can never arrive any more
                Ok(_) => {}
                Err(why) => {
                    log::warn!("{why}");
                    self.wire.reconnect(RECONNECT_NS);
                }
            }
            self.pause(LOOK_NS);
        }
        Err(format!("sale {id} has no end: look at the venue"))
    }

    /// A name of the dead run that nobody used: the last signal number, which no engine reaches, is the guard's.
    fn free_name(&mut self, epoch: u32, from: u16) -> Result<ClientOrderId, String> {
        for attempt in from..from + 100 {
            let id = ClientOrderId { epoch, signal: SIGNAL_MAX, leg: Leg::Flatten, attempt };
            if self.wire.order(id).map_err(told)?.is_none() {
                return Ok(id);
            }
        }
        Err("no name is left for a sale".to_owned())
    }
}

#[allow(clippy::needless_pass_by_value)] // the shape that `map_err` wants
fn told(why: WireError) -> String {
    why.to_string()
}
