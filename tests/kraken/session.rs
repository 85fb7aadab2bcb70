//! The session: what is asked, and what is told, once and in order, when streams come, stop, repeat and move on.

use sol_volume_bot::types::StreamId;
use sol_volume_bot::venue::kraken::FrameKind;
use sol_volume_bot::venue::kraken::decode::System;
use sol_volume_bot::venue::kraken::feed::Refusal;

use super::desk::{HEARTBEAT, Oracle, Rig, SNAPSHOT, UPDATE, capture, received, settings};
use sol_volume_bot::types::time::NANOS_PER_MILLI;
use sol_volume_bot::venue::kraken::session::BookDepth;
use sol_volume_bot::venue::kraken::{KrakenSettings, Pair};

#[test]
fn nothing_is_asked_before_the_venue_says_that_it_works() {
    let mut rig = Rig::new(settings());
    rig.open(1);
    rig.after_ms(100);
    assert_eq!(rig.sent(), [""; 0]);
    assert_eq!(rig.status(1, "maintenance"), Ok(FrameKind::System(System::Maintenance)));
    assert_eq!(rig.sent(), [""; 0]);
    assert_eq!(rig.status(1, "online"), Ok(FrameKind::System(System::Online)));
    assert_eq!(
        rig.sent(),
        [
            r#"{"method":"subscribe","params":{"channel":"book","symbol":["SOL/USD"],"depth":10,"snapshot":true},"req_id":1}"#,
            r#"{"method":"subscribe","params":{"channel":"ticker","symbol":["SOL/USD"],"event_trigger":"bbo","snapshot":true},"req_id":2}"#,
            r#"{"method":"subscribe","params":{"channel":"trade","symbol":["SOL/USD"],"snapshot":false},"req_id":3}"#,
        ]
    );
    assert_eq!(rig.status(1, "online"), Ok(FrameKind::Control), "told once");
    assert_eq!(rig.sent(), [""; 0]);
}

#[test]
fn an_acknowledgement_or_a_heartbeat_brings_nothing_up_and_each_stream_comes_up_with_its_own_data() {
    let mut rig = Rig::subscribed();
    rig.heartbeats(3);
    assert_eq!(rig.told(), [""; 0]);
    assert_eq!(rig.hear(SNAPSHOT), Ok(FrameKind::Data));
    assert_eq!(rig.told(), ["book up", "book bbo 142.36/142.37", "book depth 3.0005/262.57"]);
    assert!(!rig.session.is_delivering(1));
    rig.ticker(1, 14_236, "2026-11-22T10:00:00.1Z");
    assert_eq!(rig.told(), ["ticker up", "ticker bbo 142.36/142.37"]);
    assert!(rig.session.is_delivering(1));
    assert_eq!(rig.trades(1, &[7, 8]), Ok(FrameKind::Data));
    assert_eq!(rig.told(), ["trade up", "trade 7 161", "trade 8 161"]);
}

#[test]
fn the_book_is_sampled_at_its_interval_and_its_top_told_only_when_it_changed() {
    let mut rig = Rig::subscribed();
    rig.hear(SNAPSHOT).expect("a book");
    rig.told();
    assert_eq!(rig.hear(UPDATE), Ok(FrameKind::Data));
    assert_eq!(rig.told(), [""; 0], "an update is told with the next sample");
    rig.after_ms(200);
    assert_eq!(rig.told(), [""; 0]);
    rig.after_ms(50);
    assert_eq!(rig.told(), ["book bbo 142.36/142.38", "book depth 2.2505/251.07"]);
    for _ in 0..20 {
        rig.after_ms(50);
    }
    assert_eq!(rig.told(), ["book depth 2.2505/251.07"; 4], "four a second, the top unchanged");
}

