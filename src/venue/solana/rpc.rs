//! JSON-RPC over HTTP: bodies for the calls the house makes, answers read in place.
//!
//! Thread: any.  Invariants: reading allocates nothing; an answer is a value or a typed error, whatever the node, or
//! the gateway before it, wrote.  Source: solana fact sheet, section 1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::subscribe::{AccountNote, Commitment, account_note, context_slot, envelope, head, number_or_other, put};
use crate::types::time::NANOS_PER_SEC;
use crate::venue::DecodeError;
use crate::venue::scan::Scanner;

/// Longest answer read: `getMultipleAccounts` of large accounts, a whole block.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Keys that `getMultipleAccounts` takes.
pub const KEYS_MAX: usize = 100;
/// Samples that `getRecentPerformanceSamples` gives at most.
pub const SAMPLES_MAX: u32 = 720;
/// Largest account there can be.
pub const ACCOUNT_BYTES_MAX: usize = 10 << 20;

/// JSON-RPC code: the node is unhealthy, mostly because it is behind.
const UNHEALTHY: i64 = -32_005;
/// Codes that gateways give in a body where they mean HTTP 429.
const TOO_MANY: [i64; 2] = [429, -32_429];

/// Appends a `getSlot` call.
pub fn get_slot(id: u64, commitment: Commitment, out: &mut Vec<u8>) {
    put(out, &[&head(id, "getSlot"), ",\"params\":[{\"commitment\":\"", commitment.name(), "\"}]}"]);
}

/// Appends a `getHealth` call.
pub fn get_health(id: u64, out: &mut Vec<u8>) {
    put(out, &[&head(id, "getHealth"), "}"]);
}

/// Appends a `getRecentPerformanceSamples` call; `limit` is cut to [`SAMPLES_MAX`].
pub fn get_recent_performance_samples(id: u64, limit: u32, out: &mut Vec<u8>) {
    let limit = limit.clamp(1, SAMPLES_MAX).to_string();
    put(out, &[&head(id, "getRecentPerformanceSamples"), ",\"params\":[", &limit, "]}"]);
}

/// Appends a `getAccountInfo` call for a base58 key, data in base64.
pub fn get_account_info(id: u64, key: &str, commitment: Commitment, out: &mut Vec<u8>) {
    let options = "\",{\"encoding\":\"base64\",\"commitment\":\"";
    put(out, &[&head(id, "getAccountInfo"), ",\"params\":[\"", key, options, commitment.name(), "\"}]}"]);
}

/// Appends a `getMultipleAccounts` call for the first [`KEYS_MAX`] of `keys`, data in base64.
pub fn get_multiple_accounts(id: u64, keys: &[&str], commitment: Commitment, out: &mut Vec<u8>) {
    put(out, &[&head(id, "getMultipleAccounts"), ",\"params\":[["]);
    for (number, key) in keys.iter().take(KEYS_MAX).enumerate() {
        put(out, &[if number > 0 { ",\"" } else { "\"" }, key, "\""]);
    }
    put(out, &["],{\"encoding\":\"base64\",\"commitment\":\"", commitment.name(), "\"}]}"]);
}

/// An `error` object of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeError<'a> {
    /// JSON-RPC code.
    pub code: i64,
    /// How far the node is behind, where it says so (-32005).
    pub slots_behind: Option<u64>,
    /// Its message as it stands in the frame.
    pub message: &'a [u8],
}

