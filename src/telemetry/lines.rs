//! JSON log lines: one object a line, `ts`, `level`, `event`, `msg`, then the event's own fields.
//!
//! Thread: cold writes; any cold-side thread makes [`Line`]s and sends them there.  Invariants: a line is written
//! whole or not at all; a blocked or closed stdout never stops anything, it is counted.

use std::fmt;
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use crate::types::Time;
use crate::types::reconcile::ReconcileCount;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As planned.
    Info,
    /// Somebody should look some day.
    Warn,
    /// Somebody should look now.
    Error,
}

impl Level {
    /// As in the line.
    pub fn name(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

/// One log line in the making.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// When it happened.
    pub ts: Time,
    /// How bad it is.
    pub level: Level,
    /// What happened, UPPER_SNAKE.
    pub event: &'static str,
    /// In plain words.
    pub msg: String,
    /// The event's own facts, in order.
    pub fields: Vec<(&'static str, Value)>,
}

impl Line {
    /// A line without facts.
    pub fn new(ts: Time, level: Level, event: &'static str, msg: impl Into<String>) -> Line {
        Line { ts, level, event, msg: msg.into(), fields: Vec::new() }
    }
    /// As planned.
    pub fn info(ts: Time, event: &'static str, msg: impl Into<String>) -> Line {
        Line::new(ts, Level::Info, event, msg)
    }
    /// Somebody should look some day.
    pub fn warn(ts: Time, event: &'static str, msg: impl Into<String>) -> Line {
        Line::new(ts, Level::Warn, event, msg)
    }
    /// Somebody should look now.
    pub fn error(ts: Time, event: &'static str, msg: impl Into<String>) -> Line {
        Line::new(ts, Level::Error, event, msg)
    }
    /// Adds a fact.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Line {
        self.fields.push((name, value.into()));
        self
    }
    /// Adds a number of ours as its exact decimal text.
    pub fn number(self, name: &'static str, value: impl fmt::Display) -> Line {
        self.with(name, value.to_string())
    }

    fn write(&self, out: &mut Vec<u8>) {
        let text = |text: &str| Value::from(text).to_string();
        let (ts, level, event) = (rfc3339_us(self.ts), self.level.name(), self.event);
        let _ = write!(out, r#"{{"ts":"{ts}","level":"{level}","event":"{event}","msg":{}"#, text(&self.msg)); // a Vec takes all
        for (name, value) in &self.fields {
            let _ = write!(out, ",{}:{value}", text(name));
        }
        out.extend_from_slice(b"}\n");
    }
}

/// The line of a reconcile that ended.
pub fn reconcile_line(ts: Time, count: ReconcileCount) -> Line {
    let ReconcileCount { trigger, fills, adopted, cancelled, ended, balances } = count;
    let (level, msg) = match count.is_clean() {
        true => (Level::Info, "nothing differed".to_owned()),
        false => {
            let words = [
                (fills, "fill(s) booked"),
                (adopted, "order(s) adopted"),
                (cancelled, "order(s) cancelled"),
                (ended, "order(s) ended"),
                (balances, "balance(s) differ"),
            ];
            let told = words.iter().filter(|(found, _)| *found > 0).map(|(found, word)| format!("{found} {word}"));
            (Level::Warn, told.collect::<Vec<_>>().join(", "))
        }
    };
    let line = Line::new(ts, level, "RECONCILE", msg).with("trigger", trigger.name()).with("fills", fills);
    line.with("adopted", adopted).with("cancelled", cancelled).with("ended", ended).with("balances", balances)
}

/// RFC 3339 with microseconds, UTC.
pub fn rfc3339_us(time: Time) -> String {
    humantime::format_rfc3339_micros(UNIX_EPOCH + Duration::from_nanos(time.0.max(0).unsigned_abs())).to_string()
}

/// Lines kept while stdout does not take them.
const BUFFER_BYTES_MAX: usize = 1 << 20;

/// The writer. Nothing leaves before [`Lines::flush`].
pub struct Lines {
    out: Box<dyn Write + Send>,
    buffer: Vec<u8>,
    lost: u64,
}

impl fmt::Debug for Lines {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Lines").field("waiting_bytes", &self.buffer.len()).field("lost", &self.lost).finish()
    }
}

impl Lines {
    /// Onto any writer; a run gives stdout.
    pub fn new(out: Box<dyn Write + Send>) -> Lines {
        Lines { out, buffer: Vec::with_capacity(16 * 1_024), lost: 0 }
    }

    /// Adds a line; it is dropped and counted if too much waits already.
    pub fn put(&mut self, line: &Line) {
        if self.buffer.len() >= BUFFER_BYTES_MAX {
            self.lost += 1;
        } else {
            line.write(&mut self.buffer);
        }
    }

    /// Writes whole lines only. What a closed pipe does not take is counted and forgotten.
    pub fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        if self.out.write_all(&self.buffer).and_then(|()| self.out.flush()).is_err() {
            self.lost += self.buffer.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        self.buffer.clear();
    }

    /// Lines nobody got.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_json_object_whatever_its_text_holds() {
        let line = Line::warn(Time(1_795_372_200_123_456_789), "STREAM_DOWN", "a \"quote\"\nand a break")
            .with("age_ms", 5)
            .number("px", "161.5");
        let mut bytes = Vec::new();
        line.write(&mut bytes);
        let text = String::from_utf8(bytes).expect("UTF-8");
        assert!(
            text.starts_with(r#"{"ts":"2026-11-22T18:30:00.123456Z","level":"warn","event":"STREAM_DOWN","msg":"#),
            "{text}"
        );
        assert_eq!(text.matches('\n').count(), 1, "one line");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&value["age_ms"], &value["px"]), (&Value::from(5), &Value::from("161.5")));
    }

    #[test]
    fn a_closed_pipe_is_counted_and_stops_nothing() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut lines = Lines::new(Box::new(Closed));
        for _ in 0..3 {
            lines.put(&Line::info(Time(0), "START", "x"));
        }
        lines.flush();
        assert_eq!(lines.lost(), 3);
    }
}
