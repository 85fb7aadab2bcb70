//! A link's life: attempts, timeouts, roll-over, backlog, the poller.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use mio::{Events, Poll};
use sol_volume_bot::sys::net::{ConnectBudget, Endpoint, FrameVerdict, LinkConfig, LinkState, SendError, Target};
use sol_volume_bot::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use tungstenite::Message;

use crate::peer::{Harness, Served, Ws, echo_server, net, ws_server};

fn read_to_the_end(mut ws: Ws) {
    while ws.read().is_ok() {}
}

/// Answers each connection's first bytes with `answer`, then closes.
fn raw_server(answer: &'static str) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let url = format!("ws://{}/", listener.local_addr().expect("address"));
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.expect("accept");
            let mut request = [0; 4_096];
            if socket.read(&mut request).is_ok_and(|count| count > 0) {
                let _ = socket.write_all(answer.as_bytes());
            }
        }
    });
    Served { url }
}

#[test]
fn link_comes_back_after_every_kind_of_end_and_says_hello_each_time() {
    let served = ws_server(None, |number, mut ws| {
        assert_eq!(ws.read().expect("hello").into_text().expect("text").as_str(), "hello");
        ws.send(Message::text("data")).expect("send");
        match number {
            0 => drop(ws), // without a word
            1 => {
                ws.close(None).expect("close");
                read_to_the_end(ws);
            }
            _ => read_to_the_end(ws),
        }
    });
    let mut harness = Harness::new(&served.url, None);
    harness.probe.hello = Some("hello");
    harness.until("three connections", |harness| harness.probe.frames.len() == 3);
    assert_eq!(harness.link.reconnects(), 2);
    assert_eq!(harness.link.state(), LinkState::Open);
    assert_eq!(harness.probe.opened.iter().collect::<BTreeSet<_>>().len(), 3, "each has a number of its own");
    assert_eq!(harness.link.current(), harness.probe.opened.last().copied());
    let now = harness.now();
    harness.link.stop(now, &mut harness.probe);
    assert_eq!((harness.link.state(), harness.link.current()), (LinkState::Stopped, None));
    assert_eq!(harness.link.send(Target::Current, b"x"), Err(SendError::NotOpen));
    assert_eq!(harness.turn(), 0);
}

#[test]
fn refused_connections_are_tried_again_with_growing_pauses_and_name_the_address() {
    let free = TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("address"); // closed again
    let mut harness = Harness::new(&format!("ws://{free}/"), None);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        let before = harness.probe.downs.len();
        harness.until("refusal", |harness| harness.probe.downs.len() > before);
        assert!(harness.last_down().contains(&free.to_string()), "{}", harness.last_down());
        assert!(harness.last_down().contains("refused"), "{}", harness.last_down());
        let pause_ns = harness.link.next_deadline().since(harness.now());
        pauses.push(pause_ns);
        harness.ahead_ns += pause_ns + NANOS_PER_MILLI;
    }
    assert!(pauses[0] <= 250 * NANOS_PER_MILLI);
    assert!(pauses[9] > 10 * NANOS_PER_SEC && pauses[9] <= 30 * NANOS_PER_SEC, "{pauses:?}");
}

#[test]
fn attempts_stop_at_the_budget_until_it_flows_back() {
    let served = raw_server("HTTP/1.1 503 No\r\n\r\n");
    let net = net(None).with_budget(ConnectBudget::new(6, 60 * NANOS_PER_SEC));
    let mut harness = Harness::with(LinkConfig::new(Endpoint::parse(&served.url).expect("url")), net);
    for _ in 0..2 {
        let before = harness.probe.downs.len();
        harness.until("refusal", |harness| harness.probe.downs.len() > before);
        harness.ahead_ns += NANOS_PER_SEC;
    }
    harness.turn();
    let wait_ns = harness.link.next_deadline().since(harness.now());
    assert!(wait_ns > 10 * NANOS_PER_SEC, "{wait_ns}");
    harness.ahead_ns += wait_ns;
    harness.until("a third attempt", |harness| harness.probe.downs.len() == 3);
}

