//! The log subscriptions over one or several connections: frames in, a volume sample out.
//!
//! Thread: any.  Invariants: an acknowledged subscription is no data; each subscription counts its own program's events
//! only, so a transaction that both told of is counted once; the first of two endpoints to tell of a transaction wins;
//! time in which one of the programs was not heard is a gap, whatever the other one told.
//!
//! Cost of a notification: one pass over the frame to find its parts, one over the log; a table look-up of the
//! signature, one of the pool; no allocation. A failed or repeated transaction costs the first pass only.

use super::backfill::{HourRow, fill};
use super::buckets::{Amount, Buckets, Counted, complete_before};
use super::dedupe::Dedupe;
use super::hands::Hands;
use super::logs::{Frame, Notification, Walk, Walker, frame};
use super::pools::{Pool, PoolLayout, Pools, PoolsWanted};
use super::trade_event::{AmmTrade, EventBuf, EventError, Trade};
use super::{Counters, Program, Venues};
use crate::types::chain::{BUCKET_NS, BucketSource, VolumeBucket};
use crate::types::event::{SourceReason, SourceState, StreamState, VolumeSample};
use crate::types::time::NANOS_PER_SEC;
use crate::types::{Event, EventKind, Price, StreamId, Time};
use crate::venue::DecodeError;
pub use crate::venue::solana::FrameKind;

/// Connections at a time: two endpoints, and the next one of each during a roll-over.
const CONNECTIONS_MAX: usize = 4;
/// A sample is told at least so often.
const SAMPLE_EVERY_NS: i64 = 60 * NANOS_PER_SEC;
/// Trades that a transaction whose log was cut, or cannot be followed, is taken to have held: long ones are cut.
const TRADES_PER_LOST_LOG: u32 = 4;
/// A trade told so soon after its time says that the stream is not behind.
const FRESH_S: i64 = 90;
/// Without such a trade for so long, the volume of now is not being heard, whatever comes.
const UNFRESH_NS: i64 = 60 * NANOS_PER_SEC;
/// How long transactions are remembered: as long as an event's time is believed.
const REMEMBER_NS: i64 = (super::buckets::EVENT_AGE_MAX_S + super::buckets::EVENT_AHEAD_MAX_S) * NANOS_PER_SEC;

/// What a session is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which volume.
    pub venues: Venues,
    /// Silence of a program after which its volume is not being heard.
    pub silence_ns: i64,
    /// Where a pool's account names its mints.
    pub layout: PoolLayout,
    /// Transactions remembered: 8 bytes each.
    pub dedupe_slots: usize,
    /// Any number that others do not know.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            venues: Venues::CurveAndAmm,
            silence_ns: 10 * NANOS_PER_SEC,
            layout: PoolLayout::default(),
            dedupe_slots: 1 << 20,
            seed: 0,
        }
    }
}

/// A connection and the node's numbers of its subscriptions, by program.
#[derive(Clone, Copy, Debug)]
struct Connection {
    id: u32,
    subscriptions: [Option<u64>; 2],
}

/// How one program is heard.
#[derive(Clone, Copy, Debug, Default)]
struct Hearing {
    /// When it was last heard; `None` = never.
    heard: Option<Time>,
    /// When it last told of a trade of just now.
    fresh: Option<Time>,
    /// Whether its last subscription was lost since.
    is_cut: bool,
    /// Up to where silence was noted.
    noted: Time,
    /// Since when that silence was.
    noted_since: Time,
}

impl Hearing {
    /// Since when it is not heard; `None` = it is. A run that never heard it: since the start of the bucket (earlier
    /// buckets of nobody are gaps by themselves), or since that was noted.
    fn deaf_since(&self, silence_ns: i64, now: Time) -> Option<Time> {
        match (self.heard, self.fresh) {
            (Some(heard), _) if self.is_cut || now.since(heard) > silence_ns => Some(heard),
            (Some(_), Some(fresh)) if now.since(fresh) > UNFRESH_NS => Some(fresh),
            (Some(_), Some(_)) => None,
            _ if self.noted != Time::NONE => Some(self.noted),
            _ => Some(Time(now.0.div_euclid(BUCKET_NS) * BUCKET_NS)),
        }
    }
}

