//! The hands of the tests: a folder of their own, the built-in venues, the program as a child process.
//!
//! Thread: test, with readers of the child's pipes.  Invariants: loopback only; every wait has a deadline; a child never
//! outlives its test.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use serde_json::Value;
use sol_volume_bot::sim::scenario::{DEMO_HMAC_KEY, DEMO_HMAC_SECRET, Scenario};
use sol_volume_bot::sim::server::{Handle, Server, ServerSettings, Snapshot};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::types::event::Bbo;
use sol_volume_bot::types::{Price, Qty, Time};

/// Longest wait for a fact; a test that needs all of it has failed. Generous, because tests share few cores.
pub const PATIENCE: Duration = Duration::from_secs(40);

pub const OPS_TOKEN: &str = "ops-token-0f6a3c9e7b21";
pub const TELEGRAM_TOKEN: &str = "987654321:AAtest-token-that-nobody-may-see";
pub const TELEGRAM_CHAT: &str = "-1001234567890";
pub const SLACK_PATH: &str = "/slack/services/T00/B00/webhook-that-nobody-may-see";

/// The user's own file, as the contract prints it.
pub const USERS_OWN: &str = r#"[exchange]
binance_key  = "BINANCE_API_KEY"      # the NAME of the variable in .env, never the secret
binance_sec  = "BINANCE_SECRET"
[symbols]
spot = "SOLUSDT"
hedge = "SOLUSD_PERP"
[thresholds]
meme_drop_pct = 0.30
rsi_max       = 45
support_low   = 160
support_high  = 162
[risk]
max_trade_risk = 0.05
stop_loss      = 155
"#;

/// When patience ends.
struct Deadline(Clock, Time);

impl Deadline {
    fn start() -> Deadline {
        let clock = Clock::start();
        Deadline(clock, clock.now().plus(i64::try_from(PATIENCE.as_nanos()).expect("seconds")))
    }
    fn left(&self) -> Duration {
        Duration::from_nanos(self.1.since(self.0.now()).max(0).unsigned_abs())
    }
}

/// A folder that goes away with its test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("svb-operations-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a temporary folder");
        Folder(path)
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
    pub fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("write");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How a child ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// The program as a child process.
pub struct Bot {
    child: Child,
    pub stdin: Option<ChildStdin>,
    /// Process to signal, if it is not the child itself.
    pub pid: u32,
    out: Receiver<String>,
    err: Receiver<String>,
    /// Lines of stdout so far.
    pub log: Vec<Value>,
    seen: usize,
    stdout: String,
}

/// The program, in `folder`, with nothing of this process's environment.
pub fn program(folder: &Folder) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sol_volume_bot"));
    command.env_clear().current_dir(&folder.0);
    command
}

/// Runs a verb to its end.
pub fn run_to_end(folder: &Folder, args: &[&str]) -> Ended {
    let mut command = program(folder);
    command.args(args);
    Bot::spawn(command).ended()
}

fn read_lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (lines, rx) = unbounded();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
    rx
}

impl Bot {
    pub fn spawn(mut command: Command) -> Bot {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdin = child.stdin.take();
        let out = read_lines(child.stdout.take().expect("piped"));
        let err = read_lines(child.stderr.take().expect("piped"));
        let pid = child.id();
        Bot { child, stdin, pid, out, err, log: Vec::new(), seen: 0, stdout: String::new() }
    }

    fn take(&mut self, line: &str) {
        self.stdout.push_str(line);
        self.stdout.push('\n');
        self.log.push(serde_json::from_str(line).unwrap_or(Value::Null));
    }

