//! The rig: built-in venues in the test's process, the real binary as its child, and eyes on both.
//!
//! `Rig::open` starts the venues with the mid above the band, so nothing happens before [`Rig::enter`]; [`Rig::start`]
//! starts the binary and waits until `/readyz` says yes. [`Rig::finish`] stops it with SIGTERM, then checks what must
//! hold in every scenario; [`Rig::kill`] ends it as a lost machine would. Dropping a rig kills the child and removes its
//! folder.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use sol_volume_bot::sim::scenario::{DEMO_HMAC_KEY, DEMO_HMAC_SECRET, Scenario};
use sol_volume_bot::sim::server::{Handle, Received, Server, ServerSettings, Snapshot};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::types::{Price, Time};

use crate::books::Books;
use crate::proof;
use crate::stillness::{Stillness, outside_ns};

/// Longest wait for anything that must happen; a test that needs it has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Fewer lamports than this are worth less than the venue's smallest order.
pub const DUST_MAX: i64 = 33_000_000;

/// The mid stands still at 162.50 until told otherwise, small takers trade at the touch (without trades there are no
/// candles); RSI is low, the volume has fallen.
const SCENARIO: &str = r#"
seed = 19
step_ms = 20
path = [{ at = "0s", mid = "162.50" }]
[balances]
USDT = "10000"
[market]
levels = 20
level_qty = "40"
spread_ticks_max = 1
taker_permille = 300
noise_ticks = 0
[history]
interval = "5m"
candles = 500
closes = ["190.00", "162.50"]
wobble_ticks = 0
[solana]
slot_ms = 50
[[llama]]
slug = "pump.fun"
days = ["58400000", "91200000", "88000000"]
[[llama]]
slug = "pumpswap"
days = ["212000000", "335000000", "321000000"]
"#;

/// The user's own numbers, with hours compressed into seconds; a test's overrides are laid over it.
const CONFIG: &str = r#"
[thresholds]
meme_drop_pct = 0.30
meme_drop_sol_pct = 0 # one volume source tells this story
confirmations_min = 0
rsi_max       = 45
support_low   = 160
support_high  = 162
[risk]
max_trade_risk = 0.05
stop_loss      = 155
naked_ms_max   = 500
slippage_kill_bps = 100
[execution]
tranche_window = "6s" # two seconds between tranches: a shared machine may stand still for one
take_profit_1  = "163.5"
take_profit_2  = "166"
[feeds] # the trade itself; every further feed has tests of its own
volume_source = "utc_day"
dex_book = "off"
chain_scope = "off"
optional = ["binance_depth", "binance_trade", "pumpfun"]
defillama_settle = "0s"
defillama_poll   = "1s"
pumpfun_poll     = "1s"
[alerts]
telegram_token = "TELEGRAM_TOKEN"
telegram_chat  = "TELEGRAM_CHAT"
slack_webhook  = "SLACK_WEBHOOK"
"#;

/// A price from its text.
pub fn price(text: &str) -> Price {
    Price::parse(text.as_bytes()).expect("a price")
}

/// Lines the child has written so far, and whether it has closed its output.
#[derive(Default)]
struct Log {
    state: Mutex<(Vec<Value>, bool)>,
    changed: Condvar,
}

/// The running child.
struct Engine {
    child: Child,
    log: Arc<Log>,
}

/// Venues, child and folder of one scenario.
pub struct Rig {
    /// The test's hand on the venues.
    pub venue: Handle,
    /// The configuration as the child got it.
    pub config: toml::Table,
    /// Time that coins may be naked beyond `naked_ms_max`: a test without a way out to the venue says so here.
    pub blind_ms: i64,
    /// When no engine could guard the coins, by [`Rig::clock`]: from a kill to the next time that one was ready.
    pub outages: Vec<(Time, Time)>,
    /// The clock of the venues.
    pub clock: Clock,
    dir: PathBuf,
    engine: Option<Engine>,
    /// What the killed ones said last.
    past: String,
    /// The account before the first start.
    before: Snapshot,
    stillness: Stillness,
}

