//! Solana slots: `slotSubscribe` over a PubSub WebSocket, the slot time measured from what comes.
//!
//! Thread: any.  Invariants: emitted slots rise; the slot time is never assumed (it was 400 ms once, and is half of
//! that now); silence is told as `Stale` once, `Up` only with a fresh slot.  Source: solana fact sheet, sections 2 and 3.

use super::DecodeError;
use super::scan::Scanner;
use crate::types::event::{Slot, StreamState};
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::{Event, EventKind, StreamId, Time};

/// The subscription, one a connection.
pub const SUBSCRIBE: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"slotSubscribe"}"#;
/// Longest frame looked at.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Silence in slot times after which the link is called stalled.
const SILENCE_SLOTS: i64 = 10;
/// ... but never sooner than this.
const SILENCE_MIN_NS: i64 = 2 * NANOS_PER_SEC;
/// Weight of the past in the slot time: one new spacing counts 1/16.
const SMOOTHING: i64 = 16;
/// A spacing above this times the mean is a stall, not a slot time: it is capped here.
const SPACING_CAP: i64 = 4;
/// Slot time taken for the silence rule before two slots were seen; the slowest that mainnet ever had.
const SLOT_NS_UNKNOWN: i64 = 400 * NANOS_PER_MILLI;
/// After this many slots in a row below the newest one, the newest one is taken for the error.
const BACKWARD_MAX: u32 = 32;
/// Connections at a time: the serving one, and the next during a roll-over.
const CONNECTIONS_MAX: usize = 4;

/// What a frame was, for the connection that carried it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A slot.
    Data,
    /// Nothing that says the subscription works.
    Control,
    /// The node refused the subscription: drop this connection and reconnect.
    Reset,
}

/// What one frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    Slot(Slot),
    Refused,
    Other,
}

/// The slot subscription over one or, during a roll-over, several connections.
#[derive(Clone, Debug, Default)]
pub struct SlotSession {
    connections: [Option<u32>; CONNECTIONS_MAX],
    newest: Option<Slot>,
    /// When the newest slot came; `None` right after silence, so that a stall is not taken for a slot time.
    newest_at: Option<Time>,
    /// When anything worth calling life came: a slot, or the connection itself.
    life_at: Time,
    slot_ns: Option<i64>,
    backward: u32,
    state: Option<StreamState>,
}

impl SlotSession {
    /// Not connected.
    pub fn new() -> SlotSession {
        SlotSession::default()
    }

    /// A connection is open: subscribes.
    pub fn on_open(&mut self, conn: u32, now: Time, out: &mut impl FnMut(&[u8])) {
        if self.connections.iter().all(Option::is_none) {
            self.life_at = now;
        }
        if let Some(free) = self.connections.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(conn);
        }
        out(SUBSCRIBE);
    }

    /// One whole frame. Duplicates (two connections) and slots that go backwards (another node) give no event.
    ///
    /// Errors: [`DecodeError`] with the byte; the session goes on.  Cost: one pass, no allocation.
    pub fn on_frame(
        &mut self,
        _conn: u32,
        frame: &[u8],
        recv: Time,
        emit: &mut impl FnMut(Event),
    ) -> Result<FrameKind, DecodeError> {
        match decode(frame)? {
            Frame::Other => Ok(FrameKind::Control),
            Frame::Refused => Ok(FrameKind::Reset),
            Frame::Slot(slot) => {
                if self.accepts(slot) {
                    self.take(slot, recv, emit);
                }
                Ok(FrameKind::Data)
            }
        }
    }

    /// A connection is gone; the stream is down with the last one.
    pub fn on_down(&mut self, conn: u32, now: Time, emit: &mut impl FnMut(Event)) {
        self.connections.iter_mut().filter(|slot| **slot == Some(conn)).for_each(|slot| *slot = None);
        if self.connections.iter().all(Option::is_none) {
            self.newest_at = None;
            self.turn_to(StreamState::Down, now, emit);
        }
    }

    /// Call at least once a second: tells silence.
    pub fn on_timer(&mut self, now: Time, emit: &mut impl FnMut(Event)) {
        let is_connected = self.connections.iter().any(Option::is_some);
        if is_connected && self.state != Some(StreamState::Stale) && now.since(self.life_at) >= self.silence_ns() {
            self.newest_at = None;
            self.turn_to(StreamState::Stale, now, emit);
        }
    }

    /// Mean time of a slot, measured; `None` before two slots came.
    pub fn slot_ns(&self) -> Option<i64> {
        self.slot_ns
    }

    /// The newest slot.
    pub fn slot(&self) -> Option<Slot> {
        self.newest
    }

    /// Silence after which the stream is stale: ten slot times, two seconds at least.
    pub fn silence_ns(&self) -> i64 {
        self.slot_ns.unwrap_or(SLOT_NS_UNKNOWN).saturating_mul(SILENCE_SLOTS).max(SILENCE_MIN_NS)
    }

    /// Whether the slot is new; a long row of lower ones means that the high one was the error.
    fn accepts(&mut self, slot: Slot) -> bool {
        let Some(newest) = self.newest else { return true };
        if slot.slot > newest.slot {
            self.backward = 0;
            return true;
        }
        self.backward += u32::from(slot.slot < newest.slot);
        if self.backward <= BACKWARD_MAX {
            return false;
        }
        self.backward = 0;
        self.newest_at = None;
        true
    }

    fn take(&mut self, slot: Slot, recv: Time, emit: &mut impl FnMut(Event)) {
        if let (Some(newest), Some(at)) = (self.newest, self.newest_at) {
            let slots = i64::try_from(slot.slot.saturating_sub(newest.slot)).unwrap_or(i64::MAX).max(1);
            self.measure(recv.since(at).max(0) / slots);
        }
        self.newest = Some(slot);
        self.newest_at = Some(recv);
        self.life_at = recv;
        self.turn_to(StreamState::Up, recv, emit);
        emit(event(EventKind::Slot(slot), recv));
    }

    fn measure(&mut self, spacing_ns: i64) {
        self.slot_ns = Some(match self.slot_ns {
            None => spacing_ns,
            Some(mean) => mean + (spacing_ns.min(mean.saturating_mul(SPACING_CAP).max(1)) - mean) / SMOOTHING,
        });
    }

    /// Tells a change of health, once.
    fn turn_to(&mut self, state: StreamState, at: Time, emit: &mut impl FnMut(Event)) {
        if self.state != Some(state) {
            self.state = Some(state);
            emit(event(EventKind::Stream(state), at));
        }
    }
}

