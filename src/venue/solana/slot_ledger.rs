//! The last slots, each seen, skipped or unknown; forks and steps back counted.
//!
//! Thread: any.  Invariants: memory is taken once; a report costs one step a slot it moves on, [`WINDOW`] at most; a
//! slot is called skipped only because a later block named an earlier parent.

use crate::types::event::Slot;
use crate::types::units::RATIO_SCALE;
use crate::types::{Ratio, Time};

/// Slots remembered: about a quarter of an hour.
pub const WINDOW: u64 = 4_096;

/// What is known of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlotMark {
    /// Nothing: not reported, and no parent spans it; or it lies outside the window.
    #[default]
    Unknown,
    /// A later block's parent is earlier: there is no block in it on that branch.
    Skipped,
    /// Reported, or named as the parent of a reported one.
    Seen,
}

/// A report that came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct First {
    /// When.
    pub at: Time,
    /// From which endpoint.
    pub by: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    mark: SlotMark,
    first: Option<First>,
}

/// What a report meant to the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The newest slot so far.
    Newest,
    /// Reported before.
    Again,
    /// Lower than the newest, and not reported before.
    Late,
}

/// How many slots of the window are what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotCounts {
    /// With a block.
    pub seen: u32,
    /// Without.
    pub skipped: u32,
    /// Not known.
    pub unknown: u32,
}

impl SlotCounts {
    /// Share of skipped slots among those that are known; `None` while none is.
    pub fn skip_rate(self) -> Option<Ratio> {
        let known = i64::from(self.seen) + i64::from(self.skipped);
        (i64::from(self.skipped) * RATIO_SCALE).checked_div(known).map(Ratio)
    }
}

/// The ring of the last [`WINDOW`] slots.
#[derive(Clone, Debug)]
pub struct SlotLedger {
    cells: Box<[Cell]>,
    start: u64,
    newest: Option<u64>,
    seen: u32,
    skipped: u32,
    forks: u64,
    regressions: u64,
}

impl Default for SlotLedger {
    fn default() -> SlotLedger {
        SlotLedger::new()
    }
}

impl SlotLedger {
    /// Empty; takes its memory.
    pub fn new() -> SlotLedger {
        SlotLedger {
            cells: vec![Cell::default(); WINDOW as usize].into_boxed_slice(),
            start: 0,
            newest: None,
            seen: 0,
            skipped: 0,
            forks: 0,
            regressions: 0,
        }
    }

    /// Books one report. A parent that is not below its slot says nothing.
    pub fn report(&mut self, told: Slot, by: usize, at: Time) -> Told {
        let first = Some(First { at, by });
        let Some(newest) = self.newest else {
            self.begin_at(told.slot);
            self.set(told.slot, SlotMark::Seen, first);
            return Told::Newest;
        };
        if told.slot > newest {
            self.forks += u64::from(told.parent < newest);
            self.advance(newest, told.slot);
            self.set(told.slot, SlotMark::Seen, first);
            self.span(told);
            return Told::Newest;
        }
        let known = self.first(told.slot).is_some();
        if known || told.slot < self.oldest() {
            return Told::Again;
        }
        self.forks += u64::from(self.mark(told.slot) == SlotMark::Skipped);
        self.set(told.slot, SlotMark::Seen, first);
        self.span(told);
        Told::Late
    }

    /// An endpoint went back below what it had reported itself.
    pub fn count_regression(&mut self) {
        self.regressions += 1;
    }

    /// Forgets all slots, because they were of another line; the counts of forks and steps back stay.
    pub fn forget(&mut self) {
        self.cells.fill(Cell::default());
        (self.newest, self.seen, self.skipped) = (None, 0, 0);
    }

    /// The newest slot reported.
    pub fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// What is known of a slot.
    pub fn mark(&self, slot: u64) -> SlotMark {
        self.cell(slot).map_or(SlotMark::Unknown, |cell| cell.mark)
    }

    /// Who reported a slot first; `None` if nobody did within the window.
    pub fn first(&self, slot: u64) -> Option<First> {
        self.cell(slot).and_then(|cell| cell.first)
    }

    /// How many slots of the window are what.
    pub fn counts(&self) -> SlotCounts {
        let all = self.newest.map_or(0, |newest| (newest - self.oldest()).saturating_add(1));
        let all = u32::try_from(all).unwrap_or(u32::MAX);
        SlotCounts {
            seen: self.seen,
            skipped: self.skipped,
            unknown: all.saturating_sub(self.seen).saturating_sub(self.skipped),
        }
    }

    /// Blocks that were built on an older one than the newest: each leaves a branch behind.
    pub fn forks(&self) -> u64 {
        self.forks
    }

    /// How often an endpoint went back below what it had reported itself.
    pub fn regressions(&self) -> u64 {
        self.regressions
    }

    fn oldest(&self) -> u64 {
        self.newest.map_or(0, |newest| newest.saturating_sub(WINDOW - 1).max(self.start))
    }

    fn begin_at(&mut self, slot: u64) {
        (self.start, self.newest) = (slot, Some(slot));
    }

    fn cell(&self, slot: u64) -> Option<&Cell> {
        let newest = self.newest?;
        let inside = slot <= newest && slot >= self.oldest();
        self.cells.get((slot % WINDOW) as usize).filter(|_| inside)
    }

    /// Moves the window on; the slots it newly covers are unknown.
    fn advance(&mut self, from: u64, to: u64) {
        if to - from >= WINDOW {
            self.forget();
            (self.start, self.newest) = (from + 1, Some(to));
            return;
        }
        for slot in from + 1..=to {
            self.set(slot, SlotMark::Unknown, None);
        }
        self.newest = Some(to);
    }

    fn set(&mut self, slot: u64, mark: SlotMark, first: Option<First>) {
        let Some(cell) = self.cells.get_mut((slot % WINDOW) as usize) else { return };
        let old = std::mem::replace(cell, Cell { mark, first });
        self.seen -= u32::from(old.mark == SlotMark::Seen);
        self.skipped -= u32::from(old.mark == SlotMark::Skipped);
        self.seen += u32::from(mark == SlotMark::Seen);
        self.skipped += u32::from(mark == SlotMark::Skipped);
    }

    /// What a block's parent says of the slots between the two, and of the parent itself.
    fn span(&mut self, told: Slot) {
        if told.parent >= told.slot {
            return;
        }
        let oldest = self.oldest();
        for slot in told.parent.saturating_add(1).max(oldest)..told.slot {
            if self.mark(slot) == SlotMark::Unknown {
                self.set(slot, SlotMark::Skipped, None);
            }
        }
        if told.parent >= oldest && self.mark(told.parent) != SlotMark::Seen {
            self.set(told.parent, SlotMark::Seen, None);
        }
    }
}
