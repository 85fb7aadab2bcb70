//! REST, as the house asks it: the same texts, the venue's own answers.
//!
//! Thread: any.  Invariants: as of the world.

use super::truth::{Violation, broken};
use super::{BEGIN, World};
use crate::sim::scenario::{DEMO_ED25519_KEY, DEMO_ED25519_PEM, DEMO_HMAC_KEY, DEMO_HMAC_SECRET};
use crate::sim::server::binance::RestAnswer;
use crate::sim::server::http::{Request, Response, Verb};
use crate::sim::server::world::World as Venues;
use crate::types::event::Balance;
use crate::types::instrument::Symbol;
use crate::types::{Instrument, Notional, Qty, Time};
use crate::venue::binance_spot::budget::RateLimit;
use crate::venue::binance_spot::info;
use crate::venue::binance_spot::rest::{self, SignedTargets};
use crate::venue::binance_spot::sign::Signer;

/// How late a question at start may arrive, ms.
const RECV_WINDOW_MS: u32 = 5_000;

/// The key of a world.
pub(super) fn signer(logs_on: bool) -> Result<(String, Signer), Violation> {
    let made = match logs_on {
        true => Signer::ed25519(DEMO_ED25519_PEM.to_owned()).map(|signer| (DEMO_ED25519_KEY.to_owned(), signer)),
        false => Signer::hmac(DEMO_HMAC_SECRET.to_owned()).map(|signer| (DEMO_HMAC_KEY.to_owned(), signer)),
    };
    made.map_err(|why| broken("the world begins", why.to_string()))
}

/// What the venue says before anything trades.
pub(super) struct Facts {
    pub instrument: Instrument,
    pub limits: Vec<RateLimit>,
    pub cash: Notional,
    pub base: Qty,
}

/// One REST request, carried to the venue and answered.
pub(super) fn ask(venues: &mut Venues, (verb, target): (Verb, &str), api_key: &str, now: Time) -> Option<Response> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = Request {
        verb,
        path: path.to_owned(),
        query: query.to_owned(),
        api_key: Some(api_key.to_owned()),
        upgrade_key: None,
        body: Vec::new(),
        keep_alive: true,
    };
    match venues.venue.rest(&request, now) {
        RestAnswer::Answer { response, .. } => Some(response),
        RestAnswer::Swallowed => None,
    }
}

/// Asks what a first start asks.
pub(super) fn facts(venues: &mut Venues, symbol: Symbol, logs_on: bool) -> Result<Facts, Violation> {
    let (api_key, signer) = signer(logs_on)?;
    let unread = |why: rest::RestError| broken("the venue's answers can be read", why.to_string());
    let mut body = |target: &str| match ask(venues, (Verb::Get, target), &api_key, BEGIN) {
        Some(response) => Ok(response.body.into_bytes()),
        None => Err(broken("the venue answers", target)),
    };
    let signed = SignedTargets { signer: &signer, recv_window_ms: RECV_WINDOW_MS, timestamp: BEGIN.millis() };
    let info = info::exchange_info(&body(&rest::exchange_info_target(symbol))?, symbol).map_err(unread)?;
    let fees = rest::commission(&body(&signed.commission(symbol))?).map_err(unread)?;
    let instrument = Instrument { fee_maker: fees.maker, fee_taker: fees.taker, ..info.instrument };
    let account = rest::account(&body(&signed.account())?, &instrument).map_err(unread)?;
    let cash = match account.quote {
        Balance::Quote { free, locked } => Notional(free.0 + locked.0),
        Balance::Base { .. } => Notional::ZERO,
    };
    let base = match account.base {
        Balance::Base { free, locked } => Qty(free.0 + locked.0),
        Balance::Quote { .. } => Qty::ZERO,
    };
    Ok(Facts { instrument, limits: info.limits, cash, base })
}

impl World {
    /// The venue's answer to a question of the market side; `None` = none came, or a refusal.
    pub(super) fn market_answer(&mut self, path: &str) -> Option<String> {
        let now = self.venue_now();
        let response = ask(&mut self.venues, (Verb::Get, path), "", now)?;
        (response.status == 200).then_some(response.body)
    }
}
