//! A market account that does not change is told by no push: that is quiet, not a fault.

use sol_volume_bot::sim::server::{DexState, Fault};

use crate::desk::built;

/// Thirteen seconds: more than a connection without a frame usually lives.
const SLOTS: u64 = 33;

#[test]
fn an_account_that_stands_still_keeps_its_connection_and_its_stream() {
    let limits = [("dex_book = 3000", "dex_book = 20000"), ("solana_slot = 1000", "solana_slot = 3000")];
    let mut rig = built(&limits, |scenario| scenario.solana.slot_ms = 400); // the account's age is told in slots
    rig.venue.fault(Fault::Dex(DexState::Frozen));
    rig.start();
    let slot = rig.status()["slot"].as_u64().expect("a slot");
    rig.until("thirteen seconds of slots", |rig| {
        assert!(!rig.names("dex_book"), "{}", rig.reasons());
        rig.status()["slot"].as_u64().is_some_and(|now| now > slot + SLOTS)
    });
    let ended: Vec<_> = rig.lines().into_iter().filter(|line| line.to_string().contains("DEX account")).collect();
    assert_eq!(ended, Vec::<serde_json::Value>::new());
    rig.finish();
}
