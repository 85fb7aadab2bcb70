//! Paper mode through the front door: the real binary follows a live market and trades it at the venue in its own box.
//!
//! The "live" market is a built-in venue in the test's process; not one order may reach it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::Value;
use sol_volume_bot::sim::scenario::{DEMO_HMAC_KEY, DEMO_HMAC_SECRET, Scenario};
use sol_volume_bot::sim::server::{Handle, Server, ServerSettings};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::types::Price;

const PATIENCE: Duration = Duration::from_secs(20);

/// Not where the paper venue's own market begins (161.00): a fill near 160.50 proves that it follows.
const LIVE: &str = include_str!("scenarios/live.toml");

fn config(live: &Handle) -> String {
    format!(
        r#"
[thresholds]
meme_drop_pct = 0.30
meme_drop_sol_pct = 0 # one volume source tells this story
confirmations_min = 0
rsi_max = 45
support_low = 160
support_high = 162
[risk]
max_trade_risk = 0.05
stop_loss = 155
slippage_kill_bps = 100
[execution]
tranche_window = "6s"
take_profit_1 = "163.5"
take_profit_2 = "166"
[feeds]
volume_source = "utc_day"
dex_book = "off"
chain_scope = "off"
optional = ["binance_depth", "binance_trade"]
defillama_settle = "0s"
defillama_poll = "1s"
[ops]
listen = "127.0.0.1:0"
[endpoints]
binance_rest = "{http}"
binance_stream = "{ws}"
binance_ws_api = "{ws}/ws-api/v3"
solana_rpc = "{http}/solana"
solana_ws = "{ws}/solana"
defillama = "{http}/llama"
kraken_ws = ""
jupiter = ""
coingecko = ""
"#,
        http = live.http_url(""),
        ws = live.ws_url("")
    )
}

fn price(text: &str) -> Price {
    Price::parse(text.as_bytes()).expect("a price")
}

fn number(line: &Value, name: &str) -> f64 {
    line[name].as_str().and_then(|text| text.parse().ok()).expect("a number as text")
}

/// A folder that goes when the test ends, however it ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let path = std::env::temp_dir().join(format!("svb-paper-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a writable temporary folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0); // left behind in the temporary folder: harmless
    }
}

/// The running binary and what it says.
struct Engine {
    child: Child,
    lines: Receiver<Value>,
}

impl Engine {
    fn start(dir: &Path, mode: &str) -> Engine {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sol_volume_bot"))
            .args(["run", "--config", "config.toml", "--data-dir", "data", "--mode", mode])
            .current_dir(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if send.send(serde_json::from_str(&line).expect("one JSON object a line")).is_err() {
                    return;
                }
            }
        });
        Engine { child, lines }
    }

    /// The lines up to the first that `is_last`.
    fn until(&self, what: &str, mut is_last: impl FnMut(&Value) -> bool) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    seen.push(line);
                    if seen.last().is_some_and(&mut is_last) {
                        return seen;
                    }
                }
                Err(why @ (RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)) => {
                    panic!("{what} did not come ({why}); seen: {seen:#?}")
                }
            }
        }
    }

    /// Takes lines until the first that `is_last`; false if none comes for `patience`.
    fn hears(&self, seen: &mut Vec<Value>, patience: Duration, is_last: impl Fn(&Value) -> bool) -> bool {
        while let Ok(line) = self.lines.recv_timeout(patience) {
            seen.push(line);
            if seen.last().is_some_and(&is_last) {
                return true;
            }
        }
        false
    }

    fn stop(mut self) -> ExitStatus {
        let pid = libc::pid_t::try_from(self.child.id()).expect("a pid");
        // SAFETY: a signal to our own child, which we have not waited for, so the number is still its.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
        self.child.wait().expect("it ends")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended already
        let _ = self.child.wait();
    }
}

fn is(line: &Value, event: &str) -> bool {
    line["event"] == event
}

