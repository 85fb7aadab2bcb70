//! The signal: volume, RSI, price band → ENTER, EXIT or NO-OP with every rule's value.
//!
//! Thread: any.  Invariants: as of `engine`; a decision is a function of what was fed in and of `now`; what is not
//! known, not fresh or not computable never passes a rule, so doubt means NO-OP.

pub mod rsi;
mod source;
pub mod volume;

pub use rsi::Rsi;
pub use volume::{Volume, VolumeView};

use crate::types::decision::{Decision, Rule, VOLUME_STREAMS, Verdict};
use crate::types::event::{Candle, SourceState, StreamState, VolumeDefinition, VolumeSample};
use crate::types::record::ExitReason;
use crate::types::time::NANOS_PER_SEC;
use crate::types::{Params, Price, Ratio, StreamId, Time};

/// What a [`Signal`] is made for; a change needs a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalSetup {
    /// Which "day over day" triggers.
    pub definition: VolumeDefinition,
    /// Moves in the RSI, 1 to [`rsi::RSI_PERIOD_MAX`].
    pub rsi_period: u32,
    /// Length of a candle, seconds.
    pub candle_s: u32,
}

/// Everything the three rules of the edge look at.
#[derive(Clone, Copy, Debug)]
pub struct Signal {
    volume: Volume,
    rsi: Rsi,
    candle_ns: i64,
    /// Start of the newest candle, on the venue's clock.
    candle_open: Option<Time>,
    candle_at: Time,
    candle_gap: bool,
    mid: Option<Price>,
    mid_at: Time,
}

impl Signal {
    /// Knows nothing yet.
    pub fn new(setup: SignalSetup) -> Signal {
        assert!(setup.candle_s > 0, "a candle needs a length");
        Signal {
            volume: Volume::new(setup.definition),
            rsi: Rsi::new(setup.rsi_period),
            candle_ns: i64::from(setup.candle_s) * NANOS_PER_SEC,
            candle_open: None,
            candle_at: Time::NONE,
            candle_gap: false,
            mid: None,
            mid_at: Time::NONE,
        }
    }

    /// The top of book changed.
    pub fn on_mid(&mut self, mid: Price, at: Time) {
        self.mid = Some(mid);
        self.mid_at = at;
    }

    /// A candle closed, or is handed in later from the venue's history.
    ///
    /// The next one in line continues the RSI; one seen before is ignored. A jump voids the RSI, which then counts from
    /// this candle. After a reported gap an older candle starts a new seed, the next one in line closes the gap.
    pub fn on_candle(&mut self, candle: &Candle, at: Time) {
        if i64::from(candle.interval_s) * NANOS_PER_SEC != self.candle_ns {
            return;
        }
        if let Some(last) = self.candle_open {
            let is_next = candle.open_time.since(last) == self.candle_ns;
            let is_old = candle.open_time <= last;
            if is_old && !self.candle_gap {
                return;
            }
            if !is_next {
                self.rsi.reset();
            }
        }
        self.candle_gap = false;
        self.candle_open = Some(candle.open_time);
        self.candle_at = at;
        self.rsi.push(candle.close);
    }

    /// A volume source was read.
    pub fn on_volume(&mut self, stream: StreamId, sample: &VolumeSample, at: Time) {
        self.volume.on_sample(stream, sample, at);
    }

    /// Which sources last said to an earlier run that volume rose, and when, in the order of [`VOLUME_STREAMS`].
    pub fn remember_risen(&mut self, risen: [Time; VOLUME_STREAMS.len()]) {
        self.volume.remember_risen(risen);
    }

    /// A stream changed its health.
    pub fn on_stream(&mut self, stream: StreamId, state: StreamState) {
        match (stream, state) {
            (StreamId::BinanceBbo, StreamState::Stale | StreamState::Gap | StreamState::Down) => self.mid = None,
            (StreamId::BinanceCandle, StreamState::Gap) => self.candle_gap = true,
            (stream, state) => self.volume.on_stream(stream, state),
        }
    }

    /// An entry began on this signal now, or in an earlier run: the definition waits for the next UTC day.
    pub fn on_acted(&mut self, at: Time) {
        self.volume.on_acted(at);
    }

    /// When the signal was last acted upon, in this run or an earlier one.
    pub fn acted(&self) -> Option<Time> {
        self.volume.acted()
    }

    /// Age of the top of book; `None` while there is none to believe.
    pub fn mid_age_ns(&self, now: Time) -> Option<i64> {
        self.mid.map(|_| now.since(self.mid_at))
    }

