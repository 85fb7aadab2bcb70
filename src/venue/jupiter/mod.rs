//! Jupiter, which trades over all of Solana's exchanges: a ladder of its quotes stands for their common book.
//!
//! Thread: any.  Invariants: quotes only, nothing is ever bought here; no answer makes it panic: what is wrong with one
//! is a [`QuoteError`].  Source: solana fact sheet, sections 7 and 9.

pub mod ladder;
pub mod quote;

pub use ladder::{LadderSession, LadderSettings, SettingsError};
pub use quote::{Quote, decode};

use super::DecodeError;

/// Why an answer is no quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// Not what was expected; `at` counts from the start of the body.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Jupiter has no quote for this.
    #[error("Jupiter refused the quote: {0}")]
    Refused(Refusal),
    /// Too many requests: of the plan, or of this address.
    #[error("Jupiter: too many requests ({}); fewer quotes_per_minute, or a larger plan", if *.by_plan { "limit of the plan" } else { "firewall" })]
    Limited {
        /// The plan's limit, not the firewall.
        by_plan: bool,
    },
    /// The key is not accepted.
    #[error("Jupiter does not accept the API key (HTTP status {status})")]
    BadKey {
        /// The status.
        status: u16,
    },
    /// The server is unwell.
    #[error("Jupiter: HTTP status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// A whole round of quotes contradicts itself: levels that do not fall and rise, or a bid not below the ask.
    #[error("Jupiter's quotes contradict each other: no ladder of them")]
    Suspect,
}

/// Why Jupiter refused a quote, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no route.
    NoRoute,
    /// One of the tokens cannot be traded.
    NotTradable,
    /// No such market.
    NoMarket,
    /// Asked for what it does not do.
    NotSupported,
    /// A number of the current interface.
    Number(i64),
    /// Another word.
    Other,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::NoRoute => out.write_str("no route found"),
            Refusal::NotTradable => out.write_str("a token is not tradable"),
            Refusal::NoMarket => out.write_str("no such market"),
            Refusal::NotSupported => out.write_str("not supported"),
            Refusal::Number(1) => out.write_str("error 1: insufficient funds"),
            Refusal::Number(2) => out.write_str("error 2: not enough SOL for fees"),
            Refusal::Number(3) => out.write_str("error 3: below the least amount that trades without SOL"),
            Refusal::Number(code) => write!(out, "error {code}"),
            Refusal::Other => out.write_str("an error that is not known here"),
        }
    }
}
