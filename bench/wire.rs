//! Wire-to-wire: from the venue's write of a trigger to its read of the order's last byte, beside the floor of a bare
//! ping-pong at the same pace on the same cores, in blocks of the same run.
//!
//! `cargo bench --bench wire [-- quick]`. Two processes: the venue spins on core 0; the engine's thread has core 1.
//! Variants: plain spin, plain park, TLS 1.3 spin, each for both triggers at 50 and 1 000 a second; then a client of
//! tokio, tokio-tungstenite and serde_json in the engine's place, if `scripts/bench.sh` has built it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use sol_volume_bot::sys::cores;

#[allow(dead_code)] // the other benches use the rest of it
#[path = "rig/mod.rs"]
mod rig;

use rig::asker::{Run, be_the_venue};
use rig::floor::Floor;
use rig::house;
use rig::report::{self, Figures};
use rig::stages::{STAGES, Sweeper};
use rig::venue::Trigger;

/// Core of the engine; the venue has core 0.
const ENGINE_CORE: usize = 1;
/// How long a parking thread looks before it sleeps: the default of the config.
const SPIN_NS: i64 = 5_000;

/// Who answers the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Spin,
    Park,
    Tokio,
}

struct Case {
    name: &'static str,
    client: Client,
    tls: bool,
    /// Most that the median may be of the floor's, and p99 of the floor's.
    targets: (Option<f64>, Option<f64>),
}

const CASES: [Case; 4] = [
    Case { name: "plain spin", client: Client::Spin, tls: false, targets: (Some(1.25), Some(2.0)) },
    Case { name: "tls spin", client: Client::Spin, tls: true, targets: (Some(1.25), None) },
    Case { name: "plain park", client: Client::Park, tls: false, targets: (Some(1.15), None) },
    Case { name: "tokio", client: Client::Tokio, tls: false, targets: (None, None) },
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let Some(run) = Run::of_args(&args) {
        return be_the_venue(run);
    }
    if !cores::allowed().contains(&ENGINE_CORE) {
        println!("wire: needs cores 0 and 1; this process may use {:?}", cores::allowed());
        return;
    }
    let seconds = if args.iter().any(|arg| arg == "quick") { (1, 2) } else { (4, 16) };
    let only = args.iter().find(|arg| CASES.iter().any(|case| case.name.replace(' ', "-") == **arg));
    println!("wire-to-wire, µs{:31}      p50       p99     p99.9       max     n", "");
    let mut rows = Vec::new();
    for case in CASES.iter().filter(|case| only.is_none_or(|only| case.name.replace(' ', "-") == *only)) {
        for (rate, seconds) in [(1_000, seconds.0), (50, seconds.1)] {
            for trigger in [Trigger::Slot, Trigger::Entry] {
                let run = Run { trigger, tls: case.tls, rate, seconds, floor: case.client != Client::Tokio };
                if let Some(seen) = measure(case.client, run) {
                    print_row(case, run, &seen);
                    rows.push((case, run, seen));
                }
            }
        }
    }
    let verdicts: Vec<Value> = rows.iter().flat_map(|(case, run, seen)| judge(case, *run, seen)).collect();
    let rows: Vec<Value> = rows
        .iter()
        .map(|(case, run, seen)| {
            json!({"case": case.name, "trigger": run.trigger.name(), "rate": run.rate, "seen": seen})
        })
        .collect();
    report::write("wire", json!({"rows": rows, "verdicts": verdicts}));
}

