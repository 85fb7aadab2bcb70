//! A market account kept fresh: subscribed to over PubSub, and fetched after each connect and every few seconds, because
//! nothing is replayed and because a node is silent while an account does not change.
//!
//! Thread: any.  Invariants: slots never fall, unless a long row of lower ones shows that the high one was the error; an
//! account that cannot be decoded leaves no book; `Up` only with a fresh account, `Stale` by slots behind the newest or
//! by answers missing, told once.  Source: solana fact sheet, sections 1, 2 and 9.

use super::account::{self, Market};
use super::frame::{self, Frame, Reading};
use super::{AccountError, PROGRAM, SOL_USDC_MARKET};
use crate::types::event::{DexBook, StreamState};
use crate::types::time::NANOS_PER_SEC;
use crate::types::{Event, EventKind, StreamId, Time};
use crate::venue::dex::DexLevels;

/// Connections at a time: the serving one, and the next during a roll-over.
const CONNECTIONS_MAX: usize = 4;
/// After this many slots in a row below the newest one, the newest one is taken for the error.
const BACKWARD_MAX: u32 = 32;
/// Number of the subscription request: others may share the connection.
const SUBSCRIBE_ID: u64 = 41;
/// Number of the fetch.
const FETCH_ID: u64 = 42;

/// How settled a state must be to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commitment {
    /// The node's newest, which may be dropped.
    Processed,
    /// Two thirds of the stake have voted for it.
    Confirmed,
}

impl Commitment {
    /// Name in requests.
    pub fn name(self) -> &'static str {
        match self {
            Commitment::Processed => "processed",
            Commitment::Confirmed => "confirmed",
        }
    }
}

/// What the session is to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DexSettings {
    /// Address of the market account.
    pub account: String,
    /// Address of the program that must own it.
    pub program: String,
    /// What the market must be.
    pub market: Market,
    /// How settled a state must be.
    pub commitment: Commitment,
    /// How often the account is fetched though nothing changes, ns.
    pub refresh_ns: i64,
    /// Pause before a fetch that failed is tried again, ns.
    pub retry_ns: i64,
    /// How long an answer may take, ns.
    pub answer_ns: i64,
    /// How many slots the book may be behind the newest.
    pub lag_slots_max: u64,
    /// How long there may be no answer at all, ns.
    pub stale_after_ns: i64,
}

impl Default for DexSettings {
    fn default() -> DexSettings {
        DexSettings {
            account: SOL_USDC_MARKET.to_owned(),
            program: PROGRAM.to_owned(),
            market: Market::SOL_USDC,
            commitment: Commitment::Processed,
            refresh_ns: 5 * NANOS_PER_SEC,
            retry_ns: NANOS_PER_SEC,
            answer_ns: 10 * NANOS_PER_SEC,
            lag_slots_max: 50,
            stale_after_ns: 20 * NANOS_PER_SEC,
        }
    }
}

/// What a frame was, for the connection that carried it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// The account.
    Data,
    /// Nothing that says the subscription works.
    Control,
    /// The node refused the subscription: drop this connection and reconnect.
    Reset,
}

/// One open connection.
#[derive(Clone, Copy, Debug)]
struct Connection {
    id: u32,
    subscription: Option<u64>,
}

/// The account of one market.
#[derive(Clone, Debug)]
pub struct DexSession {
    settings: DexSettings,
    subscribe: String,
    fetch: String,
    connections: [Option<Connection>; CONNECTIONS_MAX],
    /// The account's bytes, in a buffer that is used again.
    data: Vec<u8>,
    levels: Option<DexLevels>,
    /// Slot of the newest account, and whether it was pushed to us: then it is that slot's last word.
    slot: u64,
    is_pushed: bool,
    backward: u32,
    /// Newest slot that anybody told of.
    newest_slot: u64,
    told: Option<(DexBook, Time)>,
    /// When anything worth calling life came: an account, or the connection itself.
    life_at: Time,
    asked_at: Option<Time>,
    fetch_due: Time,
    state: Option<StreamState>,
}

