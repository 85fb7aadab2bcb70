//! One HTTP/1.1 answer, taken from bytes as they come.
//!
//! Thread: any.  Invariants: pure; any input gives an answer or a reason, never a panic; how bytes were cut on their way
//! changes nothing; head and body stay within their bounds; memory is kept from answer to answer.

/// Longest head.
const HEAD_BYTES_MAX: usize = 32 << 10;
const HEADERS_MAX: usize = 96;
/// Longest line that says a chunk's size.
const CHUNK_LINE_MAX: usize = 256;

/// How the end of the body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// The head has not come yet.
    Head,
    /// So many bytes are still to come.
    Length(usize),
    /// A line with the size of a chunk comes.
    ChunkLine,
    /// So many bytes of this chunk, then its line end.
    Chunk(usize),
    /// Header lines after the last chunk, to an empty one.
    Trailer,
    /// All there.
    Whole,
}

/// See the module.
pub(super) struct Answer {
    body_max: usize,
    framing: Framing,
    status: u16,
    keep_alive: bool,
    begun: bool,
    head: Vec<u8>,
    body: Vec<u8>,
}

/// What a head says about the rest.
struct Parsed {
    len: usize,
    status: u16,
    keep_alive: bool,
    framing: Framing,
}

impl Answer {
    /// Bodies of up to `body_max` bytes.
    pub(super) fn new(body_max: usize) -> Answer {
        let (head, body) = (Vec::new(), Vec::new());
        Answer { body_max, framing: Framing::Head, status: 0, keep_alive: true, begun: false, head, body }
    }

    /// Ready for the next one.
    pub(super) fn clear(&mut self) {
        (self.framing, self.status, self.keep_alive, self.begun) = (Framing::Head, 0, true, false);
        self.head.clear();
        self.body.clear();
    }

    /// Takes what it can of `bytes`. Output: how many it took; what is left must be offered again, with more behind it.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, &'static str> {
        let mut at = 0;
        self.begun |= !bytes.is_empty();
        while self.framing != Framing::Whole {
            let rest = &bytes[at..];
            let Some(used) = self.take_some(rest)? else { break };
            at += used;
        }
        Ok(at)
    }

    /// One step; `None` where more bytes are needed.
    fn take_some(&mut self, rest: &[u8]) -> Result<Option<usize>, &'static str> {
        match self.framing {
            Framing::Head => self.take_head(rest),
            Framing::Length(0) => {
                self.framing = Framing::Whole;
                Ok(Some(0))
            }
            Framing::Length(_) | Framing::Chunk(1..) if rest.is_empty() => Ok(None),
            Framing::Length(left) => {
                let used = self.keep(rest, left)?;
                self.framing = Framing::Length(left - used);
                Ok(Some(used))
            }
            Framing::Chunk(0) => match rest {
                [b'\r', b'\n', ..] => {
                    self.framing = Framing::ChunkLine;
                    Ok(Some(2))
                }
                [] | [b'\r'] => Ok(None),
                _ => Err("a chunk does not end where it said"),
            },
            Framing::Chunk(left) => {
                let used = self.keep(rest, left)?;
                self.framing = Framing::Chunk(left - used);
                Ok(Some(used))
            }
            Framing::ChunkLine => {
                let Some(line) = line(rest)? else { return Ok(None) };
                let size = chunk_size(line)?;
                self.framing = if size == 0 { Framing::Trailer } else { Framing::Chunk(size) };
                Ok(Some(line.len() + 2))
            }
            Framing::Trailer => {
                let Some(line) = line(rest)? else { return Ok(None) };
                if line.is_empty() {
                    self.framing = Framing::Whole;
                }
                Ok(Some(line.len() + 2))
            }
            Framing::Whole => Ok(None),
        }
    }

    /// Appends up to `left` bytes to the body.
    fn keep(&mut self, rest: &[u8], left: usize) -> Result<usize, &'static str> {
        let used = rest.len().min(left);
        if self.body.len() + used > self.body_max {
            return Err("its body is longer than the bound");
        }
        self.body.extend_from_slice(&rest[..used]);
        Ok(used)
    }

    fn take_head(&mut self, rest: &[u8]) -> Result<Option<usize>, &'static str> {
        let Some(parsed) = parse_head(rest)? else { return Ok(None) };
        if matches!(parsed.status, 100..=199) {
            return Ok(Some(parsed.len)); // an interim answer: the real one follows
        }
        if matches!(parsed.framing, Framing::Length(len) if len > self.body_max) {
            return Err("its body is longer than the bound");
        }
        self.head.extend_from_slice(&rest[..parsed.len]);
        (self.status, self.keep_alive, self.framing) = (parsed.status, parsed.keep_alive, parsed.framing);
        Ok(Some(parsed.len))
    }

    /// True once all of it came.
    pub(super) fn is_whole(&self) -> bool {
        self.framing == Framing::Whole
    }

    /// True once a byte of it came.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// False where the peer said that it closes the connection.
    pub(super) fn keeps_alive(&self) -> bool {
        self.keep_alive
    }

    /// Status code.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// Status line and headers.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Body so far.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }
}

