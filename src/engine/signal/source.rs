//! One volume source: its newest sample, what the gates make of it, and what it said last while it was believed.
//!
//! Thread: any.  Invariants: a gate only ever makes a state worse; a sample that is not OK after the gates is never
//! compared with; thresholds are compared by integer cross-multiplication, so 30 % is never "more than 30 %".

use crate::types::decision::SourceLook;
use crate::types::event::{SourceReason, SourceState, StreamState, VolumeDefinition, VolumeSample};
use crate::types::pace::{Anchor, WHOLE_NS};
use crate::types::time::{NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::units::{RATIO_SCALE, mul_div_floor};
use crate::types::{Bps, Notional, Ratio, StreamId, Time};

/// Volume of the older window below which a ratio says nothing: 20 M USD.
pub const VOLUME_FLOOR: Notional = Notional(20_000_000 * RATIO_SCALE);
/// A newer window that is not above 1/20 of the older one is a fault of the source.
const FALL_MAX: i128 = 20;
/// A newer window that is not below 5 times the older one is a fault of the source.
const RISE_MAX: i128 = 5;
/// Most that a past day may be restated, and that a reading of a day ago may differ from the next, within [`WHOLE_NS`].
const JUMP_MAX: i128 = 2;
/// How far ahead of our clock a window may end.
const AHEAD_NS: i64 = 3_600 * NANOS_PER_SEC;
/// How long "it rose" stands after a source has fallen silent or into doubt: else its silence would let a trade through.
const VETO_NS: i64 = NANOS_PER_DAY;
/// Parts of a [`Ratio`] in one part of a [`Bps`].
const RATIO_PER_BPS: i64 = 100;

/// How far a source is believed, and why no further.
pub(super) type Judged = (SourceState, SourceReason);

/// What a stream's samples compare.
fn definition_of(stream: StreamId) -> Option<VolumeDefinition> {
    match stream {
        StreamId::PumpChain => Some(VolumeDefinition::Rolling24),
        StreamId::DefiLlama => Some(VolumeDefinition::UtcDay),
        StreamId::PumpFun | StreamId::CoinGecko => Some(VolumeDefinition::Sampled24),
        _ => None,
    }
}

/// One source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    sample: VolumeSample,
    /// When it was read; NONE = never.
    at: Time,
    /// The sample's own state after the gates, without its age.
    judged: Judged,
    /// Drop, rounded down; zero where there is none.
    drop: Ratio,
    /// The newest sample that was OK after the gates.
    believed: Option<Believed>,
    /// Until there is one: when an earlier run last believed that volume rose; NONE = it did not.
    risen: Time,
}

/// A sample that was OK.
#[derive(Clone, Copy, Debug)]
struct Believed {
    sample: VolumeSample,
    /// When it was read.
    at: Time,
    /// What the next samples' windows are measured by: the newer one, the older one.
    anchors: [Anchor; 2],
}

impl Source {
    pub(super) const UNREAD: Source = Source {
        sample: VolumeSample::UNREAD,
        at: Time::NONE,
        judged: (SourceState::Missing, SourceReason::Unread),
        drop: Ratio::ZERO,
        believed: None,
        risen: Time::NONE,
    };

    /// What an earlier run heard last of it was that volume rose.
    pub(super) fn remember_risen(&mut self, at: Time) {
        self.risen = at;
    }

    /// Takes the next sample of `stream`, read at `at`.
    pub(super) fn take(&mut self, stream: StreamId, sample: &VolumeSample, at: Time) {
        self.judged = match gated(stream, sample, at) {
            (SourceState::Ok, _) => self.compared(sample, at),
            faulty => faulty,
        };
        self.sample = *sample;
        self.at = at;
        self.drop = drop_of(sample.now.0, sample.prev.0);
        if self.judged.0 == SourceState::Ok {
            let windows = [sample.now, sample.prev];
            let mut anchors = self.believed.map_or(windows.map(|usd| Anchor::new(usd, at)), |known| known.anchors);
            anchors.iter_mut().zip(windows).for_each(|(anchor, usd)| anchor.follow(usd, at));
            self.believed = Some(Believed { sample: *sample, at, anchors });
        }
    }

    /// What a plausible sample is worth beside the one believed before it.
    fn compared(&self, sample: &VolumeSample, at: Time) -> Judged {
        let Some(believed) = self.believed else { return (SourceState::Ok, SourceReason::None) };
        let before = &believed.sample;
        if sample.bucket_end < before.bucket_end {
            (SourceState::Stale, SourceReason::Repeated)
        } else if sample.bucket_end > before.bucket_end && sample.now == before.now {
            (SourceState::Suspect, SourceReason::Repeated)
        } else if is_torn(&believed, sample, at) {
            (SourceState::Suspect, SourceReason::Implausible)
        } else {
            (SourceState::Ok, SourceReason::None)
        }
    }

    /// The stream lost its connection or fell silent: it counts again with its next sample.
    pub(super) fn on_stream(&mut self, state: StreamState) {
        match state {
            StreamState::Up => {}
            StreamState::Stale => self.judged = (SourceState::Stale, SourceReason::TooOld),
            StreamState::Gap => self.judged = (SourceState::Stale, SourceReason::Gappy),
            StreamState::Down => self.judged = (SourceState::Down, SourceReason::NoAnswer),
        }
    }

