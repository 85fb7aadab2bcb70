//! The volume rule: how far memecoin volume fell, by which source, and whether that can be believed.
//!
//! Thread: any.  Invariants: thresholds are compared by integer cross-multiplication, so a drop of exactly 30 % is
//! never "more than 30 %"; only an OK trigger without a contradicting OK confirmation can pass; one action per UTC day.

use crate::types::event::{SourceState, StreamState, VolumeDefinition, VolumeSample};
use crate::types::units::{RATIO_SCALE, mul_div_floor};
use crate::types::{Notional, Params, Ratio, StreamId, Time};

/// Volume of the older window below which a ratio says nothing: 20 M USD.
pub const VOLUME_FLOOR: Notional = Notional(20_000_000 * RATIO_SCALE);
/// A newer window that is not above 1/20 of the older one is a fault of the source.
const FALL_MAX: i128 = 20;
/// A newer window that is not below 5 times the older one is a fault of the source.
const RISE_MAX: i128 = 5;

/// Which source the definition takes its trigger from; the other one confirms.
pub fn trigger_of(definition: VolumeDefinition) -> StreamId {
    match definition {
        VolumeDefinition::UtcDay => StreamId::DefiLlama,
        VolumeDefinition::Rolling24 | VolumeDefinition::Sampled24 => StreamId::PumpFun,
    }
}

/// The newest reading of one source.
#[derive(Clone, Copy, Debug)]
struct Source {
    /// `None` = never read.
    sample: Option<VolumeSample>,
    /// When it was read.
    at: Time,
    /// The sample's own state after the gates, without its age.
    state: SourceState,
    /// Drop, rounded down; zero where there is none.
    drop: Ratio,
}

impl Source {
    const UNREAD: Source = Source { sample: None, at: Time::NONE, state: SourceState::Missing, drop: Ratio::ZERO };

    fn of(sample: &VolumeSample, at: Time) -> Source {
        let fall = sample.prev.checked_sub(sample.now);
        let drop = fall.and_then(|fall| mul_div_floor(fall.0, RATIO_SCALE, sample.prev.0)).map_or(Ratio::ZERO, Ratio);
        Source { sample: Some(*sample), at, state: gated(sample), drop }
    }

    fn state(&self, now: Time, stale_ns: i64) -> SourceState {
        let is_old = self.state == SourceState::Ok && now.since(self.at) > stale_ns;
        if is_old { SourceState::Stale } else { self.state }
    }

    fn windows(&self) -> (Notional, Notional) {
        self.sample.map_or((Notional::ZERO, Notional::ZERO), |sample| (sample.now, sample.prev))
    }
}

/// The state that a sample claims, or a worse one if its numbers are out of any plausible range.
fn gated(sample: &VolumeSample) -> SourceState {
    let (now, prev) = (i128::from(sample.now.0), i128::from(sample.prev.0));
    match sample.state {
        SourceState::Ok if sample.now.0 == 0 => SourceState::Missing,
        SourceState::Ok if sample.now.0 < 0 || sample.prev <= VOLUME_FLOOR => SourceState::Suspect,
        SourceState::Ok if now * FALL_MAX <= prev || now >= prev * RISE_MAX => SourceState::Suspect,
        claimed => claimed,
    }
}

/// What the volume rule sees at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeView {
    /// Trigger source.
    pub source: StreamId,
    /// How far to believe it now, its age included.
    pub state: SourceState,
    /// An OK confirmation source says that volume rose.
    pub is_contradicted: bool,
    /// Drop, rounded down to 1e-8; for showing, the rules use the exact one.
    pub drop: Ratio,
    now: Notional,
    prev: Notional,
}

impl VolumeView {
    /// Whether 1 - now/prev > `threshold`, exactly.
    pub fn drop_is_above(&self, threshold: Ratio) -> bool {
        let (now, kept) = self.cross(threshold);
        self.prev.0 > 0 && now < kept
    }
    /// Whether 1 - now/prev <= `threshold`, exactly.
    pub fn drop_is_at_most(&self, threshold: Ratio) -> bool {
        let (now, kept) = self.cross(threshold);
        self.prev.0 > 0 && now >= kept
    }
    /// now x 1 and prev x (1 - threshold), both in the same unit.
    fn cross(&self, threshold: Ratio) -> (i128, i128) {
        let kept = i128::from(RATIO_SCALE) - i128::from(threshold.0);
        (i128::from(self.now.0) * i128::from(RATIO_SCALE), i128::from(self.prev.0) * kept)
    }
}

