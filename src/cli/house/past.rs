//! What earlier runs left behind, brought up to the venue's truth before the first order of this one.
//!
//! Thread: main, before the agents exist.  Invariants: fills that nobody heard are booked from the venue's list of
//! trades, under the name that the venue gives their order; what cannot be explained ends the start, it is never
//! guessed, and it ends it while the orders of the earlier run still protect the position. Those are cancelled last
//! (the engine protects the position again under ids of its own).

use super::ends;
use crate::cli::venue_facts::{Desk, VenueFacts};
use crate::cli::{Failure, exit};
use crate::engine::OpenPosition;
use crate::ledger::{Ledger, LedgerError, Memory, Row};
use crate::sys::clock::Clock;
use crate::types::instrument::Symbol;
use crate::types::order::Reason;
use crate::types::record::{FillRow, OrderRow, OrderStatus};
use crate::types::{
    ClientOrderId, Leg, Notional, OrderKind, Price, Purpose, Qty, Side, Time, TimeInForce, VenueOrderId,
};
use crate::venue::binance_spot::answer::FillAnswer;
use crate::venue::binance_spot::rest::OpenOrder;
use std::collections::BTreeSet;

/// What this run starts from.
pub struct Past {
    /// As the ledger remembers, what was booked just now included.
    pub memory: Memory,
    /// The position of the round trip under way, proven by its fills.
    pub position: Option<OpenPosition>,
    /// Newest trade number of ours that is booked.
    pub trades_known_to: i64,
}

/// Looks: books what filled meanwhile and proves the position. Cancels nothing.
pub fn look(
    desk: &mut Desk<'_>,
    ledger: &mut Ledger,
    symbol: Symbol,
    clock: Clock,
) -> Result<(VenueFacts, Past), Failure> {
    let facts = desk.ask_all(symbol)?;
    if facts.open_orders.iter().any(|order| order.id.is_none()) {
        log::warn!("{symbol} has open orders that are not ours; they are left alone");
    }
    let past = catch_up(desk, ledger, &facts, clock)?;
    if let Some(stranger) = ours(&facts).find(|id| id.epoch > past.memory.epoch) {
        let why = format!(
            "order {stranger} rests at the venue, but engine.db knows no such run: start with the data_dir of that run, \
             or cancel the order by hand; nothing was cancelled"
        );
        return Err(Failure::new(exit::FAILED, &why));
    }
    Ok((facts, past))
}

/// Clears the table: cancels what earlier runs left open, and gives facts and position as they stand then. From here
/// on coins may lack a stop until the engine trades, so nothing that can fail should lie in between.
pub fn clear(
    desk: &mut Desk<'_>,
    ledger: &mut Ledger,
    (facts, past): (VenueFacts, Past),
    clock: Clock,
) -> Result<(VenueFacts, Past), Failure> {
    ends::of_the_gone(desk, ledger, &facts, &past.memory.open_orders, clock.now())?;
    let left: Vec<ClientOrderId> = ours(&facts).collect();
    if left.is_empty() {
        return Ok((facts, past));
    }
    log::warn!("cancelling {} order(s) of an earlier run; the position is protected anew", left.len());
    desk.cancel(&facts, &left)?;
    let facts = desk.ask_again(facts)?;
    let past = catch_up(desk, ledger, &facts, clock)?;
    ends::of_the_cancelled(ledger, clock.now())?;
    Ok((facts, past))
}

fn ours(facts: &VenueFacts) -> impl Iterator<Item = ClientOrderId> + '_ {
    facts.open_orders.iter().filter_map(|order| order.id)
}

