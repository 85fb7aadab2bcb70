//! The slot session: `slotSubscribe` at one or several endpoints, one rising stream of slots out.
//!
//! Thread: any.  Invariants: the first endpoint to report a slot wins, and it is emitted at once; emitted slots rise but
//! where a line of slots proved wrong; silence is told as `Stale` once, `Up` only with a fresh slot, `Down` with the last
//! connection of the last endpoint.
//!
//! Whom to believe. With one endpoint: every higher slot; a long row of lower ones proves that the high one was the
//! error. With several, a slot further ahead than the measured slot time allows is not taken at its word: another
//! endpoint must report the like, or a long row of such reports must find nobody who carries the old line on. A line
//! that nobody else stands on gives way when a second endpoint insists on one so far below that no laggard could be there.

use super::endpoint::{ENDPOINTS_MAX, Endpoint, Notes, SlotNote, Standing, Trouble};
use super::slot_ledger::SlotLedger;
use super::slot_time::{NextSlot, SlotTime};
use super::subscribe::{self, SLOT_SUBSCRIBE};
use crate::types::event::{Slot, StreamState};
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::{Event, EventKind, StreamId, Time};
use crate::venue::DecodeError;
use crate::venue::scan::Scanner;

/// Longest frame looked at.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Silence in slot times after which the stream is called stalled.
const SILENCE_SLOTS: i64 = 10;
/// ... but never sooner than this.
const SILENCE_MIN_NS: i64 = 2 * NANOS_PER_SEC;
/// Slot time taken for the silence rule before two slots were seen; the slowest that mainnet ever had.
const SLOT_NS_SLOWEST: i64 = 400 * NANOS_PER_MILLI;
/// Slot time taken for what is possible before two slots were seen; the fastest that is planned.
const SLOT_NS_FASTEST: i64 = 200 * NANOS_PER_MILLI;
/// After this many reports in a row that contradict the newest slot, the newest one is taken for the error.
const BACKWARD_MAX: u32 = 32;
/// After this many, where more endpoints contradict it than stand by it.
const OUTVOTED_MAX: u32 = 2;
/// A node further behind than this does not catch up, it loads a snapshot: such a distance is another line of slots.
const LAG_SLOTS_POSSIBLE: u64 = 50_000;

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

/// How many endpoints there are, and when one of them is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotSettings {
    /// Endpoints, numbered from 0; 1 to [`ENDPOINTS_MAX`].
    pub endpoints: usize,
    /// Mean lag above which an endpoint is named, slots.
    pub lag_slots_max: u64,
    /// ... or ns.
    pub lag_ns_max: i64,
    /// How far ahead of what the slot time allows a slot is still believed at once, and how near two endpoints must be
    /// to confirm each other.
    pub ahead_slots_max: u64,
}

impl Default for SlotSettings {
    fn default() -> SlotSettings {
        SlotSettings { endpoints: 1, lag_slots_max: 8, lag_ns_max: 2 * NANOS_PER_SEC, ahead_slots_max: 150 }
    }
}

/// The slot subscriptions of all endpoints.
#[derive(Clone, Debug)]
pub struct SlotSession {
    settings: SlotSettings,
    endpoints: [Endpoint; ENDPOINTS_MAX],
    ledger: SlotLedger,
    time: SlotTime,
    notes: Notes,
    newest: Option<Slot>,
    /// When the newest slot came.
    newest_at: Time,
    /// The same for measuring; `None` right after silence, so that a stall is not taken for a slot time.
    measure_from: Option<Time>,
    /// Which endpoint began the line of slots that is followed, and whether another one stood on it since.
    line_by: usize,
    confirmed: bool,
    /// When anything worth calling life came: a slot, or the first connection itself.
    life_at: Time,
    state: Option<StreamState>,
}

impl Default for SlotSession {
    fn default() -> SlotSession {
        SlotSession::new()
    }
}

impl SlotSession {
    /// One endpoint, not connected.
    pub fn new() -> SlotSession {
        SlotSession::with(SlotSettings::default())
    }

