//! The real binary: records a venue, plays what it recorded, serves it as a venue.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use sol_volume_bot::ledger::recording::Reader;
use sol_volume_bot::sim::scenario::Scenario;
use sol_volume_bot::sim::server::{Handle, Server, ServerSettings};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::types::Time;
use sol_volume_bot::venue::binance_spot::decode::{Frame, Levels, Market, frame};

use crate::desk::{Folder, writer};

/// Longest wait for a fact; a test that needs all of it has failed. Generous, because tests share few cores.
const PATIENCE: Duration = Duration::from_secs(60);

/// With memecoin trades.
const LIVE: &str = concat!(include_str!("../scenarios/live.toml"), "[chain]\nrate_per_s = 40\npools = 20\n");

/// A configuration whose market is at `http` and `ws`.
fn config(http: &str, ws: &str) -> String {
    format!(
        r#"
[thresholds]
meme_drop_pct = 0.30
rsi_max = 45
support_low = 160
support_high = 162
[risk]
max_trade_risk = 0.05
stop_loss = 155
slippage_kill_bps = 100
[execution]
tranche_window = "3s"
[feeds]
defillama_settle = "0s"
defillama_poll = "1s"
coingecko_poll = "1s"
[ops]
listen = "127.0.0.1:0"
[endpoints]
binance_rest = "{http}"
binance_stream = "{ws}"
binance_ws_api = "{ws}/ws-api/v3"
solana_rpc = "{http}/solana"
solana_ws = "{ws}/solana"
defillama = "{http}/llama"
pumpfun = "{http}/pump/volume"
kraken_ws = "{ws}/kraken/ws"
kraken_rest = "{http}/kraken"
jupiter = "{http}/jupiter"
coingecko = "{http}/coingecko"
bitquery = "{http}/bitquery"
"#
    )
}

fn live() -> Handle {
    let scenario = Scenario::parse("live", LIVE).expect("a good scenario");
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start(ServerSettings { listen, scenario, tls: None, clock: Clock::start() }).expect("a free port")
}

fn program(folder: &Folder, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sol_volume_bot"));
    command.args(args).current_dir(&folder.0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn to_end(folder: &Folder, args: &[&str]) -> Output {
    program(folder, args).output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A running verb and the JSON lines it says.
struct Verb {
    child: Child,
    lines: Receiver<Value>,
}

impl Verb {
    fn start(folder: &Folder, args: &[&str]) -> Verb {
        let mut child = program(folder, args).stderr(Stdio::inherit()).spawn().expect("the binary starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if send.send(serde_json::from_str(&line).expect("one JSON object a line")).is_err() {
                    return;
                }
            }
        });
        Verb { child, lines }
    }

    fn until(&self, what: &str, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        let mut seen = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|why| panic!("{what}: {why}; {seen:#?}"));
            if is_it(&line) {
                return line;
            }
            seen.push(line);
        }
    }

    fn signal(&self) {
        let pid = libc::pid_t::try_from(self.child.id()).expect("a pid");
        // SAFETY: a signal to our own child, which we have not waited for, so the number is still its.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
    }
}

impl Drop for Verb {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended already
        let _ = self.child.wait();
    }
}

/// Which sources a folder's recording has so far; what is not on disk yet is not seen.
fn sources(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(mut reader) = Reader::open(dir) else { return Vec::new() };
    let mut found = Vec::new();
    while let Ok(Some(record)) = reader.next_record() {
        found.push((record.source.to_owned(), record.bytes.to_vec()));
    }
    found
}

