//! The WebSocket API: envelope, session, user data subscriptions.
//!
//! Thread: any.  Invariants: a request's id is echoed untouched; one subscription of the account a connection.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Venue;
use super::auth::{KeyKind, in_time};
use super::error::ApiError;
use super::limits::WEIGHT_PER_MINUTE_MAX;
use super::methods::{Access, Act, Method};
use super::params::Params;
use super::render;
use crate::sim::server::json::{Obj, array, quoted};
use crate::types::Time;

/// What a WebSocket API connection hears before the server goes.
pub(crate) fn api_shutdown_notice(now: Time) -> String {
    let event = Obj::new().text("e", "serverShutdown").int("E", now.millis().0).end();
    Obj::new().raw("event", &event).end()
}

/// One connection.
pub(crate) struct ApiSession {
    api_key: Option<String>,
    authorized_since: Option<Time>,
    connected_since: Time,
    rate_limits_told: bool,
    subscription: Option<Subscription>,
    subscriptions_made: u16,
}

#[derive(Clone, Copy)]
struct Subscription {
    id: u16,
    by_logon: bool,
}

#[derive(Deserialize)]
struct Envelope {
    id: Option<Box<RawValue>>,
    method: String,
    #[serde(default)]
    params: BTreeMap<String, Box<RawValue>>,
}

/// What a request comes to: the frame to answer, and whether the trading API's delay applies.
pub(crate) struct WsAnswer {
    /// The frame; `None` = swallowed.
    pub(crate) frame: Option<String>,
    /// Whether it comes from the trading API.
    pub(crate) trading: bool,
}

impl ApiSession {
    /// A fresh connection; `query` is that of its URL.
    pub(crate) fn new(query: &str, now: Time) -> ApiSession {
        ApiSession {
            api_key: None,
            authorized_since: None,
            connected_since: now,
            rate_limits_told: !query.split('&').any(|pair| pair == "returnRateLimits=false"),
            subscription: None,
            subscriptions_made: 0,
        }
    }

    /// Whether the account's events go here.
    pub(crate) fn is_subscribed(&self) -> bool {
        self.subscription.is_some()
    }

    /// The frame that carries `event` here; `None` without a subscription.
    pub(crate) fn frame(&self, event: &str) -> Option<String> {
        let subscription = self.subscription?;
        Some(Obj::new().int("subscriptionId", i64::from(subscription.id)).raw("event", event).end())
    }

    /// Ends the subscription; gives the frame that says so.
    pub(crate) fn cut_subscription(&mut self, now: Time) -> Option<String> {
        let event = Obj::new().text("e", "eventStreamTerminated").int("E", now.millis().0).end();
        let frame = self.frame(&event);
        self.subscription = None;
        frame
    }

    fn status(&self, now: Time) -> String {
        let mut body = Obj::new();
        body = match &self.api_key {
            Some(key) => body.text("apiKey", key),
            None => body.raw("apiKey", "null"),
        };
        body = match self.authorized_since {
            Some(since) => body.int("authorizedSince", since.millis().0),
            None => body.raw("authorizedSince", "null"),
        };
        body.int("connectedSince", self.connected_since.millis().0)
            .bool("returnRateLimits", self.rate_limits_told)
            .int("serverTime", now.millis().0)
            .bool("userDataStream", self.subscription.is_some())
            .end()
    }

    fn subscribe(&mut self, by_logon: bool) -> Result<String, ApiError> {
        if self.subscription.is_some() {
            return Err(ApiError::new(-2035, "User Data Stream subscription already active."));
        }
        let id = self.subscriptions_made;
        self.subscriptions_made = id
            .checked_add(1)
            .ok_or_else(|| ApiError::new(-2042, "Subscription identifiers exhausted on this connection."))?;
        self.subscription = Some(Subscription { id, by_logon });
        Ok(format!("{{\"subscriptionId\":{id}}}"))
    }

    fn unsubscribe(&mut self, params: &Params) -> Result<String, ApiError> {
        let wanted = params.int("subscriptionId")?;
        match self.subscription {
            Some(active) if wanted.is_none_or(|wanted| wanted == i64::from(active.id)) => {
                self.subscription = None;
                Ok("{}".to_owned())
            }
            _ => Err(ApiError::new(-2036, "User Data Stream subscription not active.")),
        }
    }

    fn logout(&mut self, now: Time) -> String {
        (self.api_key, self.authorized_since) = (None, None);
        if self.subscription.is_some_and(|subscription| subscription.by_logon) {
            self.subscription = None;
        }
        self.status(now)
    }
}

