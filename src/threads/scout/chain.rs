//! The post of the chain's own volume: log subscriptions of the memecoin programs, pools looked up, hours filled in.
//!
//! Runs on: the scout's thread.  Invariants: as of the session; a bucket that closed goes to the ledger, and one that
//! finds no room there is offered again when it changes; a back-fill is asked for at the start and then again and
//! again while something is missing: whole hours first, then the five minutes after them.

use super::line::{Line, Listener};
use super::{Around, Heard, Post, Rest};
use crate::ring::Tap;
use crate::sys::net::{FrameVerdict, Link};
use crate::telemetry::lines::rfc3339_us;
use crate::types::chain::{BucketSource, VolumeBucket};
use crate::types::event::{Event, StreamState};
use crate::types::note::WireNote;
use crate::types::time::NANOS_PER_SEC;
use crate::types::{Price, StreamId, Time};
use crate::venue::pumpchain::Counters;
use crate::venue::pumpchain::backfill::bitquery::{self, Grain};
use crate::venue::pumpchain::pools::PoolsWanted;
use crate::venue::pumpchain::session::{ChainSession, FrameKind, Settings};
use crossbeam_channel::Sender;
use mio::Registry;
use std::io;

/// What a recording calls the answers about pools, and the questions.
const POOLS_SOURCE: &str = "solana_rpc:getMultipleAccounts";
const POOLS_ASKED_SOURCE: &str = "solana_rpc_asked:getMultipleAccounts";
/// Between two requests for what is missing.
const BACKFILL_EVERY_NS: i64 = 900 * NANOS_PER_SEC;
/// The same after one that failed.
const BACKFILL_RETRY_NS: i64 = 60 * NANOS_PER_SEC;

/// A price older than this says nothing about today's.
const MID_NS_MAX: i64 = 60 * NANOS_PER_SEC;
/// How far back today's price may stand in for one that nobody told.
const MID_STANDS_IN_NS: i64 = 3 * 3_600 * NANOS_PER_SEC;

/// What a past hour's SOL cost; `None` = not known.
pub type PriceAt = Box<dyn Fn(Time) -> Option<Price> + Send>;

/// Who fills in the hours before the first start.
pub struct Backfill {
    rest: Rest,
    price_at: PriceAt,
    due: Time,
    asked: Option<(Time, Time, Grain)>,
    /// Hours were told; next the buckets after them.
    rest_is_next: bool,
}

impl Backfill {
    /// Around a client of the hosted counter; `price_at` turns its dollars into SOL.
    pub fn new(rest: Rest, price_at: PriceAt) -> Backfill {
        Backfill { rest, price_at, due: Time::NONE, asked: None, rest_is_next: false }
    }
}

/// See the module.
pub struct ChainPost {
    line: Line<ChainSession>,
    rest: Rest,
    backfill: Option<Backfill>,
    settings: Settings,
    asked: Option<PoolsWanted>,
    body: Vec<u8>,
    rows: Sender<VolumeBucket>,
    closed_due: Time,
    /// What was told of the session's counters.
    told: Counters,
    mid_at: Time,
    /// Since when the stream is stale; `None` = it is not.
    deaf_since: Option<Time>,
}

/// A subscription that nobody answers, or that has gone dead, is silence on a connection that lives: made anew after this.
const DEAF_NS_MAX: i64 = 30 * NANOS_PER_SEC;
/// How often closed buckets are looked for.
const CLOSED_EVERY_NS: i64 = NANOS_PER_SEC;

impl ChainPost {
    /// Around connections that are not open yet. `kept` are the buckets of earlier runs, `rows` takes this run's.
    pub fn new(
        (link, rest, backfill): (Link, Rest, Option<Backfill>),
        settings: Settings,
        kept: Vec<VolumeBucket>,
        rows: Sender<VolumeBucket>,
        now: Time,
    ) -> ChainPost {
        let mut session = ChainSession::new(settings);
        session.restore(kept, now);
        ChainPost {
            line: Line::new(link, session),
            rest,
            backfill,
            settings,
            asked: None,
            body: Vec::new(),
            rows,
            closed_due: Time::NONE,
            told: Counters::default(),
            mid_at: Time::NONE,
            deaf_since: None,
        }
    }

