//! One trial: a session of one round trip, killed at its instants and started again each time, then judged.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;

use serde_json::Value;
use sol_volume_bot::sim::market::SplitMix64;
use sol_volume_bot::types::Time;
use sol_volume_bot::types::time::NANOS_PER_MILLI;

use crate::certs::Ca;
use crate::instants::{Instant, PATIENCE_MS};
use crate::judge;
use crate::rig::Rig;
use crate::session::{self, Session};

/// Where a trial is held: between which addresses, and how much longer everything takes there.
pub struct Place {
    /// Address of the venues.
    pub venue: IpAddr,
    /// Authority of their certificate, where they speak TLS.
    pub ca: Option<Ca>,
    /// The program that runs the engine elsewhere: `ip netns exec NAME`; empty = here.
    pub wrapper: Vec<String>,
    /// TOML over the rig's own configuration.
    pub overrides: String,
    /// Longest time for one step of the session: then the engine is stuck.
    pub step_ms_max: i64,
    /// Time that coins may be naked beyond `naked_ms_max`, because the wire is down.
    pub blind_ms: i64,
    /// Starts of one trial that may end because the venue cannot be reached: the supervisor starts them again.
    pub unreached_max: usize,
}

impl Place {
    /// Over loopback, in plain text.
    pub fn here() -> Place {
        Place {
            venue: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ca: None,
            wrapper: Vec::new(),
            overrides: String::new(),
            step_ms_max: 25_000,
            blind_ms: 0,
            unreached_max: 0,
        }
    }
    fn rig(&self) -> Rig {
        let name = self.venue.to_string();
        let provider = rustls::crypto::ring::default_provider;
        let versions = [&rustls::version::TLS13];
        let tls = self.ca.as_ref().map(|ca| ca.server_with(&versions, &name, (2020, 2120), provider()));
        let overrides = format!("{}\n{}", session::OVERRIDES, self.overrides);
        let mut rig = Rig::open_at(SocketAddr::new(self.venue, 0), tls, &overrides, |_| {});
        rig.blind_ms = self.blind_ms;
        rig
    }
}

/// What one trial showed; times from the start of the process, of starts that were not cut short, ns.
#[derive(Default)]
pub struct Shown {
    /// Whether the session bought anything.
    pub has_traded: bool,
    /// Kills at their instant.
    pub kills: usize,
    /// Calls that the tracer struck in.
    pub struck: Vec<&'static str>,
    /// Runs that did not reach the end of the session.
    pub runs: usize,
    /// Starts that ended because the venue could not be reached.
    pub unreached: usize,
    /// Until orders can be sent, heard of and priced: every order of before is known, the order stream and the ticker
    /// are up.
    pub trading_ns: Vec<i64>,
    /// Until `/readyz` says yes: the slowest feed has spoken too.
    pub ready_ns: Vec<i64>,
}

/// One start of the engine.
struct Run {
    instant: Option<Instant>,
    started: Time,
    requests_before: usize,
    is_trading: bool,
    is_ready: bool,
}