    /// Not connected. Takes all its memory.
    pub fn with(settings: SlotSettings) -> SlotSession {
        let endpoints = settings.endpoints.clamp(1, ENDPOINTS_MAX);
        SlotSession {
            settings: SlotSettings { endpoints, ..settings },
            endpoints: Default::default(),
            ledger: SlotLedger::new(),
            time: SlotTime::default(),
            notes: Notes::default(),
            newest: None,
            newest_at: Time::NONE,
            measure_from: None,
            line_by: 0,
            confirmed: false,
            life_at: Time::NONE,
            state: None,
        }
    }

    /// A connection of an endpoint is open: subscribes.
    pub fn on_open(&mut self, endpoint: usize, conn: u32, now: Time, out: &mut impl FnMut(&[u8])) {
        if !self.is_connected() {
            self.life_at = now;
        }
        if let Some(it) = self.endpoints.get_mut(endpoint) {
            it.open(conn, now);
        }
        out(SLOT_SUBSCRIBE);
    }

    /// One whole frame. Slots that another endpoint reported before, that go backwards, or that cannot be yet give no
    /// event.
    ///
    /// Errors: [`DecodeError`] with the byte; the session goes on.  Cost: one pass, no allocation.
    pub fn on_frame(
        &mut self,
        endpoint: usize,
        _conn: u32,
        frame: &[u8],
        recv: Time,
        emit: &mut impl FnMut(Event),
    ) -> Result<FrameKind, DecodeError> {
        let seen = subscribe::envelope(frame, FRAME_BYTES_MAX)?;
        if seen.method != Some(b"slotNotification") {
            return Ok(if seen.error.is_some() { FrameKind::Reset } else { FrameKind::Control });
        }
        let at = seen.result_at.ok_or(DecodeError::Missing { name: "result" })?;
        let slot = subscribe::slot(Scanner::starting_at(frame, at))?;
        self.hear(endpoint, slot, recv, emit);
        Ok(FrameKind::Data)
    }

    /// A connection of an endpoint is gone; the stream is down with the last one of all.
    pub fn on_down(&mut self, endpoint: usize, conn: u32, now: Time, emit: &mut impl FnMut(Event)) {
        let Some(it) = self.endpoints.get_mut(endpoint) else { return };
        if it.close(conn) {
            it.set(Trouble::Silent, false); // it is worse than that now
            self.turn(endpoint, Trouble::Down, true, now);
        }
        if !self.is_connected() {
            self.measure_from = None;
            self.turn_to(StreamState::Down, now, emit);
        }
    }

    /// Call at least once a second: tells silence, of the stream and of each endpoint.
    pub fn on_timer(&mut self, now: Time, emit: &mut impl FnMut(Event)) {
        let silence_ns = self.silence_ns();
        for endpoint in 0..self.settings.endpoints {
            if self.endpoints.get(endpoint).is_some_and(|it| it.is_silent(now, silence_ns)) {
                self.turn(endpoint, Trouble::Silent, true, now);
            }
        }
        let is_silent = self.is_connected() && now.since(self.life_at) >= silence_ns;
        if is_silent && self.state != Some(StreamState::Stale) {
            self.measure_from = None;
            self.turn_to(StreamState::Stale, now, emit);
        }
    }

    /// The mean slot time by `getRecentPerformanceSamples`: a second opinion, and the first while nothing is measured.
    pub fn on_sampled_time(&mut self, slot_ns: Option<i64>) {
        self.time.set_sampled(slot_ns);
    }

    /// Mean time of a slot, measured; `None` before two slots came.
    pub fn slot_ns(&self) -> Option<i64> {
        self.time.mean_ns()
    }

    /// The slot time with its error bar and the node's own count.
    pub fn slot_time(&self) -> &SlotTime {
        &self.time
    }

    /// When the next slot is expected after `now`; `None` before two slots came and in silence.
    pub fn next_slot_at(&self, now: Time) -> Option<NextSlot> {
        let is_alive = self.newest.is_some() && now.since(self.newest_at) < self.silence_ns();
        self.time.next_after(self.newest_at, now).filter(|_| is_alive)
    }

    /// The newest slot.
    pub fn slot(&self) -> Option<Slot> {
        self.newest
    }

    /// The last slots: seen, skipped, unknown, forks.
    pub fn ledger(&self) -> &SlotLedger {
        &self.ledger
    }

