//! One TCP connection, with TLS or without, that never blocks.
//!
//! Thread: that of its owner.  Invariants: one `write` per message while the peer keeps up; what the socket does not
//! take waits, in order and bounded; after warm-up neither direction allocates.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::client::UnbufferedClientConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, InsufficientSizeError, UnbufferedStatus};

use super::buffer::RxBuf;
use super::handler::SendError;
use super::record::{RECORD_HEAD_MAX, RECORD_OVERHEAD_MAX, RECORD_TEXT_MAX, RecordError, Records};
use super::tls::{TlsContext, describe_tls_error, server_name};
use super::ws::FRAME_HEAD_MAX;

/// Room before a message in the send buffer: for a WebSocket header, and before that a TLS record's.
pub(crate) const HEAD_ROOM: usize = RECORD_HEAD_MAX + FRAME_HEAD_MAX;
/// Memory of the send buffer at the start.
const SCRATCH_BYTES_FIRST: usize = 16 << 10;

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// TLS failed; the text names the peer and, for a certificate, what is wrong with it.
    #[error("{0}")]
    Tls(String),
    /// The peer closed the connection.
    #[error("closed by the peer")]
    Closed,
    /// More bytes than the bound without a whole message.
    #[error("a message is longer than {max} bytes")]
    TooLong {
        /// The bound.
        max: usize,
    },
}

/// How far a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Connecting,
    TlsHandshake,
    Ready,
}

enum Tls {
    None,
    Handshake(Box<UnbufferedClientConnection>),
    Open(Box<Records>),
}

/// The socket and its writing half.
pub(crate) struct Io {
    socket: TcpStream,
    tls: Tls,
    /// Taken from the sender, not yet by the socket.
    pending: Vec<u8>,
    scratch: Vec<u8>,
    backlog_max: usize,
    broken: Option<StreamError>,
}

/// A connection: received bytes on one side, the socket on the other.
pub(crate) struct Stream {
    pub(crate) rx: RxBuf,
    pub(crate) io: Io,
    host: String,
    message_max: usize,
    connected: bool,
}

/// What a stream is made with.
pub(crate) struct StreamConfig<'a> {
    /// Name for SNI and the certificate; `None` = no TLS.
    pub(crate) tls: Option<&'a TlsContext>,
    pub(crate) host: &'a str,
    pub(crate) message_max: usize,
    pub(crate) backlog_max: usize,
}

impl Stream {
    /// Begins to connect; the socket is registered where a poller is given.
    pub(crate) fn connect(
        addr: SocketAddr,
        config: &StreamConfig<'_>,
        poller: Option<(&Registry, Token)>,
    ) -> Result<Stream, StreamError> {
        let tls = match config.tls {
            None => Tls::None,
            Some(context) => {
                let name = server_name(config.host)
                    .ok_or_else(|| StreamError::Tls(format!("TLS with `{}`: not a name or address", config.host)))?;
                let conn = UnbufferedClientConnection::new(context.client_config(), name);
                Tls::Handshake(Box::new(conn.map_err(|e| StreamError::Tls(describe_tls_error(config.host, &e)))?))
            }
        };
        let mut socket = TcpStream::connect(addr)?;
        socket.set_nodelay(true)?;
        if let Some((registry, token)) = poller {
            registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        }
        let io = Io {
            socket,
            tls,
            pending: Vec::with_capacity(SCRATCH_BYTES_FIRST),
            scratch: Vec::with_capacity(SCRATCH_BYTES_FIRST),
            backlog_max: config.backlog_max,
            broken: None,
        };
        let (host, message_max) = (config.host.to_owned(), config.message_max);
        Ok(Stream { rx: RxBuf::new(message_max), io, host, message_max, connected: false })
    }