impl Rig {
    /// Venues and files, no child yet. `overrides` is TOML over [`CONFIG`], where `{http}` and `{ws}` stand for the
    /// venues' addresses; `shape` may change the scenario.
    pub fn open(overrides: &str, shape: impl FnOnce(&mut Scenario)) -> Rig {
        Rig::open_at(SocketAddr::from(([127, 0, 0, 1], 0)), None, overrides, shape)
    }
    /// The same with the venues at this address, over TLS if there is a certificate.
    pub fn open_at(
        listen: SocketAddr,
        tls: Option<Arc<rustls::ServerConfig>>,
        overrides: &str,
        shape: impl FnOnce(&mut Scenario),
    ) -> Rig {
        let mut scenario = Scenario::parse("rig", SCENARIO).expect("a good scenario");
        shape(&mut scenario);
        let clock = Clock::start();
        let settings = ServerSettings { listen, scenario, tls, clock };
        let venue = Server::start(settings).expect("a free port");
        let mut config: toml::Table = CONFIG.parse().expect("good TOML");
        merge(&mut config, endpoints(&venue).parse().expect("good TOML"));
        let overrides = overrides.replace("{http}", &venue.http_url("")).replace("{ws}", &venue.ws_url(""));
        merge(&mut config, overrides.parse().expect("the test's overrides are TOML"));
        let dir = fresh_dir();
        std::fs::write(dir.join("config.toml"), config.to_string()).expect("a writable folder");
        write_secrets(&dir.join(".env"), &venue);
        let before = venue.snapshot();
        let (outages, past, stillness) = (Vec::new(), String::new(), Stillness::watch(clock));
        Rig { venue, config, blind_ms: 0, outages, clock, dir, engine: None, past, before, stillness }
    }
    /// [`Rig::open`] and [`Rig::start`] with the plain scenario.
    pub fn run(overrides: &str) -> Rig {
        let mut rig = Rig::open(overrides, |_| {});
        rig.start();
        rig
    }

