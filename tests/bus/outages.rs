//! A bus that dies, freezes or comes back: entries stop with their source, exits go on, and only fresh data counts.

use crate::nats::{FALLEN, Nats, Peer, house, now, volume, volume_at};
use crate::rig::{Bot, PATIENCE, cents};

const DEFILLAMA: &str = "svb.feed.defillama";

fn is_down(line: &serde_json::Value) -> bool {
    line["stream"] == "defillama" && line["state"] == "down"
}

fn enters(bot: &mut Bot) {
    bot.line("ENTER");
    bot.line("PROTECTED");
}

#[test]
fn without_its_server_nothing_is_entered_exits_go_on_and_a_new_server_counts_with_its_first_fresh_sample() {
    let Some(mut server) = Nats::start(&[]) else { return };
    let mut house = house("bus-killed", &server);
    house.set("execution", "tranches", "1");
    house.venue.set_mid(cents(16_300)); // above the band
    let (mut bot, ops) = house.open();
    server.wait_for_subscriber("svb.feed.*");
    let taken = volume_at(now(), FALLEN.0, FALLEN.1);
    Peer::connect(&server).publish(DEFILLAMA, taken.as_bytes());
    bot.held_back_by("support_high");
    ops.until("/readyz", |status, _| status == 200);

    server.kill();
    bot.next("STREAM_DOWN", is_down);
    let ready = ops.until("/readyz", |status, body| status == 503 && body.contains("defillama"));
    assert!(ready.contains("stream defillama is down"), "{ready}");
    house.venue.set_mid(cents(16_100));
    bot.held_back_by("volume_source");
    assert_eq!(house.placed("order"), 0, "a signal whose source is gone");

    server.open();
    bot.line("BUS_UP");
    server.wait_for_subscriber("svb.feed.*");
    let mut peer = Peer::connect(&server);
    peer.publish(DEFILLAMA, taken.as_bytes());
    let refused = "svb_bus_refused_total{reason=\"not_newer\",stream=\"defillama\"} 1";
    ops.until("/metrics", |_, body| body.lines().any(|line| line == refused));
    assert!(ops.get("/readyz").1.contains("stream defillama is down"), "neither a connection nor an old sample");
    assert_eq!(house.placed("order"), 0);
    peer.publish(DEFILLAMA, volume(FALLEN.0, FALLEN.1).as_bytes());
    bot.next("STREAM_UP", |line| line["stream"] == "defillama");
    enters(&mut bot);
    assert!(house.venue.wait_for(PATIENCE, |snapshot| snapshot.open_lists.len() == 2).1);

    server.kill();
    bot.next("STREAM_DOWN", is_down);
    house.venue.set_mid(cents(16_460)); // above + 2 %
    bot.next("FILL", |line| line["side"] == "sell");
    house.venue.set_mid(cents(15_450)); // the stop
    bot.line("TRADE_CLOSED");
    assert_eq!(house.venue.conserved(), Ok(()));
    let ended = bot.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_frozen_server_is_found_out_and_delays_neither_an_exit_nor_the_end() {
    let Some(server) = Nats::start(&[]) else { return };
    let mut house = house("bus-frozen", &server);
    house.set("execution", "tranches", "1");
    let (mut bot, ops) = house.open();
    server.wait_for_subscriber("svb.feed.*");
    Peer::connect(&server).publish(DEFILLAMA, volume(FALLEN.0, FALLEN.1).as_bytes());
    enters(&mut bot);
    assert!(house.venue.wait_for(PATIENCE, |snapshot| snapshot.open_lists.len() == 2).1);
    server.freeze();
    house.venue.set_mid(cents(15_450));
    bot.line("TRADE_CLOSED");
    bot.next("STREAM_DOWN", is_down);
    ops.until("/metrics", |_, body| body.contains("\nsvb_bus_up 0\n"));
    let before = now();
    let ended = bot.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let took_ms = now().since(before) / 1_000_000;
    assert!(took_ms < 10_000, "the end took {took_ms} ms");
}

#[test]
fn a_server_that_is_not_there_at_the_start_delays_nothing_and_is_found_when_it_comes() {
    let Some(mut server) = Nats::start(&[]) else { return };
    server.kill();
    let house = house("bus-late", &server);
    let (mut bot, ops) = house.open();
    bot.said("BUS_DOWN", |_| true);
    ops.until("/readyz", |_, body| body.contains("stream defillama is down"));
    assert_eq!(bot.count("BUS_UP"), 0);
    server.open();
    bot.line("BUS_UP");
    server.wait_for_subscriber("svb.feed.*");
    Peer::connect(&server).publish(DEFILLAMA, volume(FALLEN.0, FALLEN.1).as_bytes());
    enters(&mut bot);
    assert_eq!(bot.stop().code, Some(0));
}