impl Venue {
    /// Answers one frame of a WebSocket API connection.
    pub(crate) fn ws_api(&mut self, session: &mut ApiSession, frame: &str, now: Time) -> WsAnswer {
        let envelope: Envelope = match serde_json::from_str(frame) {
            Ok(envelope) => envelope,
            Err(error) => {
                let error = ApiError::new(-1135, format!("Invalid JSON Request: {error}"));
                return WsAnswer { frame: Some(self.worded(session, "null", None, Err(error))), trading: false };
            }
        };
        let id = envelope.id.as_ref().map_or("null", |id| id.get()).to_owned();
        let params = Params::of_json(&envelope.params);
        let name = envelope.method.strip_prefix("v3/").unwrap_or(&envelope.method);
        let method = Method::of_name(name);
        let outcome = match (params, method) {
            (Err(error), _) => Some(Err(error)),
            (Ok(params), Some(method)) if !method.rest.1.is_empty() => {
                self.ws_call(session, method, &envelope.params, &params, now)
            }
            (Ok(params), _) => Some(self.ws_session(session, name, &params, now)),
        };
        let trading = method.is_some_and(|method| method.access != Access::Open);
        let is_heard = !self.switches.api_mute;
        let frame = outcome.filter(|_| is_heard).map(|outcome| self.worded(session, &id, method, outcome));
        WsAnswer { frame, trading }
    }

    fn ws_call(
        &mut self,
        session: &ApiSession,
        method: &'static Method,
        sent: &BTreeMap<String, Box<RawValue>>,
        params: &Params,
        now: Time,
    ) -> Option<Result<String, ApiError>> {
        if method.access != Access::Open {
            let explicit = sent.contains_key("apiKey") || sent.contains_key("signature");
            let admitted = match (explicit, &session.api_key) {
                (false, Some(_)) => in_time(params, now),
                _ => self.signed(params, now).map(|_| ()),
            };
            if let Err(error) = admitted {
                return Some(Err(error));
            }
        }
        self.perform(method, params, now)
    }

    /// Checks key, time and signature of a request that carries its own. Gives the kind of key.
    fn signed(&self, params: &Params, now: Time) -> Result<KeyKind, ApiError> {
        let kind = self.keys.kind(Some(params.need("apiKey")?))?;
        let signature = params.need("signature")?;
        in_time(params, now)?;
        self.keys.verify(kind, &params.signed_text(), signature)?;
        Ok(kind)
    }

    fn ws_session(
        &mut self,
        session: &mut ApiSession,
        name: &str,
        params: &Params,
        now: Time,
    ) -> Result<String, ApiError> {
        self.weight.charge(2, now)?;
        match name {
            "session.logon" => {
                if self.signed(params, now)? != KeyKind::Ed25519 {
                    let msg = "Invalid API-key, IP, or permissions for action: only Ed25519 keys may log on.";
                    return Err(ApiError::new(-2015, msg));
                }
                session.api_key = params.get("apiKey").map(str::to_owned);
                session.authorized_since = Some(now);
                Ok(session.status(now))
            }
            "session.status" => Ok(session.status(now)),
            "session.logout" => Ok(session.logout(now)),
            "session.subscriptions" => {
                let id = |subscription: Subscription| format!("{{\"subscriptionId\":{}}}", subscription.id);
                Ok(array(session.subscription.map(id)))
            }
            "userDataStream.subscribe" if session.api_key.is_none() => {
                Err(ApiError { status: 401, ..ApiError::new(-1002, "You are not authorized; log on first.") })
            }
            "userDataStream.subscribe" => session.subscribe(true),
            "userDataStream.subscribe.signature" => {
                self.signed(params, now)?;
                session.subscribe(false)
            }
            "userDataStream.unsubscribe" => session.unsubscribe(params),
            _ => Err(ApiError::new(-1020, format!("Unknown method {}.", quoted(name)))),
        }
    }

    /// The frame of an outcome.
    fn worded(
        &self,
        session: &ApiSession,
        id: &str,
        method: Option<&Method>,
        outcome: Result<String, ApiError>,
    ) -> String {
        let body = Obj::new().raw("id", id);
        let body = match &outcome {
            Ok(result) => body.int("status", 200).raw("result", result),
            Err(error) => body.int("status", i64::from(error.status)).raw("error", &error.body()),
        };
        if !session.rate_limits_told {
            return body.end();
        }
        let weight =
            Obj::new().text("rateLimitType", "REQUEST_WEIGHT").text("interval", "MINUTE").int("intervalNum", 1);
        let weight = weight.int("limit", i64::from(WEIGHT_PER_MINUTE_MAX)).int("count", i64::from(self.weight.used()));
        let mut limits = vec![weight.end()];
        if outcome.is_ok() && method.is_some_and(|method| method.act == Act::Place) {
            let counts = self.exchange.order_counts(self.account);
            limits.splice(0..0, counts.iter().map(render::order_count));
        }
        body.raw("rateLimits", &array(limits)).end()
    }
}