/// Not yet numbered: the hot agent sets `seq` and `at`.
fn event(kind: EventKind, recv: Time) -> Event {
    Event { seq: 0, recv, at: Time::NONE, venue_time: Time::NONE, stream: StreamId::SolanaSlot, kind }
}

fn decode(frame: &[u8]) -> Result<Frame, DecodeError> {
    if frame.len() > FRAME_BYTES_MAX {
        return Err(DecodeError::TooLong { got: frame.len() });
    }
    let (mut is_slot, mut is_refused, mut result) = (false, false, None);
    let mut scan = Scanner::new(frame);
    scan.object(|scan, key| match key {
        b"method" => scan.string().map(|method| is_slot = method == b"slotNotification"),
        b"error" => scan.skip().map(|()| is_refused = true),
        b"params" => scan.object(|scan, key| match key {
            b"result" => {
                result = Some(scan.at());
                scan.skip()
            }
            _ => scan.skip(),
        }),
        _ => scan.skip(),
    })?;
    scan.end()?;
    match (is_slot, result) {
        (true, Some(at)) => slot(Scanner::starting_at(frame, at)).map(Frame::Slot),
        (true, None) => Err(DecodeError::Missing { name: "result" }),
        (false, _) => Ok(if is_refused { Frame::Refused } else { Frame::Other }),
    }
}

