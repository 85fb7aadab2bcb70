//! Ten poisons, four sources, as trigger and as confirmation, through the real readers: none makes a trade.
//!
//! Each world lives for a day: the readers are fed bytes at every poll, the signal their samples. In the last minute one
//! source turns bad and claims, as far as its poison lets it, that volume collapsed.

use serde_json::{Value, json};
use sol_volume_bot::engine::signal::Signal;
use sol_volume_bot::types::decision::{Decision, Verdict};
use sol_volume_bot::types::event::{SourceReason, SourceState, VolumeDefinition, VolumeSample};
use sol_volume_bot::types::time::{NANOS_PER_DAY, NANOS_PER_SEC};
use sol_volume_bot::types::{Notional, Params, Qty, Ratio, StreamId, Time};
use sol_volume_bot::venue::{coingecko, defillama, pumpfun};

use crate::USD;
use crate::fused::{armed, strict};
use crate::rules::NOON;
use crate::sampled::{categories, rfc3339};

/// What `config/config.toml` ships: a drop in SOL above 20 %, one confirmation by a fall of more than 10 %.
fn shipped() -> Params {
    Params { confirm_drop: Ratio(10_000_000), ..strict() }
}

const MINUTE_NS: i64 = 60 * NANOS_PER_SEC;
const DAY_S: i64 = 86_400;
/// The moment of poison: 12:10.
const LAST: Time = Time(NOON.0 + 10 * MINUTE_NS);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Poison {
    Zero,
    Stale,
    Filled,
    Spiked,
    Thousandfold,
    Negative,
    NotANumber,
    Html,
    Swapped,
    Replayed,
}

const POISONS: [Poison; 10] = [
    Poison::Zero,
    Poison::Stale,
    Poison::Filled,
    Poison::Spiked,
    Poison::Thousandfold,
    Poison::Negative,
    Poison::NotANumber,
    Poison::Html,
    Poison::Swapped,
    Poison::Replayed,
];
const SOURCES: [StreamId; 4] = [StreamId::PumpChain, StreamId::DefiLlama, StreamId::PumpFun, StreamId::CoinGecko];

/// How each source's volume really moved over the day, in percent, in the order of [`SOURCES`].
type Truth = [i64; 4];

/// Readers and signal together.
#[derive(Clone)]
struct World {
    truth: Truth,
    /// Sources that are never read.
    silent: Vec<StreamId>,
    llama: defillama::Reader,
    pump: pumpfun::Reader,
    gecko: coingecko::Reader,
    signal: Signal,
}

/// Millions of USD a day ago, of which each source's move is a part.
const BEFORE_MUSD: i64 = 100;

fn usd_text(musd_e2: i64) -> String {
    format!("{}", musd_e2 * 10_000)
}

fn in_sol(mut sample: VolumeSample) -> VolumeSample {
    let sol = |usd: Notional| Qty(usd.0 / 150 * 10); // SOL at 150 throughout
    (sample.now_sol, sample.prev_sol) = (sol(sample.now), sol(sample.prev));
    sample
}

/// A summary of DeFiLlama: days before `newest_s`'s, newest last, in millions of USD; its totals.
fn summary(newest_s: i64, days: &[Value], totals: [Value; 2]) -> Vec<u8> {
    let points = days.iter().rev().enumerate().map(|(ago, usd)| json!([newest_s - ago as i64 * DAY_S, usd]));
    let chart: Vec<Value> = points.collect::<Vec<_>>().into_iter().rev().collect();
    json!({ "total24h": totals[0], "total48hto24h": totals[1], "totalDataChart": chart }).to_string().into_bytes()
}

fn musd(musd: i64) -> Value {
    json!(musd * 1_000_000)
}

fn yesterday_s() -> i64 {
    LAST.day_start().0 / NANOS_PER_SEC - DAY_S
}

