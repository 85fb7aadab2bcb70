//! The venue's end of one connection: a raw socket that never blocks, frames made by hand, TLS where asked.
//!
//! Thread: the venue's.  Invariants: no library between the socket and the clock but rustls for TLS; a broken
//! connection panics, because a measurement without its peer is none.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection};

/// Longest wait for the other side to connect and shake hands.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Bytes asked for in one read.
const READ_BYTES: usize = 16 << 10;

/// See the module.
pub struct Peer {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
    rx: Vec<u8>,
    /// Bytes of `rx` that are done with.
    used: usize,
    tx: Vec<u8>,
}

/// A door to knock at: a listening socket on a free port of 127.0.0.1.
pub fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("its address");
    (listener, addr)
}

impl Peer {
    /// Accepts one connection; TLS is set up with its first bytes.
    pub fn accept(listener: &TcpListener, tls: Option<&Arc<ServerConfig>>) -> Peer {
        let (socket, _) = listener.accept().expect("accept");
        socket.set_nodelay(true).expect("nodelay");
        socket.set_read_timeout(Some(HANDSHAKE_MAX)).expect("timeout");
        let tls = tls.map(|config| {
            let mut conn = ServerConnection::new(Arc::clone(config)).expect("TLS settings");
            while conn.is_handshaking() {
                conn.complete_io(&mut &socket).expect("TLS handshake");
            }
            while conn.wants_write() {
                conn.write_tls(&mut &socket).expect("session tickets");
            }
            Box::new(conn)
        });
        socket.set_nonblocking(true).expect("nonblocking");
        Peer { socket, tls, rx: Vec::with_capacity(4 * READ_BYTES), used: 0, tx: Vec::with_capacity(READ_BYTES) }
    }

    /// Answers the WebSocket upgrade.
    pub fn upgrade(&mut self) {
        let head = loop {
            let text = &self.rx[self.used..];
            if let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&text[..end]).into_owned();
                self.used += end + 4;
                break head;
            }
            self.read();
        };
        let key = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
        });
        let accept = tungstenite::handshake::derive_accept_key(key.expect("a WebSocket key").as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        self.write(answer.as_bytes());
    }

    /// Reads once without waiting. Output: bytes of text that came.
    pub fn read(&mut self) -> usize {
        if self.used == self.rx.len() {
            self.rx.clear();
            self.used = 0;
        }
        let before = self.rx.len();
        match &mut self.tls {
            None => {
                self.rx.resize(before + READ_BYTES, 0);
                let count = none_if_waiting(self.socket.read(&mut self.rx[before..])).unwrap_or(0);
                self.rx.truncate(before + count);
            }
            Some(conn) => {
                none_if_waiting(conn.read_tls(&mut self.socket)); // some may be here already, from the handshake
                let state = conn.process_new_packets().expect("TLS records");
                self.rx.resize(before + state.plaintext_bytes_to_read(), 0);
                conn.reader().read_exact(&mut self.rx[before..]).expect("plain text");
            }
        }
        self.rx.len() - before
    }

    /// Takes the next whole text message, unmasked in place; control frames are answered or dropped.
    pub fn next_text(&mut self) -> Option<&[u8]> {
        loop {
            let bytes = &self.rx[self.used..];
            let (&first, &second) = (bytes.first()?, bytes.get(1)?);
            let (head, len) = match second & 0x7f {
                126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
                127 => panic!("no request of ours is that long"),
                short => (2, usize::from(short)),
            };
            assert!(second & 0x80 != 0, "a client masks its frames");
            if bytes.len() < head + 4 + len {
                return None;
            }
            let from = self.used + head + 4;
            let (heads, payload) = self.rx.split_at_mut(from);
            let mask = &heads[from - 4..];
            for (at, byte) in payload[..len].iter_mut().enumerate() {
                *byte ^= mask[at % 4];
            }
            self.used = from + len;
            match first & 0x0f {
                1 => return Some(&self.rx[from..from + len]),
                9 => self.write(&[0x8a, 0]),
                8 => panic!("the client closed the connection"),
                _ => {}
            }
        }
    }

    /// True if a whole message may be waiting.
    pub fn has_bytes(&self) -> bool {
        self.used < self.rx.len()
    }

    /// The bytes that came and are not used up; they are used up then.
    pub fn take_raw(&mut self) -> &[u8] {
        let from = std::mem::replace(&mut self.used, self.rx.len());
        &self.rx[from..]
    }

    /// Puts a text frame together; [`Peer::flush`] sends it. Output: its length.
    pub fn prepare(&mut self, text: &str) -> usize {
        self.tx.clear();
        match text.len() {
            short @ 0..=125 => self.tx.extend_from_slice(&[0x81, short as u8]),
            long => {
                self.tx.extend_from_slice(&[0x81, 126]);
                self.tx.extend_from_slice(&u16::try_from(long).expect("a short frame").to_be_bytes());
            }
        }
        self.tx.extend_from_slice(text.as_bytes());
        self.tx.len()
    }

    /// Sends what was prepared.
    pub fn flush(&mut self) {
        let tx = std::mem::take(&mut self.tx);
        self.write(&tx);
        self.tx = tx;
    }

    /// Sends one text frame.
    pub fn send(&mut self, text: &str) {
        self.prepare(text);
        self.flush();
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            None => write_all(&mut self.socket, bytes),
            Some(conn) => {
                conn.writer().write_all(bytes).expect("TLS buffer");
                while conn.wants_write() {
                    none_if_waiting(conn.write_tls(&mut self.socket));
                }
            }
        }
    }
}

fn write_all(socket: &mut TcpStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let count = none_if_waiting(socket.write(bytes)).unwrap_or(0);
        bytes = &bytes[count..];
    }
}

/// The count; `None` where the socket has nothing now. A dead connection ends the run.
fn none_if_waiting(result: std::io::Result<usize>) -> Option<usize> {
    match result {
        Ok(0) => panic!("the other side closed the connection"),
        Ok(count) => Some(count),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => None,
        Err(error) => panic!("the connection broke: {error}"),
    }
}
