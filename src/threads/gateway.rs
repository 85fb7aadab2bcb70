//! The gateway agent: order commands in, bytes out, and what the venue says of our orders back.
//!
//! Runs on: the `gateway` core, or fused with `ingest` and `hot`.  Owns: the order link and its `TradeSession`.
//! Clock: read before and after each encode and write; once more per read, by the link.
//! Reads:  ring `command`.  Writes: rings `report`, `journal_gateway`.
//! Never: blocks, loses a report (it leaves bytes in the socket while the report ring is short of room), decides.

use super::runner::{Agent, Work};
use crate::ring::{CommandItem, EventItem, Receiver, Sender};
use crate::sys::clock::Clock;
use crate::sys::heartbeat::Heartbeat;
use crate::sys::net::{ConnId, DownReason, FrameVerdict, Link, LinkHandler, Outbox, Target};
use crate::types::event::{Control, EventKind};
use crate::types::record::{PauseReason, WireNote};
use crate::types::{Event, StreamId, Time};
use crate::venue::binance_spot::trade::{FrameKind, TradeSession};
use std::collections::VecDeque;
use std::sync::Arc;

/// Bound of one turn: news of our orders must not wait behind a burst of commands.
const COMMANDS_PER_TURN_MAX: u32 = 16;
/// Room below which the socket is left alone: one link turn of frames at a few reports each.
const REPORT_ROOM_MIN: usize = 512;
/// Longest request text: a signed OCO.
const REQUEST_BYTES_MAX: usize = 2_048;

/// The gateway agent.
pub struct Gateway {
    link: Link,
    desk: Desk,
    command: Receiver<CommandItem>,
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
    opened: u64,
    /// The engine knows that the venue has shut the door on our key.
    barred_told: bool,
}

impl Gateway {
    /// Around a link that is not connected yet.
    pub fn new(
        link: Link,
        session: TradeSession,
        clock: Clock,
        rings: (Receiver<CommandItem>, Sender<EventItem>, Sender<WireNote>),
    ) -> Gateway {
        let (command, report, journal) = rings;
        let backlog = VecDeque::with_capacity(report.depth());
        let desk = Desk { session, clock, report, backlog, journal, conn: None, opened: 0, barred_told: false };
        Gateway { link, desk, command, buf: Vec::with_capacity(REQUEST_BYTES_MAX), heartbeat: None }
    }

    /// With the page that another process watches, if one does.
    pub fn with_heartbeat(mut self, page: Option<Arc<Heartbeat>>) -> Gateway {
        self.heartbeat = page;
        self
    }

    fn carry_out(&mut self, item: &CommandItem) {
        let desk = &mut self.desk;
        let encode_from = desk.clock.now();
        let (report, backlog) = (&mut desk.report, &mut desk.backlog);
        let mut emit = |event: Event| deliver(report, backlog, event, encode_from);
        let encoded = desk.session.encode(&item.command, encode_from, &mut self.buf, &mut emit);
        let Ok((id, verb)) = encoded else { return }; // the session told the engine why
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

impl Desk {
    fn note(&mut self, note: WireNote) {
        _ = self.journal.push(note); // a figure: dropped and counted by the gauge
    }
    /// A key that the venue refuses ends entries and wakes somebody: it will not mend itself.
    fn tell_barred(&mut self, now: Time) {
        if self.barred_told || !self.session.is_barred() {
            return;
        }
        self.barred_told = true;
        let kind = EventKind::Control(Control::Halt(PauseReason::Venue));
        let stream = StreamId::BinanceUser;
        let event = Event { seq: 0, recv: now, at: now, venue_time: Time::NONE, stream, kind };
        deliver(&mut self.report, &mut self.backlog, event, now);
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
        self.conn = Some(conn);
        self.opened += 1;
        if self.opened > 1 {
            self.note(WireNote::Reconnected { stream: StreamId::BinanceUser });
        }
        self.session.on_open(now, &mut |text| {
            if let Err(why) = out.text(text) {
                log::warn!("the logon was not written: {why}");
            }
        });
    }

    fn on_frame(&mut self, _conn: ConnId, frame: &[u8], recv: Time, out: &mut Outbox<'_>) -> FrameVerdict {
        let clock = self.clock;
        let (report, backlog, journal) = (&mut self.report, &mut self.backlog, &mut self.journal);
        let mut emit = |event: Event| deliver(report, backlog, event, clock.now());
        let mut note = |note: WireNote| _ = journal.push(note); // a figure: dropped and counted by the gauge
        let mut send = |text: &[u8]| {
            if let Err(why) = out.text(text) {
                log::warn!("a session request was not written: {why}");
            }
        };
        match self.session.on_frame(frame, recv, &mut emit, &mut note, &mut send) {
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
        if self.conn != Some(conn) {
            return; // an attempt that never opened, or the older one of a roll-over: the session lives elsewhere
        }
        self.conn = None;
        let (report, backlog, journal) = (&mut self.report, &mut self.backlog, &mut self.journal);
        let mut emit = |event: Event| deliver(report, backlog, event, now);
        let mut note = |note: WireNote| _ = journal.push(note); // a figure: dropped and counted by the gauge
        self.session.on_down(now, &mut emit, &mut note);
    }
}

impl Agent for Gateway {
    fn turn(&mut self, now: Time) -> Work {
        if let Some(page) = &self.heartbeat {
            page.beat_gateway(now);
        }
        let mut done = Work::NONE;
        while done.count < COMMANDS_PER_TURN_MAX {
            let Some(item) = self.command.pop() else { break };
            self.carry_out(&item);
            done.count += 1;
        }
        if self.desk.has_room() {
            let handled = self.link.turn(now, &mut self.desk);
            done.count += u32::try_from(handled).unwrap_or(u32::MAX);
        }
        self.keep_time(now);
        self.desk.tell_barred(now);
        done
    }
    fn idle(&self) -> bool {
        self.command.is_empty() && self.desk.backlog.is_empty()
    }
    fn deadline(&self) -> Option<Time> {
        Some(self.link.next_deadline())
    }
    fn finish(&mut self, now: Time) {
        self.turn(now);
        self.link.stop(now, &mut self.desk);
    }
}
