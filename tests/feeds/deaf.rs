//! A position while the feeds are dead: its exits stand at the exchange, fill there, and are posted again.

use sol_volume_bot::sim::server::{DexState, JupiterState};
use sol_volume_bot::sim::server::{Fault, FeedState};

use crate::desk::{FURTHER, all_patient};
use crate::rig::price;

#[test]
fn targets_and_stop_work_while_every_feed_but_the_exchange_is_dead() {
    let rig = all_patient();
    rig.enter();
    rig.entered(3);
    for fault in [
        Fault::KrakenMute(true),
        Fault::Dex(DexState::Absent),
        Fault::Jupiter(JupiterState::Broken),
        Fault::ChainStop(true),
        Fault::StallSlots(true),
        Fault::Llama(FeedState::Broken),
        Fault::Pump(FeedState::Html),
        Fault::Gecko(FeedState::TooMany),
    ] {
        rig.venue.fault(fault);
    }
    rig.until("all of them named", |rig| FURTHER.iter().all(|stream| rig.names(stream)) && rig.names("solana_slot"));
    rig.venue.set_mid(price("164.00"));
    rig.line("ORDER_DONE", |line| line["purpose"] == "TP1" && line["status"] == "FILLED");
    rig.protected();
    rig.venue.set_mid(price("154.50"));
    let reason = rig.closed()["exit_reason"].clone();
    assert!(reason == "STOP" || reason == "GLOBAL_STOP", "{reason}");
    rig.finish();
}