/// The counter.
#[derive(Clone, Debug)]
pub struct ChainSession {
    settings: Settings,
    connections: [Option<Connection>; CONNECTIONS_MAX],
    hearing: [Hearing; 2],
    walker: Walker,
    event: EventBuf,
    seen: Dedupe,
    pools: Pools,
    buckets: Buckets,
    hands: Hands,
    counters: Counters,
    slot: u64,
    /// When the first of the connections opened.
    opened: Time,
    state: Option<StreamState>,
    /// Whether data was lost since the stream was last up.
    was_lost: bool,
    told_at: Time,
    told_end: i64,
}

/// The request that subscribes to a program; its id tells the program.
pub fn subscribe(program: Program) -> String {
    let id = program as u8 + 1;
    let mentions = program.text();
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"logsSubscribe","params":[{{"mentions":["{mentions}"]}},{{"commitment":"confirmed"}}]}}"#
    )
}

impl ChainSession {
    /// Not connected; all memory is taken.
    pub fn new(settings: Settings) -> ChainSession {
        ChainSession {
            settings,
            connections: [None; CONNECTIONS_MAX],
            hearing: [Hearing::default(); 2],
            walker: Walker::new(),
            event: EventBuf::default(),
            seen: Dedupe::new(settings.dedupe_slots, REMEMBER_NS, settings.seed),
            pools: Pools::new(settings.layout, settings.seed),
            buckets: Buckets::new(),
            hands: Hands::new(),
            counters: Counters::default(),
            slot: 0,
            opened: Time::NONE,
            state: None,
            was_lost: false,
            told_at: Time::NONE,
            told_end: 0,
        }
    }

    /// Hands back the buckets of earlier runs; those out of reach are left out. What lies between them and the first
    /// data of this run is a gap. Output: how many were taken.
    pub fn restore(&mut self, rows: impl IntoIterator<Item = VolumeBucket>, now: Time) -> usize {
        rows.into_iter().filter(|row| self.buckets.restore(row, now)).count()
    }

    /// A connection is open: subscribes, one request a program.
    pub fn on_open(&mut self, conn: u32, now: Time, out: &mut impl FnMut(&[u8])) {
        if self.connections.iter().all(Option::is_none) {
            self.opened = now;
        }
        let is_its = |slot: &Option<Connection>| slot.is_some_and(|open| open.id == conn);
        let known = self.connections.iter().position(is_its);
        let place = known.or_else(|| self.connections.iter().position(Option::is_none));
        if let Some(free) = place.and_then(|at| self.connections.get_mut(at)) {
            *free = Some(Connection { id: conn, subscriptions: [None; 2] });
        }
        self.settings.venues.programs().iter().for_each(|program| out(subscribe(*program).as_bytes()));
    }

    /// One whole frame.
    ///
    /// Errors: [`DecodeError`] with the byte; it counts as a lost transaction and the session goes on.
    pub fn on_frame(
        &mut self,
        conn: u32,
        bytes: &[u8],
        recv: Time,
        emit: &mut impl FnMut(Event),
    ) -> Result<FrameKind, DecodeError> {
        let read = frame(bytes).inspect_err(|_| {
            self.counters.strange += 1;
            self.buckets.lose(TRADES_PER_LOST_LOG, recv);
        })?;
        match read {
            Frame::Other => Ok(FrameKind::Control),
            Frame::Refused => Ok(FrameKind::Reset),
            Frame::Ack { id, subscription } => {
                self.on_ack(conn, id, subscription);
                Ok(FrameKind::Control)
            }
            Frame::Logs(notification) => {
                let Some(program) = self.program_of(conn, notification.subscription) else {
                    self.counters.strange += 1;
                    return Ok(FrameKind::Control);
                };
                self.note_silence(program, recv);
                self.counters.notifications += 1;
                self.slot = self.slot.max(notification.slot);
                let taken = self.on_transaction(program, &notification, bytes, recv);
                self.hear(program, recv, emit);
                taken.map(|()| FrameKind::Data)
            }
        }
    }

    fn on_ack(&mut self, conn: u32, id: u64, subscription: u64) {
        let program = self.settings.venues.programs().iter().position(|program| *program as u64 + 1 == id);
        let connection = self.connections.iter_mut().flatten().find(|connection| connection.id == conn);
        if let Some(place) = program.zip(connection).and_then(|(at, found)| found.subscriptions.get_mut(at)) {
            *place = Some(subscription);
        }
    }

