//! The post of the quote ladder: Jupiter, asked in the pace of its plan.
//!
//! Runs on: the scout's thread.  Invariants: as of the session; one question at a time.

use super::{Around, Heard, Post, Rest};
use crate::types::{StreamId, Time};
use crate::venue::jupiter::ladder::{LadderSession, LadderSettings, SettingsError};
use mio::Registry;
use std::io;

/// See the module.
pub struct LadderPost {
    rest: Rest,
    settings: LadderSettings,
    session: LadderSession,
    /// What a recorder is to call the answer that is awaited: kept where there is one.
    source: String,
}

impl LadderPost {
    /// Around a client that is not connected yet. Errors: sizes or pace that cannot be used.
    pub fn new(rest: Rest, settings: LadderSettings) -> Result<LadderPost, SettingsError> {
        let session = LadderSession::new(settings.clone())?;
        Ok(LadderPost { rest, settings, session, source: String::new() })
    }
}

impl Post for LadderPost {
    fn register(&mut self, registry: &Registry, token: usize) -> io::Result<usize> {
        self.rest.register(registry, token)
    }
    fn turn(&mut self, now: Time, heard: &mut Heard) -> usize {
        if !self.rest.is_busy() {
            return 0;
        }
        let Heard { events, tap, .. } = heard;
        let mut emit = |event| events.push(event);
        match self.rest.turn(now) {
            None => return 0,
            Some(Ok(answer)) => {
                if answer.status == 200 {
                    tap.frame(&self.source, answer.recv, answer.body);
                }
                let taken = self.session.on_answer(answer.status, answer.body, answer.recv, &mut emit);
                if let Err(why) = taken {
                    log::warn!("a Jupiter quote cannot be used: {why}");
                }
            }
            Some(Err(())) => self.session.on_failed(now, &mut emit),
        }
        1
    }
    fn chores(&mut self, around: Around, heard: &mut Heard) {
        let now = around.now;
        self.session.on_slot(around.slot);
        self.session.on_timer(now, &mut |event| heard.events.push(event));
        if self.rest.is_busy() {
            return;
        }
        let Some(path) = self.session.next_request(now) else { return };
        if !self.rest.get(&path, now) {
            self.session.on_failed(now, &mut |event| heard.events.push(event));
        } else if heard.tap.is_open() {
            self.source = format!("jupiter:{path}");
        }
    }
    fn deadline(&self) -> Time {
        self.rest.deadline()
    }
    fn streams(&self) -> &'static [StreamId] {
        &[StreamId::Jupiter]
    }
    fn start_anew(&mut self, _now: Time, _heard: &mut Heard) {
        if let Ok(session) = LadderSession::new(self.settings.clone()) {
            self.session = session;
        }
    }
    fn stop(&mut self, _now: Time, _heard: &mut Heard) {}
}
