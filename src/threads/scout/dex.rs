//! The post of a Solana exchange: its market account, pushed over PubSub and fetched by JSON-RPC.
//!
//! Runs on: the scout's thread.  Invariants: as of the session: no replay after a reconnect, and no push where nothing
//! changes, so the account is fetched again and again.

use super::line::{Line, Listener};
use super::{Around, Heard, Post, Rest};
use crate::sys::net::{FrameVerdict, Link};
use crate::types::event::Event;
use crate::types::{StreamId, Time};
use crate::venue::manifest::session::{DexSession, DexSettings, FrameKind};
use mio::Registry;
use std::io;

/// See the module.
pub struct DexPost {
    line: Line<DexSession>,
    rest: Rest,
    settings: DexSettings,
    slot: u64,
}

impl DexPost {
    /// Around connections that are not open yet.
    pub fn new(link: Link, rest: Rest, settings: DexSettings) -> DexPost {
        DexPost { line: Line::new(link, DexSession::new(settings.clone())), rest, settings, slot: 0 }
    }

    fn hear_account(&mut self, now: Time, heard: &mut Heard) {
        match self.rest.turn(now) {
            None => {}
            Some(Ok(answer)) if answer.status == 200 => {
                heard.tap.frame("solana_rpc:getAccountInfo", answer.recv, answer.body);
                let taken =
                    self.line.session.on_snapshot(answer.body, answer.recv, &mut |event| heard.events.push(event));
                if let Err(why) = taken {
                    log::warn!("the DEX market account cannot be used: {why}");
                    heard.bad_frame(StreamId::DexBook, why.at());
                }
            }
            Some(answer) => {
                if let Ok(answer) = answer {
                    log::warn!("the DEX market account was not read: HTTP status {}", answer.status);
                }
                self.line.session.on_snapshot_failed(now);
            }
        }
    }
}

impl Post for DexPost {
    fn register(&mut self, registry: &Registry, token: usize) -> io::Result<usize> {
        let token = self.line.register(registry, token)?;
        self.rest.register(registry, token)
    }
    fn turn(&mut self, now: Time, heard: &mut Heard) -> usize {
        if self.rest.is_busy() {
            self.hear_account(now, heard);
        }
        self.line.turn(now, heard)
    }
    fn chores(&mut self, around: Around, heard: &mut Heard) {
        let now = around.now;
        if around.slot != self.slot {
            self.slot = around.slot;
            self.line.session.on_slot(around.slot, now, &mut |event| heard.events.push(event));
        }
        self.line.session.on_timer(now, &mut |event| heard.events.push(event));
        if self.rest.is_busy() {
            return;
        }
        let is_sent = self.line.session.snapshot_wanted(now).map(|body| self.rest.post(body.as_bytes(), now));
        if is_sent == Some(false) {
            self.line.session.on_snapshot_failed(now);
        }
    }
    fn deadline(&self) -> Time {
        self.line.deadline().min(self.rest.deadline())
    }
    fn streams(&self) -> &'static [StreamId] {
        DexSession::STREAMS
    }
    fn start_anew(&mut self, now: Time, heard: &mut Heard) {
        self.line.session = DexSession::new(self.settings.clone());
        self.line.reset(now, heard);
    }
    fn stop(&mut self, now: Time, heard: &mut Heard) {
        self.line.stop(now, heard);
    }
}

impl Listener for DexSession {
    const STREAMS: &'static [StreamId] = &[StreamId::DexBook];
    const SOURCE: &'static str = "dex_ws";
    const NAME: &'static str = "DEX account";

    fn on_open(&mut self, conn: u32, now: Time, send: &mut impl FnMut(&[u8])) {
        self.on_open(conn, now, send);
    }
    fn on_frame(
        &mut self,
        conn: u32,
        frame: &[u8],
        recv: Time,
        _send: &mut impl FnMut(&[u8]),
        emit: &mut impl FnMut(Event),
    ) -> Result<FrameVerdict, Option<usize>> {
        match self.on_frame(conn, frame, recv, emit) {
            Ok(FrameKind::Data) => Ok(FrameVerdict::Data),
            Ok(FrameKind::Control) => Ok(FrameVerdict::Control),
            Ok(FrameKind::Reset) => Ok(FrameVerdict::Reset),
            Err(why) => {
                log::warn!("a DEX account frame cannot be used: {why}");
                Err(why.at())
            }
        }
    }
    fn on_down(&mut self, conn: u32, now: Time, emit: &mut impl FnMut(Event)) {
        self.on_down(conn, now, emit);
    }
}
