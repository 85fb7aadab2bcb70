//! What the venue says before anything trades: its clock, the symbol's rules, our fees, balances, orders and trades.
//!
//! Thread: main, before the agents exist; may block.  Invariants: nothing is assumed that can be asked; a venue that
//! does not answer, or refuses the key, ends the start with its own exit code.

use super::{Failure, exit};
use crate::recovery::{Holdings, Witness};
use crate::sys::clock::Clock;
use crate::threads::helpers::web;
use crate::types::event::{Balance, ClockOffset};
use crate::types::instrument::Symbol;
use crate::types::record::OrderStatus;
use crate::types::{ClientOrderId, Instrument, Qty, VenueOrderId};
use crate::venue::binance_spot::answer::FillAnswer;
use crate::venue::binance_spot::budget::RateLimit;
use crate::venue::binance_spot::info::{self, SymbolStatus};
use crate::venue::binance_spot::rest::{self, OpenOrder, RestError, SignedTargets};
use crate::venue::binance_spot::sign::Signer;
use crate::venue::sol_prices::{self, SolPrices};
use std::path::Path;

/// Round trips that measure the clock; the shortest counts.
const CLOCK_ROUNDS: usize = 9;
/// How late a start-up query may arrive, ms.
const RECV_WINDOW_MS: u32 = 5_000;
/// Times that a question is asked whose answer did not come in time. A lost packet can hold a connection up for longer
/// than its request may take, while the next connection is through at once.
const TRIES_MAX: usize = 3;
/// Trades that the venue lists in one answer, as asked for.
const TRADES_PER_PAGE: usize = 1_000;
/// Answers read at most: far more than a run leaves behind.
const TRADE_PAGES_MAX: usize = 100;
/// Venue codes that mean "not with this key": bad key format, refused key, bad signature, not authorised.
const KEY_CODES: [i32; 4] = [-2014, -2015, -1022, -1002];

/// Venue code: no order ever had that name.
const NO_SUCH_ORDER: i32 = -2013;
/// Venue code: the order is not open.
const NOTHING_TO_CANCEL: i32 = -2011;

/// The venue's rules at start.
#[derive(Clone, Debug)]
pub struct VenueFacts {
    /// Rules of the symbol, fees included.
    pub instrument: Instrument,
    /// Budgets of requests and orders.
    pub limits: Vec<RateLimit>,
    /// Its clock against ours.
    pub clock: ClockOffset,
}

/// Whom to ask, and with which key.
pub struct Desk<'a> {
    agent: ureq::Agent,
    base_url: &'a str,
    api_key: &'a str,
    signer: &'a Signer,
    clock: Clock,
    offset_ns: i64,
}

