//! The audit over REST: when it asks, what it finds.

use sol_volume_bot::types::Price;
use sol_volume_bot::types::time::NANOS_PER_SEC;
use sol_volume_bot::types::units::Bps;
use sol_volume_bot::venue::DecodeError;
use sol_volume_bot::venue::kraken::FrameKind;
use sol_volume_bot::venue::kraken::KrakenSettings;
use sol_volume_bot::venue::kraken::rest::{AuditSettings, BestPrices, RestError, VenueError, depth};

use super::desk::{Oracle, Rig, capture, lines, price, settings};

fn body(bid: i64, ask: i64) -> String {
    let (bid, ask) = (price(bid), price(ask));
    format!(
        r#"{{"error":[],"result":{{"SOLUSD":{{"asks":[["{ask}000","1.000",1795341600]],"bids":[["{bid}000","1.000",1795341600]]}}}}}}"#
    )
}

#[test]
fn real_replies_are_read_whatever_their_result_is_named() {
    let best = |text: &[u8]| depth(text).map(|BestPrices { bid, ask }| (bid.to_string(), ask.to_string()));
    if let Some(bytes) = capture("kraken_spot_rest/nautilus_http_order_book_xbtusdt_20251111.json") {
        let (bid, ask) = best(&bytes).expect("a depth");
        assert_eq!(ask, "105944.3");
        assert!(bid < ask);
    }
    let Some(bytes) = capture("catalogue/kraken_messages_a.jsonl") else { return };
    let text = lines(&bytes).find(|line| line.starts_with(b"{\"error\":[]")).expect("a REST body");
    assert_eq!(best(text), Ok(("29727".to_owned(), "29727.1".to_owned())));
}

#[test]
fn the_venues_refusals_are_told_apart_and_no_depth_is_an_error() {
    for (words, why) in [
        ("EGeneral:Too many requests", VenueError::TooMany),
        ("EAPI:Rate limit exceeded", VenueError::TooMany),
        ("EService: Throttled: 1795341600", VenueError::TooMany),
        ("EService:Unavailable", VenueError::Unavailable),
        ("EQuery:Unknown asset pair", VenueError::Pair),
        ("EGeneral:Invalid arguments", VenueError::Other),
    ] {
        assert_eq!(depth(format!(r#"{{"error":["{words}"]}}"#).as_bytes()), Err(RestError::Venue(why)), "{words}");
    }
    let side = r#"{"asks":[["2","1",1]],"bids":[["1","1",1]]}"#;
    for (text, why) in [
        (r#"{"error":[]}"#.to_owned(), DecodeError::Missing { name: "result" }),
        (
            format!(r#"{{"error":[],"result":{{"A":{side},"B":{side}}}}}"#),
            DecodeError::Contradiction { name: "result" },
        ),
        (
            r#"{"error":[],"result":{"A":{"asks":[],"bids":[["1","1",1]]}}}"#.to_owned(),
            DecodeError::Missing { name: "asks" },
        ),
        (
            r#"{"error":[],"result":{"A":{"asks":[["1","1",1]],"bids":[["1","1",1]]}}}"#.to_owned(),
            DecodeError::Contradiction { name: "bids" },
        ),
    ] {
        assert_eq!(depth(text.as_bytes()), Err(RestError::Decode(why)), "{text}");
    }
    assert_eq!(
        depth(format!(r#"{{"error":["WGeneral:Danger"],"result":{{"A":{side}}}}}"#).as_bytes()).map(|best| best.bid),
        Ok(Price(100_000_000)),
        "a warning is no refusal"
    );
}

#[test]
fn a_reply_is_held_against_every_top_since_the_request() {
    let mut oracle = Oracle::around(16_100, 12);
    let mut rig = Rig::whole(&oracle);
    assert_eq!(rig.session.audit_wanted(rig.now), Some("/0/public/Depth?pair=SOLUSD&count=10".to_owned()));
    assert_eq!(rig.session.audit_wanted(rig.now), None, "it is under way");
    rig.hear(&oracle.update(&[(16_100, 0)], &[])).expect("an update");
    rig.hear(&oracle.update(&[(16_099, 0)], &[])).expect("an update");
    let finding = rig.session.on_audit(body(16_100, 16_101).as_bytes(), rig.now).expect("a depth").expect("a finding");
    assert_eq!((finding.agrees, finding.off), (true, Bps(0)));
    assert_eq!(finding.local_bid, (Price(16_098_000_000), Price(16_100_000_000)));
}

#[test]
fn a_difference_is_measured_and_beyond_the_tolerance_it_is_none_that_agrees() {
    let oracle = Oracle::around(16_100, 12);
    for (bid, ask, agrees, off) in
        [(16_103, 16_104, true, 187), (16_110, 16_111, false, 622), (15_000, 16_101, false, 73_334)]
    {
        let mut rig = Rig::whole(&oracle);
        assert!(rig.session.audit_wanted(rig.now).is_some());
        let finding = rig.session.on_audit(body(bid, ask).as_bytes(), rig.now).expect("a depth").expect("a finding");
        assert_eq!((finding.agrees, finding.off), (agrees, Bps(off)), "{bid}/{ask}");
    }
}

#[test]
fn audits_keep_to_their_schedule_and_to_the_venues_limit_and_failures_make_them_rarer() {
    let audit = AuditSettings { every_ns: NANOS_PER_SEC, ..AuditSettings::default() };
    let oracle = Oracle::around(16_100, 12);
    let mut rig = Rig::new(KrakenSettings { audit, ..settings() });
    assert_eq!(rig.session.audit_wanted(rig.now), None, "no book, nothing to hold it against");
    rig.open(1);
    rig.status(1, "online").expect("a status");
    assert_eq!(rig.hear(&oracle.snapshot(10)), Ok(FrameKind::Data));
    let mut asked = Vec::new();
    let started = rig.now;
    for _ in 0..300 {
        rig.now = rig.now.plus(NANOS_PER_SEC / 10);
        if rig.session.audit_wanted(rig.now).is_some() {
            asked.push(rig.now.since(started) / (NANOS_PER_SEC / 10));
            rig.session.on_audit(body(16_100, 16_101).as_bytes(), rig.now).expect("a depth");
        }
    }
    assert_eq!(asked, [1, 51, 101, 151, 201, 251], "every five seconds at most");
    rig.now = rig.now.plus(5 * NANOS_PER_SEC);
    assert!(rig.session.audit_wanted(rig.now).is_some());
    assert!(rig.session.on_audit(br#"{"error":["EGeneral:Too many requests"]}"#, rig.now).is_err());
    rig.now = rig.now.plus(9 * NANOS_PER_SEC);
    assert_eq!(rig.session.audit_wanted(rig.now), None);
    rig.now = rig.now.plus(NANOS_PER_SEC);
    assert!(rig.session.audit_wanted(rig.now).is_some());
    rig.session.on_audit_failed(rig.now);
    rig.now = rig.now.plus(19 * NANOS_PER_SEC);
    assert_eq!(rig.session.audit_wanted(rig.now), None);
}

#[test]
fn a_book_lost_while_the_audit_was_under_way_proves_nothing() {
    let oracle = Oracle::around(16_100, 12);
    let mut rig = Rig::whole(&oracle);
    assert!(rig.session.audit_wanted(rig.now).is_some());
    rig.hear(&super::desk::frame("update", &[(16_100, 5)], &[], 7)).expect("a frame");
    assert_eq!(rig.session.on_audit(body(15_000, 15_001).as_bytes(), rig.now), Ok(None));
}
