//! PubSub: requests with their ids, acks matched to what was asked, notifications read in place.
//!
//! Thread: any.  Invariants: reading allocates nothing; a subscription is known by connection and number together, so
//! an ack of a dead connection opens nothing; what a node may send that we do not know is [`Frame::Other`].
//! Source: solana fact sheet, section 2.

use super::rpc::{Account, NodeError, account_or_null};
use crate::types::event::Slot;
use crate::venue::DecodeError;
use crate::venue::scan::Scanner;

/// Longest frame read: the largest account there can be (10 MiB), in base64, and its wrapping.
pub const FRAME_BYTES_MAX: usize = 16 << 20;
/// `slotSubscribe` under id 1, for a connection that asks for nothing else.
pub const SLOT_SUBSCRIBE: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"slotSubscribe"}"#;
/// Subscriptions of one desk at once, over all its connections.
pub const SUBSCRIPTIONS_MAX: usize = 32;

/// How settled what we are told must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Commitment {
    /// The node's newest; may be dropped.
    #[default]
    Processed,
    /// Two thirds of the stake voted for it.
    Confirmed,
    /// Rooted.
    Finalized,
}

impl Commitment {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Commitment::Processed => "processed",
            Commitment::Confirmed => "confirmed",
            Commitment::Finalized => "finalized",
        }
    }
}

/// What can be subscribed to. Keys are base58 texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic<'a> {
    /// Every slot.
    Slots,
    /// Each change of an account, its data in base64.
    Account(&'a str, Commitment),
    /// The logs of each transaction that mentions this key.
    Logs(&'a str, Commitment),
}

/// Appends the request for `topic` under `id` to `out`.
pub fn request(id: u64, topic: &Topic<'_>, out: &mut Vec<u8>) {
    match topic {
        Topic::Slots => put(out, &[&head(id, "slotSubscribe"), "}"]),
        Topic::Account(key, commitment) => {
            let options = "\",{\"encoding\":\"base64\",\"commitment\":\"";
            put(out, &[&head(id, "accountSubscribe"), ",\"params\":[\"", key, options, commitment.name(), "\"}]}"]);
        }
        Topic::Logs(key, commitment) => {
            let options = "\"]},{\"commitment\":\"";
            let mentions = ",\"params\":[{\"mentions\":[\"";
            put(out, &[&head(id, "logsSubscribe"), mentions, key, options, commitment.name(), "\"}]}"]);
        }
    }
}

/// Appends the request that ends a subscription; `method` is its name: `accountUnsubscribe`.
pub fn unsubscribe(id: u64, method: &str, subscription: u64, out: &mut Vec<u8>) {
    put(out, &[&head(id, method), ",\"params\":[", &subscription.to_string(), "]}"]);
}

/// The opening of every call: `{"jsonrpc":"2.0","id":7,"method":"getSlot"`.
pub(super) fn head(id: u64, method: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\"")
}

pub(super) fn put(out: &mut Vec<u8>, parts: &[&str]) {
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
}

/// What one frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The request `id` opened the subscription.
    Ack {
        /// Of our request.
        id: u64,
        /// The node's number of it, on this connection.
        subscription: u64,
    },
    /// The request `id` was refused; `None` where the node could not even read the id.
    Refused {
        /// Of our request.
        id: Option<u64>,
        /// Why.
        error: NodeError<'a>,
    },
    /// A slot began.
    Slot(u64, Slot),
    /// An account changed.
    Account(u64, AccountNote<'a>),
    /// A transaction that mentions the key was executed.
    Logs(u64, LogsNote<'a>),
    /// Anything else: an unsubscribe's answer, a notification of another kind.
    Other,
}

/// A change of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountNote<'a> {
    /// Slot of the change.
    pub slot: u64,
    /// The account after it; `None` once it is gone.
    pub account: Option<Account<'a>>,
}

/// A transaction's logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogsNote<'a> {
    /// Slot it landed in.
    pub slot: u64,
    /// Its signature, base58.
    pub signature: &'a [u8],
    /// It landed, but failed.
    pub failed: bool,
    frame: &'a [u8],
    logs_at: Option<usize>,
}

impl<'a> LogsNote<'a> {
    /// Calls `line` with each log line as it stands in the frame, escapes untouched. Output: how many there were;
    /// `None` where the node told none at all.
    pub fn each_line(&self, mut line: impl FnMut(&'a [u8])) -> Result<Option<usize>, DecodeError> {
        let Some(at) = self.logs_at else { return Ok(None) };
        let mut count = 0;
        Scanner::starting_at(self.frame, at).array(|scan| {
            count += 1;
            scan.string().map(&mut line)
        })?;
        Ok(Some(count))
    }
}

/// The outer object of a frame or of an answer, its inside left for later.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Envelope<'a> {
    pub(super) method: Option<&'a [u8]>,
    pub(super) id: Option<u64>,
    /// Where the result begins: an answer's own, or the one inside `params`.
    pub(super) result_at: Option<usize>,
    pub(super) subscription: Option<u64>,
    pub(super) error: Option<NodeError<'a>>,
}

