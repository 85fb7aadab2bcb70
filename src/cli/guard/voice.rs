//! What the guard says: JSON lines on stdout, and alarms to the people's channels.
//!
//! Thread: main; the channels have threads of their own.  Invariants: an alarm is a `FATAL` line first; a closed stdout
//! or a stuck channel stops nothing.

use crate::sys::clock::Clock;
use crate::telemetry::alerts::{AlertText, Urgency};
use crate::telemetry::{Line, Lines};
use crate::threads::helpers::alerts::{AlertSettings, AlertStartError, Alerts};
use crossbeam_channel::{Receiver, bounded};
use std::io;
use std::time::Duration;

/// Lines of the channels that may wait.
const LINES_MAX: usize = 64;
/// How long an alarm under way may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// The guard's mouth.
pub struct Voice {
    clock: Clock,
    lines: Lines,
    alerts: Option<Alerts>,
    from_channels: Receiver<Line>,
    alarms: u64,
}

impl Voice {
    /// Starts the channels. Errors: a `ca_file` that cannot be used, a kernel without threads.
    pub fn start(settings: AlertSettings, clock: Clock) -> Result<Voice, AlertStartError> {
        let (tx, from_channels) = bounded(LINES_MAX);
        let alerts = Alerts::start(settings, clock, &tx)?;
        Ok(Voice { clock, lines: Lines::new(Box::new(io::stdout())), alerts, from_channels, alarms: 0 })
    }

    /// A line as planned, to be given facts and then to [`Voice::say`].
    pub fn info(&self, event: &'static str, msg: impl Into<String>) -> Line {
        Line::info(self.clock.now(), event, msg)
    }
    /// A line that somebody should look at some day.
    pub fn warn(&self, event: &'static str, msg: impl Into<String>) -> Line {
        Line::warn(self.clock.now(), event, msg)
    }
    /// Says it at once.
    pub fn say(&mut self, line: &Line) {
        while let Ok(line) = self.from_channels.try_recv() {
            self.lines.put(&line);
        }
        self.lines.put(line);
        self.lines.flush();
    }
    /// Wakes somebody. Alarms of one `key` within half a minute are one.
    pub fn alarm(&mut self, key: &str, body: &str) {
        let line = Line::error(self.clock.now(), "FATAL", body.to_owned()).with("guard", key.to_owned());
        self.say(&line);
        self.alarms += 1;
        let (id, key, body) = (self.alarms, format!("GUARD {key}"), format!("guard: {body}"));
        let text = AlertText { id, key, urgency: Urgency::Critical, head: "FATAL", body };
        if let Some(alerts) = &self.alerts
            && alerts.queue().send(text).is_err()
        {
            self.say(&self.warn("ALERT_FAILED", "an alarm found its queue full; the log has it"));
        }
    }
    /// Lets alarms under way go out.
    pub fn end(mut self) {
        let line = self.info("SHUTDOWN", "the guard ends; nobody looks after the engine's orders now");
        self.say(&line);
        if let Some(alerts) = self.alerts.take() {
            alerts.stop(LAST_WORDS, self.clock);
        }
    }
}
