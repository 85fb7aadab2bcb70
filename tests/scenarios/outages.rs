//! Streams that fall silent: named by `/readyz`, no entry meanwhile, exits go on, and all of it heals.

use sol_volume_bot::sim::server::Fault;

use crate::rig::{Rig, price};

const TICKER: &str = "solusdt@bookTicker";

#[test]
fn a_mute_ticker_is_named_stops_entries_and_heals() {
    let rig = Rig::run("feeds.stale_after_ms.binance_bbo = 4000");
    rig.venue.fault(Fault::MuteStream(TICKER.to_owned()));
    rig.line("STREAM_DOWN", |line| line["stream"] == "binance_bbo");
    rig.until("not ready", |rig| rig.http("/readyz").0 == 503);
    let reasons = rig.http("/readyz").1;
    assert!(reasons.contains("binance_bbo is stale"), "{reasons}");
    rig.venue.set_mid(price("161.00"));
    let slot = rig.status()["slot"].as_u64().expect("a slot");
    rig.until("a while", |rig| rig.status()["slot"].as_u64().is_some_and(|now| now > slot + 10));
    assert_eq!(rig.venue.received(), [], "no entry without a price");
    rig.venue.fault(Fault::UnmuteStream(TICKER.to_owned()));
    rig.line("ENTER", |_| true);
    rig.entered(3);
    rig.finish();
}

#[test]
fn exits_work_while_the_ticker_is_mute() {
    let rig = Rig::run("feeds.stale_after_ms.binance_bbo = 4000");
    rig.enter();
    rig.entered(3);
    rig.venue.fault(Fault::MuteStream(TICKER.to_owned()));
    rig.until("not ready", |rig| rig.http("/readyz").1.contains("binance_bbo"));
    rig.venue.set_mid(price("154.50"));
    rig.closed();
    rig.finish();
}

#[test]
fn a_cut_user_stream_is_subscribed_again_and_what_happened_meanwhile_is_known() {
    let mut rig = Rig::run("");
    rig.blind_ms = 500; // the rest of a target filled unheard waits for the stream
    rig.enter();
    rig.entered(3);
    rig.venue.fault(Fault::CutUserStream);
    rig.venue.set_mid(price("164.00"));
    rig.line("ORDER_DONE", |line| line["purpose"] == "TP1" && line["status"] == "FILLED");
    rig.protected();
    rig.until("ready again", |rig| rig.http("/readyz").0 == 200);
    assert_eq!(rig.venue.snapshot().user_subscriptions, 1);
    rig.venue.set_mid(price("166.50"));
    assert_eq!(rig.closed()["exit_reason"], "TAKE_PROFIT");
    rig.finish();
}

#[test]
fn connections_that_fall_silent_without_closing_are_named_and_a_new_one_heals_each() {
    let rig = Rig::run("feeds.stale_after_ms = { binance_bbo = 4000, solana_slot = 4000 }");
    rig.enter();
    rig.entered(3);
    rig.venue.fault(Fault::HalfOpen);
    rig.until("both named", |rig| {
        let reasons = rig.http("/readyz").1;
        reasons.contains("binance_bbo is stale") && reasons.contains("solana_slot is stale")
    });
    for cut in [Fault::DropStreams, Fault::DropSolana, Fault::DropWsApi] {
        rig.venue.fault(cut);
    }
    rig.until("ready again", |rig| rig.http("/readyz").0 == 200);
    rig.venue.set_mid(price("164.00"));
    rig.line("ORDER_DONE", |line| line["purpose"] == "TP1" && line["status"] == "FILLED");
    rig.finish();
}
