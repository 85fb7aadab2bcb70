//! The server's thread: sockets in, the world asked, answers and news out.
//!
//! Runs on: one unpinned thread.  Owns: the poller, the listener, every connection.  Clock: read once per turn, after
//! the world's lock is taken, so the exchange never sees time fall.
//! Never: blocks but in the poller; keeps the lock while it waits.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use rustls::{ServerConnection, StreamOwned};

use super::binance::{ApiSession, RestAnswer, StreamSession};
use super::client::{Client, Session};
use super::handle::{Handle, Shared};
use super::http::{Request, Response, Verb};
use super::kraken::KrakenSession;
use super::solana::SlotSession;
use super::solana_slots::{self, NodeView};
use super::wire::{Gone, Inbound, Wire};
use super::world::World;
use super::{ServerSettings, StartError, client, feeds};
use crate::types::Time;

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
const FIRST_CLIENT: usize = 2;
/// Connections at once; more are refused.
const CLIENTS_MAX: usize = 1_024;
/// Connections accepted before the clients get their turn.
const ACCEPTS_PER_TURN_MAX: usize = 64;
const EVENTS_MAX: usize = 256;
/// Rounds of reading one client before the others get their turn.
const ROUNDS_PER_TURN_MAX: usize = 8;

/// Opens the port, builds the world, starts the thread.
pub(super) fn start(settings: ServerSettings) -> Result<Handle, StartError> {
    let system = |what: &'static str| move |cause: io::Error| StartError::System { what, cause };
    let listen = |cause| StartError::Listen { addr: settings.listen, cause };
    let mut listener = TcpListener::bind(settings.listen).map_err(listen)?;
    let addr = listener.local_addr().map_err(listen)?;
    let poll = Poll::new().map_err(system("no poller to be had"))?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).map_err(system("cannot watch the port"))?;
    let waker = Waker::new(poll.registry(), WAKER).map_err(system("no waker to be had"))?;
    let world = World::new(settings.scenario, settings.clock.now())?;
    let shared = Arc::new(Shared::new(world, settings.clock));
    let tls = settings.tls.is_some();
    let service = Service {
        poll,
        listener,
        tls: settings.tls,
        shared: Arc::clone(&shared),
        clients: BTreeMap::new(),
        next_client: FIRST_CLIENT,
        late: Vec::new(),
        slot_told: 0,
    };
    let thread = std::thread::Builder::new()
        .name("sim-server".to_owned())
        .spawn(move || service.run())
        .map_err(system("cannot start the server's thread"))?;
    Ok(Handle { addr, tls, shared, waker: Arc::new(waker), thread: Some(thread) })
}

/// An answer that waits for its time.
struct Late {
    due: Time,
    client: usize,
    answer: Answer,
}

/// What one request is answered.
enum Answer {
    Http(Response, bool),
    Text(String),
}

struct Service {
    poll: Poll,
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    shared: Arc<Shared>,
    clients: BTreeMap<usize, Client>,
    next_client: usize,
    late: Vec<Late>,
    slot_told: u64,
}

impl Service {
    fn run(mut self) {
        let mut ready = Events::with_capacity(EVENTS_MAX);
        let shared = Arc::clone(&self.shared);
        while !shared.stopping() {
            let wait = self.wait(&shared);
            match self.poll.poll(&mut ready, Some(wait)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return, // no poller, no service
                _ => {}
            }
            let mut world = shared.lock();
            let now = shared.clock.now();
            world.advance(now);
            for event in ready.iter() {
                match event.token() {
                    LISTENER => self.accept(now),
                    WAKER => {}
                    Token(client) => self.attend(client, &mut world, now),
                }
            }
            self.send_late(now);
            self.publish(&mut world, now);
            self.keep_rules(&mut world, now);
            drop(world);
            shared.announce();
        }
    }

    /// How long nothing is due.
    fn wait(&self, shared: &Shared) -> Duration {
        let due = self.late.iter().map(|late| late.due).min();
        let due = due.map_or(Time(i64::MAX), |due| due).min(shared.lock().next_deadline());
        let wait_ns = due.since(shared.clock.now()).max(0);
        Duration::from_nanos(wait_ns as u64)
    }

