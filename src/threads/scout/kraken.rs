//! Kraken's post: one WebSocket with book, ticker and trades, and now and then a look at the book by REST.
//!
//! Runs on: the scout's thread.  Invariants: an audit that disagrees is told and counts as a gap of the book's stream
//! only by the session's word; the book itself is proven by its checksum with every message.

use super::line::{Line, Listener};
use super::{Around, Heard, Post, Rest};
use crate::ring::Tap;
use crate::sys::net::{FrameVerdict, Link};
use crate::types::event::Event;
use crate::types::{StreamId, Time};
use crate::venue::kraken::session::{FrameKind, KrakenSession, KrakenSettings};
use mio::Registry;
use std::io;

/// See the module.
pub struct KrakenPost {
    line: Line<KrakenSession>,
    rest: Rest,
    settings: KrakenSettings,
}

impl KrakenPost {
    /// Around connections that are not open yet.
    pub fn new(link: Link, rest: Rest, settings: KrakenSettings) -> KrakenPost {
        KrakenPost { line: Line::new(link, KrakenSession::new(settings)), rest, settings }
    }

    fn hear_audit(&mut self, now: Time, tap: &Tap) {
        match self.rest.turn(now) {
            None => {}
            Some(Ok(answer)) if answer.status == 200 => {
                tap.frame("kraken_rest:/0/public/Depth", answer.recv, answer.body);
                match self.line.session.on_audit(answer.body, answer.recv) {
                    Ok(Some(finding)) if !finding.agrees => {
                        log::warn!("Kraken's REST book disagrees with ours: {finding:?}")
                    }
                    Ok(_) => {}
                    Err(why) => log::warn!("the audit of Kraken's book failed: {why}"),
                }
            }
            Some(answer) => {
                if let Ok(answer) = answer {
                    log::warn!("the audit of Kraken's book failed: HTTP status {}", answer.status);
                }
                self.line.session.on_audit_failed(now);
            }
        }
    }
}

impl Post for KrakenPost {
    fn register(&mut self, registry: &Registry, token: usize) -> io::Result<usize> {
        let token = self.line.register(registry, token)?;
        self.rest.register(registry, token)
    }
    fn turn(&mut self, now: Time, heard: &mut Heard) -> usize {
        if self.rest.is_busy() {
            self.hear_audit(now, &heard.tap);
        }
        self.line.turn(now, heard)
    }
    fn chores(&mut self, around: Around, heard: &mut Heard) {
        let now = around.now;
        self.line.on_timer(|session, mut send| session.on_timer(now, &mut send, &mut |event| heard.events.push(event)));
        if !self.rest.is_busy()
            && let Some(path) = self.line.session.audit_wanted(now)
            && !self.rest.get(&path, now)
        {
            self.line.session.on_audit_failed(now);
        }
    }
    fn deadline(&self) -> Time {
        self.line.deadline().min(self.rest.deadline())
    }
    fn streams(&self) -> &'static [StreamId] {
        KrakenSession::STREAMS
    }
    fn start_anew(&mut self, now: Time, heard: &mut Heard) {
        self.line.session = KrakenSession::new(self.settings);
        self.line.reset(now, heard);
    }
    fn stop(&mut self, now: Time, heard: &mut Heard) {
        self.line.stop(now, heard);
    }
}

impl Listener for KrakenSession {
    const STREAMS: &'static [StreamId] = &[StreamId::KrakenBook, StreamId::KrakenTicker, StreamId::KrakenTrade];
    const SOURCE: &'static str = "kraken_ws";
    const NAME: &'static str = "Kraken";

    fn on_open(&mut self, conn: u32, now: Time, _send: &mut impl FnMut(&[u8])) {
        self.on_open(conn, now); // the venue speaks first
    }
    fn on_frame(
        &mut self,
        conn: u32,
        frame: &[u8],
        recv: Time,
        send: &mut impl FnMut(&[u8]),
        emit: &mut impl FnMut(Event),
    ) -> Result<FrameVerdict, Option<usize>> {
        match self.on_frame(conn, frame, recv, send, emit) {
            Ok(FrameKind::Data) => Ok(FrameVerdict::Data),
            Ok(FrameKind::Reset) => Ok(FrameVerdict::Reset),
            Ok(FrameKind::Control) => Ok(FrameVerdict::Control),
            Ok(news) => {
                log::warn!("Kraken: {news:?}");
                Ok(FrameVerdict::Control)
            }
            Err(why) => Err(why.at()),
        }
    }
    fn on_down(&mut self, conn: u32, now: Time, emit: &mut impl FnMut(Event)) {
        self.on_down(conn, now, emit);
    }
}
