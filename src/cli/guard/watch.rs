//! Whether the engine still lives: silence, ends and losses, told from one look after the other.
//!
//! Thread: any; pure.  Invariants: an engine is judged only by a guard that was itself awake; one silence is told once,
//! and after a beat the next one is waited for with the whole patience.

use crate::sys::heartbeat::{Reading, RunState};
use crate::sys::process::ProcessId;
use crate::types::Ratio;
use crate::types::time::NANOS_PER_MILLI;
use crate::types::units::RATIO_SCALE;

/// Looks further apart than this mean that the guard itself was held up.
const AWAKE_NS: i64 = 400 * NANOS_PER_MILLI;
/// How long the guard must have been awake before it believes that somebody else is not.
const STEADY_NS: i64 = 250 * NANOS_PER_MILLI;

/// What one look at the page gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// No engine since the last clean end.
    Nothing,
    /// A page; `alive` = its process exists.
    Page {
        /// What it says.
        reading: Reading,
        /// Whether the process that wrote it exists.
        alive: bool,
    },
    /// A page that should be there is gone or cannot be read.
    Unreadable,
}

/// Why something must be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The process is there and does not turn.
    Frozen,
    /// The process is gone and did not end cleanly.
    Dead,
    /// It ended with orders unanswered or coins without a stop.
    Unsettled,
    /// Its page is gone.
    Lost,
    /// It lost more of the day's first equity than it may.
    OverLoss,
}

impl Cause {
    /// In log lines.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Frozen => "frozen",
            Cause::Dead => "dead",
            Cause::Unsettled => "ended_unsettled",
            Cause::Lost => "page_lost",
            Cause::OverLoss => "over_loss_limit",
        }
    }
}

/// What a look comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to do.
    Fine,
    /// Silent for half the patience: time to learn what would have to be cancelled.
    Suspect,
    /// Something must be done, now; told once. `due_ns` is when patience ended, on the shared clock.
    Act {
        /// Why.
        cause: Cause,
        /// When patience ended.
        due_ns: i64,
    },
    /// The incident goes on.
    Waiting,
    /// The incident is over: the engine lives again, or a new one does.
    Over,
}

/// A run of an engine; `None` = nobody knows which.
type Run = Option<(ProcessId, u32)>;

/// An incident: whose, and its last beat.
#[derive(Clone, Copy, Debug)]
struct Silence {
    run: Run,
    since_ns: i64,
}

/// The judge.
#[derive(Debug)]
pub struct Watch {
    patience_ns: i64,
    loss_limit: Ratio,
    looked_ns: i64,
    /// Since when the guard itself was never held up.
    awake_since_ns: i64,
    /// Since when there is nothing to read.
    blind_since_ns: Option<i64>,
    /// Since when the loss is over its limit.
    over_since_ns: Option<i64>,
    incident: Option<Silence>,
}

impl Watch {
    /// Has looked at nothing yet. `loss_limit` zero = losses are not watched.
    pub fn new(patience_ns: i64, loss_limit: Ratio, now_ns: i64) -> Watch {
        Watch {
            patience_ns,
            loss_limit,
            looked_ns: now_ns,
            awake_since_ns: now_ns,
            blind_since_ns: None,
            over_since_ns: None,
            incident: None,
        }
    }

    /// Judges one look at `now_ns` of the shared clock.
    pub fn look(&mut self, now_ns: i64, sight: Sight) -> Verdict {
        if now_ns - self.looked_ns > AWAKE_NS {
            self.awake_since_ns = now_ns;
        }
        self.looked_ns = now_ns;
        if sight != Sight::Unreadable {
            self.blind_since_ns = None;
        }
        match sight {
            Sight::Nothing => self.on_no_engine(),
            Sight::Page { reading, .. } if reading.state == RunState::EndedClean => self.on_no_engine(),
            Sight::Page { reading, alive } => self.on_page(now_ns, &reading, alive),
            Sight::Unreadable => {
                let since_ns = *self.blind_since_ns.get_or_insert(now_ns);
                self.on_silence(now_ns, since_ns, None, Cause::Lost)
            }
        }
    }

