//! The wiring table: which agents share a thread, on which core, and every ring between them.
//!
//! Thread: any; used once at start.  Invariants: a ring has one producer and one consumer; `hot` never waits for
//! anybody; every ring says what happens when it is full.

use crate::ring::{CommandItem, Doorbell, EventItem, Gauge, HotNote, OnFull, Receiver, RingSpec, Sender, ring};
use crate::threads::hot::HotRings;
use crate::threads::runner::{IdleStrategy, Runner, RunnerSpec};
use crate::types::note::WireNote;
use crate::types::time::NANOS_PER_MILLI;
use std::io;
use std::sync::Arc;

const fn spec(name: &'static str, depth: usize, on_full: OnFull) -> RingSpec {
    RingSpec { name, depth, on_full }
}

/// ingest → hot. The fiercest second of the recorded sessions has 1 100 frames; 4 096 is 3.7 s of it unread.
pub const MARKET: RingSpec = spec("market", 4_096, OnFull::DropThenGap);
/// scout → hot. A second of Kraken brings 30 trades and ticks, books are told four times a second; the load benchmark brings
/// 4 000 events a second, and a trading thread may be without its core for two of them.
pub const SCOUT: RingSpec = spec("scout", 8_192, OnFull::DropThenGap);
/// pollers and the bus → hot, behind a lock. Pollers bring a few samples a minute; of the bus a second of 1 000 samples
/// may wait, ten times what a book, slots and volumes come to.
pub const SLOW: RingSpec = spec("slow", 1_024, OnFull::Refuse);
/// operator, signals, cold → hot. A reload is one event per changed number and a commit: 35 at most.
pub const CONTROL: RingSpec = spec("control", 128, OnFull::Refuse);
/// hot → gateway. A step sends 6 orders at most; 256 is over 40 steps the gateway has not seen.
pub const COMMAND: RingSpec = spec("command", 256, OnFull::RejectNewKeepCancelRoom);
/// gateway → hot. The session reads at most 64 frames a turn, a frame gives 8 reports at most; twice that.
pub const REPORT: RingSpec = spec("report", 1_024, OnFull::LeaveInSocket);
/// ingest → cold. Counts and stream states: 100 a second at most; a stalled disk may take minutes.
pub const JOURNAL_INGEST: RingSpec = spec("journal_ingest", 8_192, OnFull::DropAndCount);
/// scout → cold. Counts only.
pub const JOURNAL_SCOUT: RingSpec = spec("journal_scout", 1_024, OnFull::DropAndCount);
/// hot → cold. 5 000 events a second (the sustained load of the benchmarks) for 6 s of stalled disk.
pub const JOURNAL_HOT: RingSpec = spec("journal_hot", 32_768, OnFull::HaltTrading);
/// gateway → cold. Two notes per order.
pub const JOURNAL_GATEWAY: RingSpec = spec("journal_gateway", 4_096, OnFull::DropAndCount);

/// Longest sleep of a trading thread: it is woken by sockets and bells, so this only bounds how late a request
/// deadline or a stop is seen.
const TRADING_SLEEP_NS_MAX: i64 = 20 * NANOS_PER_MILLI;
/// The cold side has no bell: waking it would cost the hot thread a system call. It looks 200 times a second.
const COLD_SLEEP_NS_MAX: i64 = 5 * NANOS_PER_MILLI;

/// Which agents share a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One thread each.
    Four,
    /// `ingest`, `hot` and `gateway` run to completion on one thread, `cold` on another.
    Fused,
}

/// What the trader said of threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadWishes {
    /// `None` = decide by the number of cores.
    pub layout: Option<Layout>,
    /// Cores to use, in the order ingest, hot, gateway, cold (`fused`: trading, cold); empty = choose.
    pub cores: Vec<usize>,
    /// Trading threads never sleep.
    pub spin: bool,
    /// How long a parking thread looks before it sleeps.
    pub spin_ns: i64,
}

