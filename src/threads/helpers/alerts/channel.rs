//! The two channels: how a message is posted and what each answer means.
//!
//! Thread: a courier's own.  Invariants: an outcome's text never holds an address, a token or a server's free text;
//! answers are told apart by status and fields, never by their description.

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::super::web;
use crate::telemetry::alerts::AlertText;
use crate::types::time::NANOS_PER_SEC;

/// Why a channel rests.
pub(super) const RATE_LIMITED: &str = "rate limited";
/// Longest body of an answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 * 1_024;
/// Time for a message when the house closes.
const LAST_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Longest pause a server may ask for.
const WAIT_S_MAX: i64 = 600;

/// A Telegram chat.
pub struct Telegram {
    /// Base URL; `/bot<token>/sendMessage` is appended.
    pub base: String,
    /// Bot token.
    pub token: SecretString,
    /// Chat id or `@name`.
    pub chat: SecretString,
}

/// A Slack webhook.
pub struct Slack {
    /// Whole URL.
    pub webhook: SecretString,
    /// Replaces scheme and host of it, if set.
    pub base: Option<String>,
}

impl fmt::Debug for Telegram {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Telegram({})", self.base)
    }
}
impl fmt::Debug for Slack {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Slack(webhook not shown)")
    }
}

/// One of the two.
pub(super) enum Target {
    Telegram(Telegram),
    Slack(Slack),
}

/// What came of a post.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Delivered,
    /// Try again, after `wait_ns` if the server named it.
    Later {
        wait_ns: Option<i64>,
        why: String,
    },
    /// The markup was refused: once more without.
    Plain,
    /// The chat has a new id, already put in place.
    Moved,
    /// This message is refused for good.
    Refused(String),
    /// The channel is: token, chat or webhook are wrong.
    Disabled(String),
}

impl Target {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Target::Telegram(_) => "telegram",
            Target::Slack(_) => "slack",
        }
    }

    /// Posts one message; `last` allows it a short time only.
    pub(super) fn post(
        &mut self,
        agent: &ureq::Agent,
        text: &AlertText,
        repeats: u32,
        plain: bool,
        last: bool,
    ) -> Outcome {
        let (url, body) = match self {
            Target::Telegram(t) => {
                let url = format!("{}/bot{}/sendMessage", t.base, t.token.expose_secret());
                (url, text.telegram(t.chat.expose_secret(), repeats, plain))
            }
            Target::Slack(s) => (s.url(), text.slack(repeats)),
        };
        let mut request = agent.post(&url).content_type("application/json");
        if last {
            request = request.config().timeout_global(Some(LAST_TIMEOUT)).build();
        }
        match request.send(body.as_str()) {
            Err(error) => Outcome::Later { wait_ns: None, why: web::in_words(&error).to_string() },
            Ok(mut answer) => {
                let status = answer.status().as_u16();
                let header = answer
                    .headers()
                    .get("retry-after")
                    .and_then(|value| value.to_str().ok())
                    .and_then(|text| text.trim().parse().ok());
                let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().unwrap_or_default();
                self.judge(status, header, &body)
            }
        }
    }

    fn judge(&mut self, status: u16, retry_after_s: Option<i64>, body: &str) -> Outcome {
        match (self, status) {
            (_, 200) => Outcome::Delivered,
            (_, 500..) => Outcome::Later { wait_ns: wait(retry_after_s), why: format!("HTTP status {status}") },
            (Target::Telegram(telegram), _) => telegram.judge(status, retry_after_s, body),
            (Target::Slack(_), 429) => Outcome::Later { wait_ns: wait(retry_after_s), why: RATE_LIMITED.to_owned() },
            (Target::Slack(_), 403 | 404 | 410) => Outcome::Disabled(format!(
                "HTTP status {status}: the webhook was removed or may not post; check the variable that alerts.slack_webhook names"
            )),
            (Target::Slack(_), _) => Outcome::Refused(format!("HTTP status {status}")),
        }
    }
}

impl Slack {
    fn url(&self) -> String {
        let whole = self.webhook.expose_secret();
        let Some(base) = &self.base else { return whole.to_owned() };
        let path = whole.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
        format!("{base}/{path}")
    }
}

