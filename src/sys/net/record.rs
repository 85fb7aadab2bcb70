//! TLS records, opened and sealed in place.
//!
//! Thread: that of its stream.  Invariants: rustls makes the handshake, checks the certificate and derives every key;
//! here is only the record layer (RFC 8446 5.2, RFC 5246 6.2.3 with AEAD), through the door rustls has for kernel TLS.
//! A sequence number is used once per key; a record that does not open ends the connection.
//!
//! Why not rustls' own: it makes one `Vec` per record received and one per record sent, also in its unbuffered API
//! (`MessageDecrypter` → `received_plaintext`, `PrefixedPayload`); here it is none.

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::kernel::KernelConnection;
use rustls::{AlertDescription, ConnectionTrafficSecrets, ProtocolVersion};

use super::buffer::RxBuf;

/// Bytes that [`Records::seal`] may put before the text: record header, explicit nonce of TLS 1.2.
pub(crate) const RECORD_HEAD_MAX: usize = HEADER + EXPLICIT_NONCE;
/// Bytes of text that fit one record.
pub(crate) const RECORD_TEXT_MAX: usize = 16_384;
/// Bytes that a record has more than its text, at most.
pub(crate) const RECORD_OVERHEAD_MAX: usize = RECORD_HEAD_MAX + 1 + TAG;

const HEADER: usize = 5;
const EXPLICIT_NONCE: usize = 8;
const TAG: usize = 16;
const RECORD_BODY_MAX: usize = RECORD_TEXT_MAX + 256;
const HANDSHAKE_BYTES_MAX: usize = 64 << 10;
/// Half of what AES-GCM allows per key; a connection that sent so much is replaced.
const RECORDS_PER_KEY_MAX: u64 = 1 << 23;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;

/// How the peer broke TLS, or ended it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// Longer than TLS allows.
    #[error("a TLS record of {0} bytes is longer than allowed")]
    TooLong(usize),
    /// Changed on its way, or sealed with another key.
    #[error("a TLS record does not open: it was changed on its way")]
    DoesNotOpen,
    /// A record or message that has no place here.
    #[error("an unexpected TLS message (type {0})")]
    Unexpected(u8),
    /// The peer ended the connection in anger.
    #[error("the peer sent the TLS alert {0:?}")]
    Alert(AlertDescription),
    /// rustls could not go on.
    #[error("{0}")]
    Rustls(#[from] rustls::Error),
    /// Too many records for one key.
    #[error("the TLS key has sealed as much as is safe")]
    KeyUsedUp,
}

/// One direction's key, and how often it was used.
struct Half {
    key: LessSafeKey,
    iv: [u8; 12],
    seq: u64,
    /// TLS 1.2 with GCM: the nonce's second part travels with the record.
    explicit: bool,
}

/// The record layer of one connection.
pub(crate) struct Records {
    kernel: KernelConnection<ClientConnectionData>,
    tls13: bool,
    rx: Half,
    tx: Half,
    handshake: Vec<u8>,
    closed: bool,
}

impl Half {
    fn new(tls13: bool, (seq, secrets): (u64, ConnectionTrafficSecrets)) -> Result<Half, RecordError> {
        let (algorithm, key, iv): (&'static Algorithm, _, _) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv),
            _ => return Err(rustls::Error::General("a cipher that is not supported".to_owned()).into()),
        };
        let explicit = !tls13 && !std::ptr::eq(algorithm, &CHACHA20_POLY1305);
        let wrong = |_| rustls::Error::General("a key of the wrong length".to_owned());
        let key = UnboundKey::new(algorithm, key.as_ref()).map_err(wrong)?;
        let iv =
            iv.as_ref().try_into().map_err(|_| rustls::Error::General("a nonce of the wrong length".to_owned()))?;
        Ok(Half { key: LessSafeKey::new(key), iv, seq, explicit })
    }

    /// The nonce of the next record: `iv` with the sequence number mixed into its end.
    fn nonce(&self) -> [u8; 12] {
        let mut nonce = self.iv;
        for (byte, seq) in nonce[4..].iter_mut().zip(self.seq.to_be_bytes()) {
            *byte ^= seq;
        }
        nonce
    }

