//! The adversary's truth: orders, order lists, coins, cash and trades of a venue that keeps its own rules and no promise.
//!
//! Thread: any.  Invariants: a pair locks its coins once; the first fill of a target ends its stop, a trigger ends the
//! target; a sale of more than the engine bought is a fault of the engine's, whatever else lies in the account.

use crate::day::{instrument, params, px, word};
use sol_volume_bot::types::command::{NewOco, NewOrder};
use sol_volume_bot::types::order::*;
use sol_volume_bot::types::reconcile::RestingOrder;
use sol_volume_bot::types::record::{FillRow, OrderStatus};
use sol_volume_bot::types::units::*;
use sol_volume_bot::types::{ClientOrderId, Leg, Time, VenueOrderId};

/// How much of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Nothing,
    Half,
    All,
}

#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub id: ClientOrderId,
    pub side: Side,
    pub kind: OrderKind,
    pub price: Price,
    pub stop_price: Price,
    pub qty: i64,
    pub filled: i64,
    pub status: OrderStatus,
    pub reason: Reason,
    pub number: i64,
    pub list: i64,
    /// Filled in part by the market once: the next fill takes the rest, so that paths end.
    pub parted: bool,
}

impl Held {
    pub fn is_live(&self) -> bool {
        !self.status.is_done()
    }
    pub fn leaves(&self) -> i64 {
        self.qty - self.filled
    }
    /// As a look at the open orders finds it.
    pub fn resting(&self) -> RestingOrder {
        RestingOrder {
            id: self.id,
            venue_order_id: VenueOrderId(self.number),
            list_id: self.list,
            side: self.side,
            kind: self.kind,
            qty: Qty(self.qty),
            cum_qty: Qty(self.filled),
            price: self.price,
            stop_price: self.stop_price,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Venue {
    pub orders: Vec<Held>,
    pub trades: Vec<FillRow>,
    /// Bought by the engine and not sold yet. What else lies in the account is never the engine's to sell.
    pub coins: i64,
    pub cash: i64,
    next: i64,
}

/// What each order that takes a price is filled at.
const ASK: &str = "161.01";
const BID: &str = "160.90";
const STOPPED_AT: &str = "154.95";

pub fn partner(id: ClientOrderId) -> Option<ClientOrderId> {
    match id.leg {
        Leg::TakeProfit(slot) => Some(ClientOrderId { leg: Leg::Stop(slot), ..id }),
        Leg::Stop(slot) => Some(ClientOrderId { leg: Leg::TakeProfit(slot), ..id }),
        _ => None,
    }
}

impl Venue {
    pub fn new(cash: Notional) -> Venue {
        Venue { orders: Vec::new(), trades: Vec::new(), coins: 0, cash: cash.0, next: 1_000 }
    }
    pub fn get(&self, id: ClientOrderId) -> Option<&Held> {
        self.orders.iter().find(|held| held.id == id)
    }
    fn get_mut(&mut self, id: ClientOrderId) -> Option<&mut Held> {
        self.orders.iter_mut().find(|held| held.id == id)
    }
    pub fn is_live(&self, id: ClientOrderId) -> bool {
        self.get(id).is_some_and(Held::is_live)
    }
    /// Coins that live sells could take; a pair counts once.
    pub fn selling(&self) -> i64 {
        let sells = self.orders.iter().filter(|held| held.is_live() && held.side == Side::Sell);
        let alone = |held: &&Held| {
            let counted_there =
                matches!(held.id.leg, Leg::Stop(_)) && partner(held.id).is_some_and(|id| self.is_live(id));
            !counted_there
        };
        sells.filter(alone).map(Held::leaves).sum()
    }
    /// Coins that live stops stand for.
    pub fn stopped(&self) -> i64 {
        let stops = self.orders.iter().filter(|held| held.is_live() && matches!(held.id.leg, Leg::Stop(_)));
        stops.map(Held::leaves).sum()
    }

    /// Takes an order; the report of it.
    pub fn accept(&mut self, new: &NewOrder, list: i64) -> ExecutionReport {
        self.next += 1;
        let held = Held {
            id: new.id,
            side: new.side,
            kind: new.kind,
            price: new.price,
            stop_price: if new.kind == OrderKind::StopLoss { params().stop_loss } else { Price::ZERO },
            qty: new.qty.0,
            filled: 0,
            status: OrderStatus::Working,
            reason: Reason::None,
            number: self.next,
            list,
            parted: false,
        };
        self.orders.push(held);
        say(&held, ExecKind::New)
    }
    /// Takes a pair; the reports of both legs.
    pub fn accept_oco(&mut self, oco: &NewOco) -> Vec<ExecutionReport> {
        self.next += 1;
        let list = self.next;
        let leg = |id, price, kind, purpose| NewOrder {
            id,
            side: Side::Sell,
            kind,
            tif: TimeInForce::Gtc,
            price,
            qty: oco.qty,
            purpose,
        };
        let stop = leg(oco.stop, oco.stop_limit, OrderKind::StopLoss, Purpose::Stop);
        let target = leg(oco.take_profit, oco.tp_price, OrderKind::LimitMaker, Purpose::Tp1);
        vec![self.accept(&stop, list), self.accept(&target, list)]
    }
    /// Fills a part of a live order: the report of it. `Err`: coins were sold that the engine never bought.
    pub fn fill(&mut self, id: ClientOrderId, part: Part) -> Result<Option<ExecutionReport>, String> {
        let lot = instrument().lot.0;
        let Some(held) = self.orders.iter_mut().find(|held| held.id == id && held.is_live()) else { return Ok(None) };
        let qty = match part {
            Part::Nothing => return Ok(None),
            Part::Half => (held.leaves() / 2 / lot * lot).max(lot).min(held.leaves()),
            Part::All => held.leaves(),
        };
        held.filled += qty;
        held.parted |= part == Part::Half;
        if held.leaves() == 0 {
            held.status = OrderStatus::Filled;
        }
        let (price, liquidity) = match id.leg {
            Leg::Entry(_) => (px(ASK), Liquidity::Taker),
            Leg::TakeProfit(_) => (held.price, Liquidity::Maker),
            Leg::Stop(_) => (px(STOPPED_AT), Liquidity::Taker),
            _ => (px(BID), Liquidity::Taker),
        };
        let fill = fill_of(held, Qty(qty), price, liquidity);
        self.next += 1;
        let report = ExecutionReport { trade_id: self.next, ..fill };
        self.settle(&report)
    }
    fn settle(&mut self, report: &ExecutionReport) -> Result<Option<ExecutionReport>, String> {
        let (qty, buys) = (report.last_qty.0, report.side == Side::Buy);
        self.coins += if buys { qty - report.fee } else { -qty };
        self.cash += if buys {
            -notional_ceil(report.last_px, report.last_qty).unwrap_or_default().0
        } else {
            notional_floor(report.last_px, report.last_qty).unwrap_or_default().0 - report.fee
        };
        self.trades.push(FillRow {
            id: report.id,
            trade_id: report.trade_id,
            side: report.side,
            liquidity: report.liquidity,
            fee_asset: report.fee_asset,
            price: report.last_px,
            qty: report.last_qty,
            fee: report.fee,
            venue_time: Time::NONE,
            recv: Time::NONE,
        });
        if self.coins < 0 {
            return Err(format!("{} sold {} more than the engine ever bought", report.id, Qty(-self.coins)));
        }
        Ok(Some(*report))
    }
    /// Ends a live order; the report of it.
    pub fn end(&mut self, id: ClientOrderId, status: OrderStatus, reason: Reason) -> Option<ExecutionReport> {
        let held = self.get_mut(id).filter(|held| held.is_live())?;
        (held.status, held.reason) = (status, reason);
        let kind = if status == OrderStatus::Canceled { ExecKind::Canceled } else { ExecKind::Expired };
        Some(ExecutionReport { reason, ..say(held, kind) })
    }
    /// What a question about an order is answered: how it stands, then its trades.
    pub fn tell(&self, id: ClientOrderId) -> Vec<ExecutionReport> {
        let Some(held) = self.get(id) else { return vec![word(id, ExecKind::NotFound)] };
        let kind = match held.status {
            OrderStatus::Canceled => ExecKind::Canceled,
            OrderStatus::Expired => ExecKind::Expired,
            _ => ExecKind::Status,
        };
        let mut told = vec![ExecutionReport { reason: held.reason, ..say(held, kind) }];
        let mut cum = 0;
        for trade in self.trades.iter().filter(|trade| trade.id == id) {
            cum += trade.qty.0;
            let fill = fill_of(&Held { filled: cum, ..*held }, trade.qty, trade.price, trade.liquidity);
            told.push(ExecutionReport { trade_id: trade.trade_id, ..fill });
        }
        told
    }
}

/// An order as it stands.
fn say(held: &Held, kind: ExecKind) -> ExecutionReport {
    ExecutionReport {
        venue_order_id: VenueOrderId(held.number),
        list_id: held.list,
        side: held.side,
        cum_qty: Qty(held.filled),
        leaves_qty: Qty(if held.is_live() { held.leaves() } else { 0 }),
        ..word(held.id, kind)
    }
}

/// A fill that brings an order to where `held` stands; bought coins pay their fee in coins.
fn fill_of(held: &Held, qty: Qty, price: Price, liquidity: Liquidity) -> ExecutionReport {
    let rate = instrument().fee_taker;
    let (fee_asset, fee) = match held.side {
        Side::Buy => (FeeAsset::Base, qty.times_ceil(rate).unwrap_or_default().0),
        Side::Sell => {
            let value = notional_floor(price, qty).unwrap_or_default();
            (FeeAsset::Quote, value.times_ceil(rate).unwrap_or_default().0)
        }
    };
    ExecutionReport {
        last_qty: qty,
        last_px: price,
        leaves_qty: Qty(held.leaves()),
        liquidity,
        fee_asset,
        fee,
        ..say(held, ExecKind::Fill)
    }
}
