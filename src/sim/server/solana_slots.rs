//! What a Solana node says of slots: skips, forks, steps back, lag; and the JSON-RPC calls around them.
//!
//! A path's query makes the node another one: `/solana?lag=20` trails by 20 slots, `/solana?ahead=1000000` reports slots
//! of nobody's chain.
//!
//! Thread: any.  Invariants: which slots are skipped or forked is the chain's, the same for every node; how far behind a
//! node is, is its own.

use std::collections::{BTreeMap, BTreeSet};

use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::Value;

use super::fault::Fault;
use super::http::{Request, Response};
use super::json::{Obj, array, quoted};
use super::solana::{self, FINALIZED_LAG};
use super::world::World;
use crate::types::event::Slot;

/// Slots that one fault may concern.
const FAULT_SLOTS_MAX: u64 = 1_000;
/// Slots below the newest whose plan is kept.
const KEPT: u64 = 2_048;
/// A node further behind than this calls itself unhealthy.
const HEALTHY_LAG_MAX: u64 = 128;
/// Blocks a blockhash lives.
const BLOCKHASH_BLOCKS: u64 = 150;
/// Largest `limit` of `getRecentPerformanceSamples`, and the length of one.
const SAMPLES_MAX: u64 = 720;
const SAMPLE_S: u64 = 60;

const INVALID_PARAMS: i64 = -32_602;
const UNHEALTHY: i64 = -32_005;
const CONTEXT_NOT_REACHED: i64 = -32_016;

/// Which node a client reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sim) struct NodeView {
    lag: u64,
    ahead: u64,
}

impl NodeView {
    /// By the query of the path.
    pub(super) fn of_query(query: &str) -> NodeView {
        let number = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse().ok()).unwrap_or(0)
        };
        NodeView { lag: number("lag"), ahead: number("ahead") }
    }
    /// What this node takes for the newest slot.
    pub(super) fn newest(self, slot: u64) -> u64 {
        slot.saturating_sub(self.lag).saturating_add(self.ahead)
    }
}

/// What is out of the ordinary with the chain's slots, and with the nodes' answers.
#[derive(Clone, Debug, Default)]
pub(in crate::sim) struct SlotPlan {
    skipped: BTreeSet<u64>,
    forked: BTreeSet<u64>,
    /// After this slot, so many earlier ones are told again.
    told_again: BTreeMap<u64, u64>,
    blocks_missing: u64,
    behind: u64,
    too_many: u32,
}

impl SlotPlan {
    /// Switches a fault that concerns slots; those of the chain begin with the slot after `newest`.
    pub(super) fn apply(&mut self, fault: &Fault, newest: u64) {
        let next = |count: u32| newest + 1..=newest + u64::from(count).min(FAULT_SLOTS_MAX);
        match fault {
            Fault::SkipSlots(count) => {
                self.blocks_missing += next(*count).filter(|slot| self.skipped.insert(*slot)).count() as u64;
            }
            Fault::ForkSlots(count) => self.forked.extend(next(*count)),
            Fault::RegressSlots(count) => {
                self.told_again.insert(newest + 1, u64::from(*count).min(FAULT_SLOTS_MAX));
            }
            Fault::NodeBehind(slots) => self.behind = u64::from(*slots),
            Fault::RpcTooMany(count) => self.too_many = *count,
            _ => {}
        }
        let oldest = newest.saturating_sub(KEPT);
        self.skipped.retain(|slot| *slot >= oldest);
        self.forked.retain(|slot| *slot >= oldest);
        self.told_again.retain(|slot, _| *slot >= oldest);
    }

    /// What a node notifies as it reaches `slot`: nothing if it is skipped, more than one if it steps back.
    pub(super) fn told(&self, slot: u64) -> Vec<Slot> {
        let again = self.told_again.get(&slot).copied().unwrap_or(0);
        let slots = std::iter::once(slot).chain(slot.saturating_sub(again)..slot);
        slots.filter(|slot| !self.skipped.contains(slot)).map(|slot| self.block(slot)).collect()
    }

