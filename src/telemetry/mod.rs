//! What is told: metrics, latency histograms, JSON log lines, alert texts, status.
//!
//! Thread: cold and its helpers; [`Metrics`] and [`Board`] are read by the HTTP thread.  Invariants: nothing here is
//! called by a trading thread; names are the contract's; no text holds a secret.

pub mod alerts;
pub mod latency;
pub mod lines;
pub mod metrics;
pub mod process;
pub mod status;

pub use latency::Latencies;
pub use lines::{Level, Line, Lines, reconcile_line};
pub use metrics::{BusMetrics, Metrics};
pub use status::{Board, Status};
