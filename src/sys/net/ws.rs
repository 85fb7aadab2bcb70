//! WebSocket frames (RFC 6455), client side: received ones walked in place, sent ones built in place.
//!
//! Thread: any.  Invariants: pure; any input gives messages or a [`WsError`], never a panic; how bytes were cut on their
//! way changes nothing; an unfragmented message is handed out where it was received, without a copy. Whether text is
//! UTF-8 is the decoder's to judge: it reads every byte anyway.

/// Longest frame header we send: two bytes, a 64-bit length, a mask.
pub const FRAME_HEAD_MAX: usize = 14;
/// Longest payload of a control frame.
pub const CONTROL_BYTES_MAX: usize = 125;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

/// Frame types we send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// A text message.
    Text = 1,
    /// A binary message.
    Binary = 2,
    /// The end, with a code and a reason.
    Close = 8,
    /// Are you there?
    Ping = 9,
    /// I am.
    Pong = 10,
}

/// How a peer broke the protocol, refused the upgrade, or ended the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WsError {
    /// The peer closed, with its code and reason.
    #[error("closed by the peer: code {code} {reason}")]
    Closed {
        /// RFC 6455 7.4; 1005 where none was sent.
        code: u16,
        /// Its text.
        reason: String,
    },
    /// Against the protocol.
    #[error("WebSocket protocol broken: {0}")]
    Protocol(&'static str),
    /// A message longer than the bound.
    #[error("a message is longer than {max} bytes")]
    TooLong {
        /// The bound.
        max: usize,
    },
    /// The upgrade was answered with another status.
    #[error("upgrade refused: HTTP {status} {body}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// `Retry-After`, seconds.
        retry_after_s: Option<u32>,
        /// Beginning of the body.
        body: String,
    },
    /// The answer to the upgrade is not one.
    #[error("bad upgrade answer: {0}")]
    BadUpgrade(&'static str),
}

/// One whole message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Text, not checked for UTF-8.
    Text(&'a [u8]),
    /// Binary.
    Binary(&'a [u8]),
    /// To be answered by a pong with the same payload.
    Ping(&'a [u8]),
    /// An answer to a ping.
    Pong(&'a [u8]),
    /// The peer ends the connection.
    Close {
        /// RFC 6455 7.4; 1005 where none was sent.
        code: u16,
        /// UTF-8.
        reason: &'a str,
    },
}

/// One frame's worth of progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// Bytes of the input that are done with.
    pub used: usize,
    /// The message that ended with this frame; `None` after a fragment that is not the last.
    pub message: Option<Message<'a>>,
}

/// Walks received frames.
pub struct Walker {
    message_max: usize,
    fragments: Vec<u8>,
    /// Of the fragmented message under way.
    opcode: Option<u8>,
}

impl Walker {
    /// Accepts messages of up to `message_max` bytes.
    pub fn new(message_max: usize) -> Walker {
        Walker { message_max, fragments: Vec::new(), opcode: None }
    }

    /// Takes the first frame of `bytes`; `None` where it is not whole yet.
    pub fn step<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Option<Step<'a>>, WsError> {
        let Some((frame, used)) = parse(bytes, self.message_max)? else { return Ok(None) };
        let message = match frame.opcode {
            8..=10 => Some(control(&frame)?),
            0..=2 => self.data(&frame)?,
            _ => return Err(WsError::Protocol("an opcode that is not defined")),
        };
        Ok(Some(Step { used, message }))
    }

    fn data<'a>(&'a mut self, frame: &Frame<'a>) -> Result<Option<Message<'a>>, WsError> {
        let opcode = match (frame.opcode, self.opcode) {
            (0, None) => return Err(WsError::Protocol("a continuation of nothing")),
            (0, Some(begun)) => begun,
            (_, Some(_)) => return Err(WsError::Protocol("a new message inside a fragmented one")),
            (opcode, None) if frame.fin => return Ok(Some(whole(opcode, frame.payload))),
            (opcode, None) => {
                self.fragments.clear();
                opcode
            }
        };
        if self.fragments.len() + frame.payload.len() > self.message_max {
            return Err(WsError::TooLong { max: self.message_max });
        }
        self.fragments.extend_from_slice(frame.payload);
        self.opcode = (!frame.fin).then_some(opcode);
        Ok(frame.fin.then(|| whole(opcode, &self.fragments)))
    }
}

fn whole(opcode: u8, payload: &[u8]) -> Message<'_> {
    if opcode == Opcode::Text as u8 { Message::Text(payload) } else { Message::Binary(payload) }
}

struct Frame<'a> {
    fin: bool,
    opcode: u8,
    payload: &'a [u8],
}

