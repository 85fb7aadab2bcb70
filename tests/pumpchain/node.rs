//! The session against the built-in node, over a real socket: what it counts is what the node says it told.

use std::time::{Duration, UNIX_EPOCH};

use super::desk::{CURVE, SECOND};
use super::hands::{Http, Ws, open_with, steered};
use serde_json::{Value, json};
use sol_volume_bot::sim::scenario::{ChainShape, Scenario, TimedFault};
use sol_volume_bot::sim::server::{ChainTruth, Fault, Handle};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::types::chain::BUCKET_NS;
use sol_volume_bot::types::event::{SourceState, VolumeSample};
use sol_volume_bot::types::{Notional, Price, Qty, Ratio, Time};
use sol_volume_bot::venue::pumpchain::backfill::{BackfillError, bitquery};
use sol_volume_bot::venue::pumpchain::buckets::{Buckets, SETTLE_NS};
use sol_volume_bot::venue::pumpchain::{ChainSession, Settings, Venues};

fn scenario(chain: ChainShape) -> Scenario {
    let faults = vec![TimedFault { at_ns: 0, fault: Fault::ChainStop(true) }];
    Scenario { chain, faults, ..steered() }
}

/// A session, its connection and its node.
struct Desk {
    handle: Handle,
    ws: Ws,
    http: Http,
    session: ChainSession,
    clock: Clock,
}

impl Desk {
    /// Subscribed, before the node tells the first trade.
    fn open(chain: ChainShape) -> Desk {
        let handle = open_with(scenario(chain));
        let mut session = ChainSession::new(Settings { seed: 5, dedupe_slots: 1 << 14, ..Settings::default() });
        let (clock, mut ws) = (Clock::start(), Ws::open(&handle, "/solana"));
        session.on_open(1, clock.now(), &mut |text| ws.say(&String::from_utf8_lossy(text)));
        let http = Http::open(&handle);
        let mut desk = Desk { handle, ws, http, session, clock };
        desk.catch_up();
        desk
    }

    fn now(&mut self) -> Time {
        let now = self.clock.now();
        self.session.on_mid(Price(16_100_000_000), now);
        now
    }

    /// Hears everything that was told before this call: the server answers eight questions, at most, before it tells news.
    fn catch_up(&mut self) {
        for round in 0..9 {
            self.ws.say(&json!({"jsonrpc": "2.0", "id": 100 + round, "method": "getHealth"}).to_string());
            loop {
                let frame = self.ws.hear().expect("the connection stays open");
                if frame["id"] == 100 + round {
                    break;
                }
                let now = self.now();
                self.session.on_frame(1, frame.to_string().as_bytes(), now, &mut |_| {}).expect("a frame");
            }
        }
    }

    /// Lets the node tell trades until `wanted` holds, then stops it and hears the rest.
    fn trade_until(&mut self, wanted: impl Fn(&ChainTruth) -> bool) -> ChainTruth {
        self.handle.fault(Fault::ChainStop(false));
        while !wanted(&self.handle.chain_truth()) {
            self.catch_up();
            self.ask_pools();
        }
        self.handle.fault(Fault::ChainStop(true));
        self.catch_up();
        while self.ask_pools() > 0 {}
        self.handle.chain_truth()
    }

    fn ask_pools(&mut self) -> usize {
        let now = self.now();
        let Some(wanted) = self.session.pools_wanted(now) else { return 0 };
        let mut body = Vec::new();
        self.session.pools_request(&wanted, 1, &mut body);
        let answer = self.http.send("POST", "/solana", None, &String::from_utf8(body).expect("text"));
        self.session.on_pools(&wanted, answer.body.as_bytes(), now).expect("an answer")
    }

    /// What all buckets hold: lamports, USDC.
    fn held(&mut self) -> (u128, u128) {
        let later = self.now().plus(2 * BUCKET_NS);
        let buckets: Vec<_> = self.session.take_last(later).collect();
        let sum = |amount: fn(&sol_volume_bot::types::chain::VolumeBucket) -> i64| {
            buckets.iter().map(|bucket| u128::try_from(amount(bucket)).expect("not negative")).sum()
        };
        (sum(|bucket| bucket.sol.0), sum(|bucket| bucket.usdc_e6))
    }
}