    /// When to look next, at the latest.
    pub fn next_look_ns(&self, sight: Sight) -> i64 {
        let soon = self.looked_ns + STEADY_NS;
        match sight {
            Sight::Page { reading, .. } if self.incident.is_none() => {
                let beat_ns = beat_ns(&reading);
                let due = [beat_ns + self.patience_ns / 2, beat_ns + self.patience_ns];
                due.into_iter().filter(|at| *at > self.looked_ns).fold(soon, i64::min)
            }
            _ => soon,
        }
    }

    fn on_no_engine(&mut self) -> Verdict {
        self.over_since_ns = None;
        if self.incident.take().is_some() { Verdict::Over } else { Verdict::Fine }
    }

    fn on_page(&mut self, now_ns: i64, reading: &Reading, alive: bool) -> Verdict {
        let run = Some((reading.process, reading.epoch));
        if self.is_over(beat_ns(reading), run) {
            (self.incident, self.over_since_ns) = (None, None);
            return Verdict::Over;
        }
        if now_ns - beat_ns(reading) < self.patience_ns / 2 {
            return self.on_living(now_ns, reading);
        }
        let cause = match (reading.state, alive) {
            (RunState::EndedUnsettled, _) => Cause::Unsettled,
            (_, true) => Cause::Frozen,
            (_, false) => Cause::Dead,
        };
        self.on_silence(now_ns, beat_ns(reading), run, cause)
    }

    /// The incident is one silence: a beat ends it, whoever beats.
    fn is_over(&self, beat_ns: i64, run: Run) -> bool {
        self.incident.is_some_and(|incident| incident.run != run || beat_ns > incident.since_ns)
    }

    fn on_silence(&mut self, now_ns: i64, since_ns: i64, run: Run, cause: Cause) -> Verdict {
        if self.incident.is_some() {
            return Verdict::Waiting;
        }
        let awake_ns = now_ns - self.awake_since_ns;
        if now_ns - since_ns < self.patience_ns || awake_ns < STEADY_NS.min(self.patience_ns) {
            return Verdict::Suspect;
        }
        self.incident = Some(Silence { run, since_ns });
        Verdict::Act { cause, due_ns: since_ns + self.patience_ns }
    }

    fn on_living(&mut self, now_ns: i64, reading: &Reading) -> Verdict {
        if !self.is_over_loss(reading) || reading.state != RunState::Trading {
            self.over_since_ns = None;
            return Verdict::Fine;
        }
        let since_ns = *self.over_since_ns.get_or_insert(now_ns);
        if now_ns - since_ns < self.patience_ns {
            return Verdict::Suspect;
        }
        self.incident = Some(Silence { run: Some((reading.process, reading.epoch)), since_ns: beat_ns(reading) });
        Verdict::Act { cause: Cause::OverLoss, due_ns: since_ns + self.patience_ns }
    }

    fn is_over_loss(&self, reading: &Reading) -> bool {
        let Some(figures) = reading.figures else { return false };
        let known = self.loss_limit > Ratio::ZERO && figures.equity.0 > 0 && figures.day_equity.0 > 0;
        let lost = i128::from(figures.day_equity.0) - i128::from(figures.equity.0);
        known && lost * i128::from(RATIO_SCALE) >= i128::from(figures.day_equity.0) * i128::from(self.loss_limit.0)
    }
}

