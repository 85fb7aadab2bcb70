//! `guard`: a second, tiny process with its own key that looks after the orders of an engine that no longer can.
//!
//! Thread: main; alarms and names have threads of their own.  Invariants: it acts only on what the heartbeat page and
//! the venue say; an engine that lives keeps its account; a clean end needs nothing.
//!
//! It acts when the engine is frozen or gone without a clean end for `guard.patience_ms`, or over
//! `guard.loss_limit_pct`. Then entries are cancelled, and by `guard.on_dead` the position is sold. One silence is
//! acted on until that is done, once. An engine that turns again is watched anew, with the whole patience; what was
//! cancelled meanwhile the venue tells it.

mod act;
mod flatten;
mod voice;
mod watch;
mod wire;

use self::act::{Incident, Outcome, buying};
use self::voice::Voice;
use self::watch::{Sight, Verdict, Watch};
use self::wire::{Wire, WireError, link_config};
use super::house;
use super::run::{ModeArg, RunArgs};
use super::venue_facts::{Desk, VenueFacts};
use super::{Failure, exit, logger};
use crate::config::{self, Config, Mode, Secrets};
use crate::recovery::Witness;
use crate::sys::clock::Clock;
use crate::sys::files;
use crate::sys::heartbeat::{Page, Reading, RunState};
use crate::sys::signals::Signals;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::{ClientOrderId, Time};
use std::path::PathBuf;
use std::process::ExitCode;

/// How often a signed question proves that key and connection still work.
const PROOF_EVERY_NS: i64 = 60 * NANOS_PER_SEC;
/// How long its answer may take.
const PROOF_NS_MAX: i64 = 3 * NANOS_PER_SEC;
/// Pause before an incident that could not be ended is tried again.
const RETRY_NS: i64 = 10 * NANOS_PER_SEC;
/// How old the list of entries may be that the first cancels go by.
const KNOWN_NS_MAX: i64 = 60 * NANOS_PER_SEC;

/// Arguments of `guard`: those of `run`, so that both can be given the same.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: sol_volume_bot guard --config config/config.toml --mode live")]
pub struct GuardArgs {
    /// Configuration file, the engine's own
    #[arg(long, default_value = "config/config.toml")]
    pub config: PathBuf,
    /// Must be live: on paper there is nothing to guard
    #[arg(long, value_enum)]
    pub mode: Option<ModeArg>,
    /// Secrets; `.env` in the working directory if not given. It need not hold the engine's
    #[arg(long)]
    pub env_file: Option<PathBuf>,
    /// The engine's data directory; the file's `storage.data_dir` if not given
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// End with 0 at once where there is nothing to guard: no key in [guard], or paper mode
    #[arg(long)]
    pub if_configured: bool,
}

/// Runs the verb until SIGTERM or SIGINT.
pub fn run(args: &GuardArgs) -> ExitCode {
    match watch_over(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => why.report("guard"),
    }
}

fn watch_over(args: &GuardArgs) -> Result<(), Failure> {
    let bad = |why: &dyn std::fmt::Display| Failure::new(exit::BAD_CONFIG, why);
    let failed = |why: &dyn std::fmt::Display| Failure::new(exit::FAILED, why);
    let run = RunArgs {
        config: args.config.clone(),
        mode: args.mode,
        env_file: args.env_file.clone(),
        data_dir: args.data_dir.clone(),
    };
    let (config, secrets) = config::load_guard(&run.sources()).map_err(|why| bad(&why))?;
    let nothing = match (&secrets, config.mode) {
        (None, _) => Some("guard.binance_key names no variable: name the guard's own key there"),
        (_, Mode::Paper) => {
            Some("paper orders rest in the engine's own process: there is nothing to guard; --mode live")
        }
        (Some(_), Mode::Live) => None,
    };
    let secrets = match (nothing, secrets) {
        (Some(_), _) if args.if_configured => return Ok(()),
        (None, Some(secrets)) => secrets,
        (why, _) => return Err(bad(&why.unwrap_or_default())),
    };
    logger::start();
    files::disable_core_dumps().map_err(|why| failed(&why))?;
    let signals = Signals::install().map_err(|why| failed(&why))?;
    let clock = Clock::start();
    let _lock = files::lock_guard(&config.storage.data_dir).map_err(|why| failed(&why))?;
    let api_key = house::api_key(&secrets);
    let signer = house::guard_signer(&config, &secrets)?;
    let (rest, ca_file) = (config.endpoints.binance_rest.as_str(), config.endpoints.ca_file.as_deref());
    let mut desk = Desk::new(rest, &api_key, &signer, ca_file, clock)?;
    let facts = desk.rules(config.symbols.spot)?;
    desk.account(&facts.instrument).holdings()?; // the key may trade
    let mut guard = Guard::open(&config, &secrets, (desk, facts), (clock, signals))?;
    guard.stand();
    guard.wire.close();
    guard.voice.end();
    Ok(())
}

