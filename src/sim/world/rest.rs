//! REST, as the house asks it at start: the same texts, the venue's own answers, in virtual time.
//!
//! Thread: any.  Invariants: a question takes its time both ways, and the world goes on meanwhile; an answer that does
//! not come, or refuses, ends the start.

use super::World;
use super::truth::{Violation, broken};
use crate::recovery::{Holdings, Witness};
use crate::sim::scenario::{DEMO_ED25519_KEY, DEMO_ED25519_PEM, DEMO_HMAC_KEY, DEMO_HMAC_SECRET};
use crate::sim::server::binance::RestAnswer;
use crate::sim::server::http::{Request, Response, Verb};
use crate::types::event::Balance;
use crate::types::instrument::Symbol;
use crate::types::record::OrderStatus;
use crate::types::{ClientOrderId, Instrument, Notional, Qty, VenueOrderId};
use crate::venue::binance_spot::answer::FillAnswer;
use crate::venue::binance_spot::budget::RateLimit;
use crate::venue::binance_spot::info;
use crate::venue::binance_spot::rest::{self, OpenOrder, RestError, SignedTargets};
use crate::venue::binance_spot::sign::Signer;

/// How late a question at start may arrive, ms.
const RECV_WINDOW_MS: u32 = 5_000;
/// Venue code: no order ever had that name.
const NO_SUCH_ORDER: i32 = -2013;

/// The key of a world.
pub(super) fn signer(logs_on: bool) -> Result<(String, Signer), Violation> {
    let made = match logs_on {
        true => Signer::ed25519(DEMO_ED25519_PEM.to_owned()).map(|signer| (DEMO_ED25519_KEY.to_owned(), signer)),
        false => Signer::hmac(DEMO_HMAC_SECRET.to_owned()).map(|signer| (DEMO_HMAC_KEY.to_owned(), signer)),
    };
    made.map_err(|why| broken("the world begins", why.to_string()))
}

/// Why a start ended before it traded.
#[derive(Debug)]
pub(super) enum Halted {
    /// The venue did not answer, or refused: the supervisor tries again.
    Venue(String),
    /// The world broke a rule meanwhile.
    Rule(Violation),
}

/// Whoever asks at start.
pub(super) struct Desk<'w> {
    pub world: &'w mut World,
    pub symbol: Symbol,
    pub instrument: Option<Instrument>,
}

impl Desk<'_> {
    /// The symbol's rules with our fees, and the venue's limits.
    pub(super) fn rules(&mut self) -> Result<(Instrument, Vec<RateLimit>), Halted> {
        let symbol = self.symbol;
        let info = self.get(|_| rest::exchange_info_target(symbol), |body| info::exchange_info(body, symbol))?;
        let fees = self.get(|signed| signed.commission(symbol), rest::commission)?;
        let instrument = Instrument { fee_maker: fees.maker, fee_taker: fees.taker, ..info.instrument };
        self.instrument = Some(instrument);
        Ok((instrument, info.limits))
    }

    /// One question: signed, on its way, answered, back.
    fn get<T>(
        &mut self,
        target: impl FnOnce(&SignedTargets<'_>) -> String,
        read: impl FnOnce(&[u8]) -> Result<T, RestError>,
    ) -> Result<T, Halted> {
        let world = &mut *self.world;
        let (api_key, signer) = signer(world.plan.logs_on).map_err(Halted::Rule)?;
        let timestamp = world.now.plus(world.skew_ns).millis();
        let target = target(&SignedTargets { signer: &signer, recv_window_ms: RECV_WINDOW_MS, timestamp });
        world.pass(1).map_err(Halted::Rule)?;
        let response = world.rest_answer(&target, &api_key);
        world.pass(1).map_err(Halted::Rule)?;
        if std::mem::take(&mut world.killed) {
            world.tally.count("crash in the middle of a start");
            return Err(Halted::Venue("killed".to_owned()));
        }
        let Some(response) = response else { return Err(Halted::Venue("no answer".to_owned())) };
        read(response.body.as_bytes()).map_err(|why| Halted::Venue(why.to_string()))
    }
    fn rules_known(&self) -> Result<Instrument, Halted> {
        self.instrument.ok_or_else(|| Halted::Venue("the symbol's rules are not known".to_owned()))
    }
    fn trades(&mut self, from: Option<i64>) -> Result<Vec<FillAnswer>, Halted> {
        let (symbol, rules) = (self.symbol, self.rules_known()?);
        self.get(|signed| signed.my_trades(symbol, from), |body| rest::my_trades(body, &rules))
    }
}

impl Witness for Desk<'_> {
    type Error = Halted;

    fn holdings(&mut self) -> Result<Holdings, Halted> {
        let rules = self.rules_known()?;
        let account = self.get(|signed| signed.account(), |body| rest::account(body, &rules))?;
        let cash = match account.quote {
            Balance::Quote { free, locked } => Notional(free.0 + locked.0),
            Balance::Base { .. } => Notional::ZERO,
        };
        let base = match account.base {
            Balance::Base { free, locked } => Qty(free.0 + locked.0),
            Balance::Quote { .. } => Qty::ZERO,
        };
        Ok(Holdings { cash, base })
    }
    fn open_orders(&mut self) -> Result<Vec<OpenOrder>, Halted> {
        let symbol = self.symbol;
        self.get(|signed| signed.open_orders(symbol), rest::open_orders)
    }
    fn trades_from(&mut self, from: i64) -> Result<Vec<FillAnswer>, Halted> {
        self.trades(Some(from)) // a world makes fewer trades than one answer lists
    }
    fn newest_trade(&mut self) -> Result<i64, Halted> {
        Ok(self.trades(None)?.iter().map(|trade| trade.trade_id).max().unwrap_or(0))
    }
    fn order(&mut self, number: VenueOrderId) -> Result<OpenOrder, Halted> {
        let symbol = self.symbol;
        self.get(|signed| signed.order_by_number(symbol, number), rest::order)
    }
    fn order_named(&mut self, id: ClientOrderId) -> Result<Option<(VenueOrderId, OrderStatus, Qty)>, Halted> {
        let symbol = self.symbol;
        self.get(
            |signed| signed.order(symbol, id),
            |body| match rest::order_state(body) {
                Err(RestError::Venue { code: NO_SUCH_ORDER, .. }) => Ok(None),
                found => found.map(Some),
            },
        )
    }
}

impl World {
    /// So many ways' time goes by.
    fn pass(&mut self, ways: u32) -> Result<(), Violation> {
        let travel_ns: i64 = (0..ways).map(|_| self.travel_ns()).sum();
        let until = self.now.plus(travel_ns);
        self.run_until(until)?;
        self.now = self.now.max(until);
        Ok(())
    }
    /// The venue's answer to a GET; `None` = none came.
    pub(super) fn rest_answer(&mut self, target: &str, api_key: &str) -> Option<Response> {
        let now = self.venue_now();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request {
            verb: Verb::Get,
            path: path.to_owned(),
            query: query.to_owned(),
            api_key: Some(api_key.to_owned()),
            upgrade_key: None,
            body: Vec::new(),
            keep_alive: true,
        };
        match self.venues.venue.rest(&request, now) {
            RestAnswer::Answer { response, .. } => Some(response),
            RestAnswer::Swallowed => None,
        }
    }
}