#[test]
fn the_ticker_is_told_at_once_but_only_on_change_and_never_backwards() {
    let mut rig = Rig::subscribed();
    rig.ticker(1, 16_100, "2026-11-22T10:00:00.000002Z");
    rig.ticker(1, 16_100, "2026-11-22T10:00:00.000003Z");
    rig.ticker(1, 16_105, "2026-11-22T10:00:00.000004Z");
    assert_eq!(rig.told(), ["ticker up", "ticker bbo 161/161.01", "ticker bbo 161.05/161.06"]);
    let late = r#"{"channel":"ticker","type":"update","data":[{"symbol":"SOL/USD","bid":160.00,"bid_qty":1,"ask":160.01,"ask_qty":1,"timestamp":"2026-11-22T10:00:00.000003Z"}]}"#;
    assert_eq!(rig.hear(late), Ok(FrameKind::Control));
    let other = r#"{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":160.00,"bid_qty":1,"ask":160.01,"ask_qty":1}]}"#;
    assert_eq!(rig.hear(other), Ok(FrameKind::Control));
    assert_eq!(rig.told(), [""; 0]);
}

#[test]
fn trades_of_before_the_subscription_are_not_news() {
    let mut rig = Rig::subscribed();
    let old = r#"{"channel":"trade","type":"snapshot","data":[{"symbol":"SOL/USD","side":"sell","price":161.00,"qty":1.00000000,"ord_type":"limit","trade_id":5,"timestamp":"2026-11-22T09:00:00.000000Z"}]}"#;
    assert_eq!(rig.hear(old), Ok(FrameKind::Control));
    assert_eq!(rig.told(), [""; 0]);
}