/// The running guard.
pub struct Guard<'a> {
    config: &'a Config,
    clock: Clock,
    signals: Signals,
    desk: Desk<'a>,
    facts: VenueFacts,
    wire: Wire,
    voice: Voice,
    page: Option<Page>,
    known: Known,
}

/// Entries that were seen to rest, asked for ahead of need.
#[derive(Debug, Default)]
struct Known {
    entries: Vec<ClientOrderId>,
    at: Time,
    /// The question under way.
    asked: Option<(u64, Time)>,
    /// When the next proof is due.
    next: Time,
    is_blind: bool,
    ready: bool,
}

impl<'a> Guard<'a> {
    fn open(
        config: &'a Config,
        secrets: &Secrets,
        (desk, facts): (Desk<'a>, VenueFacts),
        (clock, signals): (Clock, Signals),
    ) -> Result<Guard<'a>, Failure> {
        let failed = |why: &dyn std::fmt::Display| Failure::new(exit::FAILED, why);
        let endpoint = house::endpoint("binance_ws_api", &config.endpoints.binance_ws_api)?;
        let key = (house::api_key(secrets), house::guard_signer(config, secrets)?);
        let (net, link) = (house::net(config, clock)?, link_config(endpoint));
        let wire = Wire::open(link, net, facts.instrument, key, facts.clock.offset_ns).map_err(|why| failed(&why))?;
        let mut settings = house::alert_settings(config, secrets);
        if !config.alerts.on.fatal {
            (settings.telegram, settings.slack) = (None, None);
        }
        let voice = Voice::start(settings, clock).map_err(|why| failed(&why))?;
        Ok(Guard { config, clock, signals, desk, facts, wire, voice, page: None, known: Known::default() })
    }

    fn now_ns(&self) -> i64 {
        self.clock.shared_ns(self.clock.now())
    }

    fn stand(&mut self) {
        let guard = &self.config.guard;
        let line = self.voice.info("GUARD_START", "watching the engine's heartbeat");
        let line = line.with("patience_ms", guard.patience_ns / NANOS_PER_MILLI);
        let line = line.with("data_dir", self.config.storage.data_dir.display().to_string());
        self.voice.say(&line.with("on_dead", guard.on_dead.name()).number("loss_limit", guard.loss_limit));
        let mut watch = Watch::new(guard.patience_ns, guard.loss_limit, self.now_ns());
        let mut open: Option<(Incident, Time)> = None;
        while !self.signals.stop_asked() {
            let sight = self.sight();
            let now_ns = self.now_ns();
            let verdict = watch.look(now_ns, sight);
            match verdict {
                Verdict::Act { cause, due_ns } => {
                    let incident = Incident { cause, due_ns, reading: reading(sight) };
                    open = self.handle(incident);
                }
                Verdict::Over => {
                    open = None;
                    self.voice
                        .say(&self.voice.info("GUARD_OVER", "the engine lives again, or ended cleanly: watching"));
                }
                Verdict::Waiting => {
                    let due = open.filter(|(_, again)| self.clock.now() >= *again);
                    if let Some((incident, _)) = due {
                        open = self.handle(incident);
                    }
                }
                Verdict::Suspect | Verdict::Fine => {}
            }
            self.look_ahead(verdict == Verdict::Suspect);
            let sleep_ns = watch.next_look_ns(sight) - self.now_ns();
            self.wire.turn(self.clock.now().plus(sleep_ns.max(0)));
        }
    }