    fn block(&self, slot: u64) -> Slot {
        let before = self.block_before(slot);
        let parent = if self.forked.contains(&slot) { self.block_before(before) } else { before };
        Slot { slot, parent, root: slot.saturating_sub(FINALIZED_LAG + 1) }
    }
    fn block_before(&self, slot: u64) -> u64 {
        (slot.saturating_sub(FAULT_SLOTS_MAX + 1)..slot).rev().find(|at| !self.skipped.contains(at)).unwrap_or(0)
    }
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

impl Call {
    /// The options object, wherever it stands among the parameters.
    fn option(&self, name: &str) -> Option<&Value> {
        self.params.as_array()?.iter().find_map(|param| param.get(name))
    }
    /// The slot that the asked commitment stands at.
    fn slot(&self, newest: u64) -> u64 {
        match self.option("commitment").and_then(Value::as_str) {
            Some("processed" | "confirmed") => newest,
            _ => newest.saturating_sub(FINALIZED_LAG),
        }
    }
    fn result(&self, result: &str) -> Response {
        Response::json(200, solana::result(&self.id, result))
    }
    fn refused(&self, code: i64, text: &str, data: &str) -> Response {
        let error = Obj::new().int("code", code).raw("message", &quoted(text)).raw("data", data).end();
        let body = Obj::new().text("jsonrpc", "2.0").raw("error", &error).raw("id", &self.id.to_string()).end();
        Response::json(200, body)
    }
}

/// Answers one JSON-RPC request: the calls about slots here, the others by `solana`.
pub(super) fn post(request: &Request, world: &mut World) -> Response {
    let view = NodeView::of_query(&request.query);
    let newest = view.newest(world.slot);
    if world.slot_plan.too_many > 0 {
        world.slot_plan.too_many -= 1;
        let error = Obj::new().int("code", 429).text("message", "Too many requests for a specific RPC call").end();
        let body = Obj::new().text("jsonrpc", "2.0").raw("error", &error).raw("id", "null").end();
        return Response::json(429, body).with("Retry-After", 1);
    }
    let own = serde_json::from_slice::<Call>(&request.body).ok().and_then(|call| answer(&call, view, newest, world));
    own.unwrap_or_else(|| Response::json(200, solana::post(&request.body, newest)))
}

/// `None` for a call that is not about slots.
fn answer(call: &Call, view: NodeView, newest: u64, world: &World) -> Option<Response> {
    let plan = &world.slot_plan;
    let slot = call.slot(newest);
    let height = slot.saturating_sub(plan.blocks_missing);
    let wanted = call.option("minContextSlot").and_then(Value::as_u64);
    let is_about_slots = matches!(call.method.as_str(), "getSlot" | "getBlockHeight" | "getLatestBlockhash");
    if is_about_slots && wanted.is_some_and(|wanted| wanted > slot) {
        let data = Obj::new().raw("contextSlot", &slot.to_string()).end();
        return Some(call.refused(CONTEXT_NOT_REACHED, "Minimum context slot has not been reached", &data));
    }
    Some(match call.method.as_str() {
        "getSlot" => call.result(&slot.to_string()),
        "getBlockHeight" => call.result(&height.to_string()),
        "getLatestBlockhash" => {
            let context = Obj::new().raw("slot", &slot.to_string()).text("apiVersion", "4.3.2").end();
            let value = Obj::new().text("blockhash", &blockhash(slot));
            let value = value.raw("lastValidBlockHeight", &height.saturating_add(BLOCKHASH_BLOCKS).to_string()).end();
            call.result(&Obj::new().raw("context", &context).raw("value", &value).end())
        }
        "getHealth" | "sendTransaction" if plan.behind.max(view.lag) > HEALTHY_LAG_MAX || plan.behind > 0 => {
            let behind = plan.behind.max(view.lag);
            let data = Obj::new().raw("numSlotsBehind", &behind.to_string()).end();
            call.refused(UNHEALTHY, &format!("Node is behind by {behind} slots"), &data)
        }
        "getRecentPerformanceSamples" => return Some(samples(call, newest, world.slot_ms())),
        _ => return None,
    })
}

fn samples(call: &Call, newest: u64, slot_ms: u64) -> Response {
    let limit = call.params.get(0).map_or(Some(SAMPLES_MAX), Value::as_u64);
    let Some(limit) = limit.filter(|limit| *limit <= SAMPLES_MAX) else {
        return call.refused(INVALID_PARAMS, "Invalid limit; max 720", "null");
    };
    let slots = SAMPLE_S * 1_000 / slot_ms;
    let sample = |ago: u64| {
        let sample = Obj::new().raw("slot", &newest.saturating_sub(ago * slots).to_string());
        let sample = sample.raw("numSlots", &slots.to_string()).raw("numTransactions", &(slots * 1_200).to_string());
        let sample = sample.raw("numNonVoteTransactions", &(slots * 400).to_string());
        sample.raw("samplePeriodSecs", &SAMPLE_S.to_string()).end()
    };
    call.result(&array((0..limit).map(sample)))
}

/// The hash of a slot's block: 32 bytes that nothing else has, base58.
fn blockhash(slot: u64) -> String {
    base58(digest(&SHA256, &slot.to_be_bytes()).as_ref())
}

/// Bytes in base58.
fn base58(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut digits: Vec<u8> = Vec::new(); // lowest first
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    let letter = |digit: &u8| char::from(LETTERS[usize::from(*digit)]);
    std::iter::repeat_n('1', zeros).chain(digits.iter().rev().map(letter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base58_writes_the_known_keys() {
        assert_eq!(base58(&[0; 32]), "11111111111111111111111111111111");
        assert_eq!(base58(&[9; 32]), "cGfHiC6Kgg3FpFZvgwGcswsCRtp4aBP2fzuXRQPizuN");
        assert_eq!(base58(&[5; 32]), "LbUiWL3xVV8hTFYBVdbTNrpDo41NKS6o3LHHuDzjfcY");
    }

    #[test]
    fn the_plan_skips_forks_and_steps_back() {
        let mut plan = SlotPlan::default();
        plan.apply(&Fault::SkipSlots(2), 100);
        assert_eq!((plan.told(101), plan.told(102)), (vec![], vec![]));
        assert_eq!(plan.told(103), [Slot { slot: 103, parent: 100, root: 71 }]);
        plan.apply(&Fault::ForkSlots(1), 103);
        assert_eq!(plan.told(104)[0].parent, 100, "beside 103, not on top of it");
        plan.apply(&Fault::RegressSlots(2), 104);
        assert_eq!(plan.told(105).iter().map(|told| told.slot).collect::<Vec<_>>(), [105, 103, 104]);
    }
}
