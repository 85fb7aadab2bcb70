//! The answer as a table that can be read at three in the morning.
//!
//! Thread: main.  Invariants: the verdict and what stood in its way come first; times are UTC.

use super::follow::{Answer, Moment};
use super::order::OrderStory;
use super::rules::{self, RuleLook, refusal};
use crate::cli::words::{self, span, when};
use crate::engine::why::Why;
use crate::types::command::Command;
use crate::types::decision::Verdict;
use crate::types::note::WireNote;
use crate::types::{Leg, Time};

/// Names of the stages of [`WireNote::Sent`].
pub const STAGES: [&str; 5] = ["decode", "ring", "step", "encode", "write"];

/// Lines, in order.
type Page = Vec<String>;

/// The whole answer.
pub fn answer(answer: &Answer) -> String {
    let mut out = Page::new();
    match answer {
        Answer::Moment(moment) => tell_moment(&mut out, moment),
        Answer::Order(story) => tell_order(&mut out, story),
        Answer::Idle { before, after } => tell_idle(&mut out, *before, *after),
        Answer::Nothing { .. } => {}
    }
    out.join("\n")
}

/// Name of a verdict.
pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Enter => "ENTER",
        Verdict::Exit => "EXIT",
        Verdict::NoOp => "NO_OP",
    }
}

fn tell_idle(out: &mut Page, before: Option<(u32, Time)>, after: Option<(u32, Time)>) {
    out.push("no engine ran then".to_owned());
    if let Some((epoch, at)) = before {
        out.push(format!("  run {epoch} told its last event at {}", when(at)));
    }
    match after {
        Some((epoch, at)) => out.push(format!("  run {epoch} began at {}", when(at))),
        None => out.push("  no run began after that".to_owned()),
    }
}

fn tell_moment(out: &mut Page, moment: &Moment) {
    let decision = moment.decision();
    out.push(format!(
        "{}  {}  (run {})",
        when(moment.at),
        decision.map_or("NOTHING DECIDED YET", |d| verdict(d.verdict)),
        moment.epoch
    ));
    if let Some(event) = &moment.event {
        out.push(format!(
            "  newest event: {}, {} of {}: {}",
            event.seq,
            words::kind(event),
            event.stream.name(),
            words::event(event)
        ));
    }
    if let Some(recorded) = &moment.recorded {
        out.push(format!("  these rules hold and fail since {} (event {})", when(recorded.at), recorded.seq));
    }
    tell_rules(out, moment);
    tell_risk(out, moment);
}

fn tell_rules(out: &mut Page, moment: &Moment) {
    let Some(decision) = moment.decision() else { return };
    let failing = rules::failing(&decision);
    match (decision.verdict, failing.is_empty()) {
        (Verdict::Exit, _) => out.push("  the position should go".to_owned()),
        (_, true) => out.push("  every rule holds".to_owned()),
        (_, false) => out.push(format!("  not holding: {failing}")),
    }
    if let Some(doubt) = &moment.doubt {
        out.push(format!("  values are those of the record: {doubt}"));
    }
    out.push(String::new());
    table(out, &rules::rules(&decision, moment.why.as_ref()));
}

fn table(out: &mut Page, looks: &[RuleLook]) {
    let head = ["rule", "ok", "value", "needs", "margin"].map(str::to_owned);
    let rows = looks.iter().map(|look| {
        let margin = look.margin.map_or("-".to_owned(), |margin| margin.text());
        let ok = if look.pass { "yes" } else { "NO" };
        [look.rule.name().to_owned(), ok.to_owned(), look.value.clone(), look.needs.clone(), margin]
    });
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(rows).collect();
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        out.push(format!("  {}", cells.join("  ").trim_end()));
    }
}

fn tell_risk(out: &mut Page, moment: &Moment) {
    out.push(String::new());
    if let Some(why) = &moment.why {
        match why.refused {
            Some(refused) => out.push(format!("  risk would refuse an entry: {}", refusal(&refused))),
            None => out.push("  risk alone would let an entry pass".to_owned()),
        }
    }
    let paused: Vec<&str> = moment.pauses.iter().map(|reason| reason.name()).collect();
    out.push(format!("  paused by: {}", if paused.is_empty() { "nothing".to_owned() } else { paused.join(", ") }));
    for refused in &moment.refusals {
        out.push(format!("  refused at {} (event {}): {}", when(refused.at), refused.seq, refusal(&refused.fact)));
    }
    if let Some(why) = &moment.why {
        tell_streams(out, why);
    }
}

