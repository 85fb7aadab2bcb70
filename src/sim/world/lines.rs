//! Connections between the house and the venues: late, cut, half-open, but in order, as TCP is.
//!
//! Thread: any.  Invariants: within a connection and a direction nothing overtakes; a frame is lost only with its
//! connection; each end learns of the other's end in its own time.

use super::chance::Chance;
use crate::sim::server::binance::{ApiSession, StreamSession};
use crate::sim::server::solana::SlotSession;
use crate::types::Time;
use crate::types::time::NANOS_PER_MILLI;

/// What a connection leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// Binance market streams.
    Streams,
    /// Binance WebSocket API: orders and the account's own events.
    Orders,
    /// Solana slots.
    Slots,
}

impl Door {
    /// All of them, in order.
    pub const ALL: [Door; 3] = [Door::Streams, Door::Orders, Door::Slots];
}

/// The venue's end of a connection.
pub(super) enum Far {
    /// Market streams.
    Streams(StreamSession),
    /// WebSocket API.
    Orders(Box<ApiSession>),
    /// Slots.
    Slots(SlotSession),
}

/// How fast frames travel: the slower of the two numbers now and then.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Shortest way, ns.
    pub least_ns: i64,
    /// Longest ordinary way, ns.
    pub most_ns: i64,
}

/// One connection.
pub(super) struct Line {
    /// Where it leads.
    pub door: Door,
    /// Which life of the house opened it.
    pub life: u32,
    /// The venue's end; `None` = not open yet, or closed by the venue.
    pub far: Option<Far>,
    /// The house uses it.
    pub near: bool,
    /// Half-open since: nothing arrives either way, and nobody says so.
    pub mute_since: Option<Time>,
    /// When the house saw it open.
    pub opened: Time,
    /// The house saw data on it.
    pub has_data: bool,
    up_free: Time,
    down_free: Time,
    /// What would reach the house later than this is lost.
    pub down_until: Time,
}

impl Line {
    /// A connection that is being opened.
    pub fn new((life, door): (u32, Door), now: Time) -> Line {
        Line {
            door,
            life,
            far: None,
            near: false,
            mute_since: None,
            opened: now,
            has_data: false,
            up_free: now,
            down_free: now,
            down_until: Time(i64::MAX),
        }
    }
    /// When a frame sent now reaches the venue.
    pub fn up(&mut self, now: Time, travel_ns: i64) -> Time {
        self.up_free = self.up_free.max(now.plus(travel_ns));
        self.up_free
    }
    /// When a frame sent now reaches the house.
    pub fn down(&mut self, now: Time, travel_ns: i64) -> Time {
        self.down_free = self.down_free.max(now.plus(travel_ns));
        self.down_free
    }
}

impl Pace {
    /// One way's time: mostly near the shortest, once in sixteen anything up to the longest.
    pub fn travel_ns(&self, chance: &mut Chance) -> i64 {
        let near = self.least_ns + NANOS_PER_MILLI / 2;
        if chance.one_in(16) {
            chance.between(self.least_ns, self.most_ns)
        } else {
            chance.between(self.least_ns, near.min(self.most_ns))
        }
    }
}
