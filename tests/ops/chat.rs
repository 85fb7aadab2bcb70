//! Alerts to a chat: through busy, broken and stuck channels, without a secret in any word.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use secrecy::SecretString;
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::telemetry::Line;
use sol_volume_bot::telemetry::alerts::{AlertText, Urgency};
use sol_volume_bot::threads::helpers::alerts::{AlertSettings, Alerts, Pace, Slack, Telegram};
use sol_volume_bot::types::command::Alert;
use sol_volume_bot::types::instrument::Symbol;
use sol_volume_bot::types::{Price, Qty};

use super::bench::*;
use super::rows::*;

/// A server that answers from a script, one request a connection, and shows what it got. Out of answers, it is silent.
struct Chat {
    addr: SocketAddr,
    got: Receiver<String>,
    _open: Receiver<TcpStream>,
}

impl Chat {
    fn start(answers: Vec<&'static str>) -> Chat {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("its address");
        let ((tx, got), (keep, open)) = (unbounded(), unbounded());
        std::thread::spawn(move || {
            let mut answers = answers.into_iter();
            while let Ok((stream, _)) = listener.accept() {
                let mut reader = BufReader::new(stream);
                let Some(request) = read_request(&mut reader) else { continue };
                let mut stream = reader.into_inner();
                match answers.next() {
                    Some(answer) => drop(stream.write_all(answer.as_bytes())),
                    None => drop(keep.send(stream)),
                }
                if tx.send(request).is_err() {
                    return;
                }
            }
        });
        Chat { addr, got, _open: open }
    }
    fn next(&self) -> String {
        self.got.recv_timeout(PATIENCE).expect("a request")
    }
    fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        text.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(text + &String::from_utf8(body).ok()?)
}

const TOKEN: &str = "12345:AAbottokensecret";
const HOOK: &str = "services/T0/B0/hooksecret";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
const BUSY: &str = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const BROKEN: &str = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>";
const UNAUTHORIZED: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const BAD_MARKUP: &str =
    "HTTP/1.1 400 Bad Request\r\nContent-Length: 27\r\nConnection: close\r\n\r\n{\"ok\":false,\"error_code\":0}";

fn settings(telegram: Option<&Chat>, slack: Option<&Chat>, coalesce_ns: i64) -> AlertSettings {
    let telegram = telegram.map(|chat| Telegram {
        base: chat.url(),
        token: SecretString::from(TOKEN),
        chat: SecretString::from("-100"),
    });
    let slack = slack.map(|chat| Slack { webhook: SecretString::from(format!("{}/{HOOK}", chat.url())), base: None });
    AlertSettings {
        telegram,
        slack,
        ca_file: None,
        pace: Pace { spacing_ns: 1_000, backoff_ns: 1_000_000, coalesce_ns },
    }
}

fn text(id: u64, key: &str) -> AlertText {
    AlertText { id, key: key.to_owned(), urgency: Urgency::Critical, head: "STOP", body: format!("alert {id} <b>") }
}

fn start(settings: AlertSettings) -> (Alerts, Receiver<Line>) {
    let (lines, said) = unbounded();
    (Alerts::start(settings, Clock::start(), &lines).expect("starts").expect("a channel"), said)
}

#[test]
fn an_alert_reaches_both_channels_through_busy_and_broken_answers() {
    let (telegram, slack) = (Chat::start(vec![BUSY, BROKEN, OK]), Chat::start(vec![BROKEN, OK]));
    let (alerts, said) = start(settings(Some(&telegram), Some(&slack), 0));
    let symbol = Symbol::new("SOLUSDT").expect("symbol");
    let enter = Alert::Enter { mid: Price(16_100_000_000), qty: Qty(1_000_000_000), stop: Price(15_500_000_000) };
    alerts.queue().send(AlertText::of(&enter, symbol, 1)).expect("room");
    for _ in 0..3 {
        let request = telegram.next();
        assert!(request.starts_with(&format!("POST /bot{TOKEN}/sendMessage HTTP/1.1\r\n")), "{request}");
        assert!(
            request.contains("<b>ENTER</b> SOLUSDT first tranche 1 at mid 161, stop 155")
                && request.contains("\"chat_id\":-100"),
            "{request}"
        );
    }
    for _ in 0..2 {
        let request = slack.next();
        assert!(
            request.starts_with(&format!("POST /{HOOK} HTTP/1.1\r\n")) && request.contains("*ENTER* SOLUSDT"),
            "{request}"
        );
    }
    assert!(alerts.stop(PATIENCE, Clock::start()));
    assert!(said.is_empty());
}

