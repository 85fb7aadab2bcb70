//! What we are worth: cash, equity, drawdown, the day's first equity, and the mean slippage of the last minutes.
//!
//! Thread: any.  Invariants: cash follows fills; the venue's word overwrites it only while no order of ours could
//! still move it. Bounded: the slippage window keeps its newest [`SLIPS_MAX`] fills.

use super::position::{Booked, Position, slippage};
use crate::types::event::Balance;
use crate::types::order::Side;
use crate::types::record::EquityRow;
use crate::types::time::Time;
use crate::types::units::{Bps, Notional, Price, Qty, Ratio};

/// Cash, free balances and the marks that drawdown and the daily limit are measured from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Money {
    cash: Notional,
    free: Option<Notional>,
    base: Qty,
    realized: Notional,
    high: Option<Notional>,
    day: i64,
    day_first: Option<Notional>,
    last_row: Option<EquityRow>,
}

impl Money {
    /// As the venue and the ledger say at start.
    pub(super) fn new(cash: Notional, base: Qty, day_equity: Option<Notional>, now: Time) -> Money {
        Money {
            cash,
            free: None,
            base,
            realized: Notional::ZERO,
            high: None,
            day: now.utc_day(),
            day_first: day_equity,
            last_row: None,
        }
    }
    /// Quote currency that a new order may use, before what our open buys may still take: the smaller of the venue's
    /// word and our own books.
    pub(super) fn free(&self) -> Notional {
        self.free.map_or(self.cash, |free| free.min(self.cash))
    }
    /// Base currency at the venue: its last word and the fills since.
    pub(super) fn base(&self) -> Qty {
        self.base
    }
    /// Quote currency by our own books, free and locked.
    pub(super) fn cash(&self) -> Notional {
        self.cash
    }
    /// The venue has another word on the cash, with nothing under way: it takes force.
    pub(super) fn correct_cash(&mut self, cash: Notional) {
        self.cash = cash;
    }
    /// A fill moved cash, coins and profit.
    pub(super) fn on_fill(&mut self, booked: &Booked) {
        let cash = booked.cash;
        self.cash = Notional(self.cash.0.saturating_add(cash.0));
        self.base = Qty(self.base.0.saturating_add(booked.coins.0).max(0));
        self.realized = Notional(self.realized.0.saturating_add(booked.realized.0));
        // The venue's free balance was told before this fill: what a sale brought is not counted until it says so.
        self.free = self.free.map(|free| Notional(free.0.saturating_add(cash.0.min(0))));
    }
    /// The venue's word. `at_rest`: no order of ours could still move the cash.
    pub(super) fn on_balance(&mut self, balance: Balance, at_rest: bool) {
        match balance {
            Balance::Base { free, locked } => self.base = Qty(free.0.saturating_add(locked.0)),
            Balance::Quote { free, locked } => {
                self.free = Some(free);
                if at_rest {
                    self.cash = Notional(free.0.saturating_add(locked.0));
                }
            }
        }
    }
    /// What we are worth at `mid`; without one only if no coins are held.
    pub(super) fn equity(&self, position: &Position, mid: Option<Price>) -> Option<Notional> {
        let coins = match mid {
            Some(mid) => position.unrealized(mid)?.checked_add(position.cost())?,
            None if position.qty().0 == 0 => Notional::ZERO,
            None => return None,
        };
        self.cash.checked_add(coins)
    }
    /// Marks to market: moves the high-water mark and the day's first equity. `None` without a mid while coins are held.
    pub(super) fn mark(&mut self, position: &Position, mid: Option<Price>, now: Time) -> Option<EquityRow> {
        let equity = self.equity(position, mid)?;
        if now.utc_day() != self.day {
            self.day = now.utc_day();
            self.day_first = None;
        }
        self.day_first.get_or_insert(equity);
        let high = self.high.map_or(equity, |high| high.max(equity));
        self.high = Some(high);
        assert!(high >= equity, "the high-water mark is not below the water");
        Some(self.row(position, mid, equity, high))
    }
    fn row(&self, position: &Position, mid: Option<Price>, equity: Notional, high: Notional) -> EquityRow {
        EquityRow {
            cash: self.cash,
            position: position.qty(),
            mid: mid.unwrap_or(Price::ZERO),
            equity,
            realized: self.realized,
            unrealized: mid.and_then(|mid| position.unrealized(mid)).unwrap_or(Notional::ZERO),
            drawdown: Notional(high.0.saturating_sub(equity.0)),
        }
    }
    /// As [`Money::mark`] would say, changing nothing.
    pub(super) fn look(&self, position: &Position, mid: Option<Price>) -> Option<EquityRow> {
        let equity = self.equity(position, mid)?;
        let high = self.high.map_or(equity, |high| high.max(equity));
        Some(self.row(position, mid, equity, high))
    }
    /// Whether this row says more than the last one told; a mid that moved no money is no news.
    pub(super) fn is_news(&mut self, row: EquityRow) -> bool {
        let money = |row: EquityRow| (row.cash, row.position, row.equity, row.realized);
        let changed = self.last_row.map(money) != Some(money(row));
        self.last_row = Some(row);
        changed
    }
    /// What the day has lost so far, and the share of its first equity that it may; `None` = off or not known yet.
    pub(super) fn day_loss(&self, equity: Notional, limit: Ratio) -> Option<(Notional, Notional)> {
        let first = self.day_first.filter(|_| limit.0 > 0)?;
        Some((first.checked_sub(equity)?, first.times_floor(limit)?))
    }
    /// The day's first equity; `None` = not known yet.
    pub(super) fn day_first(&self) -> Option<Notional> {
        self.day_first
    }
    /// Number of the UTC day that the marks belong to.
    pub(super) fn day(&self) -> i64 {
        self.day
    }
}

