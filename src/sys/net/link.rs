//! A link: one logical connection that heals itself.
//!
//! Thread: that of the agent that owns it; `turn` drives it.  Invariants: never blocks; bounded work per turn; every
//! attempt is paid from the connection budget; a planned end always has its successor delivering first.

use std::net::SocketAddr;

use mio::{Registry, Token};

use super::budget::Backoff;
use super::conn::Conn;
use super::resolver::Lookup;
use super::rng::Rng;
use super::ws::WsError;
use super::{Endpoint, Net};
use crate::types::Time;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};

pub use super::handler::{ConnId, DownReason, FrameVerdict, LinkHandler, OpenPhase, Outbox, SendError, Target};

/// Frames handled in one turn at most.
pub const FRAMES_PER_TURN_MAX: usize = 64;
/// Tokens of the poller that one link uses.
pub const TOKENS_PER_LINK: usize = 4;

/// What a link connects to, and its patience.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Where: path and query included.
    pub endpoint: Endpoint,
    /// Further headers of the handshake.
    pub headers: Vec<(String, String)>,
    /// From the start of an attempt to an open WebSocket.
    pub open_timeout_ns: i64,
    /// From open to the first frame the handler calls `Data`.
    pub first_data_timeout_ns: i64,
    /// Longest time without any byte; half way there a ping is sent.
    pub silence_timeout_ns: i64,
    /// Age at which a connection is replaced; the venue cuts it at 24 h.
    pub rollover_after_ns: i64,
    /// How long the old connection is still read after the new one delivers.
    pub rollover_overlap_ns: i64,
    /// Longest message.
    pub frame_bytes_max: usize,
    /// Most bytes that may wait for a peer that does not read.
    pub send_backlog_bytes_max: usize,
}

impl LinkConfig {
    /// Defaults: open in 10 s, data in 10 s, silence 60 s, roll-over after 23 h with 2 s of overlap, messages up to
    /// 4 MiB, 256 KiB of backlog.
    pub fn new(endpoint: Endpoint) -> LinkConfig {
        LinkConfig {
            endpoint,
            headers: Vec::new(),
            open_timeout_ns: 10 * NANOS_PER_SEC,
            first_data_timeout_ns: 10 * NANOS_PER_SEC,
            silence_timeout_ns: 60 * NANOS_PER_SEC,
            rollover_after_ns: 23 * 3_600 * NANOS_PER_SEC,
            rollover_overlap_ns: 2_000 * NANOS_PER_MILLI,
            frame_bytes_max: 4 << 20,
            send_backlog_bytes_max: 256 << 10,
        }
    }
}

/// What a link is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Waiting before the next attempt.
    Backoff,
    /// Looking up the name.
    Resolving,
    /// TCP.
    Connecting,
    /// TLS and WebSocket handshakes.
    Handshaking,
    /// A connection serves.
    Open,
    /// Stopped for good.
    Stopped,
}

/// Pause after a 418 and a 429 that do not say how long: the shortest ban, and a minute's limit.
const BAN_S_MIN: u32 = 120;
const LIMIT_S: u32 = 60;
/// The connection that serves.
const MAIN: usize = 0;
/// Its successor, not delivering yet.
const NEXT: usize = 1;
/// Its predecessor, read for a little longer.
const OLD: usize = 2;
/// How often a name's answer is looked for.
const LOOKUP_POLL_NS: i64 = 5 * NANOS_PER_MILLI;

/// The way to the next connection.
enum Dial {
    Idle,
    Wait { until: Time },
    Resolving { lookup: Lookup, since: Time },
}

/// One logical connection.
pub struct Link {
    config: LinkConfig,
    net: Net,
    conns: [Option<Conn>; 3],
    dial: Dial,
    backoff: Backoff,
    rng: Rng,
    addrs: Vec<SocketAddr>,
    attempts: u32,
    old_until: Time,
    turned: Time,
    poller: Option<(Registry, usize)>,
    reconnects: u64,
    stopped: bool,
}