/// Reads the outer object. Cost: one pass, no allocation.
pub(super) fn envelope(frame: &[u8], bytes_max: usize) -> Result<Envelope<'_>, DecodeError> {
    if frame.len() > bytes_max {
        return Err(DecodeError::TooLong { got: frame.len() });
    }
    let mut seen = Envelope::default();
    let mut scan = Scanner::new(frame);
    scan.object(|scan, key| match key {
        b"method" => scan.string().map(|method| seen.method = Some(method)),
        b"id" => number_or_other(scan).map(|id| seen.id = id),
        b"error" => NodeError::read_or_null(scan).map(|error| seen.error = error),
        b"result" => left_for_later(scan).map(|at| seen.result_at = Some(at)),
        b"params" if scan.peek()? == b'{' => scan.object(|scan, key| match key {
            b"result" => left_for_later(scan).map(|at| seen.result_at = Some(at)),
            b"subscription" => number_or_other(scan).map(|number| seen.subscription = number),
            _ => scan.skip(),
        }),
        _ => scan.skip(),
    })?;
    scan.end()?;
    Ok(seen)
}

fn left_for_later(scan: &mut Scanner) -> Result<usize, DecodeError> {
    let at = scan.at();
    scan.skip().map(|()| at)
}

/// A whole number; `None` for a value of any other kind.
pub(super) fn number_or_other(scan: &mut Scanner) -> Result<Option<u64>, DecodeError> {
    if scan.peek()?.is_ascii_digit() {
        return scan.unsigned().map(Some);
    }
    scan.skip().map(|()| None)
}

/// Reads one whole frame.
///
/// Errors: [`DecodeError`] with the byte; no input makes it panic.  Cost: two passes, no allocation.
pub fn frame(frame: &[u8]) -> Result<Frame<'_>, DecodeError> {
    let seen = envelope(frame, FRAME_BYTES_MAX)?;
    let Some(method) = seen.method else {
        return Ok(match (seen.error, seen.id, seen.result_at) {
            (Some(error), id, _) => Frame::Refused { id, error },
            (None, Some(id), Some(at)) => match number_or_other(&mut Scanner::starting_at(frame, at))? {
                Some(subscription) => Frame::Ack { id, subscription },
                None => Frame::Other, // `true`: an unsubscribe's answer
            },
            _ => Frame::Other,
        });
    };
    let known = [b"slotNotification".as_slice(), b"accountNotification", b"logsNotification"];
    if !known.contains(&method) {
        return Ok(Frame::Other);
    }
    let at = seen.result_at.ok_or(DecodeError::Missing { name: "result" })?;
    let number = seen.subscription.ok_or(DecodeError::Missing { name: "subscription" })?;
    let inner = Scanner::starting_at(frame, at);
    match method {
        b"slotNotification" => slot(inner).map(|slot| Frame::Slot(number, slot)),
        b"accountNotification" => account_note(inner).map(|note| Frame::Account(number, note)),
        _ => logs_note(frame, inner).map(|note| Frame::Logs(number, note)),
    }
}

/// The result of a `slotNotification`.
pub(super) fn slot(mut scan: Scanner) -> Result<Slot, DecodeError> {
    let (mut slot, mut parent, mut root) = (None, None, None);
    scan.object(|scan, key| match key {
        b"slot" => scan.unsigned().map(|value| slot = Some(value)),
        b"parent" => scan.unsigned().map(|value| parent = Some(value)),
        b"root" => scan.unsigned().map(|value| root = Some(value)),
        _ => scan.skip(),
    })?;
    Ok(Slot {
        slot: slot.ok_or(DecodeError::Missing { name: "slot" })?,
        parent: parent.ok_or(DecodeError::Missing { name: "parent" })?,
        root: root.ok_or(DecodeError::Missing { name: "root" })?,
    })
}

/// `{"slot":…}` of a `context`.
pub(super) fn context_slot(scan: &mut Scanner) -> Result<Option<u64>, DecodeError> {
    let mut slot = None;
    scan.object(|scan, key| match key {
        b"slot" => scan.unsigned().map(|value| slot = Some(value)),
        _ => scan.skip(),
    })?;
    Ok(slot)
}