fn parse_head(rest: &[u8]) -> Result<Option<Parsed>, &'static str> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let len = match response.parse(rest) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if rest.len() > HEAD_BYTES_MAX => return Err("its head is too long"),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err("not HTTP/1.1"),
    };
    let status = response.code.unwrap_or(0);
    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| str::from_utf8(header.value).ok()).map(str::trim)
    };
    let said_close = header("connection").is_some_and(|text| text.eq_ignore_ascii_case("close"));
    let keep_alive = response.version == Some(1) && !said_close;
    let framing = match (header("transfer-encoding"), header("content-length")) {
        _ if matches!(status, 100..=199 | 204 | 304) => Framing::Whole,
        (Some(_), Some(_)) => return Err("two contradicting lengths"),
        (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Framing::ChunkLine,
        (Some(_), None) => return Err("a transfer coding that we did not ask for"),
        (None, Some(text)) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Framing::Length(text.parse().map_err(|_| "a length that does not fit")?)
        }
        (None, Some(_)) => return Err("a length that is no number"),
        (None, None) => return Err("neither Content-Length nor chunked"),
    };
    Ok(Some(Parsed { len, status, keep_alive, framing }))
}

/// The first line without its end; `None` where it is not whole yet.
fn line(rest: &[u8]) -> Result<Option<&[u8]>, &'static str> {
    match rest.windows(2).take(CHUNK_LINE_MAX).position(|pair| pair == b"\r\n") {
        Some(end) => Ok(Some(&rest[..end])),
        None if rest.len() > CHUNK_LINE_MAX => Err("a line between chunks is too long"),
        None => Ok(None),
    }
}

/// Hexadecimal, then perhaps an extension.
fn chunk_size(line: &[u8]) -> Result<usize, &'static str> {
    let digits = line.split(|&byte| byte == b';' || byte == b' ').next().unwrap_or_default();
    let text = str::from_utf8(digits).map_err(|_| "a chunk size that is no number")?;
    if text.is_empty() || text.len() > 8 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("a chunk size that is no number");
    }
    usize::from_str_radix(text, 16).map_err(|_| "a chunk size that is no number")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` cut into pieces of `cut` bytes.
    fn feed(bytes: &[u8], cut: usize) -> Result<Answer, &'static str> {
        let mut answer = Answer::new(64);
        let mut held = Vec::new();
        for piece in bytes.chunks(cut) {
            held.extend_from_slice(piece);
            let used = answer.take(&held)?;
            held.drain(..used);
        }
        Ok(answer)
    }

    #[test]
    fn answers_are_the_same_however_their_bytes_were_cut() {
        let cases: [(&str, u16, &str, bool); 6] = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true),
            ("HTTP/1.1 429 \r\ncontent-length: 0\r\nConnection: close\r\n\r\n", 429, "", false),
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, "", true),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n, everyone\r\n0\r\n\r\n",
                200,
                "hello, everyone",
                true,
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n\r\n", 200, "", true),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", false),
        ];
        for (text, status, body, keep_alive) in cases {
            for cut in 1..=text.len() {
                let answer = feed(text.as_bytes(), cut).expect(text);
                assert!(answer.is_whole(), "{text} cut by {cut}");
                assert_eq!(
                    (answer.status(), answer.body(), answer.keeps_alive()),
                    (status, body.as_bytes(), keep_alive)
                );
            }
        }
    }

    #[test]
    fn answers_that_are_none_are_refused_with_their_reason() {
        for (text, word) in [
            ("SSH-2.0\r\n\r\n", "not HTTP"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n", "longer than the bound"),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "no number"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n", "does not fit"),
            ("HTTP/1.1 200 OK\r\n\r\n", "neither"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "contradicting"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "did not ask"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "no number"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", "does not end"),
        ] {
            for cut in [1, 7, text.len()] {
                assert!(feed(text.as_bytes(), cut).err().is_some_and(|error| error.contains(word)), "{text}");
            }
        }
        let endless = [&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..], &[b'1'; 300]].concat();
        assert!(feed(&endless, 10).is_err(), "a chunk line without an end");
        let chunks =
            [&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..], &b"8\r\n12345678\r\n".repeat(9)].concat();
        assert!(feed(&chunks, 10).is_err(), "chunks that pass the bound together");
    }
}
