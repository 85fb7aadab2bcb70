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
use super::values::{Alerts, Config, KeyType, Mode};

/// Tables that a variable such as `RISK__STOP_LOSS` may shadow.
const TABLES: [&str; 11] = [
    "EXCHANGE",
    "SYMBOLS",
    "ENDPOINTS",
    "FEEDS",
    "THRESHOLDS",
    "RISK",
    "EXECUTION",
    "THREADS",
    "STORAGE",
    "OPS",
    "GUARD",
];
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
    /// CoinGecko key.
    pub coingecko_key: Option<SecretString>,
    /// Jupiter key.
    pub jupiter_key: Option<SecretString>,
    /// Bearer token of the back-fill's source.
    pub backfill_key: Option<SecretString>,
    /// What the NATS server asks for.
    pub nats_token: Option<SecretString>,
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
        let exchange = &config.exchange;
        let mut ask = Ask { env, errors: Vec::new() };
        let secret = (Some(&exchange.binance_sec), exchange.binance_key_type);
        let secrets = Secrets {
            binance_key: ask.named("exchange.binance_key", Some(&exchange.binance_key), live),
            binance_secret: ask.secret("exchange.binance_sec", secret, live),
            kraken_key: ask.named("exchange.kraken_key", exchange.kraken_key.as_ref(), live),
            kraken_secret: ask.named("exchange.kraken_sec", exchange.kraken_sec.as_ref(), live),
            solana_keypair: ask.named("exchange.solana_keypair", exchange.solana_keypair.as_ref(), live),
            coingecko_key: ask.named("feeds.coingecko_key", config.feeds.coingecko_key.as_ref(), true),
            jupiter_key: ask.named("feeds.jupiter_key", config.feeds.jupiter_key.as_ref(), true),
            backfill_key: ask.named("feeds.backfill_key", config.feeds.backfill_key.as_ref(), true),
            nats_token: ask.named("feeds.nats_token", bus_token(config), true),
            ops_token: ask.named("ops.token", config.ops.token.as_ref(), true),
            ..Secrets::default()
        };
        ask.shape("ops.token", config.ops.token.as_ref(), &secrets.ops_token, "shorter than 16 characters", |text| {
            text.len() >= TOKEN_BYTES_MIN
        });
        let secrets = ask.channels(&config.alerts, secrets);
        ask.end(secrets)
    }

    /// What the guard needs, its key and secret in the exchange's place; `None` where the config names no such key.
    pub fn load_guard(config: &Config, env: &Env) -> Result<Option<Secrets>, ConfigErrors> {
        let guard = &config.guard;
        let Some(variable) = &guard.binance_key else { return Ok(None) };
        let mut ask = Ask { env, errors: Vec::new() };
        let secret = (guard.binance_sec.as_ref(), guard.binance_key_type);
        let secrets = Secrets {
            binance_key: ask.named("guard.binance_key", Some(variable), true),
            binance_secret: ask.secret("guard.binance_sec", secret, true),
            ..Secrets::default()
        };
        let text = |key: Option<&SecretString>| key.map(|key| key.expose_secret().to_owned());
        let engines = text(env.get(&config.exchange.binance_key));
        if !guard.same_key && engines.is_some() && engines == text(secrets.binance_key.as_ref()) {
            let why = "the engine's own key: one ban or one revocation would stop both; give the guard a key of its \
                       own, or set guard.same_key = true";
            let (variable, why) = (variable.clone(), why.to_owned());
            ask.refuse("guard.binance_key", &variable.clone(), Fault::SecretUnusable { variable, why });
        }
        let secrets = ask.channels(&config.alerts, secrets);
        ask.end(secrets).map(Some)
    }
}

fn bus_token(config: &Config) -> Option<&String> {
    config.feeds.bus.as_ref()?.token.as_ref()
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

    fn secret(
        &mut self,
        key: &str,
        (variable, kind): (Option<&String>, KeyType),
        needed: bool,
    ) -> Option<SecretString> {
        let secret = self.named(key, variable, needed)?;
        match kind {
            KeyType::Hmac => Some(secret),
            KeyType::Ed25519 => self.pem(key, variable?, secret),
        }
    }

    /// `secrets` with those of the alert channels.
    fn channels(&mut self, alerts: &Alerts, secrets: Secrets) -> Secrets {
        let (token, chat, hook) = (&alerts.telegram_token, &alerts.telegram_chat, &alerts.slack_webhook);
        let found = Secrets {
            telegram_token: self.named("alerts.telegram_token", token.as_ref(), true),
            telegram_chat: self.named("alerts.telegram_chat", chat.as_ref(), true),
            slack_webhook: self.named("alerts.slack_webhook", hook.as_ref(), true),
            ..secrets
        };
        let form = "not of the form 123456789:AA...";
        self.shape("alerts.telegram_token", token.as_ref(), &found.telegram_token, form, is_bot_token);
        let form = "not an https:// URL";
        self.shape("alerts.slack_webhook", hook.as_ref(), &found.slack_webhook, form, is_sound_webhook);
        found
    }

    fn end(self, secrets: Secrets) -> Result<Secrets, ConfigErrors> {
        if self.errors.is_empty() { Ok(secrets) } else { Err(ConfigErrors(self.errors)) }
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
    fn pem(&mut self, key: &str, variable: &str, value: SecretString) -> Option<SecretString> {
        if value.expose_secret().contains("-----BEGIN") {
            return Some(SecretString::from(value.expose_secret().replace("\\n", "\n")));
        }
        let path = Path::new(value.expose_secret());
        let text = check_mode(path).ok().and_then(|()| fs::read_to_string(path).ok());
        match text {
            Some(text) if text.contains("-----BEGIN") => Some(SecretString::from(text)),
            _ => {
                let why = "neither PEM text nor the path of a PEM file that only its owner may read".to_owned();
                self.refuse(key, variable, Fault::SecretUnusable { variable: variable.to_owned(), why });
                None
            }
        }
    }
}
