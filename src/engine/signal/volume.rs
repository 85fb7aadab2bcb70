//! The volume rules: how far memecoin volume fell, by which source, and whether the others bear it out.
//!
//! Thread: any.  Invariants: only an OK trigger that enough other OK sources confirm and none contradicts can pass, so no
//! single source makes a trade; a source that is missing confirms nothing and its last veto stands for a day, so silence
//! can only prevent one; one action per UTC day. Source: `volume-feeds` fact sheet, sections 2 and 9.

pub use super::source::VOLUME_FLOOR;

use super::source::{Source, drop_of};
use crate::types::decision::{SourceLook, VOLUME_STREAMS, VolumeOrigin};
use crate::types::event::{SourceReason, SourceState, StreamState, VolumeDefinition, VolumeSample};
use crate::types::units::{RATIO_SCALE, mul_div_floor};
use crate::types::{Params, Ratio, StreamId, Time};

/// Which source the definition takes its trigger from; the others confirm.
pub fn trigger_of(definition: VolumeDefinition) -> StreamId {
    match definition {
        VolumeDefinition::Rolling24 => StreamId::PumpChain,
        VolumeDefinition::UtcDay => StreamId::DefiLlama,
        VolumeDefinition::Sampled24 => StreamId::PumpFun,
    }
}

/// Whether 1 - now/prev > `threshold`, exactly; false where there is no ratio.
fn is_above(now: i64, prev: i64, threshold: Ratio) -> bool {
    let (now, kept) = cross(now, prev, threshold);
    prev > 0 && now < kept
}

/// now x 1 and prev x (1 - threshold), both in the same unit.
fn cross(now: i64, prev: i64, threshold: Ratio) -> (i128, i128) {
    let kept = i128::from(RATIO_SCALE) - i128::from(threshold.0);
    (i128::from(now) * i128::from(RATIO_SCALE), i128::from(prev) * kept)
}

/// What the volume rules see at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeView {
    /// Trigger source.
    pub source: StreamId,
    /// How far to believe it now, its age included.
    pub state: SourceState,
    /// Why no further.
    pub reason: SourceReason,
    /// Other sources that are OK and fell too.
    pub confirmed: u8,
    /// Other sources whose last believed word is that volume rose.
    pub contradicted: u8,
    /// Drop, rounded down to 1e-8; for showing, the rules use the exact one.
    pub drop: Ratio,
    /// Drop in SOL, likewise; zero where it is not known.
    pub drop_sol: Ratio,
    sample: VolumeSample,
    at: Time,
}

impl VolumeView {
    /// Whether an OK source, or one that was OK last, says the contrary.
    pub fn is_contradicted(&self) -> bool {
        self.contradicted > 0
    }
    /// Whether 1 - now/prev > `threshold`, exactly.
    pub fn drop_is_above(&self, threshold: Ratio) -> bool {
        is_above(self.sample.now.0, self.sample.prev.0, threshold)
    }
    /// Whether 1 - now/prev <= `threshold`, exactly.
    pub fn drop_is_at_most(&self, threshold: Ratio) -> bool {
        let (now, kept) = cross(self.sample.now.0, self.sample.prev.0, threshold);
        self.sample.prev.0 > 0 && now >= kept
    }
    /// Whether the drop in SOL is above `threshold`, exactly. A threshold of zero asks nothing; a window whose value in
    /// SOL is not known passes no other.
    pub fn drop_in_sol_is_above(&self, threshold: Ratio) -> bool {
        let is_known = self.sample.now_sol.0 > 0 && self.sample.prev_sol.0 > 0;
        threshold.0 == 0 || (is_known && is_above(self.sample.now_sol.0, self.sample.prev_sol.0, threshold))
    }
    /// Where the numbers come from.
    pub fn origin(&self) -> VolumeOrigin {
        let VolumeSample { definition, now, prev, as_of, bucket_end, .. } = self.sample;
        VolumeOrigin { definition, now, prev, as_of, bucket_end, recv: self.at }
    }
}

