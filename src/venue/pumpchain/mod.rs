//! Memecoin volume counted from the chain: the trade events that pump.fun's curve and PumpSwap write into their logs.
//!
//! `logsNotification` frame → log walk (only what the program itself wrote) → trade event → five-minute buckets →
//! a [`crate::types::event::VolumeSample`] of the trailing 24 h against the 24 h before.
//!
//! Thread: any.  Invariants: all memory is taken at start; what another program printed never counts, what came twice
//! counts once, what was not heard is said.  Source: `volume-feeds` fact sheet sections 1, 2, 5 to 7, 9; `solana` 1, 2.

pub mod backfill;
pub mod base58;
pub mod buckets;
pub mod dedupe;
mod hands;
pub mod logs;
pub mod pools;
pub mod session;
pub mod trade_event;

pub use session::{ChainSession, FrameKind, Settings};

use crate::types::chain::ChainEvent;
use base58::Key;

/// Wrapped SOL, 9 decimals.
pub const WSOL: Key = [
    0x06, 0x9b, 0x88, 0x57, 0xfe, 0xab, 0x81, 0x84, 0xfb, 0x68, 0x7f, 0x63, 0x46, 0x18, 0xc0, 0x35, 0xda, 0xc4, 0x39,
    0xdc, 0x1a, 0xeb, 0x3b, 0x55, 0x98, 0xa0, 0xf0, 0x00, 0x00, 0x00, 0x00, 0x01,
];
/// USDC, 6 decimals.
pub const USDC: Key = [
    0xc6, 0xfa, 0x7a, 0xf3, 0xbe, 0xdb, 0xad, 0x3a, 0x3d, 0x65, 0xf3, 0x6a, 0xab, 0xc9, 0x74, 0x31, 0xb1, 0xbb, 0xe4,
    0xc2, 0xd2, 0xf6, 0xe0, 0xe4, 0x7c, 0xa6, 0x02, 0x03, 0x45, 0x2f, 0x5d, 0x61,
];
/// Text of [`WSOL`].
pub const WSOL_TEXT: &str = "So11111111111111111111111111111111111111112";
/// Text of [`USDC`].
pub const USDC_TEXT: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";

/// The two programs that memecoins trade on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// The bonding curve of pump.fun.
    Curve,
    /// PumpSwap, where coins trade after the curve.
    Amm,
}

impl Program {
    /// Both.
    pub const ALL: [Program; 2] = [Program::Curve, Program::Amm];

    /// Its address.
    pub fn text(self) -> &'static str {
        match self {
            Program::Curve => "6EF8rrecthR5Dkzon8Nwu78hRvfCKubJ14M5uBEwF6P",
            Program::Amm => "pAMMBay6oceH9fJKBRHGP5D4bD4sWpmSwMn52FMfXEA",
        }
    }
    /// Name in lines and logs.
    pub fn name(self) -> &'static str {
        match self {
            Program::Curve => "curve",
            Program::Amm => "amm",
        }
    }
}

/// Which volume is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Venues {
    /// The curve alone: reacts faster, the smaller part.
    Curve,
    /// Curve and PumpSwap.
    #[default]
    CurveAndAmm,
}

impl Venues {
    /// The programs to subscribe to.
    pub fn programs(self) -> &'static [Program] {
        match self {
            Venues::Curve => &[Program::Curve],
            Venues::CurveAndAmm => &Program::ALL,
        }
    }
}

/// What came, and what became of it. All only rise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Notifications of our subscriptions.
    pub notifications: u64,
    /// ... of transactions that failed on the chain.
    pub failed: u64,
    /// ... that had come before.
    pub duplicates: u64,
    /// Trades counted.
    pub trades: u64,
    /// Transactions whose log the node cut short, or left out.
    pub truncated: u64,
    /// Transactions whose log contradicts itself: the rest of each was left out.
    pub distrusted: u64,
    /// Events of the program that could not be read.
    pub unreadable: u64,
    /// Trades whose time or size cannot be.
    pub odd: u64,
    /// Trades against a currency that is neither SOL nor USDC.
    pub other_quote: u64,
    /// Trades of pools that are turned round, or hold no memecoin.
    pub odd_pools: u64,
    /// Trades of pools that nobody could tell us of in time.
    pub unresolved: u64,
    /// Trades at a time that no SOL price is known of.
    pub unpriced: u64,
    /// Notifications of a subscription that is not ours, frames that are no JSON.
    pub strange: u64,
}

impl Counters {
    /// Each with its kind.
    pub fn named(&self) -> [(ChainEvent, u64); 13] {
        [
            (ChainEvent::Notification, self.notifications),
            (ChainEvent::Failed, self.failed),
            (ChainEvent::Duplicate, self.duplicates),
            (ChainEvent::Trade, self.trades),
            (ChainEvent::Truncated, self.truncated),
            (ChainEvent::Distrusted, self.distrusted),
            (ChainEvent::Unreadable, self.unreadable),
            (ChainEvent::Odd, self.odd),
            (ChainEvent::OtherQuote, self.other_quote),
            (ChainEvent::OddPool, self.odd_pools),
            (ChainEvent::Unresolved, self.unresolved),
            (ChainEvent::Unpriced, self.unpriced),
            (ChainEvent::Strange, self.strange),
        ]
    }
}
