//! `run`: trade. On paper by default: the live market, orders matched by the built-in venue.
//!
//! Thread: main.  Invariants: live trading must be said; a configuration that is not sound starts nothing and writes
//! nothing.

use super::house::{self, Blueprint, House};
use super::{Failure, exit, paper};
use crate::config::{self, Config, Mode, Secrets, Sources};
use crate::sys::clock::Clock;
use crate::sys::files;
use crate::sys::signals::Signals;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `run`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: sol_volume_bot run --config config/config.toml --mode live")]
pub struct RunArgs {
    /// Configuration file
    #[arg(long, default_value = "config/config.toml")]
    pub config: PathBuf,
    /// Where orders go; the file's `mode` if not given
    #[arg(long, value_enum)]
    pub mode: Option<ModeArg>,
    /// Secrets; `.env` in the working directory if not given
    #[arg(long)]
    pub env_file: Option<PathBuf>,
    /// Where everything is written; the file's `storage.data_dir` if not given
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
}

/// Where orders go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ModeArg {
    /// To the built-in venue, whose market follows the live one
    Paper,
    /// To the exchange
    Live,
}

impl RunArgs {
    /// As the config room wants it.
    pub fn sources(&self) -> Sources {
        let mode = self.mode.map(|mode| match mode {
            ModeArg::Paper => Mode::Paper,
            ModeArg::Live => Mode::Live,
        });
        let (env_file, data_dir) = (self.env_file.clone(), self.data_dir.clone());
        Sources { config: self.config.clone(), env_file, mode, data_dir }
    }
}

/// Runs the verb.
pub fn run(args: &RunArgs) -> ExitCode {
    match trade(&args.sources()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => why.report("run"),
    }
}

fn trade(sources: &Sources) -> Result<(), Failure> {
    let (config, secrets) = config::load(sources).map_err(|why| Failure::new(exit::BAD_CONFIG, &why))?;
    super::logger::start();
    files::disable_core_dumps().map_err(|why| Failure::new(exit::FAILED, &why))?;
    let signals = Signals::install().map_err(|why| Failure::new(exit::FAILED, &why))?;
    let clock = Clock::start();
    match config.mode {
        Mode::Live => stand(live(config, secrets, clock)?, &signals, sources),
        Mode::Paper => {
            let (blueprint, venue) = paper::open(config, secrets, clock)?;
            let ended = stand(blueprint, &signals, sources);
            venue.close();
            ended
        }
    }
}

fn live(config: Config, secrets: Secrets, clock: Clock) -> Result<Blueprint, Failure> {
    let net = house::net(&config, clock)?;
    house::signer(&config, &secrets)?; // a key that cannot sign is a fault of the configuration: nothing opens yet
    let (order_rest, order_ws_api) = (config.endpoints.binance_rest.clone(), config.endpoints.binance_ws_api.clone());
    Ok(Blueprint { config, secrets, order_rest, order_ws_api, clock, net, story: false })
}

fn stand(blueprint: Blueprint, signals: &Signals, sources: &Sources) -> Result<(), Failure> {
    let mut house: House = house::build(blueprint)?;
    house.stand(signals, Some(sources), |_| false);
    house.close()
}
