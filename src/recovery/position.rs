//! The position that the ledger's fills prove.
//!
//! Thread: as `recovery`.  Invariants: fills count in the order in which they happened, whenever they were heard.

use super::RecoveryError;
use super::fills::fills_of;
use crate::ledger::{Ledger, Memory};
use crate::types::record::FillRow;
use crate::types::setup::OpenPosition;
use crate::types::{Notional, Qty};
use std::collections::BTreeSet;

/// The position of the round trip under way. A trip may sell the dust of earlier ones too: then that counts as held
/// before it.
pub(super) fn proven<E>(ledger: &Ledger, memory: &Memory) -> Result<Option<OpenPosition>, RecoveryError<E>> {
    let Some(trade) = &memory.open_trade else { return Ok(None) };
    let mut fills: Vec<FillRow> = fills_of(memory).collect();
    fills.sort_by_key(|fill| fill.trade_id);
    let nothing = (Qty::ZERO, Notional::ZERO);
    let own: BTreeSet<i64> = fills.iter().map(|fill| fill.trade_id).collect();
    let mut ended = ledger.fills()?;
    ended.retain(|fill| !own.contains(&fill.trade_id));
    ended.sort_by_key(|fill| fill.trade_id);
    let dust = OpenPosition::of_fills(0, nothing, &ended).map_or(nothing, |left| (left.qty, left.cost));
    let alone = OpenPosition::of_fills(trade.trade_no, nothing, &fills);
    let held = alone.or_else(|| OpenPosition::of_fills(trade.trade_no, dust, &fills));
    held.map(Some).ok_or(RecoveryError::Oversold { trade_no: trade.trade_no })
}
