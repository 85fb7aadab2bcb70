//! The entry: one plan, bought in tranches, each of which passes signal and risk anew.
//!
//! Thread: any.  Invariants: at most one entry order is unsettled; tranche k may bring the bought size up to k parts
//! of the plan and never above what risk leaves at that moment, so a remainder carries over and a gain does not grow
//! the plan; a refusal is recorded with its rule; the last tranche ends the entry.

use super::Engine;
use super::order::Origin;
use super::risk::{Approved, Facts, Room, Rules};
use crate::types::command::{Alert, Command, CommandBuf, NewOrder};
use crate::types::decision::{Decision, Refused, RiskRule, Rule, Verdict};
use crate::types::event::StreamState;
use crate::types::ids::{ClientOrderId, Leg, SIGNAL_MAX, StreamId};
use crate::types::order::{OrderKind, Purpose, Side};
use crate::types::record::{ExitReason, OrderStatus, Record};
use crate::types::time::{NANOS_PER_SEC, Time};
use crate::types::units::{Notional, Price, Qty, Ratio, mul_div_floor, notional_ceil, notional_floor};

/// Largest number of tranches that order ids can name.
const TRANCHES_MAX: i64 = 20;

/// A running entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    start: Time,
    window_ns: i64,
    qty: Qty,
    bought_before: Qty,
    tranches: u8,
    /// Tranches tried so far.
    pub tried: u8,
    order: Option<ClientOrderId>,
}

impl Plan {
    /// When the next tranche is due; NONE = none is left.
    pub(super) fn due(&self) -> Time {
        if self.tried >= self.tranches {
            return Time::NONE;
        }
        let (tried, all) = (i64::from(self.tried), i64::from(self.tranches.max(1)));
        self.start.plus(mul_div_floor(self.window_ns, tried, all).unwrap_or(0))
    }
    /// Size that should be bought once the next tranche is done.
    fn goal(&self) -> Qty {
        let (next, all) = (i64::from(self.tried) + 1, i64::from(self.tranches.max(1)));
        mul_div_floor(self.qty.0, next, all).map_or(Qty::ZERO, Qty)
    }
}

/// Age up to which another venue's price says something about ours: a quiet book there moves less often than ours.
const QUOTE_NS_MAX: i64 = 60 * NANOS_PER_SEC;

impl Engine {
    /// Asks the signal and acts on its verdict. A verdict or a rule that changed is recorded.
    pub(super) fn evaluate(&mut self, out: &mut CommandBuf) {
        let opened = self.position.opened().filter(|_| !self.is_dust());
        let decision = self.signal.decide(self.now, &self.params, self.is_flat(), opened);
        let same = |last: Decision| last.verdict == decision.verdict && last.passed == decision.passed;
        if !self.decision.is_some_and(same) {
            out.push(Command::Record(Record::Decision(decision)));
        }
        self.decision = Some(decision);
        match decision.verdict {
            Verdict::Enter => self.try_entry(out),
            Verdict::Exit => {
                let due = opened.and_then(|opened| self.signal.exit_due(self.now, &self.params, opened));
                self.start_close(due.unwrap_or(ExitReason::Signal), out);
            }
            Verdict::NoOp if self.entry.is_none() => self.refused = None,
            Verdict::NoOp => {}
        }
    }
    /// No coins to speak of, nothing under way that could bring or take some.
    pub(super) fn is_flat(&self) -> bool {
        self.is_dust() && self.entry.is_none() && self.close.is_none() && self.orders.unsettled().next().is_none()
    }

    /// Begins an entry if risk lets its first tranche pass.
    fn try_entry(&mut self, out: &mut CommandBuf) {
        if !self.is_flat() {
            return;
        }
        match self.first_tranche(self.now) {
            Err(refused) => self.refuse(refused, out),
            Ok((plan, approved)) => self.start_entry(plan, approved, out),
        }
    }
    /// The plan of an entry that began now, and its first order, if risk lets it pass.
    pub(super) fn first_tranche(&self, now: Time) -> Result<(Plan, Approved), Refused> {
        let facts = self.facts(now);
        self.rules().check_state(1, &facts)?;
        let plan = Plan {
            start: now,
            window_ns: self.params.tranche_window_ns,
            qty: self.room(&facts, 1)?.qty,
            bought_before: self.position.bought(),
            tranches: self.params.tranches.clamp(1, TRANCHES_MAX) as u8,
            tried: 0,
            order: None,
        };
        if self.signal_no >= SIGNAL_MAX {
            return Err(arithmetic(1));
        }
        let id = ClientOrderId { epoch: self.epoch, signal: self.signal_no + 1, leg: Leg::Entry(1), attempt: 1 };
        Ok((plan, self.tranche_order(&plan, id, &facts)?))
    }
    fn start_entry(&mut self, plan: Plan, approved: Approved, out: &mut CommandBuf) {
        assert!(self.entry.is_none(), "one entry at a time");
        assert!(!self.has_pairs(), "no exit stands before an entry");
        self.signal_no += 1;
        self.exits.restart();
        self.flatten_attempts = 0;
        self.signal.on_acted(self.now);
        let mid = self.book.mid().unwrap_or(Price::ZERO);
        out.push(Command::Alert(Alert::Enter { mid, qty: approved.order().qty, stop: self.params.stop_loss }));
        let origin = Origin { trade_no: self.position.trade_no(), arrival: mid, now: self.now };
        let order = self.orders.open(approved, origin, out);
        self.entry = Some(Plan { tried: 1, order: Some(order), ..plan });
        self.refused = None;
    }

