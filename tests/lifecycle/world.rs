//! One engine, the venue's truth and the lines between them.
//!
//! Thread: any.  Invariants: a clone is a whole world; what the engine asks for is judged as it leaves: no id twice, no
//! entry after the end of entries, no close above what is proven.

use crate::day::*;
use crate::moves::{Request, names, refusal};
use crate::venue::Venue;
use sol_volume_bot::engine::{Engine, Setup};
use sol_volume_bot::types::command::*;
use sol_volume_bot::types::event::*;
use sol_volume_bot::types::order::*;
use sol_volume_bot::types::record::{ExitReason, OrderStatus, Record};
use sol_volume_bot::types::units::*;
use sol_volume_bot::types::{ClientOrderId, Event, EventKind, Leg, StreamId, Time};
use std::rc::Rc;

/// An order as the engine last recorded it.
#[derive(Clone, Copy, Debug)]
pub struct Believed {
    pub id: ClientOrderId,
    pub status: OrderStatus,
    pub qty: i64,
    pub filled: i64,
}

#[derive(Clone)]
pub struct World {
    pub engine: Engine,
    pub venue: Venue,
    pub now: Time,
    pub seq: u64,
    pub timers: [Option<Time>; TimerId::ALL.len()],
    pub up: Vec<Request>,
    pub late: Vec<(Time, Request)>,
    pub down: Vec<Rc<[ExecutionReport]>>,
    pub connected: bool,
    pub connected_at: Time,
    pub shifted: bool,
    pub fallen: bool,
    pub no_buys: bool,
    /// The operator wants everything sold.
    pub must_be_flat: bool,
    /// News were lost that nobody may know of yet.
    pub blind: bool,
    pub crashed: bool,
    /// No fault so far: only the market and the operator moved.
    pub spotless: bool,
    /// Coins were sold because they could not be protected in time.
    pub gave_up: bool,
    pub told: Vec<i64>,
    pub told_coins: i64,
    pub believed: Vec<Believed>,
    pub newest: [(u32, u32, u16); 4],
    pub setup: Setup,
}

pub type Outcome = Result<(), String>;

pub fn ensure(holds: bool, what: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(what()) }
}

pub fn small_setup(tranches: i64) -> Setup {
    let mut setup = setup();
    setup.cash = usd("400");
    setup.base = sol("50"); // somebody else's coins: never to be sold
    setup.instrument.lot = sol("0.001");
    setup.params.tranches = tranches;
    setup.params.tranche_window_ns = 900 * MS * tranches;
    setup.params.repost_same_price = true;
    setup
}

impl World {
    /// Everything up and fresh, all rules but the volume's hold.
    pub fn new(setup: Setup) -> World {
        let mut world = World {
            engine: Engine::new(setup),
            venue: Venue::new(setup.cash),
            now: setup.now,
            seq: 0,
            timers: [None; TimerId::ALL.len()],
            up: Vec::new(),
            late: Vec::new(),
            down: Vec::new(),
            connected: true,
            connected_at: setup.now,
            shifted: false,
            fallen: false,
            no_buys: false,
            must_be_flat: false,
            blind: false,
            crashed: false,
            spotless: true,
            gave_up: false,
            told: Vec::new(),
            told_coins: 0,
            believed: Vec::new(),
            newest: [(0, 0, 0); 4],
            setup,
        };
        world.open().unwrap_or_else(|fault| panic!("an engine that has done nothing: {fault}"));
        world
    }
    pub fn open(&mut self) -> Outcome {
        for stream in [StreamId::BinanceUser, StreamId::BinanceBbo, StreamId::SolanaSlot, StreamId::BinanceCandle] {
            self.step(stream, EventKind::Stream(StreamState::Up))?;
        }
        let offset = ClockOffset { offset_ns: 5 * MS, round_trip_ns: MS };
        self.step(StreamId::BinanceUser, EventKind::Clock(offset))?;
        if !self.crashed {
            let mut close = px("200");
            for i in 0..260_i64 {
                close = Price(close.0 + if i % 3 == 0 { px("0.10").0 } else { -px("0.10").0 });
                let open_time = Time(self.now.0 - (260 - i) * 300 * SEC);
                let (open, high, low) = (close, close, close);
                let candle = Candle { open_time, open, high, low, close, volume: sol("1"), interval_s: 300 };
                self.step(StreamId::BinanceCandle, EventKind::Candle(candle))?;
            }
        }
        self.market()
    }
    /// Top of book and a slot, fresh.
    pub fn market(&mut self) -> Outcome {
        let top = match (self.fallen, self.shifted) {
            (true, _) => bbo("154.90", "154.91"),
            (false, true) => bbo("161.50", "161.51"),
            (false, false) => bbo("161.00", "161.01"),
        };
        let slot = Slot { slot: self.seq, parent: self.seq - 1, root: 1 };
        self.step(StreamId::BinanceBbo, EventKind::Bbo(top))?;
        self.step(StreamId::SolanaSlot, EventKind::Slot(slot))
    }
    /// The signal that all waits for: the first order is on its way.
    pub fn enter(&mut self) -> Outcome {
        let sample = VolumeSample {
            definition: VolumeDefinition::UtcDay,
            state: SourceState::Ok,
            now: usd("60000000"),
            prev: usd("100000000"),
            bucket_end: self.now.day_start(),
            ..VolumeSample::UNREAD
        };
        self.step(StreamId::DefiLlama, EventKind::Volume(sample))
    }

