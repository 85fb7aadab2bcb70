//! The plain HTTP peers: DeFiLlama, pump.fun, CoinGecko, Telegram, Slack.
//!
//! Thread: any.  Invariants: days that ended stay what they were; what the alert channels were sent is kept whole,
//! path included, so a test can look for secrets in bodies and for tokens in the right place.

use std::fmt::Write;

use super::fault::FeedState;
use super::gecko::Gecko;
use super::http::{Request, Response, Verb, percent_decode};
use super::json::{Obj, array, quoted};
use crate::sim::scenario::{LlamaSeries, Scenario};
use crate::types::time::NANOS_PER_SEC;
use crate::types::{Notional, Time};

/// Alerts kept; older ones are forgotten first.
const ALERTS_KEPT_MAX: usize = 10_000;
const DAY_S: i64 = 86_400;

/// Where an alert was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Telegram's `sendMessage`.
    Telegram,
    /// A Slack webhook.
    Slack,
}

/// One delivery attempt at an alert channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Which channel.
    pub channel: Channel,
    /// When it arrived.
    pub at: Time,
    /// Path it was posted to: holds the token.
    pub path: String,
    /// Body, as sent.
    pub body: String,
    /// Status it was answered with.
    pub status: u16,
}

/// State of the HTTP peers.
pub(super) struct Feeds {
    pub(super) llama: Vec<LlamaSeries>,
    /// The UTC day that their days are counted back from.
    today: i64,
    pub(super) llama_state: FeedState,
    pub(super) pump: Notional,
    pub(super) pump_state: FeedState,
    pub(super) gecko: Gecko,
    pub(super) telegram_status: u16,
    pub(super) slack_status: u16,
    pub(super) alerts: Vec<Alert>,
}

impl Feeds {
    pub(super) fn new(scenario: &Scenario, now: Time) -> Feeds {
        Feeds {
            llama: scenario.llama.clone(),
            today: now.utc_day(),
            llama_state: FeedState::Ok,
            pump: scenario.pump.volume_24h,
            pump_state: FeedState::Ok,
            gecko: Gecko::new(),
            telegram_status: 200,
            slack_status: 200,
            alerts: Vec::new(),
        }
    }

    /// Replaces one protocol's days, yesterday first.
    pub(super) fn set_llama(&mut self, slug: &str, days: &[Notional]) {
        self.llama.retain(|series| series.slug != slug);
        self.llama.push(LlamaSeries { slug: slug.to_owned(), days: days.to_vec() });
    }

    /// Each day that ended since adds one that moved as the last one did; the days before stay what they were.
    fn turn_days(&mut self, now: Time) {
        while self.today < now.utc_day() {
            self.today += 1;
            for days in self.llama.iter_mut().map(|series| &mut series.days) {
                let Some(newest) = days.first().copied() else { continue };
                let before = days.get(1).map_or(newest.0, |day| day.0).max(1);
                let next = i128::from(newest.0) * i128::from(newest.0) / i128::from(before);
                days.insert(0, i64::try_from(next).map_or(newest, Notional));
            }
        }
    }

    /// Answers a path of one of these peers; `None` if it is none of theirs.
    pub(super) fn answer(&mut self, request: &Request, now: Time) -> Option<Response> {
        self.turn_days(now);
        let path = request.path.as_str();
        if let Some(rest) = path.strip_prefix("/llama/") {
            return Some(self.llama(rest, &request.query, now));
        }
        if path == "/pump" || path.starts_with("/pump/") {
            return Some(self.pump());
        }
        if let Some(rest) = path.strip_prefix("/coingecko/") {
            return Some(self.gecko.answer(rest, now));
        }
        if path.starts_with("/telegram/bot") && path.ends_with("/sendMessage") {
            return Some(self.telegram(request, now));
        }
        if path.starts_with("/slack/services/") {
            return Some(self.slack(request, now));
        }
        None
    }

