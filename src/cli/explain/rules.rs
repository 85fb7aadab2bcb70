//! Each rule with its value, what it needs and how far it is from flipping; each refusal in its own unit.
//!
//! Thread: main.  Invariants: a margin is positive while its rule holds and negative while it does not; a value that is
//! not known has none.

use crate::cli::words::{span, when};
use crate::engine::why::{StreamLook, Why};
use crate::ledger::Named;
use crate::types::decision::{Decision, Refused, RiskRule, Rule, VOLUME_STREAMS};
use crate::types::event::SourceState;
use crate::types::record::PauseReason;
use crate::types::{Bps, Notional, Price, Qty, Ratio, StreamId};

/// One rule of the signal at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleLook {
    /// Which.
    pub rule: Rule,
    /// Whether it holds.
    pub pass: bool,
    /// What was seen.
    pub value: String,
    /// What it needs.
    pub needs: String,
    /// How far it is from flipping.
    pub margin: Option<Margin>,
}

/// A distance in the unit of its rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Margin {
    /// Part of the older volume; shown in points of a percent.
    Drop(Ratio),
    /// Points of the RSI.
    Rsi(Ratio),
    /// Quote units.
    Price(Price),
    /// Time until it is too old, ns.
    Age(i64),
}

impl Margin {
    /// Whether the rule holds by it. At zero it depends on the rule.
    pub fn is_negative(self) -> bool {
        match self {
            Margin::Drop(Ratio(value)) | Margin::Rsi(Ratio(value)) | Margin::Price(Price(value)) => value < 0,
            Margin::Age(ns) => ns < 0,
        }
    }
    /// The exact number.
    pub fn number(self) -> String {
        match self {
            Margin::Drop(value) | Margin::Rsi(value) => value.to_string(),
            Margin::Price(value) => value.to_string(),
            Margin::Age(ns) => ns.to_string(),
        }
    }
    /// Its unit.
    pub fn unit(self) -> &'static str {
        match self {
            Margin::Drop(_) => "ratio",
            Margin::Rsi(_) => "rsi",
            Margin::Price(_) => "quote",
            Margin::Age(_) => "ns",
        }
    }
    /// For people.
    pub fn text(self) -> String {
        let sign = if self.is_negative() { "-" } else { "+" };
        match self {
            Margin::Drop(Ratio(value)) => format!("{sign}{} points", hundredths(Ratio(magnitude(value, 100)))),
            Margin::Rsi(Ratio(value)) => format!("{sign}{}", hundredths(Ratio(magnitude(value, 1)))),
            Margin::Price(Price(value)) => format!("{sign}{}", Price(magnitude(value, 1))),
            Margin::Age(ns) => format!("{sign}{}", span(magnitude(ns, 1))),
        }
    }
}

fn magnitude(value: i64, times: i64) -> i64 {
    value.saturating_abs().saturating_mul(times)
}

/// Cut to two places, for eyes: never rounded up over a threshold.
fn hundredths(value: Ratio) -> Ratio {
    Ratio(value.0 - value.0.rem_euclid(1_000_000))
}

fn percent(value: Ratio) -> String {
    format!("{} %", hundredths(Ratio(value.0.saturating_mul(100))))
}

/// Every rule of a decision. Without a `why` only what the decision's own record holds.
pub fn rules(decision: &Decision, why: Option<&Why>) -> Vec<RuleLook> {
    Rule::ALL.into_iter().map(|rule| look(rule, decision, why)).collect()
}

/// Names of the rules that do not hold.
pub fn failing(decision: &Decision) -> String {
    let failing = Rule::ALL.into_iter().filter(|rule| decision.passed & rule.bit() == 0);
    failing.map(Rule::name).collect::<Vec<_>>().join(", ")
}

