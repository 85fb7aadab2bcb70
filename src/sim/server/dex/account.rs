//! A Manifest market account, written field after field as the program lays it out.
//!
//! Thread: any.  Invariants: shares nothing with the decoder, no offset and no constant, so an error of one cannot hide
//! in the other; the trees are balanced, best order right-most, colours right.  Source: solana fact sheet, section 9.1.

use crate::types::Side;

/// First 8 bytes of every market.
const DISCRIMINANT: [u8; 8] = [0xf0, 0xaf, 0x61, 0x8f, 0x93, 0x9f, 0x71, 0x43];
/// A link that leads nowhere.
const NOWHERE: u32 = 0xffff_ffff;
const BLOCK_BYTES: u32 = 80;
const BLACK: u8 = 0;
const RED: u8 = 1;
/// A block's payload: an order.
const ORDER: u8 = 2;

/// A resting order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Which side.
    pub side: Side,
    /// Quote atoms a base atom, times 1e18.
    pub price_e18: u128,
    /// Size in base atoms.
    pub base_atoms: u64,
    /// Its number.
    pub seq: u64,
    /// Where its owner's seat is.
    pub trader: u32,
    /// Last slot in which it may trade; 0 = any.
    pub last_valid_slot: u32,
    /// 0 limit, 2 post-only, 3 global, 4 and 5 reverse.
    pub kind: u8,
}

/// A whole market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketAccount {
    /// Decimals of base and quote token.
    pub decimals: [u8; 2],
    /// Bumps of the vaults' addresses.
    pub bumps: [u8; 2],
    /// Mints of base and quote token.
    pub mints: [[u8; 32]; 2],
    /// Vaults of base and quote token.
    pub vaults: [[u8; 32]; 2],
    /// Number that the next order gets.
    pub next_seq: u64,
    /// Quote atoms ever traded.
    pub quote_volume: u64,
    /// Its orders, in the order of their blocks.
    pub orders: Vec<Order>,
}

/// Links and colour of a block.
#[derive(Clone, Copy)]
struct Node {
    left: u32,
    right: u32,
    parent: u32,
    color: u8,
}

impl MarketAccount {
    /// The account's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut nodes = vec![Node { left: NOWHERE, right: NOWHERE, parent: NOWHERE, color: BLACK }; self.orders.len()];
        let [bids, asks] = [Side::Buy, Side::Sell].map(|side| self.tree(side, &mut nodes));
        let mut out = Vec::with_capacity(256 + 80 * nodes.len());
        out.extend(DISCRIMINANT);
        out.push(0); // version
        out.extend(self.decimals);
        out.extend(self.bumps);
        out.extend([0; 3]);
        self.mints.iter().chain(&self.vaults).for_each(|key| out.extend(key));
        out.extend(self.next_seq.to_le_bytes());
        out.extend((BLOCK_BYTES * nodes.len() as u32).to_le_bytes());
        for (root, best) in [bids, asks] {
            out.extend(root.to_le_bytes());
            out.extend(best.to_le_bytes());
        }
        out.extend(NOWHERE.to_le_bytes()); // seats
        out.extend(NOWHERE.to_le_bytes()); // free blocks
        out.extend([0; 4]);
        out.extend(self.quote_volume.to_le_bytes());
        out.extend([0; 64]);
        self.orders.iter().zip(&nodes).for_each(|(order, node)| push_block(&mut out, order, node));
        out
    }

    /// Links one side's orders into a tree: its root and its best order.
    fn tree(&self, side: Side, nodes: &mut [Node]) -> (u32, u32) {
        let mut sorted: Vec<u32> = (0_u32..).take(self.orders.len()).collect();
        sorted.retain(|at| self.orders[*at as usize].side == side);
        let worse_first = |at: &u32| {
            let order = &self.orders[*at as usize];
            let price = if side == Side::Buy { order.price_e18 } else { !order.price_e18 };
            (price, !order.seq)
        };
        sorted.sort_by_key(worse_first);
        let levels_full = (sorted.len() + 1).ilog2();
        let root = link(&sorted, NOWHERE, levels_full, nodes);
        (root, sorted.last().map_or(NOWHERE, |at| at * BLOCK_BYTES))
    }
}

/// Links the blocks of `sorted` below `parent`: the offset of the one in the middle. What lies below the full levels is
/// red, so each way down passes as many black blocks.
fn link(sorted: &[u32], parent: u32, levels_full: u32, nodes: &mut [Node]) -> u32 {
    let middle = sorted.len() / 2;
    let Some(at) = sorted.get(middle) else { return NOWHERE };
    let here = at * BLOCK_BYTES;
    let color = if levels_full == 0 { RED } else { BLACK };
    let left = link(&sorted[..middle], here, levels_full.saturating_sub(1), nodes);
    let right = link(&sorted[middle + 1..], here, levels_full.saturating_sub(1), nodes);
    nodes[*at as usize] = Node { left, right, parent, color };
    here
}

fn push_block(out: &mut Vec<u8>, order: &Order, node: &Node) {
    [node.left, node.right, node.parent].iter().for_each(|link| out.extend(link.to_le_bytes()));
    out.extend([node.color, ORDER, 0, 0]);
    out.extend(order.price_e18.to_le_bytes());
    out.extend(order.base_atoms.to_le_bytes());
    out.extend(order.seq.to_le_bytes());
    out.extend(order.trader.to_le_bytes());
    out.extend(order.last_valid_slot.to_le_bytes());
    out.extend([u8::from(order.side == Side::Buy), order.kind]);
    out.extend([0; 22]);
}
