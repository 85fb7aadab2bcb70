//! The bus: a NATS server that brings samples of feeds, and takes the engine's own facts to other machines.
//!
//! Runs on: `bus`, one unpinned helper thread with a current-thread runtime.  Owns: the connection, the [`BusSession`].
//! Clock: read at each message, change of the connection and tick.
//! Reads:  the outbox that the cold side fills.  Writes: the sink given at start, metrics, log lines.
//! Invariants: nobody waits for it and nothing it waits for delays anybody: what finds no room is dropped and counted;
//! while it has no connection, and after it has ended, its streams are down; no server that another one names is used.

mod wire;

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use secrecy::SecretString;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};

use self::wire::{Link, Wire};
use crate::sys::clock::Clock;
use crate::telemetry::metrics::BUS_SUBJECTS;
use crate::telemetry::{BusMetrics, Line};
use crate::types::time::NANOS_PER_SEC;
use crate::types::{Event, EventKind, StreamId, Time};
use crate::venue::bus::{BusSession, Refused, STREAMS};

/// Facts that wait for the connection: a few round trips with all their orders, fills and signals.
const OUTBOX_MAX: usize = 1_024;
/// Shortest time between two lines about the same kind of trouble; metrics count every case.
const SAY_NS: i64 = NANOS_PER_SEC;
/// The same for a server that cannot be reached.
const SAY_UNREACHABLE_NS: i64 = 60 * NANOS_PER_SEC;

/// What is published, in the order of [`BUS_SUBJECTS`]; each has a subject of its own below the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// A changed verdict.
    Signal,
    /// An order as it stands now.
    Order,
    /// A fill.
    Fill,
    /// The status, as `/api/status` has it.
    Status,
}

impl Topic {
    /// Last word of its subject, and its name in metrics.
    pub fn name(self) -> &'static str {
        BUS_SUBJECTS[self as usize]
    }
}

/// One message on its way out.
#[derive(Debug)]
struct Fact {
    topic: Topic,
    body: String,
}

/// The cold side's way out.
#[derive(Debug)]
pub struct BusQueue {
    facts: mpsc::Sender<Fact>,
    link: watch::Receiver<Link>,
    metrics: BusMetrics,
}

impl BusQueue {
    /// Queues a message; never waits. One that finds no room is dropped and counted.
    pub fn send(&self, topic: Topic, body: String) {
        if self.facts.try_send(Fact { topic, body }).is_err() {
            self.metrics.dropped.with_label_values(&[topic.name()]).inc();
        }
    }
    /// Whether the connection stands: what is soon out of date need not wait for one.
    pub fn is_up(&self) -> bool {
        self.link.borrow().is_up
    }
}

/// The helper's end of a [`BusQueue`].
#[derive(Debug)]
pub struct BusOutbox {
    facts: mpsc::Receiver<Fact>,
    link: watch::Sender<Link>,
    metrics: BusMetrics,
}

/// Both ends of the way out.
pub fn queue(metrics: BusMetrics) -> (BusQueue, BusOutbox) {
    let (facts_tx, facts) = mpsc::channel(OUTBOX_MAX);
    let (link, link_rx) = watch::channel(Link::default());
    let way_out = BusQueue { facts: facts_tx, link: link_rx, metrics: metrics.clone() };
    (way_out, BusOutbox { facts, link, metrics })
}

/// Which server, and what is taken from it.
#[derive(Debug)]
pub struct BusSettings {
    /// `nats://` to loopback or `tls://`.
    pub url: String,
    /// What the server asks for.
    pub token: Option<SecretString>,
    /// What every subject begins with.
    pub subject: String,
    /// Streams taken from it, each with the age that its newest sample may have, ns.
    pub feeds: Vec<(StreamId, i64)>,
    /// Trusted roots.
    pub tls: Arc<rustls::ClientConfig>,
}