fn look(rule: Rule, d: &Decision, why: Option<&Why>) -> RuleLook {
    let pass = d.passed & rule.bit() != 0;
    let is_mid_known = d.mid != Price::ZERO;
    let (value, needs, margin) = match rule {
        Rule::VolumeSource => source(d, why),
        Rule::VolumeDrop => {
            let margin = (d.source_state == SourceState::Ok).then(|| Margin::Drop(minus(d.drop, d.drop_min)));
            (percent(d.drop), format!("> {}", percent(d.drop_min)), margin)
        }
        Rule::VolumeSol => in_sol(d),
        Rule::VolumeConfirmed => confirmed(d),
        Rule::RsiKnown => rsi_known(pass, why),
        Rule::Rsi => {
            let margin = (d.passed & Rule::RsiKnown.bit() != 0).then(|| Margin::Rsi(minus(d.rsi_max, d.rsi)));
            (hundredths(d.rsi).to_string(), format!("< {}", d.rsi_max), margin)
        }
        Rule::BookFresh => aged("top of book", why.map(|why| why.book_age_ns), pass),
        Rule::SupportLow => {
            let margin = is_mid_known.then(|| Margin::Price(less(d.mid, d.support_low)));
            (format!("mid {}", d.mid), format!(">= {}", d.support_low), margin)
        }
        Rule::SupportHigh => {
            let margin = is_mid_known.then(|| Margin::Price(less(d.support_high, d.mid)));
            (format!("mid {}", d.mid), format!("<= {}", d.support_high), margin)
        }
        Rule::OncePerDay => (last_entry(why, pass), "none this day, drop eased since".to_owned(), None),
        Rule::Flat => (held(why, pass), "no coins, no order".to_owned(), None),
    };
    RuleLook { rule, pass, value, needs, margin }
}

fn minus(a: Ratio, b: Ratio) -> Ratio {
    Ratio(a.0.saturating_sub(b.0))
}
fn less(a: Price, b: Price) -> Price {
    Price(a.0.saturating_sub(b.0))
}

type Look = (String, String, Option<Margin>);

fn source(d: &Decision, why: Option<&Why>) -> Look {
    let state = d.source_state.name();
    let (age, max) = why.map_or((None, 0), |why| why.volume_age_ns);
    let contradicted = if d.contradicted > 0 { ", contradicted" } else { "" };
    let old = age.map_or(String::new(), |age| format!(", {} old", span(age)));
    let needs = if max > 0 { format!("OK, <= {} old", span(max)) } else { "OK, not contradicted".to_owned() };
    (format!("{} {state}{contradicted}{old}", d.source.name()), needs, age.map(|age| Margin::Age(max - age)))
}

fn in_sol(d: &Decision) -> Look {
    let needs = if d.drop_sol_min.0 > 0 { format!("> {}", percent(d.drop_sol_min)) } else { "off".to_owned() };
    let is_off = d.drop_sol_min.0 == 0;
    let margin =
        (d.source_state == SourceState::Ok && !is_off).then(|| Margin::Drop(minus(d.drop_sol, d.drop_sol_min)));
    (format!("{} in SOL", percent(d.drop_sol)), needs, margin)
}

/// The trigger's word stands in the rule before: here is what the other sources say.
fn confirmed(d: &Decision) -> Look {
    let others = VOLUME_STREAMS.into_iter().zip(d.looks).filter(|(stream, _)| *stream != d.source);
    let told = others.map(|(stream, look)| match look.state {
        SourceState::Ok => format!("{} {}", stream.name(), percent(Ratio(i64::from(look.drop.0) * 100))),
        state => format!("{} {} ({})", stream.name(), state.name(), look.reason.name()),
    });
    let told = told.collect::<Vec<_>>().join(", ");
    (format!("{} fell too; drops: {told}", d.confirmed), format!(">= {}", d.confirmed_min), None)
}

fn rsi_known(pass: bool, why: Option<&Why>) -> Look {
    let candle =
        why.and_then(|why| why.streams.iter().flatten().find(|look| look.stream == StreamId::BinanceCandle).copied());
    let known = if pass { "known" } else { "not known" };
    let Some(StreamLook { age_ns: Some(age), age_ns_max: Some(max), .. }) = candle else {
        return (known.to_owned(), "enough fresh candles".to_owned(), None);
    };
    let needs = format!("candle <= {} old", span(max));
    (format!("{known}, candle {} old", span(age)), needs, Some(Margin::Age(max.saturating_sub(age))))
}

fn aged(what: &str, age: Option<(Option<i64>, i64)>, pass: bool) -> Look {
    match age {
        Some((Some(age), max)) => (
            format!("{what} {} old", span(age)),
            format!("<= {} old", span(max)),
            Some(Margin::Age(max.saturating_sub(age))),
        ),
        Some((None, max)) => (format!("no {what}"), format!("<= {} old", span(max)), None),
        None => ((if pass { "fresh" } else { "not fresh" }).to_owned(), "fresh".to_owned(), None),
    }
}

