//! `record`: what the sockets and polls deliver, raw, to disk, for a test, a replay or an argument.
//!
//! Thread: main waits; the market's agent, the scout, the pollers and the recorder have threads of their own.
//! Invariants: no key is read and no order can be sent: there is no order connection, no engine; stdout gets JSON lines.

mod ears;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use serde_json::{Map, Value, json};

use super::{Failure, exit, logger, words};

use crate::ledger::recording::{self, ClosedFile, RECORDINGS_DIR, Writer, WriterSettings};
use crate::ring::{TapSpec, tap};
use crate::sys::clock::Clock;
use crate::sys::signals::Signals;
use crate::telemetry::{Line, Lines};
use crate::threads::helpers::pollers::{PollerSettings, Pollers};
use crate::threads::helpers::recorder::{Recorded, Recorder};
use crate::types::Time;
use ears::Ears;

/// How often the wait looks at the signals.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a poller may take to end.
const PATIENCE: Duration = Duration::from_secs(2);
const BYTES_PER_MIB: u64 = 1 << 20;

/// Arguments of `record`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sol_volume_bot record --config config/config.toml --for 60s\n  \
    sol_volume_bot replay recordings\n  \
    sol_volume_bot sim --play recordings --listen 127.0.0.1:8080\n  \
    sol_volume_bot record --import btcusdt.gz --source binance_stream\n\
    Needs no keys and sends no orders. A recording is gzipped text: zcat FILE | grep -a bookTicker")]
pub struct RecordArgs {
    /// Configuration file: names the endpoints
    #[arg(long, default_value = "config/config.toml")]
    pub config: PathBuf,
    /// How long; until Ctrl-C or SIGTERM if not given
    #[arg(long = "for", value_parser = humantime::parse_duration)]
    pub length: Option<Duration>,
    /// Folder of the files
    #[arg(long, default_value = RECORDINGS_DIR)]
    pub out: PathBuf,
    /// Which feeds, comma-separated; all that are configured if not given
    #[arg(long, value_enum, value_delimiter = ',')]
    pub streams: Vec<Feed>,
    /// A new file after so many MiB, compressed (and each hour)
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub rotate_mib: u64,
    /// Takes a capture over instead: lines `<receive time, ns> <frame>`, plain or gzipped; `-` = stdin
    #[arg(long, requires = "source", conflicts_with_all = ["length", "streams"])]
    pub import: Option<PathBuf>,
    /// What the capture's frames are: `binance_stream`, `solana_ws`, `kraken_ws` ...
    #[arg(long)]
    pub source: Option<String>,
}

/// What can be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Feed {
    /// Binance market streams, snapshots and candles.
    Binance,
    /// Solana slots.
    Solana,
    /// Kraken's book, ticker and trades.
    Kraken,
    /// The market account of a Solana exchange.
    Dex,
    /// Jupiter quotes.
    Jupiter,
    /// Memecoin trades on the chain.
    Chain,
    /// DeFiLlama volumes.
    Defillama,
    /// pump.fun volume.
    Pumpfun,
    /// CoinGecko categories.
    Coingecko,
}

impl Feed {
    /// Whether a source is of this feed.
    fn has(self, source: &str) -> bool {
        let begins: &[&str] = match self {
            Feed::Binance => &["binance_"],
            Feed::Solana => &["solana_ws"],
            Feed::Kraken => &["kraken_"],
            Feed::Dex => &["dex_ws", "solana_rpc:getAccountInfo"],
            Feed::Jupiter => &["jupiter"],
            Feed::Chain => &["solana_logs", "solana_rpc:getMultipleAccounts", "solana_rpc_asked:", "bitquery"],
            Feed::Defillama => &["defillama"],
            Feed::Pumpfun => &["pumpfun"],
            Feed::Coingecko => &["coingecko"],
        };
        begins.iter().any(|begin| source.starts_with(begin))
    }
}

