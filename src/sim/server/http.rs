//! HTTP/1.1 as the built-in venues speak it: one request in, one answer out, the connection kept.
//!
//! Thread: any; no socket in here.  Invariants: a request is taken whole or not at all; heads and bodies are bounded;
//! what cannot be understood ends the connection with an answer that says why.

/// Largest head taken.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Largest body taken.
const BODY_BYTES_MAX: usize = 1024 * 1024;
const HEADERS_MAX: usize = 64;

/// The verb of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Reads.
    Get,
    /// Does.
    Post,
    /// Changes.
    Put,
    /// Takes back.
    Delete,
}

/// One whole request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Verb.
    pub verb: Verb,
    /// Path without the query, as sent.
    pub path: String,
    /// Query without the `?`, as sent; empty if none.
    pub query: String,
    /// Header `X-MBX-APIKEY`.
    pub api_key: Option<String>,
    /// Header `Sec-WebSocket-Key`, if this asks for a WebSocket.
    pub upgrade_key: Option<String>,
    /// Body, as sent.
    pub body: Vec<u8>,
    /// Whether the connection stays open after the answer.
    pub keep_alive: bool,
}

/// What the bytes so far are.
pub enum Parsed {
    /// Not yet whole.
    Partial,
    /// Never will be: answer with this status and text, then close.
    Bad(u16, &'static str),
    /// One request and how many bytes it took.
    Whole(Box<Request>, usize),
}

/// Takes one request from the front of `bytes`.
pub fn parse(bytes: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let head_len = match head.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if bytes.len() <= HEAD_BYTES_MAX => return Parsed::Partial,
        Ok(httparse::Status::Partial) => return Parsed::Bad(431, "request head larger than 16 KiB"),
        Err(_) => return Parsed::Bad(400, "not an HTTP/1.1 request"),
    };
    let verb = match head.method {
        Some("GET") => Verb::Get,
        Some("POST") => Verb::Post,
        Some("PUT") => Verb::Put,
        Some("DELETE") => Verb::Delete,
        _ => return Parsed::Bad(405, "only GET, POST, PUT and DELETE are known here"),
    };
    let target = head.path.unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        verb,
        path: path.to_owned(),
        query: query.to_owned(),
        api_key: None,
        upgrade_key: None,
        body: Vec::new(),
        keep_alive: head.version == Some(1),
    };
    let mut body_len = 0;
    let mut upgrade = false;
    for header in head.headers.iter() {
        let value = String::from_utf8_lossy(header.value);
        let value = value.trim();
        match header.name.to_ascii_lowercase().as_str() {
            "content-length" => match value.parse::<usize>() {
                Ok(len) if len <= BODY_BYTES_MAX => body_len = len,
                _ => return Parsed::Bad(413, "body length not a number up to 1 MiB"),
            },
            "transfer-encoding" => return Parsed::Bad(411, "chunked bodies are not taken; send Content-Length"),
            "x-mbx-apikey" => request.api_key = Some(value.to_owned()),
            "sec-websocket-key" => request.upgrade_key = Some(value.to_owned()),
            "upgrade" => upgrade = value.eq_ignore_ascii_case("websocket"),
            "connection" if value.eq_ignore_ascii_case("close") => request.keep_alive = false,
            _ => {}
        }
    }
    if !upgrade {
        request.upgrade_key = None;
    }
    let Some(body) = bytes.get(head_len..head_len + body_len) else { return Parsed::Partial };
    request.body = body.to_vec();
    Parsed::Whole(Box::new(request), head_len + body_len)
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: String,
}

impl Response {
    /// A JSON body.
    pub fn json(status: u16, body: String) -> Response {
        Response { status, content_type: "application/json;charset=UTF-8", headers: Vec::new(), body }
    }
    /// A plain text.
    pub fn text(status: u16, body: &str) -> Response {
        Response { status, content_type: "text/plain", headers: Vec::new(), body: body.to_owned() }
    }
    /// An HTML page: what gateways answer when they are unwell.
    pub fn html(status: u16, body: &str) -> Response {
        Response { status, content_type: "text/html", headers: Vec::new(), body: body.to_owned() }
    }
    /// With one more header.
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Response {
        self.headers.push((name, value.to_string()));
        self
    }
    /// Writes the answer behind what `out` holds.
    pub fn write(&self, out: &mut Vec<u8>, keep_alive: bool) {
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: {connection}\r\n",
            self.status,
            reason(self.status),
            self.content_type,
            self.body.len()
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(self.body.as_bytes());
    }
}

/// The answer that turns a connection into a WebSocket.
pub fn write_upgrade(out: &mut Vec<u8>, key: &str) {
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    out.extend_from_slice(head.as_bytes());
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        413 => "Content Too Large",
        418 => "I'm a teapot",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Unknown",
    }
}

/// Undoes percent-encoding and `+`; bytes that are not UTF-8 become replacement characters.
pub fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = || text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (*byte, hex()) {
            (b'%', Some(decoded)) => {
                out.push(decoded);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_whole_or_not_at_all() {
        let bytes = b"POST /api/v3/order?a=1 HTTP/1.1\r\nX-MBX-APIKEY: k\r\nContent-Length: 3\r\n\r\nb=2GET ";
        for cut in 0..bytes.len() - 4 {
            assert!(matches!(parse(&bytes[..cut]), Parsed::Partial), "cut at {cut}");
        }
        let Parsed::Whole(request, used) = parse(bytes) else { panic!("not whole") };
        assert_eq!((used, request.query.as_str(), request.body.as_slice()), (bytes.len() - 4, "a=1", &b"b=2"[..]));
        assert_eq!((request.verb, request.api_key.as_deref(), request.keep_alive), (Verb::Post, Some("k"), true));
    }

    #[test]
    fn percent_decoding_survives_cut_and_false_escapes() {
        assert_eq!(percent_decode("a%2Bb%3d+c"), "a+b= c");
        assert_eq!(percent_decode("%"), "%");
        assert_eq!(percent_decode("%zz%4"), "%zz%4");
    }
}
