//! The other side, and the way a test drives a link.
//!
//! Thread: servers run on threads that end with their connections; the link runs on the test's own.
//! Invariants: a wait that lasts ten seconds fails the test and says for what.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::sys::net::{
    ConnId, ConnectBudget, DownReason, Endpoint, FrameVerdict, Link, LinkConfig, LinkHandler, Net, Outbox, Resolver,
    TlsContext,
};
use sol_volume_bot::types::Time;
use sol_volume_bot::types::time::NANOS_PER_SEC;
use tungstenite::{Message, WebSocket};

use crate::certs::Ca;

/// Either kind of server-side stream.
pub trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

pub type Ws = WebSocket<Box<dyn Wire>>;

/// A listening server and its address.
pub struct Served {
    pub url: String,
}

/// TCP, or TLS over it.
pub fn wire(socket: TcpStream, tls: Option<&Arc<ServerConfig>>) -> Box<dyn Wire> {
    socket.set_nodelay(true).expect("nodelay");
    match tls {
        None => Box::new(socket),
        Some(config) => {
            let conn = ServerConnection::new(Arc::clone(config)).expect("TLS server");
            Box::new(StreamOwned::new(conn, socket))
        }
    }
}

/// Accepts WebSocket connections for ever and gives each, with its number, to `serve` on a thread of its own.
pub fn ws_server(tls: Option<Arc<ServerConfig>>, serve: impl Fn(usize, Ws) + Send + Sync + 'static) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    let url = format!("{scheme}://{}/ws", listener.local_addr().expect("address"));
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for (number, socket) in listener.incoming().enumerate() {
            let (serve, tls) = (Arc::clone(&serve), tls.clone());
            let socket = socket.expect("accept");
            thread::spawn(move || {
                // A client that refuses our certificate ends here.
                if let Ok(ws) = tungstenite::accept(wire(socket, tls.as_ref())) {
                    serve(number, ws);
                }
            });
        }
    });
    Served { url }
}

/// Sends every text back.
pub fn echo_server(tls: Option<Arc<ServerConfig>>) -> Served {
    ws_server(tls, |_, mut ws| {
        while let Ok(message) = ws.read() {
            if matches!(message, Message::Text(_)) && ws.send(message).is_err() {
                return;
            }
        }
    })
}

/// Remembers all that a link tells.
pub struct Probe {
    pub opened: Vec<ConnId>,
    pub frames: Vec<(ConnId, Vec<u8>)>,
    pub frames_seen: usize,
    pub keep_frames: bool,
    pub downs: Vec<(ConnId, String)>,
    pub echo: bool,
    pub hello: Option<&'static str>,
    pub verdict: fn(&[u8]) -> FrameVerdict,
}

impl LinkHandler for Probe {
    fn on_open(&mut self, conn: ConnId, _: Time, out: &mut Outbox<'_>) {
        self.opened.push(conn);
        if let Some(hello) = self.hello {
            out.text(hello.as_bytes()).expect("just opened");
        }
    }
    fn on_frame(&mut self, conn: ConnId, frame: &[u8], recv: Time, out: &mut Outbox<'_>) -> FrameVerdict {
        assert!(recv > Time::NONE);
        self.frames_seen += 1;
        if self.keep_frames {
            self.frames.push((conn, frame.to_vec()));
        }
        if self.echo {
            out.text(frame).expect("the peer reads");
        }
        (self.verdict)(frame)
    }
    fn on_down(&mut self, conn: ConnId, reason: &DownReason, _: Time) {
        self.downs.push((conn, reason.to_string()));
    }
}

/// A link, its handler, and a clock that a test can put forward.
pub struct Harness {
    pub link: Link,
    pub probe: Probe,
    pub clock: Clock,
    pub ahead_ns: i64,
}

/// Trusts `ca` beside the built-in roots; allows many attempts.
pub fn net(ca: Option<&Ca>) -> Net {
    Net {
        clock: Clock::start(),
        tls: TlsContext::new(ca.map(|ca| ca.file.as_path())).expect("TLS"),
        resolver: Resolver::start().expect("thread"),
        budget: Arc::new(ConnectBudget::new(3_000, NANOS_PER_SEC)),
    }
}

impl Harness {
    pub fn new(url: &str, ca: Option<&Ca>) -> Harness {
        Harness::with(LinkConfig::new(Endpoint::parse(url).expect(url)), net(ca))
    }

    pub fn with(config: LinkConfig, net: Net) -> Harness {
        let clock = net.clock;
        let probe = Probe {
            opened: Vec::new(),
            frames: Vec::new(),
            frames_seen: 0,
            keep_frames: true,
            downs: Vec::new(),
            echo: false,
            hello: None,
            verdict: |_| FrameVerdict::Data,
        };
        Harness { link: Link::new(config, net), probe, clock, ahead_ns: 0 }
    }

    pub fn now(&self) -> Time {
        self.clock.now().plus(self.ahead_ns)
    }

    pub fn turn(&mut self) -> usize {
        let now = self.now();
        self.link.turn(now, &mut self.probe)
    }

    /// Turns the link until `done`, or fails.
    #[track_caller]
    pub fn until(&mut self, what: &str, done: impl Fn(&Harness) -> bool) {
        let end = self.clock.now().plus(10 * NANOS_PER_SEC);
        while !done(self) {
            assert!(self.clock.now() < end, "waited for: {what}; downs so far: {:?}", self.probe.downs);
            if self.turn() == 0 {
                thread::yield_now();
            }
        }
    }

    pub fn last_down(&self) -> &str {
        self.probe.downs.last().map_or("", |(_, reason)| reason)
    }

    pub fn texts(&self) -> Vec<&[u8]> {
        self.probe.frames.iter().map(|(_, frame)| frame.as_slice()).collect()
    }
}