#[test]
fn paper_trades_the_live_market_in_its_own_box_and_remembers_it_across_a_restart() {
    let folder = Folder::new();
    let scenario = Scenario::parse("live", LIVE).expect("a good scenario");
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = ServerSettings { listen, scenario, tls: None, clock: Clock::start() };
    let live = Server::start(settings).expect("a free port");
    std::fs::write(folder.0.join("config.toml"), config(&live)).expect("writable");

    // Three tranches are bought near the live price, and rest protected.
    let engine = Engine::start(&folder.0, "paper");
    let mut bought = 0.0;
    let is_third = |line: &Value| line["client_order_id"].as_str().is_some_and(|id| id.contains("-03-"));
    let lines = engine.until("the third tranche", |line| is(line, "ORDER_DONE") && is_third(line));
    for fill in lines.iter().filter(|line| is(line, "FILL")) {
        assert!((160.3..160.8).contains(&number(fill, "price")), "the paper market follows the live one: {fill}");
        bought += number(fill, "qty");
    }
    engine.until("protection", |line| is(line, "PROTECTED"));
    // The live market rises through the first target.
    live.set_mid(price("164"));
    engine.until("TP1", |line| is(line, "ORDER_DONE") && line["purpose"] == "TP1" && line["status"] == "FILLED");
    assert!(engine.stop().success());

    // A new run finds half the coins where it left them, protects them and sells them at the second target.
    let engine = Engine::start(&folder.0, "paper");
    let lines = engine.until("TP2 at rest", |line| {
        is(line, "ORDER_ACKED") && line["purpose"] == "TP2" && line["status"] == "WORKING"
    });
    let resting = number(lines.last().expect("found"), "qty");
    assert!((resting / bought - 0.5).abs() < 0.01, "{resting} of {bought}");
    // The engine and the paper venue's mirror each listen: a move before both do would reach neither.
    let both_listen = |snapshot: &sol_volume_bot::sim::server::Snapshot| snapshot.stream_clients >= 2;
    assert!(live.wait_for(std::time::Duration::from_secs(20), both_listen).1, "engine and mirror hear the live market");
    // A jump may fill the target in part and leave the rest posted just above a market that stands: it goes up and down.
    let mut lines = Vec::new();
    for mid in ["167", "166.4", "167.4", "166.4", "168", "166.4", "168.6", "166.4", "169"] {
        live.set_mid(price(mid));
        if engine.hears(&mut lines, Duration::from_secs(3), |line| is(line, "TRADE_CLOSED")) {
            break;
        }
    }
    let closed = lines.last().filter(|line| is(line, "TRADE_CLOSED"));
    let closed = closed.unwrap_or_else(|| panic!("the round trip did not end: {lines:#?}"));
    // In parts or at once, at the target or by a sale at the market: above the first target either way.
    assert!(number(closed, "exit_px") > 163.5 && number(closed, "pnl") > 0.0, "{lines:#?}");
    assert!(engine.stop().success());

    // What was bought on paper is never sold for real.
    let secrets = format!("BINANCE_API_KEY={DEMO_HMAC_KEY}\nBINANCE_SECRET={DEMO_HMAC_SECRET}\n");
    let mut env_file = std::fs::OpenOptions::new();
    let mut env_file = env_file.write(true).create(true).truncate(true).mode(0o600).open(folder.0.join(".env"));
    env_file.as_mut().expect("writable").write_all(secrets.as_bytes()).expect("writable");
    let mut engine = Engine::start(&folder.0, "live");
    assert_eq!(engine.child.wait().expect("it ends").code(), Some(1));
    let mut words = String::new();
    engine.child.stderr.take().expect("piped").read_to_string(&mut words).expect("text");
    assert!(words.contains("holds paper trading, this run is live"), "{words}");

    let seen = live.snapshot();
    assert_eq!((live.received(), seen.trades, seen.ws_api_clients), (Vec::new(), Vec::new(), 0), "nothing was sent");
}