impl<'a> NodeError<'a> {
    /// Reads an `error` value; `None` for `null`.
    pub(super) fn read_or_null(scan: &mut Scanner<'a>) -> Result<Option<NodeError<'a>>, DecodeError> {
        let mut error = NodeError { code: 0, slots_behind: None, message: b"" };
        match scan.peek()? {
            b'{' => {}
            b'n' => return scan.skip().map(|()| None),
            b'"' => return scan.string().map(|message| Some(NodeError { message, ..error })),
            _ => return scan.skip().map(|()| Some(error)),
        }
        scan.object(|scan, key| match key {
            b"code" => scan.integer().map(|code| error.code = code),
            b"message" if scan.peek()? == b'"' => scan.string().map(|text| error.message = text),
            b"data" if scan.peek()? == b'{' => scan.object(|scan, key| match key {
                b"numSlotsBehind" => number_or_other(scan).map(|slots| error.slots_behind = slots),
                _ => scan.skip(),
            }),
            _ => scan.skip(),
        })?;
        Ok(Some(error))
    }
}

/// Why there is no answer in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// HTTP 429, or its code in a body: ask less often.
    #[error("too many requests")]
    TooMany {
        /// What `Retry-After` said.
        retry_after_s: Option<u32>,
    },
    /// -32005: the node is unhealthy.
    #[error("the node is unhealthy, behind by {slots:?} slots")]
    Behind {
        /// How far behind, where it says so.
        slots: Option<u64>,
    },
    /// Another error of the node.
    #[error("the node answered error {code}")]
    Node {
        /// JSON-RPC code.
        code: i64,
    },
    /// Another HTTP status than 200, without an error of the node in the body.
    #[error("HTTP status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// Not the answer the documents promise.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// A node's answer, its result not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Of our request.
    pub id: Option<u64>,
    body: &'a [u8],
    result_at: usize,
}

/// Reads an answer's outside: status, `Retry-After` where there was one, body.
///
/// Errors: [`RpcError`]; no input makes it panic.  Cost: one pass, no allocation.
pub fn answer(status: u16, retry_after_s: Option<u32>, body: &[u8]) -> Result<Answer<'_>, RpcError> {
    if status == 429 {
        return Err(RpcError::TooMany { retry_after_s });
    }
    let seen = match envelope(body, ANSWER_BYTES_MAX) {
        Ok(seen) => seen,
        Err(_) if status != 200 => return Err(RpcError::Status { status }), // a gateway's page
        Err(why) => return Err(why.into()),
    };
    if let Some(error) = seen.error {
        return Err(match error.code {
            code if TOO_MANY.contains(&code) => RpcError::TooMany { retry_after_s },
            UNHEALTHY => RpcError::Behind { slots: error.slots_behind },
            code => RpcError::Node { code },
        });
    }
    match seen.result_at {
        _ if status != 200 => Err(RpcError::Status { status }),
        None => Err(DecodeError::Missing { name: "result" }.into()),
        Some(result_at) => Ok(Answer { id: seen.id, body, result_at }),
    }
}

/// Slots within a span of time, as the node counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Last slot of the span.
    pub slot: u64,
    /// Slots in it.
    pub slots: u64,
    /// Its length, seconds; 60.
    pub period_s: u64,
}

/// Mean slot time over samples that are added one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampledTime {
    slots: u64,
    seconds: u64,
}

impl SampledTime {
    /// Counts one sample.
    pub fn add(&mut self, sample: Sample) {
        self.slots = self.slots.saturating_add(sample.slots);
        self.seconds = self.seconds.saturating_add(sample.period_s);
    }
    /// Mean slot time, ns; `None` where no slot was counted.
    pub fn slot_ns(self) -> Option<i64> {
        let total_ns = i64::try_from(self.seconds).ok()?.checked_mul(NANOS_PER_SEC)?;
        total_ns.checked_div(i64::try_from(self.slots).ok()?).filter(|slot_ns| *slot_ns > 0)
    }
}