    /// An endpoint's standing; `None` for a number that no endpoint has.
    pub fn endpoint(&self, endpoint: usize) -> Option<Standing> {
        self.endpoints.get(endpoint).filter(|_| endpoint < self.settings.endpoints).map(Endpoint::standing)
    }

    /// Endpoints in this trouble now, by number.
    pub fn in_trouble(&self, trouble: Trouble) -> impl Iterator<Item = usize> {
        self.endpoints.iter().enumerate().filter(move |(_, it)| it.has(trouble)).map(|(endpoint, _)| endpoint)
    }

    /// Endpoints that lag now, by number.
    pub fn lagging(&self) -> impl Iterator<Item = usize> {
        self.in_trouble(Trouble::Lagging)
    }

    /// The oldest note not taken yet: a trouble of an endpoint that began or ended.
    pub fn take_note(&mut self) -> Option<SlotNote> {
        self.notes.take()
    }

    /// Silence after which the stream is stale: ten slot times, two seconds at least.
    pub fn silence_ns(&self) -> i64 {
        self.time.best_ns().unwrap_or(SLOT_NS_SLOWEST).saturating_mul(SILENCE_SLOTS).max(SILENCE_MIN_NS)
    }

    fn is_connected(&self) -> bool {
        self.endpoints.iter().any(Endpoint::is_connected)
    }

    fn hear(&mut self, endpoint: usize, slot: Slot, recv: Time, emit: &mut impl FnMut(Event)) {
        let Some(it) = self.endpoints.get_mut(endpoint).filter(|_| endpoint < self.settings.endpoints) else { return };
        let (rose, fell) = it.say(slot.slot, recv);
        if fell {
            self.ledger.count_regression();
        }
        self.turn(endpoint, Trouble::Down, false, recv);
        match self.newest {
            None => self.begin_line(endpoint, slot, recv, emit),
            Some(newest) if slot.slot > newest.slot => {
                if !self.is_believed(endpoint, slot.slot, recv) {
                    return self.doubt(endpoint, recv);
                }
                self.take(endpoint, slot, recv, emit);
            }
            Some(newest) => {
                if self.proves_wrong(newest.slot, endpoint, slot.slot, recv) {
                    self.begin_line(endpoint, slot, recv, emit);
                } else {
                    self.ledger.report(slot, endpoint, recv);
                }
            }
        }
        self.turn(endpoint, Trouble::Ahead, false, recv);
        if rose {
            self.rate(endpoint, slot.slot, recv);
        }
    }

    /// Whether a slot above the newest can be: near enough, or confirmed, or insisted on.
    fn is_believed(&self, endpoint: usize, slot: u64, recv: Time) -> bool {
        if self.settings.endpoints < 2 {
            return true;
        }
        let newest = self.newest.map_or(0, |newest| newest.slot);
        let slot_ns = self.time.best_ns().unwrap_or(SLOT_NS_FASTEST).max(1);
        let since = (recv.since(self.newest_at).max(0) / slot_ns).unsigned_abs();
        if slot <= newest.saturating_add(since).saturating_add(self.settings.ahead_slots_max) {
            return true;
        }
        let is_confirmed = self.stands_by(slot, recv).any(|other| other != endpoint);
        let row = self.endpoints.get(endpoint).map_or(0, |it| it.ahead_row);
        is_confirmed || row >= BACKWARD_MAX
    }

    fn doubt(&mut self, endpoint: usize, recv: Time) {
        if let Some(it) = self.endpoints.get_mut(endpoint) {
            it.doubt(recv);
        }
        self.turn(endpoint, Trouble::Ahead, true, recv);
    }

