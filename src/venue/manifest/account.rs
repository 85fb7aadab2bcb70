//! A Manifest market account into the best levels of its book, in place.
//!
//! Thread: any.  Invariants: no allocation and no recursion; every link is checked before it is followed, so no bytes
//! make it panic; at most one step a block, so none make it run on.  Source: solana fact sheet, section 9.1; the layout
//! and the order of the tree were checked against the program's source (Jan 2026).

use super::key::{self, Key};
use super::{AccountError, Token};
use crate::types::{Price, Qty};
use crate::venue::dex::{DexLevels, DexSide};

/// First 8 bytes of every market, as a number.
const DISCRIMINANT: u64 = 4_859_840_929_024_028_656;
/// The layout that this file knows.
const VERSION: u8 = 0;
/// Bytes before the blocks.
const HEADER: usize = 256;
/// Bytes of a block.
const BLOCK: usize = 80;
/// A link that leads nowhere.
const NIL: u32 = u32::MAX;
/// Depth of the tree that is followed: a balanced one of 2^32 bytes is not deeper than 52.
const DEPTH_MAX: usize = 64;
/// Most decimals that a token may have here.
const DECIMALS_MAX: u8 = 18;

/// Where the header's fields are.
mod header {
    pub const VERSION: usize = 8;
    pub const BASE_DECIMALS: usize = 9;
    pub const QUOTE_DECIMALS: usize = 10;
    pub const BASE_MINT: usize = 16;
    pub const QUOTE_MINT: usize = 48;
    pub const ALLOCATED: usize = 152;
    pub const BIDS_ROOT: usize = 156;
    pub const ASKS_ROOT: usize = 164;
}

/// Where a block's fields are.
mod block {
    pub const LEFT: usize = 0;
    pub const RIGHT: usize = 4;
    pub const PARENT: usize = 8;
    pub const PAYLOAD: usize = 13;
    pub const PRICE: usize = 16;
    pub const BASE_ATOMS: usize = 32;
    pub const LAST_VALID_SLOT: usize = 52;
    pub const IS_BID: usize = 56;
    pub const ORDER_TYPE: usize = 57;
}

/// Payload of a block that is an order.
const ORDER: u8 = 2;
/// An order backed by its owner's account for all markets, which may be empty.
const GLOBAL: u8 = 3;
/// The highest type of order that is known; what a newer one does is not.
const ORDER_TYPE_MAX: u8 = 5;

/// What an account must be to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Market {
    /// The token that is traded.
    pub base_mint: Key,
    /// The token that it is paid with.
    pub quote_mint: Key,
    /// Decimals of the base token.
    pub base_decimals: u8,
    /// Decimals of the quote token.
    pub quote_decimals: u8,
    /// Leave out orders that nothing may stand behind.
    pub skip_global: bool,
}

/// Wrapped SOL.
pub const WSOL: &str = "So11111111111111111111111111111111111111112";
/// USDC.
pub const USDC: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";

const fn known(text: &str) -> Key {
    match key::parse(text) {
        Some(key) => key,
        None => panic!("an address of this file is none"), // at compile time
    }
}

impl Market {
    /// Wrapped SOL against USDC, without orders that nothing may stand behind.
    pub const SOL_USDC: Market = Market {
        base_mint: known(WSOL),
        quote_mint: known(USDC),
        base_decimals: 9,
        quote_decimals: 6,
        skip_global: true,
    };

    /// What an account says of itself: to look at any market. `None` if it is too short to say.
    pub fn stated(data: &[u8]) -> Option<Market> {
        data.get(..HEADER)?;
        Some(Market {
            base_mint: chunk(data, header::BASE_MINT),
            quote_mint: chunk(data, header::QUOTE_MINT),
            base_decimals: byte(data, header::BASE_DECIMALS),
            quote_decimals: byte(data, header::QUOTE_DECIMALS),
            skip_global: false,
        })
    }

    /// A price of the account in 1e-8 quote units a base unit: `raw / 1e18 * 10^(base - quote)`. Bids are rounded down,
    /// asks up: against whoever trades with them. `None` where it does not fit.
    fn price_against_taker(&self, raw: u128, side: Side) -> Option<Price> {
        let exponent = i32::from(self.base_decimals) - i32::from(self.quote_decimals) + 8 - 18;
        let scale = 10_u128.checked_pow(exponent.unsigned_abs())?;
        let e8 = match (exponent < 0, side) {
            (false, _) => raw.checked_mul(scale)?,
            (true, Side::Bids) => raw.checked_div(scale)?,
            (true, Side::Asks) => raw.checked_div(scale)? + u128::from(raw.checked_rem(scale)? != 0),
        };
        i64::try_from(e8).ok().map(Price)
    }