#[test]
fn upgrade_refused_with_retry_after_is_not_tried_earlier() {
    let served = raw_server("HTTP/1.1 429 Slow\r\nRetry-After: 90\r\n\r\n{\"code\":-1003}");
    let mut harness = Harness::new(&served.url, None);
    harness.until("refusal", |harness| !harness.probe.downs.is_empty());
    assert!(harness.last_down().contains("HTTP 429 {\"code\":-1003}"), "{}", harness.last_down());
    assert!(harness.link.next_deadline().since(harness.now()) > 85 * NANOS_PER_SEC);
}

#[test]
fn a_ban_or_a_limit_that_does_not_say_how_long_is_not_knocked_at_either() {
    for (answer, least_s) in [("HTTP/1.1 418 Teapot\r\n\r\n", 119), ("HTTP/1.1 429 Slow\r\n\r\n", 59)] {
        let served = raw_server(answer);
        let mut harness = Harness::new(&served.url, None);
        harness.until("refusal", |harness| !harness.probe.downs.is_empty());
        assert!(harness.link.next_deadline().since(harness.now()) > least_s * NANOS_PER_SEC, "{answer}");
    }
}

#[test]
fn peer_that_accepts_but_never_answers_is_left_after_the_open_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    for scheme in ["ws", "wss"] {
        let mut harness = Harness::new(&format!("{scheme}://{}/", listener.local_addr().expect("address")), None);
        harness.until("handshake", |harness| harness.link.state() == LinkState::Handshaking);
        harness.ahead_ns += 10 * NANOS_PER_SEC;
        harness.until("timeout", |harness| !harness.probe.downs.is_empty());
        let phase = if scheme == "ws" { "the WebSocket handshake" } else { "the TLS handshake" };
        assert!(harness.last_down().contains(phase), "{}", harness.last_down());
    }
}

#[test]
fn control_frames_alone_do_not_pass_the_first_data_timeout() {
    let served = ws_server(None, |_, mut ws| {
        let _ = ws.send(Message::text("status"));
        read_to_the_end(ws);
    });
    let mut harness = Harness::new(&served.url, None);
    harness.probe.verdict = |_| FrameVerdict::Control;
    harness.until("status", |harness| harness.probe.frames_seen == 1);
    harness.ahead_ns += 10 * NANOS_PER_SEC;
    harness.until("timeout", |harness| !harness.probe.downs.is_empty());
    assert_eq!(harness.last_down(), "no data within 10000 ms of opening");
    harness.until("another attempt", |harness| harness.probe.frames_seen == 2);
}

#[test]
fn silent_peer_is_pinged_half_way_and_left_at_the_end() {
    let (tell, told) = mpsc::channel();
    let served = ws_server(None, move |number, mut ws| {
        ws.send(Message::text("data")).expect("send");
        // The first peer answers no ping: it stops inside the first one's read.
        let ping = ws.read();
        if number == 0 {
            let _ = tell.send(matches!(ping, Ok(Message::Ping(_))));
            loop {
                thread::park();
            }
        }
    });
    let mut harness = Harness::new(&served.url, None);
    harness.until("data", |harness| harness.probe.frames_seen == 1);
    harness.ahead_ns += 31 * NANOS_PER_SEC;
    harness.turn();
    assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(true), "a ping");
    while harness.turn() > 0 {} // its pong, which tungstenite writes with the next read or not at all
    harness.ahead_ns += 61 * NANOS_PER_SEC;
    harness.until("given up", |harness| !harness.probe.downs.is_empty());
    assert_eq!(harness.last_down(), "silent for 60000 ms");
}

