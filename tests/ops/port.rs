//! The HTTP port: what it answers, what only a token may change.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use crossbeam_channel::{Receiver, bounded, unbounded};
use secrecy::SecretString;
use serde_json::Value;
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::sys::kill::KillSwitch;
use sol_volume_bot::telemetry::{Board, Line, Metrics, Status};
use sol_volume_bot::threads::helpers::http::{Ops, OpsSettings};
use sol_volume_bot::threads::helpers::operator::Operator;
use sol_volume_bot::types::event::Control;

use super::bench::*;

/// One HTTP exchange on loopback: status and body.
fn http(addr: SocketAddr, request: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(addr).expect("connects");
    write!(stream, "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let status = answer.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
}

fn port(token: Option<&str>) -> (Ops, Receiver<Control>, Receiver<Line>) {
    let clock = Clock::start();
    let metrics = Arc::new(Metrics::new("1.0.0", "paper").expect("registers"));
    let board = Arc::new(Board::new(Status::new(clock.now(), "paper", "SOLUSDT".to_owned(), 7)));
    let ((control, words), (lines, said)) = (bounded(1), unbounded());
    let settings = OpsSettings { listen: SocketAddr::from(([127, 0, 0, 1], 0)), token: token.map(SecretString::from) };
    let operator = Operator::new(control, Arc::new(KillSwitch::new(clock)), Arc::clone(&board), clock);
    (Ops::start(settings, clock, (metrics, board), operator, lines).expect("opens"), words, said)
}

#[test]
fn the_port_answers_what_the_contract_names() {
    let (ops, _words, _said) = port(None);
    assert_eq!(http(ops.addr(), "GET /healthz", "").0, 200);
    let (status, body) = http(ops.addr(), "GET /readyz", "");
    assert_eq!((status, body.contains("\"ready\":false") && body.contains("starting")), (503, true), "{body}");
    let (status, body) = http(ops.addr(), "GET /api/status?x=1", "");
    assert_eq!((status, serde_json::from_str::<Value>(&body).expect("JSON")["epoch"].as_u64()), (200, Some(7)));
    assert!(http(ops.addr(), "GET /", "").1.contains("<h1>sol_volume_bot</h1>"));
    assert_eq!(http(ops.addr(), "GET /nothing", "").0, 404);
    assert_eq!(http(ops.addr(), "DELETE /metrics", "").0, 405);
    let (status, metrics) = http(ops.addr(), "GET /metrics", "");
    assert_eq!(status, 200);
    assert_exposition_format(&metrics);
    ops.stop();
}

/// What `promtool check metrics` looks at: types before samples, cumulative buckets, units; and promtool itself if it
/// is installed.
fn assert_exposition_format(text: &str) {
    let mut typed = std::collections::HashMap::new();
    let mut bucket: Option<(String, f64)> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a kind");
            assert!(typed.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let name = series.split('{').next().expect("a name");
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end))
                .filter(|base| typed.contains_key(*base));
            assert!(typed.contains_key(base.unwrap_or(name)), "{name} has no type");
            let value: f64 = value.parse().expect("a number");
            if let Some((labels, _)) = series.split_once("le=\"") {
                let before = bucket.replace((labels.to_owned(), value));
                assert!(before.is_none_or(|(known, count)| known != labels || count <= value), "{line}");
            }
            let counter = typed.get(name).is_some_and(|kind| kind == "counter");
            assert_eq!(counter, name.ends_with("_total"), "{name}");
        }
    }
    let promtool = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn();
    match promtool {
        Err(_) => println!("SKIPPED: promtool is not installed; only our own check of the format ran"),
        Ok(mut child) => {
            child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("taken");
            let said = child.wait_with_output().expect("ends");
            assert!(
                said.status.success(),
                "{}{}",
                String::from_utf8_lossy(&said.stdout),
                String::from_utf8_lossy(&said.stderr)
            );
        }
    }
}

#[test]
fn only_a_post_with_the_token_changes_anything() {
    let token = "correct-horse-battery";
    let (ops, words, said) = port(Some(token));
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    assert_eq!(http(ops.addr(), "GET /api/kill", &bearer(token)).0, 405);
    assert_eq!(http(ops.addr(), "POST /api/kill", "").0, 401);
    for wrong in ["", "correct-horse-batterz", "correct-horse-battery1"] {
        assert_eq!(http(ops.addr(), "POST /api/kill", &bearer(wrong)).0, 401, "{wrong}");
    }
    assert!(words.is_empty());
    for line in said.try_iter() {
        assert_eq!(line.event, "UNAUTHORIZED");
        assert!(!format!("{line:?}").contains("horse"), "no token, right or wrong, in a line");
    }
    for (path, control) in [("pause", Control::Pause), ("resume", Control::Resume), ("flatten", Control::Flatten)] {
        assert_eq!(http(ops.addr(), &format!("POST /api/{path}"), &bearer(token)).0, 202);
        assert_eq!(words.recv_timeout(PATIENCE), Ok(control));
    }
    assert_eq!(http(ops.addr(), "POST /api/pause", &bearer(token)).0, 202);
    assert_eq!(http(ops.addr(), "POST /api/pause", &bearer(token)).0, 503, "the channel is full: said, not dropped");
    let (status, body) = http(ops.addr(), "POST /api/kill", &bearer(token));
    assert_eq!(status, 202, "a kill needs no room there: {body}");
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(answer["cancels"], "pending", "no gateway runs here, and the answer does not claim more: {body}");
    ops.stop();
    let (ops, words, _said) = port(None);
    let (status, body) = http(ops.addr(), "POST /api/kill", &bearer(token));
    assert!(status == 403 && body.contains("ops.token"), "{status} {body}");
    assert!(words.is_empty());
    ops.stop();
}

#[test]
fn an_occupied_port_is_a_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = taken.local_addr().expect("its address");
    let clock = Clock::start();
    let metrics = Arc::new(Metrics::new("1.0.0", "paper").expect("registers"));
    let board = Arc::new(Board::new(Status::new(clock.now(), "paper", "SOLUSDT".to_owned(), 7)));
    let operator = Operator::new(bounded(1).0, Arc::new(KillSwitch::new(clock)), Arc::clone(&board), clock);
    let error = Ops::start(OpsSettings { listen, token: None }, clock, (metrics, board), operator, bounded(1).0)
        .expect_err("refused");
    let text = error.to_string();
    assert!(text.contains(&format!("ops.listen = \"{listen}\"")) && text.contains("choose another port"), "{text}");
}