#[test]
fn maintenance_takes_everything_away_until_the_venue_is_back_with_a_fresh_book() {
    let mut oracle = Oracle::around(16_100, 12);
    let mut rig = Rig::whole(&oracle);
    rig.trades(1, &[5]).expect("a trade");
    rig.told();
    assert_eq!(rig.status(1, "maintenance"), Ok(FrameKind::System(System::Maintenance)));
    assert_eq!(rig.told(), ["book gap", "ticker stale", "trade stale"]);
    assert!(rig.session.book().is_none());
    rig.hear(&oracle.update(&[(16_100, 5)], &[])).expect("a frame");
    rig.trades(1, &[6]).expect("a frame");
    rig.after_ms(1_000);
    assert_eq!(rig.told(), [""; 0], "nothing that comes in maintenance is the market");
    assert_eq!(rig.status(1, "online"), Ok(FrameKind::System(System::Online)));
    let leave = rig.sent();
    assert!(
        leave.len() == 1 && leave[0].contains(r#""unsubscribe""#) && leave[0].contains(r#""depth":10"#),
        "{leave:?}"
    );
    rig.hear(&oracle.update(&[(16_100, 6)], &[])).expect("a frame");
    rig.grant(1, &leave[0]);
    let again = rig.sent();
    assert!(again.len() == 1 && again[0].contains(r#""subscribe""#), "{again:?}");
    rig.grant(1, &again[0]);
    assert_eq!(rig.told(), [""; 0]);
    assert_eq!(rig.hear(&oracle.snapshot(10)), Ok(FrameKind::Data));
    rig.trades(1, &[7]).expect("a trade");
    assert_eq!(rig.states(), ["book up", "trade up"], "the ticker waits for its own news");
    rig.ticker(1, 16_101, "2026-11-22T10:00:09Z");
    assert_eq!(rig.states(), ["ticker up"]);
}

#[test]
fn restricted_trading_is_told_and_market_data_goes_on() {
    let mut oracle = Oracle::around(16_100, 12);
    let mut rig = Rig::whole(&oracle);
    for (word, system) in [
        ("cancel_only", System::CancelOnly),
        ("post_only", System::PostOnly),
        ("limit_only", System::LimitOnly),
        ("new", System::Other),
    ] {
        assert_eq!(rig.status(1, word), Ok(FrameKind::System(system)));
        assert_eq!(rig.session.system(), Some(system));
        assert_eq!(rig.hear(&oracle.update(&[(16_099, 77)], &[])), Ok(FrameKind::Data));
    }
    assert_eq!((rig.told(), rig.sent()), (vec![], vec![]));
}

#[test]
fn a_refused_subscription_is_told_at_once_and_the_others_go_on() {
    let mut rig = Rig::new(settings());
    rig.open(1);
    rig.status(1, "online").expect("a status");
    let asked = rig.sent();
    let refused = rig.refuse(&asked[0], "Subscription depth not supported");
    assert_eq!(refused, Ok(FrameKind::Refused { stream: Some(StreamId::KrakenBook), why: Refusal::Depth }));
    assert_eq!(rig.told(), ["book stale"]);
    rig.grant(1, &asked[1]);
    let refused = rig.refuse(&asked[2], "Currency pair not supported SOL/USD");
    assert_eq!(refused, Ok(FrameKind::Refused { stream: Some(StreamId::KrakenTrade), why: Refusal::Pair }));
    rig.ticker(1, 16_100, "2026-11-22T10:00:00Z");
    assert_eq!(rig.told(), ["trade stale", "ticker up", "ticker bbo 161/161.01"]);
    rig.heartbeats(30);
    assert_eq!(rig.sent(), [""; 0], "what was refused for good is not asked for again");
    let nameless = rig.hear(r#"{"error":"Malformed request","success":false}"#);
    assert_eq!(nameless, Ok(FrameKind::Refused { stream: None, why: Refusal::Other }));
}

#[test]
fn a_refusal_for_asking_too_much_is_tried_again_later() {
    let mut rig = Rig::new(settings());
    rig.open(1);
    rig.status(1, "online").expect("a status");
    let asked = rig.sent();
    let refused = rig.refuse(&asked[1], "Exceeded msg rate");
    assert_eq!(refused, Ok(FrameKind::Refused { stream: Some(StreamId::KrakenTicker), why: Refusal::MessageRate }));
    rig.after_ms(4_900);
    assert_eq!(rig.sent(), [""; 0]);
    rig.after_ms(100);
    let again = rig.sent();
    assert!(again.len() == 1 && again[0].contains(r#""ticker""#) && again[0].ends_with(r#""req_id":4}"#), "{again:?}");
}

#[test]
fn a_request_without_an_answer_costs_the_connection() {
    let mut rig = Rig::new(settings());
    rig.open(1);
    rig.status(1, "online").expect("a status");
    let asked = rig.sent();
    asked[1..].iter().for_each(|request| rig.grant(1, request));
    rig.after_ms(9_900);
    assert_eq!(rig.hear(HEARTBEAT), Ok(FrameKind::Control));
    rig.after_ms(100);
    assert_eq!(rig.hear(HEARTBEAT), Ok(FrameKind::Reset), "the book's request was never answered");
    let mut rig = Rig::subscribed();
    rig.after_ms(10_000);
    assert_eq!(rig.hear(HEARTBEAT), Ok(FrameKind::Reset), "granted, but the snapshot never came");
}

#[test]
fn the_venue_is_pinged_and_an_unanswered_ping_costs_the_connection() {
    let mut rig = Rig::whole(&Oracle::around(16_100, 12));
    rig.after_ms(19_000);
    assert_eq!(rig.sent(), [""; 0]);
    rig.after_ms(1_000);
    let ping = rig.sent();
    assert_eq!(ping, [r#"{"method":"ping","req_id":4}"#]);
    assert_eq!(rig.hear(r#"{"method":"pong","req_id":4,"time_in":"x","time_out":"y"}"#), Ok(FrameKind::Control));
    rig.after_ms(20_000);
    rig.sent.clear();
    assert_eq!(rig.hear(r#"{"method":"pong","req_id":4}"#), Ok(FrameKind::Control), "of another ping");
    rig.after_ms(20_000);
    assert_eq!(rig.hear(HEARTBEAT), Ok(FrameKind::Reset));
}

#[test]
fn nine_seconds_of_heartbeats_are_no_silence_fifteen_are_and_then_the_book_is_asked_for_anew() {
    let mut oracle = Oracle::around(16_100, 12);
    let mut rig = Rig::whole(&oracle);
    rig.heartbeats(9);
    assert_eq!(rig.states(), [""; 0]);
    assert_eq!(rig.hear(&oracle.update(&[(16_100, 5)], &[])), Ok(FrameKind::Data));
    rig.heartbeats(16);
    assert_eq!(rig.states(), ["book stale"]);
    let samples = rig.told().len();
    assert_eq!(samples, 0, "a stale book is not told");
    assert_eq!(rig.sent(), [""; 0]);
    rig.heartbeats(14);
    let leave = rig.sent();
    assert!(leave.len() == 1 && leave[0].contains(r#""unsubscribe""#), "{leave:?}");
    rig.grant(1, &leave[0]);
    let again = rig.sent();
    rig.grant(1, &again[0]);
    assert_eq!(rig.hear(&oracle.snapshot(10)), Ok(FrameKind::Data));
    assert_eq!(rig.states(), ["book up"]);
}

#[test]
fn a_connection_that_says_nothing_at_all_is_suspect_sooner() {
    let mut rig = Rig::whole(&Oracle::around(16_100, 12));
    rig.after_ms(8_000);
    assert_eq!(rig.states(), [""; 0]);
    rig.after_ms(1);
    assert_eq!(rig.states(), ["book stale", "ticker stale"]);
    assert_eq!(rig.session.silent_ns(1, rig.now), Some(8_001 * NANOS_PER_MILLI));
    rig.hear(HEARTBEAT).expect("a frame");
    assert_eq!(rig.states(), [""; 0], "a heartbeat brings nothing back");
}

#[test]
fn a_connection_that_never_delivers_is_told_stale() {
    let mut rig = Rig::new(settings());
    rig.open(1);
    rig.after_ms(10_000);
    assert_eq!(rig.told(), [""; 0]);
    rig.after_ms(1);
    assert_eq!(rig.told(), ["book stale", "ticker stale"]);
    rig.after_ms(290_000);
    assert_eq!(rig.told(), ["trade stale"], "no trade in a while is no fault");
}

#[test]
fn one_connection_takes_over_from_another_without_a_gap_and_nothing_is_told_twice() {
    let mut oracle = Oracle::around(16_100, 12);
    let mut rig = Rig::whole(&oracle);
    rig.trades(1, &[5]).expect("a trade");
    rig.open(2);
    rig.status(2, "online").expect("a status");
    let asked = rig.sent();
    asked.iter().for_each(|request| rig.grant(2, request));
    rig.told();
    assert_eq!(rig.frame(2, oracle.snapshot(10).as_bytes()), Ok(FrameKind::Data));
    rig.ticker(2, 16_100, "2026-11-22T10:00:00.000001Z");
    rig.trades(2, &[5]).expect("a trade");
    assert_eq!(rig.told(), [""; 0]);
    assert!(rig.session.is_delivering(2));
    rig.down(1);
    assert_eq!(rig.told(), [""; 0]);
    let update = oracle.update(&[(16_100, 0)], &[]);
    assert_eq!(rig.frame(1, update.as_bytes()), Ok(FrameKind::Control), "a connection that is gone has no say");
    assert_eq!(rig.frame(2, update.as_bytes()), Ok(FrameKind::Data));
    rig.trades(2, &[6]).expect("a trade");
    rig.after_ms(250);
    assert_eq!(rig.told(), ["trade 6 161", "book bbo 160.99/161.01", "book depth 10.00000055/10.00000045"]);
    rig.down(2);
    assert_eq!(rig.told(), ["book down", "ticker down", "trade down"]);
    assert!(rig.session.book().is_none());
    rig.open(3);
    rig.status(3, "online").expect("a status");
    rig.trades(3, &[1]).expect("a trade");
    assert_eq!(rig.told(), ["trade up", "trade 1 161"], "a venue that restarted may count from one");
}

#[test]
fn a_recorded_minute_of_a_quiet_pair_is_never_stale() {
    let Some(bytes) = capture("kraken_spot_v2/kraken_v2_book_minagbp_d25_20260816.ndjson") else { return };
    let pair = Pair::new("MINA/GBP").expect("a pair");
    let mut rig = Rig::new(KrakenSettings { depth: BookDepth::TwentyFive, ..KrakenSettings::new(pair) });
    rig.open(1);
    let frames = received(&bytes);
    let started = frames[0].0;
    let first = rig.now;
    for (at, text) in &frames {
        let due = first.plus(at - started);
        while rig.now.plus(100 * NANOS_PER_MILLI) < due {
            rig.after_ms(100);
            rig.answer_pings();
        }
        rig.now = due;
        // The recording followed the book only: grant what is asked for beside it.
        let kind = rig.hear(text).expect(text);
        let asked: Vec<String> = rig.sent();
        asked.iter().for_each(|request| rig.grant(1, request));
        assert_ne!(kind, FrameKind::Reset);
    }
    let book: Vec<String> = rig.states().into_iter().filter(|word| word.starts_with("book")).collect();
    assert_eq!(book, ["book up"]);
}
