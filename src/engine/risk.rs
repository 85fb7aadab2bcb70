//! Risk: the only place that can approve an order. Any doubt, missing fact or sum that does not fit means no.
//!
//! Thread: any.  Invariants: an [`Approved`] exists only because a check here passed; an entry is measured at its
//! worst case: everything held, open or unknown bought at its limit, sold at the stop less the allowed slippage, with
//! the taker's fee both ways. A risk-reducing sell passes every pause but is never larger than the proven coins.

use crate::types::command::{NewOco, NewOrder};
use crate::types::decision::{Refused, RiskRule};
use crate::types::event::{Bbo, ClockOffset};
use crate::types::instrument::Instrument;
use crate::types::order::{OrderKind, Side, TimeInForce};
use crate::types::params::Params;
use crate::types::record::PauseReason;
use crate::types::setup::PauseSet;
use crate::types::units::{
    Bps, Notional, Price, QTY_SCALE, Qty, RATIO_SCALE, Ratio, mul_div_ceil, mul_div_floor, notional_ceil,
    notional_floor,
};

/// Passed every check. Only this file can make one; only `Orders` turns it into a command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Approved(NewOrder);

impl Approved {
    /// What was approved.
    pub(super) fn order(&self) -> NewOrder {
        self.0
    }
}

/// A pair of exits that passed every check.
#[derive(Clone, Copy, Debug)]
pub(super) struct ApprovedOco(NewOco);

impl ApprovedOco {
    /// What was approved.
    pub(super) fn oco(&self) -> NewOco {
        self.0
    }
}

/// All that an entry is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// Entries may not begin any more.
    pub stopping: bool,
    /// Why entries are paused.
    pub pauses: PauseSet,
    /// Top of book, if there is a sound one.
    pub bbo: Option<Bbo>,
    /// Age and limit of the first stream that is too old or not up, ns.
    pub stale: Option<(i64, i64)>,
    /// The venue's clock against ours.
    pub clock: Option<ClockOffset>,
    /// How far the Solana exchanges' mid is from the venue's; zero if none is known.
    pub divergence: Ratio,
    /// Mean slippage of the window; `None` = no fill in it.
    pub slippage: Option<Bps>,
    /// Orders whose state is not known.
    pub unknown: usize,
    /// Whether the order table takes the entry and its exits.
    pub has_room: bool,
    /// What we are worth.
    pub equity: Option<Notional>,
    /// Quote currency free for a new order.
    pub cash: Notional,
    /// Coins held and coins that open or unknown buys may still bring.
    pub coins: Qty,
    /// What all those cost at worst, fees included.
    pub cost: Notional,
}

/// The rules' numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    /// The venue's.
    pub instrument: &'a Instrument,
    /// The trader's.
    pub params: &'a Params,
}

/// The largest size the rules leave, and which one binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// On the lot grid; zero if nothing is left.
    pub qty: Qty,
    /// The rule that would be broken first.
    pub rule: RiskRule,
}

fn refuse(rule: RiskRule, tranche: u8, value: i64, limit: i64) -> Refused {
    Refused { rule, tranche, value, limit }
}

