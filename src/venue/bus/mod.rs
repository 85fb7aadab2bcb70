//! The bus: samples that other machines publish, one JSON object a message, become events of the streams they name.
//!
//! Thread: any.  Invariants: a stream is `Up` only with a fresh sample over a standing connection, `Stale` once its
//! newest sample is too old, `Down` with the connection; a sample that is old, out of order or ahead of our clock is
//! refused and says why. Core NATS numbers nothing, so what was lost before it reached us is not seen here: every
//! sample is absolute, and a `Gap` is told where the loss was ours.

mod fields;
mod instant;
mod sample;

pub use fields::{PAYLOAD_BYTES_MAX, SampleError};
pub use sample::{AHEAD_NS_MAX, STREAMS, Sample, decode};

use crate::types::event::{StreamState, VolumeDefinition};
use crate::types::time::NANOS_PER_DAY;
use crate::types::{Event, EventKind, StreamId, Time};

/// After this many slots in a row below the newest one, the newest one is taken for the error.
const BACKWARD_MAX: u32 = 32;

/// Why a message gave no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no sample.
    #[error(transparent)]
    Unreadable(#[from] SampleError),
    /// It tells of too long ago.
    #[error("what it tells of is {age_ms} ms old")]
    TooOld {
        /// Its age.
        age_ms: i64,
    },
    /// Not newer than one that was taken.
    #[error("it is not newer than the newest one")]
    NotNewer,
    /// Ahead of our clock.
    #[error("its time is {ahead_ms} ms ahead of ours")]
    Ahead {
        /// By how much.
        ahead_ms: i64,
    },
    /// It waited here while the connection was lost.
    #[error("the connection it came by is gone")]
    Disconnected,
}

impl Refused {
    /// Name in metrics and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Refused::Unreadable(_) => "unreadable",
            Refused::TooOld { .. } => "too_old",
            Refused::NotNewer => "not_newer",
            Refused::Ahead { .. } => "ahead",
            Refused::Disconnected => "disconnected",
        }
    }
    /// All names.
    pub const NAMES: [&'static str; 5] = ["unreadable", "too_old", "not_newer", "ahead", "disconnected"];
}

/// One stream taken from the bus.
#[derive(Clone, Copy, Debug)]
struct Feed {
    stream: StreamId,
    stale_ns: i64,
    /// Time of the newest sample taken; among those of one time, the number of the trade.
    newest: (Time, i64),
    slot: u64,
    backward: u32,
    state: Option<StreamState>,
}

impl Feed {
    fn turn_to(&mut self, state: StreamState, now: Time, emit: &mut impl FnMut(Event)) {
        if self.state.replace(state) != Some(state) {
            emit(event(self.stream, EventKind::Stream(state), now, Time::NONE));
        }
    }

    /// Whether a sample may be believed now.
    fn check(&mut self, sample: &Sample, now: Time) -> Result<(), Refused> {
        let ahead = sample.ts.since(now);
        if ahead > AHEAD_NS_MAX {
            return Err(Refused::Ahead { ahead_ms: ahead / 1_000_000 });
        }
        let (age, age_max) = match &sample.kind {
            // The last day that is over, or until it has settled the one before.
            EventKind::Volume(volume) if volume.definition == VolumeDefinition::UtcDay => {
                let age = now.since(sample.ts);
                let is_recent = sample.ts.day_start().since(volume.bucket_end) <= NANOS_PER_DAY;
                (if is_recent { age } else { now.since(volume.bucket_end) }, self.stale_ns)
            }
            EventKind::Volume(volume) => (now.since(sample.ts.min(volume.bucket_end)), self.stale_ns),
            _ => (now.since(sample.ts), self.stale_ns),
        };
        if age > age_max {
            return Err(Refused::TooOld { age_ms: age / 1_000_000 });
        }
        let number = if let EventKind::Trade(trade) = &sample.kind { trade.trade_id } else { 0 };
        if (sample.ts, number) <= self.newest {
            return Err(Refused::NotNewer);
        }
        if let EventKind::Slot(slot) = &sample.kind {
            self.check_slot(slot.slot)?;
        }
        self.newest = (sample.ts, number);
        Ok(())
    }

    /// Slots rise; a long row of lower ones means that the high one was the error.
    fn check_slot(&mut self, slot: u64) -> Result<(), Refused> {
        if slot <= self.slot && self.backward < BACKWARD_MAX {
            self.backward += 1;
            return Err(Refused::NotNewer);
        }
        (self.slot, self.backward) = (slot, 0);
        Ok(())
    }
}

fn event(stream: StreamId, kind: EventKind, recv: Time, venue_time: Time) -> Event {
    Event { seq: 0, recv, at: Time::NONE, venue_time, stream, kind }
}

/// The streams taken from the bus, over one connection.
#[derive(Clone, Debug)]
pub struct BusSession {
    feeds: Vec<Feed>,
    is_connected: bool,
}