impl Link {
    /// A link that begins to connect at its first turn.
    pub fn new(config: LinkConfig, net: Net) -> Link {
        Link {
            config,
            net,
            conns: [None, None, None],
            dial: Dial::Wait { until: Time::NONE },
            backoff: Backoff::default(),
            rng: Rng::from_system(),
            addrs: Vec::new(),
            attempts: 0,
            old_until: Time::NONE,
            turned: Time::NONE,
            poller: None,
            reconnects: 0,
            stopped: false,
        }
    }

    /// For an agent that parks: the link registers its sockets, old and new, by itself under the tokens
    /// `token_base .. token_base + TOKENS_PER_LINK`. Call it before the first turn. Readiness is edge-triggered: sleep
    /// only after a turn gave 0.
    pub fn register(&mut self, registry: &Registry, token_base: usize) -> std::io::Result<()> {
        self.poller = Some((registry.try_clone()?, token_base));
        Ok(())
    }

    /// Does what can be done now without waiting, at most [`FRAMES_PER_TURN_MAX`] frames.
    ///
    /// Output: frames handled plus other progress; 0 = nothing left to do before readiness or [`Link::next_deadline`].
    pub fn turn<H: LinkHandler>(&mut self, now: Time, handler: &mut H) -> usize {
        if self.stopped {
            return 0;
        }
        self.turned = now;
        let mut work = self.dial(now, handler);
        let mut frames_left = FRAMES_PER_TURN_MAX;
        for slot in [MAIN, NEXT, OLD] {
            let Some(conn) = &mut self.conns[slot] else { continue };
            match conn.pump(&self.config, (&self.net, now), &mut frames_left, handler) {
                Ok(pumped) => {
                    work += pumped.work;
                    if pumped.first_data {
                        self.on_first_data(slot, now, handler);
                    }
                }
                Err(reason) => {
                    work += 1;
                    self.down(slot, &reason, now, handler);
                }
            }
        }
        work + self.check_times(now, handler)
    }

    /// When `turn` must be called next even if no socket is ready.
    pub fn next_deadline(&self) -> Time {
        let mut next = match &self.dial {
            Dial::Idle => Time(i64::MAX),
            Dial::Wait { until } => *until,
            Dial::Resolving { .. } => self.turned.plus(LOOKUP_POLL_NS),
        };
        for conn in self.conns.iter().flatten() {
            next = next.min(conn.deadline(&self.config));
        }
        if self.conns[OLD].is_some() {
            next = next.min(self.old_until);
        }
        if let Some(due) = self.rollover_due() {
            next = next.min(due);
        }
        if self.stopped { Time(i64::MAX) } else { next }
    }

    /// Sends `payload` as one text frame with one write. Output: the connection it went to.
    pub fn send(&mut self, to: Target, payload: &[u8]) -> Result<ConnId, SendError> {
        self.send_with(to, |buf| buf.extend_from_slice(payload))
    }

    /// Sends one text frame that `encode` appends to the buffer it is given (append only: the buffer begins with room
    /// for the headers), with one write. Output: the connection it went to.
    pub fn send_with(&mut self, to: Target, encode: impl FnOnce(&mut Vec<u8>)) -> Result<ConnId, SendError> {
        let conn = match to {
            Target::Current => self.conns[MAIN].as_mut(),
            Target::Conn(id) => self.conns.iter_mut().flatten().find(|conn| conn.id == id),
        };
        conn.ok_or(SendError::NotOpen)?.send_with(encode)
    }

    /// Opens a second connection; once it delivers, the first is closed. No effect while one is under way.
    pub fn begin_rollover(&mut self) {
        if self.conns[NEXT].is_none() && matches!(self.dial, Dial::Idle) && !self.stopped {
            self.dial = Dial::Wait { until: Time::NONE };
        }
    }

