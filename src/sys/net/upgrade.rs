//! The WebSocket handshake (RFC 6455 4.1), client side.
//!
//! Thread: any, cold.  Invariants: pure; the answer must prove that it was made for this request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::Endpoint;
use super::ws::WsError;

/// Longest answer head.
const HEAD_BYTES_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 64;
/// How much of a refusal's body is worth telling.
const BODY_SHOWN_MAX: usize = 200;
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The handshake of one connection.
pub(crate) struct Upgrade {
    key: String,
}

impl Upgrade {
    /// With a fresh `nonce`.
    pub(crate) fn new(nonce: [u8; 16]) -> Upgrade {
        Upgrade { key: STANDARD.encode(nonce) }
    }

    /// Appends the request.
    pub(crate) fn request(&self, endpoint: &Endpoint, headers: &[(String, String)], out: &mut Vec<u8>) {
        let mut line = |parts: [&str; 3]| {
            for part in parts {
                out.extend_from_slice(part.as_bytes());
            }
            out.extend_from_slice(b"\r\n");
        };
        line(["GET ", &endpoint.path, " HTTP/1.1"]);
        line(["Host: ", &endpoint.host_header(), ""]);
        line(["Upgrade: websocket", "\r\n", "Connection: Upgrade"]);
        line(["Sec-WebSocket-Key: ", &self.key, ""]);
        line(["Sec-WebSocket-Version: 13", "", ""]);
        for (name, value) in headers {
            line([name, ": ", value]);
        }
        line(["", "", ""]);
    }

    /// Judges the answer. Output: length of its head, `None` where it is not whole yet.
    pub(crate) fn answer(&self, bytes: &[u8]) -> Result<Option<usize>, WsError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let head = match response.parse(bytes) {
            Ok(httparse::Status::Complete(head)) => head,
            Ok(httparse::Status::Partial) if bytes.len() > HEAD_BYTES_MAX => {
                return Err(WsError::BadUpgrade("its head is too long"));
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(WsError::BadUpgrade("not HTTP/1.1")),
        };
        let header = |name: &str| {
            let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.and_then(|header| str::from_utf8(header.value).ok()).map_or("", str::trim)
        };
        let status = response.code.unwrap_or(0);
        if status != 101 {
            let body: Vec<u8> = bytes[head..].iter().copied().take(BODY_SHOWN_MAX).collect();
            let body = String::from_utf8_lossy(&body).replace(|letter: char| letter.is_control(), " ");
            return Err(WsError::Refused { status, retry_after_s: header("retry-after").parse().ok(), body });
        }
        if !header("upgrade").eq_ignore_ascii_case("websocket") {
            return Err(WsError::BadUpgrade("no `Upgrade: websocket`"));
        }
        if !header("connection").split(',').any(|word| word.trim().eq_ignore_ascii_case("upgrade")) {
            return Err(WsError::BadUpgrade("no `Connection: Upgrade`"));
        }
        if header("sec-websocket-accept") != accept(&self.key) {
            return Err(WsError::BadUpgrade("`Sec-WebSocket-Accept` does not fit our key"));
        }
        let extras = ["sec-websocket-extensions", "sec-websocket-protocol"];
        if extras.iter().any(|name| !header(name).is_empty()) {
            return Err(WsError::BadUpgrade("an extension or protocol that we did not ask for"));
        }
        Ok(Some(head))
    }
}

/// What a server must answer to `key`.
fn accept(key: &str) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    fn rfc() -> Upgrade {
        Upgrade::new(*b"the sample nonce")
    }

    #[test]
    fn request_is_what_the_rfc_shows_and_carries_our_headers() {
        let endpoint = Endpoint::parse("ws://server.example.com:8080/chat?a=b").expect("url");
        let mut out = Vec::new();
        rfc().request(&endpoint, &[("X-Key".to_owned(), "abc".to_owned())], &mut out);
        let expected = "GET /chat?a=b HTTP/1.1\r\nHost: server.example.com:8080\r\nUpgrade: websocket\r\n\
                        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                        Sec-WebSocket-Version: 13\r\nX-Key: abc\r\n\r\n";
        assert_eq!(String::from_utf8(out).expect("ASCII"), expected);
    }

    #[test]
    fn answer_made_for_our_key_is_taken_at_every_cut_and_its_head_measured() {
        let bytes = [GOOD.as_bytes(), b"\x81\x00"].concat();
        for cut in 0..GOOD.len() {
            assert_eq!(rfc().answer(&bytes[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(rfc().answer(&bytes), Ok(Some(GOOD.len())));
    }

    #[test]
    fn answer_that_is_none_of_ours_is_refused_with_its_reason() {
        for (from, to, word) in [
            ("s3pP", "xxxx", "does not fit our key"),
            ("WebSocket\r\nC", "h2c\r\nC", "Upgrade: websocket"),
            ("keep-alive, Upgrade", "close", "Connection: Upgrade"),
            ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", "did not ask"),
            ("HTTP/1.1", "ICY", "not HTTP"),
            ("101 Switching Protocols", "429 Slow\r\nRetry-After: 17", "HTTP 429"),
        ] {
            let error = rfc().answer(GOOD.replace(from, to).as_bytes()).expect_err(word);
            assert!(error.to_string().contains(word), "{error}");
            if let WsError::Refused { retry_after_s, .. } = error {
                assert_eq!(retry_after_s, Some(17));
            }
        }
    }
}
