//! One connection to Kraken in a box: its subscriptions, and what its reader's book should be.
//!
//! Thread: any, under the world's lock.  Invariants: the status comes first; one acknowledgement per pair, then the
//! snapshot; a heartbeat only once subscribed, and only after a second without anything else; without a subscription the
//! connection does not last.

use serde::Deserialize;
use serde_json::Value;

use super::recorded::Place;
use super::{Kraken, KrakenSystem, PAIR, Sides, changes, levels_json, price_text, qty_text, side_word, time_json};
use crate::sim::server::json::quoted;
use crate::types::Time;
use crate::types::time::NANOS_PER_SEC;

const DEPTHS: [u64; 5] = [10, 25, 100, 500, 1_000];
const HEARTBEAT_NS: i64 = NANOS_PER_SEC;
/// A connection that follows nothing is closed after this.
const IDLE_NS_MAX: i64 = 60 * NANOS_PER_SEC;
/// Requests a second; more are refused.
const REQUESTS_MAX: u32 = 10;

/// What a reader has.
pub(super) struct BookSub {
    depth: usize,
    /// `None` before the snapshot.
    has: Option<Sides>,
}

/// The top that a reader was told.
#[derive(Default)]
pub(super) struct TickerSub {
    on_trades: bool,
    told: Option<[(i64, i64); 2]>,
    trade_id: i64,
}

/// One connection.
pub(in crate::sim::server) struct KrakenSession {
    told_system: Option<KrakenSystem>,
    pub(super) book: Option<BookSub>,
    pub(super) ticker: Option<TickerSub>,
    /// The newest trade told.
    pub(super) trade: Option<i64>,
    /// How far it heard the recording, where one is played.
    pub(super) recorded: Place,
    sent: Time,
    idle_since: Time,
    second: Time,
    requests: u32,
}

#[derive(Deserialize)]
struct Call {
    method: String,
    #[serde(default)]
    params: Option<Value>,
    #[serde(default)]
    req_id: Option<u64>,
}

impl KrakenSession {
    /// A connection just opened.
    pub(in crate::sim::server) fn new(now: Time) -> KrakenSession {
        KrakenSession {
            told_system: None,
            book: None,
            ticker: None,
            trade: None,
            recorded: Place::default(),
            sent: now,
            idle_since: now,
            second: now,
            requests: 0,
        }
    }

    fn is_subscribed(&self) -> bool {
        self.book.is_some() || self.ticker.is_some() || self.trade.is_some()
    }

    /// Whether it followed nothing for too long.
    pub(in crate::sim::server) fn is_idle(&self, now: Time) -> bool {
        !self.is_subscribed() && now.since(self.idle_since) >= IDLE_NS_MAX
    }

    /// Carries out one subscription: the inside of the acknowledgement, or the venue's words of refusal.
    fn subscribe(&mut self, params: &Value, kraken: &Kraken) -> Result<String, String> {
        let snapshot = params["snapshot"].as_bool();
        match params["channel"].as_str().unwrap_or_default() {
            "book" => {
                let depth = params["depth"].as_u64().unwrap_or(10);
                if !kraken.has_depth(depth) {
                    return Err("Subscription depth not supported".to_owned());
                }
                taken(&self.book)?;
                let has = (snapshot == Some(false)).then(|| kraken.sides(depth as usize));
                self.book = Some(BookSub { depth: depth as usize, has });
                Ok(format!("\"channel\":\"book\",\"depth\":{depth},\"snapshot\":{}", snapshot.unwrap_or(true)))
            }
            "ticker" => {
                taken(&self.ticker)?;
                let trigger = params["event_trigger"].as_str().unwrap_or("trades");
                self.ticker = Some(TickerSub { on_trades: trigger == "trades", ..TickerSub::default() });
                Ok(format!("\"channel\":\"ticker\",\"event_trigger\":{},\"snapshot\":true", quoted(trigger)))
            }
            "trade" => {
                taken(&self.trade)?;
                self.trade = Some(kraken.trades.last().map_or(0, |trade| trade.id));
                Ok("\"channel\":\"trade\",\"snapshot\":false".to_owned())
            }
            "executions" | "balances" | "level3" => {
                Err("Private data and trading are unavailable on this endpoint. Try ws-auth.kraken.com".to_owned())
            }
            _ => Err("Subscription name invalid".to_owned()),
        }
    }

