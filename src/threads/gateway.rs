//! The gateway agent: order commands in, bytes out, and what the venue says of our orders back.
//!
//! Runs on: the `gateway` core, or fused with `ingest` and `hot`.  Owns: the order link and its `TradeSession`.
//! Clock: read before and after each encode and write; once more per read, by the link.
//! Reads:  the kill switch, before anything else; ring `command`.  Writes: rings `report`, `journal_gateway`.
//! Never: blocks, loses a report (it leaves bytes in the socket while the report ring is short of room), decides.
//!
//! A pulled kill switch is seen at the head of a turn and before each command: the cancel of everything is written, and
//! nothing else is read, written or logged before its last byte; then the engine hears `Control::Kill` and sells what is
//! proven. The session lets nothing be bought from the same moment on.

use super::runner::{Agent, Work};
use crate::ring::{CommandItem, EventItem, LatestMid, Receiver, Sender};
use crate::sys::clock::Clock;
use crate::sys::heartbeat::Heartbeat;
use crate::sys::kill::KillSwitch;
use crate::sys::net::{ConnId, DownReason, FrameVerdict, Link, LinkHandler, Outbox, Target};
use crate::types::event::{Control, EventKind};
use crate::types::note::{KillStep, Verb, WireNote};
use crate::types::record::PauseReason;
use crate::types::{ClientOrderId, Command, Event, StreamId, Time};
use crate::venue::binance_spot::trade::{FrameKind, Refusal, TradeSession};
use std::collections::VecDeque;
use std::sync::Arc;

/// Bound of one turn: news of our orders must not wait behind a burst of commands.
const COMMANDS_PER_TURN_MAX: u32 = 16;
/// Room below which the socket is left alone: one link turn of frames at a few reports each.
const REPORT_ROOM_MIN: usize = 512;
/// Longest request text: a signed OCO.
const REQUEST_BYTES_MAX: usize = 2_048;

/// What the gateway looks at beside its ring.
#[derive(Clone, Debug)]
pub struct GatewayWatch {
    /// The operator's last word.
    pub kill: Arc<KillSwitch>,
    /// The market, as the wire says it: what the last gate measures orders by.
    pub mid: Arc<LatestMid>,
}

/// The gateway agent.
pub struct Gateway {
    link: Link,
    desk: Desk,
    command: Receiver<CommandItem>,
    watch: GatewayWatch,
    /// Pulls of the kill switch that were carried out or put off.
    pulls: u32,
    buf: Vec<u8>,
    heartbeat: Option<Arc<Heartbeat>>,
}

/// What the link talks to: the session and the rings behind it.
struct Desk {
    session: TradeSession,
    clock: Clock,
    report: Sender<EventItem>,
    /// Reports that found the ring full; sent before anything new is read. Empty but for bursts.
    backlog: VecDeque<EventItem>,
    journal: Sender<WireNote>,
    /// The connection the session is logged on to.
    conn: Option<ConnId>,
    /// Its successor, on the way to the same.
    next: Option<ConnId>,
    opened: u64,
    /// The engine knows that the venue has shut the door on our key.
    barred_told: bool,
    /// End of the ban that the engine knows of.
    ban_told: Time,
}

impl Gateway {
    /// Around a link that is not connected yet.
    pub fn new(
        link: Link,
        session: TradeSession,
        clock: Clock,
        rings: (Receiver<CommandItem>, Sender<EventItem>, Sender<WireNote>),
        watch: GatewayWatch,
    ) -> Gateway {
        let (command, report, journal) = rings;
        let backlog = VecDeque::with_capacity(report.depth());
        let desk = Desk {
            session,
            clock,
            report,
            backlog,
            journal,
            conn: None,
            next: None,
            opened: 0,
            barred_told: false,
            ban_told: Time::NONE,
        };
        Gateway { link, desk, command, watch, pulls: 0, buf: Vec::with_capacity(REQUEST_BYTES_MAX), heartbeat: None }
    }

