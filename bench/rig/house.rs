//! The trading agents, wired as the topology wires them on one thread, against the doors of a scripted venue.
//!
//! Thread: any; the agents may move to a runner.  Invariants: links, sessions, rings, engine and agents are the real
//! ones; only what an engine knows at its start is given to it here instead of by REST and the pollers.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use sol_volume_bot::engine::{Engine, OpenPosition, PauseSet, Setup};
use sol_volume_bot::ring::{EventItem, Gauge, LatestMid, LatestSlot, Sender};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::sys::heartbeat::{Figures, Heartbeat};
use sol_volume_bot::sys::kill::KillSwitch;
use sol_volume_bot::sys::net::{
    ConnectBudget, Endpoint, HttpClient, Link, LinkConfig, Net, Resolver, TlsContext, link::TOKENS_PER_LINK,
};
use sol_volume_bot::threads::gateway::{Gateway, GatewayWatch};
use sol_volume_bot::threads::hot::{Hot, HotView};
use sol_volume_bot::threads::ingest::{Ingest, IngestLinks};
use sol_volume_bot::threads::runner::{Agent, Runner, Work};
use sol_volume_bot::threads::scout::ScoutRings;
use sol_volume_bot::topology::{ColdRings, Layout, Plan, Runners, ThreadWishes, Wiring, plan, wire};
use sol_volume_bot::types::event::{
    Candle, ClockOffset, SourceReason, SourceState, StreamState, VolumeDefinition, VolumeSample,
};
use sol_volume_bot::types::instrument::{Instrument, Symbol};
use sol_volume_bot::types::setup::RESTING_MAX;
use sol_volume_bot::types::time::NANOS_PER_SEC;
use sol_volume_bot::types::units::RATIO_SCALE;
use sol_volume_bot::types::{Bps, Event, EventKind, Notional, Params, Price, Qty, Ratio, StreamId, Time, TimeInForce};
use sol_volume_bot::venue::bands::DEPTH_SAMPLE_NS;
use sol_volume_bot::venue::binance_spot::candles::Interval;
use sol_volume_bot::venue::binance_spot::market::{MarketSettings, StaleAfter};
use sol_volume_bot::venue::binance_spot::sign::Signer;
use sol_volume_bot::venue::binance_spot::trade::{Bounds, TradeSession, TradeSettings};

use super::venue::Trigger;

/// Closed candles that seed the RSI, and then some.
const CANDLES: i64 = 260;
const CANDLE_S: i64 = 300;
/// An hour: nothing grows stale during a run.
const LONG_NS: i64 = 3_600 * NANOS_PER_SEC;

fn px(text: &str) -> Price {
    Price::parse(text.as_bytes()).expect("a price")
}
fn sol(text: &str) -> Qty {
    Qty::parse(text.as_bytes()).expect("a size")
}
fn usd(text: &str) -> Notional {
    Notional::parse(text.as_bytes()).expect("money")
}
fn ratio(text: &str) -> Ratio {
    Ratio::parse(text.as_bytes()).expect("a ratio")
}

/// Rules of the symbol, as the venue tells them today.
pub fn instrument() -> Instrument {
    let symbol = |text| Symbol::new(text).expect("a symbol");
    Instrument {
        symbol: symbol("SOLUSDT"),
        base: symbol("SOL"),
        quote: symbol("USDT"),
        tick: px("0.01"),
        price_min: px("0.01"),
        price_max: px("10000"),
        lot: sol("0.001"),
        qty_min: sol("0.001"),
        qty_max: sol("90000"),
        market_qty_max: sol("20000"),
        notional_min: usd("5"),
        notional_max: usd("9000000"),
        orders_max: 200,
        algo_orders_max: 5,
        oco_allowed: true,
        stop_market_allowed: true,
        fee_maker: ratio("0.001"),
        fee_taker: ratio("0.001"),
    }
}

