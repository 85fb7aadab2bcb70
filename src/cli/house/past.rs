//! What earlier runs left behind, brought up to the venue's truth before the first order of this one.
//!
//! Thread: main, before the agents exist.  Invariants: an order of an earlier run is cancelled before the engine
//! starts (it protects the position again under ids of its own); fills that nobody heard are booked from the
//! venue's list of trades; what cannot be explained ends the start, it is never guessed.

use crate::cli::venue_facts::{Desk, VenueFacts};
use crate::cli::{Failure, exit};
use crate::ledger::{Ledger, Memory, Row};
use crate::sys::clock::Clock;
use crate::types::instrument::Symbol;
use crate::types::record::FillRow;
use crate::types::{Side, VenueOrderId};

/// The ledger's memory, and the fills that happened while nobody listened.
pub struct Past {
    /// As the ledger remembers.
    pub memory: Memory,
    /// Fills of the round trip under way, those made while away included, oldest first.
    pub fills: Vec<FillRow>,
    /// Newest venue trade number known.
    pub trades_known_to: i64,
}

/// Cancels what earlier runs left open, books what filled meanwhile, and gives the facts as they stand then.
pub fn settle(
    desk: &mut Desk<'_>,
    ledger: &mut Ledger,
    symbol: Symbol,
    clock: Clock,
) -> Result<(VenueFacts, Past), Failure> {
    let mut facts = desk.ask_all(symbol)?;
    if facts.open_orders.iter().any(|order| order.id.is_none()) {
        log::warn!("{symbol} has open orders that are not ours; they are left alone");
    }
    let ours: Vec<_> = facts.open_orders.iter().filter_map(|order| order.id).collect();
    if !ours.is_empty() {
        log::warn!("cancelling {} order(s) of an earlier run; the position is protected anew", ours.len());
        desk.cancel(symbol, &ours)?;
        facts = desk.ask_all(symbol)?;
    }
    let memory = ledger.memory().map_err(|why| Failure::new(exit::FAILED, &why))?;
    let mut fills: Vec<FillRow> =
        memory.open_trade.iter().flat_map(|trade| trade.fills.iter().map(|(fill, _)| *fill)).collect();
    let mut trades_known_to = memory.venue_trade_max;
    if memory.epoch > 0 {
        for answer in desk.trades_from(&facts.instrument, memory.venue_trade_max + 1)? {
            trades_known_to = trades_known_to.max(answer.trade_id);
            let number = VenueOrderId(answer.order_id);
            let order = ledger.order_of_venue(number).map_err(|why| Failure::new(exit::FAILED, &why))?;
            let Some((id, _)) = order else { continue }; // somebody else's trade on the same account
            let fill = FillRow {
                id,
                trade_id: answer.trade_id,
                side: answer.side.unwrap_or(Side::Sell),
                liquidity: answer.liquidity,
                fee_asset: answer.fee_asset,
                price: answer.price,
                qty: answer.qty,
                fee: answer.fee,
                venue_time: answer.venue_time,
                recv: clock.now(),
            };
            log::warn!("booked a fill made while away: trade {} of order {id}", fill.trade_id);
            ledger.push(Row::Fill(fill));
            fills.push(fill);
        }
        ledger.flush().map_err(|why| Failure::new(exit::FAILED, &why))?;
    }
    Ok((facts, Past { memory, fills, trades_known_to }))
}