/// All volume sources and the memory of the last action.
#[derive(Clone, Copy, Debug)]
pub struct Volume {
    definition: VolumeDefinition,
    /// In the order of [`VOLUME_STREAMS`].
    sources: [Source; VOLUME_STREAMS.len()],
    acted: Option<Time>,
    /// Smallest OK drop of the trigger since then.
    low_since: Option<Ratio>,
}

impl Volume {
    /// Nothing read yet.
    pub fn new(definition: VolumeDefinition) -> Volume {
        Volume { definition, sources: [Source::UNREAD; VOLUME_STREAMS.len()], acted: None, low_since: None }
    }

    /// A source was read.
    pub fn on_sample(&mut self, stream: StreamId, sample: &VolumeSample, at: Time) {
        let Some(source) = self.source_mut(stream) else { return };
        source.take(stream, sample, at);
        let (drop, is_ok) = (source.drop(), source.judged(at, i64::MAX).0 == SourceState::Ok);
        if stream == trigger_of(self.definition) && is_ok && self.acted.is_some() {
            self.low_since = Some(self.low_since.map_or(drop, |low| low.min(drop)));
        }
    }

    /// Which sources last said to an earlier run that volume rose, and when.
    pub fn remember_risen(&mut self, risen: [Time; VOLUME_STREAMS.len()]) {
        self.sources.iter_mut().zip(risen).for_each(|(source, at)| source.remember_risen(at));
    }

    /// A source lost its connection or fell silent: it counts again with its next sample.
    pub fn on_stream(&mut self, stream: StreamId, state: StreamState) {
        if let Some(source) = self.source_mut(stream) {
            source.on_stream(state);
        }
    }

    fn source_mut(&mut self, stream: StreamId) -> Option<&mut Source> {
        self.sources.iter_mut().zip(VOLUME_STREAMS).find(|(_, of)| *of == stream).map(|(source, _)| source)
    }

    fn trigger(&self) -> &Source {
        let wanted = trigger_of(self.definition);
        let found = self.sources.iter().zip(VOLUME_STREAMS).find(|(_, stream)| *stream == wanted);
        found.map_or(&Source::UNREAD, |(source, _)| source)
    }

    /// The trigger as it stands at `now`, and what the others say.
    pub fn view(&self, now: Time, params: &Params) -> VolumeView {
        let source = trigger_of(self.definition);
        let trigger = self.trigger();
        let others = || self.sources.iter().zip(VOLUME_STREAMS).filter(|(_, stream)| *stream != source);
        let (mut confirmed, mut contradicted) = (0, 0);
        for (other, _) in others() {
            confirmed += u8::from(other.agrees(now, params.stale_confirm_ns, params.confirm_drop));
            contradicted += u8::from(other.contradicts(now));
        }
        let (state, reason) = trigger.judged(now, params.stale_volume_ns);
        let sample = VolumeSample { definition: self.definition, ..*trigger.sample() };
        let drop_sol = drop_of(sample.now_sol.0, sample.prev_sol.0);
        let (drop, at) = (trigger.drop(), trigger.at());
        VolumeView { source, state, reason, confirmed, contradicted, drop, drop_sol, sample, at }
    }

    /// Every source at `now`, in the order of [`VOLUME_STREAMS`].
    pub fn looks(&self, now: Time, params: &Params) -> [SourceLook; VOLUME_STREAMS.len()] {
        let mut looks = [SourceLook::default(); VOLUME_STREAMS.len()];
        for ((look, source), stream) in looks.iter_mut().zip(&self.sources).zip(VOLUME_STREAMS) {
            let is_trigger = stream == trigger_of(self.definition);
            *look = source.look(now, if is_trigger { params.stale_volume_ns } else { params.stale_confirm_ns });
        }
        looks
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
        self.definition == VolumeDefinition::UtcDay && self.trigger().sample().bucket_end > acted.day_start()
    }
}

/// Two thirds of the drop that arms.
fn disarm(meme_drop: Ratio) -> Ratio {
    mul_div_floor(meme_drop.0, 2, 3).map_or(meme_drop, Ratio)
}
