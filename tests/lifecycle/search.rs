//! Every history to a depth: each world's next moves are tried in turn, worlds that go on alike are entered once.
//!
//! Thread: any.  Invariants: deterministic; a fault prints the moves that lead to it, and they repeat it.

use crate::moves::{Move, Request, Serve};
use crate::venue::Part;
use crate::world::{World, kind_of};
use sol_volume_bot::types::event::Control;
use sol_volume_bot::types::order::{ExecutionReport, Reason, Side};
use sol_volume_bot::types::{ClientOrderId, Leg};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Of so many new worlds one is also brought to rest: that takes a hundred moves.
const RESTS_ONE_IN: u64 = 16;

/// How far a search goes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Moves in a row.
    pub depth: u8,
    /// Faults among them; `u8::MAX` = any number, and news may come in any order.
    pub faults: u8,
}

/// What a search saw.
#[derive(Debug, Default)]
pub struct Seen {
    pub states: usize,
    pub transitions: usize,
    pub rests: usize,
    pub longest_rest: usize,
    pub moves: BTreeMap<&'static str, usize>,
}

pub struct Search {
    any: bool,
    visited: std::collections::HashMap<u64, u8>,
    pub seen: Seen,
    path: Vec<Move>,
}

/// Prints the path if the engine itself stops in the middle of it.
struct Witness<'a>(&'a [Move]);
impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the engine stopped after {}", listed(self.0));
        }
    }
}

fn listed(path: &[Move]) -> String {
    path.iter().map(|mv| format!("\n  {mv:?},")).collect()
}

impl Search {
    pub fn run(root: &World, bounds: Bounds) -> Seen {
        let any = bounds.faults == u8::MAX;
        let mut search = Search { any, visited: Default::default(), seen: Seen::default(), path: Vec::new() };
        let faults = if any { 0 } else { bounds.faults };
        search.visit(root, bounds.depth, faults);
        search.seen
    }
    fn fail(&self, fault: &str) -> ! {
        panic!("{fault}\nafter {}", listed(&self.path));
    }
    fn visit(&mut self, world: &World, depth: u8, faults: u8) {
        let key = world.key(!self.any, faults);
        let known = self.visited.insert(key, depth);
        if known.is_some_and(|known| known >= depth) {
            self.visited.insert(key, known.unwrap_or(depth));
            return;
        }
        self.seen.states += usize::from(known.is_none());
        if known.is_none() && key.is_multiple_of(RESTS_ONE_IN) {
            match world.comes_to_rest() {
                Ok(moves) => self.seen.longest_rest = self.seen.longest_rest.max(moves),
                Err(fault) => self.fail(&fault),
            }
            self.seen.rests += 1;
        }
        if depth == 0 {
            return;
        }
        for (mv, cost) in world.moves() {
            let is_fault = cost > 0;
            let cost = if self.any { 0 } else { cost };
            if cost > faults {
                continue;
            }
            let mut next = world.clone();
            next.spotless &= !is_fault;
            self.path.push(mv);
            self.seen.transitions += 1;
            *self.seen.moves.entry(name_of(&mv)).or_default() += 1;
            let outcome = {
                let witness = Witness(&self.path);
                let outcome = next.make(mv).and_then(|()| next.check());
                drop(witness);
                outcome
            };
            if let Err(fault) = outcome {
                self.fail(&fault);
            }
            self.visit(&next, depth - 1, faults - cost);
            self.path.pop();
        }
    }
}

pub fn name_of(mv: &Move) -> &'static str {
    match mv {
        Move::Serve(Serve::Properly(Part::Nothing)) => "served, nothing filled",
        Move::Serve(Serve::Properly(Part::Half)) => "served, half filled",
        Move::Serve(Serve::Properly(Part::All)) => "served",
        Move::Serve(Serve::Refuse(_)) => "refused",
        Move::Serve(Serve::ExecuteUnknown) => "executed, unknown",
        Move::Serve(Serve::LaterUnknown) => "unknown",
        Move::Deliver(_) => "delivered",
        Move::Repeat(_) => "repeated",
        Move::Lose(_) => "lost",
        Move::Late => "executed late",
        Move::Market(ClientOrderId { leg: Leg::Stop(_), .. }, _) => "stop filled",
        Move::Market(..) => "target filled",
        Move::StopFails(_) => "stop failed",
        Move::Timer => "timer",
        Move::Shift => "shift",
        Move::Fall => "fall",
        Move::Say(_) => "operator",
        Move::Cut { .. } => "cut",
        Move::Up => "up",
        Move::Crash { .. } => "crash",
    }
}

