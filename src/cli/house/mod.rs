//! Builds the house from validated values and keeps it standing until it is told to stop.
//!
//! Thread: main.  Invariants: nothing trades before the lock, the ledger, the ops port and the venue's facts are in
//! hand; on the way down orders first, records last.

mod feeds;
mod parts;
mod past;
pub mod posts;
mod standing;

use feeds::SlowRing;
pub use parts::{alert_settings, api_key, endpoint, guard_signer, ingest_links, market_settings, net, pollers, signer};
pub use standing::House;

use super::venue_facts::{Desk, VenueFacts};
use super::{Failure, exit};
use crate::config::{Config, Mode, Secrets};
use crate::engine::{Engine, Setup};
use crate::ledger::journal::{Finding, JOURNAL_DIR, Writer, WriterSettings};
use crate::ledger::{CsvFiles, Ledger, Market};
use crate::recovery::Past;
use crate::ring::{LatestMid, LatestSlot};
use crate::sys::clock::Clock;
use crate::sys::cores;
use crate::sys::files::{self, DirLock};
use crate::sys::heartbeat::{Figures, Heartbeat};
use crate::sys::kill::KillSwitch;
use crate::sys::net::link::TOKENS_PER_LINK;
use crate::sys::net::{Link, Net};
use crate::sys::signals::Signals;
use crate::telemetry::{Board, Latencies, Line, Lines, Metrics, Status, reconcile_line};
use crate::threads::cold::{Cold, ColdNames, ColdRings, ColdSinks, Story};
use crate::threads::gateway::{Gateway, GatewayWatch};
use crate::threads::helpers::alerts::Alerts;
use crate::threads::helpers::http::{Ops, OpsSettings};
use crate::threads::helpers::operator::Operator;
use crate::threads::helpers::socket::ControlSocket;
use crate::threads::hot::{Hot, HotView};
use crate::threads::ingest::{Ingest, IngestLinks};
use crate::threads::runner::{Agent, Runner};
use crate::threads::scout::{PriceAt, Scout, ScoutRings};
use crate::topology::{self, Runners};
use crate::types::chain::VolumeBucket;
use crate::types::event::Control;
use crate::types::{Qty, StreamId};
use crate::venue::binance_spot::market::MarketSettings;
use crate::venue::binance_spot::trade::TradeSession;
use crate::venue::sol_prices::SolPrices;
use crossbeam_channel::{Receiver as ChannelReceiver, Sender as ChannelSender, bounded};
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

/// Name of the venue in ledger and metrics.
pub(super) const VENUE: &str = "binance_spot";
/// Streams that entries always stand on.
const NEEDED: [StreamId; 4] =
    [StreamId::BinanceBbo, StreamId::BinanceCandle, StreamId::BinanceUser, StreamId::SolanaSlot];
/// Log lines of other threads that may wait for the cold side.
const LINES_MAX: usize = 1_024;
/// Volume buckets that may wait for the cold side: two days of them, restored and back-filled at once.
const BUCKETS_MAX: usize = 1_024;
/// Operator's words that may wait for the cold side.
const WORDS_MAX: usize = 128;

/// What a house is built from.
pub struct Blueprint {
    /// Validated values.
    pub config: Config,
    /// Secrets they name.
    pub secrets: Secrets,
    /// REST base of the venue that takes our orders: the config's own, or the built-in venue's in paper mode.
    pub order_rest: String,
    /// WebSocket API of the same venue.
    pub order_ws_api: String,
    /// Our clock.
    pub clock: Clock,
    /// Sockets' common ground.
    pub net: Net,
    /// Plain lines for people on stderr.
    pub story: bool,
}

/// What is open before the agents are built.
struct Ground {
    lock: DirLock,
    ledger: Ledger,
    journal: Writer,
    findings: Vec<Finding>,
    epoch: u32,
    past: Past,
    facts: VenueFacts,
}