fn slot(mut scan: Scanner) -> Result<Slot, DecodeError> {
    let (mut slot, mut parent, mut root) = (None, None, None);
    scan.object(|scan, key| match key {
        b"slot" => scan.unsigned().map(|value| slot = Some(value)),
        b"parent" => scan.unsigned().map(|value| parent = Some(value)),
        b"root" => scan.unsigned().map(|value| root = Some(value)),
        _ => scan.skip(),
    })?;
    Ok(Slot {
        slot: slot.ok_or(DecodeError::Missing { name: "slot" })?,
        parent: parent.ok_or(DecodeError::Missing { name: "parent" })?,
        root: root.ok_or(DecodeError::Missing { name: "root" })?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = NANOS_PER_MILLI;

    fn frame(slot: u64) -> Vec<u8> {
        let result = format!(r#"{{"parent":{},"root":{},"slot":{slot}}}"#, slot - 1, slot - 32);
        format!(r#"{{"jsonrpc":"2.0","method":"slotNotification","params":{{"result":{result},"subscription":7}}}}"#)
            .into()
    }

    /// Feeds one frame; what came out, in order.
    fn feed(session: &mut SlotSession, conn: u32, slot: u64, at_ms: i64) -> Vec<EventKind> {
        let mut out = Vec::new();
        let kind = session.on_frame(conn, &frame(slot), Time(at_ms * MS), &mut |event| out.push(event.kind));
        assert_eq!(kind, Ok(FrameKind::Data));
        out
    }

    fn opened() -> SlotSession {
        let mut session = SlotSession::new();
        let mut sent = Vec::new();
        session.on_open(1, Time(0), &mut |bytes| sent.push(bytes.to_vec()));
        assert_eq!(sent, [SUBSCRIBE.to_vec()]);
        session
    }

    fn slots(events: &[EventKind]) -> Vec<u64> {
        events.iter().filter_map(|kind| if let EventKind::Slot(slot) = kind { Some(slot.slot) } else { None }).collect()
    }

    #[test]
    fn up_comes_with_the_first_slot_not_with_the_ack() {
        let mut session = opened();
        let ack = br#"{"jsonrpc":"2.0","result":23784,"id":1}"#;
        let kind = session.on_frame(1, ack, Time(1), &mut |event| panic!("an ack is no news: {event:?}"));
        assert_eq!(kind, Ok(FrameKind::Control));
        let slot = Slot { slot: 400, parent: 399, root: 368 };
        assert_eq!(feed(&mut session, 1, 400, 5), [EventKind::Stream(StreamState::Up), EventKind::Slot(slot)]);
    }

    #[test]
    fn a_refused_subscription_resets_the_connection() {
        let refusal = br#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":1}"#;
        assert_eq!(opened().on_frame(1, refusal, Time(1), &mut |_| {}), Ok(FrameKind::Reset));
    }

    #[test]
    fn repeated_and_earlier_slots_give_no_event_until_the_high_one_proves_wrong() {
        let mut session = opened();
        feed(&mut session, 1, 1_000, 0);
        assert!(feed(&mut session, 2, 1_000, 1).is_empty());
        assert!(feed(&mut session, 2, 999, 2).is_empty());
        assert_eq!(slots(&feed(&mut session, 1, 1_002, 400)), [1_002]);
        feed(&mut session, 1, u64::MAX / 2, 600);
        let taken: Vec<u64> = (0..40).flat_map(|i| slots(&feed(&mut session, 1, 1_003 + i, 800 + i as i64))).collect();
        assert_eq!(taken, [1_035, 1_036, 1_037, 1_038, 1_039, 1_040, 1_041, 1_042]);
    }

    #[test]
    fn the_slot_time_is_measured_over_skipped_slots_and_not_over_a_stall() {
        let mut session = opened();
        assert_eq!(session.slot_ns(), None);
        let mut at_ms = 0;
        for slot in 0..200_u64 {
            at_ms += 214;
            feed(&mut session, 1, 1_000 + slot, at_ms);
        }
        feed(&mut session, 1, 1_203, at_ms + 4 * 214);
        assert_eq!(session.slot_ns(), Some(214 * MS));
        let mut states = Vec::new();
        session.on_timer(Time((at_ms + 60_000) * MS), &mut |event| states.push(event.kind));
        feed(&mut session, 1, 1_204, at_ms + 60_001);
        assert_eq!((states, session.slot_ns()), (vec![EventKind::Stream(StreamState::Stale)], Some(214 * MS)));
    }

    #[test]
    fn silence_of_ten_slot_times_is_stale_once_and_the_next_slot_is_up() {
        let mut session = opened();
        feed(&mut session, 1, 1_000, 0);
        feed(&mut session, 1, 1_001, 350);
        let mut states = Vec::new();
        for at_ms in [350 + 3_499, 350 + 3_500, 350 + 4_000] {
            session.on_timer(Time(at_ms * MS), &mut |event| states.push((at_ms, event.kind)));
        }
        assert_eq!(states, [(350 + 3_500, EventKind::Stream(StreamState::Stale))]);
        assert_eq!(feed(&mut session, 1, 1_012, 4_500).first(), Some(&EventKind::Stream(StreamState::Up)));
    }

    #[test]
    fn a_connection_that_never_delivers_is_stale_after_four_seconds() {
        let mut session = opened();
        let mut states = Vec::new();
        session.on_timer(Time(3_999 * MS), &mut |event| states.push(event.kind));
        assert!(states.is_empty());
        session.on_timer(Time(4_000 * MS), &mut |event| states.push(event.kind));
        assert_eq!(states, [EventKind::Stream(StreamState::Stale)]);
    }

    #[test]
    fn down_comes_with_the_last_connection_of_a_roll_over() {
        let mut session = opened();
        feed(&mut session, 1, 1_000, 0);
        session.on_open(2, Time(MS), &mut |_| {});
        let mut states = Vec::new();
        session.on_down(1, Time(2 * MS), &mut |event| states.push(event.kind));
        assert!(states.is_empty());
        session.on_down(2, Time(3 * MS), &mut |event| states.push(event.kind));
        assert_eq!(states, [EventKind::Stream(StreamState::Down)]);
    }

    #[test]
    fn frames_cut_or_changed_at_every_byte_never_panic() {
        let whole = frame(405_112_233);
        for at in 0..whole.len() {
            assert!(decode(&whole[..at]).is_err(), "cut at {at}");
            for byte in [0_u8, b'"', b'{', b'}', b'9', b'-', 0xff] {
                let mut changed = whole.clone();
                changed[at] = byte;
                let _ = decode(&changed);
            }
        }
    }

    #[test]
    fn other_notifications_are_left_alone() {
        let account = br#"{"jsonrpc":"2.0","method":"accountNotification","params":{"result":{"context":{"slot":4},"value":null},"subscription":1}}"#;
        assert_eq!(decode(account), Ok(Frame::Other));
        assert_eq!(
            decode(br#"{"method":"slotNotification","params":{"subscription":1}}"#),
            Err(DecodeError::Missing { name: "result" })
        );
    }
}
