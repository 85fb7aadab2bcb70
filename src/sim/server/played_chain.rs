//! What a recorded Solana node said beside slots: the exchange's account and memecoin logs, for whoever subscribed now.
//!
//! Thread: any, under the world's lock.  Invariants: `params.result` leaves byte for byte, under the number of the new
//! subscription; of several accounts that wait the newest is told; logs that nobody fetches are bounded.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::chain::Notice;
use crate::venue::pumpchain::Program;

/// Logs queued before new ones are left out: nobody listens.
const NOTICES_MAX: usize = 20_000;

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(default, borrow)]
    method: &'a str,
    #[serde(borrow)]
    params: Option<Params<'a>>,
    #[serde(default)]
    id: u64,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    result: &'a RawValue,
    subscription: u64,
}

/// As far as it was played.
#[derive(Default)]
pub(super) struct PlayedChain {
    /// Numbers of the recorded log subscriptions.
    subscribed: [Option<u64>; 2],
    notices: Vec<Notice>,
    has_logs: bool,
    account: Option<String>,
    has_account: bool,
}

impl PlayedChain {
    /// One frame comes; what is neither a notification nor a granted subscription tells nothing.
    pub(super) fn hear(&mut self, frame: &[u8]) {
        let Ok(told) = serde_json::from_slice::<Told<'_>>(frame) else { return };
        match (told.method, told.params) {
            ("accountNotification", Some(params)) => {
                self.account = Some(params.result.get().to_owned());
                self.has_account = true;
            }
            ("logsNotification", Some(params)) => {
                let at = self.subscribed.iter().position(|known| *known == Some(params.subscription));
                let program = at.and_then(|at| [Program::Curve, Program::Amm].get(at).copied());
                if let Some(program) = program.filter(|_| self.notices.len() < NOTICES_MAX) {
                    self.notices.push(Notice::of(program, params.result.get().to_owned()));
                    self.has_logs = true;
                }
            }
            _ => {
                let number = told.result.and_then(|number| number.get().parse().ok());
                let place = usize::try_from(told.id).ok().and_then(|id| self.subscribed.get_mut(id.checked_sub(1)?));
                if let (Some(place), Some(number)) = (place, number) {
                    *place = Some(number);
                }
            }
        }
    }

    /// Logs since the last call; `None` if the recording has none so far.
    pub(super) fn take_notices(&mut self) -> Option<Vec<Notice>> {
        self.has_logs.then(|| std::mem::take(&mut self.notices))
    }

    /// Whether the recording has an account so far.
    pub(super) fn tells_account(&self) -> bool {
        self.has_account
    }

    /// The account, if it is new.
    pub(super) fn take_account(&mut self) -> Option<String> {
        self.account.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_go_out_under_the_program_that_their_recorded_subscription_was_of() {
        let mut chain = PlayedChain::default();
        chain.hear(br#"{"jsonrpc":"2.0","method":"logsNotification","params":{"result":{"a":0},"subscription":77}}"#);
        assert!(chain.take_notices().is_none(), "of a subscription that nobody was granted");
        chain.hear(br#"{"jsonrpc":"2.0","result":77,"id":2}"#);
        chain.hear(br#"{"jsonrpc":"2.0","method":"logsNotification","params":{"result":{"a": 1},"subscription":77}}"#);
        assert_eq!(chain.take_notices().map(|notices| notices.len()), Some(1));
        assert_eq!(chain.take_notices().map(|notices| notices.len()), Some(0), "told once");
    }

    #[test]
    fn an_account_is_told_once_and_without_a_change() {
        let mut chain = PlayedChain::default();
        assert!(!chain.tells_account());
        chain.hear(
            br#"{"jsonrpc":"2.0","method":"accountNotification","params":{"result":{"b" : 1},"subscription":3}}"#,
        );
        assert_eq!((chain.take_account().as_deref(), chain.take_account()), (Some(r#"{"b" : 1}"#), None));
        assert!(chain.tells_account());
        chain.hear(b"not json");
    }
}
