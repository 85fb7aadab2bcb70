//! HTTP/1.1 client: one request at a time over a kept connection, never blocking.
//!
//! Thread: that of the agent that owns it.  Invariants: a request ends in exactly one answer or error by its deadline;
//! only a GET is ever sent twice, and only where a kept connection died before a byte of the answer; answers are bounded.

use std::net::SocketAddr;

use mio::{Registry, Token};

use super::http_answer::Answer;
use super::resolver::{Lookup, ResolveError};
use super::stream::{HEAD_ROOM, Progress, Stream, StreamConfig, StreamError};
use super::{Endpoint, Net};
use crate::types::Time;
use crate::types::time::NANOS_PER_MILLI;

/// Tokens of the poller that one client uses.
pub const TOKENS_PER_CLIENT: usize = 1;
/// How often a name's answer is looked for.
const LOOKUP_POLL_NS: i64 = 5 * NANOS_PER_MILLI;
/// Longest request.
const REQUEST_BYTES_MAX: usize = 256 << 10;

/// Request method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Changes.
    Post,
    /// Removes.
    Delete,
    /// Replaces.
    Put,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
            Method::Put => "PUT",
        }
    }
}

/// One request. `path` is appended to the endpoint's own.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Method.
    pub method: Method,
    /// Path and query, beginning with `/` or `?`.
    pub path: &'a str,
    /// Further headers.
    pub headers: &'a [(&'a str, &'a str)],
    /// Body; empty for none.
    pub body: &'a [u8],
    /// When to give up.
    pub deadline: Time,
}

/// An answer, in place until the next `turn`.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// Status code.
    pub status: u16,
    /// Status line and headers as received.
    pub head: &'a [u8],
    /// Body, whole.
    pub body: &'a [u8],
    /// When its last byte was read.
    pub recv: Time,
}

impl Response<'_> {
    /// Value of a header, by name in any case; `None` where absent or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let text = str::from_utf8(self.head).ok()?;
        text.split("\r\n").skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// A request is on its way already. Nothing was sent.
    #[error("a request is already on its way")]
    Busy,
    /// A line break in a path or header, or a request longer than the bound. Nothing was sent.
    #[error("not a request that can be sent: {0}")]
    BadRequest(&'static str),
    /// No answer by the deadline: what the peer did is unknown.
    #[error("{host}: no answer by the deadline")]
    TimedOut {
        /// Whom.
        host: String,
    },
    /// The name has no address. Nothing was sent.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The connection failed or broke; once sent, what the peer did is unknown.
    #[error("{host}: {error}")]
    Stream {
        /// Whom.
        host: String,
        /// What.
        error: StreamError,
    },
    /// Not HTTP/1.1, or longer than the bound.
    #[error("{host}: bad answer: {reason}")]
    BadAnswer {
        /// Whom.
        host: String,
        /// What was wrong.
        reason: &'static str,
    },
    /// The connection budget is used up. Nothing was sent.
    #[error("too many connection attempts; allowed again in {after_ms} ms")]
    Budget {
        /// When to ask again.
        after_ms: i64,
    },
}

enum State {
    /// No request. A kept stream is watched for its end.
    Idle,
    Resolving(Lookup),
    Connecting,
    Waiting,
    /// An answer was handed out; its bytes go at the next turn.
    Answered,
}

/// A client of one endpoint.
pub struct HttpClient {
    endpoint: Endpoint,
    net: Net,
    answer_max: usize,
    poller: Option<(Registry, Token)>,
    state: State,
    stream: Option<Stream>,
    addrs: Vec<SocketAddr>,
    attempts: usize,
    /// The request under way, ready to be sent (again).
    request: Vec<u8>,
    is_get: bool,
    deadline: Time,
    turned: Time,
    /// The request went over a connection that had served before.
    reused: bool,
    answer: Answer,
    last_bytes: Time,
}

impl HttpClient {
    /// A client that has not connected yet; answers up to `answer_bytes_max`.
    pub fn new(endpoint: Endpoint, net: Net, answer_bytes_max: usize) -> HttpClient {
        HttpClient {
            endpoint,
            net,
            answer_max: answer_bytes_max,
            poller: None,
            state: State::Idle,
            stream: None,
            addrs: Vec::new(),
            attempts: 0,
            request: Vec::new(),
            is_get: false,
            deadline: Time::NONE,
            turned: Time::NONE,
            reused: false,
            answer: Answer::new(answer_bytes_max),
            last_bytes: Time::NONE,
        }
    }

