//! Alerts reach their channels, and no secret reaches anything else.

use std::path::PathBuf;
use std::time::Duration;

use sol_volume_bot::sim::scenario::{DEMO_ED25519_KEY, DEMO_ED25519_PEM, DEMO_HMAC_KEY, DEMO_HMAC_SECRET};
use sol_volume_bot::sim::server::{Alert, Channel, Fault, Snapshot};

use crate::rig::{
    Bot, Ended, House, OPS_TOKEN, PATIENCE, SLACK_PATH, TELEGRAM_CHAT, TELEGRAM_TOKEN, cents, files_below,
};

/// Waits until this channel was sent, and answered with `status`, a message with `word` in it.
fn delivered(house: &House, channel: Channel, word: &str, status: u16) -> Alert {
    let found = || {
        let wanted = |alert: &Alert| alert.channel == channel && alert.status == status && alert.body.contains(word);
        house.venue.alerts().into_iter().find(wanted)
    };
    let mut tries = 0;
    loop {
        if let Some(alert) = found() {
            return alert;
        }
        let count = house.venue.snapshot().alerts;
        house.venue.wait_for(Duration::from_secs(1), |snapshot| snapshot.alerts > count);
        tries += 1;
        assert!(tries < 60, "{channel:?} never got {word} ({status}): {:?}", house.venue.alerts());
    }
}

fn guarded(house: &House, bot: &mut Bot) {
    bot.line("PROTECTED");
    let is_guarded = |snapshot: &Snapshot| snapshot.open_lists.len() == 2;
    assert!(house.venue.wait_for(PATIENCE, is_guarded).1, "{:?}", house.venue.snapshot().open_orders);
}

#[test]
fn enter_and_stop_reach_telegram_and_slack_and_a_429_is_tried_again() {
    let mut house = House::new("alerts");
    house.set("execution", "tranches", "1");
    house.with_alerts();
    house.venue.fault(Fault::Telegram(429));
    house.venue.fault(Fault::Slack(500));
    let (mut bot, _) = house.open();
    guarded(&house, &mut bot);
    delivered(&house, Channel::Telegram, "ENTER", 429);
    delivered(&house, Channel::Slack, "ENTER", 500);
    house.venue.fault(Fault::Telegram(200));
    house.venue.fault(Fault::Slack(200));
    let telegram = delivered(&house, Channel::Telegram, "ENTER", 200);
    assert!(telegram.path.ends_with(&format!("/bot{TELEGRAM_TOKEN}/sendMessage")), "{}", telegram.path);
    assert!(telegram.body.contains(TELEGRAM_CHAT), "{}", telegram.body);
    delivered(&house, Channel::Slack, "ENTER", 200);
    house.venue.set_mid(cents(15_400));
    bot.line("TRADE_CLOSED");
    delivered(&house, Channel::Telegram, "STOP", 200);
    delivered(&house, Channel::Slack, "STOP", 200);
    for word in ["ENTER", "STOP"] {
        for channel in [Channel::Telegram, Channel::Slack] {
            let all = house.venue.alerts();
            let good = all.iter().filter(|a| a.channel == channel && a.status == 200 && a.body.contains(word)).count();
            assert_eq!(good, 1, "{channel:?} got {word} more than once");
        }
    }
    assert_eq!(bot.stop().code, Some(0));
}

/// All that anybody may see of a run.
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn add(&mut self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.0.push((name.to_owned(), bytes.into()));
    }
    fn add_ended(&mut self, name: &str, ended: Ended) {
        for line in ended.stdout.lines() {
            let is_object = serde_json::from_str::<serde_json::Value>(line).is_ok_and(|value| value.is_object());
            assert!(is_object, "stdout is one JSON object a line: {line}");
        }
        self.add(&format!("{name} stdout"), ended.stdout);
        self.add(&format!("{name} stderr"), ended.stderr);
    }
    fn add_files(&mut self, folder: &std::path::Path) -> Vec<PathBuf> {
        let files = files_below(folder);
        let names = files.iter().map(|(path, _)| path.clone()).collect();
        files.into_iter().for_each(|(path, bytes)| self.add(&path.display().to_string(), bytes));
        names
    }
    fn holds_none_of(&self, secrets: &[&str]) {
        for (name, bytes) in &self.0 {
            for secret in secrets {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{name} holds the secret that ends with {}", &secret[secret.len() - 6..]);
            }
        }
    }
}

