//! What the engine would say of itself at a moment: why it trades, or why it does not.
//!
//! Thread: any.  Invariants: a look, not a step: nothing changes, and nothing here is acted upon.

use super::Engine;

use crate::types::decision::{Decision, Refused};
use crate::types::event::{SourceState, StreamState};
use crate::types::ids::StreamId;
use crate::types::setup::PauseSet;
use crate::types::time::Time;
use crate::types::units::Qty;

/// Health of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLook {
    /// Which.
    pub stream: StreamId,
    /// How it is.
    pub state: StreamState,
    /// Since its newest word, ns; `None` = it never spoke.
    pub age_ns: Option<i64>,
    /// Age from which it refuses entries, ns; `None` = it does not.
    pub age_ns_max: Option<i64>,
}

/// The rules, the risk and the streams at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Why {
    /// The moment.
    pub at: Time,
    /// The decision in force: every rule with its value and threshold.
    pub decision: Decision,
    /// The first risk rule that refuses a first tranche then, whatever the signal says; `None` = risk lets one pass.
    pub refused: Option<Refused>,
    /// Why entries are paused.
    pub pauses: PauseSet,
    /// No entries any more.
    pub stopping: bool,
    /// Coins held.
    pub position: Qty,
    /// Orders that may still execute.
    pub orders_open: u32,
    /// Entry tranches tried of the running entry; 0 = none runs.
    pub tranche: u8,
    /// An exit of the whole position is under way.
    pub closing: bool,
    /// An OK source says the contrary of the trigger.
    pub is_contradicted: bool,
    /// State of the trigger source, its age included.
    pub source_state: SourceState,
    /// Age of the newest volume sample that triggers, and from which it is too old, ns.
    pub volume_age_ns: (Option<i64>, i64),
    /// When the signal was last acted upon; `None` = not yet.
    pub acted: Option<Time>,
    /// Age of the top of book that the signal sees, and from which it is too old, ns.
    pub book_age_ns: (Option<i64>, i64),
    /// Streams that entries stand on.
    pub streams: [Option<StreamLook>; StreamId::ALL.len()],
}

impl Engine {
    /// The rules as they would be decided at `at`, which is not before the newest event.
    pub fn why(&self, at: Time) -> Why {
        let at = at.max(self.now);
        let opened = self.position.opened().filter(|_| !self.is_dust());
        let decision = self.signal.decide(at, &self.params, self.is_flat(), opened);
        self.why_of(at, decision)
    }

    /// The decision that the newest event was acted upon with, if there was one.
    pub fn why_last(&self) -> Option<Why> {
        self.decision.map(|decision| self.why_of(self.now, decision))
    }

    fn why_of(&self, at: Time, decision: Decision) -> Why {
        let (status, params) = (self.status(), &self.params);
        let volume = self.signal.volume(at, params);
        Why {
            at,
            decision,
            refused: self.first_tranche(at).err(),
            pauses: status.pauses,
            stopping: status.stopping,
            position: status.position,
            orders_open: status.orders_open,
            tranche: status.tranche,
            closing: status.closing,
            is_contradicted: volume.is_contradicted(),
            source_state: volume.state,
            volume_age_ns: (self.book.volume_age_ns(at), params.stale_volume_ns),
            acted: self.signal.acted(),
            book_age_ns: (self.signal.mid_age_ns(at), params.stale_bbo_ns),
            streams: self.stream_looks(at),
        }
    }

    fn stream_looks(&self, at: Time) -> [Option<StreamLook>; StreamId::ALL.len()] {
        let own = [
            (StreamId::BinanceUser, None),
            (StreamId::BinanceBbo, Some(self.params.stale_bbo_ns)),
            (StreamId::BinanceCandle, Some(self.params.stale_candle_ns)),
            (StreamId::SolanaSlot, Some(self.params.stale_slot_ns)),
        ];
        let further = self.needed().map(|(stream, limit)| (stream, Some(limit)));
        let mut looks = [None; StreamId::ALL.len()];
        for (look, (stream, age_ns_max)) in looks.iter_mut().zip(own.into_iter().chain(further)) {
            let (state, age_ns) = (self.book.state(stream), self.book.age_ns(stream, at));
            *look = Some(StreamLook { stream, state, age_ns, age_ns_max });
        }
        looks
    }
}