    fn program_of(&self, conn: u32, subscription: u64) -> Option<Program> {
        let connection = self.connections.iter().flatten().find(|connection| connection.id == conn)?;
        let at = connection.subscriptions.iter().position(|known| *known == Some(subscription))?;
        self.settings.venues.programs().get(at).copied()
    }

    /// A transaction that mentions `program`.
    fn on_transaction(
        &mut self,
        program: Program,
        told: &Notification<'_>,
        bytes: &[u8],
        recv: Time,
    ) -> Result<(), DecodeError> {
        if told.failed {
            self.counters.failed += 1;
            return Ok(());
        }
        if !self.seen.is_new(told.signature, program as u8, recv) {
            self.counters.duplicates += 1;
            return Ok(());
        }
        let Some(logs) = told.logs else {
            self.counters.truncated += 1;
            self.buckets.lose(TRADES_PER_LOST_LOG, recv);
            return Ok(());
        };
        let ChainSession { walker, event, pools, buckets, counters, seen, hearing, .. } = self;
        let since = seen.remembers_since();
        let hearing = hearing.get_mut(program as usize);
        let mut newest_s = i64::MIN;
        let walk = walker.walk(bytes, logs, program.text().as_bytes(), &mut |data| match event.trade(program, data) {
            Ok(None) => {}
            Ok(Some(Trade::Curve(trade))) => {
                newest_s = newest_s.max(trade.at_s);
                let amount = Amount { quote: trade.quote, atoms: trade.amount, at_s: trade.at_s };
                note(buckets.count(amount, recv, since), counters);
            }
            Ok(Some(Trade::Amm(trade))) => {
                newest_s = newest_s.max(trade.at_s);
                match pools.get(&trade.pool) {
                    Some(pool) => count_amm(&trade, pool, buckets, counters, recv, since),
                    None if !buckets.believes(trade.at_s, recv, since) => counters.odd += 1,
                    None if pools.wait(trade, recv) => {}
                    None => lose_amm(&trade, buckets, counters, recv),
                }
            }
            Err(EventError::Base64 { .. } | EventError::Short { .. } | EventError::Tail { .. }) => {
                counters.unreadable += 1;
                buckets.lose(1, recv);
            }
        });
        let late_s = (recv.0 / NANOS_PER_SEC).saturating_sub(newest_s).saturating_abs();
        if let Some(hearing) = hearing.filter(|_| late_s <= FRESH_S) {
            hearing.fresh = Some(recv);
        }
        let walk = walk.inspect_err(|_| buckets.lose(TRADES_PER_LOST_LOG, recv))?;
        self.note_walk(walk, recv);
        Ok(())
    }

    fn note_walk(&mut self, walk: Walk, recv: Time) {
        self.counters.truncated += u64::from(walk.truncated);
        self.counters.distrusted += u64::from(walk.distrusted);
        if walk.truncated || walk.distrusted {
            self.buckets.lose(TRADES_PER_LOST_LOG, recv);
        }
    }

    /// A program was heard: the stream may be up.
    fn hear(&mut self, program: Program, recv: Time, emit: &mut impl FnMut(Event)) {
        if let Some(hearing) = self.hearing.get_mut(program as usize) {
            hearing.heard = Some(recv);
            hearing.is_cut = false;
        }
        if self.state == Some(StreamState::Up) || !self.hears_all(recv) {
            return;
        }
        self.buckets.touch(recv);
        if std::mem::take(&mut self.was_lost) {
            self.turn_to(StreamState::Gap, recv, emit);
        }
        self.turn_to(StreamState::Up, recv, emit);
        self.told_at = Time::NONE; // who lost us waits for the next sample
    }

    /// Notes the time that a program was not heard, up to `now`.
    fn note_silence(&mut self, program: Program, now: Time) {
        let Some(hearing) = self.hearing.get_mut(program as usize) else { return };
        let Some(since) = hearing.deaf_since(self.settings.silence_ns, now) else { return };
        let is_the_same = hearing.noted_since == since && hearing.noted != Time::NONE;
        let from = if is_the_same { since.max(hearing.noted.plus(-NANOS_PER_SEC)) } else { since };
        (hearing.noted, hearing.noted_since) = (now, since);
        self.buckets.silent(from, now);
    }

    fn hears_all(&self, now: Time) -> bool {
        let programs = self.settings.venues.programs().iter();
        let mut hearing = programs.filter_map(|program| self.hearing.get(*program as usize));
        hearing.all(|hearing| hearing.deaf_since(self.settings.silence_ns, now).is_none())
    }

