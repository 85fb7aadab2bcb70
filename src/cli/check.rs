//! `check`: config, `.env`, host and venue, without trading.
//!
//! Thread: main.  Invariants: starts nothing, writes nothing; with `--offline` it connects to nothing.

use super::house::{self, net};
use super::run::{ModeArg, RunArgs};
use super::venue_facts::{Desk, VenueFacts};
use super::{Failure, exit};
use crate::config::{self, Config, Secrets};
use crate::recovery::{Holdings, Witness};
use crate::sys::clock::Clock;
use crate::sys::cores::{self, HostFacts};
use crate::telemetry::metrics::BUS_SUBJECTS;
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `check`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: sol_volume_bot check --offline")]
pub struct CheckArgs {
    /// Configuration file
    #[arg(long, default_value = "config/config.toml")]
    pub config: PathBuf,
    /// Check as for this mode; the file's `mode` if not given
    #[arg(long, value_enum)]
    pub mode: Option<ModeArg>,
    /// Secrets; `.env` in the working directory if not given
    #[arg(long)]
    pub env_file: Option<PathBuf>,
    /// Connect to nothing
    #[arg(long)]
    pub offline: bool,
    /// One JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

/// Runs the verb: 0 if a run would start, else the code that the run would end with.
pub fn run(args: &CheckArgs) -> ExitCode {
    match look(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => why.report("check"),
    }
}

fn look(args: &CheckArgs) -> Result<(), Failure> {
    let run = RunArgs { config: args.config.clone(), mode: args.mode, env_file: args.env_file.clone(), data_dir: None };
    let (config, secrets) = config::load(&run.sources()).map_err(|why| Failure::new(exit::BAD_CONFIG, &why))?;
    let clock = Clock::start();
    drop(net(&config, clock)?); // the CA file is read, nothing is connected
    let has_key = secrets.binance_key.is_some() && secrets.binance_secret.is_some();
    if has_key {
        house::signer(&config, &secrets)?;
    }
    let venue = if !args.offline && has_key { Some(ask(&config, &secrets, clock)?) } else { None };
    let report = report(&config, venue.as_ref(), args.offline);
    let text = if args.json { report.to_string() } else { plain(&report) };
    writeln!(std::io::stdout(), "{text}").map_err(|why| Failure::new(exit::FAILED, &why))
}

/// What `check` shows of the venue.
struct Shown {
    facts: VenueFacts,
    holdings: Holdings,
    open_orders: usize,
}

fn ask(config: &Config, secrets: &Secrets, clock: Clock) -> Result<Shown, Failure> {
    let signer = house::signer(config, secrets)?;
    let key = house::api_key(secrets);
    let ca_file = config.endpoints.ca_file.as_deref();
    let mut desk = Desk::new(&config.endpoints.binance_rest, &key, &signer, ca_file, clock)?;
    let facts = desk.rules(config.symbols.spot)?;
    let mut account = desk.account(&facts.instrument);
    let (holdings, open_orders) = (account.holdings()?, account.open_orders()?.len());
    Ok(Shown { facts, holdings, open_orders })
}

fn report(config: &Config, venue: Option<&Shown>, offline: bool) -> Value {
    let host = HostFacts::read();
    let venue = match venue {
        Some(Shown { facts, holdings, open_orders }) => json!({
            "symbol": facts.instrument.symbol.as_str(),
            "tick": facts.instrument.tick.to_string(),
            "lot": facts.instrument.lot.to_string(),
            "notional_min": facts.instrument.notional_min.to_string(),
            "algo_orders_max": facts.instrument.algo_orders_max,
            "fee_maker": facts.instrument.fee_maker.to_string(),
            "fee_taker": facts.instrument.fee_taker.to_string(),
            "clock_offset_ms": facts.clock.offset_ns / 1_000_000,
            "cash": holdings.cash.to_string(),
            "base": holdings.base.to_string(),
            "open_orders": open_orders,
        }),
        None if offline => json!("not asked (--offline)"),
        None => json!("not asked: no exchange key in .env (paper needs none)"),
    };
    json!({
        "config": "sound",
        "mode": config.mode.name(),
        "values": config.effective,
        "host": { "cores": cores::allowed(), "isolated": host.isolated, "tickless": host.tickless, "governor": host.governor,
            "smt_active": host.smt_active, "huge_pages": host.huge_pages, "clock_source": host.clock_source },
        "bus": bus(config),
        "venue": venue,
    })
}

/// What would come over the bus; it is not connected to.
fn bus(config: &Config) -> Value {
    let Some(bus) = &config.feeds.bus else { return json!("off (feeds.nats is empty)") };
    let streams: Vec<&str> = bus.streams.iter().map(|stream| stream.name()).collect();
    json!({
        "server": bus.url,
        "takes": streams.iter().map(|name| format!("{}.feed.{name}", bus.subject)).collect::<Vec<_>>().join(" "),
        "gives": BUS_SUBJECTS.map(|name| format!("{}.{name}", bus.subject)).join(" "),
        "token": if bus.token.is_some() { "sent" } else { "none" },
    })
}

fn plain(report: &Value) -> String {
    let mut lines = Vec::new();
    for (name, value) in report.as_object().into_iter().flatten() {
        match value {
            Value::Object(map) => lines.extend(map.iter().map(|(key, inner)| format!("{name}.{key}: {}", word(inner)))),
            other => lines.push(format!("{name}: {}", word(other))),
        }
    }
    lines.join("\n")
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
