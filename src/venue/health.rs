//! Health of one stream: up with fresh data only, stale when it falls silent, down when nothing is connected.
//!
//! Thread: any.  Invariants: a state is told once, when it changes; only data brings a stream up, never an
//! acknowledgement or a ping.

use crate::types::event::{Event, EventKind, StreamState};
use crate::types::{StreamId, Time};

/// What one stream is doing.
#[derive(Clone, Copy, Debug)]
pub struct Health {
    stream: StreamId,
    state: StreamState,
    stale_after_ns: i64,
    last: Time,
}

/// An event of `stream`; the hot agent numbers it.
pub fn event(stream: StreamId, recv: Time, venue_time: Time, kind: EventKind) -> Event {
    Event { seq: 0, recv, at: Time::NONE, venue_time, stream, kind }
}

impl Health {
    /// Down; stale when silent for longer than `stale_after_ns`.
    pub fn new(stream: StreamId, stale_after_ns: i64) -> Self {
        Self { stream, state: StreamState::Down, stale_after_ns, last: Time::NONE }
    }

    /// Its state.
    pub fn state(&self) -> StreamState {
        self.state
    }

    /// What was missing beside the stream is there: up again, if the stream's own data is fresh.
    pub fn resume(&mut self, now: Time, emit: &mut impl FnMut(Event)) {
        let is_fresh = self.last != Time::NONE && now.since(self.last) <= self.stale_after_ns;
        if is_fresh && self.state != StreamState::Up {
            self.turn(StreamState::Up, now, emit);
        }
    }

    /// Data came that does not yet make the stream usable: a diff before its snapshot.
    pub fn touch(&mut self, recv: Time) {
        self.last = recv;
    }

    /// Fresh, usable data came; true if that brought the stream up.
    #[inline]
    pub fn fresh(&mut self, recv: Time, emit: &mut impl FnMut(Event)) -> bool {
        self.last = recv;
        let up = self.state != StreamState::Up;
        if up {
            self.turn(StreamState::Up, recv, emit);
        }
        up
    }

    /// Data came that shows a loss before it; told once until the stream is up again.
    pub fn gap(&mut self, recv: Time, emit: &mut impl FnMut(Event)) {
        self.last = recv;
        if self.state == StreamState::Up {
            self.turn(StreamState::Gap, recv, emit);
        }
    }

    /// The venue itself says that nothing of use will come: it refused, or it is under maintenance.
    pub fn stall(&mut self, now: Time, emit: &mut impl FnMut(Event)) {
        if matches!(self.state, StreamState::Up | StreamState::Down) {
            self.turn(StreamState::Stale, now, emit);
        }
    }

    /// Nothing is connected.
    pub fn down(&mut self, now: Time, emit: &mut impl FnMut(Event)) {
        self.last = Time::NONE;
        if self.state != StreamState::Down {
            self.turn(StreamState::Down, now, emit);
        }
    }

    /// Looks at the clock: silent for too long since the last data, or since `opened` if none came within
    /// `first_data_ns`.
    pub fn on_timer(&mut self, opened: Option<Time>, first_data_ns: i64, now: Time, emit: &mut impl FnMut(Event)) {
        let silent = match (self.state, opened) {
            (StreamState::Up, _) => now.since(self.last) > self.stale_after_ns,
            (StreamState::Down, Some(opened)) => self.last == Time::NONE && now.since(opened) > first_data_ns,
            _ => false,
        };
        if silent {
            self.turn(StreamState::Stale, now, emit);
        }
    }

    fn turn(&mut self, state: StreamState, at: Time, emit: &mut impl FnMut(Event)) {
        self.state = state;
        emit(event(self.stream, at, Time::NONE, EventKind::Stream(state)));
    }
}
