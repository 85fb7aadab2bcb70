//! Manifest, an order book on Solana: its market account, decoded in place, and the session that keeps it fresh.
//!
//! Thread: any.  Invariants: no account makes it panic or run on; what is wrong with one is an [`AccountError`] with its
//! byte.  Source: solana fact sheet, sections 1, 2 and 9.1.

pub mod account;
pub mod frame;
pub mod key;
pub mod session;

pub use account::{Market, decode};
pub use session::{Commitment, DexSession, DexSettings, FrameKind};

use super::DecodeError;

/// Address of the SOL/USDC market.
pub const SOL_USDC_MARKET: &str = "ENhU8LsaR7vDD2G1CsWcsuSGNrih9Cv5WZEk7q9kPapQ";
/// Address of the program that owns every market.
pub const PROGRAM: &str = "MNFSTqtC93rEfYHB6hF82sKdZpUDFWkViLByLd1k1Ms";

/// Which of a market's two tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// The one that is traded.
    Base,
    /// The one that it is paid with.
    Quote,
}

impl Token {
    /// Name in texts.
    pub fn name(self) -> &'static str {
        match self {
            Token::Base => "base",
            Token::Quote => "quote",
        }
    }
}

/// Why an account could not become a book. `at` counts bytes from the start of the account, except in
/// [`AccountError::Frame`] and [`AccountError::NotBase64`]: there from the start of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The frame around it is at fault.
    #[error(transparent)]
    Frame(#[from] DecodeError),
    /// The node refused the request.
    #[error("the node refused: JSON-RPC error {code}")]
    Refused {
        /// Its error code; 0 if it gave none.
        code: i64,
    },
    /// There is no such account.
    #[error("the market account does not exist: check its address and the node's cluster")]
    Absent,
    /// It belongs to another program.
    #[error("the account is not owned by the Manifest program: check the market's address")]
    WrongOwner,
    /// Its data is not base64, or another encoding was sent.
    #[error("account data is not base64 at byte {at} of the frame")]
    NotBase64 {
        /// Offset in the frame.
        at: usize,
    },
    /// Shorter than a market's header, or than what the header says.
    #[error("an account of {got} bytes is too short for the market that it says to be")]
    TooShort {
        /// Its length.
        got: usize,
    },
    /// Not a market at all.
    #[error("the account is no Manifest market: its first 8 bytes are not a market's")]
    NotAMarket,
    /// A layout that was not there when this was written.
    #[error("the market has a layout version that is not known here, byte {at}")]
    UnknownVersion {
        /// Offset of the version.
        at: usize,
    },
    /// It trades another token.
    #[error("the market's {} mint is not the configured one, byte {at}: another market's address?", token.name())]
    WrongMint {
        /// Which token.
        token: Token,
        /// Offset of the mint.
        at: usize,
    },
    /// The token has other decimals than configured.
    #[error("the market's {} decimals are not the configured ones, byte {at}", token.name())]
    WrongDecimals {
        /// Which token.
        token: Token,
        /// Offset of the decimals.
        at: usize,
    },
    /// The header's size of its blocks is not a multiple of a block.
    #[error("the market's allocated size is no multiple of a block, byte {at}")]
    WrongSize {
        /// Offset of the size.
        at: usize,
    },
    /// A link that leads out of the blocks, between two of them, or back.
    #[error("a link of the order tree leads nowhere, byte {at}")]
    BadLink {
        /// Offset of the link.
        at: usize,
    },
    /// More steps than there are blocks, or deeper than any balanced tree of that size.
    #[error("the order tree runs in a circle or is out of balance, byte {at}")]
    Circle {
        /// Offset of the link that was one too many.
        at: usize,
    },
    /// The tree leads to a block that is no order, or one of the other side.
    #[error("the order tree leads to what is no order of its side, byte {at}")]
    NotAnOrder {
        /// Offset of the byte that says so.
        at: usize,
    },
    /// An order better than one that came before it.
    #[error("the order tree is out of order, byte {at}")]
    OutOfOrder {
        /// Offset of the price.
        at: usize,
    },
    /// A bid beyond what a price of ours can hold.
    #[error("a bid's price is beyond any range, byte {at}")]
    BadPrice {
        /// Offset of the price.
        at: usize,
    },
    /// The best bid is not below the best ask.
    #[error("the book is crossed or locked")]
    Crossed,
}

impl AccountError {
    /// Offset of the faulty byte; `None` if the whole is at fault.
    pub fn at(&self) -> Option<usize> {
        match *self {
            AccountError::Frame(error) => error.at(),
            AccountError::NotAMarket => Some(0),
            AccountError::TooShort { got } => Some(got),
            AccountError::NotBase64 { at }
            | AccountError::UnknownVersion { at }
            | AccountError::WrongMint { at, .. }
            | AccountError::WrongDecimals { at, .. }
            | AccountError::WrongSize { at }
            | AccountError::BadLink { at }
            | AccountError::Circle { at }
            | AccountError::NotAnOrder { at }
            | AccountError::OutOfOrder { at }
            | AccountError::BadPrice { at } => Some(at),
            AccountError::Refused { .. } | AccountError::Absent | AccountError::WrongOwner | AccountError::Crossed => {
                None
            }
        }
    }
}
