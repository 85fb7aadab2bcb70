//! TLS against rustls' own server: what is accepted, what is refused and in which words.

use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rustls::crypto::ring::{cipher_suite as suite, default_provider};
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ServerConnection, StreamOwned};
use sol_volume_bot::sys::net::{Target, TlsContext};

use crate::certs::Ca;
use crate::peer::{Harness, Served, echo_server};

fn echoes(served: &Served, ca: &Ca) {
    let mut harness = Harness::new(&served.url, Some(ca));
    harness.until("open", |harness| harness.link.current().is_some());
    for size in [1, 100, 16_370, 16_384, 16_385, 60_000] {
        let text = "t".repeat(size);
        harness.link.send(Target::Current, text.as_bytes()).expect("open");
        harness.probe.frames.clear();
        harness.until("echo", |harness| !harness.probe.frames.is_empty());
        assert_eq!(harness.texts(), [text.as_bytes()]);
    }
}

#[test]
fn every_cipher_of_both_versions_carries_messages_of_any_size() {
    let ca = Ca::new();
    let suites = [
        (&TLS13, suite::TLS13_AES_128_GCM_SHA256),
        (&TLS13, suite::TLS13_AES_256_GCM_SHA384),
        (&TLS13, suite::TLS13_CHACHA20_POLY1305_SHA256),
        (&TLS12, suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
        (&TLS12, suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
        (&TLS12, suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ];
    for (version, suite) in suites {
        let mut provider = default_provider();
        provider.cipher_suites = vec![suite];
        let config = ca.server_with(&[version], "127.0.0.1", (2020, 2120), provider);
        echoes(&echo_server(Some(config)), &ca);
    }
}

fn refusal(served: &Served, ca: &Ca) -> String {
    let mut harness = Harness::new(&served.url, Some(ca));
    harness.until("refusal", |harness| !harness.probe.downs.is_empty());
    assert!(harness.probe.opened.is_empty());
    harness.last_down().to_owned()
}

#[test]
fn wrong_name_expired_early_and_unknown_certificates_are_refused_with_their_reason() {
    let (ca, other) = (Ca::new(), Ca::new());
    for version in [&TLS13, &TLS12] {
        let server =
            |ca: &Ca, name, years| echo_server(Some(ca.server_with(&[version], name, years, default_provider())));
        for (served, word) in [
            (server(&ca, "elsewhere.example", (2020, 2120)), "is for another name"),
            (server(&ca, "127.0.0.1", (2020, 2021)), "has expired"),
            (server(&ca, "127.0.0.1", (2119, 2120)), "is not valid yet"),
            (server(&other, "127.0.0.1", (2020, 2120)), "unknown authority"),
        ] {
            let reason = refusal(&served, &ca);
            assert!(reason.contains(word) && reason.contains("`127.0.0.1`"), "{word}: {reason}");
        }
    }
}

#[test]
fn ca_file_that_is_missing_or_holds_no_certificate_is_named() {
    let missing = TlsContext::new(Some("no/such/ca.pem".as_ref())).err().expect("missing").to_string();
    assert!(missing.contains("`no/such/ca.pem`"), "{missing}");
    let empty = std::env::temp_dir().join(format!("svb-net-empty-{}.pem", std::process::id()));
    std::fs::write(&empty, "nothing here").expect("write");
    let error = TlsContext::new(Some(&empty)).err().expect("empty").to_string();
    std::fs::remove_file(&empty).expect("remove");
    assert!(error.contains("holds no certificate"), "{error}");
}

#[test]
fn key_updates_of_the_peer_are_followed_and_answered() {
    let ca = Ca::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let url = format!("wss://{}/", listener.local_addr().expect("address"));
    let config = ca.server(&[&TLS13]);
    let server = thread::spawn(move || {
        let (socket, _) = listener.accept().expect("accept");
        let conn = ServerConnection::new(config).expect("TLS server");
        let mut ws = tungstenite::accept(StreamOwned::new(conn, socket)).expect("upgrade");
        for round in 0..5 {
            ws.get_mut().conn.refresh_traffic_keys().expect("TLS 1.3");
            ws.send(tungstenite::Message::text(format!("round {round}"))).expect("send");
            assert_eq!(ws.read().expect("echo").into_text().expect("text").as_str(), format!("round {round}"));
        }
    });
    let mut harness = Harness::new(&url, Some(&ca));
    harness.probe.echo = true;
    harness.until("five rounds", |harness| harness.probe.frames_seen == 5);
    server.join().expect("the server read every echo");
}

#[test]
fn second_connection_resumes_the_first_ones_session_and_carries_messages() {
    let ca = Ca::new();
    for version in [&TLS13, &TLS12] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let url = format!("wss://{}/", listener.local_addr().expect("address"));
        let config = ca.server(&[version]);
        let server = thread::spawn(move || {
            let mut kinds = Vec::new();
            for _ in 0..2 {
                let (socket, _) = listener.accept().expect("accept");
                let conn = ServerConnection::new(Arc::clone(&config)).expect("TLS server");
                let mut ws = tungstenite::accept(StreamOwned::new(conn, socket)).expect("upgrade");
                kinds.push(ws.get_ref().conn.handshake_kind());
                ws.send(tungstenite::Message::text("hello")).expect("send");
                while ws.read().is_ok() {}
            }
            kinds
        });
        let mut harness = Harness::new(&url, Some(&ca));
        harness.until("first", |harness| harness.probe.frames_seen == 1);
        let now = harness.now();
        harness.link.reset(now, &mut harness.probe);
        harness.until("second", |harness| harness.probe.frames_seen == 2);
        let now = harness.now();
        harness.link.stop(now, &mut harness.probe);
        let kinds = server.join().expect("server");
        assert_eq!(kinds, [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)], "{version:?}");
    }
}

#[test]
fn record_changed_on_its_way_ends_the_connection() {
    let ca = Ca::new();
    for version in [&TLS13, &TLS12] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let url = format!("wss://{}/", listener.local_addr().expect("address"));
        let config = ca.server(&[version]);
        let server = thread::spawn(move || {
            let (socket, _) = listener.accept().expect("accept");
            let conn = ServerConnection::new(config).expect("TLS server");
            let mut ws = tungstenite::accept(StreamOwned::new(conn, socket)).expect("upgrade");
            ws.send(tungstenite::Message::text("good")).expect("send");
            let forged = [&[23, 3, 3, 0, 40][..], &[0x5a; 40]].concat();
            ws.get_mut().sock.write_all(&forged).expect("send");
            while ws.read().is_ok() {}
        });
        let mut harness = Harness::new(&url, Some(&ca));
        harness.until("end", |harness| !harness.probe.downs.is_empty());
        assert_eq!(harness.texts(), [b"good"]);
        assert!(harness.last_down().contains("a TLS record does not open"), "{}", harness.last_down());
        let now = harness.now();
        harness.link.stop(now, &mut harness.probe);
        server.join().expect("the server saw the end");
    }
}
