//! `sol_volume_bot sim`: the built-in venues alone, for any client that speaks their protocols.
//!
//! Thread: the main one waits; the server has its own.  Invariants: stdout gets one JSON line, once the
//! port is open, and one more at the end of a recording.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Failure, exit, playback};
use crate::sim::play::{PlaySettings, Player, Speed, probe};
use crate::sim::scenario::Scenario;
use crate::sim::server::{Server, ServerSettings};
use crate::sys::clock::Clock;
use crate::sys::signals::Signals;

/// How often the wait looks at the signals.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Options of the verb.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sol_volume_bot sim --listen 127.0.0.1:8080 --scenario config/scenarios/happy.toml\n  \
    sol_volume_bot sim --listen 127.0.0.1:8080 --play recordings --speed 10\n\
    A recording begins with the first market-stream client. Its frames go out as they were recorded, times in them \
    unchanged; orders fill on its top of book."
)]
pub struct SimOptions {
    /// Address to listen on; port 0 = any free one, told on stdout.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Scenario file; the demo's own if left out.
    #[arg(long)]
    pub scenario: Option<PathBuf>,
    /// A recording (*.svr.gz or a folder of them) as the market, the slots and the polls; ends with it
    #[arg(long)]
    pub play: Option<PathBuf>,
    /// How fast the recording is played; 1 = as it was
    #[arg(long, default_value = "1", requires = "play")]
    pub speed: Speed,
    /// Play the recording again and again
    #[arg(long = "loop", requires = "play")]
    pub repeat: bool,
}

/// Runs the verb until SIGINT or SIGTERM, or to the end of the recording.
pub fn run(options: &SimOptions) -> ExitCode {
    match serve(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => why.report("sim"),
    }
}

fn serve(options: &SimOptions) -> Result<(), Failure> {
    let failed = |why: &dyn std::fmt::Display| Failure::new(exit::FAILED, why);
    let scenario = match &options.scenario {
        Some(path) => Scenario::load(path),
        None => Scenario::demo(),
    };
    let scenario = scenario.map_err(|why| Failure::new(exit::BAD_CONFIG, &why))?;
    if let Some(path) = options.play.as_deref().filter(|path| !path.exists()) {
        let why = format!("--play {}: no such file or folder; name a recording (*.svr.gz)", path.display());
        return Err(Failure::new(exit::BAD_CONFIG, &why));
    }
    let looked = options.play.as_deref().map(probe).transpose().map_err(|why| playback::unreadable(&why))?;
    let signals = Signals::install().map_err(|why| failed(&why))?;
    let clock = Clock::start();
    let settings = ServerSettings { listen: options.listen, scenario, tls: None, clock };
    let handle = Arc::new(Server::start(settings).map_err(|why| failed(&why))?);
    let player = match (&options.play, looked) {
        (Some(path), Some(looked)) => {
            let settings = PlaySettings { path: path.clone(), speed: options.speed, repeat: options.repeat };
            Some(Player::start(Arc::clone(&handle), settings, &looked, clock).map_err(|why| failed(&why))?)
        }
        _ => None,
    };
    say(&json!({
        "addr": handle.addr().to_string(), "http": handle.http_url(""), "ws": handle.ws_url(""),
    }))?;
    let has_ended = |player: &Option<Player>| player.as_ref().is_some_and(Player::has_ended);
    while !signals.stop_asked() && !has_ended(&player) {
        handle.wait_for(LOOK_EVERY, |_| signals.stop_asked() || has_ended(&player));
    }
    let played = player.map(Player::stop).transpose().map_err(|why| playback::unreadable(&why))?;
    if let Some(played) = played {
        let torn: Vec<Value> = played.torn.iter().map(|torn| json!({"path": torn.path, "byte": torn.byte})).collect();
        say(&json!({"played": played.records, "rounds": played.rounds, "torn": torn}))?;
    }
    Ok(()) // the last handle closes every connection and waits for the thread
}

fn say(line: &Value) -> Result<(), Failure> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).map_err(|why| Failure::new(exit::FAILED, &why))
}