    /// Tries a tranche that has come due; ends the entry when its last one is settled.
    pub(super) fn drive_entry(&mut self, out: &mut CommandBuf) {
        let Some(plan) = self.entry else { return };
        let is_open = plan.order.and_then(|id| self.orders.get(id)).is_some_and(|order| !order.is_settled());
        let due = plan.due();
        if due == Time::NONE {
            if !is_open {
                self.entry = None;
            }
        } else if self.now >= due {
            self.try_tranche(plan, is_open, out);
        }
    }
    fn try_tranche(&mut self, plan: Plan, is_open: bool, out: &mut CommandBuf) {
        let tranche = plan.tried + 1;
        assert!(tranche <= plan.tranches, "no tranche beyond the plan");
        assert!(self.close.is_none(), "no tranche while getting out");
        let id = ClientOrderId { epoch: self.epoch, signal: self.signal_no, leg: Leg::Entry(tranche), attempt: 1 };
        let facts = self.facts(self.now);
        let approved = self.still_says_enter(tranche).and_then(|()| {
            let unsettled = Refused { rule: RiskRule::UnknownOrder, tranche, value: 1, limit: 0 };
            if is_open { Err(unsettled) } else { self.tranche_order(&plan, id, &facts) }
        });
        let order = match approved {
            Ok(approved) => {
                let arrival = self.book.mid().unwrap_or(Price::ZERO);
                let origin = Origin { trade_no: self.position.trade_no(), arrival, now: self.now };
                Some(self.orders.open(approved, origin, out))
            }
            Err(refused) => {
                self.refuse(refused, out);
                plan.order.filter(|_| is_open)
            }
        };
        self.entry = Some(Plan { tried: tranche, order, ..plan });
        if order.is_none() && tranche == plan.tranches {
            self.entry = None;
        }
    }
    /// A later tranche needs every rule of the signal but the two that its own entry broke.
    fn still_says_enter(&self, tranche: u8) -> Result<(), Refused> {
        let needed = Rule::ALL.iter().filter(|rule| !matches!(rule, Rule::OncePerDay | Rule::Flat));
        let needed = needed.fold(0_u16, |bits, rule| bits | rule.bit());
        let passed = self.signal.decide(self.now, &self.params, false, None).passed;
        let gone = Refused {
            rule: RiskRule::SignalGone,
            tranche,
            value: i64::from(passed & needed),
            limit: i64::from(needed),
        };
        if passed & needed == needed { Ok(()) } else { Err(gone) }
    }
    fn room(&self, facts: &Facts, tranche: u8) -> Result<Room, Refused> {
        let limit = facts.bbo.and_then(|bbo| self.rules().entry_limit(bbo));
        limit.and_then(|limit| self.rules().room(facts, limit)).ok_or(arithmetic(tranche))
    }
    /// The order of a tranche: what the plan still wants, cut to what risk leaves now, at the collar's price.
    fn tranche_order(&self, plan: &Plan, id: ClientOrderId, facts: &Facts) -> Result<Approved, Refused> {
        let tranche = plan.tried + 1;
        let rules = self.rules();
        rules.check_state(tranche, facts)?;
        let Some(price) = facts.bbo.and_then(|bbo| rules.entry_limit(bbo)) else { return Err(arithmetic(tranche)) };
        let room = self.room(facts, tranche)?;
        let bought = self.position.bought().0.saturating_sub(plan.bought_before.0);
        let want = self.instrument.qty_floor(Qty(plan.goal().0.saturating_sub(bought).max(0)));
        let qty = want.min(room.qty);
        if qty < want && self.instrument.is_dust(self.params.stop_loss, qty) {
            return Err(self.no_room(room, want, price, tranche));
        }
        let new = NewOrder {
            id,
            side: Side::Buy,
            kind: OrderKind::Limit,
            tif: self.params.tranche_tif,
            price,
            qty,
            purpose: Purpose::Entry,
        };
        rules.check(new, tranche, facts)
    }
    /// The order wanted and what its rule leaves, in the rule's own unit: a size, or money at this price.
    fn no_room(&self, room: Room, want: Qty, price: Price, tranche: u8) -> Refused {
        let rule = room.rule;
        if rule == RiskRule::TooSmall {
            return Refused { rule, tranche, value: want.0, limit: room.qty.0 };
        }
        let money = (notional_ceil(price, want), notional_floor(price, room.qty));
        let (Some(value), Some(limit)) = money else { return arithmetic(tranche) };
        Refused { rule, tranche, value: value.0, limit: limit.0 }
    }
    /// Records a refusal, once while tranche and rule stay the same.
    fn refuse(&mut self, refused: Refused, out: &mut CommandBuf) {
        if self.refused != Some((refused.tranche, refused.rule)) {
            self.refused = Some((refused.tranche, refused.rule));
            out.push(Command::Record(Record::Refused(refused)));
        }
    }

