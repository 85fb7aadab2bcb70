//! A folder of one test's own, and entries that look like a day's.
//!
//! Thread: any.  Invariants: the folder is gone with the value; the same number gives the same entry.

use sol_volume_bot::ledger::journal::{Entry, JournalError, Reader, Writer, WriterSettings};
use sol_volume_bot::types::command::{Command, NewOco};
use sol_volume_bot::types::event::*;
use sol_volume_bot::types::instrument::{Instrument, Symbol};
use sol_volume_bot::types::note::{Verb, WireNote};
use sol_volume_bot::types::order::*;
use sol_volume_bot::types::record::{OrderRow, OrderStatus, Record};
use sol_volume_bot::types::setup::{PauseSet, Setup};
use sol_volume_bot::types::units::*;
use sol_volume_bot::types::{ClientOrderId, Event, EventKind, Leg, Params, StreamId, Time, VenueOrderId};
use std::fs;
use std::path::{Path, PathBuf};

/// 2026-11-22 12:00 UTC.
pub const NOON: Time = Time(1_795_348_800_000_000_000);

pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        Folder::within(std::env::temp_dir(), name)
    }
    pub fn within(place: impl AsRef<Path>, name: &str) -> Folder {
        let path = place.as_ref().join(format!("svb-journal-{name}-{}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        fs::create_dir_all(&path).expect("temporary directory");
        Folder(path)
    }
    /// Its only file, or the newest by name.
    pub fn newest(&self) -> PathBuf {
        self.files().pop().expect("a segment")
    }
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(&self.0).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

pub fn id(leg: Leg, attempt: u16) -> ClientOrderId {
    ClientOrderId { epoch: 7, signal: 3, leg, attempt }
}

pub fn setup(epoch: u32) -> Setup {
    let symbol = |text| Symbol::new(text).expect("a symbol");
    let mut value = 0;
    let params = Params::of(|_| {
        value += 1;
        Some(value % 2) // every unit has a 0 and a 1
    });
    Setup {
        instrument: Instrument {
            symbol: symbol("SOLUSDT"),
            base: symbol("SOL"),
            quote: symbol("USDT"),
            tick: Price(1_000_000),
            price_min: Price(1),
            price_max: Price(2),
            lot: Qty(1_000_000),
            qty_min: Qty(3),
            qty_max: Qty(4),
            market_qty_max: Qty(5),
            notional_min: Notional(6),
            notional_max: Notional(7),
            orders_max: 200,
            algo_orders_max: 5,
            oco_allowed: true,
            stop_market_allowed: false,
            fee_maker: Ratio(8),
            fee_taker: Ratio(9),
        },
        params: Params { stop_loss: Price(1), ..params.expect("every key has a value") }, // coins are worth selling
        definition: VolumeDefinition::UtcDay,
        rsi_period: 14,
        candle_s: 300,
        epoch,
        next_trade_no: 1,
        consecutive_losses: 2,
        paused: PauseSet::NONE,
        cash: Notional(10),
        base: Qty(11),
        position: None,
        trades_known_to: 12,
        resting: Default::default(),
        day_equity: Some(Notional(13)),
        needed_ns: [0; StreamId::ALL.len()],
        last_entry: None,
        risen: [Time::NONE; 4],
        now: NOON,
    }
}

pub fn event(seq: u64, kind: EventKind) -> Event {
    let at = NOON.plus(i64::try_from(seq).expect("small") * 1_000);
    Event { seq, recv: at.plus(-500), at, venue_time: at.plus(-900_000), stream: StreamId::BinanceBbo, kind }
}

pub fn bbo(seq: u64) -> Event {
    let step = i64::try_from(seq % 100).expect("small") * 1_000_000;
    let (bid, ask) = (Price(16_100_000_000 + step), Price(16_101_000_000 + step));
    event(
        seq,
        EventKind::Bbo(Bbo {
            bid,
            bid_qty: Qty(5_000_000_000),
            ask,
            ask_qty: Qty(7_250_000_000),
            update_id: 900 + seq,
        }),
    )
}

pub fn fill(seq: u64) -> Event {
    let report = ExecutionReport {
        id: id(Leg::Entry(1), 1),
        venue_order_id: VenueOrderId(12_000_053),
        list_id: 0,
        kind: ExecKind::Fill,
        side: Side::Buy,
        liquidity: Liquidity::Taker,
        fee_asset: FeeAsset::Base,
        reason: Reason::None,
        code: 0,
        last_qty: Qty(20_662_000_000),
        last_px: Price(16_100_000_000),
        cum_qty: Qty(20_662_000_000),
        leaves_qty: Qty::ZERO,
        fee: 20_662_000,
        trade_id: 900_001,
    };
    event(seq, EventKind::Execution(report))
}

pub fn oco() -> Command {
    Command::PlaceOco(NewOco {
        list: id(Leg::List(1), 1),
        take_profit: id(Leg::TakeProfit(1), 1),
        stop: id(Leg::Stop(1), 1),
        qty: Qty(10_320_000_000),
        tp_price: Price(16_422_000_000),
        stop_price: Price(15_500_000_000),
        stop_limit: Price::ZERO,
    })
}

pub fn order_row() -> Command {
    Command::Record(Record::Order(OrderRow {
        id: id(Leg::Stop(2), 4),
        venue_order_id: VenueOrderId(12_000_056),
        list_id: 77,
        trade_no: 5,
        side: Side::Sell,
        kind: OrderKind::StopLoss,
        tif: TimeInForce::Gtc,
        purpose: Purpose::Stop,
        tranche: 0,
        status: OrderStatus::Working,
        reason: Reason::None,
        code: -2010,
        price: Price::ZERO,
        stop_price: Price(15_500_000_000),
        qty: Qty(10_321_000_000),
        cum_qty: Qty::ZERO,
        avg_px: Price::ZERO,
        created: NOON,
        acked: NOON.plus(1),
        done: Time::NONE,
    }))
}

pub fn sent() -> WireNote {
    let stages_ns = [3_000, 1_200, 400, 2_100, 9_000];
    WireNote::Sent { id: id(Leg::List(1), 1), verb: Verb::PlaceOco, sent: NOON.plus(15_700), trigger: NOON, stages_ns }
}

/// A short history: two ticks, a fill and what came of it.
pub fn history() -> Vec<Entry> {
    vec![
        Entry::Event(bbo(1)),
        Entry::Event(bbo(2)),
        Entry::Event(fill(3)),
        Entry::Command(order_row()),
        Entry::Command(oco()),
        Entry::Wire(sent()),
        Entry::Event(bbo(4)),
    ]
}

/// Small segments, so that a few entries make several.
pub fn settings(dir: &Path, segment_bytes: u64) -> WriterSettings {
    WriterSettings { dir: dir.to_owned(), keep_days: 0, segment_bytes }
}

/// A run begun and put onto disk entry by entry, not ended.
pub fn written(settings: WriterSettings, epoch: u32, entries: &[Entry]) -> Writer {
    let (mut writer, findings) = Writer::open(settings, epoch, NOON).expect("opens");
    assert_eq!(findings, []);
    writer.start(&setup(epoch));
    for entry in entries {
        writer.put(entry);
        writer.flush(NOON).expect("there is room");
    }
    writer
}

/// All entries, and what ended them.
pub fn read(path: &Path) -> (Vec<Entry>, Option<JournalError>) {
    let reader = match Reader::open(path) {
        Ok(reader) => reader,
        Err(why) => return (Vec::new(), Some(why)),
    };
    let mut entries = Vec::new();
    for entry in reader {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(why) => return (entries, Some(why)),
        }
    }
    (entries, None)
}

/// The entries of a run: its start and its history.
pub fn run(epoch: u32, history: &[Entry]) -> Vec<Entry> {
    [Entry::Start(Box::new(setup(epoch)))].into_iter().chain(history.iter().cloned()).collect()
}