fn params() -> Params {
    Params {
        meme_drop: ratio("0.30"),
        meme_drop_sol: Ratio::ZERO, // one volume source will do
        confirmations_min: 0,
        confirm_drop: Ratio::ZERO,
        meme_recover: Ratio(i64::MIN),
        rsi_max: ratio("45"),
        rsi_exit: Ratio(i64::MAX),
        support_low: px("160"),
        support_high: px("162"),
        max_hold_ns: 0,
        max_trade_risk: ratio("0.05"),
        stop_loss: px("155"),
        max_exposure: Ratio::ONE,
        max_consecutive_losses: 4,
        news_lock: false,
        daily_loss: Ratio::ZERO,
        max_slippage: Bps(1_000),
        slippage_kill: Bps(2_000),
        slippage_window_ns: 300 * NANOS_PER_SEC,
        naked_ns_max: 10 * NANOS_PER_SEC,
        clock_offset_ns_max: NANOS_PER_SEC,
        tranches: 1,
        tranche_window_ns: 30 * NANOS_PER_SEC,
        tranche_tif: TimeInForce::Ioc,
        tp1_price: px("170"),
        tp1_above: Ratio::ZERO,
        tp2_price: px("180"),
        tp2_above: Ratio::ZERO,
        tp1_share: Ratio::ONE,
        repost_shift: ratio("0.001"),
        repost_same_price: true,
        flatten_on_stop: false,
        stale_bbo_ns: LONG_NS,
        stale_candle_ns: LONG_NS,
        stale_volume_ns: 48 * LONG_NS,
        stale_confirm_ns: 48 * LONG_NS,
        stale_slot_ns: LONG_NS,
        dex_divergence: Ratio::ZERO,
    }
}

/// What an engine starts from: for slots with ten coins to protect, for entries with none.
pub fn setup(trigger: Trigger, epoch: u32, now: Time) -> Setup {
    let position = OpenPosition {
        trade_no: 1,
        qty: sol("10"),
        cost: usd("1600"),
        bought: sol("10"),
        bought_value: usd("1600"),
        sold: Qty::ZERO,
        sold_value: Notional::ZERO,
        slot1_sold: Qty::ZERO,
        fees: Notional::ZERO,
        realized: Notional::ZERO,
        opened: now,
        last: now,
        last_exit: None,
    };
    let holds = trigger == Trigger::Slot;
    Setup {
        instrument: instrument(),
        params: params(),
        definition: VolumeDefinition::UtcDay,
        rsi_period: 14,
        candle_s: CANDLE_S as u32,
        epoch,
        next_trade_no: 2,
        consecutive_losses: 0,
        paused: PauseSet::NONE,
        cash: usd("8400"),
        base: if holds { sol("10") } else { Qty::ZERO },
        position: holds.then_some(position),
        trades_known_to: 0,
        resting: [None; RESTING_MAX],
        day_equity: None,
        needed_ns: [0; StreamId::ALL.len()],
        last_entry: None,
        risen: [Time::NONE; 4],
        now,
    }
}

/// All that a signal to enter needs but the book tick: streams up, a falling RSI, a volume that fell by 40 %.
pub fn history(now: Time) -> Vec<EventItem> {
    let item = |stream, kind| {
        let event = Event { seq: 0, recv: now, at: now, venue_time: now, stream, kind };
        EventItem { event, decoded: now }
    };
    let streams = [StreamId::BinanceUser, StreamId::SolanaSlot, StreamId::BinanceCandle];
    let mut items: Vec<EventItem> =
        streams.into_iter().map(|stream| item(stream, EventKind::Stream(StreamState::Up))).collect();
    let slot = sol_volume_bot::types::event::Slot { slot: 1, parent: 0, root: 0 };
    items.push(item(StreamId::SolanaSlot, EventKind::Slot(slot)));
    let clock = ClockOffset { offset_ns: 0, round_trip_ns: 1_000 };
    items.push(item(StreamId::BinanceUser, EventKind::Clock(clock)));
    let mut close = px("200");
    for age in (1..=CANDLES).rev() {
        close = Price(close.0 + if age % 3 == 0 { px("0.10").0 } else { -px("0.10").0 });
        let open_time = now.plus(-age * CANDLE_S * NANOS_PER_SEC);
        let (volume, interval_s) = (sol("1"), CANDLE_S as u32);
        let candle = Candle { open_time, open: close, high: close, low: close, close, volume, interval_s };
        items.push(item(StreamId::BinanceCandle, EventKind::Candle(candle)));
    }
    let (definition, state) = (VolumeDefinition::UtcDay, SourceState::Ok);
    let (volume_now, prev) = (usd("60000000"), usd("100000000"));
    let sample = VolumeSample {
        definition,
        state,
        reason: SourceReason::None,
        now: volume_now,
        prev,
        bucket_end: now.day_start(),
        as_of: now,
        ..VolumeSample::UNREAD
    };
    items.push(item(StreamId::DefiLlama, EventKind::Volume(sample)));
    items
}

/// Where the venue is, and whose certificates to trust.
#[derive(Clone, Copy, Debug)]
pub struct Doors<'a> {
    /// Market streams, slots, WebSocket API.
    pub addrs: [SocketAddr; 3],
    /// `Some` = TLS.
    pub ca_file: Option<&'a Path>,
}

