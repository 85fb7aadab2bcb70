//! Texts of alerts and the bodies that the two channels want.
//!
//! Thread: any.  Invariants: pure; everything that is not ours is escaped; no text holds a secret.

use serde_json::json;

use crate::types::command::Alert;
use crate::types::instrument::Symbol;

/// How much it matters that it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// May be dropped when too many wait.
    Info,
    /// Money moved or must be looked after: never dropped.
    Critical,
}

/// Which events alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertKinds {
    /// An entry began.
    pub enter: bool,
    /// A stop or another forced exit.
    pub stop: bool,
    /// Trading halted.
    pub fatal: bool,
}

impl AlertKinds {
    /// Whether this alert is wanted.
    pub fn wants(&self, alert: &Alert) -> bool {
        match alert {
            Alert::Enter { .. } => self.enter,
            Alert::Stop { .. } => self.stop,
            Alert::Fatal { .. } => self.fatal,
        }
    }
}

/// One alert, ready for any channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertText {
    /// Number within the run, so that a duplicate is seen to be one.
    pub id: u64,
    /// Alerts of one key within half a minute are one.
    pub key: String,
    /// How much it matters.
    pub urgency: Urgency,
    /// First word: `ENTER`, `STOP`, `FATAL`.
    pub head: &'static str,
    /// The rest, plain.
    pub body: String,
}

impl AlertText {
    /// Of an engine's alert.
    pub fn of(alert: &Alert, symbol: Symbol, id: u64) -> AlertText {
        let (head, key, body) = match alert {
            Alert::Enter { mid, qty, stop } => {
                ("ENTER", "ENTER".to_owned(), format!("{symbol} first tranche {qty} at mid {mid}, stop {stop}"))
            }
            Alert::Stop { reason, mid, qty } => (
                "STOP",
                format!("STOP {}", reason.name()),
                format!("{symbol} {}: {qty} left to sell at mid {mid}", reason.name()),
            ),
            Alert::Fatal { reason } => {
                let body = format!("{symbol} entries halted: {}. Look, then `sol_volume_bot resume`", reason.name());
                ("FATAL", format!("FATAL {}", reason.name()), body)
            }
        };
        AlertText { id, key, urgency: Urgency::Critical, head, body }
    }

    fn tail(&self, repeats: u32) -> String {
        let times = if repeats > 1 { format!(" (x{repeats})") } else { String::new() };
        format!("{times}\nid=ev-{}", self.id)
    }

    /// Body of Telegram's `sendMessage`; `plain` drops the markup, for when it was not understood.
    pub fn telegram(&self, chat: &str, repeats: u32, plain: bool) -> String {
        let chat = chat.parse::<i64>().map_or_else(|_| json!(chat), |number| json!(number));
        let tail = self.tail(repeats);
        let options = json!({ "is_disabled": true });
        if plain {
            let text = cut(&format!("{} {}{tail}", self.head, self.body));
            return json!({ "chat_id": chat, "text": text, "link_preview_options": options }).to_string();
        }
        let text = format!("<b>{}</b> {}{}", escape(self.head), escape(&cut(&self.body)), escape(&tail));
        json!({ "chat_id": chat, "text": text, "parse_mode": "HTML", "link_preview_options": options }).to_string()
    }

    /// Body of Slack's webhook.
    pub fn slack(&self, repeats: u32) -> String {
        let text = format!("*{}* {}{}", escape(self.head), escape(&cut(&self.body)), escape(&self.tail(repeats)));
        json!({ "text": text, "unfurl_links": false }).to_string()
    }
}

/// Longest body before escaping, characters: both channels take more.
const BODY_CHARS_MAX: usize = 3_000;

fn cut(text: &str) -> String {
    text.chars().take(BODY_CHARS_MAX).collect()
}

/// Both Telegram's HTML and Slack's mrkdwn take markup from these three only.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::record::ExitReason;
    use crate::types::{Price, Qty};

    fn text(body: &str) -> AlertText {
        AlertText { id: 7, key: "k".to_owned(), urgency: Urgency::Critical, head: "STOP", body: body.to_owned() }
    }

    #[test]
    fn foreign_text_cannot_make_markup_or_ping_a_channel() {
        let alert = text("<!channel> a < b & \"c\"\n<b>");
        let telegram: serde_json::Value = serde_json::from_str(&alert.telegram("-100123", 3, false)).expect("JSON");
        assert_eq!(telegram["text"], "<b>STOP</b> &lt;!channel&gt; a &lt; b &amp; \"c\"\n&lt;b&gt; (x3)\nid=ev-7");
        assert_eq!(telegram["chat_id"], -100_123);
        let slack: serde_json::Value = serde_json::from_str(&alert.slack(1)).expect("JSON");
        assert_eq!(slack["text"], "*STOP* &lt;!channel&gt; a &lt; b &amp; \"c\"\n&lt;b&gt;\nid=ev-7");
        let named: serde_json::Value = serde_json::from_str(&alert.telegram("@ops", 1, true)).expect("JSON");
        assert_eq!((named["chat_id"].as_str(), named.get("parse_mode")), (Some("@ops"), None));
    }

    #[test]
    fn a_text_says_what_happened_to_how_much_and_is_bounded() {
        let symbol = Symbol::new("SOLUSDT").expect("symbol");
        let stop = Alert::Stop { reason: ExitReason::GlobalStop, mid: Price(15_500_000_000), qty: Qty(2_500_000_000) };
        let alert = AlertText::of(&stop, symbol, 1);
        assert_eq!((alert.head, alert.body.as_str()), ("STOP", "SOLUSDT GLOBAL_STOP: 2.5 left to sell at mid 155"));
        assert!(text(&"&".repeat(100_000)).slack(1).len() < 40_000);
    }
}