#[test]
fn everything_told_that_counts_is_counted_to_the_lamport_and_nothing_else() {
    let shape = ChainShape {
        rate_per_s: 800,
        usdc_percent: 25,
        failed_percent: 20,
        lookalike_percent: 20,
        repeated_percent: 20,
        truncated_permille: 5,
        ..ChainShape::default()
    };
    let mut desk = Desk::open(shape);
    let truth = desk.trade_until(|truth| truth.trades > 600 && truth.odd > 5 && truth.truncated > 1);
    let counters = *desk.session.counters();
    assert_eq!((counters.trades, counters.odd_pools, counters.truncated), (truth.trades, truth.odd, truth.truncated));
    assert_eq!((counters.odd, counters.distrusted, counters.unreadable, counters.unpriced), (0, 0, 0, 0));
    assert!(counters.failed > 100 && counters.duplicates > 100 && truth.chaff > 300);
    assert_eq!(desk.held(), (truth.lamports, truth.usdc_e6));
}

#[test]
fn floods_of_look_alikes_and_of_old_trades_count_for_nothing() {
    let mut desk = Desk::open(ChainShape { rate_per_s: 500, ..ChainShape::default() });
    let truth = desk.trade_until(|truth| truth.trades > 20);
    desk.handle.fault(Fault::ChainLookalikes(500));
    desk.handle.fault(Fault::ChainReplay(300));
    desk.catch_up();
    let counters = *desk.session.counters();
    assert_eq!((counters.trades, counters.odd), (truth.trades, 300));
    assert!(counters.notifications >= truth.trades + 800);
    assert_eq!(desk.held(), (truth.lamports, truth.usdc_e6));
}

#[test]
fn cut_logs_unknown_pools_and_thousandfold_trades_do_what_they_say() {
    let mut desk = Desk::open(ChainShape { rate_per_s: 500, usdc_percent: 0, ..ChainShape::default() });
    desk.handle.fault(Fault::ChainTruncate(7));
    let plain = desk.trade_until(|truth| truth.trades > 50);
    assert_eq!((plain.truncated, desk.session.counters().truncated), (7, 7));
    desk.handle.fault(Fault::ChainTimes(1_000));
    let large = desk.trade_until(|truth| truth.trades > plain.trades + 50);
    assert!((large.lamports - plain.lamports) / u128::from(large.trades - plain.trades) > 100_000_000_000);
    assert_eq!(desk.session.counters().trades, large.trades);
    let mut strange = Desk::open(ChainShape { rate_per_s: 500, amm_percent: 100, ..ChainShape::default() });
    strange.handle.fault(Fault::ChainPoolsUnknown(true));
    let truth = strange.trade_until(|truth| truth.trades > 20);
    assert_eq!((strange.session.counters().trades, strange.session.waiting() as u64), (0, truth.trades + truth.odd));
    let later = strange.now().plus(61 * SECOND);
    strange.session.on_timer(later, &mut |_| {});
    assert_eq!(strange.session.counters().unresolved, truth.trades + truth.odd);
}

#[test]
fn the_node_takes_exactly_one_address_a_subscription() {
    let handle = open_with(scenario(ChainShape { rate_per_s: 100, ..ChainShape::default() }));
    handle.fault(Fault::ChainStop(false));
    let mut ws = Ws::open(&handle, "/solana");
    let mut ask = |id: u32, params: Value| {
        ws.say(&json!({"jsonrpc": "2.0", "id": id, "method": "logsSubscribe", "params": params}).to_string());
        ws.hear_until(|frame| frame["id"] == id)
    };
    for (id, params) in [
        (1, json!([{"mentions": [CURVE, super::desk::AMM]}])),
        (2, json!([{"mentions": []}])),
        (3, json!([{"mentions": ["nonsense"]}])),
        (4, json!(["all"])),
    ] {
        assert_eq!(ask(id, params)["error"]["code"], -32_602);
    }
    let number = ask(5, json!([{"mentions": [CURVE]}, {"commitment": "confirmed"}]))["result"].clone();
    let told = ws.hear_until(|frame| frame["method"] == "logsNotification");
    assert_eq!(told["params"]["subscription"], number);
    let logs = told["params"]["result"]["value"]["logs"].as_array().expect("a log").clone();
    assert!(logs.iter().any(|line| line.as_str().is_some_and(|line| line.contains(CURVE))));
    ws.say(&json!({"id": 6, "method": "logsUnsubscribe", "params": [number]}).to_string());
    assert_eq!(ws.hear_until(|frame| frame["id"] == 6)["result"], true);
}