    fn llama(&self, rest: &str, query: &str, now: Time) -> Response {
        if let Some(refusal) = unwell(self.llama_state) {
            return refusal;
        }
        let chart_wanted = !query.contains("excludeTotalDataChart=true");
        if rest.to_ascii_lowercase().starts_with("overview/dexs") {
            return Response::json(200, self.overview(now, chart_wanted));
        }
        let slug = percent_decode(rest.strip_prefix("summary/dexs/").unwrap_or_default());
        match self.llama.iter().find(|series| series.slug == slug) {
            Some(series) => Response::json(200, self.summary(series, now, chart_wanted)),
            None => Response::text(404, "Not found"),
        }
    }

    /// Volumes of the newest days as the state lets them appear: yesterday first.
    fn days(&self, series: &LlamaSeries) -> Vec<Notional> {
        let mut days = series.days.clone();
        match (self.llama_state, days.len()) {
            (FeedState::Stale, 1..) => {
                days.remove(0);
            }
            (FeedState::Filled, 2..) => days[0] = days[1],
            (FeedState::Zero, 1..) => days[0] = Notional::ZERO,
            (FeedState::Null, _) => days.clear(),
            _ => {}
        }
        days
    }

    fn summary(&self, series: &LlamaSeries, now: Time, chart_wanted: bool) -> String {
        let days = self.days(series);
        let head = Obj::new().text("id", "4449").text("name", &series.slug).text("displayName", &series.slug);
        let head = head.text("slug", &series.slug).raw("chains", "[\"Solana\"]").text("category", "Launchpad");
        let head = head.text("protocolType", "protocol").bool("latestFetchIsOk", true);
        let body = self.totals(head, &days).raw("totalDataChart", &self.chart(&days, now, chart_wanted));
        body.raw("totalDataChartBreakdown", "[]").end()
    }

    fn overview(&self, now: Time, chart_wanted: bool) -> String {
        let protocols = self.llama.iter().map(|series| {
            let head = Obj::new().text("name", &series.slug).text("displayName", &series.slug);
            let head = head.text("slug", &series.slug).text("category", "Launchpad").raw("chains", "[\"Solana\"]");
            self.totals(head, &self.days(series)).end()
        });
        let protocols = array(protocols);
        let longest = self.llama.iter().map(|series| self.days(series).len()).max().unwrap_or(0);
        let sum = |at: usize| {
            let each = |series: &LlamaSeries| self.days(series).get(at).map_or(0, |day| day.0);
            Notional(self.llama.iter().map(each).fold(0, i64::saturating_add))
        };
        let days: Vec<Notional> = (0..longest).map(sum).collect();
        let head = self.totals(Obj::new().text("chain", "Solana").raw("allChains", "[\"Solana\"]"), &days);
        let head = head.raw("totalDataChart", &self.chart(&days, now, chart_wanted));
        head.raw("totalDataChartBreakdown", "[]").raw("protocols", &protocols).end()
    }

    fn totals(&self, head: Obj, days: &[Notional]) -> Obj {
        let day = |at: usize| days.get(at).map_or("null".to_owned(), |day| usd(*day));
        let mut yesterday = day(0);
        if self.llama_state == FeedState::Contradicting {
            yesterday = days.first().map_or("null".to_owned(), |day| usd(Notional(day.0 / 2)));
        }
        let week = days.iter().take(7).fold(0_i64, |sum, day| sum.saturating_add(day.0));
        head.raw("total24h", &yesterday).raw("total48hto24h", &day(1)).raw("total7d", &usd(Notional(week)))
    }

    /// `[[day start, volume], …]`, oldest first; the state `Stale` shifts every day back by one.
    fn chart(&self, days: &[Notional], now: Time, wanted: bool) -> String {
        if !wanted {
            return "[]".to_owned();
        }
        let shift = i64::from(self.llama_state == FeedState::Stale);
        let today_s = now.day_start().0 / NANOS_PER_SEC;
        let points = days.iter().enumerate().rev();
        array(points.map(|(ago, day)| format!("[{},{}]", today_s - (ago as i64 + 1 + shift) * DAY_S, usd(*day))))
    }