/// Records the venue until every feed was heard, and trades and quotes often.
fn record(folder: &Folder, live: &Handle) -> PathBuf {
    std::fs::write(folder.path("record.toml"), config(&live.http_url(""), &live.ws_url(""))).expect("writable");
    let recorder = Verb::start(folder, &["record", "--config", "record.toml", "--out", "recordings"]);
    let dir = folder.path("recordings");
    let wanted = [
        "binance_rest:/api/v3/depth",
        "binance_rest:/api/v3/klines",
        "solana_ws",
        "defillama:/summary/dexs/pump.fun",
        "defillama:/overview/dexs/Solana",
        "pumpfun",
        "kraken_ws",
        "kraken_rest:/0/public/Depth",
        "dex_ws",
        "solana_rpc:getAccountInfo",
        "solana_logs",
        "solana_rpc_asked:getMultipleAccounts",
        "solana_rpc:getMultipleAccounts",
        "bitquery:hours",
        "coingecko:/coins/categories",
    ];
    let clock = Clock::start();
    let until = clock.now().plus(PATIENCE.as_nanos() as i64);
    loop {
        let found = sources(&dir);
        let has = |name: &&str| found.iter().any(|(source, _)| source == name);
        let quotes = found.iter().filter(|(_, bytes)| text(bytes).contains("@bookTicker")).count();
        let candles = found.iter().filter(|(_, bytes)| text(bytes).contains("@kline_5m")).count();
        let swaps = found.iter().filter(|(source, _)| source.starts_with("jupiter:/swap/v2/order?")).count();
        let is_trade = |bytes: &[u8]| text(bytes).contains(r#""channel":"trade","type":"update""#);
        let trades = found.iter().filter(|(source, bytes)| source == "kraken_ws" && is_trade(bytes)).count();
        if wanted.iter().all(has) && quotes > 50 && candles > 1 && swaps >= 6 && trades > 0 {
            break;
        }
        let missing: Vec<&str> = wanted.iter().filter(|name| !has(name)).copied().collect();
        let counts = format!("{quotes} quotes, {candles} candles, {swaps} swaps, {trades} trades");
        assert!(clock.now() < until, "not all feeds were recorded: {missing:?} are missing; {counts}");
        live.wait_for(Duration::from_millis(100), |_| false); // the venue goes on meanwhile
    }
    recorder.signal();
    let closed = recorder.until("a closed file", |line| line["event"] == "RECORDING_CLOSED");
    assert!(closed["records"].as_u64() > Some(60), "{closed}");
    let done = recorder.until("the closing line", |line| line["event"] == "RECORDED");
    assert_eq!((&done["dropped"], &done["undecodable"]), (&Value::from(0), &Value::from(0)), "{done}");
    assert_eq!(done["records"], closed["records"]);
    assert!(done["sources"]["binance_stream"]["bytes"].as_u64() > Some(1_000), "{done}");
    folder.path(closed["file"].as_str().expect("a path"))
}

fn summary(out: &Output) -> Value {
    let text = text(&out.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default()).expect("a JSON line")
}

#[test]
fn what_was_recorded_is_replayed_and_served_and_an_engine_runs_on_it() {
    let folder = Folder::new("verbs");
    let live = live();
    let file = record(&folder, &live);
    let some = ["record", "--config", "record.toml", "--out", "some", "--streams", "solana,pumpfun", "--for", "3s"];
    let told = to_end(&folder, &some);
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
    let names: Vec<String> = summary(&told)["sources"].as_object().expect("sources").keys().cloned().collect();
    assert_eq!(names, ["pumpfun", "solana_ws"], "those alone that were asked for");
    let seen = live.snapshot();
    assert_eq!((live.received(), seen.ws_api_clients), (Vec::new(), 0), "a recorder trades nothing");
    live.stop();

    // Replayed through the sessions: every stream speaks, nothing is undecodable, and twice is the same.
    let path = file.to_str().expect("text");
    let replayed = to_end(&folder, &["replay", path, "--json"]);
    assert_eq!(replayed.status.code(), Some(0), "{}", text(&replayed.stderr));
    let told = summary(&replayed);
    assert_eq!((&told["undecodable"], &told["unknown"]), (&Value::from(0), &Value::from(0)), "{told}");
    for (stream, kind) in [
        ("binance_bbo", "bbo"),
        ("binance_depth", "depth"),
        ("binance_candle", "candle"),
        ("solana_slot", "slot"),
        ("defillama", "volume"),
        ("pumpfun", "volume"),
        ("kraken_book", "bbo"),
        ("kraken_book", "depth"),
        ("kraken_ticker", "bbo"),
        ("kraken_trade", "trade"),
        ("dex_book", "dex"),
        ("jupiter", "dex"),
        ("pump_chain", "volume"),
        ("coingecko", "volume"),
    ] {
        assert!(told["events"][stream][kind].as_u64() > Some(0), "{stream} {kind}: {told}");
    }
    assert_eq!(replayed.stdout, to_end(&folder, &["replay", "recordings", "--json"]).stdout);
    for stream in ["kraken_book", "dex_book", "jupiter", "pump_chain"] {
        assert_eq!(told["events"][stream]["stream"], 1, "{stream}: up once, no gap: {told}");
    }
    let words = to_end(&folder, &["replay", path]);
    assert!(text(&words.stdout).ends_with("0 undecodable\n"), "{}", text(&words.stdout));

    serve(&folder, path);
}

/// An engine in paper mode against the recording as a venue: every market stream comes up, and it may trade.
fn serve(folder: &Folder, recording: &str) {
    let sim = Verb::start(folder, &["sim", "--play", recording, "--loop"]);
    let ready = sim.until("the address", |line| line["addr"].is_string());
    let (http, ws) = (ready["http"].as_str().expect("a URL"), ready["ws"].as_str().expect("a URL"));
    let config = config(http, ws).replace(&format!("{http}/coingecko"), "");
    std::fs::write(folder.path("played.toml"), config).expect("writable");
    let engine = Verb::start(folder, &["run", "--config", "played.toml", "--data-dir", "data", "--mode", "paper"]);
    let start = engine.until("START", |line| line["event"] == "START");
    let ops = start["ops"].as_str().expect("an address").to_owned();
    let mut missing = vec!["binance_bbo", "binance_depth", "binance_trade", "binance_candle", "solana_slot"];
    missing.extend(["kraken_book", "dex_book", "jupiter"]);
    engine.until("all streams up", |line| {
        if line["event"] == "STREAM_UP" {
            missing.retain(|stream| line["stream"] != **stream);
        }
        missing.is_empty()
    });
    let clock = Clock::start();
    let until = clock.now().plus(PATIENCE.as_nanos() as i64);
    loop {
        let answer = get(&ops, "/readyz"); // the page is made anew a few times a second
        let page: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap_or_default()).unwrap_or_default();
        let mut reasons = page["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if page.is_object() && reasons.all(|why| why.contains("pump_chain")) {
            break; // the recorded trades are of their own time: what counts them may call them old
        }
        assert!(clock.now() < until, "{answer}");
        drop(engine.lines.recv_timeout(Duration::from_millis(50)));
    }
    engine.signal();
    sim.signal();
}

