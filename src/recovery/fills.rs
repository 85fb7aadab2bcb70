//! Fills that nobody heard: found in the venue's list of trades, booked under the name of their order.
//!
//! Thread: as `recovery`.  Invariants: a trade is booked once, by its number; one whose order the venue does not call
//! ours is not ours; money is booked before anything is concluded from it.

use super::{RecoveryError, Witness};
use crate::ledger::{Ledger, Memory, Row};
use crate::types::order::{Purpose, Reason};
use crate::types::reconcile::{Difference, DifferenceKind, ReconcileTrigger};
use crate::types::record::{FillRow, OrderRow, OrderStatus};
use crate::types::{ClientOrderId, Leg, OrderKind, Price, Qty, Side, Time, TimeInForce, VenueOrderId};
use crate::venue::binance_spot::answer::FillAnswer;
use crate::venue::binance_spot::rest::OpenOrder;
use std::collections::BTreeSet;

/// Books every trade of ours that the ledger does not have. Output: the number up to which all are booked.
pub(super) fn catch_up<W: Witness>(
    venue: &mut W,
    ledger: &mut Ledger,
    open: &[OpenOrder],
    now: Time,
    differences: &mut Vec<Difference>,
) -> Result<i64, RecoveryError<W::Error>> {
    let memory = ledger.memory()?;
    if memory.epoch == 0 {
        return venue.newest_trade().map_err(RecoveryError::Venue); // no run of ours can have traded before
    }
    let known: BTreeSet<i64> = ledger.fills()?.iter().map(|fill| fill.trade_id).collect();
    let trade_no = memory.open_trade.as_ref().map_or(memory.next_trade_no, |trade| trade.trade_no);
    // A run that died may have heard of a later fill and not of an earlier one: listed is from where the last look
    // ended, or, in a ledger that no look has seen, from the first fill of the round trip under way.
    let first = fills_of(&memory).map(|fill| fill.trade_id).min();
    let from = match memory.trades_known_to {
        0 => first.unwrap_or(memory.venue_trade_max + 1),
        known_to => known_to + 1,
    };
    let (mut booked, mut foreign) = (Vec::new(), BTreeSet::new());
    let mut known_to = memory.venue_trade_max.max(memory.trades_known_to);
    for trade in venue.trades_from(from).map_err(RecoveryError::Venue)? {
        known_to = known_to.max(trade.trade_id);
        if known.contains(&trade.trade_id) || foreign.contains(&trade.order_id) {
            continue;
        }
        let Some(id) = owner(venue, ledger, open, &trade, (trade_no, now))? else {
            foreign.insert(trade.order_id); // asked about once
            continue;
        };
        let fill = fill_of(&trade, id, now);
        ledger.push(Row::Fill(fill));
        booked.push(fill);
    }
    ledger.flush()?;
    let now_known: BTreeSet<i64> = fills_of(&ledger.memory()?).map(|fill| fill.trade_id).collect();
    if let Some(lost) = booked.iter().find(|fill| !now_known.contains(&fill.trade_id)) {
        return Err(RecoveryError::LateFill { trade_id: lost.trade_id, id: lost.id });
    }
    differences.extend(booked.iter().map(|fill| Difference {
        trigger: ReconcileTrigger::Start,
        kind: DifferenceKind::Fill,
        id: Some(fill.id),
        number: fill.trade_id,
        amount: fill.qty.0,
    }));
    Ok(known_to)
}

/// Our order behind a trade; `None` = somebody else's on the same account. One that the ledger never heard the number
/// of (a run that died between sending and hearing) is asked for by its number, and noted in the ledger.
fn owner<W: Witness>(
    venue: &mut W,
    ledger: &mut Ledger,
    open: &[OpenOrder],
    trade: &FillAnswer,
    (trade_no, now): (u32, Time),
) -> Result<Option<ClientOrderId>, RecoveryError<W::Error>> {
    let number = VenueOrderId(trade.order_id);
    if let Some((id, _)) = ledger.order_of_venue(number)? {
        return Ok(Some(id));
    }
    let live = open.iter().find(|order| order.venue_order_id == number);
    let order = live.map_or_else(|| venue.order(number), |order| Ok(*order)).map_err(RecoveryError::Venue)?;
    let Some(id) = order.id else { return Ok(None) };
    ledger.push(Row::Order(row_of(id, &order, live.is_some(), trade_no, now)));
    ledger.flush()?; // its further trades find it by its number
    Ok(Some(id))
}

/// An order that the ledger never heard of, as far as the venue tells.
pub fn row_of(id: ClientOrderId, order: &OpenOrder, is_open: bool, trade_no: u32, now: Time) -> OrderRow {
    use OrderStatus as S;
    let (kind, tif, purpose, tranche) = match id.leg {
        Leg::Entry(tranche) => (OrderKind::Limit, TimeInForce::Ioc, Purpose::Entry, tranche),
        Leg::TakeProfit(1) => (OrderKind::LimitMaker, TimeInForce::Gtc, Purpose::Tp1, 0),
        Leg::TakeProfit(_) => (OrderKind::LimitMaker, TimeInForce::Gtc, Purpose::Tp2, 0),
        Leg::Stop(_) => (OrderKind::StopLoss, TimeInForce::Gtc, Purpose::Stop, 0),
        Leg::List(_) | Leg::Flatten | Leg::Request => (OrderKind::Market, TimeInForce::Ioc, Purpose::Flatten, 0),
    };
    let status = match is_open {
        true if order.cum_qty > Qty::ZERO => S::Partly,
        true => S::Working,
        false if order.cum_qty >= order.qty => S::Filled,
        false => S::Canceled,
    };
    OrderRow {
        id,
        venue_order_id: order.venue_order_id,
        list_id: order.list_id,
        trade_no,
        side: order.side,
        kind: order.kind.unwrap_or(kind),
        tif,
        purpose,
        tranche,
        status,
        reason: Reason::None,
        code: 0,
        price: order.price,
        stop_price: order.stop_price,
        qty: order.qty,
        cum_qty: order.cum_qty,
        avg_px: Price::ZERO,
        created: now,
        acked: now,
        done: if is_open { Time::NONE } else { now },
    }
}

fn fill_of(trade: &FillAnswer, id: ClientOrderId, now: Time) -> FillRow {
    FillRow {
        id,
        trade_id: trade.trade_id,
        side: trade.side.unwrap_or(if matches!(id.leg, Leg::Entry(_)) { Side::Buy } else { Side::Sell }),
        liquidity: trade.liquidity,
        fee_asset: trade.fee_asset,
        price: trade.price,
        qty: trade.qty,
        fee: trade.fee,
        venue_time: trade.venue_time,
        recv: now,
    }
}

/// Fills of the round trip under way.
pub(super) fn fills_of(memory: &Memory) -> impl Iterator<Item = FillRow> + '_ {
    memory.open_trade.iter().flat_map(|trade| trade.fills.iter().map(|(fill, _)| *fill))
}
