//! A Solana node's slots: PubSub frames and the JSON-RPC calls around them.
//!
//! Thread: any.  Invariants: slots rise by one each slot time and are told to every subscriber of `slotSubscribe`.

use serde::Deserialize;
use serde_json::Value;

use super::chain::LogSubscriptions;
use super::dex::AccountSubscriptions;
use super::json::{Obj, quoted};
use super::solana_slots::NodeView;
use crate::types::event::Slot;

/// JSON-RPC "method not found".
const METHOD_NOT_FOUND: i64 = -32_601;
const PARSE_ERROR: i64 = -32_700;
pub(super) const INVALID_PARAMS: i64 = -32_602;
/// How far the finalized slot trails the newest.
pub(super) const FINALIZED_LAG: u64 = 31;

/// What one PubSub connection subscribed to: subscription ids in order.
#[derive(Default)]
pub(in crate::sim) struct SlotSession {
    pub(super) subscriptions: Vec<u64>,
    pub(super) accounts: AccountSubscriptions,
    pub(super) next: u64,
    /// The node that this connection reached.
    pub(super) view: NodeView,
    /// Its log subscriptions.
    pub(super) logs: LogSubscriptions,
}

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    method: String,
    #[serde(default)]
    params: Value,
}

impl SlotSession {
    /// Answers one frame.
    pub(in crate::sim) fn answer(&mut self, frame: &str, slot: u64) -> String {
        if let Some(answer) = self.accounts.answer(frame, &mut self.next) {
            return answer;
        }
        let Ok(call) = serde_json::from_str::<Call>(frame) else {
            return error(&Value::Null, PARSE_ERROR, "Parse error");
        };
        match call.method.as_str() {
            "slotSubscribe" => {
                self.next += 1;
                self.subscriptions.push(self.next);
                result(&call.id, &self.next.to_string())
            }
            "slotUnsubscribe" => {
                let wanted = call.params.get(0).and_then(Value::as_u64);
                let before = self.subscriptions.len();
                self.subscriptions.retain(|id| Some(*id) != wanted);
                if self.subscriptions.len() < before {
                    result(&call.id, "true")
                } else {
                    error(&call.id, INVALID_PARAMS, "Invalid subscription id.")
                }
            }
            "logsSubscribe" => match self.logs.subscribe(self.next + 1, &call.params) {
                Ok(()) => {
                    self.next += 1;
                    result(&call.id, &self.next.to_string())
                }
                Err((code, text)) => error(&call.id, code, text),
            },
            "logsUnsubscribe" if self.logs.unsubscribe(call.params.get(0).and_then(Value::as_u64)) => {
                result(&call.id, "true")
            }
            "logsUnsubscribe" => error(&call.id, INVALID_PARAMS, "Invalid subscription id."),
            _ => rpc(&call, self.view.newest(slot)),
        }
    }

    /// The notifications of a changed account, one a subscription.
    pub(super) fn notify_account(&self, news: &str) -> impl Iterator<Item = String> {
        self.accounts.notify(news)
    }

    /// The notifications of a new slot, one a subscription.
    pub(in crate::sim) fn notify(&self, slot: u64) -> impl Iterator<Item = String> {
        let (parent, root) = (slot.saturating_sub(1), slot.saturating_sub(FINALIZED_LAG + 1));
        self.notify_of(Slot { slot, parent, root })
    }

    /// The notifications of any slot.
    pub(in crate::sim) fn notify_of(&self, told: Slot) -> impl Iterator<Item = String> {
        let Slot { slot, parent, root } = told;
        self.subscriptions.iter().map(move |id| {
            let told = format!("{{\"parent\":{parent},\"root\":{root},\"slot\":{slot}}}");
            let params = Obj::new().raw("result", &told).raw("subscription", &id.to_string()).end();
            Obj::new().text("jsonrpc", "2.0").text("method", "slotNotification").raw("params", &params).end()
        })
    }
}

/// Answers one JSON-RPC body.
pub(in crate::sim) fn post(body: &[u8], slot: u64) -> String {
    match serde_json::from_slice::<Call>(body) {
        Ok(call) => rpc(&call, slot),
        Err(_) => error(&Value::Null, PARSE_ERROR, "Parse error"),
    }
}

fn rpc(call: &Call, slot: u64) -> String {
    let commitment = call.params.get(0).and_then(|options| options.get("commitment")).and_then(Value::as_str);
    match call.method.as_str() {
        "getSlot" if matches!(commitment, Some("processed" | "confirmed")) => result(&call.id, &slot.to_string()),
        "getSlot" => result(&call.id, &slot.saturating_sub(FINALIZED_LAG).to_string()),
        "getHealth" => result(&call.id, "\"ok\""),
        "getVersion" => result(&call.id, "{\"feature-set\":0,\"solana-core\":\"4.3.2\"}"),
        _ => error(&call.id, METHOD_NOT_FOUND, "Method not found"),
    }
}

pub(super) fn result(id: &Value, result: &str) -> String {
    Obj::new().text("jsonrpc", "2.0").raw("result", result).raw("id", &id.to_string()).end()
}

pub(super) fn error(id: &Value, code: i64, text: &str) -> String {
    let error = Obj::new().int("code", code).raw("message", &quoted(text)).end();
    Obj::new().text("jsonrpc", "2.0").raw("error", &error).raw("id", &id.to_string()).end()
}