    /// A connection is gone; the stream is down with the last one. A program that no other connection subscribed to is
    /// not heard from its last notification on.
    pub fn on_down(&mut self, conn: u32, now: Time, emit: &mut impl FnMut(Event)) {
        for slot in self.connections.iter_mut().filter(|slot| slot.is_some_and(|open| open.id == conn)) {
            *slot = None;
        }
        for (at, hearing) in self.hearing.iter_mut().enumerate() {
            let serves = |open: &Connection| open.subscriptions.get(at).is_some_and(Option::is_some);
            hearing.is_cut |= !self.connections.iter().flatten().any(serves);
        }
        if self.connections.iter().all(Option::is_none) {
            self.turn_to(StreamState::Down, now, emit);
        } else if self.state == Some(StreamState::Up) && !self.hears_all(now) {
            self.turn_to(StreamState::Stale, now, emit);
        }
    }

    /// Call once a second: notes silence, gives up trades whose pool nobody knows, tells the sample when it is due.
    pub fn on_timer(&mut self, now: Time, emit: &mut impl FnMut(Event)) {
        let is_connected = self.connections.iter().any(Option::is_some);
        if self.hears_all(now) {
            self.buckets.touch(now);
        } else {
            let programs = self.settings.venues.programs();
            programs.iter().for_each(|program| self.note_silence(*program, now));
            let is_patient = self.state != Some(StreamState::Up) && now.since(self.opened) < self.settings.silence_ns;
            if is_connected && !is_patient && self.state != Some(StreamState::Stale) {
                self.turn_to(StreamState::Stale, now, emit);
            }
        }
        let ChainSession { pools, buckets, counters, .. } = self;
        pools.expire(now, |trade| lose_amm(&trade, buckets, counters, now));
        let end = complete_before(now);
        if end > self.told_end || now.since(self.told_at) >= SAMPLE_EVERY_NS {
            (self.told_end, self.told_at) = (end, now);
            emit(event(EventKind::Volume(self.sample(now)), now));
        }
    }

    /// Who listens lost events: the state again, and a sample with the next timer.
    pub fn tell_again(&mut self, now: Time, emit: &mut impl FnMut(Event)) {
        self.told_at = Time::NONE;
        if let Some(state) = self.state {
            emit(event(EventKind::Stream(state), now));
        }
    }

    /// SOL stands at `price`.
    pub fn on_mid(&mut self, price: Price, at: Time) {
        self.buckets.on_mid(price, at);
    }

    /// The two windows at `now`, and how far they can be believed.
    pub fn sample(&self, now: Time) -> VolumeSample {
        let sample = self.buckets.window(now);
        let (state, reason) = match self.state {
            Some(StreamState::Down) => (SourceState::Down, SourceReason::NoAnswer),
            _ if sample.state != SourceState::Ok => (sample.state, sample.reason),
            _ if !self.hands.may_mix(&self.buckets, now) => (SourceState::Suspect, SourceReason::TwoHands),
            Some(StreamState::Up) => (SourceState::Ok, SourceReason::None),
            _ => (SourceState::Stale, SourceReason::TooOld),
        };
        VolumeSample { state, reason, as_of: self.heard().unwrap_or(sample.as_of), ..sample }
    }

    /// Up to when all programs were heard.
    fn heard(&self) -> Option<Time> {
        let heard = |program: &Program| self.hearing.get(*program as usize).and_then(|hearing| hearing.heard);
        self.settings.venues.programs().iter().map(heard).min().flatten()
    }

    /// Pools to ask a node about by `getMultipleAccounts`; `None` if there is none now.
    pub fn pools_wanted(&mut self, now: Time) -> Option<PoolsWanted> {
        self.pools.wanted(now)
    }

    /// The body of the request for them.
    pub fn pools_request(&self, wanted: &PoolsWanted, id: u64, out: &mut Vec<u8>) {
        wanted.request(id, self.settings.layout, out);
    }

    /// The answer to it; trades that waited are counted. Output: pools learned.
    ///
    /// Errors: [`DecodeError`]; the pools are asked about again after five seconds.
    pub fn on_pools(&mut self, asked: &PoolsWanted, body: &[u8], now: Time) -> Result<usize, DecodeError> {
        let ChainSession { pools, buckets, counters, .. } = self;
        let none = Time::NONE; // what waits was new, and believed, when it came
        pools.on_answer(asked, body, |(trade, pool)| count_amm(&trade, pool, buckets, counters, now, none))
    }