impl Telegram {
    /// A retry time, a new chat id and the fault all come in `parameters` and the status; the description may change.
    fn judge(&mut self, status: u16, retry_after_s: Option<i64>, body: &str) -> Outcome {
        let parameters =
            serde_json::from_str::<Value>(body).map(|value| value["parameters"].clone()).unwrap_or_default();
        match status {
            429 => {
                let asked = parameters["retry_after"].as_i64().or(retry_after_s);
                Outcome::Later { wait_ns: wait(asked), why: RATE_LIMITED.to_owned() }
            }
            400 => match parameters["migrate_to_chat_id"].as_i64() {
                Some(chat) => {
                    self.chat = SecretString::from(chat.to_string());
                    Outcome::Moved
                }
                // Chat not found, text refused or markup refused: the plain form tells them apart without the text.
                None => Outcome::Plain,
            },
            401 | 404 => Outcome::Disabled(format!(
                "HTTP status {status}: the bot token is wrong; check the variable that alerts.telegram_token names"
            )),
            403 => Outcome::Disabled(
                "HTTP status 403: the bot may not write to this chat; press Start there or add the bot".to_owned(),
            ),
            _ => Outcome::Refused(format!("HTTP status {status}")),
        }
    }
}

fn wait(seconds: Option<i64>) -> Option<i64> {
    seconds.map(|seconds| seconds.clamp(0, WAIT_S_MAX) * NANOS_PER_SEC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn telegram() -> Target {
        let token = SecretString::from("12345:AAtoken");
        Target::Telegram(Telegram { base: "http://127.0.0.1:1".to_owned(), token, chat: SecretString::from("-5") })
    }
    fn slack(base: Option<&str>) -> Target {
        let webhook = SecretString::from("https://hooks.example/services/T/B/secret");
        Target::Slack(Slack { webhook, base: base.map(str::to_owned) })
    }

    #[test]
    fn every_answer_of_both_channels_has_its_reaction() {
        let later = |wait_s: Option<i64>, why: &str| Outcome::Later {
            wait_ns: wait_s.map(|s| s * NANOS_PER_SEC),
            why: why.to_owned(),
        };
        assert_eq!(telegram().judge(200, None, "{\"ok\":true}"), Outcome::Delivered);
        assert_eq!(telegram().judge(429, None, "{\"parameters\":{\"retry_after\":7}}"), later(Some(7), RATE_LIMITED));
        assert_eq!(telegram().judge(502, None, "<html>"), later(None, "HTTP status 502"));
        assert_eq!(
            telegram().judge(400, None, "{\"description\":\"Bad Request: can't parse entities\"}"),
            Outcome::Plain
        );
        assert!(matches!(telegram().judge(401, None, ""), Outcome::Disabled(_)));
        assert!(matches!(telegram().judge(403, None, ""), Outcome::Disabled(_)));
        assert!(matches!(telegram().judge(404, None, ""), Outcome::Disabled(_)));
        assert!(matches!(telegram().judge(413, None, ""), Outcome::Refused(_)));
        assert_eq!(slack(None).judge(200, None, "ok"), Outcome::Delivered);
        assert_eq!(slack(None).judge(429, Some(3), "rate_limited"), later(Some(3), RATE_LIMITED));
        assert_eq!(slack(None).judge(500, None, "rollup_error"), later(None, "HTTP status 500"));
        assert!(matches!(slack(None).judge(400, None, "invalid_payload"), Outcome::Refused(_)));
        for status in [403, 404, 410] {
            assert!(matches!(slack(None).judge(status, None, "no_service"), Outcome::Disabled(_)), "{status}");
        }
    }

    #[test]
    fn a_moved_group_is_followed_and_a_webhook_can_be_pointed_elsewhere() {
        let mut target = telegram();
        assert_eq!(target.judge(400, None, "{\"parameters\":{\"migrate_to_chat_id\":-1001}}"), Outcome::Moved);
        let Target::Telegram(telegram) = target else { unreachable!("it was one") };
        assert_eq!(telegram.chat.expose_secret(), "-1001");
        let Target::Slack(slack) = slack(Some("http://127.0.0.1:9/slack")) else { unreachable!("it was one") };
        assert_eq!(slack.url(), "http://127.0.0.1:9/slack/services/T/B/secret");
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let Target::Telegram(telegram) = telegram() else { unreachable!("it was one") };
        let Target::Slack(slack) = slack(None) else { unreachable!("it was one") };
        let text = format!("{telegram:?} {slack:?}");
        assert!(!text.contains("AAtoken") && !text.contains("secret"), "{text}");
    }
}