/// The agents of one thread, and what hangs out of it.
pub struct House {
    /// Market in.
    pub ingest: Ingest,
    /// Decisions.
    pub hot: Trader,
    /// Orders out.
    pub gateway: Gateway,
    /// Where the journals end.
    pub cold: ColdRings,
    /// Engines begun so far; an entry may be triggered once this has risen.
    pub engines: Arc<AtomicU32>,
    /// To be set by whoever reads the gateway's notes once an order went out.
    pub has_traded: Arc<AtomicBool>,
    /// Depth and overflow of the ring from ingest to hot.
    pub market: Arc<Gauge>,
    /// The operator's last word; wired to the thread.
    pub kill: Arc<KillSwitch>,
    /// Our clock.
    pub clock: Clock,
    /// The thread, not yet started.
    pub runner: Runner,
    /// Depth and overflow of all rings.
    pub gauges: Vec<Arc<Gauge>>,
    /// Where a scout would live.
    pub scout: ScoutRoom,
}

/// What a scout is built from; without one the engine hears no further feed.
pub struct ScoutRoom {
    /// To the engine and to the cold side.
    pub rings: ScoutRings,
    /// Its thread, not yet started.
    pub runner: Runner,
    /// Sockets' common ground.
    pub net: Net,
}

/// Builds the agents. `spin_ns`: `None` = spin for ever, else park after so long.
pub fn build(doors: Doors<'_>, trigger: Trigger, core: usize, spin_ns: Option<i64>) -> House {
    build_with(doors, doors.addrs[0], trigger, core, spin_ns) // nothing is asked by REST
}

/// The same with an address that answers what is asked by REST.
pub fn build_with(doors: Doors<'_>, rest: SocketAddr, trigger: Trigger, core: usize, spin_ns: Option<i64>) -> House {
    let wishes = ThreadWishes {
        layout: Some(Layout::Fused),
        cores: vec![core, 0],
        spin: spin_ns.is_none(),
        spin_ns: spin_ns.unwrap_or(0),
    };
    let plan: Plan = plan(&wishes, &[0, core], 2);
    let mut runners = Runners::open(&plan).expect("pollers");
    let wiring: Wiring = wire(&plan, &runners);
    let clock = Clock::start();
    let net = Net {
        clock,
        tls: TlsContext::new(doors.ca_file).expect("TLS settings"),
        resolver: Resolver::start().expect("a thread"),
        budget: Arc::new(ConnectBudget::new(300, NANOS_PER_SEC)),
    };
    let registry = runners.of(0).poller().registry().expect("a registry");
    let scheme = if doors.ca_file.is_some() { "wss" } else { "ws" };
    let [market, slots, orders] = [0, 1, 2].map(|number| {
        let endpoint = Endpoint::parse(&format!("{scheme}://{}/ws", doors.addrs[number])).expect("an endpoint");
        let mut link = Link::new(LinkConfig::new(endpoint), net.clone());
        link.register(&registry, number * TOKENS_PER_LINK).expect("tokens");
        link
    });
    let rest = Endpoint::parse(&format!("http://{rest}")).expect("an endpoint");
    let links = IngestLinks { market, slots: vec![slots], rest: HttpClient::new(rest, net.clone(), 1 << 20) };
    let market = wiring.market.gauge();
    let mid = Arc::new(LatestMid::new());
    let slot = Arc::new(LatestSlot::new());
    let ingest = Ingest::new(links, market_settings(), clock, (wiring.market, wiring.journal_ingest), Arc::clone(&mid));
    let ingest = ingest.with_slot(Arc::clone(&slot));
    let (events, notes) = (wiring.scout, wiring.journal_scout);
    let scout_rings = ScoutRings { events, notes, slot, mid: Arc::clone(&mid) };
    let view = Arc::new(HotView::default());
    let beating = Beating::start(clock);
    let hot = Hot::new(Engine::new(setup(trigger, 1, clock.now())), clock, wiring.hot, Arc::clone(&view));
    let hot = hot.with_heartbeat(beating.page());
    let page = beating.page();
    let engines = Arc::new(AtomicU32::new(0));
    let has_traded = Arc::new(AtomicBool::new(trigger == Trigger::Entry)); // the first engine gets its history at once
    let trader = Trader {
        hot: Some(hot),
        view,
        trigger,
        clock,
        slow: wiring.slow,
        engines: Arc::clone(&engines),
        epoch: 1,
        has_traded: Arc::clone(&has_traded),
        beating,
    };
    let kill = Arc::new(KillSwitch::new(clock));
    kill.wire(vec![runners.of(2).poller().waker()]);
    let watch = GatewayWatch { kill: Arc::clone(&kill), mid };
    let rings = (wiring.command, wiring.report, wiring.journal_gateway);
    let gateway = Gateway::new(orders, session(), clock, rings, watch).with_heartbeat(page);
    let runner = runners.trading.remove(0);
    let scout = ScoutRoom { rings: scout_rings, runner: runners.scout, net };
    let (cold, gauges) = (wiring.cold, wiring.gauges);
    House { ingest, hot: trader, gateway, cold, engines, has_traded, market, kill, clock, runner, gauges, scout }
}

