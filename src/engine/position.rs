//! The position and its money: proven fills in, coins, cost and profit out.
//!
//! Thread: any.  Invariants: coins come and go by fills alone; the coins held carry what they cost, quote fees
//! included, so realised plus unrealised profit is the change of cash plus coins; every rounding is against us.
//! A fee in a third asset is counted apart and not converted.

use super::OpenPosition;
use crate::types::ids::{Leg, VenueOrderId};
use crate::types::order::{ExecKind, ExecutionReport, FeeAsset, Purpose, Reason, Side};
use crate::types::record::{ExitReason, FillRow, TradeRow};
use crate::types::time::Time;
use crate::types::units::{
    Bps, Notional, Price, QTY_SCALE, Qty, mul_div_ceil, mul_div_floor, notional_ceil, notional_floor,
};

impl OpenPosition {
    /// What the fills of an unfinished round trip leave, in the order they happened. `dust`: coins and their cost that
    /// earlier round trips left. `None` if the fills sell more than they bought or a sum does not fit.
    pub fn of_fills(trade_no: u32, dust: (Qty, Notional), fills: &[FillRow]) -> Option<OpenPosition> {
        let mut position = Position::new(None, trade_no);
        (position.qty, position.cost) = dust;
        for fill in fills {
            let maker = Maker { purpose: purpose_of(fill.id.leg), arrival: Price::ZERO };
            if !position.book(&report_of(fill), maker, fill.recv).is_sound {
                return None;
            }
        }
        let trip = position.trip;
        Some(OpenPosition {
            trade_no,
            qty: position.qty,
            cost: position.cost,
            bought: trip.bought,
            bought_value: trip.bought_value,
            sold: trip.sold,
            sold_value: trip.sold_value,
            slot1_sold: trip.slot1_sold,
            fees: trip.fees,
            realized: trip.realized,
            opened: trip.opened,
            last: trip.last,
            last_exit: trip.last_exit,
        })
    }
}

/// What an order with this leg in its name is for.
pub(super) fn purpose_of(leg: Leg) -> Purpose {
    match leg {
        Leg::Entry(_) => Purpose::Entry,
        Leg::TakeProfit(1) => Purpose::Tp1,
        Leg::TakeProfit(_) => Purpose::Tp2,
        Leg::Stop(_) => Purpose::Stop,
        Leg::List(_) | Leg::Flatten | Leg::Request => Purpose::Flatten,
    }
}

/// The part of a report that the books look at.
fn report_of(fill: &FillRow) -> ExecutionReport {
    ExecutionReport {
        id: fill.id,
        venue_order_id: VenueOrderId(0),
        list_id: 0,
        kind: ExecKind::Fill,
        side: fill.side,
        liquidity: fill.liquidity,
        fee_asset: fill.fee_asset,
        reason: Reason::None,
        code: 0,
        last_qty: fill.qty,
        last_px: fill.price,
        cum_qty: Qty::ZERO,
        leaves_qty: Qty::ZERO,
        fee: fill.fee,
        trade_id: fill.trade_id,
    }
}

/// One round trip's sums.
#[derive(Clone, Copy, Debug, Default)]
struct Trip {
    bought: Qty,
    bought_value: Notional,
    sold: Qty,
    sold_value: Notional,
    slot1_sold: Qty,
    /// Taken by somebody else.
    lost: Qty,
    fees: Notional,
    realized: Notional,
    opened: Time,
    last: Time,
    last_exit: Option<Purpose>,
    /// Slippage of the entries times their size, and that size.
    slip_e2: i128,
    slip_qty: i128,
}

/// What one fill did to the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Booked {
    /// Change of the quote currency.
    pub cash: Notional,
    /// Change of the base currency.
    pub coins: Qty,
    /// Change of the realised profit.
    pub realized: Notional,
    /// False if it sold more than was held, or a sum did not fit: the books need a look.
    pub is_sound: bool,
}

/// The order behind a fill.
#[derive(Clone, Copy, Debug)]
pub(super) struct Maker {
    /// What it is for.
    pub purpose: Purpose,
    /// Mid when it was made; zero = not known.
    pub arrival: Price,
}

/// Coins held that the engine bought, and the running round trip.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    qty: Qty,
    cost: Notional,
    trip: Trip,
    trade_no: u32,
    other_fees: i64,
}

