//! Real events, and frames that no venue should send.

use super::desk::*;
use super::frames::frames;
use proptest::prelude::*;
use sol_volume_bot::types::*;
use sol_volume_bot::venue::binance_spot::user::{self, UserEvent};
use std::path::PathBuf;

/// A file of the shared folder, or `None` where there is no such folder.
pub fn shared(path: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("SHARED_DIR").map_or_else(beside, PathBuf::from);
    let file = folder.join("captures").join(path);
    if !file.exists() {
        println!("SKIPPED: no shared folder with {path}");
        return None;
    }
    Some(file)
}

#[test]
fn real_account_events_decode() {
    let Some(file) = shared("binance_spot/user_data_events_a.jsonl") else { return };
    let text = std::fs::read_to_string(file).unwrap();
    let rules = solusdt();
    let decoded: Vec<_> = text.lines().map(|line| user::decode(line.as_bytes(), &rules).unwrap()).collect();
    let reports: Vec<_> = decoded
        .iter()
        .filter_map(|event| match event {
            UserEvent::Order(event) => Some((event, event.report(entry()))),
            _ => None,
        })
        .collect();
    assert_eq!((decoded.len(), reports.len()), (5, 4));
    let kinds: Vec<_> = reports.iter().map(|(_, report)| report.kind).collect();
    assert_eq!(kinds, [ExecKind::New, ExecKind::Canceled, ExecKind::New, ExecKind::Fill]);
    let (canceled, _) = reports[1];
    assert_eq!((canceled.client, canceled.original), (&b"quYaDMgXvQGpI0M2Uztcdl"[..], &b"784164848349476186"[..]));
    assert!(reports.iter().all(|(event, _)| event.ours().is_none()));
    let (filled, report) = reports[3];
    assert_eq!((report.trade_id, report.last_px, report.leaves_qty), (1_297_224_255, price("2319.53"), Qty::ZERO));
    assert_eq!((report.fee, filled.order_qty), (220, qty("0.0022")), "ETH is not our base: 1e-8 of it");
    assert!(matches!(decoded[1], UserEvent::Position { base: None, quote: Some(_), .. }));
}

/// Feeds `frame` as the answer to a request of every kind, and as it is.
fn feed(frame: &str, mutate: impl Fn(&mut Vec<u8>)) {
    for command in every_command() {
        let mut desk = with_oco();
        let Ok(request) = desk.try_send(command) else { continue };
        let named = frame.replacen("\"id\":0", &format!("\"id\":{}", request["id"]), 1);
        let mut bytes = named.into_bytes();
        mutate(&mut bytes);
        // An error or events, but no panic; and the session goes on.
        let _ = desk.raw(&bytes);
        desk.timer(5_000);
        assert!(desk.events.iter().all(|event| event.stream == StreamId::BinanceUser));
    }
}

#[test]
fn every_kind_of_frame_may_answer_every_kind_of_request() {
    for frame in frames() {
        feed(&frame, |_| {});
    }
}

#[test]
fn a_frame_cut_at_any_byte_is_an_error_and_no_event() {
    for frame in frames() {
        for cut in 0..frame.len() {
            let mut desk = Desk::ready(hmac());
            assert!(desk.raw(&frame.as_bytes()[..cut]).is_err(), "{}", &frame[..cut]);
            assert!(desk.events.is_empty());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn mutated_frames_never_panic(
        which in 0_usize..9,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        feed(&frames()[which], |bytes| {
            for (at, byte) in &edits {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
        });
    }

    #[test]
    fn digits_changed_at_random_never_panic(which in 0_usize..9, digit in 0_u8..10, skip in 0_usize..40) {
        feed(&frames()[which], |bytes| {
            if let Some(at) = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).nth(skip) {
                bytes.splice(at..at, std::iter::repeat_n(b'0' + digit, 12));
            }
        });
    }
}
