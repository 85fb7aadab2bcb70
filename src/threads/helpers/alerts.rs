//! Alert delivery: one thread per channel, so that a stuck Telegram delays nothing but the next Telegram.
//!
//! Thread: `alert-telegram`, `alert-slack`, unpinned.  Invariants: a sender never waits; repeats within half a minute
//! become one; only network errors, 429 and 5xx are tried again, five times at most; a token or a webhook address is
//! in no line and no error.

mod channel;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

pub use channel::{Slack, Telegram};

use self::channel::{Outcome, Target};
use super::web;
use crate::sys::clock::Clock;
use crate::sys::net::tls::TlsSetupError;
use crate::telemetry::Line;
use crate::telemetry::alerts::{AlertText, Urgency};
use crate::types::Time;
use crate::types::time::NANOS_PER_SEC;

/// Alerts that wait per channel.
const QUEUE_MAX: usize = 256;
/// Tries in all.
const TRIES_MAX: u32 = 5;
/// Longest pause between two tries.
const BACKOFF_NS_MAX: i64 = 30 * NANOS_PER_SEC;
/// Messages a minute that a chat takes.
const PER_MINUTE_MAX: usize = 20;

/// How fast alerts go out. The defaults are the channels' own limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two messages, ns.
    pub spacing_ns: i64,
    /// Pause before the second try, ns; doubles with each.
    pub backoff_ns: i64,
    /// Repeats of one key within this are one message, ns.
    pub coalesce_ns: i64,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { spacing_ns: NANOS_PER_SEC, backoff_ns: NANOS_PER_SEC, coalesce_ns: 30 * NANOS_PER_SEC }
    }
}

/// Where alerts go.
#[derive(Debug, Default)]
pub struct AlertSettings {
    /// A Telegram chat.
    pub telegram: Option<Telegram>,
    /// A Slack webhook.
    pub slack: Option<Slack>,
    /// A further root certificate.
    pub ca_file: Option<PathBuf>,
    /// How fast.
    pub pace: Pace,
}

/// Why alert delivery cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AlertStartError {
    /// The root certificates are unusable.
    #[error("alerts: {0}")]
    Tls(#[from] TlsSetupError),
    /// The kernel refused a thread.
    #[error("alerts: no thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// The way in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AlertQueue {
    channels: Vec<Sender<AlertText>>,
    refused: Arc<AtomicU64>,
}

