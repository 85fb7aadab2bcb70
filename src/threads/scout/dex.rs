//! The post of a Solana exchange: its market account, pushed over PubSub and fetched by JSON-RPC.
//!
//! Runs on: the scout's thread.  Invariants: as of the session: no replay after a reconnect, and no push where nothing
//! changes, so the account is fetched again and again.

use super::{Around, Heard, Post, Rest};
use crate::sys::net::link::TOKENS_PER_LINK;
use crate::sys::net::{ConnId, DownReason, FrameVerdict, Link, LinkHandler, Outbox};
use crate::types::{StreamId, Time};
use crate::venue::manifest::session::{DexSession, DexSettings, FrameKind};
use mio::Registry;
use std::io;

const STREAMS: [StreamId; 1] = [StreamId::DexBook];

/// See the module.
pub struct DexPost {
    link: Link,
    rest: Rest,
    settings: DexSettings,
    session: DexSession,
    slot: u64,
    opened: u64,
}

struct Ear<'a> {
    session: &'a mut DexSession,
    opened: &'a mut u64,
    heard: &'a mut Heard,
}

impl DexPost {
    /// Around connections that are not open yet.
    pub fn new(link: Link, rest: Rest, settings: DexSettings) -> DexPost {
        DexPost { link, rest, session: DexSession::new(settings.clone()), settings, slot: 0, opened: 0 }
    }

    fn hear_account(&mut self, now: Time, heard: &mut Heard) {
        match self.rest.turn(now) {
            None => {}
            Some(Ok(answer)) if answer.status == 200 => {
                heard.tap.frame("solana_rpc:getAccountInfo", answer.recv, answer.body);
                let taken = self.session.on_snapshot(answer.body, answer.recv, &mut |event| heard.events.push(event));
                if let Err(why) = taken {
                    log::warn!("the DEX market account cannot be used: {why}");
                    heard.bad_frame(StreamId::DexBook, why.at());
                }
            }
            Some(answer) => {
                if let Ok(answer) = answer {
                    log::warn!("the DEX market account was not read: HTTP status {}", answer.status);
                }
                self.session.on_snapshot_failed(now);
            }
        }
    }
}

impl Post for DexPost {
    fn register(&mut self, registry: &Registry, token: usize) -> io::Result<usize> {
        self.link.register(registry, token)?;
        self.rest.register(registry, token + TOKENS_PER_LINK)
    }
    fn turn(&mut self, now: Time, heard: &mut Heard) -> usize {
        if self.rest.is_busy() {
            self.hear_account(now, heard);
        }
        self.link.turn(now, &mut Ear { session: &mut self.session, opened: &mut self.opened, heard })
    }
    fn chores(&mut self, around: Around, heard: &mut Heard) {
        let now = around.now;
        if around.slot != self.slot {
            self.slot = around.slot;
            self.session.on_slot(around.slot, now, &mut |event| heard.events.push(event));
        }
        self.session.on_timer(now, &mut |event| heard.events.push(event));
        if self.rest.is_busy() {
            return;
        }
        let is_sent = self.session.snapshot_wanted(now).map(|body| self.rest.post(body.as_bytes(), now));
        if is_sent == Some(false) {
            self.session.on_snapshot_failed(now);
        }
    }
    fn deadline(&self) -> Time {
        self.link.next_deadline().min(self.rest.deadline())
    }
    fn streams(&self) -> &'static [StreamId] {
        &STREAMS
    }
    fn start_anew(&mut self, now: Time, heard: &mut Heard) {
        self.session = DexSession::new(self.settings.clone());
        self.link.reset(now, &mut Ear { session: &mut self.session, opened: &mut self.opened, heard });
    }
    fn stop(&mut self, now: Time, heard: &mut Heard) {
        self.link.stop(now, &mut Ear { session: &mut self.session, opened: &mut self.opened, heard });
    }
}

impl LinkHandler for Ear<'_> {
    fn on_open(&mut self, conn: ConnId, now: Time, out: &mut Outbox<'_>) {
        *self.opened += 1;
        if *self.opened > 1 {
            self.heard.reconnected(&STREAMS);
        }
        self.session.on_open(conn.0, now, &mut |text| {
            if let Err(why) = out.text(text) {
                log::warn!("the account subscription was not written: {why}");
            }
        });
    }

    fn on_frame(&mut self, conn: ConnId, frame: &[u8], recv: Time, _out: &mut Outbox<'_>) -> FrameVerdict {
        let heard = &mut *self.heard;
        heard.tap.frame("dex_ws", recv, frame);
        match self.session.on_frame(conn.0, frame, recv, &mut |event| heard.events.push(event)) {
            Ok(FrameKind::Data) => FrameVerdict::Data,
            Ok(FrameKind::Control) => FrameVerdict::Control,
            Ok(FrameKind::Reset) => FrameVerdict::Reset,
            Err(why) => {
                log::warn!("a DEX account frame cannot be used: {why}");
                heard.bad_frame(StreamId::DexBook, why.at());
                FrameVerdict::Control
            }
        }
    }

    fn on_down(&mut self, conn: ConnId, reason: &DownReason, now: Time) {
        log::warn!("the DEX account connection ended: {reason}");
        let heard = &mut *self.heard;
        self.session.on_down(conn.0, now, &mut |event| heard.events.push(event));
    }
}