impl<'a> Desk<'a> {
    /// Asks nothing yet. Errors: a `ca_file` that cannot be used.
    pub fn new(
        base_url: &'a str,
        api_key: &'a str,
        signer: &'a Signer,
        ca_file: Option<&Path>,
        clock: Clock,
    ) -> Result<Desk<'a>, Failure> {
        let agent = web::agent(ca_file).map_err(|why| Failure::new(exit::BAD_CONFIG, &why))?;
        Ok(Desk { agent, base_url, api_key, signer, clock, offset_ns: 0 })
    }

    /// The rules a start needs, in the order that costs least if something is wrong.
    pub fn rules(&mut self, symbol: Symbol) -> Result<VenueFacts, Failure> {
        let clock = self.measure_clock()?;
        let info = self.get(|| rest::exchange_info_target(symbol), |body| info::exchange_info(body, symbol))?;
        if info.status != SymbolStatus::Trading {
            log::warn!("{symbol} does not trade now ({:?}); entries will be refused by the venue", info.status);
        }
        let fees = self.get(|| self.signed().commission(symbol), rest::commission)?;
        let instrument = Instrument { fee_maker: fees.maker, fee_taker: fees.taker, ..info.instrument };
        Ok(VenueFacts { instrument, limits: info.limits, clock })
    }

    /// What the coin cost in the hours of the last days.
    pub fn hourly_prices(&self, symbol: Symbol) -> Result<SolPrices, Failure> {
        let now = self.clock.now();
        self.get(
            || sol_prices::klines_path(symbol.as_str()),
            |body| {
                let mut prices = SolPrices::default();
                let shape = |why: crate::venue::DecodeError| RestError::Decode { what: "klines", why };
                prices.on_body(body, now).map(|()| prices).map_err(shape)
            },
        )
    }

    /// The account, as the one who answers for `instrument`.
    pub fn account<'d>(&'d self, instrument: &'d Instrument) -> Account<'d, 'a> {
        Account { desk: self, instrument }
    }

    fn measure_clock(&mut self) -> Result<ClockOffset, Failure> {
        let mut best = ClockOffset { offset_ns: 0, round_trip_ns: i64::MAX };
        for _ in 0..CLOCK_ROUNDS {
            let sent = self.clock.now();
            let venue = self.get(|| rest::time_target().to_owned(), rest::time)?;
            let round_trip_ns = self.clock.now().since(sent);
            if round_trip_ns < best.round_trip_ns {
                best = ClockOffset { offset_ns: venue.since(sent.plus(round_trip_ns / 2)), round_trip_ns };
            }
        }
        self.offset_ns = best.offset_ns;
        Ok(best)
    }

    fn signed(&self) -> SignedTargets<'_> {
        let timestamp = self.clock.now().plus(self.offset_ns).millis();
        SignedTargets { signer: self.signer, recv_window_ms: RECV_WINDOW_MS, timestamp }
    }

    fn get<T>(
        &self,
        target: impl Fn() -> String,
        read: impl FnOnce(&[u8]) -> Result<T, RestError>,
    ) -> Result<T, Failure> {
        let body = self.ask(target, |url| self.agent.get(url).header(rest::API_KEY_HEADER, self.api_key).call())?;
        read(&body).map_err(|why| self.refused(&why))
    }

    /// The body of an answer, the venue's own errors included. A request that runs out of time is made and sent again,
    /// with a signature of now: each of ours changes nothing, or nothing more than the first time.
    fn ask(&self, target: impl Fn() -> String, send: impl Fn(&str) -> Answer) -> Result<Vec<u8>, Failure> {
        let mut tries = TRIES_MAX;
        loop {
            let target = target();
            tries -= 1;
            match body_of(send(&format!("{}{target}", self.base_url))) {
                Ok(body) => return Ok(body),
                Err(web::FetchError::Timeout) if tries > 0 => {}
                Err(why) => {
                    let path = target.split('?').next().unwrap_or(&target); // the query holds a signature
                    let text = format!("{}{path}: {why}; check endpoints.binance_rest", self.base_url);
                    return Err(Failure::new(exit::UNREACHABLE, &text));
                }
            }
        }
    }

    fn refused(&self, why: &RestError) -> Failure {
        let code = match why {
            RestError::Venue { code, .. } if KEY_CODES.contains(code) => exit::CREDENTIALS,
            RestError::Venue { .. } => exit::UNREACHABLE,
            _ => exit::FAILED,
        };
        Failure::new(code, why)
    }
}

/// What the HTTP client brings.
type Answer = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

fn body_of(answer: Answer) -> Result<Vec<u8>, web::FetchError> {
    let mut response = answer.map_err(|error| web::in_words(&error))?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(web::BODY_BYTES_MAX).read_to_vec();
    let body = body.map_err(|error| web::in_words(&error))?;
    if status >= 400 && rest::venue_error(&body).is_none() {
        return Err(web::FetchError::Status { status, retry_after_s: None });
    }
    Ok(body)
}

/// The account behind the desk's key.
pub struct Account<'d, 'a> {
    desk: &'d Desk<'a>,
    instrument: &'d Instrument,
}

impl Account<'_, '_> {
    /// Cancels these orders (a leg takes its whole list with it); one that is gone already is fine.
    pub fn cancel(&self, orders: &[ClientOrderId]) -> Result<(), Failure> {
        let desk = self.desk;
        for id in orders {
            let target = || desk.signed().order(self.instrument.symbol, *id);
            let body =
                desk.ask(target, |url| desk.agent.delete(url).header(rest::API_KEY_HEADER, desk.api_key).call())?;
            match rest::venue_error(&body) {
                None | Some(RestError::Venue { code: NOTHING_TO_CANCEL, .. }) => {}
                Some(why) => return Err(desk.refused(&why)),
            }
        }
        Ok(())
    }

