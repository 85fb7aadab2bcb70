//! One connection: its wire, its session, the venue's rules for it.
//!
//! Thread: the server's.  Invariants: a muted connection stays open and gets nothing; every rule that ends a connection
//! is checked here.

use std::ops::Range;

use mio::net::TcpStream;

use super::binance::{ApiSession, StreamSession, api_shutdown_notice, shutdown_notice};
use super::chain::Notice;
use super::fault::Fault;
use super::http::Response;
use super::kraken::{Kraken, KrakenSession};
use super::solana::SlotSession;
use super::solana_slots::SlotPlan;
use super::wire::{Gone, HttpWire, Inbound, Wire, WsWire};
use super::world::Clients;
use crate::types::Time;
use crate::types::time::NANOS_PER_SEC;

/// How often the venue pings.
const PING_EVERY_NS: i64 = 20 * NANOS_PER_SEC;
/// How long it waits for the pong.
const PONG_WITHIN_NS: i64 = 60 * NANOS_PER_SEC;
/// Frames that a market-stream client may send in a second; control frames count.
const FRAMES_PER_SECOND_MAX: u32 = 5;

/// What a WebSocket connection is for.
pub(super) enum Session {
    /// Market streams.
    Streams(StreamSession),
    /// WebSocket API.
    Api(Box<ApiSession>),
    /// Solana PubSub.
    Slots(SlotSession),
    /// Kraken's public WebSocket.
    Kraken(Box<KrakenSession>),
}

enum Talk {
    Http(Box<HttpWire>),
    Ws(Box<WsWire>, Session),
    /// Between the two, inside `upgrade` only.
    Neither,
}

/// One connection.
pub(super) struct Client {
    /// Its number, never given again; the poller's token.
    pub(super) number: usize,
    talk: Talk,
    muted: bool,
    since: Time,
    next_ping: Time,
    unanswered_ping: Option<Time>,
    second: Time,
    frames: u32,
}

impl Client {
    /// A connection just accepted.
    pub(super) fn new(number: usize, wire: Wire, now: Time) -> Client {
        Client {
            number,
            talk: Talk::Http(Box::new(HttpWire::new(wire))),
            muted: false,
            since: now,
            next_ping: now,
            unanswered_ping: None,
            second: now,
            frames: 0,
        }
    }

    /// The socket, for the poller. A connection always has one outside `upgrade`.
    pub(super) fn socket(&mut self) -> &mut TcpStream {
        match &mut self.talk {
            Talk::Http(wire) => wire.socket(),
            Talk::Ws(wire, _) => wire.socket(),
            Talk::Neither => unreachable!("a connection keeps its wire"),
        }
    }

    /// Its session, once it is a WebSocket.
    pub(super) fn session(&mut self) -> Option<&mut Session> {
        match &mut self.talk {
            Talk::Ws(_, session) => Some(session),
            _ => None,
        }
    }

    /// What it said since the last call.
    pub(super) fn receive(&mut self) -> Result<Vec<Inbound>, Gone> {
        let mut inbound = Vec::new();
        match &mut self.talk {
            Talk::Http(wire) => wire.receive(&mut inbound)?,
            Talk::Ws(wire, _) => wire.receive(&mut inbound)?,
            Talk::Neither => return Err(Gone),
        }
        Ok(inbound)
    }

    /// Counts a frame against the market streams' limit; notes a pong.
    pub(super) fn count_message(&mut self, message: &Inbound, now: Time) -> Result<(), Gone> {
        if let (Inbound::Pong(payload), Some(sent)) = (message, self.unanswered_ping)
            && *payload == ping_payload(sent)
        {
            self.unanswered_ping = None;
        }
        if !matches!(self.talk, Talk::Ws(_, Session::Streams(_))) {
            return Ok(());
        }
        if now.since(self.second) >= NANOS_PER_SEC {
            (self.second, self.frames) = (now, 0);
        }
        self.frames += 1;
        if self.frames > FRAMES_PER_SECOND_MAX { Err(Gone) } else { Ok(()) }
    }

    /// Goes on as a WebSocket.
    pub(super) fn upgrade(&mut self, key: &str, session: Session, now: Time) -> Result<(), Gone> {
        let Talk::Http(wire) = std::mem::replace(&mut self.talk, Talk::Neither) else { return Err(Gone) };
        self.talk = Talk::Ws(Box::new(wire.upgrade(key)?), session);
        (self.since, self.next_ping) = (now, now.plus(PING_EVERY_NS));
        Ok(())
    }

    /// Answers an HTTP request.
    pub(super) fn answer(&mut self, response: &Response, keep_alive: bool) -> Result<(), Gone> {
        match &mut self.talk {
            _ if self.muted => Ok(()),
            Talk::Http(wire) => wire.answer(response, keep_alive),
            _ => Err(Gone),
        }
    }

