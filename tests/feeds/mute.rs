//! One feed after the other falls silent or speaks nonsense: named in time, nothing entered, healed by fresh data only.

use sol_volume_bot::sim::server::Fault;
use sol_volume_bot::sim::server::FeedState;
use sol_volume_bot::sim::server::{DexState, JupiterState};

use crate::desk::all;
use crate::rig::Rig;

/// Named so long after its limit at most: a status a fifth of a second, a poll a second, cores that others use too.
const SLACK_MS: i64 = 3_000;

/// What happens, what ends it, what must be named, and within which limit.
struct Trouble {
    on: Fault,
    off: Fault,
    named: &'static [&'static str],
    limit_ms: i64,
}

fn trouble(on: Fault, off: Fault, named: &'static [&'static str], limit_ms: i64) -> Trouble {
    Trouble { on, off, named, limit_ms }
}

fn mute(stream: &str, named: &'static [&'static str], limit_ms: i64) -> Trouble {
    let name = format!("solusdt@{stream}");
    trouble(Fault::MuteStream(name.clone()), Fault::UnmuteStream(name), named, limit_ms)
}

/// The entry is held back by that rule. Once more where another one was first because the machine stood still and
/// everything was silent.
fn refused_by(rule: &str, rig: &Rig, trouble: &Trouble) {
    loop {
        let began = rig.clock.now();
        let first = suffer(rig, trouble);
        if first == rule {
            return;
        }
        assert!(rig.stood_still(began), "{:?}: {first} and not {rule}\n{}", trouble.on, rig.story());
    }
}

/// Gives the rule that held the entry back.
fn suffer(rig: &Rig, trouble: &Trouble) -> String {
    let began = rig.clock.now();
    rig.venue.fault(trouble.on.clone());
    rig.until("named", |rig| trouble.named.iter().all(|stream| rig.names(stream)));
    let took_ms = rig.awake_ns(began) / 1_000_000;
    assert!(took_ms <= trouble.limit_ms + SLACK_MS, "{:?} took {took_ms} ms\n{}", trouble.on, rig.story());
    let rule = rig.refuses();
    rig.venue.fault(trouble.off.clone());
    rig.ready();
    rule
}

#[test]
fn each_stream_of_the_traded_exchange_and_the_slots_is_named_and_refused_while_mute() {
    let rig = all();
    for (what, rule) in [
        (mute("bookTicker", &["binance_bbo"], 1_000), "book_fresh"),
        (mute("depth@100ms", &["binance_depth"], 1_000), "stale_feed"),
        (mute("trade", &["binance_trade"], 2_000), "stale_feed"),
        (trouble(Fault::StallSlots(true), Fault::StallSlots(false), &["solana_slot"], 1_000), "stale_feed"),
        (trouble(Fault::MuteWsApi(true), Fault::MuteWsApi(false), &["binance_user"], 10_000), "stale_feed"),
    ] {
        refused_by(rule, &rig, &what);
    }
    rig.venue.fault(Fault::CutUserStream);
    rig.line("STREAM_DOWN", |line| line["stream"] == "binance_user");
    rig.ready();
    // Whatever it suffered: with all streams well it enters.
    rig.enter();
    rig.entered(1);
    rig.finish();
}

/// Candles of a second, so that the limit is one of seconds; any RSI will do.
const CANDLES: &str = r#"
[thresholds]
candle = "1s"
rsi_max = 100
[execution]
tranches = 1
[feeds.stale_after_ms]
binance_candle = 3000
"#;

#[test]
fn candles_that_stop_are_named_and_refused() {
    let mut rig = Rig::open(CANDLES, |scenario| {
        scenario.history.interval_ns = 1_000_000_000;
        scenario.market.noise_ticks = 1;
    });
    rig.start();
    refused_by("rsi", &rig, &mute("kline_1s", &["binance_candle"], 3_000));
    rig.enter();
    rig.entered(1);
    rig.finish();
}