/// Fills kept in the slippage window; a flood of small fills narrows the window instead of growing it.
const SLIPS_MAX: usize = 256;

/// Slippage of the taking fills of the last minutes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slips {
    ring: [Option<(Time, Bps, Qty)>; SLIPS_MAX],
    next: usize,
}

impl Slips {
    /// None yet.
    pub(super) fn new() -> Slips {
        Slips { ring: [None; SLIPS_MAX], next: 0 }
    }
    /// A taking fill.
    pub(super) fn on_fill(&mut self, side: Side, px: Price, qty: Qty, arrival: Price, now: Time) {
        let Some(bps) = slippage(side, px, arrival) else { return };
        assert!(self.next < SLIPS_MAX, "the ring's hand stays inside");
        if let Some(slot) = self.ring.get_mut(self.next) {
            *slot = Some((now, bps, qty));
        }
        self.next = (self.next + 1) % SLIPS_MAX;
    }
    /// Mean over the window, weighted by size, rounded up; `None` = no fill in it.
    pub(super) fn mean(&self, now: Time, window_ns: i64) -> Option<Bps> {
        let fresh = self.ring.iter().flatten().filter(|(at, _, _)| now.since(*at) <= window_ns);
        let sum = fresh.fold((0_i128, 0_i128), |(value, size), (_, bps, qty)| {
            (value + i128::from(bps.0) * i128::from(qty.0), size + i128::from(qty.0))
        });
        let (value, size) = sum;
        if size <= 0 {
            return None;
        }
        let up = value.div_euclid(size) + i128::from(value.rem_euclid(size) != 0);
        i32::try_from(up).ok().map(Bps)
    }
    /// Forgets them: the operator has looked.
    pub(super) fn clear(&mut self) {
        self.ring = [None; SLIPS_MAX];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_slippage_weighs_by_size_and_forgets_what_is_older_than_the_window() {
        let mut slips = Slips::new();
        let px = |text: &str| Price::parse(text.as_bytes()).unwrap_or_default();
        assert_eq!(slips.mean(Time(0), 100), None);
        slips.on_fill(Side::Buy, px("101"), Qty(1), px("100"), Time(0)); // 100 bps
        slips.on_fill(Side::Buy, px("100"), Qty(3), px("100"), Time(50));
        assert_eq!(slips.mean(Time(100), 100), Some(Bps(2_500)));
        assert_eq!(slips.mean(Time(101), 100), Some(Bps(0)));
        assert_eq!(slips.mean(Time(151), 100), None);
    }
}
