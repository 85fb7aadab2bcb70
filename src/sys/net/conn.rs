//! One WebSocket connection, from the first packet to the last.
//!
//! Thread: that of its link.  Invariants: never blocks; messages are handed out in order, in place; pings are answered
//! before the next message is looked at.

use std::net::SocketAddr;

use mio::{Registry, Token};

use super::Net;
use super::handler::{ConnId, DownReason, FrameVerdict, LinkHandler, OpenPhase, SendError};
use super::link::LinkConfig;
use super::rng::Rng;
use super::stream::{HEAD_ROOM, Io, Progress, Stream, StreamConfig, StreamError};
use super::upgrade::Upgrade;
use super::ws::{Message, Opcode, Walker, WsError, seal_frame};
use crate::types::Time;
use crate::types::time::NANOS_PER_MILLI;

/// Writes text frames to the connection a handler was called for.
pub struct Outbox<'a> {
    io: &'a mut Io,
    rng: &'a mut Rng,
}

impl Outbox<'_> {
    /// Sends `payload` as one text frame.
    pub fn text(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.text_with(|buf| buf.extend_from_slice(payload))
    }

    /// Sends one text frame that `encode` appends to the buffer it is given. Append only: the buffer begins with room
    /// for the headers.
    pub fn text_with(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), SendError> {
        self.frame(Opcode::Text, encode)
    }

    fn frame(&mut self, opcode: Opcode, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), SendError> {
        encode(self.io.begin());
        let buf = self.io.message();
        if buf.len() < HEAD_ROOM || (buf.len() == HEAD_ROOM && opcode == Opcode::Text) {
            return Err(SendError::Empty);
        }
        // The mask protects proxies from scripts in a browser; here is none, so it needs to be no secret.
        let mask = (self.rng.next() as u32).to_ne_bytes();
        let start = seal_frame(buf, HEAD_ROOM, opcode, mask);
        self.io.finish(start)
    }
}

enum Phase {
    Connecting(OpenPhase),
    Open { since: Time },
}

/// What one pump found out, for the link.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pumped {
    /// Frames handled and other progress.
    pub(crate) work: usize,
    /// The first application data of this connection came.
    pub(crate) first_data: bool,
}

/// See the module.
pub(crate) struct Conn {
    pub(crate) id: ConnId,
    addr: SocketAddr,
    phase: Phase,
    stream: Stream,
    walker: Walker,
    upgrade: Upgrade,
    rng: Rng,
    born: Time,
    /// When bytes last came, by the turn's time as every timeout.
    last_bytes: Time,
    /// The same, read right after the bytes: what frames are stamped with.
    recv: Time,
    pinged: bool,
    got_data: bool,
    doomed: bool,
}

impl Conn {
    /// Begins to connect to `addr`.
    pub(crate) fn start(
        id: ConnId,
        addr: SocketAddr,
        config: &LinkConfig,
        net: &Net,
        now: Time,
        poller: Option<(&Registry, Token)>,
    ) -> Result<Conn, DownReason> {
        let stream = StreamConfig {
            tls: config.endpoint.tls.then_some(&net.tls),
            host: &config.endpoint.host,
            message_max: config.frame_bytes_max,
            backlog_max: config.send_backlog_bytes_max,
        };
        let stream = Stream::connect(addr, &stream, poller).map_err(|error| DownReason::Stream { addr, error })?;
        let mut rng = Rng::from_system();
        let nonce = (u128::from(rng.next()) << 64 | u128::from(rng.next())).to_ne_bytes();
        Ok(Conn {
            id,
            addr,
            phase: Phase::Connecting(OpenPhase::Connecting),
            stream,
            walker: Walker::new(config.frame_bytes_max),
            upgrade: Upgrade::new(nonce),
            rng,
            born: now,
            last_bytes: now,
            recv: now,
            pinged: false,
            got_data: false,
            doomed: false,
        })
    }

