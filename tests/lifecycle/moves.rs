//! Every move that a hostile venue, line or host can make, and what it does to the world.
//!
//! Thread: any.  Invariants: a move that breaks a rule of money answers `Err` and says which; requests are served in
//! order, news come in any; time moves by timers alone.

use crate::day::*;
use crate::venue::{Part, partner};
use crate::world::{Outcome, World, ensure};
use sol_volume_bot::engine::{Engine, OpenPosition, Setup};
use sol_volume_bot::types::command::*;
use sol_volume_bot::types::event::*;
use sol_volume_bot::types::order::*;
use sol_volume_bot::types::reconcile::{ReconcileTrigger, Reconciled};
use sol_volume_bot::types::record::OrderStatus;
use sol_volume_bot::types::setup::RESTING_MAX;
use sol_volume_bot::types::units::*;
use sol_volume_bot::types::{ClientOrderId, EventKind, StreamId};
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

impl World {
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
pub fn names(request: &Request) -> Vec<ClientOrderId> {
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
pub fn refusal(request: &Request, id: ClientOrderId) -> ExecKind {
    match request {
        Request::Place(_) | Request::Oco(_) => ExecKind::Rejected,
        Request::Replace(both) if both.new.id == id => ExecKind::Rejected,
        _ => ExecKind::CancelRejected,
    }
}