impl World {
    /// A day of honest reports, everything but volume saying ENTER; its last half hour is yet to come.
    fn honest(definition: VolumeDefinition, truth: Truth, silent: &[StreamId]) -> World {
        let settings = defillama::Settings { slugs: vec!["pump.fun".to_owned()], settle_ns: 0 };
        let mut world = World {
            truth,
            silent: silent.to_vec(),
            llama: defillama::Reader::new(&settings),
            pump: pumpfun::Reader::new("/volume24h", 10 * MINUTE_NS).expect("a pointer"),
            gecko: coingecko::Reader::new(coingecko::CATEGORY),
            signal: armed(definition, LAST),
        };
        for ago in (7..=310).rev() {
            world.poll(LAST.plus(-ago * 5 * MINUTE_NS), None);
        }
        world
    }

    /// Every source but `except` tells the truth.
    fn poll(&mut self, at: Time, except: Option<StreamId>) {
        for stream in SOURCES {
            if Some(stream) != except && !self.silent.contains(&stream) {
                self.tell_truth(stream, at);
            }
        }
    }

    /// The last half hour: every source but the bad one tells the truth to the end.
    fn end(mut self, bad: Option<(StreamId, Poison)>) -> Decision {
        let is_quiet = |poison| matches!(poison, Poison::Filled | Poison::Stale);
        let quiet = bad.filter(|(_, poison)| is_quiet(*poison)).map(|(victim, _)| victim);
        for ago in [30, 25, 20, 15, 10, 5, 1] {
            self.poll(LAST.plus(-ago * MINUTE_NS), quiet);
        }
        self.poll(LAST, bad.map(|(victim, _)| victim));
        if let Some((victim, poison)) = bad {
            self.poisoned(victim, poison);
        }
        self.signal.decide(LAST, &shipped(), true, None)
    }

    /// The rolling number of a source at `at`, in 1e-2 millions: flat until two hours before the end, then steadily to what
    /// the truth says, where it is for the last minutes; it breathes a little, so that it never stands still.
    fn rolling_e2(&self, stream: StreamId, at: Time) -> i64 {
        let moved = self.truth[SOURCES.iter().position(|known| *known == stream).expect("a source")];
        let gone = (110 - (LAST.since(at) / MINUTE_NS - 10)).clamp(0, 110);
        let breath = at.0 / MINUTE_NS % 7;
        BEFORE_MUSD * 100 + moved * 100 * gone / 110 - breath
    }