/// `{"context":{"slot":…},"value":{…}|null}`: a notification's result, and `getAccountInfo`'s.
pub(super) fn account_note(mut scan: Scanner<'_>) -> Result<AccountNote<'_>, DecodeError> {
    let (mut slot, mut account) = (None, None);
    scan.object(|scan, key| match key {
        b"context" => context_slot(scan).map(|value| slot = value),
        b"value" => account_or_null(scan).map(|value| account = Some(value)),
        _ => scan.skip(),
    })?;
    let slot = slot.ok_or(DecodeError::Missing { name: "context.slot" })?;
    Ok(AccountNote { slot, account: account.ok_or(DecodeError::Missing { name: "value" })? })
}

fn logs_note<'a>(frame: &'a [u8], mut scan: Scanner<'a>) -> Result<LogsNote<'a>, DecodeError> {
    let (mut slot, mut signature, mut failed, mut logs_at) = (None, None, false, None);
    scan.object(|scan, key| match key {
        b"context" => context_slot(scan).map(|value| slot = value),
        b"value" => scan.object(|scan, key| match key {
            b"signature" => scan.string().map(|text| signature = Some(text)),
            b"err" => {
                failed = scan.peek()? != b'n';
                scan.skip()
            }
            b"logs" if scan.peek()? == b'[' => left_for_later(scan).map(|at| logs_at = Some(at)),
            _ => scan.skip(),
        }),
        _ => scan.skip(),
    })?;
    let slot = slot.ok_or(DecodeError::Missing { name: "context.slot" })?;
    let signature = signature.ok_or(DecodeError::Missing { name: "signature" })?;
    Ok(LogsNote { slot, signature, failed, frame, logs_at })
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The subscription for this tag is open.
    Open(u32),
    /// It was refused.
    Refused(u32),
    /// Not an answer to anything that was asked on this connection.
    Unasked,
}

/// One subscription, asked for or open.
#[derive(Clone, Copy, Debug)]
struct Asked {
    conn: u32,
    id: u64,
    tag: u32,
    subscription: Option<u64>,
}

/// Which subscription means what: the owner's `tag` for each, on each connection.
#[derive(Clone, Debug)]
pub struct Subscriptions {
    asked: [Option<Asked>; SUBSCRIPTIONS_MAX],
    next_id: u64,
}

impl Default for Subscriptions {
    fn default() -> Subscriptions {
        Subscriptions { asked: [None; SUBSCRIPTIONS_MAX], next_id: 1 }
    }
}

impl Subscriptions {
    /// Appends the request for `topic` to `out` and remembers it under `tag`. Output: its id; `None`, and nothing
    /// written, where [`SUBSCRIPTIONS_MAX`] are open already.
    pub fn ask(&mut self, conn: u32, tag: u32, topic: &Topic<'_>, out: &mut Vec<u8>) -> Option<u64> {
        let free = self.asked.iter_mut().find(|place| place.is_none())?;
        let id = self.next_id;
        self.next_id += 1;
        *free = Some(Asked { conn, id, tag, subscription: None });
        request(id, topic, out);
        Some(id)
    }

    /// An ack or a refusal; other frames are `Unasked`. A refused request is forgotten.
    pub fn on_answer(&mut self, conn: u32, answer: &Frame<'_>) -> Answered {
        let id = match answer {
            Frame::Ack { id, .. } => *id,
            Frame::Refused { id: Some(id), .. } => *id,
            _ => return Answered::Unasked,
        };
        let is_it = |asked: &Asked| asked.conn == conn && asked.id == id;
        let Some(place) = self.asked.iter_mut().find(|place| place.as_ref().is_some_and(is_it)) else {
            return Answered::Unasked;
        };
        let tag = place.as_ref().map_or(0, |asked| asked.tag);
        match answer {
            Frame::Ack { subscription, .. } => {
                if let Some(asked) = place {
                    asked.subscription = Some(*subscription);
                }
                Answered::Open(tag)
            }
            _ => {
                *place = None;
                Answered::Refused(tag)
            }
        }
    }

    /// The tag of a notification's subscription; `None` if it is not one of ours on this connection.
    pub fn tag(&self, conn: u32, subscription: u64) -> Option<u32> {
        let is_it = |asked: &&Asked| asked.conn == conn && asked.subscription == Some(subscription);
        self.asked.iter().flatten().find(is_it).map(|asked| asked.tag)
    }

    /// Whether everything asked for on this connection is open, and something was.
    pub fn all_open(&self, conn: u32) -> bool {
        let mut mine = self.asked.iter().flatten().filter(|asked| asked.conn == conn).peekable();
        mine.peek().is_some() && mine.all(|asked| asked.subscription.is_some())
    }

    /// The connection is gone, and every subscription with it.
    pub fn forget(&mut self, conn: u32) {
        let is_there = |asked: &Asked| asked.conn == conn;
        self.asked.iter_mut().filter(|place| place.as_ref().is_some_and(is_there)).for_each(|place| *place = None);
    }
}
