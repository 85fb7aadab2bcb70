//! WebSocket frames against tungstenite, both directions.

use std::io::Cursor;
use std::sync::mpsc;

use proptest::prelude::*;
use sol_volume_bot::sys::net::Target;
use sol_volume_bot::sys::net::ws::{FRAME_HEAD_MAX, Message, Opcode, Walker, seal_frame};
use tungstenite::protocol::Role;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::peer::{Harness, ws_server};

const SIZES: [usize; 9] = [1, 125, 126, 127, 65_535, 65_536, 70_000, 300_000, 2_000_000];

fn text(size: usize) -> String {
    (0..size).map(|at| char::from(b'a' + (at % 23) as u8)).collect()
}

/// A server's frame as tungstenite writes it.
fn frame(payload: &[u8], opcode: OpCode, fin: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    Frame::message(payload.to_vec(), opcode, fin).format(&mut bytes).expect("format");
    bytes
}

#[test]
fn messages_of_every_length_form_come_through_both_ways() {
    let (tell, told) = mpsc::channel();
    let served = ws_server(None, move |_, mut ws| {
        for size in SIZES {
            ws.send(tungstenite::Message::text(text(size))).expect("send");
        }
        for _ in SIZES {
            tell.send(ws.read().expect("echo").into_text().expect("text").to_string()).expect("test waits");
        }
    });
    let mut harness = Harness::new(&served.url, None);
    harness.until("all messages", |harness| harness.probe.frames.len() == SIZES.len());
    assert_eq!(harness.texts(), SIZES.map(text).iter().map(String::as_bytes).collect::<Vec<_>>());
    for size in SIZES {
        let sent = text(size);
        // The long ones wait for room: the backlog is bounded below their length, so they are refused whole.
        let result = harness.link.send(Target::Current, sent.as_bytes());
        assert_eq!(result.is_ok(), size < 250_000, "{size}: {result:?}");
        if result.is_ok() {
            let heard = loop {
                harness.turn();
                if let Ok(heard) = told.try_recv() {
                    break heard;
                }
            };
            assert_eq!(heard, sent);
        }
    }
}

#[test]
fn fragments_are_joined_and_a_ping_between_them_is_answered_with_its_payload() {
    let (tell, told) = mpsc::channel();
    let served = ws_server(None, move |_, mut ws| {
        let part = |text: &str, opcode, fin| {
            tungstenite::Message::Frame(Frame::message(text.as_bytes().to_vec(), OpCode::Data(opcode), fin))
        };
        ws.send(part("one ", Data::Text, false)).expect("send");
        ws.send(tungstenite::Message::Ping("still there?".into())).expect("send");
        ws.send(part("two ", Data::Continue, false)).expect("send");
        ws.send(part("three", Data::Continue, true)).expect("send");
        tell.send(ws.read().expect("pong")).expect("test waits");
        ws.close(None).expect("close");
        while ws.read().is_ok() {}
    });
    let mut harness = Harness::new(&served.url, None);
    harness.until("message", |harness| !harness.probe.frames.is_empty());
    assert_eq!(harness.texts(), [b"one two three"]);
    harness.until("close", |harness| !harness.probe.downs.is_empty());
    assert_eq!(told.recv().expect("pong"), tungstenite::Message::Pong("still there?".into()));
    assert!(harness.last_down().contains("closed by the peer: code 1005"), "{}", harness.last_down());
}

/// What a walker made of all bytes, offered in pieces.
fn walk(bytes: &[u8], cuts: &[usize]) -> (Vec<Vec<u8>>, bool) {
    let mut walker = Walker::new(100_000);
    let (mut held, mut messages) = (Vec::new(), Vec::new());
    let mut from = 0;
    for &cut in cuts.iter().chain([&bytes.len()]) {
        let cut = cut.clamp(from, bytes.len());
        held.extend_from_slice(&bytes[from..cut]);
        from = cut;
        loop {
            match walker.step(&held) {
                Ok(None) => break,
                Err(_) => return (messages, false),
                Ok(Some(step)) => {
                    if let Some(message) = step.message {
                        messages.push(format!("{message:?}").into_bytes());
                    }
                    let used = step.used;
                    held.drain(..used);
                }
            }
        }
    }
    (messages, true)
}

fn session() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), Just(vec![7; 70_000])];
    let one = (payload, 0..4_u8).prop_map(|(payload, kind)| match kind {
        0 => frame(&payload, OpCode::Data(Data::Text), true),
        1 => ping(&payload[..payload.len().min(125)]),
        2 => frame(&payload, OpCode::Data(Data::Binary), true),
        _ => {
            let (left, right) = payload.split_at(payload.len() / 2);
            [frame(left, OpCode::Data(Data::Text), false), frame(right, OpCode::Data(Data::Continue), true)].concat()
        }
    });
    proptest::collection::vec(one, 1..6).prop_map(|frames| frames.concat())
}

fn ping(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Frame::ping(payload.to_vec()).format(&mut bytes).expect("format");
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_cut_anywhere_give_the_same_messages(bytes in session(), cuts in proptest::collection::vec(0..80_000_usize, 0..8)) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        let (whole, good) = walk(&bytes, &[]);
        prop_assert!(good);
        prop_assert!(!whole.is_empty());
        prop_assert_eq!(walk(&bytes, &cuts), (whole, true));
    }

    #[test]
    fn bytes_changed_anywhere_never_panic_and_never_depend_on_cuts(
        bytes in session(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in 0..300_usize,
    ) {
        let mut bytes = bytes;
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        prop_assert_eq!(walk(&bytes, &[cut]), walk(&bytes, &[]));
    }

    #[test]
    fn frames_we_build_are_what_tungstenite_reads(payload in "[ -~]{0,300}", mask in any::<[u8; 4]>()) {
        let mut buf = [vec![0; FRAME_HEAD_MAX], payload.clone().into_bytes()].concat();
        let start = seal_frame(&mut buf, FRAME_HEAD_MAX, Opcode::Text, mask);
        let wire = Cursor::new(buf[start..].to_vec());
        let mut server = tungstenite::WebSocket::from_raw_socket(wire, Role::Server, None);
        let read = server.read().expect("valid").into_text().expect("text");
        prop_assert_eq!(read.as_str(), payload);
    }
}

#[test]
fn every_single_cut_of_a_session_gives_the_same_messages() {
    let bytes = [
        frame(b"one", OpCode::Data(Data::Text), true),
        frame(&[b'x'; 300], OpCode::Data(Data::Text), false),
        ping(b"p"),
        frame(b"y", OpCode::Data(Data::Continue), true),
    ]
    .concat();
    let whole = walk(&bytes, &[]);
    assert_eq!(whole.0.len(), 3);
    for cut in 0..=bytes.len() {
        assert_eq!(walk(&bytes, &[cut]), whole, "{cut}");
    }
    let mut walker = Walker::new(10);
    let step = walker.step(&bytes).expect("valid").expect("whole");
    assert_eq!(step.message, Some(Message::Text(b"one")));
}
