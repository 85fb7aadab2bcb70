//! Refusals of the Binance API that come before the matching engine, and those that carry its own.
//!
//! Thread: any.  Invariants: code, text and status as the venue words them.

use crate::sim::exchange::Reject;
use crate::sim::server::json::Obj;

/// One refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP and WebSocket status.
    pub status: u16,
    /// The venue's code.
    pub code: i32,
    /// Its text.
    pub msg: String,
    /// JSON beside it: the halves of a cancel-replace, the wait of a limit.
    pub data: Option<String>,
    /// Seconds to wait, of a limit.
    pub retry_after_s: Option<i64>,
}

impl ApiError {
    /// Status 400.
    pub fn new(code: i32, msg: impl Into<String>) -> ApiError {
        ApiError { status: 400, code, msg: msg.into(), data: None, retry_after_s: None }
    }
    /// -1102.
    pub fn missing(name: &str) -> ApiError {
        ApiError::new(-1102, format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed."))
    }
    /// -1100.
    pub fn illegal(name: &str, range: &str) -> ApiError {
        ApiError::new(-1100, format!("Illegal characters found in parameter '{name}'; legal range is '{range}'."))
    }
    /// -1111.
    pub fn precision(name: &str) -> ApiError {
        ApiError::new(-1111, format!("Parameter '{name}' has too much precision."))
    }
    /// -1130.
    pub fn bad_value(name: &str) -> ApiError {
        ApiError::new(-1130, format!("Data sent for parameter '{name}' is not valid."))
    }
    /// -1007: what was asked may have been done.
    pub fn timeout() -> ApiError {
        let msg = "Timeout waiting for response from backend server. Send status unknown; execution status unknown.";
        ApiError { status: 504, ..ApiError::new(-1007, msg) }
    }
    /// -1006: what was asked may have been done.
    pub fn unexpected() -> ApiError {
        let msg = "An unexpected response was received from the message bus. Execution status unknown.";
        ApiError { status: 500, ..ApiError::new(-1006, msg) }
    }
    /// 503 without a code of the venue's.
    pub fn unavailable() -> ApiError {
        ApiError { status: 503, ..ApiError::new(-1000, "Service Unavailable.") }
    }

    /// `{"code":…,"msg":…[,"data":…]}`.
    pub fn body(&self) -> String {
        let body = Obj::new().int("code", i64::from(self.code)).text("msg", &self.msg);
        match &self.data {
            Some(data) => body.raw("data", data).end(),
            None => body.end(),
        }
    }
}

impl From<Reject> for ApiError {
    fn from(reject: Reject) -> ApiError {
        ApiError { status: reject.status(), ..ApiError::new(reject.code(), reject.to_string()) }
    }
}