    pub fn step(&mut self, stream: StreamId, kind: EventKind) -> Outcome {
        self.seq += 1;
        let event = Event { seq: self.seq, recv: self.now, at: self.now, venue_time: self.now, stream, kind };
        let mut out = CommandBuf::new();
        self.engine.step(&event, &mut out);
        let mut refused = Vec::new();
        for command in out.iter() {
            self.take(command, &mut refused)?;
        }
        for report in refused {
            self.hear(report)?; // the session answers at once what it cannot send
        }
        Ok(())
    }
    /// News reach the engine.
    pub fn hear(&mut self, report: ExecutionReport) -> Outcome {
        if report.kind == ExecKind::Fill && !self.told.contains(&report.trade_id) {
            self.told.push(report.trade_id);
            let buys = report.side == Side::Buy;
            self.told_coins += if buys { report.last_qty.0 - report.fee } else { -report.last_qty.0 };
        }
        self.step(StreamId::BinanceUser, EventKind::Execution(report))
    }

    fn take(&mut self, command: &Command, refused: &mut Vec<ExecutionReport>) -> Outcome {
        let request = match *command {
            Command::Place(new) => {
                self.check_new(&new)?;
                Request::Place(new)
            }
            Command::PlaceOco(oco) => {
                self.claim(oco.take_profit)?;
                self.claim(oco.stop)?;
                self.claim(oco.list)?;
                Request::Oco(oco)
            }
            Command::CancelReplace(both) => {
                self.check_new(&both.new)?;
                Request::Replace(both)
            }
            Command::CancelList(list) => Request::CancelList(list),
            Command::Cancel(cancel) => Request::Cancel(cancel.target),
            Command::CancelAll => Request::CancelAll,
            Command::Query(query) => Request::Query(query.target),
            Command::ArmTimer { id, at } => {
                self.timers[id as usize] = Some(at);
                return Ok(());
            }
            Command::Record(Record::Order(row)) => {
                let row = Believed { id: row.id, status: row.status, qty: row.qty.0, filled: row.cum_qty.0 };
                self.believed.retain(|believed| believed.id != row.id);
                self.believed.push(row);
                return Ok(());
            }
            Command::Record(Record::Exit { reason, .. }) => {
                self.gave_up |= reason == ExitReason::Unprotected;
                return Ok(());
            }
            Command::Alert(_) | Command::Record(_) => return Ok(()),
        };
        if self.connected {
            self.up.push(request);
        } else {
            let reports = names(&request).into_iter().map(|id| word(id, refusal(&request, id)));
            refused.extend(reports);
        }
        Ok(())
    }
    /// No id is used twice: of each kind they only count up.
    fn claim(&mut self, id: ClientOrderId) -> Outcome {
        let place = &mut self.newest[kind_of(id)];
        let number = match id.leg {
            Leg::Entry(tranche) => u16::from(tranche) * 1_000 + id.attempt,
            _ => id.attempt,
        };
        let rank = (id.epoch, id.signal, number);
        let of_pair = matches!(id.leg, Leg::Stop(_) | Leg::List(_)) && rank == *place; // as its target's
        let is_new = rank > *place || of_pair;
        *place = rank;
        ensure(is_new, || format!("the id {id} was used before"))
    }
    /// No entry after the end of entries; no close above what is proven and not being closed already.
    fn check_new(&mut self, new: &NewOrder) -> Outcome {
        self.claim(new.id)?;
        if new.side == Side::Buy {
            return ensure(!self.no_buys, || format!("the entry {} after the end of entries", new.id));
        }
        let closing = |row: &&Believed| row.id.leg == Leg::Flatten && !row.status.is_done() && row.id != new.id;
        let others: i64 = self.believed.iter().filter(closing).map(|row| row.qty - row.filled).sum();
        let proven = self.engine.status().position.0;
        ensure(new.qty.0 + others <= proven, || {
            format!("closes of {} and {} for {} proven", new.qty, Qty(others), Qty(proven))
        })
    }

    pub fn is_told(&self, trade_id: i64) -> bool {
        self.told.contains(&trade_id)
    }
    /// By the engine's own word nothing is under way, and it has no question.
    pub fn is_settled(&self) -> bool {
        self.engine.status().at_rest && self.timers[TimerId::Query as usize].is_none()
    }
    /// What an audit does: everything that may have moved is asked about.
    pub fn look_again(&mut self) -> Outcome {
        self.blind = false;
        self.step(StreamId::BinanceUser, EventKind::Stream(StreamState::Gap))
    }
}

/// Orders that count their attempts together.
pub fn kind_of(id: ClientOrderId) -> usize {
    match id.leg {
        Leg::TakeProfit(slot) | Leg::Stop(slot) | Leg::List(slot) => usize::from(slot),
        Leg::Flatten => 3,
        Leg::Entry(_) | Leg::Request => 0,
    }
}
