//! Secrets: read once from `.env` or the process environment, wrapped, wiped on drop.
//!
//! Thread: any, at start.  Invariants: the process environment is never changed; a secret file that others may read
//! is refused; no error text holds a value, not even a part of one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::endpoints::is_sound_webhook;
use super::error::{ConfigError, ConfigErrors, Fault, Origin};
use super::values::{Config, KeyType, Mode};

/// Tables that a variable such as `RISK__STOP_LOSS` may shadow.
const TABLES: [&str; 10] =
    ["EXCHANGE", "SYMBOLS", "ENDPOINTS", "FEEDS", "THRESHOLDS", "RISK", "EXECUTION", "THREADS", "STORAGE", "OPS"];
const ALERTS_TABLE: &str = "ALERTS";

/// Permission bits of group and others.
const NOT_OWNER: u32 = 0o077;

/// Shortest token that may guard state changes.
const TOKEN_BYTES_MIN: usize = 16;

/// Variables of `.env`, with the process environment behind them.
#[derive(Debug, Default)]
pub struct Env {
    file: BTreeMap<String, SecretString>,
    process: BTreeMap<String, SecretString>,
}

impl Env {
    /// Only the given pairs, as if they stood in `.env`.
    pub fn of_pairs(pairs: &[(&str, &str)]) -> Env {
        let file = pairs.iter().map(|(name, value)| ((*name).to_owned(), SecretString::from(*value))).collect();
        Env { file, process: BTreeMap::new() }
    }

    /// Reads `path` (which may be absent unless `required`) and keeps the process environment as a fallback.
    pub fn read(path: &Path, required: bool) -> Result<Env, ConfigErrors> {
        let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, SecretString::from(value.into_string().ok()?)))
        };
        let process = std::env::vars_os().filter_map(utf8).collect();
        let file = if required || path.exists() { read_file(path)? } else { BTreeMap::new() };
        Ok(Env { file, process })
    }

    /// The secret of a variable; `.env` wins.
    pub fn get(&self, name: &str) -> Option<&SecretString> {
        self.file.get(name).or_else(|| self.process.get(name)).filter(|value| !value.expose_secret().is_empty())
    }

    /// Variables that shadow a key: `(table.key, variable, value)`; the process environment first, so that `.env` wins.
    pub(super) fn shadows(&self) -> Vec<(String, &str, &str)> {
        let mut found = Vec::new();
        for (vars, from_file) in [(&self.process, false), (&self.file, true)] {
            for (name, value) in vars {
                let table = name.split_once("__").map_or("", |(table, _)| table);
                if TABLES.contains(&table) || table == ALERTS_TABLE || (from_file && name == "MODE") {
                    found.push((name.to_ascii_lowercase().replace("__", "."), name.as_str(), value.expose_secret()));
                }
            }
        }
        found
    }
}

fn fault(path: &Path, fault: Fault) -> ConfigErrors {
    ConfigErrors(vec![ConfigError {
        origin: Origin::Path(path.display().to_string()),
        key: String::new(),
        value: None,
        fault,
    }])
}

