//! Solana, as far as a trader of SOL needs it: slots, accounts, logs; over PubSub WebSockets and JSON-RPC.
//!
//! Thread: any.  Invariants: a subscription's number means something on its own connection only; a slot time is never
//! assumed (it was 400 ms once, and is half of that now).  Source: solana fact sheet, sections 1 to 3.
//!
//! | file | what it knows |
//! |---|---|
//! | [`slots`] | the session: several endpoints' slots into one rising stream |
//! | [`endpoint`] | one endpoint's standing: lagging, silent, down, far ahead of the others |
//! | [`slot_ledger`] | which slots were seen, skipped, missed; forks |
//! | [`slot_time`] | the slot time, its error bar, the next boundary |
//! | [`subscribe`] | PubSub requests, acks, refusals, notifications |
//! | [`rpc`] | JSON-RPC bodies and answers |

pub mod endpoint;
pub mod rpc;
pub mod slot_ledger;
pub mod slot_time;
pub mod slots;
pub mod subscribe;

pub use endpoint::{ENDPOINTS_MAX, SlotNote, Trouble};
pub use slots::{FRAME_BYTES_MAX, FrameKind, SlotSession, SlotSettings};
pub use subscribe::{Commitment, SLOT_SUBSCRIBE as SUBSCRIBE};
