//! `decode --venue solana`: raw PubSub frames in, one JSON event a line out; accounts and logs are summarised.
//!
//! Thread: main.  Invariants: as the verb's: a bad line is named and never ends the run, memory is bounded.

use serde_json::{Value, json};

use crate::venue::DecodeError;
use crate::venue::lines::{LineError, receive_time};
use crate::venue::solana::rpc::{Account, AccountData};
use crate::venue::solana::subscribe::{Frame, LogsNote, frame};

/// The event of one line; `None` if the line holds nothing.
pub(super) fn event(line: &[u8]) -> Result<Option<Value>, LineError> {
    let (recv, from) = receive_time(line);
    let body = line.get(from..).unwrap_or_default().trim_ascii_end();
    if body.is_empty() {
        return Ok(None);
    }
    let mut event = event_json(body).map_err(|error| LineError::new(error, from))?;
    if let Some(recv) = recv {
        event["recv_ns"] = json!(recv.0);
    }
    Ok(Some(event))
}

fn event_json(body: &[u8]) -> Result<Value, DecodeError> {
    Ok(match frame(body)? {
        Frame::Slot(subscription, slot) => json!({
            "kind": "slot", "subscription": subscription, "slot": slot.slot, "parent": slot.parent, "root": slot.root,
        }),
        Frame::Account(subscription, note) => {
            let mut event = note.account.map_or(json!({"gone": true}), |account| account_json(&account));
            event["kind"] = json!("account");
            event["subscription"] = json!(subscription);
            event["slot"] = json!(note.slot);
            event
        }
        Frame::Logs(subscription, note) => json!({
            "kind": "logs", "subscription": subscription, "slot": note.slot, "signature": text(note.signature),
            "failed": note.failed, "lines": lines(&note)?,
        }),
        Frame::Ack { id, subscription } => json!({"kind": "ack", "id": id, "subscription": subscription}),
        Frame::Refused { id, error } => json!({
            "kind": "refused", "id": id, "code": error.code, "message": text(error.message),
            "slots_behind": error.slots_behind,
        }),
        Frame::Other => json!({"kind": "other"}),
    })
}

fn account_json(account: &Account<'_>) -> Value {
    let bytes = match account.data {
        AccountData::Base64(text) => {
            let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
            Some(text.len() / 4 * 3 - padding.min(text.len() / 4 * 3))
        }
        AccountData::Other(_) | AccountData::Parsed => None,
    };
    json!({"lamports": account.lamports, "owner": text(account.owner), "data_bytes": bytes})
}

fn lines(note: &LogsNote<'_>) -> Result<Option<usize>, DecodeError> {
    note.each_line(|_| {})
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
