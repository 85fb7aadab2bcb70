//! Who listens while `record` records: the market's agent and the scout, without an engine behind them.
//!
//! Thread: main builds and ends them; each has a thread of its own.  Invariants: no key is read; a feed without an
//! address, or one that was not asked for, has no socket; what they decode is counted and forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver as ChannelReceiver, bounded};

use super::{Feed, failed};
use crate::cli::Failure;
use crate::cli::house::{self, VENUE, posts};
use crate::config::{ChainScope, Config, Secrets};
use crate::ledger::{Ledger, Market};
use crate::ring::{EventItem, LatestMid, LatestSlot, Receiver, RingSpec, Tap, ring};
use crate::sys::clock::Clock;
use crate::sys::net::Net;
use crate::sys::net::link::TOKENS_PER_LINK;
use crate::threads::helpers::pollers::PollerSettings;
use crate::threads::ingest::Ingest;
use crate::threads::runner::{Agent, IdleStrategy, Runner, RunnerSpec, Work};
use crate::threads::scout::{Scout, ScoutRings};
use crate::topology::{JOURNAL_INGEST, JOURNAL_SCOUT, MARKET, SCOUT};
use crate::types::Time;
use crate::types::chain::VolumeBucket;
use crate::types::note::WireNote;
use crate::types::time::NANOS_PER_MILLI;

/// Longest sleep of the threads.
const SLEEP_NS_MAX: i64 = 20 * NANOS_PER_MILLI;
/// Volume buckets on their way to be forgotten: more than two days have.
const BUCKETS_MAX: usize = 1_024;

/// Takes the feeds that are not wanted out of the configuration; none named = all stay. The market's own socket stays.
pub(super) fn leave_out(config: &mut Config, wanted: &[Feed]) {
    let is_out = |feed: Feed| !wanted.is_empty() && !wanted.contains(&feed);
    let ends = &mut config.endpoints;
    let ways = [
        (Feed::Kraken, &mut ends.kraken_ws),
        (Feed::Jupiter, &mut ends.jupiter),
        (Feed::Defillama, &mut ends.defillama),
        (Feed::Pumpfun, &mut ends.pumpfun),
        (Feed::Coingecko, &mut ends.coingecko),
    ];
    ways.into_iter().filter(|(feed, _)| is_out(*feed)).for_each(|(_, url)| *url = None);
    config.feeds.dex_book &= !is_out(Feed::Dex);
    if is_out(Feed::Chain) {
        config.feeds.chain_scope = ChainScope::Off;
    }
}

/// A ledger that remembers nothing, for those who need one.
fn blank_ledger(config: &Config) -> Result<Ledger, Failure> {
    Ledger::in_memory(Market { venue: VENUE, symbol: config.symbols.spot }).map_err(|why| failed(&why))
}

/// The slow feeds that are configured.
pub(super) fn poller_settings(config: &Config, clock: Clock) -> Result<PollerSettings, Failure> {
    let settings = house::pollers(config, &Secrets::default(), &blank_ledger(config)?, clock)?;
    Ok(PollerSettings { sol_prices: None, ..settings }) // what SOL cost is no feed
}

/// A thread to be: its agents, known to its poller.
struct Ear {
    runner: Runner,
    agents: Vec<Box<dyn Agent>>,
}

/// All of them, not yet started.
pub(super) struct Ears {
    ears: Vec<Ear>,
    undecodable: Arc<AtomicU64>,
}

/// All of them, at work.
pub(super) struct Running {
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    undecodable: Arc<AtomicU64>,
}

impl Ears {
    /// Errors: what the configuration has wrong, a kernel without pollers.
    pub(super) fn build(config: &Config, clock: Clock, tap: &Tap) -> Result<Ears, Failure> {
        let net = house::net(config, clock)?;
        let (mid, slot) = (Arc::new(LatestMid::new()), Arc::new(LatestSlot::new()));
        let undecodable = Arc::new(AtomicU64::new(0));
        let market = market(config, clock, &net, (&mid, &slot), tap, &undecodable)?;
        let scout = scout(config, clock, &net, (mid, slot), tap, &undecodable)?;
        Ok(Ears { ears: std::iter::once(market).chain(scout).collect(), undecodable })
    }

    /// Lets them run. Errors: a kernel without threads.
    pub(super) fn start(self, clock: Clock) -> Result<Running, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for Ear { runner, agents } in self.ears {
            threads.push(runner.spawn(agents, clock, Arc::clone(&stop)).map_err(|why| failed(&why))?);
        }
        Ok(Running { threads, stop, undecodable: self.undecodable })
    }
}

impl Running {
    /// Ends them. Output: frames that no codec of ours could read; they are recorded all the same.
    pub(super) fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Release); // pairs with the Acquire in the runner
        self.threads.into_iter().for_each(|thread| drop(thread.join()));
        self.undecodable.load(Ordering::Relaxed) // the threads that counted have ended
    }
}