    /// How far to believe it at `now`: the gates, and its age by our clock and by the provider's own word.
    pub(super) fn judged(&self, now: Time, stale_ns: i64) -> Judged {
        let told = if self.sample.as_of == Time::NONE { self.at } else { self.at.min(self.sample.as_of) };
        let is_old = self.judged.0 == SourceState::Ok && now.since(told) > stale_ns;
        if is_old { (SourceState::Stale, SourceReason::TooOld) } else { self.judged }
    }

    /// Whether it is OK and its volume fell by more than `least`, exactly.
    pub(super) fn agrees(&self, now: Time, stale_ns: i64, least: Ratio) -> bool {
        let (scale, kept) = (i128::from(RATIO_SCALE), i128::from(RATIO_SCALE) - i128::from(least.0));
        let has_fallen = i128::from(self.sample.now.0) * scale < i128::from(self.sample.prev.0) * kept;
        self.judged(now, stale_ns).0 == SourceState::Ok && has_fallen
    }

    /// Whether its newest believed word is that volume rose, to this run or an earlier one.
    pub(super) fn contradicts(&self, now: Time) -> bool {
        // A day's word ends with the next day's, whatever that is worth; it is told once the day is over.
        let is_over = |believed: &Believed| {
            let is_newer = self.sample.bucket_end > believed.sample.bucket_end && self.sample.bucket_end <= self.at;
            believed.sample.definition == VolumeDefinition::UtcDay && is_newer
        };
        let risen = match self.believed {
            Some(believed) if believed.sample.now > believed.sample.prev && !is_over(&believed) => believed.at,
            Some(_) => Time::NONE,
            None => self.risen,
        };
        risen != Time::NONE && now.since(risen) <= VETO_NS
    }

    /// For the record.
    pub(super) fn look(&self, now: Time, stale_ns: i64) -> SourceLook {
        let (state, reason) = self.judged(now, stale_ns);
        let drop = self.drop.0.div_euclid(RATIO_PER_BPS).clamp(i64::from(i32::MIN), i64::from(i32::MAX));
        let age_ms = u32::try_from(now.since(self.at) / NANOS_PER_MILLI).unwrap_or(u32::MAX);
        SourceLook { state, reason, drop: Bps(i32::try_from(drop).unwrap_or(i32::MAX)), age_ms }
    }

    /// Drop in USD, rounded down.
    pub(super) fn drop(&self) -> Ratio {
        self.drop
    }

    /// The newest sample, whatever it is worth.
    pub(super) fn sample(&self) -> &VolumeSample {
        &self.sample
    }

    /// When it was read; NONE = never.
    pub(super) fn at(&self) -> Time {
        self.at
    }
}

/// 1 - now/prev, rounded down; zero where that is no number.
pub(super) fn drop_of(now: i64, prev: i64) -> Ratio {
    let fall = prev.checked_sub(now).filter(|_| prev > 0);
    fall.and_then(|fall| mul_div_floor(fall, RATIO_SCALE, prev)).map_or(Ratio::ZERO, Ratio)
}

/// The state that a sample claims, or a worse one if its numbers are out of any plausible range.
fn gated(stream: StreamId, sample: &VolumeSample, at: Time) -> Judged {
    use SourceReason as Why;
    if sample.state != SourceState::Ok {
        return (sample.state, sample.reason);
    }
    let (now, prev) = (i128::from(sample.now.0), i128::from(sample.prev.0));
    if definition_of(stream) != Some(sample.definition) {
        (SourceState::Suspect, Why::Contradiction)
    } else if now == 0 {
        (SourceState::Missing, Why::NoValue)
    } else if now < 0 || prev < 0 {
        (SourceState::Suspect, Why::Implausible)
    } else if sample.prev <= VOLUME_FLOOR {
        (SourceState::Suspect, Why::BelowFloor)
    } else if now * FALL_MAX <= prev || now >= prev * RISE_MAX || sample.bucket_end.since(at) > AHEAD_NS {
        (SourceState::Suspect, Why::Implausible)
    } else {
        (SourceState::Ok, Why::None)
    }
}

/// Whether a sample cannot follow the one believed before it: the windows of both overlap, but tell of another market.
///
/// A day's own value may be restated, and a provider may be right the second time: so what is compared with what was read
/// over an hour ago is believed, but for a UTC day whose predecessor is not what was told of it as the newest day.
fn is_torn(believed: &Believed, sample: &VolumeSample, at: Time) -> bool {
    let before = &believed.sample;
    let is_recent = at.since(believed.at) <= WHOLE_NS;
    let has_leapt = |before: Notional, after: Notional| is_recent && jumps(before, after);
    let [newer, older] = believed.anchors;
    let is_outrun = newer.is_outrun(sample.now, at);
    match sample.definition {
        VolumeDefinition::Rolling24 => is_outrun || older.is_outrun(sample.prev, at),
        VolumeDefinition::Sampled24 => is_outrun || has_leapt(before.prev, sample.prev),
        VolumeDefinition::UtcDay => match sample.bucket_end.since(before.bucket_end) {
            0 => has_leapt(before.now, sample.now) || has_leapt(before.prev, sample.prev),
            NANOS_PER_DAY => jumps(before.now, sample.prev),
            _ => false,
        },
    }
}

/// Whether one is more than [`JUMP_MAX`] times the other.
fn jumps(a: Notional, b: Notional) -> bool {
    let (a, b) = (i128::from(a.0), i128::from(b.0));
    a > b * JUMP_MAX || b > a * JUMP_MAX
}