/// What the node's Bitquery says of the 48 hours before its start, as one sample at that time.
fn handed_in(chain: ChainShape, grain: bitquery::Grain) -> VolumeSample {
    let handle = open_with(scenario(chain));
    let now = Clock::start().now();
    let till = Time(now.0 / BUCKET_NS * BUCKET_NS);
    let since = till.plus(-49 * 12 * BUCKET_NS);
    let rfc = |at: Time| humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_nanos(at.0 as u64)).to_string();
    let body = bitquery::request(Venues::CurveAndAmm, grain, &rfc(since), &rfc(till));
    let answer = Http::open(&handle).send("POST", "/bitquery", None, &body);
    let rows = bitquery::rows(answer.status, answer.body.as_bytes(), grain, since, till).expect("rows");
    let mut session = ChainSession::new(Settings::default());
    session.on_backfill(sol_volume_bot::types::chain::BucketSource::Bitquery, &rows, till.plus(SETTLE_NS), |_| {
        Some(Price(15_000_000_000))
    });
    session.buckets().window(till.plus(SETTLE_NS))
}

#[test]
fn bitquery_hands_in_a_drop_to_the_last_digit_and_a_shift_to_usdc_is_none() {
    let shape =
        |drop: &str| ChainShape { drop: Ratio::parse(drop.as_bytes()).expect("a ratio"), ..ChainShape::default() };
    for drop in ["0.31", "0.3", "0.3001", "0.2999"] {
        let sample = handed_in(shape(drop), bitquery::Grain::FiveMinutes);
        assert_eq!((sample.state, sample.prev), (SourceState::Ok, Notional(28_800_000_000_000_000)), "{drop}");
        let expected = sample.prev.checked_sub(sample.prev.times_floor(shape(drop).drop).expect("fits"));
        assert_eq!(Some(sample.now), expected, "{drop}");
    }
    let shifted = ChainShape { usdc_shift_percent: 60, ..shape("0") };
    let sample = handed_in(shifted, bitquery::Grain::FiveMinutes);
    assert_eq!((sample.now, sample.now_sol), (sample.prev, sample.prev_sol));
    assert!(sample.now_sol > Qty::ZERO);
}

#[test]
fn bitquery_refuses_when_told_to() {
    let handle = open_with(scenario(ChainShape::default()));
    let body = bitquery::request(Venues::Curve, bitquery::Grain::Hour, "2026-11-20T18:00:00Z", "2026-11-22T18:00:00Z");
    for (status, expected) in [
        (402, BackfillError::PlanLimit),
        (429, BackfillError::TooMany),
        (503, BackfillError::Refused { status: 503 }),
        (0, BackfillError::Query),
    ] {
        handle.fault(Fault::Bitquery(status));
        let answer = Http::open(&handle).send("POST", "/bitquery", None, &body);
        let read = bitquery::rows(answer.status, answer.body.as_bytes(), bitquery::Grain::Hour, Time(1), Time(2));
        assert_eq!(read, Err(expected));
    }
}

#[test]
fn a_node_that_stops_telling_is_a_gap() {
    let mut desk = Desk::open(ChainShape { rate_per_s: 500, ..ChainShape::default() });
    desk.trade_until(|truth| truth.trades > 50);
    let now = desk.now();
    let mut told = Vec::new();
    desk.session.on_timer(now.plus(30 * SECOND), &mut |event| told.push(event.kind));
    assert!(told.contains(&sol_volume_bot::types::EventKind::Stream(sol_volume_bot::types::event::StreamState::Stale)));
    let buckets: &Buckets = desk.session.buckets();
    let missing = buckets.get(Time(now.0 / BUCKET_NS * BUCKET_NS)).map_or(0, |bucket| bucket.missing_ms());
    let next = buckets.get(Time(now.0 / BUCKET_NS * BUCKET_NS + BUCKET_NS)).map_or(0, |bucket| bucket.missing_ms());
    assert!(missing + next >= 30_000, "{missing} {next}");
}
