//! One engine, the venue's truth and the lines between them; every move that a hostile venue, line or host can make.
//!
//! Thread: any.  Invariants: a clone is a whole world; a move that breaks a rule of money answers `Err` and says which.
//! Requests are served in order, news come in any; time moves by timers alone.

use crate::day::*;
use crate::venue::{Part, Venue, partner};
use sol_volume_bot::engine::{Engine, OpenPosition, Setup};
use sol_volume_bot::types::command::*;
use sol_volume_bot::types::event::*;
use sol_volume_bot::types::order::*;
use sol_volume_bot::types::reconcile::{ReconcileTrigger, Reconciled};
use sol_volume_bot::types::record::{OrderStatus, Record};
use sol_volume_bot::types::setup::RESTING_MAX;
use sol_volume_bot::types::units::*;
use sol_volume_bot::types::{ClientOrderId, Event, EventKind, Leg, StreamId, Time};
use std::rc::Rc;

/// A request that a line lost may still be executed for so long: the venue's window for orders.
const WINDOW: i64 = 2 * SEC;

/// What a venue does with the oldest request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serve {
    /// As it should; an order that takes fills so much.
    Properly(Part),
    /// Refuses it.
    Refuse(Reason),
    /// Executes it and says that it does not know.
    ExecuteUnknown,
    /// Says that it does not know; it may execute it later, within its window.
    LaterUnknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    Serve(Serve),
    /// A waiting piece of news reaches the engine.
    Deliver(usize),
    /// It does and will again.
    Repeat(usize),
    /// It never does.
    Lose(usize),
    /// A request of a line that was lost is executed after all.
    Late,
    /// The market takes a live exit.
    Market(ClientOrderId, Part),
    /// A triggered stop finds no buyer and ends.
    StopFails(ClientOrderId),
    Timer,
    /// The top of book moves up or back, and a slot comes.
    Shift,
    /// The top of book falls through the stop.
    Fall,
    Say(Control),
    /// The order line is cut; what was sent is executed, or perhaps later.
    Cut {
        executed: bool,
    },
    Up,
    /// The process dies, its requests executed or lost, and another starts from the venue's truth.
    Crash {
        executed: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Place(NewOrder),
    Oco(NewOco),
    Cancel(ClientOrderId),
    CancelList(CancelList),
    Replace(CancelReplace),
    CancelAll,
    Query(ClientOrderId),
}

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
    seq: u64,
    pub timers: [Option<Time>; TimerId::ALL.len()],
    pub up: Vec<Request>,
    pub late: Vec<(Time, Request)>,
    pub down: Vec<Rc<[ExecutionReport]>>,
    pub connected: bool,
    connected_at: Time,
    pub shifted: bool,
    pub fallen: bool,
    pub no_buys: bool,
    /// The operator wants everything sold.
    pub must_be_flat: bool,
    /// News were lost that nobody may know of yet.
    pub blind: bool,
    pub crashed: bool,
    told: Vec<i64>,
    told_coins: i64,
    pub believed: Vec<Believed>,
    pub newest: [(u32, u32, u16); 4],
    setup: Setup,
}