/// Refuses a secret file that group or others may touch.
fn check_mode(path: &Path) -> Result<(), ConfigErrors> {
    let unreadable =
        |error: std::io::Error| fault(path, Fault::Unreadable { why: error.to_string(), mend: "check path and owner" });
    let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & NOT_OWNER != 0 {
        return Err(fault(path, Fault::Exposed { mode, path: path.display().to_string() }));
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<BTreeMap<String, SecretString>, ConfigErrors> {
    check_mode(path)?;
    let unreadable =
        |why: String| fault(path, Fault::Unreadable { why, mend: "lines are NAME=value; quote values with blanks" });
    let lines = dotenvy::from_path_iter(path).map_err(|_| unreadable("cannot be opened".to_owned()))?;
    let mut vars = BTreeMap::new();
    for (count, pair) in lines.enumerate() {
        // dotenvy's own text quotes the line, which may be the secret: say only which entry it was.
        let (name, value) =
            pair.map_err(|_| unreadable(format!("entry {} is not NAME=value (line not shown)", count + 1)))?;
        vars.insert(name, SecretString::from(value));
    }
    Ok(vars)
}

/// The secrets a run needs. Cloning is deliberate and rare; dropping wipes.
#[derive(Debug, Default)]
pub struct Secrets {
    /// API key of the spot exchange.
    pub binance_key: Option<SecretString>,
    /// HMAC secret, or the text of the Ed25519 PEM.
    pub binance_secret: Option<SecretString>,
    /// Kraken API key.
    pub kraken_key: Option<SecretString>,
    /// Kraken secret.
    pub kraken_secret: Option<SecretString>,
    /// Solana key pair.
    pub solana_keypair: Option<SecretString>,
    /// Guards state changes on the HTTP port.
    pub ops_token: Option<SecretString>,
    /// Telegram bot token.
    pub telegram_token: Option<SecretString>,
    /// Telegram chat: a number or `@name`.
    pub telegram_chat: Option<SecretString>,
    /// Slack webhook, whole URL.
    pub slack_webhook: Option<SecretString>,
}

impl Secrets {
    /// Collects what the config names. Exchange keys must be there in live mode only; other named ones always.
    pub fn load(config: &Config, env: &Env) -> Result<Secrets, ConfigErrors> {
        let live = config.mode == Mode::Live;
        let (exchange, alerts) = (&config.exchange, &config.alerts);
        let mut ask = Ask { env, errors: Vec::new() };
        let pem = exchange.binance_key_type == KeyType::Ed25519;
        let secrets = Secrets {
            binance_key: ask.named("exchange.binance_key", Some(&exchange.binance_key), live),
            binance_secret: ask
                .named("exchange.binance_sec", Some(&exchange.binance_sec), live)
                .and_then(|secret| if pem { ask.pem(&exchange.binance_sec, secret) } else { Some(secret) }),
            kraken_key: ask.named("exchange.kraken_key", exchange.kraken_key.as_ref(), live),
            kraken_secret: ask.named("exchange.kraken_sec", exchange.kraken_sec.as_ref(), live),
            solana_keypair: ask.named("exchange.solana_keypair", exchange.solana_keypair.as_ref(), live),
            ops_token: ask.named("ops.token", config.ops.token.as_ref(), true),
            telegram_token: ask.named("alerts.telegram_token", alerts.telegram_token.as_ref(), true),
            telegram_chat: ask.named("alerts.telegram_chat", alerts.telegram_chat.as_ref(), true),
            slack_webhook: ask.named("alerts.slack_webhook", alerts.slack_webhook.as_ref(), true),
        };
        ask.shape("ops.token", config.ops.token.as_ref(), &secrets.ops_token, "shorter than 16 characters", |text| {
            text.len() >= TOKEN_BYTES_MIN
        });
        ask.shape(
            "alerts.telegram_token",
            alerts.telegram_token.as_ref(),
            &secrets.telegram_token,
            "not of the form 123456789:AA...",
            is_bot_token,
        );
        ask.shape(
            "alerts.slack_webhook",
            alerts.slack_webhook.as_ref(),
            &secrets.slack_webhook,
            "not an https:// URL",
            is_sound_webhook,
        );
        if ask.errors.is_empty() { Ok(secrets) } else { Err(ConfigErrors(ask.errors)) }
    }
}

fn is_bot_token(text: &str) -> bool {
    let safe =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    text.split_once(':').is_some_and(|(bot, key)| safe(bot) && safe(key))
}

/// Asks for variables and collects what is missing.
struct Ask<'a> {
    env: &'a Env,
    errors: Vec<ConfigError>,
}

impl Ask<'_> {
    fn refuse(&mut self, key: &str, variable: &str, fault: Fault) {
        let origin = Origin::Variable(variable.to_owned());
        self.errors.push(ConfigError { origin, key: key.to_owned(), value: None, fault });
    }

    fn named(&mut self, key: &str, variable: Option<&String>, needed: bool) -> Option<SecretString> {
        let variable = variable?;
        let value = self.env.get(variable).cloned();
        if value.is_none() && needed {
            self.refuse(key, variable, Fault::SecretMissing { variable: variable.clone() });
        }
        value
    }

    fn shape(
        &mut self,
        key: &str,
        variable: Option<&String>,
        value: &Option<SecretString>,
        why: &str,
        ok: impl Fn(&str) -> bool,
    ) {
        if let (Some(variable), Some(value)) = (variable, value)
            && !ok(value.expose_secret())
        {
            self.refuse(key, variable, Fault::SecretUnusable { variable: variable.clone(), why: why.to_owned() });
        }
    }

    /// A PEM text as it is, or the text of the PEM file that the value names.
    fn pem(&mut self, variable: &str, value: SecretString) -> Option<SecretString> {
        if value.expose_secret().contains("-----BEGIN") {
            return Some(SecretString::from(value.expose_secret().replace("\\n", "\n")));
        }
        let path = Path::new(value.expose_secret());
        let text = check_mode(path).ok().and_then(|()| fs::read_to_string(path).ok());
        match text {
            Some(text) if text.contains("-----BEGIN") => Some(SecretString::from(text)),
            _ => {
                let why = "neither PEM text nor the path of a PEM file that only its owner may read".to_owned();
                self.refuse(
                    "exchange.binance_sec",
                    variable,
                    Fault::SecretUnusable { variable: variable.to_owned(), why },
                );
                None
            }
        }
    }
}
