//! One endpoint among several: how far it trails whoever reports first, and what is wrong with it.
//!
//! Thread: any.  Invariants: every trouble is told once when it begins and once when it ends; notes wait in a ring of
//! fixed size, the oldest forgotten first.

use std::fmt;

use super::slots::SlotSettings;
use crate::types::Time;
use crate::types::time::NANOS_PER_MILLI;

/// Endpoints of one session at most.
pub const ENDPOINTS_MAX: usize = 8;
/// Connections of an endpoint at a time: the serving one, and the next during a roll-over.
const CONNECTIONS_MAX: usize = 4;
/// Weight of the past in the lag: one new report counts 1/8.
const LAG_SMOOTHING: i64 = 8;
/// The mean lag is kept in 1/256 of a slot.
const LAG_UNIT: i64 = 256;
/// Further behind than this is not a lag that a mean should remember.
const LAG_SLOTS_CAP: u64 = 1_000_000;
/// Notes that wait to be taken.
const NOTES_MAX: usize = 32;

/// What can be wrong with one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It reports slots well after another one does.
    Lagging,
    /// Connected, but its slots do not rise.
    Silent,
    /// Not connected.
    Down,
    /// Its slots are far ahead of what is possible, and nobody confirms them.
    Ahead,
}

impl Trouble {
    const ALL: [Trouble; 4] = [Trouble::Lagging, Trouble::Silent, Trouble::Down, Trouble::Ahead];

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Trouble::Lagging => ("lags", "has caught up"),
            Trouble::Silent => ("is silent", "speaks again"),
            Trouble::Down => ("is down", "delivers again"),
            Trouble::Ahead => ("reports slots that cannot be yet", "is believed again"),
        }
    }
}

/// A trouble began or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotNote {
    /// Of which endpoint.
    pub endpoint: usize,
    /// When.
    pub at: Time,
    /// What.
    pub trouble: Trouble,
    /// Began, or ended.
    pub began: bool,
    /// Mean lag then, slots.
    pub behind_slots: u64,
    /// Mean lag then, ns.
    pub behind_ns: i64,
}

impl fmt::Display for SlotNote {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (began, ended) = self.trouble.words();
        write!(out, "slot endpoint {} {}", self.endpoint, if self.began { began } else { ended })?;
        if self.trouble == Trouble::Lagging {
            write!(out, ": {} slots, {} ms behind", self.behind_slots, self.behind_ns / NANOS_PER_MILLI)?;
        }
        Ok(())
    }
}

/// Notes not taken yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    ring: [Option<SlotNote>; NOTES_MAX],
    taken: usize,
    told: usize,
}

impl Notes {
    pub(super) fn tell(&mut self, note: SlotNote) {
        if self.told - self.taken == NOTES_MAX {
            self.taken += 1; // nobody takes them: the newest matter most
        }
        if let Some(place) = self.ring.get_mut(self.told % NOTES_MAX) {
            *place = Some(note);
            self.told += 1;
        }
    }
    pub(super) fn take(&mut self) -> Option<SlotNote> {
        if self.taken == self.told {
            return None;
        }
        let note = self.ring.get_mut(self.taken % NOTES_MAX).and_then(Option::take);
        self.taken += 1;
        note
    }
}

/// An endpoint's standing, to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Connected.
    pub connected: bool,
    /// The last slot it reported, believed or not.
    pub slot: Option<u64>,
    /// Mean lag behind whoever reports first, slots, rounded down.
    pub behind_slots: u64,
    /// Mean lag behind whoever reports first, ns.
    pub behind_ns: i64,
    /// Slots it was the first to report.
    pub wins: u64,
    /// How often it went back below its own newest slot.
    pub regressions: u64,
    /// Reports that were too far ahead to be believed at once.
    pub doubted: u64,
}

/// A report, as its endpoint made it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) slot: u64,
    pub(super) at: Time,
}

/// The state of one endpoint.
#[derive(Clone, Debug, Default)]
pub(super) struct Endpoint {
    connections: [Option<u32>; CONNECTIONS_MAX],
    /// Its last report, believed or not.
    pub(super) said: Option<Said>,
    /// Its highest believed slot.
    newest: u64,
    /// When its own slots last rose, or it connected.
    moved_at: Time,
    behind: Option<(i64, i64)>,
    troubles: [bool; Trouble::ALL.len()],
    /// Reports in a row that were too far ahead, below the newest, and below it by more than a laggard can be.
    pub(super) ahead_row: u32,
    pub(super) below_row: u32,
    pub(super) contrary_row: u32,
    pub(super) wins: u64,
    regressions: u64,
    doubted: u64,
}