/// Who lives where.
#[derive(Debug)]
pub struct Plan {
    /// The layout chosen.
    pub layout: Layout,
    /// Threads of the trading agents: three, or one.
    pub trading: Vec<RunnerSpec>,
    /// Thread of the scout: on no core in particular.
    pub scout: RunnerSpec,
    /// Thread of the cold side.
    pub cold: RunnerSpec,
}

/// Chooses layout and cores. `allowed` = cores this process may run on, ascending; `usable` = how many cores' worth of
/// time it gets, less than that under a quota.
pub fn plan(wishes: &ThreadWishes, allowed: &[usize], usable: usize) -> Plan {
    let cores = if wishes.cores.is_empty() { allowed } else { &wishes.cores };
    let enough = cores.len().min(usable) >= 4;
    let layout = wishes.layout.unwrap_or(if enough { Layout::Four } else { Layout::Fused });
    let parked = |sleep_ns_max| IdleStrategy::Park { spin_ns: wishes.spin_ns, sleep_ns_max };
    let idle = if wishes.spin { IdleStrategy::Spin } else { parked(TRADING_SLEEP_NS_MAX) };
    // Core 0 takes most interrupts, so without a wish the threads are laid from the last core down.
    let core_at = |place: usize| match (wishes.cores.is_empty(), cores.len()) {
        (_, 0 | 1) => None,
        (true, count) => count.checked_sub(1 + place).map(|at| cores[at]),
        (false, _) => cores.get(place).copied(),
    };
    let names: &[&'static str] = match layout {
        Layout::Four => &["ingest", "hot", "gateway"],
        Layout::Fused => &["trading"],
    };
    let trading = names.iter().enumerate().map(|(place, &name)| RunnerSpec { name, core: core_at(place), idle });
    let trading: Vec<RunnerSpec> = trading.collect();
    let cold_idle = IdleStrategy::Park { spin_ns: 0, sleep_ns_max: COLD_SLEEP_NS_MAX };
    let cold = RunnerSpec { name: "cold", core: core_at(trading.len()), idle: cold_idle };
    let scout = RunnerSpec {
        name: "scout",
        core: None,
        idle: IdleStrategy::Park { spin_ns: 0, sleep_ns_max: TRADING_SLEEP_NS_MAX },
    };
    Plan { layout, trading, scout, cold }
}

/// The threads, not yet started: agents need their pollers and bells first.
#[derive(Debug)]
pub struct Runners {
    /// Three, or one.
    pub trading: Vec<Runner>,
    /// The scout's.
    pub scout: Runner,
    /// The cold side's.
    pub cold: Runner,
}

impl Runners {
    /// Opens their pollers. Errors: the kernel's, when it is out of descriptors.
    pub fn open(plan: &Plan) -> io::Result<Runners> {
        let trading = plan.trading.iter().cloned().map(Runner::new).collect::<io::Result<Vec<Runner>>>()?;
        let (scout, cold) = (Runner::new(plan.scout.clone())?, Runner::new(plan.cold.clone())?);
        Ok(Runners { trading, scout, cold })
    }
    /// The thread that `ingest` (0), `hot` (1) or `gateway` (2) lives on.
    pub fn of(&self, agent: usize) -> &Runner {
        &self.trading[agent.min(self.trading.len() - 1)]
    }
}

/// Both ends of every ring, each to be given to its one owner.
#[derive(Debug)]
pub struct Wiring {
    /// The market, from `ingest`.
    pub market: Sender<EventItem>,
    /// What the wire saw, from `ingest`.
    pub journal_ingest: Sender<WireNote>,
    /// The further feeds, from `scout`.
    pub scout: Sender<EventItem>,
    /// What the wire saw, from `scout`.
    pub journal_scout: Sender<WireNote>,
    /// Both directions of `hot`.
    pub hot: HotRings,
    /// Orders, to `gateway`.
    pub command: Receiver<CommandItem>,
    /// News of our orders, from `gateway`.
    pub report: Sender<EventItem>,
    /// What the wire saw, from `gateway`.
    pub journal_gateway: Sender<WireNote>,
    /// Volume samples, from the pollers.
    pub slow: Sender<EventItem>,
    /// The operator's word.
    pub control: Sender<EventItem>,
    /// The cold side's four inputs.
    pub cold: ColdRings,
    /// Depth and overflow of all of them.
    pub gauges: Vec<Arc<Gauge>>,
}

