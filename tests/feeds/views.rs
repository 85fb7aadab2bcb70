//! Who has the best price, how far the Solana exchanges are away, and the rule that stands on it.

use sol_volume_bot::sim::server::Fault;

use crate::desk::{FURTHER, all};

#[test]
fn a_solana_price_too_far_away_refuses_entries_and_heals() {
    let rig = all();
    rig.venue.fault(Fault::DexDivergeBps(200));
    rig.until("the divergence is seen", |rig| rig.metric("svb_dex_divergence_ratio", "") > 0.015);
    assert_eq!(rig.refuses(), "dex_divergence");
    rig.venue.fault(Fault::DexDivergeBps(0));
    rig.until("it is gone", |rig| rig.metric("svb_dex_divergence_ratio", "") < 0.005);
    rig.enter();
    rig.entered(1);
    rig.finish();
}

#[test]
fn the_best_prices_of_all_venues_are_shown_with_whose_they_are() {
    let rig = all();
    let status = rig.status();
    let known = ["binance_bbo", "kraken_book", "dex_book", "jupiter"];
    for side in ["best_bid", "best_ask"] {
        let stream = status[side]["stream"].as_str().unwrap_or_default();
        assert!(known.contains(&stream), "{side}: {}", status[side]);
        assert!(rig.metric(&format!("svb_{side}_quote{{"), stream) >= 0.0);
    }
    assert!(rig.metric("svb_best_bid_quote{", "") > 160.0);
    for stream in FURTHER.into_iter().chain(["binance_bbo", "binance_depth", "binance_user", "solana_slot"]) {
        rig.until(stream, |rig| rig.metric("svb_stream_up{", &format!("\"{stream}\"")) == 1.0);
    }
    // The Solana exchange bids 2 % more: the best bid is there.
    rig.venue.fault(Fault::DexDivergeBps(200));
    rig.until("the best bid is on Solana", |rig| {
        let stream = rig.status()["best_bid"]["stream"].clone();
        stream == "dex_book" || stream == "jupiter"
    });
    rig.finish();
}
