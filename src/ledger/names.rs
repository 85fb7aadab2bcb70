//! Names of plain enums as the ledger spells them, both ways.
//!
//! Thread: any.  Invariants: a name once written is never changed: old rows must stay readable.

use crate::types::decision::Verdict;
use crate::types::event::{SourceState, VolumeDefinition};
use crate::types::order::{FeeAsset, Liquidity, OrderKind, Purpose, Reason, Side, TimeInForce};
use crate::types::record::OrderStatus;

macro_rules! names {
    ($($(#[$doc:meta])* $kind:ident { $($variant:ident = $name:literal,)+ })+) => {
        $(impl Named for $kind {
            fn name(self) -> &'static str {
                match self { $($kind::$variant => $name,)+ }
            }
            fn of_name(name: &str) -> Option<Self> {
                match name { $($name => Some($kind::$variant),)+ _ => None }
            }
        })+
    };
}

/// A value with a fixed name in the ledger.
pub(crate) trait Named: Sized {
    /// The name.
    fn name(self) -> &'static str;
    /// The value of a name; `None` for a name we never wrote.
    fn of_name(name: &str) -> Option<Self>;
}

names! {
    Side { Buy = "BUY", Sell = "SELL", }
    OrderKind { Limit = "LIMIT", LimitMaker = "LIMIT_MAKER", Market = "MARKET", StopLoss = "STOP_LOSS", StopLossLimit = "STOP_LOSS_LIMIT", }
    TimeInForce { Gtc = "GTC", Ioc = "IOC", Fok = "FOK", }
    Purpose { Entry = "ENTRY", Tp1 = "TP1", Tp2 = "TP2", Stop = "STOP", Hedge = "HEDGE", Flatten = "FLATTEN", }
    Liquidity { Maker = "MAKER", Taker = "TAKER", }
    FeeAsset { Base = "BASE", Quote = "QUOTE", Other = "OTHER", None = "NONE", }
    OrderStatus {
        Pending = "PENDING", Working = "WORKING", Partly = "PARTLY_FILLED", Filled = "FILLED", Canceled = "CANCELED",
        Expired = "EXPIRED", Rejected = "REJECTED", Unknown = "UNKNOWN",
    }
    Reason {
        None = "NONE", TimeInForce = "TIME_IN_FORCE", OcoTrigger = "OCO_TRIGGER", Unprotected = "UNPROTECTED",
        PriceMoved = "PRICE_MOVED", WouldTake = "WOULD_TAKE", Balance = "BALANCE", Filter = "FILTER",
        RateLimit = "RATE_LIMIT", Clock = "CLOCK", Duplicate = "DUPLICATE", Halt = "HALT", Other = "OTHER",
        Stopping = "STOPPING", TooLarge = "TOO_LARGE", Collar = "COLLAR", Unreadable = "UNREADABLE",
    }
    Verdict { Enter = "ENTER", Exit = "EXIT", NoOp = "NO_OP", }
    SourceState { Ok = "OK", Stale = "STALE", Suspect = "SUSPECT", Filled = "FILLED", Missing = "MISSING", Down = "DOWN", }
    VolumeDefinition { Rolling24 = "rolling24", UtcDay = "utc_day", Sampled24 = "sampled24", }
}
