//! The hands of these tests: a session, frames, and what came out.

use sol_volume_bot::types::event::StreamState;
use sol_volume_bot::types::time::NANOS_PER_MILLI;
use sol_volume_bot::types::{EventKind, Time};
use sol_volume_bot::venue::solana::{FrameKind, SUBSCRIBE, SlotNote, SlotSession, SlotSettings};

pub const MS: i64 = NANOS_PER_MILLI;

/// A notification of `slot` on top of `parent`.
pub fn frame_on(slot: u64, parent: u64) -> Vec<u8> {
    let root = slot.saturating_sub(32);
    let result = format!(r#"{{"parent":{parent},"root":{root},"slot":{slot}}}"#);
    format!(r#"{{"jsonrpc":"2.0","method":"slotNotification","params":{{"result":{result},"subscription":7}}}}"#).into()
}

/// A session and the time its events are told at.
pub struct Desk {
    pub session: SlotSession,
    /// Everything that came out, in order.
    pub out: Vec<EventKind>,
}

impl Desk {
    /// `endpoints` of them, each with connection 1 open since time 0.
    pub fn open(endpoints: usize) -> Desk {
        let session = SlotSession::with(SlotSettings { endpoints, ..SlotSettings::default() });
        let mut desk = Desk { session, out: Vec::new() };
        (0..endpoints).for_each(|endpoint| desk.connect(endpoint, 1, 0));
        desk
    }

    pub fn connect(&mut self, endpoint: usize, conn: u32, at_ms: i64) {
        let mut sent = Vec::new();
        self.session.on_open(endpoint, conn, Time(at_ms * MS), &mut |bytes| sent.push(bytes.to_vec()));
        assert_eq!(sent, [SUBSCRIBE.to_vec()]);
    }

    pub fn drop(&mut self, endpoint: usize, conn: u32, at_ms: i64) {
        self.session.on_down(endpoint, conn, Time(at_ms * MS), &mut |event| self.out.push(event.kind));
    }

    /// One slot on top of the one before it; the slots that it led to.
    pub fn hear(&mut self, endpoint: usize, slot: u64, at_ms: i64) -> Vec<u64> {
        self.hear_on(endpoint, (slot, slot - 1), at_ms)
    }

    pub fn hear_on(&mut self, endpoint: usize, (slot, parent): (u64, u64), at_ms: i64) -> Vec<u64> {
        let before = self.out.len();
        let (frame, at) = (frame_on(slot, parent), Time(at_ms * MS));
        let kind = self.session.on_frame(endpoint, 1, &frame, at, &mut |event| self.out.push(event.kind));
        assert_eq!(kind, Ok(FrameKind::Data));
        slots(&self.out[before..])
    }

    pub fn tick(&mut self, at_ms: i64) {
        self.session.on_timer(Time(at_ms * MS), &mut |event| self.out.push(event.kind));
    }

    pub fn states(&self) -> Vec<StreamState> {
        let state = |kind: &EventKind| if let EventKind::Stream(state) = kind { Some(*state) } else { None };
        self.out.iter().filter_map(state).collect()
    }

    /// All notes so far, as they would be logged.
    pub fn notes(&mut self) -> Vec<String> {
        self.raw_notes().iter().map(SlotNote::to_string).collect()
    }

    pub fn raw_notes(&mut self) -> Vec<SlotNote> {
        std::iter::from_fn(|| self.session.take_note()).collect()
    }
}

pub fn slots(events: &[EventKind]) -> Vec<u64> {
    events.iter().filter_map(|kind| if let EventKind::Slot(slot) = kind { Some(slot.slot) } else { None }).collect()
}