    fn trades(&self, from: Option<i64>) -> Result<Vec<FillAnswer>, Failure> {
        let target = || self.desk.signed().my_trades(self.instrument.symbol, from);
        self.desk.get(target, |body| rest::my_trades(body, self.instrument))
    }
}

impl Witness for Account<'_, '_> {
    type Error = Failure;

    fn holdings(&mut self) -> Result<Holdings, Failure> {
        let account = self.desk.get(|| self.desk.signed().account(), |body| rest::account(body, self.instrument))?;
        if !account.can_trade {
            return Err(Failure::new(exit::CREDENTIALS, &"the account may not trade (`canTrade` is false)"));
        }
        let cash = match account.quote {
            Balance::Quote { free, locked } => free.checked_add(locked),
            Balance::Base { .. } => None,
        };
        let base = match account.base {
            Balance::Base { free, locked } => free.checked_add(locked),
            Balance::Quote { .. } => None,
        };
        let held = cash.zip(base).map(|(cash, base)| Holdings { cash, base });
        held.ok_or_else(|| Failure::new(exit::FAILED, &"the account's balances do not fit our numbers"))
    }

    fn open_orders(&mut self) -> Result<Vec<OpenOrder>, Failure> {
        self.desk.get(|| self.desk.signed().open_orders(self.instrument.symbol), rest::open_orders)
    }

    fn trades_from(&mut self, mut from: i64) -> Result<Vec<FillAnswer>, Failure> {
        let mut trades = Vec::new();
        for _ in 0..TRADE_PAGES_MAX {
            let page = self.trades(Some(from))?;
            let last = page.iter().map(|trade| trade.trade_id).max();
            let is_full = page.len() >= TRADES_PER_PAGE;
            trades.extend(page);
            match last {
                Some(last) if is_full => from = last + 1,
                _ => return Ok(trades),
            }
        }
        let many = TRADE_PAGES_MAX * TRADES_PER_PAGE;
        let why = format!("more than {many} trades since trade {from} of the ledger: is this the account's data_dir?");
        Err(Failure::new(exit::FAILED, &why))
    }

    fn newest_trade(&mut self) -> Result<i64, Failure> {
        Ok(self.trades(None)?.iter().map(|trade| trade.trade_id).max().unwrap_or(0))
    }

    fn order(&mut self, number: VenueOrderId) -> Result<OpenOrder, Failure> {
        self.desk.get(|| self.desk.signed().order_by_number(self.instrument.symbol, number), rest::order)
    }

    fn order_named(&mut self, id: ClientOrderId) -> Result<Option<(VenueOrderId, OrderStatus, Qty)>, Failure> {
        self.desk.get(
            || self.desk.signed().order(self.instrument.symbol, id),
            |body| match rest::order_state(body) {
                Err(RestError::Venue { code: NO_SUCH_ORDER, .. }) => Ok(None),
                found => found.map(Some),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn late() -> Answer {
        Err(ureq::Error::Timeout(ureq::Timeout::Global))
    }
    fn good() -> Answer {
        let body = ureq::Body::builder().data("[]");
        Ok(ureq::http::Response::builder().status(200).body(body).expect("a sound response"))
    }

    #[test]
    fn a_request_that_runs_out_of_time_is_made_anew_but_not_for_ever() {
        let signer = Signer::hmac("secret".to_owned()).expect("a secret");
        let desk = Desk::new("http://venue", "key", &signer, None, Clock::start()).expect("built-in roots");
        let made = Cell::new(0);
        let target = || {
            made.set(made.get() + 1);
            format!("/path?signature={}", made.get())
        };
        let answers = |urls: &mut Vec<String>, url: &str| {
            urls.push(url.to_owned());
            if urls.len() < TRIES_MAX { late() } else { good() }
        };
        let urls = std::cell::RefCell::new(Vec::new());
        let told = desk.ask(target, |url| answers(&mut urls.borrow_mut(), url));
        assert_eq!(told.expect("the last try is answered"), b"[]");
        let each = |at: usize| format!("http://venue/path?signature={at}");
        assert_eq!(urls.into_inner(), [each(1), each(2), each(3)]);
        let refused = desk.ask(target, |_| late()).expect_err("nobody ever answers");
        let text = format!("{refused:?}");
        assert_eq!(made.get(), 2 * TRIES_MAX);
        assert!(text.contains("no whole answer within") && !text.contains("signature"), "{text}");
    }
}
