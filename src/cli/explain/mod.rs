//! `explain`: why a trade, why none, what became of an order. From the journal alone.
//!
//! Thread: main.  Invariants: reads only; a damaged journal is named, never guessed around; every number is the journal's
//! or comes of an engine made again from it.

mod follow;
mod json;
mod order;
mod rules;
mod text;

pub use rules::refusal;

use super::replay::JournalArgs;
use super::{Failure, exit};
use crate::ledger::journal::Reader;
use crate::sys::clock::Clock;
use crate::types::time::{NANOS_PER_DAY, NANOS_PER_SEC};
use crate::types::{ClientOrderId, Time};
use follow::{Answer, Follower, Question};
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// Forms that a time may have.
const TIMES: &str = "a time is RFC 3339 in UTC (2026-01-15T14:32:00Z, with or without a fraction), or HH:MM or HH:MM:SS of \
    today in UTC";
/// Form that an order id has.
const IDS: &str = "an order id is v<epoch>-<signal>-<leg>-<attempt>, for example v0000000012-000003-01-0001: see the log \
    line ORDER_SENT or column client_order_id of the ledger";

/// Arguments of `explain`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: sol_volume_bot explain --at 14:32\n         \
    sol_volume_bot explain --order v0000000012-000003-01-0001\n         sol_volume_bot explain --last --json")]
#[command(group(clap::ArgGroup::new("question").required(true)))]
pub struct ExplainArgs {
    /// The decision in force at this time, UTC: RFC 3339, or HH:MM[:SS] of today
    #[arg(long, group = "question", value_name = "TIME")]
    pub at: Option<String>,
    /// Where this order came from and what became of it
    #[arg(long, group = "question", value_name = "ID")]
    pub order: Option<String>,
    /// The newest change between ENTER, EXIT and NO_OP
    #[arg(long, group = "question")]
    pub last: bool,
    /// Where the journal lies
    #[command(flatten)]
    pub place: JournalArgs,
    /// A segment or a folder instead
    #[arg(long, value_name = "PATH")]
    pub journal: Option<std::path::PathBuf>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs the verb: 0 and the answer; 2 for a time or an order that no journal of ours has; 5 if the journal is damaged.
pub fn run(args: &ExplainArgs) -> ExitCode {
    match explain(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => why.report("explain"),
    }
}

fn explain(args: &ExplainArgs) -> Result<(), Failure> {
    let question = question(args, Clock::start().now())?;
    let path = args.place.journal(args.journal.as_deref())?;
    let damaged = |why: &dyn std::fmt::Display| Failure::new(exit::DIFFERENCE, why);
    let mut reader = Reader::open(&path).map_err(|why| super::replay::unreadable(&why))?;
    let mut follower = Follower::new(question);
    let mut answer = None;
    while let Some(entry) = reader.next() {
        let entry = entry.map_err(|why| damaged(&why))?;
        let epoch = reader.epoch().unwrap_or_default();
        answer = follower.take(&entry, epoch);
        if answer.is_some() {
            break;
        }
    }
    let answer = answer.unwrap_or_else(|| follower.end());
    if let Answer::Nothing { epochs } = answer {
        return Err(nothing(question, epochs));
    }
    let told = if args.json { json::answer(&answer).to_string() } else { text::answer(&answer) };
    match writeln!(std::io::stdout(), "{}", told.trim_end()) {
        Err(why) if why.kind() != ErrorKind::BrokenPipe => Err(Failure::new(exit::FAILED, &why)),
        _ => Ok(()),
    }
}

fn nothing(question: Question, epochs: Option<(u32, u32)>) -> Failure {
    let runs = epochs.map_or("no run".to_owned(), |(first, last)| format!("runs {first} to {last}"));
    let why = match question {
        Question::Order(id) => {
            format!("--order {id}: no order of that name in this journal, which holds {runs}; {IDS}")
        }
        Question::At(_) | Question::Last => format!("nothing was decided yet in this journal, which holds {runs}"),
    };
    Failure::new(exit::BAD_CONFIG, &why)
}

fn question(args: &ExplainArgs, now: Time) -> Result<Question, Failure> {
    if let Some(text) = &args.at {
        let at = time(text, now).ok_or_else(|| Failure::new(exit::BAD_CONFIG, &format!("--at {text}: {TIMES}")))?;
        return Ok(Question::At(at));
    }
    let Some(text) = &args.order else { return Ok(Question::Last) };
    let id = ClientOrderId::parse(text.as_bytes());
    id.map(Question::Order).ok_or_else(|| Failure::new(exit::BAD_CONFIG, &format!("--order {text}: {IDS}")))
}

/// A time as people write it; `None` for anything else.
fn time(text: &str, now: Time) -> Option<Time> {
    if let Ok(at) = humantime::parse_rfc3339_weak(text) {
        let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
        return i64::try_from(since.as_nanos()).ok().map(Time);
    }
    let parts: Vec<&str> = text.split(':').collect();
    let number = |part: &str, max: i64| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<i64>().ok())?.filter(|value| *value < max)
    };
    let seconds = match parts[..] {
        [hour, minute] => number(hour, 24)? * 3_600 + number(minute, 60)? * 60,
        [hour, minute, second] => number(hour, 24)? * 3_600 + number(minute, 60)? * 60 + number(second, 60)?,
        _ => return None,
    };
    let at = now.day_start().plus(seconds * NANOS_PER_SEC);
    (at.since(now.day_start()) < NANOS_PER_DAY).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_each_allowed_form_and_in_no_other() {
        let now = Time(1_795_348_800 * NANOS_PER_SEC + 77); // 2026-11-22 12:00 UTC
        let day = now.day_start();
        let good = [
            ("2026-11-22T12:00:00Z", Time(1_795_348_800 * NANOS_PER_SEC)),
            ("2026-11-22 12:00:00", Time(1_795_348_800 * NANOS_PER_SEC)),
            ("2026-11-22T12:00:00.000000001Z", Time(1_795_348_800 * NANOS_PER_SEC + 1)),
            ("14:32", day.plus((14 * 60 + 32) * 60 * NANOS_PER_SEC)),
            ("00:00:07", day.plus(7 * NANOS_PER_SEC)),
            ("23:59:59", day.plus(NANOS_PER_DAY - NANOS_PER_SEC)),
        ];
        for (text, want) in good {
            assert_eq!(time(text, now), Some(want), "{text}");
        }
        for text in
            ["", "24:00", "12:60", "12:00:60", "1:2", "12", "12:00:00:00", "noon", "+2:00", "2026-11-22T12:00:00+02:00"]
        {
            assert_eq!(time(text, now), None, "{text}");
        }
    }
}