    /// Base atoms as a size, rounded down; what no size can hold is the largest one.
    fn qty_floor(&self, atoms: u64) -> Qty {
        let atoms = u128::from(atoms);
        let shift = u32::from(self.base_decimals.abs_diff(9));
        let scale = 10_u128.checked_pow(shift).unwrap_or(u128::MAX);
        let e9 = if self.base_decimals <= 9 { atoms.saturating_mul(scale) } else { atoms / scale };
        Qty(i64::try_from(e9).unwrap_or(i64::MAX))
    }
}

/// Which tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Bids,
    Asks,
}

/// Decodes a market account as it stood at `slot`.
///
/// Input:  the account's data, whole.  Output: the best levels of each side; orders that expired before `slot` are left
///         out, equal prices are one level, and asks beyond any price of ours end their side.
/// Errors: [`AccountError`] with the byte.  Cost: one step an order up to the levels kept, no allocation.
pub fn decode(data: &[u8], slot: u64, market: &Market) -> Result<DexLevels, AccountError> {
    check_header(data, market)?;
    let allocated = le_u32(data, header::ALLOCATED);
    let length = usize::try_from(allocated).unwrap_or(usize::MAX);
    if !length.is_multiple_of(BLOCK) {
        return Err(AccountError::WrongSize { at: header::ALLOCATED });
    }
    let blocks = data.get(HEADER..HEADER.saturating_add(length));
    let blocks = blocks.ok_or(AccountError::TooShort { got: data.len() })?;
    let book = Book { blocks, slot, market };
    let mut levels = DexLevels { slot, ..DexLevels::default() };
    book.walk(Side::Bids, le_u32(data, header::BIDS_ROOT), header::BIDS_ROOT, &mut levels.bids)?;
    book.walk(Side::Asks, le_u32(data, header::ASKS_ROOT), header::ASKS_ROOT, &mut levels.asks)?;
    if levels.is_sound() { Ok(levels) } else { Err(AccountError::Crossed) }
}

fn check_header(data: &[u8], market: &Market) -> Result<(), AccountError> {
    if data.len() < HEADER {
        return Err(AccountError::TooShort { got: data.len() });
    }
    if u64::from_le_bytes(chunk(data, 0)) != DISCRIMINANT {
        return Err(AccountError::NotAMarket);
    }
    if byte(data, header::VERSION) != VERSION {
        return Err(AccountError::UnknownVersion { at: header::VERSION });
    }
    let mints =
        [(Token::Base, header::BASE_MINT, market.base_mint), (Token::Quote, header::QUOTE_MINT, market.quote_mint)];
    for (token, at, mint) in mints {
        if chunk(data, at) != mint {
            return Err(AccountError::WrongMint { token, at });
        }
    }
    let decimals = [
        (Token::Base, header::BASE_DECIMALS, market.base_decimals),
        (Token::Quote, header::QUOTE_DECIMALS, market.quote_decimals),
    ];
    for (token, at, wanted) in decimals {
        if byte(data, at) != wanted || wanted > DECIMALS_MAX {
            return Err(AccountError::WrongDecimals { token, at });
        }
    }
    Ok(())
}

/// The blocks of an account whose header is right.
struct Book<'a> {
    blocks: &'a [u8],
    slot: u64,
    market: &'a Market,
}

/// Whether the walk goes on.
enum Walk {
    On,
    Done,
}

impl<'a> Book<'a> {
    /// Visits a tree's orders best first, that is the right-most first; at most one step a block.
    fn walk(&self, side: Side, root: u32, root_at: usize, out: &mut DexSide) -> Result<(), AccountError> {
        let blocks_max = self.blocks.len() / BLOCK;
        let mut path = [NIL; DEPTH_MAX]; // blocks whose right side is being visited
        let (mut depth, mut steps) = (0_usize, 0_usize);
        let (mut here, mut link_at, mut parent) = (root, root_at, None);
        let mut worst = None;
        loop {
            while here != NIL {
                let block = self.block(here, link_at)?;
                if parent.is_some_and(|parent| le_u32(block, block::PARENT) != parent) {
                    return Err(AccountError::BadLink { at: offset(here, block::PARENT) });
                }
                steps += 1;
                let place = path.get_mut(depth).filter(|_| steps <= blocks_max);
                *place.ok_or(AccountError::Circle { at: link_at })? = here;
                depth += 1;
                (parent, link_at) = (Some(here), offset(here, block::RIGHT));
                here = le_u32(block, block::RIGHT);
            }
            let Some(above) = depth.checked_sub(1) else { return Ok(()) };
            depth = above;
            let top = path.get(depth).copied().unwrap_or(NIL);
            let block = self.block(top, link_at)?;
            if let Walk::Done = self.visit(side, top, block, &mut worst, out)? {
                return Ok(());
            }
            (parent, link_at) = (Some(top), offset(top, block::LEFT));
            here = le_u32(block, block::LEFT);
        }
    }