    /// Starts the binary and waits until it may trade.
    pub fn start(&mut self) {
        self.launch();
        self.until("ready", |rig| rig.http("/readyz").0 == 200);
    }
    /// Starts the binary and waits for its first line only.
    pub fn launch(&mut self) {
        self.spawn(&[]);
        self.line("START", |_| true);
    }
    /// Starts the binary as the last arguments of `wrapper`, another program that runs it, or alone; waits for nothing.
    pub fn spawn(&mut self, wrapper: &[&str]) {
        assert!(self.engine.is_none(), "one child at a time");
        let stderr = std::fs::File::options().create(true).append(true).open(self.dir.join("stderr.txt"));
        let words: Vec<&str> = wrapper.iter().copied().chain([env!("CARGO_BIN_EXE_sol_volume_bot")]).collect();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .args(["run", "--mode", "live"])
            .arg("--config")
            .arg(self.dir.join("config.toml"))
            .arg("--env-file")
            .arg(self.dir.join(".env"))
            .arg("--data-dir")
            .arg(self.data_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr.expect("a writable folder"))
            .spawn()
            .expect("the binary starts");
        let log = Arc::new(Log::default());
        let (stdout, told) = (child.stdout.take().expect("a pipe"), Arc::clone(&log));
        std::thread::spawn(move || told.read_from(stdout));
        self.engine = Some(Engine { child, log });
    }
    /// SIGKILL, and waits for the end; an outage begins. Gives how it ended, which may have been before.
    pub fn kill(&mut self) -> ExitStatus {
        self.past += &format!("{}-- killed --\n", tail(&self.lines()));
        let mut engine = self.engine.take().expect("the child runs");
        drop(engine.child.kill()); // an error says that it is dead already
        let status = engine.child.wait().expect("a child of ours");
        if self.outages.last().is_none_or(|outage| outage.1 != Time(i64::MAX)) {
            self.outages.push((self.clock.now(), Time(i64::MAX)));
        }
        status
    }
    /// SIGTERM, and waits until the child's output ends, whichever way it ends.
    pub fn terminate(&mut self) {
        let engine = self.engine();
        terminate(&engine.child);
        let (_, closed) = engine.log.wait(PATIENCE, |_, closed| closed);
        assert!(closed, "the child does not stop\n{}", self.story());
    }
    /// How the child has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.engine.as_mut().expect("the child was started").child.try_wait().expect("a child of ours")
    }
    /// Time since `from` in which the machine did not stand still, ns.
    pub fn awake_ns(&self, from: Time) -> i64 {
        outside_ns(&self.stillness.spans(), from, self.clock.now())
    }
    /// Whether it did stand still since.
    pub fn stood_still(&self, from: Time) -> bool {
        self.stillness.was_since(from)
    }
    /// The outage is over now.
    pub fn outage_over(&mut self) {
        if let Some(last) = self.outages.last_mut() {
            last.1 = last.1.min(self.clock.now());
        }
    }

    /// Where the child writes.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }
    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("the child runs")
    }

    /// The first line of this run with that `event` for which `wanted` holds; waits for it.
    pub fn line(&self, event: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let is_it = |line: &&Value| line["event"] == event && wanted(line);
        let (lines, _) =
            self.engine().log.wait(PATIENCE, |lines, closed| closed || lines.iter().any(|line| is_it(&line)));
        match lines.iter().find(is_it) {
            Some(line) => line.clone(),
            None => panic!("no line {event} came\n{}", self.story()),
        }
    }
    /// The child's process.
    pub fn pid(&self) -> u32 {
        self.engine().child.id()
    }
    /// How many lines this run has written so far.
    pub fn line_count(&self) -> usize {
        self.engine().log.state.lock().unwrap_or_else(PoisonError::into_inner).0.len()
    }
    /// Whether this run has written such a line.
    pub fn has_line(&self, wanted: impl Fn(&Value) -> bool) -> bool {
        self.engine().log.state.lock().unwrap_or_else(PoisonError::into_inner).0.iter().any(wanted)
    }
    /// Every line of this run so far.
    pub fn lines(&self) -> Vec<Value> {
        self.engine().log.wait(Duration::ZERO, |_, _| true).0
    }
    /// Lines of this run so far with that `event`.
    pub fn lines_of(&self, event: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["event"] == event).collect()
    }
    /// Status and body of a GET at the ops port.
    pub fn http(&self, path: &str) -> (u16, String) {
        self.line("START", |_| true);
        self.try_http(path).unwrap_or_else(|| panic!("no answer to GET {path}\n{}", self.story()))
    }
    /// The same of a child that may not have opened the port yet, or may be dead.
    pub fn try_http(&self, path: &str) -> Option<(u16, String)> {
        let log = self.engine().log.state.lock().unwrap_or_else(PoisonError::into_inner);
        let start = log.0.iter().find(|line| line["event"] == "START")?;
        let ops: SocketAddr = start["ops"].as_str()?.parse().ok()?;
        drop(log);
        get(ops, path).ok()
    }
    /// `/api/status`.
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.http("/api/status").1).expect("the status is JSON")
    }
    /// Sum of a metric over its labels that contain `label`.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let text = self.http("/metrics").1;
        let rows = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        rows.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
    /// Waits until the engine itself says so; asks again every 20 ms.
    pub fn until(&self, what: &str, wanted: impl Fn(&Rig) -> bool) {
        let clock = Clock::start();
        let end = clock.now().plus(PATIENCE.as_nanos() as i64);
        while !wanted(self) {
            assert!(clock.now() < end, "never {what}\n{}", self.story());
            self.venue.wait_for(Duration::from_millis(20), |_| false);
        }
    }
    /// Waits until the venue looks like that.
    pub fn venue_until(&self, what: &str, wanted: impl FnMut(&Snapshot) -> bool) -> Snapshot {
        let (snapshot, met) = self.venue.wait_for(PATIENCE, wanted);
        assert!(met, "the venue never saw: {what}\n{snapshot:#?}\n{}", self.story());
        snapshot
    }

    /// Moves the market into the band, and waits for the first entry.
    pub fn enter(&self) {
        self.venue.set_mid(price("161.00"));
        self.line("ENTER", |_| true);
    }
    /// Entry orders that reached the venue so far.
    pub fn entries(&self) -> Vec<Received> {
        self.venue.received().into_iter().filter(|row| row.params.contains("side=BUY")).collect()
    }
    /// Waits until so many entry orders reached the venue and all coins have a live stop.
    pub fn entered(&self, entries: usize) -> Snapshot {
        self.until("so many entries", |rig| rig.entries().len() >= entries);
        self.protected()
    }
    /// Waits until there are coins and every one above dust has a live stop, by the venue's and the engine's word.
    pub fn protected(&self) -> Snapshot {
        let is_safe = |now: &Snapshot| !now.open_lists.is_empty() && proof::is_protected(now);
        self.until("all coins protected and booked", |rig| {
            let now = rig.venue.snapshot();
            let own = rig.status();
            is_safe(&now)
                && own["position"] == now.coins("SOL").to_string()
                && own["orders_open"] == now.open_orders.len()
        });
        self.venue_until("all coins protected", is_safe)
    }
    /// Waits until the round trip is over: its line, nothing but dust at the venue, no order left there.
    pub fn closed(&self) -> Value {
        let closed = self.line("TRADE_CLOSED", |_| true);
        let end = self.venue.snapshot();
        assert!(end.open_orders.is_empty(), "{:?}", end.open_orders);
        assert!(end.coins("SOL").0 < DUST_MAX, "only dust is left, not {}", end.coins("SOL"));
        closed
    }

    /// SIGTERM, a clean end, the ledger.
    pub fn stop(&mut self) -> Books {
        let Engine { mut child, log, .. } = self.engine.take().expect("the child runs");
        terminate(&child);
        let (lines, closed) = log.wait(PATIENCE, |_, closed| closed);
        if !closed {
            drop(child.kill());
            panic!("the child does not stop\n{}", tail(&lines));
        }
        let status = child.wait().expect("a child of ours");
        assert_eq!(status.code(), Some(0), "a clean end\n{}\n{}", tail(&lines), self.stderr());
        Books::open(&self.data_dir())
    }
    /// [`Rig::stop`], then everything that must hold in every scenario.
    pub fn finish(mut self) -> Books {
        let lines = self.lines();
        self.checked_stop().unwrap_or_else(|fault| panic!("{fault}\n{}\n{}", tail(&lines), self.stderr()))
    }
    /// [`Rig::stop`], then the ledger, or what did not hold.
    pub fn checked_stop(&mut self) -> Result<Books, String> {
        let books = self.stop();
        let mut outages = [&self.outages[..], &self.stillness.spans()].concat();
        outages.sort_unstable();
        let record = proof::Record {
            before: &self.before,
            venue: &self.venue,
            config: &self.config,
            blind_ms: self.blind_ms,
            outages: &outages,
        };
        record.check(&books).map(|()| books)
    }

    fn stderr(&self) -> String {
        let text = std::fs::read_to_string(self.dir.join("stderr.txt")).unwrap_or_default();
        format!("stderr:\n{}", &text[text.len().saturating_sub(4_000)..])
    }
    /// What the child said last, for a failed test.
    pub fn story(&self) -> String {
        format!("{}{}\n{}", self.past, tail(&self.lines()), self.stderr())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(mut engine) = self.engine.take() {
            drop(engine.child.kill());
            drop(engine.child.wait());
        }
        drop(std::fs::remove_dir_all(&self.dir)); // what stays is in the system's temporary folder
    }
}