impl Position {
    /// Flat, or what an earlier run left.
    pub(super) fn new(open: Option<OpenPosition>, next_trade_no: u32) -> Position {
        let flat = Position {
            qty: Qty::ZERO,
            cost: Notional::ZERO,
            trip: Trip::default(),
            trade_no: next_trade_no,
            other_fees: 0,
        };
        let Some(open) = open else { return flat };
        assert!(open.qty.0 >= 0, "a spot position is not negative");
        let trip = Trip {
            bought: open.bought,
            bought_value: open.bought_value,
            sold: open.sold,
            sold_value: open.sold_value,
            slot1_sold: open.slot1_sold,
            fees: open.fees,
            realized: open.realized,
            opened: open.opened,
            last: open.last,
            last_exit: open.last_exit,
            ..Trip::default()
        };
        Position { qty: open.qty, cost: open.cost, trip, trade_no: open.trade_no, other_fees: 0 }
    }
    /// Coins held.
    pub(super) fn qty(&self) -> Qty {
        self.qty
    }
    /// What they cost, quote fees included.
    pub(super) fn cost(&self) -> Notional {
        self.cost
    }
    /// Number of the round trip.
    pub(super) fn trade_no(&self) -> u32 {
        self.trade_no
    }
    /// Sold in this round trip.
    pub(super) fn sold(&self) -> Qty {
        self.trip.sold
    }
    /// Bought in this round trip, before fees.
    pub(super) fn bought(&self) -> Qty {
        self.trip.bought
    }
    /// Sold in this round trip by exit slot 1, either leg.
    pub(super) fn slot1_sold(&self) -> Qty {
        self.trip.slot1_sold
    }
    /// First fill of this round trip; `None` = it has none yet.
    pub(super) fn opened(&self) -> Option<Time> {
        (self.trip.opened != Time::NONE).then_some(self.trip.opened)
    }
    /// Average price paid in this round trip, before fees; of coins that earlier ones left, what they cost.
    pub(super) fn entry_px(&self) -> Option<Price> {
        let paid = mul_div_ceil(self.trip.bought_value.0, QTY_SCALE, self.trip.bought.0);
        paid.or_else(|| mul_div_ceil(self.cost.0, QTY_SCALE, self.qty.0)).map(Price)
    }
    /// Coins of this round trip that somebody else took.
    pub(super) fn lost(&self) -> Qty {
        self.trip.lost
    }
    /// Which kind of exit filled last.
    pub(super) fn last_exit(&self) -> Option<Purpose> {
        self.trip.last_exit
    }
    /// Value of the coins at `mid` above what they cost.
    pub(super) fn unrealized(&self, mid: Price) -> Option<Notional> {
        notional_floor(mid, self.qty)?.checked_sub(self.cost)
    }

    /// Books one fill of an order made as `maker` says.
    pub(super) fn book(&mut self, fill: &ExecutionReport, maker: Maker, now: Time) -> Booked {
        if self.trip.opened == Time::NONE {
            self.trip.opened = now;
        }
        self.trip.last = now;
        let booked = match fill.side {
            Side::Buy => self.buy(fill, maker.arrival),
            Side::Sell => self.sell(fill, maker.purpose),
        };
        assert!(self.qty.0 >= 0, "a spot position is not negative");
        assert!(self.qty.0 > 0 || self.cost == Notional::ZERO, "no coins, no cost");
        let nothing = Booked { cash: Notional::ZERO, coins: Qty::ZERO, realized: Notional::ZERO, is_sound: false };
        booked.unwrap_or(nothing)
    }

    fn buy(&mut self, fill: &ExecutionReport, arrival: Price) -> Option<Booked> {
        let value = notional_ceil(fill.last_px, fill.last_qty)?;
        let (fee_base, fee_quote) = self.fees(fill)?;
        let paid = value.checked_add(fee_quote)?;
        self.qty = self.qty.checked_add(fill.last_qty)?.checked_sub(fee_base)?.max(Qty::ZERO);
        self.cost = if self.qty.0 > 0 { self.cost.checked_add(paid)? } else { Notional::ZERO };
        self.trip.bought = self.trip.bought.checked_add(fill.last_qty)?;
        self.trip.bought_value = self.trip.bought_value.checked_add(value)?;
        if let Some(slip) = slippage(fill.side, fill.last_px, arrival) {
            self.trip.slip_e2 += i128::from(slip.0) * i128::from(fill.last_qty.0);
            self.trip.slip_qty += i128::from(fill.last_qty.0);
        }
        let (cash, coins) = (Notional(paid.0.checked_neg()?), fill.last_qty.checked_sub(fee_base)?);
        Some(Booked { cash, coins, realized: Notional::ZERO, is_sound: true })
    }