/// Books every trade of ours since the first one of the round trip under way that the ledger does not have.
fn catch_up(desk: &Desk<'_>, ledger: &mut Ledger, facts: &VenueFacts, clock: Clock) -> Result<Past, Failure> {
    let memory = ledger.memory().map_err(|why| broken(&why))?;
    if memory.epoch == 0 {
        return past_of(ledger, memory);
    }
    let known: BTreeSet<i64> = fills_of(&memory).map(|fill| fill.trade_id).collect();
    let trade_no = memory.open_trade.as_ref().map_or(memory.next_trade_no, |trade| trade.trade_no);
    // A hole below the newest one is possible: a run that died may have heard of a later fill first.
    let from = known.first().copied().unwrap_or(memory.venue_trade_max + 1);
    let mut booked = Vec::new();
    let mut foreign = BTreeSet::new();
    for trade in desk.trades_from(&facts.instrument, from)? {
        if known.contains(&trade.trade_id) || foreign.contains(&trade.order_id) {
            continue;
        }
        let Some(id) = owner(desk, ledger, facts, &trade, (trade_no, clock.now()))? else {
            foreign.insert(trade.order_id); // asked about once
            continue;
        };
        let fill = fill_of(&trade, id, clock.now());
        log::warn!("booked a fill made while away: trade {} of order {id}", fill.trade_id);
        ledger.push(Row::Fill(fill));
        booked.push(fill);
    }
    ledger.flush().map_err(|why| broken(&why))?;
    let memory = ledger.memory().map_err(|why| broken(&why))?;
    let now_known: BTreeSet<i64> = fills_of(&memory).map(|fill| fill.trade_id).collect();
    if let Some(lost) = booked.iter().find(|fill| !now_known.contains(&fill.trade_id)) {
        let why = format!(
            "trade {} of order {} filled while away, but the ledger holds that order's round trip for ended: \
             look at engine.db and at the venue; nothing was cancelled",
            lost.trade_id, lost.id
        );
        return Err(Failure::new(exit::FAILED, &why));
    }
    past_of(ledger, memory)
}

/// Our order behind a trade; `None` = somebody else's on the same account. One that the ledger never heard the number
/// of (a run that died between sending and hearing) is asked for by its number, and noted in the ledger.
fn owner(
    desk: &Desk<'_>,
    ledger: &mut Ledger,
    facts: &VenueFacts,
    trade: &FillAnswer,
    (trade_no, now): (u32, Time),
) -> Result<Option<ClientOrderId>, Failure> {
    let number = VenueOrderId(trade.order_id);
    if let Some((id, _)) = ledger.order_of_venue(number).map_err(|why| broken(&why))? {
        return Ok(Some(id));
    }
    let open = facts.open_orders.iter().find(|order| order.venue_order_id == number);
    let order = open.map_or_else(|| desk.order(facts.instrument.symbol, number), |order| Ok(*order))?;
    let Some(id) = order.id else { return Ok(None) };
    ledger.push(Row::Order(row_of(id, &order, open.is_some(), trade_no, now)));
    ledger.flush().map_err(|why| broken(&why))?; // its further trades find it by its number
    Ok(Some(id))
}

/// An order that the ledger never heard of, as far as the venue tells.
fn row_of(id: ClientOrderId, order: &OpenOrder, is_open: bool, trade_no: u32, now: Time) -> OrderRow {
    use OrderStatus as S;
    let (kind, tif, purpose, tranche) = match id.leg {
        Leg::Entry(tranche) => (OrderKind::Limit, TimeInForce::Ioc, Purpose::Entry, tranche),
        Leg::TakeProfit(1) => (OrderKind::LimitMaker, TimeInForce::Gtc, Purpose::Tp1, 0),
        Leg::TakeProfit(_) => (OrderKind::LimitMaker, TimeInForce::Gtc, Purpose::Tp2, 0),
        Leg::Stop(_) => (OrderKind::StopLoss, TimeInForce::Gtc, Purpose::Stop, 0),
        Leg::List(_) | Leg::Flatten | Leg::Request => (OrderKind::Market, TimeInForce::Ioc, Purpose::Flatten, 0),
    };
    let status = match is_open {
        true if order.cum_qty > Qty::ZERO => S::Partly,
        true => S::Working,
        false if order.cum_qty >= order.qty => S::Filled,
        false => S::Canceled,
    };
    OrderRow {
        id,
        venue_order_id: order.venue_order_id,
        list_id: order.list_id,
        trade_no,
        side: order.side,
        kind,
        tif,
        purpose,
        tranche,
        status,
        reason: Reason::None,
        code: 0,
        price: Price::ZERO,
        stop_price: Price::ZERO,
        qty: order.qty,
        cum_qty: order.cum_qty,
        avg_px: Price::ZERO,
        created: now,
        acked: now,
        done: if is_open { Time::NONE } else { now },
    }
}

