//! Things that go wrong, made to happen.
//!
//! Thread: any.  Invariants: whatever strikes is counted; whatever is switched on is switched off again.

use super::World;
use super::happen::Due;
use super::lines::Door;
use super::trouble::{KINDS, Trouble};
use crate::sim::server::Fault;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};

/// The venue counts weight by the minute.
const MINUTE_NS: i64 = 60 * NANOS_PER_SEC;

/// How long a doubt about an order may last once everything works again: a request's deadline and the proof of absence.
const DOUBT_NS: i64 = 16 * NANOS_PER_SEC;

impl World {
    /// The plan's trouble of that number strikes.
    pub(super) fn strike(&mut self, number: usize) {
        let Some((_, kind, trouble)) = self.plan.troubles.get(number).cloned() else { return };
        self.tally.count(KINDS[kind].0);
        match trouble {
            Trouble::Venue(fault) => self.switch(&fault),
            Trouble::Spell(fault, for_ns, undo) => {
                self.venues.apply(&fault);
                self.queue.plan(self.now.plus(for_ns), Due::Undo(undo));
                self.be_ill_for(for_ns);
            }
            Trouble::Cut(door) => self.cut_all(door),
            Trouble::Mute(door, for_ns) => self.mute(door, for_ns),
            Trouble::Slow { extra_ns, for_ns } => {
                self.slow = (self.now.plus(for_ns), extra_ns);
                self.be_ill_for(for_ns);
            }
            Trouble::LoseEvents(count) => {
                self.to_lose = count;
                for conn in self.open_at(Door::Orders) {
                    let lost_ns = self.chance.between(500, 6_000) * NANOS_PER_MILLI;
                    self.queue.plan(self.now.plus(lost_ns), Due::Cut(conn));
                    self.be_ill_for(lost_ns);
                }
            }
            Trouble::RepeatEvents => {
                self.repeat = true;
                self.cut_all(Door::Orders);
            }
            Trouble::ClockStep(step_ns) => self.skew_ns += step_ns,
            Trouble::VenueRestart(for_ns) => {
                self.closed_until = self.now.plus(for_ns);
                self.be_ill_for(for_ns);
                self.cut_all(Door::Streams);
                self.cut_all(Door::Orders);
            }
            Trouble::RingFull(room, for_ns) => {
                if let Some(house) = &mut self.house {
                    house.ring_room = Some(room);
                }
                self.queue.plan(self.now.plus(for_ns), Due::RingEmpty);
                self.be_ill_for(for_ns);
            }
            Trouble::DiskFull(for_ns) => self.disk_full_until = self.now.plus(for_ns),
            Trouble::Crash { down_ns, after_writes: 0 } => self.queue.plan(self.now, Due::Die(down_ns)),
            Trouble::Crash { down_ns, after_writes } => self.crash_after = Some((after_writes, down_ns)),
            Trouble::Word(word) => self.say(word),
        }
        self.be_ill_for(0);
    }
    fn switch(&mut self, fault: &Fault) {
        match fault {
            Fault::ServerShutdown => self.announce_shutdown(),
            Fault::CutUserStream => self.cut_subscriptions(),
            fault => self.venues.apply(fault),
        }
        match fault {
            Fault::OtherWeight(_) => self.be_ill_for(MINUTE_NS - self.venue_time.0.rem_euclid(MINUTE_NS)),
            Fault::BanMs(ms) => self.be_ill_for(i64::from(*ms) * NANOS_PER_MILLI),
            _ => {}
        }
    }
    /// Something stands in the way for so long; what it began may last longer.
    pub(super) fn be_ill_for(&mut self, for_ns: i64) {
        self.ill_until = self.ill_until.max(self.now.plus(for_ns + DOUBT_NS));
    }
    fn cut_all(&mut self, door: Door) {
        self.open_at(door).into_iter().for_each(|conn| self.cut(conn));
    }
    fn mute(&mut self, door: Door, for_ns: i64) {
        for conn in self.open_at(door) {
            if let Some(line) = self.lines.get_mut(&conn) {
                line.mute_since = Some(self.now);
                self.queue.plan(self.now.plus(for_ns), Due::Cut(conn));
                self.be_ill_for(for_ns);
            }
        }
    }
    /// Whatever still waits to go wrong does not.
    pub(super) fn calm_down(&mut self) {
        use Fault as F;
        let off = [
            F::TimeoutExecuted(0),
            F::TimeoutNotExecuted(0),
            F::UnexpectedExecuted(0),
            F::UnavailableExecuted(0),
            F::TimeoutCanceled(0),
            F::SwallowAnswers(0),
            F::Unavailable(0),
            F::DelayAnswersMs(0),
            F::RefuseOco(0),
            F::DropDepthDiffs(0),
            F::EventsFirst(false),
            F::StallSlots(false),
            F::Trading,
        ];
        off.iter().for_each(|fault| self.venues.apply(fault));
        for stream in ["solusdt@bookTicker", "solusdt@depth@100ms"] {
            self.venues.apply(&F::UnmuteStream(stream.to_owned()));
        }
        (self.to_lose, self.repeat, self.slow.0, self.closed_until) = (0, false, self.now, self.now);
        (self.disk_full_until, self.crash_after) = (self.now, None);
        if let Some(house) = &mut self.house {
            house.ring_room = None;
        }
        self.be_ill_for(0);
    }
}