/// The engine is looked at after the step, so an entry that this very step began is not the last one.
fn last_entry(why: Option<&Why>, pass: bool) -> String {
    match why {
        Some(Why { acted: Some(acted), at, .. }) if pass && acted == at => "no entry but this one".to_owned(),
        Some(Why { acted: Some(acted), .. }) => format!("last entry {}", when(*acted)),
        Some(Why { acted: None, .. }) => "no entry yet".to_owned(),
        None => (if pass { "not yet" } else { "acted already" }).to_owned(),
    }
}

fn held(why: Option<&Why>, pass: bool) -> String {
    let Some(why) = why else { return (if pass { "flat" } else { "not flat" }).to_owned() };
    if pass && why.orders_open > 0 {
        return "flat until this step".to_owned();
    }
    let mut text = format!("{} coins, {} orders open", why.position, why.orders_open);
    if why.tranche > 0 {
        text.push_str(&format!(", tranche {} of an entry", why.tranche));
    }
    if why.closing {
        text.push_str(", getting out");
    }
    text
}

/// A refusal with its numbers in the unit of its rule.
pub fn refusal(refused: &Refused) -> String {
    let (value, limit) = (refused.value, refused.limit);
    let money = |value| Notional(value).to_string();
    let facts = match refused.rule {
        RiskRule::TradeRisk | RiskRule::Exposure | RiskRule::Balance if refused.tranche > 0 => {
            format!("{} against {} allowed", money(value), money(limit))
        }
        RiskRule::TradeRisk | RiskRule::Exposure | RiskRule::Balance | RiskRule::TooSmall => {
            format!("size {} against {}", Qty(value), Qty(limit))
        }
        RiskRule::GlobalStop | RiskRule::PriceCollar => format!("{} against {}", Price(value), Price(limit)),
        RiskRule::StaleFeed if limit == 0 => "a stream that entries stand on is not up".to_owned(),
        RiskRule::StaleFeed if value == i64::MAX => format!("nothing read yet, {} allowed", span(limit)),
        RiskRule::StaleFeed => format!("{} old or not up, {} allowed", span(value), span(limit)),
        RiskRule::DexDivergence => format!("{} away from the Solana exchanges, {} allowed", Ratio(value), Ratio(limit)),
        RiskRule::ClockOffset if value == i64::MAX => format!("not measured yet, {} allowed", span(limit)),
        RiskRule::ClockOffset => format!("{} away, {} allowed", span(value), span(limit)),
        RiskRule::Slippage if limit > 0 => format!("mean {} bps, {} allowed", bps(value), bps(limit)),
        RiskRule::Paused | RiskRule::DailyLoss | RiskRule::Slippage => format!("paused by {}", paused_by(value)),
        RiskRule::UnknownOrder => format!("{value} order(s) without a known state"),
        RiskRule::AlgoSlots => format!("{value} slot(s) for stops at the venue"),
        RiskRule::SignalGone => format!("no longer holding: {}", rules_of(limit & !value)),
        RiskRule::NewsLock => "risk.news_lock is set".to_owned(),
        RiskRule::Stopping => "the engine stops".to_owned(),
        RiskRule::Arithmetic => "a check could not be computed".to_owned(),
        RiskRule::RateBudget => format!("{value} of {limit}"),
    };
    let of = if refused.tranche > 0 { format!(" (tranche {})", refused.tranche) } else { String::new() };
    format!("{}{of}: {facts}", refused.rule.name())
}

fn bps(value: i64) -> String {
    i32::try_from(value).map_or_else(|_| value.to_string(), |value| Bps(value).to_string())
}

fn paused_by(value: i64) -> &'static str {
    PauseReason::ALL.into_iter().find(|reason| *reason as i64 == value).map_or("an unknown reason", PauseReason::name)
}

fn rules_of(bits: i64) -> String {
    let named = Rule::ALL.into_iter().filter(|rule| bits & i64::from(rule.bit()) != 0);
    named.map(Rule::name).collect::<Vec<_>>().join(", ")
}