impl<'a> Answer<'a> {
    fn result(&self) -> Scanner<'a> {
        Scanner::starting_at(self.body, self.result_at)
    }

    /// `getSlot`: the slot.
    pub fn slot(&self) -> Result<u64, RpcError> {
        Ok(self.result().unsigned()?)
    }

    /// `getHealth`: fine, or the error that said otherwise.
    pub fn health(&self) -> Result<(), RpcError> {
        let mut scan = self.result();
        let at = scan.at();
        match scan.string()? {
            b"ok" => Ok(()),
            _ => Err(DecodeError::UnknownWord { at }.into()),
        }
    }

    /// `getRecentPerformanceSamples`: the mean slot time over all of them, and how many there were.
    pub fn sampled_time(&self) -> Result<(SampledTime, usize), RpcError> {
        let (mut time, mut count) = (SampledTime::default(), 0);
        self.result().array(|scan| {
            let mut sample = Sample::default();
            scan.object(|scan, key| match key {
                b"slot" => scan.unsigned().map(|value| sample.slot = value),
                b"numSlots" => scan.unsigned().map(|value| sample.slots = value),
                b"samplePeriodSecs" => scan.unsigned().map(|value| sample.period_s = value),
                _ => scan.skip(),
            })?;
            time.add(sample);
            count += 1;
            Ok(())
        })?;
        Ok((time, count))
    }

    /// `getAccountInfo`: the account, and the slot it was read at.
    pub fn account(&self) -> Result<AccountNote<'a>, RpcError> {
        Ok(account_note(self.result())?)
    }

    /// `getMultipleAccounts`: each account in the order of the keys, `None` where there is none. Output: the slot.
    pub fn accounts(&self, mut each: impl FnMut(usize, Option<Account<'a>>)) -> Result<u64, RpcError> {
        let (mut slot, mut count) = (None, 0);
        self.result().object(|scan, key| match key {
            b"context" => context_slot(scan).map(|value| slot = value),
            b"value" => scan.array(|scan| {
                each(count, account_or_null(scan)?);
                count += 1;
                Ok(())
            }),
            _ => scan.skip(),
        })?;
        Ok(slot.ok_or(DecodeError::Missing { name: "context.slot" })?)
    }
}

/// An account, in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account<'a> {
    /// Its money, 1e-9 SOL.
    pub lamports: u64,
    /// The program it belongs to, base58.
    pub owner: &'a [u8],
    /// Its bytes.
    pub data: AccountData<'a>,
}

/// An account's bytes as the node wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountData<'a> {
    /// Base64 text: what we ask for.
    Base64(&'a [u8]),
    /// Another encoding's text.
    Other(&'a [u8]),
    /// A program's own JSON.
    Parsed,
}

impl AccountData<'_> {
    /// Decodes into `out`, cleared first. Errors: not base64, or longer than an account can be.
    pub fn decode_into(&self, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        out.clear();
        let AccountData::Base64(text) = self else { return Err(DecodeError::Missing { name: "base64 data" }) };
        if text.len() / 4 * 3 > ACCOUNT_BYTES_MAX {
            return Err(DecodeError::TooLong { got: text.len() });
        }
        STANDARD.decode_vec(text, out).map_err(|_| DecodeError::Contradiction { name: "data" })
    }
}

/// An account object, or `None` for `null`.
pub(super) fn account_or_null<'a>(scan: &mut Scanner<'a>) -> Result<Option<Account<'a>>, DecodeError> {
    if scan.peek()? == b'n' {
        return scan.skip().map(|()| None);
    }
    let (mut lamports, mut owner, mut data) = (None, None, None);
    scan.object(|scan, key| match key {
        b"lamports" => scan.unsigned().map(|value| lamports = Some(value)),
        b"owner" => scan.string().map(|value| owner = Some(value)),
        b"data" => account_data(scan).map(|value| data = Some(value)),
        _ => scan.skip(),
    })?;
    Ok(Some(Account {
        lamports: lamports.ok_or(DecodeError::Missing { name: "lamports" })?,
        owner: owner.ok_or(DecodeError::Missing { name: "owner" })?,
        data: data.ok_or(DecodeError::Missing { name: "data" })?,
    }))
}

/// `["…","base64"]`; a bare text (the old base58 form) or an object (`jsonParsed`) where a node answers so.
fn account_data<'a>(scan: &mut Scanner<'a>) -> Result<AccountData<'a>, DecodeError> {
    match scan.peek()? {
        b'"' => scan.string().map(AccountData::Other),
        b'[' => {
            let (mut text, mut encoding) = (b"".as_slice(), b"".as_slice());
            let mut count = 0;
            scan.array(|scan| {
                count += 1;
                match count {
                    1 => scan.string().map(|value| text = value),
                    2 => scan.string().map(|value| encoding = value),
                    _ => scan.skip(),
                }
            })?;
            Ok(if encoding == b"base64" { AccountData::Base64(text) } else { AccountData::Other(text) })
        }
        _ => scan.skip().map(|()| AccountData::Parsed),
    }
}
