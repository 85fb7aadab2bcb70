//! The ops port: metrics, health, readiness, status, and the operator's words.
//!
//! Thread: `ops-http`, two of them, unpinned.  Invariants: a GET changes nothing; a word needs POST and the token,
//! compared in constant time; no answer holds a secret; a slow reader holds up one thread, never an agent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::Sender;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tiny_http::{Header, Method, Request, Response, Server};

use super::operator::{Operator, Word};
use crate::sys::clock::Clock;
use crate::telemetry::{Board, Line, Metrics};

/// Threads that answer.
const THREADS: usize = 2;
/// How long a thread waits for a request before it looks at the stop flag.
const LOOK: Duration = Duration::from_millis(100);

/// What the port needs to know.
#[derive(Debug)]
pub struct OpsSettings {
    /// Address; port 0 = any free one.
    pub listen: SocketAddr,
    /// Guards every POST; `None` = every POST is refused.
    pub token: Option<SecretString>,
}

/// Why the port does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpsStartError {
    /// Taken, or not ours to take.
    #[error(
        "ops.listen = \"{listen}\": {why}; another program (or a second engine) listens there: stop it or choose another port"
    )]
    Bind {
        /// The address.
        listen: SocketAddr,
        /// The system's word.
        why: String,
    },
    /// The kernel refused a thread.
    #[error("ops port: no thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// The open port.
pub struct Ops {
    server: Arc<Server>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    addr: SocketAddr,
}

/// What a request is answered from.
struct Desk {
    token: Option<SecretString>,
    clock: Clock,
    metrics: Arc<Metrics>,
    board: Arc<Board>,
    operator: Operator,
    lines: Sender<Line>,
}

impl Ops {
    /// Opens the port.
    pub fn start(
        settings: OpsSettings,
        clock: Clock,
        told: (Arc<Metrics>, Arc<Board>),
        operator: Operator,
        lines: Sender<Line>,
    ) -> Result<Ops, OpsStartError> {
        let listen = settings.listen;
        let server = Server::http(listen).map_err(|why| OpsStartError::Bind { listen, why: why.to_string() })?;
        let server = Arc::new(server);
        let addr = server.server_addr().to_ip().unwrap_or(listen);
        let stop = Arc::new(AtomicBool::new(false));
        let desk = Arc::new(Desk { token: settings.token, clock, metrics: told.0, board: told.1, operator, lines });
        let mut threads = Vec::new();
        for _ in 0..THREADS {
            let (server, stop, desk) = (Arc::clone(&server), Arc::clone(&stop), Arc::clone(&desk));
            threads.push(std::thread::Builder::new().name("ops-http".to_owned()).spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    // pairs with the Release in `stop`
                    if let Ok(Some(request)) = server.recv_timeout(LOOK) {
                        desk.answer(request);
                    }
                }
            })?);
        }
        Ok(Ops { server, stop, threads, addr })
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Closes the port.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.server.unblock();
        self.threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

impl std::fmt::Debug for Ops {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Ops({})", self.addr)
    }
}

/// Status, content type, body.
struct Answer(u16, &'static str, String);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Answer {
    fn fault(status: u16, why: &str) -> Answer {
        Answer(status, JSON, json!({ "error": why }).to_string())
    }
}

impl Desk {
    fn answer(&self, request: Request) {
        let path = request.url().split('?').next().unwrap_or_default().to_owned();
        let Answer(status, kind, body) = match (request.method(), word(&path)) {
            (Method::Post, Some(word)) => self.obey(&request, word),
            (_, Some(_)) => Answer::fault(405, "use POST with the token"),
            (Method::Get | Method::Head, None) => self.tell(&path),
            (_, None) => Answer::fault(405, "use GET"),
        };
        let mut response = Response::from_string(body).with_status_code(status);
        let headers = [
            ("Content-Type", kind),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
        ];
        for (name, value) in headers {
            if let Ok(header) = Header::from_bytes(name, value) {
                response.add_header(header);
            }
        }
        let _ = request.respond(response); // the asker hung up: nothing to do about it
    }

    fn tell(&self, path: &str) -> Answer {
        let now = self.clock.now();
        match path {
            "/metrics" => Answer(200, PROMETHEUS, self.metrics.render()),
            "/healthz" => Answer(200, TEXT, "ok\n".to_owned()),
            "/readyz" => {
                let (ready, body) = self.board.read().readyz(now);
                Answer(if ready { 200 } else { 503 }, JSON, body)
            }
            "/api/status" => Answer(200, JSON, self.board.read().json(now).to_string()),
            "/" => Answer(200, HTML, page(&self.board.read().json(now))),
            _ => Answer::fault(
                404,
                "unknown path; there are /, /metrics, /healthz, /readyz, /api/status and POST /api/{pause,resume,flatten,kill}",
            ),
        }
    }

    fn obey(&self, request: &Request, word: Word) -> Answer {
        let Some(token) = &self.token else {
            return Answer::fault(
                403,
                "no token is configured: set ops.token to the name of a variable in .env and restart",
            );
        };
        let given = request.headers().iter().find(|header| header.field.equiv("Authorization"));
        let given = given.and_then(|header| header.value.as_str().strip_prefix("Bearer "));
        if !given.is_some_and(|given| same(given, token.expose_secret())) {
            let line =
                Line::warn(self.clock.now(), "UNAUTHORIZED", format!("{} refused: no or wrong token", word.name()));
            let _ = self.lines.try_send(line); // a full log channel is the log's own fault to tell
            return Answer::fault(401, "send the token: Authorization: Bearer <token>");
        }
        match self.operator.obey(word) {
            Ok(answer) => Answer(202, JSON, answer.to_string()),
            Err(why) => Answer::fault(503, &why.to_string()),
        }
    }
}

/// The operator's word that a path stands for.
fn word(path: &str) -> Option<Word> {
    Word::of_name(path.strip_prefix("/api/")?)
}

/// Compares digests, so that the time taken tells neither length nor content.
fn same(given: &str, token: &str) -> bool {
    let digest = |text: &str| ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let (given, token) = (digest(given), digest(token));
    let differing = given.as_ref().iter().zip(token.as_ref()).fold(0, |bits, (a, b)| bits | (a ^ b));
    std::hint::black_box(differing) == 0
}

/// The status as a page without scripts.
fn page(status: &serde_json::Value) -> String {
    let text = serde_json::to_string_pretty(status).unwrap_or_default();
    let text = crate::telemetry::alerts::escape(&text);
    format!(
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=2><title>sol_volume_bot</title>\
         <style>body{{font:14px monospace;margin:2em}}</style><h1>sol_volume_bot</h1><pre>{text}</pre>"
    )
}
