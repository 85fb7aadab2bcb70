//! PubSub requests, acks and notifications.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sol_volume_bot::cli::decode::{VenueName, decode_lines};
use sol_volume_bot::types::event::Slot;
use sol_volume_bot::venue::DecodeError;
use sol_volume_bot::venue::solana::rpc::AccountData;
use sol_volume_bot::venue::solana::subscribe::{
    Answered, Commitment, Frame, SUBSCRIPTIONS_MAX, Subscriptions, Topic, frame, request, unsubscribe,
};

use super::frames::{ACCOUNT, BEHIND, LOGS};

const KEY: &str = "cGfHiC6Kgg3FpFZvgwGcswsCRtp4aBP2fzuXRQPizuN";

fn written(topic: &Topic<'_>) -> Value {
    let mut out = Vec::new();
    request(7, topic, &mut out);
    serde_json::from_slice(&out).expect("a request is JSON")
}

#[test]
fn requests_are_what_the_documents_ask_for() {
    assert_eq!(written(&Topic::Slots), json!({"jsonrpc": "2.0", "id": 7, "method": "slotSubscribe"}));
    assert_eq!(
        written(&Topic::Account(KEY, Commitment::Confirmed)),
        json!({"jsonrpc": "2.0", "id": 7, "method": "accountSubscribe",
            "params": [KEY, {"encoding": "base64", "commitment": "confirmed"}]})
    );
    assert_eq!(
        written(&Topic::Logs(KEY, Commitment::Processed)),
        json!({"jsonrpc": "2.0", "id": 7, "method": "logsSubscribe",
            "params": [{"mentions": [KEY]}, {"commitment": "processed"}]})
    );
    let mut out = Vec::new();
    unsubscribe(8, "logsUnsubscribe", u64::MAX, &mut out);
    assert_eq!(out, br#"{"jsonrpc":"2.0","id":8,"method":"logsUnsubscribe","params":[18446744073709551615]}"#);
}

#[test]
fn notifications_are_read_in_place_with_numbers_above_two_to_the_fifty_third() {
    let slot = br#"{"jsonrpc":"2.0","method":"slotNotification","params":{"subscription":9007199254740993,"result":{"slot":9007199254740995,"root":9007199254740963,"parent":9007199254740994}}}"#;
    let told = Slot { slot: 9_007_199_254_740_995, parent: 9_007_199_254_740_994, root: 9_007_199_254_740_963 };
    assert_eq!(frame(slot), Ok(Frame::Slot(9_007_199_254_740_993, told)));
    let Ok(Frame::Account(23_784, note)) = frame(ACCOUNT) else { panic!("{:?}", frame(ACCOUNT)) };
    let account = note.account.expect("it exists");
    assert_eq!((note.slot, account.lamports, account.owner.len()), (405_112_233, 33_594, 32));
    let mut bytes = vec![9; 9];
    assert_eq!((account.data.decode_into(&mut bytes), bytes), (Ok(()), vec![1, 2, 3]));
    let Ok(Frame::Logs(24_040, note)) = frame(LOGS) else { panic!("{:?}", frame(LOGS)) };
    let mut lines = Vec::new();
    assert_eq!(note.each_line(|line| lines.push(line.to_vec())), Ok(Some(3)));
    assert_eq!((note.slot, note.failed, lines[1].as_slice()), (5_208_469, true, br#"say \"hi\""#.as_slice()));
}

#[test]
fn an_account_that_is_gone_and_logs_that_are_null_are_no_errors() {
    let gone =
        br#"{"method":"accountNotification","params":{"result":{"context":{"slot":4},"value":null},"subscription":1}}"#;
    assert!(matches!(frame(gone), Ok(Frame::Account(1, note)) if note.account.is_none() && note.slot == 4));
    let bare = br#"{"method":"logsNotification","params":{"result":{"context":{"slot":4},"value":{"signature":"x","err":null,"logs":null}},"subscription":1}}"#;
    let Ok(Frame::Logs(1, note)) = frame(bare) else { panic!("{:?}", frame(bare)) };
    assert_eq!((note.each_line(|_| panic!("there are none")), note.failed), (Ok(None), false));
}

#[test]
fn data_that_is_not_base64_or_longer_than_an_account_is_refused() {
    let mut bytes = Vec::new();
    let read = |data: &[u8], bytes: &mut Vec<u8>| AccountData::Base64(data).decode_into(bytes);
    assert_eq!(read(b"A?==", &mut bytes), Err(DecodeError::Contradiction { name: "data" }));
    let long = STANDARD.encode(vec![7; (10 << 20) + 3]);
    assert_eq!(read(long.as_bytes(), &mut bytes), Err(DecodeError::TooLong { got: long.len() }));
    assert_eq!(AccountData::Parsed.decode_into(&mut bytes), Err(DecodeError::Missing { name: "base64 data" }));
}

#[test]
fn an_ack_is_matched_to_what_was_asked_on_its_own_connection() {
    let (mut desk, mut out) = (Subscriptions::default(), Vec::new());
    assert_eq!(desk.ask(1, 10, &Topic::Slots, &mut out), Some(1));
    assert_eq!(desk.ask(1, 11, &Topic::Account(KEY, Commitment::Confirmed), &mut out), Some(2));
    let ack = |id, subscription| Frame::Ack { id, subscription };
    assert_eq!(desk.on_answer(2, &ack(1, 77)), Answered::Unasked, "another connection");
    assert_eq!(desk.on_answer(1, &ack(2, 77)), Answered::Open(11));
    assert!(!desk.all_open(1));
    assert_eq!(desk.on_answer(1, &ack(1, 78)), Answered::Open(10));
    assert!(desk.all_open(1) && !desk.all_open(2));
    assert_eq!((desk.tag(1, 77), desk.tag(1, 78), desk.tag(2, 77), desk.tag(1, 79)), (Some(11), Some(10), None, None));
    desk.forget(1);
    assert_eq!((desk.tag(1, 77), desk.all_open(1)), (None, false), "ids of a dead connection mean nothing");
    assert_eq!(desk.ask(3, 10, &Topic::Slots, &mut out), Some(3), "no id is used twice");
}

#[test]
fn a_refusal_names_what_was_refused_and_frees_its_place() {
    let (mut desk, mut out) = (Subscriptions::default(), Vec::new());
    for tag in 0..SUBSCRIPTIONS_MAX as u32 {
        assert!(desk.ask(1, tag, &Topic::Slots, &mut out).is_some());
    }
    let before = out.len();
    assert_eq!((desk.ask(1, 99, &Topic::Slots, &mut out), out.len()), (None, before), "full, and nothing written");
    let refusal = frame(br#"{"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid Request: bad key"},"id":5}"#)
        .expect("JSON");
    let Frame::Refused { id: Some(5), error } = refusal else { panic!("{refusal:?}") };
    assert_eq!((error.code, error.message), (-32_602, b"Invalid Request: bad key".as_slice()));
    assert_eq!(desk.on_answer(1, &refusal), Answered::Refused(4));
    assert_eq!(desk.on_answer(1, &refusal), Answered::Unasked);
    assert!(desk.ask(1, 99, &Topic::Slots, &mut out).is_some());
    let unread =
        frame(br#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}"#).expect("JSON");
    assert_eq!(
        (desk.on_answer(1, &unread), frame(b"{\"id\":1,\"result\":true}")),
        (Answered::Unasked, Ok(Frame::Other))
    );
}

#[test]
fn the_decode_verb_writes_one_event_a_line_and_names_the_bad_one() {
    let mut input = b"17 ".to_vec();
    input.extend_from_slice(&super::desk::frame_on(400, 399));
    for line in [ACCOUNT, LOGS, br#"{"jsonrpc":"2.0","result":23784,"id":1}"#] {
        input.push(b'\n');
        input.extend_from_slice(line);
    }
    input.extend_from_slice(b"\n\n9 {\"method\":\"slotNotification\",\"params\":{\"result\":{\"slot\":-1}}}\n");
    input.extend_from_slice(BEHIND);
    let (mut out, mut complaints) = (Vec::new(), Vec::new());
    let tally = decode_lines(VenueName::Solana, false, input.as_slice(), &mut out, &mut complaints)
        .expect("memory does not fail");
    assert_eq!((tally.lines, tally.bad), (6, 1));
    let complaints = String::from_utf8(complaints).expect("text");
    assert!(complaints.starts_with("decode: line 6, byte "), "{complaints}");
    let events: Vec<Value> = String::from_utf8(out).expect("text").lines().map(|l| l.parse().expect("JSON")).collect();
    let slot = json!({"kind": "slot", "subscription": 7, "slot": 400, "parent": 399, "root": 368, "recv_ns": 17});
    assert_eq!(events[0], slot);
    assert_eq!(
        (&events[1]["kind"], &events[1]["data_bytes"], &events[1]["slot"]),
        (&json!("account"), &json!(3), &json!(405_112_233))
    );
    assert_eq!(
        (&events[2]["kind"], &events[2]["lines"], &events[2]["failed"]),
        (&json!("logs"), &json!(3), &json!(true))
    );
    assert_eq!(events[3], json!({"kind": "ack", "id": 1, "subscription": 23_784}));
    assert_eq!((&events[4]["code"], &events[4]["slots_behind"]), (&json!(-32_005), &json!(42)));
}
