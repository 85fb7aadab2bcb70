//! The kill path: from the operator's word to the last byte of the cancel of everything handed to the kernel, through
//! each of its doors, on the fused trading thread with all its agents, spinning and parked.
//!
//! `cargo bench --bench kill [-- quick]`. Rows: `switch` = the word is set (what a signal handler does); `verb` = before
//! the write to the control socket; `POST` = before the write to the ops port, loopback and HTTP included. The floor, in
//! the same run: a bare thread that sees a word (spinning), or is woken for it (parked), and writes as many bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::bounded;
use secrecy::SecretString;
use serde_json::json;
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::sys::cores;
use sol_volume_bot::sys::kill::KillSwitch;
use sol_volume_bot::sys::local;
use sol_volume_bot::sys::poller::{Poller, Waker};
use sol_volume_bot::telemetry::{Board, Metrics, Status};
use sol_volume_bot::threads::helpers::http::{Ops, OpsSettings};
use sol_volume_bot::threads::helpers::operator::Operator;
use sol_volume_bot::threads::helpers::socket::ControlSocket;
use sol_volume_bot::types::Time;
use sol_volume_bot::types::note::KillStep;
use sol_volume_bot::types::time::NANOS_PER_MILLI;

#[allow(dead_code)] // the other benches use the rest of it
#[path = "rig/mod.rs"]
mod rig;

use rig::house;
use rig::peer::{Peer, listen};
use rig::report::{self, Figures, Spread};
use rig::venue::Trigger;

/// Core of the engine; everything else shares core 0.
const ENGINE_CORE: usize = 1;
/// How long a parking thread looks before it sleeps: the default of the config.
const SPIN_NS: i64 = 20_000;
/// Between two kills: long enough that a parking thread sleeps.
const PAUSE_NS: i64 = 2 * NANOS_PER_MILLI;
/// As many bytes as a cancel of everything without a signature.
const FLOOR_BYTES: usize = 150;
const WARM_UP: usize = 50;
const TOKEN: &str = "bench-token";

/// The engine's thread, its doors, and the venue's end of the order connection.
struct Stand {
    kill: Arc<KillSwitch>,
    clock: Clock,
    orders: Peer,
    _others: [Peer; 2],
    socket: ControlSocket,
    ops: Ops,
    dir: PathBuf,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

fn accept(listener: &TcpListener) -> Peer {
    let mut peer = Peer::accept(listener, None);
    peer.upgrade();
    peer
}

impl Stand {
    fn new(parks: bool) -> Stand {
        let [(a, a_addr), (b, b_addr), (c, c_addr)] = [listen(), listen(), listen()];
        let doors = house::Doors { addrs: [a_addr, b_addr, c_addr], ca_file: None };
        let house = house::build(doors, Trigger::Entry, ENGINE_CORE, parks.then_some(SPIN_NS));
        let (kill, clock) = (Arc::clone(&house.kill), house.clock);
        let stop = Arc::new(AtomicBool::new(false));
        let agents: Vec<Box<dyn sol_volume_bot::threads::runner::Agent>> =
            vec![Box::new(house.ingest), Box::new(house.hot), Box::new(house.gateway)];
        let thread = house.runner.spawn(agents, clock, Arc::clone(&stop)).expect("a thread");
        let (market, slots, orders) = (accept(&a), accept(&b), accept(&c));
        let dir = std::env::temp_dir().join(format!("svb-bench-kill-{}-{parks}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder");
        let board = Arc::new(Board::new(Status::new(clock.now(), "live", "SOLUSDT".to_owned(), 1)));
        let operator = Operator::new(bounded(1).0, Arc::clone(&kill), Arc::clone(&board), clock);
        let socket = ControlSocket::start(&dir, &operator).expect("a socket");
        let settings = OpsSettings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: Some(SecretString::from(TOKEN.to_owned())),
        };
        let metrics = Arc::new(Metrics::new("0", "live").expect("metrics"));
        let ops = Ops::start(settings, clock, (metrics, board), operator, bounded(8).0).expect("a port");
        Stand { kill, clock, orders, _others: [market, slots], socket, ops, dir, stop, thread }
    }

    /// Reads and answers what the session asks, until it has said nothing for a pause.
    fn serve(&mut self) {
        let mut until = self.clock.now().plus(PAUSE_NS);
        while self.clock.now() < until {
            self.orders.read();
            while let Some(text) = self.orders.next_text() {
                let request: serde_json::Value = serde_json::from_slice(text).expect("JSON");
                let result = if request["method"] == "time" {
                    json!({"serverTime": self.clock.now().millis().0})
                } else {
                    json!([])
                };
                let answer = json!({"id": request["id"], "status": 200, "result": result}).to_string();
                self.orders.send(&answer);
                until = self.clock.now().plus(PAUSE_NS);
            }
            thread::yield_now();
        }
    }

    /// One kill through `say`. Output: from just before it to the cancel's last byte written, ns.
    fn kill(&mut self, say: impl FnOnce(&Stand)) -> i64 {
        let pull = self.kill.pulls() + 1;
        let from = self.clock.now();
        say(self);
        loop {
            let (step, at) = self.kill.told(pull);
            match step {
                KillStep::Written => return at.since(from),
                KillStep::Pending => thread::yield_now(),
                KillStep::AwaitsConnection | KillStep::AwaitsBanEnd => panic!("the venue is there"),
            }
        }
    }