/// The running thread.
#[derive(Debug)]
pub struct Bus {
    stop: oneshot::Sender<()>,
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

impl Bus {
    /// Starts the thread. `emit` gets the events, not yet numbered, and says whether it took them; `lines` what the log
    /// should say. Errors: the kernel's.
    pub fn start(
        settings: BusSettings,
        outbox: BusOutbox,
        clock: Clock,
        emit: impl FnMut(Event) -> bool + Send + 'static,
        lines: Sender<Line>,
    ) -> std::io::Result<Bus> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = bounded::<()>(0);
        let desk = Desk {
            session: BusSession::new(&settings.feeds),
            sink: Sink { emit: Box::new(emit), owed: VecDeque::new(), overflowed: false },
            metrics: outbox.metrics.clone(),
            clock,
            lines,
            known: Link::default(),
            refusal_due: Time::NONE,
            trouble_due: Time::NONE,
        };
        let run = move || {
            let mut wire = Wire { desk, settings };
            runtime.block_on(wire.live(outbox, stopped));
            wire.desk.down("the bus has ended");
            runtime.shutdown_background(); // a name that is being looked up is not waited for
            drop(end);
        };
        let thread = std::thread::Builder::new().name("bus".to_owned()).spawn(run)?;
        Ok(Bus { stop, ended, thread })
    }

    /// Lets what waits go out, for a second at most, and ends. False if it had not ended within `patience`.
    pub fn stop(self, patience: Duration) -> bool {
        drop(self.stop);
        let has_ended = self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected);
        if has_ended {
            drop(self.thread.join());
        }
        has_ended
    }
}

/// The way into the engine, and what it could not take.
struct Sink {
    emit: Box<dyn FnMut(Event) -> bool + Send>,
    /// States of streams that found no room, one a stream: they go first once there is room.
    owed: VecDeque<Event>,
    /// A sample found no room: what the engine knows of the streams has a hole.
    overflowed: bool,
}

impl Sink {
    fn tell(&mut self, event: Event) {
        if self.owed.is_empty() && (self.emit)(event) {
            return;
        }
        self.overflowed = true;
        if let EventKind::Stream(_) = event.kind {
            self.owed.retain(|older| older.stream != event.stream);
            self.owed.push_back(event);
        }
    }

    /// Pays what is owed; true once after a loss, when there is room again.
    fn has_recovered(&mut self) -> bool {
        while let Some(event) = self.owed.front() {
            if !(self.emit)(*event) {
                return false;
            }
            self.owed.pop_front();
        }
        std::mem::take(&mut self.overflowed)
    }
}

/// What is done with what the wire brings: everything here is synchronous.
struct Desk {
    session: BusSession,
    sink: Sink,
    metrics: BusMetrics,
    clock: Clock,
    lines: Sender<Line>,
    /// The connection as last looked at.
    known: Link,
    refusal_due: Time,
    trouble_due: Time,
}

impl Desk {
    /// The connection changed.
    fn on_link(&mut self, link: Link) {
        let now = self.clock.now();
        let (was_up, is_up) = (self.known.is_up, link.is_up);
        if link.breaks != self.known.breaks {
            let why = link.why.as_deref().unwrap_or("the connection ended");
            self.session.on_down(now, &mut |event| self.sink.tell(event));
            if was_up || now >= self.trouble_due {
                self.trouble_due = now.plus(SAY_UNREACHABLE_NS);
                self.say(Line::warn(now, "BUS_DOWN", format!("no connection to the bus: {why}")));
            }
        } else if link.why != self.known.why && now >= self.trouble_due {
            self.trouble_due = now.plus(SAY_NS);
            let why = link.why.as_deref().unwrap_or_default();
            self.say(Line::warn(now, "BUS_TROUBLE", format!("the bus: {why}")));
        }
        if is_up && (!was_up || link.breaks != self.known.breaks) {
            self.session.on_open();
            self.trouble_due = now;
            self.say(Line::info(now, "BUS_UP", "the bus is connected; its streams wait for fresh samples"));
        }
        if link.losses != self.known.losses {
            self.session.on_lost(now, &mut |event| self.sink.tell(event));
        }
        self.metrics.up.set(i64::from(is_up));
        self.known = link;
    }