/// Asks the venue, reads the ledger. Everything that can be refused at start is refused here.
fn ground(blueprint: &Blueprint) -> Result<Ground, Failure> {
    let config = &blueprint.config;
    let dir = &config.storage.data_dir;
    let lock = files::lock_dir(dir).map_err(|why| failed(&why))?;
    let market = Market { venue: VENUE, symbol: config.symbols.spot };
    let mut ledger = Ledger::open(dir, market).map_err(|why| failed(&why))?;
    ledger.claim(config.mode.name()).map_err(|why| failed(&why))?;
    let (facts, past) = at_desk(blueprint, |desk| past::look(desk, &mut ledger, config.symbols.spot, blueprint.clock))?;
    let epoch = ledger.next_epoch(blueprint.clock.now()).map_err(|why| failed(&why))?;
    let journal = WriterSettings::new(dir.join(JOURNAL_DIR), config.storage.journal_days);
    let (journal, findings) = Writer::open(journal, epoch, blueprint.clock.now()).map_err(|why| failed(&why))?;
    Ok(Ground { lock, ledger, journal, findings, epoch, past, facts })
}

/// Asks the venue by REST.
fn at_desk<T>(blueprint: &Blueprint, ask: impl FnOnce(&mut Desk<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
    let signer = parts::signer(&blueprint.config, &blueprint.secrets)?;
    let api_key = parts::api_key(&blueprint.secrets);
    let ca_file = blueprint.config.endpoints.ca_file.as_deref();
    ask(&mut Desk::new(&blueprint.order_rest, &api_key, &signer, ca_file, blueprint.clock)?)
}

/// What every room on the cold side and the main thread shares.
struct Common {
    metrics: Arc<Metrics>,
    board: Arc<Board>,
    words: ChannelSender<Control>,
    operator: ChannelReceiver<Control>,
    kill: Arc<KillSwitch>,
    lines: ChannelSender<Line>,
    lines_rx: ChannelReceiver<Line>,
}

impl Common {
    fn new(config: &Config, clock: Clock) -> Result<Common, Failure> {
        let mode = config.mode.name();
        let metrics = Metrics::new(env!("CARGO_PKG_VERSION"), mode).map_err(|why| failed(&why))?;
        let status = Status::new(clock.now(), mode, config.symbols.spot.to_string(), 0);
        let (words, operator) = bounded::<Control>(WORDS_MAX);
        let (lines, lines_rx) = bounded::<Line>(LINES_MAX);
        let (metrics, board) = (Arc::new(metrics), Arc::new(Board::new(status)));
        let kill = Arc::new(KillSwitch::new(clock));
        Signals::arm_kill(Arc::clone(&kill)).map_err(|why| failed(&why))?;
        Ok(Common { metrics, board, words, operator, kill, lines, lines_rx })
    }

    /// The operator's way in, for every door.
    fn way_in(&self, clock: Clock) -> Operator {
        Operator::new(self.words.clone(), Arc::clone(&self.kill), Arc::clone(&self.board), clock)
    }
}

/// Builds every part and starts every thread. Errors: what could not be had, with its exit code; nothing then runs.
pub fn build(blueprint: Blueprint) -> Result<House, Failure> {
    let (config, clock) = (&blueprint.config, blueprint.clock);
    let common = Common::new(config, clock)?;
    // The port first: an occupied one must stop the start before the venue hears of us.
    let ops = open_ops(&blueprint, &common)?;
    let mut ground = ground(&blueprint)?;
    let pollers = parts::pollers(config, &blueprint.secrets, &ground.ledger, clock)?;
    let alerts =
        Alerts::start(alert_settings(config, &blueprint.secrets), clock, &common.lines).map_err(|why| failed(&why))?;

    let plan = topology::plan(&parts::thread_wishes(config), &cores::allowed(), cores::usable_count());
    let runners = Runners::open(&plan).map_err(|why| failed(&why))?;
    let wiring = topology::wire(&plan, &runners);
    let view = Arc::new(HotView::default());
    let (links, settings, order_link, session) = connections(&blueprint, (&ground.facts, &ground.past), &runners)?;
    let setup = parts::engine_setup(config, &mut ground.ledger, (&ground.facts, &ground.past), ground.epoch, clock)?;
    let status = first_status(config, &setup, clock);
    ground.journal.start(&setup);
    let watch = gateway_watch(&common, &runners);
    let heartbeat = heartbeat(config, ground.epoch, clock, &ground.past)?;
    let hot = Hot::new(Engine::new(setup), clock, wiring.hot, Arc::clone(&view)).with_heartbeat(heartbeat.clone());
    let (mid, slot) = (Arc::clone(&watch.mid), Arc::new(LatestSlot::new()));
    let slow = SlowRing::new(wiring.slow, &watch.mid, clock);
    let (slot_told, mid_told) = (Arc::clone(&slot), Arc::clone(&mid));
    let further = ScoutRings { events: wiring.scout, notes: wiring.journal_scout, slot: slot_told, mid: mid_told };
    let (scout, buckets) = scout(&blueprint, &ground.ledger, &runners.scout, further)?;
    let ingest = Ingest::new(links, settings, clock, (wiring.market, wiring.journal_ingest), mid).with_slot(slot);
    let ingest = ingest.without(feeds::from_bus(config));
    let rings = (wiring.command, wiring.report, wiring.journal_gateway);
    let gateway = Gateway::new(order_link, session, clock, rings, watch);
    let agents: [Box<dyn Agent>; 3] =
        [Box::new(ingest), Box::new(hot), Box::new(gateway.with_heartbeat(heartbeat.clone()))];
    let way_in = common.way_in(clock);
    let (operator, lines) = (common.operator, common.lines_rx);
    let (control, gauges) = (wiring.control, wiring.gauges);
    let topology::ColdRings { ingest, scout: scouted, hot, gateway } = wiring.cold;
    let rings = ColdRings { ingest, scout: scouted, hot, gateway, control, operator, lines, buckets, gauges };
    let (bus_queue, outbox) = feeds::way_out(config, &common.metrics);
    let told = (common.metrics, Arc::clone(&common.board));
    let sinks = sinks(&blueprint, (ground.ledger, ground.journal), told, alerts.as_ref());
    let cold = Cold::new(rings, sinks, cold_names(config), status).with_bus(bus_queue);

    // Before anybody else can say a word.
    let start = start_line(config, ground.epoch, clock).with("ops", ops.addr().to_string());
    say_start(&common.lines, start, (&ground.findings, &ground.past), clock)?;
    let (pollers, bus) = slow.start(pollers, outbox, &blueprint, &common.lines)?;
    let (stop_trading, stop_cold) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let cold = runners.cold.spawn(vec![Box::new(cold)], clock, Arc::clone(&stop_cold)).map_err(|why| failed(&why))?;
    let trading = set_going(runners.trading, agents, (runners.scout, scout), clock, &stop_trading)?;
    let socket = open_socket(config, &way_in)?;
    Ok(House {
        config: blueprint.config,
        clock,
        words: common.words,
        kill: common.kill,
        lines: common.lines,
        board: common.board,
        view,
        heartbeat,
        ops,
        socket,
        alerts,
        pollers,
        bus,
        trading,
        cold,
        stop_trading,
        stop_cold,
        lock: ground.lock,
    })
}

/// The scout, known to its thread's poller, if there is a further feed to hear; and where its volume buckets come out.
fn scout(
    blueprint: &Blueprint,
    ledger: &Ledger,
    runner: &Runner,
    rings: ScoutRings,
) -> Result<(Option<Scout>, ChannelReceiver<VolumeBucket>), Failure> {
    let (config, clock) = (&blueprint.config, blueprint.clock);
    let (rows, buckets) = bounded(BUCKETS_MAX);
    let ground = posts::Ground { config, secrets: &blueprint.secrets, net: &blueprint.net, ledger, clock };
    let mut posts = posts::posts(&ground, rows, price_at(blueprint))?;
    let mut token = 0;
    for post in &mut posts {
        let registry = runner.poller().registry().map_err(|why| failed(&why))?;
        token = post.register(&registry, token).map_err(|why| failed(&why))?;
    }
    Ok(((!posts.is_empty()).then(|| Scout::new(posts, rings, clock)), buckets))
}

/// What SOL cost in past hours, asked once: only a back-fill in dollars wants to know.
fn price_at(blueprint: &Blueprint) -> PriceAt {
    if blueprint.config.endpoints.bitquery.is_none() || !blueprint.config.counts_chain() {
        return Box::new(|_| None);
    }
    let asked = at_desk(blueprint, |desk| desk.hourly_prices(blueprint.config.symbols.spot));
    let prices = asked.unwrap_or_else(|why| {
        log::warn!("the back-fill stays without SOL's past prices: {why}");
        SolPrices::default()
    });
    Box::new(move |at| prices.at(at))
}

/// What the gateway looks at: the kill switch, wired to the trading threads, and the newest mid.
fn gateway_watch(common: &Common, runners: &Runners) -> GatewayWatch {
    common.kill.wire(runners.trading.iter().map(|runner| runner.poller().waker()).collect());
    GatewayWatch { kill: Arc::clone(&common.kill), mid: Arc::new(LatestMid::new()) }
}

/// Names that the facts are filed under, and what `/readyz` waits for.
fn cold_names(config: &Config) -> ColdNames {
    let needed = NEEDED.into_iter().chain(config.feeds_needed()).collect();
    ColdNames { venue: VENUE, symbol: config.symbols.spot, needed }
}

/// Starts the trading threads, and the scout's if there is one.
fn set_going(
    runners: Vec<Runner>,
    agents: [Box<dyn Agent>; 3],
    (scout_runner, scout): (Runner, Option<Scout>),
    clock: Clock,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<JoinHandle<()>>, Failure> {
    let mut trading = Vec::new();
    for (runner, agents) in share(runners, agents) {
        trading.push(runner.spawn(agents, clock, Arc::clone(stop)).map_err(|why| failed(&why))?);
    }
    if let Some(scout) = scout {
        trading.push(scout_runner.spawn(vec![Box::new(scout)], clock, Arc::clone(stop)).map_err(|why| failed(&why))?);
    }
    Ok(trading)
}

/// What is known before anything happened.
fn first_status(config: &Config, setup: &Setup, clock: Clock) -> Status {
    let mut status = Status::new(clock.now(), config.mode.name(), config.symbols.spot.to_string(), setup.epoch);
    status.pauses = setup.paused.iter().collect();
    status.consecutive_losses = setup.consecutive_losses;
    status.trigger = Some(config.feeds.volume_stream());
    status.confirmations_min = u32::try_from(config.params.confirmations_min).unwrap_or(u32::MAX);
    status
}

/// The page that the guard reads, where one is configured and there is money to guard.
fn heartbeat(config: &Config, epoch: u32, clock: Clock, past: &Past) -> Result<Option<Arc<Heartbeat>>, Failure> {
    if config.guard.binance_key.is_none() || config.mode != Mode::Live {
        return Ok(None);
    }
    let position = past.position.map_or(Qty::ZERO, |held| held.qty);
    let figures = Figures { position, trades_known_to: past.trades_known_to, ..Figures::default() };
    let page = Heartbeat::create(&config.storage.data_dir, epoch, clock, figures).map_err(|why| failed(&why))?;
    Ok(Some(Arc::new(page)))
}

fn start_line(config: &Config, epoch: u32, clock: Clock) -> Line {
    let line = Line::info(clock.now(), "START", format!("sol_volume_bot {}", env!("CARGO_PKG_VERSION")));
    line.with("mode", config.mode.name()).with("epoch", epoch).with("symbol", config.symbols.spot.as_str())
}

/// The first lines of a run: that it starts, what its journal was like, what differed at the venue.
fn say_start(
    lines: &ChannelSender<Line>,
    start: Line,
    (findings, past): (&[Finding], &Past),
    clock: Clock,
) -> Result<(), Failure> {
    let found = findings.iter().map(|finding| parts::journal_line(finding, clock.now()));
    for line in std::iter::once(start).chain(found).chain([reconcile_line(clock.now(), past.count())]) {
        lines.try_send(line).map_err(|why| failed(&why))?;
    }
    Ok(())
}

fn failed(why: &dyn std::fmt::Display) -> Failure {
    Failure::new(exit::FAILED, why)
}

fn open_ops(blueprint: &Blueprint, common: &Common) -> Result<Ops, Failure> {
    let settings = OpsSettings { listen: blueprint.config.ops.listen, token: blueprint.secrets.ops_token.clone() };
    let told = (Arc::clone(&common.metrics), Arc::clone(&common.board));
    Ops::start(settings, blueprint.clock, told, common.way_in(blueprint.clock), common.lines.clone())
        .map_err(|why| failed(&why))
}

fn open_socket(config: &Config, way_in: &Operator) -> Result<ControlSocket, Failure> {
    let dir = &config.storage.data_dir;
    let failed = |why| Failure::new(exit::FAILED, &format!("{}: the control socket: {why}", dir.display()));
    ControlSocket::start(dir, way_in).map_err(failed)
}

/// Everything that has a socket, known to the poller of the thread that reads it.
fn connections(
    blueprint: &Blueprint,
    known: (&VenueFacts, &Past),
    runners: &Runners,
) -> Result<(IngestLinks, MarketSettings, Link, TradeSession), Failure> {
    let (config, net) = (&blueprint.config, &blueprint.net);
    let settings = parts::market_settings(config)?;
    let mut links = parts::ingest_links(config, &settings, net)?;
    let key = (parts::api_key(&blueprint.secrets), parts::signer(config, &blueprint.secrets)?);
    let (mut orders, session) = parts::order_desk(&blueprint.order_ws_api, net, known, key, config)?;
    register(runners, &mut links, &mut orders).map_err(|why| failed(&why))?;
    Ok((links, settings, orders, session))
}

fn sinks(
    blueprint: &Blueprint,
    (ledger, journal): (Ledger, Writer),
    (metrics, board): (Arc<Metrics>, Arc<Board>),
    alerts: Option<&Alerts>,
) -> ColdSinks {
    let (config, now) = (&blueprint.config, blueprint.clock.now());
    let dir = &config.storage.data_dir;
    let mut csv = CsvFiles::new(dir, config.storage.csv_every_ns, now);
    if let Err(why) = csv.catch_up(&ledger, now) {
        log::warn!("the CSV files of earlier hours could not be written: {why}");
    }
    ColdSinks {
        csv,
        latencies: Latencies::new(dir, now),
        ledger,
        journal,
        lines: Lines::new(Box::new(io::stdout())),
        metrics,
        board,
        alerts: alerts.map(Alerts::queue),
        alerts_on: config.alerts.on,
        story: blueprint.story.then(|| Story::new(Box::new(io::stderr()))),
    }
}

/// Three agents over three threads, or all on one.
fn share(runners: Vec<Runner>, agents: [Box<dyn Agent>; 3]) -> Vec<(Runner, Vec<Box<dyn Agent>>)> {
    let apart = runners.len() == agents.len();
    let mut agents = agents.into_iter();
    runners
        .into_iter()
        .map(|runner| {
            let count = if apart { 1 } else { usize::MAX };
            (runner, agents.by_ref().take(count).collect())
        })
        .collect()
}

/// Sockets wake the thread that reads them.
fn register(runners: &Runners, links: &mut IngestLinks, orders: &mut Link) -> io::Result<()> {
    let ingest = runners.of(0).poller().registry()?;
    links.market.register(&ingest, 0)?;
    links.rest.register(&ingest, 2 * TOKENS_PER_LINK)?;
    for (endpoint, link) in links.slots.iter_mut().enumerate() {
        link.register(&ingest, (4 + endpoint) * TOKENS_PER_LINK)?; // behind all others: there may be several
    }
    orders.register(&runners.of(2).poller().registry()?, 3 * TOKENS_PER_LINK)
}