    fn close(self) {
        self.stop.store(true, Ordering::Release); // pairs with the runner's Acquire
        self.thread.join().expect("the trading thread");
        self.ops.stop();
        self.socket.stop();
        std::fs::remove_dir_all(&self.dir).expect("the folder goes");
    }
}

/// A kill through the control socket, as the verb says it; its answer is read once the kill was timed.
fn verb(stand: &mut Stand) -> i64 {
    let mut engine = local::connect(&stand.dir).expect("the socket");
    let took_ns = stand.kill(|_| engine.write_all(b"kill\n").expect("said"));
    let mut answer = String::new();
    stand.serve();
    drop(BufReader::new(engine).read_line(&mut answer));
    assert!(answer.contains("\"written\""), "{answer}");
    took_ns
}

/// A kill through the ops port.
fn post(stand: &mut Stand) -> i64 {
    let mut port = TcpStream::connect(stand.ops.addr()).expect("the port");
    let request = format!(
        "POST /api/kill HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\
         Authorization: Bearer {TOKEN}\r\n\r\n"
    );
    let took_ns = stand.kill(|_| port.write_all(request.as_bytes()).expect("said"));
    let mut answer = String::new();
    drop(port.read_to_string(&mut answer));
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    took_ns
}

/// One kill through a door. Output: as of [`Stand::kill`].
type Say = fn(&mut Stand) -> i64;

/// The floor's thread: sees a word, writes, says when it had written.
struct Floor {
    word: Arc<AtomicI64>,
    wrote: Arc<AtomicI64>,
    waker: Option<Waker>,
    sink: TcpStream,
    thread: JoinHandle<()>,
}

impl Floor {
    fn new(parks: bool, clock: Clock) -> Floor {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut out = TcpStream::connect(listener.local_addr().expect("an address")).expect("loopback");
        out.set_nodelay(true).expect("nodelay");
        let (sink, _) = listener.accept().expect("accepted");
        sink.set_read_timeout(Some(Duration::from_secs(1))).expect("timeout");
        let (word, wrote) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
        let mut poller = Poller::new().expect("a poller");
        let waker = parks.then(|| poller.waker());
        let (theirs, said) = (Arc::clone(&word), Arc::clone(&wrote));
        let thread = thread::spawn(move || {
            drop(cores::pin_current(ENGINE_CORE));
            let mut seen = 0;
            while seen >= 0 {
                let word = theirs.load(Ordering::Acquire); // pairs with the Release in `kill`
                if word == seen && parks {
                    poller.sleep(Duration::from_millis(20));
                } else if word == seen {
                    std::hint::spin_loop();
                } else {
                    seen = word;
                    out.write_all(&[b'k'; FLOOR_BYTES]).expect("written");
                    said.store(clock.now().0, Ordering::Release); // pairs with the Acquire in `kill`
                }
            }
        });
        Floor { word, wrote, waker, sink, thread }
    }

    fn say(&self, word: i64) {
        self.word.store(word, Ordering::Release); // pairs with the Acquire in the thread
        if let Some(waker) = &self.waker {
            waker.wake();
        }
    }

    fn kill(&mut self, clock: Clock, number: i64) -> i64 {
        let before = self.wrote.load(Ordering::Acquire); // pairs with the Release in the thread
        let from = clock.now();
        self.say(number);
        while self.wrote.load(Ordering::Acquire) == before {
            thread::yield_now();
        }
        let took_ns = Time(self.wrote.load(Ordering::Acquire)).since(from);
        self.sink.read_exact(&mut [0; FLOOR_BYTES]).expect("what was written");
        let until = clock.now().plus(PAUSE_NS);
        while clock.now() < until {
            thread::yield_now();
        }
        took_ns
    }

    fn close(self) {
        self.say(-1);
        self.thread.join().expect("the floor's thread");
    }
}

fn spread(rounds: usize, mut once: impl FnMut() -> i64) -> Figures {
    let mut spread = Spread::new();
    for round in 0..WARM_UP + rounds {
        let took_ns = once();
        if round >= WARM_UP {
            spread.add(took_ns);
        }
    }
    spread.figures()
}

fn main() {
    if !cores::allowed().contains(&ENGINE_CORE) {
        println!("kill: needs cores 0 and 1; this process may use {:?}", cores::allowed());
        return;
    }
    cores::pin_current(0).expect("core 0");
    let rounds = if std::env::args().any(|arg| arg == "quick") { 300 } else { 1_500 };
    println!("word to last cancel byte, µs{:8}      p50       p99     p99.9       max     n", "");
    let (mut rows, mut verdicts) = (Vec::new(), Vec::new());
    for (mode, parks) in [("spin", false), ("park", true)] {
        let clock = Clock::start();
        let mut floor = Floor::new(parks, clock);
        let mut number = 0;
        let floor_figures = spread(rounds, || {
            number += 1;
            floor.kill(clock, number)
        });
        floor.close();
        let mut seen = vec![("floor", floor_figures)];
        let doors: [(&str, Say); 3] =
            [("switch", |stand| stand.kill(|stand| _ = stand.kill.pull())), ("verb", verb), ("POST", post)];
        for (door, say) in doors {
            let mut stand = Stand::new(parks);
            stand.serve();
            let figures = spread(rounds, || {
                let took_ns = say(&mut stand);
                stand.serve();
                took_ns
            });
            stand.close();
            seen.push((door, figures));
        }
        for (door, figures) in seen {
            println!("{:36}{figures} {:6}", format!("{mode} {door}"), figures.count);
            rows.push(json!({"mode": mode, "door": door, "seen": figures.json()}));
            if door != "floor" {
                let (name, p99_us) = (format!("kill by {door}, {mode}: p99"), figures.p99 as f64 / 1_000.0);
                verdicts.push(report::verdict(&name, p99_us, "us", 1_000.0, true));
            }
        }
    }
    report::write("kill", json!({"rows": rows, "verdicts": verdicts}));
}
