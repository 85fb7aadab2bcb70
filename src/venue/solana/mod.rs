//! solana