    /// What TLS 1.2 signs beside the text.
    fn aad12(&self, kind: u8, text_len: usize) -> [u8; 13] {
        let mut aad = [0; 13];
        aad[..8].copy_from_slice(&self.seq.to_be_bytes());
        aad[8..11].copy_from_slice(&[kind, 3, 3]);
        aad[11..].copy_from_slice(&(text_len as u16).to_be_bytes());
        aad
    }
}

impl Records {
    /// Takes over after the handshake.
    pub(crate) fn take_over(conn: UnbufferedClientConnection) -> Result<Records, RecordError> {
        let (secrets, kernel) = conn.dangerous_into_kernel_connection()?;
        let tls13 = kernel.protocol_version() == ProtocolVersion::TLSv1_3;
        let (rx, tx) = (Half::new(tls13, secrets.rx)?, Half::new(tls13, secrets.tx)?);
        Ok(Records { kernel, tls13, rx, tx, handshake: Vec::new(), closed: false })
    }

    /// True once the peer said that it sends no more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Opens every whole record of `rx` in place. What TLS itself has to answer is appended to `reply`.
    pub(crate) fn open(&mut self, rx: &mut RxBuf, reply: &mut Vec<u8>) -> Result<(), RecordError> {
        while !self.closed {
            let Some(header) = rx.raw().first_chunk::<HEADER>().copied() else { break };
            let body_len = usize::from(u16::from_be_bytes([header[3], header[4]]));
            if body_len > RECORD_BODY_MAX {
                return Err(RecordError::TooLong(body_len));
            }
            let record_len = HEADER + body_len;
            if rx.raw().len() < record_len {
                break;
            }
            let (in_out, record_at) = rx.gap_and_record(record_len);
            let (kind, text_len) = self.open_one(in_out, record_at, header)?;
            if kind == APPLICATION_DATA {
                rx.opened(record_len, text_len);
            } else {
                self.on_message(kind, &in_out[..text_len], reply)?;
                rx.opened(record_len, 0);
            }
        }
        Ok(())
    }

    /// Opens the record at `record_at`; its text then begins `in_out`. Output: content type, length of the text.
    fn open_one(
        &mut self,
        in_out: &mut [u8],
        record_at: usize,
        header: [u8; HEADER],
    ) -> Result<(u8, usize), RecordError> {
        let mut body_at = record_at + HEADER;
        let body_len = in_out.len() - body_at;
        let mut nonce = self.rx.nonce();
        let text_len = if self.tls13 {
            if header[0] != APPLICATION_DATA {
                return Err(RecordError::Unexpected(header[0]));
            }
            let nonce = Nonce::assume_unique_for_key(nonce);
            self.rx.key.open_within(nonce, Aad::from(header), in_out, body_at..)
        } else {
            if self.rx.explicit {
                let sent = in_out.get(body_at..body_at + EXPLICIT_NONCE).ok_or(RecordError::DoesNotOpen)?;
                nonce[4..].copy_from_slice(sent);
                body_at += EXPLICIT_NONCE;
            }
            let overhead = TAG + if self.rx.explicit { EXPLICIT_NONCE } else { 0 };
            let text_len = body_len.checked_sub(overhead).ok_or(RecordError::DoesNotOpen)?;
            let aad = Aad::from(self.rx.aad12(header[0], text_len));
            self.rx.key.open_within(Nonce::assume_unique_for_key(nonce), aad, in_out, body_at..)
        }
        .map_err(|_| RecordError::DoesNotOpen)?
        .len();
        self.rx.seq += 1;
        if text_len > RECORD_TEXT_MAX + usize::from(self.tls13) {
            return Err(RecordError::TooLong(text_len));
        }
        if !self.tls13 {
            return Ok((header[0], text_len));
        }
        // TLS 1.3 hides the type behind the text, then come any number of zeros.
        let text = &in_out[..text_len];
        let kind_at = text.iter().rposition(|&byte| byte != 0).ok_or(RecordError::Unexpected(0))?;
        Ok((text[kind_at], kind_at))
    }

    fn on_message(&mut self, kind: u8, text: &[u8], reply: &mut Vec<u8>) -> Result<(), RecordError> {
        match (kind, text) {
            (ALERT, [_, 0]) => self.closed = true, // close_notify
            (ALERT, [_, 90]) => {}                 // user_canceled: a close_notify follows
            (ALERT, [1, _]) if !self.tls13 => {}   // a warning
            (ALERT, [_, code]) => return Err(RecordError::Alert(AlertDescription::from(*code))),
            (HANDSHAKE, _) if self.tls13 => return self.on_handshake(text, reply),
            (HANDSHAKE, [0, 0, 0, 0]) => {} // TLS 1.2 asks for a new handshake; it may be ignored (RFC 5246 7.4.1.1)
            _ => return Err(RecordError::Unexpected(kind)),
        }
        Ok(())
    }

