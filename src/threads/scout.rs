//! The scout agent: feeds that inform an entry but never time an order: Kraken, Solana's exchanges, the chain's own volume.
//!
//! Runs on: a thread of its own, on no core in particular, so that a flood of chain events costs the trading core
//! nothing.  Owns: one [`Post`] for each feed in use.  Clock: once per read, by the links; once more for each event.
//! Writes: rings `scout`, `journal_scout`.  Never: blocks, decides, sends an order.

mod chain;
mod dex;
mod kraken;
mod ladder;
mod line;
mod rest;

pub use chain::{Backfill, ChainPost, PriceAt};
pub use dex::DexPost;
pub use kraken::KrakenPost;
pub use ladder::LadderPost;
pub use rest::Rest;

use super::runner::{Agent, Work};
use crate::ring::{EventItem, LatestMid, LatestSlot, Sender, Tap};
use crate::sys::clock::Clock;
use crate::types::event::{Event, EventKind, StreamState};
use crate::types::note::WireNote;
use crate::types::time::NANOS_PER_MILLI;
use crate::types::{Price, StreamId, Time};
use mio::Registry;
use std::io;
use std::sync::Arc;

/// How often silence is looked for, samples are taken and requests are considered.
const CHORES_NS: i64 = 20 * NANOS_PER_MILLI;

/// One feed: its sockets and the pure session behind them.
pub trait Post: Send {
    /// Tells the poller of the thread about its sockets. Output: the first token not used.
    fn register(&mut self, registry: &Registry, token: usize) -> io::Result<usize>;
    /// Reads what is there. Output: frames handled.
    fn turn(&mut self, now: Time, heard: &mut Heard) -> usize;
    /// What time brings: silence, samples, requests.
    fn chores(&mut self, around: Around, heard: &mut Heard);
    /// When it wants to be called even if no socket is ready.
    fn deadline(&self) -> Time;
    /// Streams that begin again when events were lost behind it.
    fn streams(&self) -> &'static [StreamId];
    /// Forgets what it knows and connects anew.
    fn start_anew(&mut self, now: Time, heard: &mut Heard);
    /// Closes its connections.
    fn stop(&mut self, now: Time, heard: &mut Heard);
}

/// What a post may want to know of the other agents' feeds.
#[derive(Clone, Copy, Debug)]
pub struct Around {
    /// Now.
    pub now: Time,
    /// Newest slot of the chain; 0 = none known.
    pub slot: u64,
    /// Newest mid of the traded venue and when it was read; zero = none known.
    pub mid: (Price, Time),
}

/// What one turn heard, on its way to the rings.
#[derive(Debug, Default)]
pub struct Heard {
    /// For the engine.
    pub events: Vec<Event>,
    /// For the cold side.
    pub notes: Vec<WireNote>,
    /// For a recorder: every frame and every good answer as it came.
    pub tap: Tap,
}

impl Heard {
    /// A frame that could not be decoded.
    fn bad_frame(&mut self, stream: StreamId, at: Option<usize>) {
        let at_byte = u32::try_from(at.unwrap_or(0)).unwrap_or(u32::MAX);
        self.notes.push(WireNote::BadFrame { stream, at_byte });
    }
    /// A connection after the first.
    fn reconnected(&mut self, streams: &[StreamId]) {
        self.notes.extend(streams.iter().map(|&stream| WireNote::Reconnected { stream }));
    }
}

/// Where the scout's words go, and what it hears of the others.
#[derive(Debug)]
pub struct ScoutRings {
    /// Events for the engine.
    pub events: Sender<EventItem>,
    /// What the wire saw.
    pub notes: Sender<WireNote>,
    /// Newest slot, from `ingest`.
    pub slot: Arc<LatestSlot>,
    /// Newest mid, from `ingest`.
    pub mid: Arc<LatestMid>,
}

/// The scout agent.
pub struct Scout {
    posts: Vec<Box<dyn Post>>,
    rings: ScoutRings,
    clock: Clock,
    heard: Heard,
    chores_at: Time,
    /// An event found no room: what the engine believes has a hole.
    overflowed: bool,
}

impl Scout {
    /// Around posts that are registered but not connected yet.
    pub fn new(posts: Vec<Box<dyn Post>>, rings: ScoutRings, clock: Clock) -> Scout {
        Scout { posts, rings, clock, heard: Heard::default(), chores_at: Time::NONE, overflowed: false }
    }

    /// Copies every frame and answer to a recorder.
    #[must_use]
    pub fn with_tap(mut self, tap: Tap) -> Scout {
        self.heard.tap = tap;
        self
    }

    fn tell(&mut self) {
        let decoded = self.clock.now();
        for event in self.heard.events.drain(..) {
            self.overflowed |= self.rings.events.push(EventItem { event, decoded }).is_err();
        }
        for note in self.heard.notes.drain(..) {
            _ = self.rings.notes.push(note); // a figure: dropped and counted by the gauge
        }
    }

    fn do_chores(&mut self, now: Time) {
        self.chores_at = now.plus(CHORES_NS);
        let around = Around { now, slot: self.rings.slot.get(), mid: self.rings.mid.get() };
        self.posts.iter_mut().for_each(|post| post.chores(around, &mut self.heard));
        if self.overflowed && self.rings.events.room() > self.rings.events.depth() / 2 {
            self.start_anew(now);
        }
    }

    /// Events were lost between us and the engine: all feeds begin again, so that nothing is believed by halves.
    fn start_anew(&mut self, now: Time) {
        self.overflowed = false;
        for post in &mut self.posts {
            let gap = |&stream: &StreamId| Event {
                seq: 0,
                recv: now,
                at: Time::NONE,
                venue_time: Time::NONE,
                stream,
                kind: EventKind::Stream(StreamState::Gap),
            };
            self.heard.events.extend(post.streams().iter().map(gap));
            post.start_anew(now, &mut self.heard);
        }
    }
}

impl Agent for Scout {
    fn turn(&mut self, now: Time) -> Work {
        let mut handled = 0;
        for post in &mut self.posts {
            handled += post.turn(now, &mut self.heard);
        }
        if now >= self.chores_at {
            self.do_chores(now);
        }
        self.tell();
        Work { count: u32::try_from(handled).unwrap_or(u32::MAX) }
    }
    fn idle(&self) -> bool {
        true // it reads sockets only, and those wake the poller
    }
    fn deadline(&self) -> Option<Time> {
        let posts = self.posts.iter().map(|post| post.deadline()).min();
        Some(posts.map_or(self.chores_at, |at| at.min(self.chores_at)))
    }
    fn finish(&mut self, now: Time) {
        self.posts.iter_mut().for_each(|post| post.stop(now, &mut self.heard));
        self.tell();
    }
}