    fn sell(&mut self, fill: &ExecutionReport, purpose: Purpose) -> Option<Booked> {
        let value = notional_floor(fill.last_px, fill.last_qty)?;
        let (fee_base, fee_quote) = self.fees(fill)?;
        let got = value.checked_sub(fee_quote)?;
        let gone = fill.last_qty.checked_add(fee_base)?;
        let is_sound = gone <= self.qty;
        let cost = if gone >= self.qty { self.cost } else { self.cost_of(gone)? };
        let realized = got.checked_sub(cost)?;
        self.qty = self.qty.checked_sub(gone)?.max(Qty::ZERO);
        self.cost = self.cost.checked_sub(cost)?;
        self.trip.sold = self.trip.sold.checked_add(fill.last_qty)?;
        self.trip.sold_value = self.trip.sold_value.checked_add(value)?;
        self.trip.realized = self.trip.realized.checked_add(realized)?;
        self.trip.last_exit = Some(purpose);
        if matches!(fill.id.leg, Leg::TakeProfit(1) | Leg::Stop(1)) {
            self.trip.slot1_sold = self.trip.slot1_sold.checked_add(fill.last_qty)?;
        }
        Some(Booked { cash: got, coins: Qty(gone.0.checked_neg()?), realized, is_sound })
    }
    /// Cost of a part of the coins held, rounded up.
    fn cost_of(&self, part: Qty) -> Option<Notional> {
        mul_div_ceil(self.cost.0, part.0, self.qty.0).map(|cost| Notional(cost.min(self.cost.0)))
    }
    /// The fee in coins and in quote; both are summed in quote, coins at the fill's price.
    fn fees(&mut self, fill: &ExecutionReport) -> Option<(Qty, Notional)> {
        let (base, quote) = match fill.fee_asset {
            FeeAsset::Base => (Qty(fill.fee), Notional::ZERO),
            FeeAsset::Quote => (Qty::ZERO, Notional(fill.fee)),
            FeeAsset::Other => {
                self.other_fees = self.other_fees.saturating_add(fill.fee);
                (Qty::ZERO, Notional::ZERO)
            }
            FeeAsset::None => (Qty::ZERO, Notional::ZERO),
        };
        let in_quote = notional_ceil(fill.last_px, base)?.checked_add(quote)?;
        self.trip.fees = self.trip.fees.checked_add(in_quote)?;
        Some((base, quote))
    }

    /// Coins that somebody else took: they leave at what they cost, without profit or loss.
    pub(super) fn write_off(&mut self, missing: Qty) {
        let gone = Qty(missing.0.clamp(0, self.qty.0));
        let cost = if gone >= self.qty { self.cost } else { self.cost_of(gone).unwrap_or(self.cost) };
        self.qty = Qty(self.qty.0 - gone.0);
        self.cost = Notional(self.cost.0 - cost.0);
        self.trip.lost = Qty(self.trip.lost.0.saturating_add(gone.0));
        assert!(self.qty.0 >= 0, "a spot position is not negative");
        assert!(self.qty.0 > 0 || self.cost == Notional::ZERO, "no coins, no cost");
    }

    /// Ends the round trip: its row, or `None` if nothing was sold or lost. Dust stays, with its cost, for the next one.
    pub(super) fn end_trip(&mut self, reason: ExitReason) -> Option<TradeRow> {
        let trip = self.trip;
        self.trip = Trip::default();
        if trip.sold.0 == 0 && trip.lost.0 == 0 {
            return None;
        }
        let slippage = i32::try_from(trip.slip_e2.checked_div(trip.slip_qty).unwrap_or(0)).unwrap_or(i32::MAX);
        let row = TradeRow {
            trade_no: self.trade_no,
            opened: trip.opened,
            closed: trip.last,
            qty: trip.bought,
            entry_px: mul_div_ceil(trip.bought_value.0, QTY_SCALE, trip.bought.0).map_or(Price::ZERO, Price),
            exit_px: mul_div_floor(trip.sold_value.0, QTY_SCALE, trip.sold.0).map_or(Price::ZERO, Price),
            fees: trip.fees,
            pnl: trip.realized,
            slippage: Bps(slippage),
            reason,
        };
        self.trade_no = self.trade_no.saturating_add(1);
        assert!(self.opened().is_none(), "a new round trip has no fill yet");
        Some(row)
    }
}