    fn tell_truth(&mut self, stream: StreamId, at: Time) {
        let volume = self.rolling_e2(stream, at);
        match stream {
            StreamId::PumpChain => {
                let prev = BEFORE_MUSD * 100;
                self.chain(self.chain_sample(volume, prev, at), at);
            }
            StreamId::DefiLlama => {
                let newest_s = at.day_start().0 / NANOS_PER_SEC - DAY_S;
                let fallen = BEFORE_MUSD + if newest_s == yesterday_s() { self.truth[1] } else { 0 };
                let totals = [musd(fallen), musd(BEFORE_MUSD)];
                self.llama(&summary(newest_s, &[musd(99), musd(BEFORE_MUSD), musd(fallen)], totals), at);
            }
            StreamId::PumpFun => self.pump(&format!(r#"{{"volume24h":{}}}"#, usd_text(volume)), at),
            _ => {
                let updated = format!("\"{}\"", rfc3339(at));
                self.gecko(&categories(&usd_text(volume), &updated), at);
            }
        }
    }

    fn chain_sample(&self, now_e2: i64, prev_e2: i64, at: Time) -> VolumeSample {
        in_sol(VolumeSample {
            definition: VolumeDefinition::Rolling24,
            state: SourceState::Ok,
            reason: SourceReason::None,
            now: Notional(now_e2 * 10_000 * USD),
            prev: Notional(prev_e2 * 10_000 * USD),
            now_sol: Qty::ZERO,
            prev_sol: Qty::ZERO,
            bucket_end: at,
            as_of: at,
        })
    }
    fn chain(&mut self, sample: VolumeSample, at: Time) {
        self.signal.on_volume(StreamId::PumpChain, &sample, at);
    }
    fn llama(&mut self, body: &[u8], at: Time) {
        let _ = self.llama.on_body("pump.fun", body, at); // what is wrong with it, its sample says
        self.signal.on_volume(StreamId::DefiLlama, &in_sol(self.llama.sample(at)), at);
    }
    fn pump(&mut self, body: &str, at: Time) {
        let _ = self.pump.on_body(body.as_bytes(), at);
        self.signal.on_volume(StreamId::PumpFun, &in_sol(self.pump.sample(at)), at);
    }
    fn gecko(&mut self, body: &[u8], at: Time) {
        let _ = self.gecko.on_body(body, at);
        self.signal.on_volume(StreamId::CoinGecko, &in_sol(self.gecko.sample(at)), at);
    }

    fn poisoned(&mut self, stream: StreamId, poison: Poison) {
        match stream {
            StreamId::PumpChain => self.poisoned_chain(poison),
            StreamId::DefiLlama => self.poisoned_llama(poison),
            StreamId::PumpFun => self.poisoned_pump(poison),
            _ => self.poisoned_gecko(poison),
        }
    }

    /// The chain's counter has no bytes of a provider: its sample itself is the lie.
    fn poisoned_chain(&mut self, poison: Poison) {
        let (was, prev) = (self.rolling_e2(StreamId::PumpChain, LAST), BEFORE_MUSD * 100);
        let slump = self.chain_sample(6_000, prev, LAST);
        let faulty = |state, reason| VolumeSample { state, reason, ..slump };
        let lie = match poison {
            Poison::Zero => self.chain_sample(0, prev, LAST),
            Poison::Stale => VolumeSample { as_of: LAST.plus(-121 * MINUTE_NS), ..slump },
            Poison::Filled => {
                self.tell_truth(StreamId::PumpChain, LAST.plus(-MINUTE_NS));
                self.chain_sample(self.rolling_e2(StreamId::PumpChain, LAST.plus(-MINUTE_NS)), prev * 3 / 2, LAST)
            }
            Poison::Spiked => self.chain_sample(was, prev * 3, LAST),
            Poison::Thousandfold => self.chain_sample(was, prev * 900, LAST),
            Poison::Negative => self.chain_sample(-6_000, prev, LAST),
            Poison::NotANumber => faulty(SourceState::Suspect, SourceReason::Implausible),
            Poison::Html => faulty(SourceState::Down, SourceReason::Unreadable),
            Poison::Swapped => self.chain_sample(prev, was, LAST),
            Poison::Replayed => VolumeSample { bucket_end: LAST.plus(-NANOS_PER_DAY), ..slump },
        };
        self.chain(lie, LAST);
    }

    fn poisoned_llama(&mut self, poison: Poison) {
        let (was, newest_s) = (BEFORE_MUSD + self.truth[1], yesterday_s());
        let days = |before: Value, newest: Value| [musd(99), before, newest];
        let honest = || [musd(was), musd(BEFORE_MUSD)];
        let body = match poison {
            Poison::Zero => summary(newest_s, &days(musd(100), musd(0)), [musd(0), musd(100)]),
            Poison::Stale => summary(newest_s - DAY_S, &days(musd(100), musd(60)), [musd(60), musd(100)]),
            Poison::Filled => summary(newest_s, &days(musd(60), musd(60)), [musd(60), musd(60)]),
            Poison::Spiked => summary(newest_s, &days(musd(300), musd(was)), [musd(was), musd(300)]),
            Poison::Thousandfold => summary(newest_s, &days(musd(100_000), musd(was)), [musd(was), musd(100_000)]),
            Poison::Negative => summary(newest_s, &days(musd(100), musd(-60)), [musd(-60), musd(100)]),
            Poison::NotANumber => summary(newest_s, &days(musd(100), json!("NaN")), [json!("NaN"), musd(100)]),
            Poison::Html => b"<!DOCTYPE html><html><title>Just a moment...</title></html>".to_vec(),
            Poison::Swapped => summary(newest_s, &days(musd(160), musd(100)), [musd(160), musd(100)]),
            Poison::Replayed => {
                let old_s = newest_s - 30 * DAY_S;
                summary(old_s, &days(musd(100), musd(60)), honest())
            }
        };
        self.llama(&body, LAST);
    }

    fn poisoned_pump(&mut self, poison: Poison) {
        let was = self.rolling_e2(StreamId::PumpFun, LAST);
        let told = |volume: String| format!(r#"{{"volume24h":{volume}}}"#);
        let body = match poison {
            Poison::Zero => told("0".to_owned()),
            Poison::Filled => {
                let frozen = told(usd_text(6_000));
                for ago in (1..=30).rev() {
                    let _ = self.pump.on_body(frozen.as_bytes(), LAST.plus(-ago * MINUTE_NS));
                }
                frozen
            }
            Poison::Stale => {
                let _ = self.pump.on_body(told(usd_text(6_000)).as_bytes(), LAST.plus(-11 * MINUTE_NS));
                self.signal.on_volume(StreamId::PumpFun, &in_sol(self.pump.sample(LAST)), LAST);
                return;
            }
            Poison::Spiked => told(usd_text(was / 3)),
            Poison::Thousandfold => told(usd_text(was / 1_000)),
            Poison::Negative => told(usd_text(-6_000)),
            Poison::NotANumber => told("\"NaN\"".to_owned()),
            Poison::Html => "<html>Just a moment...</html>".to_owned(),
            Poison::Swapped => told(usd_text(was / 24)), // the last hour's in place of the day's
            Poison::Replayed => told(usd_text(6_000)),
        };
        self.pump(&body, LAST);
    }

    fn poisoned_gecko(&mut self, poison: Poison) {
        let was = self.rolling_e2(StreamId::CoinGecko, LAST);
        let at = |ago: i64| format!("\"{}\"", rfc3339(LAST.plus(-ago * MINUTE_NS)));
        let body = match poison {
            Poison::Zero => categories("0", &at(0)),
            Poison::Stale => categories(&usd_text(6_000), &at(31)),
            Poison::Filled => {
                for ago in (1..=30).rev() {
                    let frozen = categories(&usd_text(6_000), &at(ago));
                    let _ = self.gecko.on_body(&frozen, LAST.plus(-ago * MINUTE_NS));
                }
                categories(&usd_text(6_000), &at(0))
            }
            Poison::Spiked => categories(&usd_text(was / 3), &at(0)),
            Poison::Thousandfold => categories(&usd_text(was / 1_000), &at(0)),
            Poison::Negative => categories(&usd_text(-6_000), &at(0)),
            Poison::NotANumber => categories("\"NaN\"", &at(0)),
            Poison::Html => b"<html>Just a moment...</html>".to_vec(),
            Poison::Swapped => categories(&usd_text(was * 31), &at(0)), // the market value in place of the volume
            Poison::Replayed => categories(&usd_text(6_000), &at(24 * 60)),
        };
        self.gecko(&body, LAST);
    }
}

/// Definition that a source triggers; CoinGecko's triggers none, so pump.fun's is asked for.
fn definition_of(trigger: StreamId) -> VolumeDefinition {
    match trigger {
        StreamId::PumpChain => VolumeDefinition::Rolling24,
        StreamId::DefiLlama => VolumeDefinition::UtcDay,
        _ => VolumeDefinition::Sampled24,
    }
}

/// Moves of every source, `own` for one and `others` for the rest.
fn moves(stream: StreamId, own: i64, others: i64) -> Truth {
    SOURCES.map(|known| if known == stream { own } else { others })
}

/// The sources that have a definition of their own to trigger.
const TRIGGERS: [StreamId; 3] = [StreamId::PumpChain, StreamId::DefiLlama, StreamId::PumpFun];

fn all_but(heard: &[StreamId]) -> Vec<StreamId> {
    SOURCES.into_iter().filter(|stream| !heard.contains(stream)).collect()
}

#[test]
fn an_honest_slump_enters_by_every_trigger_with_every_confirmation() {
    for trigger in TRIGGERS {
        let all = World::honest(definition_of(trigger), moves(trigger, -40, -12), &[]).end(None);
        assert_eq!((all.verdict, all.confirmed), (Verdict::Enter, 3), "{trigger:?}");
        for other in SOURCES.into_iter().filter(|other| *other != trigger) {
            let world = World::honest(definition_of(trigger), moves(trigger, -40, -12), &all_but(&[trigger, other]));
            assert_eq!(world.end(None).verdict, Verdict::Enter, "{trigger:?} with {other:?}");
        }
    }
}

/// How the honest ones moved, in percent: up, a little down, enough to confirm, and as far as a fall that does not trigger.
const OTHERS: [i64; 4] = [1, -2, -12, -29];

#[test]
fn no_poisoned_trigger_enters_whatever_the_others_say() {
    let mut cases = 0;
    for trigger in SOURCES {
        for others in OTHERS {
            let world = World::honest(definition_of(trigger), [others; 4], &[]);
            assert_eq!(world.clone().end(None).verdict, Verdict::NoOp, "{trigger:?} is honest, {others} %");
            for poison in POISONS {
                let decision = world.clone().end(Some((trigger, poison)));
                let told = format!("{trigger:?} {poison:?}, the others {others} %: {decision:?}");
                assert_ne!(decision.verdict, Verdict::Enter, "{told}");
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 160);
}

#[test]
fn no_poisoned_confirmation_lets_a_slump_through_that_its_honest_word_would_stop() {
    let mut cases = 0;
    for trigger in TRIGGERS {
        for victim in SOURCES.into_iter().filter(|victim| *victim != trigger) {
            for rise in [5, 30] {
                let truth = moves(trigger, -40, rise);
                let world = World::honest(definition_of(trigger), truth, &all_but(&[trigger, victim]));
                assert_eq!(world.clone().end(None).verdict, Verdict::NoOp, "{victim:?} rose");
                for poison in POISONS {
                    let decision = world.clone().end(Some((victim, poison)));
                    assert_ne!(decision.verdict, Verdict::Enter, "{trigger:?}, {victim:?} {poison:?}: {decision:?}");
                    assert_eq!(decision.confirmed, 0, "{trigger:?}, {victim:?} {poison:?}");
                    cases += 1;
                }
            }
        }
    }
    assert_eq!(cases, 180);
}

#[test]
fn a_confirmation_that_was_poisoned_from_the_first_does_not_confirm() {
    let mut cases = 0;
    for victim in [StreamId::DefiLlama, StreamId::CoinGecko] {
        let truth = moves(StreamId::PumpChain, -40, 0);
        let world = World::honest(VolumeDefinition::Rolling24, truth, &all_but(&[StreamId::PumpChain]));
        for poison in POISONS {
            let decision = world.clone().end(Some((victim, poison)));
            assert_ne!(decision.verdict, Verdict::Enter, "{victim:?} {poison:?}: {decision:?}");
            cases += 1;
        }
    }
    assert_eq!(cases, 20);
}

#[test]
fn a_lie_that_walks_in_small_steps_is_held_to_the_pace_of_a_market() {
    let mut world = World::honest(VolumeDefinition::Rolling24, [-12; 4], &[]);
    for ago in [30, 25, 20, 15, 10, 5, 0] {
        world.poll(LAST.plus(-ago * MINUTE_NS), None);
    }
    let (mut now_e2, prev_e2) = (world.rolling_e2(StreamId::PumpChain, LAST), BEFORE_MUSD * 100);
    for second in 1..=240 {
        let at = LAST.plus(second * NANOS_PER_SEC);
        now_e2 = (now_e2 - now_e2 * 195 / 10_000).max(6_000);
        world.chain(world.chain_sample(now_e2, prev_e2, at), at);
        assert_ne!(world.signal.decide(at, &shipped(), true, None).verdict, Verdict::Enter, "after {second} s");
    }
}

#[test]
fn a_missing_source_never_enters_what_it_would_not_have_entered_when_it_spoke() {
    for trigger in TRIGGERS {
        for (own, others) in [(-40, -12), (-40, 5), (-2, -12), (-29, -12)] {
            let full = World::honest(definition_of(trigger), moves(trigger, own, others), &[]).end(None);
            for missing in SOURCES {
                let truth = moves(trigger, own, others);
                let world = World::honest(definition_of(trigger), truth, &[missing]);
                let enters = world.end(None).verdict == Verdict::Enter;
                assert!(!enters || full.verdict == Verdict::Enter, "{trigger:?} {own} {others} without {missing:?}");
                assert!(!enters || missing != trigger);
            }
        }
    }
}
