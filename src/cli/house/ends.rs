//! Orders of earlier runs get their end in the ledger, which would hold them for open for ever.
//!
//! Thread: main, before the agents exist.  Invariants: an end is the venue's word, or, for an order that we cancelled
//! ourselves a moment ago, what its fills say; money is not touched here, fills are booked elsewhere.

use super::past::broken;
use crate::cli::Failure;
use crate::cli::venue_facts::{Desk, VenueFacts};
use crate::ledger::{Ledger, Row};
use crate::types::record::{OrderRow, OrderStatus};
use crate::types::units::{QTY_SCALE, mul_div_floor, notional_floor};
use crate::types::{Price, Qty, Time};

/// Asks about each order that the ledger holds for open and that does not rest at the venue: it ended while nobody
/// listened, or never arrived. To be done while the resting ones still guard the position.
pub(super) fn of_the_gone(
    desk: &Desk<'_>,
    ledger: &mut Ledger,
    facts: &VenueFacts,
    open: &[OrderRow],
    now: Time,
) -> Result<(), Failure> {
    for order in open {
        let rests = facts.open_orders.iter().any(|live| live.id == Some(order.id));
        if rests {
            continue;
        }
        let row = match desk.order_named(facts.instrument.symbol, order.id)? {
            Some((number, status, cum_qty)) => {
                OrderRow { venue_order_id: number, status, cum_qty, done: now, ..*order }
            }
            None => OrderRow { status: OrderStatus::Rejected, done: now, ..*order },
        };
        if row.status.is_done() {
            ledger.push(Row::Order(row));
        }
    }
    ledger.flush().map(drop).map_err(|why| broken(&why))
}

/// The orders that rested until we cancelled them: over, as far as their fills went. The rows wait for the next flush,
/// because from here to the engine's first order nothing should be able to fail.
pub(super) fn of_the_cancelled(ledger: &mut Ledger, now: Time) -> Result<(), Failure> {
    let open = ledger.memory().map_err(|why| broken(&why))?.open_orders;
    let fills = ledger.fills().map_err(|why| broken(&why))?;
    for order in open {
        let own = fills.iter().filter(|fill| fill.id == order.id);
        let (qty, value) = own.fold((0, 0), |(qty, value), fill| {
            (qty + fill.qty.0, value + notional_floor(fill.price, fill.qty).map_or(0, |value| value.0))
        });
        let avg_px = mul_div_floor(value, QTY_SCALE, qty).map_or(order.avg_px, Price);
        let status = if qty >= order.qty.0 { OrderStatus::Filled } else { OrderStatus::Canceled };
        ledger.push(Row::Order(OrderRow { status, cum_qty: Qty(qty), avg_px, done: now, ..order }));
    }
    Ok(())
}
