//! What must hold in every world: the rules of money, looked at from the venue's side and from the engine's.
//!
//! Thread: any.  Invariants: nothing here changes a world; [`World::comes_to_rest`] works on a clone.

use crate::day::*;
use crate::moves::{Move, Serve};
use crate::venue::Part;
use crate::world::{World, ensure};
use sol_volume_bot::types::Time;
use sol_volume_bot::types::event::TimerId;
use sol_volume_bot::types::units::Qty;

/// Moves in which a world without faults must come to rest.
const REST_MOVES_MAX: usize = 600;

fn is_dust(coins: i64) -> bool {
    instrument().is_dust(px("154.90"), Qty(coins))
}

impl World {
    /// Rules that hold at any moment, whatever is on its way.
    pub fn check(&self) -> Result<(), String> {
        let status = self.engine.status();
        ensure(self.venue.selling() <= self.venue.coins, || {
            format!("{} for sale of {}", Qty(self.venue.selling()), Qty(self.venue.coins))
        })?;
        ensure(self.venue.stopped() <= self.venue.coins, || "two live stops for the same coins".into())?;
        ensure(status.position.0 == self.told_coins, || {
            format!("{} on the books, fills of {} told", status.position, Qty(self.told_coins))
        })?;
        let query = self.timers[TimerId::Query as usize];
        ensure(status.orders_unknown == 0 || query.is_some(), || "an unknown order that nobody will ask about".into())?;
        let awake = self.timers[TimerId::Exit as usize].or(query).is_some() || !self.is_quiet();
        ensure(!status.closing || awake, || "a close that nothing wakes".into())?;
        if self.connected && status.naked_since != Time::NONE && !status.closing {
            let since = status.naked_since.max(self.connected_at);
            let ns = self.now.since(since);
            ensure(ns < params().naked_ns_max, || format!("coins without a stop for {ns} ns, and no close"))?;
        }
        ensure(!(self.spotless && self.gave_up), || "coins given up without a fault of anybody's".into())?;
        let bare = self.venue.coins - self.venue.stopped();
        let knows = status.closing || status.naked_since != Time::NONE || is_dust(bare);
        let will_ask = query.is_some() || self.blind || !self.is_quiet();
        ensure(knows || will_ask, || format!("{} without a stop, unnoticed", Qty(bare)))
    }
    /// Nothing is on its way.
    fn is_quiet(&self) -> bool {
        self.connected && self.up.is_empty() && self.down.is_empty() && self.late.is_empty()
    }

    /// From here on the venue is honest and the line holds: everything is told, and the books are right.
    pub fn comes_to_rest(&self) -> Result<usize, String> {
        let mut world = self.clone();
        let mut has_looked = false;
        world.fallen = false;
        for moves in 0..REST_MOVES_MAX {
            let status = world.engine.status();
            let at_rest = status.orders_unknown == 0 && !status.closing && status.naked_since == Time::NONE;
            let mv = if !world.connected {
                Move::Up
            } else if !world.up.is_empty() {
                Move::Serve(Serve::Properly(Part::All))
            } else if !world.down.is_empty() {
                Move::Deliver(0)
            } else if !has_looked {
                has_looked = true;
                world.look_again()?;
                continue;
            } else if at_rest && world.late.is_empty() && status.tranche == 0 && world.is_settled() {
                world.assert_right()?;
                return Ok(moves);
            } else {
                Move::Timer
            };
            world.make(mv)?;
            world.check()?;
        }
        let status = world.engine.status();
        Err(format!("does not come to rest in {REST_MOVES_MAX} moves: {status:?} {:?}", world.believed))
    }
    /// The books of a world at rest are the venue's to the last unit, and its exits cover the coins exactly.
    fn assert_right(&self) -> Result<(), String> {
        let (status, coins) = (self.engine.status(), self.venue.coins);
        let live = self.venue.orders.iter().filter(|held| held.is_live()).count();
        ensure(status.position.0 == coins, || format!("{} on the books of {}", status.position, Qty(coins)))?;
        ensure(status.orders_open as usize == live, || format!("{} orders believed, {live} live", status.orders_open))?;
        let cash = status.equity.map(|row| row.cash.0);
        ensure(cash == Some(self.venue.cash), || format!("cash {cash:?} of {}", self.venue.cash))?;
        let lots = instrument().qty_floor(Qty(coins)).0;
        let wanted = if is_dust(lots) { 0 } else { lots };
        ensure(self.venue.stopped() == wanted, || {
            format!("stops for {} of {}", Qty(self.venue.stopped()), Qty(wanted))
        })?;
        let sold_out = !self.must_be_flat || is_dust(coins);
        ensure(sold_out, || format!("{} left after an exit of everything", Qty(coins)))
    }
}