impl DexSession {
    /// Not connected.
    pub fn new(settings: DexSettings) -> DexSession {
        let request = |id: u64, method: &str| {
            let (account, commitment) = (&settings.account, settings.commitment.name());
            format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":["{account}",{{"encoding":"base64","commitment":"{commitment}"}}]}}"#
            )
        };
        DexSession {
            subscribe: request(SUBSCRIBE_ID, "accountSubscribe"),
            fetch: request(FETCH_ID, "getAccountInfo"),
            connections: [None; CONNECTIONS_MAX],
            data: Vec::new(),
            levels: None,
            slot: 0,
            is_pushed: false,
            backward: 0,
            newest_slot: 0,
            told: None,
            life_at: Time::NONE,
            asked_at: None,
            fetch_due: Time::NONE,
            state: None,
            settings,
        }
    }

    /// A connection is open: subscribes, and wants the account at once.
    pub fn on_open(&mut self, conn: u32, now: Time, out: &mut impl FnMut(&[u8])) {
        if !self.is_connected() {
            self.life_at = now;
        }
        if let Some(free) = self.connections.iter_mut().find(|place| place.is_none()) {
            *free = Some(Connection { id: conn, subscription: None });
        }
        self.fetch_due = now;
        out(self.subscribe.as_bytes());
    }

    /// One whole frame. Repeated and earlier accounts give no event.
    ///
    /// Errors: [`AccountError`] with the byte; there is no book then, and the session goes on.
    pub fn on_frame(
        &mut self,
        conn: u32,
        frame: &[u8],
        recv: Time,
        emit: &mut impl FnMut(Event),
    ) -> Result<FrameKind, AccountError> {
        let Some(connection) = self.connections.iter_mut().flatten().find(|open| open.id == conn) else {
            return Ok(FrameKind::Control);
        };
        let decoded = frame::decode(frame).inspect_err(|_| self.fetch_due = self.fetch_due.min(recv)); // what did it say?
        match decoded? {
            Frame::Ack { id: SUBSCRIBE_ID, subscription } => {
                connection.subscription = Some(subscription);
                Ok(FrameKind::Control)
            }
            Frame::Refused { id: SUBSCRIBE_ID, .. } => Ok(FrameKind::Reset),
            Frame::Account(reading) if reading.subscription.is_some() => {
                if connection.subscription.is_some_and(|ours| reading.subscription != Some(ours)) {
                    return Ok(FrameKind::Control); // another account, on a shared connection
                }
                self.take(&reading, recv, emit).map(|()| FrameKind::Data)
            }
            _ => Ok(FrameKind::Control),
        }
    }

    /// A connection is gone; the stream is down with the last one, and the book with it.
    pub fn on_down(&mut self, conn: u32, now: Time, emit: &mut impl FnMut(Event)) {
        let is_it = |place: &Option<Connection>| place.is_some_and(|open| open.id == conn);
        self.connections.iter_mut().filter(|place| is_it(place)).for_each(|place| *place = None);
        if !self.is_connected() {
            self.drop_book();
            self.turn_to(StreamState::Down, now, emit);
        }
    }

    /// JSON-RPC body to post now, if the account is to be fetched; it then counts as asked.
    pub fn snapshot_wanted(&mut self, now: Time) -> Option<&str> {
        let is_waiting = self.asked_at.is_some_and(|asked| now.since(asked) < self.settings.answer_ns);
        if !self.is_connected() || is_waiting || now < self.fetch_due {
            return None;
        }
        self.asked_at = Some(now);
        Some(&self.fetch)
    }

    /// Takes the answer. Errors: [`AccountError`]; an account that cannot be decoded leaves no book, a refusal changes
    /// nothing, and either is asked again after a pause.
    pub fn on_snapshot(&mut self, body: &[u8], recv: Time, emit: &mut impl FnMut(Event)) -> Result<(), AccountError> {
        let Some(asked) = self.asked_at.take() else { return Ok(()) };
        if !self.is_connected() {
            return Ok(());
        }
        let taken = match frame::decode(body) {
            Ok(Frame::Account(reading)) => self.take(&reading, recv, emit),
            Ok(Frame::Refused { code, .. }) => Err(AccountError::Refused { code }),
            Ok(_) => Err(AccountError::Frame(crate::venue::DecodeError::Missing { name: "result" })),
            Err(error) => Err(error.into()),
        };
        let pause_ns = if taken.is_ok() { self.settings.refresh_ns } else { self.settings.retry_ns };
        if self.fetch_due <= asked {
            self.fetch_due = recv.plus(pause_ns); // else a connection opened meanwhile: its own fetch is still owed
        }
        taken
    }

    /// The fetch failed (no answer, an HTTP error): the next one after a pause.
    pub fn on_snapshot_failed(&mut self, now: Time) {
        self.asked_at = None;
        self.fetch_due = self.fetch_due.max(now.plus(self.settings.retry_ns));
    }

    /// The newest slot of the chain, from wherever it is told.
    pub fn on_slot(&mut self, newest_slot: u64, now: Time, emit: &mut impl FnMut(Event)) {
        self.newest_slot = newest_slot;
        if self.state == Some(StreamState::Up) && self.is_lagging() {
            self.turn_to(StreamState::Stale, now, emit);
        }
    }

    /// Call at least once a second: tells silence.
    pub fn on_timer(&mut self, now: Time, emit: &mut impl FnMut(Event)) {
        let may_turn = !matches!(self.state, Some(StreamState::Stale | StreamState::Gap));
        if self.is_connected() && may_turn && now.since(self.life_at) >= self.settings.stale_after_ns {
            self.turn_to(StreamState::Stale, now, emit);
        }
    }

    /// The book, while there is one; fresh only while the stream is up.
    pub fn levels(&self) -> Option<&DexLevels> {
        self.levels.as_ref()
    }

    /// State of the stream; `None` before anything happened.
    pub fn state(&self) -> Option<StreamState> {
        self.state
    }

    fn is_connected(&self) -> bool {
        self.connections.iter().any(Option::is_some)
    }

    fn is_lagging(&self) -> bool {
        self.newest_slot.saturating_sub(self.slot) > self.settings.lag_slots_max
    }

    /// Takes an account that is not older than the newest one.
    fn take(&mut self, reading: &Reading, recv: Time, emit: &mut impl FnMut(Event)) -> Result<(), AccountError> {
        if !self.accepts(reading.slot) {
            return Ok(());
        }
        let is_pushed = reading.subscription.is_some();
        // Of one slot, a push is the last word, whatever a fetch saw in the middle of it.
        let is_settled = reading.slot == self.slot && self.is_pushed && !is_pushed;
        let levels = match self.levels {
            Some(known) if is_settled => Ok(known),
            _ => self.decode(reading),
        };
        self.slot = reading.slot;
        self.is_pushed = is_pushed || is_settled;
        match levels {
            Ok(levels) => {
                self.levels = Some(levels);
                self.tell(levels.book(), recv, emit);
                Ok(())
            }
            Err(error) => {
                self.drop_book();
                self.fetch_due = self.fetch_due.min(recv.plus(self.settings.retry_ns));
                self.turn_to(StreamState::Gap, recv, emit);
                Err(error)
            }
        }
    }

    fn decode(&mut self, reading: &Reading) -> Result<DexLevels, AccountError> {
        let account = reading.account.ok_or(AccountError::Absent)?;
        if account.owner != self.settings.program.as_bytes() {
            return Err(AccountError::WrongOwner);
        }
        let data = account.data(&mut self.data)?;
        account::decode(data, reading.slot, &self.settings.market)
    }

    /// Whether the slot is not older; a long row of older ones means that the high one was the error.
    fn accepts(&mut self, slot: u64) -> bool {
        if slot >= self.slot {
            self.backward = 0;
            return true;
        }
        self.backward += 1;
        if self.backward <= BACKWARD_MAX {
            return false;
        }
        self.backward = 0;
        true
    }

    /// Tells the book if it changed, if it comes up with it, or if it was not told for a while: it is known to be fresh.
    fn tell(&mut self, book: DexBook, recv: Time, emit: &mut impl FnMut(Event)) {
        self.life_at = recv;
        if self.is_lagging() {
            self.turn_to(StreamState::Stale, recv, emit);
            return;
        }
        let is_back = self.turn_to(StreamState::Up, recv, emit);
        let is_told = self.told.is_some_and(|(told, at)| {
            DexBook { slot: book.slot, ..told } == book && recv.since(at) < self.settings.refresh_ns
        });
        if is_back || !is_told {
            self.told = Some((book, recv));
            emit(event(EventKind::Dex(book), recv));
        }
    }

    fn drop_book(&mut self) {
        self.levels = None;
        self.told = None;
    }

    /// Tells a change of health, once; true if it was one.
    fn turn_to(&mut self, state: StreamState, at: Time, emit: &mut impl FnMut(Event)) -> bool {
        let is_new = self.state != Some(state);
        if is_new {
            self.state = Some(state);
            emit(event(EventKind::Stream(state), at));
        }
        is_new
    }
}

/// Not yet numbered: the hot agent sets `seq` and `at`.
fn event(kind: EventKind, recv: Time) -> Event {
    Event { seq: 0, recv, at: Time::NONE, venue_time: Time::NONE, stream: StreamId::DexBook, kind }
}
