//! The whole way over TLS, against a throw-away authority given by `ca_file`; and certificates that must be refused.

use rustls::crypto::ring::default_provider;
use rustls::version::{TLS12, TLS13};
use sol_volume_bot::sim::server::{Channel, Handle, Server, ServerSettings};
use sol_volume_bot::sys::clock::Clock;

use crate::certs::Ca;
use crate::rig::{House, cents, steered};

fn trusting(house: &mut House, ca: &Ca) {
    house.set("endpoints", "ca_file", &format!("{:?}", ca.file.display().to_string()));
}

#[test]
fn the_way_from_enter_to_both_take_profits_runs_over_wss_and_https() {
    let ca = Ca::new();
    let mut house = House::with("tls", steered(), Some(ca.server(&[&TLS13, &TLS12])));
    trusting(&mut house, &ca);
    house.with_alerts();
    assert!(house.venue.http_url("").starts_with("https://") && house.venue.ws_url("").starts_with("wss://"));
    let (mut bot, _) = house.open();
    bot.line("ENTER");
    house.enters_wholly(&mut bot);
    house.venue.set_mid(cents(16_460)); // above + 2 %
    bot.next("FILL", |line| line["side"] == "sell");
    bot.next("ORDER_DONE", |line| line["purpose"] == "TP1");
    house.venue.set_mid(cents(16_800)); // above + 4 %
    let closed = bot.line("TRADE_CLOSED");
    assert_eq!(closed["exit_reason"], "TAKE_PROFIT", "{closed}");
    assert_eq!(house.venue.conserved(), Ok(()));
    let ended = bot.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let told = house.venue.alerts();
    for channel in [Channel::Telegram, Channel::Slack] {
        assert!(told.iter().any(|alert| alert.channel == channel && alert.status == 200), "{channel:?}: {told:?}");
    }
}

fn venue_with(ca: &Ca, name: &str, years: (i32, i32)) -> Handle {
    let tls = Some(ca.server_with(&[&TLS13, &TLS12], name, years, default_provider()));
    let listen = "127.0.0.1:0".parse().expect("an address");
    Server::start(ServerSettings { listen, scenario: steered(), tls, clock: Clock::start() }).expect("a free port")
}

#[test]
fn wrong_expired_and_unknown_certificates_are_refused_with_their_reason() {
    let (ca, stranger) = (Ca::new(), Ca::new());
    let cases = [
        ("name", venue_with(&ca, "elsewhere.example", (2020, 2120)), "is for another name"),
        ("expired", venue_with(&ca, "127.0.0.1", (2020, 2021)), "has expired"),
        ("unknown", venue_with(&stranger, "127.0.0.1", (2020, 2120)), "unknown authority"),
    ];
    for (name, imposter, reason) in cases {
        let mut house = House::with(&format!("tls-{name}"), steered(), Some(ca.server(&[&TLS13])));
        trusting(&mut house, &ca);
        house.set("endpoints", "binance_rest", &format!("{:?}", imposter.http_url("")));
        let ended = house.start().ended();
        assert_eq!(ended.code, Some(4), "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains(reason), "{name}: {}", ended.stderr);

        house.set("endpoints", "binance_rest", &format!("{:?}", house.venue.http_url("")));
        house.set("endpoints", "binance_ws_api", &format!("{:?}", imposter.ws_url("/ws-api/v3")));
        house.set("endpoints", "binance_stream", &format!("{:?}", imposter.ws_url("")));
        let (mut bot, ops) = house.open();
        bot.next("LOG", |line| line["msg"].as_str().is_some_and(|text| text.contains(reason)));
        let (status, body) = ops.get("/readyz");
        assert_eq!(status, 503, "{name}: {body}");
        assert_eq!(bot.stop().code, Some(0));
        assert_eq!(imposter.received().len() + house.placed("order"), 0, "{name}: somebody was traded with");
        assert_eq!(imposter.snapshot().ws_api_clients, 0, "{name}");
    }
}

#[test]
fn an_authority_that_is_not_given_is_unknown_and_a_ca_file_that_is_none_ends_with_2() {
    let ca = Ca::new();
    let mut house = House::with("tls-ca", steered(), Some(ca.server(&[&TLS13])));
    let ended = house.start().ended();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("unknown authority"), "{}", ended.stderr);
    house.set("endpoints", "ca_file", "\"no-such.pem\"");
    let ended = house.start().ended();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("endpoints.ca_file") && ended.stderr.contains("no-such.pem"), "{}", ended.stderr);
}
