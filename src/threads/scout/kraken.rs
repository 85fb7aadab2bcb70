//! Kraken's post: one WebSocket with book, ticker and trades, and now and then a look at the book by REST.
//!
//! Runs on: the scout's thread.  Invariants: an audit that disagrees is told and counts as a gap of the book's stream
//! only by the session's word; the book itself is proven by its checksum with every message.

use super::{Around, Heard, Post, Rest};
use crate::ring::Tap;
use crate::sys::net::link::TOKENS_PER_LINK;
use crate::sys::net::{ConnId, DownReason, FrameVerdict, Link, LinkHandler, Outbox, Target};
use crate::types::{StreamId, Time};
use crate::venue::kraken::session::{FrameKind, KrakenSession, KrakenSettings};
use mio::Registry;
use std::io;

const STREAMS: [StreamId; 3] = [StreamId::KrakenBook, StreamId::KrakenTicker, StreamId::KrakenTrade];

/// See the module.
pub struct KrakenPost {
    link: Link,
    rest: Rest,
    settings: KrakenSettings,
    session: KrakenSession,
    opened: u64,
}

struct Ear<'a> {
    session: &'a mut KrakenSession,
    opened: &'a mut u64,
    heard: &'a mut Heard,
}

impl KrakenPost {
    /// Around connections that are not open yet.
    pub fn new(link: Link, rest: Rest, settings: KrakenSettings) -> KrakenPost {
        KrakenPost { link, rest, settings, session: KrakenSession::new(settings), opened: 0 }
    }

    fn hear_audit(&mut self, now: Time, tap: &Tap) {
        match self.rest.turn(now) {
            None => {}
            Some(Ok(answer)) if answer.status == 200 => {
                tap.frame("kraken_rest:/0/public/Depth", answer.recv, answer.body);
                match self.session.on_audit(answer.body, answer.recv) {
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
                self.session.on_audit_failed(now);
            }
        }
    }
}

impl Post for KrakenPost {
    fn register(&mut self, registry: &Registry, token: usize) -> io::Result<usize> {
        self.link.register(registry, token)?;
        self.rest.register(registry, token + TOKENS_PER_LINK)
    }
    fn turn(&mut self, now: Time, heard: &mut Heard) -> usize {
        if self.rest.is_busy() {
            self.hear_audit(now, &heard.tap);
        }
        let mut ear = Ear { session: &mut self.session, opened: &mut self.opened, heard };
        self.link.turn(now, &mut ear)
    }
    fn chores(&mut self, around: Around, heard: &mut Heard) {
        let (now, link) = (around.now, &mut self.link);
        let mut send = |conn: u32, text: &[u8]| {
            if let Err(why) = link.send(Target::Conn(ConnId(conn)), text) {
                log::warn!("a request to Kraken was not written: {why}");
            }
        };
        self.session.on_timer(now, &mut send, &mut |event| heard.events.push(event));
        if !self.rest.is_busy()
            && let Some(path) = self.session.audit_wanted(now)
            && !self.rest.get(&path, now)
        {
            self.session.on_audit_failed(now);
        }
    }
    fn deadline(&self) -> Time {
        self.link.next_deadline().min(self.rest.deadline())
    }
    fn streams(&self) -> &'static [StreamId] {
        &STREAMS
    }
    fn start_anew(&mut self, now: Time, heard: &mut Heard) {
        self.session = KrakenSession::new(self.settings);
        self.link.reset(now, &mut Ear { session: &mut self.session, opened: &mut self.opened, heard });
    }
    fn stop(&mut self, now: Time, heard: &mut Heard) {
        self.link.stop(now, &mut Ear { session: &mut self.session, opened: &mut self.opened, heard });
    }
}

impl LinkHandler for Ear<'_> {
    fn on_open(&mut self, conn: ConnId, now: Time, _out: &mut Outbox<'_>) {
        self.session.on_open(conn.0, now); // the venue speaks first
        *self.opened += 1;
        if *self.opened > 1 {
            self.heard.reconnected(&STREAMS);
        }
    }

    fn on_frame(&mut self, conn: ConnId, frame: &[u8], recv: Time, out: &mut Outbox<'_>) -> FrameVerdict {
        let heard = &mut *self.heard;
        heard.tap.frame("kraken_ws", recv, frame);
        let mut send = |text: &[u8]| {
            if let Err(why) = out.text(text) {
                log::warn!("a request to Kraken was not written: {why}");
            }
        };
        match self.session.on_frame(conn.0, frame, recv, &mut send, &mut |event| heard.events.push(event)) {
            Ok(FrameKind::Data) => FrameVerdict::Data,
            Ok(FrameKind::Reset) => FrameVerdict::Reset,
            Ok(FrameKind::Control) => FrameVerdict::Control,
            Ok(news) => {
                log::warn!("Kraken: {news:?}");
                FrameVerdict::Control
            }
            Err(why) => {
                heard.bad_frame(StreamId::KrakenBook, why.at());
                FrameVerdict::Control
            }
        }
    }

    fn on_down(&mut self, conn: ConnId, reason: &DownReason, now: Time) {
        log::warn!("the Kraken connection ended: {reason}");
        let heard = &mut *self.heard;
        self.session.on_down(conn.0, now, &mut |event| heard.events.push(event));
    }
}
