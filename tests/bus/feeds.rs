//! What comes over the bus: the same orders as without it, and none at all from what is not a fresh, sound sample.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use sol_volume_bot::sim::server::Received;
use sol_volume_bot::types::Qty;
use sol_volume_bot::types::event::Bbo;
use sol_volume_bot::types::time::{NANOS_PER_DAY, NANOS_PER_SEC};

use crate::certs::Ca;
use crate::nats::{FALLEN, Nats, Peer, TOKEN, house, now, until, volume, volume_at};
use crate::rig::{Bot, House, Ops, cents, program, run_to_end};

const DEFILLAMA: &str = "svb.feed.defillama";

/// The entry orders as the venue got them, without what differs between any two runs.
fn entries(house: &House) -> Vec<String> {
    let is_entry = |request: &&Received| request.method == "order.place" && request.params.contains("side=BUY");
    let told = |request: &Received| {
        let kept = request.params.split('&').filter(|pair| !pair.starts_with("timestamp="));
        let text = kept.collect::<Vec<_>>().join("&");
        let (before, id) = text.split_once("newClientOrderId=v").expect("an id of ours");
        format!("{before}newClientOrderId=v{}", id.split_once('-').expect("after the run's number").1)
    };
    house.venue.received().iter().filter(is_entry).map(told).collect()
}

/// Keeps one top of book while `act` runs, alive by the size of its bid: a market left to itself flickers by a tick.
fn with_a_steady_book<T>(house: &House, act: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    let venue = &house.venue;
    let keep = || {
        let (bid, ask) = (cents(16_099), cents(16_101));
        let mut update_id = 0;
        while !is_over.load(Ordering::Relaxed) {
            update_id += 1;
            let bid_qty = Qty(400_000_000_000 + i64::from(update_id % 2 == 0) * 1_000_000_000);
            venue.follow(Bbo { bid, bid_qty, ask, ask_qty: Qty(400_000_000_000), update_id });
            std::thread::park_timeout(Duration::from_millis(20));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(keep);
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        is_over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|why| std::panic::resume_unwind(why))
    })
}

/// All three tranches.
fn enters_wholly(house: &House, bot: &mut Bot) -> Vec<String> {
    house.enters_wholly(bot);
    entries(house)
}

#[test]
fn a_sample_of_the_bus_gives_exactly_the_entry_orders_that_the_source_s_own_address_gives() {
    let Some(server) = Nats::start(&[]) else { return };
    let mut own = House::new("bus-none");
    own.set("feeds", "volume_source", "\"utc_day\"");
    let expected = with_a_steady_book(&own, || {
        let (mut bot, _) = own.open();
        let orders = enters_wholly(&own, &mut bot);
        assert_eq!(bot.stop().code, Some(0));
        orders
    });
    assert_eq!(expected.len(), 3, "{expected:?}");
    assert!(expected[0].contains("newClientOrderId=v000001-01-0001"), "{}", expected[0]);

    let house = house("bus-same", &server);
    with_a_steady_book(&house, || {
        let (mut bot, ops) = house.open();
        server.wait_for_subscriber("svb.feed.*");
        bot.held_back_by("volume_drop, volume_source");
        ops.until("/readyz", |status, body| status == 503 && body.contains("stream defillama has not come up yet"));
        assert_eq!(house.placed("order"), 0, "nothing was read anywhere");
        Peer::connect(&server).publish(DEFILLAMA, volume(FALLEN.0, FALLEN.1).as_bytes());
        assert_eq!(enters_wholly(&house, &mut bot), expected);
        ops.until("/readyz", |status, _| status == 200);
        assert_eq!(house.venue.conserved(), Ok(()));
        assert_eq!(bot.stop().code, Some(0));
    });
    let replayed = run_to_end(&house.folder, &["replay", "--verify", "data/journal"]);
    assert_eq!(replayed.code, Some(0), "samples of the bus are events as any other: {}", replayed.stderr);
}