/// When both agents had turned last.
fn beat_ns(reading: &Reading) -> i64 {
    reading.hot_ns.min(reading.gateway_ns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::heartbeat::Figures;
    use crate::types::{Notional, Qty};

    const PATIENCE_NS: i64 = 2_000 * NANOS_PER_MILLI;

    fn ms(ms: i64) -> i64 {
        ms * NANOS_PER_MILLI
    }
    fn reading(beat_ms: i64) -> Reading {
        Reading {
            process: ProcessId { pid: 7, born_ticks: 1 },
            epoch: 3,
            state: RunState::Trading,
            hot_ns: ms(beat_ms),
            gateway_ns: ms(beat_ms + 1),
            figures: None,
        }
    }
    fn page(beat_ms: i64) -> Sight {
        Sight::Page { reading: reading(beat_ms), alive: true }
    }
    /// Looks every 100 ms from `from` to `to`; the verdicts that are not like the one before, with their time.
    fn run(watch: &mut Watch, (from, to): (i64, i64), sight: impl Fn(i64) -> Sight) -> Vec<(i64, Verdict)> {
        let mut told: Vec<(i64, Verdict)> = Vec::new();
        for at in (from..=to).step_by(100) {
            let verdict = watch.look(ms(at), sight(at));
            if told.last().map(|(_, last)| *last) != Some(verdict) {
                told.push((at, verdict));
            }
        }
        told
    }
    fn act(cause: Cause, due_ms: i64) -> Verdict {
        Verdict::Act { cause, due_ns: ms(due_ms) }
    }

    #[test]
    fn silence_is_suspect_at_half_the_patience_and_acted_on_once_at_its_end() {
        let mut watch = Watch::new(PATIENCE_NS, Ratio::ZERO, 0);
        let told = run(&mut watch, (0, 9_000), |at| page(at.min(1_000)));
        let due = act(Cause::Frozen, 3_000);
        assert_eq!(told, [(0, Verdict::Fine), (2_000, Verdict::Suspect), (3_000, due), (3_100, Verdict::Waiting)]);
    }

    #[test]
    fn one_silent_agent_of_two_is_silence() {
        let mut watch = Watch::new(PATIENCE_NS, Ratio::ZERO, 0);
        let half = |at: i64| Sight::Page { reading: Reading { hot_ns: 0, ..reading(at) }, alive: true };
        assert!(run(&mut watch, (0, 3_000), half).contains(&(2_000, act(Cause::Frozen, 2_000))));
    }

    #[test]
    fn a_beat_ends_the_incident_and_the_next_silence_is_another_one() {
        let mut watch = Watch::new(PATIENCE_NS, Ratio::ZERO, 0);
        run(&mut watch, (0, 4_000), |_| page(0));
        let told = run(&mut watch, (4_100, 9_000), |at| page(if at < 5_000 { at } else { 5_000 }));
        let due = act(Cause::Frozen, 7_000);
        let silent = [(6_000, Verdict::Suspect), (7_000, due), (7_100, Verdict::Waiting)];
        assert_eq!(told[..2], [(4_100, Verdict::Over), (4_200, Verdict::Fine)]);
        assert_eq!(told[2..], silent);
        // It thawed and froze again between two looks.
        let mut missed = Watch::new(PATIENCE_NS, Ratio::ZERO, 0);
        run(&mut missed, (0, 4_000), |_| page(0));
        assert_eq!(run(&mut missed, (9_000, 9_400), |_| page(6_000))[0], (9_000, Verdict::Over));
        assert!(run(&mut missed, (9_500, 9_600), |_| page(6_000)).contains(&(9_500, Verdict::Waiting)));
    }

    #[test]
    fn a_dead_engine_and_one_that_ended_unsettled_are_told_apart_and_a_clean_end_is_nothing() {
        for (state, alive, cause) in [
            (RunState::Trading, false, Some(Cause::Dead)),
            (RunState::Stopping, true, Some(Cause::Frozen)),
            (RunState::EndedUnsettled, false, Some(Cause::Unsettled)),
            (RunState::EndedClean, false, None),
        ] {
            let mut watch = Watch::new(PATIENCE_NS, Ratio::ZERO, 0);
            let ended = |_| Sight::Page { reading: Reading { state, ..reading(0) }, alive };
            let told = run(&mut watch, (0, 5_000), ended);
            let acted = told.iter().find_map(|(_, verdict)| match verdict {
                Verdict::Act { cause, .. } => Some(*cause),
                _ => None,
            });
            assert_eq!(acted, cause, "{state:?}");
        }
        let mut watch = Watch::new(PATIENCE_NS, Ratio::ZERO, 0);
        assert_eq!(run(&mut watch, (0, 5_000), |_| Sight::Nothing), [(0, Verdict::Fine)]);
        assert!(run(&mut watch, (5_100, 8_000), |_| Sight::Unreadable).contains(&(7_100, act(Cause::Lost, 7_100))));
    }

    #[test]
    fn a_new_engine_ends_the_incident_at_once_and_has_its_own() {
        let mut watch = Watch::new(PATIENCE_NS, Ratio::ZERO, 0);
        run(&mut watch, (0, 4_000), |_| page(0));
        let next = |beat: i64| Sight::Page { reading: Reading { epoch: 4, ..reading(beat) }, alive: true };
        assert_eq!(watch.look(ms(4_100), next(4_100)), Verdict::Over);
        let told = run(&mut watch, (4_200, 8_000), |at| next(at.min(5_000)));
        assert!(told.contains(&(7_000, act(Cause::Frozen, 7_000))), "{told:?}");
    }

    #[test]
    fn a_guard_that_was_held_up_itself_gives_the_engine_time_to_show_that_it_lives() {
        let mut watch = Watch::new(PATIENCE_NS, Ratio::ZERO, 0);
        assert_eq!(watch.look(ms(100), page(100)), Verdict::Fine);
        // The host was paused for a minute: page and guard wake together.
        assert_eq!(watch.look(ms(60_000), page(110)), Verdict::Suspect);
        assert_eq!(watch.look(ms(60_020), page(60_015)), Verdict::Fine);
        // And one that starts beside a frozen engine does not wait for another patience.
        let mut fresh = Watch::new(PATIENCE_NS, Ratio::ZERO, ms(90_000));
        let told = run(&mut fresh, (90_000, 91_000), |_| page(60_015));
        assert_eq!(told[1], (90_300, act(Cause::Frozen, 62_015)));
    }

    #[test]
    fn a_loss_over_the_limit_is_acted_on_when_it_lasts_for_the_patience() {
        let losing = |at: i64, equity: i64| {
            let figures = Figures { equity: Notional(equity), day_equity: Notional(10_000), ..Figures::default() };
            let figures = Some(Figures { position: Qty(1), ..figures });
            Sight::Page { reading: Reading { figures, ..reading(at) }, alive: true }
        };
        let limit = Ratio(RATIO_SCALE / 10);
        let mut watch = Watch::new(PATIENCE_NS, limit, 0);
        assert_eq!(run(&mut watch, (0, 5_000), |at| losing(at, 9_001)), [(0, Verdict::Fine)], "below the limit");
        let glitch = run(&mut watch, (5_100, 9_000), |at| losing(at, if at < 6_000 { 9_000 } else { 9_500 }));
        assert_eq!(glitch, [(5_100, Verdict::Suspect), (6_000, Verdict::Fine)]);
        let told = run(&mut watch, (9_100, 15_000), |at| losing(at, 9_000));
        assert_eq!(told[1], (11_100, act(Cause::OverLoss, 11_100)));
        let mut off = Watch::new(PATIENCE_NS, Ratio::ZERO, 0);
        assert_eq!(run(&mut off, (0, 5_000), |at| losing(at, 1)), [(0, Verdict::Fine)], "not watched");
    }

    #[test]
    fn the_next_look_is_never_later_than_the_end_of_the_patience() {
        let mut watch = Watch::new(PATIENCE_NS, Ratio::ZERO, 0);
        watch.look(ms(1_900), page(0));
        assert_eq!(watch.next_look_ns(page(0)), ms(2_000));
        watch.look(ms(900), page(0));
        assert_eq!(watch.next_look_ns(page(0)), ms(1_000), "half the patience");
        assert_eq!(watch.next_look_ns(Sight::Nothing), ms(900) + STEADY_NS);
    }
}