fn fill_of(trade: &FillAnswer, id: ClientOrderId, now: Time) -> FillRow {
    FillRow {
        id,
        trade_id: trade.trade_id,
        side: trade.side.unwrap_or(if matches!(id.leg, Leg::Entry(_)) { Side::Buy } else { Side::Sell }),
        liquidity: trade.liquidity,
        fee_asset: trade.fee_asset,
        price: trade.price,
        qty: trade.qty,
        fee: trade.fee,
        venue_time: trade.venue_time,
        recv: now,
    }
}

fn fills_of(memory: &Memory) -> impl Iterator<Item = FillRow> + '_ {
    memory.open_trade.iter().flat_map(|trade| trade.fills.iter().map(|(fill, _)| *fill))
}

/// The position that the fills prove. A trip may sell the dust of earlier ones too: then that counts as held before it.
fn past_of(ledger: &Ledger, memory: Memory) -> Result<Past, Failure> {
    let mut fills: Vec<FillRow> = fills_of(&memory).collect();
    fills.sort_by_key(|fill| fill.trade_id); // the order in which they happened, whenever they were heard
    let nothing = (Qty::ZERO, Notional::ZERO);
    let position = match &memory.open_trade {
        None => None,
        Some(trade) => {
            let own: BTreeSet<i64> = fills.iter().map(|fill| fill.trade_id).collect();
            let mut ended = ledger.fills().map_err(|why| broken(&why))?;
            ended.retain(|fill| !own.contains(&fill.trade_id));
            ended.sort_by_key(|fill| fill.trade_id);
            let dust = OpenPosition::of_fills(0, nothing, &ended).map_or(nothing, |left| (left.qty, left.cost));
            let alone = OpenPosition::of_fills(trade.trade_no, nothing, &fills);
            let held = alone.or_else(|| OpenPosition::of_fills(trade.trade_no, dust, &fills));
            let odd =
                format!("the fills of round trip {} sell more than they bought: look at engine.db", trade.trade_no);
            Some(held.ok_or_else(|| Failure::new(exit::FAILED, &odd))?)
        }
    };
    let trades_known_to = memory.venue_trade_max;
    Ok(Past { memory, position, trades_known_to })
}

