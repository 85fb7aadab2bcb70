//! The REST door: path and verb to a method, headers of the limits.
//!
//! Thread: any.  Invariants: a signed method runs only for a known key, a good signature and a request in time.

use super::Venue;
use super::auth::{in_time, split_rest_signature};
use super::error::ApiError;
use super::methods::{Access, Act, Method};
use super::params::Params;
use crate::sim::server::http::{Request, Response};
use crate::types::Time;

/// What a REST request comes to.
pub(crate) enum RestAnswer {
    /// An answer; late by the venue's delay if it is the trading API's.
    Answer {
        /// The answer.
        response: Response,
        /// Whether it comes from the trading API.
        trading: bool,
    },
    /// None at all.
    Swallowed,
}

impl Venue {
    /// Answers a request whose path starts with `/api/v3/`.
    pub(crate) fn rest(&mut self, request: &Request, now: Time) -> RestAnswer {
        let path = request.path.strip_prefix("/api/v3/").unwrap_or_default();
        let Some(method) = Method::of_rest(request.verb, path) else {
            let (status, text) = match Method::is_rest_path(path) {
                true => (405, "this path has another verb"),
                false => (404, "no such path under /api/v3/"),
            };
            return RestAnswer::Answer { response: Response::text(status, text), trading: false };
        };
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let params = Params::of_form(&request.query, &body);
        let outcome = match self.admit_rest(method, request, &body, &params, now) {
            Ok(()) => self.perform(method, &params, now),
            Err(error) => Some(Err(error)),
        };
        let Some(outcome) = outcome else { return RestAnswer::Swallowed };
        let response = match outcome {
            Ok(json) => self.with_counts(method, Response::json(200, json)),
            Err(error) => refusal(&error),
        };
        let response =
            response.with("X-MBX-USED-WEIGHT", self.weight.used()).with("X-MBX-USED-WEIGHT-1M", self.weight.used());
        RestAnswer::Answer { response, trading: method.access != Access::Open }
    }

    fn admit_rest(
        &self,
        method: &Method,
        request: &Request,
        body: &str,
        params: &Params,
        now: Time,
    ) -> Result<(), ApiError> {
        if method.access == Access::Open {
            return Ok(());
        }
        let kind = self.keys.kind(request.api_key.as_deref())?;
        let (payload, signature) = split_rest_signature(&request.query, body);
        let signature = signature.ok_or_else(|| ApiError::missing("signature"))?;
        in_time(params, now)?;
        self.keys.verify(kind, &payload, &signature)
    }

    fn with_counts(&self, method: &Method, response: Response) -> Response {
        if method.act != Act::Place {
            return response;
        }
        let [short, day] = self.exchange.order_counts(self.account);
        response.with("X-MBX-ORDER-COUNT-10S", short.count).with("X-MBX-ORDER-COUNT-1D", day.count)
    }
}

fn refusal(error: &ApiError) -> Response {
    let response = match error.status {
        503 => Response::html(503, "<html><body>503 Service Unavailable</body></html>"),
        status => Response::json(status, error.body()),
    };
    match error.retry_after_s {
        Some(wait) => response.with("Retry-After", wait),
        None => response,
    }
}
