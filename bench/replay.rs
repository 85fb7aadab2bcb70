//! Replay: a journal written here from a market like a recorded one, read back three ways in the same run: decoded alone,
//! stepped alone, and both with every command compared.
//!
//! `cargo bench --bench replay [-- quick]`. The journal lies in `target/bench` while it runs.

use serde_json::{Value, json};
use sol_volume_bot::cli::replay::Replay;
use sol_volume_bot::engine::{Driver, Engine};
use sol_volume_bot::ledger::journal::{Entry, Reader, Writer, WriterSettings};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::sys::cores;
use sol_volume_bot::types::event::{Bbo, Candle, Depth, Slot, Trade};
use sol_volume_bot::types::order::{FeeAsset, Reason};
use sol_volume_bot::types::time::NANOS_PER_SEC;
use sol_volume_bot::types::{
    ClientOrderId, Command, CommandBuf, Event, EventKind, ExecKind, ExecutionReport, Liquidity, Price, Qty, Side,
    StreamId, Time, VenueOrderId,
};
use std::collections::VecDeque;
use std::hint::black_box;
use std::path::{Path, PathBuf};

#[allow(dead_code)] // the other benches use the rest of it
#[path = "rig/mod.rs"]
mod rig;

use rig::house::{history, setup};
use rig::report;
use rig::venue::Trigger;

const EVENTS: u64 = 3_000_000;
const EVENTS_QUICK: u64 = 500_000;
/// Events between two slots of 400 ms, as of a busy market: 500 a second.
const EVENTS_PER_SLOT: u64 = 200;
const EVENT_NS: i64 = 2_000_000;
const ROUNDS: usize = 5;
const TICK: i64 = 1_000_000;

/// A market that walks, its slots, candles and timers, and a venue that takes and cancels what it is asked to.
struct Day {
    driver: Driver,
    writer: Writer,
    now: Time,
    mid: i64,
    dice: u64,
    reports: VecDeque<ExecutionReport>,
    commands: u64,
}

impl Day {
    /// A number below `sides`: xorshift, the same in every run.
    fn roll(&mut self, sides: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % sides
    }

    fn take(&mut self, event: Event) {
        let event = self.driver.step(event, self.now);
        self.writer.event(&event);
        for command in self.driver.commands().iter() {
            self.writer.command(command);
            self.commands += 1;
            let (legs, kind) = match command {
                Command::PlaceOco(oco) => ([oco.take_profit, oco.stop], ExecKind::New),
                Command::CancelList(list) => ([list.take_profit, list.stop], ExecKind::Canceled),
                _ => continue,
            };
            self.reports.extend(legs.map(|leg| told(leg, kind)));
        }
    }

    fn feed(&mut self, stream: StreamId, kind: EventKind) {
        self.take(Event { seq: 0, recv: self.now, at: self.now, venue_time: self.now, stream, kind });
        while let Some(report) = self.reports.pop_front() {
            let kind = EventKind::Execution(report);
            self.take(Event {
                seq: 0,
                recv: self.now,
                at: self.now,
                venue_time: self.now,
                stream: StreamId::BinanceUser,
                kind,
            });
        }
    }

    /// One event of the market: 45 % tops of book, 25 % depth, 30 % trades.
    fn market(&mut self, number: u64) {
        let size = Qty(1_000_000_000 + (self.roll(90) as i64) * 100_000_000);
        match self.roll(100) {
            0..45 => {
                self.mid += (self.roll(3) as i64 - 1) * TICK;
                self.mid = self.mid.clamp(16_020_000_000, 16_180_000_000);
                let (bid, ask) = (Price(self.mid), Price(self.mid + TICK));
                let bbo = Bbo { bid, bid_qty: size, ask, ask_qty: size, update_id: number };
                self.feed(StreamId::BinanceBbo, EventKind::Bbo(bbo));
            }
            45..70 => {
                let depth = Depth { bid: [size; 3], ask: [size; 3], update_id: number };
                self.feed(StreamId::BinanceDepth, EventKind::Depth(depth));
            }
            _ => {
                let trade = Trade { price: Price(self.mid), qty: size, aggressor: Side::Buy, trade_id: number as i64 };
                self.feed(StreamId::BinanceTrade, EventKind::Trade(trade));
            }
        }
    }

    fn pass(&mut self, number: u64) {
        self.now = self.now.plus(EVENT_NS);
        while let Some(timer) = self.driver.due_timer(self.now) {
            self.take(timer);
        }
        self.market(number);
        if number.is_multiple_of(EVENTS_PER_SLOT) {
            let slot = number / EVENTS_PER_SLOT + 1;
            self.feed(
                StreamId::SolanaSlot,
                EventKind::Slot(Slot { slot, parent: slot - 1, root: slot.saturating_sub(32) }),
            );
        }
        if number.is_multiple_of(150_000) {
            let (close, open_time) = (Price(self.mid), self.now.plus(-300 * NANOS_PER_SEC));
            let (volume, interval_s) = (Qty(1), 300);
            let candle = Candle { open_time, open: close, high: close, low: close, close, volume, interval_s };
            self.feed(StreamId::BinanceCandle, EventKind::Candle(candle));
        }
        if number.is_multiple_of(4_096) {
            self.writer.flush(self.now).expect("room on the disk");
        }
    }
}

