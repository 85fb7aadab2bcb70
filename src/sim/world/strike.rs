//! Things that go wrong, made to happen.
//!
//! Thread: any.  Invariants: whatever strikes is counted; whatever is switched on is switched off again.

use super::World;
use super::happen::Due;
use super::lines::Door;
use super::plan::Trouble;
use crate::sim::server::Fault;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};

/// How long a doubt about an order may last once everything works again: a request's deadline and the proof of absence.
const DOUBT_NS: i64 = 16 * NANOS_PER_SEC;

impl World {
    /// The plan's trouble of that number strikes.
    pub(super) fn strike(&mut self, number: usize) {
        let Some((_, trouble)) = self.plan.troubles.get(number).cloned() else { return };
        self.ill_until = self.ill_until.max(self.now.plus(DOUBT_NS));
        match trouble {
            Trouble::Venue(Fault::ServerShutdown) => self.announce_shutdown(),
            Trouble::Venue(Fault::CutUserStream) => self.cut_subscriptions(),
            Trouble::Venue(fault) => self.venues.apply(&fault),
            Trouble::Cut(door) => self.open_at(door).into_iter().for_each(|conn| self.cut(conn)),
            Trouble::Mute(door, for_ns) => self.mute(door, for_ns),
            Trouble::Slow { extra_ns, for_ns } => self.slow = (self.now.plus(for_ns), extra_ns),
            Trouble::LoseEvents(count) => {
                self.to_lose = count;
                for conn in self.open_at(Door::Orders) {
                    let at = self.now.plus(self.chance.between(500, 6_000) * NANOS_PER_MILLI);
                    self.queue.plan(at, Due::Cut(conn));
                }
            }
            Trouble::RepeatEvents => self.repeat = true,
            Trouble::ClockStep(step_ns) => self.skew_ns += step_ns,
            Trouble::VenueRestart(for_ns) => {
                self.closed_until = self.now.plus(for_ns);
                for door in [Door::Streams, Door::Orders] {
                    self.open_at(door).into_iter().for_each(|conn| self.cut(conn));
                }
            }
            Trouble::OtherWeight(_) => {}
            Trouble::RingFull(room, for_ns) => {
                self.house.ring_room = Some(room);
                self.queue.plan(self.now.plus(for_ns), Due::Mend);
            }
            Trouble::DiskFull(for_ns) => self.disk_full_until = self.now.plus(for_ns),
            Trouble::Word(word) => self.house.say(word, self.now),
        }
    }
    fn mute(&mut self, door: Door, for_ns: i64) {
        for conn in self.open_at(door) {
            if let Some(line) = self.lines.get_mut(&conn) {
                line.mute_since = Some(self.now);
                self.queue.plan(self.now.plus(for_ns), Due::Cut(conn));
            }
        }
    }
    /// What was switched on for a while goes back.
    pub(super) fn mend(&mut self) {
        self.house.ring_room = None;
    }
}
