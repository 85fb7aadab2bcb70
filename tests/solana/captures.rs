//! Answers of real nodes. Without the shared folder these tests say so and pass.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::value::RawValue;
use sol_volume_bot::venue::solana::rpc::{AccountData, RpcError, answer};
use sol_volume_bot::venue::solana::subscribe::{Frame, frame};

/// A file of the captures, unpacked; `None`, said plainly, if the shared folder is absent.
fn capture(name: &str) -> Option<Vec<u8>> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("SHARED_DIR").map_or_else(beside, PathBuf::from);
    if !shared.join("captures").exists() {
        println!("SKIPPED: {name}: no shared folder at {}", shared.display());
        return None;
    }
    let path = shared.join("captures/solana_rpc").join(name);
    let file = File::open(&path).expect("the capture is there");
    let mut bytes = Vec::new();
    let mut reader: Box<dyn Read> =
        if name.ends_with(".gz") { Box::new(flate2::read::GzDecoder::new(file)) } else { Box::new(file) };
    reader.read_to_end(&mut bytes).expect("the capture unpacks");
    Some(bytes)
}

#[derive(serde::Deserialize)]
struct Pair<'a> {
    #[serde(borrow)]
    request: &'a RawValue,
    #[serde(borrow)]
    response: &'a RawValue,
}

#[test]
fn every_recorded_answer_parses_or_is_a_typed_error() {
    let Some(bytes) = capture("blocto_rpc_pairs_a.jsonl") else { return };
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let pair: Pair = serde_json::from_slice(line).expect("a pair");
        let request: Value = serde_json::from_str(pair.request.get()).expect("JSON");
        let truth: Value = serde_json::from_str(pair.response.get()).expect("JSON");
        let body = pair.response.get().as_bytes();
        let method = request["method"].as_str().unwrap_or_default();
        let kind = match answer(200, None, body) {
            Ok(answer) => {
                assert_eq!(answer.id, truth["id"].as_u64());
                match method {
                    "getSlot" => assert_eq!(answer.slot().ok(), truth["result"].as_u64()),
                    "getHealth" => assert_eq!(answer.health(), Ok(())),
                    "getAccountInfo" => {
                        let note = answer.account().expect("an account");
                        let account = note.account.expect("it exists");
                        assert_eq!(Some(note.slot), truth["result"]["context"]["slot"].as_u64());
                        assert_eq!(Some(account.lamports), truth["result"]["value"]["lamports"].as_u64());
                        assert!(matches!(account.data, AccountData::Base64(_) | AccountData::Other(_)));
                    }
                    "getMultipleAccounts" => {
                        let mut count = 0;
                        answer.accounts(|_, _| count += 1).expect("accounts");
                        assert_eq!(Some(count), truth["result"]["value"].as_array().map(Vec::len));
                    }
                    "getRecentPerformanceSamples" => assert!(answer.sampled_time().is_ok()),
                    _ => {}
                }
                "value".to_owned()
            }
            Err(RpcError::Decode(why)) => panic!("{method}: {why}: {}", pair.response.get()),
            Err(why) => why.to_string(),
        };
        *kinds.entry(kind).or_default() += 1;
        assert!(!matches!(frame(body), Err(_) | Ok(Frame::Slot(..))), "{method}");
    }
    assert_eq!(kinds.values().sum::<usize>(), 79, "{kinds:?}");
    assert_eq!(kinds["the node is unhealthy, behind by Some(42) slots"], 1);
    assert_eq!(kinds["the node is unhealthy, behind by None slots"], 1);
    assert!(kinds["the node answered error -32602"] >= 1 && kinds["value"] > 60, "{kinds:?}");
}

#[test]
fn large_answers_are_walked_whole() {
    for name in
        ["getBlock_json_encoding.json.gz", "getTransaction_json_encoding.json", "pumpfun_getTransaction_create.json.gz"]
    {
        let Some(bytes) = capture(name) else { return };
        let it = answer(200, None, &bytes).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert!(it.id.is_some() && it.slot().is_err() && it.account().is_err(), "{name}: it is none of these");
    }
}

#[test]
fn a_real_account_gives_its_bytes() {
    let Some(bytes) = capture("pumpfun_getAccountInfo_bonding_curve.json") else { return };
    let note = answer(200, None, &bytes).expect("an answer").account().expect("an account");
    let account = note.account.expect("it exists");
    let mut data = Vec::new();
    account.data.decode_into(&mut data).expect("base64");
    assert_eq!((note.slot, account.lamports, data.len()), (285_247_740, 73_551_852, 49));
    assert_eq!(data[..8], [0x17, 0xb7, 0xf8, 0x37, 0x60, 0xd8, 0xac, 0x60]);
}
