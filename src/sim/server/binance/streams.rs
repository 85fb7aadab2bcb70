//! A market-stream connection: what it subscribed to and how it is answered.
//!
//! Thread: any.  Invariants: an id is echoed as it came; a stream name that does not exist stays silent, as at the venue.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::sim::server::http::percent_decode;
use crate::sim::server::json::{Obj, array, quoted};
use crate::types::Time;

/// Streams on one connection at most.
const STREAMS_MAX: usize = 1_024;

/// One connection's subscriptions.
#[derive(Default)]
pub(crate) struct StreamSession {
    names: BTreeSet<String>,
    combined: bool,
}

#[derive(Deserialize)]
struct Control {
    method: Option<String>,
    #[serde(default)]
    params: Vec<Value>,
    id: Option<Value>,
}

impl StreamSession {
    /// From the path and query a client connected with; `None` if it is no stream path.
    pub(crate) fn of_path(path: &str, query: &str) -> Option<StreamSession> {
        let mut session = StreamSession::default();
        if path == "/stream" || path == "/stream/" {
            session.combined = true;
            let wanted = query.split('&').find_map(|pair| pair.strip_prefix("streams=")).unwrap_or_default();
            session.names = names(&percent_decode(wanted));
            return Some(session);
        }
        let wanted = path.strip_prefix("/ws")?;
        if !(wanted.is_empty() || wanted.starts_with('/')) {
            return None;
        }
        session.names = names(&percent_decode(wanted));
        Some(session)
    }

    /// Answers one control frame.
    pub(crate) fn answer(&mut self, frame: &str) -> String {
        let Ok(value) = serde_json::from_str::<Value>(frame) else {
            return refusal(3, "Invalid JSON", None);
        };
        let Ok(control) = serde_json::from_value::<Control>(value) else {
            return refusal(2, "Invalid request: wrong types", None);
        };
        let id = match &control.id {
            Some(id) if !is_id(id) => {
                return refusal(
                    2,
                    "Invalid request: id must be an int64, a string of 36 letters at most, or null",
                    None,
                );
            }
            Some(id) => id.to_string(),
            None => "null".to_owned(),
        };
        match control.method.as_deref() {
            Some("SUBSCRIBE") => self.subscribe(&control.params, &id),
            Some("UNSUBSCRIBE") => {
                for name in control.params.iter().filter_map(Value::as_str) {
                    self.names.remove(name);
                }
                result("null", &id)
            }
            Some("LIST_SUBSCRIPTIONS") => result(&array(self.names.iter().map(|name| quoted(name))), &id),
            Some("SET_PROPERTY") => self.set_property(&control.params, &id),
            Some("GET_PROPERTY") => match control.params.first().and_then(Value::as_str) {
                Some("combined") => result(if self.combined { "true" } else { "false" }, &id),
                _ => refusal(0, "Unknown property", Some(&id)),
            },
            _ => refusal(2, "Invalid request: unknown variant of `method`", Some(&id)),
        }
    }

    fn subscribe(&mut self, params: &[Value], id: &str) -> String {
        if params.iter().any(|name| !name.is_string()) {
            return refusal(2, "Invalid request: stream names must be strings", Some(id));
        }
        let wanted = params.iter().filter_map(Value::as_str).map(str::to_owned);
        let grown: BTreeSet<String> = self.names.iter().cloned().chain(wanted).collect();
        if grown.len() > STREAMS_MAX {
            return refusal(2, "Invalid request: more than 1024 streams on a connection", Some(id));
        }
        self.names = grown;
        result("null", id)
    }

    fn set_property(&mut self, params: &[Value], id: &str) -> String {
        match (params.first().and_then(Value::as_str), params.get(1)) {
            (Some("combined"), Some(Value::Bool(combined))) => {
                self.combined = *combined;
                result("null", id)
            }
            (Some("combined"), _) => refusal(1, "Invalid value type: expected Boolean", Some(id)),
            _ => refusal(0, "Unknown property", Some(id)),
        }
    }

    /// The frame of a payload for this connection; `None` if it did not subscribe to the stream.
    pub(crate) fn frame(&self, name: &str, payload: &str) -> Option<String> {
        self.names.contains(name).then(|| self.wrap(name, payload))
    }

    fn wrap(&self, name: &str, payload: &str) -> String {
        match self.combined {
            true => Obj::new().text("stream", name).raw("data", payload).end(),
            false => payload.to_owned(),
        }
    }
}

/// What a stream connection hears before the server goes.
pub(crate) fn shutdown_notice(session: &StreamSession, now: Time) -> String {
    let payload = Obj::new().text("e", "serverShutdown").int("E", now.millis().0).end();
    session.wrap("!serverShutdown", &payload)
}

fn names(text: &str) -> BTreeSet<String> {
    text.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn is_id(id: &Value) -> bool {
    match id {
        Value::Null => true,
        Value::Number(number) => number.is_i64(),
        Value::String(text) => text.len() <= 36,
        _ => false,
    }
}

fn result(result: &str, id: &str) -> String {
    Obj::new().raw("result", result).raw("id", id).end()
}

fn refusal(code: i64, text: &str, id: Option<&str>) -> String {
    let body = Obj::new().int("code", code).text("msg", text);
    match id {
        Some(id) => body.raw("id", id).end(),
        None => body.end(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_real_clients_open_stream_sessions() {
        for path in ["/ws", "/ws/", "/ws/solusdt@trade", "/ws/0", "/stream"] {
            assert!(StreamSession::of_path(path, "").is_some(), "{path}");
        }
        assert!(StreamSession::of_path("/ws-api/v3", "").is_none());
        let session = StreamSession::of_path("/stream", "streams=a@trade/b@depth%40100ms").expect("a stream path");
        assert_eq!(session.frame("b@depth@100ms", "{}").as_deref(), Some(r#"{"stream":"b@depth@100ms","data":{}}"#));
        assert_eq!(session.frame("c@trade", "{}"), None);
    }

    #[test]
    fn control_frames_are_answered_with_the_id_as_it_came() {
        let mut session = StreamSession::default();
        let ask = |session: &mut StreamSession, frame: &str| session.answer(frame);
        assert_eq!(
            ask(&mut session, r#"{"method":"SUBSCRIBE","params":["a@trade"],"id":"x1"}"#),
            r#"{"result":null,"id":"x1"}"#
        );
        assert_eq!(
            ask(&mut session, r#"{"method":"LIST_SUBSCRIPTIONS","id":-3}"#),
            r#"{"result":["a@trade"],"id":-3}"#
        );
        assert_eq!(
            ask(&mut session, r#"{"method":"SET_PROPERTY","params":["combined",true],"id":null}"#),
            r#"{"result":null,"id":null}"#
        );
        assert_eq!(session.frame("a@trade", "1").as_deref(), Some(r#"{"stream":"a@trade","data":1}"#));
        assert!(
            ask(&mut session, r#"{"method":"SET_PROPERTY","params":["combined",1],"id":4}"#).contains("\"code\":1")
        );
        assert!(ask(&mut session, r#"{"method":"NOPE","id":4}"#).contains("\"code\":2"));
        assert!(ask(&mut session, r#"{"method":"SUBSCRIBE","params":[],"id":1.5}"#).contains("\"code\":2"));
        assert!(ask(&mut session, "{").contains("\"code\":3"));
        assert_eq!(
            ask(&mut session, r#"{"method":"UNSUBSCRIBE","params":["a@trade"],"id":5}"#),
            r#"{"result":null,"id":5}"#
        );
        assert_eq!(session.frame("a@trade", "1"), None);
    }
}
