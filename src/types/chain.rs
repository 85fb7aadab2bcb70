//! Volume counted from the chain, five minutes at a time: what the counter keeps, persists and is handed back.
//!
//! Thread: any.  Invariants: a bucket starts at a whole multiple of five minutes; its sums are exact; what it did not
//! hear it says.

use super::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use super::{Qty, Time};

/// Length of a bucket, seconds.
pub const BUCKET_S: i64 = 300;
/// Length of a bucket, nanoseconds.
pub const BUCKET_NS: i64 = BUCKET_S * NANOS_PER_SEC;
/// Length of a bucket, milliseconds.
pub const BUCKET_MS: i64 = BUCKET_NS / NANOS_PER_MILLI;

/// Who counted a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BucketSource {
    /// This house, from the chain's own events.
    Counted,
    /// Bitquery, handed in afterwards.
    Bitquery,
    /// Dune, handed in afterwards.
    Dune,
}

impl BucketSource {
    /// Name in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            BucketSource::Counted => "COUNTED",
            BucketSource::Bitquery => "BITQUERY",
            BucketSource::Dune => "DUNE",
        }
    }
    /// The source of a name; `None` for a name we never wrote.
    pub fn of_name(name: &str) -> Option<BucketSource> {
        [BucketSource::Counted, BucketSource::Bitquery, BucketSource::Dune].into_iter().find(|it| it.name() == name)
    }
}

/// What becomes of a notification of a memecoin program, and of the trades in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainEvent {
    /// A notification of our subscriptions.
    Notification,
    /// ... of a transaction that failed on the chain.
    Failed,
    /// ... that had come before.
    Duplicate,
    /// A trade that counts.
    Trade,
    /// A transaction whose log the node cut short, or left out.
    Truncated,
    /// A transaction whose log contradicts itself: the rest of it was left out.
    Distrusted,
    /// An event of the program that could not be read.
    Unreadable,
    /// A trade whose time or size cannot be.
    Odd,
    /// A trade against a currency that is neither SOL nor USDC.
    OtherQuote,
    /// A trade of a pool that is turned round, or holds no memecoin.
    OddPool,
    /// A trade of a pool that nobody could tell us of in time.
    Unresolved,
    /// A trade at a time that no SOL price is known of.
    Unpriced,
    /// A notification of a subscription that is not ours, or a frame that is no JSON.
    Strange,
}

impl ChainEvent {
    /// Name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            ChainEvent::Notification => "notification",
            ChainEvent::Failed => "failed",
            ChainEvent::Duplicate => "duplicate",
            ChainEvent::Trade => "trade",
            ChainEvent::Truncated => "truncated",
            ChainEvent::Distrusted => "distrusted",
            ChainEvent::Unreadable => "unreadable",
            ChainEvent::Odd => "odd",
            ChainEvent::OtherQuote => "other_quote",
            ChainEvent::OddPool => "odd_pool",
            ChainEvent::Unresolved => "unresolved",
            ChainEvent::Unpriced => "unpriced",
            ChainEvent::Strange => "strange",
        }
    }
}

/// Volume of five minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeBucket {
    /// Start, on the chain's clock.
    pub start: Time,
    /// Who counted it.
    pub source: BucketSource,
    /// Traded against SOL.
    pub sol: Qty,
    /// Traded against USDC, 1e-6.
    pub usdc_e6: i64,
    /// Both as SOL, at the SOL prices of its time; zero beside a volume that is not = not known.
    pub sol_value: Qty,
    /// Both as USD, at the SOL prices of its time, in 1e-17: a lamport times a price, so that sums stay exact.
    pub usd_e17: i128,
    /// Trades counted.
    pub trades: u32,
    /// Trades known to be lost: cut logs, pools never resolved, no price at the time.
    pub lost: u32,
    /// Time not heard.
    pub gap_ms: u32,
}

impl VolumeBucket {
    /// Of nothing.
    pub fn empty(start: Time, source: BucketSource) -> VolumeBucket {
        VolumeBucket {
            start,
            source,
            sol: Qty::ZERO,
            usdc_e6: 0,
            sol_value: Qty::ZERO,
            usd_e17: 0,
            trades: 0,
            lost: 0,
            gap_ms: 0,
        }
    }

    /// Time that is missing, the share of lost trades included: never more than the bucket, rounded up.
    pub fn missing_ms(&self) -> i64 {
        let (lost, trades) = (i64::from(self.lost), i64::from(self.trades));
        let share = if lost == 0 { 0 } else { (BUCKET_MS * lost + lost + trades - 1) / (lost + trades) };
        (i64::from(self.gap_ms) + share).min(BUCKET_MS)
    }

    /// Whether something of it is missing.
    pub fn is_gappy(&self) -> bool {
        self.missing_ms() > 0
    }

    /// Whether at most 2 % of it is missing: then nobody else's number takes its place.
    pub fn is_whole(&self) -> bool {
        self.missing_ms() * 50 <= BUCKET_MS
    }
}