impl Log {
    fn read_from(&self, stdout: impl Read) {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
            self.state.lock().unwrap_or_else(PoisonError::into_inner).0.push(line);
            self.changed.notify_all();
        }
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.changed.notify_all();
    }
    fn wait(&self, patience: Duration, wanted: impl Fn(&[Value], bool) -> bool) -> (Vec<Value>, bool) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let unmet = |state: &mut (Vec<Value>, bool)| !wanted(&state.0, state.1);
        let waited = self.changed.wait_timeout_while(state, patience, unmet);
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

fn terminate(child: &Child) {
    let pid = i32::try_from(child.id()).expect("a process id");
    // SAFETY: a plain system call with a process id of our own child, which has not been waited for.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0, "the child is there");
}

fn tail(lines: &[Value]) -> String {
    let from = lines.len().saturating_sub(60);
    lines[from..].iter().map(|line| format!("{line}\n")).collect()
}

fn merge(into: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(known)), toml::Value::Table(value)) => merge(known, value),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

fn endpoints(venue: &Handle) -> String {
    let (http, ws) = (venue.http_url(""), venue.ws_url(""));
    format!(
        "[endpoints]\nbinance_rest = '{http}'\nbinance_stream = '{ws}'\nbinance_ws_api = '{ws}/ws-api/v3'\n\
         solana_ws = '{ws}/solana'\nsolana_rpc = '{http}/solana'\ndefillama = '{http}/llama'\n\
         pumpfun = '{http}/pump/volume'\nkraken_ws = ''\njupiter = ''\ncoingecko = ''\n\
         telegram = '{http}/telegram'\n[ops]\nlisten = '127.0.0.1:0'\n"
    )
}

fn write_secrets(path: &Path, venue: &Handle) {
    let webhook = venue.http_url("/slack/services/T0/B0/rig-webhook");
    let text = format!(
        "BINANCE_API_KEY={DEMO_HMAC_KEY}\nBINANCE_SECRET={DEMO_HMAC_SECRET}\n\
         TELEGRAM_TOKEN=123456789:AArig-token-of-the-built-in-venues-only\nTELEGRAM_CHAT=4711\nSLACK_WEBHOOK={webhook}\n\
         OPS_TOKEN=rig-token-of-the-ops-port\n"
    );
    let mut file = std::fs::File::options().create_new(true).write(true).mode(0o600).open(path).expect("a new file");
    file.write_all(text.as_bytes()).expect("a writable folder");
}

fn fresh_dir() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("svb-scenario-{}-{number}", std::process::id()));
    drop(std::fs::remove_dir_all(&dir)); // of a dead process with our number
    std::fs::create_dir_all(&dir).expect("a writable temporary folder");
    dir
}

fn get(addr: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut socket = TcpStream::connect(addr)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    write!(socket, "GET {path} HTTP/1.1\r\nHost: ops\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    socket.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    Ok((status, body.to_owned()))
}
