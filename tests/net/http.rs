//! The HTTP client against a server that answers by script.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustls::ServerConfig;
use sol_volume_bot::sys::net::{Endpoint, HttpClient, HttpError, Method, Request};
use sol_volume_bot::types::time::NANOS_PER_SEC;

use crate::certs::Ca;
use crate::peer::{net, wire};

/// One request as the server saw it: its line and its body.
type Seen = (String, String);

/// Reads one request; `None` at the end of the connection.
fn read_request(reader: &mut impl BufRead) -> Option<Seen> {
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok().filter(|&count| count > 0)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first.trim().to_owned(), String::from_utf8(body).expect("text")))
}

struct Scripted {
    base: String,
    connections: Arc<AtomicUsize>,
}

/// Answers request `n` of connection `m` by `script(m, n, request)`; an empty answer closes the connection.
fn server(
    tls: Option<Arc<ServerConfig>>,
    script: impl Fn(usize, usize, &Seen) -> String + Send + Sync + 'static,
) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let scheme = if tls.is_some() { "https" } else { "http" };
    let base = format!("{scheme}://{}/base/", listener.local_addr().expect("address"));
    let connections = Arc::new(AtomicUsize::new(0));
    let (count, script) = (Arc::clone(&connections), Arc::new(script));
    thread::spawn(move || {
        for (number, socket) in listener.incoming().enumerate() {
            count.fetch_add(1, Ordering::SeqCst);
            let (socket, tls, script): (TcpStream, _, _) = (socket.expect("accept"), tls.clone(), Arc::clone(&script));
            thread::spawn(move || {
                let mut reader = BufReader::new(wire(socket, tls.as_ref()));
                for turn in 0.. {
                    let Some(seen) = read_request(&mut reader) else { return };
                    let answer = script(number, turn, &seen);
                    if answer.is_empty() || reader.get_mut().write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                    let _ = reader.get_mut().flush();
                }
            });
        }
    });
    Scripted { base, connections }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nX-MBX-USED-WEIGHT-1M: 7\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

struct Client(HttpClient, sol_volume_bot::sys::clock::Clock);

impl Client {
    fn new(base: &str, ca: Option<&Ca>) -> Client {
        let net = net(ca);
        let clock = net.clock;
        Client(HttpClient::new(Endpoint::parse(base).expect(base), net, 100_000), clock)
    }

    /// Status and body, or the error's text.
    fn ask(&mut self, method: Method, path: &str, body: &str) -> Result<(u16, String, String), String> {
        let now = self.1.now();
        let deadline = now.plus(10 * NANOS_PER_SEC);
        let headers = [("X-MBX-APIKEY", "key")];
        let request = Request { method, path, headers: &headers, body: body.as_bytes(), deadline };
        self.0.request(&request, now).map_err(|error| error.to_string())?;
        loop {
            match self.0.turn(self.1.now()) {
                None => thread::yield_now(),
                Some(Err(error)) => return Err(error.to_string()),
                Some(Ok(answer)) => {
                    let weight = answer.header("x-mbx-used-weight-1m").unwrap_or_default().to_owned();
                    return Ok((answer.status, String::from_utf8_lossy(answer.body).into_owned(), weight));
                }
            }
        }
    }
}