pub(super) fn broken(why: &LedgerError) -> Failure {
    Failure::new(exit::FAILED, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Market;
    use crate::sim::scenario::{DEMO_HMAC_KEY, DEMO_HMAC_SECRET, Scenario};
    use crate::sim::server::{Handle, Server, ServerSettings};
    use crate::venue::binance_spot::rest::API_KEY_HEADER;
    use crate::venue::binance_spot::sign::Signer;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::path::PathBuf;

    /// A venue, and the folder of a run that died.
    struct Scene {
        venue: Handle,
        dir: PathBuf,
        clock: Clock,
        signer: Signer,
        url: String,
    }

    impl Scene {
        fn new(name: &str) -> Scene {
            let clock = Clock::start();
            let text = include_str!("../../../config/scenarios/steered.toml");
            let scenario = Scenario::parse("steered", text).expect("a good scenario");
            let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let venue = Server::start(ServerSettings { listen, scenario, tls: None, clock }).expect("a free port");
            let dir = std::env::temp_dir().join(format!("svb-past-{name}-{}", std::process::id()));
            let signer = Signer::hmac(DEMO_HMAC_SECRET.to_owned()).expect("a secret");
            Scene { url: venue.http_url(""), venue, dir, clock, signer }
        }
        fn ledger(&self) -> Ledger {
            let symbol = Symbol::new("SOLUSDT").expect("a symbol");
            Ledger::open(&self.dir, Market { venue: "binance_spot", symbol }).expect("a writable folder")
        }
        /// What the run that died sent, and nobody noted.
        fn send(&self, path: &str, params: &str) {
            let query = format!("{params}&recvWindow=5000&timestamp={}", self.clock.now().millis().0);
            let url = format!("{}{path}?{query}&signature={}", self.url, self.signer.sign(query.as_bytes()).as_str());
            let answer = ureq::post(&url).header(API_KEY_HEADER, DEMO_HMAC_KEY).send_empty();
            assert_eq!(answer.expect("the venue takes it").status(), 200);
        }
        fn settle(&self, ledger: &mut Ledger) -> Result<Past, Failure> {
            let mut desk = Desk::new(&self.url, DEMO_HMAC_KEY, &self.signer, None, self.clock)?;
            let seen = look(&mut desk, ledger, Symbol::new("SOLUSDT").expect("a symbol"), self.clock)?;
            clear(&mut desk, ledger, seen, self.clock).map(|(_, past)| past)
        }
    }
    impl Drop for Scene {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.dir));
        }
    }

    fn name(epoch: u32, leg: Leg) -> ClientOrderId {
        ClientOrderId { epoch, signal: 1, leg, attempt: 1 }
    }
    fn buy(id: ClientOrderId, qty: &str) -> String {
        format!("symbol=SOLUSDT&side=BUY&type=MARKET&quantity={qty}&newClientOrderId={id}")
    }

    #[test]
    fn coins_bought_by_an_order_that_the_ledger_never_heard_of_are_held_and_not_forgotten() {
        let scene = Scene::new("unheard");
        let mut ledger = scene.ledger();
        let epoch = ledger.next_epoch(scene.clock.now()).expect("a writable ledger");
        scene.send("/api/v3/order", &buy(name(epoch, Leg::Entry(1)), "2"));
        scene.send("/api/v3/order", &buy(name(epoch, Leg::Entry(2)), "1"));
        scene.send("/api/v3/order", "symbol=SOLUSDT&side=BUY&type=MARKET&quantity=5&newClientOrderId=by-hand");
        let past = scene.settle(&mut ledger).unwrap_or_else(|why| panic!("{why:?}"));
        let position = past.position.expect("the run that died had bought");
        assert_eq!(position.bought, Qty::parse(b"3").expect("a size"), "what somebody else bought is not ours");
        assert_eq!(past.memory.next_trade_no, position.trade_no + 1);
        let again = scene.settle(&mut ledger).unwrap_or_else(|why| panic!("{why:?}"));
        assert_eq!(
            again.position.map(|held| (held.qty, held.cost)),
            Some((position.qty, position.cost)),
            "booked once"
        );
    }

    #[test]
    fn a_hole_below_the_newest_trade_of_the_ledger_is_filled_at_start() {
        let scene = Scene::new("hole");
        let mut ledger = scene.ledger();
        let epoch = ledger.next_epoch(scene.clock.now()).expect("a writable ledger");
        for (tranche, qty) in [(1, "2"), (2, "1"), (3, "0.5")] {
            scene.send("/api/v3/order", &buy(name(epoch, Leg::Entry(tranche)), qty));
        }
        let whole = scene.settle(&mut ledger).unwrap_or_else(|why| panic!("{why:?}")).memory.open_trade;
        let fills: Vec<FillRow> = whole.iter().flat_map(|trade| trade.fills.iter().map(|(fill, _)| *fill)).collect();
        drop(ledger);
        std::fs::remove_dir_all(&scene.dir).expect("our own folder");
        let mut ledger = scene.ledger();
        ledger.next_epoch(scene.clock.now()).expect("a writable ledger");
        for tranche in [1, 3] {
            let id = name(epoch, Leg::Entry(tranche));
            let heard = fills.iter().filter(|fill| fill.id == id);
            let size = heard.clone().fold(0, |sum, fill| sum + fill.qty.0);
            let number = VenueOrderId(i64::from(tranche)); // another number than the venue's: found by name all the same
            let order = OpenOrder {
                id: Some(id),
                venue_order_id: number,
                list_id: 0,
                side: Side::Buy,
                qty: Qty(size),
                cum_qty: Qty(size),
            };
            ledger.push(Row::Order(row_of(id, &order, false, 1, scene.clock.now())));
            heard.for_each(|fill| ledger.push(Row::Fill(*fill)));
        }
        ledger.flush().expect("a writable ledger");
        let past = scene.settle(&mut ledger).unwrap_or_else(|why| panic!("{why:?}"));
        assert_eq!(past.position.map(|held| held.bought), Qty::parse(b"3.5").ok());
    }

    #[test]
    fn orders_of_a_run_that_the_ledger_does_not_know_stay_and_end_the_start() {
        let scene = Scene::new("stranger");
        let stop = name(1_700_000_000, Leg::Stop(1));
        let limit = "symbol=SOLUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=100";
        scene.send("/api/v3/order", &format!("{limit}&newClientOrderId={stop}"));
        let refused = scene.settle(&mut scene.ledger()).err().expect("nobody knows what it protects");
        assert!(format!("{refused:?}").contains(&stop.to_string()), "{refused:?}");
        assert_eq!(scene.venue.snapshot().open_orders.len(), 1, "it still rests");
    }
}