    /// Moves on towards ready.
    pub(crate) fn advance(&mut self) -> Result<Progress, StreamError> {
        if !self.connected {
            if let Some(error) = self.io.socket.take_error()? {
                return Err(error.into());
            }
            match self.io.socket.peer_addr() {
                Ok(_) => self.connected = true,
                Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(Progress::Connecting),
                Err(error) => return Err(error.into()),
            }
        }
        while matches!(self.io.tls, Tls::Handshake(_)) {
            let done = self.handshake_step()?;
            self.io.flush()?;
            if !done && self.fill()? == 0 {
                return Ok(Progress::TlsHandshake);
            }
        }
        Ok(Progress::Ready)
    }

    /// Reads once and opens what came. Output: bytes taken from the socket; 0 = none there now.
    pub(crate) fn read(&mut self) -> Result<usize, StreamError> {
        if let Tls::Open(records) = &self.io.tls
            && records.is_closed()
        {
            return Err(StreamError::Closed);
        }
        let count = self.fill()?;
        match self.open_records() {
            // What was opened before the bad record is good: the reader gets it, then the error.
            Err(error) if !self.rx.plain().is_empty() => self.io.broken = Some(error),
            result => result?,
        }
        Ok(count)
    }

    fn open_records(&mut self) -> Result<(), StreamError> {
        let Tls::Open(records) = &mut self.io.tls else { return Ok(()) };
        records.open(&mut self.rx, &mut self.io.pending).map_err(|error| tls_error(&self.host, &error))
    }

    fn fill(&mut self) -> Result<usize, StreamError> {
        let room = self.rx.room().ok_or(StreamError::TooLong { max: self.message_max })?;
        loop {
            match self.io.socket.read(room) {
                Ok(0) => return Err(StreamError::Closed),
                Ok(count) => {
                    self.rx.filled(count, matches!(self.io.tls, Tls::None));
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// One step of the TLS handshake with what has come so far. Output: whether it is done.
    fn handshake_step(&mut self) -> Result<bool, StreamError> {
        let Tls::Handshake(conn) = &mut self.io.tls else { return Ok(true) };
        let done = handshake(conn, &mut self.rx, &mut self.io.pending)
            .map_err(|error| StreamError::Tls(describe_tls_error(&self.host, &error)))?;
        if !done {
            return Ok(false);
        }
        if let Tls::Handshake(conn) = std::mem::replace(&mut self.io.tls, Tls::None) {
            let records = Records::take_over(*conn).map_err(|error| tls_error(&self.host, &error))?;
            self.io.tls = Tls::Open(Box::new(records));
        }
        self.open_records()?; // what came with the last handshake bytes
        Ok(true)
    }
}

fn tls_error(host: &str, error: &RecordError) -> StreamError {
    StreamError::Tls(format!("TLS with `{host}`: {error}"))
}

/// Runs rustls over the received records until it needs more; what it wants to send is appended to `out`.
fn handshake(conn: &mut UnbufferedClientConnection, rx: &mut RxBuf, out: &mut Vec<u8>) -> Result<bool, rustls::Error> {
    loop {
        let mut early = Vec::new();
        let UnbufferedStatus { discard, state } = conn.process_tls_records(rx.raw_mut());
        let mut finished = None;
        match state? {
            ConnectionState::EncodeTlsData(mut data) => {
                let at = out.len();
                if let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) =
                    data.encode(&mut [])
                {
                    out.resize(at + required_size, 0);
                    data.encode(&mut out[at..]).map_err(|error| rustls::Error::General(error.to_string()))?;
                }
            }
            ConnectionState::TransmitTlsData(data) => data.done(), // it is in `out`, which is sent in order
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    early.extend_from_slice(record?.payload);
                }
            }
            ConnectionState::WriteTraffic(_) => finished = Some(true),
            ConnectionState::PeerClosed | ConnectionState::Closed => {
                return Err(rustls::Error::General("the peer closed during the handshake".to_owned()));
            }
            _ => finished = Some(false),
        }
        rx.discard_raw(discard);
        rx.push_plain(&early);
        if let Some(done) = finished {
            return Ok(done);
        }
    }
}

impl Io {
    /// The send buffer, empty but for [`HEAD_ROOM`] bytes of room. Fill it, then [`Io::finish`].
    pub(crate) fn begin(&mut self) -> &mut Vec<u8> {
        self.scratch.clear();
        self.scratch.resize(HEAD_ROOM, 0);
        &mut self.scratch
    }