    /// No connection any more, for good.
    fn down(&mut self, why: &str) {
        let link =
            Link { is_up: false, breaks: self.known.breaks.wrapping_add(1), why: Some(why.into()), ..self.known };
        self.on_link(link);
    }

    /// A message of a feed's subject, of which `name` is the last word.
    fn on_message(&mut self, name: &str, body: &[u8]) {
        let Some(stream) = STREAMS.into_iter().find(|stream| stream.name() == name) else { return };
        let now = self.clock.now();
        let taken = self.session.on_message(stream, body, now, &mut |event| self.sink.tell(event));
        if let Err(why) = taken {
            self.on_refused(stream, why, now);
        }
    }

    /// Counted always, said once a second at most.
    fn on_refused(&mut self, stream: StreamId, why: Refused, now: Time) {
        let count = self.metrics.refused.with_label_values(&[stream.name(), why.name()]);
        count.inc();
        if now >= self.refusal_due {
            self.refusal_due = now.plus(SAY_NS);
            let line = Line::warn(now, "BUS_REFUSED", format!("a sample of {} is not taken: {why}", stream.name()));
            let line = line.with("stream", stream.name()).with("reason", why.name());
            self.say(line.with("total", count.get()));
        }
    }

    /// Several times a second.
    fn on_tick(&mut self) {
        let now = self.clock.now();
        if self.sink.has_recovered() {
            self.session.on_lost(now, &mut |event| self.sink.tell(event));
        }
        self.session.on_timer(now, &mut |event| self.sink.tell(event));
    }