    /// With the page that another process watches, if one does.
    pub fn with_heartbeat(mut self, page: Option<Arc<Heartbeat>>) -> Gateway {
        self.heartbeat = page;
        self
    }

    /// Looks at the kill switch; a pull is carried out on the spot.
    #[inline]
    fn heed_kill(&mut self) {
        let pulls = self.watch.kill.pulls();
        if pulls != self.pulls {
            self.pulls = pulls;
            self.carry_out_kill();
        }
    }

    /// Nothing before the write of the cancel touches a ring, a log or another socket.
    #[cold]
    fn carry_out_kill(&mut self) {
        let desk = &mut self.desk;
        let (link, target) = (&mut self.link, desk.conn.map_or(Target::Current, Target::Conn));
        let mut lost = None;
        let mut out = |text: &[u8]| lost = link.send(target, text).err();
        let step = desk.session.kill(desk.clock.now(), &mut out);
        let now = desk.clock.now();
        let step = match lost {
            None => step,
            Some(why) => {
                log::warn!("the cancel of everything was not written: {why}");
                desk.session.kill_not_written(now);
                KillStep::AwaitsConnection
            }
        };
        self.tell_kill(step, now);
        let kind = EventKind::Control(Control::Kill);
        deliver(&mut self.desk.report, &mut self.desk.backlog, internal(kind, now), now);
    }

    /// Whoever pulled, and the log, hear how far it came.
    fn tell_kill(&mut self, step: KillStep, at: Time) {
        self.watch.kill.tell(self.pulls, step, at);
        self.desk.note(WireNote::Killed { step, pulled: self.watch.kill.pulled_at(), at });
    }

    /// A cancel that was put off and has left meanwhile is told.
    fn follow_kill(&mut self, owed_before: bool, now: Time) {
        if owed_before && !self.desk.session.owes_kill() {
            self.tell_kill(KillStep::Written, now);
        }
    }

    /// The serving connection went away while another one is open: the session goes on there.
    fn take_over(&mut self, now: Time) {
        if self.desk.conn.is_none()
            && let Some(open) = self.link.current()
        {
            (self.desk.conn, self.desk.next) = (Some(open), None);
            self.desk.session.begin_anew(now);
        }
    }

    fn carry_out(&mut self, item: &CommandItem) {
        let desk = &mut self.desk;
        let encode_from = desk.clock.now();
        let (report, backlog) = (&mut desk.report, &mut desk.backlog);
        let mut emit = |event: Event| deliver(report, backlog, event, encode_from);
        let (mid, mid_at) = self.watch.mid.get();
        desk.session.set_mid(mid, mid_at);
        let encoded = desk.session.encode(&item.command, encode_from, &mut self.buf, &mut emit);
        let (id, verb) = match encoded {
            Ok(request) => request,
            Err(why) => return desk.note_refusal(&item.command, why, encode_from), // the session told the engine
        };
        let write_from = desk.clock.now();
        let target = desk.conn.map_or(Target::Current, Target::Conn);
        if let Err(why) = self.link.send(target, &self.buf) {
            // The request stays in the session's table and ends as unknown: the venue is asked, nothing is resent.
            log::warn!("an order request was not written: {why}");
            return;
        }
        let sent = desk.clock.now();
        let stamps = &item.stamps;
        let hops = stamps.step_from.since(stamps.decoded) + encode_from.since(stamps.step_to);
        let stages_ns = [
            stamps.decoded.since(stamps.trigger),
            hops,
            stamps.step_to.since(stamps.step_from),
            write_from.since(encode_from),
            sent.since(write_from),
        ]
        .map(|ns| u32::try_from(ns.max(0)).unwrap_or(u32::MAX));
        desk.note(WireNote::Sent { id, verb, sent, trigger: stamps.trigger, stages_ns });
    }

