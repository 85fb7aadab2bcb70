//! The configuration: `config.toml` and `.env` become validated plain values, or a list of everything that is wrong.
//!
//! Thread: any, at start and on SIGHUP.  Invariants: money and ratios are read from the literal's text, never through
//! a float; an unknown key is an error; all faults are reported at once; a secret's value is in no error text.

mod checks;
mod endpoints;
mod env;
mod error;
mod feeds;
mod nearest;
mod reader;
mod reload;
mod sections;
mod source;
mod strategy;
mod values;

use std::path::{Path, PathBuf};

pub use endpoints::{Endpoints, is_loopback_url};
pub use env::{Env, Secrets};
pub use error::{ConfigError, ConfigErrors, Fault, Origin};
pub use reload::{Reload, diff};
pub use values::{
    AlertKinds, Alerts, Bus, CandleInterval, ChainScope, Config, Exchange, Feeds, Guard, KeyType, Layout, Mode, OnDead,
    Ops, StaleAfter, Storage, Symbols, Threads,
};

/// Where the configuration comes from, and what the command line adds to it.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The TOML file.
    pub config: PathBuf,
    /// The `.env` file; `None` = `.env` in the working directory, if there is one.
    pub env_file: Option<PathBuf>,
    /// `--mode`, which wins over the file.
    pub mode: Option<Mode>,
    /// `--data-dir`, which wins over the file.
    pub data_dir: Option<PathBuf>,
}

/// Reads and checks everything. Nothing is written, nothing is started.
///
/// Errors: all faults found, each with file and line (or variable), key, value, what is allowed and how to mend it.
pub fn load(from: &Sources) -> Result<(Config, Secrets), ConfigErrors> {
    let (config, env) = load_values(from)?;
    let secrets = Secrets::load(&config, &env)?;
    Ok((config, secrets))
}

/// As [`load`], but with the guard's key and secret in the exchange's place and without any other that it does not
/// need; `None` where `[guard]` names no key.
///
/// Errors: as [`load`]; and a guard with the engine's own key, unless the file allows it.
pub fn load_guard(from: &Sources) -> Result<(Config, Option<Secrets>), ConfigErrors> {
    let (config, env) = load_values(from)?;
    let secrets = Secrets::load_guard(&config, &env)?;
    Ok((config, secrets))
}

fn load_values(from: &Sources) -> Result<(Config, Env), ConfigErrors> {
    let text = read_text(&from.config)?;
    let env = match &from.env_file {
        Some(path) => Env::read(path, true)?,
        None => Env::read(Path::new(".env"), false)?,
    };
    let mut config = parse(&text, &from.config.display().to_string(), &env)?;
    if let Some(mode) = from.mode {
        config.mode = mode;
    }
    if let Some(dir) = &from.data_dir {
        config.storage.data_dir.clone_from(dir);
    }
    checks::of_mode(&config, &from.config.display().to_string())?;
    Ok((config, env))
}

/// Checks the text of a configuration file, shadowed by `env` (`RISK__STOP_LOSS=154`). Reads no file.
pub fn parse(text: &str, file_name: &str, env: &Env) -> Result<Config, ConfigErrors> {
    let source = source::Source::parse(text, file_name, env)?;
    let mut reader = reader::Reader::new(source);
    let config = sections::config(&mut reader);
    checks::cross_checks(&config, &mut reader);
    let (effective, errors) = reader.finish();
    if errors.is_empty() { Ok(Config { effective, ..config }) } else { Err(ConfigErrors(errors)) }
}

fn read_text(path: &Path) -> Result<String, ConfigErrors> {
    std::fs::read_to_string(path).map_err(|error| {
        let fault = Fault::Unreadable { why: error.to_string(), mend: "name an existing file with --config PATH" };
        ConfigErrors(vec![ConfigError {
            origin: Origin::Path(path.display().to_string()),
            key: String::new(),
            value: None,
            fault,
        }])
    })
}