/// Messages of which not one may become an event.
fn poison() -> Vec<(&'static str, Vec<u8>)> {
    let good = volume(FALLEN.0, FALLEN.1);
    let today = now().day_start();
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from} is not in {good}");
        good.replace(from, to).into_bytes()
    };
    let old_day =
        json!({ "ts": now().0, "def": "utc_day", "now": 1, "prev": 2, "bucket_end": today.0 - 2 * NANOS_PER_DAY });
    vec![
        (DEFILLAMA, b"".to_vec()),
        (DEFILLAMA, b"garbage".to_vec()),
        (DEFILLAMA, b"\x00\xff\xfe{}".to_vec()),
        (DEFILLAMA, b"[]".to_vec()),
        (DEFILLAMA, b"{}".to_vec()),
        (DEFILLAMA, good.as_bytes()[..good.len() - 1].to_vec()),
        (DEFILLAMA, format!("{good}{good}").into_bytes()),
        (DEFILLAMA, vec![b'['; 100_000]),
        (DEFILLAMA, vec![b' '; 1_000_000]),
        (DEFILLAMA, with("utc_day", "utc-day")),
        (DEFILLAMA, with("\"270400000\"", "-270400000")),
        (DEFILLAMA, with("\"270400000\"", "\"NaN\"")),
        (DEFILLAMA, with("\"270400000\"", "1e999")),
        (DEFILLAMA, with("\"270400000\"", "{\"x\":1}")),
        (DEFILLAMA, with("\"now\"", "\"prev\"")),
        (DEFILLAMA, with("\"prev\":426200000,", "")),
        (DEFILLAMA, volume_at(now().plus(-1_801 * NANOS_PER_SEC), FALLEN.0, FALLEN.1).into_bytes()),
        (DEFILLAMA, volume_at(now().plus(60 * NANOS_PER_SEC), FALLEN.0, FALLEN.1).into_bytes()),
        (DEFILLAMA, old_day.to_string().into_bytes()),
        ("svb.feed.pumpfun", b"garbage".to_vec()),
    ]
}