impl AlertQueue {
    /// Queues an alert for every channel; never waits. Gives it back if a channel's queue is full.
    pub fn send(&self, text: AlertText) -> Result<(), AlertText> {
        let mut full = false;
        for channel in &self.channels {
            full |= matches!(channel.try_send(text.clone()), Err(TrySendError::Full(_)));
        }
        if full {
            self.refused.fetch_add(1, Ordering::Relaxed); // a figure for people
            return Err(text);
        }
        Ok(())
    }
    /// Alerts that found a queue full.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// The running threads.
#[derive(Debug)]
pub struct Alerts {
    queue: AlertQueue,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    done: Receiver<()>,
}

impl Alerts {
    /// Starts a thread per configured channel; `None` if there is none. `lines` takes what goes wrong.
    pub fn start(
        settings: AlertSettings,
        clock: Clock,
        lines: &Sender<Line>,
    ) -> Result<Option<Alerts>, AlertStartError> {
        let telegram = settings.telegram.map(Target::Telegram);
        let slack = settings.slack.map(Target::Slack);
        let targets: Vec<Target> = telegram.into_iter().chain(slack).collect();
        if targets.is_empty() {
            return Ok(None);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (done_tx, done) = bounded(targets.len());
        let mut channels = Vec::new();
        let mut threads = Vec::new();
        for target in targets {
            let (tx, queue) = bounded(QUEUE_MAX);
            let agent = web::agent(settings.ca_file.as_deref())?;
            let mut courier = Courier {
                name: target.name(),
                target,
                agent,
                clock,
                queue,
                lines: lines.clone(),
                stop: Arc::clone(&stop),
                pace: settings.pace,
                waiting: VecDeque::new(),
                sent: VecDeque::new(),
                blocked_until: Time::NONE,
                disabled: false,
            };
            let done = done_tx.clone();
            threads.push(std::thread::Builder::new().name(format!("alert-{}", courier.name)).spawn(move || {
                courier.live();
                let _ = done.try_send(()); // one place per thread
            })?);
            channels.push(tx);
        }
        let queue = AlertQueue { channels, refused: Arc::new(AtomicU64::new(0)) };
        Ok(Some(Alerts { queue, stop, threads, done }))
    }

    /// The way in.
    pub fn queue(&self) -> AlertQueue {
        self.queue.clone()
    }

    /// Lets what waits go out once more, for at most `patience`. False if a channel was still stuck then: its thread
    /// ends with the process.
    pub fn stop(self, patience: Duration, clock: Clock) -> bool {
        self.stop.store(true, Ordering::Release); // pairs with the Acquire in `live`
        drop(self.queue); // the couriers' own ends hang up once every clone is gone
        let until = clock.now().plus(i64::try_from(patience.as_nanos()).unwrap_or(i64::MAX));
        for _ in 0..self.threads.len() {
            let left = until.since(clock.now()).max(0).unsigned_abs();
            if self.done.recv_timeout(Duration::from_nanos(left)).is_err() {
                return false;
            }
        }
        self.threads.into_iter().for_each(|thread| drop(thread.join()));
        true
    }
}

/// An alert on its way.
struct Waiting {
    text: AlertText,
    repeats: u32,
    tries: u32,
    plain: bool,
    due: Time,
}

/// One channel's thread.
struct Courier {
    name: &'static str,
    target: Target,
    agent: ureq::Agent,
    clock: Clock,
    queue: Receiver<AlertText>,
    lines: Sender<Line>,
    stop: Arc<AtomicBool>,
    pace: Pace,
    waiting: VecDeque<Waiting>,
    /// Keys sent lately, and when.
    sent: VecDeque<(String, Time)>,
    blocked_until: Time,
    disabled: bool,
}

/// How often a waiting thread looks at the stop flag.
const LOOK_NS: i64 = NANOS_PER_SEC / 10;

impl Courier {
    fn live(&mut self) {
        while !self.stop.load(Ordering::Acquire) {
            let now = self.clock.now();
            let due = self.waiting.iter().map(|waiting| waiting.due.max(self.blocked_until)).min();
            let wait = due.map_or(LOOK_NS, |due| due.since(now).clamp(0, LOOK_NS));
            match self.queue.recv_timeout(Duration::from_nanos(wait.unsigned_abs())) {
                Ok(text) => self.accept(text),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.deliver_due();
        }
        self.last_call();
    }

    /// Merges a repeat into what waits, or holds it back while its key is fresh.
    fn accept(&mut self, text: AlertText) {
        if self.disabled {
            return self.report(&text, "the channel is switched off after a permanent error");
        }
        if let Some(waiting) =
            self.waiting.iter_mut().find(|waiting| waiting.text.key == text.key && waiting.tries == 0)
        {
            waiting.repeats += 1;
            waiting.text = text;
            return;
        }
        let now = self.clock.now();
        self.sent.retain(|(_, at)| now.since(*at) < self.pace.coalesce_ns.max(60 * NANOS_PER_SEC));
        let last = self.sent.iter().rev().find(|(key, _)| *key == text.key).map(|(_, at)| *at);
        let due = last.map_or(now, |at| now.max(at.plus(self.pace.coalesce_ns)));
        if self.waiting.len() >= QUEUE_MAX {
            return self.make_room_for(text, due);
        }
        self.waiting.push_back(Waiting { text, repeats: 1, tries: 0, plain: false, due });
    }

    /// The oldest of what may be dropped goes; a critical one that finds no room is written to the log.
    fn make_room_for(&mut self, text: AlertText, due: Time) {
        let oldest = self.waiting.iter().position(|waiting| waiting.text.urgency == Urgency::Info);
        match oldest.and_then(|position| self.waiting.remove(position)) {
            Some(_) => self.waiting.push_back(Waiting { text, repeats: 1, tries: 0, plain: false, due }),
            None => self.report(&text, "too many alerts wait"),
        }
    }

    fn deliver_due(&mut self) {
        let now = self.clock.now();
        if now < self.blocked_until || self.disabled {
            return;
        }
        let next = self.waiting.iter().position(|waiting| waiting.due <= now);
        if let Some(waiting) = next.and_then(|position| self.waiting.remove(position)) {
            self.deliver(waiting, false);
        }
    }

    fn deliver(&mut self, mut waiting: Waiting, last: bool) {
        waiting.tries += 1;
        let outcome = self.target.post(&self.agent, &waiting.text, waiting.repeats, waiting.plain, last);
        let now = self.clock.now();
        self.blocked_until = now.plus(self.spacing_after(now));
        match outcome {
            Outcome::Delivered => self.sent.push_back((waiting.text.key, now)),
            Outcome::Plain if !waiting.plain => {
                self.again(Waiting { plain: true, due: now, ..waiting }, "markup refused")
            }
            Outcome::Moved => {
                let msg = "the Telegram group became a supergroup: put its new id into the variable that alerts.telegram_chat names";
                self.say(Line::warn(now, "ALERT_MOVED", msg));
                self.again(Waiting { due: now, ..waiting }, "the chat moved");
            }
            Outcome::Later { wait_ns, why } => {
                let wait_ns = wait_ns.map_or_else(|| self.backoff(waiting.tries, now), |asked| asked + asked / 10);
                if why == channel::RATE_LIMITED {
                    self.blocked_until = self.blocked_until.max(now.plus(wait_ns)); // the whole channel rests
                }
                self.again(Waiting { due: now.plus(wait_ns), ..waiting }, &why);
            }
            Outcome::Plain => self.report(&waiting.text, "refused even as plain text"),
            Outcome::Refused(why) => self.report(&waiting.text, &why),
            Outcome::Disabled(why) => {
                self.disabled = true;
                let why = format!("{why}; the channel is switched off until a restart");
                self.report(&waiting.text, &why);
                std::mem::take(&mut self.waiting).iter().for_each(|waiting| self.report(&waiting.text, &why));
            }
        }
    }

    fn again(&mut self, waiting: Waiting, why: &str) {
        if waiting.tries >= TRIES_MAX || self.stop.load(Ordering::Acquire) {
            self.report(&waiting.text, &format!("given up after {} tries: {why}", waiting.tries));
        } else {
            self.waiting.push_front(waiting);
        }
    }

    /// Exponential, with up to a quarter more, so that two channels do not knock in step.
    fn backoff(&self, tries: u32, now: Time) -> i64 {
        let wait = self.pace.backoff_ns.saturating_mul(1 << tries.min(10).saturating_sub(1)).min(BACKOFF_NS_MAX);
        wait + (now.0 & 0xFFFF) * (wait / 4) / 0xFFFF
    }

    /// A pause after each message, and a longer one when the minute's allowance is used up.
    fn spacing_after(&self, now: Time) -> i64 {
        let minute = 60 * self.pace.spacing_ns;
        let lately = self.sent.iter().filter(|(_, at)| now.since(*at) < minute).count();
        if lately >= PER_MINUTE_MAX { 3 * self.pace.spacing_ns } else { self.pace.spacing_ns }
    }

    /// At the end: everything critical gets one more try, in order; what fails is written to the log.
    fn last_call(&mut self) {
        while let Ok(text) = self.queue.try_recv() {
            self.accept(text);
        }
        while let Some(waiting) = self.waiting.pop_front() {
            if !self.disabled && waiting.text.urgency == Urgency::Critical {
                self.deliver(waiting, true);
            }
        }
    }

    fn report(&self, text: &AlertText, why: &str) {
        let line =
            Line::error(self.clock.now(), "ALERT_FAILED", format!("{}: {why}", self.name)).with("channel", self.name);
        self.say(line.with("alert", format!("{} {}", text.head, text.body)));
    }

    fn say(&self, line: Line) {
        let _ = self.lines.try_send(line); // a full log channel is the log's own fault to tell
    }
}
