//! The verbs, one file each.
//!
//! Thread: main.  Invariants: exit codes as in the contract; an error says what, where and how to mend it, on stderr.

pub mod check;
pub mod control;
pub mod decode;
pub mod demo;
pub mod explain;
pub mod guard;
mod house;
mod logger;
mod paper;
pub mod playback;
pub mod record;
pub mod replay;
pub mod run;
pub mod sim;
pub mod status;
mod venue_facts;
mod words;

use crate::config::{self, Config, Env};
use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Exit codes of every verb.
pub mod exit {
    /// Failed while running.
    pub const FAILED: u8 = 1;
    /// Bad usage or configuration.
    pub const BAD_CONFIG: u8 = 2;
    /// The venue refused our key.
    pub const CREDENTIALS: u8 = 3;
    /// The venue did not answer at start.
    pub const UNREACHABLE: u8 = 4;
    /// A verification found a difference.
    pub const DIFFERENCE: u8 = 5;
}

/// The configuration as the engine beside this file and its `.env` would have it, secrets aside: for verbs that only need
/// to know where things are.
fn configured(path: &Path) -> Result<Config, Failure> {
    let bad = |why: &dyn Display| Failure::new(exit::BAD_CONFIG, why);
    let text = std::fs::read_to_string(path).map_err(|why| bad(&format!("{}: {why}", path.display())))?;
    let env = Env::read(Path::new(".env"), false).map_err(|why| bad(&why))?; // it shadows any key
    config::parse(&text, &path.display().to_string(), &env).map_err(|why| bad(&why))
}

/// Why a verb ended, and with which code.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    text: String,
}

impl Display for Failure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.text)
    }
}

impl Failure {
    /// A failure with its exit code and its text.
    pub fn new(code: u8, why: &dyn Display) -> Failure {
        Failure { code, text: why.to_string() }
    }
    /// Says it on stderr and gives the exit code.
    pub fn report(&self, verb: &str) -> ExitCode {
        // stderr may be closed; the exit code still tells
        drop(writeln!(std::io::stderr(), "sol_volume_bot {verb}: {}", self.text));
        ExitCode::from(self.code)
    }
}