impl Endpoint {
    pub(super) fn is_connected(&self) -> bool {
        self.connections.iter().any(Option::is_some)
    }

    pub(super) fn open(&mut self, conn: u32, now: Time) {
        if !self.is_connected() {
            self.moved_at = now;
        }
        if let Some(free) = self.connections.iter_mut().find(|place| place.is_none()) {
            *free = Some(conn);
        }
    }

    /// True if that was its last connection.
    pub(super) fn close(&mut self, conn: u32) -> bool {
        self.connections.iter_mut().filter(|place| **place == Some(conn)).for_each(|place| *place = None);
        let is_last = !self.is_connected();
        if is_last {
            (self.said, self.newest, self.behind) = (None, 0, None);
            (self.ahead_row, self.below_row, self.contrary_row) = (0, 0, 0);
        }
        is_last
    }

    /// Notes a report. Output: whether it is above its own highest slot, and whether below.
    pub(super) fn say(&mut self, slot: u64, at: Time) -> (bool, bool) {
        self.said = Some(Said { slot, at });
        let fell = slot < self.newest;
        self.regressions += u64::from(fell);
        (slot > self.newest, fell)
    }

    /// The report was believed: its own slots rose.
    pub(super) fn rise_to(&mut self, slot: u64, at: Time) {
        (self.newest, self.moved_at) = (slot, at);
    }

    /// A lower line of slots proved to be the right one.
    pub(super) fn fall_to(&mut self, slot: u64) {
        self.newest = self.newest.min(slot);
        self.contrary_row = 0;
    }

    /// The report was not believed. It says that the endpoint lives, no more.
    pub(super) fn doubt(&mut self, at: Time) {
        self.moved_at = at;
        self.ahead_row += 1;
        self.doubted += 1;
    }

    /// Counts one report's distance behind the first one into the means.
    pub(super) fn trail(&mut self, slots: u64, behind_ns: i64) {
        let slots = i64::try_from(slots.min(LAG_SLOTS_CAP)).unwrap_or(i64::MAX).saturating_mul(LAG_UNIT);
        let behind_ns = behind_ns.max(0);
        self.behind = Some(match self.behind {
            None => (slots, behind_ns),
            Some((mean, mean_ns)) => {
                (mean + (slots - mean) / LAG_SMOOTHING, mean_ns + (behind_ns - mean_ns) / LAG_SMOOTHING)
            }
        });
    }

    /// Mean lag: whole slots, rounded down, and ns.
    pub(super) fn behind(&self) -> (u64, i64) {
        let (slots, behind_ns) = self.behind.unwrap_or_default();
        ((slots / LAG_UNIT).unsigned_abs(), behind_ns)
    }

    /// Whether it lags now: it begins above the limits and ends at half of them.
    pub(super) fn lags(&self, settings: &SlotSettings) -> bool {
        let (slots, behind_ns) = self.behind.unwrap_or_default();
        let share = if self.has(Trouble::Lagging) { 2 } else { 1 };
        let slots_max = i64::try_from(settings.lag_slots_max).unwrap_or(i64::MAX).saturating_mul(LAG_UNIT) / share;
        slots > slots_max || behind_ns > settings.lag_ns_max / share
    }

    pub(super) fn is_silent(&self, now: Time, silence_ns: i64) -> bool {
        self.is_connected() && now.since(self.moved_at) >= silence_ns
    }

    pub(super) fn has(&self, trouble: Trouble) -> bool {
        self.troubles.get(trouble as usize).copied().unwrap_or(false)
    }

    /// Sets a trouble. True if that is a change.
    pub(super) fn set(&mut self, trouble: Trouble, is_so: bool) -> bool {
        let Some(was) = self.troubles.get_mut(trouble as usize) else { return false };
        std::mem::replace(was, is_so) != is_so
    }

    pub(super) fn standing(&self) -> Standing {
        let (behind_slots, behind_ns) = self.behind();
        Standing {
            connected: self.is_connected(),
            slot: self.said.map(|said| said.slot),
            behind_slots,
            behind_ns,
            wins: self.wins,
            regressions: self.regressions,
            doubted: self.doubted,
        }
    }
}