/// What the market session follows.
pub fn market_settings() -> MarketSettings {
    let stale_after = StaleAfter { bbo_ns: LONG_NS, depth_ns: LONG_NS, trade_ns: LONG_NS, candle_ns: LONG_NS };
    let symbol = instrument().symbol;
    MarketSettings {
        symbol,
        candle: Interval::parse("5m").expect("a length"),
        candles_seed: 0,
        stale_after,
        depth_sample_ns: DEPTH_SAMPLE_NS,
        first_data_ns: LONG_NS,
    }
}

/// A session with a fresh Ed25519 key: it logs on, so no order needs a signature.
fn session() -> TradeSession {
    let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
    TradeSession::new(TradeSettings {
        instrument: instrument(),
        api_key: "k".repeat(64),
        signer: Signer::ed25519(STANDARD.encode(key.as_ref())).expect("a signer"),
        recv_window_orders_ms: 1_000,
        recv_window_queries_ms: 5_000,
        request_timeout_ns: 10 * NANOS_PER_SEC,
        stale_after_ns: 60 * NANOS_PER_SEC,
        bounds: bounds(),
        limits: Vec::new(),
    })
}

/// The last gate with its rules in force, wide enough for what the script asks, and faster than any market.
fn bounds() -> Bounds {
    Bounds {
        order_notional_max: Notional(i64::MAX),
        order_qty_max: Qty(i64::MAX),
        collar: Ratio(RATIO_SCALE / 2),
        mid_age_ns_max: LONG_NS,
        orders_per_s_max: 0,
    }
}

/// The hot agent; after each entry that came to nothing it goes on with a new engine, because an engine enters once a
/// day. That happens between the rounds.
pub struct Trader {
    hot: Option<Hot>,
    view: Arc<HotView>,
    trigger: Trigger,
    clock: Clock,
    slow: Sender<EventItem>,
    engines: Arc<AtomicU32>,
    epoch: u32,
    has_traded: Arc<AtomicBool>,
    beating: Beating,
}

/// A heartbeat page as a guarded live engine has it, in a folder of its own that goes with it.
pub struct Beating {
    page: Arc<Heartbeat>,
    dir: PathBuf,
}

impl Beating {
    /// A page that nobody reads.
    pub fn start(clock: Clock) -> Beating {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("svb-rig-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary folder");
        let page = Heartbeat::create(&dir, 1, clock, Figures::default()).expect("a page");
        Beating { page: Arc::new(page), dir }
    }
    /// For an agent.
    pub fn page(&self) -> Option<Arc<Heartbeat>> {
        Some(Arc::clone(&self.page))
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.page.end(true);
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

impl Trader {
    /// A new engine behind the same rings, told all that it needs but the book tick.
    fn begin_anew(&mut self, now: Time) {
        let Some(hot) = self.hot.take() else { return };
        self.epoch += 1;
        let engine = Engine::new(setup(self.trigger, self.epoch, now));
        let hot = Hot::new(engine, self.clock, hot.into_rings(), Arc::clone(&self.view));
        let mut hot = hot.with_heartbeat(self.beating.page());
        for item in history(now) {
            while self.slow.push(item).is_err() {
                hot.turn(now);
            }
        }
        while !hot.idle() {
            hot.turn(now);
        }
        self.hot = Some(hot);
        self.has_traded.store(false, Ordering::Relaxed);
        self.engines.fetch_add(1, Ordering::Release); // whoever waits for it sees an engine that knows its history
    }
}

impl Agent for Trader {
    fn turn(&mut self, now: Time) -> Work {
        let Some(hot) = &mut self.hot else { return Work::NONE };
        let work = hot.turn(now);
        let is_open = self.view.orders_open.load(Ordering::Relaxed) > 0;
        if self.trigger == Trigger::Entry && self.has_traded.load(Ordering::Relaxed) && !is_open {
            self.begin_anew(now);
        }
        work
    }
    fn idle(&self) -> bool {
        self.hot.as_ref().is_none_or(|hot| hot.idle())
    }
    fn deadline(&self) -> Option<Time> {
        self.hot.as_ref()?.deadline()
    }
    fn finish(&mut self, now: Time) {
        if let Some(hot) = &mut self.hot {
            hot.finish(now);
        }
    }
}