    fn unsubscribe(&mut self, params: &Value, now: Time) -> Result<String, String> {
        let depth = params["depth"].as_u64().unwrap_or(10);
        let channel = params["channel"].as_str().unwrap_or_default();
        let was = match channel {
            "book" => self.book.take_if(|book| book.depth as u64 == depth).is_some(),
            "ticker" => self.ticker.take().is_some(),
            "trade" => self.trade.take().is_some(),
            _ => return Err("Subscription name invalid".to_owned()),
        };
        if !was {
            return Err("Subscription Not Found".to_owned());
        }
        if !self.is_subscribed() {
            self.idle_since = now;
        }
        let depth = if channel == "book" { format!(",\"depth\":{depth}") } else { String::new() };
        Ok(format!("\"channel\":{}{depth}", quoted(channel)))
    }
}

fn taken<T>(sub: &Option<T>) -> Result<(), String> {
    if sub.is_some() { Err("Already subscribed".to_owned()) } else { Ok(()) }
}

/// Members that every answer ends with.
fn times(now: Time) -> String {
    format!("\"time_in\":{0},\"time_out\":{0}}}", time_json(now))
}

fn refusal(words: &str, method: &str, req_id: &str, now: Time) -> String {
    let (words, method) = (quoted(words), quoted(method));
    format!("{{\"error\":{words},\"method\":{method},{req_id}\"success\":false,{}", times(now))
}

