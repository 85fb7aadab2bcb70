//! The venues' end of every connection: requests answered, news told, as `sim::server` does it over sockets.
//!
//! Thread: any.  Invariants: an answer and the account events of its request are sent in the venue's order; a fault
//! changes what arrives, never what happened.

use super::World;
use super::happen::Due;
use super::lines::{Door, Far};
use crate::sim::server::binance::shutdown_notice;
use crate::types::Time;

/// Account events that a venue may repeat.
const REPEATED_MAX: usize = 4;

impl World {
    /// The venue's clock: it may step, but never falls.
    pub(super) fn venue_now(&mut self) -> Time {
        self.venue_time = self.venue_time.max(self.now.plus(self.skew_ns));
        self.venue_time
    }

    /// Lets the market move, and plans its next move.
    pub(super) fn move_market(&mut self) {
        let now = self.venue_now();
        self.venues.advance(now);
        let next = self.venues.next_deadline().plus(-self.skew_ns).max(self.now.plus(1));
        self.queue.plan(next, Due::Market);
        self.publish();
    }

    /// A text frame of ours arrives.
    pub(super) fn serve(&mut self, conn: u32, text: &[u8]) {
        let now = self.venue_now();
        let text = String::from_utf8_lossy(text).into_owned();
        let Some(line) = self.lines.get_mut(&conn).filter(|line| line.mute_since.is_none()) else { return };
        match &mut line.far {
            None => {} // the venue has closed it: lost
            Some(Far::Streams(session)) => {
                let answer = session.answer(&text);
                self.send_down(conn, answer);
            }
            Some(Far::Slots(session)) => {
                let answer = session.answer(&text, self.venues.slot);
                self.send_down(conn, answer);
            }
            Some(Far::Orders(session)) => {
                let answer = self.venues.venue.ws_api(session, &text, now);
                let is_subscribed = session.is_subscribed();
                self.reply(conn, answer.frame, answer.trading);
                if is_subscribed && std::mem::take(&mut self.repeat) {
                    self.repeat_events();
                }
            }
        }
        self.publish();
    }

    /// Answers now or late, before or after the events that the request caused.
    fn reply(&mut self, conn: u32, frame: Option<String>, trading: bool) {
        let events = if trading { self.venues.venue.take_account_events() } else { Vec::new() };
        let delay_ns = self.venues.venue.switches.delay_ns;
        if self.venues.venue.switches.events_first || (trading && delay_ns > 0) {
            self.tell_account(events);
            match frame {
                Some(frame) if trading && delay_ns > 0 => {
                    self.tally.count("answer delayed");
                    self.queue.plan(self.now.plus(delay_ns), Due::LateAnswer(conn, frame));
                }
                Some(frame) => self.send_down(conn, frame),
                None => {}
            }
            return;
        }
        if let Some(frame) = frame {
            self.send_down(conn, frame);
        }
        self.tell_account(events);
    }

    /// Sends what the market, the account and Solana have to say.
    pub(super) fn publish(&mut self) {
        let now = self.venue_now();
        let public = self.venues.venue.take_public(now);
        let events = self.venues.venue.take_account_events();
        let streams = self.open_at(Door::Streams);
        for conn in streams {
            let frames: Vec<String> = match self.lines.get(&conn).map(|line| &line.far) {
                Some(Some(Far::Streams(session))) => {
                    public.iter().filter_map(|(name, payload)| session.frame(name, payload)).collect()
                }
                _ => Vec::new(),
            };
            frames.into_iter().for_each(|frame| self.send_down(conn, frame));
        }
        self.tell_account(events);
        self.tell_slots();
    }
    fn tell_slots(&mut self) {
        let slot = self.venues.slot;
        if self.slot_told == slot {
            return;
        }
        self.slot_told = slot;
        if self.venues.slots_stalled {
            return;
        }
        for conn in self.open_at(Door::Slots) {
            let frames: Vec<String> = match self.lines.get(&conn).map(|line| &line.far) {
                Some(Some(Far::Slots(session))) => session.notify(slot).collect(),
                _ => Vec::new(),
            };
            frames.into_iter().for_each(|frame| self.send_down(conn, frame));
        }
    }
    /// Account events to every subscribed connection, but for those that get lost.
    fn tell_account(&mut self, events: Vec<String>) {
        for event in events {
            if self.to_lose > 0 {
                self.to_lose -= 1;
                self.tally.count("user event lost");
            } else {
                self.tell_event(&event);
            }
            if self.told.len() == REPEATED_MAX {
                self.told.remove(0);
            }
            self.told.push(event);
        }
    }
    fn tell_event(&mut self, event: &str) {
        for conn in self.open_at(Door::Orders) {
            let frame = match self.lines.get(&conn).map(|line| &line.far) {
                Some(Some(Far::Orders(session))) => session.frame(event),
                _ => None,
            };
            if let Some(frame) = frame {
                self.send_down(conn, frame);
            }
        }
    }
    fn repeat_events(&mut self) {
        for event in self.told.clone() {
            self.tally.count("user event repeated");
            self.tell_event(&event);
        }
    }

    /// Connections of a door that the venue holds open.
    pub(super) fn open_at(&self, door: Door) -> Vec<u32> {
        let open = self.lines.iter().filter(|(_, line)| line.door == door && line.far.is_some());
        open.map(|(conn, _)| *conn).collect()
    }

    /// A frame of the venue sets out.
    pub(super) fn send_down(&mut self, conn: u32, frame: String) {
        let travel_ns = self.travel_ns();
        let Some(line) = self.lines.get_mut(&conn).filter(|line| line.mute_since.is_none()) else { return };
        let at = line.down(self.now, travel_ns);
        self.queue.plan(at, Due::ToHouse(conn, frame));
    }

    /// Announces the venue's end on every Binance connection, then cuts them.
    pub(super) fn announce_shutdown(&mut self) {
        let now = self.venue_now();
        for door in [Door::Streams, Door::Orders] {
            for conn in self.open_at(door) {
                let notice = match self.lines.get(&conn).map(|line| &line.far) {
                    Some(Some(Far::Streams(session))) => shutdown_notice(session, now),
                    _ => crate::sim::server::binance::api_shutdown_notice(now),
                };
                self.send_down(conn, notice);
                let patience_ns = self.chance.between(0, 3_000) * 1_000_000;
                self.queue.plan(self.now.plus(patience_ns), Due::Cut(conn));
            }
        }
    }
    /// Ends every subscription to the account's events.
    pub(super) fn cut_subscriptions(&mut self) {
        let now = self.venue_now();
        for conn in self.open_at(Door::Orders) {
            let frame = match self.lines.get_mut(&conn).map(|line| &mut line.far) {
                Some(Some(Far::Orders(session))) => session.cut_subscription(now),
                _ => None,
            };
            if let Some(frame) = frame {
                self.send_down(conn, frame);
            }
        }
    }
}