/// What the cold side reads.
#[derive(Debug)]
pub struct ColdRings {
    /// From `ingest`.
    pub ingest: Receiver<WireNote>,
    /// From `scout`.
    pub scout: Receiver<WireNote>,
    /// From `hot`.
    pub hot: Receiver<HotNote>,
    /// From `gateway`.
    pub gateway: Receiver<WireNote>,
}

/// Makes every ring of the table. A ring between agents of one thread rings nobody.
pub fn wire(plan: &Plan, runners: &Runners) -> Wiring {
    let apart = plan.layout == Layout::Four;
    let hot_bell = runners.of(1).bell();
    let bell = |bell: &Arc<Doorbell>| apart.then(|| Arc::clone(bell));
    let (market, market_rx) = ring(MARKET, bell(&hot_bell));
    let (scout, scout_rx) = ring(SCOUT, Some(Arc::clone(&hot_bell)));
    let (slow, slow_rx) = ring(SLOW, Some(Arc::clone(&hot_bell)));
    let (control, control_rx) = ring(CONTROL, Some(Arc::clone(&hot_bell)));
    let (command_tx, command) = ring(COMMAND, bell(&runners.of(2).bell()));
    let (report, report_rx) = ring(REPORT, bell(&hot_bell));
    let (journal_ingest, cold_ingest) = ring(JOURNAL_INGEST, None);
    let (journal_scout, cold_scout) = ring(JOURNAL_SCOUT, None);
    let (journal_hot, cold_hot) = ring(JOURNAL_HOT, None);
    let (journal_gateway, cold_gateway) = ring(JOURNAL_GATEWAY, None);
    let gauges = vec![
        market.gauge(),
        scout.gauge(),
        slow.gauge(),
        control.gauge(),
        command_tx.gauge(),
        report.gauge(),
        journal_ingest.gauge(),
        journal_scout.gauge(),
        journal_hot.gauge(),
        journal_gateway.gauge(),
    ];
    let hot = HotRings {
        report: report_rx,
        control: control_rx,
        market: market_rx,
        scout: scout_rx,
        slow: slow_rx,
        command: command_tx,
        journal: journal_hot,
    };
    let cold = ColdRings { ingest: cold_ingest, scout: cold_scout, hot: cold_hot, gateway: cold_gateway };
    Wiring {
        market,
        journal_ingest,
        scout,
        journal_scout,
        hot,
        command,
        report,
        journal_gateway,
        slow,
        control,
        cold,
        gauges,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(cores: &[usize]) -> ThreadWishes {
        ThreadWishes { layout: None, cores: cores.to_vec(), spin: false, spin_ns: 0 }
    }

    #[test]
    fn few_cores_are_fused_and_four_get_a_thread_each() {
        let two = plan(&wishes(&[]), &[0, 1], 2);
        assert_eq!((two.layout, two.trading[0].core, two.cold.core), (Layout::Fused, Some(1), Some(0)));
        let four = plan(&wishes(&[2, 3, 4, 5]), &[0, 1, 2, 3, 4, 5], 6);
        let cores: Vec<Option<usize>> = four.trading.iter().map(|runner| runner.core).collect();
        assert_eq!((four.layout, cores, four.cold.core), (Layout::Four, vec![Some(2), Some(3), Some(4)], Some(5)));
    }

    #[test]
    fn a_quota_of_two_cores_is_fused_however_many_are_allowed() {
        assert_eq!(plan(&wishes(&[]), &[0, 1, 2, 3], 2).layout, Layout::Fused);
    }

    #[test]
    fn a_single_core_is_shared_without_pinning() {
        let one = plan(&wishes(&[]), &[0], 1);
        assert_eq!((one.layout, one.trading[0].core, one.cold.core), (Layout::Fused, None, None));
    }
}