/// Sends numbers from one counter to all connections that are open, until the test ends.
fn counting_server() -> (Served, Arc<AtomicUsize>) {
    let clients: Arc<Mutex<Vec<Ws>>> = Arc::default();
    let (joined, opened) = (Arc::clone(&clients), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&opened);
    let served = ws_server(None, move |_, ws| {
        joined.lock().expect("lock").push(ws);
        count.fetch_add(1, Ordering::SeqCst);
    });
    thread::spawn(move || {
        for number in 0_u64.. {
            clients.lock().expect("lock").retain_mut(|ws| ws.send(Message::text(number.to_string())).is_ok());
            thread::yield_now();
        }
    });
    (served, opened)
}

fn assert_no_number_is_missing(harness: &Harness) {
    let numbers: BTreeSet<u64> = harness
        .probe
        .frames
        .iter()
        .map(|(_, frame)| String::from_utf8_lossy(frame).parse().expect("a number"))
        .collect();
    let (first, last) = (numbers.first().expect("some"), numbers.last().expect("some"));
    assert_eq!(numbers.len() as u64, last - first + 1, "a gap between {first} and {last}");
}

#[test]
fn rollover_by_age_opens_the_second_lets_it_deliver_and_loses_no_frame() {
    let (served, opened) = counting_server();
    let mut config = LinkConfig::new(Endpoint::parse(&served.url).expect("url"));
    config.rollover_overlap_ns = 20 * NANOS_PER_MILLI;
    config.rollover_after_ns = 30 * NANOS_PER_MILLI;
    let mut harness = Harness::with(config, net(None));
    harness.until("five roll-overs", |harness| harness.probe.downs.len() >= 5);
    assert!(opened.load(Ordering::SeqCst) >= 6);
    assert!(harness.probe.downs.iter().all(|(_, reason)| reason == "replaced by a new connection"));
    assert_eq!(harness.link.reconnects(), 0, "a planned end is none");
    assert_no_number_is_missing(&harness);
    for (conn, _) in &harness.probe.downs {
        assert!(*conn < harness.link.current().expect("open"));
    }
}

#[test]
fn announced_shutdown_starts_a_rollover_and_orders_go_to_the_old_until_the_new_delivers() {
    let served = ws_server(None, |number, mut ws| {
        let first = if number == 0 { "shutdown" } else { "status" };
        ws.send(Message::text(first)).expect("send");
        while let Ok(message) = ws.read() {
            if let Message::Text(text) = message {
                let _ = ws.send(Message::text(format!("{number}:{text}")));
            }
        }
    });
    let mut harness = Harness::new(&served.url, None);
    harness.probe.verdict = |frame| match frame {
        b"shutdown" => FrameVerdict::Shutdown,
        b"status" => FrameVerdict::Control,
        _ => FrameVerdict::Data,
    };
    harness.until("shutdown", |harness| harness.probe.frames_seen == 1);
    let first = harness.probe.opened[0];
    harness.ahead_ns += NANOS_PER_SEC; // no roll-over within a connection's first second
    harness.until("second open", |harness| harness.texts().contains(&&b"status"[..]));
    assert_eq!(harness.link.send(Target::Current, b"order"), Ok(first), "the second has not delivered");
    harness.until("answer", |harness| harness.texts().contains(&&b"0:order"[..]));
    let second = harness.probe.opened[1];
    harness.link.send(Target::Conn(second), b"logon").expect("open");
    harness.until("delivers", |harness| harness.link.current() == Some(second));
    harness.link.send(Target::Conn(first), b"late").expect("the old one is read a little longer");
    harness.until("late answer", |harness| harness.texts().contains(&&b"0:late"[..]));
    harness.ahead_ns += 3 * NANOS_PER_SEC;
    harness.until("old closed", |harness| !harness.probe.downs.is_empty());
    assert_eq!(harness.probe.downs[0], (first, "replaced by a new connection".to_owned()));
}