    /// The next line of this event, after the last one found, that `wanted` takes.
    pub fn next(&mut self, event: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Deadline::start();
        loop {
            while self.seen < self.log.len() {
                self.seen += 1;
                let line = &self.log[self.seen - 1];
                if line["event"] == event && wanted(line) {
                    return line.clone();
                }
            }
            match self.out.recv_timeout(deadline.left()) {
                Ok(line) => self.take(&line),
                Err(_) => panic!("no {event} line as wanted; the log:\n{}\nstderr:\n{}", self.stdout, self.stderr()),
            }
        }
    }
    /// The next line of this event.
    pub fn line(&mut self, event: &str) -> Value {
        self.next(event, |_| true)
    }
    /// A line of this event, wherever in the log: what several threads tell comes in no order. `next` goes on where it was.
    pub fn said(&mut self, event: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let seen = std::mem::take(&mut self.seen);
        let line = self.next(event, wanted);
        self.seen = seen;
        line
    }
    /// The next NO_OP whose only rule that fails is `rule`: everything else would let it enter.
    pub fn held_back_by(&mut self, rule: &str) -> Value {
        let line = self.next("NO_OP", |line| line["msg"] == format!("not holding: {rule}"));
        line["rules"].clone()
    }
    /// Lines of this event so far.
    pub fn count(&mut self, event: &str) -> usize {
        while let Ok(line) = self.out.try_recv() {
            self.take(&line);
        }
        self.log.iter().filter(|line| line["event"] == event).count()
    }
    fn stderr(&self) -> String {
        let mut text = String::new();
        while let Ok(line) = self.err.try_recv() {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.pid).expect("a process id");
        // SAFETY: kill touches no memory; the child is not reaped before `ended`, so the id is its own.
        let sent = unsafe { libc::kill(pid, signal) };
        assert!(sent == 0 || signal == libc::SIGKILL, "signal {signal} to {pid}");
    }
    /// SIGTERM, then waits for the end.
    pub fn stop(self) -> Ended {
        self.signal(libc::SIGTERM);
        self.ended()
    }
    /// Waits for the end: both pipes close.
    pub fn ended(mut self) -> Ended {
        drop(self.stdin.take());
        let deadline = Deadline::start();
        while let Ok(line) = self.out.recv_timeout(deadline.left()) {
            self.take(&line);
        }
        let mut stderr = String::new();
        while let Ok(line) = self.err.recv_timeout(deadline.left()) {
            stderr.push_str(&line);
            stderr.push('\n');
        }
        assert!(!deadline.left().is_zero(), "the program does not end; stdout:\n{}\nstderr:\n{stderr}", self.stdout);
        let status = self.child.wait().expect("it ended");
        Ended { code: status.code(), stdout: std::mem::take(&mut self.stdout), stderr }
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(libc::SIGKILL); // the test failed
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The venues in this process, and all that a program needs to trade there.
pub struct House {
    pub folder: Folder,
    pub venue: Handle,
    config: BTreeMap<&'static str, BTreeMap<String, String>>,
    env: BTreeMap<&'static str, String>,
}

/// The scenario of the steered tests: the market stands still until it is told otherwise.
pub fn steered() -> Scenario {
    Scenario::parse("steered", include_str!("../../config/scenarios/steered.toml")).expect("a good scenario")
}

impl House {
    pub fn new(name: &str) -> House {
        House::with(name, steered(), None)
    }
    pub fn with(name: &str, scenario: Scenario, tls: Option<Arc<rustls::ServerConfig>>) -> House {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let venue =
            Server::start(ServerSettings { listen, scenario, tls, clock: Clock::start() }).expect("a free port");
        let mut house = House { folder: Folder::new(name), config: BTreeMap::new(), env: BTreeMap::new(), venue };
        let mut table = "";
        for line in USERS_OWN.lines() {
            if let Some(name) = line.strip_prefix('[') {
                table = name.trim_end_matches(']');
            } else if let Some((key, value)) = line.split_once('=') {
                let value = value.split('#').next().unwrap_or_default();
                house.config.entry(table).or_default().insert(key.trim().to_owned(), value.trim().to_owned());
            }
        }
        house.furnish();
        house
    }

    /// Every endpoint at the built-in venues, hours compressed into seconds.
    fn furnish(&mut self) {
        for (key, url) in [
            ("binance_rest", self.venue.http_url("")),
            ("binance_stream", self.venue.ws_url("")),
            ("binance_ws_api", self.venue.ws_url("/ws-api/v3")),
            ("solana_ws", self.venue.ws_url("/solana")),
            ("solana_rpc", self.venue.http_url("/solana")),
            ("defillama", self.venue.http_url("/llama")),
            ("telegram", self.venue.http_url("/telegram")),
        ] {
            self.set("endpoints", key, &format!("{url:?}"));
        }
        self.set("execution", "tranche_window", "\"6s\"");
        self.set("feeds.stale_after_ms", "binance_bbo", "10000"); // a book that stands still, on a machine that may
        for peer in ["kraken_ws", "jupiter", "coingecko"] {
            self.set("endpoints", peer, "\"\""); // further feeds have tests of their own
        }
        self.set("feeds", "volume_source", "\"utc_day\"");
        self.set("feeds", "dex_book", "\"off\"");
        self.set("feeds", "chain_scope", "\"off\"");
        self.set("feeds", "optional", "[\"binance_depth\", \"binance_trade\"]");
        self.set("thresholds", "meme_drop_sol_pct", "0"); // one volume source tells these stories
        self.set("thresholds", "confirmations_min", "0");
        self.set("feeds", "defillama_settle", "\"0s\"");
        self.set("feeds", "defillama_poll", "\"1s\"");
        self.set("ops", "listen", "\"127.0.0.1:0\"");
        self.set("ops", "token", "\"OPS_TOKEN\"");
        self.secret("OPS_TOKEN", OPS_TOKEN);
        self.secret("BINANCE_API_KEY", DEMO_HMAC_KEY);
        self.secret("BINANCE_SECRET", DEMO_HMAC_SECRET);
    }
    /// Sets a key to a value as TOML writes it.
    pub fn set(&mut self, table: &'static str, key: &str, value: &str) {
        self.config.entry(table).or_default().insert(key.to_owned(), value.to_owned());
    }
    /// Leaves a key out.
    pub fn unset(&mut self, table: &'static str, key: &str) {
        self.config.entry(table).or_default().remove(key);
    }
    /// Sets a variable of `.env`.
    pub fn secret(&mut self, name: &'static str, value: &str) {
        self.env.insert(name, value.to_owned());
    }
    /// Alerts to the built-in Telegram and Slack.
    pub fn with_alerts(&mut self) {
        for (key, name) in [
            ("telegram_token", "TELEGRAM_TOKEN"),
            ("telegram_chat", "TELEGRAM_CHAT"),
            ("slack_webhook", "SLACK_WEBHOOK"),
        ] {
            self.set("alerts", key, &format!("{name:?}"));
        }
        self.secret("TELEGRAM_TOKEN", TELEGRAM_TOKEN);
        self.secret("TELEGRAM_CHAT", TELEGRAM_CHAT);
        let webhook = self.venue.http_url(SLACK_PATH);
        self.secret("SLACK_WEBHOOK", &webhook);
    }

    /// Writes config and `.env` as they stand now.
    pub fn write(&self) {
        let mut text = String::new();
        for (table, keys) in &self.config {
            text.push_str(&format!("[{table}]\n"));
            keys.iter().for_each(|(key, value)| text.push_str(&format!("{key} = {value}\n")));
        }
        self.folder.write("config.toml", &text, 0o644);
        let env: String = self.env.iter().map(|(name, value)| format!("{name}='{value}'\n")).collect();
        self.folder.write(".env", &env, 0o600);
    }
    /// Arguments of a live run: real orders, at the built-in venue.
    pub fn args(&self) -> [&'static str; 6] {
        ["run", "--config", "config.toml", "--mode", "live", "--data-dir"]
    }
    pub fn data(&self) -> PathBuf {
        self.folder.path("data")
    }
    /// The program, not yet running.
    pub fn command(&self) -> Command {
        self.write();
        let mut command = program(&self.folder);
        command.args(self.args()).arg(self.data());
        command
    }
    /// Starts the program; it need not come up.
    pub fn start(&self) -> Bot {
        Bot::spawn(self.command())
    }
    /// Starts the program and waits until it says READY; gives its ops address too.
    pub fn open(&self) -> (Bot, Ops) {
        let mut bot = self.start();
        let ops = Ops::of(&bot.line("START"));
        bot.line("READY");
        (bot, ops)
    }
    /// Makes the top of book exactly this, in cents.
    pub fn quote(&self, bid_cents: i64, ask_cents: i64) {
        let (bid, ask) = (cents(bid_cents), cents(ask_cents));
        let qty = Qty(40_000_000_000);
        self.venue.follow(Bbo { bid, bid_qty: qty, ask, ask_qty: qty, update_id: 0 });
    }
    /// Orders of the kind that the venue received.
    pub fn placed(&self, method: &str) -> usize {
        self.venue.received().iter().filter(|request| request.method.starts_with(method)).count()
    }
    /// Waits for all three tranches, and for exits that cover them: an order that is sent is not yet taken, and the
    /// pairs of the tranche before it stand until then.
    pub fn enters_wholly(&self, bot: &mut Bot) {
        for _ in 1..=3 {
            bot.next("ORDER_DONE", |line| line["purpose"] == "ENTRY");
        }
        let is_covered = |snapshot: &Snapshot| {
            let offered: i64 = snapshot.open_orders.iter().filter(|o| o.stop_price.0 > 0).map(|o| o.qty.0).sum();
            snapshot.open_lists.len() == 2 && snapshot.coins("SOL").0 - offered < 10_000_000
        };
        assert!(self.venue.wait_for(PATIENCE, is_covered).1, "{:?}", self.venue.snapshot().open_orders);
    }
    /// One number of the ledger.
    pub fn query(&self, sql: &str) -> i64 {
        let db = rusqlite::Connection::open(self.data().join("engine.db")).expect("opens");
        db.query_row(sql, [], |row| row.get(0)).expect(sql)
    }
}

/// A price of whole cents.
pub fn cents(cents: i64) -> Price {
    Price(cents * 1_000_000)
}

/// The ops port of a running program.
pub struct Ops(pub String);

impl Ops {
    fn of(start: &Value) -> Ops {
        Ops(start["ops"].as_str().expect("START names the ops port").to_owned())
    }
    fn agent() -> ureq::Agent {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        config.build().into()
    }
    /// Status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut answer = Ops::agent().get(format!("http://{}{path}", self.0)).call().expect("the port answers");
        (answer.status().as_u16(), answer.body_mut().read_to_string().expect("a body"))
    }
    /// Status of a POST.
    pub fn post(&self, path: &str, token: Option<&str>) -> u16 {
        let mut request = Ops::agent().post(format!("http://{}{path}", self.0));
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        request.send_empty().expect("the port answers").status().as_u16()
    }
    /// Asks until the answer is as wanted.
    pub fn until(&self, path: &str, wanted: impl Fn(u16, &str) -> bool) -> String {
        let deadline = Deadline::start();
        loop {
            let (status, body) = self.get(path);
            if wanted(status, &body) {
                return body;
            }
            assert!(!deadline.left().is_zero(), "{path} never said what was wanted; last: {status} {body}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

/// Every byte of every file below a folder.
pub fn files_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else if let Ok(bytes) = fs::read(&path) {
            found.push((path, bytes));
        }
    }
    found
}

/// Writes a line to a child's stdin.
pub fn tell(bot: &mut Bot, word: &str) {
    let stdin = bot.stdin.as_mut().expect("still open");
    writeln!(stdin, "{word}").and_then(|()| stdin.flush()).expect("the child reads");
}

/// A shell script with arguments, in the folder.
pub fn shell(folder: &Folder, before: &[&str], script: &str, args: &[&OsStr]) -> Command {
    let mut command = Command::new(before[0]);
    command.args(&before[1..]).args(["sh", "-c", script, "sh"]).args(args).current_dir(&folder.0);
    command
}
