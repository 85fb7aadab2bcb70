//! JSON-RPC bodies and answers.

use serde_json::{Value, json};
use sol_volume_bot::venue::DecodeError;
use sol_volume_bot::venue::solana::Commitment;
use sol_volume_bot::venue::solana::rpc::{self, RpcError, answer};

use super::frames::{ACCOUNTS, BEHIND, SAMPLES};

fn body(write: impl FnOnce(&mut Vec<u8>)) -> Value {
    let mut out = Vec::new();
    write(&mut out);
    serde_json::from_slice(&out).expect("a body is JSON")
}

#[test]
fn bodies_are_what_the_documents_ask_for() {
    let call =
        |id, method: &str, params: Value| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    let options = json!({"encoding": "base64", "commitment": "confirmed"});
    assert_eq!(body(|out| rpc::get_health(1, out)), json!({"jsonrpc": "2.0", "id": 1, "method": "getHealth"}));
    assert_eq!(
        body(|out| rpc::get_slot(2, Commitment::Processed, out)),
        call(2, "getSlot", json!([{"commitment": "processed"}]))
    );
    assert_eq!(
        body(|out| rpc::get_recent_performance_samples(3, 9_999, out)),
        call(3, "getRecentPerformanceSamples", json!([720]))
    );
    assert_eq!(
        body(|out| rpc::get_account_info(4, "k", Commitment::Confirmed, out)),
        call(4, "getAccountInfo", json!(["k", options]))
    );
    assert_eq!(
        body(|out| rpc::get_multiple_accounts(5, &["a", "b"], Commitment::Confirmed, out)),
        call(5, "getMultipleAccounts", json!([["a", "b"], options]))
    );
    let many = body(|out| rpc::get_multiple_accounts(6, &["k"; 101], Commitment::Confirmed, out));
    assert_eq!(many["params"][0].as_array().map(Vec::len), Some(100));
}

#[test]
fn errors_are_told_apart_by_status_and_code() {
    assert_eq!(answer(200, None, BEHIND), Err(RpcError::Behind { slots: Some(42) }));
    let unhealthy = br#"{"jsonrpc":"2.0","error":{"code":-32005,"message":"Node is unhealthy","data":{"numSlotsBehind":null}},"id":1}"#;
    assert_eq!(answer(503, None, unhealthy), Err(RpcError::Behind { slots: None }));
    assert_eq!(answer(429, Some(7), b"slow down"), Err(RpcError::TooMany { retry_after_s: Some(7) }));
    let limited = br#"{"jsonrpc":"2.0","error":{"code":-32429,"message":"rate limited"},"id":1}"#;
    assert_eq!(answer(200, None, limited), Err(RpcError::TooMany { retry_after_s: None }));
    let skipped = br#"{"jsonrpc":"2.0","error":{"code":-32007,"message":"Slot 5 was skipped"},"id":1}"#;
    assert_eq!(answer(200, None, skipped), Err(RpcError::Node { code: -32_007 }));
    assert_eq!(answer(502, None, b"<html>Bad Gateway</html>"), Err(RpcError::Status { status: 502 }));
    assert_eq!(answer(403, None, br#"{"jsonrpc":"2.0","id":1}"#), Err(RpcError::Status { status: 403 }));
    assert_eq!(answer(200, None, b"<html>"), Err(RpcError::Decode(DecodeError::Syntax { at: 0 })));
    let empty = Err(RpcError::Decode(DecodeError::Missing { name: "result" }));
    assert_eq!(answer(200, None, br#"{"jsonrpc":"2.0","id":1}"#).map(|_| ()), empty);
    assert!(
        answer(200, None, br#"{"jsonrpc":"2.0","error":null,"result":"ok","id":1}"#)
            .is_ok_and(|it| it.health().is_ok())
    );
}

#[test]
fn answers_give_their_values() {
    let read = |text: &'static str| answer(200, None, text.as_bytes()).expect("an answer");
    let slot = read(r#"{"jsonrpc":"2.0","result":18446744073709551615,"id":9}"#);
    assert_eq!((slot.id, slot.slot()), (Some(9), Ok(u64::MAX)));
    assert!(read(r#"{"id":1,"result":"behind"}"#).health().is_err());
    let (time, count) = read(SAMPLES).sampled_time().expect("samples");
    assert_eq!((count, time.slot_ns()), (2, Some(120_000_000_000 / 451)));
    let (none, count) = read(r#"{"id":1,"result":[]}"#).sampled_time().expect("no samples");
    assert_eq!((count, none.slot_ns()), (0, None));
}

#[test]
fn many_accounts_come_in_the_order_of_their_keys_with_holes() {
    let mut seen = Vec::new();
    let slot = answer(200, None, ACCOUNTS).expect("an answer").accounts(|number, account| {
        seen.push((number, account.map(|account| account.lamports)));
    });
    assert_eq!((slot, seen), (Ok(77), vec![(0, Some(u64::MAX)), (1, None), (2, Some(1))]));
}