/// How much worse than the arrival mid a price is, in our disfavour positive; `None` where either is not known.
pub(super) fn slippage(side: Side, px: Price, arrival: Price) -> Option<Bps> {
    if arrival.0 <= 0 || px.0 <= 0 {
        return None;
    }
    let worse = match side {
        Side::Buy => px.checked_sub(arrival)?,
        Side::Sell => arrival.checked_sub(px)?,
    };
    i32::try_from(mul_div_ceil(worse.0, 1_000_000, arrival.0)?).ok().map(Bps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ids::ClientOrderId;
    use crate::types::order::Liquidity;

    fn fill(side: Side, px: &str, qty: &str, fee_asset: FeeAsset, fee: i64) -> ExecutionReport {
        ExecutionReport {
            id: ClientOrderId { epoch: 1, signal: 1, leg: Leg::Entry(1), attempt: 1 },
            venue_order_id: VenueOrderId(1),
            list_id: 0,
            kind: ExecKind::Fill,
            side,
            liquidity: Liquidity::Taker,
            fee_asset,
            reason: Reason::None,
            code: 0,
            last_qty: Qty::parse(qty.as_bytes()).unwrap_or_default(),
            last_px: Price::parse(px.as_bytes()).unwrap_or_default(),
            cum_qty: Qty::ZERO,
            leaves_qty: Qty::ZERO,
            fee,
            trade_id: 1,
        }
    }

    fn maker(purpose: Purpose) -> Maker {
        Maker { purpose, arrival: Price::ZERO }
    }

    #[test]
    fn a_buy_fee_in_coins_makes_the_position_smaller_and_the_profit_is_net_of_both_fees() {
        let mut position = Position::new(None, 7);
        let buy = fill(Side::Buy, "160", "1", FeeAsset::Base, 1_000_000); // 0.001 SOL
        let booked = position.book(&buy, maker(Purpose::Entry), Time(1));
        assert_eq!(booked.cash, Notional(-160_00000000));
        assert_eq!(position.qty(), Qty(999_000_000));
        let sell = fill(Side::Sell, "170", "0.999", FeeAsset::Quote, 16_983_000); // 0.16983 USDT
        let booked = position.book(&sell, maker(Purpose::Tp2), Time(2));
        assert_eq!(booked.realized, Notional(169_83000000 - 16_983_000 - 160_00000000));
        assert_eq!(position.qty(), Qty::ZERO);
        let row = position.end_trip(ExitReason::TakeProfit);
        assert_eq!(row.map(|row| (row.trade_no, row.pnl)), Some((7, booked.realized)));
        assert_eq!(row.map(|row| row.fees), Some(Notional(16_000_000 + 16_983_000)));
        assert_eq!(position.trade_no(), 8);
    }

    #[test]
    fn a_late_entry_after_the_stop_costs_what_it_cost_and_not_a_unit_is_made_or_lost_on_paper() {
        let mut position = Position::new(None, 1);
        let mut book = |side, px, qty, fee_asset, fee| {
            let booked = position.book(&fill(side, px, qty, fee_asset, fee), maker(Purpose::Entry), Time(1));
            assert!(booked.is_sound);
            (booked.cash.0, booked.realized.0)
        };
        let booked = [
            book(Side::Buy, "161.01", "41.325", FeeAsset::Base, 41_325_000),
            book(Side::Sell, "159.2", "41.283", FeeAsset::Quote, 657_225_360),
            book(Side::Buy, "154.5", "20.663", FeeAsset::Base, 20_663_000), // on its way when the price fell
            book(Side::Sell, "154.4", "20.643", FeeAsset::Quote, 318_727_920),
        ];
        let (cash, realized) = booked.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        assert_eq!(position.qty(), Qty(12_000)); // 41.325 - 0.041325 - 41.283 + 20.663 - 0.020663 - 20.643
        assert_eq!(realized, cash + position.cost().0);
        assert_eq!(position.cost(), Notional(185_585)); // at 154.65 a coin, the late entry's: not at 159
    }

    #[test]
    fn a_sale_of_more_than_was_held_is_told_and_leaves_no_negative_coins() {
        let mut position = Position::new(None, 1);
        position.book(&fill(Side::Buy, "160", "1", FeeAsset::None, 0), maker(Purpose::Entry), Time(1));
        let booked = position.book(&fill(Side::Sell, "150", "2", FeeAsset::None, 0), maker(Purpose::Stop), Time(2));
        assert!(!booked.is_sound);
        assert_eq!(position.qty(), Qty::ZERO);
    }

    #[test]
    fn slippage_is_positive_when_we_paid() {
        let at = |text: &str| Price::parse(text.as_bytes()).unwrap_or_default();
        assert_eq!(slippage(Side::Buy, at("100.2"), at("100")), Some(Bps(2_000)));
        assert_eq!(slippage(Side::Sell, at("99.8"), at("100")), Some(Bps(2_000)));
        assert_eq!(slippage(Side::Sell, at("100.2"), at("100")), Some(Bps(-2_000)));
        assert_eq!(slippage(Side::Buy, at("100.2"), Price::ZERO), None);
    }
}
