//! Orders of earlier runs get their end in the ledger, which would hold them for open for ever.
//!
//! Thread: as `recovery`.  Invariants: an end is the venue's word; money is not touched here, fills are booked before.

use super::{RecoveryError, Witness};
use crate::ledger::{Ledger, Row};
use crate::types::reconcile::{Difference, DifferenceKind, ReconcileTrigger};
use crate::types::record::{OrderRow, OrderStatus};
use crate::types::units::{QTY_SCALE, mul_div_floor, notional_floor};
use crate::types::{Price, Time};
use crate::venue::binance_spot::rest::OpenOrder;

/// Asks about each order that the ledger holds for open and that does not rest at the venue: it ended while nobody
/// listened, or never arrived.
pub(super) fn of_the_gone<W: Witness>(
    venue: &mut W,
    ledger: &mut Ledger,
    open: &[OpenOrder],
    now: Time,
    differences: &mut Vec<Difference>,
) -> Result<(), RecoveryError<W::Error>> {
    let fills = ledger.fills()?;
    let rests = |order: &OrderRow| open.iter().any(|live| live.id == Some(order.id));
    let mut gone = ledger.memory()?.open_orders;
    gone.retain(|order| !rests(order));
    for order in gone {
        let own = fills.iter().filter(|fill| fill.id == order.id);
        let (qty, value) = own.fold((0, 0), |(qty, value), fill| {
            (qty + fill.qty.0, value + notional_floor(fill.price, fill.qty).map_or(0, |value| value.0))
        });
        let avg_px = mul_div_floor(value, QTY_SCALE, qty).map_or(order.avg_px, Price);
        let row = match venue.order_named(order.id).map_err(RecoveryError::Venue)? {
            Some((number, status, cum_qty)) => {
                OrderRow { venue_order_id: number, status, cum_qty, avg_px, done: now, ..order }
            }
            None => OrderRow { status: OrderStatus::Rejected, done: now, ..order },
        };
        if row.status.is_done() {
            ledger.push(Row::Order(row));
            differences.push(Difference {
                trigger: ReconcileTrigger::Start,
                kind: DifferenceKind::Ended,
                id: Some(row.id),
                number: row.venue_order_id.0,
                amount: row.qty.0.saturating_sub(row.cum_qty.0).max(0),
            });
        }
    }
    ledger.flush()?;
    Ok(())
}