fn told(id: ClientOrderId, kind: ExecKind) -> ExecutionReport {
    ExecutionReport {
        id,
        venue_order_id: VenueOrderId(7),
        list_id: 8,
        kind,
        side: Side::Sell,
        liquidity: Liquidity::Taker,
        fee_asset: FeeAsset::None,
        reason: Reason::None,
        code: 0,
        last_qty: Qty::ZERO,
        last_px: Price::ZERO,
        cum_qty: Qty::ZERO,
        leaves_qty: Qty(if kind == ExecKind::New { 5_000_000_000 } else { 0 }),
        fee: 0,
        trade_id: 0,
    }
}

/// Writes the journal. Output: commands in it.
fn write(dir: &Path, events: u64, now: Time) -> u64 {
    let setup = setup(Trigger::Slot, 1, now);
    let settings = WriterSettings::new(dir.to_owned(), 0);
    let (mut writer, _) = Writer::open(settings, setup.epoch, now).expect("a writable folder");
    writer.start(&setup);
    let driver = Driver::new(Engine::new(setup));
    let mut day = Day {
        driver,
        writer,
        now,
        mid: 16_100_000_000,
        dice: 88_172_645_463_325_252,
        reports: VecDeque::new(),
        commands: 0,
    };
    for item in history(now) {
        day.feed(item.event.stream, item.event.kind);
    }
    (1..=events).for_each(|number| day.pass(number));
    day.writer.finish(day.now).expect("room on the disk");
    day.commands
}

/// Entries decoded, and events among them.
fn decode(dir: &Path) -> (u64, u64) {
    let reader = Reader::open(dir).expect("a journal");
    reader.fold((0, 0), |(entries, events), entry| {
        let entry = black_box(entry.expect("sound"));
        (entries + 1, events + u64::from(matches!(entry, Entry::Event(_))))
    })
}

/// The engine alone: events are in memory already.
fn step(events: &[Event], start: Time) -> u64 {
    let (mut engine, mut out) = (Engine::new(setup(Trigger::Slot, 1, start)), CommandBuf::new());
    for event in events {
        out.clear();
        engine.step(event, &mut out);
        black_box(&out);
    }
    events.len() as u64
}

/// All of it, as the verb does.
fn replay(dir: &Path) -> u64 {
    let mut reader = Reader::open(dir).expect("a journal");
    let mut replay = Replay::new(true);
    while let Some(entry) = reader.next() {
        let entry = entry.expect("sound");
        replay.take(&entry, reader.epoch().unwrap_or_default()).expect("no difference");
    }
    replay.end();
    replay.events()
}

/// Millions of events a second, medians of some rounds: of the wall clock, and of the time that the core was ours.
#[derive(Clone, Copy)]
struct Rate {
    wall: f64,
    core: f64,
}

impl Rate {
    fn of(clock: Clock, mut round: impl FnMut() -> u64) -> Rate {
        let (mut wall, mut core) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (from, had) = (clock.now(), core_ns());
            let events = round() as f64 * 1e3;
            wall.push(events / clock.now().since(from) as f64);
            core.push(events / (core_ns() - had) as f64);
        }
        let median = |mut rates: Vec<f64>| {
            rates.sort_by(f64::total_cmp);
            rates[ROUNDS / 2]
        };
        Rate { wall: median(wall), core: median(core) }
    }
    fn json(self) -> Value {
        json!({"wall_m_per_s": self.wall, "core_m_per_s": self.core})
    }
}

/// Time that this thread has run so far, system calls included.
fn core_ns() -> i64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a kernel with schedstat");
    text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("a number")
}

fn main() {
    if let Some(core) = cores::allowed().last() {
        _ = cores::pin_current(*core); // unpinned is only noisier
    }
    let quick = std::env::args().any(|arg| arg == "quick");
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench/replay-journal");
    drop(std::fs::remove_dir_all(&dir)); // of a bench that was stopped
    let clock = Clock::start();
    let start = clock.now();
    let commands = write(&dir, if quick { EVENTS_QUICK } else { EVENTS }, start);
    let bytes: u64 = std::fs::read_dir(&dir)
        .expect("a folder")
        .flatten()
        .filter_map(|entry| Some(entry.metadata().ok()?.len()))
        .sum();
    let (entries, events) = decode(&dir);
    let kept: Vec<Event> = Reader::open(&dir)
        .expect("a journal")
        .filter_map(|entry| if let Ok(Entry::Event(event)) = entry { Some(event) } else { None })
        .collect();
    println!("{events} events, {commands} commands, {entries} entries, {} MB", bytes >> 20);
    let decoded = Rate::of(clock, || decode(&dir).1);
    let stepped = Rate::of(clock, || step(&kept, start));
    drop(kept);
    let replayed = Rate::of(clock, || replay(&dir));
    drop(std::fs::remove_dir_all(&dir)); // a quarter of a gigabyte
    println!("{:20}M events/s of the wall clock, of the core's own time", "");
    for (name, rate) in [("decode alone", decoded), ("step alone", stepped), ("replay --verify", replayed)] {
        println!("{name:20}{:8.2} {:8.2}", rate.wall, rate.core);
    }
    // A core that others use too is not the replay's fault: the target is of its own time, the wall stands beside it.
    let verdicts = vec![report::verdict("replay: events/s of one core", replayed.core, "M/s", 3.0, false)];
    report::write(
        "replay",
        json!({
            "events": events, "commands": commands, "bytes": bytes, "decode": decoded.json(), "step": stepped.json(),
            "replay": replayed.json(), "verdicts": verdicts,
        }),
    );
}