    fn pump(&self) -> Response {
        if let Some(refusal) = unwell(self.pump_state) {
            return refusal;
        }
        let volume = match self.pump_state {
            FeedState::Zero => "0".to_owned(),
            FeedState::Null => "null".to_owned(),
            _ => usd(self.pump),
        };
        let day = Obj::new().int("numTxs", 1_048_576).raw("volumeUSD", &volume).end();
        Response::json(200, Obj::new().raw("volume24h", &volume).raw("24h", &day).end())
    }

    fn telegram(&mut self, request: &Request, now: Time) -> Response {
        let status = self.telegram_status;
        let body = self.remember(Channel::Telegram, request, now, status);
        if request.verb != Verb::Post && request.verb != Verb::Get {
            return Response::json(404, telegram_error(404, "Not Found", ""));
        }
        let too_long = body.chars().count() > 4_600; // 4096 of text and the JSON around it
        match status {
            200 if too_long => Response::json(400, telegram_error(400, "Bad Request: message is too long", "")),
            200 => {
                let result = Obj::new().int("message_id", self.alerts.len() as i64);
                let result = result.int("date", now.0 / NANOS_PER_SEC).text("text", "").end();
                Response::json(200, Obj::new().bool("ok", true).raw("result", &result).end())
            }
            429 => {
                let wait = "{\"retry_after\":1}";
                Response::json(429, telegram_error(429, "Too Many Requests: retry after 1", wait))
            }
            401 => Response::json(401, telegram_error(401, "Unauthorized", "")),
            403 => Response::json(403, telegram_error(403, "Forbidden: bot was blocked by the user", "")),
            502 => Response::html(502, "<html><body>502 Bad Gateway</body></html>"),
            other => Response::json(other, telegram_error(other, "Bad Request: chat not found", "")),
        }
    }

    fn slack(&mut self, request: &Request, now: Time) -> Response {
        let status = self.slack_status;
        let body = self.remember(Channel::Slack, request, now, status);
        match status {
            200 if serde_json::from_str::<serde_json::Value>(&body).is_err() => Response::text(400, "invalid_payload"),
            200 => Response::text(200, "ok"),
            429 => Response::text(429, "rate_limited").with("Retry-After", 1),
            404 => Response::text(404, "no_service"),
            410 => Response::text(410, "channel_is_archived"),
            500 => Response::text(500, "rollup_error"),
            other => Response::text(other, "invalid_token"),
        }
    }

    fn remember(&mut self, channel: Channel, request: &Request, now: Time, status: u16) -> String {
        if self.alerts.len() == ALERTS_KEPT_MAX {
            self.alerts.remove(0);
        }
        let body = String::from_utf8_lossy(&request.body).into_owned();
        self.alerts.push(Alert { channel, at: now, path: request.path.clone(), body: body.clone(), status });
        body
    }
}

fn telegram_error(code: u16, description: &str, parameters: &str) -> String {
    let error = Obj::new().bool("ok", false).int("error_code", i64::from(code)).text("description", description);
    if parameters.is_empty() { error.end() } else { error.raw("parameters", parameters).end() }
}

/// Refusals that do not depend on what was asked.
pub(super) fn unwell(state: FeedState) -> Option<Response> {
    match state {
        FeedState::Html => Some(Response::html(200, "<html><title>Just a moment...</title></html>")),
        FeedState::TooMany => Some(Response::text(429, "Too many requests").with("Retry-After", 1)),
        FeedState::Broken => Some(Response::text(500, "Internal server error")),
        _ => None,
    }
}

/// A JSON number of US dollars, trailing zeros cut.
pub(super) fn usd(amount: Notional) -> String {
    let mut text = String::new();
    let _ = write!(text, "{amount}"); // a String takes everything
    text
}

/// What a path that nobody serves is answered.
pub(super) fn nobody(path: &str) -> Response {
    let text = "no venue lives at this path; see /api/v3, /ws, /stream, /ws-api/v3, /kraken/ws, /kraken/0/public, /solana, /jupiter, /llama, /pump, /coingecko, /telegram, /slack";
    Response::json(404, Obj::new().raw("path", &quoted(path)).text("error", text).end())
}