/// A run in which much goes wrong, watched from everywhere.
fn troubled_run(house: &House, seen: &mut Seen) {
    house.venue.fault(Fault::Telegram(429));
    house.venue.fault(Fault::Slack(500));
    let (mut bot, ops) = house.open();
    guarded(house, &mut bot);
    delivered(house, Channel::Telegram, "ENTER", 429);
    house.venue.fault(Fault::Telegram(400));
    house.venue.fault(Fault::Slack(404)); // for good: the channel is switched off, and that is said
    for cut in [Fault::DropWsApi, Fault::DropStreams, Fault::DropSolana] {
        house.venue.fault(cut);
    }
    bot.next("STREAM_UP", |line| line["stream"] == "binance_user");
    house.venue.fault(Fault::ServerShutdown);
    house.venue.fault(Fault::SwallowAnswers(1));
    assert_eq!(ops.post("/api/pause", Some("not-the-token-at-all")), 401);
    assert_eq!(ops.post("/api/pause", Some(OPS_TOKEN)), 202);
    bot.said("PAUSE", |_| true);
    bot.said("ALERT_FAILED", |_| true);
    bot.signal(libc::SIGHUP);
    bot.line("RELOAD");
    for path in ["/metrics", "/api/status", "/readyz", "/healthz", "/", "/nothing"] {
        seen.add(path, ops.get(path).1);
    }
    house.venue.set_mid(cents(15_400));
    bot.line("TRADE_CLOSED");
    seen.add_ended("run", bot.stop());
    for alert in house.venue.alerts() {
        seen.add("alert body", alert.body);
    }
}

#[test]
fn no_secret_appears_in_anything_that_a_run_with_failures_leaves_behind() {
    let mut house = House::new("secrets");
    house.set("execution", "tranches", "1");
    house.with_alerts();
    let mut seen = Seen(Vec::new());
    troubled_run(&house, &mut seen);
    let files = seen.add_files(&house.data());
    for kind in ["engine.db", ".csv", ".hlog"] {
        let there = files.iter().any(|path| path.to_string_lossy().ends_with(kind));
        assert!(there, "no {kind} to look into: {files:?}");
    }
    house.secret("BINANCE_API_KEY", "a-key-that-the-venue-does-not-know");
    seen.add_ended("refused key", house.start().ended());
    house.set("endpoints", "telegram", "\"http://elsewhere.example/telegram\"");
    seen.add_ended("refused config", house.start().ended());
    let webhook = SLACK_PATH.rsplit('/').next().expect("a path");
    seen.holds_none_of(&[
        DEMO_HMAC_KEY,
        DEMO_HMAC_SECRET,
        "a-key-that-the-venue-does-not-know",
        TELEGRAM_TOKEN,
        webhook,
        OPS_TOKEN,
    ]);
    let (_, telegram_key) = TELEGRAM_TOKEN.split_once(':').expect("bot and key");
    seen.holds_none_of(&[telegram_key]);
}

#[test]
fn an_ed25519_key_trades_and_its_pem_appears_nowhere() {
    let mut house = House::new("pem");
    house.set("execution", "tranches", "1");
    house.set("exchange", "binance_key_type", "\"ed25519\"");
    house.secret("BINANCE_API_KEY", DEMO_ED25519_KEY);
    house.folder.write("key.pem", DEMO_ED25519_PEM, 0o600);
    house.secret("BINANCE_SECRET", "key.pem");
    let (mut bot, ops) = house.open();
    guarded(&house, &mut bot);
    let mut seen = Seen(Vec::new());
    for path in ["/metrics", "/api/status"] {
        seen.add(path, ops.get(path).1);
    }
    seen.add_ended("run", bot.stop());
    seen.add_files(&house.data());
    house.folder.write("key.pem", &DEMO_ED25519_PEM.replace("MC4C", "MC5C"), 0o600);
    let broken = house.start().ended();
    assert_eq!(broken.code, Some(2), "{}", broken.stderr);
    seen.add_ended("broken key", broken);
    let body = DEMO_ED25519_PEM.lines().nth(1).expect("the key's line");
    seen.holds_none_of(&[body, &body[12..40], "BEGIN PRIVATE KEY"]);
}