    /// Does what can be done now, at most `*frames_left` frames.
    pub(crate) fn pump<H: LinkHandler>(
        &mut self,
        config: &LinkConfig,
        turn: (&Net, Time),
        frames_left: &mut usize,
        handler: &mut H,
    ) -> Result<Pumped, DownReason> {
        let mut pumped = Pumped::default();
        if let Some(error) = self.stream.io.take_broken() {
            return Err(self.stream_down(error));
        }
        if let Phase::Connecting(phase) = self.phase {
            pumped.work += self.open_up(phase, config, turn, handler)?;
            if matches!(self.phase, Phase::Connecting(_)) {
                return Ok(pumped);
            }
        }
        if self.stream.io.backlog() > 0 {
            pumped.work += usize::from(self.stream.io.flush().map_err(|error| self.stream_down(error))? > 0);
        }
        // What an earlier turn had no time for, else one read and what it brought. The read that would find nothing
        // more is left to the next turn: on a fused core it would stand between a tick and its order.
        self.walk(frames_left, &mut pumped, handler)?;
        if pumped.work == 0 && self.read(turn)? > 0 {
            pumped.work = 1;
            self.walk(frames_left, &mut pumped, handler)?;
        }
        Ok(pumped)
    }

    fn read(&mut self, (net, now): (&Net, Time)) -> Result<usize, DownReason> {
        let count = self.stream.read().map_err(|error| self.stream_down(error))?;
        if count > 0 {
            self.recv = net.clock.now();
            self.last_bytes = now;
            self.pinged = false;
        }
        Ok(count)
    }

    /// Hands out the whole messages that are here.
    fn walk<H: LinkHandler>(
        &mut self,
        frames_left: &mut usize,
        pumped: &mut Pumped,
        handler: &mut H,
    ) -> Result<(), DownReason> {
        while *frames_left > 0 {
            let addr = self.addr;
            let step = self.walker.step(self.stream.rx.plain());
            let Some(step) = step.map_err(|error| DownReason::WebSocket { addr, error })? else { return Ok(()) };
            *frames_left -= 1;
            pumped.work += 1;
            let mut out = Outbox { io: &mut self.stream.io, rng: &mut self.rng };
            match step.message {
                Some(Message::Text(text)) => match handler.on_frame(self.id, text, self.recv, &mut out) {
                    FrameVerdict::Data => {
                        pumped.first_data |= !self.got_data;
                        self.got_data = true;
                    }
                    FrameVerdict::Control => {}
                    FrameVerdict::Shutdown => self.doomed = true,
                    FrameVerdict::Reset => return Err(DownReason::Reset),
                },
                Some(Message::Ping(payload)) => {
                    // A queue that is full of unread messages drops the pong: the peer is not reading anyway.
                    let _ = out.frame(Opcode::Pong, |buf| buf.extend_from_slice(payload));
                }
                Some(Message::Close { code, reason }) => {
                    let _ = out.frame(Opcode::Close, |buf| buf.extend_from_slice(&1000_u16.to_be_bytes()));
                    let error = WsError::Closed { code, reason: reason.to_owned() };
                    return Err(DownReason::WebSocket { addr, error });
                }
                Some(Message::Pong(_) | Message::Binary(_)) | None => {}
            }
            let used = step.used;
            self.stream.rx.consume(used);
        }
        Ok(())
    }