    fn say(&self, line: Line) {
        if self.lines.try_send(line).is_err() {
            log::error!("a log line of the bus was lost: the cold side does not keep up");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::event::StreamState;
    use std::sync::Mutex;

    fn desk(room: Arc<Mutex<usize>>) -> (Desk, Receiver<EventKind>, Receiver<Line>) {
        let metrics = crate::telemetry::Metrics::new("0", "paper").expect("registers").bus;
        let (events_tx, events) = crossbeam_channel::unbounded();
        let (lines, lines_rx) = crossbeam_channel::unbounded();
        let emit = move |event: Event| {
            let mut room = room.lock().expect("not poisoned");
            let has_room = *room > 0;
            *room -= usize::from(has_room);
            has_room && events_tx.send(event.kind).is_ok()
        };
        let desk = Desk {
            session: BusSession::new(&[(StreamId::SolanaSlot, 5 * NANOS_PER_SEC)]),
            sink: Sink { emit: Box::new(emit), owed: VecDeque::new(), overflowed: false },
            metrics,
            clock: Clock::start(),
            lines,
            known: Link::default(),
            refusal_due: Time::NONE,
            trouble_due: Time::NONE,
        };
        (desk, events, lines_rx)
    }

    fn slot(desk: &mut Desk, slot: u64) {
        let text = format!(r#"{{"ts":{},"slot":{slot},"parent":{},"root":1}}"#, desk.clock.now().0, slot - 1);
        desk.on_message("solana_slot", text.as_bytes());
    }

    fn kinds(events: &Receiver<EventKind>) -> Vec<String> {
        let name = |kind: EventKind| match kind {
            EventKind::Stream(state) => state.name().to_owned(),
            EventKind::Slot(slot) => slot.slot.to_string(),
            other => panic!("{other:?}"),
        };
        events.try_iter().map(name).collect()
    }

    #[test]
    fn a_full_ring_is_a_gap_once_there_is_room_and_no_state_of_a_stream_is_lost() {
        let room = Arc::new(Mutex::new(100));
        let (mut desk, events, _) = desk(Arc::clone(&room));
        desk.on_link(Link { is_up: true, ..Link::default() });
        slot(&mut desk, 5);
        *room.lock().expect("not poisoned") = 0;
        slot(&mut desk, 6);
        desk.on_tick();
        assert_eq!(kinds(&events), ["up", "5"]);
        *room.lock().expect("not poisoned") = 100;
        desk.on_tick();
        slot(&mut desk, 7);
        assert_eq!(kinds(&events), ["gap", "up", "7"]);
        *room.lock().expect("not poisoned") = 0;
        desk.down("gone");
        desk.on_link(Link { is_up: true, breaks: 2, ..Link::default() });
        slot(&mut desk, 8);
        *room.lock().expect("not poisoned") = 100;
        desk.on_tick();
        assert_eq!(kinds(&events), ["up", "gap"], "the newest state, and that samples are missing");
    }

    #[test]
    fn a_flap_of_the_connection_is_a_down_even_if_it_was_up_again_before_anybody_looked() {
        let (mut desk, events, lines) = desk(Arc::new(Mutex::new(100)));
        desk.on_link(Link { is_up: true, ..Link::default() });
        slot(&mut desk, 5);
        desk.on_link(Link { is_up: true, breaks: 1, ..Link::default() });
        assert_eq!(kinds(&events), ["up", "5", "down"]);
        slot(&mut desk, 6);
        assert_eq!(kinds(&events), ["up", "6"]);
        let said: Vec<&str> = lines.try_iter().map(|line| line.event).collect();
        assert_eq!(said, ["BUS_UP", "BUS_DOWN", "BUS_UP"]);
    }

    #[test]
    fn garbage_is_counted_every_time_and_said_once_a_second() {
        let (mut desk, events, lines) = desk(Arc::new(Mutex::new(100)));
        desk.on_link(Link { is_up: true, ..Link::default() });
        for _ in 0..50 {
            desk.on_message("solana_slot", b"garbage");
        }
        desk.on_message("no_stream_of_ours", b"garbage");
        assert!(kinds(&events).is_empty());
        assert_eq!(desk.metrics.refused.with_label_values(&["solana_slot", "unreadable"]).get(), 50);
        let refused: Vec<Line> = lines.try_iter().filter(|line| line.event == "BUS_REFUSED").collect();
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(refused[0].msg.contains("not one JSON object"), "{}", refused[0].msg);
    }

    #[test]
    fn a_server_that_is_not_there_is_down_at_once_and_the_thread_ends_when_told() {
        let metrics = crate::telemetry::Metrics::new("0", "paper").expect("registers").bus;
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
        let (way_out, outbox) = queue(metrics.clone());
        let tls = crate::sys::net::TlsContext::new(None).expect("roots").client_config();
        let settings = BusSettings {
            url: format!("nats://{port}"),
            token: None,
            subject: "svb".to_owned(),
            feeds: vec![(StreamId::SolanaSlot, NANOS_PER_SEC)],
            tls,
        };
        let (events_tx, events) = crossbeam_channel::unbounded();
        let emit = move |event: Event| events_tx.send(event.kind).is_ok();
        let (lines, _lines_rx) = crossbeam_channel::unbounded();
        let bus = Bus::start(settings, outbox, Clock::start(), emit, lines).expect("a thread");
        let down = events.recv_timeout(Duration::from_secs(20));
        assert_eq!(down, Ok(EventKind::Stream(StreamState::Down)));
        for _ in 0..OUTBOX_MAX + 7 {
            way_out.send(Topic::Order, "{}".to_owned());
        }
        let dropped = metrics.dropped.with_label_values(&["order"]).get();
        assert!((6..=7).contains(&dropped), "one may be in the sender's hand: {dropped}");
        assert!(!way_out.is_up());
        assert!(bus.stop(Duration::from_secs(2)), "a bus without a server ends within two seconds");
    }
}