impl BusSession {
    /// Not connected. `feeds`: which streams, and how old the newest sample of each may be, ns.
    pub fn new(feeds: &[(StreamId, i64)]) -> BusSession {
        let feed = |&(stream, stale_ns): &(StreamId, i64)| Feed {
            stream,
            stale_ns,
            newest: (Time::NONE, -1),
            slot: 0,
            backward: 0,
            state: None,
        };
        BusSession { feeds: feeds.iter().map(feed).collect(), is_connected: false }
    }

    /// The connection stands. Says nothing of any stream: that takes a sample.
    pub fn on_open(&mut self) {
        self.is_connected = true;
    }

    /// The connection is gone, or could not be had; told once.
    pub fn on_down(&mut self, now: Time, emit: &mut impl FnMut(Event)) {
        self.is_connected = false;
        self.feeds.iter_mut().for_each(|feed| feed.turn_to(StreamState::Down, now, emit));
    }

    /// One message. Of a stream that is not taken from here it gives nothing.
    ///
    /// Errors: [`Refused`]; the stream stays as it was.
    pub fn on_message(
        &mut self,
        stream: StreamId,
        body: &[u8],
        recv: Time,
        emit: &mut impl FnMut(Event),
    ) -> Result<(), Refused> {
        let is_connected = self.is_connected;
        let Some(feed) = self.feeds.iter_mut().find(|feed| feed.stream == stream) else { return Ok(()) };
        if !is_connected {
            return Err(Refused::Disconnected);
        }
        let sample = decode(stream, body)?;
        feed.check(&sample, recv)?;
        feed.turn_to(StreamState::Up, recv, emit);
        emit(event(stream, sample.kind, recv, sample.ts));
        Ok(())
    }

    /// Messages were lost on our side, nobody can say of which stream: what was up has a gap until its next sample.
    pub fn on_lost(&mut self, now: Time, emit: &mut impl FnMut(Event)) {
        let up = self.feeds.iter_mut().filter(|feed| feed.state == Some(StreamState::Up));
        up.for_each(|feed| feed.turn_to(StreamState::Gap, now, emit));
    }