    /// Sends a text frame.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Gone> {
        match &mut self.talk {
            _ if self.muted => Ok(()),
            Talk::Ws(wire, _) => wire.text(text),
            _ => Err(Gone),
        }
    }

    /// Sends what is queued.
    pub(super) fn flush(&mut self) -> Result<(), Gone> {
        match &mut self.talk {
            Talk::Http(wire) => wire.flush(),
            Talk::Ws(wire, _) => wire.flush(),
            Talk::Neither => Err(Gone),
        }
    }

    /// Market payloads, as far as it subscribed to their streams.
    pub(super) fn public(&mut self, payloads: &[(String, String)]) -> Result<(), Gone> {
        let Talk::Ws(wire, Session::Streams(session)) = &mut self.talk else { return Ok(()) };
        if self.muted {
            return Ok(());
        }
        let frames = payloads.iter().filter_map(|(name, payload)| session.frame(name, payload));
        for frame in frames {
            wire.text(&frame)?;
        }
        Ok(())
    }

    /// Account events, if it subscribed to them.
    pub(super) fn account_events(&mut self, events: &[String]) -> Result<(), Gone> {
        let Talk::Ws(wire, Session::Api(session)) = &mut self.talk else { return Ok(()) };
        if self.muted {
            return Ok(());
        }
        for frame in events.iter().filter_map(|event| session.frame(event)) {
            wire.text(&frame)?;
        }
        Ok(())
    }

    /// New slots, if it subscribed to them.
    pub(super) fn slots(&mut self, slots: Range<u64>, plan: &SlotPlan) -> Result<(), Gone> {
        let Talk::Ws(wire, Session::Slots(session)) = &mut self.talk else { return Ok(()) };
        if self.muted {
            return Ok(());
        }
        for slot in slots {
            let told = plan.told(session.view.newest(slot));
            for frame in told.into_iter().flat_map(|told| session.notify_of(told)) {
                wire.text(&frame)?;
            }
        }
        Ok(())
    }

    /// What Kraken has to tell it.
    pub(super) fn kraken(&mut self, kraken: &mut Kraken, now: Time) -> Result<(), Gone> {
        let Talk::Ws(wire, Session::Kraken(session)) = &mut self.talk else { return Ok(()) };
        if self.muted {
            return Ok(());
        }
        for frame in kraken.news(session, now) {
            wire.text(&frame)?;
        }
        Ok(())
    }

    /// A changed account, if it subscribed to it.
    pub(super) fn account(&mut self, news: Option<&str>) -> Result<(), Gone> {
        let (Talk::Ws(wire, Session::Slots(session)), Some(news), false) = (&mut self.talk, news, self.muted) else {
            return Ok(());
        };
        for frame in session.notify_account(news) {
            wire.text(&frame)?;
        }
        Ok(())
    }

    /// Memecoin transactions, as far as it subscribed to their programs.
    pub(super) fn chain(&mut self, notices: &[Notice]) -> Result<(), Gone> {
        let Talk::Ws(wire, Session::Slots(session)) = &mut self.talk else { return Ok(()) };
        if self.muted {
            return Ok(());
        }
        for frame in session.logs.frames(notices) {
            wire.text(&frame)?;
        }
        Ok(())
    }

    /// Pings when due; ends a connection that is too old or answers no ping.
    pub(super) fn keep_rules(&mut self, lifetime_ns: i64, now: Time) -> Result<(), Gone> {
        let Talk::Ws(wire, session) = &mut self.talk else { return Ok(()) };
        let binance = matches!(session, Session::Streams(_) | Session::Api(_));
        let is_idle = matches!(session, Session::Kraken(session) if session.is_idle(now));
        if is_idle || (binance && now.since(self.since) >= lifetime_ns) {
            wire.close();
            return Err(Gone);
        }
        if self.unanswered_ping.is_some_and(|sent| now.since(sent) >= PONG_WITHIN_NS) {
            return Err(Gone);
        }
        if binance && !self.muted && now >= self.next_ping {
            self.next_ping = now.plus(PING_EVERY_NS);
            let sent = *self.unanswered_ping.get_or_insert(now);
            wire.ping(&ping_payload(sent))?;
        }
        Ok(())
    }

    /// What a fault does to this connection; `Gone` if it ends it.
    pub(super) fn suffer(&mut self, fault: &Fault, now: Time) -> Result<(), Gone> {
        let Talk::Ws(wire, session) = &mut self.talk else { return Ok(()) };
        match (fault, session) {
            (Fault::DropStreams, Session::Streams(_))
            | (Fault::DropWsApi, Session::Api(_))
            | (Fault::DropKraken, Session::Kraken(_))
            | (Fault::DropSolana, Session::Slots(_)) => Err(Gone),
            (Fault::HalfOpen, _) => {
                self.muted = true;
                Ok(())
            }
            (Fault::ServerShutdown, Session::Streams(session)) => {
                wire.text(&shutdown_notice(session, now))?;
                wire.close();
                Err(Gone)
            }
            (Fault::ServerShutdown, Session::Api(_)) => {
                wire.text(&api_shutdown_notice(now))?;
                wire.close();
                Err(Gone)
            }
            (Fault::CutUserStream, Session::Api(session)) => match session.cut_subscription(now) {
                Some(frame) => wire.text(&frame),
                None => Ok(()),
            },
            (Fault::RevokeKey, Session::Api(_)) => wire.text(KEY_REVOKED),
            _ => Ok(()),
        }
    }
}

/// What the venue pushes, unasked, when a session's key is deleted or its addresses change.
const KEY_REVOKED: &str =
    r#"{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}}"#;

/// A ping carries its time; a pong must bring it back.
fn ping_payload(sent: Time) -> Vec<u8> {
    sent.millis().0.to_string().into_bytes()
}

/// How many of each kind there are.
pub(super) fn count<'a>(clients: impl Iterator<Item = &'a Client>) -> Clients {
    let mut counts = Clients::default();
    for client in clients {
        match &client.talk {
            Talk::Ws(_, Session::Streams(_)) => counts.streams += 1,
            Talk::Ws(_, Session::Slots(_)) => counts.solana += 1,
            Talk::Ws(_, Session::Kraken(_)) => counts.kraken += 1,
            Talk::Ws(_, Session::Api(session)) => {
                counts.ws_api += 1;
                counts.user_subscriptions += usize::from(session.is_subscribed());
            }
            _ => {}
        }
    }
    counts
}
