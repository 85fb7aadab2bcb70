//! The bytes of one client: a plain or TLS socket, HTTP first, perhaps a WebSocket later.
//!
//! Thread: the server's.  Invariants: nothing blocks; a client that does not read is cut once its backlog is full.

use std::io::{self, Read, Write};

use mio::net::TcpStream;
use rustls::{ServerConnection, StreamOwned};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

use super::http::{self, Parsed, Request, Response};

/// Answers not yet taken by a client before it is cut.
const BACKLOG_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Requests or frames taken from one client at a time.
const MESSAGES_MAX: usize = 256;
/// Reads of one client's socket at a time.
const READS_MAX: usize = 64;

/// A socket, with or without TLS.
pub enum Wire {
    /// As it is.
    Plain(TcpStream),
    /// Inside TLS.
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    /// The socket below, for the poller.
    pub fn socket(&mut self) -> &mut TcpStream {
        match self {
            Wire::Plain(socket) => socket,
            Wire::Tls(tls) => &mut tls.sock,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(socket) => socket.read(into),
            Wire::Tls(tls) => tls.read(into),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(socket) => socket.write(bytes),
            Wire::Tls(tls) => tls.write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Plain(socket) => socket.flush(),
            Wire::Tls(tls) => tls.flush(),
        }
    }
}

/// Why a client is gone.
#[derive(Debug)]
pub struct Gone;

/// What a client said.
pub enum Inbound {
    /// An HTTP request.
    Request(Box<Request>),
    /// A text frame.
    Text(String),
    /// A ping frame; it is answered already.
    Ping,
    /// A pong frame with its payload.
    Pong(Vec<u8>),
}

/// A client that still speaks HTTP.
pub struct HttpWire {
    wire: Wire,
    unread: Vec<u8>,
    unsent: Vec<u8>,
    closing: bool,
}

impl HttpWire {
    /// Around a fresh socket.
    pub fn new(wire: Wire) -> HttpWire {
        HttpWire { wire, unread: Vec::new(), unsent: Vec::new(), closing: false }
    }

    /// The socket, for the poller.
    pub fn socket(&mut self) -> &mut TcpStream {
        self.wire.socket()
    }

    /// Reads what is there, up to a bound, and gives the whole requests in it.
    pub fn receive(&mut self, into: &mut Vec<Inbound>) -> Result<(), Gone> {
        let mut chunk = [0; 16 * 1024];
        let mut ended = false;
        for _ in 0..READS_MAX {
            match self.wire.read(&mut chunk) {
                Ok(0) => {
                    ended = true;
                    break;
                }
                Ok(got) => self.unread.extend_from_slice(&chunk[..got]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Gone),
            }
        }
        for _ in 0..MESSAGES_MAX {
            match http::parse(&self.unread) {
                Parsed::Partial => break,
                Parsed::Bad(status, text) => {
                    self.answer(&Response::text(status, text), false)?;
                    return Err(Gone);
                }
                Parsed::Whole(request, used) => {
                    self.unread.drain(..used);
                    let upgrade = request.upgrade_key.is_some();
                    into.push(Inbound::Request(request));
                    if upgrade {
                        break; // what follows are frames
                    }
                }
            }
        }
        self.closing |= ended; // after the answers
        if ended && into.is_empty() { Err(Gone) } else { Ok(()) }
    }

    /// Queues and tries to send one answer.
    pub fn answer(&mut self, response: &Response, keep_alive: bool) -> Result<(), Gone> {
        response.write(&mut self.unsent, keep_alive);
        self.closing |= !keep_alive;
        self.flush()
    }

    /// Sends what is queued, as far as the socket takes it.
    pub fn flush(&mut self) -> Result<(), Gone> {
        while !self.unsent.is_empty() {
            match self.wire.write(&self.unsent) {
                Ok(0) => return Err(Gone),
                Ok(sent) => {
                    self.unsent.drain(..sent);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return if self.unsent.len() > BACKLOG_BYTES_MAX { Err(Gone) } else { Ok(()) };
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Gone),
            }
        }
        match self.wire.flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(Gone),
            _ if self.closing => Err(Gone),
            _ => Ok(()),
        }
    }

    /// Answers 101 and goes on as a WebSocket.
    pub fn upgrade(mut self, key: &str) -> Result<WsWire, Gone> {
        http::write_upgrade(&mut self.unsent, key);
        self.flush()?;
        let config = WebSocketConfig::default()
            .read_buffer_size(8 * 1024) // tungstenite zeroes it on every read
            .write_buffer_size(0)
            .max_write_buffer_size(BACKLOG_BYTES_MAX)
            .max_message_size(Some(1024 * 1024));
        let socket = WebSocket::from_partially_read(self.wire, self.unread, Role::Server, Some(config));
        Ok(WsWire { socket })
    }
}

/// A client that speaks WebSocket.
pub struct WsWire {
    socket: WebSocket<Wire>,
}

impl WsWire {
    /// The socket, for the poller.
    pub fn socket(&mut self) -> &mut TcpStream {
        self.socket.get_mut().socket()
    }

    /// Reads what is there, up to a bound.
    pub fn receive(&mut self, into: &mut Vec<Inbound>) -> Result<(), Gone> {
        for _ in 0..MESSAGES_MAX {
            match self.socket.read() {
                Ok(Message::Text(text)) => into.push(Inbound::Text(text.as_str().to_owned())),
                Ok(Message::Pong(payload)) => into.push(Inbound::Pong(payload.to_vec())),
                Ok(Message::Ping(_)) => into.push(Inbound::Ping),
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) if into.is_empty() => return Err(Gone),
                Err(_) => return Ok(()), // handle what came before the end; the next read ends it
            }
        }
        Ok(())
    }

    /// Sends one text frame.
    pub fn text(&mut self, text: &str) -> Result<(), Gone> {
        self.send(Message::text(text))
    }
    /// Sends a ping with `payload`.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Gone> {
        self.send(Message::Ping(payload.to_vec().into()))
    }
    fn send(&mut self, message: Message) -> Result<(), Gone> {
        taken(self.socket.send(message))
    }
    /// Sends what is queued.
    pub fn flush(&mut self) -> Result<(), Gone> {
        taken(self.socket.flush())
    }
    /// Says goodbye; the socket closes when this is dropped.
    pub fn close(&mut self) {
        let _ = self.socket.close(None); // the other end may be gone already
        let _ = self.socket.flush(); // likewise
    }
}

fn taken(sent: tungstenite::Result<()>) -> Result<(), Gone> {
    match sent {
        Ok(()) => Ok(()),
        Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(_) => Err(Gone),
    }
}