type Outcome = Result<(), String>;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Outcome {
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
            told: Vec::new(),
            told_coins: 0,
            believed: Vec::new(),
            newest: [(0, 0, 0); 4],
            setup,
        };
        world.open().unwrap_or_else(|fault| panic!("an engine that has done nothing: {fault}"));
        world
    }
    fn open(&mut self) -> Outcome {
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
    fn market(&mut self) -> Outcome {
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
        };
        self.step(StreamId::DefiLlama, EventKind::Volume(sample))
    }

    fn step(&mut self, stream: StreamId, kind: EventKind) -> Outcome {
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
    fn hear(&mut self, report: ExecutionReport) -> Outcome {
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

    /// Coins by the fills that were told.
    pub fn told_coins(&self) -> i64 {
        self.told_coins
    }
    pub fn is_told(&self, trade_id: i64) -> bool {
        self.told.contains(&trade_id)
    }
    pub fn connected_at(&self) -> Time {
        self.connected_at
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

    /// Makes one move.
    pub fn make(&mut self, mv: Move) -> Outcome {
        match mv {
            Move::Serve(how) => {
                let request = self.up.remove(0);
                self.serve(request, how)
            }
            Move::Deliver(at) => {
                let news = self.down.remove(at);
                self.hear_all(&news)
            }
            Move::Repeat(at) => {
                let news = Rc::clone(&self.down[at]);
                self.hear_all(&news)
            }
            Move::Lose(at) => {
                self.blind = true;
                self.down.remove(at);
                Ok(())
            }
            Move::Late => {
                let (_, request) = self.late.remove(0);
                self.execute(request, Part::All).map(|news| self.send(news))
            }
            Move::Market(id, part) => self.trade(id, part),
            Move::StopFails(id) => {
                let target = partner(id).and_then(|id| self.venue.end(id, OrderStatus::Expired, Reason::OcoTrigger));
                let stop = self.venue.end(id, OrderStatus::Expired, Reason::Unprotected);
                self.send(target.into_iter().chain(stop).collect());
                Ok(())
            }
            Move::Timer => self.pass(),
            Move::Shift => {
                self.shifted = !self.shifted;
                self.market()
            }
            Move::Fall => {
                self.fallen = true;
                self.market()
            }
            Move::Say(word) => {
                self.no_buys |= matches!(word, Control::Flatten | Control::Kill | Control::Stop);
                self.must_be_flat |= matches!(word, Control::Flatten | Control::Kill);
                self.step(StreamId::Internal, EventKind::Control(word))
            }
            Move::Cut { executed } => self.cut(executed),
            Move::Up => {
                (self.connected, self.connected_at, self.blind) = (true, self.now, false);
                self.step(StreamId::BinanceUser, EventKind::Stream(StreamState::Up))
            }
            Move::Crash { executed } => self.crash(executed),
        }
    }
    fn hear_all(&mut self, news: &[ExecutionReport]) -> Outcome {
        news.iter().try_for_each(|report| self.hear(*report))
    }
    /// News set out for the engine; without a line they are lost.
    fn send(&mut self, news: Vec<ExecutionReport>) {
        if news.is_empty() {
            return;
        }
        if self.connected {
            self.down.push(news.into());
        } else {
            self.blind = true;
        }
    }
    /// The next deadline comes; what a lost line held back has expired by then, or has not.
    fn pass(&mut self) -> Outcome {
        let next = TimerId::ALL.into_iter().filter_map(|id| self.timers[id as usize].map(|at| (at, id)));
        let Some((at, id)) = next.min_by_key(|(at, id)| (*at, *id as u8)) else {
            return Err("no deadline is armed".into());
        };
        self.timers[id as usize] = None;
        self.now = self.now.max(at);
        self.late.retain(|(sent, _)| self.now.since(*sent) <= WINDOW);
        if id == TimerId::Tranche {
            self.market()?;
        }
        self.step(StreamId::Internal, EventKind::Timer(id))
    }
    /// The market takes a live exit: its partner ends with the first fill.
    fn trade(&mut self, id: ClientOrderId, part: Part) -> Outcome {
        let ended = partner(id).and_then(|id| self.venue.end(id, OrderStatus::Expired, Reason::OcoTrigger));
        let fill = self.venue.fill(id, part)?;
        self.send(ended.into_iter().collect());
        self.send(fill.into_iter().collect());
        Ok(())
    }
    fn serve(&mut self, request: Request, how: Serve) -> Outcome {
        match how {
            Serve::Properly(part) => {
                let news = self.execute(request, part)?;
                if matches!(request, Request::Place(_) | Request::Replace(_)) {
                    news.into_iter().for_each(|report| self.send(vec![report]));
                } else {
                    self.send(news);
                }
            }
            Serve::Refuse(reason) => {
                let told = |id| ExecutionReport { reason, ..word(id, refusal(&request, id)) };
                self.send(names(&request).into_iter().map(told).collect());
            }
            Serve::ExecuteUnknown => {
                let news = self.execute(request, Part::All)?;
                self.send(news);
                self.send(names(&request).into_iter().map(|id| word(id, ExecKind::Unknown)).collect());
            }
            Serve::LaterUnknown if matches!(request, Request::Query(_)) => {}
            Serve::LaterUnknown => {
                self.late.push((self.now, request));
                self.send(names(&request).into_iter().map(|id| word(id, ExecKind::Unknown)).collect());
            }
        }
        Ok(())
    }
    /// What the venue does with a request it takes, and the news of that.
    fn execute(&mut self, request: Request, part: Part) -> Result<Vec<ExecutionReport>, String> {
        let mut news = Vec::new();
        match request {
            Request::Place(new) => news = self.execute_taking(&new, part)?,
            Request::Oco(oco) => news = self.venue.accept_oco(&oco),
            // One leg of a list takes the other with it.
            Request::Cancel(id) => news = self.cancel([partner(id).unwrap_or(id), id]),
            Request::CancelList(list) => news = self.cancel([list.take_profit, list.stop]),
            Request::Replace(both) => {
                let target = both.cancel.target;
                let is_whole = self.venue.get(target).is_some_and(|held| held.is_live() && held.filled == 0);
                if is_whole {
                    news = self.cancel([partner(target).unwrap_or(target), target]);
                    news.extend(self.execute_taking(&both.new, part)?);
                } else {
                    news.push(word(target, ExecKind::CancelRejected));
                    news.push(word(both.new.id, ExecKind::Rejected));
                }
            }
            Request::CancelAll => {
                let live: Vec<_> = self.venue.orders.iter().filter(|held| held.is_live()).map(|held| held.id).collect();
                news.extend(live.into_iter().filter_map(|id| self.venue.end(id, OrderStatus::Canceled, Reason::None)));
            }
            Request::Query(id) => news = self.venue.tell(id),
        }
        let (selling, coins) = (self.venue.selling(), self.venue.coins);
        ensure(selling <= coins, || format!("{} are for sale of {} bought", Qty(selling), Qty(coins)))?;
        Ok(news)
    }
    fn execute_taking(&mut self, new: &NewOrder, part: Part) -> Result<Vec<ExecutionReport>, String> {
        let mut news = vec![self.venue.accept(new, 0)];
        let (selling, coins) = (self.venue.selling(), self.venue.coins);
        ensure(selling <= coins, || format!("{} are for sale of {} bought", Qty(selling), Qty(coins)))?;
        news.extend(self.venue.fill(new.id, part)?);
        news.extend(self.venue.end(new.id, OrderStatus::Expired, Reason::TimeInForce));
        Ok(news)
    }
    fn cancel(&mut self, legs: [ClientOrderId; 2]) -> Vec<ExecutionReport> {
        let ended = legs.into_iter().filter_map(|id| self.venue.end(id, OrderStatus::Canceled, Reason::None));
        let news: Vec<_> = ended.collect();
        if news.is_empty() {
            return legs.into_iter().map(|id| word(id, ExecKind::CancelRejected)).collect();
        }
        news
    }
    fn cut(&mut self, executed: bool) -> Outcome {
        let requests = std::mem::take(&mut self.up);
        (self.connected, self.blind) = (false, true);
        self.down.clear();
        for request in &requests {
            if executed {
                self.execute(*request, Part::All)?;
            } else if !matches!(request, Request::Query(_)) {
                self.late.push((self.now, *request));
            }
        }
        let mut doubtful: Vec<_> = requests.iter().flat_map(names).collect();
        if requests.contains(&Request::CancelAll) {
            let open = self.believed.iter().filter(|row| !row.status.is_done());
            doubtful.extend(open.map(|row| row.id));
        }
        for id in doubtful {
            self.hear(word(id, ExecKind::Unknown))?;
        }
        self.step(StreamId::BinanceUser, EventKind::Stream(StreamState::Down))
    }
    /// A new engine from the venue's truth: what an earlier run left resting goes on protecting the coins.
    fn crash(&mut self, executed: bool) -> Outcome {
        let requests = std::mem::take(&mut self.up);
        if executed {
            for request in requests {
                self.execute(request, Part::All)?;
            }
        }
        self.down.clear();
        self.late.clear();
        self.believed.clear();
        let mut resting = [None; RESTING_MAX];
        let live = self.venue.orders.iter().filter(|held| held.is_live());
        for (place, held) in resting.iter_mut().zip(live) {
            *place = Some(held.resting());
        }
        (self.crashed, self.connected, self.connected_at, self.blind) = (true, true, self.now, false);
        let position = OpenPosition::of_fills(1, (Qty::ZERO, Notional::ZERO), &self.venue.trades);
        self.setup.epoch += 1;
        self.engine = Engine::new(Setup {
            position: position.filter(|open| open.qty.0 > 0),
            cash: Notional(self.venue.cash),
            base: Qty(self.setup.base.0 + self.venue.coins),
            resting,
            trades_known_to: self.venue.trades.iter().map(|trade| trade.trade_id).max().unwrap_or(0),
            last_entry: Some(self.now),
            now: self.now,
            ..self.setup
        });
        self.seq = 0;
        self.timers = [None; TimerId::ALL.len()];
        self.told_coins = self.venue.coins;
        self.told = self.venue.trades.iter().map(|trade| trade.trade_id).collect();
        (self.no_buys, self.must_be_flat) = (false, false); // the operator's word died with the process
        self.open()?;
        let found = Reconciled {
            trigger: ReconcileTrigger::Start,
            fills: 0,
            ended: 0,
            cash: Notional(self.venue.cash),
            base: Qty(self.setup.base.0 + self.venue.coins),
            is_quiet: true,
        };
        self.step(StreamId::BinanceUser, EventKind::Reconciled(found))
    }
}

/// Orders that are told when a request fails. A question that fails is told to nobody.
fn names(request: &Request) -> Vec<ClientOrderId> {
    match request {
        Request::Place(new) => vec![new.id],
        Request::Oco(oco) => vec![oco.take_profit, oco.stop],
        Request::Cancel(id) => vec![*id],
        Request::CancelList(list) => vec![list.take_profit, list.stop],
        Request::Replace(both) => vec![both.cancel.target, both.new.id],
        Request::CancelAll | Request::Query(_) => Vec::new(),
    }
}

/// What an order is told when its request is refused.
fn refusal(request: &Request, id: ClientOrderId) -> ExecKind {
    match request {
        Request::Place(_) | Request::Oco(_) => ExecKind::Rejected,
        Request::Replace(both) if both.new.id == id => ExecKind::Rejected,
        _ => ExecKind::CancelRejected,
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
