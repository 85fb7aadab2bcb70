//! `status`: what a running engine does.
//!
//! Thread: main.  Invariants: asks the ops port on the address that the configuration names; changes nothing.

use super::{Failure, exit};

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// How long the engine may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Arguments of `status`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: sol_volume_bot status --json")]
pub struct StatusArgs {
    /// Configuration file: names the port to ask
    #[arg(long, default_value = "config/config.toml")]
    pub config: PathBuf,
    /// Address to ask instead, `127.0.0.1:9464`
    #[arg(long)]
    pub ops: Option<String>,
    /// Print the JSON as it came
    #[arg(long)]
    pub json: bool,
}

/// Runs the verb: 0 and the status, or 1 if no engine answers.
pub fn run(args: &StatusArgs) -> ExitCode {
    match ask(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => why.report("status"),
    }
}

fn ask(args: &StatusArgs) -> Result<(), Failure> {
    let addr = match &args.ops {
        Some(addr) => addr.clone(),
        None => super::configured(&args.config)?.ops.listen.to_string(),
    };
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().into();
    let answer = agent.get(format!("http://{addr}/api/status")).call();
    let body = answer.and_then(|mut answer| answer.body_mut().read_to_string());
    let body = body.map_err(|why| Failure::new(exit::FAILED, &format!("no engine answers on {addr}: {why}")))?;
    let text = if args.json { body } else { plain(&body) };
    let mut out = std::io::stdout();
    writeln!(out, "{text}").map_err(|why| Failure::new(exit::FAILED, &why))
}

/// One `name: value` a line, nested names joined by dots.
pub(super) fn plain(body: &str) -> String {
    let mut lines = Vec::new();
    match serde_json::from_str(body) {
        Ok(value) => flatten("", &value, &mut lines),
        Err(_) => lines.push(body.to_owned()),
    }
    lines.join("\n")
}

fn flatten(name: &str, value: &serde_json::Value, lines: &mut Vec<String>) {
    let join = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    match value {
        serde_json::Value::Object(map) => map.iter().for_each(|(key, inner)| flatten(&join(key), inner, lines)),
        serde_json::Value::String(text) => lines.push(format!("{name}: {text}")),
        other => lines.push(format!("{name}: {other}")),
    }
}