    /// Whether a slot at or below the newest shows that the newest one was the error.
    fn proves_wrong(&mut self, newest: u64, endpoint: usize, slot: u64, recv: Time) -> bool {
        let below = newest.saturating_sub(slot);
        let nearby = self.settings.ahead_slots_max;
        self.confirmed |= below <= nearby && endpoint != self.line_by;
        let Some(it) = self.endpoints.get_mut(endpoint) else { return false };
        it.ahead_row = 0;
        it.below_row += u32::from(below > 0);
        it.contrary_row = if below > LAG_SLOTS_POSSIBLE { it.contrary_row + 1 } else { 0 };
        let (below_row, contrary_row) = (it.below_row, it.contrary_row);
        if below_row > BACKWARD_MAX {
            return true;
        }
        if self.settings.endpoints < 2 || contrary_row <= OUTVOTED_MAX {
            return false;
        }
        let (for_it, against) = (self.stands_by(newest, recv).count(), self.stands_by(slot, recv).count());
        against > for_it.max(1) || (against >= for_it && !self.confirmed && contrary_row > BACKWARD_MAX)
    }

    /// Connected endpoints whose last report is fresh and near `slot`.
    fn stands_by(&self, slot: u64, now: Time) -> impl Iterator<Item = usize> {
        let (silence_ns, nearby) = (self.silence_ns(), self.settings.ahead_slots_max);
        let stands = move |it: &Endpoint| {
            let said = it.said.filter(|said| it.is_connected() && now.since(said.at) < silence_ns);
            said.is_some_and(|said| said.slot.abs_diff(slot) <= nearby)
        };
        self.endpoints.iter().enumerate().filter(move |(_, it)| stands(it)).map(|(endpoint, _)| endpoint)
    }

    /// The first slot of all, or of the line that proved to be the right one.
    fn begin_line(&mut self, endpoint: usize, slot: Slot, recv: Time, emit: &mut impl FnMut(Event)) {
        if self.newest.is_some() {
            self.ledger.forget();
            self.measure_from = None;
        }
        self.endpoints.iter_mut().for_each(|it| it.fall_to(slot.slot));
        (self.line_by, self.confirmed) = (endpoint, false);
        self.take(endpoint, slot, recv, emit);
    }

    fn take(&mut self, endpoint: usize, slot: Slot, recv: Time, emit: &mut impl FnMut(Event)) {
        if let (Some(newest), Some(from)) = (self.newest, self.measure_from) {
            let slots = slot.slot.saturating_sub(newest.slot).max(1);
            if slots <= self.settings.ahead_slots_max {
                self.time.measure(recv.since(from).max(0) / i64::try_from(slots).unwrap_or(i64::MAX));
            }
        }
        self.ledger.report(slot, endpoint, recv);
        self.confirmed |= endpoint != self.line_by;
        for it in &mut self.endpoints {
            (it.ahead_row, it.below_row) = (0, 0);
        }
        if let Some(it) = self.endpoints.get_mut(endpoint) {
            it.contrary_row = 0;
            it.wins += 1;
        }
        self.newest = Some(slot);
        (self.newest_at, self.measure_from, self.life_at) = (recv, Some(recv), recv);
        self.turn_to(StreamState::Up, recv, emit);
        emit(event(EventKind::Slot(slot), recv));
    }

    /// An endpoint's own slots rose: how far behind the first report of this one, and behind the newest one, it is.
    fn rate(&mut self, endpoint: usize, slot: u64, recv: Time) {
        let behind = self.newest.map_or(0, |newest| newest.slot.saturating_sub(slot));
        let slot_ns = self.time.best_ns().unwrap_or(SLOT_NS_FASTEST);
        let guessed_ns = slot_ns.saturating_mul(i64::try_from(behind).unwrap_or(i64::MAX));
        let behind_ns = self.ledger.first(slot).map_or(guessed_ns, |first| recv.since(first.at));
        let Some(it) = self.endpoints.get_mut(endpoint) else { return };
        it.rise_to(slot, recv);
        it.trail(behind, behind_ns);
        let lags = it.lags(&self.settings);
        self.turn(endpoint, Trouble::Silent, false, recv);
        self.turn(endpoint, Trouble::Lagging, lags, recv);
    }

    /// Tells a change of one endpoint's health, once.
    fn turn(&mut self, endpoint: usize, trouble: Trouble, began: bool, at: Time) {
        let Some(it) = self.endpoints.get_mut(endpoint) else { return };
        if it.set(trouble, began) {
            let (behind_slots, behind_ns) = it.behind();
            self.notes.tell(SlotNote { endpoint, at, trouble, began, behind_slots, behind_ns });
        }
    }

    /// Tells a change of the stream's health, once.
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
