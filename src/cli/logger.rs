//! What the libraries and the network layer have to say, as JSON lines beside the engine's own.
//!
//! Thread: any but the hot path, which says nothing.  Invariants: one object a line on stdout, like all others; the
//! level is `RUST_LOG`'s, `warn` if unset.

use crate::sys::clock::Clock;
use crate::telemetry::lines::rfc3339_us;
use env_logger::{Builder, Env, Target};
use std::io::Write;

/// Starts it; a second call is ignored.
pub fn start() {
    let clock = Clock::start();
    let started = Builder::from_env(Env::default().default_filter_or("warn,sol_volume_bot=info"))
        .target(Target::Stdout)
        .format(move |out, record| {
            let level = record.level().as_str().to_ascii_lowercase();
            let ts = rfc3339_us(clock.now());
            let line = serde_json::json!({
                "ts": ts, "level": level, "event": "LOG", "msg": record.args().to_string(), "from": record.target(),
            });
            writeln!(out, "{line}")
        })
        .try_init();
    drop(started); // an earlier one serves
}