    /// The rules' numbers as they stand.
    pub(super) fn rules(&self) -> Rules<'_> {
        Rules { instrument: &self.instrument, params: &self.params }
    }
    /// All that risk judges an entry by, open and unknown orders at their worst.
    fn facts(&self, now: Time) -> Facts {
        let rules = self.rules();
        let buys = self.orders.unsettled().filter(|order| order.ask.side == Side::Buy);
        let mut coins = Some(self.position.qty());
        let mut open_cost = Some(Notional::ZERO);
        let mut unknown = 0;
        for order in buys {
            coins = coins.and_then(|sum| sum.checked_add(order.reserve()));
            let cost = rules.cost(order.ask.price, order.reserve());
            open_cost = open_cost.zip(cost).and_then(|(sum, cost)| sum.checked_add(cost));
            unknown += 1;
        }
        unknown += self.orders.iter().filter(|order| order.status == OrderStatus::Unknown).count();
        let equity = self.money.equity(&self.position, self.book.mid());
        let sums = coins.zip(open_cost).and_then(|(coins, open)| {
            Some((coins, self.position.cost().checked_add(open)?, self.money.free().checked_sub(open)?))
        });
        let (coins, cost, cash) = sums.unwrap_or((Qty(i64::MAX), Notional(i64::MAX), Notional::ZERO));
        Facts {
            stopping: self.stopping,
            pauses: self.pauses.set(),
            bbo: self.book.bbo(),
            stale: self.stale_feed(now),
            clock: self.book.clock(),
            divergence: self.divergence(now),
            slippage: self.slips.mean(now, self.params.slippage_window_ns),
            unknown,
            has_room: self.orders.has_room(8),
            equity: equity.filter(|_| sums.is_some()),
            cash,
            coins,
            cost,
        }
    }
    /// How far the DEX stands from us. Where entries stand on a DEX and nobody can tell, the two are as far apart as can be.
    fn divergence(&self, now: Time) -> Ratio {
        let is_needed = |stream: &StreamId| matches!(stream, StreamId::DexBook | StreamId::Jupiter);
        let unknown = match self.needed().any(|(stream, _)| is_needed(&stream)) {
            true => Ratio(i64::MAX),
            false => Ratio::ZERO,
        };
        self.venues.dex_divergence(now, QUOTE_NS_MAX).map_or(unknown, |apart| apart.ratio)
    }
    /// Age and limit of the first stream an entry stands on that is too old or not up; zero and zero: not up.
    fn stale_feed(&self, now: Time) -> Option<(i64, i64)> {
        let p = &self.params;
        if self.book.state(StreamId::BinanceUser) != StreamState::Up {
            return Some((0, 0));
        }
        let own = [
            (StreamId::BinanceBbo, p.stale_bbo_ns),
            (StreamId::BinanceCandle, p.stale_candle_ns),
            (StreamId::SolanaSlot, p.stale_slot_ns),
        ];
        for (stream, limit) in own.into_iter().chain(self.needed()) {
            let age = self.book.age_ns(stream, now);
            if self.book.state(stream) != StreamState::Up || age.is_none_or(|age| age > limit) {
                return Some((age.unwrap_or(i64::MAX), limit));
            }
        }
        let age = self.book.volume_age_ns(now).unwrap_or(i64::MAX);
        (age > p.stale_volume_ns).then_some((age, p.stale_volume_ns))
    }
}

impl Engine {
    /// Further streams that entries stand on, by config, and how old each may be, ns.
    pub(super) fn needed(&self) -> impl Iterator<Item = (StreamId, i64)> {
        StreamId::ALL.into_iter().zip(self.needed_ns).filter(|(_, limit)| *limit > 0)
    }
}

fn arithmetic(tranche: u8) -> Refused {
    Refused { rule: RiskRule::Arithmetic, tranche, value: 0, limit: 0 }
}