#[test]
fn each_further_book_is_named_and_refused_while_mute_or_wrong() {
    let rig = all();
    let kraken: &[&str] = &["kraken_book", "kraken_ticker", "kraken_trade"];
    for what in [
        trouble(Fault::KrakenMute(true), Fault::KrakenMute(false), kraken, 2_000),
        trouble(Fault::KrakenBadChecksums(u32::MAX), Fault::KrakenBadChecksums(0), &["kraken_book"], 1_000),
        trouble(Fault::Dex(DexState::Absent), Fault::Dex(DexState::Ok), &["dex_book"], 3_000),
        trouble(Fault::Dex(DexState::Hostile), Fault::Dex(DexState::Ok), &["dex_book"], 3_000),
        trouble(Fault::Dex(DexState::WrongMint), Fault::Dex(DexState::Ok), &["dex_book"], 3_000),
        trouble(Fault::Jupiter(JupiterState::Broken), Fault::Jupiter(JupiterState::Ok), &["jupiter"], 2_000),
        trouble(Fault::Jupiter(JupiterState::Garbage), Fault::Jupiter(JupiterState::Ok), &["jupiter"], 2_000),
    ] {
        refused_by("stale_feed", &rig, &what);
    }
    rig.finish();
}

#[test]
fn each_volume_source_is_named_and_refused_while_it_is_gone() {
    let rig = all();
    let poll = |of: fn(FeedState) -> Fault, named| trouble(of(FeedState::Broken), of(FeedState::Ok), named, 1_100);
    for (what, rule) in [
        // The chain's counter: ten seconds of silence, by its own measure.
        (trouble(Fault::ChainStop(true), Fault::ChainStop(false), &["pump_chain"], 10_000), "volume_source"),
        (poll(Fault::Llama, &["defillama"]), "volume_confirmed"),
        (poll(Fault::Pump, &["pumpfun"]), "stale_feed"),
        (poll(Fault::Gecko, &["coingecko"]), "stale_feed"),
    ] {
        refused_by(rule, &rig, &what);
    }
    // A source that answers but cannot be believed: its stream is up, and `/readyz` says what is lacking.
    rig.venue.fault(Fault::Llama(FeedState::Stale));
    rig.until("named", |rig| rig.reasons().contains("volume: 0 of 1 confirmations can be had"));
    assert!(!rig.names("defillama"), "{}", rig.reasons());
    assert_eq!(rig.refuses(), "volume_confirmed");
    rig.venue.fault(Fault::Llama(FeedState::Ok));
    rig.ready();
    rig.finish();
}

#[test]
fn an_acknowledged_subscription_brings_no_book_back() {
    let rig = all();
    rig.venue.fault(Fault::KrakenMute(true));
    rig.venue.fault(Fault::Dex(DexState::Absent));
    rig.venue.fault(Fault::DropKraken);
    rig.venue.fault(Fault::DropSolana);
    rig.until("both named", |rig| rig.names("kraken_book") && rig.names("dex_book"));
    rig.until("the rest is back", |rig| !rig.names("solana_slot") && !rig.names("pump_chain"));
    rig.venue_until("Kraken's client is back", |now| now.kraken_clients > 0);
    let slot = rig.status()["slot"].as_u64().expect("a slot");
    let later = |rig: &Rig| rig.status()["slot"].as_u64().is_some_and(|now| now > slot + 30);
    rig.until("thirty slots", |rig| {
        assert!(rig.names("kraken_book") && rig.names("dex_book"), "{}", rig.reasons());
        later(rig)
    });
    rig.venue.fault(Fault::KrakenMute(false));
    rig.until("Kraken's book", |rig| !rig.names("kraken_book"));
    assert!(rig.names("dex_book"), "{}", rig.reasons());
    rig.venue.fault(Fault::Dex(DexState::Ok));
    rig.ready();
    rig.finish();
}