#[test]
fn successor_takes_over_when_the_serving_connection_dies_before_it_delivers() {
    let (kill, killed) = mpsc::channel::<()>();
    let killed = Mutex::new(killed);
    let served = ws_server(None, move |number, mut ws| {
        if number == 0 {
            ws.send(Message::text("data")).expect("send");
            let _ = killed.lock().expect("lock").recv();
        } else {
            read_to_the_end(ws);
        }
    });
    let mut harness = Harness::new(&served.url, None);
    harness.until("data", |harness| harness.probe.frames_seen == 1);
    harness.link.begin_rollover();
    harness.until("second open", |harness| harness.probe.opened.len() == 2);
    kill.send(()).expect("server waits");
    harness.until("takes over", |harness| harness.link.current() == harness.probe.opened.get(1).copied());
    assert_eq!((harness.link.reconnects(), harness.probe.opened.len()), (1, 2));
}

#[test]
fn session_that_asks_for_a_reset_gets_a_fresh_connection() {
    let served = echo_server(None);
    let mut harness = Harness::new(&served.url, None);
    harness.probe.hello = Some("lost my place");
    harness.probe.verdict = |_| FrameVerdict::Reset;
    harness.until("two resets", |harness| harness.probe.downs.len() == 2);
    assert_eq!(harness.last_down(), "dropped by the session");
}

#[test]
fn peer_that_does_not_read_fills_the_bounded_backlog_and_nothing_half_is_sent() {
    let (go, gone) = mpsc::channel::<()>();
    let gone = Mutex::new(gone);
    let (tell, told) = mpsc::channel();
    let served = ws_server(None, move |_, mut ws| {
        let _ = gone.lock().expect("lock").recv();
        while let Ok(message) = ws.read() {
            let _ = tell.send(message.into_data().len());
        }
    });
    let mut harness = Harness::new(&served.url, None);
    harness.until("open", |harness| harness.link.current().is_some());
    let mut sent = 0;
    let error = loop {
        match harness.link.send(Target::Current, &[b'x'; 10_000]) {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 10_000, "the kernel's buffers are smaller than that");
    };
    assert!(error == SendError::Full && error.nothing_left());
    assert_eq!(harness.link.send_with(Target::Current, |_| {}), Err(SendError::Empty));
    go.send(()).expect("server waits");
    let mut heard = 0;
    while heard < sent {
        harness.turn();
        heard += told.try_iter().inspect(|&len| assert_eq!(len, 10_000)).count();
    }
    assert_eq!(heard, sent);
}

#[test]
fn parked_agent_is_woken_for_every_connection_and_frame_by_its_poller_alone() {
    let served = ws_server(None, |number, mut ws| {
        for _ in 0..3 {
            ws.send(Message::text("tick")).expect("send");
            // Wait for the answer: the next frame then finds the link asleep.
            ws.read().expect("answer");
        }
        if number > 0 {
            read_to_the_end(ws);
        }
    });
    let mut harness = Harness::new(&served.url, None);
    harness.probe.echo = true;
    let mut poll = Poll::new().expect("poll");
    let mut events = Events::with_capacity(16);
    harness.link.register(poll.registry(), 40).expect("register");
    let end = harness.now().plus(10 * NANOS_PER_SEC);
    loop {
        while harness.turn() > 0 {}
        if harness.probe.frames_seen == 6 {
            break;
        }
        let now = harness.now();
        assert!(now < end, "slept through a wake-up; frames so far: {}", harness.probe.frames_seen);
        let wait_ns = harness.link.next_deadline().since(now).max(0);
        poll.poll(&mut events, Some(Duration::from_nanos(wait_ns as u64 + 1))).expect("poll");
        assert!(events.iter().all(|event| (40..44).contains(&event.token().0)));
    }
}

#[test]
fn name_without_an_address_is_told_and_tried_again() {
    let name = "x".repeat(64); // one letter longer than a label may be: refused without asking anybody
    let mut harness = Harness::new(&format!("ws://{name}/"), None);
    harness.until("failure", |harness| !harness.probe.downs.is_empty());
    assert!(harness.last_down().contains(&format!("`{name}`")), "{}", harness.last_down());
    assert_eq!(harness.link.state(), LinkState::Backoff);
}
