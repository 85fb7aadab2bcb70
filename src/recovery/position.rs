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

/// The position that the fills prove, as the run that made them held it: the round trip under way and the dust that
/// earlier ones left. Dust that the account (`base` of it) holds no more is nobody's: it was swept away by hand.
pub(super) fn proven<E>(ledger: &Ledger, memory: &Memory, base: Qty) -> Result<Option<OpenPosition>, RecoveryError<E>> {
    let mut fills: Vec<FillRow> = fills_of(memory).collect();
    fills.sort_by_key(|fill| fill.trade_id);
    let trade_no = memory.open_trade.as_ref().map_or(memory.next_trade_no, |trade| trade.trade_no);
    let nothing = (Qty::ZERO, Notional::ZERO);
    let own: BTreeSet<i64> = fills.iter().map(|fill| fill.trade_id).collect();
    let mut ended = ledger.fills()?;
    ended.retain(|fill| !own.contains(&fill.trade_id));
    ended.sort_by_key(|fill| fill.trade_id);
    let dust = OpenPosition::of_fills(0, nothing, &ended).map_or(nothing, |left| (left.qty, left.cost));
    let alone = OpenPosition::of_fills(trade_no, nothing, &fills);
    let whole = OpenPosition::of_fills(trade_no, dust, &fills);
    let held = whole.filter(|held| held.qty <= base).or(alone).or(whole);
    let held = held.ok_or(RecoveryError::Oversold { trade_no })?;
    Ok(Some(held).filter(|held| !fills.is_empty() || held.qty > Qty::ZERO))
}