    /// Session tickets and key updates of TLS 1.3; a message may come in pieces.
    fn on_handshake(&mut self, text: &[u8], reply: &mut Vec<u8>) -> Result<(), RecordError> {
        self.handshake.extend_from_slice(text);
        if self.handshake.len() > HANDSHAKE_BYTES_MAX {
            return Err(RecordError::TooLong(self.handshake.len()));
        }
        let mut at = 0;
        while let Some(&[kind, a, b, c]) = self.handshake[at..].first_chunk::<4>() {
            let len = u32::from_be_bytes([0, a, b, c]) as usize;
            let Some(body) = self.handshake[at + 4..].get(..len) else { break };
            at += 4 + len;
            let last = at == self.handshake.len();
            match (kind, body) {
                (NEW_SESSION_TICKET, ticket) => self.kernel.handle_new_session_ticket(ticket)?,
                (KEY_UPDATE, [asked @ (0 | 1)]) if last => {
                    let answer = *asked == 1;
                    self.rx = Half::new(true, self.kernel.update_rx_secret()?)?;
                    if answer {
                        self.update_tx_key(reply)?;
                    }
                    at = 0;
                    self.handshake.clear();
                }
                _ => return Err(RecordError::Unexpected(kind)),
            }
        }
        self.handshake.drain(..at);
        Ok(())
    }

    /// Tells the peer, with the old key, that the next record has a new one.
    fn update_tx_key(&mut self, reply: &mut Vec<u8>) -> Result<(), RecordError> {
        let at = reply.len();
        reply.resize(at + RECORD_HEAD_MAX, 0);
        reply.extend_from_slice(&[KEY_UPDATE, 0, 0, 1, 0]);
        let start = self.seal(HANDSHAKE, reply, at + RECORD_HEAD_MAX)?;
        reply.drain(at..start);
        self.tx = Half::new(true, self.kernel.update_tx_secret()?)?;
        Ok(())
    }

    /// Seals `buf[text_at..]` as one record of application data. See [`Records::seal`].
    pub(crate) fn seal_data(&mut self, buf: &mut Vec<u8>, text_at: usize) -> Result<usize, RecordError> {
        self.seal(APPLICATION_DATA, buf, text_at)
    }

    /// Seals `buf[text_at..]`, at most [`RECORD_TEXT_MAX`] bytes with [`RECORD_HEAD_MAX`] bytes of room before them, in
    /// place. Output: where the record begins; it ends with the buffer.
    fn seal(&mut self, kind: u8, buf: &mut Vec<u8>, text_at: usize) -> Result<usize, RecordError> {
        assert!(text_at >= RECORD_HEAD_MAX);
        let text_len = buf.len() - text_at;
        assert!(text_len <= RECORD_TEXT_MAX);
        if self.tx.seq >= RECORDS_PER_KEY_MAX {
            return Err(RecordError::KeyUsedUp);
        }
        let nonce = self.tx.nonce();
        let mut body_at = text_at;
        if self.tls13 {
            buf.push(kind);
        } else if self.tx.explicit {
            body_at -= EXPLICIT_NONCE;
            buf[body_at..text_at].copy_from_slice(&nonce[4..]);
        }
        let body_len = buf.len() - body_at + TAG;
        let outer = if self.tls13 { APPLICATION_DATA } else { kind };
        let [high, low] = (body_len as u16).to_be_bytes();
        let header = [outer, 3, 3, high, low];
        buf[body_at - HEADER..body_at].copy_from_slice(&header);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = if self.tls13 {
            self.tx.key.seal_in_place_separate_tag(nonce, Aad::from(header), &mut buf[text_at..])
        } else {
            let aad = Aad::from(self.tx.aad12(kind, text_len));
            self.tx.key.seal_in_place_separate_tag(nonce, aad, &mut buf[text_at..])
        }
        .map_err(|_| RecordError::KeyUsedUp)?;
        buf.extend_from_slice(tag.as_ref());
        self.tx.seq += 1;
        Ok(body_at - HEADER)
    }
}