    /// Drops every connection and connects afresh, without a pause: for a session that lost its place.
    pub fn reset<H: LinkHandler>(&mut self, now: Time, handler: &mut H) {
        self.drop_all(&DownReason::Reset, now, handler);
        if !self.stopped {
            self.dial = Dial::Wait { until: now };
        }
    }

    /// Closes everything for good.
    pub fn stop<H: LinkHandler>(&mut self, now: Time, handler: &mut H) {
        self.drop_all(&DownReason::Stopped, now, handler);
        self.dial = Dial::Idle;
        self.stopped = true;
    }

    /// What it is doing.
    pub fn state(&self) -> LinkState {
        let opening = self.conns[MAIN].as_ref().map(Conn::opening);
        match (opening, &self.dial) {
            _ if self.stopped => LinkState::Stopped,
            (Some(None), _) => LinkState::Open,
            (Some(Some(OpenPhase::Resolving | OpenPhase::Connecting)), _) => LinkState::Connecting,
            (Some(Some(OpenPhase::TlsHandshake | OpenPhase::Upgrading)), _) => LinkState::Handshaking,
            (None, Dial::Resolving { .. }) => LinkState::Resolving,
            (None, Dial::Idle | Dial::Wait { .. }) => LinkState::Backoff,
        }
    }

    /// The connection that serves now.
    pub fn current(&self) -> Option<ConnId> {
        self.conns[MAIN].as_ref().filter(|conn| conn.is_open()).map(|conn| conn.id)
    }

    /// Unplanned ends of an open connection so far.
    pub fn reconnects(&self) -> u64 {
        self.reconnects
    }

    /// Towards the next connection: pause, budget, look-up, socket. Output: progress.
    fn dial<H: LinkHandler>(&mut self, now: Time, handler: &mut H) -> usize {
        if let Dial::Wait { until } = self.dial {
            if now < until {
                return 0;
            }
            if let Err(again) = self.net.budget.take(now) {
                self.dial = Dial::Wait { until: again };
                return 0;
            }
            let lookup = self.net.resolver.lookup(&self.config.endpoint.host, self.config.endpoint.port);
            self.dial = Dial::Resolving { lookup, since: now };
        }
        let Dial::Resolving { lookup, since } = &self.dial else { return 0 };
        let late = now.since(*since) >= self.config.open_timeout_ns / 2;
        match lookup.poll() {
            Some(Ok(addrs)) => self.addrs = addrs,
            None if !late => return 0,
            None | Some(Err(_)) if !self.addrs.is_empty() => {} // the addresses of last time may still be good
            None => {
                let after_ms = self.config.open_timeout_ns / 2 / NANOS_PER_MILLI;
                let reason = DownReason::OpenTimeout { phase: OpenPhase::Resolving, after_ms };
                self.attempt_failed(&reason, now, handler);
                return 1;
            }
            Some(Err(error)) => {
                self.attempt_failed(&DownReason::Resolve(error), now, handler);
                return 1;
            }
        }
        self.connect(now, handler);
        1
    }

    fn connect<H: LinkHandler>(&mut self, now: Time, handler: &mut H) {
        let addr = self.addrs[self.attempts as usize % self.addrs.len()];
        let id = ConnId(self.attempts);
        let token = |base: usize| Token(base + self.attempts as usize % TOKENS_PER_LINK);
        let poller = self.poller.as_ref().map(|(registry, base)| (registry, token(*base)));
        match Conn::start(id, addr, &self.config, &self.net, now, poller) {
            Ok(conn) => {
                self.attempts = self.attempts.wrapping_add(1);
                self.dial = Dial::Idle;
                let slot = if self.conns[MAIN].is_none() { MAIN } else { NEXT };
                self.conns[slot] = Some(conn);
            }
            Err(reason) => self.attempt_failed(&reason, now, handler),
        }
    }

