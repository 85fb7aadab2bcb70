//! One of the scout's connections and the session that listens on it.
//!
//! Runs on: the scout's thread.  Invariants: a frame is recorded before it is understood, so a recording holds what broke
//! a decoder too; a frame that cannot be read is counted against the first of the session's streams.

use super::Heard;
use crate::sys::net::link::TOKENS_PER_LINK;
use crate::sys::net::{ConnId, DownReason, FrameVerdict, Link, LinkHandler, Outbox, Target};
use crate::types::event::Event;
use crate::types::{StreamId, Time};
use mio::Registry;
use std::io;

/// A pure session, as its connection sees it.
pub(super) trait Listener {
    /// What it tells of.
    const STREAMS: &'static [StreamId];
    /// What a recording calls its frames.
    const SOURCE: &'static str;
    /// What a log line calls its connection.
    const NAME: &'static str;

    /// A connection is open; `send` takes the texts that it begins with.
    fn on_open(&mut self, conn: u32, now: Time, send: &mut impl FnMut(&[u8]));
    /// One whole frame. Errors: the byte that it broke at, where that is known.
    fn on_frame(
        &mut self,
        conn: u32,
        frame: &[u8],
        recv: Time,
        send: &mut impl FnMut(&[u8]),
        emit: &mut impl FnMut(Event),
    ) -> Result<FrameVerdict, Option<usize>>;
    /// A connection is gone.
    fn on_down(&mut self, conn: u32, now: Time, emit: &mut impl FnMut(Event));
}

/// A link and who listens on it.
pub(super) struct Line<S> {
    link: Link,
    /// Who listens.
    pub(super) session: S,
    opened: u64,
}

impl<S: Listener> Line<S> {
    /// Around a connection that is not open yet.
    pub(super) fn new(link: Link, session: S) -> Line<S> {
        Line { link, session, opened: 0 }
    }
    /// Output: the first token not used.
    pub(super) fn register(&mut self, registry: &Registry, token: usize) -> io::Result<usize> {
        self.link.register(registry, token)?;
        Ok(token + TOKENS_PER_LINK)
    }
    /// Reads what is there. Output: frames handled.
    pub(super) fn turn(&mut self, now: Time, heard: &mut Heard) -> usize {
        self.link.turn(now, &mut Ear { session: &mut self.session, opened: &mut self.opened, heard })
    }
    /// Connects anew.
    pub(super) fn reset(&mut self, now: Time, heard: &mut Heard) {
        self.link.reset(now, &mut Ear { session: &mut self.session, opened: &mut self.opened, heard });
    }
    /// Closes it.
    pub(super) fn stop(&mut self, now: Time, heard: &mut Heard) {
        self.link.stop(now, &mut Ear { session: &mut self.session, opened: &mut self.opened, heard });
    }
    /// When the link wants to be called.
    pub(super) fn deadline(&self) -> Time {
        self.link.next_deadline()
    }
    /// The session's own time: what it wants to say is said on the connection it names.
    pub(super) fn on_timer(&mut self, act: impl FnOnce(&mut S, &mut dyn FnMut(u32, &[u8]))) {
        let link = &mut self.link;
        act(&mut self.session, &mut |conn, text| {
            if let Err(why) = link.send(Target::Conn(ConnId(conn)), text) {
                log::warn!("{}: a request was not written: {why}", S::NAME);
            }
        });
    }
}

struct Ear<'a, S> {
    session: &'a mut S,
    opened: &'a mut u64,
    heard: &'a mut Heard,
}

/// Writes texts; one that cannot be written is told.
fn writer(name: &'static str, out: &mut Outbox<'_>) -> impl FnMut(&[u8]) {
    move |text| {
        if let Err(why) = out.text(text) {
            log::warn!("{name}: a request was not written: {why}");
        }
    }
}

impl<S: Listener> LinkHandler for Ear<'_, S> {
    fn on_open(&mut self, conn: ConnId, now: Time, out: &mut Outbox<'_>) {
        *self.opened += 1;
        if *self.opened > 1 {
            self.heard.reconnected(S::STREAMS);
        }
        self.session.on_open(conn.0, now, &mut writer(S::NAME, out));
    }

    fn on_frame(&mut self, conn: ConnId, frame: &[u8], recv: Time, out: &mut Outbox<'_>) -> FrameVerdict {
        let heard = &mut *self.heard;
        heard.tap.frame(S::SOURCE, recv, frame);
        let mut emit = |event| heard.events.push(event);
        let read = self.session.on_frame(conn.0, frame, recv, &mut writer(S::NAME, out), &mut emit);
        read.unwrap_or_else(|at| {
            S::STREAMS.first().into_iter().for_each(|stream| heard.bad_frame(*stream, at));
            FrameVerdict::Control
        })
    }

    fn on_down(&mut self, conn: ConnId, reason: &DownReason, now: Time) {
        log::warn!("{}: the connection ended: {reason}", S::NAME);
        let heard = &mut *self.heard;
        self.session.on_down(conn.0, now, &mut |event| heard.events.push(event));
    }
}