    /// RSI of the newest closed candle; `None` while unknown, unseeded, gapped or stale.
    ///
    /// A candle is stale that came too long ago, and one that closed too long ago: while history is being read, its
    /// older candles are no signal. The close is on the venue's clock, which `clock_offset_ns_max` allows for.
    pub fn rsi(&self, now: Time, params: &Params) -> Option<Ratio> {
        let closed = self.candle_open?.plus(self.candle_ns);
        let is_recent = now.since(closed) <= params.stale_candle_ns.saturating_add(params.clock_offset_ns_max);
        let is_fresh = is_recent && now.since(self.candle_at) <= params.stale_candle_ns;
        self.rsi.value().filter(|_| is_fresh && !self.candle_gap && self.rsi.is_seeded())
    }

    /// The volume rule's view; its state includes the age.
    pub fn volume(&self, now: Time, params: &Params) -> VolumeView {
        self.volume.view(now, params)
    }

    /// ENTER, EXIT or NO-OP, with every rule's bit, value and threshold.
    ///
    /// Input: `flat` = no position and no entry under way; `opened` = first fill of the position held, if one is.
    /// Output: `rsi`, `drop` and `mid` are zero where nothing is known: the bits of `RsiKnown`, `VolumeSource` and
    /// `BookFresh` tell. An OK `source_state` without the `VolumeSource` bit means: contradicted by another source.
    /// Cost: no allocation, tens of nanoseconds (four sources are looked at).
    pub fn decide(&self, now: Time, params: &Params, flat: bool, opened: Option<Time>) -> Decision {
        let volume = self.volume(now, params);
        let rsi = self.rsi(now, params);
        let passed = self.passed(now, params, flat, &volume);
        let verdict = if opened.is_some_and(|opened| self.exit_due(now, params, opened).is_some()) {
            Verdict::Exit
        } else if Rule::ALL.iter().all(|rule| passed & rule.bit() != 0) {
            Verdict::Enter
        } else {
            Verdict::NoOp
        };
        Decision {
            verdict,
            passed,
            source_state: volume.state,
            source: volume.source,
            drop: volume.drop,
            drop_min: params.meme_drop,
            drop_sol: volume.drop_sol,
            drop_sol_min: params.meme_drop_sol,
            confirmed: volume.confirmed,
            confirmed_min: confirmed_min(params),
            contradicted: volume.contradicted,
            origin: volume.origin(),
            looks: self.volume.looks(now, params),
            rsi: rsi.or(self.rsi.value()).unwrap_or(Ratio::ZERO),
            rsi_max: params.rsi_max,
            mid: self.mid.unwrap_or(Price::ZERO),
            support_low: params.support_low,
            support_high: params.support_high,
        }
    }

    /// Why the position opened at `opened` should go, by the signal's own rules; `None` = keep it.
    pub fn exit_due(&self, now: Time, params: &Params, opened: Time) -> Option<ExitReason> {
        if params.max_hold_ns > 0 && now.since(opened) > params.max_hold_ns {
            return Some(ExitReason::MaxHold);
        }
        let is_hot = params.rsi_exit.0 != i64::MAX && self.rsi(now, params).is_some_and(|rsi| rsi >= params.rsi_exit);
        let volume = self.volume(now, params);
        let has_recovered = params.meme_recover.0 != i64::MIN
            && volume.state == SourceState::Ok
            && volume.drop_is_at_most(params.meme_recover);
        (is_hot || has_recovered).then_some(ExitReason::Signal)
    }

    fn passed(&self, now: Time, params: &Params, flat: bool, volume: &VolumeView) -> u16 {
        let rsi = self.rsi(now, params);
        let mid = self.mid.filter(|mid| mid.0 > 0);
        let mark = |rule: Rule, holds: bool| if holds { rule.bit() } else { 0 };
        mark(Rule::VolumeSource, volume.state == SourceState::Ok && !volume.is_contradicted())
            | mark(Rule::VolumeDrop, volume.drop_is_above(params.meme_drop))
            | mark(Rule::VolumeSol, volume.drop_in_sol_is_above(params.meme_drop_sol))
            | mark(Rule::VolumeConfirmed, volume.confirmed >= confirmed_min(params))
            | mark(Rule::RsiKnown, rsi.is_some())
            | mark(Rule::Rsi, rsi.is_some_and(|rsi| rsi < params.rsi_max))
            | mark(Rule::BookFresh, mid.is_some() && now.since(self.mid_at) <= params.stale_bbo_ns)
            | mark(Rule::SupportLow, mid.is_some_and(|mid| mid >= params.support_low))
            | mark(Rule::SupportHigh, mid.is_some_and(|mid| mid <= params.support_high))
            | mark(Rule::OncePerDay, self.volume.may_act(now, params))
            | mark(Rule::Flat, flat)
    }
}

/// How many other sources must agree, as the record holds it.
fn confirmed_min(params: &Params) -> u8 {
    u8::try_from(params.confirmations_min).unwrap_or(u8::MAX)
}