    /// Complete buckets that changed since they were last taken: to be kept over a restart.
    pub fn take_closed(&mut self, now: Time) -> impl Iterator<Item = VolumeBucket> + '_ {
        std::iter::from_fn(move || self.buckets.take_closed(now))
    }

    /// The same and the open ones, at the end of the run.
    pub fn take_last(&mut self, now: Time) -> impl Iterator<Item = VolumeBucket> + '_ {
        std::iter::from_fn(move || self.buckets.take_last(now))
    }

    /// Somebody else's rows; `price_at` = SOL's price at a time, if it is known. Output: buckets filled.
    pub fn on_backfill(
        &mut self,
        source: BucketSource,
        rows: &[HourRow],
        now: Time,
        price_at: impl FnMut(Time) -> Option<Price>,
    ) -> usize {
        self.told_at = Time::NONE; // the windows are others now
        self.hands.compare(&self.buckets, source, rows, now);
        fill(&mut self.buckets, source, rows, now, price_at)
    }

    /// The span of whole hours within the last 48 that somebody else should fill, or tell beside ours to be compared;
    /// `None` if nothing is missing.
    pub fn backfill_wanted(&self, now: Time) -> Option<(Time, Time)> {
        super::backfill::wanted(&self.buckets, now).or_else(|| self.hands.wanted(&self.buckets, now))
    }

    /// The same in buckets for the hour that runs, or has only just ended: without it a window begun late in an hour
    /// lacks too much to be believed until the next one.
    pub fn backfill_rest_wanted(&self, now: Time) -> Option<(Time, Time)> {
        super::backfill::rest_wanted(&self.buckets, now)
    }

    /// The buckets, to look at.
    pub fn buckets(&self) -> &Buckets {
        &self.buckets
    }
    /// What came so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
    /// State of the stream; `None` before anything happened.
    pub fn state(&self) -> Option<StreamState> {
        self.state
    }
    /// The newest slot told of.
    pub fn slot(&self) -> u64 {
        self.slot
    }
    /// Trades that wait for their pool.
    pub fn waiting(&self) -> usize {
        self.pools.waiting()
    }
    /// Bytes held; the same from start to end.
    pub fn bytes(&self) -> usize {
        self.seen.bytes() + self.pools.bytes() + self.buckets.bytes() + size_of::<ChainSession>()
    }

    /// Tells a change of health, once.
    fn turn_to(&mut self, state: StreamState, at: Time, emit: &mut impl FnMut(Event)) {
        if self.state != Some(state) {
            self.was_lost |= self.state == Some(StreamState::Up);
            self.state = Some(state);
            emit(event(EventKind::Stream(state), at));
        }
    }
}

/// Not yet numbered: the hot agent sets `seq` and `at`.
fn event(kind: EventKind, recv: Time) -> Event {
    Event { seq: 0, recv, at: Time::NONE, venue_time: Time::NONE, stream: StreamId::PumpChain, kind }
}

/// A trade of a pool that is known.
fn count_amm(trade: &AmmTrade, pool: Pool, buckets: &mut Buckets, counters: &mut Counters, now: Time, since: Time) {
    match pool {
        Pool::Odd => counters.odd_pools += 1,
        Pool::Paid(quote) => {
            let amount = Amount { quote, atoms: trade.amount, at_s: trade.at_s };
            note(buckets.count(amount, now, since), counters);
        }
    }
}

/// A trade of a pool that nobody told us of.
fn lose_amm(trade: &AmmTrade, buckets: &mut Buckets, counters: &mut Counters, now: Time) {
    counters.unresolved += 1;
    let at = Time(trade.at_s.saturating_mul(NANOS_PER_SEC));
    let is_in_reach = now.since(at).abs() <= REMEMBER_NS;
    buckets.lose(1, if is_in_reach { at } else { now });
}

fn note(outcome: Counted, counters: &mut Counters) {
    match outcome {
        Counted::Counted => counters.trades += 1,
        Counted::Odd => counters.odd += 1,
        Counted::Unpriced => counters.unpriced += 1,
        Counted::OtherQuote => counters.other_quote += 1,
        Counted::Covered => {}
    }
}