    /// TCP, TLS, WebSocket handshake, one after the other. Output: progress.
    fn open_up<H: LinkHandler>(
        &mut self,
        phase: OpenPhase,
        config: &LinkConfig,
        turn: (&Net, Time),
        handler: &mut H,
    ) -> Result<usize, DownReason> {
        if phase != OpenPhase::Upgrading {
            let next = match self.stream.advance().map_err(|error| self.stream_down(error))? {
                Progress::Connecting => OpenPhase::Connecting,
                Progress::TlsHandshake => OpenPhase::TlsHandshake,
                Progress::Ready => OpenPhase::Upgrading,
            };
            self.phase = Phase::Connecting(next);
            if next != OpenPhase::Upgrading {
                return Ok(usize::from(next != phase));
            }
            self.upgrade.request(&config.endpoint, &config.headers, self.stream.io.begin());
            let sent = self.stream.io.finish(HEAD_ROOM);
            sent.map_err(|_| self.stream_down(StreamError::Closed))?;
        }
        self.stream.io.flush().map_err(|error| self.stream_down(error))?;
        loop {
            let addr = self.addr;
            let answer = self.upgrade.answer(self.stream.rx.plain());
            if let Some(head) = answer.map_err(|error| DownReason::WebSocket { addr, error })? {
                self.stream.rx.consume(head);
                let (_, now) = turn;
                (self.phase, self.last_bytes) = (Phase::Open { since: now }, now);
                let mut out = Outbox { io: &mut self.stream.io, rng: &mut self.rng };
                handler.on_open(self.id, now, &mut out);
                return Ok(1);
            }
            if self.read(turn)? == 0 {
                return Ok(usize::from(phase != OpenPhase::Upgrading));
            }
        }
    }

    /// The reason to give up this connection at `now`, if its time is up.
    pub(crate) fn overdue(&mut self, config: &LinkConfig, now: Time) -> Option<DownReason> {
        let since = match self.phase {
            Phase::Connecting(phase) => {
                let after_ms = config.open_timeout_ns / NANOS_PER_MILLI;
                let late = now.since(self.born) >= config.open_timeout_ns;
                return late.then_some(DownReason::OpenTimeout { phase, after_ms });
            }
            Phase::Open { since } => since,
        };
        if !self.got_data && now.since(since) >= config.first_data_timeout_ns {
            return Some(DownReason::NoData { after_ms: config.first_data_timeout_ns / NANOS_PER_MILLI });
        }
        let silent_ns = now.since(self.last_bytes);
        if silent_ns >= config.silence_timeout_ns {
            return Some(DownReason::Silent { after_ms: config.silence_timeout_ns / NANOS_PER_MILLI });
        }
        if silent_ns >= config.silence_timeout_ns / 2 && !self.pinged {
            self.pinged = true;
            let mut out = Outbox { io: &mut self.stream.io, rng: &mut self.rng };
            let _ = out.frame(Opcode::Ping, |_| {}); // if it cannot be sent, the silence goes on and ends it
        }
        None
    }

    /// When [`Conn::overdue`] must be asked next.
    pub(crate) fn deadline(&self, config: &LinkConfig) -> Time {
        let Phase::Open { since } = self.phase else { return self.born.plus(config.open_timeout_ns) };
        let silence_ns = config.silence_timeout_ns / if self.pinged { 1 } else { 2 };
        let silence = self.last_bytes.plus(silence_ns);
        if self.got_data { silence } else { silence.min(since.plus(config.first_data_timeout_ns)) }
    }

    /// Sends one text frame.
    pub(crate) fn send_with(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<ConnId, SendError> {
        if !self.is_open() {
            return Err(SendError::NotOpen);
        }
        Outbox { io: &mut self.stream.io, rng: &mut self.rng }.text_with(encode)?;
        Ok(self.id)
    }

    /// Says good-bye, as far as the socket takes it.
    pub(crate) fn close(mut self) {
        if self.is_open() {
            let mut out = Outbox { io: &mut self.stream.io, rng: &mut self.rng };
            let _ = out.frame(Opcode::Close, |buf| buf.extend_from_slice(&1000_u16.to_be_bytes()));
        }
    }

    /// True while messages can be sent and received.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    /// True once the venue announced this connection's end.
    pub(crate) fn is_doomed(&self) -> bool {
        self.doomed
    }

    /// When it became open.
    pub(crate) fn open_since(&self) -> Option<Time> {
        match self.phase {
            Phase::Open { since } => Some(since),
            Phase::Connecting(_) => None,
        }
    }

    /// What it still has to do before it is open.
    pub(crate) fn opening(&self) -> Option<OpenPhase> {
        match self.phase {
            Phase::Open { .. } => None,
            Phase::Connecting(phase) => Some(phase),
        }
    }

    fn stream_down(&self, error: StreamError) -> DownReason {
        DownReason::Stream { addr: self.addr, error }
    }
}