fn runner(name: &'static str) -> Result<Runner, Failure> {
    let idle = IdleStrategy::Park { spin_ns: 0, sleep_ns_max: SLEEP_NS_MAX };
    Runner::new(RunnerSpec { name, core: None, idle }).map_err(|why| failed(&why))
}

fn market(
    config: &Config,
    clock: Clock,
    net: &Net,
    (mid, slot): (&Arc<LatestMid>, &Arc<LatestSlot>),
    tap: &Tap,
    undecodable: &Arc<AtomicU64>,
) -> Result<Ear, Failure> {
    let settings = house::market_settings(config)?;
    let mut links = house::ingest_links(config, &settings, net)?;
    let runner = runner("ingest")?;
    let registry = runner.poller().registry().map_err(|why| failed(&why))?;
    let registered =
        links.market.register(&registry, 0).and_then(|()| links.rest.register(&registry, TOKENS_PER_LINK)).and_then(
            |()| {
                let slots = links.slots.iter_mut().zip(2..);
                slots.into_iter().try_for_each(|(link, place)| link.register(&registry, place * TOKENS_PER_LINK))
            },
        );
    registered.map_err(|why| failed(&why))?;
    let (out, discard) = Discard::of((MARKET, JOURNAL_INGEST), None, undecodable);
    let ingest = Ingest::new(links, settings, clock, out, Arc::clone(mid));
    let ingest = ingest.with_slot(Arc::clone(slot)).with_tap(tap.clone());
    Ok(Ear { runner, agents: vec![Box::new(ingest), Box::new(discard)] })
}

/// The scout, if there is a further feed to hear: without keys, without kept buckets, without prices of the past.
fn scout(
    config: &Config,
    clock: Clock,
    net: &Net,
    (mid, slot): (Arc<LatestMid>, Arc<LatestSlot>),
    tap: &Tap,
    undecodable: &Arc<AtomicU64>,
) -> Result<Option<Ear>, Failure> {
    let (rows, buckets) = bounded(BUCKETS_MAX);
    let (secrets, ledger) = (Secrets::default(), blank_ledger(config)?);
    let ground = posts::Ground { config, secrets: &secrets, net, ledger: &ledger, clock };
    let mut posts = posts::posts(&ground, rows, Box::new(|_| None))?;
    if posts.is_empty() {
        return Ok(None);
    }
    let runner = runner("scout")?;
    let registry = runner.poller().registry().map_err(|why| failed(&why))?;
    let mut token = 0;
    for post in &mut posts {
        token = post.register(&registry, token).map_err(|why| failed(&why))?;
    }
    let ((events, notes), discard) = Discard::of((SCOUT, JOURNAL_SCOUT), Some(buckets), undecodable);
    let scout = Scout::new(posts, ScoutRings { events, notes, slot, mid }, clock).with_tap(tap.clone());
    Ok(Some(Ear { runner, agents: vec![Box::new(scout), Box::new(discard)] }))
}

/// Takes what an agent decoded and forgets it: here only the raw frames count.
struct Discard {
    events: Receiver<EventItem>,
    notes: Receiver<WireNote>,
    buckets: Option<ChannelReceiver<VolumeBucket>>,
    undecodable: Arc<AtomicU64>,
    depth: u32,
}

/// An agent's ends of its two rings.
type Out = (crate::ring::Sender<EventItem>, crate::ring::Sender<WireNote>);

impl Discard {
    fn of(
        (events, notes): (RingSpec, RingSpec),
        buckets: Option<ChannelReceiver<VolumeBucket>>,
        undecodable: &Arc<AtomicU64>,
    ) -> (Out, Discard) {
        let depth = events.depth as u32;
        let ((events_in, events), (notes_in, notes)) = (ring(events, None), ring(notes, None));
        let undecodable = Arc::clone(undecodable);
        ((events_in, notes_in), Discard { events, notes, buckets, undecodable, depth })
    }
}

impl Agent for Discard {
    fn turn(&mut self, _now: Time) -> Work {
        let mut count = 0;
        while count < self.depth && self.events.pop().is_some() {
            count += 1;
        }
        while let Some(note) = self.notes.pop() {
            if matches!(note, WireNote::BadFrame { .. }) {
                self.undecodable.fetch_add(1, Ordering::Relaxed); // a figure for people
            }
        }
        self.buckets.iter().for_each(|buckets| buckets.try_iter().for_each(drop));
        Work { count }
    }
    fn idle(&self) -> bool {
        self.events.is_empty()
    }
    fn deadline(&self) -> Option<Time> {
        None
    }
    fn finish(&mut self, _now: Time) {}
}