    /// The block that the link at byte `link_at` leads to.
    fn block(&self, index: u32, link_at: usize) -> Result<&'a [u8], AccountError> {
        let from = usize::try_from(index).unwrap_or(usize::MAX);
        let to = from.saturating_add(BLOCK);
        let block = self.blocks.get(from..to).filter(|_| from.is_multiple_of(BLOCK));
        block.ok_or(AccountError::BadLink { at: link_at })
    }

    /// Takes one order, unless it has expired or nothing may stand behind it.
    fn visit(
        &self,
        side: Side,
        index: u32,
        block: &[u8],
        worst: &mut Option<u128>,
        out: &mut DexSide,
    ) -> Result<Walk, AccountError> {
        if byte(block, block::PAYLOAD) != ORDER {
            return Err(AccountError::NotAnOrder { at: offset(index, block::PAYLOAD) });
        }
        if (byte(block, block::IS_BID) == 1) != (side == Side::Bids) {
            return Err(AccountError::NotAnOrder { at: offset(index, block::IS_BID) });
        }
        let raw = u128::from_le_bytes(chunk(block, block::PRICE));
        let is_better = |before: u128| if side == Side::Bids { raw > before } else { raw < before };
        if worst.replace(raw).is_some_and(is_better) {
            return Err(AccountError::OutOfOrder { at: offset(index, block::PRICE) });
        }
        let last_valid = le_u32(block, block::LAST_VALID_SLOT);
        let has_expired = last_valid != 0 && u64::from(last_valid) < self.slot;
        let kind = byte(block, block::ORDER_TYPE);
        let qty = self.market.qty_floor(u64::from_le_bytes(chunk(block, block::BASE_ATOMS)));
        let is_doubtful = kind > ORDER_TYPE_MAX || (kind == GLOBAL && self.market.skip_global);
        if has_expired || is_doubtful || qty == Qty::ZERO {
            return Ok(Walk::On);
        }
        let price = match (self.market.price_against_taker(raw, side), side) {
            (Some(Price(0)), _) | (None, Side::Asks) => return Ok(Walk::Done), // the rest is further off still
            (None, Side::Bids) => return Err(AccountError::BadPrice { at: offset(index, block::PRICE) }),
            (Some(price), _) => price,
        };
        Ok(if out.push(price, qty) { Walk::On } else { Walk::Done })
    }
}

/// Byte of the account at which a block's field stands.
fn offset(index: u32, field: usize) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX).saturating_add(HEADER + field)
}

/// `N` bytes at `at`; zeros beyond the end, where no caller looks.
fn chunk<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or_default()
}

fn le_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(chunk(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn market(base_decimals: u8, quote_decimals: u8) -> Market {
        Market { base_decimals, quote_decimals, ..Market::SOL_USDC }
    }

    #[test]
    fn prices_are_exact_and_where_they_cannot_be_bids_fall_and_asks_rise() {
        let sol = market(9, 6);
        assert_eq!(sol.price_against_taker(142_370_000_000_000_000, Side::Bids), Some(Price(14_237_000_000)));
        assert_eq!(sol.price_against_taker(142_370_000_000_000_000, Side::Asks), Some(Price(14_237_000_000)));
        assert_eq!(sol.price_against_taker(142_370_000_000_000_001, Side::Bids), Some(Price(14_237_000_000)));
        assert_eq!(sol.price_against_taker(142_370_000_000_000_001, Side::Asks), Some(Price(14_237_000_001)));
        assert_eq!(sol.price_against_taker(u128::MAX, Side::Asks), None);
        assert_eq!(sol.price_against_taker(i64::MAX as u128 * 10_000_000, Side::Bids), Some(Price(i64::MAX)));
        assert_eq!(sol.price_against_taker((i64::MAX as u128 + 1) * 10_000_000, Side::Bids), None);
        assert_eq!(market(18, 0).price_against_taker(3, Side::Asks), Some(Price(300_000_000)));
        assert_eq!(market(0, 18).price_against_taker(u128::MAX, Side::Bids), Some(Price(34_028_236_692)));
    }

    #[test]
    fn sizes_come_out_of_tokens_of_any_decimals() {
        assert_eq!(market(9, 6).qty_floor(12_500_000_000), Qty(12_500_000_000));
        assert_eq!(market(6, 6).qty_floor(12_500_000), Qty(12_500_000_000));
        assert_eq!(market(0, 6).qty_floor(3), Qty(3_000_000_000));
        assert_eq!(market(18, 6).qty_floor(1_999_999_999), Qty(1));
        assert_eq!(market(0, 6).qty_floor(u64::MAX), Qty(i64::MAX));
        assert_eq!(market(9, 6).qty_floor(u64::MAX), Qty(i64::MAX));
    }
}
