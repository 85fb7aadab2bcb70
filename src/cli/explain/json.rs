//! The answer as one JSON object.
//!
//! Thread: main.  Invariants: exact numbers are texts; a time is given twice, as RFC 3339 and in ns.

use serde_json::{Value, json};

use super::follow::{Answer, Dated, Moment};
use super::order::OrderStory;
use super::rules::{self, RuleLook, refusal};
use super::text::{STAGES, verdict};
use crate::cli::words::{self, when};
use crate::engine::why::StreamLook;
use crate::ledger::Named;
use crate::types::decision::Refused;
use crate::types::note::WireNote;
use crate::types::record::{FillRow, OrderRow};
use crate::types::{Event, Time};

/// The whole answer.
pub fn answer(answer: &Answer) -> Value {
    match answer {
        Answer::Moment(moment) => with(moment_value(moment), "answer", json!("moment")),
        Answer::Order(story) => order(story),
        Answer::Idle { before, after } => {
            let run = |run: &Option<(u32, Time)>| {
                run.map(|(epoch, at)| json!({"epoch": epoch, "at": when(at), "at_ns": at.0}))
            };
            json!({"answer": "idle", "before": run(before), "after": run(after)})
        }
        Answer::Nothing { epochs } => json!({"answer": "nothing", "epochs": epochs}),
    }
}

fn with(mut value: Value, key: &str, field: Value) -> Value {
    if let Value::Object(map) = &mut value {
        map.insert(key.to_owned(), field);
    }
    value
}

fn event(event: &Event) -> Value {
    json!({
        "seq": event.seq,
        "kind": words::kind(event),
        "stream": event.stream.name(),
        "what": words::event(event),
        "recv": when(event.recv),
        "recv_ns": event.recv.0,
        "at": when(event.at),
        "at_ns": event.at.0,
        "venue_time_ns": event.venue_time.0,
    })
}

fn moment_value(moment: &Moment) -> Value {
    let decision = moment.decision();
    let looks = decision.map(|decision| rules::rules(&decision, moment.why.as_ref()));
    let since =
        moment.recorded.map(|recorded| json!({"event": recorded.seq, "at": when(recorded.at), "at_ns": recorded.at.0}));
    json!({
        "epoch": moment.epoch,
        "at": when(moment.at),
        "at_ns": moment.at.0,
        "event": moment.event.as_ref().map(event),
        "verdict": decision.map(|decision| verdict(decision.verdict)),
        "since": since,
        "rules": looks.iter().flatten().map(rule).collect::<Vec<_>>(),
        "values": if moment.why.is_some() { "engine" } else { "record" },
        "doubt": moment.doubt,
        "risk": moment.why.map(|why| why.refused.as_ref().map_or(json!({"refuses": null}), |no| json!({"refuses": refused(no)}))),
        "refusals": moment.refusals.iter().map(dated_refusal).collect::<Vec<_>>(),
        "pauses": moment.pauses.iter().map(|reason| reason.name()).collect::<Vec<_>>(),
        "streams": moment.why.iter().flat_map(|why| why.streams.iter().flatten().map(stream)).collect::<Vec<_>>(),
    })
}

fn rule(look: &RuleLook) -> Value {
    json!({
        "rule": look.rule.name(),
        "pass": look.pass,
        "value": look.value,
        "threshold": look.needs,
        "margin": look.margin.map(rules::Margin::number),
        "margin_unit": look.margin.map(rules::Margin::unit),
    })
}

fn refused(no: &Refused) -> Value {
    json!({"rule": no.rule.name(), "tranche": no.tranche, "value": no.value, "limit": no.limit, "what": refusal(no)})
}

fn dated_refusal(no: &Dated<Refused>) -> Value {
    with(with(refused(&no.fact), "event", json!(no.seq)), "at", json!(when(no.at)))
}

fn stream(look: &StreamLook) -> Value {
    json!({
        "stream": look.stream.name(),
        "state": look.state.name(),
        "age_ns": look.age_ns,
        "age_ns_max": look.age_ns_max,
    })
}

fn order(story: &OrderStory) -> Value {
    let moment = story.moment.as_ref();
    let later = story
        .later
        .iter()
        .map(|told| json!({"event": told.seq, "at": when(told.at), "what": words::command(&told.fact)}));
    let reports = story.reports.iter().map(|told| {
        let (recv, report) = &told.fact;
        json!({"event": told.seq, "at": when(told.at), "recv_ns": recv.0, "kind": format!("{:?}", report.kind),
            "code": report.code, "what": words::report_words(report)})
    });
    let met = story
        .met
        .iter()
        .map(|told| json!({"event": told.seq, "at": when(told.at), "what": words::resting(&told.fact)}));
    json!({
        "answer": "order",
        "client_order_id": story.id.to_string(),
        "epoch": moment.map(|moment| moment.epoch),
        "event": moment.and_then(|moment| moment.event.as_ref()).map(event),
        "decision": moment.map(moment_value),
        "commands": story.commands.iter().map(words::command).collect::<Vec<_>>(),
        "wire": story.wire_notes().map(wire).collect::<Vec<_>>(),
        "reports": reports.collect::<Vec<_>>(),
        "met": met.collect::<Vec<_>>(),
        "later": later.collect::<Vec<_>>(),
        "fills": story.fills.iter().map(fill).collect::<Vec<_>>(),
        "orders": story.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

fn wire(note: &WireNote) -> Value {
    match note {
        WireNote::Sent { id, verb, sent, trigger, stages_ns } => {
            let stages: serde_json::Map<String, Value> =
                STAGES.iter().zip(stages_ns).map(|(name, ns)| ((*name).to_owned(), json!(ns))).collect();
            json!({"note": "sent", "id": id.to_string(), "verb": verb.name(), "sent": when(*sent), "sent_ns": sent.0,
                "tick_to_trade_ns": sent.since(*trigger), "stages_ns": stages})
        }
        WireNote::Answered { id, verb, took_ns, code } => {
            json!({"note": "answered", "id": id.to_string(), "verb": verb.name(), "took_ns": took_ns, "code": code})
        }
        _ => Value::Null,
    }
}

fn fill(fill: &FillRow) -> Value {
    json!({"trade_id": fill.trade_id, "qty": fill.qty.to_string(), "price": fill.price.to_string(),
        "fee": words::fee(fill), "recv_ns": fill.recv.0})
}

fn row(row: &OrderRow) -> Value {
    json!({
        "client_order_id": row.id.to_string(),
        "purpose": row.purpose.name(),
        "status": row.status.name(),
        "qty": row.qty.to_string(),
        "cum_qty": row.cum_qty.to_string(),
        "avg_px": row.avg_px.to_string(),
        "reason": row.reason.name(),
        "code": row.code,
        "done": row.status.is_done().then(|| when(row.done)),
    })
}