#[test]
fn refused_markup_is_sent_once_more_as_plain_text() {
    let chat = Chat::start(vec![BAD_MARKUP, OK]);
    let (alerts, said) = start(settings(Some(&chat), None, 0));
    alerts.queue().send(text(1, "a")).expect("room");
    assert!(chat.next().contains("parse_mode"));
    let plain = chat.next();
    assert!(!plain.contains("parse_mode") && plain.contains("STOP alert 1 <b>"), "{plain}");
    assert!(alerts.stop(PATIENCE, Clock::start()) && said.is_empty());
}

#[test]
fn a_permanent_error_switches_the_channel_off_and_every_lost_alert_is_in_the_log_without_secrets() {
    let chat = Chat::start(vec![UNAUTHORIZED]);
    let (alerts, said) = start(settings(Some(&chat), None, 0));
    alerts.queue().send(text(1, "a")).expect("room");
    chat.next();
    alerts.queue().send(text(2, "b")).expect("room");
    let lines: Vec<Line> = (0..2).map(|_| said.recv_timeout(PATIENCE).expect("a line")).collect();
    assert!(lines.iter().all(|line| line.event == "ALERT_FAILED"));
    assert!(lines[0].msg.contains("alerts.telegram_token names"), "{}", lines[0].msg);
    assert!(format!("{:?}", lines[1]).contains("alert 2"), "what could not be told is written down");
    assert!(!format!("{lines:?}").contains("secret"), "{lines:?}");
    assert!(alerts.stop(PATIENCE, Clock::start()));
    assert!(chat.got.is_empty(), "nothing was sent after the 401");
}

#[test]
fn five_tries_are_the_end_and_the_address_of_a_dead_webhook_is_not_told() {
    let chat = Chat::start(vec![BROKEN; 9]);
    let (alerts, said) = start(settings(None, Some(&chat), 0));
    alerts.queue().send(text(1, "a")).expect("room");
    let line = said.recv_timeout(PATIENCE).expect("a line");
    assert!(line.msg.contains("given up after 5 tries: HTTP status 502"), "{}", line.msg);
    assert_eq!(chat.got.len(), 5);
    assert!(alerts.stop(PATIENCE, Clock::start()));
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let dead = AlertSettings {
        slack: Some(Slack { webhook: SecretString::from(format!("http://{gone}/{HOOK}")), base: None }),
        ..settings(None, None, 0)
    };
    let (alerts, said) =
        start(AlertSettings { pace: Pace { spacing_ns: 1_000, backoff_ns: 1_000, coalesce_ns: 0 }, ..dead });
    alerts.queue().send(text(1, "a")).expect("room");
    let line = said.recv_timeout(PATIENCE).expect("a line");
    assert!(line.msg.contains("given up") && !format!("{line:?}").contains("secret"), "{line:?}");
    assert!(alerts.stop(PATIENCE, Clock::start()));
}

#[test]
fn repeats_within_the_window_become_one_message() {
    let chat = Chat::start(vec![OK; 9]);
    let (alerts, said) = start(settings(Some(&chat), None, SECOND / 2));
    (1..=5).for_each(|id| alerts.queue().send(text(id, "same")).expect("room"));
    alerts.queue().send(text(6, "other")).expect("room");
    let got: Vec<String> = (0..3).map(|_| chat.next()).collect();
    assert!(got[0].contains("id=ev-1") || got[0].contains("(x"), "{}", got[0]);
    assert!(got[1].contains("id=ev-6") && got[2].contains("id=ev-5") && got[2].contains("(x4)"), "{got:?}");
    assert!(alerts.stop(PATIENCE, Clock::start()) && said.is_empty() && chat.got.is_empty());
}

#[test]
fn a_stuck_channel_never_blocks_the_sender_nor_the_end() {
    let chat = Chat::start(Vec::new());
    let (alerts, _said) = start(settings(Some(&chat), None, 0));
    let queue = alerts.queue();
    let refused = (1..=1_000).filter(|id| queue.send(text(*id, &id.to_string())).is_err()).count();
    chat.next();
    assert!(refused >= 1_000 - 2 * 256 - 1 && queue.refused() == refused as u64, "{refused} refused");
    let clock = Clock::start();
    let before = clock.now();
    assert!(!alerts.stop(Duration::from_millis(100), clock), "the thread is stuck in its request");
    assert!(clock.now().since(before) < 2 * SECOND);
}