    /// Acts once. Output: the incident, if it must be tried again, and when.
    fn handle(&mut self, incident: Incident) -> Option<(Incident, Time)> {
        let fresh = self.clock.now().since(self.known.at) <= KNOWN_NS_MAX;
        let known = if fresh { std::mem::take(&mut self.known.entries) } else { Vec::new() };
        let cause = incident.cause.name();
        let outcome = self.attempt(&incident, &known);
        self.known = Known { ready: self.known.ready, is_blind: self.known.is_blind, ..Known::default() };
        match outcome {
            Outcome::Done(what) => {
                self.voice.alarm(cause, &format!("engine {cause}: {what}"));
                None
            }
            Outcome::EngineIsBack => {
                self.voice.alarm(cause, &format!("engine {cause}, then back: it looks after its account again"));
                None
            }
            Outcome::Failed(why) => {
                self.voice
                    .alarm(cause, &format!("engine {cause}, and the guard could not end it: {why}; trying again"));
                Some((incident, self.clock.now().plus(RETRY_NS)))
            }
        }
    }

    /// Looks at the page; a fresh one is looked for whenever the one at hand does not beat.
    fn sight(&mut self) -> Sight {
        let patience_ns = self.config.guard.patience_ns;
        let beats = self.page.as_ref().and_then(|page| page.read().ok()).filter(|reading| {
            let beat_ns = reading.hot_ns.min(reading.gateway_ns);
            self.now_ns() - beat_ns < patience_ns / 2 && reading.state == RunState::Trading
        });
        if let Some(reading) = beats {
            return Sight::Page { reading, alive: true };
        }
        match Page::open(&self.config.storage.data_dir) {
            Ok(page) => self.page = page,
            Err(_) => return Sight::Unreadable,
        }
        match self.page.as_ref().map(Page::read) {
            None => Sight::Nothing,
            Some(Ok(reading)) => Sight::Page { reading, alive: reading.process.is_alive() },
            Some(Err(_)) => Sight::Unreadable,
        }
    }

    /// Learns which entries rest before that is needed, and proves by it that key and connection work.
    fn look_ahead(&mut self, now_needed: bool) {
        let now = self.clock.now();
        if let Some((number, sent)) = self.known.asked {
            match self.wire.told(number) {
                Some(told) => {
                    self.known.asked = None;
                    self.on_told(told.map(|orders| buying(&orders).collect()), now);
                }
                None if now.since(sent) >= PROOF_NS_MAX => {
                    self.known.asked = None;
                    self.on_told(Err(WireError::Silent("openOrders.status")), now);
                }
                None => {}
            }
            return;
        }
        let stale = now.since(self.known.at) >= self.config.guard.patience_ns / 2;
        if now >= self.known.next || (now_needed && stale) {
            self.known.next = now.plus(if self.known.is_blind { NANOS_PER_SEC } else { PROOF_EVERY_NS });
            match self.wire.begin_open_orders() {
                Ok(number) => self.known.asked = Some((number, now)),
                Err(why) if self.known.ready => self.on_told(Err(why), now),
                Err(_) => self.known.next = now.plus(50 * NANOS_PER_MILLI), // the first connection is on its way
            }
        }
    }

    fn on_told(&mut self, told: Result<Vec<ClientOrderId>, WireError>, now: Time) {
        match told {
            Ok(entries) => {
                (self.known.entries, self.known.at) = (entries, now);
                if self.known.is_blind || !self.known.ready {
                    let line = self.voice.info("GUARD_READY", "key and connection proven; cancels can leave at once");
                    let line = line.with("connections", self.wire.opened()).with("rss_kb", resident_kb());
                    self.voice.say(&line);
                }
                (self.known.is_blind, self.known.ready) = (false, true);
                self.known.next = now.plus(PROOF_EVERY_NS);
            }
            Err(why) => {
                let was_blind = std::mem::replace(&mut self.known.is_blind, true);
                self.known.next = now.plus(NANOS_PER_SEC);
                if !was_blind {
                    self.voice.alarm("blind", &format!("the venue does not take the guard's requests: {why}"));
                }
            }
        }
    }
}

fn reading(sight: Sight) -> Option<Reading> {
    match sight {
        Sight::Page { reading, .. } => Some(reading),
        Sight::Nothing | Sight::Unreadable => None,
    }
}

/// Memory of this process that is resident, KiB; zero where procfs does not tell.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
