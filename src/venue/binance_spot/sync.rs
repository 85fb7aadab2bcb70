//! Book sync: a snapshot and a chain of diffs into one book, by the venue's rule for spot (`U` and `u`).
//!
//! Thread: any.  Invariants: a live book is whole: every update since its snapshot was applied in order and the sides
//! do not cross; at the first doubt the book is thrown away and a new snapshot asked for, at most so often.
//! Source: the venue's "how to manage a local order book", as corrected 2025-11-12.

use super::book::Book;
use super::decode::{DepthDiff, Level, Levels};
use super::retry::Retry;
use crate::types::Time;
use crate::types::time::NANOS_PER_SEC;

/// Levels a side asked of a snapshot: weight 50 of 6000 a minute.
pub const SNAPSHOT_LEVELS: usize = 1_000;
/// Diffs held while a snapshot is on its way: 51 s of the 100 ms stream.
const DIFFS_MAX: usize = 512;
/// Levels held in them, both sides.
const DIFF_LEVELS_MAX: usize = 65_536;
/// A book that lived so long had a good snapshot: the next request need not wait.
const SETTLED_NS: i64 = 60 * NANOS_PER_SEC;

/// What a diff did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The book moved on.
    Applied,
    /// Kept until the snapshot comes.
    Held,
    /// Known already.
    Old,
    /// Updates are missing before it, or it crossed the book: the book was thrown away, the diff begins a new one.
    Gap,
}

/// What a snapshot did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bridge {
    /// The book is live.
    Live,
    /// It ends before the first diff held: ask again.
    TooOld,
    /// The diffs held do not chain to it or cross it: all thrown away, ask again.
    Broken,
}

/// One held diff; its levels lie in [`Held::levels`], bids first.
#[derive(Clone, Copy, Debug)]
struct HeldDiff {
    first: u64,
    last: u64,
    bids: usize,
    asks: usize,
}

/// Diffs waiting for a snapshot; memory taken once.
#[derive(Debug)]
struct Held {
    diffs: Vec<HeldDiff>,
    levels: Vec<Level>,
}

impl Held {
    fn clear(&mut self) {
        self.diffs.clear();
        self.levels.clear();
    }

    /// Keeps a diff. If it does not follow the last one, or there is no room (the snapshot is too late for all
    /// before it), those before it go.
    fn push(&mut self, diff: DepthDiff, levels: &Levels) {
        let before = self.diffs.last().map_or(diff.first, |before| before.last);
        if diff.last <= before && !self.diffs.is_empty() {
            return;
        }
        let more = levels.bids.len() + levels.asks.len();
        let full = self.diffs.len() >= DIFFS_MAX || self.levels.len() + more > DIFF_LEVELS_MAX;
        if full || diff.first > before + 1 {
            self.clear();
        }
        let (bids, asks) = (levels.bids.len(), levels.asks.len());
        self.diffs.push(HeldDiff { first: diff.first, last: diff.last, bids, asks });
        self.levels.extend_from_slice(&levels.bids);
        self.levels.extend_from_slice(&levels.asks);
    }
}

/// A book and what it takes to keep it whole.
#[derive(Debug)]
pub struct BookSync {
    book: Book,
    live: bool,
    /// Diffs are held: always while not live, and while a live book waits for a wider snapshot.
    holding: bool,
    held: Held,
    request: Retry,
    live_since: Time,
}

impl Default for BookSync {
    fn default() -> Self {
        Self::new()
    }
}

impl BookSync {
    /// No book yet; takes all its memory.
    pub fn new() -> Self {
        let held = Held { diffs: Vec::with_capacity(DIFFS_MAX), levels: Vec::with_capacity(DIFF_LEVELS_MAX) };
        Self { book: Book::new(), live: false, holding: true, held, request: Retry::default(), live_since: Time::NONE }
    }

    /// The book, while it is whole.
    pub fn book(&self) -> Option<&Book> {
        self.live.then_some(&self.book)
    }

    /// First and last update of the diffs held: what a snapshot must reach. `None` if none is.
    pub fn held(&self) -> Option<(u64, u64)> {
        let (first, last) = (self.held.diffs.first()?, self.held.diffs.last()?);
        Some((first.first, last.last))
    }

    /// Forgets book and diffs: the stream broke off.
    pub fn restart(&mut self, now: Time) {
        self.hold(now);
        self.live = false;
    }

    /// Begins to hold diffs for a snapshot to come.
    fn hold(&mut self, now: Time) {
        if self.live && now.since(self.live_since) >= SETTLED_NS {
            self.request.succeeded();
        }
        self.holding = true;
        self.held.clear();
    }

    /// Takes the next diff of the stream; copies from several connections may come in any mix.
    pub fn on_diff(&mut self, diff: DepthDiff, levels: &Levels, now: Time) -> Step {
        if self.holding {
            self.held.push(diff, levels);
        }
        if !self.live {
            return Step::Held;
        }
        if diff.last <= self.book.update_id() {
            return Step::Old;
        }
        let follows = diff.first <= self.book.update_id() + 1;
        if follows {
            self.book.apply(&levels.bids, &levels.asks, diff.last);
        }
        if !follows || self.book.is_crossed() {
            self.restart(now);
            self.held.push(diff, levels);
            return Step::Gap;
        }
        if !self.holding && self.book.reaches_edge() {
            self.hold(now);
        }
        Step::Applied
    }

    /// Whether to ask for a snapshot now; if so, it counts as asked. Needs a held diff: what a snapshot must reach.
    pub fn snapshot_wanted(&mut self, now: Time) -> bool {
        self.holding && !self.held.diffs.is_empty() && self.request.ask(now)
    }

    /// The request failed: ask again after a pause that doubles each time.
    pub fn on_snapshot_failed(&mut self, now: Time) {
        self.request.failed(now);
    }

    /// Takes a snapshot that stands at `last`, levels best first, and bridges it to the diffs held.
    pub fn on_snapshot(&mut self, last: u64, levels: &Levels, now: Time) -> Bridge {
        self.request.failed(now); // even a good one buys no second request within the pause
        if self.live && last < self.book.update_id() && self.held.diffs.is_empty() {
            return Bridge::TooOld;
        }
        if self.held.diffs.first().is_some_and(|first| first.first > last.saturating_add(1)) {
            return Bridge::TooOld;
        }
        self.book.load(levels, last, SNAPSHOT_LEVELS);
        self.live = self.replay();
        if !self.live {
            self.restart(now);
            return Bridge::Broken;
        }
        self.holding = false;
        self.held.clear();
        self.live_since = now;
        Bridge::Live
    }

    /// Applies the held diffs to the snapshot just loaded; false if they do not chain or cross it.
    fn replay(&mut self) -> bool {
        let mut rest = self.held.levels.as_slice();
        for diff in &self.held.diffs {
            let Some((bids, others)) = rest.split_at_checked(diff.bids) else { return false };
            let Some((asks, others)) = others.split_at_checked(diff.asks) else { return false };
            rest = others;
            if diff.last <= self.book.update_id() {
                continue;
            }
            if diff.first > self.book.update_id() + 1 {
                return false;
            }
            self.book.apply(bids, asks, diff.last);
            if self.book.is_crossed() {
                return false;
            }
        }
        !self.book.is_crossed()
    }
}