fn tell_streams(out: &mut Page, why: &Why) {
    for look in why.streams.iter().flatten() {
        let age = look.age_ns.map_or(String::new(), |age| format!("spoke {} ago", span(age)));
        let max = look.age_ns_max.map_or(String::new(), |max| format!(" (at most {})", span(max)));
        out.push(format!("  stream {:14} {:5} {age}{max}", look.stream.name(), look.state.name()));
    }
}

fn tell_order(out: &mut Page, story: &OrderStory) {
    let Some(moment) = &story.moment else { return };
    out.push(format!("{}  run {}", story.id, moment.epoch));
    for row in &story.rows {
        let name = if story.rows.len() > 1 { format!("{} ", row.id) } else { String::new() };
        out.push(format!("  {name}{}: {}", row.purpose.name(), words::standing(row)));
    }
    if let Some(event) = &moment.event {
        out.push(String::new());
        out.push(format!("  led to by event {} at {}", event.seq, when(event.at)));
        out.push(format!("    {} of {}: {}", words::kind(event), event.stream.name(), words::event(event)));
        out.push(format!(
            "    read {}, seen by the engine {} later",
            when(event.recv),
            span(event.at.since(event.recv))
        ));
    }
    out.push(String::new());
    tell_reason(out, moment, story.id.leg);
    tell_step(out, &story.commands);
    tell_wire(out, story);
    tell_fate(out, story);
}

/// An entry is the rules' doing; any other order follows from the event, and the rules are a remark.
fn tell_reason(out: &mut Page, moment: &Moment, leg: Leg) {
    if matches!(leg, Leg::Entry(_)) {
        out.push("  the rules then".to_owned());
        return tell_rules(out, moment);
    }
    let Some(decision) = moment.decision() else { return };
    let failing = rules::failing(&decision);
    let but = if failing.is_empty() { String::new() } else { format!(", not holding: {failing}") };
    out.push(format!("  the newest decision then: {}{but}", verdict(decision.verdict)));
}

fn tell_step(out: &mut Page, commands: &[Command]) {
    out.push(String::new());
    out.push("  that step asked for".to_owned());
    for command in commands.iter().filter(|command| !matches!(command, Command::ArmTimer { .. })) {
        out.push(format!("    {}", words::command(command)));
    }
}

fn tell_wire(out: &mut Page, story: &OrderStory) {
    out.push(String::new());
    out.push("  on the wire".to_owned());
    for note in story.wire_notes() {
        match note {
            WireNote::Sent { verb, sent, trigger, stages_ns, .. } => {
                let stages = STAGES.iter().zip(stages_ns).map(|(name, ns)| format!("{name} {}", span(i64::from(*ns))));
                let stages: Vec<String> = stages.collect();
                out.push(format!(
                    "    {} {} sent, {} after its cause",
                    when(*sent),
                    verb.name(),
                    span(sent.since(*trigger))
                ));
                out.push(format!("      {}", stages.join(", ")));
            }
            WireNote::Answered { verb, took_ns, code: 0, .. } => {
                out.push(format!("    {} accepted after {}", verb.name(), span(*took_ns)));
            }
            WireNote::Answered { verb, took_ns, code, .. } => {
                out.push(format!("    {} refused with {code} after {}", verb.name(), span(*took_ns)));
            }
            _ => {}
        }
    }
}

fn tell_fate(out: &mut Page, story: &OrderStory) {
    out.push(String::new());
    out.push("  what came of it".to_owned());
    let reports = story.reports.iter().map(|told| (told.seq, told.at, words::report_words(&told.fact.1)));
    let asked = story.later.iter().map(|told| (told.seq, told.at, format!("we: {}", words::command(&told.fact))));
    let met = story.met.iter().map(|told| (told.seq, told.at, words::resting(&told.fact)));
    let mut lines: Vec<(u64, Time, String)> = reports.chain(asked).chain(met).collect();
    lines.sort_by_key(|(seq, at, _)| (*at, *seq));
    for (seq, at, text) in &lines {
        out.push(format!("    {} (event {seq}) {text}", when(*at)));
    }
    for fill in &story.fills {
        out.push(format!(
            "    booked: {} at {}, fee {}, trade {}",
            fill.qty,
            fill.price,
            words::fee(fill),
            fill.trade_id
        ));
    }
    for row in story.rows.iter().filter(|row| row.status.is_done()) {
        out.push(format!("    ended {}: {}", when(row.done), words::standing(row)));
    }
}