#[test]
fn poison_gives_no_order_no_stream_and_does_not_stand_in_the_way_of_the_next_sound_sample() {
    let Some(server) = Nats::start(&[]) else { return };
    let house = house("bus-poison", &server);
    let (mut bot, ops) = house.open();
    server.wait_for_subscriber("svb.feed.*");
    bot.held_back_by("volume_drop, volume_source");
    let mut peer = Peer::connect(&server);
    let poison = poison();
    for (subject, body) in &poison {
        peer.publish(subject, body);
    }
    let good = volume(FALLEN.0, FALLEN.1);
    // Streams that this engine takes from elsewhere, or does not know: somebody else's, and no fault.
    for subject in
        ["svb.feed.binance_bbo", "svb.feed.solana_slot", "svb.feed.nonsense", "svb.feed.defillama.x", "svb.order"]
    {
        peer.publish(subject, good.as_bytes());
    }
    let refused = |body: &str| -> u64 {
        let lines = body.lines().filter(|line| line.starts_with("svb_bus_refused_total{"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    let metrics = ops.until("/metrics", |_, body| refused(body) >= poison.len() as u64);
    assert_eq!(refused(&metrics), poison.len() as u64, "{metrics}");
    for (reason, count) in [("too_old", 2), ("ahead", 1), ("unreadable", poison.len() - 4)] {
        let line = format!("svb_bus_refused_total{{reason=\"{reason}\",stream=\"defillama\"}} {count}");
        assert!(metrics.lines().any(|known| known == line), "{line}");
    }
    let line = bot.line("BUS_REFUSED");
    assert_eq!((&line["stream"], &line["level"]), (&json!("defillama"), &json!("warn")), "{line}");
    assert!(bot.count("BUS_REFUSED") < poison.len(), "said now and then, counted always");
    assert_eq!(ops.get("/readyz").0, 503);
    assert_eq!(house.placed("order"), 0);
    assert!(!bot.log.iter().any(|line| line["event"] == "STREAM_UP" && line["stream"] == "defillama"));
    peer.publish(DEFILLAMA, good.as_bytes());
    bot.next("STREAM_UP", |line| line["stream"] == "defillama");
    bot.next("ORDER_SENT", |line| line["verb"] == "place");
    assert_eq!(bot.stop().code, Some(0));
}

#[test]
fn a_fall_that_is_too_small_enters_nothing_and_one_that_is_just_large_enough_does() {
    let Some(server) = Nats::start(&[]) else { return };
    let house = house("bus-edge", &server);
    let (mut bot, _) = house.open();
    server.wait_for_subscriber("svb.feed.*");
    let mut peer = Peer::connect(&server);
    peer.publish(DEFILLAMA, volume(70_000_000, 100_000_000).as_bytes());
    let rules = bot.held_back_by("volume_drop");
    assert_eq!(rules["volume_drop"]["value"], "0.3", "exactly 30 % is not more than 30 %");
    assert_eq!(house.placed("order"), 0);
    peer.publish(DEFILLAMA, volume(69_999_999, 100_000_000).as_bytes());
    bot.next("ORDER_SENT", |line| line["verb"] == "place");
    assert_eq!(bot.stop().code, Some(0));
}

#[test]
fn slots_of_the_bus_are_slots_and_their_silence_is_told() {
    let Some(server) = Nats::start(&[]) else { return };
    let mut house = house("bus-slots", &server);
    house.set("feeds", "nats_streams", "[\"solana_slot\", \"defillama\"]");
    house.set("feeds.stale_after_ms", "solana_slot", "3000");
    let (mut bot, ops) = house.open();
    server.wait_for_subscriber("svb.feed.*");
    ops.until("/readyz", |_, body| body.contains("stream solana_slot has not come up yet"));
    assert_eq!(house.venue.snapshot().solana_clients, 0, "the node is left alone");
    let mut peer = Peer::connect(&server);
    let slot = json!({ "ts": now().0, "slot": 300_000_017_u64, "parent": 300_000_016_u64, "root": 299_999_985_u64 });
    peer.publish("svb.feed.solana_slot", slot.to_string().as_bytes());
    bot.next("STREAM_UP", |line| line["stream"] == "solana_slot");
    bot.next("STREAM_DOWN", |line| line["stream"] == "solana_slot" && line["state"] == "stale");
    ops.until("/metrics", |_, body| body.contains("\nsvb_slot 300000017\n"));
    assert_eq!(house.venue.snapshot().solana_clients, 0);
    assert_eq!(bot.stop().code, Some(0));
}

/// A server that speaks TLS and asks for a token; the authority that vouches for it.
fn guarded_server(house: &House, token: &str) -> Option<(Nats, Ca)> {
    let ca = Ca::new();
    let (cert, key) = ca.pem("127.0.0.1");
    let cert = house.folder.write("nats.pem", &cert, 0o600).display().to_string();
    let key = house.folder.write("nats.key", &key, 0o600).display().to_string();
    let server = Nats::start(&["--auth", token, "--tls", "--tlscert", &cert, "--tlskey", &key])?;
    Some((server, ca))
}

#[test]
fn the_bus_is_reached_over_tls_with_a_token_and_neither_a_wrong_token_nor_a_stranger_s_certificate_is_taken() {
    let mut house = House::new("bus-tls");
    let Some((server, ca)) = guarded_server(&house, TOKEN) else { return };
    house.set("feeds", "nats", &format!("\"tls://127.0.0.1:{}\"", server.port));
    house.set("feeds", "nats_token", "\"NATS_TOKEN\"");
    house.set("feeds", "nats_streams", "[]");
    house.set("feeds", "volume_source", "\"utc_day\"");
    house.secret("NATS_TOKEN", TOKEN);

    let (mut bot, ops) = house.open();
    let line = bot.said("BUS_DOWN", |_| true);
    assert!(line["msg"].as_str().is_some_and(|msg| msg.contains("endpoints.ca_file")), "{line}");
    ops.until("/metrics", |_, body| body.contains("\nsvb_bus_up 0\n"));
    assert_eq!(bot.count("BUS_UP"), 0);
    assert_eq!(bot.stop().code, Some(0), "the authority is not known");

    house.set("endpoints", "ca_file", &format!("{:?}", ca.file.display().to_string()));
    let (mut bot, ops) = house.open();
    bot.said("BUS_UP", |_| true);
    ops.until("/metrics", |_, body| body.contains("\nsvb_bus_up 1\n"));
    let ended = bot.stop();
    assert_eq!(ended.code, Some(0));
    assert!(!ended.stdout.contains(TOKEN) && !ended.stderr.contains(TOKEN));

    house.secret("NATS_TOKEN", "another-token-than-the-server-s");
    let (mut bot, _) = house.open();
    let line = bot.said("BUS_DOWN", |_| true);
    assert!(line["msg"].as_str().is_some_and(|msg| msg.contains("uthorization")), "{line}");
    assert_eq!(bot.count("BUS_UP"), 0);
    let ended = bot.stop();
    assert!(!ended.stdout.contains("another-token") && !ended.stderr.contains("another-token"));
}

#[test]
fn prices_of_the_venue_over_the_bus_are_refused_in_live_mode_with_exit_2() {
    let mut house = House::new("bus-live");
    house.set("feeds", "nats", "\"nats://127.0.0.1:4222\"");
    house.set("feeds", "nats_streams", "[\"binance_bbo\"]");
    let ended = house.start().ended();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("`binance_bbo` cannot come over a bus in live mode"), "{}", ended.stderr);
    assert!(!house.data().exists(), "nothing was written");
}

#[test]
fn on_paper_the_price_may_come_over_the_bus_and_then_signal_and_last_gate_see_that_one_only() {
    let Some(server) = Nats::start(&[]) else { return };
    let mut house = house("bus-paper", &server);
    house.set("feeds", "nats_streams", "[\"binance_bbo\", \"defillama\"]");
    house.venue.set_mid(cents(16_300)); // the market itself is above the band, and further from it than the collar
    house.set("risk", "price_collar_pct", "0.005");
    house.write();
    let mut command = program(&house.folder);
    command.args(["run", "--config", "config.toml", "--mode", "paper", "--data-dir"]).arg(house.data());
    let mut bot = Bot::spawn(command);
    let ops = Ops(bot.line("START")["ops"].as_str().expect("an address").to_owned());
    bot.line("READY");
    server.wait_for_subscriber("svb.feed.*");
    let is_over = AtomicBool::new(false);
    let (mut peer, mut prices) = (Peer::connect(&server), Peer::connect(&server));
    let quote = || {
        while !is_over.load(Ordering::Relaxed) {
            let ts = now().0;
            let bbo =
                json!({ "ts": ts, "bid": "161.00", "bid_qty": "9", "ask": 161.01, "ask_qty": 9, "update_id": ts });
            prices.publish("svb.feed.binance_bbo", bbo.to_string().as_bytes());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    };
    let (enter, sent) = std::thread::scope(|scope| {
        scope.spawn(quote);
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            bot.held_back_by("volume_drop, volume_source");
            peer.publish(DEFILLAMA, volume(FALLEN.0, FALLEN.1).as_bytes());
            (bot.line("ENTER"), bot.next("ORDER_ACKED", |line| line["purpose"] == "ENTRY"))
        }));
        is_over.store(true, Ordering::Relaxed);
        seen.unwrap_or_else(|why| std::panic::resume_unwind(why))
    });
    assert_eq!(enter["rules"]["support_low"]["value"], "161.005", "{enter}");
    assert!(sent["client_order_id"].is_string(), "the collar is measured by the same price");
    // The bus is silent now, and the market moves: its depth is heard, its prices are not.
    let heard = |stream: &str| -> u64 {
        let start = format!("svb_events_total{{stream=\"{stream}\"}} ");
        let text = ops.get("/metrics").1;
        text.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok()).expect("a count")
    };
    let prices_before = heard("binance_bbo");
    for step in 1..=8 {
        let depths = heard("binance_depth");
        house.venue.set_mid(cents(16_300 + 10 * step));
        until("the market's move", || (heard("binance_depth") > depths).then_some(()));
    }
    assert!(heard("binance_bbo") <= prices_before + 2, "more than the last one of the bus and the word of its silence");
    assert_eq!(bot.stop().code, Some(0));
}