impl World {
    /// All that may happen next, with what it costs where faults are counted.
    pub fn moves(&self) -> Vec<(Move, u8)> {
        let mut moves = Vec::new();
        self.service(&mut moves);
        for (at, news) in self.down.iter().enumerate() {
            if self.down[..at].contains(news) {
                continue;
            }
            moves.push((Move::Deliver(at), u8::from(at > 0)));
            moves.push((Move::Repeat(at), 1));
            moves.push((Move::Lose(at), 1));
        }
        let waits = !self.up.is_empty() || !self.down.is_empty();
        moves.push((Move::Timer, u8::from(waits)));
        for held in self.venue.orders.iter().filter(|held| held.is_live() && held.side == Side::Sell) {
            moves.push((Move::Market(held.id, Part::All), 0));
            if !held.parted {
                moves.push((Move::Market(held.id, Part::Half), 0));
            }
            if matches!(held.id.leg, Leg::Stop(_)) && held.filled == 0 {
                moves.push((Move::StopFails(held.id), 1));
            }
        }
        if !self.late.is_empty() {
            moves.push((Move::Late, 0));
        }
        if self.connected {
            moves.push((Move::Cut { executed: false }, 1));
            moves.push((Move::Cut { executed: true }, 1));
        } else {
            moves.push((Move::Up, 0));
        }
        if !self.crashed {
            moves.push((Move::Crash { executed: false }, 1));
            if !self.up.is_empty() {
                moves.push((Move::Crash { executed: true }, 1));
            }
        }
        if !self.no_buys {
            moves.extend([Control::Flatten, Control::Kill, Control::Stop].map(|word| (Move::Say(word), 0)));
        }
        if !self.fallen {
            moves.push((Move::Shift, 1));
            moves.push((Move::Fall, 0));
        }
        moves
    }
    /// What the venue may do with the oldest request.
    fn service(&self, moves: &mut Vec<(Move, u8)>) {
        let Some(request) = self.up.first() else { return };
        let mut serve = |how, cost| moves.push((Move::Serve(how), cost));
        serve(Serve::Properly(Part::All), 0);
        serve(Serve::LaterUnknown, 1);
        match request {
            Request::Place(new) => {
                let is_close = u8::from(new.side == Side::Sell);
                serve(Serve::Properly(Part::Half), is_close);
                serve(Serve::Properly(Part::Nothing), is_close);
            }
            Request::Replace(_) => serve(Serve::Properly(Part::Half), 1),
            Request::Oco(_) => serve(Serve::Refuse(Reason::PriceMoved), 1),
            Request::Cancel(_) | Request::CancelList(_) | Request::CancelAll | Request::Query(_) => {}
        }
        if !matches!(request, Request::CancelAll | Request::Query(_)) {
            serve(Serve::Refuse(Reason::RateLimit), 1);
            serve(Serve::ExecuteUnknown, 1);
        }
    }

    /// The same number for worlds that go on alike. `ordered`: news come in order unless that is counted as a fault.
    pub fn key(&self, ordered: bool, faults: u8) -> u64 {
        let mut hash = DefaultHasher::new();
        let told: Vec<ClientOrderId> = self.down.iter().flat_map(|news| news.iter().map(|report| report.id)).collect();
        self.engine.fingerprint(&told).hash(&mut hash);
        (self.connected, self.shifted, self.fallen, self.no_buys, self.blind, self.crashed, self.spotless)
            .hash(&mut hash);
        (self.venue.coins, faults, self.must_be_flat).hash(&mut hash);
        for held in &self.venue.orders {
            let believed = self.believed.iter().find(|row| row.id == held.id);
            let known = believed.is_none_or(|row| row.status.is_done() && row.filled == held.filled);
            if held.is_live() || !known || told.contains(&held.id) {
                let name = self.relative(held.id);
                (name, held.status.name(), held.qty, held.filled, held.parted, held.reason).hash(&mut hash);
            }
        }
        for request in &self.up {
            self.put_request(request, &mut hash);
        }
        for (sent, request) in &self.late {
            self.now.since(*sent).hash(&mut hash);
            self.put_request(request, &mut hash);
        }
        let mut news: Vec<u64> = self.down.iter().map(|news| self.news_key(news)).collect();
        if !ordered {
            news.sort_unstable();
        }
        news.hash(&mut hash);
        hash.finish()
    }
    fn put_request(&self, request: &Request, hash: &mut DefaultHasher) {
        match request {
            Request::Place(new) => (0, self.relative(new.id), new.qty, new.price).hash(hash),
            Request::Oco(oco) => (1, self.relative(oco.stop), oco.qty, oco.tp_price).hash(hash),
            Request::Cancel(id) => (6, self.relative(*id)).hash(hash),
            Request::CancelList(list) => (2, self.relative(list.stop)).hash(hash),
            Request::Replace(both) => (3, self.relative(both.cancel.target), both.new.qty).hash(hash),
            Request::CancelAll => 4.hash(hash),
            Request::Query(id) => (5, self.relative(*id)).hash(hash),
        }
    }
    fn news_key(&self, news: &[ExecutionReport]) -> u64 {
        let mut hash = DefaultHasher::new();
        for report in news {
            let (name, is_told) = (self.relative(report.id), self.is_told(report.trade_id));
            (name, report.kind as u8, report.reason, report.last_qty, report.cum_qty).hash(&mut hash);
            (report.leaves_qty, is_told).hash(&mut hash);
        }
        hash.finish()
    }
    fn relative(&self, id: ClientOrderId) -> (u32, Leg, u16) {
        let (epoch, signal, newest) = self.newest[kind_of(id)];
        let back = if signal == id.signal { newest.wrapping_sub(id.attempt) } else { id.attempt };
        (epoch.wrapping_sub(id.epoch), id.leg, back)
    }
}