    fn hear_pools(&mut self, now: Time, tap: &Tap) {
        let Some(asked) = self.asked.as_ref() else { return };
        match self.rest.turn(now) {
            None => return,
            Some(Ok(answer)) if answer.status == 200 => {
                tap.frame(POOLS_SOURCE, answer.recv, answer.body);
                if let Err(why) = self.line.session.on_pools(asked, answer.body, now) {
                    log::warn!("the pools' accounts cannot be read: {why}");
                }
            }
            Some(Ok(answer)) => log::warn!("the pools' accounts were not read: HTTP status {}", answer.status),
            Some(Err(())) => {}
        }
        self.asked = None; // what was not answered is wanted again
    }

    /// The question is recorded as well: an answer does not say whose accounts it holds.
    fn ask_pools(&mut self, now: Time, tap: &Tap) {
        if self.asked.is_some() || self.rest.is_busy() {
            return;
        }
        let Some(wanted) = self.line.session.pools_wanted(now) else { return };
        self.body.clear();
        self.line.session.pools_request(&wanted, 1, &mut self.body);
        if self.rest.post(&self.body, now) {
            tap.frame(POOLS_ASKED_SOURCE, now, &self.body);
            self.asked = Some(wanted);
        }
    }

    /// Connects anew where silence lasts.
    fn mind_silence(&mut self, now: Time, heard: &mut Heard) {
        if self.line.session.state() != Some(StreamState::Stale) {
            self.deaf_since = None;
        } else if now.since(*self.deaf_since.get_or_insert(now)) > DEAF_NS_MAX {
            log::warn!("the log subscriptions have been silent for too long: connecting anew");
            self.deaf_since = Some(now);
            self.line.reset(now, heard);
        }
    }

    /// What became of notifications and trades since this was last told: an operator sees what is not counted.
    fn tell_counters(&mut self, heard: &mut Heard) {
        let counters = *self.line.session.counters();
        for ((what, count), (_, told)) in counters.named().into_iter().zip(self.told.named()) {
            if let Some(more) = u32::try_from(count - told).ok().filter(|more| *more > 0) {
                heard.notes.push(WireNote::Chain { what, more });
            }
        }
        self.told = counters;
    }

    /// `mid` stands in for hours whose price nobody told: the running one, and those since the start.
    fn fill_in(&mut self, mid: Price, now: Time, tap: &Tap) {
        let Some(fill) = &mut self.backfill else { return };
        if fill.asked.is_some() {
            hear_backfill(fill, &mut self.line.session, mid, (now, tap));
            return;
        }
        if now < fill.due || mid.0 <= 0 {
            return;
        }
        let is_rest = std::mem::take(&mut fill.rest_is_next);
        let (wanted, grain) = match is_rest {
            true => (self.line.session.backfill_rest_wanted(now), Grain::FiveMinutes),
            false => (self.line.session.backfill_wanted(now), Grain::Hour),
        };
        let Some((since, till)) = wanted else {
            fill.rest_is_next = !is_rest;
            fill.due = if is_rest { now.plus(BACKFILL_EVERY_NS) } else { now };
            return;
        };
        let body = bitquery::request(self.settings.venues, grain, &rfc3339_us(since), &rfc3339_us(till));
        if fill.rest.post(body.as_bytes(), now) {
            fill.asked = Some((since, till, grain));
        } else {
            fill.due = now.plus(BACKFILL_RETRY_NS);
        }
    }
}

/// What a recording calls the rows of a back-fill.
fn grain_source(grain: Grain) -> &'static str {
    match grain {
        Grain::Hour => "bitquery:hours",
        Grain::FiveMinutes => "bitquery:five_minutes",
    }
}

/// The answer to the question that is out, if it is there.
fn hear_backfill(fill: &mut Backfill, session: &mut ChainSession, mid: Price, (now, tap): (Time, &Tap)) {
    let Some((since, till, grain)) = fill.asked else { return };
    let Some(answer) = fill.rest.turn(now) else { return };
    fill.asked = None;
    let rows = answer.and_then(|answer| {
        if answer.status == 200 {
            tap.frame(grain_source(grain), answer.recv, answer.body);
        }
        let rows = bitquery::rows(answer.status, answer.body, grain, since, till);
        rows.map_err(|why| log::warn!("the back-fill cannot be used: {why}"))
    });
    let Ok(rows) = rows else {
        fill.due = now.plus(BACKFILL_RETRY_NS);
        return;
    };
    let stands_in = |at: Time| mid.0 > 0 && now.since(at) <= MID_STANDS_IN_NS;
    let price_at = |at: Time| (fill.price_at)(at).or(stands_in(at).then_some(mid));
    let filled = session.on_backfill(BucketSource::Bitquery, &rows, now, price_at);
    log::info!("the back-fill brought {} rows, {filled} buckets were filled in", rows.len());
    fill.rest_is_next = grain == Grain::Hour;
    fill.due = if fill.rest_is_next { now } else { now.plus(BACKFILL_EVERY_NS) };
}

