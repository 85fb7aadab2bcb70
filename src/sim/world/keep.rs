//! The ledger of a world, as the cold agent keeps it.
//!
//! Thread: any.  Invariants: rows wait until their transaction is through; while the disk refuses, entries are halted.

use super::World;
use super::happen::Due;
use super::truth::{Violation, broken};
use crate::ledger::Row;
use crate::types::Time;
use crate::types::event::Control;
use crate::types::record::{PauseReason, Record};
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};

/// Between two tries of a ledger that refused.
const RETRY_NS: i64 = NANOS_PER_SEC;

impl World {
    /// A record of the engine waits for the next transaction.
    pub(super) fn keep(&mut self, record: &Record, at: Time) {
        let Some(row) = Row::of_record(record, at) else { return };
        let Some(ledger) = &mut self.ledger else { return };
        ledger.push(row);
        if !self.flush_planned {
            self.flush_planned = true;
            let at = self.now.plus(self.chance.between(1, 30) * NANOS_PER_MILLI);
            self.queue.plan(at, Due::Flush);
        }
    }
    /// A word for the house, if it lives.
    pub(super) fn say(&mut self, word: Control) {
        let Some(house) = &mut self.house else { return };
        match word {
            Control::Kill => house.kill(self.now, &mut self.wishes),
            word => house.say(word, self.now),
        }
    }
    /// One transaction for all that waits.
    pub(super) fn flush(&mut self) -> Result<(), Violation> {
        if self.now < self.disk_full_until {
            if self.tally.of("disk refused") == 0 {
                self.say(Control::Halt(PauseReason::Journal));
            }
            self.tally.count("disk refused");
            self.queue.plan(self.now.plus(RETRY_NS), Due::Flush);
            return Ok(());
        }
        self.flush_planned = false;
        let Some(ledger) = &mut self.ledger else { return Ok(()) };
        ledger.flush().map(drop).map_err(|why| broken("the ledger takes every row", why.to_string()))
    }
}
