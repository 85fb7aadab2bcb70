//! The vocabulary: fixed-point units, ids, events, commands, limits. The ground floor; everything may use it.
//!
//! Thread: any.  Invariants: every type here is plain data; money and sizes are integers that say their unit;
//! nothing reads a clock, a socket or a file.

pub mod chain;
pub mod command;
pub mod decision;
pub mod event;
pub mod ids;
pub mod instrument;
pub mod note;
pub mod order;
pub mod pace;
pub mod params;
pub mod reconcile;
pub mod record;
pub mod setup;
pub mod time;
pub mod units;

pub use command::{Command, CommandBuf};
pub use event::{Event, EventKind};
pub use ids::{ClientOrderId, Leg, StreamId, VenueOrderId};
pub use instrument::Instrument;
pub use order::{ExecKind, ExecutionReport, Liquidity, OrderKind, Purpose, Side, TimeInForce};
pub use params::{ParamKey, Params};
pub use record::Record;
pub use time::{Millis, Time};
pub use units::{Bps, Notional, Price, Qty, Ratio};
