//! Why entries are paused: a set of reasons, each set and freed on its own, and the count of losing round trips.
//!
//! Thread: any.  Invariants: a pause stops entries only; cancels and risk-reducing exits pass. Every change is recorded,
//! so a restart finds the same set.

use crate::types::command::{Alert, Command, CommandBuf};
use crate::types::record::{PauseReason, Record};
use crate::types::setup::PauseSet;
use crate::types::units::Notional;

/// The pauses in force and the losing round trips in a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pauses {
    set: PauseSet,
    losses: u32,
}

/// Reasons that the operator's word does not lift: the daily limit ends with the day.
const KEPT_ON_RESUME: [PauseReason; 1] = [PauseReason::DailyLoss];

impl Pauses {
    /// As an earlier run left them.
    pub(super) fn new(set: PauseSet, losses: u32) -> Pauses {
        Pauses { set, losses }
    }
    /// What is paused.
    pub(super) fn set(&self) -> PauseSet {
        self.set
    }
    /// Losing round trips in a row.
    pub(super) fn losses(&self) -> u32 {
        self.losses
    }
    /// Pauses entries; says so once. `Venue` and `Exit` also wake somebody.
    pub(super) fn pause(&mut self, reason: PauseReason, out: &mut CommandBuf) {
        if self.set.has(reason) {
            return;
        }
        self.set = self.set.with(reason);
        out.push(Command::Record(Record::Pause { reason, on: true }));
        if matches!(reason, PauseReason::Venue | PauseReason::Exit | PauseReason::Journal) {
            out.push(Command::Alert(Alert::Fatal { reason }));
        }
        assert!(self.set.has(reason), "a pause took hold");
        assert!(!self.set.is_empty(), "a pause is a pause");
    }
    /// Frees one reason; says so if it was in force.
    pub(super) fn free(&mut self, reason: PauseReason, out: &mut CommandBuf) {
        if !self.set.has(reason) {
            return;
        }
        self.set = self.set.without(reason);
        out.push(Command::Record(Record::Pause { reason, on: false }));
        assert!(!self.set.has(reason), "a freed pause is gone");
    }
    /// The operator says go on: frees all but the daily limit and forgets the losses.
    pub(super) fn resume(&mut self, out: &mut CommandBuf) {
        for reason in self.set.iter() {
            if !KEPT_ON_RESUME.contains(&reason) {
                self.free(reason, out);
            }
        }
        self.count_losses(0, out);
        assert!(self.losses == 0, "resume forgets the losses");
    }
    /// Counts a round trip that ended with `pnl`; too many losses in a row pause.
    pub(super) fn round_trip(&mut self, pnl: Notional, losses_max: i64, out: &mut CommandBuf) {
        let losses = if pnl.0 < 0 { self.losses.saturating_add(1) } else { 0 };
        self.count_losses(losses, out);
        if losses_max > 0 && i64::from(losses) >= losses_max {
            self.pause(PauseReason::ConsecutiveLosses, out);
        }
        assert!(pnl.0 < 0 || self.losses == 0, "a round trip without loss resets the count");
    }
    fn count_losses(&mut self, losses: u32, out: &mut CommandBuf) {
        if losses != self.losses {
            self.losses = losses;
            out.push(Command::Record(Record::Losses(losses)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resume_frees_all_but_the_daily_limit() {
        let mut out = CommandBuf::new();
        let mut pauses = Pauses::new(PauseReason::ALL.into_iter().collect(), 4);
        pauses.resume(&mut out);
        assert_eq!(pauses.set().iter().collect::<Vec<_>>(), vec![PauseReason::DailyLoss]);
        assert_eq!(pauses.losses(), 0);
    }

    #[test]
    fn the_fourth_loss_in_a_row_pauses_and_a_win_starts_anew() {
        let mut out = CommandBuf::new();
        let mut pauses = Pauses::new(PauseSet::NONE, 0);
        for pnl in [-1, -1, -1, 1, -1, -1, -1] {
            pauses.round_trip(Notional(pnl), 4, &mut out);
        }
        assert!(pauses.set().is_empty());
        pauses.round_trip(Notional(-1), 4, &mut out);
        assert!(pauses.set().has(PauseReason::ConsecutiveLosses));
    }
}
