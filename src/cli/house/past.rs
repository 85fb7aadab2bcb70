//! The look at what earlier runs left, by REST: see [`recovery`].
//!
//! Thread: main, before the agents exist.  Invariants: as of `recovery`; its errors end the start with their exit code.

use crate::cli::venue_facts::{Desk, VenueFacts};
use crate::cli::{Failure, exit};
use crate::ledger::{Ledger, LedgerError};
use crate::recovery::{self, Past, RecoveryError};
use crate::sys::clock::Clock;
use crate::types::instrument::Symbol;

/// Asks the venue for its rules and for everything that earlier runs left there; the ledger is brought up to it.
pub fn look(
    desk: &mut Desk<'_>,
    ledger: &mut Ledger,
    symbol: Symbol,
    clock: Clock,
) -> Result<(VenueFacts, Past), Failure> {
    let facts = desk.rules(symbol)?;
    let past = recovery::look(&mut desk.account(&facts.instrument), ledger, clock.now()).map_err(in_words)?;
    if past.foreign > 0 {
        log::warn!("{symbol} has {} open order(s) that are not ours; they are left alone", past.foreign);
    }
    Ok((facts, past))
}

fn in_words(why: RecoveryError<Failure>) -> Failure {
    match why {
        RecoveryError::Venue(failure) => failure,
        other => Failure::new(exit::FAILED, &other.to_string()),
    }
}

pub(super) fn broken(why: &LedgerError) -> Failure {
    Failure::new(exit::FAILED, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Market, Row};
    use crate::recovery::row_of;
    use crate::sim::scenario::{DEMO_HMAC_KEY, DEMO_HMAC_SECRET, Scenario};
    use crate::sim::server::{Handle, Server, ServerSettings};
    use crate::types::order::{FeeAsset, Liquidity};
    use crate::types::record::FillRow;
    use crate::types::{ClientOrderId, Leg, OrderKind, Price, Qty, Side, VenueOrderId};
    use crate::venue::binance_spot::rest::{API_KEY_HEADER, OpenOrder};
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
            look(&mut desk, ledger, Symbol::new("SOLUSDT").expect("a symbol"), self.clock).map(|(_, past)| past)
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
    fn the_first_fill_of_a_trip_is_found_though_a_later_one_was_heard() {
        let scene = Scene::new("first");
        let mut ledger = scene.ledger();
        scene.send("/api/v3/order", "symbol=SOLUSDT&side=BUY&type=MARKET&quantity=5&newClientOrderId=by-hand");
        let before = scene.settle(&mut ledger).unwrap_or_else(|why| panic!("{why:?}"));
        assert!(before.trades_known_to > 0 && before.position.is_none(), "what somebody else did before is behind us");
        let epoch = ledger.next_epoch(scene.clock.now()).expect("a writable ledger");
        scene.send("/api/v3/order", &buy(name(epoch, Leg::Entry(1)), "2"));
        scene.send("/api/v3/order", &buy(name(epoch, Leg::Entry(2)), "1"));
        let newest = *scene.venue.snapshot().trades.last().expect("a fill");
        let row = FillRow {
            id: name(epoch, Leg::Entry(2)),
            trade_id: newest.fill.trade_id,
            side: Side::Buy,
            liquidity: Liquidity::Taker,
            fee_asset: FeeAsset::None,
            price: newest.fill.price,
            qty: newest.fill.qty,
            fee: 0,
            venue_time: scene.clock.now(),
            recv: scene.clock.now(),
        };
        let heard = OpenOrder {
            id: Some(row.id),
            venue_order_id: VenueOrderId(newest.order_id),
            list_id: 0,
            side: Side::Buy,
            qty: Qty::parse(b"1").expect("a size"),
            cum_qty: row.qty,
            kind: Some(OrderKind::Market),
            price: Price::ZERO,
            stop_price: Price::ZERO,
        };
        ledger.push(Row::Order(row_of(row.id, &heard, false, 1, scene.clock.now())));
        ledger.push(Row::Fill(row));
        ledger.flush().expect("a writable ledger");
        let past = scene.settle(&mut ledger).unwrap_or_else(|why| panic!("{why:?}"));
        assert_eq!(past.position.map(|held| held.bought), Qty::parse(b"3").ok());
        assert!(past.count().fills > 0);
        let again = scene.settle(&mut ledger).unwrap_or_else(|why| panic!("{why:?}"));
        assert!(again.count().is_clean(), "{:?}", again.differences);
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
                kind: Some(OrderKind::Limit),
                price: Price::ZERO,
                stop_price: Price::ZERO,
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
        let refused = scene.settle(&mut scene.ledger()).expect_err("nobody knows what it protects");
        assert!(format!("{refused:?}").contains(&stop.to_string()), "{refused:?}");
        assert_eq!(scene.venue.snapshot().open_orders.len(), 1, "it still rests");
    }
}