impl Rules<'_> {
    /// Price of the stop's worst allowed fill: the stop less the allowed slippage.
    fn stop_worst(&self) -> Option<Price> {
        let keep = Ratio(RATIO_SCALE.checked_sub(self.params.max_slippage.ratio().0)?);
        self.params.stop_loss.times_floor(keep)
    }
    /// Loss if `coins` that cost `cost` are sold at the stop's worst fill, fee included; negative = a profit.
    fn loss_at_stop(&self, coins: Qty, cost: Notional) -> Option<Notional> {
        let value = notional_floor(self.stop_worst()?, coins)?;
        let fee = value.times_ceil(self.instrument.fee_taker)?;
        cost.checked_sub(value)?.checked_add(fee)
    }
    /// Cost of buying `qty` at `price`, fee included.
    pub(super) fn cost(&self, price: Price, qty: Qty) -> Option<Notional> {
        let value = notional_ceil(price, qty)?;
        value.checked_add(value.times_ceil(self.instrument.fee_taker)?)
    }
    /// Highest price an entry may pay: the best ask and the allowed slippage, on the grid.
    pub(super) fn entry_limit(&self, bbo: Bbo) -> Option<Price> {
        let above = Ratio(RATIO_SCALE.checked_add(self.params.max_slippage.ratio().0)?);
        Some(self.instrument.price_floor(bbo.ask.times_floor(above)?))
    }

    /// Largest size at `limit` that trade risk, exposure, cash and the venue's bounds leave. `None` = not computable.
    pub(super) fn room(&self, facts: &Facts, limit: Price) -> Option<Room> {
        const ROUNDING: i64 = 8; // units of 1e-8 quote that the sums' roundings may take
        let equity = facts.equity?;
        let unit = self.cost(limit, Qty(QTY_SCALE))?; // cost of one coin
        let worst = self.stop_worst()?;
        let back = notional_floor(worst, Qty(QTY_SCALE))?;
        let unit_loss = unit.checked_sub(back)?.checked_add(back.times_ceil(self.instrument.fee_taker)?)?;
        let risk_left = equity
            .times_floor(self.params.max_trade_risk)?
            .checked_sub(self.loss_at_stop(facts.coins, facts.cost)?)?
            .checked_sub(Notional(ROUNDING))?;
        let by_risk = mul_div_floor(risk_left.0, QTY_SCALE, unit_loss.0)?;
        let by_exposure = mul_div_floor(equity.times_floor(self.params.max_exposure)?.0, QTY_SCALE, limit.0)?
            .checked_sub(facts.coins.0)?;
        let by_cash = mul_div_floor(facts.cash.0.checked_sub(ROUNDING)?, QTY_SCALE, unit.0)?;
        let by_venue = self.qty_max().0;
        let (qty, rule) = [
            (by_risk, RiskRule::TradeRisk),
            (by_exposure, RiskRule::Exposure),
            (by_cash, RiskRule::Balance),
            (by_venue, RiskRule::TooSmall),
        ]
        .into_iter()
        .min_by_key(|(qty, _)| *qty)?;
        let qty = if unit_loss.0 <= 0 { Qty::ZERO } else { self.instrument.qty_floor(Qty(qty.max(0))) };
        Some(Room { qty, rule })
    }
    /// Largest size that one order, and the market order that may have to sell it, can have.
    fn qty_max(&self) -> Qty {
        let market = self.instrument.market_qty_max;
        if market.0 > 0 { market.min(self.instrument.qty_max) } else { self.instrument.qty_max }
    }

    /// Judges an entry order against every rule. The error names the first rule broken, its value and its limit.
    pub(super) fn check(&self, new: NewOrder, tranche: u8, facts: &Facts) -> Result<Approved, Refused> {
        self.check_state(tranche, facts)?;
        self.check_market(&new, tranche, facts)?;
        self.check_money(&new, tranche, facts)?;
        assert!(new.side == Side::Buy, "entries buy");
        assert!(new.qty.0 > 0, "an approved order has a size");
        Ok(Approved(new))
    }
    /// Whether entries may happen at all, whatever the price.
    pub(super) fn check_state(&self, tranche: u8, facts: &Facts) -> Result<(), Refused> {
        let no = |rule, value, limit| Err(refuse(rule, tranche, value, limit));
        if facts.stopping {
            return no(RiskRule::Stopping, 1, 0);
        }
        if let Some(reason) = facts.pauses.iter().next() {
            let rule = match reason {
                PauseReason::DailyLoss => RiskRule::DailyLoss,
                PauseReason::Slippage => RiskRule::Slippage,
                _ => RiskRule::Paused,
            };
            return no(rule, reason as i64, 0);
        }
        if self.params.news_lock {
            return no(RiskRule::NewsLock, 1, 0);
        }
        if let Some((age, limit)) = facts.stale {
            return no(RiskRule::StaleFeed, age, limit);
        }
        let offset = facts.clock.map_or(i64::MAX, |clock| clock.offset_ns.saturating_abs());
        if offset > self.params.clock_offset_ns_max {
            return no(RiskRule::ClockOffset, offset, self.params.clock_offset_ns_max);
        }
        let apart = self.params.dex_divergence;
        if apart.0 > 0 && facts.divergence > apart {
            return no(RiskRule::DexDivergence, facts.divergence.0, apart.0);
        }
        if let Some(mean) = facts.slippage.filter(|mean| *mean > self.params.slippage_kill) {
            return no(RiskRule::Slippage, i64::from(mean.0), i64::from(self.params.slippage_kill.0));
        }
        if facts.unknown > 0 {
            return no(RiskRule::UnknownOrder, i64::try_from(facts.unknown).unwrap_or(i64::MAX), 0);
        }
        let slots = i64::from(self.instrument.algo_orders_max);
        if !self.instrument.oco_allowed || slots < 1 || !facts.has_room {
            return no(RiskRule::AlgoSlots, slots, 1);
        }
        Ok(())
    }
    fn check_market(&self, new: &NewOrder, tranche: u8, facts: &Facts) -> Result<(), Refused> {
        let no = |rule, value, limit| Err(refuse(rule, tranche, value, limit));
        let Some(bbo) = facts.bbo else { return no(RiskRule::StaleFeed, 0, 0) };
        let stop = self.params.stop_loss;
        if bbo.mid() <= stop || new.price <= stop {
            return no(RiskRule::GlobalStop, bbo.mid().min(new.price).0, stop.0);
        }
        // Twice the slippage from the mid: once for the limit above the ask, once for the spread itself.
        let slip = self.params.max_slippage.ratio().0;
        let collar = slip.checked_mul(2).and_then(|twice| RATIO_SCALE.checked_add(twice));
        let Some(top) = collar.and_then(|collar| bbo.mid().times_floor(Ratio(collar))) else {
            return no(RiskRule::Arithmetic, 0, 0);
        };
        if new.price > top || self.entry_limit(bbo).is_none_or(|limit| new.price > limit) {
            return no(RiskRule::PriceCollar, new.price.0, top.0);
        }
        if !self.instrument.accepts(new.price, new.qty) || self.instrument.is_dust(stop, new.qty) {
            return no(RiskRule::TooSmall, new.qty.0, self.instrument.qty_min.0);
        }
        Ok(())
    }
    fn check_money(&self, new: &NewOrder, tranche: u8, facts: &Facts) -> Result<(), Refused> {
        let limits = self.limits(new, facts).ok_or(refuse(RiskRule::Arithmetic, tranche, 0, 0))?;
        match limits.into_iter().find(|(_, value, limit)| value > limit) {
            Some((rule, value, limit)) => Err(refuse(rule, tranche, value.0, limit.0)),
            None => Ok(()),
        }
    }
    /// Each money rule with what it would be after the order, and what is allowed.
    fn limits(&self, new: &NewOrder, facts: &Facts) -> Option<[(RiskRule, Notional, Notional); 3]> {
        let equity = facts.equity?;
        let cost = self.cost(new.price, new.qty)?;
        let coins = facts.coins.checked_add(new.qty)?;
        let loss = self.loss_at_stop(coins, facts.cost.checked_add(cost)?)?;
        Some([
            (RiskRule::Balance, cost, facts.cash),
            (RiskRule::Exposure, notional_ceil(new.price, coins)?, equity.times_floor(self.params.max_exposure)?),
            (RiskRule::TradeRisk, loss, equity.times_floor(self.params.max_trade_risk)?),
        ])
    }

    /// Judges a sell that closes: `free` is what is proven and not spoken for by another live sell.
    pub(super) fn check_close(&self, new: NewOrder, free: Qty) -> Result<Approved, Refused> {
        let no = |rule, value: i64, limit: i64| Err(refuse(rule, 0, value, limit));
        if new.qty > free {
            return no(RiskRule::Balance, new.qty.0, free.0);
        }
        let on_grid = new.qty.0 > 0 && self.instrument.qty_floor(new.qty) == new.qty;
        let fits = match new.kind {
            OrderKind::Market => on_grid && new.qty >= self.instrument.qty_min && new.qty <= self.qty_max(),
            _ => self.instrument.accepts(new.price, new.qty),
        };
        if !fits {
            return no(RiskRule::TooSmall, new.qty.0, self.instrument.qty_min.0);
        }
        assert!(new.side == Side::Sell, "closes sell");
        assert!(new.tif != TimeInForce::Fok, "closes take what they can get");
        Ok(Approved(new))
    }
    /// Judges a pair of exits: `free` is what is proven and not spoken for by another live sell.
    pub(super) fn check_oco(&self, oco: NewOco, free: Qty) -> Result<ApprovedOco, Refused> {
        let no = |rule, value: i64, limit: i64| Err(refuse(rule, 0, value, limit));
        if oco.qty > free {
            return no(RiskRule::Balance, oco.qty.0, free.0);
        }
        if oco.tp_price <= oco.stop_price {
            return no(RiskRule::PriceCollar, oco.tp_price.0, oco.stop_price.0);
        }
        let lowest = if oco.stop_limit.0 > 0 { oco.stop_limit } else { oco.stop_price };
        if !self.instrument.accepts(oco.tp_price, oco.qty) || !self.instrument.accepts(lowest, oco.qty) {
            return no(RiskRule::TooSmall, oco.qty.0, self.instrument.qty_min.0);
        }
        assert!(oco.qty.0 > 0, "an approved pair has a size");
        assert!(lowest <= oco.stop_price, "a stop's limit is not above its trigger");
        Ok(ApprovedOco(oco))
    }
    /// A close's limit: the best bid less four times the allowed slippage, on the grid; `None` = sell at the market.
    pub(super) fn close_limit(&self, bbo: Bbo) -> Option<Price> {
        let slip = self.params.max_slippage.ratio().0.checked_mul(4)?;
        let keep = mul_div_ceil(bbo.bid.0, RATIO_SCALE.checked_sub(slip)?, RATIO_SCALE)?;
        Some(self.instrument.price_floor(Price(keep))).filter(|price| price.0 > 0)
    }
}
