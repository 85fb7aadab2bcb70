//! `sol_volume_bot sim`: the built-in venues alone, for any client that speaks their protocols.
//!
//! Thread: the main one waits; the server has its own.  Invariants: stdout gets one JSON line, once the port is open.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::{Failure, exit};
use crate::sim::scenario::Scenario;
use crate::sim::server::{Server, ServerSettings};
use crate::sys::clock::Clock;
use crate::sys::signals::Signals;

/// How often the wait looks at the signals.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Options of the verb.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  sol_volume_bot sim --listen 127.0.0.1:8080 --scenario config/scenarios/happy.toml")]
pub struct SimOptions {
    /// Address to listen on; port 0 = any free one, told on stdout.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Scenario file; the demo's own if left out.
    #[arg(long)]
    pub scenario: Option<PathBuf>,
}

/// Runs the verb until SIGINT or SIGTERM.
pub fn run(options: &SimOptions) -> ExitCode {
    let scenario = match &options.scenario {
        Some(path) => Scenario::load(path),
        None => Scenario::demo(),
    };
    let scenario = match scenario {
        Ok(scenario) => scenario,
        Err(error) => return Failure::new(exit::BAD_CONFIG, &error).report("sim"),
    };
    let signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => return Failure::new(exit::FAILED, &error).report("sim"),
    };
    let settings = ServerSettings { listen: options.listen, scenario, tls: None, clock: Clock::start() };
    let handle = match Server::start(settings) {
        Ok(handle) => handle,
        Err(error) => return Failure::new(exit::FAILED, &error).report("sim"),
    };
    let ready = serde_json::json!({
        "addr": handle.addr().to_string(), "http": handle.http_url(""), "ws": handle.ws_url(""),
    });
    let mut stdout = std::io::stdout();
    if let Err(error) = writeln!(stdout, "{ready}").and_then(|()| stdout.flush()) {
        return Failure::new(exit::FAILED, &error).report("sim");
    }
    while !signals.stop_asked() {
        handle.wait_for(LOOK_EVERY, |_| signals.stop_asked());
    }
    handle.stop();
    ExitCode::SUCCESS
}
