//! Order by order: the ledger says what the venue says.

use std::collections::BTreeMap;

use sol_volume_bot::sim::exchange::{AccountEvent, Order, OrderStatus};
use sol_volume_bot::sim::server::Handle;

use crate::books::{Books, Row, coins};

/// Every order of the venue under the id that we gave it, as it stood last.
fn venue_orders(venue: &Handle) -> BTreeMap<String, Order> {
    let mut orders = BTreeMap::new();
    for event in venue.history() {
        let AccountEvent::Execution(execution) = event else { continue };
        let order = execution.order;
        let id = if order.orig_client_id.is_empty() { &order.client_id } else { &order.orig_client_id };
        orders.insert(id.clone(), order);
    }
    orders
}

fn name(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::New => "WORKING",
        OrderStatus::PartiallyFilled => "PARTLY_FILLED",
        OrderStatus::Filled => "FILLED",
        OrderStatus::Canceled => "CANCELED",
        OrderStatus::Rejected => "REJECTED",
        OrderStatus::Expired | OrderStatus::ExpiredInMatch => "EXPIRED",
    }
}

/// The same orders, sizes and ends on both sides; an order that the venue never had is one that it refused or never got.
pub fn orders_agree(venue: &Handle, books: &Books) -> Result<(), String> {
    let theirs = venue_orders(venue);
    let rows = books.rows("SELECT * FROM orders");
    let ours: BTreeMap<&str, &Row> = rows.iter().map(|row| (row["client_order_id"].as_str(), row)).collect();
    for (id, order) in &theirs {
        let Some(row) = ours.get(id.as_str()) else { return Err(format!("the ledger does not know {order:?}")) };
        if row["status"] != name(order.status) || coins(&row["cum_qty"]) != order.cum_qty {
            return Err(format!("the ledger says {row:?}, the venue {order:?}"));
        }
    }
    let never_was = |row: &Row| {
        ["REJECTED", "EXPIRED", "CANCELED"].contains(&row["status"].as_str()) && coins(&row["cum_qty"]).0 == 0
    };
    match ours.iter().find(|(id, row)| !theirs.contains_key(**id) && !never_was(row)) {
        Some((_, row)) => Err(format!("the venue never had {row:?}")),
        None => Ok(()),
    }
}