/// One run. Output: what the venue saw, and the stages; `None` where the client was not built.
fn measure(client: Client, run: Run) -> Option<Value> {
    let tokio = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("bench/tokio_peer/target/release/tokio_peer");
    if client == Client::Tokio && !tokio.exists() {
        println!("tokio: not built (scripts/bench.sh builds it)");
        return None;
    }
    let (mut venue, mut said) = start_venue(run);
    let doors = read_line(&mut said);
    let addr = |value: &Value| value.as_str().and_then(|text| text.parse().ok()).expect("an address");
    let addrs: [SocketAddr; 3] = std::array::from_fn(|at| addr(&doors["doors"][at]));
    let ca_file = doors["ca_file"].as_str().map(PathBuf::from);
    let seen = if client == Client::Tokio {
        let mut peer = Command::new(tokio)
            .arg(run.trigger.name())
            .arg(ENGINE_CORE.to_string())
            .args(addrs.map(|addr| addr.to_string()))
            .spawn()
            .expect("the tokio client");
        let seen = read_line(&mut said);
        peer.kill().and_then(|()| peer.wait()).expect("its end");
        seen
    } else {
        let doors_in = house::Doors { addrs, ca_file: ca_file.as_deref() };
        let parks = client == Client::Park;
        let house = house::build(doors_in, run.trigger, ENGINE_CORE, parks.then_some(SPIN_NS));
        let floor = Floor::connect(addr(&doors["floor"]), ca_file.as_deref(), parks);
        let (sweeper, spreads) = Sweeper::new(house.cold, run.trigger, house.has_traded);
        let stop = Arc::new(AtomicBool::new(false));
        let thread = house
            .runner
            .spawn(
                vec![
                    Box::new(house.ingest),
                    Box::new(house.hot),
                    Box::new(house.gateway),
                    Box::new(sweeper),
                    Box::new(floor),
                ],
                house.clock,
                Arc::clone(&stop),
            )
            .expect("a thread");
        let mut seen = read_line(&mut said);
        stop.store(true, Ordering::Release); // pairs with the runner's Acquire
        thread.join().expect("the trading thread");
        let spreads = spreads.lock().unwrap_or_else(PoisonError::into_inner);
        let stages =
            STAGES.iter().zip(spreads.iter()).map(|(name, spread)| ((*name).to_owned(), spread.figures().json()));
        seen["stages"] = Value::Object(stages.collect());
        seen
    };
    venue.wait().expect("the venue's end");
    Some(seen)
}

fn start_venue(run: Run) -> (Child, BufReader<ChildStdout>) {
    let program = std::env::current_exe().expect("this program");
    let mut venue = Command::new(program).args(run.args()).stdout(Stdio::piped()).spawn().expect("the venue");
    let said = BufReader::new(venue.stdout.take().expect("its words"));
    (venue, said)
}

fn read_line(said: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    said.read_line(&mut line).expect("a line of the venue");
    serde_json::from_str(&line).expect("the venue ended before its time")
}

fn print_row(case: &Case, run: Run, seen: &Value) {
    let name = format!("{} {} {}/s", case.name, run.trigger.name(), run.rate);
    let wire = Figures::of(&seen["wire"]);
    println!("{name:36} wire {wire} {:6}", wire.count);
    if !run.floor {
        return;
    }
    let floor = Figures::of(&seen["floor"]);
    let ratio = |a: u64, b: u64| a as f64 / b.max(1) as f64;
    println!("{:36}floor {floor} {:6}", "", floor.count);
    println!("{:36}ratio {:9.2} {:9.2}", "", ratio(wire.p50, floor.p50), ratio(wire.p99, floor.p99));
    for stage in STAGES {
        println!("{:28}{stage:>13} {}", "", Figures::of(&seen["stages"][stage]));
    }
}

fn judge(case: &Case, run: Run, seen: &Value) -> Vec<Value> {
    let (wire, floor) = (Figures::of(&seen["wire"]), Figures::of(&seen["floor"]));
    let name =
        |quantile: &str| format!("wire {} {} {}/s: {quantile} of the floor's", case.name, run.trigger.name(), run.rate);
    let ratio = |a: u64, b: u64| a as f64 / b.max(1) as f64;
    let judged =
        [("p50", case.targets.0, ratio(wire.p50, floor.p50)), ("p99", case.targets.1, ratio(wire.p99, floor.p99))];
    let known = judged.into_iter().filter_map(|(quantile, limit, got)| Some((quantile, limit?, got)));
    known.map(|(quantile, limit, got)| report::verdict(&name(quantile), got, "x", limit, true)).collect()
}