fn get(addr: &str, path: &str) -> String {
    let mut socket = std::net::TcpStream::connect(addr).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout is accepted");
    write!(socket, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).expect("a whole answer");
    text(&answer)
}

#[test]
fn a_recorder_that_hears_nobody_says_so_and_a_recording_is_no_journal_to_verify() {
    let folder = Folder::new("nobody");
    let gone = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port");
    let text_of = config(&format!("http://{gone}"), &format!("ws://{gone}"));
    std::fs::write(folder.path("config.toml"), text_of).expect("writable");
    let out = to_end(&folder, &["record", "--config", "config.toml", "--for", "300ms"]);
    assert_eq!(out.status.code(), Some(4), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("no feed said a word"), "{}", text(&out.stderr));
    assert_eq!(to_end(&folder, &["record", "--config", "absent.toml"]).status.code(), Some(2));
    assert_eq!(to_end(&folder, &["sim", "--play", "absent.svr.gz"]).status.code(), Some(2));

    let mut one = writer(&folder.path("recordings"), 1_000);
    one.put(Time(1_768_478_400_000_000_000), "binance_stream", b"{\"a\":").expect("room");
    one.put(Time(1_768_478_400_000_000_001), "else", b"{}").expect("room");
    one.finish().expect("room");
    assert_eq!(to_end(&folder, &["replay", "recordings", "--verify"]).status.code(), Some(2));
    let out = to_end(&folder, &["replay", "recordings", "--json"]);
    assert_eq!(out.status.code(), Some(5));
    assert_eq!((&summary(&out)["undecodable"], &summary(&out)["unknown"]), (&Value::from(1), &Value::from(1)));
    assert!(text(&out.stderr).contains("record 1 (binance_stream), byte 5"), "{}", text(&out.stderr));
}

/// A capture of the shared folder; `None`, said plainly, if it is absent.
fn capture(name: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("SHARED_DIR").map_or_else(beside, PathBuf::from);
    if !shared.join("captures").exists() {
        println!("SKIPPED: {name}: no shared folder at {}", shared.display());
        return None;
    }
    Some(shared.join("captures").join(name))
}

#[test]
fn a_capture_of_others_becomes_a_recording_and_every_frame_of_it_decodes() {
    let Some(capture) = capture("binance_spot/hftb_btcusdt_20240808.gz") else { return };
    let folder = Folder::new("import");
    let path = capture.to_str().expect("text");
    let out = to_end(&folder, &["record", "--import", path, "--source", "binance_stream", "--out", "btc"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let done = summary(&out);
    assert_eq!(done["sources"]["binance_stream"]["records"], 41_248);
    assert_eq!(done["sources"]["binance_rest:/api/v3/depth"]["records"], 1);

    let out = to_end(&folder, &["replay", "btc", "--json"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let told = summary(&out);
    assert_eq!((&told["records"], &told["undecodable"]), (&Value::from(41_249), &Value::from(0)));
    assert_eq!(told["events"]["binance_trade"]["trade"], 9_757);
    let depths = told["events"]["binance_depth"]["depth"].as_u64();
    assert!(depths > Some(1_000), "the snapshot in line and the diffs make one book: {told}");
    assert_eq!(told["events"]["binance_depth"]["stream"], 1, "up once, no gap");

    // Served as a venue: what a client hears are the recorded payloads, unchanged and in order.
    let sim = Verb::start(&folder, &["sim", "--play", "btc", "--speed", "1000"]);
    let ready = sim.until("the address", |line| line["addr"].is_string());
    let url = format!("{}/stream?streams=btcusdt@bookTicker", ready["ws"].as_str().expect("a URL"));
    let (mut socket, _) = tungstenite::connect(url).expect("it listens");
    let recorded: Vec<Vec<u8>> = sources(&folder.path("btc"))
        .into_iter()
        .filter(|(_, bytes)| text(bytes).contains("@bookTicker"))
        .map(|(_, bytes)| bytes)
        .take(500)
        .collect();
    let mut levels = Levels::new();
    for wanted in &recorded {
        let heard = loop {
            match socket.read().expect("a frame") {
                tungstenite::Message::Text(text) => break text,
                _ => continue,
            }
        };
        assert_eq!(text(heard.as_bytes()), text(wanted).trim_end());
        assert!(matches!(frame(heard.as_bytes(), None, &mut levels), Ok(Frame::Market(_, Market::Bbo(_)))));
    }
}