    fn keep_time(&mut self, now: Time) {
        let desk = &mut self.desk;
        let Some(conn) = desk.conn else { return };
        let (report, backlog, journal) = (&mut desk.report, &mut desk.backlog, &mut desk.journal);
        let mut emit = |event: Event| deliver(report, backlog, event, now);
        let mut note = |note: WireNote| _ = journal.push(note); // a figure: dropped and counted by the gauge
        let link = &mut self.link;
        let mut out = |text: &[u8]| {
            if let Err(why) = link.send(Target::Conn(conn), text) {
                log::warn!("a session request was not written: {why}");
            }
        };
        let verdict = desk.session.on_timer(now, &mut emit, &mut note, &mut out);
        if verdict == FrameKind::Reset {
            self.link.reset(now, &mut self.desk); // the venue does not answer on this connection any more
        }
    }
}

fn deliver(report: &mut Sender<EventItem>, backlog: &mut VecDeque<EventItem>, event: Event, decoded: Time) {
    let item = EventItem { event, decoded };
    if !backlog.is_empty() {
        backlog.push_back(item); // order is kept: what waits goes first
    } else if let Err(item) = report.push(item) {
        backlog.push_back(item);
    }
}

fn internal(kind: EventKind, now: Time) -> Event {
    Event { seq: 0, recv: now, at: now, venue_time: Time::NONE, stream: StreamId::BinanceUser, kind }
}

impl Desk {
    fn note(&mut self, note: WireNote) {
        _ = self.journal.push(note); // a figure: dropped and counted by the gauge
    }
    fn note_refusal(&mut self, command: &Command, why: Refusal, at: Time) {
        if let Some((id, verb)) = name_of(command) {
            self.note(WireNote::Refused { id, verb, reason: why.reason(), at });
        }
    }
    /// A ban of our address ends entries and wakes somebody: it grows with every one that follows.
    fn tell_ban(&mut self, now: Time) {
        let Some(until) = self.session.banned_until(now).filter(|until| *until > self.ban_told) else { return };
        self.ban_told = until;
        let kind = EventKind::Control(Control::Halt(PauseReason::Venue));
        deliver(&mut self.report, &mut self.backlog, internal(kind, now), now);
    }
    /// A key that the venue refuses ends entries and wakes somebody: it will not mend itself.
    fn tell_barred(&mut self, now: Time) {
        if self.barred_told || !self.session.is_barred() {
            return;
        }
        self.barred_told = true;
        let kind = EventKind::Control(Control::Halt(PauseReason::Venue));
        deliver(&mut self.report, &mut self.backlog, internal(kind, now), now);
    }
    /// Sends what waited; true if nothing waits any more and there is room for a turn of frames.
    fn has_room(&mut self) -> bool {
        while let Some(item) = self.backlog.pop_front() {
            if let Err(item) = self.report.push(item) {
                self.backlog.push_front(item);
                return false;
            }
        }
        self.report.room() >= REPORT_ROOM_MIN.min(self.report.depth() / 2)
    }
}

impl LinkHandler for Desk {
    fn on_open(&mut self, conn: ConnId, now: Time, out: &mut Outbox<'_>) {
        self.opened += 1;
        if self.opened > 1 {
            self.note(WireNote::Reconnected { stream: StreamId::BinanceUser });
        }
        let mut write = |text: &[u8]| {
            if let Err(why) = out.text(text) {
                log::warn!("the logon was not written: {why}");
            }
        };
        if self.conn.is_some() && self.session.is_ready() {
            self.next = Some(conn);
            return self.session.on_open_next(now, &mut write); // orders go on over the one that serves
        }
        (self.conn, self.next) = (Some(conn), None);
        self.session.on_open(now, &mut write);
    }