    /// The buffer of the message under way.
    pub(crate) fn message(&mut self) -> &mut Vec<u8> {
        &mut self.scratch
    }

    /// Sends the buffer from `start` (at least [`RECORD_HEAD_MAX`]) on, in one write if the socket takes it.
    pub(crate) fn finish(&mut self, start: usize) -> Result<(), SendError> {
        let len = self.scratch.len() - start;
        let records = len.div_ceil(RECORD_TEXT_MAX);
        if self.backlog() + len + records * RECORD_OVERHEAD_MAX > self.backlog_max {
            return Err(SendError::Full);
        }
        if self.broken.is_some() {
            return Err(SendError::NotOpen);
        }
        let start = match &mut self.tls {
            Tls::None => start,
            Tls::Handshake(_) => return Err(SendError::NotOpen),
            Tls::Open(records) if len <= RECORD_TEXT_MAX => match records.seal_data(&mut self.scratch, start) {
                Ok(start) => start,
                Err(error) => return Err(self.unusable(&error)),
            },
            Tls::Open(_) => return self.finish_long(start),
        };
        if self.backlog() > 0 {
            self.pending.extend_from_slice(&self.scratch[start..]);
            return self.flush().map(drop).map_err(|error| self.break_with(error));
        }
        match write_some(&mut self.socket, &self.scratch[start..]) {
            Ok(count) => {
                self.pending.extend_from_slice(&self.scratch[start + count..]);
                Ok(())
            }
            Err(error) => Err(self.break_with(error.into())),
        }
    }

    /// More than one record's worth: sealed piece by piece into the queue.
    fn finish_long(&mut self, start: usize) -> Result<(), SendError> {
        let Tls::Open(records) = &mut self.tls else { return Err(SendError::NotOpen) };
        let mut piece = Vec::with_capacity(RECORD_TEXT_MAX + RECORD_OVERHEAD_MAX);
        for text in self.scratch[start..].chunks(RECORD_TEXT_MAX) {
            piece.clear();
            piece.resize(RECORD_HEAD_MAX, 0);
            piece.extend_from_slice(text);
            match records.seal_data(&mut piece, RECORD_HEAD_MAX) {
                Ok(at) => self.pending.extend_from_slice(&piece[at..]),
                Err(error) => return Err(self.break_with(StreamError::Tls(error.to_string()))),
            }
        }
        self.flush().map(drop).map_err(|error| self.break_with(error))
    }

    /// Nothing of this message left, and nothing ever will.
    fn unusable(&mut self, error: &RecordError) -> SendError {
        self.broken = Some(StreamError::Tls(error.to_string()));
        SendError::NotOpen
    }

    fn break_with(&mut self, error: StreamError) -> SendError {
        self.broken = Some(error);
        SendError::Broken
    }

    /// Why sending failed, once; the owner must then let the connection go.
    pub(crate) fn take_broken(&mut self) -> Option<StreamError> {
        self.broken.take()
    }

    /// Bytes that wait for the socket.
    pub(crate) fn backlog(&self) -> usize {
        self.pending.len()
    }

    /// Sends what waits, as far as the socket takes it. Output: bytes that left.
    pub(crate) fn flush(&mut self) -> Result<usize, StreamError> {
        let mut left = 0;
        while left < self.pending.len() {
            match write_some(&mut self.socket, &self.pending[left..])? {
                0 => break,
                count => left += count,
            }
        }
        self.pending.drain(..left);
        Ok(left)
    }
}

/// One write; 0 where the socket takes nothing now.
fn write_some(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match socket.write(bytes) {
            Ok(0) if !bytes.is_empty() => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
