//! `pause`, `resume`, `flatten`, `kill`: a word to the running engine, through its control socket.
//!
//! Thread: main.  Invariants: prints what the engine answered, nothing of its own; 1 if no engine answers.

use super::{Failure, exit};
use crate::sys::local;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// How long the engine may take to answer: the status follows a word within a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// Arguments of every control verb.
#[derive(Clone, Debug, clap::Args)]
pub struct ControlArgs {
    /// Configuration file: names the data directory
    #[arg(long, default_value = "config/config.toml")]
    pub config: PathBuf,
    /// The running engine's data directory, instead of the file's `storage.data_dir`
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// Print the JSON as it came
    #[arg(long)]
    pub json: bool,
}

/// Says `word` to the engine: 0 and its answer, 1 if none answers or it does not take the word, 2 for a bad configuration.
pub fn run(word: &str, args: &ControlArgs) -> ExitCode {
    match say(word, args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => why.report(word),
    }
}

fn say(word: &str, args: &ControlArgs) -> Result<(), Failure> {
    let dir = match &args.data_dir {
        Some(dir) => dir.clone(),
        None => super::configured(&args.config)?.storage.data_dir,
    };
    let answer = ask(word, &dir).map_err(|why| {
        let hint = "is it running, and is this its data directory (--data-dir)?";
        Failure::new(exit::FAILED, &format!("no engine answers in {}: {why}; {hint}", dir.display()))
    })?;
    let value: serde_json::Value = serde_json::from_str(&answer)
        .map_err(|why| Failure::new(exit::FAILED, &format!("the engine's answer is no JSON ({why}): {answer}")))?;
    if let Some(refused) = value["error"].as_str() {
        return Err(Failure::new(exit::FAILED, &refused));
    }
    let text = if args.json { answer.trim_end().to_owned() } else { super::status::plain(&answer) };
    writeln!(std::io::stdout(), "{text}").map_err(|why| Failure::new(exit::FAILED, &why))
}

fn ask(word: &str, dir: &std::path::Path) -> std::io::Result<String> {
    let mut engine = local::connect(dir)?;
    engine.set_read_timeout(Some(PATIENCE))?;
    engine.set_write_timeout(Some(PATIENCE))?;
    engine.write_all(format!("{word}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(engine).read_line(&mut answer)?;
    Ok(answer)
}