    fn on_frame(&mut self, conn: ConnId, frame: &[u8], recv: Time, out: &mut Outbox<'_>) -> FrameVerdict {
        let clock = self.clock;
        let (report, backlog, journal) = (&mut self.report, &mut self.backlog, &mut self.journal);
        let mut emit = |event: Event| deliver(report, backlog, event, clock.now());
        let mut note = |note: WireNote| _ = journal.push(note); // a figure: dropped and counted by the gauge
        let mut send = |text: &[u8]| {
            if let Err(why) = out.text(text) {
                log::warn!("a session request was not written: {why}");
            }
        };
        let kind = self.session.on_frame(frame, recv, &mut emit, &mut note, &mut send);
        if self.next == Some(conn) && self.session.next_is_ready() {
            self.session.use_next();
            self.conn = self.next.take();
        }
        match kind {
            Ok(FrameKind::Data) => FrameVerdict::Data,
            Ok(FrameKind::Control) => FrameVerdict::Control,
            Ok(FrameKind::Shutdown) => FrameVerdict::Shutdown,
            Ok(FrameKind::Reset) => FrameVerdict::Reset,
            Err(why) => {
                log::warn!("an undecodable frame of the order session: {why}");
                FrameVerdict::Control
            }
        }
    }

    fn on_down(&mut self, conn: ConnId, reason: &DownReason, now: Time) {
        log::warn!("the order session's connection ended: {reason}");
        if self.next == Some(conn) {
            self.next = None;
            self.session.on_next_down();
        }
        if self.conn != Some(conn) {
            return; // an attempt that came to nothing, or the older one of a roll-over: the session lives elsewhere
        }
        self.conn = None;
        let (report, backlog, journal) = (&mut self.report, &mut self.backlog, &mut self.journal);
        let mut emit = |event: Event| deliver(report, backlog, event, now);
        let mut note = |note: WireNote| _ = journal.push(note); // a figure: dropped and counted by the gauge
        self.session.on_down(now, &mut emit, &mut note);
    }
}

/// Whose order a command is about, for the log.
fn name_of(command: &Command) -> Option<(ClientOrderId, Verb)> {
    Some(match command {
        Command::Place(order) => (order.id, Verb::Place),
        Command::PlaceOco(oco) => (oco.list, Verb::PlaceOco),
        Command::Cancel(cancel) => (cancel.target, Verb::Cancel),
        Command::CancelList(list) => (list.list, Verb::CancelList),
        Command::CancelReplace(pair) => (pair.new.id, Verb::CancelReplace),
        Command::Query(query) => (query.target, Verb::Query),
        Command::CancelAll | Command::ArmTimer { .. } | Command::Alert(_) | Command::Record(_) => return None,
    })
}

impl Agent for Gateway {
    fn turn(&mut self, now: Time) -> Work {
        self.heed_kill();
        if self.watch.kill.is_stopping() {
            self.desk.session.stop_entries();
        }
        if let Some(page) = &self.heartbeat {
            page.beat_gateway(now);
        }
        let mut done = Work::NONE;
        while done.count < COMMANDS_PER_TURN_MAX {
            let Some(item) = self.command.pop() else { break };
            self.heed_kill();
            self.carry_out(&item);
            done.count += 1;
        }
        let owes_kill = self.desk.session.owes_kill();
        if self.desk.has_room() {
            let handled = self.link.turn(now, &mut self.desk);
            done.count += u32::try_from(handled).unwrap_or(u32::MAX);
        } else {
            self.desk.session.did_not_listen(now); // the socket is not read while the engine has no room
        }
        self.take_over(now);
        self.keep_time(now);
        self.follow_kill(owes_kill, now);
        self.desk.tell_barred(now);
        self.desk.tell_ban(now);
        done
    }
    fn idle(&self) -> bool {
        let is_killed = self.watch.kill.pulls() != self.pulls;
        self.command.is_empty() && self.desk.backlog.is_empty() && !is_killed
    }
    fn deadline(&self) -> Option<Time> {
        Some(self.link.next_deadline())
    }
    fn finish(&mut self, now: Time) {
        self.turn(now);
        self.link.stop(now, &mut self.desk);
    }
}