    /// An attempt that did not come as far as a socket.
    fn attempt_failed<H: LinkHandler>(&mut self, reason: &DownReason, now: Time, handler: &mut H) {
        let id = ConnId(self.attempts);
        self.attempts = self.attempts.wrapping_add(1);
        self.dial_later(reason, now);
        handler.on_down(id, reason, now);
    }

    fn dial_later(&mut self, reason: &DownReason, now: Time) {
        let mut pause_ns = self.backoff.next_ns(&mut self.rng);
        if let DownReason::WebSocket { error: WsError::Refused { status, retry_after_s, .. }, .. } = reason {
            let unsaid_s = match status {
                418 => BAN_S_MIN,
                429 => LIMIT_S,
                _ => 0,
            };
            let told_ns = i64::from(retry_after_s.unwrap_or(unsaid_s)) * NANOS_PER_SEC;
            pause_ns = pause_ns.max(told_ns); // knocking earlier earns a longer ban
        }
        self.dial = Dial::Wait { until: now.plus(pause_ns) };
    }

    fn on_first_data<H: LinkHandler>(&mut self, slot: usize, now: Time, handler: &mut H) {
        self.backoff.reset();
        if slot != NEXT {
            return;
        }
        self.retire_old(now, handler);
        self.conns.swap(MAIN, OLD);
        self.conns.swap(MAIN, NEXT);
        self.old_until = now.plus(self.config.rollover_overlap_ns);
    }

    fn retire_old<H: LinkHandler>(&mut self, now: Time, handler: &mut H) {
        if let Some(old) = self.conns[OLD].take() {
            let id = old.id;
            old.close();
            handler.on_down(id, &DownReason::RolledOver, now);
        }
    }

    /// A connection ended by itself.
    fn down<H: LinkHandler>(&mut self, slot: usize, reason: &DownReason, now: Time, handler: &mut H) {
        let Some(conn) = self.conns[slot].take() else { return };
        let (id, was_open) = (conn.id, conn.is_open());
        conn.close();
        if slot == MAIN {
            self.reconnects += u64::from(was_open);
            self.conns[MAIN] = self.conns[NEXT].take();
        }
        let covered = slot == OLD || (slot == MAIN && self.conns[MAIN].is_some());
        if !covered && matches!(self.dial, Dial::Idle) {
            self.dial_later(reason, now);
        }
        handler.on_down(id, reason, now);
    }

    fn drop_all<H: LinkHandler>(&mut self, reason: &DownReason, now: Time, handler: &mut H) {
        for slot in [MAIN, NEXT, OLD] {
            if let Some(conn) = self.conns[slot].take() {
                let id = conn.id;
                conn.close();
                handler.on_down(id, reason, now);
            }
        }
    }

    /// Timeouts, the end of an overlap, the age for a roll-over. Output: progress.
    fn check_times<H: LinkHandler>(&mut self, now: Time, handler: &mut H) -> usize {
        let mut work = 0;
        if self.conns[OLD].is_some() && now >= self.old_until {
            self.retire_old(now, handler);
            work += 1;
        }
        for slot in [MAIN, NEXT, OLD] {
            let overdue = self.conns[slot].as_mut().and_then(|conn| conn.overdue(&self.config, now));
            if let Some(reason) = overdue {
                self.down(slot, &reason, now, handler);
                work += 1;
            }
        }
        if self.rollover_due().is_some_and(|due| now >= due) {
            self.begin_rollover();
            work += 1;
        }
        work
    }

    /// When the serving connection should get a successor; `None` while one is under way. One whose end the venue
    /// announced is due at once, but not in its first second: a venue that announces the end of every connection must
    /// not make us knock without pause.
    fn rollover_due(&self) -> Option<Time> {
        let main = self.conns[MAIN].as_ref()?;
        let free = self.conns[NEXT].is_none() && matches!(self.dial, Dial::Idle);
        let age_ns = if main.is_doomed() { NANOS_PER_SEC } else { self.config.rollover_after_ns };
        main.open_since().filter(|_| free).map(|since| since.plus(age_ns))
    }
}