impl Kraken {
    /// Answers one frame: one answer, or one for each pair.
    pub(in crate::sim::server) fn answer(&mut self, session: &mut KrakenSession, text: &str, now: Time) -> Vec<String> {
        if self.silent {
            return Vec::new();
        }
        session.sent = now;
        let Ok(call) = serde_json::from_str::<Call>(text) else {
            return vec![format!("{{\"error\":\"Malformed request\",\"success\":false,{}", times(now))];
        };
        let req_id = call.req_id.map_or(String::new(), |req_id| format!("\"req_id\":{req_id},"));
        if now.since(session.second) >= NANOS_PER_SEC {
            (session.second, session.requests) = (now, 0);
        }
        session.requests += 1;
        let method = call.method.as_str();
        if session.requests > REQUESTS_MAX {
            return vec![refusal("Exceeded msg rate", method, &req_id, now)];
        }
        let params = match (method, &call.params) {
            ("ping", None) => return vec![format!("{{\"method\":\"pong\",{req_id}{}", times(now))],
            ("subscribe" | "unsubscribe", Some(params)) => params,
            ("ping", Some(_)) => {
                let words = "Unsupported field: 'params' for the given msg type: ping";
                return vec![refusal(words, method, &req_id, now)];
            }
            _ => return vec![refusal("Method not supported", method, &req_id, now)],
        };
        let pairs: Vec<&str> = params["symbol"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let each = pairs.iter().map(|pair| {
            let done = match method {
                _ if *pair != self.pair() => Err(format!("Currency pair not supported {pair}")),
                "subscribe" => session.subscribe(params, self),
                _ => session.unsubscribe(params, now),
            };
            match done {
                Ok(result) => {
                    let result = format!("{{{result},\"symbol\":{}}}", quoted(pair));
                    let head = format!("\"method\":\"{method}\",{req_id}\"result\":{result}");
                    format!("{{{head},\"success\":true,{}", times(now))
                }
                Err(words) => refusal(&words, method, &req_id, now),
            }
        });
        let answers: Vec<String> = each.collect();
        if answers.is_empty() { vec![refusal("Currency pair not supported", method, &req_id, now)] } else { answers }
    }

    /// What a connection is to be told now.
    pub(in crate::sim::server) fn news(&mut self, session: &mut KrakenSession, now: Time) -> Vec<String> {
        if self.silent {
            return Vec::new();
        }
        let mut frames = Vec::new();
        if session.told_system != Some(self.system) {
            session.told_system = Some(self.system);
            frames.push(self.status());
        }
        if !self.mute && self.system != KrakenSystem::Maintenance {
            frames.extend(self.market_news(session, now));
        }
        if !frames.is_empty() {
            session.sent = now;
        } else if session.is_subscribed() && now.since(session.sent) >= HEARTBEAT_NS {
            session.sent = now;
            frames.push("{\"channel\":\"heartbeat\"}".to_owned());
        }
        frames
    }

    /// The pair that there is.
    fn pair(&self) -> &str {
        self.recorded.as_ref().map_or(PAIR, |recorded| recorded.pair())
    }

    /// A recording has the one depth that was recorded.
    fn has_depth(&self, depth: u64) -> bool {
        match &self.recorded {
            Some(recorded) => recorded.depth() as u64 == depth,
            None => DEPTHS.contains(&depth),
        }
    }

    fn market_news(&mut self, session: &mut KrakenSession, now: Time) -> Vec<String> {
        if let Some(recorded) = &self.recorded {
            return recorded.news(session);
        }
        let book = self.book_news(session, now);
        let ticker = self.ticker_news(session, now);
        book.into_iter().chain(ticker).chain(self.trade_news(session)).collect()
    }

    fn status(&mut self) -> String {
        self.connections += 1;
        let id = 12_834_019_283_740_918_272 + self.connections; // as the real ones, beyond 53 bits
        let system = self.system.word();
        let data = format!(
            "{{\"version\":\"2.0.10\",\"system\":\"{system}\",\"api_version\":\"v2\",\"connection_id\":{id},\
             \"upcoming_maintenance\":[],\"emergency\":[]}}"
        );
        format!("{{\"channel\":\"status\",\"type\":\"update\",\"data\":[{data}]}}")
    }

    fn book_news(&mut self, session: &mut KrakenSession, now: Time) -> Option<String> {
        let book = session.book.as_mut()?;
        let mut new = self.sides(book.depth);
        let (kind, bids, asks) = match &book.has {
            None => ("snapshot", new.bids.clone(), new.asks.clone()),
            Some(old) => {
                let best_ask = new.asks.first().map_or(0, |level| level.0);
                if crate::sim::server::binance::take_one(&mut self.crossings) {
                    new.bids.insert(0, (best_ask + 1, 100_000_000));
                    new.bids.truncate(book.depth);
                }
                let bids = changes(&old.bids, &new.bids, |price| self.bids.contains_key(&price));
                let asks = changes(&old.asks, &new.asks, |price| self.asks.contains_key(&price));
                if bids.is_empty() && asks.is_empty() {
                    return None;
                }
                ("update", bids, asks)
            }
        };
        let checksum = self.told_checksum(&new);
        book.has = Some(new);
        let (bids, asks, at) = (levels_json(&bids), levels_json(&asks), time_json(now));
        let row = format!(
            "{{\"symbol\":\"{PAIR}\",\"bids\":{bids},\"asks\":{asks},\"checksum\":{checksum},\"timestamp\":{at}}}"
        );
        Some(format!("{{\"channel\":\"book\",\"type\":\"{kind}\",\"data\":[{row}]}}"))
    }

    fn ticker_news(&self, session: &mut KrakenSession, now: Time) -> Option<String> {
        let ticker = session.ticker.as_mut()?;
        let sides = self.sides(1);
        let (bid, ask) = (*sides.bids.first()?, *sides.asks.first()?);
        let newest = self.trades.last();
        let trade_id = newest.map_or(0, |trade| trade.id);
        let kind = match ticker.told {
            None => "snapshot",
            Some(_) if ticker.on_trades && trade_id == ticker.trade_id => return None,
            Some(told) if !ticker.on_trades && told == [bid, ask] => return None,
            Some(_) => "update",
        };
        (ticker.told, ticker.trade_id) = (Some([bid, ask]), trade_id);
        let last = price_text(newest.map_or(bid.0, |trade| trade.price.0 / super::CENT));
        let (bid_price, bid_qty) = (price_text(bid.0), qty_text(bid.1));
        let (ask_price, ask_qty) = (price_text(ask.0), qty_text(ask.1));
        let at = time_json(now);
        Some(format!(
            "{{\"channel\":\"ticker\",\"type\":\"{kind}\",\"data\":[{{\"symbol\":\"{PAIR}\",\"bid\":{bid_price},\
             \"bid_qty\":{bid_qty},\"ask\":{ask_price},\"ask_qty\":{ask_qty},\"last\":{last},\
             \"volume\":812345.12345678,\"vwap\":{last},\"low\":{last},\"high\":{last},\"change\":-1.25,\
             \"change_pct\":-0.77,\"timestamp\":{at}}}]}}"
        ))
    }

    fn trade_news(&self, session: &mut KrakenSession) -> Option<String> {
        let told = session.trade.as_mut()?;
        let fresh: Vec<String> = self
            .trades
            .iter()
            .filter(|trade| trade.id > *told)
            .map(|trade| {
                let (side, price) = (side_word(trade.aggressor), price_text(trade.price.0 / super::CENT));
                let (qty, id, at) = (qty_text(trade.qty.0 / 10), trade.id, time_json(trade.at));
                format!(
                    "{{\"symbol\":\"{PAIR}\",\"side\":\"{side}\",\"price\":{price},\"qty\":{qty},\
                     \"ord_type\":\"market\",\"trade_id\":{id},\"timestamp\":{at}}}"
                )
            })
            .collect();
        *told = self.trades.last().map_or(*told, |trade| trade.id.max(*told));
        let rows = fresh.join(",");
        (!rows.is_empty()).then(|| format!("{{\"channel\":\"trade\",\"type\":\"update\",\"data\":[{rows}]}}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::event::Bbo;
    use crate::types::{Price, Qty};

    const SUBSCRIBE: &str =
        r#"{"method":"subscribe","params":{"channel":"book","symbol":["SOL/USD"],"depth":10},"req_id":7}"#;

    fn at(seconds: i64) -> Time {
        Time((1_790_000_000 + seconds) * NANOS_PER_SEC)
    }

    /// A venue whose market stands still.
    fn open() -> (Kraken, KrakenSession) {
        let mut kraken = Kraken::new();
        let (bid, ask) = (Price(16_100_000_000), Price(16_101_000_000));
        kraken.step(Some(Bbo { bid, bid_qty: Qty(1), ask, ask_qty: Qty(1), update_id: 1 }), Vec::new(), at(0));
        (kraken, KrakenSession::new(at(0)))
    }

    #[test]
    fn the_status_comes_first_and_heartbeats_only_once_subscribed() {
        let (mut kraken, mut session) = open();
        let first = kraken.news(&mut session, at(0));
        assert!(first.len() == 1 && first[0].starts_with(r#"{"channel":"status""#), "{first:?}");
        assert!(kraken.news(&mut session, at(5)).is_empty());
        assert!(!session.is_idle(at(59)));
        assert!(session.is_idle(at(60)), "a connection that follows nothing does not last");
        let ack = kraken.answer(&mut session, SUBSCRIBE, at(6));
        assert!(ack.len() == 1 && ack[0].contains(r#""req_id":7"#) && ack[0].contains(r#""success":true"#), "{ack:?}");
        assert!(kraken.news(&mut session, at(6))[0].contains("snapshot"));
        assert!(kraken.news(&mut session, at(6)).is_empty(), "nothing changed, and a second has not gone");
        assert_eq!(kraken.news(&mut session, at(7)), [r#"{"channel":"heartbeat"}"#]);
        assert!(!session.is_idle(at(600)));
    }

    #[test]
    fn refusals_come_in_the_venues_words_and_leave_the_connection_open() {
        let (mut kraken, mut session) = open();
        kraken.answer(&mut session, SUBSCRIBE, at(0));
        for (request, words) in [
            (SUBSCRIBE.to_owned(), "Already subscribed"),
            (SUBSCRIBE.replace("10", "11"), "Subscription depth not supported"),
            (SUBSCRIBE.replace("SOL/USD", "ABC/DEF"), "Currency pair not supported ABC/DEF"),
            (SUBSCRIBE.replace("book", "dance"), "Subscription name invalid"),
            (SUBSCRIBE.replace("book", "executions"), "Private data and trading are unavailable on this endpoint"),
            (r#"{"method":"ping","params":{}}"#.to_owned(), "Unsupported field: 'params'"),
            ("{".to_owned(), "Malformed request"),
        ] {
            let answers = kraken.answer(&mut session, &request, at(1));
            let is_refusal = answers.len() == 1 && answers[0].contains(r#""success":false"#);
            assert!(is_refusal && answers[0].contains(words), "{request}: {answers:?}");
        }
        let last = (0..20).flat_map(|_| kraken.answer(&mut session, r#"{"method":"ping"}"#, at(1))).last();
        assert!(last.is_some_and(|answer| answer.contains("Exceeded msg rate")));
    }
}
