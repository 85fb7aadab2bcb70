//! `demo`: the whole engine against built-in venues, hours compressed into seconds. No keys, no network.
//!
//! Thread: main.  Invariants: every connection goes to loopback; everything written lies in a folder of its own, named
//! at the end.

use super::house::{self, Blueprint};
use super::{Failure, exit, logger, paper};
use crate::config::{self, Config, Env, Secrets};
use crate::sim::scenario::Scenario;
use crate::sim::server::{Handle, Server, ServerSettings};
use crate::sys::clock::Clock;
use crate::sys::signals::Signals;
use crate::types::time::NANOS_PER_SEC;
use secrecy::SecretString;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const CONFIG: &str = include_str!("../../config/demo.toml");
const CONFIG_NAME: &str = "config/demo.toml (built in)";
/// Made up; the built-in Telegram and Slack take anything. Guards the demo's own port too.
const DEMO_TELEGRAM: &str = "123456789:AAdemo-token-of-the-built-in-venue-only";
const DEMO_CHAT: &str = "4711";
const DEMO_SLACK_PATH: &str = "/slack/services/T0/B0/demo-webhook";

/// Arguments of `demo`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: sol_volume_bot demo --for 90s --seed 7")]
pub struct DemoArgs {
    /// How long it runs; Ctrl-C ends it sooner
    #[arg(long = "for", default_value = "90s", value_parser = humantime::parse_duration)]
    pub length: std::time::Duration,
    /// Seed of the synthetic market; the scenario's own if not given
    #[arg(long)]
    pub seed: Option<u64>,
    /// No story on stderr, only JSON lines on stdout
    #[arg(long)]
    pub headless: bool,
    /// Another scenario than the built-in one
    #[arg(long)]
    pub scenario: Option<PathBuf>,
    /// Where everything is written; a new folder under the system's temporary one if not given
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// Address of the ops port
    #[arg(long, default_value = "127.0.0.1:0")]
    pub ops: SocketAddr,
}

/// Runs the verb.
pub fn run(args: &DemoArgs) -> ExitCode {
    match show(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => why.report("demo"),
    }
}

fn show(args: &DemoArgs) -> Result<(), Failure> {
    let failed = |why: &dyn std::fmt::Display| Failure::new(exit::FAILED, why);
    logger::start();
    let signals = Signals::install().map_err(|why| failed(&why))?;
    let clock = Clock::start();
    let mut scenario = match &args.scenario {
        Some(path) => Scenario::load(path),
        None => Scenario::demo(),
    }
    .map_err(|why| Failure::new(exit::BAD_CONFIG, &why))?;
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    let mut secrets = demo_secrets();
    let mut config = config::parse(CONFIG, CONFIG_NAME, &Env::default()).map_err(|why| failed(&why))?;
    paper::use_paper_keys(&mut config, &mut secrets, &scenario);
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings = ServerSettings { listen, scenario, tls: None, clock };
    let venue = Server::start(settings).map_err(|why| failed(&why))?;
    aim_at(&mut config, &mut secrets, &venue);
    config.ops.listen = args.ops;
    let dir = args.data_dir.clone().unwrap_or_else(|| fresh_dir(clock));
    config.storage.data_dir.clone_from(&dir);

    let net = house::net(&config, clock)?;
    let (order_rest, order_ws_api) = (config.endpoints.binance_rest.clone(), config.endpoints.binance_ws_api.clone());
    let story = !args.headless;
    let mut house = house::build(Blueprint { config, secrets, order_rest, order_ws_api, clock, net, story })?;
    let ops = house.ops_addr();
    let head = format!("dashboard: http://{ops}/   metrics: http://{ops}/metrics   ends by itself, or with Ctrl-C");
    tell(args, &head);
    let seconds = args.length.as_secs();
    tell(
        args,
        &format!("hours of the market in {seconds} s, from built-in venues over loopback; nothing here is real money"),
    );
    let length_ns = i64::try_from(args.length.as_nanos()).unwrap_or(i64::MAX);
    let until = clock.now().plus(length_ns);
    house.stand(&signals, None, |_| clock.now() >= until);
    let status = house.status();
    let closed = house.close();
    venue.stop();
    tell(args, &epilogue(&status, &dir));
    closed
}

fn tell(args: &DemoArgs, text: &str) {
    if !args.headless {
        drop(writeln!(std::io::stderr(), "{text}")); // stderr may be closed; the JSON lines tell the same
    }
}

fn epilogue(status: &crate::telemetry::Status, dir: &Path) -> String {
    let realized = status.equity.map(|row| row.realized).unwrap_or_default();
    format!(
        "done: {} fills, {} round trip(s) ended, realised {realized:.2} USDT; everything is in {}",
        status.fills,
        status.trades,
        dir.display()
    )
}

/// Every endpoint at the built-in venues.
fn aim_at(config: &mut Config, secrets: &mut Secrets, venue: &Handle) {
    let ends = &mut config.endpoints;
    ends.binance_rest = venue.http_url("");
    ends.binance_stream = venue.ws_url("");
    ends.binance_ws_api = venue.ws_url("/ws-api/v3");
    ends.solana_ws = venue.ws_url("/solana");
    ends.solana_rpc = venue.http_url("/solana");
    ends.defillama = Some(venue.http_url("/llama"));
    ends.kraken_ws = Some(venue.ws_url("/kraken/ws"));
    ends.kraken_rest = venue.http_url("/kraken");
    ends.jupiter = Some(venue.http_url("/jupiter"));
    ends.coingecko = Some(venue.http_url("/coingecko"));
    ends.bitquery = Some(venue.http_url("/bitquery"));
    ends.pumpfun = Some(venue.http_url("/pump/volume"));
    ends.telegram = venue.http_url("/telegram");
    ends.slack = None;
    secrets.slack_webhook = Some(SecretString::from(venue.http_url(DEMO_SLACK_PATH)));
}

fn demo_secrets() -> Secrets {
    Secrets {
        telegram_token: Some(SecretString::from(DEMO_TELEGRAM)),
        telegram_chat: Some(SecretString::from(DEMO_CHAT)),
        ..Secrets::default()
    }
}

fn fresh_dir(clock: Clock) -> PathBuf {
    let seconds = clock.now().0 / NANOS_PER_SEC;
    std::env::temp_dir().join(format!("sol_volume_bot-demo-{seconds}-{}", std::process::id()))
}
