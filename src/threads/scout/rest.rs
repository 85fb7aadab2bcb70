//! A post's REST client: one request at a time, its failures in one word.
//!
//! Runs on: the scout's thread.  Invariants: never blocks; a request that cannot be sent counts as failed at once; an
//! address that may hold a key is never logged.

use crate::sys::net::{HttpClient, Method, Request, Response};
use crate::types::Time;
use crate::types::time::NANOS_PER_SEC;
use mio::Registry;
use std::io;

/// Longest wait for an answer.
const TIMEOUT_NS: i64 = 10 * NANOS_PER_SEC;

/// One client with the words for the log.
pub struct Rest {
    client: HttpClient,
    name: &'static str,
    /// Sent with every request: the key of a plan.
    header: Option<(&'static str, String)>,
}

impl Rest {
    /// `name` stands in the log.
    pub fn new(client: HttpClient, name: &'static str, header: Option<(&'static str, String)>) -> Rest {
        Rest { client, name, header }
    }
    /// Tells the poller.
    pub fn register(&mut self, registry: &Registry, token: usize) -> io::Result<usize> {
        self.client.register(registry, token)?;
        Ok(token + 1)
    }
    /// True while a request has no answer yet.
    pub fn is_busy(&self) -> bool {
        self.client.is_busy()
    }
    /// When it must be looked at.
    pub fn deadline(&self) -> Time {
        self.client.next_deadline().unwrap_or(Time(i64::MAX))
    }
    /// Asks by GET. Output: false = it could not be sent.
    pub fn get(&mut self, path: &str, now: Time) -> bool {
        self.send(Method::Get, path, b"", now)
    }
    /// Posts a JSON body. Output: false = it could not be sent.
    pub fn post(&mut self, body: &[u8], now: Time) -> bool {
        self.send(Method::Post, "", body, now)
    }

    fn send(&mut self, method: Method, path: &str, body: &[u8], now: Time) -> bool {
        let json = [("Content-Type", "application/json")];
        let key = self.header.as_ref().map(|(name, value)| (*name, value.as_str()));
        let mut headers = Vec::with_capacity(2);
        headers.extend(json.iter().filter(|_| !body.is_empty()).copied());
        headers.extend(key);
        let request = Request { method, path, headers: &headers, body, deadline: now.plus(TIMEOUT_NS) };
        let sent = self.client.request(&request, now);
        if let Err(why) = &sent {
            log::warn!("{}: the request was not sent: {why}", self.name);
        }
        sent.is_ok()
    }

    /// Moves on; the answer that ends the request, or `Err` if there is none, once.
    pub fn turn(&mut self, now: Time) -> Option<Result<Response<'_>, ()>> {
        let answer = self.client.turn(now)?;
        Some(answer.map_err(|why| log::warn!("{}: no answer: {why}", self.name)))
    }
}