    /// For an agent that parks: the client registers its sockets by itself under `token`. Edge-triggered, as
    /// [`super::Link::register`].
    pub fn register(&mut self, registry: &Registry, token: usize) -> std::io::Result<()> {
        self.poller = Some((registry.try_clone()?, Token(token)));
        Ok(())
    }

    /// Starts a request; [`HttpClient::turn`] brings its answer.
    pub fn request(&mut self, request: &Request<'_>, now: Time) -> Result<(), HttpError> {
        if self.is_busy() {
            return Err(HttpError::Busy);
        }
        self.clear_answer();
        self.write_request(request)?;
        self.is_get = request.method == Method::Get;
        self.deadline = request.deadline;
        self.turned = now;
        if self.stream.is_some() {
            self.reused = true;
            return self.send();
        }
        self.begin_connect(now)
    }

    /// True while a request has no answer yet.
    pub fn is_busy(&self) -> bool {
        !matches!(self.state, State::Idle | State::Answered)
    }

    /// Moves on; gives the answer or the error that ends the request, once.
    pub fn turn(&mut self, now: Time) -> Option<Result<Response<'_>, HttpError>> {
        self.turned = now;
        match self.step(now) {
            Ok(true) => {
                self.state = State::Answered;
                Some(Ok(self.response()))
            }
            Ok(false) if self.is_busy() && now >= self.deadline => {
                Some(Err(self.fail(HttpError::TimedOut { host: self.endpoint.to_string() })))
            }
            Ok(false) => None,
            Err(error) => Some(Err(self.fail(error))),
        }
    }

    /// When `turn` must be called next even if no socket is ready; `None` while idle.
    pub fn next_deadline(&self) -> Option<Time> {
        match self.state {
            State::Idle | State::Answered => None,
            State::Resolving(_) => Some(self.deadline.min(self.turned.plus(LOOKUP_POLL_NS))),
            State::Connecting | State::Waiting => Some(self.deadline),
        }
    }

    /// Output: whether the answer is whole.
    fn step(&mut self, now: Time) -> Result<bool, HttpError> {
        match &self.state {
            State::Answered => {
                self.clear_answer();
                Ok(false)
            }
            State::Idle => {
                self.watch_idle();
                Ok(false)
            }
            State::Resolving(lookup) => {
                let Some(found) = lookup.poll() else { return Ok(false) };
                self.addrs = found?;
                self.connect(now)?;
                Ok(false)
            }
            State::Connecting => {
                let Some(stream) = &mut self.stream else { return Ok(false) };
                if stream.advance().map_err(|error| self.stream_error(error))? == Progress::Ready {
                    self.send()?;
                }
                Ok(false)
            }
            State::Waiting => match self.receive() {
                Err(HttpError::Stream { error: StreamError::Closed | StreamError::Io(_), .. }) if self.may_retry() => {
                    self.stream = None;
                    self.begin_connect(now)?;
                    Ok(false)
                }
                result => result,
            },
        }
    }

    /// A peer closes a kept connection at the very moment a request leaves: harmless to repeat where it only reads.
    fn may_retry(&self) -> bool {
        self.reused && self.is_get && !self.answer.has_begun()
    }

    fn begin_connect(&mut self, now: Time) -> Result<(), HttpError> {
        self.net
            .budget
            .take(now)
            .map_err(|again| HttpError::Budget { after_ms: again.since(now) / NANOS_PER_MILLI })?;
        self.reused = false;
        self.state = State::Resolving(self.net.resolver.lookup(&self.endpoint.host, self.endpoint.port));
        Ok(())
    }

    fn connect(&mut self, now: Time) -> Result<(), HttpError> {
        let addr = self.addrs[self.attempts % self.addrs.len()];
        self.attempts = self.attempts.wrapping_add(1);
        let config = StreamConfig {
            tls: self.endpoint.tls.then_some(&self.net.tls),
            host: &self.endpoint.host,
            message_max: self.answer_max,
            backlog_max: 2 * REQUEST_BYTES_MAX,
        };
        let poller = self.poller.as_ref().map(|(registry, token)| (registry, *token));
        self.stream = Some(Stream::connect(addr, &config, poller).map_err(|error| self.stream_error(error))?);
        (self.state, self.last_bytes) = (State::Connecting, now);
        Ok(())
    }

    fn send(&mut self) -> Result<(), HttpError> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        stream.io.begin().extend_from_slice(&self.request);
        self.state = State::Waiting;
        // What went wrong is told by the next `receive`, which may try again.
        let _ = stream.io.finish(HEAD_ROOM);
        Ok(())
    }

    /// Reads what is there. Output: whether the answer is whole.
    fn receive(&mut self) -> Result<bool, HttpError> {
        let bad = |reason| HttpError::BadAnswer { host: self.endpoint.to_string(), reason };
        loop {
            let Some(stream) = &mut self.stream else { return Ok(false) };
            if let Some(error) = stream.io.take_broken() {
                return Err(self.stream_error(error));
            }
            if stream.io.backlog() > 0 {
                stream.io.flush().map_err(|error| self.stream_error(error))?;
            }
            let Some(stream) = &mut self.stream else { return Ok(false) };
            let used = self.answer.take(stream.rx.plain()).map_err(bad)?;
            stream.rx.consume(used);
            if self.answer.is_whole() {
                return Ok(true);
            }
            if stream.read().map_err(|error| self.stream_error(error))? == 0 {
                return Ok(false);
            }
            self.last_bytes = self.net.clock.now();
        }
    }

    fn response(&self) -> Response<'_> {
        let (status, head, body) = (self.answer.status(), self.answer.head(), self.answer.body());
        Response { status, head, body, recv: self.last_bytes }
    }

    /// The answer was seen: forget it, and the connection where it may not be kept.
    fn clear_answer(&mut self) {
        let more = self.stream.as_ref().is_some_and(|stream| !stream.rx.plain().is_empty());
        if more || !self.answer.keeps_alive() {
            self.stream = None;
        }
        self.answer.clear();
        self.state = State::Idle;
    }

    /// Between requests a peer has nothing to say: its end, or a byte of text, ends the connection.
    fn watch_idle(&mut self) {
        if let Some(stream) = &mut self.stream
            && (stream.read().is_err() || !stream.rx.plain().is_empty())
        {
            self.stream = None;
        }
    }

    fn fail(&mut self, error: HttpError) -> HttpError {
        (self.stream, self.state) = (None, State::Idle);
        self.answer.clear();
        error
    }

    fn stream_error(&self, error: StreamError) -> HttpError {
        HttpError::Stream { host: self.endpoint.to_string(), error }
    }

    fn write_request(&mut self, request: &Request<'_>) -> Result<(), HttpError> {
        let endpoint = self.endpoint.join(request.path);
        let host = self.endpoint.host_header();
        let texts = request.headers.iter().flat_map(|(name, value)| [*name, *value]);
        if texts.chain([request.path]).any(|text| text.bytes().any(|byte| byte < b' ' || byte == 0x7f)) {
            return Err(HttpError::BadRequest("a control character in the path or a header"));
        }
        if endpoint.path.contains(' ') {
            return Err(HttpError::BadRequest("a space in the path"));
        }
        let out = &mut self.request;
        out.clear();
        let mut put = |parts: &[&str]| parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
        put(&[request.method.name(), " ", &endpoint.path, " HTTP/1.1\r\nHost: ", &host, "\r\n"]);
        put(&["User-Agent: sol_volume_bot\r\nAccept-Encoding: identity\r\n"]);
        for (name, value) in request.headers {
            put(&[name, ": ", value, "\r\n"]);
        }
        if !request.body.is_empty() || request.method != Method::Get {
            put(&["Content-Length: ", &request.body.len().to_string(), "\r\n"]);
        }
        put(&["\r\n"]);
        out.extend_from_slice(request.body);
        if out.len() > REQUEST_BYTES_MAX {
            return Err(HttpError::BadRequest("longer than 256 KiB"));
        }
        Ok(())
    }
}