impl Run {
    fn start(place: &Place, rig: &mut Rig, instant: Option<Instant>) -> Run {
        let tracer = instant.map(Instant::wrapper).unwrap_or_default();
        let (started, requests_before) = (rig.clock.now(), rig.venue.snapshot().received);
        rig.spawn(&place.wrapper.iter().chain(&tracer).map(String::as_str).collect::<Vec<_>>());
        Run { instant, started, requests_before, is_trading: false, is_ready: false }
    }
    fn is_traced(&self) -> bool {
        matches!(self.instant, Some(Instant::Inside(..)))
    }
    fn is_due(&self, rig: &Rig) -> bool {
        let Some(instant) = self.instant else { return false };
        let ran_ns = rig.clock.now().since(self.started);
        let is_there = match instant {
            Instant::After(time) => ran_ns >= i64::try_from(time.as_nanos()).expect("seconds"),
            Instant::Line(number) => rig.line_count() >= number,
            Instant::Request(number) => rig.venue.snapshot().received >= self.requests_before + number,
            Instant::Inside(..) => false, // the tracer kills
        };
        is_there || ran_ns > PATIENCE_MS * NANOS_PER_MILLI
    }
    /// Looks whether the engine trades, and whether it says so; notes how long that took.
    fn look(&mut self, rig: &mut Rig, shown: &mut Shown) {
        let is_up = |name: &str| {
            rig.has_line(|line: &Value| line["event"] == "STREAM_UP" && line["stream"] == name)
                && rig.has_line(|line: &Value| line["event"] == "READY")
        };
        if !self.is_trading && is_up("binance_user") && is_up("binance_bbo") {
            self.is_trading = true;
            rig.outage_over();
            self.note(rig, &mut shown.trading_ns);
        }
        if self.is_trading && !self.is_ready && rig.try_http("/readyz").is_some_and(|(status, _)| status == 200) {
            self.is_ready = true;
            self.note(rig, &mut shown.ready_ns);
        }
    }
    fn note(&self, rig: &Rig, times: &mut Vec<i64>) {
        if !self.is_traced() {
            times.push(rig.awake_ns(self.started)); // a traced one is slower
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Its instant has come, or was waited for in vain.
    Due,
    /// The tracer struck.
    Struck,
    /// The session is over.
    Over,
    /// The start found no venue.
    Unreached,
}

/// What a start ends with that finds no venue.
const UNREACHABLE: i32 = 4;

fn run_on(run: &mut Run, rig: &mut Rig, script: &mut Session, shown: &mut Shown) -> Result<End, String> {
    while !run.is_due(rig) {
        if let Some(status) = rig.ended() {
            return match (status.signal(), status.code()) {
                (Some(libc::SIGKILL), _) if run.is_traced() => Ok(End::Struck),
                (_, Some(UNREACHABLE)) if !rig.has_line(|line: &Value| line["event"] == "READY") => Ok(End::Unreached),
                _ => Err(format!("the engine ended by itself: {status}")),
            };
        }
        run.look(rig, shown);
        if script.advance(rig, run.is_trading)? {
            return Ok(End::Over);
        }
        session::wait(rig);
    }
    Ok(End::Due)
}

/// Starts the engine and lives on to its instant or the end of the session; again where a start finds no venue.
fn live(
    place: &Place,
    rig: &mut Rig,
    script: &mut Session,
    (instant, shown): (Option<Instant>, &mut Shown),
) -> Result<(Run, End), String> {
    loop {
        let mut run = Run::start(place, rig, instant);
        let end = run_on(&mut run, rig, script, shown)?;
        if end != End::Unreached {
            return Ok((run, end));
        }
        shown.unreached += 1;
        if shown.unreached > place.unreached_max {
            return Err("the engine found no venue at its start".to_owned());
        }
        rig.kill();
    }
}

/// One session of a seed, killed at these instants; then everything that must hold.
pub fn hold(place: &Place, random: &mut SplitMix64, instants: &[Instant]) -> Result<Shown, String> {
    let mut rig = place.rig();
    let mut script = Session::begin(&rig, random, place.step_ms_max);
    let mut shown = Shown::default();
    let told = |why: String, rig: &Rig, runs: usize| format!("{why}\nkilled {:?}\n{}", &instants[..runs], rig.story());
    for instant in instants.iter().copied().map(Some).chain([None]) {
        let live = live(place, &mut rig, &mut script, (instant, &mut shown));
        let (run, end) = live.map_err(|why| told(why, &rig, shown.runs))?;
        if end == End::Over && !run.is_traced() {
            break;
        }
        if end == End::Over {
            rig.terminate(); // the tracer may yet strike
        }
        let status = rig.kill();
        let is_own = match end {
            End::Due => !run.is_traced(), // else it is an ordinary kill, and the tracer's is still owed
            End::Struck => true,
            End::Over | End::Unreached => status.signal() == Some(libc::SIGKILL),
        };
        shown.kills += usize::from(is_own);
        if let (true, Some(Instant::Inside(call, _))) = (is_own, instant) {
            shown.struck.push(call);
        }
        shown.runs += 1;
    }
    shown.has_traded = !rig.venue.snapshot().trades.is_empty();
    let story = told(String::new(), &rig, shown.runs);
    let books = rig.checked_stop().map_err(|why| format!("{why}{story}"))?;
    let agree = judge::orders_agree(&rig.venue, &books).and_then(|()| books.profit_agrees());
    agree.map_err(|why| format!("{why}{story}"))?;
    Ok(shown)
}