/// All volume sources and the memory of the last action.
#[derive(Clone, Copy, Debug)]
pub struct Volume {
    definition: VolumeDefinition,
    defillama: Source,
    pumpfun: Source,
    acted: Option<Time>,
    /// Smallest OK drop of the trigger since then.
    low_since: Option<Ratio>,
}

impl Volume {
    /// Nothing read yet.
    pub fn new(definition: VolumeDefinition) -> Volume {
        Volume { definition, defillama: Source::UNREAD, pumpfun: Source::UNREAD, acted: None, low_since: None }
    }

    /// A source was read.
    pub fn on_sample(&mut self, stream: StreamId, sample: &VolumeSample, at: Time) {
        let source = Source::of(sample, at);
        match stream {
            StreamId::DefiLlama => self.defillama = source,
            StreamId::PumpFun => self.pumpfun = source,
            _ => return,
        }
        let is_trigger = stream == trigger_of(self.definition) && sample.definition == self.definition;
        if is_trigger && source.state == SourceState::Ok && self.acted.is_some() {
            self.low_since = Some(self.low_since.map_or(source.drop, |low| low.min(source.drop)));
        }
    }

    /// A source lost its connection or fell silent: it counts again with its next sample.
    pub fn on_stream(&mut self, stream: StreamId, state: StreamState) {
        let worse = match state {
            StreamState::Up => return,
            StreamState::Stale | StreamState::Gap => SourceState::Stale,
            StreamState::Down => SourceState::Down,
        };
        match stream {
            StreamId::DefiLlama => self.defillama.state = worse,
            StreamId::PumpFun => self.pumpfun.state = worse,
            _ => {}
        }
    }

    /// The trigger as it stands at `now`.
    pub fn view(&self, now: Time, stale_ns: i64) -> VolumeView {
        let source = trigger_of(self.definition);
        let (trigger, other) = match source {
            StreamId::DefiLlama => (&self.defillama, &self.pumpfun),
            _ => (&self.pumpfun, &self.defillama),
        };
        let is_ours = trigger.sample.is_some_and(|sample| sample.definition == self.definition);
        let state = if is_ours { trigger.state(now, stale_ns) } else { SourceState::Missing };
        let (other_now, other_prev) = other.windows();
        let (volume_now, volume_prev) = if is_ours { trigger.windows() } else { (Notional::ZERO, Notional::ZERO) };
        VolumeView {
            source,
            state,
            is_contradicted: other.state(now, stale_ns) == SourceState::Ok && other_now > other_prev,
            drop: if is_ours { trigger.drop } else { Ratio::ZERO },
            now: volume_now,
            prev: volume_prev,
        }
    }

    /// The signal was acted on (now, or by an earlier run).
    pub fn on_acted(&mut self, at: Time) {
        self.acted = Some(at);
        self.low_since = None;
    }

    /// When the signal was last acted on.
    pub fn acted(&self) -> Option<Time> {
        self.acted
    }

    /// Whether the definition may act: not yet on this UTC day, and armed anew since the last action.
    ///
    /// Armed anew by a drop below two thirds of `meme_drop` (0.20 for 0.30), or, where a sample stands for a whole UTC
    /// day, by the next day's sample. So one long slump that spans midnight is one signal.
    pub fn may_act(&self, now: Time, params: &Params) -> bool {
        let Some(acted) = self.acted else { return true };
        let eased = self.low_since.is_some_and(|low| low < disarm(params.meme_drop));
        now.utc_day() != acted.utc_day() && (eased || self.has_new_day(acted))
    }

    fn has_new_day(&self, acted: Time) -> bool {
        let sample = self.defillama.sample;
        self.definition == VolumeDefinition::UtcDay && sample.is_some_and(|s| s.bucket_end > acted.day_start())
    }
}

/// Two thirds of the drop that arms.
fn disarm(meme_drop: Ratio) -> Ratio {
    mul_div_floor(meme_drop.0, 2, 3).map_or(meme_drop, Ratio)
}
