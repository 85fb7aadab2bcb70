//! Re-posting: on each new slot a resting take-profit from which the market has moved away gets its price anew.
//!
//! Thread: any.  Invariants: a pair is cancelled here only while it is whole and live; its successor is posted by
//! [`Engine::protect`] after the venue's proof. This is the path from slot to cancel that the benchmark times.

use super::Engine;
use super::book::moved_more_than;
use super::exits::SLOTS;
use crate::types::command::{Command, CommandBuf};
use crate::types::event::Slot;
use crate::types::record::{OrderStatus, Record, Repost};

impl Engine {
    /// Looks at both pairs; one shift of the market is answered once, by a move or by a recorded "kept".
    pub(super) fn repost(&mut self, slot: Slot, out: &mut CommandBuf) {
        let Some(mid) = self.book.mid() else { return };
        if self.close.is_some() || !self.can_send() {
            return;
        }
        for number in SLOTS {
            let Some(pair) = self.pair(number) else { continue };
            if pair.is_adopted {
                self.rebase_pair(number, mid);
                continue;
            }
            if !moved_more_than(pair.mid, mid, self.params.repost_shift) {
                continue;
            }
            let rests = |id| self.orders.get(id).is_some_and(|order| order.status == OrderStatus::Working);
            let id = pair.take_profit();
            if !rests(id) || !rests(pair.stop()) || self.orders.is_canceling(id) {
                continue;
            }
            let new_price = self.tp_price(pair.target);
            let kept = new_price == pair.tp_price && !self.params.repost_same_price;
            if !kept {
                self.orders.cancel_pair(pair.list, self.now, out);
            }
            self.rebase_pair(number, mid);
            let repost = Repost { slot: slot.slot, id, old_price: pair.tp_price, new_price, kept };
            out.push(Command::Record(Record::Repost(repost)));
        }
    }
}
