//! What the cold agent does when the disk does not take what it was given: journal and ledger.
//!
//! Runs on: the `cold` core, inside [`Cold`].  Invariants: entries halt before anything is lost; what waits is tried again
//! until it is taken; trading goes on only by the operator's word.

use super::{CHORES_NS, Cold};
use crate::ledger::LedgerError;
use crate::ledger::journal::JournalError;
use crate::telemetry::Line;
use crate::types::Time;
use crate::types::note::Lost;

impl Cold {
    /// The turn's entries to the journal. While the disk does not take them, or has no room for the next ones, entries
    /// are halted.
    pub(super) fn keep_journal(&mut self, now: Time) {
        let kept = self.sinks.journal.flush(now);
        self.judge_journal(kept, now);
    }

    /// The last entries, and the seal.
    pub(super) fn end_journal(&mut self, now: Time) {
        let ended = self.sinks.journal.finish(now);
        self.judge_journal(ended, now);
    }

    fn judge_journal(&mut self, kept: Result<(), JournalError>, now: Time) {
        match kept {
            Ok(()) if self.status.journal_fault.is_some() => {
                self.status.journal_fault = None;
                let lost = self.sinks.journal.dropped();
                let text = "the journal takes entries again; trading stays paused until `resume`";
                self.sinks.lines.put(&Line::info(now, "JOURNAL_OK", text).with("entries_lost", lost));
            }
            Ok(()) => {}
            Err(why) => {
                if self.status.journal_fault.is_none() {
                    let waiting = self.sinks.journal.pending();
                    let line = Line::error(now, "FATAL", format!("journal: {why}")).with("bytes_waiting", waiting);
                    self.sinks.lines.put(&line);
                    self.halt = true;
                }
                self.status.journal_fault = Some(why.to_string());
            }
        }
    }

    /// The ring from the engine was full: what it did meanwhile is known to the venue, not to us.
    pub(super) fn on_lost(&mut self, lost: Lost) {
        self.sinks.journal.lost(lost);
        let text = "the cold side did not keep up: events are missing in the journal, rows may be in the ledger";
        let line = Line::error(self.at, "FATAL", text).with("events", lost.events).with("notes", lost.notes);
        self.sinks.lines.put(&line);
    }

    /// One transaction for all rows of the turn. While it fails, entries are halted and the rows wait.
    pub(super) fn keep(&mut self, now: Time) {
        if now < self.due.ledger {
            return;
        }
        match self.sinks.ledger.flush() {
            Ok(_) if self.status.ledger_fault.is_some() => {
                self.status.ledger_fault = None;
                let line =
                    Line::info(now, "LEDGER_OK", "the ledger takes rows again; entries stay paused until `resume`");
                self.sinks.lines.put(&line);
            }
            Ok(_) => {}
            Err(why) => {
                self.due.ledger = now.plus(CHORES_NS);
                self.on_ledger_fault(&why, now);
            }
        }
    }

    fn on_ledger_fault(&mut self, why: &LedgerError, now: Time) {
        if self.status.ledger_fault.is_none() {
            let waiting = self.sinks.ledger.pending();
            self.sinks.lines.put(&Line::error(now, "FATAL", format!("ledger: {why}")).with("rows_waiting", waiting));
            self.halt = true;
        }
        self.status.ledger_fault = Some(why.to_string());
    }
}