#[test]
fn requests_share_one_kept_connection_plain_and_tls_whatever_their_framing() {
    let ca = Ca::new();
    for tls in [None, Some(ca.server(&[&rustls::version::TLS13])), Some(ca.server(&[&rustls::version::TLS12]))] {
        let served = server(tls, |_, turn, (line, body)| match turn % 3 {
            0 => ok(&format!("{line}|{body}")),
            1 => format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                body.len()
            ),
            _ => "HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n".to_owned(),
        });
        let mut client = Client::new(&served.base, Some(&ca));
        for _ in 0..3 {
            let answer = client.ask(Method::Get, "/api/v3/depth?symbol=SOLUSDT", "");
            let expected = "GET /base/api/v3/depth?symbol=SOLUSDT HTTP/1.1|".to_owned();
            assert_eq!(answer, Ok((200, expected, "7".to_owned())));
            let long = "y".repeat(70_000);
            assert_eq!(client.ask(Method::Post, "/order", &long), Ok((200, format!("abc{long}"), String::new())));
            assert_eq!(client.ask(Method::Delete, "/order", ""), Ok((418, String::new(), String::new())));
        }
        assert_eq!(served.connections.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn answer_longer_than_the_bound_is_refused_and_the_next_request_starts_afresh() {
    let served = server(None, |connection, _, _| ok(&"z".repeat(if connection == 0 { 100_001 } else { 100_000 })));
    let mut client = Client::new(&served.base, None);
    let error = client.ask(Method::Get, "/big", "").expect_err("too long");
    assert!(error.contains("longer than the bound"), "{error}");
    assert_eq!(client.ask(Method::Get, "/fits", "").expect("fits").1.len(), 100_000);
}

#[test]
fn kept_connection_that_died_repeats_a_get_once_but_never_a_post() {
    let dies_on_second = |connection: usize, turn: usize, _: &Seen| {
        if connection == 0 && turn == 1 { String::new() } else { ok("fine") }
    };
    for (method, good) in [(Method::Get, true), (Method::Post, false), (Method::Delete, false)] {
        let served = server(None, dies_on_second);
        let mut client = Client::new(&served.base, None);
        assert_eq!(client.ask(method, "/a", "").expect("first").1, "fine");
        let second = client.ask(method, "/b", "");
        assert_eq!(second.is_ok(), good, "{method:?}: {second:?}");
        assert_eq!(served.connections.load(Ordering::SeqCst), if good { 2 } else { 1 });
    }
}

#[test]
fn connection_that_the_peer_closes_is_not_used_again() {
    let served =
        server(None, |_, _, _| "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx".to_owned());
    let mut client = Client::new(&served.base, None);
    for _ in 0..3 {
        assert_eq!(client.ask(Method::Post, "/", "b").expect("fresh").1, "x");
    }
    assert_eq!(served.connections.load(Ordering::SeqCst), 3);
}

#[test]
fn request_without_an_answer_ends_at_its_deadline_and_names_the_host() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let mut client = Client::new(&format!("http://{address}"), None);
    let now = client.1.now();
    let deadline = now.plus(NANOS_PER_SEC);
    let request = Request { method: Method::Get, path: "/", headers: &[], body: b"", deadline };
    client.0.request(&request, now).expect("idle");
    assert!(matches!(client.0.request(&request, now), Err(HttpError::Busy)));
    assert!(client.0.next_deadline().is_some_and(|next| next <= deadline));
    assert!(client.0.turn(now).is_none());
    match client.0.turn(deadline) {
        Some(Err(error @ HttpError::TimedOut { .. })) => assert!(error.to_string().contains(&address.to_string())),
        other => panic!("expected a timeout, got {:?}", other.map(|answer| answer.is_ok())),
    }
    assert!(!client.0.is_busy());
}

#[test]
fn request_that_would_smuggle_a_header_is_not_sent() {
    let mut client = Client::new("http://127.0.0.1:9", None);
    for path in ["/a\r\nX: y", "/a b"] {
        let error = client.ask(Method::Get, path, "").expect_err(path);
        assert!(error.contains("not a request"), "{error}");
    }
}

#[test]
fn certificate_of_an_unknown_authority_is_refused_for_https_too() {
    let (ca, other) = (Ca::new(), Ca::new());
    let served = server(Some(other.server(&[&rustls::version::TLS13])), |_, _, _| ok("secret"));
    let error = Client::new(&served.base, Some(&ca)).ask(Method::Get, "/", "").expect_err("unknown");
    assert!(error.contains("unknown authority"), "{error}");
}