    /// Call several times a second: tells silence, once.
    pub fn on_timer(&mut self, now: Time, emit: &mut impl FnMut(Event)) {
        let up = self.feeds.iter_mut().filter(|feed| feed.state == Some(StreamState::Up));
        let old = up.filter(|feed| now.since(feed.newest.0) > feed.stale_ns);
        old.for_each(|feed| feed.turn_to(StreamState::Stale, now, emit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: i64 = 1_000_000_000;
    /// 2026-11-22T18:30:00Z.
    const NOW: i64 = 1_795_372_200 * SEC;
    const STALE_NS: i64 = 60 * SEC;

    struct Desk {
        session: BusSession,
        told: Vec<String>,
    }

    impl Desk {
        fn new(stream: StreamId) -> Desk {
            let mut session = BusSession::new(&[(stream, STALE_NS)]);
            session.on_open();
            Desk { session, told: Vec::new() }
        }
        fn with<T>(&mut self, act: impl FnOnce(&mut BusSession, &mut dyn FnMut(Event)) -> T) -> T {
            let told = &mut self.told;
            act(&mut self.session, &mut |event| {
                told.push(match event.kind {
                    EventKind::Stream(state) => state.name().to_owned(),
                    EventKind::Volume(volume) => format!("volume {}", volume.now),
                    EventKind::Slot(slot) => format!("slot {}", slot.slot),
                    EventKind::Trade(trade) => format!("trade {}", trade.trade_id),
                    other => panic!("{other:?}"),
                });
            })
        }
        fn said(&mut self) -> Vec<String> {
            std::mem::take(&mut self.told)
        }
        fn volume(&mut self, ts: i64, now: i64) -> Result<(), Refused> {
            self.volume_of(ts, "rolling24", ts, now)
        }
        fn volume_of(&mut self, ts: i64, def: &str, end: i64, now: i64) -> Result<(), Refused> {
            let text = format!(r#"{{"ts":{ts},"def":"{def}","now":7,"prev":9,"bucket_end":{end}}}"#);
            self.hear(StreamId::DefiLlama, &text, now)
        }
        fn hear(&mut self, stream: StreamId, text: &str, now: i64) -> Result<(), Refused> {
            self.with(|session, mut emit| session.on_message(stream, text.as_bytes(), Time(now), &mut emit))
        }
        fn tick(&mut self, now: i64) {
            self.with(|session, mut emit| session.on_timer(Time(now), &mut emit));
        }
        fn down(&mut self, now: i64) {
            self.with(|session, mut emit| session.on_down(Time(now), &mut emit));
        }
    }

    #[test]
    fn a_stream_is_up_with_its_first_fresh_sample_stale_by_the_sample_s_own_time_and_down_with_the_connection() {
        let mut desk = Desk::new(StreamId::DefiLlama);
        assert!(desk.said().is_empty(), "a connection says nothing of a stream");
        assert_eq!(desk.volume(NOW - 50 * SEC, NOW), Ok(()));
        assert_eq!(desk.said(), ["up", "volume 7"]);
        desk.tick(NOW + 10 * SEC);
        assert!(desk.said().is_empty());
        desk.tick(NOW + 10 * SEC + 1);
        desk.tick(NOW + 20 * SEC);
        assert_eq!(desk.said(), ["stale"], "counted from the sample's time, told once");
        assert_eq!(desk.volume(NOW + 21 * SEC, NOW + 21 * SEC), Ok(()));
        assert_eq!(desk.said(), ["up", "volume 7"]);
        desk.down(NOW + 22 * SEC);
        desk.down(NOW + 23 * SEC);
        assert_eq!(desk.said(), ["down"]);
        assert_eq!(desk.volume(NOW + 24 * SEC, NOW + 24 * SEC), Err(Refused::Disconnected), "left over in a buffer");
        desk.session.on_open();
        assert_eq!(desk.volume(NOW + 21 * SEC, NOW + 25 * SEC), Err(Refused::NotNewer), "the same again is not fresh");
        assert!(desk.said().is_empty(), "nor is a new connection");
        assert_eq!(desk.volume(NOW + 25 * SEC, NOW + 25 * SEC), Ok(()));
        assert_eq!(desk.said(), ["up", "volume 7"]);
    }

    #[test]
    fn replayed_old_future_and_overtaken_samples_are_refused_and_do_not_block_the_next_good_one() {
        let mut desk = Desk::new(StreamId::DefiLlama);
        assert_eq!(desk.volume(NOW - 61 * SEC, NOW), Err(Refused::TooOld { age_ms: 61_000 }));
        assert_eq!(desk.volume(NOW + 3 * SEC, NOW), Err(Refused::Ahead { ahead_ms: 3_000 }));
        assert!(desk.volume_of(NOW, "rolling24", NOW - 61 * SEC, NOW).is_err(), "its window ended long ago");
        assert_eq!(desk.volume(NOW - SEC, NOW), Ok(()));
        assert_eq!(desk.volume(NOW - SEC, NOW), Err(Refused::NotNewer));
        assert_eq!(desk.volume(NOW - 2 * SEC, NOW), Err(Refused::NotNewer));
        assert_eq!(desk.volume(NOW, NOW), Ok(()));
        assert_eq!(desk.said(), ["up", "volume 7", "volume 7"]);
    }

    #[test]
    fn a_utc_day_may_be_yesterday_or_until_it_settled_the_day_before_and_no_older() {
        let mut desk = Desk::new(StreamId::DefiLlama);
        let today = Time(NOW).day_start().0;
        assert_eq!(desk.volume_of(NOW - 3, "utc_day", today, NOW), Ok(()));
        assert_eq!(desk.volume_of(NOW - 2, "utc_day", today - NANOS_PER_DAY, NOW), Ok(()));
        let old = desk.volume_of(NOW - 1, "utc_day", today - 2 * NANOS_PER_DAY, NOW);
        assert!(matches!(old, Err(Refused::TooOld { .. })), "{old:?}");
    }

    #[test]
    fn slots_rise_until_a_long_row_of_lower_ones_shows_that_the_high_one_was_wrong() {
        let mut desk = Desk::new(StreamId::SolanaSlot);
        let mut slot = |number: u64, at: i64| {
            let text = format!(r#"{{"ts":{},"slot":{number},"parent":{},"root":1}}"#, NOW + at, number - 1);
            desk.hear(StreamId::SolanaSlot, &text, NOW + at)
        };
        assert_eq!(slot(1_000_000, 0), Ok(()));
        for at in 1..=32_i64 {
            assert_eq!(slot(100 + at.unsigned_abs(), at), Err(Refused::NotNewer));
        }
        assert_eq!(slot(133, 33), Ok(()));
        assert_eq!(desk.said(), ["up", "slot 1000000", "slot 133"]);
    }

    #[test]
    fn trades_of_one_instant_are_told_apart_by_their_number() {
        let mut desk = Desk::new(StreamId::BinanceTrade);
        let mut trade = |id: i64| {
            let text = format!(r#"{{"ts":{NOW},"price":1,"qty":1,"side":"buy","trade_id":{id}}}"#);
            desk.hear(StreamId::BinanceTrade, &text, NOW)
        };
        assert_eq!((trade(1), trade(2)), (Ok(()), Ok(())));
        assert_eq!(trade(2), Err(Refused::NotNewer));
    }

    #[test]
    fn what_we_lost_ourselves_is_a_gap_until_the_next_sample_and_foreign_streams_are_nothing() {
        let mut desk = Desk::new(StreamId::DefiLlama);
        assert_eq!(desk.hear(StreamId::PumpFun, "nonsense", NOW), Ok(()));
        desk.with(|session, mut emit| session.on_lost(Time(NOW), &mut emit));
        assert!(desk.said().is_empty(), "what is not up cannot have a gap");
        assert_eq!(desk.volume(NOW, NOW), Ok(()));
        desk.with(|session, mut emit| session.on_lost(Time(NOW), &mut emit));
        assert_eq!(desk.volume(NOW + 1, NOW + 1), Ok(()));
        assert_eq!(desk.said(), ["up", "volume 7", "gap", "up", "volume 7"]);
    }
}