/// Header and payload of the first frame, and its length; `None` where it is not whole yet.
fn parse(bytes: &[u8], message_max: usize) -> Result<Option<(Frame<'_>, usize)>, WsError> {
    let Some(&[first, second]) = bytes.first_chunk::<2>() else { return Ok(None) };
    if first & 0x70 != 0 {
        return Err(WsError::Protocol("reserved bits are set"));
    }
    if second & MASKED != 0 {
        return Err(WsError::Protocol("a server's frame is masked"));
    }
    let (fin, opcode) = (first & FIN != 0, first & 0x0f);
    if opcode >= 8 && (!fin || usize::from(second) > CONTROL_BYTES_MAX) {
        return Err(WsError::Protocol("a control frame is fragmented or too long"));
    }
    let rest = &bytes[2..];
    let (len, head) = match second {
        126 => match rest.first_chunk::<2>() {
            Some(len) => (u64::from(u16::from_be_bytes(*len)), 4),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(len) => (u64::from_be_bytes(*len), 10),
            None => return Ok(None),
        },
        len => (u64::from(len), 2),
    };
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if len > message_max {
        return Err(WsError::TooLong { max: message_max });
    }
    let Some(payload) = bytes.get(head..head + len) else { return Ok(None) };
    Ok(Some((Frame { fin, opcode, payload }, head + len)))
}

fn control<'a>(frame: &Frame<'a>) -> Result<Message<'a>, WsError> {
    match (frame.opcode, frame.payload) {
        (9, payload) => Ok(Message::Ping(payload)),
        (10, payload) => Ok(Message::Pong(payload)),
        (_, []) => Ok(Message::Close { code: 1005, reason: "" }),
        (_, [high, low, reason @ ..]) => {
            let code = u16::from_be_bytes([*high, *low]);
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(WsError::Protocol("a close code that is not defined"));
            }
            let reason = str::from_utf8(reason).map_err(|_| WsError::Protocol("a close reason that is not UTF-8"))?;
            Ok(Message::Close { code, reason })
        }
        _ => Err(WsError::Protocol("a close frame of one byte")),
    }
}

/// Makes `buf[payload_at..]` one frame: masks it where it is and writes the header before it. There must be
/// [`FRAME_HEAD_MAX`] bytes of room. Output: where the frame begins; it ends with the buffer.
pub fn seal_frame(buf: &mut [u8], payload_at: usize, opcode: Opcode, mask: [u8; 4]) -> usize {
    assert!(payload_at >= FRAME_HEAD_MAX);
    let (head, payload) = buf.split_at_mut(payload_at);
    let len = payload.len();
    apply_mask(payload, mask);
    head[payload_at - 4..].copy_from_slice(&mask);
    let mut at = payload_at - 4;
    let short = match len {
        0..=125 => len as u8,
        126..=0xffff => {
            at -= 2;
            head[at..at + 2].copy_from_slice(&(len as u16).to_be_bytes());
            126
        }
        _ => {
            at -= 8;
            head[at..at + 8].copy_from_slice(&(len as u64).to_be_bytes());
            127
        }
    };
    at -= 2;
    head[at] = FIN | opcode as u8;
    head[at + 1] = MASKED | short;
    at
}

/// Eight bytes at a time.
fn apply_mask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_frames_of_the_rfc_are_walked_and_built() {
        let mut walker = Walker::new(100);
        let step = walker.step(&[0x81, 0x05, b'H', b'e', b'l', b'l', b'o']).expect("valid").expect("whole");
        assert_eq!(step, Step { used: 7, message: Some(Message::Text(b"Hello")) });
        let first = walker.step(&[0x01, 0x03, b'H', b'e', b'l']).expect("valid").expect("whole");
        assert_eq!(first, Step { used: 5, message: None });
        let ping = walker.step(&[0x89, 0x00]).expect("valid").expect("whole");
        assert_eq!(ping.message, Some(Message::Ping(b"")), "between fragments");
        let last = walker.step(&[0x80, 0x02, b'l', b'o']).expect("valid").expect("whole");
        assert_eq!(last.message, Some(Message::Text(b"Hello")));

        let mut buf = [vec![0; FRAME_HEAD_MAX], b"Hello".to_vec()].concat();
        let at = seal_frame(&mut buf, FRAME_HEAD_MAX, Opcode::Text, [0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(buf[at..], [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn frames_against_the_protocol_are_refused() {
        let cases: [(&[u8], &str); 11] = [
            (&[0xc1, 0], "reserved"),
            (&[0x81, 0x80], "masked"),
            (&[0x09, 0], "control frame"),
            (&[0x89, 126, 0, 126], "control frame"),
            (&[0x80, 0], "continuation of nothing"),
            (&[0x83, 0], "opcode"),
            (&[0x8b, 0], "opcode"),
            (&[0x88, 1, 3], "one byte"),
            (&[0x88, 2, 0x03, 0xed], "close code"),
            (&[0x88, 3, 0x03, 0xe8, 0xff], "UTF-8"),
            (&[0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0], "longer than 100"),
        ];
        for (bytes, word) in cases {
            let error = Walker::new(100).step(bytes).expect_err(word).to_string();
            assert!(error.contains(word), "{error}");
        }
        let mut walker = Walker::new(100);
        walker.step(&[0x01, 0]).expect("a fragment");
        assert!(walker.step(&[0x81, 0]).is_err(), "a new message inside a fragmented one");
    }

    #[test]
    fn fragments_together_may_not_pass_the_bound() {
        let mut walker = Walker::new(4);
        walker.step(&[0x01, 3, 1, 2, 3]).expect("three");
        assert_eq!(walker.step(&[0x80, 2, 4, 5]), Err(WsError::TooLong { max: 4 }));
    }
}
