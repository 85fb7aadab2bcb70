//! The floor: a bare ping-pong of messages of the same sizes, on the same cores, at the same pace.
//!
//! Thread: the answering end is an agent of the trading thread, so that it runs on the same core and never beside the
//! engine: while a block of pings lasts, it keeps the thread to itself. The asking end is the venue's.
//! Invariants: nothing happens between a ping read and its answer written.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::sys::net::TlsContext;
use sol_volume_bot::threads::runner::{Agent, Work};
use sol_volume_bot::types::Time;
use sol_volume_bot::types::time::NANOS_PER_MILLI;

use super::peer::Peer;

/// How often the agent looks for a block of pings: seldom, since a look is a system call that the engine pays for.
const LOOK_EVERY_NS: i64 = 50 * NANOS_PER_MILLI;
/// Two numbers at the start of a ping: its own length, and its answer's; an answer of none ends the block.
const HEAD: usize = 4;
const MESSAGE_MAX: usize = 4_096;

/// The answering end.
pub struct Floor {
    socket: TcpStream,
    tls: Option<ClientConnection>,
    poll: Option<(Poll, Events)>,
    rx: Vec<u8>,
    answer: Vec<u8>,
    look_at: Time,
}

impl Floor {
    /// Connects and shakes hands. `parks` = waits in epoll between pings, else looks without end.
    pub fn connect(addr: SocketAddr, ca_file: Option<&Path>, parks: bool) -> Floor {
        let mut socket = std::net::TcpStream::connect(addr).expect("the venue's floor");
        socket.set_nodelay(true).expect("nodelay");
        let tls = ca_file.map(|file| {
            let config = TlsContext::new(Some(file)).expect("TLS settings").client_config();
            let name = ServerName::try_from("127.0.0.1").expect("a name");
            let mut conn = ClientConnection::new(Arc::clone(&config), name).expect("TLS");
            while conn.is_handshaking() {
                conn.complete_io(&mut socket).expect("TLS handshake");
            }
            conn
        });
        socket.set_nonblocking(true).expect("nonblocking");
        let mut socket = TcpStream::from_std(socket);
        let poll = parks.then(|| {
            let poll = Poll::new().expect("a poller");
            poll.registry().register(&mut socket, Token(0), Interest::READABLE).expect("register");
            (poll, Events::with_capacity(8))
        });
        let (rx, answer) = (Vec::with_capacity(2 * MESSAGE_MAX), vec![b'o'; MESSAGE_MAX]);
        Floor { socket, tls, poll, rx, answer, look_at: Time::NONE }
    }

    /// Answers pings until one wants no answer.
    fn serve(&mut self) {
        loop {
            if let Some(&[a, b, c, d]) = self.rx.first_chunk::<HEAD>() {
                let (len, wanted) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                if self.rx.len() >= usize::from(len) {
                    self.rx.clear(); // one ping at a time is on its way
                    if wanted == 0 {
                        return;
                    }
                    self.write(usize::from(wanted));
                    continue;
                }
            }
            if self.read() == 0
                && let Some((poll, events)) = &mut self.poll
            {
                poll.poll(events, None).expect("epoll");
            }
        }
    }

    fn read(&mut self) -> usize {
        let before = self.rx.len();
        self.rx.resize(before + MESSAGE_MAX, 0);
        let room = &mut self.rx[before..];
        let count = match &mut self.tls {
            None => now_or_none(self.socket.read(room)),
            Some(conn) => {
                now_or_none(conn.read_tls(&mut self.socket));
                conn.process_new_packets().expect("TLS records");
                now_or_none(conn.reader().read(room))
            }
        };
        self.rx.truncate(before + count);
        count
    }

    fn write(&mut self, len: usize) {
        let answer = &self.answer[..len];
        match &mut self.tls {
            None => assert_eq!(now_or_none(self.socket.write(answer)), len, "the socket takes a short message"),
            Some(conn) => {
                conn.writer().write_all(answer).expect("TLS buffer");
                while conn.wants_write() {
                    now_or_none(conn.write_tls(&mut self.socket));
                }
            }
        }
    }
}

impl Agent for Floor {
    fn turn(&mut self, now: Time) -> Work {
        if now < self.look_at {
            return Work::NONE;
        }
        self.look_at = now.plus(LOOK_EVERY_NS);
        if self.read() == 0 {
            return Work::NONE;
        }
        self.serve();
        Work { count: 1 }
    }
    fn idle(&self) -> bool {
        true
    }
    fn deadline(&self) -> Option<Time> {
        Some(self.look_at)
    }
    fn finish(&mut self, _now: Time) {}
}

/// The asking end.
pub struct Pinger {
    peer: Peer,
    clock: Clock,
}

impl Pinger {
    /// Waits for the answering end.
    pub fn accept(listener: &TcpListener, tls: Option<&Arc<rustls::ServerConfig>>) -> Pinger {
        Pinger { peer: Peer::accept(listener, tls), clock: Clock::start() }
    }

    /// One ping of `bytes.0` bytes, answered by `bytes.1`. Output: ns from before the write to after the last read.
    pub fn ping(&mut self, bytes: (usize, usize)) -> i64 {
        let message = Self::message(bytes);
        let sent = self.clock.now();
        self.peer.write(&message[..bytes.0]);
        let mut got = 0;
        while got < bytes.1 {
            self.peer.read();
            got += self.peer.take_raw().len();
        }
        self.clock.now().since(sent)
    }

    /// Looks at the socket as [`Pinger::ping`] does, to keep this end as warm as the venue's.
    pub fn idle(&mut self) {
        self.peer.read();
    }

    /// Lets the trading thread go.
    pub fn end_block(&mut self) {
        self.peer.write(&Self::message((HEAD, 0))[..HEAD]);
    }

    fn message(bytes: (usize, usize)) -> [u8; MESSAGE_MAX] {
        let mut message = [b'p'; MESSAGE_MAX];
        message[..2].copy_from_slice(&u16::try_from(bytes.0).expect("short").to_be_bytes());
        message[2..HEAD].copy_from_slice(&u16::try_from(bytes.1).expect("short").to_be_bytes());
        message
    }
}

fn now_or_none(result: std::io::Result<usize>) -> usize {
    match result {
        Ok(count) => count,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
        Err(error) => panic!("the floor's connection broke: {error}"),
    }
}