/// Runs the verb: 0; 2 bad usage or config; 1 a disk that takes no more; 4 if no feed said a word.
pub fn run(args: &RecordArgs) -> ExitCode {
    let done = match &args.import {
        Some(file) => import(args, file),
        None => record(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => why.report("record"),
    }
}

fn failed(why: &dyn std::fmt::Display) -> Failure {
    Failure::new(exit::FAILED, why)
}

fn writer(args: &RecordArgs) -> Result<Writer, Failure> {
    let file_bytes_max = args.rotate_mib * BYTES_PER_MIB;
    let settings = WriterSettings { file_bytes_max, ..WriterSettings::new(args.out.clone()) };
    Writer::new(settings).map_err(|why| failed(&why))
}

fn record(args: &RecordArgs) -> Result<(), Failure> {
    let mut config = super::configured(&args.config)?;
    ears::leave_out(&mut config, &args.streams);
    logger::start();
    let signals = Signals::install().map_err(|why| failed(&why))?;
    let clock = Clock::start();
    let (tap, tapped) = tap(TapSpec::DEFAULT);
    let feeds = args.streams.clone();
    let keep = move |source: &str| feeds.is_empty() || feeds.iter().any(|feed| feed.has(source));
    // The sockets first: what the configuration has wrong shows here, before a folder is made.
    let ears = Ears::build(&config, clock, &tap)?;
    let pollers = PollerSettings { tap, ..ears::poller_settings(&config, clock)? };
    let mut lines = Lines::new(Box::new(io::stdout()));
    let told = move |file: &ClosedFile| {
        lines.put(&closed_line(file, clock.now()));
        lines.flush();
    };
    let recorder = Recorder::start(writer(args)?, tapped, clock, keep, told).map_err(|why| failed(&why))?;
    let ears = ears.start(clock)?;
    let note = |note| log::info!("volume source: {note}");
    let pollers = Pollers::start(pollers, clock, |_| true, note).map_err(|why| Failure::new(exit::BAD_CONFIG, &why))?;

    let length_ns = args.length.map(|length| i64::try_from(length.as_nanos()).unwrap_or(i64::MAX));
    let until = length_ns.map_or(Time(i64::MAX), |length_ns| clock.now().plus(length_ns));
    while !signals.stop_asked() && clock.now() < until && !recorder.has_ended() {
        std::thread::park_timeout(LOOK_EVERY);
    }
    let undecodable = ears.stop();
    pollers.stop(PATIENCE);
    let recorded = recorder.stop().map_err(|why| failed(&why))?;
    say(&recorded_line(&recorded, undecodable, clock.now()));
    if recorded.sources.is_empty() {
        let why = "no feed said a word: see the warnings above, and [endpoints] of the configuration";
        return Err(Failure::new(exit::UNREACHABLE, &why));
    }
    Ok(())
}

fn import(args: &RecordArgs, file: &Path) -> Result<(), Failure> {
    let input = open_capture(file)
        .map_err(|why| Failure::new(exit::BAD_CONFIG, &format!("cannot open {}: {why}", file.display())))?;
    let mut writer = writer(args)?;
    let imported = recording::import_lines(input, args.source.as_deref().unwrap_or_default(), &mut writer);
    writer.finish().map_err(|why| failed(&why))?;
    let now = Clock::start().now();
    writer.take_closed().iter().for_each(|file| say(&closed_line(file, now)));
    let recorded = Recorded { sources: writer.counts().clone(), dropped: 0, refused: writer.refused() };
    say(&recorded_line(&recorded, 0, now));
    imported.map(drop).map_err(|why| failed(&format!("{}: {why}", file.display())))
}

/// A capture, unpacked if it is packed.
fn open_capture(file: &Path) -> io::Result<Box<dyn BufRead>> {
    const GZIP: &[u8] = b"\x1f\x8b";
    let mut raw: Box<dyn BufRead> = match file.to_str() {
        Some("-") => Box::new(BufReader::new(io::stdin())),
        _ => Box::new(BufReader::new(File::open(file)?)),
    };
    if raw.fill_buf()?.starts_with(GZIP) {
        return Ok(Box::new(BufReader::new(MultiGzDecoder::new(raw))));
    }
    Ok(raw)
}

fn say(line: &Line) {
    let mut lines = Lines::new(Box::new(io::stdout()));
    lines.put(line);
    lines.flush();
}

fn closed_line(file: &ClosedFile, now: Time) -> Line {
    let line = Line::info(now, "RECORDING_CLOSED", format!("{} is done", file.path.display()));
    let line = line.with("file", file.path.display().to_string()).with("records", file.count.records);
    let line = line.with("bytes", file.count.bytes).with("file_bytes", file.file_bytes);
    line.with("first", words::when(file.first)).with("last", words::when(file.last))
}

fn recorded_line(recorded: &Recorded, undecodable: u64, now: Time) -> Line {
    let sources: Map<String, Value> = recorded
        .sources
        .iter()
        .map(|(source, count)| (source.clone(), json!({"records": count.records, "bytes": count.bytes})))
        .collect();
    let sum = |of: fn(&recording::SourceCount) -> u64| recorded.sources.values().map(of).sum::<u64>();
    let (records, lost) = (sum(|count| count.records), recorded.dropped + recorded.refused);
    let line = match lost {
        0 => Line::info(now, "RECORDED", format!("{records} records, none lost")),
        _ => Line::warn(
            now,
            "RECORDED",
            format!("{records} records; {lost} were lost: the disk was slower than the market"),
        ),
    };
    let line = line.with("records", records).with("bytes", sum(|count| count.bytes)).with("dropped", recorded.dropped);
    line.with("refused", recorded.refused).with("undecodable", undecodable).with("sources", Value::Object(sources))
}