    fn accept(&mut self, now: Time) {
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            let Ok((socket, _)) = self.listener.accept() else { return };
            if self.clients.len() < CLIENTS_MAX {
                self.welcome(socket, now);
            }
        }
        // More may wait and will not be announced again: look again at once.
        let _ = self.poll.registry().reregister(&mut self.listener, LISTENER, Interest::READABLE);
    }

    fn welcome(&mut self, socket: TcpStream, now: Time) {
        let _ = socket.set_nodelay(true); // only slower without it
        let wire = match &self.tls {
            None => Wire::Plain(socket),
            Some(config) => match ServerConnection::new(Arc::clone(config)) {
                Ok(tls) => Wire::Tls(Box::new(StreamOwned::new(tls, socket))),
                Err(_) => return,
            },
        };
        let token = self.next_client;
        self.next_client += 1;
        let mut client = Client::new(token, wire, now);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.poll.registry().register(client.socket(), Token(token), interest).is_ok() {
            self.clients.insert(token, client);
        }
    }

    /// Reads, asks the world, answers; a client that is gone is forgotten.
    fn attend(&mut self, token: usize, world: &mut World, now: Time) {
        let Some(mut client) = self.clients.remove(&token) else { return };
        if self.serve(&mut client, world, now).is_ok() {
            self.clients.insert(token, client);
        }
    }

    fn serve(&mut self, client: &mut Client, world: &mut World, now: Time) -> Result<(), Gone> {
        client.flush()?;
        for _ in 0..ROUNDS_PER_TURN_MAX {
            let inbound = client.receive()?;
            if inbound.is_empty() {
                return client.flush();
            }
            for message in inbound {
                client.count_message(&message, now)?;
                match message {
                    Inbound::Request(request) => self.serve_request(client, &request, world, now)?,
                    Inbound::Text(text) => self.serve_text(client, &text, world, now)?,
                    Inbound::Ping | Inbound::Pong(_) => {}
                }
            }
        }
        // More may wait and will not be announced again: ask to be told, after the others had their turn.
        let (token, interest) = (Token(client.number), Interest::READABLE | Interest::WRITABLE);
        self.poll.registry().reregister(client.socket(), token, interest).map_err(|_| Gone)
    }

    fn serve_request(
        &mut self,
        client: &mut Client,
        request: &Request,
        world: &mut World,
        now: Time,
    ) -> Result<(), Gone> {
        if let Some(key) = &request.upgrade_key {
            return match session_of(request, now) {
                Some(session) => client.upgrade(key, session, now),
                None => client.answer(&feeds::nobody(&request.path), false),
            };
        }
        if let Some(response) = world.played.as_ref().and_then(|played| played.answer(request)) {
            return client.answer(&response, request.keep_alive);
        }
        if request.path.starts_with("/api/v3/") {
            return match world.venue.rest(request, now) {
                RestAnswer::Swallowed => Ok(()),
                RestAnswer::Answer { response, trading } => {
                    self.reply(client, Answer::Http(response, request.keep_alive), trading, world, now)
                }
            };
        }
        let response = if request.path == "/solana" && request.verb == Verb::Post {
            let answer = world.chain.rpc(&request.body, world.slot).or_else(|| world.account_post(&request.body));
            let answer = answer.map(|answer| Response::json(200, answer));
            answer.unwrap_or_else(|| solana_slots::post(request, world))
        } else if request.path.starts_with("/kraken/0/") {
            world.kraken(now).rest(request, now)
        } else if request.path == "/bitquery" {
            world.chain.bitquery(request)
        } else {
            let answer = world.quote(request, now).or_else(|| world.feeds.answer(request, now));
            answer.unwrap_or_else(|| feeds::nobody(&request.path))
        };
        client.answer(&response, request.keep_alive)
    }

    fn serve_text(&mut self, client: &mut Client, text: &str, world: &mut World, now: Time) -> Result<(), Gone> {
        let slot = world.slot;
        let (frame, trading) = match client.session() {
            None => return Err(Gone),
            Some(Session::Streams(session)) => (Some(session.answer(text)), false),
            Some(Session::Slots(session)) => (Some(session.answer(text, slot)), false),
            Some(Session::Kraken(session)) => {
                let answers = world.kraken(now).answer(session, text, now);
                return answers.iter().try_for_each(|answer| client.text(answer));
            }
            Some(Session::Api(session)) => {
                let answer = world.venue.ws_api(session, text, now);
                (answer.frame, answer.trading)
            }
        };
        match frame {
            Some(frame) => self.reply(client, Answer::Text(frame), trading, world, now),
            None => Ok(()),
        }
    }

    /// Answers now or late, before or after the events that the request caused.
    fn reply(
        &mut self,
        client: &mut Client,
        answer: Answer,
        trading: bool,
        world: &mut World,
        now: Time,
    ) -> Result<(), Gone> {
        let events = if trading { world.venue.take_account_events() } else { Vec::new() };
        let delay_ns = world.venue.switches.delay_ns;
        if trading && delay_ns > 0 {
            self.late.push(Late { due: now.plus(delay_ns), client: client.number, answer });
            self.tell_account(&events);
            return client.account_events(&events);
        }
        if world.venue.switches.events_first {
            self.tell_account(&events);
            client.account_events(&events)?;
            return deliver(client, &answer);
        }
        let delivered = deliver(client, &answer);
        self.tell_account(&events);
        delivered?;
        client.account_events(&events)
    }

    fn send_late(&mut self, now: Time) {
        let (due, later) = std::mem::take(&mut self.late).into_iter().partition(|late: &Late| late.due <= now);
        self.late = later;
        let due: Vec<Late> = due;
        for late in due {
            if self.clients.get_mut(&late.client).is_some_and(|client| deliver(client, &late.answer).is_err()) {
                self.clients.remove(&late.client);
            }
        }
    }

    /// Account events to every subscribed connection but the one that is being served.
    fn tell_account(&mut self, events: &[String]) {
        self.clients.retain(|_, client| client.account_events(events).is_ok());
    }

    /// Sends what the market, the account and Solana have to say.
    fn publish(&mut self, world: &mut World, now: Time) {
        let public = world.take_public(now);
        let events = world.venue.take_account_events();
        let slots =
            if world.slots_stalled { 0..0 } else { self.slot_told.max(world.slot.saturating_sub(8))..world.slot };
        self.slot_told = world.slot;
        let notices = world.take_notices();
        let account = world.account_news();
        let hears_kraken = world.clients.kraken > 0;
        if hears_kraken {
            world.kraken(now); // moved on once, told to everybody
        }
        let World { kraken, slot_plan, .. } = world;
        self.clients.retain(|_, client| {
            let told = client.public(&public).and_then(|()| client.account_events(&events));
            let told = told.and_then(|()| if hears_kraken { client.kraken(kraken, now) } else { Ok(()) });
            let told = told.and_then(|()| client.slots(slots.start + 1..slots.end + 1, slot_plan));
            let told = told.and_then(|()| client.account(account.as_deref()));
            told.and_then(|()| client.chain(&notices)).is_ok()
        });
    }

    /// Pings, ages, cuts; and counts who is there.
    fn keep_rules(&mut self, world: &mut World, now: Time) {
        let lifetime_ns = world.venue.lifetime_ns();
        self.clients.retain(|_, client| client.keep_rules(lifetime_ns, now).is_ok());
        for fault in std::mem::take(&mut world.cuts) {
            self.clients.retain(|_, client| client.suffer(&fault, now).is_ok());
        }
        world.clients = client::count(self.clients.values());
    }
}

fn deliver(client: &mut Client, answer: &Answer) -> Result<(), Gone> {
    match answer {
        Answer::Http(response, keep_alive) => client.answer(response, *keep_alive),
        Answer::Text(text) => client.text(text),
    }
}

/// The session a WebSocket path opens; `None` if none lives there.
fn session_of(request: &Request, now: Time) -> Option<Session> {
    match request.path.as_str() {
        "/solana" | "/solana/" => {
            let view = NodeView::of_query(&request.query);
            Some(Session::Slots(SlotSession { view, ..SlotSession::default() }))
        }
        "/kraken/ws" | "/kraken/ws/" => Some(Session::Kraken(Box::new(KrakenSession::new(now)))),
        "/ws-api/v3" => Some(Session::Api(Box::new(ApiSession::new(&request.query, now)))),
        path => StreamSession::of_path(path, &request.query).map(Session::Streams),
    }
}
