//! A NATS server of the test's own, and a peer that speaks its text protocol.
//!
//! Thread: test, with readers of the peer's subscriptions.  Invariants: loopback only; every wait has a deadline; a
//! server never outlives its test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use serde_json::{Value, json};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::types::Time;

use crate::rig::{House, PATIENCE};

/// The token of a server that asks for one.
pub const TOKEN: &str = "bus-token-that-nobody-may-see";

/// A running server, or one that was killed.
pub struct Nats {
    program: PathBuf,
    args: Vec<String>,
    pub port: u16,
    monitor: u16,
    child: Option<Child>,
}

fn free_port() -> u16 {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.local_addr().expect("its address").port()
}

/// Repeats until it gives something.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let clock = Clock::start();
    let end = clock.now().plus(i64::try_from(PATIENCE.as_nanos()).expect("seconds"));
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock.now() < end, "{what} never came");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

impl Nats {
    /// Starts one; `None`, and a loud word, where none is installed.
    pub fn start(extra: &[&str]) -> Option<Nats> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        let Some(program) = folders.map(|folder| folder.join("nats-server")).find(|program| program.is_file()) else {
            eprintln!("SKIPPED: no nats-server on this machine (Debian package nats-server)");
            return None;
        };
        let (port, monitor) = (free_port(), free_port());
        let mut args: Vec<String> = ["-a", "127.0.0.1", "-p"].map(str::to_owned).to_vec();
        args.extend([port.to_string(), "-m".to_owned(), monitor.to_string()]);
        args.extend(extra.iter().map(|word| (*word).to_owned()));
        let mut server = Nats { program, args, port, monitor, child: None };
        server.open();
        Some(server)
    }

    /// Starts it, for the first time or again, on the same port.
    pub fn open(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().expect("the server starts"));
        until("the server", || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok());
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops it from running, without ending it.
    pub fn freeze(&self) {
        let pid = self.child.as_ref().map(|child| i32::try_from(child.id()).expect("a process id")).expect("running");
        // SAFETY: kill touches no memory; the child is not reaped before `kill`, so the id is its own.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGSTOP) }, 0);
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Waits until somebody has subscribed to `subject`: core NATS forgets what nobody listens to.
    pub fn wait_for_subscriber(&self, subject: &str) {
        let url = format!("http://127.0.0.1:{}/connz?subs=1", self.monitor);
        let is_there = |text: String| {
            let told: Value = serde_json::from_str(&text).unwrap_or_default();
            let mut all = told["connections"].as_array().into_iter().flatten();
            all.any(|one| one["subscriptions_list"].as_array().into_iter().flatten().any(|known| known == subject))
        };
        until("the subscriber", || {
            let text = ureq::get(&url).call().ok()?.body_mut().read_to_string().ok()?;
            is_there(text).then_some(())
        });
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A client of its own.
pub struct Peer {
    out: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Peer {
    pub fn connect(server: &Nats) -> Peer {
        let out = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).expect("connects");
        out.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let lines = BufReader::new(out.try_clone().expect("a second handle"));
        let mut peer = Peer { out, lines };
        assert!(peer.line().starts_with("INFO "));
        let connect =
            json!({ "verbose": false, "pedantic": false, "lang": "test", "version": "0", "auth_token": TOKEN });
        peer.say(&format!("CONNECT {connect}\r\n"));
        peer.settle();
        peer
    }

    fn say(&mut self, text: &str) {
        self.out.write_all(text.as_bytes()).expect("writes");
    }
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("the server speaks");
        line.trim_end().to_owned()
    }

    /// Waits until the server has taken everything said before.
    fn settle(&mut self) {
        self.say("PING\r\n");
        loop {
            match self.line().as_str() {
                "PONG" => return,
                "PING" => self.say("PONG\r\n"),
                other => assert!(other.starts_with("INFO ") || other == "+OK", "the server says {other:?}"),
            }
        }
    }

    /// Publishes; the server has it when this returns.
    pub fn publish(&mut self, subject: &str, body: &[u8]) {
        self.say(&format!("PUB {subject} {}\r\n", body.len()));
        self.out.write_all(body).expect("writes");
        self.say("\r\n");
        self.settle();
    }

    /// Everything below `subject`, as it comes.
    pub fn subscribe(mut self, subject: &str) -> Receiver<(String, Value)> {
        self.say(&format!("SUB {subject} 1\r\n"));
        self.settle();
        let (tx, rx) = unbounded();
        self.out.set_read_timeout(None).expect("no timeout");
        std::thread::spawn(move || {
            let Peer { mut out, mut lines } = self;
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|len| len > 0) {
                let words: Vec<&str> = line.split_whitespace().collect();
                match words.as_slice() {
                    ["MSG", subject, _, len] => {
                        let mut body = vec![0; len.parse::<usize>().expect("a length") + 2];
                        lines.read_exact(&mut body).expect("the body follows");
                        let value = serde_json::from_slice(&body[..body.len() - 2]).expect("one JSON object");
                        if tx.send(((*subject).to_owned(), value)).is_err() {
                            return;
                        }
                    }
                    ["PING"] => out.write_all(b"PONG\r\n").expect("writes"),
                    _ => {}
                }
                line.clear();
            }
        });
        rx
    }
}

/// A moment ago, so that no two clocks quarrel.
pub fn now() -> Time {
    Clock::start().now().plus(-1_000_000)
}

/// What DeFiLlama would say of the scenario's protocols, as a sample of this moment.
pub fn volume(dollars: u64, before: u64) -> String {
    volume_at(now(), dollars, before)
}

pub fn volume_at(ts: Time, dollars: u64, before: u64) -> String {
    let end = ts.day_start().0;
    json!({ "ts": ts.0, "def": "utc_day", "now": dollars.to_string(), "prev": before, "bucket_end": end }).to_string()
}

/// The two days of the steered scenario, both protocols together: a fall of 36.56 %.
pub const FALLEN: (u64, u64) = (270_400_000, 426_200_000);

/// Volumes from the bus, and from nowhere else: DeFiLlama's own address is one where nobody listens.
pub fn house(name: &str, server: &Nats) -> House {
    let mut house = House::new(name);
    house.set("feeds", "volume_source", "\"utc_day\"");
    house.set("feeds", "nats", &format!("{:?}", server.url()));
    // One source tells this story; the others that the bus would bring stay silent.
    let silent = r#"["binance_depth", "binance_trade", "pumpfun", "coingecko", "pump_chain"]"#;
    house.set("feeds", "optional", silent);
    house.set("endpoints", "defillama", &format!("\"http://127.0.0.1:{}\"", free_port()));
    house
}