/// Buckets to the ledger's thread; one that finds no room comes again with the next change of its bucket.
fn keep(rows: &Sender<VolumeBucket>, buckets: impl Iterator<Item = VolumeBucket>) {
    let lost = buckets.filter(|bucket| rows.try_send(*bucket).is_err()).count();
    if lost > 0 {
        log::error!("{lost} volume buckets were not kept: the cold side does not keep up");
    }
}

impl Post for ChainPost {
    fn register(&mut self, registry: &Registry, token: usize) -> io::Result<usize> {
        let token = self.line.register(registry, token)?;
        let token = self.rest.register(registry, token)?;
        match &mut self.backfill {
            Some(fill) => fill.rest.register(registry, token),
            None => Ok(token),
        }
    }
    fn turn(&mut self, now: Time, heard: &mut Heard) -> usize {
        self.hear_pools(now, &heard.tap);
        self.line.turn(now, heard)
    }
    fn chores(&mut self, around: Around, heard: &mut Heard) {
        let (now, (mid, mid_at)) = (around.now, around.mid);
        let mid = if now.since(mid_at) > MID_NS_MAX { Price::ZERO } else { mid };
        if mid.0 > 0 && mid_at != self.mid_at {
            self.mid_at = mid_at;
            self.line.session.on_mid(mid, mid_at);
        }
        self.line.session.on_timer(now, &mut |event| heard.events.push(event));
        self.mind_silence(now, heard);
        self.ask_pools(now, &heard.tap);
        self.fill_in(mid, now, &heard.tap);
        if now >= self.closed_due {
            self.closed_due = now.plus(CLOSED_EVERY_NS);
            keep(&self.rows, self.line.session.take_closed(now));
            self.tell_counters(heard);
        }
    }
    fn deadline(&self) -> Time {
        let rest = self.rest.deadline().min(self.line.deadline());
        self.backfill.as_ref().map_or(rest, |fill| rest.min(fill.rest.deadline()))
    }
    fn streams(&self) -> &'static [StreamId] {
        ChainSession::STREAMS
    }
    /// What was counted stays: only samples were lost on the way to the engine. State and windows are told again.
    fn start_anew(&mut self, now: Time, heard: &mut Heard) {
        self.line.session.tell_again(now, &mut |event| heard.events.push(event));
    }
    fn stop(&mut self, now: Time, heard: &mut Heard) {
        self.line.stop(now, heard);
        keep(&self.rows, self.line.session.take_last(now));
    }
}

impl Listener for ChainSession {
    const STREAMS: &'static [StreamId] = &[StreamId::PumpChain];
    const SOURCE: &'static str = "solana_logs";
    const NAME: &'static str = "memecoin logs";

    fn on_open(&mut self, conn: u32, now: Time, send: &mut impl FnMut(&[u8])) {
        self.on_open(conn, now, send);
    }
    fn on_frame(
        &mut self,
        conn: u32,
        frame: &[u8],
        recv: Time,
        _send: &mut impl FnMut(&[u8]),
        emit: &mut impl FnMut(Event),
    ) -> Result<FrameVerdict, Option<usize>> {
        match self.on_frame(conn, frame, recv, emit) {
            Ok(FrameKind::Data) => Ok(FrameVerdict::Data),
            Ok(FrameKind::Control) => Ok(FrameVerdict::Control),
            Ok(FrameKind::Reset) => Ok(FrameVerdict::Reset),
            Err(why) => Err(why.at()), // thousands a second may come: no line for each
        }
    }
    fn on_down(&mut self, conn: u32, now: Time, emit: &mut impl FnMut(Event)) {
        self.on_down(conn, now, emit);
    }
}
